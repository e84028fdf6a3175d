"""`load` of what `save` has not written: a ValueError that says why.

The file as a whole, its header, and whether the parts fit together.
"""

import copy
import pickle
import re
import struct

import numpy as np
import pytest

from .._support.model_files import (
    DELETED,
    archive_of,
    edited,
    file_of,
    header_of,
    is_refused,
    load_bytes,
    members_of,
    npy,
    refused,
    sealed,
    with_array,
    with_header,
)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        b"\0" * 5_000,
        pickle.dumps({"a": 1}),
        npy(np.ones(100)),
        b"PK\x05\x06" + bytes(18),
        b"fastnet sha256 " + bytes(64),
        b"\x80\x04" * 50_000,
    ],
    ids=lambda content: f"{content[:9]}, {len(content)}",
)
def test_something_else(content, tmp_path):
    refused(
        content,
        r"does not end like a file of fastnet.save: it is something else \(a pickle\?\)",
        tmp_path,
    )


def test_an_archive_of_arrays_that_is_not_ours(tmp_path):
    np.savez(tmp_path / "arrays.npz", header=np.zeros(3))
    refused((tmp_path / "arrays.npz").read_bytes(), "does not end like", tmp_path)
    refused(archive_of({"a.npy": npy(np.ones(3))}), "'header' is missing", tmp_path)


def test_an_archive_with_a_comment_of_its_own(tmp_path):
    content = file_of("binary")
    start = content.rfind(b"PK\x05\x06")
    comment = b"mine, " + content[start + 22 :]
    longer = content[: start + 20] + struct.pack("<H", len(comment)) + comment
    refused(sealed(longer), "does not end like", tmp_path)


def test_a_file_that_was_cut_short_or_grew(tmp_path):
    content = file_of("binary")
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r"does not end|checksum"):
            load_bytes(content[:length])
    refused(content[:-1], "was cut short", tmp_path)
    refused(content + b"\n", "does not end like", tmp_path)
    refused(b"\n" + content, "checksum is wrong: it was damaged or changed", tmp_path)


@pytest.mark.parametrize("change", [1, 0x80])
def test_any_changed_byte_is_noticed(change):
    content = bytearray(file_of("binary float32"))
    for place in range(len(content)):
        content[place] ^= change
        with pytest.raises(ValueError, match=r"does not end|checksum"):
            load_bytes(bytes(content))
        content[place] ^= change
    assert not is_refused(bytes(content))


def test_a_later_version_asks_for_an_upgrade(tmp_path):
    header = {"format": "fastnet.SigmoidMLPClassifier", "format_version": 2, "new": {}}
    later = with_header(file_of("binary"), header | {"fastnet_version": "9.8.7"})
    refused(
        later,
        r"fastnet 9\.8\.7 wrote it in version 2 .* only versions up to 1: upgrade fastnet",
        tmp_path,
    )
    for version in (0, -1, 1.0, "1", None, True):
        refused(edited(format_version=version), "no version of the format", tmp_path)
    refused(edited(format="xgboost"), "its header is not one of fastnet", tmp_path)


