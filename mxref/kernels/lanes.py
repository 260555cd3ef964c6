"""Lanes: fixed-width unsigned integers side by side, and two machines that run programs on them.

A *lane program* (see ``programs``) is a Python function that computes with the operators
``+ - & | ^ << >>`` and the methods of `Machine`. All values are unsigned words of one width, and
arithmetic wraps modulo two to that width. The same program runs

* on `LlvmMachine`, which emits LLVM vector instructions into a Numba kernel: no promotion to 64
  bits, the vector length chosen by us, any CPU (LLVM splits what the machine lacks);
* on `NumpyMachine`, with NumPy arrays: no compiler at all, for NUMBA_DISABLE_JIT and as a check.

Why not plain Numba loops: Numba types ``uint32 >> uint32`` as uint64, so variable shifts fall
back to 64-bit lanes (0.42 G elements/s instead of 2.05 on one AVX-512 core, numba 0.68.1), and
integer maximum reductions stay half vectorised (1.1 against 5.9).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from llvmlite import ir

__all__ = ["LlvmMachine", "LlvmWord", "Machine", "NumpyMachine", "Word"]


class Word(ABC):
    """A word in each lane."""

    @abstractmethod
    def __add__(self, other: Self | int) -> Self: ...
    @abstractmethod
    def __sub__(self, other: Self | int) -> Self: ...
    @abstractmethod
    def __and__(self, other: Self | int) -> Self: ...
    @abstractmethod
    def __or__(self, other: Self | int) -> Self: ...
    @abstractmethod
    def __xor__(self, other: Self | int) -> Self: ...
    @abstractmethod
    def __lshift__(self, other: Self | int) -> Self: ...
    @abstractmethod
    def __rshift__(self, other: Self | int) -> Self: ...


class Machine(ABC):
    """What a program may do beyond the operators. Shift amounts are always below the width."""

    width: int
    """Bits of a word: 32 or 64."""

    @abstractmethod
    def constant(self, value: int) -> Any:
        """Return the same number in all lanes."""

    @abstractmethod
    def parameter(self, index: int) -> Any:
        """Return one of the integers of the format and policy, in all lanes."""

    @abstractmethod
    def lookup(self, index: Any) -> Any:
        """Return, in each lane, the integer of the format and policy at its own place."""

    @abstractmethod
    def minimum(self, a: Any, b: Any) -> Any:
        """Return the smaller of two unsigned words."""

    @abstractmethod
    def maximum(self, a: Any, b: Any) -> Any:
        """Return the larger of two unsigned words."""

    @abstractmethod
    def leading_zeros(self, a: Any) -> Any:
        """Return the number of zero bits above the highest one; the width for zero."""

    @abstractmethod
    def where_equal(self, a: Any, b: Any, then: Any, otherwise: Any) -> Any:
        """Return `then` where a == b, elsewhere `otherwise`."""

    @abstractmethod
    def where_above(self, a: Any, b: Any, then: Any, otherwise: Any) -> Any:
        """Return `then` where a > b, unsigned, elsewhere `otherwise`."""


class LlvmWord(Word):
    """A vector in an LLVM function under construction."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder = builder
        self.value = value

    def operand(self, other: LlvmWord | int) -> ir.Value:
        """Return the other operand as a vector of the same type."""
        if isinstance(other, LlvmWord):
            return other.value
        kind = self.value.type
        mask = (1 << kind.element.width) - 1
        return ir.Constant(kind, [other & mask] * kind.count)

    def _emit(self, operation: str, other: LlvmWord | int) -> LlvmWord:
        emit = getattr(self.builder, operation)
        return LlvmWord(self.builder, emit(self.value, self.operand(other)))

    def __add__(self, other: LlvmWord | int) -> LlvmWord:
        return self._emit("add", other)

    def __sub__(self, other: LlvmWord | int) -> LlvmWord:
        return self._emit("sub", other)

    def __and__(self, other: LlvmWord | int) -> LlvmWord:
        return self._emit("and_", other)

    def __or__(self, other: LlvmWord | int) -> LlvmWord:
        return self._emit("or_", other)

    def __xor__(self, other: LlvmWord | int) -> LlvmWord:
        return self._emit("xor", other)

    def __lshift__(self, other: LlvmWord | int) -> LlvmWord:
        return self._emit("shl", other)

    def __rshift__(self, other: LlvmWord | int) -> LlvmWord:
        return self._emit("lshr", other)


