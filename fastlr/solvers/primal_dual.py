"""Newton's method for small penalised problems, with the probabilities as variables of their own.

An optimum is a pair W, p with

    mean w (p - y) u' + alpha P W = 0,                p_i = activation(z_i),  z_i = W u_i + o_i.

Newton's method on p = activation(z) takes its curvature J(p) where W is: as a row's error vanishes, so does its weight,
and each step gains the row one unit of its logit.  Here the second condition is L(p) = z, L the inverse of the
activation (log p up to a constant, or log p - log(1 - p)).  Linearised, p' = p + J(p) (z' - L(p)), which makes the
first one a system for W':

    (mean w J(p) u u' + alpha P) (W' - W) = mean w (y - p - J(p) (z - L(p))) u' - alpha P W.

W' is taken whole; p' where it is a probability, else p times LEAST, so that a row's error may fall 300 fold in a
step, however small its slope.  Once no row is cut short, p' satisfies the first condition and is a dual point: its
bound on the optimal value (certificate.py) does not suffer from features that are hardly penalised.  Compare Chan
and others (1999), A nonlinear primal-dual method for total variation-based image restoration, which linearises the same
way, and primal-dual interior point methods (Boyd and Vandenberghe, Convex Optimization, section 11.7).

All that a step needs of a row depends on that row alone, so that each step is one pass over X.
"""

import numpy as np

from fastlr import _core
from fastlr.certificate import probability_bound
from fastlr.curvature import add_hessian, add_penalty
from fastlr.solvers.newton import factorised

LEAST = 3e-3
LOWEST = 1e-300  # probability: its logarithm is finite
FIRST = 1e-8  # probability at least, of a start: far from an optimum all slopes may vanish
MOST_STEPS = 100
MOST_VALUES = 1 << 21  # probabilities (n, k) that are kept
_ROW_VALUES = 1 << 20  # values of the rows that are standardised at a time


def serves(objective):
    """Whether the method applies: all features penalised, all classes present, probabilities that can be kept."""
    rate = objective.base_rate
    return (
        objective.loss != "squared_error"
        and objective.alpha * objective.factors.min(initial=1.0) > 0
        and objective.n * objective.k <= MOST_VALUES
        and rate.min() > 0
        and (objective.loss == "softmax" or rate.max() < 1)
    )


def primal_dual(objective, progress, w):
    """Minimise from w until `progress` is done; if MOST_STEPS are not enough, it has the gradient to go on."""
    p = _SoftmaxDual(objective) if objective.loss == "softmax" else _SigmoidDual(objective)
    rows, W = _Rows(objective), objective.by_class(w)
    for step in range(MOST_STEPS):
        value, bound, H, rhs = _pass(objective, rows, W, p, follow=step > 0)
        if not np.isfinite(value):
            break
        progress.keep(objective.flat(W), value, bound)
        if progress.stop():
            return
        W = W + factorised(objective, H)(rhs)
    progress.begin(w if progress.w is None else progress.w)


def _pass(objective, rows, W, p, *, follow):
    """F at W, the bound of the probabilities after they followed W, and the next system."""
    (k, D), d = W.shape, objective.d
    H = np.zeros((k, D, k, D))
    loss, entropy = 0.0, 0.0
    G, rest = np.zeros((2, k, D))
    for part, U, Y, offset, weight in rows:
        Z = U @ W.T + offset
        losses = p.losses(Z, Y)
        P = p.follow(part, Z) if follow else p.start(part, Z)
        R, lag = P - Y, p.lag(part, Z)
        entropies = p.entropies(part) + np.sum(R * offset, axis=1)
        if weight is not None:
            losses, entropies = losses * weight, entropies * weight
            R, lag = R * weight[:, None], lag * weight[:, None]
        loss += float(losses.sum())
        entropy += float(entropies.sum())
        G += R.T @ U
        rest += lag.T @ U
        add_hessian(H, objective, U, P, weight)
    objective.n_passes += 1
    for sums in (G, rest, H):
        sums /= objective.total_weight
    if not follow:
        objective.note_gradient(W[:, :d], G[:, :d].copy())
    penalised = np.zeros((k, D))
    penalised[:, :d] = objective.alpha * objective.factors * W[:, :d]
    value = loss / objective.total_weight + 0.5 * float(np.vdot(W, penalised))
    g = G[:, d] if objective.fit_intercept else None
    bound = probability_bound(objective, entropy / objective.total_weight, G[:, :d], g)
    return value, bound, add_penalty(H, objective), -G - rest - penalised


