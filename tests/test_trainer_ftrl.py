"""FTRL-proximal of Trainer: its twin, streams, sparse models."""

import copy
import pickle

import numpy as np
import pytest
from csr_problems import TASKS, assert_close, make_task
from scipy import sparse

from fastlr import Trainer, reference

pytestmark = pytest.mark.filterwarnings("ignore:sample_weight and class_weight have no effect")


def as_formula(loss, y):
    """Y (n, k) of labels."""
    if y.ndim == 2:
        return y
    k = y.max() + 1
    return (y[:, None] == 1).astype(float) if k == 2 and loss != "softmax" else np.eye(k)[y]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [{}, {"l1": 0.5}, {"beta": 0.0}, {"beta": 0.0, "l1": 0.2, "l2": 0.1},
                                     {"l2": 2.0, "reduction": "sum"}], ids=str)
@pytest.mark.parametrize("batch_size", [1, 7, None])
@pytest.mark.parametrize(("loss", "outputs"), TASKS)
def test_ftrl_is_its_twin(loss, outputs, batch_size, options, weighted):
    rng = np.random.default_rng(3)
    X, dense, y = make_task(rng, 90, 15, outputs)
    Y, weight = as_formula(loss, y), np.arange(90) % 4 / 2 if weighted else np.ones(90)
    t = Trainer(loss, learning_rate=0.3, epochs=2, batch_size=batch_size, random_state=5, optimizer="ftrl", **options)
    t.fit(X, y, weight if weighted else None).partial_fit(X, y, sample_weight=weight if weighted else None)
    orders, sums = np.random.default_rng(5), None
    W, b = np.zeros((Y.shape[1], 15)), np.zeros(Y.shape[1])
    for epoch in range(3):
        total, W, b, *sums = reference.ftrl_epoch(loss, dense, W, b, Y, orders.permutation(90), batch_size or 90,
                                                  learning_rate=0.3, weight=weight, sums=sums, **options)
        assert t.history_["loss"][epoch] == pytest.approx(total / weight.sum(), rel=1e-10)
    assert_close(t.coef_, W, n_steps=100)  # where |z| is near l1, and beta is 0, it is a small difference
    assert_close(t.intercept_, b, n_steps=100)
    assert np.isfinite(t.coef_).all()


def test_ftrl_without_beta_is_a_number_at_the_second_example():
    X = sparse.csr_array(np.array([[1.0, 0], [1, 2], [1, 0], [0, 0]]))
    t = Trainer("sigmoid", optimizer="ftrl", beta=0, batch_size=1, epochs=1, shuffle=False)
    for _ in range(3):
        t.partial_fit(X, [0, 1, 1, 0])
        assert np.isfinite(t.coef_).all()
        assert t.coef_.any()


def test_ftrl_leaves_rare_columns_at_0():
    rng = np.random.default_rng(0)
    X = sparse.random_array((2000, 500), density=0.02, rng=rng, format="csr")
    y = np.asarray(X[:, :5].sum(axis=1)) > 0.05
    counts = [np.count_nonzero(Trainer("sigmoid", optimizer="ftrl", l1=l1, batch_size=1, epochs=3, random_state=0)
                               .fit(X, y).coef_) for l1 in (0.0, 1.0, 5.0)]
    assert counts[0] == 500
    assert counts[0] > counts[1] > counts[2] > 0


def test_ftrl_streams():
    """Chunk by chunk as in one go, also after a pickle; weights that somebody changes are gone on from."""
    X, _, y = make_task(np.random.default_rng(0), 200, 30, 2)
    options = {"optimizer": "ftrl", "batch_size": 1, "shuffle": False, "l1": 0.01}
    whole = Trainer("sigmoid", epochs=1, **options).fit(X, y)
    parts = Trainer("sigmoid", **options)
    for first in range(0, 200, 50):
        parts = pickle.loads(pickle.dumps(parts)).partial_fit(X[first : first + 50], y[first : first + 50], [0, 1])
    np.testing.assert_array_equal(parts.coef_, whole.coef_)
    np.testing.assert_array_equal(parts.intercept_, whole.intercept_)
    parts.coef_ = np.zeros((1, 30))
    parts.partial_fit(X[:1] * 0, y[:1])
    np.testing.assert_array_equal(parts.coef_, 0)


def test_a_copy_goes_on_by_itself():
    X, _, y = make_task(np.random.default_rng(0), 200, 30, 2)
    t = Trainer("sigmoid", optimizer="ftrl", random_state=0).fit(X, y)
    coef, table = t.coef_.copy(), t._memory[0].copy()
    copy.copy(t).partial_fit(X, y)
    np.testing.assert_array_equal(t.coef_, coef)
    np.testing.assert_array_equal(t._memory[0], table)


@pytest.mark.parametrize("d", [50, 70_000])
def test_ftrl_of_rows_longer_than_a_block_of_the_kernel(d):
    X, dense, y = make_task(np.random.default_rng(4), 40, d, 2, mean=150)
    t = Trainer("sigmoid", optimizer="ftrl", batch_size=1, epochs=1, shuffle=False, l1=0.1).fit(X, y)
    _, W, b, *_ = reference.ftrl_epoch("sigmoid", dense, np.zeros((1, d)), np.zeros(1), as_formula("sigmoid", y),
                                       np.arange(40), 1, learning_rate=0.1, l1=0.1)
    assert_close(t.coef_, W, n_steps=100)
    assert_close(t.intercept_, b, n_steps=100)


@pytest.mark.parametrize("change", [{"learning_rate": 0.01}, {"learning_rate": 5.0}, {"beta": 100.0}, {"l2": 50.0},
                                    {"l1": 9.0}], ids=str)
def test_steps_go_on_from_the_coefficients_where_the_rule_has_changed(change):
    X, _, y = make_task(np.random.default_rng(0), 300, 30, 2)
    t = Trainer("sigmoid", optimizer="ftrl", batch_size=1, shuffle=False).fit(X, y)
    before = t.coef_.copy()
    t.set_params(**change).partial_fit(X[:1] * 1e-6, y[:1])
    np.testing.assert_allclose(t.coef_, before, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "ftrl"])
def test_single_rows_are_told_nothing_of_their_loss(optimizer, recwarn):
    X, _, y = make_task(np.random.default_rng(0), 300, 30, 2)
    t = Trainer("sigmoid", optimizer=optimizer, batch_size=1)
    for i in range(300):
        t.partial_fit(X[i : i + 1], y[i : i + 1], [0, 1])
    assert max(t.history_["loss"]) > 0.9
    assert not recwarn.list
