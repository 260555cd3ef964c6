"""Each planted mistake is named with nothing left over, from data and from a driven kernel."""

import naive_bdr as naive
import numpy as np
import pytest

from mxref import bdr
from mxref.check import bdr as check
from mxref.check.bdr.stimuli import dequantize_stimuli, quantize_stimuli
from mxref.relatives.bdr_formats import BDR_FORMATS

QUANTIZERS = [
    ("S1", naive.S1, "mx9 mx4 msfp12"),
    ("S5", naive.S5, "mx9 mx6 msfp16"),
    ("S6", naive.S6, "mx9 mx6 msfp12"),
    ("S6", naive.S6Less, "mx9 mx4"),
    ("S7", naive.S7, "mx9 msfp12"),
    ("S15", naive.S15Pair, "mx9 msfp16"),
    ("S15", naive.S15First, "mx6"),
    ("S15", naive.S15Signed, "mx9 mx4"),
    ("S18", naive.S18, "mx9 mx4"),
    ("S19", naive.S19Ignored, "mx9 mx6"),
    ("S19", naive.S19Backwards, "mx6"),
    ("S20", naive.S20Min, "mx9 mx4"),
    ("S20", naive.S20First, "mx6"),
    ("S21", naive.S21, "mx9 mx6"),
    ("S22", naive.S22, "mx9"),
    ("S23", naive.S23, "mx9 mx4"),
    ("E3", naive.E3, "mx9 msfp12"),
    ("E5", naive.E5, "mx9 mx6 mx4 msfp12"),
    ("E7", naive.E7, "mx9 mx6"),
    ("E15", naive.E15, "mx6 msfp16"),
    ("E25", naive.E25, "mx9 msfp12"),
    ("E26", naive.E26, "mx9 mx6"),
    ("E27", naive.E27, "mx9 mx6 mx4 msfp12"),
]
CASES = [(f, made, name) for f, made, names in QUANTIZERS for name in names.split()]
LEGAL = [
    ("E1", naive.E1, {"rounding": "nearest-away"}),
    ("E2", naive.E2, {"rounding": "toward-zero"}),
    ("E19", naive.E19, {"neg_zero": "drop"}),
    ("OP-BDR-QUANTIZER", naive.S13, {"nan": "zero"}),
]


def judged(name, made):
    x = quantize_stimuli(BDR_FORMATS[name]).inputs[0]
    codes, scales, *second = made(name)(x)
    shared = second[0] if second else None
    return check.quantize(x, codes, scales, name, subscales=shared)


@pytest.mark.parametrize("name", naive.M)
def test_the_naive_quantizer_conforms(name):
    report = judged(name, naive.Naive)
    assert str(report.verdict) == "conforms", str(report)
    assert report.findings == ()


@pytest.mark.parametrize(("fault", "made", "name"), CASES, ids=lambda v: getattr(v, "__name__", v))
def test_a_fault_is_named(fault, made, name):
    report = judged(name, made)
    assert str(report.verdict) == "defect", str(report)
    assert fault in [f.id for f in report.findings], str(report)
    assert all(f.residual == 0 for f in report.findings)
    assert report.findings[0].witness is not None
    assert report.findings[0].witness.got_bits != report.findings[0].witness.expected_bits
    str(report), report.to_json(), report.to_html(), report.to_junit(), report.to_markdown()


def rows_of_sub_blocks():
    """Rows of 1024 whose sub-blocks of 16 differ in size, and a few that are next to nothing."""
    rng = np.random.default_rng(1)
    sizes = np.exp(rng.normal(size=(64, 64)))
    sizes[:, ::9] *= 1e-4
    return (rng.normal(size=(64, 1024)) * sizes.repeat(16, 1)).astype(np.float32)


@pytest.mark.parametrize("name", ["vsq8", "vsq6", "vsq4"])
@pytest.mark.parametrize("made", [naive.VSQ, naive.S24Down, naive.S24AtLeastOne])
def test_integer_sub_scales(name, made):
    x = rows_of_sub_blocks()
    codes, scales, integers = made(name)(x)
    as_float32 = "bdr-paper:element_quotient=divide"
    report = check.quantize(x, codes, scales, name, policy=as_float32, subscales=integers)
    wanted = {naive.VSQ: [], naive.S24Down: ["S24"], naive.S24AtLeastOne: ["S24"]}[made]
    assert [f.id for f in report.findings] == wanted, str(report)
    assert str(report.verdict) == ("defect" if wanted else "conforms")
    assert all(f.residual == 0 for f in report.findings)


@pytest.mark.parametrize(("fault", "made", "changes"), LEGAL, ids=lambda v: str(v)[:20])
def test_a_choice_is_named(fault, made, changes):
    report = judged("mx9", made)
    assert str(report.verdict) == "conforms-as", str(report)
    assert report.policy == bdr.BDRPolicy().replace(**changes)
    assert [f.id for f in report.findings] == [fault]
    assert report.ok


def test_a_driven_kernel_is_named_too():
    report = check.drive(naive.S23("mx9"), "mx9")
    assert "S23" in [f.id for f in report.findings]
    assert any("Driven with" in note for note in report.notes)


DECODERS = [
    ("D9", "code0"), ("D10", "code255"), ("D5", "half"), ("D5", "double"), ("D19", "complement"),
    ("D20", "hidden"), ("D18", "dropped"), ("D18", "backwards"),
]  # fmt: skip


@pytest.mark.parametrize("name", ["mx9", "mx6", "mx4"])
@pytest.mark.parametrize(("fault", "wrong"), DECODERS)
def test_a_decode_fault_is_named(fault, wrong, name):
    codes, scales, shifts = dequantize_stimuli(BDR_FORMATS[name]).inputs
    y = naive.decode(name, codes, scales, shifts, wrong)
    report = check.dequantize(codes, scales, y, name, subscales=shifts)
    assert str(report.verdict) == "defect", str(report)
    assert [f.id for f in report.findings] == [fault], str(report)


@pytest.mark.parametrize("name", naive.M)
def test_the_naive_decoder_conforms(name):
    codes, scales, *second = dequantize_stimuli(BDR_FORMATS[name]).inputs
    shared = second[0] if second else None
    y = naive.decode(name, codes, scales, shared)
    report = check.dequantize(codes, scales, y, name, subscales=shared)
    assert str(report.verdict) == "conforms", str(report)
    assert np.array_equal(y, bdr.dequantize(codes, scales, name, subscales=shared), equal_nan=True)
