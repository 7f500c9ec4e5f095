"""Suite "training": MNIST by gradient descent, against a plain NumPy loop and scikit-learn's SGDClassifier."""

import warnings

import fastlr

from . import data, limits, peers_numpy
from .cases import EPOCH, MINI_BATCHES, ONE_AT_A_TIME, PASSES, TRAINING_ACCURACY
from .table import Row, Table
from .timing import best_seconds

EPOCHS = 25
RECIPE = {"learning_rate": 0.1, "batch_size": 256}
ONE_AGAINST_REST = "SGDClassifier (10 one-against-rest problems)"


def tables(settings):
    """Yield the table of the suite."""
    about = (
        "Milliseconds of a whole fit; fastlr's keeps each epoch's loss and accuracy, NumPy's does not. SGDClassifier "
        "has no softmax: it trains ten binary classifiers, one class against the rest, where fastlr trains one softmax "
        "regression; the result is its time on one thread, as fastlr's, over fastlr's."
    )
    if data.mnist_folder() is None:
        rows = [Row("MNIST", note=data.NO_MNIST)]
    else:
        (X, y), test = (data.mnist(split) for split in ("train", "test"))
        n = settings.rows(data.MNIST_ROWS)
        X, y = data.pixels_over_255(X[:n]), y[:n]
        rows = [
            *_mini_batches(X, y, test, settings),
            _against_gradient_limit(X, y, settings),
            _one_at_a_time(X, y, settings),
        ]
    yield Table("Gradient descent on MNIST", about, rows)


def _mini_batches(X, y, test, settings):
    epochs = 2 if settings.quick else EPOCHS
    trainer = fastlr.Trainer(**RECIPE, epochs=epochs, n_threads=settings.n_threads, random_state=0)
    times = best_seconds(
        {
            "fastlr": lambda: trainer.fit(X, y),
            "numpy": lambda: peers_numpy.sgd(X, y, 10, **RECIPE, epochs=epochs, seed=0),
        },
        **settings.effort | {"min_rounds": 1 if settings.quick else 2},
    )
    X_test, y_test = test
    accuracy = 100 * trainer.score(data.pixels_over_255(X_test), y_test)
    case = f"batch 256, {epochs} epochs, learning rate 0.1"
    return [
        Row(f"{case}: test accuracy", value=accuracy, unit="%", target=TRAINING_ACCURACY),
        Row(case, times, times["numpy"] / times["fastlr"], "x faster", MINI_BATCHES),
    ]


def _against_gradient_limit(X, y, settings):
    """An epoch's steps alone, over the limit of one gradient of the same data."""
    case = next(case for case in PASSES if (case.d, case.k, case.dtype) == (X.shape[1], 10, "float32"))
    trainer = fastlr.Trainer(**RECIPE, epochs=1, n_threads=settings.n_threads, random_state=0).fit(X, y)

    probes = limits.probes_of_pass(case, len(X), settings)
    times = best_seconds(probes | {"fastlr": lambda: trainer.partial_fit(X, y)}, **settings.effort)
    limit, steps = limits.limit_of_pass(case, len(X), settings, times), min(trainer.history_["seconds"])
    return Row("batch 256, one epoch's steps", {"limit": limit, "fastlr": steps}, steps / limit, "x limit", EPOCH)


def _one_at_a_time(X, y, settings):
    """fastlr's one softmax regression against SGDClassifier, which has none: its ten one-against-rest problems."""
    from sklearn.linear_model import SGDClassifier

    trainer = fastlr.Trainer(
        learning_rate=0.01, batch_size=1, epochs=1, n_threads=settings.n_threads, random_state=0
    )
    options = {
        "loss": "log_loss", "penalty": None, "learning_rate": "constant", "eta0": 0.01, "max_iter": 1, "tol": None,
    }
    peer = SGDClassifier(**options, random_state=0)  # one thread, as fastlr's
    threaded = SGDClassifier(**options, n_jobs=settings.n_threads, random_state=0)  # its classes side by side
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch does not converge, and need not
        times = best_seconds(
            {
                "fastlr": lambda: trainer.fit(X, y),
                f"{ONE_AGAINST_REST}, 1 thread": lambda: peer.fit(X, y),
                f"{ONE_AGAINST_REST}, {settings.n_threads} threads": lambda: threaded.fit(X, y),
            },
            **settings.effort | {"min_rounds": 1 if settings.quick else 3},
        )
    ratio = times[f"{ONE_AGAINST_REST}, 1 thread"] / times["fastlr"]
    return Row("one example at a time, one epoch", times, ratio, "x faster", ONE_AT_A_TIME)
