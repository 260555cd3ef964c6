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

from mxref._suggest import not_a_function
from mxref.check.checkpoint import CheckpointReport, TensorReport, checkpoint
from mxref.check.dequantize import dequantize
from mxref.check.dot import dot, matmul
from mxref.check.element import decode, encode
from mxref.check.identify import Identification, identification_set, identify, identify_data
from mxref.check.kernel import kernel
from mxref.check.layout import LayoutPart, LayoutReport, layout
from mxref.check.parts import (
    Finding,
    Gap,
    Inference,
    Mismatches,
    MismatchMap,
    Place,
    Trouble,
    Verdict,
    Witness,
)
from mxref.check.quantize import quantize
from mxref.check.report import DefectError, Report
from mxref.check.stochastic import encode_stochastic, stochastic, stochastic_data
from mxref.check.target import TargetError
from mxref.check.tensor import dequantize_tensor, quantize_tensor
from mxref.check.tensor.address import AddressMap, address_map
from mxref.check.threshold import element_thresholds, scale_threshold

__all__ = [
    "AddressMap",
    "CheckpointReport",
    "DefectError",
    "Finding",
    "Gap",
    "Identification",
    "Inference",
    "LayoutPart",
    "LayoutReport",
    "MismatchMap",
    "Mismatches",
    "Place",
    "Report",
    "TargetError",
    "TensorReport",
    "Trouble",
    "Verdict",
    "Witness",
    "address_map",
    "checkpoint",
    "decode",
    "dequantize",
    "dequantize_tensor",
    "dot",
    "element_thresholds",
    "encode",
    "encode_stochastic",
    "identification_set",
    "identify",
    "identify_data",
    "kernel",
    "layout",
    "matmul",
    "quantize",
    "quantize_tensor",
    "scale_threshold",
    "stochastic",
    "stochastic_data",
]

not_a_function(
    __name__,
    "mxref.check.quantize(x, codes, scales, format) judges arrays, and so do dequantize, encode, "
    "decode and matmul; mxref.check.kernel(fn, format) drives a function",
)
