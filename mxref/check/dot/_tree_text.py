"""The tree of a sum in words and as indented text: runs of terms, and parts that are alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from mxref.check.dot._tree import Leaf, Node, Tree, leaves_of

__all__ = ["shape_of", "tree_lines"]

_LINES = 14
_STEP = 2
_SHOWN = 4


def shape_of(tree: Tree) -> str:
    """Say in a few words how a tree adds; empty where a few words do not do.

    Examples
    --------
    >>> shape_of(Node.of([Node.of([Leaf(0), Leaf(1)]), Leaf(2)]))
    'one by one'
    >>> shape_of(Node.of([Leaf(0), Leaf(1), Leaf(2)]))
    'all at once'
    """
    if isinstance(tree, Leaf):
        return "one term"
    if all(isinstance(child, Leaf) for child in tree.children) and len(tree.children) > _STEP:
        return "all at once"
    for find in (_chain, _pairs):
        found = find(tree)
        if found:
            return found
    return ""


def _chain(tree: Node) -> str:
    """A running sum, onto which one term comes after the other, or so many at a time."""
    steps: list[tuple[int, ...]] = []
    node: Tree = tree
    while isinstance(node, Node):
        inner = [child for child in node.children if isinstance(child, Node)]
        terms = tuple(child.number for child in node.children if isinstance(child, Leaf))
        if len(inner) > 1 or not terms:
            return ""
        steps.append(terms)
        node = inner[0] if inner else Leaf(0)
    sizes = {len(terms) for terms in steps[:-1]} or {len(steps[-1])}
    order = [term for terms in reversed(steps) for term in terms]
    if len(sizes) > 1 or order not in (sorted(order), sorted(order, reverse=True)):
        last = steps[-1]
        if len(sizes) > 1 or order[len(last) :] != sorted(order[len(last) :], reverse=True):
            return ""
    many = sizes.pop()
    if len(steps) == 1:
        return "one by one" if many == _STEP else "all at once"
    end = "" if order[-1] > order[0] else ", from the last"
    if many == 1:
        first = len(steps[-1])
        return (
            f"one by one{end}" if first == _STEP else f"one by one{end}, the first {first} at once"
        )
    return f"{many} at a time onto a running sum{end}"


def _pairs(tree: Node) -> str:
    """A balanced tree of two at each node."""
    names = set()
    left: list[Tree] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, Leaf):
            continue
        if len(node.children) != _STEP or node.children[0].size != node.children[1].size:
            return ""
        if node.size > _STEP:
            low, high = (list(leaves_of(child)) for child in node.children)
            names.add("in pairs" if max(low) < min(high) else "in halves")
        left += node.children
    return names.pop() if len(names) == 1 else "in a balanced tree" if names else "in pairs"


def tree_lines(tree: Tree) -> tuple[str, ...]:
    """Return a tree as lines of text, parts that are alike together.

    Examples
    --------
    >>> halves = [Node.of([Leaf(i), Leaf(i + 1)]) for i in (0, 2)]
    >>> for line in tree_lines(Node.of([*halves, Leaf(4)])):
    ...     print(line)
    3 parts at once:
      0 to 1 one by one; 1 more like it: 2 to 3
      4
    """
    lines = list(_lines(tree, 0))
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], f"and {len(lines) - _LINES + 1} more lines"]
    return tuple(lines)


def _lines(tree: Tree, depth: int) -> Iterator[str]:
    pad = "  " * depth
    if isinstance(tree, Leaf):
        yield f"{pad}{tree.number}"
        return
    shape = shape_of(tree)
    if shape:
        yield f"{pad}{_range(tree)} {shape}"
        return
    parts, how = _parts(tree)
    yield f"{pad}{len(parts)} parts {how}:"
    for group in _alike(parts):
        first, *others = _lines(group[0], depth + 1)
        more = ""
        if len(group) > 1:
            ends = group[1:] if len(group) <= _STEP + 1 else [group[1], group[-1]]
            shown = (" ... " if len(group) > _STEP + 1 else "; ").join(map(_range, ends))
            more = f"; {len(group) - 1} more like it: {shown}"
        yield first if first.endswith(":") else first + more
        yield from others
        if more and first.endswith(":"):
            yield f"{pad}  {more[2:]}"


def _parts(tree: Node) -> tuple[list[Tree], str]:
    """The parts of a sum and how they are added, as far down as they are added alike."""
    if len(tree.children) > _STEP:
        return list(tree.children), "at once"
    chain = _chained(tree)
    balanced = _balanced(tree)
    return (chain, "one by one") if len(chain) >= len(balanced) else (balanced, "in pairs")


def _chained(tree: Node) -> list[Tree]:
    """A running sum taken apart: at each step the larger side is what ran before."""
    found: list[Tree] = []
    node: Tree = tree
    while isinstance(node, Node) and len(node.children) == _STEP and not (found and shape_of(node)):
        small, large = sorted(node.children, key=lambda child: child.size)
        if small.size == large.size:
            break
        found.append(small)
        node = large
    is_sum_of_two = isinstance(node, Node) and len(node.children) == _STEP
    if is_sum_of_two and (not shape_of(node) or (found and _is_two_of(node, found[-1]))):
        return [*_children(node), *found[::-1]]
    return [node, *found[::-1]]


def _children(tree: Tree) -> tuple[Tree, ...]:
    return tree.children if isinstance(tree, Node) else ()


def _is_two_of(node: Tree, part: Tree) -> bool:
    return all(child.size == part.size for child in _children(node))


def _balanced(tree: Node) -> list[Tree]:
    """A tree of equal halves taken apart, until a part has a shape of its own."""
    parts: list[Tree] = [tree]
    while all(
        isinstance(p, Node)
        and len(p.children) == _STEP
        and p.children[0].size == p.children[1].size
        and not shape_of(p)
        for p in parts
    ):
        parts = [child for part in parts if isinstance(part, Node) for child in part.children]
    return sorted(parts, key=lambda part: part.first)


def _alike(parts: Sequence[Tree]) -> Iterator[list[Tree]]:
    """Neighbouring parts of one form, together."""
    group: list[Tree] = []
    for part in parts:
        if group and _form(part) != _form(group[0]):
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def _form(tree: Tree) -> tuple[object, ...]:
    """What a tree is apart from where it starts."""
    return (shape_of(tree), tuple(term - tree.first for term in leaves_of(tree)))


def _range(tree: Tree) -> str:
    """The terms of a tree: a run, a run with steps, or how many there are."""
    terms = sorted(leaves_of(tree))
    if len(terms) == 1:
        return str(terms[0])
    steps = {b - a for a, b in itertools.pairwise(terms)}
    if steps == {1}:
        return f"{terms[0]} to {terms[-1]}"
    if len(steps) == 1:
        dots = "..., " if len(terms) > _STEP + 1 else ""
        between = f"{terms[1]}, {dots}" if len(terms) > _STEP else ""
        return f"{terms[0]}, {between}{terms[-1]}"
    shown = ", ".join(map(str, terms[:_SHOWN]))
    return f"{len(terms)} terms ({shown}{', ...' if len(terms) > _SHOWN else ''})"
