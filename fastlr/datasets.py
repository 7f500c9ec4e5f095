"""Readers of the data people try first: IDX files, MNIST in that form, scikit-learn's digits, and svmlight files.

An IDX file (http://yann.lecun.com/exdb/mnist) is two zero bytes, a type code, the number of dimensions, each dimension
as a big-endian uint32, then the values, big-endian in C order.  Gzip is recognised by content, not by name.

The reader trusts nothing: what the header promises is compared with the size of the file before memory is taken for it,
and no more than that is ever decompressed.
"""

import bz2
import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from fastlr._input.hints import hinted_function
from fastlr._input.options import check_option, is_count, is_flag

__all__ = ["load_digits", "load_idx", "load_mnist", "load_svmlight"]

IDX_CODES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
IDX_DTYPES = {code: np.dtype(name) for code, name in IDX_CODES.items()}
MAX_DIMENSIONS = 32  # of a NumPy 1 array
MAX_BYTES = 2**32
GZIP_MAGIC = b"\x1f\x8b"
DEFLATE_MAX_RATIO = 1032  # at best 258 bytes for 2 bits (zlib's technical details)
CHUNK = 2**20

MNIST_PREFIXES = {"train": "train", "test": "t10k"}


@hinted_function
def load_idx(path, *, max_bytes=MAX_BYTES):
    """Read an IDX file, plain or gzip.

    Parameters
    ----------
    path : str or os.PathLike
    max_bytes : int, default 2**32
        Refuse a file whose values take more memory than this.

    Returns
    -------
    ndarray
        Of the shape in the header; uint8, int8, int16, int32, float32 or float64 in native byte order.

    Raises
    ------
    ValueError
        If the file is not IDX, is truncated, has bytes after its values, is larger than `max_bytes`, or its gzip
        stream is corrupt.  The message names the file, what was found and what was expected.
    OSError
        If the file cannot be read.
    """
    path = Path(path).expanduser()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if file.peek(2)[:2] != GZIP_MAGIC:
            shape, dtype, n_header = _read_header(file, path, max_bytes)
            n_values = math.prod(shape) * dtype.itemsize
            if size != n_header + n_values:
                raise _size_error(path, shape, dtype, f"the file has {max(size - n_header, 0)}")
            return _read_values(file, path, shape, dtype)
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                shape, dtype, _ = _read_header(stream, path, max_bytes)
                if math.prod(shape) * dtype.itemsize > DEFLATE_MAX_RATIO * size:
                    raise _size_error(path, shape, dtype, f"{size} bytes of gzip cannot hold that many")
                return _read_values(stream, path, shape, dtype)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: corrupt or truncated gzip stream ({error}); fetch the file again") from error


@hinted_function
def load_mnist(folder, split="train", *, nchw=False):
    """Read one split of MNIST, or of a data set in the same form (Fashion-MNIST, KMNIST), from its IDX files.

    Parameters
    ----------
    folder : str or os.PathLike
        Holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same with ``t10k``, each plain or gzip,
        with or without ``.gz``; ``train-images.idx3-ubyte`` and the like are found as well.
    split : {"train", "test"}, default "train"
        MNIST has 60,000 images to train on and 10,000 to test with.
    nchw : bool, default False
        Give the images a channel axis.

    Returns
    -------
    images : ndarray of shape (n, 28, 28), or (n, 1, 28, 28) with `nchw`, uint8
    labels : ndarray of shape (n,), uint8

    Raises
    ------
    FileNotFoundError
        If the folder or one of the files is missing; the message lists the names looked for.
    ValueError
        If a file is malformed (see `load_idx`), or images and labels do not belong together.
    """
    check_option("split", split, tuple(MNIST_PREFIXES))
    prefix = MNIST_PREFIXES[split]
    images_path = _find(folder, prefix, "images", 3)
    labels_path = _find(folder, prefix, "labels", 1)
    images = _load_bytes(images_path, 3)
    labels = _load_bytes(labels_path, 1)
    if len(images) != len(labels):
        raise ValueError(f"{images_path} has {len(images)} images but {labels_path} has {len(labels)} labels; "
                         "expected the same number of both: take the two files from one data set")
    return (images[:, np.newaxis] if nchw else images), labels


