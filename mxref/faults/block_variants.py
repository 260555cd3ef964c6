"""Variants of block faults that a check searches for, beyond those that measure the vector set.

They show in the elements, the stored scales given, and differ from a variant of
`mxref.faults.block` in rare inputs or have a parameter that is read off the data.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mxref.faults.block import BlockModel, Quantizer
from mxref.faults.encoder import Bytes, Floats, as_float64, round_to_float
from mxref.faults.scale import Selector
from mxref.faults.stats import BlockStats
from mxref.policy import Policy

__all__ = ["block_variants", "second_scale", "special_blocks"]

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
    before = BlockModel("S14", _BEFORE_WRAP, _BeforeWrap)
    return (*own, *wide, *guarded, *lowest, before)


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

    stands_in: int | None = None  # the scale code that is divided by; None: every element is +0

    def elements(self, x: npt.NDArray[np.generic], scales: Bytes, stats: BlockStats) -> Bytes:  # noqa: ARG002
        lowest = scales == 0
        if self.stands_in is None:
            return np.where(lowest[:, None], 0, self.encode(x, scales)).astype(np.uint8)
        return self.encode(x, np.where(lowest, self.stands_in, scales).astype(np.uint8))


_UNDER_LOWEST: tuple[tuple[str, str, dict[str, int]], ...] = (
    ("S14", "divided by 2^-126", {"stands_in": 1}),
    # What is so small and is not divided vanishes, but for its sign.
    ("S14", "not divided, or flushed to a zero of its sign", {"stands_in": 127}),
    ("S12", "all elements are +0", {}),
)

_BEFORE_WRAP = "divided by the scale before its code wrapped"


class _BeforeWrap(Quantizer):
    """S14: the code that is stored wrapped modulo 256, the exponent that is divided by did not."""

    def elements(self, x: npt.NDArray[np.generic], scales: Bytes, stats: BlockStats) -> Bytes:
        exponent = Selector(self.fmt, self.policy).exponent(np.where(stats.amax > 0, stats.amax, 1))
        code = exponent + 127
        wrapped = ((code < 0) | (code > 0xFE)) & ((code & 0xFF) == scales) & stats.is_normal
        quotient = np.ldexp(as_float64(x), -np.where(wrapped, exponent, 0)[:, None])
        own = self.encode(quotient, np.full_like(scales, 127))
        return np.where(wrapped[:, None], own, self.encode(x, scales))


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


# --- blocks that hold NaN or infinity ---------------------------------------------------------


def special_blocks(x: npt.NDArray[np.generic], given: Bytes) -> tuple[BlockModel, ...]:
    """S11: codes that say nothing of the numbers beside NaN or infinity, as the data show them.

    The second model has the scale that wraps as well: an exponent that leaves its range does both.

    Parameters
    ----------
    x, given : ndarray, shape (n, k)
        Blocks whose stored scale is none of NaN, and their codes.

    Examples
    --------
    >>> x = np.array([[np.nan, 1, 2, 3, 4, 5, 6, 7, -8]])
    >>> special_blocks(x, np.uint8([[126] * 8 + [254]]))[0].detail
    'in a block of NaN or infinity every code is 0x7e or 0xfe'
    >>> special_blocks(x, np.uint8([[126, 1, 2, 3, 4, 5, 6, 7, 8]]))
    ()
    """
    wide = as_float64(x)
    rows = ~np.isfinite(wide).all(1)
    sort, codes = _sort(wide[rows]), given[rows]
    if len(np.unique(np.abs(wide[rows][sort // 2 == 1]))) < _DIFFERENT:
        return ()  # too few numbers to say that they do not matter
    table = np.full(8, -1)
    for one in np.unique(sort):
        found = np.unique(codes[sort == one])
        if len(found) > 1:
            return ()
        table[one] = found[0]
    names = " or ".join(f"0x{code:02x}" for code in np.unique(table[table >= 0]))
    detail = f"in a block of NaN or infinity every code is {names}"
    alone = type("Special", (_SpecialBlocks,), {"table": table})
    both = type("Both", (_SpecialBlocks, _BeforeWrap), {"table": table})
    return (
        BlockModel("S11", detail, alone),
        BlockModel("S14", f"{_BEFORE_WRAP}; {detail}", both),
    )


_DIFFERENT = 3


def _sort(x: Floats) -> npt.NDArray[np.intp]:
    """Twice 0 for zeros, 1 for numbers, 2 for infinities, 3 for NaN; 1 more for negative ones."""
    kind = np.select([np.isnan(x), np.isinf(x), x != 0], [3, 2, 1], 0)
    return np.asarray(2 * kind + np.signbit(x), np.intp)


class _SpecialBlocks(Quantizer):
    table: npt.NDArray[np.int64] = np.full(8, -1)

    def elements(self, x: npt.NDArray[np.generic], scales: Bytes, stats: BlockStats) -> Bytes:
        constant = self.table[_sort(as_float64(x))]
        special = (stats.has_nan | stats.has_inf)[:, None] & (constant >= 0)
        rest = super().elements(x, scales, stats)
        return np.where(special, constant, rest).astype(np.uint8)
