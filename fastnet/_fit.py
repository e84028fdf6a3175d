"""From an estimator and its data to a run of training, and back to its attributes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from ._attributes import fitted_attributes, progress_of
from ._base import BaseSigmoidMLP
from ._engine import dispatch
from ._engine.lbfgs import run_lbfgs
from ._engine.network import FloatArray, Network
from ._engine.progress import Rules
from ._engine.solvers import SGD, Adam, Gradient, Rprop, Solver
from ._engine.trainer import DivergedError, Trainer
from ._engine.training import Outcome, Training
from ._hardly_moved import HARDLY_MOVED, has_hardly_moved, likely_cause
from ._inputs import Samples, held_out_samples, hidden_sizes, training_samples
from ._tasks import EpochTasks
from ._validation import Validator
from ._warnings import warn, warn_of_lbfgs

# Weights and biases to start from, where they are not None.
Initial = tuple[Sequence[npt.ArrayLike] | None, Sequence[npt.ArrayLike] | None]


def fit_estimator(
    estimator: BaseSigmoidMLP,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    incremental: bool = False,
    held_out: tuple[Any, Any, Any] = (None, None, None),
    initial: Initial = (None, None),
) -> None:
    """Train an estimator: all of `fit`, and with `incremental` of `partial_fit`."""
    starts = not hasattr(estimator, "coefs_") or not (estimator.warm_start or incremental)
    hidden = hidden_sizes(estimator)
    samples = training_samples(
        estimator, X, y, sample_weight, incremental=incremental, starts=starts
    )
    random_state = check_random_state(estimator.random_state)
    network, params = _start(estimator, samples, hidden, starts, initial, random_state)
    validation = held_out_samples(estimator, *held_out, network)
    rows = np.arange(len(samples.Y))
    splits = estimator.early_stopping and estimator.solver != "lbfgs" and validation is None
    if splits:
        rows, validation = _split(estimator, samples, random_state)
    rules = _rules(estimator, len(rows), incremental, validation is not None)
    trainer = _trainer(estimator, network, params, samples, rows, rules.batch_size)
    if not starts:
        _resume(estimator, trainer.solver)
    progress = progress_of(estimator, starts, validation is not None, rules.early_stopping)
    # Rows change their order during training.
    shown = rows.copy() if splits else None
    tasks = EpochTasks(estimator, X, samples.y, sample_weight, rules.max_iter, shown)
    training = Training(trainer, progress, rules, tasks)
    if validation is not None:
        training.validation = Validator(estimator, validation, trainer, progress)
    outcome, result = _run(estimator, training, random_state)
    # A pickle has the solver's state where it is of use, if there is any.
    continues = bool(trainer.solver.state.size) and (incremental or bool(estimator.warm_start))
    estimator.__dict__.update(fitted_attributes(training.fit(continues)))
    tasks.fit_ends()
    _warn(training, outcome, result, incremental)
    if outcome in (Outcome.STOPPED, Outcome.MAX_ITER) and not incremental:
        _warn_if_hardly_moved(training, samples, estimator)


def _start(
    estimator: BaseSigmoidMLP,
    samples: Samples,
    hidden: list[int],
    starts: bool,
    initial: Initial,
    random_state: np.random.RandomState,
) -> tuple[Network, FloatArray]:
    """Return the network and its parameters before training."""
    if starts:
        sizes = (samples.X.shape[1], *hidden, samples.Y.shape[1])
        network = Network(sizes, bool(estimator.fit_intercept), samples.X.dtype)
        params = network.initial_parameters(estimator.init, random_state)
        if all(given is None for given in initial):
            return network, params
        coefs, intercepts = network.views(params)
    else:
        network = replace(estimator._network(), fit_intercept=bool(estimator.fit_intercept))
        coefs, intercepts = estimator.coefs_, estimator.intercepts_
    given_coefs, given_intercepts = initial
    params = network.pack(
        coefs if given_coefs is None else given_coefs,
        intercepts if given_intercepts is None else given_intercepts,
    )
    return network, params


def _split(
    estimator: BaseSigmoidMLP, samples: Samples, random_state: np.random.RandomState
) -> tuple[npt.NDArray[np.int64], Samples]:
    """Return the rows to train on, and the other samples."""
    # The draws are scikit-learn's: stratified only for a single output of classes.
    Y = samples.Y
    is_stratified = is_classifier(estimator) and Y.shape[1] == 1
    rows, held_out = train_test_split(
        np.arange(len(Y)),
        random_state=random_state,
        test_size=estimator.validation_fraction,
        stratify=Y.ravel() if is_stratified else None,
    )
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    weights = None if samples.weights is None else samples.weights[held_out]
    return rows, Samples(samples.X[held_out], samples.y[held_out], Y[held_out], weights)


def _rules(
    estimator: BaseSigmoidMLP, n_samples: int, incremental: bool, has_validation: bool
) -> Rules:
    takes_all = estimator.solver in ("lbfgs", "rprop")
    batch_size = n_samples if takes_all else min(200, n_samples)
    if not takes_all and not isinstance(estimator.batch_size, str):
        if estimator.batch_size > n_samples:
            warn(
                "Got `batch_size` less than 1 or larger than "
                "sample size. It is going to be clipped",
                UserWarning,
            )
        batch_size = min(int(estimator.batch_size), n_samples)
    early_stopping = bool(estimator.early_stopping) and has_validation
    # scipy knows by itself when L-BFGS has converged.
    judges = early_stopping or estimator.solver != "lbfgs"
    return Rules(
        batch_size=batch_size,
        max_iter=1 if incremental else estimator.max_iter,
        shuffle=estimator.shuffle and not takes_all,
        tol=estimator.tol,
        n_iter_no_change=estimator.n_iter_no_change if judges else np.inf,
        verbose=bool(estimator.verbose),
        early_stopping=early_stopping,
    )


def _trainer(
    estimator: BaseSigmoidMLP,
    network: Network,
    params: FloatArray,
    samples: Samples,
    rows: npt.NDArray[np.int64],
    batch_size: int,
) -> Trainer:
    # L-BFGS needs the derivatives of its loss, and Rprop looks at their signs alone.
    limit = estimator.max_grad_norm if estimator.solver in ("sgd", "adam") else None
    return Trainer(
        network,
        params,
        _solver(estimator).allocate(params.size, network.dtype),
        estimator._loss(),
        samples.data(rows),
        batch_size,
        estimator.alpha,
        np.inf if limit is None else limit,
        dispatch.effective_n_threads(estimator.n_jobs),
    )


def _solver(estimator: BaseSigmoidMLP) -> Solver:
    rate = estimator.learning_rate_init
    if estimator.solver == "adam":
        return Adam(rate, estimator.beta_1, estimator.beta_2, estimator.epsilon)
    if estimator.solver == "rprop":
        return Rprop(rate)
    if estimator.solver == "lbfgs":
        return Gradient(rate)
    momentum, nesterov = estimator.momentum, estimator.nesterovs_momentum
    return SGD(rate, estimator.learning_rate, estimator.power_t, momentum, nesterov)


def _resume(estimator: BaseSigmoidMLP, solver: Solver) -> None:
    """Let the solver go on from where the last call stopped, or say that it cannot."""
    snapshot = estimator._solver_state
    if snapshot is None:
        return
    solver.resume(snapshot)
    if solver.lacks_state(snapshot):
        warn(
            f"Training goes on with a fresh state of the solver {estimator.solver!r}. The old "
            "state was left out when the model was pickled, copied or saved, because its last fit "
            "had warm_start=False. Set warm_start=True before fit to keep the state.",
            UserWarning,
        )


def _run(
    estimator: BaseSigmoidMLP, training: Training, random_state: np.random.RandomState
) -> tuple[Outcome, Any]:
    """Train; return why it ended, and of L-BFGS scipy's account of it."""
    try:
        if estimator.solver == "lbfgs":
            return run_lbfgs(training, estimator.max_fun)
        # Scores by other names, and functions, are not fastnet's code.
        is_shared = training.tasks.are_watched or estimator.scoring not in (None, "loss")
        return training.run(random_state, is_shared), None
    except DivergedError:
        raise ValueError(f"{_NOT_FINITE} {_causes(training)}") from None


_NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may"
    " contain large values and need to be preprocessed."
)


def _causes(training: Training) -> str:
    """Return what may have made the loss grow beyond all bounds."""
    data, solver = training.trainer.data, training.trainer.solver
    values = [f"in X is {np.abs(data.features.X).max(initial=0.0):.3g}"]
    ways = ["standardise the features"]
    if data.Y.dtype.kind == "f":
        values.append(f"in y {np.abs(data.Y).max():.3g}")
        # Of counts and the like, none may be negative.
        is_any_number = training.trainer.loss.out_activation == "identity"
        ways.append("standardise the targets" if is_any_number else "scale the targets")
    if not isinstance(solver, Gradient):
        values.append(f"the learning rate {solver.learning_rate:.3g}")
        ways.append("lower learning_rate_init")
    if isinstance(solver, SGD | Adam):
        ways.append("set max_grad_norm")
    return f"The largest absolute value {', '.join(values)}: {', or '.join(ways)}."


def _warn_if_hardly_moved(training: Training, samples: Samples, estimator: BaseSigmoidMLP) -> None:
    if has_hardly_moved(training, samples, estimator.n_jobs):
        constant = "the class frequencies" if is_classifier(estimator) else "the means of y"
        why = likely_cause(training, samples, estimator)
        warn(f"{HARDLY_MOVED.format(constant)} {why}")


def _warn(training: Training, outcome: Outcome, result: Any, incremental: bool) -> None:
    """Warn of an end that is not the one wished for."""
    if outcome is Outcome.INTERRUPTED:
        warn("Training interrupted by user.", UserWarning)
    elif outcome is Outcome.DIVERGED:
        has_best = training.rules.early_stopping
        kept = "weights with the best validation score" if has_best else "last finite weights"
        warn(
            f"Training diverged in epoch {training.progress.n_iter + 1}; the model keeps the "
            f"{kept}. {_causes(training)}"
        )
    elif result is not None:
        warn_of_lbfgs(result, training.rules.max_iter)
    elif outcome is Outcome.MAX_ITER and not incremental:
        warn(
            f"Stochastic Optimizer: Maximum iterations ({training.rules.max_iter}) "
            "reached and the optimization hasn't converged yet."
        )
