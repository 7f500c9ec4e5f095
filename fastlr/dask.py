"""Logistic regression on a Dask cluster: `DaskLogisticRegression`.

    pip install 'fastlr-ml[dask]'

The data stay where they are; a pass sends the model out and brings sums back. docs/scaling.md says what that costs.
"""

from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

try:
    import dask
    import dask.array as da
    from distributed import Client, default_client
except ImportError as error:
    raise ImportError(f"fastlr.dask needs Dask ({error}); install it: pip install 'fastlr-ml[dask]'") from error

from fastlr import _core
from fastlr._dask_chunks import aligned, check_rows, chunks_of
from fastlr._dask_data import DaskTrainingData
from fastlr._dask_engine import Cluster
from fastlr._input.fitted import NEEDED, fitted_model
from fastlr._input.hints import hinted
from fastlr.linear_model import LogisticRegression

__all__ = ["DaskLogisticRegression"]

_LOCAL = ("coef_", "intercept_", "classes_", "n_iter_", "objective_", "n_passes_", "suboptimality_", "scale_", "shift_",
          "targets_", "n_features_in_", "feature_names_in_")
# arguments of LogisticRegression, and what to do without them
_NOT_HERE = {
    **dict.fromkeys(("l1_ratio", "penalty"), "on a cluster there is the L2 penalty only, and C=np.inf means none; "
                                             "LogisticRegression has L1 and elastic net"),
    **dict.fromkeys(("dual", "intercept_scaling"), "it changes nothing in LogisticRegression either; leave it out"),
    **dict.fromkeys(("leave_one_out", "offset"), "it is not there on a cluster; use LogisticRegression"),
    "n_jobs": "the workers are those of the client, which has n_threads for what it does itself; leave it out",
}


