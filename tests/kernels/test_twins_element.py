"""Element and scale casts: the kernels against the definition."""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import DTYPES, as_array, patterns, policies

from mxref import arrays
from mxref.exact import element as exact_element
from mxref.exact import ieee
from mxref.exact import scale as exact_scale
from mxref.formats import ELEMENT_FORMATS, SCALE_FORMATS
from mxref.policy import Policy, get_policy

E8M0 = SCALE_FORMATS["e8m0"]
ROUNDINGS = [
    "nearest-even", "nearest-away", "nearest-down", "toward-zero", "up", "down", "to-odd",
]  # fmt: skip


@functools.cache
def all_sixteen_bit_numbers(source):
    """What every 16-bit pattern stands for: read once, for 126 tests."""
    return [ieee.from_bits(b, source) for b in range(1 << 16)]


def numbers_of(bits, source):
    if len(bits) == 1 << 16 and bits.dtype == np.uint16:
        assert bits[0] == 0
        assert (np.diff(bits) == 1).all()
        return all_sixteen_bit_numbers(source)
    return [ieee.from_bits(int(b), source) for b in bits]


def exact_codes(bits, source, element, policy):
    numbers = numbers_of(bits, source)
    return np.array([exact_element.encode(n, element, policy) for n in numbers], np.uint8)


def assert_same_codes(bits, source, element, policy):
    got = arrays.encode(as_array(bits, source), element, policy)
    expected = exact_codes(bits, source, element, policy)
    wrong = np.flatnonzero(got != expected)
    assert not wrong.size, (
        f"{wrong.size} codes differ, first for {source} bits {int(bits[wrong[0]]):#x}: "
        f"kernel {got[wrong[0]]:#x}, definition {expected[wrong[0]]:#x} ({element.name}, {policy})"
    )


@pytest.mark.parametrize("element", ELEMENT_FORMATS.values(), ids=lambda f: f.name)
@pytest.mark.parametrize("decode_nan", ["canonical", "signed"])
def test_decode_of_every_code(element, decode_nan):
    policy = Policy(decode_nan=decode_nan)
    codes = np.arange(element.code_count, dtype=np.uint8)
    got = arrays.decode(codes, element, policy).view(np.uint32)
    expected = [
        ieee.to_bits(exact_element.decode(int(c), element), "float32", policy) for c in codes
    ]
    assert got.tolist() == expected


def test_decode_of_every_scale_code():
    codes = np.arange(256, dtype=np.uint8)
    got = arrays.decode(codes, "e8m0").view(np.uint32)
    assert got.tolist() == [
        ieee.to_bits(exact_scale.decode(int(c), E8M0), "float32") for c in codes
    ]


@pytest.mark.parametrize("source", ["bfloat16", "float16"])
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("element", ELEMENT_FORMATS.values(), ids=lambda f: f.name)
def test_encode_of_all_sixteen_bit_inputs(element, rounding, source):
    bits = np.arange(1 << 16, dtype=np.uint16)
    assert_same_codes(bits, source, element, Policy(rounding=rounding))


@pytest.mark.parametrize("source", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "policy",
    [
        "ml_dtypes",
        "ocp:fp8_overflow=overflow,nan_payload=signed,rounding=up,int8_min=used",
        "ocp:fp8_overflow=overflow,rounding=to-odd,neg_zero=drop,nan_element=signed-max",
    ],
)
@pytest.mark.parametrize("element", ELEMENT_FORMATS.values(), ids=lambda f: f.name)
def test_encode_of_all_sixteen_bit_inputs_under_other_policies(element, policy, source):
    bits = np.arange(1 << 16, dtype=np.uint16)
    assert_same_codes(bits, source, element, get_policy(policy))


@pytest.mark.parametrize("source", ["float32", "float64"])
@pytest.mark.parametrize("element", ELEMENT_FORMATS.values(), ids=lambda f: f.name)
def test_encode_beside_every_midpoint_and_code(element, source):
    """Wide inputs: each code's value, each midpoint, and their neighbours at one input ulp."""
    magnitudes = range(element.max_magnitude + 1)
    values = [float(exact_element.decode(m, element).value) for m in magnitudes]
    values.append(2 * values[-1] - values[-2])  # where max rounds away from
    centres = values + [(a + b) / 2 for a, b in itertools.pairwise(values)]
    dtype, storage, _, _ = DTYPES[source]
    bits = np.array(centres, dtype).view(storage).astype(np.int64)
    near = (bits[:, None] + np.arange(-2, 3)).reshape(-1)
    near = near[near >= 0].astype(storage)
    signed = np.concatenate([near, near | storage.type(1 << (8 * storage.itemsize - 1))])
    for rounding in ROUNDINGS:
        for overflow in ("saturate", "overflow"):
            policy = Policy(rounding=rounding, fp8_overflow=overflow)
            assert_same_codes(signed, source, element, policy)


@pytest.mark.parametrize("source", list(DTYPES))
@settings(max_examples=150, deadline=None)
@given(data=st.data(), policy=policies(), name=st.sampled_from(list(ELEMENT_FORMATS)))
def test_encode_under_any_policy(data, policy, name, source):
    element = ELEMENT_FORMATS[name]
    bias = {"float16": 15, "float64": 1023}.get(source, 127)
    bits = data.draw(st.lists(patterns(source, bias), min_size=1, max_size=40))
    assert_same_codes(np.array(bits, DTYPES[source][1]), source, element, policy)


@pytest.mark.parametrize("source", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "policy", ["ocp", "ml_dtypes", "ocp:e8m0_rounding=up,e8m0_inf=saturate,e8m0_overflow=nan"]
)
def test_scale_cast_of_all_sixteen_bit_inputs(source, policy):
    bits = np.arange(1 << 16, dtype=np.uint16)
    got = arrays.encode(as_array(bits, source), "e8m0", policy)
    expected = [exact_scale.encode(n, E8M0, policy) for n in numbers_of(bits, source)]
    assert got.tolist() == expected


@pytest.mark.parametrize("source", ["float32", "float64"])
@settings(max_examples=150, deadline=None)
@given(data=st.data(), policy=policies())
def test_scale_cast_under_any_policy(data, policy, source):
    bits = data.draw(st.lists(patterns(source), min_size=1, max_size=40))
    got = arrays.encode(as_array(bits, source), "e8m0", policy)
    expected = [exact_scale.encode(ieee.from_bits(b, source), E8M0, policy) for b in bits]
    assert got.tolist() == expected
