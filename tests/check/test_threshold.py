"""Rules are read to the bit off quantizers written here, without anything of mxref in them."""

import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxref
from mxref.check._call import Caller
from mxref.check._guard import GuardedKernel, signature
from mxref.check._problem import Problem
from mxref.check.target import TargetError
from mxref.check.threshold import (
    element_thresholds,
    infer_driven,
    infer_given,
    scale_threshold,
)
from mxref.check.threshold._scale_rules import plain_rules
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, block_format, element_format
from mxref.policy import Policy
from mxref.profiles import PROFILES

sys.path.insert(0, str(Path(__file__).parent))
import naive

ELEMENT_OF = {name: fmt.element.name for name, fmt in BLOCK_FORMATS.items()}
QUANTIZERS = [
    (name, fmt)
    for name, profile in PROFILES.items()
    if "quantize" in profile.operations
    for fmt in dict.fromkeys((profile.formats[0], profile.formats[-1]))
]


def quantizer(fmt, exponent):
    """Scales by a rule, codes all zero; NaN and infinity are not looked at."""

    def quantize(x):
        finite = np.where(np.isfinite(x), x, 0).astype(np.float64)
        amax = np.abs(finite).max(axis=1)
        codes = np.clip(exponent(fmt, np.where(amax > 0, amax, 1.0)) + 127, 0, 254)
        return np.zeros(x.shape, np.uint8), np.where(amax > 0, codes, 0).astype(np.uint8)

    return quantize


def stepping(test, low=0, high=1):
    """A rule from a test of the significand of amax."""

    def exponent(fmt, amax):
        half, above = np.frexp(amax)
        return above - 1 - naive.EMAX[fmt] + np.where(test(2 * half), high, low)

    return exponent


def rule_of(fmt, exponent):
    return scale_threshold(quantizer(fmt, exponent), fmt)[0]


def bits(value):
    return int(np.float32(value).view(np.uint32))


# --- thresholds of scale rules ----------------------------------------------------------------


@pytest.mark.parametrize("fmt", BLOCK_FORMATS)
@pytest.mark.parametrize("theta", [1.3125, 1.1875, 1.4, 1.000244140625])
@pytest.mark.parametrize("strict", [False, True])
def test_an_unpublished_threshold_is_given_to_the_bit(fmt, theta, strict):
    edge = float(np.float32(theta))
    found = rule_of(fmt, stepping(lambda m: m > edge if strict else m >= edge))
    side = "exclusive" if strict else "inclusive"
    assert found.found == (
        f"theta = {theta} exactly (0x{bits(theta):08X}), {side}: no published rule"
    )
    assert (found.name, found.exact) == ("", True)


@settings(max_examples=40, deadline=None)
@given(st.integers(0x3F800002, 0x3FFFFFFF), st.booleans(), st.sampled_from(sorted(BLOCK_FORMATS)))
def test_any_threshold_is_found(step, strict, fmt):
    edge = float(np.array([step - strict], np.uint32).view(np.float32)[0])
    found = rule_of(fmt, stepping(lambda m: m > edge if strict else m >= edge))
    told = found.found.upper()
    assert f"0X{step:08X}" in told or f"0X{step - 1:08X}" in told
    assert ("INCLUSIVE" in told) <= (f"0X{step:08X}" in told)
    assert ("EXCLUSIVE" in told) <= (f"0X{step - 1:08X}" in told)


def half_up_to_mantissa(fmt, amax):
    """OCP's floor of amax rounded half up to the element's mantissa, by adding to the bits."""
    half = 1 << (22 - naive.MANTISSA.get(fmt, 6))
    rounded = (amax.astype(np.float32).view(np.uint32) + np.uint32(half)) >> 23
    return rounded.astype(np.int64) - 127 - naive.EMAX[fmt]


def until_it_fits(fmt, amax):
    """The least scale at which amax rounds to no more than the largest value."""
    exponent = naive.floor_exponent(fmt, amax)
    step = 2.0 ** -naive.MANTISSA.get(fmt, 6)
    top = naive.largest(fmt) / 2.0 ** naive.EMAX[fmt]
    significand = amax / 2.0 ** (np.frexp(amax)[1] - 1)
    return exponent + (np.rint(significand / step) * step > top)


def to_nearest_power(_, amax):
    """P3109: the nearest power of two, ties to the even code; emax is not subtracted."""
    half, above = np.frexp(amax)
    code = above - 1 + 127
    return code - 127 + ((2 * half > 1.5) | ((2 * half == 1.5) & (code % 2 == 1)))


