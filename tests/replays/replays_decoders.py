"""Replays of defects in decoding elements."""

from __future__ import annotations

import numpy as np
from replayed import (
    E2M1,
    E4M3,
    E5M2,
    GITHUB,
    Replay,
    from_bits,
    value_table,
)

ALL = np.arange(256, dtype=np.uint8)


# --- numbers and bits -----------------------------------------------------------------------------


def wide(codes):
    return codes.astype(np.int64)


def float16_from_bits(bits):
    return np.asarray(bits).astype(np.uint16).view(np.float16).astype(np.float32)


# --- decoders -------------------------------------------------------------------------------------


def tilelang_e4m3(_t, codes):
    """Sign, exponent plus 8, mantissa moved to their places in float16: for every code alike."""
    c = wide(codes)
    return float16_from_bits((c >> 7 << 15) | ((((c >> 3) & 15) + 8) << 10) | ((c & 7) << 7))


def tilelang_e2m1(_t, codes):
    """Exponent plus 126 in bfloat16, also where the exponent field is zero."""
    c = wide(codes)
    return from_bits(((c >> 3) << 31) | ((((c >> 1) & 3) + 126) << 23) | ((c & 1) << 22))


def monster_e4m3(t, codes):
    """Subnormals as (1 + mantissa / 8) * 2^-7; zero is looked for before."""
    c = wide(codes)
    man, low = c & 7, (c & 0x78 == 0) & (c & 7 > 0)
    value = np.where(low, np.ldexp(1 + man / 8, -7), np.abs(value_table(t)[c]))
    return np.where(c >> 7, -value, value).astype(np.float32)


def triton_bfloat16(t, codes):
    """Shift into bfloat16 and multiply by 2^(127 - bias): nothing is said of the top exponent."""
    c = wide(codes)
    body = from_bits(((c & 0x7F) << (23 - t.mbits)).astype(np.int64))
    value = np.ldexp(body.astype(np.float64), 127 - t.bias)  # exact also for subnormals
    return np.where(c >> 7, -value, value).astype(np.float32)


def intel_e5m2(_t, codes):
    """Exponent plus 112 in float32, and the implicit one with it; infinity and NaN are treated."""
    c = wide(codes)
    field, man = (c >> 2) & 31, c & 3
    bits = np.where(field == 31, 0x7F800000 | (man << 21), ((field + 112) << 23) | (man << 21))
    return from_bits(((c >> 7) << 31) | bits)


def amd_e5m2(t, codes):
    """Widened by a multiplication that flushes subnormals."""
    value = value_table(t)[wide(codes)]
    return np.where(np.abs(value) < 2.0**t.emin, np.copysign(np.float32(0), value), value)


def rocm_e4m3(_t, codes):
    """Shifted into float16, whose bias is 15; nobody multiplies by 2^8."""
    c = wide(codes)
    return float16_from_bits((c >> 7 << 15) | ((c & 0x7F) << 7))


def mlx_node_e4m3(_t, codes):
    return codes.astype(np.float32)


def llm_scaler_e4m3(t, codes):
    """`if (code == 0) return 0`; the rest is a number, with an implicit one if need be."""
    c = wide(codes)
    value = value_table(t)[c].copy()
    # 0x80 falls to the branch for normal numbers, with the exponent field 0.
    value[c == 0x80] = -(2.0**-7)
    return value.astype(np.float32)


def wrong_codes(decode, t, n=256):
    codes = ALL[:n]
    got, right = decode(t, codes), value_table(t)[codes]
    same = (got.view(np.uint32) == right.view(np.uint32)) | (np.isnan(got) & np.isnan(right))
    return codes[~same].tolist()


# --- reports --------------------------------------------------------------------------------------


def said_tilelang_e4m3():
    wrong = wrong_codes(tilelang_e4m3, E4M3)
    yield "wrong codes", len(wrong), 18
    yield "which", wrong, [*range(8), 0x7F, *range(0x80, 0x88), 0xFF]
    got = tilelang_e4m3(E4M3, np.array([0, 0x7F, 0xFF], np.uint8))
    yield "0x00, 0x7F and 0xFF", got.tolist(), [2.0**-7, 480.0, -480.0]


def said_tilelang_e2m1():
    got = tilelang_e2m1(E2M1, np.array([0, 1, 8, 9], np.uint8))
    yield "0x0, 0x1, 0x8, 0x9", got.tolist(), [0.5, 0.75, -0.5, -0.75]
    yield "which are wrong", wrong_codes(tilelang_e2m1, E2M1, 16), [0, 1, 8, 9]


def said_monster():
    yield "code 1", monster_e4m3(E4M3, ALL[1:2]).tolist(), [0.0087890625]
    yield "the seven subnormals", wrong_codes(monster_e4m3, E4M3, 128), [*range(1, 8)]


def said_flashinfer():
    ratio = monster_e4m3(E4M3, ALL[1:8]) / value_table(E4M3)[1:8]
    yield "off by up to", float(ratio.max()), 4.5


def said_triton_widening():
    e5m2 = triton_bfloat16(E5M2, np.array([0x7C, 0xFC], np.uint8))
    yield "0x7C and 0xFC in E5M2", e5m2.tolist(), [65536.0, -65536.0]
    yield "0x7F in E4M3", triton_bfloat16(E4M3, ALL[0x7F:0x80]).tolist(), [480.0]
    yield "the rest is right", wrong_codes(triton_bfloat16, E4M3), [0x7F, 0xFF]


