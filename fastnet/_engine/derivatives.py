"""Derivatives of outputs by inputs, and of each sample's loss by the parameters."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnet import kernels

from . import dispatch
from .features import Features, read_only
from .losses import Loss
from .network import FloatArray, Network

# Bytes between the workspaces of two threads: two on one cache line made a sample of 2-2-1
# take 160 instead of 33 ns on two threads. Processors fetch lines in pairs.
_APART = 128


def input_gradients(
    network: Network,
    params: FloatArray,
    features: Features,
    output: int,
    n_jobs: int | None = None,
) -> FloatArray:
    """Return the derivative of each output by each feature, for each sample.

    Parameters
    ----------
    network : Network
        The shape of the network.
    params : ndarray
        Its parameters.
    features : Features
        Features, of the network's dtype.
    output : int
        What the outputs are: the kernels' LOGITS, SIGMOID, SOFTMAX or EXPONENTIAL.
    n_jobs : int, optional
        Threads, as the estimator's parameter.

    Returns
    -------
    gradients : ndarray of shape (n_samples, n_outputs, n_features)
        Derivatives.
    """
    plan, width = network.plan, kernels.panel_lanes(network.dtype)
    n_samples = features.n_samples
    n_features, n_outputs = network.sizes[0], network.sizes[-1]
    out = np.empty((n_samples, n_outputs, n_features), network.dtype)
    work = n_samples * n_outputs * (params.size + dispatch.SAMPLE_WORK)
    block_panels, n_blocks, n_workers = dispatch.shares(work, -(-n_samples // width), n_jobs)
    panels = kernels.new_panels(plan, n_workers, width, network.dtype)
    order = np.arange(n_samples)
    arguments = (*features, order, plan, params, output, panels, block_panels, out.reshape(-1))
    dispatch.run(kernels.input_gradients, n_workers, work, arguments, n_blocks=n_blocks)
    return out


def sample_gradients(
    network: Network,
    params: FloatArray,
    features: Features,
    Y: npt.NDArray[Any],
    loss: Loss,
    n_jobs: int | None = None,
) -> FloatArray:
    """Return the gradient of each sample's own loss, a vector like `params`.

    Parameters
    ----------
    network : Network
        The shape of the network.
    params : ndarray
        Its parameters.
    features : Features
        Features, of the network's dtype.
    Y : ndarray of shape (n_samples, n_outputs)
        Targets; C-contiguous.
    loss : Loss
        Whose gradient it is.
    n_jobs : int, optional
        Threads, as the estimator's parameter.

    Returns
    -------
    gradients : ndarray of shape (n_samples, n_parameters)
        Gradients; zero where the parameter vector is padded.
    """
    n_samples = features.n_samples
    out = np.zeros((n_samples, params.size), network.dtype)
    work = n_samples * (params.size + dispatch.SAMPLE_WORK)
    block_rows, n_blocks, n_workers = dispatch.shares(work, n_samples, n_jobs)
    weights = read_only(np.empty(0, network.dtype))
    samples = (*features, read_only(Y), weights, np.arange(n_samples))
    rows = _new_rows(network, n_workers)
    arguments = (*samples, network.row_plan, params, loss.code, rows, block_rows, out)
    dispatch.run(kernels.sample_gradients, n_workers, work, arguments, n_blocks=n_blocks)
    return out


def _new_rows(network: Network, n_workers: int) -> FloatArray:
    """Allocate the workspace of a sample for each worker, out of each other's way."""
    plan = network.row_plan
    row = kernels.new_panels(plan, 1, 1, network.dtype)
    n_rows = 1 + -(-_APART // row.nbytes)
    return kernels.new_panels(plan, n_workers * n_rows, 1, network.dtype).reshape(n_workers, -1)
