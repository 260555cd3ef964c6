"""Which instructions the processor has for products of bytes, asked at run time."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import sys

from numba.core.registry import cpu_target

from mxref.kernels._jit import INTERPRETED

__all__ = ["AMX", "NAMES", "PORTABLE", "VNNI", "best_path", "paths"]

PORTABLE, VNNI, AMX = range(3)
NAMES = ("portable", "avx512-vnni", "amx-int8")

_SYS_ARCH_PRCTL = 158
_ARCH_REQ_XCOMP_PERM = 0x1023
_XFEATURE_XTILEDATA = 18


def _features() -> set[str]:
    """What LLVM compiles for: the host's features, or what NUMBA_CPU_FEATURES says."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return {name[1:] for name in features.split(",") if name.startswith("+")}


def _may_use_tiles() -> bool:
    """Ask the kernel for the tile registers; it grants them to the process, threads included."""
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return False
    try:
        syscall = ctypes.CDLL(None, use_errno=True).syscall
    except (OSError, AttributeError):
        return False
    syscall.restype = ctypes.c_long
    request = (_SYS_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA)
    return int(syscall(*(ctypes.c_long(word) for word in request))) == 0


@functools.cache
def paths() -> tuple[int, ...]:
    """Return the ways that work here, the slowest first.

    Examples
    --------
    >>> PORTABLE in paths()
    True
    """
    found = [PORTABLE]
    if INTERPRETED:
        return tuple(found)
    have = _features()
    if {"avx512f", "avx512bw", "avx512vnni"} <= have:
        found.append(VNNI)
    if {"amx-tile", "amx-int8", "avx512f"} <= have and _may_use_tiles():
        found.append(AMX)
    return tuple(found)


def best_path(wanted: str | None = None) -> int:
    """Return the fastest way that works here, or the one that is asked for.

    Parameters
    ----------
    wanted : str, optional
        One of `NAMES`; default: the environment variable MXREF_GEMM, then the fastest.

    Raises
    ------
    ValueError
        If there is no such way, or this processor lacks it.

    Examples
    --------
    >>> best_path("portable") == PORTABLE
    True
    """
    name = wanted or os.environ.get("MXREF_GEMM")
    if not name:
        return paths()[-1]
    if name not in NAMES:
        where = "" if wanted else " in the environment variable MXREF_GEMM"
        raise ValueError(f"unknown path {name!r}{where}; expected one of {', '.join(NAMES)}")
    path = NAMES.index(name)
    if path not in paths():
        have = ", ".join(NAMES[known] for known in paths())
        raise ValueError(f"this processor (or this process) has no path {name!r}; it has {have}")
    return path
