"""Packages that make NVFP4 against their profiles, bit for bit; what differs is named and measured.

Inputs: random ones, ties under every power of two, blocks far apart in size, subnormals, zeros.
"""

import numpy as np
import pytest
from _compare import peers

from mxref import nvfp4

NAN_SCALE = 0x7F


def peer(*packages):
    """Skip a test without the packages; as `peers`, for one test."""

    def apply(test):
        for mark in peers(*packages):
            test = mark(test)
        return test

    return apply


def unpacked(packed, shape):
    """Two codes a byte, the low nibble first."""
    packed = packed.reshape(shape[0], -1)
    codes = np.empty(shape, np.uint8)
    codes[:, ::2], codes[:, 1::2] = packed & 15, packed >> 4
    return codes


def inputs():
    """Name and finite float32 arrays of 32 x 256."""
    rng = np.random.default_rng(2024)
    shape = (32, 16, 16)
    normal = rng.standard_normal(shape)
    spread = normal * np.exp2(rng.integers(-20, 20, (32, 16, 1)))
    ties = rng.choice([0, 0.25, 0.5, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 6], shape)
    signs = rng.choice([-1, 1], shape)
    powers = np.exp2(rng.integers(-12, 8, (32, 16, 1)))
    sixths = np.zeros(shape)  # scales near every E4M3 value and every middle
    sixths[:, :, 0] = (
        6 * np.exp2(rng.integers(-6, 8, (32, 16))) * (1 + rng.integers(0, 16, (32, 16)) / 16)
    )
    sixths[:, :, 1:] = sixths[:, :, :1] * rng.uniform(-1, 1, (32, 16, 15))
    zeros = normal * (rng.random((32, 16, 1)) < 0.5)
    made = {"normal": normal, "spread": spread, "ties": ties * signs * powers, "sixths": sixths}
    made |= {"zero blocks": zeros, "one large": np.where(np.arange(16) == 3, normal * 1e4, normal)}
    return {name: x.reshape(32, 256).astype(np.float32) for name, x in made.items()}


INPUTS = inputs()


def same(theirs, x, policy):
    """Assert codes, scale codes and, if they say it, the multiplier."""
    codes, scales, g = theirs
    q = nvfp4.quantize(x, policy=policy)
    np.testing.assert_array_equal(scales, q.scales)
    np.testing.assert_array_equal(codes, q.codes)
    if g is not None:
        assert np.float32(g) == q.global_scale


# --- torchao ------------------------------------------------------------------------------------


def torchao(x, *, single=False):
    import torch
    from torchao.prototype.mx_formats.nvfp4_tensor import nvfp4_quantize, per_tensor_amax_to_scale

    tensor = torch.from_numpy(x)
    g = None if single else per_tensor_amax_to_scale(tensor.abs().max())
    scales, packed = nvfp4_quantize(tensor, 16, g)
    scales = scales.view(torch.uint8).numpy().reshape(x.shape[0], -1)
    codes = unpacked(packed.view(torch.uint8).numpy(), x.shape)
    return codes, scales, None if single else float(g)


@peer("torchao")
@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("single", [False, True])
def test_torchao(name, single):
    policy = "torchao-single" if single else "torchao"
    same(torchao(INPUTS[name], single=single), INPUTS[name], policy)


@peer("torchao")
def test_torchao_decodes_as_its_profile():
    import torch
    from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor, per_tensor_amax_to_scale

    x = INPUTS["spread"]
    tensor = torch.from_numpy(x)
    theirs = NVFP4Tensor.to_nvfp4(
        tensor, per_tensor_scale=per_tensor_amax_to_scale(tensor.abs().max())
    ).dequantize(torch.float32)
    np.testing.assert_array_equal(theirs.numpy(), nvfp4.quantize(x, policy="torchao").dequantize())


@peer("torchao")
def test_torchao_makes_nan_of_zeros_where_its_factor_is_infinite():
    """A named divergence: the code of a NaN comes from its bits."""
    x = np.full((1, 16), 2.0**-145, np.float32)
    x[0, 3] = 0
    codes, scales, _ = torchao(x)
    q = nvfp4.quantize(x, policy="torchao")
    np.testing.assert_array_equal(scales, q.scales)
    assert q.codes[0, 3] == 7
    assert codes[0, 3] != 7
    assert (np.delete(codes, 3, 1) == np.delete(q.codes, 3, 1)).all()


# --- Model-Optimizer ----------------------------------------------------------------------------


def modelopt(x):
    import torch
    from modelopt.torch.quantization.qtensor.nvfp4_tensor import NVFP4QTensor

    q, scales, g = NVFP4QTensor.quantize(torch.from_numpy(x.copy()), 16)
    codes = unpacked(q._quantized_data.numpy(), x.shape)
    return codes, scales.view(torch.uint8).numpy(), float(g)


