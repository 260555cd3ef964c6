"""`compare`: takes an array apart into vectors, and measures every candidate on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref.formats import BLOCK_FORMATS
from mxref.quality._bounds import qsnr_lower_bound
from mxref.quality._candidates import Candidate, candidates
from mxref.quality._cost import cost
from mxref.quality._formats import AnyFormat
from mxref.quality._measure import Measurement, measure
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.nvfp4_format import NVFP4
from mxref.show.compare._comparison import Comparison, Row
from mxref.show.compare._few import NumbersComparison
from mxref.show.compare._numbers import as_numbers, outcomes

__all__ = ["LIMIT", "compare", "compare_array"]

LIMIT = 1 << 24
_PIECE = 1 << 14  # of a long row, if not all is measured: whole blocks of every format
_FEW = 32  # fewer rows than these are cut into vectors, so that there is an interval
_BLOCK = 32
_FOR_FEW = (*BLOCK_FORMATS, NVFP4.name)


def compare(  # what, how and how much
    x: ArrayLike | str | Fraction,
    formats: Iterable[str | AnyFormat] | str | None = None,
    rules: Sequence[str] | str | None = None,
    axis: int = -1,
    *,
    limit: int | None = LIMIT,
    name: str = "x",
    progress: Callable[[float, str], None] | None = None,
) -> Comparison | NumbersComparison:
    """Compare formats and scale rules: by quality on an array, bit by bit on a few numbers.

    Parameters
    ----------
    x : number, str, or array_like of float32, float64, float16 or bfloat16
        An array of any shape; its length needs not be a multiple of a block. Of one number, and of
        a list or a vector of at most 32, codes and values are shown; as in `mxref.explain`, text
        such as ``"1.3"`` is the nearest float32.
    formats : iterable of str, optional
        Default: the MX formats, NVFP4 and, for arrays, the BDR formats that have a name.
    rules : iterable of str, optional
        Scale rules of the MX formats (``"rceil"``), or policies of any family (``"te-2d"``,
        ``"ocp:rounding=toward-zero"``). Default: those in use; none that needs random bits.
    axis : int
        Along which blocks lie.
    limit : int or None
        If there are more elements, so many are measured, evenly spread. None: all.
    name : str
        What the table calls the array.
    progress : callable, optional
        Told the share that is done, and what comes next.

    Returns
    -------
    Comparison or NumbersComparison
        The second for a few numbers.

    Raises
    ------
    TypeError, ValueError
        If `x` holds something else, no finite number, or nothing; if it is quantized already;
        if there is no such axis, format or rule.

    Notes
    -----
    Vectors, over which confidence is judged, are the rows along `axis`; if there are fewer than
    32, they are pieces of those. NaN and infinities are replaced by zeros, and a note says so.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((64, 256)).astype(np.float32)
    >>> table = compare(x, ["mxfp4", "mx6"], rules=["floor", "rceil", "bdr-paper"])
    >>> [(row.format, row.rule, round(row.qsnr.value, 1)) for row in table]
    [('mx6', 'bdr-paper', 28.3), ('mxfp4', 'floor', 18.8), ('mxfp4', 'rceil', 18.8)]
    """
    _require_limit(limit)
    _refuse_quantized(x)
    few = as_numbers(x)
    if few is not None:
        inputs.normal_axis(axis, few.shape)
        chosen = _chosen(_FOR_FEW if formats is None else formats, rules, is_matrix=False)
        return NumbersComparison(
            tuple(few.astype(np.float64).tolist()), few.dtype.name, outcomes(few, chosen)
        )
    return compare_array(
        cast("ArrayLike", x), formats, rules, axis, limit=limit, name=name, progress=progress
    )


def compare_array(
    x: ArrayLike,
    formats: Iterable[str | AnyFormat] | str | None = None,
    rules: Sequence[str] | str | None = None,
    axis: int = -1,
    *,
    limit: int | None = LIMIT,
    name: str = "x",
    progress: Callable[[float, str], None] | None = None,
) -> Comparison:
    """Compare formats on an array of any size by their quality; see `compare`."""
    _require_limit(limit)
    _refuse_quantized(x)
    array, _ = inputs.as_float(x)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"x has shape {array.shape}; expected at least one element along an axis")
    where = inputs.normal_axis(axis, array.shape)
    chosen = _chosen(formats, rules, is_matrix=array.ndim == 2)
    matrix = np.moveaxis(array, where, -1).reshape(-1, array.shape[where])
    notes: list[str] = []
    matrix = _finite(_sampled(matrix, limit, notes), notes)
    vector = _vector(*matrix.shape)
    results = []
    for i, candidate in enumerate(chosen):
        if progress is not None:
            progress(i / len(chosen), f"{candidate.format.name} {candidate.rule}")
        results.append(measure(matrix, candidate, vector))
    return Comparison(
        rows=_rows(chosen, results, matrix.shape),
        name=name,
        dtype=array.dtype.name,
        shape=array.shape,
        axis=axis,
        vectors=matrix.size // vector,
        length=vector,
        elements=matrix.size,
        notes=tuple(notes),
    )


def _require_limit(limit: int | None) -> None:
    if limit is not None and limit < _BLOCK:
        raise ValueError(f"limit is {limit}; measure at least {_BLOCK} elements, or None for all")


def _refuse_quantized(x: Any) -> None:
    """Refuse what has been rounded: the format that it is in would seem to be without error."""
    if hasattr(x, "codes") and hasattr(x, "scales") and hasattr(x, "format"):
        raise TypeError(
            f"x is quantized already, in {x.format.name}: compare the numbers that it was made of. "
            "x.look() shows what it holds; its values are x.dequantize()"
        )


def _chosen(
    formats: Iterable[str | AnyFormat] | str | None,
    rules: Sequence[str] | str | None,
    *,
    is_matrix: bool,
) -> list[Candidate]:
    return candidates(
        [formats] if isinstance(formats, str) else formats,
        [rules] if isinstance(rules, str) else rules,
        is_matrix=is_matrix,
    )


def _sampled(matrix: NDArray[Any], limit: int | None, notes: list[str]) -> NDArray[Any]:
    """Take rows, or pieces of long ones, evenly spread."""
    if limit is None or matrix.size <= limit:
        return np.ascontiguousarray(matrix)
    total = matrix.size
    piece = min(_PIECE, limit // _BLOCK * _BLOCK)
    if matrix.shape[1] > piece:
        whole = matrix.shape[1] // piece * piece
        matrix = matrix[:, :whole].reshape(-1, piece)
    count = max(1, limit // matrix.shape[1])
    picked = np.linspace(0, len(matrix) - 1, count).round().astype(np.int64)
    taken = np.ascontiguousarray(matrix[picked])
    notes.append(
        f"Measured on {taken.size} of {total} elements, evenly spread: the largest of a "
        "whole tensor, and what is scaled by it, may be missed."
    )
    return taken


def _finite(matrix: NDArray[Any], notes: list[str]) -> NDArray[Any]:
    finite = np.isfinite(matrix)
    odd = int(matrix.size - np.count_nonzero(finite))
    if not odd:
        return matrix
    if odd == matrix.size:
        raise ValueError(
            "x holds no finite number, only NaN and infinities: nothing is left of which an error "
            "could be measured"
        )
    notes.append(f"{odd} elements are NaN or infinite; zeros stand in for them.")
    return np.where(finite, matrix, np.zeros((), matrix.dtype))


def _vector(rows: int, length: int) -> int:
    """Length of the vectors: a row, or where rows are few a piece that divides it."""
    if rows >= _FEW or length % _BLOCK:
        return length
    blocks = length // _BLOCK
    pieces = next((p for p in range(math.ceil(_FEW / rows), blocks + 1) if blocks % p == 0), 1)
    return length // pieces


def _rows(
    chosen: list[Candidate], results: list[Measurement], shape: tuple[int, ...]
) -> tuple[Row, ...]:
    best: dict[str, float] = {}
    for candidate, result in zip(chosen, results, strict=True):
        name, value = candidate.format.name, _rank(result.pooled.value)
        best[name] = max(best.get(name, -math.inf), value)
    named: set[str] = set()
    found = []
    # Of equals, the default rule is called the best.
    order = sorted(range(len(chosen)), key=lambda i: not chosen[i].is_default)
    winners = set()
    for i in order:
        name = chosen[i].format.name
        if name not in named and _rank(results[i].pooled.value) == best[name]:
            named.add(name)
            winners.add(i)
    for i, (candidate, result) in enumerate(zip(chosen, results, strict=True)):
        price = cost(candidate.format)
        found.append(
            Row(
                format=candidate.format.name,
                rule=candidate.rule,
                policy=str(candidate.policy),
                is_default=candidate.is_default,
                is_best=i in winners,
                qsnr=result.pooled,
                qsnr_of_vectors=result.mean,
                least=result.least,
                lower_bound=_bound(candidate, shape),
                max_error=result.max_error,
                saturated=result.saturated,
                flushed=result.flushed,
                lost=result.lost,
                bits_per_element=float(price.bits_per_element),
                block_accumulator_bits=price.block_accumulator_bits,
                accumulator_bits=price.accumulator_bits,
                multiplier_bits=price.multiplier_bits,
            )
        )
    found.sort(
        key=lambda r: (
            -r.bits_per_element,
            -best[r.format],
            r.format,
            -_rank(r.qsnr.value),
            not r.is_best,
        )
    )
    return tuple(found)


def _bound(candidate: Candidate, shape: tuple[int, ...]) -> float | None:
    """Bound of the pooled QSNR; of a row's as well, where no scale is shared by rows."""
    if not candidate.is_default:
        return None
    fmt = candidate.format
    is_whole = isinstance(fmt, BDRFormat) and fmt.k1 is None
    return qsnr_lower_bound(fmt, math.prod(shape) if is_whole else shape[1])


def _rank(value: float) -> float:
    return -math.inf if math.isnan(value) else value
