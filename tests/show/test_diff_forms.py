"""`mxref.diff` as text, JSON, HTML and a picture; what it refuses, and with which words."""

import functools
import json
import re
import tracemalloc
from html.parser import HTMLParser

import numpy as np
import pytest

import mxref
from mxref.show._paint import STYLES
from mxref.show.diff import KINDS, diff

SHAPE = (6, 96)


def arrays(name="mxfp8_e4m3", policy="te-mxfp8:rounding=toward-zero"):
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    return mxref.quantize(x, name), mxref.quantize(x, name, policy=policy)


@functools.cache
def many():
    return list(_many())


@pytest.fixture(params=range(9))
def d(request):
    return many()[request.param]


def _many():
    rng = np.random.default_rng(1)
    yield diff(*arrays())
    yield diff(*arrays("mxfp4"), layout="gpt-oss")
    yield diff(*arrays("nvfp4", "torchao-single"))
    yield diff(*arrays("mx6", "bdr-paper:rounding=toward-zero"))
    codes = [rng.integers(0, 256, (3, 5, 7), np.uint8) for _ in "ab"]
    yield diff(*codes, "e5m2")
    for dtype in (np.float64, np.float16):
        yield diff(*(rng.standard_normal((40, 300)).astype(dtype) for _ in "ab"))
    yield diff(np.float32(1.5), np.float32(-1.5))
    yield diff(*(rng.integers(0, 256, 300_000, np.uint8) for _ in "ab"), "e8m0")


def test_text_is_plain_and_80_wide(d):
    text = str(d)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith("different: " + d.pair.name)
    assert "\x1b" not in text
    assert re.sub(r"\x1b\[[0-9;]*m", "", d.to_ansi()) == text
    assert "\x1b[1;31mdifferent" in d.to_ansi()
    for kind, count in d.kinds.items():
        assert (f"    {KINDS[kind]:<33}" in text) == bool(count)
    if d.first is not None:
        assert f"[{', '.join(map(str, d.first.index))}]" in text
        assert d.first.a.value in " ".join(text.split())
    plain = json.loads(json.dumps(d.to_dict()))
    assert plain["differing"] == d.count
    assert sum(n for row in plain["classes"]["a_by_b"] for n in row) == d.total


def test_numbers_are_never_cut(d):
    """A value in the list of the next ones is that of the place, to its last digit."""
    lines = str(d).splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("  then")), None)
    if start is None:
        return
    values = [v for p in list(d.places(5))[1:] for v in (p.a.value, p.b.value)]
    text = lines[start : start + 4]
    if any(" = " in line for line in text):
        shown = [v for line in text for v in re.findall(r" = (\S+)", line)]
        assert shown == values


def test_carets_point_at_the_bits():
    place = diff(np.uint8([0x7E]), np.uint8([0x75]), "e4m3").first
    lines = str(place).splitlines()
    above = next(i for i, line in enumerate(lines) if set(line) == {" ", "^"})
    a, b, marks = (line.ljust(40)[:40] for line in lines[above - 2 : above + 1])
    differing = [i for i in range(13, 40) if a[i] != b[i] and a[i] in "01" and b[i] in "01"]
    assert [i for i, mark in enumerate(marks) if mark == "^"] == differing[-3:]
    assert 0x7E ^ 0x75 == 0b1011  # three bits
    assert a[differing[-1]] == "0"


def test_equal():
    a, _ = arrays()
    d = diff(a, a.copy())
    assert (bool(d), d.equal, d.count, d.first, d.farthest, d.map) == (
        False,
        True,
        0,
        None,
        None,
        None,
    )
    assert str(d).startswith("equal: mxfp8_e4m3")
    assert "576 elements, every bit agrees" in str(d)
    assert "equal" in d._repr_html_()
    assert d.to_dict()["equal"]
    with pytest.raises(ValueError, match="nothing to draw"):
        d.plot("x.svg")
    assert list(d.places()) == []


def test_nothing_at_all():
    empty = np.zeros((0, 32), np.uint8)
    d = diff((empty, np.zeros((0, 1), np.uint8)), (empty, np.zeros((0, 1), np.uint8)), "mxfp4")
    assert d.equal
    assert "0 elements" in str(d)


class Collect(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.styles, self.titles = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.titles += tag == "title" or any(name == "title" for name, _ in attrs)
        self.styles += [value for name, value in attrs if name in {"style", "fill"}]

    def handle_startendtag(self, tag, attrs):
        del tag, attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_whole_and_tells_on_hover(d):
    html = d._repr_html_()
    found = Collect()
    found.feed(html)
    assert not found.open  # every tag is closed
    assert "<script" not in html
    assert "http" not in html.replace("http://www.w3.org", "")
    allowed = {c for style in STYLES.values() for c in re.findall(r"#[0-9a-f]{3,6}", style.css)}
    assert set(re.findall(r"#[0-9a-f]{6}\b", html)) <= allowed  # colours have one home
    if d.count > 0 and d.total <= 4096:
        assert html.count("<title>") == d.count  # each that differs tells its codes
        first = next(d.places(1))
        assert f"a: 0x{first.a.code:0{-(-d.pair.line.bits // 4)}x} = {first.a.bits}" in html


def test_html_of_large_arrays_is_bounded():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (1000, 1000), np.uint8)
    assert len(diff(a, a ^ 1, "e4m3")._repr_html_()) < 2e6


def test_marks_stay_on_the_lines():
    d = diff(*arrays())
    lines = d._lines()
    for mark in d._marks(lines):
        assert 0 <= mark.start <= mark.stop <= len(lines[mark.line])
        assert mark.style in STYLES


