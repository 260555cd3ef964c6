"""Layouts torchao and torchao-swizzled: MXTensor and NVFP4Tensor, and their safetensors files."""

import numpy as np
import pytest
from _compare import peers
from _conventions import random_fields, same_fields, values

from mxref.checkpoints import open_checkpoint
from mxref.checkpoints.find import find_quantized
from mxref.layouts.conventions import layout, pack, unpack

pytestmark = peers("torch", "torchao", "safetensors")

FORMATS = ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4"]
LAYOUTS = ["torchao", "torchao-swizzled"]
SHAPE = (130, 160)


def element_type(name):
    import torch

    return {
        "mxfp8_e4m3": torch.float8_e4m3fn,
        "mxfp8_e5m2": torch.float8_e5m2,
        "mxfp6_e3m2": "fp6_e3m2",
        "mxfp6_e2m3": "fp6_e2m3",
        "mxfp4": torch.float4_e2m1fn_x2,
    }[name]


def mx_tensor(parts, name, where):
    import torch
    from torchao.prototype.mx_formats.mx_tensor import MXTensor
    from torchao.quantization.quantize_.common import KernelPreference

    data = torch.from_numpy(parts["codes"].copy())
    if name.startswith("mxfp8"):
        data = data.view(element_type(name))
    scale = torch.from_numpy(parts["scales"].copy()).view(torch.float8_e8m0fnu)
    return MXTensor(
        data,
        scale,
        element_type(name),
        32,
        torch.float32,
        KernelPreference.EMULATED,
        None,
        where == "torchao-swizzled",
    )


@pytest.mark.parametrize("where", LAYOUTS)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("shape", [SHAPE, (2, 128, 64)])
def test_torchao_dequantizes_our_parts(name, where, shape):
    fields = random_fields(name, shape)
    theirs = mx_tensor(pack(fields, where, name), name, where).dequantize().numpy()
    np.testing.assert_array_equal(theirs, values(fields, name).astype(np.float32))


def quantized(name, where, seed=0):
    import torch
    from torchao.prototype.mx_formats.mx_tensor import MXTensor

    x = torch.from_numpy(np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32))
    swizzled = where == "torchao-swizzled"
    return MXTensor.to_mx(x, element_type(name), 32, is_swizzled_scales=swizzled)


@pytest.mark.parametrize("where", LAYOUTS)
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_torchao_is_found_and_read(name, where, tmp_path):
    import torch
    from safetensors.torch import save_file
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

    theirs = quantized(name, where)
    state = {"a.weight": theirs, "a.bias": torch.zeros(3)}
    data, metadata = flatten_tensor_state_dict(state)
    save_file(data, tmp_path / "w.safetensors", metadata)
    with open_checkpoint(tmp_path / "w.safetensors") as store:
        (found,) = find_quantized(store)
        whole = found.read(store)
        tail = found.read(store, 128, 130)
    assert (found.name, found.layout, found.format) == ("a.weight", where, name)
    assert found.shape == SHAPE
    assert {role: info.name for role, info in found.parts.items()} == layout(where).names(
        "a.weight", name
    )
    decoded = values(whole, name).astype(np.float32)
    np.testing.assert_array_equal(decoded, theirs.dequantize().numpy())
    np.testing.assert_array_equal(tail.codes, whole.codes[128:])
    np.testing.assert_array_equal(tail.scales, whole.scales[128:])


@pytest.mark.parametrize("where", LAYOUTS)
def test_torchao_loads_our_file(where, tmp_path):
    import json

    import torch
    from safetensors.torch import load_file, save_file
    from torchao.prototype.safetensors.safetensors_support import (
        flatten_tensor_state_dict,
        unflatten_tensor_state_dict,
    )

    fields = random_fields("mxfp4", SHAPE, seed=3)
    parts = pack(fields, where, "mxfp4")
    _, metadata = flatten_tensor_state_dict({"a.weight": quantized("mxfp4", where)})
    names = layout(where).names("a.weight", "mxfp4")
    tensors = {
        names["codes"]: torch.from_numpy(parts["codes"]),
        names["scales"]: torch.from_numpy(parts["scales"]).view(torch.float8_e8m0fnu),
    }
    save_file(tensors, tmp_path / "w.safetensors", metadata)
    assert json.loads(metadata["tensor_names"]) == ["a.weight"]
    back, left = unflatten_tensor_state_dict(load_file(tmp_path / "w.safetensors"), metadata)
    assert not left
    np.testing.assert_array_equal(
        back["a.weight"].dequantize().numpy(), values(fields, "mxfp4").astype(np.float32)
    )


@pytest.mark.parametrize("where", LAYOUTS)
@pytest.mark.parametrize("factor", [None, 0.0123])
def test_nvfp4_both_ways(where, factor):
    import torch
    from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor

    if factor is not None:
        factor = np.float32(factor)
    fields = random_fields("nvfp4", SHAPE, factor=factor)
    parts = pack(fields, where, "nvfp4")
    given = parts.get("global_scale")
    tensor = NVFP4Tensor(
        torch.from_numpy(parts["codes"].copy()),
        torch.from_numpy(parts["scales"].copy()).view(torch.float8_e4m3fn),
        16,
        torch.float32,
        None if given is None else torch.from_numpy(given),
        is_swizzled_scales=where == "torchao-swizzled",
    )
    # their product of scale and factor is rounded to float32 before the elements are multiplied
    np.testing.assert_allclose(tensor.dequantize().numpy(), values(fields, "nvfp4"), rtol=2e-7)
    x = torch.from_numpy(np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32))
    theirs = NVFP4Tensor.to_nvfp4(
        x,
        per_tensor_scale=None if given is None else torch.from_numpy(given),
        is_swizzled_scales=where == "torchao-swizzled",
    )
    stored = {"codes": theirs.qdata.numpy(), "scales": theirs.scale.view(torch.uint8).numpy()}
    if given is not None:
        stored["global_scale"] = theirs.per_tensor_scale.numpy()
    back = unpack(stored, where, "nvfp4")
    np.testing.assert_allclose(values(back, "nvfp4"), theirs.dequantize().numpy(), rtol=2e-7)
    same_fields(unpack(pack(back, where, "nvfp4"), where, "nvfp4"), back)


def test_128x4_is_to_blocked():
    import torch
    from torchao.prototype.mx_formats.utils import to_blocked

    fields = random_fields("mxfp4", (300, 224))
    ours = pack(fields, "torchao-swizzled", "mxfp4")["scales"]
    np.testing.assert_array_equal(
        ours.reshape(-1), to_blocked(torch.from_numpy(fields.scales)).numpy()
    )
