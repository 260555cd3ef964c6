import ctypes
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import ml_dtypes
import numpy as np
import order_oracle as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxref
from mxref.exact.ieee import from_bits
from mxref.formats import BLOCK_FORMATS
from mxref.kernels import sums_orders
from mxref.matmul import _orders_trees as trees
from mxref.matmul._operands import Operands, operands_of
from mxref.matmul.orders import ACCUMULATORS, Order, order

FORMATS = list(BLOCK_FORMATS)
STORAGE = {"float32": np.uint32, "bfloat16": np.uint16, "float16": np.uint16}
DTYPES = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}


def operands(rng, shape, pair=("mxfp8_e4m3", "mxfp8_e5m2"), block=32, scales=(120, 134)):
    """Random codes, all of them, under scales of a range."""
    m, k, n = shape
    blocks = -(-k // block)
    made = []
    for name, size, count, axis in ((pair[0], (m, k), m, 1), (pair[1], (k, n), n, 0)):
        fmt = BLOCK_FORMATS[name].with_block_size(block)
        codes = rng.integers(0, fmt.element.code_count, size).astype(np.uint8)
        shared = rng.integers(scales[0], scales[1] + 1, (count, blocks)).astype(np.uint8)
        made.append(mxref.MXArray(codes, shared if axis else shared.T, fmt, axis))
    return made


def summed(name, a, b, c=None):
    one = name if isinstance(name, Order) else order(name)
    return one.accumulate(operands_of(a, b, c))


def bits(values):
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


# --- numpy, step by step ---------------------------------------------------------------------


def plain(tree, terms):
    """A float32 sum over the first axis, by numpy's own additions."""
    terms = list(terms)
    if tree in ("sequential", "reversed"):
        total = np.zeros_like(terms[0])
        for term in terms if tree == "sequential" else terms[::-1]:
            total = total + term
        return total
    while len(terms) > 1:
        if tree == "pairwise":
            sums = [terms[i] + terms[i + 1] for i in range(0, len(terms) - 1, 2)]
            terms = sums + terms[2 * len(sums) :]
        else:
            half = (len(terms) + 1) // 2
            low, high = terms[:half], terms[half:]
            terms = [low[i] + high[i] if i < len(high) else low[i] for i in range(half)]
    return terms[0] + np.float32(0)


PAIRS = [("mxfp4", "mxfp4"), ("mxfp8_e4m3", "mxint8"), ("mxfp6_e2m3", "mxfp6_e3m2")]


@pytest.mark.parametrize("tree", ["sequential", "reversed", "pairwise", "halves"])
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_plain_orders_are_numpys_additions(pair, tree):
    rng = np.random.default_rng(1)
    a, b = operands(rng, (19, 100, 37), pair)
    x, y = a.dequantize(), b.dequantize()
    with np.errstate(invalid="ignore"):
        expected = plain(tree, [x[:, [k]] * y[[k]] for k in range(100)])
    found = summed(f"float32-{tree}", a, b)
    nan = np.isnan(expected)
    assert (np.isnan(found) == nan).all()
    assert (bits(found)[~nan] == bits(expected)[~nan]).all()
    # The order matters: with another one the same data give other bits.
    other = summed("float32-reversed" if tree == "sequential" else "float32-sequential", a, b)
    assert (bits(found)[~nan] != bits(other)[~nan]).any()


@pytest.mark.parametrize(
    ("name", "starts", "outer"),
    [
        ("lanes-8", [slice(i, None, 8) for i in range(8)], "sequential"),
        ("lanes-16-halves", [slice(i, None, 16) for i in range(16)], "halves"),
        ("chunks-7", [slice(i, i + 7) for i in range(0, 100, 7)], "sequential"),
        (
            "chunks-24-sequential-pairwise",
            [slice(i, i + 24) for i in range(0, 100, 24)],
            "pairwise",
        ),
        ("split-8", [slice(i, i + 13) for i in range(0, 100, 13)], "sequential"),
        ("split-3-pairwise", [slice(i, i + 34) for i in range(0, 100, 34)], "pairwise"),
    ],
)
def test_parts_of_k_are_numpys_additions(name, starts, outer):
    rng = np.random.default_rng(2)
    a, b = operands(rng, (5, 100, 70), ("mxfp6_e2m3", "mxfp4"))
    x, y = a.dequantize(), b.dequantize()
    terms = [x[:, [k]] * y[[k]] for k in range(100)]
    expected = plain(outer, [plain("sequential", terms[part]) for part in starts])
    assert (bits(summed(f"float32-{name}", a, b)) == bits(expected)).all()


def test_float64_is_rounded_at_the_end():
    rng = np.random.default_rng(3)
    a, b = operands(rng, (5, 64, 40), ("mxfp6_e2m3", "mxfp4"), scales=(0, 254))
    with np.errstate(over="ignore"):
        x, y = a.dequantize().astype(np.float64), b.dequantize().astype(np.float64)
        expected = np.zeros((5, 40))
        for k in range(64):
            expected = expected + x[:, [k]] * y[[k]]
        expected = expected.astype(np.float32)
    assert (bits(summed("float64-sequential", a, b)) == bits(expected)).all()


# --- rational arithmetic ---------------------------------------------------------------------

TREES = ("sequential", "reversed", "pairwise", "halves", "lanes-4-pairwise", "chunks-3", "split-3")
KINDS = ("float32", "float64", "bfloat16", "float16")
WAYS = [("float32", "rounded"), ("float32", "fused"), ("float64", "rounded")] + [
    (kind, way) for kind in ("bfloat16", "float16") for way in ("rounded", "fused", "float32")
]
# Products have a say in blocks only where these are not summed exactly.
CASES = [
    pytest.param(*case, marks=pytest.mark.slow if case[0] != "float32" else ())
    for case in (
        *((*way, "operands", "exact") for way in WAYS),
        *((kind, "rounded", "blocks", "exact") for kind in KINDS),
        *((*way, "products", "exact") for way in (WAYS[0], WAYS[1], WAYS[4])),
        *((*way, "blocks", "pairwise") for way in (WAYS[0], WAYS[1], WAYS[8])),
    )
]
WIDE = [("mxfp8_e4m3", "mxfp8_e5m2"), ("mxfp4", "mxint8")]
SCALES = [0, 1, 100, 112, 120, 126, 127, 128, 134, 140, 200, 240, 253, 254, 255]


@st.composite
def cases(draw, pairs):
    """Small operands with any codes, and scales that lie together or anywhere."""
    pair = draw(pairs)
    block, k = draw(st.sampled_from([1, 4, 8])), draw(st.integers(0, 13))
    m, n = 2, draw(st.integers(1, 2))
    base = draw(st.sampled_from(SCALES))
    near = st.integers(max(0, base - 6), min(255 - (base != 255), base + 6))
    codes = st.integers(0, 255) | st.sampled_from([0, 1, 0x80, 0x7C, 0xFC, 0x7E])
    made = []
    for name, count, axis in ((pair[0], m, 1), (pair[1], n, 0)):
        fmt = BLOCK_FORMATS[name].with_block_size(block)
        blocks = -(-k // block)
        of_block = draw(st.sampled_from([near, st.sampled_from(SCALES[:-1]), st.integers(0, 255)]))
        shared = draw(st.lists(of_block, min_size=count * blocks, max_size=count * blocks))
        values = draw(st.lists(codes, min_size=count * k, max_size=count * k))
        given_codes = np.array(values, np.uint8).reshape(count, k) & (fmt.element.code_count - 1)
        given_scales = np.array(shared, np.uint8).reshape(count, blocks)
        if axis == 0:
            given_codes, given_scales = given_codes.T, given_scales.T
        made.append(mxref.MXArray(given_codes, given_scales, fmt, axis))
    return made


@st.composite
def addends(draw, shape):
    kind = draw(st.sampled_from(["none", *DTYPES]))
    if kind == "none":
        return None
    words = st.integers(0, (1 << (8 * DTYPES[kind].itemsize)) - 1)
    ordinary = st.sampled_from([0.0, -0.0, 1.0, -3.5, np.inf, 2.0**-20]).map(
        lambda x: int(bits(np.array([x], DTYPES[kind]))[0])
    )
    size = int(np.prod(shape))
    drawn = draw(st.lists(words | ordinary, min_size=size, max_size=size))
    return np.array(drawn, f"u{DTYPES[kind].itemsize}").reshape(shape).view(DTYPES[kind])


@pytest.mark.parametrize(("kind", "products", "scales", "within"), CASES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_orders_are_rational_arithmetic_rounded_at_each_step(kind, products, scales, within, data):
    # Exact blocks need a kernel for each way to split the elements: not all in every type.
    pairs = st.tuples(st.sampled_from(FORMATS), st.sampled_from(FORMATS))
    is_exact = scales == "blocks" and within == "exact"
    a, b = data.draw(cases(st.sampled_from(WIDE) if is_exact and kind != "float32" else pairs))
    tree = data.draw(st.sampled_from(TREES))
    place = data.draw(st.sampled_from(["first", "last"])) if tree == "sequential" else "last"
    one = Order(kind, tree, products, scales, within, place)
    c = data.draw(addends((a.shape[0], b.shape[1])))
    found = bits(summed(one, a, b, c))
    assert found.dtype == STORAGE.get(kind, np.uint32)
    for row, column in np.ndindex(found.shape):
        addend = None
        if c is not None:
            addend = from_bits(int(bits(c)[row, column]), str(c.dtype))
        expected = oracle.result(one, a, b, row, column, addend)
        assert int(found[row, column]) == expected, (one.name, row, column)


@pytest.mark.parametrize("block", [32, 256, 1])
@pytest.mark.parametrize("pair", [("mxfp8_e5m2", "mxfp8_e5m2"), ("mxfp8_e4m3", "mxfp8_e5m2")])
def test_exact_blocks_of_the_widest_formats(pair, block):
    """Sums of up to 69 bits that cancel: the largest products against their negatives."""
    rng = np.random.default_rng(4)
    a, b = operands(rng, (4, 2 * 256, 3), pair, block)
    x, y = a.codes.copy(), b.codes.copy()
    for codes in (x, y):  # finite, save in one row or column
        codes[(codes & 0x7F) >= 0x7C] &= 0xBF
    y[1::2] = y[::2]
    x[:, 1::2] = x[:, ::2] ^ 0x80
    x[:, 5::7] = rng.integers(0, 4, x[:, 5::7].shape)
    x[3, 100], y[5, 2] = 0x7F, 0x7C if pair[1] == "mxfp8_e5m2" else 0x7F
    a = mxref.MXArray(x, a.scales, a.format, 1)
    b = mxref.MXArray(y, b.scales, b.format, 0)
    for name in ("ocp-fp32", "ocp-bfloat16", "ocp-float64-pairwise"):
        found = bits(summed(name, a, b))
        for row, column in np.ndindex(found.shape):
            assert int(found[row, column]) == oracle.result(order(name), a, b, row, column)


# --- one product of many shapes --------------------------------------------------------------


@pytest.mark.parametrize("name", ["float32-pairwise", "ocp-fp32", "bfloat16-single-sequential"])
def test_an_output_does_not_depend_on_its_place(name):
    """Tiles, panels, groups, one thread or several, pairs of rows: always the same bits."""
    rng = np.random.default_rng(5)
    a, b = operands(rng, (150, 96, 131))
    c = rng.standard_normal((150, 131)).astype(np.float32)
    whole = summed(name, a, b, c)
    for rows, columns in ((slice(3, 4), slice(7, 8)), (slice(60, 73), slice(29, 94))):
        part_a = mxref.MXArray(a.codes[rows], a.scales[rows], a.format, 1)
        part_b = mxref.MXArray(b.codes[:, columns], b.scales[:, columns], b.format, 0)
        part = summed(name, part_a, part_b, c[rows, columns])
        assert (bits(part) == bits(whole[rows, columns])).all()
    paired = Operands(
        *(a.codes[:131], a.scales[:131], b.codes.T, b.scales.T, a.format, b.format),
        c=np.diagonal(c).copy()[:131],
        is_paired=True,
    )
    found = order(name).accumulate(paired)
    assert found.shape == (131,)
    assert (bits(found) == bits(np.ascontiguousarray(np.diagonal(whole)))).all()


def test_several_threads_give_the_same_bits():
    rng = np.random.default_rng(6)
    a, b = operands(rng, (320, 256, 320), ("mxfp4", "mxfp4"))
    large = summed("float32-sequential", a, b)
    few = [
        summed(
            "float32-sequential",
            mxref.MXArray(a.codes[i : i + 5], a.scales[i : i + 5], a.format, 1),
            b,
        )
        for i in range(0, 320, 5)
    ]
    assert (bits(large) == bits(np.concatenate(few))).all()


@pytest.mark.parametrize(
    "name", [m.name for m in ACCUMULATORS if "-64" in m.name or "ocp" in m.name]
)
def test_empty_products(name):
    rng = np.random.default_rng(7)
    for shape in ((0, 32, 3), (3, 32, 0), (2, 0, 3), (0, 0, 0)):
        a, b = operands(rng, shape, ("mxfp4", "mxfp4"))
        assert summed(name, a, b).shape == (shape[0], shape[2])
    a, b = operands(rng, (2, 0, 3), ("mxfp4", "mxfp4"))
    assert not bits(summed(name, a, b)).any()
    c = np.full((2, 3), -2.5, np.float32)
    assert (summed(name, a, b, c).astype(np.float32) == c).all()


def test_every_listed_order_is_near_the_exact_sum():
    """Says less than the tests above, but of each: none loses a term or adds one twice."""
    rng = np.random.default_rng(8)
    a, b = operands(rng, (4, 300, 5), ("mxfp6_e2m3", "mxfp4"), scales=(124, 130))
    x, y = a.dequantize().astype(np.float64), b.dequantize().astype(np.float64)
    room = np.abs(x) @ np.abs(y)
    for model in ACCUMULATORS:
        step = 2.0**-7 if model.dtype == "bfloat16" else 2.0**-10
        found = model.run(operands_of(a, b)).astype(np.float64)
        assert (np.abs(found - x @ y) <= 300 * step * room).all(), model.name
        assert str(model.run(operands_of(a, b)).dtype) == model.dtype


# --- the fused operation without an instruction ----------------------------------------------


def test_fused_products_without_an_instruction_for_them(monkeypatch):
    pair = ("mxint8", "mxfp8_e5m2")
    found = {}
    for has_fma in (sums_orders.has_fma(), False):
        monkeypatch.setattr(sums_orders, "has_fma", lambda value=has_fma: value)
        for scales in ((0, 80), (56, 70), (120, 134), (190, 200)):
            rng = np.random.default_rng(9)
            a, b = operands(rng, (40, 96, 40), pair, scales=scales)
            for name in ("float32-fma-sequential", "ocp-fp32"):
                found.setdefault((scales, name), []).append(bits(summed(name, a, b)))
    for key, (one, other) in found.items():
        assert (one == other).all(), key
    assert any(one.any() for one, _ in found.values())


def test_fusing_matters_where_products_lose_bits():
    """One step of the least subnormal, and 31 halves of it: rounded first, each half is lost."""
    fmt = BLOCK_FORMATS["mxfp4"]
    codes = np.array([[2] + [1] * 31], np.uint8)
    a = mxref.MXArray(codes, np.full((1, 1), 52, np.uint8), fmt, 1)
    b = mxref.MXArray(np.full((32, 1), 2, np.uint8), np.full((1, 1), 53, np.uint8), fmt, 0)
    assert summed("float32-sequential", a, b)[0, 0] == 2.0**-149
    assert summed("float32-fma-sequential", a, b)[0, 0] == 2 * 2.0**-149
    assert summed("float64-sequential", a, b)[0, 0] == 16 * 2.0**-149


# --- where scales enter ----------------------------------------------------------------------


def test_where_the_scales_enter_shows_when_they_overflow():
    fmt = BLOCK_FORMATS["mxfp8_e4m3"]
    a = mxref.MXArray(np.full((1, 32), 0x7E, np.uint8), np.full((1, 1), 254, np.uint8), fmt, 1)
    b = mxref.MXArray(np.full((32, 1), 0x38, np.uint8), np.full((1, 1), 10, np.uint8), fmt, 0)
    assert np.isinf(summed("float32-sequential", a, b)).all()
    expected = np.float32(32 * 448 * 2.0 ** (254 + 10 - 254))
    assert summed("float32-sequential-scaled-products", a, b)[0, 0] == expected
    assert summed("float32-sequential-scaled-blocks-sequential", a, b)[0, 0] == expected
    assert summed("ocp-fp32", a, b)[0, 0] == expected
    # The float32 product of two small scales vanishes, though the scaled sum would not.
    tiny = np.full((1, 1), 10, np.uint8)
    a, b = mxref.MXArray(a.codes, tiny, fmt, 1), mxref.MXArray(b.codes, tiny.T + 90, fmt, 0)
    assert summed("ocp-fp32", a, b)[0, 0] == np.float32(32 * 448 * 2.0 ** (10 + 100 - 254))
    assert summed("float32-sequential-scaled-blocks-sequential", a, b)[0, 0] != 0
    b = mxref.MXArray(b.codes, tiny.T + 85, fmt, 0)
    assert summed("ocp-fp32", a, b)[0, 0] != 0
    b = mxref.MXArray(b.codes, tiny.T + 80, fmt, 0)
    assert summed("float32-sequential-scaled-blocks-sequential", a, b)[0, 0] == 0


# --- trees -----------------------------------------------------------------------------------


def as_nested(tree):
    return list(tree) if isinstance(tree, range) else tree


@pytest.mark.parametrize("name", ["pairwise", "halves", "reversed", "lanes-4-pairwise", "split-3"])
def test_a_tree_of_ones_own_is_as_good_as_a_name(name):
    rng = np.random.default_rng(10)
    a, b = operands(rng, (3, 45, 3), ("mxfp6_e2m3", "mxfp4"))
    nested = trees.named_tree(name, 45)
    if isinstance(nested, tuple):
        nested = tuple(as_nested(part) for part in nested)
    else:
        nested = as_nested(nested)
    own = Order("float32", nested)
    assert own.name == "float32-tree-45"
    assert (bits(summed(own, a, b)) == bits(summed(f"float32-{name}", a, b))).all()


def test_uneven_parts_of_k_are_ranges():
    """As in stream-K, where a tile's share of K ends wherever a processor's work does."""
    a, b = operands(np.random.default_rng(13), (3, 100, 20), ("mxfp6_e2m3", "mxfp4"))
    x, y = a.dequantize(), b.dequantize()
    terms = [x[:, [k]] * y[[k]] for k in range(100)]
    tree = (range(37), range(37, 90), range(90, 100))
    expected = plain("sequential", [plain("sequential", [terms[k] for k in part]) for part in tree])
    assert (bits(summed(Order("float32", tree), a, b)) == bits(expected)).all()
    assert (bits(summed("float32-sequential", a, b)) != bits(expected)).any()


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_tree_is_added_as_written(data):
    """Random merges, as an array and as tuples, against additions by numpy in that order."""
    n = data.draw(st.integers(2, 24))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    a, b = operands(rng, (2, n, 3), ("mxfp6_e2m3", "mxfp6_e2m3"), block=1, scales=(110, 140))
    x, y = a.dequantize(), b.dequantize()
    nodes = {k: (x[:, [k]] * y[[k]], k) for k in range(n)}
    merges = []
    for i in range(n - 1):
        left, right = data.draw(st.permutations(sorted(nodes)))[:2]
        (total, tree), (more, other) = nodes.pop(left), nodes.pop(right)
        nodes[n + i] = (total + more, (tree, other))
        merges.append((left, right))
    expected, tree = nodes.popitem()[1]
    expected = expected + np.float32(0)
    for given_tree in (tree, np.array(merges)):
        assert (bits(summed(Order("float32", given_tree), a, b)) == bits(expected)).all()


@pytest.mark.parametrize("is_left", [True, False])
def test_deep_trees(is_left):
    n = 5000
    tree = n - 1 if not is_left else 0
    for k in range(1, n) if is_left else range(n - 2, -1, -1):
        tree = (tree, k) if is_left else (k, tree)
    program = trees.program_of(trees.checked_tree(tree)[0])
    assert len(program) <= 4


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (((0, 1), (1, 2)), "1 occurs again"),
        ((0, 1, 3), "missing"),
        ((0, 0), "0 occurs again"),
        ((), "empty"),
        ((0, "1"), "str"),
        ((0, 1.5), "float"),
        ((True, 0), "bool"),
        (np.array([[0, 1], [0, 2]]), "row 1"),
        (np.array([[0, 3]]), "row 0"),
        (np.zeros((3, 3), int), "shape"),
        (np.zeros((3, 2)), "float64"),
    ],
)
def test_trees_that_are_none(tree, words):
    with pytest.raises((TypeError, ValueError), match=words):
        Order("float32", tree)


def test_a_tree_of_another_length_is_refused():
    a, b = operands(np.random.default_rng(0), (2, 5, 2), ("mxfp4", "mxfp4"))
    with pytest.raises(ValueError, match=r"adds 3 numbers; K gives 5 products"):
        summed(Order("float32", (0, 1, 2)), a, b)
    blocks = Order("float32", (0, 1, 2), scales="blocks")
    with pytest.raises(ValueError, match=r"adds 3 numbers; K gives 1 blocks"):
        summed(blocks, a, b)


# --- names -----------------------------------------------------------------------------------


def test_names_are_read_back():
    names = [model.name for model in ACCUMULATORS]
    assert len(set(names)) == len(names)
    for model in ACCUMULATORS:
        one = order(model.name)
        assert one.name == model.name
        assert order(one.name) == one
        assert one.text == model.text
    assert len({model.text for model in ACCUMULATORS}) == len(names)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "float32",
            "float32-",
            "float8-sequential",
            "float32-sequentially",
            "ocp",
            "ocp-fp33",
        ),
        *("float32-lanes", "float32-lanes-0", "float32-lanes-x", "float32-lanes-8-8"),
        *("float32-chunks-8-pairwise-pairwise-pairwise", "float32-split-8-lanes"),
        *("float32-sequential-scaled-blocks", "float32-fma-fma-sequential"),
        *("float32-lanes-\N{SUPERSCRIPT TWO}", "FLOAT32-sequential"),
    ],
)
def test_names_that_are_none(name):
    with pytest.raises(ValueError, match="unknown order"):
        order(name)


