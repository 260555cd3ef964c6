"""Lane programs of the fused sum: take a running sum apart, round a total, add two sums.

A *running sum* is a float32 or a float16 as its bits. A *total* is an integer in two's complement,
in units of a power of two. All words have 64 bits; exponents are lifted so that they stay unsigned.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mxref.kernels.lanes import Machine

__all__ = ["LIFT", "Output", "add", "round_total", "take_apart"]

LIFT = 8192
"""Added to an exponent: more than any product's and any shift."""
_GUARD = 30  # bits below the last one of the larger addend: enough for a sticky bit to decide


class Output(NamedTuple):
    """The type of a running sum, as the integers that the programs need."""

    stored: int
    """Significant bits of the type that holds it: 24 or 11."""
    precision: int
    """Significant bits that are kept, at most as many."""
    least: int
    """Exponent of the least normal number."""
    is_nearest: bool
    """Round to nearest even; otherwise toward zero."""

    @property
    def sign(self) -> int:
        """The sign bit."""
        return 1 << (31 if self.stored == 24 else 15)

    @property
    def infinity(self) -> int:
        """The code of +Inf."""
        return self.sign - (1 << (self.stored - 1))

    @property
    def nan(self) -> int:
        """The code that every NaN becomes: all ones but the sign."""
        return self.sign - 1


def take_apart(o: Machine, bits: Any, output: Output) -> tuple[Any, Any, Any]:
    """Return significand, lifted exponent (0 for a zero) and sign mask of a running sum."""
    magnitude = bits & (output.sign - 1)
    field = magnitude >> (output.stored - 1)
    hidden = 1 << (output.stored - 1)
    significand = (magnitude & (hidden - 1)) | o.where_equal(field, 0, field, hidden)
    exponent = o.maximum(field, 1) + (output.least - 1 + LIFT)
    sign = o.constant(0) - o.where_above(bits, output.sign - 1, 1, field & 0)
    return significand, o.where_equal(magnitude, 0, magnitude, exponent), sign


def round_total(o: Machine, total: Any, unit: Any, old: Any, output: Output) -> Any:
    """Round a total; infinity and NaN in the old running sum stay.

    Parameters
    ----------
    total : word
        Two's complement, its magnitude below 2^62.
    unit : word
        Lifted exponent of its unit.
    """
    negative = o.constant(0) - (total >> 63)
    magnitude = (total ^ negative) - negative
    zeros = o.leading_zeros(magnitude)
    leading = unit + 63 - zeros
    # A subnormal result has the exponent of the least normal one.
    exponent = o.maximum(leading, output.least + LIFT)
    normal = magnitude << o.minimum(zeros - 1, 63)  # the leading one at bit 62
    drop = o.minimum(exponent - leading + (63 - output.precision), 63)
    kept = normal >> drop
    if output.is_nearest:
        half = (o.constant(1) << drop) >> 1
        rounded = (normal + (half - 1) + (kept & 1)) >> drop
        # More than 63 bits dropped: less than half a unit. 63 exactly cannot tell, so look anew.
        far = exponent - leading + (63 - output.precision)
        kept = o.where_above(far, 63, far & 0, rounded)
    # The hidden bit, and a carry out of the rounding, raise the exponent field by one.
    field = exponent - (output.least + LIFT)
    bits = ((field << (output.precision - 1)) + kept) << (output.stored - output.precision)
    bits = o.where_equal(magnitude, 0, magnitude, o.minimum(bits, output.infinity))
    # What is rounded to zero loses its sign (float16 outputs: seen on an H100).
    bits = o.where_equal(bits, 0, bits, bits | (negative & output.sign))
    is_special = old & (output.sign - 1)
    return o.where_above(is_special, output.infinity - 1, old, bits)


def add(o: Machine, x: Any, y: Any, output: Output) -> Any:
    """Return the sum of two running sums in their own type, to nearest even (IEEE 754)."""
    plain = output._replace(precision=output.stored, is_nearest=True)
    mask, infinity = output.sign - 1, output.infinity
    is_y = (y & mask, x & mask)
    high, low = o.where_above(*is_y, y, x), o.where_above(*is_y, x, y)
    top, top_exponent, top_sign = take_apart(o, high, output)
    rest, rest_exponent, rest_sign = take_apart(o, low, output)
    shift = o.minimum(top_exponent - rest_exponent, 60)
    wide = rest << _GUARD
    cut = wide >> shift
    cut = cut | o.where_equal(cut << shift, wide, wide & 0, 1)
    total = (((top << _GUARD) ^ top_sign) - top_sign) + ((cut ^ rest_sign) - rest_sign)
    unit = top_exponent - (output.stored - 1 + _GUARD)
    # Two zeros: the exponent is 0 and the unit wraps, but then the total is 0 too.
    finite = round_total(o, total, unit, x & 0, plain)
    finite = o.where_equal((high | low) & mask, 0, high & low, finite)
    # Specials: the larger magnitude is one.
    top_size, rest_size = high & mask, low & mask
    clash = o.where_equal(high, low, high, output.nan)
    special = o.where_equal(rest_size, infinity, clash, high)
    special = o.where_above(top_size, infinity, output.nan, special)
    return o.where_above(top_size, infinity - 1, special, finite)
