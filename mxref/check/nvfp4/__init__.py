"""Checks of NVFP4: of a quantizer, of a decoder, and of a black box that is driven.

NVFP4 has two levels of scales and no standard: a check says which published order of operations
made the bits, or which fault.
"""

from __future__ import annotations

from mxref.check.nvfp4._dequantize import dequantize
from mxref.check.nvfp4._drive import drive
from mxref.check.nvfp4._quantize import quantize
from mxref.check.nvfp4.stimuli import Encoded, Stimulus, encoded, stimuli

__all__ = ["Encoded", "Stimulus", "dequantize", "drive", "encoded", "quantize", "stimuli"]
