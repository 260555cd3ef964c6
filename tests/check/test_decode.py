import ml_dtypes
import numpy as np
import pytest

from mxref import arrays, check
from mxref.check import Verdict
from mxref.formats import ELEMENT_FORMATS

FLOATS = [name for name in ELEMENT_FORMATS if name != "int8"]


def every_code(fmt):
    return np.arange(ELEMENT_FORMATS[fmt].code_count, dtype=np.uint8)


@pytest.mark.parametrize("fmt", [*ELEMENT_FORMATS, "e8m0"])
def test_our_own_decoding_conforms(fmt):
    codes = every_code(fmt) if fmt != "e8m0" else np.arange(256, dtype=np.uint8)
    report = check.decode(codes, arrays.decode(codes, fmt), fmt)
    assert report.verdict is Verdict.CONFORMS
    assert report.notes == ()


def fields(fmt):
    f = ELEMENT_FORMATS[fmt]
    codes = every_code(fmt)
    magnitude = codes.astype(int) & (f.sign_mask - 1)
    sign = np.where(codes >= f.sign_mask, -1.0, 1.0)
    return sign, magnitude >> f.mantissa_bits, magnitude & ((1 << f.mantissa_bits) - 1), f


def as_normal(fmt):
    sign, exponent, mantissa, f = fields(fmt)
    return sign * (1 + mantissa / 2.0**f.mantissa_bits) * 2.0 ** (exponent - f.bias)


def planted(fmt, fault):
    right = arrays.decode(every_code(fmt), fmt).astype(np.float64)
    _, exponent, mantissa, f = fields(fmt)
    small, normal = exponent == 0, as_normal(fmt)
    magnitude = every_code(fmt) & (f.sign_mask - 1)
    match fault:
        case "D1":
            return np.where(small, normal, right)
        case "D2":
            return np.where(small, right / 2, right)
        case "D3":
            return np.where(np.isnan(right), normal, right)
        case "D4":
            return np.where(np.isinf(right), normal, right)
        case "D5":
            return right * 2.0 ** (f.bias - 15)
        case "D6":
            return every_code(fmt).astype(np.float64)
        case "D7":
            return np.where(every_code(fmt) == f.sign_mask, normal, right)
        case "D8":
            return np.where(small, np.copysign(0, right), right)
    raise AssertionError(fault, magnitude, mantissa)


CASES = [(fault, fmt) for fault in ("D1", "D2", "D6", "D7", "D8") for fmt in FLOATS]
CASES += [("D3", "e4m3"), ("D3", "e5m2"), ("D4", "e5m2")]
CASES += [("D5", fmt) for fmt in FLOATS if fmt != "e5m2"]


@pytest.mark.parametrize(("fault", "fmt"), CASES)
def test_decode_defects_are_named(fault, fmt):
    values = planted(fmt, fault).astype(np.float32)
    report = check.decode(every_code(fmt), values, fmt)
    assert report.findings[0].id == fault, str(report)
    assert report.verdict is Verdict.DEFECT
    assert report.findings[0].residual == 0
    assert report.findings[0].witness.stage == "value"


def test_two_decode_defects_together():
    right = arrays.decode(every_code("e4m3"), "e4m3").astype(np.float64)
    _, exponent, _, _ = fields("e4m3")
    values = np.where((exponent == 0) | np.isnan(right), as_normal("e4m3"), right)
    report = check.decode(every_code("e4m3"), values.astype(np.float32), "e4m3")
    assert report.verdict is Verdict.DEFECT
    assert {f.id for f in report.findings} == {"D1", "D3"}  # the 18 wrong codes of tilelang 2702
    assert report.mismatches.elements == 18


def test_the_factor_is_read_off_the_data():
    codes = every_code("e4m3")
    report = check.decode(codes, arrays.decode(codes, "e4m3") * np.float32(2.0**-112), "e4m3")
    assert report.findings[0].id == "D5"
    assert "2^-112" in report.findings[0].detail


@pytest.mark.parametrize(
    ("fault", "code", "value"),
    [("D9", 0, 0.0), ("D10", 255, np.inf), ("D11", 134, np.nan), ("D11", 99, np.nan)],
)
def test_e8m0_defects_are_named(fault, code, value):
    codes = np.arange(256, dtype=np.uint8)
    values = arrays.decode(codes, "e8m0")
    values[code] = value
    report = check.decode(codes, values, "e8m0")
    assert report.findings[0].id == fault, str(report)
    assert report.mismatches.first.index == (code,)


def test_e8m0_as_an_integer():
    codes = np.arange(256, dtype=np.uint8)
    report = check.decode(codes, codes.astype(np.float32), "e8m0")
    assert report.findings[0].id in {"D6", "D13"}
    assert report.verdict is Verdict.DEFECT


def test_nan_bits_count_only_if_they_are_asked_for():
    codes = every_code("e4m3")
    values = arrays.decode(codes, "e4m3")
    values[[0x7F, 0xFF]] = np.float32([-np.nan, np.nan])
    assert check.decode(codes, values, "e4m3").ok
    assert check.decode(codes, values, "e4m3", "ocp").ok
    assert not check.decode(codes, values, "e4m3", "ocp:decode_nan=canonical").ok
    signed = arrays.decode(codes, "e4m3", "ml_dtypes")
    assert check.decode(codes, signed, "e4m3", "ml_dtypes").ok
    report = check.decode(codes, signed, "e4m3", "ocp:decode_nan=canonical")
    assert report.verdict is Verdict.CONFORMS_AS
    assert report.findings[0].id == "OP-DECODE-NAN"


def test_ml_dtypes_decodes_right():
    codes = every_code("e2m1")
    values = codes.view(ml_dtypes.float4_e2m1fn).astype(np.float32)
    assert check.decode(codes.view(ml_dtypes.float4_e2m1fn), values, "e2m1").ok


def test_missing_codes_are_noted():
    report = check.decode(np.uint8([1, 2]), np.float32([0.5, 1]), "e2m1")
    assert "D7" in {fault for gap in report.gaps for fault in gap.faults}  # D1 would show
    assert "element code" in report.gaps[0].needs


def test_bad_input_is_refused():
    codes = every_code("e2m1")
    with pytest.raises(TypeError, match="float32"):
        check.decode(codes, codes.astype(np.float64), "e2m1")
    with pytest.raises(ValueError, match="shape"):
        check.decode(codes, np.zeros(3, np.float32), "e2m1")
    with pytest.raises(ValueError, match="range"):
        check.decode(codes + 1, np.zeros(16, np.float32), "e2m1")
