"""What ``mxref doctor`` finds out about a machine and an installation, as names and texts.

Each fact is asked for by itself: a package that is missing or broken is one line of the answer,
never the end of it.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mxref import __version__
from mxref.cli._doctor_float import float_mode

__all__ = ["OPTIONAL", "facts", "optional_packages"]

_NEEDED = ("numpy", "numba", "llvmlite", "ml_dtypes", "click", "rich")
OPTIONAL = (
    "torch",
    "torchao",
    "jax",
    "cupy",
    "distributed",
    "matplotlib",
    "safetensors",
    "gguf",
    "onnx",
    "pytest",
)
"""Packages that mxref works with where they are installed."""

# What somebody has to know to judge a speed or a path taken; LLVM's names.
_FEATURES = (
    *("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512vnni", "avx512bf16"),
    *("avx512fp16", "avx-vnni", "amx-tile", "amx-int8", "amx-bf16"),
    *("neon", "dotprod", "fullfp16", "bf16", "i8mm", "sve", "sve2"),
)
_LOAD = "load, and are compiled by Numba"
_INTERPRETED = "load, but NUMBA_DISABLE_JIT is set: nothing is compiled and all is slow"
_SETTINGS = ("MXREF_", "NUMBA_", "OMP_", "KMP_", "MKL_NUM", "OPENBLAS_NUM")
_COLOURS = ("NO_COLOR", "FORCE_COLOR", "PYTHONOPTIMIZE", "LD_PRELOAD")


def facts() -> dict[str, str]:
    """Return every fact by its name, in the order in which a person reads them."""
    found = {
        "mxref": __version__,
        "installed in": _short(Path(__file__).parents[1]),
        "python": f"{platform.python_version()} ({_short(sys.executable)})",
        **{name: _version(name) or "missing" for name in _NEEDED},
        "platform": platform.platform(),
        "processors": _processors(),
    }
    anywhere = {"processor": _processor, "float mode": float_mode}
    found |= {name: _answer(ask) for name, ask in anywhere.items()}
    found["kernels"] = _answer(_kernels)
    if found["kernels"] in (
        _LOAD,
        _INTERPRETED,
    ):  # else the others would all say the same
        kernels: dict[str, Callable[[], str]] = {
            "compiled for": _compiled_for,
            "threads": _threads,
            "threading layers": _layers,
            "matmul paths": _matmul_paths,
            "cache": _cache,
            "cached kernels": _cached_kernels,
            "core vectors": _core_vectors,
        }
        found |= {name: _answer(ask) for name, ask in kernels.items()}
    names = sorted(n for n in os.environ if n.startswith(_SETTINGS) or n in _COLOURS)
    found["settings"] = ", ".join(f"{n}={_short(os.environ[n])}" for n in names) or "none"
    return found


def optional_packages() -> dict[str, str | None]:
    """Return the version of each optional package; None where it is not installed."""
    return {name: _version(name) for name in OPTIONAL}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _answer(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001  # where something fails is what a doctor is for
        return " ".join(f"cannot be found out: {type(error).__name__}: {error}".split())


def _short(path: object) -> str:
    """A path as a bug report may show it: the home folder, and the user's name, as ``~``."""
    text, home = str(path), str(Path.home())
    is_inside = text == home or text.startswith(home.rstrip(os.sep) + os.sep)
    return "~" + text[len(home) :] if is_inside and home != os.sep else text


def _processors() -> str:
    if not hasattr(os, "sched_getaffinity"):
        return str(os.cpu_count())
    mine, present = len(os.sched_getaffinity(0)), os.cpu_count()
    return str(mine) if mine == present else f"{mine} of {present}"


def _processor() -> str:
    """The name that its maker gave it, where the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, name = line.partition(":")
            if key.strip() == "model name":
                return " ".join(name.split())
    return platform.processor() or platform.machine()


def _compiled_for() -> str:
    """What LLVM takes the processor for, and the features it may use, by the names of LLVM."""
    from mxref.kernels import _sum_lanes

    host: Any = _sum_lanes.llvmlite.binding  # type: ignore[attr-defined]
    have = host.get_host_cpu_features()
    features = [name for name in _FEATURES if have.get(name)]
    return f"{host.get_host_cpu_name()}: {' '.join(features) or 'no feature of note'}"


def _kernels() -> str:
    """Whether Numba and what it needs can be imported."""
    try:
        import mxref.kernels._jit
    except Exception as error:  # noqa: BLE001  # a broken LLVM raises whatever it meets
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return f"do not load ({what}); to repair it: pip install --force-reinstall numba numpy"
    return _INTERPRETED if mxref.kernels._jit.INTERPRETED else _LOAD  # noqa: SLF001  # our own


def _threads() -> str:
    from mxref.kernels import _jit

    return str(_jit.numba.get_num_threads())  # type: ignore[attr-defined]


def _layers() -> str:
    """Which threading layers could be loaded; the self-test says which one is."""
    from mxref.kernels import _jit

    found = []
    for name, module in (("tbb", "tbbpool"), ("omp", "omppool"), ("workqueue", "workqueue")):
        try:
            importlib.import_module(f"numba.np.ufunc.{module}")
        except ImportError:
            continue
        found.append(name)
    asked_for = getattr(_jit.config, "THREADING_LAYER", "default")
    return f"{', '.join(found) or 'none'} (asked for: {asked_for})"


def _matmul_paths() -> str:
    from mxref.kernels.gemm import cpu

    return ", ".join(cpu.NAMES[path] for path in reversed(cpu.paths()))


def _cache() -> str:
    from mxref.kernels import _jit

    folder = _jit.cache_directory()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    if _jit.INTERPRETED:
        return "not used"
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return (
            f"{_short(folder)} (not writable: kernels compile in each run; set MXREF_CACHE_DIR "
            "to a folder that is)"
        )
    return f"{_short(folder)} (writable)"


def _cached_kernels() -> str:
    from mxref.kernels import _jit

    folder = _jit.cache_directory()
    if not folder.is_dir():
        return "0 (the first use of each kind of conversion compiles it: about a second)"
    files = list(folder.iterdir())
    size = sum(path.stat().st_size for path in files)
    text = f"{sum(path.suffix == '.nbi' for path in files)}, {size / 2**20:.0f} MiB"
    older = [p for p in folder.parent.iterdir() if p.is_dir() and p != folder]
    if not older:
        return text
    folders = "1 folder" if len(older) == 1 else f"{len(older)} folders"
    return f"{text}; {folders} of other versions beside it, which may be deleted"


def _core_vectors() -> str:
    import hashlib
    import json

    from mxref.vectors import core_directory

    raw = (core_directory() / "manifest.json").read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    return f"{json.loads(raw)['set_version']} (sha256 of the manifest {digest[:12]})"
