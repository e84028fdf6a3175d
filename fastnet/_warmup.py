"""What ``python -m fastnet warmup`` does: compile every kernel ahead of time."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from . import SigmoidMLPClassifier, SigmoidMLPRegressor, kernels

# Hidden layers and batch sizes of fits that between them need every kernel for training.
_FITS: dict[str, tuple[tuple[int, ...], int]] = {
    "sample by sample": ((4,), 1),
    "small network": ((64,), 400),
    "large network": ((500, 500), 64),
}
_KINDS: dict[str, Any] = {"classifier": SigmoidMLPClassifier, "regressor": SigmoidMLPRegressor}


def warm_up(dtypes: Sequence[str], sparse_as_well: bool) -> int:
    """Compile the kernels, say what was done, and return 1 if it cannot be kept."""
    start = time.perf_counter()
    kinds = (False, True) if sparse_as_well else (False,)
    for dtype, is_sparse in product(dtypes, kinds):
        for what, seconds in _work(dtype, is_sparse):
            kind = "sparse" if is_sparse else "dense"
            print(f"{dtype}  {kind:6}  {what:28}  {seconds:6.2f} s", flush=True)
    print(f"{time.perf_counter() - start:.1f} s in all")
    folders = kernels.cache_folders()
    kept = [folder for folder in folders if folder.n_files]
    for folder in kept:
        print(f"{folder.n_files} files, {folder.n_bytes / 1e6:.1f} MB in all, in {folder.path}")
    if not kept:
        place = "" if folders[0].path is None else f"{folders[0].path}: "
        print(f"nothing could be kept: {place}{folders[0].state}")
    return 0 if kept else 1


def _work(dtype: str, is_sparse: bool) -> Iterator[tuple[str, float]]:
    """Fit and predict with every kernel; yield what was done and how long it took."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2_000, 30)).astype(dtype)
    # Kernels take labels and the targets of regression as different types.
    targets: dict[str, Any] = {"classifier": X[:, 0] > 0, "regressor": X[:, 0]}
    if is_sparse:
        X = sparse.csr_array(X)
    for kind, y in targets.items():
        for what, (hidden, batch_size) in _FITS.items():
            model = _KINDS[kind](
                hidden_layer_sizes=hidden, solver="sgd", batch_size=batch_size, max_iter=1
            )
            yield f"{kind}, {what}", _seconds(partial(model.fit, X, y))
        yield f"{kind}, sample gradients", _seconds(partial(model.sample_gradients, X[:99], y[:99]))
    yield "prediction", _seconds(partial(model.predict, X))
    if not is_sparse:
        yield "prediction of few rows", _seconds(partial(model.predict, X[:1]))
    yield "input gradients", _seconds(partial(model.input_gradients, X))


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        call()
    return time.perf_counter() - start
