"""Programs of sums on NumPy arrays: what runs under NUMBA_DISABLE_JIT, slower by far.

The same steps as the compiled loop takes, over one array for each sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mxref.kernels._sum_lanes import BFLOAT16, FLOAT16, FLOAT32, Product

if TYPE_CHECKING:
    from mxref.kernels.sums_orders import Sides

__all__ = ["run_program"]

_SHAPES = {BFLOAT16: (8, -126, 127), FLOAT16: (11, -14, 15)}


def run_program(
    program: NDArray[np.int64],
    sides: Sides,
    kind: int,
    product: int,
    addend: NDArray[Any] | None,
    *,
    is_last: bool,
) -> NDArray[Any]:
    """Run a program; parameters as for `sums_orders.run`.

    Raises
    ------
    FloatingPointError
        If this thread flushes subnormals or does not round to nearest.
    """
    _refuse_unusual_mode()
    with np.errstate(all="ignore"):
        total = _Sums(sides, kind, product, None if is_last else addend).run(program)
        if addend is not None and is_last:
            total = _rounded(total + _rounded(addend, kind), kind)
        return total.astype(np.float32)


def _refuse_unusual_mode() -> None:
    least, one = np.array([2.0**-126], np.float32), np.array([1.0, -1.0], np.float32)
    is_flushed = not (least * np.float32(0.5)).view(np.uint32).all()
    tiny = np.array([2.0**-30, -(2.0**-30)], np.float32)
    if is_flushed or ((one + tiny) != one).any():
        raise FloatingPointError(
            "this thread flushes subnormal numbers or does not round to nearest, which some "
            "library has set; expected the default mode of IEEE 754, since without compiled "
            "kernels (NUMBA_DISABLE_JIT) numpy's own arithmetic is used: reset the mode"
        )


class _Sums:
    """The numbered sums of one product while a program runs."""

    def __init__(self, sides: Sides, kind: int, product: int, addend: NDArray[Any] | None) -> None:
        self.sides, self.kind, self.product = sides, kind, product
        kept = np.float32 if kind == FLOAT32 else np.float64
        self.zero = np.zeros(_meet(sides, sides.a[0][:, :1], sides.b[0][:, :1])[0].shape, kept)
        self.addend = self.zero if addend is None else _rounded(addend, kind) + self.zero
        self.sums: dict[int, NDArray[Any]] = {}

    def run(self, program: NDArray[np.int64]) -> NDArray[Any]:
        for step, into, fresh, start, count, stride in program.tolist():
            begun = self.sums.get(into, self.zero)
            total: Any = (begun, self.zero, self.addend)[fresh]
            if step == 0:
                chosen = slice_of(start, count, stride)
                for x, y in _columns(self.sides, self.sides.a[0], self.sides.b[0], chosen):
                    total = self._accumulated(total, x, y)
            elif step == 1:
                total = _rounded(total + self.sums[start], self.kind)
            elif step == 2:
                factor = self._factors(start).astype(np.float32)
                total = self._accumulated(total, self.sums[count], factor)
            else:
                for block in slice_of(start, count, stride):
                    exact = self._exact(block) * self._factors(block)
                    total = _rounded(total + _rounded(exact, self.kind), self.kind)
            self.sums[into] = total
        return self.sums[0]

    def _factors(self, block: int) -> NDArray[np.float64]:
        sides = self.sides
        left, right = _meet(sides, sides.scales_a[:, [block]], sides.scales_b[:, [block]])
        return np.asarray(left * right)

    def _accumulated(self, total: Any, x: Any, y: Any) -> Any:
        exact = x.astype(np.float64) * y
        if self.product in (Product.FUSED, Product.FMA):
            return _rounded(_odd_sum(total.astype(np.float64), exact), self.kind)
        if self.product == Product.SINGLE and self.kind in _SHAPES:
            single = total.astype(np.float32) + exact.astype(np.float32)
            return _rounded(single, self.kind)
        return _rounded(total + _rounded(exact, self.kind), self.kind)

    def _exact(self, block: int) -> NDArray[np.float64]:
        """The exact sum of a block, rounded to odd."""
        sides = self.sides
        size = sides.block
        chosen = range(block * size, min((block + 1) * size, sides.a.shape[2]))
        n_a, n_b = (len(side) - sides.has_special for side in (sides.a, sides.b))
        parts = [np.zeros(self.zero.shape) for _ in range(n_a + n_b - 1)]
        for i in range(n_a):
            for j in range(n_b):
                for x, y in _columns(sides, sides.a[i], sides.b[j], chosen):
                    parts[i + j] = parts[i + j] + x * y
        total = parts[-1]
        if len(parts) == 2:
            total = _odd_sum(parts[1], parts[0])
        elif len(parts) == 3:
            high, middle = _two_sum(parts[2], parts[1])
            middle, low = _two_sum(middle, parts[0])
            high, rest = _two_sum(high, middle)
            total = _made_odd(high, _odd_sum(rest, low))
        if sides.has_special:
            special = np.zeros(self.zero.shape)
            for x, y in _columns(sides, sides.a[-1], sides.b[-1], chosen):
                special = special + x * y
            total = np.where(np.isfinite(special), total, special)
        return total


def slice_of(start: int, count: int, stride: int) -> Any:
    """The numbers of a run."""
    return range(start, start + count * stride, stride) if count else range(0)


def _meet(sides: Sides, a: Any, b: Any) -> tuple[Any, Any]:
    """One column of each side, so that numpy broadcasts them to the result."""
    return (a[:, 0], b[:, 0]) if sides.is_paired else (a, b[:, 0])


def _columns(sides: Sides, a: Any, b: Any, chosen: Any) -> Iterator[tuple[Any, Any]]:
    for k in chosen:
        yield _meet(sides, a[:, [k]], b[:, [k]])


def _two_sum(x: Any, y: Any) -> tuple[Any, Any]:
    total = x + y
    of_y = total - x
    return total, (x - (total - of_y)) + (y - of_y)


def _odd_sum(x: Any, y: Any) -> Any:
    return _made_odd(*_two_sum(x, y))


def _made_odd(total: Any, rest: Any) -> Any:
    is_even = total.view(np.uint64) & np.uint64(1) == 0
    toward = np.nextafter(total, np.where(rest > 0, np.inf, -np.inf))
    return np.where(is_even & (rest != 0) & ~np.isnan(rest), toward, total)


def _rounded(value: Any, kind: int) -> Any:
    if kind == FLOAT32:
        return value.astype(np.float32)
    wide = value.astype(np.float64)
    if kind not in _SHAPES:
        return wide
    precision, least, most = _SHAPES[kind]
    is_number = np.isfinite(wide)
    exponent = np.maximum(np.frexp(np.where(is_number, wide, 0.0))[1] - 1, least)
    steps = np.rint(np.ldexp(wide, precision - 1 - exponent))
    found = np.ldexp(steps, exponent - (precision - 1))
    is_over = np.abs(found) >= 2.0 ** (most + 1)
    return np.where(is_number, np.where(is_over, np.copysign(np.inf, wide), found), wide)
