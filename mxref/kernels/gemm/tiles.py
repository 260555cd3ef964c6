"""The product of two packed tiles of bytes, as one Numba intrinsic for each kind of processor.

A tile of the left operand is 16 rows of `width` bytes along K. One of the right operand is
``width // 4`` rows, each of 16 columns of 4 bytes along K: what AMX and VNNI instructions read.
Both lie in pairs, so that one call computes 32 by 32 sums:

    left[step, 2, 16, width]    right[step, 2, width // 4, 16, 4]    sums[32, 32] (int32)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from mxref.kernels._intrinsics import Call, intrinsic, literal
from mxref.kernels._jit import INTERPRETED
from mxref.kernels.gemm import cpu

__all__ = ["SIDE", "begin_tiles", "end_tiles", "multiply_tiles", "tile_config"]

SIDE = 32  # rows and columns of a product of two pairs of tiles
_HALF = 16

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_VOID = ir.VoidType()
_POINTER = _I8.as_pointer()


def tile_config(width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the shapes of the tile registers, in the layout of LDTILECFG (palette 1).

    Registers 0 to 3 hold sums, 4 and 5 the left operand, 6 and 7 the right one.
    """
    config = np.zeros(64, np.uint8)
    config[0] = 1
    row_bytes = config[16:48].view(np.uint16)
    row_bytes[:8] = 64, 64, 64, 64, width, width, 64, 64
    config[48:56] = 16, 16, 16, 16, 16, 16, width // 4, width // 4
    return config


def _declared(builder: ir.IRBuilder, name: str, result: Any, *arguments: Any) -> ir.Function:
    kind = ir.FunctionType(result, arguments)
    return cgutils.get_or_insert_function(builder.module, kind, name)


def _byte(value: int) -> ir.Constant:
    return ir.Constant(_I8, value)


@contextmanager
def _loop(builder: ir.IRBuilder, count: ir.Value) -> Iterator[ir.Value]:
    with cgutils.for_range(builder, count) as loop:
        yield loop.index


def _moved(builder: ir.IRBuilder, pointer: ir.Value, distance: Any) -> ir.Value:
    offset = ir.Constant(_I64, distance) if isinstance(distance, int) else distance
    return builder.gep(pointer, [offset])


def _begin_tiles(_typing: Any, config: Any, PATH: Any) -> Any:
    """Set up the tile registers of this thread; nothing where there are none."""
    path = literal(PATH)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        if path == cpu.AMX:
            call = Call(context, builder, signature.args, values)
            load = _declared(builder, "llvm.x86.ldtilecfg", _VOID, _POINTER)
            builder.call(load, [builder.bitcast(call.pointer(0), _POINTER)])
        return context.get_dummy_value()

    return types.void(config, PATH), generate


def _end_tiles(_typing: Any, PATH: Any) -> Any:
    """Give the tile registers of this thread back."""
    path = literal(PATH)

    def generate(context: Any, builder: ir.IRBuilder, _signature: Any, _values: Any) -> ir.Value:
        if path == cpu.AMX:
            builder.call(_declared(builder, "llvm.x86.tilerelease", _VOID), [])
        return context.get_dummy_value()

    return types.void(PATH), generate


def _multiply_tiles(
    _typing: Any,
    left: Any,
    left_at: Any,
    right: Any,
    right_at: Any,
    steps: Any,
    width: Any,
    sums: Any,
    sums_at: Any,
    first: Any,
    PATH: Any,
) -> Any:
    """Add the products of `steps` pairs of tiles to ``sums[32, 32]``, or write them if `first`."""
    emit = {
        cpu.AMX: _with_amx,
        cpu.VNNI: _with_vnni,
        cpu.PORTABLE: _plainly,
    }[literal(PATH)]

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        a = builder.bitcast(call.at(0, 1), _POINTER)
        b = builder.bitcast(call.at(2, 3), _POINTER)
        total = builder.bitcast(call.at(6, 7), _POINTER)
        is_first = builder.icmp_signed("!=", values[8], values[8].type(0))
        emit(builder, a, b, values[4], values[5], total, is_first)
        return context.get_dummy_value()

    i = types.intp
    return types.void(left, i, right, i, i, i, sums, i, i, PATH), generate


# --- AMX: 16 rows by 16 columns by 64 bytes in one instruction ---------------------------------


