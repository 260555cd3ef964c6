"""Sums in an order that has a name: what plain software does, and what emulates hardware.

An `Order` says in which type products are summed, in which order, how a product is rounded on its
way, and where the scales enter. `order` reads one from a name such as ``"float32-split-8"``; those
in `ACCUMULATORS` are listed, every other can be named all the same.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref._suggest import unknown_name
from mxref.matmul import _orders_operands as terms
from mxref.matmul import _relatives_orders as _relatives
from mxref.matmul._accumulator import Accumulator
from mxref.matmul._operands import Operands
from mxref.matmul._orders_trees import (
    BLOCKS,
    PRODUCTS,
    SCALED,
    Rows,
    checked_tree,
    named_tree,
    program_of,
    shifted,
    tree_text,
    tree_words,
)

__all__ = ["ACCUMULATORS", "Order", "order"]

_TYPES = ("float32", "float64", "bfloat16", "float16")
_PRODUCTS = ("rounded", "fused", "float32")
_SCALES = ("operands", "products", "blocks")
_NAN = 0x7FC00000


@dataclass(frozen=True, slots=True)
class Order:
    """A sum in floating point, step by step.

    Attributes
    ----------
    accumulator : str
        The type that every partial sum is rounded to, to nearest even: ``"float32"``,
        ``"float64"``, ``"bfloat16"`` or ``"float16"``. The result has this type; that of float64 is
        rounded to float32 at the end.
    tree : str, nested tuple, or array of int
        Which sums are added. By name: ``"sequential"``; ``"reversed"``, from the last;
        ``"pairwise"``, neighbours first and then neighbours of their sums; ``"halves"``, the upper
        half onto the lower again and again; ``"lanes-N"``, as many running sums as a register
        has lanes; ``"chunks-N"``, the sums of N neighbours; ``"split-N"``, the sums of N parts of
        K. Behind N it says how these are added (``"lanes-8-pairwise"``), for chunks first how each
        is summed (``"chunks-64-pairwise-sequential"``); without, one after the other. A tree of
        your own is made of the numbers 0 to K - 1: ``((0, 1), (2, 3))`` adds two pairs, more than
        two in a tuple are added one after the other, and a range is a running sum of its own:
        ``(range(40), range(40, 128))`` cuts K as stream-K does. An array of shape (K - 1, 2) lists
        additions instead: row i adds two nodes and gives node K + i.
    products : str
        ``"rounded"``: to the accumulator's type, then added; ``"fused"``: product and addition are
        rounded once (FMA; of two products that meet, the left one is rounded first);
        ``"float32"``: both in float32, and the sum rounded once more to the accumulator's type. A
        product of two elements has at most 16 significant bits, so that for float32 these differ
        only where a product over- or underflows.
    scales : str
        ``"operands"``: each element times its scale, in float32, where it may overflow (in float64
        for a float64 accumulator); ``"products"``: each product times both scales, exactly, before
        it is rounded; ``"blocks"``: the sum of each block times both scales.
    within : str
        With ``scales="blocks"``, how the products of one block are summed: ``"exact"``, so that its
        scaled sum is rounded once; or by the name of a tree, after which the sum is multiplied by
        the float32 product of the scales, which may over- or underflow. `tree` then adds blocks.
    addend : str
        ``"last"``: added to the finished sum; ``"first"``: the leftmost run starts with it in place
        of +0. It is rounded to the accumulator's type before.

    Notes
    -----
    MX-1.0/6.1/precision and MX-1.0/6.2/precision leave all of this open (OP-DOT-PRECISION,
    OP-DOT-GROUPING, OP-DOT-SCALE-PLACE). Every running sum starts at +0. A NaN is 0x7FC00000
    (0x7FC0, 0x7E00), whatever it came from. Subnormal numbers are kept, in whichever floating-point
    mode the caller is.

    Examples
    --------
    >>> Order("float32", "split-8").name
    'float32-split-8'
    >>> pairs = Order("bfloat16", ((0, 1), (2, 3)), products="fused")
    >>> pairs.name
    'bfloat16-fma-tree-4'
    """

    accumulator: str = "float32"
    tree: Any = "sequential"
    products: str = "rounded"
    scales: str = "operands"
    within: str = "exact"
    addend: str = "last"
    _count: int = field(default=-1, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Validate.

        Raises
        ------
        TypeError, ValueError
            If an attribute is none of those above.
        """
        for what, given, known in (
            ("accumulator", self.accumulator, _TYPES),
            ("treatment of products", self.products, _PRODUCTS),
            ("place of scales", self.scales, _SCALES),
            ("place of an addend", self.addend, ("last", "first")),
        ):
            if given not in known:
                raise ValueError(unknown_name(what, given, known))
        if self.within != "exact":
            if self.scales != "blocks":
                raise ValueError(
                    f"within={self.within!r} says how a block is summed; expected scales='blocks' "
                    f"beside it, got {self.scales!r}"
                )
            tree_words(self.within)
        if isinstance(self.tree, str):
            tree_words(self.tree)
        else:
            tree, count = checked_tree(self.tree)
            object.__setattr__(self, "tree", tree)
            object.__setattr__(self, "_count", count)

    @property
    def name(self) -> str:
        """The name that `order` reads; of a tree of your own, only how many numbers it adds."""
        tree = self.tree if isinstance(self.tree, str) else f"tree-{self._count}"
        if self.scales == "blocks" and self.within == "exact":
            head, tail = "ocp-" + self.accumulator.replace("float32", "fp32"), ""
        else:
            head = self.accumulator + {"fused": "-fma", "float32": "-single"}.get(self.products, "")
            places = {"operands": "", "products": "-scaled-products"}
            tail = places.get(self.scales, f"-scaled-blocks-{self.within}")
        is_plain = tree == "sequential" and head.startswith("ocp")
        start = "-addend-first" if self.addend == "first" else ""
        return f"{head}{'' if is_plain else f'-{tree}'}{tail}{start}"

    def accumulate(self, operands: Operands) -> NDArray[Any]:
        """Sum a product of matrices.

        Raises
        ------
        ValueError
            If this order has nothing to say of it: see `refusal`.
        FloatingPointError
            If there is no compiler and the floating-point mode of this thread is not the usual one.
        """
        reason = self.refusal(operands)
        if reason:
            raise ValueError(reason)
        from mxref.kernels import sums_orders

        has_special = is_short = False
        if self.scales == "blocks" and self.within == "exact":
            a, b, has_special = terms.exact_parts(operands)
        elif self.scales == "blocks":
            a, b, is_short = *terms.elements(operands), True
        else:
            is_single = self.scales == "operands" and self.accumulator != "float64"
            a, b = terms.scaled(operands, is_single=is_single)
            is_short = terms.has_short_products(operands)
        sides = sums_orders.Sides(
            *(a, b, *terms.block_scales(operands)),
            block=operands.block,
            is_paired=operands.is_paired,
            has_special=has_special,
            has_short_products=is_short,
        )
        return self.sum_sides(sides, operands.k, terms.addend_values(operands.c))

    def sum_sides(self, sides: Any, k: int, addend: NDArray[Any] | None) -> NDArray[Any]:
        """Sum what has been decoded: `kernels.sums_orders.Sides`, with an addend in float."""
        from mxref.kernels import sums_orders

        product = {
            "rounded": sums_orders.Product.ROUNDED,
            "fused": sums_orders.Product.FUSED,
            "float32": sums_orders.Product.SINGLE,
        }[self.products]
        bits = sums_orders.run(
            self._program(k, sides.block),
            sides,
            sums_orders.KINDS[self.accumulator],
            product,
            addend,
            is_addend_last=self.addend == "last",
        ).view(np.uint32)
        bits[(bits & 0x7FFFFFFF) > 0x7F800000] = _NAN
        if self.accumulator == "bfloat16":
            import ml_dtypes

            return (bits >> 16).astype(np.uint16).view(ml_dtypes.bfloat16)
        values = bits.view(np.float32)
        return values.astype(np.float16) if self.accumulator == "float16" else values

    def refusal(self, operands: Operands) -> str:
        """Say why this order has nothing to say of a product; empty if it has."""
        return self.refusal_of(operands.k, operands.block)

    def refusal_of(self, k: int, block: int) -> str:
        """As `refusal`, of the length of the sums and the block size alone."""
        is_block = self.scales == "blocks"
        items = -(-k // block) if is_block else k
        if not isinstance(self.tree, str) and self._count != items:
            what = "blocks" if is_block else "products"
            return f"the tree of {self.name} adds {self._count} numbers; K gives {items} {what}"
        if is_block and self.within == "exact" and block > terms.EXACT_MOST:
            return (
                f"{self.name} sums blocks of up to {terms.EXACT_MOST} elements; these have {block}"
            )
        return ""

    def model(self) -> Accumulator:
        """Return the accumulation model that sums so.

        Examples
        --------
        >>> Order("float16", "pairwise").model().dtype
        'float16'
        """
        return Accumulator(
            name=self.name,
            text=self.text,
            dtype="float32" if self.accumulator == "float64" else self.accumulator,
            run=self.accumulate,
            refuses=self.refusal,
            source="a definition: the operations of IEEE 754, one after the other",
            evidence="held against rational arithmetic, operation by operation",
            is_legal=self.accumulator in ("float32", "float64"),
            of_relatives=functools.partial(_relatives.sums, self),
            refuses_relatives=functools.partial(_relatives.refusal, self),
        )

    @property
    def text(self) -> str:
        """What is done, to stand behind "summed".

        Examples
        --------
        >>> Order("float32", "lanes-8-pairwise", "fused").text
        'in float32 with fused products in 8 running sums, these in pairs'
        """
        if self.scales == "blocks" and self.within == "exact":
            done = f"exactly in each block, blocks in {self.accumulator}"
        else:
            done = f"in {self.accumulator}{_WAYS[self.products]}"
        tree = self.tree if isinstance(self.tree, str) else ""
        done += f" {tree_text(tree)}" if tree else f" by a tree of {self._count} numbers"
        if self.scales == "products":
            done += ", each product scaled exactly"
        elif self.scales == "blocks" and self.within != "exact":
            done += f", the products of each block {tree_text(self.within)} before its scales"
        return done + (", from the addend on" if self.addend == "first" else "")

    def _program(self, k: int, block: int) -> NDArray[np.int64]:
        if isinstance(self.tree, str):
            return _named_program(self.tree, self.scales, self.within, k, block)
        return _program(self.tree, self.scales, self.within, k, block)


_WAYS = {"rounded": "", "fused": " with fused products", "float32": " by way of float32"}


@functools.lru_cache(maxsize=64)
def _named_program(tree: str, scales: str, within: str, k: int, block: int) -> NDArray[np.int64]:
    count = -(-k // block) if scales == "blocks" else k
    return _program(named_tree(tree, count), scales, within, k, block)


def _program(tree: Any, scales: str, within: str, k: int, block: int) -> NDArray[np.int64]:
    if scales != "blocks":
        rows = program_of(tree)
    elif within == "exact":
        rows = program_of(tree, BLOCKS)
    else:
        rows = list(_with_blocks(program_of(tree, BLOCKS), within, k, block))
    return np.array(rows, np.int64).reshape(-1, 6)


def _with_blocks(rows: Rows, within: str, k: int, block: int) -> Iterator[list[int]]:
    """Each block of a program as the sum of its products, which is then scaled."""
    for step, into, fresh, start, count, stride in rows:
        if step != BLOCKS:
            yield [step, into, fresh, start, count, stride]
            continue
        if fresh:  # even where there is no block
            yield [PRODUCTS, into, fresh, 0, 0, 1]
        for number in range(start, start + count * stride, stride):
            length = min(block, k - number * block)
            yield from shifted(program_of(named_tree(within, length)), number * block, into + 1)
            yield [SCALED, into, 0, number, into + 1, 0]


# --- names -----------------------------------------------------------------------------------

_SUFFIX = "-addend-first"


@functools.cache
def order(name: str) -> Order:
    """Return the order of a name.

    Parameters
    ----------
    name : str
        ``TYPE[-fma|-single]-TREE[-scaled-products|-scaled-blocks-TREE][-addend-first]``, or
        ``ocp-TYPE[-TREE][-addend-first]`` for sums of exact blocks, where ``ocp-fp32`` is that of
        float32. Types and trees are those of `Order`.

    Raises
    ------
    ValueError
        If the name is none of these.

    Examples
    --------
    >>> order("ocp-fp32") == Order("float32", "sequential", scales="blocks")
    True
    >>> order("float32-fma-chunks-256-sequential-pairwise").tree
    'chunks-256-sequential-pairwise'
    >>> order("bfloat16-single-sequential").products
    'float32'
    """
    rest = name.removesuffix(_SUFFIX)
    addend = "first" if rest != name else "last"
    head, _, rest = rest.partition("-")
    if head == "ocp":
        kind, _, tree = rest.partition("-")
        kind = "float32" if kind == "fp32" else kind
        _check_type(name, kind)
        return Order(kind, tree or "sequential", scales="blocks", addend=addend)
    _check_type(name, head)
    products = "rounded"
    for word, meant in (("fma-", "fused"), ("single-", "float32")):
        if rest.startswith(word):
            products, rest = meant, rest.removeprefix(word)
    tree, has_blocks, within = rest.partition("-scaled-blocks-")
    scales = "blocks" if has_blocks else "operands"
    if tree.endswith("-scaled-products"):
        scales, tree = "products", tree.removesuffix("-scaled-products")
    return Order(head, tree, products, scales, within if has_blocks else "exact", addend)


def _check_type(name: str, kind: str) -> None:
    if kind not in _TYPES:
        known = [model.name for model in ACCUMULATORS]
        raise ValueError(unknown_name("order of a sum", name, known))


def _names() -> Iterator[str]:
    """The orders that are listed: those seen in use, each tree once."""
    plain = ("sequential", "reversed", "pairwise", "halves")
    yield "ocp-fp32"
    yield from (f"ocp-fp32-{tree}" for tree in plain[1:])
    yield from (f"float32-{tree}" for tree in plain)
    yield from (f"float32-fma-{tree}" for tree in plain)
    yield from ("float32-sequential-addend-first", "float32-fma-sequential-addend-first")
    yield from ("float32-sequential-scaled-products", "float32-sequential-scaled-blocks-sequential")
    yield "float32-fma-sequential-scaled-blocks-sequential"
    for size in (2, 4, 8, 16, 32, 64, 128, 256):
        for outer in ("", "-pairwise", "-halves"):
            yield f"float32-lanes-{size}{outer}"
    for size in (4, 8, 16, 32, 64, 128, 256, 512):
        for shapes in ("", "-pairwise", "-halves"):
            yield f"float32-chunks-{size}{shapes}"
            yield f"float32-chunks-{size}{shapes or '-sequential'}-pairwise"
    for parts in (2, 3, 4, 8, 16):
        yield from (f"float32-split-{parts}", f"float32-split-{parts}-pairwise")
    yield from ("float64-sequential", "float64-pairwise")
    for kind in ("bfloat16", "float16"):
        for way in ("", "-fma", "-single"):
            yield f"{kind}{way}-sequential"
        yield from (f"{kind}-single-pairwise", f"ocp-{kind}")


ACCUMULATORS: tuple[Accumulator, ...] = tuple(order(name).model() for name in _names())
