"""The levels of a BDR quantizer, each judged given those above it."""

from __future__ import annotations

import functools
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mxref._policy_base import Choices
from mxref.check._witness import bits_of, number
from mxref.check.bdr._data import Data, scales_of, subscales_of
from mxref.check.parts import Witness
from mxref.check.relatives import Piece, Stage
from mxref.faults._bdr_variant import BDRFault, compose
from mxref.faults.bdr_decode import decoder_of
from mxref.faults.bdr_model import Model
from mxref.faults.encoder import as_float64
from mxref.relatives.bdr_format import BDRFormat, Element, ScaleKind, SubscaleKind
from mxref.relatives.bdr_policy import BDRPolicy

__all__ = ["BDRStage", "ElementStage", "NeighbourStage", "ScaleStage", "SubscaleStage", "code_text"]

Bools = NDArray[np.bool_]

_NAMED: dict[tuple[str, str], tuple[str, str]] = {
    ("rounding", "nearest-away"): ("E1", "ties away from zero"),
    ("rounding", "half-up"): ("E1", "ties up"),
    ("rounding", "nearest-down"): ("E1", "ties toward zero"),
    ("rounding", "toward-zero"): ("E2", ""),
    ("neg_zero", "drop"): ("E19", ""),
    ("int_min", "used"): ("E15", "the most negative code is produced"),
    ("int_min", "unused"): ("E15", "the most negative code is not produced"),
    ("inf", "zero"): ("E17", ""),
    ("element_quotient", "reciprocal"): ("E6", ""),
    ("element_divisor", "unrounded"): ("S14", "by the scale before its integer was rounded"),
}


class BDRStage(Stage):
    """A stage of a BDR quantizer."""

    def __init__(self, data: Data) -> None:
        super().__init__(data.lanes if self.is_of_elements else data.blocks)
        self.data, self.fmt = data, data.fmt

    def model(self, policy: Choices, faults: tuple[BDRFault, ...], piece: Piece) -> Model:
        """Return the model of a hypothesis, with what it has to know of other blocks."""
        made = _model(self.fmt, cast("BDRPolicy", policy), faults)
        made.around = piece.parts.get("around")
        own = piece.parts.get("own")
        made.own = None if own is None else own.reshape(-1)
        return made

    def named(self, field: str, choice: str) -> tuple[str, str] | None:
        """Id and variant of the fault that a choice is known as."""
        return _NAMED.get((field, choice))

    def scale_text(self, scale: Any) -> str:
        """A scale as people read it, with its bits."""
        if self.fmt.scale is ScaleKind.FLOAT32:
            return f"{bits_of(scale)} ({number(scale)})"
        return f"0x{int(scale):02x} ({_power(int(scale), self.fmt)})"


@functools.lru_cache(maxsize=4096)
def _class(fmt: BDRFormat, faults: tuple[BDRFault, ...]) -> type[Model]:
    return compose(fmt, faults)


def _model(fmt: BDRFormat, policy: BDRPolicy, faults: tuple[BDRFault, ...]) -> Model:
    return _class(fmt, faults)(fmt, policy)


def _power(code: int, fmt: BDRFormat) -> str:
    return "NaN" if code == fmt.nan_scale else f"2^{code - fmt.bias}"


def _is_nan(scales: NDArray[Any], fmt: BDRFormat) -> Bools:
    return np.asarray(scales == fmt.nan_scale if fmt.scale is ScaleKind.POW2 else np.isnan(scales))


def _zeros(x: NDArray[Any]) -> Bools:
    with np.errstate(invalid="ignore"):
        return np.asarray(x == 0)


