"""Matrix products with one mistake each, over numpy: they know nothing of mxref."""

from dataclasses import dataclass, replace

import ml_dtypes
import numpy as np

BLOCK = 32
TYPES = {
    "mxfp4": ml_dtypes.float4_e2m1fn,
    "mxfp6_e2m3": ml_dtypes.float6_e2m3fn,
    "mxfp6_e3m2": ml_dtypes.float6_e3m2fn,
    "mxfp8_e4m3": ml_dtypes.float8_e4m3fn,
    "mxfp8_e5m2": ml_dtypes.float8_e5m2,
}


def decoded(codes, fmt):
    if fmt == "mxint8":
        return codes.view(np.int8) / 64.0
    return codes.view(TYPES[fmt]).astype(np.float64)


def scaled(codes):
    return np.where(codes == 255, np.nan, np.ldexp(1.0, codes.astype(int) - 127))


@dataclass
class Given:
    """Codes (M, K) and (K, N) with scale codes (M, blocks) and (blocks, N); an addend or None."""

    a: np.ndarray
    sa: np.ndarray
    b: np.ndarray
    sb: np.ndarray
    formats: tuple
    c: np.ndarray | None = None

    @property
    def k(self):
        return self.a.shape[1]

    def left(self):
        return decoded(self.a, self.formats[0]) * self.spread(scaled(self.sa))

    def right(self):
        return decoded(self.b, self.formats[1]) * self.spread(scaled(self.sb).T).T

    def spread(self, scales):
        return np.repeat(scales, BLOCK, axis=1)[:, : self.k]

    def but(self, **changes):
        return replace(self, **changes)


def summed(x, y, c=None):
    """A right product: float64, which is closer than any float32 sum, rounded at the end."""
    with np.errstate(all="ignore"):
        total = x @ y
        return (total if c is None else total + c).astype(np.float32)


def right(g):
    return summed(g.left(), g.right(), g.c)


# --- scales -----------------------------------------------------------------------------------


def no_scales(g):
    return right(g.but(sa=np.full_like(g.sa, 127), sb=np.full_like(g.sb, 127)))


def scales_of_a_only(g):
    return right(g.but(sb=np.full_like(g.sb, 127)))


def scales_squared(g):
    x = decoded(g.a, g.formats[0]) * g.spread(scaled(g.sa) ** 2)
    y = decoded(g.b, g.formats[1]) * g.spread(scaled(g.sb).T ** 2).T
    return summed(x, y, g.c)


def scales_exchanged(g):
    return right(g.but(sa=np.ascontiguousarray(g.sb.T), sb=np.ascontiguousarray(g.sa.T)))


def scales_of_the_block_before(g):
    return right(g.but(sa=np.roll(g.sa, 1, axis=1), sb=np.roll(g.sb, 1, axis=0)))


def scales_of_a_one_block_off(g):
    return right(g.but(sa=np.roll(g.sa, 1, axis=1)))


def scales_of_a_transposed(g):
    return right(g.but(sa=np.ascontiguousarray(g.sa.T).reshape(g.sa.shape)))


def first_scales_for_all(g):
    return right(g.but(sa=g.sa[:, :1] + 0 * g.sa, sb=g.sb[:1] + 0 * g.sb))


def scales_inverted(g):
    x = decoded(g.a, g.formats[0]) / g.spread(scaled(g.sa))
    y = decoded(g.b, g.formats[1]) / g.spread(scaled(g.sb).T).T
    return summed(x, y, g.c)


# --- layout -----------------------------------------------------------------------------------


def result_transposed(g):
    return np.ascontiguousarray(right(g).T)


def codes_of_b_transposed(g):
    return right(g.but(b=np.ascontiguousarray(g.b.T)))


def blocks_of_b_in_reverse(g):
    whole = g.k // BLOCK
    lanes = np.arange(g.k).reshape(whole, BLOCK)[::-1].reshape(-1)
    return right(g.but(b=g.b[lanes], sb=g.sb[::-1]))


