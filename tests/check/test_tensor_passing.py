"""The first look at stored tensors: piece by piece, as strict as the checks of blocks."""

import tracemalloc

import numpy as np
import pytest

import mxref
from mxref import check
from mxref.check.parts import Lazy
from mxref.check.tensor import _passing
from mxref.check.tensor._data import Stored
from mxref.check.tensor._dictionary import SCALE_ORDERS, places

LAYOUTS = tuple(SCALE_ORDERS)
# Rows that end within a byte or a block, more blocks than a piece holds, and single lines.
SHAPES = ((3, 33), (34, 96), (129, 160), (1, 70000), (5, 65601), (2100, 33), (2100, 32))


def stored(x, fmt, axis, packing, layout):
    """Bytes and decoded values; the addresses are those of whole planes."""
    q = mxref.quantize(x, fmt, axis, pad=True)
    flat = q.codes.reshape(-1)
    if packing != "bytes":
        flat = np.append(flat, np.zeros(flat.size % 2, np.uint8))
        first, second = flat[::2], flat[1::2]
        low, high = (first, second) if packing == "nibbles-low-first" else (second, first)
        flat = (low | high << 4).astype(np.uint8)
    order = SCALE_ORDERS[layout]
    empty = np.zeros(0, np.uint8)
    plane = Stored(empty, empty, x.shape, axis, 32, packing != "bytes").plane()
    scales = np.full(order.size(plane), 0xAA, np.uint8)  # padding is not judged
    scales[places(order, plane)] = q.scales if axis == 1 else q.scales.T
    return flat.copy(), scales, q.dequantize()


