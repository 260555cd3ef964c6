"""Every deterministic choice: the NumPy model, the definition and the kernels give the same codes.

The three share no code. Policies are drawn from all fields at once, so that choices meet.
"""

from functools import lru_cache

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref import arrays
from mxref.exact import block, element, ieee, scale
from mxref.faults import Decoder, E8M0Cast, Encoder, Selector, block_stats
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, block_format
from mxref.policy import Policy

RANDOM = {"stochastic", "stochastic-a", "stochastic-b", "stochastic-c"}
SEARCHED = {"mse", "mae"}
SCALE_FIELDS = [
    "scale_rule",
    "scale_log2",
    "scale_quotient",
    "scale_amax",
    "scale_zero_block",
    "scale_nan",
    "scale_inf",
    "scale_above",
    "scale_below",
    "scale_subnormal",
    "input_subnormal",
]
ELEMENT_FIELDS = [
    "rounding",
    "fp8_overflow",
    "nan_element",
    "inf_element",
    "nan_payload",
    "neg_zero",
    "int8_min",
    "scaled_intermediate",
    "input_subnormal",
    "element_subnormal",
    "relu",
]
E8M0_FIELDS = [
    "e8m0_rounding",
    "e8m0_zero",
    "e8m0_negative",
    "e8m0_inf",
    "e8m0_overflow",
    "e8m0_underflow",
    "e8m0_subnormal",
]
TYPES = {
    "float32": (np.float32, np.uint32),
    "bfloat16": (ml_dtypes.bfloat16, np.uint16),
    "float16": (np.float16, np.uint16),
    "float64": (np.float64, np.uint64),
}


def choices(field):
    own = type(getattr(Policy(), field))
    return [str(c) for c in own if str(c) not in RANDOM | SEARCHED]


def policies(fields):
    # Many draws keep most fields as they are: a refusal or a NaN scale hides everything else.
    each = {f: st.one_of(st.just(choices(f)[0]), st.sampled_from(choices(f))) for f in fields}
    return st.fixed_dictionaries(each).map(make_policy)


def make_policy(changes):
    return _policy(tuple(changes.items()))


@lru_cache(None)
def _policy(changes):
    return Policy(**dict(changes))


def near(value):
    """A float32 and its neighbours."""
    bits = int(np.float32(value).view(np.uint32))
    return [float(np.uint32(b).view(np.float32)) for b in (bits - 1, bits, bits + 1)]


EDGES = [
    v
    for c in [1, 1.5, 1.75, 1.875, 1.9375, 1.4142135, 1.96875, 1.984375, 1.9990234, 7 / 6, 1.25]
    for e in (0, 1, -126, -127, -130, -140, 14, 15, 125, 126, 127, -14, -15, -112, -120)
    for v in near(c * 2.0**e)
]
SPECIALS = [0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1e-45, 3e38, 65520.0, 65519.0, -6.0, 448.0]


def values(source):
    """Bits of a source type, with the edges of every rule and format among them."""
    dtype, unsigned = TYPES[source]
    with np.errstate(all="ignore"):
        some = np.array(SPECIALS + EDGES).astype(dtype).view(unsigned).tolist()
    top = 2 ** (8 * np.dtype(unsigned).itemsize) - 1
    special = st.sampled_from(some[: len(SPECIALS)])
    return st.one_of(st.sampled_from(some), special, st.integers(0, top))


def exact_numbers(bits, source):
    return [ieee.from_bits(int(b), source) for b in bits]


