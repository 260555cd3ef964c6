"""Replays of defects in overflow, and in what becomes of zeros and NaN."""

from __future__ import annotations

import numpy as np
from replayed import (
    E4M3,
    E5M2,
    GITHUB,
    Replay,
    bits_of,
    block_amax,
    f32,
    floor_log2,
    from_bits,
    hexes,
    magnitudes,
    nearest,
    ocp_scale,
    one_block,
    under,
    value_table,
    with_nan,
    with_sign,
)

# --- overflow -------------------------------------------------------------------------------------


def sglang_pack(t, x):
    """mantissa += next bit; and an exponent field of 15 counts as overflow."""
    bits = bits_of(x)
    field, man = (bits >> 23) & 0xFF, bits & 0x7FFFFF
    exp8 = field - 127 + 7
    mantissa = (man >> 20) + ((man >> 19) & 1)
    code = (exp8 << 3) + mantissa  # a carry walks into the exponent
    shift = np.clip(21 - exp8, 0, 40)
    small = ((man | np.where(field > 0, 0x800000, 0)) + (1 << (shift - 1))) >> shift
    code = np.where(exp8 <= 0, small, np.where(exp8 >= 15, 0x7E, code))
    return with_nan(t, with_sign(t, code, x), x)


def metax_cast(t, x):
    """Round right; then an exponent of 15 is saturated, though it holds 256 to 448."""
    code = nearest(t, x) & 0x7F
    return with_nan(t, with_sign(t, np.where(code >> 3 >= 15, 0x7E, code), x), x)


def saturn_narrow(t, x):
    """Round to E5M3 first; from 512 up a significand that is not zero counts as NaN."""
    a = np.abs(np.where(np.isnan(x), 0, x)).astype(np.float64)
    e = floor_log2(np.where(np.isfinite(a), a, 1.0))
    units = np.rint(np.ldexp(np.where(np.isfinite(a), a, 1.0), 3 - e)).astype(int)
    e, units = np.where(units == 16, e + 1, e), np.where(units == 16, 8, units)
    is_nan = np.isfinite(a) & (e >= 9) & (e <= 15) & (units != 8)
    code = np.where(is_nan, 0x7F, nearest(t, x) & 0x7F)
    return with_nan(t, with_sign(t, code, x), x)


def saturn_truncated(t, x):
    """Cut to four bits first; what is then beyond the largest number is NaN in every mode."""
    cut = np.abs(from_bits(bits_of(np.where(np.isnan(x), 0, x)) & ~0xFFFFF))
    code = np.searchsorted(magnitudes(t), cut, side="right") - 1
    return np.where(cut > t.max, 0x7F, with_nan(t, with_sign(t, code, x), x)).astype(np.uint8)


def float8_crate(t, x):
    """Clamp to the constant MAX, which is one step low: 416 and 49152."""
    largest = magnitudes(t)[-2]
    return with_nan(t, nearest(t, np.clip(np.where(np.isnan(x), 0, x), -largest, largest)), x)


# --- zeros and NaN --------------------------------------------------------------------------------


def zero_by_zero(t, x):
    """No floor under amax: a tensor of zeros is divided by a scale of zero."""
    scales = ocp_scale(t, block_amax(x))
    codes = nearest(t, under(x, scales))
    return np.where(block_amax(x) == 0, 0x7F, codes).astype(np.uint8), scales


def std_max(t, x):
    """std::max(acc, x) keeps acc when x is NaN; the NaN is met again as an element."""
    amax = np.max(np.where(np.isnan(x), 0, np.abs(x)), axis=-1, keepdims=True)
    scales = ocp_scale(t, amax)
    v = under(x, scales)
    return with_nan(t, nearest(t, v), v), scales


# --- reports --------------------------------------------------------------------------------------


def said_sglang():
    got = sglang_pack(E4M3, f32(256, 300, 448, 255, -256))
    yield "256 to 448", hexes(got), ["0x7e", "0x7e", "0x7e", "0x78", "0xfe"]
    yield (
        "a tie goes away from zero",
        hexes(sglang_pack(E4M3, f32(1.0625, -1.0625))),
        [
            "0x39",
            "0xb9",
        ],
    )
    low = np.arange(0x3F80, 0x4000)  # every bfloat16 in [1, 2)
    v = from_bits(low << 16)
    ties = np.isin(np.asarray(v), (magnitudes(E4M3)[1:] + magnitudes(E4M3)[:-1]) / 2)
    yield "one bfloat16 in sixteen is a tie", ties.mean(), 1 / 16


