"""One call of `mxref.check` names each planted mistake, with nothing left unexplained.

The implementations know nothing of `mxref.faults`; a legal choice (ties away, another scale rule,
no negative zero) is named as well, and the verdict says that it is one.
"""

import functools

import implementations as impl
import ml_dtypes
import numpy as np
import pytest
from implementations import E2M1, E2M3, E3M2, E4M3, E5M2, FLOAT_TYPES
from stimuli import dequantizer_input, encoder_input, quantizer_input

from mxref import check

DEFECT, LEGAL = "defect", "conforms-as"

# (id, implementation, type, verdict); those with a rule for every type take the type as well.
QUANTIZERS = [
    ("E1", "e1_fp4_boundaries", E2M1, LEGAL),
    ("E1", "e1_add_half", E4M3, LEGAL),
    ("E2", "e2_truncation", E2M3, LEGAL),
    ("E2", "e2_fp4_table", E2M1, LEGAL),
    ("E4", "e4_mantissa_mask", E4M3, DEFECT),
    ("E5", "e5_carry_clamped", E4M3, DEFECT),
    ("E5", "e5_carry_wrapped", E2M1, DEFECT),
    ("E7", "e7_flush_input", E2M1, DEFECT),
    ("E7", "e7_flush_output", E4M3, DEFECT),
    ("E8", "e8_cutoff", E4M3, DEFECT),
    ("E9", "e9_subnormal_binade", E2M3, DEFECT),
    ("E10", "e10_sticky_lost", E2M1, DEFECT),
    ("E12", "e12_top_binade", E4M3, DEFECT),
    ("E12", "e12_fp4_top_binade", E2M1, DEFECT),
    ("E13", "e13_nan_on_overflow", E4M3, LEGAL),
    ("E15", "e15_max_416", E4M3, DEFECT),
    ("E19", "e19_sign_by_multiplication", E2M1, LEGAL),
    ("E21", "e21_through_bfloat16", E4M3, DEFECT),
    ("E22", "e22_through_float16", E4M3, DEFECT),
    ("S13", "s13_fmax", E4M3, LEGAL),
    ("S13", "s13_std_max", E4M3, DEFECT),
    ("L1", "l1_nibbles", E2M1, DEFECT),
]
SCALE_RULES = [
    ("S1", "s1_floor_of_quotient", DEFECT),
    ("S2", "s2_nearest_power", DEFECT),
    ("S3", "s3_round_log2", DEFECT),
    ("S4", "s4_no_emax", DEFECT),
    ("S5", "s5_ceil", LEGAL),
    ("S6", "s6_bias_125", DEFECT),
    ("S7", "s7_amax_bfloat16", DEFECT),
    ("S10", "s10_rceil", LEGAL),
    ("S10", "s10_even", LEGAL),
    ("S11", "s11_wrap", DEFECT),
]
ENCODERS = [
    ("E13", "e13_encode_inf", E5M2, LEGAL),
    ("E14", "e14_encode", E4M3, DEFECT),
    ("E15", "e15_encode_49152", E5M2, DEFECT),
    ("E16", "e16_encode_inf_kept", E5M2, LEGAL),  # as fp8_overflow=propagate
    ("E16", "e16_encode_inf_nan", E4M3, DEFECT),
    ("E18", "e18_encode_nan_max", E4M3, DEFECT),
    ("E18", "e18_encode_nan_zero", E4M3, DEFECT),
]
DECODERS = [
    ("D1", "d1_decode", "e4m3"),
    ("D3", "d3_decode", "e4m3"),
    ("D4", "d4_decode", "e5m2"),
    ("D6", "d6_decode", "e4m3"),
    ("D6", "d6_decode_scale", "e8m0"),
    ("D9", "d9_decode_scale", "e8m0"),
    ("D10", "d10_decode_scale", "e8m0"),
]
DEQUANTIZERS = [
    ("D1", "d1_fp4", E2M1),
    ("D3", "d3_dequantize", E4M3),
    ("D9", "d9_shift", E4M3),
    ("D10", "d10_inf", E2M1),
    ("L1", "l1_dequantize", E2M1),
]
# What bfloat16 input can show; it hides whatever needs more than eight significant bits.
IN_BFLOAT16 = [
    ("E1", "e1_fp4_boundaries", E2M1, LEGAL),
    ("E7", "e7_flush_input", E2M1, DEFECT),
    ("E12", "e12_top_binade", E4M3, DEFECT),
    ("L1", "l1_nibbles", E2M1, DEFECT),
]
# One mistake, two hypotheses: a scale byte cast to float is D6 in the taxonomy, whose stimulus says
# "E8M0 code 127 -> 127.0", and D13, "raw scale byte used as a number". No data can tell them apart.
SAME_MISTAKE = {("D6", "e8m0"): {"D6", "D13"}}


def assert_named(report, planted, verdict):
    assert report.verdict == verdict, report
    assert report.findings, report
    assert report.findings[0].id in SAME_MISTAKE.get((planted, report.format), {planted}), report
    assert report.findings[0].residual == 0, report
    assert report.findings[0].legal == (verdict == LEGAL), report
    assert (report.policy is not None) == (verdict == LEGAL), report
    assert report.ok == (verdict == LEGAL)
    str(report)
    report.to_json()


def ids(rows):
    return [f"{row[1]}-{row[2].name if hasattr(row[2], 'name') else row[2]}" for row in rows]


