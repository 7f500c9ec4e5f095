# Types of the displays; tests/test_types.py holds them against the package.

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlr import LogisticRegression, Trainer

_Axes: TypeAlias = Any  # matplotlib's Axes, or an array of them
_Figure: TypeAlias = Any
_Model: TypeAlias = Any  # a fitted estimator with coef_ and classes_
_Measures: TypeAlias = str | Sequence[str] | None
_Path: TypeAlias = str | PathLike[str]
_AllAxes: TypeAlias = NDArray[np.object_]

def check_picture_path(path: _Path) -> None: ...
def save_run(
    path: _Path, history: Mapping[str, Sequence[float]], confusion: ArrayLike, coef: ArrayLike,
    image_shape: tuple[int, int], *, classes: ArrayLike | None = None, title: str | None = None,
) -> None: ...

def draw_history(figure: _Figure, history: Mapping[str, Sequence[float]]) -> None: ...
def draw_confusion(axes: _Axes, confusion: NDArray[Any], classes: NDArray[Any]) -> None: ...
def draw_weights(
    figure: _Figure, coef: NDArray[Any], image_shape: tuple[int, int], classes: NDArray[Any],
) -> None: ...

class TrainingCurveDisplay:
    history: Mapping[str, Sequence[float]]
    axes_: _AllAxes
    lines_: list[Any]
    figure_: _Figure
    def __init__(self, history: Mapping[str, Sequence[float]]) -> None: ...
    @classmethod
    def from_estimator(
        cls, estimator: Trainer | LogisticRegression, X: Any = None, y: Any = None, *,
        sample_weight: ArrayLike | None = None, measures: _Measures = None, ax: _Axes = None,
    ) -> Self: ...
    def plot(self, ax: _Axes = None, *, measures: _Measures = None) -> Self: ...

class WeightImagesDisplay:
    coef: NDArray[Any]
    image_shape: tuple[int, int]
    names: Any
    axes_: _AllAxes
    images_: list[Any]
    colorbar_: Any
    figure_: _Figure
    def __init__(self, coef: ArrayLike, image_shape: tuple[int, int], names: ArrayLike) -> None: ...
    @classmethod
    def from_estimator(cls, estimator: _Model, image_shape: tuple[int, int], *, ax: _Axes = None) -> Self: ...
    def plot(self, ax: _Axes = None) -> Self: ...

class CoefficientsDisplay:
    coef: NDArray[Any]
    feature_names: Any
    names: Any
    axes_: _AllAxes
    bars_: list[Any]
    figure_: _Figure
    def __init__(self, coef: ArrayLike, feature_names: ArrayLike, names: ArrayLike) -> None: ...
    @classmethod
    def from_estimator(
        cls, estimator: _Model, *, feature_names: ArrayLike | None = None, max_features: int = 15, ax: _Axes = None,
    ) -> Self: ...
    def plot(self, ax: _Axes = None, *, max_features: int = 15) -> Self: ...

class DecisionBoundaryDisplay:
    x0: NDArray[np.float64]
    x1: NDArray[np.float64]
    shares: NDArray[Any]
    margins: NDArray[np.float64]
    names: tuple[str, str]
    classes: Any
    ax_: Any
    image_: Any
    contours_: list[Any]
    figure_: _Figure
    def __init__(
        self, *, x0: NDArray[np.float64], x1: NDArray[np.float64], shares: NDArray[Any], margins: NDArray[np.float64],
        names: tuple[str, str], classes: ArrayLike,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls, estimator: _Model, X: Any, y: ArrayLike | None = None, *, features: tuple[int, int] = (0, 1),
        grid_resolution: int = 200, ax: _Axes = None,
    ) -> Self: ...
    def plot(self, ax: _Axes = None) -> Self: ...
    def draw_points(self, x0: ArrayLike, x1: ArrayLike, y: ArrayLike) -> Self: ...
