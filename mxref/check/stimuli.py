"""Designed inputs for a black-box kernel: each group exists to make one kind of mistake visible.

Random numbers never hit a tie, a scale threshold, a subnormal or a special value, and random
normals leave half of all wrong E4M3 encoders undetected. So the inputs are built from the format:
the value of every code, every midpoint and its neighbours, the significand at which each scale
rule steps, both ends of the scale, one large value at each place of a block, and specials in
blocks of their own (they would change the scale of everything beside them).

Everything is float32 and is built from bit patterns, so that no mode of the processor (FTZ, DAZ)
can change an input on its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mxref.check._landmarks import (
    INF,
    ROOT2,
    SIGN,
    around,
    as_float32,
    bits_of,
    both_signs,
    magnitudes,
    midpoints,
    thresholds,
    times_power_of_two,
)
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat, pow2

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Group",
    "Stimuli",
    "decode_stimuli",
    "dequantize_stimuli",
    "encode_stimuli",
    "quantize_stimuli",
    "smoke_stimuli",
]

_SEED = 20230907  # fixed, so that a witness keeps its coordinates from run to run
# Distances to a midpoint, in steps of float32: one that is lost in bfloat16 or float16, so that the
# tie comes back, and those of the neighbours in these types.
_NEAR = (-(1 << 14), 1 << 14, 1 << 11, 1 << 13, 1 << 16)
# Quiet, negative, with a payload, signalling: a conversion may treat each differently.
_NANS = (0x7FC0_0000, 0xFFC0_0000, 0x7FC0_0001, 0xFFFF_FFFF, 0x7FA0_0000, 0x7F80_0001)


@dataclass(frozen=True, slots=True)
class Group:
    """A run of inputs with one purpose.

    Attributes
    ----------
    name : str
        What the group looks for, in words that fit behind "one of the".
    start, stop : int
        Positions along the first axis.
    """

    name: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Stimuli:
    """The inputs of one call, and what each part of them is for.

    Attributes
    ----------
    inputs : tuple of ndarray
        The arguments of the kernel; all have the same length along the first axis.
    groups : tuple of Group
        They cover the first axis without gaps.
    """

    inputs: tuple[NDArray[Any], ...]
    groups: tuple[Group, ...]

    def group_of(self, position: int) -> str:
        """Return the name of the group that holds a position of the first axis."""
        return next(g.name for g in self.groups if g.start <= position < g.stop)


# --- element casts ---------------------------------------------------------------------------


def encode_stimuli(fmt: ElementFormat | ScaleFormat) -> Stimuli:
    """Return float32 numbers for a cast to an element format or to E8M0.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> stimuli = encode_stimuli(element_format("e2m1"))
    >>> stimuli.inputs[0].dtype, stimuli.groups[0].name
    (dtype('float32'), 'values of the codes')
    """
    parts = _e8m0_parts() if isinstance(fmt, ScaleFormat) else _element_parts(fmt)
    specials = np.array([0, int(SIGN), INF, INF | int(SIGN), *_NANS], dtype=np.uint32)
    extremes = both_signs(bits_of([pow2(-149), pow2(-126), pow2(128) - pow2(104)]))
    parts += [("specials", np.concatenate([specials, extremes])), ("random bits", _random_bits())]
    return _assemble([(name, as_float32(bits)) for name, bits in parts])


def _element_parts(element: ElementFormat) -> list[tuple[str, NDArray[np.uint32]]]:
    halfway = bits_of(midpoints(element))
    beyond = [element.max + pow2(element.emax - 23), *(element.max * i for i in (2, 3, 64, 1001))]
    rng = np.random.default_rng(_SEED)
    normal = (rng.standard_normal(4096) * float(element.max) / 3).astype(np.float32)
    one_bit = [(1 + pow2(-i)) * pow2(e) for e in (element.emin, element.emax) for i in range(1, 24)]
    return [
        ("values of the codes", both_signs(around(bits_of(magnitudes(element)), -1, 1))),
        ("midpoints and their neighbours", both_signs(around(halfway, -1, 1))),
        # A step of 2^-9 or 2^-12 is lost in bfloat16 or float16, so that the tie comes back.
        ("numbers near midpoints", both_signs(around(halfway, *_NEAR))),
        ("numbers beyond the largest", both_signs(bits_of(beyond))),
        ("powers of two", both_signs(bits_of([pow2(e) for e in range(-149, 128)]))),
        ("single-bit significands", both_signs(bits_of(one_bit))),
        ("random normals", normal.view(np.uint32)),
    ]


def _e8m0_parts() -> list[tuple[str, NDArray[np.uint32]]]:
    shapes = around(bits_of([Fraction(1), Fraction(3, 2), ROOT2]), -1, 1)
    shapes = np.concatenate([shapes, bits_of([Fraction(5, 4), Fraction(7, 4), 2 - pow2(-23)])])
    binades = np.concatenate([times_power_of_two(shapes, e) for e in range(-125, 127)])
    one_bit = [(1 + pow2(-i)) * pow2(e) for e in (0, 5) for i in range(1, 24)]
    low = [pow2(-127) * Fraction(i, 16) for i in range(1, 48)]
    return [
        ("ties and neighbours in each binade", binades),
        ("single-bit significands", bits_of(one_bit)),
        ("numbers around the smallest scale", around(bits_of(low), -1, 1)),
        ("powers of two", bits_of([pow2(e) for e in range(-149, 128)])),
        ("numbers around the largest scale", around(bits_of([Fraction(3) * 2**126]), -1, 1)),
        ("negative numbers", times_power_of_two(shapes, 0) | SIGN),
    ]


def _random_bits() -> NDArray[np.uint32]:
    rng = np.random.default_rng(_SEED + 1)
    return rng.integers(0, 1 << 32, 2048, dtype=np.uint32)


def decode_stimuli(fmt: ElementFormat | ScaleFormat) -> Stimuli:
    """Return every code of a format, as uint8."""
    return _assemble([("codes", np.arange(fmt.code_count, dtype=np.uint8))])


def dequantize_stimuli(fmt: BlockFormat) -> Stimuli:
    """Return every element code under every scale code: codes (n, k) and scales (n, 1), uint8."""
    element_codes = np.arange(fmt.element.code_count, dtype=np.uint8)
    rows = -(-element_codes.size // fmt.block_size)
    codes = np.tile(np.resize(element_codes, (rows, fmt.block_size)), (256, 1))
    scales = np.repeat(np.arange(256, dtype=np.uint8), rows)[:, None]
    group = Group("products of code and scale", 0, len(codes))
    return Stimuli((codes, scales), (group,))


# --- blocks ----------------------------------------------------------------------------------


def quantize_stimuli(fmt: BlockFormat) -> Stimuli:
    """Return float32 blocks, shape (n, k), for a quantizer of a block format.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> stimuli = quantize_stimuli(block_format("mxfp4"))
    >>> stimuli.inputs[0].shape[1], stimuli.group_of(0)
    (32, 'elements under a known scale')
    """
    k = fmt.block_size
    parts = [
        ("elements under a known scale", _element_blocks(fmt)),
        ("thresholds of the scale rules", _threshold_blocks(fmt)),
        ("ends of the scale", _edge_blocks(fmt)),
        ("largest value at each place", _place_blocks(fmt)),
        ("blocks of zeros", _zero_blocks(k)),
        ("specials", _special_blocks(k)),
        ("random blocks", _random_blocks(k)),
    ]
    return _assemble([(name, as_float32(bits)) for name, bits in parts])


def _element_blocks(fmt: BlockFormat) -> NDArray[np.uint32]:
    """Codes' values and midpoints, in blocks whose largest value fixes the scale."""
    element, k = fmt.element, fmt.block_size
    tiny = bits_of([pow2(element.emin - element.mantissa_bits - i) for i in range(72)])
    values = around(bits_of(midpoints(element)), -1, 1, *_NEAR)
    exact = around(bits_of(magnitudes(element)), -1, 1)  # next to codes too: a sticky bit decides
    pool = np.unique(np.concatenate([exact, values, tiny]))
    # Three anchors, as the rules disagree on the scale of each: a power of two, max, and beyond.
    beyond = pow2(element.emax + 1) - pow2(element.emax - 23)
    anchors = bits_of([pow2(element.emax), element.max, beyond])
    blocks = []
    for exponent in (0, -24, 20):
        for anchor in anchors:
            chosen = both_signs(pool[pool <= anchor])
            rows = -(-chosen.size // max(k - 1, 1))
            filled = np.zeros((rows, max(k - 1, 1)), dtype=np.uint32)
            filled.reshape(-1)[: chosen.size] = chosen
            blocks.append(
                times_power_of_two(_with_anchor(filled, anchor) if k > 1 else filled, exponent)
            )
    return np.concatenate(blocks)


def _with_anchor(rest: NDArray[np.uint32], anchor: np.uint32) -> NDArray[np.uint32]:
    """Insert the largest value at a place and with a sign that change from block to block."""
    rows, width = rest.shape
    place = np.arange(rows) % (width + 1)
    lane = np.arange(width + 1)
    source = np.clip(lane[None, :] - (lane[None, :] > place[:, None]), 0, width - 1)
    block = np.take_along_axis(rest, source, axis=1)
    signs = np.where(np.arange(rows) % 2, SIGN, np.uint32(0)).astype(np.uint32)
    block[np.arange(rows), place] = anchor | signs
    return block


def _amax_blocks(amax: NDArray[np.uint32], k: int) -> NDArray[np.uint32]:
    """One block for each largest value: beside it a half, minus a quarter and zeros."""
    block = np.zeros((amax.size, k), dtype=np.uint32)
    rows = np.arange(amax.size)
    for distance, factor, sign in ((2, 4, SIGN), (1, 2, np.uint32(0))):
        # Subnormals and the lowest binades are left alone: the shift would need rounding.
        smaller = np.where(amax >= (factor << 23), amax - ((factor // 2) << 23), 0)
        block[rows, (rows + distance) % k] = smaller.astype(np.uint32) | sign
    block[rows, rows % k] = amax | np.where(rows % 3 == 1, SIGN, np.uint32(0)).astype(np.uint32)
    return block


def _threshold_blocks(fmt: BlockFormat) -> NDArray[np.uint32]:
    # log2 in float32 first fails at 2^3 below and beyond, and more the farther from 1.
    exponents = (0, 1, -1, 2, 3, 5, 6, 10, -8, -20, 20, 64, -64, 100, -100)
    significands = thresholds(fmt.element)
    amax = np.concatenate([times_power_of_two(significands, e) for e in exponents])
    return _amax_blocks(amax, fmt.block_size)


def _edge_blocks(fmt: BlockFormat) -> NDArray[np.uint32]:
    """Scales that clamp, subnormal numbers, and constants that kernels add against zero."""
    element = fmt.element
    steps = thresholds(element)
    bottom = element.emax - 127
    low = [times_power_of_two(steps, e) for e in range(max(-126, bottom - 2), bottom + 2)]
    high = [times_power_of_two(steps, e) for e in (126, 127)]
    subnormal = [pow2(-149) * i for i in (1, 2, 3, 5, 1023, 1024)]
    subnormal += [pow2(-127) * Fraction(i, 8) for i in range(4, 21)]
    floors = [1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-10, 1e-12, 1e-13, 1e-16, 1e-20, 1e-30, 1e-36, 1e-38]
    others = around(bits_of([*subnormal, *floors, 65504.0, 65520.0, pow2(-24), pow2(-25)]), -1, 1)
    largest = bits_of([pow2(128) - pow2(104), pow2(128) - pow2(120)])
    amax = np.concatenate([*low, *high, others[others > 0], largest])
    return _amax_blocks(amax, fmt.block_size)


def _place_blocks(fmt: BlockFormat) -> NDArray[np.uint32]:
    """The largest value at each place and with each sign, next to blocks 64 times as large."""
    k = fmt.block_size
    rest = np.full((2 * k, k), 0x3C80_0000, dtype=np.uint32)  # 2^-6
    rest[:, 1::2] |= SIGN
    rows = np.arange(2 * k)
    rest[rows, rows // 2] = np.where(rows % 2, 0xBFA0_0000, 0x3FA0_0000)  # -1.25 and 1.25
    neighbours = times_power_of_two(rest, 6)
    return np.stack([rest, neighbours], axis=1).reshape(-1, k)


def _zero_blocks(k: int) -> NDArray[np.uint32]:
    block = np.zeros((3, k), dtype=np.uint32)
    block[1] = SIGN
    block[2, ::2] = SIGN
    return block


def _special_blocks(k: int) -> NDArray[np.uint32]:
    """NaN and infinity at each place, several kinds of them, alone and together."""
    ordinary = np.resize(np.array([0x3F80_0000, 0xC000_0000, 0x3F40_0000], dtype=np.uint32), k)
    kinds = np.array([*_NANS, INF, INF | int(SIGN)], dtype=np.uint32)
    n_each = max(k, kinds.size)
    places = np.tile(ordinary, (2 * n_each, 1))
    rows = np.arange(n_each)
    places[rows, rows % k] = _NANS[0]
    places[n_each + rows, rows % k] = np.where(rows % 2, INF | int(SIGN), INF)
    beside = np.zeros((2 * kinds.size, k), dtype=np.uint32)
    beside[: kinds.size] = ordinary
    beside[np.arange(2 * kinds.size), 0] = np.concatenate([kinds, kinds])
    full = np.repeat(kinds[:, None], k, axis=1)
    both = np.tile(ordinary, (2, 1))
    both[0, 0], both[0, -1] = INF, _NANS[0]
    both[1, 0], both[1, -1] = _NANS[0], INF
    return np.concatenate([places, beside, full, both]).astype(np.uint32)


def _random_blocks(k: int) -> NDArray[np.uint32]:
    rng = np.random.default_rng(_SEED)
    n_blocks = max(2, 4096 // k)
    normal = rng.standard_normal((n_blocks, k))
    scale = np.exp2(rng.integers(-40, 40, (n_blocks, 1)).astype(np.float64))
    # Half of the blocks hold bfloat16 numbers: only those hit ties by chance.
    values = np.ascontiguousarray((normal * scale).astype(np.float32)).view(np.uint32)
    values[::2] &= np.uint32(0xFFFF_0000)
    return values


# --- smoke -----------------------------------------------------------------------------------


def smoke_stimuli(fmt: BlockFormat | ElementFormat | ScaleFormat, op: str) -> Stimuli:
    """Return about ten easy cases, which any correctly wired kernel gets right, and some ties.

    The ties and thirds at the end are not judged: they show whether two calls agree.
    """
    if op == "decode" and not isinstance(fmt, BlockFormat):
        return decode_stimuli(fmt)
    if isinstance(fmt, ScaleFormat):
        exponents = (0, 1, -1, 2, -3, 5, -8, 20, -40, 100)
        return _assemble([("easy values", as_float32(bits_of([pow2(e) for e in exponents])))])
    element = fmt.element if isinstance(fmt, BlockFormat) else fmt
    easy = bits_of(magnitudes(element)[1:])
    thirds = bits_of([element.max / 3, element.max / 7, *midpoints(element)[:4]])
    if not isinstance(fmt, BlockFormat):
        return _assemble(
            [("easy values", as_float32(both_signs(easy))), ("undecided", as_float32(thirds))]
        )
    blocks = _smoke_blocks(easy, thirds, fmt)
    if op == "quantize":
        return _assemble([("easy values", as_float32(blocks))])
    rng = np.random.default_rng(_SEED)
    shape = (10, fmt.block_size)
    codes = rng.permuted(np.resize(np.arange(fmt.element.code_count), shape), axis=1)
    scales = np.arange(120, 130, dtype=np.uint8)[:, None]
    return Stimuli((codes.astype(np.uint8), scales), (Group("easy values", 0, 10),))


def _smoke_blocks(
    easy: NDArray[np.uint32], thirds: NDArray[np.uint32], fmt: BlockFormat
) -> NDArray[np.uint32]:
    k, element = fmt.block_size, fmt.element
    rng = np.random.default_rng(_SEED)
    rows = []
    for i, exponent in enumerate((0, 0, 1, -1, 3, -3, 8, -8, 20)):
        drawn = rng.choice(easy, k) | np.where(rng.integers(0, 2, k), SIGN, 0).astype(np.uint32)
        drawn[i % k] = bits_of([element.max])[0]
        rows.append(times_power_of_two(drawn.astype(np.uint32), exponent))
    last = np.resize(thirds, k)
    last[0] = bits_of([element.max])[0]
    return np.stack([*rows, last])


def _assemble(parts: list[tuple[str, NDArray[Any]]]) -> Stimuli:
    groups, start = [], 0
    for name, values in parts:
        groups.append(Group(name, start, start + len(values)))
        start += len(values)
    return Stimuli((np.concatenate([values for _, values in parts]),), tuple(groups))
