"""Replays of defects in decoding scales, and in the order of codes in a block."""

from __future__ import annotations

import numpy as np
from replayed import (
    E2M1,
    E4M3,
    GITHUB,
    NAN_SCALE,
    Replay,
    from_bits,
    products,
    scale_value,
    value_table,
)

ALL = np.arange(256, dtype=np.uint8)


def wide(codes):
    return codes.astype(np.int64)


# --- scales ---------------------------------------------------------------------------------------


def triton_scale(_t, codes):
    """byte << 23 is the scale: but 0 gives zero. NaN is treated apart."""
    return np.where(codes == NAN_SCALE, np.float32(np.nan), from_bits(wide(codes) << 23))


def triton_dequantize(t, codes, scales):
    return products(value_table(t)[codes], triton_scale(t, scales))


def quark_scale(_t, codes):
    """2^(byte - 127) first, then the comparison: is it 128, that is, 255 - 127?"""
    with np.errstate(over="ignore"):
        value = np.ldexp(np.float32(1), wide(codes).astype(np.int32) - 127)
    return np.where(value == 128, np.float32(np.nan), value).astype(np.float32)


def sm70_scale(_t, codes):
    """A float16 exponent field made by subtraction: what would be subnormal becomes zero.

    Beyond 2^15 the report says nothing; a float16 holds no more, so the scale stays a float32.
    """
    c = wide(codes)
    value = np.where(c <= 112, 0.0, scale_value(codes))
    return value.astype(np.float32)


def arch_scale(_t, codes):
    """The part of the word that is read is the byte itself; no code is NaN."""
    return codes.astype(np.float32)


def omlx_dequantize(t, codes, scales):
    """The tag of the scales is U8, not F8_E8M0: multiply."""
    return products(value_table(t)[codes], scales.astype(np.float64))


def colibri_dequantize(t, codes, scales):
    """Scale 255 is infinity: 0 times it gives NaN, everything else infinity."""
    scale = np.where(scales == NAN_SCALE, np.inf, scale_value(np.minimum(scales, 254)))
    return products(value_table(t)[codes], scale)


def dequantize(t, codes, scales):
    return products(value_table(t)[codes], scale_value(scales))


# --- order ----------------------------------------------------------------------------------------


def some_blocks(t, n=256):
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 2 * t.sign, (n, 32)).astype(np.uint8)
    return codes, rng.integers(97, 157, (n, 1)).astype(np.uint8)


def triton_nibbles(t, codes, scales):
    """Element 0 is taken from the high nibble of each byte."""
    packed = codes[:, 0::2] | (codes[:, 1::2] << 4)
    unpacked = np.empty_like(codes)
    unpacked[:, 0::2], unpacked[:, 1::2] = packed >> 4, packed & 15
    return dequantize(t, unpacked, scales)


def imp_split_half(t, codes, scales):
    """The file holds element j low and j + 16 high; the reader takes neighbours."""
    half = codes.shape[1] // 2
    packed = codes[:, :half] | (codes[:, half:] << 4)
    unpacked = np.empty_like(codes)
    unpacked[:, 0::2], unpacked[:, 1::2] = packed & 15, packed >> 4
    return dequantize(t, unpacked, scales)


# --- reports --------------------------------------------------------------------------------------


def said_triton_scale():
    got = triton_scale(None, np.array([0, 1, 127], np.uint8))
    yield "0, 1 and 127", got.tolist(), [0.0, 2.0**-126, 1.0]


def said_quark():
    got = quark_scale(None, np.array([134, 133, 255], np.uint8))
    yield "134, 133 and 255", [str(v) for v in got.tolist()], ["nan", "64.0", "inf"]


def said_sm70():
    got, right = sm70_scale(None, ALL[100:121]), scale_value(ALL[100:121])
    zero = ALL[100:121][(got == 0) & (right >= 2.0**-24)]
    yield "flushed though float16 holds them", zero.tolist(), [*range(103, 113)]


def said_arch():
    got = arch_scale(None, np.array([127, 255], np.uint8))
    yield "1.0 comes back as", float(got[0]), 127.0
    yield "255 is no NaN", bool(np.isnan(got[1])), False


def said_omlx():
    codes = np.full((1, 32), 0x38, np.uint8)  # 1.0
    scales = np.array([[115]], np.uint8)
    ratio = omlx_dequantize(E4M3, codes, scales) / dequantize(E4M3, codes, scales)
    yield "too large by 13410 / 0.0297, about 450,000", bool(4.2e5 < ratio[0, 0] < 4.8e5), True


