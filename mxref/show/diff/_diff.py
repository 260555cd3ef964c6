"""`diff`: compares two arrays bit for bit."""

from __future__ import annotations

from typing import Any

from mxref.show.diff._difference import Difference
from mxref.show.diff._operands import pair_of
from mxref.show.diff._physical import Memory
from mxref.show.diff._scaling import Scaling

__all__ = ["diff"]


def diff(
    a: Any,
    b: Any,
    format: Any = None,  # noqa: A002  # the field's word
    axis: int | None = None,
    *,
    block_size: int | None = None,
    packing: str | None = None,
    scale_layout: str | None = None,
    layout: str | None = None,
) -> Difference:
    """Tell where two arrays differ, bit for bit, and how.

    Parameters
    ----------
    a, b : MXArray, NVFP4Array, BDRArray, array of codes, array of numbers, or tuple
        Two quantized arrays of one format; or two arrays of codes (uint8, or a type of ml_dtypes);
        or two arrays of float32, float64, float16 or bfloat16. A quantized array and one of
        numbers are compared by their values. With a block format, a tuple ``(codes, scales)``
        stands for a quantized array; NVFP4 may have a global scale and BDR formats have their
        sub-scales as a third part.
    format : str or format, optional
        What codes mean: ``"e4m3"`` for lone codes, ``"mxfp4"`` for tuples.
    axis, block_size : int, optional
        Of tuples.
    packing, scale_layout : str, optional
        How codes and scale codes are stored, for the places of bits in memory: names in
        `mxref.layouts.PACKINGS` and `SCALE_ORDERS`. Default: a code in each byte; scales in C
        order.
    layout : str, optional
        Instead of both: the convention of a project, a name in `mxref.layouts.LAYOUTS`.

    Returns
    -------
    Difference

    Raises
    ------
    TypeError, ValueError
        If the two have other shapes, formats, axes or types; the message says what to compare
        instead.

    Notes
    -----
    Bits are compared: +0 and -0 differ, and so do two NaN with other payloads. Where values agree
    though bits do not, as with a scale one up and codes halved, the difference says so. Policies
    are not compared. Why a kernel's codes differ from the reference, `mxref.check.quantize` says,
    given what was quantized.

    Examples
    --------
    >>> import numpy as np, mxref
    >>> x = np.linspace(-2, 2, 64, dtype=np.float32)
    >>> a = mxref.quantize(x, "mxfp4")
    >>> b = mxref.quantize(x, "mxfp4", policy="ocp:rounding=toward-zero")
    >>> d = mxref.diff(a, b, packing="nibbles-low-first")
    >>> bool(d), d.count, d.first.index, d.first.kind, str(d.first.spots[0])
    (True, 30, (1,), 'ulp-1', 'byte 0, bits 4-7 (nibbles-low-first)')
    """
    pair = pair_of(a, b, format, axis, block_size)
    scaling = Scaling(pair) if pair.kind == "blocks" else None
    return Difference(pair, scaling, Memory(pair, scaling, packing, scale_layout, layout))
