"""Reads off an encoder what it does beyond its range: overflow, infinity, NaN, negative zeros."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.check._guard import RefusalError
from mxref.check._landmarks import INF, SIGN, as_float32, bits_of, magnitudes
from mxref.check.parts import Inference
from mxref.check.threshold._bisect import Course
from mxref.check.threshold._element_names import goes_back
from mxref.check.threshold._element_steps import Encode, Steps, magnitude_text
from mxref.check.threshold._scale_steps import decimal, describe_step
from mxref.formats import ElementFormat, Kind
from mxref.policy import Policy

__all__ = ["overflow_inference", "special_inferences"]

_NANS = (0x7FC0_0000, 0xFFC0_0000, 0x7FA0_0001, 0xFFE1_2345)
_TINY = 0x0080_0000  # normal: whether subnormals are read as zero is another question
_LARGEST = 0x7F7F_FFFF
_SIGN_WORDS = {
    "keep": "keeps its sign",
    "drop": "loses its sign",
    "drop-input": "loses its sign, but an underflow keeps it",
}


# --- overflow -------------------------------------------------------------------------------------


def overflow_inference(
    steps: Steps, element: ElementFormat, rounding: str, infinities: tuple[int, ...] | None
) -> Inference:
    """Say what becomes of numbers beyond the largest one.

    Parameters
    ----------
    steps : Steps
        Which went beyond.
    element : ElementFormat
    rounding : str
        As inferred; empty if it has no name.
    infinities : tuple of int or None
        Codes of both infinities, if they are known.
    """
    said = [_beyond_text(course, element) for course in steps.beyond]
    text = said[0] if said[0] == said[1] else f"{said[0]}; of the negative numbers {said[1]}"
    if infinities is not None:
        text += f"; infinity gives {' and '.join(f'0x{c:02X}' for c in dict.fromkeys(infinities))}"
    is_exact = all(course.is_exact for course in steps.beyond)
    field = "int8_min" if element.kind is Kind.FIXED else "fp8_overflow"
    if not (element.is_fp8 or element.kind is Kind.FIXED):
        is_plain = all(course.values == (element.max_magnitude,) for course in steps.beyond)
        return Inference("overflow", text if is_plain else f"{text}: not published", "", is_exact)
    base = Policy().replace(rounding=rounding or "nearest-even")
    choices = [
        str(choice)
        for choice in type(getattr(base, field))
        if _does(base.replace(**{field: str(choice)}), element, steps, infinities)
    ]
    if not choices:
        return Inference("overflow", f"{text}: no published choice", "", is_exact)
    if steps.last < _LARGEST and {"saturate", "overflow"} <= set(choices):
        text = f"numbers up to {decimal(steps.last)} at most, which round to the largest value"
        return Inference("overflow", f"{text}: any of {', '.join(choices)}", "", exact=False)
    return Inference("overflow", f"{text}: {' or '.join(choices)}", choices[0], is_exact)


def _beyond_text(course: Course, element: ElementFormat) -> str:
    if course.values == (element.max_magnitude,):
        return "every larger finite number gives the largest value"
    if len(course.values) == 2 and course.values[0] == element.max_magnitude:
        what = _magnitude_text(course.values[1], element)
        return f"{describe_step(course.starts[1], 'limit')}: beyond it {what}"
    if goes_back(course):
        return "no single limit: the codes depend on something else than the number"
    runs = list(zip(course.values, course.starts, strict=True))[:4]
    said = ", ".join(f"{_magnitude_text(v, element)} from {decimal(start)}" for v, start in runs)
    return f"no single limit: {said}"


def _magnitude_text(magnitude: int, element: ElementFormat) -> str:
    if magnitude in element.nan_magnitudes:
        return f"NaN (0x{magnitude:02X})"
    if magnitude == element.inf_magnitude:
        return f"infinity (0x{magnitude:02X})"
    if magnitude >= element.code_count:
        return "a code of the wrong sign"
    return magnitude_text(magnitude)


def _does(
    policy: Policy,
    element: ElementFormat,
    steps: Steps,
    infinities: tuple[int, ...] | None,
) -> bool:
    """Whether a policy has the same limits: looked at on both sides of each, and far beyond."""
    for sign, course in zip((0, int(SIGN)), steps.beyond, strict=True):
        values = magnitudes(element)
        step = values[-1] - values[-2]
        marks = bits_of([values[-1], values[-1] + step / 2, values[-1] + step])
        looked = {int(b) + i for b in (*marks, *course.starts, steps.last) for i in (-1, 0, 1)}
        inside = sorted(b for b in looked if course.starts[0] <= b <= steps.last)
        bits = np.array(inside, np.uint32)
        at = np.searchsorted(course.starts, bits.astype(np.int64), side="right") - 1
        codes = arrays.encode(as_float32(bits | np.uint32(sign)), element, policy)
        if not np.array_equal(_sizes(codes, element, bool(sign)), np.array(course.values)[at]):
            return False
    if infinities is None:
        return True
    codes = arrays.encode(as_float32(np.array([INF, INF | int(SIGN)], np.uint32)), element, policy)
    return tuple(_one_nan(codes, element)) == tuple(
        _one_nan(np.array(infinities, np.uint8), element)
    )


def _sizes(codes: NDArray[np.uint8], element: ElementFormat, negative: bool) -> NDArray[np.int64]:  # noqa: FBT001
    if element.kind is Kind.FIXED:
        value = codes.view(np.int8).astype(np.int64)
        return np.asarray(-value if negative else value)
    return (codes & np.uint8(element.sign_mask - 1)).astype(np.int64)


def _one_nan(codes: NDArray[np.uint8], element: ElementFormat) -> list[int]:
    """Codes, every NaN as the same: which one is a choice of its own."""
    mask = element.sign_mask - 1
    return [0x7F if (c & mask) in element.nan_magnitudes else c for c in codes.tolist()]


# --- specials -------------------------------------------------------------------------------------


def special_inferences(
    encode: Encode, element: ElementFormat, rounding: str, *, is_block: bool
) -> tuple[list[Inference], tuple[int, ...] | None]:
    """Look at NaN, infinity and the negative zeros, in a call or two.

    Returns
    -------
    list of Inference
    tuple of int or None
        Codes of the infinities; None within a block, where they would change the scale.

    Raises
    ------
    TargetError
        If the target fails on the negative zeros.
    """
    base = Policy().replace(rounding=rounding or "nearest-even")
    zeros = np.array([int(SIGN), int(SIGN) | _TINY], np.uint32)
    found: list[Inference] = []
    if element.kind is Kind.FLOAT:
        found.append(_chosen("negative zero", "neg_zero", zeros, (encode, element, base)))
    if is_block:
        return found, None
    field = "nan_payload" if element.has_nan else "nan_element"
    nans = np.array(_NANS, np.uint32)
    try:
        found.append(_chosen("NaN", field, nans, (encode, element, base)))
    except RefusalError:
        found.append(Inference("NaN", "refused: the choice raise", "raise"))
    try:
        codes = encode(as_float32(np.array([INF, INF | int(SIGN)], np.uint32)))
    except RefusalError:
        found.append(Inference("infinity", "refused: the choice raise", "raise"))
        return found, None
    return found, tuple(codes.tolist())


_Subject = tuple[Callable[[NDArray[np.float32]], NDArray[np.uint8]], ElementFormat, Policy]


def _chosen(what: str, field: str, bits: NDArray[np.uint32], of: _Subject) -> Inference:
    """Find the choices of a field that give the codes which some inputs get."""
    encode, element, base = of
    x = as_float32(bits)
    codes = encode(x)
    names = [str(choice) for choice in type(getattr(base, field)) if str(choice) != "raise"]
    fitting = [
        name
        for name in names
        if np.array_equal(arrays.encode(x, element, base.replace(**{field: name})), codes)
    ]
    said = _given_text(bits.tolist(), codes.tolist())
    if not fitting:
        return Inference(what, f"{said}: no published choice")
    if field == "neg_zero":
        words = _SIGN_WORDS[fitting[0]]
        return Inference(what, f"{words} ({said}): {' or '.join(fitting)}", fitting[0])
    return Inference(what, f"{said}: {' or '.join(fitting)}", fitting[0])


def _given_text(bits: list[int], codes: list[int]) -> str:
    """Say which inputs give which code, those with the same code together."""
    groups: dict[int, list[str]] = {}
    for pattern, code in zip(bits, codes, strict=True):
        groups.setdefault(code, []).append(_input_text(pattern))
    return ", ".join(
        f"{' and '.join(names)} {'give' if len(names) > 1 else 'gives'} 0x{code:02X}"
        for code, names in groups.items()
    )


def _input_text(bits: int) -> str:
    return {int(SIGN): "-0", int(SIGN) | _TINY: "-2^-126"}.get(bits, f"0x{bits:08X}")