RULES = {
    "floor": naive.floor_exponent,
    "ceil": naive.ceil_of_amax,
    "rceil": naive.ceil_of_quotient,
    "even": half_up_to_mantissa,
    "tosa": until_it_fits,
    "nearest-log": lambda fmt, amax: np.floor(np.log2(amax) + 0.5).astype(int) - naive.EMAX[fmt],
    "plus-one": lambda fmt, amax: naive.floor_exponent(fmt, amax) + 1,
    "p3109": to_nearest_power,
    "S1": naive.floor_of_quotient,
    "S2": naive.nearest_of_quotient,
    "S3": naive.rounded_log,
    "S4": naive.no_emax,
    "S10": stepping(lambda m: m >= 1.5),
}


@pytest.mark.parametrize("fmt", BLOCK_FORMATS)
@pytest.mark.parametrize("name", RULES)
def test_every_published_rule_is_named_in_every_format(name, fmt):
    found = rule_of(fmt, RULES[name])
    assert found.exact
    assert name == found.name or f" {name}" in found.found.partition("the same as")[2]
    assert "no published rule" not in found.found


# From the survey of the field: position of the step in E2M1 and in E4M3.
POSITIONS = {
    "rceil": (1.5, 1.75, "exclusive"),
    "even": (1.75, 1.9375, "inclusive"),
    "S1": (1.5, 1.75, "inclusive"),
    "S2": (1.125, 1.3125, "inclusive"),
    "ceil": (1.0, 1.0, "exclusive"),
    "S10": (1.5, 1.5, "inclusive"),
}


@pytest.mark.parametrize("name", POSITIONS)
def test_positions_are_those_of_the_survey(name):
    rule = next(rule for rule in plain_rules() if rule.name == name)
    *thetas, side = POSITIONS[name]
    for element, theta in zip(("e2m1", "e4m3"), thetas, strict=True):
        start = rule.pattern(element_format(element), 0)[1][0]
        assert start == bits(theta) + (side == "exclusive")


def test_rules_are_said_in_words():
    floor = rule_of("mxfp4", naive.floor_exponent)
    assert floor.found.startswith("the code changes at powers of two only: floor (as in ocp")
    above = rule_of("mxfp4", lambda f, amax: naive.floor_exponent(f, amax) + 4)
    assert above.found.startswith("the code changes at powers of two only, always +4 against floor")
    below = rule_of("mxfp4", stepping(lambda m: m >= 1.3125, -1, 0)).found
    assert (
        "theta = 1.3125 exactly (0x3FA80000), inclusive (codes: floor - 1 before it, floor" in below
    )


def test_a_wrong_bias_is_a_shift_of_a_rule():
    found = rule_of("mxfp8_e4m3", lambda f, amax: naive.ceil_of_quotient(f, amax) - 2)
    assert found.name == "S6"
    assert "rceil with every scale code -2" in found.found


def test_two_steps_and_steps_back_have_no_threshold():
    def twice(fmt, amax):
        above = stepping(lambda m: m >= 1.25)(fmt, amax)
        return above + (2 * np.frexp(amax)[0] >= 1.5)

    assert rule_of("mxfp4", twice).found == (
        "no single threshold: against floor +0 from 1, +1 from 1.25, +2 from 1.5: no published rule"
    )
    back = rule_of("mxfp4", stepping(lambda m: (m >= 1.25) & (m < 1.375)))
    assert "+0 from 1, +1 from 1.25, +0 from 1.375" in back.found
    assert back.name == ""


def test_a_rule_that_looks_at_the_last_bit_has_no_threshold():
    found = rule_of("mxfp4", stepping(lambda m: (m * 2**23).astype(np.int64) % 2 == 1))
    assert (found.name, found.exact) == ("", False)
    assert "no single threshold" in found.found


def test_a_rule_that_ignores_negative_numbers_is_not_the_same_everywhere():
    def signed(x):
        amax = np.maximum(np.where(np.isfinite(x), x, 0), 2.0**-100).max(axis=1)
        codes = np.clip(np.frexp(amax)[1] - 1 - 2 + 127, 0, 254)
        return np.zeros(x.shape, np.uint8), codes.astype(np.uint8)

    found = scale_threshold(signed, "mxfp4")[0]
    assert "negative amax" in found.found
    assert found.name == ""


