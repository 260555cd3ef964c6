"""Mistakes of whole products that a user made by hand: each is to be named, and in right words."""

import numpy as np
import pytest

import mxref
from mxref.check.dot import matmul

BLOCK = 32


def operands(m, k, n, fmt="mxfp4", seed=3):
    """Operands whose scales differ from block to block."""
    rng = np.random.default_rng(seed)
    blocks = -(-k // BLOCK)
    x = rng.standard_normal((m, k))
    y = rng.standard_normal((k, n))
    x *= np.exp2(rng.integers(-3, 4, (m, blocks))).repeat(BLOCK, 1)[:, :k]
    y *= np.exp2(rng.integers(-3, 4, (blocks, n))).repeat(BLOCK, 0)[:k]
    options = {"pad": True} if k % BLOCK else {}
    return (
        mxref.quantize(x.astype(np.float32), fmt, axis=1, **options),
        mxref.quantize(y.astype(np.float32), fmt, axis=0, **options),
    )


def values(*tensors):
    return [x.dequantize().astype(np.float64) for x in tensors]


def named(a, b, d, c=None):
    """The one finding of a defect that explains everything."""
    report = matmul(a, b, np.asarray(d, np.float32), **({} if c is None else {"c": c}))
    assert report.verdict == "defect", str(report)
    assert [f.residual for f in report.findings] == [0], str(report)
    return report.findings[0]


# --- parts of the output ----------------------------------------------------------------------


def lower_half(d):
    d[32:] = 0


def last_row(d):
    d[-1:] = 0


def last_rows_of_tiles(d):
    d[15::16] = 0


def two_tiles(d):
    d[16:32, 16:32] = 0
    d[48:, :16] = 0


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lower_half, "0 stands in rows 32 to 63, columns 0 to 47"),
        (last_row, "0 stands in row 63, columns 0 to 47"),
        (last_rows_of_tiles, "0 stands in rows 15, 31, 47 and 1 more run, columns 0 to 47"),
        (two_tiles, "0 stands in rows 16 to 31, columns 16 to 31, and in 1 more tile of 16 x 16"),
    ],
)
def test_what_was_not_written_is_inside_the_output(spoil, text):
    a, b = operands(64, 64, 48)
    x, y = values(a, b)
    d = x @ y
    spoil(d)
    found = named(a, b, d)
    assert (found.id, found.detail) == ("G13", text)


def test_an_edge_that_was_not_written():
    a, b = operands(33, 64, 17)
    x, y = values(a, b)
    d = x @ y
    d[32:] = 0
    assert named(a, b, d).detail == "0 stands in row 32, columns 0 to 16"


@pytest.mark.parametrize(
    ("into", "origin", "text"),
    [
        (
            np.s_[:16, :16],
            np.s_[16:32, :16],
            "rows 0 to 15, columns 0 to 15 hold what belongs into rows 16 to 31, columns 0 to 15",
        ),
        (
            np.s_[16:, 8:],
            np.s_[:17, :9],
            "rows 16 to 32, columns 8 to 16 hold what belongs into rows 0 to 16, columns 0 to 8",
        ),
    ],
)
@pytest.mark.parametrize("has_addend", [False, True])
def test_a_tile_in_another_place_where_n_is_ragged(into, origin, text, has_addend):
    a, b = operands(33, 64, 17)
    x, y = values(a, b)
    c = np.arange(33.0 * 17).reshape(33, 17).astype(np.float32) if has_addend else None
    d = x @ y + (0 if c is None else c)
    right = d.copy()
    d[into] = right[origin]
    found = named(a, b, d, c)
    assert (found.id, found.detail) == ("G13", text)


@pytest.mark.parametrize(
    ("moved", "text"),
    [
        (lambda d: np.roll(d, 1, 0), "each row holds what belongs into the row before it"),
        (
            lambda d: np.roll(d, -3, 1),
            "each column holds what belongs into the one 3 columns behind it",
        ),
        (
            lambda d: d[:, [*range(3), 9, *range(4, 9), 3, *range(10, 48)]],
            "columns 3 and 9 are exchanged",
        ),
        (
            lambda d: d[[5, *range(1, 64)]],
            "row 0 holds what belongs into row 5",
        ),
    ],
)
def test_rows_and_columns_in_other_places(moved, text):
    a, b = operands(64, 64, 48)
    x, y = values(a, b)
    found = named(a, b, moved(x @ y))
    assert (found.id, found.detail) == ("G13", text)


# --- K ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "kept", "text"),
    [
        (64, 32, "elements 32 to 63 along K are left out"),
        (256, 224, "elements 224 to 255 along K are left out"),
        (200, 192, "elements 192 to 199 along K, behind the last whole 32, are left out"),
        (256, 255, "the last element along K, 255, is left out"),
        (200, 199, "the last element along K, 199, is left out"),
        (128, 124, "elements 124 to 127 along K are left out"),
    ],
)
def test_the_end_of_k_left_out_is_not_padding(k, kept, text):
    a, b = operands(40, k, 24)
    x, y = values(a, b)
    found = named(a, b, x[:, :kept] @ y[:kept])
    assert (found.id, found.detail) == ("G15", text)
    assert "behind the last element" not in found.title


@pytest.mark.parametrize("whose", ["a", "b"])
def test_scales_of_one_operand_one_block_off_and_clamped(whose):
    a, b = operands(40, 256, 24)
    x, y = values(a, b)
    if whose == "a":
        x = x.reshape(40, -1, BLOCK)
        own = np.exp2(a.scales.astype(float) - 127)
        off = np.concatenate([own[:, :1], own[:, :-1]], axis=1)
        x = (x * (off / own)[:, :, None]).reshape(40, -1)
    else:
        y = y.reshape(-1, BLOCK, 24)
        own = np.exp2(b.scales.astype(float) - 127)
        off = np.concatenate([own[:1], own[:-1]])
        y = (y * (off / own)[:, None]).reshape(-1, 24)
    found = named(a, b, x @ y)
    assert found.id == "G3"
    assert found.detail == f"{whose}: the scales of the block before, for the first block its own"


# --- transposed -------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", ["mxfp4", "mxfp8_e5m2"])
@pytest.mark.parametrize(
    ("product", "text"),
    [
        (lambda x, y: x @ y.T, "the values of b are multiplied transposed"),
        (lambda x, y: x.T @ y, "the values of a are multiplied transposed"),
        (lambda x, y: x.T @ y.T, "the values of both operands are multiplied transposed"),
        (lambda x, y: y @ x, "the operands are exchanged: b times a"),
    ],
)
def test_values_that_are_transposed(product, text, fmt):
    a, b = operands(64, 64, 64, fmt)
    found = named(a, b, product(*values(a, b)))
    assert (found.id, found.detail) == ("L8", text)
