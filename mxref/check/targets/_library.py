"""Calls a function of a shared library through ctypes, between guard bytes; in the worker only.

Each call is made twice, with other bytes in everything that the function should not look at or
should overwrite. A changed byte around an output is a write out of bounds; an output byte that
keeps what was there before, both times, was never written; any other difference is chance, or
memory that is not the function's to read.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mxref.check._call import RefusalError
from mxref.check.target import TargetError, describe_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Library"]

_POISONS = (0xA5, 0x5A)
_GUARD = 4096
_ALIGNMENT = 64

Arrays = list["NDArray[Any]"]


class Library:
    """A loaded library.

    Parameters
    ----------
    path : str

    Raises
    ------
    TargetError
        If it cannot be loaded.
    """

    def __init__(self, path: str) -> None:
        # Without a folder the loader would look in the system's folders only.
        where = str(Path(path).absolute()) if Path(path).is_file() else path
        try:
            self._library = ctypes.CDLL(where)
        except OSError as error:
            raise TargetError(f"the library cannot be loaded: {describe_error(error)}") from None

    def symbols(self, names: Sequence[str]) -> list[str]:
        """Return those names that the library has."""
        return [name for name in names if hasattr(self._library, name)]

    def call(self, what: dict[str, Any], inputs: tuple[Any, ...]) -> Any:
        """Call a function on arrays.

        Parameters
        ----------
        what : dict
            ``symbol`` and ``op``.
        inputs : tuple of ndarray
            What the operation takes.

        Raises
        ------
        TargetError
            If it returns an error, writes where it should not or not everything, or is not
            deterministic.
        """
        function = getattr(self._library, what["symbol"])
        function.restype = ctypes.c_int
        first, second = (_called(function, what["op"], inputs, poison) for poison in _POISONS)
        for name, one, other in zip(_names(what["op"]), first, second, strict=True):
            _require_all_written(name, one, other)
            _require_equal(name, one, other)
        return tuple(first) if len(first) > 1 else first[0]


def _names(op: str) -> tuple[str, ...]:
    if op == "quantize":
        return "codes", "scale codes"
    return ("codes",) if op == "encode" else ("values",)


class _Guarded:
    """Memory with guard bytes on both sides."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, poison: int) -> None:
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        whole = np.full(size + 2 * _GUARD + _ALIGNMENT, poison, np.uint8)
        start = _GUARD - (whole.ctypes.data + _GUARD) % _ALIGNMENT + _ALIGNMENT
        self._before, self._after = whole[:start], whole[start + size :]
        self._poison = poison
        self.octets = whole[start : start + size]
        self.array: NDArray[Any] = self.octets.view(dtype).reshape(shape)
        self.pointer = ctypes.c_void_p(whole.ctypes.data + start)

    def require_untouched_around(self, name: str) -> None:
        before = np.flatnonzero(self._before != self._poison)
        after = np.flatnonzero(self._after != self._poison)
        if before.size:
            where = f"{len(self._before) - before[-1]} bytes before its beginning"
        elif after.size:
            where = f"{after[0] + 1} bytes behind its end"
        else:
            return
        raise TargetError(
            f"the target wrote outside of the {name}: {before.size + after.size} bytes changed, "
            f"the nearest {where}. n counts blocks or numbers, and codes take one byte each",
            kind="garbage",
        )


def _called(function: Any, op: str, inputs: tuple[Any, ...], poison: int) -> Arrays:
    shape = inputs[0].shape
    given = []
    for array in inputs:
        buffer = _Guarded(array.shape, array.dtype, poison)
        buffer.array[...] = array
        given.append(buffer)
    kind = np.uint8 if op in ("quantize", "encode") else np.float32
    outputs = [_Guarded(shape, kind, poison)]
    if op == "quantize":
        outputs.append(_Guarded((shape[0], 1), np.uint8, poison))
    sizes = [ctypes.c_size_t(length) for length in shape]
    status = function(*(b.pointer for b in given), *sizes, *(b.pointer for b in outputs))
    for name, buffer in zip(_names(op), outputs, strict=True):
        buffer.require_untouched_around(name)
    for position, (buffer, array) in enumerate(zip(given, inputs, strict=True), start=1):
        buffer.require_untouched_around(f"input {position}")
        octets = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        if not np.array_equal(buffer.octets, octets):
            raise TargetError(
                f"the target wrote into its input: argument {position} changed (it is const)",
                "changed-input",
            )
    if status != 0:
        raise RefusalError(f"the target returned {status}; 0 means that all is well")
    return [buffer.array for buffer in outputs]


def _require_all_written(name: str, one: NDArray[Any], other: NDArray[Any]) -> None:
    """Raise if something has kept what was in the memory before, under either filling."""
    kept = (_octets(one) == _POISONS[0]) & (_octets(other) == _POISONS[1])
    places = np.argwhere(kept.any(axis=-1))
    if places.size:
        where = ", ".join(map(str, places[0]))
        raise TargetError(
            f"the target never wrote {len(places):,} of {one.size:,} {name}, first at [{where}]: "
            "every output has to be written, those of a last incomplete tile as well",
            kind="garbage",
        )


def _require_equal(name: str, one: NDArray[Any], other: NDArray[Any]) -> None:
    places = np.argwhere((_octets(one) != _octets(other)).any(axis=-1))
    if places.size:
        where = ", ".join(map(str, places[0]))
        raise TargetError(
            f"the target is not deterministic: two calls with the same input differ in "
            f"{len(places):,} of {one.size:,} {name}, first at [{where}]. It reads memory that is "
            "not its input, or that it has not written, or rounds at random",
            kind="nondeterministic",
        )


def _octets(array: NDArray[Any]) -> NDArray[np.uint8]:
    return array.view(np.uint8).reshape(*array.shape, array.itemsize)
