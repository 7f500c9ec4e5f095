"""What the bindings refuse to hand to kernels, and what public functions copy so that they need not."""

import time

import numpy as np
import pytest

import fastlr
from fastlr import _core


def unaligned(array):
    """The same values, contiguous, at an address that is no multiple of their size."""
    memory = np.empty(array.nbytes + 1, np.uint8)[1:]
    memory[:] = np.ascontiguousarray(array).view(np.uint8).ravel()
    return memory.view(array.dtype).reshape(array.shape)


def test_arrays_that_kernels_cannot_read_are_refused():
    n, d, k = 8, 3, 4
    X, Y = np.ones((n, d), np.float32), np.full((n, k), 0.25, np.float32)
    y, weight, offset = np.zeros(n, np.int32), np.ones(n), np.zeros((n, k), np.float32)
    for arguments in ({"y": unaligned(y)}, {"y": unaligned(Y)}, {"weight": unaligned(weight)},
                      {"offset": unaligned(offset)}, {"scale": unaligned(np.ones(d))}, {"shift": unaligned(np.ones(d))},
                      {"weight": weight.astype(">f8")}, {"y": Y.astype(">f4")}):
        with pytest.raises(ValueError, match="expected"):
            _core.Problem(X, arguments.pop("y", y), k, **arguments)
    for labels in ([k], [-1], [2**31 - 1], [-(2**31)]):
        bad = np.array([0] * (n - 1) + labels, np.int32)
        with pytest.raises(ValueError, match="row 7"):
            _core.Problem(X, bad, k)
        with pytest.raises(ValueError, match="row 7"):
            _core.residual("softmax", np.zeros((n, k)), bad)
    with pytest.raises(ValueError, match="label 1"):
        _core.Problem(X, np.ones(n, np.int32), 1)
    problem = _core.Problem(X, y, k)
    frozen = np.zeros((n, k), np.float32)
    frozen.flags.writeable = False
    W, b = np.zeros((k, d)), np.zeros(k)
    with pytest.raises(ValueError, match="read-only"):
        problem.loss_and_grad(W, b, R_out=frozen)
    for refused in (offset[1:], offset[:, :2], offset.astype(np.float64), unaligned(offset)):
        for from_rows in (problem.loss_and_grad_at, problem.outer):
            with pytest.raises(ValueError, match="expected"):
                from_rows(refused)
    with pytest.raises(ValueError, match="order"):
        problem.epoch(W, b, None, None, np.full(n, n), 2, learning_rate=0.1)
    with pytest.raises(ValueError, match="batch"):
        problem.epoch(W, b, None, None, None, 0, learning_rate=0.1)


def test_unaligned_arguments_are_copied_by_public_functions():
    rng = np.random.default_rng(15)
    X, y, weight = rng.normal(size=(50, 4)), rng.integers(0, 3, 50), rng.random(50)
    W, b = rng.normal(size=(3, 4)), rng.normal(size=3)
    Y = np.full((50, 3), 1 / 3)
    for target in (y.astype(np.int32), y, Y):
        expected = fastlr.loss_and_grad(X, W, b, target, sample_weight=weight, scale=np.ones(4))
        actual = fastlr.loss_and_grad(unaligned(X), unaligned(W), unaligned(b), unaligned(target),
                                      sample_weight=unaligned(weight), scale=unaligned(np.ones(4)))
        for a, e in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(a, e)
        expected = fastlr.cross_entropy_and_grad(X[:, :3], target, sample_weight=weight)
        actual = fastlr.cross_entropy_and_grad(unaligned(X[:, :3]), unaligned(target), sample_weight=unaligned(weight))
        for a, e in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(a, e)


def test_time_in_jobs_is_counted_when_asked():
    def busy(_):
        begin = time.thread_time()
        while time.thread_time() - begin < 0.005:
            pass
        return time.thread_time() - begin

    def counted(n_threads, count=True):
        _core.threaded_seconds(count)
        spent = sum(_core.parallel_for(busy, 4, n_threads))
        return _core.threaded_seconds(False), spent

    seconds, spent = counted(2)
    assert 0 < seconds < 2 * spent
    assert counted(1)[0] == 0  # the caller alone is no job
    assert counted(2, count=False)[0] == 0
    with pytest.raises(RuntimeError, match="busy"):
        _core.parallel_for(lambda _: _core.threaded_seconds(True), 2, 2)


@pytest.mark.skipif(int(np.__version__.split(".")[0]) < 2, reason="a state for each thread before NumPy 2")
def test_tasks_see_the_callers_error_state():
    def divide(_):
        time.sleep(0.001)  # so that both threads take some
        return np.ones(3) / np.zeros(3)

    with np.errstate(divide="ignore"):
        assert np.isinf(_core.parallel_for(divide, 20, 2)).all()
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        _core.parallel_for(divide, 20, 2)
