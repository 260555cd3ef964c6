"""What a cast of every float32 must give, known without calculating a single cast.

A cast is monotonic in the magnitude, so it is known once it is known at which float32 each next
code begins. That follows from two neighbouring values of the format and the name of the rounding
alone: no step is shared with ``mxref.exact`` or with ``mxref.kernels``. What a sweep expects is
then a list of runs: from this bit pattern on, that code.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from mxref import _choices as choice
from mxref.formats import ElementFormat, Kind, ScaleFormat, pow2, scalar_format
from mxref.sweep._grid import INFINITY, first_above, through_narrower
from mxref.sweep._scale_runs import scale_runs

if TYPE_CHECKING:
    from mxref.policy import Policy

__all__ = ["Runs", "expected_runs"]

_SIGN = 1 << 31
_ALL = 1 << 32
_LEAST_NORMAL = 1 << 23
# Two bits of a float32 NaN: that the payload choice copies, and where it changes.
_PAYLOAD_STEP = 1 << 21


@dataclass(frozen=True, slots=True)
class Runs:
    """Codes of all float32 bit patterns: `codes[i]` from `starts[i]` to before `starts[i + 1]`.

    Examples
    --------
    >>> from mxref.policy import get_policy
    >>> runs = expected_runs("e2m1", get_policy("ocp"))
    >>> [(hex(first), code) for first, _, code in runs.within(0x3E800000, 1 << 24)]
    [('0x3e800000', 0), ('0x3e800001', 1), ('0x3f400000', 2)]
    """

    starts: tuple[int, ...]
    codes: tuple[int, ...]

    def within(self, first: int, count: int) -> list[tuple[int, int, int]]:
        """Return ``(first, end, code)`` of each run that the patterns from `first` on meet."""
        end = first + count
        at = bisect.bisect_right(self.starts, first) - 1
        found = []
        while at < len(self.starts) and self.starts[at] < end:
            stop = self.starts[at + 1] if at + 1 < len(self.starts) else _ALL
            found.append((max(first, self.starts[at]), min(end, stop), self.codes[at]))
            at += 1
        return found


@functools.lru_cache(maxsize=32)
def expected_runs(fmt: str, policy: Policy) -> Runs:
    """Return what a cast must give for all 2^32 float32 bit patterns.

    Parameters
    ----------
    fmt : str
        An element format or ``"e8m0"``.
    policy : Policy
        What the standards leave open.

    Raises
    ------
    ValueError
        If there is no such format; if the policy rounds stochastically, or refuses inputs
        (``raise``), for then there is no code for each input.

    Notes
    -----
    MX-1.0/6.3/rounding, MX-1.0/6.3/clamp, MX-1.0/6.3/fp8-overflow, OFP8-1.0/order; OP-E8M0-CAST
    and the open points of elements.

    Examples
    --------
    >>> from mxref.policy import get_policy
    >>> expected_runs("int8", get_policy("ocp")).starts[:3] == (0, 0x3C000001, 0x3CC00000)
    True
    """
    found = scalar_format(fmt)
    pairs: list[tuple[int, int]] = []
    for negative in (False, True):
        if isinstance(found, ScaleFormat):
            side = scale_runs(found, policy, negative=negative)
        else:
            side = _element_runs(found, policy, negative=negative)
        pairs += [(start + negative * _SIGN, code) for start, code in side]
    # An empty run is one whose successor begins at the same place.
    pairs = [a for a, b in itertools.pairwise([*pairs, (_ALL, -1)]) if a[0] < b[0]]
    joined = [pairs[0]] + [b for a, b in itertools.pairwise(pairs) if a[1] != b[1]]
    starts, codes = zip(*joined, strict=True)
    return Runs(starts, codes)


def _element_runs(fmt: ElementFormat, policy: Policy, *, negative: bool) -> list[tuple[int, int]]:
    """``(magnitude bits, code)`` where each code begins, for one sign."""
    if policy.rounding.startswith("stochastic"):
        raise ValueError(
            f"rounding={policy.rounding} depends on random bits, so no input has the one right "
            "code; sweep a deterministic rounding"
        )
    if policy.relu is choice.Relu.ON and negative:
        return [(0, 0), *_nan_runs(fmt, policy, negative=False)]
    codes = _magnitude_codes(fmt, policy, negative=negative)
    zero, plain_zero = _zeros(fmt, policy, negative=negative)
    codes[0] = zero
    values = _values(fmt, len(codes))
    starts = [0] + [
        first_above(below, above, magnitude, policy.rounding, negative=negative)
        for magnitude, (below, above) in enumerate(itertools.pairwise(values))
    ]
    if policy.element_subnormal is choice.ElementSubnormal.FLUSH and fmt.kind is Kind.FLOAT:
        codes[: 1 << fmt.mantissa_bits] = [zero] * (1 << fmt.mantissa_bits)
    finite, infinite = _beyond(fmt, policy, codes[-1], negative=negative)
    starts = through_narrower([*starts, INFINITY], policy.scaled_intermediate)
    runs = list(zip(starts, [*codes, finite, infinite], strict=True))
    if policy.input_subnormal is choice.InputSubnormal.FLUSH:
        kept = [code for start, code in runs if start <= _LEAST_NORMAL][-1]
        runs = [(_LEAST_NORMAL, kept), *((s, c) for s, c in runs if s > _LEAST_NORMAL)]
        runs = [(0, plain_zero), *runs]
    elif plain_zero != zero:
        runs = [(0, plain_zero), (1, zero), *runs[1:]]
    return [*runs, *_nan_runs(fmt, policy, negative=negative)]


def _values(fmt: ElementFormat, count: int) -> list[Fraction]:
    """The first `count` magnitudes, and one more: what the grid has beyond the largest."""
    values = []
    for magnitude in range(count):
        exponent, mantissa = divmod(magnitude, 1 << fmt.mantissa_bits)
        if fmt.kind is Kind.FIXED:
            exponent, mantissa = 0, magnitude
        leading = (1 << fmt.mantissa_bits) if exponent else 0
        values.append((leading + mantissa) * pow2(max(exponent, 1) - 1) * fmt.min_subnormal)
    return [*values, 2 * values[-1] - values[-2]]


def _magnitude_codes(fmt: ElementFormat, policy: Policy, *, negative: bool) -> list[int]:
    """Codes of the magnitudes 0, 1, 2, ... with this sign."""
    top = fmt.max_magnitude
    if fmt.kind is Kind.FIXED:
        if not negative:
            return list(range(top + 1))
        top += policy.int8_min is choice.Int8Min.USED
        return [-magnitude % fmt.code_count for magnitude in range(top + 1)]
    return [magnitude | (fmt.sign_mask if negative else 0) for magnitude in range(top + 1)]


def _zeros(fmt: ElementFormat, policy: Policy, *, negative: bool) -> tuple[int, int]:
    """Codes of a zero that rounding made, and of a zero on input (OP-NEG-ZERO)."""
    minus = fmt.sign_mask if negative and fmt.kind is Kind.FLOAT else 0
    match policy.neg_zero:
        case choice.NegZero.KEEP:
            return minus, minus
        case choice.NegZero.DROP:
            return 0, 0
        case choice.NegZero.DROP_INPUT:
            return minus, 0


def _beyond(fmt: ElementFormat, policy: Policy, top: int, *, negative: bool) -> tuple[int, int]:
    """Codes of a finite value that rounds beyond the largest one, and of infinity.

    OP-FP8-OVERFLOW, OP-INF-ELEMENT.
    """
    if not fmt.is_fp8:
        if policy.inf_element is choice.InfElement.RAISE:
            raise ValueError(
                "inf_element=raise refuses inputs, which have no code to sweep; choose another"
            )
        return top, top
    if fmt.has_inf:
        special = (fmt.inf_magnitude or 0) | (fmt.sign_mask if negative else 0)
    else:
        special = _nan_runs(fmt, policy, negative=negative)[0][1]
    stays = {"toward-zero", "down"} if not negative else {"toward-zero", "up"}
    match policy.fp8_overflow:
        case choice.FP8Overflow.SATURATE:
            return top, top
        case choice.FP8Overflow.OVERFLOW:
            return (top if policy.rounding in {*stays, "to-odd"} else special), special
        case choice.FP8Overflow.PROPAGATE:
            return top, (special if fmt.has_inf else top)
        case choice.FP8Overflow.SAT_NONE:
            if not fmt.has_inf:
                return top, top
            return (top if policy.rounding in stays else special), special


def _nan_runs(fmt: ElementFormat, policy: Policy, *, negative: bool) -> list[tuple[int, int]]:
    """OP-NAN-PAYLOAD and OP-NAN-ELEMENT: codes of the patterns above infinity."""
    sign = fmt.sign_mask if negative else 0
    first = INFINITY + 1
    if fmt.has_nan:
        match policy.nan_payload:
            case choice.NanPayload.CANONICAL:
                return [(first, 0x7F)]
            case choice.NanPayload.NEGATIVE:
                return [(first, 0xFF)]
            case choice.NanPayload.QUIET_SIGNED if fmt.has_inf:
                return [(first, 0x7E | sign)]
            case choice.NanPayload.PAYLOAD if fmt.has_inf:
                steps = range(INFINITY, _SIGN, _PAYLOAD_STEP)
                return [(max(first, s), 0x7E | sign | (n & 1)) for n, s in enumerate(steps)]
            case _:
                return [(first, 0x7F | sign)]
    top = _magnitude_codes(fmt, policy, negative=negative)[-1]
    match policy.nan_element:
        case choice.NanElement.POS_MAX:
            return [(first, fmt.max_magnitude)]
        case choice.NanElement.SIGNED_MAX:
            return [(first, top)]
        case choice.NanElement.ZERO:
            return [(first, 0)]
        case choice.NanElement.FLIPPED_ZERO:
            drops = policy.neg_zero is choice.NegZero.DROP or fmt.kind is Kind.FIXED
            return [(first, 0 if negative or drops else fmt.sign_mask)]
        case choice.NanElement.RAISE:
            raise ValueError(
                "nan_element=raise refuses inputs, which have no code to sweep; choose another"
            )
