"""int32 sums to float64 sums: weighed by powers of two, added exactly or with their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from mxref.kernels._intrinsics import Call, intrinsic, literal
from mxref.kernels._jit import INTERPRETED
from mxref.kernels.gemm import cpu
from mxref.kernels.gemm.tiles import SIDE

__all__ = ["ADD", "ADD_WITH_ERROR", "SET", "take_off", "weigh", "weigh_directly"]

SET, ADD, ADD_WITH_ERROR = range(3)

_LANES = 8
_INTS = ir.VectorType(ir.IntType(32), _LANES)
_FLOATS = ir.VectorType(ir.DoubleType(), _LANES)
_I32, _I64 = ir.IntType(32), ir.IntType(64)


def _vector(builder: ir.IRBuilder, pointer: ir.Value, place: ir.Value, kind: Any) -> ir.Value:
    return builder.bitcast(builder.gep(pointer, [place]), kind.as_pointer())


def _splat(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    nothing = ir.Constant(_FLOATS, ir.Undefined)
    one = builder.insert_element(nothing, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(_I32, _LANES), None))


def _terms(
    builder: ir.IRBuilder, source: ir.Value, line: ir.Value, of_levels: ir.Value, count: ir.Value
) -> list[ir.Value]:
    """The sum of the levels of one row, each times its weight, from the highest down: exact."""
    parts = [ir.Constant(_I64, part * _LANES) for part in range(SIDE // _LANES)]
    held = [cgutils.alloca_once(builder, _FLOATS) for _ in parts]
    for place in held:
        builder.store(ir.Constant(_FLOATS, None), place)
    with cgutils.for_range(builder, count) as inner:
        level = builder.sub(builder.sub(count, inner.index), ir.Constant(_I64, 1))
        weight = _splat(builder, builder.load(builder.gep(of_levels, [level])))
        shift = builder.mul(level, ir.Constant(_I64, SIDE * SIDE))
        for part, place in zip(parts, held, strict=True):
            spot = builder.add(builder.add(line, part), shift)
            given = builder.load(_vector(builder, source, spot, _INTS), align=4)
            term = builder.fmul(builder.sitofp(given, _FLOATS), weight)
            builder.store(builder.fadd(builder.load(place), term), place)
    return [builder.load(place) for place in held]


def _columns(builder: ir.IRBuilder, of_rows: ir.Value) -> list[ir.Value]:
    """The factors of the columns, which lie behind those of the rows."""
    behind = builder.gep(of_rows, [ir.Constant(_I64, SIDE)])
    parts = [ir.Constant(_I64, part * _LANES) for part in range(SIDE // _LANES)]
    return [builder.load(_vector(builder, behind, part, _FLOATS), align=8) for part in parts]


def _weigh(
    _typing: Any,
    ints: Any,
    at: Any,
    wide: Any,
    sums: Any,
    factors: Any,
    weights: Any,
    levels: Any,
    MODE: Any,
    PATH: Any,
) -> Any:
    """Add a tile of int32, weighed, times the factors of its rows and columns to ``wide[sums:]``.

    Its levels lie 1024 places apart from ``ints[at:]`` on; ``wide[weights:]`` are their weights.
    ``wide[factors:]`` are 32 factors of rows and then 32 of columns, powers of two. In the mode
    ADD_WITH_ERROR what additions lose is added 1024 places behind the sums (TwoSum).
    """
    mode, has_fma = literal(MODE), literal(PATH) != cpu.PORTABLE

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        source, target = call.at(0, 1), call.at(2, 3)
        of_rows, of_levels, count = call.at(2, 4), call.at(2, 5), values[6]
        of_columns = _columns(builder, of_rows)
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_FLOATS, [_FLOATS] * 3), "llvm.fma.v8f64"
        )
        with cgutils.for_range(builder, ir.Constant(_I64, SIDE)) as loop:
            of_row = _splat(builder, builder.load(builder.gep(of_rows, [loop.index])))
            line = builder.mul(loop.index, ir.Constant(_I64, SIDE))
            terms = _terms(builder, source, line, of_levels, count)
            for part, (total, of_column) in enumerate(zip(terms, of_columns, strict=True)):
                place = builder.add(line, ir.Constant(_I64, part * _LANES))
                term = builder.fmul(total, of_column)
                pointer = _vector(builder, target, place, _FLOATS)
                if mode == SET:
                    builder.store(builder.fmul(term, of_row), pointer, align=8)
                    continue
                before = builder.load(pointer, align=8)
                if mode == ADD and has_fma:  # no result is rounded, so that a CPU may do either
                    builder.store(builder.call(fma, [term, of_row, before]), pointer, align=8)
                    continue
                term = builder.fmul(term, of_row)
                after = builder.fadd(before, term)
                builder.store(after, pointer, align=8)
                if mode == ADD:
                    continue
                back = builder.fsub(after, before)
                lost = builder.fadd(
                    builder.fsub(before, builder.fsub(after, back)), builder.fsub(term, back)
                )
                errors = builder.add(place, ir.Constant(_I64, SIDE * SIDE))
                pointer = _vector(builder, target, errors, _FLOATS)
                whole = builder.fadd(builder.load(pointer, align=8), lost)
                builder.store(whole, pointer, align=8)
        return context.get_dummy_value()

    i = types.intp
    return types.void(ints, i, wide, i, i, i, i, MODE, PATH), generate


def _weigh_directly(
    _typing: Any,
    ints: Any,
    at: Any,
    wide: Any,
    factors: Any,
    weights: Any,
    levels: Any,
    out: Any,
    row: Any,
    column: Any,
) -> Any:
    """As `weigh`, to a tile of a float32 matrix."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        source, of_rows, of_levels, count = call.at(0, 1), call.at(2, 3), call.at(2, 4), values[5]
        matrix = context.make_array(signature.args[6])(context, builder, values[6])
        columns = builder.extract_value(matrix.shape, 1)
        start = builder.add(builder.mul(values[7], columns), values[8])
        target = builder.gep(matrix.data, [start])
        of_columns = _columns(builder, of_rows)
        singles = ir.VectorType(ir.FloatType(), _LANES)
        with cgutils.for_range(builder, ir.Constant(_I64, SIDE)) as loop:
            of_row = _splat(builder, builder.load(builder.gep(of_rows, [loop.index])))
            line = builder.mul(loop.index, ir.Constant(_I64, SIDE))
            terms = _terms(builder, source, line, of_levels, count)
            there = builder.gep(target, [builder.mul(loop.index, columns)])
            for part, (total, of_column) in enumerate(zip(terms, of_columns, strict=True)):
                value = builder.fmul(builder.fmul(total, of_column), of_row)
                place = ir.Constant(_I64, part * _LANES)
                pointer = _vector(builder, there, place, singles)
                builder.store(builder.fptrunc(value, singles), pointer, align=4)
        return context.get_dummy_value()

    i = types.intp
    return types.void(ints, i, wide, i, i, i, out, i, i), generate


