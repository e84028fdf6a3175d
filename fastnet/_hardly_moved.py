"""Whether training led nowhere, and what is the likely cause."""

from typing import Any

import numpy as np
from scipy import sparse

from fastnet import kernels

from ._base import BaseSigmoidMLP
from ._engine.features import Features
from ._engine.prediction import forward
from ._engine.trainer import Trainer
from ._engine.training import Training
from ._inputs import Samples

HARDLY_MOVED = (
    "Training has hardly moved the outputs of the network: they hardly depend on X, and are no"
    " better than {}."
)

# Samples by which to tell whether outputs depend on them at all.
_SOME = 200


def _penalty(trainer: Trainer) -> float:
    """Return the L2 term of the loss of a mini-batch, whose weights are taken as average."""
    coefs, _ = trainer.network.views(trainer.params)
    with np.errstate(over="ignore"):
        squares = sum(float(np.einsum("ij,ij->", c, c, dtype=np.float64)) for c in coefs)
    weights = trainer.data.weights
    weight = float(weights.mean()) if weights.size else 1.0
    return 0.5 * trainer.alpha * squares / (weight * trainer.batch_size) if trainer.alpha else 0.0


# Weights of negative sums, and targets and logits of any size.
@np.errstate(all="ignore")
def has_hardly_moved(training: Training, samples: Samples, n_jobs: int | None) -> bool:
    """Return whether the outputs are as good as constant, and no better than that.

    No better: the loss is within 1 % of that of the best constant outputs. Constant: over up to
    200 samples no logit varies by more than log(1.1), 10 % in the odds or in an exponential, or,
    where outputs are logits, by more than a tenth of how the target deviates. A model that does
    find a weak signal, as of a rare event, passes the second.
    """
    trainer = training.trainer
    counts = slice(None) if samples.weights is None else samples.weights != 0.0
    Y = samples.Y[counts]
    varies = np.ptp(Y, axis=0) > 0
    if not varies.any():
        # There is nothing to learn.
        return False
    constant = trainer.loss.constant(samples.Y, samples.weights)
    if constant == 0.0 or training.progress.loss - _penalty(trainer) < 0.99 * constant:
        return False
    features = Features.of(_some(samples))
    (z,), _ = forward(trainer.network, trainer.params, features, kernels.LOGITS, n_jobs=n_jobs)
    most = np.log(1.1)
    if trainer.loss.out_activation == "softmax":
        z -= z.mean(axis=1, keepdims=True)
    elif trainer.loss.out_activation == "identity":
        z, most = z[:, varies], 0.1 * Y[:, varies].std(axis=0)
    return bool((np.ptp(z, axis=0) < most).all())


def _some(samples: Samples) -> Any:
    """Return some of the rows, from everywhere."""
    some = samples.X[:: -(-len(samples.Y) // _SOME)]
    return some if sparse.issparse(some) else np.ascontiguousarray(some)


# Features of any size are squared.
@np.errstate(all="ignore")
def likely_cause(training: Training, samples: Samples, estimator: BaseSigmoidMLP) -> str:
    """Return what may be the cause, as advice."""
    some = _some(samples)
    X = (some.toarray() if sparse.issparse(some) else some).astype(np.float64)
    X = X[:, X.max(axis=0) > X.min(axis=0)]
    if X.shape[1] == 0:
        return "No feature varies."
    means, deviations = np.abs(X.mean(axis=0)), X.std(axis=0)
    if _vanishes(training.trainer):
        return "The penalty has shrunk the weights to almost nothing: lower alpha."
    advice = []
    if (means > deviations).any() or not 0.1 < deviations.min() <= deviations.max() < 10:
        advice.append("standardise the features (sklearn.preprocessing.StandardScaler)")
    if estimator.solver in ("adam", "sgd"):
        advice.append("raise learning_rate_init or max_iter")
    elif training.progress.n_iter >= training.rules.max_iter:
        advice.append("raise max_iter")
    if not advice:
        return "It may be that X says nothing about y."
    sentence = ", or ".join(advice)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _vanishes(trainer: Trainer) -> bool:
    """Return whether a penalty has left a layer a tenth of the weights that it begins with."""
    if trainer.alpha == 0.0:
        return False
    coefs, _ = trainer.network.views(trainer.params)
    # `Network.initial_parameters` draws them uniformly, up to the square root of this.
    return any(np.mean(coef**2) < 0.01 * 2.0 / sum(coef.shape) / 3.0 for coef in coefs)
