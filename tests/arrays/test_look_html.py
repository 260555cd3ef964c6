"""What a notebook shows of an array: every element's bits and value, and its marks."""

from __future__ import annotations

import html
import math

import ml_dtypes
import numpy as np
import pytest
from look_reading import DTYPES, Reader, decoded, number

import mxref
from mxref._styles import STYLES
from mxref.show import _paint

NAMES = [*DTYPES, "mxint8"]
WIDTHS = {"mxfp4": 4, "mxfp6_e3m2": 6, "mxfp6_e2m3": 6}
FIELDS = {
    "mxfp4": (1, 2, 1),
    "mxfp6_e3m2": (1, 3, 2),
    "mxfp6_e2m3": (1, 2, 3),
    "mxfp8_e4m3": (1, 4, 3),
    "mxfp8_e5m2": (1, 5, 2),
    "mxint8": (1, 1, 6),
}


def drawn(name, shape=(3, 64), seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 1 << WIDTHS.get(name, 8), shape, np.uint8)
    scales = rng.integers(0, 255, (*shape[:-1], shape[-1] // 32), np.uint8)
    scales.flat[1] = 255
    return mxref.MXArray(codes, scales, name)


def same(a, b):
    return a == b or (math.isnan(a) and math.isnan(b))


@pytest.mark.parametrize("name", NAMES)
def test_each_element_says_its_bits_and_its_value(name):
    q = drawn(name)
    values = decoded(q.codes, q.scales, name, 1)
    reader = Reader(q._repr_html_())
    rows = [row for row in reader.rows if row]
    assert len(rows) == q.scales.size
    assert [element.index for element in reader.elements] == list(np.ndindex(q.shape))
    for element in reader.elements:
        assert element.code == q.codes[element.index]
        assert tuple(map(len, element.bits.split("|"))) == FIELDS[name]
        assert int(element.bits.replace("|", ""), 2) == element.code
        value = number(element.value)
        assert not element.value.startswith("~")
        assert same(value, values[element.index])
        shown = element.text[: len(element.text) - (1 if WIDTHS.get(name) == 4 else 2)]
        shown = number(shown.removesuffix("\u25b2"))
        assert same(shown, value) or shown == pytest.approx(value, rel=0.06)


@pytest.mark.parametrize("name", NAMES)
def test_amax_is_marked_where_numpy_finds_it(name):
    q = drawn(name, seed=4)
    values = decoded(q.codes, q.scales, name, 1)
    for row in Reader(q._repr_html_()).rows:
        if not row:
            continue
        sizes = np.array([abs(values[element.index]) for element in row])
        marked = [i for i, e in enumerate(row) if e.rest.endswith("amax of its block")]
        underlined = [i for i, e in enumerate(row) if STYLES["amax"].css in e.styles]
        assert marked == underlined
        assert marked == ([] if np.isnan(sizes).all() else [int(np.nanargmax(sizes))])


def test_flushed_and_saturated_are_marked_by_more_than_a_colour():
    x = np.random.default_rng(1).standard_normal((4, 32)).astype(np.float32)
    x[0, 0], x[1, 1], x[2, 2] = 60, 0, -0.001
    q = mxref.quantize(x, "mxfp4")
    values = decoded(q.codes, q.scales, "mxfp4", 1)
    flushed = (x != 0) & (values == 0)
    saturated = (q.codes & 7 == 7) & (np.abs(x) > np.abs(values))
    assert flushed.any()
    assert saturated.any()
    for element in Reader(q.look(x)._repr_html_()).elements:
        assert ("flushed to zero" in element.rest) == flushed[element.index]
        assert ("\u2205" in element.text) == flushed[element.index]
        assert (STYLES["flushed"].css in element.styles) == flushed[element.index]
        assert ("; saturated" in element.rest) == saturated[element.index]
        assert ("\u25b2" in element.text) == saturated[element.index]
        given = element.rest.partition("given ")[2].partition(";")[0]
        assert float(given.removeprefix("~")) == pytest.approx(float(x[element.index]), rel=1e-8)
    plain = Reader(q._repr_html_())
    for element in plain.elements:
        assert ("\u25b2" in element.text) == (q.codes[element.index] & 7 == 7)
    assert "at the largest magnitude, 6" in plain.text


def test_long_arrays_are_cut_in_the_middle():
    x = np.random.default_rng(2).standard_normal((100, 96)).astype(np.float32)
    q = mxref.quantize(x, "mxfp8_e4m3")
    given = q._repr_html_()
    reader = Reader(given)
    rows = [row for row in reader.rows if row]
    assert len(rows) == 16
    assert "284 blocks left out" in reader.text
    assert rows[0][0].index == (0, 0)
    assert rows[7][0].index == (2, 32)
    assert rows[8][0].index == (97, 32)
    assert rows[-1][-1].index == (99, 95)
    assert len(given.encode()) < 100_000
    assert len(q.look(x)._repr_html_().encode()) < 100_000
    few = Reader(q.look(blocks=3)._repr_html_())
    assert [row[0].index for row in few.rows if row] == [(0, 0), (0, 32), (99, 64)]


@pytest.mark.parametrize("name", ["mxint8", "nvfp4", "mx9", "vsq4", "scaled_fp8_e5m2"])
def test_the_largest_views_stay_small(name):
    x = np.random.default_rng(7).standard_normal((64, 4096)).astype(np.float32)
    x *= np.float32(2.0) ** np.random.default_rng(8).integers(-90, 90, x.shape).astype(np.float32)
    q = mxref.quantize(x, name)
    assert len(q.look(x)._repr_html_().encode()) < 140_000
    assert len(q._repr_html_().encode()) < 100_000


def test_nvfp4_shows_the_tensor_scale_and_scales_as_numbers():
    x = np.random.default_rng(3).standard_normal((2, 32)).astype(np.float32)
    q = mxref.quantize(x, "nvfp4")
    reader = Reader(q._repr_html_())
    word = int(np.float32(q.global_scale).view(np.uint32))
    assert f"float32 0x{word:08x}" in reader.text
    scales = q.scales.view(ml_dtypes.float8_e4m3fn).astype(np.float64)
    elements = q.codes.view(ml_dtypes.float4_e2m1fn).astype(np.float64)
    exact = elements * np.repeat(scales, 16, 1) * np.float64(q.global_scale)
    rows = [row for row in reader.rows if row]
    assert [len(row) for row in rows] == [16] * 4
    for element in reader.elements:
        assert number(element.value) == pytest.approx(exact[element.index], rel=1e-6)
    for scale, code in zip(scales.flat, q.scales.flat, strict=True):
        assert f"{scale:g}" in reader.words
        assert f"0x{code:02x}" in reader.words


@pytest.mark.parametrize("name", ["mx9", "mx4", "vsq4", "bfp16", "scaled_fp8_e4m3"])
def test_bdr_shows_values_and_subscales(name):
    x = np.random.default_rng(3).standard_normal((2, 1024)).astype(np.float32)
    q = mxref.quantize(x, name)
    reader = Reader(q._repr_html_())
    values = np.asarray(q)
    assert reader.elements
    for element in reader.elements:
        assert element.code == q.codes[element.index]
        assert number(element.value) == pytest.approx(float(values[element.index]), rel=1e-7)
    if q.subscales is not None:
        first = " ".join(map(str, q.subscales[0, : min(4, q.format.k1 // q.format.k2)]))
        assert f"sub {first}" in reader.text


def test_it_is_plain_html_with_styles_in_place():
    q = mxref.quantize(np.ones((2, 32), np.float32), "mxfp4", policy="ocp:rounding=nearest-away")
    given = q._repr_html_()
    reader = Reader(given)
    assert {tag for tag, _ in reader.tags} <= {
        *("div", "span", "b", "br", "small"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    for _, attributes in reader.tags:
        assert set(attributes) <= {"style", "title", "class", "scope", "colspan"}
        assert "url(" not in attributes.get("style", "")
    assert {a["scope"] for t, a in reader.tags if t == "th"} == {"row", "col"}
    assert html.escape(repr(q).splitlines()[0]) in given


def test_the_styles_are_those_of_every_view():
    assert _paint.STYLES is STYLES