@pytest.mark.parametrize(("narrow", "theta"), [("bfloat16", "1.99609375"), ("float16", "1.999511")])
def test_a_narrowed_amax_moves_the_step(narrow, theta):
    dtype = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}[narrow]

    def narrowed(fmt, amax):
        with np.errstate(over="ignore"):
            held = amax.astype(dtype).astype(np.float64)
        ordinary = np.isfinite(held) & (held > 0)
        return np.where(ordinary, naive.floor_exponent(fmt, np.where(ordinary, held, 1.0)), 0)

    found = rule_of("mxfp8_e5m2", narrowed)
    assert f"floor of amax held in {narrow}" in found.found
    assert narrow == "float16" or theta in found.found


@pytest.mark.parametrize("size", [1, 2, 16, 100])
def test_other_block_sizes(size):
    fmt = block_format("mxfp4", size)
    found = scale_threshold(quantizer("mxfp4", RULES["rceil"]), fmt)
    assert found[0].name == "rceil"


# --- the ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "fmt"), QUANTIZERS)
def test_every_profile_is_read_off_its_own_policy(name, fmt):
    policy = PROFILES[name].policy
    call = guarded(lambda x: mxref.quantize(x, fmt, policy=policy), fmt)
    found = {i.what: i for i in infer_driven(call, block_format(fmt), "quantize")}
    rule = found["scale rule"]
    assert policy.scale_rule.value in rule.found
    assert policy.scale_zero_block.value in found["scale of zeros"].found
    if policy.nan_element != "raise" or block_format(fmt).element.has_nan:
        assert policy.scale_nan.value in found["scale where a NaN is"].found
    else:
        assert found["scale where a NaN is"].name == "raise"
    assert policy.scale_inf.value in found["scale where an infinity is"].found
    assert found["rounding"].name == policy.rounding
    if policy.scale_below != "clamp":
        assert f"scale_below={policy.scale_below}" in found["lowest scales"].name
    if "overflow" in found and block_format(fmt).element.is_fp8:
        assert policy.fp8_overflow.value in found["overflow"].found


def guarded(fn, fmt, op="quantize"):
    chosen = block_format(fmt) if op == "quantize" else element_format(fmt)
    return GuardedKernel(Caller(fn, signature(op)), op, chosen)


def test_what_a_kernel_costs():
    for fmt in ("mxfp8_e5m2", "mxint8"):
        sizes = []

        def kernel(x, fmt=fmt, sizes=sizes):
            sizes.append(x.size)
            return mxref.quantize(x, fmt, policy="ocp:scaled_intermediate=bfloat16")

        assert infer_driven(guarded(kernel, fmt), block_format(fmt), "quantize")
        assert len(sizes) <= 12
        assert max(sizes) <= 1 << 20


def test_an_error_on_the_way_keeps_what_is_known():
    calls = []

    def fails_later(x):
        calls.append(1)
        if len(calls) > 2:
            raise RuntimeError("no more")
        return mxref.quantize(x, "mxfp4")

    found = infer_driven(guarded(fails_later, "mxfp4"), block_format("mxfp4"), "quantize")
    assert [i.name for i in found][:1] == ["floor"]
    assert "rounding" not in [i.what for i in found]


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match="expected a function"):
        scale_threshold(3, "mxfp4")
    with pytest.raises(TargetError):
        scale_threshold(lambda _: None, "mxfp4")
    with pytest.raises(ValueError, match="mxfp5"):
        scale_threshold(lambda x: x, "mxfp5")


# --- elements ---------------------------------------------------------------------------------


def casting(fmt, tie="even", twist=None):
    """A saturating cast from a table of values; NaN and infinity as they come."""

    def encode(x):
        v = np.abs(np.where(np.isnan(x), 0, x).astype(np.float64))
        codes = naive.magnitude_codes(fmt, np.minimum(v, 2.0 * naive.largest(fmt)), tie)
        if twist is not None:
            codes = twist(codes, v)
        return (codes + np.signbit(x) * naive.SIGN[fmt]).astype(np.uint8)

    return encode


def inferred(encode, fmt):
    return {i.what: i for i in element_thresholds(encode, ELEMENT_OF[fmt])}


TIES = {"even": "nearest-even", "away": "nearest-away", "trunc": "toward-zero"}


@pytest.mark.parametrize("fmt", naive.FORMATS)
@pytest.mark.parametrize("tie", TIES)
def test_roundings_are_named(fmt, tie):
    found = inferred(casting(fmt, tie), fmt)
    assert found["rounding"].name == TIES[tie]
    assert found["rounding"].exact
    assert found["negative zero"].name == "keep"
    if fmt.startswith("mxfp8"):
        assert found["overflow"].name == "saturate"


