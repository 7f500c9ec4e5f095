"""What a Trainer has from step to step beside W and b, and the problems it trains on."""

from functools import partial

import numpy as np

from fastlr import _core
from fastlr._input.arrays import check_feature_vector, check_sample_weight
from fastlr._input.csr import Csr, problem_of
from fastlr._input.options import generator_of
from fastlr._input.streamed import Streamed
from fastlr._input.targets import weigh_classes
from fastlr._runtime.threads import resolve_n_threads
from fastlr._runtime.warnings import warn_user
from fastlr._training_streamed import StreamedProblem, streamed_problem


def check_scaling(scale, shift, d):
    """scale and shift of d features by name."""
    return {"scale": check_feature_vector(scale, d, "scale"), "shift": check_feature_vector(shift, d, "shift")}


def problem_of_rows(trainer, X, targets, outputs, sample_weight=None, *, scale, shift, training=True):
    """The problem of checked X (n, d), an ndarray, `Csr` or `Streamed`, for epochs or else to be evaluated.

    Raises
    ------
    TypeError, ValueError
        For bad weights, and what the trainer's optimizer cannot do with such X.
    """
    weight = check_sample_weight(sample_weight, len(X))
    if training:
        weight = weigh_classes(trainer.class_weight, weight, outputs, targets)
        _warn_of_cancelling_weights(trainer, weight)
    if trainer.reduction == "mean":  # means do not tell whether all weights are divided by the same power of two
        weight, _ = _core.moderate_weights(weight)
    if training and (isinstance(X, Csr) or (isinstance(X, Streamed) and X.is_sparse)):
        X, scale = _scaled(X, scale, shift), None
    elif training and trainer.optimizer == "ftrl":
        raise ValueError(f"X is a dense array {X.shape}; expected a sparse one with optimizer='ftrl': pass "
                         f"scipy.sparse.csr_array(X), or use optimizer='sgd'")
    problem = problem_of
    if isinstance(X, Streamed):
        problem = partial(streamed_problem, batch=trainer.batch_size or len(X)) if training else StreamedProblem
    return problem(X, targets, outputs.k, loss=outputs.loss, weight=weight, scale=scale, shift=shift,
                   n_threads=resolve_n_threads(trainer.n_threads))


def _warn_of_cancelling_weights(trainer, weight):
    """Warn where the mean over a batch, which is one row, divides each row's weight by itself."""
    if trainer.batch_size == 1 and trainer.reduction == "mean" and weight is not None:
        counted = weight[weight > 0]
        if counted.min(initial=np.inf) < counted.max(initial=0.0):
            warn_user("sample_weight and class_weight have no effect in batches of one row, for a batch's gradient is "
                      "its weighted mean; use reduction='sum', or a larger batch_size")


def _scaled(X, scale, shift):
    """X * scale: a step would have to undo it for each value that it reads."""
    if shift is not None:
        raise ValueError("shift was given with sparse X, of which no zero would be left; expected None: scale alone "
                         "keeps X sparse")
    if scale is None:
        return X

    def times_scale(X):
        return X.with_data((X.data * scale[X.indices]).astype(X.dtype, copy=False))

    return X.through(times_scale, X.dtype) if isinstance(X, Streamed) else times_scale(X)


def start(trainer, outputs, d, names, scale, shift):
    """Take zero weights and forget an earlier fit, in one step that no signal can cut; returns what `state_of` was."""
    k = outputs.k
    attributes = {name: value for name, value in vars(trainer).items() if name != "feature_names_in_"}
    attributes |= {
        "classes_": outputs.classes, "targets_": "labels" if outputs.multilabel else "classes",
        "n_features_in_": d, "coef_": np.zeros((k, d)), "intercept_": np.zeros(k), "scale_": scale, "shift_": shift,
        "history_": {}, "_rng": generator_of(trainer.random_state), "_memory": _no_memory(trainer, k, d),
    }
    if names is not None:
        attributes["feature_names_in_"] = names
    trainer.__dict__ = attributes
    return [np.zeros((k, d)), np.zeros(k), *_no_memory(trainer, k, d)]  # zeros that nobody reads cost nothing


def go_on(trainer, model):
    """Take the weights there are, as arrays that may change, and what a model made by hand lacks.

    Returns what `state_of` was: the arrays that the others are copies of.
    """
    k, d = model.coef.shape
    before, known = _no_memory(trainer, k, d), getattr(trainer, "_memory", ())
    if [values.shape for values in before] == [values.shape for values in known]:
        before = known
    before = [model.coef, model.intercept, *before]
    coef, intercept, *memory = (values.copy() for values in before)
    vars(trainer).update({
        "coef_": coef, "intercept_": intercept, "_memory": tuple(memory), "n_features_in_": d, "scale_": model.scale,
        "shift_": model.shift, "history_": getattr(trainer, "history_", {}),
        "_rng": getattr(trainer, "_rng", None) or generator_of(trainer.random_state),
    })
    return before


def state_of(trainer):
    """The arrays that an epoch changes."""
    return [trainer.coef_, trainer.intercept_, *trainer._memory]


def return_to(trainer, state):
    """Take the arrays of a `state_of`."""
    coef, intercept, *memory = state
    vars(trainer).update({"coef_": coef, "intercept_": intercept, "_memory": tuple(memory)})


def _no_memory(trainer, k, d):
    """What the optimizer knows before the first step: velocities of W and b, or the table of FTRL-proximal."""
    if trainer.optimizer == "ftrl":
        return (_core.ftrl_table(k, d),)
    return (np.zeros((k, d)), np.zeros(k)) if trainer.momentum else ()
