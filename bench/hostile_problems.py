"""Problems that are hard on a fit's arithmetic: `problem(seed)` is the same for the same seed, on every machine.

Each begins as an ordinary problem and is then afflicted by some of `AFFLICTIONS`: scales up to 10^300, outliers,
constant and duplicated columns, weights, offsets and targets of all kinds, separable classes, far rows with the wrong
label.  Most are small, so that a judge in long double (judge.py) can solve them; one in LARGE has enough values that
fits compute in X's own type.
"""

from dataclasses import dataclass, field

import ml_dtypes
import numpy as np

LARGE = 60
DTYPES = ("float64", "float64", "float64", "float32", "float16", "bfloat16", "uint8", "int8", "int16", "int32", "int64",
          "bool", "uint16")
TOLS = (1e-4, 1e-4, 1e-2, 1e-6, 1e-8)
SOLVERS = ("auto", "auto", "auto", "lbfgs", "newton-cholesky", "newton-cg")


@dataclass
class Problem:
    """The arguments of `LogisticRegression(**options).fit(X, y, **data)`, and what was done to them."""

    X: np.ndarray
    y: np.ndarray
    options: dict = field(default_factory=dict)
    data: dict = field(default_factory=dict)
    story: list = field(default_factory=list)


def problem(seed):
    """The hostile problem of a seed."""
    rng = np.random.default_rng([seed, 18])
    large = rng.random() < 1 / LARGE
    n, d, k = _shape(rng, large)
    kind = rng.choice(["binary", "softmax", "labels", "soft"], p=[0.4, 0.3, 0.15, 0.15])
    X = rng.normal(size=(n, d))
    W = rng.normal(size=(k, d)) * rng.choice([0.1, 1, 5])
    p = Problem(X, None, story=[f"{n} x {d}, {kind}"])
    if large:
        p.options["tol"] = float(rng.choice([1e-3, 1e-4, 1e-6]))
        dtype = rng.choice(["float32", "float32", "uint8", "float64"])
    else:
        p.options["tol"] = float(rng.choice(TOLS))
        dtype = rng.choice(DTYPES)
    p.options |= {"fit_intercept": bool(rng.random() < 0.75), "solver": str(rng.choice(SOLVERS)), "n_threads": 1}
    p.y = _targets(rng, X, W, kind, k)
    rates = rng.choice([0.05, 0.15, 0.4])
    for affliction in AFFLICTIONS:
        if rng.random() < rates:
            affliction(rng, p)
    _penalty(rng, p)
    p.X = _as_dtype(rng, p, dtype)
    return p


def _shape(rng, large):
    k = int(rng.choice([2, 3, 3, 4, 7, 12]))
    if large:
        n = int(rng.choice([6000, 30000]))
        return n, int(np.ceil(540_000 / n)) + int(rng.integers(5)), min(k, 4)
    n = int(rng.choice([2, 3, 5, 10, 40, 100, 300, 782]))
    return n, int(rng.choice([1, 1, 2, 3, 5, 8, 12, max(1, min(2 * n, 40))])), k


def _targets(rng, X, W, kind, k):
    Z = X @ W.T + rng.gumbel(size=(len(X), k)) * rng.choice([0.0, 0.5, 1.0, 3.0])
    if kind == "binary":
        y = (Z[:, 0] > Z[:, 1]).astype(int)
        if len(set(y.tolist())) < 2:
            y[0] = 1 - y[0]
        return y
    if kind == "softmax":
        y = Z.argmax(axis=1)
        if len(set(y.tolist())) < 2:
            y[0] = (y[0] + 1) % k
        return y
    if kind == "labels":
        Y = (Z > 0).astype(float)
        if rng.random() < 0.4:
            Y[:, rng.integers(k)] = rng.integers(2)
        return Y
    Y = rng.dirichlet(np.full(k, rng.choice([0.05, 0.3, 2.0])), len(X))
    Y[rng.choice([0.0, 0.05, 0.2]) > Y] = 0
    Y[Y.sum(axis=1) == 0, 0] = 1
    return Y / Y.sum(axis=1, keepdims=True)