def test_parameters_that_this_version_lacks_and_ones_that_the_file_lacks(tmp_path):
    refused(edited(parameters__dropout=0.5), "no parameter dropout in fastnet", tmp_path)
    older = load_bytes(edited(parameters__max_grad_norm=DELETED, parameters__alpha=0.5))
    assert older.max_grad_norm is None
    assert older.alpha == 0.5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"parameters__alpha": "x"}, "'alpha' parameter of SigmoidMLPClassifier"),
        ({"parameters__activation": "relu"}, "'activation' parameter"),
        ({"parameters__scoring": "os.system"}, "'scoring' parameter"),
        ({"parameters__n_jobs": 0}, "n_jobs == 0"),
        ({"parameters__class_weight": [[[[[[]]]]]]}, "nested too deeply"),
        ({"parameters__tol": {"$float": "1.0"}}, r"malformed \$float"),
        ({"parameters__tol": {"$float": []}}, r"malformed \$float"),
        ({"parameters__hidden_layer_sizes": {"$tuple": 5}}, r"malformed \$tuple"),
        ({"parameters__class_weight": {"$dict": [[[], 1]]}}, r"malformed \$dict"),
        ({"parameters__class_weight": {"$dict": [[1]]}}, r"malformed \$dict"),
        ({"parameters__class_weight": {"$eval": "1"}}, r"malformed \$eval"),
        ({"parameters": {"$dict": [[1, 2]]}}, "no parameter 1"),
        ({"parameters": []}, "parameters must not be of type list"),
        ({"feature_names": ["a"]}, "feature_names must be 9 strings"),
        ({"feature_names": [1] * 9}, "feature_names must be 9 strings"),
        ({"y_type": "unknown", "out_activation": "logistic"}, "4 classes of 'unknown' do not fit"),
        ({"y_type": "binary", "out_activation": "logistic"}, "4 classes of 'binary'"),
        ({"sparse_labels": True}, "do not fit"),
        ({"out_activation": "relu"}, "out_activation must not be 'relu'"),
        ({"record__t_": -1}, "t_ is out of range"),
        ({"record__t_": 2**63}, "t_ is out of range"),
        ({"record__n_iter_": 1.0}, "n_iter_ must not be of type float"),
        ({"record__loss_": 1}, "loss_ must not be of type int"),
        ({"record__best_validation_score_": 0.5}, "'validation_.*' is missing"),
        ({"solver": None}, "'solver_.*' is missing or must not be there"),
        ({"solver__solver": "os"}, "no solver 'os', 'constant'"),
        ({"solver__rule": "os"}, "no solver 'Adam', 'os'"),
        ({"solver__rule": 1}, "rule must not be of type int"),
        ({"solver__learning_rate_init": 0.0}, "learning_rate_init must be > 0"),
        ({"solver__learning_rate_init": {"$float": "nan"}}, "learning_rate_init must be > 0"),
        ({"solver__momentum": 0.5}, "must not have momentum"),
        ({"record__t_": DELETED}, "lacks t_"),
        ({"code": "import os"}, "must not have code"),
    ],
    # An address would have another id in every process.
    ids=lambda value: re.sub(r"<object.*>", "DELETED", str(value)),
)
def test_header_values(values, message, tmp_path):
    refused(edited(**values), message, tmp_path)


def test_softmax_is_for_more_than_two_classes(tmp_path):
    for kind in ("binary", "multilabel"):
        refused(edited(kind, out_activation="softmax"), "out_activation must not be", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[]", "its header is not one of"),
        ("{" * 100_000, "Expecting property"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("NaN", "NaN, which is not JSON"),
        ("9" * 10_000, "4300 digits"),
        ('"ü"', "ascii"),
    ],
    ids=lambda text: text[:12],
)
def test_header_text(text, message, tmp_path):
    refused(with_header(file_of("binary"), text), message, tmp_path)


HOSTILE = [
    None, True, 0, -1, 2**70, 10**400, 1.5, "", "x" * 100, [], [[]], [1, "a"], {}, {"a": 1},
    {"$float": "nan"}, {"$float": "inf"}, {"$tuple": [1, 2]}, {"$dict": [["a", None], [0, []]]},
    "adam", "loss", "balanced", 5,
]  # fmt: skip


@pytest.mark.thorough
def test_every_value_of_the_header_by_every_other():
    """Each is refused, or gives an estimator that predicts and can be saved."""
    content = file_of("validation, warm")
    header = header_of(content)
    places = [((), name) for name in header]
    places += [
        ((outer,), name) for outer in header if outer != "format" for name in _keys(header, outer)
    ]
    kept = 0
    for outer, name in places:
        for value in [*HOSTILE, DELETED]:
            changed = copy.deepcopy(header)
            place = changed[outer[0]] if outer else changed
            if value is DELETED:
                del place[name]
            else:
                place[name] = value
            kept += not is_refused(with_header(content, changed))
    # Most parameters may have several of these values, and all may be missing.
    assert len(header["parameters"]) < kept < len(places) * len(HOSTILE) / 2


