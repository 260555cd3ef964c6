"""`mxref.check` of the packages themselves: judged without a rest, and identified."""

from functools import partial

import _adapters as packages
import numpy as np
import pytest
from _compare import peers
from _data import block_of

from mxref import check

INFINITE = ("S11", "infinity in a block gives the exponent field of infinity")
HALVED = ("S14", "under scale code 0 divided by 2^-126")
VANISHED = ("S14", "under scale code 0 not divided, or flushed to a zero of its sign")
LOGARITHM = ("S8", "ceil of a float32 logarithm")
WRAPPED = ("S11", "the code wraps modulo 256")
FLOATS = ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1")


def needs(*names):
    """A decorator of `peers`."""

    def mark(test):
        for one in peers(*names):
            test = one(test)
        return test

    return mark


def faults(report):
    """What is no choice, with the variant; nothing may be left over."""
    assert all(finding.residual == 0 for finding in report.findings), report
    return {(finding.id, finding.detail) for finding in report.findings if not finding.legal}


def on_torch(element, mode):
    """``to_mx`` as it is called: tensors in and out."""
    import torch
    from torchao.prototype.mx_formats.config import ScaleCalculationMode
    from torchao.prototype.mx_formats.mx_tensor import to_mx

    def quantize(x):
        dtype = packages._torchao_type(element)
        scales, data = to_mx(x, dtype, 32, ScaleCalculationMode[mode])
        codes = data.view(torch.uint8)
        if element == "e2m1":
            codes = torch.stack([codes & 15, codes >> 4], -1).reshape(len(codes), -1)
        return codes, scales.view(torch.uint8).reshape(-1, 1)

    return quantize


@needs("torch", "torchao")
@pytest.mark.parametrize("input_dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("mode", ["FLOOR", "CEIL", "EVEN", "RCEIL"])
@pytest.mark.parametrize("element", FLOATS)
def test_torchao(element, mode, input_dtype):
    kernel = on_torch(element, mode)
    report = check.kernel(kernel, block_of(element), arrays="torch", input_dtype=input_dtype)
    expected = {INFINITE, HALVED}
    if mode == "RCEIL":  # no bfloat16 lies as near to a power of two as the logarithm errs
        expected = {VANISHED, LOGARITHM} if input_dtype == "float32" else {VANISHED}
    assert report.verdict == "defect", report
    assert faults(report) == expected, report


@needs("torch", "torchao")
@pytest.mark.parametrize("element", FLOATS)
def test_torchao_decodes(element):
    kernel = partial(packages.torchao_dequantize, element=element)
    assert check.kernel(kernel, block_of(element), op="dequantize").ok


@needs("mlx")
@pytest.mark.parametrize(("element", "codes"), [("e4m3", "0x7e or 0xfe"), ("e2m1", "0x00")])
def test_mlx(element, codes):
    kernel = partial(packages.mlx_quantize, element=element)
    special = f"in a block of NaN or infinity every code is {codes}"
    expected = {
        WRAPPED,
        ("S11", "NaN and infinity in a block give 0x80"),
        ("S14", f"divided by the scale before its code wrapped; {special}"),
    }
    report = check.kernel(kernel, block_of(element))
    assert report.verdict == "defect", report
    assert expected <= faults(report), report
    found = check.identify(kernel, block_of(element))
    assert ("mlx" if element == "e2m1" else "mlx-mxfp8") in str(found), found


@needs("mlx")
@pytest.mark.parametrize("element", ["e4m3", "e2m1"])
def test_mlx_decodes(element):
    kernel = partial(packages.mlx_dequantize, element=element)
    report = check.kernel(kernel, block_of(element), op="dequantize")
    assert faults(report) == {("D10", "infinity")}, report


@needs("gguf")
def test_gguf():
    report = check.kernel(packages.gguf_quantize, "mxfp4")
    assert report.verdict == "defect", report
    assert faults(report) == {
        ("E13", "nearest by float32 distances, the first of equals"),
        WRAPPED,
        ("S11", "NaN and infinity in a block give 0x00"),
        ("S8", "floor of a float32 logarithm"),
    }, report
    assert "as gguf-mxfp4 on ordinary" in str(check.identify(packages.gguf_quantize, "mxfp4"))


@needs("gguf")
def test_gguf_decodes():
    report = check.kernel(packages.gguf_dequantize, "mxfp4", op="dequantize")
    assert faults(report) == {("E19", "its code is decoded as +0"), ("D10", "2**128")}, report


@needs("gfloat")
@pytest.mark.parametrize("element", [*FLOATS, "int8"])
def test_gfloat(element):
    kernel = partial(packages.gfloat_quantize, element=element)
    report = check.kernel(kernel, block_of(element))
    assert report.verdict == "defect", report
    assert ("S8", "floor of a float32 logarithm") in faults(report), report
    assert "gfloat" in check.identify(kernel, block_of(element)).names


@needs("gfloat")
@pytest.mark.parametrize("element", [*FLOATS, "int8"])
def test_gfloat_decodes(element):
    def kernel(codes, scales):
        return packages.gfloat_dequantize(codes, scales, element).astype(np.float32)

    assert check.kernel(kernel, block_of(element), op="dequantize").ok


CASTS = [
    pytest.param(package, element, marks=peers(package), id=f"{package}-{element}")
    for package, elements in (
        ("torch", ("e4m3", "e5m2", "e8m0")),
        ("onnx", (*FLOATS, "e8m0")),
        ("gfloat", (*FLOATS, "int8", "e8m0")),
    )
    for element in elements
]


@pytest.mark.parametrize(("package", "element"), CASTS)
def test_casts(package, element):
    """Legal choices, or S17; and the identified profiles name the package."""
    encode = getattr(packages, f"{package}_encode")
    kernel = partial(encode, name=element)
    if (package, element) == ("gfloat", "e8m0"):
        kernel = packages.gfloat_encode_scales
    report = check.kernel(kernel, element, op="encode")
    assert report.verdict in ("conforms", "conforms-as", "defect"), report
    assert {fault for fault, _ in faults(report)} <= {"S17", "S11"}, report
    found = check.identify(kernel, element, op="encode")
    is_named = (package, element) != ("gfloat", "e8m0")  # minus infinity keeps it from every bit
    assert (package in found.names) == is_named, found
    assert package in str(found)
