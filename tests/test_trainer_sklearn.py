"""Trainer among scikit-learn's tools: its own checks of an estimator, none expected to fail, pipelines and searches."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction import FeatureHasher
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from fastlr import Trainer

X, Y = load_iris(return_X_y=True)
Y2 = (Y == 2).astype(int)


# the check of class weights wants a model that has converged; in batches of single rows a weight is no
# repetition, as the mean over such a batch leaves nothing of it
@parametrize_with_checks([Trainer(epochs=500), Trainer("sigmoid", epochs=500),
                          Trainer(epochs=500, batch_size=None, momentum=0.9)])
def test_estimator_check(estimator, check):
    check(estimator)


def test_what_it_says_of_itself():
    trainer = Trainer()
    assert is_classifier(trainer)
    with pytest.raises(NotFittedError, match="this Trainer has no model yet; call fit or partial_fit first"):
        trainer.predict(X)
    with pytest.raises(NotFittedError):
        check_is_fitted(trainer)
    check_is_fitted(trainer.fit(X, Y))
    assert not hasattr(Trainer("squared_error"), "predict_proba")
    assert Trainer.predict_proba.__doc__.startswith("Probabilities")


def test_in_a_search_through_a_pipeline():
    pipe = make_pipeline(StandardScaler(), Trainer(epochs=20, batch_size=16, random_state=0))
    search = GridSearchCV(pipe, {"trainer__learning_rate": [1e-4, 0.5], "trainer__momentum": [0.0, 0.5]}, cv=3)
    search.fit(X, Y)
    assert search.best_params_["trainer__learning_rate"] == 0.5
    assert search.best_score_ > 0.9
    assert search.predict_proba(X).shape == (150, 3)
    assert cross_val_score(clone(search.best_estimator_), X, Y2, cv=3, scoring="roc_auc").min() > 0.9


def test_in_a_pipeline_of_strings():
    strings = [[f"class={label}", f"row={i}"] for i, label in enumerate(Y)]
    pipe = make_pipeline(FeatureHasher(1024, input_type="string"), Trainer(optimizer="ftrl", l1=0.1, random_state=0))
    assert pipe.fit(strings, Y).score(strings, Y) == 1


def test_decisions_of_two_classes():
    trainer = Trainer(epochs=5, random_state=0).fit(X, Y2)
    z = trainer.decision_function(X)
    np.testing.assert_allclose(z, (X @ trainer.coef_.T + trainer.intercept_) @ [-1, 1], rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(z > 0, trainer.predict(X) == 1)
    labels = Trainer("sigmoid", epochs=5, random_state=0).fit(X, np.column_stack([Y2, Y2]))
    assert labels.decision_function(X).shape == (150, 2)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_class_weights_multiply_those_of_the_rows(make, reduction):
    weight, by_class = np.linspace(0.5, 2, 150), {0: 2.0, 1: 1.0, 2: 0.25}
    rule = {"epochs": 3, "batch_size": 16, "reduction": reduction, "learning_rate": 0.01, "random_state": 0}
    one = Trainer(class_weight=by_class, **rule).fit(make(X), Y, weight).partial_fit(make(X), Y, sample_weight=weight)
    rows = weight * np.array([2.0, 1.0, 0.25])[Y]
    other = Trainer(**rule).fit(make(X), Y, rows).partial_fit(make(X), Y, sample_weight=rows)
    np.testing.assert_array_equal(one.coef_, other.coef_)
    assert one.history_["loss"] == other.history_["loss"]


def test_balanced_class_weights():
    balanced = dict(enumerate(compute_class_weight("balanced", classes=np.array([0, 1]), y=Y2)))
    one, other = (Trainer(class_weight=w, epochs=3, random_state=0).fit(X, Y2) for w in ("balanced", balanced))
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-12)
    with pytest.raises(ValueError, match=r"class_weight is 'balanced' in partial_fit.*expected None or a dict"):
        one.partial_fit(X, Y2)
    with pytest.raises(ValueError, match="class_weight is 3; expected None, 'balanced' or a dict"):
        Trainer(class_weight=3).fit(X, Y2)
