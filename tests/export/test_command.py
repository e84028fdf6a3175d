"""``python -m fastnet export`` and ``info``: what they write, and what they say of mistakes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

import fastnet
from fastnet.__main__ import main
from fastnet.export import to_c, to_python

from .._support.exports import fitted


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.npz"
    fastnet.save(fitted("text", "float32"), path)
    return path


def test_it_writes_what_the_functions_return(saved: Path, capfdbinary: Any) -> None:
    model = fitted("text", "float32")
    out = saved.with_name("out")
    wanted = {
        ("c",): to_c(model),
        ("c", "--name", "other", "--exact"): to_c(model, "other", exact=True),
        ("python",): to_python(model),
        ("python", "--pure"): to_python(model, pure=True),
    }
    for arguments, text in wanted.items():
        assert main(["export", str(saved), "--to", *arguments, "-o", str(out)]) == 0
        assert out.read_bytes() == text.encode()
        assert main(["export", str(saved), "--to", *arguments]) == 0
        assert capfdbinary.readouterr().out == text.encode()
    assert main(["export", str(saved), "--to", "onnx", "-o", str(out), "--opset", "15"]) == 0
    assert onnx.load(out).opset_import[0].version == 15


def test_onnx_is_not_written_to_a_terminal(
    saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["export", str(saved), "--to", "onnx"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "--output" in printed.err


def test_info_says_what_a_model_is(saved: Path, capsys: Any) -> None:
    assert main(["info", str(saved)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("SigmoidMLPClassifier\n")
    for fact in ("6-5-8", "83 of float32", "softmax", "log_loss", "adam", "2 epochs"):
        assert fact in text
    # Labels are shown as Python writes them: none goes over a line.
    assert text.count("\n") == 8
    fastnet.save(fitted("two targets", "float64"), saved)
    assert main(["info", str(saved)]) == 0
    text = capsys.readouterr().out
    assert "SigmoidMLPRegressor" in text
    assert "classes" not in text


def test_mistakes_are_told_in_a_line(saved: Path, capsys: Any) -> None:
    damaged, text = saved.with_name("damaged"), saved.with_name("text")
    damaged.write_bytes(saved.read_bytes()[:-1])
    text.write_text("no model")
    missing = saved.with_name("missing")
    wrong: list[list[str]] = [
        *(["info", str(path)] for path in (damaged, text, missing, saved.parent)),
        *(["export", str(path), "--to", "c"] for path in (damaged, text, missing, saved.parent)),
        ["export", str(saved), "--to", "c", "--name", "int"],
        ["export", str(saved), "--to", "onnx", "--opset", "1"],
        ["export", str(saved), "--to", "c", "-o", str(missing / "net.h")],
    ]
    for arguments in wrong:
        assert main(arguments) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("fastnet: error: ")
        assert printed.err.count("\n") == 1


def test_a_package_that_is_missing_is_named(
    saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["export", str(saved), "--to", "onnx", "-o", str(saved.with_name("out"))]) == 1
    assert "fastnet-mlp[onnx]" in capsys.readouterr().err
    assert not saved.with_name("out").exists()


@pytest.mark.parametrize("arguments", [[], ["export"], ["export", "a", "--to", "rust"], ["info"]])
def test_wrong_usage_is_status_2(arguments: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "usage: python -m fastnet" in capsys.readouterr().err


@pytest.mark.processes
def test_help_is_there(saved: Path) -> None:
    for arguments in (["--help"], ["export", "--help"], ["info", "--help"], ["warmup", "--help"]):
        done = subprocess.run(
            [sys.executable, "-m", "fastnet", *arguments], capture_output=True, text=True
        )
        assert done.returncode == 0
        assert "usage: python -m fastnet" in done.stdout
