"""Arrays as the bytes of an npz archive that ends with the checksum of all before.

What is read may have been written by anyone. The checksum notices what was damaged, not
what was forged, so nothing behind it is trusted either: all that is wrong is a ValueError,
and memory is taken for what is there, not for what is claimed to be.
"""

import hashlib
import io
import math
import os
import re
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

import numpy as np
import numpy.typing as npt

# The archive's comment, and so the end of the file: this, then the SHA-256 in hex.
_LABEL = b"fastnet sha256 "
_DIGITS = 64
_END_OF_ARCHIVE = struct.Struct("<4s16xH")
_TAIL = _END_OF_ARCHIVE.size + len(_LABEL) + _DIGITS
_UTF8_NAME = 0x800

# numpy's own reader of this header hands it to Python's parser, which can be made to
# exhaust the stack and to warn. Only what numpy writes for plain vectors and matrices.
_UNIT = rb"(?:[1-9]\d{0,8})?(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)"
_DTYPE = rb"[<>|](?:b1|[iu][1248]|f[248]|U\d{1,9}|[mM]8\[" + _UNIT + rb"\])"
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)\{'descr': '(?P<dtype>" + _DTYPE + rb")', "
    rb"'fortran_order': False, 'shape': \((?P<shape>\d{1,18},|\d{1,18}, \d{1,18})\), \} *\n",
    re.DOTALL,
)


def is_plain(dtype: np.dtype[Any]) -> bool:
    """Return whether an archive can hold such elements."""
    return re.fullmatch(_DTYPE, dtype.str.encode()) is not None


def pack(arrays: Mapping[str, npt.NDArray[Any]]) -> memoryview:
    """Return the archive of arrays that are `is_plain`; of the same ones, the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            # As numpy.savez, but that the date is always 1980.
            info = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(info, "w", force_zip64=True) as member:
                # Without metadata: numpy 2.0 gives dates from a pickle some, and warns of it here.
                plain = np.ascontiguousarray(array).view(array.dtype.str)
                np.lib.format.write_array(member, plain, version=(1, 0), allow_pickle=False)
        archive.comment = _LABEL + bytes(_DIGITS)
    digest = hashlib.sha256(buffer.getbuffer()[:-_DIGITS]).hexdigest()
    buffer.seek(-_DIGITS, os.SEEK_END)
    buffer.write(digest.encode())
    return buffer.getbuffer()


def read_file(path: Path) -> bytes:
    """Return what is in a file, if it ends like an archive of ours.

    Raises
    ------
    ValueError
        If it does not, however large it is.
    OSError
        If it cannot be read.
    """
    mode = path.stat().st_mode
    if not (S_ISREG(mode) or S_ISDIR(mode)):
        raise ValueError("it is not a regular file.")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(size - _TAIL, 0))
        _check_tail(file.read(_TAIL))
        file.seek(0)
        return file.read(size)


def _check_tail(tail: bytes) -> None:
    """Raise an error unless these are the last bytes of an archive with a checksum."""
    comment = _LABEL + bytes(_DIGITS)
    if len(tail) == _TAIL and tail[-len(comment) : -_DIGITS] == _LABEL:
        signature, length = _END_OF_ARCHIVE.unpack_from(tail)
        if signature == b"PK\x05\x06" and length == len(comment):
            return
    raise ValueError(
        "it does not end like a file of fastnet.save: it is something else (a pickle?), or was "
        "cut short."
    )


class Archive:
    """The members of an archive, by name.

    Parameters
    ----------
    data : bytes
        The whole archive.

    Attributes
    ----------
    names : frozenset of str
        Names of the arrays.

    Raises
    ------
    ValueError
        If the checksum is another, or the archive contradicts itself.
    """

    def __init__(self, data: bytes) -> None:
        _check_tail(data[-_TAIL:])
        digest = hashlib.sha256(memoryview(data)[:-_DIGITS]).hexdigest()
        if data[-_DIGITS:] != digest.encode():
            raise ValueError("its checksum is wrong: it was damaged or changed.")
        with _malformed():
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        self._members = _checked_members(self._zip.infolist(), len(data))
        self.names = frozenset(self._members)

    def read(self, name: str) -> npt.NDArray[Any]:
        """Return a vector or matrix, read-only and of any byte order.

        Raises
        ------
        ValueError
            If there is none, or it is malformed.
        """
        if name not in self.names:
            raise ValueError(f"{name!r} is missing.")
        with _malformed():
            content = self._zip.read(self._members[name])
        return _array(name, content)


@contextmanager
def _malformed() -> Iterator[None]:
    """Turn the errors of zipfile into a ValueError.

    Beside BadZipFile it raises RuntimeError, EOFError, OverflowError and others. None is of
    the system: the file is in memory.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"its archive is malformed: {error!r}") from error


def _checked_members(infos: list[zipfile.ZipInfo], size: int) -> dict[str, zipfile.ZipInfo]:
    """Return members by name, if reading them takes no more memory than the file has bytes."""
    members = {}
    for info in infos:
        name, dot, suffix = info.filename.partition(".")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise ValueError(f"{info.filename!r:.60} is compressed.")
        if info.flag_bits & ~_UTF8_NAME or (dot, suffix) != (".", "npy"):
            raise ValueError(f"{info.filename!r:.60} is not a plain member.")
        members[name] = info
    if len(members) < len(infos):
        twice, _ = Counter(info.filename for info in infos).most_common(1)[0]
        raise ValueError(f"{twice!r:.60} occurs twice.")
    if sum(info.file_size for info in infos) > size:
        raise ValueError("its members together are larger than the file.")
    return members


def _array(name: str, content: bytes) -> npt.NDArray[Any]:
    """Return the array of an npy file without copying its elements."""
    header = _NPY.match(content)
    if header is None or int.from_bytes(header["length"], "little") != header.end() - 10:
        raise ValueError(f"{name!r} is not an array of plain elements.")
    try:
        dtype = np.dtype(header["dtype"].decode())
    except TypeError as error:
        raise ValueError(f"{name!r} is not an array of plain elements: {error}") from error
    shape = tuple(int(length) for length in re.findall(rb"\d+", header["shape"]))
    count, n_bytes = math.prod(shape), len(content) - header.end()
    # An empty matrix could still claim to be long.
    if count * dtype.itemsize != n_bytes or max(shape) > n_bytes:
        raise ValueError(f"{name!r} does not have the size that it states.")
    return np.frombuffer(content, dtype, count, header.end()).reshape(shape)
