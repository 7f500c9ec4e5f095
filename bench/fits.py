"""Suite "fits": LogisticRegression against its peers, each timed until the same true suboptimality (F - F*) / F*.

F is evaluated in float64 by NumPy (fit_objective.py).  F* is a known constant (MNIST's), or the least F of any
contestant at any of its settings, of which a tight fit by fastlr is the first.
"""

import math

import numpy as np

from . import data, fit_data, fit_peers, race, raw_fits
from .cases import FITS, LABELS, MNIST_BYTES, MNIST_SECONDS, available
from .fit_objective import true_objective
from .memory import fit_memory
from .table import Row, Table

REFERENCE_TOL = 1e-7
TOLERANCES = tuple(10.0 ** (-j / 2) for j in range(17))
"""fastlr's ladder, 1, 0.3, ... 1e-8: its tol is proved, and the true suboptimality far smaller."""
SAMPLED_LABELS = 3
"""Of the independent labels, scikit-learn fits so many (in a quick run one); its time is scaled up."""


def tables(settings):
    """Yield the tables of the suite."""
    yield Table(
        "Fits: time to a relative suboptimality",
        "Milliseconds, float32 features, C = 1, until (F - F*) / F* in float64 is at most the figure; the result is "
        "the time of scikit-learn's fastest solver that reaches it, or of the one noted, over fastlr's. All have the "
        "loosest setting that reaches it; \"proved\" is fastlr's time with tol at the figure, which proves it. F* is "
        "a known constant for MNIST, elsewhere the least F of any contestant, a fit by fastlr with "
        f"tol={REFERENCE_TOL:.0e} among them.",
        [_race(case, settings) for case in available(FITS)] + [_labels_race(settings)],
    )
    yield Table(
        "Fits of MNIST by fastlr",
        "Milliseconds; the note has the true suboptimality that each tol reaches.",
        _mnist_rows(settings) if fit_data.has_mnist() else [Row("MNIST", note=data.NO_MNIST)],
    )
    yield from raw_fits.tables(settings)


def _race(case, settings):
    d = case.load(settings)
    judge = _Judge(d, settings)
    ours = race.climb(_fastlr_ladder(d, settings), judge.of_model, case.to)
    if ours is None:
        return Row(f"{case.name}, to {case.to:g}", target=case.target, note="fastlr did not reach it")
    finishes, best = {"fastlr": ours}, math.inf
    proved = race.climb([_fastlr_rung(d, case.to, settings)], judge.of_model, case.to)
    if proved is not None:
        finishes["fastlr, proved"] = proved
    ladders = {solver: fit_peers.scikit_learn(solver, d.X, d.y) for solver in case.solvers}
    for name, ladder in (ladders | fit_peers.others(d.X, d.y, settings.n_threads)).items():
        finish = race.climb(settings.ladder(ladder), judge.of_model, case.to, give_up_after=best)
        if finish is not None:
            finishes[name] = finish
            best = min(best, finish.seconds)
    return _result(case, finishes, [finishes[s] for s in case.solvers if s in finishes], settings)


def _result(case, finishes, to_beat, settings):
    ours = [finish for name, finish in finishes.items() if name.startswith("fastlr")]
    race.repeat(ours + to_beat, settings)
    seconds = {name: finish.seconds for name, finish in finishes.items()}
    note = "; ".join(f"{name} {finish}" for name, finish in finishes.items())
    value = min(f.seconds for f in to_beat) / finishes["fastlr"].seconds if to_beat else None
    if case.against in finishes:
        note = f"the result is against {case.against}, {value:.3g} against the fastest; {note}"
        value = finishes[case.against].seconds / finishes["fastlr"].seconds
    return Row(f"{case.name}, to {case.to:g}", seconds, value, "x faster", case.target, note)


def _fastlr_ladder(d, settings):
    return settings.ladder([_fastlr_rung(d, tol, settings) for tol in TOLERANCES])


def _fastlr_rung(d, tol, settings):
    fit = fit_peers.fastlr_fit(d.X, d.y, tol=tol, n_threads=settings.n_threads, scale=d.scale)

    def run():
        estimator = fit()
        return estimator.coef_, estimator.intercept_

    return f"tol={tol:.0e}", run


class _Judge:
    """Suboptimality of models of one data set, by the true objective."""

    def __init__(self, d, settings):
        self.data = d
        self.optimum = d.optimum
        if d.optimum is None:
            _, fit = _fastlr_rung(d, REFERENCE_TOL, settings)
            self.optimum = self.objective(fit())

    def objective(self, model):
        return true_objective(self.data.X, self.data.y, *model, scale=self.data.scale)

    def of_model(self, model):
        value = self.objective(model)
        if self.data.optimum is None:
            self.optimum = min(self.optimum, value)
        return value / self.optimum - 1


def _labels_race(settings):
    """All labels in one fit by fastlr; scikit-learn's time is that of a few labels, scaled up."""
    d = LABELS.load(settings)
    k = d.y.shape[1]
    row = Row(f"{LABELS.name}, to {LABELS.to:g}", target=LABELS.target)
    judge = _Judge(d, settings)
    ours = race.climb(_fastlr_ladder(d, settings), judge.of_model, LABELS.to)
    if ours is None:
        row.note = "fastlr did not reach it"
        return row
    row.seconds["fastlr"] = ours.seconds
    sampled = 1 if settings.quick else SAMPLED_LABELS
    labels = [fit_data.FitData(d.X, np.ascontiguousarray(d.y[:, j])) for j in range(sampled)]
    judges = [_Judge(label, settings) for label in labels]
    for solver in LABELS.solvers:
        finishes = [
            race.climb(settings.ladder(fit_peers.scikit_learn(solver, label.X, label.y)), judge.of_model, LABELS.to)
            for label, judge in zip(labels, judges, strict=True)
        ]
        if all(finishes):
            row.seconds[solver] = sum(finish.seconds for finish in finishes) * k / sampled
    theirs = [seconds for name, seconds in row.seconds.items() if name != "fastlr"]
    if theirs:
        row.value, row.unit = min(theirs) / ours.seconds, "x faster"
    row.note = f"scikit-learn's time is that of {sampled} labels x {k / sampled:.3g}; fastlr {ours}"
    return row


def _mnist_rows(settings):
    f32, u8 = fit_data.mnist_float32(settings), fit_data.mnist_uint8(settings)
    tight, loose, bytes_ = (_own_finish(d, tol, settings) for d, tol in ((f32, 1e-6), (f32, 1e-3), (u8, 1e-3)))
    race.repeat([tight], settings)
    race.repeat([loose, bytes_], settings)
    return [
        Row("float32, to 1e-6", {"fastlr": tight.seconds}, tight.seconds, "s", MNIST_SECONDS, str(tight)),
        Row("float32, to 1e-3", {"fastlr": loose.seconds}, note=str(loose)),
        Row("uint8 with scale 1/255, to 1e-3", {"fastlr": bytes_.seconds}, bytes_.seconds / loose.seconds,
            "x float32's time", MNIST_BYTES, str(bytes_)),
        fit_memory(settings),
    ]


def _own_finish(d, tol, settings):
    """The `race.Finish` of fastlr, whether or not it reached the target."""
    setting, fit = _fastlr_rung(d, tol, settings)
    seconds, model = race.timed(fit)
    return race.Finish(setting, fit, seconds, _Judge(d, settings).of_model(model))
