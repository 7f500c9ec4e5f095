"""Trainer on sparse rows: the dense rule on the dense twin, bits, and what is refused."""

import os
import pickle
import re
import signal
import threading

import numpy as np
import pytest
from csr_problems import TASKS, assert_close, make_task
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import fastlr
from fastlr import Trainer, _core, reference

pytestmark = pytest.mark.filterwarnings("ignore:sample_weight and class_weight have no effect")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rule", [{}, {"alpha": 0.3}, {"momentum": 0.9, "alpha": 0.1},
                                  {"alpha": 5.0, "reduction": "sum", "learning_rate": 0.01}], ids=str)
@pytest.mark.parametrize("batch_size", [1, 7, 64, None])
@pytest.mark.parametrize(("loss", "outputs"), TASKS)
def test_the_dense_rule(loss, outputs, batch_size, rule, weighted):
    rng = np.random.default_rng(batch_size or 0)
    X, dense, y = make_task(rng, 90, 15, outputs)
    weight = np.arange(90) % 4 / 2 if weighted else None
    make = [Trainer(loss, epochs=3, batch_size=batch_size, random_state=5, **rule) for _ in range(2)]
    one, other = (t.fit(x, y, weight, validation_data=(x, y)) for t, x in zip(make, (X, dense), strict=True))
    one, other = (t.partial_fit(x, y, sample_weight=weight) for t, x in ((one, X), (other, dense)))
    assert_close(one.coef_, other.coef_)
    assert_close(one.intercept_, other.intercept_)
    for name in set(other.history_) - {"seconds"}:
        np.testing.assert_allclose(one.history_[name], other.history_[name], rtol=1e-12)
    np.testing.assert_array_equal(one.predict(X), other.predict(dense))
    assert one.score(X, y, weight) == other.score(dense, y, weight)


@pytest.mark.parametrize("rule", [{}, {"alpha": 0.1}, {"momentum": 0.5}, {"reduction": "sum"},
                                  {"reduction": "sum", "momentum": 0.5}], ids=str)
@pytest.mark.parametrize("sizes", [(1e45, 1.0), (1e-46, 1.0), (1e39, 1e37), (1e40, 1e40), (1e-46, 1e-46)], ids=str)
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize(("loss", "outputs"), TASKS)
@pytest.mark.parametrize("is_sparse", [True, False])
def test_weights_of_any_size(is_sparse, loss, outputs, batch_size, sizes, rule):
    """Beyond the range of float32, from one row to the next and from one batch to the next."""
    X, dense, y = make_task(np.random.default_rng(3), 42, 6, outputs, np.float32)
    for weight in (np.resize(sizes, 42), np.repeat(sizes, 21)):
        rate = 0.1 / (weight.max() if "reduction" in rule else 1)
        t = Trainer(loss, learning_rate=rate, batch_size=batch_size, epochs=1, shuffle=False, **rule)
        t.fit(X if is_sparse else dense.astype(np.float32), y, weight)
        k = len(t.coef_)
        Y = y if y.ndim == 2 else reference.one_hot(y, k) if k > 1 else (y[:, None] == 1).astype(float)
        _, W, b, *_ = reference.epoch(loss, dense, np.zeros((k, 6)), np.zeros(k), Y, np.arange(42), batch_size,
                                      learning_rate=rate, weight=weight, **rule)
        assert_close(t.coef_, W, "float32")
        assert_close(t.intercept_, b, "float32")


@given(n=st.integers(2, 80), d=st.integers(1, 300), batch=st.integers(1, 90), seed=st.integers(0, 1000),
       momentum=st.sampled_from([0.0, 0.5, 0.9]), alpha=st.sampled_from([0.0, 0.01, 3.0]), task=st.sampled_from(TASKS),
       dtype=st.sampled_from(["float32", "float64"]), index=st.sampled_from([np.int32, np.int64]),
       reduction=st.sampled_from(["mean", "sum"]), shuffle=st.booleans())
@settings(deadline=None, max_examples=80)
def test_any_size(n, d, batch, seed, momentum, alpha, task, dtype, index, reduction, shuffle):
    rng = np.random.default_rng(seed)
    loss, outputs = task
    n = max(n, outputs) if isinstance(outputs, int) else n
    X, dense, y = make_task(rng, n, d, outputs, dtype, index)
    rule = {"epochs": 2, "batch_size": batch, "momentum": momentum, "alpha": alpha, "reduction": reduction,
            "learning_rate": 0.02 / batch, "shuffle": shuffle, "random_state": seed}
    one, other = (Trainer(loss, **rule).fit(x, y) for x in (X, dense))
    assert_close(one.coef_, other.coef_, dtype)
    assert_close(one.intercept_, other.intercept_, dtype)


