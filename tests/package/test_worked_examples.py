"""The worked numbers of the articles that fastnet grew from, next to what fastnet says.

Each test first says what an article computes, then computes it again with nothing but the
formula, then asks fastnet. The articles round on the way; exact values stand beside theirs.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import approx_fprime, check_grad
from scipy.special import expit

from fastnet import SigmoidMLPClassifier, kernels

from .. import reference
from ..reference import Array

# These tests ask for a number of epochs and get it; none of them waits for convergence.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Gradient descent as the articles do it: sample by sample in the order given, no extras.
PER_SAMPLE: dict[str, Any] = {
    "solver": "sgd",
    "momentum": 0.0,
    "alpha": 0.0,
    "batch_size": 1,
    "shuffle": False,
}

# Alice, Bob, Charlie, Diana: weight - 135 lb, height - 66 in; 1 is female.
PEOPLE = np.array([[-2.0, -1.0], [25.0, 6.0], [17.0, 4.0], [-15.0, -6.0]])
IS_FEMALE = np.array([1, 0, 0, 1])
ALICE = PEOPLE[:1]

RTOL = 1e-12  # the same formula, in float64, in another order
RTOL_TRAINED = 1e-9  # after thousands of steps
FINITE_DIFFERENCE = {"rtol": 1e-6, "atol": 1e-7}  # of forward differences in float64


def sigmoid(z: float) -> float:
    """Return f(z) as every article defines it."""
    return 1 / (1 + math.exp(-z))


def sigmoid_slope(z: float) -> float:
    """Return f'(z) = f(z) (1 - f(z))."""
    return sigmoid(z) * (1 - sigmoid(z))


def holding(
    coefs: Sequence[Any], intercepts: Sequence[Any], **parameters: Any
) -> SigmoidMLPClassifier:
    """Return an estimator of the classes 0 and 1 that holds exactly these weights.

    Only fitting tells an estimator its classes, and fitting trains for an epoch at the
    least; so the weights are put back afterwards.
    """
    coefs = [np.array(coef, float) for coef in coefs]
    intercepts = [np.array(intercept, float) for intercept in intercepts]
    hidden = [coef.shape[1] for coef in coefs[:-1]]
    model = SigmoidMLPClassifier(hidden, max_iter=1, **(PER_SAMPLE | parameters))
    any_rows = np.zeros((2, len(coefs[0])))
    model.fit(any_rows, [0, 1], coefs_init=coefs, intercepts_init=intercepts)
    model.coefs_, model.intercepts_ = coefs, intercepts
    return model


def feedforward(coefs: Sequence[Array], intercepts: Sequence[Array], X: Any) -> list[Array]:
    """Return the outputs of every layer, from the input on."""
    layers = [np.asarray(X, float)]
    for weight, bias in zip(coefs, intercepts, strict=True):
        layers.append(expit(layers[-1] @ weight + bias))
    return layers


def finite_differences(
    loss: Callable[[list[Array], list[Array]], float], model: SigmoidMLPClassifier
) -> tuple[list[Array], list[Array]]:
    """Return the derivatives of ``loss(coefs, intercepts)`` by every weight and bias."""
    arrays = [*model.coefs_, *model.intercepts_]
    ends = np.cumsum([array.size for array in arrays])[:-1]
    n_layers = len(model.coefs_)

    def unflatten(vector: Array) -> tuple[list[Array], list[Array]]:
        parts = np.split(vector, ends)
        parts = [part.reshape(a.shape) for part, a in zip(parts, arrays, strict=True)]
        return parts[:n_layers], parts[n_layers:]

    at = np.concatenate([array.ravel() for array in arrays])
    return unflatten(approx_fprime(at, lambda vector: loss(*unflatten(vector))))


def assert_all_close(actual: Sequence[Array], desired: Sequence[Array], **tolerance: float) -> None:
    """Assert that two lists of arrays, one per layer, are equal to a tolerance.

    `rtol` is also of the largest element of an array: where a unit is saturated, 1 - a has
    few digits left.
    """
    for a, d in zip(actual, desired, strict=True):
        atol = tolerance["rtol"] * float(np.max(np.abs(d)))
        assert_allclose(a, d, **({"atol": atol} | tolerance))


# One neuron, then three.


