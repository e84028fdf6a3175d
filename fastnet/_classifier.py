"""SigmoidMLPClassifier: scikit-learn's contract, and nothing else."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.special import log_expit, log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnet import kernels

from . import _dispatch
from ._network import FloatArray, Network
from ._prediction import forward
from ._solvers import SGD, Adam, Solver
from ._training import Data, Outcome, Progress, Rules, Trainer, loss_gradients, train

# Below, validation costs more than prediction.
_FEW_ELEMENTS = 10_000


class SigmoidMLPClassifier(ClassifierMixin, BaseEstimator):
    """Multi-layer perceptron of sigmoid units, trained by compiled kernels.

    A drop-in for ``sklearn.neural_network.MLPClassifier(activation="logistic")``: the
    parameters that both have mean the same, and the same `random_state` gives the same
    model to rounding. The result does not depend on the number of threads.

    Parameters
    ----------
    hidden_layer_sizes : array-like of shape (n_layers - 2,), default=(100,)
        Units of each hidden layer. ``()`` is logistic regression.
    activation : {'logistic'}, default='logistic'
        Activation of the hidden layers, the sigmoid ``1 / (1 + exp(-z))``.
    solver : {'sgd', 'adam'}, default='adam'
        Stochastic gradient descent or Adam [1]_.
    alpha : float, default=0.0001
        Strength of the L2 penalty, divided by the size of a mini-batch.
    batch_size : int or 'auto', default='auto'
        Samples in a mini-batch: 1 for descent per sample, the number of samples for the
        full batch; "auto" is ``min(200, n_samples)``.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Schedule of the learning rate, for ``solver='sgd'``: constant; divided after
        each epoch so that it is ``learning_rate_init / (t_ + 1) ** power_t``; or divided
        by 5 where training would otherwise stop.
    learning_rate_init : float, default=0.001
        Initial learning rate.
    power_t : float, default=0.5
        Exponent of ``learning_rate='invscaling'``.
    max_iter : int, default=200
        Most epochs.
    shuffle : bool, default=True
        Whether to draw a new order of the samples for each epoch.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, the validation set and the order of samples.
    tol : float, default=1e-4
        Improvement of the loss (or validation score) that counts as one.
    verbose : bool, default=False
        Whether to print the loss of each epoch.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the previous call.
    momentum : float, default=0.9
        Momentum of ``solver='sgd'``.
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to set aside a validation set, stop when its accuracy no longer
        improves, and keep the weights that scored best.
    validation_fraction : float, default=0.1
        Share of the samples set aside by `early_stopping`.
    beta_1, beta_2 : float, default=0.9 and 0.999
        Decay of Adam's moments.
    epsilon : float, default=1e-8
        Adam's guard against division by zero.
    n_iter_no_change : int, default=10
        Epochs without improvement after which training stops; may be ``np.inf``.
    max_fun : int, default=15000
        For scikit-learn's ``solver='lbfgs'``, which is not available here; ignored.
    loss : {'log_loss', 'squared_error'}, default='log_loss'
        Cross-entropy of a sigmoid output (two classes, multilabel) or of a softmax
        (more classes); or the squared differences between sigmoid outputs and targets,
        summed over outputs and averaged over samples.
    fit_intercept : bool, default=True
        Whether units have biases.
    init : {'glorot_uniform', 'normal'}, default='glorot_uniform'
        Distribution of the initial weights and biases: scikit-learn's [2]_, or normal
        of mean 0 and variance 1.
    n_jobs : int or None, default=None
        Threads. None is all that the process may use, other values as in joblib.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels; of multilabel targets, the indices of the outputs.
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        Weights of each layer.
    intercepts_ : list of ndarray of shape (fan_out,)
        Biases of each layer.
    loss_ : float
        Loss of the last epoch.
    best_loss_ : float or None
        Lowest loss; None with `early_stopping`.
    loss_curve_ : list of float
        Loss of each epoch: the mean over its mini-batches, penalty included.
    validation_scores_ : list of float or None
        Validation accuracy after each epoch; None without `early_stopping`.
    best_validation_score_ : float or None
        Highest validation accuracy; None without `early_stopping`.
    n_iter_ : int
        Epochs of the last call of `fit`.
    t_ : int
        Training samples seen, repetitions included.
    n_layers_ : int
        Layers, input and output included.
    n_outputs_ : int
        Units of the output layer.
    out_activation_ : str
        "logistic" or "softmax".
    n_features_in_ : int
        Features seen by `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where all are strings.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : Other activations, on BLAS and numpy.

    Notes
    -----
    float32 X is trained on and predicted with in float32, everything else in float64.
    The loss is computed from logits, so it is finite where scikit-learn clips it.

    References
    ----------
    .. [1] Kingma and Ba, "Adam: a method for stochastic optimization", 2014.
    .. [2] Glorot and Bengio, "Understanding the difficulty of training deep feedforward
       neural networks", AISTATS 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from fastnet import SigmoidMLPClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> model = SigmoidMLPClassifier((16,), learning_rate_init=0.02, tol=1e-3, random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), model).fit(X_train, y_train)
    >>> pipeline.predict(X_test[:5])
    array([0, 1, 1, 1, 1])
    >>> bool(pipeline.score(X_test, y_test) > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MLPClassifier._parameter_constraints,
        "activation": [StrOptions({"logistic"})],
        "solver": [StrOptions({"sgd", "adam"})],
        "loss": [StrOptions({"log_loss", "squared_error"})],
        "fit_intercept": ["boolean"],
        "init": [StrOptions({"glorot_uniform", "normal"})],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
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
        loss: str = "log_loss",
        fit_intercept: bool = True,
        init: str = "glorot_uniform",
        n_jobs: int | None = None,
    ) -> None:
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
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.init = init
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        *,
        coefs_init: Sequence[npt.ArrayLike] | None = None,
        intercepts_init: Sequence[npt.ArrayLike] | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels, or for multilabel an indicator matrix.
        coefs_init : list of array-like of shape (fan_in, fan_out), optional
            Initial weights, instead of drawn ones.
        intercepts_init : list of array-like of shape (fan_out,), optional
            Initial biases, instead of drawn ones.

        Returns
        -------
        self : SigmoidMLPClassifier
            The fitted estimator. After Ctrl-C, with a warning, the state at the last
            complete epoch.

        Raises
        ------
        ValueError
            If an input is not valid or the loss does not stay finite; the estimator is
            then as it was before the call.
        """
        with self._unchanged_on_error():
            return self._fit(X, y, coefs_init=coefs_init, intercepts_init=intercepts_init)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, classes: npt.ArrayLike | None = None) -> Self:
        """Train for one epoch on the given samples, from where the last call ended.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels.
        classes : array-like of shape (n_classes,), optional
            All labels there will be; needed by the first call, and only by it.

        Returns
        -------
        self : SigmoidMLPClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If an input is not valid, `early_stopping` is set, or the loss does not stay
            finite; the estimator is then as it was before the call.
        """
        with self._unchanged_on_error():
            if self.early_stopping:
                raise ValueError("partial_fit does not support early_stopping=True")
            if _check_partial_fit_first_call(self, classes):
                is_multilabel = type_of_target(y).startswith("multilabel")
                self._label_binarizer = LabelBinarizer().fit(y if is_multilabel else classes)
            return self._fit(X, y, incremental=True)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable label of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Labels, or for multilabel an indicator matrix.
        """
        check_is_fitted(self)
        return self._labels(self._logits(X))

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probability of each class, or of each label.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`. With ``loss='squared_error'`` and
            more than two classes, the sigmoid outputs divided by their sum.
        """
        check_is_fitted(self)
        if self._normalises():
            return softmax(log_expit(self._logits(X)), axis=1)
        output = kernels.PAIR if self.n_outputs_ == 1 else self._output_code()
        return self._forward(X, output)[-1]

    def predict_log_proba(self, X: Any) -> FloatArray:
        """Return the logarithms of `predict_proba`, finite for any finite logit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Log-probabilities, in the order of `classes_`.
        """
        check_is_fitted(self)
        z = self._logits(X)
        if self._normalises():
            return log_softmax(log_expit(z), axis=1)
        if self.out_activation_ == "softmax":
            return log_softmax(z, axis=1)
        if self.n_outputs_ > 1:
            return log_expit(z)
        return np.column_stack([log_expit(-z), log_expit(z)])

    def decision_function(self, X: Any) -> FloatArray:
        """Return the logits: what the output layer's activation is applied to.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        z : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Logits; one column is returned flat.
        """
        check_is_fitted(self)
        return self._logits(X)

    def activations(self, X: Any) -> list[FloatArray]:
        """Return what every layer gives out, the input first and the output last.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        activations : list of ndarray of shape (n_samples, n_units)
            One array per layer.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnet import SigmoidMLPClassifier
        >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1]
        >>> model = SigmoidMLPClassifier((3,), max_iter=1, tol=1.0, n_iter_no_change=1)
        >>> [a.shape for a in model.partial_fit(X, y, classes=[0, 1]).activations(X)]
        [(4, 1), (4, 3), (4, 1)]
        """
        check_is_fitted(self)
        return self._forward(X, self._output_code(), first_layer=0)

    def loss_gradients(
        self, X: Any, y: Any, alpha: float = 0.0
    ) -> tuple[float, list[FloatArray], list[FloatArray]]:
        """Return the mean loss at the current weights, and its gradient.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels, all of them in `classes_`.
        alpha : float, default=0.0
            Strength of an L2 penalty ``alpha / 2 / n_samples * sum of squared weights``
            to include.

        Returns
        -------
        loss : float
            Mean loss.
        coef_gradients : list of ndarray of shape (fan_in, fan_out)
            Derivatives by the weights of each layer.
        intercept_gradients : list of ndarray of shape (fan_out,)
            Derivatives by the biases of each layer; zeros where there are none.

        Raises
        ------
        ValueError
            If an input is not valid, or the loss is not finite.
        """
        check_is_fitted(self)
        network = replace(self._network(), fit_intercept=self.fit_intercept)
        X, y = validate_data(
            self, X, y, dtype=network.dtype, order="C", multi_output=True, reset=False
        )
        self._check_known(unique_labels(y))
        data = Data(X, self._targets(y), np.arange(len(X)))
        params = network.pack(self.coefs_, self.intercepts_)
        n_threads = _dispatch.effective_n_threads(self.n_jobs)
        loss, grad = loss_gradients(network, params, self._loss_code(), data, alpha, n_threads)
        return loss, *network.views(grad)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @contextmanager
    def _unchanged_on_error(self) -> Iterator[None]:
        """Put every attribute back if anything is raised."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            self.__dict__ = before
            raise

    def _fit(
        self,
        X: Any,
        y: Any,
        *,
        incremental: bool = False,
        coefs_init: Sequence[npt.ArrayLike] | None = None,
        intercepts_init: Sequence[npt.ArrayLike] | None = None,
    ) -> Self:
        hidden = self._hidden_sizes()
        starts = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._validate(X, y, incremental, starts)
        Y = self._targets(y)
        random_state = check_random_state(self.random_state)
        if starts:
            network = Network((X.shape[1], *hidden, Y.shape[1]), self.fit_intercept, X.dtype)
            coefs, intercepts = network.views(network.initial_parameters(self.init, random_state))
        else:
            network = replace(self._network(), fit_intercept=self.fit_intercept)
            coefs, intercepts = self.coefs_, self.intercepts_
        params = network.pack(
            coefs if coefs_init is None else coefs_init,
            intercepts if intercepts_init is None else intercepts_init,
        )
        if not np.isfinite(params).all():
            raise ValueError("Initial coefs and intercepts must be finite.")
        if incremental and hasattr(self, "_solver") and not starts:
            solver = self._solver.copy()
        else:
            solver = self._new_solver().allocate(params.size, network.dtype)
        rows, score = self._split(X, Y, network, random_state)
        rules = self._rules(len(rows), incremental)
        trainer = Trainer(
            network,
            params,
            solver,
            self._loss_code(),
            Data(X, Y, rows),
            rules.batch_size,
            self.alpha,
            _dispatch.effective_n_threads(self.n_jobs),
        )
        progress = self._progress(starts)
        outcome = train(trainer, progress, rules, random_state, score)
        self._commit(trainer, progress)
        if outcome is Outcome.INTERRUPTED:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        elif outcome is Outcome.MAX_ITER and not incremental:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) "
                "reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=4,
            )
        return self

    def _hidden_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        hidden = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if any(size <= 0 for size in hidden):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        return [int(size) for size in hidden]

    def _validate(self, X: Any, y: Any, incremental: bool, starts: bool) -> tuple[FloatArray, Any]:
        """Check X and y, and set or check `classes_`, as MLPClassifier does."""
        dtype = (np.float64, np.float32) if starts else self._network().dtype
        X, y = validate_data(self, X, y, dtype=dtype, order="C", multi_output=True, reset=starts)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
            return X, y
        classes = unique_labels(y)
        if self.warm_start and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same "
                "classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {classes}"
            )
        self._check_known(classes)
        return X, y

    def _check_known(self, classes: npt.NDArray[Any]) -> None:
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _targets(self, y: Any) -> npt.NDArray[np.uint8]:
        """Return y as zeros and ones, one column per output."""
        return np.ascontiguousarray(self._label_binarizer.transform(y), np.uint8)

    def _network(self) -> Network:
        """Return the fitted network's shape; without biases, they are zeros."""
        coefs = [np.asarray(coef) for coef in self.coefs_]
        sizes = (self.n_features_in_, *(coef.shape[-1] for coef in coefs))
        is_single = all(coef.dtype == np.float32 for coef in coefs)
        return Network(sizes, True, np.dtype(np.float32 if is_single else np.float64))

    def _is_multiclass(self) -> bool:
        return bool(self._label_binarizer.y_type_ == "multiclass")

    def _loss_code(self) -> int:
        if self.loss == "squared_error":
            return kernels.SQUARED_ERROR
        if self._is_multiclass():
            return kernels.CATEGORICAL_LOG_LOSS
        return kernels.BINARY_LOG_LOSS

    def _new_solver(self) -> Solver:
        if self.solver == "adam":
            return Adam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        return SGD(
            self.learning_rate_init,
            self.learning_rate,
            self.power_t,
            self.momentum,
            self.nesterovs_momentum,
        )

    def _rules(self, n_samples: int, incremental: bool) -> Rules:
        batch_size = min(200, n_samples)
        if not isinstance(self.batch_size, str):
            if self.batch_size > n_samples:
                warnings.warn(
                    "Got `batch_size` less than 1 or larger than "
                    "sample size. It is going to be clipped",
                    stacklevel=5,
                )
            batch_size = min(int(self.batch_size), n_samples)
        return Rules(
            batch_size=batch_size,
            max_iter=1 if incremental else self.max_iter,
            shuffle=self.shuffle,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            verbose=bool(self.verbose),
        )

    def _split(
        self,
        X: FloatArray,
        Y: npt.NDArray[np.uint8],
        network: Network,
        random_state: np.random.RandomState,
    ) -> tuple[npt.NDArray[np.int64], Callable[[FloatArray], float] | None]:
        """Return the rows to train on, and for early stopping how to score the others."""
        rows = np.arange(len(X))
        if not self.early_stopping:
            return rows, None
        # The draws are scikit-learn's: stratified only for a single output.
        rows, held_out = train_test_split(
            rows,
            random_state=random_state,
            test_size=self.validation_fraction,
            stratify=Y.ravel() if Y.shape[1] == 1 else None,
        )
        if len(held_out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' "
                "or the size of your dataset."
            )
        X_val, y_val = X[held_out], self._labels(Y[held_out])

        def score(params: FloatArray) -> float:
            (z,), _ = forward(network, params, X_val, kernels.LOGITS, n_jobs=self.n_jobs)
            return float(accuracy_score(y_val, self._labels(z)))

        return rows, score

    def _progress(self, starts: bool) -> Progress:
        progress = Progress.start(self.early_stopping)
        if starts:
            return progress
        progress.t = self.t_
        progress.loss_curve = list(self.loss_curve_)
        progress.no_improvement_count = self._no_improvement_count
        if self.early_stopping and self.validation_scores_ is not None:
            progress.validation_scores = list(self.validation_scores_)
            progress.best_validation_score = self.best_validation_score_
        elif not self.early_stopping and self.best_loss_ is not None:
            progress.best_loss = self.best_loss_
        return progress

    def _commit(self, trainer: Trainer, progress: Progress) -> None:
        """Set every fitted attribute."""
        self.coefs_, self.intercepts_ = trainer.network.views(trainer.params)
        self._solver = trainer.solver
        self.n_layers_ = len(trainer.network.sizes)
        self.n_outputs_ = trainer.network.sizes[-1]
        uses_softmax = trainer.loss == kernels.CATEGORICAL_LOG_LOSS
        self.out_activation_ = "softmax" if uses_softmax else "logistic"
        self.n_iter_ = progress.n_iter
        self.t_ = progress.t
        self.loss_curve_ = progress.loss_curve
        self.loss_ = progress.loss_curve[-1] if progress.loss_curve else np.inf
        self.best_loss_ = progress.best_loss
        self.validation_scores_ = progress.validation_scores
        self.best_validation_score_ = progress.best_validation_score
        self._no_improvement_count = progress.no_improvement_count

    def _forward(self, X: Any, output: int, first_layer: int | None = None) -> list[FloatArray]:
        """Check X and return the activations from a layer on, by default the last."""
        network = self._network()
        given = X
        if not self._is_plainly_valid(X, network):
            X = self._validated(X, network, ensure_all_finite=False)
        params = network.flat(self.coefs_, self.intercepts_)
        layers, is_finite = forward(network, params, X, output, first_layer, self.n_jobs)
        if not is_finite:
            # Only now, because a pass over X can take a third of the time.
            self._validated(given, network)
        return layers if first_layer is None else [X, *layers]

    def _validated(self, X: Any, network: Network, **checks: Any) -> FloatArray:
        """Return X as the kernels want it, or raise scikit-learn's error."""
        return validate_data(self, X, dtype=network.dtype, order="C", reset=False, **checks)

    def _is_plainly_valid(self, X: Any, network: Network) -> bool:
        """Return whether a few rows are what `validate_data` would return unchanged.

        Everything else goes to `validate_data`, for its conversions and its errors: it
        takes 55 us, the network 12.
        """
        return (
            type(X) is np.ndarray
            and X.dtype == network.dtype
            and X.ndim == 2
            and 0 < X.size <= _FEW_ELEMENTS
            and X.shape[1] == self.n_features_in_
            and X.flags.c_contiguous
            and X.flags.aligned
            and not hasattr(self, "feature_names_in_")
        )

    def _logits(self, X: Any) -> FloatArray:
        z = self._forward(X, kernels.LOGITS)[-1]
        return z.ravel() if self.n_outputs_ == 1 else z

    def _output_code(self) -> int:
        return kernels.SOFTMAX if self.out_activation_ == "softmax" else kernels.SIGMOID

    def _normalises(self) -> bool:
        """Return whether probabilities are sigmoids that must be made to sum to 1."""
        return self._is_multiclass() and self.out_activation_ == "logistic"

    def _labels(self, outputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the labels that logits, or zeros and ones, stand for."""
        return self._label_binarizer.inverse_transform(outputs, threshold=0)
