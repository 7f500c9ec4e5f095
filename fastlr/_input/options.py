"""What options and parameters may be: one checker, and the rules of both estimators."""

import math
from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np

from fastlr import _core


def check_rules(owner, rules):
    """Raise ValueError naming the first parameter that the owner has and that is not allowed, its value and what is.

    A rule is what a parameter accepts, a function of its value, and the same in words.
    """
    for name, (accepts, expected) in rules.items():
        if hasattr(owner, name) and not accepts(value := getattr(owner, name)):
            raise ValueError(f"{name} is {value!r}; expected {expected}")


def check_trainer(trainer):
    """`check_rules` of a Trainer, and ValueError for a parameter that its optimizer does not have."""
    check_rules(trainer, TRAINER_RULES)
    for name, remedy in _OF_OTHERS[trainer.optimizer].items():
        if value := getattr(trainer, name):
            raise ValueError(f"{name} is {value!r} with optimizer={trainer.optimizer!r}; expected 0: {remedy}")


def check_partial(trainer):
    """Raise ValueError for class weights that only all rows can tell."""
    if isinstance(trainer.class_weight, str):
        raise ValueError("class_weight is 'balanced' in partial_fit, which does not see all rows; expected None or a "
                         "dict: give it the weights that sklearn.utils.compute_class_weight finds for all labels")


def one_of(*words):
    """The rule of an option that takes one of a few words."""
    return lambda v: isinstance(v, str) and v in words, f"one of {', '.join(map(repr, words))}"


def is_number(value):
    """Whether it is a real number, no boolean, that a float can stand for: integers may be too large."""
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and not math.isnan(float(value))
    except OverflowError:
        return False


def is_count(value, minimum=1):
    """Whether it is an integer of at least the minimum, no boolean."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= minimum


def is_flag(value):
    """Whether it is a boolean."""
    return isinstance(value, bool | np.bool_)


def check_option(name, value, words):
    """The value of an option that takes one of a few words; ValueError lists them."""
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"{name} is {value!r}; expected {one_of(*words)[1]}")
    return value


def check_count(name, value):
    """An integer of at least 0 as an int."""
    if not is_count(value, 0):
        kind = ValueError if is_count(value, -math.inf) else TypeError
        raise kind(f"{name} is {value!r}; expected an integer of at least 0")
    return int(value)


def check_number(name, value, minimum=-math.inf, maximum=math.inf):
    """A finite real number in [minimum, maximum] as a float."""
    is_float = type(value) is float  # whose look-up among the kinds of numbers would take longest
    if not is_float and (not isinstance(value, Real) or isinstance(value, bool)):
        raise TypeError(f"{name} is {value!r}; expected a number")
    if not ((is_float or is_number(value)) and math.isfinite(value) and minimum <= value <= maximum):
        expected = f"of at least {minimum:g}" if maximum == math.inf else f"in [{minimum:g}, {maximum:g}]"
        raise ValueError(f"{name} is {value!r}; expected a finite number {expected}")
    return float(value)


def generator_of(random_state):
    """Something with a method permutation(n)."""
    return random_state if isinstance(random_state, _GENERATORS) else np.random.default_rng(random_state)


_GENERATORS = (np.random.Generator, np.random.RandomState)
_AT_LEAST_0 = "a finite number of at least 0"
_CLASS_WEIGHT = (lambda v: v is None or isinstance(v, dict) or (isinstance(v, str) and v == "balanced"),
                 "None, 'balanced' or a dict from labels to weights")
_FLAG = (is_flag, "True or False")
_VERBOSE = (lambda v: is_flag(v) or is_count(v, 0), "0 or 1")

TRAINER_RULES = {
    "loss": one_of(*_core.LOSSES),
    "learning_rate": (lambda v: is_number(v) and 0 < v < math.inf, "a positive finite number"),
    "epochs": (is_count, "a positive integer"),
    "batch_size": (lambda v: v is None or is_count(v), "a positive integer, or None for the full batch"),
    "momentum": (lambda v: is_number(v) and 0 <= v < 1, "a number in [0, 1)"),
    "alpha": (lambda v: is_number(v) and 0 <= v < math.inf, "a finite number of at least 0"),
    "reduction": one_of("mean", "sum"),
    "shuffle": _FLAG,
    "callbacks": (lambda v: isinstance(v, Sequence) and all(map(callable, v)), "a sequence of callables"),
    "verbose": _VERBOSE,
    "random_state": (lambda v: v is None or is_count(v, 0) or isinstance(v, _GENERATORS),
                     "None, an integer of at least 0, or a numpy Generator or RandomState"),
    "optimizer": one_of("sgd", "ftrl"),
    "class_weight": _CLASS_WEIGHT,
    **dict.fromkeys(("beta", "l1", "l2"), (lambda v: is_number(v) and 0 <= v < math.inf, _AT_LEAST_0)),
}

_OF_OTHERS = {
    "sgd": dict.fromkeys(("l1", "l2"), "use alpha, or optimizer='ftrl'"),
    "ftrl": {"momentum": "leave it out", "alpha": "use l2, which penalises the sum of all losses"},
}

LOGISTIC_RULES = {
    "C": (lambda v: is_number(v) and v > 0, "a positive number, or np.inf for no penalty"),
    "tol": (lambda v: is_number(v) and 0 <= v < math.inf, "a finite number of at least 0"),
    "fit_intercept": _FLAG,
    "class_weight": _CLASS_WEIGHT,
    "max_iter": (lambda v: is_count(v, 0), "an integer of at least 0"),
    "max_time": (lambda v: v is None or (is_number(v) and v > 0), "None or a positive number of seconds"),
    "warm_start": _FLAG,
    "verbose": _VERBOSE,
    "random_state": (lambda v: v is None or (is_count(v, 0) and v < 2**32) or isinstance(v, np.random.RandomState),
                     "None, an integer of 0 to 2**32 - 1, or a numpy RandomState"),
    "refit": _FLAG,
    "leave_one_out": _FLAG,
    "use_legacy_attributes": (lambda v: v is None or is_flag(v), "None, True or False"),
    "targets": one_of("auto", "classes", "labels"),
}