@pytest.mark.parametrize(
    "wrong",
    [
        {"accumulator": "float8"},
        {"products": "kept"},
        {"scales": "nowhere"},
        {"addend": "twice"},
        {"within": "sequential"},
        {"scales": "blocks", "within": "best"},
        {"tree": "best"},
    ],
)
def test_orders_that_are_none(wrong):
    with pytest.raises(ValueError, match=r"unknown|expected"):
        Order(**wrong)


# --- the floating-point environment ----------------------------------------------------------

SOURCE = Path(__file__).parents[1] / "machine" / "float_mode.c"
MODELS = ["float32-sequential", "float32-fma-pairwise", "ocp-fp32", "bfloat16-fma-sequential"]
THREADED = MODELS[:2]


@pytest.fixture(scope="module")
def modes(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler (cc) to set the floating-point mode with")
    library = tmp_path_factory.mktemp("mode") / "float_mode.so"
    command = [compiler, "-O1", "-shared", "-fPIC", str(SOURCE), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("the floating-point mode cannot be set here")
    loaded = ctypes.CDLL(str(library))
    for name in ("get_mode", "flush_bits", "down_bits", "up_bits"):
        getattr(loaded, name).restype = ctypes.c_ulong
    loaded.set_mode.argtypes, loaded.set_mode.restype = [ctypes.c_ulong], None
    return loaded


@contextmanager
def mode_set(modes, names):
    before = modes.get_mode()
    try:
        modes.set_mode(before | sum(getattr(modes, f"{name}_bits")() for name in names))
        yield
    finally:
        modes.set_mode(before)


def digests():
    """Results in the subnormal range and near one, with and without an addend."""
    found = []
    for shape, scales, models in (
        ((9, 64, 40), (40, 70), MODELS),
        ((9, 64, 40), (50, 60), MODELS),
        ((300, 128, 300), (50, 60), THREADED),
    ):
        rng = np.random.default_rng(11)
        a, b = operands(rng, shape, ("mxfp6_e2m3", "mxint8"), scales=scales)
        c = rng.integers(1, 1 << 22, (shape[0], shape[2])).astype(np.uint32).view(np.float32)
        found += [bits(summed(name, a, b, c)).tobytes() for name in models]
        found += [bits(summed(name, a, b)).tobytes() for name in models]
    return found


@pytest.mark.parametrize("names", [("flush",), ("up",), ("flush", "down")], ids="+".join)
def test_the_floating_point_mode_changes_no_bit(modes, names):
    expected = digests()
    least = np.array([2.0**-126], np.float32)
    before = modes.get_mode()
    with mode_set(modes, names):
        is_flushed = not (least * np.float32(0.5)).view(np.uint32).any()
        found = digests()
        assert (
            modes.get_mode() & ~0x3F
            == (before | sum(getattr(modes, f"{n}_bits")() for n in names)) & ~0x3F
        )
    assert is_flushed == ("flush" in names)
    assert found == expected


STRUCTURES = [
    *("ocp-fp32", "float32-pairwise", "float32-fma-lanes-4-halves", "float64-split-3"),
    *("bfloat16-sequential-addend-first", "float16-fma-chunks-9", "bfloat16-single-reversed"),
    *("float32-fma-sequential-scaled-blocks-pairwise", "float32-sequential-scaled-products"),
]
INTERPRETED = """
import hashlib, sys
sys.path.insert(0, {here!r})
import numpy as np
import test_orders as t
from mxref.kernels._jit import INTERPRETED
total = hashlib.sha256()
for pair in (("mxfp8_e5m2", "mxfp8_e5m2"), ("mxfp4", "mxint8")):
    for scales in ((0, 255), (45, 70)):
        rng = np.random.default_rng(12)
        a, b = t.operands(rng, (5, 70, 3), pair, scales=scales)
        c = rng.standard_normal((5, 3))
        for name in t.STRUCTURES:
            for addend in (None, c):
                total.update(t.bits(t.summed(name, a, b, addend)).tobytes())
print(INTERPRETED, total.hexdigest())
"""


@pytest.mark.slow
def test_without_a_compiler_the_bits_are_the_same():
    code = INTERPRETED.format(here=str(Path(__file__).parent))
    lines = []
    for disabled in ("0", "1"):
        environment = os.environ | {"NUMBA_DISABLE_JIT": disabled}
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        lines.append(done.stdout.split())
    assert [line[0] for line in lines] == ["False", "True"]
    assert lines[0][1] == lines[1][1]
