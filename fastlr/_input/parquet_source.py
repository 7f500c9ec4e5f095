"""Columns of Parquet files, or of any dataset of pyarrow, as blocks of rows."""

import glob
import os

import numpy as np

from fastlr._input.row_sources import BLOCK_BYTES, files, pyarrow_part
from fastlr._runtime.ahead import read_ahead


class ParquetSource:
    """Columns of an Arrow dataset as blocks of rows."""

    def __init__(self, path, target, features, weight):
        dataset = pyarrow_part("dataset")
        self._is_own = not isinstance(path, dataset.Dataset)
        if self._is_own:
            self.data = dataset.dataset(_parquet_paths(path), format="parquet")
        else:
            self.data = path
        self.target, self.weight = target, weight
        names = self.data.schema.names
        if not names:
            raise ValueError(f"{path} has no columns; expected Parquet files")
        if features is None:
            features = [name for name in names if name not in (target, weight)]
        self.features = [features] if isinstance(features, str) else list(features)
        self._columns = list(dict.fromkeys(n for n in [*self.features, target, weight] if n is not None))
        for name in self._columns:
            if name not in names:
                raise ValueError(f"there is no column {name!r}; expected one of {', '.join(map(repr, names))}")
        if not self.features:
            raise ValueError("there are no columns of features beside the target; expected at least one")
        self.lists = len(self.features) == 1 and _is_list(self.data.schema.field(self.features[0]).type)
        self.feature_names = None if self.lists else self.features

    def blocks(self):
        """Iterator of (X, y, weight): the next one is decoded while one is in use."""
        return read_ahead(self._decoded())

    def _decoded(self):
        self._compare_files()
        n = 0
        batches = self._batches()
        while True:
            try:
                batch = next(batches, None)
            except (OSError, ValueError) as error:  # as pyarrow's own errors are
                raise ValueError(f"{self._damaged()} cannot be read; expected whole Parquet files: "
                                 f"{str(error).strip()}") from error
            if batch is None:
                break
            if batch.num_rows:
                others = (None if name is None else _column(batch, name, n) for name in (self.target, self.weight))
                yield self._matrix(batch, n), *others
                n += batch.num_rows
        pyarrow_part("lib").default_memory_pool().release_unused()

    def _batches(self):
        types = [self.data.schema.field(name).type for name in self.features]
        width = types[0].list_size if self.lists and hasattr(types[0], "list_size") else len(self._columns)
        rows = max(1024, BLOCK_BYTES // (8 * max(1, width)))
        options = {"batch_size": rows, "batch_readahead": 0, "fragment_readahead": 0, "use_threads": False}
        if isinstance(getattr(self.data, "format", None), pyarrow_part("dataset").ParquetFileFormat):
            options["fragment_scan_options"] = pyarrow_part("dataset").ParquetFragmentScanOptions(
                pre_buffer=False, use_buffered_stream=True)
        # threads and buffers of pyarrow's own would hold several groups of rows at a time
        return iter(self.data.to_batches(columns=self._columns, **options))

    def _files(self):
        """Fragments of the dataset that have a path; none of one that is filtered."""
        try:
            return [fragment for fragment in self.data.get_fragments() if hasattr(fragment, "path")]
        except ValueError:
            return []

    def _compare_files(self):
        """ValueError for a file that lacks a column or has it of another type, which pyarrow would make fit."""
        for fragment in self._files() if self._is_own else ():
            schema = fragment.physical_schema
            for name in self._columns:
                found = schema.field(name).type if name in schema.names else None
                expected = self.data.schema.field(name).type
                if found != expected:
                    is_there = "no such column" if found is None else f"it of type {found}"
                    raise ValueError(f"column {name!r} has type {expected} in the first file, and {fragment.path} has "
                                     f"{is_there}; expected the same columns in all files")

    def _damaged(self):
        """What messages call the first file that cannot be read."""
        for fragment in self._files():
            try:
                for _ in fragment.to_batches(columns=self._columns):
                    pass
            except (OSError, ValueError):
                return fragment.path
        return "the dataset"

    def _matrix(self, batch, first):
        if self.lists:
            return _list_column(batch, self.features[0], first)
        columns = [_column(batch, name, first, numbers=True) for name in self.features]
        X = np.empty((batch.num_rows, len(columns)), np.result_type(*columns))
        for j, column in enumerate(columns):
            X[:, j] = column
        return X


def _parquet_paths(path):
    """What pyarrow takes for the files of a list or a pattern, a file, a folder or an address."""
    if isinstance(path, list | tuple):
        return [os.path.expanduser(os.fspath(p)) for p in path]
    path = os.path.expanduser(os.fspath(path))
    is_pattern = glob.has_magic(path) and not os.path.exists(path) and "://" not in path
    return list(map(os.fspath, files(path))) if is_pattern else path


def _column(batch, name, first, *, numbers=False):
    column = batch.column(name)
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise ValueError(f"column {name!r} has a missing value at row {first + row}; expected none: fill them in, or "
                         f"leave out these rows")
    values = column.to_numpy(zero_copy_only=False)
    if numbers and values.dtype.kind not in "fiub":
        raise TypeError(f"column {name!r} has values of type {column.type}, which are not numbers; encode it as "
                        f"numbers, or leave it out of features")
    return values


def _is_list(kind):
    types = pyarrow_part("types")
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _list_column(batch, name, first):
    """A column of lists of one length as a matrix, without a copy where their length is fixed."""
    column = batch.column(name)
    values = column.flatten()
    if column.null_count or values.null_count:
        raise ValueError(f"column {name!r} has missing values; expected none")
    width, left = divmod(len(values), batch.num_rows)
    lengths = column.value_lengths().to_numpy() if hasattr(column, "value_lengths") else np.array([width])
    if left or (lengths != width).any():
        raise ValueError(f"column {name!r} has lists of {lengths.min()} to {lengths.max()} values; expected one length "
                         f"(rows {first} to {first + batch.num_rows - 1})")
    return values.to_numpy(zero_copy_only=False).reshape(batch.num_rows, width)
