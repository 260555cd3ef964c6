import itertools
import json
import re
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mxref._choices import E8M0Rounding, FP8Overflow, NanPayload, Rounding, ScaleRule
from mxref.exact import block as exact_block
from mxref.exact import element as exact_element
from mxref.exact import ieee
from mxref.exact import scale as exact_scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, block_format
from mxref.policy import Policy
from mxref.show import explain
from mxref.show._explain_reach import threshold

GOLDEN = """\
1.3 to mxfp4, policy ocp
  block      the other 31 elements are taken to be zero
  classify   1 number: 1 finite
  amax       amax = |V[0]| = ~1.29999995 = m * 2^E, m = ~1.29999995, E = 0
             [MX-1.0/6.3/scale]
  rule       floor takes E, whatever m is  [MX-1.0/6.3/scale]  [OP-SCALE-RULE]
  threshold  2^-2 serves amax in [1, 2); the lower end is ~23.1 % away
             [OP-SCALE-RULE]
  exponent   0 - emax 2 = -2, within -127 to 127
  scale      0x7d = 2^-2 = 0.25  [MX-1.0/5.4/e8m0]

element, e2m1
  given      float32 0x3fa66666 = 5452595/4194304 = +5452595*2^-22 = ~1.29999995
  classify   finite, sign +
  scale      V / X = ~5.19999981, with X = 2^-2  [MX-1.0/6.3/elements]
             [OP-SCALED-INTERMEDIATE]
  align      +0b1.0 | 1 | 0 | 1 *2^2   kept | guard | round | sticky
  round      above half: nearest-even goes up to +0b1.1*2^2 = 6
             [MX-1.0/6.3/rounding]  [OP-ELEM-ROUNDING]
  overflow   no: magnitude 6 is at most 6
  pack       0 | 11 | 1 = 0x7  [MX-1.0/5.3/fp4]
  decoded    X * P = 2^-2 * 6 = 1.5, float32 0x3fc00000  [MX-1.0/5.1/value]
  error      ~+0.2 = ~+0.4 ulp of 0.5, ~+15.4 %"""

GOLDEN_TIE = """\
5 to e2m1, policy ocp
  given      float32 0x40a00000 = 5 = +5*2^0
  classify   finite, sign +
  scale      5, not scaled
  align      +0b1.0 | 1 | 0 | 0 *2^2   kept | guard | round | sticky
  round      a tie: nearest-even goes down to +0b1.0*2^2 = 4
             [MX-1.0/6.3/rounding]  [OP-ELEM-ROUNDING]
  overflow   no: magnitude 4 is at most 6
  pack       0 | 11 | 0 = 0x6  [MX-1.0/5.3/fp4]
  decoded    4, float32 0x40800000
  error      -1 = -0.5 ulp of 2, -20 %"""

GOLDEN_BLOCK = """\
4 numbers to mxfp4/4, policy ocp
  classify   4 numbers: 4 finite
  amax       amax = |V[3]| = 7 = m * 2^E, m = 1.75, E = 2  [MX-1.0/6.3/scale]
  rule       floor takes E, whatever m is  [MX-1.0/6.3/scale]  [OP-SCALE-RULE]
  threshold  2^0 serves amax in [4, 8); the upper end is ~14.3 % away
             [OP-SCALE-RULE]
  exponent   2 - emax 2 = 0, within -127 to 127
  scale      0x7f = 2^0 = 1  [MX-1.0/5.4/e8m0]

i   given   V / X  code  decoded  error/ulp
0       1       1   0x2        1          0
1    -2.5    -2.5   0xc       -2        0.5  tie
2  ~0.001  ~0.001   0x0        0    ~-0.002  to zero
3       7       7   0x7        6       -0.5  amax, tie, overflow"""

