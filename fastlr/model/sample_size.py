"""How many rows samples have, from which curvatures are made, and others that stand for all rows."""

from fastlr.model.memory import KEPT_VALUES

FEATURE_ROWS = 16  # a feature: the eigenvalues of their covariance are right to a factor of 2
CLASS_ROWS = 64  # a class, that tell its curvature and the mean features under it
ALL_ROWS = 2048  # so few rows are never sampled for a metric
SAMPLE_STEP = 16  # every so many-th row is enough


def least_step(n, n_features, n_logits, n_values):
    """Every how many-th of n rows can be brought here at most, and are enough."""
    wanted = max(FEATURE_ROWS * n_features, CLASS_ROWS * n_logits, ALL_ROWS, n // SAMPLE_STEP)
    return max(1, -(-n // max(1, min(wanted, KEPT_VALUES // max(1, n_values // max(1, n))))))
