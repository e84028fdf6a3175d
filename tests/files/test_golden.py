"""Model files of every version are read by this one, and mean what they meant."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import is_classifier

import fastnet
from fastnet._files.header import FORMAT_VERSION

from .._support.model_files import example, header_of
from .make_golden import CHOSEN, EXPECTED, GOLDEN, name_of, write

# Another processor may round otherwise.
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
# Of a folder that the script could write now, beside those that are kept.
NEW = "as written now"


@pytest.fixture(params=[*sorted(path.name for path in GOLDEN.iterdir()), NEW])
def folder(request, tmp_path):
    if request.param != NEW:
        return GOLDEN / request.param
    write(tmp_path)
    return tmp_path


def test_files_of_every_version(folder):
    paths = sorted(folder.glob("*.fastnet"))
    assert len(paths) == len(CHOSEN)
    with np.load(folder / EXPECTED, allow_pickle=False) as arrays:
        expected = dict(arrays)
    for path in paths:
        check(fastnet.load(path), path.stem, expected)


def check(model, name, expected):
    """Assert that an estimator says what the one that was saved has said."""
    X, labels = expected[f"{name}.X"], expected[f"{name}.labels"]
    if hasattr(model, "feature_names_in_"):
        X = pd.DataFrame(X, columns=model.feature_names_in_)
    predicted = model.predict(X)
    predicted = predicted.toarray() if sparse.issparse(predicted) else predicted
    assert predicted.dtype == labels.dtype
    if is_classifier(model):
        proba = expected[f"{name}.probabilities"]
        assert model.coefs_[0].dtype == proba.dtype
        assert_allclose(model.predict_proba(X), proba, rtol=TOLERANCE[str(proba.dtype)])
        assert_array_equal(predicted, labels)
    else:
        rtol = TOLERANCE[str(labels.dtype)]
        assert_allclose(predicted, labels, rtol=10 * rtol, atol=10 * rtol)
    # Later versions may have more parameters.
    params = {key: repr(value) for key, value in model.get_params().items()}
    written = {str(key): str(value) for key, value in expected[f"{name}.parameters"]}
    assert {key: params[key] for key in written} == written


def test_training_goes_on_from_every_version(folder):
    for kind in ("adam, parts", "sgd, warm", "rprop, warm", "validation, warm"):
        model = fastnet.load(folder / f"{name_of(kind)}.fastnet").set_params(warm_start=True)
        assert model._solver_state["state"].any()
        before, epochs = model.t_, len(model.loss_curve_)
        rng = np.random.default_rng(0)
        X = rng.standard_normal((20, model.n_features_in_)).astype(model.coefs_[0].dtype)
        model.partial_fit(X, rng.permutation(np.resize(model.classes_, 20)))
        assert model.t_ == before + 20
        assert len(model.loss_curve_) == epochs + 1


@pytest.mark.parametrize("kind", sorted(set(CHOSEN) - {"lbfgs, warm", "from weights"}))
def test_a_fit_has_the_bits_that_it_had_in_0_1(kind, tmp_path):
    """But for L-BFGS, whose steps are scipy's arithmetic, and its bits the machine's."""
    model, X, _ = example(kind)
    with np.load(GOLDEN / "0.1.0" / EXPECTED, allow_pickle=False) as expected:
        if np.asarray(X)[:7].tobytes() != expected[f"{name_of(kind)}.X"].tobytes():
            pytest.skip("scikit-learn makes other samples with this machine's BLAS")
    fastnet.save(model, tmp_path / "now")
    with (
        np.load(GOLDEN / "0.1.0" / f"{name_of(kind)}.fastnet") as then,
        np.load(tmp_path / "now") as now,
    ):
        assert {"coefs_0", "loss_curve"} <= set(then.files) <= set(now.files)
        # Scores are scikit-learn's arithmetic.
        for name in set(then.files) - {"header", "validation_scores"}:
            assert then[name].tobytes() == now[name].tobytes(), name


def test_the_format_of_this_version_is_kept():
    """A format that is raised needs files: ``python -m tests.files.make_golden``."""
    names = {f"{name_of(kind)}.fastnet" for kind in CHOSEN}
    folders = [
        {path.name: path.read_bytes() for path in folder.iterdir()} for folder in GOLDEN.iterdir()
    ]
    assert any(
        names <= files.keys()
        and {header_of(files[name])["format_version"] for name in names} == {FORMAT_VERSION}
        for files in folders
    )


def test_files_are_small():
    assert max(path.stat().st_size for path in GOLDEN.rglob("*.fastnet")) < 10_000
