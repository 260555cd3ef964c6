import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref import arrays, check
from mxref.check import DefectError, Verdict
from mxref.formats import BLOCK_FORMATS, block_format
from mxref.policy import Policy, get_policy

sys.path.insert(0, str(Path(__file__).parent))
import naive

DTYPES = pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16], ids=["f32", "bf16"])


@pytest.mark.parametrize("fmt", BLOCK_FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
def test_our_own_output_conforms(fmt, dtype):
    x = naive.data(dtype=dtype)
    q = arrays.quantize(x, fmt)
    report = check.quantize(x, q.codes, q.scales, fmt)
    assert report.verdict is Verdict.CONFORMS, str(report)
    assert report.ok
    assert report.policy == get_policy("ocp")
    report.raise_for_defects()


@pytest.mark.parametrize("fmt", naive.FORMATS)
def test_the_naive_quantizer_is_right_before_anything_is_planted(fmt):
    x = naive.data()
    report = check.quantize(x, *naive.quantize(x, fmt), fmt)
    assert report.verdict is Verdict.CONFORMS, str(report)


ELEMENT_DEFECTS = {
    "ties away": ("E1", {"tie": "away"}, True, naive.FORMATS),
    "truncation": ("E2", {"tie": "trunc"}, True, naive.FORMATS),
    "flush by input": ("E7", {"twist": naive.flush_input}, False, naive.FORMATS),
    "flush by result": ("E7", {"twist": naive.flush_result}, False, naive.FORMATS),
    "top binade": ("E12", {"twist": naive.top_binade_saturates}, False, naive.FORMATS),
    "saturation": ("E13", {"twist": naive.saturation_inverted}, True, naive.FORMATS[:2]),
    "minus zero fp8": ("E19", {"twist": naive.minus_zero_lost}, False, naive.FORMATS[:2]),
    "minus zero": ("E19", {"twist": naive.minus_zero_lost}, True, naive.FORMATS[2:]),
}
SCALE_DEFECTS = {
    "S1": (naive.floor_of_quotient, False),
    "S2": (naive.nearest_of_quotient, False),
    "S3": (naive.rounded_log, False),
    "S4": (naive.no_emax, False),
    "S5": (naive.ceil_of_amax, True),
    "S6": (naive.bias_125, False),
    "S10": (naive.ceil_of_quotient, True),
}


@DTYPES
@pytest.mark.parametrize(
    ("planted", "fmt"), [(name, fmt) for name, row in ELEMENT_DEFECTS.items() for fmt in row[3]]
)
def test_element_defects_are_named(planted, fmt, dtype):
    fault, options, is_legal, _ = ELEMENT_DEFECTS[planted]
    x = naive.data(dtype=dtype)
    report = check.quantize(x, *naive.quantize(x, fmt, **options), fmt)
    assert report.findings, str(report)
    finding = report.findings[0]
    assert (finding.id, finding.legal, finding.residual) == (fault, is_legal, 0), str(report)
    assert report.verdict is (Verdict.CONFORMS_AS if is_legal else Verdict.DEFECT)
    assert finding.explains == 1
    assert finding.witness is not None
    assert report.mismatches.scales == 0
    assert report.mismatches.elements > 0


@DTYPES
@pytest.mark.parametrize("fmt", naive.FORMATS)
@pytest.mark.parametrize("fault", SCALE_DEFECTS)
def test_scale_defects_are_named_and_do_not_blame_elements(fault, fmt, dtype):
    exponent, is_legal = SCALE_DEFECTS[fault]
    x = naive.data(dtype=dtype)
    report = check.quantize(x, *naive.quantize(x, fmt, exponent), fmt)
    assert report.findings[0].id == fault, str(report)
    assert report.findings[0].residual == 0
    assert report.verdict is (Verdict.CONFORMS_AS if is_legal else Verdict.DEFECT)
    assert report.mismatches.elements == 0


def test_flush_variants_are_told_apart():
    x = naive.data()
    for twist, detail in ((naive.flush_input, "size"), (naive.flush_result, "after")):
        report = check.quantize(x, *naive.quantize(x, "mxfp4", twist=twist), "mxfp4")
        assert detail in report.findings[0].detail


def test_nibbles_swapped():
    x = naive.data()
    codes, scales = naive.quantize(x, "mxfp4")
    swapped = codes.reshape(-1, 2)[:, ::-1].reshape(codes.shape)
    report = check.quantize(x, swapped, scales, "mxfp4")
    assert report.verdict is Verdict.DEFECT
    assert report.findings[0].id == "L1"


def test_nibbles_swapped_with_a_tail():
    x = naive.data()[:, :70]
    q = arrays.quantize(x, "mxfp4", pad=True)
    swapped = q.codes.reshape(-1, 2)[:, ::-1].reshape(q.codes.shape)
    assert check.quantize(x, swapped, q.scales, "mxfp4").findings[0].id == "L1"


@pytest.mark.parametrize("reverse", [False, True])
def test_split_halves(reverse):
    x = naive.data()
    codes, scales = naive.quantize(x, "mxfp4")
    pairs = (16, 2) if reverse else (2, 16)
    split = codes.reshape(-1, *pairs).swapaxes(1, 2)
    report = check.quantize(x, split.reshape(codes.shape), scales, "mxfp4")
    assert report.findings[0].id == "L2", str(report)


def test_scale_and_element_defects_together_are_both_named():
    x = naive.data()
    codes, scales = naive.quantize(x, "mxfp4", naive.floor_of_quotient, twist=naive.flush_input)
    report = check.quantize(x, codes, scales, "mxfp4")
    assert report.verdict is Verdict.DEFECT
    assert {f.id for f in report.findings} == {"S1", "E7"}


def test_a_defect_on_top_of_a_legal_choice():
    x = naive.data()
    codes, scales = naive.quantize(x, "mxfp8_e4m3", tie="away", twist=naive.top_binade_saturates)
    report = check.quantize(x, codes, scales, "mxfp8_e4m3")
    assert report.verdict is Verdict.DEFECT, str(report)
    assert [(f.id, f.legal) for f in report.findings] == [("E12", False), ("E1", True)]


def test_two_defects_of_one_stage():
    x = naive.data()

    def both(fmt, codes, v, sign):
        codes, sign = naive.flush_result(fmt, codes, v, sign)
        return naive.top_binade_saturates(fmt, codes, v, sign)

    report = check.quantize(x, *naive.quantize(x, "mxfp4", twist=both), "mxfp4")
    assert report.verdict is Verdict.DEFECT
    assert {f.id for f in report.findings} == {"E7", "E12"}


def test_both_stages_of_a_swapped_and_truncated_output():
    x = naive.data()
    codes, scales = naive.quantize(x, "mxfp4", tie="trunc")
    swapped = codes.reshape(-1, 2)[:, ::-1].reshape(codes.shape)
    report = check.quantize(x, swapped, scales, "mxfp4")
    assert {f.id for f in report.findings} == {"L1", "E2"}, str(report)
    assert report.verdict is Verdict.DEFECT


def test_noise_is_unexplained_and_localised():
    x = naive.data()
    codes, scales = naive.quantize(x, "mxfp4")
    codes = codes.copy()
    rng = np.random.default_rng(3)
    rows = rng.integers(1, 64, 500)
    codes[rows, rng.integers(0, 256, 500)] ^= rng.integers(1, 16, 500).astype(np.uint8)
    codes[7, 3] ^= 1
    report = check.quantize(x, codes, scales, "mxfp4")
    assert report.verdict is Verdict.UNEXPLAINED
    expected = np.argwhere(codes != naive.quantize(x, "mxfp4")[0])[0]
    assert report.mismatches.first.index == tuple(expected)
    assert all(f.residual > 0 for f in report.findings)
    assert "consistent with" in str(report) or not report.findings


def test_one_wrong_bit_in_a_large_tensor_is_found():
    x = np.random.default_rng(0).standard_normal((2048, 1024)).astype(np.float32)
    q = arrays.quantize(x, "mxfp8_e4m3")
    q.codes[1999, 1001] ^= 1
    report = check.quantize(x, q.codes, q.scales, "mxfp8_e4m3")
    assert report.mismatches.elements == 1
    assert report.mismatches.first.index == (1999, 1001)


# --- axes, shapes, tails ----------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -2])
def test_any_axis_and_coordinates(axis):
    x = np.random.default_rng(1).standard_normal((64, 96, 32)).astype(np.float32)
    q = arrays.quantize(x, "mxfp6_e2m3", axis)
    codes = q.codes.copy()
    assert check.quantize(x, codes, q.scales, "mxfp6_e2m3", axis).ok
    codes[40, 50, 20] ^= 1
    report = check.quantize(x, codes, q.scales, "mxfp6_e2m3", axis)
    assert report.mismatches.first.index == (40, 50, 20)


def test_non_contiguous_input_of_either_byte_order():
    x = np.random.default_rng(1).standard_normal((64, 128)).astype(">f4")[::-1, ::2]
    q = arrays.quantize(x, "mxfp4")
    assert check.quantize(x, q.codes, q.scales, "mxfp4").ok
    report = check.quantize(x, q.codes ^ 1, q.scales, "mxfp4")
    assert report.verdict is Verdict.UNEXPLAINED
    assert report.mismatches.first.index == (0, 0)


def test_ragged_tail():
    x = naive.data()[:, :70]
    q = arrays.quantize(x, "mxfp4", pad=True)
    assert check.quantize(x, q.codes, q.scales, "mxfp4").ok
    codes = q.codes.copy()
    codes[3, 69] ^= 1
    assert check.quantize(x, codes, q.scales, "mxfp4").mismatches.first.index == (3, 69)


def test_other_block_size():
    x = naive.data()
    q = arrays.quantize(x, "mxfp4/16", policy="ocp:rounding=toward-zero")
    report = check.quantize(x, q.codes, q.scales, "mxfp4", block_size=16)
    assert report.findings[0].id == "E2"
    assert report.format == "mxfp4/16"


def test_empty_input_is_not_testable():
    empty = np.zeros((0, 32), np.float32)
    report = check.quantize(empty, empty.astype(np.uint8), np.zeros((0, 1), np.uint8), "mxfp4")
    assert report.verdict is Verdict.NOT_TESTABLE
    assert not report.ok


# --- verdicts ---------------------------------------------------------------------------------


def test_what_was_asked_decides_what_is_ok():
    x = naive.data()
    codes, scales = naive.quantize(x, "mxfp4", tie="trunc")
    anything = check.quantize(x, codes, scales, "mxfp4")
    assert anything.ok
    assert anything.policy == Policy(rounding="toward-zero")
    asked = check.quantize(x, codes, scales, "mxfp4", policy="ocp")
    assert asked.verdict is Verdict.CONFORMS_AS
    assert not asked.ok
    with pytest.raises(DefectError, match="E2"):
        asked.raise_for_defects()
    claimed = check.quantize(x, codes, scales, "mxfp4", policy="ocp:rounding=toward-zero")
    assert claimed.verdict is Verdict.CONFORMS
    assert claimed.ok


def test_scales_of_zero_blocks_are_a_note():
    x = naive.data()
    x[3] = 0
    codes, scales = naive.quantize(x, "mxfp4")
    scales = scales.copy()
    scales[3] = 99
    report = check.quantize(x, codes, scales, "mxfp4", policy="ocp")
    assert report.verdict is Verdict.CONFORMS
    assert any("all-zero" in note for note in report.notes)
    scales[3] = 0xFF  # NaN is no zero
    report = check.quantize(x, codes, scales, "mxfp4")
    assert report.verdict is Verdict.CONFORMS_AS
    assert report.policy.scale_zero_block == "nan"


def test_codes_under_a_nan_scale_are_a_note():
    x = naive.data()
    x[5, 40] = np.nan
    q = arrays.quantize(x, "mxfp4")
    codes = q.codes.copy()
    codes[5, 32:64] = 3
    report = check.quantize(x, codes, q.scales, "mxfp4")
    assert report.verdict is Verdict.CONFORMS
    assert any("NaN scale" in note for note in report.notes)


def test_a_refusing_policy_is_not_met_by_codes():
    x = naive.data()
    x[5, 40] = np.nan
    q = arrays.quantize(x, "mxfp4")
    report = check.quantize(x, q.codes, q.scales, "mxfp4", policy="ocp:scale_nan=raise")
    assert report.verdict is Verdict.CONFORMS_AS
    assert not report.ok
    assert report.policy == get_policy("ocp")
    x[5, 40] = 1
    q = arrays.quantize(x, "mxfp4")
    report = check.quantize(x, q.codes, q.scales, "mxfp4", policy="ocp:scale_nan=raise")
    assert report.verdict is Verdict.CONFORMS


def test_nan_dropped_by_max_is_named():
    x = naive.data()
    x[::3, 40] = np.nan
    q = arrays.quantize(x, "mxfp8_e4m3", policy="ocp:scale_nan=ignore")
    report = check.quantize(x, q.codes, q.scales, "mxfp8_e4m3")
    assert report.findings[0].id == "S13"
    assert report.verdict is Verdict.CONFORMS_AS


@pytest.mark.parametrize("fmt", ["mxfp4", "mxfp8_e4m3"])
def test_range_end_wraps(fmt):
    x = naive.data()
    x[1, :32] *= np.float32(2.0**-133)
    scales = naive.quantize(x, fmt)[1].copy()
    exponent = np.frexp(naive.amax_of(x[1]))[1] - 1 - naive.EMAX[fmt]
    scales[1] = (exponent + 127) & 0xFF
    ours = arrays.encode_with_scale(x, scales, fmt)
    report = check.quantize(x, ours, scales, fmt)
    assert report.findings[0].id == "S11", str(report)


def test_notes_say_what_was_not_judged():
    x = np.ones((1, 32), np.float32)
    q = arrays.quantize(x, "mxfp4")
    report = check.quantize(x, q.codes, q.scales, "mxfp4")
    assert {"a tie", "NaN"} <= {gap.what for gap in report.gaps}
    bf16 = check.quantize(x.astype(ml_dtypes.bfloat16), q.codes, q.scales, "mxfp4")
    assert any("E21" in gap.faults and "float32" in gap.needs for gap in bf16.gaps), bf16.gaps


def test_aliases_of_a_scale_fault_are_noted():
    x = naive.data()
    codes, scales = naive.quantize(x, "mxfp4", naive.no_emax)  # in E2M1 the same as a bias of +2
    report = check.quantize(x, codes, scales, "mxfp4")
    assert any("S6" in note for note in report.notes)


# --- bad input --------------------------------------------------------------------------------


def test_bad_input_is_refused():
    x = naive.data()
    codes, scales = naive.quantize(x, "mxfp4")
    for error, args in (
        (ValueError, (x, codes[:-1], scales, "mxfp4")),
        (ValueError, (x, codes, scales[:-1], "mxfp4")),
        (ValueError, (x, codes + 16, scales, "mxfp4")),
        (ValueError, (x, codes, scales, "mxfp5")),
        (ValueError, (x, codes, scales, "mxfp4", 2)),
        (TypeError, (x.astype(np.int32), codes, scales, "mxfp4")),
        (TypeError, (x, codes.astype(np.float32), scales, "mxfp4")),
        (TypeError, (x.astype(object), codes, scales, "mxfp4")),
    ):
        with pytest.raises(error):
            check.quantize(*args)


def test_ml_dtypes_arrays_are_read_as_codes():
    x = naive.data()
    codes, scales = naive.quantize(x, "mxfp8_e4m3")
    typed = codes.view(ml_dtypes.float8_e4m3fn), scales.view(ml_dtypes.float8_e8m0fnu)
    assert check.quantize(x, *typed, "mxfp8_e4m3").ok


# --- every legal policy -----------------------------------------------------------------------

FIELDS = {
    "scale_rule": [
        "floor",
        "ceil",
        "rceil",
        "even",
        "even-down",
        "tosa",
        "nearest-log",
        "plus-one",
    ],
    "scale_zero_block": ["min", "one", "minus-emax", "nan"],
    "scale_nan": ["nan-scale", "ignore"],
    "scale_inf": ["nan-scale", "saturate", "ignore"],
    "scale_above": ["clamp", "nan"],
    "rounding": [
        "nearest-even",
        "nearest-away",
        "nearest-down",
        "toward-zero",
        "up",
        "down",
        "to-odd",
    ],
    "fp8_overflow": ["saturate", "overflow"],
    "nan_element": ["pos-max", "signed-max", "zero", "flipped-zero"],
    "nan_payload": ["canonical", "signed", "quiet-signed"],
    "neg_zero": ["keep", "drop"],
    "int8_min": ["unused", "used"],
}
POLICIES = st.fixed_dictionaries({name: st.sampled_from(row) for name, row in FIELDS.items()})


@settings(max_examples=80, deadline=None)
@given(POLICIES, st.sampled_from(list(BLOCK_FORMATS)), st.integers(0, 2**16), st.booleans())
def test_no_legal_policy_is_ever_called_a_defect(changes, fmt, seed, has_specials):
    if block_format(fmt).element.is_fp8:
        changes["neg_zero"] = "keep"  # OFP8-1.0/sign
    x = naive.data(seed, rows=8)
    if has_specials:
        x[1, 3], x[2, 40], x[3, 70], x[4, 100:102] = np.nan, np.inf, -np.inf, (np.nan, np.inf)
        x[5, :32], x[6, 0], x[7, 33] = 0, 3e38, -np.float32("nan")
    q = arrays.quantize(x, fmt, policy=Policy(**changes))
    report = check.quantize(x, q.codes, q.scales, fmt)
    assert report.verdict in (Verdict.CONFORMS, Verdict.CONFORMS_AS), str(report)
    again = arrays.quantize(x, fmt, policy=report.policy)
    np.testing.assert_array_equal(again.dequantize(), q.dequantize())
    shown = np.repeat(q.scales, 32, -1) != 0xFF  # nothing shows which NaN lies under a NaN scale
    np.testing.assert_array_equal(again.codes[shown], q.codes[shown])


@pytest.mark.slow
def test_naming_a_fault_in_a_million_elements_takes_seconds():
    x = naive.data(rows=1024, columns=1024)
    codes, scales = naive.quantize(x, "mxfp8_e4m3", twist=naive.flush_result)
    start = time.perf_counter()
    report = check.quantize(x, codes, scales, "mxfp8_e4m3")
    assert report.findings[0].id == "E7"
    assert time.perf_counter() - start < 30  # 5 on an idle machine


def test_unexplained_mismatches_are_localised():
    x = naive.data()
    codes, scales = naive.quantize(x, "mxfp4")
    codes = codes.copy()
    codes[:, 3::32] = 5
    report = check.quantize(x, codes, scales, "mxfp4")
    assert report.verdict is Verdict.UNEXPLAINED
    assert any("lane 3 of 32" in place.what for place in report.places), str(report)
    assert all(place.try_next for place in report.places)
