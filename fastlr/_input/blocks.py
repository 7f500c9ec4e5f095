"""Blocks of rows as a source yields them: checked one by one, compared with the first, and kept."""

from dataclasses import dataclass

import numpy as np

from fastlr._input.arrays import as_array, check_finite, check_X, column_without_numbers
from fastlr._input.csr import Csr, check_csr, is_sparse
from fastlr._input.kept import NO_ROOM, Kept, KeptCsr
from fastlr._runtime.threads import resolve_n_threads


@dataclass(frozen=True, eq=False)
class Block:
    """One block.

    Attributes
    ----------
    X : ndarray or Csr (m, d)
    y, weight : ndarray (m, ...) or None
    names : list of str or None
        Of the features.
    number, first : int
        Which block it is, and which row of all its first one.
    """

    X: np.ndarray | Csr
    y: np.ndarray | None
    weight: np.ndarray | None
    names: list | None
    number: int
    first: int

    def __str__(self):
        return f"block {self.number} (from row {self.first} on)"


def checked(blocks):
    """Iterator of the `Block`s of an iterator of what users have.

    Raises
    ------
    TypeError, ValueError
        Naming the block and the number of its first row, if it is wrong in itself or unlike the first.
    """
    like, first = None, 0
    for number, block in enumerate(blocks):
        checked_block = _check(block, number, first)
        facts = _facts(checked_block)
        like = like or facts
        _compare(checked_block, facts, like)
        first += len(checked_block.X)
        yield checked_block


class Keeper:
    """Keeps X, y and weight of blocks in files of their own.

    Parameters
    ----------
    folder : str
        Where the files are.

    Attributes
    ----------
    n, d, n_values : int
        Rows so far, columns, and values that are stored.
    dtype, is_sparse, names
        Of the features; None before the first block.
    no_room : OSError or None
        Why X is not kept; y and weight are all the same, in memory if need be.
    """

    def __init__(self, folder):
        self.folder, self.n, self.d, self.n_values, self.no_room = folder, 0, 0, 0, None
        self.dtype = self.is_sparse = self.names = self._kept = None

    def add(self, block):
        """Keep one more."""
        parts = block.X, block.y, block.weight
        if self._kept is None:
            self.d, self.dtype, self.names = block.X.shape[1], block.X.dtype, block.names
            self.is_sparse = isinstance(block.X, Csr)
            self._kept = [None if part is None else (KeptCsr if isinstance(part, Csr) else Kept)(self.folder, part)
                          for part in parts]
        self.n += len(block.X)
        self.n_values += block.X.size
        for kept, part in zip(self._kept, parts, strict=True):
            if part is not None:
                self._add(kept, part)

    def _add(self, kept, part):
        is_X = kept is self._kept[0]
        if is_X and self.no_room:
            return
        try:
            kept.add(part)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            if is_X:
                self.no_room = error
                kept.drop()
            else:
                kept.go_on_in_memory(part)

    def drop(self):
        """Give all room back."""
        for kept in self._kept or ():
            if kept is not None:
                kept.drop()

    def arrays(self):
        """X or None, y and weight, mapped; of blocks without rows or columns a ValueError."""
        if not (self.n and self.d):
            raise ValueError(f"the blocks have {self.n} rows of {self.d} features; expected at least one of each")
        X, *others = self._kept
        return [None if self.no_room else X.array(), *(kept and kept.array() for kept in others)]


def _check(block, number, first):
    name = f"block {number} (from row {first} on)"
    parts = tuple(block) if isinstance(block, tuple | list) else (block,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"{name} has {len(parts)} parts; expected (X, y) or (X, y, weight)")
    X, y, weight = (*parts, None, None)[:3]
    names = list(X.columns) if hasattr(X, "columns") else None
    if names is not None and not all(isinstance(column, str) for column in names):
        names = None
    try:
        X = _check_X(X)
        y, weight = (None if part is None else as_array(part, what) for part, what in ((y, "y"), (weight, "weight")))
        for part, what in ((y, "y"), (weight, "weight")):
            if part is not None and (part.ndim == 0 or len(part) != len(X)):
                raise ValueError(f"{what} has shape {part.shape} and X {X.shape}; expected {len(X)} rows")
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from None
    return Block(X, y, weight, names, number, first)


def _check_X(X):
    n_threads = resolve_n_threads(None)
    if is_sparse(X):
        return check_csr(X, n_threads, finite=True)
    array = X.to_numpy() if hasattr(X, "to_numpy") else X
    if hasattr(X, "columns") and array.dtype == object and column_without_numbers(X) is None:  # pandas' Int64
        array = np.column_stack([np.asarray(X[name]).astype(np.float64) for name in X.columns])
    try:
        array = check_X(array)
    except TypeError as error:
        column = column_without_numbers(X)
        if column is None:
            raise
        raise TypeError(f"column {column!r} has values that are not numbers: encode it as numbers, or leave it out "
                        f"({error})") from None
    check_finite(array, n_threads)
    return array


def _facts(block):
    """What all blocks have in common: whether X is sparse, its columns and dtype, of y and weight shape and kind."""
    others = [None if part is None else (part.shape[1:], part.dtype) for part in (block.y, block.weight)]
    return isinstance(block.X, Csr), block.X.shape[1], block.X.dtype, *others, block.names


def _compare(block, facts, like):
    """ValueError if the facts of a block are not those of the first."""
    sparse, d, dtype, y, weight, names = facts
    was_sparse, width, first_dtype, first_y, first_weight, first_names = like
    if sparse != was_sparse:
        here, there = ("sparse", "dense") if sparse else ("dense", "sparse")
        raise ValueError(f"{block} is {here} and those before {there}; expected one kind: make it a "
                         f"scipy.sparse.csr_array, or the others arrays with toarray()")
    if d != width:
        raise ValueError(f"{block} has {d} features and those before {width}; expected as many")
    if dtype != first_dtype:
        raise ValueError(f"{block} has dtype {dtype} and those before {first_dtype}; expected one dtype: convert one "
                         f"of them with astype")
    for part, before, what in ((y, first_y, "y"), (weight, first_weight, "weight")):
        if (part is None) != (before is None):
            here, there = ("no", "some") if part is None else ("some", "none")
            raise ValueError(f"{block} has {here} {what} and those before {there}; expected it in all blocks or in "
                             f"none")
        if part is not None and (part[0] != before[0] or _kind(part[1]) != _kind(before[1])):
            raise ValueError(f"{block} has {what} of shape {_shape(part)} and dtype {part[1]}, those before "
                             f"{_shape(before)} and {before[1]}; expected one kind")
    if names != first_names:
        raise ValueError(f"{block} has features named {names} and those before {first_names}; expected the same, in "
                         f"one order")


def _shape(facts):
    return f"({', '.join(map(str, ('m', *facts[0])))})"


def _kind(dtype):
    return dtype.kind.replace("u", "i")