def numbers(shape, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) * np.exp2(rng.integers(-9, 9, shape))
    return x.astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_pieces_of_the_scale_plane_are_those_of_the_whole(shape, layout, axis):
    order, empty = SCALE_ORDERS[layout], np.zeros(0, np.uint8)
    tensor = Stored(empty, empty, shape, axis, 32, False)
    plane = tensor.plane()
    whole = places(order, plane) if axis == 1 else places(order, plane).T
    got = np.full(plane.shape, -1)
    scales = _passing.ScalePlane(tensor, order)
    covered = np.zeros(shape, np.int64)
    for window in _passing._windows(tensor):
        cut = window.scale_rows, window.scale_columns
        assert (got[cut] == -1).all()
        got[cut] = scales.addresses(*cut)
        covered[window.rows, window.columns] += 1
    assert (got == whole).all()
    assert (covered == 1).all()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("packing", ["bytes", "nibbles-low-first", "nibbles-high-first"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_right_conforms_and_one_wrong_bit_does_not(shape, packing, axis, monkeypatch):
    fmt = "mxfp4"
    x = numbers(shape)
    elements, scales, y = stored(x, fmt, axis, packing, "128x4")
    options = {"axis": axis, "packing": packing, "scale_layout": "128x4"}
    report = check.quantize_tensor(x, elements, scales, fmt, **options)
    assert report.verdict == "conforms", report
    assert report.mismatches.total_elements == x.size
    assert check.dequantize_tensor(elements, scales, y, fmt, **options).verdict == "conforms"
    # Only whether the first look sees it: the search behind it has tests of its own.
    monkeypatch.setattr("mxref.check.tensor._api.read_quantized", _seen)
    monkeypatch.setattr("mxref.check.tensor._api.read_values", _seen)
    rng = np.random.default_rng(1)
    count = x.size // (1 if packing == "bytes" else 2)
    for at in (0, count - 1, *rng.integers(0, count, 3)):
        elements[at] ^= 1
        with pytest.raises(_SeenError):
            check.quantize_tensor(x, elements, scales, fmt, **options)
        with pytest.raises(_SeenError):
            check.dequantize_tensor(elements, scales, y, fmt, **options)
        elements[at] ^= 1
    y[-1, -1] = -y[-1, -1]
    with pytest.raises(_SeenError):
        check.dequantize_tensor(elements, scales, y, fmt, **options)


class _SeenError(Exception):
    """Raised where the search would begin."""


def _seen(*_args):
    raise _SeenError


def test_one_wrong_scale_is_seen():
    x = numbers((700, 320))
    elements, scales, _ = stored(x, "mxfp8_e4m3", 1, "bytes", "8x4")
    scales[4321] += 1
    report = check.quantize_tensor(x, elements, scales, "mxfp8_e4m3", scale_layout="8x4")
    assert report.verdict != "conforms"
    assert report.mismatches.scales == 1


def test_what_differs_without_effect_is_noted_as_by_the_check_of_blocks():
    x = numbers((64, 4096))
    x[:, :64], x[3, 100] = 0, np.nan
    q = mxref.quantize(x, "mxfp8_e4m3")
    codes, scales = q.codes.copy(), q.scales.copy()
    scales[5, :2] = 130
    codes[3, 97:99] ^= 1
    report = check.quantize_tensor(x, codes, scales, "mxfp8_e4m3")
    assert report.verdict == "conforms"
    assert report.notes == check.quantize(x, codes, scales, "mxfp8_e4m3").notes
    assert len(report.notes) == 2


def test_a_code_without_effect_must_be_one_of_the_format():
    x = np.full((2, 64), np.nan, np.float32)
    q = mxref.quantize(x, "mxfp6_e3m2")
    codes = q.codes | 0x80
    with pytest.raises(ValueError, match="e3m2"):
        check.quantize_tensor(x, codes, q.scales, "mxfp6_e3m2")


def test_a_policy_that_refuses_the_input_is_not_what_was_followed():
    x = numbers((4, 64))
    x[1, 1] = np.nan
    q = mxref.quantize(x, "mxfp8_e4m3")
    report = check.quantize_tensor(
        x, *(q.codes, q.scales), "mxfp8_e4m3", policy="ocp:scale_nan=raise"
    )
    blocks = check.quantize(x, q.codes, q.scales, "mxfp8_e4m3", policy="ocp:scale_nan=raise")
    assert report.verdict == blocks.verdict
    assert [f.id for f in report.findings] == [f.id for f in blocks.findings]
    assert not report.ok


def test_which_nan_a_reader_gives_counts_only_if_asked():
    codes, scales = np.zeros((2, 64), np.uint8), np.full((2, 2), 0xFF, np.uint8)
    y = np.full((2, 64), np.nan, np.float32)
    y.view(np.uint32)[:] ^= 1
    assert check.dequantize_tensor(codes, scales, y, "mxfp4").ok
    assert check.dequantize_tensor(codes, scales, np.copysign(y, -1), "mxfp4").ok


def test_a_zero_of_the_other_sign_is_seen_in_any_memory_order():
    codes, scales = np.zeros((4, 64), np.uint8), np.full((4, 2), 127, np.uint8)
    y = np.zeros((4, 64), np.float32, order="F")
    assert check.dequantize_tensor(codes, scales, y, "mxfp4").ok
    y[2, 9] = -0.0
    assert not check.dequantize_tensor(codes, scales, y, "mxfp4").ok


@pytest.mark.parametrize("fmt", ["mxfp4", "mxfp8_e4m3"])
def test_a_passing_check_takes_no_copy_of_the_numbers(fmt):
    x = numbers((2048, 2048))
    packing = "nibbles-low-first" if fmt == "mxfp4" else "bytes"
    elements, scales, y = stored(x, fmt, 1, packing, "128x4")
    options = {"packing": packing, "scale_layout": "128x4"}
    for judge in (
        lambda: check.quantize_tensor(x, elements, scales, fmt, **options),
        lambda: check.dequantize_tensor(elements, scales, y, fmt, **options),
    ):
        judge()
        tracemalloc.start()
        report = judge()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert report.ok
        assert peak < x.nbytes / 8, peak
        assert isinstance(report.gaps, Lazy)


def test_gaps_are_there_for_who_looks():
    x = np.random.default_rng(0).uniform(1, 1.5, (2, 64)).astype(np.float32)
    q = mxref.quantize(x, "mxfp4")
    report = check.quantize_tensor(x, q.codes, q.scales, "mxfp4")
    blocks = check.quantize(x, q.codes, q.scales, "mxfp4")
    assert list(report.gaps)[: len(blocks.gaps)] == list(blocks.gaps)
    assert any(gap.what == "the order of the scale codes" for gap in report.gaps)
    assert list(report.inferred) == list(blocks.inferred)


@pytest.mark.parametrize("multiple", [1, 32])
def test_words_of_lines_at_another_stride_are_named(multiple):
    x = numbers((37, 320))
    q = mxref.quantize(x, "mxfp8_e4m3")
    up = -(-37 // multiple) * multiple
    padded = np.zeros((up, 12), np.uint8)
    padded[:37, :10] = q.scales
    words = padded.reshape(up, 3, 4).transpose(1, 0, 2).reshape(-1)
    report = check.quantize_tensor(x, q.codes, words, "mxfp8_e4m3", scale_layout="mn-major-words")
    assert [(f.id, f.residual) for f in report.findings] == [("L4", 0)], report
    assert report.verdict == "defect"


@pytest.mark.parametrize("byte", range(4))
def test_words_of_which_one_byte_is_stored_are_named(byte):
    x = numbers((160, 320))
    q = mxref.quantize(x, "mxfp8_e4m3")
    scales = q.scales.reshape(-1, 4).copy()
    scales[:, [i for i in range(4) if i != byte]] = 0
    report = check.quantize_tensor(x, q.codes, scales, "mxfp8_e4m3")
    assert [(f.id, f.residual) for f in report.findings] == [("L5", 0)], report
    assert report.findings[0].witness is not None