GOLDEN_OVERFLOW = """\
500 to e4m3, policy ocp:fp8_overflow=overflow, int8_min=used
  given      float32 0x43fa0000 = 500 = +125*2^2
  classify   finite, sign +
  scale      500, not scaled
  align      +0b1.111 | 1 | 0 | 1 *2^8   kept | guard | round | sticky
  round      above half: nearest-even goes up to +0b1.000*2^9 = 512, a carry
             into the next binade  [OFP8-1.0/rounding]  [OP-ELEM-ROUNDING]
  overflow   yes: magnitude 512 is more than 448 and becomes nan
             (fp8_overflow=overflow)  [OFP8-1.0/overflow-ovf]  [OP-FP8-OVERFLOW]
  pack       0 | 1111 | 111 = 0x7f  [OFP8-1.0/e4m3]
  decoded    nan, float32 0x7fc00000"""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("1.3", "mxfp4"), GOLDEN),
        (("5", "e2m1"), GOLDEN_TIE),
        (([1, -2.5, 1e-3, 7], "mxfp4/4"), GOLDEN_BLOCK),
        (("500", "e4m3", "ocp:fp8_overflow=overflow,int8_min=used"), GOLDEN_OVERFLOW),
    ],
)
def test_text_is_as_agreed(arguments, text):
    assert str(explain(*arguments)) == text
    assert repr(explain(*arguments)) == text


# --- the words agree with the definition ------------------------------------------------------

REAL = {NumberClass.ZERO, NumberClass.FINITE}
float32_bits = st.integers(0, 2**32 - 1)
near_one = st.integers(-20, 20).flatmap(
    lambda e: st.integers(0, 2**9).map(lambda m: Fraction(2**9 + m, 2**9) * Fraction(2) ** e)
)
elements = st.sampled_from(sorted(ELEMENT_FORMATS))
policies = st.builds(
    Policy,
    rounding=st.sampled_from(Rounding),
    fp8_overflow=st.sampled_from(FP8Overflow),
    neg_zero=st.sampled_from(["keep", "drop", "drop-input"]),
    input_subnormal=st.sampled_from(["keep", "flush"]),
    element_subnormal=st.sampled_from(["gradual", "flush"]),
    relu=st.sampled_from(["off", "on"]),
    stochastic_bits=st.sampled_from(["3", "8"]),
    int8_min=st.sampled_from(["used", "unused"]),
    nan_element=st.sampled_from(["pos-max", "signed-max", "zero", "flipped-zero"]),
    nan_payload=st.sampled_from(NanPayload),
)


def step(explanation, name):
    return next((s.text for s in explanation.steps if s.name == name), None)


