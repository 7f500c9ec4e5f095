"""fastlr.plotting's displays: what is drawn is what the model says, on the axes that were given."""

import doctest
import sys
from importlib.util import find_spec

import matplotlib
import numpy as np
import pandas
import pytest
from matplotlib.figure import Figure
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

import fastlr
from fastlr import LogisticRegression, Trainer
from fastlr.plotting import CoefficientsDisplay, DecisionBoundaryDisplay, TrainingCurveDisplay, WeightImagesDisplay

HAS_CALLBACKS = find_spec("sklearn.callback") is not None


@pytest.fixture(autouse=True)
def _close_figures():
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def digits():
    return fastlr.datasets.load_digits()


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def trainer(digits):
    X, y = digits
    return Trainer(epochs=3, random_state=0).fit(X[::2], y[::2], scale=1 / 16, validation_data=(X[1::2], y[1::2]))


@pytest.mark.parametrize("display", [
    CoefficientsDisplay, DecisionBoundaryDisplay, TrainingCurveDisplay, WeightImagesDisplay,
])
def test_examples_of_docstrings(display):
    results = doctest.testmod(sys.modules[display.__module__])
    assert results.attempted > 3
    assert not results.failed


# ---- training curves ------------------------------------------------------------------------------------------------
def test_curve_of_a_trainer(trainer):
    display = TrainingCurveDisplay.from_estimator(trainer)
    assert [axes.get_ylabel() for axes in display.axes_] == ["loss", "accuracy"]
    drawn = [line.get_ydata() for line in display.lines_]
    expected = [trainer.history_[name] for name in ("loss", "val_loss", "accuracy", "val_accuracy")]
    np.testing.assert_array_equal(drawn, expected)
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [1, 2, 3])


def test_one_measure_on_given_axes(trainer):
    axes = Figure().subplots()
    display = TrainingCurveDisplay.from_estimator(trainer, measures=["accuracy"], ax=axes)
    assert display.axes_[0] is axes
    assert display.figure_ is axes.get_figure()
    assert len(axes.lines) == 2


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn before 1.9 has no callbacks")
def test_curve_of_a_fit(iris):
    model = LogisticRegression(solver="lbfgs")
    display = TrainingCurveDisplay.from_estimator(model, *iris)
    fitted = LogisticRegression(solver="lbfgs").fit(*iris)
    objective, bound = (line.get_ydata() for line in display.lines_)
    assert len(objective) == fitted.n_iter_[0]
    assert objective[-1] == pytest.approx(fitted.objective_, rel=1e-12)
    assert bound[-1] == pytest.approx(fitted.suboptimality_, rel=1e-6)
    assert display.axes_[1].get_yscale() == "log"
    assert not hasattr(model, "coef_")
    assert not hasattr(model, "_skl_callbacks")


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn before 1.9 has no callbacks")
def test_weights_of_rows_reach_the_fit(iris):
    X, y = iris
    weight = np.where(y == 0, 0.1, 3.0)
    display = TrainingCurveDisplay.from_estimator(LogisticRegression(), X, y, sample_weight=weight)
    expected = LogisticRegression().fit(X, y, weight).objective_
    assert display.lines_[0].get_ydata()[-1] == pytest.approx(expected, rel=1e-12)


def test_what_has_no_curve(trainer, iris):
    with pytest.raises(ValueError, match=r"Trainer\(\) has no epochs yet; fit it first"):
        TrainingCurveDisplay.from_estimator(Trainer())
    with pytest.raises(ValueError, match="X is None; expected the data to fit"):
        TrainingCurveDisplay.from_estimator(LogisticRegression())
    with pytest.raises(TypeError, match="estimator is a LogisticRegressionCV; expected fastlr's Trainer or Logistic"):
        TrainingCurveDisplay.from_estimator(fastlr.LogisticRegressionCV(), *iris)
    with pytest.raises(ValueError, match=r"measures is \['objective'\]; expected some of \['loss', 'accuracy'\]"):
        TrainingCurveDisplay.from_estimator(trainer, measures=["objective"])
    with pytest.raises(ValueError, match="ax has 1 axes; expected 2"):
        TrainingCurveDisplay.from_estimator(trainer, ax=Figure().subplots())


# ---- weights --------------------------------------------------------------------------------------------------------
def test_weight_images(trainer):
    display = WeightImagesDisplay.from_estimator(trainer, (8, 8))
    drawn = np.array([image.get_array() for image in display.images_])
    np.testing.assert_array_equal(drawn.reshape(10, 64), trainer.coef_)
    assert [axes.get_title() for axes in display.axes_] == [str(digit) for digit in range(10)]
    assert len({image.get_clim() for image in display.images_}) == 1
    with pytest.raises(ValueError, match=r"image_shape is \(8, 7\), but coef has 64 columns"):
        WeightImagesDisplay.from_estimator(trainer, (8, 7))


def test_weight_image_of_a_binary_model(digits):
    X, y = digits
    model = LogisticRegression(scale=1 / 16).fit(X, np.where(y == 3, "three", "other"))
    axes = Figure().subplots()
    assert WeightImagesDisplay.from_estimator(model, (8, 8), ax=axes).axes_[0] is axes
    assert axes.get_title() == "three"


