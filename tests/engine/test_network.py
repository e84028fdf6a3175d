"""The flat parameter vector and its views."""

import numpy as np
import pytest

from fastnet import kernels
from fastnet._engine import network
from fastnet._engine.network import Network

NETWORK = Network((3, 4, 2), True, np.dtype(np.float64))


@pytest.fixture(autouse=True)
def every_network_is_large(monkeypatch):
    monkeypatch.setattr(network, "_MANY_PARAMETERS", 0)


@pytest.fixture
def vector():
    return NETWORK.pack(
        [np.arange(12.0).reshape(3, 4), np.arange(16.0, 24.0).reshape(4, 2)],
        [np.arange(12.0, 16.0), np.arange(24.0, 26.0)],
    )


def test_views_are_views(vector):
    coefs, intercepts = NETWORK.views(vector)
    assert [a.shape for a in coefs + intercepts] == [(3, 4), (4, 2), (4,), (2,)]
    assert all(np.shares_memory(a, vector) for a in coefs + intercepts)
    np.testing.assert_array_equal(NETWORK.pack(coefs, intercepts), vector)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("sizes", [(3, 4, 2), (3, 128, 1)], ids=str)
def test_views_of_many_vectors_are_the_views_of_each(sizes, fit_intercept):
    network = Network(sizes, fit_intercept, np.dtype(np.float64))
    vectors = np.random.default_rng(0).normal(size=(5, network.n_parameters))
    coefs, intercepts = network.views(vectors)
    for i, vector in enumerate(vectors):
        for many, one in zip((coefs, intercepts), network.views(vector), strict=True):
            for layers, layer in zip(many, one, strict=True):
                np.testing.assert_array_equal(layers[i], layer)
    assert all(np.shares_memory(coef, vectors) for coef in coefs)


def test_views_without_biases_are_zeros(vector):
    network = Network((3, 4, 2), False, np.dtype(np.float64))
    assert network.n_parameters == 20
    coefs, intercepts = network.views(vector[:20])
    assert [coef.shape for coef in coefs] == [(3, 4), (4, 2)]
    assert all((intercept == 0).all() for intercept in intercepts)


def test_flat_is_the_vector_itself(vector):
    coefs, intercepts = NETWORK.views(vector)
    flat = NETWORK.flat(coefs, intercepts)
    assert flat.ctypes.data == vector.ctypes.data
    np.testing.assert_array_equal(flat, np.arange(26.0))
    coefs[1][0, 0] = 99.0
    assert 99.0 in flat


@pytest.mark.parametrize(
    "replace",
    [
        lambda coefs, intercepts: coefs.__setitem__(0, coefs[0].copy()),
        lambda coefs, intercepts: intercepts.__setitem__(1, intercepts[1] + 1),
        lambda coefs, intercepts: coefs.__setitem__(1, coefs[1][::-1]),
        lambda coefs, intercepts: coefs.__setitem__(0, coefs[0].tolist()),
        lambda coefs, intercepts: coefs.__setitem__(0, coefs[0].astype(np.float32)),
    ],
    ids=["copied", "changed", "reversed", "list", "other dtype"],
)
def test_flat_sees_replaced_arrays(vector, replace):
    coefs, intercepts = NETWORK.views(vector)
    replace(coefs, intercepts)
    flat = NETWORK.flat(coefs, intercepts)
    assert not np.shares_memory(flat, vector)
    np.testing.assert_array_equal(flat, NETWORK.pack(coefs, intercepts))


def test_flat_of_another_networks_vector(vector):
    wider = Network((3, 5, 2), True, np.dtype(np.float64))
    with pytest.raises(ValueError, match="coefs"):
        wider.flat(*NETWORK.views(vector))


def test_padded_rows_are_views_as_well():
    network = Network((3, 128, 2), True, np.dtype(np.float32))
    params = network.initial_parameters("glorot_uniform", np.random.RandomState(0))
    coefs, intercepts = network.views(params)
    assert coefs[0].shape == (3, 128)
    assert not coefs[0].flags.c_contiguous
    assert network.flat(coefs, intercepts).ctypes.data == params.ctypes.data
    # What pads the rows is zero, and stays so through a copy.
    n_padding = 4 * (kernels.row_stride(128) - 128)
    assert np.count_nonzero(params == 0) == n_padding
    np.testing.assert_array_equal(network.pack(coefs, intercepts), params)
