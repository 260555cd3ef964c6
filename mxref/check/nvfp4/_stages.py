"""The stages of NVFP4: block scales given the scale of the tensor, elements given both, values."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mxref._policy_base import Choices
from mxref.check._witness import bits_of, number
from mxref.check.nvfp4._data import Data
from mxref.check.parts import Witness
from mxref.check.relatives import Piece, Stage
from mxref.faults.decode import element_table
from mxref.faults.nvfp4_fault import stacked
from mxref.faults.nvfp4_model import E2M1, E4M3
from mxref.kernels import nvfp4 as kernels
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["ElementStage", "ScaleStage", "ValueStage", "scale_text"]

_NAN = 0x7F
_Codes = NDArray[np.uint8]
_E2M1 = element_table(E2M1)
_E4M3 = element_table(E4M3)

_NAMED = {
    ("rounding", "nearest-away"): ("E1", "ties away from zero"),
    ("rounding", "nearest-down"): ("E1", "ties toward zero"),
    ("rounding", "toward-zero"): ("E2", ""),
    ("neg_zero", "drop"): ("E19", "every -0"),
    ("neg_zero", "drop-input"): ("E19", "an input of -0 only"),
    ("scale_rounding", "nearest-up"): ("E1", "of the scale: ties up"),
    ("scale_rounding", "toward-zero"): ("E2", "of the scale"),
}


def scale_text(code: int) -> str:
    """A scale code with its value."""
    value = "bit 7 is set" if code > _NAN else number(np.float32(_E4M3[code]))
    return f"0x{code:02x} ({value})"


class _NVFP4Stage(Stage):
    """What the stages share."""

    def __init__(self, data: Data) -> None:
        super().__init__(data.blocks)
        self.data = data

    def named(self, field: str, choice: str) -> tuple[str, str] | None:
        """Choices that the catalogue has a name for."""
        return _NAMED.get((field, choice))


class ScaleStage(_NVFP4Stage):
    """Block scales, the scale of the tensor given."""

    what = "scale"
    is_of_elements = False
    fields = (
        "geometry",
        "scale_order",
        "scale_least",
        "scale_zero",
        "scale_rounding",
        "scale_overflow",
        "target",
        "selection",
        "selection_order",
        "amax_nan",
        "global_order",
        "global_cap",
        "scale_top",
    )

    def given(self, piece: Piece) -> _Codes:
        """Emitted scale codes."""
        return cast("_Codes", piece.parts["scales"])

    def make(self, policy: Choices, faults: tuple[Any, ...], piece: Piece) -> _Codes:
        """Scale codes of a policy with some faults."""
        policy = cast("NVFP4Policy", policy)
        if policy.target == "four-over-six":
            return self.data.selected(policy, piece)
        of = self.data.globals(policy)
        if not faults:
            largest = self.data.largest_of(piece, policy)
            return np.asarray(kernels.scale_codes(largest, of, policy), np.uint8)[:, None]
        blocks = self.data.measured(piece, policy)
        return stacked(policy, faults).scale_codes(blocks, of.encode, of.decode)

    def differs(self, due: _Codes, piece: Piece) -> NDArray[np.bool_]:
        """Scales of zeros that decode to zeros all the same are left out."""
        given = self.given(piece)
        different = due != given
        if different.any():
            zeros = (piece.x == 0).all(1) & ((piece.codes & 7) == 0).all(1)
            different &= ~(zeros[:, None] & (given < _NAN))
        return np.asarray(different)

    def witness(self, row: int, lane: int, due: Any) -> Witness:
        """Show a scale code; the input is amax of the block."""
        del lane
        piece = self.blocks.take(np.array([row]))
        amax = self.data.amax[row, 0]
        if self.data.has_nan[row, 0]:
            amax = np.float32(np.nan)
        got = int(self.given(piece)[0, 0])
        return Witness(
            self.blocks.block_index(row),
            "scale",
            bits_of(amax),
            number(amax),
            None,
            *_shown(got),
            *_shown(int(due)),
        )


def _shown(code: int) -> tuple[str, str]:
    bits, _, value = scale_text(code).partition(" ")
    return bits, value.strip("()")


class ElementStage(_NVFP4Stage):
    """Element codes, both levels of scales given."""

    what = "element"
    fields = (
        "element_order",
        "factor_type",
        "factor_cap",
        "rounding",
        "neg_zero",
        "nan_element",
        "zero_scale",
        "global_order",
        "global_cap",
    )

    def given(self, piece: Piece) -> _Codes:
        """Emitted element codes."""
        return piece.codes

    def make(self, policy: Choices, faults: tuple[Any, ...], piece: Piece) -> _Codes:
        """Element codes of a policy with some faults, under the emitted scales."""
        policy = cast("NVFP4Policy", policy)
        scales, of = cast("_Codes", piece.parts["scales"]), self.data.globals(policy)
        if not faults:
            return np.asarray(kernels.encode(piece.x, scales[:, 0], of, policy, None), np.uint8)
        blocks = self.data.measured(piece, policy)
        return stacked(policy, faults).element_codes(blocks, scales, of.encode, of.decode)

    def differs(self, due: _Codes, piece: Piece) -> NDArray[np.bool_]:
        """Under a scale of zero or NaN nothing that an element says is seen."""
        different = due != piece.codes
        scales = piece.parts["scales"] & _NAN
        hidden = (scales == _NAN) | (scales == 0)
        return np.asarray(different & ~hidden)

    def witness(self, row: int, lane: int, due: Any) -> Witness:
        """Show an element code."""
        piece = self.blocks.take(np.array([row]))
        got, expected = int(piece.codes[0, lane]), int(due)
        value = piece.x[0, lane]
        return Witness(
            self.blocks.element_index(row, lane),
            "element",
            bits_of(value),
            number(value),
            scale_text(int(piece.parts["scales"][0, 0])),
            f"0x{got:x}",
            number(_E2M1[got]),
            f"0x{expected:x}",
            number(_E2M1[expected]),
        )


class ValueStage(_NVFP4Stage):
    """Decoded values; `Piece.x` is what came out."""

    what = "value"
    fields = ("decode_order",)

    def given(self, piece: Piece) -> NDArray[Any]:
        """Bits of the values, one pattern for every NaN."""
        return _bits(piece.x)

    def make(self, policy: Choices, faults: tuple[Any, ...], piece: Piece) -> NDArray[Any]:
        """Bits of what a policy with some faults decodes to."""
        policy, scales = cast("NVFP4Policy", policy), cast("_Codes", piece.parts["scales"])
        if not faults:
            return _bits(kernels.decode(piece.codes, scales[:, 0], self.data.g, policy))
        model = stacked(policy, faults)
        return _bits(model.values(piece.codes, scales, self.data.g))

    def witness(self, row: int, lane: int, due: Any) -> Witness:
        """Show a value."""
        piece = self.blocks.take(np.array([row]))
        code, got = int(piece.codes[0, lane]), piece.x[0, lane]
        expected = np.uint32(due).view(np.float32)
        return Witness(
            self.blocks.element_index(row, lane),
            "value",
            f"0x{code:x}",
            number(_E2M1[code]),
            scale_text(int(piece.parts["scales"][0, 0])),
            bits_of(got),
            number(got),
            bits_of(expected),
            number(expected),
        )


def _bits(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    canonical = np.where(np.isnan(values), np.float32(np.nan), values).astype(np.float32)
    return canonical.view(np.uint32)
