"""The parts of a header in C. ``$name`` and ``$NAME`` stand for the network's name."""

from collections.abc import Iterator, Sequence

from fastnet.kernels import sigmoid

HEAD = """\
/* $title */
#ifndef ${NAME}_H
#define ${NAME}_H
#include <math.h>
$include
#define ${NAME}_N_FEATURES $n_features
#define ${NAME}_N_OUTPUTS $n_outputs
typedef $real ${name}_real;
"""

# Of the mathematical library, one function.
SIGMOID = """\
static inline ${name}_real ${name}_exp(${name}_real x)
{
    return $exp(x);
}

static inline ${name}_real ${name}_sigmoid(${name}_real z)
{
    const ${name}_real e = $exp(z < 0 ? z : -z);
    return (z < 0 ? e : 1) / (1 + e);
}
"""

# fastnet's own (fastnet/kernels/sigmoid.py says why), operation by operation.
EXACT_SIGMOID = """\
/* exp(x) for x <= 0: x = n log(2) + r, and exp(x) = 2**n exp(r) */
static inline ${name}_real ${name}_exp_nonpositive(${name}_real x)
{
    const ${name}_real most = x < $least ? $least : x;
    const ${name}_real shifted = $fma(most, $log2_e, $round);
    const ${name}_real n = shifted - $round;
    const ${name}_real r = $fma(-n, $ln2_low, $fma(-n, $ln2_high, most));
    const ${name}_real square = r * r;
    ${name}_real p, power;
    $bits_type bits;
$polynomial
    memcpy(&bits, &shifted, sizeof bits);
    bits <<= $mantissa;
    memcpy(&power, &bits, sizeof bits);
    return $fma($fma(square, p, r), power, power) * $unscale;
}

static inline ${name}_real ${name}_exp(${name}_real x)
{
    const ${name}_real e = ${name}_exp_nonpositive(x < 0 ? x : -x / 2);
    const ${name}_real root = 1 / e;
    return x < 0 ? e : root * root;
}

static inline ${name}_real ${name}_sigmoid(${name}_real z)
{
    const ${name}_real e = ${name}_exp_nonpositive(z < 0 ? z : -z);
    const ${name}_real d = 1 + e;
    const ${name}_real d_low = e - (d - 1);
    const ${name}_real s = (z < 0 ? e : 1) / d;
    return $fma(s, -d_low, s);
}
"""

LAYER = """\
static inline void ${name}_layer(const ${name}_real *x, int n_in, const ${name}_real *weights,
                                 const ${name}_real *biases, ${name}_real *out, int n_out)
{
    int i, j;
    for (j = 0; j < n_out; j++)
        out[j] = 0;
    for (i = 0; i < n_in; i++)
        for (j = 0; j < n_out; j++)
            out[j] = $multiply_add;
    for (j = 0; j < n_out; j++)
        out[j] += biases[j];
}
"""

SIGMOIDS = """\
static inline void ${name}_sigmoids(${name}_real *z, int n)
{
    int j;
    for (j = 0; j < n; j++)
        z[j] = ${name}_sigmoid(z[j]);
}
"""

_PROBABILITIES = """\
static inline void ${name}_predict_proba(const ${name}_real *x, ${name}_real *p)
{
"""

_PAIR = """\
    ${name}_real z;
    ${name}_logits(x, &z);
    p[0] = ${name}_sigmoid(-z);
    p[1] = ${name}_sigmoid(z);
}

static inline int ${name}_predict(const ${name}_real *x)
{
    ${name}_real z;
    ${name}_logits(x, &z);
    return z > 0;
}
"""

_SIGMOID = """\
    int k;
    ${name}_logits(x, p);
    for (k = 0; k < ${NAME}_N_OUTPUTS; k++)
        p[k] = ${name}_sigmoid(p[k]);
}

static inline void ${name}_predict(const ${name}_real *x, unsigned char *labels)
{
    ${name}_real z[${NAME}_N_OUTPUTS];
    int k;
    ${name}_logits(x, z);
    for (k = 0; k < ${NAME}_N_OUTPUTS; k++)
        labels[k] = z[k] > 0;
}
"""

