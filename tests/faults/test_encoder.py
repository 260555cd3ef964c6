"""The staged NumPy encoder and selector against the definition and against the kernels."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref import arrays
from mxref.faults import Encoder, Selector, block_stats
from mxref.faults.e8m0 import E8M0Cast
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, block_format, element_format
from mxref.policy import Policy

ALL_BF16 = np.arange(1 << 16, dtype=np.uint16).view(ml_dtypes.bfloat16)
ALL_FP16 = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
ROUNDINGS = ["nearest-even", "nearest-away", "nearest-down", "toward-zero", "up", "down", "to-odd"]
RULES = ["floor", "ceil", "rceil", "even", "even-down", "tosa", "nearest-log", "plus-one"]


@pytest.mark.parametrize("fmt", ELEMENT_FORMATS)
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("overflow", ["saturate", "overflow"])
def test_every_16_bit_input(fmt, rounding, overflow):
    policy = Policy(
        rounding=rounding,
        fp8_overflow=overflow,
        nan_element="flipped-zero",
        nan_payload="quiet-signed",
        int8_min="used",
    )
    for x in (ALL_BF16, ALL_FP16):
        ours = Encoder(element_format(fmt), policy).encode(x)
        np.testing.assert_array_equal(ours, arrays.encode(x, fmt, policy))


@pytest.mark.parametrize("fmt", ELEMENT_FORMATS)
def test_float64_beyond_every_scale(fmt):
    x = np.array([1e308, -1e308, 5e-324, -5e-324, 1e-300, 2.0**-149, 1.0, 0.0, np.inf, np.nan])
    for code in (0, 1, 127, 254, 255):
        scales = np.full(10, code, np.uint8)
        for rounding in ROUNDINGS:
            policy = Policy(rounding=rounding)
            ours = Encoder(element_format(fmt), policy).encode(x, scales)
            block = BLOCK_FORMATS[
                next(n for n, b in BLOCK_FORMATS.items() if b.element.name == fmt)
            ]
            theirs = arrays.encode_with_scale(x, scales[:1], block, 0, policy)
            np.testing.assert_array_equal(ours, theirs)


SPECIALS = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, 6.0, 448.0, 2.0**-149, 3.4e38, 1.9921875]
FLOATS = st.one_of(st.sampled_from(SPECIALS), st.floats(width=32))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(FLOATS, min_size=4, max_size=4),
    st.sampled_from(list(BLOCK_FORMATS)),
    st.sampled_from(RULES),
    st.sampled_from(["nan-scale", "ignore"]),
    st.sampled_from(["nan-scale", "saturate", "ignore"]),
    st.sampled_from(["min", "one", "minus-emax", "nan"]),
    st.sampled_from(["clamp", "nan"]),
)
def test_selection_of_scales(values, name, rule, nan, inf, zero, above):
    x = np.array([values], np.float32)
    fmt = block_format(name, 4)
    policy = Policy(
        scale_rule=rule, scale_nan=nan, scale_inf=inf, scale_zero_block=zero, scale_above=above
    )
    ours = Selector(fmt, policy).select(block_stats(x))
    np.testing.assert_array_equal(ours, arrays.quantize(x, fmt, policy=policy).scales[:, 0])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_rules_at_every_bfloat16_amax(rule, name):
    x = np.abs(ALL_BF16.astype(np.float32))[:, None]
    fmt = block_format(name, 1)
    policy = Policy(scale_rule=rule)
    ours = Selector(fmt, policy).select(block_stats(x))
    np.testing.assert_array_equal(ours, arrays.quantize(x, fmt, policy=policy).scales[:, 0])


@pytest.mark.parametrize("rounding", ["down", "up", "nearest"])
@pytest.mark.parametrize("other", ["min nan nan saturate", "nan magnitude saturate nan"])
def test_cast_to_e8m0(rounding, other):
    zero, negative, inf, overflow = other.split()
    policy = Policy(
        e8m0_rounding=rounding,
        e8m0_zero=zero,
        e8m0_negative=negative,
        e8m0_inf=inf,
        e8m0_overflow=overflow,
    )
    x = np.concatenate([ALL_BF16.astype(np.float32), np.float32([3e38, 1.2 * 2.0**-127])])
    np.testing.assert_array_equal(E8M0Cast(policy).encode(x), arrays.encode(x, "e8m0", policy))
