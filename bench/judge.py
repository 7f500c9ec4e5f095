"""An outside judge of fits: the true objective in long double, from the data as the user gave them, and its optimum.

    F(W, b) = 1/s sum_i w_i loss(W u_i + b + o_i, y_i) + 1/(2 C s) sum_j p_j ||W_j||^2        u = (x - shift) * scale

Nothing of fastlr is used.  The optimum is sought by damped Newton steps (Levenberg and Marquardt) on standardised
columns, with values, gradients and residuals in long double and directions in float64; whatever it finds is an upper
bound of the optimal value, so that a lower bound above it is false.
"""

import numpy as np

LONG = np.longdouble
STEPS = 150


class Judge:
    """One problem: what was given to `LogisticRegression(**options).fit(X, y, **data)`."""

    def __init__(self, X, y, options, data):
        with np.errstate(all="ignore"):
            self._read(X, y, options, data)

    def _read(self, X, y, options, data):
        y = np.asarray(y)
        n, d = X.shape
        if y.ndim == 1:
            classes, codes = np.unique(y, return_inverse=True)
            k = len(classes) if len(classes) > 2 else 1
            Y = np.eye(k)[codes] if k > 1 else codes[:, None].astype(float)
            self.softmax = k > 1
        else:
            is_labels = ((y == 0) | (y == 1)).all()
            Y = y if is_labels or y.shape[1] != 2 else y[:, 1:]
            self.softmax = not is_labels and y.shape[1] > 2
        self.Y = Y.astype(LONG)
        if self.softmax:
            self.Y /= self.Y.sum(axis=1, keepdims=True)
        scale, shift = options.get("scale"), options.get("shift")
        U = X.astype(np.float64).astype(LONG)
        scale, shift = (LONG(neutral if v is None else 0) + (0 if v is None else np.asarray(v, LONG))
                        for v, neutral in ((scale, 1), (shift, 0)))
        self.U = (U - shift) * scale
        self.magnitudes = (np.abs(U) + np.abs(shift)) * np.abs(scale)  # of what a logit is the sum of
        weight = data.get("sample_weight")
        w = np.ones(n, LONG) if weight is None else np.asarray(weight, LONG)
        self.total = w.sum()
        self.w = w / self.total
        offset = data.get("offset")
        self.offset = LONG(0) if offset is None else np.asarray(offset, LONG).reshape(n, -1)
        C = options.get("C", 1.0)
        factors = options.get("penalty_factors")
        factors = np.ones(d, LONG) if factors is None else np.broadcast_to(np.asarray(factors, LONG), (d,))
        self.penalty = LONG(0) * factors if np.isinf(C) else factors / LONG(C) / self.total
        self.fit_intercept = options.get("fit_intercept", True)
        self.k, self.d, self.n = self.Y.shape[1], d, n

    def value(self, W, b):
        """F at W (k, d), b (k,)."""
        with np.errstate(all="ignore"):
            W, b = np.asarray(W, LONG), np.asarray(b, LONG)
            return self._mean_loss(self.U @ W.T + b + self.offset) + (self.penalty * W**2).sum() / 2

    def sensitivity(self, W, b):
        """By how much F changes, at most, if all that makes a logit changes by parts of itself."""
        with np.errstate(all="ignore"):
            W, b = np.asarray(W, LONG), np.asarray(b, LONG)
            A, others = self._probabilities_apart(self.U @ W.T + b + self.offset)
            R = np.abs(A * (1 - self.Y) - others * self.Y)
            parts = self.magnitudes @ np.abs(W).T + np.abs(b) + np.abs(self.offset)
            return self.w[self.w > 0] @ (R * parts).sum(axis=1)[self.w > 0]

    def _mean_loss(self, Z):
        return self.w[self.w > 0] @ self._losses(Z)[self.w > 0]

    def _losses(self, Z):
        if self.softmax:
            top = Z.max(axis=1, keepdims=True)
            shifted = Z - top
            lse = np.log(np.exp(shifted).sum(axis=1))
            certain = lse < 1e-3  # the largest is nearly 1: keep the digits of what the others are
            others = np.where(shifted == 0, LONG(0), np.exp(shifted))
            lse = np.where(certain & ((shifted == 0).sum(axis=1) == 1), np.log1p(others.sum(axis=1)), lse)
            return lse - (self.Y * shifted).sum(axis=1)
        soft = np.log1p(np.exp(-np.abs(Z)))
        return (soft + np.where(Z > 0, (1 - self.Y) * Z, -self.Y * Z)).sum(axis=1)

    def _probabilities(self, Z):
        if self.softmax:
            A = np.exp(Z - Z.max(axis=1, keepdims=True))
            return A / A.sum(axis=1, keepdims=True)
        return np.where(Z > 0, 1 / (1 + np.exp(-np.abs(Z))), np.exp(-np.abs(Z)) / (1 + np.exp(-np.abs(Z))))

    def optimum(self, *models, steps=STEPS):
        """The least F that is found from the models (W, b); without one from zeros."""
        with np.errstate(all="ignore"):
            return self._optimum(models, steps)

    def _optimum(self, models, steps):
        m = self.w @ self.U if self.fit_intercept else np.zeros(self.d, LONG)
        S = self.U - m
        t = np.sqrt(self.w @ S**2)
        constant = (self.U[:1] == self.U).all(axis=0) & (self.fit_intercept | (self.U[0] == 0))
        t = np.where(constant | (t == 0), LONG(1), t)
        S = np.where(constant, LONG(0), S / t)
        strength = self.penalty / t**2
        if self.fit_intercept:
            S = np.column_stack([S, np.ones(self.n, LONG)])
            strength = np.append(strength, LONG(0))
        frozen = (strength > 1e40) | (S == 0).all(axis=0)
        S, strength = np.where(frozen, LONG(0), S), np.where(frozen, LONG(1), strength)
        best = LONG(np.inf)
        starts = [] if models else [np.zeros((self.k, S.shape[1]), LONG)]
        for W, b in models:
            W, b = np.asarray(W, LONG), np.asarray(b, LONG)
            best = min(best, self.value(W, b))
            V = W * t
            if self.fit_intercept:
                V = np.column_stack([V, b + W @ m])
            V[:, frozen] = 0
            starts.append(V)
        for V in starts:
            best = min(best, self._newton(S, strength, V, steps))
        return best

    def _at(self, S, strength, V):
        Z = S @ V.T + self.offset
        return self._mean_loss(Z) + (strength * V**2).sum() / 2, Z

    def _newton(self, S, strength, V, steps):
        """The least value from V on."""
        k, D = V.shape
        value, Z = self._at(S, strength, V)
        S64, penal = S.astype(np.float64), np.tile(strength.astype(np.float64), k)
        damping = 1e-8
        for _ in range(steps):
            if not np.isfinite(value):
                return LONG(np.inf)
            A = self._probabilities(Z)
            g = (((A - self.Y) * self.w[:, None]).T @ S + strength * V).ravel()
            H = self._curvature(A, S64)
            diagonal = np.einsum("jj->j", H)
            diagonal += penal
            step, fell = None, False
            g64 = g.astype(np.float64)
            size = np.abs(g64).max()
            if not size > 0:
                break
            root = np.sqrt(np.maximum(diagonal, 1e-300))
            E = H / np.outer(root, root)
            for _ in range(12):
                try:
                    step = np.linalg.solve(E + damping * np.eye(len(E)), -g64 / size / root) / root
                except np.linalg.LinAlgError:
                    damping *= 30
                    continue
                new = V + (step.astype(LONG) * LONG(size)).reshape(k, D)
                if self.softmax:  # else what all classes share may grow until it hides the rest
                    new -= new.mean(axis=0)
                new_value, new_Z = self._at(S, strength, new)
                if new_value < value:
                    fell = True
                    break
                damping = max(damping * 30, 1e-14)
            if not fell:
                break
            gain = value - new_value
            V, value, Z = new, new_value, new_Z
            damping = max(damping / 10, 1e-16)
            if gain <= 1e-16 * abs(value):
                break
        return value

    def _probabilities_apart(self, Z):
        """Probabilities A, and 1 - A with all its digits."""
        A = self._probabilities(Z)
        if not self.softmax:
            return A, self._probabilities(-Z)
        return A, np.stack([np.delete(A, c, axis=1).sum(axis=1) for c in range(self.k)], axis=1)

    def _curvature(self, A, S):
        k, D = A.shape[1], S.shape[1]
        A, w = A.astype(np.float64), self.w.astype(np.float64)
        H = np.zeros((k, D, k, D))
        for a in range(k):
            for b in range(k if self.softmax else a + 1):
                if self.softmax:
                    q = A[:, a] * (A[:, :a].sum(axis=1) + A[:, a + 1 :].sum(axis=1)) if a == b else -A[:, a] * A[:, b]
                elif a == b:
                    q = A[:, a] * (1 - A[:, a])
                else:
                    continue
                H[a, :, b] = (S * (w * q)[:, None]).T @ S
        return H.reshape(k * D, k * D)
