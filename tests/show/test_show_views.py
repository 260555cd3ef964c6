"""Views of codes and formats: 80 columns, colours that change no text, marks that hit, HTML."""

import html.parser
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mxref._styles import STYLES
from mxref.show import show
from mxref.show._code_view import FIELD_STYLES
from mxref.show._find import FORMAT_NAMES
from mxref.show._paint import Mark, ansi, markup, wants_colour
from mxref.show.numberline import numberline

MORE = ("mxfp4/16", "bdr:m=5,k1=16,k2=4,d2=2", "bdr:m=7,k1=tensor,scale=float32", "mx9:k1=32")
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def views_of(name):
    """Every view that a format has: itself, all of its codes alone and together, its line."""
    whole = show(name)
    yield whole
    codes = getattr(whole, "codes", ())
    yield from codes
    if codes:
        yield show(name, range(len(codes)))
        yield numberline(name)


@pytest.mark.parametrize("name", [*FORMAT_NAMES, *MORE])
def test_every_view_is_plain_text_of_80_columns(name):
    for view in views_of(name):
        text, given = str(view), view._lines()
        lines = text.splitlines()
        assert text.isascii()
        assert max(map(len, lines)) <= 80, max(lines, key=len)
        assert not any(line.endswith(" ") for line in lines)
        marks = list(view._marks(given))
        assert ESCAPE.sub("", ansi(given, marks)) == text
        for mark in marks:
            assert mark.style in STYLES
            assert 0 <= mark.start < mark.stop <= len(given[mark.line])
        json.dumps(view.to_dict(), allow_nan=False)
    assert ESCAPE.sub("", view.to_ansi()) == repr(view) == text  # no terminal here


@pytest.mark.parametrize("name", ["e4m3", "e5m2", "e3m2", "e2m1", "int8", "e8m0", "ue4m3", "mx6"])
def test_marks_cover_the_bits_that_they_name(name):
    for view in show(name).codes:
        lines = view._lines()
        marked = [
            (lines[m.line][m.start : m.stop], m.style)
            for m in view._marks(lines)
            if m.line == 1 and m.style != "label"
        ]
        fields = [(bits, FIELD_STYLES[name]) for name, bits in view.fields]
        names = [(name, FIELD_STYLES[name]) for name, _ in view.fields]
        assert marked == [pair for pair in (*fields, *names) if pair[1] != "label"]


def painted(view, style):
    """The pieces of the text that have a style, the winner where marks overlap."""
    code = re.escape(f"\x1b[{STYLES[style].sgr}m")
    return re.findall(rf"{code}(.*?)\x1b\[0m", view.to_ansi())


def test_colours_hit_what_they_say():
    view = show("e4m3", 0xB6)
    assert painted(view, "sign") == ["1", "sign"]
    assert painted(view, "exponent") == ["0110", "exponent"]
    assert painted(view, "mantissa") == ["110", "mantissa"]
    assert painted(show("e4m3", 0x7F), "nan") == ["NaN"]
    assert painted(show("e4m3", 1), "flushed") == ["subnormal"]
    assert painted(show("e2m1", 7), "saturated") == ["by saturation"]
    table = show("e5m2")
    assert painted(table, "nan") == ["Inf", "NaN", "NaN", "NaN"]
    assert painted(table, "flushed") == ["1*2^-16", "2*2^-16", "3*2^-16"]
    assert painted(show("e8m0"), "nan") == ["NaN"]
    assert painted(show("e3m2", [0x3F]), "exponent") == ["111"]


def test_the_table_has_every_value_once():
    """The rows of a float format, read back: code, exponent and value agree with the codes."""
    for name in ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "ue4m3"):
        view = show(name)
        rows = [line.split() for line in str(view).splitlines()]
        rows = [row for row in rows if len(row) > 3 and re.fullmatch(r"2\^-?\d+", row[2])]
        cells = []
        for row in rows:
            assert int(row[0], 16) == len(cells)
            assert view.codes[len(cells)].fields[1][1] == row[1]
            cells += row[3:]
        positive = [v for v in view.codes if v.fields[0][1] == "0"]
        assert len(cells) == len(positive)
        for cell, code in zip(cells, positive, strict=True):
            if code.value is None:
                assert cell == code.cls
            else:
                factor, _, power = cell.partition("*2^")
                assert float(factor) * 2.0 ** int(power or 0) == code.value


