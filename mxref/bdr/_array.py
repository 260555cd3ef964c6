"""`BDRArray`: codes, scales and sub-scales of an array in a BDR format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref._foreign import as_numpy
from mxref.bdr._walk import pieces, shared_shape, sub_shape
from mxref.mxarray._looks import Looks
from mxref.relatives.bdr_format import BDRFormat, ScaleKind
from mxref.relatives.bdr_formats import bdr_format
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.bdr_profiles import get_bdr_policy

if TYPE_CHECKING:
    from mxref.mxarray._look_parts import Family

__all__ = ["BDRArray"]


class BDRArray(Looks):
    """An array in a BDR format, unpacked: a byte for each code.

    Parameters
    ----------
    codes : array_like of uint8
        Element codes, in the logical shape.
    scales : array_like of uint8, or of float32
        One for each k1 elements along `axis`: codes of powers of two, or float32 numbers; of
        shape () where the format has one scale for the whole tensor.
    subscales : array_like of uint8, or None
        One for each k2 elements: shifts, or integers. They cover the padding of a last block that
        is not full. None without a second level.
    format : str or BDRFormat
    axis : int
        Axis along which blocks lie.
    policy : BDRPolicy or str, optional
        Under which it was made.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or codes do not fit the format.

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.array([2, 5, 0, 0], np.uint8)
    >>> q = BDRArray(codes, np.array([130], np.uint8), np.array([0, 1], np.uint8), "mx4:k1=4")
    >>> q.dequantize()
    array([ 8., -4.,  0.,  0.], dtype=float32)
    """

    __slots__ = ("axis", "codes", "format", "policy", "scales", "subscales")

    codes: NDArray[np.uint8]
    scales: NDArray[Any]
    subscales: NDArray[np.uint8] | None
    format: BDRFormat
    axis: int
    policy: BDRPolicy

    def __init__(
        self,
        codes: ArrayLike,
        scales: ArrayLike,
        subscales: ArrayLike | None,
        format: str | BDRFormat,  # noqa: A002
        axis: int = -1,
        *,
        policy: BDRPolicy | str | None = None,
    ) -> None:
        fmt = bdr_format(format)
        self.format, self.policy = fmt, get_bdr_policy(policy)
        self.codes = _bytes(codes, "codes", fmt)
        self.axis = _axis_of(axis, self.codes.shape, fmt)
        _check_codes(self.codes, fmt.code_count, "code", fmt)
        shape = shared_shape(self.codes.shape, self.axis, fmt, pad=True)
        self.scales = _scales(scales, shape, fmt)
        wanted = sub_shape(shape, self.axis, fmt)
        self.subscales = _subscales(subscales, wanted, fmt)

    @classmethod
    def trusted(
        cls,
        codes: NDArray[np.uint8],
        scales: NDArray[Any],
        subscales: NDArray[np.uint8] | None,
        fmt: BDRFormat,
        axis: int,
        policy: BDRPolicy,
    ) -> BDRArray:
        """Return an array of parts that are known to fit; nothing is checked."""
        made = cls.__new__(cls)
        made.codes, made.scales, made.subscales = codes, scales, subscales
        made.format, made.axis, made.policy = fmt, axis, policy
        return made

    @property
    def shape(self) -> tuple[int, ...]:
        """Logical shape."""
        return self.codes.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.codes.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.codes.size

    @property
    def nbytes(self) -> int:
        """Bytes that the arrays take here; ``format.bits_per_element`` is what they hold."""
        shared = 0 if self.subscales is None else self.subscales.nbytes
        return self.codes.nbytes + self.scales.nbytes + shared

    def dequantize(self, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Decode to float32.

        Parameters
        ----------
        out : float32 array, optional
            Where to write.

        Returns
        -------
        array of float32
            The exact values, rounded to nearest even where float32 cannot hold them.

        Raises
        ------
        TypeError, ValueError
            If `out` does not fit.
        """
        values: NDArray[np.float32] = inputs.as_output(out, self.shape, np.float32, self.codes)
        for part in (self.scales, self.subscales):
            if part is not None and out is not None:
                inputs.as_output(out, self.shape, np.float32, part)
        _decode(self, values)
        return values

    def __array__(
        self,
        dtype: Any = None,
        copy: bool | None = None,  # noqa: FBT001  # NumPy calls it so
    ) -> NDArray[Any]:
        """Return the values, for NumPy."""
        if copy is False:
            raise ValueError("the values of a BDRArray are computed: copy=False cannot be had")
        values = self.dequantize()
        return values if dtype is None else values.astype(dtype)

    def _family(self) -> Family:
        from mxref.bdr._array_look import BDRFamily

        return BDRFamily(self)


