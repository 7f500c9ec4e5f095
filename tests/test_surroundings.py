"""What a process may lack or ask for: stderr, readers, metadata, strict warnings and floating point, many threads."""

import os
import subprocess
import sys

import numpy as np
import pytest

import fastlr

X = np.random.default_rng(0).normal(size=(60, 3))
Y = np.arange(60) % 3


def run(code, *, flags=(), **environment):
    return subprocess.run([sys.executable, *flags, "-c", code], env=os.environ | environment, capture_output=True,
                          text=True, timeout=120)


FITS = """
import sys, fastlr, numpy as np
X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 3
{}
fastlr.Trainer(epochs=2, verbose=1).fit(X, y)
fastlr.LogisticRegression(verbose=1).fit(X, y)
print("done")
"""


@pytest.mark.parametrize("stderr", [
    "sys.stderr = None",
    "sys.stderr = type('Stream', (), {'write': lambda self, text: len(text), 'flush': lambda self: None})()",
    "sys.stderr = open('/dev/null', 'w'); sys.stderr.close()",
    "import os; r, w = os.pipe(); os.close(r); sys.stderr = os.fdopen(w, 'w')",
], ids=["none", "without isatty", "closed", "closed pipe"])
def test_progress_is_never_an_error(stderr):
    result = run(FITS.format(stderr) + "import os; sys.stdout.flush(); os._exit(0)")
    assert (result.stdout, result.returncode) == ("done\n", 0), result.stderr


@pytest.mark.parametrize("command", ["info", "demo", "--help", "bench --help"])
def test_a_reader_that_has_gone_ends_a_command_without_a_word(command):
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run([sys.executable, "-m", "fastlr", *command.split()], stdout=writer, stderr=subprocess.PIPE,
                            text=True, timeout=120)
    os.close(writer)
    assert result.stderr == ""
    assert result.returncode in (0, 141)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has /dev/full")
def test_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        result = subprocess.run([sys.executable, "-m", "fastlr", "info"], stdout=full, stderr=subprocess.PIPE,
                                text=True, timeout=120)
    assert result.returncode == 2
    assert result.stderr.startswith("fastlr: error: ")
    assert result.stderr.count("\n") == 1


def test_version_without_metadata():
    code = """
import importlib.metadata as m
def version(name):
    raise m.PackageNotFoundError(name)
m.version = version
import fastlr
print(fastlr.__version__)
fastlr.show_config()
"""
    lines = run(code).stdout.splitlines()
    assert lines[0] == "unknown"
    assert lines[1].split() == ["fastlr", "unknown"]


EVERYTHING = """
import numpy as np, fastlr
rng = np.random.default_rng(0)
for real in (np.float16, np.float32, np.float64, np.longdouble, np.uint8):
    for size in (1, 3, 17, 300):
        Z = (rng.normal(size=(20, size)) * 100).astype(real)
        for f in (fastlr.softmax, fastlr.log_softmax, fastlr.logsumexp, fastlr.sigmoid, fastlr.sigmoid_derivative,
                  fastlr.log_sigmoid):
            f(Z), f(Z.T), f(Z[::2])
        A = fastlr.softmax(Z)
        fastlr.softmax_jacobian(A), fastlr.logit(A)
        y = rng.integers(0, size, 20)
        fastlr.cross_entropy_and_grad(Z, y, label_smoothing=0.1)
        fastlr.cross_entropy(Z, A, reduction="none", sample_weight=rng.random(20) * 1e-300)
        fastlr.binary_cross_entropy_and_grad(Z, Z > 0)
big = np.array([np.longdouble(10) ** 400, -np.longdouble(10) ** 400, np.longdouble(10) ** -400])
fastlr.softmax(big), fastlr.sigmoid(big), fastlr.softmax([np.inf, 0, np.nan]), fastlr.logsumexp([-np.inf, -np.inf])
fastlr.softmax_jacobian([1 - 1e-200, 1e-200, 1e-300])
for scale in (1.0, 1e-30, 1e30):
    for real in (np.float32, np.float64):
        X = (rng.normal(size=(60, 3))).astype(real)
        y = np.arange(60) % 3
        fastlr.loss_and_grad(X, np.ones((3, 3)) * scale, np.zeros(3), y, alpha=1e-300, shift=1e-200, scale=1e-200)
        for loss in ("softmax", "sigmoid", "squared_error"):
            t = fastlr.Trainer(loss, epochs=2, momentum=0.5, alpha=1e-300, random_state=0).fit(X, y, scale=1e-30)
            t.partial_fit(X, y).score(X, y)
        for labels in (y, y > 0, fastlr.one_hot(y), fastlr.softmax(X)):
            for C in (1e-8, 1.0, 1e8):
                m = fastlr.LogisticRegression(C, random_state=0, max_iter=10**4).fit(X, labels)
                m.predict_log_proba(X * np.asarray(1e3, real)), m.score(X, labels)
print("done")
"""


