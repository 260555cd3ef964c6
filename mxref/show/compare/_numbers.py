"""A few numbers in every format with every rule: their codes, what these are worth, the error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.quality._candidates import Candidate
from mxref.quality._cost import cost
from mxref.relatives.bdr_format import BDRFormat, ScaleKind
from mxref.show._input import read_number
from mxref.show.compare._exact import Made, is_top, made, scale_value

__all__ = ["MOST", "Outcome", "as_numbers", "outcomes"]

MOST = 32
"""As many numbers are shown code by code; more are measured."""

_DTYPE_OF = {name: dtype for dtype, name in inputs.SOURCE_OF.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one format makes of the numbers, and the rules under which it does.

    Attributes
    ----------
    format : str
    rules : tuple of str
        All that give these bits; the format's default, if among them, is first.
    policies : tuple of str
        The same, complete.
    is_default, is_best : bool
        Whether the default is among the rules, and whether no other outcome of the format has a
        smaller mean square error.
    codes : tuple of int
        Of each number.
    code_bits : int
    scales : tuple of int or float
        Scale code of each block, or a float32 scale.
    scale_values : tuple of float
        What they mean.
    subscales : tuple of int
        BDR formats' second scales, of the sub-blocks that hold the numbers.
    global_scale : float or None
        NVFP4's.
    values : tuple of float
        What the codes are worth.
    errors : tuple of Fraction or None
        Value minus number, exactly; None where one is no number.
    saturated, flushed : tuple of bool
        Which were clamped, and which became zero though they were not.
    bits_per_element : float
    """

    format: str
    rules: tuple[str, ...]
    policies: tuple[str, ...]
    is_default: bool
    is_best: bool = False
    codes: tuple[int, ...]
    code_bits: int
    scales: tuple[float, ...]
    scale_values: tuple[float, ...]
    subscales: tuple[int, ...]
    global_scale: float | None
    values: tuple[float, ...]
    errors: tuple[Fraction | None, ...]
    saturated: tuple[bool, ...]
    flushed: tuple[bool, ...]
    bits_per_element: float

    @property
    def mean_square(self) -> Fraction | None:
        """The mean square error, exactly; None if an error is no number."""
        known = [e for e in self.errors if e is not None]
        if len(known) < len(self.errors):
            return None
        return sum((e * e for e in known), Fraction(0)) / len(known)

    @property
    def largest(self) -> int | None:
        """Which number has the largest error; None if none has any."""
        sizes = [abs(e) if e is not None else Fraction(-1) for e in self.errors]
        at = max(range(len(sizes)), key=sizes.__getitem__)
        return at if sizes[at] > 0 else None


def as_numbers(x: Any) -> NDArray[Any] | None:
    """Return the numbers, if `x` is one, or a list or a vector of at most 32.

    A float counts as float64 and text as the nearest float32, unless it says otherwise, as in
    `mxref.explain`. None is returned for anything larger, or of more axes.

    Raises
    ------
    TypeError, ValueError
        If text is no number, or one type cannot hold what was given.

    Examples
    --------
    >>> as_numbers("1.3").dtype, as_numbers([1, 2.5]).dtype, as_numbers(np.zeros((2, 2)))
    (dtype('float32'), dtype('float64'), None)
    """
    if isinstance(x, str) and Path(x).suffix:
        _refuse_file(x)
    if isinstance(x, str) or np.isscalar(x) or isinstance(x, Fraction):
        return _read([x])
    if isinstance(x, Sequence) and len(x) <= MOST:
        if not any(isinstance(each, str) for each in x):
            return _short(np.asarray(x, np.float64)) if len(x) and _is_flat(x) else None
        return _read(x)
    return _short(x) if hasattr(x, "shape") and hasattr(x, "dtype") else None


def _refuse_file(text: str) -> None:
    try:
        read_number(text)
    except ValueError:
        if not Path(text).suffix[1:2].isalpha():
            raise
        raise ValueError(
            f"{text!r} is no number; if it is a file, compare what it holds, "
            f"mxref.compare(numpy.load({text!r})), or use the command 'mxref compare {text}'"
        ) from None


def _is_flat(x: Sequence[Any]) -> bool:
    return all(np.ndim(each) == 0 for each in x)


