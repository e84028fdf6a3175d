"""The parts of a module of Python: with numpy, and with Python alone."""

NUMPY_HEAD = '''\
"""$title

It needs numpy, and neither fastnet nor scikit-learn.
"""

import numpy as np
'''

NUMPY_LAYERS = """

def _sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e, 1) / (1 + e)


def _logits(X):
    a = np.asarray(X, dtype="$dtype")
    if a.ndim != 2 or a.shape[1] != $n_features:
        raise ValueError(f"Expected rows of $n_features features, got shape {a.shape}.")
    if not np.isfinite(a).all():
        raise ValueError("Input contains NaN, or a number that is too large.")
    for coef, intercept in zip(COEFS[:-1], INTERCEPTS[:-1]):
        a = _sigmoid(a @ coef + intercept)
    return a @ COEFS[-1] + INTERCEPTS[-1]
"""

_PROBABILITIES = '''

def predict_proba(X):
    """Return the probabilities for rows of features."""
'''

_PREDICT = '''

def predict(X):
    """Return what is predicted for rows of features."""
'''

_NUMPY_CLASSES = _PREDICT + "    return CLASSES[_logits(X).argmax(axis=1)]\n"

# What follows the layers, by what becomes of logits.
NUMPY_OUTPUTS = {
    "pair": f"""{_PROBABILITIES}\
    z = _logits(X)
    return _sigmoid(np.hstack([-z, z]))
{_PREDICT}\
    return CLASSES[(_logits(X)[:, 0] > 0).astype(int)]
""",
    "sigmoid": f"""{_PROBABILITIES}\
    return _sigmoid(_logits(X))
{_PREDICT}\
    return (_logits(X) > 0).astype(int)
""",
    "softmax": f"""{_PROBABILITIES}\
    z = _logits(X)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
{_NUMPY_CLASSES}""",
    "normalised": f"""{_PROBABILITIES}\
    z = _logits(X)
    # Of logits far below 0 the sigmoids are 0, and their ratios those of these.
    below = np.minimum(z, 0)
    e = np.exp(below - below.max(axis=1, keepdims=True)) / (1 + np.exp(-np.abs(z)))
    return e / e.sum(axis=1, keepdims=True)
{_NUMPY_CLASSES}""",
    "identity": f"""{_PREDICT}\
    y = _logits(X)
    return y[:, 0] if y.shape[1] == 1 else y
""",
    "exp": f"""{_PREDICT}\
    y = np.exp(_logits(X))
    return y[:, 0] if y.shape[1] == 1 else y
""",
}

PURE_HEAD = '''\
"""$title

It needs Python alone.
"""

from math import exp, isfinite
'''

PURE_LAYERS = """

def _sigmoid(z):
    e = exp(-abs(z))
    return (e if z < 0 else 1.0) / (1.0 + e)


def _logits(x):
    a = [float(value) for value in x]
    if len(a) != $n_features or not all(map(isfinite, a)):
        raise ValueError("Expected rows of $n_features features, all of them finite.")
    for layer, (coef, intercept) in enumerate(zip(COEFS, INTERCEPTS)):
        if layer > 0:
            a = [_sigmoid(z) for z in a]
        columns = zip(*coef)
        a = [sum(x * w for x, w in zip(a, column)) + b for column, b in zip(columns, intercept)]
    return a


def _normalised(values):
    total = sum(values)
    return [value / total for value in values]
"""

_PURE_CLASSES = f"""{_PREDICT}\
    logits = [_logits(x) for x in X]
    return [CLASSES[z.index(max(z))] for z in logits]
"""

PURE_OUTPUTS = {
    "pair": f"""{_PROBABILITIES}\
    return [[_sigmoid(-z), _sigmoid(z)] for [z] in map(_logits, X)]
{_PREDICT}\
    return [CLASSES[z > 0] for [z] in map(_logits, X)]
""",
    "sigmoid": f"""{_PROBABILITIES}\
    return [[_sigmoid(value) for value in z] for z in map(_logits, X)]
{_PREDICT}\
    return [[int(value > 0) for value in z] for z in map(_logits, X)]
""",
    "softmax": f"""

def _softmax(z):
    most = max(z)
    return _normalised([exp(value - most) for value in z])
{_PROBABILITIES}\
    return [_softmax(_logits(x)) for x in X]
{_PURE_CLASSES}""",
    "normalised": f"""

def _shares(z):
    # Of logits far below 0 the sigmoids are 0, and their ratios those of these.
    most = min(max(z), 0.0)
    return _normalised([exp(min(v, 0.0) - most) / (1.0 + exp(-abs(v))) for v in z])
{_PROBABILITIES}\
    return [_shares(_logits(x)) for x in X]
{_PURE_CLASSES}""",
    "identity": f"""{_PREDICT}\
    y = [_logits(x) for x in X]
    return [row[0] for row in y] if len(INTERCEPTS[-1]) == 1 else y
""",
    "exp": f"""{_PREDICT}\
    y = [[exp(z) for z in _logits(x)] for x in X]
    return [row[0] for row in y] if len(INTERCEPTS[-1]) == 1 else y
""",
}
