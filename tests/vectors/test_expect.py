"""Verdicts, labels and comparison rules, against what the clauses say."""

import pytest

from mxref.formats import block_format, scalar_format
from mxref.policy import Policy
from mxref.vectors import Inputs, Output, Verdict, accepts
from mxref.vectors.choices import tabulate
from mxref.vectors.expect import expect

OCP = Policy()
ONE, INF, NAN = 0x3F800000, 0x7F800000, 0x7FC00000
MINUS = 1 << 31


def encode(name, bits, source="float32"):
    return expect("encode", scalar_format(name), OCP, Inputs(source, (bits,)))


def labelled(expectation):
    return {
        (m.out.bits[0] if m.out else None): [dict(when) for when in m.when]
        for m in expectation.members
    }


def test_what_a_clause_settles_is_a_must():
    found = encode("e4m3", ONE)
    assert (found.verdict, labelled(found)) == (Verdict.MUST, {0x38: [{}]})
    assert encode("e4m3", MINUS).verdict is Verdict.MUST  # OFP8-1.0/zero keeps the sign
    assert encode("e2m1", MINUS).verdict is Verdict.ONE_OF  # nothing is said for FP4


def test_fp8_overflow_is_one_of():
    found = encode("e4m3", 0x43E80001)  # 464 and one ulp
    assert found.verdict is Verdict.ONE_OF
    assert labelled(found) == {
        0x7E: [{"fp8_overflow": f} for f in ("saturate", "propagate", "sat-none")],
        0x7F: [
            {"fp8_overflow": "overflow", "nan_payload": p}
            for p in ("canonical", "signed", "quiet-signed", "payload")
        ],
        0xFF: [{"fp8_overflow": "overflow", "nan_payload": "negative"}],
    }
    assert {"OFP8-1.0/overflow-sat", "OFP8-1.0/overflow-ovf", "OP-FP8-OVERFLOW"} <= set(
        found.clauses
    )
    tie = encode("e4m3", 0x43E80000)  # 464 rounds to 448 in either mode
    assert (tie.verdict, labelled(tie)) == (Verdict.MUST, {0x7E: [{}]})


def test_every_nan_code_of_fp8_is_allowed():
    assert set(labelled(encode("e5m2", NAN | MINUS))) == {0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF}
    assert encode("e5m2", NAN).verdict is Verdict.ONE_OF


def test_nan_to_fp4_names_each_choice():
    found = labelled(encode("e2m1", NAN | MINUS))
    assert found[0x07] == [{"nan_element": "pos-max"}]
    assert found[0x0F] == [{"nan_element": "signed-max"}]
    assert found[None] == [{"nan_element": "raise"}]
    assert found[0x00] == [{"nan_element": "zero"}, {"nan_element": "flipped-zero"}]


def test_infinity_to_fp4_rests_on_a_choice():
    found = encode("e2m1", INF)
    assert found.verdict is Verdict.ONE_OF
    assert labelled(found) == {0x07: [{"inf_element": "clamp"}], None: [{"inf_element": "raise"}]}


def test_no_member_rests_on_a_choice_that_is_a_fault():
    found = encode("e4m3", 0x3C000000)  # 2^-7, a subnormal of E4M3
    assert (found.verdict, labelled(found)) == (Verdict.MUST, {0x04: [{}]})
    assert block("mxfp4", 0x40000001).verdict is Verdict.MUST  # no rounded logarithm, no bfloat16


def test_subnormal_inputs_may_count_as_zero():
    found = encode("e5m2", 0x0100, "float16")  # 2^-16, which E5M2 has
    assert labelled(found) == {1: [{"input_subnormal": "keep"}], 0: [{"input_subnormal": "flush"}]}
    assert encode("e5m2", 0x0400, "float16").verdict is Verdict.MUST
    found = block("mxint8", 0x00400000)  # 2^-127, alone in its block
    scales = {m.out.scale for m in found.members}
    assert scales == {0x00, 0x01, 0x7F, 0xFF}  # of zeros: min-normal is 0x01 where emax is 0


def test_the_ends_of_the_scale_range_are_open():
    low = block("mxfp8_e5m2", 0x02000000)  # 2^-123: the scale would be 2^-138
    assert [m.when for m in low.members] == [
        ({"scale_below": "clamp"},),
        ({"scale_below": "flush-block"},),
    ]
    high = block("mxint8", 0x7F000000)  # 2^127
    assert {m.out.scale: m.when for m in high.members} == {
        0xFE: ({"scale_above": "clamp"}, {"scale_above": "nan"}),
        0xFC: ({"scale_above": "clamp-125"},),
    }


def test_int8_minimum():
    assert labelled(encode("int8", 0xC0000000)) == {
        0x81: [{"int8_min": "unused"}],
        0x80: [{"int8_min": "used"}],
    }


