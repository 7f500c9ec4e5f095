"""Hints where an argument is misspelt or in the wrong place, in place of Python's bare TypeError.

An estimator that lacks arguments of the class it comes from has a dict `_not_here`: what to use in their place.
"""

import functools
import inspect


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


def hinted_function(function):
    """The same of a function; nothing is looked at before Python has refused a call."""

    @functools.wraps(function)
    def called(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except TypeError:
            known = list(inspect.signature(function).parameters)
            for name in kwargs:
                if name not in known:
                    raise TypeError(f"{function.__name__} has no argument {name!r}{_like(name, known)}") from None
            raise

    return called


def _call(owner, method):
    return f"{owner.__name__}{'' if method.__name__ == '__init__' else '.' + method.__name__}"


def _hint(owner, name, known):
    """What to do about it: what serves in its place, the method that takes it, or those that are spelt like it."""
    if name in getattr(owner, "_not_here", {}):
        return f": {owner._not_here[name]}"
    for method in (owner.__init__, *(getattr(owner, other, None) for other in ("fit", "partial_fit", "predict"))):
        if method is not None and name in inspect.signature(method).parameters:
            return f": it is an argument of {_call(owner, method)}(...)"
    return _like(name, known)


def _like(name, known):
    """The arguments that are spelt like it, or all."""
    from difflib import get_close_matches

    lower = {other.lower(): other for other in known}
    close = [lower[other] for other in get_close_matches(name.lower(), lower, n=2)]
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else f"; expected one of {', '.join(known)}"
