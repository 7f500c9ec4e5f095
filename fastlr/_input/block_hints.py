"""What `RowBlocks` say of themselves, and of what was passed for their blocks by mistake."""

import os
from pathlib import Path

import numpy as np

from fastlr._input import row_sources
from fastlr._input.csr import is_sparse
from fastlr._input.streamed import Streamed

_READERS = {".parquet": "from_parquet({}, target)", ".pq": "from_parquet({}, target)", ".npy": "from_npy({}, y)",
            ".safetensors": "from_safetensors({}, y)"}
_EXPECTED = "an iterable of (X, y) or (X, y, weight), or a function that returns an iterator"


def check_blocks(blocks):
    """Raise TypeError naming the way to go if it is a path, rows that are no blocks, or nothing to iterate over."""
    first = blocks[0] if isinstance(blocks, list | tuple) and blocks else blocks
    if isinstance(first, str | bytes | os.PathLike):
        shown = repr(os.fspath(blocks)) if first is blocks else f"[{os.fspath(first)!r}, ...]"
        raise TypeError(f"blocks is {shown}, {'a path' if first is blocks else 'paths'}; expected blocks of rows, or a "
                        f"call that reads files: {_call(os.fspath(first), shown)}")
    if isinstance(blocks, np.ndarray) or is_sparse(blocks) or hasattr(blocks, "columns"):
        raise TypeError(f"blocks is a {type(blocks).__name__}, all rows at once; expected {_EXPECTED}: pass X and y to "
                        f"fit themselves, or RowBlocks([(X, y)])")
    second = blocks[1] if isinstance(blocks, list | tuple) and 2 <= len(blocks) <= 3 else None
    if len(getattr(first, "shape", ())) == 2 and _is_column(second):
        raise TypeError(f"blocks is a {type(blocks).__name__} (X, y); expected {_EXPECTED}: RowBlocks([(X, y)]) has "
                        f"one block")
    if not callable(blocks) and not hasattr(blocks, "__iter__"):
        hint = ": RowBlocks.from_parquet(dataset, target)" if hasattr(blocks, "to_batches") else ""
        raise TypeError(f"blocks is of type {type(blocks).__name__}; expected {_EXPECTED}{hint}")


def _is_column(value):
    return len(getattr(value, "shape", ())) == 1 or (isinstance(value, list) and bool(value) and np.ndim(value[0]) == 0)


def _call(name, shown):
    suffix = Path(os.fsdecode(name)).suffix.lower()
    if suffix in _READERS:
        return f"RowBlocks.{_READERS[suffix].format(shown)}"
    if suffix in (".csv", ".tsv", ".txt"):
        return "a function that yields (X, y) of each part of pandas.read_csv(path, chunksize=100_000)"
    return "RowBlocks.from_parquet, from_npy or from_safetensors"


def refuse_no_labels():
    """Raise the error for blocks of X alone where labels are needed."""
    raise ValueError("this requires y, and the blocks have none: let them be (X, y), name target= in from_parquet or "
                     "y= in from_npy, or pass y")


def described(source, kept, names, n_blocks, *, of_files):
    """What is known without reading.

    Parameters
    ----------
    source : str
    kept : ndarray, Csr, Streamed or None
        The features, None before they are read.
    names : list of str or None
        Of the features.
    n_blocks : int
        That were read; 0 for a file that is mapped where it is.
    of_files : bool
        Whether blocks are made here of files.
    """
    if kept is None:
        columns = "" if names is None else f"{len(names)} columns, "
        size = f"up to {row_sources.BLOCK_BYTES >> 20} MB" if of_files else "any size"
        return f"RowBlocks({source}: {columns}not read yet, blocks of {size})"
    (n, d), is_array = kept.shape, isinstance(kept, np.ndarray)
    sparse = "" if is_array or not getattr(kept, "is_sparse", True) else "sparse "
    where = "mapped where they are"
    if n_blocks:
        where = "read again in each pass" if isinstance(kept, Streamed) else "kept on disk"
        where = f"{n_blocks} block{'s' * (n_blocks > 1)} of about {-(-n // n_blocks)} rows, {where}"
    return f"RowBlocks({source}: {n} rows, {d} columns of {sparse}{kept.dtype}, {where})"


def source_of(blocks):
    """What to call the blocks of a user."""
    if hasattr(blocks, "__len__"):
        return f"{type(blocks).__name__} of {len(blocks)} block{'s' * (len(blocks) != 1)}"
    if callable(blocks):
        return f"function {getattr(blocks, '__name__', type(blocks).__name__)}"
    return type(blocks).__name__


def source_of_files(paths):
    """What to call some files, or another source of pyarrow."""
    if isinstance(paths, str | os.PathLike):
        return os.fspath(paths)
    if not isinstance(paths, list | tuple):
        return type(paths).__name__
    return os.fspath(paths[0]) if len(paths) == 1 else f"{len(paths)} files from {paths[0]} on"
