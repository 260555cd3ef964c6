"""As `test_named`, for the mistakes of `plants`: on given arrays, and driven as a black box."""

import implementations as impl
import more_decoders as dec
import more_elements as ele
import more_scales as sca
import numpy as np
import pytest
from implementations import E2M1, E2M3, E3M2, E4M3, E5M2
from more_elements import INT8
from plants import COMPOSED, DRIVEN, MORE
from stimuli import dequantizer_input, encoder_input, quantizer_input

from mxref import check
from mxref.faults import reason_for


def both_ways(plants):
    """Each implementation as often as it can be judged."""
    return [pytest.param(p, way, id=f"{p}-{way}") for p in plants for way in p.ways]


def judge(plant, way):
    """The report on an implementation: of what it gave, or of it as a kernel."""
    if way == DRIVEN:
        return check.kernel(plant.driven, plant.format, op=plant.op)
    inputs = plant.inputs()
    with np.errstate(all="ignore"):
        outputs = plant.fn(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return getattr(check, plant.op)(*inputs, *outputs, plant.format)


def assert_named_first(report, ids, *, legal):
    assert report.findings, report
    assert report.findings[0].id in ids, report
    assert report.findings[0].residual == 0, report
    assert report.verdict == ("conforms-as" if legal else "defect"), report
    assert report.ok == legal


@pytest.mark.parametrize(("plant", "way"), both_ways(MORE))
def test_is_named_first_and_nothing_is_left(plant, way):
    assert_named_first(judge(plant, way), plant.ids, legal=plant.legal)


@pytest.mark.parametrize(("plant", "way"), both_ways(COMPOSED))
def test_every_one_of_several_mistakes_is_named(plant, way):
    report = judge(plant, way)
    assert {f.id for f in report.findings} == plant.ids, report
    assert all(f.residual == 0 for f in report.findings), report
    assert report.verdict == "defect", report


# --- what shows nothing in MX, or nothing wrong --------------------------------------------------


@pytest.mark.parametrize("t", [E4M3, E2M1, E3M2], ids=lambda t: t.name)
def test_a_multiplication_by_the_inverse_is_harmless(t):
    """E6: the scales of MX are powers of two."""
    assert reason_for("E6", "", "quantize", t.block)
    x = quantizer_input(t)
    assert check.quantize(x, *ele.e6_reciprocal(t)(x), t.block).verdict == "conforms"


def test_a_negative_underflow_to_0x80_is_right_in_ocp_formats():
    """E20: 0x80 is -0 there."""
    x = quantizer_input(E4M3)
    quantize = ele.of_blocks(ele.e20_negative_underflow, E4M3)
    assert check.quantize(x, *quantize(x), "mxfp8_e4m3").verdict == "conforms"


@pytest.mark.parametrize(("fault", "op"), [("D15", "dequantize"), ("S16", "quantize")])
def test_what_mx_has_no_room_for(fault, op):
    """A mantissa of the scale, and a second scale."""
    assert reason_for(fault, "", op, "mxfp4")


@pytest.mark.parametrize(("exponent", "named"), [(2, "-2"), (-1, "+1")])
def test_a_tensor_scale_left_in_is_a_bias(exponent, named):
    """S16: a second scale that nobody undoes looks like S6, as it is a power of two."""
    x = quantizer_input(E4M3)
    ordinary = np.abs(x).max(-1)
    x = x[(ordinary > 1e-20) & (ordinary < 1e20)]
    codes, scales = impl.quantize_by_bits(np.ldexp(x, -exponent), E4M3)
    report = check.quantize(x, codes, scales, "mxfp8_e4m3")
    ids = {"S6"} if named == "-2" else {"S6", "S10"}  # plus-one is a legal rule
    assert report.findings[0].id in ids, report
    assert report.findings[0].residual == 0


def test_the_integer_style_without_a_mistake_conforms():
    x = quantizer_input(INT8)
    assert check.quantize(x, *ele.quantize_int8(x), "mxint8").verdict == "conforms"
    x = encoder_input(INT8)
    assert check.encode(x, ele.encode_int8(x), "int8").verdict == "conforms"
    codes, scales = dequantizer_input(INT8)
    y = dec.as_blocks(dec.decode_int8)(codes, scales)
    assert check.dequantize(codes, scales, y, "mxint8").verdict == "conforms"


@pytest.mark.parametrize("t", [E2M3, E5M2], ids=lambda t: t.name)
def test_scales_at_no_distance_conform(t):
    """The makers of mistakes make none when asked for none."""
    x = quantizer_input(t)
    assert check.quantize(x, *sca.s6_bias(0)(x, t), t.block).verdict == "conforms"
    codes = np.arange(2 * t.sign, dtype=np.uint8)
    assert check.decode(codes, dec.d2_decode(t, 0)(codes), t.name).verdict == "conforms"