@peer("modelopt")
@pytest.mark.parametrize("name", INPUTS)
def test_modelopt(name):
    same(modelopt(INPUTS[name]), INPUTS[name], "modelopt")


@peer("modelopt")
def test_modelopt_gives_zeros_a_nan_scale_with_a_sign():
    """A named divergence: 0xFF for our 0x7F."""
    zeros = np.zeros((1, 32), np.float32)
    codes, scales, _ = modelopt(zeros)
    q = nvfp4.quantize(zeros, policy="modelopt")
    assert set(scales.ravel()) == {0xFF}
    assert set(q.scales.ravel()) == {NAN_SCALE}
    np.testing.assert_array_equal(codes, q.codes)


# --- compressed-tensors -------------------------------------------------------------------------


def compressed(x):
    import torch
    from compressed_tensors.compressors.nvfp4.helpers import pack_fp4_to_uint8
    from compressed_tensors.quantization.lifecycle.forward import quantize
    from compressed_tensors.quantization.quant_scheme import NVFP4
    from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

    tensor = torch.from_numpy(x)
    S = generate_gparam(tensor.min(), tensor.max())
    blocks = tensor.reshape(x.shape[0], -1, 16)
    weights = NVFP4["weights"]
    parts = blocks.amin(-1), blocks.amax(-1)
    scales, zero_points = calculate_qparams(*parts, weights, global_scale=S)
    values = quantize(tensor, scales, zero_points, weights, global_scale=S)
    codes = unpacked(pack_fp4_to_uint8(values).numpy(), x.shape)
    stored = scales.to(torch.float8_e4m3fn).view(torch.uint8).numpy()
    return codes, stored, np.float32(1) / np.float32(S.item())


@peer("compressed_tensors")
@pytest.mark.parametrize("name", INPUTS)
def test_compressed_tensors(name):
    same(compressed(INPUTS[name]), INPUTS[name], "compressed-tensors")


# --- MLX ----------------------------------------------------------------------------------------


def mlx(x):
    import mlx.core as mx

    with mx.stream(mx.cpu):
        words, scales = mx.quantize(mx.array(x), mode="nvfp4")
    return unpacked(np.array(words).view(np.uint8), x.shape), np.array(scales), None


@peer("mlx")
@pytest.mark.parametrize("name", ["normal", "ties", "sixths", "zero blocks"])
def test_mlx(name):
    same(mlx(INPUTS[name]), INPUTS[name], "mlx")


@peer("mlx")
def test_mlx_loses_elements_far_beyond_six():
    """A named divergence: where float32 distances to all values are equal, the first is taken."""
    x = np.full((1, 64), 1e12, np.float32)
    codes, scales, _ = mlx(x)
    q = nvfp4.quantize(x, policy="mlx")
    np.testing.assert_array_equal(scales, q.scales)
    assert (q.codes == 7).all()
    assert (codes == 0).all()


# --- gguf ---------------------------------------------------------------------------------------


@peer("gguf")
def test_gguf_scales():
    """Every middle and its neighbours; gguf has no encoder of elements."""
    from gguf.quants import NVFP4

    points = np.arange(127, dtype=np.uint8)
    values = np.float32(
        [float(v) for v in nvfp4.dequantize(np.full((127, 16), 2, np.uint8), points[:, None])[:, 0]]
    )
    middles = (values[1:] + values[:-1]) / 2
    near = np.concatenate([values, middles, np.float32([449, 470, 1e5])])
    x = np.concatenate(
        [near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(1e38))]
    )
    theirs = NVFP4.fp32_to_ue4m3(x / np.float32(6))
    ours = nvfp4.block_scales(x, policy="gguf")
    w = x / np.float32(6)
    # Two named divergences.
    stays = (w < 2.0**-6) & (ours == 8)
    half = (w < 2.0**-10) & (w >= np.nextafter(np.float32(2.0**-10), np.float32(0)))
    assert stays.any()
    assert half.any()
    expected = np.where(stays, 7, np.where(half, 1, ours))
    np.testing.assert_array_equal(theirs, expected)


@peer("gguf")
def test_gguf_decodes_as_we_do_but_the_nan():
    from gguf.quants import NVFP4

    theirs = NVFP4.ue4m3_to_fp32(np.arange(128, dtype=np.uint8)) * 2
    ours = nvfp4.dequantize(
        np.full((128, 16), 2, np.uint8), np.arange(128, dtype=np.uint8)[:, None]
    )
    np.testing.assert_array_equal(theirs[:127], ours[:127, 0])
    assert theirs[127] == 0
    assert np.isnan(ours[127]).all()
