"""Inputs on which packages are known to part ways, and random ones beside them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from mxref import decode
from mxref.formats import BLOCK_FORMATS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mxref.formats import BlockFormat

    Floats = NDArray[np.float32]
    Codes = NDArray[np.uint8]

__all__ = ["block_of", "blocks", "casts", "codes_and_scales", "scale_casts"]

_INF = np.uint32(0x7F800000)
_LANES = 32


def block_of(element: str) -> BlockFormat:
    """Return the block format made of an element format."""
    return next(f for f in BLOCK_FORMATS.values() if f.element.name == element)


def _neighbours(values: NDArray[np.floating], reach: tuple[int, ...]) -> Floats:
    """Return the float32 numbers next to positive values, by steps in the last place."""
    with np.errstate(over="ignore"):
        bits = values.astype(np.float32).view(np.uint32).astype(np.int64)
    near = np.clip(bits[:, None] + np.array(reach), 0, int(_INF) - 1)
    return np.unique(near.astype(np.uint32)).view(np.float32)


@cache
def blocks(element: str, step: int = 1) -> Floats:
    """Return rows of 32 numbers for a quantizer of an element format.

    Parameters
    ----------
    step : int
        Take every so many exponents of amax only, for slow packages; the ends of the range and
        the special values are always there.
    """
    parts = [
        _with_amax(_thresholds(element, step)),
        _with_amax(_tiny_and_huge()),
        _specials(),
        _ties(element, step),
        _random(step),
    ]
    rows = np.concatenate(parts)
    rows.setflags(write=False)
    return rows


def _thresholds(element: str, step: int) -> Floats:
    """The significands at which some rule goes up, in every binade, and what lies beside them."""
    fmt = block_of(element).element
    top = float(fmt.max) / 2.0**fmt.emax
    last = 2.0 ** -(fmt.mantissa_bits + 1)  # half of the last place of the element
    half = [1.5, np.sqrt(2), top, top + last, 2 - last, 2 - last / 2, 1 + last]
    exponents = np.unique(np.r_[-149:-118, -118:118:step, 118:128]).astype(np.float64)
    powers = 2.0**exponents
    around = _neighbours(np.outer(powers, half).ravel(), (-1, 0, 1))
    # A float32 logarithm is k for up to 44 numbers below 2^k.
    below = (-64, -45, -44, -43, -23, -22, -21, -12, -11, -10, -6, -5, -3, -2, -1, 0, 1, 2)
    return np.concatenate([around, _neighbours(powers, below)])


def _tiny_and_huge() -> Floats:
    powers = 2.0 ** np.arange(-149, -109)
    last = np.arange(int(_INF) - 300, int(_INF), dtype=np.uint32).view(np.float32)
    first = np.arange(1, 300, dtype=np.uint32).view(np.float32)
    return np.concatenate([_neighbours(powers, (-1, 0, 1)), last, first])


def _with_amax(amax: Floats) -> Floats:
    """Put each amax into a lane of its own, beside smaller numbers of both signs and zeros."""
    rng = np.random.default_rng(1)
    rows = rng.uniform(-1, 1, (len(amax), _LANES)).astype(np.float32)
    rows *= 2.0 ** -rng.integers(0, 12, rows.shape).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = 0
    rows[rng.random(rows.shape) < 0.05] = -0.0
    rows *= amax[:, None]
    lane = np.arange(len(amax)) % _LANES
    rows[np.arange(len(amax)), lane] = amax * rng.choice([-1, 1], len(amax)).astype(np.float32)
    return rows


def _specials() -> Floats:
    """Zero blocks, and NaN and infinities in every lane, alone and together."""
    nans = np.array([0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFFFFFFF, 0x7FE12345], np.uint32)
    infinities = np.array([0x7F800000, 0xFF800000], np.uint32)
    finite = np.array([0, -0.0, 1, -2, 1e-30, 2**-149, 3e38, -448, 0.1], np.float32)
    rng = np.random.default_rng(2)
    rows = [np.zeros(_LANES, np.float32), np.full(_LANES, -0.0, np.float32)]
    rows.append(np.where(np.arange(_LANES) % 3, 0, -0.0).astype(np.float32))
    rows += [np.full(_LANES, bits, np.uint32).view(np.float32) for bits in (*nans, *infinities)]
    pairs = [(a, b) for a in (*nans, *infinities) for b in (None, *nans[:2], *infinities)]
    for i, (one, other) in enumerate(pairs):
        for rest in finite:
            row = np.full(_LANES, rest, np.float32)
            row[rng.random(_LANES) < 0.5] *= np.float32(-0.5)
            bits = row.view(np.uint32)
            if other is not None:
                bits[(i * 7 + 3) % _LANES] = other
            bits[i % _LANES] = one
            rows.append(row)
    return np.array(rows)


@cache
def _landmarks(element: str) -> Floats:
    """The magnitudes at which an element changes: values, midpoints, the edge of overflow."""
    fmt = block_of(element).element
    values = decode(np.arange(fmt.max_magnitude + 1, dtype=np.uint8), fmt).astype(np.float64)
    gap = values[-1] - values[-2]
    marks = np.r_[values, (values[1:] + values[:-1]) / 2, values[-1] + gap * np.array([0.5, 1, 2])]
    return _neighbours(marks, (-1, 0, 1))


def _ties(element: str, step: int) -> Floats:
    """Blocks whose amax fixes the scale and whose other numbers are the landmarks of it."""
    marks = _landmarks(element)
    fmt = block_of(element).element
    rng = np.random.default_rng(3)
    rows = []
    for exponent in sorted(
        {-127, -126, -125, -100, 0, 1, 90, 127 - fmt.emax, *range(-90, 90, 20 * step)}
    ):
        with np.errstate(over="ignore"):
            scaled = np.ldexp(np.r_[marks, -marks], exponent)
        # Below the largest value, so that amax leaves room for every landmark under each rule.
        for amax in (float(fmt.max), 2.0**fmt.emax, float(fmt.max) * 2):
            with np.errstate(over="ignore"):
                top = np.ldexp(np.float32(amax), exponent)
            below = scaled[np.abs(scaled) <= top]
            below = rng.permutation(below)
            count = -(-len(below) // (_LANES - 1))
            block = np.resize(below, (count, _LANES))
            block[:, 0] = top
            rows.append(block[np.isfinite(top) & np.ones(count, bool)])
    return np.concatenate(rows)


def _random(step: int) -> Floats:
    rng = np.random.default_rng(4)
    count = 4000 // step
    normal = rng.standard_normal((count, _LANES)).astype(np.float32)
    wide = normal * np.exp2(rng.integers(-150, 126, (count, 1))).astype(np.float32)
    spread = normal * np.exp2(rng.integers(-60, 60, (count, _LANES))).astype(np.float32)
    bits = rng.integers(0, 1 << 32, (count // 4, _LANES), np.uint32).view(np.float32)
    return np.concatenate([normal, wide, spread, bits])


@cache
def casts(element: str) -> Floats:
    """Return every bfloat16 as float32, every landmark of both signs, and random bits."""
    every = (np.arange(1 << 16, dtype=np.uint32) << 16).view(np.float32)
    marks = _landmarks(element)
    edges = np.array([0x7F800001, 0xFFBFFFFF, 0x7F7FFFFF, 0x00000001, 0x807FFFFF], np.uint32)
    random = np.random.default_rng(5).integers(0, 1 << 32, 200_000, np.uint32)
    numbers = np.concatenate(
        [every, marks, -marks, edges.view(np.float32), random.view(np.float32)]
    )
    numbers.setflags(write=False)
    return numbers


@cache
def scale_casts() -> Floats:
    """Return numbers for casts to E8M0: both signs, every binade, every subnormal power."""
    powers = 2.0 ** np.arange(-149.0, 128.0)
    marks = _neighbours(
        np.outer(powers, [1, 1.25, np.sqrt(2), 1.5, 1.75]).ravel(), (-2, -1, 0, 1, 2)
    )
    return np.concatenate([marks, -marks, casts("e5m2")])


def codes_and_scales(element: str, step: int = 1) -> tuple[Codes, Codes]:
    """Return every element code under every `step`-th scale code and the ends of the range."""
    count = block_of(element).element.code_count
    codes = (np.arange(max(count, _LANES)) % count).astype(np.uint8).reshape(-1, _LANES)
    scales = np.unique(np.r_[0:256:step, 0, 1, 2, 127, 253, 254, 255]).astype(np.uint8)
    return (
        np.tile(codes, (len(scales), 1)),
        np.repeat(scales, len(codes)).reshape(-1, 1),
    )
