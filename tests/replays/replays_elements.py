"""Replays of defects in the rounding of elements and in their subnormals."""

from __future__ import annotations

import numpy as np
from replayed import (
    E2M1,
    E2M3,
    E3M2,
    E4M3,
    E5M2,
    GITHUB,
    TYPES,
    Replay,
    bits_of,
    block_amax,
    encoding,
    f32,
    from_bits,
    hexes,
    magnitudes,
    nearest,
    ocp_scale,
    under,
    value_table,
    with_nan,
    with_sign,
)

# --- rounding -------------------------------------------------------------------------------------


def aiter_triton(t, x):
    """Shift the significand until one bit too many is left, add one to it, drop it."""
    bits = bits_of(x)
    field, man = (bits >> 23) & 0xFF, bits & 0x7FFFFF
    below = np.clip(127 - (field + 1), 0, 31)  # how far below 1 a subnormal lies
    man = np.where(field < 127, (0x400000 | (man >> 1)) >> below, man)
    field = np.maximum(field, 126) - 126
    code = np.minimum((((field << 2) | (man >> 21)) + 1) >> 1, 7)
    code = np.where(np.isinf(x), t.top, code)
    return with_nan(t, code + ((bits >> 31) << 3), x)


def aiter_triton_blocks(t, x):
    scales = ocp_scale(t, block_amax(x))
    return aiter_triton(t, under(x, scales).astype(np.float32)), scales


def aiter_hip(t, v):
    """A chain of `>=`, one for each boundary between two values."""
    grid, code = magnitudes(t), np.zeros(v.shape, int)
    for i, boundary in enumerate((grid[1:] + grid[:-1]) / 2, start=1):
        code[np.abs(v) >= boundary] = i
    return with_sign(t, code, v)


def tt_metal(t, v):
    """Three defects in one function: see `said_tt_metal`.

    A subnormal is shifted into place and then rounded as if its register were 24 bits wide, which
    loses one bit of the result; what the shift drops is gone before the ties are looked at; and at
    the end the largest mantissa serves as the mask of every mantissa.
    """
    bits = bits_of(v)
    field, man = (bits >> 23) & 0xFF, bits & 0x7FFFFF
    e = field - 127
    normal, carry = _ties_even(man, t.mbits, 23)
    exponent = e + carry
    is_low = exponent < t.emin
    shift = np.clip(t.emin - e, 0, 31)
    low, _ = _ties_even((man | 0x800000) >> shift, t.mbits, 24)
    largest = t.top & ((1 << t.mbits) - 1)
    is_over = (exponent > t.emax) | ((exponent == t.emax) & (normal > largest))
    mantissa = np.where(is_low, low, np.where(is_over, largest, normal))
    exponent = np.where(is_low, 0, np.minimum(exponent, t.emax) + t.bias)
    code = (exponent << t.mbits) | (mantissa & largest)
    return with_sign(t, np.where(field == 0, 0, code), v)


def _ties_even(value, keep, width):
    """The upper `keep` bits of a number of `width` bits, rounded, and the carry out of them."""
    drop = width - keep
    kept, rest, half = value >> drop, value & ((1 << drop) - 1), 1 << (drop - 1)
    kept = kept + ((rest > half) | ((rest == half) & (kept & 1 == 1)))
    return kept & ((1 << keep) - 1), kept >> keep


