"""The exact product: infinitely precise sums over the whole of K, each rounded once.

How it works, with the numbers, is in docs/matmul.md. In short: codes become signed bytes, products
of bytes are summed in int32, those in float64 where that is exact or else with their errors, and
what a bound on the errors cannot certify is summed in integers of 2432 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from mxref.kernels.gemm import cpu, finish, product, scaled, tiles
from mxref.kernels.gemm.rounding import MODES
from mxref.matmul._digits import Plan, plan_of
from mxref.matmul._integers import sums_in_integers
from mxref.matmul._sides import marks_of, packed, scales_of, shares_of, side_of
from mxref.matmul._special import put_special, special_dots, special_results
from mxref.matmul._terms import Product, Terms

__all__ = ["NANS", "OUTPUTS", "MatmulInfo", "exact_product", "round_array"]

_SIDE = tiles.SIDE
_SLAB = 1 << 21  # results whose float64 sums are held at once
_STRETCH = 1 << 19  # bytes of the right operand, to stay in the second-level cache
_TASKS = 16
_SETTLED = 3  # a state beside those of `finish`
_EMPTY = np.empty((0, 0))
_POWERS = np.ldexp(1.0, np.arange(256) - 127)
_POWERS[255] = 1.0  # NaN: such rows are settled elsewhere

OUTPUTS: dict[str, tuple[int, int, int, Any]] = {
    "float32": (24, -126, 127, np.uint32),
    "float64": (53, -1022, 1023, np.uint64),
    "float16": (11, -14, 15, np.uint16),
    "bfloat16": (8, -126, 127, np.uint16),
}
"""Precision, emin, emax and the integer type of the bits of every type of output."""

NANS = {"float32": 0x7FC00000, "float64": 0x7FF8 << 48, "float16": 0x7E00, "bfloat16": 0x7FC0}


@dataclass(frozen=True, slots=True)
class MatmulInfo:
    """How an exact product was computed.

    Attributes
    ----------
    path : str
        The instructions: ``"portable"``, ``"avx512-vnni"`` or ``"amx-int8"``.
    exact : int
        Results whose float64 sums were exact, or exact with their errors.
    certified : int
        Results that a bound on the errors certified.
    fallbacks : int
        Results that were summed in integers.
    special : int
        Results that are NaN or infinite because an operand is; the four add up to all results.
    is_aligned : bool
        Whether elements were moved up to the least scale of their row; else blocks were weighed.
    digits : tuple of float
        How many bytes an element of a and of b was cut into, on average.
    """

    path: str
    exact: int
    certified: int
    fallbacks: int
    special: int
    is_aligned: bool = False
    digits: tuple[float, float] = (0.0, 0.0)


def exact_product(
    wanted: Product, dtype: str, rounding: str, out: NDArray[Any], path: int
) -> MatmulInfo:
    """Write the exact product, rounded once, to `out`.

    Parameters
    ----------
    wanted : Product
    dtype : str
        One of `OUTPUTS`.
    rounding : str
        One of `MODES`.
    out : ndarray of the dtype, C-contiguous
    path : int
        Which instructions, one of `cpu.paths`.
    """
    if wanted.is_paired:
        return _dot_products(wanted, dtype, rounding, out)
    if not out.size:
        return MatmulInfo(cpu.NAMES[path], 0, 0, 0, 0)
    run = _Run(wanted, dtype, rounding, out, path)
    return run.info()


def _dot_products(wanted: Product, dtype: str, rounding: str, out: NDArray[Any]) -> MatmulInfo:
    """Write dot products of rows with rows: each is summed in integers."""
    limits = OUTPUTS[dtype]
    rules = (MODES.index(rounding), *limits[:3])
    numbers = np.arange(len(out))
    addend = np.zeros(len(out))
    if wanted.c is not None:
        with np.errstate(invalid="ignore"):
            addend = np.array(wanted.c, np.float64)
        addend[~np.isfinite(addend)] = 0.0
    sign_bit = np.uint64(1) << np.uint64(8 * out.dtype.itemsize - 1)
    bits = out.view(limits[3])
    bits[...] = sums_in_integers(wanted, numbers, numbers, addend, rules, sign_bit)
    special = special_dots(wanted)
    n_special = put_special(special, out, NANS[dtype])
    return MatmulInfo("integers", 0, 0, len(out) - n_special, n_special)


class _Run:
    """One product, from its operands to its results."""

    def __init__(
        self, wanted: Product, dtype: str, rounding: str, out: NDArray[Any], path: int
    ) -> None:
        self.wanted, self.dtype, self.out, self.path = wanted, dtype, out, path
        self.rounding = (MODES.index(rounding), *OUTPUTS[dtype][:3])
        self.sign_bit = np.uint64(1) << np.uint64(8 * out.dtype.itemsize - 1)
        self.k, self.block = wanted.k, wanted.block
        self.a, self.b = side_of(wanted.a, right=False), side_of(wanted.b, right=True)
        self.unit = wanted.a.unit + wanted.b.unit
        self.counts = np.zeros(3, np.int64)
        self.special = special_results(wanted, self.a.flags, self.b.flags)

    def info(self) -> MatmulInfo:
        """Compute, and say how."""
        marks = [marks_of(side, self.k, self.block) for side in (self.a, self.b)]
        plan = plan_of(
            self.a.numbers, self.b.numbers, self.a.spread, self.b.spread, self.k, self.block,
            self.path, shares_of(*marks),
        )  # fmt: skip
        if self.k:
            self._multiply(plan, marks)
        else:
            self._round(0, np.zeros(self.out.shape), np.zeros(self.out.shape), plan)
        n_special = 0
        if self.special is not None:
            n_special = put_special(self.special, self.out, NANS[self.dtype])
        exact, certified, fallbacks = (int(count) for count in self.counts)
        digits = tuple(float(np.mean(planes)) for planes in (plan.a_planes, plan.b_planes))
        return MatmulInfo(
            cpu.NAMES[self.path], exact, certified, fallbacks, n_special, plan.is_aligned,
            (digits[0], digits[1]),
        )  # fmt: skip

    # --- sums ---------------------------------------------------------------------------------

    def _multiply(self, plan: Plan, marks: list[Any]) -> None:
        group = self.k if plan.is_aligned else self.block
        width = 64 if plan.is_aligned else min(64, -(-self.block // 4) * 4)
        groups, per_group = -(-self.k // group), -(-group // width)
        plane = groups * per_group * _SIDE * width
        a, a_starts = packed(
            self.a, plan.a_planes, plane, group, width, self.block, plan, right=False
        )
        b, b_starts = packed(
            self.b, plan.b_planes, plane, group, width, self.block, plan, right=True
        )
        sums = np.empty(0, np.int32)
        if self.path == cpu.VNNI:
            sums = np.empty(len(a) // width, np.int32)
            product.row_sums(a, width, sums)
        scales = [scales_of(side, plan) for side in (self.a, self.b)]
        levels = int(plan.a_planes.max() + plan.b_planes.max()) - 1
        if not plan.is_aligned:
            counts = (int(plan.a_planes.max()), int(plan.b_planes.max()))
            marks = [
                np.ones((len(planes), count, groups * per_group), np.uint8)
                for planes, count in zip((plan.a_planes, plan.b_planes), counts, strict=True)
            ]
        weights = np.ldexp(1.0, self.unit + 8 * np.arange(levels))
        is_direct = self._is_direct(plan)
        rows = self.out.shape[0] if is_direct else self._slab()
        stretch = max(1, _STRETCH // max(1, int(plan.b_planes.max()) * plane))
        factors = (np.empty(0), np.empty(0))
        if is_direct and self.wanted.has_factors:
            factors = (_factors_of(self.wanted.a), _factors_of(self.wanted.b))
        for start in range(0, self.out.shape[0], rows):
            stop = min(self.out.shape[0], start + rows)
            tasks = _tasks((start // _SIDE, -(-stop // _SIDE)), len(plan.b_planes), stretch)
            shape = (0, 0) if is_direct else (stop - start, self.out.shape[1])
            high, low = np.empty(shape), np.empty(shape)
            direct = self.out if is_direct else np.empty((0, 0), np.float32)
            product.multiply(
                self.path, (stop - start) * self.out.shape[1] * self.k // 64,
                a, a_starts, plan.a_planes, marks[0], scales[0], sums,
                b, b_starts, plan.b_planes, marks[1], scales[1],
                plan.exact, plan.is_joint, groups, per_group, width, _POWERS, weights,
                tiles.tile_config(width),
                tasks, *product.scratch(len(tasks), levels), start, direct, high, low, *factors,
            )  # fmt: skip
            if is_direct:
                n_special = 0 if self.special is None else int((self.special != 0).sum())
                self.counts[finish.EXACT] += self.out.size - n_special
            else:
                self._round(start, high, low, plan)

    def _is_direct(self, plan: Plan) -> bool:
        is_plain = self.dtype == "float32" and self.rounding[0] == 0 and self.wanted.c is None
        if self.wanted.has_factors:
            return is_plain and bool(plan.exact.all())
        return is_plain and bool((plan.reach <= _room(plan)).all())

    def _slab(self) -> int:
        return int(max(_SIDE, _SLAB // max(1, self.out.shape[1]) // _SIDE * _SIDE))

    # --- results ------------------------------------------------------------------------------

    def _round(self, start: int, high: Any, low: Any, plan: Plan) -> None:
        stop = start + len(high)
        addend, c = _EMPTY, self.wanted.c
        if c is not None:
            with np.errstate(invalid="ignore"):  # a signalling NaN
                addend = np.array(c[start:stop], np.float64, order="C")  # a copy
            addend[~np.isfinite(addend)] = 0.0
        bits = self.out[start:stop].view(OUTPUTS[self.dtype][3])
        state = np.empty(high.shape, np.uint8)
        reach, room, error = plan.reach, _room(plan), plan.terms**2 * 2.0**-104
        if self.wanted.has_factors:
            of_a, of_b = (_factors_of(side) for side in (self.wanted.a, self.wanted.b))
            scaled.times_factors(high, low, of_a[start:stop], of_b)
            reach, room = _scaled_reach(plan, of_a, of_b), 0.0
            error = (plan.terms + 1) ** 2 * 2.0**-104
        finish.finish(
            high, low, addend, self.a.least, self.b.least, reach, start,
            room, self.unit, error, _POWERS,
            *self.rounding, self.sign_bit, bits, state,
        )  # fmt: skip
        if self.special is not None:
            state[self.special[start:stop] != 0] = _SETTLED
        self.counts += np.bincount(state.reshape(-1), minlength=4)[:3]
        of_m, of_n = np.nonzero(state == finish.OPEN)
        if len(of_m):
            given = addend[of_m, of_n] if c is not None else np.zeros(len(of_m))
            bits[of_m, of_n] = self._in_integers(of_m + start, of_n, given)

    def _in_integers(self, of_m: Any, of_n: Any, addend: Any) -> NDArray[np.uint64]:
        return sums_in_integers(self.wanted, of_m, of_n, addend, self.rounding, self.sign_bit)


def _room(plan: Plan) -> float:
    """Up to how many units a pair of float64 holds all sums exactly."""
    return 2.0**105 / plan.terms


def _factors_of(side: Terms) -> NDArray[np.float64]:
    """The factor of each row, in float64."""
    rows = len(side.codes)
    if side.factors is None:
        return np.ones(rows)
    return np.array(np.broadcast_to(side.factors, rows), np.float64)


def _scaled_reach(
    plan: Plan, of_a: NDArray[np.float64], of_b: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The bound on sums after their factors; 0 where the sums and their errors are still exact.

    A pair is exact where the sum was one float64, or where factors are powers of two.
    """
    most = [np.maximum.reduceat(np.abs(of), np.arange(0, len(of), _SIDE)) for of in (of_a, of_b)]
    is_exact = plan.exact
    if all((np.abs(np.frexp(of)[0]) == 0.5).all() for of in (of_a, of_b)):
        is_exact = is_exact | (plan.reach <= _room(plan))
    return np.where(is_exact, 0.0, plan.reach * np.outer(*most))


