"""Arrays in block formats: quantize, dequantize, encode, decode and `MXArray`.

This layer validates what users hand in, chooses the kernel and keeps memory bounded; the
arithmetic is in ``mxref.kernels``, its definition in ``mxref.exact``.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _choices as choice
from mxref import _inputs as inputs
from mxref import randomness
from mxref.casts import decode, encode
from mxref.formats import BlockFormat, block_format
from mxref.mxarray import MXArray
from mxref.policy import Policy, get_policy
from mxref.refusals import refuse_nan_scale, refuse_nonfinite, refuses
from mxref.traversal import encode_blocks

__all__ = [
    "MXArray",
    "blocked",
    "decode",
    "dequantize",
    "encode",
    "encode_with_scale",
    "quantize",
]


def quantize(  # noqa: PLR0913  # random bits come as two arrays
    x: ArrayLike,
    format: str | BlockFormat,  # noqa: A002
    axis: int = -1,
    policy: Policy | str | None = None,
    out: MXArray | None = None,
    *,
    block_size: int | None = None,
    pad: bool = False,
    random: ArrayLike | None = None,
    scale_random: ArrayLike | None = None,
) -> MXArray:
    """Convert an array to a block format.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or ml_dtypes.bfloat16
        Any shape of one axis or more, any memory layout, either byte order.
    format : str or BlockFormat
        ``"mxfp8_e4m3"``, ``"mxfp8_e5m2"``, ``"mxfp6_e3m2"``, ``"mxfp6_e2m3"``, ``"mxfp4"`` or
        ``"mxint8"``.
    axis : int
        Axis along which blocks lie; for a matrix product, the reduction axis.
    policy : Policy or str, optional
        What the standard leaves open; default ``"ocp"``.
    out : MXArray, optional
        Where to write: an array of the same format, axis and shape. It is returned.
    block_size : int, optional
        Block length; default 32.
    pad : bool
        Accept a length that is not a multiple of the block size: zeros complete the last block
        and are dropped from the codes.
    random : array_like of unsigned integers, optional
        Random bits, under a stochastic ``rounding`` only: a number of ``stochastic_bits`` bits
        for each element; or, where ``stochastic`` says that four neighbours share 32 bits, words
        in the shape of `x` with a fourth of its last axis.
    scale_random : array_like of unsigned integers, optional
        Random bits, under ``scale_rule="stochastic"`` only: one number for each scale.

    Returns
    -------
    MXArray
        With `codes` of the shape of `x`.

    Raises
    ------
    TypeError
        If the dtype is not one of the four, or random bits are no unsigned integers.
    ValueError
        If a name, the axis, a length or `out` does not fit; if the policy says ``raise`` and a
        NaN or an infinity is met; if random bits are missing, superfluous or too large.

    Notes
    -----
    Clauses MX-1.0/6.3/scale and MX-1.0/6.3/elements. Bits do not depend on the number of
    threads, the memory layout or the floating-point environment.

    Examples
    --------
    >>> import numpy as np
    >>> q = quantize(np.array([6.0, 0.75, -0.1] + [0.0] * 29, np.float32), "mxfp4")
    >>> q.scales, [hex(c) for c in q.codes[:3]]
    (array([127], dtype=uint8), ['0x7', '0x2', '0x8'])
    >>> q.dequantize()[:3]
    array([ 6.,  1., -0.], dtype=float32)
    """
    array, source = inputs.as_float(x)
    fmt = block_format(format, block_size)
    chosen = get_policy(policy)
    if pad:
        chosen = _padded(chosen)
    where = inputs.normal_axis(axis, array.shape)
    padded = chosen.block_tail is choice.BlockTail.ZERO_PAD
    shape = inputs.scale_shape(array.shape, where, fmt.block_size, pad=padded)
    codes, scales = _quantize_output(out, array, shape, fmt, where)
    drawn = randomness.for_elements(random, array.shape, fmt.element, chosen)
    drawn_for_scales = randomness.for_scales(scale_random, shape, chosen)
    bits = {"random": drawn, "scale_random": drawn_for_scales}
    encode_blocks(array, source, fmt, where, chosen, scales, codes, given=False, **bits)
    # What is refused has left a NaN scale: looking there spares a pass over the input.
    if refuses(chosen, fmt.element) and (scales == fmt.scale.nan_code).any():
        refuse_nonfinite(array, chosen, fmt.element, is_block=True)
    if chosen.nan_element is choice.NanElement.RAISE and not fmt.element.has_nan:
        refuse_nan_scale(scales, fmt)
    if out is not None:
        out._policy = chosen  # noqa: SLF001
        return out
    return MXArray.trusted(codes, scales, fmt, where, chosen)


@functools.lru_cache(maxsize=256)
def _padded(policy: Policy) -> Policy:
    """The same policy with tails completed by zeros; making one takes as long as a small array."""
    return policy.replace(block_tail=choice.BlockTail.ZERO_PAD)


def _quantize_output(
    out: MXArray | None,
    x: NDArray[Any],
    shape: tuple[int, ...],
    fmt: BlockFormat,
    axis: int,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if out is None:
        return np.empty(x.shape, np.uint8), np.empty(shape, np.uint8)
    if not isinstance(out, MXArray):
        msg = f"out must be an MXArray, got {type(out).__name__}"
        raise TypeError(msg)
    if out.format != fmt or out.axis != axis:
        msg = (
            f"out is {out.format.name} along axis {out.axis}; expected {fmt.name} along axis {axis}"
        )
        raise ValueError(msg)
    codes = inputs.as_output(out.codes, x.shape, np.uint8, x)
    return codes, inputs.as_output(out.scales, shape, np.uint8, x)


def encode_with_scale(
    x: ArrayLike,
    scales: ArrayLike,
    format: str | BlockFormat,  # noqa: A002
    axis: int = -1,
    policy: Policy | str | None = None,
    *,
    block_size: int | None = None,
    random: ArrayLike | None = None,
) -> NDArray[np.uint8]:
    """Encode the elements of blocks whose scale codes somebody else chose.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or bfloat16
    scales : array of uint8
        Scale codes, shaped as `MXArray` wants them.
    random : array_like of unsigned integers, optional
        As for `quantize`.

    Returns
    -------
    array of uint8
        Element codes, in the shape of `x`.

    Raises
    ------
    TypeError, ValueError
        As for `quantize`.

    Notes
    -----
    Clause MX-1.0/6.3/elements: ``P_i = quantize(V_i / X)``. A ragged last block is taken as it is.

    Examples
    --------
    >>> import numpy as np
    >>> encode_with_scale(np.full(32, 3.0, np.float32), np.array([128], np.uint8), "mxfp4")[0]
    np.uint8(3)
    """
    array, source = inputs.as_float(x)
    fmt = block_format(format, block_size)
    chosen = get_policy(policy)
    where = inputs.normal_axis(axis, array.shape)
    given = inputs.as_codes(scales, fmt.scale.name, "scales")
    expected = inputs.scale_shape(array.shape, where, fmt.block_size, pad=True)
    if given.shape != expected:
        msg = f"scales have shape {given.shape}; expected {expected}"
        raise ValueError(msg)
    refuse_nonfinite(array, chosen, fmt.element, is_block=False)
    if chosen.nan_element is choice.NanElement.RAISE and not fmt.element.has_nan:
        refuse_nan_scale(given, fmt)
    codes = np.empty(array.shape, np.uint8)
    drawn = randomness.for_elements(random, array.shape, fmt.element, chosen)
    encode_blocks(array, source, fmt, where, chosen, given, codes, given=True, random=drawn)
    return codes


def dequantize(
    codes: ArrayLike,
    scales: ArrayLike,
    format: str | BlockFormat,  # noqa: A002
    axis: int = -1,
    policy: Policy | str | None = None,
    out: NDArray[np.float32] | None = None,
    *,
    block_size: int | None = None,
) -> NDArray[np.float32]:
    """Decode blocks to float32.

    Parameters
    ----------
    codes, scales, format, axis, block_size
        As for `MXArray`.
    policy : Policy or str, optional
        Says what becomes of products beyond float32 and of NaN; default ``"ocp"``.
    out : float32 array, optional
        Where to write.

    Returns
    -------
    array of float32
        ``X * P_i``, exact wherever float32 can hold it, which is everywhere but above its range.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit.

    Notes
    -----
    Clauses MX-1.0/5.1/value and MX-1.0/5.1/nan-scale; OP-DECODE-OVERFLOW and OP-DECODE-NAN.

    Examples
    --------
    >>> import numpy as np
    >>> dequantize(np.full(32, 0x7, np.uint8), np.array([0xFF], np.uint8), "mxfp4")[0]
    np.float32(nan)
    """
    q = MXArray(codes, scales, format, axis, block_size=block_size, policy=policy)
    return q.dequantize(out)


def blocked(x: ArrayLike, axis: int, block_size: int) -> NDArray[Any]:
    """Return an array as rows of blocks.

    Parameters
    ----------
    x : array_like
        Its length along `axis` must be a multiple of `block_size`.

    Returns
    -------
    array of shape (blocks, block_size)
        In C order over the other axes, then along `axis`; a copy only where it has to be.

    Raises
    ------
    ValueError
        If the axis or the length does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> blocked(np.arange(8).reshape(4, 2), 0, 2)
    array([[0, 2],
           [4, 6],
           [1, 3],
           [5, 7]])
    """
    array = np.asarray(x)
    where = inputs.normal_axis(axis, array.shape)
    inputs.scale_shape(array.shape, where, block_size, pad=False)
    return np.moveaxis(array, where, -1).reshape(-1, block_size)
