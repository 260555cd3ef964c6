"""The staged model of BDR formats with a float32 scale: scaled integers, VSQ and scaled FP8.

Notes
-----
Where a policy asks for float32 arithmetic, NumPy's float32 does it. What it leaves exact is a
quotient of float64: a tie times a scale and its sub-scale has at most 41 significant bits, an input
24, so that a quotient which is no tie is further from one than float64 can round.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults.bdr_model import Lanes, Model, Scales, scaled
from mxref.faults.encoder import Bools, Bytes, Floats, Ints
from mxref.relatives.bdr_format import BDRFormat, ScaleKind, SubscaleKind

__all__ = ["ScaledModel", "model_of"]

_LEAST = 2.0**-149
_LARGEST = float(np.finfo(np.float32).max)
_FAR = 2.0**1000

Singles = npt.NDArray[np.float32]


class ScaledModel(Model):
    """The correct quantizer of a format with float32 scales; a fault overrides a stage.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import bdr_format
    >>> from mxref.relatives.bdr_policy import BDRPolicy
    >>> model = ScaledModel(bdr_format("scaled_int4:k1=4"), BDRPolicy())
    >>> scales, _, codes = model.quantize(np.array([[3.5, -1.0, 0.25, 0.0]], np.float32))
    >>> scales, codes
    (array([0.5], dtype=float32), array([[ 7, 14,  0,  0]], dtype=uint8))
    """

    def look(self, x: npt.NDArray[Any]) -> Lanes:
        """Separate sign, NaN, infinity and magnitude; a float64 is rounded to float32 first."""
        array = np.asarray(x)
        if array.dtype.itemsize > 4:  # bytes of a float32
            with np.errstate(all="ignore"):
                array = array.astype(np.float32)
        return super().look(array)

    # --- scales -------------------------------------------------------------------------------

    def scales(self, x: npt.NDArray[Any]) -> Scales:
        """Return the float32 scales of blocks as rows."""
        lanes = self.look(x)
        with np.errstate(over="ignore"):
            amax = self.amax(self.seen(lanes)).astype(np.float32)
        found = self.held(self.of_block(self.quotient(amax)))
        found = np.where(amax == 0, np.float32(self.policy.zero_block == "one"), found)
        return np.where(self.is_nan(lanes), np.float32(np.nan), found).astype(np.float32)

    def largest(self) -> np.float32:
        """Return the largest element."""
        return np.float32(self.fmt.largest)

    def quotient(self, amax: Singles) -> Singles:
        """Return amax / largest, the scale that leaves no element out of range."""
        return self.divided(amax, self.largest())

    def divided(self, amax: Singles, largest: np.float32) -> Singles:
        """Divide as the policy says."""
        with np.errstate(all="ignore"):
            if self.policy.scale_quotient == "reciprocal":
                found = amax * (np.float32(1) / largest)
            else:
                found = amax / largest
        return np.asarray(np.minimum(found, np.float32(_LARGEST)))

    def of_block(self, wanted: Singles) -> Singles:
        """Return s, given the largest scale that a sub-block asks for."""
        if self.fmt.subscale is not SubscaleKind.INT:
            return wanted
        return self.divided(wanted, np.float32(self.fmt.max_subscale))

    def held(self, found: Singles) -> Singles:
        """Hold a scale that underflowed at the least number, unless the block is flushed."""
        if self.policy.scale_below == "flush":
            return found
        return np.maximum(found, np.float32(_LEAST))

    # --- sub-scales ---------------------------------------------------------------------------

    def subscales(self, x: npt.NDArray[Any], scales: Scales) -> Bytes:
        """Return integers or shifts of sub-blocks under given scales."""
        lanes = self.look(x)
        s = scales.astype(np.float64)
        nothing = ~np.isfinite(s) | (s <= 0) | (lanes.magnitude == 0).all(1)
        if self.fmt.subscale is SubscaleKind.INT:
            s = np.where(nothing, 1.0, s)
            found = self.integers(self.wanted(lanes).astype(np.float64) / s[:, None])
        else:
            off = self.policy.shift == "off"
            found = self.shifts_of(lanes, np.where(nothing, 1.0, s)) * (not off)
        return np.where(nothing[:, None], 0, found).astype(np.uint8)

    def wanted(self, lanes: Lanes) -> Singles:
        """Return the scale that each sub-block asks for."""
        largest = self.of_subblock(self.by_subblock(self.seen_below(lanes)))
        with np.errstate(over="ignore"):
            return self.divided(largest.astype(np.float32), self.largest())

    def integers(self, quotient: Floats) -> Ints:
        """Round sub-scales to integers."""
        up = self.policy.subscale_rounding == "up"
        whole = np.ceil(quotient) if up else np.rint(quotient)
        return np.minimum(whole, self.fmt.max_subscale).astype(np.int64)

    def shifts_of(self, lanes: Lanes, s: Floats) -> Ints:
        """Return the shifts of sub-blocks, as numbers in units of s have them."""
        quotients = self.quotients(lanes.magnitude, s[:, None])
        quotients = np.where(quotients >= _FAR, 0.0, quotients)  # they saturate under any shift
        largest = self.of_subblock(self.by_subblock(quotients))
        gap = self.fmt.m - 1 - Model.exponent(self, largest)
        shift = self.capped(np.where(largest == 0, self.fmt.max_shift, gap))
        if self.policy.shared_exponent == "after-rounding":
            units = scaled(quotients, self.per_lane(shift))
            over = Model.rounded(self, lanes, units) > self.limit(lanes)
            shift = np.where(self.by_subblock(over).any(2) & (shift > 0), shift - 1, shift)
        if self.policy.zero_subblock == "unshifted":
            shift = np.where(largest == 0, 0, shift)
        return shift

    # --- elements -----------------------------------------------------------------------------

    def codes(self, x: npt.NDArray[Any], scales: Scales, subscales: Bytes | None) -> Bytes:
        """Return the codes of elements under given scales and sub-scales."""
        lanes = self.look(x)
        codes = self.pack(lanes, self.limited(lanes, self.whole(lanes, scales, subscales)))
        gone = ~np.isfinite(scales) | self.flushed(lanes, scales)
        return np.where(gone[:, None], 0, codes).astype(np.uint8)

    def whole(self, lanes: Lanes, scales: Scales, subscales: Bytes | None) -> Ints:
        """Return magnitudes in steps of the element, rounded to whole ones."""
        divisor, shift = self.divisor(lanes, scales, subscales)
        quotients = self.quotients(lanes.magnitude, divisor)
        if shift is not None:
            quotients = scaled(quotients, shift)
        return self.rounded(lanes, self.steps_of(quotients))

    def divisor(
        self, lanes: Lanes, scales: Scales, subscales: Bytes | None
    ) -> tuple[Floats, Ints | None]:
        """Return what elements are divided by, and their shift."""
        s = scales.astype(np.float64)[:, None]
        if subscales is None:
            return s, None
        applied = self.applied(lanes, scales, subscales)
        if self.fmt.subscale is SubscaleKind.POW2:
            return s, self.per_lane(applied)
        if self.policy.element_divisor == "unrounded":
            wanted = np.where(s == 0, 0, self.wanted(lanes).astype(np.float64))
            return self.per_lane(wanted), None
        with np.errstate(invalid="ignore"):  # a scale of infinity, which nobody should store
            return self.per_lane(applied.astype(np.float64) * s), None

    def quotients(self, magnitude: Floats, divisor: Floats) -> Floats:
        """Divide elements as the policy says; zero where the divisor is."""
        kind = self.policy.element_quotient.value
        with np.errstate(all="ignore"):
            if kind == "exact":
                found: npt.NDArray[Any] = magnitude / divisor
            else:
                narrow, rounded = magnitude.astype(np.float32), divisor.astype(np.float32)
                inverse = np.float32(1) / rounded
                found = narrow / rounded if kind == "divide" else narrow * inverse
                if kind == "reciprocal":
                    found = np.where(np.isinf(inverse) & (narrow > 0), np.float32(np.inf), found)
                found = np.where(np.isinf(rounded), np.float32(0), found)
        found = np.where((magnitude == 0) | (divisor == 0), 0.0, found.astype(np.float64))
        return np.asarray(np.minimum(np.nan_to_num(found, nan=0.0, posinf=_FAR), _FAR))

    def steps_of(self, quotients: Floats) -> Floats:
        """Return magnitudes in steps; those of OFP8 grow from binade to binade."""
        element = self.fmt.float_element
        if element is None:
            return quotients
        # The code is the number of steps below, since each binade holds equally many.
        exponent = np.maximum(Model.exponent(self, quotients), element.emin)
        above = np.ldexp(quotients, element.mantissa_bits - exponent)
        binades = (exponent - element.emin).astype(np.float64)
        return np.asarray(above + np.ldexp(binades, element.mantissa_bits))

    def flushed(self, lanes: Lanes, scales: Scales) -> Bools:
        """Return which blocks have a scale that underflowed, and are zeros."""
        below = (lanes.magnitude > 0).any(1) & (scales == 0)
        return np.asarray(below & (self.policy.scale_below == "flush"))


def model_of(fmt: BDRFormat) -> type[Model]:
    """Return the correct model of a format."""
    return ScaledModel if fmt.scale is ScaleKind.FLOAT32 else Model
