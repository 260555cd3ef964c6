"""From codes to products: the steps of a dot product before its sum, each of which may be faulty.

A product of two elements and a factor of two scales are exact in float64. Infinities and NaN are
kept apart: what they make of a sum does not depend on its order, so that every model of a sum sees
finite numbers only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mxref.check.dot._exact import Floats, exact_sums, slices
from mxref.check.dot._problem import Bytes, DotProblem, Rows
from mxref.faults.decode import element_table, scale_table
from mxref.formats import ElementFormat

__all__ = ["Planes", "Products", "Setup", "both", "multiplied", "own", "plain_setup", "products_of"]

Factor = Callable[[Floats, Floats, Bytes, Bytes], Floats]


def both(of_a: Floats, of_b: Floats, _a: Bytes, _b: Bytes) -> Floats:
    """The factor of a block: the product of its scales."""
    return of_a * of_b


def own(scales: Floats) -> Floats:
    """The scales as they are."""
    return scales


def multiplied(x: Floats, y: Floats) -> Floats:
    """The product of two elements."""
    return x * y


def _own(numbers: NDArray[np.intp]) -> NDArray[np.intp]:
    return numbers


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """What the operands are taken for, whole: the arrays that a faulty kernel reads.

    Attributes
    ----------
    codes_a, scales_a, codes_b, scales_b : ndarray of uint8
        As in `Operand`.
    source : callable
        From the numbers of outputs to those whose sums come out in their places.
    """

    codes_a: Bytes
    scales_a: Bytes
    codes_b: Bytes
    scales_b: Bytes
    source: Callable[[NDArray[np.intp]], NDArray[np.intp]] = _own

    @classmethod
    def of(cls, problem: DotProblem) -> Planes:
        """What the operands are."""
        a, b = problem.a, problem.b
        return cls(a.codes, a.scales, b.codes, b.scales)

    def but(self, planes: Mapping[str, Bytes]) -> Planes:
        """The same with some arrays replaced."""
        return replace(self, **planes)  # type: ignore[arg-type]  # none of them is `source`


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """A dot product as steps; a fault replaces one or more of them.

    Attributes
    ----------
    table_a, table_b : ndarray of float64
        The value of every element code.
    scales : ndarray of float64
        The value of every scale code.
    factor : callable
        The factor of each block: of the values and the codes of both scales, shape (n, blocks).
    sides : (callable, callable)
        What the scales of each operand are taken for, along their last axis, before that.
    product : callable
        The products of elements.
    count : callable
        How many elements count, of k, of how many there are, and of the block size.
    planes : Planes or None
        What the operands are taken for, before anything else.
    columns : int
        Columns of the result; 0 where it is no matrix.
    addend : ndarray of float64, or None
        What is added to each output in place of its own addend, flat.
    left_out : int
        A lane whose products are not summed; -1 for none.
    poisoned : callable or None
        Which rows are NaN whatever else they hold, of the scale codes of both operands.
    nan_needs_number : bool
        Whether the scale NaN shows only where a product is not zero.
    first_infinity : bool
        Whether the first of two infinities wins.
    narrowed : callable or None
        What becomes of each operand times its scale, where operands are scaled before they meet.
    weights : ndarray of float64, shape (blocks,), or None
        How often each block counts.
    output : (str, str) or None
        A type that results are rounded to on the way, and how: ``"nearest"``, ``"toward-zero"``.
    partials : int
        Into how many parts K is split whose sums are rounded to bfloat16; 0 for none.
    unwritten : ndarray of bool, or None
        Which outputs hold 0 and nothing else, flat.
    is_faultless : bool
        Whether nothing was changed.
    """

    table_a: Floats
    table_b: Floats
    scales: Floats = field(default_factory=scale_table)
    factor: Factor = both
    sides: tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]] = (own, own)
    product: Callable[[Floats, Floats], Floats] = multiplied
    count: Callable[[int, int, int], int] = lambda k, _size, _block: k
    planes: Planes | None = None
    columns: int = 0
    addend: Floats | None = None
    left_out: int = -1
    poisoned: Callable[[Bytes, Bytes, int], NDArray[np.bool_]] | None = None
    nan_needs_number: bool = False
    first_infinity: bool = False
    narrowed: Callable[[Floats], Floats] | None = None
    weights: Floats | None = None
    output: tuple[str, str] | None = None
    partials: int = 0
    unwritten: NDArray[np.bool_] | None = None
    is_faultless: bool = False


def plain_setup(a: ElementFormat, b: ElementFormat) -> Setup:
    """The faultless steps.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> e2m1 = element_format("e2m1")
    >>> plain_setup(e2m1, e2m1).table_a[7]
    np.float64(6.0)
    """
    return Setup(element_table(a), element_table(b), is_faultless=True)


@dataclass(slots=True)
class Products:
    """The finite products of some rows, and the results that are settled without a sum.

    Attributes
    ----------
    elements : ndarray of float64, shape (n, k)
        Products of elements; zero in place of what is not finite.
    factors : ndarray of float64, shape (n, blocks)
    settled : ndarray of float64, shape (n,)
        NaN or an infinity where that is the result, otherwise 0.
    block : int
    addend : ndarray of float64, shape (n,), or None
        What is added to each sum; zero in place of what is not finite.
    """

    elements: Floats
    factors: Floats
    settled: Floats
    block: int
    addend: Floats | None = None

    def terms(self) -> Floats:
        """The products under their scales, shape (n, k)."""
        n, size = self.elements.shape
        blocks = self.elements.reshape(n, -1, self.block)
        return np.asarray((blocks * self.factors[:, :, None]).reshape(n, size))

    def partials(self) -> Floats:
        """Numbers whose sum along the last axis is the exact one, shape (n, some)."""
        powers = np.frexp(self.factors)[0]
        spare = 0 if np.isin(powers, (0.0, 0.5)).all() else 16
        parts = slices(self.elements, self.block, spare) * self.factors
        return np.asarray(np.moveaxis(parts, 0, 1).reshape(len(self.elements), -1))

    def by_block(self) -> Floats:
        """The exact sum of each block as expansions, shape (levels, n, blocks)."""
        parts = slices(self.elements, self.block, 16) * self.factors
        n, blocks = self.factors.shape
        flat = exact_sums(parts.reshape(len(parts), -1).T)
        return flat.reshape(len(flat), n, blocks)

    def exact(self) -> Floats:
        """The exact sums as expansions, shape (levels, n)."""
        parts = self.partials()
        if self.addend is not None:
            parts = np.concatenate([parts, self.addend[:, None]], axis=1)
        return exact_sums(parts)


def products_of(setup: Setup, rows: Rows) -> Products:
    """Multiply elements and scales of some rows, as a hypothesis has it."""
    a, b = rows.a, rows.b
    codes_a, scales_a, codes_b, scales_b = (
        (a.codes, a.scales, b.codes, b.scales) if setup.planes is None else _read(setup, rows)
    )
    n, size = codes_a.shape
    with np.errstate(all="ignore"):
        x, y = setup.table_a[codes_a], setup.table_b[codes_b]
        if setup.narrowed is not None:
            x = setup.narrowed(x * np.repeat(setup.scales[scales_a], rows.block, axis=1))
            y = setup.narrowed(y * np.repeat(setup.scales[scales_b], rows.block, axis=1))
        elements = setup.product(x, y)
        elements[:, setup.count(rows.k, size, rows.block) :] = 0
        if setup.left_out >= 0:
            elements[:, setup.left_out :: rows.block] = 0
        of_a, of_b = (
            side(setup.scales[s]) for side, s in zip(setup.sides, (scales_a, scales_b), strict=True)
        )
        factors = setup.factor(of_a, of_b, scales_a, scales_b) + np.zeros((n, 1))
        if setup.narrowed is not None:
            factors = np.ones_like(factors)
        counted = -(-setup.count(rows.k, size, rows.block) // rows.block)
        factors[:, counted:] = 1.0
        if setup.weights is not None:
            elements *= np.repeat(setup.weights, rows.block)
            elements[:, np.repeat(setup.weights == 0, rows.block)] = 0
            factors[:, setup.weights == 0] = 1.0
        if setup.unwritten is not None:
            elements[setup.unwritten[rows.numbers]] = 0
        found = Products(elements, factors, np.zeros(n), rows.block)
        if not (np.isfinite(elements).all() and np.isfinite(factors).all()):
            _settle(found, setup)
    if setup.poisoned is not None:
        found.settled[setup.poisoned(scales_a, scales_b, rows.k)] = np.nan
    addend = addend_of(setup, rows)
    if addend is not None and setup.unwritten is not None:
        addend = np.where(setup.unwritten[rows.numbers], 0.0, addend)
    if addend is not None:
        is_finite = np.isfinite(addend)
        with np.errstate(invalid="ignore"):
            found.settled = found.settled + np.where(is_finite, 0.0, addend)
        found.addend = np.where(is_finite, addend, 0.0)
    return found


def addend_of(setup: Setup, rows: Rows) -> Floats | None:
    """What is added to some sums, as a hypothesis has it."""
    if setup.addend is not None:
        return setup.addend[_sources(setup, rows)]
    return rows.c


def _sources(setup: Setup, rows: Rows) -> NDArray[np.intp]:
    return rows.numbers if setup.planes is None else setup.planes.source(rows.numbers)


def _read(setup: Setup, rows: Rows) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """What a hypothesis reads in place of the operands of some outputs."""
    planes = setup.planes
    if planes is None:
        raise TypeError("the setup has no planes")
    numbers = planes.source(rows.numbers)
    of_a, of_b = np.divmod(numbers, setup.columns) if setup.columns else (numbers, numbers)
    return planes.codes_a[of_a], planes.scales_a[of_a], planes.codes_b[of_b], planes.scales_b[of_b]


def _settle(found: Products, setup: Setup) -> None:
    """Work out the rows that hold NaN or infinities, and take these out."""
    terms = found.terms()
    if setup.nan_needs_number:
        terms[found.elements == 0] = 0
    if setup.first_infinity:
        infinite = np.isinf(terms)
        first = infinite & (infinite.cumsum(1) == 1)
        terms = np.where(infinite & ~first, 0.0, terms)
    special = np.where(np.isfinite(terms), 0.0, terms)
    found.settled = special.sum(1)
    found.elements = np.where(np.isfinite(found.elements), found.elements, 0.0)
    found.factors = np.where(np.isfinite(found.factors), found.factors, 0.0)
