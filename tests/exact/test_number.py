"""Exact numbers and the notions that all binary formats share."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxref._choices import Rounding
from mxref.exact import number as numbers
from mxref.exact.number import Number, NumberClass
from mxref.formats import pow2

positive = st.fractions(min_value=Fraction(1, 10**12)).filter(bool) | st.builds(
    lambda m, e: m * pow2(e), st.integers(1, 2**60), st.integers(-1100, 1100)
)


@given(positive)
def test_floor_and_ceil_log2_bracket_the_value(value):
    floor, ceil = numbers.floor_log2(value), numbers.ceil_log2(value)
    assert pow2(floor) <= value < pow2(floor + 1)
    assert pow2(ceil - 1) < value <= pow2(ceil)


@pytest.mark.parametrize("exponent", [-1074, -150, -1, 0, 1, 127, 1023])
def test_a_power_of_two_is_its_own_floor_and_ceiling(exponent):
    value = pow2(exponent)
    tiny = value / 2**100
    assert numbers.floor_log2(value) == numbers.ceil_log2(value) == exponent
    assert numbers.floor_log2(value - tiny) == exponent - 1
    assert numbers.ceil_log2(value + tiny) == exponent + 1


@pytest.mark.parametrize("value", [0, -1])
def test_only_positive_numbers_have_a_logarithm(value):
    with pytest.raises(ValueError, match="only a positive number"):
        numbers.floor_log2(Fraction(value))


# The results for 0.5, 1.5, 2.25, 2.5 and 2.75, first with a plus, then with a minus sign.
POINTS = tuple(Fraction(n, 4) for n in (2, 6, 9, 10, 11))
ROUNDED = {
    Rounding.NEAREST_EVEN: ((0, 2, 2, 2, 3), (0, 2, 2, 2, 3)),
    Rounding.NEAREST_AWAY: ((1, 2, 2, 3, 3), (1, 2, 2, 3, 3)),
    Rounding.NEAREST_DOWN: ((0, 1, 2, 2, 3), (0, 1, 2, 2, 3)),
    Rounding.TOWARD_ZERO: ((0, 1, 2, 2, 2), (0, 1, 2, 2, 2)),
    Rounding.UP: ((1, 2, 3, 3, 3), (0, 1, 2, 2, 2)),
    Rounding.DOWN: ((0, 1, 2, 2, 2), (1, 2, 3, 3, 3)),
    Rounding.TO_ODD: ((1, 1, 3, 3, 3), (1, 1, 3, 3, 3)),
}


@pytest.mark.parametrize("rounding", ROUNDED)
def test_rounding_to_an_integer(rounding):
    for sign in (0, 1):
        got = tuple(numbers.round_to_integer(point, sign, rounding) for point in POINTS)
        assert got == ROUNDED[rounding][sign]
        assert numbers.round_to_integer(Fraction(7), sign, rounding) == 7


@given(positive)
def test_nearest_even_is_pythons_round(value):
    assert numbers.round_to_integer(value, 0, Rounding.NEAREST_EVEN) == round(value)


@given(st.integers(0, 30), st.integers(0, 7))
def test_fields_and_values_are_inverse(exponent, mantissa):
    value = numbers.value_of_fields(exponent, mantissa, mantissa_bits=3, bias=15)
    assert numbers.fields_of(value, mantissa_bits=3, bias=15) == (exponent, mantissa)


def test_fields_of_a_value_off_the_grid_are_refused():
    with pytest.raises(ValueError, match="round it first"):
        numbers.fields_of(Fraction(17, 16), mantissa_bits=3, bias=7)


def test_constructors():
    assert Number.finite(-2) == Number(1, NumberClass.FINITE, Fraction(2))
    assert Number.finite(0, sign_of_zero=1) == Number.zero(1) != Number.zero(0)
    assert Number.finite(Fraction(5, 2)).value == Fraction(5, 2)
    assert Number.zero(1).value == 0
    assert [str(Number.nan(1)), str(Number.inf(0)), str(Number.finite(Fraction(-1, 3)))] == [
        "-nan",
        "inf",
        "-1/3",
    ]


@pytest.mark.parametrize("number", [Number.inf(0), Number.inf(1), Number.nan(0)])
def test_infinity_and_nan_have_no_value(number):
    with pytest.raises(ValueError, match="not a real number"):
        _ = number.value


def test_a_float_is_not_taken_silently():
    with pytest.raises(TypeError, match="Fraction"):
        Number.finite(0.1)
    with pytest.raises(TypeError):
        Number.finite(math.nan)


@pytest.mark.parametrize(
    ("sign", "cls", "magnitude"),
    [
        (2, NumberClass.ZERO, 0),
        (-1, NumberClass.FINITE, 1),
        (0, NumberClass.ZERO, 1),
        (0, NumberClass.FINITE, 0),
        (0, NumberClass.FINITE, -1),
        (0, NumberClass.INF, 1),
        (0, NumberClass.NAN, -1),
    ],
)
def test_what_is_no_number_is_refused(sign, cls, magnitude):
    with pytest.raises(ValueError, match=r"sign of a number|magnitude"):
        Number(sign, cls, Fraction(magnitude))


def test_a_number_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Number.zero(0).sign = 1


def test_the_payload_of_a_nan_takes_no_part_in_equality():
    with_payload = Number.nan(1, payload=1)
    assert with_payload.payload == 1
    assert with_payload == Number.nan(1)
    assert hash(with_payload) == hash(Number.nan(1))
    assert with_payload != Number.nan(0)


@pytest.mark.parametrize("payload", [2, -1])
def test_a_payload_is_one_bit(payload):
    with pytest.raises(ValueError, match="payload of a NaN is 0 or 1"):
        Number.nan(0, payload)


def test_only_a_nan_has_a_payload():
    with pytest.raises(ValueError, match="that of another number 0"):
        Number(0, NumberClass.INF, Fraction(0), payload=1)
