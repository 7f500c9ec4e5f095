"""The switch: scikit-learn's classes fitted by fastlr, what they leave to scikit-learn, and the way back."""

import inspect
import logging
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest
import sklearn.linear_model
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import _logistic as peers
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils import compute_class_weight

import fastlr
from fastlr.patch import estimators

X, Y = load_breast_cancer(return_X_y=True)
X = scale(X[:, :6])
X3, Y3 = load_iris(return_X_y=True)
BALANCED = {"class_weight": "balanced"} if "sample_weight" in inspect.signature(compute_class_weight).parameters else {}
OWN = peers.LogisticRegression, peers.LogisticRegressionCV


@pytest.fixture
def patched():
    fastlr.patch_sklearn()
    yield sklearn.linear_model
    fastlr.unpatch_sklearn()


@pytest.fixture
def said(caplog):
    """What the log says since, message by message."""
    with caplog.at_level(logging.INFO, "fastlr"):
        yield lambda: [record.getMessage() for record in caplog.records]


def test_there_and_back():
    module = types.ModuleType("a_module_that_imported_them")
    module.LR, module.other = peers.LogisticRegression, 3
    sys.modules[module.__name__] = module
    try:
        before = peers.LogisticRegression(C=2.0, tol=1e-7).fit(X, Y)
        for _ in range(2):
            fastlr.patch_sklearn()
            assert sklearn.linear_model.LogisticRegression is module.LR is estimators.LogisticRegression
            assert sklearn.linear_model.LogisticRegressionCV is estimators.LogisticRegressionCV
            assert sklearn.ensemble._stacking.LogisticRegression is estimators.LogisticRegression
        assert isinstance(before, module.LR)
        assert issubclass(peers.LogisticRegressionCV, module.LR)
        assert not isinstance(StandardScaler(), module.LR)
        assert type(pickle.loads(pickle.dumps(before))) is peers.LogisticRegression
        during = module.LR(C=2.0, tol=1e-7).fit(X, Y)
        for _ in range(2):
            fastlr.unpatch_sklearn()
            assert (sklearn.linear_model.LogisticRegression, sklearn.linear_model.LogisticRegressionCV) == OWN
            assert module.LR is peers.LogisticRegression
            assert sklearn.ensemble._stacking.LogisticRegression is peers.LogisticRegression
        assert isinstance(during, peers.LogisticRegression)
        np.testing.assert_allclose(during.coef_, before.coef_, rtol=1e-3)
    finally:
        del sys.modules[module.__name__]


@pytest.mark.parametrize(("params", "X", "y"), [
    ({}, X, Y), ({"C": 0.1, "fit_intercept": False, "solver": "liblinear"}, X, Y), ({"C": np.inf}, X3[:, 1:2], Y3),
    ({**BALANCED, "solver": "newton-cg"}, X3, Y3), ({"solver": "sag", "max_iter": 10**4}, X, Y),
    ({}, X.tolist(), np.array(["no", "yes"])[Y]), ({"C": 0.1}, (X3 * 10).astype(np.uint8), Y3),
    ({"solver": "saga", "random_state": np.random.RandomState(0), "max_iter": 10**4}, X, Y),
], ids=range(8))
def test_fits_are_scikit_learns(patched, said, params, X, y):
    weight = np.linspace(0, 2, len(y))
    params = {"max_iter": 10**4, "tol": 1e-6, **params}
    ours = patched.LogisticRegression(**params).fit(X, y, sample_weight=weight)
    assert said() == ["LogisticRegression.fit: fastlr"]
    exact = {} if params.get("solver") == "liblinear" else {"solver": "newton-cg"}
    theirs = peers.LogisticRegression(**{**params, **exact, "tol": 1e-8}).fit(X, y, weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    for name, value in vars(theirs).items():
        assert type(getattr(ours, name)) is type(value), name
        if isinstance(value, np.ndarray):
            assert (getattr(ours, name).shape, getattr(ours, name).dtype) == (value.shape, value.dtype), name
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_searches_are_scikit_learns(patched, said):
    params = {"Cs": [0.01, 1.0], "cv": 3, "scoring": "neg_log_loss", "tol": 1e-6, "solver": "newton-cg"}
    for more in ({}, BALANCED, {"refit": False}):
        ours = patched.LogisticRegressionCV(**params, **more).fit(X3, Y3, sample_weight=np.linspace(0.5, 1, 150))
        theirs = peers.LogisticRegressionCV(**params, **more).fit(X3, Y3, np.linspace(0.5, 1, 150))
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(ours.C_, theirs.C_)
        for label in range(3):
            np.testing.assert_allclose(ours.scores_[label], theirs.scores_[label], rtol=1e-3)
            np.testing.assert_allclose(ours.coefs_paths_[label], theirs.coefs_paths_[label], rtol=1e-2, atol=1e-3)
    assert said() == ["LogisticRegressionCV.fit: fastlr"] * 3


def test_float32_coefficients(patched):
    model = patched.LogisticRegression().fit(X.astype(np.float32), Y)
    assert model.coef_.dtype == model.intercept_.dtype == model.predict_proba(X.astype(np.float32)).dtype == np.float32


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::FutureWarning",
                            "ignore:Inconsistent values")
