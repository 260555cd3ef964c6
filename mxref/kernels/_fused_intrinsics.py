"""The fused sum of one row with LANES columns, as Numba intrinsics that keep all in registers.

Columns lie side by side: item (k, lane) of a tile is at ``k * LANES + lane``.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from mxref.kernels import _fused_programs as programs
from mxref.kernels._fused_programs import LIFT, Output
from mxref.kernels._intrinsics import Call, intrinsic, literal
from mxref.kernels.lanes import LlvmMachine, LlvmWord

__all__ = ["add_lanes", "exact_lanes", "fused_lanes"]

I16, I32, I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)


class _Emitter:
    """The vectors of one fused sum while their code is generated."""

    def __init__(self, call: Call, lanes: int, output: Output, *, is_paired: bool) -> None:
        self.call = call
        self.builder: ir.IRBuilder = call.builder
        self.lanes = lanes
        self.output = output
        self.is_paired = is_paired
        self.wide = call.machine(64, lanes)
        self.word = call.machine(32, lanes)
        self.half = call.machine(16, lanes)

    def left(self, machine: LlvmMachine, place: int, start: int, step: int) -> LlvmWord:
        """The item of a, `step` behind ``values[start]``: one for all columns, or one for each."""
        if self.is_paired:
            return self.row(machine, place, start, step)
        pointer = self.builder.gep(self.call.at(place, start), [ir.Constant(I64, step)])
        return machine.splat(self.builder.load(pointer))

    def row(self, machine: LlvmMachine, place: int, start: int, step: int) -> LlvmWord:
        """LANES items, `step` rows of a tile behind ``values[start]``."""
        offset = ir.Constant(I64, step * self.lanes)
        return machine.load(self.builder.gep(self.call.at(place, start), [offset]))

    def signed_row(self, place: int, start: int, step: int) -> ir.Value:
        """LANES signed items of 16 bits as 32."""
        value = self.row(self.half, place, start, step).value
        return self.builder.sext(value, self.word.vector)

    def widened(self, word: LlvmWord, machine: LlvmMachine, *, signed: bool = False) -> LlvmWord:
        """The same numbers in wider words."""
        extend = self.builder.sext if signed else self.builder.zext
        return LlvmWord(self.builder, extend(word.value, machine.vector))

    def aligned(self, product: ir.Value, shift: LlvmWord) -> LlvmWord:
        """A signed product of 32 bits, its magnitude shifted down."""
        sign = self.builder.ashr(product, self.word.constant(31).value)
        negative = LlvmWord(self.builder, sign)
        magnitude = (LlvmWord(self.builder, product) ^ negative) - negative
        return ((magnitude >> shift) ^ negative) - negative

    def addend(self, running: LlvmWord, top: LlvmWord, fraction: int) -> LlvmWord:
        """The running sum, aligned to `top`, as a total of 64 bits."""
        o = self.wide
        significand, exponent, sign = programs.take_apart(o, running, self.output)
        shift = o.minimum(top - exponent + (self.output.stored - 1), 63)
        total: LlvmWord = (((significand << fraction) >> shift) ^ sign) - sign
        return total

    def first_top(self, running: LlvmWord, floor: int) -> LlvmWord:
        """The exponent of the running sum, or the least one to which is aligned."""
        _, exponent, _ = programs.take_apart(self.wide, running, self.output)
        top = self.wide.maximum(exponent, floor + LIFT)
        return LlvmWord(self.builder, self.builder.trunc(top.value, self.half.vector))

    def finish(self, total: LlvmWord, top: LlvmWord, old: LlvmWord, fraction: int) -> None:
        """Round the total and store it as the running sum."""
        bits = programs.round_total(self.wide, total, top - fraction, old, self.output)
        self.wide.store(bits, self.call.at(6, 7))


def _output(STORED: Any, PRECISION: Any, LEAST: Any, NEAREST: Any) -> Output:
    return Output(literal(STORED), literal(PRECISION), literal(LEAST), bool(literal(NEAREST)))


def _sum_products(e: _Emitter, top: LlvmWord, terms: int, fraction: int) -> LlvmWord:
    """Add the products of 32 bits, in parts that cannot overflow."""
    part_size = 1 << (28 - fraction)
    total = e.wide.constant(0)
    for first in range(0, terms, part_size):
        part = e.word.constant(0)
        for step in range(first, min(terms, first + part_size)):
            product = e.builder.mul(e.left(e.word, 0, 1, step).value, e.signed_row(3, 4, step))
            exponent = e.left(e.half, 2, 1, step) + e.row(e.half, 5, 4, step)
            shift = e.widened(e.half.minimum(top - exponent, 31), e.word)
            part = part + e.aligned(product, shift)
        total = total + e.widened(part, e.wide, signed=True)
    return total


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def fused_lanes(
    _typing: Any,
    a: Any,
    a_at: Any,
    a_exponents: Any,
    b: Any,
    b_at: Any,
    b_exponents: Any,
    running: Any,
    running_at: Any,
    STORED: Any,
    PRECISION: Any,
    LEAST: Any,
    NEAREST: Any,
    FRACTION: Any,
    FLOOR: Any,
    TERMS: Any,
    PAIRED: Any,
    LANES: Any,
) -> Any:
    """Add TERMS products to each of LANES running sums: aligned, cut off, summed, rounded.

    PAIRED: each column has a row of its own, and a lies in tiles as b does.
    """
    output = _output(STORED, PRECISION, LEAST, NEAREST)
    fraction, floor, terms, lanes = map(literal, (FRACTION, FLOOR, TERMS, LANES))
    is_paired = bool(literal(PAIRED))

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        e = _Emitter(call, lanes, output, is_paired=is_paired)
        old = e.wide.load(e.call.at(6, 7))
        top = e.first_top(old, floor)
        for step in range(terms):
            exponent = e.left(e.half, 2, 1, step) + e.row(e.half, 5, 4, step)
            top = e.half.maximum(top, exponent)
        wide_top = e.widened(top, e.wide)
        total = _sum_products(e, top, terms, fraction) + e.addend(old, wide_top, fraction)
        e.finish(total, wide_top, old, fraction)
        return context.get_dummy_value()

    literals = (STORED, PRECISION, LEAST, NEAREST, FRACTION, FLOOR, TERMS, PAIRED, LANES)
    data = (a, types.intp, a_exponents, b, types.intp, b_exponents, running, types.intp)
    return types.void(*data, *literals), generate


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def exact_lanes(
    _typing: Any,
    a: Any,
    a_at: Any,
    a_exponents: Any,
    b: Any,
    b_at: Any,
    b_exponents: Any,
    running: Any,
    running_at: Any,
    a_group: Any,
    b_group: Any,
    STORED: Any,
    PRECISION: Any,
    LEAST: Any,
    NEAREST: Any,
    FRACTION: Any,
    FLOOR: Any,
    TERMS: Any,
    EXACT: Any,
    LEFT: Any,
    PAIRED: Any,
    LANES: Any,
) -> Any:
    """As `fused_lanes`, but EXACT products at a time are summed exactly before the alignment.

    Each such group has one exponent on each side, at ``a_group`` and ``b_group`` on; it counts
    even where the sum of the group is zero. Products are integers, LEFT places too low.
    """
    output = _output(STORED, PRECISION, LEAST, NEAREST)
    fraction, floor, terms, lanes = map(literal, (FRACTION, FLOOR, TERMS, LANES))
    is_paired = bool(literal(PAIRED))
    exact, lift = literal(EXACT), literal(LEFT)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        e = _Emitter(call, lanes, output, is_paired=is_paired)
        o = e.wide
        old = o.load(e.call.at(6, 7))
        top = e.widened(e.first_top(old, floor), o)
        groups = []
        for group in range(terms // exact):
            sums = e.word.constant(0)
            for step in range(group * exact, (group + 1) * exact):
                left = e.left(e.word, 0, 1, step).value
                product = e.builder.mul(left, e.signed_row(3, 4, step))
                sums = sums + LlvmWord(builder, product)
            exponent = e.left(e.half, 2, 8, group) + e.row(e.half, 5, 9, group)
            groups.append((e.widened(sums, o, signed=True), e.widened(exponent, o)))
            top = o.maximum(top, groups[-1][1])
        total = e.addend(old, top, fraction)
        for sums, exponent in groups:
            negative = o.constant(0) - (sums >> 63)
            magnitude = ((sums ^ negative) - negative) << lift
            shifted = magnitude >> o.minimum(top - exponent, 63)
            total = total + ((shifted ^ negative) - negative)
        e.finish(total, top, old, fraction)
        return context.get_dummy_value()

    literals: list[Any] = [STORED, PRECISION, LEAST, NEAREST, FRACTION, FLOOR, TERMS, EXACT]
    literals += [LEFT, PAIRED, LANES]
    data = (a, types.intp, a_exponents, b, types.intp, b_exponents, running, types.intp)
    return types.void(*data, types.intp, types.intp, *literals), generate


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def add_lanes(
    _typing: Any,
    outer: Any,
    outer_at: Any,
    running: Any,
    running_at: Any,
    STORED: Any,
    PRECISION: Any,
    LEAST: Any,
    LANES: Any,
) -> Any:
    """Add LANES running sums to outer sums of the same type, to nearest even."""
    output = Output(literal(STORED), literal(PRECISION), literal(LEAST), is_nearest=True)
    lanes = literal(LANES)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(64, lanes)
        x, y = o.load(call.at(0, 1)), o.load(call.at(2, 3))
        o.store(programs.add(o, x, y, output), call.at(0, 1))
        return context.get_dummy_value()

    literals = (STORED, PRECISION, LEAST, LANES)
    return types.void(outer, types.intp, running, types.intp, *literals), generate
