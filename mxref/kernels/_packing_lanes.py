"""Packing as Numba intrinsics: each takes UNITS units through vector shuffles and shifts.

Only plain vector instructions of LLVM are used, which it has for every machine. WIRING, the number
of a wiring, and UNITS are compile-time integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import types

from mxref.kernels._intrinsics import Call, intrinsic, literal
from mxref.kernels._packing_wirings import WIRINGS, Wiring

__all__ = ["pack_lanes", "unpack_lanes"]

_BYTE = ir.IntType(8)


def _vector(bits: int, lanes: int) -> ir.Type:
    return ir.VectorType(ir.IntType(bits), lanes)


def _constant(value: int, bits: int, lanes: int) -> ir.Value:
    return ir.Constant(_vector(bits, lanes), [value] * lanes)


def load_bytes(builder: ir.IRBuilder, pointer: ir.Value, lanes: int) -> ir.Value:
    """Load bytes from any address."""
    pointer = builder.bitcast(pointer, _vector(8, lanes).as_pointer())
    return builder.load(pointer, align=1)


def store_bytes(builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value) -> None:
    """Store bytes at any address."""
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=1)


def pick(builder: ir.IRBuilder, value: ir.Value, lanes: Sequence[int | None]) -> ir.Value:
    """Make a vector of the named lanes, zero where there is None."""
    count = value.type.count
    if list(lanes) == list(range(count)):
        return value
    zero = ir.Constant(value.type, [0] * count)
    mask = [count if lane is None else lane for lane in lanes]
    return builder.shuffle_vector(value, zero, ir.Constant(_vector(32, len(mask)), mask))


def _and(builder: ir.IRBuilder, value: ir.Value, mask: int, bits: int) -> ir.Value:
    return builder.and_(value, _constant(mask, bits, value.type.count))


def merge(builder: ir.IRBuilder, codes: ir.Value, wiring: Wiring, units: int) -> ir.Value:
    """Turn the codes of units into their bytes."""
    n, group = codes.type.count, wiring.group
    fields = [u * group + code for u in range(units) for code in wiring.order]
    if wiring.merged == 1:
        return builder.shl(codes, _constant(wiring.shift, 8, n))
    if wiring.merged == 2:
        low, high = (pick(builder, codes, fields[half::2]) for half in (0, 1))
        filled = builder.or_(low, builder.shl(high, _constant(4, 8, n // 2)))
    else:
        width = 8 * wiring.merged
        words = builder.bitcast(pick(builder, codes, fields), _vector(width, n // wiring.merged))
        for step, low, high in _halvings(wiring):
            upper = builder.lshr(words, _constant(step, width, words.type.count))
            words = builder.or_(_and(builder, words, low, width), _and(builder, upper, high, width))
        wide = builder.bitcast(words, _vector(8, n))
        filled = pick(builder, wide, _kept(wiring, n))
    return pick(builder, filled, _with_padding(wiring, units))


def _halvings(wiring: Wiring) -> list[tuple[int, int, int]]:
    """Steps that bring the fields of a word together, two, four and eight at a time.

    Each is a shift, then masks of what stays and of what was shifted.
    """
    steps = []
    width, field = 8, wiring.bits
    while width < 8 * wiring.merged:
        starts = range(0, 8 * wiring.merged, 2 * width)
        low = sum(((1 << field) - 1) << start for start in starts)
        steps.append((width - field, low, low << field))
        width, field = 2 * width, 2 * field
    return steps


def _kept(wiring: Wiring, n: int) -> list[int]:
    """Bytes that are filled once the fields of words of `merged` bytes have been merged."""
    words = range(0, n, wiring.merged)
    return [word + byte for word in words for byte in range(wiring.kept)]


def _with_padding(wiring: Wiring, units: int) -> list[int | None]:
    """For each byte of units the filled byte that it is, or None."""
    each = range(wiring.filled)
    padding: list[int | None] = [None] * (wiring.unit_bytes - wiring.filled)
    return [lane for u in range(units) for lane in (*(u * len(each) + b for b in each), *padding)]


def split(builder: ir.IRBuilder, packed: ir.Value, wiring: Wiring, units: int) -> ir.Value:
    """Turn the bytes of units into their codes."""
    n = units * wiring.group
    filled = [u * wiring.unit_bytes + b for u in range(units) for b in range(wiring.filled)]
    # Code c of a unit lies in field place[c].
    place = sorted(range(wiring.group), key=wiring.order.__getitem__)
    fields = [u * wiring.group + field for u in range(units) for field in place]
    if wiring.merged == 1:
        moved = builder.lshr(packed, _constant(wiring.shift, 8, n))
        return _and(builder, moved, (1 << wiring.bits) - 1, 8)
    if wiring.merged == 2:
        pairs = pick(builder, packed, filled)
        low = _and(builder, pairs, 15, 8)
        high = builder.lshr(pairs, _constant(4, 8, n // 2))
        both = [f // 2 + (n // 2) * (f % 2) for f in fields]
        return builder.shuffle_vector(low, high, ir.Constant(_vector(32, n), both))
    width = 8 * wiring.merged
    lanes: list[int | None] = []
    for start in range(0, len(filled), wiring.kept):
        lanes += [*filled[start : start + wiring.kept], *[None] * (wiring.merged - wiring.kept)]
    words = builder.bitcast(pick(builder, packed, lanes), _vector(width, n // wiring.merged))
    for step, low, high in reversed(_halvings(wiring)):
        upper = builder.shl(words, _constant(step, width, words.type.count))
        words = builder.or_(
            _and(builder, words, low, width), _and(builder, upper, high << step, width)
        )
    return pick(builder, builder.bitcast(words, _vector(8, n)), fields)


def above(builder: ir.IRBuilder, codes: ir.Value, bits: int) -> ir.Value:
    """Return a 64-bit word that is not zero if a code has more than `bits` bits."""
    n = codes.type.count
    high = _and(builder, codes, 0x100 - (1 << bits), 8)
    is_bad = builder.icmp_unsigned("!=", high, _constant(0, 8, n))
    flags = builder.bitcast(is_bad, ir.IntType(n))
    return flags if n == 64 else builder.zext(flags, ir.IntType(64))


@intrinsic(prefer_literal=True)
def pack_lanes(
    _typing: Any, codes: Any, start: Any, packed: Any, to: Any, WIRING: Any, UNITS: Any
) -> Any:
    """Pack the codes from ``codes[start]`` to ``packed[to]``; not zero if a code is too big."""
    wiring, units = WIRINGS[literal(WIRING)], literal(UNITS)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        loaded = load_bytes(builder, call.at(0, 1), units * wiring.group)
        store_bytes(builder, merge(builder, loaded, wiring, units), call.at(2, 3))
        return above(builder, loaded, wiring.bits)

    return types.uint64(codes, types.intp, packed, types.intp, WIRING, UNITS), generate


@intrinsic(prefer_literal=True)
def unpack_lanes(
    _typing: Any, packed: Any, start: Any, codes: Any, to: Any, WIRING: Any, UNITS: Any
) -> Any:
    """Unpack the bytes from ``packed[start]`` to ``codes[to]``; bits of padding are ignored."""
    wiring, units = WIRINGS[literal(WIRING)], literal(UNITS)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        loaded = load_bytes(builder, call.at(0, 1), units * wiring.unit_bytes)
        store_bytes(builder, split(builder, loaded, wiring, units), call.at(2, 3))
        return context.get_dummy_value()

    return types.void(packed, types.intp, codes, types.intp, WIRING, UNITS), generate
