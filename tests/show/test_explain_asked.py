"""What was asked for is named: the policy, the place, the number as it was typed."""

import numpy as np
import pytest

import mxref
from mxref import bdr
from mxref.policy import get_policy
from mxref.show import explain, numberline, show

X = (np.arange(4 * 64, dtype=np.float32).reshape(4, 64) - 100) / 37


@pytest.mark.parametrize(("asked", "meant"), [("torchao-floor", "ocp"), ("torchao-ceil", None)])
def test_a_profile_asked_for_is_named(asked, meant):
    meant = meant or get_policy(asked).name
    assert meant != asked  # another profile has the same choices, or none is named so
    title = f"policy {asked} (= {meant})"
    for view in (
        explain("1.3", "mxfp4", asked),
        explain("1.3", "e4m3", asked),
        explain(["1", "2"], "mxfp4/2", asked),
        explain(X, "mxfp4", asked, at=(1, 5)),
    ):
        assert str(view).splitlines()[0].endswith(title)
        assert view.to_dict()["policy"] == meant
        assert view.to_dict()["policy_asked"] == asked
    for view in (show("e4m3", 1, asked), show("e4m3", [1, 2], asked), show("e4m3", None, asked)):
        assert f"  policy     {asked} (= {meant})" in str(view).splitlines()
    assert title in numberline("e4m3", 1, policy=asked).title


def test_a_policy_by_its_own_name_is_named_once():
    assert "(=" not in str(explain("1.3", "mxfp4", "ml_dtypes"))
    changed = "ocp:rounding=up,scale_rule=ceil"
    assert "(=" not in str(explain("1.3", "mxfp4", changed))
    assert "(=" not in str(explain("1.3", "mxfp4", "ocp: scale_rule=ceil, rounding=up"))
    assert "policy" not in str(show("e4m3", 1, "ocp"))
    assert "policy_asked" not in explain("1.3", "mxfp4").to_dict()


def test_a_tensor_that_shares_one_scale_is_counted_as_a_whole():
    x = X.copy()
    x[0, 0], x[3, 1], x[2, 2] = 0, -np.inf, np.nan
    x[1, 7] = 1e6
    found = explain(x, "scaled_fp8_e4m3", bdr.get_policy("bdr-paper"), at=(1, 5))
    finite = int(np.count_nonzero(np.isfinite(x) & (x != 0)))
    zeros = int(np.count_nonzero(x == 0))
    assert f"256 numbers: {finite} finite, {zeros} zero, 1 infinite, 1 NaN" in " ".join(
        str(found).split()
    )
    assert "the tensor holds NaN" in str(found)
    assert "the block holds NaN" in str(explain(["1", "nan"], "mx9", pad=True))
    plain = explain(np.where(np.isfinite(x), x, 0), "scaled_fp8_e4m3", at=(1, 5))
    assert "amax = |x[1, 7]| = 1000000" in str(plain)
    assert plain.to_dict()["amax"] == [1, 7]
    assert "element 0" not in str(plain)


def test_a_cast_of_a_place_says_where():
    found = explain(X, "e4m3", at=(1, -1))
    lines = str(found).splitlines()
    assert lines[0].startswith("x[1, 63] = ")
    assert (
        lines[1] == "  position   x[1, 63] of shape (4, 64); a cast of one number, without a block"
    )
    assert found.to_dict()["position"] == {"index": [1, 63], "shape": [4, 64]}
    assert found.code == explain(X[1, 63], "e4m3").code
    assert "position" not in explain("1.3", "e4m3").to_dict()


@pytest.mark.parametrize(("text", "what"), [("1e40", "infinity"), ("-1e-46", "zero")])
def test_a_number_that_float32_does_not_keep(text, what):
    said = " ".join(str(explain(text, "e4m3")).split())
    assert f"({text} is {what} in float32; write float64:{text} to keep it)" in said
    assert "the value is exact" not in said
    kept = " ".join(str(explain(f"float64:{text}", "e4m3")).split())
    assert "to keep it" not in kept
    assert "write float64" not in str(explain("1e400", "e4m3"))  # nor does float64 keep it
    assert " in float32" not in str(explain("inf", "e4m3"))


def test_an_error_of_none_is_not_called_exact_where_the_text_was_rounded():
    assert str(explain("1.00000001", "e4m3")).endswith(
        "none against the float32 given; 1.00000001 itself was rounded to it"
    )
    assert str(explain("1.5", "e4m3")).endswith("none: the value is exact")


def test_a_scale_of_one_is_a_scale():
    inside, cast = str(explain("4", "mxfp4")), str(explain("4", "e2m1"))
    assert "V / X = 4, with X = 2^0" in inside
    assert "not scaled" not in inside
    assert "4, not scaled" in cast


@pytest.mark.parametrize("name", ["mxfp4/2", "mxfp8_e4m3/2", "mx9"])
def test_what_a_nan_scale_does_to_its_neighbours(name):
    found = explain(["nan", "1"], name, pad=True).elements[1]
    assert str(found.scaled) == "nan"
    assert found.flags == ("nan",)


@pytest.mark.parametrize("name", ["e2m1", "e8m0", "mxfp4", "nvfp4", "mx9", "ue4m3"])
def test_random_bits_that_nothing_takes_are_refused(name):
    with pytest.raises(ValueError, match=r"random is given, but .* draws nothing"):
        explain("1.3", name, random=5)


def test_complaints_name_what_was_given():
    q = mxref.quantize(X, "mxfp4")
    with pytest.raises(ValueError, match=r"^an MXArray of shape \(4, 64\)"):
        explain(q)
    with pytest.raises(ValueError, match=r"^a BDRArray"):
        explain(bdr.quantize(X, "mx9"))
    with pytest.raises(ValueError, match="axis 0 is empty"):
        explain(np.zeros((0, 32), np.float32), "mxfp4", at=(0, 0))
    with pytest.raises(TypeError, match=r"got an MXArray; print\(\) shows one"):
        show(q)
    with pytest.raises(TypeError, match=r"got a float; .*explain\(VALUE, FORMAT\)"):
        explain("e4m3", 1.3)
    with pytest.raises(TypeError, match=r"^show\(\) missing"):
        mxref.show()
    with pytest.raises(ValueError, match=r"32 elements, got 0$"):
        explain([], "mxfp4")


def test_a_line_without_a_value_names_the_nearest():
    text = str(numberline("e2m1", low="1.1", high="1.2"))
    assert text.splitlines()[2:] == [
        "  no value of e2m1 lies on this line",
        "  nearest below: 1 = code 0x2",
        "  nearest above: 1.5 = code 0x3",
    ]
    assert numberline("e2m1", low="1.1", high="1.2").to_ansi()
    assert "above" not in str(numberline("e2m1", low=7, high=8))
    assert "nearest below: -6 " not in str(numberline("e2m1", low=-9, high=-8))
    assert "nearest above: -6 = code 0xf" in str(numberline("e2m1", low=-9, high=-8))


def test_a_column_of_several_values_is_named_by_zero():
    lines = str(numberline("e2m1", low=-1000, high=1000)).splitlines()
    assert lines[1].strip("- ") == "#"
    assert (lines[2].split(), lines[3].split()) == (["0"], ["0"])
