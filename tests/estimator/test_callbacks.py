"""scikit-learn's callbacks: one task per epoch, which sees the model as of that epoch."""

import pickle
import subprocess
import sys
import warnings
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnet import SigmoidMLPClassifier
from fastnet._tasks import EpochTasks

HAS_CALLBACKS = find_spec("sklearn.callback") is not None
needs_callbacks = pytest.mark.skipif(
    not HAS_CALLBACKS, reason="scikit-learn has callbacks from 1.9 on"
)
one_process_and_two = pytest.mark.parametrize(
    "n_jobs", [1, pytest.param(2, marks=pytest.mark.processes)]
)
if HAS_CALLBACKS:
    from sklearn.callback import ProgressBar, ScoringMonitor

SMALL = {"hidden_layer_sizes": (4,), "max_iter": 5, "random_state": 0, "n_iter_no_change": 50}
VARIANTS = {
    "adam": {"solver": "adam"},
    "sgd": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1.0},
    "rprop": {"solver": "rprop"},
    "lbfgs": {"solver": "lbfgs"},
    "early": {"early_stopping": True, "learning_rate_init": 0.5},
}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Recorder:
    """Does nothing but remember, and asks for no estimator."""

    def __init__(self):
        self.hooks = []

    def setup(self, estimator, context):
        self._note("setup", context)

    def teardown(self, estimator, context):
        self._note("teardown", context)

    def on_fit_task_begin(self, estimator, context):
        self._note("begin", context)

    def on_fit_task_end(self, estimator, context):
        self._note("end", context)

    def _note(self, hook, context):
        self.hooks.append((hook, context.task_name, context.task_id, context.max_subtasks))

    def count(self, hook, task="epoch"):
        return sum(entry[:2] == (hook, task) for entry in self.hooks)


class Keeper(Recorder):
    """Keeps all that the end of an epoch has to offer."""

    def __init__(self):
        super().__init__()
        self.models, self.told = [], []

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        super().on_fit_task_end(estimator, context)
        if context.task_name == "epoch":
            self.models.append(fitted_estimator)
            self.told.append((X, y, metadata))


