import json
import subprocess
import sys
from fractions import Fraction

import pytest

import mxref
from mxref.exact import element as exact_element
from mxref.exact import scale as exact_scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, SCALE_FORMATS
from mxref.show import show

SCALARS = {**ELEMENT_FORMATS, **SCALE_FORMATS}
REAL = {NumberClass.ZERO, NumberClass.FINITE}


def encode(value, fmt, sign_of_zero=0, policy="ocp"):
    number = Number.finite(value, sign_of_zero)
    if fmt.name in SCALE_FORMATS:
        return exact_scale.encode(number, fmt, policy)
    return exact_element.encode(number, fmt, policy)


def decode(code, fmt):
    module = exact_scale if fmt.name in SCALE_FORMATS else exact_element
    return module.decode(code, fmt)


def every_code():
    return [pytest.param(fmt, id=name) for name, fmt in SCALARS.items()]


GOLDEN = """\
e4m3 code 0x7e, 126 of 0..255
  bits       0 | 1111 | 110   sign | exponent | mantissa
  class      normal  [OFP8-1.0/e4m3]
  value      448 = +7*2^6 = +0b1.110*2^8
  position   value 126 above zero
  below      416 = code 0x7d, gap 32
  above      none
  takes      [432, 464]   to nearest, ties to even  [OP-ELEM-ROUNDING]
             (464, +inf)   by saturation  [OP-FP8-OVERFLOW]
  note       +Inf becomes this code [OP-FP8-OVERFLOW]"""

GOLDEN_SUBNORMAL = """\
e5m2 code 0x83, 131 of 0..255
  bits       1 | 00000 | 11   sign | exponent | mantissa
  class      subnormal  [OFP8-1.0/e5m2]
  value      -3/65536 = -3*2^-16 = -4.57763671875e-05 = -0b0.11*2^-14
  position   value 3 below zero
  below      -2^-14 = code 0x84, gap 2^-16
  above      -2^-15 = code 0x82, gap 2^-16
  takes      (-7*2^-17, -5*2^-17)   to nearest, ties to even  [OP-ELEM-ROUNDING]"""

GOLDEN_SCALE = """\
e8m0 code 0x00, 0 of 0..255
  bits       00000000   exponent
  class      normal  [MX-1.0/5.4/e8m0]
  value      1/170141183460469231731687303715884105728 = +2^-127 =
             ~5.87747175e-39
  position   exponent 0 - 127 = -127
  below      none
  above      2^-126 = code 0x01, gap 2^-127
  takes      [0, 2^-127)   too small, or zero  [OP-E8M0-CAST]
             [2^-127, 2^-126)   a cast rounds down  [OP-E8M0-CAST]"""

GOLDEN_FORMAT = """\
e2m1: 4 bits = 1 sign + 2 exponent + 1 mantissa
  exponent   bias 1, 0 to 2 (emax)  [MX-1.0/5.3/fp4]
  max        6 = +3*2^1
  min normal 1 = +2^0
  subnormal  1/2 = +2^-1 = 0.5 is the smallest
  special    NaN none; Inf none

    exp        0    1
  0 00  2^0    0    0.5
  2 01  2^0    1    1.5
  4 10  2^1    2    3
  6 11  2^2    4    6
  0x8 to 0xf: the same, negative"""

GOLDEN_BDR = """\
mx6 code 0x1f, 31 of 0..31
  bits       1 | 1111   sign | magnitude
  class      fixed-point  [OP-BDR-QUANTIZER]
  value      -15/8 = -15*2^-3 = -1.875
  in block   times 2^-D * 2^(E - 127)
  position   value 15 below zero
  below      none
  above      -1.75 = code 0x1e, gap 0.125
  takes      (-inf, -1.9375]   by saturation  [OP-BDR-QUANTIZER]
             (-1.9375, -1.8125)   to nearest, ties to even  [OP-BDR-QUANTIZER]"""

GOLDEN_POLICY = """\
ue4m3 code 0x01, 1 of 0..127
  bits       0 | 0000 | 001   unused | exponent | mantissa
  class      subnormal  [OP-NVFP4-RECIPE]
  value      1/512 = +2^-9 = 0.001953125 = +0b0.001*2^-6
  in block   times the element, times global_scale, a float32 for the whole
             tensor
  position   value 1 above zero
  below      0 = code 0x00, gap 0.001953125
  above      0.00390625 = code 0x02, gap 0.001953125
  policy     gguf
  takes      [2^-10, 3*2^-10)   to nearest, ties up  [OP-NVFP4-RECIPE]"""

GOLDEN_CODES = """\
e4m3: 3 codes
  policy     ocp:fp8_overflow=overflow
  code  bits        class   value  takes
  0x7f  0 1111 111  NaN     NaN    (-inf, -464) (464, +inf)
  0x80  1 0000 000  zero    -0     [-2^-10, 0)
  0x38  0 0111 000  normal  1      [0.96875, 1.0625]"""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("e4m3", 0x7E), GOLDEN),
        (("e5m2", 0x83), GOLDEN_SUBNORMAL),
        (("e8m0", 0), GOLDEN_SCALE),
        (("e2m1",), GOLDEN_FORMAT),
        (("mx6", 0x1F), GOLDEN_BDR),
        (("ue4m3", 1, "gguf"), GOLDEN_POLICY),
        (("e4m3", [0x7F, "0x80", 0x38], "ocp:fp8_overflow=overflow"), GOLDEN_CODES),
    ],
)
def test_text_is_as_agreed(arguments, text):
    assert str(show(*arguments)) == text
    assert repr(show(*arguments)) == text  # a REPL shows the repr