def microfloats(t, x):
    """Number, then BFloat16, then E4M3: rounded to nearest even twice."""
    bits = bits_of(x)
    narrow = from_bits((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16)
    return with_nan(t, nearest(t, np.where(np.isnan(x), 0, narrow)), x)


def xla_cpu(t, x):
    """float32, then float16, then E4M3."""
    with np.errstate(all="ignore"):
        half = x.astype(np.float16).astype(np.float32)
    return with_nan(t, nearest(t, half), x)


# --- subnormals -----------------------------------------------------------------------------------


def pto_cutoff(t, v):
    """What is smaller than the smallest subnormal is zero."""
    smallest = magnitudes(t)[1]
    return with_sign(t, np.where(np.abs(v) < smallest, 0, nearest(t, v) & (t.sign - 1)), v)


def pto_quantum(t, v):
    """Below the smallest normal number the step is taken to be that number itself."""
    step = 2.0**t.emin
    units = np.rint(np.abs(v) / step).astype(int)  # 0 or 1
    low = units << t.mbits
    return with_sign(t, np.where(np.abs(v) < step, low, nearest(t, v) & (t.sign - 1)), v)


# --- reports --------------------------------------------------------------------------------------


def said_aiter_triton():
    yield "-1.25", hexes(aiter_triton(E2M1, f32(-1.25))), ["0xb"]
    near = from_bits([0x3F000000, 0x3F000003]) / np.float32(2)
    yield "0x3F000000 and 0x3F000003 under 2", hexes(aiter_triton(E2M1, near)), ["0x1", "0x1"]


def said_aiter_hip():
    ties = f32(0.25, 1.25, 2.5, 5.0, 0.75, 1.75, 3.5)
    got = value_table(E2M1)[aiter_hip(E2M1, ties)]
    yield "the seven midpoints", got.tolist(), [0.5, 1.5, 3.0, 6.0, 1.0, 2.0, 4.0]


def said_tt_metal():
    failures = {}
    for t in (E2M1, E3M2, E2M3, E5M2, E4M3):
        values = value_table(t)
        finite = np.isfinite(values)
        codes = np.arange(2 * t.sign)
        failures[t.name] = int((tt_metal(t, np.where(finite, values, 0)) != codes)[finite].sum())
    said = {"e2m1": 2, "e3m2": 6, "e2m3": 14, "e5m2": 6, "e4m3": 132}
    yield "codes that fail to make the round trip", failures, said
    yield "0.25000006 in E2M1", hexes(tt_metal(E2M1, f32(0.25000006))), ["0x0"]


def said_microfloats():
    got = value_table(E4M3)[microfloats(E4M3, f32(1.31640625))]
    yield "1.31640625", got.tolist(), [1.25]


def said_xla():
    x = f32(-0.060546870)
    one, two = value_table(E4M3)[nearest(E4M3, x)], value_table(E4M3)[xla_cpu(E4M3, x)]
    yield "interpreter and CPU", (round(float(one[0]), 4), float(two[0])), (-0.0586, -0.0625)


def said_pto_cutoff():
    yield "0.0015", hexes(pto_cutoff(E4M3, f32(0.0015, 0.00196))), ["0x0", "0x1"]


def said_pto_quantum():
    got = pto_quantum(E4M3, f32(2**-9, 2**-8, 2**-7, 2**-6))
    yield "2^-9, 2^-8, 2^-7 and 2^-6", hexes(got), ["0x0", "0x0", "0x0", "0x8"]


FP = tuple(TYPES[name].block for name in ("e2m1", "e3m2", "e2m3", "e5m2"))
REPLAYS = (
    Replay(
        key="EL01",
        project="aiter",
        url=GITHUB + "ROCm/aiter/issues/974",
        mistake="One is added to the bit behind the mantissa, whatever the mantissa is.",
        op="encode",
        formats=("e2m1",),
        fn=aiter_triton,
        names=("E1",),
        reported=said_aiter_triton,
        legal=True,
    ),
    Replay(
        key="EL02",
        project="aiter",
        url=GITHUB + "ROCm/aiter/issues/2247",
        mistake="The rounding of issue 974 lives on in a second kernel, here on whole blocks.",
        op="quantize",
        formats=("mxfp4",),
        fn=aiter_triton_blocks,
        names=("E1",),
        reported=said_aiter_triton,
        legal=True,
    ),
    Replay(
        key="EL03",
        project="aiter",
        url=GITHUB + "ROCm/aiter/pull/3992",
        mistake="Every boundary between two values is compared with >=.",
        op="quantize",
        formats=("mxfp4",),
        fn=encoding(aiter_hip),
        names=("E1",),
        reported=said_aiter_hip,
        legal=True,
    ),
    Replay(
        key="EL10",
        project="tt-metal",
        url=GITHUB + "tenstorrent/tt-metal/issues/51971",
        mistake="Mantissas are masked with the largest one, subnormals lose a bit and the sticky.",
        op="quantize",
        formats=("mxfp8_e4m3",),
        fn=encoding(tt_metal),
        names=("E4", "E9"),
        reported=said_tt_metal,
        note="E10 of the survey cannot show in E4M3: E4 masks the bit that it would change.",
    ),
    Replay(
        key="SB01",
        project="tt-metal",
        url=GITHUB + "tenstorrent/tt-metal/issues/51971",
        mistake="Subnormals are rounded at the wrong place, after bits were shifted out unseen.",
        op="quantize",
        formats=FP,
        fn=encoding(tt_metal),
        names=("E9", "E10"),
        reported=said_tt_metal,
        note="SB02 of the survey is the second half.",
    ),
    Replay(
        key="DR02",
        project="Microfloats.jl",
        url=GITHUB + "MurrellGroup/Microfloats.jl/pull/25",
        mistake="Numbers go through BFloat16 on their way to E4M3.",
        op="encode",
        formats=("e4m3", "e2m3", "e5m2"),
        fn=microfloats,
        names=("E21",),
        reported=said_microfloats,
    ),
    Replay(
        key="DR03",
        project="XLA",
        url=GITHUB + "openxla/xla/issues/17324",
        mistake="Numbers go through float16 on their way to E4M3.",
        op="encode",
        formats=("e4m3",),
        fn=xla_cpu,
        names=("E22",),
        reported=said_xla,
    ),
    Replay(
        key="SB03",
        project="PTO SuperNPUBench",
        url=GITHUB + "PTO-ISA/SuperNPUBench/pull/49",
        mistake="The cut-off below which all is zero is the smallest subnormal, not half of it.",
        op="quantize",
        formats=("mxfp8_e4m3",),
        fn=encoding(pto_cutoff),
        names=("E8",),
        reported=said_pto_cutoff,
    ),
    Replay(
        key="SB03-2",
        project="PTO SuperNPUBench",
        url=GITHUB + "PTO-ISA/SuperNPUBench/pull/102",
        mistake="Subnormals are rounded to multiples of the smallest normal number.",
        op="quantize",
        formats=("mxfp8_e4m3",),
        fn=encoding(pto_quantum),
        names=("E9",),
        reported=said_pto_quantum,
    ),
)