@pytest.mark.parametrize("flags", [(), ("-W", "error")], ids=["floating point", "warnings too"])
def test_strict_floating_point_and_warnings(flags):
    code = "import numpy as np; np.seterr(all='raise')\n" + EVERYTHING
    result = run(code, flags=flags)
    assert result.stdout == "done\n", result.stderr


@pytest.mark.parametrize("n_threads", [2**31, 2**63, 10**30, np.int64(2), np.uint8(1)], ids=repr)
def test_any_positive_number_of_threads(n_threads):
    np.testing.assert_array_equal(fastlr.softmax(X, n_threads=n_threads), fastlr.softmax(X, n_threads=1))
    for model in (fastlr.Trainer(epochs=1, random_state=0), fastlr.LogisticRegression()):
        one = type(model)(**model.get_params() | {"n_threads": 1}).fit(X, Y)
        np.testing.assert_array_equal(model.set_params(n_threads=n_threads).fit(X, Y).coef_, one.coef_)


@pytest.mark.parametrize(("n_threads", "error"), [
    (True, ValueError), (np.True_, TypeError), (2.0, TypeError), ("2", TypeError), (0, ValueError), (-1, ValueError),
])
def test_other_numbers_of_threads_are_refused(n_threads, error):
    with pytest.raises(error, match=r"n_threads is .*; expected a positive integer"):
        fastlr.softmax(X, n_threads=n_threads)


@pytest.mark.parametrize(("variable", "text", "printed"), [
    ("FASTLR_NUM_THREADS", "9" * 5000, "[0.5 0.5]"), ("FASTLR_NUM_THREADS", "2147483648", "[0.5 0.5]"),
    ("OMP_NUM_THREADS", "9" * 5000, "[0.5 0.5]"), ("OMP_NUM_THREADS", "many", "[0.5 0.5]"),
    ("FASTLR_NUM_THREADS", "1e3", "ValueError"), ("FASTLR_NUM_THREADS", "00", "ValueError"),
    ("FASTLR_NUM_THREADS", "\u0660", "ValueError"),  # a zero too
])
def test_threads_of_the_environment(variable, text, printed):
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    code = "import fastlr\ntry: print(fastlr.softmax([1.0, 1.0]))\nexcept ValueError as e: print(type(e).__name__)"
    result = subprocess.run([sys.executable, "-c", code], env=environment | {variable: text, "PYTHONUTF8": "1"},
                            capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == printed, result.stderr


def test_warnings_point_at_the_users_line():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = fastlr.LogisticRegression(max_iter=0)
    for call in (lambda: model.fit(X, Y), lambda: make_pipeline(StandardScaler(), model).fit(X, Y),
                 lambda: fastlr.Trainer("squared_error", learning_rate=1e150).fit(X, Y),
                 lambda: fastlr.LogisticRegression().fit(X, (Y > 0)[:, None])):
        with pytest.warns() as caught:
            call()
        assert {warning.filename for warning in caught} == {__file__}