def _decode(q: BDRArray, values: NDArray[np.float32]) -> None:
    fmt = q.format
    if fmt.scale is ScaleKind.FLOAT32:
        from mxref.bdr import _scaled

        _scaled.decode(q.codes, q.scales, q.subscales, fmt, q.axis, values)
        return
    from mxref.kernels import bdr as kernels

    parts = (values, q.codes, q.scales, q.subscales)
    columns = kernels.MIN_COLUMNS if kernels.takes_columns(fmt) else None
    for piece in pieces(*parts, fmt, q.axis, fill=("values",), min_columns=columns):
        bits = piece.values.view(np.uint32)
        kernels.dequantize(piece.scales, piece.subscales, piece.codes, fmt, bits, piece.inner)


def _axis_of(axis: int, shape: tuple[int, ...], fmt: BDRFormat) -> int:
    """Return the axis from the front; one scale for all needs none."""
    return 0 if fmt.k1 is None and not shape else inputs.normal_axis(axis, shape)


def _bytes(given: Any, name: str, fmt: BDRFormat) -> NDArray[np.uint8]:
    array = as_numpy(given, name)
    if array.dtype != np.uint8:
        hint = ""
        if np.issubdtype(array.dtype, np.floating):
            hint = "; these look like values: mxref.bdr.quantize makes codes of them"
        raise TypeError(
            f"{name} has dtype {array.dtype}; expected uint8, a bit pattern in each byte "
            f"({fmt.name}){hint}"
        )
    return array


def _check_codes(codes: NDArray[np.uint8], count: int, what: str, fmt: BDRFormat) -> None:
    if count > np.iinfo(np.uint8).max or codes.size == 0 or int(codes.max()) < count:
        return
    where = tuple(int(i) for i in np.argwhere(codes >= count)[0])
    raise ValueError(
        f"{what} {int(codes[where]):#04x} at {where} is out of range: {fmt.name} has 0 to "
        f"{count - 1:#x}"
    )


def _scales(given: Any, shape: tuple[int, ...], fmt: BDRFormat) -> NDArray[Any]:
    array = as_numpy(given, "scales")
    if fmt.scale is ScaleKind.POW2:
        array = _bytes(array, "scales", fmt)
        _check_codes(array, fmt.nan_scale + 1, "scale code", fmt)
    elif array.dtype != np.float32:
        raise TypeError(f"scales have dtype {array.dtype}; {fmt.name} has float32 scales")
    if array.shape != shape:
        raise ValueError(f"scales have shape {array.shape}; {fmt.name} expects {shape} here")
    if fmt.scale is ScaleKind.FLOAT32 and (array < 0).any():
        raise ValueError(
            f"scales have the negative number {array.min()}: a scale of {fmt.name} is a magnitude, "
            "and elements have signs of their own"
        )
    return array


def _subscales(
    given: Any, shape: tuple[int, ...] | None, fmt: BDRFormat
) -> NDArray[np.uint8] | None:
    if shape is None:
        if given is not None:
            raise ValueError(f"subscales were given, but {fmt.name} has none: pass None")
        return None
    if given is None:
        raise ValueError(f"{fmt.name} has sub-scales: pass them as uint8 of shape {shape}")
    array = _bytes(given, "subscales", fmt)
    if array.shape != shape:
        raise ValueError(f"subscales have shape {array.shape}; {fmt.name} expects {shape} here")
    _check_codes(array, fmt.max_subscale + 1, "sub-scale", fmt)
    return array
