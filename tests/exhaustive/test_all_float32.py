"""Every float32 input, all 2^32 of them, against the enumerated code points.

The oracle shares no step with either twin. Encoding is monotonic in the magnitude, so it is known
once it is known at which float32 each next code begins; that follows from the two neighbouring
values and the name of the rounding alone. Expected codes of a stretch of inputs are then runs.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from mxref import arrays
from mxref.exact import element as exact
from mxref.formats import ELEMENT_FORMATS, Kind
from mxref.policy import Policy

CHUNK = 1 << 24
INFINITY = 0x7F800000
ROUNDINGS = [
    "nearest-even", "nearest-away", "nearest-down", "toward-zero", "up", "down", "to-odd",
]  # fmt: skip


def float32_bits(value):
    """Bits of a positive number that float32 holds exactly."""
    single = np.float32(float(value))
    assert Fraction(float(single)) == value
    return int(single.view(np.uint32))


def first_above(below, above, code, rounding, negative):
    """The first float32 (as bits) between two neighbouring values that goes to the upper one."""
    middle = float32_bits((below + above) / 2)
    outward = float32_bits(below) + 1 if below else 1
    inward = float32_bits(above)
    match rounding:
        case "nearest-even":
            return middle + (code % 2 == 0)  # a tie stays with an even code
        case "nearest-away":
            return middle
        case "nearest-down":
            return middle + 1
        case "toward-zero":
            return inward
        case "up":
            return inward if negative else outward
        case "down":
            return outward if negative else inward
        case _:  # to-odd
            return outward if code % 2 == 0 else inward


def runs(element, policy, negative):
    """Where codes begin, as bits of the magnitude, and which codes: for one sign."""
    sign = element.sign_mask if negative and element.kind is Kind.FLOAT else 0
    top = element.max_magnitude
    values = [exact.decode(m, element).value for m in range(top + 1)]
    values.append(2 * values[-1] - values[-2])  # what the grid has beyond the largest value
    starts = [0] + [
        first_above(below, above, m, policy.rounding, negative)
        for m, (below, above) in enumerate(itertools.pairwise(values))
    ]
    codes = [m | sign for m in range(top + 1)]
    if element.kind is Kind.FIXED and negative:
        codes = [(-m) & 0xFF for m in range(top + 1)]
    overflow = codes[-1]
    if element.is_fp8 and policy.fp8_overflow == "overflow":
        overflow = 0x7C | sign if element.has_inf else 0x7F  # canonical NaN has no sign
    inward = {"toward-zero": True, "to-odd": True, "up": negative, "down": not negative}
    codes.append(codes[-1] if inward.get(policy.rounding, False) else overflow)
    starts += [INFINITY, INFINITY + 1]
    codes += [overflow, 0x7F if element.has_nan else element.max_magnitude]
    return np.array(starts, np.int64), np.array(codes, np.uint8)


def stretch(starts, codes, first, count):
    """Expected codes of `count` magnitudes from `first` on."""
    ends = np.append(starts[1:], 1 << 31)
    lengths = np.clip(ends, first, first + count) - np.clip(starts, first, first + count)
    return np.repeat(codes, lengths)


def assert_all_inputs(element, policy):
    got = np.empty(CHUNK, np.uint8)
    for negative in (False, True):
        starts, codes = runs(element, policy, negative)
        for first in range(0, 1 << 31, CHUNK):
            bits = np.arange(first, first + CHUNK, dtype=np.uint32)
            if negative:
                bits |= np.uint32(1 << 31)
            arrays.encode(bits.view(np.float32), element, policy, out=got)
            expected = stretch(starts, codes, first, CHUNK)
            if not np.array_equal(got, expected):
                at = int(np.flatnonzero(got != expected)[0])
                pytest.fail(
                    f"{element.name} {policy}: float32 {int(bits[at]):#010x} gave "
                    f"{got[at]:#04x}, expected {expected[at]:#04x}"
                )


@pytest.mark.slow
@pytest.mark.parametrize("element", ELEMENT_FORMATS.values(), ids=lambda f: f.name)
def test_all_float32_under_ocp(element):
    assert_all_inputs(element, Policy())


CASES = [
    (element, rounding, overflow)
    for element in ELEMENT_FORMATS.values()
    for rounding in ROUNDINGS
    for overflow in ("saturate", "overflow")
    if element.is_fp8 or overflow == "saturate"
]


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("element", "rounding", "overflow"), CASES, ids=lambda p: getattr(p, "name", p)
)
def test_all_float32_under_every_rounding_and_overflow(element, rounding, overflow):
    assert_all_inputs(element, Policy(rounding=rounding, fp8_overflow=overflow))


def test_the_oracle_sees_a_single_wrong_boundary():
    """A proof that the comparison above can fail."""
    element = ELEMENT_FORMATS["e2m1"]
    starts, codes = runs(element, Policy(), negative=False)
    starts[3] += 1
    first = int(starts[3]) // CHUNK * CHUNK
    bits = np.arange(first, first + CHUNK, dtype=np.uint32)
    got = arrays.encode(bits.view(np.float32), element)
    assert np.count_nonzero(got != stretch(starts, codes, first, CHUNK)) == 1
