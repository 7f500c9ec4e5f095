"""
Iris: three classes and their coefficients
==========================================

Softmax regression of Fisher's iris, fitted to a proved distance from the optimum.
"""

# %%
# A data frame's names come along.

from matplotlib import pyplot as plt
from sklearn.datasets import load_iris

from fastlr import LogisticRegression
from fastlr.plotting import CoefficientsDisplay, DecisionBoundaryDisplay, TrainingCurveDisplay

iris = load_iris(as_frame=True)
X, y = iris.data, iris.target_names[iris.target]

model = LogisticRegression(shift=X.mean(), scale=1 / X.std()).fit(X, y)
print(f"accuracy {model.score(X, y):.3f}")
print(f"proved: (F - F*) / F* <= {model.suboptimality_:.1e}, after {model.n_passes_:g} passes over X")

# %%
# In the plane of the petals; the sepals are held at their means.

DecisionBoundaryDisplay.from_estimator(model, X, y, features=(2, 3))
plt.show()

# %%
# What speaks for each class. The features are standardised, so that coefficients can be compared.

CoefficientsDisplay.from_estimator(model)
plt.show()

# %%
# How L-BFGS got there: the objective, and the bound that is proved at each iteration. The fit ends when the bound is
# below ``tol``. (scikit-learn 1.9 or later has the callbacks that this takes.)

lbfgs = LogisticRegression(shift=X.mean(), scale=1 / X.std(), solver="lbfgs", tol=1e-6)
if hasattr(lbfgs, "set_callbacks"):
    display = TrainingCurveDisplay.from_estimator(lbfgs, X, y)
    display.axes_[1].axhline(lbfgs.tol, color="#666666", linestyle=":")
    plt.show()
