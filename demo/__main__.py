"""The demo: a small call centre, three receivers, a breakdown and a kill -9.

    script/demo          plays the three acts, then runs with a trickle of calls until Ctrl-C
    script/demo --once   plays them, checks every claim, exits 0 or 1

Run by script/demo, which installs and builds first. Knows the product only by its binary and its
public API. Everything it makes lies in one temporary directory, which goes when it ends.
"""

import argparse
import pathlib
import shutil
import signal
import sys
import tempfile

from screen import Screen
from story import Failed, Story


def arguments():
    parser = argparse.ArgumentParser(
        prog="script/demo", allow_abbrev=False,
        description="Plays a small call centre through Hookswitch, breaks a receiver, kills the "
                    "server, and shows that every event arrived.")
    parser.add_argument("--once", action="store_true",
                        help="end after one round; the exit status says whether all checks passed")
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def stop(number, _frame):
    """SIGTERM and SIGHUP end the demo as Ctrl-C does, so that nothing is left behind."""
    raise KeyboardInterrupt(number)


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    screen = Screen(sys.stdout)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hookswitch-demo-"))
    story = Story(options.binary, folder, screen)
    try:
        good = story.play()
        if not options.once and good:
            story.stay()
        return 0 if good else 1
    except Failed as failed:
        screen.quiet = True
        screen.check(False, str(failed))
        story.explain()
        return 1
    except KeyboardInterrupt:
        screen.quiet = True
        screen.say("\nInterrupted: stopping the server and the receivers.")
        return 0 if story.staying else 130
    finally:
        # A second Ctrl-C must not leave the server running or the directory behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        story.close()
        shutil.rmtree(folder, ignore_errors=True)


sys.exit(main())