class LlvmMachine(Machine):
    """Emits LLVM vector instructions.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    width : int
        Bits of a word.
    lanes : int
        Words in a vector.
    parameters : llvmlite.ir.Value or None
        Pointer to the words that `parameter` reads.
    """

    def __init__(
        self, builder: ir.IRBuilder, width: int, lanes: int, parameters: ir.Value | None = None
    ) -> None:
        self.builder = builder
        self.width = width
        self.lanes = lanes
        self.word = ir.IntType(width)
        self.vector = ir.VectorType(self.word, lanes)
        self._parameters = parameters

    def constant(self, value: int) -> LlvmWord:
        """Return the same number in all lanes."""
        constant = ir.Constant(self.vector, [value & ((1 << self.width) - 1)] * self.lanes)
        return LlvmWord(self.builder, constant)

    def splat(self, scalar: ir.Value) -> LlvmWord:
        """Return a run-time scalar in all lanes."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        zero = ir.Constant(ir.IntType(32), 0)
        first = self.builder.insert_element(undefined, scalar, zero)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return LlvmWord(self.builder, self.builder.shuffle_vector(first, undefined, mask))

    def parameter(self, index: int) -> LlvmWord:
        """Return one of the integers of the format and policy, in all lanes."""
        pointer = self.builder.gep(self._parameters, [ir.Constant(ir.IntType(64), index)])
        return self.splat(self.builder.load(pointer))

    def lookup(self, index: LlvmWord) -> LlvmWord:
        """Return, in each lane, the integer of the format and policy at its own place."""
        found = ir.Constant(self.vector, ir.Undefined)
        for lane in range(self.lanes):
            place = ir.Constant(ir.IntType(32), lane)
            offset = self.builder.extract_element(index.value, place)
            if self.width < 64:
                offset = self.builder.zext(offset, ir.IntType(64))
            item = self.builder.load(self.builder.gep(self._parameters, [offset]))
            found = self.builder.insert_element(found, item, place)
        return LlvmWord(self.builder, found)

    def _call(self, name: str, result: ir.Type, arguments: list[ir.Value]) -> ir.Value:
        suffix = f"v{self.lanes}i{self.width}"
        kind = ir.FunctionType(result, [a.type for a in arguments])
        module = self.builder.module
        full = f"llvm.{name}.{suffix}"
        function = module.globals.get(full) or ir.Function(module, kind, full)
        return self.builder.call(function, arguments)

    def minimum(self, a: LlvmWord, b: LlvmWord | int) -> LlvmWord:
        """Return the smaller of two unsigned words."""
        return LlvmWord(self.builder, self._call("umin", self.vector, [a.value, a.operand(b)]))

    def maximum(self, a: LlvmWord, b: LlvmWord | int) -> LlvmWord:
        """Return the larger of two unsigned words."""
        return LlvmWord(self.builder, self._call("umax", self.vector, [a.value, a.operand(b)]))

    def leading_zeros(self, a: LlvmWord) -> LlvmWord:
        """Return the number of zero bits above the highest one; the width for zero."""
        defined_for_zero = ir.Constant(ir.IntType(1), 0)
        arguments = [a.value, defined_for_zero]
        return LlvmWord(self.builder, self._call("ctlz", self.vector, arguments))

    def _where(self, relation: str, a: Any, b: Any, then: Any, otherwise: Any) -> LlvmWord:
        condition = self.builder.icmp_unsigned(relation, a.value, a.operand(b))
        return LlvmWord(
            self.builder,
            self.builder.select(condition, a.operand(then), a.operand(otherwise)),
        )

    def where_equal(self, a: Any, b: Any, then: Any, otherwise: Any) -> LlvmWord:
        """Return `then` where a == b, elsewhere `otherwise`."""
        return self._where("==", a, b, then, otherwise)

    def where_above(self, a: Any, b: Any, then: Any, otherwise: Any) -> LlvmWord:
        """Return `then` where a > b, unsigned, elsewhere `otherwise`."""
        return self._where(">", a, b, then, otherwise)

    def load(self, pointer: ir.Value) -> LlvmWord:
        """Load one vector from unaligned memory, widening with zeros to the word."""
        narrow = pointer.type.pointee
        kind = ir.VectorType(narrow, self.lanes)
        value = self.builder.load(self.builder.bitcast(pointer, kind.as_pointer()))
        value.align = max(narrow.width // 8, 1)
        if narrow.width < self.width:
            value = self.builder.zext(value, self.vector)
        return LlvmWord(self.builder, value)

    def store(self, word: LlvmWord, pointer: ir.Value) -> None:
        """Store one vector to unaligned memory, dropping the high bits that do not fit."""
        narrow = pointer.type.pointee
        kind = ir.VectorType(narrow, self.lanes)
        value = word.value
        if narrow.width < self.width:
            value = self.builder.trunc(value, kind)
        stored = self.builder.store(value, self.builder.bitcast(pointer, kind.as_pointer()))
        stored.align = max(narrow.width // 8, 1)

    def largest(self, word: LlvmWord) -> ir.Value:
        """Return the largest lane as a scalar."""
        return self._call("vector.reduce.umax", self.word, [word.value])


class _NumpyWord(Word):
    """An array of unsigned integers; NumPy keeps the width and wraps."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def operand(self, other: _NumpyWord | int) -> Any:
        """Return the other operand in the same width."""
        if isinstance(other, _NumpyWord):
            return other.value
        kind = self.value.dtype
        return kind.type(other & ((1 << (8 * kind.itemsize)) - 1))

    def __add__(self, other: _NumpyWord | int) -> _NumpyWord:
        return _NumpyWord(self.value + self.operand(other))

    def __sub__(self, other: _NumpyWord | int) -> _NumpyWord:
        return _NumpyWord(self.value - self.operand(other))

    def __and__(self, other: _NumpyWord | int) -> _NumpyWord:
        return _NumpyWord(self.value & self.operand(other))

    def __or__(self, other: _NumpyWord | int) -> _NumpyWord:
        return _NumpyWord(self.value | self.operand(other))

    def __xor__(self, other: _NumpyWord | int) -> _NumpyWord:
        return _NumpyWord(self.value ^ self.operand(other))

    def __lshift__(self, other: _NumpyWord | int) -> _NumpyWord:
        return _NumpyWord(self.value << self.operand(other))

    def __rshift__(self, other: _NumpyWord | int) -> _NumpyWord:
        return _NumpyWord(self.value >> self.operand(other))


