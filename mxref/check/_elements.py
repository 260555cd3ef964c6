"""Element codes as a policy has them, given the scale codes that somebody emitted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.faults.encoder import Bytes
from mxref.faults.scale import Selector
from mxref.faults.stats import block_stats
from mxref.formats import BlockFormat
from mxref.policy import Policy

__all__ = ["encode_given", "with_flushed_blocks"]

_FLUSHING = ("scale_nan", "scale_inf", "scale_below")


def encode_given(
    x: NDArray[Any], scales: NDArray[np.uint8], fmt: BlockFormat, policy: Policy
) -> Bytes:
    """Encode blocks (n, k) under scale codes (n,); blocks that the policy flushes are zeros."""
    codes = arrays.encode_with_scale(x, scales[:, None], fmt, -1, policy)
    return with_flushed_blocks(codes, x, scales, fmt, policy)


def with_flushed_blocks(
    codes: Bytes, x: NDArray[Any], scales: NDArray[np.uint8], fmt: BlockFormat, policy: Policy
) -> Bytes:
    """Put +0 into blocks that a choice ``flush-block`` flushes, where their scale code is 0."""
    if not any(getattr(policy, field) == "flush-block" for field in _FLUSHING):
        return codes
    flushed = Selector(fmt, policy).flushed(block_stats(x)) & (scales == 0)
    return np.where(flushed[:, None], np.uint8(0), codes)
