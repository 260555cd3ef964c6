# ruff: noqa: ARG001 (planted defects share one signature)
import ml_dtypes
import numpy as np
import pytest

from mxref import arrays, check
from mxref.check import Verdict
from mxref.formats import ELEMENT_FORMATS
from mxref.policy import get_policy

ALL_BF16 = np.arange(1 << 16, dtype=np.uint16).view(ml_dtypes.bfloat16)
TYPES = {
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
}


def around(fmt):
    """float32 values on, beside and between all codes, scaled up where nothing overflows."""
    codes = np.arange(ELEMENT_FORMATS[fmt].sign_mask, dtype=np.uint8)
    values = arrays.decode(codes, fmt)
    values = np.sort(values[np.isfinite(values)])
    middles = (values[:-1] + values[1:]) / 2
    points = np.concatenate([values, middles, values[-1:] * np.float32([1.02, 1.1, 1.5, 2, 1e9])])
    beside = np.concatenate([points, np.nextafter(points, np.inf), np.nextafter(points, -np.inf)])
    beside = np.concatenate([beside, middles * np.float32(1 + 2**-10)])
    specials = np.float32([np.inf, np.nan, 0])
    return np.concatenate([beside, -beside, specials, -specials]).astype(np.float32)


@pytest.mark.parametrize("fmt", [*ELEMENT_FORMATS, "e8m0"])
def test_our_own_casts_conform(fmt):
    codes = arrays.encode(ALL_BF16, fmt)
    assert check.encode(ALL_BF16, codes, fmt).verdict is Verdict.CONFORMS
    shape = ALL_BF16.reshape(16, -1), codes.reshape(16, -1)
    assert check.encode(*shape, fmt).ok


@pytest.mark.parametrize("fmt", TYPES)
def test_ml_dtypes_follows_its_profile(fmt):
    with np.errstate(all="ignore"):
        codes = ALL_BF16.astype(np.float32).astype(TYPES[fmt])
    report = check.encode(ALL_BF16, codes, fmt)
    assert report.verdict is Verdict.CONFORMS_AS, str(report)
    assert report.ok
    expected = {"E13", "OP-NAN-PAYLOAD"} if fmt in ("e4m3", "e5m2") else {"OP-NAN-ELEMENT"}
    assert {f.id for f in report.findings} == expected
    assert all(f.legal and f.residual == 0 for f in report.findings)
    assert "ml_dtypes" in report.profiles
    assert check.encode(ALL_BF16, codes, fmt, "ml_dtypes").verdict is Verdict.CONFORMS
    asked = check.encode(ALL_BF16, codes, fmt, "ocp")
    assert not asked.ok


def test_ml_dtypes_doubles_the_smallest_scales():
    x = np.concatenate([ALL_BF16.astype(np.float32), np.float32([1.5, -2, np.inf, 3e38])])
    with np.errstate(all="ignore"):
        codes = x.astype(ml_dtypes.float8_e8m0fnu)
    for policy in (None, "ml_dtypes"):
        report = check.encode(x, codes, "e8m0", policy)
        assert report.verdict is Verdict.DEFECT
        assert report.findings[0].id == "S17"
        assert report.findings[0].residual == 0
    assert {f.policy_change.get("e8m0_rounding") for f in report.findings} == {None}
    above = np.abs(x) >= np.float32(2.0**-126)
    report = check.encode(x[above], codes[above], "e8m0")
    assert report.verdict is Verdict.CONFORMS_AS
    assert report.policy.e8m0_rounding == "nearest"
    assert check.encode(x[above], codes[above], "e8m0", "ml_dtypes").ok


@pytest.mark.parametrize("rounding", ["down", "up", "nearest"])
@pytest.mark.parametrize("negative", ["nan", "magnitude"])
def test_e8m0_policies_are_inferred(rounding, negative):
    policy = f"ocp:e8m0_rounding={rounding},e8m0_negative={negative},e8m0_inf=saturate"
    x = np.concatenate([ALL_BF16.astype(np.float32), np.float32([np.inf, -np.inf, 3e38, -3e38])])
    report = check.encode(x, arrays.encode(x, "e8m0", policy), "e8m0")
    assert report.policy == get_policy(policy), str(report)
    assert report.findings[0].id == "OP-E8M0-CAST"


@pytest.mark.parametrize("ties", ["even", "down"])
def test_e8m0_tie_rules(ties):
    x = np.float32([1.5, 3, 6, 12, 1, 1.4, 1.6, 5.9])
    exponent = np.frexp(x)[1] - 1
    odd_field = exponent % 2 == 0
    up = (x / 2.0**exponent > 1.5) | ((x / 2.0**exponent == 1.5) & odd_field & (ties == "even"))
    codes = (exponent + 127 + up).astype(np.uint8)
    report = check.encode(x, codes, "e8m0")
    assert report.findings[0].id == "S9", str(report)
    # To the even code is what P3109 does: OP-E8M0-CAST has a choice for it.
    assert report.verdict is (Verdict.CONFORMS_AS if ties == "even" else Verdict.DEFECT)


def sign_of(fmt):
    return ELEMENT_FORMATS[fmt].sign_mask


def nan_to_zero(x, codes, fmt):
    return np.where(np.isnan(x), 0, codes)


def inf_to_zero(x, codes, fmt):
    return np.where(np.isinf(x), np.signbit(x) * sign_of(fmt), codes)


def inf_kept(x, codes, fmt):
    special = {"e4m3": 0x7F, "e5m2": 0x7C}[fmt]
    sign = np.signbit(x) * sign_of(fmt) * (fmt == "e5m2")
    return np.where(np.isinf(x), special + sign, codes)


