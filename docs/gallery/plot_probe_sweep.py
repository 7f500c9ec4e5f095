"""
A linear probe: choosing C
==========================

Embeddings of a frozen network, float16, and a sweep of C on a fixed validation part.
"""

# %%
# The embeddings are made here: each class has a centre in a subspace, and there is noise around it. They are read as
# they are; no part of them is converted in memory.

import numpy as np
from matplotlib import pyplot as plt
from sklearn.model_selection import PredefinedSplit

from fastlr import LogisticRegressionCV

rng = np.random.default_rng(0)
n, d, n_classes, rank = 4000, 64, 8, 16
y = rng.integers(0, n_classes, n)
centres = rng.normal(size=(n_classes, rank)) * 0.45
X = ((centres[y] + rng.normal(size=(n, rank))) @ rng.normal(size=(rank, d)) + rng.normal(size=(n, d)))
X = (X * np.geomspace(1, 0.02, d)).astype(np.float16)

X, y, X_test, y_test = X[:3000], y[:3000], X[3000:], y[3000:]
part = np.where(np.arange(3000) < 2400, -1, 0)  # -1: always in training

# %%
# Each fit begins at the solution of its neighbour. The log loss tells more about C than accuracy does.

probe = LogisticRegressionCV(np.logspace(-6, 2, 25), cv=PredefinedSplit(part), scoring="neg_log_loss", tol=1e-3)
probe.fit(X, y)
print(f"{len(probe.Cs_)} values of C in {probe.n_passes_:.0f} passes over X; the best is {probe.C_:.3g}")
print(f"test accuracy {np.mean(probe.predict(X_test) == y_test):.3f}")

figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
axes.semilogx(probe.Cs_, -probe.scores_[0], marker="o", color="#1f4e79")
axes.axvline(probe.C_, color="#d1495b", linestyle="--", label=f"C = {probe.C_:.2g}")
axes.set_xlabel("C")
axes.set_ylabel("log loss of the validation part")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
plt.show()
