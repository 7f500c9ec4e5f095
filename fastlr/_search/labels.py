"""Scorers that are told of all classes: the rows that a fold holds out may lack some."""

import copy
import inspect


def with_all_classes(scorer, outputs):
    """The scorer, with the arguments `labels` and `pos_label` where its function takes them, as scikit-learn has it.

    Parameters
    ----------
    scorer : callable
        One of scikit-learn's, or any other, which is returned as it is.
    outputs : fastlr._input.targets.Outputs
    """
    function = getattr(scorer, "_score_func", None)
    known = inspect.signature(function).parameters if callable(function) and hasattr(scorer, "_kwargs") else {}
    if outputs.multilabel or "labels" not in known:
        return scorer
    arguments = {"labels": outputs.classes}
    if len(outputs.classes) == 2 and "pos_label" in known:
        arguments["pos_label"] = outputs.classes[1]
    told = copy.copy(scorer)
    told._kwargs = arguments | scorer._kwargs
    return told