def load_digits():
    """The 1,797 handwritten digits that come with scikit-learn (8 x 8 pixels).

    Returns
    -------
    X : ndarray of shape (1797, 64), float64
        Pixels, whole numbers from 0 to 16.
    y : ndarray of shape (1797,), int64
        The digits.
    """
    from sklearn.datasets import load_digits as sklearn_load_digits

    return sklearn_load_digits(return_X_y=True)


@hinted_function
def load_svmlight(path, *, n_features=None, zero_based="auto", dtype="float64"):
    """Read a file of sparse rows as svmlight and LIBSVM have them, ``label index:value index:value ...`` a line.

    scikit-learn's reader does the work; what is wrong with a file is told with its line.

    Parameters
    ----------
    path : str or os.PathLike
        Names that end in .gz or .bz2 are decompressed.
    n_features : int, default=None
        Columns of X; None takes the largest index of the file. Give the training data's for a test file, which may lack
        the last columns.
    zero_based : bool or "auto", default="auto"
        Whether the first column has index 0, not 1; "auto" takes it for 1 unless an index is 0. Say which for files
        that belong together.
    dtype : {"float64", "float32"} or dtype, default="float64"
        Of X; float32 takes two thirds of the memory.

    Returns
    -------
    X : scipy.sparse.csr_matrix of shape (n, n_features)
    y : ndarray of shape (n,), float64
        Labels as they are in the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a line is malformed, or has an index beyond `n_features`.
    """
    from sklearn.datasets import load_svmlight_file

    if not (is_flag(zero_based) or zero_based == "auto"):
        raise ValueError(f"zero_based is {zero_based!r}; expected True, False or 'auto'")
    if not (n_features is None or is_count(n_features)):
        raise ValueError(f"n_features is {n_features!r}; expected a positive integer, or None")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype is {dtype!r}; expected 'float64' or 'float32'")
    try:
        X, y = load_svmlight_file(os.fspath(path), n_features=n_features, zero_based=zero_based, dtype=dtype)
    except (EOFError, OSError, zlib.error) as error:
        if getattr(error, "errno", None) is not None:  # the system's
            raise
        raise ValueError(f"{path} is damaged: {error}") from error
    except (ValueError, OverflowError) as error:
        fault = _svmlight_fault(path, n_features, zero_based)
        raise ValueError(f"{path}, {fault}" if fault else f"{path}: {error}") from error
    return X, y


def _svmlight_fault(path, n_features, zero_based):
    """What is wrong with the first malformed line of an svmlight file, or None if nothing is found."""
    is_zero_based = bool(zero_based) and zero_based != "auto"
    opened = {".gz": gzip.open, ".bz2": bz2.open}.get(Path(path).suffix, open)
    with opened(path, "rb") as file:
        for number, line in enumerate(file, 1):
            label, *entries = line.split(b"#")[0].split() or [b"0"]
            if not _is_number(label):
                return f"line {number} begins with {_shown(label)}; expected a label, a number"
            last = -1
            for entry in entries:
                name, colon, value = entry.partition(b":")
                if name == b"qid":
                    continue
                if not (colon and name.isdigit() and _is_number(value)):
                    return f"line {number} has {_shown(entry)}; expected index:value, such as 7:0.5"
                if int(name) <= last:
                    return f"line {number} has index {int(name)} after {last}; expected indices that rise: sort them"
                last = int(name)
                if last >= 1 << 31:
                    return f"line {number} has index {last}; expected none above {(1 << 31) - 1}"
                if last == 0 and not zero_based:
                    return f"line {number} has index 0; expected indices from 1 on: use zero_based=True"
            if n_features is not None and last + is_zero_based > n_features:
                return (f"line {number} has index {last}, beyond n_features={n_features}; expected none above "
                        f"{n_features - is_zero_based}: give the columns of the training data, and drop others")
    return None


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(text):
    return ascii(text[:40].decode("utf-8", "replace"))


