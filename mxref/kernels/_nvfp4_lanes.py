"""Sixteen lanes of NVFP4 as Numba intrinsics: a block at once, or the scales of 16 blocks.

Products and quotients are single float32 instructions, which the kernel around them runs in the
default floating-point mode; all else is done on bit patterns. Arguments in capitals are known when
a kernel is compiled.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from mxref.kernels import programs
from mxref.kernels._intrinsics import Call, intrinsic, literal, load
from mxref.kernels._nvfp4_options import EVEN, TIMES
from mxref.kernels.lanes import LlvmMachine, LlvmWord

__all__ = [
    "INFINITY",
    "LANES",
    "ask_ahead",
    "nvfp4_amax",
    "nvfp4_amax_of_all",
    "nvfp4_decode",
    "nvfp4_encode",
    "nvfp4_scales",
]

LANES = 16
INFINITY = 0x7F800000
_KEEP, _DROP_INPUT, _DROP = range(3)
_POS_MAX, _SIGNED_MAX, _ZERO = range(3)
_NEAREST_EVEN, _UP, _TOWARD_ZERO = range(3)
# 2**22, 2**23 and 2**24, and the code of the number that adds no step to them.
_SUMS = ((0x4A800000, 0), (0x4B000000, 2), (0x4B800000, 4))
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
def nvfp4_amax_of_all(_typing: Any, x: Any, start: Any, b: Any, SOURCE: Any) -> Any:
    """Write to ``b[0]`` on the largest magnitudes of 16 blocks from ``x[start]`` on; return all's.

    Two vectors at a time become one of maxima of neighbours, which leaves the blocks in order:
    45 instructions where 16 maxima across a vector take 128.
    """
    source = literal(SOURCE)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(32, LANES)
        first = call.at(0, 1)

        def maxima(block: int, blocks: int) -> LlvmWord:
            if blocks == 1:
                pointer = builder.gep(first, [ir.Constant(ir.IntType(64), block * LANES)])
                size: LlvmWord = programs.magnitude(o, load(o, pointer, source))
                return size
            half = blocks // 2
            pair = maxima(block, half).value, maxima(block + half, half).value
            even, odd = (_every_second(builder, *pair, parity) for parity in (0, 1))
            return o.maximum(even, odd)

        found = maxima(0, LANES)
        o.store(found, call.pointer(2))
        return o.largest(found)

    return types.uint32(x, types.intp, b, SOURCE), generate


def _every_second(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, parity: int) -> LlvmWord:
    """The even or odd lanes of two vectors, one after the other."""
    index = ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(range(parity, 2 * LANES, 2)))
    return LlvmWord(builder, builder.shuffle_vector(a, b, index))


def _count_bounds(o: LlvmMachine, size: LlvmWord, first: ir.Value) -> LlvmWord:
    """How many of the seven numbers from `first` on lie below each size."""
    code = o.constant(0)
    for k in range(7):
        pointer = o.builder.gep(first, [ir.Constant(ir.IntType(64), k)])
        bound = o.splat(o.builder.load(pointer))
        code = code + o.where_above(size, bound, o.constant(1), o.constant(0))
    return code


def _nearest_even(o: LlvmMachine, size: LlvmWord) -> LlvmWord:
    """E2M1 to nearest even of float32 bits without a sign, in nine instructions for 23.

    Beside 2**22 a float32 has steps of 1/2, beside 2**23 of 1, beside 2**24 of 2: the sum is
    rounded as E2M1 rounds below 2, from 2 to 4, and from 4 on, and its low bits are the code but
    for a constant. Out of its range each of the three gives more than the right one.
    """
    code = o.constant(7)
    for bits, origin in _SUMS:
        rounded = _float_step(o, "fadd", size, o.constant(bits))
        code = o.minimum(code, rounded - (bits - origin))
    return code


@intrinsic
def ask_ahead(_typing: Any, x: Any, start: Any) -> Any:
    """Ask for the cache line of ``x[start]``, which may lie behind the end of the array."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        flag = ir.IntType(32)
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        pointer = builder.bitcast(call.at(0, 1), byte)
        # To read, to be kept near, data.
        builder.call(function, [pointer, *(ir.Constant(flag, n) for n in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(x, types.intp), generate


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
    BOUNDS: Any,
) -> Any:
    """Encode the 16 source words from ``x[start]`` on to ``codes[start]`` on.

    `factor` is the bits of what elements are multiplied or divided by, `flip` the sign of the
    scale; ``below[at]`` on hold, for each code from 1 to 7, the largest magnitude below it.
    """
    source, step, neg_zero, nan = literal(SOURCE), literal(STEP), literal(NEG_ZERO), literal(NAN)
    is_even = literal(BOUNDS) == EVEN

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(32, LANES)
        word = load(o, call.at(0, 1), source)

        # SCALE
        operation = "fmul" if step == TIMES else "fdiv"
        number = _float_step(o, operation, word, o.splat(values[3]))

        # ROUND and OVERFLOW
        size = number & 0x7FFFFFFF
        code = _nearest_even(o, size) if is_even else _count_bounds(o, size, call.at(5, 6))

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

    literals = (SOURCE, STEP, NEG_ZERO, NAN, BOUNDS)
    arguments = (types.uint32, types.uint32, below, types.intp, *literals)
    return types.void(x, types.intp, codes, *arguments), generate


@intrinsic(prefer_literal=True)
def nvfp4_scales(
    _typing: Any,
    b: Any,
    start: Any,
    scales: Any,
    f: Any,
    STEP: Any,
    ROUNDING: Any,
) -> Any:
    """Scale codes of the 16 blocks whose amax are ``b[start]`` on, as float32 bits.

    ``f`` is made by ``_nvfp4_tables.scale_parameters``.
    """
    step, rounding = literal(STEP), literal(ROUNDING)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(32, LANES, 3)
        number = o.load(call.at(0, 1))

        # The recipe's steps. What it does not do is a division by 1, a product with 1.
        number = _float_step(o, "fdiv", number, o.parameter(0))
        operation = "fmul" if step == TIMES else "fdiv"
        number = _float_step(o, operation, number, o.parameter(1))
        number = _float_step(o, "fmul", number, o.parameter(2))
        # No sign is of interest: 0 / 0 is a negative NaN on some processors.
        number = number & 0x7FFFFFFF
        number = o.where_equal(number, 0, o.parameter(4), number)
        number = o.maximum(number, o.parameter(3))

        o.store(_round_scale(o, number, rounding), call.at(2, 1))
        return context.get_dummy_value()

    return types.void(b, types.intp, scales, f, STEP, ROUNDING), generate


def _round_scale(o: LlvmMachine, number: LlvmWord, rounding: int) -> LlvmWord:
    """UE4M3 of float32 bits."""
    zero, one = o.constant(0), o.constant(1)
    # ROUND: 20 bits are dropped from a normal number; a carry goes into the exponent.
    if rounding == _NEAREST_EVEN:
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
    code = o.where_above(code, o.constant(0x7E), o.parameter(5), code)
    code = o.where_above(number, o.constant(INFINITY), o.constant(0x7F), code)
    return o.where_equal(code, 0, o.parameter(6), code)


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
