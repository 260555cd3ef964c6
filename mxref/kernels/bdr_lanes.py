"""The machines of BDR programs, which find the largest word of a group, and the intrinsics."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types

from mxref.kernels import bdr_programs as programs
from mxref.kernels._intrinsics import Call, intrinsic, literal, load, width
from mxref.kernels.lanes import LlvmMachine, LlvmWord, NumpyMachine

__all__ = ["GroupLlvm", "GroupNumpy", "decode_group_lanes", "encode_group_lanes"]

_I32 = ir.IntType(32)


def _shuffle(builder: ir.IRBuilder, value: ir.Value, places: list[int]) -> ir.Value:
    mask = ir.Constant(ir.VectorType(_I32, len(places)), places)
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), mask)


class GroupLlvm(LlvmMachine):
    """A vector that holds whole groups; sizes of groups are powers of two."""

    def group_max(self, word: LlvmWord, size: int) -> LlvmWord:
        """Return in each lane the largest word of its group."""
        distance = 1
        while distance < size:
            places = [lane ^ distance for lane in range(self.lanes)]
            word = self.maximum(word, LlvmWord(self.builder, self._moved(word, places)))
            distance *= 2
        return word

    def _moved(self, word: LlvmWord, places: list[int]) -> ir.Value:
        return _shuffle(self.builder, word.value, places)

    def load_each(self, pointer: ir.Value, size: int) -> LlvmWord:
        """Load a word for each group and spread it over the group's lanes."""
        narrow = LlvmMachine(self.builder, self.width, self.lanes // size).load(pointer)
        places = [lane // size for lane in range(self.lanes)]
        return LlvmWord(self.builder, self._moved(narrow, places))

    def store_each(self, word: LlvmWord, pointer: ir.Value, size: int) -> None:
        """Store the word of the first lane of each group."""
        count = self.lanes // size
        first = self._moved(word, [size * i for i in range(count)])
        narrow = LlvmMachine(self.builder, self.width, count)
        narrow.store(LlvmWord(self.builder, first), pointer)


class GroupNumpy(NumpyMachine):
    """Arrays of shape (blocks, k1)."""

    def group_max(self, word: Any, size: int) -> Any:
        """Return in each lane the largest word of its group."""
        value = word.value
        groups = value.reshape(*value.shape[:-1], value.shape[-1] // size, size)
        largest = np.broadcast_to(groups.max(axis=-1, keepdims=True), groups.shape)
        return self.word(largest.reshape(value.shape))


@intrinsic(prefer_literal=True)
def encode_group_lanes(
    _typing: Any,
    x: Any,
    start: Any,
    codes: Any,
    shifts: Any,
    shift_at: Any,
    scales: Any,
    scale_at: Any,
    f: Any,
    SOURCE: Any,
    ROUNDING: Any,
    PARTS: Any,
    K1: Any,
    K2: Any,
    LANES: Any,
) -> Any:
    """Convert the blocks in LANES source words; return a word other than 0 if one is odd."""
    source, lanes, bits = literal(SOURCE), literal(LANES), width(f)
    k1, k2 = literal(K1), literal(K2)
    options: dict[str, Any] = {"rounding": literal(ROUNDING), "parts": literal(PARTS)}

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = GroupLlvm(builder, bits, lanes, call.pointer(7))
        word = load(o, call.at(0, 1), source)
        blocks, odd = programs.encode_quick(o, word, k1=k1, k2=k2, **options)
        o.store(blocks.codes, call.at(2, 1))
        if k2:
            o.store_each(blocks.shifts, call.at(3, 4), k2)
        o.store_each(blocks.scales, call.at(5, 6), k1)
        return o.largest(odd)

    places = (types.intp, types.intp, types.intp)
    literals = (SOURCE, ROUNDING, PARTS, K1, K2, LANES)
    arguments = (x, places[0], codes, shifts, places[1], scales, places[2], f)
    return f.dtype(*arguments, *literals), generate


@intrinsic(prefer_literal=True)
def decode_group_lanes(
    _typing: Any,
    codes: Any,
    start: Any,
    shifts: Any,
    shift_at: Any,
    scales: Any,
    scale_at: Any,
    out: Any,
    f: Any,
    TWOS: Any,
    K1: Any,
    K2: Any,
    LANES: Any,
) -> Any:
    """Decode LANES codes, whole blocks, to float32 bits at ``out[start]``."""
    lanes, k1, k2, is_twos = literal(LANES), literal(K1), literal(K2), bool(literal(TWOS))

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        call = Call(context, builder, signature.args, values)
        o = GroupLlvm(builder, 32, lanes, call.pointer(7))
        shift = o.load_each(call.at(2, 3), k2) if k2 else o.constant(0)
        scale = o.load_each(call.at(4, 5), k1)
        word = programs.decode(o, o.load(call.at(0, 1)), shift, scale, is_twos=is_twos)
        o.store(word, call.at(6, 1))
        return context.get_dummy_value()

    literals = (TWOS, K1, K2, LANES)
    arguments = (codes, types.intp, shifts, types.intp, scales, types.intp, out, f)
    return types.void(*arguments, *literals), generate
