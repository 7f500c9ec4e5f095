# The public names with their types, for type checkers and editors; tests/test_types.py holds it against the package.

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.random import Generator, RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin  # type: ignore[import-untyped]

from fastlr import datasets as datasets

__version__: str

_Floats: TypeAlias = NDArray[Any]
_Float64: TypeAlias = NDArray[np.float64]
_Data: TypeAlias = Any  # an array, a nested sequence or a data frame
_Labels: TypeAlias = Any  # an array, a sequence or a column of a data frame
_Loss: TypeAlias = Literal["softmax", "sigmoid", "squared_error"]
_Targets: TypeAlias = Literal["auto", "classes", "labels"]
_Solver: TypeAlias = Literal["auto", "lbfgs", "newton-cholesky", "newton-cg", "liblinear", "sag", "saga"]
_Penalty: TypeAlias = Literal["l1", "l2", "elasticnet", "deprecated"]
_ClassWeight: TypeAlias = Mapping[Any, float] | Literal["balanced"]
_Paths: TypeAlias = str | PathLike[str] | Sequence[str | PathLike[str]]
_Axis: TypeAlias = int | tuple[int, ...] | None

def sigmoid(z: ArrayLike, *, out: _Floats | None = None, n_threads: int | None = None) -> _Floats: ...
def sigmoid_derivative(z: ArrayLike, *, n_threads: int | None = None) -> _Floats: ...
def log_sigmoid(z: ArrayLike, *, n_threads: int | None = None) -> _Floats: ...
def logit(p: ArrayLike, *, n_threads: int | None = None) -> _Floats: ...
def softmax(
    Z: ArrayLike, axis: _Axis = -1, *, out: _Floats | None = None, n_threads: int | None = None
) -> _Floats: ...
def log_softmax(
    Z: ArrayLike, axis: _Axis = -1, *, out: _Floats | None = None, n_threads: int | None = None
) -> _Floats: ...
def logsumexp(
    Z: ArrayLike, axis: _Axis = -1, keepdims: bool = False, *, n_threads: int | None = None
) -> _Floats: ...
def softmax_jacobian(A: ArrayLike, *, n_threads: int | None = None) -> _Floats: ...
def one_hot(y: _Labels, n_classes: int | None = None, *, n_threads: int | None = None) -> _Float64: ...

# a float, or one for each row with reduction="none"
def cross_entropy(
    Z: ArrayLike, y: _Labels, *, sample_weight: ArrayLike | None = None, label_smoothing: float = 0.0,
    reduction: Literal["mean", "sum", "none"] = "mean", n_threads: int | None = None,
) -> Any: ...
def cross_entropy_and_grad(
    Z: ArrayLike, y: _Labels, *, sample_weight: ArrayLike | None = None, label_smoothing: float = 0.0,
    reduction: Literal["mean", "sum", "none"] = "mean", out: _Floats | None = None, n_threads: int | None = None,
) -> tuple[Any, _Floats]: ...
def cross_entropy_from_probabilities(
    A: ArrayLike, y: _Labels, *, sample_weight: ArrayLike | None = None, label_smoothing: float = 0.0,
    reduction: Literal["mean", "sum", "none"] = "mean", n_threads: int | None = None,
) -> Any: ...
def binary_cross_entropy(
    z: ArrayLike, y: _Labels, *, sample_weight: ArrayLike | None = None, label_smoothing: float = 0.0,
    reduction: Literal["mean", "sum", "none"] = "mean", n_threads: int | None = None,
) -> Any: ...
def binary_cross_entropy_and_grad(
    z: ArrayLike, y: _Labels, *, sample_weight: ArrayLike | None = None, label_smoothing: float = 0.0,
    reduction: Literal["mean", "sum", "none"] = "mean", out: _Floats | None = None, n_threads: int | None = None,
) -> tuple[Any, _Floats]: ...
def loss_and_grad(
    X: ArrayLike, W: ArrayLike, b: ArrayLike, y: _Labels, *, loss: _Loss = "softmax",
    sample_weight: ArrayLike | None = None, alpha: float = 0.0, scale: ArrayLike | None = None,
    shift: ArrayLike | None = None, n_threads: int | None = None,
) -> tuple[float, _Float64, _Float64]: ...
def partial_loss_and_grad(
    X: ArrayLike, y: _Labels, W: ArrayLike, b: ArrayLike, *, loss: _Loss = "softmax",
    sample_weight: ArrayLike | None = None, scale: ArrayLike | None = None, shift: ArrayLike | None = None,
    n_threads: int | None = None,
) -> tuple[float, _Float64, _Float64, float]: ...
def show_config() -> None: ...
def get_include() -> str: ...
def patch_sklearn() -> None: ...
def unpatch_sklearn() -> None: ...

class _Fitted:
    coef_: _Float64
    intercept_: _Float64
    classes_: NDArray[Any]
    targets_: Literal["classes", "labels"]
    scale_: _Float64 | None
    shift_: _Float64 | None
    n_features_in_: int
    feature_names_in_: NDArray[Any]

class _LogitClassifier(ClassifierMixin, BaseEstimator, _Fitted):  # type: ignore[misc]
    objective_: float
    suboptimality_: float
    n_passes_: float
    loo_decision_function_: _Floats
    loo_score_: float
    def decision_function(self, X: _Data, *, offset: ArrayLike | None = None) -> _Floats: ...
    def predict(self, X: _Data, *, offset: ArrayLike | None = None) -> NDArray[Any]: ...
    def predict_proba(self, X: _Data, *, offset: ArrayLike | None = None) -> _Floats: ...
    def predict_log_proba(self, X: _Data, *, offset: ArrayLike | None = None) -> _Floats: ...
    def sparsify(self) -> Self: ...
    def densify(self) -> Self: ...

