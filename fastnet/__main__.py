"""``python -m fastnet``: compile kernels ahead of time, export a saved model, or describe it."""

import argparse
import sys
from collections.abc import Sequence

from ._commands import FORMATS, describe, export
from ._warmup import warm_up


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, or 1 after an error that it has printed."""
    options = _parser().parse_args(arguments)
    status: int = options.run(options)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m fastnet", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_warmup(commands)
    _add_export(commands)
    info = commands.add_parser(
        "info",
        help="say what a saved model is",
        description="Say what a saved model is, and how it was trained.",
    )
    info.add_argument("model", metavar="MODEL", help="file that fastnet.save has written")
    info.set_defaults(run=lambda options: describe(options.model))
    return parser


def _add_warmup(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    warmup = commands.add_parser(
        "warmup",
        help="compile all kernels into the cache, for example in a container image",
        description="Compile all kernels into numba's cache, so that no fit or prediction on a"
        " machine with the same processor and the same versions has to wait for that.",
    )
    warmup.add_argument(
        "--dtypes", nargs="+", choices=("float32", "float64"), default=None, help="default: both"
    )
    warmup.add_argument("--sparse", action="store_true", help="for sparse features as well")
    warmup.set_defaults(
        run=lambda options: warm_up(options.dtypes or ("float64", "float32"), options.sparse)
    )


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "export",
        help="write a saved model as ONNX, C or Python",
        description="Write a saved model as a model of ONNX, a header in C, or a module of Python.",
    )
    parser.add_argument("model", metavar="MODEL", help="file that fastnet.save has written")
    parser.add_argument("--to", choices=FORMATS, required=True, help="what to write")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    parser.add_argument("--name", default="net", help="c: what all names begin with (net)")
    parser.add_argument("--exact", action="store_true", help="c: the bits of fastnet, by fma")
    parser.add_argument("--pure", action="store_true", help="python: without numpy")
    parser.add_argument("--opset", type=int, default=17, help="onnx: version of operators (17)")
    parser.set_defaults(run=export)


if __name__ == "__main__":
    sys.exit(main())
