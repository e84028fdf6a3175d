"""SigmoidMLPClassifier: scikit-learn's contract, and nothing else."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.special import log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from fastnet import kernels

from ._convert import (
    check_convertible,
    copy_from_sklearn,
    set_weights,
    shared_parameters,
    to_sklearn,
)
from ._engine import losses
from ._engine.network import FloatArray
from ._labels import check_known, decode, encode, given_binarizer, log_odds
from ._mlp import OWN_CONSTRAINTS, SigmoidMLP, has_partial_fit
from ._sklearn import StrOptions, check_partial_fit_first_call, fit_context


class SigmoidMLPClassifier(ClassifierMixin, SigmoidMLP):
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
    loss : {'log_loss', 'squared_error'}, default='log_loss'
        Cross-entropy of a sigmoid output (two classes, multilabel) or of a softmax
        (more classes); or the squared differences between sigmoid outputs and targets,
        summed over outputs and averaged over samples.
    fit_intercept : bool, default=True
        Whether units have biases.
    init : {'glorot_uniform', 'normal'}, default='glorot_uniform'
        Distribution of the initial weights and biases: scikit-learn's [2]_, or normal
        of mean 0 and variance 1.
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weight of each class, multiplied into the sample weights. "balanced" is
        ``n_samples / (n_classes * np.bincount(y))``. For multilabel: a list with one dict per
        output, or "balanced".
    scoring : str, callable or None, default=None
        What validation is judged by, higher being better: None is accuracy, "loss" the
        negative loss, others as in scikit-learn.
    max_grad_norm : float or None, default=None
        Largest norm of a step's gradient, over all weights and biases. A longer gradient is
        shortened to it [4]_. It has no effect on "lbfgs", nor on "rprop", which uses signs only.
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
    Sparse X is never made dense, except a few hundred rows at a time. Predictions on sparse X
    have the bits of those on dense X. Training does too, unless at most an eighth of X is
    non-zero: products by zero may then be left out, and the model is the same to rounding.

    Training can be continued exactly, to the bit, if the order of the samples does not change
    (``shuffle=False``). Three ways then give the same model: N calls of `partial_fit` on the
    same samples; one `fit` with ``max_iter=N`` that is not stopped earlier; several calls of
    `fit` with ``warm_start=True`` that add up to N epochs. It may be pickled in between: the
    state of the solver is part of a pickle after `partial_fit`, and with ``warm_start=True``.
    Other pickles hold only the weights.

    docs/mlpclassifier.md lists what differs from `MLPClassifier`, and why.

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

    iRPROP- on the full batch, without a learning rate to find; all classes weigh the same:

    >>> model = SigmoidMLPClassifier((8,), solver="rprop", class_weight="balanced", random_state=0)
    >>> model = make_pipeline(StandardScaler(), model.set_params(tol=1e-3)).fit(X_train, y_train)
    >>> bool(model.score(X_test, y_test) > 0.95)
    True

    Gradient clipping tolerates a learning rate that is too high:

    >>> model = SigmoidMLPClassifier(solver="sgd", learning_rate_init=10.0, random_state=0)
    >>> model = make_pipeline(StandardScaler(), model.set_params(max_grad_norm=0.1))
    >>> bool(model.fit(X_train, y_train).score(X_test, y_test) > 0.95)
    True

    Calls of `partial_fit` go on where the last one stopped, also after a pickle:

    >>> import pickle
    >>> model = SigmoidMLPClassifier((4,), shuffle=False, random_state=0)
    >>> for _ in range(3):
    ...     model = pickle.loads(pickle.dumps(model.partial_fit(X, y, classes=[0, 1])))
    >>> straight = SigmoidMLPClassifier((4,), shuffle=False, random_state=0)
    >>> for _ in range(3):
    ...     straight = straight.partial_fit(X, y, classes=[0, 1])
    >>> bool((model.coefs_[0] == straight.coefs_[0]).all())
    True

    So does a second fit with ``warm_start``:

    >>> model = SigmoidMLPClassifier((8,), learning_rate_init=0.05, tol=1e-3, random_state=0)
    >>> X_train = StandardScaler().fit_transform(X_train)
    >>> n_first = model.set_params(warm_start=True).fit(X_train, y_train).n_iter_
    >>> model.fit(X_train, y_train).n_iter_ < n_first
    True

    With scikit-learn 1.9 or later, its callbacks:

    >>> from sklearn.callback import ScoringMonitor
    >>> monitor = ScoringMonitor(scoring="accuracy")
    >>> model = SigmoidMLPClassifier((4,), tol=1e-2, random_state=0).set_callbacks(monitor)
    >>> model = model.fit(StandardScaler().fit_transform(X), y)
    >>> scores = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    >>> len(scores) == model.n_iter_
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MLPClassifier._parameter_constraints,
        **OWN_CONSTRAINTS,
        "loss": [StrOptions({"log_loss", "squared_error"})],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }
    _out_activations = ("logistic", "softmax")

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
        class_weight: Any = None,
        scoring: Any = None,
        max_grad_norm: float | None = None,
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
        self.class_weight = class_weight
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
            Labels, or for multilabel an indicator matrix.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample; by default 1. It is multiplied by `class_weight`.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), optional
            Features to validate on after each epoch. With `early_stopping` they take the
            place of samples set aside; without it, their score and loss are only recorded.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), optional
            Their labels.
        sample_weight_val : array-like of shape (n_val,), optional
            Weights of these samples, multiplied by `class_weight`; by default 1.
        coefs_init : list of array-like of shape (fan_in, fan_out), optional
            Initial weights, instead of drawn ones.
        intercepts_init : list of array-like of shape (fan_out,), optional
            Initial biases, instead of drawn ones.

        Returns
        -------
        self : SigmoidMLPClassifier
            The fitted estimator. If Ctrl-C came after the first epoch, it is as at the end of
            the last, or of one in the last 50 ms, and a warning says so.

        Raises
        ------
        ValueError
            If an input is not valid or the loss is not finite in the first epoch. Whatever
            is raised, the estimator is as it was before the call.
        TypeError
            If `coefs_init` or `intercepts_init` is not a list of arrays.
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

        Examples
        --------
        Early stopping on the loss of a validation set of one's own:

        >>> from sklearn.datasets import load_wine
        >>> from sklearn.model_selection import train_test_split
        >>> from sklearn.preprocessing import scale
        >>> from fastnet import SigmoidMLPClassifier
        >>> X, y = load_wine(return_X_y=True)
        >>> X, X_val, y, y_val = train_test_split(scale(X), y, random_state=0)
        >>> model = SigmoidMLPClassifier(
        ...     (16,), learning_rate_init=0.05, early_stopping=True, scoring="loss", random_state=0
        ... ).fit(X, y, X_val=X_val, y_val=y_val)
        >>> model.best_validation_score_ == -min(model.validation_loss_curve_)
        True

        Features that are far too large are an error, ones that are far too small a warning:

        >>> model = SigmoidMLPClassifier((), solver="sgd", learning_rate_init=1e200, random_state=0)
        >>> model.fit([[1e200], [-1e200]], [0, 1])
        Traceback (most recent call last):
        ...
        ValueError: Solver produced non-finite parameter weights. The input data may contain ...
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     model = SigmoidMLPClassifier().fit([[1e-3], [2e-3], [3e-3], [4e-3]], [0, 0, 1, 1])
        >>> [str(warning.message)[:52] for warning in caught]
        ['Training has hardly moved the outputs of the network']
        """
        held_out = X_val, y_val, sample_weight_val
        return self._fit_all(X, y, sample_weight, held_out, (coefs_init, intercepts_init))

    @available_if(has_partial_fit)
    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: npt.ArrayLike | None = None,
        classes: npt.ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on the given samples, from where the last call ended.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample; by default 1. It is multiplied by `class_weight`.
        classes : array-like of shape (n_classes,), optional
            All labels there will be; needed by the first call, and only by it.

        Returns
        -------
        self : SigmoidMLPClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If an input is not valid, `early_stopping` is set, `class_weight` is
            "balanced", or the loss is not finite. Whatever is raised, the estimator is as it
            was before the call.
        AttributeError
            If ``solver='lbfgs'``, for which this method does not exist.
        KeyboardInterrupt
            If Ctrl-C comes before the end of the epoch.

        Examples
        --------
        Samples that arrive in parts:

        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from fastnet import SigmoidMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = SigmoidMLPClassifier((8,), random_state=0)
        >>> for part in np.array_split(np.random.default_rng(0).permutation(150), 3):
        ...     model = model.partial_fit(X[part], y[part], classes=[0, 1, 2])
        >>> model.t_
        150

        A changed learning rate takes effect, here one too small to change a weight:

        >>> before = [coef.copy() for coef in model.coefs_]
        >>> model = model.set_params(learning_rate_init=1e-30).partial_fit(X, y)
        >>> all(map(np.array_equal, before, model.coefs_))
        True
        """

        def begin(trained: Self) -> None:
            if trained.class_weight == "balanced":
                raise ValueError(
                    "class_weight 'balanced' is not supported for partial_fit: a part of the "
                    "samples does not tell the class frequencies. Use "
                    "sklearn.utils.class_weight.compute_class_weight, and pass what it "
                    "returns as a dict."
                )
            if check_partial_fit_first_call(trained, classes):
                is_multilabel = type_of_target(y).startswith("multilabel")
                trained._label_binarizer = LabelBinarizer().fit(y if is_multilabel else classes)

        return self._fit_part(X, y, sample_weight, begin)

    @classmethod
    def from_weights(
        cls,
        coefs: Sequence[npt.ArrayLike],
        intercepts: Sequence[npt.ArrayLike],
        classes: npt.ArrayLike | None,
        **params: Any,
    ) -> Self:
        """Build a fitted estimator from weights, without training.

        Parameters
        ----------
        coefs : list of array-like of shape (fan_in, fan_out)
            Weights of each layer. If all are float32, so is the network.
        intercepts : list of array-like of shape (fan_out,)
            Biases of each layer.
        classes : array-like of shape (n_classes,) or None
            Labels, sorted. One or two labels need a last layer of one unit, more labels one unit
            each. None: for multilabel, where each unit is a label of its own; with a single
            unit, the classes 0 and 1.
        **params : object
            Parameters of the constructor but `hidden_layer_sizes`, which follows from the
            weights.

        Returns
        -------
        model : SigmoidMLPClassifier
            The fitted estimator. `partial_fit` trains it further.

        Raises
        ------
        ValueError
            If shapes do not fit together, a number is not finite, a parameter is not valid, or
            `classes` are not sorted, not unique, or too few or too many for the last layer.
        TypeError
            If `hidden_layer_sizes` or an unknown parameter is given.

        Examples
        --------
        The exclusive or, as in the textbook:

        >>> from fastnet import SigmoidMLPClassifier
        >>> coefs = [[[20, -20], [20, -20]], [[20], [20]]]
        >>> model = SigmoidMLPClassifier.from_weights(coefs, [[-10, 30], [-30]], [0, 1])
        >>> model.predict([[0, 0], [0, 1], [1, 0], [1, 1]])
        array([0, 1, 1, 0])
        """
        if "hidden_layer_sizes" in params:
            raise TypeError("hidden_layer_sizes follows from coefs, and cannot be given.")
        model = cls(**params)
        set_weights(model, coefs, intercepts, lambda n: model._learn_classes(classes, n))
        return model

    @classmethod
    def from_sklearn(cls, mlp: MLPClassifier) -> Self:
        """Convert a fitted `MLPClassifier`.

        Parameters
        ----------
        mlp : sklearn.neural_network.MLPClassifier
            With ``activation='logistic'``, or no hidden layers.

        Returns
        -------
        model : SigmoidMLPClassifier
            With copies of its weights and its record of training, and with its values of the
            parameters that both classes have. The state of its solver is not copied:
            `partial_fit` starts with a fresh one.

        Raises
        ------
        ValueError
            If its hidden units are not sigmoids.
        TypeError
            If `mlp` is not an `MLPClassifier`.
        sklearn.exceptions.NotFittedError
            If it is not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from fastnet import SigmoidMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> mlp = MLPClassifier((4,), activation="logistic", solver="lbfgs", max_iter=1000)
        >>> model = SigmoidMLPClassifier.from_sklearn(mlp.fit(X, y))
        >>> np.allclose(model.predict_proba(X), mlp.predict_proba(X), rtol=1e-10)
        True
        """
        check_convertible(mlp, MLPClassifier)
        model = cls(**shared_parameters(cls, mlp))
        is_multilabel = mlp._label_binarizer.y_type_.startswith("multilabel")
        classes = None if is_multilabel else mlp.classes_
        copy_from_sklearn(model, mlp, lambda n: model._learn_classes(classes, n))
        return model

    def to_sklearn(self) -> MLPClassifier:
        """Convert to a fitted `MLPClassifier`, which predicts the same without fastnet.

        Returns
        -------
        mlp : sklearn.neural_network.MLPClassifier
            With copies of the weights, and with the values of the parameters that both classes
            have. Where it does not take a value, such as ``solver='rprop'``, its default stays.

        Raises
        ------
        ValueError
            If it has more than two classes and ``loss='squared_error'``, whose outputs
            `MLPClassifier` cannot represent.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastnet import SigmoidMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = SigmoidMLPClassifier((4,), solver="lbfgs", max_iter=1000).fit(X, y)
        >>> model.to_sklearn().score(X, y) == model.score(X, y)
        True
        """
        model = self._fitted()
        if model._normalises():
            raise ValueError(
                "MLPClassifier has a softmax over more than two classes. With "
                "loss='squared_error' the outputs are sigmoids, which it cannot represent."
            )
        return to_sklearn(model, MLPClassifier, ("classes_", "_label_binarizer"))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the predicted class of each sample, or for multilabel its labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Classes. For multilabel an indicator matrix of the labels whose probability is above
            1/2; it is a CSR matrix if the labels were sparse in training.
        """
        kept = self._few_rows_of(X)
        z = None if kept is None else kept.logits(X)
        if kept is not None and z is not None:
            return decode(kept.label_binarizer, z)
        model = self._fitted()
        return decode(model._label_binarizer, model._logits(X))

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probability of each class, or of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`. With ``loss='squared_error'`` and
            more than two classes, the sigmoid outputs divided by their sum.
        """
        kept = self._few_rows_of(X)
        p = None if kept is None else kept.predictions(X)
        if p is not None:
            return p
        model = self._fitted()
        output = model._prediction_code()
        if output is None:
            with np.errstate(under="ignore"):
                return softmax(log_expit(model._logits(X)), axis=1)
        return model._forward(X, output)[-1]

    def predict_log_proba(self, X: Any) -> FloatArray:
        """Return the logarithms of `predict_proba`, finite for any finite logit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Log-probabilities, in the order of `classes_`.

        Examples
        --------
        >>> from fastnet import SigmoidMLPClassifier
        >>> model = SigmoidMLPClassifier.from_weights([[[1000]]], [[0]], [0, 1])
        >>> model.predict_proba([[-1.0]])
        array([[1., 0.]])
        >>> float(model.predict_log_proba([[-1.0]])[0, 1])
        -1000.0
        """
        model = self._fitted()
        output = model._output_code()
        z = model._logits(X)
        # Of logits far below the largest, the exponential is 0.
        with np.errstate(over="ignore", under="ignore"):
            if model._normalises():
                return log_softmax(log_expit(z), axis=1)
            if output == kernels.SOFTMAX:
                return log_softmax(z, axis=1)
        if model.n_outputs_ > 1:
            return log_expit(z)
        return np.column_stack([log_expit(-z), log_expit(z)])

    def decision_function(self, X: Any) -> FloatArray:
        """Return the log-odds of each class, or of each label: log(p / (1 - p)).

        For two classes, and for multilabel, they are the logits z, to which the output layer's
        sigmoid is applied. For more classes they are ``z[k] - logsumexp(z[j] for j != k)``, where
        z are the logits of the softmax, or with ``loss='squared_error'`` the logarithms of the
        sigmoid outputs. They are finite for any finite logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        log_odds : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Log-odds in the order of `classes_`; for two classes, those of the second only.

        Examples
        --------
        >>> from fastnet import SigmoidMLPClassifier
        >>> model = SigmoidMLPClassifier.from_weights([[[2], [-1]]], [[0.5]], [0, 1])
        >>> model.decision_function([[1, 1]])
        array([1.5])
        >>> model = SigmoidMLPClassifier.from_weights([[[2, 1, 0]]], [[9, 9, 9]], [0, 1, 2])
        >>> model.decision_function([[1]]).round(3)
        array([[ 0.687, -1.127, -2.313]])
        """
        kept = self._few_rows_of(X)
        z = None if kept is None else kept.logits(X)
        if kept is not None and z is not None:
            return log_odds(kept.label_binarizer, kept.out_activation, z)
        model = self._fitted()
        return log_odds(model._label_binarizer, model.out_activation_, model._logits(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _is_multiclass(self) -> bool:
        return bool(self._label_binarizer.y_type_ == "multiclass")

    def _loss(self) -> losses.Loss:
        if self.loss == "squared_error":
            return losses.SQUARED_ERROR
        return losses.CATEGORICAL_LOG_LOSS if self._is_multiclass() else losses.BINARY_LOG_LOSS

    def _learn_classes(self, classes: npt.ArrayLike | None, n_outputs: int) -> None:
        self._label_binarizer = given_binarizer(classes, n_outputs)
        self.classes_ = self._label_binarizer.classes_

    def _learn_targets(self, y: Any, *, continues: bool) -> None:
        if not continues or not hasattr(self, "classes_"):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
            return
        classes = unique_labels(y)
        if self.warm_start and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same "
                "classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {classes}"
            )
        check_known(self.classes_, classes)

    def _check_targets(self, y: Any) -> None:
        check_known(self.classes_, unique_labels(y))

    def _encode(self, y: Any, dtype: npt.DTypeLike) -> npt.NDArray[np.uint8]:
        return encode(self._label_binarizer, y)

    def _decode(self, outputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return decode(self._label_binarizer, outputs)

    def _class_weights(self, y: Any) -> FloatArray | None:
        if self.class_weight is None:
            return None
        return compute_sample_weight(self.class_weight, y)

    def _score_of(self, y: Any, predicted: Any, weights: FloatArray | None) -> float:
        return float(accuracy_score(y, predicted, sample_weight=weights))

    def _prediction_code(self) -> int | None:
        """Return what the kernels are to make of logits for `predict_proba`."""
        if self._normalises():
            return None
        return kernels.PAIR if self.n_outputs_ == 1 else self._output_code()

    def _normalises(self) -> bool:
        """Return whether probabilities are sigmoids that must be made to sum to 1."""
        return self._is_multiclass() and self.out_activation_ == "logistic"
