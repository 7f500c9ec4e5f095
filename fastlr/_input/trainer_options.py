"""What the parameters of a Trainer may be."""

import math
from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np

from fastlr import _core
from fastlr._input.arrays import check_option, is_in_range


def check_options(trainer):
    """Raise ValueError naming the first parameter that is not allowed, its value and what is."""
    check_option("loss", trainer.loss, _core.LOSSES)
    check_option("reduction", trainer.reduction, ("mean", "sum"))
    for name, (accepts, expected) in _RULES.items():
        value = getattr(trainer, name)
        if not accepts(value):
            raise ValueError(f"{name} is {value!r}; expected {expected}")


def generator_of(random_state):
    """Something with a method permutation(n)."""
    return random_state if isinstance(random_state, _GENERATORS) else np.random.default_rng(random_state)


def _is_count(value, minimum=1):
    return isinstance(value, Integral) and value >= minimum


def _is_number_in(value, low, high):
    return isinstance(value, Real) and is_in_range(value) and low <= value < high


_GENERATORS = (np.random.Generator, np.random.RandomState)

# parameter -> what it accepts, and the same in words
_RULES = {
    "learning_rate": (lambda v: _is_number_in(v, 0, math.inf) and v > 0, "a positive finite number"),
    "epochs": (_is_count, "a positive integer"),
    "batch_size": (lambda v: v is None or _is_count(v), "a positive integer, or None for the full batch"),
    "momentum": (lambda v: _is_number_in(v, 0, 1), "a number in [0, 1)"),
    "alpha": (lambda v: _is_number_in(v, 0, math.inf), "a finite number of at least 0"),
    "shuffle": (lambda v: isinstance(v, bool | np.bool_), "True or False"),
    "callbacks": (lambda v: isinstance(v, Sequence) and all(map(callable, v)), "a sequence of callables"),
    "verbose": (lambda v: _is_count(v, 0), "0 or 1"),
    "random_state": (
        lambda v: v is None or _is_count(v, 0) or isinstance(v, _GENERATORS),
        "None, an integer of at least 0, or a numpy Generator or RandomState",
    ),
}
