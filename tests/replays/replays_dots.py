"""Replays of defects in products: scales left out, padding that takes part, few bits, nothing."""

from __future__ import annotations

import numpy as np
from replayed import E2M1, E4M3, GITHUB, Replay, scale_value, value_table

ROW = 1504  # 47 blocks

# Products are taken in double precision, where those of MX elements are exact, and added in float32
# block by block, as a careful kernel does. All operands: codes (n, K) and scale codes (n, K / 32).


# --- products -------------------------------------------------------------------------------------


def blocks_of(t, codes):
    values = value_table(t)[codes].astype(np.float64)
    return values.reshape(len(codes), -1, 32)


def added(partial):
    """Add the blocks of each row in float32, in order."""
    total = np.zeros(len(partial), np.float32)
    with np.errstate(all="ignore"):
        for block in partial.astype(np.float32).T:
            total = total + block
    return total


def scaled_dot(t, codes_a, scales_a, codes_b, scales_b):
    """The sound one: a sum for each block, times both scales."""
    with np.errstate(all="ignore"):
        sums = (blocks_of(t, codes_a) * blocks_of(t, codes_b)).sum(-1)
        return added(sums * scale_value(scales_a) * scale_value(scales_b))


def xla(t, codes_a, _scales_a, codes_b, _scales_b):
    """The scales are taken for placeholders, since nothing needs to be dequantized."""
    with np.errstate(all="ignore"):
        return added((blocks_of(t, codes_a) * blocks_of(t, codes_b)).sum(-1))


def abliterix(t, codes_a, scales_a, codes_b, _scales_b):
    """The scales of the weights are not found under their name: a bare cast."""
    with np.errstate(all="ignore"):
        sums = (blocks_of(t, codes_a) * blocks_of(t, codes_b)).sum(-1)
        return added(sums * scale_value(scales_a))


def flashinfer_b12x(_t, codes_a, *_others):
    """A multiplier is inverted on its way: everything becomes zero."""
    return np.zeros(len(codes_a), np.float32)


def triton_hopper(t, codes_a, scales_a, codes_b, scales_b):
    """The tail of the values is masked, that of the scales is not: 0 times NaN."""
    masked = codes_a.copy()
    masked[:, ROW:] = 0
    return scaled_dot(t, masked, scales_a, codes_b, scales_b)


def hopper(t, codes_a, scales_a, codes_b, scales_b):
    """32 products and the running sum at a time, 13 bits below the largest exponent, cut off.

    Exponents are those of the codes: the sum of both fields, whatever the significands carry.
    """
    field = [np.maximum(c.astype(int) >> t.mbits & 15, 1) - t.bias for c in (codes_a, codes_b)]
    shift = np.repeat(scales_a.astype(int) + scales_b - 254, 32, axis=1)
    exponent = field[0] + field[1] + shift
    values = value_table(t).astype(np.float64)
    terms = np.ldexp(values[codes_a] * values[codes_b], shift)
    exponent = np.where(terms == 0, -126, exponent)
    total = np.zeros(len(codes_a))
    for start in range(0, terms.shape[1], 32):
        part = np.column_stack([terms[:, start : start + 32], total])
        top = np.where(total == 0, -126, np.frexp(total)[1] - 1)
        top = np.maximum(top, exponent[:, start : start + 32].max(1))[:, None]
        kept = np.trunc(np.ldexp(part, 13 - top)).sum(1)
        total = np.ldexp(kept, top[:, 0] - 13)
        lead = np.where(total == 0, 0, np.frexp(total)[1] - 1)
        total = np.ldexp(np.trunc(np.ldexp(total, 13 - lead)), lead - 13)
    return total.astype(np.float32)


# --- operands -------------------------------------------------------------------------------------


def some_dots(t, n=64, blocks=4, seed=5):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, t.top + 1, (2, n, 32 * blocks)).astype(np.uint8)
    codes |= (rng.integers(0, 2, codes.shape) * t.sign).astype(np.uint8)
    scales = rng.integers(117, 138, (2, n, blocks)).astype(np.uint8)
    return codes[0], scales[0], codes[1], scales[1]


