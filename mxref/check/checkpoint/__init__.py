"""Checks of whole checkpoints against the weights that they were made from.

`checkpoint` finds the quantized tensors, names the policy that made each, and says where it does
not hold. Read `_api` (the passes), `_identify` (whose is it?), `_scan` (one run of rows), `_tensor`
(the verdict).
"""

from __future__ import annotations

from mxref.check.checkpoint._api import checkpoint
from mxref.check.checkpoint._report import CheckpointReport, Fault, TensorReport

__all__ = ["CheckpointReport", "Fault", "TensorReport", "checkpoint"]