def blocks_of_a_exchanged(g):
    whole = np.arange(g.k // BLOCK) ^ 1
    lanes = (whole[:, None] * BLOCK + np.arange(BLOCK)).reshape(-1)
    return right(g.but(a=g.a[:, lanes], sa=g.sa[:, whole]))


# --- K ----------------------------------------------------------------------------------------


def tail_ignored(g):
    k = g.k // BLOCK * BLOCK
    return summed(g.left()[:, :k], g.right()[:k], g.c)


def split_lost(g):
    x, y = g.left().copy(), g.right()
    x[:, g.k // 4 : g.k // 2] = 0
    return summed(x, y, g.c)


def last_part_twice(g):
    x, y, half = g.left(), g.right(), g.k // 2
    return summed(
        x, y, summed(x[:, half:], y[half:]).astype(np.float64) + (0 if g.c is None else g.c)
    )


def partials_in_bfloat16(g):
    x, y, part = g.left(), g.right(), g.k // 4
    total = np.zeros((len(x), y.shape[1]), np.float32)
    for start in range(0, g.k, part):
        stop = start + part
        partial = summed(x[:, start:stop], y[start:stop]).astype(ml_dtypes.bfloat16)
        total += partial.astype(np.float32)
    return total if g.c is None else total + g.c.astype(np.float32)


def accumulated_in_bfloat16(g):
    x, y = g.left().astype(np.float32), g.right().astype(np.float32)
    total = np.zeros((len(x), y.shape[1]), ml_dtypes.bfloat16)
    for k in range(g.k):
        total = (total.astype(np.float32) + x[:, k, None] * y[k]).astype(ml_dtypes.bfloat16)
    return total.astype(np.float32)


def lane_left_out(g):
    x = g.left().copy()
    x[:, 5::BLOCK] = 0
    return summed(x, g.right(), g.c)


# --- output -----------------------------------------------------------------------------------


def cut_to_bfloat16(g):
    return (right(g).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


def addend_left_out(g):
    return right(g.but(c=None))


def addend_twice(g):
    return right(g.but(c=2 * g.c))


def addend_transposed(g):
    return right(g.but(c=g.c.T))


def tile_never_written(g):
    d = right(g)
    d[16:32, 32:48] = 0
    return d


def tiles_exchanged(g):
    d = right(g)
    d[:16, :16], d[16:32, 16:32] = d[16:32, 16:32].copy(), d[:16, :16].copy()
    return d


def always_zero(g):
    return 0 * right(g)


def of_magnitudes(g):
    return summed(np.abs(g.left()), np.abs(g.right()), g.c)


def halved(g):
    return right(g) / np.float32(2)


SQUARE = {"scales_exchanged", "result_transposed", "codes_of_b_transposed", "addend_transposed"}
WITH_ADDEND = {"addend_left_out", "addend_twice", "addend_transposed"}
RAGGED = {"tail_ignored"}
PLANTS = {
    "no_scales": "G1",
    "scales_of_a_only": "G1",
    "scales_squared": "G3",
    "scales_exchanged": "G3",
    "scales_of_the_block_before": "G3",
    "scales_of_a_one_block_off": "L5",
    "scales_of_a_transposed": "L3",
    "first_scales_for_all": "G3",
    "scales_inverted": "G3",
    "result_transposed": "L8",
    "codes_of_b_transposed": "L8",
    "blocks_of_b_in_reverse": "L6",
    "blocks_of_a_exchanged": "L6",
    "tail_ignored": "G15",
    "split_lost": "G15",
    "last_part_twice": "G15",
    "partials_in_bfloat16": "G5",
    "accumulated_in_bfloat16": "G5",
    "lane_left_out": "G9",
    "cut_to_bfloat16": "G14",
    "addend_left_out": "G12",
    "addend_twice": "G12",
    "addend_transposed": "G12",
    "tile_never_written": "G13",
    "tiles_exchanged": "G13",
    "always_zero": "G8",
    "of_magnitudes": "G10",
    "halved": "D5",
}
"""Every plant by name, with the fault that it is."""


def operands(formats, shape, seed=0, *, spread=4, addend=False):
    """Finite codes under scales some binades apart."""
    rng = np.random.default_rng(seed)
    m, n, k = shape
    pools = []
    for fmt in formats:
        every = np.arange(256 if fmt == "mxint8" or "fp8" in fmt else 64 if "fp6" in fmt else 16)
        table = decoded(every.astype(np.uint8), fmt)
        pools.append(every[np.isfinite(table)].astype(np.uint8))
    blocks = -(-k // BLOCK)
    low, high = 127 - spread, 128 + spread
    return Given(
        rng.choice(pools[0], (m, k)),
        rng.integers(low, high, (m, blocks)).astype(np.uint8),
        rng.choice(pools[1], (k, n)),
        rng.integers(low, high, (blocks, n)).astype(np.uint8),
        tuple(formats),
        rng.standard_normal((m, n)).astype(np.float32) * np.float32(1000) if addend else None,
    )
