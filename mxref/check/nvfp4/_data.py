"""What a check of NVFP4 is given, validated, and what follows from it: blocks, amax, S and g."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref import nvfp4
from mxref._foreign import as_numpy
from mxref.check.relatives import Blocks, Piece
from mxref.faults.nvfp4_model import Blocks16, largest
from mxref.kernels import nvfp4 as kernels
from mxref.kernels.nvfp4 import Globals
from mxref.nvfp4._numbers import as_amax, as_multiplier, as_stored
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["Data", "as_global_scale", "same_number"]

_SIZE = 16
_TINY = 2.0**-100  # below, some recipes make 0 of an amax


def as_global_scale(given: Any, name: str = "global_scale") -> np.float32:
    """Return the multiplier of the tensor as a float32.

    Raises
    ------
    TypeError, ValueError
        If it is no single number.
    """
    if given is None:
        raise ValueError(
            f"{name} is missing: NVFP4 has a second scale, one float32 for the tensor. Pass "
            f"{name}=, the decode multiplier (amax / 2688 in most recipes; the inverse of what is "
            f"stored if that is the encode scale), or {name}=1.0 where there is none, and block "
            "scales are all there is"
        )
    array = as_numpy(given, name)
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise TypeError(f"{name} has dtype {array.dtype}; expected one float32")
    if array.size != 1:
        raise ValueError(
            f"{name} has shape {array.shape}; expected a single number: the scale of the whole "
            "tensor. Check tensors that have several, such as experts, one by one"
        )
    with np.errstate(over="ignore"):
        return np.float32(array.reshape(())[()])


class Data:
    """Values, codes, scale codes and the global scale of one tensor.

    Parameters
    ----------
    x, codes, scales : array_like
        As the caller gave them; `x` may be decoded values.
    axis : int
        Blocked axis.
    global_scale : float
        Decode multiplier.
    global_amax : float, optional
        The amax that the producer used, if that is known; default: that of `x`.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or codes do not fit.
    """

    def __init__(
        self,
        x: Any,
        codes: Any,
        scales: Any,
        axis: int,
        global_scale: Any,
        global_amax: Any = None,
    ) -> None:
        values, _ = inputs.as_float(x)
        given = inputs.as_codes(codes, "e2m1")
        shared = inputs.as_codes(scales, "e4m3", "scales")
        where = inputs.normal_axis(axis, values.shape)
        if given.shape != values.shape:
            raise ValueError(_wrong_shape(given.shape, values.shape, where))
        expected = inputs.scale_shape(values.shape, where, _SIZE, pad=True)
        if shared.shape != expected:
            raise ValueError(
                f"scales have shape {shared.shape}; expected {expected}: one E4M3 code for each "
                f"block of {_SIZE} along axis {where} of {values.shape}. Scales in the order of a "
                "tensor core (128x4) come back with mxref.layouts.unpack_scales"
            )
        given = given.view(np.uint8)
        self.g = as_global_scale(global_scale)
        self.axis, self.shape = where, values.shape
        self.source = values
        with np.errstate(over="ignore", invalid="ignore"):
            self.x = values.astype(np.float32, copy=False)
        self.scales = shared.view(np.uint8)
        self.codes = given
        self.is_bitwise = False
        self._given_amax = None if global_amax is None else as_amax(global_amax)
        as_stored(self.g)
        if not 0 < self.g < np.inf and self._has_plain_amax():
            as_multiplier(global_scale)  # says why no recipe makes it of these data

    def _has_plain_amax(self) -> bool:
        """Whether every recipe makes a positive, finite multiplier of the amax."""
        amax = self._given_amax
        if amax is None:
            amax = np.abs(self.x).max(initial=np.float32(0))
        return bool(_TINY <= amax < np.inf)

    @functools.cached_property
    def blocks(self) -> Blocks:
        """Blocks as rows."""
        return Blocks(self.x, self.codes, self.axis, _SIZE, {"scales": self.scales})

    def check_codes(self) -> None:
        """Raise `ValueError` for codes above 15."""
        inputs.check_range(self.codes, 16, "e2m1")

    def is_made_by(self, policy: NVFP4Policy) -> bool:
        """Whether a policy makes just these bits, by the kernels and in one pass."""
        if policy.geometry == "2d" and not self.has_squares:
            return False
        amax = None if self._given_amax is None else self._given_amax
        q = nvfp4.quantize(self.x, self.axis, policy, pad=True, global_amax=amax)
        if not same_number(q.global_scale, self.g):
            return False
        same = np.array_equal(q.scales, self.scales) and np.array_equal(q.codes, self.codes)
        self.is_bitwise = same
        return same

    @functools.cached_property
    def amax(self) -> NDArray[np.float32]:
        """Largest magnitude of each block, NaN left out: shape (n, 1)."""
        if not self.blocks.n:
            return np.zeros((0, 1), np.float32)
        return np.concatenate([largest(p.x) for p in self.blocks.pieces()])[:, None]

    @functools.cached_property
    def has_nan(self) -> NDArray[np.bool_]:
        """Which blocks hold a NaN: shape (n, 1)."""
        parts = [np.isnan(p.x).any(1) for p in self.blocks.pieces()]
        return np.concatenate(parts)[:, None] if parts else np.zeros((0, 1), np.bool_)

    @functools.cached_property
    def around(self) -> NDArray[np.float32]:
        """Amax of the neighbours, and of the first block."""
        a = self.amax
        return np.concatenate(
            [np.roll(a, 1), np.roll(a, -1), np.repeat(a[:1], len(a), axis=0)], axis=1
        )

    @property
    def has_squares(self) -> bool:
        """Whether 16 x 16 elements can share a scale."""
        return len(self.shape) > 1 and self.axis >= len(self.shape) - 2

    @functools.cached_property
    def squares(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Amax and NaN of 16 x 16 elements, repeated for each of their lines: shape (n, 1)."""
        ndim = len(self.shape)
        other = ndim - 2 if self.axis == ndim - 1 else ndim - 1
        lead = [n for i, n in enumerate(self.shape) if i != self.axis]
        place = other if other < self.axis else other - 1
        found = []
        for array in (self.amax, self.has_nan):
            plane = np.moveaxis(array.reshape(*lead, -1), place, 0)
            starts = np.arange(0, len(plane), _SIZE)
            most = np.maximum.reduceat(plane, starts, axis=0)
            back = np.moveaxis(np.repeat(most, _SIZE, axis=0)[: len(plane)], 0, place)
            found.append(back.reshape(-1, 1))
        return found[0], found[1]

    def tensor_amax(self, policy: NVFP4Policy) -> np.float32:
        """The amax that a policy takes for its global scale."""
        if self._given_amax is not None:
            return self._given_amax
        if policy.amax_nan == "propagate" and self.has_nan.any():
            return np.float32(np.nan)
        return np.float32(self.amax.max(initial=0))

    def globals(self, policy: NVFP4Policy) -> Globals:
        """S and g of a policy, where that gives the g that is used; else S = fl(1 / g)."""
        known = self._globals.get(policy)
        if known is None:
            known = self.expected(policy)
            if not same_number(known.decode, self.g):
                two = policy.replace(levels="two-level")
                known = kernels.from_global_scale(self.g, two)
            self._globals[policy] = known
        return known

    @functools.cached_property
    def _globals(self) -> dict[NVFP4Policy, Globals]:
        return {}

    def use(self, g: np.float32) -> None:
        """Judge scales and elements by another multiplier than the one that is stored."""
        self.g = g
        self._globals.clear()
        self._selected.clear()

    def reorder(self, scales: NDArray[np.uint8]) -> None:
        """Judge elements, and scales, by scale codes in another order than they were given in."""
        self.scales = scales
        self.__dict__.pop("blocks", None)
        self._globals.clear()
        self._selected.clear()

    def expected(self, policy: NVFP4Policy) -> Globals:
        """S and g that a policy computes from amax."""
        return kernels.global_scales(self.tensor_amax(policy), policy)

    def largest_of(self, piece: Piece, policy: NVFP4Policy) -> NDArray[np.float32]:
        """The largest magnitude of what shares each scale, as a policy takes it: shape (n,)."""
        amax, has_nan = self.squares if self._is_square(policy) else (self.amax, self.has_nan)
        found = amax[piece.rows, 0]
        if policy.amax_nan == "propagate":
            found = np.where(has_nan[piece.rows, 0], np.float32(np.nan), found)
        return np.asarray(found, np.float32)

    def _is_square(self, policy: NVFP4Policy) -> bool:
        return policy.geometry == "2d" and self.has_squares

    def selected(self, policy: NVFP4Policy, piece: Piece) -> NDArray[np.uint8]:
        """Scale codes of some blocks where a search chooses between 6 and 4: shape (n, 1)."""
        amax = self.tensor_amax(policy)
        if self._is_square(policy) or not np.isfinite(amax):
            return self._all_selected(policy)[piece.rows]
        # Blocks choose each for itself: a few can be tried without the others.
        foreign = not same_number(self.expected(policy).decode, self.g)
        made = nvfp4.quantize(
            piece.x,
            -1,
            policy.replace(geometry="1d"),
            global_scale=kernels.from_global_scale(self.g, policy) if foreign else None,
            global_amax=None if foreign else amax,
        )
        return made.scales

    def _all_selected(self, policy: NVFP4Policy) -> NDArray[np.uint8]:
        """All of them: shape (n, 1)."""
        if policy not in self._selected:
            foreign = not same_number(self.expected(policy).decode, self.g)
            made = nvfp4.quantize(
                self.x,
                self.axis,
                policy,
                pad=True,
                global_amax=None if foreign else self._given_amax,
                global_scale=kernels.from_global_scale(self.g, policy) if foreign else None,
            )
            moved = np.moveaxis(made.scales, self.axis, -1)
            self._selected[policy] = np.ascontiguousarray(moved).reshape(-1, 1)
        return self._selected[policy]

    @functools.cached_property
    def _selected(self) -> dict[NVFP4Policy, NDArray[np.uint8]]:
        return {}

    def measured(self, piece: Piece, policy: NVFP4Policy) -> Blocks16:
        """Blocks as the model wants them."""
        amax, has_nan = self.amax, self.has_nan
        if self._is_square(policy):
            amax, has_nan = self.squares
        rows = piece.rows
        return Blocks16(piece.x, amax[rows], has_nan[rows], self.around[rows], rows[:, None])


def same_number(one: np.float32, other: np.float32) -> bool:
    """Whether two numbers are one, any NaN and any NaN too."""
    return bool(one == other or (np.isnan(one) and np.isnan(other)))


def _wrong_shape(codes: tuple[int, ...], x: tuple[int, ...], axis: int) -> str:
    text = f"codes have shape {codes}; expected that of x, {x}, one code in each byte"
    halved = list(x)
    halved[axis] = -(-halved[axis] // 2)
    if codes == tuple(halved):
        text += ". They look packed, two to a byte: unpack them with mxref.layouts.unpack_codes"
    return text
