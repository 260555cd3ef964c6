"""Places of tensors and quantized arrays, what refuses them, colours, and the command."""

import html
import json
import re
from fractions import Fraction

import numpy as np
import pytest
from click.testing import CliRunner

import mxref
from mxref import bdr, nvfp4
from mxref.cli.main import main
from mxref.show import explain
from mxref.show._explain_marks import explanation_marks
from mxref.show._paint import STYLES

ANSI = re.compile(r"\x1b\[[0-9;]*m")
X = (np.arange(4 * 96, dtype=np.float32).reshape(4, 96) - 150) / 37


@pytest.mark.parametrize(("axis", "shape"), [(1, (4, 96)), (0, (96, 4)), (-2, (2, 64, 3))])
def test_a_place_is_found_by_hand(axis, shape):
    x = np.resize(X, shape)
    q = mxref.quantize(x, "mxfp4", axis)
    where = axis % len(shape)
    for at in np.ndindex(*shape):
        if sum(at) % 37:
            continue
        place = explain(x, "mxfp4", at=at, axis=axis).place
        lines = np.moveaxis(x, where, -1)
        line = lines[(*at[:where], *at[where + 1 :])]
        start = at[where] // 32 * 32
        assert (place.start, place.stop) == (start, start + 32)
        assert line[start + place.within] == x[at]
        assert q.scales[place.block].shape == ()
        assert place.index == at


def test_a_place_in_words():
    text = str(explain(X, "mxfp4", at=(3, -26)))
    assert text.splitlines()[:2] == [
        "x[3, 70] = 5.62162 to mxfp4, policy ocp".replace("5", "~5"),
        "  position   x[3, 70], element 6 of block [3, 2]: x[3, 64:96], along axis 1",
    ]
    padded = str(explain(X[0, :40], "mxfp4", at=35, pad=True))
    assert "element 3 of block [1]: x[32:40]," in padded
    assert "padded with zeros to 32" in " ".join(padded.split())


def test_nested_lists_and_other_kinds_of_arrays():
    lists = X.tolist()
    assert explain(lists, "mxfp4", at=(1, 2)).code == explain(X, "mxfp4", at=(1, 2)).code
    texts = [str(number) for number in X[1]]
    assert explain(texts, "mxfp4", at=2).element.given.source == "float32"
    assert explain(texts, "nvfp4", at=2).code == explain(X[1], "nvfp4", at=2).code
    with pytest.raises(ValueError, match="of one type"):
        explain(["1", 2.0, "bfloat16:1"], "mxfp4/3", at=0)
    big = X.astype(">f4")
    assert explain(big, "mxfp4", at=(1, 2)).code == explain(X, "mxfp4", at=(1, 2)).code
    assert explain(X, "e4m3", at=(1, 2)).given.number == explain(X[1, 2], "e4m3").given.number


def test_random_bits_of_a_tensor_are_those_of_quantize():
    rng = np.random.default_rng(3)
    for policy, shape in (
        ("ocp:rounding=stochastic-a,stochastic_bits=4", (4, 96)),
        ("ocp:rounding=stochastic-a,stochastic=ptx-x4", (4, 24)),
    ):
        top = 16 if shape == (4, 96) else 1 << 32
        R = rng.integers(0, top, shape, np.uint32)
        q = mxref.quantize(X, "mxfp4", policy=policy, random=R)
        for at in ((0, 0), (2, 50), (3, 95)):
            assert explain(X, "mxfp4", policy, at=at, random=R).code == q.codes[at]
    with pytest.raises(ValueError, match="needs random bits"):
        explain(X, "mxfp4", "ocp:rounding=stochastic-a", at=(0, 0))


REFUSED = [
    (((X, "mxfp4"), {}), ValueError, r"flat sequence.*at=\(0, 5\)"),
    (((X, "mxfp4"), {"at": (4, 0)}), ValueError, "lies outside shape .* axis 0 takes 0 to 3"),
    (((X, "mxfp4"), {"at": 3}), ValueError, "at=3 has 1 of 2 axes"),
    (((X, "mxfp4"), {"at": "3"}), TypeError, "one integer for each axis"),
    (((X, "mxfp4"), {"at": (0, 0), "axis": 2}), ValueError, "axis 2 is out of range"),
    (((X[:, :40], "mxfp4"), {"at": (0, 0)}), ValueError, "pass pad=True"),
    (((X[0], "nvfp4"), {}), ValueError, r"has 16 elements, got 96; pass pad=True"),
    (((X[0], "mx9"), {}), ValueError, r"has 16 elements, got 96"),
    (((1.0, "nvfp4"), {"global_amax": -1}), ValueError, "0 or more"),
    (((1.0, "nvfp4"), {"global_scale": 0}), ValueError, "positive, finite"),
    (((1.0, "nvfp4"), {"global_scale": 1, "global_amax": 1}), ValueError, "not both"),
    (((1.0, "mxfp4"), {"global_amax": 1}), TypeError, "global_amax is for NVFP4"),
    (((1.0, "nvfp4", "te-1d:float64=refuse"), {}), ValueError, "refuses"),
    (((1.0,), {}), TypeError, r"needs a format, such as mxref.explain\(1.0, 'mxfp4'\)"),
]


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED)
def test_what_cannot_be_explained(call, kind, message):
    with pytest.raises(kind, match=message):
        explain(*call[0], **call[1])


