"""Stochastic rounding: how many of all random numbers round up, counted one by one."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxref.exact import block, element, random_bits, scale
from mxref.exact.number import Number, NumberClass, round_to_integer
from mxref.exact.random_bits import Draw
from mxref.formats import ELEMENT_FORMATS
from mxref.policy import Policy

MODES = ("stochastic-a", "stochastic-b", "stochastic-c")
TINY = Fraction(1, 2**200)


def share(mode, v, N):
    """Of 2^N numbers, how many carry v over to 1: solved for R from the three inequalities."""
    return {
        "stochastic-a": math.floor(v * 2**N),
        "stochastic-b": math.floor(v * 2**N + Fraction(1, 2)),  # ties up
        "stochastic-c": round(v * 2**N),  # ties to even
    }[mode]


def fractions_of(N):
    """Every multiple of 2^-(N+2), and what lies beside it; not 0 and 1 themselves."""
    for n in range(2 ** (N + 2) + 1):
        for v in (Fraction(n, 2 ** (N + 2)) + d for d in (-TINY, 0, TINY)):
            if 0 < v < 1:
                yield v


@pytest.mark.parametrize("N", [1, 2, 5])
@pytest.mark.parametrize("mode", MODES)
def test_the_share_that_rounds_up_is_the_stated_one(mode, N):
    rounding = Policy(rounding=mode).rounding
    for v in fractions_of(N):
        ups = [
            round_to_integer(6 + v, sign, rounding, Draw(R, N)) - 6
            for R in range(2**N)
            for sign in (0, 1)
        ]
        assert set(ups) <= {0, 1}
        assert sum(ups) == 2 * share(mode, v, N), (v, N)
        assert ups == sorted(ups)  # the larger numbers go up


@given(st.fractions(0, 1).filter(lambda v: 0 < v < 1), st.integers(1, 24), st.sampled_from(MODES))
def test_the_threshold_lies_where_the_share_says(v, N, mode):
    rounding, count = Policy(rounding=mode).rounding, share(mode, v, N)
    first_up = 2**N - count  # the numbers from here on go up
    if count:
        assert round_to_integer(v, 0, rounding, Draw(first_up, N)) == 1
    if first_up:
        assert round_to_integer(v, 0, rounding, Draw(first_up - 1, N)) == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ELEMENT_FORMATS)
def test_every_gap_of_every_format(name, mode):
    N, policy = 4, Policy(rounding=mode, stochastic_bits="4")
    numbers = (element.decode(code, name) for code in range(ELEMENT_FORMATS[name].code_count))
    values = sorted({n.value for n in numbers if n.cls in (NumberClass.FINITE, NumberClass.ZERO)})
    if name == "int8":
        values.remove(-2)  # unused, unless the policy says so
    positive = [v for v in values if v >= 0]
    for lower, upper in itertools.pairwise(positive):
        for v in (Fraction(1, 3), Fraction(9, 16), Fraction(17, 32)):
            between = lower + v * (upper - lower)
            for sign in (1, -1):
                codes = [
                    element.encode(Number.finite(sign * between), name, policy, random=R)
                    for R in range(2**N)
                ]
                got = [sign * element.decode(code, name).value for code in codes]
                assert set(got) <= {lower, upper}
                assert got.count(upper) == share(mode, v, N)


@pytest.mark.parametrize("name", ELEMENT_FORMATS)
def test_what_a_format_has_stays(name):
    policy = Policy(rounding="stochastic-c", stochastic_bits="3", nan_payload="payload")
    for code in range(ELEMENT_FORMATS[name].code_count):
        number = element.decode(code, name)
        if number.cls in (NumberClass.FINITE, NumberClass.ZERO) and (name, code) != ("int8", 0x80):
            for R in range(8):
                assert element.encode(number, name, policy, random=R) == code


def test_beyond_the_largest_value():
    # 460 lies 12 / 32 above 448: of 256 numbers 96 leave the range.
    number = Number.finite(460)
    for overflow, beyond in (("saturate", 0x7E), ("overflow", 0x7F)):
        policy = Policy(rounding="stochastic-a", stochastic_bits="8", fp8_overflow=overflow)
        codes = [element.encode(number, "e4m3", policy, random=R) for R in range(256)]
        assert codes[:160] == [0x7E] * 160
        assert codes[160:] == [beyond] * 96
    policy = Policy(rounding="stochastic-a", fp8_overflow="sat-none")
    assert element.encode(Number.finite(10**6), "e5m2", policy, random=0) == 0x7C


def test_random_numbers_that_are_missing_or_too_large():
    policy = Policy(rounding="stochastic-b", stochastic_bits="7")
    with pytest.raises(ValueError, match=r"rounding=stochastic-b needs random bits.* 7 bits"):
        element.encode(Number.finite(1), "e4m3", policy)
    with pytest.raises(ValueError, match=r"expected 0 to 0x7f \(7 bits\), got 128"):
        element.encode(Number.finite(1), "e4m3", policy, random=128)
    with pytest.raises(TypeError, match=r"expected an integer, got 0\.5"):
        element.encode(Number.finite(1), "e4m3", policy, random=0.5)
    with pytest.raises(ValueError, match="R and its width N"):
        round_to_integer(Fraction(1, 2), 0, policy.rounding)


# --- which bits serve which element ------------------------------------------------------------

WORD = 0xD4C3_B2A1


@pytest.mark.parametrize(
    ("sharing", "name", "N", "numbers"),
    [
        ("ptx-x4", "e4m3", 16, (0xB2A1, 0xB2A1, 0xD4C3, 0xD4C3)),
        ("ptx-x4", "e5m2", 16, (0xB2A1, 0xB2A1, 0xD4C3, 0xD4C3)),
        ("ptx-x4", "e3m2", 16, (0xB2A1, 0xB2A1, 0xD4C3, 0xD4C3)),
        ("ptx-x4", "e2m3", 16, (0xB2A1, 0xB2A1, 0xD4C3, 0xD4C3)),
        ("ptx-x4", "e2m1", 8, (0xA1, 0xC3, 0xB2, 0xD4)),
        ("te-x4", "e2m1", 8, (0xA1, 0xB2, 0xC3, 0xD4)),
        ("te-x4", "e4m3", 8, (0xA1, 0xB2, 0xC3, 0xD4)),
    ],
)
def test_sharing_of_a_word(sharing, name, N, numbers):
    policy = Policy(stochastic=sharing)
    assert random_bits.count(name, policy) == N
    got = tuple(random_bits.of_place(WORD, place, name, policy) for place in range(4))
    assert got == numbers


@pytest.mark.parametrize("N", [1, 13, 16, 24])
def test_bits_of_ones_own(N):
    policy = Policy(stochastic_bits=str(N))
    assert random_bits.count("e2m1", policy) == N
    with pytest.raises(ValueError, match="no word is shared"):
        random_bits.of_place(WORD, 0, "e2m1", policy)


def test_words_and_places_that_do_not_exist():
    with pytest.raises(ValueError, match="word of random bits"):
        random_bits.of_place(1 << 32, 0, "e2m1", "ocp:stochastic=te-x4")
    with pytest.raises(ValueError, match="place is 0 to 3, got 4"):
        random_bits.of_place(0, 4, "e2m1", "ocp:stochastic=te-x4")


# --- blocks --------------------------------------------------------------------------------------


def test_a_block_takes_one_number_for_each_element():
    policy = Policy(rounding="stochastic-a", stochastic="te-x4")
    numbers = [Number.finite(v) for v in (5, 5, -5, 6)]  # 5 is halfway between 4 and 6
    got = block.quantize(numbers, "mxfp4/4", policy, random=(0x7F, 0x80, 0xFF, 0xFF))
    assert got == (127, (6, 7, 15, 7))
    for random in ((), (0, 0, 0), (0,) * 5):
        with pytest.raises(ValueError, match="one random number for each element"):
            block.quantize(numbers, "mxfp4/4", policy, random=random)
    with pytest.raises(ValueError, match="needs random bits"):
        block.quantize(numbers, "mxfp4/4", policy)


def test_a_nan_scale_needs_no_random_numbers():
    policy = Policy(rounding="stochastic-a")
    assert block.quantize([Number.nan(0)], "mxfp4/1", policy) == (0xFF, (7,))


def test_the_scale_rule_rounds_amax_as_stochastic_a_does():
    policy = Policy(scale_rule="stochastic", stochastic_bits="5")
    for n in range(256):
        amax = Number.finite((1 + Fraction(n, 256)) * 4)
        codes = [scale.select([amax], "mxfp4/1", policy, random=R) for R in range(32)]
        ups = n // 8  # of 32
        assert codes == [127] * (32 - ups) + [128] * ups
    with pytest.raises(ValueError, match=r"scale_rule=stochastic needs random bits.* 5 bits"):
        scale.select([amax], "mxfp4/1", policy)
    with pytest.raises(ValueError, match="got 32"):
        scale.select([amax], "mxfp4/1", policy, random=32)
    assert block.quantize([amax], "mxfp4/1", policy, scale_random=31)[0] == 128
    # A block without an amax asks for nothing.
    assert scale.select([Number.zero(0)], "mxfp4/1", policy) == 0