def test_plot(tmp_path):
    pytest.importorskip("matplotlib")
    d = diff(*arrays())
    d.plot(tmp_path / "a.svg")
    d.plot(tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    zeros = diff(np.float32([[0.0, 1]]), np.float32([[-0.0, 1]]))
    zeros.plot(tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="ends in"):
        d.plot(tmp_path / "a.jpg")


def test_at_any_place():
    a, b = arrays()
    d = diff(a, b)
    place = d.at(1, 40)
    assert (place.index, place.flat, place.block, place.position) == ((1, 40), 136, (1, 1), 8)
    assert d.at(136) == place == d.at(-5, -56)
    assert float(place.a.value) == a.dequantize()[1, 40]
    text = str(place)
    assert text.startswith("  at         [1, 40]: block [1, 1], position 8 in it")
    assert place.a.value in text
    assert repr(place) == text
    json.dumps(place.to_dict())
    assert "so       equal" in str(d.at(next(i for i in range(576) if d.at(i).kind is None)))
    for index in ((6, 0), (0,) * 3, (10**9,), (-7, 0)):
        with pytest.raises(IndexError, match="no element"):
            d.at(*index)
    with pytest.raises(ValueError, match="did you mean 'saturated'"):
        list(d.places(kind="saturate"))
    assert {p.kind for p in d.places(100, kind="ulp-1")} == {"ulp-1"}
    assert len(list(d.places(10**6, kind="ulp-1"))) == d.kinds["ulp-1"]


def test_memory_stays_small():
    """Besides masks of the size of the codes, a diff takes a bounded amount of memory."""
    a = np.zeros(1 << 22, np.uint8)
    diff(a[:9], a[:9] + 1, "e4m3")
    tracemalloc.start()
    diff(a, a + 1, "e4m3")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * a.size + (1 << 24)


# --- refusals ---------------------------------------------------------------------------------

F32 = np.zeros(SHAPE, np.float32)
U8 = np.zeros(SHAPE, np.uint8)
SCALES = np.zeros((6, 3), np.uint8)
Q = mxref.MXArray(U8, SCALES, "mxfp4")


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((U8, U8), TypeError, r"codes of which format\? Pass format='e4m3'"),
        ((U8, U8, "mxfp4"), ValueError, r"pass \(codes, scales\).*format='e2m1'"),
        ((U8, U8, "e4m4"), ValueError, "did you mean 'e4m3'"),
        ((U8 + 16, U8, "e2m1"), ValueError, "out of range: e2m1 codes are 0 to 0x0f"),
        ((U8, U8[1:], "e2m1"), ValueError, r"a has shape \(6, 96\), b has shape \(5, 96\)"),
        ((U8, U8.T, "e2m1"), ValueError, r"Compare a with b\.T"),
        ((U8, U8.reshape(-1), "e2m1"), ValueError, r"b\.reshape\(6, 96\)"),
        ((F32, F32.astype(np.float64)), TypeError, r"astype\(np\.float64\) keeps every value"),
        ((F32, U8), TypeError, "b has dtype uint8"),
        ((Q, U8), TypeError, r"as codes it needs scales, \(codes, scales\) with format='mxfp4'"),
        ((Q, mxref.MXArray(U8, SCALES, "mxfp8_e4m3")), ValueError, r"mxref\.diff\(a\.dequantize"),
        ((Q, Q, "mxint8"), ValueError, "say that they are in mxfp4"),
        ((Q, Q, None, 0), ValueError, "along axis 1 and knows it"),
        ((Q, Q[1:]), ValueError, "b has shape"),
        (((U8, SCALES), (U8, SCALES)), TypeError, "format='mxfp4'"),
        (((U8, SCALES, 1), (U8, SCALES), "mxfp4"), TypeError, r"mxfp4 is \(codes, scales\)"),
        (((U8, SCALES[:, :2]), (U8, SCALES), "mxfp4"), ValueError, "scales have shape"),
        ((U8, U8, "e2m1", 0), ValueError, "an axis and a block size go with blocks"),
        (("a.npy", "b.npy"), TypeError, "mxref.MXArray.load"),
        (([1, 2], [1, 3]), TypeError, "a is a list of integers: if they are codes"),
        ((U8, U8, "e2m4"), ValueError, r"unknown format 'e2m4'.*mxfp4.*mx6"),
        ((U8, U8, "mx6"), ValueError, "mx6 has scales"),
    ],
)
def test_refusals(arguments, error, text):
    with pytest.raises(error, match=text):
        diff(*arguments)


def test_other_axes_are_refused():
    a = mxref.MXArray(np.zeros((32, 32), np.uint8), np.zeros((32, 1), np.uint8), "mxfp4")
    b = mxref.MXArray(np.zeros((32, 32), np.uint8), np.zeros((1, 32), np.uint8), "mxfp4", 0)
    with pytest.raises(ValueError, match="share their scales differently"):
        diff(a, b)
    c = mxref.MXArray(np.zeros((32, 32), np.uint8), np.zeros((32, 2), np.uint8), "mxfp4/16")
    with pytest.raises(ValueError, match="a has blocks of 32, b of 16"):
        diff(a, c)


def test_the_list_says_what_the_table_says():
    """Kinds by their words, not by the keys of `kinds`; and a heading without scales has none."""
    a = np.array([0x7E, 0x01, 0x00, 0x08, 0x10], np.uint8)
    b = np.array([0x7F, 0x02, 0x80, 0x20, 0x11], np.uint8)
    text = str(diff(a, b, "e4m3"))
    listed = text.split("  then ")[1].split("\n\n", maxsplit=1)[0].splitlines()
    words = ["1 ulp apart", "zeros of opposite sign", "more than 1 ulp apart", "1 ulp apart"]
    assert [line.rsplit("  ", 1)[-1] for line in listed] == words
    assert "\n  codes\n" in text
    assert "1 time\n" in text
    assert "1 times" not in text