@pytest.mark.parametrize("name", ELEMENT_FORMATS)
@pytest.mark.parametrize("rounding", ["nearest-down", "up", "down", "to-odd"])
def test_the_rarer_roundings_are_named_in_all_formats(name, rounding):
    policy = Policy(rounding=rounding)
    found = element_thresholds(lambda x: mxref.encode(x, name, policy), name)
    assert found[0].name == rounding


@pytest.mark.parametrize("rounding", ["nearest-even", "to-odd", "up"])
def test_subnormal_input_read_as_zero_is_told_from_the_rounding(rounding):
    def encode(x):
        daz = np.where(np.abs(x) < np.float32(2.0**-126), np.copysign(np.float32(0), x), x)
        return mxref.encode(daz.astype(np.float32), "e4m3", f"ocp:rounding={rounding}")

    found = {i.what: i for i in element_thresholds(encode, "e4m3")}
    assert found["rounding"].name == rounding
    assert ("subnormal input" in found["rounding"].found) is (rounding != "nearest-even")
    assert found["negative zero"].name == "keep"


def test_ties_away_in_normals_and_to_even_in_subnormals():
    def mixed(x):
        small = np.abs(x) < 2.0**-6
        return np.where(small, casting("mxfp8_e4m3")(x), casting("mxfp8_e4m3", "away")(x))

    found = inferred(lambda x: mixed(x).astype(np.uint8), "mxfp8_e4m3")["rounding"]
    assert found.name == ""
    assert found.found.startswith("ties away from zero in normals")
    assert "ties to even" in found.found
    assert "in subnormals" in found.found
    assert "no published rounding" in found.found


def test_ties_toward_positive_infinity_are_told_from_ties_away():
    def half_up(x):
        v = np.where(np.isfinite(x), x, 0).astype(np.float64)
        return np.clip(np.floor(v * 64 + 0.5), -127, 127).astype(np.int8).view(np.uint8)

    found = element_thresholds(half_up, "int8")[0]
    assert found.found == "ties toward +infinity: no published rounding"


def test_a_midpoint_that_is_off_by_one_float_is_shown():
    def off(codes, v):
        return np.where((v > 0.25) & (v < 0.25000005), 0, codes)

    found = inferred(casting("mxfp4", twist=off), "mxfp4")["rounding"]
    assert found.name == ""
    assert "between 0 and 0.5 the step" in found.found
    assert "0x3E800002" in found.found
    assert "not 0.25" in found.found


@pytest.mark.parametrize(
    ("first", "name"), [(ml_dtypes.bfloat16, "E21"), (np.float16, "E22"), (None, "E23")]
)
@pytest.mark.parametrize("fmt", ["mxfp8_e4m3", "mxfp4"])
def test_rounding_twice_is_named(first, name, fmt):
    def narrowed(x):
        if first is not None:
            with np.errstate(over="ignore"):
                return x.astype(first).astype(np.float32)
        kept = (x.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)  # 10 bits of float16
        return np.where(np.abs(x) < 2.0**-14, np.trunc(x * 2.0**24) * 2.0**-24, kept)

    found = inferred(lambda x: casting(fmt)(narrowed(x)), fmt)["rounding"]
    assert found.name == name
    assert "rounded twice" in found.found


@pytest.mark.parametrize("fmt", ["mxfp8_e4m3", "mxfp6_e3m2", "mxfp4"])
@pytest.mark.parametrize("by_input", [False, True])
def test_flushed_subnormals_are_named(fmt, by_input):
    least = naive.finite_values(fmt)[1 << naive.MANTISSA[fmt]]

    def flush(codes, v):
        lost = v < least if by_input else codes < (1 << naive.MANTISSA[fmt])
        return np.where(lost, 0, codes)

    found = inferred(casting(fmt, twist=flush), fmt)["rounding"]
    assert found.name == "E7"
    assert ("below the least normal" in found.found) is by_input


@pytest.mark.parametrize(("limit", "strict"), [(464.0, True), (460.0, False), (448.0, True)])
def test_the_limit_of_e4m3_is_exact(limit, strict):
    def overflow(codes, v):
        return np.where(v > limit if strict else v >= limit, 0x7F, codes)

    found = inferred(casting("mxfp8_e4m3", twist=overflow), "mxfp8_e4m3")["overflow"]
    side = "exclusive" if strict else "inclusive"
    assert f"limit = {limit:g} exactly (0x{bits(limit):08X}), {side}: beyond it NaN" in found.found
    assert found.name == ("overflow" if limit == 464 else "")


