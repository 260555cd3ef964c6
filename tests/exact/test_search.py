"""The rules that search, against brute force in float64 on numbers that it holds exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mxref.exact import block, element, scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import ELEMENT_FORMATS, block_format, pow2
from mxref.policy import Policy

BLOCKS = {"e4m3": "mxfp8_e4m3", "e3m2": "mxfp6_e3m2", "e2m3": "mxfp6_e2m3", "e2m1": "mxfp4"}
BLOCKS |= {"int8": "mxint8", "e5m2": "mxfp8_e5m2"}


def values_of(name):
    """Every finite value that an encoder may give, in the order of the codes' magnitudes."""
    numbers = [element.decode(code, name) for code in range(ELEMENT_FORMATS[name].sign_mask)]
    real = [n.value for n in numbers if n.cls in (NumberClass.FINITE, NumberClass.ZERO)]
    return np.array([float(v) for v in real])


def nearest(x, values):
    """To nearest of all values; a tie to the even code; beyond the last the last."""
    distance = np.abs(values - abs(x))
    best = np.flatnonzero(distance == distance.min())
    return np.copysign(values[next((i for i in best if i % 2 == 0), best[0])], x)


def brute_force(xs, name, power):
    values = values_of(name)
    emax = {"e4m3": 8, "e5m2": 15, "e3m2": 4, "e2m3": 2, "e2m1": 2, "int8": 0}[name]
    floor = np.frexp(np.max(np.abs(xs)))[1] - 1 - emax + 127
    floor = int(np.clip(floor, 0, 254))
    best = None
    for code in (floor, floor + 1, floor - 1):
        if 0 <= code <= 254:
            X = 2.0 ** (code - 127)
            error = sum(abs(x - X * nearest(x / X, values)) ** power for x in xs)
            if best is None or error < best[0]:
                best = (error, code)
    return best[1]


# Few bits, so that float64 holds every square and every sum of them.
dyadic = st.integers(-1023, 1023)


@settings(max_examples=150)
@given(
    st.lists(dyadic, min_size=1, max_size=6).filter(any),
    st.integers(-3, 3) | st.sampled_from([-127, -130, -132, 120]),
    st.sampled_from(list(BLOCKS)),
)
@example([7, 7, 2, 1], 0, "e2m1")  # equal errors: FLOOR's
@example([15, 15, 4, 2], 0, "e2m1")
@example([8, 1, 1, 1], 0, "e2m1")
def test_searches_against_brute_force(integers, exponent, name):
    xs = np.array(integers) * 2.0**exponent
    numbers = [Number.finite(Fraction(x)) for x in xs.tolist()]
    fmt = block_format(BLOCKS[name], len(numbers))
    for rule, power in (("mse", 2), ("mae", 1)):
        got = scale.select(numbers, fmt, Policy(scale_rule=rule))
        assert got == brute_force(xs, name, power), rule


def error_of(numbers, scale_code, fmt, policy, power):
    codes = block.encode_with_scale(numbers, scale_code, fmt, policy)
    decoded = block.dequantize(scale_code, codes, fmt)
    return sum(abs(v.value - d.value) ** power for v, d in zip(numbers, decoded, strict=True))


@settings(max_examples=60)
@given(
    st.lists(st.fractions(-100, 100), min_size=3, max_size=3).filter(any),
    st.sampled_from(list(BLOCKS.values())),
    st.sampled_from(["toward-zero", "up", "nearest-away"]),
)
def test_no_neighbour_is_better(fractions, name, rounding):
    fmt, numbers = block_format(name, 3), [Number.finite(v) for v in fractions]
    policy = Policy(rounding=rounding)
    floor = scale.select(numbers, fmt, policy)
    for rule, power in (("mse", 2), ("mae", 1)):
        found = scale.select(numbers, fmt, policy.replace(scale_rule=rule))
        assert abs(found - floor) <= 1
        errors = {c: error_of(numbers, c, fmt, policy, power) for c in range(floor - 1, floor + 2)}
        assert errors[found] == min(errors.values())
        assert found == floor or errors[found] < errors[floor]