@pytest.mark.parametrize(("params", "X", "why"), [
    ({"solver": "liblinear"}, X, "does not penalise the intercept"),
], ids=["liblinear"])
def test_the_rest_is_scikit_learns_own(patched, said, params, X, why):
    ours = patched.LogisticRegression(random_state=0, **params)
    ours.suboptimality_ = 0.0  # of an earlier fit
    ours.fit(X, Y)
    assert len(said()) == 1
    assert said()[0].startswith("LogisticRegression.fit: scikit-learn, as ")
    assert why in said()[0]
    theirs = peers.LogisticRegression(random_state=0, **params).fit(X, Y)
    np.testing.assert_array_equal(ours.coef_, theirs.coef_)
    assert not hasattr(ours, "suboptimality_")


L1_PENALTIES = [{"l1_ratio": 1}, {"l1_ratio": 0.5}]
if peers.LogisticRegression().penalty != "deprecated":  # scikit-learn before 1.8
    L1_PENALTIES = [{"penalty": "l1"}, {"penalty": "elasticnet", "l1_ratio": 0.5}]


@pytest.mark.parametrize("params", L1_PENALTIES, ids=str)
def test_l1_is_fastlrs(patched, said, params):
    ours = patched.LogisticRegression(solver="saga", tol=1e-5, **params).fit(X, Y)
    assert said() == ["LogisticRegression.fit: fastlr"]
    theirs = peers.LogisticRegression(solver="saga", tol=1e-8, max_iter=100_000, random_state=0, **params).fit(X, Y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    with pytest.raises(ValueError, match="Solver lbfgs supports only"):
        patched.LogisticRegression(solver="lbfgs", **params).fit(X, Y)


@pytest.mark.parametrize(("params", "y", "said_by_scikit_learn"), [
    ({"C": -1}, Y, "The 'C' parameter of LogisticRegression must be a float in the range"),
    ({}, np.zeros(len(X)), "needs samples of at least 2 classes"),
    ({}, Y[:-1], "Found input variables with inconsistent numbers of samples"),
    ({}, np.eye(2)[Y], r"y should be a 1d array, got an array of shape \(569, 2\) instead"),
    ({"dual": True}, Y, "Solver lbfgs supports only dual=False"),
])
def test_errors_are_scikit_learns(patched, params, y, said_by_scikit_learn):
    with pytest.raises(ValueError, match=said_by_scikit_learn):
        patched.LogisticRegression(**params).fit(X, y)


def test_in_scikit_learns_tools(patched, said):
    make = patched.LogisticRegression
    assert make().get_params() == peers.LogisticRegression().get_params()
    assert repr(make(C=3.0)) == "LogisticRegression(C=3.0)"
    assert type(clone(make(C=3.0))) is make
    search = GridSearchCV(make_pipeline(StandardScaler(), make()), {"logisticregression__C": [0.1, 1.0]}, cv=3)
    assert search.fit(X3, Y3).best_score_ > 0.9
    assert CalibratedClassifierCV(make(), cv=3).fit(X3, Y3).score(X3, Y3) > 0.9
    assert set(said()) == {"LogisticRegression.fit: fastlr"}
    model = make().fit(X3, Y3)
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is make
    np.testing.assert_array_equal(again.predict_proba(X3), model.predict_proba(X3))
    warm = make(warm_start=True, max_iter=1000).fit(X3, Y3)
    first = warm.n_iter_[0]
    assert warm.fit(X3, Y3).n_iter_[0] < first


def test_subclasses_of_users(patched):
    class Mine(patched.LogisticRegression):
        pass

    assert not isinstance(patched.LogisticRegression(), Mine)
    assert isinstance(Mine().fit(X, Y), patched.LogisticRegression)


SCRIPT = """
import sys
from sklearn.linear_model import LogisticRegression
from sklearn.datasets import load_iris
import beside
model = LogisticRegression(max_iter=1000).fit(*load_iris(return_X_y=True))
print(sys.argv[1:], hasattr(model, "suboptimality_"), __name__, beside.x)
"""


def test_script(tmp_path):
    (tmp_path / "beside.py").write_text("x = 7")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "fastlr.patch"]
    result = subprocess.run([*command, "-v", script, "-a", "b"], capture_output=True, text=True, timeout=120)
    assert result.stdout == "['-a', 'b'] True __main__ 7\n", result.stderr
    assert result.stderr == "fastlr: LogisticRegression.fit: fastlr\n"
    result = subprocess.run([*command, "-m", "script", "c"], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert result.stdout == "['c'] True __main__ 7\n", result.stderr
    assert result.stderr == ""
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stderr.startswith("usage: ")) == (2, True)


def test_verbose_reaches_the_processes_of_n_jobs(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("""
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

if __name__ == "__main__":
    GridSearchCV(LogisticRegression(max_iter=1000), {"C": [0.1, 1.0]}, cv=3, n_jobs=2).fit(*load_iris(return_X_y=True))
""")
    result = subprocess.run([sys.executable, "-m", "fastlr.patch", "-v", script], capture_output=True, text=True,
                            timeout=120)
    assert result.stderr.splitlines() == ["fastlr: LogisticRegression.fit: fastlr"] * 7  # of the folds, and of all rows
