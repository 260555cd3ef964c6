"""Layout modelopt: its tensors dequantize our parts, and theirs are read.

NVIDIA Model Optimizer brings scipy, PuLP and transformers, 400 MB, which `make test-peers` does not
install: ``pip install nvidia-modelopt==0.47.0 transformers`` beside the extra `peers`.
"""

import numpy as np
import pytest
from _compare import peers
from _conventions import random_fields, values

from mxref.layouts.conventions import pack, unpack

pytestmark = peers("torch", "modelopt")


def torch_tensor(array, dtype=None):
    import torch

    made = torch.from_numpy(np.array(array))
    return made if dtype is None else made.view(getattr(torch, dtype))


def dequantized(parts, name, shape):
    import torch
    from modelopt.torch.quantization import qtensor

    if name == "mxfp4":
        held = qtensor.MXFP4QTensor(shape, torch.float32, torch_tensor(parts["codes"]))
        return held.dequantize(scale=torch_tensor(parts["scales"]), block_sizes={-1: 32})
    if name == "mxfp8_e4m3":
        codes = torch_tensor(parts["codes"], "float8_e4m3fn")
        held = qtensor.MXFP8QTensor(shape, torch.float32, codes)
        return held.dequantize(scale=torch_tensor(parts["scales"]))
    held = qtensor.NVFP4QTensor(shape, torch.float32, torch_tensor(parts["codes"]))
    return held.dequantize(
        scale=torch_tensor(parts["scales"], "float8_e4m3fn"),
        double_scale=torch_tensor(parts["global_scale"]),
        block_sizes={-1: 16},
    )


@pytest.mark.parametrize("name", ["mxfp4", "mxfp8_e4m3", "nvfp4"])
def test_modelopt_dequantizes_our_parts(name):
    fields = random_fields(name, (64, 320), factor=2.0**-7 if name == "nvfp4" else None)
    theirs = dequantized(pack(fields, "modelopt", name), name, (64, 320))
    np.testing.assert_array_equal(theirs.double().numpy(), values(fields, name))


@pytest.mark.parametrize("name", ["mxfp4", "mxfp8_e4m3", "nvfp4"])
def test_what_modelopt_quantized_is_read(name):
    import torch
    from modelopt.torch.quantization import qtensor

    x = torch.from_numpy(np.random.default_rng(0).standard_normal((32, 128)).astype(np.float32))
    if name == "nvfp4":
        held, scale, second = qtensor.NVFP4QTensor.quantize(x, 16)
        parts = {"global_scale": second.numpy()}
    else:
        kind = qtensor.MXFP4QTensor if name == "mxfp4" else qtensor.MXFP8QTensor
        held, scale = kind.quantize(x, *([32] if name == "mxfp4" else []))
        parts = {}
    parts["codes"] = held._quantized_data.view(torch.uint8).numpy()
    parts["scales"] = scale.view(torch.uint8).numpy().reshape(32, -1)
    fields = unpack(parts, "modelopt", name)
    theirs = dequantized(parts, name, (32, 128)).double().numpy()
    np.testing.assert_allclose(values(fields, name), theirs, rtol=0 if name != "nvfp4" else 3e-7)
