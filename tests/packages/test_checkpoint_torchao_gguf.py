"""Checkpoints that torchao, gguf and MLX made: the maker is told from the bits alone."""

from __future__ import annotations

import numpy as np
import pytest

from mxref.check.checkpoint import checkpoint

pytestmark = pytest.mark.peers

pytest.importorskip("torch")
pytest.importorskip("torchao")
pytest.importorskip("gguf")


def weights(seed=0, shape=(96, 256)):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) * np.exp2(rng.integers(-6, 4, (shape[0], 1)))
    ties = rng.choice(x.size, x.size // 8, replace=False)
    x.reshape(-1)[ties] = np.round(x.reshape(-1)[ties] * 4) / 4
    return x.astype(np.float32)


@pytest.fixture
def source(tmp_path):
    from safetensors.numpy import save_file

    x = {"a.weight": weights(0), "b.weight": weights(1)}
    save_file(x, tmp_path / "s.safetensors")
    return tmp_path / "s.safetensors", x


@pytest.mark.parametrize("mode", ["FLOOR", "CEIL", "EVEN", "RCEIL"])
@pytest.mark.parametrize("element", ["float4_e2m1fn_x2", "float8_e4m3fn", "float8_e5m2"])
def test_torchao(tmp_path, source, mode, element):
    import torch
    from safetensors.torch import save_file
    from torchao.prototype.mx_formats.mx_tensor import MXTensor, ScaleCalculationMode
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

    path, x = source
    rule = ScaleCalculationMode[mode]
    made = {
        name: MXTensor.to_mx(torch.from_numpy(w), getattr(torch, element), 32, rule)
        for name, w in x.items()
    }
    data, metadata = flatten_tensor_state_dict(made)
    save_file(data, tmp_path / "q.safetensors", metadata=metadata)
    report = checkpoint(tmp_path / "q.safetensors", path)
    (names,) = report.policies.values()
    assert f"torchao-{mode.lower()}" in names, str(report)
    assert [t.name for t in report.tensors] == list(x)


def test_gguf(tmp_path, source):
    import gguf

    path, x = source
    kind = gguf.GGMLQuantizationType.MXFP4
    writer = gguf.GGUFWriter(tmp_path / "q.gguf", "llama")
    for name, w in x.items():
        writer.add_tensor(name, gguf.quants.quantize(w, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    report = checkpoint(tmp_path / "q.gguf", path)
    assert "gguf-mxfp4" in report.policies["mxfp4"], str(report)
    assert report.ok


def recipe_codes(name, x, g):
    """Codes and scale codes of our transcription of a recipe."""
    from mxref.check.checkpoint._nvfp4_recipes import RECIPES, largest

    blocks = x.reshape(-1, 16)
    with np.errstate(all="ignore"):
        scales = RECIPES[name].scale(largest(blocks), g)
        codes = RECIPES[name].encode(blocks, scales, g)
    return codes.reshape(x.shape), scales.reshape(len(x), -1)


def nvfp4_input():
    """Blocks of very different sizes, a block and a row of zeros, -0 among them."""
    rng = np.random.default_rng(5)
    sizes = np.exp2(rng.integers(-20, 3, (512, 64)).repeat(16, 1))
    x = (rng.standard_normal((512, 1024)) * sizes).astype(np.float32)
    x[0], x[1, :16], x[1, 3] = 0, 0, -0.0
    x[2] = np.round(x[2] * 4) / 4
    return x


def unpacked(packed):
    return np.stack([packed & 15, packed >> 4], -1).reshape(len(packed), -1)


@pytest.mark.parametrize("has_global", [True, False])
def test_the_recipe_of_torchao_is_torchaos(has_global):
    import torch
    from torchao.prototype.mx_formats.nvfp4_tensor import nvfp4_quantize, per_tensor_amax_to_scale

    x = nvfp4_input()
    g = per_tensor_amax_to_scale(torch.tensor(np.abs(x).max())) if has_global else None
    scales, data = nvfp4_quantize(torch.from_numpy(x), 16, g)
    ours = recipe_codes("torchao-nvfp4", x, 1.0 if g is None else g.item())
    assert (ours[1] == scales.view(torch.uint8).numpy()).all()
    assert (ours[0] == unpacked(data.view(torch.uint8).numpy())).all()


def test_the_recipe_of_mlx_is_mlxs():
    mx = pytest.importorskip("mlx.core")
    x = nvfp4_input()
    data, scales = mx.quantize(mx.array(x), mode="nvfp4")
    ours = recipe_codes("mlx-nvfp4", x, 1.0)
    assert (ours[1] == np.array(scales)).all()
    assert (ours[0] == unpacked(np.array(data).view(np.uint8))).all()


def test_the_scales_of_gguf_are_ggufs():
    from gguf.quants import NVFP4

    from mxref.check.checkpoint._nvfp4_recipes import RECIPES

    every = np.arange(0x43F00001, dtype=np.uint32)[:: 1 << 10].view(np.float32)
    theirs = NVFP4.fp32_to_ue4m3(every / np.float32(6))
    assert (RECIPES["gguf-nvfp4"].scale(every, 1.0) == theirs).all()
