"""Checkpoints that mxref writes, loaded by the projects whose conventions they follow."""

import json

import numpy as np
import pytest
import safetensors.numpy
from _compare import peers

import mxref
from mxref.checkpoints.quantize import quantize_checkpoint

pytestmark = peers()  # each test says what it needs


@pytest.fixture
def weights():
    rng = np.random.default_rng(5)
    return {
        "a.proj.weight": rng.standard_normal((130, 96)).astype(np.float32),
        "b.proj.weight": np.exp(rng.normal(0, 8, (64, 256))).astype(np.float32),
        "a.proj.bias": rng.standard_normal(130).astype(np.float32),
    }


@pytest.fixture
def source(tmp_path, weights):
    path = tmp_path / "in.safetensors"
    safetensors.numpy.save_file(weights, path)
    return path


@pytest.mark.parametrize("layout", ["torchao", "torchao-swizzled"])
@pytest.mark.parametrize("fmt", ["mxfp4", "mxfp8_e4m3", "mxfp8_e5m2"])
def test_torchao_loads_them(source, weights, tmp_path, layout, fmt):
    torch = pytest.importorskip("torch")
    support = pytest.importorskip("torchao.prototype.safetensors.safetensors_support")
    safetensors_torch = pytest.importorskip("safetensors.torch")
    out = tmp_path / "out.safetensors"
    quantize_checkpoint(source, out, fmt, layout)
    with safetensors.safe_open(out, "pt") as file:
        metadata = file.metadata()
    state, left = support.unflatten_tensor_state_dict(safetensors_torch.load_file(out), metadata)
    assert not left
    assert set(state) == set(weights)
    for name in ("a.proj.weight", "b.proj.weight"):
        theirs = state[name].dequantize(torch.float32).numpy()
        ours = mxref.quantize(weights[name], fmt).dequantize()
        np.testing.assert_array_equal(theirs.view(np.uint32), ours.view(np.uint32))
    assert state["a.proj.bias"].numpy().tobytes() == weights["a.proj.bias"].tobytes()


def test_gguf_loads_them(source, weights, tmp_path):
    gguf = pytest.importorskip("gguf")
    out = tmp_path / "out.gguf"
    quantize_checkpoint(source, out, "mxfp4", "gguf")
    reader = gguf.GGUFReader(out)
    found = {tensor.name: tensor for tensor in reader.tensors}
    assert set(found) == set(weights)
    for name in ("a.proj.weight", "b.proj.weight"):
        tensor = found[name]
        assert tensor.tensor_type == gguf.GGMLQuantizationType.MXFP4
        assert tuple(tensor.shape[::-1]) == weights[name].shape
        theirs = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        ours = mxref.quantize(weights[name], "mxfp4").dequantize()
        np.testing.assert_array_equal(theirs, ours)
    np.testing.assert_array_equal(found["a.proj.bias"].data, weights["a.proj.bias"])
    field = reader.get_field("mxref.policy")
    assert field is not None
    assert field.contents() == "ocp"
    del reader, found, tensor


@pytest.mark.parametrize(("fmt", "mode"), [("mxfp4", "mxfp4"), ("mxfp8_e4m3", "mxfp8")])
def test_mlx_loads_them(source, weights, tmp_path, fmt, mode):
    mx = pytest.importorskip("mlx.core")
    out = tmp_path / "out.safetensors"
    quantize_checkpoint(source, out, fmt, "mlx")
    loaded = mx.load(str(out))
    name = "b.proj.weight"
    words, scales = loaded[name], loaded["b.proj.scales"]
    theirs = np.array(mx.dequantize(words, scales, mode=mode, dtype=mx.float32))
    np.testing.assert_array_equal(theirs, mxref.quantize(weights[name], fmt).dequantize())


@pytest.mark.parametrize("fmt", ["mxfp4", "mxfp6_e2m3", "mxfp8_e4m3"])
def test_compressed_tensors_accepts_the_configuration(source, tmp_path, fmt):
    found = pytest.importorskip("compressed_tensors.quantization")
    out = tmp_path / "out"
    quantize_checkpoint(source, out, fmt, "compressed-tensors")
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    scheme = found.QuantizationConfig.model_validate(config)
    weights = scheme.config_groups["group_0"].weights
    assert weights.group_size == 32
    assert scheme.format == config["format"]
