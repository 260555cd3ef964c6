"""The floating-point environment: rounding to nearest even and subnormal numbers, whatever was set.

A library that is loaded beside this one may set FTZ, DAZ or another rounding mode in MXCSR. Sums of
float64 with an error term, and casts to float32, need the default state.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from mxref.kernels._intrinsics import intrinsic
from mxref.kernels._jit import INTERPRETED

__all__ = ["restore_floats", "steady_floats"]

_IS_X86 = platform.machine() in {"x86_64", "AMD64"}
_DEFAULT = 0x1F80  # all exceptions masked, nearest even, neither FTZ nor DAZ
_I32 = ir.IntType(32)
_POINTER = ir.IntType(8).as_pointer()


def _call(builder: ir.IRBuilder, name: str, pointer: ir.Value) -> None:
    kind = ir.FunctionType(ir.VoidType(), [_POINTER])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    builder.call(function, [builder.bitcast(pointer, _POINTER)])


def _steady_floats(_typing: Any) -> Any:
    """Set the default state of this thread and return the one before."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, _values: Any) -> ir.Value:
        if not _IS_X86:
            return ir.Constant(_I32, _DEFAULT)
        place = cgutils.alloca_once(builder, _I32)
        _call(builder, "llvm.x86.sse.stmxcsr", place)
        before = builder.load(place)
        builder.store(ir.Constant(_I32, _DEFAULT), place)
        _call(builder, "llvm.x86.sse.ldmxcsr", place)
        return before

    return types.uint32(), generate


def _restore_floats(_typing: Any, before: Any) -> Any:
    """Set the state of this thread that `steady_floats` returned."""

    def generate(context: Any, builder: ir.IRBuilder, _signature: Any, values: Any) -> ir.Value:
        if _IS_X86:
            place = cgutils.alloca_once_value(builder, values[0])
            _call(builder, "llvm.x86.sse.ldmxcsr", place)
        return context.get_dummy_value()

    return types.void(types.uint32), generate


def _default_state(*_: Any) -> int:
    return _DEFAULT


steady_floats: Any = _default_state
restore_floats: Any = _default_state
if not INTERPRETED:
    steady_floats = intrinsic(_steady_floats)
    restore_floats = intrinsic(_restore_floats)
