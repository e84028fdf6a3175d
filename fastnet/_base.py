"""The estimator's state and predictions: what classifier and regressor share below `fit`."""

import contextlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnet import kernels

from ._engine import dispatch
from ._engine.features import Features, check_indices
from ._engine.few_rows import FewRows, is_few_rows
from ._engine.losses import Loss
from ._engine.network import FloatArray, Network
from ._engine.prediction import forward
from ._engine.solvers import to_keep
from ._kept import KeepingMixin, Kept
from ._sklearn import CallbackSupportMixin, callback_state
from ._version import __version__
from ._warnings import warn

# Options of `validate_data`: X may be dense or CSR, and becomes C-contiguous.
ACCEPTED: dict[str, Any] = {"accept_sparse": "csr", "order": "C"}

# What the kernels make of logits, by the activation of the output layer.
_OUTPUTS = {
    "logistic": kernels.SIGMOID,
    "softmax": kernels.SOFTMAX,
    "identity": kernels.LOGITS,
    "exp": kernels.EXPONENTIAL,
}


def warn_if_gathered(X: Any) -> None:
    """Warn of an array or frame of Dask, which numpy gathers without a word."""
    kind = type(X)
    if kind.__module__.startswith("dask"):
        warn(
            f"X is a {kind.__name__} of Dask, and all of it is gathered into the memory of this "
            "process. To predict chunk by chunk, use its map_blocks or map_partitions; to train, "
            "call partial_fit with one chunk after another.",
            UserWarning,
        )


