r"""
A logistic neuron
=================

The lecture's first model: 100 points of two features, one neuron, 30 steps of gradient descent with all points at once.
"""

# %%
# The points are ``lecture/toydata.txt`` of the folder that ``FASTLR_DATA`` names; without it, two clouds like those.

import os
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import fastlr
from fastlr.plotting import DecisionBoundaryDisplay, TrainingCurveDisplay

path = Path(os.environ.get("FASTLR_DATA", ""), "lecture", "toydata.txt")
if path.is_file():
    table = np.loadtxt(path)
    X, y = table[:, :2], table[:, 2].astype(int)
else:
    y = np.repeat([0, 1], 50)
    X = np.random.default_rng(0).normal(np.array([[-0.9, -0.9], [0.9, 0.9]])[y], 0.8)

order = np.arange(len(y))
np.random.RandomState(123).shuffle(order)
test, train = order[:25], order[25:]

# %%
# The learning rule: with :math:`a = \sigma(w^\top x + b)`, each step adds :math:`\eta \sum_i (y_i - a_i)\, x_i` to the
# weights. Standardisation is part of the model, so that predictions take the points as they are.

scaling = {"shift": X[train].mean(axis=0), "scale": 1 / X[train].std(axis=0)}
neuron = fastlr.Trainer("sigmoid", learning_rate=0.1, epochs=30, batch_size=None, reduction="sum")
neuron.fit(X[train], y[train], validation_data=(X[test], y[test]), **scaling)

print("weights", neuron.coef_[0].round(4), "bias", neuron.intercept_[0].round(4))
print(f"test accuracy {neuron.score(X[test], y[test]):.0%}")

# %%
# The cost falls, and the boundary is the line where :math:`w^\top x + b = 0`.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
TrainingCurveDisplay.from_estimator(neuron, measures=["loss"], ax=left)
DecisionBoundaryDisplay.from_estimator(neuron, X, y, ax=right)
left.set_title("Cost by epoch")
right.set_title("Decision boundary")
plt.show()