def test_coefficients_by_name(iris):
    X, y = iris
    model = LogisticRegression().fit(X, y)
    display = CoefficientsDisplay.from_estimator(model, max_features=2)
    for axes, bars, coef in zip(display.axes_, display.bars_, model.coef_, strict=True):
        largest = np.argsort(-np.abs(coef))[:2][::-1]
        assert [label.get_text() for label in axes.get_yticklabels()] == list(X.columns[largest])
        np.testing.assert_array_equal([bar.get_width() for bar in bars], coef[largest])


def test_coefficients_with_names_of_ones_own(iris):
    X, y = iris
    model = LogisticRegression(l1_ratio=1, C=0.1).fit(X.to_numpy(), y == 2).sparsify()
    axes = Figure().subplots()
    display = CoefficientsDisplay.from_estimator(model, feature_names=list("abcd"), ax=axes)
    assert display.axes_[0] is axes
    assert sorted(label.get_text() for label in axes.get_yticklabels()) == list("abcd")
    assert [label.get_text() for label in CoefficientsDisplay.from_estimator(model).axes_[0].get_yticklabels()][-1] \
        == f"feature {np.abs(model.coef_.toarray()[0]).argmax()}"
    with pytest.raises(ValueError, match="feature_names has 2 names; expected 4, one a feature"):
        CoefficientsDisplay.from_estimator(model, feature_names=["a", "b"])


# ---- decision boundaries --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [
    lambda: LogisticRegression(), lambda: Trainer("sigmoid", epochs=400),
    lambda: Trainer("squared_error", 0.01, epochs=400), lambda: Trainer(epochs=400),
], ids=["fit", "sigmoid", "squared_error", "softmax"])
def test_boundary_of_two_classes_is_where_the_prediction_changes(iris, make):
    X, y = iris
    model = make().fit(X, y == 2)
    display = DecisionBoundaryDisplay.from_estimator(model, X, y == 2, features=(2, 3))
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("petal length (cm)", "petal width (cm)")
    points = np.concatenate([path.vertices for path in display.contours_[0].get_paths()])
    places = np.tile(X.mean().to_numpy(), (len(points), 1))
    for sign in (-1, 1):
        places[:, 2:] = points + sign * 1e-6 * np.sign(model.coef_[-1, 2:])
        assert (model.predict(pandas.DataFrame(places, columns=X.columns)) == (sign > 0)).all()


def test_boundary_of_three_classes(iris):
    X, y = iris
    model = LogisticRegression().fit(X.to_numpy(), y)
    axes = Figure().subplots()
    display = DecisionBoundaryDisplay.from_estimator(
        model, X.to_numpy(), y, features=(3, 2), grid_resolution=50, ax=axes)
    assert display.ax_ is axes
    assert axes.get_xlabel() == "feature 3"
    assert len(display.contours_) == 3
    assert len(axes.collections) == 6  # lines, and the points of each class
    places = np.tile(X.mean().to_numpy(), (50, 1))
    places[:, 3], places[:, 2] = display.x0, display.x1[20]
    np.testing.assert_allclose(display.shares[20], model.predict_proba(places), rtol=1e-12)
    winners = display.margins[20].argmax(axis=1)
    np.testing.assert_array_equal(winners, model.predict(places))
    assert (np.sort(display.margins[20], axis=1)[:, :2] <= 0).all()


def test_what_has_no_boundary(iris):
    X, y = iris
    labels = LogisticRegression(targets="labels").fit(X, np.column_stack([y == 0, y == 1]))
    with pytest.raises(ValueError, match="the model is of independent labels"):
        DecisionBoundaryDisplay.from_estimator(labels, X)
    model = LogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match=r"features is \(0, 4\); expected two different columns from 0 to 3"):
        DecisionBoundaryDisplay.from_estimator(model, X, features=(0, 4))


def test_a_model_with_names_draws_without_a_warning(iris, recwarn):
    DecisionBoundaryDisplay.from_estimator(LogisticRegression().fit(*iris), *iris)
    DecisionBoundaryDisplay.from_estimator(Trainer(epochs=1).fit(*iris), *iris)
    assert not recwarn.list


def test_figures_of_their_own_are_pyplots(trainer):
    from matplotlib import pyplot

    display = WeightImagesDisplay.from_estimator(trainer, (8, 8))
    assert pyplot.figure(pyplot.get_fignums()[0]) is display.figure_


@pytest.mark.parametrize("draw", [
    CoefficientsDisplay.from_estimator, lambda model: WeightImagesDisplay.from_estimator(model, (2, 2))])
def test_a_model_is_fitted_first(draw):
    with pytest.raises(NotFittedError):
        draw(LogisticRegression())


def test_one_measure_by_its_name():
    display = TrainingCurveDisplay({"loss": [2.0, 1.0], "accuracy": [0.5, 0.6]}).plot(measures="loss")
    assert [axes.get_ylabel() for axes in display.axes_] == ["loss"]
    with pytest.raises(ValueError, match="history has no epochs"):
        TrainingCurveDisplay({}).plot()