@pytest.mark.parametrize("name", [*SCALARS, *BLOCK_FORMATS, "mxfp4/16"])
def test_every_format_fits_80_columns_of_ascii(name):
    views = [show(name)]
    if name in SCALARS:
        views += views[0].codes
    for view in views:
        text = str(view)
        assert text.isascii()
        assert max(map(len, text.splitlines())) <= 80
        assert not any(line.endswith(" ") for line in text.splitlines())
        json.dumps(view.to_dict(), allow_nan=False)


@pytest.mark.parametrize("fmt", every_code())
def test_values_and_neighbours_are_those_of_the_definition(fmt):
    values = sorted(
        {decode(code, fmt).value for code in range(fmt.code_count) if decode(code, fmt).cls in REAL}
    )
    for code, view in enumerate(show(fmt).codes):
        number = decode(code, fmt)
        if number.cls not in REAL:
            assert view.value is view.below is view.above is None
            assert all(taken.why == "negative" for taken in view.takes)
            continue
        assert view.value == number.value
        place = values.index(number.value)
        for neighbour, other in ((view.below, place - 1), (view.above, place + 1)):
            if not 0 <= other < len(values):
                assert neighbour is None
                continue
            assert neighbour.value == decode(neighbour.code, fmt).value == values[other]
            assert neighbour.gap == abs(values[other] - number.value)


def probes(interval):
    """The ends of an interval, its middle, and points just inside and outside."""
    tiny = Fraction(1, 2**200)
    ends = [end for end in (interval.low, interval.high) if end is not None]
    far = 2 * max(map(abs, ends))
    points = [end + step for end in ends for step in (-tiny, 0, tiny)]
    points.append(sum(ends) / 2 if len(ends) == 2 else far if interval.high is None else -far)
    return points


@pytest.mark.parametrize("fmt", every_code())
def test_intervals_are_those_of_the_definition(fmt):
    for code, view in enumerate(show(fmt).codes):
        intervals = [taken.interval for taken in view.takes]
        for interval in intervals:
            for value in probes(interval):
                if fmt.name in SCALE_FORMATS and value < 0:
                    continue
                claimed = any(value in i for i in intervals)
                assert claimed == (encode(value, fmt) == code), (hex(code), value)


@pytest.mark.parametrize("name", ["e4m3", "e5m2"])
def test_saturation_ends_where_the_other_policy_overflows(name):
    fmt = ELEMENT_FORMATS[name]
    view = show(name, fmt.max_magnitude)
    for value in probes(view.saturated):
        stays = encode(value, fmt, policy="ocp:fp8_overflow=overflow") == fmt.max_magnitude
        assert (value in view.interval) == stays


def test_codes_come_as_integers_or_text():
    import numpy as np

    for code in (0x7E, "0x7e", "0b1111110", "126", np.uint8(126)):
        assert show("e4m3", code).code == 126


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("e4m4", 1), ValueError, "did you mean 'e4m3'"),
        (("mxpf4",), ValueError, "did you mean .*'mxfp4'"),
        (("mxfp4/0",), ValueError, "block_size must be a positive integer"),
        (("e2m1", 16), ValueError, "code 16 is out of range: codes of e2m1 are 0 to 15"),
        (("e4m3", -1), ValueError, "out of range"),
        (("e4m3", "0x1ff"), ValueError, "out of range"),
        (("e4m3", "7e"), ValueError, "cannot read '7e' as a code"),
        (("e4m3", 1.5), TypeError, "mxref.explain"),
        (("e4m3", True), TypeError, "a code is an integer"),
        (("mxfp4", 3), ValueError, "block format without codes"),
        ((4,), TypeError, "a format is a name"),
    ],
)
def test_bad_input_says_what_to_do(arguments, kind, message):
    with pytest.raises(kind, match=message):
        show(*arguments)


def test_the_package_is_the_function():
    assert str(mxref.show("e4m3", 0x7E)) == GOLDEN
    assert mxref.show is sys.modules["mxref.show"]
    assert mxref.show.show is show


def test_nothing_heavy_is_imported():
    code = (
        "import sys, mxref.show as s; str(s('e4m3', 0x7e)); str(s.explain('1.3', 'mxfp4'));"
        "print([m for m in ('numpy', 'numba', 'ml_dtypes', 'rich', 'click') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


IMPORTS = """
import mxref.show.explain, mxref.show.numberline
import mxref.show as package
from mxref.show import explain, numberline, Explanation, NumberLine
assert package.explain is explain and package.numberline is numberline
assert callable(explain) and callable(numberline) and callable(package)
print(package("e2m1", 7).code, len(dir(package)) > 9)
"""


@pytest.mark.parametrize("first", ["mxref", "mxref.show", "mxref.show.explain", "mxref.show.codes"])
def test_a_function_is_never_hidden_by_the_module_of_its_name(first):
    done = subprocess.run(
        [sys.executable, "-c", f"import {first}\n{IMPORTS}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["7", "True"]


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'explane'"):
        _ = mxref.show.explane


def test_to_look_at_a_code_is_to_import_little():
    """What explains, draws and plots, and the relatives, wait until they are asked for."""
    code = (
        "import sys; from mxref.show import show; str(show('e4m3', 0x7e));"
        "print([m for m in sys.modules if 'explain' in m or 'numberline' in m or 'bdr_ele' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
