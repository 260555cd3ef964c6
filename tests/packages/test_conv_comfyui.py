"""Layout comfyui: comfy-kitchen dequantizes our parts on the CPU, and what it quantized is read.

It brings compiled CUDA kernels, 190 MB, which `make test-peers` does not install:
``pip install --no-deps comfy-kitchen==0.2.40`` beside the extra `peers`.
"""

import numpy as np
import pytest
from _compare import peers
from _conventions import random_fields, values

from mxref.layouts.conventions import pack, unpack

pytestmark = peers("torch", "comfy_kitchen")

SHAPE = (160, 320)
FORMATS = ["mxfp8_e4m3", "nvfp4"]


def dequantized(parts, name):
    import comfy_kitchen
    import torch

    codes, scales = (torch.from_numpy(parts[role].copy()) for role in ("codes", "scales"))
    if name == "nvfp4":
        second = torch.from_numpy(parts["global_scale"].copy())
        block = scales.view(torch.float8_e4m3fn)
        return comfy_kitchen.dequantize_nvfp4(codes, second, block, torch.float32).numpy()
    codes, scales = codes.view(torch.float8_e4m3fn), scales.view(torch.float8_e8m0fnu)
    return comfy_kitchen.dequantize_mxfp8(codes, scales, torch.float32).numpy()


@pytest.mark.parametrize("name", FORMATS)
def test_comfy_kitchen_dequantizes_our_parts(name):
    fields = random_fields(name, SHAPE, factor=2.0**-5 if name == "nvfp4" else None)
    theirs = dequantized(pack(fields, "comfyui", name), name)
    np.testing.assert_array_equal(theirs, values(fields, name).astype(np.float32))


@pytest.mark.parametrize("name", FORMATS)
def test_what_comfy_kitchen_quantized_is_read(name):
    import comfy_kitchen
    import torch

    x = torch.from_numpy(np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32))
    if name == "nvfp4":
        second = torch.tensor(2.0**-6)
        codes, scales = comfy_kitchen.quantize_nvfp4(x, second)
        parts = {"global_scale": second.numpy()}
    else:
        codes, scales = comfy_kitchen.quantize_mxfp8(x)
        parts = {}
    parts |= {"codes": codes.view(torch.uint8).numpy(), "scales": scales.view(torch.uint8).numpy()}
    fields = unpack(parts, "comfyui", name)
    theirs = dequantized(parts, name)
    np.testing.assert_array_equal(values(fields, name).astype(np.float32), theirs)
    assert np.abs(theirs - x.numpy()).max() < 1
