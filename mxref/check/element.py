"""Checks of lone conversions: element codes and E8M0 codes, in both directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mxref import _inputs as inputs
from mxref.check._decoding import Target
from mxref.check._e8m0 import judge_casts
from mxref.check._problem import Problem
from mxref.check.dequantize import as_values, judge_values, pins_nan_bits
from mxref.check.quantize import judge
from mxref.check.report import Report
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat, block_format, scalar_format
from mxref.policy import Policy, get_policy

__all__ = ["decode", "encode"]


def encode(
    x: ArrayLike,
    codes: ArrayLike,
    format: str | ElementFormat | ScaleFormat,  # noqa: A002
    policy: Policy | str | None = None,
) -> Report:
    """Judge a conversion of numbers to element codes or E8M0 codes, and name what is wrong.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or ml_dtypes.bfloat16
    codes : array of uint8 (or of the format's ml_dtypes type)
        What came out, in the shape of `x`.
    format : str, ElementFormat or ScaleFormat
        ``"e4m3"``, ``"e5m2"``, ``"e3m2"``, ``"e2m3"``, ``"e2m1"``, ``"int8"`` or ``"e8m0"``.
    policy : Policy or str, optional
        What the conversion claims; default: find out, starting from ``"ocp"``.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit; if the policy's rounding is stochastic
        (OP-ELEM-STOCHASTIC), which cannot be judged yet.

    Notes
    -----
    Clauses OFP8-1.0/rounding, MX-1.0/6.3/rounding and MX-1.0/6.3/clamp; OP-E8M0-CAST.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 256.0, 300.0], np.float32)
    >>> report = encode(x, np.array([0x38, 0x7E, 0x7E], np.uint8), "e4m3")
    >>> report.verdict, report.findings[0].id
    (<Verdict.DEFECT: 'defect'>, 'E12')
    """
    fmt = scalar_format(format)
    values, _ = inputs.as_float(x)
    given = inputs.as_codes(codes, fmt.name).view(np.uint8)
    if given.shape != values.shape:
        raise ValueError(f"codes have shape {given.shape}; expected that of x, {values.shape}")
    asked = None if policy is None else get_policy(policy)
    if isinstance(fmt, ScaleFormat):
        return judge_casts(values, given, asked)
    inputs.check_range(given, fmt.code_count, fmt.name)
    return judge("encode", Problem.of_elements(values, given, fmt), asked)


def decode(
    codes: ArrayLike,
    y: ArrayLike,
    format: str | ElementFormat | ScaleFormat,  # noqa: A002
    policy: Policy | str | None = None,
) -> Report:
    """Judge a conversion of element codes or E8M0 codes to float32, and name what is wrong.

    Parameters
    ----------
    codes : array of uint8 (or of the format's ml_dtypes type)
    y : array of float32
        What came out, in the shape of `codes`.
    format : str, ElementFormat or ScaleFormat
        As for `encode`.
    policy : Policy or str, optional
        As for `mxref.check.dequantize`.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit.

    Notes
    -----
    Clauses OFP8-1.0/e4m3, OFP8-1.0/e5m2, MX-1.0/5.3/fp6, MX-1.0/5.3/fp4, MX-1.0/5.3/int8 and
    MX-1.0/5.4/e8m0.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.array([0.5, 0.75, 1.0], np.float32)  # zero read as 0.5: no subnormals
    >>> decode(np.array([0, 1, 2], np.uint8), values, "e2m1").findings[0].id
    'D1'
    """
    fmt = scalar_format(format)
    given = inputs.as_codes(codes, fmt.name).view(np.uint8)
    inputs.check_range(given, fmt.code_count, fmt.name)
    values = as_values(y, given.shape)
    nan_bits = pins_nan_bits(policy)
    if isinstance(fmt, ElementFormat):
        problem = Problem.of_elements(values, given, fmt)
        target = Target(problem.fmt, lone=True, nan_bits=nan_bits)
    else:
        carrier: BlockFormat = block_format("mxfp4", 1)  # its element codes are never looked at
        flat = given.reshape(-1)
        problem = Problem(values.reshape(-1), np.zeros_like(flat), flat, carrier, 0, values.shape)
        target = Target(carrier, of_scales=True, lone=True, nan_bits=nan_bits)
    return judge_values("decode", problem, target, policy)
