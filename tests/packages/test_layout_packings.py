"""Packings and records against the packages that are said to use them.

The packages decode or pack; what they give is compared with our bytes.
"""

import ml_dtypes
import numpy as np
import pytest
from _compare import peers

from mxref.layouts.packings import pack_codes, unpack_codes
from mxref.layouts.records import RECORDS, pack_records, unpack_records

E2M1 = ml_dtypes.float4_e2m1fn


def needs(package):
    """Mark one test, where other modules mark all of theirs."""

    def mark(test):
        for each in peers(package):
            test = each(test)
        return test

    return mark


def some_codes(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 16, shape, np.uint8)


def numbers(codes):
    return codes.view(E2M1).astype(np.float32)


@needs("gguf")
def test_gguf_reads_our_mxfp4_records():
    import gguf

    codes = some_codes((64, 32 * 3))
    scales = np.random.default_rng(1).integers(1, 250, (64, 3), np.uint8)
    packed = pack_records(scales, codes, "gguf-mxfp4")
    values = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.MXFP4)
    factors = np.ldexp(1.0, scales.astype(int) - 127).astype(np.float32)
    assert np.array_equal(values, numbers(codes) * np.repeat(factors, 32, axis=1))


@needs("gguf")
def test_gguf_reads_our_nvfp4_records():
    import gguf

    codes = some_codes((64, 64 * 3))
    scales = np.random.default_rng(1).integers(0, 0x7F, (64, 12), np.uint8)
    packed = pack_records(scales, codes, "gguf-nvfp4")
    values = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.NVFP4)
    factors = scales.view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    assert np.array_equal(values, numbers(codes) * np.repeat(factors, 16, axis=1))


@needs("gguf")
def test_gguf_writes_the_records_that_we_read():
    import gguf

    codes = some_codes((64, 96))
    codes[:, ::32] = 7  # 6 in every block, so that the scale is 1
    packed = gguf.quants.quantize(numbers(codes), gguf.GGMLQuantizationType.MXFP4)
    scales, found, _ = unpack_records(packed, "gguf-mxfp4")
    assert np.all(scales == 127)
    assert np.array_equal(numbers(found), numbers(codes))  # -0 becomes 0


@needs("gguf")
@pytest.mark.parametrize("name", ["gguf-mxfp4", "gguf-nvfp4"])
def test_gguf_has_the_same_sizes(name):
    import gguf

    kind = gguf.GGMLQuantizationType[name.removeprefix("gguf-").upper()]
    record = RECORDS[name]
    assert gguf.GGML_QUANT_SIZES[kind] == (record.elements, record.nbytes)


@needs("torchao")
def test_torchao_packs_nibbles_low_first():
    import torch
    from torchao.prototype.mx_formats.kernels import pack_uint4, unpack_uint4

    codes = some_codes((5, 96))
    packed = pack_codes(codes, "nibbles-low-first")
    assert np.array_equal(pack_uint4(torch.from_numpy(codes)).numpy(), packed)
    assert np.array_equal(unpack_uint4(torch.from_numpy(packed)).numpy(), codes)


@needs("torch")
def test_tensors_of_torch_are_read_in_place():
    import torch

    codes = some_codes((5, 96))
    packed = pack_codes(torch.from_numpy(codes), "nibbles-low-first")
    assert np.array_equal(packed, pack_codes(codes, "nibbles-low-first"))
    pairs = torch.from_numpy(packed).view(torch.float4_e2m1fn_x2)
    assert np.array_equal(unpack_codes(pairs, "nibbles-low-first"), codes)
    scales = torch.full((5, 3), 127, dtype=torch.uint8).view(torch.float8_e8m0fnu)
    records = pack_records(scales, torch.from_numpy(codes), "gguf-mxfp4")
    assert np.array_equal(unpack_records(torch.from_numpy(records), "gguf-mxfp4").codes, codes)


@needs("onnx")
@pytest.mark.parametrize("n", [32, 33])
def test_onnx_packs_nibbles_low_first(n):
    import onnx

    codes = some_codes(n)
    stored = onnx.numpy_helper.from_array(codes.view(E2M1))
    assert stored.raw_data == pack_codes(codes, "nibbles-low-first").tobytes()


@needs("mlx")
def test_mlx_packs_nibbles_low_first():
    import mlx.core as mx

    codes = some_codes((5, 96))
    codes[codes == 8] = 0
    codes[:, ::32] = 7
    words, scales = mx.quantize(mx.array(numbers(codes)), group_size=32, bits=4, mode="mxfp4")
    assert np.all(np.array(scales) == 127)
    stored = np.array(words).astype("<u4").view(np.uint8)
    assert np.array_equal(stored, pack_codes(codes, "nibbles-low-first"))
    assert np.array_equal(unpack_codes(stored, "nibbles-low-first"), codes)
