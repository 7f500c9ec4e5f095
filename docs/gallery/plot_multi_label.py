"""
Several labels at once
======================

A row may have any number of labels: one sigmoid for each, all in one fit, with one pass over X each time.
"""

# %%
# Four questions about each image of a digit. y is a matrix of 0 and 1, a column for each question.

import numpy as np
from matplotlib import pyplot as plt
from sklearn.metrics import PrecisionRecallDisplay

import fastlr
from fastlr import LogisticRegression
from fastlr.plotting import WeightImagesDisplay

X, digit = fastlr.datasets.load_digits()
QUESTIONS = {
    "even": [0, 2, 4, 6, 8],
    "prime": [2, 3, 5, 7],
    "has a loop": [0, 6, 8, 9],
    "above four": [5, 6, 7, 8, 9],
}
Y = np.column_stack([np.isin(digit, digits) for digits in QUESTIONS.values()])
is_test = np.arange(len(Y)) % 3 == 0

model = LogisticRegression(scale=1 / 16, targets="labels").fit(X[~is_test], Y[~is_test])
right = model.predict(X[is_test]) == Y[is_test]
for question, share in zip(QUESTIONS, right.mean(axis=0), strict=True):
    print(f"{question:11s} {share:.3f} right")

# %%
# The probabilities of a row do not sum to 1: the labels do not exclude each other.

print(model.predict_proba(X[is_test][:3]).round(2), digit[is_test][:3])

figure, (top, bottom) = plt.subplots(2, 4, figsize=(11, 5.6), layout="constrained")
WeightImagesDisplay(model.coef_, (8, 8), list(QUESTIONS)).plot(top)
Z = model.decision_function(X[is_test])
for column, (ax, question) in enumerate(zip(bottom, QUESTIONS, strict=True)):
    PrecisionRecallDisplay.from_predictions(Y[is_test][:, column], Z[:, column], ax=ax, plot_chance_level=False)
    ax.get_legend().remove()
    ax.set(title=question, xlabel="recall", ylabel="precision")
plt.show()
