"""UE4M3, the scale format of NVFP4, by itself: casts of numbers to and from its 128 codes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref.exact import nvfp4_scales as exact
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.relatives.nvfp4_profiles import get_policy
from mxref.traversal import flat_pieces, storage_of

__all__ = ["SCALE_NAME", "decode_scale", "encode_scale"]

SCALE_NAME = "ue4m3"
_NAN_CODE = NVFP4.scale_nan_code
_COUNT = 128
_MOST = np.uint8(_NAN_CODE - 1)
_BEYOND = 480.0  # what the code of NaN would be, were it a number
_INFINITIES = {"float32": 0xFF << 23, "float64": 0x7FF << 52, "float16": 0x7C00, "bfloat16": 0x7F80}


@functools.cache
def _bounds(rounding: choice.ScaleRounding) -> NDArray[np.float64]:
    """The least float64 that becomes code 1, 2, ... 0x7F; that is 480, or beyond the range."""
    codes = range(_NAN_CODE)
    numbers = [*(float(exact.decode_scale(code).value) for code in codes), _BEYOND]
    values = np.array(numbers, np.float64)
    if rounding is choice.ScaleRounding.TOWARD_ZERO:
        return np.array(numbers[1:], np.float64)
    middles = np.asarray((values[1:] + values[:-1]) / 2)
    if rounding is choice.ScaleRounding.NEAREST_EVEN:
        # A tie above an even code belongs to that code.
        words = middles.view(np.int64)
        words[::2] += 1
    return middles


def encode_scale(
    x: ArrayLike,
    policy: NVFP4Policy | str | None = None,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Encode numbers as UE4M3 codes, one by one, each rounded once.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or bfloat16
        No number below zero: UE4M3 has no sign, and no recipe makes such a scale. Minus zero
        becomes code 0, NaN of either sign 0x7F.
    policy : NVFP4Policy or str, optional
        Uses ``scale_rounding``, and ``scale_overflow`` for what rounds beyond 448: 0x7E by
        default, or 0x7F, NaN. Default ``"te-1d"``.
    out : uint8 array, optional
        Where to write.

    Returns
    -------
    array of uint8
        Codes 0x00 to 0x7F, in the shape of `x`.

    Raises
    ------
    TypeError
        If the dtype is none of the four.
    ValueError
        If a number is negative, a name does not exist, or `out` does not fit.

    Notes
    -----
    OP-NVFP4-RECIPE: scale_rounding, scale_overflow. The definition is
    ``mxref.exact.nvfp4.encode_scale``.

    Examples
    --------
    >>> encode_scale([1.0, 2.0**-9, 448.0, 1e6, float("nan")])
    array([ 56,   1, 126, 126, 127], dtype=uint8)
    """
    array, source = inputs.as_float(x)
    chosen = get_policy(policy)
    codes = inputs.as_output(out, array.shape, np.uint8, array)
    bounds = _bounds(chosen.scale_rounding)
    saturates = chosen.scale_overflow is choice.ScaleOverflow.SATURATE
    infinity = _INFINITIES[source]
    storage = np.dtype(storage_of(source))
    for numbers, target in flat_pieces(array, codes):
        words = numbers.view(storage)
        sizes = words & storage.type((1 << (8 * storage.itemsize - 1)) - 1)
        is_nan = sizes > infinity
        is_below = (words != sizes) & (sizes != 0) & ~is_nan
        if is_below.any():
            raise ValueError(_negative(numbers[np.argmax(is_below)]))
        with np.errstate(invalid="ignore"):  # signalling NaN
            values = sizes.view(numbers.dtype).astype(np.float64)
        found = np.searchsorted(bounds, values, side="right").astype(np.uint8)
        if saturates:
            np.minimum(found, _MOST, out=found)
        found[is_nan] = _NAN_CODE
        target[...] = found
    return codes


def _negative(number: Any) -> str:
    return (
        f"x holds {float(number):g}, and UE4M3 has no sign: scales are zero or more; encode the "
        "magnitudes, np.abs(x), or the elements' format 'e4m3' if signs are meant"
    )


@functools.cache
def _values() -> NDArray[np.float32]:
    found = np.array([float(exact.decode_scale(code).value) for code in range(_NAN_CODE)] + [0.0])
    single = found.astype(np.float32)
    single.view(np.uint32)[_NAN_CODE] = 0x7FC00000
    return single


def decode_scale(
    codes: ArrayLike,
    policy: NVFP4Policy | str | None = None,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Decode UE4M3 codes to float32, one by one; always exact.

    Parameters
    ----------
    codes : array of uint8, or of ml_dtypes.float8_e4m3fn
        Codes 0x00 to 0x7F; 0x7F is NaN.
    policy : NVFP4Policy or str, optional
        Checked; no choice changes what the 128 codes mean.
    out : float32 array, optional
        Where to write.

    Returns
    -------
    array of float32

    Raises
    ------
    TypeError
        If the dtype is not that of codes.
    ValueError
        If a code has the top bit set, a name does not exist, or `out` does not fit.

    Notes
    -----
    OP-NVFP4-RECIPE. `dequantize` reads the top bit as ``scale_sign`` says.

    Examples
    --------
    >>> import numpy as np
    >>> decode_scale(np.array([0x01, 0x38, 0x7E, 0x7F], np.uint8)).tolist()
    [0.001953125, 1.0, 448.0, nan]
    """
    get_policy(policy)
    array = inputs.as_codes(codes, NVFP4.scale.name)
    if array.size and int(array.max()) >= _COUNT:
        where = tuple(int(i) for i in np.argwhere(array >= _COUNT)[0])
        raise ValueError(
            f"code {int(array[where]):#04x} at {where} has the top bit set, and UE4M3 codes are "
            "0x00 to 0x7f; clear it with codes & 0x7f, or decode 'e4m3' if it is a sign"
        )
    values = inputs.as_output(out, array.shape, np.float32, array)
    for given, target in flat_pieces(array, values):
        target.view(np.uint32)[...] = _values().view(np.uint32)[given]
    return values