def _take_off(_typing: Any, ints: Any, at: Any, excess: Any, first: Any) -> Any:
    """Subtract ``excess[first:]`` from the rows of ``ints[at:]``, 32 by 32."""
    whole = ir.VectorType(_I32, SIDE)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        target, of_rows = call.at(0, 1), call.at(2, 3)
        nothing = ir.Constant(whole, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(_I32, SIDE), None)
        with cgutils.for_range(builder, ir.Constant(_I64, SIDE)) as loop:
            more = builder.load(builder.gep(of_rows, [loop.index]))
            one = builder.insert_element(nothing, more, ir.Constant(_I32, 0))
            line = builder.mul(loop.index, ir.Constant(_I64, SIDE))
            pointer = _vector(builder, target, line, whole)
            row = builder.load(pointer, align=4)
            less = builder.sub(row, builder.shuffle_vector(one, nothing, zeros))
            builder.store(less, pointer, align=4)
        return context.get_dummy_value()

    i = types.intp
    return types.void(ints, i, excess, i), generate


def _take_off_slowly(ints: Any, at: int, excess: Any, first: int) -> None:
    ints[at : at + SIDE * SIDE].reshape(SIDE, SIDE)[:] -= excess[first : first + SIDE, None]


def _weighed(ints: Any, at: int, wide: Any, factors: int, weights: int, levels: int) -> Any:
    size = SIDE * SIDE
    given = ints[at : at + levels * size].reshape(levels, SIDE, SIDE).astype(float)
    total = sum(given[level] * wide[weights + level] for level in reversed(range(levels)))
    of_rows = wide[factors : factors + SIDE, None]
    return total * wide[factors + SIDE : factors + 2 * SIDE] * of_rows


def _weigh_slowly_directly(  # as the intrinsic
    ints: Any,
    at: int,
    wide: Any,
    factors: int,
    weights: int,
    levels: int,
    out: Any,
    row: int,
    column: int,
) -> None:
    value = _weighed(ints, at, wide, factors, weights, levels)
    out[row : row + SIDE, column : column + SIDE] = value


def _weigh_slowly(  # as the intrinsic
    ints: Any,
    at: int,
    wide: Any,
    sums: int,
    factors: int,
    weights: int,
    levels: int,
    mode: int,
    _path: int,
) -> None:
    term = _weighed(ints, at, wide, factors, weights, levels)
    target = wide[sums : sums + SIDE * SIDE].reshape(SIDE, SIDE)
    if mode == SET:
        target[:] = term
        return
    before = target.copy()
    target += term
    if mode == ADD_WITH_ERROR:
        back = target - before
        errors = wide[sums + SIDE * SIDE : sums + 2 * SIDE * SIDE].reshape(SIDE, SIDE)
        errors += (before - (target - back)) + (term - back)


weigh: Callable[..., None] = _weigh_slowly
weigh_directly: Callable[..., None] = _weigh_slowly_directly
take_off: Callable[..., None] = _take_off_slowly
if not INTERPRETED:
    weigh = intrinsic(prefer_literal=True)(_weigh)
    weigh_directly = intrinsic(_weigh_directly)
    take_off = intrinsic(_take_off)
