"""The trainer: parameters, workspace and data of one fit, and the kernel calls."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnet import kernels

from . import dispatch, registers
from .features import Features, read_only
from .losses import Loss
from .network import FloatArray, Network
from .solvers import Gradient, Solver

# One kernel call lasts about so many seconds, so that Ctrl-C is heard in between; one
# mini-batch at the least. How many samples that is shows as calls are made. The first is of
# so many multiply-adds, and none of many times as many samples as the one before.
_CALL_SECONDS = 0.05
_FIRST_CALL_WORK = 50_000_000
_GROWTH = 8

# Runs of strips that a worker has of the parameters, so that one that comes late can still
# help, and one that leaves does not leave much.
_RUNS_PER_WORKER = 4


class DivergedError(Exception):
    """The loss of a mini-batch, or a parameter after it, is not finite.

    Attributes
    ----------
    n_samples : int
        Samples of the call's epochs trained on before; no step was taken on that mini-batch.
    """

    def __init__(self, n_samples: int) -> None:
        super().__init__(f"diverged after {n_samples} samples")
        self.n_samples = n_samples


@dataclass
class Data:
    """Samples to train on.

    Attributes
    ----------
    features : Features
        Features, of the network's dtype.
    Y : ndarray of shape (n_samples, n_outputs)
        Targets; C-contiguous, uint8 where they are 0 or 1, else of the network's dtype.
    weights : ndarray of shape (n_samples,) or (0,)
        Weight of each sample, of the network's dtype; empty where each is 1.
    rows : ndarray of shape (n_train,)
        Which rows are for training, int64; training changes their order.
    """

    features: Features
    Y: npt.NDArray[Any]
    weights: FloatArray
    rows: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        self.Y = read_only(self.Y)
        self.weights = read_only(self.weights)


class Trainer:
    """A network's parameters, and the workspace to change them, for one data set.

    Parameters
    ----------
    network : Network
        The shape of the network.
    params : ndarray
        Its parameters, changed in place.
    solver : Solver
        The optimiser and its state, changed in place.
    loss : Loss
        What is minimised.
    data : Data
        What to train on.
    batch_size : int
        Samples in a mini-batch.
    alpha : float
        Strength of the L2 penalty.
    max_grad_norm : float
        Norm to which gradients are clipped; infinite for not at all.
    n_threads : int
        Threads that may be used.

    Attributes
    ----------
    in_registers : bool
        Whether the network has a kernel of its own once there is one (`registers`).
    """

    def __init__(
        self,
        network: Network,
        params: FloatArray,
        solver: Solver,
        loss: Loss,
        data: Data,
        batch_size: int,
        alpha: float,
        max_grad_norm: float,
        n_threads: int,
    ) -> None:
        self.network = network
        self.params = params
        self.solver = solver
        self.loss = loss
        self.data = data
        self.batch_size = batch_size
        self.alpha = alpha
        self.max_grad_norm = max_grad_norm
        self._call_samples = _FIRST_CALL_WORK // (params.size + dispatch.SAMPLE_WORK)
        self._n_blocks = 0
        self._in_rows = batch_size < kernels.min_panel_batch(network.plan, network.dtype)
        self.in_registers = (
            batch_size == 1
            and solver.code == kernels.SGD
            and max_grad_norm == np.inf
            and data.features.indices is None
            and data.weights.size == 0
            and kernels.fits_in_registers(network.row_plan)
        )
        if self._in_rows:
            self._panels = kernels.new_panels(network.row_plan, batch_size, 1, network.dtype)
        else:
            self._allocate_panels(n_threads)
        self._grad = kernels.aligned_zeros(max(1, self._n_blocks) * params.size, params.dtype)

    @property
    def grad(self) -> FloatArray:
        """The last mini-batch's gradient, where the solver is `Gradient`."""
        return self._grad[: self.params.size]

    def _allocate_panels(self, n_threads: int) -> None:
        plan, dtype = self.network.plan, self.network.dtype
        n_panels = kernels.super_block_panels(plan, self.batch_size, dtype)
        width = kernels.panel_lanes(dtype)
        # Blocks have dense inputs only.
        indices = self.data.features.indices
        by_entries = indices is not None and kernels.takes_entries(
            plan, len(indices), self.data.features.n_samples
        )
        self._n_blocks = 0 if by_entries else kernels.count_blocks(plan, n_panels)
        work = self.params.size * min(self.batch_size, n_panels * width)
        n_workers = dispatch.n_workers_for(work, n_threads)
        self._n_workers = min(n_workers, self._n_blocks or n_panels)
        self._panels = kernels.new_panels(plan, n_panels, width, dtype)
        self._panel_losses = np.zeros(n_panels)
        self._block_panels = kernels.share_panels(self.params.nbytes, n_panels, self._n_workers)
        self._strips = kernels.plan_strips(plan)
        n_runs = 1 if self._n_workers == 1 else _RUNS_PER_WORKER * self._n_workers
        self._runs = kernels.share_strips(plan, self._strips, n_runs)
        self._squares = np.zeros(2 * len(self._strips))
        block_panels = n_panels // self._n_blocks if self._n_blocks else self._block_panels
        self._block_work = block_panels * width * self.params.size
        self._step = np.zeros(kernels.STEP_SIZE)

    def epochs_of_a_call(self, n_samples: int) -> int:
        """Return how many epochs of so many samples one kernel call is long enough for."""
        return self._call_samples // n_samples

    def epoch(self, order: npt.NDArray[np.int64]) -> float:
        """Train on the rows `order` once, as `epochs` does; return their mean loss."""
        (loss,) = self.epochs(order[np.newaxis])
        return loss

    def epochs(self, orders: npt.NDArray[np.int64]) -> list[float]:
        """Train on all rows once for each of some orders; return their mean losses.

        Parameters
        ----------
        orders : ndarray of shape (n_epochs, n_train)
            The rows in the order of each epoch, int64.

        Raises
        ------
        DivergedError
            If the loss of a mini-batch is not finite.
        """
        hyper = self.solver.hyper(self.alpha, self.max_grad_norm)
        n_epochs, size = orders.shape
        total_loss = np.zeros(n_epochs)
        order = orders.reshape(-1)
        first = 0
        while first < order.size:
            last = self._end_of_call(first, size, order.size)
            start = time.perf_counter()
            n_done = self._train(order, first, last, hyper, total_loss)
            if n_done < last - first:
                raise DivergedError(first + n_done)
            self._learn_pace(n_done, time.perf_counter() - start)
            first = last
        return list((total_loss / size).tolist())

    def _end_of_call(self, first: int, size: int, end: int) -> int:
        """Return where a call ends that begins at `first`: with a mini-batch, or an epoch."""
        last = first + max(1, self._call_samples // self.batch_size) * self.batch_size
        end_of_epoch = (first // size + 1) * size
        if last > end_of_epoch:
            last = max(end_of_epoch, last // size * size)
        return min(last, end)

    def _learn_pace(self, n_samples: int, seconds: float) -> None:
        """Choose how many samples the next call trains on, by what the last one took."""
        pace = int(n_samples * _CALL_SECONDS / max(seconds, 1e-9))
        self._call_samples = min(pace, _GROWTH * max(n_samples, self.batch_size))

    def _train(
        self,
        order: npt.NDArray[np.int64],
        first: int,
        last: int,
        hyper: npt.NDArray[np.float64],
        total_loss: npt.NDArray[np.float64],
    ) -> int:
        data, solver, network = self.data, self.solver, self.network
        samples = (*data.features, data.Y, data.weights)
        batches = (*samples, order, first, last, self.batch_size)
        parameters = (self.params, self._grad, solver.state)
        step = (self.loss.code, solver.code, hyper, solver.powers)
        if self._in_rows:
            n_done = 0
            if self.in_registers:
                X, Y = data.features.X, data.Y
                own = registers.kernel_for(network, self.loss, X, Y, last - first)
                if own is not None:
                    args = (X, Y, order, first, last, self.params, hyper, total_loss)
                    n_done = int(dispatch.run_serial(own, *args))
            if n_done == last - first:
                return n_done
            batches = (*samples, order, first + n_done, last, self.batch_size)
            n_more = dispatch.run_serial(
                kernels.train_rows,
                *(*batches, network.row_plan, *parameters, *step),
                *(self._panels, total_loss),
            )
            return n_done + int(n_more)
        kernel = kernels.train_blocks
        arguments: tuple[Any, ...] = (network.plan, *parameters, *step)
        workspace: tuple[Any, ...] = (
            self._panels,
            self._panel_losses,
            total_loss,
            self._step,
        )
        if not self._n_blocks:
            kernel = kernels.train_batches
            arguments = (network.plan, self._strips, self._runs, *parameters, *step)
            workspace = (
                self._panels,
                self._block_panels,
                self._panel_losses,
                self._squares,
                total_loss,
                self._step,
            )
        work = (last - first) * (self.params.size + dispatch.SAMPLE_WORK)
        claims = dispatch.run(
            kernel,
            self._n_workers,
            work,
            (*batches, *arguments, *workspace),
            block_work=self._block_work,
        )
        return int(claims[kernels.N_TRAINED])


def loss_gradients(
    network: Network, params: FloatArray, loss: Loss, data: Data, alpha: float, n_threads: int
) -> tuple[float, FloatArray]:
    """Return the mean loss over the data and its gradient, a vector like `params`.

    Raises
    ------
    DivergedError
        If the loss is not finite.
    """
    solver = Gradient(0.0).allocate(params.size, network.dtype)
    n_rows = len(data.rows)
    trainer = Trainer(network, params, solver, loss, data, n_rows, alpha, np.inf, n_threads)
    return trainer.epoch(data.rows), trainer.grad