@pytest.mark.parametrize(("alpha", "learning_rate"), [(1.0, 1.0), (3.0, 0.5), (0.5, 0.99), (1e-4, 0.1)])
@pytest.mark.parametrize("k", [2, 3])
def test_the_scale_of_the_weights_leaves_the_range_of_a_double(alpha, learning_rate, k):
    """1 - learning_rate alpha is 0, negative, 1/2: after thousands of steps its power is no number any more."""
    X, dense, y = make_task(np.random.default_rng(1), 3000, 12, k, mean=1)
    rule = {"loss": "sigmoid", "epochs": 2, "batch_size": 1, "alpha": alpha, "learning_rate": learning_rate,
            "shuffle": False}
    one, other = (Trainer(**rule).fit(x, y) for x in (X, dense))
    assert_close(one.coef_, other.coef_, n_steps=20)


def test_momentum_reaches_columns_that_no_row_had_for_thousands_of_steps():
    n = 2000
    X = sparse.csr_array(([1.0] * 4 + [2.0] * 2, ([0, 1, 2, n - 1, 0, 1], [0, 1, 2, 0, 2, 2])), shape=(n, 3))
    rule = {"loss": "sigmoid", "epochs": 2, "batch_size": 1, "momentum": 0.99, "alpha": 1e-3, "shuffle": False}
    one, other = (Trainer(**rule).fit(x, np.arange(n) % 2) for x in (X, X.toarray()))
    assert_close(one.coef_, other.coef_)


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize(("loss", "outputs"), [("sigmoid", 2), ("softmax", 3)])
def test_long_rows_and_tables_that_exceed_the_caches(loss, outputs, batch_size):
    X, dense, y = make_task(np.random.default_rng(4), 40, 70_000, outputs, np.float32, mean=400)
    rule = {"epochs": 2, "batch_size": batch_size, "learning_rate": 0.001, "alpha": 0.1, "random_state": 0}
    one, other = (Trainer(loss, **rule).fit(x, y) for x in (X, dense.astype(np.float32)))
    assert_close(one.coef_, other.coef_, "float32")


@pytest.mark.parametrize("options", [{"momentum": 0.5}, {"alpha": 0.01}, {"optimizer": "ftrl"}], ids=str)
@pytest.mark.parametrize("batch_size", [1, 100, None])
def test_bits_do_not_depend_on_threads(batch_size, options):
    X, _, y = make_task(np.random.default_rng(0), 3000, 70, 3, np.float32)
    fits = [Trainer(epochs=2, batch_size=batch_size, n_threads=threads, random_state=9, **options).fit(
        X, y, validation_data=(X, y)) for threads in (1, 2, 3)]
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.coef_, fits[0].coef_)
        np.testing.assert_array_equal(fit.decision_function(X), fits[0].decision_function(X))
        for name in ("loss", "val_loss", "val_accuracy"):
            assert fit.history_[name] == fits[0].history_[name]


@pytest.mark.parametrize("form", ["csc", "coo", "lil", "bsr"])
def test_other_formats(form):
    X, _, y = make_task(np.random.default_rng(0), 60, 8, 2)
    X.sum_duplicates()
    one, other = (Trainer(epochs=2, random_state=0).fit(x, y) for x in (X, X.asformat(form)))
    assert_close(one.coef_, other.coef_)
    np.testing.assert_array_equal(other.predict(X.asformat(form)), one.predict(X))
    with sparse_unchanged(X):
        one.partial_fit(X, y)


class sparse_unchanged:
    """Nothing of X is written."""

    def __init__(self, X):
        self.parts, self.before = (X.data, X.indices, X.indptr), [a.copy() for a in (X.data, X.indices, X.indptr)]

    def __enter__(self):
        pass

    def __exit__(self, *_):
        for part, before in zip(self.parts, self.before, strict=True):
            np.testing.assert_array_equal(part, before)


def test_scale_is_that_of_dense_rows():
    X, dense, y = make_task(np.random.default_rng(0), 60, 8, 3)
    scale = np.linspace(0.2, 2, 8)
    one, other = (Trainer(epochs=2, random_state=0).fit(x, y, validation_data=(x, y), scale=scale) for x in (X, dense))
    assert_close(one.coef_, other.coef_)
    assert one.history_["val_loss"] == pytest.approx(other.history_["val_loss"], rel=1e-12)
    np.testing.assert_allclose(one.decision_function(X), other.decision_function(dense), rtol=1e-12)


def broken(**parts):
    X, _, _ = make_task(np.random.default_rng(0), 60, 8, 2)
    X.sum_duplicates()
    for name, (place, value) in parts.items():
        getattr(X, name)[place] = value
    return X


