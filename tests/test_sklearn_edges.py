"""Parameters and weights at their edges do what scikit-learn 1.9 does with them."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Peer

from fastlr import LogisticRegression, Trainer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y2, Y3 = (X[:, 0] > 0).astype(int), RNG.integers(0, 3, 60)
SOLVERS = ["auto", "lbfgs", "newton-cg", "newton-cholesky"]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("y", [Y2, Y3, np.eye(3)[Y3]], ids=["two", "three", "labels"])
def test_no_iterations_leave_the_start(solver, y):
    model = LogisticRegression(solver=solver, max_iter=0)
    with pytest.warns(ConvergenceWarning, match=r"ended after 0 iterations \(reached max_iter\)"):
        model.fit(X, y)
    assert model.n_iter_ == [0]
    assert not model.coef_.any()
    model.predict(X)
    fitted = LogisticRegression(solver=solver, warm_start=True, tol=1e-8).fit(X, y)
    coef, objective = fitted.coef_, fitted.objective_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted.set_params(max_iter=0, tol=0).fit(X, y)
    np.testing.assert_allclose(fitted.coef_, coef, atol=1e-14)
    assert fitted.objective_ == pytest.approx(objective, rel=1e-14)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("C", [1.0, np.inf])
def test_all_weight_on_one_class_predicts_that_class(solver, C):
    for y, only in ((Y2, 0), (Y2, 1), (Y3, 2), (np.array(["a", "b", "c"])[Y3], "b")):
        weight = (y == only).astype(float)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = LogisticRegression(C, solver=solver).fit(X, y, weight)
            per_class = {label: float(label == only) for label in set(y)}
            by_class = LogisticRegression(C, solver=solver, class_weight=per_class).fit(X, y)
            peer = Peer(C=1.0, class_weight=per_class).fit(X, y)
        for fitted in (model, by_class):
            assert set(fitted.predict(X)) == set(peer.predict(X)) == {only}
            assert (fitted.predict_proba(X).max(axis=1) > 0.99).all()
            np.testing.assert_allclose(fitted.coef_, 0, atol=1e-3)
    with pytest.raises(ValueError, match="is zero at all 60 rows"):
        LogisticRegression(solver=solver, class_weight={0: 0, 1: 0}).fit(X, Y2)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int8, Fraction])
def test_numbers_of_any_type(kind):
    """A NumPy scalar's own type must not round or overflow what is computed with it."""
    rows = np.tile(X, (1200, 1))  # 72,000 of them: beyond float16, whose C would have been infinite
    y = np.tile(Y3, 1200)
    plain = LogisticRegression(2.0, tol=1e-3).fit(rows, y)
    model = LogisticRegression(kind(2), tol=1e-3, max_iter=np.int8(127)).fit(rows, y)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    trainer = Trainer(learning_rate=kind(2), epochs=np.int8(127), batch_size=np.uint8(200), alpha=kind(0))
    plain = Trainer(learning_rate=2, epochs=127, batch_size=200)
    np.testing.assert_allclose(trainer.fit(X, Y3).coef_, plain.fit(X, Y3).coef_, rtol=1e-10)


@pytest.mark.parametrize(("make", "name"), [(LogisticRegression, "C"), (LogisticRegression, "tol"),
                                            (Trainer, "learning_rate"), (Trainer, "alpha")])
@pytest.mark.parametrize("value", [10**400, math.nan, -1.0, "1", None, 1j])
def test_numbers_out_of_range_are_named(make, name, value):
    with pytest.raises((TypeError, ValueError), match=f"{name} is "):
        make(**{name: value}).fit(X, Y3)
