"""LogisticRegressionCV: every fold's models are those of its training rows alone, and scores are scikit-learn's."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegressionCV as SklearnCV
from sklearn.metrics import accuracy_score, get_scorer, log_loss, make_scorer, roc_auc_score
from sklearn.model_selection import KFold, PredefinedSplit, RepeatedKFold, ShuffleSplit, StratifiedKFold

import fastlr
from fastlr import LogisticRegression, LogisticRegressionCV

CS = [0.01, 1.0, 30.0]
TIGHT = 1e-10


def problem(n=300, d=6, k=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.geomspace(0.3, 4, d) + np.linspace(-2, 5, d)
    W = rng.normal(size=(k, d))
    y = ((X - X.mean(axis=0)) @ W.T + rng.gumbel(size=(n, k)) * 2).argmax(axis=1)
    return X, y, rng


def assert_fits_of_training_rows(model, X, y, splits, *, weight=None, offset=None, rtol=1e-4, **options):
    """Each fold's path is that of fits on X[train]."""
    options = {"tol": TIGHT, **options}
    for i, (train, _) in enumerate(splits):
        for j, C in enumerate(model.Cs_):
            own = LogisticRegression(C, **options).fit(
                X[train], y[train], None if weight is None else weight[train],
                offset=None if offset is None else offset[train],
            )
            path = model.coefs_paths_[i, j]
            expected = np.column_stack([own.coef_, own.intercept_]) if own.fit_intercept else own.coef_
            np.testing.assert_allclose(path, expected, rtol=rtol, atol=3 * rtol * np.abs(expected).max())


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_folds_are_fits_of_their_training_rows(k, fit_intercept):
    X, y, _ = problem(k=k)
    model = LogisticRegressionCV(CS, tol=TIGHT, fit_intercept=fit_intercept).fit(X, y)
    assert model.coefs_paths_.shape == (5, 3, 1 if k == 2 else 3, 6 + fit_intercept)
    assert_fits_of_training_rows(model, X, y, StratifiedKFold(5).split(X, y), fit_intercept=fit_intercept)
    whole = LogisticRegression(model.C_, tol=TIGHT, fit_intercept=fit_intercept).fit(X, y)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.objective_, whole.objective_, rtol=1e-9)
    assert model.suboptimality_ <= TIGHT


@pytest.mark.parametrize("k", [2, 4])
def test_weights_of_rows_and_classes(k):
    X, y, rng = problem(k=k)
    weight = rng.integers(0, 4, len(y)).astype(float)
    options = {"class_weight": "balanced", "scale": 0.5, "shift": 1.0, "penalty_factors": [1, 2, 0.5, 1, 3, 1]}
    model = LogisticRegressionCV(CS, tol=TIGHT, **options).fit(X, y, weight)
    assert_fits_of_training_rows(model, X, y, StratifiedKFold(5).split(X, y), weight=weight, **options)


def test_class_weights_of_a_dict_and_offsets():
    X, y, rng = problem()
    names = np.array(["a", "b", "c"])[y]
    offset = rng.normal(size=(300, 3))
    options = {"class_weight": {"a": 2.0, "c": 0.3}}
    model = LogisticRegressionCV(CS, cv=3, tol=TIGHT, **options).fit(X, names, offset=offset)
    splits = list(StratifiedKFold(3).split(X, y))
    assert_fits_of_training_rows(model, X, names, splits, offset=offset, **options)
    best = LogisticRegression(model.C_, tol=TIGHT, **options)
    for train, test in splits:
        logits = best.fit(X[train], names[train], offset=offset[train]).decision_function(X[test], offset=offset[test])
        np.testing.assert_allclose(model.oof_decision_function_[test], logits, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["labels", "classes", "two classes"])
def test_target_matrices(kind):
    X, y, rng = problem()
    if kind == "labels":
        Y = np.column_stack([y == 0, X[:, 0] + rng.normal(size=300) > -2])
    else:
        Y = rng.dirichlet(np.ones(2 if kind == "two classes" else 3), 300)
    options = {"targets": "labels" if kind == "labels" else "classes"}
    model = LogisticRegressionCV(CS, tol=TIGHT, **options).fit(X, Y)
    splits = list((KFold(5)).split(X))
    assert_fits_of_training_rows(model, X, Y, splits, **options)
    for i, (train, test) in enumerate(splits):
        own = LogisticRegression(1.0, tol=TIGHT, **options).fit(X[train], Y[train])
        assert model.scores_[i, 1] == own.score(X[test], Y[test])


