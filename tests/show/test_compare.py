"""`mxref.compare`: its numbers against other ways to get them, and its forms."""

import json
import math
import re

import ml_dtypes
import numpy as np
import pytest

import mxref
from mxref.quality import qsnr
from mxref.show.compare import compare
from mxref.show.compare._plot import spread

FEW = ("mxfp4", "mxint8", "mx6", "nvfp4", "scaled_fp8_e4m3")


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(5).standard_normal((48, 96)).astype(np.float32)


@pytest.fixture(scope="module")
def table(x):
    return compare(x, FEW)


def test_rows_against_numpy(x, table):
    """Each number of a row by plain NumPy from the codes of the public quantizer."""
    row = next(r for r in table if (r.format, r.rule) == ("mxfp4", "floor"))
    q = mxref.quantize(x, "mxfp4")
    y = q.dequantize()
    each = qsnr(x, y, axis=1)
    assert row.qsnr.value == pytest.approx(qsnr(x, y), abs=1e-9)
    assert row.qsnr_of_vectors.value == pytest.approx(each.mean(), abs=1e-9)
    assert row.least == pytest.approx(each.min(), abs=1e-9)
    assert row.max_error == np.abs(x.astype(float) - y).max()
    assert row.flushed == np.count_nonzero((x != 0) & (y == 0))
    limits = np.repeat(6.0 * 2.0 ** (q.scales.astype(float) - 127), 32, axis=1)
    assert row.saturated == np.count_nonzero(np.abs(x) > limits) > 0
    assert row.bits_per_element == 4.25
    assert row.is_default
    assert row.qsnr.low < row.qsnr.value < row.qsnr.high
    assert row.qsnr_of_vectors.vectors == table.vectors == 48


def test_one_best_rule_a_format(table):
    for name in FEW:
        rows = [r for r in table if r.format == name]
        best = [r for r in rows if r.is_best]
        assert len(best) == 1
        assert best[0].qsnr.value == max(r.qsnr.value for r in rows)
        assert table.best(name) == best[0]
        assert sum(r.is_default for r in rows) == 1 or name == "nvfp4"
    with pytest.raises(ValueError, match="'mx9' was not compared"):
        table.best("mx9")


def test_rules_are_those_of_policies(x):
    table = compare(x, "mxfp4", ["rceil", "ocp:rounding=toward-zero"])
    for row in table:
        q = mxref.quantize(x, "mxfp4", policy=row.policy)
        assert row.qsnr.value == pytest.approx(qsnr(x, q.dequantize()), abs=1e-9)
    assert {row.rule for row in table} == {"rceil", "ocp:rounding=toward-zero"}


def test_nothing_saturates_under_rceil_but_under_floor(x):
    rows = {r.rule: r for r in compare(x, "mxfp8_e4m3", ["floor", "rceil"])}
    assert rows["floor"].saturated > 0
    assert rows["rceil"].saturated == 0


@pytest.mark.parametrize("axis", [0, 1])
def test_axis(x, axis):
    square = x[:, :48] * np.linspace(1, 100, 48)
    row = compare(square, "mxint8", "floor", axis).rows[0]
    q = mxref.quantize(square, "mxint8", axis, pad=True)
    assert row.qsnr.value == pytest.approx(qsnr(square, q.dequantize()), abs=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16])
def test_types(x, dtype):
    table = compare(x.astype(dtype), FEW, ["floor", "te-1d", "bdr-paper"])
    assert all(10 < row.qsnr.value < 50 for row in table)
    assert table.dtype == np.dtype(dtype).name


def test_lengths_that_are_no_multiple_of_a_block():
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    table = compare(x, ["mxfp4", "mx9", "nvfp4"])
    assert all(math.isfinite(row.qsnr.value) for row in table)
    assert {row.rule for row in table if row.format == "nvfp4"}.isdisjoint({"te-2d"})


def test_few_rows_are_cut_into_vectors():
    x = np.random.default_rng(0).standard_normal((2, 4096)).astype(np.float32)
    table = compare(x, "mxfp4")
    assert table.vectors >= 32
    assert table.vectors * table.length == x.size
    assert table.rows[0].qsnr.half_width < 1
    single = compare(x[:1, :32], "mxfp4", "floor").rows[0]
    assert math.isnan(single.qsnr.half_width)
    assert single.qsnr.value == single.qsnr_of_vectors.value


def test_zeros_and_numbers_that_are_none():
    table = compare(np.zeros((4, 64), np.float32), ["mxfp4", "mx9"], ["floor", "bdr-paper"])
    assert all(row.qsnr.value == math.inf for row in table)
    assert all(row.flushed == row.saturated == row.lost == 0 for row in table)
    assert "inf" in str(table)
    json.loads(table.to_json())
    x = np.ones((4, 64), np.float32)
    x[0, 0], x[1, 1] = np.nan, np.inf
    table = compare(x, "mxfp4", "floor")
    assert table.notes == ("2 elements are NaN or infinite; zeros stand in for them.",)
    assert table.rows[0].lost == 0


