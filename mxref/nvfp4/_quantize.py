"""What users call: quantize, dequantize, and each step of a recipe by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref.kernels import nvfp4 as kernels
from mxref.kernels import nvfp4_whole as whole
from mxref.kernels.nvfp4_steady import steadily
from mxref.nvfp4._array import NVFP4Array
from mxref.nvfp4._blocks import as_rows, from_rows, is_rows
from mxref.nvfp4._numbers import as_amax
from mxref.nvfp4._random import random_rows
from mxref.nvfp4._tensor import tensor_scales
from mxref.nvfp4._tiles import other_axis, over_tiles, tiles_of
from mxref.nvfp4._whole import in_two_passes
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.relatives.nvfp4_profiles import get_policy

__all__ = [
    "block_amax",
    "block_scales",
    "dequantize",
    "encode_with_scales",
    "global_scale_of",
    "global_scales_of",
    "quantize",
]

_SIZE = NVFP4.block_size


@steadily
def quantize(
    x: ArrayLike,
    axis: int = -1,
    policy: NVFP4Policy | str | None = None,
    out: NVFP4Array | None = None,
    *,
    pad: bool = False,
    random: Any = None,
    global_amax: Any = None,
    global_scale: Any = None,
) -> NVFP4Array:
    """Convert an array to NVFP4.

    Parameters
    ----------
    x : array_like of float32, float16, ml_dtypes.bfloat16 or float64
        Any shape of one axis or more. float64 is rounded to float32 first, or refused, as the
        policy says.
    axis : int
        Axis along which blocks lie; for a matrix product, the reduction axis. For 16 x 16 blocks
        it and the other of the last two axes.
    policy : NVFP4Policy or str, optional
        The recipe; default ``"te-1d"``.
    out : NVFP4Array, optional
        Where to write: an array of the same axis and shape. It is returned.
    pad : bool
        Accept a length that is not a multiple of 16: zeros complete the last block and are dropped
        from the codes.
    random : array of unsigned integers, int or numpy.random.Generator, optional
        Under ``rounding="stochastic"`` only: a number of ``stochastic_bits`` bits for each element,
        or a seed or a generator to draw them from.
    global_amax : float, optional
        The amax that a calibration gave, 0 or more; default the largest magnitude of `x`.
    global_scale : float, optional
        The decode multiplier g, in place of `global_amax`: positive and finite. Both are rounded
        to float32.

    Returns
    -------
    NVFP4Array
        With `codes` of the shape of `x`.

    Raises
    ------
    TypeError
        If the dtype is none of the four, or random bits are no unsigned integers.
    ValueError
        If a name, the axis, a length or `out` does not fit; if random bits are missing,
        superfluous or too large; if both `global_amax` and `global_scale` are given, or one is no
        such number.

    Notes
    -----
    OP-NVFP4-RECIPE. The definition is ``mxref.exact.nvfp4``.

    Examples
    --------
    >>> import numpy as np
    >>> q = quantize(np.array([6.0, 0.75, -0.1] + [0.0] * 13, np.float32), policy="torchao")
    >>> q.scales, [hex(c) for c in q.codes[:3]]
    (array([126], dtype=uint8), ['0x7', '0x1', '0x8'])
    """
    chosen = get_policy(policy)
    array = _as_source(x, chosen)
    where = inputs.normal_axis(axis, array.shape)
    shape = inputs.scale_shape(array.shape, where, _SIZE, pad=pad)
    other = other_axis(array.shape, where, chosen, pad=pad)
    drawn = random_rows(random, array.shape, where, chosen)
    if out is not None:
        _check_output(out, array, shape, where)
    given = as_rows(array, where)
    if whole.is_whole(chosen):
        made = in_two_passes(given, (global_amax, global_scale), chosen, out, where, array.shape)
        if made is not None:
            return made
    rows = given.astype(np.float32, copy=False)
    b = kernels.amax(rows, chosen)
    largest = b.max(initial=np.float32(0)) if global_amax is None else None
    of = tensor_scales(global_amax, global_scale, largest, chosen)
    tiles = None
    if other is not None:
        b = over_tiles(b, array.shape, where, other)
        tiles = tiles_of(array.shape, where, other)
    into = None
    if out is not None and is_rows(out.codes, where):
        into = out.codes.reshape(-1, _SIZE)
    scales, codes = _encoded(rows, b, of, chosen, drawn, tiles, into)
    found_scales = from_rows(scales.reshape(-1, 1), shape, where)
    found_codes = from_rows(codes, array.shape, where)
    if out is None:
        return NVFP4Array.trusted(found_codes, found_scales, of.decode, where, chosen)
    if codes is not into:
        out.codes[...] = found_codes
    out.scales[...] = found_scales
    out._assign(out.codes, out.scales, of.decode, where, chosen)  # noqa: SLF001  # its own module
    return out


def _encoded(
    rows: NDArray[np.float32],
    b: NDArray[np.float32],
    of: kernels.Globals,
    policy: NVFP4Policy,
    drawn: NDArray[np.uint32] | None,
    tiles: tuple[int, int, int] | None,
    into: NDArray[np.uint8] | None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    scales = kernels.scale_codes(b, of, policy)
    codes = kernels.encode(rows, scales, of, policy, drawn, into)
    if policy.target is not choice.Target.FOUR_OVER_SIX:
        return scales, codes
    scales_four = kernels.scale_codes(b, of, policy, is_four=True)
    codes_four = kernels.encode(rows, scales_four, of, policy, drawn)
    picks_four = kernels.picks_second(
        rows, (scales, codes), (scales_four, codes_four), of, policy, tiles
    )
    np.copyto(scales, scales_four, where=picks_four)
    np.copyto(codes, codes_four, where=picks_four[:, None])
    return scales, codes


def _as_float32(x: ArrayLike, policy: NVFP4Policy) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(_as_source(x, policy), np.float32)


def _as_source(x: ArrayLike, policy: NVFP4Policy) -> NDArray[Any]:
    """As float32, or as one of the narrower types that kernels read."""
    array, source = inputs.as_float(x)
    if source == "float64" and policy.float64 is choice.Float64.REFUSE:
        msg = (
            "x has dtype float64, and the policy has float64=refuse: NVFP4 is made from float32, "
            "bfloat16 or float16; convert it first, for example with .astype(np.float32)"
        )
        raise TypeError(msg)
    with np.errstate(over="ignore", invalid="ignore"):
        dtype = np.float32 if source == "float64" else array.dtype.newbyteorder("=")
        return np.asarray(array, dtype)


def _check_output(out: NVFP4Array, x: NDArray[Any], shape: tuple[int, ...], axis: int) -> None:
    if not isinstance(out, NVFP4Array):
        msg = f"out must be an NVFP4Array, got {type(out).__name__}"
        raise TypeError(msg)
    if out.axis != axis:
        msg = f"out lies along axis {out.axis}; expected axis {axis}"
        raise ValueError(msg)
    inputs.as_output(out.codes, x.shape, np.uint8, x)
    inputs.as_output(out.scales, shape, np.uint8, x)


def dequantize(
    codes: ArrayLike,
    scales: ArrayLike,
    global_scale: Any = 1.0,
    axis: int = -1,
    policy: NVFP4Policy | str | None = None,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Decode NVFP4 to float32.

    Parameters
    ----------
    codes, scales, global_scale, axis
        As for `NVFP4Array`. Without `global_scale` the values are those of codes and block scales
        alone: of a recipe with two levels they are 1 / g times too large.
    policy : NVFP4Policy or str, optional
        Uses ``decode_order`` and ``scale_sign``; default ``"te-1d"``.
    out : float32 array, optional
        Where to write.

    Returns
    -------
    array of float32
        ``e2m1 * ue4m3 * global_scale``, rounded once unless the policy says otherwise.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> dequantize(np.full(16, 0x7, np.uint8), np.array([0x38], np.uint8), 0.5)[0]
    np.float32(3.0)
    """
    return NVFP4Array(codes, scales, global_scale, axis, policy=policy).dequantize(out)


