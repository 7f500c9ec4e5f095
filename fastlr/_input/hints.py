"""Hints where an argument is misspelt or in the wrong place, in place of Python's bare TypeError."""

import functools
import inspect
from difflib import get_close_matches


def hinted(method):
    """A method of an estimator whose error for an unknown argument says which was meant, or where it belongs."""
    known = [name for name, p in inspect.signature(method).parameters.items() if p.kind != p.VAR_KEYWORD][1:]

    @functools.wraps(method)
    def called(self, *args, **kwargs):
        for name in kwargs:
            if name not in known:
                raise TypeError(f"{_call(type(self), method)} has no argument {name!r}{_hint(type(self), name, known)}")
        return method(self, *args, **kwargs)

    return called


def _call(owner, method):
    return f"{owner.__name__}{'' if method.__name__ == '__init__' else '.' + method.__name__}"


def _hint(owner, name, known):
    """What to do about it: the method that takes it, or the arguments that are spelt like it."""
    for method in (owner.__init__, *(getattr(owner, other, None) for other in ("fit", "partial_fit", "predict"))):
        if method is not None and name in inspect.signature(method).parameters:
            return f": it is an argument of {_call(owner, method)}(...)"
    lower = {other.lower(): other for other in known}
    close = [lower[other] for other in get_close_matches(name.lower(), lower, n=2)]
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else f"; expected one of {', '.join(known)}"
