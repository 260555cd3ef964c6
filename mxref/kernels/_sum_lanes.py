"""Vector arithmetic of sums in a given order: what one addition does in each kind of accumulator.

Sums in floating point are what is modelled here, so that these lanes compute with floats, each
operation with its one rounding: without fast-math LLVM neither fuses nor reorders. Where an exact
product and the running sum must be rounded together and the processor has no fused operation, the
sum is taken in float64, rounded to odd, and then to the accumulator's type: with two bits more than
the result this is one rounding (Boldo and Melquiond).
"""

from __future__ import annotations

import enum
from typing import Any

import llvmlite.binding
from llvmlite import ir

__all__ = [
    "BFLOAT16",
    "FLOAT16",
    "FLOAT32",
    "FLOAT64",
    "FloatLanes",
    "Product",
    "has_fma",
    "intrinsic_call",
]

FLOAT32, FLOAT64, BFLOAT16, FLOAT16 = range(4)
"""The type that each partial sum is rounded to."""

# Significant bits, and the exponents of the least normal and the largest number.
_SHAPES = {BFLOAT16: (8, -126, 127), FLOAT16: (11, -14, 15)}
_SINGLE, _DOUBLE = ir.FloatType(), ir.DoubleType()


class Product(enum.IntEnum):
    """What becomes of a product on its way into a sum."""

    ROUNDED = 0  # to the accumulator's type; then it is added
    FUSED = 1  # nothing: product and addition have one rounding
    SINGLE = 2  # product and addition in float32; only the sum is stored in a narrower type
    FMA = 3  # as FUSED, by the processor's own instruction: float32 and float64 sums only


def has_fma() -> bool:
    """Whether this processor fuses float32 multiplication and addition."""
    features = llvmlite.binding.get_host_cpu_features()
    is_arm = llvmlite.binding.get_process_triple().startswith(("aarch64", "arm64"))
    return bool(features.get("fma", False)) or is_arm


class _Words:
    """Constants of float32 or float64, and the words of their bits."""

    def __init__(self, lanes: int, *, is_single: bool) -> None:
        self.width, self.precision, self.most = (32, 24, 128) if is_single else (64, 53, 1024)
        self.words = ir.VectorType(ir.IntType(self.width), lanes)
        self.floats = ir.VectorType(_SINGLE if is_single else _DOUBLE, lanes)
        self.infinity = (2 * self.most - 1) << (self.precision - 1)

    def word(self, value: int) -> ir.Constant:
        """The same bits in all lanes."""
        return ir.Constant(self.words, [value & ((1 << self.width) - 1)] * self.words.count)

    def number(self, value: float) -> ir.Constant:
        """The same number in all lanes."""
        return ir.Constant(self.floats, [value] * self.floats.count)