@steadily
def encode_with_scales(
    x: ArrayLike,
    scales: ArrayLike,
    global_scale: Any = None,
    axis: int = -1,
    policy: NVFP4Policy | str | None = None,
    *,
    global_amax: Any = None,
    random: Any = None,
) -> NDArray[np.uint8]:
    """Encode elements under scale codes that somebody else chose.

    Parameters
    ----------
    x : array_like of float32, float16, bfloat16 or float64
    scales : array of uint8
        UE4M3 codes, shaped as `NVFP4Array` wants them.
    global_scale, global_amax : float, optional
        One of the two, as for `quantize`. Default a multiplier of 1, which means no scale of the
        tensor, under policies with two levels too. Recipes that start from S, the reciprocal of
        the multiplier, are bit-exact only from `global_amax`.
    random
        As for `quantize`.

    Returns
    -------
    array of uint8
        E2M1 codes, in the shape of `x`.

    Raises
    ------
    TypeError, ValueError
        As for `quantize`.

    Examples
    --------
    >>> import numpy as np
    >>> encode_with_scales(np.full(16, 3.0, np.float32), np.array([0x38], np.uint8))[0]
    np.uint8(5)
    """
    chosen = get_policy(policy)
    array = _as_float32(x, chosen)
    where = inputs.normal_axis(axis, array.shape)
    given = inputs.as_codes(scales, NVFP4.scale.name, "scales")
    expected = inputs.scale_shape(array.shape, where, _SIZE, pad=True)
    if given.shape != expected:
        msg = f"scales have shape {given.shape}; expected {expected}"
        raise ValueError(msg)
    g = 1.0 if global_scale is None and global_amax is None else global_scale
    of = tensor_scales(global_amax, g, None, chosen)
    drawn = random_rows(random, array.shape, where, chosen)
    rows = as_rows(array, where)
    codes = kernels.encode(rows, as_rows(given, where, 1).reshape(-1), of, chosen, drawn)
    return from_rows(codes, array.shape, where)


