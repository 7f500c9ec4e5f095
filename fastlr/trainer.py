"""Trainer: gradient descent by the lecture's learning rule, epoch by epoch.

For each batch of rows, with R = sample_weight * (A - Y) and G = R' X:

    gradient = G / (sum of the batch's weights) + alpha W       ("mean"; "sum" does not divide)
    velocity = momentum velocity + gradient
    W        = W - learning_rate velocity                       and b likewise, without alpha

W (k, d), b (k,) and the velocities are float64 and start at zero; a batch is computed in X's own floating type.
An epoch is one call of `_core.Problem.epoch`, or of sparse X `_core.CsrProblem.epoch`, given an order of rows: X is
neither copied nor shuffled.  Of X in large files it is one for each window (`fastlr._training_windows`).  What is kept
from step to step is in `fastlr._training_state`.
"""

import inspect

import numpy as np

from fastlr import _core
from fastlr._input.fitted import fitted_model, is_fitted
from fastlr._input.hints import hinted
from fastlr._input.options import check_option, check_partial, check_trainer
from fastlr._input.row_blocks import take_blocks
from fastlr._input.targets import learn_outputs, warn_of_one_class
from fastlr._input.training_data import check_rows
from fastlr._runtime.threads import resolve_n_threads
from fastlr._scikit_learn import not_fitted, tags_of, with_probabilities
from fastlr._training import train
from fastlr._training_state import check_scaling, go_on, problem_of_rows, start


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
    optimizer : {"sgd", "ftrl"}, default "sgd"
        "ftrl": FTRL-proximal (McMahan et al., 2013), for sparse X: each coefficient has a learning rate of its own,
        learning_rate / (beta + sqrt(sum of its squared gradients)). With l1 = l2 = 0 it is AdaGrad. It takes neither
        momentum nor alpha.
    beta, l1, l2 : float, default 1.0, 0.0, 0.0
        Of "ftrl": what the root is added to, and the penalties l1 ||W||_1 + l2 / 2 ||W||^2 of the sum of all steps'
        losses; l1 leaves coefficients at 0.
    class_weight : dict, "balanced" or None, default None
        Weights of the classes, which multiply those of their rows: as in scikit-learn. `partial_fit`, which does not
        see all rows, takes no "balanced".
    reduction : {"mean", "sum"}, default "mean"
        Whether the gradient of a batch is averaged over its sample weights.
    shuffle : bool, default True
        Take the rows in a new random order each epoch; of X in files beyond 128 MiB blocks of rows, and rows within
        windows of that size.
    callbacks : iterable of callables, default ()
        Each is called as ``callback(trainer, epoch)`` after an epoch, counted from 1; training ends if one returns
        True. The trainer's attributes are set by then; `coef_` and `intercept_` change in place, until the call of
        `fit` or `partial_fit` ends: copy to keep. A callback may set `learning_rate`, of "ftrl" also `beta`, `l1` and
        `l2`, of "sgd" `alpha`.
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
    feature_names_in_ : ndarray (d,) of str
        Only if X had names, all of them strings; later calls must bring these features in this order.
    targets_ : {"classes", "labels"}
        What `predict` returns: classes (n,), or an indicator of labels (n, k) that do not exclude each other.
    scale_, shift_ : ndarray (d,) or None
        As given to `fit`: the model, and so `coef_`, sees (X - shift) * scale.
    history_ : dict of lists, an entry an epoch
        "loss": mean training loss, without the penalty, and "accuracy": of the training labels (absent for target
        matrices); both with each row taken before its batch's step, so that they cost no pass of their own. "val_loss",
        "val_accuracy": after the epoch, if there are validation data. "seconds": the time of the steps alone.

    Notes
    -----
    Ctrl-C (KeyboardInterrupt) stops after the running batch: the model is kept as that batch left it, and the exception
    is raised again, so that it ends searches and scripts too. A loss that is no longer finite ends training with a
    warning; the weights are those before that epoch.

    Predictions are made of public attributes alone: `coef_`, `intercept_` and `classes_`, the parameter `loss`, and
    `targets_`, `scale_` and `shift_` where they are set ("classes", None, None). A model made by hand predicts and
    goes on training, a changed one accordingly.

    Examples
    --------
    >>> import fastlr
    >>> X, y = fastlr.datasets.load_digits()
    >>> t = fastlr.Trainer(epochs=30, batch_size=32, random_state=0).fit(X, y, scale=1 / 16)
    >>> t.predict(X[:5])
    array([0, 1, 2, 3, 4])
    """

    @hinted
    def __init__(self, loss="softmax", learning_rate=0.1, epochs=25, batch_size=256, momentum=0.0, alpha=0.0,
                 reduction="mean", shuffle=True, callbacks=(), verbose=0, n_threads=None, random_state=None, *,
                 optimizer="sgd", beta=1.0, l1=0.0, l2=0.0, class_weight=None):
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
        self.optimizer = optimizer
        self.beta = beta
        self.l1 = l1
        self.l2 = l2
        self.class_weight = class_weight

    def get_params(self, deep=True):
        """The constructor's parameters as a dict."""
        return {name: getattr(self, name) for name in _DEFAULTS}

    def set_params(self, **params):
        """Change parameters by name; ValueError lists the valid names."""
        for name in params:
            check_option("parameter", name, _DEFAULTS)
        vars(self).update(params)
        return self

    def __sklearn_tags__(self):
        return tags_of(self)

    def __sklearn_is_fitted__(self):
        return is_fitted(self)

    def __repr__(self):
        changed = {k: v for k, v in self.get_params().items() if v is not _DEFAULTS[k] and v != _DEFAULTS[k]}
        return f"Trainer({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    @hinted
    def fit(self, X, y=None, sample_weight=None, validation_data=None, *, scale=None, shift=None):
        """Train from zero weights for `epochs` epochs.

        Parameters
        ----------
        X : array-like or sparse matrix (n, d)
            Any real dtype and layout: arrays in native byte order are never copied. Lists and data frames are
            converted, frames as in scikit-learn. CSR of SciPy is read as it is, at a cost of its stored values; other
            sparse formats are converted to it.
        y : array-like (n,) or (n, k)
            Labels: integers, whole floats, strings or booleans, all of one kind. Or a matrix of targets in [0, 1]:
            class probabilities (for "softmax" as in `fastlr.cross_entropy`; a single column is that of class 1), or
            with "sigmoid" an indicator of labels that do not exclude each other.
        sample_weight : array-like (n,), default None
            At least 0; None means 1.
        validation_data : tuple (X, y), default None
        scale, shift : float or array-like (d,), default None
            The model sees (X - shift) * scale, here and in all predictions: scale=1/255 for bytes, or standardisation.
            Sparse X takes no shift.

        Returns
        -------
        Trainer
            Itself.

        Raises
        ------
        TypeError, ValueError
            For bad parameters or data; an earlier fit is then still there.
        KeyboardInterrupt
            After Ctrl-C; the model is as the last batch left it.
        """
        check_trainer(self)
        n_threads = resolve_n_threads(self.n_threads)
        X, y, sample_weight = take_blocks(X, y, sample_weight)
        X, names = check_rows(X, n_threads)
        n, d = X.shape
        outputs, targets = learn_outputs(y, n, _core.real_dtype(X.dtype), self.loss)
        scaling = check_scaling(scale, shift, d)
        problem = problem_of_rows(self, X, targets, outputs, sample_weight, **scaling)
        warn_of_one_class(outputs, targets, problem.weight)
        validation = None
        if validation_data is not None:
            if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
                raise ValueError(f"validation_data is a {type(validation_data).__name__}; expected a pair (X, y)")
            X_val, y_val = validation_data
            X_val, _ = check_rows(X_val, n_threads, d, names, name="validation X")
            y_val = outputs.encode(y_val, len(X_val), _core.real_dtype(X_val.dtype), "validation y")
            validation = problem_of_rows(self, X_val, y_val, outputs, training=False, **scaling)
        return train(self, problem, int(self.epochs), start(self, outputs, d, names, **scaling), validation)

    def partial_fit(self, X, y=None, classes=None, sample_weight=None, *, scale=None, shift=None):
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
        check_trainer(self)
        check_partial(self)
        model = fitted_model(self, self.loss) if is_fitted(self) else None
        X, y, sample_weight = take_blocks(X, y, sample_weight)
        X, names = check_rows(X, resolve_n_threads(self.n_threads), *self._features(model))
        n, d = X.shape
        real = _core.real_dtype(X.dtype)
        if model is None:
            remedy = ": pass all labels that later calls may bring as classes=[...]"
            outputs, targets = learn_outputs(y, n, real, self.loss, classes=classes, remedy=remedy)
            scaling = check_scaling(scale, shift, d)
        else:
            outputs, targets = model.outputs, model.outputs.encode(y, n, real)
            scaling = {"scale": model.scale, "shift": model.shift}
        problem = problem_of_rows(self, X, targets, outputs, sample_weight, **scaling)
        before = start(self, outputs, d, names, **scaling) if model is None else go_on(self, model)
        return train(self, problem, 1, before)

    def decision_function(self, X):
        """Logits (n, k) of X (n, d), or (n,) for two classes: the single one, or the second's less the first's.

        float32 or float64 by X's dtype.
        """
        outputs, Z = self._forward(X)
        if outputs.k == 2 and not outputs.multilabel:
            return Z[:, 1] - Z[:, 0]
        return outputs.decisions(Z)

    @with_probabilities
    def predict_proba(self, X):
        """Probabilities (n, n_classes) of the classes, or (n, k) of labels that do not exclude each other.

        There is no such method with squared error, which fits no probabilities.
        """
        outputs, Z = self._forward(X)
        return outputs.probabilities(Z, resolve_n_threads(self.n_threads))

    def predict(self, X):
        """Labels (n,): the largest logit's, or by z > 0 (squared error: z >= 0.5); an indicator (n, k) of labels."""
        outputs, Z = self._forward(X)
        return outputs.predict(Z)

    def score(self, X, y=None, sample_weight=None):
        """Part of the rows of X, or of their weight, predicted as in y; for an indicator, rows with every label right.

        TypeError if y is text and the classes are numbers, or the reverse.
        """
        X, y, sample_weight = take_blocks(X, y, sample_weight)
        outputs, Z = self._forward(X)
        return outputs.accuracy(Z, y, sample_weight)

    @np.errstate(all="ignore")
    def _forward(self, X):
        """What the logits of X mean, and the logits."""
        if not is_fitted(self):
            raise not_fitted()
        check_option("loss", self.loss, _core.LOSSES)
        model = fitted_model(self, self.loss)
        n_threads = resolve_n_threads(self.n_threads)
        X, _ = check_rows(X, n_threads, *self._features(model))
        return model.outputs, model.logits(X, n_threads)

    def _features(self, model):
        """Their number and names, None without names; nothing without a model."""
        return (model.coef.shape[1], getattr(self, "feature_names_in_", None)) if model else ()


_DEFAULTS = {name: p.default for name, p in inspect.signature(Trainer).parameters.items()}
