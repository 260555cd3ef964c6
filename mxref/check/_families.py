"""Checks of NVFP4 and BDR formats: each family has its own, with the same reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mxref.check.report import Report
from mxref.relatives import family_of

__all__ = ["dequantize_relative", "quantize_relative"]


def quantize_relative(
    x: Any,
    codes: Any,
    scales: Any,
    format: Any,  # noqa: A002  # the field's word
    axis: int,
    policy: Any,
    given: Mapping[str, Any],
) -> Report:
    """Judge a quantizer of a relative; `given` are the arguments of its family."""
    if family_of(format) == "nvfp4":
        from mxref.check import nvfp4

        return nvfp4.quantize(x, codes, scales, axis, policy, **given)
    from mxref.check import bdr

    return bdr.quantize(x, codes, scales, format, axis, policy, **given)


def dequantize_relative(
    codes: Any,
    scales: Any,
    y: Any,
    format: Any,  # noqa: A002
    axis: int,
    policy: Any,
    given: Mapping[str, Any],
) -> Report:
    """Judge a decoder of a relative, likewise."""
    if family_of(format) == "nvfp4":
        from mxref.check import nvfp4

        return nvfp4.dequantize(codes, scales, y, axis, policy, **given)
    from mxref.check import bdr

    return bdr.dequantize(codes, scales, y, format, axis, policy, **given)