# ---- afflictions: each changes a problem in place and says so -------------------------------------------------------
def _column_scales(rng, p):
    decades = rng.choice([3, 8, 20, 100])
    p.X = p.X * 10.0 ** rng.uniform(-decades, decades, p.X.shape[1])
    p.story.append(f"columns times 10^+-{decades}")


def _means(rng, p):
    size = 10.0 ** rng.uniform(0, 9)
    p.X = p.X + size * rng.normal(size=p.X.shape[1]) * np.abs(p.X).max(axis=0)
    p.story.append(f"means {size:.0e} times the values")


def _duplicates(rng, p):
    d = p.X.shape[1]
    for _ in range(rng.integers(1, 3)):
        a, b = rng.integers(d, size=2)
        p.X[:, a] = p.X[:, b] * rng.choice([1.0, 3.0, 1e-8, -2.5, 1 / 3])
    p.story.append("scaled copies of columns")


def _sum_of_columns(rng, p):
    p.X[:, -1] = p.X[:, :-1].sum(axis=1)
    p.story.append("a column the sum of others")


def _constant(rng, p):
    p.X[:, rng.integers(p.X.shape[1])] = rng.choice([0.1, 1 / 3, 1e10, 1.0, 0.0, 1e-200])
    p.story.append("a constant column")


def _nearly_constant(rng, p):
    column = np.full(len(p.X), rng.choice([1.0, 0.0, 1e6]))
    column[rng.integers(len(column))] += rng.choice([1.0, 1e-6])
    p.X[:, rng.integers(p.X.shape[1])] = column
    p.story.append("a column constant but for a row")


def _outlier(rng, p):
    p.X[rng.integers(len(p.X)), rng.integers(p.X.shape[1])] = rng.choice([9_999_999_999.0, 1e4, -1e15, 1e7])
    p.story.append("an outlier")


def _separable(rng, p):
    if p.y.ndim == 1:
        p.X[:, 0] = p.X[:, 0] + 10.0 * p.y
        p.story.append("separable")


def _quasi_separable(rng, p):
    if p.y.ndim == 1:
        p.X[:, 0] = np.where(rng.random(len(p.X)) < 0.5, 0.0, p.y - 0.5 * (p.y.max()))
        p.story.append("quasi-separable in a column")


def _far_mislabelled(rng, p):
    i = rng.integers(len(p.X))
    p.X[i] *= 10.0 ** rng.integers(1, 6)
    if p.y.ndim == 1 and np.sum(p.y == p.y[i]) > 1:
        p.y[i] = (p.y[i] + 1) % (p.y.max() + 1)
    p.story.append("a far row mislabelled")


def _rare_class(rng, p):
    if p.y.ndim == 1 and len(p.X) > 4:
        classes = np.unique(p.y)
        p.y[:] = classes[0]
        p.y[: len(classes)] = classes
        p.story.append("one row a class but the first")


def _weights(rng, p):
    n = len(p.X)
    kind = rng.integers(8)
    w = rng.exponential(size=n)
    if kind == 0:
        w = 1.0 * rng.integers(0, 3, n)
    elif kind == 1:
        w *= 10.0 ** rng.uniform(-300, 300)
    elif kind == 2:
        w *= 10.0 ** rng.uniform(-12, 12, n)
    elif kind == 3:
        w[rng.integers(n)] *= 1e15
    elif kind == 4:
        w[:] = 1e300 / n
    elif kind == 5:
        w *= 10.0 ** rng.uniform(-300, 0, n)
    elif kind == 6:
        w[rng.integers(n)] = 1e-200
    if p.y.ndim == 1:
        for c in np.unique(p.y):
            if not w[p.y == c].any():
                w[p.y == c] = w.max()
    if not w.any():
        w[:] = 1
    p.data["sample_weight"] = w
    p.story.append(f"weights of kind {kind}")


