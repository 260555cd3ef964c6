"""Disputes that were no defects: what the standards leave open is never called a defect.

Each of these was filed as a bug, or could have been. The answer is the policy under which it is
legal; section 5 of the survey of defects lists most of them.
"""

from functools import partial

import ml_dtypes
import numpy as np
import pytest
from replayed import (
    E2M1,
    E4M3,
    E5M2,
    bits_of,
    block_amax,
    f32,
    floor_log2,
    from_bits,
    hexes,
    magnitudes,
    nearest,
    ocp_scale,
    one_block,
    quantizer,
    scale_byte,
    scale_value,
    under,
    value_table,
    with_nan,
    with_sign,
)
from replays_dots import hopper, some_dots

from mxref import check
from mxref.check.dot import dot


def assert_legal(report, **fields):
    """Right, and under exactly these departures from the policy `ocp`."""
    verdict = "conforms-as" if fields else "conforms"
    assert report.verdict == verdict, report
    assert report.ok
    assert all(finding.legal and finding.residual == 0 for finding in report.findings), report
    assert bool(report.findings) == bool(fields), report
    for name, choice in fields.items():
        assert getattr(report.policy, name) == choice, report


# --- elements ------------------------------------------------------------------------------------


def test_4_25_is_a_tie():
    """jax-ml/ml_dtypes#221: 4.25 becomes 4 in E4M3, as the even neighbour."""
    x = f32(4.25)
    assert value_table(E4M3)[nearest(E4M3, x)] == 4
    assert_legal(check.encode(x, nearest(E4M3, x), "e4m3"))


def test_overflow_to_nan():
    """jax-ml/ml_dtypes#260, #400: what overflows E4M3 is NaN, and 464 does not overflow."""

    def cast(x):
        with np.errstate(all="ignore"):
            return x.astype(ml_dtypes.float8_e4m3fn).view(np.uint8)

    got = cast(f32(1000, 448, 464, 465, -1000))
    assert hexes(got & 0x7F) == ["0x7f", "0x7e", "0x7e", "0x7f", "0x7f"]
    report = check.encode(f32(1000, 448, 464, 465, -1000), got, "e4m3")
    assert report.verdict == "conforms-as", report
    assert report.policy.fp8_overflow == "overflow"
    report = check.kernel(cast, "e4m3", "encode")
    assert report.verdict == "conforms-as", report
    assert report.policy.fp8_overflow == "overflow"


@pytest.mark.parametrize(
    ("t", "largest", "becomes"), [(E4M3, 957.0, 896.0), (E5M2, 122880.0, 114688.0)]
)
def test_block_maxima_saturate(t, largest, becomes):
    """microsoft/microxcaling#4: 957 becomes 896 under the floor rule; pytorch/ao#436: in E5M2."""
    x = one_block(largest, -1.0)
    codes, scales = quantizer(ocp_scale)(t, x)
    assert value_table(t)[codes[0, 0]] * scale_value(scales)[0, 0] == becomes
    assert_legal(check.quantize(x, codes, scales, t.block))


def toward_zero(t, x, *, overflow):
    """Truncate; what is beyond the largest number becomes a given code."""
    a = np.abs(np.where(np.isnan(x), 0, x))
    code = np.searchsorted(magnitudes(t), a, side="right") - 1
    code = np.where(a > t.max, overflow, code)
    code = with_sign(t, code, x)
    return np.where(np.isfinite(x), code, 0x7F).astype(np.uint8)


def test_truncation_stops_at_the_largest_number():
    """riscv-isa-sim#2284: rounding toward zero, 0x5BF8 of bfloat16 is 0x7E without saturation."""
    encode = partial(toward_zero, E4M3, overflow=0x7E)
    assert hexes(encode(from_bits([0x5BF80000]))) == ["0x7e"]
    policy = "ocp:rounding=toward-zero,fp8_overflow=overflow"
    report = check.kernel(encode, "e4m3", "encode", policy)
    assert report.verdict == "conforms", report
    assert_legal(
        check.kernel(encode, "e4m3", "encode"), rounding="toward-zero", fp8_overflow="overflow"
    )


@pytest.mark.parametrize(
    ("infinity", "fields"), [(0x7B, {}), (0x7C, {"fp8_overflow": "propagate"})]
)
def test_infinity_in_e5m2(infinity, fields):
    """tile-ai/tilelang#2944: infinity becomes 57344 under SAT; as infinity it is the choice."""

    def encode(x):
        code = np.where(np.isinf(x), infinity, nearest(E5M2, x) & 0x7F)
        return with_nan(E5M2, with_sign(E5M2, code, x), x)

    assert_legal(check.kernel(encode, "e5m2", "encode"), **fields)


@pytest.mark.parametrize("least", [-127, -128])
def test_both_ranges_of_int8(least):
    """tenstorrent/tt-metal#56526, onnxruntime#3442: whether -2 exists in MXINT8 is left open."""

    def encode(x):
        with np.errstate(all="ignore"):
            units = np.clip(np.rint(np.nan_to_num(x, nan=2.0) * 64.0), least, 127)
        return units.astype(np.int8).view(np.uint8)

    fields = {"int8_min": "used"} if least == -128 else {}
    assert_legal(check.kernel(encode, "int8", "encode"), **fields)


