"""What the processor lacks."""

import functools
import warnings

from ._numba import cpu_target


def _target() -> tuple[str, str, str]:
    """Return the triple, the name and the features of what is compiled for."""
    return cpu_target.target_context.codegen().magic_tuple()


@functools.cache
def warn_if_slow() -> None:
    """Warn, once in a process, of an x86 without fused multiply-add.

    Every product of a kernel is one, so that bits do not depend on the processor. Without the
    instruction each is a call of a function of the C library.
    """
    triple, name, features = _target()
    if triple.startswith(("x86_64", "i686")) and "+fma" not in features.split(","):
        warnings.warn(
            f"fastnet is 20 to 40 times slower here than it could be: the processor ({name}) has "
            "no fused multiply-add (FMA), or the virtual machine hides it. Results are right.",
            RuntimeWarning,
            stacklevel=2,
        )