def _keys(header, outer):
    return list(header[outer]) if isinstance(header[outer], dict) else []


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("header", np.zeros(9), "'header' is not text"),
        ("header", np.zeros((3, 3), np.uint8), "'header' is not text"),
        ("coefs_0", np.ones((9, 5)), "more than one dtype"),
        ("coefs_0", np.ones((9, 5), np.int32), "'coefs_0' has 2 axes of int32"),
        ("coefs_0", np.ones((9, 5), np.float16), "'coefs_0' has 2 axes of float16"),
        ("coefs_0", np.ones(45, np.float32), "'coefs_0' has 1 axes"),
        ("coefs_0", np.ones((9, 6), np.float32), r"coefs\[1\] must have 6 rows"),
        ("coefs_0", np.full((9, 5), np.nan, np.float32), "must be finite"),
        ("coefs_0", np.ones((8, 5), np.float32), None),
        ("intercepts_0", np.ones(6, np.float32), r"intercepts\[0\] must have shape \(5,\)"),
        ("intercepts_0", np.full(5, -np.inf, np.float32), "must be finite"),
        ("classes", np.arange(5), "5 classes of 'multiclass' do not fit 4 outputs"),
        ("classes", np.array([0, 1, 1, 2]), "ascending order"),
        ("classes", np.array([0, 1, 2, np.nan]), "ascending order"),
        ("classes", np.array([0, 1, 2, "NaT"], "M8[s]"), "ascending order"),
        ("classes", np.arange(4).reshape(2, 2), "do not fit"),
        ("classes", np.arange(4).reshape(4, 1), "do not fit"),
        ("classes", np.arange(0), "do not fit"),
        ("loss_curve", np.ones(2, np.float32), "'loss_curve' has 1 axes of float32"),
        ("loss_curve", np.ones((2, 1)), "'loss_curve' has 2 axes"),
        ("solver_powers", np.ones(3), "'solver_powers' must have two"),
        ("solver_state", np.ones(3, int), "'solver_state' has 1 axes of int64"),
    ],
)
def test_arrays_of_another_kind(name, array, message, tmp_path):
    content = with_array(file_of("adam, parts"), name, array)
    if message is None:
        assert not is_refused(content)
    else:
        refused(content, message, tmp_path)


def with_outputs(kind, n_outputs, classes):
    """Return a file of a network of 5 hidden units with other outputs and labels."""
    arrays = {
        "coefs_1.npy": np.ones((5, n_outputs)),
        "intercepts_1.npy": np.ones(n_outputs),
        "classes.npy": classes,
    }
    changes = {name: npy(array) for name, array in arrays.items()}
    return archive_of({**members_of(file_of(kind)), **changes})


@pytest.mark.parametrize(
    ("kind", "n_outputs", "classes", "fits"),
    [
        ("binary", 1, [0, 1], True),
        ("binary", 1, [0], True),
        ("binary", 1, [], False),
        ("binary", 1, [0, 1, 2], False),
        ("binary", 2, [0, 1], False),
        ("multiclass", 3, [0, 1, 2], True),
        ("multiclass", 2, [0, 1], False),
        ("multiclass", 3, [0, 1, 2, 3], False),
        ("multilabel", 2, [0, 1], True),
        ("multilabel", 2, [0, 1, 2], True),
        ("multilabel", 2, [0], False),
        ("multilabel", 1, [0], False),
        ("binary", 1, [np.nan], None),
    ],
)
def test_labels_and_outputs(kind, n_outputs, classes, fits, tmp_path):
    content = with_outputs(kind, n_outputs, np.array(classes, None if classes else int))
    if fits:
        assert not is_refused(content)
    else:
        refused(content, "ascending order" if fits is None else "do not fit", tmp_path)


def test_a_network_of_nothing(tmp_path):
    members = members_of(file_of("no hidden layer"))
    members |= {"coefs_0.npy": npy(np.ones((0, 0))), "intercepts_0.npy": npy(np.ones(0))}
    refused(archive_of(members), r"must be a matrix, got shape \(0, 0\)", tmp_path)


def test_labels_that_numpy_could_not_have_made(tmp_path):
    strings, bools = npy(np.array(["a", "b"])), npy(np.array([False, True]))
    beyond_unicode = strings[:-4] + b"\0\0\x11\0"
    refused(with_array(file_of("objects"), "classes", beyond_unicode), "characters", tmp_path)
    refused(with_array(file_of("bools"), "classes", bools[:-1] + b"\2"), "booleans", tmp_path)
