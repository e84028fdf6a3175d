"""Checks of threads.py: what concurrent calls return, and what becomes of estimators."""

import asyncio
import copy
import itertools
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import joblib
import numba
import numpy as np

from fastnet import _classifier
from fastnet._engine import dispatch

from .._support.estimators import stopping_soon

DEADLINE = 200
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def samples(dtype=np.float32, n_features=40, n_classes=3, n_samples=1100):
    rng = np.random.default_rng(n_features)
    X = rng.normal(size=(n_samples, n_features)).astype(dtype)
    return X, np.clip(np.round(X[:, 0] + X[:, 1]), 0, n_classes - 1)


def in_threads(function, arguments):
    """Call a function in a thread for each argument, all at once, and return the results."""
    arguments = list(arguments)
    barrier = threading.Barrier(len(arguments))

    def thread(argument):
        barrier.wait(DEADLINE)
        return function(argument)

    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(thread, arguments))


class Switches:
    """Lets other threads run at any instruction of the estimator's module."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def __call__(self, frame, *_):
        if frame.f_code.co_filename != _classifier.__file__:
            return None
        frame.f_trace_opcodes = True
        return self.switch

    def switch(self, *_):
        if self.rng.random() < 0.1:
            time.sleep(0)
        return self.switch


@contextmanager
def switching(seed):
    sys.settrace(Switches(seed))
    try:
        yield
    finally:
        sys.settrace(None)


def bits(result):
    arrays = result if isinstance(result, list) else [result]
    return [(array.dtype, array.shape, array.tobytes()) for array in arrays]


def first_calls():
    """Fit and predict in 8 threads, where nothing is loaded and no helper was started."""
    assert not dispatch._helpers._all

    def computed(dtype):
        X, y = samples(dtype)
        return bits(stopping_soon().fit(X, y).predict_proba(X))

    dtypes = [np.float32, np.float64] * 4
    assert in_threads(computed, dtypes) == [computed(dtype) for dtype in dtypes]


def predictions():
    """Predict on one estimator in 16 threads, few rows and many."""
    for dtype, n_jobs in itertools.product((np.float32, np.float64), (None, 2)):
        X, y = samples(dtype, n_samples=5000)
        model = stopping_soon(n_jobs=n_jobs).fit(X, y)
        calls = list(itertools.product(METHODS, (X[:1], X[:50], X)))

        def call(method, rows, model=model):
            return bits(getattr(model, method)(rows))

        alone = [call(*arguments) for arguments in calls]

        def agrees(seed, calls=calls, call=call, alone=alone):
            mixed = list(zip(calls, alone, strict=True)) * 2
            random.Random(seed).shuffle(mixed)
            return all(call(*arguments) == expected for arguments, expected in mixed)

        assert all(in_threads(agrees, range(16)))


def estimators():
    """Return estimators for each of the kernels that train."""
    return [
        stopping_soon(batch_size=300),
        stopping_soon(batch_size=300, early_stopping=True),
        stopping_soon((150, 200), batch_size=300, n_jobs=2),
        stopping_soon((150, 200), solver="rprop"),
        stopping_soon((13,), batch_size=1, tol=100),
        stopping_soon(solver="lbfgs"),
    ]


def fits():
    """Fit different estimators side by side."""
    for dtype in (np.float32, np.float64):
        X, y = samples(dtype)

        def fitted(i, X=X, y=y):
            return joblib.hash(vars(estimators()[i].fit(X, y)))

        numbers = range(len(estimators()))
        alone = [fitted(i) for i in numbers]
        assert in_threads(fitted, [*numbers, *numbers]) == alone * 2


def predictions_during_fits():
    """Fit one estimator to other classes and other features while threads predict with it."""
    shapes = [(5, 2, (8,)), (5, 3, (17,)), (7, 3, (8, 4))]
    sets = [samples(np.float64, n_features, n_classes, 400) for n_features, n_classes, _ in shapes]
    fits = list(zip([hidden for *_, hidden in shapes], sets, strict=True))
    models = [stopping_soon(hidden).fit(*data) for hidden, data in fits]
    model = stopping_soon().set_params(**models[0].get_params()).fit(*sets[0])
    methods = (*METHODS, "activations", "input_gradients")

    @switching(0)
    def predicts(X):
        """Predict until the result was each model's that it can be, and X was refused."""
        of_models = [
            {method: bits(getattr(one, method)(X)) for method in methods}
            for one in models
            if one.n_features_in_ == X.shape[1]
        ]
        missing = {*itertools.product(methods, range(len(of_models))), "a refusal"}
        n_left = 30
        while missing or n_left > 0:
            n_left -= 1
            for method in methods:
                try:
                    found = bits(getattr(model, method)(X))
                except ValueError as error:
                    if f"X has {X.shape[1]} features" not in str(error):
                        raise
                    missing.discard("a refusal")
                else:
                    which = [expected[method] for expected in of_models].index(found)
                    missing.discard((method, which))

    with ThreadPoolExecutor(3) as pool:
        threads = [pool.submit(predicts, X) for X, _ in sets]
        with switching(1):
            for hidden, data in itertools.cycle(fits):
                model.set_params(hidden_layer_sizes=hidden).fit(*data)
                if all(thread.done() for thread in threads):
                    break
    for thread in threads:
        thread.result()