def _offset(rng, p):
    k = 1 if p.y.ndim == 1 and len(np.unique(p.y)) == 2 else len(np.unique(p.y)) if p.y.ndim == 1 else p.y.shape[1]
    if p.y.ndim == 2 and k == 2 and not ((p.y == 0) | (p.y == 1)).all():
        k = 1
    size = rng.choice([1.0, 30.0, 1e4])
    offset = size * rng.normal(size=(len(p.X), k))
    p.data["offset"] = offset.ravel() if k == 1 else offset
    p.story.append(f"offset of {size:g}")


def _overall_scale(rng, p):
    """Of X, with `scale` undoing it in half of the cases."""
    size = 10.0 ** rng.uniform(-300, 300) if rng.random() < 0.5 else 10.0 ** rng.uniform(-20, 20)
    with np.errstate(over="ignore", under="ignore"):
        X = p.X * size
    if not np.isfinite(X).all():
        return
    p.X = X
    if rng.random() < 0.5:
        p.options["scale"] = 1 / size
    p.story.append(f"X times {size:.0e}{', scale undoes it' if 'scale' in p.options else ''}")


def _scale_shift(rng, p):
    d = p.X.shape[1]
    if rng.random() < 0.5:
        p.options["shift"] = rng.normal(size=d) * np.abs(p.X).max(axis=0)
    if rng.random() < 0.5 and "scale" not in p.options:
        p.options["scale"] = 10.0 ** rng.uniform(-6, 6, d) * rng.choice([-1.0, 0.0, 1.0], d, p=[0.3, 0.05, 0.65])
    p.story.append("scale and shift")


def _factors(rng, p):
    d = p.X.shape[1]
    kind = rng.integers(4)
    factors = rng.exponential(size=d)
    if kind == 0:
        factors[rng.random(d) < 0.5] = 0
    elif kind == 1:
        factors *= 10.0 ** rng.uniform(-30, 2, d)
    elif kind == 2:
        factors[:] = 0
    else:
        factors *= 10.0 ** rng.uniform(-3, 12, d)
    p.options["penalty_factors"] = factors
    p.story.append(f"penalty factors of kind {kind}")


AFFLICTIONS = (_column_scales, _means, _duplicates, _sum_of_columns, _nearly_constant, _separable, _quasi_separable,
               _far_mislabelled, _outlier, _constant, _rare_class, _weights, _offset, _overall_scale, _scale_shift,
               _factors)


def _penalty(rng, p):
    kind = rng.choice(["1", "decades", "inf", "any"], p=[0.3, 0.35, 0.25, 0.1])
    C = {"1": 1.0, "decades": 10.0 ** rng.uniform(-4, 6), "inf": np.inf, "any": 10.0 ** rng.uniform(-300, 300)}[kind]
    p.options["C"] = float(C)
    p.story.append(f"C={C:.3g}")


def _as_dtype(rng, p, name):
    """X in a dtype that may hold it less well, never with infinities."""
    X, dtype = p.X, np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
    p.story.append(name)
    if name == "float64":
        layout = rng.integers(3)
        return np.asfortranarray(X) if layout == 1 else np.repeat(X, 2, axis=0)[::2] if layout == 2 else X
    if name == "bool":
        return X > 0
    if name.startswith(("int", "uint")):
        size = np.abs(X).max()
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        factor = 1.0 if 10 < size < high else min(high, 100) / size if size > 0 else 1.0
        return np.clip(np.nan_to_num(np.round(X * factor)), low, min(high, 2**62)).astype(dtype)
    largest = float(ml_dtypes.finfo(dtype).max)
    with np.errstate(all="ignore"):
        return np.clip(X, -largest, largest).astype(dtype)
