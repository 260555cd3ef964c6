"""Number lines: what is on them, where it is, and the picture."""

import math
import re
import sys
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref.show import numberline, show
from mxref.show.numberline._drawing import column
from mxref.show.numberline._line import NumberLine

GOLDEN = """\
e2m1 around 0x5, from 0.5 to 6, linear
                                   v 0x5 = 3
  :--'---|--'--|--'---|-----'------|-----'------|------------'------------|
  0.5    1    1.5     2            3            4                         6
  1      2     3      4            5            6                         7
                            (============)
  takes (2.5, 3.5), rounding
  | value   : subnormal   ' midpoint"""

GOLDEN_MAX = """\
e4m3 around 0x7e, from 320 to 464, linear
                                                                  v 0x7e = 448
  |-------'-------|-------'-------|-------'-------|-------'-------|--------
  320            352             384             416             448
  7a              7b              7c              7d              7e
                                                          [===============]
  takes [432, 464], rounding
  takes (464, +inf), overflow
  | value   ' midpoint"""


def test_text_is_as_agreed():
    assert str(numberline("e2m1", 5)) == GOLDEN
    assert str(numberline("e4m3", "0x7e")) == GOLDEN_MAX
    assert str(show("e2m1", 5).line()) == GOLDEN
    assert str(show("e2m1").line()) == str(numberline("e2m1"))


@pytest.mark.parametrize("name", ["e5m2", "e3m2", "e2m1", "ue4m3", "mx6"])
def test_every_code_has_a_line_of_80_columns(name):
    for view in show(name).codes:
        if view.value is None:
            continue
        line = view.line()
        lines = str(line).splitlines()
        assert max(map(len, lines)) <= 80
        assert line.low <= view.value <= line.high
        assert view.code in [p.code for p in line.points] or view.value == 0
        marker = next(text for text in lines if "v" in text and " = " in text)
        pointer = marker.index("v ") if marker.lstrip().startswith("v ") else len(marker) - 1
        assert pointer == 2 + column(line, view.value)


@pytest.mark.parametrize("name", ["e2m1", "e3m2", "e4m3", "ue4m3", "mx4", "vsq4"])
def test_all_values_are_on_the_line_of_a_format(name):
    line = numberline(name, log=False)
    assert {p.value for p in line.points} == {
        v.value for v in show(name).codes if v.value is not None
    }
    assert [p.value for p in line.points] == sorted({p.value for p in line.points})
    axis = str(line).splitlines()[1]
    for point in line.points:
        assert axis[2 + column(line, point.value)] in "0|:#"


def test_labels_stand_below_their_values():
    line = numberline("e2m1", low=0)
    _, axis, values, codes, *_ = str(line).splitlines()
    for text, row in ((str(p.code), codes) for p in line.points):
        at = row.index(f" {text}") + 1
        assert axis[at] in "0|:"
    assert values.split() == ["0", "0.5", "1", "1.5", "2", "3", "4", "6"]


def test_a_wide_format_is_logarithmic_unless_told_otherwise():
    assert numberline("e4m3").is_log
    assert numberline("e8m0").is_log
    assert not numberline("e2m1").is_log
    assert not numberline("e4m3", log=False).is_log
    assert not numberline("e4m3", 0x7E).is_log
    assert not numberline("e4m3", low=0, high=1).is_log
    octaves = numberline("e4m3", low=1, high=256, log=True)
    places = [column(octaves, Fraction(2) ** e) for e in range(9)]
    assert places == [9 * e for e in range(9)]


@settings(max_examples=100, deadline=None)
@given(
    low=st.fractions(-100, 100),
    width=st.fractions(0, 50).filter(bool),
    at=st.fractions(0, 1),
    log=st.booleans(),
)
def test_columns_keep_the_order_and_the_ends(low, width, at, log):
    if log:
        low = abs(low) + 1
    line = numberline("e4m3", low=low, high=low + width, log=log)
    assert column(line, line.low) == 0
    assert column(line, line.high) == 72
    place = low + width * at
    exact = float(at) * 72
    if log:
        exact = math.log1p((place - low) / low) / math.log1p(width / low) * 72
    assert abs(column(line, place) - exact) <= 0.51


def test_ends_are_numbers_of_any_kind():
    given = [numberline("e4m3", low=v, high="1") for v in (0.25, "1/4", Fraction(1, 4), "0.25")]
    assert {(line.low, line.high) for line in given} == {(Fraction(1, 4), Fraction(1))}


def test_a_policy_changes_what_becomes_the_code():
    line = numberline("e2m1", 5, policy="ocp:rounding=toward-zero")
    assert str(line.taken[0].interval) == "[3, 4)"


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("mxfp4",), {}, "draw its element 'e2m1' or its scale 'e8m0'"),
        (("nvfp4",), {}, "draw its element 'e2m1' or its scale 'ue4m3'"),
        (("e4m4",), {}, "did you mean 'e4m3'"),
        (("e4m3", 0x7F), {}, "0x7f of e4m3 is NaN, on no line"),
        (("e5m2", 0x7C), {}, "is Inf"),
        (("e4m3", 256), {}, "out of range"),
        (("e4m3",), {"low": 0, "log": True}, "begins above zero"),
        (("e4m3",), {"low": 2, "high": 1}, "goes upward, got low=2 and high=1"),
        (("e4m3",), {"low": "x"}, "low is 'x'; expected a finite number"),
        (("e4m3",), {"high": math.inf}, "expected a finite number"),
        (("e4m3",), {"high": "1/0"}, "expected a finite number"),
        (("e4m3",), {"high": []}, "expected a finite number"),
    ],
)
def test_bad_input_says_what_to_do(arguments, options, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        numberline(*arguments, **options)


def test_an_empty_stretch_is_a_line_without_values():
    line = numberline("e4m3", low=300, high=310)
    assert line.points == ()
    assert str(line).splitlines()[1] == "  " + "-" * 73


def test_data_says_what_is_drawn():
    data = numberline("e2m1", 7).to_dict()
    assert data["points"][-1] == {"value": "6", "code": 7, "subnormal": False}
    assert [t["why"] for t in data["takes"]] == ["rounding", "overflow"]


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mxref\[plot\]'"):
        numberline("e2m1").plot(tmp_path / "a.svg")


def test_a_picture_has_a_known_kind(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.svg"):
        numberline("e2m1").plot(tmp_path / "a.bmp")


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
@pytest.mark.parametrize("arguments", [("e2m1",), ("e4m3",), ("e4m3", 0x7E), ("e8m0",), ("mx9", 0)])
def test_a_picture_is_the_same_each_time(tmp_path, kind, arguments):
    pytest.importorskip("matplotlib")
    one, two = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    numberline(*arguments).plot(one)
    numberline(*arguments).plot(two)
    assert one.read_bytes() == two.read_bytes()
    assert len(one.read_bytes()) > 2000


def test_every_value_is_in_the_picture():
    pytest.importorskip("matplotlib")
    from mxref.show.compare import _style
    from mxref.show.numberline import _plot

    line = numberline("e4m3")
    with _style.figure(8, 2) as (_, axes):
        _plot.draw(axes, line)
        drawn = [segment[0][0] for c in axes.collections for segment in c.get_segments()]
    assert sorted(drawn) == [float(p.value) for p in line.points]


def test_types():
    assert isinstance(numberline("e2m1"), NumberLine)
