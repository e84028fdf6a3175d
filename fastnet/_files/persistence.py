"""Fitted estimators in files of their own: `save` and `load`."""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_IMODE, S_ISDIR, S_ISREG
from typing import IO, BinaryIO

from fastnet.kernels._folder import Folder

from . import archive
from .schema import Estimator, from_archive, to_arrays


def save(model: Estimator, path: str | os.PathLike[str] | BinaryIO) -> None:
    """Write a fitted estimator to a file that `load` reads.

    The file is an npz archive, which ``numpy.load(path, allow_pickle=False)`` opens as
    well: the weights and biases of each layer, a classifier's labels, the record of training, the
    state of the solver where training may go on (see `SigmoidMLPClassifier`), and a
    header in JSON. It ends with a checksum of all that is before. The same model gives
    the same bytes.

    Parameters
    ----------
    model : SigmoidMLPClassifier or SigmoidMLPRegressor
        What to save; fitted.
    path : str, os.PathLike or binary file object
        File to write or replace; if it is a symbolic link, the file that it points to. The new
        file takes the old one's place in one step, when all of it is on the disk, and keeps its
        permissions: after an error or a crash there is the old file or the new one. A file
        object, such as `io.BytesIO`, is written to from its current position on, and stays open.

    Raises
    ------
    TypeError
        If `model` is of another class, derived ones and pipelines included, or has a
        parameter or an attribute that no such file can hold: a function, a RandomState, a
        callback; or if `path` is neither a path nor a file. skops saves such estimators.
    ValueError
        If a parameter is not valid, weights are not finite or do not fit together, or
        `path` is a device or the like.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    OSError
        If the file cannot be written. An existing file is then unchanged.

    See Also
    --------
    load : Read it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> import fastnet
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = fastnet.SigmoidMLPClassifier((4,), random_state=0)
    >>> model = model.partial_fit(X, y, classes=[0, 1, 2])
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "iris.fastnet"
    ...     fastnet.save(model, path)
    ...     again = fastnet.load(path)
    ...     with np.load(path, allow_pickle=False) as arrays:
    ...         shape = arrays["coefs_0"].shape
    >>> shape
    (4, 4)
    >>> bool((again.predict_proba(X) == model.predict_proba(X)).all())
    True

    Training goes on where it stopped:

    >>> weights = [m.partial_fit(X, y).coefs_[0] for m in (model, again)]
    >>> bool((weights[0] == weights[1]).all())
    True
    """
    content = archive.pack(to_arrays(model))
    if not isinstance(path, str | os.PathLike):
        _check_file_object(path, "write")
        _write_all(path, content)
        return
    target = Path(os.path.realpath(Path(path)))
    with _replacing(target) as file:
        file.write(content)


def load(path: str | os.PathLike[str] | BinaryIO) -> Estimator:
    """Read an estimator that `save` has written.

    Nothing in the file is ever executed, unlike in a pickle, and everything is checked
    before it is used: a file that anyone may have written is safe to read. Loading takes
    about three times the size of the file in memory, and never more than fifty times,
    whatever is in the file. The checksum notices damage; it does not tell who wrote the file.

    Parameters
    ----------
    path : str, os.PathLike or binary file object
        File to read, written by this or an older version of fastnet. A file object is read
        from its current position to its end, and nothing may follow the model.

    Returns
    -------
    model : SigmoidMLPClassifier or SigmoidMLPRegressor
        The fitted estimator: with the same version of fastnet and the same processor, it
        predicts the same bits, and trains further to the same bits if the order of the
        samples is the same.

    Raises
    ------
    TypeError
        If `path` is neither a path nor a binary file object.
    ValueError
        If the file is anything else than what `save` writes, is damaged, or needs a later
        version of fastnet.
    OSError
        If it cannot be read; FileNotFoundError if it does not exist.

    See Also
    --------
    save : Write it, and an example.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import fastnet
    >>> model = fastnet.SigmoidMLPClassifier.from_weights([[[2], [-1]]], [[0.5]], ["no", "yes"])
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.fastnet"
    ...     fastnet.save(model, path)
    ...     print(fastnet.load(path).predict([[1, 1]]))
    ...     damaged = path.write_bytes(path.read_bytes()[:-1])
    ...     try:
    ...         fastnet.load(path)
    ...     except ValueError as error:
    ...         print(str(error).removeprefix(folder))
    ['yes']
    /model.fastnet cannot be loaded: ...
    """
    try:
        return from_archive(archive.Archive(_content_of(path)))
    except ValueError as error:
        raise ValueError(f"{path} cannot be loaded: {error}") from error


def _content_of(path: str | os.PathLike[str] | BinaryIO) -> bytes:
    """Return what is in a file, or follows in a file object."""
    if isinstance(path, str | os.PathLike):
        return archive.read_file(Path(path))
    _check_file_object(path, "read")
    content = path.read()
    if not isinstance(content, bytes):
        raise TypeError("path must be open in binary mode: a model is not text.")
    return content


def _check_file_object(file: BinaryIO, method: str) -> None:
    if not hasattr(file, method):
        raise TypeError(f"path must be a path or a binary file object, got {type(file).__name__}.")


def _write_all(file: BinaryIO, content: memoryview) -> None:
    """Write to a file that may take less than it is given, as one without a buffer."""
    while content:
        written = file.write(content)
        if written is None:
            if isinstance(file, io.RawIOBase):
                raise BlockingIOError("path is a file that would block.")
            # An object that is not from `io`, and does not count.
            return
        content = content[written:]


@contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    """Open a new file that takes a target's place, with all on the disk, if the block ends well."""
    mode = _mode_of(target)
    # Of one length, so that it is not too long where the target's is just not.
    prefix = f".fastnet-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}-"
    # Nobody else can open it before it has the permissions of the old one.
    permissions = 0o666 if mode is None else 0o600
    with Folder(target.parent).replacing(target.name, prefix, permissions) as file:
        if mode is not None:
            Path(file.name).chmod(mode)
        yield file
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(target.parent)


def _mode_of(target: Path) -> int | None:
    """Return the permissions of a file that is to be replaced; None if there is none."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if not (S_ISREG(mode) or S_ISDIR(mode)):
        raise ValueError(f"{target} is not a regular file.")
    return S_IMODE(mode)


def _sync_folder(folder: Path) -> None:
    """See that a rename is on the disk, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
