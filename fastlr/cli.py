"""The command ``fastlr``: ``demo``, ``info`` and ``bench``.

A command returns its exit status (None is 0).  What a user can put right (a missing folder, a bad file, an option out
of range, an extra that is not installed) ends in one line on stderr and status 2; anything else is a bug and shows
itself.  A reader that has gone (``fastlr info | head -1``) ends a command without a word.
"""

import argparse
import os
import sys
import time
import warnings

import numpy as np

import fastlr

USER_ERRORS = (OSError, ValueError, ImportError)
INTERRUPTED, READER_GONE = 130, 141  # as the shell reports SIGINT and SIGPIPE


def main(argv=None):
    """Run one command.

    Parameters
    ----------
    argv : list of str, optional
        The arguments after the name of the program, ``sys.argv[1:]`` by default.

    Returns
    -------
    int
        The exit status: 0, 1 for a demo without a result, 2 after an error the user can put right, 130 after Ctrl-C,
        141 if the reader of the output has gone.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return _run(argv)
            finally:
                if sys.stdout is not None:  # here, where a reader that has gone can be told from an error
                    sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return READER_GONE
    except USER_ERRORS as error:
        _tell(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        _tell("interrupted")
        return INTERRUPTED


def _run(argv):
    parser = argparse.ArgumentParser(prog="fastlr", description="Logistic and softmax regression on the CPU.")
    parser.add_argument("--version", action="version", version=f"fastlr {fastlr.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_demo(commands)
    info = commands.add_parser("info", help="show version, instruction set, BLAS and threads")
    info.set_defaults(run=lambda args: fastlr.show_config())
    bench = commands.add_parser("bench", help="measure fastlr against NumPy", add_help=False)
    bench.set_defaults(run=_run_bench)
    args, rest = parser.parse_known_args(argv)
    if rest and args.run is not _run_bench:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    args.rest = rest
    return args.run(args) or 0


def _run_bench(args):
    from fastlr import bench

    return bench.main(args.rest)


def _show_warning(message, *_args, **_kwargs):
    """A warning as a line for the user, without the place in the source."""
    _tell(f"warning: {message}")


def _tell(message):
    if sys.stderr is not None:
        print(f"fastlr: {message}", file=sys.stderr)


def _discard_output():
    """Let what is still buffered go nowhere: Python writes it at exit, and would report the pipe once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())
        except (AttributeError, ValueError, OSError):  # none, or closed
            pass


# ---- demo -----------------------------------------------------------------------------------------------------------
def _add_demo(commands):
    parser = commands.add_parser(
        "demo", help="train softmax regression on images of digits",
        description="Train softmax regression on scikit-learn's small digits, or on MNIST, and tell how well it does.",
    )
    parser.add_argument("--data", metavar="FOLDER", help="MNIST as IDX files, plain or gzip (default: embedded digits)")
    parser.add_argument("--plot", metavar="FILE.png", help="draw learning curve, confusion matrix and weights")
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the training images (default: 25)")
    parser.add_argument("--batch-size", type=int, metavar="N", help="images a step (default: digits 16, MNIST 256)")
    parser.add_argument("--learning-rate", type=float, metavar="RATE", help="(default: digits 0.5, MNIST 0.1)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the shuffling (default: 0)")
    parser.add_argument("--threads", type=int, metavar="N", help="(default: the CPUs this process may use)")
    parser.set_defaults(run=_run_demo)


def _run_demo(args):
    from fastlr import plotting

    if args.plot:
        plotting.check_picture_path(args.plot)
    name, (images, y), (test_images, y_test), scale, rule = _digits() if args.data is None else _mnist(args.data)
    image_shape, X, X_test = images.shape[1:], images.reshape(len(y), -1), test_images.reshape(len(y_test), -1)
    sizes = f"{len(y):,} training and {len(y_test):,} test images of {image_shape[0]} x {image_shape[1]}"
    print(f"{name}: {sizes}", flush=True)  # before the progress on stderr

    given = {name: getattr(args, name) for name in ("epochs", "batch_size", "learning_rate")}
    rule |= {name: value for name, value in given.items() if value is not None}
    trainer = fastlr.Trainer(**rule, verbose=1, n_threads=args.threads, random_state=args.seed)
    start = time.perf_counter()
    status = 0
    try:
        trainer.fit(X, y, validation_data=(X_test, y_test), scale=scale)
    except KeyboardInterrupt:  # what was learnt so far is worth showing
        _tell("interrupted")
        status = INTERRUPTED
    seconds = time.perf_counter() - start
    if not getattr(trainer, "history_", None):  # no epoch is done; if it diverged, the warning has said so
        return status or 1

    step_seconds = trainer.history_["seconds"]
    n_epochs = len(step_seconds)
    print(f"training accuracy  {trainer.score(X, y):.4f}")
    print(f"test accuracy      {trainer.score(X_test, y_test):.4f}")
    print(f"time               {seconds:.3g} s for {n_epochs} epochs, {sum(step_seconds):.3g} s of it gradient steps")
    print(f"throughput         {n_epochs * len(y) / sum(step_seconds):,.0f} examples/s in the steps")
    if args.plot:
        from sklearn.metrics import confusion_matrix

        confusion = confusion_matrix(y_test, trainer.predict(X_test), labels=trainer.classes_)
        plotting.save_run(args.plot, trainer.history_, confusion, trainer.coef_, image_shape, classes=trainer.classes_,
                          title=f"Softmax regression on {name}")
        print(f"picture            {args.plot}")
    return status


def _digits():
    """Name, images (n, height, width) and labels to train on and to test with, pixels' scale, what trains well."""
    X, y = fastlr.datasets.load_digits()
    images, test = X.reshape(-1, 8, 8), np.arange(len(y)) % 5 == 0
    rule = {"epochs": 25, "batch_size": 16, "learning_rate": 0.5}
    return "digits", (images[~test], y[~test]), (images[test], y[test]), 1 / 16, rule


def _mnist(folder):
    """The same of MNIST."""
    train, test = (fastlr.datasets.load_mnist(folder, split) for split in ("train", "test"))
    if train[0].shape[1:] != test[0].shape[1:]:
        raise ValueError(f"{folder} has training images of shape {train[0].shape[1:]} but test images of shape "
                         f"{test[0].shape[1:]}; expected one shape: take all four files from one data set")
    return "MNIST", train, test, 1 / 255, {"epochs": 25, "batch_size": 256, "learning_rate": 0.1}
