"""The progress of a training, on stderr: one line rewritten on a terminal, else a line an epoch."""

import sys


class ProgressLine:
    """Shows the last epoch's figures."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs
        self.on_terminal = sys.stderr.isatty()

    def show(self, epoch, history):
        """Show the last value of each list of the history."""
        figures = "  ".join(f"{name} {values[-1]:.4f}" for name, values in history.items())
        line = f"epoch {epoch}/{self.n_epochs}  {figures}"
        if self.on_terminal:
            line = f"\r{line}\x1b[K"  # K: clear what a longer line left
        print(line, end="" if self.on_terminal else "\n", file=sys.stderr, flush=True)

    def close(self):
        """Leave the line."""
        if self.on_terminal:
            print(file=sys.stderr)
