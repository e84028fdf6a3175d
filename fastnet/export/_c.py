"""Networks as a header in C, for other languages, and for devices without Python."""

import re
from collections.abc import Iterator
from itertools import pairwise
from string import Template
from typing import Any

import numpy.typing as npt

from . import _c_text as text
from ._network import FittedNetwork

# Words of C and C++, as a regular expression.
_KEYWORDS = (
    "alignas|alignof|and|asm|auto|bitand|bitor|bool|break|case|catch|char|class|compl|const|"
    "constexpr|continue|decltype|default|delete|do|double|else|enum|explicit|export|extern|"
    "false|float|for|friend|goto|if|inline|int|long|main|mutable|namespace|new|noexcept|not|"
    "nullptr|operator|or|private|protected|public|register|requires|restrict|return|short|"
    "signed|sizeof|static|struct|switch|template|this|throw|true|try|typedef|typeid|typename|"
    "union|unsigned|using|virtual|void|volatile|while|xor"
)
# Bytes that a string in C has as they are; all else as octal numbers of three digits. A question
# mark is none: ??/ is a backslash.
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-+.,:;=()")


def to_c(model: Any, name: str = "net", *, exact: bool = False) -> str:
    """Return a fitted network as a header in C.

    It is C99 and C++17. It allocates nothing and writes to no variable of its own, so any number
    of threads may call it at a time. Of the mathematical library it needs ``exp``, or ``expf``.
    With `name` for the name that is given, it declares

    - ``NAME_N_FEATURES`` and ``NAME_N_OUTPUTS``, the lengths of a row and of what is returned,
    - ``name_real``, which is ``float`` or ``double`` as the network is,

    and for a classifier

    - ``void name_predict_proba(const name_real *x, name_real *p)``, the probabilities,
    - ``int name_predict(const name_real *x)``, the number of the class among them, from 0 on,
    - ``name_label(int k)``, the label of class `k`: a ``const char *`` of UTF-8, a
      ``long long``, an ``int`` for booleans, or a ``double``;

    for multilabel ``name_predict_proba`` and
    ``void name_predict(const name_real *x, unsigned char *labels)``; for a regressor
    ``void name_predict(const name_real *x, name_real *y)``.

    Parameters
    ----------
    model : SigmoidMLPClassifier, SigmoidMLPRegressor or Pipeline
        A fitted model. Of a pipeline, scalers and PCA are folded into the weights of the first
        layer, as `Predictor` does.
    name : str, default="net"
        What all names begin with.
    exact : bool, default=False
        Whether the outputs are to have the bits that fastnet's have. Products and sums, and the
        exponential, are then made of ``fma`` or ``fmaf``. Where the compiler may use the
        processor's own (``-march=native``, ``-mfma``), a row of 28-64-1 takes a third to a half
        of the time of ``exact=False``; elsewhere 11 times as long. Of ``loss='squared_error'``
        with more than two classes, the bits may differ all the same.

    Returns
    -------
    text : str
        The header. Its weights are hexadecimal numbers, which are exact.

    Raises
    ------
    TypeError
        If `model` is something else, or a step cannot be folded.
    ValueError
        If `name` is not an identifier of C and C++. If a label is text with a NUL, or neither
        text nor a boolean, a finite float or an integer of 64 bits.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    Examples
    --------
    >>> from fastnet import SigmoidMLPClassifier
    >>> from fastnet.export import to_c
    >>> coefs = [[[20, -20], [20, -20]], [[20], [20]]]
    >>> xor = SigmoidMLPClassifier.from_weights(coefs, [[-10, 30], [-30]], ["no", "yes"])
    >>> header = to_c(xor, "xor_net")
    >>> "static inline int xor_net_predict(const xor_net_real *x)" in header
    True
    """
    is_word = re.fullmatch("[A-Za-z](_?[A-Za-z0-9])*_?", name)
    if not is_word or re.fullmatch(_KEYWORDS, name):
        raise ValueError(
            "name must be an identifier of C and C++, of letters, digits and single underscores;"
            f" got {name!r}."
        )
    network = FittedNetwork.of(model)
    parts = "\n".join(_parts(network, exact))
    body = Template(parts).substitute(_names(network, name, exact))
    return "\n".join([body, *_labels(network, name), "#endif", ""])


