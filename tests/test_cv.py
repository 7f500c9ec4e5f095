"""LogisticRegressionCV: every fold's models are those of its training rows alone."""

import numpy as np
import pytest
from problems import drawn_classes
from sklearn.model_selection import KFold, PredefinedSplit, StratifiedKFold

import fastlr
from fastlr import LogisticRegression, LogisticRegressionCV

CS = [0.01, 1.0, 30.0]
TIGHT = 1e-10


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
    X, y, _ = drawn_classes(k=k)
    model = LogisticRegressionCV(CS, tol=TIGHT, fit_intercept=fit_intercept).fit(X, y)
    assert model.coefs_paths_.shape == (5, 3, 1 if k == 2 else 3, 6 + fit_intercept)
    assert_fits_of_training_rows(model, X, y, StratifiedKFold(5).split(X, y), fit_intercept=fit_intercept)
    whole = LogisticRegression(model.C_, tol=TIGHT, fit_intercept=fit_intercept).fit(X, y)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.objective_, whole.objective_, rtol=1e-9)
    assert model.suboptimality_ <= TIGHT


@pytest.mark.parametrize("k", [2, 4])
def test_weights_of_rows_and_classes(k):
    X, y, rng = drawn_classes(k=k)
    weight = rng.integers(0, 4, len(y)).astype(float)
    options = {"class_weight": "balanced", "scale": 0.5, "shift": 1.0, "penalty_factors": [1, 2, 0.5, 1, 3, 1]}
    model = LogisticRegressionCV(CS, tol=TIGHT, **options).fit(X, y, weight)
    assert_fits_of_training_rows(model, X, y, StratifiedKFold(5).split(X, y), weight=weight, **options)


def test_class_weights_of_a_dict_and_offsets():
    X, y, rng = drawn_classes()
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
    X, y, rng = drawn_classes()
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
    X, y, _ = drawn_classes(n=n, d=d, k=k)
    X = X.astype(np.float32)
    model = LogisticRegressionCV([1e-3, 1e-2, 0.1, 1.0], cv=3, tol=1e-7).fit(X, y)
    assert_fits_of_training_rows(model, X, y, StratifiedKFold(3).split(X, y), tol=1e-9, rtol=1e-2)
    assert model.suboptimality_ <= 1e-7


@pytest.mark.parametrize(("n", "d", "k"), [(300, 6, 3), (20_000, 12, 2), (6000, 30, 3), (3000, 150, 8)])
def test_features_that_vary_in_held_out_rows_only_tell_a_fold_nothing(n, d, k):
    X, y, _ = drawn_classes(n=n, d=d, k=k)
    X = X.astype(np.float32)
    X[:, 2], X[:, 3] = 0, 7
    X[[1, 5, 9], 2] = X[3, 3] = 1  # all in the rows that fold 0 holds out
    model = LogisticRegressionCV([0.01, 1.0, 100.0], cv=KFold(4), scoring="neg_log_loss").fit(X, y)
    assert not model.coefs_paths_[0][:, :, [2, 3]].any()
    assert model.coefs_paths_[1][:, :, [2, 3]].all()


def test_more_classes_and_folds_than_sums_made_at_once():
    X, y, _ = drawn_classes(n=4500, d=40, k=8)
    X = X.astype(np.float32)
    model = LogisticRegressionCV([1e-2], cv=9, tol=1e-7).fit(X, y)
    assert_fits_of_training_rows(model, X, y, StratifiedKFold(9).split(X, y), tol=1e-9, rtol=1e-2)


def test_rows_that_train_twice_count_twice():
    X, y, rng = drawn_classes(k=2)
    train = rng.integers(0, 250, 250)
    model = LogisticRegressionCV(CS, cv=[(train, np.arange(250, 300))], tol=TIGHT).fit(X, y)
    assert_fits_of_training_rows(model, X, y, [(train, None)])


@pytest.mark.parametrize("k", [2, 4])
def test_same_bits_for_any_number_of_threads(k):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 100)).astype(np.float32)
    y = (X @ rng.normal(size=(100, k)) + rng.gumbel(size=(20_000, k)) * 5).argmax(axis=1)
    one, three = (LogisticRegressionCV([1e-4, 1e-2, 1.0], cv=3, n_threads=n).fit(X, y) for n in (1, 3))
    np.testing.assert_array_equal(one.coefs_paths_, three.coefs_paths_)
    np.testing.assert_array_equal(one.oof_decision_function_, three.oof_decision_function_)


def test_wide_data():
    X, y, _ = drawn_classes(n=60, d=6, k=2)
    rng = np.random.default_rng(1)
    X = X @ rng.normal(size=(6, 1200)) + rng.normal(size=(60, 1200))
    model = LogisticRegressionCV([1e-3, 1.0], cv=3, tol=1e-8).fit(X, y)
    assert_fits_of_training_rows(model, X, y, StratifiedKFold(3).split(X, y), tol=1e-9, rtol=1e-3)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cholesky", "newton-cg"])
def test_named_solvers(solver):
    X, y, _ = drawn_classes(k=3)
    model = LogisticRegressionCV(CS, solver=solver, tol=1e-9, cv=3).fit(X, y)
    assert_fits_of_training_rows(model, X, y, StratifiedKFold(3).split(X, y), tol=1e-9, rtol=1e-3)


def test_no_iterations_leave_the_start():
    X, y, _ = drawn_classes(k=3)
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


def test_a_fixed_validation_part():
    X, y, _ = drawn_classes(k=3)
    part = np.where(np.arange(300) % 4 == 1, 0, -1)
    model = LogisticRegressionCV(cv=PredefinedSplit(part), tol=1e-9).fit(X, y)
    assert model.scores_.shape == (1, 10)
    train = np.flatnonzero(part == -1)
    assert_fits_of_training_rows(model, X, y, [(train, None)], tol=1e-9, rtol=1e-3)
    whole = LogisticRegression(model.C_, tol=1e-9).fit(X, y)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-3, atol=1e-3)
    assert model.suboptimality_ <= 1e-9