@steadily
def block_amax(
    x: ArrayLike, axis: int = -1, policy: NVFP4Policy | str | None = None, *, pad: bool = False
) -> NDArray[np.float32]:
    """Return the largest magnitude of each block, in the shape of the scales.

    Examples
    --------
    >>> import numpy as np
    >>> block_amax(-np.arange(32, dtype=np.float32))
    array([15., 31.], dtype=float32)
    """
    chosen = get_policy(policy)
    array = _as_float32(x, chosen)
    where = inputs.normal_axis(axis, array.shape)
    shape = inputs.scale_shape(array.shape, where, _SIZE, pad=pad)
    other = other_axis(array.shape, where, chosen, pad=pad)
    b = kernels.amax(as_rows(array, where), chosen)
    if other is not None:
        b = over_tiles(b, array.shape, where, other)
    return from_rows(b.reshape(-1, 1), shape, where)


def global_scales_of(amax: Any, policy: NVFP4Policy | str | None = None) -> kernels.Globals:
    """Return both forms of the scale of a tensor with this amax: ``encode`` S and ``decode`` g.

    Examples
    --------
    >>> found = global_scales_of(6.0)
    >>> float(found.encode), float(found.decode)
    (448.0, 0.0022321429569274187)
    """
    return kernels.global_scales(as_amax(amax, "amax"), get_policy(policy))


def global_scale_of(amax: Any, policy: NVFP4Policy | str | None = None) -> np.float32:
    """Return the global multiplier of a tensor with this amax.

    Examples
    --------
    >>> float(global_scale_of(2688.0))
    1.0
    """
    return global_scales_of(amax, policy).decode


@steadily
def block_scales(
    amax: ArrayLike,
    global_scale: Any = None,
    policy: NVFP4Policy | str | None = None,
    *,
    global_amax: Any = None,
    four: bool = False,
) -> NDArray[np.uint8]:
    """Return the scale codes of blocks whose largest magnitudes are given.

    Parameters
    ----------
    amax : array_like of float32
        0 or more; or NaN, of which the policy decides.
    global_scale, global_amax : float, optional
        As for `encode_with_scales`: without either there is no scale of the tensor.
    four : bool
        Under ``target="four-over-six"``: the candidate that maps to 4.

    Raises
    ------
    TypeError, ValueError
        If a dtype or a name does not fit, or an amax is negative.

    Examples
    --------
    >>> import numpy as np
    >>> block_scales(np.float32([6, 3, 0.001]), global_amax=6.0)
    array([126, 118,  26], dtype=uint8)
    """
    chosen = get_policy(policy)
    if four and chosen.target is not choice.Target.FOUR_OVER_SIX:
        msg = f"four=True needs target=four-over-six, and the policy has target={chosen.target}"
        raise ValueError(msg)
    b = _as_float32(amax, chosen)
    if (b < 0).any():
        msg = f"amax has the negative number {b.min()}: pass the largest magnitudes of the blocks"
        raise ValueError(msg)
    b = np.abs(b)  # that of -0
    g = 1.0 if global_scale is None and global_amax is None else global_scale
    of = tensor_scales(global_amax, g, None, chosen)
    return kernels.scale_codes(b.reshape(-1), of, chosen, is_four=four).reshape(b.shape)