def max_is_one_less(x, codes, fmt):
    top = ELEMENT_FORMATS[fmt].max_magnitude
    return codes - ((codes & (sign_of(fmt) - 1) == top) & ~np.isnan(x))


def mantissa_masked(x, codes, fmt):
    return np.where(np.isnan(x), codes, codes & 0xFE)


def cut_at_min_subnormal(x, codes, fmt):
    small = np.abs(x) < float(ELEMENT_FORMATS[fmt].min_subnormal)
    return np.where(small, codes & sign_of(fmt), codes)


def collides(x, codes, fmt):
    top = float(ELEMENT_FORMATS[fmt].max)
    step = {"e4m3": 32, "e5m2": 8192}[fmt]
    a = np.abs(x)
    hit = (a >= top + step / 2) & (a < top + 1.5 * step)
    if fmt == "e4m3":
        hit &= a > top + step / 2  # that tie goes down to the even 448
        hit |= a == top + 1.5 * step
        hit &= a < top + 1.5 * step
    special = {"e4m3": 0x7F, "e5m2": 0x7C}[fmt]
    sign = np.signbit(x) * sign_of(fmt) * (fmt == "e5m2")
    return np.where(hit, special + sign, codes)


PLANTED = [
    ("E4", mantissa_masked, ["e4m3"]),
    ("E8", cut_at_min_subnormal, list(TYPES)),
    ("E14", collides, ["e4m3", "e5m2"]),
    ("E15", max_is_one_less, list(TYPES)),
    ("E16", inf_kept, ["e4m3"]),
    ("E17", inf_to_zero, list(TYPES)),
    ("E18", nan_to_zero, ["e4m3", "e5m2"]),
]


@pytest.mark.parametrize(("fault", "plant", "fmt"), [(i, p, f) for i, p, fs in PLANTED for f in fs])
def test_defects_are_named(fault, plant, fmt):
    x = around(fmt)
    codes = plant(x, arrays.encode(x, fmt), fmt).astype(np.uint8)
    report = check.encode(x, codes, fmt)
    assert report.findings[0].id == fault, str(report)
    assert report.verdict is Verdict.DEFECT
    assert report.findings[0].residual == 0


def test_an_infinity_that_stays_one_is_legal_where_there_is_one():
    x = around("e5m2")
    codes = inf_kept(x, arrays.encode(x, "e5m2"), "e5m2").astype(np.uint8)
    report = check.encode(x, codes, "e5m2")
    assert (report.verdict, report.findings[0].id) == (Verdict.CONFORMS_AS, "E16"), str(report)
    assert report.policy == get_policy("ocp:fp8_overflow=propagate")


@pytest.mark.parametrize("fmt", TYPES)
@pytest.mark.parametrize(("fault", "via"), [("E21", ml_dtypes.bfloat16), ("E22", np.float16)])
def test_double_rounding_is_named(fmt, fault, via):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(1 << 16) * float(ELEMENT_FORMATS[fmt].max) / 4).astype(np.float32)
    x = np.concatenate([x, around(fmt)])
    with np.errstate(all="ignore"):
        codes = arrays.encode(x.astype(via), fmt)
    report = check.encode(x, codes, fmt)
    assert report.findings[0].id == fault, str(report)
    assert report.verdict is Verdict.DEFECT


@pytest.mark.parametrize("fmt", ["e4m3", "e5m2"])
def test_fnuz_dialect_is_named(fmt):
    wrong = {"e4m3": ml_dtypes.float8_e4m3fnuz, "e5m2": ml_dtypes.float8_e5m2fnuz}[fmt]
    x = around(fmt)
    x = x[np.abs(x) < float(ELEMENT_FORMATS[fmt].max) / 2]
    report = check.encode(x, x.astype(wrong).view(np.uint8), fmt)
    assert report.findings[0].id == "E24", str(report)


def test_int8_defects():
    x = np.float32([-2, -1.999, 1.999, 2, 1, -1, 0.5, 100, -100])
    used = arrays.encode(x, "int8", "ocp:int8_min=used")
    report = check.encode(x, used, "int8")
    assert (report.findings[0].id, report.verdict) == ("E15", Verdict.CONFORMS_AS)
    wraps = np.rint(np.minimum(np.abs(x), 2) * 64) * np.sign(x)
    report = check.encode(x[:7], wraps[:7].astype(np.int64).astype(np.uint8), "int8")
    assert report.findings[0].id == "E15"
    assert report.verdict is Verdict.DEFECT


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3, 5)])
def test_any_shape(shape):
    x = np.full(shape, 1.5, np.float32)
    report = check.encode(x, arrays.encode(x, "e4m3"), "e4m3")
    assert report.verdict is (Verdict.CONFORMS if x.size else Verdict.NOT_TESTABLE)
    if x.size:
        wrong = check.encode(x, arrays.encode(x, "e4m3") + np.uint8(1), "e4m3")
        assert wrong.mismatches.first.index == (0,) * len(shape)


def test_bad_input_is_refused():
    x = np.ones(4, np.float32)
    codes = np.zeros(4, np.uint8)
    for error, args in (
        (ValueError, (x, codes[:3], "e4m3")),
        (ValueError, (x, codes + 16, "e2m1")),
        (ValueError, (x, codes, "mxfp4")),
        (TypeError, (x.astype(int), codes, "e4m3")),
        (TypeError, (x, x, "e8m0")),
    ):
        with pytest.raises(error):
            check.encode(*args)