class AfterThree(Recorder):
    """Acts at the end of the third epoch."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def on_fit_task_end(self, estimator, context):
        super().on_fit_task_end(estimator, context)
        return self.act() if self.count("end") == 3 and context.task_name == "epoch" else None


def throw(error):
    raise error


@pytest.fixture
def data():
    return make_classification(120, 6, n_informative=4, n_classes=3, flip_y=0.2, random_state=0)


def fitted(model, *data, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*data, **kwargs)


def expected_hooks(n_epochs, max_iter):
    tree = [("setup", "fit", 0, max_iter), ("begin", "fit", 0, max_iter)]
    for epoch in range(n_epochs):
        tree += [("begin", "epoch", epoch, 0), ("end", "epoch", epoch, 0)]
    return [*tree, ("end", "fit", 0, max_iter), ("teardown", "fit", 0, max_iter)]


@needs_callbacks
@pytest.mark.parametrize("variant", VARIANTS)
def test_each_epoch_is_one_task(data, variant):
    recorder = Recorder()
    model = SigmoidMLPClassifier(**SMALL | VARIANTS[variant]).set_callbacks(recorder)
    fitted(model, *data)
    assert model.n_iter_ == 5
    assert recorder.hooks == expected_hooks(5, 5)
    assert not [name for name in vars(model) if "callback" in name and name != "_skl_callbacks"]


@needs_callbacks
def test_the_hooks_are_those_of_scikit_learns_own_example(data):
    example = pytest.importorskip("sklearn.callback.tests._utils").MaxIterEstimator
    ours, theirs = Recorder(), Recorder()
    fitted(SigmoidMLPClassifier(**SMALL).set_callbacks(ours), *data)
    example(max_iter=5, computation_intensity=0).set_callbacks(theirs).fit(*data)

    def without_names(recorder):
        return [(hook, task_id, limit) for hook, _, task_id, limit in recorder.hooks]

    assert without_names(ours) == without_names(theirs)


@needs_callbacks
def test_a_fit_that_converges_has_fewer_tasks(data):
    recorder = Recorder()
    model = SigmoidMLPClassifier(
        (4,), tol=10.0, n_iter_no_change=2, max_iter=100, random_state=0
    ).set_callbacks(recorder)
    model.fit(*data)
    assert 1 < model.n_iter_ < 100
    assert recorder.hooks == expected_hooks(model.n_iter_, 100)


@needs_callbacks
def test_partial_fit_is_a_fit_of_one_epoch(data):
    recorder = Recorder()
    model = SigmoidMLPClassifier(**SMALL).set_callbacks(recorder)
    for _ in range(2):
        model.partial_fit(*data, classes=[0, 1, 2])
    assert recorder.hooks == 2 * expected_hooks(1, 1)


@needs_callbacks
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_epochs_model_is_that_of_a_fit_that_ends_there(data, variant):
    keeper = Keeper()
    parameters = SMALL | VARIANTS[variant]
    fitted(SigmoidMLPClassifier(**parameters).set_callbacks(keeper), *data)
    assert len(keeper.models) == 5
    for n_epochs, model in enumerate(keeper.models, 1):
        expected = fitted(SigmoidMLPClassifier(**parameters | {"max_iter": n_epochs}), *data)
        assert model.n_iter_ == n_epochs
        np.testing.assert_array_equal(model.predict_proba(data[0]), expected.predict_proba(data[0]))
        assert model.loss_curve_ == expected.loss_curve_
        assert model.validation_scores_ == expected.validation_scores_


@needs_callbacks
def test_an_epochs_model_is_that_of_so_many_partial_fits(data):
    keeper = Keeper()
    fitted(SigmoidMLPClassifier(shuffle=False, **SMALL).set_callbacks(keeper), *data)
    model = SigmoidMLPClassifier(shuffle=False, **SMALL)
    for kept in keeper.models:
        model.partial_fit(*data, classes=[0, 1, 2])
        np.testing.assert_array_equal(kept.predict_proba(data[0]), model.predict_proba(data[0]))


@needs_callbacks
def test_an_epochs_model_in_a_second_fit_is_not_the_first_fits(data):
    keeper = Keeper()
    model = fitted(SigmoidMLPClassifier(**SMALL), *data)
    X, Y = make_multilabel_classification(50, 3, n_classes=2, random_state=0)
    fitted(model.set_callbacks(keeper), X, Y)
    expected = fitted(SigmoidMLPClassifier(**SMALL | {"max_iter": 1}), X, Y)
    np.testing.assert_array_equal(keeper.models[0].predict(X), expected.predict(X))


@needs_callbacks
@pytest.mark.parametrize("variant", VARIANTS)
def test_being_watched_changes_no_bit(data, variant):
    parameters = SMALL | VARIANTS[variant]
    monitor = ScoringMonitor(scoring="neg_log_loss")
    watched = fitted(SigmoidMLPClassifier(**parameters).set_callbacks(monitor), *data)
    alone = fitted(SigmoidMLPClassifier(**parameters), *data)
    for ours, theirs in zip(watched.coefs_, alone.coefs_, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@needs_callbacks
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_callback_can_stop_the_fit(data, variant):
    callback = AfterThree(lambda: True)
    model = SigmoidMLPClassifier(**SMALL | VARIANTS[variant]).set_callbacks(callback)
    with warnings.catch_warnings():
        # Not the one of outputs that do not depend on X: there were but three epochs.
        warnings.filterwarnings("error", message="(?s).*(Maximum iterations|failed to converge)")
        model.fit(*data)
    assert model.n_iter_ == 3
    assert callback.hooks == expected_hooks(3, 5)
    expected = fitted(SigmoidMLPClassifier(**SMALL | VARIANTS[variant] | {"max_iter": 3}), *data)
    np.testing.assert_array_equal(model.predict_proba(data[0]), expected.predict_proba(data[0]))


@needs_callbacks
def test_an_error_of_a_callback_leaves_the_model_alone_and_tears_it_down(data):
    model = fitted(SigmoidMLPClassifier(**SMALL), *data)
    callback = AfterThree(lambda: throw(RuntimeError("enough")))
    model.set_callbacks(callback)
    before = dict(vars(model))
    with pytest.raises(RuntimeError, match="enough"):
        model.fit(*data)
    assert vars(model) == before
    assert callback.hooks[-1][0] == "teardown"


@needs_callbacks
def test_ctrl_c_in_a_callback_ends_the_fit_after_that_epoch(data):
    callback = AfterThree(lambda: throw(KeyboardInterrupt))
    model = SigmoidMLPClassifier(**SMALL).set_callbacks(callback)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(*data)
    assert model.n_iter_ == 3
    assert callback.hooks == expected_hooks(3, 5)


@needs_callbacks
def test_an_interrupted_epoch_ends_and_has_nothing_to_show(data):
    class Interrupter(Keeper):
        def on_fit_task_begin(self, estimator, context):
            super().on_fit_task_begin(estimator, context)
            if self.count("begin") == 3:
                raise KeyboardInterrupt

    keeper = Interrupter()
    model = SigmoidMLPClassifier(**SMALL).set_callbacks(keeper)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(*data)
    assert model.n_iter_ == 2
    assert keeper.hooks == expected_hooks(3, 5)
    assert keeper.models[1] is not None
    assert keeper.models[2] is None


@needs_callbacks
def test_nothing_is_computed_that_no_callback_asks_for(data):
    for callbacks in ([], [Recorder()]):
        tasks = EpochTasks(SigmoidMLPClassifier().set_callbacks(*callbacks), *data, None, 5)
        tasks.epoch_begins()
        assert tasks.epoch_ends(lambda: throw(AssertionError("computed"))) is False


@needs_callbacks
def test_without_callbacks_there_is_no_context(data, monkeypatch):
    monkeypatch.delattr("sklearn.callback.CallbackContext._from_estimator")
    with pytest.raises(AttributeError):
        SigmoidMLPClassifier(**SMALL).set_callbacks(Recorder()).fit(*data)
    fitted(SigmoidMLPClassifier(**SMALL), *data)


@needs_callbacks
def test_callbacks_are_told_of_the_samples_trained_on(data):
    X, y = data
    weight = np.linspace(0.5, 2.0, len(y))
    keeper = Keeper()
    fitted(SigmoidMLPClassifier(**SMALL).set_callbacks(keeper), X, y)
    fitted(SigmoidMLPClassifier(**SMALL).set_callbacks(keeper), X, y, sample_weight=weight)
    fitted(SigmoidMLPClassifier(early_stopping=True, **SMALL).set_callbacks(keeper), X, y, weight)
    for told_X, told_y, metadata in (keeper.told[0], keeper.told[5]):
        np.testing.assert_array_equal(told_X, X)
        np.testing.assert_array_equal(told_y, y)
        assert metadata is None or metadata["sample_weight"] is weight
    assert [told[2] is None for told in keeper.told[::5]] == [True, False, False]
    told_X, told_y, metadata = keeper.told[10]
    assert len(told_X) == len(told_y) == len(metadata["sample_weight"]) == 108
    places = np.searchsorted(weight, metadata["sample_weight"])
    np.testing.assert_array_equal(told_X, X[places])
    np.testing.assert_array_equal(told_y, y[places])


@needs_callbacks
def test_scores_of_a_data_frame_with_sample_weights(data):
    X, y = pd.DataFrame(data[0]).add_prefix("x"), data[1]
    weight = np.random.default_rng(0).uniform(size=len(y))
    monitor = ScoringMonitor(scoring="accuracy")
    model = SigmoidMLPClassifier(**SMALL | {"learning_rate_init": 0.1}).set_callbacks(monitor)
    fitted(model, X, y, sample_weight=weight)
    # A log begins with the outermost task: the fit's own score, then its epochs'.
    score, *scores = [row["accuracy"] for row in monitor.get_logs().data]
    expected = accuracy_score(y, model.predict(X), sample_weight=weight)
    assert score == scores[-1] == expected
    assert len(scores) == 5
    assert len(set(scores)) > 1


@needs_callbacks
@one_process_and_two
def test_scores_in_a_pipeline_in_a_grid_search(data, n_jobs):
    monitor = ScoringMonitor(scoring="accuracy")
    model = SigmoidMLPClassifier(**SMALL, n_jobs=1).set_callbacks(monitor)
    grid = {"sigmoidmlpclassifier__alpha": [0.0, 0.1]}
    search = GridSearchCV(make_pipeline(StandardScaler(), model), grid, cv=2, n_jobs=n_jobs)
    search.fit(*data)
    logs = [row for log in monitor.get_logs(select="all") for row in log.data]
    assert sum(row["task_name"] == "epoch" for row in logs) == (2 * 2 + 1) * 5
    # The outermost task that has a score is the fit of the best candidate on all data.
    assert logs[0]["accuracy"] == search.score(*data)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(search)).predict(data[0]), search.predict(data[0])
    )


@needs_callbacks
@one_process_and_two
def test_a_progress_bar_on_a_grid_search(data, n_jobs, capsys):
    pytest.importorskip("rich", reason="scikit-learn's ProgressBar needs rich")
    pipeline = make_pipeline(StandardScaler(), SigmoidMLPClassifier(**SMALL, n_jobs=1))
    search = GridSearchCV(pipeline, {"sigmoidmlpclassifier__alpha": [0.0, 0.1]}, cv=2)
    search.set_params(n_jobs=n_jobs).set_callbacks(ProgressBar(max_propagation_depth=None))
    search.fit(*data)
    bars = [line for line in capsys.readouterr().out.splitlines() if "SigmoidMLP" in line]
    assert len(bars) == 2 * 2 + 1
    assert all("100%" in bar for bar in bars)


@needs_callbacks
def test_a_clone_and_a_pickle_have_the_callbacks(data):
    monitor = ScoringMonitor(scoring="accuracy")
    model = SigmoidMLPClassifier(**SMALL).set_callbacks(monitor)
    fitted(clone(model), *data)
    assert len(monitor.get_logs().data) == 6
    copied = pickle.loads(pickle.dumps(fitted(model, *data)))
    np.testing.assert_array_equal(copied.predict_proba(data[0]), model.predict_proba(data[0]))
    fitted(copied, *data)
    assert len(copied._skl_callbacks[0].get_logs(select="all")) == 3
    assert len(monitor.get_logs(select="all")) == 2


WITHOUT = """
import sys, warnings
import numpy as np
import sklearn.neural_network, sklearn.pipeline
public = {name for name in dir(sklearn.neural_network.MLPClassifier) if name[0] != "_"}
# scikit-learn 1.9 itself does need it, and has it by now.
sys.modules["sklearn.callback"] = None
from fastnet import SigmoidMLPClassifier
from fastnet._sklearn import CallbackSupportMixin
assert [name for name in vars(CallbackSupportMixin) if name[0] != "_"] == []
assert not hasattr(SigmoidMLPClassifier, "set_callbacks")
warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
X, y = np.arange(8.0)[:, None], np.arange(8) % 2
model = SigmoidMLPClassifier((2,), max_iter=3, random_state=0).fit(X, y)
assert model.n_iter_ == 3 and len(model.predict(X)) == 8
print("works")
"""


@pytest.mark.processes
def test_it_works_without_callbacks_in_scikit_learn():
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "works\n"
