"""Block conversion: the kernels against the definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import DTYPES, as_array, blocks, policies

from mxref import arrays
from mxref.exact import block as exact_block
from mxref.exact import ieee
from mxref.exact import scale as exact_scale
from mxref.formats import BLOCK_FORMATS, block_format
from mxref.policy import Policy

SIZES = [1, 3, 16, 17, 32, 48, 65]  # below, at and beside the kernels' vector lengths
RULES = ["floor", "ceil", "rceil", "even", "even-down", "tosa", "nearest-log", "plus-one"]


def assert_same_blocks(rows, source, fmt, policy):
    """Quantize each row of bit patterns both ways, then encode and decode with the scales."""
    x = as_array(rows, source)
    q = arrays.quantize(x, fmt, policy=policy)
    again = arrays.encode_with_scale(x, q.scales, fmt, policy=policy)
    values = arrays.dequantize(q.codes, q.scales, fmt, policy=policy).view(np.uint32)
    for row, codes, scale, given_codes, decoded in zip(
        rows, q.codes, q.scales, again, values, strict=True
    ):
        numbers = [ieee.from_bits(int(b), source) for b in row]
        expected_scale, expected = exact_block.quantize(numbers, fmt, policy, source=source)
        told = f"{fmt.name}, {source}, {policy}, block {[hex(int(b)) for b in row]}"
        assert int(scale[0]) == expected_scale, told
        assert codes.tolist() == list(expected), told
        under = exact_block.encode_with_scale(numbers, expected_scale, fmt, policy, source=source)
        assert given_codes.tolist() == list(under), told
        exact = exact_block.dequantize(expected_scale, expected, fmt, policy)
        assert decoded.tolist() == [ieee.to_bits(v, "float32", policy) for v in exact], told


@pytest.mark.parametrize("source", list(DTYPES))
@pytest.mark.parametrize("name", list(BLOCK_FORMATS))
@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    policy=policies(rounding=["nearest-even", "down"]),
    size=st.sampled_from(SIZES),
)
def test_blocks_under_any_policy(data, policy, size, name, source):
    rows = data.draw(st.lists(blocks(source, size), min_size=1, max_size=20))
    assert_same_blocks(rows, source, block_format(name, size), policy)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", list(BLOCK_FORMATS))
def test_scale_rules_at_every_binade_and_threshold(name, rule):
    """Every float32 exponent, significands beside every rule's threshold, one lane each."""
    fmt = block_format(name)
    sixteenths = np.arange(0, 256, dtype=np.int64) << 15
    fields = np.unique((sixteenths[:, None] + np.array([-1, 0, 1])) & 0x7FFFFF)
    root = int(np.float32(2**0.5).view(np.uint32)) & 0x7FFFFF
    fields = np.unique(np.concatenate([fields, [root - 1, root, root + 1, 0x7FFFFF]]))
    some = [0, 1, 2, 7, 8, 9, 15, 16, 119, 127, 128, 134, 135, 200, 252, 253, 254]
    policy = Policy(scale_rule=rule)
    for exponent in some:
        bits = ((exponent << 23) | fields).astype(np.uint32)
        x = np.zeros((bits.size, 32), np.uint32)
        x[np.arange(bits.size), np.arange(bits.size) % 32] = bits
        got = arrays.quantize(x.view(np.float32), fmt, policy=policy).scales.reshape(-1)
        zero = ieee.from_bits(0, "float32")
        expected = [
            exact_scale.select([ieee.from_bits(int(b), "float32")] + [zero] * 31, fmt, policy)
            for b in bits
        ]
        assert got.tolist() == expected, exponent


@pytest.mark.parametrize("name", list(BLOCK_FORMATS))
def test_dequantize_every_code_under_every_scale(name):
    fmt = block_format(name)
    count = fmt.element.code_count
    codes = np.resize(np.arange(count, dtype=np.uint8), (256, max(count, 32)))
    scales = np.arange(256, dtype=np.uint8)[:, None]
    for change in (
        {"decode_overflow": "inf"},
        {"decode_overflow": "saturate"},
        {"decode_subnormal": "flush-element", "decode_nan": "signed"},
        {"decode_subnormal": "flush-result"},
    ):
        policy = Policy(**change)
        fmt_row = fmt.with_block_size(codes.shape[1])
        got = arrays.dequantize(codes, scales, fmt_row, policy=policy).view(np.uint32)
        for scale in range(256):
            exact = exact_block.dequantize(scale, codes[scale].tolist(), fmt_row, policy)
            expected = [ieee.to_bits(v, "float32", policy) for v in exact]
            assert got[scale].tolist() == expected, scale


def test_a_nan_payload_and_a_negative_zero_reach_the_codes():
    x = np.zeros((2, 32), np.uint32)
    x[0, 5] = 0x7F800001  # signalling
    x[1, 3], x[1, 4] = 0x80000000, 0x3F800000
    q = arrays.quantize(x.view(np.float32), "mxfp8_e4m3")
    assert q.scales.tolist() == [[0xFF], [119]]
    assert set(q.codes[0].tolist()) == {0x7F}
    assert q.codes[1, 3] == 0x80


def test_refusals():
    x = np.ones((2, 32), np.float32)
    x[1, 7] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        arrays.quantize(x, "mxfp4", policy="ocp:scale_nan=raise")
    x[1, 7] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        arrays.quantize(x, "mxfp4", policy="ocp:scale_inf=raise")
    with pytest.raises(ValueError, match="NaN scale"):
        arrays.quantize(x, "mxfp4", policy="ocp:nan_element=raise")
    assert arrays.quantize(x, "mxfp8_e4m3", policy="ocp:nan_element=raise").scales[1, 0] == 0xFF
    with pytest.raises(ValueError, match="NaN"):
        arrays.encode(np.array([np.nan]), "e2m1", "ocp:nan_element=raise")


@pytest.mark.parametrize("source", list(DTYPES))
@pytest.mark.parametrize("name", ["mxfp8_e4m3", "mxfp4", "mxint8"])
@settings(max_examples=25, deadline=None)
@given(
    data=st.data(),
    policy=policies(rounding=["nearest-even", "up"]),
    size=st.sampled_from([1, 7, 32]),
)
def test_blocks_across_rows_are_the_same_blocks(data, policy, size, name, source):
    """The loop over columns against the loop over rows: every lane, specials among them."""
    rows = data.draw(st.lists(blocks(source, size), min_size=1, max_size=12))
    columns = data.draw(st.sampled_from([16, 37, 70]))
    x = np.resize(as_array(rows, source), (columns, size))
    fmt = block_format(name, size)
    along = arrays.quantize(x, fmt, policy=policy)
    turned = np.ascontiguousarray(x.T)
    across = arrays.quantize(turned, fmt, axis=0, policy=policy)
    assert across.codes.T.tolist() == along.codes.tolist()
    assert across.scales.T.tolist() == along.scales.tolist()
    given_codes = arrays.encode_with_scale(turned, across.scales, fmt, axis=0, policy=policy)
    given_along = arrays.encode_with_scale(x, along.scales, fmt, policy=policy)
    assert given_codes.T.tolist() == given_along.tolist()
    values = across.dequantize().T.view(np.uint32), along.dequantize().view(np.uint32)
    assert values[0].tolist() == values[1].tolist()
