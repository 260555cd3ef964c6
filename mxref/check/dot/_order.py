"""Order probes: dot products of a huge term, its negative and ones, whose results show the tree.

Where the elements of both formats reach far enough, every element of K is a term. Where they do
not, no product of a block is lost beside another of the same block, so that the order inside a
block changes no result; then the first element of each block is a term, and the scales reach.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mxref.check.dot._problem import Bytes
from mxref.check.dot._tree import Pair, Tree, TreeError, meeting_sizes, recover
from mxref.check.dot._tree_text import tree_lines
from mxref.check.parts import Inference
from mxref.formats import BlockFormat
from mxref.vectors.dot_terms import powers

__all__ = ["Order", "probe_order"]

Formats = tuple[BlockFormat, BlockFormat]
Run = Callable[[Bytes, Bytes, Bytes, Bytes], NDArray[np.float32]]

_TERMS = 256  # where each element is one
_BLOCKS = 16
_REACH = 40  # binary places between a one and the huge term: more than any known fused sum keeps
_ENOUGH = 34  # that many let every float32 sum lose all ones beside the huge term
_PRECISION = 24
_ONE = 127
_SEED = 20240611
_PAIR = 2
_CHECKED = 64  # pairs that are asked for again, against the tree


@dataclass(frozen=True, slots=True)
class Order:
    """What is known of the order of a sum.

    Attributes
    ----------
    inference : Inference
        In a few words.
    lines : tuple of str
        The tree as text; empty where there is none.
    tree : Tree or None
    """

    inference: Inference
    lines: tuple[str, ...] = ()
    tree: Tree | None = None


@dataclass(slots=True)
class _Prober:
    """Makes probes for two formats and reads their results.

    Attributes
    ----------
    pair : Formats
    run : callable
        From codes and scale codes of a, then of b, to a result for each row.
    terms : int
        How many terms there are.
    low, high : int
        Exponents of a one and of the huge term.
    by_element : bool
        Whether every element is a term; otherwise the first of each block is.
    """

    pair: Formats
    run: Run
    terms: int
    low: int
    high: int
    by_element: bool

    @classmethod
    def of(cls, pair: Formats, run: Run) -> _Prober:
        sides = [powers(fmt.element) for fmt in pair]
        high, low = (sum(end(side) for side in sides) for end in (max, min))
        if high - low >= _ENOUGH:
            block = pair[0].block_size
            terms = max(1, _TERMS // block) * block
            return cls(pair, run, terms, max(low, high - _REACH), high, by_element=True)
        return cls(pair, run, _BLOCKS, -_REACH // 2, _REACH // 2, by_element=False)

    def measure(self, pairs: list[Pair]) -> list[int]:
        """How many terms lie below the node where each pair meets."""
        inputs = self._elements(pairs) if self.by_element else self._blocks(pairs)
        counted = self.run(*inputs).astype(np.float64) * 2.0**-self.low
        if not np.isfinite(counted).all() or (counted % 1).any():
            raise TreeError("a sum of ones is not a whole number of them")
        # What rounds toward zero takes steps off the huge term, which are multiples of this.
        counted %= 2.0 ** (self.high - self.low - _PRECISION)
        sizes = self.terms - counted.astype(np.int64)
        if (sizes < _PAIR).any():
            raise TreeError("a sum of ones is larger than all of them")
        return [int(size) for size in sizes]

    def measure_groups(self, group: int) -> Callable[[list[Pair]], list[int]]:
        """The same for groups of neighbours, any term of which stands for all."""

        def measure(pairs: list[Pair]) -> list[int]:
            ends = [(i * group + i % group, j * group + j % group) for i, j in pairs]
            sizes = self.measure(ends)
            if any(size % group for size in sizes):
                raise TreeError("groups that are summed exactly are not all of one size")
            return [size // group for size in sizes]

        return measure

    def _elements(self, pairs: list[Pair]) -> tuple[Bytes, Bytes, Bytes, Bytes]:
        (plus, b_huge), (minus, _) = self._codes(self.high), self._codes(self.high, -1)
        a_one, b_one = self._codes(self.low)
        rows = np.arange(len(pairs))
        i, j = np.array(pairs, np.intp).reshape(-1, 2).T
        a = np.full((len(pairs), self.terms), a_one, np.uint8)
        b = np.full((len(pairs), self.terms), b_one, np.uint8)
        a[rows, i], a[rows, j] = plus, minus
        b[rows, i] = b[rows, j] = b_huge
        blocks = self.terms // self.pair[0].block_size
        scales = np.full((len(pairs), blocks), _ONE, np.uint8)
        return a, scales, b, scales.copy()

    def _blocks(self, pairs: list[Pair]) -> tuple[Bytes, Bytes, Bytes, Bytes]:
        (one, b_one), (minus, _) = self._codes(0), self._codes(0, -1)
        rows = np.arange(len(pairs))
        i, j = np.array(pairs, np.intp).reshape(-1, 2).T
        block = self.pair[0].block_size
        a, b = np.zeros((2, len(pairs), self.terms * block), np.uint8)
        a[:, ::block], b[:, ::block] = one, b_one
        a[rows, j * block] = minus
        scales = np.full((len(pairs), self.terms), _ONE + self.low // 2, np.uint8)
        scales[rows, i] = scales[rows, j] = _ONE + self.high // 2
        return a, scales, b, scales.copy()

    def _codes(self, exponent: int, sign: int = 1) -> tuple[int, int]:
        """Codes of two elements whose product is a power of two."""
        of_a, of_b = powers(self.pair[0].element, sign), powers(self.pair[1].element)
        ways = [e for e in of_a if exponent - e in of_b]
        chosen = ways[len(ways) // 2]
        return of_a[chosen], of_b[exponent - chosen]


def probe_order(pair: Formats, run: Run) -> Order:
    """Find the tree of a sum by its results.

    Parameters
    ----------
    pair : (BlockFormat, BlockFormat)
    run : callable
        From codes and scale codes of a, then of b, one row for each product, to its results.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> wide = lambda a, s, b, t: np.float32([14.0 * 2.0**-20] * len(a))
    >>> probe_order((block_format("mxfp4"),) * 2, wide).inference.found
    'no term is lost 2^-40 below another: exact, or wider than float32'
    """
    prober = _Prober.of(pair, run)
    reach = prober.high - prober.low
    try:
        first = prober.measure([(0, j) for j in range(1, prober.terms)])
        if set(first) == {_PAIR}:
            text = f"no term is lost 2^-{reach} below another: exact, or wider than float32"
            return Order(Inference("summation tree", text, exact=False))
        group = _exact_group(first)
        tree = recover(prober.terms // group, prober.measure_groups(group))
        _require_same(tree, prober, group)
    except TreeError as error:
        text = f"the probes show no tree of sums: {error}"
        return Order(Inference("summation tree", text, exact=False))
    lines = tree_lines(tree)
    what = "terms" if prober.by_element else f"blocks of {pair[0].block_size}"
    if group > 1:
        what = f"groups of {group} {what}, each summed exactly"
    inside = "" if prober.by_element else "; inside a block no order shows"
    text = f"{prober.terms // group} {what}, {lines[0].rstrip(':')}{inside}"
    return Order(Inference("summation tree", text), lines, tree)


def _exact_group(sizes: list[int]) -> int:
    """How many neighbours are summed exactly: where two of them cancel, no other is lost.

    `sizes` are those of the first term with each other.
    """
    count = 1 + sizes.count(_PAIR)
    if count == _PAIR:
        return 1
    if sizes[: count - 1].count(_PAIR) != count - 1 or (len(sizes) + 1) % count:
        raise TreeError("terms that are summed exactly do not lie side by side")
    return count


def _require_same(tree: Tree, prober: _Prober, group: int) -> None:
    """Ask for some pairs again: the tree must say what they give."""
    terms = prober.terms // group
    if terms < _PAIR:
        return
    sizes = meeting_sizes(tree, terms)
    rng = np.random.default_rng(_SEED)
    ends = [rng.permutation(terms)[:_PAIR].tolist() for _ in range(_CHECKED)]
    found = prober.measure_groups(group)([(i, j) for i, j in ends])
    for (i, j), size in zip(ends, found, strict=True):
        if sizes[i][j] != size:
            raise TreeError(f"terms {i} and {j} do not meet where others say that they do")
