"""The intrinsic of the search for a scale: what three neighbouring scales leave of a vector.

Floating point is used here, and exactly: a value and the element that it rounds to are so near to
each other that float32 holds their difference, and float64 its square. Only the sums round; the
search allows for that.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from mxref.kernels import programs
from mxref.kernels._intrinsics import Call, intrinsic, literal, load, width
from mxref.kernels.lanes import LlvmMachine, LlvmWord
from mxref.kernels.places import P
from mxref.kernels.rounding import NEAREST_AWAY, NEAREST_DOWN, NEAREST_EVEN, TOWARD_ZERO

__all__ = ["clearly_best", "error_lanes"]

# Modes that take a value to zero, or to less than twice itself.
_STAYS_CLOSE = (NEAREST_EVEN, NEAREST_AWAY, NEAREST_DOWN, TOWARD_ZERO)
_SINGLE, _DOUBLE = ir.FloatType(), ir.DoubleType()


def _as_float(o: LlvmMachine, word: LlvmWord) -> ir.Value:
    return o.builder.bitcast(word.value, ir.VectorType(_SINGLE, o.lanes))


def _constant(o: LlvmMachine, value: float) -> ir.Constant:
    return ir.Constant(ir.VectorType(_SINGLE, o.lanes), [value] * o.lanes)


def _total(o: LlvmMachine, vector: ir.Value) -> ir.Value:
    """Sum of the lanes, pair by pair: any order will do."""
    lanes = vector.type.count
    while lanes > 1:
        lanes //= 2
        halves = [
            o.builder.shuffle_vector(
                vector,
                ir.Constant(vector.type, ir.Undefined),
                ir.Constant(
                    ir.VectorType(ir.IntType(32), lanes), list(range(first, first + lanes))
                ),
            )
            for first in (0, lanes)
        ]
        vector = o.builder.fadd(*halves)
    return o.builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


def _error(
    o: LlvmMachine, value: ir.Value, element: ir.Value, *, is_squared: bool, is_close: bool
) -> ir.Value:
    double = ir.VectorType(_DOUBLE, o.lanes)
    if is_close:
        wide = o.builder.fpext(o.builder.fsub(value, element), double)
    else:
        # A tiny value may be rounded up a long way; float64 then errs by 2**-53 of the error.
        value, element = (o.builder.fpext(number, double) for number in (value, element))
        wide = o.builder.fsub(value, element)
    if is_squared:
        return _total(o, o.builder.fmul(wide, wide))
    kind = ir.FunctionType(wide.type, [wide.type])
    name = f"llvm.fabs.v{o.lanes}f64"
    function = o.builder.module.globals.get(name) or ir.Function(o.builder.module, kind, name)
    return _total(o, o.builder.call(function, [wide]))


def _differs(o: LlvmMachine, a: ir.Value, b: ir.Value) -> ir.Value:
    """1.0 if any lane differs, else 0.0."""
    unequal = o.builder.fcmp_unordered("!=", a, b)
    bits = o.builder.bitcast(unequal, ir.IntType(o.lanes))
    return o.builder.uitofp(o.builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0)), _DOUBLE)


@intrinsic(prefer_literal=True)
def error_lanes(
    _typing: Any,
    x: Any,
    start: Any,
    out: Any,
    code: Any,
    f: Any,
    SOURCE: Any,
    ROUNDING: Any,
    FIXED: Any,
    PARTS: Any,
    SQUARED: Any,
    LANES: Any,
) -> Any:
    """Add up what scale codes `code`, one more and one less make of LANES source words.

    `out` is of float64: three sums of errors, in units of the first scale or its square; then
    whether an element differs between the first and second, the first and third, the second and
    third. 32-bit words only; `code` is 64 to 252, and every element is finite.
    """
    source, lanes = literal(SOURCE), literal(LANES)
    is_squared = bool(literal(SQUARED))
    options = {"is_fixed": bool(literal(FIXED))}
    parts, rounding = literal(PARTS), literal(ROUNDING)
    is_close = rounding in _STAYS_CLOSE

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(width(f), lanes, 4)
        word = load(o, call.at(0, 1), source)
        code = o.splat(values[3])
        elements, errors = [], []
        for step in (0, 1, -1):
            shared = code + step
            origin = shared + o.parameter(P.ORIGIN) - 127
            coded = programs.encode(o, word, origin, rounding=rounding, parts=parts, **options)
            plain = programs.decode(o, coded & 0xFF, o.constant(127), is_full=False, **options)
            # In units of the first scale; both factors are powers of two.
            element = o.builder.fmul(_as_float(o, plain), _constant(o, 2.0**step))
            inverse = _as_float(o, (o.constant(254) - code) << 23)
            value = o.builder.fmul(_as_float(o, word), inverse)
            elements.append(element)
            errors.append(_error(o, value, element, is_squared=is_squared, is_close=is_close))
        pairs = ((0, 1), (0, 2), (1, 2))
        found = errors + [_differs(o, elements[a], elements[b]) for a, b in pairs]
        target = call.pointer(2)
        for place, value in enumerate(found):
            item = builder.gep(target, [ir.Constant(ir.IntType(64), place)])
            builder.store(builder.fadd(builder.load(item), value), item)
        return context.get_dummy_value()

    literals = (SOURCE, ROUNDING, FIXED, PARTS, SQUARED, LANES)
    return types.void(x, types.intp, out, f.dtype, f, *literals), generate


@intrinsic(prefer_literal=True)
def clearly_best(_typing: Any, found: Any, slack: Any) -> Any:
    """Which of the three scales of `error_lanes` to take: 0, 1 or 2, or 3 where it is too close.

    Of equals the first wins, then the second. `slack` is what the kernel was given.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)

        def item(array: int, place: int) -> ir.Value:
            offset = ir.Constant(ir.IntType(64), place)
            return builder.load(builder.gep(call.pointer(array), [offset]))

        relative, none, absolute = (item(1, place) for place in range(3))

        def compare(held: ir.Value, other: ir.Value, differs: ir.Value) -> tuple[Any, Any]:
            """Whether `other` is clearly better; and whether that is not clear."""
            is_other = builder.fcmp_ordered("!=", differs, none)
            room = builder.fmul(relative, builder.fadd(held, other))
            room = builder.fadd(room, absolute)
            better = builder.fcmp_ordered(">", builder.fsub(held, other), room)
            worse = builder.fcmp_ordered(">", builder.fsub(other, held), room)
            unclear = builder.not_(builder.or_(better, worse))
            return builder.and_(is_other, better), builder.and_(is_other, unclear)

        second, unclear = compare(item(0, 0), item(0, 1), item(0, 3))
        held = builder.select(second, item(0, 1), item(0, 0))
        differs = builder.select(second, item(0, 5), item(0, 4))
        third, still_unclear = compare(held, item(0, 2), differs)
        number = ir.IntType(64)
        best = builder.select(second, ir.Constant(number, 1), ir.Constant(number, 0))
        best = builder.select(third, ir.Constant(number, 2), best)
        return builder.select(builder.or_(unclear, still_unclear), ir.Constant(number, 3), best)

    return types.int64(found, slack), generate
