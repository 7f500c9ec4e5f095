"""Rows that come in blocks, from files or a program, and need not fit in memory: `RowBlocks`.

Blocks are read once, in order.  Their features go to a file without a name, as they are (uint8, float16), which is
mapped for reading: from then on X is an array like any other, whose pages are in the system's cache of files and in no
process.  As the file has no name nothing is left of it, however the process ends, and no other program can change it.
"""

import os
from functools import partial
from pathlib import Path

import numpy as np

from fastlr._input import row_sources
from fastlr._input.arrays import as_array, check_finite, check_X
from fastlr._input.block_hints import check_blocks, described, refuse_no_labels, source_of, source_of_files
from fastlr._input.blocks import Keeper, checked
from fastlr._input.csr import Csr
from fastlr._input.kept import folder_of
from fastlr._input.parquet_source import ParquetSource
from fastlr._input.streamed import Streamed
from fastlr._runtime.threads import resolve_n_threads


class RowBlocks:
    """Rows in blocks, as X of `LogisticRegression`, `LogisticRegressionCV` and `Trainer`.

    `fit(blocks)` takes labels and weights from the blocks too. Memory in use is that of a block, of the labels and of
    the weights; features are kept on disk, as they are, until the object is deleted.

    Parameters
    ----------
    blocks : iterable, or callable that returns an iterator
        Of (X, y) or (X, y, weight): arrays, data frames or sparse matrices (m, d) of one width and dtype, labels or
        targets (m,) or (m, k), weights (m,). For predictions X alone will do.
    cache : str or os.PathLike, default=None
        Folder of the file of decoded features; None means the system's folder for temporary files, which may lie in
        memory (`tempfile.gettempdir()`).

    Attributes
    ----------
    shape : (int, int)
        Rows and features; this and `dtype` read the blocks if that has not been done.
    dtype : dtype
    y, weight : ndarray or None
    feature_names : list of str or None

    Raises
    ------
    TypeError, ValueError
        When the blocks are read: if one is of another width or dtype than the first, has labels or weights of another
        length, has NaN or infinities, or if there are none. The message names the block.
    OSError
        If the folder has no room, of what cannot go on without: generators and `X`. All else warns, and reads the
        blocks again in each pass.

    Examples
    --------
    >>> import numpy as np
    >>> import fastlr
    >>> def blocks():
    ...     rng = np.random.default_rng(0)
    ...     for _ in range(3):
    ...         X = rng.normal(size=(1000, 4)).astype(np.float32)
    ...         yield X, X[:, 0] > 0
    >>> model = fastlr.LogisticRegression().fit(fastlr.RowBlocks(blocks))
    >>> model.coef_.shape
    (1, 4)
    """

    def __init__(self, blocks, *, cache=None):
        check_blocks(blocks)
        self.feature_names, self._rows = None, None
        self._source, self._n_blocks = None, 0  # the name of files, and blocks that were read
        self._blocks, self._cache, self._begun = blocks, cache, None
        self._mapped = None  # a file that is mapped where it is, and what it was like

    @classmethod
    def from_npy(cls, paths, y=None, *, weight=None, cache=None):
        """Rows of .npy files (m, d), one after the other.

        Parameters
        ----------
        paths : str, os.PathLike or list of them
            A file, files in order, or a pattern such as "img_emb_*.npy", whose files are taken in the order of the
            numbers in their names. One file is mapped where it is; of several a copy is made.
        y : array-like (n,) or (n, k), or paths of .npy files, default=None
        weight : array-like (n,), default=None
        cache
            As for `RowBlocks`.

        Raises
        ------
        FileNotFoundError, IsADirectoryError, ValueError
            If there is no such file, or one is cut or no array of numbers in .npy form; objects are never unpickled.
        """
        return cls._from_files(row_sources.map_npy, paths, y, weight, cache)

    @classmethod
    def from_safetensors(cls, paths, y=None, *, tensor=None, weight=None, cache=None):
        """Rows of a matrix in each of some safetensors files, one after the other.

        Parameters
        ----------
        paths, y, weight, cache
            As for `from_npy`.
        tensor : str, default=None
            Its name in each file; None where it is the only one.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no such file or tensor, or one is not what its header says.
        """
        return cls._from_files(partial(row_sources.map_safetensors, tensor=tensor), paths, y, weight, cache)

    @classmethod
    def _from_files(cls, read, paths, y, weight, cache):
        paths = row_sources.files(paths)
        if isinstance(y, str | os.PathLike) or (isinstance(y, list) and y and isinstance(y[0], str | os.PathLike)):
            y = np.concatenate([np.array(row_sources.map_npy(path)) for path in row_sources.files(y)])
        y, weight = (None if part is None else as_array(part, name) for part, name in ((y, "y"), (weight, "weight")))
        rows = cls(lambda: row_sources.file_blocks(read, paths, y, weight), cache=cache)
        rows._source = source_of_files(paths)
        if len(paths) == 1:
            X = read(paths[0])
            for part, name in ((y, "y"), (weight, "weight")):
                if part is not None and len(part) != len(X):
                    raise ValueError(f"{name} has {len(part)} rows and {paths[0]} {len(X)}; expected as many")
            check_finite(X := check_X(X), resolve_n_threads(None), str(paths[0]))
            rows._rows, rows._mapped = (X, y, weight), (paths[0], os.stat(paths[0]))
        return rows

    @classmethod
    def from_parquet(cls, path, target=None, *, features=None, weight=None, cache=None):
        """Rows of Parquet files, or of any pyarrow dataset. Needs pyarrow (extra `data`).

        Parameters
        ----------
        path : str, os.PathLike, list of them, or pyarrow.dataset.Dataset
            Files as for `from_npy`, or a folder.
        target : str, default=None
            Name of the column of labels; None for predictions.
        features : str or list of str, default=None
            Columns of numbers, or one column of lists of one length; None means all others.
        weight : str, default=None
            Name of the column of weights.
        cache
            As for `RowBlocks`.
        """
        source = ParquetSource(path, target, features, weight)
        rows = cls(source.blocks, cache=cache)
        rows.feature_names, rows._source = source.feature_names, source_of_files(path)
        return rows

    rows = property(lambda self: self._read()[0],
                    doc="The features (n, d) as fits take them: a read-only array or a `Csr` in files, or `Streamed`.")
    y = property(lambda self: self._read()[1])
    weight = property(lambda self: self._read()[2])
    shape = property(lambda self: self.rows.shape)
    dtype = property(lambda self: self.rows.dtype)

    @property
    def X(self):
        """The features (n, d): a read-only array in a file, or of sparse blocks a csr_array over three such arrays."""
        if isinstance(self.rows, Streamed):
            raise self.rows.refuse("an array of the rows", "LogisticRegression, LogisticRegressionCV and Trainer do "
                                                           "without, if fit is passed the RowBlocks")
        return _as_users_have_it(self.rows)

    def __len__(self):
        return self.shape[0]

    def __repr__(self):
        source = source_of(self._blocks) if self._source is None else self._source
        kept = None if self._rows is None else self._rows[0]
        return described(source, kept, self.feature_names, self._n_blocks, of_files=self._source is not None)

    def predictions(self, model, method="predict"):
        """Results of a fitted model's `method`, block by block: an iterator of arrays.

        Blocks are read from their source and not kept, so that memory stays that of one block.
        """
        predict = getattr(model, method)
        is_kept = self._rows is not None and not isinstance(self.rows, Streamed)
        blocks = self._kept_blocks() if is_kept and self._begun is not None else self._iterate()
        for block in checked(blocks):
            names = self.feature_names if block.names is None else block.names
            if len(block.X):
                yield predict(_as_users_have_it(block.X) if names is None else _named(block.X, names))

    def write_predictions(self, path, model, method="predict"):
        """Write a fitted model's results to a file, block by block.

        Parameters
        ----------
        path : str or os.PathLike
            .npy takes one array (text of dtype object, as Parquet is read, is a TypeError), .parquet the column
            "prediction", or "prediction_0", "prediction_1", ... A file of that name is replaced once all is written.
        model : estimator
        method : str, default="predict"
            "predict", "predict_proba", "decision_function", ...

        Returns
        -------
        int
            Rows written.
        """
        return row_sources.write(Path(path).expanduser(), self.predictions(model, method))

    def _kept_blocks(self):
        """Blocks of the rows that were read from an iterator."""
        X, n = self.rows, len(self)
        row_bytes = X.size * 2 * X.dtype.itemsize // n if isinstance(X, Csr) else X[:1].nbytes
        step = max(1, row_sources.BLOCK_BYTES // max(1, row_bytes))
        for start in range(0, n, step):
            yield _as_users_have_it(X[start : start + step])

    def _iterate(self):
        """An iterator of the blocks; ValueError if they come from one that has begun."""
        blocks = self._blocks() if callable(self._blocks) else self._blocks
        if not hasattr(blocks, "__iter__"):
            raise TypeError(f"the function of the blocks returned a value of type {type(blocks).__name__}; expected an "
                            f"iterator of (X, y) or (X, y, weight)")
        iterator = iter(blocks)
        if iterator is blocks:
            if iterator is self._begun:
                raise ValueError("blocks is an iterator that was begun before, so that rows would be missing; pass a "
                                 "list, or a function that returns a new iterator each time")
            self._begun = iterator if iterator is self._blocks or callable(self._blocks) else None
        return iterator

    def check_unchanged(self):
        """Raise ValueError if a file that is mapped where it is has been written to since."""
        if self._mapped is None:
            return
        path, before = self._mapped
        try:
            now = os.stat(path)
        except OSError:  # what is mapped stays there
            return
        if now.st_ino == before.st_ino and now.st_mtime_ns != before.st_mtime_ns and now.st_size >= before.st_size:
            raise ValueError(f"{path} was written to after it was mapped; expected a file that stays as it is: make "
                             f"RowBlocks of it anew")

    def _read(self):
        self.check_unchanged()
        if self._rows is None:
            keeper, n_blocks = Keeper(folder_of(self._cache)), 0
            try:
                for block in checked(self._iterate()):
                    keeper.add(block)
                    n_blocks += len(block.X) > 0
                    if keeper.no_room:
                        self._refuse_what_is_read_once(keeper.no_room)
                rows = keeper.arrays()
            except BaseException:
                keeper.drop()
                raise
            if keeper.no_room:
                rows[0] = Streamed(self._iterate, keeper, rows[1])
                rows[0].warn()
            self._rows, self._n_blocks = rows, n_blocks
            if keeper.names is not None:
                self.feature_names = keeper.names
        return self._rows

    def _refuse_what_is_read_once(self, error):
        """Raise the error of a file that has no room, if the blocks cannot be read pass by pass."""
        if not callable(self._blocks) and iter(self._blocks) is self._blocks:
            raise OSError(error.errno, f"{error.strerror}; or pass a function that returns an iterator, whose blocks "
                                       f"can be read again in each pass") from error

    def __reduce__(self):
        raise TypeError("RowBlocks cannot be pickled: their rows lie in a file without a name; make them anew")


def _as_users_have_it(X):
    return X.to_scipy() if isinstance(X, Csr) else X


def _named(X, names):
    """A block whose features have names."""
    rows = RowBlocks(())
    rows.feature_names, rows._rows = names, (X, None, None)
    return rows


def take_blocks(X, y, sample_weight):
    """X, y and weights of what `fit` was passed: those of RowBlocks, and anything else as it is."""
    if not isinstance(X, RowBlocks):
        return X, y, sample_weight
    for given, own, name in ((y, X.y, "y"), (sample_weight, X.weight, "sample_weight")):
        if given is not None and own is not None and given is not own:
            raise ValueError(f"{name} was passed, and the blocks have their own; expected one of the two")
    y = X.y if y is None else y
    if y is None:
        refuse_no_labels()
    return X, y, X.weight if sample_weight is None else sample_weight