def test_one_neuron():
    """A neuron with w = [0, 1] and b = 4 is given x = [2, 3]: f(0*2 + 1*3 + 4) = f(7) = 0.999."""
    exact = sigmoid(7)
    assert exact == pytest.approx(0.9990889488055994, rel=RTOL)
    assert exact == pytest.approx(0.999, abs=0.0005)

    neuron = holding([[[0], [1]]], [[4]])
    x = [[2.0, 3.0]]
    assert neuron.decision_function(x) == 7
    assert neuron.activations(x)[-1].item() == pytest.approx(exact, rel=RTOL)
    assert_allclose(neuron.predict_proba(x), [[1 - exact, exact]], rtol=RTOL)


def test_feedforward_through_two_layers():
    """Every neuron of a 2-2-1 network has w = [0, 1] and b = 0, and x = [2, 3].

    h1 = h2 = f(3) = 0.9526, and o1 = f(0.9526) = 0.7216.
    """
    h = sigmoid(0 * 2 + 1 * 3 + 0)
    o = sigmoid(0 * h + 1 * h + 0)
    assert h == pytest.approx(0.9525741268224334, rel=RTOL)
    assert o == pytest.approx(0.7216325609518421, rel=RTOL)
    assert (round(h, 4), round(o, 4)) == (0.9526, 0.7216)

    # One column per neuron, so that column j is the w of neuron j.
    network = holding([[[0, 0], [1, 1]], [[0], [1]]], [[0, 0], [0]])
    given, hidden, output = network.activations([[2.0, 3.0]])
    assert_allclose(given, [[2, 3]], rtol=0)
    assert_allclose(hidden, [[h, h]], rtol=RTOL)
    assert_allclose(output, [[o]], rtol=RTOL)


# The four people.


def test_mean_squared_error_of_a_network_that_always_answers_0():
    """A network that takes all four people for men: MSE = (1 + 0 + 0 + 1) / 4 = 0.5."""
    # A bias this low leaves nothing of the output's sigmoid in float64.
    network = holding([np.zeros((2, 2)), np.zeros((2, 1))], [[0, 0], [-1000]], loss="squared_error")
    assert_allclose(network.activations(PEOPLE)[-1], np.zeros((4, 1)), rtol=0)
    assert_allclose(network.predict(PEOPLE), [0, 0, 0, 0], rtol=0)
    loss, _, _ = network.loss_gradients(PEOPLE, IS_FEMALE)
    assert loss == 0.5


def test_partial_derivatives_for_alice():
    """All weights 1, all biases 0, only Alice: x = (-2, -1), y = 1, L = (1 - y_pred)^2.

    The article: h1 = h2 = 0.0474, y_pred = 0.524, and by the chain rule
    dL/dw1 = dL/dy * dy/dh1 * dh1/dw1 = -0.952 * 0.249 * -0.0904 = 0.0214.
    For b1 it gives the last factor only, 0.047 * (1 - 0.047) = 0.044791, from a rounded h1.
    """
    x1, x2 = -2, -1
    h = sigmoid(x1 + x2)
    y = sigmoid(h + h)
    dl_dy = -2 * (1 - y)
    dy_dh1 = sigmoid_slope(h + h)  # times w5 = 1
    dh1_dw1 = x1 * sigmoid_slope(x1 + x2)
    dh1_db1 = 1 * sigmoid_slope(x1 + x2)
    dl_dw1 = dl_dy * dy_dh1 * dh1_dw1
    dl_db1 = dl_dy * dy_dh1 * dh1_db1

    # Exact to the left, the article's to the right, and how far its rounding has led.
    assert h == pytest.approx(0.04742587317756678, rel=RTOL)  # 0.0474
    assert y == pytest.approx(0.5236951740839997, rel=RTOL)  # 0.524
    assert dl_dy == pytest.approx(-0.9526096518320006, rel=RTOL)  # -0.952, with y as 0.524
    assert dy_dh1 == pytest.approx(0.24943853872512894, rel=RTOL)  # 0.249
    assert dh1_dw1 == pytest.approx(-0.09035331946182427, rel=RTOL)  # -0.0904
    assert dl_dw1 == pytest.approx(0.021469535265811107, rel=RTOL)  # 0.0214
    assert dh1_db1 == pytest.approx(0.04517665973091214, rel=RTOL)  # 0.044791, with h as 0.047
    assert dl_db1 == pytest.approx(-0.010734767632905554, rel=RTOL)
    assert round(-0.952 * 0.249 * -0.0904, 4) == 0.0214
    rounded_dh1_db1 = 0.047 * (1 - 0.047)
    assert rounded_dh1_db1 == pytest.approx(0.044791, rel=RTOL)

    network = holding([np.ones((2, 2)), np.ones((2, 1))], [[0, 0], [0]], loss="squared_error")
    _, hidden, output = network.activations(ALICE)
    assert_allclose(hidden, [[h, h]], rtol=RTOL)
    assert_allclose(output, [[y]], rtol=RTOL)

    loss, (of_hidden, of_output), (of_b1_b2, of_b3) = network.loss_gradients(ALICE, [1])
    assert loss == pytest.approx((1 - y) ** 2, rel=RTOL)
    # "Similarly" for the other weights: w1 and w3 multiply x1, w2 and w4 multiply x2.
    dl_dw2 = dl_dy * dy_dh1 * x2 * sigmoid_slope(x1 + x2)
    assert_allclose(of_hidden, [[dl_dw1, dl_dw1], [dl_dw2, dl_dw2]], rtol=RTOL)
    assert_allclose(of_b1_b2, [dl_db1, dl_db1], rtol=RTOL)
    dl_dw5 = dl_dy * h * sigmoid_slope(h + h)
    assert_allclose(of_output, [[dl_dw5], [dl_dw5]], rtol=RTOL)
    assert_allclose(of_b3, [dl_dy * sigmoid_slope(h + h)], rtol=RTOL)


