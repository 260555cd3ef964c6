"""Describes a map of addresses that is no known layout: its bits, its strides, where it departs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mxref.check.layout._elements import element_candidates
from mxref.check.layout._match import scale_candidates
from mxref.check.tensor._dictionary import Plane, places
from mxref.formats import BlockFormat
from mxref.layouts._strides import largest_square, shape_and_strides, xored_bits
from mxref.layouts.packings import Packing
from mxref.layouts.probe import FIXED, MIXED, BitSources

__all__ = ["code_starts", "describe", "element_departure", "scale_departure", "scale_starts"]

Starts = NDArray[np.int64]
_SHOWN = 6


def code_starts(found: BitSources, shape: tuple[int, ...]) -> Starts:
    """The bit at which each code begins, in the shape of the tensor; -1 where it is torn."""
    total = found.count * found.bits
    return _starts(found.places(total), found.bits).reshape(shape)


def scale_starts(found: BitSources, shape: tuple[int, ...]) -> Starts:
    """The bit at which each scale code begins, in the shape of their plane."""
    first = found.count * found.bits
    bits = found.places(first + 8 * math.prod(shape))[first:]
    return _starts(bits, 8).reshape(shape)


def _starts(bits: Starts, width: int) -> Starts:
    each = bits.reshape(-1, width)
    whole = (each >= 0).all(-1) & (each == each[:, :1] + np.arange(width)).all(-1)
    return np.where(whole, each[:, 0], -1)


# --- in words ---------------------------------------------------------------------------------


def describe(found: BitSources, starts: Starts, what: str, names: tuple[str, str]) -> list[str]:
    """Say what is known about a map.

    Parameters
    ----------
    found : BitSources
        Of the bytes that hold it.
    starts : ndarray of int64
        As of `code_starts` or `scale_starts`.
    what : str
        ``"code"`` or ``"scale code"``.
    names : (str, str)
        What its rows and columns are called.
    """
    lines = [_counted(found, starts, what)]
    unit = "bytes" if starts.size and (starts % 8 == 0).all() else "bits"
    in_units = starts // 8 if unit == "bytes" else starts
    part = largest_square(in_units)
    sides = f"the first {part.shape[0]} {names[0]}s and {part.shape[1]} {names[1]}s"
    if strides := shape_and_strides(part):
        lines.append(f"{sides}, in CuTe's notation, {names[0]}s first, in {unit}: {strides}")
    elif terms := xored_bits(part, names):
        lines.append(f"{sides}: bits of the address in {unit}, lowest first: {' '.join(terms)}")
    else:
        for name, run in zip(names, (starts[0], starts[:, 0]), strict=True):
            shown = ", ".join(map(str, run[:_SHOWN]))
            other = names[1] if name == names[0] else names[0]
            lines.append(f"{what}s of {name} 0 begin at bits {shown}, ... along its {other}s")
    return lines


def _counted(found: BitSources, starts: Starts, what: str) -> str:
    there = int(np.count_nonzero(starts >= 0))
    text = f"{there} of {starts.size} {what}s lie in one piece each"
    lost = int(np.count_nonzero(found.sources == MIXED))
    if lost:
        text += f"; {lost} bits depend on more than one bit of the input, or on none of it"
    turned = int(np.count_nonzero(found.inverted))
    if turned:
        which = ""
        if what == "code":
            of = np.unique(found.sources[found.inverted] % found.bits)
            which = f" (bit {', '.join(map(str, of))} of codes)"
        text += f"; {turned} bits are inverted{which}"
    fixed = int(np.count_nonzero(found.sources == FIXED))
    if fixed:
        text += f"; {fixed} of {found.sources.size} bits are the same whatever is packed"
    return text


# --- departures -------------------------------------------------------------------------------


def element_departure(starts: Starts, fmt: BlockFormat, claimed: Packing | None) -> str:
    """Where codes first lie elsewhere than in the nearest known packing."""
    index = np.arange(starts.size).reshape(starts.shape)
    known: list[tuple[str, Callable[[], Starts]]] = []
    for candidate in element_candidates(fmt, claimed):
        lines, packing = candidate.order(index), candidate.packing
        if not candidate.is_plain:
            continue

        def expected(lines: Starts = lines, packing: Packing = packing) -> Starts:
            byte, bit = packing.place(np.arange(lines.shape[1]))
            pitch = packing.packed_size(lines.shape[1])
            place = (np.arange(len(lines))[:, None] * pitch + byte) * 8 + bit
            at = np.full(starts.size, -1, np.int64)
            at[lines[lines >= 0]] = place[lines >= 0]
            return at.reshape(starts.shape)

        known.append((candidate.name, expected))
    return _departure(starts, known, "code", 1)


def scale_departure(starts: Starts, axis: int, claimed: str | None) -> str:
    """Where scale codes first lie elsewhere than in the nearest known order."""
    rows, columns = starts.shape
    plane = Plane(rows, columns, 1) if axis == 1 else Plane(columns, rows, 0)
    known: list[tuple[str, Callable[[], Starts]]] = []
    for order in scale_candidates(claimed):
        if order.turned or order.record:
            continue

        def expected(order: object = order) -> Starts:
            at = 8 * places(order, plane)  # type: ignore[arg-type]
            return at if axis == 1 else at.T

        known.append((order.name, expected))
    return _departure(starts, known, "scale code", 8)


def _departure(
    starts: Starts, known: list[tuple[str, Callable[[], Starts]]], what: str, unit: int
) -> str:
    if not starts.size:
        return ""
    name, wrong, expected = "", starts >= -1, starts
    for other, make in known:
        wanted = make()
        differs = wanted != starts
        if not name or differs.sum() < wrong.sum():
            name, wrong, expected = other, differs, wanted
    if not wrong.any():
        return f"each {what} lies where {name} has it"
    row, column = (int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    of = {1: "bit", 8: "byte"}[unit]

    def at(place: int) -> str:
        return f"at {of} {place // unit}" if place >= 0 else "at no one place"

    return (
        f"the nearest is {name}: {int(wrong.sum())} of {wrong.size} {what}s lie elsewhere, first "
        f"[{row}, {column}], {at(int(starts[row, column]))}, not {at(int(expected[row, column]))}"
    )
