"""scikit-learn's constructor parameters: what its own estimator refuses or warns of is refused and warned of here."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Peer
from sklearn.preprocessing import scale

from fastlr import LogisticRegression, LogisticRegressionCV

X, Y = load_breast_cancer(return_X_y=True)
X = scale(X[:, :4])
X3, Y3 = load_iris(return_X_y=True)
of_1_9 = pytest.mark.skipif(not hasattr(Peer, "set_callbacks"), reason="scikit-learn before 1.9 has other rules")


def outcome(make, params, y=Y):
    """The categories of warnings, or the error, that a fit gives; convergence apart."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            make(**params).fit(X if y is Y else X3, y)
        except ValueError as error:
            return "error", str(error)
    return "fitted", sorted({w.category.__name__ for w in caught} - {"ConvergenceWarning"})


@of_1_9
@pytest.mark.parametrize("params", [
    {}, {"penalty": "l2"}, {"penalty": None}, {"penalty": None, "C": 2.0}, {"penalty": "l2", "l1_ratio": 0.5},
    {"penalty": "l2", "l1_ratio": 1}, {"l1_ratio": 0}, {"l1_ratio": None}, {"n_jobs": 2}, {"n_jobs": -1},
    {"dual": False}, {"dual": True}, {"dual": True, "solver": "sag"}, {"dual": np.True_, "solver": "saga"},
    {"intercept_scaling": 3.5}, {"intercept_scaling": 0}, {"intercept_scaling": "1"},
    {"l1_ratio": 1, "solver": "lbfgs"}, {"l1_ratio": 1, "solver": "saga"}, {"l1_ratio": 0.5, "solver": "newton-cg"},
    {"l1_ratio": 0.5, "solver": "liblinear", "fit_intercept": False},
    {"penalty": "l1", "solver": "newton-cholesky"}, {"penalty": "elasticnet", "solver": "saga", "l1_ratio": None},
    {"penalty": "l3"}, {"penalty": 2}, {"l1_ratio": 1.5}, {"l1_ratio": "1"}, {"solver": "sag"}, {"solver": "saga"},
    {"solver": "liblinear", "fit_intercept": False}, {"solver": "liblinear", "fit_intercept": False, "dual": True},
    {"solver": "liblinear", "fit_intercept": False, "C": np.inf}, {"C": np.inf}, {"C": np.inf, "l1_ratio": 1},
    {"solver": "nonsense"}, {"n_jobs": 1.5}, {"dual": 1},
], ids=str)
def test_rules_are_those_of_scikit_learn(params):
    kind, said = outcome(LogisticRegression, params)
    peers_kind, peers = outcome(Peer, params)
    assert kind == peers_kind, said
    if kind == "fitted":
        assert said == peers


@pytest.mark.parametrize(("params", "l1_ratio"), [({"penalty": "l1", "l1_ratio": 1}, 1), ({"penalty": "l2"}, 0),
                                                   ({"penalty": "elasticnet", "l1_ratio": 0.25}, 0.25)], ids=str)
@pytest.mark.filterwarnings("ignore:'penalty' was deprecated:FutureWarning")
def test_penalties_have_an_l1_ratio(params, l1_ratio):
    old, new = LogisticRegression(**params).fit(X, Y), LogisticRegression(l1_ratio=l1_ratio).fit(X, Y)
    np.testing.assert_array_equal(old.coef_, new.coef_)


@pytest.mark.parametrize("solver", ["sag", "saga", "liblinear"])
def test_other_solvers_find_the_same(solver):
    plain = LogisticRegression(fit_intercept=False).fit(X, Y)
    np.testing.assert_array_equal(LogisticRegression(solver=solver, fit_intercept=False).fit(X, Y).coef_, plain.coef_)
    plain = LogisticRegressionCV(Cs=3, fit_intercept=False).fit(X, Y)
    other = LogisticRegressionCV(Cs=3, fit_intercept=False, solver=solver).fit(X, Y)
    np.testing.assert_array_equal(other.coef_, plain.coef_)


def test_liblinear_tells_of_the_intercept_and_of_classes():
    with pytest.warns(UserWarning, match="penalises the intercept in scikit-learn; fastlr never does"):
        LogisticRegression(solver="liblinear").fit(X, Y)
    for make in (LogisticRegression, LogisticRegressionCV):
        with pytest.raises(ValueError, match="The 'liblinear' solver does not support multiclass classification"):
            make(solver="liblinear", fit_intercept=False).fit(X3, Y3)


