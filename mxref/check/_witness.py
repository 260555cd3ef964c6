"""Mismatches as people read them: coordinates, bits and values."""

from __future__ import annotations

from typing import Any

import numpy as np

from mxref.check._problem import Piece, Problem
from mxref.check.report import Witness
from mxref.faults.decode import element_table
from mxref.faults.encoder import as_float64
from mxref.formats import ElementFormat

__all__ = ["bits_of", "code_value", "element_witness", "number", "scale_value", "scale_witness"]

_NAN_SCALE = 0xFF


def bits_of(value: Any) -> str:
    """Bit pattern of a NumPy scalar, in hexadecimal."""
    array = np.asarray(value)
    size = array.dtype.itemsize
    bits = int(array.astype(array.dtype.newbyteorder("=")).reshape(1).view(f"u{size}")[0])
    return f"0x{bits:0{2 * size}x}"


def number(value: Any) -> str:
    """Shortest decimal that gives the value back, of any source type."""
    array = np.asarray(value)
    if array.dtype.kind == "f":
        return str(array[()]).replace("nan", "NaN").replace("inf", "Inf")
    return f"{float(array[()]):.9g}".replace("nan", "NaN").replace("inf", "Inf")


def scale_value(code: int) -> str:
    """Value of a scale code, as a power of two."""
    return "NaN" if code == _NAN_SCALE else f"2^{code - 127}"


def code_value(code: int, fmt: ElementFormat) -> str:
    """Value of an element code."""
    return number(element_table(fmt)[code])


def code_bits(code: int, fmt: ElementFormat) -> str:
    """Bits of an element code in hexadecimal, as wide as the format."""
    return f"0x{code:0{-(-fmt.bits // 4)}x}"


def scale_witness(problem: Problem, block: int, expected: int) -> Witness:
    """A scale code that differs; the input is the element that makes amax."""
    piece = problem.take(np.array([block]))
    values = as_float64(piece.x[0])
    nonfinite = np.flatnonzero(~np.isfinite(values))
    lane = int(nonfinite[0]) if len(nonfinite) else int(np.abs(values).argmax())
    got = int(piece.scales[0])
    return Witness(
        problem.block_index(block),
        "scale",
        bits_of(np.abs(piece.x[0, lane])),
        number(np.abs(piece.x[0, lane])),
        None,
        f"0x{got:02x}",
        scale_value(got),
        f"0x{expected:02x}",
        scale_value(expected),
    )


def element_witness(problem: Problem, block: int, lane: int, expected: int) -> Witness:
    """An element code that differs."""
    piece: Piece = problem.take(np.array([block]))
    fmt = problem.fmt.element
    got, scale = int(piece.codes[0, lane]), int(piece.scales[0])
    shared = None if problem.lone else f"0x{scale:02x} ({scale_value(scale)})"
    known = got < fmt.code_count
    return Witness(
        problem.element_index(block, lane),
        "element",
        bits_of(piece.x[0, lane]),
        number(piece.x[0, lane]),
        shared,
        code_bits(got, fmt),
        code_value(got, fmt) if known else None,
        code_bits(expected, fmt),
        code_value(expected, fmt),
    )


def value_witness(
    problem: Problem,
    block: int,
    lane: int,
    expected: Any,
    *,
    of_scales: bool,
) -> Witness:
    """A decoded value that differs."""
    piece = problem.take(np.array([block]))
    fmt = problem.fmt.element
    code, scale = int(piece.codes[0, lane]), int(piece.scales[0])
    got = piece.x[0, lane]
    shared = None if problem.lone else f"0x{scale:02x} ({scale_value(scale)})"
    return Witness(
        problem.element_index(block, lane),
        "value",
        f"0x{scale:02x}" if of_scales else code_bits(code, fmt),
        scale_value(scale) if of_scales else code_value(code, fmt),
        shared,
        bits_of(got),
        number(got),
        bits_of(expected),
        number(expected),
    )
