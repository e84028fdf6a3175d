"""Model files changed at random: refused, or an estimator that can be used, and nothing else.

A change at random is seen by the checksum; so most are made behind it, and behind the
checksums and lengths within the archive, where only what is written there is wrong.
"""

import copy
import json
import re
import tracemalloc

import numpy as np
import pytest

from .._support.model_files import archive_of, file_of, is_refused, members_of, npy, sealed

pytestmark = pytest.mark.thorough

KINDS = (
    "adam, parts", "validation, warm", "multilabel of sparse labels", "strings", "dates",
    "named features", "no hidden layer", "from weights", "regression", "deviance",
)  # fmt: skip
# Of small files; a file that is not refused is also predicted with and written.
MOST_BYTES = 1_000_000
# Numbers at which something may overflow, as bytes.
EDGES = [
    number.to_bytes(width, "little")
    for width in (1, 2, 4, 8)
    for number in (0, 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1)
]
WORDS = [
    None, True, False, 0, -1, 1, 2, 2**63, 1e308, 1e-320, "", "a", "adam", "loss", "binary",
    "softmax", [], {}, [[]], {"$float": "nan"}, {"$float": "-inf"}, {"$tuple": []},
    {"$tuple": [3]}, {"$dict": []}, {"$dict": [[0, 1]]}, {"$dict": 0}, {"$": 0},
]  # fmt: skip
TEXTS = [
    b"1099511627776", b"-1", b"|O", b"U0", b"c16", b"True", b"(", b"'", b"[", b"{", b"}", b"NaN",
    b"\x00", b"\xff", b"PK\x01\x02", b"PK\x05\x06", b"\\ud800", b"1e999", b"$dict", b"9" * 5_000,
]  # fmt: skip


def pick(rng, choices):
    return choices[rng.integers(len(choices))]


def changed_bytes(rng, content):
    """Return bytes with a change of one of the usual kinds."""
    content = bytearray(content)
    size = len(content)
    start = int(rng.integers(size + 1))
    stop = min(start + int(rng.integers(1, 1 + 2 ** rng.integers(1, 10))), size)
    other = int(rng.integers(size + 1))
    match rng.integers(8):
        case 0:
            content[start % size] ^= 1 << rng.integers(8)
        case 1:
            content[start:stop] = rng.bytes(stop - start)
        case 2:
            del content[start:]
        case 3:
            del content[start:stop]
        case 4:
            content[other:other] = content[start:stop]
        case 5:
            edge = pick(rng, EDGES)
            content[start : start + len(edge)] = edge
        case 6:
            text = pick(rng, TEXTS)
            content[start : start + rng.integers(2) * len(text)] = text
        case 7:
            block = content[start:stop]
            content[start:stop] = content[other : other + len(block)]
            content[other : other + len(block)] = block
    return bytes(content)


def places_in(value):
    """Return all there is to change in JSON: a list or dict, and an index or key."""
    if isinstance(value, dict):
        steps = list(value)
    elif isinstance(value, list):
        steps = list(range(len(value)))
    else:
        return []
    inner = [place for step in steps for place in places_in(value[step])]
    return [(value, step) for step in steps] + inner


def changed_header(rng, content):
    """Return the npy file of a header in which values are others, of these or of its own."""
    header = json.loads(content[128:])
    for _ in range(rng.integers(1, 4)):
        places = places_in(header)
        if not places:
            break
        (here, step), (there, other) = pick(rng, places), pick(rng, places)
        match rng.integers(3):
            case 0:
                here[step] = copy.deepcopy(pick(rng, WORDS))
            case 1:
                here[step] = copy.deepcopy(there[other])
            case 2:
                del here[step]
    return npy(np.frombuffer(json.dumps(header).encode(), np.uint8))


def changed_members(rng, members):
    """Return the files in an archive, one of them changed, moved, or left out."""
    name, other = pick(rng, list(members)), pick(rng, list(members))
    match rng.integers(8):
        case 0 | 1 | 2:
            return members | {"header.npy": changed_header(rng, members["header.npy"])}
        case 3 | 4:
            return members | {name: changed_bytes(rng, members[name])}
        case 5:
            return members | {name: members[other], other: members[name]}
        case 6:
            return {key: value for key, value in members.items() if key != name}
        case 7:
            return members | {name: npy(array_of(rng))}


def array_of(rng):
    """Return an array such as may be in an archive, or not."""
    shape = tuple(rng.integers(0, 12, rng.integers(3)))
    values = rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 300)
    with np.errstate(all="ignore"):
        return values.astype(pick(rng, ["f8", "f4", "f2", ">f8", "i8", "u1", "?", "U3", "c16"]))


def changed_structure(rng, content):
    """Return a file in which numbers are others that say where its members are, and how long."""
    places = [found.start() for found in re.finditer(b"PK[\1\3\5][\2\4\6]", content)]
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place, edge = pick(rng, places) + rng.integers(46), pick(rng, EDGES)
        content[place : place + len(edge)] = edge
    return bytes(content)


def mutant(rng, content):
    match rng.integers(5):
        case 0:
            return changed_bytes(rng, content)
        case 1:
            return sealed(changed_bytes(rng, content))
        case 2:
            return sealed(changed_structure(rng, content))
        case _:
            return archive_of(changed_members(rng, members_of(content)))


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_mutants(count):
    rng = np.random.default_rng(count)
    originals = [file_of(kind) for kind in KINDS]
    assert not any(map(is_refused, originals))
    refused = 0
    tracemalloc.start()
    try:
        for number in range(count):
            content = mutant(rng, originals[number % len(originals)])
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            try:
                refused += is_refused(content)
            except BaseException as error:
                error.add_note(f"mutant {number} of {count}")
                raise
            assert tracemalloc.get_traced_memory()[1] - before < MOST_BYTES
    finally:
        tracemalloc.stop()
    # Of the changes behind the checksums, some do no harm: another tol, say, or weight.
    assert count / 2 < refused < count - count / 50
