"""The formats as data: names, parameters, what falls out as points, and errors."""

from fractions import Fraction

import pytest

from mxref import bdr
from mxref.exact import element as exact_element
from mxref.formats import ELEMENT_FORMATS
from mxref.relatives.bdr_formats import EVIDENCE, is_bdr_name

BITS = {  # published, or counted by hand: bits of an element, of a block
    "mx9": (9, 144),
    "mx6": (6, 96),
    "mx4": (4, 64),
    "msfp16": (Fraction(17, 2), 136),
    "msfp12": (Fraction(9, 2), 72),
    "bfp16": (9, 72),
    "scaled_int8": (8 + Fraction(1, 32), 8224),
    "scaled_int4": (4 + Fraction(1, 32), 4128),
    "vsq8": (8 + Fraction(1, 2) + Fraction(1, 32), 8192 + 512 + 32),
    "vsq6": (6 + Fraction(3, 8) + Fraction(1, 32), 6144 + 384 + 32),
    "vsq4": (4 + Fraction(1, 4) + Fraction(1, 32), 4096 + 256 + 32),
    "scaled_fp8_e4m3": (8, None),
    "scaled_fp8_e5m2": (8, None),
}


def test_every_named_format_has_the_bits_that_are_counted_by_hand():
    assert set(BITS) == set(bdr.FORMATS) == set(EVIDENCE)
    found = {name: (f.bits_per_element, f.block_bits) for name, f in bdr.FORMATS.items()}
    assert found == BITS


@pytest.mark.parametrize("name", bdr.FORMATS)
def test_names_and_parameters_lead_back(name):
    fmt = bdr.bdr_format(name)
    assert fmt.name == name
    assert bdr.bdr_format(name.upper()) is fmt
    other = fmt.with_k1(256)
    assert other.name.startswith("bdr:") or name == "none"
    assert bdr.bdr_format(other.name) == other
    assert is_bdr_name(other.name)


def test_of_fills_in_what_follows():
    fmt = bdr.BDRFormat.of(m=5, k1=16, k2=4, d2=2)
    assert fmt == bdr.bdr_format("bdr:m=5,k1=16,k2=4,d1=8,d2=2")
    assert (fmt.max_shift, fmt.bits_per_element) == (3, Fraction(7))
    assert bdr.BDRFormat.of(m=7, k1=None, scale="float32").d1 == 32


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mx8", "did you mean 'mx9'"),
        ("bdr:m=5", "lacks k1"),
        ("bdr:m=9,k1=16", "1 to 7 magnitude bits"),
        ("bdr:m=5,k1=16,k2=3,d2=1", "sub-blocks divide"),
        ("bdr:m=5,k1=16,k2=2", "both are 1 or more"),
        ("mx9:k3=4", "did you mean"),
        ("mx9:k1=many", "expected an integer or 'tensor'"),
        ("mx9:k1", "parameter=value"),
        ("mx9:k1=tensor", "give k1|divide"),
        ("mx9:subscale=int", "no publication"),
        ("msfp16:d1=9", "2 to 8 bits"),
        ("msfp16:d2=1", "without a second level"),
        ("scaled_int8:d1=8", "has 32 bits"),
        ("mx9:element=e4m3", "significand"),
        ("mx9:scale=fp64", "expected one of pow2, float32"),
        ("bdr:m=5,k1=16,k2=4,d2=6", "at most 5 bits"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(text, message):
    with pytest.raises(ValueError, match=message):
        bdr.bdr_format(text)


def test_types_that_are_no_names_are_refused():
    with pytest.raises(TypeError, match="name such as 'mx9'"):
        bdr.bdr_format(9)
    with pytest.raises(TypeError, match="m must be an integer"):
        bdr.BDRFormat(m=7.0, k1=16)


def values_of_point(m, d2):
    """The magnitudes of a BDR point of one element a sub-block, the largest binade at 2**0."""
    cap = (1 << d2) - 1
    return {
        (D, Fraction(M, 1 << (m - 1)) / (1 << D)) for M in range(1 << m) for D in range(cap + 1)
    }


@pytest.mark.parametrize(("name", "d2", "top"), [("e4m3", 4, 8), ("e5m2", 5, 16)])
def test_fp8_is_the_point_with_a_shift_for_each_element(name, d2, top):
    """Equal but for codes that FP8 spends on NaN and infinity, and the lowest shift.

    FP8 has one exponent field fewer than shifts: fields 0 and 1 share an exponent.
    """
    fmt = ELEMENT_FORMATS[name]
    m = fmt.mantissa_bits + 1
    assert bdr.FORMATS[f"scaled_fp8_{name}"].m == m
    scale = Fraction(2) ** top
    cap = (1 << d2) - 1
    point = {value * scale for D, value in values_of_point(m, d2) if cap > D}
    codes = [exact_element.decode(code, fmt) for code in range(fmt.sign_mask)]
    fp8 = {abs(v.value) for v in codes if v.cls.value in ("zero", "finite")}
    # What the special codes would be as numbers: 480; and the top binade of E5M2.
    lost = {"e4m3": {480}, "e5m2": {Fraction(n, 4) * scale for n in range(4, 8)}}[name]
    assert point - fp8 == lost
    assert fp8 <= point


def test_policies_have_names_and_reasons():
    assert bdr.get_policy().name == "bdr-paper"
    assert set(bdr.REASONS) == set(bdr.get_policy().as_dict())
    assert bdr.get_policy("quark-bfpprime-dpu").rounding == "half-up"
    with pytest.raises(ValueError, match="did you mean 'quark-torch'"):
        bdr.get_policy("quark-torhc")
    for name, profile in bdr.PROFILES.items():
        assert profile.policy.name == name
        assert set(profile.sources) == set(profile.policy.diff(bdr.BDRPolicy()))
        assert set(profile.formats) <= set(bdr.FORMATS)
