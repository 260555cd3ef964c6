"""Block faults: what goes wrong between the scale and the elements, with both stages right.

A `Quantizer` selects scales and encodes elements; a fault overrides what the elements are divided
by, or what a block is taken for. Faults of one stage alone are put in by `Quantizer` itself.

Notes
-----
Exact in float64, as `mxref.faults.encoder` and `mxref.faults.scale` explain: every float32 result
here is a quotient or a product of two numbers of at most 24 bits, rounded to 53 bits and then to
24, which is the correct rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults.encoder import Bytes, Encoder, Floats, as_float64, round_to_float
from mxref.faults.scale import ScaleModel, Selector
from mxref.faults.stats import BlockStats, block_stats
from mxref.formats import BlockFormat
from mxref.policy import Policy

__all__ = [
    "BlockModel",
    "Quantizer",
    "block_models",
    "element_side",
    "scale_side",
]

_NAN_SCALE, _MAX_SCALE, _BIAS = 0xFF, 0xFE, 127
_LOWEST = 2.0**-126
_BEYOND = 2.0**128


class Quantizer:
    """The correct quantisation of blocks; a fault overrides a step.

    Parameters
    ----------
    fmt : BlockFormat
    policy : Policy
        The choices at the open points.
    selector, encoder : type
        The stages; a fault of one stage is a subclass of the correct one.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> x = np.array([[6.0, 0.75, -0.1, 0.0]], np.float32)
    >>> Quantizer(block_format("mxfp4/4"), Policy()).quantize(x)
    (array([127], dtype=uint8), array([[7, 2, 8, 0]], dtype=uint8))
    """

    def __init__(
        self,
        fmt: BlockFormat,
        policy: Policy,
        selector: type[Selector] = Selector,
        encoder: type[Encoder] = Encoder,
    ) -> None:
        self.fmt, self.policy = fmt, policy
        self.selector, self.encoder = selector, encoder

    def quantize(self, x: npt.NDArray[Any]) -> tuple[Bytes, Bytes]:
        """Convert blocks of any source type, shape (n, k), to scale codes and element codes."""
        stats, selector = block_stats(x), self.selector(self.fmt, self.policy)
        scales = self.stored(selector.select(stats), stats)
        codes = self.elements(x, scales, stats)
        flushed = selector.flushed(stats)
        return scales, np.where(flushed[:, None], 0, codes).astype(np.uint8)

    def stored(self, scales: Bytes, stats: BlockStats) -> Bytes:  # noqa: ARG002
        """The scale codes that are written."""
        return scales

    def elements(self, x: npt.NDArray[Any], scales: Bytes, stats: BlockStats) -> Bytes:  # noqa: ARG002
        """Element codes under the written scale codes."""
        return self.encode(x, scales)

    def encode(self, x: npt.NDArray[Any], scales: Bytes) -> Bytes:
        """Element codes under scale codes."""
        return self.encoder(self.fmt.element, self.policy).encode(x, scales[:, None])

    def is_zero(self, stats: BlockStats) -> npt.NDArray[np.bool_]:
        """Blocks of zeros and nothing else."""
        return np.asarray((stats.amax == 0) & ~stats.has_nan & ~stats.has_inf)


# --- S12: blocks of zeros or next to them -----------------------------------------------------


class _ZeroOverZero(Quantizer):
    """S12: 0 / 0 makes every element of a block of zeros NaN."""

    def elements(self, x: npt.NDArray[Any], scales: Bytes, stats: BlockStats) -> Bytes:
        zero = self.is_zero(stats)[:, None]
        return self.encode(np.where(zero, x.dtype.type(np.nan), x), scales)


class _LargestInZero(Quantizer):
    """S12: the elements of a block of zeros get the largest code, with their signs."""

    def elements(self, x: npt.NDArray[Any], scales: Bytes, stats: BlockStats) -> Bytes:
        largest = np.copysign(float(self.fmt.element.max), as_float64(x))
        full = self.encode(largest, np.full_like(scales, _BIAS))
        return np.where(self.is_zero(stats)[:, None], full, self.encode(x, scales))


class _ScaleUnderflows(Quantizer):
    """S12: the smallest scale is flushed to zero, and elements are divided by that."""

    keeps_zeros = False

    def elements(self, x: npt.NDArray[Any], scales: Bytes, stats: BlockStats) -> Bytes:  # noqa: ARG002
        wide = as_float64(x)
        zero = 0.0 if self.keeps_zeros else np.nan
        quotient = np.where(wide == 0, np.copysign(zero, wide), np.copysign(np.inf, wide))
        quotient = np.where(np.isnan(wide), wide, quotient).astype(x.dtype)
        return self.encode(np.where((scales == 0)[:, None], quotient, x), scales)


class _Guarded(Quantizer):
    """S12: an amax below a bound is replaced by 1."""

    bound = _LOWEST

    def stored(self, scales: Bytes, stats: BlockStats) -> Bytes:
        small = (stats.amax < self.bound) & ~stats.has_nan & ~stats.has_inf
        one = self.selector(self.fmt, self.policy).select(block_stats(np.ones((1, 1))))[0]
        return np.where(small, one, scales).astype(np.uint8)


# --- S14: elements divided by something else than the stored scale -----------------------------


class _Unrounded(Quantizer):
    """S14: elements are divided by amax / max in float32, the scale before it was rounded."""

    rule: str | None = None  # of the stored scale, where it is rounded afterwards

    def stored(self, scales: Bytes, stats: BlockStats) -> Bytes:
        if self.rule is None:
            return scales
        return self.selector(self.fmt, self.policy.replace(scale_rule=self.rule)).select(stats)

    def elements(self, x: npt.NDArray[Any], scales: Bytes, stats: BlockStats) -> Bytes:
        wide = as_float64(x)
        quotient = self.quotient(np.where(np.isfinite(wide), np.abs(wide), 0.0), stats)
        quotient = np.where(quotient >= _BEYOND, np.inf, quotient)
        quotient = np.where(np.isfinite(wide), np.copysign(quotient, wide), wide)
        codes = self.encode(quotient, np.full_like(scales, _BIAS))
        kept = (scales == _NAN_SCALE) | (stats.amax == 0)
        return np.where(kept[:, None], self.encode(x, scales), codes)

    def quotient(self, magnitude: Floats, stats: BlockStats) -> Floats:
        scale = round_to_float(stats.amax / float(self.fmt.element.max), "float32")[:, None]
        return _divided(magnitude, np.broadcast_to(scale, magnitude.shape))


class _Factor(_Unrounded):
    """S14: elements are multiplied by max / amax in float32."""

    def quotient(self, magnitude: Floats, stats: BlockStats) -> Floats:
        largest, amax = float(self.fmt.element.max), stats.amax
        inverse = round_to_float(largest / np.where(amax > 0, amax, largest), "float32")[:, None]
        product = round_to_float(magnitude * np.where(inverse < _BEYOND, inverse, 1.0), "float32")
        overflown = np.where(magnitude > 0, np.inf, np.nan)
        return np.where(inverse < _BEYOND, product, overflown)


def _divided(magnitude: Floats, scale: Floats) -> Floats:
    """Quotient in float32, where a scale that underflowed gives infinity, and NaN for zeros."""
    quotient = round_to_float(magnitude / np.where(scale > 0, scale, 1.0), "float32")
    return np.where(scale > 0, quotient, np.where(magnitude > 0, np.inf, np.nan))


class _Neighbour(Quantizer):
    """S14: elements are divided by the scale one step beside the stored one."""

    step = 1

    def elements(self, x: npt.NDArray[Any], scales: Bytes, stats: BlockStats) -> Bytes:  # noqa: ARG002
        beside = np.clip(scales.astype(np.int64) + self.step, 0, _MAX_SCALE)
        return self.encode(x, np.where(scales == _NAN_SCALE, scales, beside).astype(np.uint8))


# --- E6, D17, S16: reciprocals, and a second scale --------------------------------------------


class _Reciprocal(Quantizer):
    """E6, D17: elements are multiplied by 1 / X, rounded to float32; D17 flushes a small 1 / X."""

    flushes = False

    def elements(self, x: npt.NDArray[Any], scales: Bytes, stats: BlockStats) -> Bytes:  # noqa: ARG002
        wide = as_float64(x)
        finite = np.isfinite(wide) & (scales != _NAN_SCALE)[:, None]
        inverse = np.ldexp(1.0, _BIAS - scales.astype(np.int64))[:, None]
        if self.flushes:
            inverse = np.where(inverse < _LOWEST, 0.0, inverse)
        product = round_to_float(np.where(finite, np.abs(wide), 0.0) * inverse, "float32")
        product = np.where(product >= _BEYOND, np.inf, product)
        codes = self.encode(np.copysign(product, wide), np.full_like(scales, _BIAS))
        return np.where(finite, codes, self.encode(x, scales))


class _TensorScale(Quantizer):
    """S16: the second scale, that of the tensor, is divided by, or left out.

    MX has no such scale. Whoever has one for other formats passes 1 here.
    """

    power = -1
    tensor_scale = 1.0

    def quantize(self, x: npt.NDArray[Any]) -> tuple[Bytes, Bytes]:
        factor = np.asarray(self.tensor_scale**self.power, x.dtype)
        with np.errstate(invalid="ignore"):  # a signalling NaN is no error here
            return super().quantize(np.asarray(x * factor, x.dtype))


@dataclass(frozen=True, slots=True, eq=False)
class BlockModel:
    """An executable block fault.

    Attributes
    ----------
    id, detail : str
        Fault id, and which variant of it.
    quantizer : type
        The quantiser that has the fault.
    legal_change : Mapping of str to str
        Policy fields under which the same behaviour is legal; empty where it never is.
    """

    id: str
    detail: str
    quantizer: type[Quantizer]
    legal_change: Mapping[str, str] = field(default_factory=dict)


def _variant(base: type[Quantizer], **attributes: float | str) -> type[Quantizer]:
    return type(base.__name__, (base,), dict(attributes))


def block_models(policy: Policy) -> tuple[BlockModel, ...]:
    """Every block fault that can show under a policy; they are the same in all formats.

    Examples
    --------
    >>> sorted({model.id for model in block_models(Policy())})
    ['D17', 'E6', 'S12', 'S14', 'S16']
    """
    return tuple(_models(policy))


def _models(policy: Policy) -> Iterator[BlockModel]:
    yield BlockModel("S12", "0/0 in a block of zeros", _ZeroOverZero)
    yield BlockModel("S12", "the largest codes in a block of zeros", _LargestInZero)
    yield BlockModel("S12", "division by a scale flushed to zero", _ScaleUnderflows)
    zeros = _variant(_ScaleUnderflows, keeps_zeros=True)
    yield BlockModel("S12", "division by a scale flushed to zero, zeros kept", zeros)
    guards = ((2.0**-149, "0"), (_LOWEST, "below 2^-126"), (1e-12, "below 1e-12"))
    for bound, detail in guards:
        guard = _variant(_Guarded, bound=bound)
        yield BlockModel("S12", f"amax 1 in place of one {detail}", guard)
    yield BlockModel("S14", "divided by the unrounded amax / max", _Unrounded)
    yield BlockModel("S14", "multiplied by the unrounded max / amax", _Factor)
    if policy.scale_rule != "rceil":
        later = _variant(_Unrounded, rule="rceil")
        yield BlockModel("S14", "scale rounded up after the elements were made", later)
    for step, where in ((1, "twice"), (-1, "half")):
        beside = _variant(_Neighbour, step=step)
        yield BlockModel("S14", f"divided by {where} the stored scale", beside)
    yield BlockModel("E6", "", _Reciprocal)
    yield BlockModel("D17", "", _variant(_Reciprocal, flushes=True))
    yield BlockModel("S16", "inverted", _TensorScale)
    yield BlockModel("S16", "dropped", _variant(_TensorScale, power=0))


# --- the two sides of a quantizer, apart ------------------------------------------------------


def element_side(policy: Policy) -> tuple[BlockModel, ...]:
    """The block faults that show in the elements, given the stored scales.

    Examples
    --------
    >>> sorted({model.id for model in element_side(Policy())})
    ['D17', 'S12', 'S14']
    """
    return tuple(
        model
        for model in block_models(policy)
        if model.id not in ("E6", "S16")  # they change nothing under powers of two
        and not issubclass(model.quantizer, _Guarded)
        and getattr(model.quantizer, "rule", None) is None  # the rule shows in the scales
    )


def scale_side(policy: Policy) -> tuple[ScaleModel, ...]:
    """The block faults that show in the stored scales.

    Examples
    --------
    >>> {model.id for model in scale_side(Policy())}
    {'S12'}
    """
    return tuple(
        ScaleModel(model.id, model.detail, _storing(model.quantizer), keeps_rule=True)
        for model in block_models(policy)
        if issubclass(model.quantizer, _Guarded)
    )


def _storing(quantizer: type[Quantizer]) -> type[Selector]:
    class Stored(Selector):
        def select(self, stats: BlockStats) -> Bytes:
            # What the quantizer falls back on goes by the plain rule.
            return quantizer(self.fmt, self.policy).stored(super().select(stats), stats)

    return Stored
