"""How a LogisticRegression's fit goes: convergence, separation, warm starts, callbacks, progress, Ctrl-C, threads."""

import os
import re
import signal
import warnings

import numpy as np
import pytest
from fastlr.bench.judge import Judge
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from fastlr import LogisticRegression

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def test_what_a_fit_publishes(cancer):
    model = LogisticRegression().fit(*cancer)
    assert model.coef_.shape == (1, 30)
    assert model.intercept_.shape == (1,)
    assert model.coef_.dtype == model.intercept_.dtype == np.float64
    assert model.n_iter_.shape == (1,)
    assert model.n_iter_[0] >= 1
    assert 0 <= model.suboptimality_ <= 1e-4
    assert isinstance(model.objective_, float)
    assert (LogisticRegression(fit_intercept=False).fit(*cancer).intercept_ == 0).all()


def test_tol_is_the_same_for_all_solvers(cancer):
    best = float(Judge(*cancer, {}, {}).optimum())
    for solver in ("auto", "lbfgs", "newton-cholesky", "newton-cg"):
        for tol in (1e-2, 1e-4, 1e-6):
            model = LogisticRegression(tol=tol, solver=solver).fit(*cancer)
            assert model.suboptimality_ <= tol
            assert best * (1 - 1e-12) <= model.objective_ <= best * (1 + tol)


def test_a_fit_that_ends_early_says_how_far_it_got(cancer):
    enough = LogisticRegression(tol=1e-9, solver="lbfgs").fit(*cancer).n_iter_[0]
    short = LogisticRegression(tol=1e-9, solver="lbfgs", max_iter=int(enough) - 1)
    with pytest.warns(ConvergenceWarning, match=rf"after {enough - 1} iterations.*raise max_iter") as caught:
        short.fit(*cancer)
    assert caught[0].filename == __file__
    achieved = float(re.search(r"within ([\d.e+-]+) of the optimum", str(caught[0].message)).group(1))
    assert achieved == pytest.approx(short.suboptimality_, rel=0.1)
    assert short.suboptimality_ > 1e-9
    with pytest.warns(ConvergenceWarning, match="how far it is from the optimum is not known"):
        LogisticRegression(C=np.inf, max_iter=1, solver="lbfgs").fit(cancer[0][:, :2], cancer[1])


@pytest.mark.parametrize("shape", ["binary", "three classes", "labels"])
def test_separable_data_without_a_penalty(shape):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2 if shape == "binary" else 3, 60)
    X = np.eye(3)[y] + 0.1 * rng.random((60, 3))
    target = np.eye(3)[y] if shape == "labels" else y
    with pytest.warns(ConvergenceWarning, match="the classes are separable.*use a finite C"):
        model = LogisticRegression(C=np.inf).fit(X, target)
    assert model.score(X, target) == 1.0
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "newton-cholesky", "newton-cg"])
def test_a_fit_of_separable_rows_ends_when_the_loss_is_rounding(solver):
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 90)
    X = np.eye(3)[y] + 0.1 * rng.random((90, 3))
    weight = np.where(np.arange(90) == 7, 1e-200, 1.0)  # of this row the mean loss tells nothing
    with pytest.warns(ConvergenceWarning, match="the classes are separable"):
        model = LogisticRegression(C=np.inf, solver=solver, max_iter=10**6).fit(X, y, sample_weight=weight)
    assert model.objective_ < 1e-15
    assert model.n_iter_[0] < 100


@pytest.mark.filterwarnings("error")
def test_no_penalty_on_data_that_overlap():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = (X[:, 0] + 2 * rng.normal(size=200) > 0).astype(int)
    model = LogisticRegression(C=np.inf, tol=1e-9).fit(X, y)
    assert model.suboptimality_ <= 1e-9
    residual = model.predict_proba(X)[:, 1] - y
    np.testing.assert_allclose(np.column_stack([X, np.ones(200)]).T @ residual / 200, 0, atol=1e-5)


@pytest.mark.filterwarnings("error")
def test_labels_that_never_or_always_occur():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    some = X[:, 0] + rng.normal(size=80) > 0
    model = LogisticRegression().fit(X, np.column_stack([some, np.zeros(80), np.ones(80)]))
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities[:, 0], LogisticRegression().fit(X, some).predict_proba(X)[:, 1], atol=0.02)
    np.testing.assert_allclose(probabilities[:, 1:], np.tile([0, 1], (80, 1)), atol=1e-4)


@pytest.mark.filterwarnings("error")
def test_unpenalised_features():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 2))
    y = (X @ [1, 1] + 2 * rng.normal(size=200) > 0).astype(int)
    model = LogisticRegression(C=1e-4, penalty_factors=[0, 1]).fit(X, y)
    assert abs(model.coef_[0, 0]) > 0.3
    assert abs(model.coef_[0, 1]) < 0.02


def test_warm_start(cancer):
    X, y = cancer
    model = LogisticRegression(warm_start=True, tol=1e-6, solver="lbfgs").fit(X, y)
    cold = model.n_iter_[0]
    assert model.set_params(C=1.01).fit(X, y).n_iter_[0] < cold
    with pytest.raises(ValueError, match=r"warm_start: the last fit has coef_ of shape \(1, 30\)"):
        model.fit(X[:, :5], y)
    model.set_params(warm_start=False).fit(X[:, :5], y)


