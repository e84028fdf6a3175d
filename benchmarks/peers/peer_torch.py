"""PyTorch in its usual, eager mode: a module, an optimiser, a loop over mini-batches."""

import importlib.util
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from ..workloads import LEARNING_RATE, FloatArray, Problem, Weights, Workload
from . import SEED

NAME = "torch"
SAME_SHUFFLE = False


def available() -> str | None:
    """Return why it cannot run here, or None where it can."""
    return None if importlib.util.find_spec("torch") else "torch is not installed"


def unsupported(workload: Workload) -> str | None:
    """Return None: it does everything."""
    return None


def _model(problem: Problem) -> Any:
    import torch

    layers: list[Any] = []
    for (fan_in, fan_out), coef, intercept in zip(
        pairwise(problem.workload.sizes), *problem.start, strict=True
    ):
        linear = torch.nn.Linear(fan_in, fan_out)
        with torch.no_grad():
            linear.weight = torch.nn.Parameter(torch.tensor(coef.T))
            linear.bias = torch.nn.Parameter(torch.tensor(intercept))
        layers += [linear, torch.nn.Sigmoid()]
    return torch.nn.Sequential(*layers[:-1])


def _loss(workload: Workload) -> Callable[[Any, Any], Any]:
    from torch.nn import functional

    if workload.loss == "squared_error":
        return lambda z, y: (z.sigmoid() - y).square().sum() / len(y)
    if workload.sizes[-1] == 1:
        return functional.binary_cross_entropy_with_logits
    return functional.cross_entropy


class _Epoch:
    def __init__(self, problem: Problem, shuffle: bool) -> None:
        import torch

        self.torch = torch
        self.problem = problem
        self.shuffle = shuffle
        self.X = torch.from_numpy(problem.X)
        labels = problem.workload.loss == "log_loss" and problem.workload.sizes[-1] > 1
        # Softmax takes the labels; sigmoids take a target each.
        self.y = torch.from_numpy(problem.y if labels else problem.targets.astype(problem.dtype))
        self.model = _model(problem)
        self.loss = _loss(problem.workload)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=LEARNING_RATE)
        self.generator = torch.Generator().manual_seed(SEED)

    def __call__(self) -> None:
        n_rows = len(self.X)
        if self.shuffle:
            order = self.torch.randperm(n_rows, generator=self.generator)
        else:
            order = self.torch.arange(n_rows)
        for rows in order.split(self.problem.workload.batch_size):
            self.optimizer.zero_grad()
            self.loss(self.model(self.X[rows]), self.y[rows]).backward()
            self.optimizer.step()

    def weights(self) -> Weights:
        linears = self.model[::2]
        return Weights(
            [layer.weight.detach().numpy().T for layer in linears],
            [layer.bias.detach().numpy() for layer in linears],
        )


def make_epoch(problem: Problem, n_threads: int, *, shuffle: bool) -> _Epoch:
    """Prepare training from the problem's initial weights."""
    import torch

    torch.set_num_threads(n_threads)
    return _Epoch(problem, shuffle)


def make_prediction(problem: Problem, n_threads: int) -> Callable[[], FloatArray]:
    """Prepare ``predict_proba`` of all rows, with the problem's initial weights."""
    import torch

    torch.set_num_threads(n_threads)
    model, X = _model(problem), torch.from_numpy(problem.X)

    def predict_proba() -> FloatArray:
        with torch.inference_mode():
            z = model(X)
            p = z.softmax(dim=1) if z.shape[1] > 1 else z.sigmoid()
            p = p if p.shape[1] > 1 else torch.hstack([1 - p, p])
        return np.asarray(p)

    return predict_proba
