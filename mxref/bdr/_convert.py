"""Quantize and dequantize in BDR formats: inputs checked, kernels chosen, memory bounded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref.bdr._array import BDRArray
from mxref.bdr._walk import pieces, shared_shape, sub_shape
from mxref.relatives.bdr_choices import BDRRounding
from mxref.relatives.bdr_format import BDRFormat, ScaleKind
from mxref.relatives.bdr_formats import bdr_format
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.bdr_profiles import get_bdr_policy

__all__ = ["dequantize", "quantize"]

_STOCHASTIC = (BDRRounding.STOCHASTIC_A, BDRRounding.STOCHASTIC_B, BDRRounding.STOCHASTIC_C)


def quantize(
    x: ArrayLike,
    format: str | BDRFormat,  # noqa: A002
    axis: int = -1,
    policy: BDRPolicy | str | None = None,
    out: BDRArray | None = None,
    *,
    pad: bool = False,
    random: ArrayLike | None = None,
) -> BDRArray:
    """Convert an array to a BDR format.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or ml_dtypes.bfloat16
        Any shape of one axis or more, any memory layout. Formats with a float32 scale round
        float64 to float32 first.
    format : str or BDRFormat
        A name in ``mxref.bdr.FORMATS``, or parameters as `bdr_format` reads them.
    axis : int
        Axis along which blocks lie; for a matrix product, the reduction axis.
    policy : BDRPolicy or str, optional
        What the paper leaves open; default ``"bdr-paper"``.
    out : BDRArray, optional
        Where to write: an array of the same format, axis and shape. It is returned.
    pad : bool
        Accept a length that is not a multiple of k1: zeros complete the last block and are
        dropped from the codes.
    random : array_like of unsigned integers, optional
        Random bits, under a stochastic ``rounding`` only: a number of ``stochastic_bits`` bits
        for each element.

    Returns
    -------
    BDRArray
        With `codes` of the shape of `x`.

    Raises
    ------
    TypeError
        If the dtype is not one of the four, or random bits are no unsigned integers.
    ValueError
        If a name, the axis, a length or `out` does not fit; if random bits are missing,
        superfluous or too large.

    Notes
    -----
    OP-BDR-QUANTIZER. Bits do not depend on the number of threads, the memory layout or the
    floating-point environment.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 0.3, -0.2, 0.1] + [0.0] * 12, np.float32)
    >>> q = quantize(x, "mx6")
    >>> q.scales, q.subscales[:3], [hex(c) for c in q.codes[:4]]
    (array([127], dtype=uint8), array([0, 1, 1], dtype=uint8), ['0x8', '0x2', '0x13', '0x2'])
    """
    array, source = inputs.as_float(x)
    fmt, chosen = bdr_format(format), get_bdr_policy(policy)
    where = inputs.normal_axis(axis, array.shape)
    shape = shared_shape(array.shape, where, fmt, pad=pad)
    drawn = _random(random, array.shape, chosen)
    made = _output(out, array, shape, fmt, where, chosen)
    if fmt.scale is ScaleKind.FLOAT32:
        from mxref.bdr import _scaled

        _scaled.encode(array, source, made, drawn)
        return made
    from mxref.kernels import bdr as kernels
    from mxref.traversal import storage_of

    storage = storage_of(source)
    parts = (array, made.codes, made.scales, made.subscales)
    takes = drawn is None and kernels.takes_columns(fmt)
    columns = kernels.MIN_COLUMNS if takes else None
    for piece in pieces(*parts, fmt, where, drawn, min_columns=columns):
        words = piece.values.view(storage)
        to = (piece.scales, piece.subscales, piece.codes)
        kernels.quantize(words, fmt, chosen, source, *to, piece.random, piece.inner)
    return made


def _output(
    out: BDRArray | None,
    x: NDArray[Any],
    shape: tuple[int, ...],
    fmt: BDRFormat,
    axis: int,
    policy: BDRPolicy,
) -> BDRArray:
    kind = np.uint8 if fmt.scale is ScaleKind.POW2 else np.float32
    subs = sub_shape(shape, axis, fmt)
    if out is None:
        codes, scales = np.empty(x.shape, np.uint8), np.empty(shape, kind)
        shared = None if subs is None else np.empty(subs, np.uint8)
        return BDRArray.trusted(codes, scales, shared, fmt, axis, policy)
    if not isinstance(out, BDRArray):
        raise TypeError(f"out must be a BDRArray, got {type(out).__name__}")
    if out.format != fmt or out.axis != axis:
        raise ValueError(
            f"out is {out.format.name} along axis {out.axis}; expected {fmt.name} along axis {axis}"
        )
    inputs.as_output(out.codes, x.shape, np.uint8, x)
    inputs.as_output(out.scales, shape, kind, x)
    if subs is not None:
        inputs.as_output(out.subscales, subs, np.uint8, x)
    out.policy = policy
    return out


def _random(random: Any, shape: tuple[int, ...], policy: BDRPolicy) -> NDArray[np.uint32] | None:
    if policy.rounding not in _STOCHASTIC:
        if random is not None:
            raise ValueError(
                f"random was given, but rounding={policy.rounding} draws nothing: leave it out"
            )
        return None
    bits = int(policy.stochastic_bits.value)
    if random is None:
        raise ValueError(
            f"rounding={policy.rounding} needs random bits: pass random, unsigned integers of "
            f"{bits} bits in shape {shape}"
        )
    array = np.asarray(random)
    if not np.issubdtype(array.dtype, np.unsignedinteger):
        raise TypeError(f"random has dtype {array.dtype}; expected unsigned integers")
    if array.shape != shape:
        raise ValueError(f"random has shape {array.shape}; expected {shape}, one for each element")
    if array.size and int(array.max()) >> bits:
        raise ValueError(f"random has {int(array.max()):#x}; numbers of {bits} bits are expected")
    return array.astype(np.uint32, copy=False)


def dequantize(
    codes: ArrayLike,
    scales: ArrayLike,
    format: str | BDRFormat,  # noqa: A002
    axis: int = -1,
    out: NDArray[np.float32] | None = None,
    *,
    subscales: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """Decode blocks to float32.

    Parameters
    ----------
    codes, scales, subscales, format, axis
        As for `BDRArray`.
    out : float32 array, optional
        Where to write.

    Returns
    -------
    array of float32
        The exact values, rounded to nearest even where float32 cannot hold them.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> codes, shifts = np.full(16, 0x7F, np.uint8), np.ones(8, np.uint8)
    >>> dequantize(codes, np.array([127], np.uint8), "mx9", subscales=shifts)[0]
    np.float32(0.9921875)
    """
    return BDRArray(codes, scales, subscales, format, axis).dequantize(out)
