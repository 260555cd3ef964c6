"""Which real numbers become which code, against the definition, the kernels and a formula."""

import functools
import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mxref
from mxref.exact import bdr_elements, nvfp4_scales
from mxref.exact import element as exact_element
from mxref.exact import scale as exact_scale
from mxref.exact.number import Number
from mxref.formats import ELEMENT_FORMATS, SCALE_FORMATS, Kind
from mxref.profiles import PROFILES
from mxref.relatives.bdr_formats import BDR_FORMATS, bdr_format
from mxref.relatives.bdr_profiles import get_bdr_policy
from mxref.show import show
from mxref.show._find import book_of, find
from mxref.show._takes import takes, takes_of

MX = [*ELEMENT_FORMATS, *SCALE_FORMATS]
CHOICES = [
    *(f"ocp:rounding={mode}" for mode in ("nearest-away", "nearest-down", "toward-zero")),
    *(f"ocp:rounding={mode}" for mode in ("up", "down", "to-odd")),
    *(f"ocp:fp8_overflow={way}" for way in ("overflow", "propagate", "sat-none")),
    "ocp:fp8_overflow=overflow,rounding=toward-zero",
    "ocp:fp8_overflow=sat-none,rounding=up",
    "ocp:fp8_overflow=overflow,nan_payload=signed",
    "ocp:neg_zero=drop",
    "ocp:neg_zero=drop-input",
    "ocp:int8_min=used",
    "ocp:element_subnormal=flush",
    "ocp:input_subnormal=flush,neg_zero=drop-input,rounding=up",
    "ocp:relu=on",
    *(f"ocp:scaled_intermediate={kind}" for kind in ("float32", "bfloat16", "float16")),
    "ocp:scaled_intermediate=bfloat16,rounding=up",
    "ocp:scaled_intermediate=float16,rounding=down,fp8_overflow=overflow",
    *(f"ocp:e8m0_rounding={mode}" for mode in ("up", "nearest", "nearest-even")),
    "ocp:e8m0_zero=nan,e8m0_underflow=nan,e8m0_overflow=nan,e8m0_rounding=nearest",
    "ocp:e8m0_negative=magnitude,e8m0_rounding=up",
    "ocp:e8m0_subnormal=bits,e8m0_rounding=up",
]
BDR_CHOICES = [
    None,
    *(f"bdr-paper:rounding={mode}" for mode in ("half-up", "nearest-away", "toward-zero", "up")),
    "bdr-paper:neg_zero=drop",
    "bdr-paper:int_min=used,rounding=down",
    "bdr-paper:input_subnormal=flush,rounding=up",
]
BDR = [*BDR_FORMATS, "bdr:m=5,k1=16,k2=4,d2=2", "bdr:m=1,k1=4"]


def encode(value, name, policy):
    """The definition, asked without any part of `show`."""
    number = Number.finite(value)
    if name == "ue4m3":
        return None if value < 0 else nvfp4_scales.encode_scale(number, policy)
    if name in SCALE_FORMATS:
        return exact_scale.encode(number, name, policy)
    if name in ELEMENT_FORMATS:
        return exact_element.encode(number, name, policy)
    fmt, chosen = bdr_format(name), get_bdr_policy(policy)
    unit = Fraction(1) if fmt.float_element else fmt.step
    read = bdr_elements.read(number, chosen, "float32")
    return bdr_elements.code_of(read, unit, fmt, chosen, None)


@functools.cache
def partition(name, policy):
    found = find(name)
    book = found if name in (*MX, "ue4m3") else book_of(found)
    return takes(book, book.get_policy(policy))


def owner(value, name, policy):
    """The one code whose numbers include a value; None if no code has it."""
    codes = [c for c, parts in partition(name, policy).items() if any(value in p[0] for p in parts)]
    assert len(codes) <= 1, (value, codes)
    return codes[0] if codes else None


def is_quick(name, policy):
    """Whether a case is one of those that show something and take no time."""
    if name in ("e2m1", "e3m2"):
        return "e8m0" not in policy
    if name in ("e4m3", "e5m2"):
        return "fp8" in policy or policy == "ocp"
    if name in ("int8", "e8m0"):
        return name[:4] in policy or policy == "ocp"
    return name in ("ue4m3", "mx4", "vsq4", "bdr:m=1,k1=4") or (name == "mx6" and policy is None)


EVERY_CASE = [
    *((name, policy) for name in MX for policy in ["ocp", *CHOICES]),
    *((name, policy) for name in BDR for policy in BDR_CHOICES),
    *(("ue4m3", policy) for policy in (None, "te-1d", "gguf", "te-1d:scale_overflow=nan")),
]
CASES = [case for case in EVERY_CASE if is_quick(*case)]
MARKED = [
    pytest.param(*case, marks=[] if is_quick(*case) else pytest.mark.slow) for case in EVERY_CASE
]


def probes(parts):
    """All ends of the intervals, points just beside them, and one inside."""
    tiny = Fraction(1, 2**260)
    for interval, _ in parts:
        ends = [end for end in (interval.low, interval.high) if end is not None]
        for end in ends:
            yield from (end - tiny, end, end + tiny)
        far = 2 * max(map(abs, ends))
        yield sum(ends) / 2 if len(ends) == 2 else far if interval.high is None else -far


