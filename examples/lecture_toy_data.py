"""The lecture's logistic regression: 100 points, 30 full-batch steps of the summed gradient.

    python examples/lecture_toy_data.py toydata.txt

The file has a row for each point: x1, x2 and the class, separated by tabs.  It is in folder L08 of
https://github.com/rasbt/stat453-deep-learning-ss21.
"""

import sys

import numpy as np

import fastlr


def main(path):
    table = np.loadtxt(path)
    order = np.arange(len(table))
    np.random.RandomState(123).shuffle(order)
    test, train = table[order[:25]], table[order[25:]]
    X, y = train[:, :2], train[:, 2].astype(int)

    # standardisation is part of the model: predictions take the points as they are
    standardise = {"shift": X.mean(axis=0), "scale": 1 / X.std(axis=0)}
    trainer = fastlr.Trainer("sigmoid", learning_rate=0.1, epochs=30, batch_size=None, reduction="sum")
    trainer.fit(X, y, validation_data=(X, y), **standardise)

    for epoch in (1, 30):
        cost, accuracy = (trainer.history_[name][epoch - 1] for name in ("val_loss", "val_accuracy"))
        print(f"epoch {epoch:2d}: training cost {cost:.3f}, accuracy {accuracy:.3f}")
    print("weights", trainer.coef_[0].round(4), "bias", trainer.intercept_[0].round(4))
    print(f"test accuracy {trainer.score(test[:, :2], test[:, 2].astype(int)):.0%}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
