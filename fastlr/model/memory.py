"""How much memory a fit may take beside X: one budget for whatever it keeps, one for what it makes at a time."""

import os

_KEPT_MIB = 128


def _kept_values():
    text = os.environ.get("FASTLR_KEPT_MIB", "").strip()
    if not text:
        return _KEPT_MIB << 18
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= 1 << 20:
        raise ValueError(f"FASTLR_KEPT_MIB={text!r}; expected MiB, an integer from 1 to 1048576, or unset it for "
                         f"{_KEPT_MIB}")
    return int(text) << 18


KEPT_VALUES = _kept_values()
"""float32 values of each array that is kept for a fit: logits (twice), rows, metrics. Which path is taken depends on
it, and with it the last digits."""

BLOCK_VALUES = 1 << 20
"""Values of rows, or of what is made of them, that are made at a time."""

CACHED_VALUES = 1 << 15
"""Values that are worked on at a time where several arrays of so many are to stay in a core's cache."""
