"""Blocks of rows from .npy and safetensors files, and predictions to .npy and Parquet."""

import glob
import json
import math
import operator
import os
import re
from pathlib import Path

import numpy as np

BLOCK_BYTES = 1 << 24  # of a block of features


def files(paths):
    """Paths of files, from one, a list or a pattern; OSError where there is none, or a folder."""
    if isinstance(paths, str | os.PathLike):
        name = os.path.expanduser(os.fspath(paths))
        if not glob.has_magic(name) or os.path.exists(name):
            found = [name]
        else:
            found = sorted(glob.glob(name), key=_by_number)
            if not found:
                raise FileNotFoundError(f"no file matches {name}")
    else:
        found = [os.path.expanduser(os.fspath(path)) for path in paths]
        if not found:
            raise ValueError("paths is empty; expected at least one file")
    for name in found:
        if os.path.isdir(name):
            raise IsADirectoryError(f"{name} is a folder; expected files: a pattern, {os.path.join(name, '*.npy')}")
    return [Path(name) for name in found]


def _by_number(name):
    """Sorts part_2 before part_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def map_npy(path):
    """The array of a .npy file, mapped; ValueError if the file is cut or something else."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is no .npy file of numbers, or is cut: {error}") from None
    if isinstance(array, np.memmap) and array.offset + array.nbytes != (size := os.path.getsize(path)):
        raise ValueError(f"{path} has {size} bytes, and by its header of shape {array.shape} and dtype {array.dtype} "
                         f"{array.offset + array.nbytes}; expected as many: its header is wrong")
    return array


def map_safetensors(path, tensor=None):
    """A tensor of a safetensors file, mapped; the only one where no name is given.

    The form: the header's length as a little-endian uint64, the header as JSON (for each name dtype, shape and where
    its bytes begin and end), and the bytes (https://github.com/huggingface/safetensors).
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            if size < 8 or length > size - 8:
                raise ValueError(f"its header would have {length} bytes")
            header = json.loads(file.read(length))
            if not isinstance(header, dict):
                raise ValueError("its header is no JSON object")
            header.pop("__metadata__", None)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is no safetensors file, or is cut: {error}") from None
    if tensor is None and len(header) == 1:
        tensor = next(iter(header))
    if tensor not in header:
        found = ", ".join(map(repr, header))
        raise ValueError(f"{path} has the tensors {found or 'none'}; expected " +
                         ("one: name it by tensor=" if tensor is None else f"{tensor!r} among them"))
    try:
        code, shape = header[tensor]["dtype"], tuple(map(operator.index, header[tensor]["shape"]))
        begin, end = map(operator.index, header[tensor]["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{path}: the header of {tensor!r} lacks dtype, shape or data_offsets") from None
    if code not in _SAFETENSORS:
        raise ValueError(f"{path}: {tensor!r} has dtype {code}; expected one of {', '.join(_SAFETENSORS)}")
    dtype = _dtype_of(code)
    n_bytes = math.prod(shape) * dtype.itemsize
    if min((*shape, begin), default=0) < 0 or end - begin != n_bytes or 8 + length + end > size:
        raise ValueError(f"{path}: {tensor!r} of shape {shape} and dtype {code} takes {n_bytes} bytes; its header "
                         f"says {begin} to {end} of {size - 8 - length}: the file is cut or its header wrong")
    if not n_bytes:
        return np.empty(shape, dtype)
    return np.memmap(path, np.uint8, "r", 8 + length + begin, (n_bytes,)).view(dtype).reshape(shape)


_SAFETENSORS = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "bfloat16", "I64": "i8", "I32": "i4", "I16": "i2",
                "I8": "i1", "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "?"}


def _dtype_of(code):
    if code != "BF16":
        return np.dtype(_SAFETENSORS[code])
    try:
        from ml_dtypes import bfloat16
    except ImportError as error:
        raise ImportError("bfloat16 needs ml_dtypes: pip install ml_dtypes") from error
    return np.dtype(bfloat16)


def file_blocks(read, paths, y, weight):
    """Blocks of the rows of files, arrays by `read(path)`, with their parts of y and weight (n, ...)."""
    begin, like = 0, None
    for path in paths:
        X = read(path)
        if X.ndim != 2:
            raise ValueError(f"{path} has shape {X.shape}; expected two dimensions (rows, features)")
        facts = f"{X.shape[1]} features of dtype {X.dtype}"
        like = like or facts
        if facts != like:
            raise ValueError(f"{path}, from row {begin} of all on, has {facts}, and {paths[0]} {like}; expected the "
                             f"same in all files")
        step = max(1, BLOCK_BYTES // max(1, X.shape[1] * X.itemsize))
        for start in range(0, len(X), step):
            block = X[start : start + step]
            end = begin + len(block)
            for part, name in ((y, "y"), (weight, "weight")):
                if part is not None and len(part) < end:
                    raise ValueError(f"{name} has {len(part)} rows and the files up to {path} at least {end}; expected "
                                     f"one a row")
            yield block, *(None if part is None else part[begin:end] for part in (y, weight))
            begin = end
    for part, name in ((y, "y"), (weight, "weight")):
        if part is not None and len(part) != begin:
            raise ValueError(f"{name} has {len(part)} rows and the files {begin}; expected as many")


def pyarrow_part(part):
    try:
        return __import__(f"pyarrow.{part}", fromlist=[part])
    except ImportError as error:
        raise ImportError("Parquet files need pyarrow: pip install 'fastlr-ml[data]'") from error


def write(path, results):
    """Write arrays (m, ...), one after the other, as one .npy or Parquet file; returns the number of rows."""
    writers = {".npy": _write_npy, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise ValueError(f"path is {path}; expected a name that ends with .npy or .parquet")
    partial = path.with_name(path.name + ".partial")
    try:
        n = writers[path.suffix](partial, results)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return n


def _write_npy(path, results):
    """A header of room for any length first; it is written again when the length is known."""
    n, first = 0, None
    with path.open("wb") as file:
        for result in results:
            if first is None:
                first = result
                if result.dtype.hasobject:
                    raise TypeError("classes of type object cannot be written as .npy; expected numbers or strings: "
                                    "write Parquet")
                _header(file, first, 2**62)
            file.write(np.ascontiguousarray(result.astype(first.dtype, copy=False)).tobytes())
            n += len(result)
        if first is None:
            raise ValueError("there are no blocks to predict; expected at least one")
        file.seek(0)
        _header(file, first, n)
    return n


def _header(file, like, n):
    header = {"descr": np.lib.format.dtype_to_descr(like.dtype), "fortran_order": False,
              "shape": (n, *like.shape[1:])}
    text = repr(header).ljust(244).encode("latin1") + b"\n"
    file.write(np.lib.format.magic(1, 0) + len(text).to_bytes(2, "little") + text)


def _write_parquet(path, results):
    arrow, parquet = pyarrow_part("lib"), pyarrow_part("parquet")
    n, writer = 0, None
    try:
        for result in results:
            columns = {"prediction": result} if result.ndim == 1 else {
                f"prediction_{j}": np.ascontiguousarray(result[:, j]) for j in range(result.shape[1])}
            table = arrow.Table.from_pydict(columns)
            writer = writer or parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
            n += len(result)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise ValueError("there are no blocks to predict; expected at least one")
    return n