def test_a_step_of_descent_for_alice():
    """The derivative of w1 is positive, so a step makes w1 smaller: w1 - 0.1 * 0.0214."""
    network = holding(
        [np.ones((2, 2)), np.ones((2, 1))],
        [[0, 0], [0]],
        loss="squared_error",
        learning_rate_init=0.1,
    )
    before, (of_hidden, _), _ = network.loss_gradients(ALICE, [1])
    network.partial_fit(ALICE, [1])
    assert network.coefs_[0][0, 0] == pytest.approx(1 - 0.1 * 0.021469535265811107, rel=RTOL)
    assert_allclose(network.coefs_[0], 1 - 0.1 * of_hidden, rtol=RTOL)
    after, _, _ = network.loss_gradients(ALICE, [1])
    assert after < before


def train_written_out(
    weights: Sequence[float], biases: Sequence[float], rate: float, epochs: int
) -> tuple[list[float], list[float]]:
    """Train the article's nine numbers w1..w6, b1..b3 on the four people, one by one."""
    w1, w2, w3, w4, w5, w6 = weights
    b1, b2, b3 = biases
    for _ in range(epochs):
        for (x1, x2), y_true in zip(PEOPLE.tolist(), IS_FEMALE.tolist(), strict=True):
            h1 = sigmoid(w1 * x1 + w2 * x2 + b1)
            h2 = sigmoid(w3 * x1 + w4 * x2 + b2)
            y_pred = sigmoid(w5 * h1 + w6 * h2 + b3)
            dl_db3 = -2 * (y_true - y_pred) * y_pred * (1 - y_pred)
            dl_db1 = dl_db3 * w5 * h1 * (1 - h1)
            dl_db2 = dl_db3 * w6 * h2 * (1 - h2)
            w1 -= rate * dl_db1 * x1
            w2 -= rate * dl_db1 * x2
            b1 -= rate * dl_db1
            w3 -= rate * dl_db2 * x1
            w4 -= rate * dl_db2 * x2
            b2 -= rate * dl_db2
            w5 -= rate * dl_db3 * h1
            w6 -= rate * dl_db3 * h2
            b3 -= rate * dl_db3
    return [w1, w2, w3, w4, w5, w6], [b1, b2, b3]


