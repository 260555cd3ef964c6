"""Lane programs as Numba intrinsics: each loads a vector, runs a program and stores the result.

All arguments named in capitals are compile-time integers (closure constants of a kernel), so each
variant of a program becomes straight-line vector code.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending
from numba.core import types

from mxref.kernels import programs
from mxref.kernels.lanes import LlvmMachine, LlvmWord

__all__ = [
    "FLOAT16",
    "FLOAT32",
    "amax_into_lanes",
    "amax_lanes",
    "decode_across_lanes",
    "decode_lanes",
    "decode_scale_lanes",
    "encode_across_lanes",
    "encode_lanes",
    "encode_random_lanes",
    "encode_scale_lanes",
    "select_scale_lanes",
]

# Its annotation would make mypy check calls inside compiled loops, where Numba passes the context.
intrinsic: Any = extending.intrinsic

# How a vector is loaded. The word's width tells float32 from float64.
FLOAT32, BFLOAT16, FLOAT16 = range(3)
_WIDEN = {BFLOAT16: programs.widen_bfloat16, FLOAT16: programs.widen_float16}


def literal(kind: Any) -> int:
    """Return the value of an argument that is known when a kernel is compiled."""
    if not isinstance(kind, types.IntegerLiteral):
        msg = f"expected a compile-time integer, got {kind}"
        raise TypeError(msg)
    return int(kind.literal_value)


def _data(context: Any, builder: ir.IRBuilder, kind: Any, array: ir.Value) -> ir.Value:
    """Pointer to the first item of a C-contiguous one-dimensional array."""
    if kind.ndim != 1 or kind.layout != "C":
        msg = f"expected a contiguous one-dimensional array, got {kind}"
        raise TypeError(msg)
    return context.make_array(kind)(context, builder, array).data


def width(kind: Any) -> int:
    """Return the bits of the items of an array."""
    return int(kind.dtype.bitwidth)


class Call:
    """The arguments of one intrinsic while its code is generated."""

    def __init__(self, context: Any, builder: ir.IRBuilder, kinds: Any, values: Any) -> None:
        self.context = context
        self.builder = builder
        self.kinds = kinds
        self.values = values

    def pointer(self, place: int) -> ir.Value:
        """Pointer to the first item of the array at `place`."""
        return _data(self.context, self.builder, self.kinds[place], self.values[place])

    def at(self, place: int, start: int) -> ir.Value:
        """Pointer to item number `values[start]` of the array at `place`."""
        return self.builder.gep(self.pointer(place), [self.values[start]])

    def machine(self, width: int, lanes: int, parameters: int | None = None) -> LlvmMachine:
        """A machine for lane programs, with the array at `parameters` behind it."""
        pointer = None if parameters is None else self.pointer(parameters)
        return LlvmMachine(self.builder, width, lanes, pointer)


def load(o: LlvmMachine, pointer: ir.Value, source: int) -> LlvmWord:
    """Load source words as lanes; 16-bit types become float32 words."""
    word = o.load(pointer)
    return _WIDEN[source](o, word) if source in _WIDEN else word


@intrinsic(prefer_literal=True)
def amax_lanes(_typing: Any, x: Any, start: Any, f: Any, SOURCE: Any, LANES: Any) -> Any:
    """Largest magnitude of LANES source words from ``x[start]`` on; `f` gives the width."""
    source, lanes, bits = literal(SOURCE), literal(LANES), width(f)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(bits, lanes)
        return o.largest(programs.magnitude(o, load(o, call.at(0, 1), source)))

    return f.dtype(x, types.intp, f, SOURCE, LANES), generate


@intrinsic(prefer_literal=True)
def select_scale_lanes(
    _typing: Any, amax: Any, start: Any, out: Any, f: Any, TABLED: Any, LANES: Any
) -> Any:
    """Scale codes of LANES values of amax, all from ``start`` on; from the table if TABLED."""
    lanes, bits = literal(LANES), width(f)
    program = programs.look_up_scale if literal(TABLED) else programs.select_scale

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(bits, lanes, 3)
        o.store(program(o, o.load(call.at(0, 1))), call.at(2, 1))
        return context.get_dummy_value()

    return types.void(amax, types.intp, out, f, TABLED, LANES), generate


@intrinsic(prefer_literal=True)
def encode_lanes(
    _typing: Any,
    x: Any,
    start: Any,
    codes: Any,
    origin: Any,
    f: Any,
    SOURCE: Any,
    ROUNDING: Any,
    FIXED: Any,
    PARTS: Any,
    LANES: Any,
) -> Any:
    """Encode LANES source words from ``x[start]`` to ``codes[start]``."""
    source, lanes, bits = literal(SOURCE), literal(LANES), width(f)
    options: dict[str, Any] = {
        "rounding": literal(ROUNDING),
        "is_fixed": bool(literal(FIXED)),
        "parts": literal(PARTS),
    }

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(bits, lanes, 4)
        word = load(o, call.at(0, 1), source)
        o.store(programs.encode(o, word, o.splat(values[3]), **options), call.at(2, 1))
        return context.get_dummy_value()

    literals = (SOURCE, ROUNDING, FIXED, PARTS, LANES)
    return types.void(x, types.intp, codes, f.dtype, f, *literals), generate


@intrinsic(prefer_literal=True)
def encode_random_lanes(
    _typing: Any,
    x: Any,
    start: Any,
    codes: Any,
    random: Any,
    origin: Any,
    f: Any,
    SOURCE: Any,
    ROUNDING: Any,
    FIXED: Any,
    LANES: Any,
) -> Any:
    """As `encode_lanes` in a stochastic mode, each element with the bits at ``random[start]``."""
    source, lanes, bits = literal(SOURCE), literal(LANES), width(f)
    options: dict[str, Any] = {
        "rounding": literal(ROUNDING),
        "is_fixed": bool(literal(FIXED)),
        "parts": int(programs.COMPLETE),
    }

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(bits, lanes, 5)
        word, drawn = load(o, call.at(0, 1), source), o.load(call.at(3, 1))
        code = programs.encode(o, word, o.splat(values[4]), random=drawn, **options)
        o.store(code, call.at(2, 1))
        return context.get_dummy_value()

    literals = (SOURCE, ROUNDING, FIXED, LANES)
    return types.void(x, types.intp, codes, random, f.dtype, f, *literals), generate


@intrinsic(prefer_literal=True)
def decode_lanes(
    _typing: Any,
    codes: Any,
    start: Any,
    out: Any,
    scale_code: Any,
    f: Any,
    FIXED: Any,
    FULL: Any,
    LANES: Any,
) -> Any:
    """Decode LANES codes from ``codes[start]`` to float32 bits at ``out[start]``."""
    lanes = literal(LANES)
    options: dict[str, Any] = {"is_fixed": bool(literal(FIXED)), "is_full": bool(literal(FULL))}

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(32, lanes, 4)
        word = o.load(call.at(0, 1))
        o.store(programs.decode(o, word, o.splat(values[3]), **options), call.at(2, 1))
        return context.get_dummy_value()

    literals = (FIXED, FULL, LANES)
    return types.void(codes, types.intp, out, types.uint32, f, *literals), generate


@intrinsic(prefer_literal=True)
def encode_scale_lanes(
    _typing: Any,
    x: Any,
    start: Any,
    codes: Any,
    f: Any,
    SOURCE: Any,
    TABLED: Any,
    LANES: Any,
) -> Any:
    """Cast LANES source words from ``x[start]`` to E8M0 at ``codes[start]``."""
    source, lanes, bits = literal(SOURCE), literal(LANES), width(f)
    is_tabled = bool(literal(TABLED))

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(bits, lanes, 3)
        word = load(o, call.at(0, 1), source)
        o.store(programs.encode_scale(o, word, is_tabled=is_tabled), call.at(2, 1))
        return context.get_dummy_value()

    return types.void(x, types.intp, codes, f, SOURCE, TABLED, LANES), generate


@intrinsic(prefer_literal=True)
def decode_scale_lanes(_typing: Any, codes: Any, start: Any, out: Any, LANES: Any) -> Any:
    """Decode LANES E8M0 codes from ``codes[start]`` to float32 bits at ``out[start]``."""
    lanes = literal(LANES)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(32, lanes)
        o.store(programs.decode_scale(o, o.load(call.at(0, 1))), call.at(2, 1))
        return context.get_dummy_value()

    return types.void(codes, types.intp, out, LANES), generate


@intrinsic(prefer_literal=True)
def amax_into_lanes(
    _typing: Any, x: Any, start: Any, amax: Any, at: Any, f: Any, SOURCE: Any, LANES: Any
) -> Any:
    """Raise ``amax[at]`` and the LANES - 1 behind it to the magnitudes from ``x[start]`` on."""
    source, lanes, bits = literal(SOURCE), literal(LANES), width(f)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(bits, lanes)
        size = programs.magnitude(o, load(o, call.at(0, 1), source))
        o.store(o.maximum(o.load(call.at(2, 3)), size), call.at(2, 3))
        return context.get_dummy_value()

    return types.void(x, types.intp, amax, types.intp, f, SOURCE, LANES), generate


@intrinsic(prefer_literal=True)
def encode_across_lanes(
    _typing: Any,
    x: Any,
    start: Any,
    codes: Any,
    scales: Any,
    at: Any,
    f: Any,
    SOURCE: Any,
    ROUNDING: Any,
    FIXED: Any,
    PARTS: Any,
    LANES: Any,
) -> Any:
    """Encode ``x[start]`` on to ``codes[start]`` on, each lane under its own ``scales[at]`` on."""
    source, lanes, bits = literal(SOURCE), literal(LANES), width(f)
    options: dict[str, Any] = {
        "rounding": literal(ROUNDING),
        "is_fixed": bool(literal(FIXED)),
        "parts": literal(PARTS),
    }

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(bits, lanes, 5)
        word, shared = load(o, call.at(0, 1), source), o.load(call.at(3, 4))
        o.store(programs.encode_across(o, word, shared, **options), call.at(2, 1))
        return context.get_dummy_value()

    literals = (SOURCE, ROUNDING, FIXED, PARTS, LANES)
    return types.void(x, types.intp, codes, scales, types.intp, f, *literals), generate


@intrinsic(prefer_literal=True)
def decode_across_lanes(
    _typing: Any,
    codes: Any,
    start: Any,
    out: Any,
    scales: Any,
    at: Any,
    f: Any,
    FIXED: Any,
    LANES: Any,
) -> Any:
    """Decode ``codes[start]`` on to ``out[start]`` on, each lane under its own scale code."""
    lanes = literal(LANES)
    options: dict[str, Any] = {"is_fixed": bool(literal(FIXED)), "is_full": True}

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = call.machine(32, lanes, 5)
        word, shared = o.load(call.at(0, 1)), o.load(call.at(3, 4))
        o.store(programs.decode_across(o, word, shared, **options), call.at(2, 1))
        return context.get_dummy_value()

    return types.void(codes, types.intp, out, scales, types.intp, f, FIXED, LANES), generate
