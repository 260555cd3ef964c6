"""Checks: whether somebody else's Microscaling arithmetic is right, and if not, what is wrong.

`quantize`, `dequantize`, `encode` and `decode` judge arrays that somebody else computed; `kernel`
drives a function with stimuli designed for the purpose, which shows more.

Examples
--------
>>> import numpy as np
>>> report = encode(np.array([1.0], np.float32), np.array([0x38], np.uint8), "e4m3")
>>> report.ok, report.verdict
(True, <Verdict.CONFORMS: 'conforms'>)
"""

from __future__ import annotations

from mxref.check.dequantize import dequantize
from mxref.check.element import decode, encode
from mxref.check.kernel import kernel
from mxref.check.quantize import quantize
from mxref.check.report import DefectError, Finding, Mismatches, Report, Verdict, Witness
from mxref.check.target import TargetError

__all__ = [
    "DefectError",
    "Finding",
    "Mismatches",
    "Report",
    "TargetError",
    "Verdict",
    "Witness",
    "decode",
    "dequantize",
    "encode",
    "kernel",
    "quantize",
]