def said_intel():
    bits = intel_e5m2(E5M2, ALL[:1]).view(np.uint32)
    yield "code 0", f"{bits[0]:#010x}", "0x38000000"
    yield "which are wrong", wrong_codes(intel_e5m2, E5M2, 128), [0, 1, 2, 3]


def said_amd():
    yield "which are wrong", wrong_codes(amd_e5m2, E5M2, 128), [1, 2, 3]


def said_rocm():
    normal = ALL[8:0x7F]
    ratio = rocm_e4m3(E4M3, normal) / value_table(E4M3)[normal]
    yield "every normal code is off by", set(ratio.tolist()), {2.0**-8}


def said_mlx_node():
    yield "0x40", mlx_node_e4m3(E4M3, ALL[0x40:0x41]).tolist(), [64.0]


def said_llm_scaler():
    yield "which are wrong", wrong_codes(llm_scaler_e4m3, E4M3), [0x80]


def _replay(fn, names, reported, formats=("e4m3",), **about):
    url = GITHUB + about.pop("path")
    op = "dequantize" if formats[0].startswith("mx") else "decode"
    return Replay(url=url, op=op, formats=formats, fn=fn, names=names, reported=reported, **about)


REPLAYS = (
    _replay(
        key="DT01",
        project="tilelang",
        path="tile-ai/tilelang/issues/2702",
        mistake="Every code is rebuilt as a normal number: zeros, subnormals and NaN are not.",
        fn=tilelang_e4m3,
        names=("D1", "D3"),
        reported=said_tilelang_e4m3,
    ),
    _replay(
        key="DT02",
        project="tilelang",
        path="tile-ai/tilelang/issues/2704",
        mistake="The exponent field zero is rebased like any other.",
        formats=("e2m1",),
        fn=tilelang_e2m1,
        names=("D1",),
        reported=said_tilelang_e2m1,
    ),
    _replay(
        key="DT03",
        project="1bit-MONSTER",
        path="1bit-MONSTER/1bit-MONSTER/issues/300",
        mistake="The exponent of subnormals is written down as -7, and they get an implicit one.",
        fn=monster_e4m3,
        names=("D1",),
        reported=said_monster,
        note="The survey says D2; 9/8 * 2^-7 for code 1, as reported, has the implicit one of D1.",
    ),
    _replay(
        key="DT05",
        project="FlashInfer",
        path="flashinfer-ai/flashinfer/pull/3932",
        mistake="Subnormals are decoded as (1 + mantissa / 8) * 2^-7.",
        fn=monster_e4m3,
        names=("D1",),
        reported=said_flashinfer,
        note="Reported for the scales of NVFP4, which are E4M3.",
    ),
    _replay(
        key="DT07",
        project="Triton",
        path="triton-lang/triton/pull/11784",
        mistake="Widening to bfloat16 rebases the exponent and knows neither infinity nor NaN.",
        formats=("e5m2",),
        fn=triton_bfloat16,
        names=("D4",),
        note="D3 of the survey is in it: the variant says that NaN goes the same way.",
        reported=said_triton_widening,
    ),
    _replay(
        key="DT08",
        project="Triton for Intel",
        path="intel/intel-xpu-backend-for-triton/pull/7772",
        mistake="The same rebase in E4M3: NaN becomes 480.",
        fn=triton_bfloat16,
        names=("D3",),
        reported=said_triton_widening,
    ),
    _replay(
        key="DT09",
        project="Triton for Intel",
        path="intel/intel-xpu-backend-for-triton/pull/417",
        mistake="An implicit one is added to every code, zero included.",
        formats=("e5m2",),
        fn=intel_e5m2,
        names=("D1",),
        reported=said_intel,
        note="The survey says D8 and adds that the reported bits, 0x38000000 for zero, are D1.",
    ),
    _replay(
        key="DT10",
        project="Triton for AMD",
        path="triton-lang/triton/pull/3634",
        mistake="Subnormals are flushed by the arithmetic that widens them.",
        formats=("e5m2",),
        fn=amd_e5m2,
        names=("D8",),
        reported=said_amd,
    ),
    _replay(
        key="DT11",
        project="Triton for ROCm",
        path="ROCm/triton/issues/330",
        mistake="Codes are shifted into float16, and the difference of the biases is forgotten.",
        fn=rocm_e4m3,
        names=("D5", "D3"),
        reported=said_rocm,
        note="D3 beside D5: a shift does not know NaN either.",
    ),
    _replay(
        key="DT13",
        project="mlx-node",
        path="mlx-node/mlx-node/pull/7",
        mistake="Bytes are cast to float.",
        fn=mlx_node_e4m3,
        names=("D6",),
        reported=said_mlx_node,
    ),
    _replay(
        key="SZ02",
        project="llm-scaler",
        path="intel/llm-scaler/pull/569",
        mistake="Only 0x00 is looked for as zero; 0x80 is taken for a normal number.",
        fn=llm_scaler_e4m3,
        names=("D7",),
        reported=said_llm_scaler,
        note="The report does not say which number 0x80 became.",
    ),
)
