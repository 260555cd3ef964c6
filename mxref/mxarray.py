"""`MXArray`: element codes, the scale code of each block, and what they mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref.formats import BlockFormat, block_format
from mxref.policy import Policy, get_policy
from mxref.traversal import decode_blocks

__all__ = ["MXArray"]


class MXArray:
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
            msg = (
                f"scales have shape {self._scales.shape}; codes of shape {self._codes.shape} in "
                f"blocks of {fmt.block_size} along axis {self._axis} need {expected}"
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

    def __len__(self) -> int:
        """Length of the first axis."""
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001
        """Return the values as float32, or as `dtype`."""
        if copy is False:
            msg = "an MXArray becomes a NumPy array only by decoding it: copy=False cannot be met"
            raise ValueError(msg)
        values = self.dequantize()
        return values if dtype is None else values.astype(dtype, copy=False)

    def __repr__(self) -> str:
        """Return format, shape, axis and policy, and the values in short."""
        head = (
            f"MXArray({self._format.name}, shape={self.shape}, axis={self._axis}, "
            f"policy='{self._policy}')"
        )
        if self.size > _PREVIEW:
            return f"{head} of {self._scales.size} blocks"
        values = np.array2string(self.dequantize(), threshold=64, edgeitems=4, prefix="  ")
        return f"{head}\n  {values}\n  scales {np.array2string(self._scales, threshold=32)}"


_PREVIEW = 1 << 12  # larger arrays are not decoded just to be printed
