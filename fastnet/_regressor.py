"""SigmoidMLPRegressor: scikit-learn's contract, and nothing else."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.neural_network import MLPRegressor
from sklearn.utils import assert_all_finite
from sklearn.utils.metaestimators import available_if

from ._convert import (
    check_convertible,
    copy_from_sklearn,
    set_weights,
    shared_parameters,
    to_sklearn,
)
from ._engine import losses
from ._engine.features import aligned
from ._engine.network import FloatArray
from ._mlp import OWN_CONSTRAINTS, SigmoidMLP, has_partial_fit
from ._sklearn import StrOptions, fit_context

_LOSSES = {
    "squared_error": losses.HALF_SQUARED_ERROR,
    "poisson": losses.HALF_POISSON_DEVIANCE,
}


class SigmoidMLPRegressor(RegressorMixin, SigmoidMLP):
    """Multi-layer perceptron of sigmoid units for regression, trained by compiled kernels.

    A drop-in for ``sklearn.neural_network.MLPRegressor(activation="logistic")``: the
    parameters that both have mean the same, and the same `random_state` gives the same
    model to rounding. The result does not depend on the number of threads.

    Parameters
    ----------
    loss : {'squared_error', 'poisson'}, default='squared_error'
        'squared_error' is half the squared error, averaged over several targets; each output is
        a weighted sum of the last hidden layer. 'poisson' is half the Poisson deviance, summed
        over several targets; each output is the exponential of a weighted sum, and no target
        may be negative.
    hidden_layer_sizes : array-like of shape (n_layers - 2,), default=(100,)
        Units of each hidden layer. ``()`` is a linear model.
    activation : {'logistic'}, default='logistic'
        Activation of the hidden layers, the sigmoid ``1 / (1 + exp(-z))``.
    solver : {'lbfgs', 'sgd', 'adam', 'rprop'}, default='adam'
        "sgd" is stochastic gradient descent, "adam" is Adam [1]_. On the full batch, "lbfgs" is
        scipy's L-BFGS and "rprop" is iRPROP- [3]_, where each weight has a step of its own that
        begins at `learning_rate_init`.
    alpha : float, default=0.0001
        Strength of the L2 penalty, which is divided by the size of a mini-batch, or by the sum
        of its sample weights.
    batch_size : int or 'auto', default='auto'
        Samples in a mini-batch: 1 for descent per sample, the number of samples for the
        full batch, which "lbfgs" and "rprop" always take; "auto" is
        ``min(200, n_samples)``.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Schedule of the learning rate of ``solver='sgd'``. "constant": no change. "invscaling":
        ``learning_rate_init / (t_ + 1) ** power_t`` after each epoch. "adaptive": divided by 5
        where training would otherwise stop.
    learning_rate_init : float, default=0.001
        Initial learning rate.
    power_t : float, default=0.5
        Exponent of ``learning_rate='invscaling'``.
    max_iter : int, default=200
        Maximum number of epochs (iterations for "lbfgs").
    shuffle : bool, default=True
        Whether to draw a new order of the samples for each epoch.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, the validation set and the order of samples.
    tol : float, default=1e-4
        Smallest improvement of the loss (or validation score) that counts. "lbfgs" has
        converged when no derivative of the loss is larger than `tol`.
    verbose : bool, default=False
        Whether to print the loss of each epoch, and a line for each kernel that is compiled. The
        logger "fastnet" gets that line in any case, at level INFO.
    warm_start : bool, default=False
        Whether `fit` continues where the previous call stopped: with its weights and the
        state of its solver, but with the parameters as they are now.
    momentum : float, default=0.9
        Momentum of ``solver='sgd'``.
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to set aside a validation set (or take the one given to `fit`), stop when
        its score no longer improves, and keep the weights that scored best. "lbfgs" does so
        only if `fit` is given a validation set.
    validation_fraction : float, default=0.1
        Share of the samples set aside by `early_stopping`.
    beta_1, beta_2 : float, default=0.9 and 0.999
        Decay of Adam's moments.
    epsilon : float, default=1e-8
        Adam's guard against division by zero.
    n_iter_no_change : int, default=10
        Epochs without improvement after which training stops; may be ``np.inf``.
    max_fun : int, default=15000
        Maximum number of evaluations of the loss by ``solver='lbfgs'``.
    fit_intercept : bool, default=True
        Whether units have biases.
    init : {'glorot_uniform', 'normal'}, default='glorot_uniform'
        Distribution of the initial weights and biases: scikit-learn's [2]_, or normal
        of mean 0 and variance 1.
    scoring : str, callable or None, default=None
        What validation is judged by, higher being better: None is the coefficient of
        determination R², "loss" the negative loss, others as in scikit-learn.
    max_grad_norm : float or None, default=None
        Largest norm of a step's gradient, over all weights and biases. A longer gradient is
        shortened to it [4]_. It has no effect on "lbfgs", nor on "rprop", which uses signs only.
    n_jobs : int or None, default=None
        Threads. None is all that the process may use, other values as in joblib.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        Weights of each layer.
    intercepts_ : list of ndarray of shape (fan_out,)
        Biases of each layer.
    loss_ : float
        Loss of the last epoch.
    best_loss_ : float or None
        Lowest loss; None if early stopping judged by validation scores.
    loss_curve_ : list of float
        Loss of each epoch: the mean over its mini-batches, penalty included.
    validation_scores_ : list of float or None
        Score (`scoring`) of the validation set after each epoch; None without one.
    validation_loss_curve_ : list of float or None
        Mean loss of the validation set after each epoch, without penalty; None without
        one.
    best_validation_score_ : float or None
        Highest of `validation_scores_`; None without a validation set.
    n_iter_ : int
        Epochs (iterations of "lbfgs") of the last call of `fit`; 1 after `partial_fit`.
    t_ : int
        Training samples seen, repetitions included; "lbfgs" does not count them.
    n_layers_ : int
        Layers, input and output included.
    n_outputs_ : int
        Units of the output layer.
    out_activation_ : str
        "identity" or "exp".
    n_features_in_ : int
        Features seen by `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where all are strings.

    See Also
    --------
    sklearn.neural_network.MLPRegressor : Other activations, on BLAS and numpy.
    SigmoidMLPClassifier : The same for labels.

    Notes
    -----
    The notes of `SigmoidMLPClassifier` hold here too. float32 X is trained on and predicted with
    in float32, everything else in float64. Sparse X is never made dense, except a few hundred
    rows at a time. Training can be continued exactly.

    References
    ----------
    .. [1] Kingma and Ba, "Adam: a method for stochastic optimization", 2014.
    .. [2] Glorot and Bengio, "Understanding the difficulty of training deep feedforward
       neural networks", AISTATS 2010.
    .. [3] Igel and Huesken, "Empirical evaluation of the improved Rprop learning
       algorithms", Neurocomputing 50, 2003.
    .. [4] Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural
       networks", ICML 2013.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from fastnet import SigmoidMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> model = SigmoidMLPRegressor(
    ...     hidden_layer_sizes=(8,), solver="lbfgs", alpha=100, max_iter=500, random_state=0
    ... )
    >>> pipeline = make_pipeline(StandardScaler(), model)
    >>> bool(pipeline.fit(X_train, y_train).score(X_test, y_test) > 0.3)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MLPRegressor._parameter_constraints,
        **OWN_CONSTRAINTS,
        "loss": [StrOptions(set(_LOSSES))],
    }
    _out_activations = ("identity", "exp")
    _y_numeric = True

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "logistic",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        fit_intercept: bool = True,
        init: str = "glorot_uniform",
        scoring: Any = None,
        max_grad_norm: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.fit_intercept = fit_intercept
        self.init = init
        self.scoring = scoring
        self.max_grad_norm = max_grad_norm
        self.n_jobs = n_jobs

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: npt.ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: npt.ArrayLike | None = None,
        coefs_init: Sequence[npt.ArrayLike] | None = None,
        intercepts_init: Sequence[npt.ArrayLike] | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; not negative for ``loss='poisson'``.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample; by default 1.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), optional
            Features to validate on after each epoch. With `early_stopping` they take the
            place of samples set aside; without it, their score and loss are only recorded.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), optional
            Targets of X_val.
        sample_weight_val : array-like of shape (n_val,), optional
            Weights of these samples; by default 1.
        coefs_init : list of array-like of shape (fan_in, fan_out), optional
            Weights of each layer to start from, in place of random ones.
        intercepts_init : list of array-like of shape (fan_out,), optional
            Biases of each layer to start from.

        Returns
        -------
        self : SigmoidMLPRegressor
            The fitted estimator. If Ctrl-C came after the first epoch, it is as at the end of
            the last, or of one in the last 50 ms, and a warning says so.

        Raises
        ------
        ValueError
            If an input is not valid or the loss is not finite in the first epoch. Whatever
            is raised, the estimator is as it was before the call.
        TypeError
            If y is sparse, or `coefs_init` or `intercepts_init` is not a list of arrays.
        KeyboardInterrupt
            If Ctrl-C comes before the end of the first epoch.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If `max_iter` was reached, or "lbfgs" did not converge. If the loss was not finite in
            a later epoch: the model keeps the last finite weights, or with `early_stopping` those
            that scored best. If training has hardly moved the outputs of the network.
        UserWarning
            If Ctrl-C ended training, `batch_size` is larger than the number of samples, the
            state of the solver is missing in a loaded model, or X is a Dask collection.
        """
        held_out = X_val, y_val, sample_weight_val
        return self._fit_all(X, y, sample_weight, held_out, (coefs_init, intercepts_init))

    @available_if(has_partial_fit)
    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Train for one epoch on the given samples, from where the last call ended.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample; by default 1.

        Returns
        -------
        self : SigmoidMLPRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If an input is not valid, `early_stopping` is set, or the loss is not finite.
            Whatever is raised, the estimator is as it was before the call.
        TypeError
            If y is sparse.
        AttributeError
            If ``solver='lbfgs'``, for which this method does not exist.
        KeyboardInterrupt
            If Ctrl-C comes before the end of the epoch.
        """
        return self._fit_part(X, y, sample_weight)

    @classmethod
    def from_weights(
        cls, coefs: Sequence[npt.ArrayLike], intercepts: Sequence[npt.ArrayLike], **params: Any
    ) -> Self:
        """Build a fitted estimator from weights, without training.

        Parameters
        ----------
        coefs : list of array-like of shape (fan_in, fan_out)
            Weights of each layer. If all are float32, so is the network.
        intercepts : list of array-like of shape (fan_out,)
            Biases of each layer.
        **params : object
            Parameters of the constructor but `hidden_layer_sizes`, which follows from the
            weights.

        Returns
        -------
        model : SigmoidMLPRegressor
            The fitted estimator. `partial_fit` trains it further.

        Raises
        ------
        ValueError
            If shapes do not fit together, a number is not finite, or a parameter is not valid.
        TypeError
            If `hidden_layer_sizes` or an unknown parameter is given.

        Examples
        --------
        >>> from fastnet import SigmoidMLPRegressor
        >>> model = SigmoidMLPRegressor.from_weights([[[2], [-1]]], [[0.5]])
        >>> model.predict([[1, 1]])
        array([1.5])
        """
        if "hidden_layer_sizes" in params:
            raise TypeError("hidden_layer_sizes follows from coefs, and cannot be given.")
        model = cls(**params)
        set_weights(model, coefs, intercepts)
        return model

    @classmethod
    def from_sklearn(cls, mlp: MLPRegressor) -> Self:
        """Convert a fitted `MLPRegressor`.

        Parameters
        ----------
        mlp : sklearn.neural_network.MLPRegressor
            With ``activation='logistic'``, or no hidden layers.

        Returns
        -------
        model : SigmoidMLPRegressor
            With copies of its weights and its record of training, and with its values of the
            parameters that both classes have. The state of its solver is not copied:
            `partial_fit` starts with a fresh one.

        Raises
        ------
        ValueError
            If its hidden units are not sigmoids.
        TypeError
            If `mlp` is not an `MLPRegressor`.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        """
        check_convertible(mlp, MLPRegressor)
        model = cls(**shared_parameters(cls, mlp))
        copy_from_sklearn(model, mlp)
        return model

    def to_sklearn(self) -> MLPRegressor:
        """Convert to a fitted `MLPRegressor`, which predicts the same without fastnet.

        Returns
        -------
        mlp : sklearn.neural_network.MLPRegressor
            With copies of the weights, and with the values of the parameters that both classes
            have. Where it does not take a value, such as ``solver='rprop'``, its default stays.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        """
        return to_sklearn(self._fitted(), MLPRegressor, ())

    def predict(self, X: Any) -> FloatArray:
        """Return the value of each target.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Values.
        """
        kept = self._few_rows_of(X)
        y = None if kept is None else kept.predictions(X)
        if y is None:
            model = self._fitted()
            y = model._forward(X, model._output_code())[-1]
        return y.ravel() if y.shape[1] == 1 else y

    def _loss(self) -> losses.Loss:
        return _LOSSES[self.loss]

    def _learn_targets(self, y: Any, *, continues: bool) -> None:
        self._check_targets(y)

    def _check_targets(self, y: Any) -> None:
        if sparse.issparse(y):
            raise TypeError("Sparse data was passed for y, but dense data is required.")
        if y.dtype.kind not in "fiub":
            raise ValueError(f"y must be of real numbers, got dtype {y.dtype}.")
        if self.loss == "poisson" and (y < 0).any():
            raise ValueError("Some value(s) of y are negative, and loss='poisson' allows none.")

    def _encode(self, y: Any, dtype: npt.DTypeLike) -> FloatArray:
        Y = aligned(np.ascontiguousarray(y.reshape(len(y), -1), dtype))
        # scikit-learn checks objects for NaN only, and a float64 may be too large for float32.
        assert_all_finite(Y, input_name="y")
        return Y

    def _decode(self, outputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        y = np.exp(outputs) if self.loss == "poisson" else outputs
        return y.ravel() if y.shape[1] == 1 else y

    def _score_of(self, y: Any, predicted: Any, weights: FloatArray | None) -> float:
        if not np.isfinite(predicted).all():
            return np.nan
        return float(r2_score(y, predicted, sample_weight=weights))
