"""A staged BDR quantizer and dequantizer over NumPy arrays, whose stages a fault replaces.

It is independent of ``mxref.exact.bdr`` and of the kernels. Every stage is a method: a fault
overrides one and calls ``super()``, so that faults of different stages combine. Each level is made
given those above it: sub-scales from given scales, codes from given scales and sub-scales. So what
somebody emitted can be judged level by level.

Notes
-----
Everything is float64 and exact: scales are powers of two, an input has at most 53 significant bits,
and what scaling would push out of float64 is replaced by 2**+-1000, which encodes alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults.encoder import Bools, Bytes, Floats, Ints, as_float64, least_normal
from mxref.relatives.bdr_format import BDRFormat, Element
from mxref.relatives.bdr_policy import BDRPolicy

__all__ = ["Lanes", "Model", "Scales", "neighbours", "scaled"]

Scales = npt.NDArray[Any]
"""Codes of power-of-two scales, uint8, or float32 scales."""

_FAR = 2.0**1000  # beyond every format, and its inverse below every format
_NOWHERE = -(1 << 20)  # the exponent of zero


@dataclass(frozen=True, slots=True)
class Lanes:
    """What a quantizer knows of each number of blocks as rows.

    Attributes
    ----------
    sign, nan, inf : ndarray of bool, shape (n, k)
    magnitude : ndarray of float64, shape (n, k)
        0 for NaN, infinity and what is flushed.
    """

    sign: Bools
    nan: Bools
    inf: Bools
    magnitude: Floats


class Model:
    """The correct quantizer of a format with power-of-two scales; a fault overrides a stage.

    Parameters
    ----------
    fmt : BDRFormat
    policy : BDRPolicy
        Deterministic: a fault in a stochastic rounding cannot be told from other random bits.

    Attributes
    ----------
    around : ndarray of float64, shape (n, 3), or None
        amax of the block before, behind, and of the other one of a pair, where the rows are not
        all there is. `scales` takes them from the rows otherwise.
    own : ndarray, shape (n,), or None
        The scales that would be right, where rows are parts of blocks.

    Raises
    ------
    ValueError
        If the rounding is stochastic.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import BDR_FORMATS
    >>> model = Model(BDR_FORMATS["mx6"], BDRPolicy())
    >>> scales, shifts, codes = model.quantize(np.array([[3.0, 0.5, -0.75] + [0.0] * 13]))
    >>> scales, shifts[0, :3], codes[0, :4]
    (array([128], dtype=uint8), array([0, 1, 1], dtype=uint8), array([12,  2, 22,  0], dtype=uint8))
    """

    def __init__(self, fmt: BDRFormat, policy: BDRPolicy) -> None:
        if policy.rounding.value.startswith("stochastic"):
            raise ValueError(
                f"rounding={policy.rounding} depends on random bits, which this model does not "
                "take; quantize with random=... and compare the codes"
            )
        self.fmt, self.policy = fmt, policy
        self.tiny = 0.0
        self.around: Floats | None = None
        self.own: Scales | None = None

    def quantize(self, x: npt.NDArray[Any]) -> tuple[Scales, Bytes | None, Bytes]:
        """Return scales (n,), sub-scales (n, p) or None, and codes (n, k) of blocks as rows."""
        scales = self.scales(x)
        subscales = self.subscales(x, scales) if self.fmt.has_subscales else None
        return scales, subscales, self.codes(x, scales, subscales)

    def look(self, x: npt.NDArray[Any]) -> Lanes:
        """Separate sign, NaN, infinity and magnitude."""
        self.tiny = least_normal(np.asarray(x).dtype)
        wide = as_float64(x)
        nan, inf, sign = np.isnan(wide), np.isinf(wide), np.signbit(wide)
        magnitude = np.where(nan | inf, 0.0, np.abs(wide))
        if self.policy.input_subnormal == "flush":
            magnitude = np.where(magnitude < self.tiny, 0.0, magnitude)
        return Lanes(sign, nan, inf, magnitude)

    # --- scales -------------------------------------------------------------------------------

    def scales(self, x: npt.NDArray[Any]) -> Scales:
        """Return the scales of blocks as rows."""
        lanes = self.look(x)
        seen = self.seen(lanes)
        amax = self.amax(seen)
        exponent = self.exponent(amax)
        if self.policy.shared_exponent == "after-rounding":
            exponent = exponent + self.overflows(lanes, exponent[:, None]).any(1)
        codes = np.where(amax == 0, self.of_zeros(), self.ends(self.biased(exponent)))
        return np.where(self.is_nan(lanes), self.fmt.nan_scale, codes).astype(np.uint8)

    def seen(self, lanes: Lanes) -> Floats:
        """Return the magnitudes over which amax is taken."""
        return lanes.magnitude

    def amax(self, seen: Floats) -> Floats:
        """Return the largest of each row."""
        return np.asarray(seen.max(1, initial=0.0))

    def exponent(self, amax: Floats) -> Ints:
        """Return the exponent of a magnitude."""
        found = np.frexp(amax)[1].astype(np.int64) - 1
        return np.where(amax == 0, _NOWHERE, found)

    def biased(self, exponent: Ints) -> Ints:
        """Add the bias to the exponent of a block."""
        return exponent + self.fmt.bias

    def ends(self, code: Ints) -> Ints:
        """Bring a code into the range of scales that are numbers."""
        above = self.fmt.max_scale if self.policy.scale_above == "clamp" else self.fmt.nan_scale
        return np.where(code > self.fmt.max_scale, above, np.maximum(code, 0))

    def of_zeros(self) -> int:
        """Return the scale of a block of zeros."""
        return self.fmt.bias if self.policy.zero_block == "one" else 0

    def is_nan(self, lanes: Lanes) -> Bools:
        """Return which blocks get the NaN scale because of what they hold."""
        found = np.zeros(len(lanes.nan), np.bool_)
        if self.policy.nan == "nan-scale":
            found |= lanes.nan.any(1)
        if self.policy.inf == "nan-scale":
            found |= lanes.inf.any(1)
        return found

    # --- sub-scales ---------------------------------------------------------------------------

    def subscales(self, x: npt.NDArray[Any], scales: Scales) -> Bytes:
        """Return the shifts of sub-blocks under given scales."""
        lanes = self.look(x)
        shifts = self.shifts(lanes, scales.astype(np.int64))
        is_off = (scales == self.fmt.nan_scale) | (self.policy.shift == "off")
        is_off = is_off | self.flushed(lanes, scales)
        return np.where(is_off[:, None], 0, shifts).astype(np.uint8)

    def shifts(self, lanes: Lanes, codes: Ints) -> Ints:
        """Return the shifts under scale codes that are numbers."""
        largest = self.of_subblock(self.by_subblock(self.seen_below(lanes)))
        below = np.where(largest == 0, 0, self.sub_exponent(largest) + self.fmt.bias)
        shift = self.capped(codes[:, None] - below)
        if self.policy.shared_exponent == "after-rounding":
            exponent = self.per_lane(codes[:, None] - self.fmt.bias - shift)
            over = self.by_subblock(self.overflows(lanes, exponent)).any(2)
            shift = np.where(over & (shift > 0), shift - 1, shift)
        if self.policy.zero_subblock == "unshifted":
            shift = np.where(largest == 0, 0, shift)
        return np.where((lanes.magnitude == 0).all(1)[:, None], 0, shift)

    def seen_below(self, lanes: Lanes) -> Floats:
        """Return the magnitudes of which sub-blocks look at the largest."""
        return lanes.magnitude

    def of_subblock(self, seen: Floats) -> Floats:
        """Return the largest of each sub-block, (n, p, k2) to (n, p)."""
        return np.asarray(seen.max(2, initial=0.0))

    def sub_exponent(self, largest: Floats) -> Ints:
        """Return the exponent of the largest magnitude of a sub-block."""
        return Model.exponent(self, largest)

    def capped(self, gap: Ints) -> Ints:
        """Return the shift for a distance between the exponents of block and sub-block."""
        return np.clip(gap, 0, self.fmt.max_shift)

    def by_subblock(self, lanes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return (n, k) as (n, p, k2)."""
        return lanes.reshape(len(lanes), -1, self.fmt.k2)

    def per_lane(self, of_subblocks: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return (n, p) as (n, k)."""
        return np.repeat(of_subblocks, self.fmt.k2, axis=1)

    # --- elements -----------------------------------------------------------------------------

    def codes(self, x: npt.NDArray[Any], scales: Scales, subscales: Bytes | None) -> Bytes:
        """Return the codes of elements under given scales and sub-scales."""
        lanes = self.look(x)
        codes = self.pack(lanes, self.limited(lanes, self.whole(lanes, scales, subscales)))
        gone = scales == self.fmt.nan_scale
        gone = gone | self.flushed(lanes, scales)
        return np.where(gone[:, None], 0, codes).astype(np.uint8)

    def whole(self, lanes: Lanes, scales: Scales, subscales: Bytes | None) -> Ints:
        """Return magnitudes in steps of the element, rounded to whole ones."""
        exponent = scales.astype(np.int64)[:, None] - self.fmt.bias
        if subscales is not None:
            exponent = exponent - self.per_lane(self.applied(lanes, scales, subscales))
        return self.rounded(lanes, self.steps(lanes, exponent))

    def applied(self, lanes: Lanes, scales: Scales, subscales: Bytes) -> Ints:  # noqa: ARG002  # for faults
        """Return the shifts by which elements are shifted: those that are stored."""
        return subscales.astype(np.int64)

    def steps(self, lanes: Lanes, exponent: Ints) -> Floats:
        """Return magnitudes in steps of the element under an exponent."""
        return scaled(lanes.magnitude, self.fmt.m - 1 - exponent)

    def rounded(self, lanes: Lanes, steps: Floats) -> Ints:
        """Round to whole steps."""
        whole = np.floor(np.minimum(steps, 2.0**40))
        rest = np.where(steps > 2.0**40, 0.0, steps - whole)
        kept = whole.astype(np.int64)
        return kept + self.goes_up(lanes, kept, rest)

    def goes_up(self, lanes: Lanes, kept: Ints, rest: Floats) -> Bools:
        """Return where a magnitude is rounded away from zero."""
        up: Bools = np.zeros(kept.shape, np.bool_)
        match self.policy.rounding.value:
            case "nearest-even":
                up = (rest > 0.5) | ((rest == 0.5) & (kept & 1 == 1))
            case "nearest-away":
                up = rest >= 0.5
            case "nearest-down":
                up = rest > 0.5
            case "half-up":
                up = (rest > 0.5) | ((rest == 0.5) & ~lanes.sign)
            case "up":
                up = (rest > 0) & ~lanes.sign
            case "down":
                up = (rest > 0) & lanes.sign
            case "to-odd":
                up = (rest > 0) & (kept & 1 == 0)
        return up

    def limit(self, lanes: Lanes) -> Ints:
        """Return the largest magnitude of each sign."""
        top = self.fmt.max_magnitude
        is_lower = self.fmt.element is Element.TWOS_COMPLEMENT and self.policy.int_min == "used"
        return np.where(lanes.sign & is_lower, top + 1, top).astype(np.int64)

    def overflows(self, lanes: Lanes, exponent: Ints) -> Bools:
        """Return which elements would round beyond the largest code under an exponent."""
        rounded = Model.rounded(self, lanes, Model.steps(self, lanes, exponent))
        return np.asarray(rounded > Model.limit(self, lanes))

    def limited(self, lanes: Lanes, whole: Ints) -> Ints:
        """Bring magnitudes into range, and place those of NaN and infinity."""
        limit = self.limit(lanes)
        found = np.minimum(whole, limit)
        found = np.where(lanes.inf, 0 if self.policy.inf == "zero" else limit, found)
        return np.where(lanes.nan, self.of_nan(), found)

    def of_nan(self) -> int:
        """Return the magnitude of a NaN under a scale that is a number; it has no sign."""
        return self.fmt.max_magnitude if self.policy.nan == "max" else 0

    def pack(self, lanes: Lanes, magnitude: Ints) -> Ints:
        """Put sign and magnitude together."""
        sign = lanes.sign & ~lanes.nan
        if self.fmt.element is Element.TWOS_COMPLEMENT:
            return np.where(sign, -magnitude, magnitude) & (self.fmt.code_count - 1)
        if self.policy.neg_zero == "drop":
            sign = sign & (magnitude != 0)
        return magnitude | np.where(sign, self.fmt.sign_mask, 0)

    def flushed(self, lanes: Lanes, scales: Scales) -> Bools:
        """Return which blocks lie below the scales that there are, and are zeros."""
        if self.policy.scale_below != "flush":
            return np.zeros(len(scales), np.bool_)
        amax = lanes.magnitude.max(1, initial=0.0)
        exponent = Model.exponent(self, amax)
        if self.policy.shared_exponent == "after-rounding":
            exponent = exponent + self.overflows(lanes, exponent[:, None]).any(1)
        below = exponent + self.fmt.bias < 0
        return np.asarray(below & (amax > 0) & (scales == 0))


def neighbours(amax: Floats) -> Floats:
    """Return amax of the block before, of the one behind, and of the other one of a pair.

    Examples
    --------
    >>> neighbours(np.array([1.0, 2.0, 3.0])).tolist()
    [[0.0, 2.0, 2.0], [1.0, 3.0, 1.0], [2.0, 0.0, 0.0]]
    """
    padded = np.concatenate([[0.0], amax, [0.0, 0.0]])
    before, behind = padded[:-3], padded[2:-1]
    is_first = np.arange(len(amax)) % 2 == 0
    return np.stack([before, behind, np.where(is_first, behind, before)], 1)


def scaled(magnitude: Floats, power: Ints) -> Floats:
    """Multiply by a power of two; what leaves float64 is far out or next to nothing, not lost.

    Examples
    --------
    >>> scaled(np.array([5e-324, 3.0]), np.array([-100, 1])).tolist() == [2.0**-1000, 6.0]
    True
    """
    with np.errstate(over="ignore", under="ignore"):
        found = np.asarray(np.ldexp(magnitude, power))
    lost = ((found < 1 / _FAR) & (magnitude > 0)) | (found > _FAR)
    if not lost.any():
        return found
    return np.where(lost, np.where(power > 0, _FAR, 1 / _FAR), found)