def test_training_step_by_step_is_the_written_out_training():
    """1,000 epochs of descent per sample give the nine numbers of the article's formulas."""
    rng = np.random.default_rng(0)
    w, b = rng.standard_normal(6).tolist(), rng.standard_normal(3).tolist()
    network = SigmoidMLPClassifier(
        (2,),
        loss="squared_error",
        learning_rate_init=0.1,
        max_iter=1000,
        tol=0,
        n_iter_no_change=np.inf,
        **PER_SAMPLE,
    )
    network.fit(
        PEOPLE,
        IS_FEMALE,
        coefs_init=[[[w[0], w[2]], [w[1], w[3]]], [[w[4]], [w[5]]]],
        intercepts_init=[b[:2], b[2:]],
    )
    w, b = train_written_out(w, b, rate=0.1, epochs=1000)
    assert network.n_iter_ == 1000
    assert_allclose(network.coefs_[0], [[w[0], w[2]], [w[1], w[3]]], rtol=RTOL_TRAINED)
    assert_allclose(network.coefs_[1], [[w[4]], [w[5]]], rtol=RTOL_TRAINED)
    assert_allclose(np.concatenate(network.intercepts_), b, rtol=RTOL_TRAINED)


@pytest.mark.parametrize("random_state", range(5))
def test_training_on_the_four_people(random_state):
    """Per sample, learning rate 0.1, 1,000 epochs: the loss falls below 0.01, all are right."""
    network = SigmoidMLPClassifier(
        (2,),
        loss="squared_error",
        init="normal",
        learning_rate_init=0.1,
        max_iter=1000,
        tol=0,
        n_iter_no_change=np.inf,
        random_state=random_state,
        **PER_SAMPLE,
    )
    network.fit(PEOPLE, IS_FEMALE)
    loss, _, _ = network.loss_gradients(PEOPLE, IS_FEMALE)
    assert len(network.loss_curve_) == 1000
    assert loss < 0.01 < network.loss_curve_[0]
    assert network.loss_ < 0.01
    assert_allclose(network.predict(PEOPLE), IS_FEMALE, rtol=0)


# The students: class assignments, written tests and oral tests; did they pass the exam?


@pytest.mark.parametrize("passed", [1, 0])
def test_update_of_the_students_eight_weights(passed):
    """A 3-2-1 network without biases, binary cross-entropy: W' = W - a dE/dW, eight times.

    At the output layer, whose input is H, that is w'_i = w_i - a (y_hat - y) h_i.
    """
    x1, x2, x3 = 0.8, 0.45, 0.6
    # Longhand: the first index is the neuron that a weight comes from, the second the one
    # that it goes to.
    w11, w21, w31 = 0.3, -0.2, 0.5
    w12, w22, w32 = -0.6, 0.1, 0.4
    v1, v2 = 0.7, -0.9
    rate = 0.5

    h1 = sigmoid(w11 * x1 + w21 * x2 + w31 * x3)
    h2 = sigmoid(w12 * x1 + w22 * x2 + w32 * x3)
    y_hat = sigmoid(v1 * h1 + v2 * h2)
    error = -(passed * math.log(y_hat) + (1 - passed) * math.log(1 - y_hat))
    delta = y_hat - passed
    delta_1 = delta * v1 * h1 * (1 - h1)
    delta_2 = delta * v2 * h2 * (1 - h2)

    network = holding(
        [[[w11, w12], [w21, w22], [w31, w32]], [[v1], [v2]]],
        [[0, 0], [0]],
        fit_intercept=False,
        learning_rate_init=rate,
    )
    student = [[x1, x2, x3]]
    assert network.activations(student)[-1].item() == pytest.approx(y_hat, rel=RTOL)
    loss, (of_hidden, of_output), _ = network.loss_gradients(student, [passed])
    assert loss == pytest.approx(error, rel=RTOL)
    dE_dW = [
        [delta_1 * x1, delta_2 * x1],
        [delta_1 * x2, delta_2 * x2],
        [delta_1 * x3, delta_2 * x3],
    ]
    assert_allclose(of_hidden, dE_dW, rtol=RTOL)
    assert_allclose(of_output, [[delta * h1], [delta * h2]], rtol=RTOL)

    def cross_entropy(coefs: list[Array], intercepts: list[Array]) -> float:
        p = feedforward(coefs, intercepts, student)[-1].item()
        return -math.log(p if passed else 1 - p)

    in_steps, _ = finite_differences(cross_entropy, network)
    assert_all_close([of_hidden, of_output], in_steps, **FINITE_DIFFERENCE)

    before = network.coefs_[0]
    network.partial_fit(student, [passed])
    assert_allclose(network.coefs_[0], before - rate * np.array(dE_dW), rtol=RTOL)
    assert_allclose(
        network.coefs_[1],
        [[v1 - rate * (y_hat - passed) * h1], [v2 - rate * (y_hat - passed) * h2]],
        rtol=RTOL,
    )
    assert_all_close(network.intercepts_, [[0, 0], [0]], rtol=0)
    # A passing student pulls the answer up, a failing one down.
    after = network.activations(student)[-1].item()
    assert after > y_hat if passed else after < y_hat


