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
from mxref.quality._candidates import Candidate, top_codes
from mxref.quality._cost import cost
from mxref.relatives.bdr_format import BDRFormat
from mxref.show._input import read_number

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
    groups: dict[tuple[Any, ...], list[tuple[Candidate, Any]]] = {}
    for candidate in chosen:
        q = candidate.quantize(x)
        groups.setdefault((candidate.format.name, *_key(q)), []).append((candidate, q))
    found = [_outcome(x, group) for group in groups.values()]
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


def _key(q: Any) -> tuple[Any, ...]:
    whole = getattr(q, "global_scale", None)
    subscales = getattr(q, "subscales", None)
    return (
        q.codes.tobytes(),
        np.asarray(q.scales).tobytes(),
        None if subscales is None else subscales.tobytes(),
        None if whole is None else np.float32(whole).tobytes(),
        q.dequantize().tobytes(),
    )


def _outcome(x: NDArray[Any], group: list[tuple[Candidate, Any]]) -> Outcome:
    from mxref.show.diff._scaling import scale_values

    group.sort(key=lambda pair: not pair[0].is_default)
    candidate, q = group[0]
    fmt = candidate.format
    scales = np.asarray(q.scales).reshape(-1)
    bits = scales if scales.dtype == np.uint8 else scales.view(np.uint32)
    whole = getattr(q, "global_scale", None)
    values = q.dequantize()
    wide = x.astype(np.float64)
    tops = top_codes(fmt)[q.codes]
    is_beyond = np.abs(wide) > np.abs(values.astype(np.float64))
    return Outcome(
        format=fmt.name,
        rules=tuple(c.rule for c, _ in group),
        policies=tuple(str(c.policy) for c, _ in group),
        is_default=candidate.is_default,
        codes=tuple(q.codes.tolist()),
        code_bits=fmt.code_bits if isinstance(fmt, BDRFormat) else fmt.element.bits,
        scales=tuple(scales.tolist()),
        scale_values=tuple(scale_values(bits, fmt).tolist()),
        subscales=_subscales(q, len(x)),
        global_scale=None if whole is None else float(whole),
        values=tuple(values.astype(np.float64).tolist()),
        errors=tuple(_error(a, b) for a, b in zip(wide.tolist(), values.tolist(), strict=True)),
        saturated=tuple((tops & is_beyond).tolist()),
        flushed=tuple(((wide != 0) & (values == 0)).tolist()),
        bits_per_element=float(cost(fmt).bits_per_element),
    )


def _subscales(q: Any, count: int) -> tuple[int, ...]:
    """Return the sub-scales of the sub-blocks that hold the numbers."""
    if getattr(q, "subscales", None) is None:
        return ()
    return tuple(q.subscales.tolist()[: -(-count // q.format.k2)])


def _error(number: float, value: float) -> Fraction | None:
    if not np.isfinite(number) or not np.isfinite(value):
        return None
    return Fraction(value) - Fraction(number)
