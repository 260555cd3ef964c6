"""Tensors designed to tell recipes and faults of NVFP4 apart, and encoded ones for decoders.

Where the largest magnitude is 2688 times a power of two, the scale of the tensor is that power, and
nothing rounds before E4M3 and E2M1 do: ties can be laid out to the bit. Where it is not, every
order of operations rounds in its own way, and elements next to ties show which.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mxref.faults.decode import element_table
from mxref.faults.nvfp4_model import E4M3

__all__ = ["Encoded", "Stimulus", "encoded", "stimuli"]

_SIZE, _WIDTH = 16, 64  # elements a block and a line
_TOP, _MOST = 448.0, 2688.0
_TIES = np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0])
_SCALES = element_table(E4M3)[1:0x7F]  # every finite scale but zero
_Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stimulus:
    """One tensor to be quantized.

    Attributes
    ----------
    name : str
        What it shows.
    x : ndarray of float32, shape (n, 64)
        `n` is a multiple of 16, so that 16 x 16 blocks fit as well.
    special : str
        ``"nan"`` or ``"inf"`` where it holds some; a target may refuse them.
    """

    name: str
    x: NDArray[np.float32]
    special: str = ""


def stimuli(level: str = "core") -> tuple[Stimulus, ...]:
    """Return the tensors; ``"smoke"``: the easy ones, ``"core"``: all, ``"full"``: more numbers.

    Examples
    --------
    >>> [s.name for s in stimuli("smoke")]
    ['ordinary numbers', 'a tensor of zeros']
    >>> all(s.x.shape[0] % 16 == 0 for s in stimuli())
    True
    """
    rng = np.random.default_rng(4)
    easy = (
        Stimulus("ordinary numbers", _lines(_ordinary(rng, 256))),
        Stimulus("a tensor of zeros", _lines(np.zeros((64, _SIZE)))),
    )
    if level == "smoke":
        return easy
    more = 1 << 16 if level in ("full", "exhaustive") else 1024
    return (*easy, *_exact(rng), *_rounded(rng, more), *_ends(rng), *_specials(rng))


def _lines(blocks: _Rows) -> NDArray[np.float32]:
    """Blocks in lines of four, the last line and the last 16 lines filled up with small numbers."""
    per = _SIZE * _WIDTH // _SIZE  # blocks in 16 lines
    missing = -len(blocks) % per
    filled = np.concatenate([blocks, np.tile(blocks[:1] * 0.5, (missing, 1))])
    return np.ascontiguousarray(filled.reshape(-1, _WIDTH), dtype=np.float32)


def _ordinary(rng: np.random.Generator, n: int) -> _Rows:
    return np.asarray(rng.standard_normal((n, _SIZE)) * np.exp(rng.standard_normal((n, 1))))


def _anchor(g: float) -> _Rows:
    """A block with the largest magnitude of the tensor."""
    block = np.zeros((1, _SIZE))
    block[0, :4] = np.array([1, -1, 0.5, 0.25]) * _MOST * g
    return block


def _near(values: _Rows, steps: int) -> _Rows:
    """Numbers some float32 away, the way from zero counted as up."""
    narrow = values.astype(np.float32)
    bits = narrow.view(np.int32) + np.int32(steps)
    moved = bits.view(np.float32).astype(np.float64)
    return np.asarray(np.where(values == 0, 0.0, moved))


# --- a power of two as the scale of the tensor ----------------------------------------------------


def _exact(rng: np.random.Generator) -> Iterator[Stimulus]:
    for power in (0, -20):
        g = 2.0**power
        yield Stimulus(f"every tie under every scale, g = 2^{power}", _lines(_ties(g)))
    g = 2.0**-3
    yield Stimulus("ties of scales", _lines(np.concatenate([_anchor(g), _scale_ties(rng, g)])))
    yield Stimulus("one large value in each place", _lines(_places()))
    quarters = rng.integers(-24, 25, (256, _SIZE)) / 4.0  # block scales are all there is to it
    quarters[0, 0] = _MOST
    yield Stimulus("quarters", _lines(quarters))


def _ties(g: float) -> _Rows:
    """For every scale a block with each tie, one with what lies beside it, and all codes."""
    signs = np.where(np.arange(14) < 7, 1.0, -1.0)
    both = np.concatenate([_TIES, _TIES]) * signs
    codes = np.concatenate([element_values()[1:7], -element_values()[1:8], [0.0]])
    rows = [_anchor(g)]
    for unit in _SCALES * g:
        for steps in (0, 1, -1):
            block = np.zeros((1, _SIZE))
            block[0, 0], block[0, 15] = 6 * unit, -0.0
            block[0, 1:15] = _near(both * unit, steps)
            rows.append(block)
        block = np.zeros((1, _SIZE))
        block[0, 0], block[0, 1:15], block[0, 15] = 6 * unit, codes * unit, -0.1 * unit
        rows.append(block)
    return np.concatenate(rows)


def element_values() -> _Rows:
    """The magnitudes of E2M1."""
    return np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def _scale_ties(rng: np.random.Generator, g: float) -> _Rows:
    """Block maxima half way between neighbouring scales, and next to it."""
    middles = np.concatenate([[_SCALES[0] / 2], (_SCALES[:-1] + _SCALES[1:]) / 2])
    rows = []
    for steps in (0, 1, -1):
        largest = _near(6 * middles * g, steps)
        block = rng.uniform(-0.95, 0.95, (len(middles), _SIZE)) * largest[:, None]
        block[np.arange(len(middles)), np.arange(len(middles)) % _SIZE] = largest
        rows.append(block)
    return np.concatenate(rows)


def _places() -> _Rows:
    """A large number in each of the 16 places, beside blocks 64 times larger, of either sign."""
    rows = [_anchor(1.0)]
    for sign in (1.0, -1.0):
        for place in range(_SIZE):
            block = np.tile([0.3, -0.7, 1.1, -1.9], (1, 4))
            block[0, place] = sign * 11.7
            rows += [block, 64 * np.roll(block, 5, axis=1)]
    return np.concatenate(rows)


# --- scales of the tensor that round --------------------------------------------------------------


def _rounded(rng: np.random.Generator, n: int) -> Iterator[Stimulus]:
    for amax in (1.0, 3.1, 5e-3, 777.7, 6.0):
        yield Stimulus(f"next to ties, amax = {amax:g}", _lines(_beside(rng, n // 4, amax)))
    yield Stimulus("many numbers", _lines(_ordinary(rng, n)))


def _beside(rng: np.random.Generator, n: int, amax: float) -> _Rows:
    """Elements within a few float32 of ties under the scales that any recipe would choose."""
    g = amax / _MOST
    largest = amax * 2.0 ** -rng.uniform(0, 8, n)
    largest[0] = amax
    wanted = largest / 6 / g
    at = np.searchsorted(_SCALES, wanted).clip(1, len(_SCALES) - 1)
    below, above = _SCALES[at - 1], _SCALES[at]
    scale = np.where(wanted - below < above - wanted, below, above)
    ties = rng.choice(np.concatenate([_TIES, -_TIES]), (n, _SIZE))
    block = _near(ties * (scale * g)[:, None], 0)
    narrow = block.astype(np.float32).view(np.int32) + rng.integers(-2, 3, block.shape, np.int32)
    block = narrow.view(np.float32).astype(np.float64)
    block = np.asarray(np.clip(block, -largest[:, None], largest[:, None]), np.float64)
    block[:, 0] = largest
    return block


def _ends(rng: np.random.Generator) -> Iterator[Stimulus]:
    """Blocks next to nothing beside a large one, and tensors at the ends of float32."""
    powers = np.arange(-3, 40)
    units = np.concatenate([2.0**-powers, 1.3 * 2.0**-powers])
    rows = rng.uniform(-1, 1, (len(units), _SIZE)) * (6 * units)[:, None]
    rows[:, 3] = -6 * units
    rows[5] = 0.0
    rows[6, ::2] = -0.0
    rows[6, 1::2] = 0.0
    for g, name in ((1.0, "1"), (3e-3 / _MOST, "inexact")):
        blocks = np.concatenate([_anchor(g), rows * g, np.zeros((2, _SIZE))])
        yield Stimulus(f"tiny blocks beside a large one, g = {name}", _lines(blocks))
    ordinary = _ordinary(rng, 64)
    ordinary /= np.abs(ordinary).max()
    for amax, name in (
        (3e38, "the largest numbers"),
        (2.0**-120, "small numbers"),
        (2.0**-126, "the smallest normal numbers"),
        (2.0**-140, "subnormal numbers"),
    ):
        yield Stimulus(name, _lines(ordinary * amax))


def _specials(rng: np.random.Generator) -> Iterator[Stimulus]:
    for special, value in (("nan", np.nan), ("inf", np.inf)):
        rows = _ordinary(rng, 64)
        for i in range(_SIZE):
            rows[2 * i, i] = value if i % 2 else -value
        rows[40] = value
        yield Stimulus(f"{special} in every place", _lines(rows), special)


# --- for decoders ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Encoded:
    """One tensor to be decoded: every element code under every scale code without a sign.

    Attributes
    ----------
    name : str
        What it shows.
    codes, scales : ndarray of uint8, shape (n, 64) and (n, 4)
    global_scale : float32
    """

    name: str
    codes: NDArray[np.uint8]
    scales: NDArray[np.uint8]
    global_scale: np.float32


def encoded(level: str = "core") -> tuple[Encoded, ...]:
    """Return the tensors; they differ in the global scale and in the order of codes.

    Examples
    --------
    >>> [(e.name, e.codes.shape) for e in encoded("smoke")]
    [('global scale 1', (128, 64)), ('global scale 3', (128, 64))]
    """
    rng = np.random.default_rng(5)
    numbers = [1.0, 3.0]
    if level != "smoke":
        # 0.3 rounds everywhere; the others give subnormal numbers, and overflow.
        numbers += [0.3, 1.1 * 2.0**-20, 1.7 * 2.0**-126, 2.0**-140, 1.3 * 2.0**120]
        numbers += list(np.exp2(rng.uniform(-60, 60, 16 if level in ("full", "exhaustive") else 2)))
    return tuple(_encoded(rng, np.float32(g)) for g in numbers)


def _encoded(rng: np.random.Generator, g: np.float32) -> Encoded:
    blocks = 4 * 0x80  # 128 lines: one tile of the order in which tensor cores read scales
    codes = rng.permuted(np.tile(np.arange(16, dtype=np.uint8), (blocks, 1)), axis=1)
    scales = rng.permutation(np.arange(blocks) % 0x80).astype(np.uint8)
    shape = (-1, _WIDTH)
    return Encoded(f"global scale {g:.9g}", codes.reshape(shape), scales.reshape(-1, 4), g)