def _read_header(stream, path, max_bytes):
    """Shape and dtype of the values, and the length of the header in bytes."""
    magic = stream.read(4)
    if len(magic) < 4:
        raise ValueError(f"{path}: truncated, {len(magic)} bytes; an IDX file begins with a header of at least 8")
    if magic[:2] != b"\0\0":
        raise ValueError(f"{path}: not an IDX file, it begins with bytes {magic.hex(' ')}; expected 00 00")
    code, n_dimensions = magic[2:]
    if code not in IDX_DTYPES:
        known = ", ".join(f"0x{code:02x} ({dtype.name})" for code, dtype in IDX_DTYPES.items())
        raise ValueError(f"{path}: unknown IDX type code 0x{code:02x}; expected one of {known}")
    if not 1 <= n_dimensions <= MAX_DIMENSIONS:
        raise ValueError(f"{path}: IDX header with {n_dimensions} dimensions; expected 1 to {MAX_DIMENSIONS}")
    packed = stream.read(4 * n_dimensions)
    if len(packed) < 4 * n_dimensions:
        raise ValueError(f"{path}: truncated in the header, {len(packed)} bytes of sizes; expected {4 * n_dimensions} "
                         f"for {n_dimensions} dimensions")
    shape = struct.unpack(f">{n_dimensions}I", packed)
    dtype = IDX_DTYPES[code]
    # NumPy counts a dimension of zero as one when it checks that an array is not too big
    if math.prod(max(size, 1) for size in shape) * dtype.itemsize > max_bytes:
        raise ValueError(f"{path}: the header promises {_describe(shape, dtype)}, more than max_bytes = {max_bytes}; "
                         "raise max_bytes if the file is meant to be that large")
    return shape, dtype, len(magic) + len(packed)


def _read_values(stream, path, shape, dtype):
    """The array; the stream has to end with it."""
    data = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
    filled = 0
    # in chunks, because gzip's readinto makes a copy of what it reads
    while filled < data.size and (got := stream.readinto(data[filled : filled + CHUNK])):
        filled += got
    if filled < data.size:
        raise _size_error(path, shape, dtype, f"the file has {filled}")
    if stream.read(1):  # at the end of a gzip stream this also verifies its checksum
        raise _size_error(path, shape, dtype, "the file has more")
    values = data.view(dtype).reshape(shape)
    return values if dtype.isnative else values.byteswap(inplace=True).view(dtype.newbyteorder())


def _size_error(path, shape, dtype, found):
    return ValueError(f"{path}: the header promises {_describe(shape, dtype)}, but {found}; the file is truncated, has "
                      "something appended, or its header is wrong: fetch it again")


def _describe(shape, dtype):
    return f"{' x '.join(map(str, shape))} {dtype.name} values ({math.prod(shape) * dtype.itemsize} bytes)"


def _find(folder, prefix, kind, n_dimensions):
    """The first of the usual names that exists."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; expected one with the MNIST files in IDX form")
    stems = [f"{prefix}-{kind}{mark}idx{n_dimensions}-ubyte" for mark in "-."]
    names = [stem + suffix for stem in stems for suffix in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder} has no {kind} file; looked for {', '.join(names)}")


def _load_bytes(path, n_dimensions):
    array = load_idx(path)
    if array.ndim != n_dimensions or array.dtype != np.uint8:
        raise ValueError(f"{path} holds {array.dtype} values in {array.ndim} dimensions; expected uint8 in "
                         f"{n_dimensions}")
    return array
