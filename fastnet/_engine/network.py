"""A network's shape, and its parameters as one flat vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnet import kernels

FloatArray = npt.NDArray[np.floating]

# From here on, looking whether arrays are views is cheaper than copying them (8 us).
_MANY_PARAMETERS = 20_000


def _same_places(
    coefs: Sequence[Any],
    intercepts: Sequence[Any],
    own_coefs: Sequence[FloatArray],
    own_intercepts: Sequence[FloatArray],
) -> bool:
    """Return whether arrays are views of the same memory, in the same way."""
    given, own = [*coefs, *intercepts], [*own_coefs, *own_intercepts]
    return len(given) == len(own) and all(
        type(a) is np.ndarray
        and a.ctypes.data == b.ctypes.data
        and a.shape == b.shape
        and a.strides == b.strides
        and a.dtype == b.dtype
        for a, b in zip(given, own, strict=True)
    )


# Beyond that, sizes in bytes would not fit into 64 bits.
_MOST_PARAMETERS = 2**48


# A prediction of one row should not pay for planning again.
@lru_cache(maxsize=64)
def _plan(sizes: tuple[int, ...], fit_intercept: bool, width: int) -> npt.NDArray[np.int64]:
    n_parameters = sum((a + 1) * b for a, b in pairwise(sizes))
    if n_parameters > _MOST_PARAMETERS:
        raise ValueError(f"A network with layers of {sizes} units is too large.")
    return kernels.plan_network(sizes, fit_intercept, width)


def _array_of_reals(name: str, layer: int, values: Any) -> npt.NDArray[Any]:
    """Return what is given for a layer as an array, of any real type."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name}[{layer}] must be of real numbers, got dtype {array.dtype}.")
    return array


def _check_is_list(name: str, arrays: Any) -> None:
    if not hasattr(arrays, "__len__"):
        raise TypeError(f"{name} must be a list of arrays, got {type(arrays).__name__}.")