@pytest.mark.parametrize("dtype", ["float16", "uint8", "float32"])
def test_large_x_of_small_types_is_computed_as_it_is(dtype):
    rng = np.random.default_rng(0)
    n, d = 60_000, 12
    X = rng.integers(0, 200, (n, d)) * np.linspace(0.3, 1, d)
    y = (X @ rng.normal(size=(d, 3)) / 60 + rng.gumbel(size=(n, 3))).argmax(axis=1)
    X = X.astype(dtype)
    model = LogisticRegressionCV([1e-4, 1e-2], cv=3, scale=1 / 200, tol=1e-5).fit(X, y)
    assert_fits_of_training_rows(model, X, y, StratifiedKFold(3).split(X, y), scale=1 / 200, tol=1e-6, rtol=0.02)
    assert (model.scores_ > 0.5).all()


@pytest.mark.parametrize("targets", ["labels", "probabilities"])
def test_many_rows_of_two_classes_need_few_passes(targets):
    rng = np.random.default_rng(0)
    n, d = 20_000, 12
    X = (rng.normal(size=(n, d)) * np.linspace(0.3, 1, d) + 2).astype(np.float32)
    offset, weight = rng.normal(size=n), rng.uniform(0.5, 2, n)
    y = ((X - 2) @ rng.normal(size=d) + 0.3 + offset + rng.logistic(size=n) > 0).astype(int)
    soft = np.column_stack([1 - y, y]) * 0.8 + 0.1
    Y = y if targets == "labels" else soft
    folds = KFold(4, shuffle=True, random_state=0)
    model = LogisticRegressionCV(np.logspace(-4, 3, 8), cv=folds, targets="classes").fit(X, Y, weight, offset=offset)
    assert model.n_passes_ < 80  # for 33 models, of which one alone takes about 7
    for i, (train, test) in enumerate(folds.split(X)):
        p = (y if targets == "labels" else soft[:, 1])[train]

        def objective(w, b, C, p=p, train=train):
            z = X[train].astype(float) @ w + b + offset[train]
            loss = np.logaddexp(0, z) - p * z
            return np.average(loss, weights=weight[train]) + w @ w / (2 * C * weight[train].sum())

        for j, C in enumerate(model.Cs_):
            own = LogisticRegression(C, targets="classes", tol=1e-9).fit(X[train], Y[train], weight[train],
                                                                         offset=offset[train])
            W = model.coefs_paths_[i, j, 0]
            least = objective(own.coef_[0], own.intercept_[0], C)
            assert least * (1 - 1e-9) <= objective(W[:-1], W[-1], C) <= least * (1 + 1e-4)
            if C == model.C_:
                Z = own.decision_function(X[test], offset=offset[test])
                np.testing.assert_allclose(model.oof_decision_function_[test], Z, atol=0.1)


@pytest.mark.parametrize(("n", "d", "k"), [(6000, 10, 3), (3000, 150, 8)])
def test_fits_that_share_a_curvature(n, d, k):
    """Whole Hessians of up to 1000 parameters, class blocks beyond; neither is made where problems are tiny."""
    X, y, _ = problem(n=n, d=d, k=k)
    X = X.astype(np.float32)
    model = LogisticRegressionCV([1e-3, 1e-2, 0.1, 1.0], cv=3, tol=1e-7).fit(X, y)
    assert_fits_of_training_rows(model, X, y, StratifiedKFold(3).split(X, y), tol=1e-9, rtol=1e-2)
    assert model.suboptimality_ <= 1e-7


@pytest.mark.parametrize(("n", "d", "k"), [(300, 6, 3), (20_000, 12, 2), (6000, 30, 3), (3000, 150, 8)])
def test_features_that_vary_in_held_out_rows_only_tell_a_fold_nothing(n, d, k):
    X, y, _ = problem(n=n, d=d, k=k)
    X = X.astype(np.float32)
    X[:, 2], X[:, 3] = 0, 7
    X[[1, 5, 9], 2] = X[3, 3] = 1  # all in the rows that fold 0 holds out
    model = LogisticRegressionCV([0.01, 1.0, 100.0], cv=KFold(4), scoring="neg_log_loss").fit(X, y)
    assert not model.coefs_paths_[0][:, :, [2, 3]].any()
    assert model.coefs_paths_[1][:, :, [2, 3]].all()