class FloatLanes:
    """Emits the arithmetic of one accumulator for vectors of `lanes` numbers.

    Sums are kept as float32 (`is_single`) or float64, either of which holds every number of the
    shorter types. Kept as float32, those need products that float32 holds exactly.
    """

    def __init__(self, builder: ir.IRBuilder, kind: int, lanes: int, *, is_single: bool) -> None:
        self.builder = builder
        self.kind = kind
        self.lanes = lanes
        self.single = ir.VectorType(_SINGLE, lanes)
        self.double = ir.VectorType(_DOUBLE, lanes)
        self.kept = self.single if is_single else self.double

    def zero(self) -> ir.Value:
        """+0 in each lane."""
        return ir.Constant(self.kept, [0.0] * self.lanes)

    def load(self, pointer: ir.Value) -> ir.Value:
        """Load a vector of floats, as they are."""
        kind = ir.VectorType(pointer.type.pointee, self.lanes)
        value = self.builder.load(self.builder.bitcast(pointer, kind.as_pointer()))
        value.align = 4
        return value

    def store(self, value: ir.Value, pointer: ir.Value) -> None:
        """Store a vector, converted to the type that it is stored in."""
        is_single = isinstance(pointer.type.pointee, ir.FloatType)
        value = self.narrowed(value) if is_single else self.widened(value)
        stored = self.builder.store(value, self.builder.bitcast(pointer, value.type.as_pointer()))
        stored.align = 4

    def splat(self, scalar: ir.Value) -> ir.Value:
        """Return a scalar in all lanes."""
        kind = ir.VectorType(scalar.type, self.lanes)
        undefined = ir.Constant(kind, ir.Undefined)
        index = ir.IntType(32)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(index, 0))
        mask = ir.Constant(ir.VectorType(index, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, mask)

    def widened(self, value: ir.Value) -> ir.Value:
        """Return the same numbers as float64."""
        return value if value.type == self.double else self.builder.fpext(value, self.double)

    def narrowed(self, value: ir.Value) -> ir.Value:
        """Round to float32."""
        return value if value.type == self.single else self.builder.fptrunc(value, self.single)

    def rounded(self, value: ir.Value) -> ir.Value:
        """Round to the accumulator's type."""
        if self.kind == FLOAT32:
            return self.narrowed(value)
        if self.kind == FLOAT64:
            return self.widened(value)
        short = self._rounded_to(value, *_SHAPES[self.kind])
        return self.narrowed(short) if self.kept == self.single else self.widened(short)

    def added(self, total: ir.Value, other: ir.Value) -> ir.Value:
        """Add two numbers of the accumulator's type.

        float32 has more than twice the bits of the shorter types, and two: that a sum of theirs is
        rounded to it before does no harm.
        """
        return self.rounded(self.builder.fadd(total, other))

    def accumulated(self, total: ir.Value, x: ir.Value, y: ir.Value, product: int) -> ir.Value:
        """Add ``x * y`` to a number of the accumulator's type."""
        b = self.builder
        is_single = self.kept == self.single and x.type == y.type == self.single
        if product == Product.FMA and (is_single or self.kind == FLOAT64):
            factors = (x, y) if is_single else (self.widened(x), self.widened(y))
            return self._call("fma", [*factors, total])
        is_fused = product in (Product.FUSED, Product.FMA)
        if is_single and not (is_fused and self.kind == FLOAT32):
            exact = b.fmul(x, y)  # or rounded to float32, where that is asked for
        else:
            exact = b.fmul(self.widened(x), self.widened(y))
        if self.kind == FLOAT64:
            return b.fadd(total, exact)
        if is_fused:
            wide = total if exact.type == self.single else self.widened(total)
            return self.rounded(self.odd_sum(wide, exact))
        if product == Product.SINGLE and self.kind != FLOAT32:
            return self.rounded(b.fadd(self.narrowed(total), self.narrowed(exact)))
        return self.added(total, self.rounded(exact))

    def odd_sum(self, x: ir.Value, y: ir.Value) -> ir.Value:
        """The sum of two numbers of one type, rounded to odd."""
        return self.made_odd(*self._two_sum(x, y))

    def odd_total(self, parts: list[ir.Value]) -> ir.Value:
        """The sum of up to three float64, the largest last, rounded to odd; for float64 to nearest.

        What the third addition leaves is zero or larger than what the second left, so that their
        sum has the sign of the whole rest.
        """
        total, rest = parts[-1], ir.Constant(self.double, [0.0] * self.lanes)
        if len(parts) == 2:
            total, rest = self._two_sum(parts[1], parts[0])
        if len(parts) == 3:
            high, middle = self._two_sum(parts[2], parts[1])
            middle, low = self._two_sum(middle, parts[0])
            total, rest = self._two_sum(high, middle)
            rest = self.odd_sum(rest, low)
        if self.kind == FLOAT64:
            return self.builder.fadd(total, rest) if len(parts) > 1 else total
        return self.made_odd(total, rest)

    def _two_sum(self, x: ir.Value, y: ir.Value) -> tuple[ir.Value, ir.Value]:
        """The sum and what its rounding lost (Knuth)."""
        b = self.builder
        total = b.fadd(x, y)
        of_y = b.fsub(total, x)
        return total, b.fadd(b.fsub(x, b.fsub(total, of_y)), b.fsub(y, of_y))

    def made_odd(self, total: ir.Value, rest: ir.Value) -> ir.Value:
        """Move an even number by one step towards the rest that it lacks, where there is one."""
        b, o = self.builder, _Words(self.lanes, is_single=total.type == self.single)
        bits, sides = b.bitcast(total, o.words), b.bitcast(rest, o.words)
        one, none = o.word(1), o.word(0)
        is_even = b.icmp_unsigned("==", b.and_(bits, one), none)
        has_rest = b.fcmp_ordered("!=", rest, o.number(0.0))
        is_away = b.icmp_signed(">=", b.xor(bits, sides), none)
        moved = b.select(is_away, b.add(bits, one), b.sub(bits, one))
        return b.bitcast(b.select(b.and_(is_even, has_rest), moved, bits), total.type)

    def _rounded_to(self, value: ir.Value, precision: int, least: int, most: int) -> ir.Value:
        """Round to a shorter format of IEEE 754, to nearest, ties to even."""
        b, o = self.builder, _Words(self.lanes, is_single=value.type == self.single)
        bits = b.bitcast(value, o.words)
        drop = o.precision - precision
        last = b.and_(b.lshr(bits, o.word(drop)), o.word(1))
        up = b.add(bits, b.add(last, o.word((1 << (drop - 1)) - 1)))
        near = b.bitcast(b.and_(up, o.word(-(1 << drop))), value.type)

        # Below the normal numbers the steps are those of the least; the anchor's are as long.
        anchor = o.number(1.5 * 2.0 ** (o.precision - 1 + least - precision + 1))
        small = b.bitcast(b.fsub(b.fadd(value, anchor), anchor), o.words)
        sign = b.and_(bits, o.word(1 << (o.width - 1)))
        small = b.bitcast(b.or_(small, sign), value.type)
        magnitude = o.word((1 << (o.width - 1)) - 1)
        size = b.bitcast(b.and_(bits, magnitude), value.type)
        found = b.select(b.fcmp_ordered("<", size, o.number(2.0**least)), small, near)

        if most + 1 < o.most:  # otherwise the carry has made it infinite
            size = b.bitcast(b.and_(b.bitcast(found, o.words), magnitude), value.type)
            is_over = b.fcmp_ordered(">=", size, o.number(2.0 ** (most + 1)))
            found = b.select(is_over, b.bitcast(b.or_(o.word(o.infinity), sign), value.type), found)
        return b.select(b.fcmp_unordered("uno", value, value), value, found)

    def _call(self, name: str, arguments: list[ir.Value]) -> ir.Value:
        kind = arguments[0].type
        suffix = "f32" if kind == self.single else "f64"
        full = f"llvm.{name}.v{self.lanes}{suffix}"
        module = self.builder.module
        signature = ir.FunctionType(kind, [a.type for a in arguments])
        function = module.globals.get(full) or ir.Function(module, signature, full)
        return self.builder.call(function, arguments)


def intrinsic_call(builder: ir.IRBuilder, name: str, result: ir.Type, given: list[Any]) -> Any:
    """Call an intrinsic of LLVM by its full name."""
    module = builder.module
    signature = ir.FunctionType(result, [value.type for value in given])
    function = module.globals.get(name) or ir.Function(module, signature, name)
    return builder.call(function, given)
