"""Operands for the tests of exact products: drawn, random, and built to have a given sum."""

import numpy as np
from gemm_oracle import FLOATS, FORMATS, integers
from hypothesis import strategies as st

import mxref

__all__ = [
    "BLOCKS",
    "PAIRS",
    "addends",
    "array_of",
    "operands",
    "planted",
    "random_operands",
]

PAIRS = [(a, b) for a in FORMATS for b in FORMATS]
BLOCKS = (32, 16, 8, 1, 64)
ONES = {"mxfp8_e4m3": 0x38, "mxfp8_e5m2": 0x3C, "mxfp6_e3m2": 0x0C} | {
    "mxfp6_e2m3": 0x08,
    "mxfp4": 0x02,
    "mxint8": 0x40,
}


def array_of(codes, scales, name, axis, block=32):
    """Wrap codes, which are cut to the width of the format."""
    fmt = mxref.formats.block_format(name, block)
    codes = np.asarray(codes, np.uint8) & np.uint8(len(integers(name)) - 1)
    return mxref.MXArray(codes, np.asarray(scales, np.uint8), fmt, axis=axis)


def _bytes(draw, *shape):
    size = int(np.prod(shape))
    return np.frombuffer(draw(st.binary(min_size=size, max_size=size)), np.uint8).reshape(shape)


def _drawn_codes(draw, name, *shape):
    codes = _bytes(draw, *shape) & np.uint8(len(integers(name)) - 1)
    if draw(st.integers(0, 3)):  # finite and not zero, as a rule: specials would hide the rest
        codes = np.where(integers(name)[codes] == 0, ONES[name], codes)
    return codes


def _drawn_scales(draw, *shape):
    """Scale codes of the whole range, or around a common one."""
    codes = _bytes(draw, *shape).astype(np.int64)
    spread = draw(st.sampled_from([0, 3, 25, 256]))
    if spread < 256:
        middle = draw(st.integers(0, 254) | st.sampled_from([0, 1, 127, 254]))
        codes = np.clip(middle + codes % (2 * spread + 1) - spread, 0, 254)
    elif draw(st.integers(0, 3)):
        codes = np.minimum(codes, 254)
    return codes


@st.composite
def operands(draw, pair, block):
    """Two operands of up to 3 x 3 results, with a last block that may be short."""
    m, n = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    k = draw(st.integers(0, 3 * block) if block > 1 else st.integers(0, 40))
    blocks = -(-k // block)
    a = array_of(
        _drawn_codes(draw, pair[0], m, k), _drawn_scales(draw, m, blocks), pair[0], 1, block
    )
    b = array_of(
        _drawn_codes(draw, pair[1], k, n), _drawn_scales(draw, blocks, n), pair[1], 0, block
    )
    return a, b


@st.composite
def addends(draw, exact):
    """None, any bits of any type, or what nearly cancels the sum of an `Exact`."""
    kind = draw(st.sampled_from(["none", "any", "cancelling", "ordinary"]))
    if kind == "none":
        return None
    name = draw(st.sampled_from(list(FLOATS)))
    dtype, storage, _, _ = FLOATS[name]
    if kind == "cancelling":
        return -exact.array(name, draw(st.sampled_from(["nearest-even", "toward-zero"])))
    if kind == "ordinary":
        tenths = draw(st.lists(st.integers(-99, 99), min_size=9, max_size=9))
        return (np.array(tenths[: exact.values.size]) / 10).reshape(exact.shape).astype(dtype)
    bits = _bytes(draw, 9 * storage.itemsize).view(storage)[: exact.values.size]
    return bits.reshape(exact.shape).view(dtype)


def random_operands(rng, pair, shape, block=32, *, spread=3, middle=127, specials=False):
    """Random operands of (M, K, N): scale codes within `spread` of `middle`, a few specials."""
    m, k, n = shape
    blocks = -(-k // block)

    def codes(name, *size):
        found = rng.integers(0, len(integers(name)), size, np.uint8)
        rare = rng.random(size) < (0.002 if specials else 0)
        return np.where(_is_special(name)[found] & ~rare, ONES[name], found)

    def scales(*size):
        drawn = np.clip(rng.integers(middle - spread, middle + spread + 1, size), 0, 254)
        return np.where(rng.random(size) < (0.01 if specials else 0), 255, drawn)

    return (
        array_of(codes(pair[0], m, k), scales(m, blocks), pair[0], 1, block),
        array_of(codes(pair[1], k, n), scales(blocks, n), pair[1], 0, block),
    )


def _is_special(name):
    magnitude = np.arange(len(integers(name))) & (len(integers(name)) // 2 - 1)
    _, _, _, nans, infinity = FORMATS[name]
    return np.isin(magnitude, (*nans, -1 if infinity is None else infinity))


def planted(rows, pair, columns, rng, *, block=32):
    """Operands whose output (i, j) is the sum of ``sign * 2**exponent`` over row i, times 2^j's.

    Each term of ``rows[i]``, a pair of a sign and an exponent, gets a block of its own, in random
    order and at a random place in its block; `columns` are the exponents j, at least 0. Where rows
    have fewer terms than others, pairs that cancel fill the blocks up, as far as they go.
    """
    blocks = max(len(row) for row in rows) + 2
    a, b = (np.zeros((n, blocks * block), np.uint8) for n in (len(rows), len(columns)))
    scales_a = np.full((len(rows), blocks), 127, np.uint8)
    scales_b = np.zeros((len(columns), blocks), np.uint8)
    place = rng.integers(0, block, blocks) + block * np.arange(blocks)
    minus = {name: _minus(name) for name in pair}
    b[:, place] = ONES[pair[1]]
    # Of the exponent of a term, each column takes a part that the rows share.
    low = min(min(e for _, e in row) for row in rows)
    high = max(max(e for _, e in row) for row in rows)
    shared = _shared(low, high, max(columns))
    scales_b[:] = np.add(127 + shared, columns)[:, None]
    for i, row in enumerate(rows):
        at = rng.permutation(blocks)
        fill = _cancelling(rng, blocks - len(row), [e for _, e in row])
        for block_index, (sign, exponent) in zip(at, [*row, *fill], strict=False):
            code = ONES[pair[0]]
            a[i, place[block_index]] = minus[pair[0]][code] if sign < 0 else code
            scales_a[i, block_index] = 127 + exponent - shared
    return (
        array_of(a, scales_a, pair[0], 1, block),
        array_of(b.T, scales_b.T, pair[1], 0, block),
    )


def _minus(name):
    if name == "mxint8":
        return {ONES[name]: 256 - ONES[name]}
    return {ONES[name]: ONES[name] | len(integers(name)) // 2}


def _shared(low, high, most):
    """A scale exponent for every column such that rows have the rest; both within -127 to 127."""
    least, greatest = max(-127, high - 127), min(127 - most, low + 127)
    if least > greatest:
        raise ValueError(f"exponents from {low} to {high} have no common scale")
    return (least + greatest) // 2


def _cancelling(rng, count, exponents):
    """Pairs that sum to nothing, at exponents around those of the row."""
    found = []
    for _ in range(count // 2):
        exponent = int(rng.integers(min(exponents), max(exponents) + 1))
        found += [(1, exponent), (-1, exponent)]
    return found
