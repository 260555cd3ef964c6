import json

import pytest

import mxref


def test_show(invoke):
    assert "448" in invoke("show", "e4m3", "0x7e").output
    assert invoke("show", "e4m3", "126").output == invoke("show", "e4m3", "0x7e").output
    assert invoke("show", "mxfp4").exit_code == 0
    assert json.loads(invoke("show", "e4m3", "0x7e", "--json").output)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("e4m4",), "did you mean 'e4m3'"),
        (("e4m3", "0x100"), "0 to 255"),
        (("e2m1", "-1"), "0 to 15"),
        (("e4m3", "seven"), "seven"),
    ],
)
def test_show_refuses(invoke, args, said):
    result = invoke("show", "--", *args)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(
    "value", ["1.3", "-1.3", "-0", "inf", "-inf", "nan", "1e-45", "0x3fa66666"]
)
def test_explain(invoke, value):
    result = invoke("explain", value, "e4m3")
    assert result.exit_code == 0, result.output
    assert json.loads(invoke("explain", value, "e4m3", "--json").output)["format"] == "e4m3"


def test_explain_with_policy_and_type(invoke):
    assert (
        json.loads(invoke("explain", "465", "e4m3", "--policy", "ml_dtypes", "--json").output)[
            "code"
        ]
        == 0x7F
    )
    # 1.31640625 is above the midpoint 1.3125, but not once it is a bfloat16.
    codes = [
        json.loads(invoke("explain", "1.31640625", "e4m3", "--json", *more).output)["code"]
        for more in ((), ("--input-dtype", "bfloat16"))
    ]
    assert codes == [0x3B, 0x3A]


def test_explain_refuses(fails):
    assert "cannot read" in fails("explain", "x", "e4m3")
    assert "did you mean 'ocp'" in fails("explain", "1", "e4m3", "--policy", "opc")
    assert "unknown" in fails("explain", "1", "e9m9")


def test_profiles(invoke, fails):
    assert "ml_dtypes" in invoke("profiles").output
    assert json.loads(invoke("profiles", "--json").output)["ocp"] == {}
    shown = invoke("profiles", "show", "ocp").output
    for field, point in mxref.policy.OPEN_POINT_OF.items():
        assert field in shown
        assert point in shown
    assert max(map(len, shown.splitlines())) <= 80
    fields = json.loads(invoke("profiles", "show", "ml_dtypes", "--json").output)["fields"]
    assert fields["fp8_overflow"]["choice"] == "overflow"
    assert fields["fp8_overflow"]["ocp"] == "saturate"
    assert "rounding = " in invoke("profiles", "show", "ocp:rounding=up").output.replace("\n", " ")
    assert "did you mean 'ocp'" in fails("profiles", "show", "opc")


def test_doctor(invoke):
    facts = json.loads(invoke("doctor", "--json").output)
    assert facts["mxref"] == mxref.__version__
    assert facts["numpy"] != "missing"
    assert int(facts["threads"]) >= 1
    assert "cache" in invoke("doctor").output