def test_a_float64_beyond_float32_decides_as_an_infinity():
    """What decides the scale of a whole tensor is the largest of what is finite in float32."""
    x = np.array([[1.0, 1e200, 3.0, -2.0]])
    for policy in ("bdr-paper", "bdr-paper:inf=clamp", "bdr-paper:inf=zero"):
        q = mxref.quantize(x, "scaled_fp8_e5m2", policy=policy)
        for at in ((0, 0), (0, 1), (0, 3)):
            found = explain(x, "scaled_fp8_e5m2", policy, at=at)
            assert (found.code, found.scale_code) == (q.codes[at], int(q.scales.view(np.uint32)))


# --- quantized arrays ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mxfp8_e5m2", "mxint8", "nvfp4", "mx4", "vsq4", "scaled_int8"])
def test_what_a_quantized_array_holds(name):
    x = np.resize(X, (2, 1024))
    q = mxref.quantize(x, name)
    values = q.dequantize()
    for at in ((0, 0), (1, 1000)):
        held = explain(q, at=at)
        assert held.code == q.codes[at]
        assert held.float32 == int(values[at].view(np.uint32))
        assert str(held).startswith(f"q[{at[0]}, {at[1]}] of {q.format.name}")


def test_quantized_arrays_ask_for_a_place():
    q = mxref.quantize(X, "mxfp4")
    with pytest.raises(ValueError, match=r"of shape \(4, 96\) .* at=\(0, 0\)\)"):
        explain(q)
    with pytest.raises(ValueError, match="has its codes already"):
        explain(q, "mxfp8_e4m3", at=(0, 0))
    with pytest.raises(ValueError, match="has its policy"):
        explain(q, policy="ocp", at=(0, 0))
    assert explain(q, "mxfp4", at=(0, 0)).code == q.codes[0, 0]


def test_nan_scales_and_special_elements_of_an_array():
    codes = np.array([0x7C, 0x7F, 0x3C] + [0] * 29, np.uint8)
    held = mxref.MXArray(codes, np.array([127], np.uint8), "mxfp8_e5m2")
    assert "MX-1.0/5.1/special-elements" in str(explain(held, at=0))
    nan = mxref.MXArray(codes, np.array([255], np.uint8), "mxfp8_e5m2")
    assert "MX-1.0/5.1/nan-scale" in str(explain(nan, at=2))


# --- widths and colours -------------------------------------------------------------------------

LONG = (
    "ocp:scale_rule=nearest-log,scale_log2=float32,scale_zero_block=min-normal,"
    "rounding=stochastic-a,stochastic_bits=24,scaled_intermediate=bfloat16,neg_zero=drop-input"
)
VIEWS = [
    lambda: explain("-3.4e38", "mxfp8_e4m3", LONG, random=1),
    lambda: explain("1e-45", "int8", LONG, random=1),
    lambda: explain(Fraction(10**40 + 1, 3**60), "e2m1"),
    lambda: explain(X[0, :32], "mxint8"),
    lambda: explain(np.full(16, -1.1e-38, np.float32), "nvfp4", "te-four-over-six"),
    lambda: explain(np.full(16, -3e38, np.float32), "mx9", "bdr-paper:rounding=half-up"),
    lambda: explain(X, "vsq4:k1=32", at=(0, 3)),
    lambda: explain("nan", "mx6"),
    lambda: explain("inf", "scaled_fp8_e5m2"),
    lambda: explain("0x00000001", "e8m0", "ocp:e8m0_subnormal=bits"),
    lambda: explain(mxref.quantize(X, "mxfp6_e3m2"), at=(1, 5)),
]


@pytest.mark.parametrize("make", VIEWS)
def test_80_columns_and_colours_that_change_nothing(make):
    view = make()
    text = str(view)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert ANSI.sub("", view.to_ansi()) == text
    if "<table" not in view._repr_html_():  # a block is a table there
        assert html.unescape(re.sub("<[^>]*>", "", view._repr_html_())) == text
    json.dumps(view.to_dict(), allow_nan=False)


def test_a_block_is_a_table_in_a_notebook():
    page = explain([1, -2.5, 1e-3, 7], "mxfp4/4")._repr_html_()
    rows = re.findall(r'<tr title="([^"]*)">(.*?)</tr>', page)
    assert len(rows) == 4
    assert [re.findall("<td[^>]*>([^<]*)</td>", row)[3] for _, row in rows] == [
        "0x2", "0xc", "0x0", "0x7",
    ]  # fmt: skip
    assert "1 | 10 | 0 = 0xc" in rows[1][0]
    assert STYLES["amax"].css in rows[3][1]
    assert STYLES["saturated"].css in rows[3][1]
    assert STYLES["flushed"].css in rows[2][1]
    assert STYLES["flushed"].css not in rows[3][1]
    assert page.count("<pre") == page.count("</pre>") == 1


