"""The oracle of the exact products is right: it equals the definition, on what is small enough."""

from fractions import Fraction

import numpy as np
import pytest
from gemm_operands import BLOCKS, PAIRS, addends, operands
from gemm_oracle import FLOATS, FORMATS, ROUNDINGS, Exact, integers, rounded, unit
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref._choices import Rounding
from mxref.exact import dot, element, ieee
from mxref.exact.number import Number, NumberClass, quantum, round_to_integer


def by_definition(a, b, c, i, j):
    """One output as a Number: `mxref.exact.dot`, and the addend as `mxref.exact` reads its bits."""
    size = a.format.block_size
    pairs = range(a.scales.shape[1])
    cut = [slice(p * size, (p + 1) * size) for p in pairs]
    found = dot.dot_general(
        [(int(a.scales[i, p]), a.codes[i, cut[p]].tolist()) for p in pairs],
        a.format,
        [(int(b.scales[p, j]), b.codes[cut[p], j].tolist()) for p in pairs],
        b.format,
    )
    if c is None:
        return found
    name = c.dtype.name
    return dot.sum_of([found, ieee.from_bits(int(c[i, j].view(FLOATS[name][1])), name)])


def to_bits(number, dtype, rounding):
    """The bits of a number in any rounding, from the parts of the definition."""
    fmt = ieee.IEEE_FORMATS[dtype]
    if number.cls is not NumberClass.FINITE:
        return ieee.to_bits(number, dtype)
    step = quantum(number.magnitude, fmt.mantissa_bits, 1 - fmt.bias)
    steps = round_to_integer(number.magnitude / step, number.sign, Rounding(rounding))
    found = steps * step
    if found > fmt.max:
        inward = {"toward-zero": True, "to-odd": True, "up": number.sign, "down": not number.sign}
        if not inward.get(rounding, False):
            return ieee.to_bits(Number.inf(number.sign), dtype)
        found = fmt.max
    if found == 0:
        return ieee.to_bits(Number.zero(number.sign), dtype)
    return ieee.to_bits(Number.finite(-found if number.sign else found), dtype)


@pytest.mark.parametrize("name", FORMATS)
def test_each_code_has_the_value_of_the_definition(name):
    table = integers(name)
    fmt = name.split("_")[-1] if "_" in name else {"mxfp4": "e2m1", "mxint8": "int8"}[name]
    for code, integer in enumerate(table.tolist()):
        number = element.decode(code, fmt)
        if number.cls in (NumberClass.FINITE, NumberClass.ZERO):
            assert number.value == integer * Fraction(2) ** unit(name)
        else:
            assert integer == 0


@pytest.mark.parametrize("dtype", FLOATS)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_rounding_is_that_of_the_definition(dtype, data):
    value = data.draw(st.integers(-(2**60), 2**60).filter(bool))
    least = -150 if dtype != "float64" else -1140
    exponent = data.draw(st.integers(least, 130) | st.integers(-90, 0))
    number = Number.finite(value * Fraction(2) ** exponent)
    for rounding in ROUNDINGS:
        assert rounded(value, exponent, dtype, rounding) == to_bits(number, dtype, rounding)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_products_are_those_of_the_definition(pair, data):
    a, b = data.draw(operands(pair, data.draw(st.sampled_from(BLOCKS))))
    c = data.draw(addends(Exact(a, b)))
    exact = Exact(a, b, c)
    for dtype in FLOATS:
        rounding = data.draw(st.sampled_from(ROUNDINGS))
        bits = exact.bits(dtype, rounding)
        for i, j in np.ndindex(bits.shape):
            expected = to_bits(by_definition(a, b, c, i, j), dtype, rounding)
            assert bits[i, j] == expected, (i, j, dtype, rounding)
