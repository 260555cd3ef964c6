"""`MXArray`: element codes, the scale code of each block, and what they mean."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref.formats import BLOCK_FORMATS, BlockFormat, block_format
from mxref.mxarray import _files as files
from mxref.mxarray._bridges import Bridges
from mxref.mxarray._looks import Looks
from mxref.mxarray._selection import permutation, selection
from mxref.policy import Policy, get_policy
from mxref.traversal import decode_blocks

if TYPE_CHECKING:
    from mxref.mxarray._look_parts import Family

__all__ = ["MXArray", "restored"]


class MXArray(Looks, Bridges):
    """An array in a block format: element codes and the scale code of each block.

    Parameters
    ----------
    codes : array of uint8 (or of the element's ml_dtypes type)
        Element codes, one in each byte, in the logical shape.
    scales : array of uint8 (or float8_e8m0fnu)
        Scale codes: the shape of `codes` with the length of `axis` divided by the block size,
        rounded up.
    format : str or BlockFormat
        Block format, such as ``"mxfp4"``.
    axis : int
        Axis along which blocks lie.
    block_size : int, optional
        Block length; default: the format's.
    policy : Policy or str, optional
        What the codes were made with, where that is known; it also says how to decode.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, the axis or a code do not fit the format.

    Notes
    -----
    Clauses MX-1.0/5.1/block and MX-1.0/5.1/value. The arrays are kept, not copied.

    Examples
    --------
    >>> import numpy as np
    >>> q = MXArray(np.full(32, 0x2, np.uint8), np.array([128], np.uint8), "mxfp4")
    >>> float(q.dequantize()[0])
    2.0
    """

    __slots__ = ("_axis", "_codes", "_format", "_policy", "_scales")
    __array_priority__ = 20

    def __init__(
        self,
        codes: ArrayLike,
        scales: ArrayLike,
        format: str | BlockFormat,  # noqa: A002  # the field's word
        axis: int = -1,
        *,
        block_size: int | None = None,
        policy: Policy | str | None = None,
    ) -> None:
        fmt = block_format(format, block_size)
        self._codes = inputs.as_codes(codes, fmt.element.name)
        self._scales = inputs.as_codes(scales, fmt.scale.name, "scales")
        self._format = fmt
        self._axis = inputs.normal_axis(axis, self._codes.shape)
        self._policy = get_policy(policy)
        expected = inputs.scale_shape(self._codes.shape, self._axis, fmt.block_size, pad=True)
        if self._scales.shape != expected:
            hint = "; codes come before scales" if self._scales.size > self._codes.size else ""
            msg = (
                f"scales have shape {self._scales.shape}; codes of shape {self._codes.shape} in "
                f"blocks of {fmt.block_size} along axis {self._axis} need {expected}{hint}"
            )
            raise ValueError(msg)
        inputs.check_range(self._codes, fmt.element.code_count, fmt.element.name)

    @classmethod
    def trusted(
        cls,
        codes: NDArray[np.uint8],
        scales: NDArray[np.uint8],
        fmt: BlockFormat,
        axis: int,
        policy: Policy,
    ) -> MXArray:
        """Wrap arrays that are known to fit, without checking them again."""
        array = cls.__new__(cls)
        array._assign(codes, scales, fmt, axis, policy)  # noqa: SLF001
        return array

    def _assign(
        self,
        codes: NDArray[np.uint8],
        scales: NDArray[np.uint8],
        fmt: BlockFormat,
        axis: int,
        policy: Policy,
    ) -> None:
        self._codes, self._scales = codes, scales
        self._format, self._axis, self._policy = fmt, axis, policy

    @property
    def codes(self) -> NDArray[np.uint8]:
        """Element codes, one in each byte, in the logical shape."""
        return self._codes

    @property
    def scales(self) -> NDArray[np.uint8]:
        """Scale codes, one for each block."""
        return self._scales

    @property
    def format(self) -> BlockFormat:
        """The block format."""
        return self._format

    @property
    def axis(self) -> int:
        """Axis along which blocks lie, counted from the front."""
        return self._axis

    @property
    def policy(self) -> Policy:
        """The policy that the array was made with."""
        return self._policy

    @property
    def shape(self) -> tuple[int, ...]:
        """Logical shape."""
        return self._codes.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._codes.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._codes.size

    def dequantize(self, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return the values as float32; see `mxref.dequantize`."""
        values = inputs.as_output(out, self.shape, np.float32, self._codes)
        if np.may_share_memory(values, self._scales):
            msg = "out overlaps the scales in memory; give it memory of its own"
            raise ValueError(msg)
        decode_blocks(self._scales, self._codes, self._format, self._axis, self._policy, values)
        return values

    # --- parts and copies ---------------------------------------------------------------------

    def __len__(self) -> int:
        """Length of the first axis."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> MXArray:
        """Return whole blocks: a view that shares memory, as NumPy's basic indexing gives it.

        Axes that are not blocked take integers and slices; the blocked one takes slices that
        begin and end at multiples of the block size, or at the end of the array. ``...`` and
        ``None`` work as in NumPy.

        Raises
        ------
        IndexError, TypeError, ValueError
            If an index is out of range, is an array, or would cut a block.

        Examples
        --------
        >>> import numpy as np
        >>> q = MXArray(np.zeros((4, 128), np.uint8), np.zeros((4, 4), np.uint8), "mxfp4")
        >>> q[1:3, 32:96].scales.shape, q[0].shape
        ((2, 2), (128,))
        """
        fmt = self._format
        codes, scales, axis = selection(key, self.shape, self._axis, fmt.block_size)
        return MXArray.trusted(self._codes[codes], self._scales[scales], fmt, axis, self._policy)

    def transpose(self, *axes: Any) -> MXArray:
        """Return a view with its axes in another order; none given: all reversed.

        Raises
        ------
        TypeError, ValueError
            If `axes` is no order of all axes.

        Examples
        --------
        >>> import numpy as np
        >>> q = MXArray(np.zeros((2, 64), np.uint8), np.zeros((2, 2), np.uint8), "mxfp4")
        >>> q.T.shape, q.T.scales.shape, q.T.axis
        ((64, 2), (2, 2), 0)
        """
        order = permutation(axes, self.ndim)
        parts = self._codes.transpose(order), self._scales.transpose(order)
        return MXArray.trusted(*parts, self._format, order.index(self._axis), self._policy)

    @property
    def T(self) -> MXArray:  # noqa: N802  # NumPy's name
        """A view with its axes reversed."""
        return self.transpose()

    def copy(self) -> MXArray:
        """Return a copy with memory of its own, in C order."""
        parts = self._codes.copy(), self._scales.copy()
        return MXArray.trusted(*parts, self._format, self._axis, self._policy)

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> MXArray:
        return self.copy()  # formats and policies never change

    def __reduce__(self) -> tuple[Any, ...]:
        # By name, where the name says it: smaller, and good for another release as well.
        name = self._format.name
        is_named = self._format.base in BLOCK_FORMATS and block_format(name) == self._format
        fmt = name if is_named else self._format
        return restored, (self._codes, self._scales, fmt, self._axis, self._policy)

    # --- comparing ------------------------------------------------------------------------------

    def equals(self, other: MXArray) -> bool:
        """Tell whether another array has the same format, axis, shape, codes and scale codes.

        The policies are not compared: they say where the bits came from. A NaN equals itself
        here, and the codes of +0 and −0 differ, since bits are what is compared.

        Raises
        ------
        TypeError
            If `other` is no MXArray.

        Examples
        --------
        >>> import numpy as np
        >>> q = MXArray(np.zeros(32, np.uint8), np.array([255], np.uint8), "mxfp4")
        >>> q.equals(q.copy())
        True
        """
        if not isinstance(other, MXArray):
            msg = f"equals compares with another MXArray, got {type(other).__name__}"
            raise TypeError(msg)
        return (
            (self._format, self._axis) == (other._format, other._axis)
            and np.array_equal(self._codes, other._codes)
            and np.array_equal(self._scales, other._scales)
        )

    def __eq__(self, other: object) -> bool:
        if isinstance(other, MXArray) or hasattr(other, "__array__"):
            msg = (
                "== of an MXArray could mean its bits or its values; for the bits use "
                "q.equals(other), for the values q.dequantize() == other"
            )
            raise TypeError(msg)
        return NotImplemented

    __hash__ = object.__hash__

    # --- other libraries and files ----------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001
        """Return the values as float32, or as `dtype`."""
        if copy is False:
            msg = "an MXArray becomes a NumPy array only by decoding it: copy=False cannot be met"
            raise ValueError(msg)
        values = self.dequantize()
        return values if dtype is None else values.astype(dtype, copy=False)

    def __dlpack__(self, **_: Any) -> Any:
        """Refuse, with advice."""
        msg = (
            "an MXArray is two arrays, and DLPack passes one: use q.to_torch(), q.to_jax(), "
            "q.codes and q.scales, or the values q.dequantize()"
        )
        raise TypeError(msg)

    def __dlpack_device__(self) -> Any:
        """Refuse, with the same advice."""
        return self.__dlpack__()

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write a file that `load` reads: an ``.npz`` archive without pickles.

        It holds `codes`, `scales` and a text in JSON with the format, the axis and every field of
        the policy. The file appears whole or not at all. ``np.save`` stores the values instead.

        Parameters
        ----------
        path : str or path-like
            Used as it is: no suffix is added.
        overwrite : bool
            Replace a file that exists.

        Raises
        ------
        FileExistsError
            If the path is taken and `overwrite` is false.
        OSError
            If the file cannot be written.
        ValueError
            If the format is not one of mxref's own.

        Examples
        --------
        >>> import numpy as np, tempfile
        >>> q = MXArray(np.zeros(32, np.uint8), np.array([127], np.uint8), "mxfp4")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     q.save(f"{folder}/q.npz")
        ...     MXArray.load(f"{folder}/q.npz").equals(q)
        True
        """
        parts = (self._codes, self._scales, self._format, self._axis, self._policy)
        files.write(path, files.Contents(*parts), overwrite=overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MXArray:
        """Read a file that `save` wrote.

        Raises
        ------
        OSError
            If the file cannot be opened.
        ValueError
            If it is damaged or something else.
        """
        held = files.read(path)
        try:
            return cls(held.codes, held.scales, held.format, held.axis, policy=held.policy)
        except (TypeError, ValueError) as error:
            msg = f"{os.fspath(path)}: its arrays do not fit its description: {error}"
            raise ValueError(msg) from error

    def _family(self) -> Family:
        from mxref.mxarray._look_mx import MXFamily

        return MXFamily(self)


def restored(
    codes: NDArray[np.uint8],
    scales: NDArray[np.uint8],
    fmt: str | BlockFormat,
    axis: int,
    policy: Policy,
) -> MXArray:
    """Rebuild what was pickled."""
    return MXArray.trusted(codes, scales, block_format(fmt), axis, policy)


restored.__module__ = "mxref.mxarray"  # where pickles look for it, wherever it may move
