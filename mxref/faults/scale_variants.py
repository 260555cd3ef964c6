"""Variants of scale faults that a check searches for, beyond those that measure the vector set.

They differ from a variant of `mxref.faults.scale_models` in rare inputs, or have a parameter that
is read off the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults._logarithm import floor_log2_float32
from mxref.faults.e8m0 import FULL_MASK, CastModel, E8M0Cast, masked_bits
from mxref.faults.encoder import Bytes, Floats, Ints, as_float64, round_to_float
from mxref.faults.scale import ScaleModel, Selector, split
from mxref.faults.scale_models import constant_model
from mxref.faults.stats import BlockStats
from mxref.formats import BlockFormat

__all__ = [
    "mask_models",
    "minus_infinity_model",
    "scale_faults_seen",
    "scale_variants",
    "second_scale_of_amax",
]

_SHIFTS = (-1, 1, -2, 2, -3, 3)
_TINY = 2.0**-100  # beyond that it is a rule, not the end of the range
_BOUNDS = (1e-4, 1e-5, 1e-6, 1e-8, 1e-10, 1e-12, 1e-16, 1e-20, 1e-30, 1e-36, 1e-38)


def scale_variants() -> tuple[ScaleModel, ...]:
    """Further variants that show in the scale codes.

    Examples
    --------
    >>> scale_variants()[0].detail
    '-1 on the finished byte, modulo 256'
    """
    shifted = (
        ScaleModel("S6", f"{shift:+d} on the finished byte, {how}", cls, keeps_rule=True)
        for shift in _SHIFTS
        for how, cls in _stored(shift)
    )
    packed = ScaleModel("D16", "2^-127 leaves its mantissa bit before it", _Packed, keeps_rule=True)
    found = (*shifted, *_lowest_binade(), *_ties(), *_guards(), *_wrong_sets(), *_in_float32())
    return (*found, packed)


def _stored(shift: int) -> Iterator[tuple[str, type[Selector]]]:
    for how, top, keeps_nan in (
        ("modulo 256", None, False),
        ("clamped", 0xFF, False),
        ("clamped, NaN kept", 0xFE, True),
    ):
        flags = {"shift": shift, "top": top, "keeps_nan": keeps_nan}
        yield how, type("Stored", (_Stored,), flags)


class _Stored(Selector):
    shift = 1
    top: int | None = None
    keeps_nan = False

    def select(self, stats: BlockStats) -> Bytes:
        code = super().select(stats)
        moved = code.astype(np.int64) + self.shift
        moved = moved & 0xFF if self.top is None else np.clip(moved, 0, self.top)
        if self.keeps_nan:
            moved = np.where(code == 0xFF, code, moved)
        return moved.astype(np.uint8)


class _Packed(Selector):
    """D16: four float32 scales are shifted into one word as though they had no mantissa.

    Only 2^-127 has one, as a subnormal; its bit lands in the highest of the byte before.
    """

    def select(self, stats: BlockStats) -> Bytes:
        code = super().select(stats)
        if "next_odd" not in stats.parts:
            return code
        odd = stats.parts["next_odd"]
        behind = replace(stats, amax=stats.parts["next"], has_nan=odd >= 2, has_inf=odd % 2 == 1)
        hit = (super().select(behind) == 0) & (stats.parts["place"] % 4 < 3)
        return np.where(hit, code | 0x80, code).astype(np.uint8)


def _lowest_binade() -> Iterator[ScaleModel]:
    """S17 where the cast to E8M0 stands behind a division by the largest element, or by 2^emax."""
    for by_max, detail in ((True, "of amax / max"), (False, "of amax / 2^emax")):
        cls = type("Lowest", (_LowestBinade,), {"by_max": by_max})
        yield ScaleModel("S17", detail, cls, keeps_rule=True)


class _LowestBinade(Selector):
    by_max = True

    def select(self, stats: BlockStats) -> Bytes:
        code = super().select(stats)
        largest = float(self.fmt.element.max) if self.by_max else 2.0**self.emax
        quotient = round_to_float(stats.amax / largest, "float32")
        between = (quotient > 2.0**-127) & (quotient < 1.5 * 2.0**-127)
        between &= ~stats.has_nan & ~stats.has_inf
        return np.where(between, 1, code).astype(np.uint8)


def mask_models(mask_of_amax: int, mask_of_quotient: int) -> Iterator[ScaleModel]:
    """S8: a rule that rounds up looks at some bits of the significand only.

    Parameters
    ----------
    mask_of_amax, mask_of_quotient : int
        The bits that count, of amax / 2^emax and of the float32 quotient amax / max; as
        `mxref.faults.e8m0.masked_bits` reads them off. No model comes of 0 or of `FULL_MASK`.
    """
    for mask, divides, what in (
        (mask_of_quotient, True, "amax / max"),
        (mask_of_amax, False, "amax"),
    ):
        if mask not in (0, FULL_MASK):
            cls = type("Masked", (_Masked,), {"mask": mask, "divides": divides})
            yield ScaleModel("S8", f"only bits 0x{mask:06x} of the mantissa of {what} count", cls)


def _in_float32() -> Iterator[ScaleModel]:
    """S1 to S4 as code computes them: of a float32 quotient, or of its float32 logarithm."""
    for fault, step in (("S1", 0.0), ("S3", 0.5)):
        for by_log, what in ((False, "quotient"), (True, "logarithm")):
            if by_log or fault == "S1":
                cls = type("Single", (_Single,), {"by_log": by_log, "added": step})
                yield ScaleModel(fault, f"of a float32 {what}", cls)
    linear = type("Single", (_Single,), {"is_linear": True})
    yield ScaleModel("S2", "of a float32 quotient", linear)
    cls = type("Single", (_Single,), {"divides": False, "by_log": True})
    yield ScaleModel("S4", "of a float32 logarithm", cls)


class _Single(Selector):
    divides = True
    by_log = False
    is_linear = False
    added = 0.0

    def exponent(self, amax: Floats) -> Ints:
        number = round_to_float(amax, "float32")
        if self.divides:
            number = round_to_float(number / float(self.fmt.element.max), "float32")
        number = np.where(number > 0, number, 1.0)  # frexp(0) has the exponent of 1/2 or 1
        if self.by_log and self.added:
            logarithm = np.log2(number).astype(np.float32)
            return np.rint(logarithm).astype(np.int64)
        if self.by_log:
            return floor_log2_float32(number)
        m, exponent = split(number)
        return np.asarray(exponent + (self.is_linear & (m >= 1.5)))


class _Masked(Selector):
    mask = FULL_MASK
    divides = True

    def exponent(self, amax: Floats) -> Ints:
        number = amax
        if self.divides:
            number = round_to_float(amax / float(self.fmt.element.max), "float32")
        m, exponent = split(np.where(number > 0, number, 1.0))
        up = ((m - 1) * 2.0**23).astype(np.int64) & self.mask != 0
        return np.asarray(exponent + up - (0 if self.divides else self.emax))


def second_scale_of_amax(factor: float) -> ScaleModel:
    """S16 with one factor, as it shows in the scales: amax is multiplied by it as well.

    Examples
    --------
    >>> second_scale_of_amax(3.0).keeps_rule
    True
    """

    class Multiplied(Selector):
        def measure(self, stats: BlockStats) -> Floats:
            return round_to_float(super().measure(stats) * factor, "float32")

    return ScaleModel("S16", f"multiplied by {factor:.9g}", Multiplied, keeps_rule=True)


class _TieByUnbiased(Selector):
    """S9: nearest power of two to amax, a tie decided by the last bit of the unbiased exponent."""

    def exponent(self, amax: Floats) -> Ints:
        m, exponent = split(amax)
        up = (m > 1.5) | ((m == 1.5) & (exponent & 1 == 1))
        return np.asarray(exponent - self.emax + up)


def _ties() -> Iterator[ScaleModel]:
    yield ScaleModel("S9", "ties by the last bit of the unbiased exponent", _TieByUnbiased)


def _guards() -> Iterator[ScaleModel]:
    """S12: an amax below a bound counts as 1, or gets the scale 1."""
    for bound in _BOUNDS:
        for is_code, what in ((True, "the scale 1"), (False, "amax 1")):
            cls = type("Guarded", (_Guarded,), {"bound": bound, "is_code": is_code})
            yield ScaleModel("S12", f"{what} where amax is below {bound:.3g}", cls, keeps_rule=True)


class _Guarded(Selector):
    bound = 2.0**-126
    is_code = True

    def select(self, stats: BlockStats) -> Bytes:
        small = (stats.amax < self.bound) & ~stats.has_nan & ~stats.has_inf
        one = self.to_code(np.zeros(1, np.int64))
        if not self.is_code:
            one = self.to_code(self.exponent(np.ones(1)))
        return np.where(small, one[0], super().select(stats)).astype(np.uint8)


def _wrong_sets() -> Iterator[ScaleModel]:
    """S15 where NaN and infinity of the neighbour count too, and by the largest signed value."""
    for name, what in (("pair", "two blocks share"), ("previous", "the one before has")):
        cls = type("Seen", (_Seen,), {"part": name})
        detail = f"{what} the larger amax, with NaN and infinity"
        yield ScaleModel("S15", detail.replace("has the larger", "gives its"), cls, keeps_rule=True)
    cls = type("Seen", (_Seen,), {"part": "next"})
    detail = "the one behind gives its amax, with NaN and infinity"
    yield ScaleModel("S15", detail, cls, keeps_rule=True)
    for absolute, how in ((False, "0 where all are negative"), (True, "its magnitude")):
        cls = type("Signed", (_Signed,), {"absolute": absolute})
        detail = f"the largest value, not the largest magnitude; {how}"
        yield ScaleModel("S15", detail, cls, keeps_rule=True)


class _Seen(Selector):
    part = "pair"

    def select(self, stats: BlockStats) -> Bytes:
        if f"{self.part}_odd" not in stats.parts:
            return super().select(stats)
        odd = stats.parts[f"{self.part}_odd"]
        amax = stats.parts[self.part]
        return super().select(replace(stats, amax=amax, has_nan=odd >= 2, has_inf=odd % 2 == 1))


class _Signed(Selector):
    absolute = False

    def measure(self, stats: BlockStats) -> Floats:
        signed = stats.parts["signed"]
        return np.abs(signed) if self.absolute else np.maximum(signed, 0.0)


def scale_faults_seen(stats: BlockStats, given: Bytes, fmt: BlockFormat) -> tuple[ScaleModel, ...]:
    """S8 with the masks, and S11 with the codes at the ends, that the data show.

    Parameters
    ----------
    stats : BlockStats
        One-dimensional.
    given : ndarray of uint8
        Emitted scale codes.
    fmt : BlockFormat
    """
    found = [*_constants_seen(stats, given), *_lowest_seen(stats, given)]
    usable = stats.is_normal & (given > 1) & (given < 0xFD)
    amax, code = stats.amax[usable], given[usable].astype(np.int64) - 127
    if len(amax):
        m, exponent = split(amax)
        quotient = round_to_float(amax / float(fmt.element.max), "float32")
        q, low = split(np.where(quotient > 0, quotient, 1.0))
        of_amax = masked_bits(m, code > exponent - fmt.element.emax)
        found += mask_models(of_amax, masked_bits(q, code > low))
    return tuple(found)


def _constants_seen(stats: BlockStats, given: Bytes) -> Iterator[ScaleModel]:
    only_inf = stats.has_inf & ~stats.has_nan
    for of_nan, where, what in ((True, stats.has_nan, "NaN"), (False, only_inf, "infinity")):
        codes = np.unique(given[where])
        if len(codes) == 1 and codes[0] != 0xFF:
            yield constant_model(what, int(codes[0]), f"0x{int(codes[0]):02x}", of_nan=of_nan)
    both = np.unique(given[stats.has_nan | stats.has_inf])
    if len(both) == 1 and both[0] != 0xFF and stats.has_nan.any() and only_inf.any():
        cls = type("Special", (_Special,), {"code": int(both[0])})
        detail = f"NaN and infinity in a block give 0x{int(both[0]):02x}"
        yield ScaleModel("S11", detail, cls, keeps_rule=True)


class _Special(Selector):
    """S11: one code for every block that holds NaN or infinity."""

    code = 0

    def select(self, stats: BlockStats) -> Bytes:
        special = stats.has_nan | stats.has_inf
        return np.where(special, self.code, super().select(stats)).astype(np.uint8)


def _lowest_seen(stats: BlockStats, given: Bytes) -> Iterator[ScaleModel]:
    """S11: one code for every amax up to a bound, where a quotient has become 0, say."""
    where = stats.is_normal & (stats.amax < _TINY)
    amax, code = stats.amax[where], given[where]
    if not len(amax):
        return
    least = code[amax.argmin()]
    others = amax[code != least]
    bound = float(amax[amax < others.min()].max(initial=0.0) if len(others) else amax.max())
    if bound and least:  # 0 is the right code down there
        cls = type("UpTo", (_UpTo,), {"bound": bound, "code": int(least)})
        detail = f"amax up to {bound:.9g} gives 0x{int(least):02x}"
        yield ScaleModel("S11", detail, cls, keeps_rule=True)


class _UpTo(Selector):
    bound = 0.0
    code = 0

    def select(self, stats: BlockStats) -> Bytes:
        low = stats.is_normal & (stats.amax <= self.bound)
        return np.where(low, self.code, super().select(stats)).astype(np.uint8)


# --- a lone scale -----------------------------------------------------------------------------


def minus_infinity_model(code: int) -> CastModel:
    """S11 of the cast to E8M0, with the code that the data show for minus infinity.

    Examples
    --------
    >>> minus_infinity_model(0xFE).detail
    'minus infinity gives 0xfe'
    """
    cls = type("MinusInfinity", (_MinusInfinity,), {"code": code})
    return CastModel("S11", f"minus infinity gives 0x{code:02x}", cls)


class _MinusInfinity(E8M0Cast):
    code = 0xFE

    def encode(self, x: npt.NDArray[Any]) -> Bytes:
        return np.where(np.isneginf(as_float64(x)), self.code, super().encode(x)).astype(np.uint8)
