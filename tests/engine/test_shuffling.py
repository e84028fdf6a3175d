"""The compiled shuffle is numpy's, draw for draw."""

import numpy as np
import pytest
from sklearn.utils import check_random_state

from fastnet import SigmoidMLPClassifier, kernels
from fastnet._engine.shuffling import Shuffler

from .. import reference


def same_state(a, b):
    a, b = a.get_state(legacy=False)["state"], b.get_state(legacy=False)["state"]
    return a["pos"] == b["pos"] and np.array_equal(a["key"], b["key"])


# Around powers of two, where the mask changes, and around the generator's period of 624.
@pytest.mark.parametrize("n", [1, 2, 3, 5, 64, 65, 623, 624, 625, 2000, 65_536, 65_537])
def test_same_permutations_and_state_as_numpy(n):
    ours, numpys = np.random.RandomState(n), np.random.RandomState(n)
    ours.uniform(size=7)
    numpys.uniform(size=7)
    order = np.arange(n) * 3 + 1
    expected = order.copy()
    with Shuffler(ours) as shuffle:
        for _ in range(3):
            shuffle(order[np.newaxis])
            permutation = np.arange(n)
            numpys.shuffle(permutation)
            expected = expected[permutation]
            np.testing.assert_array_equal(order, expected)
    assert same_state(ours, numpys)
    assert ours.normal() == numpys.normal()


@pytest.mark.parametrize("n_places", [1, 7, 999, 2000])
def test_kernel_and_its_twin(n_places):
    order = np.arange(2000).reshape(2, 1000) ** 2
    results = []
    for shuffle in (kernels.shuffle, reference.shuffle):
        _, key, position, *_ = np.random.RandomState(4).get_state()
        shuffled = order.copy()
        position = shuffle(shuffled, np.empty(n_places, np.int64), key, position)
        results.append((shuffled, key, position))
    for ours, twins in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, twins)


def test_gaussian_held_back_is_kept():
    """`RandomState` draws normals in pairs, and keeps the second for later."""
    ours, numpys = np.random.RandomState(0), np.random.RandomState(0)
    assert ours.normal() == numpys.normal()
    with Shuffler(ours) as shuffle:
        shuffle(np.arange(10)[np.newaxis])
    numpys.shuffle(np.arange(10))
    assert ours.normal() == numpys.normal()


def test_other_generators():
    ours = np.random.RandomState(np.random.PCG64(5))
    numpys = np.random.RandomState(np.random.PCG64(5))
    order, expected = np.arange(100), np.arange(100)
    numpys.shuffle(expected)
    with Shuffler(ours) as shuffle:
        shuffle(order[np.newaxis])
    np.testing.assert_array_equal(order, expected)
    assert ours.uniform() == numpys.uniform()


GENERATORS = {
    "MT19937": np.random.RandomState,
    "PCG64": lambda seed: np.random.RandomState(np.random.PCG64(seed)),
}


@pytest.mark.parametrize("kind", GENERATORS)
def test_others_draw_between_two_shuffles(kind):
    ours, numpys = GENERATORS[kind](2), GENERATORS[kind](2)
    order, expected = np.arange(700), np.arange(700)
    with Shuffler(ours, is_shared=True) as shuffle:
        for _ in range(3):
            shuffle(order[np.newaxis])
            numpys.shuffle(expected)
            np.testing.assert_array_equal(order, expected)
            assert ours.normal() == numpys.normal()
    assert ours.normal() == numpys.normal()


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("is_shared", [False, True])
def test_the_last_shuffle_can_be_undone_unless_it_is_kept(kind, is_shared):
    ours, numpys = GENERATORS[kind](2), GENERATORS[kind](2)
    with Shuffler(ours, is_shared) as shuffle:
        shuffle.undo()
        shuffle(np.arange(50)[np.newaxis])
        shuffle.keep()
        shuffle.undo()
        shuffle(np.arange(50)[np.newaxis])
        shuffle.undo()
        shuffle.undo()
    numpys.shuffle(np.arange(50))
    assert ours.normal() == numpys.normal()


@pytest.mark.parametrize("kind", GENERATORS)
def test_what_others_have_drawn_is_not_undone(kind):
    ours, numpys = GENERATORS[kind](2), GENERATORS[kind](2)
    with Shuffler(ours, is_shared=True) as shuffle:
        shuffle(np.arange(50)[np.newaxis])
        ours.normal()
        shuffle.undo()
    numpys.shuffle(np.arange(50))
    numpys.normal()
    assert ours.normal() == numpys.normal()


class ByNumpy(Shuffler):
    """What `Shuffler` stands in for."""

    def __call__(self, orders):
        (order,) = orders
        self._random_state.shuffle(order)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_scorers_draw_from_numpys_global_generator(solver, monkeypatch):
    X, y = np.random.default_rng(0).normal(size=(90, 3)), np.arange(90) % 2
    numpys = check_random_state(None)
    draws = []

    def score(model, X, y):
        draws.append(numpys.uniform())
        return draws[-1]

    def fit():
        numpys.seed(4)
        draws.clear()
        model = SigmoidMLPClassifier(
            (3,), solver=solver, max_iter=8, n_iter_no_change=8, early_stopping=True, scoring=score
        )
        model.fit(X, y)
        return model.coefs_[0].tolist(), list(draws), numpys.uniform()

    ours = fit()
    monkeypatch.setattr("fastnet._engine.training.Shuffler", ByNumpy)
    assert fit() == ours
    assert len(set(ours[1])) == 8


def test_state_is_given_back_after_an_error():
    ours, numpys = np.random.RandomState(1), np.random.RandomState(1)

    def interrupted():
        with Shuffler(ours) as shuffle:
            shuffle(np.arange(50)[np.newaxis])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    numpys.shuffle(np.arange(50))
    assert same_state(ours, numpys)
