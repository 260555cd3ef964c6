"""The catalogue: every named fault in plain words, with what to do and where it was seen.

Ids are those of the project's corpus of field defects: S for scale selection, E for element
encoding, D for decoding, L for layout, G for products, R for random bits. They are stable. Some can
show in formats only that MX has not: `mxref.faults.equivalent` says which, and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mxref.faults import (
    _texts_bdr,
    _texts_decode,
    _texts_element,
    _texts_scale,
    _texts_tensor,
)

__all__ = ["FAULTS", "Fault"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A named wrong implementation.

    Attributes
    ----------
    id : str
        Stable name, such as ``"E1"``.
    title : str
        What the implementation does, in one sentence.
    effect : str
        What it does to users.
    stimulus : str
        Input that shows it.
    repair : str
        What to change.
    seen_in : tuple of str
        Addresses of reports of the same fault.
    stage : str
        ``"scale"``, ``"element"``, ``"decode"``, ``"layout"``, ``"gemm"`` or ``"stochastic"``.
    legal_change : Mapping of str to str
        Policy fields under which the same behaviour is legal; empty where it never is.
    """

    id: str
    title: str
    effect: str
    stimulus: str
    repair: str
    seen_in: tuple[str, ...]
    stage: str
    legal_change: Mapping[str, str] = field(default_factory=dict)


_LEGAL: Mapping[str, Mapping[str, str]] = {
    "S5": {"scale_rule": "ceil"},
    "S9": {"e8m0_rounding": "nearest-even"},
    "S13": {"scale_nan": "ignore"},
    "E1": {"rounding": "nearest-away"},
    "E2": {"rounding": "toward-zero"},
    "E13": {"fp8_overflow": "overflow"},
    "E16": {"fp8_overflow": "propagate"},
    "E19": {"neg_zero": "drop"},
}
_STAGES = {
    "S": "scale",
    "E": "element",
    "D": "decode",
    "L": "layout",
    "G": "gemm",
    "R": "stochastic",
}
_TEXTS = (
    _texts_scale.ROWS,
    _texts_element.ROWS,
    _texts_decode.ROWS,
    _texts_tensor.ROWS,
    _texts_bdr.ROWS,
)

FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        row[0]: Fault(*row, _STAGES[row[0][0]], MappingProxyType(dict(_LEGAL.get(row[0], {}))))
        # By stage, as the pages list them; a stage's own rows come before those of the relatives.
        for stage in _STAGES
        for rows in _TEXTS
        for row in rows
        if row[0][0] == stage
    }
)
"""Every fault, by id.

Examples
--------
>>> FAULTS["E12"].title
'The whole top binade is treated as overflow.'
"""
