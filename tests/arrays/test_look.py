"""The text of an array: one screen, true numbers, bounded work."""

from __future__ import annotations

import json
import re
import time
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from look_reading import DTYPES, decoded, number

import mxref
from mxref import bdr, nvfp4
from mxref.exact.number import Number
from mxref.mxarray._look_numbers import brief, full

NAMES = [*DTYPES, "mxint8"]
RELATIVES = ["nvfp4", "mx9", "mx6", "mx4", "msfp12", "bfp16", "scaled_fp8_e4m3", "vsq4"]


def sample(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def drawn(name, shape=(3, 64), seed=0):
    """Codes and scale codes of any kind, NaN and the ends of the scale among them."""
    rng = np.random.default_rng(seed)
    count = mxref.block_format(name).element.code_count
    codes = rng.integers(0, count, shape, np.uint8)
    scales = rng.integers(0, 256, (*shape[:-1], -(-shape[-1] // 32)), np.uint8)
    scales.flat[:3] = 255, 0, 254
    return mxref.MXArray(codes, scales, name)


def quantized(name, x):
    return (
        mxref.quantize(x, name)
        if name.startswith("scaled_fp8")
        else mxref.quantize(x, name, pad=True)
    )


@pytest.mark.parametrize("name", [*NAMES, *RELATIVES])
@pytest.mark.parametrize("shape", [(1,), (40,), (4, 70), (2, 3, 33), (500, 64)])
def test_every_array_fits_a_screen(name, shape):
    x = sample(*shape)
    q = quantized(name, x)
    for text in (repr(q), str(q), str(q.look(x))):
        lines = text.splitlines()
        assert len(lines) <= 17
        assert all(len(line) <= 80 and line == line.rstrip() for line in lines)
        assert "\x1b" not in text
    assert str(q) == repr(q) == repr(q.look())
    assert f"shape={shape}" in repr(q).splitlines()[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_shown_numbers_are_those_of_ml_dtypes(name):
    q = drawn(name)
    expected = decoded(q.codes, q.scales, name, 1)
    document = q.look().to_dict()
    assert json.loads(json.dumps(document)) == document
    assert len(document["blocks"]) == q.scales.size
    for block in document["blocks"]:
        row, start, stop = (int(i) for i in re.findall(r"\d+", block["label"]))
        assert block["codes"] == q.codes[row, start:stop].tolist()
        for text, value in zip(block["values"], expected[row, start:stop], strict=True):
            shown = float(text) if text.lstrip("-") in {"nan", "inf"} else float(Fraction(text))
            assert shown == value or (np.isnan(shown) and np.isnan(value))
        scale_code = int(q.scales[row, start // 32])
        assert block["scale_code"] == f"0x{scale_code:02x}"
        if scale_code == 255:
            assert (block["scale"], block["amax_at"]) == ("NaN", None)
        else:
            assert number(block["scale"]) == 2.0 ** (scale_code - 127)
            sizes = np.abs(expected[row, start:stop])
            sizes[np.isnan(sizes)] = -1
            assert block["amax_at"] == int(np.argmax(sizes))


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_numpy(name):
    q = drawn(name, (9, 80), seed=3)
    q.codes[2, 32:64] = 0
    q.scales[2, 1] = 100
    values = decoded(q.codes, q.scales, name, 1)
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    counts = q.look().counts()
    assert counts.elements == q.size
    assert counts.zeros == np.count_nonzero(narrow == 0)
    assert counts.nan == np.count_nonzero(np.isnan(narrow))
    assert counts.inf == np.count_nonzero(np.isinf(narrow))
    assert counts.nan_blocks == np.count_nonzero(q.scales == 255)
    blocks = [narrow[i, at : at + 32] for i in range(9) for at in (0, 32, 64)]
    assert counts.zero_blocks == sum(bool((block == 0).all()) for block in blocks) >= 1
    ends = q.scales[q.scales != 255]
    shown = [int(scale.code, 16) for scale in counts.scales]
    assert shown == [ends.min(), ends.max()]


@pytest.mark.parametrize("name", [*NAMES, "nvfp4", "mx6"])
def test_with_the_source_flushed_and_saturated_are_counted(name):
    x = sample(6, 64, seed=5)
    x[0, :5] = 50, 0, -0.0, np.float32(1e-30), 1e-3
    q = mxref.quantize(x, name)
    values = np.asarray(q, np.float64)
    flushed = (x != 0) & (values == 0)
    counts = q.look(x).counts()
    assert counts.flushed == np.count_nonzero(flushed) >= 1
    largest = {"nvfp4": 7, "mx6": 15}.get(name)
    magnitudes = q.codes & (q.format.sign_mask - 1 if name == "mx6" else 0x7)
    if name == "mxint8":
        is_top = np.abs(q.codes.view(np.int8).astype(int)) >= 127
    elif largest is not None:
        is_top = magnitudes == largest
    else:
        top = float(mxref.block_format(name).element.max)
        is_top = np.abs(q.codes.view(DTYPES[name]).astype(float)) == top
    assert counts.saturated == np.count_nonzero(is_top & (np.abs(x) > np.abs(values)))
    found = q.look(x, blocks=q.size).to_dict()["blocks"]
    total = sum(len(block["flushed"]) for block in found)
    assert total == sum(np.count_nonzero(flushed[i]) for i in range(6))


def test_marks_say_what_they_mean():
    codes = np.zeros(32, np.uint8)
    codes[:4] = 0x0, 0x7, 0x3, 0xF
    q = mxref.MXArray(codes, np.array([127], np.uint8), "mxfp4")
    text = str(q)
    assert re.search(r"value +0 +6\*\^ +1.5 +-6\^ ", text)
    assert "* amax of its block   ^ at the largest magnitude" in text
    source = np.zeros(32)
    source[:4] = 0.1, 6, 1.5, -9
    text = str(q.look(source))
    assert re.search(r"value +0! +6 +1.5 +-6\*\^ ", text)  # amax is the source's
    assert "^ saturated" in text
    assert "! flushed" in text
    assert "amax 9 at 3" in text


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (mxref.MXArray(np.zeros((3, 0), "u1"), np.zeros((3, 0), "u1"), "mxfp4"), "no elements"),
        (nvfp4.NVFP4Array(np.zeros((0, 16), "u1"), np.zeros((0, 1), "u1")), "no elements"),
        (bdr.BDRArray(np.zeros((), "u1"), np.float32(2), None, "scaled_fp8_e4m3"), "1 block of 1"),
    ],
)
def test_empty_and_tiny_arrays(array, says):
    assert says in repr(array)
    assert says in array._repr_html_()
    assert array.look().to_dict()["shape"] == list(array.shape)


def test_a_huge_array_is_counted_in_a_part_that_is_said():
    codes = np.broadcast_to(np.uint8(2), (1 << 14, 1 << 14))  # 2^28 elements in one byte
    scales = np.broadcast_to(np.uint8(127), (1 << 14, 1 << 9))
    q = mxref.MXArray.trusted(codes, scales, mxref.block_format("mxfp4"), 1, mxref.get_policy(None))
    repr(q[:1])  # compiled by then
    started = time.perf_counter()
    text = repr(q)
    assert time.perf_counter() - started < 2
    assert "counted   in [0:64, 0:16384] only, 1,048,576 elements" in text
    assert "8,388,608 blocks of 32" in text
    assert "8,388,606 more blocks" in text
    for axis, where in ((0, "[0:64, 0:16384]"), (1, "[0:64, 0:16384]")):
        turned = q if axis else q.T
        assert turned.look().counts(1 << 20).where == where
    assert q.look().counts(100).where == "[0:1, 0:96]"
    assert q.T.look().counts(100).where == "[0:32, 0:3]"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_labels_are_indices_of_the_array(axis):
    x = sample(70, 66, 40)
    q = mxref.quantize(x, "mxfp8_e4m3", axis=axis, pad=True)
    for block in q.look(blocks=7).to_dict()["blocks"]:
        codes = eval(f"q.codes{block['label']}")  # the label is an index as Python writes it
        assert codes.tolist()[:64] == block["codes"]


def test_what_cannot_be_looked_at_is_refused_with_advice():
    q = mxref.quantize(sample(2, 64), "mxfp4")
    with pytest.raises(ValueError, match=r"source has shape \(2, 32\), the array \(2, 64\)"):
        q.look(sample(2, 32))
    with pytest.raises(TypeError, match="source has dtype int64"):
        q.look(np.zeros((2, 64), np.int64))
    for wrong in (0, -1, True, 1.5):
        with pytest.raises(ValueError, match="blocks is how many blocks"):
            q.look(blocks=wrong)


@given(st.fractions(), st.integers(-140, 140))
@settings(deadline=None)
def test_a_number_without_a_tilde_is_exact(value, power):
    value *= Fraction(2) ** power
    for text in (brief(Number.finite(value)), full(Number.finite(value))):
        if text.startswith("~"):
            assert float(text[1:]) == pytest.approx(float(value), rel=0.06)
            continue
        factor, is_power, exponent = text.partition("2^")
        if is_power:
            factor = {"": "1", "-": "-1"}.get(factor, factor.rstrip("*"))
        shown = Fraction(factor) * Fraction(2) ** int(exponent or 0)
        assert shown == value
    assert len(brief(Number.finite(value))) <= 10


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16, np.dtype(">f4")])
def test_the_source_may_have_any_type_that_is_quantized(dtype):
    x = sample(2, 64).astype(dtype)
    x[0, 0], x[1, 3] = 1e-3, 40
    q = mxref.quantize(x, "mxfp4")
    counts = q.look(x).counts()
    values, wide = np.asarray(q, np.float64), x.astype(np.float64)
    assert counts.flushed == np.count_nonzero((wide != 0) & (values == 0)) >= 1
    assert "amax 40 at 3" in str(q.look(x, blocks=3))
