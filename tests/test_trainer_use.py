"""What Trainer adds around the learning rule: history, callbacks, going on, interruption, bad input."""

import os
import pickle
import re
import signal
import threading

import numpy as np
import pytest

import fastlr
from fastlr import Trainer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y3 = np.arange(60) % 3
Y2 = np.arange(60) % 2


def test_history_has_an_entry_an_epoch():
    trainer = Trainer(epochs=3).fit(X, Y3, validation_data=(X, Y3))
    assert set(trainer.history_) == {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
    assert {len(values) for values in trainer.history_.values()} == {3}
    assert trainer.history_["val_accuracy"][-1] == trainer.score(X, Y3)
    assert all(seconds > 0 for seconds in trainer.history_["seconds"])


def test_history_of_target_matrices_has_no_accuracy():
    trainer = Trainer("sigmoid", epochs=2).fit(X, np.eye(3)[Y3], validation_data=(X, np.eye(3)[Y3]))
    assert set(trainer.history_) == {"loss", "val_loss", "seconds"}


def test_weighted_loss_is_a_weighted_mean():
    weight = np.arange(60.0)
    once = Trainer(epochs=1, batch_size=None, shuffle=False).fit(X, Y3, weight)
    assert once.history_["loss"] == pytest.approx([np.log(3)])
    repeated = Trainer(epochs=5, batch_size=None).fit(X.repeat(2, axis=0), Y3.repeat(2))
    doubled = Trainer(epochs=5, batch_size=None).fit(X, Y3, np.full(60, 2.0))
    np.testing.assert_allclose(doubled.coef_, repeated.coef_, rtol=1e-12)


def test_random_state_sets_the_order():
    def coef(random_state):
        return Trainer(epochs=2, batch_size=7, random_state=random_state).fit(X, Y3).coef_

    np.testing.assert_array_equal(coef(3), coef(3))
    np.testing.assert_array_equal(coef(3), coef(np.random.default_rng(3)))
    np.testing.assert_array_equal(coef(np.random.RandomState(3)), coef(np.random.RandomState(3)))
    assert (coef(3) != coef(4)).any()
    assert (coef(None) != coef(None)).any()


def test_callbacks_see_the_model_and_may_stop_it():
    seen = []

    def stop_at_3(trainer, epoch):
        seen.append((epoch, trainer.coef_.copy(), trainer.history_["loss"][-1]))
        return epoch == 3

    trainer = Trainer(epochs=9, callbacks=[lambda t, e: 1.0, stop_at_3]).fit(X, Y3)
    assert [epoch for epoch, _, _ in seen] == [1, 2, 3]
    assert len(trainer.history_["loss"]) == 3
    np.testing.assert_array_equal(seen[-1][1], trainer.coef_)


def test_a_callback_that_raises_leaves_the_model():
    def fail(trainer, epoch):
        raise OSError("disk full")

    trainer = Trainer(callbacks=[fail])
    with pytest.raises(OSError, match="disk full"):
        trainer.fit(X, Y3)
    assert trainer.predict(X).shape == (60,)


def test_verbose_writes_a_line_an_epoch(capsys):
    Trainer(epochs=2, verbose=1).fit(X, Y3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"(epoch \d/2  loss \d\.\d{4}  accuracy \d\.\d{4}  seconds \d\.\d{4}\n){2}", captured.err)


def test_verbose_rewrites_the_line_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    Trainer(epochs=2, verbose=1).fit(X, Y3)
    written = capsys.readouterr().err
    assert written.count("\repoch") == 2
    assert written.count("\n") == 1


def test_silent_by_default(capsys):
    Trainer(epochs=2).fit(X, Y3)
    assert capsys.readouterr() == ("", "")


def test_partial_fit_goes_on_where_fit_stopped():
    options = {"batch_size": 7, "momentum": 0.9, "random_state": 2}
    whole = Trainer(epochs=4, **options).fit(X, Y3, scale=2.0, shift=0.5)
    begun = Trainer(epochs=2, **options).fit(X, Y3, scale=2.0, shift=0.5).partial_fit(X, Y3).partial_fit(X, Y3)
    stepped = Trainer(**options)
    for _ in range(4):
        stepped.partial_fit(X, Y3, scale=2.0, shift=0.5)
    for other in (begun, stepped):
        np.testing.assert_array_equal(other.coef_, whole.coef_)
        assert other.history_["loss"] == whole.history_["loss"]


def test_partial_fit_knows_labels_to_come():
    trainer = Trainer().partial_fit(X[:1], ["b"], classes=["c", "a", "b"])
    assert trainer.classes_.tolist() == ["a", "b", "c"]
    trainer.partial_fit(X[:2], ["a", "c"])
    before = pickle.dumps(trainer)
    with pytest.raises(ValueError, match=r"1 label not among the 3 classes \[a, b, c\]: first is d at row 1"):
        trainer.partial_fit(X[:2], ["a", "d"])
    assert pickle.dumps(trainer) == before


@pytest.mark.parametrize("loss", ["softmax", "sigmoid", "squared_error"])
def test_pickled_trainers_predict_and_go_on(loss):
    trainer = Trainer(loss, random_state=0).fit(X, Y3)
    copy = pickle.loads(pickle.dumps(trainer))
    np.testing.assert_array_equal(copy.decision_function(X), trainer.decision_function(X))
    np.testing.assert_array_equal(copy.partial_fit(X, Y3).coef_, trainer.partial_fit(X, Y3).coef_)


def test_parameters_are_as_in_scikit_learn():
    from sklearn.base import clone

    trainer = Trainer("sigmoid", epochs=3)
    assert repr(trainer) == "Trainer(loss='sigmoid', epochs=3)"
    assert clone(trainer).get_params() == trainer.get_params()
    assert trainer.set_params(epochs=7).epochs == 7
    with pytest.raises(ValueError, match=r"'epoch'; expected one of 'loss', 'learning_rate', 'epochs'"):
        trainer.set_params(epoch=7)


def test_ctrl_c_between_epochs_keeps_the_model():
    def press(trainer, epoch):
        if epoch == 3:
            signal.raise_signal(signal.SIGINT)

    trainer = Trainer(epochs=50, callbacks=[press], random_state=0)
    with pytest.raises(KeyboardInterrupt) as interrupt:
        trainer.fit(X, Y3)
    assert "interrupted in epoch 3; the model is as the last batch left it" in interrupt.value.__notes__[0]
    assert len(trainer.history_["loss"]) == 3
    np.testing.assert_array_equal(trainer.coef_, Trainer(epochs=3, random_state=0).fit(X, Y3).coef_)


def test_ctrl_c_stops_a_long_epoch_between_batches():
    rows = np.lib.stride_tricks.as_strided(X, (3_000_000, 4), (0, 8))  # one row, many times: hours of small steps
    labels = np.zeros(len(rows), int)
    labels[0] = 1
    timer = threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    trainer = Trainer(epochs=1000, batch_size=1, shuffle=False)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(rows, labels)
    timer.join()
    assert np.isfinite(trainer.coef_).all()
    assert trainer.coef_.any()
    assert trainer.predict(X).shape == (60,)
    trainer.set_params(epochs=1).fit(X, Y3)


def test_divergence_warns_and_keeps_finite_weights():
    trainer = Trainer("squared_error", learning_rate=1e150, epochs=9, batch_size=None)
    with pytest.warns(RuntimeWarning, match=r"epoch \d diverged.*use a learning_rate below 1e\+150"):
        trainer.fit(X, Y3)
    assert np.isfinite(trainer.coef_).all()
    assert np.isfinite(trainer.history_["loss"]).all()
    assert len(trainer.history_["loss"]) < 9


def nan_at_row_3():
    bad = X.copy()
    bad[3, 2] = np.nan
    return bad


BAD_DATA = {
    "rows": ((X, Y3[:59]), ValueError, r"y has shape \(59,\); expected \(60,\)"),
    "no rows": ((X[:0], Y3[:0]), ValueError, r"X has 0 sample\(s\) \(shape=\(0, 4\)\)"),
    "no features": ((X[:, :0], Y3), ValueError, r"X has 0 feature\(s\) \(shape=\(60, 0\)\)"),
    "one-dimensional": ((X[0], Y3[:4]), ValueError, r"X has shape \(4,\).*reshape"),
    "images": ((np.zeros((60, 28, 28), np.uint8), Y3), ValueError, r"\(60, 28, 28\).*X.reshape\(len\(X\), -1\)"),
    "nan": ((nan_at_row_3(), Y3), ValueError, "Input X contains NaN, first at row 3, column 2"),
    "text in objects": ((np.array([["a", "b"]] * 60, object), Y3), ValueError, "could not convert"),
    "complex": ((X.astype(complex), Y3), ValueError, "X has dtype complex128"),
    "strings": ((X.astype(str), Y3), TypeError, "X has dtype <U"),
    "one class": ((X, np.full(60, 7)), ValueError, r"y has 1 class \[7\]; expected at least 2"),
    "nan label": ((X, np.where(Y3 == 1, np.nan, Y3)), ValueError, "y has nan at row 1"),
    "column": ((X, Y3[:, None] / 2), ValueError, r"y has shape \(60, 1\); expected labels \(60,\), or a matrix"),
    "no y": ((X, None), ValueError, "requires y to be passed"),
    "weights short": ((X, Y3, np.ones(3)), ValueError, r"sample_weight has shape \(3,\); expected \(60,\)"),
    "weights negative": ((X, Y3, np.arange(60) - 1.0), ValueError, "sample_weight has -1.0 at row 0"),
    "weights zero": ((X, Y3, np.zeros(60)), ValueError, "sample_weight is zero at all 60 rows"),
    "validation features": ((X, Y3, None, (X[:, :3], Y3)), ValueError, "validation X has 3 features, but .* 4"),
    "validation rows": ((X, Y3, None, (X, Y3[:5])), ValueError, r"validation y has shape \(5,\); expected \(60,\)"),
    "validation labels": ((X, Y3, None, (X, Y3 + 1)), ValueError, "validation y has 20 labels not among the 3 classes"),
    "validation pair": ((X, Y3, None, X), ValueError, r"validation_data.*expected a pair \(X, y\)"),
}


@pytest.mark.parametrize(("arguments", "error", "message"), BAD_DATA.values(), ids=BAD_DATA)
def test_bad_data_raise_and_change_nothing(arguments, error, message):
    trainer = Trainer(epochs=2, random_state=0).fit(X, Y3)
    before = pickle.dumps(trainer)
    with pytest.raises(error, match=message):
        trainer.fit(*arguments)
    assert pickle.dumps(trainer) == before


BAD_OPTIONS = {
    "loss": ("hinge", "one of 'softmax', 'sigmoid', 'squared_error'"),
    "reduction": ("median", "one of 'mean', 'sum'"),
    "learning_rate": (0, "a positive finite number"),
    "epochs": (0, "a positive integer"),
    "batch_size": (2.5, "a positive integer, or None"),
    "momentum": (1.0, r"a number in \[0, 1\)"),
    "alpha": (-1, "a finite number of at least 0"),
    "shuffle": ("yes", "True or False"),
    "callbacks": (print, "a sequence of callables"),
    "verbose": (None, "0 or 1"),
    "n_threads": (0, "a positive integer"),
    "random_state": ("a", "None, an integer of at least 0"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_bad_options_raise_and_change_nothing(name):
    value, message = BAD_OPTIONS[name]
    trainer = Trainer(random_state=0).fit(X, Y3).set_params(**{name: value})
    history = pickle.dumps(trainer.history_)
    for method in (trainer.fit, trainer.partial_fit):
        with pytest.raises(ValueError, match=rf"{name} is {re.escape(repr(value))}; expected {message}"):
            method(X, Y3)
    assert pickle.dumps(trainer.history_) == history


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_predictions_need_a_model_of_these_features(method):
    with pytest.raises(AttributeError, match="no model yet; call fit"):
        getattr(Trainer(), method)(X)
    with pytest.raises(ValueError, match="X has 3 features, but Trainer is expecting 4 features"):
        getattr(Trainer().fit(X, Y3), method)(X[:, :3])


def test_squared_error_has_no_probabilities():
    with pytest.raises(AttributeError, match="use decision_function"):
        Trainer("squared_error").fit(X, Y2).predict_proba(X)


def test_trainer_needs_no_scikit_learn():
    import subprocess
    import sys

    code = "import sys, fastlr; fastlr.Trainer().fit([[0.0], [1.0]], [0, 1]); sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert fastlr.Trainer is Trainer


def test_parameters_that_a_callback_sets_are_checked():
    trainer = Trainer(epochs=3, callbacks=[lambda trainer, epoch: trainer.set_params(learning_rate=-1.0) and None])
    with pytest.raises(ValueError, match=r"learning_rate is -1\.0; expected"):
        trainer.fit(np.eye(4), [0, 1, 0, 1])
    assert np.isfinite(trainer.coef_).all()