def test_ties_away_in_one_of_two_types():
    """triton-lang/triton#8110: MXFP4 rounded ties away, MXFP8 to even: each alone is a choice."""

    def away(v):
        middle = (magnitudes(E2M1)[1:] + magnitudes(E2M1)[:-1]) / 2
        return with_sign(E2M1, np.searchsorted(middle, np.abs(v), side="right"), v)

    def encode(x):
        return with_nan(E2M1, away(np.where(np.isnan(x), 0, x)), x)

    assert_legal(check.kernel(encode, "e2m1", "encode"), rounding="nearest-away")


# --- scale rules ---------------------------------------------------------------------------------


def ceil_scale(t, amax):
    """NVIDIA, torchao: the least power of two under which nothing saturates."""
    mantissa, exponent = np.frexp(amax.astype(np.float64) / t.max)
    return scale_byte(exponent.astype(np.int64) - (mantissa == 0.5), amax)


def even_scale(t, amax):
    """Quark: amax is rounded to the mantissa of the elements first."""
    rounded = np.where(np.isfinite(amax), bits_of(amax) + (1 << (22 - t.mbits)), 0)
    mantissa_up = np.where(amax < 2.0**-126, amax, from_bits(rounded))
    low = np.where(amax < 2.0**-126, floor_log2(amax), (rounded >> 23) - 127)
    assert mantissa_up.shape == amax.shape
    return scale_byte(low - t.emax, amax)


@pytest.mark.parametrize("t", [E2M1, E4M3], ids=lambda t: t.name)
@pytest.mark.parametrize(("rule", "name"), [(ceil_scale, "rceil"), (even_scale, "even")])
def test_scale_rules(rule, name, t):
    """ROCm/aiter#3212, ROCm/ATOM#1601, NVIDIA/Fuser#5643: different rules, all of them legal."""
    report = check.kernel(partial(quantizer(rule), t), t.block)
    assert_legal(report, scale_rule=name)
    assert report.findings[0].id == "S10"


# --- E8M0 ----------------------------------------------------------------------------------------


def rounded_up(x, *, zero=0, negative=0xFF, beyond=0xFE):
    """Round to a power of two, upward."""
    bits = bits_of(np.abs(x))
    field, man = bits >> 23, bits & 0x7FFFFF
    byte = np.where(field == 0, man > 0x400000, field + (man > 0))
    byte = np.where(byte >= 0xFF, beyond, byte)
    byte = np.where((x < 0) & (negative is not None), negative or 0, byte)
    byte = np.where(x == 0, zero, byte)
    return np.where(np.isnan(x) | np.isinf(x), 0xFF, byte).astype(np.uint8)


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({}, {}),
        ({"zero": 0xFF}, {"e8m0_zero": "nan"}),
        ({"negative": None}, {"e8m0_negative": "magnitude"}),
        ({"beyond": 0xFF}, {"e8m0_overflow": "nan"}),
    ],
    ids=["plain", "zero", "negative", "overflow"],
)
def test_casts_to_e8m0(options, fields):
    """What no standard says: onnx#7030 (zero), llvm-project#140332 (the sign), tilelang-metax#101.

    The last rounds 3.4e38 up to NaN; with a saturating cast promised it would be S11.
    """
    assert hexes(rounded_up(f32(3.4e38), **options)) == [hex(options.get("beyond", 0xFE))]
    report = check.kernel(partial(rounded_up, **options), "e8m0", "encode")
    assert_legal(report, e8m0_rounding="up", **fields)


def test_zero_is_the_least_scale():
    """llvm-project#215445: zero silently becomes 2^-127, which is the default here too."""
    assert_legal(check.encode(f32(0.0), np.array([0], np.uint8), "e8m0"))


def test_a_promise_is_kept_apart():
    """A legal choice is not what was asked for: conforms-as, but not ok."""
    encode = partial(rounded_up, beyond=0xFF)
    report = check.kernel(encode, "e8m0", "encode", "ocp:e8m0_rounding=up,e8m0_overflow=saturate")
    assert report.verdict == "conforms-as", report
    assert not report.ok
    assert all(finding.legal for finding in report.findings)


# --- products and double rounding ----------------------------------------------------------------


def test_fourteen_bits_are_a_choice():
    """deepseek-ai/DeepGEMM#37: how precisely products are added is left open, and is named."""
    codes_a, scales_a, codes_b, scales_b = some_dots(E4M3)
    d = hopper(E4M3, codes_a, scales_a, codes_b, scales_b)
    report = dot(codes_a, scales_a, codes_b, scales_b, d, "mxfp8_e4m3")
    assert report.verdict == "conforms-as", report
    assert report.ok
    assert "nv-hopper-fp8" in str(report)


def test_two_steps_on_purpose():
    """openvinotoolkit/openvino#28501: who declares two roundings is held to two roundings."""

    def quantize(x):
        amax = block_amax(x)
        scales = ocp_scale(E4M3, amax)
        with np.errstate(all="ignore"):
            half = under(x, scales).astype(np.float16).astype(np.float64)
        return with_nan(E4M3, nearest(E4M3, half), half), scales

    policy = "ocp:scaled_intermediate=float16"
    assert check.kernel(quantize, "mxfp8_e4m3", policy=policy).verdict == "conforms"
    undeclared = check.kernel(quantize, "mxfp8_e4m3")
    assert [finding.id for finding in undeclared.findings] == ["E22"], undeclared