class BaseSigmoidMLP(CallbackSupportMixin, BaseEstimator, KeepingMixin, ABC):
    """A network of sigmoids with scikit-learn's interface, fitted or not.

    What targets are, and what the outputs mean, is up to the classes derived from it.
    """

    hidden_layer_sizes: Any
    solver: str
    alpha: float
    batch_size: int | str
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: bool
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    loss: str
    fit_intercept: bool
    init: str
    scoring: Any
    max_grad_norm: float | None
    n_jobs: int | None

    coefs_: list[FloatArray]
    intercepts_: list[FloatArray]
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None
    t_: int
    n_outputs_: int
    out_activation_: str
    n_features_in_: int
    _no_improvement_count: int
    _solver_state: dict[str, Any] | None
    _continues: bool

    @abstractmethod
    def _loss(self) -> Loss:
        """Return what is minimised; targets are known."""

    # Whether `validate_data` is to make numbers of targets.
    _y_numeric = False
    # The activations that the output layer can have.
    _out_activations: ClassVar[tuple[str, ...]]

    @abstractmethod
    def _learn_targets(self, y: Any, *, continues: bool) -> None:
        """Set what is known of targets; if training continues, check that it holds."""

    @abstractmethod
    def _check_targets(self, y: Any) -> None:
        """Check that targets are ones that are known."""

    @abstractmethod
    def _encode(self, y: Any, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return the kernels' targets, of shape (n_samples, n_outputs)."""

    @abstractmethod
    def _decode(self, outputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what logits stand for: what `predict` returns."""

    def _class_weights(self, y: Any) -> FloatArray | None:
        """Return the weight of each sample's class; None where each is 1, or there are none."""

    def _prediction_code(self) -> int | None:
        """Return what the kernels are to make of logits in predictions; None if more is needed."""
        return self._output_code()

    @abstractmethod
    def _score_of(self, y: Any, predicted: Any, weights: FloatArray | None) -> float:
        """Return the score by which early stopping judges without `scoring`."""

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_solver_state" in state:
            state["_solver_state"] = to_keep(state["_solver_state"], state["_continues"])
        return state | {"_fastnet_version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop("_fastnet_version", "of unknown version")
        if version != __version__:
            warnings.warn(
                f"This {type(self).__name__} was pickled by fastnet {version} and is read by "
                f"{__version__}; it may fail, or give different results.",
                stacklevel=2,
            )
        super().__setstate__(state)
        if hasattr(self, "coefs_"):
            # Views of one vector again, so that a prediction need not copy them into one.
            network = Network.of(self.coefs_)
            params = network.pack(self.coefs_, self.intercepts_)
            self.coefs_, self.intercepts_ = network.views(params)

    def _snapshot(self) -> Self:
        """Return a copy that shares everything, and that other threads cannot change.

        Copying a dict is one step to them, so it is all of one model.
        """
        snapshot = object.__new__(type(self))
        snapshot.__dict__ = dict(vars(self))
        return snapshot

    def _fitted(self) -> Self:
        """Return a snapshot to predict with, or raise scikit-learn's error."""
        snapshot = self._snapshot()
        if not hasattr(snapshot, "coefs_"):
            # It takes 5 us, a prediction of one row 30.
            check_is_fitted(snapshot)
        return snapshot

    def _few_rows_of(self, X: Any) -> Kept | None:
        """Return what predicts a few rows, if these are some and nothing else is to be looked at.

        Kept until an attribute changes that it depends on.
        """
        if not is_few_rows(X):
            return None
        # One dict, so all of one model.
        attributes = self.__dict__
        kept = self._kept
        if kept is None or not kept.is_of(attributes):
            kept = self._kept = self._keep()
        return kept

    def _keep(self) -> Kept | None:
        """Make what predicts a few rows; None where that needs a closer look each time."""
        model = self._snapshot()
        if "coefs_" not in vars(model) or hasattr(model, "feature_names_in_"):
            return None
        try:
            network = model._network()
            params = network.shared(model.coefs_, model.intercepts_)
            if params is None:
                return None
            dispatch.effective_n_threads(model.n_jobs)
            output = model._prediction_code()
        except (AttributeError, TypeError, ValueError):
            # The full way says what is wrong.
            return None
        return Kept(model.__dict__, FewRows(network, params), output)

    def _trained_by(self, train: Callable[[Self], None]) -> Self:
        """Let a function train a copy, and become what it is then, in one step.

        Whatever is raised, nothing has changed; a thread that predicts meanwhile has the
        old model or the new one. What the user sets meanwhile stays.
        """
        trained = self._snapshot()
        kept = dict(vars(trained))
        generator = trained.random_state
        is_users = isinstance(generator, np.random.RandomState)
        drawn = generator.get_state(legacy=False) if is_users else None
        committed = None
        told = kernels.told_to(print) if trained.verbose else contextlib.nullcontext()
        try:
            with told:
                train(trained)
            own = {
                name: value
                for name, value in dict(vars(self)).items()
                if not name.startswith("_") and not name.endswith("_")
                if name not in kept or value is not kept[name]
            }
            committed = vars(trained) | own
            self.__dict__ = committed
        except BaseException:
            # Ctrl-C may still come after the last step.
            if self.__dict__ is not committed:
                # First, so that a second Ctrl-C has the least time to come before it.
                if drawn is not None:
                    generator.set_state(drawn)
                self.__dict__.update(callback_state(trained))
            raise
        return self

    def _network(self) -> Network:
        """Return the fitted network's shape; without biases, they are zeros."""
        network = Network.of(self.coefs_)
        if network.sizes[-1] != self.n_outputs_:
            raise ValueError(
                f"coefs_ has {network.sizes[-1]} outputs, but n_outputs_ is {self.n_outputs_}."
            )
        # Weights that were replaced by ones of another shape will not fit into this.
        return replace(network, sizes=(self.n_features_in_, *network.sizes[1:]))

    def _forward(self, X: Any, output: int, *, all_layers: bool = False) -> list[FloatArray]:
        """Check X and return the activations of the last layer, or of all and a copy of X."""
        network = self._network()
        given = X
        if not self._is_plainly_valid(X, network):
            # The kernel looks whether features are finite, but not at those of entries.
            X = self._validated(X, network, ensure_all_finite=bool(sparse.issparse(X)))
        params = network.flat(self.coefs_, self.intercepts_)
        features = Features.of(X)
        first_layer = 0 if all_layers else None
        layers, is_finite = forward(network, params, features, output, first_layer, self.n_jobs)
        if not is_finite:
            # Only now, because a pass over X can take a third of the time.
            self._validated(given, network)
        # Not the user's own array, nor a view of it.
        return [X.copy(), *layers] if all_layers else layers

    def _validated(self, X: Any, network: Network, **checks: Any) -> FloatArray:
        """Return X as the kernels want it, or raise scikit-learn's error."""
        check_indices(X)
        warn_if_gathered(X)
        # Numbers that are too large for the dtype become infinite, and are refused.
        with np.errstate(all="ignore"):
            return validate_data(self, X, dtype=network.dtype, reset=False, **ACCEPTED, **checks)

    def _is_plainly_valid(self, X: Any, network: Network) -> bool:
        """Return whether X is what `validate_data` would return unchanged, if it is finite.

        Everything else goes to `validate_data`, for its conversions and its errors: it
        takes 55 us, as a network of 122-14-1 for 150 rows.
        """
        return (
            type(X) is np.ndarray
            and X.dtype == network.dtype
            and X.ndim == 2
            and X.size > 0
            and X.shape[1] == self.n_features_in_
            and X.flags.c_contiguous
            and X.flags.aligned
            and not hasattr(self, "feature_names_in_")
        )

    def _logits(self, X: Any) -> FloatArray:
        z = self._forward(X, kernels.LOGITS)[-1]
        return z.ravel() if self.n_outputs_ == 1 else z

    def _output_code(self) -> int:
        """Return what the kernels are to make of logits."""
        allowed = self._out_activations
        if self.out_activation_ not in allowed:
            names = " or ".join(map(repr, allowed))
            raise ValueError(f"out_activation_ must be {names}, got {self.out_activation_!r}.")
        return _OUTPUTS[self.out_activation_]
