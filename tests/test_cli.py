"""The command line: output, exit status and errors of each command, and what ``import fastlr`` must not load."""

import json
import re
import struct
import subprocess
import sys

import numpy as np
import pytest

import fastlr
from fastlr.cli import main
from fastlr.config import config


def run(*argv):
    return subprocess.run([sys.executable, *argv], capture_output=True, text=True, timeout=300)


@pytest.fixture
def mnist_folder(tmp_path):
    """A small data set in MNIST's form: the class of an image is the place of its bright pixel."""
    rng = np.random.default_rng(0)
    for prefix, n in (("train", 300), ("t10k", 100)):
        labels = rng.integers(0, 4, n).astype(np.uint8)
        images = rng.integers(0, 60, (n, 2, 2), np.uint8)
        images.reshape(n, 4)[np.arange(n), labels] = 255
        for kind, array in (("images", images), ("labels", labels)):
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (tmp_path / f"{prefix}-{kind}-idx{array.ndim}-ubyte").write_bytes(header + array.tobytes())
    return tmp_path


def accuracies(text):
    return {name: float(value) for name, value in re.findall(r"(training|test) accuracy +(\d\.\d+)", text)}


# ---- demo -----------------------------------------------------------------------------------------------------------
def test_demo_learns_the_digits(capsys):
    assert main(["demo", "--threads", "1"]) == 0
    out = capsys.readouterr().out
    assert "digits: 1,437 training and 360 test images of 8 x 8" in out
    found = accuracies(out)
    assert found["training"] > 0.97
    assert found["test"] > 0.95
    assert re.search(r"time +\S+ s for 25 epochs", out)
    assert re.search(r"throughput +[\d,]+ examples/s", out)


def test_demo_repeats_itself(capsys):
    results = []
    for seed in ("1", "1", "2"):
        assert main(["demo", "--epochs", "1", "--seed", seed]) == 0
        results.append(accuracies(capsys.readouterr().out))
    assert results[0] == results[1]


def test_demo_reads_mnist_and_draws(mnist_folder, capsys):
    picture = mnist_folder / "run.png"
    options = ["--batch-size", "32", "--learning-rate", "1", "--epochs", "10"]
    assert main(["demo", "--data", str(mnist_folder), "--plot", str(picture), *options]) == 0
    out = capsys.readouterr().out
    assert "300 training and 100 test images of 2 x 2" in out
    assert accuracies(out)["test"] > 0.95
    assert picture.stat().st_size > 20_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "no/such/folder"], "no/such/folder is not a folder"),
        (["--plot", "no/such/folder/run.png"], "no/such/folder is not a folder"),
        (["--plot", "run.doc"], "expected one of"),
        (["--epochs", "0"], "epochs"),
        (["--batch-size", "-1"], "batch_size"),
        (["--learning-rate", "nan"], "learning_rate"),
        (["--threads", "0"], "n_threads"),
    ],
)
def test_demo_errors_are_one_line(options, message, capsys):
    assert main(["demo", *options]) == 2
    err = capsys.readouterr().err
    assert err.startswith("fastlr: error: ")
    assert message in err
    assert err.count("\n") == 1


def test_demo_bad_file(mnist_folder, capsys):
    path = mnist_folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    assert main(["demo", "--data", str(mnist_folder)]) == 2
    assert "the header promises 300 x 2 x 2 uint8 values (1200 bytes), but the file has 1195" in capsys.readouterr().err


def test_demo_of_images_that_do_not_fit(mnist_folder, capsys):
    for name in ("images-idx3", "labels-idx1"):
        (mnist_folder / f"t10k-{name}-ubyte").unlink()
    (mnist_folder / "t10k-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7]))
    (mnist_folder / "t10k-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, 3]))
    assert main(["demo", "--data", str(mnist_folder)]) == 2
    assert "training images of shape (2, 2) but test images of shape (1, 1)" in capsys.readouterr().err


def test_demo_without_matplotlib(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["demo", "--plot", "run.png"]) == 2
    assert "pip install 'fastlr-ml[plot]'" in capsys.readouterr().err


def test_demo_that_diverges_at_once(capsys):
    assert main(["demo", "--learning-rate", "1e308"]) == 1
    captured = capsys.readouterr()
    assert "accuracy" not in captured.out
    assert "fastlr: warning: epoch 1 diverged" in captured.err


def test_ctrl_c_ends_quietly(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(fastlr.datasets, "load_digits", interrupted)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "fastlr: interrupted\n"


# ---- info, bench, the program itself --------------------------------------------------------------------------------
def test_info(capsys):
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    fastlr.show_config()
    assert capsys.readouterr().out == printed
    facts = config()
    assert facts["isa"] in facts["isa_available"]
    assert facts["n_threads"] >= 1
    json.dumps(facts)
    for word in (fastlr.__version__, facts["isa"], facts["blas"]["name"], np.__version__):
        assert str(word) in printed


def test_info_where_threadpoolctl_sees_no_blas(monkeypatch, capsys):
    monkeypatch.setattr("threadpoolctl.threadpool_info", list)
    built_with = config()["blas"]
    assert built_with["n_threads"] is None
    fastlr.show_config()
    assert f"BLAS             {built_with['name']}" in capsys.readouterr().out


def test_bench_gets_its_own_arguments(monkeypatch):
    seen = []
    monkeypatch.setattr("fastlr.bench.main", lambda argv: seen.append(argv))
    assert main(["bench", "--quick", "softmax"]) == 0
    assert seen == [["--quick", "softmax"]]


def test_python_m_fastlr():
    done = run("-m", "fastlr", "info")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "instruction set" in done.stdout


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["demo", "--nonsense"], ["demo", "--epochs", "many"]])
def test_usage_errors(argv, capsys):
    with pytest.raises(SystemExit) as error:
        main(argv)
    assert error.value.code == 2
    assert "usage: fastlr" in capsys.readouterr().err


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as error:
        main(["--help"])
    assert error.value.code == 0
    out = capsys.readouterr().out
    assert all(command in out for command in ("demo", "info", "bench"))


def test_import_is_light():
    done = run("-c", "import sys, fastlr; print(sorted({'sklearn', 'matplotlib', 'pandas'} & set(sys.modules)))")
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"