def round_array(values: NDArray[Any], dtype: str, rounding: str) -> NDArray[Any]:
    """Round finished results to another type; NaN become the quiet one of that type.

    Parameters
    ----------
    values : ndarray of float32, float16 or bfloat16
    dtype : str
        One of `OUTPUTS`.
    rounding : str
        One of `MODES`.

    Examples
    --------
    >>> round_array(np.float32([[1 + 2**-9, -np.inf]]), "bfloat16", "up").tolist()
    [[1.0078125, -inf]]
    """
    kind = np.dtype(ml_dtypes.bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    flat = values.reshape(1, -1).astype(np.float64)
    is_finite = np.isfinite(flat)
    whole = np.where(is_finite, flat, 0.0)
    out = np.empty(flat.shape, kind)
    least, reach = np.full(1, 127, np.int32), np.zeros((1, -(-flat.size // _SIDE)))
    state = np.empty(flat.shape, np.uint8)
    finish.finish(
        whole, np.zeros_like(whole), _EMPTY, least, np.full(flat.size, 127, np.int32), reach, 0,
        1.0, 0, 0.0, _POWERS, MODES.index(rounding), *OUTPUTS[dtype][:3],
        np.uint64(1) << np.uint64(8 * kind.itemsize - 1), out.view(OUTPUTS[dtype][3]), state,
    )  # fmt: skip
    # Zeros keep their sign here: they are results, not sums that are known to be zero.
    plain = ~is_finite | (flat == 0)
    with np.errstate(all="ignore"):
        out[plain] = flat[plain].astype(kind)
    out.view(OUTPUTS[dtype][3])[np.isnan(flat)] = NANS[dtype]
    return out.reshape(values.shape)


def _tasks(rows: tuple[int, int], columns: int, stretch: int) -> NDArray[np.int64]:
    """Rectangles of panels: all of a, or a part, by a stretch of b that stays in a cache."""
    first, last = rows
    parts = -(-columns // stretch)
    edges = np.linspace(0, columns, parts + 1).astype(np.int64)
    pieces = max(1, min(last - first, -(-_TASKS // parts)))
    cuts = np.linspace(first, last, pieces + 1).astype(np.int64)
    found = [
        (cuts[i], cuts[i + 1], edges[j], edges[j + 1]) for j in range(parts) for i in range(pieces)
    ]
    if pieces == 1 and parts < _TASKS:  # few rows: the columns make the tasks
        edges = np.linspace(0, columns, min(columns, _TASKS) + 1).astype(np.int64)
        found = [(first, last, edges[j], edges[j + 1]) for j in range(len(edges) - 1)]
    return np.array(found, np.int64)