def test_more_classes_and_folds_than_sums_made_at_once():
    X, y, _ = problem(n=4500, d=40, k=8)
    X = X.astype(np.float32)
    model = LogisticRegressionCV([1e-2], cv=9, tol=1e-7).fit(X, y)
    assert_fits_of_training_rows(model, X, y, StratifiedKFold(9).split(X, y), tol=1e-9, rtol=1e-2)


def test_scores_and_choice_are_those_of_scikit_learn():
    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    for scoring in (None, "neg_log_loss", "roc_auc", "balanced_accuracy"):
        Cs = np.logspace(-4, 1, 6)  # beyond, probabilities round to 1, and scikit-learn clips their logarithms
        model = LogisticRegressionCV(Cs, scoring=scoring, tol=1e-9).fit(X, y)
        other = SklearnCV(Cs=Cs, scoring=scoring, tol=1e-9, solver="newton-cholesky", l1_ratios=(0,),
                          use_legacy_attributes=False).fit(X, y)
        np.testing.assert_allclose(model.scores_, other.scores_[:, 0], atol=1e-4)
        assert model.C_ == other.C_
        assert model.coefs_paths_.shape == other.coefs_paths_[:, 0].shape
        np.testing.assert_allclose(model.coef_, other.coef_, atol=5e-3)
        np.testing.assert_allclose(model.score(X, y), other.score(X, y), atol=1e-4)
        np.testing.assert_array_equal(model.Cs_, other.Cs_)


def test_sample_weights_reach_the_scorer():
    X, y, rng = problem()
    weight = rng.uniform(0, 3, 300)
    splits = list(StratifiedKFold(5).split(X, y))
    for scoring in ("accuracy", "neg_log_loss", "f1_macro"):
        model = LogisticRegressionCV([1.0], scoring=scoring, tol=1e-9).fit(X, y, weight)
        for i, (train, test) in enumerate(splits):
            own = LogisticRegression(1.0, tol=1e-9).fit(X[train], y[train], weight[train])
            expected = get_scorer(scoring)(own, X[test], y[test], sample_weight=weight[test])
            assert model.scores_[i, 0] == pytest.approx(expected, abs=1e-5)


def test_a_scorer_of_ones_own_sees_a_classifier_and_the_rows_held_out():
    X, y, _ = problem(k=2)
    names = np.array(["no", "yes"])[y]
    seen = []

    def scorer(estimator, X_held, y_held):
        seen.append((estimator.C, X_held.copy(), y_held.copy()))
        assert estimator.classes_.tolist() == ["no", "yes"]
        np.testing.assert_allclose(estimator.decision_function(X_held), X_held @ estimator.coef_[0] +
                                   estimator.intercept_[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(estimator.predict(X_held), estimator.predict(X_held.copy()))
        return estimator.score(X_held, y_held)

    folds = KFold(4, shuffle=True, random_state=0)
    model = LogisticRegressionCV([1.0, 0.1], cv=folds, scoring=scorer).fit(X, names)
    plain = LogisticRegressionCV([1.0, 0.1], cv=folds).fit(X, names)
    np.testing.assert_array_equal(model.scores_, plain.scores_)
    tests = [test for _, test in folds.split(X)]
    assert [C for C, _, _ in seen] == [0.1] * 4 + [1.0] * 4
    for (_, X_held, y_held), test in zip(seen, tests * 2, strict=True):
        np.testing.assert_array_equal(X_held, X[test])
        np.testing.assert_array_equal(y_held, names[test])


def test_out_of_fold_logits():
    X, y, _ = problem(k=2)
    model = LogisticRegressionCV(scoring="neg_log_loss", cv=4).fit(X, y)
    Z = model.oof_decision_function_
    assert Z.shape == (300,)
    best = model.Cs_.tolist().index(model.C_)
    for i, (_, test) in enumerate(StratifiedKFold(4).split(X, y)):
        W = model.coefs_paths_[i, best, 0]
        np.testing.assert_allclose(Z[test], X[test] @ W[:-1] + W[-1], rtol=1e-8, atol=1e-10)
        assert model.scores_[i, best] == pytest.approx(-log_loss(y[test], 1 / (1 + np.exp(-Z[test]))))
    assert roc_auc_score(y, Z) > 0.7


def test_rows_held_out_twice_or_never():
    X, y, _ = problem(k=3)
    twice = LogisticRegressionCV([0.3], cv=RepeatedKFold(n_splits=3, n_repeats=2, random_state=0)).fit(X, y)
    splits = list(RepeatedKFold(n_splits=3, n_repeats=2, random_state=0).split(X))
    expected = np.zeros((300, 3))
    for i, (_, test) in enumerate(splits):
        W = twice.coefs_paths_[i, 0]
        expected[test] += (X[test] @ W[:, :-1].T + W[:, -1]) / 2
    np.testing.assert_allclose(twice.oof_decision_function_, expected, rtol=1e-8, atol=1e-9)
    once = LogisticRegressionCV([0.3], cv=ShuffleSplit(1, test_size=0.2, random_state=0)).fit(X, y)
    (_, test), = ShuffleSplit(1, test_size=0.2, random_state=0).split(X)
    held_out = np.zeros(300, bool)
    held_out[test] = True
    np.testing.assert_array_equal(np.isnan(once.oof_decision_function_).any(axis=1), ~held_out)


def test_logits_that_are_too_many_are_not_kept(monkeypatch):
    from fastlr import linear_model_cv
    from fastlr._search import member
    from fastlr.model import rows_folds

    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 8)).astype(np.float32)
    y = (X[:, 0] + rng.logistic(size=20_000) > 0).astype(int)
    kept = LogisticRegressionCV(cv=3).fit(X, y)
    for module in (member, linear_model_cv, rows_folds):
        monkeypatch.setattr(module, "KEPT_VALUES", 1000)
    model = LogisticRegressionCV(cv=3).fit(X, y)
    assert model.oof_decision_function_ is None
    np.testing.assert_array_equal(model.scores_, kept.scores_)
    np.testing.assert_allclose(model.coef_, kept.coef_, rtol=1e-12)


