"""The catalogue of named wrong implementations: what they are, and executable models of them.

One catalogue, two uses: vectors are strong if they kill every fault, and a check names a defect by
finding the fault that reproduces it.
"""

from __future__ import annotations

from mxref.faults.alignment import alignment_models
from mxref.faults.block import BlockModel, Quantizer, block_models
from mxref.faults.catalogue import FAULTS, Fault
from mxref.faults.decode import DecodeModel, Decoder, decode_models
from mxref.faults.e8m0 import CastModel, E8M0Cast, cast_models, end_models
from mxref.faults.element import ElementModel, compose, element_models
from mxref.faults.encoder import Encoder
from mxref.faults.equivalent import REASONS, reason_for
from mxref.faults.implementations import Implementation, correct, implementations
from mxref.faults.layout import LayoutModel, layout_models
from mxref.faults.nvfp4_fault import NVFP4Fault
from mxref.faults.scale import ScaleModel, Selector
from mxref.faults.scale_models import scale_models
from mxref.faults.stats import BlockStats, block_stats
from mxref.faults.stochastic import StochasticEncoder, stochastic_models

__all__ = [
    "FAULTS",
    "REASONS",
    "BlockModel",
    "BlockStats",
    "CastModel",
    "DecodeModel",
    "Decoder",
    "E8M0Cast",
    "ElementModel",
    "Encoder",
    "Fault",
    "Implementation",
    "LayoutModel",
    "NVFP4Fault",
    "Quantizer",
    "ScaleModel",
    "Selector",
    "StochasticEncoder",
    "alignment_models",
    "block_models",
    "block_stats",
    "cast_models",
    "compose",
    "correct",
    "decode_models",
    "element_models",
    "end_models",
    "implementations",
    "layout_models",
    "reason_for",
    "scale_models",
    "stochastic_models",
]
