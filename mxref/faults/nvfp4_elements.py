"""Faults in the elements of NVFP4, the scales given, and in the way back to values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mxref.faults.decode import decode_models
from mxref.faults.element import element_models
from mxref.faults.encoder import Bytes, Floats
from mxref.faults.layout import nibbles_swapped, split_half
from mxref.faults.nvfp4_fault import NVFP4Fault, after, before
from mxref.faults.nvfp4_model import E2M1, E4M3, Blocks16, Model, Singles
from mxref.faults.nvfp4_scales import GLOBAL_USES, in_order

__all__ = ["decode_faults", "element_faults"]

_SIZE = 16
_OF_SCALES = frozenset(("D9", "D10", "D11", "D12", "D13", "D14"))  # of E8M0, that is
_FREE = frozenset(("nearest-away", "nearest-down", "toward-zero"))  # roundings that a policy has


@functools.cache
def element_faults() -> tuple[NVFP4Fault, ...]:
    """Every fault of the elements under scales that are given, the simplest explanation first."""
    parts = (_roundings(), _uses(), _divisors(), _scales_read("element"), _zeros(), _places())
    return in_order(fault for part in parts for fault in part)


@functools.cache
def decode_faults() -> tuple[NVFP4Fault, ...]:
    """Every fault of the way from codes to values."""
    return in_order((*_decoders(), *_scales_read("decode"), *_decode_uses()))


def _row(fault_id: str, detail: str, model: type[Model]) -> NVFP4Fault:
    return NVFP4Fault(fault_id, detail, "element", model)


def _with(**attributes: Any) -> type[Model]:
    return type("Faulty", (Model,), attributes)


def _roundings() -> Iterator[NVFP4Fault]:
    """The cast to E2M1, wrong in any way in which a cast to E2M1 can be."""
    for model in element_models(E2M1):
        changes = model.legal_change
        if changes.get("rounding", "nearest-away") not in _FREE:
            changes = {}
        if not set(changes) <= {"rounding", "neg_zero"}:
            changes = {}
        made = _with(encoder=model.encoder)
        yield NVFP4Fault(model.id, model.detail, "element", made, dict(changes))


def _uses() -> Iterator[NVFP4Fault]:
    for detail, use in GLOBAL_USES.items():

        def change(_: Model, s: np.float32, g: np.float32, use: Any = use) -> tuple[Any, Any]:
            with np.errstate(all="ignore"):
                return tuple(use(s, g))

        yield _row("S16", detail, before("element_globals", change))


# --- what elements are divided by -----------------------------------------------------------------


def _divided(change: Callable[[Floats], Floats]) -> type[Model]:
    return after("divisors", lambda s, *_: change(s))


def _exponent(s: Floats) -> Floats:
    with np.errstate(all="ignore"):
        return np.where(s > 0, np.ldexp(1.0, np.frexp(s)[1] - 1), s)


def _power_above(s: Floats) -> Floats:
    below = _exponent(s)
    return np.where(below < s, 2 * below, s)


def _divisors() -> Iterator[NVFP4Fault]:
    yield _row("S14", "divided by the scale before it was rounded", _Unrounded)
    yield _row("S14", "divided by the scale before it was bounded and rounded", _Unbounded)
    for step, where in ((1, "one code above"), (-1, "one code below")):
        beside = after("divisors", lambda _, m, __, c, d=step: m.scale_values(_moved(c, d)))
        yield _row("S14", f"divided by the scale {where} the stored one", beside)
    yield _row("S14", "not divided by the block scale", _divided(np.ones_like))
    yield _row("D15", "divided by the exponent of the scale alone", _divided(_exponent))
    yield _row("D15", "divided by the power of two above the scale", _divided(_power_above))
    for way, name in ((np.inf, "high"), (-np.inf, "low")):
        ulp = after("factor", lambda r, *_, w=way: _one_ulp(r, w))
        yield _row("E6", f"a reciprocal that is one ulp {name}", ulp)


def _moved(codes: Bytes, step: int) -> Bytes:
    return np.clip(codes.astype(np.int16) + step, 0, 0x7E).astype(np.uint8)


def _one_ulp(factor: Singles | None, way: float) -> Singles | None:
    return None if factor is None else np.nextafter(factor, np.float32(way), dtype=np.float32)


class _Unrounded(Model):
    """S14: elements are divided by what was rounded to the scale."""

    bound = True

    def element_codes(
        self, blocks: Blocks16, scales: Bytes, encode: np.float32, decode: np.float32
    ) -> Bytes:
        wanted = self.wanted(self.block_amax(blocks), *self.scale_globals(encode, decode))
        self._wanted = self.bounded(wanted) if self.bound else wanted
        return super().element_codes(blocks, scales, encode, decode)

    def divisors(self, blocks: Blocks16, codes: Bytes) -> Floats:
        right = super().divisors(blocks, codes)
        wanted = self._wanted.astype(np.float64)
        return np.where(np.isfinite(wanted), wanted, right)


class _Unbounded(_Unrounded):
    """S14: neither rounded nor bounded."""

    bound = False


# --- scales read wrongly --------------------------------------------------------------------------


def _scales_read(stage: str) -> Iterator[NVFP4Fault]:
    """E4M3 decoded wrongly: bit 7 is never looked at, so that only the positive codes matter."""
    for model in decode_models(E4M3):
        if model.id in _OF_SCALES or model.id == "D7":
            continue
        detail = f"of the scale: {model.detail}" if model.detail else "of the scale"
        yield NVFP4Fault(model.id, detail, stage, _with(scale_decoder=model.decoder))
    integers = after("scale_values", lambda s, _, codes: np.where(np.isnan(s), s, codes & 0x7F))
    yield NVFP4Fault("D6", "of the scale: all but NaN", stage, integers)


# --- special blocks and places --------------------------------------------------------------------


def _zeros() -> Iterator[NVFP4Fault]:
    for code, detail in ((7, "the largest code"), (15, "the largest code, negative")):

        def change(codes: Bytes, _: Model, blocks: Blocks16, *__: Any, c: int = code) -> Bytes:
            return np.where(blocks.amax == 0, np.uint8(c), codes)

        made = after("element_codes", change)
        yield _row("S12", f"0/0: a block of zeros becomes {detail}", made)


def _taken(order: Any) -> Callable[..., Any]:
    return lambda codes, *_: codes[:, order]


def _places() -> Iterator[NVFP4Fault]:
    split = split_half(_SIZE)
    orders = (
        ("L1", "", nibbles_swapped(_SIZE)),
        ("L2", "split order read as linear", split),
        ("L2", "linear order read as split", np.argsort(split)),
    )
    for fault_id, detail, order in orders:
        made = after("placed", _taken(order))
        yield _row(fault_id, detail, made)


# --- the way back ---------------------------------------------------------------------------------


def _decoders() -> Iterator[NVFP4Fault]:
    for model in decode_models(E2M1):
        if model.id not in _OF_SCALES:
            yield NVFP4Fault(model.id, model.detail, "decode", _with(decoder=model.decoder))
    for fault_id, detail, change in (
        ("D15", "the exponent of the scale alone", _exponent),
        ("D15", "the power of two above the scale", _power_above),
    ):
        made = after("scale_values", lambda s, *_, c=change: c(s))
        yield NVFP4Fault(fault_id, detail, "decode", made)
    for value, detail in ((1.0, "1"), (0.0, "0"), (448.0, "448"), (np.inf, "infinity")):
        made = after("scale_values", lambda s, *_, v=value: np.where(np.isnan(s), v, s))
        yield NVFP4Fault("D3", f"of the scale: NaN is {detail}", "decode", made)
    made = after("scale_values", lambda s, *_: np.ones_like(s))
    yield NVFP4Fault("G1", "the block scales are left out", "decode", made)
    split = split_half(_SIZE)
    for fault_id, detail, order in (
        ("L1", "", nibbles_swapped(_SIZE)),
        ("L2", "split order read as linear", split),
        ("L2", "linear order read as split", np.argsort(split)),
    ):
        made = before("values", _reordered(order))
        yield NVFP4Fault(fault_id, detail, "decode", made)


def _reordered(order: Any) -> Callable[..., Any]:
    return lambda _, codes, scales, g: (codes[:, order], scales, g)


def _decode_uses() -> Iterator[NVFP4Fault]:
    uses: tuple[tuple[str, Callable[[np.float32], Any]], ...] = (
        ("inverted", lambda g: np.float32(1) / g),
        ("dropped", lambda _: np.float32(1)),
        ("applied twice", lambda g: g * g),
        ("half of it", lambda g: g / 2),
        ("twice it", lambda g: g * 2),
        ("its square root", np.sqrt),
    )
    for detail, use in uses:

        def change(g: np.float32, _: Model, *__: Any, use: Any = use) -> np.float32:
            with np.errstate(all="ignore"):
                return np.float32(use(g))

        yield NVFP4Fault("S16", detail, "decode", after("decode_globals", change))