def test_a_fixed_validation_part():
    X, y, _ = problem(k=3)
    part = np.where(np.arange(300) % 4 == 1, 0, -1)
    model = LogisticRegressionCV(cv=PredefinedSplit(part), tol=1e-9).fit(X, y)
    assert model.scores_.shape == (1, 10)
    train = np.flatnonzero(part == -1)
    assert_fits_of_training_rows(model, X, y, [(train, None)], tol=1e-9, rtol=1e-3)
    whole = LogisticRegression(model.C_, tol=1e-9).fit(X, y)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-3, atol=1e-3)
    assert model.suboptimality_ <= 1e-9


def test_rows_that_train_twice_count_twice():
    X, y, rng = problem(k=2)
    train = rng.integers(0, 250, 250)
    model = LogisticRegressionCV(CS, cv=[(train, np.arange(250, 300))], tol=TIGHT).fit(X, y)
    assert_fits_of_training_rows(model, X, y, [(train, None)])


def test_without_refit_the_folds_are_averaged():
    X, y, _ = problem(k=3)
    model = LogisticRegressionCV(CS, refit=False, cv=4, scoring="neg_log_loss").fit(X, y)
    best = model.scores_.argmax(axis=1)
    assert np.mean(model.Cs_[best]) == model.C_
    np.testing.assert_allclose(model.coef_, np.mean(
        [model.coefs_paths_[i, j, :, :-1] for i, j in enumerate(best)], axis=0), rtol=1e-12)
    np.testing.assert_allclose(model.intercept_, np.mean(
        [model.coefs_paths_[i, j, :, -1] for i, j in enumerate(best)], axis=0), rtol=1e-12)
    assert not hasattr(model, "objective_")
    again = model.set_params(refit=True).fit(X, y)
    assert again.objective_ > 0
    assert not hasattr(again.set_params(refit=False).fit(X, y), "suboptimality_")


def test_values_of_c_keep_their_order_and_the_first_of_equals_is_chosen():
    X, y, _ = problem(k=2)
    model = LogisticRegressionCV([10.0, 0.1, 1.0, 0.1], cv=3).fit(X, y)
    up = LogisticRegressionCV([0.1, 1.0, 10.0], cv=3).fit(X, y)
    np.testing.assert_array_equal(model.scores_, up.scores_[:, [2, 0, 1, 0]])
    assert model.Cs_.tolist() == [10.0, 0.1, 1.0, 0.1]
    first = model.scores_.sum(axis=0).argmax()
    assert model.Cs_[first] == model.C_
    same = LogisticRegressionCV([5.0, 0.5], cv=3, scoring=lambda *_: 1.0).fit(X, y)
    assert same.C_ == 5.0


def test_auto_grows_until_the_best_is_inside():
    X, y, _ = problem(n=400, k=2)
    for target in (3e-4, 1e4):
        def scorer(estimator, X, y, target=target):
            return -abs(np.log(estimator.C / target))

        model = LogisticRegressionCV("auto", cv=2, scoring=scorer).fit(X, y)
        assert abs(np.log10(model.C_ / target)) <= 0.25 + 1e-9
        assert model.Cs_.min() < model.C_ < model.Cs_.max()
        assert (np.diff(model.Cs_) > 0).all()