def _parts(network: FittedNetwork, exact: bool) -> Iterator[str]:
    yield text.HEAD
    yield text.EXACT_SIGMOID if exact else text.SIGMOID
    yield from _weights(network)
    yield text.LAYER
    if len(network.coefs) > 1:
        yield text.SIGMOIDS
    yield from _logits(network)
    yield text.OUTPUTS[network.output]


def _names(network: FittedNetwork, name: str, exact: bool) -> dict[str, Any]:
    """Return what the names in the parts stand for."""
    of_float = "f" if network.is_single else ""
    product = "x[i]", "weights[i * n_out + j]"
    names = {
        "title": network.title,
        "name": name,
        "NAME": name.upper(),
        "n_features": network.n_features,
        "n_outputs": network.n_outputs,
        "real": "float" if network.is_single else "double",
        "exp": f"exp{of_float}",
        "fma": f"fma{of_float}",
        "include": "",
        "multiply_add": f"out[j] + {' * '.join(product)}",
    }
    if exact:
        names["include"] = "#include <stdint.h>\n#include <string.h>"
        names["multiply_add"] = f"fma{of_float}({', '.join(product)}, out[j])"
        names |= text.exact_constants(network.is_single)
    return names


def _weights(network: FittedNetwork) -> Iterator[str]:
    for layer, arrays in enumerate(zip(network.coefs, network.intercepts, strict=True)):
        for kind, values in zip(("weights", "biases"), arrays, strict=True):
            yield f"static const ${{name}}_real ${{name}}_{kind}_{layer}[{values.size}] = {{"
            yield _numbers(values, "f" if network.is_single else "")
            yield "};"
    yield ""


def _numbers(values: npt.NDArray[Any], suffix: str) -> str:
    texts = [text.number(value, suffix) for value in values.ravel().tolist()]
    return ",\n".join("    " + ", ".join(texts[i : i + 6]) for i in range(0, len(texts), 6))


def _logits(network: FittedNetwork) -> Iterator[str]:
    """Yield the function that takes a row through the layers."""
    yield "static inline void ${name}_logits(const ${name}_real *x, ${name}_real *z)"
    yield "{"
    last = len(network.coefs) - 1
    names = ["x", *(f"a{layer}" for layer in range(last)), "z"]
    for name, size in zip(names[1:-1], network.sizes[1:-1], strict=True):
        yield f"    ${{name}}_real {name}[{size}];"
    for layer, ((source, n_in), (target, n_out)) in enumerate(
        pairwise(zip(names, network.sizes, strict=True))
    ):
        matrix = f"${{name}}_weights_{layer}, ${{name}}_biases_{layer}"
        yield f"    ${{name}}_layer({source}, {n_in}, {matrix}, {target}, {n_out});"
        if layer < last:
            yield f"    ${{name}}_sigmoids({target}, {n_out});"
    yield "}"
    yield ""


def _labels(network: FittedNetwork, name: str) -> Iterator[str]:
    """Yield the function that names the classes, if there are any."""
    if network.labels is None:
        return
    labels = network.plain_labels()
    kind, write = _KINDS[type(labels[0])]
    yield f"static inline {kind}{name}_label(int k)"
    yield "{"
    yield f"    static const {_constant(kind)}labels[{len(labels)}] = {{"
    yield ",\n".join(f"        {write(label)}" for label in labels)
    yield "    };"
    yield "    return labels[k];"
    yield "}"
    yield ""


def _constant(kind: str) -> str:
    return "char *const " if kind == "const char *" else kind


def _string(label: str) -> str:
    encoded = label.encode()
    if b"\0" in encoded:
        raise ValueError(f"Text in C ends with a NUL, so no label can have one; got {label!r}.")
    inside = "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in encoded)
    return f'"{inside}"'


def _integer(label: int) -> str:
    if not -(2**63) <= label < 2**63:
        raise ValueError(f"Labels must be integers of 64 bits, got {label}.")
    # The least one has no literal: the minus is not part of it.
    return f"{label + 1}LL - 1" if label == -(2**63) else f"{label}LL"


_KINDS: dict[type, Any] = {
    str: ("const char *", _string),
    int: ("long long ", _integer),
    bool: ("int ", lambda label: str(int(label))),
    float: ("double ", lambda label: text.number(label, "")),
}
