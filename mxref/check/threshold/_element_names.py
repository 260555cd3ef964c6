"""Gives a name to the rounding of an encoder, from where it steps between neighbouring values."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import numpy as np

from mxref.check.parts import Inference
from mxref.check.threshold._bisect import Course
from mxref.check.threshold._element_steps import (
    ROUNDINGS,
    Gap,
    Steps,
    fitting_roundings,
    magnitude_text,
    steps_at,
)
from mxref.check.threshold._scale_steps import decimal, describe_step
from mxref.exact.number import quantum

__all__ = ["WORDS", "goes_back", "rounding_inference"]

WORDS = {
    "nearest-even": "ties to even",
    "nearest-away": "ties away from zero",
    "nearest-down": "ties toward zero",
    "toward-zero": "truncation",
    "up": "rounding toward +infinity",
    "down": "rounding toward -infinity",
    "to-odd": "rounding to odd",
    "away from zero": "rounding away from zero",
}
"""Roundings in words; those that no policy has are words already."""

_PLACES = {
    "normal": "in normals",
    "boundary": "between subnormals and normals",
    "subnormal": "in subnormals",
    "zero": "between zero and the least value",
}
_NAMED_ONE_BY_ONE = 3
_MOST = 0.5  # share of gaps without a single step from which on naming them says nothing
_LEAST_NORMAL = 0x0080_0000  # 2^-126 as float32


# --- rounding -----------------------------------------------------------------------------------


def rounding_inference(steps: Steps) -> Inference:
    """Name the rounding inside the range."""
    reach = "" if steps.beyond else f", seen up to {decimal(steps.gaps[-1].ends[1])}"
    names = fitting_roundings(steps.gaps, steps.inside)
    if names:
        is_choice = names[0] in ROUNDINGS
        same = f"; here the same as {', '.join(names[1:])}" if names[1:] else ""
        text = f"{names[0]}{same}" if is_choice else f"{names[0]}: no published rounding"
        return Inference("rounding", f"{text}{reach}", names[0] if is_choice else "")
    if rounding := _without_subnormal_input(steps):
        text = f"{rounding}, subnormal input being read as zero: input_subnormal=flush"
        return Inference("rounding", f"{text}{reach}", rounding)
    if flushed := _flushed(steps):
        rounding, how = flushed
        text = f"{rounding} in normals, and {how} becomes zero: element_subnormal=flush"
        return Inference("rounding", f"{text}{reach}", "E7")
    if found := _twice(steps):
        rounding, narrow, how = found
        text = f"{rounding} of numbers first {how} to {narrow}: rounded twice"
        fault = {("bfloat16", "rounded"): "E21", ("float16", "rounded"): "E22"}
        return Inference("rounding", f"{text}{reach}", fault.get((narrow, how), "E23"))
    is_exact = all(course.is_exact for course in steps.inside)
    if text := _lost(steps):
        return Inference("rounding", f"{text}{reach}", "", is_exact)
    return Inference("rounding", f"{_by_class(steps)}: no published rounding{reach}", "", is_exact)


def _lost(steps: Steps) -> str:
    """Say so where many gaps have no single step, instead of a list of them."""
    pairs = list(zip(steps.gaps, steps.inside, strict=True))
    of_all = f"of {len(pairs):,} gaps between neighbouring values"
    falling = sum(goes_back(course) for _, course in pairs)
    if falling > _NAMED_ONE_BY_ONE:  # no rounding does that even once
        said = f"the codes go up and down in {falling:,} {of_all}"
        return f"{said}: they depend on something else than the number"
    lost = [(g, c) for g, c in pairs if len(c.values) > 1 and c.values != (g.low, g.low + 1)]
    if len(lost) <= _MOST * len(pairs):
        return ""
    gap, course = lost[0]
    said = f"no single step in {len(lost):,} {of_all}, such as between {gap}: {_runs(course)}"
    return f"{said}: no published rounding"


def goes_back(course: Course) -> bool:
    """Whether a larger number gets a smaller code somewhere.

    Examples
    --------
    >>> goes_back(Course((1, 2, 3), (0, 1, 0))), goes_back(Course((1, 2), (0, 1)))
    (True, False)
    """
    return any(after < before for before, after in pairwise(course.values))


def _by_class(steps: Steps) -> str:
    pairs = list(zip(steps.gaps, steps.inside, strict=True))
    groups: list[tuple[set[str], list[str]]] = []
    strange: list[tuple[Gap, Course]] = []
    for kind, place in _PLACES.items():
        members = [pair for pair in pairs if pair[0].kind == kind]
        if not members:
            continue
        fitting = set(fitting_roundings(*zip(*members, strict=True)))
        if not fitting:
            strange += members
        shared = next((group for group in groups if group[0] & fitting), None)
        if shared is not None:
            shared[0].intersection_update(fitting)
            shared[1].append(place)
        elif fitting:
            groups.append((fitting, [place]))
    order = [*ROUNDINGS, *WORDS]
    parts = []
    for names, places in groups:
        first = min(names, key=lambda n: order.index(n) if n in order else len(order))
        parts.append(f"{WORDS.get(first, first)} {' and '.join(places)}")
    return "; ".join([*parts, *_one_by_one(strange)])


def _one_by_one(pairs: list[tuple[Gap, Course]]) -> Iterator[str]:
    """Speak of gaps whose class no rounding explains, last of those that ties to even explains."""
    odd = [p for p in pairs if not steps_at(p[1], p[0], ROUNDINGS["nearest-even"](p[0]))]
    for gap, course in odd[:_NAMED_ONE_BY_ONE]:
        yield f"between {gap} {_course_text(gap, course)}"
    if len(odd) > _NAMED_ONE_BY_ONE:
        yield f"likewise in {len(odd) - _NAMED_ONE_BY_ONE} more of {len(pairs)} such gaps"
    if len(odd) < len(pairs):
        yield f"ties to even in {len(pairs) - len(odd)} others"


def _course_text(gap: Gap, course: Course) -> str:
    if course.values == (gap.low, gap.low + 1):
        text = describe_step(course.starts[1], "the step")
        return f"{text}, not {decimal(gap.middle)}"
    if len(course.values) == 1:
        return f"always magnitude {magnitude_text(int(course.values[0]))}"
    return f"no single step: {_runs(course)}"


def _runs(course: Course) -> str:
    runs = zip(course.values[:4], course.starts[:4], strict=True)
    said = ", ".join(f"{magnitude_text(int(value))} from {decimal(start)}" for value, start in runs)
    return f"{said}{' ...' if len(course.values) > 4 else ''}"


def _without_subnormal_input(steps: Steps) -> str:
    """Which rounding fits if float32 subnormals are read as zero; empty if none does."""
    pairs = list(zip(steps.gaps, steps.inside, strict=True))
    for name, threshold in ROUNDINGS.items():
        if all(steps_at(c, gap, max(threshold(gap), _LEAST_NORMAL)) for gap, c in pairs):
            return name
    return ""


def _flushed(steps: Steps) -> tuple[str, str] | None:
    """Whether subnormals are lost; the rounding elsewhere, and which numbers are lost."""
    pairs = list(zip(steps.gaps, steps.inside, strict=True))
    normal = [pair for pair in pairs if pair[0].kind == "normal"]
    below = [course for gap, course in pairs if gap.kind in {"zero", "subnormal"}]
    border = [pair for pair in pairs if pair[0].kind == "boundary"]
    if not normal or not border or any(course.values != (0,) for course in below):
        return None
    if any(course.values != (0, gap.low + 1) for gap, course in border):
        return None
    for name in fitting_roundings(*zip(*normal, strict=True)):
        if name not in ROUNDINGS:
            continue
        if all(course.step == gap.ends[1] for gap, course in border):
            return name, "every number below the least normal one"
        if all(course.step == ROUNDINGS[name](gap) for gap, course in border):
            return name, "every number that rounds to a subnormal one"
    return None


# --- twice rounded --------------------------------------------------------------------------------

_NARROW = {"bfloat16": (7, -126), "float16": (10, -14)}


def _twice(steps: Steps) -> tuple[str, str, str] | None:
    """Which rounding, after which type and how it was reached, divides all gaps as seen."""
    pairs = list(zip(steps.gaps, steps.inside, strict=True))
    for narrow in _NARROW:
        for how in ("rounded", "cut"):
            for rounding in ("nearest-even", "nearest-away", "nearest-down", "toward-zero"):
                at = functools.partial(_narrowed_threshold, rounding, narrow, how)
                if all(steps_at(course, gap, at(gap)) for gap, course in pairs):
                    return rounding, narrow, how
    return None


def _narrowed_threshold(rounding: str, narrow: str, how: str, gap: Gap) -> int:
    """The first float32 whose narrowed value lies at or beyond the threshold of a rounding."""
    threshold = Fraction(_value(ROUNDINGS[rounding](gap)))
    # "The number behind the middle" means anything above it here: narrowed numbers are far apart.
    is_strict = threshold == _value(gap.middle + 1)
    edge = _value(gap.middle) if is_strict else threshold
    low, high = gap.ends
    while high - low > 1:
        middle = (low + high) // 2
        narrowed = _narrowed(_value(middle), narrow, how)
        if narrowed > edge or (narrowed == edge and not is_strict):
            high = middle
        else:
            low = middle
    return high


def _value(bits: int) -> Fraction:
    return Fraction(float(np.array([bits], np.uint32).view(np.float32)[0]))


def _narrowed(value: Fraction, narrow: str, how: str) -> Fraction:
    step = quantum(value, *_NARROW[narrow])
    return (value // step if how == "cut" else round(value / step)) * step
