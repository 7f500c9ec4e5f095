"""Logistic and softmax regression on the CPU, at the speed of memory.

The functions load with the package; the trainer, the estimators and the data readers when first asked for, so that
``import fastlr`` stays light.
"""

import importlib
import os

try:
    import fastlr._core as _core
except ModuleNotFoundError as error:
    if error.name != "fastlr._core":
        raise
    raise ImportError(
        f"{os.path.dirname(__file__)} holds fastlr's source, not its compiled module, and Python finds it before an "
        f"installed fastlr. Start Python in another folder, or compile here with: pip install -e ."
    ) from None

_core.select_isa(os.environ.get("FASTLR_ISA") or None)

from fastlr.functional import (  # noqa: E402  (an instruction set that does not exist must stop the import first)
    log_sigmoid,
    log_softmax,
    logit,
    logsumexp,
    one_hot,
    sigmoid,
    sigmoid_derivative,
    softmax,
    softmax_jacobian,
)
from fastlr.linear_loss import loss_and_grad, partial_loss_and_grad  # noqa: E402
from fastlr.losses import (  # noqa: E402
    binary_cross_entropy,
    binary_cross_entropy_and_grad,
    cross_entropy,
    cross_entropy_and_grad,
    cross_entropy_from_probabilities,
)

# public name -> the module that defines it, or is it
_LAZY = {
    "LogisticRegression": "fastlr.linear_model",
    "LogisticRegressionCV": "fastlr.linear_model_cv",
    "RowBlocks": "fastlr._input.row_blocks",
    "Trainer": "fastlr.trainer",
    "datasets": "fastlr.datasets",
    "get_include": "fastlr.c_api",
    "patch_sklearn": "fastlr.patch",
    "show_config": "fastlr.config",
    "unpatch_sklearn": "fastlr.patch",
}

__all__ = [
    "LogisticRegression", "LogisticRegressionCV", "RowBlocks", "Trainer", "__version__", "binary_cross_entropy",
    "binary_cross_entropy_and_grad", "cross_entropy", "cross_entropy_and_grad", "cross_entropy_from_probabilities",
    "datasets", "get_include", "log_sigmoid", "log_softmax", "logit", "logsumexp", "loss_and_grad", "one_hot",
    "partial_loss_and_grad", "patch_sklearn", "show_config", "sigmoid", "sigmoid_derivative", "softmax",
    "softmax_jacobian", "unpatch_sklearn",
]


def __getattr__(name):
    if name == "__version__":
        value = _version()
    elif name in _LAZY:
        module = importlib.import_module(_LAZY[name])
        value = module if _LAZY[name] == f"fastlr.{name}" else getattr(module, name)
    else:
        raise AttributeError(f"module 'fastlr' has no attribute {name!r}")
    globals()[name] = value
    return value


def _version():
    """Asked for late: reading the package's metadata takes longer than all the kernels."""
    from importlib.metadata import version

    try:
        return version("fastlr-ml") or "unknown"
    except Exception:  # none, or broken: which errors that gives, importlib leaves open
        return "unknown"


def __dir__():
    return sorted({*globals(), *__all__})
