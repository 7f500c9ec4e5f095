"""What scikit-learn's tools ask of an estimator, for a Trainer, which imports scikit-learn only where they do."""

import functools


def tags_of(trainer):
    """scikit-learn's tags: a classifier, of labels that do not exclude each other too if the loss is "sigmoid"."""
    from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

    return Tags("classifier", TargetTags(required=True), input_tags=InputTags(sparse=True),
                classifier_tags=ClassifierTags(multi_label=trainer.loss == "sigmoid"))


def not_fitted():
    """The exception for a Trainer without a model: both a ValueError and an AttributeError."""
    from sklearn.exceptions import NotFittedError

    return NotFittedError("this Trainer has no model yet; call fit or partial_fit first")


class with_probabilities:
    """A method that is there for losses that fit probabilities: hasattr and AttributeError say so."""

    def __init__(self, method):
        self.method = method
        functools.update_wrapper(self, method)

    def __get__(self, trainer, owner=None):
        if trainer is None:
            return self.method
        if trainer.loss == "squared_error":
            raise AttributeError("loss 'squared_error' fits codes, not probabilities; use decision_function, or "
                                 "loss='sigmoid' or 'softmax'")
        return self.method.__get__(trainer, owner)
