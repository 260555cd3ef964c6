"""Checks of BDR formats: MX9, MX6, MX4, MSFP, VSQ, scaled integers and scaled FP8.

`quantize` and `dequantize` judge arrays that somebody else computed, `drive` a function with
stimuli designed for the format.
"""

from __future__ import annotations

from mxref.check.bdr._dequantize import dequantize
from mxref.check.bdr._drive import drive
from mxref.check.bdr._quantize import quantize

__all__ = ["dequantize", "drive", "quantize"]
