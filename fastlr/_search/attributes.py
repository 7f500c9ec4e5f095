"""Attributes of a search in the shapes that scikit-learn's LogisticRegressionCV gives them."""

import numpy as np


def as_scikit_learn_has_them(search):
    """Attributes of a fitted LogisticRegressionCV by `use_legacy_attributes`, a dict.

        None, False     scores_, n_iter_ (n_folds, n_l1_ratios, n_Cs), coefs_paths_ (..., k, n_features + 1)
        True            dicts by class (the second of two) of (n_folds, n_Cs, n_l1_ratios), and C_ (k,); no axis of
                        l1_ratios where they are None
    """
    ratios = np.zeros(1) if search.l1_ratios is None else np.asarray(search.l1_ratios)
    k = len(search.coef_)
    if not search.use_legacy_attributes:
        arrays = {name: np.repeat(getattr(search, name)[:, None], len(ratios), axis=1)
                  for name in ("scores_", "n_iter_", "coefs_paths_")}
        return arrays | {"l1_ratio_": 0.0, "l1_ratios_": ratios}

    def last_axis(array, axis):
        return array if search.l1_ratios is None else np.repeat(np.expand_dims(array, axis), len(ratios), axis=axis)

    classes = search.classes_ if len(search.classes_) == k else search.classes_[1:]
    paths = [last_axis(search.coefs_paths_[:, :, row], 2) for row in range(k)]
    return {
        "scores_": {label: last_axis(search.scores_, 2) for label in classes},
        "coefs_paths_": dict(zip(classes, paths, strict=True)),
        "n_iter_": last_axis(search.n_iter_, 2)[None],
        "C_": np.full(k, search.C_),
        "l1_ratio_": np.zeros(k),
        "l1_ratios_": ratios,
    }
