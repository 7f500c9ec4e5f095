"""Pictures are drawn, at a sane size, without pyplot; bad paths and shapes are refused."""

import sys

import numpy as np
import pytest

from fastlr.plotting import check_picture_path, save_run

HISTORY = {"loss": [2.0, 1.0, 0.5], "accuracy": [0.5, 0.8, 0.9], "val_loss": [2.1, 1.2, 0.8], "seconds": [1, 1, 1]}
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(("n_classes", "n_logits"), [(10, 10), (2, 1), (3, 3), (26, 26)])
def test_save_run_writes_a_picture(tmp_path, rng, n_classes, n_logits):
    path = tmp_path / "run.png"
    confusion = rng.integers(0, 100, (n_classes, n_classes))
    save_run(path, HISTORY, confusion, rng.normal(size=(n_logits, 12)), (3, 4), title="run")
    data = path.read_bytes()
    assert data.startswith(PNG)
    width, height = np.frombuffer(data[16:24], ">u4")
    assert 1000 <= width <= 2000
    assert 800 <= height <= 3000
    assert len(data) > 20_000


def test_save_run_with_a_bare_history_zero_weights_and_an_absent_class(tmp_path):
    path = tmp_path / "run.svg"
    save_run(path, {"loss": [1.0]}, np.diag([3, 0]), np.zeros((2, 4)), (2, 2), classes=["cat", "dog"])
    text = path.read_text()
    assert "<svg" in text


def test_save_run_leaves_pyplot_alone(tmp_path, rng):
    figures = sys.modules["matplotlib.pyplot"].get_fignums() if "matplotlib.pyplot" in sys.modules else []
    save_run(tmp_path / "run.png", HISTORY, np.eye(2, dtype=int), rng.normal(size=(2, 4)), (2, 2))
    after = sys.modules["matplotlib.pyplot"].get_fignums() if "matplotlib.pyplot" in sys.modules else []
    assert after == figures


def test_save_run_image_shape_must_fit(tmp_path):
    with pytest.raises(ValueError, match=r"image_shape is \(8, 8\), but coef has 12 columns"):
        save_run(tmp_path / "run.png", HISTORY, np.eye(2), np.zeros((2, 12)), (8, 8))


def test_picture_path(tmp_path):
    check_picture_path(tmp_path / "run.PNG")
    check_picture_path("run.pdf")
    with pytest.raises(FileNotFoundError, match="absent is not a folder"):
        check_picture_path(tmp_path / "absent" / "run.png")
    with pytest.raises(ValueError, match=r"its ending is '.doc'; expected one of .*\.png"):
        check_picture_path(tmp_path / "run.doc")


def test_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    check_picture_path("~/run.svg")
    save_run("~/run.svg", {"loss": [1.0]}, np.diag([3, 0]), np.zeros((2, 4)), (2, 2))
    assert (tmp_path / "run.svg").exists()


def test_without_matplotlib_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'fastlr-ml\[plot\]'"):
        check_picture_path(tmp_path / "run.png")