def test_large_arrays_are_sampled_and_say_so():
    x = np.random.default_rng(0).standard_normal((512, 256)).astype(np.float32)
    whole = compare(x, "mxfp4", "floor", limit=None)
    part = compare(x, "mxfp4", "floor", limit=1 << 14)
    assert whole.elements == x.size
    assert part.elements == 1 << 14
    assert f"16384 of {x.size} elements" in part.notes[0]
    assert not whole.notes
    assert part.rows[0].qsnr.value == pytest.approx(whole.rows[0].qsnr.value, abs=0.3)
    long = compare(x.reshape(1, -1), "mxfp4", "floor", limit=1 << 14)
    assert long.elements == 1 << 14


def test_profiles_go_with_their_formats():
    table = compare(np.ones((2, 32)), ["mx9", "vsq4"], ["bdr-paper", "vs-quant", "quark-torch"])
    found = {(row.format, row.rule) for row in table}
    assert found == {
        ("mx9", "bdr-paper"),
        ("mx9", "quark-torch"),
        ("vsq4", "bdr-paper"),
        ("vsq4", "vs-quant"),
    }


def test_progress(x):
    seen = []
    compare(x, ["mxfp4", "mx6"], ["floor", "bdr-paper"], progress=lambda *a: seen.append(a))
    assert seen == [(0.0, "mxfp4 floor"), (0.5, "mx6 bdr-paper")]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((np.ones(3, int),), TypeError, "float32"),
        (([],), ValueError, "at least one element"),
        ((np.ones((0, 32), np.float32),), ValueError, "at least one element"),
        ((np.ones(32), "mxfp5"), ValueError, "did you mean 'mxfp4'"),
        ((np.ones(32), []), ValueError, "no format to compare"),
        ((np.ones(32), "mxfp4", "ceiling"), ValueError, "'ceil'"),
        ((np.ones(32), "mx9", "rceil"), ValueError, "unknown rule"),
        ((np.ones(32), None, None, 3), ValueError, "axis"),
    ],
)
def test_refusals(arguments, error, text):
    with pytest.raises(error, match=text):
        compare(*arguments)
    with pytest.raises(ValueError, match="limit is 5"):
        compare(np.ones(32), "mxfp4", limit=5)


def test_text_is_plain_and_80_wide(table):
    for text in (str(table), table.to_text(all_rules=True)):
        assert max(map(len, text.splitlines())) <= 80
        assert "\x1b" not in text
    assert str(table).count("\nmxfp4 ") == 2  # the best rule and the default
    full = table.to_text(all_rules=True)
    rows = [line for line in full.splitlines() if re.match(r"[* ] (mx|nv|scaled)", line)]
    assert len(rows) == len(table)
    assert sum(line.startswith("*") for line in rows) == len(FEW)


def test_bars_grow_with_decibels(table):
    bars = {line.split()[0]: line.count("█") for line in str(table).splitlines() if "█" in line}
    assert bars["mxint8"] == max(bars.values()) == 6
    assert bars["mxfp4"] < bars["scaled_fp8_e4m3"]


def test_rich_has_colours_and_the_same_words(table):
    found = table.__rich__()
    assert found.plain == str(table)
    assert found.spans
    best = [line for line in table.to_ansi().splitlines() if line.startswith("\x1b[32m")]
    assert len(best) == len(FEW)  # the best of each format is green


def test_json_markdown_and_html(table):
    document = json.loads(table.to_json())
    assert len(document["rows"]) == len(table)
    assert document["rows"][0]["qsnr"]["value"] == table.rows[0].qsnr.value
    markdown = table.to_markdown()
    assert markdown.count("\n| ") == len(table) + 1
    assert len({line.count("|") for line in markdown.splitlines() if line.startswith("|")}) == 1
    html = table._repr_html_()
    assert html.count("<tr") == len(table) + 1
    assert "<script" not in compare(np.ones((1, 32)), "mxfp4", name="<script>")._repr_html_()


def test_labels_are_spread():
    assert spread([1.0, 2.0], 0.5) == [1.0, 2.0]
    moved = spread([0.0, 0.0, 0.1, 5.0], 1.0)
    assert np.diff(moved).min() >= 1.0 - 1e-12
    assert moved[-1] == 5.0


def test_plots(table, tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("a.svg", "b.svg", "c.png"):
        table.plot(tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert b"<dc:date>" not in (tmp_path / "a.svg").read_bytes()


def test_plot_refusals(table, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"ends in \.svg"):
        table.plot(tmp_path / "a.jpg")
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mxref\[plot\]'"):
        table.plot(tmp_path / "a.svg")
