"""Replays of defects in reading tensors: order of scales, records, axis, packing."""

from __future__ import annotations

import numpy as np
from replayed import (
    E2M1,
    E4M3,
    GITHUB,
    K,
    Replay,
)
from storage import (
    decoded,
    matrix,
    pairs,
    quantized,
    stored,
    stored_in_nibbles,
    unpaired,
    unswizzled,
)

# --- readers --------------------------------------------------------------------------------------


def flashinfer(t, elements, scales, shape):
    """Every kernel reads 128 x 4; whether the scales came that way is not asked."""
    rows, columns = shape[0], shape[1] // K
    need = -(-rows // 128) * 128 * -(-columns // 4) * 4
    buffer = np.resize(np.pad(scales.reshape(-1), (0, max(0, need - scales.size))), need)
    return decoded(t, elements.reshape(shape), unswizzled(buffer, rows, columns))


def imp_records(t, elements, scales, shape):
    """Records of a scale and 16 bytes, looked for in a buffer that holds all codes, then scales."""
    buffer = np.concatenate([elements.reshape(-1), scales.reshape(-1)]).reshape(-1, 17)
    codes = unpaired(buffer[:, 1:], (len(buffer), K)).reshape(shape)
    return decoded(t, codes, buffer[:, 0].reshape(shape[0], shape[1] // K))


def vllm_moe(t, elements, scales, shape):
    """The plane of the scales is transposed once too often."""
    plane = scales.reshape(-1, shape[0]).T
    return decoded(t, elements.reshape(shape), plane)


def intel_unpack(t, elements, scales, shape):
    """Neighbours in a column share a byte; the reader takes them for neighbours in a row."""
    half = -(-shape[0] // 2)
    packed = np.resize(elements, half * shape[1]).reshape(half, shape[1])
    codes = np.empty((2 * half, shape[1]), np.uint8)
    codes[0::2], codes[1::2] = packed & 15, packed >> 4
    return decoded(t, codes[: shape[0]], scales.reshape(shape[0], shape[1] // K))


def cosine(a, b):
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


# --- reports --------------------------------------------------------------------------------------


def said_flashinfer():
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, 256, 512)).astype(np.float32)
    codes, plane = quantized(E4M3, a)
    wrong = flashinfer(E4M3, codes, plane, codes.shape).astype(np.float64)
    got = cosine(wrong @ b.T.astype(np.float64), a.astype(np.float64) @ b.T)
    right = cosine(decoded(E4M3, codes, plane).astype(np.float64) @ b.T, a @ b.T)
    yield "cosine 0.999 with the right scales", right > 0.999, True
    yield "cosine about 0.92 without an error", 0.85 < got < 0.95, True


def said_imp_records():
    codes, plane = quantized(E2M1, matrix())
    got = imp_records(E2M1, pairs(codes), plane, codes.shape)
    first = pairs(codes).reshape(-1)[0]
    scale = np.abs(got[0, :K]).max()
    yield "a byte of codes is taken for a scale", bool(scale <= 6 * 2.0 ** (int(first) - 127)), True


def said_vllm_moe():
    codes, plane = quantized(E4M3, matrix())
    got = vllm_moe(E4M3, codes, plane, codes.shape)
    yield "wrong where N is not K / 32", bool((got == decoded(E4M3, codes, plane)).all()), False
    square, small = quantized(E4M3, np.ones((4, 128), np.float32))
    same = vllm_moe(E4M3, square, small, square.shape) == decoded(E4M3, square, small)
    yield "and hidden by constant scales", bool(same.all()), True


def said_intel_unpack():
    codes, plane = quantized(E2M1, matrix())
    down = codes[0::2] | (codes[1::2] << 4)
    right = decoded(E2M1, codes, plane)
    yield (
        "right if packed along N",
        bool((intel_unpack(E2M1, down, plane, codes.shape) == right).all()),
        True,
    )
    yield (
        "wrong if along K",
        bool((intel_unpack(E2M1, pairs(codes), plane, codes.shape) == right).all()),
        False,
    )


NIBBLES = {"packing": "nibbles-low-first"}
REPLAYS = (
    Replay(
        key="SW08",
        project="FlashInfer",
        url=GITHUB + "flashinfer-ai/flashinfer/pull/3882",
        mistake="Linear scales are accepted, and read as tiles of 128 x 4.",
        op="dequantize_tensor",
        formats=("mxfp8_e4m3",),
        fn=flashinfer,
        given=stored,
        names=("L3",),
        reported=said_flashinfer,
    ),
    Replay(
        key="SW13",
        project="imp",
        url=GITHUB + "kekzl/imp/pull/58",
        mistake="Records of 17 bytes are read from a buffer of all codes and then all scales.",
        op="dequantize_tensor",
        formats=("mxfp4",),
        fn=imp_records,
        given=stored_in_nibbles,
        names=("L7",),
        reported=said_imp_records,
        options=NIBBLES,
    ),
    Replay(
        key="AX05",
        project="vLLM",
        url=GITHUB + "vllm-project/vllm/pull/34824",
        mistake="The scales of the weights are transposed once too often.",
        op="dequantize_tensor",
        formats=("mxfp8_e4m3",),
        fn=vllm_moe,
        given=stored,
        names=("L8",),
        reported=said_vllm_moe,
    ),
    Replay(
        key="AX06",
        project="Triton for Intel",
        url=GITHUB + "intel/intel-xpu-backend-for-triton/pull/4060",
        mistake="Codes are unpacked along one axis, and were packed along the other.",
        op="dequantize_tensor",
        formats=("mxfp4",),
        fn=intel_unpack,
        given=stored_in_nibbles,
        names=("L9",),
        reported=said_intel_unpack,
        options=NIBBLES,
    ),
)
