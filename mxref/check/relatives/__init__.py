"""What the checks of NVFP4 and BDR share: blocks as rows, stages explained, reports assembled.

MX has one scale code a block and a policy of its own kind. Its relatives have more levels of scales
and other policies, but the question of each stage is the same: which choices, and if none, which
named faults, give what was emitted?
"""

from __future__ import annotations

from mxref.check.relatives._blocks import Blocks, Piece
from mxref.check.relatives._explain import Answer, Hypothesis, Stage, Variant, explain, explain_as
from mxref.check.relatives._findings import choice_finding, fault_finding
from mxref.check.relatives._hypotheses import alternatives, chosen, composed, faulty, products
from mxref.check.relatives._report import Judged, assemble, empty_report

__all__ = [
    "Answer",
    "Blocks",
    "Hypothesis",
    "Judged",
    "Piece",
    "Stage",
    "Variant",
    "alternatives",
    "assemble",
    "choice_finding",
    "chosen",
    "composed",
    "empty_report",
    "explain",
    "explain_as",
    "fault_finding",
    "faulty",
    "products",
]
