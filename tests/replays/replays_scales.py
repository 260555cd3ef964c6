"""Replays of defects in the selection and the storage of scales."""

from __future__ import annotations

import numpy as np
from replayed import (
    E2M1,
    E2M3,
    E4M3,
    GITHUB,
    NAN_SCALE,
    Replay,
    bits_of,
    block_amax,
    f32,
    floor_log2,
    from_bits,
    nearest,
    ocp_scale,
    one_block,
    quantizer,
    scale_byte,
    scale_value,
    under,
    value_table,
)

MXFP8 = "mxfp8_e4m3"


def gaussian_blocks(n=4096, seed=1):
    return np.random.default_rng(seed).standard_normal((n, 32)).astype(np.float32)


def steps_off(fn, t, rule=ocp_scale, seed=1):
    """By how many steps the scales of Gaussian blocks differ from a rule: {steps: share}."""
    x = gaussian_blocks(seed=seed)
    off = fn(t, x)[1].astype(int) - rule(t, block_amax(x)).astype(int)
    return {int(step): float((off == step).mean()) for step in np.unique(off)}


# --- rules ---------------------------------------------------------------------------------------


def flydsl_scale(t, amax):
    """Round amax / max to the nearest power of two: add half of the exponent's unit, drop the rest.

    The quotient is a float32, and its exponent field is the scale code.
    """
    with np.errstate(invalid="ignore"):
        quotient = amax / np.float32(t.max)
    bits = bits_of(quotient)
    # A subnormal goes up from just above 2^-127, as in every cast of this kind.
    up = (bits & 0x400000 > 0) & ((bits >> 23 > 0) | (bits & 0x3FFFFF > 0))
    byte = (bits >> 23) + up
    return np.where(np.isfinite(amax), byte, NAN_SCALE).astype(np.uint8)


def even_scale(t, amax):
    """Quark's even rule: round amax to the mantissa of the element type, then take the floor."""
    rounded = bits_of(amax) + (1 << (22 - t.mbits))
    return scale_byte(floor_log2(from_bits(rounded)) - t.emax, amax)


def mlx_scale(t, amax):
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.rint(np.log2(amax.astype(np.float64) / t.max))
    return scale_byte(np.nan_to_num(exponent, posinf=0, neginf=-200).astype(np.int64), amax)


def vllm_rocm_scale(_t, amax):
    return scale_byte(floor_log2(amax), amax)


def mase_scale(t, amax):
    mantissa, exponent = np.frexp(amax)
    return scale_byte(exponent.astype(np.int64) - (mantissa == 0.5) - t.emax, amax)


def torchao_scale(t, amax):
    """The exponent of amax after it went through bfloat16, rounded to nearest even."""
    bits = bits_of(amax)
    narrow = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16
    byte = np.maximum((narrow >> 23) - t.emax, 0)
    return np.where(narrow >= 0x7F800000, NAN_SCALE, byte).astype(np.uint8)


def onnxruntime_scale(t, amax):
    """frexp of amax / max as if its exponent were the ceiling of the logarithm."""
    exponent = np.frexp(amax.astype(np.float64) / t.max)[1].astype(np.int64)
    return scale_byte(exponent, amax)


def aiter_reference_scale(t, amax):
    """Exponent field plus a guard bit, then cut to eight bits; no case for NaN and infinity."""
    bits = bits_of(amax)
    field, guard = bits >> 23, (bits >> 22) & 1
    with_guard = field + np.where(field == 0xFF, guard, 0)
    return np.where(with_guard >= 0xFF, with_guard & 0xFF, ocp_scale(t, amax)).astype(np.uint8)


def shifted_by_two(t, x):
    """The writer takes 2 off a scale that was finished; the elements were made with the right one.

    What was below 2 stays 0, as the store clamps.
    """
    scales = ocp_scale(t, block_amax(x))
    stored = np.where(scales == 0xFF, 0xFF, np.maximum(scales.astype(int) - 2, 0))
    return nearest(t, under(x, scales)), stored.astype(np.uint8)


def rounded_later(t, x):
    """Quantize under amax / max in float32; then round that scale up, for storage alone."""
    amax = block_amax(x)
    with np.errstate(all="ignore"):
        wide = amax / np.float32(t.max)
        mantissa, exponent = np.frexp(wide.astype(np.float64))
        stored = scale_byte(exponent.astype(np.int64) - (mantissa == 0.5), wide)
        v = np.where(np.isfinite(amax) & (wide > 0), x.astype(np.float64) / wide, 0.0)
    return nearest(t, np.where(v == 0, np.copysign(0.0, x), v)), stored


# --- conversions to E8M0 -------------------------------------------------------------------------


def _with_specials(x, byte):
    """NaN for what E8M0 does not have; zero becomes the least scale."""
    byte = np.where(x == 0, 0, byte)
    return np.where(np.isnan(x) | np.isinf(x) | (x < 0), 0xFF, byte).astype(np.uint8)