def test_cross_entropy_is_the_mean_over_the_students():
    """E(W) = -1/m sum over students of y ln(y_hat) + (1 - y) ln(1 - y_hat)."""
    rng = np.random.default_rng(1)
    grades, passed = rng.random((6, 3)), np.array([1, 0, 1, 1, 0, 0])
    coefs = [rng.standard_normal((3, 2)), rng.standard_normal((2, 1))]
    network = holding(coefs, [[0, 0], [0]], fit_intercept=False)
    y_hat = network.activations(grades)[-1].ravel()
    terms = passed * np.log(y_hat) + (1 - passed) * np.log(1 - y_hat)
    loss, _, _ = network.loss_gradients(grades, passed)
    assert loss == pytest.approx(-terms.sum() / 6, rel=RTOL)


# Even or odd: 1-4-3-1, squared error, learning rate 1, samples 2 -> 1 and 3 -> 0 in turn.

IS_EVEN = [(2.0, 1), (3.0, 0)]


def halves() -> tuple[list[Array], list[Array]]:
    """Return the article's "original initialization of 0.5"."""
    shapes = [(1, 4), (4, 3), (3, 1)]
    return [np.full(shape, 0.5) for shape in shapes], [np.full(n, 0.5) for _, n in shapes]


def drawn() -> tuple[list[Array], list[Array]]:
    """Return weights that differ, so that no mixed-up index goes unnoticed."""
    rng = np.random.default_rng(2)
    shapes = [(1, 4), (4, 3), (3, 1)]
    return (
        [rng.standard_normal(shape) for shape in shapes],
        [rng.standard_normal(n) for _, n in shapes],
    )


@pytest.mark.parametrize("initial_weights", [halves, drawn])
def test_deltas_and_updates_of_every_layer(initial_weights):
    """The article's dZ3, dZ2, dZ1, then dW = dZ A_previous, db = dZ, and W - 1.0 dW, four times.

    Its figures of weights are lost; its procedure is here. fastnet's W has one column per
    neuron where the article's has one row.
    """
    coefs, intercepts = initial_weights()
    network = holding(coefs, intercepts, loss="squared_error", learning_rate_init=1.0)
    for x, y in IS_EVEN * 2:
        w1, w2, w3 = network.coefs_
        b1, b2, b3 = network.intercepts_
        a0 = np.array([[x]])
        a1 = expit(a0 @ w1 + b1)
        a2 = expit(a1 @ w2 + b2)
        a3 = expit(a2 @ w3 + b3)
        dz3 = 2 * (a3 - y) * a3 * (1 - a3)
        dz2 = dz3 @ w3.T * a2 * (1 - a2)
        dz1 = dz2 @ w2.T * a1 * (1 - a1)

        assert_all_close(network.activations(a0), [a0, a1, a2, a3], rtol=RTOL)
        loss, dw, db = network.loss_gradients(a0, [y])
        assert loss == pytest.approx((y - a3.item()) ** 2, rel=RTOL)
        assert_all_close(db, [dz1[0], dz2[0], dz3[0]], rtol=RTOL)
        assert_all_close(dw, [a0.T @ dz1, a1.T @ dz2, a2.T @ dz3], rtol=RTOL)

        def squared_error(
            coefs: list[Array], intercepts: list[Array], x: float = x, y: int = y
        ) -> float:
            return (y - feedforward(coefs, intercepts, [[x]])[-1].item()) ** 2

        dw_in_steps, db_in_steps = finite_differences(squared_error, network)
        assert_all_close(dw, dw_in_steps, **FINITE_DIFFERENCE)
        assert_all_close(db, db_in_steps, **FINITE_DIFFERENCE)

        layers = [(w1, b1[np.newaxis]), (w2, b2[np.newaxis]), (w3, b3[np.newaxis])]
        target = np.array([[y]])
        _, gradients = reference.loss_and_gradients(layers, kernels.SQUARED_ERROR, a0, target, 0.0)
        assert_all_close(dw, [weight for weight, _ in gradients], rtol=RTOL)
        assert_all_close(db, [bias[0] for _, bias in gradients], rtol=RTOL)

        network.partial_fit(a0, [y])
        assert_all_close(
            network.coefs_, [w1 - a0.T @ dz1, w2 - a1.T @ dz2, w3 - a2.T @ dz3], rtol=RTOL
        )
        assert_all_close(network.intercepts_, [b1 - dz1[0], b2 - dz2[0], b3 - dz3[0]], rtol=RTOL)

    # The four steps are one call of fit for two iterations.
    at_once = SigmoidMLPClassifier(
        (4, 3), loss="squared_error", learning_rate_init=1.0, max_iter=2, **PER_SAMPLE
    )
    at_once.fit([[2.0], [3.0]], [1, 0], coefs_init=coefs, intercepts_init=intercepts)
    assert_all_close(at_once.coefs_, network.coefs_, rtol=RTOL)
    assert_all_close(at_once.intercepts_, network.intercepts_, rtol=RTOL)


