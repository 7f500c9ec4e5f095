"""Softmax regression on MNIST, straight from the bytes.

    python examples/train_mnist.py FOLDER

FOLDER holds the four IDX files (train-images-idx3-ubyte and so on), plain or gzip.
"""

import sys

import fastlr


def main(folder):
    images, y = fastlr.datasets.load_mnist(folder, "train")
    test_images, y_test = fastlr.datasets.load_mnist(folder, "test")
    X, X_test = (data.reshape(len(data), -1) for data in (images, test_images))

    # no float copy of the images: scale makes the model see pixels / 255
    trainer = fastlr.Trainer(learning_rate=0.1, epochs=25, batch_size=256, verbose=1, random_state=0)
    trainer.fit(X, y, scale=1 / 255)

    seconds = sum(trainer.history_["seconds"])
    print(f"test accuracy {trainer.score(X_test, y_test):.4f}, {len(X) * trainer.epochs / seconds:,.0f} images/s")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
