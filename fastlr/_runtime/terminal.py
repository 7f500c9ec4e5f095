"""The progress of a fit on stderr: one line rewritten on a terminal, else a line a step.

Progress is never worth an error: without a stderr, or where it can no longer be written (a closed pipe), nothing is.
"""

import sys


class ProgressLine:
    """Shows the last step's figures, if `shown`."""

    def __init__(self, shown=True):
        self.stream = sys.stderr if shown else None
        try:
            self.on_terminal = self.stream.isatty()
        except (AttributeError, ValueError, OSError):  # None, a stand-in, closed
            self.on_terminal = False

    def show(self, line):
        """Show the line in place of the last one."""
        self._write(f"\r{line}\x1b[K" if self.on_terminal else f"{line}\n")  # K: clear what a longer line left

    def close(self):
        """Leave the line."""
        if self.on_terminal:
            self._write("\n")

    def _write(self, text):
        try:
            self.stream.write(text)
            self.stream.flush()
        except (AttributeError, ValueError, OSError):
            self.stream, self.on_terminal = None, False