def onnx_e8m0(_t, x):
    """Round up by 'any fraction bit', with one digit of the mask wrong: 0x4FFFFF."""
    bits = bits_of(np.abs(x))
    field, man = bits >> 23, bits & 0x7FFFFF
    byte = field + ((man & 0x4FFFFF) > 0)
    return _with_specials(x, np.minimum(byte, 254))


def ml_dtypes_e8m0(_t, x, bias=127):
    """Nearest, and a tie is decided by the lowest bit of the source's exponent field."""
    bits = bits_of(np.abs(x))
    field, man = (bits >> 23) - 127 + bias, bits & 0x7FFFFF
    byte = field + ((man > 0x400000) | ((man == 0x400000) & (field & 1 == 1))) - bias + 127
    byte = np.where((bits >> 23) == 0, man > 0x600000, byte)
    byte = np.where(((bits >> 23) == 0) & (man == 0x600000), 0, byte)
    return _with_specials(x, np.minimum(byte, 254))


# --- reports -------------------------------------------------------------------------------------


def said_flydsl():
    off = steps_off(quantizer(flydsl_scale), E2M3, even_scale)
    yield "every miss is one step low", set(off), {-1, 0}
    yield "67.9 % of the scales differ from the even rule", abs(off[-1] - 0.679) < 0.02, True


def said_mlx():
    codes, scales = quantizer(mlx_scale)(E4M3, one_block(4.8046875, 4.00390625))
    value = value_table(E4M3)[codes] * scale_value(scales)
    yield "4.00390625 in a group with maximum 4.8046875", value[0, 1], 3.5
    yield "the code saturates", codes[0, 1], 0x7E


def said_vllm():
    yield "every scale is 8 steps high", steps_off(quantizer(vllm_rocm_scale), E4M3), {8: 1.0}


def said_mase():
    amax = f32(1.0, 1.0000001, 4.0, 5.0)[:, None]
    off = mase_scale(E4M3, amax).astype(int) - ocp_scale(E4M3, amax)
    yield "right at powers of two, one high beside them", off.ravel().tolist(), [0, 1, 0, 1]


def said_compressed_tensors():
    x = gaussian_blocks(64)
    codes, stored = shifted_by_two(E2M1, x)
    right = nearest(E2M1, under(x, ocp_scale(E2M1, block_amax(x))))
    yield "the elements are right", (codes == right).all(), True
    off = stored.astype(int) - ocp_scale(E2M1, block_amax(x))
    yield "every scale is 2 low: weights 4 times too small", set(off.ravel().tolist()), {-2}


def said_torchao():
    amax = from_bits([0x3FFF7FFF, 0x3FFF8000, 0x3FFFFFFF, 0x40000000])[:, None]
    off = torchao_scale(E4M3, amax).astype(int) - ocp_scale(E4M3, amax)
    yield "one high from ...7f8000 to ...7fffff", off.ravel().tolist(), [0, 1, 1, 0]
    share = steps_off(quantizer(torchao_scale), E4M3).get(1, 0.0)
    yield "0.32 % of Gaussian blocks", abs(share - 0.0032) < 0.003, True


def said_onnxruntime():
    amax = f32(448.0, 447.99997, 448.00003, 7.0)[:, None]
    right = scale_byte(np.ceil(np.log2(amax.astype(np.float64) / 448)).astype(int), amax)
    off = onnxruntime_scale(E4M3, amax).astype(int) - right
    yield "448 * 2^k is one high, the rest right", off.ravel().tolist(), [1, 0, 0, 1]


def said_aiter():
    amax = f32(np.nan, np.inf, 1.0)[:, None]
    yield "NaN, infinity, one", hexes_of(aiter_reference_scale(E4M3, amax)), ["0x0", "0xff", "0x77"]


def said_transformers():
    x = gaussian_blocks(512)
    codes, scales = rounded_later(E4M3, x)
    wide = (block_amax(x) / np.float32(448)).astype(np.float64)
    ratio = scale_value(scales) / wide
    yield "what is decoded is too large by [1, 2)", bool(((ratio >= 1) & (ratio < 2)).all()), True
    top = np.take_along_axis(codes, np.abs(x).argmax(1)[:, None], 1) & 0x7F
    yield "block maxima are at 448 whatever the scale", set(top.ravel().tolist()), {0x7E}


def said_onnx():
    got = onnx_e8m0(None, f32(1.125, 1.25, 5.0))
    yield "1.125, 1.25 and 5.0 round up to", scale_value(got).tolist(), [1.0, 1.0, 4.0]


def said_ml_dtypes():
    e5m2, fnuz = (ml_dtypes_e8m0(None, f32(1.5), bias)[0] for bias in (15, 16))
    yield "1.5 from E5M2 and from E5M2FNUZ", (int(e5m2), int(fnuz)), (128, 127)


