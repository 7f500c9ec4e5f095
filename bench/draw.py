"""Arguments drawn at random for `fastlr.bench.oracle`: a stream of numbers for each (seed, index), so that a call can
be made again alone.  Sizes are mostly tiny, values of all magnitudes, layouts whatever NumPy has.
"""

import numpy as np

SIZES = ((0.87, 300), (0.995, 3000), (0.9998, 40_000), (1.0, 400_000))  # up to this draw at most so many values
NEAR = {4: (50, 100), 8: (650, 760)}  # by bytes: logits near which kernels change their way
OTHER_DTYPES = ("float16", "int8", "uint8", "int16", "int64", "uint16", "bool", ">f4", ">f8")


class Draw:
    """Random choices; single numbers are taken from a block, which is ten times as fast as drawing each."""

    def __init__(self, seed, index):
        self.rng = np.random.Generator(np.random.PCG64([seed, index]))
        self.block = []

    def random(self):
        """Uniform in [0, 1)."""
        if not self.block:
            self.block = self.rng.random(64).tolist()
        return self.block.pop()

    def below(self, n):
        """An integer in [0, n)."""
        return int(self.random() * n)

    def chance(self, part):
        """True in that part of the draws."""
        return self.random() < part

    def choice(self, values):
        """One of them."""
        return values[int(self.random() * len(values))]

    def between(self, low, high):
        """Uniform in [low, high)."""
        return low + (high - low) * self.random()

    def length(self, most):
        """1 .. most, every magnitude as often."""
        return int((most + 1) ** self.random())

    def shape(self):
        """Rows and classes."""
        if self.chance(0.08):  # where blocks of rows and of classes end
            return 1 + self.below(70), 1 + self.below(70)
        at = self.random()
        most = next(most for part, most in SIZES if at < part)
        if self.chance(0.004):
            k = 200 + self.length(4800)
            return self.length(max(3, most // k)), k
        k = self.choice((1, 2, 3)) if self.chance(0.25) else self.length(min(200, most))
        return self.length(max(1, most // k)), k

    def dtype(self):
        """Of logits; what is neither float32 nor float64 is rare."""
        at = self.random()
        return np.dtype("float32" if at < 0.48 else "float64" if at < 0.96 else self.choice(OTHER_DTYPES))

    def logits(self, n, k, dtype):
        """(n, k) finite: about zero, of all magnitudes by row or by value, ties, near bounds, with leads, subnormal."""
        rng, kind = self.rng, self.below(10)
        if dtype.kind in "iub":
            return rng.integers(0, 2 if dtype.kind == "b" else 100, (n, k)).astype(dtype)
        info = np.finfo(dtype)
        Z = rng.standard_normal((n, k))
        low, high = np.log10(float(info.smallest_subnormal)) + 1, np.log10(float(info.max)) - 1
        if kind == 0:
            Z *= 10 ** rng.uniform(low, high, (n, 1))
        elif kind == 1:
            Z *= 10 ** rng.uniform(low, high, (n, k))
        elif kind == 2:
            Z = rng.integers(-2, 3, (n, k)) * self.choice((0.5, 1, 20, 300, 1e4))
        elif kind == 3:
            near, far = NEAR.get(dtype.itemsize, NEAR[4])
            Z += rng.uniform(near, far, (n, 1)) * rng.choice((-1, 1), (n, 1 if self.chance(0.5) else k))
        elif kind == 4:
            Z[np.arange(n), rng.integers(0, k, n)] += rng.uniform(0, self.choice((20, 100, 800)), n)
        elif kind == 5:
            Z = -rng.uniform(0, self.choice((10, 120, 800)), (n, k))
        elif kind == 6:
            Z = 10 ** rng.uniform(-8, 0, (n, 1)) * Z - np.log(k)
        elif kind == 7:
            Z *= float(info.tiny)
        else:
            Z *= 10 ** self.between(-3, 3)
        return np.clip(Z, -float(info.max), float(info.max)).astype(dtype)

    def spoil(self, Z):
        """nan and infinities in some rows, in place; often a row some vectors on gets large: a lane has both."""
        if Z.dtype.kind == "f" and Z.size and self.chance(0.35):
            for _ in range(self.length(3)):
                i = self.below(len(Z))
                Z[i, self.below(Z.shape[1])] = self.choice((np.nan, np.nan, np.inf, -np.inf))
                if len(Z) > 2 and self.chance(0.5):
                    Z[(i + self.choice((2, 4, 8, 16, 32))) % len(Z)] += self.choice((100, -100, 1000, -1000))
            if self.chance(0.1):
                Z[self.below(len(Z))] = self.choice((np.nan, np.inf, -np.inf))
        return Z

    def layout(self, values):
        """The same values: C or Fortran order, strided, backwards, unaligned, read-only, or a list."""
        at = self.below(20)
        if at < 11 or not values.ndim or not values.size:
            return values
        if at < 13:
            return np.asfortranarray(values)
        if at < 15:
            wide = np.zeros([2 * size + 1 for size in values.shape], values.dtype)
            view = wide[tuple(slice(self.below(2), 2 * size, 2) for size in values.shape)]
        elif at < 17:
            view = np.zeros(values.shape, values.dtype)[tuple(slice(None, None, -1) for _ in values.shape)]
        elif at < 19:
            view = np.zeros(values.nbytes + 1, np.uint8)[1:].view(values.dtype).reshape(values.shape)
        else:
            view = values.copy()
        view[...] = values
        if at == 19:
            view.flags.writeable = False
        return view

    def out(self, Z, dtype):
        """A destination for Z's shape and dtype: None, C-contiguous, in another layout, or Z itself."""
        at = self.below(8)
        if at < 4:
            return None
        if at == 4 and Z.dtype == dtype and Z.flags.writeable:
            return Z
        out = self.layout(np.full(Z.shape, 7, dtype))
        return out if out.flags.writeable else out.copy()

    def axes(self, n, k):
        """Shape that (n, k) takes, the order its axes are then put in, and the axis argument for the k values."""
        if self.chance(0.7):
            return (n, k), (0, 1), self.choice((-1, 1))
        if n == 1 and self.chance(0.3):
            return (k,), (0,), self.choice((None, 0, -1, (0,)))
        n1, k1 = (self.choice([i for i in range(1, min(size, 12) + 1) if size % i == 0]) for size in (n, k))
        order = self.rng.permutation(4)
        places = [int(np.flatnonzero(order == a)[0]) for a in (2, 3)]
        return (n1, n // n1, k1, k // k1), tuple(order.tolist()), tuple(p - 4 * self.below(2) for p in places)

    def weights(self, n):
        """(n,) or None: about 1, of all magnitudes, with zeros, whole numbers, or all of one kind."""
        at = self.below(10)
        if at < 4:
            return None
        if at == 4:
            return 10 ** self.rng.uniform(-300, 300, n)
        if at == 5:
            return np.full(n, 10 ** self.between(-300, 300))
        weight = self.rng.random(n) * (1 if at < 8 else 10 ** self.between(-40, 40))
        if at in (6, 8):
            weight[self.rng.random(n) < 0.3] = 0
        return weight if at != 9 else self.rng.integers(0, 3, n)

    def smoothing(self):
        """0 mostly."""
        return 0.0 if self.chance(0.7) else self.choice((0.1, 1.0, 1e-3, self.random()))

    def threads(self):
        """1 mostly."""
        return 1 if self.chance(0.7) else self.choice((2, 3, 4, 7, None))

    def targets(self, n, k, dtype):
        """Labels int (n,) or rows of probabilities (n, k), some of 0 and 1."""
        if self.chance(0.6):
            return self.rng.integers(0, k, n).astype(self.choice(("int32", "int64", "uint8" if k < 256 else "int16")))
        Y = self.rng.standard_exponential((n, k)) * (self.rng.random((n, k)) < self.choice((1, 0.5)))
        Y[np.arange(n), self.rng.integers(0, k, n)] += 1e-3
        certain = self.rng.random(n) < self.choice((0, 0.3, 1))
        Y[certain] = 0
        Y[certain, self.rng.integers(0, k, n)[certain]] = 1
        return (Y / Y.sum(axis=1, keepdims=True)).astype(dtype)
