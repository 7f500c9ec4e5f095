"""
Text: which words speak for a class
===================================

A sparse matrix of word counts goes in as it is. The texts are docstrings, the classes the libraries they come from.
"""

# %%
# Docstrings of NumPy, SciPy and scikit-learn, without the names that would give them away.

import importlib
import re

import numpy as np
from matplotlib import pyplot as plt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split

from fastlr import LogisticRegression
from fastlr.plotting import CoefficientsDisplay

MODULES = {
    "numpy": ["numpy", "numpy.linalg", "numpy.fft", "numpy.random", "numpy.polynomial"],
    "scipy": ["scipy.linalg", "scipy.optimize", "scipy.stats", "scipy.signal", "scipy.special", "scipy.spatial"],
    "sklearn": ["sklearn.linear_model", "sklearn.ensemble", "sklearn.metrics", "sklearn.preprocessing",
                "sklearn.cluster", "sklearn.feature_extraction.text", "sklearn.decomposition"],
}


def docstrings(library):
    found = set()
    for name in MODULES[library]:
        module = importlib.import_module(name)
        texts = (getattr(module, member).__doc__ for member in module.__all__ if hasattr(module, member))
        found |= {re.sub(r"numpy|scipy|sklearn|scikit|learn|\bnp\b|\bsp\b", " ", text) for text in texts if text}
    return sorted(found)


texts, libraries = [], []
for library in MODULES:
    texts += docstrings(library)
    libraries += [library] * (len(texts) - len(libraries))
parts = train_test_split(texts, libraries, random_state=0, stratify=libraries)
texts, test_texts, y, y_test = parts

# %%
# The vectoriser makes a CSR matrix of float32, of which fastlr reads the stored values where they lie.

vectoriser = TfidfVectorizer(token_pattern=r"[a-z]{3,}", min_df=3, sublinear_tf=True, dtype=np.float32)
X = vectoriser.fit_transform(texts)
model = LogisticRegression(C=10).fit(X, y)
print(f"{X.shape[0]:,} texts, {X.shape[1]:,} words, {X.nnz / np.prod(X.shape):.1%} of the matrix is stored")
print(f"test accuracy {model.score(vectoriser.transform(test_texts), y_test):.3f}")

CoefficientsDisplay.from_estimator(model, feature_names=vectoriser.get_feature_names_out(), max_features=14)
plt.show()

# %%
# An L1 penalty keeps few words, and the other coefficients are exactly 0.

few = LogisticRegression(C=2, l1_ratio=1).fit(X, y)
print(f"{(few.coef_ != 0).any(axis=0).sum()} words are left")
print(f"test accuracy {few.score(vectoriser.transform(test_texts), y_test):.3f}")
