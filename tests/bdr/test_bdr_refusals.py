"""What is no BDR format or array is refused in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mxref
from mxref import bdr

ONES = np.ones((2, 16), np.float32)
WORD: Any = "x"
NAN = np.full(16, np.nan, np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: bdr.bdr_format("bdr:m=7,k1=1000000007"), ValueError, "at most 16777216"),
        (lambda: bdr.bdr_format("bdr:m=5,m=6,k1=16"), ValueError, "m twice"),
        (lambda: bdr.pack(WORD), TypeError, "must be a BDRArray"),
        (lambda: bdr.as_scaled_integers(WORD), TypeError, "must be a BDRArray"),
        (lambda: bdr.as_scaled_integers(bdr.quantize(NAN, "mx9")), ValueError, "is NaN"),
        (
            lambda: mxref.dequantize(np.zeros(4, np.uint8), np.float32(-1), "scaled_fp8_e4m3"),
            ValueError,
            "negative",
        ),
    ],
)
def test_refused(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
    assert bdr.quantize(ONES, "mx9").dequantize().max() == 1