BAD = {
    "nan": (lambda: broken(data=(5, np.nan)), r"Input X contains NaN, first at row \d+, column \d"),
    "column": (lambda: broken(indices=(9, 8)), r"X.indices has 8 in row \d+, at place 9; expected columns from 0 to 7"),
    "negative": (lambda: broken(indices=(9, -1)), r"X.indices has -1 in row"),
    "indptr": (lambda: broken(indptr=(3, 10**6)), r"X.indptr falls to"),
    "rows": (lambda: broken()[:50], r"y has shape \(60,\); expected \(50,\)"),
    "no features": (lambda: sparse.csr_array((60, 0)), "X has 0 feature"),
    "complex": (lambda: broken().astype(complex), "Complex data not supported"),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", BAD)
def test_bad_matrices_raise_and_change_nothing(name, method):
    make, message = BAD[name]
    y = np.arange(60) % 2
    trainer = Trainer(random_state=0).fit(broken(), y)
    before = pickle.dumps(trainer)
    if (name, method) == ("no features", "partial_fit"):
        message = "X has 0 features, but Trainer is expecting 8 features"
    with pytest.raises(ValueError, match=message):
        getattr(trainer, method)(make(), y)
    assert pickle.dumps(trainer) == before


def test_features_are_those_of_the_fit():
    X, dense, y = make_task(np.random.default_rng(0), 60, 8, 2)
    trainer = Trainer().fit(X, y)
    for call in (lambda: trainer.predict(X[:, :7]), lambda: trainer.partial_fit(X[:, :7], y)):
        with pytest.raises(ValueError, match="X has 7 features, but Trainer is expecting 8 features as input"):
            call()
    with pytest.raises(ValueError, match="validation X has 7 features, but Trainer is expecting 8"):
        trainer.fit(X, y, validation_data=(X[:, :7], y))
    np.testing.assert_allclose(trainer.decision_function(X), trainer.decision_function(dense), rtol=1e-12)


def test_what_sparse_rows_cannot_have():
    X, dense, y = make_task(np.random.default_rng(0), 60, 8, 2)
    with pytest.raises(ValueError, match=r"shift was given with sparse X.*scale alone keeps X sparse"):
        Trainer().fit(X, y, shift=1.0)
    with pytest.raises(ValueError, match=r"X is a dense array \(60, 8\); expected a sparse one with optimizer='ftrl'"):
        Trainer(optimizer="ftrl").fit(dense, y)
    for options, message in (({"optimizer": "adam"}, "optimizer is 'adam'; expected one of 'sgd', 'ftrl'"),
                             ({"l1": -1.0}, "l1 is -1.0; expected a finite number of at least 0"),
                             ({"l1": 0.1}, "l1 is 0.1 with optimizer='sgd'; expected 0: use alpha, or"),
                             ({"optimizer": "ftrl", "alpha": 0.1}, "alpha is 0.1 with optimizer='ftrl'; expected 0: "),
                             ({"optimizer": "ftrl", "momentum": 0.1}, "momentum is 0.1 with optimizer='ftrl'")):
        with pytest.raises(ValueError, match=re.escape(message)):
            Trainer(**options).fit(X, y)


def test_divergence_keeps_finite_weights():
    X, _, y = make_task(np.random.default_rng(0), 60, 8, 2)
    trainer = Trainer("squared_error", learning_rate=1e150, epochs=9, batch_size=None)
    with pytest.warns(RuntimeWarning, match=r"epoch \d diverged.*use a learning_rate below 1e\+150"):
        trainer.fit(X, y)
    assert np.isfinite(trainer.coef_).all()


def test_ctrl_c_stops_a_long_epoch():
    n = 2_000_000
    X = sparse.csr_array((np.ones(n, np.float32), np.zeros(n, np.int32), np.arange(n + 1)), shape=(n, 1))
    trainer = Trainer(epochs=1, batch_size=1, shuffle=False)
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(X, np.arange(n) % 1000)  # seconds
    timer.join()
    assert trainer.history_ == {}
    assert np.isfinite(trainer.coef_).all()
    assert trainer.coef_.any()


def test_no_scikit_learn_is_needed():
    import subprocess
    import sys

    code = ("import sys, fastlr; from scipy.sparse import csr_array; X = csr_array([[0.0], [1.0]]);"
            "fastlr.Trainer().fit(X, [0, 1]).predict(X); sys.exit('sklearn' in sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_tables_of_the_bindings_are_checked():
    X, _, y = make_task(np.random.default_rng(0), 20, 8, 2)
    problem = _core.CsrProblem(X.data, X.indices, X.indptr, 8, y.astype(np.int32), 1, loss="sigmoid")
    W, b = np.zeros((1, 8)), np.zeros(1)
    with pytest.raises(ValueError, match="ftrl has dtype float64 and shape"):
        problem.epoch(W, b, None, None, None, 1, learning_rate=0.1, ftrl=_core.ftrl_table(1, 7))
    with pytest.raises(ValueError, match="order has rows outside"):
        problem.epoch(W, b, None, None, np.arange(20) + 1, 1, learning_rate=0.1)
    with pytest.raises(ValueError, match="expected both or neither"):
        problem.epoch(W, b, W.copy(), None, None, 1, learning_rate=0.1)
    scaled = _core.CsrProblem(X.data, X.indices, X.indptr, 8, y.astype(np.int32), 1, loss="sigmoid", scale=np.ones(8))
    with pytest.raises(ValueError, match="scale, shift or offset is set"):
        scaled.epoch(W, b, None, None, None, 1, learning_rate=0.1)
    assert not W.any()
    assert fastlr.Trainer is Trainer