def _with_amx(
    builder: ir.IRBuilder,
    a: ir.Value,
    b: ir.Value,
    steps: ir.Value,
    width: ir.Value,
    total: ir.Value,
    is_first: ir.Value,
) -> None:
    load = _declared(builder, "llvm.x86.tileloadd64", _VOID, _I8, _POINTER, _I64)
    store = _declared(builder, "llvm.x86.tilestored64", _VOID, _I8, _POINTER, _I64)
    zero = _declared(builder, "llvm.x86.tilezero", _VOID, _I8)
    dot = _declared(builder, "llvm.x86.tdpbssd", _VOID, _I8, _I8, _I8)
    row = ir.Constant(_I64, 4 * SIDE)
    corners = [
        (2 * i + j, _moved(builder, total, 4 * _HALF * (SIDE * i + j)))
        for i in range(2)
        for j in range(2)
    ]
    with builder.if_else(is_first) as (then, otherwise):
        with then:
            for register, _ in corners:
                builder.call(zero, [_byte(register)])
        with otherwise:
            for register, corner in corners:
                builder.call(load, [_byte(register), corner, row])
    half = builder.mul(width, ir.Constant(_I64, _HALF))  # bytes of one tile, of either side
    whole = builder.mul(width, ir.Constant(_I64, SIDE))
    with _loop(builder, steps) as step:
        at = builder.mul(step, whole)
        a0, b0 = _moved(builder, a, at), _moved(builder, b, at)
        a1, b1 = _moved(builder, a0, half), _moved(builder, b0, half)
        builder.call(load, [_byte(6), b0, ir.Constant(_I64, 64)])
        builder.call(load, [_byte(4), a0, width])
        builder.call(load, [_byte(5), a1, width])
        builder.call(dot, [_byte(0), _byte(4), _byte(6)])
        builder.call(dot, [_byte(2), _byte(5), _byte(6)])
        builder.call(load, [_byte(7), b1, ir.Constant(_I64, 64)])
        builder.call(dot, [_byte(1), _byte(4), _byte(7)])
        builder.call(dot, [_byte(3), _byte(5), _byte(7)])
    for register, corner in corners:
        builder.call(store, [_byte(register), corner, row])


# --- vectors: each register holds the sums of some columns of a row ----------------------------


