"""BDR elements as integers under the exponent of their block: what a dot product adds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mxref.bdr._array import BDRArray
from mxref.relatives.bdr_format import Element, ScaleKind

__all__ = ["as_scaled_integers"]

_INT16_BITS = 15


def as_scaled_integers(q: BDRArray) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
    """Return elements as integers, their shifts applied, and one exponent for each block.

    Parameters
    ----------
    q : BDRArray
        In a format with power-of-two scales.

    Returns
    -------
    integers : array of int16, shape of `q`
        ``(-1)**sign * M * 2**(max_shift - D)``.
    exponents : array of int32, shape of the scales
        The value of an element is its integer times two to this power.

    Raises
    ------
    TypeError
        If `q` is no BDRArray.
    ValueError
        If scales are float32, the integers do not fit int16, or a block is NaN, which no integer
        is.

    Examples
    --------
    >>> import numpy as np
    >>> from mxref.bdr import quantize
    >>> q = quantize(np.array([1.0, 0.5, 0.25, -0.25] + [0.0] * 12, np.float32), "mx4")
    >>> integers, exponents = as_scaled_integers(q)
    >>> integers[:4], exponents
    (array([ 4,  2,  1, -1], dtype=int16), array([-2], dtype=int32))
    """
    if not isinstance(q, BDRArray):
        kind = type(q).__name__
        raise TypeError(f"q must be a BDRArray, as mxref.bdr.quantize makes them; got {kind}")
    fmt = q.format
    if fmt.scale is not ScaleKind.POW2:
        raise ValueError(f"{fmt.name} has float32 scales: its elements share no exponent")
    if fmt.m + fmt.max_shift > _INT16_BITS:
        raise ValueError(
            f"{fmt.name} has shifts up to {fmt.max_shift}: its elements of {fmt.m} bits do not fit "
            "int16 once shifted"
        )
    is_nan = q.scales == fmt.nan_scale
    if is_nan.any():
        where = tuple(int(i) for i in np.argwhere(is_nan)[0])
        raise ValueError(
            f"the scale at {where} is NaN, and no integer is: leave such blocks out, or quantize "
            "with nan=zero or nan=max (and inf=clamp)"
        )
    codes = q.codes.astype(np.int16)
    if fmt.element is Element.TWOS_COMPLEMENT:
        integers = codes - ((codes & fmt.sign_mask) << 1)
    else:
        size = codes & fmt.max_magnitude
        integers = np.where(codes & fmt.sign_mask, -size, size)
    if q.subscales is not None:
        left = fmt.max_shift - q.subscales.astype(np.int16)
        each = np.repeat(left, fmt.k2, axis=q.axis)
        within = tuple(slice(n) for n in q.shape)
        integers = integers << each[within]
    lowest = fmt.bias + fmt.m - 1 + fmt.max_shift
    return integers.astype(np.int16, copy=False), q.scales.astype(np.int32) - lowest
