"""What `save` does to the folder: a file is the old one or the new one, and nothing is left.

The kill tests run in a process of their own, which forks children that save and are killed.
"""

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnet
from fastnet import SigmoidMLPClassifier
from fastnet._files import persistence
from fastnet.kernels._folder import Folder

pytestmark = pytest.mark.processes

# A model of a megabyte, filled with its number.
PREAMBLE = """
import os, random, resource, signal, sys, time
import numpy as np
import fastnet

def model(number):
    coefs = [np.full((1_000, 130), number), np.full((130, 1), number)]
    return fastnet.SigmoidMLPClassifier.from_weights(coefs, [[0.0] * 130, [0.0]], [0, 1])

def small(number):
    return fastnet.SigmoidMLPClassifier.from_weights([[[number]]], [[0.0]], [0, 1])

def number_of(path):
    loaded = fastnet.load(path)
    number = int(loaded.coefs_[0][0, 0])
    assert all((coef == number).all() for coef in loaded.coefs_), path
    return number

def age_all():
    "Let all temporary files be two hours old; return how many there are."
    names = [name for name in os.listdir(folder) if name != os.path.basename(path)]
    for name in names:
        os.utime(os.path.join(folder, name), (0, time.time() - 7_200))
    return len(names)

path = sys.argv[1]
folder = os.path.dirname(path)
"""
# After each line of the modules in turn, until there is none left.
KILLED_BETWEEN_LINES = """
def kill_at(count):
    def trace(frame, event, arg):
        nonlocal count
        if not frame.f_code.co_filename.endswith(("persistence.py", "_folder.py")):
            return None
        count -= 1
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)

old, new = small(1), small(2)
numbers, most_left, lines = [], 0, 0
while True:
    fastnet.save(old, path)
    lines += 1
    assert lines < 500, "what was left is never removed, and takes a line more each time"
    child = os.fork()
    if child == 0:
        kill_at(lines)
        fastnet.save(new, path)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        break
    numbers.append(number_of(path))
    most_left = max(most_left, age_all())
assert os.WEXITSTATUS(status) == 0 and number_of(path) == 2
print(numbers == sorted(numbers), set(numbers), most_left)
fastnet.save(old, path)
print(os.listdir(folder) == [os.path.basename(path)])
"""
KILLED_AT_ANY_TIME = """
random.seed(0)
models = [model(number) for number in range(4)]
start = time.perf_counter()
fastnet.save(models[0], path)
duration = time.perf_counter() - start
for _ in range(15):
    child = os.fork()
    if child == 0:
        # In case nobody kills it.
        signal.alarm(60)
        number = 0
        while True:
            number = number % 3 + 1
            fastnet.save(models[number], path)
    time.sleep(random.uniform(0.0, 3.0 * duration))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert number_of(path) in range(4)
age_all()
fastnet.save(models[0], path)
print(number_of(path), os.listdir(folder) == [os.path.basename(path)])
"""
FULL = """
fastnet.save(model(1), path)
before = os.listdir(folder)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
for target in (path, path + ".new"):
    try:
        fastnet.save(model(2), target)
    except OSError as error:
        print(type(error).__name__, error.errno)
print(number_of(path), os.listdir(folder) == before)
"""


