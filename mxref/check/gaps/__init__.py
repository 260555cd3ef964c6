"""What given data cannot show: a check that passes says nothing about cases that never came."""

from __future__ import annotations

from mxref.check.gaps._api import (
    cast_gaps,
    decode_gaps,
    gaps,
)

__all__ = [
    "cast_gaps",
    "decode_gaps",
    "gaps",
]
