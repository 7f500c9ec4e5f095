"""Pictures of models and of their training, in the form of scikit-learn's displays.

    display = WeightImagesDisplay.from_estimator(model, (28, 28))
    display.axes_, display.figure_

Each display takes axes to draw on, or makes a figure by pyplot, and keeps both. They show what scikit-learn's do not;
its `ConfusionMatrixDisplay`, `CalibrationDisplay` and the rest take fastlr's estimators too. Needs matplotlib, the
extra `plot`.
"""

from fastlr.plotting._coefficients import CoefficientsDisplay
from fastlr.plotting._decision_boundary import DecisionBoundaryDisplay
from fastlr.plotting._figures import check_picture_path
from fastlr.plotting._run import draw_confusion, draw_history, draw_weights, save_run
from fastlr.plotting._training_curve import TrainingCurveDisplay
from fastlr.plotting._weight_images import WeightImagesDisplay

__all__ = [
    "CoefficientsDisplay", "DecisionBoundaryDisplay", "TrainingCurveDisplay", "WeightImagesDisplay",
    "check_picture_path", "draw_confusion", "draw_history", "draw_weights", "save_run",
]
