import os
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

def load_idx(path: str | os.PathLike[str], *, max_bytes: int = 4294967296) -> NDArray[np.generic]: ...
def load_mnist(
    folder: str | os.PathLike[str], split: str = "train", *, nchw: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]: ...
def load_digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]: ...
def load_svmlight(
    path: str | os.PathLike[str],
    *,
    n_features: int | None = None,
    zero_based: bool | Literal["auto"] = "auto",
    dtype: DTypeLike = "float64",
) -> tuple[Any, NDArray[np.float64]]: ...
