"""What the demo prints: aligned columns, at most 79 wide; colour only on a terminal.

    12.34 event   call.unsuccessful_transfer call 4012    accepted ..7Q3FZK
    12.34 crm     call.unsuccessful_transfer call 4012    #123   200 1.3 ms signed
"""

import os
import textwrap
import threading
import time

WIDTH = 78
COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36,
           "bold": 1, "dim": 2}


def span(seconds):
    """A duration in at most six characters: "1.3 ms", "250 ms", "12.4 s"."""
    if seconds is None:
        return "-"
    if seconds < 0.00995:
        return f"{max(seconds, 0) * 1e3:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 999.95 else f"{seconds:.0f} s"


def wrapped(text, width):
    """The text in lines, at least one; words with hyphens stay whole."""
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


class Screen:
    """Any thread may print; a line is never mixed with another."""

    def __init__(self, stream):
        self._stream = stream
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self.quiet = False  # no more rows: the demo is ending
        self._coloured = (stream.isatty() and "NO_COLOR" not in os.environ
                          and os.environ.get("TERM") != "dumb")

    def paint(self, text, *colours):
        if not self._coloured or not colours:
            return text
        codes = ";".join(str(COLOURS[colour]) for colour in colours)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def _put(self, text):
        with self._lock:
            try:
                print(text, file=self._stream, flush=True)
            except BrokenPipeError:
                # The reader has gone (script/demo | head); the checks still decide the exit.
                self._stream = open(os.devnull, "w", encoding="utf-8")

    # -- running text

    def title(self, text):
        line = f"== {text} "
        self._put("\n" + self.paint(line + "=" * (WIDTH - len(line)), "bold", "cyan"))

    def say(self, text, *colours, wrap=True):
        for paragraph in text.split("\n"):
            lines = wrapped(paragraph, WIDTH) if wrap else [paragraph]
            for line in lines:
                self._put(self.paint(line, *colours))

    def command(self, text):
        """Something that one could type: never wrapped, so that it can be copied."""
        self._put("  " + self.paint(text, "yellow"))

    def quote(self, text):
        for line in wrapped(text, WIDTH - 4):
            self._put("  " + self.paint("| " + line, "red"))

    def check(self, good, text):
        mark = self.paint("  ok    ", "bold", "green") if good else self.paint(
            "  FAILED", "bold", "red")
        lines = wrapped(text, WIDTH - 9)
        self._put(f"{mark} {lines[0]}")
        for line in lines[1:]:
            self._put(" " * 9 + line)

    # -- columns

    def _row(self, who, event, subject, result):
        if self.quiet:
            return
        now = time.monotonic() - self._began
        clock = f"{now:5.2f}" if now < 99.995 else f"{now:5.1f}" if now < 999.95 else f"{now:5.0f}"
        self._put(f"{self.paint(clock, 'dim')} {who} {event:<26} {subject:<12} {result}")

    def event(self, name, subject, result, good=True):
        """An event as the call centre posted it."""
        colours = ("bold",) if good else ("bold", "yellow")
        self._row(self.paint(f"{'event':<7}", *colours), name, subject,
                  self.paint(result, "bold" if good else "yellow"))

    def delivery(self, receiver, name, subject, sequence, answer, latency, seal):
        """A delivery as a receiver got it; answer "200" is the only good one."""
        good = answer == "200" and seal == "signed"
        result = self.paint(f"{answer:>5}", "green" if good else "red")
        self._row(self.paint(f"{receiver.name:<7}", receiver.colour), name, subject,
                  f"#{sequence:<4}{result} {span(latency):>6} "
                  + self.paint(seal, "green" if seal == "signed" else "red"))

    def table(self, heads, rows):
        """Rows of strings; the first column to the left, the others to the right."""
        widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
        for number, row in enumerate([heads, *rows]):
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
            line = "  " + "  ".join(cells)
            self._put(self.paint(line, "dim") if number == 0 else line)