def test_e8m0_casts():
    assert encode("e8m0", ONE).verdict is Verdict.MUST
    assert labelled(encode("e8m0", 0x3FC00000)) == {  # 1.5
        0x7F: [{"e8m0_rounding": "down"}],
        0x80: [{"e8m0_rounding": r} for r in ("up", "nearest", "nearest-even")],
    }
    assert labelled(encode("e8m0", 0)) == {0: [{"e8m0_zero": "min"}], 0xFF: [{"e8m0_zero": "nan"}]}
    assert encode("e8m0", 1).verdict is Verdict.OPEN  # below 2**-127


def test_decode_of_a_nan():
    found = expect("decode", scalar_format("e4m3"), OCP, Inputs(None, (0xFF,)))
    assert labelled(found) == {
        0x7FC00000: [{"decode_nan": "canonical"}],
        0xFFC00000: [{"decode_nan": "signed"}],
    }


def block(name, *lanes, rest=0):
    bits = (*lanes, *[rest] * (32 - len(lanes)))
    return expect("quantize", block_format(name), OCP, Inputs("float32", bits))


def test_plain_blocks_are_a_must():
    assert block("mxfp4", ONE).verdict is Verdict.MUST
    assert block("mxfp8_e4m3", 0x3FF00000).verdict is Verdict.ONE_OF  # 1.875 saturates or not


def test_blocks_of_zeros():
    found = block("mxfp4")
    scales = {m.out.scale: m.when[0]["scale_zero_block"] for m in found.members}
    assert scales == {0x00: "min", 0x7F: "one", 0x7D: "minus-emax", 0xFF: "nan"}
    assert {m.out.scale: m.when[0]["scale_zero_block"] for m in block("mxint8").members} == {
        0x00: "min",
        0x7F: "one",
        0xFF: "nan",
        0x01: "min-normal",
    }


def test_blocks_with_nan_and_infinity_are_open():
    assert block("mxfp4", NAN, ONE).verdict is Verdict.ONE_OF
    assert block("mxfp4", NAN, INF).verdict is Verdict.OPEN


def test_a_scalar_operation_refuses_a_block_format():
    with pytest.raises(TypeError, match="encode does not take the format mxfp4"):
        expect("encode", block_format("mxfp4"), OCP, Inputs("float32", (0,)))


def test_members_partition_the_choices():
    members = tabulate(
        OCP,
        ("neg_zero", "int8_min"),
        lambda p: (p.neg_zero == "keep" or p.int8_min == "used", Output((0,))),
    )
    assert [m.when for m in members] == [
        ({"neg_zero": "keep"}, {"int8_min": "used"}),
        (
            {"neg_zero": "drop", "int8_min": "unused"},
            {"neg_zero": "drop-input", "int8_min": "unused"},
        ),
    ]


def test_a_refusal_that_no_choice_explains_is_an_error():
    def broken(_):
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        tabulate(OCP, ("neg_zero",), broken)


# --- comparison --------------------------------------------------------------------------------


def case_of(files, key, comment):
    file = files[key]
    return file, next(c for c in file.cases if c.comment == comment)


def test_codes_under_a_nan_scale_are_not_compared(files):
    file, case = case_of(files, ("quantize", "mxfp4"), "nonfinite: +quiet NaN in lane 0")
    assert accepts(file, case, Output((3,) * 32, 0xFF))
    assert not accepts(file, case, Output((3,) * 32, 0x7F))
    assert accepts(file, case, None)  # refusing is a named choice


def test_the_scale_of_a_block_of_zeros_is_free(files):
    file, case = case_of(files, ("quantize", "mxfp4"), "zero-blocks: all +0 of f32")
    assert accepts(file, case, Output((0,) * 32, 0x55))
    assert not accepts(file, case, Output((1,) + (0,) * 31, 0x55))
    file, case = case_of(files, ("quantize", "mxfp4"), "amax-lane: lane 0")
    assert not accepts(file, case, Output(case.expected.bits, case.expected.scale ^ 1))


def test_nan_patterns_of_a_decoder_are_equal(files):
    file = files["decode", "e4m3"]
    assert accepts(file, file.cases[0x7F], Output((0xFFFFFFFF,)))
    assert not accepts(file, file.cases[0x7F], Output((INF,)))
    assert not accepts(file, file.cases[0x38], Output((NAN,)))
    assert not accepts(file, file.cases[0x38], None)


def test_an_open_case_never_fails(files):
    file, case = case_of(files, ("quantize", "mxfp4"), "nonfinite-company: NaN, then Inf")
    assert accepts(file, case, Output((0,) * 32, 0x12))
    assert accepts(file, case, None)


def test_the_policy_of_the_file_passes_its_own_file(files):
    for file in files.values():
        assert all(accepts(file, case, case.expected) for case in file.cases)
