"""Prediction: validated rows in, activations out."""

from itertools import accumulate

import numpy as np

from fastnet import kernels

from . import dispatch
from .features import Features
from .network import FloatArray, Network


def forward(
    network: Network,
    params: FloatArray,
    features: Features,
    output: int,
    first_layer: int | None = None,
    n_jobs: int | None = None,
) -> tuple[list[FloatArray], bool]:
    """Return the activations of the layers from `first_layer` on, for each sample.

    Parameters
    ----------
    network : Network
        The shape of the network.
    params : ndarray
        Its parameters.
    features : Features
        Features, of the network's dtype.
    output : int
        What to make of the logits: the kernels' LOGITS, SIGMOID, SOFTMAX,
        EXPONENTIAL or PAIR.
    first_layer : int, optional
        The first layer of weights whose result to return; by default the last.
    n_jobs : int, optional
        Threads, as the estimator's parameter.

    Returns
    -------
    activations : list of ndarray of shape (n_samples, n_units)
        One array per layer, views of one buffer.
    is_finite : bool
        Whether all features are. Looked at while it is in cache: a pass over a million rows
        of 28 features would take a third of the time.
    """
    n_samples = features.n_samples
    if first_layer is None:
        first_layer = len(network.sizes) - 2
    n_columns = list(network.sizes[first_layer + 1 :])
    if output == kernels.PAIR:
        n_columns[-1] = 2
    counts = [n_samples * n for n in n_columns]
    out = np.empty(sum(counts), network.dtype)
    width = kernels.panel_lanes(network.dtype)
    n_panels = -(-n_samples // width)
    work = n_samples * (params.size + dispatch.SAMPLE_WORK)
    block_panels, n_blocks, n_workers = dispatch.shares(work, n_panels, n_jobs)
    group = kernels.share_panels(params.nbytes, n_panels, n_workers)
    panels = kernels.new_panels(network.plan, n_workers * group, width, network.dtype)
    zeros = np.zeros(n_workers, network.dtype)
    order = np.empty(2 * n_workers * group * width, np.int64)
    settings = (network.plan, params, output, first_layer)
    workspace = (panels, group, block_panels, out, zeros)
    arguments = (*features, order, *settings, *workspace)
    dispatch.run(kernels.forward, n_workers, work, arguments, n_blocks=n_blocks)
    ends = list(accumulate(counts))
    layers = [
        out[end - count : end].reshape(n_samples, n)
        for end, count, n in zip(ends, counts, n_columns, strict=True)
    ]
    return layers, not zeros.any()
