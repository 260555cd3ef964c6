"""Layout compressed-tensors: its own compressors read our parts, and what they wrote is read."""

import json

import numpy as np
import pytest
from _compare import peers
from _conventions import random_fields, same_fields, values

from mxref.checkpoints import open_checkpoint
from mxref.checkpoints.find import find_quantized
from mxref.layouts.conventions import layout, pack, unpack

pytestmark = peers("torch", "compressed_tensors", "transformers", "safetensors")

FORMATS = {
    "mxfp4": ("MXFP4A16", "mxfp4-pack-quantized"),
    "mxfp6_e2m3": ("MXFP6A16", "mxfp6-pack-quantized"),
    "mxfp8_e4m3": ("MXFP8A16", "mxfp8-quantized"),
    "nvfp4": ("NVFP4A16", "nvfp4-pack-quantized"),
}
LOCAL = {"codes": "", "scales": "weight_scale", "global_scale": "weight_global_scale"}
# A power of two: they decode in bfloat16, in which the quotients are then exact.
DIVISOR = np.float32(64)


def compressor(name):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationScheme
    from compressed_tensors.quantization.quant_scheme import preset_name_to_scheme

    preset, registered = FORMATS[name]
    scheme = preset_name_to_scheme(preset, ["Linear"])
    assert isinstance(scheme, QuantizationScheme)
    return BaseCompressor.get_value_from_registry(registered), scheme


def to_torch(array, dtype):
    import torch

    made = torch.from_numpy(np.array(array))
    return made.view(torch.float8_e4m3fn) if dtype == "F8_E4M3" else made


def state_of(parts, name):
    """The parts as tensors with the names inside a module, for `decompress`."""
    state = {}
    for part in layout("compressed-tensors").parts_for(name):
        local = part.suffixes[0].removeprefix(".")
        state[local] = to_torch(parts[part.role], part.dtypes[0])
    return state


@pytest.mark.parametrize("name", FORMATS)
def test_its_compressors_decompress_our_parts(name):
    factor = 1 / DIVISOR if name == "nvfp4" else None
    fields = random_fields(name, (64, 320), factor=factor)
    codec, scheme = compressor(name)
    state = state_of(pack(fields, "compressed-tensors", name), name)
    theirs = codec.decompress(state, scheme)["weight"]
    np.testing.assert_array_equal(theirs.double().numpy(), values(fields, name))


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_its_compressors_is_found_and_read(name, tmp_path):
    import torch
    from safetensors.torch import save_file

    codec, scheme = compressor(name)
    factor = 1 / DIVISOR if name == "nvfp4" else None
    chosen = random_fields(name, (64, 128), seed=2, factor=factor)
    of = chosen.codes.shape[1] // chosen.scales.shape[1]
    weight = torch.from_numpy(values(chosen, name)).float()
    scale = np.ones_like(chosen.codes[:, ::of], np.float64)
    whole = values(chosen, name).reshape(64, -1, of)
    scale = scale * 2.0 ** np.floor(np.log2(np.abs(whole).max(-1) / 4))
    state = {"weight": weight, "weight_scale": torch.from_numpy(scale).float()}
    if name == "nvfp4":
        state["weight_scale"] = torch.from_numpy(np.clip(scale * DIVISOR, 2.0**-6, 256.0)).float()
        state["weight_global_scale"] = torch.tensor([float(DIVISOR)])
    packed = codec.compress(state, scheme)
    theirs = codec.decompress(packed, scheme)["weight"].double().numpy()
    save_file({f"m.{k}": v for k, v in packed.items()}, tmp_path / "w.safetensors")
    config = {"quant_method": "compressed-tensors", "format": FORMATS[name][1]}
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": config}))
    with open_checkpoint(tmp_path / "w.safetensors") as store:
        (found,) = find_quantized(store)
        fields = found.read(store)
    assert (found.name, found.layout, found.format) == ("m.weight", "compressed-tensors", name)
    assert found.shape == (64, 128)
    np.testing.assert_array_equal(values(fields, name), theirs)
    again = unpack(pack(fields, "compressed-tensors", name), "compressed-tensors", name)
    same_fields(again, fields)


def test_the_divisor_comes_back_bit_for_bit():
    rng = np.random.default_rng(0)
    for divisor in rng.uniform(1e-3, 1e5, 200).astype(np.float32):
        stored = np.array([divisor])
        fields = random_fields("nvfp4", (2, 32))
        parts = pack(fields, "compressed-tensors", "nvfp4") | {"global_scale": stored}
        back = unpack(parts, "compressed-tensors", "nvfp4")
        again = pack(back, "compressed-tensors", "nvfp4")["global_scale"]
        np.testing.assert_array_equal(again, stored)
