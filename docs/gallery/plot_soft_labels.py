"""
Soft labels: targets that are probabilities
===========================================

Where several people have judged each row, the share of votes is a better target than the winner.
"""

# %%
# Ten judges look at each point, and their votes follow the true probabilities.

import numpy as np
from matplotlib import pyplot as plt

import fastlr
from fastlr import LogisticRegression
from fastlr.plotting import DecisionBoundaryDisplay

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 2)) * 1.5
W, b = np.array([[1.0, 0.4], [-0.9, 0.6], [0.1, -1.0]]), np.array([0.2, 0.0, -0.2])
true = fastlr.softmax(X @ W.T + b)
votes = np.array([rng.multinomial(10, p) for p in true])

# %%
# ``targets="classes"`` says that rows of y are shares of classes that exclude each other.

hard = LogisticRegression(C=10).fit(X, votes.argmax(axis=1))
soft = LogisticRegression(C=10, targets="classes").fit(X, votes / 10)

X_test = rng.normal(size=(10_000, 2)) * 1.5
true = fastlr.softmax(X_test @ W.T + b)
for name, model in (("hard", hard), ("soft", soft)):
    print(f"{name}: cross-entropy {fastlr.cross_entropy(model.decision_function(X_test), true):.4f}")
print(f"of the true probabilities {fastlr.cross_entropy(X_test @ W.T + b, true):.4f}")

# %%
# The model of the winners is too sure of itself: its colours change within a narrow band.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", sharey=True)
for ax, name, model in ((axes[0], "the winner of the votes", hard), (axes[1], "shares of votes", soft)):
    DecisionBoundaryDisplay.from_estimator(model, X, votes.argmax(axis=1), ax=ax)
    ax.set_title(f"Trained on {name}")
plt.show()
