"""Inputs, policies and the exact answer for tests of NVFP4."""

from dataclasses import fields

import numpy as np
from hypothesis import strategies as st

from mxref.exact import ieee
from mxref.exact import nvfp4 as exact
from mxref.nvfp4 import NVFP4Policy


def number(x):
    """A float32 as an exact number."""
    return ieee.from_bits(int(np.float32(x).view(np.uint32)), "float32")


def floats(numbers):
    """Exact float32 numbers as an array."""
    return np.array([ieee.to_bits(n, "float32") for n in numbers], np.uint32).view(np.float32)


def policies(**fixed):
    """Any combination of choices, with those in `fixed` set."""
    free = {}
    for f in fields(NVFP4Policy):
        members = list(type(f.default))
        if f.name in fixed:
            members = [fixed[f.name]]
        free[f.name] = st.sampled_from(members)
    return st.builds(NVFP4Policy, **free)


def exact_quantize(x, policy, random=None, amax=None):
    """Codes, scale codes and multiplier of blocks in rows (n, 16), by the definition."""
    rows = [[number(v) for v in row] for row in x]
    whole = exact.block_amax([n for row in rows for n in row], policy) if amax is None else amax
    scales = exact.global_scales(whole, policy)
    drawn = [None] * len(rows) if random is None else [[int(r) for r in row] for row in random]
    blocks = [
        exact.quantize_block(row, scales, policy, r) for row, r in zip(rows, drawn, strict=True)
    ]
    codes = np.array([b.codes for b in blocks], np.uint8)
    return codes, np.array([b.scale for b in blocks], np.uint8), floats([scales.decode])[0]


SPECIALS = np.array(
    [
        0,
        0x80000000,
        1,
        0x80000001,
        0x007FFFFF,
        0x00800000,
        0x7F7FFFFF,
        0xFF7FFFFF,
        0x7F800000,
        0xFF800000,
        0x7FC00000,
        0xFFC00000,
        0x3F800000,
        0x3E800000,
        0x40C00000,
        0x40A00000,
        0x45280000,
        0x3F400000,
    ],
    np.uint32,
).view(np.float32)
"""Zeros, subnormals, largest, infinities, NaN, 1, 0.25, 6, 5, 2688, 0.75."""


def tensors(rng, n_blocks, kind):
    """Float32 rows of 16 of one character."""
    shape = (n_blocks, 16)
    if kind == "bits":
        return rng.integers(0, 1 << 32, shape, np.uint32).view(np.float32)
    if kind == "specials":
        return rng.choice(SPECIALS, shape)
    if kind == "ties":
        halves = rng.choice([0, 0.25, 0.5, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 6], shape)
        signs = rng.choice([-1, 1], shape)
        scales = np.exp2(rng.integers(-12, 12, (n_blocks, 1)))
        return (halves * signs * scales).astype(np.float32)
    if kind == "tiny":
        return (
            rng.standard_normal(shape) * np.exp2(rng.integers(-149, -120, (n_blocks, 1)))
        ).astype(np.float32)
    if kind == "range":
        return (rng.standard_normal(shape) * np.exp2(rng.integers(-40, 40, (n_blocks, 1)))).astype(
            np.float32
        )
    return rng.standard_normal(shape).astype(np.float32)


KINDS = ("normal", "bits", "specials", "ties", "tiny", "range")
