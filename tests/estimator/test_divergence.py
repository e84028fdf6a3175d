"""Training that leaves the finite numbers: what is kept, and what is said."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, shuffle

from fastnet import SigmoidMLPClassifier

ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DESCENT = {"hidden_layer_sizes": (), "fit_intercept": False, "solver": "sgd", "alpha": 0.0}


@dataclass
class Collapse:
    """One weight in single precision, which goes down until one sample is misjudged.

    Ordinary samples have the label 0, and each takes the weight down. The one of label 1 has
    a feature so large that it has no share in it until the weight is negative. Then its
    logit is beyond all bounds, or the step that it asks for.
    """

    ordinary: float
    large: float
    learning_rate: float
    weight: float
    place: int  # of the large one among the samples
    label: int = 0  # of the samples after it

    def samples(self, batch_size: int) -> tuple[Any, Any]:
        """Return features and labels; samples of a batch are alike."""
        X = np.full(7, self.ordinary, np.float32)
        X[self.place] = self.large
        y = np.zeros(7, int)
        y[self.place + 1 :] = self.label
        y[self.place] = 1
        return np.repeat(X, batch_size).reshape(-1, 1), np.repeat(y, batch_size)

    def parameters(self, batch_size: int) -> dict[str, Any]:
        return {"batch_size": batch_size, "learning_rate_init": self.learning_rate, **DESCENT}


ONLY_THE_LOSS = Collapse(1e10, 1e30, 1.0, 9.5e10, place=3)
THE_LAST_STEP = Collapse(1e-15, 1e25, 1e15, 10.0, place=3)
THE_STEP_OF_AN_EPOCH = Collapse(1e-15, 1e25, 1e15, 7.0, place=6)
# The infinite weight is right about the sample that follows, and its loss is 0.
A_STEP_BEFORE = Collapse(1e-15, 1e25, 1e15, 9.0, place=5, label=1)


def by_hand(
    x: Any, y: Any, rate: float, momentum: float, w: Any, orders: Any
) -> tuple[int, int, np.float32, bool]:
    """Descend sample by sample until a number is not finite.

    Returns the epochs before, the samples of that epoch before, the weight then, and
    whether it is the loss of the next sample that is not finite, not the step.
    """
    w, v = np.float32(w), np.float32(0)
    for epoch, order in enumerate(orders):
        for done, row in enumerate(order):
            z = w * x[row]
            if not np.isfinite(np.logaddexp(0, z if y[row] == 0 else -z)):
                return epoch, done, w, True
            v = np.float32(momentum * v - rate * np.float32(expit(z) - y[row]) * x[row])
            if not np.isfinite(w + v):
                return epoch, done, w, False
            w += v
    raise AssertionError("it never diverged")


def diverging(model: SigmoidMLPClassifier, *samples: Any, **initial: Any) -> str:
    """Fit, and return what is said of the divergence."""
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(*samples, **initial)
    assert len(caught) == 1
    return str(caught[0].message)


@ignore_convergence
@pytest.mark.parametrize("batch_size", [1, 2, 16])
@pytest.mark.parametrize(
    ("collapse", "momentum", "is_loss"),
    [
        pytest.param(ONLY_THE_LOSS, 0.0, True, id="loss"),
        pytest.param(ONLY_THE_LOSS, 0.5, True, id="loss, momentum"),
        pytest.param(THE_LAST_STEP, 0.5, False, id="last step"),
        pytest.param(THE_STEP_OF_AN_EPOCH, 0.5, False, id="step of an epoch"),
        pytest.param(A_STEP_BEFORE, 0.5, False, id="a step before"),
    ],
)
@np.errstate(over="ignore", invalid="ignore")
def test_the_last_finite_weights_are_kept(collapse, momentum, is_loss, batch_size):
    """They are those of a descent by hand, and the bits of training that ends before."""
    X, y = collapse.samples(batch_size)
    parameters = collapse.parameters(batch_size) | {"momentum": momentum, "shuffle": False}
    parameters["nesterovs_momentum"] = False
    model = SigmoidMLPClassifier(**parameters)
    message = diverging(model, X, y, coefs_init=[[[collapse.weight]]])
    n_epochs, n_done, expected, by_loss = by_hand(
        *(part.ravel()[::batch_size] for part in (X, y)),
        *(collapse.learning_rate, momentum, collapse.weight, [range(7)] * 20),
    )
    assert by_loss == is_loss
    assert n_epochs >= 1
    assert message.startswith(f"Training diverged in epoch {n_epochs + 1}; the model keeps")
    assert_allclose(model.coefs_[0].item(), expected, rtol=1e-5)
    # All else is as it was at the last complete epoch.
    assert (model.n_iter_, model.t_) == (n_epochs, n_epochs * len(X))
    assert len(model.loss_curve_) == n_epochs
    again = SigmoidMLPClassifier(max_iter=n_epochs, **parameters).fit(
        X, y, coefs_init=[[[collapse.weight]]]
    )
    n_rows = n_done * batch_size
    if n_rows:
        again.partial_fit(X[:n_rows], y[:n_rows])
    assert again.coefs_[0] == model.coefs_[0]
    with pytest.raises(ValueError, match="non-finite"):
        again.partial_fit(X[n_rows:][: 2 * batch_size], y[n_rows:][: 2 * batch_size])


@np.errstate(over="ignore", invalid="ignore")
@pytest.mark.parametrize("collapse", [ONLY_THE_LOSS, THE_LAST_STEP], ids=["loss", "step"])
@pytest.mark.parametrize("seed", range(4))
def test_the_last_finite_weights_of_shuffled_samples(collapse, seed):
    X, y = collapse.samples(1)
    momentum = 0.0 if collapse is ONLY_THE_LOSS else 0.5
    parameters = collapse.parameters(1) | {"momentum": momentum, "random_state": seed}
    parameters["nesterovs_momentum"] = False
    model = SigmoidMLPClassifier(**parameters)
    message = diverging(model, X, y, coefs_init=[[[collapse.weight]]])
    rng, order, orders = check_random_state(seed), np.arange(7), []
    rng.uniform()  # of the initial weight, which is not used
    for _ in range(20):
        order = shuffle(order, random_state=rng)
        orders.append(order)
    n_epochs, _, expected, _ = by_hand(
        X.ravel(), y, collapse.learning_rate, momentum, collapse.weight, orders
    )
    assert f"epoch {n_epochs + 1};" in message
    assert_allclose(model.coefs_[0].item(), expected, rtol=1e-5)


@ignore_convergence
def test_early_stopping_goes_back_to_its_best_epoch():
    X, y = ONLY_THE_LOSS.samples(1)
    # The larger the weight, the better.
    held_out = {"X_val": np.float32([[1e-10]]), "y_val": [1]}
    start = {"coefs_init": [[[ONLY_THE_LOSS.weight]]]}
    parameters = ONLY_THE_LOSS.parameters(1) | {"shuffle": False, "momentum": 0.0}
    model = SigmoidMLPClassifier(early_stopping=True, scoring="loss", **parameters)
    message = "diverged in epoch 3; the model keeps the weights with the best validation score"
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        model.fit(X, y, **held_out, **start)
    assert caught[0].filename == __file__
    assert model.n_iter_ == 2
    assert model.validation_loss_curve_[0] < model.validation_loss_curve_[1]
    assert model.best_validation_score_ == -model.validation_loss_curve_[0]
    best = SigmoidMLPClassifier(max_iter=1, **parameters).fit(X, y, **start)
    assert_array_equal(model.coefs_[0], best.coefs_[0])


def state(model: Any) -> dict[str, Any]:
    """Return all attributes, in copies."""
    weights = [w.copy() for w in getattr(model, "coefs_", [])]
    return {**vars(model), "copies": [list(getattr(model, "loss_curve_", [])), *weights]}


def assert_unchanged(model: Any, before: dict[str, Any]) -> None:
    after = state(model)
    for a, b in zip(after.pop("copies"), before.pop("copies"), strict=True):
        assert_array_equal(a, b)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in after)


@ignore_convergence
@pytest.mark.parametrize("solver", ["sgd", "adam", "rprop", "lbfgs"])
@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_error_in_the_first_epoch_names_causes_and_changes_nothing(solver, fitted, method):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 8)), np.arange(50) % 2
    model = SigmoidMLPClassifier((), solver=solver, init="normal", max_iter=2, random_state=0)
    if not hasattr(model, method):
        pytest.skip("L-BFGS has no partial_fit")
    if fitted:
        model.fit(X, y)
    # Of two labels, so that one of them is judged as badly as can be.
    X[7:9] = -1.75e308
    model.set_params(learning_rate_init=0.0625)
    before = state(model)
    known = {"classes": [0, 1]} if method == "partial_fit" else {}
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights") as error:
        getattr(model, method)(X, y, **known)
    assert_unchanged(model, before)
    said = str(error.value)
    assert "The largest absolute value in X is 1.75e+308" in said
    assert "standardise the features" in said
    # L-BFGS has no learning rate, and only descent has gradients to clip.
    for what in ("the learning rate 0.0625", "lower learning_rate_init"):
        assert (what in said) == (solver != "lbfgs")
    assert ("max_grad_norm" in said) == (solver in ("sgd", "adam"))


@ignore_convergence
@pytest.mark.parametrize("batch_size", [1, 5, 25])
def test_a_limit_to_gradients_prevents_it(batch_size):
    rng = np.random.default_rng(0)
    X, y = (1e12 * rng.normal(size=(50, 3))).astype(np.float32), np.arange(50) % 2
    model = SigmoidMLPClassifier(
        (), solver="sgd", batch_size=batch_size, learning_rate_init=1e16, random_state=0
    )
    with pytest.raises(ValueError, match="set max_grad_norm"):
        model.fit(X, y)
    model.set_params(max_grad_norm=1.0, max_iter=5).fit(X, y)
    assert model.n_iter_ == 5
    assert np.isfinite(model.loss_curve_).all()
    assert 1e14 < np.abs(model.coefs_[0]).max() < 1e18


@pytest.mark.parametrize("limit", [1e-3, 0.1, 10.0])
def test_a_step_is_no_longer_than_the_limit(limit):
    X, y = load_iris(return_X_y=True)
    parameters = {"solver": "sgd", "momentum": 0.0, "batch_size": 150, "learning_rate_init": 0.5}
    model = SigmoidMLPClassifier((4,), alpha=0.1, max_grad_norm=limit, **parameters)
    model.partial_fit(X, y, classes=[0, 1, 2])
    _, *gradients = model.loss_gradients(X, y, alpha=0.1)
    before = [w.copy() for w in model.coefs_ + model.intercepts_]
    model.partial_fit(X, y)
    gradients = gradients[0] + gradients[1]
    norm = np.sqrt(sum(np.square(g).sum() for g in gradients))
    assert 0.1 < norm < 10.0
    after = model.coefs_ + model.intercepts_
    for old, new, gradient in zip(before, after, gradients, strict=True):
        assert_allclose(old - new, 0.5 * gradient * min(1.0, limit / norm), rtol=1e-6, atol=1e-12)


@ignore_convergence
@pytest.mark.parametrize("solver", ["lbfgs", "rprop"])
def test_only_descent_clips_its_gradients(solver):
    """L-BFGS takes a short gradient for that of a minimum; of Rprop's, 1e-30 leaves zeros."""
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    parameters = {"solver": solver, "max_iter": 9, "random_state": 0, "alpha": 0.0}
    fits = [
        SigmoidMLPClassifier((4,), max_grad_norm=limit, **parameters).fit(X, X[:, 0] > 0)
        for limit in (None, 1e-30, 1e-45)
    ]
    assert fits[0].n_iter_ == 9
    for model in fits[1:]:
        assert_array_equal(model.coefs_[0], fits[0].coefs_[0])