@pytest.mark.parametrize("name", ["ml_dtypes", "cuda", "torch", "hip-host", "onnx", "gfloat"])
@pytest.mark.parametrize("element", ["e4m3", "e5m2", "e2m1"])
def test_casts_of_profiles_are_read_off_their_policies(name, element):
    profile = PROFILES[name]
    if element not in {BLOCK_FORMATS[f].element.name for f in profile.formats}:
        pytest.skip(f"{name} has no {element}")
    found = {
        i.what: i
        for i in element_thresholds(lambda x: mxref.encode(x, element, profile.policy), element)
    }
    if element_format(element).is_fp8:
        assert profile.policy.fp8_overflow.value in found["overflow"].found
    field = "nan_payload" if element_format(element).has_nan else "nan_element"
    assert getattr(profile.policy, field).value in found["NaN"].found


@pytest.mark.parametrize("rounding", ["down", "up", "nearest", "nearest-even"])
def test_casts_to_scales(rounding):
    policy = Policy(e8m0_rounding=rounding, e8m0_zero="nan", e8m0_negative="magnitude")
    found = {
        i.what: i.name
        for i in element_thresholds(lambda x: mxref.encode(x, "e8m0", policy), "e8m0")
    }
    assert (found["rounding"], found["zero"], found["negative numbers"]) == (
        rounding,
        "nan",
        "magnitude",
    )


def test_a_block_whose_scale_does_not_follow_from_amax_is_not_taken_for_a_cast():
    def first_of_block(x):
        codes = np.frexp(np.abs(np.where(np.isfinite(x), x, 0))[:, -1] + 2.0**-100)[1] - 3 + 127
        return np.zeros(x.shape, np.uint8), np.clip(codes, 0, 254).astype(np.uint8)

    found = infer_driven(guarded(first_of_block, "mxfp4"), block_format("mxfp4"), "quantize")
    assert found[-1].what == "rounding"
    assert found[-1].found.startswith("not looked at")


# --- given data -------------------------------------------------------------------------------


def problem(x, fmt, **naively):
    codes, scales = naive.quantize(x, fmt, **naively)
    return Problem(x, codes, scales, block_format(fmt), 1)


def given_of(x, fmt, **naively):
    return {i.what: i for i in infer_given(problem(x, fmt, **naively), Policy())}


def amaxes(*values):
    x = np.zeros((len(values), 32), np.float32)
    x[:, 0] = values
    return x


def test_bounds_of_a_threshold_from_given_data():
    x = amaxes(4.0, 5.5, np.nextafter(np.float32(7), np.float32(0)), 7.1, 7.5)
    found = given_of(x, "mxfp4", exponent=half_up_to_mantissa)["scale rule"]
    assert found.found.startswith("theta in (1.7499999, 1.775]: consistent with even, even-down")
    assert "1 block with amax 1.75 (0x3FE00000) would tell even from even-down" in found.found
    assert (found.name, found.exact) == ("", False)


def test_given_data_can_pin_a_threshold():
    x = amaxes(4.0, 6.0, np.nextafter(np.float32(6), np.float32(9)), 7.9)
    found = given_of(x, "mxfp4", exponent=naive.ceil_of_quotient)["scale rule"]
    assert found.found == "theta = 1.5 exactly (0x3FC00000), exclusive: rceil"
    assert (found.name, found.exact) == ("rceil", True)


def test_a_given_threshold_that_nobody_published():
    found = given_of(amaxes(4.0, 4.8, 5.3, 7.9), "mxfp4", exponent=stepping(lambda m: m >= 1.25))
    assert found["scale rule"].found.endswith("no published rule")
    assert found["scale rule"].name == ""


def test_too_little_data_says_so():
    found = given_of(np.ones((2, 32), np.float32), "mxfp4")
    assert "would tell floor from ceil" in found["scale rule"].found
    assert "no number that needs rounding" in found["rounding"].found
    assert "0.25 times the scale (0x3E800000) would tell" in found["rounding"].found
    assert not any(i.exact for i in found.values())
    zeros = given_of(np.zeros((2, 32), np.float32), "mxfp4")
    assert "no block of ordinary numbers" in zeros["scale rule"].found