def run(script, folder):
    """Run a script with the path of a file in a folder; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + script, str(folder / "model.fastnet")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def model_of(number):
    return SigmoidMLPClassifier.from_weights([[[float(number)]]], [[0.0]], [0, 1])


def number_of(path):
    return int(fastnet.load(path).coefs_[0][0, 0])


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_process_killed_between_any_two_lines_leaves_a_whole_file(tmp_path):
    """The old one, and from some line on the new one; what else it leaves is removed later."""
    assert run(KILLED_BETWEEN_LINES, tmp_path) == ["True {1, 2} 1", "True"]


def test_a_process_killed_at_any_time_leaves_a_whole_file(tmp_path):
    assert run(KILLED_AT_ANY_TIME, tmp_path) == ["0 True"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    full = f"OSError {errno.EFBIG}"
    assert run(FULL, tmp_path) == [full, full, "1 True"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt(), MemoryError()]
)
@pytest.mark.parametrize("step", ["fsync", "chmod", "fstat"])
def test_an_error_on_the_way_leaves_the_old_file_and_nothing_else(
    error, step, tmp_path, monkeypatch
):
    def fails(*args, **options):
        raise error

    path = tmp_path / "model.fastnet"
    fastnet.save(model_of(1), path)
    with monkeypatch.context() as patch:
        patch.setattr(persistence.os, step, fails)
        with pytest.raises(type(error)):
            fastnet.save(model_of(2), path)
    assert list(tmp_path.iterdir()) == [path]
    assert number_of(path) == 1


def test_no_file_is_renamed_or_removed_while_it_is_open(tmp_path, monkeypatch):
    """Windows would refuse to; and it has no `fchmod`."""
    path, opened = tmp_path / "model.fastnet", []

    def recorded(*args, function=Folder.open_file):
        opened.append(function(*args))
        return opened[-1]

    def checked(*args, function, **kwargs):
        assert all(file.closed for file in opened)
        return function(*args, **kwargs)

    monkeypatch.setattr(Folder, "open_file", recorded)
    for name in ("replace", "unlink"):
        monkeypatch.setattr(os, name, partial(checked, function=getattr(os, name)))
    monkeypatch.delattr(os, "fchmod")
    for number in (1, 2):
        fastnet.save(model_of(number), path)
    monkeypatch.setattr(persistence.os, "fsync", lambda descriptor: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fastnet.save(model_of(3), path)
    assert list(tmp_path.iterdir()) == [path]
    assert number_of(path) == 2
    assert len(opened) >= 3


def test_all_is_on_the_disk_before_it_takes_the_place(tmp_path, monkeypatch):
    path, synced = tmp_path / "model.fastnet", []
    fastnet.save(model_of(1), path)
    size, fsync = path.stat().st_size, os.fsync

    def recorded(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append((is_folder, is_folder or os.fstat(descriptor).st_size, number_of(path)))
        fsync(descriptor)

    monkeypatch.setattr(persistence.os, "fsync", recorded)
    fastnet.save(model_of(2), path)
    assert synced == [(False, size, 1), (True, True, 2)]


def test_a_folder_that_cannot_be_synced_is_no_reason_to_fail(tmp_path, monkeypatch):
    path, fsync = tmp_path / "model.fastnet", os.fsync

    def of_files_only(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(persistence.os, "fsync", of_files_only)
    fastnet.save(model_of(2), path)
    assert number_of(path) == 2


def test_what_others_are_writing_is_left_alone(tmp_path):
    path = tmp_path / "model.fastnet"
    fastnet.save(model_of(1), path)
    with persistence._replacing(path) as unfinished:
        (temporary,) = set(tmp_path.iterdir()) - {path}
        unfinished.write(b"half")
        fastnet.save(model_of(2), path)
        assert temporary.exists()
        assert number_of(path) == 2
        hours_ago = time.time() - 2 * 3600
        os.utime(temporary, (hours_ago, hours_ago))
        # Of another file, in the same folder.
        fastnet.save(model_of(3), tmp_path / "other.fastnet")
        assert temporary.exists()
    assert path.read_bytes() == b"half"


def test_permissions_are_those_of_a_file_that_is_opened(tmp_path):
    for umask in (0o022, 0o077, 0o002):
        path, other = tmp_path / f"{umask}.fastnet", tmp_path / f"{umask}.txt"
        before = os.umask(umask)
        try:
            fastnet.save(model_of(1), path)
            other.write_text("")
        finally:
            os.umask(before)
        assert mode_of(path) == mode_of(other)
    for mode in (0o600, 0o664, 0o444):
        path.chmod(mode)
        fastnet.save(model_of(2), path)
        assert mode_of(path) == mode
        assert number_of(path) == 2


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_what_it_points_to_is_replaced(exists, tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "model.fastnet", tmp_path / "link.fastnet"
    if exists:
        fastnet.save(model_of(1), target)
    link.symlink_to("folder/model.fastnet")
    fastnet.save(model_of(2), link)
    assert link.is_symlink()
    assert not target.is_symlink()
    assert number_of(target) == number_of(link) == 2
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "folder", "link.fastnet", "model.fastnet",
    ]  # fmt: skip


def test_what_is_no_file_is_not_replaced(tmp_path):
    pipe, folder, loop = (tmp_path / name for name in ("pipe", "folder", "loop"))
    os.mkfifo(pipe)
    # Whoever opens it need not wait for another.
    other_end = os.open(pipe, os.O_RDWR)
    folder.mkdir()
    loop.symlink_to("loop")
    before = sorted(tmp_path.iterdir())
    for path, error in ((pipe, ValueError), (folder, IsADirectoryError), (loop, OSError)):
        with pytest.raises(error):
            fastnet.save(model_of(1), path)
        with pytest.raises(error):
            fastnet.load(path)
    os.close(other_end)
    with pytest.raises(ValueError, match="not a regular file"):
        fastnet.load("/dev/zero")
    assert sorted(tmp_path.iterdir()) == before


def test_a_missing_folder_or_file_is_the_error_of_the_system(tmp_path):
    missing = tmp_path / "missing" / "model.fastnet"
    with pytest.raises(FileNotFoundError):
        fastnet.save(model_of(1), missing)
    with pytest.raises(FileNotFoundError):
        fastnet.load(missing)
    with pytest.raises(NotADirectoryError):
        fastnet.load("/dev/null/model.fastnet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="the superuser may do everything"
)
def test_a_folder_without_permission_is_the_error_of_the_system(tmp_path):
    path = tmp_path / "model.fastnet"
    fastnet.save(model_of(1), path)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            fastnet.save(model_of(2), path)
        assert number_of(path) == 1
        path.chmod(0o000)
        with pytest.raises(PermissionError):
            fastnet.load(path)
    finally:
        tmp_path.chmod(0o700)


def test_threads_that_save_at_once_leave_one_whole_file(tmp_path):
    path, errors, n_threads = tmp_path / "model.fastnet", [], 6
    models = [model_of(number) for number in range(n_threads)]
    fastnet.save(models[0], path)
    barrier = threading.Barrier(n_threads)

    def work(number):
        barrier.wait()
        try:
            for _ in range(10):
                fastnet.save(models[number], path)
                assert number_of(path) in range(n_threads)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == []
    assert list(tmp_path.iterdir()) == [path]


def test_two_threads_may_read_one_model_and_save_it(tmp_path):
    model = model_of(5)
    paths = [tmp_path / str(number) for number in range(4)]
    threads = [threading.Thread(target=fastnet.save, args=(model, path)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for path in paths:
        assert_array_equal(fastnet.load(path).coefs_[0], np.full((1, 1), 5.0))
