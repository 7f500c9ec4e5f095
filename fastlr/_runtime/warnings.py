"""Warnings that point at the user's line, however many layers lie between it and the code that warns."""

import sys
import warnings

_LAYERS = {"fastlr", "sklearn", "joblib", "numpy", "contextlib", "functools"}


def warn_user(message, category=UserWarning):
    """Warn at the nearest call from outside fastlr and the packages that call it for users."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _LAYERS:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