def check_words(explanation, number, fmt):
    """Rounded value, its bits, overflow and code in the text are those of the definition."""
    code = explanation.code
    value = exact_element.decode(code, fmt)
    width = -(-fmt.bits // 4)
    assert step(explanation, "pack").endswith(f"= 0x{code:0{width}x}")
    text = step(explanation, "round")
    if text is None:
        return
    if "0b" not in step(explanation, "align"):  # INT8, far beyond its range
        assert step(explanation, "overflow").startswith("yes")
        return
    kept, exponent = re.fullmatch(
        r"[+-]0b([01.]+) \| [01] \| [01] \| [01] \*2\^(-?\d+)   .*", step(explanation, "align")
    ).groups()
    guard, round_bit, sticky = map(
        int, re.search(r"\| ([01]) \| ([01]) \| ([01]) ", step(explanation, "align")).groups()
    )
    last = Fraction(2) ** (int(exponent) - fmt.mantissa_bits)
    low = int(kept.replace(".", ""), 2) * last + (2 * guard + round_bit) * last / 4
    X = Fraction(1)
    if explanation.block is not None:
        X = exact_scale.decode(explanation.scale_code, "e8m0").value
    scaled = number.magnitude / X
    assert scaled == low if not sticky else low < scaled < low + last / 4
    if "stochastic" not in text:
        assert ("a tie" in text) == ((guard, round_bit, sticky) == (1, 0, 0))
    about, digits = re.search(r"= (~?)(-?[\d.e+-]+)(?:,|$)", text).groups()
    rounded = Fraction(digits)
    if step(explanation, "flush") is not None:
        assert (code & (fmt.sign_mask - 1), value.value) == (0, 0)
        return
    if step(explanation, "overflow").startswith("no"):
        assert not about
        assert value.cls in REAL
        assert rounded == value.value
    else:
        limit = value.magnitude if value.cls is NumberClass.FINITE else fmt.max
        assert abs(rounded) > limit
        assert "overflow" in explanation.flags or fmt.name == "int8"


def drawn(policy, random):
    """Random bits, only where the policy takes them: others are refused."""
    return random if "stochastic" in policy.rounding else None


@settings(deadline=None)
@given(float32_bits, elements, policies)
@example(0x43FA0000, "e4m3", Policy(rounding="toward-zero", fp8_overflow="overflow"))
@example(0xC0000000, "int8", Policy(int8_min="used"))
@example(0x80000001, "e2m1", Policy(neg_zero="drop"))
def test_words_for_any_float32(bits, name, policy):
    fmt, number = ELEMENT_FORMATS[name], ieee.from_bits(bits, "float32")
    explanation = explain(f"0x{bits:08x}", name, policy, random=drawn(policy, 5))
    assert explanation.code == exact_element.encode(number, fmt, policy, random=5)
    check_words(explanation, number, fmt)
    assert all(len(line) <= 80 for line in str(explanation).splitlines())
    json.dumps(explanation.to_dict(), allow_nan=False)


@settings(deadline=None)
@given(near_one, st.sampled_from([1, -1]), elements, policies)
def test_words_where_the_format_has_its_values(value, sign, name, policy):
    fmt, number = ELEMENT_FORMATS[name], Number.finite(sign * value)
    explanation = explain(sign * value, name, policy, random=drawn(policy, 3))
    check_words(explanation, number, fmt)


@settings(deadline=None)
@given(
    st.lists(float32_bits, min_size=1, max_size=6),
    st.sampled_from(sorted(BLOCK_FORMATS)),
    policies,
    st.sampled_from(ScaleRule),
    st.sampled_from(["nan-scale", "ignore"]),
    st.sampled_from(["nan-scale", "saturate", "ignore"]),
)
def test_words_for_any_block(bits, name, policy, rule, scale_nan, scale_inf):
    policy = policy.replace(scale_rule=rule, scale_nan=scale_nan, scale_inf=scale_inf)
    searches = rule in ("mse", "mae")
    if searches and "stochastic" in policy.rounding:
        policy = policy.replace(rounding="up")
    draws = [6, *range(5)][: len(bits)]
    fmt = block_format(name, len(bits))
    numbers = [ieee.from_bits(b, "float32") for b in bits]
    given = drawn(policy, draws)
    explanation = explain([f"0x{b:08x}" for b in bits], fmt, policy, random=given, scale_random=7)
    scale_code, codes = exact_block.quantize(numbers, fmt, policy, random=draws, scale_random=7)
    assert (explanation.scale_code, explanation.codes) == (scale_code, codes)
    assert step(explanation, "scale").startswith(f"0x{scale_code:02x} = ")
    values = exact_block.dequantize(scale_code, codes, fmt)
    for element, number, value in zip(explanation.elements, numbers, values, strict=True):
        assert element.value == value
        check_words(element, number, fmt.element)
        if element.error is not None:
            assert element.error.absolute == value.value - number.value
    exponent = step(explanation, "exponent")
    search = step(explanation, "search")
    if searches and search is not None:
        errors = re.findall(r"0x(..): (~?[\d.e+-]+|unbounded)", search)
        assert f"{scale_code:02x}" in dict(errors)
    elif exponent is not None:
        given_exponent = int(re.search(r"(?:= |^)(-?\d+),", exponent)[1])
        assert min(max(given_exponent, -127), 127) + 127 == scale_code
    lines = str(explanation).splitlines()
    assert all(len(line) <= 80 for line in lines)
    json.dumps(explanation.to_dict(), allow_nan=False)


# Draws and searches have no threshold: their steps depend on more than amax.
BY_AMAX = [rule for rule in ScaleRule if rule not in ("stochastic", "mse", "mae")]


@pytest.mark.parametrize(
    ("rule", "name"), list(itertools.product(BY_AMAX, ELEMENT_FORMATS)), ids=str
)
def test_thresholds_are_those_of_the_definition(rule, name):
    fmt = ELEMENT_FORMATS[name]
    at, inclusive = threshold(rule, fmt)
    tiny = Fraction(1, 2**40)
    places = {Fraction(1), Fraction(3, 2), 2 - tiny}
    if at is not None:
        places |= {p for p in (at - tiny, at, at + tiny) if 1 <= p < 2}
    emax = 0 if rule == "p3109" else fmt.emax
    for m in places:
        adds = exact_scale.rule_exponent(m * 16, fmt, rule) - (4 - emax)
        words = step(
            explain(m * 16, block_format(f"mx{_block(name)}/1"), f"ocp:scale_rule={rule}"), "rule"
        )
        if at is not None:
            assert adds == (m >= at if inclusive else m > at)
            assert words.endswith("it is" if adds else "it is not")
        assert words.startswith(str(rule))


def _block(name):
    return {"e2m1": "fp4", "int8": "int8", "e3m2": "fp6_e3m2", "e2m3": "fp6_e2m3"}.get(
        name, f"fp8_{name}"
    )


@settings(deadline=None)
@given(float32_bits, st.sampled_from(E8M0Rounding), st.sampled_from(["nan", "magnitude"]))
def test_scale_casts(bits, rounding, negative):
    policy = Policy(e8m0_rounding=rounding, e8m0_negative=negative)
    explanation = explain(f"0x{bits:08x}", "e8m0", policy)
    assert explanation.code == exact_scale.encode(ieee.from_bits(bits, "float32"), "e8m0", policy)
    words = step(explanation, "round")
    if words is not None:
        exponent = int(words.rpartition("^")[2])
        assert min(max(exponent, -127), 127) + 127 == explanation.code
    assert all(len(line) <= 80 for line in str(explanation).splitlines())


STEPS = [
    # what is explained, under which policy: the step, what it says, its open point
    ("7", "mxfp4", "scale_rule=p3109", "rule", "m = 1.75: it is", "OP-SCALE-RULE"),
    ("7", "mxfp4", "scale_rule=p3109", "exponent", "2 + 1 = 3, within", ""),
    (
        "6",
        "mxfp4",
        "scale_rule=rceil,scale_quotient=reciprocal",
        "quotient",
        "6 * ~0.166666672, the float32 nearest to 1 / 6, in float32: 1",
        "OP-SCALE-QUOTIENT",
    ),
    ("5", "mxfp4", "scale_rule=rceil,scale_quotient=float32", "rule", "up: 2^0", ""),
    (
        "0x40ffffff",
        "mxfp4",
        "scale_log2=float32",
        "rule",
        "floor of log2 in float32, 3 (scale_log2=float32), gives 3",
        "OP-SCALE-LOG2",
    ),
    ("70000", "mxfp4", "scale_amax=float16,scale_inf=saturate", "special", "beyond float16", ""),
    ("257", "mxfp4", "scale_amax=bfloat16", "held", "amax as a bfloat16: 256", "OP-SCALE-QUOTIENT"),
    (
        "1e-40",
        "mxfp4",
        "scale_subnormal=bits",
        "subnormal",
        "read as a normal",
        "OP-SCALE-SUBNORMAL",
    ),
    ("1e-40", "mxfp4", "scale_subnormal=flush", "amax", "scale_zero_block=min", ""),
    ("0", "mxint8", "scale_zero_block=min-normal", "amax", "2^-126 stands for amax", ""),
    (
        "3e38",
        "mxint8",
        "scale_above=clamp-125",
        "exponent",
        "above 125: scale_above",
        "OP-SCALE-RANGE",
    ),
    ("1e-38", "mxfp8_e5m2", "scale_below=flush-block", "exponent", "every element is +0", ""),
    ("inf", "mxfp4", "scale_inf=flush-block", "special", "every element is +0", ""),
    ("inf", "mxfp4", "scale_inf=exponent-field", "amax", "amax = 2^128", "OP-SCALE-NONFINITE"),
    (
        "1e-40",
        "mxfp4",
        "input_subnormal=flush",
        "read",
        "1 subnormal in float32",
        "OP-ELEM-SUBNORMAL",
    ),
    ("7", "mxfp4", "scale_rule=mse", "search", "0x7f: 1, 0x80: 1, 0x7e: 16", "OP-SCALE-RULE"),
    ("-3", "e4m3", "relu=on", "relu", "what is negative becomes +0: relu=on", "OP-ELEM-SUBNORMAL"),
    ("1e-40", "e5m2", "input_subnormal=flush", "read", "subnormal in float32, zero", ""),
    (
        "0.3",
        "e2m1",
        "element_subnormal=flush",
        "flush",
        "0.5 is subnormal",
        "MX-1.0/5.3/subnormals",
    ),
    ("-0", "e4m3", "neg_zero=drop-input", "zero", "loses its sign", "OP-NEG-ZERO"),
    (
        "1.2500001",
        "e2m1",
        "scaled_intermediate=bfloat16",
        "narrow",
        "V / X as a bfloat16: rounded once already, to 1.25",
        "OP-SCALED-INTERMEDIATE",
    ),
    ("inf", "e5m2", "fp8_overflow=propagate", "special", "becomes inf", "OFP8-1.0/inf-ovf"),
    ("1e6", "e5m2", "fp8_overflow=propagate", "overflow", "becomes 57344", "OFP8-1.0/overflow-sat"),
    ("1e6", "e5m2", "fp8_overflow=sat-none", "overflow", "becomes inf", "OFP8-1.0/overflow-ovf"),
]


@pytest.mark.parametrize(("x", "name", "changes", "where", "text", "clause"), STEPS)
def test_every_choice_has_its_words(x, name, changes, where, text, clause):
    explanation = explain(x, name, f"ocp:{changes}")
    found = [s for s in explanation.steps if s.name == where and text in s.text]
    assert found, str(explanation)
    assert not clause or clause in found[0].clauses


STOCHASTIC = [
    ("a", 1, "v = 0.6 of a step, N = 2: floor(v * 2^2) + R = 2 + 1 < 4: ", 2),
    ("a", 2, "2 + 2 >= 4: stochastic-a goes up", 3),
    ("b", 1, "floor(v * 2^3) + (2 R + 1) = 4 + 3 < 8", 2),
    ("c", 2, "v * 2^2 to nearest, + R = 2 + 2 >= 4", 3),
]


@pytest.mark.parametrize(("mode", "R", "text", "code"), STOCHASTIC)
def test_random_bits_are_shown(mode, R, text, code):
    policy = f"ocp:rounding=stochastic-{mode},stochastic_bits=2"
    explanation = explain(Fraction(13, 10), "e2m1", policy, random=R)
    assert text in step(explanation, "round")
    assert explanation.code == code
    assert explain(["1.3", "1"], "mxfp4/2", policy, random=[R, 0]).codes[1] == 6
    with pytest.raises(ValueError, match="needs random bits: hand in a number of 2 bits"):
        explain("1.3", "e2m1", policy)
    with pytest.raises(ValueError, match="3 random numbers for 2 elements"):
        explain([1, 2], "mxfp4/2", policy, random=[1, 2, 3])


def test_a_random_scale_shows_its_bits():
    policy = "ocp:scale_rule=stochastic,stochastic_bits=3"
    up = explain("7", "mxfp4", policy, scale_random=2)
    text = "v = 0.75 of a step, N = 3: floor(v * 2^3) + R = 6 + 2 >= 8: 3"
    assert (step(up, "rule"), up.scale_code) == (text, 128)
    assert explain("7", "mxfp4", policy, scale_random=1).scale_code == 127


def test_a_flushed_block_says_so_in_its_elements():
    found = explain(["inf", "-1"], "mxfp4/2", "ocp:scale_inf=flush-block")
    assert (found.scale_code, found.codes) == (0, (0, 0))
    assert "every element is +0" in str(found.elements[1])


# --- what people type ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "pattern"),
    [
        (1.3, "float64 0x3ff4cccccccccccd"),
        ("1.3", "float32 0x3fa66666"),
        (" 0x3FA66666 ", "float32 0x3fa66666"),
        ("bfloat16:0x3fa6", "bfloat16 0x3fa6"),
        ("float16:1.3", "float16 0x3d33"),
        ("float64:1.3", "float64 0x3ff4cccccccccccd"),
        (np.float32(1.3), "float32 0x3fa66666"),
        (np.float16(1.3), "float16 0x3d33"),
        (np.float64(1.3), "float64 0x3ff4cccccccccccd"),
        (ml_dtypes.bfloat16(1.3), "bfloat16 0x3fa6"),
        (np.array(1.3, ">f4"), "float32 0x3fa66666"),
        (3, ""),
        (np.int16(-3), ""),
        (Fraction(1, 3), ""),
        ("-0", "float32 0x80000000"),
        ("-Infinity", "float32 0xff800000"),
        ("-nan", "float32 0xffc00000"),
        ("0x7fa00000", "float32 0x7fa00000"),
        ("1e400", "float32 0x7f800000"),
        ("-1e-999999999", "float32 0x80000000"),
        ("1e999999999", "float32 0x7f800000"),
        (".5", "float32 0x3f000000"),
        ("5.", "float32 0x40a00000"),
    ],
)
def test_numbers_are_read_as_they_are(x, pattern):
    explanation = explain(x, "e4m3")
    assert explanation.given.pattern == pattern
    str(explanation)


