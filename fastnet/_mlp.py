"""What classifier and regressor share on top of checked targets: `fit`, layers, gradients."""

from collections.abc import Callable
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.metrics import get_scorer_names

from ._base import BaseSigmoidMLP
from ._engine import derivatives, dispatch
from ._engine.features import Features
from ._engine.network import FloatArray, Network
from ._engine.solvers import SCHEDULES
from ._engine.trainer import DivergedError, loss_gradients
from ._fit import fit_estimator
from ._inputs import Samples, known_samples
from ._sklearn import Interval, StrOptions

# Constraints of parameters that scikit-learn's classes lack, or that fastnet has its own list of.
OWN_CONSTRAINTS: dict[str, list[Any]] = {
    "activation": [StrOptions({"logistic"})],
    "solver": [StrOptions({"lbfgs", "sgd", "adam", "rprop"})],
    "learning_rate": [StrOptions(set(SCHEDULES))],
    "fit_intercept": ["boolean"],
    "init": [StrOptions({"glorot_uniform", "normal"})],
    "scoring": [StrOptions({*get_scorer_names(), "loss"}), callable, None],
    "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
    "n_jobs": [Integral, None],
}


def has_partial_fit(estimator: BaseSigmoidMLP) -> bool:
    """Return True, or raise scikit-learn's error where a solver has no `partial_fit`."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic"
            f" optimizers. {estimator.solver} is not stochastic."
        )
    return True


class SigmoidMLP(BaseSigmoidMLP):
    """A network of sigmoids that is trained, with the derivatives of its loss and outputs."""

    def _fit_all(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        held_out: tuple[Any, Any, Any],
        initial: tuple[Any, Any],
    ) -> Self:
        """Do what `fit` does."""

        def train(trained: Self) -> None:
            fit_estimator(trained, X, y, sample_weight, held_out=held_out, initial=initial)

        return self._trained_by(train)

    def _fit_part(
        self, X: Any, y: Any, sample_weight: Any, begin: Callable[[Self], None] | None = None
    ) -> Self:
        """Do what `partial_fit` does; `begin` is called with what is to be trained."""

        def train(trained: Self) -> None:
            if trained.early_stopping:
                raise ValueError("partial_fit does not support early_stopping=True")
            if begin is not None:
                begin(trained)
            fit_estimator(trained, X, y, sample_weight, incremental=True)

        return self._trained_by(train)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def activations(self, X: Any) -> list[FloatArray]:
        """Return what every layer gives out, the input first and the output last.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        activations : list of ndarray of shape (n_samples, n_units)
            One array per layer. The first is a copy of X, as a CSR matrix if X is sparse.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnet import SigmoidMLPClassifier
        >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1]
        >>> model = SigmoidMLPClassifier((3,), max_iter=1, tol=1.0, n_iter_no_change=1)
        >>> [a.shape for a in model.partial_fit(X, y, classes=[0, 1]).activations(X)]
        [(4, 1), (4, 3), (4, 1)]
        """
        model = self._fitted()
        return model._forward(X, model._output_code(), all_layers=True)

    def loss_gradients(
        self,
        X: Any,
        y: Any,
        sample_weight: npt.ArrayLike | None = None,
        *,
        alpha: float = 0.0,
    ) -> tuple[float, list[FloatArray], list[FloatArray]]:
        """Return the mean loss at the current weights, and its gradient.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels, all of them in `classes_`, or targets.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample; by default 1. A classifier multiplies it by `class_weight`.
        alpha : float, default=0.0
            Strength of an L2 penalty to include: ``alpha / 2`` times the sum of squared
            weights, divided by the number of samples, or by the sum of their weights.

        Returns
        -------
        loss : float
            Mean loss, penalty included. A regressor's squared error is the mean over the targets.
        coef_gradients : list of ndarray of shape (fan_in, fan_out)
            Derivatives of the loss by the weights of each layer. For a regressor's squared error
            of several targets they are those of the sum over the targets, as in `MLPRegressor`.
        intercept_gradients : list of ndarray of shape (fan_out,)
            Derivatives by the biases of each layer; zeros where there are none.

        Raises
        ------
        ValueError
            If an input is not valid, or the loss is not finite.
        """
        model = self._fitted()
        network, samples = model._network_and_samples(X, y, sample_weight)
        data = samples.data(np.arange(len(samples.Y)))
        params = network.pack(model.coefs_, model.intercepts_)
        n_threads = dispatch.effective_n_threads(model.n_jobs)
        try:
            loss, grad = loss_gradients(network, params, model._loss(), data, alpha, n_threads)
        except DivergedError:
            raise ValueError("The loss is not finite at these weights and features.") from None
        return loss, *network.views(grad)

    def sample_gradients(self, X: Any, y: Any) -> tuple[list[FloatArray], list[FloatArray]]:
        """Return the gradient of each sample's own loss, without penalty or weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels, all of them in `classes_`, or targets.

        Returns
        -------
        coef_gradients : list of ndarray of shape (n_samples, fan_in, fan_out)
            Derivatives by the weights of each layer; views of one array of
            ``n_samples * n_parameters`` elements.
        intercept_gradients : list of ndarray of shape (n_samples, fan_out)
            Derivatives by the biases of each layer; zeros where there are none.

        Raises
        ------
        ValueError
            If an input is not valid.

        Examples
        --------
        Their mean is the gradient of the mean loss:

        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from fastnet import SigmoidMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = SigmoidMLPClassifier((4,), random_state=0).partial_fit(X, y, classes=[0, 1, 2])
        >>> coef_gradients, _ = model.sample_gradients(X, y)
        >>> coef_gradients[0].shape
        (150, 4, 4)
        >>> _, means, _ = model.loss_gradients(X, y)
        >>> np.allclose(coef_gradients[0].mean(axis=0), means[0])
        True
        """
        model = self._fitted()
        network, samples = model._network_and_samples(X, y)
        params = network.flat(model.coefs_, model.intercepts_)
        grads = derivatives.sample_gradients(
            network, params, Features.of(samples.X), samples.Y, model._loss(), model.n_jobs
        )
        return network.views(grads)

    def input_gradients(self, X: Any) -> FloatArray:
        """Return the derivative of each output by each feature.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        gradients : ndarray of shape (n_samples, n_outputs_, n_features)
            Derivatives of the last of `activations`. For a classifier these outputs are the
            probabilities of `classes_`, for two classes that of the second only; with
            ``loss='squared_error'`` and more than two classes they are sigmoids that do not sum
            to 1. For a regressor they are what `predict` returns.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastnet import SigmoidMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = SigmoidMLPClassifier((4,), random_state=0).partial_fit(X, y, classes=[0, 1, 2])
        >>> gradients = model.input_gradients(X)
        >>> gradients.shape
        (150, 3, 4)

        Probabilities add up to 1, whatever the features, so their derivatives to 0:

        >>> bool(abs(gradients.sum(axis=1)).max() < 1e-12)
        True
        """
        model = self._fitted()
        network = model._network()
        X = model._validated(X, network)
        params = network.flat(model.coefs_, model.intercepts_)
        return derivatives.input_gradients(
            network, params, Features.of(X), model._output_code(), model.n_jobs
        )

    def _network_and_samples(
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> tuple[Network, Samples]:
        """Check samples; return them and the network, with biases only if it has any."""
        network = self._network()
        samples = known_samples(self, X, y, sample_weight, network)
        return replace(network, fit_intercept=self.fit_intercept), samples
