"""A Trainer's run of epochs: what is recorded, what ends it, and a usable model however it ends."""

import math
from time import perf_counter

import numpy as np

from fastlr import _core
from fastlr._input.options import check_trainer, is_flag
from fastlr._runtime.terminal import ProgressLine
from fastlr._runtime.threads import resolve_n_threads
from fastlr._runtime.warnings import warn_user
from fastlr._training_state import return_to, state_of
from fastlr._training_streamed import StreamedProblem
from fastlr._training_windows import run_epoch


@np.errstate(all="ignore")
def train(trainer, problem, epochs, before, validation=None):
    """Run epochs from the state `before`; leave the model usable however they end."""
    done = len(trainer.history_.get("loss", ()))
    line = ProgressLine(trainer.verbose)
    epoch = done
    try:
        for epoch in range(done + 1, done + epochs + 1):
            if epoch > done + 1:
                before = [values.copy() for values in state_of(trainer)]
            start = perf_counter()
            loss, n_correct = _run_epoch(trainer, problem)
            seconds = perf_counter() - start
            if not math.isfinite(loss) or not _is_finite(trainer):
                return_to(trainer, before)
                warn_user(f"epoch {epoch} diverged: the loss or the weights are no longer finite. The weights "
                          f"are those before it; use a learning_rate below {trainer.learning_rate:g}, or scale "
                          f"the features", RuntimeWarning)
                break
            _record(trainer, problem, loss, n_correct, seconds, validation)
            figures = "  ".join(f"{name} {values[-1]:.4f}" for name, values in trainer.history_.items())
            line.show(f"epoch {epoch}/{done + epochs}  {figures}")
            if any(is_flag(stop := callback(trainer, epoch)) and stop for callback in trainer.callbacks):
                break
            if trainer.callbacks:
                check_trainer(trainer)  # they may set parameters
    except BaseException as error:
        if not _is_finite(trainer):
            return_to(trainer, before)
        if isinstance(error, KeyboardInterrupt):
            error.add_note(f"training was interrupted in epoch {max(epoch, 1)}; the model is as the last batch "
                           f"left it")
        raise
    finally:
        line.close()
    _warn_of_no_progress(trainer, problem)
    return trainer


def _run_epoch(trainer, problem):
    """The sum of the losses and the number of rows labelled correctly."""
    rule = {"learning_rate": trainer.learning_rate, "reduction": trainer.reduction}
    velocity = (None, None)
    if trainer.optimizer == "ftrl":
        rule |= {"ftrl": trainer._memory[0], "beta": trainer.beta, "l1": trainer.l1, "l2": trainer.l2}
    else:
        rule |= {"momentum": trainer.momentum, "alpha": trainer.alpha}
        velocity = trainer._memory or velocity
    batch = min(trainer.batch_size or problem.n, problem.n)
    parameters = trainer.coef_, trainer.intercept_, *velocity
    return run_epoch(problem, trainer._rng if trainer.shuffle else None, batch, parameters,
                     resolve_n_threads(trainer.n_threads), **rule)


def _warn_of_no_progress(trainer, problem):
    """Warn if the last epoch's loss is beyond that of zero weights; most often the features' size is to blame."""
    losses, k = trainer.history_.get("loss"), problem.k
    zero = {"softmax": math.log(k), "sigmoid": k * math.log(2), "squared_error": k / 2}[problem.loss]
    if problem.n < _TELLING or not losses or losses[-1] <= zero * _BEYOND:
        return
    remedy = f"use a learning_rate below {trainer.learning_rate:g}"
    largest = _largest(problem)
    if largest > 10:
        remedy = f"features are as large as {largest:.2g}: pass scale={1 / largest:.2g} to fit, or {remedy}"
    warn_user(f"the loss after epoch {len(losses)} is {losses[-1]:.4g}, beyond that of zero weights, {zero:.4g}: "
              f"{remedy}", RuntimeWarning)


def _largest(problem):
    """The largest value that the model sees of the first rows."""
    if isinstance(problem, _core.CsrProblem):  # whose values are scaled
        return np.abs(problem.data[: problem.indptr[min(1000, problem.n)]]).max(initial=0)
    if isinstance(problem, StreamedProblem):
        return _largest(problem.part(slice(1000), problem.X[:1000]))
    scale, shift = problem.scale, problem.shift
    return np.abs((problem.X[:1000] - (0 if shift is None else shift)) * (1 if scale is None else scale)).max()


_BEYOND = 1.2  # single examples and random labels leave a loss that is somewhat above
_TELLING = 100  # rows whose mean loss is no accident


def _is_finite(trainer):
    return all(math.isfinite(values.sum()) or np.isfinite(values).all() for values in state_of(trainer))


def _record(trainer, problem, loss, n_correct, seconds, validation):
    figures = {"loss": loss / _total_weight(problem)}
    if problem.y.ndim == 1:
        figures["accuracy"] = n_correct / problem.n
    if validation is not None:
        loss, n_correct = validation.evaluate(trainer.coef_, trainer.intercept_)
        figures["val_loss"] = loss / _total_weight(validation)
        if validation.y.ndim == 1:
            figures["val_accuracy"] = n_correct / validation.n
    figures["seconds"] = seconds
    trainer.history_ = trainer.history_ | {  # in one step, that no signal can cut
        name: [*trainer.history_.get(name, ()), value] for name, value in figures.items()
    }


def _total_weight(problem):
    return problem.n if problem.weight is None else float(problem.weight.sum())
