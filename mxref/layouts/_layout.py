"""What a layout is: the named tensors that hold a quantized weight, and how to read and write them.

A layout turns *fields* (codes and scale codes in their logical shapes) into *parts* (arrays as they
are stored, one for each stored tensor) and back. Nothing here reads a file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fields", "Layout", "Part"]

_WEIGHT = ".weight"


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """The contents of a quantized weight, unpacked.

    Attributes
    ----------
    codes : ndarray of uint8, shape (..., rows, columns)
        Element codes, one in each byte; blocks lie on the last axis.
    scales : ndarray of uint8, shape (..., rows, columns / block size)
        Scale codes.
    global_scale : ndarray of float64 or None
        NVFP4's second scale: a factor that decoded values are multiplied by, in a shape that
        broadcasts against `codes`. Where a layout stores the divisor instead, this is its
        reciprocal in double precision, from which the stored float32 comes back bit for bit.
    """

    codes: NDArray[np.uint8]
    scales: NDArray[np.uint8]
    global_scale: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One stored tensor of a quantized weight.

    Attributes
    ----------
    role : str
        ``"codes"``, ``"scales"``, ``"global_scale"`` or ``"records"``.
    suffixes : tuple of str
        What follows the name of the weight without its ``".weight"``; the first is written.
    dtypes : tuple of str
        Types as safetensors names them (``"U8"``, ``"F8_E8M0"``, ``"U32"``, ...); the first is
        written.
    optional : bool
        Whether a weight can do without it.
    """

    role: str
    suffixes: tuple[str, ...]
    dtypes: tuple[str, ...]
    optional: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A convention for storing quantized weights.

    Attributes
    ----------
    name : str
        Such as ``"gpt-oss"``.
    parts : mapping of str to tuple of Part
        The stored tensors of each block format that it can hold.
    text, source, evidence : str
        What it is in a sentence; where that was taken from; how sure that is.
    container : str
        ``"safetensors"``, ``"gguf"``, or ``"memory"`` for arrays that no checkpoint holds so.
    row_step : int
        Rows can be read and written by themselves in multiples of this number; 0: only all.
    shapes : callable
        ``shapes(format, shape) -> {role: stored shape}`` for a logical shape.
    pack : callable
        ``pack(fields, format) -> {role: array as stored}``.
    unpack : callable
        ``unpack(parts, format, shape) -> Fields``; `shape` is the logical one.
    logical : callable
        ``logical({role: stored shape}, format) -> logical shape``; a ValueError where the shapes do
        not fit each other.
    """

    name: str
    parts: Mapping[str, tuple[Part, ...]]
    text: str
    source: str
    evidence: str
    container: str
    row_step: int
    shapes: Callable[[str, tuple[int, ...]], dict[str, tuple[int, ...]]]
    pack: Callable[[Fields, str], dict[str, NDArray[Any]]]
    unpack: Callable[[Mapping[str, NDArray[Any]], str, tuple[int, ...]], Fields]
    logical: Callable[[Mapping[str, tuple[int, ...]], str], tuple[int, ...]]

    @property
    def formats(self) -> tuple[str, ...]:
        """The block formats that it can hold."""
        return tuple(self.parts)

    def parts_for(self, format: str) -> tuple[Part, ...]:  # noqa: A002
        """The stored tensors of a weight in `format`.

        Raises
        ------
        ValueError
            If the layout cannot hold the format; the message says what it holds.
        """
        if format not in self.parts:
            raise ValueError(cannot_hold(self.name, self.parts, format))
        return self.parts[format]

    def names(self, weight: str, format: str) -> dict[str, str]:  # noqa: A002
        """The names of the stored tensors of a weight, by role.

        Examples
        --------
        >>> from mxref.layouts.conventions import layout
        >>> layout("gpt-oss").names("a.weight", "mxfp4")
        {'codes': 'a.blocks', 'scales': 'a.scales'}
        >>> layout("compressed-tensors").names("experts.w1", "mxfp4")
        {'codes': 'experts.w1_packed', 'scales': 'experts.w1_scale'}
        """
        return {p.role: stored_name(weight, p.suffixes) for p in self.parts_for(format)}

    def stored_rows(self, format: str, rows: int, columns: int) -> dict[str, int]:  # noqa: A002
        """How many rows of each part hold the first `rows` rows of a weight.

        Examples
        --------
        >>> from mxref.layouts.conventions import layout
        >>> layout("gpt-oss").stored_rows("mxfp4", 10, 64)
        {'codes': 20, 'scales': 10}
        """
        shapes = self.shapes(format, (rows, columns))
        return {r: math.prod(s[:-1]) for r, s in shapes.items() if r != "global_scale"}


def cannot_hold(name: str, formats: Iterable[str], wanted: str) -> str:
    """Say that a layout cannot hold a format, what it holds, and who holds that."""
    from mxref.layouts.conventions import LAYOUTS  # they are made of this module

    others = [each.name for each in LAYOUTS.values() if wanted in each.parts]
    held = ", ".join(formats)
    return (
        f"layout {name!r} cannot hold {wanted!r}; it holds {held}. "
        f"Layouts that hold {wanted}: {', '.join(others) or 'none'}"
    )


def stored_name(weight: str, suffixes: tuple[str, ...]) -> str:
    """The name of a part of a weight.

    Parameters of a module that are not called ``weight`` take the suffix that is made for them (it
    starts with ``_``), or else put their own name where a suffix has that word.
    """
    suffix = suffixes[0]
    if weight.endswith(_WEIGHT) or weight == _WEIGHT[1:]:
        return (weight[: -len(_WEIGHT)] + suffix).removeprefix("" if "." in weight else ".")
    joined = next((s for s in suffixes if s.startswith("_")), "")
    if joined and not weight.endswith("weight"):
        return weight + joined
    module, dot, leaf = weight.rpartition(".")
    if suffix.startswith("._weight"):
        return f"{module}{dot}_{leaf}{suffix.removeprefix('._weight')}"
    return weight + suffix.removeprefix(_WEIGHT)