@dataclass(frozen=True)
class Network:
    """Layer sizes, input and output included, and how their parameters are stored.

    A layer is a row-major matrix of weights (fan_in, fan_out), followed by its row of
    biases where there are any; the layers follow one another in one vector. Rows may be
    padded with zeros (`kernels.row_stride`).

    Attributes
    ----------
    sizes : tuple of int
        Units of every layer.
    fit_intercept : bool
        Whether layers have biases.
    dtype : numpy.dtype
        float32 or float64, of parameters, activations and gradients alike.
    """

    sizes: tuple[int, ...]
    fit_intercept: bool
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, coefs: Sequence[Any]) -> "Network":
        """Return the network, with biases, that has such weights.

        Raises
        ------
        ValueError
            If they are not matrices of real numbers.
        TypeError
            If they are no sequence.
        """
        _check_is_list("coefs", coefs)
        arrays = [_array_of_reals("coefs", layer, coef) for layer, coef in enumerate(coefs)]
        if not arrays:
            raise ValueError("coefs must have at least one array.")
        for layer, array in enumerate(arrays):
            if array.ndim != 2 or not array.size:
                raise ValueError(f"coefs[{layer}] must be a matrix, got shape {array.shape}.")
        for layer, (before, after) in enumerate(pairwise(arrays)):
            # Checked before memory is allocated for a network of these sizes.
            if before.shape[1] != after.shape[0]:
                raise ValueError(
                    f"coefs[{layer + 1}] must have {before.shape[1]} rows, as many as "
                    f"coefs[{layer}] has columns, got shape {after.shape}."
                )
        sizes = (arrays[0].shape[0], *(array.shape[1] for array in arrays))
        # In any byte order.
        is_single = all(array.dtype.type is np.float32 for array in arrays)
        return cls(sizes, True, np.dtype(np.float32 if is_single else np.float64))

    @property
    def plan(self) -> npt.NDArray[np.int64]:
        """Where everything is when samples stand side by side in panels."""
        return _plan(self.sizes, self.fit_intercept, kernels.panel_lanes(self.dtype))

    @property
    def row_plan(self) -> npt.NDArray[np.int64]:
        """Where everything is when a sample is a row."""
        return _plan(self.sizes, self.fit_intercept, 1)

    @property
    def n_parameters(self) -> int:
        """Length of the parameter vector."""
        return kernels.count_parameters(self.plan)

    @property
    def is_large(self) -> bool:
        """Whether to look if arrays are views already, and not if numbers are finite."""
        return self.n_parameters >= _MANY_PARAMETERS

    def views(self, params: FloatArray) -> tuple[list[FloatArray], list[FloatArray]]:
        """Return the weights and the biases of every layer as views of a vector.

        Or of many vectors, along the axes before the last.
        """
        coefs, intercepts = [], []
        outer = params.shape[:-1]
        start = 0
        for fan_in, fan_out in pairwise(self.sizes):
            n_rows, stride = fan_in + self.fit_intercept, kernels.row_stride(fan_out)
            stop = start + n_rows * stride
            matrix = params[..., start:stop].reshape(*outer, n_rows, stride)[..., :fan_out]
            coefs.append(matrix[..., :fan_in, :])
            if self.fit_intercept:
                intercepts.append(matrix[..., fan_in, :])
            else:
                # Zeros that belong to no vector.
                intercepts.append(np.zeros((*outer, fan_out), self.dtype))
            start = stop
        return coefs, intercepts

    def flat(self, coefs: Sequence[Any], intercepts: Sequence[Any]) -> FloatArray:
        """Return these weights and biases as one vector, to be read only.

        Of a large network, the vector that they are views of, where they are; whether its
        numbers are finite is then not looked at. Else as `pack`.

        Raises
        ------
        ValueError
            As `pack`.
        """
        vector = None
        if self.is_large:
            vector = self.shared(coefs, intercepts)
        return self.pack(coefs, intercepts) if vector is None else vector

    def shared(self, coefs: Sequence[Any], intercepts: Sequence[Any]) -> FloatArray | None:
        """Return the vector that these weights and biases are views of, if they are."""
        if not (type(coefs) is type(intercepts) is list and coefs and min(self.sizes) > 0):
            return None
        buffer = getattr(coefs[0], "base", None)
        if (
            type(buffer) is np.ndarray
            and buffer.ndim == 1
            and buffer.dtype == self.dtype
            and buffer.flags.c_contiguous
            and buffer.flags.aligned
            and buffer.flags.writeable
        ):
            vector = kernels.align(buffer, self.n_parameters)
            if len(vector) == self.n_parameters and _same_places(
                coefs, intercepts, *self.views(vector)
            ):
                return vector
        return None

    def pack(self, coefs: Sequence[Any], intercepts: Sequence[Any]) -> FloatArray:
        """Return a new parameter vector with these weights and biases.

        Raises
        ------
        ValueError
            If there are too few or too many arrays, one has the wrong shape or is not of
            real numbers, a number is not finite, or an intercept of a network that has none
            is not 0.
        TypeError
            If either is no sequence.
        """
        params = kernels.aligned_zeros(self.n_parameters, self.dtype)
        for name, given, own in zip(
            ("coefs", "intercepts"), (coefs, intercepts), self.views(params), strict=True
        ):
            _check_is_list(name, given)
            if len(given) != len(own):
                raise ValueError(f"Expected {len(own)} arrays of {name}, got {len(given)}.")
            for layer, (values, view) in enumerate(zip(given, own, strict=True)):
                array = _array_of_reals(name, layer, values)
                if array.shape != view.shape:
                    raise ValueError(
                        f"{name}[{layer}] must have shape {view.shape}, got {array.shape}."
                    )
                if name == "intercepts" and not self.fit_intercept and array.any():
                    raise ValueError("intercepts must be 0 with fit_intercept=False.")
                if array.dtype != self.dtype:
                    # What is too large for it becomes infinite.
                    with np.errstate(over="ignore", under="ignore"):
                        array = array.astype(self.dtype)
                view[...] = array
        if not np.isfinite(params).all():
            raise ValueError("coefs and intercepts must be finite.")
        return params

    def initial_parameters(self, init: str, random_state: np.random.RandomState) -> FloatArray:
        """Draw parameters; "glorot_uniform" makes scikit-learn's draws in its order.

        References
        ----------
        Glorot and Bengio, "Understanding the difficulty of training deep feedforward
        neural networks", AISTATS 2010; with scikit-learn's factor of 2 for the sigmoid.
        """
        # Before anything is drawn: the memory may not suffice.
        params = kernels.aligned_zeros(self.n_parameters, self.dtype)
        for coef, intercept in zip(*self.views(params), strict=True):
            bound = np.sqrt(2.0 / sum(coef.shape))
            for view in (coef, intercept) if self.fit_intercept else (coef,):
                if init == "normal":
                    view[...] = random_state.standard_normal(view.shape)
                else:
                    view[...] = random_state.uniform(-bound, bound, view.shape)
        return params
