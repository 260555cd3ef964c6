"""Each operation of the vector set, told step by step: the steps end where the file says."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from mxref.exact import ieee
from mxref.exact.number import Number
from mxref.formats import block_format
from mxref.policy import get_policy
from mxref.show._case_steps import _block_places, _tiled, case_steps
from mxref.show.vector_case import vector_case
from mxref.vectors import Case, Inputs, Member, Output, VectorFile, Verdict, load

VECTORS = Path(__file__).resolve().parents[2] / "spec_vectors"


def flat(text):
    """The text without its line breaks, which fall where the columns end."""
    return " ".join(text.split())


def one_case(operation, fmt, inputs, *members, policy="ocp", verdict=Verdict.MUST, comment="group"):
    case = Case("0123456789ab", inputs, members, verdict, (), (), comment)
    return VectorFile(operation, fmt, get_policy(policy), "1.0.0", (), (), (), (), (case,)), case


def told(*args, **kwargs):
    return flat("\n".join(case_steps(*one_case(*args, **kwargs))))


def float32(value):
    return ieee.to_bits(Number.finite(Fraction(value)), "float32")


@pytest.mark.parametrize(
    "name",
    [
        "encode/e2m1.ocp.json",
        "encode/e5m2.ocp.json",
        "encode/int8.ocp.json",
        "encode/e8m0.ocp.json",
        "decode/e4m3.ocp.json",
        "decode/e8m0.ocp.json",
        "quantize/mxfp4.ocp.json",
        "quantize/mxfp8_e4m3.ocp.json",
        "quantize/mxint8.ocp.json",
    ],
)
def test_published_cases_end_as_their_file_says(name):
    file = load(VECTORS / name)
    for case in file.cases[::23]:
        text = str(vector_case(file, case))
        assert max(map(len, text.splitlines())) <= 80, text
        steps = flat("\n".join(case_steps(file, case)))
        out = case.expected
        if out is None:
            assert steps.startswith("refused"), text
        elif file.operation == "encode":
            width = 1 if file.format == "e2m1" else 2
            assert f"0x{out.bits[0]:0{width}x}" in steps, text
        elif file.operation == "decode":
            assert f"0x{out.bits[0]:08x}" in steps, text
        else:
            width = -(-block_format(file.format).element.bits // 4)
            codes = [f"0x{code:0{width}x}" for code in out.bits]
            assert f"0x{out.scale:02x}" in steps, text
            assert all(code in steps for code in codes), text


def test_everything_about_a_case_is_told():
    file = load(VECTORS / "encode/e4m3.ocp.json")
    case = next(c for c in file.cases if len(c.members) > 2 and c.verdict == "one_of")
    case = replace(case, flags=("E13", "E9999"))
    text = flat(str(vector_case(file, case)))
    assert f"case {case.id}" in text
    assert "encode/e4m3.ocp.json, set " in text
    group = case.comment.partition(":")[0]
    assert flat(next(g.reason for g in file.covergroups if g.name == group)) in text
    assert case.comment.partition(":")[2].strip() in text
    assert "any of these outputs" in text
    assert "as the policy of the file says: " in text
    for member in case.members:
        assert f"{member.out.bits[0]:02x} " in text
        for when in member.when:
            assert all(f"{field}={choice}" in text for field, choice in when.items())
    assert all(clause in text for clause in case.clauses)
    assert "E13 " in text
    assert "E9999 unknown to this mxref" in text


def test_the_dictionary_is_json():
    file = load(VECTORS / "decode/e4m3.ocp.json")
    found = json.loads(json.dumps(vector_case(file, file.cases[3]).to_dict()))
    assert found["case"]["id"] == file.cases[3].id
    assert found["path"] == file.path
    assert found["clauses"]["OFP8-1.0/e4m3"].startswith("E4M3 has bias 7")


def test_verdicts_in_words():
    inputs, out = Inputs(None, (2,)), Output((float32(1),))
    words = {
        Verdict.MUST: "exactly this output",
        Verdict.ONE_OF: "any of these outputs",
        Verdict.OPEN: "never failed",
    }
    for verdict, said in words.items():
        file, case = one_case("decode", "e2m1", inputs, Member(out, ({},)), verdict=verdict)
        assert said in str(vector_case(file, case))
    file, case = one_case("decode", "e2m1", inputs, Member(out, ()), Member(None, ({},)))
    text = flat(str(vector_case(file, case)))
    assert "allowed by the standard; no named choice gives it" in text
    assert "or refused: no output" in text


def test_random_bits_are_given():
    policy = "ocp:rounding=stochastic-a"
    inputs = Inputs("float32", (float32(Fraction(5, 4)),), random=(0x7FFF,))
    steps = told("encode", "e2m1", inputs, Member(Output((2,)), ({},)), policy=policy)
    assert "R = 0x7fff" in steps
    assert "= 0x2" in steps
    up = replace(inputs, random=(0x8000,))
    assert "= 0x3" in told("encode", "e2m1", up, Member(Output((3,)), ({},)), policy=policy)


def test_dequantize_shows_each_element():
    codes = (0x2, 0xF, *([0] * 30))
    steps = told("dequantize", "mxfp4", Inputs(None, codes, scales=(0x80,)))
    assert "X = 2^(0x80 - 127) = 2^1" in steps
    assert f"0 0x2 1 2 {float32(2):08x}" in steps
    assert f"1 0xf -6 -12 {float32(-12):08x}" in steps
    assert "0xff is NaN" in told("dequantize", "mxfp4", Inputs(None, codes, scales=(0xFF,)))


def operand(scales, codes):
    return Inputs(None, tuple(codes), scales=tuple(scales))


def dot_of(k, a, b, fmt="mxfp4-mxfp4"):
    inputs = replace(a, other=b, shape=(k,))
    return told("dot", fmt, inputs)


def test_dot_shows_products_and_sums():
    codes = [2, 7, 0xA] + [0] * 29
    steps = dot_of(32, operand([0x80], codes), operand([0x7E], codes))
    assert "X_A = 0x80 = 2^1, X_B = 0x7e = 2^-1" in steps
    assert "1 0x7 6 0x7 6 36" in steps
    assert "29 products of zero left out" in steps
    assert "of the products: +19*2^1 = 38" in steps
    assert f"0x{float32(38):08x} = 38 (exact)" in steps


def test_dot_counts_k_elements_only():
    codes = [2] * 64
    spoilt = operand([0x7F, 0xFF], codes)
    steps = dot_of(31, spoilt, spoilt)
    assert "k = 31: 1 block of 32" in steps
    assert "the last 33 elements of each operand do not count" in steps
    assert f"0x{float32(31):08x} = 31 (exact)" in steps
    assert "NaN" in dot_of(33, spoilt, spoilt)


def test_dot_of_blocks_is_rounded_once():
    codes = [2] + [0] * 31
    wide = operand([0x7F, 0x60], codes * 2)
    steps = dot_of(64, wide, wide)
    assert "block 0" in steps
    assert "block 1" in steps
    assert f"0x{float32(1):08x} = 1 (rounded once, to nearest even)" in steps


def test_dot_of_two_formats():
    a, b = operand([0x7F], [7] + [0] * 31), operand([0x7F], [0x40] + [0] * 31)
    assert "0 0x7 6 0x40 1 6" in dot_of(32, a, b, "mxfp4-mxint8")


def tensor(shape, axis):
    numbers = tuple(float32(1 + i // shape[1]) for i in range(shape[0] * shape[1]))
    return Inputs("float32", numbers, shape=shape, axis=axis)


def test_quantize_tensor_shows_each_block():
    steps = told("quantize_tensor", "mxfp4", tensor((2, 64), 1))
    assert "blocks of 32 along the rows (axis 1)" in steps
    assert "1, 1 [1, 32..63] 2 0x7e 2^-1 0x6 0x6 0x6" in steps
    steps = told("quantize_tensor", "mxfp4", tensor((32, 2), 0))
    assert "blocks of 32 down the columns (axis 0)" in steps
    assert "0, 1 [0..31, 1] 32 0x82 2^3" in steps


def test_a_refused_tensor_is_told_under_the_other_choice():
    members = (
        Member(None, ({"block_tail": "forbid"},)),
        Member(Output((0,)), ({"block_tail": "zero-pad"},)),
    )
    steps = told("quantize_tensor", "mxfp4", tensor((1, 33), 1), *members)
    assert steps.startswith("refused")
    assert "under block_tail=zero-pad:" in steps
    assert "the last block of each line has 1 element" in steps
    assert "0, 1 [0, 32] 1 0x7d 2^-2 0x6" in steps


def stored(shape, axis, scales, elements, layout):
    return Inputs(None, tuple(elements), tuple(scales), shape=shape, axis=axis, layout=layout)


def test_dequantize_tensor_shows_where_bytes_lie():
    nibbles = [0x42] * 32
    layout = ("nibbles-low-first", "row-major")
    inputs = stored((2, 32), 1, (0x7F, 0x80), nibbles, layout)
    steps = told("dequantize_tensor", "mxfp4", inputs)
    assert f"1, 0 [1, 0..31] 1 0x80 2^1 byte 16 low: 2 = 1 {float32(2):08x}" in steps
    inputs = stored((32, 2), 0, (0x7F, 0x80), nibbles, layout)
    steps = told("dequantize_tensor", "mxfp4", inputs)
    assert f"0, 1 [0..31, 1] 1 0x80 2^1 byte 0 high: 4 = 2 {float32(4):08x}" in steps


def test_dequantize_tensor_finds_a_scale_in_tiles():
    plane = [0x7F] * 1024
    plane[512 + 1 * 16 + 1 * 4 + 0] = 0x81  # row 33 of the second tile across
    inputs = stored((34, 160), 1, plane, [0x38] * (34 * 160), ("bytes", "128x4"))
    file, case = one_case("dequantize_tensor", "mxfp8_e4m3", inputs)
    rows = [line.split() for line in case_steps(file, case)]
    assert any("more" in row for row in rows)  # 170 blocks
    assert _tiled(33, 4, 5) == 512 + 16 + 4


@pytest.mark.parametrize("axis", [0, 1])
def test_blocks_tile_a_tensor(axis):
    inputs = tensor((33, 65), axis)
    cells = [cell for _, _, own in _block_places(inputs, 32) for cell in own]
    assert len(cells) == len(set(cells)) == 33 * 65
    assert all(len(own) <= 32 for _, _, own in _block_places(inputs, 32))


def test_tiles_hold_each_scale_once():
    places = [_tiled(r, c, 9) for r in range(256) for c in range(9)]
    assert len(set(places)) == len(places)
    assert max(places) < 2 * 3 * 512
