"""LogisticRegressionCV over l1_ratios and C: fits of the training rows, scikit-learn's shapes and choices."""

import numpy as np
import pytest
from problems import drawn_classes
from sklearn.linear_model import LogisticRegressionCV as PeerCV
from sklearn.model_selection import StratifiedKFold
from test_foreign import of_1_9

from fastlr import LogisticRegression, LogisticRegressionCV

X, Y, _ = drawn_classes()
PARAMS = {"Cs": [0.02, 0.2, 1.0], "l1_ratios": np.array([0.0, 0.5, 1.0]), "cv": 3, "scoring": "neg_log_loss"}


@pytest.mark.parametrize("y", [Y, (Y > 0).astype(int)], ids=["softmax", "binary"])
def test_folds_are_fits_of_their_training_rows(y):
    model = LogisticRegressionCV(**PARAMS, tol=1e-9).fit(X, y)
    k = 1 if y.max() == 1 else 3
    assert model.scores_.shape == model.n_iter_.shape == (3, 3, 3)
    assert model.coefs_paths_.shape == (3, 3, 3, k, X.shape[1] + 1)
    for i, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        for r, l1_ratio in enumerate(PARAMS["l1_ratios"]):
            for j, C in enumerate(PARAMS["Cs"]):
                own = LogisticRegression(C, l1_ratio=l1_ratio, tol=1e-9).fit(X[train], y[train])
                np.testing.assert_allclose(model.coefs_paths_[i, r, j, :, :-1], own.coef_, atol=1e-3)
                P = own.predict_proba(X[test])[np.arange(len(test)), y[test]]
                assert model.scores_[i, r, j] == pytest.approx(np.log(P).mean(), abs=1e-4)
    r, j = np.unravel_index(model.scores_.mean(axis=0).argmax(), (3, 3))
    assert (model.l1_ratio_, model.C_) == (PARAMS["l1_ratios"][r], PARAMS["Cs"][j])
    best = LogisticRegression(model.C_, l1_ratio=model.l1_ratio_, tol=1e-9).fit(X, y)
    np.testing.assert_allclose(model.coef_, best.coef_, atol=1e-3)
    assert model.suboptimality_ <= 1e-9
    for train, test in StratifiedKFold(3).split(X, y):
        fold = LogisticRegression(model.C_, l1_ratio=model.l1_ratio_, tol=1e-9).fit(X[train], y[train])
        np.testing.assert_allclose(model.oof_decision_function_[test], fold.decision_function(X[test]), atol=1e-2)


@of_1_9
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("y", [Y, (Y > 0).astype(int)], ids=["softmax", "binary"])
def test_shapes_and_choices_are_scikit_learns(legacy, refit, y):
    params = PARAMS | {"use_legacy_attributes": legacy, "refit": refit, "solver": "saga"}
    model = LogisticRegressionCV(**params, tol=1e-6).fit(X, y)
    peer = PeerCV(**params, tol=1e-6, max_iter=5000, random_state=0).fit(X, y)
    for name in ("n_iter_", "coef_", "Cs_", "l1_ratios_"):
        assert np.shape(getattr(model, name)) == np.shape(getattr(peer, name)), name
    for name in ("C_", "l1_ratio_"):
        np.testing.assert_allclose(getattr(model, name), getattr(peer, name))
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=0.01)
    for name in ("scores_", "coefs_paths_"):
        ours, theirs = getattr(model, name), getattr(peer, name)
        if legacy:
            assert ours.keys() == theirs.keys()
            ours, theirs = (np.array(list(d.values())) for d in (ours, theirs))
        assert ours.shape == theirs.shape
        coefs = np.s_[..., :-1] if name == "coefs_paths_" else ...  # the peer's intercepts share a free constant
        np.testing.assert_allclose(ours[coefs], theirs[coefs], atol=0.02)


def test_what_does_not_go_together():
    with pytest.raises(ValueError, match=r"Cs='auto' with l1_ratios=.*a grid of its own"):
        LogisticRegressionCV("auto", l1_ratios=(0, 1)).fit(X, Y)
    with pytest.raises(ValueError, match=r"cv='loo' with l1_ratios of 0\.5: .* smooth penalty"):
        LogisticRegressionCV(cv="loo", l1_ratios=(0.5,)).fit(X, Y)
    with pytest.raises(ValueError, match="Solver lbfgs supports only 'l2' or None penalties"):
        LogisticRegressionCV(l1_ratios=(0, 1), solver="lbfgs").fit(X, Y)


def test_one_ratio_of_an_open_grid():
    model = LogisticRegressionCV("auto", l1_ratios=(1,), cv=3, scoring="neg_log_loss").fit(X, Y)
    assert model.scores_.shape == (3, 1, len(model.Cs_))
    assert model.l1_ratio_ == 1
    assert model.C_ in model.Cs_


def test_the_ratio_is_one_that_was_tried():
    model = LogisticRegressionCV([0.1], l1_ratios=[0.7], cv=3).fit(X, Y)
    assert model.l1_ratio_ in model.l1_ratios_