def said_metax():
    yield "half(256.0)", hexes(metax_cast(E4M3, f32(256.0, 240.0))), ["0x7e", "0x77"]


def said_saturn():
    got = saturn_narrow(E4M3, f32(672.0, 448512.0, 57344.0, 448.0))
    yield "672, 448512, 57344, 448", hexes(got), ["0x7f", "0x7e", "0x7f", "0x7e"]


def said_saturn_truncated():
    got = saturn_truncated(E4M3, f32(1000.0, 480.0, 479.0, 447.0))
    yield "over 448, toward zero", hexes(got), ["0x7f", "0x7f", "0x7e", "0x7d"]


def said_float8_crate():
    for t, largest, said in ((E4M3, 448.0, 416.0), (E5M2, 57344.0, 49152.0)):
        got = value_table(t)[float8_crate(t, f32(largest))]
        yield f"the largest number of {t.name}", got.tolist(), [said]


def said_torchao_zeros():
    codes, _ = zero_by_zero(E4M3, one_block())
    yield "zeros", set(hexes(codes)), {"0x7f"}


def said_hipdnn():
    codes, scales = std_max(E4M3, one_block(1.0, np.nan))
    yield "{1.0, NaN}: the scale is finite", hexes(scales), ["0x77"]
    yield "{1.0, NaN}: the NaN is met later", hexes(codes[0, :2]), ["0x78", "0x7f"]


REPLAYS = (
    Replay(
        key="OV01",
        project="sglang",
        url=GITHUB + "sgl-project/sglang/pull/37140",
        mistake="The top exponent counts as overflow, and ties go away from zero.",
        op="encode",
        formats=("e4m3",),
        fn=sglang_pack,
        names=("E12", "E1"),
        reported=said_sglang,
        note="E1 is EL15 of the survey: the same function.",
    ),
    Replay(
        key="OV02",
        project="tilelang-metax",
        url=GITHUB + "tile-ai/tilelang-metax/pull/140",
        mistake="After rounding an exponent field of 15 is saturated.",
        op="encode",
        formats=("e4m3",),
        fn=metax_cast,
        names=("E12",),
        reported=said_metax,
    ),
    Replay(
        key="OV03",
        project="Saturn",
        url=GITHUB + "ucb-bar/saturn-vectors/pull/101",
        mistake="From 512 up a fraction that is not zero is taken for the mark of a NaN.",
        op="encode",
        formats=("e4m3",),
        fn=saturn_narrow,
        names=("E14",),
        reported=said_saturn,
    ),
    Replay(
        key="OV04",
        project="Saturn",
        url=GITHUB + "ucb-bar/saturn-vectors/pull/101",
        mistake="The overflow code is given whatever the rounding mode is.",
        op="encode",
        formats=("e4m3",),
        fn=saturn_truncated,
        policy="ocp:rounding=toward-zero,fp8_overflow=overflow",
        names=("E13",),
        reported=said_saturn_truncated,
    ),
    Replay(
        key="OV10",
        project="float8 (cubecl)",
        url=GITHUB + "tracel-ai/cubecl/pull/1472",
        mistake="The constants for the largest numbers are 416 and 49152.",
        op="encode",
        formats=("e4m3", "e5m2"),
        fn=float8_crate,
        names=("E15",),
        reported=said_float8_crate,
    ),
    Replay(
        key="SP03",
        project="torchao",
        url=GITHUB + "pytorch/ao/pull/4714",
        mistake="Zeros are divided by a scale of zero.",
        op="quantize",
        formats=("mxfp8_e4m3",),
        fn=zero_by_zero,
        names=("S12",),
        reported=said_torchao_zeros,
        note="Reported for a scale of the whole tensor; here of a block.",
    ),
    Replay(
        key="SP05",
        project="hipDNN",
        url=GITHUB + "ROCm/rocm-libraries/pull/12362",
        mistake="std::max drops a NaN, so that the scale of its block is finite.",
        op="quantize",
        formats=("mxfp8_e4m3",),
        fn=std_max,
        names=("S13",),
        reported=said_hipdnn,
        legal=True,
        note="Legal where the element type has NaN: the policy scale_nan=ignore.",
    ),
)
