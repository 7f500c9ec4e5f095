"""Hints where people go wrong: misspelt arguments, probabilities for logits, features far from unit scale."""

import inspect
import warnings

import numpy as np
import pytest
from scipy.special import xlogy
from sklearn.datasets import load_digits

import fastlr
from fastlr import LogisticRegression, LogisticRegressionCV, Trainer

X, Y = load_digits(return_X_y=True)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("call", "said"), [
    (lambda: LogisticRegression(c=1.0), r"LogisticRegression has no argument 'c'; did you mean 'C'\?"),
    (lambda: LogisticRegression(max_itr=5), r"has no argument 'max_itr'; did you mean 'max_iter'"),
    (lambda: LogisticRegression(offset=1), r"'offset': it is an argument of LogisticRegression.fit\(...\)"),
    (lambda: LogisticRegression(quux=1), r"has no argument 'quux'; expected one of C, tol, "),
    (lambda: LogisticRegression().fit(X, Y, scale=1 / 16), r"'scale': it is an argument of LogisticRegression\(...\)"),
    (lambda: LogisticRegressionCV(C=1.0), r"LogisticRegressionCV has no argument 'C'; did you mean .*'Cs'"),
    (lambda: Trainer(scale=1 / 16), r"Trainer has no argument 'scale': it is an argument of Trainer.fit\(...\)"),
    (lambda: Trainer(classes=[1]), r"it is an argument of Trainer.partial_fit\(...\)"),
    (lambda: Trainer(learningrate=1), r"did you mean 'learning_rate'\?"),
    (lambda: Trainer().fit(X, Y, epochs=3), r"Trainer.fit has no argument 'epochs': it is an argument of Trainer\("),
])
def test_unknown_arguments(call, said):
    with pytest.raises(TypeError, match=said):
        call()


@pytest.mark.parametrize(("changed", "warns"), [({}, True), ({"reduction": "sum"}, False), ({"batch_size": 2}, False)])
def test_weights_that_cancel(changed, warns):
    trainer = Trainer(**{"batch_size": 1, "epochs": 1, "learning_rate": 1e-3, **changed})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        trainer.fit(X[:200], Y[:200], np.arange(200) % 2 + 1.0, scale=1 / 16)
        trainer.fit(X[:200], Y[:200], np.arange(200) % 2 + 0.0, scale=1 / 16)  # equal but for rows that do not count
    assert ["have no effect in batches of one row" in str(w.message) for w in told] == [True] * warns


FUNCTIONS = [name for name in fastlr.__all__ if inspect.isfunction(getattr(fastlr, name))]


@pytest.mark.parametrize(("call", "said"), [
    (lambda: fastlr.loss_and_grad(X, X, X, Y, sample_weights=1), "'sample_weights'; did you mean 'sample_weight'"),
    (lambda: fastlr.partial_loss_and_grad(X, Y, X, X, quux=1), "'quux'; expected one of X, y, W, b, loss"),
    (lambda: fastlr.softmax(X, axes=1), "'axes'; did you mean 'axis'"),
    (lambda: fastlr.cross_entropy(X, Y, weight=1), "'weight'; did you mean 'sample_weight'"),
    (lambda: fastlr.datasets.load_mnist("mnist", splits="test"), "'splits'; did you mean 'split'"),
])
def test_unknown_arguments_of_functions(call, said):
    with pytest.raises(TypeError, match=said):
        call()


@pytest.mark.parametrize("name", [f for f in FUNCTIONS if inspect.signature(getattr(fastlr, f)).parameters])
def test_every_function_says_which_argument_is_unknown(name):
    with pytest.raises(TypeError, match=f"^{name} has no argument 'quux'; expected one of "):
        getattr(fastlr, name)(quux=1)


def test_other_type_errors_are_those_of_the_function():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'Z'"):
        fastlr.softmax()
    with pytest.raises(TypeError, match="Z has dtype"):
        fastlr.softmax("a", n_threads=1)


def test_the_order_of_arguments_is_said():
    W, b = np.zeros((10, 64)), np.zeros(10)
    with pytest.raises(ValueError, match=r"W has shape \(1797,\) and X .*; the arguments are X, W, b, y"):
        fastlr.loss_and_grad(X, Y, W, b)
    with pytest.raises(ValueError, match=r"W has shape \(10,\) and X .*; the arguments are X, y, W, b"):
        fastlr.partial_loss_and_grad(X, W, b, Y)


def test_factors_by_name_are_told_what_to_be():
    for name in ("penalty_factors", "scale", "shift"):
        model = LogisticRegression(**{name: {"a": 2.0}})
        with pytest.raises(TypeError, match=rf"{name} is a dict; expected one number, or an array of one a feature.*"
                                            rf"\[{name}\[column\] for column in X.columns\]"):
            model.fit(X, Y)


def test_signatures_are_still_there():
    assert list(inspect.signature(fastlr.loss_and_grad).parameters)[:4] == ["X", "W", "b", "y"]
    assert "learning_rate" in inspect.signature(Trainer).parameters
    assert list(inspect.signature(LogisticRegression.fit).parameters) == ["self", "X", "y", "sample_weight", "offset"]
    with pytest.raises(TypeError, match="positional argument"):
        LogisticRegression(1.0, 2.0)


