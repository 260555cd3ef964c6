"""Conversions for every family of formats: MX, and its relatives NVFP4 and BDR.

What ``mxref.quantize``, ``dequantize``, ``encode`` and ``decode`` are. The MX formats are converted
by ``mxref.arrays``, NVFP4 by ``mxref.nvfp4``, BDR formats by ``mxref.bdr``: each family has arrays
and policies of its own, and what belongs to another family is refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import arrays
from mxref.relatives import arguments_of, family_of

if TYPE_CHECKING:
    from mxref.bdr import BDRArray, BDRPolicy
    from mxref.formats import BlockFormat
    from mxref.mxarray import MXArray
    from mxref.nvfp4 import NVFP4Array, NVFP4Policy
    from mxref.policy import Policy
    from mxref.relatives.bdr_format import BDRFormat
    from mxref.relatives.nvfp4_format import NVFP4Format

__all__ = ["dequantize", "quantize"]

_NVFP4Name: TypeAlias = 'Literal["nvfp4"] | NVFP4Format'
_BDRName: TypeAlias = 'Literal["mx9", "mx6", "mx4", "msfp16", "msfp12"] | BDRFormat'
_AnyPolicy: TypeAlias = "Policy | NVFP4Policy | BDRPolicy | str | None"


@overload
def quantize(
    x: ArrayLike,
    format: _NVFP4Name,
    axis: int = ...,
    policy: NVFP4Policy | str | None = ...,
    out: NVFP4Array | None = ...,
    *,
    pad: bool = ...,
    random: Any = ...,
    global_amax: float | np.floating[Any] | None = ...,
    global_scale: float | np.floating[Any] | None = ...,
) -> NVFP4Array: ...
@overload
def quantize(
    x: ArrayLike,
    format: _BDRName,
    axis: int = ...,
    policy: BDRPolicy | str | None = ...,
    out: BDRArray | None = ...,
    *,
    pad: bool = ...,
    random: Any = ...,
) -> BDRArray: ...
@overload
def quantize(
    x: ArrayLike,
    format: BlockFormat,
    axis: int = ...,
    policy: Policy | str | None = ...,
    out: MXArray | None = ...,
    *,
    block_size: int | None = ...,
    pad: bool = ...,
    random: Any = ...,
    scale_random: ArrayLike | None = ...,
) -> MXArray: ...
@overload
def quantize(
    x: ArrayLike,
    format: str,
    axis: int = ...,
    policy: _AnyPolicy = ...,
    out: Any = ...,
    *,
    block_size: int | None = ...,
    pad: bool = ...,
    random: Any = ...,
    scale_random: ArrayLike | None = ...,
    global_amax: float | np.floating[Any] | None = ...,
    global_scale: float | np.floating[Any] | None = ...,
) -> Any: ...
def quantize(  # noqa: PLR0913  # what three families take
    x: ArrayLike,
    format: str | BlockFormat | NVFP4Format | BDRFormat,  # noqa: A002
    axis: int = -1,
    policy: _AnyPolicy = None,
    out: Any = None,
    *,
    block_size: int | None = None,
    pad: bool = False,
    random: Any = None,
    scale_random: ArrayLike | None = None,
    global_amax: float | np.floating[Any] | None = None,
    global_scale: float | np.floating[Any] | None = None,
) -> Any:
    """Convert an array to a block format of any family.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or ml_dtypes.bfloat16
        Any shape of one axis or more, any memory layout, either byte order.
    format : str or format
        ``"mxfp8_e4m3"``, ``"mxfp8_e5m2"``, ``"mxfp6_e3m2"``, ``"mxfp6_e2m3"``, ``"mxfp4"`` or
        ``"mxint8"``; ``"nvfp4"``; ``"mx9"``, ``"mx6"``, ``"mx4"``, ``"msfp16"``, ``"msfp12"`` and
        what else `mxref.bdr.FORMATS` has, or any point of that family, such as
        ``"bdr:m=5,k1=16,k2=4,d1=8,d2=2"``.
    axis : int
        Axis along which blocks lie; for a matrix product, the reduction axis.
    policy : Policy, NVFP4Policy, BDRPolicy or str, optional
        What the standard or the paper leaves open, in the terms of the family; default ``"ocp"``,
        ``"te-1d"`` or ``"bdr-paper"``.
    out : MXArray, NVFP4Array or BDRArray, optional
        Where to write: an array of the same format, axis and shape. It is returned.
    block_size : int, optional
        Block length of an MX format; default 32.
    pad : bool
        Accept a length that is not a multiple of the block size: zeros complete the last block
        and are dropped from the codes.
    random : array_like of unsigned integers, optional
        Random bits, under a stochastic ``rounding`` only; see `mxref.arrays.quantize`,
        `mxref.nvfp4.quantize` and `mxref.bdr.quantize`.
    scale_random : array_like of unsigned integers, optional
        Random bits for the scales of an MX format, under ``scale_rule="stochastic"`` only.
    global_amax, global_scale : float, optional
        NVFP4: the largest magnitude of the whole tensor, 0 or more, or its global scale, positive
        and finite, where `x` is a part of it. Either is rounded to float32.

    Returns
    -------
    MXArray, NVFP4Array or BDRArray
        With `codes` of the shape of `x`.

    Raises
    ------
    TypeError
        If the dtype is not one of the four, or an argument does not belong to the family.
    ValueError
        If a name, the axis, a length or `out` does not fit; if the policy refuses a number.

    Notes
    -----
    Clauses MX-1.0/6.3/scale and MX-1.0/6.3/elements; OP-NVFP4-RECIPE; OP-BDR-QUANTIZER.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([6.0, 0.75, -0.1] + [0.0] * 29, np.float32)
    >>> q = quantize(x, "mxfp4")
    >>> q.scales, [hex(c) for c in q.codes[:3]]
    (array([127], dtype=uint8), ['0x7', '0x2', '0x8'])
    >>> q = quantize(x, "nvfp4")
    >>> q.scales, round(float(q.global_scale) * 448, 6)
    (array([126,   0], dtype=uint8), 1.0)
    >>> quantize(x, "mx6").dequantize()[:3]
    array([ 6.,  1., -0.], dtype=float32)
    """
    family = family_of(format)
    fmt: Any = format  # each family refuses, with its own words, what is not its own
    chosen: Any = policy
    given = arguments_of(
        format,
        random=random,
        block_size=block_size,
        scale_random=scale_random,
        global_amax=global_amax,
        global_scale=global_scale,
    )
    if family == "nvfp4":
        from mxref import nvfp4

        return nvfp4.quantize(x, axis, chosen, out, pad=pad, **given)
    if family == "bdr":
        from mxref import bdr

        return bdr.quantize(x, fmt, axis, chosen, out, pad=pad, **given)
    return arrays.quantize(x, fmt, axis, chosen, out, pad=pad, **given)


def dequantize(  # noqa: PLR0913  # what three families take
    codes: ArrayLike,
    scales: ArrayLike,
    format: str | BlockFormat | NVFP4Format | BDRFormat,  # noqa: A002
    axis: int = -1,
    policy: _AnyPolicy = None,
    out: NDArray[np.float32] | None = None,
    *,
    block_size: int | None = None,
    global_scale: float | np.floating[Any] | None = None,
    subscales: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """Decode blocks of any family to float32.

    Parameters
    ----------
    codes, scales : array of uint8
        Element codes in the logical shape, one a byte, and what each block shares: scale codes, or
        float32 numbers for the formats that have them.
    format, axis, block_size
        As for `quantize`.
    policy : Policy, NVFP4Policy, BDRPolicy or str, optional
        Says what becomes of products beyond float32 and of NaN.
    out : float32 array, optional
        Where to write.
    global_scale : float, optional
        NVFP4: what all values are multiplied by, rounded to float32. The default, 1, means no
        scale of the tensor: values of a recipe that has one come out 1 / g times too large.
    subscales : array of uint8, optional
        BDR: the shifts, or small integers, of the second level, where the format has one.

    Returns
    -------
    array of float32

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit, or an argument belongs to another family.

    Notes
    -----
    Clauses MX-1.0/5.1/value and MX-1.0/5.1/nan-scale; OP-DECODE-OVERFLOW and OP-DECODE-NAN.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.full(16, 0x2, np.uint8)
    >>> dequantize(one, np.array([0x38], np.uint8), "nvfp4", global_scale=0.5)[0]
    np.float32(0.5)
    >>> dequantize(np.full(32, 0x7, np.uint8), np.array([0xFF], np.uint8), "mxfp4")[0]
    np.float32(nan)
    """
    family = family_of(format)
    fmt: Any = format  # each family refuses, with its own words, what is not its own
    chosen: Any = policy
    given = arguments_of(
        format, block_size=block_size, global_scale=global_scale, subscales=subscales
    )
    if family == "nvfp4":
        from mxref import nvfp4

        return nvfp4.dequantize(codes, scales, axis=axis, policy=chosen, out=out, **given)
    if family == "bdr":
        from mxref import bdr

        q = bdr.BDRArray(codes, scales, given.get("subscales"), fmt, axis, policy=chosen)
        return q.dequantize(out)
    return arrays.dequantize(codes, scales, fmt, axis, chosen, out, **given)