def outcome(function):
    """What comes out, or that the input was refused."""
    try:
        return function()
    except ValueError:
        return "refused"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_blocks(data):
    source = data.draw(st.sampled_from(list(TYPES)))
    policy = data.draw(policies(dict.fromkeys(SCALE_FIELDS + ELEMENT_FIELDS)))
    bits = data.draw(st.lists(values(source), min_size=4, max_size=4))
    fmt = block_format(data.draw(st.sampled_from(list(BLOCK_FORMATS))), 4)
    dtype, unsigned = TYPES[source]
    x = np.array([bits], unsigned).view(dtype)

    def by_model():
        selector, stats = Selector(fmt, policy), block_stats(x)
        code = selector.select(stats)
        codes = Encoder(fmt.element, policy).encode(x, code[:, None])[0].tolist()
        return int(code[0]), [0] * 4 if selector.flushed(stats)[0] else codes

    def by_definition():
        code, codes = block.quantize(exact_numbers(bits, source), fmt, policy, source=source)
        return code, list(codes)

    def by_kernels():
        q = arrays.quantize(x, fmt, policy=policy)
        return int(q.scales[0, 0]), q.codes[0].tolist()

    expected = outcome(by_definition)
    assert outcome(by_model) == expected
    assert outcome(by_kernels) == expected


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_scales(data):
    source = data.draw(st.sampled_from(list(TYPES)))
    policy = data.draw(policies(SCALE_FIELDS))
    bits = data.draw(st.lists(values(source), min_size=2, max_size=2))
    fmt = block_format(data.draw(st.sampled_from(list(BLOCK_FORMATS))), 2)
    dtype, unsigned = TYPES[source]
    stats = block_stats(np.array([bits], unsigned).view(dtype))
    numbers = exact_numbers(bits, source)
    expected = outcome(lambda: scale.selection(numbers, fmt, policy, source=source))
    selector = Selector(fmt, policy)
    found = outcome(lambda: (int(selector.select(stats)[0]), bool(selector.flushed(stats)[0])))
    assert found == (expected if expected == "refused" else (expected.code, expected.flushes))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_elements(data):
    source = data.draw(st.sampled_from(list(TYPES)))
    policy = data.draw(policies(ELEMENT_FIELDS))
    bits = data.draw(values(source))
    name = data.draw(st.sampled_from(list(ELEMENT_FORMATS)))
    dtype, unsigned = TYPES[source]
    x = np.array([bits], unsigned).view(dtype)
    number = ieee.from_bits(bits, source)
    expected = outcome(lambda: element.encode(number, name, policy, source=source))
    fmt = ELEMENT_FORMATS[name]
    assert outcome(lambda: int(Encoder(fmt, policy).encode(x)[0])) == expected
    assert outcome(lambda: int(arrays.encode(x, fmt, policy)[0])) == expected


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_casts_to_e8m0(data):
    source = data.draw(st.sampled_from(list(TYPES)))
    policy = data.draw(policies(E8M0_FIELDS))
    bits = data.draw(values(source))
    dtype, unsigned = TYPES[source]
    x = np.array([bits], unsigned).view(dtype)
    expected = scale.encode(ieee.from_bits(bits, source), "e8m0", policy)
    assert int(E8M0Cast(policy).encode(x)[0]) == expected
    assert int(arrays.encode(x, "e8m0", policy)[0]) == expected


@pytest.mark.parametrize("flush", ["gradual", "flush-element", "flush-result"])
@pytest.mark.parametrize("overflow", ["inf", "saturate"])
@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_every_decoded_value(name, overflow, flush):
    policy = Policy(decode_subnormal=flush, decode_overflow=overflow, decode_nan="signed")
    fmt = block_format(name, 1)
    codes = np.arange(fmt.element.code_count, dtype=np.uint8)
    codes, scales = (a.reshape(-1, 1) for a in np.meshgrid(codes, np.arange(256, dtype=np.uint8)))
    ours = Decoder(fmt.element, policy).decode(codes, scales)
    theirs = arrays.dequantize(codes, scales, fmt, -1, policy)
    np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32))


ARITHMETIC = ("scale_log2", "scale_quotient", "scale_amax", "scale_zero_block", "scale_subnormal")
SELECT = [("floor", f, c) for f in SCALE_FIELDS for c in choices(f)]
SELECT += [(r, f, c) for r in ("rceil", "p3109") for f in ARITHMETIC for c in choices(f)[1:]]


@pytest.mark.parametrize(("rule", "field", "value"), SELECT)
def test_every_scale_choice_at_the_edges(field, value, rule):
    """Designed amax, with zeros, NaN and infinities beside it, under each choice alone."""
    policy = Policy(scale_rule=rule).replace(**{field: value})
    amax = np.array([*EDGES[::2], 0.0, 1e-45, 3.4e38], np.float32)
    x = np.zeros((2 * len(amax), 2), np.float32)
    x[:, 0] = np.repeat(amax, 2)
    x[1::6, 1], x[3::6, 1], x[5::6, 1] = np.nan, np.inf, -0.0
    if value == "raise":
        x[:, 1] = -0.0
    for name in ("mxfp8_e4m3", "mxint8"):
        fmt = block_format(name, 2)
        selector, stats = Selector(fmt, policy), block_stats(x)
        ours = selector.select(stats), selector.flushed(stats)
        for row, code, flushes in zip(x.view(np.uint32), *ours, strict=True):
            expected = scale.selection(exact_numbers(row, "float32"), fmt, policy)
            assert (int(code), bool(flushes)) == tuple(expected), row
        kernels = arrays.quantize(x, fmt, policy=policy)
        np.testing.assert_array_equal(ours[0], kernels.scales[:, 0])
        assert not kernels.codes[ours[1]].any()


@pytest.mark.parametrize("rule", sorted(RANDOM & {"stochastic"} | SEARCHED))
def test_searches_are_refused(rule):
    with pytest.raises(ValueError, match=f"scale_rule={rule} needs more"):
        Selector(block_format("mxfp4"), Policy(scale_rule=rule))


def test_random_roundings_are_refused():
    with pytest.raises(ValueError, match="rounding=stochastic-b depends on random bits"):
        Encoder(ELEMENT_FORMATS["e2m1"], Policy(rounding="stochastic-b"))