@pytest.mark.parametrize(("planted", "name", "t", "verdict"), QUANTIZERS, ids=ids(QUANTIZERS))
def test_quantizers(planted, name, t, verdict):
    x = quantizer_input(t)
    codes, scales = getattr(impl, name)(x)
    assert_named(check.quantize(x, codes, scales, t.block), planted, verdict)


@pytest.mark.parametrize("t", [E2M1, E4M3, E2M3, E3M2, E5M2], ids=lambda t: t.name)
@pytest.mark.parametrize(("planted", "name", "verdict"), SCALE_RULES)
def test_scale_rules(planted, name, verdict, t):
    x = quantizer_input(t)
    codes, scales = getattr(impl, name)(x, t)
    assert_named(check.quantize(x, codes, scales, t.block), planted, verdict)


# --- driven as a black box ----------------------------------------------------------------------

WIRING = {"l1_nibbles", "l1_dequantize"}  # exchanged neighbours and nothing else: see test_kernel
ALL_QUANTIZERS = [
    *((p, name, t, v, getattr(impl, name)) for p, name, t, v in QUANTIZERS if name not in WIRING),
    *(
        (p, name, t, v, functools.partial(getattr(impl, name), t=t))
        for p, name, v in SCALE_RULES
        for t in FLOAT_TYPES
    ),
]


@pytest.mark.parametrize(
    ("planted", "name", "t", "verdict", "fn"), ALL_QUANTIZERS, ids=ids(ALL_QUANTIZERS)
)
def test_driven_quantizers(planted, name, t, verdict, fn):  # noqa: ARG001 - the name is the id
    assert_named(check.kernel(fn, t.block), planted, verdict)


@pytest.mark.parametrize(("planted", "name", "t", "verdict"), ENCODERS, ids=ids(ENCODERS))
def test_driven_encoders(planted, name, t, verdict):
    report = check.kernel(getattr(impl, name), t.name, op="encode")
    assert_named(report, planted, verdict)


@pytest.mark.parametrize(("planted", "name", "fmt"), DECODERS, ids=ids(DECODERS))
def test_driven_decoders(planted, name, fmt):
    assert_named(check.kernel(getattr(impl, name), fmt, op="decode"), planted, DEFECT)


@pytest.mark.parametrize(("planted", "name", "t"), DEQUANTIZERS, ids=ids(DEQUANTIZERS))
def test_driven_dequantizers(planted, name, t):
    if name in WIRING:
        pytest.skip("exchanged neighbours are a question of wiring when driven")
    assert_named(check.kernel(getattr(impl, name), t.block, op="dequantize"), planted, DEFECT)


# --- other input --------------------------------------------------------------------------------


@pytest.mark.parametrize(("planted", "name", "t", "verdict"), IN_BFLOAT16, ids=ids(IN_BFLOAT16))
def test_quantizers_fed_with_bfloat16(planted, name, t, verdict):
    with np.errstate(over="ignore"):
        x = quantizer_input(t).astype(ml_dtypes.bfloat16)
    codes, scales = getattr(impl, name)(x.astype(np.float32))
    assert_named(check.quantize(x, codes, scales, t.block), planted, verdict)


@pytest.mark.parametrize(("planted", "name", "t", "verdict"), ENCODERS, ids=ids(ENCODERS))
def test_encoders(planted, name, t, verdict):
    x = encoder_input(t)
    assert_named(check.encode(x, getattr(impl, name)(x), t.name), planted, verdict)


@pytest.mark.parametrize(("planted", "name", "fmt"), DECODERS, ids=ids(DECODERS))
def test_decoders(planted, name, fmt):
    codes = np.arange(256, dtype=np.uint8)
    assert_named(check.decode(codes, getattr(impl, name)(codes), fmt), planted, DEFECT)


@pytest.mark.parametrize(("planted", "name", "t"), DEQUANTIZERS, ids=ids(DEQUANTIZERS))
def test_dequantizers(planted, name, t):
    codes, scales = dequantizer_input(t)
    y = getattr(impl, name)(codes, scales)
    assert_named(check.dequantize(codes, scales, y, t.block), planted, DEFECT)


# --- the same styles without a mistake ----------------------------------------------------------


def assert_conforms(report):
    assert report.verdict == "conforms", report
    assert report.ok
    assert not report.findings
    report.raise_for_defects()


@pytest.mark.parametrize("t", FLOAT_TYPES, ids=lambda t: t.name)
@pytest.mark.parametrize("style", ["quantize_by_arithmetic", "quantize_by_bits"])
def test_correct_quantizers_conform(style, t):
    x = quantizer_input(t)
    assert_conforms(check.quantize(x, *getattr(impl, style)(x, t), t.block))


def test_a_correct_table_quantizer_conforms():
    x = quantizer_input(E2M1)
    assert_conforms(check.quantize(x, *impl.quantize_by_table(x), "mxfp4"))


@pytest.mark.parametrize("t", FLOAT_TYPES, ids=lambda t: t.name)
def test_correct_encoders_and_decoders_conform(t):
    x = encoder_input(t)
    if t not in (E4M3, E5M2):
        x = x[~np.isnan(x)]
    assert_conforms(check.encode(x, impl.encode_by_bits(x, t), t.name))
    codes, scales = dequantizer_input(t)
    y = impl.dequantize_by_table(codes, scales, t)
    assert_conforms(check.dequantize(codes, scales, y, t.block))
    assert_conforms(check.decode(codes, impl.decode_by_table(codes, t), t.name))