def test_direction_of_change_of_the_even_or_odd_network():
    """From weights of 0.5, what the article tells of its two iterations.

    The first sample is nearly right, so its dZ are small and negative; the second is far
    off, so they are "larger and positive", and after it all weights and biases are "lower
    than our original initialization of 0.5". In the second iteration the answer for the
    first sample is "a little lower" than it was.

    The article prints the answers 0.9968 and 0.9992. With sigmoids in the hidden layers, as
    it describes them, 0.5s give 0.8631; 0.9968 is what comes out where only the output is
    squashed. What it tells of directions holds for the network it describes.
    """
    coefs, intercepts = halves()
    network = holding(coefs, intercepts, loss="squared_error", learning_rate_init=1.0)

    z1 = 0.5 * 2 + 0.5
    assert sigmoid(3 * 0.5 * (4 * 0.5 * z1 + 0.5) + 0.5) == pytest.approx(0.9968, abs=5e-5)
    z2 = 4 * 0.5 * sigmoid(z1) + 0.5
    first_answer = network.activations([[2.0]])[-1].item()
    assert first_answer == pytest.approx(sigmoid(3 * 0.5 * sigmoid(z2) + 0.5), rel=RTOL)
    assert first_answer == pytest.approx(0.8631, abs=5e-5)

    dz_of_first_sample = np.concatenate(network.loss_gradients([[2.0]], [1])[2])
    network.partial_fit([[2.0]], [1])
    dz_of_second_sample = np.concatenate(network.loss_gradients([[3.0]], [0])[2])
    network.partial_fit([[3.0]], [0])
    assert (dz_of_first_sample < 0).all()
    assert (dz_of_second_sample > 0).all()
    assert (dz_of_second_sample > -dz_of_first_sample).all()
    for parameters in [*network.coefs_, *network.intercepts_]:
        assert (parameters < 0.5).all()
    assert network.activations([[2.0]])[-1].item() < first_answer

    # Another iteration, and the same again.
    after_one_iteration = [*network.coefs_, *network.intercepts_]
    network.partial_fit([[2.0], [3.0]], [1, 0])
    for before, after in zip(
        after_one_iteration, [*network.coefs_, *network.intercepts_], strict=True
    ):
        assert (after < before).all()


# Matrix form, logistic regression, and the method itself.


def test_gradients_in_matrix_form():
    """A 2-3-1 network on many samples: dJ/dW2 = a2^T delta3 and dJ/dW1 = X^T delta2.

    z2 = X W1, a2 = f(z2), z3 = a2 W2, y_hat = f(z3); the article leaves the constant of
    J out, which is 2/n for a mean squared error.
    """
    rng = np.random.default_rng(3)
    n = 7
    X, y = rng.standard_normal((n, 2)), np.array([[0], [1], [1], [0], [1], [0], [1]])
    W1, W2 = rng.standard_normal((2, 3)), rng.standard_normal((3, 1))
    a2 = expit(X @ W1)
    y_hat = expit(a2 @ W2)
    delta3 = 2 / n * (y_hat - y) * y_hat * (1 - y_hat)
    delta2 = delta3 @ W2.T * a2 * (1 - a2)

    network = holding([W1, W2], [np.zeros(3), np.zeros(1)], loss="squared_error")
    loss, (dJ_dW1, dJ_dW2), _ = network.loss_gradients(X, y.ravel())
    assert loss == pytest.approx(((y - y_hat) ** 2).mean(), rel=RTOL)
    assert_allclose(dJ_dW2, a2.T @ delta3, rtol=RTOL)
    assert_allclose(dJ_dW1, X.T @ delta2, rtol=RTOL, atol=1e-16)

    def mean_squared_error(coefs: list[Array], intercepts: list[Array]) -> float:
        return float(((y - feedforward(coefs, intercepts, X)[-1]) ** 2).mean())

    in_steps, _ = finite_differences(mean_squared_error, network)
    assert_all_close([dJ_dW1, dJ_dW2], in_steps, **FINITE_DIFFERENCE)


