"""Block data representations: MX9, MX6, MX4, MSFP, VSQ, scaled integers and scaled FP8.

The formats of arXiv 2302.08007 and its neighbours, all of them points of one framework: a block of
k1 numbers shares a scale, its sub-blocks of k2 may share a second one, and elements have m
explicit bits. ``mxref.quantize`` takes their names as well.

Examples
--------
>>> import numpy as np
>>> from mxref import bdr
>>> q = bdr.quantize(np.linspace(-1, 1, 32, dtype=np.float32), "mx9")
>>> q.codes.shape, q.scales.shape, q.subscales.shape, q.format.bits_per_element
((32,), (2,), (16,), Fraction(9, 1))
>>> bdr.bdr_format("bdr:m=5,k1=16,k2=4,d2=2").bits_per_element
Fraction(7, 1)
"""

from mxref.bdr._array import BDRArray
from mxref.bdr._convert import dequantize, quantize
from mxref.bdr._integers import as_scaled_integers
from mxref.bdr._records import pack, unpack
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.bdr_formats import BDR_FORMATS as FORMATS
from mxref.relatives.bdr_formats import bdr_format
from mxref.relatives.bdr_policy import BDR_REASONS as REASONS
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.bdr_profiles import BDR_PROFILES as PROFILES
from mxref.relatives.bdr_profiles import get_bdr_policy as get_policy

__all__ = [
    "FORMATS",
    "PROFILES",
    "REASONS",
    "BDRArray",
    "BDRFormat",
    "BDRPolicy",
    "as_scaled_integers",
    "bdr_format",
    "dequantize",
    "get_policy",
    "pack",
    "quantize",
    "unpack",
]