def _short(x: Any) -> NDArray[Any] | None:
    if len(x.shape) > 1 or not 1 <= int(np.prod(x.shape)) <= MOST:
        return None
    return inputs.as_float(x)[0].reshape(-1)


def _read(given: Iterable[Any]) -> NDArray[Any]:
    read = [read_number(each) for each in given]
    sources = {each.source or "float64" for each in read}
    source = sources.pop() if len(sources) == 1 else "float64"
    values = []
    for each in read:
        if each.source is None or each.bits is None:
            values.append(float(each.number.value))
            continue
        dtype = np.dtype(_DTYPE_OF[each.source])
        bits = np.array([each.bits], f"u{dtype.itemsize}")
        values.append(float(bits.view(dtype)[0]))
    return np.array(values, np.float64).astype(_DTYPE_OF[source])


# --- outcomes ---------------------------------------------------------------------------------


def outcomes(x: NDArray[Any], chosen: Sequence[Candidate]) -> tuple[Outcome, ...]:
    """Convert numbers in every way, and put together the rules that give the same bits.

    Parameters
    ----------
    x : array, shape (n,)
        They begin a block; zeros complete it.
    chosen : sequence of Candidate

    Returns
    -------
    tuple of Outcome
        By format, those with most bits first; then by error.
    """
    groups: dict[tuple[str, Made], list[Candidate]] = {}
    for candidate in chosen:
        groups.setdefault((candidate.format.name, made(x, candidate)), []).append(candidate)
    found = [_outcome(x, group, q) for (_, q), group in groups.items()]
    best: dict[str, Fraction] = {}
    for each in found:
        square = each.mean_square
        if square is not None:
            best[each.format] = min(best.get(each.format, square), square)
    order = {c.format.name: i for i, c in enumerate(chosen)}
    marked = [_marked(each, best.get(each.format)) for each in found]
    marked.sort(key=lambda o: (-o.bits_per_element, order[o.format], not o.is_best, _rank(o)))
    return tuple(marked)


def _rank(outcome: Outcome) -> float:
    square = outcome.mean_square
    return float("inf") if square is None else float(square)


def _marked(outcome: Outcome, best: Fraction | None) -> Outcome:
    return replace(outcome, is_best=best is not None and outcome.mean_square == best)


def _outcome(x: NDArray[Any], group: list[Candidate], q: Made) -> Outcome:
    group.sort(key=lambda candidate: not candidate.is_default)
    fmt = group[0].format
    is_float = isinstance(fmt, BDRFormat) and fmt.scale is ScaleKind.FLOAT32
    scales = _floats(q.scales) if is_float else q.scales
    values = _floats(q.bits)
    wide = x.astype(np.float64)
    beyond = (np.abs(wide) > np.abs(values)).tolist()
    return Outcome(
        format=fmt.name,
        rules=tuple(c.rule for c in group),
        policies=tuple(str(c.policy) for c in group),
        is_default=group[0].is_default,
        codes=q.codes,
        code_bits=fmt.code_bits if isinstance(fmt, BDRFormat) else fmt.element.bits,
        scales=scales,
        scale_values=tuple(scale_value(scale, fmt) for scale in q.scales),
        subscales=_shown(q.subscales, len(x), fmt),
        global_scale=None if q.global_scale is None else _floats([q.global_scale])[0],
        values=values,
        errors=tuple(_error(a, b) for a, b in zip(wide.tolist(), values, strict=True)),
        saturated=tuple(b and is_top(c, fmt) for b, c in zip(beyond, q.codes, strict=True)),
        flushed=tuple(a != 0 and b == 0 for a, b in zip(wide.tolist(), values, strict=True)),
        bits_per_element=float(cost(fmt).bits_per_element),
    )


def _shown(subscales: tuple[int, ...], count: int, fmt: Any) -> tuple[int, ...]:
    """Return the sub-scales of the sub-blocks that hold the numbers."""
    return subscales[: -(-count // fmt.k2)] if subscales else ()


def _floats(bits: Sequence[int]) -> tuple[float, ...]:
    """Return the numbers that bits of float32 stand for."""
    return tuple(np.array(bits, np.uint32).view(np.float32).astype(np.float64).tolist())


def _error(number: float, value: float) -> Fraction | None:
    if not np.isfinite(number) or not np.isfinite(value):
        return None
    return Fraction(value) - Fraction(number)