@pytest.mark.filterwarnings("ignore:'penalty' was deprecated:FutureWarning")
def test_no_penalty_is_an_infinite_C():
    none, infinite = LogisticRegression(penalty=None).fit(X, Y), LogisticRegression(np.inf).fit(X, Y)
    np.testing.assert_array_equal(none.coef_, infinite.coef_)
    with pytest.raises(ValueError, match="penalty is None"):
        LogisticRegressionCV(penalty=None).fit(X, Y)


@pytest.mark.parametrize("make", [LogisticRegression, LogisticRegressionCV])
def test_parameters_of_both_are_kept_and_cloned(make):
    names = set(make().get_params())
    assert {"penalty", "dual", "intercept_scaling", "n_jobs", "solver"} <= names
    model = make(dual=False, n_jobs=2, intercept_scaling=3.0, penalty="l2", solver="saga")
    copy = clone(model).set_params(n_jobs=4)
    assert (copy.n_jobs, copy.intercept_scaling, copy.penalty, copy.solver) == (4, 3.0, "l2", "saga")


@pytest.mark.parametrize(("solver", "said"), [
    ("auto", "the fit failed to converge"), ("lbfgs", "lbfgs failed to converge"),
    ("newton-cg", r"newton-cg failed to converge.*Increase the number of iterations"),
    ("newton-cholesky", "Newton solver did not converge after 1 iterations"),
    ("saga", "The max_iter was reached which means the coef_ did not converge"),
])
def test_failures_begin_as_in_scikit_learn(solver, said):
    with pytest.warns(ConvergenceWarning, match=said):
        LogisticRegression(solver=solver, max_iter=1, tol=1e-12).fit(X, Y)


@pytest.mark.parametrize(("X", "y", "said"), [
    (X, Y[:-1], "Found input variables with inconsistent numbers of samples: "),
    (X, np.where(np.arange(len(Y)) == 3, np.nan, Y), "Input y contains NaN"),
    (X, np.where(np.arange(len(Y)) == 3, np.inf, Y), "Input y contains infinity"),
    (np.where(X > 3, np.nan, X), Y, "Input X contains NaN"),
])
def test_key_phrases_of_errors(X, y, said):
    for make in (LogisticRegression, LogisticRegressionCV, Peer):
        with pytest.raises(ValueError, match=said):
            make().fit(X, y)


@of_1_9
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("l1_ratios", [None, (0,)])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("refit", [True, False])
def test_shapes_of_a_search(legacy, l1_ratios, classes, refit):
    from sklearn.linear_model import LogisticRegressionCV as PeerCV

    rows = np.isin(Y3, range(classes))
    params = {"Cs": [0.01, 1.0], "cv": 3, "use_legacy_attributes": legacy, "l1_ratios": l1_ratios, "refit": refit,
              "scoring": "neg_log_loss", "max_iter": 500, "fit_intercept": False, "tol": 1e-6}
    model, peer = LogisticRegressionCV(**params).fit(X3[rows], Y3[rows]), PeerCV(**params).fit(X3[rows], Y3[rows])
    for name in ("C_", "l1_ratio_", "l1_ratios_", "n_iter_", "coef_", "Cs_"):
        if name == "l1_ratios_" and l1_ratios is None:  # array(None) in the peer
            continue
        assert np.shape(getattr(model, name)) == np.shape(getattr(peer, name)), name
    for name in ("scores_", "coefs_paths_"):
        ours, theirs = getattr(model, name), getattr(peer, name)
        if legacy:
            assert ours.keys() == theirs.keys()
            ours, theirs = (np.array(list(d.values())) for d in (ours, theirs))
        np.testing.assert_allclose(ours, theirs, rtol=0.02, atol=0.02)
    assert type(model.C_) is type(peer.C_)
    np.testing.assert_allclose(model.C_, peer.C_)


def test_a_search_of_its_own_shapes_has_no_axis_of_ratios():
    model = LogisticRegressionCV(Cs=[0.1, 1.0], cv=3).fit(X3, Y3)
    assert model.scores_.shape == model.n_iter_.shape == (3, 2)
    assert not hasattr(model, "l1_ratio_")
