"""`mxref.compare` of a few numbers: against the quantizers, and against exact arithmetic."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from click.testing import CliRunner

import mxref
from mxref.cli.compare import command
from mxref.exact import element as exact_element
from mxref.formats import BLOCK_FORMATS
from mxref.show.compare import NumbersComparison, compare


def run(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments], prog_name="mxref compare")


@pytest.mark.parametrize("name", list(BLOCK_FORMATS))
def test_one_number_against_exact_arithmetic(name):
    """Code times scale is the value, and value minus number the error, all in fractions."""
    element = BLOCK_FORMATS[name].element
    x = np.float32(1.3)
    seen = set()
    for outcome in compare("1.3", name):
        (code,), (scale,) = outcome.codes, outcome.scales
        exact = exact_element.decode(code, element).value * Fraction(2) ** (scale - 127)
        assert Fraction(outcome.values[0]) == exact
        assert outcome.errors[0] == exact - Fraction(float(x))
        assert outcome.scale_values == (2.0 ** (scale - 127),)
        for rule, policy in zip(outcome.rules, outcome.policies, strict=True):
            q = mxref.quantize(np.array([x]), name, policy=policy, pad=True)
            assert (int(q.codes[0]), int(q.scales[0])) == (code, scale)
            assert rule not in seen  # each rule stands in one line
            seen.add(rule)
    assert {"floor", "rceil", "even"} <= seen


def test_marks_of_each_number():
    """1.9 alone: floor cannot hold it in E2M1; a small neighbour becomes zero."""
    found = compare([1.9, 0.001], "mxfp4", ["floor", "rceil"])
    floor = next(o for o in found if "floor" in o.rules)
    rceil = next(o for o in found if "rceil" in o.rules)
    assert floor.saturated == (True, False)
    assert rceil.saturated == (False, False)
    assert floor.flushed == rceil.flushed == (False, True)
    assert floor.is_default
    assert not rceil.is_default
    squares = {o.mean_square: o.is_best for o in found}
    assert squares[min(squares)]
    assert not squares[max(squares)]
    assert floor.largest == 0


def test_relatives_have_their_scales():
    found = compare([1.0, -3.0, 0.5], ["nvfp4", "mx6", "vsq4", "scaled_int8"])
    by_name = {o.format: o for o in found if o.is_default or o.format == "nvfp4"}
    assert by_name["nvfp4"].global_scale > 0
    assert len(by_name["mx6"].subscales) == 2  # two sub-blocks of two hold three numbers
    assert len(by_name["vsq4"].subscales) == 1
    assert isinstance(by_name["scaled_int8"].scales[0], float)
    for outcome in found:
        for x, value, error in zip((1, -3, 0.5), outcome.values, outcome.errors, strict=True):
            assert Fraction(value) - Fraction(x) == error
        assert outcome.format in str(found)


@pytest.mark.parametrize(
    ("x", "dtype", "numbers"),
    [
        (1.3, "float64", (1.3,)),
        ("1.3", "float32", (float(np.float32(1.3)),)),
        ("bfloat16:0x3fa6", "bfloat16", (1.296875,)),
        (np.float16(0.1), "float16", (float(np.float16(0.1)),)),
        ([1, 2], "float64", (1.0, 2.0)),
        (np.array([1, -2], np.float32), "float32", (1.0, -2.0)),
        (np.float32(5), "float32", (5.0,)),
        (["-0", "inf"], "float32", (-0.0, math.inf)),
    ],
)
def test_what_counts_as_numbers(x, dtype, numbers):
    found = compare(x, "mxfp8_e5m2")
    assert isinstance(found, NumbersComparison)
    assert (found.dtype, found.numbers) == (dtype, numbers)
    assert len(str(found)) == len(str(found).encode())  # digits and letters of ASCII


def test_text_that_is_no_number():
    with pytest.raises(ValueError, match=r"numpy\.load"):
        compare("weights.npy")
    with pytest.raises(ValueError, match=r"'1\.3x'"):
        compare("1.3x")


def test_larger_or_deeper_is_measured():
    for x in (np.ones(33), np.ones((1, 4)), [[1.0, 2.0]], list(range(33))):
        found = compare(np.asarray(x, np.float32), "mxfp4", "floor")
        assert not isinstance(found, NumbersComparison)


@pytest.mark.parametrize("x", [1.3, [1.5, -2.7, 1e-30], np.linspace(-9, 9, 32), "nan", 0.0, "-0"])
def test_text_is_80_wide_and_says_all(x):
    found = compare(x, None if np.size(x) == 1 else ["mxfp4", "nvfp4", "mx9", "vsq8"])
    text = str(found)
    assert max(map(len, text.splitlines())) <= 80
    for outcome in found:
        for rule in outcome.rules:
            assert rule in text
        digits = -(-outcome.code_bits // 4)
        assert f"0x{outcome.codes[-1]:0{digits}x}" in text
    assert found.to_ansi() != text
    plain = json.loads(json.dumps(found.to_dict()))
    assert len(plain["outcomes"]) == len(found)
    html = found._repr_html_()
    assert html.count("<tr") == len(found) + 1
    assert html.count("title=") == len(found) * len(found.numbers)


def test_commands():
    result = run(1.3, "-2.7", "--format", "mxfp4")
    assert result.exit_code == 0
    assert result.stdout.startswith("2 numbers (float32)")
    assert "-3" in result.stdout
    result = run("-inf", "--format", "mxfp8_e5m2", "--json")
    assert json.loads(result.stdout)["numbers"] == ["-inf"]
    result = run("1.3", "--input-dtype", "bfloat16", "--format", "mxfp4")
    assert "bfloat16 0x3fa6" in result.stdout


@pytest.mark.parametrize(
    "given", [("1,-2,3",), ("1,", "-2,", "3"), ("1, -2, 3",), ("1,-2", "3"), ("1", "-2", "3")]
)
def test_numbers_with_commas(given):
    """As `mxref explain` takes them."""
    result = run(*given, "--format", "mxfp4")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{compare(['1', '-2', '3'], 'mxfp4')}\n"


def test_a_file_whose_name_has_commas(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("x,1.npy", "1,2.npy"):
        np.save(name, np.ones((1, 32), np.float32))
        assert run(name, "--format", "mxfp4").stdout.startswith(f"{name}: float32")


def test_a_vector_in_a_file_is_measured(tmp_path):
    np.save(tmp_path / "x.npy", np.ones(32, np.float32))
    result = run(tmp_path / "x.npy", "--format", "mxfp4")
    assert "QSNR" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--fromat", "3"], "No such option '--fromat'"),
        (["1.3", "x"], "x: no number"),
        (["1,x"], "x: no number"),
        (["1,-x"], "No such option '-x'"),
        (["a", "b", "c"], "a: no number"),
        (["1.3", "--markdown"], "--markdown is for arrays"),
        (["1.3", "--plot", "a.svg"], "--plot is for arrays"),
        (["1.3", "--format", "mxfp5"], "unknown format 'mxfp5'"),
        (["1"] * 33, "at most 32"),
        ([], "Missing argument"),
    ],
)
def test_mistakes(arguments, text):
    result = run(*arguments)
    assert result.exit_code == 2
    assert text in result.stderr
    assert "Traceback" not in result.stderr
