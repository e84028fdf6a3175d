"""Networks as functions for numba, to be called in compiled code of the user's own."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic

from fastnet import kernels

from .._engine.network import Network
from .._folding import as_one_network

# Weights that compiled code has the addresses of, for as long as it may be called: always.
_kept: list[npt.NDArray[Any]] = []


def to_numba(model: Any) -> Any:
    """Return a fitted network as a function that code compiled by numba can call.

    ``f(x)`` returns the probabilities of one row, a new array; ``f(x, out)`` writes them to an
    array, and allocates nothing. Of a regressor they are the values of the targets. It can be
    called in nopython mode, in `prange`, without the GIL, and from Python. It has the bits of
    `Predictor`.

    Weights are copied. They stay in memory until the process ends, as compiled code has their
    address. So numba cannot keep a function that calls it on disk: with ``cache=True`` it warns of
    "dynamic globals" and compiles again in the next process. What it kept would have the old
    weights after the next training, and nothing would tell.

    Parameters
    ----------
    model : SigmoidMLPClassifier, SigmoidMLPRegressor or Pipeline
        A fitted model. Of a pipeline, scalers and PCA are folded into the weights of the first
        layer, as `Predictor` does.

    Returns
    -------
    f : numba dispatcher
        Called with one row of n_features numbers of any real dtype; `out` is of the network's.
        Both may have any strides. Nothing looks whether the numbers are finite: of NaN comes NaN.
        A row or an `out` of another length is a ValueError. In the loop of a `prange`, numba does
        not pass errors on, and what is returned is then incomplete.

    Raises
    ------
    TypeError
        If `model` is something else, or a step cannot be folded.
    ValueError
        If it has more than two classes and ``loss='squared_error'``.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    Examples
    --------
    >>> import numba
    >>> import numpy as np
    >>> from fastnet import SigmoidMLPRegressor
    >>> from fastnet.export import to_numba
    >>> f = to_numba(SigmoidMLPRegressor.from_weights([[[2], [-1]]], [[0.5]]))
    >>> @numba.njit
    ... def total(X):
    ...     y = np.empty(1)
    ...     total = 0.0
    ...     for i in range(len(X)):
    ...         total += f(X[i], y)[0]
    ...     return total
    >>> total(np.array([[1.0, 1.0], [0.0, 0.0]]))
    2.0
    """
    fitted = as_one_network(model)
    output = fitted._prediction_code()
    if output is None:
        raise ValueError(
            "With loss='squared_error' and more than two classes, probabilities are not made by"
            " the kernels alone, and there is no function for numba."
        )
    network = Network.of(fitted.coefs_)
    params = network.pack(fitted.coefs_, fitted.intercepts_)
    plan = network.plan
    _kept.extend([params, plan])
    return _function(plan, params, output, network.sizes)


def _function(
    plan: npt.NDArray[np.int64], params: npt.NDArray[Any], output: int, sizes: tuple[int, ...]
) -> Any:
    """Make the function of a network."""
    dtype = numba.from_dtype(params.dtype)
    n_features = sizes[0]
    n_outputs = 2 if output == kernels.PAIR else sizes[-1]
    n_ends = n_features + n_outputs
    n_work = 2 * max(sizes[1:]) + 2
    n_work = 0 if n_work <= kernels.ON_STACK else n_work
    is_narrow = n_ends <= kernels.ON_STACK
    stack = kernels.on_stack(n_ends if is_narrow else 1)
    plan_pointer, params_pointer = _address_of(plan), _address_of(params)
    plan_shape, n_params = plan.shape, params.size
    forward_rows = kernels.forward_rows

    @numba.njit(nogil=True, error_model="numpy")
    def f(x, out=None):  # type: ignore[no-untyped-def]
        if x.size != n_features:
            raise ValueError("x is not a row of as many features as the network has")
        result = np.empty(n_outputs, dtype) if out is None else out
        if result.ndim != 1 or result.size != n_outputs:
            raise ValueError("out is not a row of as many elements as the network has outputs")
        params = numba.carray(params_pointer(), n_params)
        # The kernel takes no strides and no other dtype, so it never sees the caller's arrays.
        ends = stack(params) if is_narrow else np.empty(n_ends, dtype)
        row, values = ends[:n_features], ends[n_features:]
        for i in range(n_features):
            row[i] = x[i]
        # Of nothing: no memory is asked for.
        work = params[:0] if n_work == 0 else np.empty(n_work, dtype)
        plan = numba.carray(plan_pointer(), plan_shape)
        forward_rows(1, row, plan, params, output, 0, work, values)
        for i in range(n_outputs):
            result[i] = values[i]
        return result

    return f


def _address_of(array: npt.NDArray[Any]) -> Any:
    """Make a function that returns the address of an array.

    An array that is found outside a function becomes a constant of its code: compiling it takes
    longer, and numba's cache would keep the weights.
    """
    pointer = types.CPointer(numba.from_dtype(array.dtype))
    address = array.ctypes.data

    @intrinsic
    def get(typingctx):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            place = context.add_dynamic_addr(builder, address, info="weights of fastnet")
            return builder.bitcast(place, context.get_value_type(pointer))

        return pointer(), codegen

    return get