class _Rows:
    """Blocks of rows: a slice, U (m, D), Y (m, k), offset (m, k) or 0, weight (m,) or None.  One block is kept."""

    def __init__(self, objective):
        self.objective = objective
        self.size = max(1, _ROW_VALUES // (objective.k * (objective.d + 1)))
        self.only = self._block(0) if objective.n <= self.size else None

    def __iter__(self):
        if self.only is not None:
            return iter([self.only])
        return map(self._block, range(0, self.objective.n, self.size))

    def _block(self, start):
        o, part = self.objective, slice(start, start + self.size)
        offset = 0.0 if o.offset is None else o.offset[part]
        return part, o.standardised(part), o.dense_targets(part), offset, None if o.weight is None else o.weight[part]


class _SoftmaxDual:
    """Rows of probabilities p (n, k) and their logarithms."""

    def __init__(self, objective):
        self.p, self.log = np.empty((2, objective.n, objective.k))
        self.n_threads = objective.n_threads

    def losses(self, Z, Y):
        """The loss of each row (m,) at logits Z."""
        log = np.empty_like(Z)
        _core.rows("log_softmax", Z, log, self.n_threads)
        return -np.einsum("ij,ij->i", Y, log)

    def start(self, rows, Z):
        """p = softmax(Z), or nearly."""
        _core.rows("log_softmax", Z, Z, self.n_threads)
        return self._keep(rows, np.maximum(np.exp(Z), FIRST))

    def _keep(self, rows, p):
        """p as probabilities, whose sum is 1: the bound counts on it."""
        p /= p.sum(axis=1, keepdims=True)
        np.maximum(p, LOWEST, out=p)
        self.p[rows], self.log[rows] = p, np.log(p)
        return p

    def _lag(self, rows, Z):
        p, x = self.p[rows], Z - self.log[rows]
        return p, x - np.einsum("ij,ij->i", p, x)[:, None]

    def lag(self, rows, Z):
        """J(p) (Z - L(p))."""
        p, x = self._lag(rows, Z)
        return p * x

    def follow(self, rows, Z):
        """p' = p + J(p) (Z - L(p)), or LEAST p."""
        p, x = self._lag(rows, Z)
        return self._keep(rows, p * np.maximum(1 + x, LEAST))

    def entropies(self, rows):
        """-sum p log p of each row."""
        return -np.einsum("ij,ij->i", self.p[rows], self.log[rows])


class _SigmoidDual:
    """Probabilities p and 1 - p (n, k) and their logarithms."""

    def __init__(self, objective):
        self.p, self.q, self.log_p, self.log_q = np.empty((4, objective.n, objective.k))
        self.n_threads = objective.n_threads

    def _logs(self, Z):
        log_p, log_q = np.empty((2, *Z.shape))
        _core.map("log_sigmoid", Z, log_p, self.n_threads)
        _core.map("log_sigmoid", -Z, log_q, self.n_threads)
        return log_p, log_q

    def losses(self, Z, Y):
        """The loss of each row (m,) at logits Z."""
        log_p, log_q = self._logs(Z)
        return -(Y * log_p + (1 - Y) * log_q).sum(axis=1)

    def start(self, rows, Z):
        """p = sigmoid(Z), or nearly."""
        return self._keep(rows, *np.maximum(np.exp(self._logs(Z)), FIRST))

    def _keep(self, rows, p, q):
        """p and q as probabilities, whose sum is 1: the bound counts on it."""
        total = p + q
        p, q = np.maximum(p / total, LOWEST), np.maximum(q / total, LOWEST)
        self.p[rows], self.q[rows], self.log_p[rows], self.log_q[rows] = p, q, np.log(p), np.log(q)
        return p

    def lag(self, rows, Z):
        """J(p) (Z - L(p))."""
        return self.p[rows] * self.q[rows] * (Z - (self.log_p[rows] - self.log_q[rows]))

    def follow(self, rows, Z):
        """p' = p + J(p) (Z - L(p)), or LEAST p; likewise 1 - p'."""
        p, q = self.p[rows], self.q[rows]
        x = Z - (self.log_p[rows] - self.log_q[rows])
        return self._keep(rows, p * np.maximum(1 + q * x, LEAST), q * np.maximum(1 - p * x, LEAST))

    def entropies(self, rows):
        """-p log p - (1 - p) log(1 - p), summed over each row."""
        return -(self.p[rows] * self.log_p[rows] + self.q[rows] * self.log_q[rows]).sum(axis=1)
