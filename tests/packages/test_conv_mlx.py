"""Layout mlx: words that mx.dequantize reads, and those of mx.quantize."""

import numpy as np
import pytest
from _compare import peers
from _conventions import random_fields, values

from mxref.checkpoints import open_checkpoint
from mxref.checkpoints.find import find_quantized
from mxref.layouts.conventions import pack, unpack

pytestmark = peers("mlx")

MODES = {"mxfp4": "mxfp4", "mxfp8_e4m3": "mxfp8", "nvfp4": "nvfp4"}


def dequantized(words, scales, name):
    import mlx.core as mx

    with mx.stream(mx.cpu):
        y = mx.dequantize(words, scales, mode=MODES[name], dtype=mx.float32)
        return np.array(y)


@pytest.mark.parametrize("name", MODES)
def test_mlx_dequantizes_our_parts(name):
    import mlx.core as mx

    fields = random_fields(name, (64, 320))
    parts = pack(fields, "mlx", name)
    assert parts["codes"].dtype == np.dtype("<u4")
    theirs = dequantized(mx.array(parts["codes"]), mx.array(parts["scales"]), name)
    np.testing.assert_array_equal(theirs, values(fields, name).astype(np.float32))


@pytest.mark.parametrize("name", MODES)
def test_a_file_of_mlx_is_found_and_read(name, tmp_path):
    import mlx.core as mx

    x = mx.array(np.random.default_rng(0).standard_normal((66, 128)).astype(np.float32))
    with mx.stream(mx.cpu):
        words, scales = mx.quantize(x, mode=MODES[name])
    theirs = dequantized(words, scales, name)
    mx.save_safetensors(
        str(tmp_path / "w.safetensors"), {"a.weight": words, "a.scales": scales, "a.bias": x[0]}
    )
    with open_checkpoint(tmp_path / "w.safetensors") as store:
        (found,) = find_quantized(store)
        fields = found.read(store)
    assert (found.name, found.layout, found.format) == ("a.weight", "mlx", name)
    np.testing.assert_array_equal(values(fields, name).astype(np.float32), theirs)
    again = unpack({"codes": np.array(words), "scales": np.array(scales)}, "mlx", name)
    np.testing.assert_array_equal(again.codes, fields.codes)


def test_affine_weights_of_mlx_are_listed_as_not_mx(tmp_path):
    import mlx.core as mx

    x = mx.array(np.random.default_rng(0).standard_normal((8, 128)).astype(np.float32))
    with mx.stream(mx.cpu):
        words, scales, biases = mx.quantize(x)
        mx.eval(words, scales, biases)
    mx.save_safetensors(
        str(tmp_path / "w.safetensors"),
        {"a.weight": words, "a.scales": scales, "a.biases": biases},
    )
    with open_checkpoint(tmp_path / "w.safetensors") as store:
        (found,) = find_quantized(store)
    assert found.status == "not-mx"
    assert "MLX affine" in found.notes[0]
