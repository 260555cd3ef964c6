"""`NVFP4Array`: codes, scale codes and the global multiplier together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref.mxarray._looks import Looks
from mxref.nvfp4._numbers import as_stored
from mxref.relatives.nvfp4_format import NVFP4, NVFP4Format
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.relatives.nvfp4_profiles import get_policy

if TYPE_CHECKING:
    from mxref.mxarray._look_parts import Family

__all__ = ["NVFP4Array"]


class NVFP4Array(Looks):
    """An array in NVFP4: ``value = e2m1 * ue4m3 * global_scale``.

    Parameters
    ----------
    codes : array of uint8
        E2M1 codes, one in each byte, in the logical shape.
    scales : array of uint8
        UE4M3 codes, one for every 16 elements along `axis`; for 16 x 16 blocks too, repeated for
        each row, as matrix instructions read them.
    global_scale : float
        The multiplier that decodes; amax / 2688 in the usual recipe. Some projects store its
        reciprocal. Rounded to float32. The default, 1, means that there is no scale of the tensor:
        values are then those of codes and block scales alone. Some recipes make 0, infinity or NaN
        of tensors of zeros, infinities or NaN, which are kept; negative numbers are refused.
    axis : int
        Axis along which blocks lie.
    policy : NVFP4Policy or str, optional
        The recipe that the array was made with, if it is known; it also says how to decode.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, the axis or a code do not fit the format.

    Notes
    -----
    The arrays are kept, not copied.

    Examples
    --------
    >>> import numpy as np
    >>> q = NVFP4Array(np.full(16, 0x2, np.uint8), np.array([0x40], np.uint8), 0.5)
    >>> float(q.dequantize()[0])
    1.0
    """

    __slots__ = ("_axis", "_codes", "_global_scale", "_policy", "_scales")
    __array_priority__ = 20

    def __init__(
        self,
        codes: ArrayLike,
        scales: ArrayLike,
        global_scale: Any = 1.0,
        axis: int = -1,
        *,
        policy: NVFP4Policy | str | None = None,
    ) -> None:
        self._codes = inputs.as_codes(codes, NVFP4.element.name)
        self._scales = inputs.as_codes(scales, NVFP4.scale.name, "scales")
        self._global_scale = as_stored(global_scale)
        self._axis = inputs.normal_axis(axis, self._codes.shape)
        self._policy = get_policy(policy)
        size = NVFP4.block_size
        expected = inputs.scale_shape(self._codes.shape, self._axis, size, pad=True)
        if self._scales.shape != expected:
            hint = "; codes come before scales" if self._scales.size > self._codes.size else ""
            msg = (
                f"scales have shape {self._scales.shape}; codes of shape {self._codes.shape} in "
                f"blocks of {size} along axis {self._axis} need {expected}{hint}"
            )
            raise ValueError(msg)
        inputs.check_range(self._codes, NVFP4.element.code_count, NVFP4.element.name)

    @classmethod
    def trusted(
        cls,
        codes: NDArray[np.uint8],
        scales: NDArray[np.uint8],
        global_scale: np.float32,
        axis: int,
        policy: NVFP4Policy,
    ) -> NVFP4Array:
        """Wrap arrays that are known to fit, without checking them again."""
        array = cls.__new__(cls)
        array._assign(codes, scales, global_scale, axis, policy)  # noqa: SLF001  # its own class
        return array

    def _assign(
        self,
        codes: NDArray[np.uint8],
        scales: NDArray[np.uint8],
        global_scale: np.float32,
        axis: int,
        policy: NVFP4Policy,
    ) -> None:
        self._codes, self._scales, self._global_scale = codes, scales, global_scale
        self._axis, self._policy = axis, policy

    @property
    def codes(self) -> NDArray[np.uint8]:
        """Element codes, one in each byte, in the logical shape."""
        return self._codes

    @property
    def scales(self) -> NDArray[np.uint8]:
        """Scale codes, one for every 16 elements along the axis."""
        return self._scales

    @property
    def global_scale(self) -> np.float32:
        """The multiplier of the whole tensor."""
        return self._global_scale

    @property
    def format(self) -> NVFP4Format:
        """The format."""
        return NVFP4

    @property
    def axis(self) -> int:
        """Axis along which blocks lie, counted from the front."""
        return self._axis

    @property
    def policy(self) -> NVFP4Policy:
        """The recipe that the array was made with."""
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

    @property
    def nbytes(self) -> int:
        """Bytes of the stored format: two codes in a byte, the scales, and the multiplier."""
        return -(-self._codes.size // 2) + self._scales.size + 4

    def dequantize(self, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return the values as float32; see `mxref.nvfp4.dequantize`."""
        from mxref.nvfp4._blocks import decode_array

        values = inputs.as_output(out, self.shape, np.float32, self._codes)
        if np.may_share_memory(values, self._scales):
            msg = "out overlaps the scales in memory; give it memory of its own"
            raise ValueError(msg)
        decode_array(self, values)
        return values

    def __len__(self) -> int:
        """Length of the first axis."""
        return self.shape[0]

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[Any]:
        """Return the values, for NumPy."""
        if copy is False:
            msg = "an NVFP4Array has no array of its values to share; leave copy out"
            raise ValueError(msg)
        values = self.dequantize()
        return values if dtype is None else values.astype(dtype)

    def _family(self) -> Family:
        from mxref.nvfp4._array_look import NVFP4Family

        return NVFP4Family(self)