# ---- probabilities for logits ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("loss", [fastlr.cross_entropy, fastlr.cross_entropy_and_grad])
def test_probabilities_for_logits_are_told_of(loss, real):
    A = fastlr.softmax(RNG.normal(size=(20, 10)).astype(real))
    with pytest.warns(UserWarning, match=r"rows that sum to 1.*fastlr\.cross_entropy_from_probabilities") as caught:
        loss(A, np.arange(20) % 10)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("Z", [
    RNG.random((20, 10)), RNG.normal(size=(20, 10)), np.zeros((20, 10)), np.array([[0.2, 0.8]]), np.array([0.2, 0.8]),
    np.vstack([np.full((9, 4), 0.25), [[0.5, 0.5, 0.5, 0.5]]]), np.full((9, 2), np.nan), np.ones((9, 1)),
    np.array([[1.5, -0.5]] * 9), np.empty((0, 3)),
])
def test_logits_are_not(Z):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fastlr.cross_entropy(Z, np.zeros(len(Z), int) if Z.ndim == 2 else 0)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_from_probabilities(reduction, soft, smoothing):
    A, weight = fastlr.softmax(RNG.normal(size=(30, 4)) * 3), RNG.random(30)
    y = fastlr.softmax(RNG.normal(size=(30, 4))) if soft else RNG.integers(0, 4, 30)
    loss = fastlr.cross_entropy_from_probabilities(A, y, sample_weight=weight, label_smoothing=smoothing,
                                                   reduction=reduction)
    target = (1 - smoothing) * (y if soft else np.eye(4)[y]) + smoothing / 4
    rows = -(weight * xlogy(target, A).sum(axis=1))
    expected = {"none": rows, "sum": rows.sum(), "mean": rows.sum() / weight.sum()}[reduction]
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_cross_entropy_from_probabilities_at_the_edges():
    loss = fastlr.cross_entropy_from_probabilities
    assert loss([[1.0, 0.0], [0.0, 1.0]], [0, 1]) == 0
    assert loss([[1.0, 0.0], [0.5, 0.5]], [1, 1]) == np.inf
    assert loss([[1.0, 0.0]], [[1.0, 0.0]]) == 0  # 0 log 0 = 0
    assert loss([0.25, 0.75], 1) == pytest.approx(-np.log(0.75), rel=1e-15)
    assert loss(np.float32([[0.25, 0.75]]), [1], reduction="none").dtype == np.float32
    assert np.isnan(loss(np.empty((0, 3)), np.empty(0, int)))
    tiny = np.array([[1e-300, 1 - 1e-300]])
    assert loss(tiny, [0]) == pytest.approx(-np.log(1e-300), rel=1e-14)
    with pytest.raises(ValueError, match=r"A has 1 of 1 rows that do not sum to 1"):
        loss([[0.5, 0.6]], [0])
    with pytest.raises(ValueError, match=r"A has 1 of 2 rows that do not sum to 1: .* divide each row by its sum$"):
        loss([[1, 1], [0, 1]], [0, 1])
    with pytest.raises(ValueError, match=r"y has shape \(1, 3\); expected \(1, 2\), the shape of A, or labels"):
        loss([[0.5, 0.5]], [[0.2, 0.2, 0.6]])
    with pytest.raises(ValueError, match=r"A has 1\.5 at row 0, column 0; expected probabilities: of logits use "
                                         r"cross_entropy$"):
        loss([[1.5, -0.5]], [0])
    with pytest.raises(ValueError, match=r"y has .*outside"):
        loss([[0.5, 0.5]], [2])


@pytest.mark.parametrize(("dtype", "allowed"), [("float16", 5e-3), ("bfloat16", 4e-2)])
def test_rows_of_short_probabilities_sum_to_1_within_their_rounding(dtype, allowed):
    A = fastlr.softmax(RNG.normal(size=(50, 40)) * 3)
    short = A.astype(pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype)
    assert np.abs(short.astype(float).sum(axis=1) - 1).max() > 1e-4
    y = np.arange(50) % 40
    found, expected = (fastlr.cross_entropy_from_probabilities(given, y) for given in (short, A))
    assert found == pytest.approx(expected, rel=allowed)
    with pytest.raises(ValueError, match="rows that do not sum to 1"):
        fastlr.cross_entropy_from_probabilities(short.astype(float), y)


# ---- features far from unit scale -----------------------------------------------------------------------------------
@pytest.mark.parametrize("loss", ["softmax", "sigmoid", "squared_error"])
def test_a_loss_beyond_its_start_is_told_of(loss):
    far = X * 1e4
    said = r"(beyond that of zero weights.*features are as large as 1.6e\+05: pass scale=6.[23]e-06|diverged)"
    with pytest.warns(RuntimeWarning, match=said) as caught:
        Trainer(loss, epochs=2, random_state=0).fit(far, Y)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("n", [99, 100])
def test_the_loss_of_few_rows_is_not(n, recwarn):
    Trainer("sigmoid", epochs=2, shuffle=False).fit(X[:n] * 1e4, Y[:n])
    assert len(recwarn.list) == (n == 100)


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_training_that_learns_is_not(loss):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Trainer(loss, epochs=5, random_state=0).fit(X, Y, scale=1 / 16)
        Trainer(loss, epochs=1, learning_rate=1e-9, random_state=0).fit(X, Y, scale=1 / 16)
        Trainer(loss, epochs=1, random_state=0).fit(X[:, :1] * 0, Y)
