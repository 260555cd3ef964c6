"""QSNR: how loud the numbers are beside the errors that quantization made, in decibels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs

__all__ = ["decibels", "qsnr", "squares"]


def qsnr(x: ArrayLike, y: ArrayLike, axis: int | tuple[int, ...] | None = None) -> Any:
    """Quantization signal-to-noise ratio, ``-10 log10(sum (x - y)^2 / sum x^2)``, in dB.

    Parameters
    ----------
    x : array_like of real numbers
        What was quantized.
    y : array_like of real numbers
        What became of it, in the same shape.
    axis : int, tuple of int or None
        Along which numbers are summed. None, the default, gives one *pooled* ratio of all of
        them; an axis gives the ratio of each vector along it. Pooled, loud vectors count for
        more; the mean of the ratios of vectors counts each alike, and may be quite different.

    Returns
    -------
    float, or ndarray of float64
        ``inf`` where there is no error, also if all numbers are zero; ``-inf`` where zeros became
        something else; NaN where x or y holds a NaN or an infinity: leave those out before.

    Raises
    ------
    ValueError
        If the shapes differ, or there is no such axis.
    TypeError
        If something else than real numbers was given.

    Notes
    -----
    The paper that introduced BDR formats defines the ratio of means over many vectors, which is
    the pooled one (arXiv 2302.08007). Computed in float64 from numbers scaled by a power of two,
    so that nothing overflows; the result is within 1e-9 dB.

    Examples
    --------
    >>> qsnr([3.0, 4.0], [3.0, 4.5])
    20.0
    >>> qsnr([[1.0, 1.0], [100.0, 0.0]], [[1.0, 0.9], [90.0, 0.0]], axis=1).round(1)
    array([23., 20.])
    >>> qsnr([1.0], [1.0])
    inf
    """
    first, second = _numbers(x, "x"), _numbers(y, "y")
    if first.shape != second.shape:
        raise ValueError(f"x has shape {first.shape} and y {second.shape}; they must be the same")
    axes = _axes(axis, first.ndim)
    rows = _as_rows(first, axes), _as_rows(second, axes)
    signal, noise = squares(*rows)
    kept = tuple(n for i, n in enumerate(first.shape) if i not in axes)
    ratios = decibels(signal, noise).reshape(kept)
    return ratios if kept else float(ratios)


def squares(
    x: NDArray[Any], y: NDArray[Any]
) -> tuple[tuple[NDArray[np.float64], NDArray[np.int64]], ...]:
    """Sums of squares of x and of x - y in each row, as pairs ``(s, e)`` that mean ``s 4**e``.

    A row's own power of two is taken out first, so that no square overflows or vanishes.
    """
    wide, other = x.astype(np.float64), y.astype(np.float64)
    with np.errstate(all="ignore"):
        # Halves: the difference of two numbers at the end of the range must not overflow.
        errors = wide * 0.5 - other * 0.5
        pairs = []
        for part, lost in ((wide, 0), (errors, 1)):
            largest = np.abs(part).max(axis=1, initial=0.0)
            exponents = np.where(np.isfinite(largest), np.frexp(largest)[1], 0).astype(np.int64)
            scaled = np.ldexp(part, -exponents[:, None])
            pairs.append((np.sum(scaled * scaled, axis=1), exponents + lost))
    return tuple(pairs)


def decibels(
    signal: tuple[NDArray[np.float64], NDArray[np.int64]],
    noise: tuple[NDArray[np.float64], NDArray[np.int64]],
) -> NDArray[np.float64]:
    """Turn two sums of squares, as `squares` gives them, into their ratio in dB."""
    (s, s_exponents), (n, n_exponents) = signal, noise
    with np.errstate(all="ignore"):
        ratio = 10 * (np.log10(s) - np.log10(n) + (s_exponents - n_exponents) * np.log10(4.0))
    ratio = np.where((n == 0) & np.isfinite(s), np.inf, ratio)
    return np.where(np.isfinite(s) & np.isfinite(n), ratio, np.nan)


def _numbers(x: ArrayLike, name: str) -> NDArray[Any]:
    array = np.asarray(x)
    if array.dtype.kind in "iub":
        return array.astype(np.float64)
    try:
        return inputs.as_float(x)[0]
    except TypeError:
        raise TypeError(f"{name} must be an array of real numbers, got {array.dtype}") from None


def _axes(axis: int | tuple[int, ...] | None, dims: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(dims))
    given = axis if isinstance(axis, tuple) else (axis,)
    shape = (1,) * dims
    return tuple(sorted({inputs.normal_axis(a, shape) for a in given}))


def _as_rows(x: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    kept = [i for i in range(x.ndim) if i not in axes]
    moved = x.transpose(*kept, *axes) if x.ndim else x
    size = int(np.prod([x.shape[i] for i in axes], dtype=np.int64))
    rows = int(np.prod([x.shape[i] for i in kept], dtype=np.int64))
    return moved.reshape(rows, size)