@pytest.mark.parametrize("y", [0, 1])
def test_gradient_of_logistic_regression(y):
    """dJ/dh dh/dz dz/dw = x (h - y) and dJ/db = h - y; then w := w - rate dJ/dw."""
    x, w, b = np.array([1.5, -2.0, 0.5]), np.array([0.4, 0.3, -0.8]), 0.25
    rate = 0.1
    h = sigmoid(float(w @ x) + b)
    dJ_dh = -(y / h) + (1 - y) / (1 - h)
    dh_dz = h * (1 - h)
    dz_dw = x
    assert_allclose(dJ_dh * dh_dz * dz_dw, x * (h - y), rtol=RTOL)

    regression = holding([w[:, np.newaxis]], [[b]], learning_rate_init=rate)
    loss, (dJ_dw,), (dJ_db,) = regression.loss_gradients([x], [y])
    assert loss == pytest.approx(-y * math.log(h) - (1 - y) * math.log(1 - h), rel=RTOL)
    assert_allclose(dJ_dw[:, 0], x * (h - y), rtol=RTOL)
    assert_allclose(dJ_db, [h - y], rtol=RTOL)

    def cost(coefs: list[Array], intercepts: list[Array]) -> float:
        p = feedforward(coefs, intercepts, [x])[-1].item()
        return -y * math.log(p) - (1 - y) * math.log(1 - p)

    (dw_in_steps,), (db_in_steps,) = finite_differences(cost, regression)
    assert_allclose(dJ_dw, dw_in_steps, **FINITE_DIFFERENCE)
    assert_allclose(dJ_db, db_in_steps, **FINITE_DIFFERENCE)

    regression.partial_fit([x], [y])
    assert_allclose(regression.coefs_[0][:, 0], w - rate * x * (h - y), rtol=RTOL)
    assert_allclose(regression.intercepts_[0], [b - rate * (h - y)], rtol=RTOL)


@pytest.mark.parametrize("x", [-1.3, 0.0, 0.5, 2.0])
def test_backpropagation_through_a_composed_function(x):
    """J = cos(sin(x^2) + 3 x^2): forward a, b, c, d, J; backward one derivative per step.

    dJ/dx = dJ/dd dd/db db/da da/dx + dJ/dd dd/dc dc/dx. No network here, only the method
    that the gradients of networks are found with, and the check that the tests above use.
    """

    def forward(x: float) -> tuple[float, float, float, float, float]:
        a = x**2
        b = math.sin(a)
        c = 3 * x**2
        d = b + c
        return a, b, c, d, math.cos(d)

    def slope(function: Callable[[float], float], at: float) -> Any:
        return pytest.approx(
            approx_fprime(np.array([at]), lambda v: function(float(v[0]))).item(),
            rel=1e-6,
            abs=1e-6,
        )

    def backward(x: float) -> float:
        a, b, c, d, _ = forward(x)
        dJ_dd = -math.sin(d)
        dd_db = dd_dc = 1.0
        db_da = math.cos(a)
        da_dx = 2 * x
        dc_dx = 6 * x
        assert dJ_dd == slope(math.cos, d)
        assert dd_db == slope(lambda b: b + c, b)
        assert dd_dc == slope(lambda c: b + c, c)
        assert db_da == slope(math.sin, a)
        assert da_dx == slope(lambda x: x**2, x)
        assert dc_dx == slope(lambda x: 3 * x**2, x)
        return dJ_dd * dd_db * db_da * da_dx + dJ_dd * dd_dc * dc_dx

    error = check_grad(
        lambda v: forward(float(v[0]))[-1],
        lambda v: np.array([backward(float(v[0]))]),
        np.array([x]),
    )
    assert error < 2e-6
