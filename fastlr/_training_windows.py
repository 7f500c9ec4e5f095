"""Epochs over rows in files: shuffled so that the disk is read in long runs, and so much in memory at a time.

An order of single rows would fetch each row from anywhere in the file. Instead blocks of rows that follow each other
are shuffled, and rows within windows of as many such blocks as memory is meant to hold. What fits one window is
shuffled row by row, as rows in memory are.
"""

from functools import partial
from itertools import pairwise

import numpy as np

from fastlr import _core
from fastlr._input.csr import Csr, problem_of
from fastlr._training_streamed import WINDOW_BYTES, StreamedProblem

BLOCK_BYTES = 1 << 20  # of X, that are read at once


def run_epoch(problem, rng, batch, parameters, n_threads, **rule):
    """One epoch of a problem whose X may be mapped from a file; loss and rows labelled correctly, as `Problem.epoch`.

    rng is None for rows in their order; parameters are (W, b, W_velocity, b_velocity).
    """
    if isinstance(problem, StreamedProblem):
        return _run_parts(problem.windows(rng, batch), batch, parameters, **rule)
    window = _window(problem)
    if window is None:
        order = None if rng is None else rng.permutation(problem.n).astype(np.int64, copy=False)
        return problem.epoch(*parameters, order, batch, **rule)
    step = window // batch * batch  # a window that ends with a batch
    order = None if rng is None or batch >= problem.n else shuffled(rng, problem.n, step or window)
    if not step:  # batches of more than a window
        return problem.epoch(*parameters, order, batch, **rule)
    return _run_parts(_parts(problem, order, step, n_threads), batch, parameters, **rule)


def _parts(problem, order, step, n_threads):
    """Functions that make the problem of so many rows, and their order or None."""
    for start in range(0, problem.n, step):
        end = min(start + step, problem.n)
        if order is None:
            rows, here = slice(start, end), None
        else:  # they are read in the order of the file, and taken in that of the epoch
            by_place = np.argsort(order[start:end])
            rows, here = order[start:end][by_place], np.empty_like(by_place)
            here[by_place] = np.arange(end - start)
        yield partial(_part, problem, rows, n_threads), here


def _run_parts(parts, batch, parameters, **rule):
    """The sums of the epochs of some problems' makers, each with the order of its rows."""
    loss, n_correct, part = 0.0, 0, None
    for make, order in parts:
        part = None  # whose memory the next one may take
        part = make()
        found = part.epoch(*parameters, order, min(batch, part.n), **rule)
        loss, n_correct = loss + found[0], n_correct + found[1]
        if not np.isfinite(loss):
            break
    return loss, n_correct


def shuffled(rng, n, window):
    """An order (n,) int64 of rows: blocks of window / 128 rows are shuffled, and rows within each `window` of them."""
    size = max(1, window * BLOCK_BYTES // WINDOW_BYTES)
    starts = rng.permutation(-(-n // size)) * size
    order = (starts[:, None] + np.arange(size)).ravel()
    order = order[order < n]
    for start in range(0, n, window):
        rng.shuffle(order[start : start + window])
    return order


def _window(problem):
    """Rows of a window, or None where X lies in memory or in one window."""
    is_csr = isinstance(problem, _core.CsrProblem)
    arrays = (problem.data, problem.indices) if is_csr else (problem.X,)
    n_bytes = sum(array.nbytes for array in arrays)
    if n_bytes <= WINDOW_BYTES or _core.file_behind(arrays[0]) is None:
        return None
    return max(1, problem.n * WINDOW_BYTES // n_bytes)


def _part(problem, rows, n_threads):
    """The problem of some rows, indices that rise or a slice."""
    is_csr = isinstance(problem, _core.CsrProblem)
    for name in ("data", "indices", "indptr") if is_csr else ("X",):
        _core.check_file(_core.file_behind(getattr(problem, name)), name)
    if is_csr:
        X = Csr(problem.data, problem.indices, problem.indptr, (problem.n, problem.d))
        X = X[rows] if isinstance(rows, slice) else _csr_runs(X, rows)
    else:
        X = problem.X[rows] if isinstance(rows, slice) else _dense_runs(problem.X, rows)
    y, weight = (None if values is None else np.ascontiguousarray(values[rows])
                 for values in (problem.y, problem.weight))
    return problem_of(X, y, problem.k, loss=problem.loss, weight=weight, scale=problem.scale, shift=problem.shift,
                      n_threads=n_threads)


def _runs(rows):
    """Slices of indices that rise by 1, and where the rows between them are."""
    bounds = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1), len(rows)]
    for begin, end in pairwise(bounds):
        yield slice(begin, end), slice(int(rows[begin]), int(rows[end - 1]) + 1)


def _dense_runs(X, rows):
    """A copy of X[rows], whose runs are copied whole."""
    copy = np.empty((len(rows), X.shape[1]), X.dtype)
    for here, there in _runs(rows):
        copy[here] = X[there]
        _core.release(X[there])
    _core.release(X)  # what the system mapped around them
    return copy


def _csr_runs(X, rows):
    """The same of a `Csr`."""
    indptr = np.append(0, np.cumsum(X.indptr[rows + 1] - X.indptr[rows]))
    copy = Csr(np.empty(indptr[-1], X.dtype), np.empty(indptr[-1], X.indices.dtype), indptr, (len(rows), X.shape[1]))
    for here, there in _runs(rows):
        values = slice(int(indptr[here.start]), int(indptr[here.stop]))
        stored = slice(int(X.indptr[there.start]), int(X.indptr[there.stop]))
        copy.data[values], copy.indices[values] = X.data[stored], X.indices[stored]
        X.release(there.start, there.stop)
    X.release()
    return copy
