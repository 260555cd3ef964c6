"""Recovers the order of a sum from its results alone, in the manner of FPRev (arXiv 2411.00442).

One term is a huge number, another its negative, all others are ones. Ones that are added to either
before the two meet are lost; the others are counted by the result. So each pair says how many terms
lie below the node where it meets, and a few pairs for each term say the whole tree. A node with
more than two children adds them at once, as hardware does that aligns many products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

__all__ = ["Leaf", "Node", "Tree", "TreeError", "leaves_of", "meeting_sizes", "recover"]

Pair = tuple[int, int]


class TreeError(ValueError):
    """The answers are those of no tree."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One term."""

    number: int

    @property
    def first(self) -> int:
        """The first term."""
        return self.number

    @property
    def size(self) -> int:
        """How many terms there are."""
        return 1


@dataclass(frozen=True, slots=True)
class Node:
    """A sum of two or more sums, rounded once.

    Attributes
    ----------
    children : tuple of Tree
        In the order of their first terms.
    size : int
        How many terms lie below.
    """

    children: tuple[Tree, ...]
    size: int

    @classmethod
    def of(cls, children: Sequence[Tree]) -> Node:
        """Join sums."""
        ordered = tuple(sorted(children, key=lambda child: child.first))
        return cls(ordered, sum(child.size for child in ordered))

    @property
    def first(self) -> int:
        """The first term."""
        return min(child.first for child in self.children)


Tree = Leaf | Node


def leaves_of(tree: Tree) -> Iterator[int]:
    """Yield the terms below a node, in the order of the tree.

    Examples
    --------
    >>> list(leaves_of(Node.of([Leaf(2), Leaf(0)])))
    [0, 2]
    """
    left: list[Tree] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, Leaf):
            yield node.number
        else:
            left.extend(reversed(node.children))


def meeting_sizes(tree: Tree, terms: int) -> list[list[int]]:
    """Return for each pair how many terms lie below the node where it meets.

    Examples
    --------
    >>> meeting_sizes(Node.of([Node.of([Leaf(0), Leaf(1)]), Leaf(2)]), 3)
    [[1, 2, 3], [2, 1, 3], [3, 3, 1]]
    """
    sizes = [[1] * terms for _ in range(terms)]
    left: list[Tree] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, Leaf):
            continue
        groups = [list(leaves_of(child)) for child in node.children]
        for at, group in enumerate(groups):
            for other in groups[at + 1 :]:
                for i in group:
                    for j in other:
                        sizes[i][j] = sizes[j][i] = node.size
        left.extend(node.children)
    return sizes


@dataclass(slots=True)
class _Task:
    """Terms that meet another one at one node: one child of it, or several where it has more.

    Attributes
    ----------
    terms : tuple of int
    pivot : int
        One of them; its child is found first.
    ceiling : int
        How many terms lie below the node that the children belong to; 0 for the root.
    levels : list of (int, _Task)
        What meets the pivot further up, by size.
    siblings : _Task or None
        What belongs to other children.
    children : list of Tree
        What was found.
    """

    terms: tuple[int, ...]
    pivot: int
    ceiling: int
    levels: list[tuple[int, _Task]] = field(default_factory=list)
    siblings: _Task | None = None
    children: list[Tree] = field(default_factory=list)

    def parts(self) -> list[_Task]:
        """The tasks that this one rests on."""
        return [*(part for _, part in self.levels), *filter(None, [self.siblings])]


def recover(terms: int, measure: Callable[[list[Pair]], list[int]], most: int = 1 << 14) -> Tree:
    """Find the tree of a sum.

    Parameters
    ----------
    terms : int
        How many terms are summed.
    measure : callable
        From pairs of terms to the number of terms below the node where each pair meets.
    most : int
        How many pairs may be asked for.

    Returns
    -------
    Tree

    Raises
    ------
    TreeError
        If the answers are those of no tree, or more pairs are needed.

    Examples
    --------
    >>> tree = Node.of([Node.of([Leaf(0), Leaf(1)]), Leaf(2)])
    >>> sizes = meeting_sizes(tree, 3)
    >>> recover(3, lambda pairs: [sizes[i][j] for i, j in pairs]) == tree
    True
    """
    root = _task(range(terms), 0)
    pending, asked = [root], 0
    while pending:
        pairs = [(t.pivot, j) for t in pending for j in t.terms if j != t.pivot]
        asked += len(pairs)
        if asked > most:
            raise TreeError(f"more than {most:,} pairs of terms would be needed")
        sizes = dict(zip(pairs, measure(pairs) if pairs else [], strict=True))
        following: list[_Task] = []
        for task in pending:
            following += _split(task, sizes)
        pending = following
    tree = _built(root)
    if tree.size != terms:
        raise TreeError("the sizes of its parts do not add up")
    return tree


def _task(terms: Sequence[int], ceiling: int) -> _Task:
    # From the middle: whatever end the sum starts from, half of the terms need no more pairs.
    return _Task(tuple(terms), terms[len(terms) // 2], ceiling)


def _split(task: _Task, sizes: dict[Pair, int]) -> list[_Task]:
    """Group the terms by where they meet the pivot; what meets it together is a task of its own."""
    groups: dict[int, list[int]] = {}
    for term in task.terms:
        if term != task.pivot:
            groups.setdefault(sizes[task.pivot, term], []).append(term)
    below = 1
    for size in sorted(groups):
        if size == task.ceiling:
            task.siblings = _task(groups[size], size)
            continue
        below += len(groups[size])
        if size != below:
            raise TreeError(
                f"terms {task.pivot} and {groups[size][0]} meet above {size} terms, of which "
                f"{below} are known"
            )
        task.levels.append((size, _task(groups[size], size)))
    return task.parts()


def _built(root: _Task) -> Tree:
    """Put the trees of tasks together, the innermost first."""
    order, left = [], [root]
    while left:
        task = left.pop()
        order.append(task)
        left += task.parts()
    for task in reversed(order):
        tree: Tree = Leaf(task.pivot)
        for size, part in task.levels:
            tree = Node.of([tree, *part.children])
            if tree.size != size:
                raise TreeError("the sizes of its parts do not add up")
        task.children = [tree, *(task.siblings.children if task.siblings else [])]
    return root.children[0]
