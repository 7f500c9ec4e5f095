"""
Handwritten digits: what the weights look like
==============================================

Softmax regression straight from the bytes of MNIST: no float copy is made of the images.
"""

# %%
# MNIST is ``mnist`` in the folder that ``FASTLR_DATA`` names, as four IDX files. Without it, the 1,797 small digits
# that come with scikit-learn.

import os
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from sklearn.metrics import ConfusionMatrixDisplay

import fastlr
from fastlr.plotting import TrainingCurveDisplay, WeightImagesDisplay

folder = Path(os.environ.get("FASTLR_DATA", ""), "mnist")
if folder.is_dir():
    images, y = fastlr.datasets.load_mnist(folder, "train")
    test_images, y_test = fastlr.datasets.load_mnist(folder, "test")
    shape, scale, batch_size, learning_rate = images.shape[1:], 1 / 255, 256, 0.1
    X, X_test = images.reshape(len(y), -1), test_images.reshape(len(y_test), -1)
else:
    X, y = fastlr.datasets.load_digits()
    is_test = np.arange(len(y)) % 5 == 0
    X, y, X_test, y_test = X[~is_test], y[~is_test], X[is_test], y[is_test]
    shape, scale, batch_size, learning_rate = (8, 8), 1 / 16, 16, 0.5
print(f"{len(y):,} images of {shape[0]} x {shape[1]} to train on, {X.dtype}; {len(y_test):,} to test with")

# %%
# 25 epochs of mini-batches, as in the lecture.

trainer = fastlr.Trainer(learning_rate=learning_rate, epochs=25, batch_size=batch_size, random_state=0)
trainer.fit(X, y, validation_data=(X_test, y_test), scale=scale)
print(f"test accuracy {trainer.score(X_test, y_test):.4f}")
print(f"{trainer.epochs * len(y) / sum(trainer.history_['seconds']):,.0f} images a second")

TrainingCurveDisplay.from_estimator(trainer)
plt.show()

# %%
# One image of weights for each class: red pixels speak for it, blue ones against it.

WeightImagesDisplay.from_estimator(trainer, shape)
plt.show()

# %%
# scikit-learn's displays take predictions.

ConfusionMatrixDisplay.from_predictions(y_test, trainer.predict(X_test), cmap="Blues", colorbar=False)
plt.show()