class ScaleStage(BDRStage):
    """Scales, given the values."""

    what = "scale"
    is_of_elements = False

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        power = ("shared_exponent", "rounding", "input_subnormal", "nan", "inf", "scale_above")
        single = ("scale_quotient", "input_subnormal", "nan", "inf", "scale_below")
        self.fields = power if data.fmt.scale is ScaleKind.POW2 else single
        self.fields += ("zero_block",)  # a block of zeros and infinities shows it
        if data.fmt.element is Element.TWOS_COMPLEMENT and data.fmt.scale is ScaleKind.POW2:
            self.fields += ("int_min",)

    def given(self, piece: Piece) -> NDArray[Any]:
        """Emitted scales, shape (n, 1)."""
        return scales_of(piece)[:, None]

    def make(self, policy: Choices, faults: tuple[Any, ...], piece: Piece) -> NDArray[Any]:
        """Scales of a hypothesis."""
        return self.model(policy, faults, piece).scales(piece.x)[:, None]

    def differs(self, due: NDArray[Any], piece: Piece) -> Bools:
        """Where scales differ, those of zeros left out: any number makes zeros of them."""
        given = self.given(piece)
        nan, due_nan = _is_nan(given, self.fmt), _is_nan(due, self.fmt)
        found = (given != due) & ~(nan & due_nan)
        return np.asarray(found & ~(self.silent(piece) & ~nan & ~due_nan))

    def silent(self, piece: Piece) -> Bools:
        """Which blocks hold nothing but zeros."""
        return np.asarray(_zeros(piece.x).all(1)).reshape(-1, 1)

    def witness(self, row: int, lane: int, due: Any) -> Witness:
        """Show one scale; the input is what makes amax."""
        del lane
        piece = self.data.blocks.take(np.array([row]))
        value = _amax_of(piece.x[0])
        got = scales_of(piece)[0]
        texts = [self.scale_text(s).rstrip(")").split(" (") for s in (got, due)]
        index = self.data.scale_index(row)
        shown = bits_of(value), number(value)
        return Witness(index, "scale", *shown, None, *texts[0], *texts[1])


def _amax_of(values: NDArray[Any]) -> Any:
    wide = as_float64(values)
    odd = np.flatnonzero(~np.isfinite(wide))
    lane = int(odd[0]) if len(odd) else int(np.abs(wide).argmax())
    return np.abs(values[lane])


class SubscaleStage(BDRStage):
    """Sub-scales, given the emitted scales."""

    what = "scale"
    is_of_elements = False

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.fields: tuple[str, ...] = ("input_subnormal",)
        if data.fmt.subscale is SubscaleKind.INT:
            self.fields += ("subscale_rounding", "scale_quotient")
        else:
            self.fields += ("shift", "shared_exponent", "rounding", "zero_subblock")
            self.fields += ("int_min",) * (data.fmt.element is Element.TWOS_COMPLEMENT)
        if data.fmt.scale is ScaleKind.POW2:
            self.fields += ("scale_below",)
        elif data.fmt.subscale is SubscaleKind.POW2:
            self.fields += ("element_quotient",)

    def given(self, piece: Piece) -> NDArray[Any]:
        """Emitted sub-scales, shape (n, p)."""
        return piece.parts["subscales"]

    def make(self, policy: Choices, faults: tuple[Any, ...], piece: Piece) -> NDArray[Any]:
        """Sub-scales of a hypothesis."""
        return self.model(policy, faults, piece).subscales(piece.x, scales_of(piece))

    def differs(self, due: NDArray[Any], piece: Piece) -> Bools:
        """Where sub-scales differ, those of zeros and under a NaN scale left out."""
        return np.asarray((due != self.given(piece)) & ~self.silent(piece))

    def silent(self, piece: Piece) -> Bools:
        """Which sub-blocks hold nothing but zeros, or are NaN whatever they hold."""
        zeros = _zeros(piece.x).reshape(len(piece.x), -1, self.fmt.k2).all(2)
        return zeros | _is_nan(scales_of(piece), self.fmt)[:, None]

    def witness(self, row: int, lane: int, due: Any) -> Witness:
        """Show one sub-scale; the input is the largest of its sub-block."""
        piece = self.data.blocks.take(np.array([row]))
        value = _amax_of(piece.x[0].reshape(-1, self.fmt.k2)[lane])
        got = int(self.given(piece)[0, lane])
        index = self.data.subscale_index(row, lane)
        shown = bits_of(value), number(value), self.scale_text(scales_of(piece)[0])
        return Witness(index, "scale", *shown, *self._text(got), *self._text(int(due)))

    def _text(self, code: int) -> tuple[str, str]:
        is_shift = self.fmt.subscale is SubscaleKind.POW2
        return f"0x{code:x}", f"sub-scale 2^-{code}" if is_shift else f"sub-scale {code}"


