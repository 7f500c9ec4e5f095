"""Chunks of Dask collections, read and checked on the workers where they lie.

Two tasks a chunk: `read_chunk` checks it and numbers its own labels; `part_of_chunk` makes a `Part` of it once all
chunks' labels, weights and sizes are known.  Both return what is wrong as a value, so that the first chunk that is
wrong is named, whichever fails first.
"""

from dataclasses import dataclass

import dask
import numpy as np

from fastlr import _core
from fastlr._input.arrays import as_array, check_finite, check_sample_weight, check_size, is_real
from fastlr._input.estimator import convert_frame
from fastlr._input.labels import check_label_array, encode_labels, number_labels
from fastlr._input.targets import learn_outputs
from fastlr.model.rows_base import SMALL
from fastlr.model.rows_engine import part_of

OWNER = "DaskLogisticRegression"


# ---- collections ---------------------------------------------------------------------------------------------------
def chunks_of(collection, name):
    """Delayed objects of the chunks of rows of a Dask array or data frame, and their numbers of rows or None.

    Raises
    ------
    TypeError, ValueError
        For anything else, and for chunks that do not hold whole rows.
    """
    if not dask.is_dask_collection(collection) or not hasattr(collection, "to_delayed"):
        raise TypeError(f"{name} is {type(collection).__name__}; expected a Dask array or data frame: "
                        f"dask.array.from_array({name}, chunks=...), or use LogisticRegression")
    if hasattr(collection, "chunks") and hasattr(collection, "dtype"):
        if collection.ndim not in (1, 2):
            raise ValueError(f"{name} has shape {collection.shape}; expected one or two dimensions")
        if collection.ndim == 2 and len(collection.chunks[1]) > 1:
            raise ValueError(f"{name} has {len(collection.chunks[1])} chunks side by side; expected chunks of whole "
                             f"rows: {name}.rechunk({{1: -1}})")
        sizes = collection.chunks[0]
        return list(collection.to_delayed().ravel()), None if np.isnan(sizes).any() else sizes
    if not hasattr(collection, "npartitions"):
        raise TypeError(f"{name} is {type(collection).__name__}; expected a Dask array or data frame")
    return list(collection.to_delayed()), None


def aligned(X, other, name):
    """Chunks of y or weights that go with those of X: an array of as many rows is cut as X is."""
    chunks, sizes = chunks_of(X, "X")
    if other is None:
        return [None] * len(chunks)
    others, other_sizes = chunks_of(other, name)
    if sizes is not None and other_sizes is not None and sizes != other_sizes:
        if sum(sizes) != sum(other_sizes):
            raise ValueError(f"{name} has {sum(other_sizes)} rows and X {sum(sizes)}; expected as many")
        others, _ = chunks_of(other.rechunk({0: sizes}), name)
    if len(others) != len(chunks):
        raise ValueError(f"{name} has {len(others)} chunks and X {len(chunks)}; expected the same rows in as many "
                         f"chunks: use repartition, or compute_chunk_sizes() and rechunk")
    return others


# ---- on a worker ---------------------------------------------------------------------------------------------------
@dataclass(eq=False)
class Chunk:
    """A chunk that has been read: its arrays, and what is to be known of them.

    `error` says what is wrong with it.  Labels y are places among its own `classes`, whose `sums` and `largest` weights
    were divided by 2^`exponent`; a matrix y has `k` columns, and sum and largest weight are those of all rows.
    `counted` rows have a weight.
    """

    X: object = None
    y: object = None
    weight: object = None
    n: int = 0
    d: int = 0
    dtype: object = None
    names: object = None
    classes: object = None
    k: int = 0
    is_binary: bool = True
    sums: object = None
    largest: object = None
    counted: int = 0
    exponent: int = 0
    error: object = None

    def facts(self):
        """The same without the arrays of the rows."""
        return Chunk(**{**vars(self), "X": None, "y": None, "weight": None})

    def __sizeof__(self):
        arrays = (self.X, self.y, self.weight)
        return object.__sizeof__(self) + sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))


def read_chunk(X, y, weight, assume_finite, is_weighted):
    """A `Chunk`."""
    try:
        check_rows(X, "X")
        check_rows(y, "y")
        if is_weighted:
            check_rows(weight, "sample_weight")
        with np.errstate(all="ignore"):
            return _read(X, y, weight, assume_finite)
    except (TypeError, ValueError) as error:
        return Chunk(error=error)


def check_rows(chunk, name):
    """TypeError for a chunk that is no array or data frame: Dask looks at none."""
    if not getattr(chunk, "shape", ()):
        raise TypeError(f"{name} is {type(chunk).__name__}; expected chunks that are arrays or data frames of rows: "
                        f"look at what {name}.partitions[i].compute() returns")


def _read(X, y, weight, assume_finite):
    n = X.shape[0]
    if n == 0:
        return Chunk()
    X, names = convert_frame(OWNER, X, None, None)
    check_size(X)
    if not assume_finite:
        check_finite(X, 1)
    chunk = Chunk(X=X, n=n, d=X.shape[1], dtype=X.dtype, names=names)
    weight = check_sample_weight(None if weight is None else np.asarray(weight), n, may_be_zero=True)
    if weight is not None and weight.any():
        chunk.exponent = int(np.frexp(weight.max())[1])
    chunk.weight = weight
    weights = np.ones(n) if weight is None else np.ldexp(weight, -chunk.exponent)
    chunk.counted = int(np.count_nonzero(weights))
    y = as_array(np.asarray(y) if hasattr(y, "to_numpy") else y, "y")
    if y.ndim == 2 and y.shape[1] != 1:
        if y.shape[0] != n:
            raise ValueError(f"y has {y.shape[0]} rows and X {n}; expected as many")
        if not is_real(y.dtype):
            raise TypeError(f"y has dtype {y.dtype}; expected real numbers")
        chunk.y, chunk.k, chunk.is_binary = y, y.shape[1], bool(((y == 0) | (y == 1)).all())
        chunk.sums, chunk.largest = np.array([weights.sum()]), np.array([weights.max()])
        return chunk
    chunk.classes, chunk.y = number_labels(check_label_array(y.ravel() if y.ndim == 2 else y, n))
    chunk.sums = np.bincount(chunk.y, weights, len(chunk.classes))
    chunk.largest = np.zeros(len(chunk.classes))
    np.maximum.at(chunk.largest, chunk.y, weights)
    return chunk


def facts_of(chunk):
    """`Chunk.facts`, for a task."""
    return chunk.facts()


def part_of_chunk(chunk, first, outputs, per_class, exponent, options):
    """The Part of a chunk, or the error of its targets."""
    try:
        real = np.dtype(np.float64) if options["size"] <= SMALL else _core.real_dtype(chunk.dtype or np.float64)
        if not chunk.n:
            return part_of((), None, outputs.k, first=first)
        y = chunk.y
        if chunk.classes is None:
            _, y = learn_outputs(y, chunk.n, real, targets="labels" if outputs.multilabel else "classes")
        else:
            y = encode_labels(chunk.classes, outputs.classes)[y]
        weight = None if chunk.weight is None else np.ldexp(chunk.weight, -exponent)
        if per_class is not None:
            weight = per_class[y] if weight is None else weight * per_class[y]
        return part_of(chunk.X, y, outputs.k, weight, first, loss=outputs.loss, **options)
    except (TypeError, ValueError) as error:
        return error


def error_of(part):
    """The error that `part_of_chunk` returned, or None."""
    return part if isinstance(part, Exception) else None
