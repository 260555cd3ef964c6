"""What a cast of every float32 to E8M0 must give: powers of two, and the specials around them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from mxref import _choices as choice
from mxref.formats import ScaleFormat, pow2
from mxref.sweep._grid import INFINITY, first_above

if TYPE_CHECKING:
    from mxref.policy import Policy

__all__ = ["scale_runs"]

_LEAST = -149  # exponent of the least float32
_LEAST_NORMAL = -126

# The magnitude counts, so all four are roundings of non-negative numbers.
_NAMES = {
    choice.E8M0Rounding.DOWN: "toward-zero",
    choice.E8M0Rounding.UP: "up",
    choice.E8M0Rounding.NEAREST: "nearest-away",
    choice.E8M0Rounding.NEAREST_EVEN: "nearest-even",
}


def scale_runs(fmt: ScaleFormat, policy: Policy, *, negative: bool) -> list[tuple[int, int]]:
    """Return ``(magnitude bits, code)`` where each code begins, for one sign (OP-E8M0-CAST).

    Examples
    --------
    >>> from mxref.formats import SCALE_FORMATS
    >>> from mxref.policy import get_policy
    >>> scale_runs(SCALE_FORMATS["e8m0"], get_policy("ocp"), negative=True)[:3]
    [(0, 0), (1, 255)]
    """
    nan = fmt.nan_code
    zero = (0, 0 if policy.e8m0_zero is choice.E8M0Zero.MIN else nan)
    if negative and policy.e8m0_negative is choice.E8M0Negative.NAN:
        return [zero, (1, nan)]
    above = fmt.max_code if policy.e8m0_overflow is choice.E8M0Overflow.SATURATE else nan
    below = 0 if policy.e8m0_underflow is choice.E8M0Underflow.MIN else nan
    infinity = fmt.max_code if policy.e8m0_inf is choice.E8M0Inf.SATURATE else nan
    runs = [zero]
    for start, exponent in _exponents(fmt, policy):
        code = exponent + fmt.bias
        runs.append((start, below if code < 0 else above if code > fmt.max_code else code))
    return [*runs, (INFINITY, infinity), (INFINITY + 1, nan)]


def _exponents(fmt: ScaleFormat, policy: Policy) -> list[tuple[int, int]]:
    """``(magnitude bits, exponent)`` where each exponent begins, without a limit on it."""
    rounding = _NAMES[policy.e8m0_rounding]
    least = _LEAST
    found = [(1, least)]
    if policy.e8m0_subnormal is choice.E8M0Subnormal.BITS:
        # Read as though normal, the subnormals count up evenly from 2^-127 to 2^-126.
        least = _LEAST_NORMAL
        start = first_above(Fraction(0), pow2(least), least - 1 + fmt.bias, rounding)
        found = [(1, least - 1), (start, least)]
    for exponent in range(least, fmt.emax + 1):
        values = pow2(exponent), pow2(exponent + 1)
        found.append((first_above(*values, exponent + fmt.bias, rounding), exponent + 1))
    return found
