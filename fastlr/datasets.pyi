import os

import numpy as np
from numpy.typing import NDArray

def load_idx(path: str | os.PathLike[str], *, max_bytes: int = 4294967296) -> NDArray[np.generic]: ...
def load_mnist(
    folder: str | os.PathLike[str], split: str = "train", *, nchw: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]: ...
def load_digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]: ...