def test_threads_never_change_the_result(cancer):
    fits = [LogisticRegression(n_threads=n).fit(*cancer) for n in (1, 2, 5)]
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.coef_, fits[0].coef_)
        assert fit.n_iter_ == fits[0].n_iter_


class Recorder:
    """A callback that keeps what it is told and ends the fit after some iterations."""

    def __init__(self, n_iterations=None):
        self.n_iterations = n_iterations
        self.begun, self.ended, self.scores, self.reached, self.torn_down = [], [], [], [], False

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.ended.append(context.task_name)
        self.scores.append(fitted_estimator.score(X, y))
        if context.task_name == "iteration":
            self.reached.append((fitted_estimator.objective_, fitted_estimator.suboptimality_,
                                 fitted_estimator.n_passes_, fitted_estimator.n_iter_[0]))
        return len(self.ended) == self.n_iterations

    def teardown(self, estimator, context):
        self.torn_down = True


def test_callbacks_follow_the_iterations():
    X, y = load_iris(return_X_y=True)
    recorder = Recorder()
    model = LogisticRegression(solver="lbfgs").set_callbacks(recorder).fit(X, y)
    n = model.n_iter_[0]
    assert n > 1
    assert recorder.begun == ["fit"] + ["iteration"] * n
    assert recorder.ended == ["iteration"] * n + ["fit"]
    assert recorder.scores[-1] == recorder.scores[-2] == model.score(X, y)
    assert recorder.torn_down
    values, gaps, passes, iterations = map(list, zip(*recorder.reached, strict=True))
    assert iterations == list(range(1, n + 1))
    assert values == sorted(values, reverse=True)
    assert gaps == sorted(gaps, reverse=True)
    assert passes == sorted(passes)
    assert (values[-1], passes[-1]) == (pytest.approx(model.objective_, rel=1e-12), model.n_passes_)
    np.testing.assert_array_equal(model.coef_, LogisticRegression(solver="lbfgs").fit(X, y).coef_)


@pytest.mark.parametrize("shape", [(400, 300), (300, 800)])  # the second is solved in the span of the rows
def test_a_fit_ends_in_time(shape):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=shape), rng.integers(0, 5, shape[0])
    model = LogisticRegression(C=10, tol=1e-12, max_time=1e-9)
    with pytest.warns(ConvergenceWarning, match=r"reached max_time.*Raise max_time \(1e-09 s\)"):
        model.fit(X, y)
    assert model.n_iter_[0] <= 1
    assert np.isfinite(model.objective_)
    assert model.predict(X).shape == y.shape
    enough = LogisticRegression(C=10, max_time=1e9).fit(X, y)
    np.testing.assert_array_equal(enough.coef_, LogisticRegression(C=10).fit(X, y).coef_)
    assert enough.suboptimality_ <= 1e-4 < model.suboptimality_


@pytest.mark.parametrize("max_time", [0, -1.0, np.nan, "1", True])
def test_times_that_are_none(max_time):
    with pytest.raises(ValueError, match=r"max_time is .*; expected None or a positive number of seconds"):
        LogisticRegression(max_time=max_time).fit(np.eye(2), [0, 1])


def test_a_callback_ends_the_fit():
    X, y = load_iris(return_X_y=True)
    recorder = Recorder(n_iterations=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LogisticRegression(solver="lbfgs", tol=1e-10).set_callbacks(recorder).fit(X, y)
    assert recorder.ended == ["iteration", "iteration", "fit"]
    assert model.suboptimality_ > 1e-10
    assert model.predict(X).shape == (150,)


def test_scikit_learns_own_callbacks(capsys):
    X, y = load_iris(return_X_y=True)
    monitor = callback.ScoringMonitor(scoring="accuracy")
    model = LogisticRegression(solver="lbfgs").set_callbacks(monitor).fit(X, y)
    assert model.n_iter_[0] <= len(monitor.get_logs().data) <= model.n_iter_[0] + 1
    pytest.importorskip("rich", reason="rich is not installed")
    LogisticRegression().set_callbacks(callback.ProgressBar()).fit(X, y)
    assert "LogisticRegression - fit" in capsys.readouterr().out


def test_a_callback_that_fails_leaves_the_model_as_it_was():
    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("enough")

    X, y = load_iris(return_X_y=True)
    model = LogisticRegression().fit(X, y)
    coef = model.coef_
    failing = Failing()
    with pytest.raises(RuntimeError, match="enough"):
        model.set_callbacks(failing).fit(X[:, :2], y)
    assert failing.torn_down
    assert model.coef_ is coef
    assert model.n_features_in_ == 4


def test_progress_on_stderr(capsys):
    X, y = load_iris(return_X_y=True)
    LogisticRegression(verbose=1, solver="lbfgs").fit(X, y)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 1
    assert all(re.fullmatch(r"iteration \d+/1000  objective [\d.e-]+  suboptimality \S+", line) for line in lines)


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_ctrl_c_leaves_the_model_so_far(cancer):
    class Interrupting(Recorder):
        def on_fit_task_end(self, estimator, context):
            if context.task_name == "iteration":
                os.kill(os.getpid(), signal.SIGINT)

    model = LogisticRegression(solver="lbfgs", tol=1e-12).set_callbacks(Interrupting())
    with pytest.raises(KeyboardInterrupt, match=r"interrupted.*The model is usable. warm_start=True goes on from"):
        model.fit(*cancer)
    assert model.score(*cancer) > 0.9