def test_blocks_come_as_lists_and_arrays():
    values = np.array([[1.0, -2.5, 0.001, 7.0]], np.float32)
    for x in (values[0], values[0].tolist(), tuple(values[0]), values[0].astype(">f4")):
        assert explain(x, "mxfp4/4").codes == (2, 12, 0, 7)
    assert explain(values[0], "mxfp4", "ocp:block_tail=zero-pad").codes == (2, 12, 0, 7)


def test_a_nan_block_and_a_zero_block():
    text = str(explain("nan", "mxfp4"))
    assert "scale_nan=nan-scale  [OP-SCALE-NONFINITE]" in text
    assert "0xff = NaN" in text
    zero = explain([0.0, -0.0], "mxfp8_e4m3/2")
    assert zero.scale_code == 0
    assert "[OP-SCALE-ZERO-BLOCK]" in str(zero)
    assert zero.codes == (0, 0x80)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("1.3", "mxpf4"), ValueError, "did you mean .*'mxfp4'"),
        (("1.3", "mxfp4", "opc"), ValueError, "did you mean 'ocp'"),
        (("1,3", "e4m3"), ValueError, "cannot read '1,3' as a number; write a decimal"),
        (("", "e4m3"), ValueError, "cannot read ''"),
        (("٣", "e4m3"), ValueError, "cannot read '٣' as a number"),
        (("1_0", "e4m3"), ValueError, "cannot read '1_0'"),
        (("0x3fa6", "e4m3"), ValueError, "bits of a float32 are 8 hexadecimal digits, got 4"),
        (("float9:1", "e4m3"), ValueError, "'float9' is not one of float32"),
        (([1, 2], "e4m3"), ValueError, "takes one number"),
        (([1, 2], "mxfp4"), ValueError, "has 32 elements, got 2; .*'mxfp4/2'"),
        (([], "mxfp4"), ValueError, "has 32 elements, got 0"),
        ((np.zeros((2, 32)), "mxfp4"), ValueError, "flat sequence"),
        ((["1", "x"], "mxfp4/2"), ValueError, "cannot read 'x'"),
        ((True, "e4m3"), TypeError, "expected a number"),
        ((None, "e4m3"), TypeError, "expected a number"),
        ((1j, "e4m3"), TypeError, "expected a number"),
        ((np.float32("nan"), "e2m1", "ocp:nan_element=raise"), ValueError, "nan_element=raise"),
        (("nan", "mxfp4", "ocp:scale_nan=raise"), ValueError, "scale_nan=raise"),
    ],
)
def test_bad_input_says_what_to_do(arguments, kind, message):
    with pytest.raises(kind, match=message):
        explain(*arguments)
