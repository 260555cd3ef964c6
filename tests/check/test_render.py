"""Each form of a report: everything is in it, nothing of a target acts in it, machines read it."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt  # rich brings it

from mxref import arrays, check
from mxref.check.maps import MapBuilder
from mxref.check.parts import (
    Finding,
    Gap,
    Inference,
    Mismatches,
    MismatchMap,
    Place,
    Trouble,
    Verdict,
    Witness,
)
from mxref.check.render import FORMATS, render
from mxref.check.render._words import answer, counts, meaning, percent, todo, visible
from mxref.check.render.bits import bit_rows, fields
from mxref.check.render.jsonlines import schema
from mxref.check.render.maps import lane_letters, lane_svg, map_letters, map_svg
from mxref.check.render.markdown import escaped
from mxref.check.render.run import Entry, Result, Run
from mxref.check.render.terminal import styled
from mxref.check.report import Report
from mxref.policy import get_policy

EVIL = (
    "<script>alert(1)</script><img src=x onerror=y>|`x`\x1b[31m\x00\x9b\ufffe\u202e@me *b* ]]> "
    "&amp; \ud800 \"'\n# h\r\n- [l](javascript:x) http://evil.example"
)
NONE = Mismatches(0, 0, 0, 0)
VALIDATOR = jsonschema.Draft202012Validator(schema())


@pytest.fixture(scope="module")
def defect():
    x = np.linspace(-3, 3, 64 * 32, dtype=np.float32).reshape(64, 32)
    q = arrays.quantize(x, "mxfp4")
    codes = np.where(q.codes & 7 < 2, q.codes & 8, q.codes).astype(np.uint8)
    return check.quantize(x, codes, q.scales, "mxfp4")


@pytest.fixture(scope="module")
def conforming():
    x = np.ones((2, 32), np.float32)
    q = arrays.quantize(x, "mxfp8_e5m2")
    return check.quantize(x, q.codes, q.scales, "mxfp8_e5m2")


def _finding(text, residual=7, explains=0.93):
    witness = Witness((3, 5), "element", "0x40200000", "2.5", "0x7f (2^0)", "0x5", "3", "0x4", "2")
    urls = ("https://github.com/a/b/issues/1", f"javascript:{text}")
    change = {"rounding": "nearest-away"}
    return Finding(
        "E1",
        f"title {text}",
        explains,
        residual,
        witness,
        urls,
        f"effect {text}",
        f"repair {text}",
        False,
        change,
        f"detail {text}",
        f"stimulus {text}",
    )


def _full(text="thing"):
    """A report with every part filled."""
    picture = MismatchMap((4, 64), ((0.0, 0.25), (1.0, 0.001)), (2, 32), (0,) * 31 + (9,))
    first = Witness((0, 1), "element", "0x3fc00000", "1.5", None, "0x3", "1.5", "0x2", "1.0")
    return Report(
        "quantize",
        "mxfp4",
        Verdict.UNEXPLAINED,
        None,
        None,
        (_finding(text),),
        Mismatches(1, 100, 8, 256, first, picture),
        (f"note {text}",),
        (Inference("scale rule", f"inferred {text}", "rceil", exact=False),),
        (Gap(f"gap {text}", ("E9",), f"needs {text}"),),
        (Place(f"place {text}", f"points {text}", f"next {text}", 0.5),),
        (f"profile {text}",),
        Trouble("nondeterministic", f"trouble {text}"),
    )


def _crashed(text):
    trouble = Trouble("crashed", f"signal 11: {text}")
    return Report("encode", "e4m3", Verdict.NOT_TESTABLE, None, None, (), NONE, trouble=trouble)


def _unclaimed():
    trouble = Trouble("not-claimed", "It does not claim this.")
    return Report("decode", "e4m3", Verdict.NOT_TESTABLE, None, None, (), NONE, trouble=trouble)


@pytest.fixture(scope="module")
def run(defect, conforming):
    reports = (conforming, defect, _full(), _full(EVIL), _crashed(EVIL), _unclaimed())
    entries = [Entry(r.op, r.format, r, seconds=0.25) for r in reports]
    entries.append(Entry("decode", "e5m2", None, f"not run: {EVIL}"))
    started = "2026-01-02T03:04:05+00:00"
    return Run(f"py:{EVIL}", f"title {EVIL}", tuple(entries), "ocp", (), started, 1.5)


PARTS = (
    "title thing",
    "effect thing",
    "repair thing",
    "detail thing",
    "stimulus thing",
    "note thing",
    "inferred thing",
    "gap thing",
    "needs thing",
    "place thing",
    "points thing",
    "next thing",
    "profile thing",
    "trouble thing",
    "rceil",
    "E9",
    "rounding=nearest-away",
    "https://github.com/a/b/issues/1",
)


# --- what all forms share ---------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_every_part_is_in_every_form(form):
    shown = render(Run.of(_full()), form)
    plain = " ".join(shown.replace("\\", "").replace("&#58;", ":").split())
    missing = [part for part in PARTS if part not in plain]
    if form in ("json", "jsonl"):  # there the policy change is an object
        missing.remove("rounding=nearest-away")
    assert missing == []
    if form not in ("json", "jsonl"):
        assert "is consistent with 93 % of the mismatches" in plain
        assert "is a defect" not in plain


@pytest.mark.parametrize("form", FORMATS)
def test_no_control_characters_and_valid_utf_8(run, form):
    shown = render(run, form)
    assert shown.encode("utf-8")
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown) is None
    assert "x1b[31m" in shown.replace("\\[", "[")


@pytest.mark.parametrize("form", FORMATS)
def test_any_text_can_be_rendered(form):
    @given(st.text(st.characters(exclude_categories=()), max_size=40))
    def renders(text):
        shown = render(Run.of(_full(text)), form)
        assert shown.encode("utf-8")
        if form == "junit":
            ET.fromstring(shown)
        if form == "jsonl":
            assert all(map(json.loads, shown.splitlines()))

    renders()


def test_visible():
    assert visible("a\x1bb\u202ec\ud800\U000e0001") == r"a\x1bb\u202ec\ud800\U000e0001"
    assert visible("  a \n\t b\xa0") == "a b"
    assert visible("θ ≤ 2^−3") == "θ ≤ 2^−3"


def test_percent_never_rounds_to_all_or_nothing():
    assert percent(0.0) == "0 %"
    assert percent(1e-9) == "less than 1 %"
    assert percent(1 - 1e-9) == "more than 99 %"


# --- bits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "name", "expected"),
    [
        (0x40200000, "float32", "0|10000000|01000000000000000000000"),
        (0xC000, "bfloat16", "1|10000000|0000000"),
        (0xC000, "float16", "1|10000|0000000000"),
        (0x3FF0000000000000, "float64", "0|01111111111|" + "0" * 52),
        (0xFE, "e4m3", "1|1111|110"),
        (0x7C, "e5m2", "0|11111|00"),
        (0x21, "e3m2", "1|000|01"),
        (0x21, "e2m3", "1|00|001"),
        (0x5, "e2m1", "0|10|1"),
        (0x81, "int8", "1|0|000001"),
        (0x7F, "e8m0", "01111111"),
        (0x25, "e2m1", "10|0|10|1"),  # two bits that FP4 does not have
    ],
)
def test_bits_are_cut_by_format(code, name, expected):
    assert "|".join(field.bits for field in fields(code, name)) == expected


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sixteen_bits_are_told_apart_by_their_value(dtype):
    values = np.array([0.3, -1.75, 3.0], getattr(ml_dtypes, dtype, None) or dtype)
    codes = np.array([0x2A, 0xBE, 0x43], np.uint8)  # 0xBE: not what -1.75 becomes
    report = check.encode(values, codes, "e4m3")
    assert report.mismatches.first is not None
    assert bit_rows(report.mismatches.first, "e4m3")[0].format == dtype


def test_rows_of_each_stage(defect):
    (element,) = (f.witness for f in defect.findings)
    assert [(row.role, row.format) for row in bit_rows(element, defect.format)] == [
        ("input", "float32"),
        ("scale", "e8m0"),
        ("got", "e2m1"),
        ("expected", "e2m1"),
    ]
    scale = Witness((0,), "scale", "0x40400000", "3.0", None, "0x77", "2^-8", "0x78", "2^-7")
    assert [row.format for row in bit_rows(scale, "mxfp8_e4m3/16")] == ["float32", "e8m0", "e8m0"]
    value = Witness((0,), "value", "0x5", "3.0", None, "0x40400000", "3.0", "0x3f800000", "1.0")
    assert [row.format for row in bit_rows(value, "e2m1")] == ["e2m1", "float32", "float32"]
    assert [row.format for row in bit_rows(value, "<b>")] == ["", "float32", "float32"]
    broken = replace(value, input_bits="what", got_bits=None)
    assert [row.role for row in bit_rows(broken, "e2m1")] == ["expected"]


# --- text and terminal ------------------------------------------------------------------------


def test_text_keeps_to_80_columns(run, defect):
    for entry in run.entries:
        if entry.report is not None and EVIL not in "".join(entry.report.notes):
            for line in str(entry.report).splitlines():
                assert len(line) <= 80 or "://" in line
    wide = replace(_crashed("x" * 300), asked=None)
    assert max(map(len, str(wide).splitlines())) <= 80
    carets = next(line for line in str(defect).splitlines() if set(line) == {" ", "^"})
    rows = [line for line in str(defect).splitlines() if re.match("    (got|expected) ", line)]
    got, due = (line.split()[1] for line in rows)
    at = [i for i, (a, b) in enumerate(zip(got, due, strict=True)) if a != b]
    assert [i - 14 for i, c in enumerate(carets) if c == "^"] == at


def test_the_diagnosis_comes_before_the_evidence():
    text = str(_full())
    places = [text.index(part) for part in ("cause", "to do", "witness", "Rules", "Notes")]
    assert places == sorted(places)


def test_the_terminal_says_the_same_in_colour(run):
    for entry in run.entries:
        if entry.report is not None:
            shown = styled(entry.report)
            assert shown.plain == str(entry.report)
            assert shown.spans


# --- pictures ---------------------------------------------------------------------------------


def test_letters_never_hide_a_mismatch():
    shares = [[0.0] * 128 for _ in range(64)]
    shares[63][127] = 1e-6
    picture = MismatchMap((64, 128), tuple(map(tuple, shares)), (1, 1))
    letters = map_letters(picture, 16)
    assert len(letters) == 16
    assert {len(line) for line in letters} == {64}
    assert letters[15][63] == "1"
    assert "".join(letters).strip(".") == "1"
    assert lane_letters((0, 1, 1000)) == (".1#",)


def test_svg_has_a_cell_for_each_mismatch():
    picture = MismatchMap((2, 4), ((0.0, 1.0, 0.5, 0.0), (0.0, 0.0, 0.0, 0.01)), (1, 1), (0, 3))
    root = ET.fromstring(map_svg(picture))
    titles = [title.text for title in root.iter("title")]
    assert titles == [
        "rows 0–0, columns 1–1: 100 % differ",
        "rows 0–0, columns 2–2: 50 % differ",
        "rows 1–1, columns 3–3: 1 % differ",
    ]
    lanes = ET.fromstring(lane_svg(picture.lanes))
    bars = [rect.get("height") for rect in lanes.iter("rect") if rect.get("class") == "bar"]
    assert bars == ["0", "72"]
    assert "lane 1: 3 mismatches" in [title.text for title in lanes.iter("title")]


SHAPES = [
    ((4, 64), -1),
    ((4, 70), 1),
    ((64, 4), 0),
    ((3, 40, 5), 1),
    ((300, 300), 0),
    ((33,), 0),
    ((1000,), 0),
    ((2, 3, 4, 96), -2),
]


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_the_map_counts_each_mismatch_where_it_is(shape, axis):
    rng = np.random.default_rng(7)
    wrong = rng.random(shape) < 0.1
    picture = _built(wrong, axis)
    rows = np.array(picture.rows)
    assert rows.shape[0] <= 64
    assert rows.shape[1] <= 128
    flat = wrong.reshape(-1, shape[-1])
    down, across = picture.cell
    for r, c in np.ndindex(rows.shape):
        cell = flat[r * down : (r + 1) * down, c * across : (c + 1) * across]
        assert rows[r, c] == pytest.approx(cell.mean(), abs=1e-5)
    along = np.moveaxis(wrong, axis, -1)
    lanes = [int(along[..., lane::32].sum()) for lane in range(32)]
    assert list(picture.lanes) == lanes


def _built(wrong, axis):
    """A map from pieces of three blocks, numbered as a check numbers them."""
    axis %= wrong.ndim
    along = np.moveaxis(wrong, axis, -1)
    pad = -along.shape[-1] % 32
    # What fills up a block is no mismatch of the data, whatever a caller hands in.
    padded = np.pad(along, [(0, 0)] * (along.ndim - 1) + [(0, pad)], constant_values=True)
    blocks = padded.reshape(-1, 32)
    builder = MapBuilder(wrong.shape, axis, 32)
    for start in range(0, len(blocks), 3):
        builder.add(start, blocks[start : start + 3])
    return builder.finish()


def test_the_map_of_a_problem():
    from mxref.check._problem import Problem
    from mxref.formats import ELEMENT_FORMATS, block_format

    x = np.zeros((5, 64), np.float32)
    problem = Problem(x, x.astype(np.uint8), np.zeros((5, 2), np.uint8), block_format("mxfp4"), 1)
    builder = MapBuilder.of(problem)
    builder.add(9, np.eye(1, 32, 31, dtype=bool))
    assert builder.finish().rows[4][63] == 1.0
    lone = Problem.of_elements(x.reshape(4, 80), x.astype(np.uint8), ELEMENT_FORMATS["e4m3"])
    builder = MapBuilder.of(lone)
    builder.add(2, np.eye(1, 32, 16, dtype=bool))  # element 80
    picture = builder.finish()
    assert picture.shape == (4, 80)
    assert picture.rows[1][0] == 1.0
    assert picture.lanes == ()


def test_the_map_keeps_few_and_almost_all_apart():
    builder = MapBuilder((64, 1 << 20), -1, 32)
    assert builder.finish() is None
    builder.add_elements(np.array([5]))
    builder.add(256, np.ones((256, 32), bool))  # the second cell
    builder.add(512, ~np.eye(256, 32, dtype=bool))
    first = builder.finish().rows[0]
    assert 0 < first[0] < 0.001
    assert first[1] == 1.0
    assert 0.99 < first[2] < 1.0
    assert first[3] == 0.0
    empty = MapBuilder((0, 32), -1, 32)
    empty.add(0, np.zeros((0, 32), bool))
    assert empty.finish() is None


# --- JSON -------------------------------------------------------------------------------------


def test_json_lines_follow_the_schema(run):
    lines = [json.loads(line) for line in render(run, "jsonl").splitlines()]
    for line in lines:
        VALIDATOR.validate(line)
    header, *checks, footer = lines
    assert header["event"] == "header"
    assert header["asked"] == "ocp"
    assert [c["event"] for c in checks] == ["check"] * len(run.entries)
    assert [c["result"] for c in checks] == [
        "passed", "failed", "failed", "failed", "error", "skipped", "error",
    ]  # fmt: skip
    assert checks[-1]["error"].startswith("not run: <script>")
    assert footer["verdicts"] == {
        "conforms": 1,
        "defect": 1,
        "unexplained": 2,
        "not-testable": 2,
        "not-run": 1,
    }
    assert footer["ok"] is False
    assert footer["seconds"] == 1.5


def test_the_schema_refuses_what_is_wrong(run):
    jsonschema.Draft202012Validator.check_schema(schema())
    header, line, *_, footer = map(json.loads, render(run, "jsonl").splitlines())
    for good, change in (
        (header, {"schema": 2}),
        (line, {"verdict": "fine"}),
        (line, {"event": "cheque"}),
        (line, {"trouble": {"kind": "bad luck", "text": ""}}),
        (line, {"verdict": None}),
        (footer, {"verdicts": {"fine": 1}}),
    ):
        assert VALIDATOR.is_valid(good)
        assert not VALIDATOR.is_valid(good | change)
    for key in set(line) - {"error"}:
        assert not VALIDATOR.is_valid({k: v for k, v in line.items() if k != key}), key


def test_the_page_about_the_format_names_every_field():
    page = (Path(__file__).parents[2] / "docs" / "report-format.md").read_text("utf-8")
    named = set(re.findall(r"`([a-z_]+)`", page))
    for name, part in schema()["$defs"].items():
        missing = set(part["properties"]) - named
        assert not missing, name


def test_one_document_holds_the_same(run):
    document = json.loads(render(run, "json"))
    lines = [json.loads(line) for line in render(run, "jsonl").splitlines()]
    assert [document["header"], *document["checks"], document["footer"]] == lines


def test_report_json_is_the_check_of_the_lines():
    report = _full()
    data = json.loads(report.to_json())
    line = json.loads(render(Run.of(report), "jsonl").splitlines()[1])
    assert data.items() <= line.items()
    assert data["mismatches"]["map"]["rows"] == [[0.0, 0.25], [1.0, 0.001]]
    assert data["findings"][0]["certain"] is False


# --- JUnit ------------------------------------------------------------------------------------


def test_junit(run):
    root = ET.fromstring(render(run, "junit").encode())
    (suite,) = root
    cases = suite.findall("testcase")
    assert [next((child.tag for child in case), None) for case in cases] == [
        "system-out", "failure", "failure", "failure", "error", "skipped", "error",
    ]  # fmt: skip
    for element in (root, suite):
        counts = {name: int(element.get(name)) for name in ("tests", "failures", "errors")}
        assert counts == {"tests": 7, "failures": 3, "errors": 2}
        assert element.get("skipped") == "1"
    assert cases[1].get("name") == "quantize mxfp4"
    failure = cases[1].find("failure")
    assert failure.get("type") == "defect"
    assert "E7" in failure.get("message")
    assert "    got       1|00|0" in failure.text
    assert cases[4].find("error").get("type") == "crashed"
    assert "<script>alert(1)</script>" in suite.get("name")
    assert suite.get("timestamp") == "2026-01-02T03:04:05"


def test_junit_marks_expected_defects_as_skipped(defect):
    entry = Entry(defect.op, defect.format, defect)
    for expected, result in ((("E7",), Result.SKIPPED), (("E1",), Result.FAILED)):
        run = Run("t", "t", (entry,), expected=expected)
        assert run.result(entry) is result
        assert run.ok is (result is Result.SKIPPED)
        assert run.exit_code == (0 if run.ok else 1)
        found = ET.fromstring(render(run, "junit").encode()).find("testsuite/testcase")[0]
        assert found.tag == ("skipped" if run.ok else "failure")
    both = Run("t", "t", (entry,), expected=("E7", "S1"))
    assert not both.ok


def test_exit_codes_of_runs(conforming):
    fine = Entry("encode", "e4m3", conforming)
    unclaimed = Entry("decode", "e4m3", _unclaimed())
    crashed = Entry("encode", "e4m3", _crashed(""))
    unexplained = Entry("quantize", "mxfp4", _full())
    assert Run("t", "t", (fine, unclaimed)).exit_code == 0
    assert Run("t", "t", (unclaimed,)).exit_code == 2
    assert Run("t", "t", (fine, crashed)).exit_code == 2
    assert Run("t", "t", (fine, Entry("encode", "e4m3", None, "gone"))).exit_code == 2
    assert Run("t", "t", (fine, unexplained)).exit_code == 1
    assert Run("t", "t", ()).exit_code == 2
    assert Run("t", "t", (fine,), expected=("E7",)).exit_code == 1


# --- Markdown ---------------------------------------------------------------------------------


def test_markdown_escapes_what_a_target_says(run):
    text = render(run, "md")
    page = _Page(MarkdownIt("commonmark").enable("table").render(text))
    assert {"table", "h2", "h3", "code"} < set(page.tags)
    assert not {"script", "img", "h1"} & set(page.tags)
    links = {value for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert links
    assert all(link.startswith("https://") for link in links)
    assert any(EVIL[:25] in found for found in page.text)
    assert "http://evil" not in text  # nor what GitHub would link
    assert "@me" not in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    overview = table[: 2 + len(run.entries)]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in overview} == {6}
    assert re.search(r"(?<!\\)`x", text) is None
    assert text.count("```") % 2 == 0


@pytest.mark.parametrize("text", ["- item", "1. item", "+ x", "= x", "# x", "> x", "2) x"])
def test_markdown_starts_no_block(text):
    html = MarkdownIt().render(escaped(text))
    assert html == f"<p>{text.replace('>', '&gt;')}</p>\n"


# --- HTML -------------------------------------------------------------------------------------


class _Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.attributes, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        self.text.append(data)


def test_html_is_one_file_that_asks_for_nothing(run):
    page = _Page(render(run, "html"))
    assert not {"script", "img", "link", "iframe", "object", "embed", "base"} & set(page.tags)
    assert not [a for a in page.attributes if a[1].startswith("on")]
    assert {a[1] for a in page.attributes if (a[2] or "").startswith("http")} == {"href"}
    links = [a[2] for a in page.attributes if a[1] == "href"]
    assert all(link.startswith(("#", "https://")) for link in links)
    ids = [a[2] for a in page.attributes if a[1] == "id"]
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert len(ids) == len(set(ids))
    assert "url(" not in "".join(page.text)
    assert "default-src 'none'" in [a[2] for a in page.attributes if a[1] == "content"][1]
    assert any("<script>alert(1)</script>" in text for text in page.text)


def test_html_shows_the_bits_that_differ(defect):
    shown = defect.to_html()
    row = r'class="bitrow (\w+)".*?<div class="boxes[^>]*>(.*?)</div>'
    rows = dict(re.findall(row, shown, re.DOTALL))
    assert rows.keys() == {"input", "scale", "got", "expected"}
    assert re.findall(r'class="f (.)"', rows["input"]) == ["s", "e", "m"]
    assert len(re.findall("<i>", rows["input"])) == 32
    assert re.findall("<i class=d>(.)</i>", rows["got"]) == ["0"]
    assert re.findall("<i class=d>(.)</i>", rows["expected"]) == ["1"]
    body = shown[shown.index("<main>") :]
    assert body.index("is a defect") < body.index("To do") < body.index("bitrow")


def test_html_draws_the_map():
    shown = _full().to_html()
    assert shown.count("<svg") == 2
    assert 'class="c5"' in shown
    assert "lane 31: 9 mismatches" in shown


def test_wrong_entries_come_first(run):
    shown = render(run, "html")
    assert shown.index('<section class="card" id="check-2"') < shown.index('id="check-6"')
    assert re.search(
        '<details class="card"><summary>[^/]*</span></summary><div id="check-6">', shown
    )


# --- sums and draws -------------------------------------------------------------------------------


def of_sums(verdict, wrong, asked=None, op="dot"):
    return Report(op, "mxfp4-mxfp4", verdict, None, asked, (), Mismatches(0, wrong, 0, 8))


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (of_sums(Verdict.CONFORMS, 0), "0 of 8 results differ from the exact sum"),
        (of_sums(Verdict.CONFORMS_AS, 0), "0 of 8 results lie outside what a sum in float32"),
        (of_sums(Verdict.DEFECT, 2, op="matmul"), "2 of 8 (25 %) results lie outside what"),
        (
            of_sums(Verdict.CONFORMS, 0, get_policy()),
            "0 of 8 results differ from the sum that is cl",
        ),
        (of_sums(Verdict.DEFECT, 8, get_policy()), "8 of 8 (100 %) results differ from the exact"),
        (of_sums(Verdict.CONFORMS, 0, op="stochastic"), "0 of 8 codes are neither neighbour"),
        (of_sums(Verdict.DEFECT, 4, op="encode"), "4 of 8 (50 %) elements, against ocp"),
        (
            of_sums(Verdict.DEFECT, 4, op="encode_stochastic"),
            "4 of 8 (50 %) elements, against ocp:rounding=stochastic-a",
        ),
    ],
)
def test_what_was_compared_is_said(report, said):
    assert counts(report).startswith(said)
    assert said[:20] in str(report)
    if report.op in ("dot", "matmul", "stochastic"):
        assert "ocp" not in counts(report)


def test_no_more_is_said_than_was_judged():
    draws = of_sums(Verdict.CONFORMS, 0, op="stochastic")
    assert meaning(draws) == "no statistical test failed"
    open_sum = of_sums(Verdict.CONFORMS_AS, 0)
    assert "bit" not in meaning(open_sum)
    assert answer(open_sum) == "yes: the standard leaves it open"
    refused = of_sums(Verdict.CONFORMS_AS, 0, get_policy(), "stochastic")
    assert not any("None" in step for step in todo(refused))
    assert "every bit" in meaning(of_sums(Verdict.CONFORMS, 0, op="encode"))
    for form in FORMATS:
        assert "every bit" not in render(Run.of(draws), form)


def test_known_random_bits_are_compared_with_a_stochastic_policy():
    x, random = np.full(4, 1.25, np.float32), np.arange(4, dtype=np.uint32) << 14
    report = check.encode_stochastic(x, random, np.uint8([2, 2, 2, 2]), "e2m1")
    assert report.op == "encode_stochastic"
    assert counts(report) == "2 of 4 (50 %) elements, against ocp:rounding=stochastic-a"