class LogisticRegression(_LogitClassifier):
    n_iter_: NDArray[np.int32]
    def __init__(
        self, C: float = 1.0, *, tol: float = 1e-4, fit_intercept: bool = True,
        class_weight: _ClassWeight | None = None, solver: _Solver = "auto", max_iter: int = 1000,
        max_time: float | None = None, warm_start: bool = False, verbose: int = 0, n_threads: int | None = None,
        random_state: int | RandomState | None = None, penalty_factors: ArrayLike | None = None,
        scale: ArrayLike | None = None, shift: ArrayLike | None = None, targets: _Targets = "auto",
        leave_one_out: bool = False, penalty: _Penalty | None = "deprecated", l1_ratio: float | None = 0.0,
        dual: bool = False, intercept_scaling: float = 1, n_jobs: int | None = None,
    ) -> None: ...
    def fit(
        self, X: _Data, y: _Labels | None = None, sample_weight: ArrayLike | None = None, *,
        offset: ArrayLike | None = None,
    ) -> Self: ...
    def score(
        self, X: _Data, y: _Labels | None = None, sample_weight: ArrayLike | None = None, *,
        offset: ArrayLike | None = None,
    ) -> float: ...

class LogisticRegressionCV(_LogitClassifier):
    C_: Any  # a float, or an array with use_legacy_attributes=True
    Cs_: _Float64
    l1_ratio_: Any
    l1_ratios_: _Float64
    scores_: Any
    coefs_paths_: Any
    n_iter_: NDArray[np.int32]
    oof_decision_function_: _Floats | None
    def __init__(
        self, Cs: int | ArrayLike | Literal["auto"] = 10, *, cv: Any = None,
        scoring: str | Callable[..., float] | None = None, refit: bool = True, tol: float = 1e-4,
        fit_intercept: bool = True, class_weight: _ClassWeight | None = None, solver: _Solver = "auto",
        max_iter: int = 1000, verbose: int = 0, n_threads: int | None = None,
        random_state: int | RandomState | None = None, penalty_factors: ArrayLike | None = None,
        scale: ArrayLike | None = None, shift: ArrayLike | None = None, targets: _Targets = "auto",
        penalty: _Penalty = "deprecated", l1_ratios: Sequence[float] | None = None, dual: bool = False,
        intercept_scaling: float = 1, n_jobs: int | None = None, use_legacy_attributes: bool | None = None,
    ) -> None: ...
    def fit(
        self, X: _Data, y: _Labels | None = None, sample_weight: ArrayLike | None = None, *,
        offset: ArrayLike | None = None,
        **params: Any,
    ) -> Self: ...
    def score(
        self, X: _Data, y: _Labels | None = None, sample_weight: ArrayLike | None = None, *,
        offset: ArrayLike | None = None,
        **params: Any,
    ) -> float: ...
    def get_metadata_routing(self) -> Any: ...

class Trainer(_Fitted):
    loss: _Loss
    learning_rate: float
    epochs: int
    batch_size: int | None
    history_: dict[str, list[float]]
    def __init__(
        self, loss: _Loss = "softmax", learning_rate: float = 0.1, epochs: int = 25, batch_size: int | None = 256,
        momentum: float = 0.0, alpha: float = 0.0, reduction: Literal["mean", "sum"] = "mean", shuffle: bool = True,
        callbacks: Iterable[Callable[[Trainer, int], Any]] = (), verbose: int = 0, n_threads: int | None = None,
        random_state: int | Generator | RandomState | None = None, *, optimizer: Literal["sgd", "ftrl"] = "sgd",
        beta: float = 1.0, l1: float = 0.0, l2: float = 0.0, class_weight: _ClassWeight | None = None,
    ) -> None: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
    def fit(
        self, X: _Data, y: _Labels | None = None, sample_weight: ArrayLike | None = None,
        validation_data: tuple[_Data, _Labels] | None = None, *, scale: ArrayLike | None = None,
        shift: ArrayLike | None = None,
    ) -> Self: ...
    def partial_fit(
        self, X: _Data, y: _Labels | None = None, classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None, *, scale: ArrayLike | None = None, shift: ArrayLike | None = None,
    ) -> Self: ...
    def decision_function(self, X: _Data) -> _Floats: ...
    def predict_proba(self, X: _Data) -> _Floats: ...
    def predict(self, X: _Data) -> NDArray[Any]: ...
    def score(self, X: _Data, y: _Labels | None = None, sample_weight: ArrayLike | None = None) -> float: ...

class RowBlocks:
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    X: Any
    rows: Any
    y: NDArray[Any] | None
    weight: NDArray[Any] | None
    feature_names: list[str] | None
    def __init__(
        self, blocks: Iterable[Any] | Callable[[], Iterator[Any]], *, cache: str | PathLike[str] | None = None
    ) -> None: ...
    @classmethod
    def from_npy(
        cls, paths: _Paths, y: Any = None, *, weight: ArrayLike | None = None, cache: str | PathLike[str] | None = None
    ) -> Self: ...
    @classmethod
    def from_safetensors(
        cls, paths: _Paths, y: Any = None, *, tensor: str | None = None, weight: ArrayLike | None = None,
        cache: str | PathLike[str] | None = None,
    ) -> Self: ...
    @classmethod
    def from_parquet(
        cls, path: Any, target: str | None = None, *, features: str | Sequence[str] | None = None,
        weight: str | None = None, cache: str | PathLike[str] | None = None,
    ) -> Self: ...
    def __len__(self) -> int: ...
    def check_unchanged(self) -> None: ...
    def predictions(self, model: Any, method: str = "predict") -> Iterator[NDArray[Any]]: ...
    def write_predictions(self, path: str | PathLike[str], model: Any, method: str = "predict") -> int: ...