@pytest.mark.parametrize(("name", "policy"), MARKED)
def test_the_ends_are_where_the_definition_changes(name, policy):
    for code, parts in partition(name, policy).items():
        for value in probes(parts):
            claimed = any(value in interval for interval, _ in parts)
            assert claimed == (encode(value, name, policy) == code), (hex(code), float(value))


@pytest.mark.parametrize(("name", "policy"), MARKED)
def test_one_code_is_looked_up_as_in_the_whole(name, policy):
    found = find(name)
    book = found if name in (*MX, "ue4m3") else book_of(found)
    chosen = book.get_policy(policy)
    for code in range(book.code_count):
        assert takes_of(code, book, chosen) == takes(book, chosen).get(code, ()), hex(code)


REALS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(Fraction),
    st.floats(-600, 600, width=32).map(Fraction),
    st.fractions(-8, 8),
    st.builds(lambda n, e: n * Fraction(2) ** e, st.integers(-9999, 9999), st.integers(-40, 10)),
)


@settings(max_examples=300, deadline=None)
@given(case=st.sampled_from(CASES), value=REALS)
@example(case=("e4m3", "ocp"), value=Fraction(464))
def test_every_real_number_is_where_the_definition_puts_it(case, value):
    name, policy = case
    assert owner(value, name, policy) == encode(value, name, policy)


@pytest.mark.parametrize("name", ELEMENT_FORMATS)
@pytest.mark.parametrize(
    "policy", ["ocp", "ocp:rounding=nearest-away", "ocp:fp8_overflow=overflow"]
)
def test_the_kernels_agree(name, policy):
    rng = np.random.default_rng(9)
    x = (rng.standard_normal(300) * 2.0 ** rng.integers(-18, 12, 300)).astype(np.float32)
    middles = [
        float(p[0].high) for parts in partition(name, policy).values() for p in parts if p[0].high
    ]
    x = np.concatenate([x, np.array(middles, np.float32)])
    codes = mxref.encode(x, name, policy=policy)
    for value, code in zip(x.tolist(), codes.tolist(), strict=True):
        assert owner(Fraction(value), name, policy) == code, value


@pytest.mark.parametrize("name", ["e2m1", "e8m0"])
@pytest.mark.parametrize("policy", PROFILES)
def test_profiles_have_a_partition(name, policy):
    parts = partition(name, policy)
    random = mxref.get_policy(policy).rounding.value.startswith("stochastic")
    assert bool(parts) != (random and name in ELEMENT_FORMATS)
    for value in (Fraction(1), Fraction(3, 7), Fraction(-5, 4), Fraction(10) ** 6):
        if parts:
            assert owner(value, name, policy) == encode(value, name, policy)


def midpoint(magnitude, fmt):
    """Half way to the next magnitude; beyond the last one the steps go on."""
    decode = functools.partial(exact_element.decode, element=fmt)
    here = decode(magnitude).value
    if magnitude < fmt.max_magnitude:
        return (here + decode(magnitude + 1).value) / 2
    return here + (here - decode(magnitude - 1).value) / 2


@pytest.mark.parametrize("fmt", ELEMENT_FORMATS.values(), ids=str)
def test_nearest_even_is_a_matter_of_midpoints_and_parity(fmt):
    """The same intervals from a formula: half steps on both sides, closed for even codes."""
    for magnitude in range(1, fmt.max_magnitude + 1):
        interval = show(fmt, magnitude).interval
        assert (interval.low, interval.high) == (
            midpoint(magnitude - 1, fmt),
            midpoint(magnitude, fmt),
        )
        assert interval.low_closed == interval.high_closed == (magnitude % 2 == 0)
        mirror = (
            -magnitude % fmt.code_count if fmt.kind is Kind.FIXED else magnitude | fmt.sign_mask
        )
        assert show(fmt, mirror).interval == interval.mirrored()


def test_a_partition_covers_the_line_once():
    for name, policy in CASES:
        pieces = sorted(
            (p[0] for parts in partition(name, policy).values() for p in parts),
            key=lambda i: (
                i.low is not None,
                i.low,
                i.high is not None and i.high,
                not i.low_closed,
            ),
        )
        starts_at_zero = name == "ue4m3"
        assert pieces[0].low is None or (starts_at_zero and pieces[0].low == 0)
        assert pieces[-1].high is None
        for left, right in itertools.pairwise(pieces):
            assert left.high == right.low
            assert left.high_closed != right.low_closed


def test_random_bits_decide_and_the_view_says_so():
    view = show("e4m3", 0x38, "ocp:rounding=stochastic-a")
    assert view.takes == ()
    assert "at random" in str(view)


def test_what_a_reason_is_called():
    whys = {why for case in CASES for parts in partition(*case).values() for _, why in parts}
    assert whys == {"rounding", "overflow", "underflow", "flush", "relu", "negative"}
    flushed = show("e4m3", 0, "ocp:element_subnormal=flush")
    assert [t.why for t in flushed.takes] == ["rounding", "flush"]
    assert "flushed  [OP-ELEM-SUBNORMAL]" in str(flushed)
    assert show("e2m1", 0xF, "ocp:relu=on").takes == ()
