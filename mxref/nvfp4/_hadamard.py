"""`hadamard`: the random Hadamard transform that is applied before quantizing."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref._suggest import unknown_name
from mxref.exact.nvfp4_hadamard import TE_SIGNS
from mxref.kernels.nvfp4_steady import steadily
from mxref.nvfp4._blocks import as_rows, from_rows

__all__ = ["hadamard"]

_ORDERS = ("exact", "float32")


@steadily
def hadamard(
    x: ArrayLike,
    axis: int = -1,
    d: int = 16,
    signs: ArrayLike | str | None = None,
    *,
    inverse: bool = False,
    order: str = "exact",
    dtype: Any = None,
) -> NDArray[Any]:
    """Return ``x H`` in groups of d along an axis, with ``H = S_d H_d / sqrt(d)``.

    Parameters
    ----------
    x : array_like of float32, float16, ml_dtypes.bfloat16 or float64
        float64 is rounded to float32 first.
    axis : int
        Its length must be a multiple of d.
    d : int
        A power of two; TransformerEngine has 16.
    signs : array_like, str or None
        The diagonal of S_d, numbers 1 and -1; ``"te"`` for the fixed ones of TransformerEngine
        (d = 16); None for none.
    inverse : bool
        Undo the transform: ``x H^T``.
    order : str
        ``"exact"``: each number is rounded once. ``"float32"``: the fast transform, with pairs at
        distance 1, 2, 4 and so on, a float32 rounding after each addition, and then one product
        with the float32 nearest to 1 / sqrt(d).
    dtype : dtype, optional
        float32 or bfloat16; default that of `x` if it is one of them, else float32.

    Raises
    ------
    TypeError, ValueError
        If a dtype, the axis, d, the signs or the order does not fit.

    Notes
    -----
    TransformerEngine multiplies bfloat16 by a bfloat16 matrix on tensor cores and stores bfloat16.
    In which order these add, and where they round, is not published; ``order="exact"`` with
    bfloat16 is what they approximate [inferred].

    Examples
    --------
    >>> import numpy as np
    >>> hadamard(np.float32([1, 2, 3, 4]), d=4)
    array([ 5., -1., -2.,  0.], dtype=float32)
    >>> x = np.arange(16, dtype=np.float32)
    >>> bool((hadamard(hadamard(x, signs="te"), signs="te", inverse=True) == x).all())
    True
    """
    from mxref.kernels import nvfp4_hadamard as kernels

    array, _ = inputs.as_float(x)
    where = inputs.normal_axis(axis, array.shape)
    if not isinstance(d, int | np.integer) or d < 1 or d & (d - 1):
        msg = f"d must be a power of two, got {d!r}"
        raise ValueError(msg)
    if array.shape[where] % d:
        msg = f"axis {where} has length {array.shape[where]}, which is no multiple of d = {d}"
        raise ValueError(msg)
    if order not in _ORDERS:
        raise ValueError(unknown_name("order", order, _ORDERS))
    diagonal = _diagonal(signs, int(d))
    wanted = _dtype(dtype, array.dtype)
    rows = as_rows(np.asarray(array, np.float32), where, int(d))
    name = "float32" if wanted == np.float32 else "bfloat16"
    bits = kernels.hadamard(rows, diagonal, _ORDERS.index(order), name, inverse=inverse)
    found = bits.view(np.float32) if name == "float32" else bits.astype(np.uint16).view(wanted)
    return from_rows(found, array.shape, where)


def _diagonal(signs: Any, d: int) -> NDArray[np.float32]:
    if signs is None:
        return np.ones(d, np.float32)
    if isinstance(signs, str):
        if signs != "te":
            raise ValueError(unknown_name("signs", signs, ("te",)))
        if d != len(TE_SIGNS):
            msg = f"signs='te' are {len(TE_SIGNS)}, and d is {d}; give an array of {d}"
            raise ValueError(msg)
        return np.array(TE_SIGNS, np.float32)
    array = np.asarray(signs)
    if array.shape != (d,) or not np.isin(array, (1, -1)).all():
        msg = f"signs must be {d} numbers, 1 or -1, got shape {array.shape}"
        raise ValueError(msg)
    return array.astype(np.float32)


def _dtype(dtype: Any, given: np.dtype[Any]) -> np.dtype[Any]:
    known = (np.dtype(np.float32), np.dtype(ml_dtypes.bfloat16))
    if dtype is None:
        return given if given in known else known[0]
    wanted = np.dtype(dtype)
    if wanted not in known:
        msg = f"dtype must be float32 or ml_dtypes.bfloat16, got {wanted}"
        raise TypeError(msg)
    return known[known.index(wanted)]