class NumpyMachine(Machine):
    """Runs a program on NumPy arrays.

    Parameters
    ----------
    width : int
        Bits of a word.
    parameters : array of that width, optional
        What `parameter` reads.
    """

    def __init__(self, width: int, parameters: Any = None) -> None:
        self.width = width
        self.dtype = np.dtype(f"uint{width}")
        self._parameters = parameters

    def word(self, array: Any) -> _NumpyWord:
        """Return an array as lanes, widened with zeros."""
        return _NumpyWord(np.asarray(array).astype(self.dtype))

    def constant(self, value: int) -> _NumpyWord:
        """Return the same number in all lanes."""
        mask = (1 << self.width) - 1
        return _NumpyWord(np.array([value & mask], self.dtype))

    def parameter(self, index: int) -> _NumpyWord:
        """Return one of the integers of the format and policy, in all lanes."""
        return _NumpyWord(np.asarray(self._parameters, self.dtype)[index : index + 1])

    def lookup(self, index: _NumpyWord) -> _NumpyWord:
        """Return, in each lane, the integer of the format and policy at its own place."""
        return _NumpyWord(np.asarray(self._parameters, self.dtype)[index.value])

    def minimum(self, a: _NumpyWord, b: _NumpyWord | int) -> _NumpyWord:
        """Return the smaller of two unsigned words."""
        return _NumpyWord(np.minimum(a.value, a.operand(b)))

    def maximum(self, a: _NumpyWord, b: _NumpyWord | int) -> _NumpyWord:
        """Return the larger of two unsigned words."""
        return _NumpyWord(np.maximum(a.value, a.operand(b)))

    def leading_zeros(self, a: _NumpyWord) -> _NumpyWord:
        """Return the number of zero bits above the highest one; the width for zero."""
        seen = a.value
        for distance in (1, 2, 4, 8, 16, 32):  # smear the highest one downward, then count
            if distance < self.width:
                seen = seen | (seen >> self.dtype.type(distance))
        return _NumpyWord((self.width - np.bitwise_count(seen)).astype(self.dtype))

    def _where(self, condition: Any, a: Any, then: Any, otherwise: Any) -> _NumpyWord:
        return _NumpyWord(np.where(condition, a.operand(then), a.operand(otherwise)))

    def where_equal(self, a: Any, b: Any, then: Any, otherwise: Any) -> _NumpyWord:
        """Return `then` where a == b, elsewhere `otherwise`."""
        return self._where(a.value == a.operand(b), a, then, otherwise)

    def where_above(self, a: Any, b: Any, then: Any, otherwise: Any) -> _NumpyWord:
        """Return `then` where a > b, unsigned, elsewhere `otherwise`."""
        return self._where(a.value > a.operand(b), a, then, otherwise)
