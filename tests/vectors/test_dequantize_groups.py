"""Dequantized blocks: the definition against arrays, and what wrong decoders meet."""

import functools

import numpy as np
import pytest

from mxref import arrays
from mxref.faults import decode_models
from mxref.formats import BLOCK_FORMATS, block_format
from mxref.policy import Policy
from mxref.vectors.dequantize_groups import DEQUANTIZE
from mxref.vectors.expect_tensor import expect_dequantize
from mxref.vectors.model import Verdict
from mxref.vectors.operations import Inputs

OCP = Policy()
FORMATS = list(BLOCK_FORMATS)
names = pytest.mark.parametrize("name", FORMATS)


@functools.cache
def expected(name):
    fmt = block_format(name)
    return [
        (f"{group.name}: {detail}", inputs, expect_dequantize(fmt, OCP, inputs))
        for group in DEQUANTIZE
        for inputs, detail in group.stimuli(fmt)
    ]


def blocks(name):
    scales = np.array([i.scales[0] for _, i, _ in expected(name)], np.uint8)
    return scales, np.array([i.bits for _, i, _ in expected(name)], np.uint8)


def members_of(expectation):
    return {m.out.bits for m in expectation.members}


def canonical(values):
    """Bits with one pattern for all NaNs: the rule any-nan."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return np.where(np.isnan(values), np.uint32(0x7FC00000), bits)


@names
@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"decode_nan": "signed"},
        {"decode_overflow": "saturate"},
        {"decode_subnormal": "flush-result"},
        {"decode_overflow": "saturate", "decode_subnormal": "flush-result"},
    ],
)
def test_values_are_those_of_arrays_under_each_choice(name, choices):
    scales, codes = blocks(name)
    want = arrays.dequantize(codes, scales[:, None], name, policy=Policy(**choices))
    fmt = block_format(name)
    for row, (what, inputs, _) in zip(want.view(np.uint32).tolist(), expected(name), strict=True):
        found = expect_dequantize(fmt, Policy(**choices), inputs)
        assert found.members[0].out.bits == tuple(row), what


@names
def test_labels_say_what_each_member_needs(name):
    for what, inputs, expectation in expected(name):
        for member in expectation.members:
            for when in member.when:
                found = arrays.dequantize(
                    np.array(inputs.bits, np.uint8),
                    np.array(inputs.scales, np.uint8),
                    name,
                    policy=Policy(**when),
                )
                assert tuple(found.view(np.uint32).tolist()) == member.out.bits, (what, when)


@names
def test_a_choice_is_open_only_where_it_shows(name):
    for what, _, expectation in expected(name):
        bits = np.array(expectation.members[0].out.bits, np.uint32)
        values = bits.view(np.float32)
        open_fields = {f for m in expectation.members for when in m.when for f in when}
        small = (values != 0) & (np.abs(values) < np.float32(2.0**-126))
        assert ("decode_subnormal" in open_fields) == bool(small.any()), what
        if not open_fields:
            assert expectation.verdict is Verdict.MUST, what
        if np.isfinite(values).all():
            assert open_fields <= {"decode_subnormal"}, what


@names
def test_every_scale_and_every_element_is_there(name):
    scales, codes = blocks(name)
    elem = block_format(name).element
    assert set(scales.tolist()) == set(range(256))
    assert set(codes[scales == 127].ravel().tolist()) == set(range(elem.code_count))
    for scale_code in (0, 1, 2, 0x7E, 0x80, 0xFD, 0xFE):
        seen = set(codes[scales == scale_code].ravel().tolist())
        assert seen == set(range(elem.code_count)), scale_code


@names
def test_each_clause_of_a_group_is_met_by_one_of_its_cases(name):
    met = {clause for _, _, expectation in expected(name) for clause in expectation.clauses}
    wanted = {"MX-1.0/5.1/value", "MX-1.0/5.1/nan-scale", "MX-1.0/5.4/e8m0", "OP-DECODE-NAN"}
    wanted |= {"MX-1.0/5.1/overflow", "MX-1.0/5.1/underflow", "OP-DECODE-OVERFLOW"}
    elem = block_format(name).element
    wanted |= {elem.clause}
    wanted |= {"MX-1.0/5.1/special-elements"} if elem.has_nan else set()
    wanted |= {"MX-1.0/5.3.4/int8-min"} if name == "mxint8" else {"MX-1.0/5.3/subnormals"}
    assert wanted <= met


@names
def test_every_wrong_decoder_is_killed(name):
    scales, codes = blocks(name)
    elem = block_format(name).element
    allowed = []
    for _, _, expectation in expected(name):
        rows = [np.array(bits, np.uint32).view(np.float32) for bits in members_of(expectation)]
        allowed.append([canonical(row).tolist() for row in rows])
    for model in decode_models(elem):
        with np.errstate(all="ignore"):
            got = model.decoder(elem, OCP).decode(codes, scales[:, None])
        rows = canonical(got).tolist()
        killed = any(row not in outs for row, outs in zip(rows, allowed, strict=True))
        assert killed, (model.id, model.detail)


@names
def test_a_lane_out_of_place_is_killed(name):
    """Every rotation, and the permutations of nibbles and halves, show in some block."""
    lanes = np.arange(32)
    permutations = [np.roll(lanes, turn) for turn in range(1, 32)]
    permutations += [lanes ^ 1, lanes[::-1], lanes // 2 + lanes % 2 * 16]
    outs = [(members_of(e), np.array(e.members[0].out.bits)) for _, _, e in expected(name)]
    for permutation in permutations:
        assert any(tuple(bits[permutation].tolist()) not in allowed for allowed, bits in outs)
    for i in range(31):  # two neighbours exchanged
        swapped = lanes.copy()
        swapped[[i, i + 1]] = i + 1, i
        assert any(tuple(bits[swapped].tolist()) not in allowed for allowed, bits in outs), i


def test_an_element_that_is_nan_neither_scales_nor_spreads():
    fmt = block_format("mxfp8_e5m2")
    found = expect_dequantize(fmt, OCP, Inputs(None, (0x7C, 0xFC, 0x7E, *[0x3C] * 29), (0x00,)))
    bits = found.members[0].out.bits
    assert bits[:4] == (0x7F800000, 0xFF800000, 0x7FC00000, 0x00400000)
    assert "MX-1.0/5.1/special-elements" in found.clauses


def test_under_a_nan_scale_every_value_is_nan():
    fmt = block_format("mxfp4")
    found = expect_dequantize(fmt, OCP, Inputs(None, tuple(range(16)) * 2, (0xFF,)))
    assert set(found.members[0].out.bits) == {0x7FC00000}
    assert "MX-1.0/5.1/value" not in found.clauses
    labels = [dict(when) for m in found.members for when in m.when]
    assert labels == [{"decode_nan": "canonical"}, {"decode_nan": "signed"}]
