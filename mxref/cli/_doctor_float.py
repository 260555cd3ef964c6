"""The floating-point mode of this thread: what arithmetic shows of it, and a way to disturb it.

A library that is loaded beside mxref may have switched subnormals off (FTZ, DAZ) or chosen another
rounding. Both are found here by computing, so that nothing has to be compiled for it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["float_mode", "flushing"]

_FENV_BYTES = 64  # fenv_t has 32 on x86-64 and 8 on aarch64 under Linux

# Where the control register lies in fenv_t under Linux, and its bits that flush: FTZ and DAZ in
# MXCSR, FZ in FPCR.
_REGISTERS = {"x86_64": (28, 0x8040), "aarch64": (0, 1 << 24)}


def float_mode() -> str:
    """Say how this thread rounds, and whether it keeps subnormals.

    Examples
    --------
    >>> float_mode()
    'nearest even, subnormals kept'
    """
    # Names, not constants: Python would fold those while compiling, in another mode perhaps.
    one, tiny, smallest, least = 1.0, 2.0**-60, sys.float_info.min, 5e-324
    losses = []
    if smallest / (one + one) == 0:
        losses.append("results flushed to zero (FTZ)")
    if least * 2.0**80 == 0:
        losses.append("inputs read as zero (DAZ)")
    is_up, is_down = one + tiny > one, -one - tiny < -one
    is_inward = one - tiny < one
    rounding = "nearest even"
    if is_up or is_down or is_inward:
        rounding = "upward" if is_up else "downward" if is_down else "toward zero"
    return f"{rounding}, subnormals {' and '.join(losses) or 'kept'}"


@contextmanager
def flushing() -> Iterator[bool]:
    """Switch subnormals off in this thread, and yield whether that worked."""
    library, place = _math_library(), _REGISTERS.get(platform.machine())
    if library is None or place is None:
        yield False
        return
    offset, bits = place
    before = ctypes.create_string_buffer(_FENV_BYTES)
    library.fegetenv(before)
    changed = ctypes.create_string_buffer(before.raw, _FENV_BYTES)
    register = ctypes.c_uint32.from_buffer(changed, offset)
    register.value |= bits
    library.fesetenv(changed)
    try:
        yield "kept" not in float_mode()
    finally:
        library.fesetenv(before)


def _math_library() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(ctypes.util.find_library("m") or "libm.so.6")
    except OSError:
        return None
    return library if hasattr(library, "fesetenv") else None
