"""Intrinsics that move bytes: small squares of memory, transposed in registers.

Each reads rows at one pitch and writes the columns at another. A square is transposed by the same
program in both directions, so what packs also unpacks, with its two sides exchanged.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from mxref.kernels._intrinsics import Call, intrinsic, literal

__all__ = [
    "copy_lanes",
    "pair_lanes",
    "turn_lanes",
    "unpair_lanes",
    "unweave_lanes",
    "weave_lanes",
    "zip_full_lanes",
    "zip_lanes",
    "zip_wide_lanes",
]

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)


def _at(call: Call, array: int, start: ir.Value) -> ir.Value:
    return call.builder.gep(call.pointer(array), [start])


def _load(call: Call, pointer: ir.Value, kind: ir.Type) -> ir.Value:
    value = call.builder.load(call.builder.bitcast(pointer, kind.as_pointer()))
    value.align = 1
    return value


def _store(call: Call, value: ir.Value, pointer: ir.Value) -> None:
    kind = value.type.as_pointer()
    call.builder.store(value, call.builder.bitcast(pointer, kind)).align = 1


def _step(call: Call, start: ir.Value, step: ir.Value, times: int) -> ir.Value:
    by = call.builder.mul(step, ir.Constant(step.type, times))
    return call.builder.add(start, by)


def _mask(*lanes: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(_I32, len(lanes)), list(lanes))


def _zipped(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Lanes of two vectors in turn: the first halves, and the second halves."""
    n = a.type.count
    halves = (
        [lane for i in range(first, first + n // 2) for lane in (i, i + n)] for first in (0, n // 2)
    )
    low, high = (builder.shuffle_vector(a, b, _mask(*half)) for half in halves)
    return low, high


def _transposed(builder: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """The columns of a square: each pass zips rows that lie half of all rows apart."""
    half = len(rows) // 2
    done = 1
    while done < len(rows):
        pairs = [_zipped(builder, rows[r], rows[r + half]) for r in range(half)]
        rows = [row for pair in pairs for row in pair]
        done *= 2
    return rows


@intrinsic(prefer_literal=True)
def copy_lanes(_typing: Any, to: Any, i: Any, source: Any, j: Any, BYTES: Any) -> Any:
    """``to[i : i + BYTES] = source[j : j + BYTES]``, at any alignment."""
    size = literal(BYTES)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        word = _load(call, call.at(2, 3), ir.IntType(8 * size))
        _store(call, word, call.at(0, 1))
        return context.get_dummy_value()

    return types.void(to, types.intp, source, types.intp, BYTES), generate


@intrinsic(prefer_literal=True)
def zip_lanes(
    _typing: Any,
    to: Any,
    i: Any,
    i_step: Any,
    source: Any,
    j: Any,
    j_step: Any,
    WIDTH: Any,
) -> Any:
    """Transpose a square of cells of WIDTH bytes, 16 bytes wide.

    Row r, 16 bytes from ``source[j + r * j_step]`` on, becomes cell r of each row of `to`, the rows
    of which begin at ``to[i + c * i_step]``.
    """
    width = literal(WIDTH)
    n = 16 // width

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        kind = ir.VectorType(ir.IntType(8 * width), n)
        rows = [
            _load(call, _at(call, 3, _step(call, values[4], values[5], r)), kind) for r in range(n)
        ]
        for c, row in enumerate(_transposed(builder, rows)):
            _store(call, row, _at(call, 0, _step(call, values[1], values[2], c)))
        return context.get_dummy_value()

    step = types.intp
    return types.void(to, step, step, source, step, step, WIDTH), generate


def _zipped_in_runs(builder: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """The columns of four squares side by side: zips that stay within 16 bytes."""
    count = rows[0].type.count
    n, half = count // 4, len(rows) // 2
    masks = [
        _mask(
            *(
                m
                for q in range(0, count, n)
                for k in range(n // 2)
                for m in (q + h + k, q + h + k + count)
            )
        )
        for h in (0, n // 2)
    ]
    done = 1
    while done < len(rows):
        pairs = [(rows[r], rows[r + half]) for r in range(half)]
        rows = [builder.shuffle_vector(*pair, mask) for pair in pairs for mask in masks]
        done *= 2
    return rows


def _runs_exchanged(builder: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """Of four rows of four runs of 16 bytes: run s of row r becomes run r of row s."""
    count = rows[0].type.count
    n = count // 4

    def runs(*which: int) -> ir.Constant:
        return _mask(*(lane for run in which for lane in range(run * n, run * n + n)))

    a = builder.shuffle_vector(rows[0], rows[1], runs(0, 4, 1, 5))
    b = builder.shuffle_vector(rows[2], rows[3], runs(0, 4, 1, 5))
    c = builder.shuffle_vector(rows[0], rows[1], runs(2, 6, 3, 7))
    d = builder.shuffle_vector(rows[2], rows[3], runs(2, 6, 3, 7))
    return [
        builder.shuffle_vector(*pair, runs(*which))
        for pair in ((a, b), (c, d))
        for which in ((0, 1, 4, 5), (2, 3, 6, 7))
    ]


@intrinsic(prefer_literal=True)
def zip_wide_lanes(
    _typing: Any,
    packed: Any,
    i: Any,
    i_step: Any,
    lines: Any,
    j: Any,
    j_step: Any,
    PACKING: Any,
) -> Any:
    """Transpose four squares of words side by side: 4 lines of 64 bytes, and 16 runs of 16 bytes.

    As four calls of `zip_lanes` for cells of 4 bytes, from `lines` to `packed` if PACKING, or back.
    """
    is_packing = literal(PACKING)
    wide, run = ir.VectorType(_I32, 16), ir.VectorType(_I32, 4)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        line = [_at(call, 3, _step(call, values[4], values[5], r)) for r in range(4)]
        # Run 4 * q + c is column c of square q.
        runs = [_at(call, 0, _step(call, values[1], values[2], k)) for k in range(16)]
        if is_packing:
            columns = _zipped_in_runs(builder, [_load(call, pointer, wide) for pointer in line])
            for k, pointer in enumerate(runs):
                q, column = k // 4, columns[k % 4]
                part = _mask(*range(4 * q, 4 * q + 4))
                _store(call, builder.shuffle_vector(column, column, part), pointer)
            return context.get_dummy_value()
        taken = [_load(call, pointer, run) for pointer in runs]
        columns = []
        for c in range(4):
            halves = [
                builder.shuffle_vector(taken[c + 8 * h], taken[c + 8 * h + 4], _mask(*range(8)))
                for h in range(2)
            ]
            columns.append(builder.shuffle_vector(*halves, _mask(*range(16))))
        for row, pointer in zip(_zipped_in_runs(builder, columns), line, strict=True):
            _store(call, row, pointer)
        return context.get_dummy_value()

    step = types.intp
    return types.void(packed, step, step, lines, step, step, PACKING), generate


@intrinsic(prefer_literal=True)
def zip_full_lanes(
    _typing: Any,
    packed: Any,
    i: Any,
    i_step: Any,
    lines: Any,
    j: Any,
    j_near: Any,
    j_far: Any,
    PACKING: Any,
) -> Any:
    """Transpose 16 lines of 64 bytes, by words, into 16 runs of 64 bytes, or back.

    Line ``4 * n + f`` begins at ``lines[j + n * j_near + f * j_far]`` and is word 4 * n + f of each
    run. Memory is read and written in whole cache lines.
    """
    is_packing = literal(PACKING)
    wide = ir.VectorType(_I32, 16)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        near = [_step(call, values[4], values[5], n) for n in range(4)]
        line = [
            [_at(call, 3, _step(call, start, values[6], f)) for f in range(4)] for start in near
        ]
        run = [_at(call, 0, _step(call, values[1], values[2], k)) for k in range(16)]
        if is_packing:
            fours = [
                _zipped_in_runs(builder, [_load(call, pointer, wide) for pointer in four])
                for four in line
            ]
            for c in range(4):
                for s, row in enumerate(_runs_exchanged(builder, [four[c] for four in fours])):
                    _store(call, row, run[4 * s + c])
            return context.get_dummy_value()
        columns = [
            _runs_exchanged(builder, [_load(call, run[4 * s + c], wide) for s in range(4)])
            for c in range(4)
        ]
        for n, four in enumerate(line):
            rows = _zipped_in_runs(builder, [column[n] for column in columns])
            for row, pointer in zip(rows, four, strict=True):
                _store(call, row, pointer)
        return context.get_dummy_value()

    step = types.intp
    return types.void(packed, step, step, lines, step, step, step, PACKING), generate


@intrinsic(prefer_literal=True)
def turn_lanes(_typing: Any, to: Any, i: Any, source: Any, j: Any, pitch: Any) -> Any:
    """Transpose 16 lines of 64 bytes, `pitch` apart, to 64 runs of 16 bytes that are 64 apart."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        kind = ir.VectorType(_I8, 64)
        rows = [
            _load(call, _at(call, 2, _step(call, values[3], values[4], r)), kind) for r in range(16)
        ]
        for c, row in enumerate(_zipped_in_runs(builder, rows)):
            for q in range(4):
                part = builder.shuffle_vector(row, row, _mask(*range(16 * q, 16 * q + 16)))
                place = ir.Constant(values[1].type, 64 * (16 * q + c))
                _store(call, part, _at(call, 0, builder.add(values[1], place)))
        return context.get_dummy_value()

    step = types.intp
    return types.void(to, step, source, step, step), generate


_LINES = 16  # of a half tile of gfx950, which weaves two lines 16 apart into words


def _splat(value: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(_I64, _LINES), [value] * _LINES)


@intrinsic(prefer_literal=True)
def weave_lanes(_typing: Any, to: Any, i: Any, source: Any, j: Any, pitch: Any) -> Any:
    """Write one gfx950 tile: 32 lines of 8 bytes, `pitch` apart, to 256 bytes from ``to[i]`` on."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        halves = []
        for half in range(2):
            lines = ir.Constant(ir.VectorType(_I64, _LINES), ir.Undefined)
            for line in range(_LINES):
                start = _step(call, values[3], values[4], half * _LINES + line)
                word = _load(call, _at(call, 2, start), _I64)
                lines = builder.insert_element(lines, word, ir.Constant(_I32, line))
            halves.append(lines)
        even, words = _splat(0x000000FF000000FF), ir.VectorType(_I32, _LINES)
        for block in range(4):
            a, b = (builder.and_(builder.lshr(half, _splat(8 * block)), even) for half in halves)
            both = builder.or_(a, builder.shl(b, _splat(8)))
            word = builder.trunc(builder.or_(both, builder.lshr(both, _splat(16))), words)
            to_place = builder.add(values[1], ir.Constant(values[1].type, 64 * block))
            _store(call, word, _at(call, 0, to_place))
        return context.get_dummy_value()

    step = types.intp
    return types.void(to, step, source, step, step), generate


@intrinsic(prefer_literal=True)
def unweave_lanes(_typing: Any, to: Any, i: Any, pitch: Any, source: Any, j: Any) -> Any:
    """Read one gfx950 tile, the reverse of `weave_lanes`: 256 bytes to 32 lines of 8."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        even, wide = _splat(0x000000FF000000FF), ir.VectorType(_I64, _LINES)
        halves = [_splat(0), _splat(0)]
        for block in range(4):
            start = builder.add(values[4], ir.Constant(values[4].type, 64 * block))
            word = _load(call, _at(call, 3, start), ir.VectorType(_I32, _LINES))
            both = builder.zext(word, wide)
            both = builder.or_(both, builder.shl(both, _splat(16)))
            for half in range(2):
                byte = builder.and_(builder.lshr(both, _splat(8 * half)), even)
                halves[half] = builder.or_(halves[half], builder.shl(byte, _splat(8 * block)))
        for half in range(2):
            for line in range(_LINES):
                lane = builder.extract_element(halves[half], ir.Constant(_I32, line))
                place = _step(call, values[1], values[2], half * _LINES + line)
                _store(call, lane, _at(call, 0, place))
        return context.get_dummy_value()

    step = types.intp
    return types.void(to, step, step, source, step), generate


_GROUP = 64  # bytes of 32 lines by two blocks in Triton's order for Hopper; half of it is moved


@intrinsic(prefer_literal=True)
def pair_lanes(_typing: Any, to: Any, i: Any, source: Any, j: Any, pitch: Any) -> Any:
    """Write 16 lines by 16 blocks of Triton's order for Hopper.

    Bytes of two lines 8 apart take turns; the words of two blocks each go to 32 bytes of 8 groups.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        line, words = ir.VectorType(_I8, 16), ir.VectorType(_I32, 8)
        turns = _mask(*(lane for k in range(16) for lane in (k, k + 16)))
        rows = []
        for r in range(8):
            a, b = (
                _load(call, _at(call, 2, _step(call, values[3], values[4], n)), line)
                for n in (r, r + 8)
            )
            rows.append(builder.bitcast(builder.shuffle_vector(a, b, turns), words))
        for c, row in enumerate(_transposed(builder, rows)):
            place = builder.add(values[1], ir.Constant(values[1].type, _GROUP * c))
            _store(call, row, _at(call, 0, place))
        return context.get_dummy_value()

    step = types.intp
    return types.void(to, step, source, step, step), generate


@intrinsic(prefer_literal=True)
def unpair_lanes(_typing: Any, to: Any, i: Any, pitch: Any, source: Any, j: Any) -> Any:
    """Read 16 lines by 16 blocks, the reverse of `pair_lanes`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        words, pair = ir.VectorType(_I32, 8), ir.VectorType(_I8, 32)
        rows = []
        for c in range(8):
            start = builder.add(values[4], ir.Constant(values[4].type, _GROUP * c))
            rows.append(_load(call, _at(call, 3, start), words))
        for r, row in enumerate(_transposed(builder, rows)):
            both = builder.bitcast(row, pair)
            for half in range(2):
                line = builder.shuffle_vector(both, both, _mask(*range(half, 32, 2)))
                place = _step(call, values[1], values[2], r + 8 * half)
                _store(call, line, _at(call, 0, place))
        return context.get_dummy_value()

    step = types.intp
    return types.void(to, step, step, source, step), generate