def at_once_on(model_of, method, sets, expected):
    """Let two threads change one estimator; it must be, in all, what one of them makes of it."""
    for _ in range(15):
        model = model_of()
        change = switching(2)(getattr(model, method))
        in_threads(lambda data, change=change: change(*data), sets)
        assert joblib.hash(vars(model)) in expected


def fits_of_one_estimator():
    sets = [samples(np.float64, 5, 2, 400), samples(np.float64, 7, 3, 400)]
    expected = [joblib.hash(vars(stopping_soon((8,)).fit(*data))) for data in sets]
    at_once_on(lambda: stopping_soon((8,)), "fit", sets, expected)
    at_once_on(lambda: stopping_soon((8,)).fit(*sets[0]), "fit", sets, expected)


def partial_fits_of_one_estimator():
    X, y = samples(np.float64, 5, 3, 800)
    sets = [(X[:400], y[:400]), (X[400:], y[400:])]
    start = stopping_soon((8,)).partial_fit(X, y, classes=np.unique(y))

    def model_of():
        return copy.deepcopy(start)

    expected = [joblib.hash(vars(model_of().partial_fit(*data))) for data in sets]
    for one, other in (sets, sets[::-1]):
        expected.append(joblib.hash(vars(model_of().partial_fit(*one).partial_fit(*other))))
    assert len(set(expected)) == 4
    at_once_on(model_of, "partial_fit", sets, expected)


def pools():
    X, y = samples(n_samples=5000)
    parts = np.array_split(X, 40)

    async def gathered(function, arguments):
        tasks = (asyncio.to_thread(function, argument) for argument in arguments)
        return await asyncio.gather(*tasks)

    model = stopping_soon().fit(X, y)
    expected = bits(model.predict_proba(X))
    with ThreadPoolExecutor() as pool:
        assert bits(np.concatenate(list(pool.map(model.predict_proba, parts)))) == expected
    assert bits(np.concatenate(asyncio.run(gathered(model.predict_proba, parts)))) == expected
    refitted = asyncio.run(gathered(lambda _: stopping_soon().fit(X, y), range(4)))
    assert [bits(one.predict_proba(X)) for one in refitted] == [expected] * 4


@numba.njit(parallel=True)
def fill(x):
    for i in numba.prange(len(x)):
        x[i] = 1.0


def beside_numbas_threads():
    """Fit and predict while another library uses numba's threads, which one thread may."""
    X, y = samples(n_samples=5000)
    expected = bits(stopping_soon().fit(X, y).predict_proba(X))
    is_over = threading.Event()

    def use_numbas():
        while not is_over.is_set():
            fill(x := np.zeros(1000))
            assert x.all()

    def use_ours(_):
        return all(bits(stopping_soon().fit(X, y).predict_proba(X)) == expected for _ in range(10))

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(use_numbas)
        try:
            assert all(in_threads(use_ours, range(4)))
        finally:
            is_over.set()
        other.result()
    assert numba.threading_layer() == "workqueue"
