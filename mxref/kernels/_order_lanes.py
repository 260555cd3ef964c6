"""The steps of a sum in a given order, as Numba intrinsics over tiles of partial sums.

A tile is ROWS vectors of LANES partial sums, at some place of an array of such tiles. The loop over
K is inside `sum_run_lanes`, so that the partial sums stay in registers meanwhile.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from mxref.kernels._intrinsics import Call, intrinsic, literal
from mxref.kernels._sum_lanes import FloatLanes

__all__ = [
    "add_tile_lanes",
    "round_tile_lanes",
    "scaled_tile_lanes",
    "settle_tile_lanes",
    "sum_run_lanes",
]

_INDEX = ir.IntType(64)


class _Tile(Call):
    """The arguments of one intrinsic, and places in arrays as it needs them."""

    def place(self, array: int, offset: ir.Value) -> ir.Value:
        """Pointer to an item of the array at `array`."""
        return self.builder.gep(self.pointer(array), [offset])

    def floats(self, kind: int, lanes: int) -> FloatLanes:
        """The arithmetic of the sums, which are the first argument."""
        is_single = isinstance(self.pointer(0).type.pointee, ir.FloatType)
        return FloatLanes(self.builder, kind, lanes, is_single=is_single)

    def after(self, start: ir.Value, step: ir.Value | int, times: int) -> ir.Value:
        """``start + step * times``."""
        if isinstance(step, int):
            return self.builder.add(start, ir.Constant(_INDEX, step * times))
        return self.builder.add(start, self.builder.mul(step, ir.Constant(_INDEX, times)))


@intrinsic(prefer_literal=True)
def sum_run_lanes(
    _typing: Any,
    sums: Any,
    at: Any,
    fresh: Any,
    a: Any,
    a_at: Any,
    a_row: Any,
    a_step: Any,
    b: Any,
    b_at: Any,
    b_step: Any,
    count: Any,
    KIND: Any,
    PRODUCT: Any,
    PAIRED: Any,
    ROWS: Any,
    LANES: Any,
) -> Any:
    """Add `count` products to each sum of a tile, or to +0 where `fresh` is not 0.

    Of a, one number for each row, `a_row` apart (a whole vector if PAIRED); of b, a vector. Both go
    on by their steps.
    """
    kind, product = literal(KIND), literal(PRODUCT)
    is_paired, rows, lanes = bool(literal(PAIRED)), literal(ROWS), literal(LANES)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = _Tile(context, builder, signature.args, values)
        o = call.floats(kind, lanes)
        _, at, fresh, _, a_at, a_row, a_step, _, b_at, b_step, count = values[:11]
        places = [call.place(0, call.after(at, lanes, row)) for row in range(rows)]
        none = ir.Constant(_INDEX, 0)
        is_fresh = builder.icmp_signed("!=", fresh, none)
        begun = [builder.select(is_fresh, o.zero(), o.load(place)) for place in places]

        before = builder.block
        body = builder.append_basic_block("products")
        done = builder.append_basic_block("summed")
        builder.cbranch(builder.icmp_signed(">", count, none), body, done)

        builder.position_at_end(body)
        k, at_a, at_b = (builder.phi(_INDEX) for _ in range(3))
        running = [builder.phi(o.kept) for _ in range(rows)]
        column = o.load(call.place(7, at_b))
        stepped = []
        for row, total in enumerate(running):
            place = call.place(3, call.after(at_a, a_row, row))
            left = o.load(place) if is_paired else o.splat(builder.load(place))
            stepped.append(o.accumulated(total, left, column, product))
        following = builder.add(k, ir.Constant(_INDEX, 1))
        onward = (following, builder.add(at_a, a_step), builder.add(at_b, b_step))
        for phi, first, later in zip((k, at_a, at_b), (none, a_at, b_at), onward, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(later, builder.block)
        for phi, first, later in zip(running, begun, stepped, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(later, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, count), body, done)
        last = builder.block

        builder.position_at_end(done)
        totals = [builder.phi(o.kept) for _ in range(rows)]
        for total, first, later in zip(totals, begun, stepped, strict=True):
            total.add_incoming(first, before)
            total.add_incoming(later, last)
        for total, place in zip(totals, places, strict=True):
            o.store(total, place)
        return context.get_dummy_value()

    index = types.intp
    given = (sums, index, index, a, index, index, index, b, index, index, index)
    return types.void(*given, KIND, PRODUCT, PAIRED, ROWS, LANES), generate


@intrinsic(prefer_literal=True)
def add_tile_lanes(_typing: Any, sums: Any, at: Any, other: Any, KIND: Any, LANES: Any) -> Any:
    """Add the sums from `other` on to those from `at` on."""
    kind, lanes = literal(KIND), literal(LANES)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = _Tile(context, builder, signature.args, values)
        o = call.floats(kind, lanes)
        place, more = call.place(0, values[1]), call.place(0, values[2])
        o.store(o.added(o.load(place), o.load(more)), place)
        return context.get_dummy_value()

    return types.void(sums, types.intp, types.intp, KIND, LANES), generate


@intrinsic(prefer_literal=True)
def round_tile_lanes(
    _typing: Any, x: Any, at: Any, out: Any, out_at: Any, KIND: Any, LANES: Any
) -> Any:
    """Round to the accumulator's type, and store in the type of `out`."""
    kind, lanes = literal(KIND), literal(LANES)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = _Tile(context, builder, signature.args, values)
        o = call.floats(kind, lanes)
        o.store(o.rounded(o.load(call.place(0, values[1]))), call.place(2, values[3]))
        return context.get_dummy_value()

    return types.void(x, types.intp, out, types.intp, KIND, LANES), generate


