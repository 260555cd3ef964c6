"""The catalogue of named wrong implementations: what they are, and executable models of them.

One catalogue, two uses: vectors are strong if they kill every fault, and a check names a defect by
finding the fault that reproduces it.
"""

from __future__ import annotations

from mxref.faults.catalogue import FAULTS, Fault
from mxref.faults.decode import DecodeModel, Decoder, decode_models
from mxref.faults.e8m0 import CastModel, E8M0Cast, cast_models
from mxref.faults.element import ElementModel, compose, element_models
from mxref.faults.encoder import Encoder
from mxref.faults.layout import LayoutModel, layout_models
from mxref.faults.scale import ScaleModel, Selector
from mxref.faults.scale_models import scale_models
from mxref.faults.stats import BlockStats, block_stats

__all__ = [
    "FAULTS",
    "BlockStats",
    "CastModel",
    "DecodeModel",
    "Decoder",
    "E8M0Cast",
    "ElementModel",
    "Encoder",
    "Fault",
    "LayoutModel",
    "ScaleModel",
    "Selector",
    "block_stats",
    "cast_models",
    "compose",
    "decode_models",
    "element_models",
    "layout_models",
    "scale_models",
]