class Reader(html.parser.HTMLParser):
    """What a page says, whether its tags match, and what is said on hover."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.titles, self.cells, self.styles = [], "", [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.titles += [value for key, value in attrs if key == "title"]
        self.styles += [value for key, value in attrs if key == "style"]
        assert not any(key.startswith("on") or key in ("src", "href") for key, _ in attrs)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if "td" in self.open:
            self.cells[-1] += data


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_html_of_every_format(name):
    view = show(name)
    page = Reader(view._repr_html_())
    assert page.text.startswith(str(view).splitlines()[0])
    codes = getattr(view, "codes", ())
    assert len(page.cells) == len(page.titles) == len(codes)
    for code, title, cell in zip(codes, page.titles, page.cells, strict=True):
        assert int(title.split(":")[0], 16) == code.code
        assert "".join(re.findall(r"\b[01]+(?= \()", title)) == "".join(b for _, b in code.fields)
        assert cell
    if codes:
        assert Reader(codes[-1]._repr_html_()).text == str(codes[-1])


def test_markup_escapes():
    assert Reader(markup(["<b> & \"'"], [Mark(0, 0, 3, "sign")])).text == "<b> & \"'"


def test_later_marks_win_and_odd_marks_do_no_harm():
    assert ansi(["ab"], [Mark(0, 0, 2, "sign"), Mark(0, 1, 2, "nan")]) == (
        "\x1b[31ma\x1b[0m\x1b[1;35mb\x1b[0m"
    )
    assert ansi(["ab"], [Mark(0, 1, 99, "sign")]) == "a\x1b[31mb\x1b[0m"
    assert ansi(["ab"], [Mark(0, 1, 1, "sign"), Mark(7, 0, 1, "sign")]) == "ab"
    assert ansi(["ab", "", "cd "], []) == "ab\n\ncd"
    assert ansi([], []) == ""
    assert Reader(markup([], [])).text == ""


def luminance(colour):
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_itself():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


PLAIN = [name for name, style in STYLES.items() if "background" not in style.css]


@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])
@pytest.mark.parametrize("style", [name for name in PLAIN if "color:" in STYLES[name].css])
def test_colours_can_be_read_on_white_and_on_dark(style, ground):
    """The two ratios multiply to that of the grounds, 18.9: the best of both is its root, 4.35."""
    colour = re.search(r"(?:^|;)color:(#[0-9a-f]{6})", STYLES[style].css)
    assert contrast("#ffffff", "#111111") == pytest.approx(18.9, abs=0.05)
    assert contrast(colour[1], ground) >= 4.3


def test_no_colour_is_written_anywhere_else():
    from mxref.show import _code_view, _format_table, _format_view
    from mxref.show.numberline import _drawing

    for module in (_code_view, _format_table, _format_view, _drawing):
        source = Path(module.__file__).read_text()
        assert not re.search(r"#[0-9a-fA-F]{6}|\\x1b", source), module.__name__


class Stream:
    def __init__(self, answer):
        self.answer = answer

    def isatty(self):
        if self.answer is None:
            raise ValueError("I/O operation on closed file")
        return self.answer


@pytest.mark.parametrize(
    ("env", "stream", "answer"),
    [
        ({}, Stream(True), True),
        ({}, Stream(False), False),
        ({}, Stream(None), False),
        ({}, object(), False),
        ({"TERM": "dumb"}, Stream(True), False),
        ({"NO_COLOR": "1"}, Stream(True), False),
        ({"NO_COLOR": ""}, Stream(True), True),  # no-color.org: not when it is empty
        ({"FORCE_COLOR": "1"}, Stream(False), True),
        ({"FORCE_COLOR": ""}, Stream(False), False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, Stream(True), False),
    ],
)
def test_who_wants_colour(monkeypatch, env, stream, answer):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(stream) is answer


def session(env):
    """What an interactive Python on a terminal prints for a code."""
    main, end = pty.openpty()
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    child = subprocess.Popen(
        [sys.executable, "-i", "-q", "-c", "from mxref.show import show"],
        stdin=end, stdout=end, stderr=end, close_fds=True,
        env={**kept, "TERM": "xterm", "PYTHON_BASIC_REPL": "1", **env},
    )  # fmt: skip
    os.close(end)
    os.write(main, b"show('e4m3', 0x7e)\nexit()\n")
    said, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline and select.select([main], [], [], 60)[0]:
        try:
            piece = os.read(main, 4096)
        except OSError:  # Linux says so when the other end is closed
            break
        if not piece:
            break
        said += piece
    child.wait(timeout=60)
    os.close(main)
    return said.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_session_on_a_terminal_is_coloured():
    sign = f"\x1b[{STYLES['sign'].sgr}m0\x1b[0m"
    assert sign in session({})
    plain = session({"NO_COLOR": "1"})
    assert sign not in plain
    assert "0 | 1111 | 110   sign | exponent | mantissa" in plain


def test_a_pipe_gets_no_colour():
    command = [sys.executable, "-i", "-q", "-c", "from mxref.show import show"]
    done = subprocess.run(
        command, input="show('e4m3', 0x7e)\n", capture_output=True, text=True, check=True
    )
    assert str(show("e4m3", 0x7E)) in done.stdout
    assert "\x1b" not in done.stdout
