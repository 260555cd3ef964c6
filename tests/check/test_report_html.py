"""A report in a notebook: the page's parts with styles in place, and nothing that acts."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from mxref import check
from mxref import quantize as convert
from mxref._shown import Shown
from mxref.check.parts import Finding, MismatchMap, Place, Trouble, Verdict, Witness
from mxref.check.render.bits import bit_rows
from mxref.check.render.notebook import fragment, with_styles

EVIL = "<script>alert(1)</script><img src=x onerror=y>&\"'\x1b[31m"
TAGS = {
    *("div", "p", "b", "h3", "ul", "li", "dl", "dt", "dd", "span", "code", "i", "a", "br", "pre"),
    *("table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "details", "summary"),
    *("svg", "rect", "path", "title", "text", "g"),
}
ATTRIBUTES = {
    *("style", "title", "href", "rel", "role", "aria-label", "viewbox", "width", "height", "open"),
    *("x", "y", "d", "shape-rendering"),
}
MARKED = "text-decoration:underline"


class Reader(HTMLParser):
    def __init__(self, given):
        super().__init__()
        self.tags, self.words, self.bits, self.marked = [], [], [], []
        self._is_bit = False
        self.feed(given)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._is_bit = tag == "i"

    def handle_endtag(self, tag):
        self._is_bit = self._is_bit and tag != "i"

    def handle_data(self, data):
        self.words.append(data)
        if self._is_bit:
            self.marked.append(MARKED in self.tags[-1][1].get("style", ""))
            self.bits.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)


@pytest.fixture(scope="module")
def defect(x):
    q = convert(x, "mxfp4")
    codes = np.where(q.codes & 7 < 2, q.codes & 8, q.codes).astype(np.uint8)
    return check.quantize(x, codes, q.scales, "mxfp4")


@pytest.fixture(scope="module")
def odd(x):
    q = convert(x, "mxfp4")
    codes = q.codes.copy()
    codes[3:20, 7::32] ^= 3
    return check.quantize(x, codes, q.scales, "mxfp4")


@pytest.fixture(scope="module")
def right(x):
    q = convert(x, "mxfp8_e4m3")
    return check.quantize(x, q.codes, q.scales, "mxfp8_e4m3")


def hostile(**parts):
    witness = Witness((0,), EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL)
    finding = Finding(
        id=EVIL,
        title=EVIL,
        explains=1,
        residual=0,
        effect=EVIL,
        repair=EVIL,
        legal=False,
        witness=witness,
        seen_in=(EVIL, "javascript:1"),
    )
    mismatch_map = MismatchMap((2, 2), ((0.0, 1.0), (0.5, 0.0)), (1, 1), (1, 2))
    given = {
        "findings": (finding, finding),
        "notes": (EVIL,),
        "places": (Place(EVIL, EVIL, EVIL),),
        "profiles": (EVIL,),
        "trouble": Trouble(EVIL, EVIL),
        **parts,
    }
    differs = check.Mismatches(0, 1, 1, 4, witness, mismatch_map)
    return check.Report(EVIL, EVIL, Verdict.DEFECT, None, None, mismatches=differs, **given)


def test_it_says_what_the_text_says(defect, odd, right):
    for report in (defect, odd, right):
        reader = Reader(report._repr_html_())
        assert str(report.verdict).capitalize() in reader.text
        for finding in report.findings:
            assert f"{finding.id} is a defect" in reader.text
            assert finding.title in reader.text
            assert finding.repair in reader.text
        for gap in report.gaps:
            assert gap.what in reader.text
        for note in report.notes:
            assert note in reader.text
        for place in report.places:
            assert place.what in reader.text


def test_the_bits_are_those_of_the_witness(defect, odd):
    for report, shown in ((defect, defect.findings[0].witness), (odd, odd.mismatches.first)):
        rows = bit_rows(shown, report.format)
        reader = Reader(report._repr_html_())
        assert "".join(reader.bits[: sum(len(row.bits) for row in rows)]) == "".join(
            row.bits for row in rows
        )
        got, due = (next(r.bits for r in rows if r.role == role) for role in ("got", "expected"))
        differing = [a != b for a, b in zip(got, due, strict=True)]
        assert any(differing)
        first = sum(len(row.bits) for row in rows) - 2 * len(got)
        assert reader.marked[first : first + 2 * len(got)] == differing * 2
        assert not any(reader.marked[:first])


def test_the_map_shows_every_mismatch(x, defect, odd):
    for report, is_one_path in ((defect, True), (odd, False)):
        given = report._repr_html_()
        svg = re.search(r"<svg[^>]*Mismatch map.*?</svg>", given, re.DOTALL)[0]
        side, height = (
            int(re.search(rf'{of}="(\d+)"', svg)[1]) // 64 for of in ("width", "height")
        )
        cells = set()
        if is_one_path:
            steps = re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)h-(\d+)z", svg)
            assert svg.count("<path") == 1
        else:
            steps = re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', svg)
            assert "<path" not in svg
            assert svg.count("differ</title>") == len(steps)
        for across, down, wide, *_ in steps:
            row = int(down) // height
            first, count = int(across) // side, int(wide) // side
            cells |= {(row, first + i) for i in range(count)}
        shares = np.array(report.mismatches.map.rows)
        assert shares.shape == x.shape
        assert cells == {tuple(map(int, at)) for at in np.argwhere(shares)}
        assert len(cells) == report.mismatches.elements


def test_it_is_made_for_a_notebook(defect, odd, right):
    for report in (defect, odd, right, hostile()):
        given = report._repr_html_()
        reader = Reader(given)
        assert {tag for tag, _ in reader.tags} <= TAGS
        assert given.startswith('<div class="mxref"')
        for _, attributes in reader.tags[1:]:
            assert set(attributes) <= ATTRIBUTES
            assert "var(" not in attributes.get("style", "")
            assert "url(" not in attributes.get("style", "")
        assert len(given.encode()) < 100_000


def test_what_a_target_says_stays_text():
    given = fragment(hostile())
    assert "<script" not in given
    assert "<img" not in given
    assert "\x1b" not in given
    reader = Reader(given)
    assert "<script>alert(1)</script>" in reader.text
    assert not any(tag == "a" for tag, _ in reader.tags)
    assert not any(key.startswith("on") for _, attributes in reader.tags for key in attributes)


def test_classes_become_styles_and_text_stays_as_it_is():
    given = "<p class='cause good'>a &lt;b&gt; &amp; &#8230; 1 < 2<br>é</p><svg viewBox='0 0 1 1'/>"
    made = with_styles([given])
    assert "class=" not in made
    assert "border-color:#" in made
    assert "a &lt;b&gt; &amp; &#8230; 1 &lt; 2<br>é</p>" in made
    assert '<svg viewBox="0 0 1 1" style=' in made
    assert made.endswith("/>")


def test_the_page_and_the_notebook_share_their_words(defect):
    page, book = (Reader(given).text for given in (defect.to_html(), defect._repr_html_()))
    for part in ("Evidence for E7", "Differs", "sign exponent mantissa differs", "Seen in"):
        assert part in page
        assert part in book


@pytest.mark.parametrize("of", ["report", "identification", "differences"])
def test_results_show_their_text_at_a_prompt(of, x, right):
    if of == "report":
        found = right
    elif of == "identification":
        q = convert(x, "mxfp4")
        found = check.identify_data("quantize", x, q.codes, q.scales, format="mxfp4")
    else:
        from mxref.differences import compare

        found = compare("ocp", "te-mxfp8", ["mxfp4", "mxfp6_e2m3"])
    assert isinstance(found, Shown)
    assert repr(found) == str(found)
    assert len(str(found).splitlines()) >= 2
    assert all(len(line) <= 80 for line in str(found).splitlines())
    shown = Reader(found._repr_html_())
    assert not {"script", "style"} & {tag for tag, _ in shown.tags}
    assert found == found  # noqa: PLR0124  # a data class still


def test_parts_with_thousands_of_numbers_stay_short(odd):
    assert len(repr(odd.mismatches.map)) < 1000
    assert len(odd.mismatches.map.rows) == 64