def test_squares_and_magnitudes_differ():
    # One number saturates by 3 under X = 1; under X = 2 five others lose 1/2 each.
    numbers = [Number.finite(v) for v in (9, *[Fraction(1, 2)] * 8)]
    fmt = block_format("mxfp4", len(numbers))
    codes = {rule: scale.select(numbers, fmt, Policy(scale_rule=rule)) for rule in ("mse", "mae")}
    floor = scale.select(numbers, fmt)
    for rule, power in (("mse", 2), ("mae", 1)):
        errors = {
            c: error_of(numbers, c, fmt, Policy(), power) for c in range(floor - 1, floor + 2)
        }
        assert errors[codes[rule]] == min(errors.values())
    assert codes["mse"] != codes["mae"]


def test_a_candidate_that_overflows_is_the_worst():
    # Under X = 1, 465 is a NaN in E4M3 where numbers overflow.
    numbers = [Number.finite(465), Number.finite(1)]
    fmt = "mxfp8_e4m3/2"
    for rule in ("mse", "mae"):
        policy = Policy(scale_rule=rule, fp8_overflow="overflow")
        assert scale.select(numbers, fmt, policy) == 128
    # All three bad: FLOOR's remains. (The scale ends at 2^127.)
    huge = [Number.finite(pow2(200))]
    assert scale.select(huge, "mxfp8_e4m3/1", policy) == 254


def test_what_decides_before_a_search():
    policy = Policy(scale_rule="mse")
    numbers = [Number.finite(15), Number.finite(15)]  # the search goes up
    assert scale.select(numbers, "mxfp4/2", policy) == 129
    for special, choices, code in (
        (Number.nan(0), {}, 255),
        (Number.inf(0), {"scale_inf": "saturate"}, 254),
        (Number.inf(0), {"scale_inf": "flush-block"}, 0),
    ):
        got = scale.select([*numbers, special], "mxfp4/3", policy.replace(**choices))
        assert got == code
    # Ignored, they take no part in the error either.
    ignoring = policy.replace(scale_nan="ignore", scale_inf="ignore", nan_element="raise")
    special = [Number.nan(0), Number.inf(1)]
    assert scale.select([*numbers, *special], "mxfp4/4", ignoring) == 129
    # It begins with the true FLOOR: a logarithm in float32 would take 2^200 for an infinity.
    top = [Number.finite(pow2(200))]
    assert scale.select(top, "mxfp4/1", policy.replace(scale_log2="float32")) == 254
    # FLOOR's code is out of range: no search, or one from the end.
    tiny = [Number.finite(pow2(-126))]
    assert block.quantize(tiny, "mxfp4/1", policy.replace(scale_below="flush-block")) == (0, (0,))
    assert scale.select(tiny, "mxfp4/1", policy.replace(scale_below="wrap")) == 255
    huge = [Number.finite(pow2(130) * Fraction(15, 8))]
    assert scale.select(huge, "mxfp4/1", policy.replace(scale_above="nan")) == 255
    assert scale.select(huge, "mxfp4/1", policy) == 254


@pytest.mark.parametrize("rule", ["mse", "mae"])
@pytest.mark.parametrize("rounding", ["stochastic-a", "stochastic-b", "stochastic-c"])
def test_a_search_refuses_to_be_a_matter_of_chance(rule, rounding):
    policy = Policy(scale_rule=rule, rounding=rounding)
    with pytest.raises(ValueError, match=f"scale_rule={rule} tries scales out"):
        scale.select([Number.finite(1)], "mxfp4/1", policy)
    with pytest.raises(ValueError, match=f"rounding={rounding}"):
        block.quantize([Number.finite(1)], "mxfp4/1", policy, random=(0,))
    # Under a scale that is given nothing is searched.
    assert block.encode_with_scale([Number.finite(1)], 127, "mxfp4/1", policy, random=(0,)) == (2,)
