"""Attributes of a search in the shapes that scikit-learn's LogisticRegressionCV gives them."""

import numpy as np


def grids_of(searches, selections, Cs):
    """scores_, coefs_paths_ and n_iter_ (n_folds, n_searches, n_Cs, ...), a dict."""
    def grid(value, dtype=None):
        return np.stack([np.array([[value(member.models[C]) for C in Cs] for member in search.folds], dtype)
                         for search in searches], axis=1)

    return {
        "scores_": np.stack([np.column_stack([each.scores[C] for C in Cs]) for each in selections], axis=1),
        "coefs_paths_": grid(lambda model: model.W), "n_iter_": grid(lambda model: model.n_iter, np.int32),
    }


def as_scikit_learn_has_them(search, grids, l1_ratio):
    """Attributes of a fitted LogisticRegressionCV by `use_legacy_attributes`, a dict.

        None, False     scores_, n_iter_ (n_folds, n_l1_ratios, n_Cs), coefs_paths_ (..., k, n_features + 1)
        True            dicts by class (the second of two) of (n_folds, n_Cs, n_l1_ratios), and C_ (k,); no axis of
                        l1_ratios where they are None

    Parameters
    ----------
    search : LogisticRegressionCV
    grids : dict of ndarray
        The former.
    l1_ratio : float
        The best.
    """
    ratios = np.zeros(1) if search.l1_ratios is None else np.asarray(search.l1_ratios)
    k = len(search.coef_)
    if not search.use_legacy_attributes:
        return grids | {"l1_ratio_": l1_ratio, "l1_ratios_": ratios}

    def last_axis(array):
        return array[:, 0] if search.l1_ratios is None else np.moveaxis(array, 1, 2)

    classes = search.classes_ if len(search.classes_) == k else search.classes_[1:]
    paths = [last_axis(grids["coefs_paths_"][..., row, :]) for row in range(k)]
    return {
        "scores_": {label: last_axis(grids["scores_"]) for label in classes},
        "coefs_paths_": dict(zip(classes, paths, strict=True)),
        "n_iter_": last_axis(grids["n_iter_"])[None],
        "C_": np.full(k, search.C_),
        "l1_ratio_": np.full(k, l1_ratio),
        "l1_ratios_": ratios,
    }
