"""Designed inputs for a black-box BDR kernel: each group makes one kind of mistake visible.

Blocks are built from the format: carries out of the largest code in a block and in a shifted
sub-block, ties with even and odd neighbours of both signs, maxima of sub-blocks at each distance
from that of the block, one large value in each place, both ends of the scale, and specials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check.stimuli import Group, Stimuli
from mxref.faults._bdr_variant import has_integer
from mxref.relatives.bdr_format import BDRFormat, ScaleKind, SubscaleKind

__all__ = ["dequantize_stimuli", "quantize_stimuli"]

_SEED = 20230216  # fixed, so that a witness keeps its coordinates from run to run
_WHOLE = 64  # elements of a block where the format has one for a tensor
_LONGEST = 1 << 12
_NANS = (0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FA00000)

Blocks = NDArray[np.float32]


def quantize_stimuli(fmt: BDRFormat) -> Stimuli:
    """Return float32 blocks for a quantizer of a format.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import BDR_FORMATS
    >>> design = quantize_stimuli(BDR_FORMATS["mx9"])
    >>> design.inputs[0].shape[1], design.groups[0].name
    (16, 'values of the codes')
    """
    k = min(fmt.k1 or _WHOLE, _LONGEST)
    return _assembled([(name, part.astype(np.float32)) for name, part in _parts(fmt, k)])


def dequantize_stimuli(fmt: BDRFormat) -> Stimuli:
    """Return codes, scales and, with a second level, sub-scales for a decoder of a format.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import BDR_FORMATS
    >>> [array.shape[1] for array in dequantize_stimuli(BDR_FORMATS["mx4"]).inputs]
    [16, 1, 8]
    """
    k = min(fmt.k1 or _WHOLE, _LONGEST)
    rng = np.random.default_rng(_SEED)
    scales = _every_scale(fmt, rng)
    all_codes = np.arange(max(fmt.code_count, k)) % fmt.code_count
    rows = np.resize(all_codes, (-(-len(all_codes) // k), k))
    n = max(len(scales), len(rows)) * 2
    codes = np.resize(rows, (n, k)).astype(np.uint8)
    half = n // 2
    codes[half:] = rng.integers(0, fmt.code_count, (n - half, k))
    inputs: list[NDArray[Any]] = [codes, np.resize(scales, n)[:, None]]
    if fmt.has_subscales:
        shape = (n, k // fmt.k2)
        subs = rng.integers(0, fmt.max_subscale + 1, shape).astype(np.uint8)
        subs[: shape[1]] = np.eye(shape[1], dtype=np.uint8)[: len(subs)] * fmt.max_subscale
        inputs.append(subs)
    groups = (Group("every code and every scale", 0, half), Group("random codes", half, n))
    return Stimuli(tuple(inputs), groups)


def _every_scale(fmt: BDRFormat, rng: np.random.Generator) -> NDArray[Any]:
    if fmt.scale is ScaleKind.POW2:
        return np.arange(fmt.nan_scale + 1).astype(np.uint8)
    with np.errstate(over="ignore"):
        some = np.ldexp(rng.uniform(1, 2, 64), rng.integers(-140, 120, 64)).astype(np.float32)
    ends = np.array([0, 1, 2.0**-149, 2.0**-126, np.nan], np.float32)
    return np.concatenate([some, ends])


def _assembled(parts: list[tuple[str, Blocks]]) -> Stimuli:
    groups, start = [], 0
    for name, part in parts:
        groups.append(Group(name, start, start + len(part)))
        start += len(part)
    return Stimuli((np.concatenate([part for _, part in parts]),), tuple(groups))


# --- numbers in units of the step under amax ------------------------------------------------------


def _parts(fmt: BDRFormat, k: int) -> Iterator[tuple[str, NDArray[Any]]]:
    rng = np.random.default_rng(_SEED)
    top, step = _top(fmt)
    yield "values of the codes", _filled(np.arange(top + 1) * step, k, top * step)
    ties = (np.arange(top) + 0.5) * step
    yield "ties", _filled(ties, k, top * step)
    near = np.concatenate([ties * (1 + s * 2.0**-e) for e in (9, 12, 23) for s in (1, -1)])
    yield "neighbours of ties", _filled(near, k, top * step)
    yield "carries out of the largest code", _carries(fmt, k)
    if fmt.subscale is SubscaleKind.POW2:
        yield "values and ties in shifted sub-blocks", _shifted(fmt, k)
    if fmt.has_subscales:
        every = np.concatenate([np.arange(top + 1), np.arange(top) + 0.5]) * step
        yield "values and ties beside the maximum of their sub-block", _led(every, fmt, k)
        yield "maxima of sub-blocks", _distances(fmt, k)
    yield "largest value at each place", _places(k, fmt)
    yield "blocks with large neighbours", np.outer([1, 64, 1, 1, 4096, 1, 2.0**-9, 1], np.ones(k))
    yield "amax over a binade", _binade(fmt, k)
    yield "ends of the scale", _ends(k)
    yield "zeros and tiny elements", _tiny(k)
    yield "NaN and infinity", _specials(k)
    normal = rng.standard_normal((64, k)) * np.exp2(rng.integers(-6, 7, (64, 1)))
    yield "normal random numbers", normal
    bits = rng.integers(0, 1 << 32, (32, k), dtype=np.uint32)
    exponent = np.uint32(0x7F800000)
    bits = np.where(bits & exponent == exponent, bits & ~np.uint32(1 << 30), bits)
    yield "random bits", bits.astype(np.uint32).view(np.float32)


def _top(fmt: BDRFormat) -> tuple[int, float]:
    """Largest magnitude in steps, and the step where amax lies in [1, 2)."""
    if fmt.float_element is not None:
        return 64, float(fmt.largest) / 64
    # Integer sub-scales are exact where the scale is a power of two.
    return fmt.max_magnitude, 2.0 ** (1 - fmt.m) * (fmt.max_subscale if has_integer(fmt) else 1)


def _filled(values: NDArray[Any], k: int, most: float) -> NDArray[Any]:
    """Blocks of some values of both signs, each with its amax in the first place."""
    both = np.concatenate([values, -values])
    rows = np.resize(both, (-(-len(both) // (k - 1)), k - 1))
    signs = np.where(np.arange(len(rows)) % 2, -most, most)
    # Twice, so that every value is seen at an even and at an odd place.
    shifted = np.roll(rows, 1, axis=1)
    every = np.concatenate([rows, shifted])
    return np.concatenate([np.concatenate([signs, signs])[:, None], every], axis=1)


def _led(values: NDArray[Any], fmt: BDRFormat, k: int) -> NDArray[Any]:
    """Values of both signs in sub-blocks that each hold amax, so that none is shifted."""
    top, step = _top(fmt)
    if fmt.k2 == 1:
        return _filled(values, k, top * step)
    both = np.concatenate([values, -values])
    n = k // fmt.k2
    rows = np.resize(both, (-(-len(both) // (n * (fmt.k2 - 1))), n, fmt.k2 - 1))
    lead = np.full((*rows.shape[:2], 1), top * step)
    return np.concatenate([lead, rows], axis=2).reshape(len(rows), k)


def _carries(fmt: BDRFormat, k: int) -> NDArray[Any]:
    """What rounds to one more than the largest code, alone and beside others, of both signs."""
    top, step = _top(fmt)
    edges = np.array([top + 0.25, top + 0.5, top + 0.75, top, top - 0.5, top + 0.5 + 2.0**-12])
    rows = []
    for edge in edges * step:
        for sign in (1, -1):
            row = np.full(k, 0.5 * step)
            row[0] = sign * edge
            row[-1] = 2 * step
            rows += [row, row[::-1], np.full(k, sign * edge)]
    return np.array(rows)


def _shifted(fmt: BDRFormat, k: int) -> NDArray[Any]:
    """Sub-blocks below the binade of amax with every value, tie and carry of theirs."""
    top, step = _top(fmt)
    rows = []
    for shift in range(1, min(fmt.max_shift, 4) + 1):
        own = step * 2.0**-shift
        values = np.concatenate([np.arange(top + 1), np.arange(top + 1) + 0.5]) * own
        lead = np.array([top, top + 0.5, top - 0.5, (top + 1) // 2]) * own
        for value, most in zip(
            np.resize(values, 4 * len(values)), np.resize(lead, 4 * len(values)), strict=True
        ):
            row = np.zeros(k)
            row[0] = 1.0
            row[fmt.k2 :: 2] = most
            row[fmt.k2 + 1 :: 2] = -value
            rows.append(row)
    whole = np.array(rows)
    some = np.linspace(0, len(whole) - 1, min(len(whole), 1024)).astype(int)
    return np.asarray(whole[some])


def _distances(fmt: BDRFormat, k: int) -> NDArray[Any]:
    """Sub-blocks at all distances from amax, their largest first, last, negative, or beside 0."""
    n = k // fmt.k2
    rows = []
    at_edge = (1.0, 2.0 - 2.0**-23, 1.5, 1 - 2.0**-24, 255 / 256, 2 - 2.0**-9)
    for distance in range(min(fmt.max_shift, 6) + 3):
        for edge in at_edge:
            for place in range(min(fmt.k2, 2)):
                for other in (0.0, 0.25, 1.0):
                    for sign in (1, -1):
                        subs = np.full((n, fmt.k2), other * edge * 2.0**-distance)
                        subs[:, -1 if place else 0] = sign * edge * 2.0**-distance
                        subs[0] = 1.0  # amax
                        rows.append(subs.reshape(-1))
    for i in range(n):  # one sub-block alone in the binade of amax
        subs = np.full((n, fmt.k2), 0.375)
        subs[i, 0] = 1.25
        rows.append(subs.reshape(-1))
    wide = np.arange(n) % 2 == 0
    rows.append(np.repeat(np.where(wide, 1.5, 0.3), fmt.k2))
    if has_integer(fmt):
        rows += [np.repeat(subs, fmt.k2) for subs in _integer_ties(fmt, n)]
    return np.array(rows)


def _integer_ties(fmt: BDRFormat, n: int) -> NDArray[Any]:
    """Maxima of sub-blocks whose integer is on and beside a tie, below an exact scale of 1."""
    most = fmt.max_subscale
    wanted = np.concatenate([np.arange(most) + by for by in (0.5, 0.25, 0.75, 0.0)])
    rows = np.resize(wanted, (-(-len(wanted) // (n - 1)), n - 1))
    lead = np.full((len(rows), 1), float(most))
    return np.concatenate([lead, rows], axis=1) * fmt.max_magnitude


def _places(k: int, fmt: BDRFormat) -> NDArray[Any]:
    """One large value in each place in turn, of both signs, among smaller ones."""
    step = _top(fmt)[1]
    places = np.unique(np.linspace(0, k - 1, min(k, 64)).astype(int))
    rows = np.full((2 * len(places), k), 0.75 * step)
    rows[np.arange(len(places)), places] = 3.0
    rows[len(places) + np.arange(len(places)), places] = -3.0
    return rows


def _binade(fmt: BDRFormat, k: int) -> NDArray[Any]:
    """Amax on and beside every edge at which a rule steps."""
    top, step = _top(fmt)
    edges = np.array([1, 1.25, 2.0**0.5, 1.5, 1.75, top * step, (top + 0.5) * step, 2 - 2.0**-9, 2])
    edges = np.unique(np.concatenate([edges, edges * (1 + 2.0**-23), edges * (1 - 2.0**-24)]))
    amax = np.concatenate([edges, edges * 8, edges / 1024, edges * 2.0**20])
    rows = np.zeros((len(amax), k))
    rows[:, k // 2] = amax
    rows[:, 0] = amax / 3
    rows[:, -1] = -amax / 5
    return rows


def _ends(k: int) -> NDArray[Any]:
    exponents = np.array([-149, -148, -130, -128, -127, -126, -125, -120, -40, -30, -20, -14, -10,
                          10, 15, 16, 30, 126, 127])  # fmt: skip
    rows = [np.full(k, m * 2.0**e) for e in exponents for m in (1.0, 1.5)]
    rows.append(np.full(k, float(np.finfo(np.float32).max)))
    mixed = np.array(rows)
    mixed[:, 1::2] *= -0.4
    mixed[:, -1] = 0
    return mixed


def _tiny(k: int) -> NDArray[Any]:
    rows = np.zeros((12, k))
    rows[1, ::2] = -0.0
    rows[2, 1::2] = -0.0
    rows[2, 0] = 1
    rows[3] = 2.0**-40
    rows[3, 0] = 1
    rows[4] = -(2.0**-40)
    rows[4, -1] = 1
    for i, gap in enumerate((30, 31, 32, 33, 36, 64)):
        rows[5 + i] = 1.25 * 2.0**-gap
        rows[5 + i, 0] = -1
    rows[11, :] = -0.0
    return rows


def _specials(k: int) -> NDArray[Any]:
    with np.errstate(invalid="ignore"):
        nans = np.array(_NANS, np.uint32).view(np.float32)
    rows = []
    make: Callable[[], Blocks] = lambda: np.linspace(1, 1.9, k).astype(np.float32)  # noqa: E731
    for value in (*nans, np.float32(np.inf), np.float32(-np.inf)):
        for place in sorted({0, 1, k // 2 - 1, k // 2, k - 1}):
            row = make()
            row[place] = value
            rows.append(row)
        row = np.zeros(k, np.float32)
        row[0] = value
        rows += [row, np.full(k, value, np.float32)]
    both = make()
    both[0], both[1] = np.inf, np.nan
    return np.array([*rows, both])
