"""In which order numbers are added: trees by name, and the programs that kernels run.

A tree over n numbers is an int (one of them), a range (a run: these one after the other onto a sum
that starts at zero) or a tuple of trees (the sums of these, one after the other).
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BLOCKS",
    "PRODUCTS",
    "SCALED",
    "Rows",
    "Tree",
    "checked_tree",
    "named_tree",
    "program_of",
    "shifted",
    "tree_text",
    "tree_words",
]

Tree = Any  # int | range | tuple of Tree: recursive, and users may nest deeply
Items = Sequence[Any]
Rows = list[list[int]]
Shape = Callable[[Items], Tree]

# As in mxref.kernels.sums_orders; kept apart so that naming an order compiles nothing.
PRODUCTS, SUM, SCALED, BLOCKS = range(4)
KEPT, ZERO, ADDEND = range(3)

_PLAIN = ("sequential", "reversed", "pairwise", "halves")
_SIZED = {"lanes": 1, "chunks": 2, "split": 1}  # how many plain shapes may follow the number
_MOST_SUMS = 64


# --- named trees -----------------------------------------------------------------------------


def _sequential(items: Items) -> Tree:
    return items


def _reversed(items: Items) -> Tree:
    return items[::-1]


def _pairwise(items: Items) -> Tree:
    """Neighbours first, then neighbours of their sums; one without a neighbour goes on."""
    level = list(items)
    while len(level) > 1:
        pairs = [(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0] if level else items


def _halves(items: Items) -> Tree:
    """The upper half onto the lower half, again and again."""
    level = list(items)
    while len(level) > 1:
        half = -(-len(level) // 2)
        upper = level[half:]
        level = [(low, high) for low, high in zip(level, upper, strict=False)] + level[
            len(upper) : half
        ]
    return level[0] if level else items


_SHAPES: dict[str, Shape] = {
    "sequential": _sequential,
    "reversed": _reversed,
    "pairwise": _pairwise,
    "halves": _halves,
}


def _parts(word: str, size: int, items: Items) -> list[Items]:
    n = len(items)
    if word == "lanes":
        return [items[lane::size] for lane in range(min(size, n))]
    step = size if word == "chunks" else max(1, -(-n // size))
    return [items[start : start + step] for start in range(0, n, step)]


def named_tree(name: str, n: int) -> Tree:
    """Return the tree of a name, over so many numbers.

    Raises
    ------
    ValueError
        If there is no such tree.

    Examples
    --------
    >>> named_tree("pairwise", 4), named_tree("lanes-2", 4)
    (((0, 1), (2, 3)), (range(0, 4, 2), range(1, 4, 2)))
    """
    word, size, inner, outer = tree_words(name)
    items = range(n)
    if not size:
        return _SHAPES[word](items)
    parts = tuple(_SHAPES[inner](part) for part in _parts(word, size, items))
    return _SHAPES[outer](parts) if parts else items


@functools.cache
def tree_words(name: str) -> tuple[str, int, str, str]:
    """Take a name apart: the shape, its number (or 0), and the shapes inside and outside.

    Raises
    ------
    ValueError
        If there is no such tree.

    Examples
    --------
    >>> tree_words("chunks-64-pairwise"), tree_words("lanes-8-halves")
    (('chunks', 64, 'pairwise', 'sequential'), ('lanes', 8, 'sequential', 'halves'))
    """
    word, *rest = name.split("-")
    if word in _PLAIN and not rest:
        return word, 0, word, word
    wanted = (
        f"unknown order of a sum {name!r}; expected one of {', '.join(_PLAIN)}, or lanes-N, "
        "chunks-N or split-N, after which one of these words says how the N sums (for chunks: each "
        "chunk, then the sums) are added, as in lanes-16-pairwise or chunks-64-pairwise-sequential"
    )
    if word not in _SIZED or not rest or not (rest[0].isascii() and rest[0].isdigit()):
        raise ValueError(wanted)
    size, shapes = int(rest[0]), rest[1:]
    if not size or len(shapes) > _SIZED[word] or any(shape not in _PLAIN for shape in shapes):
        raise ValueError(wanted)
    inner = "sequential"
    if word == "chunks":
        inner, *shapes = shapes or ["sequential"]
    return word, size, inner, (shapes or ["sequential"])[0]


def tree_text(name: str) -> str:
    """Say a tree in words.

    Examples
    --------
    >>> tree_text("split-4-pairwise")
    'in 4 parts of K, these in pairs'
    """
    word, size, inner, outer = tree_words(name)
    if not size:
        return _WORDS[word]
    parts = {"lanes": "running sums", "chunks": "neighbours", "split": "parts of K"}[word]
    how = f"in chunks of {size} {parts}" if word == "chunks" else f"in {size} {parts}"
    how += f" {_WORDS[inner]}" if word == "chunks" else ""
    return f"{how}, these {_WORDS[outer]}"


_WORDS = {
    "sequential": "one by one",
    "reversed": "from the last",
    "pairwise": "in pairs",
    "halves": "in halves",
}


# --- explicit trees --------------------------------------------------------------------------


def checked_tree(tree: Any) -> tuple[Tree, int]:
    """Validate a tree that a user gave, and count its numbers.

    Parameters
    ----------
    tree : int, range, nested tuple or list, or array of shape (n - 1, 2)
        An array lists additions: row i adds two nodes and gives node n + i, where nodes 0 to n - 1
        are the products (as in scipy's linkage).

    Raises
    ------
    TypeError, ValueError
        If it does not add each of 0 to n - 1 once.

    Examples
    --------
    >>> checked_tree([[0, 1], 2])
    (((0, 1), 2), 3)
    >>> checked_tree(np.array([[1, 2], [0, 3]]))
    ((0, (1, 2)), 3)
    """
    tree = _from_array(tree) if isinstance(tree, np.ndarray) else _as_tuples(tree)
    leaves: list[int] = []
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, int):
            leaves.append(node)
        else:
            stack.extend(node)
    seen = set(leaves)
    if len(seen) < len(leaves):
        twice = min(leaf for leaf, times in Counter(leaves).items() if times > 1)
        raise ValueError(f"a summation tree adds each of 0 to n - 1 once; {twice} occurs again")
    if seen != set(range(len(leaves))):
        missing = min(set(range(len(leaves))) - seen)
        raise ValueError(
            f"a summation tree adds each of 0 to n - 1 once; it has {len(leaves)} leaves, but "
            f"{missing} is missing"
        )
    return tree, len(leaves)


def _as_tuples(tree: Any) -> Tree:
    """Nested sequences as tuples, whatever their depth."""
    done: list[Any] = []
    stack: list[tuple[Any, int]] = [(tree, -1)]
    while stack:
        node, count = stack.pop()
        if count >= 0:
            start = len(done) - count
            done[start:] = [tuple(done[start:])]
        elif isinstance(node, range):
            done.append(node)
        elif isinstance(node, int | np.integer) and not isinstance(node, bool):
            done.append(int(node))
        elif isinstance(node, list | tuple) and node:
            stack.append((node, len(node)))
            stack.extend((child, -1) for child in reversed(node))
        else:
            raise TypeError(
                f"a summation tree has a {type(node).__name__} ({node!r}) in it; expected ints, "
                "ranges, and tuples or lists of these that are not empty"
            )
    return done[0]


def _from_array(merges: NDArray[Any]) -> Tree:
    if merges.ndim != 2 or merges.shape[1] != 2 or not np.issubdtype(merges.dtype, np.integer):
        raise ValueError(
            f"an array of additions has shape {merges.shape} and dtype {merges.dtype}; expected "
            "(n - 1, 2) integers: row i adds two nodes and gives node n + i"
        )
    n = len(merges) + 1
    nodes: list[Tree] = list(range(n))
    used: set[int] = set()
    for i, (left, right) in enumerate(merges.tolist()):
        is_known = 0 <= left < n + i and 0 <= right < n + i and left != right
        if not is_known or {left, right} & used:
            raise ValueError(
                f"row {i} of the additions is {left}, {right}; expected two nodes below {n + i} "
                "that no earlier row has added"
            )
        used |= {left, right}
        nodes.append((nodes[left], nodes[right]))
    return nodes[-1]


# --- programs --------------------------------------------------------------------------------


def program_of(tree: Tree, step: int = PRODUCTS) -> Rows:
    """Return the rows of a program that adds numbers as a tree says (see kernels.sums_orders).

    Of two sums, the one that needs more room is made first; which of them is the left one makes no
    difference to their sum.

    Raises
    ------
    ValueError
        If the tree needs too many sums at once.

    Examples
    --------
    >>> program_of(((0, 1), (2, 3)))
    [[0, 0, 2, 0, 2, 1], [0, 1, 1, 2, 2, 1], [1, 0, 0, 1, 0, 0]]
    """
    nodes = _binary(tree)
    needs: list[int] = []
    for at, node in enumerate(nodes):
        if len(node) == 3:
            needs.append(0 if _is_leaf(nodes, at) else 1)
        else:
            left, right = (needs[child] for child in node)
            needs.append(max(left, right, 1) + (left == right > 0))
    if needs[-1] > _MOST_SUMS:
        raise ValueError(f"the tree needs {needs[-1]} sums at once; {_MOST_SUMS} is the most")

    rows: Rows = []
    stack: list[tuple[str, int, int]] = [("make", len(nodes) - 1, 0)]
    while stack:
        what, at, into = stack.pop()
        node = nodes[at]
        if what == "sum":
            rows.append([SUM, into, KEPT, into + 1, 0, 0])
        elif what == "add":
            _append_run(rows, [step, into, KEPT, node[0], 1, 1])
        elif len(node) == 3:
            start, count, stride = node
            rows.append([step, into, ADDEND if at == 0 else ZERO, start, count, stride or 1])
        else:
            first, second = node if needs[node[0]] >= needs[node[1]] else node[::-1]
            if _is_leaf(nodes, second):
                stack += [("add", second, into), ("make", first, into)]
            else:
                stack += [("sum", at, into), ("make", second, into + 1), ("make", first, into)]
    return rows


def shifted(rows: Rows, start: int, into: int) -> Rows:
    """The program of `program_of` for products from `start` on, in sums from `into` on."""
    moved = []
    for step, to, fresh, first, count, stride in rows:
        by = into if step == SUM else start
        moved.append([step, to + into, ZERO if fresh else KEPT, first + by, count, stride])
    return moved


def _binary(tree: Tree) -> list[tuple[int, ...]]:
    """Nodes, children first: runs (start, count, stride) and pairs of earlier nodes.

    Node 0 is the leftmost run. One number by itself has the stride 0.
    """
    nodes: list[tuple[int, ...]] = []
    done: list[int] = []
    stack: list[tuple[Any, int]] = [(tree, 0)]
    while stack:
        node, count = stack.pop()
        if count:
            start = len(done) - count
            total = done[start]
            for child in done[start + 1 :]:
                nodes.append((total, child))
                total = len(nodes) - 1
            done[start:] = [total]
        elif isinstance(node, tuple):
            stack.append((node, len(node)))
            stack.extend((child, 0) for child in reversed(node))
        else:
            run = (node, 1, 0) if isinstance(node, int) else (node.start, len(node), node.step)
            nodes.append(run)
            done.append(len(nodes) - 1)
    return nodes


def _is_leaf(nodes: list[tuple[int, ...]], at: int) -> bool:
    """Whether a node is one number, to be added to a sum right away; the first begins a sum."""
    return at > 0 and len(nodes[at]) == 3 and nodes[at][2] == 0


def _append_run(rows: Rows, row: list[int]) -> None:
    """Append the addition of one number, as part of the run before it where it goes on with it."""
    step, into, _, start, *_ = row
    last = rows[-1]
    if last[0] == step and last[1] == into:
        stride = start - last[3] if last[4] == 1 else last[5]
        if last[4] > 0 and start == last[3] + last[4] * stride:
            last[4:] = [last[4] + 1, stride]
            return
    rows.append(row)