def said_colibri():
    codes = np.array([[0, 2] * 16], np.uint8)
    got = colibri_dequantize(E2M1, codes, np.array([[255]], np.uint8))[0, :2]
    yield "0 and 1 under 255", [str(v) for v in got.tolist()], ["nan", "inf"]


def said_triton_nibbles():
    codes = np.arange(32, dtype=np.uint8)[None] % 16
    got = triton_nibbles(E2M1, codes, np.array([[127]], np.uint8))
    right = value_table(E2M1)[codes.reshape(-1, 2)[:, ::-1].reshape(1, 32)]
    yield "0, 1, 2 ... in pairs swapped", (got == right).all(), True


def said_imp():
    codes = np.arange(32, dtype=np.uint8)[None] % 16
    got = imp_split_half(E2M1, codes, np.array([[127]], np.uint8))[0]
    from_ = [i // 2 + i % 2 * 16 for i in range(32)]
    right = value_table(E2M1)[codes[0][from_]]
    yield "place i holds i // 2 + i % 2 * 16", (got == right).all(), True


def _replay(fn, names, reported, formats=("e4m3",), **about):
    url = GITHUB + about.pop("path")
    op = "dequantize" if formats[0].startswith("mx") else "decode"
    return Replay(url=url, op=op, formats=formats, fn=fn, names=names, reported=reported, **about)


REPLAYS = (
    _replay(
        key="DS02",
        project="Triton",
        path="triton-lang/triton/pull/11737",
        mistake="The scale code is shifted into the exponent of a float32: code 0 becomes zero.",
        formats=("e8m0",),
        fn=triton_scale,
        names=("D9",),
        reported=said_triton_scale,
    ),
    _replay(
        key="DS06",
        project="torchao",
        path="pytorch/ao/pull/4725",
        mistake="The same shift within a dequantizer: blocks with scale code 0 vanish.",
        formats=("mxfp8_e4m3", "mxfp4"),
        fn=triton_dequantize,
        names=("D9",),
        reported=said_triton_scale,
    ),
    _replay(
        key="DS03",
        project="sglang",
        path="sgl-project/sglang/pull/25519",
        mistake="The mark of NaN is looked for in the decoded scale: 128 instead of code 255.",
        formats=("e8m0",),
        fn=quark_scale,
        names=("D11", "D10"),
        reported=said_quark,
    ),
    _replay(
        key="DS04",
        project="1Cat-vLLM",
        path="1CatAI/1Cat-vLLM/pull/222",
        mistake="The exponent field of a float16 is made by subtraction: subnormals become zero.",
        formats=("e8m0",),
        fn=sm70_scale,
        names=("D12",),
        reported=said_sm70,
        note="Codes below 103 are zero as well: float16 holds nothing that small.",
    ),
    _replay(
        key="DS07",
        project="arch-com",
        path="arch-hdl-lang/arch-com/pull/848",
        mistake="Widening gives the code itself, and the test for NaN is constant.",
        formats=("e8m0",),
        fn=arch_scale,
        names=("D13",),
        reported=said_arch,
        note="D6 of the survey is the same mistake; that 255 is no NaN follows from it.",
    ),
    _replay(
        key="DS09",
        project="omlx",
        path="jundot/omlx/pull/2159",
        mistake="Scale codes are multiplied as numbers.",
        formats=("mxfp8_e4m3",),
        fn=omlx_dequantize,
        names=("D13",),
        reported=said_omlx,
    ),
    _replay(
        key="DS12",
        project="colibri",
        path="JustVugg/colibri/pull/1041",
        mistake="Scale code 255 is taken for infinity.",
        formats=("mxfp4",),
        fn=colibri_dequantize,
        names=("D10",),
        reported=said_colibri,
    ),
    _replay(
        key="PK01",
        project="Triton",
        path="triton-lang/triton/pull/5197",
        mistake="The first element of each byte is read from its high nibble.",
        formats=("mxfp4",),
        fn=triton_nibbles,
        driven=False,
        given=some_blocks,
        names=("L1",),
        reported=said_triton_nibbles,
        note="A drive ends before it has begun: the harness is said to be wired wrongly, as by L1.",
    ),
    _replay(
        key="PK02",
        project="imp",
        path="kekzl/imp/pull/567",
        mistake="Blocks packed as two halves are read as neighbours.",
        formats=("mxfp4",),
        fn=imp_split_half,
        names=("L2",),
        reported=said_imp,
    ),
)
