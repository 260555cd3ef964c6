import json
import sys

from mxref.show import numberline, show


def test_codes_formats_and_policies(invoke):
    assert invoke("show", "mx9", "0x45").output == f"{show('mx9', 0x45)}\n"
    assert invoke("show", "nvfp4").output == f"{show('nvfp4')}\n"
    assert invoke("show", "bdr:m=2,k1=8").output == f"{show('bdr:m=2,k1=8')}\n"
    assert invoke("show", "e2m1", "5", "0x6").output == f"{show('e2m1', [5, 6])}\n"
    truncated = invoke("show", "e2m1", "5", "--policy", "ocp:rounding=toward-zero").output
    assert "takes      [3, 4)   toward zero" in truncated
    several = json.loads(invoke("show", "e2m1", "5", "6", "--json").output)
    assert [code["code"] for code in several["codes"]] == [5, 6]


def test_colours_only_where_they_are_wanted(invoke):
    assert "\x1b" not in invoke("show", "e4m3", "0x7e").output
    assert "\x1b[31m0" in invoke("show", "e4m3", "0x7e", "--color", "always").output
    assert "\x1b" not in invoke("show", "e4m3", "0x7e", "--color", "never").output


def test_lines(invoke, fails):
    assert invoke("show", "e2m1", "5", "--line").output == f"{numberline('e2m1', 5)}\n"
    bounded = invoke("show", "e4m3", "--line", "--low", "0", "--high", "1/2", "--linear").output
    assert bounded == f"{numberline('e4m3', low=0, high='1/2')}\n"
    assert '"points"' in invoke("show", "e2m1", "--line", "--json").output
    assert "go with --line or --plot" in fails("show", "e4m3", "--low", "0")
    assert "around one code, got 2: 1 2" in fails("show", "e4m3", "1", "2", "--line")
    assert "draw its element" in fails("show", "mxfp4", "--line")


def test_bad_input(fails):
    assert "which format?" in fails("show")
    assert "without rounding of its own" in fails("show", "mxfp4", "--policy", "ocp")
    assert "did you mean 'ocp'" in fails("show", "e4m3", "1", "--policy", "opc")
    assert "did you mean" in fails("show", "mx8")
    assert "m=40" in fails("show", "bdr:m=40,k1=2")
    assert "codes of ue4m3 are 0 to 127" in fails("show", "ue4m3", "0x80")
    assert "bdr-paper" in fails("show", "mx9", "1", "--policy", "ocp")


def test_pictures(fails, monkeypatch, tmp_path):
    assert "ends in .svg" in fails("show", "e2m1", "--plot", "a.bmp")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = fails("show", "e2m1", "--plot", str(tmp_path / "a.svg"))
    assert "pip install 'mxref[plot]'" in said
