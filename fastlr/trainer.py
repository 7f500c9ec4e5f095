"""Trainer: gradient descent by the lecture's learning rule, epoch by epoch.

For each batch of rows, with R = sample_weight * (A - Y) and G = R' X:

    gradient = G / (sum of the batch's weights) + alpha W       ("mean"; "sum" does not divide)
    velocity = momentum velocity + gradient
    W        = W - learning_rate velocity                       and b likewise, without alpha

W (k, d), b (k,) and the velocities are float64 and start at zero; a batch is computed in X's own floating type.
An epoch is one call of `_core.Problem.epoch`, given an order of rows: X is neither copied nor shuffled.
"""

import inspect
import math
import warnings
from time import perf_counter

import numpy as np

from fastlr import _core
from fastlr._labels import learn_outputs
from fastlr._progress import ProgressLine
from fastlr._threads import resolve_n_threads
from fastlr._trainer_options import check_options, generator_of
from fastlr._validation import check_feature_vector, check_finite, check_option, check_sample_weight, check_X


class Trainer:
    """Logistic regression, softmax regression or ADALINE, trained by gradient descent from zero weights.

    Parameters
    ----------
    loss : {"softmax", "sigmoid", "squared_error"}, default "softmax"
        "softmax": one row of weights for each class, two classes included. "sigmoid": one row for two classes; one
        for each of more classes (one against the rest), or for each column of an indicator matrix. "squared_error":
        half the squared error to the codes 0 and 1, or one-hot codes, without an activation (ADALINE).
    learning_rate : float, default 0.1
    epochs : int, default 25
    batch_size : int or None, default 256
        Rows of a step: 1 takes each example in turn, None all at once.
    momentum : float in [0, 1), default 0.0
    alpha : float, default 0.0
        L2 penalty alpha / 2 ||W||^2, added to the loss of each batch; the intercept is not penalised.
    reduction : {"mean", "sum"}, default "mean"
        Whether the gradient of a batch is averaged over its sample weights.
    shuffle : bool, default True
        Take the rows in a new random order each epoch.
    callbacks : iterable of callables, default ()
        Each is called as ``callback(trainer, epoch)`` after an epoch, counted from 1; training ends if one returns
        True. The trainer's attributes are set by then; `coef_` and `intercept_` change in place, so copy to keep.
    verbose : int, default 0
        1 writes the last epoch's figures to stderr: one line rewritten on a terminal, else a line an epoch.
    n_threads : int or None, default None
        None: FASTLR_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs this process may use. Never changes the result.
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState, default None
        Source of the orders.

    Attributes
    ----------
    coef_ : ndarray (k, d), float64
    intercept_ : ndarray (k,), float64
    classes_ : ndarray (n_classes,)
        Sorted labels in their own dtype; 0 .. k - 1 for target matrices.
    n_features_in_ : int
    scale_, shift_ : ndarray (d,) or None
        As given to `fit`: the model, and so `coef_`, sees (X - shift) * scale.
    history_ : dict of lists, an entry an epoch
        "loss": mean training loss, without the penalty, and "accuracy": of the training labels (absent for target
        matrices); both with each row taken before its batch's step, so that they cost no pass of their own. "val_loss",
        "val_accuracy": after the epoch, if there are validation data. "seconds": the time of the steps alone.

    Notes
    -----
    Ctrl-C stops after the running batch: the model is kept, a warning names the epoch, and `fit` returns. A loss that
    is no longer finite ends training too, with a warning; the weights are those before that epoch.

    Examples
    --------
    >>> import fastlr
    >>> X, y = fastlr.datasets.load_digits()
    >>> t = fastlr.Trainer(epochs=30, batch_size=32, random_state=0).fit(X, y, scale=1 / 16)
    >>> t.predict(X[:5])
    array([0, 1, 2, 3, 4])
    """

    def __init__(self, loss="softmax", learning_rate=0.1, epochs=25, batch_size=256, momentum=0.0, alpha=0.0,
                 reduction="mean", shuffle=True, callbacks=(), verbose=0, n_threads=None, random_state=None):
        self.loss = loss
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.momentum = momentum
        self.alpha = alpha
        self.reduction = reduction
        self.shuffle = shuffle
        self.callbacks = callbacks
        self.verbose = verbose
        self.n_threads = n_threads
        self.random_state = random_state

    def get_params(self, deep=True):
        """The constructor's parameters as a dict."""
        return {name: getattr(self, name) for name in _DEFAULTS}

    def set_params(self, **params):
        """Change parameters by name; ValueError lists the valid names."""
        for name in params:
            check_option("parameter", name, _DEFAULTS)
        vars(self).update(params)
        return self

    def __repr__(self):
        changed = {k: v for k, v in self.get_params().items() if v is not _DEFAULTS[k] and v != _DEFAULTS[k]}
        return f"Trainer({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def fit(self, X, y, sample_weight=None, validation_data=None, *, scale=None, shift=None):
        """Train from zero weights for `epochs` epochs.

        Parameters
        ----------
        X : array-like (n, d)
            Any real dtype and layout; never copied.
        y : array-like (n,) or (n, k)
            Labels: integers, whole floats, strings or booleans. Or a matrix of targets in [0, 1]: class probabilities,
            or with "sigmoid" an indicator of labels that do not exclude each other.
        sample_weight : array-like (n,), default None
            At least 0; None means 1.
        validation_data : tuple (X, y), default None
        scale, shift : float or array-like (d,), default None
            The model sees (X - shift) * scale, here and in all predictions: scale=1/255 for bytes, or standardisation.

        Returns
        -------
        Trainer
            Itself.

        Raises
        ------
        TypeError, ValueError
            For bad parameters or data; an earlier fit is then still there.
        """
        check_options(self)
        X, y = self._check_data(X, y)
        n, d = X.shape
        outputs, targets = learn_outputs(y, n, _core.real_dtype(X.dtype), self.loss)
        scaling = _scaling(scale, shift, d)
        problem = self._problem(X, targets, outputs, weight=check_sample_weight(sample_weight, n), **scaling)
        validation = None
        if validation_data is not None:
            if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
                raise ValueError(f"validation_data is a {type(validation_data).__name__}; expected a pair (X, y)")
            X_val, y_val = self._check_data(*validation_data, name="validation ", n_features=d)
            y_val = outputs.encode(y_val, len(X_val), _core.real_dtype(X_val.dtype), "validation y")
            validation = self._problem(X_val, y_val, outputs, **scaling)
        self._start(outputs, d, **scaling)
        return self._train(problem, self.epochs, validation)

    def partial_fit(self, X, y, classes=None, sample_weight=None, *, scale=None, shift=None):
        """Train one epoch over these rows, keeping the weights and velocities there are.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like, default None
            All labels that later calls may bring; used by the first call. None: the labels of its y.
        scale, shift
            As in `fit`; used by the first call.

        Returns
        -------
        Trainer
            Itself.
        """
        check_options(self)
        first = not hasattr(self, "coef_")
        X, y = self._check_data(X, y, n_features=None if first else self.n_features_in_)
        n, d = X.shape
        real = _core.real_dtype(X.dtype)
        if first:
            outputs, targets = learn_outputs(y, n, real, self.loss, classes)
            scaling = _scaling(scale, shift, d)
        else:
            outputs, targets = self._outputs, self._outputs.encode(y, n, real)
            scaling = {"scale": self.scale_, "shift": self.shift_}
        problem = self._problem(X, targets, outputs, weight=check_sample_weight(sample_weight, n), **scaling)
        if first:
            self._start(outputs, d, **scaling)
        return self._train(problem, epochs=1)

    def decision_function(self, X):
        """Logits (n, k), or (n,) for a single one, of X (n, d); float32 or float64 by X's dtype."""
        _, Z = self._forward(X)
        return Z if Z.shape[1] > 1 else Z.ravel()

    def predict_proba(self, X):
        """Probabilities (n, n_classes) of the classes, or (n, k) of labels that do not exclude each other.

        Raises AttributeError with squared error, which fits no probabilities.
        """
        outputs, Z = self._forward(X)
        return outputs.probabilities(Z, resolve_n_threads(self.n_threads))

    def predict(self, X):
        """Labels (n,): the largest logit's, or by z > 0 (squared error: z >= 0.5); an indicator (n, k) of labels."""
        outputs, Z = self._forward(X)
        return outputs.predict(Z)

    def score(self, X, y):
        """Part of the rows of X predicted as in y; for an indicator, rows with every label right."""
        outputs, Z = self._forward(X)
        return outputs.accuracy(Z, y)

    def _forward(self, X):
        """What the logits of X mean, and the logits."""
        if not hasattr(self, "coef_"):
            raise AttributeError("this Trainer has no model yet; call fit or partial_fit first")
        X = self._check_rows(X, "X", self.n_features_in_)
        problem = self._problem(X, None, self._outputs, scale=self.scale_, shift=self.shift_)
        return self._outputs, problem.logits(self.coef_, self.intercept_)

    def _check_data(self, X, y, name="", n_features=None):
        X = self._check_rows(X, f"{name}X", n_features)
        y = np.asarray(y)
        if len(X) == 0 or y.ndim == 0 or len(y) != len(X):
            raise ValueError(f"{name}X has shape {X.shape} and {name}y {y.shape}; expected the same number of rows, "
                             f"at least one")
        return X, y

    def _check_rows(self, X, name, n_features):
        X = check_X(X, name)
        if n_features is not None and X.shape[1] != n_features:
            raise ValueError(f"{name} has shape {X.shape}; expected (n, {n_features}), the features of the fit")
        check_finite(X, resolve_n_threads(self.n_threads), name)
        return X

    def _problem(self, X, targets, outputs, **arrays):
        return _core.Problem(X, targets, outputs.k, loss=outputs.loss, n_threads=resolve_n_threads(self.n_threads),
                             **arrays)

    def _start(self, outputs, d, scale, shift):
        self._outputs = outputs
        self._rng = generator_of(self.random_state)
        self._velocity = np.zeros((outputs.k, d)), np.zeros(outputs.k)
        self.classes_ = outputs.classes
        self.n_features_in_ = d
        self.coef_ = np.zeros((outputs.k, d))
        self.intercept_ = np.zeros(outputs.k)
        self.scale_, self.shift_ = scale, shift
        self.history_ = {}

    def _train(self, problem, epochs, validation=None):
        """Run epochs; leave the model usable however they end."""
        parameters = (self.coef_, self.intercept_, *self._velocity)
        velocity = self._velocity if self.momentum else (None, None)
        batch = min(self.batch_size or problem.n, problem.n)
        done = len(self.history_.get("loss", ()))
        line = ProgressLine(done + epochs) if self.verbose else None
        epoch = done
        try:
            for epoch in range(done + 1, done + epochs + 1):
                before = [values.copy() for values in parameters]
                order = self._rng.permutation(problem.n).astype(np.int64, copy=False) if self.shuffle else None
                start = perf_counter()
                loss, n_correct = problem.epoch(
                    self.coef_, self.intercept_, *velocity, order, batch,
                    learning_rate=self.learning_rate, momentum=self.momentum, alpha=self.alpha,
                    reduction=self.reduction,
                )
                seconds = perf_counter() - start
                if not math.isfinite(loss) or not all(np.isfinite(values).all() for values in parameters):
                    for values, old in zip(parameters, before, strict=True):
                        values[...] = old
                    warnings.warn(f"epoch {epoch} diverged: the loss or the weights are no longer finite. The weights "
                                  f"are those before it; use a learning_rate below {self.learning_rate:g}, or scale "
                                  f"the features", RuntimeWarning, stacklevel=3)
                    break
                self._record(problem, loss, n_correct, seconds, validation)
                if line:
                    line.show(epoch, self.history_)
                if any(_is_true(callback(self, epoch)) for callback in self.callbacks):
                    break
        except KeyboardInterrupt:
            warnings.warn(f"training was interrupted in epoch {max(epoch, 1)}; the model is as the last batch left it",
                          stacklevel=3)
        finally:
            if line:
                line.close()
        return self

    def _record(self, problem, loss, n_correct, seconds, validation):
        figures = {"loss": loss / _total_weight(problem)}
        if problem.y.ndim == 1:
            figures["accuracy"] = n_correct / problem.n
        if validation is not None:
            figures["val_loss"], accuracy = self._evaluate(validation)
            if validation.y.ndim == 1:
                figures["val_accuracy"] = accuracy
        figures["seconds"] = seconds
        for name, value in figures.items():
            self.history_.setdefault(name, []).append(value)

    def _evaluate(self, problem):
        """Mean loss and accuracy."""
        loss, n_correct = problem.evaluate(self.coef_, self.intercept_)
        return loss / _total_weight(problem), n_correct / problem.n


def _scaling(scale, shift, d):
    return {"scale": check_feature_vector(scale, d, "scale"), "shift": check_feature_vector(shift, d, "shift")}


def _total_weight(problem):
    return problem.n if problem.weight is None else float(problem.weight.sum())


def _is_true(result):
    return isinstance(result, bool | np.bool_) and bool(result)


_DEFAULTS = {name: p.default for name, p in inspect.signature(Trainer).parameters.items()}
