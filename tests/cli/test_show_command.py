import json
import re
import sys

import numpy as np
import pytest

import mxref
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


PYTHON = re.compile(
    r"mxref\.\w+|\b\w+=\(|\bat=|pad=True|as random|[^-]policy out|dequantize|log=False"
)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("show", "e4m3", "300"), "mxref explain 300 e4m3"),
        (("show", "e4m3", "seven"), "mxref explain NUMBER e4m3"),
        (("show", "e4m3", "-1"), "codes of e4m3 are 0 to 255 (0xff); the pattern of -1 in two's"),
        (("show", "int8", "-1"), "two's complement is 0xff"),
        (("show", "e4m3", "--line", "--log", "--low", "-1"), "--low -1: try --linear"),
        (("show", "e4m3", "--line", "--low", "2", "--high", "1"), "--low 2 and --high 1"),
        (("explain", "1,2", "e4m3"), "--at 0,5 picks"),
        (("explain", "1,2", "nvfp4"), "--pad"),
        (("explain", "1,2", "mxfp4"), "--pad to complete it with zeros, or explain a block"),
        (("explain", "x.npy", "mxfp4"), "such as --at 0,5"),
        (("explain", "x.npy", "mxfp4", "--at", "9,9"), "--at 9,9 lies outside"),
        (("explain", "x.npy", "mxfp4", "--at", "9"), "--at 9 has 1 of 2 axes"),
        (("explain", "1.3", "e4m3", "--at", "3"), "--at picks a place of FILE.npy"),
        (("explain", "i.npy", "mxfp4", "--at", "1"), "holds int32, expected numbers"),
        (("explain", "1.3", "mxfp4", "--policy", "ocp:rounding=stochastic-a"), "add --random R"),
        (("explain", "1", "mxfp4", "--policy", "ocp:scale_rule=stochastic"), "add --scale-random"),
        (("explain", "1.3", "nvfp4", "--policy", "te-1d:rounding=stochastic"), "add --random R"),
        (("explain", "1.3", "e4m3", "--random", "5"), "--random is given, but rounding=nearest"),
        (("explain", "1.3", "e8m0", "--random", "5"), "--random is given, but a cast to a scale"),
        (("explain", "1.3", "mxfp4", "--scale-random", "5"), "--scale-random is given"),
        (("explain", "1.3", "e4m3", "--global-amax", "5"), "--global-amax goes with nvfp4"),
        (("explain", "1.3", "nvfp4", "--global-amax=-5"), "--global-amax is -5"),
        (("explain", "1.3", "nvfp4", "--global-scale=-5"), "--global-scale is -5"),
        (("explain", "1", "nvfp4", "--global-scale", "abc"), "--global-scale: cannot read 'abc'"),
        (
            ("explain", "q.npz"),
            "an MXArray of shape (2, 64) holds many numbers: say which, such as",
        ),
        (("explain", "q.npz", "e4m3", "--at", "0,0"), "leave FORMAT out"),
        (("explain", "q.npz", "--at", "0,0", "--policy", "ocp"), "leave --policy out"),
    ],
)
def test_errors_speak_as_the_command_line_does(fails, tmp_path, monkeypatch, args, said):
    monkeypatch.chdir(tmp_path)
    x = np.ones((2, 64), np.float32)
    np.save("x.npy", x)
    np.save("i.npy", np.arange(64, dtype=np.int32))
    mxref.quantize(x, "mxfp4").save("q.npz")
    message = fails(*args)
    assert said in message
    assert not PYTHON.search(message)
    assert "--codes" not in message


def test_an_unknown_option_is_refused(invoke):
    result = invoke("show", "e4m3", "--lin")
    assert result.exit_code == 2
    assert "No such option '--lin'" in result.stderr
