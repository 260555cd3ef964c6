"""Variants of block faults that a check searches for, beyond those that measure the vector set.

They show in the elements, the stored scales given, and differ from a variant of
`mxref.faults.block` in rare inputs or have a parameter that is read off the data.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mxref.faults.block import BlockModel, Quantizer
from mxref.faults.encoder import Bytes, as_float64, round_to_float
from mxref.faults.scale import Selector
from mxref.faults.stats import BlockStats
from mxref.policy import Policy

__all__ = ["block_variants", "second_scale"]

_RULES = ("floor", "rceil", "ceil", "even")
_BOUNDS = (1e-4, 1e-5, 1e-6, 1e-8, 1e-10, 1e-12, 1e-16, 1e-20, 1e-30, 1e-36, 1e-38)


def block_variants(policy: Policy) -> tuple[BlockModel, ...]:
    """Further variants that show in the elements, the stored scales given.

    Examples
    --------
    >>> sorted({model.id for model in block_variants(Policy())})
    ['S12', 'S14']
    """
    rules = dict.fromkeys((policy.scale_rule.value, *_RULES))
    own = (
        BlockModel(
            "S14",
            f"divided by the scale of the rule {rule}, another one is stored{how}",
            type("Own", (cls,), {"rule": rule}),
        )
        for rule in rules
        if rule not in ("stochastic", "mse", "mae")
        for cls, how in ((_OwnScale, ""), (_OwnExponent, "; the ends apart"))
    )
    wide = (
        BlockModel(
            "S14",
            f"divided in {outer} by the unrounded amax / max in {inner}{rest}",
            type("Wide", (_WideQuotient,), {"inner": inner, "outer": outer, "by_one": by_one}),
        )
        for by_one, rest in ((False, ""), (True, ", by 1 where that is 0"))
        for inner in ("float32", "float64")
        for outer in ("float32", "float64")
    )
    guarded = (
        BlockModel(
            "S12",
            f"divided by at least {bound:.3g}, whatever the stored scale is",
            type("Divisor", (_GuardedDivisor,), {"bound": bound}),
        )
        for bound in _BOUNDS
    )
    lowest = (
        BlockModel(fault, f"under scale code 0 {how}", type("Lowest", (_UnderLowest,), flags))
        for fault, how, flags in _UNDER_LOWEST
    )
    return (*own, *wide, *guarded, *lowest)


class _OwnScale(Quantizer):
    """S14: the stored scale was changed after the elements were made."""

    rule = "floor"

    def elements(self, x: npt.NDArray[np.generic], scales: Bytes, stats: BlockStats) -> Bytes:
        own = Selector(self.fmt, self.policy.replace(scale_rule=self.rule)).select(stats)
        return self.encode(x, np.where(scales == 0xFF, scales, own).astype(np.uint8))


class _OwnExponent(Quantizer):
    """S14: as many steps beside the stored scale as the rules differ, without a clamp."""

    rule = "floor"

    def elements(self, x: npt.NDArray[np.generic], scales: Bytes, stats: BlockStats) -> Bytes:
        amax = np.where(stats.amax > 0, stats.amax, 1.0)
        other = Selector(self.fmt, self.policy.replace(scale_rule=self.rule)).exponent(amax)
        steps = other - Selector(self.fmt, self.policy).exponent(amax)
        return self.encode(np.ldexp(as_float64(x), -steps[:, None]), scales)


class _GuardedDivisor(Quantizer):
    bound = 1e-12

    def elements(self, x: npt.NDArray[np.generic], scales: Bytes, stats: BlockStats) -> Bytes:  # noqa: ARG002
        wide = as_float64(x)
        scale = np.ldexp(1.0, scales.astype(np.int64) - 127)
        small = (scale < self.bound) & (scales != 0xFF)
        bound = round_to_float(np.asarray(self.bound), "float32")
        quotient = wide / np.where(small, bound, 1.0)[:, None]
        guarded = self.encode(quotient, np.full_like(scales, 127))
        return np.where(small[:, None], guarded, self.encode(x, scales))


class _UnderLowest(Quantizer):
    """S14, S12: the lowest scale, a subnormal of float32, is not divided by as it is."""

    stands_in: int | None = None  # the scale code that is divided by; None: every element is zero
    keeps_sign = True

    def elements(self, x: npt.NDArray[np.generic], scales: Bytes, stats: BlockStats) -> Bytes:  # noqa: ARG002
        lowest = scales == 0
        if self.stands_in is not None:
            return self.encode(x, np.where(lowest, self.stands_in, scales).astype(np.uint8))
        zero = np.copysign(0.0, as_float64(x)) if self.keeps_sign else np.zeros(x.shape)
        return self.encode(np.where(lowest[:, None], zero.astype(x.dtype), x), scales)


_UNDER_LOWEST: tuple[tuple[str, str, dict[str, int | bool]], ...] = (
    ("S14", "divided by 2^-126", {"stands_in": 1}),
    ("S14", "not divided", {"stands_in": 127}),
    ("S12", "all elements are zeros of their signs", {}),
    ("S12", "all elements are +0", {"keeps_sign": False}),
)


class _WideQuotient(Quantizer):
    """S14: elements are divided by amax / max, each in one of two precisions."""

    inner, outer = "float32", "float32"
    by_one = False

    def elements(self, x: npt.NDArray[np.generic], scales: Bytes, stats: BlockStats) -> Bytes:
        wide = as_float64(x)
        scale = stats.amax / float(self.fmt.element.max)
        if self.inner == "float32":
            scale = round_to_float(scale, "float32")
        usable = (scale > 0) & (scales != 0xFF)
        quotient = wide / np.where(usable, scale, 1.0)[:, None]
        if self.outer == "float32":
            finite = np.isfinite(quotient)
            single = round_to_float(np.where(finite, np.abs(quotient), 0.0), "float32")
            quotient = np.where(finite, np.copysign(single, quotient), quotient)
        codes = self.encode(quotient, np.full_like(scales, 127))
        rest = np.where(scales == 0xFF, scales, 127) if self.by_one else scales
        return np.where(usable[:, None], codes, self.encode(x, rest.astype(np.uint8)))


# --- a second scale ---------------------------------------------------------------------------


def second_scale(factor: float) -> BlockModel:
    """One factor by which all elements were multiplied, the scales not: S14 or S16.

    Examples
    --------
    >>> second_scale(3.0).detail, second_scale(4.0).detail
    ('multiplied by 3', 'divided by 2^-2 times the stored scale')
    """
    mantissa, exponent = np.frexp(factor)
    cls = type("Second", (_SecondScale,), {"factor": factor})
    if mantissa == 0.5:  # a power of two: another scale of the same kind
        return BlockModel("S14", f"divided by 2^{1 - exponent} times the stored scale", cls)
    return BlockModel("S16", f"multiplied by {factor:.9g}", cls)


class _SecondScale(Quantizer):
    factor = 1.0

    def elements(self, x: npt.NDArray[np.generic], scales: Bytes, stats: BlockStats) -> Bytes:  # noqa: ARG002
        wide = as_float64(x)
        with np.errstate(invalid="ignore", over="ignore"):
            product = np.where(np.isfinite(wide), np.abs(wide) * self.factor, 0.0)
            single = np.copysign(round_to_float(product, "float32"), wide)
        return self.encode(np.where(np.isfinite(wide), single, wide), scales)