@pytest.mark.parametrize("tie", TIES)
def test_given_roundings(tie):
    x = naive.data()
    assert given_of(x, "mxfp4", tie=tie)["rounding"].name == TIES[tie]


def test_random_numbers_hide_ties():
    x = np.random.default_rng(0).standard_normal((64, 128)).astype(np.float32)
    found = given_of(x, "mxfp6_e2m3")["rounding"]
    assert "0 ties" in found.found
    assert "consistent with ties to even, ties away from zero" in found.found
    assert (found.name, found.exact) == ("", False)


def test_given_data_are_judged_on_a_sample():
    x = np.random.default_rng(0).standard_normal((1 << 11, 1 << 11)).astype(np.float32)
    q = mxref.quantize(x, "mxfp4")
    data = Problem(x, q.codes, q.scales, block_format("mxfp4"), 1)
    infer_given(data, Policy())
    start = time.perf_counter()
    infer_given(data, Policy())
    assert time.perf_counter() - start < 1.0


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16])
def test_other_types_of_given_data(dtype):
    x = naive.data(dtype=np.float64).astype(dtype)
    q = mxref.quantize(x, "mxfp8_e4m3", policy="ocp:rounding=nearest-away")
    data = Problem(x, q.codes, q.scales, block_format("mxfp8_e4m3"), 1)
    found = {i.what: i for i in infer_given(data, Policy())}
    assert found["rounding"].name == "nearest-away"
    assert "floor" in found["scale rule"].found


@pytest.mark.parametrize("fmt", BLOCK_FORMATS)
@pytest.mark.parametrize("size", [1, 32])
def test_no_given_data_are_too_strange(fmt, size):
    rng = np.random.default_rng(0)
    chosen = block_format(fmt, size)
    x = rng.integers(0, 1 << 32, (64, 32), dtype=np.uint32).view(np.float32)
    codes = rng.integers(0, chosen.element.code_count, (64, 32)).astype(np.uint8)
    scales = rng.integers(0, 256, (64, 32 // size)).astype(np.uint8)
    found = infer_given(Problem(x, codes, scales, chosen, 1), Policy())
    assert [i.name for i in found if i.what != "overflow"] == ["", ""]
    nothing = infer_given(Problem(x[:0], codes[:0], scales[:0], chosen, 1), Policy())
    assert not any(i.exact for i in nothing)


def test_lone_elements():
    x = np.array([0.25, -0.25, 0.75, 1.3, 1e9], np.float32)
    codes = casting("mxfp4", "away")(x)
    data = Problem.of_elements(x, codes, element_format("e2m1"))
    found = {i.what: i for i in infer_given(data, Policy())}
    assert set(found) == {"rounding", "overflow"}
    assert "ties away from zero" in found["rounding"].found + found["rounding"].name.replace(
        "nearest-away", "ties away from zero"
    )


# --- codes that depend on more than the number ----------------------------------------------------


def rounding_of(encode, fmt="e4m3"):
    return {i.what: i for i in element_thresholds(encode, fmt)}


def test_codes_that_depend_on_the_place_are_no_list_of_gaps():
    def by_place(x):
        codes = mxref.encode(x, "e4m3")
        codes[3::4] ^= 1  # one lane of four has a bad bit
        return codes

    found = rounding_of(by_place)
    assert len(found["rounding"].found) < 200
    assert "they depend on something else than the number" in found["rounding"].found
    assert "the codes depend on something else than the number" in found["overflow"].found


def test_codes_that_are_all_off_give_one_example():
    def one_more(x):
        codes = mxref.encode(x, "e4m3")
        return codes + (codes & 0x7F < 0x7E).astype(np.uint8)

    found = rounding_of(one_more)["rounding"].found
    assert found.startswith("no single step in 250 of 252 gaps between neighbouring values, such ")
    assert len(found) < 250


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("keep", "keeps its sign (-0 and -2^-126 give 0x80): keep"),
        ("drop", "loses its sign (-0 and -2^-126 give 0x00): drop"),
        ("drop-input", "loses its sign, but an underflow keeps it (-0 gives 0x00, -2^-126 gives "),
    ],
)
def test_what_becomes_of_negative_zero_is_said_in_words(choice, words):
    found = rounding_of(lambda x: mxref.encode(x, "e4m3", f"ocp:neg_zero={choice}"))
    assert found["negative zero"].found.startswith(words)
    assert found["negative zero"].name == choice
