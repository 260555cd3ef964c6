"""Designed inputs: small sets on which each planted mistake leaves a trace of its own.

Blocks are made in units of the scale that the OCP rule selects: an anchor fixes the scale, the
other lanes hold the probes. Each probe exists for a hypothesis of the taxonomy.
"""

from __future__ import annotations

import numpy as np
from implementations import E2M1, FLOAT_TYPES, K, value_table
from more_elements import INT8

EXPONENTS = (-90, -20, -1, 0, 3, 60)  # of the scales; both parities
SQRT2 = np.float32(np.sqrt(2.0))


def _ulps(values, n):
    """Each float32 moved by n units in its last place."""
    bits = np.asarray(values, np.float32).view(np.int32)
    return (bits + n).view(np.float32)


def element_probes(t):
    """Numbers in [0, 2^(emax+1)) at which roundings, subnormals and overflow can go wrong."""
    grid = np.arange(128) / 64 if t is INT8 else value_table(t)[: t.max_code + 1]
    grid = grid.astype(np.float64)
    grid = np.append(grid, [2 * grid[-1] - grid[-2]])  # one step beyond the largest
    middle = (grid[1:] + grid[:-1]) / 2
    probes = [
        grid[:-1],
        middle,
        _ulps(middle, 1),
        _ulps(middle, -1),
        _ulps(grid[1:8], 1),  # ties of a grid twice as coarse
        _ulps(grid[1:8], -1),
        _ulps(middle, 2),
        _ulps(middle, 5),
        middle * (1 + 2.0**-9),  # a bfloat16 rounds it onto the midpoint
        middle * (1 - 2.0**-9),
        middle * (1 + 2.0**-12),  # float16 does
        middle * (1 - 2.0**-12),
        middle[:2] * 1.25,
        grid[1] * np.array([0.75, 0.51, 1e-3, 1e-20]),
        t.max * (1 + np.array([2.0**-20, 2.0**-6, 2.0**-5])),
        grid[1] * np.exp2(-np.arange(80.0)),  # all shift counts beyond a register of 64 bits
        [_ulps(2.0 ** (t.emax + 1), -1)],
    ]
    values = np.concatenate([np.asarray(p, np.float32) for p in probes])
    return np.unique(values[values < 2.0 ** (t.emax + 1)])


def element_blocks(t):
    """All probes with both signs, at scales of both parities, an anchor in a lane that moves."""
    probes = element_probes(t)
    probes = np.concatenate([probes, -probes])
    probes = np.concatenate([probes, np.zeros(-len(probes) % (K - 1), np.float32)])
    rows = probes.reshape(-1, K - 1)
    blocks = []
    for i, row in enumerate(rows):
        anchor = np.float32(2.0**t.emax) * (-1 if i % 3 == 0 else 1)
        exponent = EXPONENTS[i % len(EXPONENTS)]
        blocks.append(np.ldexp(np.insert(row, i % K, anchor), exponent))
    # The same once more at scale 1, so that nothing depends on which block met which exponent.
    blocks += [np.insert(row, 0, np.float32(2.0**t.emax)) for row in rows]
    return np.array(blocks, np.float32)


def significands():
    """Significands of amax at and beside the steps of every scale rule, and one bit at a time."""
    steps = [1.0, 1.125, 1.25, 1.3125, 1.40625, 1.5, 1.625, 1.75, 1.8125, 1.875, 1.9375]
    steps += [2 - 2.0**-7, 2 - 2.0**-8, 2 - 2.0**-9, 2 - 2.0**-10, 2 - 2.0**-12, 1.06, 1.0607, 1.15]
    steps += [1.2374, 1.2375, 1.3258, 1.36, SQRT2, 1.6]
    near = [np.clip(_ulps(steps, n), 1, _ulps(2.0, -1)) for n in (-1, 0, 1)]
    single = [np.float32(1 + 2.0**-n) for n in range(1, 24)]
    return np.unique(np.concatenate([*near, single, [_ulps(2.0, -1)]]).astype(np.float32))


def scale_blocks():
    """Blocks whose amax sweeps a binade, at several exponents and at both ends of float32."""
    rng = np.random.default_rng(7)
    amax = [np.ldexp(m, e) for m in significands() for e in (-40, -3, 0, 10, 33)]
    amax += [np.ldexp(m, e) for m in (1.0, 1.3, 1.6, 1.99) for e in (-118, -112, -111, 126, 127)]
    amax += [2.0**e for e in (-149, -148, -140, -127, -126, -125, -123, -122, -120, -119, -115)]
    amax += [3 * 2.0**-149, 1.7 * 2.0**-126, 1.2 * 2.0**-121, 1e-38, 1e-37, 1e-13, 1e-5, 3.4028e38]
    top = np.array(amax, np.float32)
    blocks = (top[:, None] * rng.uniform(-1, 1, (len(top), K))).astype(np.float32)
    lanes = rng.integers(0, K, len(top))
    blocks[np.arange(len(top)), lanes] = top * rng.choice([-1, 1], len(top))
    return blocks


def special_blocks():
    """Zeros of both signs, NaN and infinity in several lanes."""
    rng = np.random.default_rng(11)
    blocks = rng.standard_normal((16, K)).astype(np.float32)
    blocks[0], blocks[1] = 0.0, -0.0
    blocks[2] = np.where(np.arange(K) % 2, 0.0, -0.0)
    blocks[3, ::3] = -0.0
    for row, lane in ((4, 0), (5, 1), (6, 17), (7, K - 1)):
        blocks[row, lane] = np.nan
    blocks[8, 3], blocks[9, 0], blocks[10, 9] = np.inf, -np.inf, np.inf
    blocks[10, 20] = np.nan
    blocks[11] = np.nan
    return blocks


def random_blocks():
    rng = np.random.default_rng(3)
    return (rng.standard_normal((96, K)) * np.exp2(rng.integers(-30, 30, (96, 1)))).astype(
        np.float32
    )


def quantizer_input(t=E2M1):
    """The designed set of blocks for an element type."""
    parts = [element_blocks(t), scale_blocks(), special_blocks(), random_blocks()]
    return np.concatenate(parts)


def encoder_input(t):
    """The designed set of numbers for a cast to an element type."""
    probes = element_probes(t)
    wide = [512, 513, 600, 672, 1000, 57344, 61439, 61440, 65504, 65536, 448512, 1e6, 1e30, 3.4e38]
    tiny = [1e-45, 1e-40, 1e-38, 1e-10, 3.3e-24]
    finite = np.concatenate([probes, np.array(wide + tiny, np.float32)]).astype(np.float32)
    nans = np.array([0x7FC00000, 0xFFC00000, 0x7FA00000, 0x7F800001, 0xFFFFFFFF], np.uint32)
    infinities = np.array([np.inf, -np.inf], np.float32)
    return np.concatenate([finite, -finite, infinities, nans.view(np.float32)])


def dequantizer_input(t):
    """Every code under scales in the middle, at every edge that somebody has, and NaN."""
    codes = np.arange(256 if t is INT8 else 2 * t.sign, dtype=np.uint8)
    codes = np.resize(codes, max(len(codes), K)).reshape(-1, K)
    edges = [0, 1, 2, 60, *range(102, 114), 126, 127, 128, 134, 142, 143, 144, 200, 253, 254, 255]
    scales = np.array(edges, np.uint8)
    many = np.repeat(scales, len(codes))[:, None]
    return np.tile(codes, (len(scales), 1)), many


__all__ = [
    "FLOAT_TYPES",
    "dequantizer_input",
    "element_probes",
    "encoder_input",
    "quantizer_input",
]
