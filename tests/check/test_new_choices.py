"""Which choices explain codes, which are a fault, and which are judged only where asked for."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mxref import arrays, check
from mxref.check import Verdict
from mxref.faults import FAULTS
from mxref.faults.legal import explanations, forbidden
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, block_format
from mxref.policy import OPEN_POINT_OF, Policy
from mxref.profiles import PROFILES

sys.path.insert(0, str(Path(__file__).parent))
from test_policies import values

RNG = np.random.default_rng(1)
NANS = np.array([0x7FC00000, 0xFFC00000, 0x7FE00000, 0xFFE00000], np.uint32).view(np.float32)
TINY = np.float32([1e-40, -1e-40, 2.0**-127, 2.0**-149])


def lone(dtype=np.float32):
    big = np.float32([464, 465, 1e5, -1e5, 61440, 70000, np.inf, -np.inf, 1e-9, -1e-9, -0.0])
    small = np.float32([2.0**-15, -(2.0**-15), 1.5 * 2.0**-16, 2.0**-24])
    x = np.concatenate([values().ravel(), big, small, NANS])
    with np.errstate(all="ignore"):
        return x.astype(dtype)


ELEMENT = [
    ("e5m2", {"fp8_overflow": "propagate"}, "E16"),
    ("e5m2", {"fp8_overflow": "sat-none", "rounding": "to-odd"}, "OP-FP8-OVERFLOW"),
    ("e4m3", {"nan_payload": "negative"}, "OP-NAN-PAYLOAD"),
    ("e5m2", {"nan_payload": "negative"}, "OP-NAN-PAYLOAD"),
    ("e5m2", {"nan_payload": "payload"}, "OP-NAN-PAYLOAD"),
    ("e2m1", {"neg_zero": "drop-input"}, "E19"),
    ("e3m2", {"neg_zero": "drop-input"}, "E19"),
    *((name, {"relu": "on"}, "OP-ELEM-SUBNORMAL") for name in ELEMENT_FORMATS),
    ("int8", {"relu": "on", "rounding": "toward-zero"}, "OP-ELEM-SUBNORMAL"),
]


@pytest.mark.parametrize(("fmt", "changes", "finding"), ELEMENT)
def test_element_choices_are_inferred(fmt, changes, finding):
    x = lone()
    report = check.encode(x, arrays.encode(x, fmt, Policy(**changes)), fmt)
    assert report.verdict is Verdict.CONFORMS_AS, str(report)
    assert report.policy == Policy(**changes)
    assert finding in {f.id for f in report.findings}


def test_flushed_inputs_are_inferred_where_the_type_shows_them():
    x = lone(np.float16)
    policy = Policy(input_subnormal="flush")
    report = check.encode(x, arrays.encode(x, "e5m2", policy), "e5m2")
    assert (report.verdict, report.policy) == (Verdict.CONFORMS_AS, policy), str(report)


def blocks(dtype=np.float32):
    x = values()
    x[50], x[51], x[52] = 1e-40, 0, -0.0
    x[53, 0], x[54, 0], x[55, 0] = 3e38, 2.5e38, -1.2e38
    x[56] = 1e-37 * RNG.uniform(-1, 1, 32)
    return x.astype(dtype)


SCALE = [
    ("mxfp4", {"scale_rule": "p3109"}),
    ("mxfp8_e4m3", {"scale_rule": "p3109"}),
    ("mxint8", {"scale_above": "clamp-125"}),
    ("mxint8", {"scale_rule": "plus-one", "scale_above": "nan"}),
    ("mxfp8_e5m2", {"scale_below": "flush-block"}),
    ("mxfp8_e4m3", {"scale_rule": "rceil", "scale_below": "flush-block"}),
    ("mxint8", {"scale_zero_block": "min-normal"}),
]


@pytest.mark.parametrize(("name", "changes"), SCALE)
def test_scale_choices_are_inferred(name, changes):
    x = blocks()
    q = arrays.quantize(x, name, policy=Policy(**changes))
    report = check.quantize(x, q.codes, q.scales, name)
    if "scale_zero_block" in changes:  # a scale of zeros has no effect
        assert report.verdict is Verdict.CONFORMS
        return
    assert report.verdict is Verdict.CONFORMS_AS, str(report)
    assert report.policy == Policy(**changes), str(report)


@pytest.mark.parametrize("quotient", ["float32", "reciprocal"])
def test_the_quotient_is_inferred(quotient):
    policy = Policy(scale_rule="rceil", scale_quotient=quotient)
    fmt = block_format("mxfp8_e4m3", 1)
    steps = np.arange(-3, 4)
    edges = (np.float32(1.75).view(np.uint32) + steps).astype(np.uint32).view(np.float32)
    x = (edges[:, None] * 2.0 ** np.arange(-100, 100)).astype(np.float32).reshape(-1, 1)
    q = arrays.quantize(x, fmt, policy=policy)
    report = check.quantize(x, q.codes, q.scales, fmt)
    assert report.ok, str(report)
    same = arrays.quantize(x, fmt, policy=report.policy)
    np.testing.assert_array_equal(same.scales, q.scales)


@pytest.mark.parametrize("subnormal", ["bits", "flush"])
def test_the_reading_of_subnormals_is_inferred(subnormal):
    x = np.ldexp(np.linspace(1, 2, 64, endpoint=False)[:, None], np.arange(-149, -110)[None])
    x = x.astype(np.float32).reshape(-1, 1)
    fmt = block_format("mxint8", 1)
    policy = Policy(scale_rule="ceil", scale_subnormal=subnormal, scale_zero_block="one")
    q = arrays.quantize(x, fmt, policy=policy)
    report = check.quantize(x, q.codes, q.scales, fmt, policy="ocp:scale_zero_block=one")
    assert report.verdict is Verdict.CONFORMS_AS, str(report)
    same = arrays.quantize(x, fmt, policy=report.policy)
    np.testing.assert_array_equal(same.scales, q.scales)


NO_EXCUSE = [
    ("mxint8", {"scale_above": "wrap"}),
    ("mxfp8_e4m3", {"scale_below": "wrap"}),
    ("mxfp4", {"scale_log2": "float32"}),
    ("mxfp4", {"scale_nan": "flush-block"}),
    ("mxfp4", {"scale_inf": "flush-block"}),
    ("mxfp4", {"scale_nan": "exponent-field"}),
    ("mxfp4", {"scale_inf": "exponent-field"}),
    ("mxfp8_e4m3", {"scale_amax": "bfloat16"}),
    ("mxfp8_e4m3", {"neg_zero": "drop"}),
    ("mxfp8_e4m3", {"neg_zero": "drop-input"}),
    ("mxfp8_e4m3", {"element_subnormal": "flush"}),
    ("mxfp6_e2m3", {"scaled_intermediate": "bfloat16"}),
]


def field_of(changes):
    return next(f for f in reversed(changes) if forbidden(f, changes[f], ELEMENT_FORMATS["e4m3"]))


@pytest.mark.parametrize(("name", "changes"), NO_EXCUSE)
def test_what_no_choice_excuses(name, changes):
    x = blocks()
    policy = Policy(**changes)
    if field_of(changes) == "scale_above":  # in float32 the one code beyond is that of NaN
        x = x.astype(np.float64)
        x[53, 0] = 1e60
    x[100:200, 20] = np.abs(x[100:200]).max(1) * 2.0**-15
    x[60:64, 0] = 2.0 ** np.float32([3, 7, 40, 100]) * np.float32(1 - 2.0**-24)
    x[64:128] = np.float32(1.9985) * x[64:128] / np.abs(x[64:128]).max(1, keepdims=True)
    q = arrays.quantize(x, name, policy=policy)
    assert check.quantize(x, q.codes, q.scales, name, policy=policy).verdict is Verdict.CONFORMS
    report = check.quantize(x, q.codes, q.scales, name)
    assert report.verdict in (Verdict.DEFECT, Verdict.UNEXPLAINED), str(report)
    field = field_of(changes)
    why = forbidden(field, changes[field], ELEMENT_FORMATS["e4m3"])
    assert why.fault in {f.id for f in report.findings}, str(report)
    if field not in ("scale_nan", "scale_inf"):  # their elements go on with amax = 2^128 or zeros
        assert report.verdict is Verdict.DEFECT, str(report)


def test_the_table_of_what_is_forbidden():
    assert "drop-input" in explanations(Policy(), "neg_zero")  # inferred, and named by its clause
    assert explanations(Policy(), "rounding")[-1] == "to-odd"
    assert not {"mse", "mae", "stochastic"} & set(explanations(Policy(), "scale_rule"))
    for field in OPEN_POINT_OF:
        for value in type(getattr(Policy(), field)):
            found = forbidden(field, str(value), ELEMENT_FORMATS["e4m3"])
            assert found is None or found.fault in FAULTS
            assert found is None or value is not getattr(Policy(), field)


@pytest.mark.parametrize(
    ("choice", "instead"),
    [
        ("rounding=stochastic-a", "by codes alone: .*encode_stochastic.*check.stochastic,"),
        ("scale_rule=stochastic", "by a check yet: .*mxref.quantize.*the same random bits"),
        ("scale_rule=mse", "by a check yet: .*mxref.quantize"),
    ],
)
def test_what_cannot_be_judged_is_refused_and_what_can_is_said(choice, instead):
    x = np.ones((1, 32), np.float32)
    q = arrays.quantize(x, "mxfp4")
    with pytest.raises(ValueError, match=f"{choice} cannot be judged {instead}"):
        check.quantize(x, q.codes, q.scales, "mxfp4", policy=f"ocp:{choice}")
    if choice.startswith("rounding"):
        with pytest.raises(ValueError, match="cannot be judged"):
            check.encode(x, q.codes, "e2m1", f"ocp:{choice}")
        with pytest.raises(ValueError, match="cannot be judged"):
            check.kernel(lambda _: 1 / 0, "mxfp4", policy=f"ocp:{choice}")


@pytest.mark.parametrize("name", PROFILES)
def test_whoever_follows_a_profile_conforms_to_it(name):
    profile = PROFILES[name]
    x = blocks()
    for field in ("scale_nan", "nan_element"):
        if getattr(profile.policy, field) == "raise":
            x[np.isnan(x)] = 0
    for field in ("scale_inf", "inf_element"):
        if getattr(profile.policy, field) == "raise":
            x[np.isinf(x)] = 0
    for fmt in profile.formats:
        if "quantize" in profile.operations:
            q = arrays.quantize(x, fmt, policy=profile.policy)
            report = check.quantize(x, q.codes, q.scales, fmt, policy=profile.policy)
            assert report.verdict is Verdict.CONFORMS, str(report)
        if "encode" in profile.operations:
            element = BLOCK_FORMATS[fmt].element.name
            codes = arrays.encode(x, element, profile.policy)
            assert check.encode(x, codes, element, profile.policy).ok


def test_flushed_results_of_a_decoder_are_inferred():
    codes, scales = (a.astype(np.uint8) for a in np.meshgrid(np.arange(16), np.arange(255)))
    policy = Policy(decode_subnormal="flush-result")
    fmt = block_format("mxfp4", 16)
    y = arrays.dequantize(codes, scales[:, :1], fmt, policy=policy)
    report = check.dequantize(codes, scales[:, :1], y, fmt)
    assert (report.verdict, report.policy) == (Verdict.CONFORMS_AS, policy), str(report)
    lost = arrays.dequantize(codes, scales[:, :1], fmt)
    lost[0] = np.copysign(0, lost[0])  # scale code 0 as zero: 4 * 2^-127 is lost, which is normal
    report = check.dequantize(codes, scales[:, :1], lost, fmt)
    assert (report.verdict, report.findings[0].id) == (Verdict.DEFECT, "D9"), str(report)


def test_flushed_blocks_are_compared_one_by_one():
    """One wrong code elsewhere does not make the flushed blocks look wrong."""
    x = blocks()
    policy = Policy(scale_below="flush-block")
    q = arrays.quantize(x, "mxfp8_e5m2", policy=policy)
    codes = q.codes.copy()
    codes[0, 0] ^= 1
    report = check.quantize(x, codes, q.scales, "mxfp8_e5m2", policy=policy)
    assert report.mismatches.elements == 1, str(report)
