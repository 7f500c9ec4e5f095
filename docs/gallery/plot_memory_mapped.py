"""
Data in a file: memory-mapped X
===============================

X may lie on disk as a ``.npy`` file. A fit reads its pages and makes no copy; for several files, or rows that a program
makes, there is ``RowBlocks``.
"""

# %%
# A file of float16 features, written in pieces.

import tempfile
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from fastlr import LogisticRegression, RowBlocks

folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "features.npy")
n, d = 100_000, 100
rng = np.random.default_rng(0)
w = rng.normal(size=d) / 3
y = np.empty(n, bool)
X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(n, d))
for start in range(0, n, 10_000):
    rows = slice(start, start + 10_000)
    X[rows] = rng.normal(size=(10_000, d))
    y[rows] = X[rows] @ w + rng.logistic(size=10_000) > 0
X.flush()
print(f"{path.stat().st_size / 1e6:.0f} MB")

# %%
# The file is opened, not loaded.

X = np.load(path, mmap_mode="r")
model = LogisticRegression().fit(X, y)
print(f"{model.n_passes_:.1f} passes over the file, (F - F*) / F* <= {model.suboptimality_:.1e}")

# %%
# The weights that made the data are found again.

figure, axes = plt.subplots(figsize=(4.8, 4.4), layout="constrained")
axes.scatter(w, model.coef_[0], s=16, color="#1f4e79")
axes.axline((0, 0), slope=1, color="#d1495b", linewidth=1)
axes.set_xlabel("weight that made the data")
axes.set_ylabel("coefficient of the fit")
axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# The same from several files, whose rows need not fit in memory together.

half = n // 2
np.save(Path(folder.name, "a.npy"), X[:half])
np.save(Path(folder.name, "b.npy"), X[half:])
blocks = RowBlocks.from_npy([Path(folder.name, name) for name in ("a.npy", "b.npy")], y)
again = LogisticRegression().fit(blocks)
print("the same coefficients, bit for bit:", np.array_equal(model.coef_, again.coef_))

del X, blocks
folder.cleanup()
