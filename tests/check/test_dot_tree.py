"""The tree of a sum, recovered from results alone: known sums, and every tree by hypothesis."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref.check.dot._order import probe_order
from mxref.check.dot._tree import Leaf, Node, TreeError, leaves_of, meeting_sizes, recover
from mxref.check.dot._tree_text import shape_of, tree_lines
from mxref.formats import block_format

VALUES = {
    "mxfp8_e4m3": (4, 3, 7),
    "mxfp8_e5m2": (5, 2, 15),
    "mxfp4": (2, 1, 1),
}


def values(fmt):
    """Finite numbers of a format by code; what is not finite is left at zero."""
    e_bits, m_bits, bias = VALUES[fmt]
    table = np.zeros(256)
    for code in range(1 << (1 + e_bits + m_bits)):
        sign = -1.0 if code >> (e_bits + m_bits) else 1.0
        e, m = code >> m_bits & ((1 << e_bits) - 1), code & ((1 << m_bits) - 1)
        table[code] = sign * (m / 2**m_bits + (e > 0)) * 2.0 ** (max(e, 1) - bias)
    return table


def runs(pair, total):
    """A function of operands that sums the products of each row as it is told to."""

    def run(codes_a, scales_a, codes_b, scales_b):
        sides = [
            values(fmt)[codes] * np.repeat(2.0 ** (scales.astype(int) - 127), 32, axis=1)
            for fmt, codes, scales in zip(
                pair, (codes_a, codes_b), (scales_a, scales_b), strict=True
            )
        ]
        return total(sides[0] * sides[1])

    return run


def one_by_one(terms):
    found = np.zeros(len(terms), np.float32)
    for column in terms.T:
        found = found + column.astype(np.float32)
    return found


def in_parts(terms, size):
    parts = [one_by_one(terms[:, i : i + size]) for i in range(0, terms.shape[1], size)]
    return one_by_one(np.stack(parts, axis=1))


def fused(terms, group, bits, keep):
    """Aligned to the largest exponent, cut off, and rounded toward zero."""
    running = np.zeros(len(terms))
    for start in range(0, terms.shape[1], group):
        part = np.concatenate([terms[:, start : start + group], running[:, None]], axis=1)
        top = np.frexp(np.abs(part).max(1))[1] - 1
        total = np.trunc(np.ldexp(part, (bits - top)[:, None])).sum(1)
        value = np.ldexp(total, top - bits)
        last = np.frexp(value)[1] - keep
        running = np.ldexp(np.trunc(np.ldexp(value, -last)), last)
    return running.astype(np.float32)


def toward_zero(terms):
    found = np.zeros(len(terms))
    for column in terms.T:
        last = np.frexp(found + column)[1] - 24
        found = np.ldexp(np.trunc(np.ldexp(found + column, -last)), last)
    return found.astype(np.float32)


SUMS = {
    "256 terms, 0 to 255 one by one": one_by_one,
    "256 terms, 0 to 255 one by one, from the last": lambda t: one_by_one(t[:, ::-1]),
    "256 terms, 4 parts one by one": lambda t: in_parts(t, 64),
    "256 terms, 16 parts in pairs": lambda t: np.ascontiguousarray(t.astype(np.float32)).sum(1),
    "256 terms, 0 to 255 32 at a time onto a running sum": lambda t: fused(t, 32, 13, 14),
    "256 terms, 0 to 255 16 at a time onto a running sum": lambda t: fused(t, 16, 25, 24),
    "256 terms, 0 to 255 one by one, each rounded toward zero": toward_zero,
    "8 groups of 32 terms, each summed exactly, 0 to 7 one by one": (
        lambda t: one_by_one(t.reshape(len(t), -1, 32).sum(-1))
    ),
}


@pytest.mark.parametrize("fmt", ["mxfp8_e4m3", "mxfp8_e5m2"])
@pytest.mark.parametrize("text", SUMS)
def test_known_sums(text, fmt):
    order = probe_order((block_format(fmt),) * 2, runs((fmt, fmt), SUMS[text]))
    assert order.inference.exact
    assert order.inference.found == text.removesuffix(", each rounded toward zero")
    assert list(leaves_of(order.tree)) == sorted(leaves_of(order.tree)) or "pairs" in text


def test_the_pairwise_sum_of_numpy_is_eight_lanes():
    fmt = "mxfp8_e4m3"
    total = SUMS["256 terms, 16 parts in pairs"]
    order = probe_order((block_format(fmt),) * 2, runs((fmt, fmt), total))
    halves = order.tree.children
    assert [child.size for child in halves] == [128, 128]
    lanes = [set(range(lane, 128, 8)) for lane in range(8)]
    left = [halves[0]]
    for _ in range(3):
        left = [child for node in left for child in node.children]
    assert sorted(map(sorted, map(leaves_of, left))) == sorted(map(sorted, lanes))
    assert order.lines[1].startswith("  0, 8, ..., 120 one by one; 15 more like it")


def test_blocks_where_elements_do_not_reach():
    pair = ("mxfp4", "mxfp4")
    order = probe_order((block_format("mxfp4"),) * 2, runs(pair, lambda t: in_parts(t, 128)))
    assert order.inference.found.startswith("16 blocks of 32, 4 parts one by one")
    assert "0 to 3 one by one; 3 more like it" in order.lines[1]


@pytest.mark.parametrize("fmt", ["mxfp4", "mxfp8_e4m3"])
def test_what_loses_nothing_has_no_tree(fmt):
    wide = runs((fmt, fmt), lambda t: t.sum(1).astype(np.float32))
    order = probe_order((block_format(fmt),) * 2, wide)
    assert order.tree is None
    assert "exact, or wider" in order.inference.found


def test_noise_is_no_tree():
    rng = np.random.default_rng(0)
    noise = runs(("mxfp4", "mxfp4"), lambda t: rng.integers(0, 14, len(t)) * np.float32(2.0**-20))
    order = probe_order((block_format("mxfp4"),) * 2, noise)
    assert order.tree is None
    assert "no tree" in order.inference.found


@st.composite
def trees(draw):
    """Any tree with two to five children a node, over terms in any order."""
    count = draw(st.integers(2, 24))
    parts = [Leaf(i) for i in draw(st.permutations(range(count)))]
    while len(parts) > 1:
        many = draw(st.integers(2, min(5, len(parts))))
        start = draw(st.integers(0, len(parts) - many))
        parts[start : start + many] = [Node.of(parts[start : start + many])]
    return parts[0]


@settings(max_examples=200, deadline=None)
@given(trees())
def test_every_tree_is_recovered(tree):
    sizes = meeting_sizes(tree, tree.size)
    assert recover(tree.size, lambda pairs: [sizes[i][j] for i, j in pairs]) == tree
    assert tree_lines(tree)


def test_pairs_are_few():
    """About as many as terms for a running sum, and n log n for a balanced one."""
    for tree, most in ((running(256), 700), (balanced(256), 2100)):
        sizes, asked = meeting_sizes(tree, 256), []
        assert recover(256, lambda p, s=sizes, a=asked: (a.extend(p), [s[i][j] for i, j in p])[1])
        assert len(asked) < most


def running(count):
    tree = Leaf(0)
    for i in range(1, count):
        tree = Node.of([tree, Leaf(i)])
    return tree


def balanced(count, start=0):
    if count == 1:
        return Leaf(start)
    half = count // 2
    return Node.of([balanced(half, start), balanced(half, start + half)])


def test_words():
    assert shape_of(running(9)) == "one by one"
    assert shape_of(balanced(8)) == "in pairs"
    assert shape_of(Node.of([Leaf(0), Leaf(1), Leaf(2)])) == "all at once"
    split = Node.of([running(4), Node.of([Leaf(4), Leaf(6)]), Leaf(5)])
    assert tree_lines(split) == (
        "3 parts at once:",
        "  0 to 3 one by one",
        "  4, 6 in pairs",
        "  5",
    ) or (tree_lines(split)[2].startswith("  4, 6 "))


def test_answers_of_no_tree():
    with pytest.raises(TreeError):
        recover(4, lambda pairs: [3 for _ in pairs])
    with pytest.raises(TreeError, match="more than 3 pairs"):
        recover(8, lambda pairs: [8 for _ in pairs], most=3)