class DaskLogisticRegression(LogisticRegression):
    """`fastlr.LogisticRegression` of rows that lie on a Dask cluster.

    Parameters
    ----------
    C, tol, fit_intercept, class_weight, solver, max_iter, max_time, warm_start, verbose, random_state, \
penalty_factors, scale, shift, targets
        As of `LogisticRegression`.
    n_threads : int or None, default=None
        Of the client, for what is made of samples of rows. A task on a worker uses one thread.
    client : distributed.Client, default=None
        None: the default client, the last one that was made. Not pickled with the model.

    Attributes
    ----------
    coef_, intercept_, classes_, n_iter_, objective_, n_passes_, suboptimality_, scale_, shift_, targets_, \
n_features_in_, feature_names_in_
        As of `LogisticRegression`.

    Notes
    -----
    X is a Dask array of chunks of whole rows, or a Dask data frame; y and sample_weight are Dask arrays or series. They
    are computed once and stay on the workers, one copy of what the chunks hold, until `fit` ends. A chunk should be of
    1 MB at least, and there should be several for each thread of the workers.

    The optimum is that of `LogisticRegression` on the same rows. With the same chunks the result has the same bits for
    any number of workers and threads: sums are added in the chunks' order, and workers compute with the instruction set
    that all of them have (they keep to it after the fit).

    A worker may die: Dask makes its chunks again from what they came from. Chunks that were scattered by hand cannot be
    made again, and end the fit with an error. Ctrl-C leaves the best model so far and no tasks; so does an error, with
    the model of the fit before.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from fastlr.dask import DaskLogisticRegression
    >>> client = Client(n_workers=2, threads_per_worker=1)      # doctest: +SKIP
    >>> X = da.random.normal(size=(1_000_000, 20), chunks=(100_000, 20))
    >>> y = (X.sum(axis=1) > 0).astype(int)
    >>> model = DaskLogisticRegression().fit(X, y)              # doctest: +SKIP
    >>> model.predict_proba(X)                                  # doctest: +SKIP
    dask.array<...>
    """

    _not_here = _NOT_HERE

    @hinted
    def __init__(self, C=1.0, *, tol=1e-4, fit_intercept=True, class_weight=None, solver="auto", max_iter=1000,
                 max_time=None, warm_start=False, verbose=0, n_threads=None, random_state=None, penalty_factors=None,
                 scale=None, shift=None, targets="auto", client=None):
        super().__init__(
            C, tol=tol, fit_intercept=fit_intercept, class_weight=class_weight, solver=solver, max_iter=max_iter,
            max_time=max_time, warm_start=warm_start, verbose=verbose, n_threads=n_threads, random_state=random_state,
            penalty_factors=penalty_factors, scale=scale, shift=shift, targets=targets,
        )
        self.client = client

    @hinted
    def fit(self, X, y, sample_weight=None):
        """Find the optimum.

        Parameters
        ----------
        X : dask array (n_samples, n_features) or data frame
        y : dask array (n_samples,) or (n_samples, k), series or data frame
            As of `LogisticRegression`; a column (n_samples, 1) holds labels.
        sample_weight : dask array (n_samples,) or series, default=None
            At least 0; None means 1.

        Returns
        -------
        DaskLogisticRegression
            Itself.

        Raises
        ------
        TypeError, ValueError
            For bad parameters or data, naming the chunk; an earlier fit is then still there.
        ConnectionError, TimeoutError
            Where there is no scheduler, or it has no workers.
        KeyboardInterrupt
            After Ctrl-C; the best model so far is there.
        """
        self._in_use = clusters = []  # the attribute itself is lost if the fit fails
        try:
            return super().fit(X, y, sample_weight)
        finally:
            vars(self).pop("_in_use", None)
            for cluster in clusters:
                cluster.close()

    def _check(self, X, y, sample_weight, offset):
        for collection, name in ((X, "X"), (y, "y")):
            if collection is not None:
                chunks_of(collection, name)  # what is no data needs no cluster
        cluster = Cluster(self._client())
        self._in_use.append(cluster)
        return DaskTrainingData(self, cluster, X, y, sample_weight)

    def _client(self):
        if isinstance(self.client, Client):
            return self.client
        if self.client is not None:
            raise TypeError(f"client is of type {type(self.client).__name__}; expected a distributed.Client, or None "
                            f"for the last one that was made: make one of an address or a cluster, Client(...)")
        try:
            return default_client()
        except ValueError:
            raise ValueError("client is None and there is no Dask client; expected one: make it first, "
                             "distributed.Client(address), or pass client=") from None

    def to_local(self):
        """A fitted `LogisticRegression` with the same parameters, which needs no cluster."""
        check_is_fitted(self, NEEDED)
        params = {name: value for name, value in self.get_params(deep=False).items() if name != "client"}
        local = LogisticRegression(**params)
        vars(local).update({name: vars(self)[name] for name in _LOCAL if name in vars(self)})
        return local

    # ---- predictions, chunk by chunk when they are computed ----------------------------------------------------------
    def decision_function(self, X):
        """Logits of X, a lazy array (n_samples,) for two classes, else (n_samples, k)."""
        outputs = self._outputs()
        return self._lazily("decision_function", X, outputs.k if outputs.k > 1 or outputs.multilabel else None)

    def predict(self, X):
        """Most probable classes, a lazy array (n_samples,), or 0/1 indicators (n_samples, k) of labels."""
        outputs = self._outputs()
        dtype = np.int64 if outputs.multilabel else outputs.classes.dtype
        return self._lazily("predict", X, outputs.k if outputs.multilabel else None, dtype)

    def predict_proba(self, X):
        """Probabilities, a lazy array (n_samples, n_classes), or (n_samples, k), each of a label."""
        return self._lazily("predict_proba", X, len(self._outputs().classes))

    def predict_log_proba(self, X):
        """Logarithms of `predict_proba`."""
        return self._lazily("predict_log_proba", X, len(self._outputs().classes))

    def score(self, X, y, sample_weight=None):
        """Fraction of the rows of X, or of their weight, that are predicted correctly; computed at once."""
        check_is_fitted(self, NEEDED)
        lists = chunks_of(X, "X")[0], aligned(X, y, "y"), aligned(X, sample_weight, "sample_weight")
        score = dask.delayed(partial(_score, self._one_thread()), pure=False)
        tasks = [score(*chunk) for chunk in zip(*lists, strict=True)]
        client = self._client()
        futures = client.compute(tasks)
        try:
            scores, weights = np.array(client.gather(futures)).T
        finally:
            for future in futures:  # which an error's traceback would keep
                future.release()
        return float(np.average(scores, weights=weights))

    def _outputs(self):
        check_is_fitted(self, NEEDED)
        return fitted_model(self).outputs

    def _one_thread(self):
        return self.to_local().set_params(n_threads=1)

    def _lazily(self, method, X, n_columns, dtype=None):
        """The array of a method of the local model, with so many columns, None for one dimension."""
        chunks, sizes = chunks_of(X, "X")
        if dtype is None:
            dtype = _core.real_dtype(X.dtype) if hasattr(X, "chunks") else np.float64
        columns = () if n_columns is None else (n_columns,)
        meta = np.empty((0, *columns), dtype)
        predict = dask.delayed(partial(_predict, self._one_thread(), method, meta), pure=False)
        return da.concatenate([
            da.from_delayed(predict(chunk), (size, *columns), meta=meta)
            for chunk, size in zip(chunks, sizes or [np.nan] * len(chunks), strict=True)
        ])

    # ---- the client is no part of the model --------------------------------------------------------------------------
    def __getstate__(self):
        return {**super().__getstate__(), "client": None}

    def __sklearn_clone__(self):
        params = self.get_params(deep=False)
        client = params.pop("client")
        return type(self)(**{name: clone(value, safe=False) for name, value in params.items()}, client=client)


def _predict(model, method, empty, X):
    """Of a chunk, which may have no rows."""
    check_rows(X, "X")
    return getattr(model, method)(X).astype(empty.dtype, copy=False) if X.shape[0] else empty


def _score(model, X, y, weight):
    """The score of a chunk and its weight."""
    check_rows(X, "X")
    if not X.shape[0]:
        return 0.0, 0.0
    total = float(X.shape[0] if weight is None else np.sum(weight))
    return (model.score(X, y, weight), total) if total else (0.0, 0.0)
