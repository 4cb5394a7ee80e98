"""Waiting for something to become true, instead of sleeping and hoping."""

import os
import time

# Sanitizer builds run several times slower: every limit of the tests is stretched by this.
SCALE = float(os.environ.get("HOOKSWITCH_TIME_SCALE", "1"))


def wait_until(predicate, timeout=10.0, what=None, pause=0.01):
    """Returns the first true value of predicate(); fails with `what` after timeout seconds.

    `what` may be a function, called at the end to say how things stood.
    """
    limit = time.monotonic() + timeout * SCALE
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > limit:
            said = what() if callable(what) else what
            raise AssertionError(f"not within {timeout * SCALE:g} s: {said or predicate}")
        time.sleep(pause)