def _by_vectors(
    operands: tuple[Any, ...],
    shape: tuple[int, int],
    machine: Any,
) -> None:
    """Sums of some rows by some columns at a time in registers, four bytes along K in each round.

    `machine` says what a register holds and how four bytes of a row meet those of its columns.
    """
    builder, a, b, steps, width, total, is_first = operands
    rows, columns = shape
    lanes = machine.lanes
    parts = columns // lanes
    whole = builder.mul(width, ir.Constant(_I64, SIDE))
    quads = builder.lshr(width, ir.Constant(_I64, 2))
    for first_row in range(0, SIDE, rows):
        for first_column in range(0, SIDE, columns):
            held = [[cgutils.alloca_once(builder, machine.kind) for _ in range(parts)]
                    for _ in range(rows)]  # fmt: skip
            for row in held:
                for place in row:
                    builder.store(ir.Constant(machine.kind, None), place)
            with _loop(builder, steps) as step:
                at = builder.mul(step, whole)
                tile = builder.mul(width, ir.Constant(_I64, _HALF * (first_row // _HALF)))
                a_step = _moved(builder, _moved(builder, a, at), tile)
                b_step = _moved(builder, b, at)
                with _loop(builder, quads) as quad:
                    byte = builder.mul(quad, ir.Constant(_I64, 4))
                    a_quad = _moved(builder, a_step, byte)
                    line = _moved(builder, b_step, builder.mul(quad, ir.Constant(_I64, 64)))
                    rights = []
                    for part in range(parts):
                        column = first_column + part * lanes
                        half = builder.mul(width, ir.Constant(_I64, _HALF * (column // _HALF)))
                        place = _moved(builder, _moved(builder, line, half), 4 * (column % _HALF))
                        rights.append(machine.right(builder, place))
                    for index, row in enumerate(held):
                        distance = builder.mul(
                            width, ir.Constant(_I64, (first_row + index) % _HALF)
                        )
                        left = machine.left(builder, _moved(builder, a_quad, distance))
                        for right, sums in zip(rights, row, strict=True):
                            now = machine.add(builder, builder.load(sums), left, right)
                            builder.store(now, sums)
            for index, row in enumerate(held):
                for part, sums in enumerate(row):
                    place = SIDE * (first_row + index) + first_column + part * lanes
                    _write(
                        builder, machine.sums(builder, builder.load(sums)), total, place, is_first
                    )


def _write(
    builder: ir.IRBuilder, sums: ir.Value, total: ir.Value, place: int, is_first: ir.Value
) -> None:
    pointer = builder.bitcast(_moved(builder, total, 4 * place), sums.type.as_pointer())
    before = builder.load(pointer, align=4)
    before = builder.select(is_first, ir.Constant(sums.type, None), before)
    builder.store(builder.add(before, sums), pointer, align=4)


def _load(builder: ir.IRBuilder, pointer: ir.Value, kind: Any) -> ir.Value:
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=1)


def _splat(builder: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    kind = ir.VectorType(value.type, lanes)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_I32, 0))
    zeros = ir.Constant(ir.VectorType(_I32, lanes), None)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)


class _Vnni:
    """VPDPBUSD: 16 sums of four products each, of unsigned by signed bytes.

    128 is added to the bytes of b, which makes them unsigned; 128 sum(a) is then too much, and
    whoever reads the sums subtracts it.
    """

    kind = ir.VectorType(_I32, 16)
    lanes = 16

    def right(self, builder: ir.IRBuilder, pointer: ir.Value) -> ir.Value:
        flip = ir.Constant(self.kind, [-0x7F7F7F80] * 16)
        return builder.xor(_load(builder, pointer, self.kind), flip)

    def left(self, builder: ir.IRBuilder, pointer: ir.Value) -> ir.Value:
        return _splat(builder, _load(builder, pointer, _I32), 16)

    def add(
        self, builder: ir.IRBuilder, sums: ir.Value, left: ir.Value, right: ir.Value
    ) -> ir.Value:
        bytes_ = ir.VectorType(_I8, 64)
        name = "llvm.x86.avx512.vpdpbusd.512"
        dot = _declared(builder, name, self.kind, self.kind, bytes_, bytes_)
        factors = [builder.bitcast(word, bytes_) for word in (right, left)]
        return builder.call(dot, [sums, *factors])

    def sums(self, _builder: ir.IRBuilder, held: ir.Value) -> ir.Value:
        return held


class _Plain:
    """No instruction by name: products of neighbours are added, which LLVM makes VPMADDWD of."""

    kind = ir.VectorType(_I32, 8)
    lanes = 4
    _bytes = ir.VectorType(_I8, 16)
    _words = ir.VectorType(_I32, 16)

    def right(self, builder: ir.IRBuilder, pointer: ir.Value) -> ir.Value:
        return builder.sext(_load(builder, pointer, self._bytes), self._words)

    def left(self, builder: ir.IRBuilder, pointer: ir.Value) -> ir.Value:
        four = _splat(builder, _load(builder, pointer, _I32), 4)
        return builder.sext(builder.bitcast(four, self._bytes), self._words)

    def add(
        self, builder: ir.IRBuilder, sums: ir.Value, left: ir.Value, right: ir.Value
    ) -> ir.Value:
        return builder.add(sums, _neighbours(builder, builder.mul(left, right)))

    def sums(self, builder: ir.IRBuilder, held: ir.Value) -> ir.Value:
        return _neighbours(builder, held)


def _neighbours(builder: ir.IRBuilder, lanes: ir.Value) -> ir.Value:
    """Add each lane with an even number to the one behind it."""
    count = lanes.type.count // 2
    nothing = ir.Constant(lanes.type, ir.Undefined)
    picked = [
        builder.shuffle_vector(
            lanes, nothing, ir.Constant(ir.VectorType(_I32, count), list(range(odd, 2 * count, 2)))
        )
        for odd in (0, 1)
    ]
    return builder.add(*picked)


def _with_vnni(*arguments: Any) -> None:
    _by_vectors(arguments, (8, SIDE), _Vnni())


def _plainly(*arguments: Any) -> None:
    _by_vectors(arguments, (4, 8), _Plain())


# --- without a compiler ----------------------------------------------------------------------


def _multiply_slowly(  # as the intrinsic
    left: Any,
    left_at: int,
    right: Any,
    right_at: int,
    steps: int,
    width: int,
    sums: Any,
    sums_at: int,
    first: int,
    _path: int,
) -> None:
    size = steps * SIDE * width
    a = left[left_at : left_at + size].reshape(steps, SIDE, width).astype(np.int32)
    b = right[right_at : right_at + size].reshape(steps, 2, width // 4, _HALF, 4).astype(np.int32)
    columns = b.transpose(0, 1, 3, 2, 4).reshape(steps, SIDE, width)
    total = np.einsum("smk,snk->mn", a, columns)
    target = sums[sums_at : sums_at + SIDE * SIDE].reshape(SIDE, SIDE)
    target[:] = total if first else target + total


def _nothing(*_: Any) -> None:
    return None


begin_tiles: Any = _nothing
end_tiles: Any = _nothing
multiply_tiles: Any = _multiply_slowly
if not INTERPRETED:
    begin_tiles = intrinsic(prefer_literal=True)(_begin_tiles)
    end_tiles = intrinsic(prefer_literal=True)(_end_tiles)
    multiply_tiles = intrinsic(prefer_literal=True)(_multiply_tiles)
