"""Ctrl-C ends what runs: a fit, a training, a search; what it leaves is a whole model."""

import copy
import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score

from fastlr import LogisticRegression, Trainer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
X, Y = load_iris(return_X_y=True)


def cut(function, after):
    """Call it with Ctrl-C after that many seconds; whether the signal came before it was done."""
    done = False
    try:
        threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT)).start()
        function()
        done = True
        time.sleep(10)
    except KeyboardInterrupt:
        return not done
    pytest.fail("no KeyboardInterrupt")


class EndlessRegression(LogisticRegression):
    """Fits again and again."""

    def fit(self, X, y):
        for _ in range(10**6):
            super().fit(X, y)
        return self


class TrainedOn(ClassifierMixin, BaseEstimator):
    """A Trainer as an estimator of scikit-learn."""

    def __init__(self, epochs=10**6):
        self.epochs = epochs

    def fit(self, X, y):
        self.trainer_ = Trainer(epochs=self.epochs).fit(X, y)
        return self

    def predict(self, X):
        return self.trainer_.predict(X)


@pytest.mark.parametrize("search", [
    lambda model, grid: GridSearchCV(model, grid, cv=2).fit(X, Y),
    lambda model, grid: cross_val_score(model, X, Y, cv=3),
], ids=["GridSearchCV", "cross_val_score"])
@pytest.mark.parametrize(("model", "grid"), [
    (EndlessRegression(solver="lbfgs"), {"C": [1.0, 10.0]}), (TrainedOn(), {"epochs": [10**6, 10**7]}),
], ids=["LogisticRegression", "Trainer"])
def test_ctrl_c_ends_a_search(search, model, grid):
    assert cut(lambda: search(model, grid), 0.1)


def loss_at(model, X, y):
    return -model.predict_log_proba(X)[np.arange(len(y)), y].mean() + np.sum(model.coef_**2) / (2 * model.C * len(y))


def test_a_fit_cut_at_any_time_leaves_a_whole_model():
    """coef_, intercept_, classes_ and objective_ are of one point: of the new problem, or of the old."""
    rng = np.random.default_rng(0)
    n_cut = 0
    first = LogisticRegression(solver="lbfgs").fit(X[:100], Y[:100])  # two classes
    for _ in range(150):
        model = copy.copy(first).set_params(tol=1e-13)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            n_cut += cut(lambda: model.fit(X, Y), rng.uniform(0, 0.006))  # noqa: B023  called at once
        data = (X, Y) if len(model.classes_) == 3 else (X[:100], Y[:100])
        assert len(model.coef_) == len(model.intercept_) == (3 if len(model.classes_) == 3 else 1)
        assert loss_at(model, *data) == pytest.approx(model.objective_, rel=1e-9)
    assert n_cut


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_training_cut_at_any_time_leaves_a_whole_model(momentum):
    """The steps add the same to intercepts of all classes as to a column of ones: both are of the same batch."""
    rng = np.random.default_rng(1)
    ones = np.column_stack([X, np.ones(len(X))])
    for _ in range(60):
        trainer = Trainer(epochs=100_000, batch_size=7, momentum=momentum, random_state=0)
        assert cut(lambda: trainer.fit(ones, Y, validation_data=(ones, Y)), rng.uniform(0.001, 0.01))  # noqa: B023
        if not hasattr(trainer, "coef_"):
            continue
        np.testing.assert_allclose(trainer.intercept_, trainer.coef_[:, -1], rtol=1e-9, atol=1e-12)
        assert len({len(values) for values in trainer.history_.values()}) <= 1
        assert trainer.predict(ones).shape == (150,)


def test_ctrl_c_before_the_solver_leaves_the_earlier_fit():

    model = LogisticRegression().fit(X, Y)
    before = vars(model).copy()

    class Labels:
        def __array__(self, dtype=None, copy=None):
            signal.raise_signal(signal.SIGINT)
            return Y[:100]

    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:100], Labels())
    assert vars(model) == before


def test_an_interrupted_fit_goes_on_from_where_it_was():
    model = LogisticRegression(solver="lbfgs", tol=1e-13, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cut(lambda: model.fit(X, Y), 0.002)
        model.fit(X, Y)
    reference = LogisticRegression(tol=1e-10).fit(X, Y)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-4)
