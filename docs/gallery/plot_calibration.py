"""
Calibration: are the probabilities right?
=========================================

A model with few rows is surer of its own rows than it should be. scikit-learn's tools show it, and logits of
leave-one-out mend it.
"""

# %%
# Many features and few rows: the model has learnt its training rows by heart.

from matplotlib import pyplot as plt
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss

from fastlr import LogisticRegression

X, y = make_classification(20_000, 60, n_informative=8, n_redundant=10, flip_y=0.1, class_sep=0.7, random_state=0)
X, X_test, y, y_test = X[:300], X[300:], y[:300], y[300:]
model = LogisticRegression(C=10, leave_one_out=True).fit(X, y)
print(f"accuracy on its own rows {model.score(X, y):.3f}, leave-one-out {model.loo_score_:.3f}, "
      f"test {model.score(X_test, y_test):.3f}")

# %%
# Platt scaling: a second model of one feature, the logit of each row by a model that has not seen the row. These logits
# come with the fit; ``CalibratedClassifierCV`` makes them by fits on folds.

platt = LogisticRegression(C=float("inf")).fit(model.loo_decision_function_[:, None], y)
by_folds = CalibratedClassifierCV(LogisticRegression(C=10), cv=5, ensemble=False).fit(X, y)

probabilities = {
    "as fitted": model.predict_proba(X_test)[:, 1],
    "leave-one-out": platt.predict_proba(model.decision_function(X_test)[:, None])[:, 1],
    "folds": by_folds.predict_proba(X_test)[:, 1],
}
for name, p in probabilities.items():
    print(f"{name:14s} test log loss {log_loss(y_test, p):.4f}")

# %%
# On the diagonal, of rows with probability p a share of p belongs to the class.

figure, axes = plt.subplots(figsize=(6, 5.4), layout="constrained")
for name, p in probabilities.items():
    CalibrationDisplay.from_predictions(y_test, p, n_bins=12, strategy="quantile", name=name, ax=axes)
plt.show()
