"""`load` of archives that are malformed or greedy: a ValueError, and little memory."""

import pickle
import struct
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import fastnet

from .._support.model_files import (
    archive_of,
    edited,
    file_of,
    load_bytes,
    members_of,
    npy,
    refused,
    sealed,
    with_array,
    with_header,
)

pytestmark = pytest.mark.thorough

# Times the size of the file, where the header is lists in lists; of what `save` writes, three.
MOST_MEMORY = 50


def npy_file(header, body=b"", version=b"\x01\x00"):
    """Return an npy file whose header is this text."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + body


def claim(shape, descr="'<f8'", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


@pytest.mark.parametrize(
    "content",
    [
        npy_file(claim("(1099511627776,)"), bytes(80)),
        npy_file(claim("(1048576, 1048576)"), bytes(80)),
        npy_file(claim("(0, 1099511627776)")),
        npy_file(claim("(1099511627776, 0)")),
        npy_file(claim("(4294967296, 4294967296)")),
        npy_file(claim("(-1,)"), bytes(80)),
        npy_file(claim("()"), bytes(8)),
        npy_file(claim("(2, 5, 1)"), bytes(80)),
        npy_file(claim("(2, 5)", order="True"), bytes(80)),
        npy_file(claim("(10,)", "'|O'"), pickle.dumps([1])),
        npy_file(claim("(10,)", "[('a', '<f8')]"), bytes(80)),
        npy_file(claim("(1099511627776,)", "'<U0'")),
        npy_file(claim("(10,)", "'<M8[0s]'"), bytes(80)),
        npy_file(claim("(10,)", "'<M8[x]'"), bytes(80)),
        npy_file(claim("(10,)", "'<c8'"), bytes(80)),
        npy_file(claim("(10,)", "'<U999999999'"), bytes(80)),
        npy_file(claim("(10,)"), bytes(79)),
        npy_file(claim("(10,)"), bytes(81)),
        npy_file(claim("(10,)"), bytes(80), version=b"\x02\x00"),
        npy_file("(" * 9_000),
        npy_file("__import__('os').system('touch hacked')"),
        npy_file("'\\d'"),
        b"\x93NUMPY\x01\x00\xff\xff" + npy_file(claim("(10,)"), bytes(80))[10:],
        b"\x93NUMPY",
        b"",
    ],
    ids=lambda content: str(content[10:90]),
)
@pytest.mark.parametrize("name", ["header", "coefs_0", "classes", "solver_state"])
def test_malformed_arrays(content, name, tmp_path):
    message = f"'{name}' is not an array of plain elements|'{name}' does not have the size"
    refused(with_array(file_of("adam, parts"), name, content), message, tmp_path)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (lambda m: {k: v for k, v in m.items() if k != "coefs_1.npy"}, "'.*_1' is missing"),
        (lambda m: {k: v for k, v in m.items() if "coefs" not in k}, "'.*' is missing"),
        (lambda m: {k: v for k, v in m.items() if k != "classes.npy"}, "'classes' is missing"),
        (lambda m: {**m, "coefs_2.npy": m["coefs_1.npy"]}, "'.*_2' is missing"),
        (lambda m: {**m, "more.npy": m["coefs_1.npy"]}, "'more' is missing or must not be"),
        (lambda m: {**m, "code.py": b"1"}, "'code.py' is not a plain member"),
        (lambda m: {**m, "../x.npy": b""}, "'../x.npy' is not a plain member"),
        (lambda m: {**m, "a/b.npy": b""}, "'a/b' is missing or must not be there"),
        (lambda m: [*m.items(), ("coefs_0.npy", b"")], "'coefs_0.npy' occurs twice"),
    ],
)
def test_members(members, message, tmp_path):
    refused(archive_of(members(members_of(file_of("adam, parts")))), message, tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_members(method, tmp_path):
    members = {**members_of(file_of("binary")), "coefs_0.npy": bytes(10**7)}
    content = archive_of(members, compression=method)
    assert len(content) < 100_000
    refused(content, "is compressed", tmp_path)
    assert peak(content) < MOST_MEMORY * len(content) + 100_000


def with_directory(content, offset, value):
    """Return a file in whose directory all entries have another value at an offset."""
    changed = bytearray(content)
    place = changed.find(b"PK\x01\x02")
    while place >= 0:
        changed[place + offset : place + offset + len(value)] = value
        place = changed.find(b"PK\x01\x02", place + 1)
    return sealed(bytes(changed))


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (8, b"\x01\x00", "not a plain member"),
        (8, b"\x40\x00", "not a plain member"),
        (10, b"\x08\x00", "is compressed"),
        (10, b"\x63\x00", "is compressed"),
        (20, b"\xff\xff\xff\x7f" * 2, "larger than the file"),
        (20, b"\x00\x00\x00\x00", "is compressed"),
        (16, b"\x00\x00\x00\x00", "Bad CRC"),
        (6, b"\xff\x00", r"malformed: NotImplementedError\(.zip file version"),
        (42, b"\x00\x00\x00\x00", "malformed: BadZipFile"),
        (42, b"\xff\xff\xff\x7f", "malformed: BadZipFile"),
        (28, b"\xff\xff", "not a plain member"),
    ],
)
def test_directories(offset, value, message, tmp_path):
    refused(with_directory(file_of("binary"), offset, value), message, tmp_path)


def test_what_zipfile_reports_by_other_errors(tmp_path):
    content = file_of("binary")
    first, last = content.find(b"PK\x01\x02"), content.rfind(b"PK\x01\x02")
    end = content.rfind(b"PK\x05\x06")
    # The last member goes on behind the end of the file.
    members = [*map(len, members_of(content).values())]
    beyond = members[-1] + len(content) - sum(members)
    longer = patched(content, last + 20, struct.pack("<LL", beyond, beyond))
    refused(longer, "malformed: EOFError|malformed: BadZipFile", tmp_path)
    # The directory is said to be further back than the file is long, and its members too.
    before = patched(content, end + 12, struct.pack("<LL", end - first, end))
    refused(before, "malformed: ", tmp_path)
    # In a longer form of the directory, offsets beyond all that can be.
    extra = struct.pack("<HHQ", 1, 8, 2**64 - 1)
    entry = bytearray(content[first : content.find(b"PK\x01\x02", first + 1)])
    entry[30:32], entry[42:46] = struct.pack("<H", len(extra)), b"\xff" * 4
    ending = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entry + extra), first, 79)
    comment = b"fastnet sha256 " + bytes(64)
    huge = sealed(content[:first] + bytes(entry) + extra + ending + comment)
    refused(huge, "malformed: OverflowError", tmp_path)


def patched(content, place, value):
    """Return a file with other bytes at a place."""
    return sealed(content[:place] + value + content[place + len(value) :])


def peak(content):
    """Return the most memory that reading a file takes, beside the file itself."""
    tracemalloc.start()
    try:
        with suppress(ValueError):
            load_bytes(content)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def directory_of(count):
    """Return an archive whose directory has so many entries, and nothing else."""
    entries = b"".join(
        b"PK\x01\x02" + bytes(24) + struct.pack("<H", 4) + bytes(16) + struct.pack("<L", n)
        for n in range(count)
    )
    counts = (min(count, 0xFFFF),) * 2
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, *counts, len(entries), 0, 79)
    return sealed(entries + end + b"fastnet sha256 " + bytes(64))


GREEDY = {
    "lists": lambda: with_header(file_of("binary"), f"[{'[],' * 50_000}[]]"),
    "lists in lists": lambda: with_header(
        file_of("binary"), "[" + ",".join(["[" * 100 + "]" * 100] * 1_000) + "]"
    ),
    "objects": lambda: with_header(file_of("binary"), f"[{'{},' * 50_000}[]]"),
    "lists as a parameter": lambda: edited(parameters__class_weight=[[]] * 50_000),
    "names": lambda: edited(feature_names=["ab"] * 50_000),
    "pairs": lambda: edited(parameters__class_weight={"$dict": [[n, 0] for n in range(20_000)]}),
    "a directory": lambda: directory_of(20_000),
    "a claim": lambda: with_array(
        file_of("binary"), "coefs_0", npy_file(claim("(99999999, 99999)"), bytes(100_000))
    ),
    "layers that need a large matrix between them": lambda: archive_of(
        {
            **members_of(file_of("multilabel")),
            "coefs_0.npy": npy(np.ones((1, 50_000))),
            "intercepts_0.npy": npy(np.ones(50_000)),
            "coefs_1.npy": npy(np.ones((1, 50_000))),
            "intercepts_1.npy": npy(np.ones(50_000)),
        }
    ),
    "many labels": lambda: archive_of(
        {
            **members_of(file_of("multilabel")),
            "coefs_1.npy": npy(np.ones((5, 20_000))),
            "intercepts_1.npy": npy(np.ones(20_000)),
            "classes.npy": npy(np.arange(20_000)),
        }
    ),
}  # fmt: skip


@pytest.mark.parametrize("content", GREEDY.values(), ids=GREEDY)
def test_memory_is_bounded_by_the_size_of_the_file(content):
    content = content()
    assert len(content) > 100_000
    assert peak(content) < MOST_MEMORY * len(content)


def test_memory_of_a_model_is_three_times_that_of_its_file(tmp_path):
    rng = np.random.default_rng(0)
    coefs = [rng.standard_normal((500, 600)), rng.standard_normal((600, 1))]
    model = fastnet.SigmoidMLPClassifier.from_weights(coefs, [[0.0] * 600, [0.0]], [0, 1])
    path = tmp_path / "model.fastnet"
    fastnet.save(model, path)
    size = path.stat().st_size
    tracemalloc.start()
    fastnet.load(path)
    assert tracemalloc.get_traced_memory()[1] < 3.2 * size
    tracemalloc.reset_peak()
    fastnet.save(model, path)
    assert tracemalloc.get_traced_memory()[1] < 2.2 * size
    tracemalloc.stop()


def test_a_large_file_of_something_else_is_not_read(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match="does not end like"):
        fastnet.load(path)


def test_nothing_is_executed(tmp_path):
    hacked = tmp_path / "hacked"

    class Hostile:
        def __reduce__(self):
            return Path.touch, (hacked,)

    hostile = pickle.dumps(Hostile())
    array = with_array(file_of("binary"), "classes", npy_file(claim("(1,)", "'|O'"), hostile))
    for content in (hostile, array):
        refused(content, "not an array of plain|does not end like", tmp_path)
        assert not hacked.exists()
    pickle.loads(hostile)
    assert hacked.exists()
