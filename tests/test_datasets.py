"""The IDX reader against files made by hand, well and badly; MNIST's folder; the embedded digits."""

import bz2
import gzip
import os
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastlr.datasets import load_digits, load_idx, load_mnist, load_svmlight

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}
# two int16 rows of three, as the format's description lays them out
INT16 = bytes.fromhex("00000b02 00000002 00000003 0001 0002 ffff 7fff 8000 0100".replace(" ", ""))

MNIST = Path(os.environ.get("FASTLR_DATA") or Path(__file__).parents[2] / "shared" / "data") / "mnist"


def idx(array):
    """The bytes of an array as an IDX file."""
    header = bytes([0, 0, CODES[array.dtype.name], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def write(tmp_path):
    def write(data, name="data.idx"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


# ---- good files -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_by_hand(write, pack):
    array = load_idx(write(pack(INT16)))
    np.testing.assert_array_equal(array, [[1, 2, -1], [32767, -32768, 256]])
    assert array.dtype == np.int16
    assert array.dtype.isnative
    assert array.flags.c_contiguous
    assert array.flags.writeable


@given(
    array=st.sampled_from(sorted(CODES)).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
    ),
    packed=st.booleans(),
)
def test_idx_round_trip(tmp_path_factory, array, packed):
    path = tmp_path_factory.mktemp("idx") / "data"
    path.write_bytes(gzip.compress(idx(array), 1) if packed else idx(array))
    loaded = load_idx(path)
    assert loaded.dtype == array.dtype
    np.testing.assert_array_equal(loaded, array)


def test_idx_gzip_of_several_members_and_zero_padding(write):
    path = write(gzip.compress(INT16[:9]) + gzip.compress(INT16[9:]) + b"\0" * 7)
    assert load_idx(str(path)).shape == (2, 3)


def test_home_folder(write, monkeypatch):
    path = write(INT16)
    monkeypatch.setenv("HOME", str(path.parent))
    assert load_idx(f"~/{path.name}").shape == (2, 3)
    with pytest.raises(FileNotFoundError, match=f"{path.parent} has no images file"):
        load_mnist("~")


# ---- bad files ------------------------------------------------------------------------------------------------------
def corrupted(data, position):
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


HUGE = bytes.fromhex("00000803 ffffffff ffffffff ffffffff".replace(" ", ""))
PROMISES_1_GB = bytes.fromhex("00000801 3fffffff".replace(" ", "")) + bytes(100)

MALFORMED = {
    "empty": (b"", "truncated, 0 bytes"),
    "half a magic number": (INT16[:3], "truncated, 3 bytes"),
    "not IDX": (b"\x89PNG" + INT16, "begins with bytes 89 50 4e 47; expected 00 00"),
    "unknown type": (b"\0\0\x0a\x01" + INT16[4:], "unknown IDX type code 0x0a; expected one of 0x08"),
    "no dimensions": (b"\0\0\x08\0", "0 dimensions; expected 1 to 32"),
    "too many dimensions": (b"\0\0\x08\xff" + b"\0\0\0\1" * 255, "255 dimensions; expected 1 to 32"),
    "cut in the header": (INT16[:10], "truncated in the header, 6 bytes of sizes; expected 8"),
    "cut in the values": (INT16[:-1], r"2 x 3 int16 values \(12 bytes\), but the file has 11"),
    "something appended": (INT16 + b"\0", r"\(12 bytes\), but the file has 13"),
    "sizes beyond memory": (HUGE, "more than max_bytes"),
    "sizes beyond memory, one of them 0": (HUGE[:4] + bytes(4) + HUGE[8:], "more than max_bytes"),
    "sizes beyond the file": (PROMISES_1_GB, "but the file has 100"),
    "gzip, cut in the values": (gzip.compress(INT16[:-1]), r"\(12 bytes\), but the file has 11"),
    "gzip, something appended": (gzip.compress(INT16 + b"\0"), "but the file has more"),
    "gzip, sizes beyond what fits": (gzip.compress(PROMISES_1_GB), "bytes of gzip cannot hold that many"),
    "gzip, bomb": (gzip.compress(INT16 + bytes(2**24)), "but the file has more"),
    "gzip, cut": (gzip.compress(INT16)[:-12], "corrupt or truncated gzip"),
    "gzip, cut in its own header": (gzip.compress(INT16)[:6], "corrupt or truncated gzip"),
    "gzip, wrong checksum": (corrupted(gzip.compress(INT16), -6), "corrupt or truncated gzip"),
    "gzip, wrong block": (corrupted(gzip.compress(INT16), 10), "corrupt or truncated gzip"),
    "gzip, garbage behind": (gzip.compress(INT16) + b"garbage", "corrupt or truncated gzip"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_idx_malformed(write, case):
    data, message = MALFORMED[case]
    with pytest.raises(ValueError, match=message) as error:
        load_idx(write(data, "broken.idx"))
    assert "broken.idx" in str(error.value)


@pytest.mark.parametrize(
    "case", ["sizes beyond memory", "sizes beyond the file", "gzip, sizes beyond what fits", "gzip, bomb"]
)
def test_idx_malformed_takes_no_memory(write, case):
    path = write(MALFORMED[case][0])
    tracemalloc.start()
    with suppress(ValueError):
        load_idx(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_idx_max_bytes(write):
    path = write(INT16)
    assert load_idx(path, max_bytes=12).size == 6
    with pytest.raises(ValueError, match="max_bytes = 11"):
        load_idx(path, max_bytes=11)


@given(data=st.binary(max_size=40), prefix=st.sampled_from([b"", b"\0\0\x08\x01", gzip.compress(INT16)[:20]]))
def test_idx_any_bytes_load_or_raise_value_error(tmp_path_factory, data, prefix):
    path = tmp_path_factory.mktemp("idx") / "data"
    path.write_bytes(prefix + data)
    with suppress(ValueError):  # and no other exception
        load_idx(path)


def test_idx_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        load_idx(tmp_path / "absent.idx")


# ---- MNIST ----------------------------------------------------------------------------------------------------------
IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
LABELS = np.array([3, 1, 2, 9], np.uint8)


@pytest.mark.parametrize("names", ["{}-{}-idx{}-ubyte", "{}-{}-idx{}-ubyte.gz", "{}-{}.idx{}-ubyte"])
@pytest.mark.parametrize(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_mnist_names_and_layouts(write, names, split, prefix):
    folder = write(idx(IMAGES), names.format(prefix, "images", 3)).parent
    write(gzip.compress(idx(LABELS)), names.format(prefix, "labels", 1))
    images, labels = load_mnist(folder, split)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    images, _ = load_mnist(str(folder), split, nchw=True)
    assert images.shape == (4, 1, 3, 2)
    np.testing.assert_array_equal(images[:, 0], IMAGES)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES, LABELS[:3], "has 4 images but .* has 3 labels"),
        (IMAGES.reshape(4, 6), LABELS, "uint8 values in 2 dimensions; expected uint8 in 3"),
        (IMAGES, LABELS.astype(np.int32), "int32 values in 1 dimensions; expected uint8 in 1"),
    ],
)
def test_mnist_that_does_not_fit(write, images, labels, message):
    folder = write(idx(images), "train-images-idx3-ubyte").parent
    write(idx(labels), "train-labels-idx1-ubyte")
    with pytest.raises(ValueError, match=message):
        load_mnist(folder)


def test_mnist_missing(write, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        load_mnist(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no images file; looked for train-images-idx3-ubyte, train-"):
        load_mnist(tmp_path)
    write(idx(IMAGES), "t10k-images-idx3-ubyte")
    with pytest.raises(FileNotFoundError, match="no labels file; looked for t10k-labels-idx1-ubyte"):
        load_mnist(tmp_path, "test")


def test_mnist_unknown_split(tmp_path):
    with pytest.raises(ValueError, match="split is 'valid'; expected one of 'train', 'test'"):
        load_mnist(tmp_path, "valid")


@pytest.mark.skipif(not MNIST.is_dir(), reason=f"no MNIST in {MNIST}: set FASTLR_DATA to the folder that holds mnist/")
@pytest.mark.parametrize(("split", "n", "first"), [("train", 60_000, [5, 0, 4, 1]), ("test", 10_000, [7, 2, 1, 0])])
def test_mnist_itself(split, n, first):
    images, labels = load_mnist(MNIST, split)
    assert images.shape == (n, 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    assert labels.shape == (n,)
    assert labels[:4].tolist() == first
    assert (images.min(), images.max()) == (0, 255)
    # the mean pixel that everyone normalises with: 0.1307 on the training images
    assert images.mean() / 255 == pytest.approx(0.1307 if split == "train" else 0.1325, abs=5e-5)


def test_digits():
    X, y = load_digits()
    assert X.shape == (1797, 64)
    assert y.shape == (1797,)
    assert (X.min(), X.max()) == (0, 16)
    assert np.unique(y).tolist() == list(range(10))


@pytest.mark.parametrize("name", ["data.svm", "data.svm.gz"])
def test_svmlight_rows(tmp_path, name):
    with (gzip.open if name.endswith(".gz") else open)(tmp_path / name, "wb") as file:
        file.write(b"# made by hand\n1 1:0.5 3:-2 # a row\n-1\n1 2:1e3\n")
    X, y = load_svmlight(tmp_path / name, n_features=4, dtype=np.float32)
    np.testing.assert_array_equal(X.toarray(), [[0.5, 0, -2, 0], [0, 0, 0, 0], [0, 1000, 0, 0]])
    assert X.dtype == np.float32
    assert y.tolist() == [1, -1, 1]
    X, _ = load_svmlight(tmp_path / name, zero_based=True)
    assert X.shape == (3, 4)


@pytest.mark.parametrize(("text", "options", "message"), [
    (b"1 1:2\nspam 1:2\n", {}, r"line 2 begins with 'spam'; expected a label"),
    (b"1 1:2\n1 2\n", {}, r"line 2 has '2'; expected index:value"),
    (b"1 1:two\n", {}, r"line 1 has '1:two'; expected index:value"),
    (b"1 3:1 2:1\n", {}, r"line 1 has index 2 after 3; expected indices that rise"),
    (b"1 1:1\n0 5:1\n", {"n_features": 4}, r"line 2 has index 5, beyond n_features=4; expected none above 4"),
    (b"1 0:1\n0 4:1\n", {"n_features": 4, "zero_based": True}, r"line 2 has index 4, .* none above 3"),
    (b"1 1:1\n0 0:1\n", {"zero_based": False}, r"line 2 has index 0; expected indices from 1 on: use zero_based=True"),
    (b"1 1:1\n1 2147483648:1\n", {}, r"line 2 has index 2147483648; expected none above 2147483647"),
    (b"1 99999999999999999999:1\n", {}, r"line 1 has index 9+; expected none above 2147483647"),
    (b"1 1:1\n", {"zero_based": "yes"}, r"zero_based is 'yes'; expected True, False or 'auto'"),
    (b"1 1:1\n", {"zero_based": 1}, r"zero_based is 1; expected True"),
    (b"1 1:1\n", {"n_features": 0}, r"n_features is 0; expected a positive integer, or None"),
    (b"1 1:1\n", {"n_features": "3"}, r"n_features is '3'; expected a positive integer, or None"),
    (b"1 1:1\n", {"dtype": "int32"}, r"dtype is 'int32'; expected 'float64' or 'float32'"),
])
def test_svmlight_faults(tmp_path, text, options, message):
    (tmp_path / "data.svm").write_bytes(text)
    with pytest.raises(ValueError, match=message):
        load_svmlight(tmp_path / "data.svm", **options)


@pytest.mark.parametrize("name", ["data.svm.gz", "data.svm.bz2"])
@pytest.mark.parametrize("damage", ["cut", "none"])
def test_svmlight_archives_that_are_damaged(tmp_path, name, damage):
    text = b"1 1:0.5\n" * 5000
    packed = gzip.compress(text) if name.endswith("gz") else bz2.compress(text)
    (tmp_path / name).write_bytes(packed[: len(packed) // 2] if damage == "cut" else b"1 1:0.5\n")
    with pytest.raises(ValueError, match=rf"{name} is damaged"):
        load_svmlight(tmp_path / name)