def marked(view):
    lines = view._lines()
    return {
        (mark.style, lines[mark.line][mark.start : mark.stop]) for mark in explanation_marks(lines)
    }


def test_the_marks_hit_what_they_name():
    found = marked(explain("1.3", "mxfp4"))
    assert ("mantissa", "1.0") in found
    assert {("guard", "guard"), ("round", "round"), ("sticky", "sticky")} <= found
    assert {("guard", "1"), ("round", "0"), ("sticky", "1")} <= found
    assert {("sign", "0"), ("exponent", "11"), ("mantissa", "1")} <= found
    assert ("scale", "0x7d") in found
    assert ("round", "above half") in found
    cast = marked(explain("1.3", "ue4m3"))
    assert {("exponent", "0111"), ("mantissa", "010")} <= cast
    assert {("exponent", "1111"), ("mantissa", "110")} <= marked(explain("1.3", "nvfp4"))
    assert {("sign", "0"), ("mantissa", "1010011")} <= marked(explain("1.3", "mx9"))
    assert {("mantissa", "1"), ("mantissa", "010011")} <= marked(explain("1.3", "int8"))
    table = marked(explain([1, -2.5, 1e-3, 7], "mxfp4/4"))
    assert {("amax", "amax"), ("saturated", "overflow"), ("flushed", "to zero")} <= table
    assert not any(text.startswith("0 ") for style, text in table if style == "title")


# --- the command --------------------------------------------------------------------------------


def invoke(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args])


def test_the_command_takes_numbers_blocks_and_files(tmp_path):
    np.save(tmp_path / "x.npy", X)
    file = tmp_path / "x.npy"
    result = invoke("explain", file, "mxfp4", "--at", "3,70", "--axis", "-1")
    assert result.output == f"{explain(X, 'mxfp4', at=(3, 70))}\n"
    assert invoke("explain", "-1,2,-3.3,4", "mxfp4/4").output == (
        f"{explain(['-1', '2', '-3.3', '4'], 'mxfp4/4')}\n"
    )
    assert invoke("explain", "-1.3", "nvfp4", "--global-amax", 6, "--policy", "torchao").output == (
        f"{explain('-1.3', 'nvfp4', 'torchao', global_amax='6')}\n"
    )
    short = invoke("explain", "1,2", "mx6", "--pad", "--json")
    assert (
        json.loads(short.output)["elements"][1]["code"]
        == explain(["1", "2"], "mx6", pad=True).codes[1]
    )
    drawn = "ocp:rounding=stochastic-a,stochastic_bits=4"
    given = invoke("explain", "1.3", "e2m1", "--policy", drawn, "--random", "9", "--json")
    assert json.loads(given.output)["code"] == explain("1.3", "e2m1", drawn, random=9).code
    q = mxref.quantize(X, "mxfp4")
    q.save(tmp_path / "q.npz")
    held = invoke("explain", tmp_path / "q.npz", "--at", "3,70")
    assert held.output == f"{explain(q, at=(3, 70))}\n"
    np.save(tmp_path / "r.npy", np.full(X.shape, 9))
    more = ("--at", "0,1", "--policy", drawn, "--random", tmp_path / "r.npy", "--json")
    given = json.loads(invoke("explain", file, "mxfp4", *more).output)
    bits = np.full(X.shape, 9, np.uint32)
    assert given["element"]["code"] == explain(X, "mxfp4", drawn, at=(0, 1), random=bits).code


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("1", "e4m3", "--polcy", "ocp"), "Did you mean '--policy'?"),
        (("x.npy", "mxfp4"), "x.npy: no such file"),
        (("1", "mxfp4", "--at", "a"), "--at: expected integers such as 3,70, got 'a'"),
        (("1", "e2m1", "--random", "x"), "--random: expected integers"),
        (("1", "e2m1", "--random", "no.npy"), "--random: no.npy cannot be read"),
        (("1,2", "e2m1"), "takes one number"),
        (("1.3",), "missing FORMAT: mxref explain 1.3 mxfp4"),
        (("no.npz", "--at", "1"), "no.npz: cannot be read"),
    ],
)
def test_the_command_says_what_is_wrong(args, message):
    result = invoke("explain", *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_all_names_of_formats_work():
    for name in (*bdr.FORMATS, "nvfp4", "ue4m3", "bdr:m=5,k1=16,k2=4,d1=8,d2=2"):
        view = explain("1.3", name)
        assert view.to_dict()["format"] == name
    assert nvfp4.POLICIES.keys() >= {"te-1d"}