def _factors(call: _Tile, o: FloatLanes, *, is_paired: bool) -> tuple[ir.Value, ir.Value]:
    """The scales of a, its fourth and fifth argument, and of b behind them, in each lane."""
    place = call.place(4, call.values[5])
    left = o.load(place) if is_paired else o.splat(call.builder.load(place))
    return left, o.load(call.place(6, call.values[7]))


@intrinsic(prefer_literal=True)
def scaled_tile_lanes(
    _typing: Any,
    sums: Any,
    at: Any,
    fresh: Any,
    other: Any,
    a: Any,
    a_at: Any,
    b: Any,
    b_at: Any,
    KIND: Any,
    PRODUCT: Any,
    PAIRED: Any,
    LANES: Any,
) -> Any:
    """Add the sums from `other` on, times the product of their scales, to those from `at` on.

    The scales and their product are float32: it may overflow, or vanish.
    """
    kind, product, lanes = literal(KIND), literal(PRODUCT), literal(LANES)
    is_paired = bool(literal(PAIRED))

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = _Tile(context, builder, signature.args, values)
        o = call.floats(kind, lanes)
        is_fresh = builder.icmp_signed("!=", values[2], ir.Constant(_INDEX, 0))
        place, part = call.place(0, values[1]), o.load(call.place(0, values[3]))
        left, right = _factors(call, o, is_paired=is_paired)
        factor = o.narrowed(builder.fmul(o.widened(left), o.widened(right)))
        begun = builder.select(is_fresh, o.zero(), o.load(place))
        scaled = o.accumulated(begun, o.widened(part), o.widened(factor), product)
        o.store(scaled, place)
        return context.get_dummy_value()

    index = types.intp
    given = (sums, index, index, index, a, index, b, index)
    return types.void(*given, KIND, PRODUCT, PAIRED, LANES), generate


@intrinsic(prefer_literal=True)
def settle_tile_lanes(
    _typing: Any,
    sums: Any,
    at: Any,
    fresh: Any,
    exact: Any,
    a: Any,
    a_at: Any,
    b: Any,
    b_at: Any,
    exact_at: Any,
    KIND: Any,
    PARTS: Any,
    SPECIAL: Any,
    PAIRED: Any,
    TILE: Any,
    LANES: Any,
) -> Any:
    """Add the exact sums of a block, scaled and rounded once, to the sums from `at` on.

    `exact` has PARTS numbers for each, TILE apart, the least first; their sum is meant. With
    SPECIAL one more follows, which is taken instead where it is not finite. The scales are float64,
    which has room for their product.
    """
    kind, parts, has_special = literal(KIND), literal(PARTS), bool(literal(SPECIAL))
    is_paired, tile, lanes = bool(literal(PAIRED)), literal(TILE), literal(LANES)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = _Tile(context, builder, signature.args, values)
        o = call.floats(kind, lanes)
        is_fresh = builder.icmp_signed("!=", values[2], ir.Constant(_INDEX, 0))
        places = [call.after(values[8], tile, part) for part in range(parts + has_special)]
        given = [o.load(call.place(3, offset)) for offset in places]
        total = o.odd_total(given[:parts])
        if has_special:
            apart = builder.fsub(given[parts], given[parts])
            is_special = builder.fcmp_unordered("uno", apart, apart)
            total = builder.select(is_special, given[parts], total)
        left, right = _factors(call, o, is_paired=is_paired)
        block = builder.fmul(total, builder.fmul(left, right))
        place = call.place(0, values[1])
        begun = builder.select(is_fresh, o.zero(), o.load(place))
        o.store(o.added(begun, o.rounded(block)), place)
        return context.get_dummy_value()

    index = types.intp
    given = (sums, index, index, exact, a, index, b, index, index)
    return types.void(*given, KIND, PARTS, SPECIAL, PAIRED, TILE, LANES), generate