def padded_dots(t):
    """47 blocks; the 48th is padding that somebody wrote on."""
    codes_a, scales_a, codes_b, scales_b = some_dots(t, 8, 48)
    scales_a[::2, 47] = 0xFF
    return codes_a, scales_a, codes_b, scales_b


# --- reports --------------------------------------------------------------------------------------


def said_xla():
    codes_a, scales, codes_b, _ = some_dots(E4M3)
    twos = np.full_like(scales, 128)
    right = scaled_dot(E4M3, codes_a, twos, codes_b, twos)
    got = xla(E4M3, codes_a, twos, codes_b, twos)
    yield "the unscaled product", bool((4 * got == right).all()), True


def said_abliterix():
    codes_a, scales_a, codes_b, scales_b = some_dots(E4M3)
    scales_b[:] = 115  # 2^-12: about 1 / 3361
    right = scaled_dot(E4M3, codes_a, scales_a, codes_b, scales_b)
    got = abliterix(E4M3, codes_a, scales_a, codes_b, scales_b)
    yield "some thousand times too large", bool((got == right * np.float32(4096)).all()), True


def said_triton_hopper():
    got = triton_hopper(E2M1, *padded_dots(E2M1))
    yield "depends on the padding", np.isnan(got).tolist(), [True, False] * 4


def said_hopper():
    codes = np.zeros((2, 1, 32), np.uint8)
    codes[0, 0, :2] = 0x7E, 0x4F  # 448 and 7.5
    codes[1, 0, :2] = 0x38  # 1
    one = np.full((1, 1), 127, np.uint8)
    yield "448 * 1 + 7.5 * 1", float(hopper(E4M3, codes[0], one, codes[1], one)[0]), 455.5
    codes[0, 0, 1] = 0x09  # 9/8 * 2^-6: the last two bits lie 15 and 17 below 448
    yield (
        "of 448 + 9/8 * 2^-6, 14 bits",
        float(hopper(E4M3, codes[0], one, codes[1], one)[0]),
        448.0,
    )


def said_flashinfer():
    yield "nothing comes out", not flashinfer_b12x(E2M1, *some_dots(E2M1)).any(), True


REPLAYS = (
    Replay(
        key="GM01",
        project="XLA",
        url=GITHUB + "openxla/xla/pull/48543",
        mistake="The scales of operands that need no decoding are dropped.",
        op="dot",
        formats=("mxfp8_e4m3",),
        fn=xla,
        names=("G1",),
        reported=said_xla,
        given=some_dots,
    ),
    Replay(
        key="GM05",
        project="abliterix",
        url=GITHUB + "wuwangzhang1216/abliterix/pull/94",
        mistake="The scales of the weights are not found, and the weights cast without them.",
        op="dot",
        formats=("mxfp8_e4m3",),
        fn=abliterix,
        names=("G1",),
        reported=said_abliterix,
        given=some_dots,
    ),
    Replay(
        key="GM07",
        project="FlashInfer",
        url=GITHUB + "flashinfer-ai/flashinfer/pull/3932",
        mistake="A multiplier is inverted, so that everything becomes zero.",
        op="dot",
        formats=("mxfp4",),
        fn=flashinfer_b12x,
        names=("G8",),
        reported=said_flashinfer,
        given=some_dots,
        note="Reported for NVFP4.",
    ),
    Replay(
        key="TL04",
        project="Triton",
        url=GITHUB + "triton-lang/triton/pull/10190",
        mistake="The tail of the values is masked, and that of the scales is not.",
        op="dot",
        formats=("mxfp4",),
        fn=triton_hopper,
        driven=False,
        given=padded_dots,
        options={"k": ROW},
        names=("G4",),
        reported=said_triton_hopper,
    ),
    Replay(
        key="GM09",
        project="Hopper tensor cores",
        url=GITHUB + "deepseek-ai/DeepGEMM/issues/37",
        mistake="Products are aligned to the largest, and 14 bits of each are kept.",
        op="dot",
        formats=("mxfp8_e4m3",),
        fn=hopper,
        given=some_dots,
        options={"accumulate": "exact"},
        driven=False,
        names=("G5",),
        reported=said_hopper,
        note="Hardware, and legal where no exact sum is promised: see test_legal.py.",
    ),
)
