"""How kernels are compiled, cached on disk and run on several threads.

Numba's own cache stamps a kernel with its own source file only, so a change in a module that the
kernel calls goes unnoticed, and it fails hard where no folder is writable (numba issues 4908 and
5566). Here one folder holds all kernels of one state of the sources, and without a writable
folder kernels are compiled anew in each process.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import numba
from numba.core import caching
from numba.core import config as _config
from numba.misc.appdirs import AppDirs

from mxref import __version__

config: Any = _config  # its options are set at run time

__all__ = [
    "INTERPRETED",
    "cache_directory",
    "float_kernel",
    "helper",
    "inlined",
    "kernel",
    "parallel_slot",
]

INTERPRETED: bool = bool(config.DISABLE_JIT)
"""Whether NUMBA_DISABLE_JIT is set: the lane programs then run on NumPy arrays."""

# Starting a parallel region costs 10 to 60 microseconds, as long as one thread needs for 2**16
# elements (measured on two AVX-512 cores with numba 0.68.1).
PARALLEL_MIN = 1 << 16


def cache_directory() -> Path:
    """Return the folder of compiled kernels; it need not exist or be writable.

    MXREF_CACHE_DIR, then NUMBA_CACHE_DIR, then the user's cache folder; below it one folder for
    each state of the kernels' sources.
    """
    root = os.environ.get("MXREF_CACHE_DIR") or config.CACHE_DIR
    base = Path(root) / "mxref" if root else Path(AppDirs("mxref", appauthor=False).user_cache_dir)
    return base / f"{__version__}-numba{numba.__version__}-{_SOURCES[:12]}"


def _hash_sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


# Taken when this package is imported, before any other module of it is read: a process that holds
# old code must not save it under the hash of newer sources (seen while several were running).
_SOURCES = _hash_sources()


class _Locator(caching._CacheLocator):  # noqa: SLF001  # numba has no public hook for this
    """Finds the folder; numba asks it once for each kernel."""

    def __init__(self, py_func: Any, path: Path) -> None:
        self._py_file = py_func.__code__.co_filename
        self._key = py_func.mxref_key
        self._path = str(path)

    def get_cache_path(self) -> str:
        return self._path

    def get_source_stamp(self) -> str:
        return _SOURCES

    def get_disambiguator(self) -> str:
        return str(self._key)

    @classmethod
    def from_function(cls, py_func: Any, _py_file: str) -> _Locator | None:
        locator = cls(py_func, cache_directory())
        try:
            locator.ensure_cache_path()
        except OSError:
            return None
        return locator


class _Impl(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012  # as the base class has it


class _Cache(caching.FunctionCache):
    """A cache that is never the reason for an error: what it can't do, the compiler does."""

    _impl_class = _Impl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001  # a damaged file raises whatever unpickling meets
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception:  # noqa: BLE001  # no room, or a damaged index
            with suppress(Exception):
                self.flush()  # start the index anew, for the next process
            self.disable()


def kernel(*, key: str, parallel: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a loop: compile it with the one set of options that all kernels share.

    Parameters
    ----------
    key : str
        Distinguishes the variants that one source gives, on disk too.
    parallel : bool
        Whether ``prange`` runs on several threads.

    Notes
    -----
    The closure of the loop may hold small integers only; they become constants.
    """

    def decorate(py_func: Callable[..., None]) -> Callable[..., None]:
        py_func.mxref_key = f"{key}{'-parallel' if parallel else ''}"  # type: ignore[attr-defined]
        compiled: Any = numba.njit(
            nogil=True, error_model="numpy", boundscheck=False, parallel=parallel
        )(py_func)
        if not INTERPRETED:
            with suppress(RuntimeError):  # no writable folder: compile in each process
                compiled._cache = _Cache(py_func)  # noqa: SLF001
        return cast("Callable[..., None]", compiled)

    return decorate


def float_kernel(
    *, key: str, parallel: bool
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As `kernel`, for loops whose data are float64 and int64: exempt from the rules about widths.

    Their sums must be exact, or carry their errors, in the default floating-point state, which
    `mxref.kernels.float_mode` sets.
    """
    return kernel(key=key, parallel=parallel)


def helper(py_func: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function of a module that compiled loops of the same module call."""
    compiled: Any = numba.njit(nogil=True, error_model="numpy", boundscheck=False)(py_func)
    return cast("Callable[..., Any]", compiled)


def inlined(py_func: Callable[..., Any]) -> Callable[..., Any]:
    """As `helper`, for a few lines that must become part of a vectorised loop."""
    compiled: Any = numba.njit(error_model="numpy", inline="always")(py_func)
    return cast("Callable[..., Any]", compiled)


_busy = threading.Lock()
_in_forked_child = False


def _after_fork() -> None:
    # GNU OpenMP aborts the process when a forked child opens a parallel region.
    global _in_forked_child, _busy  # noqa: PLW0603
    _in_forked_child = True
    _busy = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def parallel_slot(size: int) -> Iterator[bool]:
    """Yield whether a call over `size` elements may use several threads.

    One at a time: Numba's workqueue layer, the only one that pip guarantees, aborts the process
    when two threads open parallel regions at once. A second caller runs on its own thread.
    """
    wanted = size >= PARALLEL_MIN and not _in_forked_child and numba.get_num_threads() > 1
    if not wanted or not _busy.acquire(blocking=False):
        yield False
        return
    try:
        yield True
    finally:
        _busy.release()
