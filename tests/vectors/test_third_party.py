"""A real third party against the vectors: every cast of ml_dtypes passes, by the verdicts alone."""

import ml_dtypes
import numpy as np
import pytest

from mxref.vectors import Output, accepts

TARGETS = {
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
    "e8m0": ml_dtypes.float8_e8m0fnu,
}


def failures(file, outputs):
    pairs = zip(file.cases, outputs, strict=True)
    return [case for case, bits in pairs if not accepts(file, case, Output((int(bits),)))]


def float32_cases(file):
    return [case for case in file.cases if case.inputs.type == "float32"]


def encode(cases, target):
    x = np.array([case.inputs.bits[0] for case in cases], np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        return x.astype(target).view(np.uint8)


@pytest.mark.parametrize("name", TARGETS)
def test_ml_dtypes_encodes_within_what_is_allowed(files, name):
    file = files["encode", name]
    cases = float32_cases(file)
    codes = encode(cases, TARGETS[name])
    wrong = [
        (case.comment, f"{code:02x}")
        for case, code in zip(cases, codes, strict=True)
        if not accepts(file, case, Output((int(code),)))
    ]
    assert wrong == []


@pytest.mark.parametrize("name", TARGETS)
def test_ml_dtypes_decodes_every_code(files, name):
    file = files["decode", name]
    codes = np.array([case.inputs.bits[0] for case in file.cases], np.uint8)
    values = codes.view(TARGETS[name]).astype(np.float32)
    assert failures(file, values.view(np.uint32)) == []


def test_truncation_fails(files):
    """The vectors are not so lenient that a wrong encoder passes."""
    file = files["encode", "e4m3"]
    cases = float32_cases(file)
    truncated = [case.inputs.bits[0] & 0xFFF00000 for case in cases]
    x = np.array(truncated, np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        codes = x.astype(TARGETS["e4m3"]).view(np.uint8)
    wrong = [
        case
        for case, code in zip(cases, codes, strict=True)
        if not accepts(file, case, Output((int(code),)))
    ]
    assert len(wrong) > 100
