"""Records of scale codes, microexponents and packed codes: the lanes and loops, one at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import prange
from numba.core import types

from mxref.kernels._intrinsics import Call, intrinsic, literal
from mxref.kernels._jit import kernel
from mxref.kernels._packing_lanes import above, load_bytes, merge, split, store_bytes
from mxref.kernels._packing_wirings import WIRINGS

__all__ = ["CHUNK", "record_packer", "record_unpacker"]

u64 = np.uint64

CHUNK = 1 << 11  # records that one thread takes at a time


class _Record:
    """One record while its code is generated: HEAD scale codes, FLAGS bits, UNITS units."""

    def __init__(self, call: Call, record: ir.Value, places: tuple[int, ...], sizes: Any) -> None:
        self.builder = call.builder
        wiring, units, self.head, self.flags = (literal(size) for size in sizes)
        self.wiring, self.units = WIRINGS[wiring], units
        self.n_codes = units * self.wiring.group
        self.n_body = units * self.wiring.unit_bytes
        self.n_before = self.head + self.flags // 8
        spans = (self.head, self.flags, self.n_codes, self.n_before + self.n_body)
        self.scales, self.micro, self.codes, self.packed = (
            self._at(call.pointer(place), self.builder.mul(record, self._number(span)))
            for place, span in zip(places, spans, strict=True)
        )

    def _number(self, value: int) -> ir.Value:
        return ir.Constant(ir.IntType(64), value)

    def _at(self, pointer: ir.Value, offset: ir.Value) -> ir.Value:
        return self.builder.gep(pointer, [offset])

    def inside(self, offset: int) -> ir.Value:
        """Pointer to a byte of the record."""
        return self._at(self.packed, self._number(offset))

    def pack(self) -> ir.Value:
        """Write the record; return a word that is not zero if a code or a flag is too big."""
        builder = self.builder
        store_bytes(builder, load_bytes(builder, self.scales, self.head), self.inside(0))
        codes = load_bytes(builder, self.codes, self.n_codes)
        body = merge(builder, codes, self.wiring, self.units)
        store_bytes(builder, body, self.inside(self.n_before))
        bad = above(builder, codes, self.wiring.bits)
        if not self.flags:
            return bad
        # A comparison of lanes is a run of bits, the first lane lowest.
        flags = load_bytes(builder, self.micro, self.flags)
        is_set = builder.icmp_unsigned("!=", flags, ir.Constant(flags.type, [0] * self.flags))
        bits = builder.bitcast(is_set, ir.IntType(self.flags))
        pointer = builder.bitcast(self.inside(self.head), bits.type.as_pointer())
        builder.store(bits, pointer, align=1)
        return builder.or_(bad, above(builder, flags, 1))

    def unpack(self) -> None:
        """Read the record."""
        builder = self.builder
        store_bytes(builder, load_bytes(builder, self.inside(0), self.head), self.scales)
        body = load_bytes(builder, self.inside(self.n_before), self.n_body)
        store_bytes(builder, split(builder, body, self.wiring, self.units), self.codes)
        if self.flags:
            kind = ir.IntType(self.flags)
            pointer = builder.bitcast(self.inside(self.head), kind.as_pointer())
            lanes = ir.VectorType(ir.IntType(1), self.flags)
            is_set = builder.bitcast(builder.load(pointer, align=1), lanes)
            flags = builder.zext(is_set, ir.VectorType(ir.IntType(8), self.flags))
            store_bytes(builder, flags, self.micro)


@intrinsic(prefer_literal=True)
def pack_record(
    _typing: Any,
    scales: Any,
    micro: Any,
    codes: Any,
    packed: Any,
    record: Any,
    WIRING: Any,
    UNITS: Any,
    HEAD: Any,
    FLAGS: Any,
) -> Any:
    """Pack a record by its number; not zero if a code or a microexponent is too big."""
    sizes = (WIRING, UNITS, HEAD, FLAGS)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        return _Record(call, values[4], (0, 1, 2, 3), sizes).pack()

    return types.uint64(scales, micro, codes, packed, types.intp, *sizes), generate


@intrinsic(prefer_literal=True)
def unpack_record(
    _typing: Any,
    packed: Any,
    scales: Any,
    micro: Any,
    codes: Any,
    record: Any,
    WIRING: Any,
    UNITS: Any,
    HEAD: Any,
    FLAGS: Any,
) -> Any:
    """Read what `pack_record` writes."""
    sizes = (WIRING, UNITS, HEAD, FLAGS)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        _Record(call, values[4], (1, 2, 3, 0), sizes).unpack()
        return context.get_dummy_value()

    return types.void(packed, scales, micro, codes, types.intp, *sizes), generate


@functools.cache
def record_packer(
    index: int, units: int, head: int, flags: int, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(scales, micro, codes, packed, bad, n)`` for n records.

    ``bad[chunk]`` is not zero if a code or a microexponent is out of range, for chunks of CHUNK
    records. Without flags, `micro` is not read.
    """
    WIRING, UNITS, HEAD, FLAGS = index, units, head, flags

    @kernel(key=f"w{index}-u{units}-h{head}-f{flags}", parallel=parallel)
    def pack(scales, micro, codes, packed, bad, n):  # type: ignore[no-untyped-def]
        n_chunks = (n + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            found = u64(0)
            for i in range(chunk * CHUNK, min(n, chunk * CHUNK + CHUNK)):
                wrong = pack_record(scales, micro, codes, packed, i, WIRING, UNITS, HEAD, FLAGS)
                found = u64(found | wrong)
            bad[chunk] = found

    return pack


@functools.cache
def record_unpacker(
    index: int, units: int, head: int, flags: int, parallel: bool
) -> Callable[..., None]:
    """Return ``kernel(packed, scales, micro, codes, n)`` for n records."""
    WIRING, UNITS, HEAD, FLAGS = index, units, head, flags

    @kernel(key=f"w{index}-u{units}-h{head}-f{flags}", parallel=parallel)
    def unpack(packed, scales, micro, codes, n):  # type: ignore[no-untyped-def]
        n_chunks = (n + CHUNK - 1) // CHUNK
        for chunk in prange(n_chunks):
            for i in range(chunk * CHUNK, min(n, chunk * CHUNK + CHUNK)):
                unpack_record(packed, scales, micro, codes, i, WIRING, UNITS, HEAD, FLAGS)

    return unpack
