"""What given codes cannot show of a decoder: codes and scales that never came."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mxref.check._problem import Problem
from mxref.check.gaps._trials import Fmt
from mxref.check.parts import Gap
from mxref.faults.catalogue import FAULTS
from mxref.faults.equivalent import reason_for
from mxref.faults.implementations import Implementation, correct, implementations
from mxref.faults.probes import normal_form
from mxref.formats import SCALE_FORMATS, BlockFormat, ElementFormat, Kind, ScaleFormat
from mxref.policy import Policy

__all__ = ["decode_gaps"]

_UNIT = 127
_MOST = 8
_SHOWN = 3


def decode_gaps(problem: Problem, policy: Policy, *, of_scales: bool = False) -> tuple[Gap, ...]:
    """Say which faults would not have shown in the codes that somebody decoded.

    Every pair of scale code and element code in the data counts, however large they are.

    Parameters
    ----------
    problem : Problem
        Only the codes are looked at.
    policy : Policy
        What the output is held to.
    of_scales : bool
        Whether lone scale codes were decoded.

    Returns
    -------
    tuple of Gap
        At most eight.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> codes = np.array([2, 3, 4], np.uint8)
    >>> problem = Problem.of_elements(np.ones(3, np.float32), codes, element_format("e2m1"))
    >>> [(gap.what, gap.needs) for gap in decode_gaps(problem, Policy())][0]
    ('a subnormal', 'add element code 0x01')
    """
    if problem.n_elements == 0:
        return ()
    fmt: Fmt = problem.fmt
    if of_scales:
        fmt = SCALE_FORMATS["e8m0"]
    elif problem.lone:
        fmt = problem.fmt.element
    pairs, faults, shown = _shown(fmt, policy)
    here = _present(problem, of_scales=of_scales)[pairs]
    left = ~(shown & here).any(1) & shown.any(1)
    rows: dict[str, tuple[list[str], list[str]]] = {}
    while left.any():
        at = int(shown[left].sum(0).argmax())
        new = left & shown[:, at]
        ids, needs = rows.setdefault(_described(fmt, int(pairs[at])), ([], []))
        ids += [faults[i].id for i in np.flatnonzero(new)]
        needs.append(_said(fmt, int(pairs[at])))
        left &= ~new
    result = [
        Gap(what, tuple(f for f in FAULTS if f in ids), f"add {'; and '.join(needs[:_SHOWN])}")
        for what, (ids, needs) in rows.items()
    ]
    return tuple(sorted(result, key=lambda gap: -len(gap.faults))[:_MOST])


def _present(problem: Problem, *, of_scales: bool) -> NDArray[np.bool_]:
    """Which pairs, 256 times the scale code plus the element code, the data hold."""
    found = np.zeros(1 << 16, np.bool_)
    for piece in problem.pieces():
        scales = piece.scales.astype(np.int32)[:, None] << 8
        pairs = scales | (0 if of_scales else piece.codes)
        if piece.used is not None and not of_scales:
            pairs = pairs[piece.used]
        found[np.asarray(pairs).reshape(-1)] = True
    return found


@lru_cache(maxsize=32)
def _shown(
    fmt: Fmt, policy: Policy
) -> tuple[NDArray[np.intp], tuple[Implementation, ...], NDArray[np.bool_]]:
    """All pairs, the simplest first; the faults; and which shows in which."""
    op = "dequantize" if isinstance(fmt, BlockFormat) else "decode"
    name = fmt.base if isinstance(fmt, BlockFormat) else fmt.name
    faults = tuple(
        fault
        for fault in implementations(op, fmt, policy)
        if reason_for(fault.id, fault.detail, op, name) is None
    )
    count = fmt.element.code_count if isinstance(fmt, BlockFormat) else fmt.code_count
    order = [_UNIT, 0xFF, 0, *(s for s in range(256) if s not in (_UNIT, 0xFF, 0))]
    if isinstance(fmt, ElementFormat):
        order = [_UNIT]
    if isinstance(fmt, ScaleFormat):
        pairs = np.array(order) << 8
    else:
        pairs = ((np.array(order) << 8)[:, None] | np.arange(count)).reshape(-1)
    scales, codes = (pairs >> 8).astype(np.uint8), (pairs & 0xFF).astype(np.uint8)
    given: tuple[NDArray[np.uint8], ...] = (codes,)
    if isinstance(fmt, BlockFormat):
        given = (scales, codes[:, None])
    elif isinstance(fmt, ScaleFormat):
        given = (scales,)
    with np.errstate(all="ignore"):
        right = normal_form(op, fmt, given, correct(op, fmt, policy)(*given))[0]
        shown = [
            (normal_form(op, fmt, given, fault.subject(*given))[0] != right).reshape(-1)
            for fault in faults
        ]
    return pairs, faults, np.array(shown, np.bool_).reshape(len(faults), len(pairs))


def _described(fmt: Fmt, pair: int) -> str:
    scale, code = pair >> 8, pair & 0xFF
    if not isinstance(fmt, ElementFormat) and scale in (0, 0xFF):
        return "the smallest scale" if scale == 0 else "the scale NaN"
    if isinstance(fmt, ScaleFormat):
        return "other scales"
    element = fmt.element if isinstance(fmt, BlockFormat) else fmt
    kind = _element_kind(element, code)
    if isinstance(fmt, BlockFormat) and scale != _UNIT and kind not in ("NaN", "an infinity"):
        return "other scales"
    return kind


def _element_kind(element: ElementFormat, code: int) -> str:
    magnitude = code & ~element.sign_mask
    if element.kind is not Kind.FLOAT:
        return "the lowest code" if code == element.sign_mask else "other element codes"
    if magnitude == element.inf_magnitude:
        return "an infinity"
    if magnitude > element.max_magnitude:
        return "NaN"
    if magnitude == 0:
        return "-0" if code else "zero"
    return "a subnormal" if magnitude < 1 << element.mantissa_bits else "other element codes"


def _said(fmt: Fmt, pair: int) -> str:
    scale, code = f"scale code 0x{pair >> 8:02X}", f"element code 0x{pair & 0xFF:02X}"
    if isinstance(fmt, ScaleFormat):
        return scale
    return code if isinstance(fmt, ElementFormat) else f"{code} under {scale}"