_LARGEST = """\

static inline int ${name}_predict(const ${name}_real *x)
{
    ${name}_real z[${NAME}_N_OUTPUTS];
    int k, largest = 0;
    ${name}_logits(x, z);
    for (k = 1; k < ${NAME}_N_OUTPUTS; k++)
        largest = z[k] > z[largest] ? k : largest;
    return largest;
}
"""

_SOFTMAX = (
    """\
    ${name}_real most, total = 0;
    int k;
    ${name}_logits(x, p);
    most = p[0];
    for (k = 1; k < ${NAME}_N_OUTPUTS; k++)
        most = most < p[k] ? p[k] : most;
    for (k = 0; k < ${NAME}_N_OUTPUTS; k++) {
        p[k] = ${name}_exp(p[k] - most);
        total += p[k];
    }
    for (k = 0; k < ${NAME}_N_OUTPUTS; k++)
        p[k] /= total;
}
"""
    + _LARGEST
)

_NORMALISED = (
    """\
    /* Of logits far below 0 the sigmoids are 0; their ratios are those of
       exp(min(z, 0) - most) / (1 + exp(-|z|)) with any number for `most`. */
    ${name}_real z[${NAME}_N_OUTPUTS];
    ${name}_real most, total = 0;
    int k;
    ${name}_logits(x, z);
    most = z[0];
    for (k = 1; k < ${NAME}_N_OUTPUTS; k++)
        most = most < z[k] ? z[k] : most;
    most = most < 0 ? most : 0;
    for (k = 0; k < ${NAME}_N_OUTPUTS; k++) {
        p[k] = ${name}_exp((z[k] < 0 ? z[k] : 0) - most);
        p[k] /= 1 + ${name}_exp(z[k] < 0 ? z[k] : -z[k]);
        total += p[k];
    }
    for (k = 0; k < ${NAME}_N_OUTPUTS; k++)
        p[k] /= total;
}
"""
    + _LARGEST
)

_IDENTITY = """\
static inline void ${name}_predict(const ${name}_real *x, ${name}_real *y)
{
    ${name}_logits(x, y);
}
"""

_EXP = """\
static inline void ${name}_predict(const ${name}_real *x, ${name}_real *y)
{
    int k;
    ${name}_logits(x, y);
    for (k = 0; k < ${NAME}_N_OUTPUTS; k++)
        y[k] = ${name}_exp(y[k]);
}
"""

OUTPUTS = {
    "pair": _PROBABILITIES + _PAIR,
    "sigmoid": _PROBABILITIES + _SIGMOID,
    "softmax": _PROBABILITIES + _SOFTMAX,
    "normalised": _PROBABILITIES + _NORMALISED,
    "identity": _IDENTITY,
    "exp": _EXP,
}


def number(value: float, suffix: str) -> str:
    """Return a finite float as C has it: hexadecimal, without zeros at the end."""
    mantissa, exponent = value.hex().split("p")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}p{exponent}{suffix}"


def _polynomial(coefficients: Sequence[str], fma: str) -> Iterator[str]:
    """Yield C for a polynomial in r, as `Number.polynomial` evaluates it."""
    terms = [
        f"{fma}(r, {odd}, {even})"
        for even, odd in zip(coefficients[::2], coefficients[1::2], strict=False)
    ]
    terms += coefficients[len(coefficients) // 2 * 2 :]
    yield f"    p = {terms.pop()};"
    for term in reversed(terms):
        yield f"    p = {fma}(p, square, {term});"


def exact_constants(is_single: bool) -> dict[str, str]:
    """Return what `EXACT_SIGMOID` has names for."""
    at, suffix = (0, "f") if is_single else (1, "")

    def of(pair: Sequence[float]) -> str:
        return number(pair[at], suffix)

    return {
        "least": of(sigmoid.EXP_LEAST),
        "log2_e": of(sigmoid.LOG2_E),
        "round": of(sigmoid.ROUND),
        "ln2_low": of(sigmoid.LN2_LOW),
        "ln2_high": of(sigmoid.LN2_HIGH),
        "unscale": of(sigmoid.UNSCALE),
        "bits_type": "uint32_t" if is_single else "uint64_t",
        "mantissa": "23" if is_single else "52",
        "polynomial": "\n".join(
            _polynomial([number(c, suffix) for c in sigmoid.EXP[at]], f"fma{suffix}")
        ),
    }