@pytest.mark.parametrize(("direction", "end"), [(1, 1e6), (-1, 1e-6)])
def test_auto_ends(direction, end):
    X, y, _ = problem(n=100, k=2)
    model = LogisticRegressionCV("auto", cv=2, scoring=lambda m, X, y: direction * m.C, tol=0.1).fit(X, y)
    assert pytest.approx(end) == model.C_


@pytest.mark.parametrize("k", [2, 4])
def test_same_bits_for_any_number_of_threads(k):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 100)).astype(np.float32)
    y = (X @ rng.normal(size=(100, k)) + rng.gumbel(size=(20_000, k)) * 5).argmax(axis=1)
    one, three = (LogisticRegressionCV([1e-4, 1e-2, 1.0], cv=3, n_threads=n).fit(X, y) for n in (1, 3))
    np.testing.assert_array_equal(one.coefs_paths_, three.coefs_paths_)
    np.testing.assert_array_equal(one.oof_decision_function_, three.oof_decision_function_)


def test_wide_data():
    X, y, _ = problem(n=60, d=6, k=2)
    rng = np.random.default_rng(1)
    X = X @ rng.normal(size=(6, 1200)) + rng.normal(size=(60, 1200))
    model = LogisticRegressionCV([1e-3, 1.0], cv=3, tol=1e-8).fit(X, y)
    assert_fits_of_training_rows(model, X, y, StratifiedKFold(3).split(X, y), tol=1e-9, rtol=1e-3)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cholesky", "newton-cg"])
def test_named_solvers(solver):
    X, y, _ = problem(k=3)
    model = LogisticRegressionCV(CS, solver=solver, tol=1e-9, cv=3).fit(X, y)
    assert_fits_of_training_rows(model, X, y, StratifiedKFold(3).split(X, y), tol=1e-9, rtol=1e-3)


def test_no_iterations_leave_the_start():
    X, y, _ = problem(k=3)
    with pytest.warns(UserWarning, match="fits ended short of tol"):
        model = LogisticRegressionCV(CS, max_iter=0, cv=3).fit(X, y)
    with pytest.warns(UserWarning, match="ended after 0 iterations"):
        plain = LogisticRegression(max_iter=0).fit(X, y)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    np.testing.assert_allclose(model.intercept_, plain.intercept_, atol=1e-12)
    assert (model.n_iter_ == 1).all()


def test_fewer_passes_than_fits_on_their_own():
    X, y = fastlr.datasets.load_digits()
    Cs = [1e-3, 1e-2, 0.1]
    model = LogisticRegressionCV(Cs, scale=1 / 16, cv=4).fit(X, y)
    alone = 4 * sum(LogisticRegression(C, scale=1 / 16).fit(X, y).n_passes_ for C in Cs)
    assert isinstance(model.n_passes_, float)
    assert model.n_passes_ < 0.7 * alone


def test_metrics_of_scikit_learn_take_what_the_classifier_says():
    X, y = load_iris(return_X_y=True)
    scorer = make_scorer(accuracy_score)
    model = LogisticRegressionCV(Cs=3, scoring=scorer).fit(X, y)
    np.testing.assert_array_equal(model.scores_, LogisticRegressionCV(Cs=3).fit(X, y).scores_)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "uint8"])
@pytest.mark.parametrize("k", [1, 3, 40])
def test_blocks_of_rows_without_weight_add_nothing_to_passes(dtype, k):
    """Held-out rows that follow each other are not read: sums are those of the others."""
    rng = np.random.default_rng(0)
    n, d = 9001, 33
    X = rng.integers(0, 100, (n, d)).astype(dtype)
    y, loss = (rng.integers(0, 2, n), "sigmoid") if k == 1 else (rng.integers(0, k, n), "softmax")
    W, b = rng.normal(size=(k, d)) * 0.01, rng.normal(size=k)
    for start, stop in [(0, 4000), (2500, 7013), (6000, 9001), (1, 9000)]:
        weight = rng.uniform(0.5, 2, n)
        weight[start:stop] = 0
        some = weight > 0
        whole = fastlr.loss_and_grad(X, W, b, y, loss=loss, sample_weight=weight)
        part = fastlr.loss_and_grad(X[some], W, b, y[some], loss=loss, sample_weight=weight[some])
        for found, expected in zip(whole, part, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
