"""Matrix products in the vector set: what is asked, what is expected, and a second computation.

`groups` holds the covergroups, `operands` builds matrices for them, `expect` says what a case
obliges to, `models` which accumulation model gives which result. `second` and `second_models` work
it out again over integers for `recheck`, and `faulty` multiplies matrices wrongly.
"""

from __future__ import annotations

from mxref.vectors.gemm.groups import MATMUL, MATMUL_PAIRS

__all__ = ["MATMUL", "MATMUL_PAIRS"]
