"""Text of Python's standard library, the class of a piece being its package: what a user does with defaults.

Both contestants are `LogisticRegression()` as it comes; scikit-learn's stops at 100 iterations or its own tolerance, so
that time is told together with accuracy on pieces that neither has seen.
"""

import email
import warnings
from functools import partial
from pathlib import Path

import numpy as np

import fastlr

from . import race
from .table import Row, Table, Target

PACKAGES = (
    "idlelib", "distutils", "asyncio", "lib2to3", "email", "tkinter", "xml", "multiprocessing", "importlib", "http",
    "logging", "urllib", "html", "re", "xmlrpc", "ctypes", "concurrent", "wsgiref", "collections", "json", "zoneinfo",
    "sqlite3", "unittest", "dbm",
)
CLASSES = 16
LINES = 40  # of a piece
HELD_OUT = 4  # one piece in so many
TIMES = Target(5.0, 15.0, "at least")


def pieces(settings):
    """Texts, and their packages, of the first CLASSES packages that this Python has."""
    library, texts, packages = Path(email.__file__).parent.parent, [], []
    found = [name for name in PACKAGES if (library / name).is_dir()][:CLASSES]
    for name in found:
        for path in sorted((library / name).rglob("*.py")):
            lines = [] if "test" in str(path.relative_to(library)) else path.read_text("utf-8", "replace").splitlines()
            for start in range(0, len(lines), LINES):
                texts.append("\n".join(lines[start : start + LINES]))
                packages.append(name)
    step = 10 if settings.quick else 1
    return texts[::step], np.array(packages[::step])


def tables(settings):
    """Yield the table of this comparison."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    texts, y = pieces(settings)
    X = TfidfVectorizer().fit_transform(texts)
    test = np.arange(len(y)) % HELD_OUT == 0
    makers = {"fastlr": partial(fastlr.LogisticRegression, n_threads=settings.n_threads),
              "scikit-learn": LogisticRegression}
    seconds, scores, finishes = {}, {}, {}
    for who, make in makers.items():
        fit = partial(_fit, make, X[~test], y[~test])
        seconds[who], model = race.timed(fit)
        scores[f"{who}, accuracy"] = model.score(X[test], y[test])
        finishes[who] = race.Finish("defaults", fit, seconds[who], 0.0)
    race.repeat(finishes.values(), settings)
    seconds = {who: finish.seconds for who, finish in finishes.items()}
    is_as_good = scores["fastlr, accuracy"] >= scores["scikit-learn, accuracy"]
    gain = seconds["scikit-learn"] / seconds["fastlr"]
    row = Row("tf-idf of the standard library", seconds, gain if is_as_good else 0.0, "x faster", TIMES,
              "" if is_as_good else f"{gain:.1f} x faster, but less accurate", figures=scores)
    about = f"{X.shape[0]:,} x {X.shape[1]:,} float64, {len(set(y))} classes, one piece in {HELD_OUT} held out"
    yield Table("Text at defaults", f"Milliseconds; {about}.", [row])


def _fit(make, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn may stop at max_iter
        return make().fit(X, y)
