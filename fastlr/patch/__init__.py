"""The switch for programs written for scikit-learn: its LogisticRegression and LogisticRegressionCV fitted by fastlr.

    import fastlr
    fastlr.patch_sklearn()                 # or, of a whole program: python -m fastlr.patch script.py [args]

SGDClassifier is left alone: what it finds after a few epochs depends on its own schedule of steps, and of several
classes it makes binary models, so that nothing of fastlr's would give its results.
"""

import logging
import os
import sys

from sklearn.linear_model import _logistic as peers

from fastlr.patch import estimators

__all__ = ["patch_sklearn", "unpatch_sklearn"]

_NAMES = ("LogisticRegression", "LogisticRegressionCV")
_UNTOUCHED = {peers.__name__, estimators.__name__}  # where the classes are defined, and pickles look for them

VERBOSE = "FASTLR_PATCH_VERBOSE"  # the environment variable by which `log_fits` reaches processes that unpickle models


def log_fits():
    """Write to stderr of each fit who did it, and why."""
    logging.basicConfig(format="%(name)s: %(message)s")
    logging.getLogger("fastlr").setLevel(logging.INFO)


def patch_sklearn():
    """Put fastlr behind scikit-learn's LogisticRegression and LogisticRegressionCV, in all modules that have them.

    The classes that take their place are subclasses: parameters, predictions, attributes and checks by `isinstance`
    stay scikit-learn's. Each `fit` decides: what fastlr does, it does, to within about the square of `tol` of the
    optimum; the rest (callbacks, liblinear's penalised intercept, whatever fastlr refuses) is
    scikit-learn's own. The logger "fastlr" says which, and why, at the level INFO.

    Modules imported before and after have them, a notebook's names too; names elsewhere (defaults of functions,
    values in dicts) and objects made before stay as they are. Calling it again does no harm.

    See Also
    --------
    unpatch_sklearn : Takes it back.
    """
    _replace({getattr(peers, name): getattr(estimators, name) for name in _NAMES})


def unpatch_sklearn():
    """Give all modules scikit-learn's own classes back; objects made in between go on as they are."""
    _replace({getattr(estimators, name): getattr(peers, name) for name in _NAMES})


def _replace(classes):
    """Replace what modules have under any name, by a dict of classes."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict) or names.get("__name__") in _UNTOUCHED:
            continue
        for name, value in list(names.items()):
            if isinstance(value, type) and value in classes:
                names[name] = classes[value]


if os.environ.get(VERBOSE):
    log_fits()
