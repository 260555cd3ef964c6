"""Sixteen lanes of NVFP4 as Numba intrinsics: a block at once, or the scales of 16 blocks.

Products and quotients are single float32 instructions, which the kernel around them runs in the
default floating-point mode; all else is done on bit patterns. Arguments in capitals are known when
a kernel is compiled.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from mxref.kernels import programs
from mxref.kernels._intrinsics import Call, intrinsic, literal, load
from mxref.kernels.lanes import LlvmMachine, LlvmWord

__all__ = [
    "DIVIDED",
    "FOLDED",
    "LANES",
    "OVER",
    "PRODUCT",
    "QUOTIENT",
    "TIMES",
    "nvfp4_amax",
    "nvfp4_decode",
    "nvfp4_encode",
    "nvfp4_scales",
]

LANES = 16
INFINITY = 0x7F800000
TIMES, OVER = range(2)
"""What is done with the factor of a block."""
FOLDED, DIVIDED, QUOTIENT, PRODUCT = range(4)
"""How a scale is computed: the orders of ``ScaleOrder``."""
_KEEP, _DROP_INPUT, _DROP = range(3)
_POS_MAX, _SIGNED_MAX, _ZERO = range(3)
_EVEN, _UP, _TOWARD_ZERO = range(3)
_ONE, _HALF_AGAIN = 0x3F800000, 0x3FC00000
# Subnormal scales lie below 2**-6, 2**-9 apart; there the bits of (k - 1/2) * 2**-9 and k * 2**-9.
_NORMAL = 0x3C800000
_MIDDLES = (0x3A800000, 0x3B400000, 0x3BA00000, 0x3BE00000, 0x3C100000, 0x3C300000, 0x3C500000,
            0x3C700000)  # fmt: skip
_STEPS = (0x3B000000, 0x3B800000, 0x3BC00000, 0x3C000000, 0x3C200000, 0x3C400000, 0x3C600000,
          0x3C800000)  # fmt: skip


def _floats(o: LlvmMachine) -> ir.VectorType:
    return ir.VectorType(ir.FloatType(), o.lanes)


def _float_step(o: LlvmMachine, operation: str, a: LlvmWord, b: LlvmWord) -> LlvmWord:
    """One float32 instruction on bit patterns: ``fmul`` or ``fdiv``, never contracted."""
    kind = _floats(o)
    left, right = (o.builder.bitcast(word.value, kind) for word in (a, b))
    found = getattr(o.builder, operation)(left, right)
    return LlvmWord(o.builder, o.builder.bitcast(found, o.vector))


@intrinsic(prefer_literal=True)
def nvfp4_amax(_typing: Any, x: Any, start: Any, SOURCE: Any) -> Any:
    """Largest magnitude of the 16 source words from ``x[start]`` on, as float32 bits."""
    source = literal(SOURCE)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(32, LANES)
        return o.largest(programs.magnitude(o, load(o, call.at(0, 1), source)))

    return types.uint32(x, types.intp, SOURCE), generate


@intrinsic(prefer_literal=True)
def nvfp4_encode(
    _typing: Any,
    x: Any,
    start: Any,
    codes: Any,
    factor: Any,
    flip: Any,
    below: Any,
    at: Any,
    SOURCE: Any,
    STEP: Any,
    NEG_ZERO: Any,
    NAN: Any,
) -> Any:
    """Encode the 16 source words from ``x[start]`` on to ``codes[start]`` on.

    `factor` is the bits of what elements are multiplied or divided by, `flip` the sign of the
    scale; ``below[at]`` on hold, for each code from 1 to 7, the largest magnitude below it.
    """
    source, step, neg_zero, nan = literal(SOURCE), literal(STEP), literal(NEG_ZERO), literal(NAN)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(32, LANES)
        word = load(o, call.at(0, 1), source)

        # SCALE
        operation = "fmul" if step == TIMES else "fdiv"
        number = _float_step(o, operation, word, o.splat(values[3]))

        # ROUND and OVERFLOW
        size = number & 0x7FFFFFFF
        code = o.constant(0)
        first = call.at(5, 6)
        for k in range(7):
            pointer = builder.gep(first, [ir.Constant(ir.IntType(64), k)])
            bound = o.splat(builder.load(pointer))
            code = code + o.where_above(size, bound, o.constant(1), o.constant(0))

        # PACK
        own_sign = (word >> 28) & 8
        sign = own_sign ^ (o.splat(values[4]) >> 28)
        if neg_zero == _DROP_INPUT:
            sign = o.where_equal(size, 0, o.constant(0), sign)
        elif neg_zero == _DROP:
            sign = o.where_equal(code, 0, o.constant(0), sign)
        packed = code | sign
        nan_code = o.constant(0 if nan == _ZERO else 7)
        if nan == _SIGNED_MAX:
            nan_code = nan_code | own_sign
        packed = o.where_above(size, o.constant(INFINITY), nan_code, packed)
        o.store(packed, call.at(2, 1))
        return context.get_dummy_value()

    literals = (SOURCE, STEP, NEG_ZERO, NAN)
    arguments = (types.uint32, types.uint32, below, types.intp, *literals)
    return types.void(x, types.intp, codes, *arguments), generate


@intrinsic(prefer_literal=True)
def nvfp4_scales(
    _typing: Any,
    b: Any,
    start: Any,
    scales: Any,
    f: Any,
    ORDER: Any,
    IS_FOUR: Any,
    ROUNDING: Any,
    IS_ONE: Any,
    IS_EIGHTH: Any,
) -> Any:
    """Scale codes of the 16 blocks whose amax are ``b[start]`` on, as float32 bits.

    ``f`` holds bits: the factor or divisor of the order, T, the least scale, and the code for what
    lies beyond 448.
    """
    order, is_four, rounding = literal(ORDER), literal(IS_FOUR), literal(ROUNDING)
    is_one, is_eighth = literal(IS_ONE), literal(IS_EIGHTH)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(32, LANES, 3)
        number = o.load(call.at(0, 1))

        # The recipe's steps
        if order in (DIVIDED, QUOTIENT):
            number = _float_step(o, "fdiv", number, o.parameter(1))
        operation = "fmul" if order in (FOLDED, DIVIDED) else "fdiv"
        number = _float_step(o, operation, number, o.parameter(0))
        if is_four:
            number = _float_step(o, "fmul", number, o.constant(_HALF_AGAIN))
        # No sign is of interest: 0 / 0 is a negative NaN on some processors.
        number = number & 0x7FFFFFFF
        if is_one:
            number = o.where_equal(number, 0, o.constant(_ONE), number)
        number = o.maximum(number, o.parameter(2))

        o.store(_round_scale(o, number, rounding, is_eighth=bool(is_eighth)), call.at(2, 1))
        return context.get_dummy_value()

    literals = (ORDER, IS_FOUR, ROUNDING, IS_ONE, IS_EIGHTH)
    return types.void(b, types.intp, scales, f, *literals), generate


def _round_scale(o: LlvmMachine, number: LlvmWord, rounding: int, *, is_eighth: bool) -> LlvmWord:
    """UE4M3 of float32 bits; parameter 3 is the code for what lies beyond 448."""
    zero, one = o.constant(0), o.constant(1)
    # ROUND: 20 bits are dropped from a normal number; a carry goes into the exponent.
    if rounding == _EVEN:
        rounded = number + (((number >> 20) & 1) + 0x7FFFF)
    elif rounding == _UP:
        rounded = number + 0x80000
    else:
        rounded = number
    normal = (rounded >> 20) - (120 << 3)
    subnormal = zero
    for k in range(1, 9):
        if rounding == _TOWARD_ZERO:
            bound = _STEPS[k - 1] - 1
        else:
            goes_up = rounding == _UP or k % 2 == 0
            bound = _MIDDLES[k - 1] - goes_up
        subnormal = subnormal + o.where_above(number, o.constant(bound), one, zero)
    code = o.where_above(number, o.constant(_NORMAL - 1), normal, subnormal)

    # OVERFLOW
    code = o.where_above(code, o.constant(0x7E), o.parameter(3), code)
    code = o.where_above(number, o.constant(INFINITY), o.constant(0x7F), code)
    if is_eighth:
        code = o.where_equal(code, 0, o.constant(0x20), code)
    return code


@intrinsic(prefer_literal=True)
def nvfp4_decode(_typing: Any, codes: Any, start: Any, out: Any, values: Any, at: Any) -> Any:
    """Decode 16 codes to float32 bits; ``values[at]`` on are those of the codes 0 to 7."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, given: Any) -> ir.Value:
        call = Call(context, builder, signature.args, given)
        o = call.machine(32, LANES)
        code = o.load(call.at(0, 1))
        size = code & 7
        first = call.at(3, 4)
        found = o.splat(builder.load(first))
        for k in range(1, 8):
            pointer = builder.gep(first, [ir.Constant(ir.IntType(64), k)])
            found = o.where_above(size, o.constant(k - 1), o.splat(builder.load(pointer)), found)
        # The values may carry the sign of a scale; a NaN has none.
        signed = found ^ ((code & 8) << 28)
        is_nan = found & 0x7FFFFFFF
        signed = o.where_above(is_nan, o.constant(INFINITY), o.constant(0x7FC00000), signed)
        o.store(signed, call.at(2, 1))
        return context.get_dummy_value()

    return types.void(codes, types.intp, out, values, types.intp), generate