def hexes_of(scales):
    return [f"{int(s):#x}" for s in scales.ravel()]


REPLAYS = (
    Replay(
        key="SC02",
        project="FlyDSL",
        url=GITHUB + "ROCm/FlyDSL/pull/590",
        mistake="The scale is amax / max rounded to the nearest power of two.",
        op="quantize",
        formats=("mxfp6_e2m3", MXFP8, "mxfp4"),
        fn=quantizer(flydsl_scale),
        names=("S2", "S17"),
        reported=said_flydsl,
        note="S17 beside S2: casts of this kind double what lies just above 2^-127.",
    ),
    Replay(
        key="SC03",
        project="MLX",
        url=GITHUB + "ml-explore/mlx/pull/4353",
        mistake="The exponent is log2(amax / 448), rounded to the nearest integer.",
        op="quantize",
        formats=(MXFP8, "mxfp4"),
        fn=quantizer(mlx_scale),
        names=("S3",),
        reported=said_mlx,
    ),
    Replay(
        key="SC04",
        project="vLLM",
        url=GITHUB + "vllm-project/vllm/pull/53110",
        mistake="The exponent of the largest element is never subtracted from that of amax.",
        op="quantize",
        formats=(MXFP8,),
        fn=quantizer(vllm_rocm_scale),
        names=("S4",),
        reported=said_vllm,
    ),
    Replay(
        key="SC06",
        project="mase",
        url=GITHUB + "DeepWok/mase/pull/321",
        mistake="The shared exponent is the ceiling of the logarithm of amax.",
        op="quantize",
        formats=("mxfp4", MXFP8, "mxfp6_e3m2"),
        fn=quantizer(mase_scale),
        names=("S5",),
        reported=said_mase,
        legal=True,
    ),
    Replay(
        key="SC08",
        project="compressed-tensors",
        url=GITHUB + "vllm-project/vllm/pull/35979",
        mistake="Two is taken off the finished scale code a second time, before it is stored.",
        op="quantize",
        formats=("mxfp4",),
        fn=shifted_by_two,
        names=("S6",),
        reported=said_compressed_tensors,
    ),
    Replay(
        key="SC09",
        project="torchao",
        url=GITHUB + "pytorch/ao/pull/4725",
        mistake="amax is cast to bfloat16 before its exponent is taken.",
        op="quantize",
        formats=(MXFP8, "mxfp8_e5m2"),
        fn=quantizer(torchao_scale),
        names=("S7",),
        reported=said_torchao,
    ),
    Replay(
        key="SC12",
        project="ONNX Runtime",
        url=GITHUB + "microsoft/onnxruntime/pull/32122",
        mistake="The exponent that frexp gives is taken for the ceiling of the logarithm.",
        op="quantize",
        formats=(MXFP8,),
        fn=quantizer(onnxruntime_scale),
        names=("S8",),
        reported=said_onnxruntime,
    ),
    Replay(
        key="SC16",
        project="aiter",
        url=GITHUB + "ROCm/aiter/pull/4748",
        mistake="The biased exponent of NaN, 255 + 1, is cut to eight bits: scale code 0.",
        op="quantize",
        formats=(MXFP8,),
        fn=quantizer(aiter_reference_scale),
        names=("S11",),
        reported=said_aiter,
    ),
    Replay(
        key="SC23",
        project="transformers",
        url=GITHUB + "huggingface/transformers/issues/47030",
        mistake="Scales are rounded up to powers of two after the elements were quantized.",
        op="quantize",
        formats=(MXFP8,),
        fn=rounded_later,
        names=("S14", "S10", "OP-SCALE-QUOTIENT"),
        reported=said_transformers,
        note="Beside S14: what is stored is rounded up, of a float32 quotient; both are legal.",
    ),
    Replay(
        key="onnx-7784",
        project="ONNX",
        url=GITHUB + "onnx/onnx/pull/7784",
        mistake="Rounding up looks for fraction bits through a mask with holes, 0x4FFFFF.",
        op="encode",
        formats=("e8m0",),
        fn=onnx_e8m0,
        names=("S8", "OP-E8M0-CAST"),
        reported=said_onnx,
        note="Not in the survey, whose entry for S8 speaks of such masks. Subnormals are read by "
        "their fields as well, which is a choice.",
    ),
    Replay(
        key="SC11",
        project="ml_dtypes",
        url=GITHUB + "jax-ml/ml_dtypes/pull/223",
        mistake="A tie is decided by the lowest bit of the exponent.",
        op="encode",
        formats=("e8m0",),
        fn=ml_dtypes_e8m0,
        names=("S9",),
        reported=said_ml_dtypes,
        legal=True,
        note="The report names 3.5 beside 1.5; 3.5 is no tie, and the described code agrees on it.",
    ),
)
