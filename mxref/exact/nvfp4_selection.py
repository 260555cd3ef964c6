"""What a block of NVFP4 loses under a candidate of four over six, exactly or in float32."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, assert_never

from mxref.exact.number import Number, NumberClass
from mxref.exact.nvfp4_arithmetic import fl, is_nan, over, real, times
from mxref.exact.nvfp4_scales import GlobalScales, decode_element, decode_scale, top
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_profiles import get_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["Block", "is_less", "selection_error"]


class Block(NamedTuple):
    """The codes of a block.

    Attributes
    ----------
    scale : int
        The UE4M3 code.
    codes : tuple of int
        The E2M1 codes.
    """

    scale: int
    codes: tuple[int, ...]


def is_less(a: Number, b: Number) -> bool:
    """Return whether a < b, for numbers without a sign; never if one is NaN.

    Examples
    --------
    >>> is_less(real(1), Number.inf(0)), is_less(real(1), Number.nan(0))
    (True, False)
    """
    if is_nan(a) or is_nan(b) or a.cls is NumberClass.INF:
        return False
    return b.cls is NumberClass.INF or a.magnitude < b.magnitude


def selection_error(
    block: Sequence[Number],
    candidate: Block,
    scales: GlobalScales,
    policy: NVFP4Policy | str | None = None,
) -> Number:
    """Return what a block loses under a candidate of four over six.

    Notes
    -----
    OP-NVFP4-RECIPE: selection, selection_order. Under ``float32``, 256 elements are rows of 16.

    Examples
    --------
    >>> from mxref.exact.nvfp4_scales import global_scales
    >>> six = global_scales(real(6), "te-four-over-six")
    >>> str(selection_error([real(6)], Block(0x78, (7,)), six, "te-four-over-six"))
    '0'
    """
    chosen = get_policy(policy)
    if chosen.selection_order is choice.SelectionOrder.EXACT:
        return _exact_error(block, candidate, scales, chosen)
    size = NVFP4.block_size
    rows = []
    for start in range(0, len(block), size):
        row = Number.zero(0)
        pairs = zip(block[start : start + size], candidate.codes[start : start + size], strict=True)
        for x, code in pairs:
            lost = _lost(x, code, candidate.scale, scales, chosen)
            if chosen.selection is choice.Selection.ABS_MAX:
                row = _larger(row, lost)
            else:
                row = fl(_sum(row, lost))
        rows.append(row)
    while len(rows) > 1:
        half = len(rows) // 2
        pairs_of_rows = zip(rows[:half], rows[half:], strict=True)
        if chosen.selection is choice.Selection.ABS_MAX:
            rows = [_larger(a, b) for a, b in pairs_of_rows]
        else:
            rows = [fl(_sum(a, b)) for a, b in pairs_of_rows]
    return rows[0]


def _lost(x: Number, code: int, scale: int, scales: GlobalScales, policy: NVFP4Policy) -> Number:
    """|fl(fl(fl(fl(q s) amax) / (6 M)) - x|, or its square, in float32."""
    q, s = decode_element(code), decode_scale(scale, policy)
    product = fl(times(fl(times(q, s)), scales.amax))
    approximation = fl(over(product, real(6 * top(policy))))
    difference = fl(_sum(approximation, Number(1 - x.sign, x.cls, x.magnitude)))
    size = Number(0, difference.cls, difference.magnitude)
    return fl(times(size, size)) if policy.selection is choice.Selection.MSE else size


def _sum(a: Number, b: Number) -> Number:
    """Return a + b exactly; the sign of a zero is of no interest here."""
    if is_nan(a) or is_nan(b):
        return Number.nan(0)
    if NumberClass.INF in (a.cls, b.cls):
        if a.cls is b.cls and a.sign != b.sign:
            return Number.nan(0)
        return Number.inf(a.sign if a.cls is NumberClass.INF else b.sign)
    return Number.finite(a.value + b.value)


def _larger(a: Number, b: Number) -> Number:
    if is_nan(a) or is_nan(b):
        return Number.nan(0)
    return a if is_less(b, a) else b


def _exact_error(
    block: Sequence[Number], candidate: Block, scales: GlobalScales, policy: NVFP4Policy
) -> Number:
    """The errors of the finite elements, summed as rational numbers; none where s or g is odd."""
    unit = times(decode_scale(candidate.scale, policy), scales.decode)
    if unit.cls in (NumberClass.INF, NumberClass.NAN):
        return Number.nan(0)
    finite = [i for i, x in enumerate(block) if x.cls in (NumberClass.ZERO, NumberClass.FINITE)]
    lost = [
        abs(decode_element(candidate.codes[i]).value * unit.value - block[i].value) for i in finite
    ]
    match policy.selection:
        case choice.Selection.MAE:
            total = sum(lost, Fraction(0))
        case choice.Selection.MSE:
            total = sum((size * size for size in lost), Fraction(0))
        case choice.Selection.ABS_MAX:
            total = max(lost, default=Fraction(0))
        case _:
            assert_never(policy.selection)
    return Number.finite(Fraction(total))