class ElementStage(BDRStage):
    """Codes of elements, given the emitted scales and sub-scales."""

    what = "element"

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        fmt = data.fmt
        self.fields = ("rounding", "input_subnormal", "nan", "inf", "scale_below")
        if fmt.element is Element.TWOS_COMPLEMENT:
            self.fields += ("int_min",)
        else:
            self.fields += ("neg_zero",)
        if fmt.scale is ScaleKind.FLOAT32:
            self.fields += ("element_quotient",)
        if fmt.subscale is SubscaleKind.INT:
            self.fields += ("element_divisor", "scale_quotient")

    def given(self, piece: Piece) -> NDArray[Any]:
        """Emitted codes."""
        return piece.codes

    def make(self, policy: Choices, faults: tuple[Any, ...], piece: Piece) -> NDArray[Any]:
        """Codes of a hypothesis."""
        model = self.model(policy, faults, piece)
        return model.codes(piece.x, scales_of(piece), subscales_of(piece))

    def differs(self, due: NDArray[Any], piece: Piece) -> Bools:
        """Where codes differ, those under a NaN scale left out."""
        return np.asarray((due != piece.codes) & ~self.silent(piece))

    def silent(self, piece: Piece) -> Bools:
        """Which codes are NaN whatever they are."""
        return _is_nan(scales_of(piece), self.fmt)[:, None]

    def witness(self, row: int, lane: int, due: Any) -> Witness:
        """Show one code."""
        piece = self.data.lanes.take(np.array([row]))
        value, got = piece.x[0, lane], int(piece.codes[0, lane])
        shared = self.scale_text(scales_of(piece)[0])
        subscales = subscales_of(piece)
        if subscales is not None:
            sub = int(subscales[0, lane // self.fmt.k2])
            is_shift = self.fmt.subscale is SubscaleKind.POW2
            shared += f" and 2^-{sub}" if is_shift else f" and {sub}"
        index = self.data.element_index(row, lane)
        shown = bits_of(value), number(value), shared
        texts = *code_text(got, self.fmt), *code_text(int(due), self.fmt)
        return Witness(index, "element", *shown, *texts)


class NeighbourStage(ElementStage):
    """Codes that a stochastic rounding may give: either neighbour of the value."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.fields = tuple(name for name in self.fields if name != "rounding")

    def make(self, policy: Choices, faults: tuple[Any, ...], piece: Piece) -> NDArray[Any]:
        """The neighbour that was emitted, or the one toward zero where neither was."""
        below = super().make(policy.replace(rounding="toward-zero"), faults, piece)
        sign = np.signbit(as_float64(piece.x))
        up = super().make(policy.replace(rounding="up"), faults, piece)
        down = super().make(policy.replace(rounding="down"), faults, piece)
        above = np.where(sign, down, up)
        return np.where(above == piece.codes, above, below)


def code_text(code: int, fmt: BDRFormat) -> tuple[str, str]:
    """Bits and value of a code, before scale and sub-scale.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import BDR_FORMATS
    >>> code_text(0x1F, BDR_FORMATS["mx6"])
    ('0x1f', '-1.875')
    """
    value = decoder_of(fmt, ()).element(np.array([code]))[0]
    return f"0x{code:0{-(-fmt.code_bits // 4)}x}", number(value)
