"""What given codes say about an encoder's rounding and overflow, and what more would decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mxref.check._landmarks import magnitudes
from mxref.check._problem import Problem, spread
from mxref.check.parts import Inference
from mxref.check.threshold._element_names import WORDS
from mxref.check.threshold._element_steps import (
    ROUNDINGS,
    UNPUBLISHED,
    Gap,
    code_magnitudes,
    gaps_of,
    magnitude_text,
)
from mxref.check.threshold._scale_steps import decimal
from mxref.faults.encoder import Bools, as_float64
from mxref.formats import ElementFormat

__all__ = ["given_elements"]

_ELEMENTS = 1 << 16
_NAN = 0xFF
_BIAS = 127


@dataclass(frozen=True, slots=True)
class _Sample:
    """Elements in units of their scale: magnitudes, signs, and magnitudes of the codes."""

    size: NDArray[np.float64]
    negative: Bools
    magnitude: NDArray[np.int64]


def given_elements(problem: Problem) -> Iterator[Inference]:
    """Yield the rounding, and for data beyond the range of the element the overflow."""
    element = problem.fmt.element
    sample = _sample(problem)
    yield _rounding(sample, element)
    beyond = sample.size > float(element.max)
    if beyond.any():
        yield _overflow(sample.size[beyond], sample.magnitude[beyond], element)


def _sample(problem: Problem) -> _Sample:
    limit = max(1, _ELEMENTS // problem.fmt.block_size)
    piece = problem.take(spread(np.arange(problem.n_blocks), limit))
    x = as_float64(piece.x)
    exponent = np.where(piece.scales == _NAN, 0, piece.scales.astype(np.int64) - _BIAS)
    scaled = np.ldexp(x, -exponent[:, None])
    keep = np.isfinite(scaled) & (x != 0) & (piece.scales != _NAN)[:, None]
    if piece.used is not None:
        keep &= piece.used
    negative = np.signbit(scaled)[keep]
    codes = code_magnitudes(piece.codes[keep], negative, problem.fmt.element)
    return _Sample(np.abs(scaled[keep]), negative, codes)


# --- rounding -----------------------------------------------------------------------------------


def _rounding(sample: _Sample, element: ElementFormat) -> Inference:
    values = np.array([float(v) for v in magnitudes(element)])
    inside = sample.size < values[-1]
    size, negative = sample.size[inside], sample.negative[inside]
    low = np.searchsorted(values, size, side="right") - 1
    part = (size - values[low]) / (values[low + 1] - values[low])
    inexact = part != 0
    low, part, negative = low[inexact], part[inexact], negative[inexact]
    went = sample.magnitude[inside][inexact] - low
    gaps = gaps_of(element)
    if not len(part):
        text = "no number that needs rounding"
        return Inference("rounding", f"{text}; {_ask(gaps, list(ROUNDINGS))}", exact=False)
    ties = int(np.count_nonzero(part == 0.5))
    predicted = _predictions(low, part, negative)
    fitting = [name for name, up in predicted.items() if np.array_equal(up, went)]
    count = f"{_counted(len(part), 'number')} rounded, {_counted(ties, 'tie')} among them"
    if not fitting:
        return Inference("rounding", f"{count}: {_strange(part, went)}", "", exact=bool(ties))
    if len(fitting) > 1:
        names = ", ".join(WORDS.get(name, name) for name in fitting)
        text = f"{count}: consistent with {names}; {_ask(gaps, fitting)}"
        return Inference("rounding", text, exact=False)
    name = fitting[0]
    is_choice = name in ROUNDINGS
    text = f"{count}: {name}" if is_choice else f"{count}: {name}: no published rounding"
    return Inference("rounding", text, name if is_choice else "")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _predictions(
    low: NDArray[np.int64], part: NDArray[np.float64], negative: Bools
) -> dict[str, NDArray[np.int64]]:
    above, tie, odd = part > 0.5, part == 0.5, low % 2 == 1
    always, never = np.ones_like(tie), np.zeros_like(tie)
    up = {
        "nearest-even": above | (tie & odd),
        "nearest-away": above | tie,
        "nearest-down": above,
        "toward-zero": never,
        "up": ~negative,
        "down": negative,
        "to-odd": ~odd,
        "ties toward +infinity": above | (tie & ~negative),
        "ties toward -infinity": above | (tie & negative),
        "ties to odd": above | (tie & ~odd),
        "away from zero": always,
    }
    return {name: goes.astype(np.int64) for name, goes in up.items()}


def _strange(part: NDArray[np.float64], went: NDArray[np.int64]) -> str:
    far = (went != 0) & (went != 1)
    if far.any():
        return f"{int(far.sum()):,} of them not to a neighbour: no published rounding"
    down, up = part[went == 0], part[went == 1]
    if not len(down) or not len(up):
        return "no published rounding"
    if down.max() < up.min():
        return (
            f"up from between {down.max():.9g} and {up.min():.9g} of the way to the next value: no "
            "published rounding"
        )
    return (
        f"{down.max():.9g} of the way to the next value went down and {up.min():.9g} went up: no "
        "published rounding"
    )


def _ask(gaps: tuple[Gap, ...], names: list[str]) -> str:
    """Name a number that would tell two roundings apart."""
    every = ROUNDINGS | UNPUBLISHED
    first = every[names[0]]
    for name in names[1:]:
        for gap in gaps:
            bits = min(first(gap), every[name](gap))
            if first(gap) != every[name](gap):
                sign = "-" if gap.negative else ""
                both = f"{WORDS.get(names[0], names[0])} from {WORDS.get(name, name)}"
                return f"{sign}{decimal(bits)} times the scale (0x{bits:08X}) would tell {both}"
    raise AssertionError("no two roundings are the same in any format")


# --- overflow -------------------------------------------------------------------------------------


def _overflow(
    size: NDArray[np.float64], magnitude: NDArray[np.int64], element: ElementFormat
) -> Inference:
    stays = magnitude == element.max_magnitude
    if stays.all():
        text = (
            f"{_counted(len(size), 'number')} beyond the largest, up to {size.max():.9g}, saturate"
        )
        name = "saturate" if element.is_fp8 else ""
        return Inference("overflow", text, name, exact=False)
    others = sorted({magnitude_text(m) for m in magnitude[~stays].tolist()})
    text = f"from at most {size[~stays].min():.9g} on {' or '.join(others)}"
    if stays.any():
        text += f"; {size[stays].max():.9g} still gives the largest value"
    special = set(element.nan_magnitudes) | {element.inf_magnitude}
    is_plain = element.is_fp8 and set(magnitude[~stays].tolist()) <= special
    is_plain = is_plain and not (stays.any() and size[stays].max() > size[~stays].min())
    if not is_plain:
        return Inference("overflow", f"{text}: no published choice", exact=False)
    return Inference("overflow", f"{text}: consistent with overflow", "overflow", exact=False)
