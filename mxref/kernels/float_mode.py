"""The floating-point mode of a thread: to nearest even, no subnormal flushed, whatever was set.

A library that is loaded beside this one may set FTZ, DAZ or another rounding mode. Sums of float64
with an error term, casts to float32 and float32 sums in a given order need the default of IEEE 754.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from mxref.kernels._intrinsics import intrinsic
from mxref.kernels._jit import INTERPRETED

__all__ = ["restore_floats", "steady_floats"]

_MXCSR = 0x1F80  # all exceptions masked, nearest even, neither FTZ nor DAZ
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_POINTER = ir.IntType(8).as_pointer()


def _machine(builder: ir.IRBuilder) -> str:
    return str(builder.module.triple).split("-", maxsplit=1)[0]


def _call(builder: ir.IRBuilder, name: str, result: Any, *arguments: ir.Value) -> ir.Value:
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, arguments)


def _fence(builder: ir.IRBuilder) -> None:
    """Keep memory accesses, and so the arithmetic between them, on their side of this place."""
    kind = ir.FunctionType(ir.VoidType(), [])
    builder.asm(kind, "", "~{memory}", [], side_effect=True)


def _set_mode(builder: ir.IRBuilder, mode: ir.Value) -> None:
    machine = _machine(builder)
    if machine == "x86_64":
        slot = cgutils.alloca_once(builder, _I32)
        builder.store(builder.trunc(mode, _I32), slot)
        _call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), builder.bitcast(slot, _POINTER))
    elif machine in {"aarch64", "arm64"}:
        _call(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), mode)


def _steady_floats(_typing: Any) -> Any:
    """Set the default mode of this thread and return the one before."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, _values: Any) -> ir.Value:
        machine = _machine(builder)
        before, default = ir.Constant(_I64, 0), 0
        if machine == "x86_64":
            slot = cgutils.alloca_once(builder, _I32)
            pointer = builder.bitcast(slot, _POINTER)
            _call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), pointer)
            before, default = builder.zext(builder.load(slot), _I64), _MXCSR
        elif machine in {"aarch64", "arm64"}:
            before = _call(builder, "llvm.aarch64.get.fpcr", _I64)
        _set_mode(builder, ir.Constant(_I64, default))
        _fence(builder)
        return before

    return types.int64(), generate


def _restore_floats(_typing: Any, mode: Any) -> Any:
    """Set the mode of this thread that `steady_floats` returned."""

    def generate(context: Any, builder: ir.IRBuilder, _signature: Any, values: Any) -> ir.Value:
        _fence(builder)
        _set_mode(builder, values[0])
        return context.get_dummy_value()

    return types.void(types.int64), generate


def _nothing(*_: Any) -> int:
    return 0


steady_floats: Any = _nothing
restore_floats: Any = _nothing
if not INTERPRETED:
    steady_floats = intrinsic(_steady_floats)
    restore_floats = intrinsic(_restore_floats)
