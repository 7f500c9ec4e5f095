"""From any real array to what the row kernels take, and back: dtypes, axes, strides, ``out=``.

The kernels read C-contiguous float32 or float64, elementwise or as rows (n, k).  A C-contiguous array with the last
axis goes to them as it is, and so does a Fortran-ordered one elementwise or along its first axis; others are copied
once.
"""

import operator
from math import prod

import numpy as np

from fastlr import _core
from fastlr._input.arrays import as_real_array
from fastlr._runtime.threads import resolve_n_threads

_KERNEL_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def as_real(z, name):
    """float32 as it is, every other real type as float64; TypeError for anything else."""
    if type(z) is np.ndarray and z.dtype in _KERNEL_DTYPES:
        return z
    z = as_real_array(z, name)
    if z.dtype in _KERNEL_DTYPES:
        return z
    with np.errstate(all="ignore"):  # long doubles beyond the range become infinite or 0
        return z.astype(np.float32 if z.dtype.newbyteorder("=") == np.float32 else np.float64)


def check_out(out, z, *others):
    """Raise unless out can take a result of z's shape and dtype; it may be z itself, not overlap it or other inputs."""
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out is a {type(out).__name__}; expected an array of dtype {z.dtype} and shape {z.shape}")
    if out.dtype != z.dtype or out.shape != z.shape:
        raise ValueError(f"out has dtype {out.dtype} and shape {out.shape}; expected dtype {z.dtype} and shape "
                         f"{z.shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only; expected an array that can be written")
    if _overlaps_itself(out):
        raise ValueError(f"out has shape {out.shape} and strides {out.strides}: some of its values share memory; "
                         f"expected memory for each: use np.empty_like(out)")
    is_z = out is z or (out.ctypes.data == z.ctypes.data and out.strides == z.strides)
    for array in others if is_z else (z, *others):
        if array is not None and np.may_share_memory(out, array) and np.shares_memory(out, array):
            raise ValueError("out overlaps an input; expected the first input itself, or memory of its own: use a copy")


def _overlaps_itself(array):
    """Whether two of its values may share memory; contiguous arrays and views made by slicing never do."""
    if array.flags.forc or not array.size:
        return False
    reach = array.itemsize
    axes = [(abs(stride), length) for stride, length in zip(array.strides, array.shape, strict=True) if length > 1]
    for stride, length in sorted(axes):
        if stride < reach:
            return True
        reach = stride * length
    return False


def is_ready(z):
    """Whether kernels can read or write it where it is."""
    flags = z.flags
    return flags.c_contiguous and flags.aligned


def elementwise(name, z, out, n_threads):
    """out[i] = f(z[i]) for the map kernel of that name; a scalar for a scalar, like a ufunc."""
    z = as_real(z, "z" if name != "logit" else "p")
    if out is not None:
        check_out(out, z)
    if not is_ready(z):
        if z.flags.f_contiguous and not z.flags.c_contiguous:
            result = elementwise(name, z.T, None if out is None else out.T, n_threads)
            return result.T if out is None else out
        z = z.copy()
    result = out if out is not None and is_ready(out) else np.empty(z.shape, z.dtype)
    _core.map(name, z, result, resolve_n_threads(n_threads))
    return deliver(result, out)


def deliver(result, out):
    """The result, a scalar for a scalar; or `out`, which has it then."""
    if out is None:
        return result if result.ndim else result[()]
    if not np.may_share_memory(out, result):
        out[...] = result
    return out


def along_axes(name, Z, axis, out, n_threads):
    """The row kernel of that name, (n, k) -> (n, k), along one axis, several or all (None)."""
    Z = as_real(Z, "Z")
    if out is not None:
        check_out(out, Z)
    rows, order = _rows(Z, _axes(axis, Z.ndim))
    destination = out if out is None or order is None else out.transpose(order)
    direct = out is not None and is_ready(destination)
    result = destination.reshape(rows.shape) if direct else np.empty(rows.shape, Z.dtype)
    if Z.size:
        _core.rows(name, rows, result, resolve_n_threads(n_threads))
    if order is not None:
        return deliver(result.reshape([Z.shape[a] for a in order]).transpose(np.argsort(order)), out)
    return deliver(result if rows is Z else result.reshape(Z.shape), out)


def reduce_axes(name, Z, axis, keepdims, n_threads):
    """The row kernel of that name, (n, k) -> (n,), along one axis, several or all (None); of no values: -inf."""
    Z = as_real(Z, "Z")
    axes = _axes(axis, Z.ndim)
    rows, _ = _rows(Z, axes)
    result = np.full(len(rows), -np.inf, Z.dtype) if not Z.size else np.empty(len(rows), Z.dtype)
    if Z.size:
        _core.rows(name, rows, result, resolve_n_threads(n_threads))
    shape = [1 if a in axes else size for a, size in enumerate(Z.shape) if keepdims or a not in axes]
    return result.reshape(shape) if shape else result[0]


def _axes(axis, ndim):
    """Axes as a tuple of non-negative ints; a scalar has an axis 0 or -1, as in NumPy's reductions."""
    if axis == -1 and ndim:
        return (ndim - 1,)
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    if any(isinstance(a, bool) or not hasattr(a, "__index__") for a in axes):
        raise TypeError(f"axis is {axis!r}; expected an int, a tuple of ints or None")
    axes = tuple(operator.index(a) for a in axes)
    for a in axes:
        if not -max(ndim, 1) <= a < max(ndim, 1):
            raise np.exceptions.AxisError(a, ndim)
    axes = tuple(a % ndim for a in axes) if ndim else ()
    if len(set(axes)) < len(axes):
        raise ValueError(f"axis is {axis}; expected each axis once")
    return axes


def _rows(Z, axes):
    """Z as C-contiguous rows (n, k) with k the values along the axes, and the order of axes that puts those last.

    The order is None where they are last already; then a C-contiguous Z is not copied.
    """
    if axes == (1,) and Z.ndim == 2:
        return Z if is_ready(Z) else Z.copy(), None
    order = None
    if axes != tuple(range(Z.ndim - len(axes), Z.ndim)):
        order = [a for a in range(Z.ndim) if a not in axes] + list(axes)
        Z = Z.transpose(order)
    if not is_ready(Z):
        Z = Z.copy()
    n_kept = Z.ndim - len(axes)
    return Z.reshape(prod(Z.shape[:n_kept]), prod(Z.shape[n_kept:])), order
