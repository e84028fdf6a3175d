"""Write the model files that later versions must read.

``python -m tests.files.make_golden`` writes them to ``tests/files/golden``, in a folder of the
version of fastnet, for `test_golden.py`. Once released, a folder is never changed; a new one is
due when the version of the format is raised, or a file holds more than it did.
"""

import warnings
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier

import fastnet

from .._support.model_files import KINDS, REGRESSORS, example

GOLDEN = Path(__file__).with_name("golden")
EXPECTED = "expected.npz"
# Each of these has something in its file that others have not.
CHOSEN = (
    "adam, parts", "binary", "class weights", "dates", "from weights", "lbfgs, warm",
    "multiclass float32", "multilabel of sparse labels", "named features", "no hidden layer",
    "no intercept", "rprop, warm", "sgd, warm", "squared error", "strings", "validation, warm",
    "regression", "regression, several targets", "deviance",
)  # fmt: skip


def name_of(kind: str) -> str:
    """Return the name of the file of a kind of estimator."""
    return kind.replace(",", "").replace(" ", "_")


def write(folder: Path) -> None:
    """Write the files, and beside them what the estimators in them should say."""
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for kind in CHOSEN:
        model, X, _ = example(kind)
        name, X = name_of(kind), X[:7]
        path = folder / f"{name}.fastnet"
        fastnet.save(model, path)
        # Of a regressor, values.
        labels = model.predict(X)
        # Without the scalars of numpy, as the file has them.
        parameters = fastnet.load(path).get_params()
        expected |= {
            f"{name}.X": np.asarray(X),
            f"{name}.labels": labels.toarray() if sparse.issparse(labels) else labels,
            f"{name}.parameters": np.array([[k, repr(v)] for k, v in parameters.items()]),
        }
        if is_classifier(model):
            expected[f"{name}.probabilities"] = model.predict_proba(X)
    np.savez_compressed(folder / EXPECTED, **expected)


if __name__ == "__main__":
    assert set(CHOSEN) <= {*KINDS, *REGRESSORS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(GOLDEN / fastnet.__version__)
