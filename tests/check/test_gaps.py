"""A gap is true: its faults do not show in the data, and the input that it asks for shows them."""

import re
import time

import ml_dtypes
import numpy as np
import pytest

import mxref
from mxref.check import stimuli
from mxref.check._problem import Problem
from mxref.check.gaps import cast_gaps, decode_gaps, gaps
from mxref.check.gaps._inputs import book
from mxref.faults import correct, implementations, reason_for
from mxref.faults.probes import normal_form
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, block_format, element_format
from mxref.policy import Policy, get_policy

DTYPES = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
CANNOT = re.compile("no (bfloat16|float16) input can show it: give float32, add ")


def problem_of(x, name, axis=-1):
    fmt = block_format(name)
    axis %= x.ndim
    plane = list(x.shape)
    plane[axis] = -(-plane[axis] // fmt.block_size)
    # Codes and scales do not matter.
    return Problem(x, np.zeros(x.shape, np.uint8), np.zeros(plane, np.uint8), fmt, axis)


def lone(x, name):
    return Problem.of_elements(x, np.zeros(x.shape, np.uint8), element_format(name))


def normals(shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(DTYPES[dtype])


def silent(op, fmt, x, policy=Policy()):  # noqa: B008  # a frozen default
    """Which faults give the right output for everything, found the long way."""
    with np.errstate(all="ignore"):
        right = normal_form(op, fmt, (x,), correct(op, fmt, policy)(x))
        return {
            (fault.id, fault.detail)
            for fault in implementations(op, fmt, policy)
            if all(
                np.array_equal(one, other)
                for one, other in zip(
                    right, normal_form(op, fmt, (x,), fault.subject(x)), strict=True
                )
            )
        }


def ids(found):
    return {fault for gap in found for fault in gap.faults}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["mxfp4", "mxfp8_e5m2", "mxint8"])
def test_gaps_are_what_does_not_show(name, dtype):
    x = normals((64, 32), dtype)
    fmt = block_format(name)
    unseen = silent("quantize", fmt, x)
    possible = {fault for fault in unseen if reason_for(*fault, "quantize", name) is None}
    found = gaps(problem_of(x, name), Policy())
    assert ids(found) <= {fault for fault, _ in unseen}
    # What float32 can show and the data do not is in some gap.
    assert ids(found) == {fault for fault, _ in possible}
    assert 1 <= len(found) <= 8


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["mxfp4", "mxfp6_e2m3", "mxfp8_e4m3"])
def test_the_inputs_asked_for_close_the_gap(name, dtype):
    fmt = block_format(name)
    x = normals((64, 32), dtype)
    ours = book("quantize", fmt, Policy(), dtype)
    keys = [(fault.id, fault.detail) for fault in ours.faults]
    unseen = silent("quantize", fmt, x)
    inputs, left = ours.cover(frozenset(i for i, key in enumerate(keys) if key in unseen))
    assert all(one.values.dtype == x.dtype for one in inputs)
    more = np.concatenate([x, *(one.values[None] for one in inputs)])
    assert silent("quantize", fmt, more) == {keys[i] for i in left}
    if dtype == "float32":
        assert all(reason_for(*keys[i], "quantize", name) for i in left)
    assert len(inputs) < 20


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_designed_inputs_have_no_gaps(name):
    x = stimuli.quantize_stimuli(block_format(name)).inputs[0]
    assert ids(gaps(problem_of(x[:512], name), Policy())) > set()  # without the ends and specials
    assert len(x) > 512  # more than a sample of 2^14 elements
    fmt = block_format(name)
    hidden = {f for f, d in silent("quantize", fmt, x) if not reason_for(f, d, "quantize", name)}
    assert hidden == set()


@pytest.mark.parametrize("name", ELEMENT_FORMATS)
def test_designed_numbers_have_no_gaps(name):
    x = stimuli.encode_stimuli(element_format(name)).inputs[0]
    assert gaps(lone(x, name), Policy()) == ()


@pytest.mark.parametrize(("dtype", "fault"), [("bfloat16", "E21"), ("float16", "E22")])
@pytest.mark.parametrize("name", ["e4m3", "e5m2", "e2m1"])
def test_what_no_input_of_a_type_can_show(name, dtype, fault):
    every = np.arange(1 << 16, dtype=np.uint16).view(DTYPES[dtype])
    fmt = element_format(name)
    assert (fault, "before scaling") in silent("encode", fmt, every)
    found = gaps(lone(every, name), Policy())
    assert CANNOT.match(found[-1].needs)  # the others: a sample does not hold all numbers
    assert fault in found[-1].faults
    # With float32 the same gap is closed by the number that is named.
    bits = re.findall(r"\(0x([0-9A-F]{8})\)", found[-1].needs)
    assert bits
    wide = np.array([int(b, 16) for b in bits], np.uint32).view(np.float32)
    assert len(silent("encode", fmt, np.concatenate([every.astype(np.float32), wide]))) < len(
        silent("encode", fmt, every)
    )


def test_bfloat16_blocks_cannot_show_double_rounding():
    x = normals((64, 32), "bfloat16")
    found = gaps(problem_of(x, "mxfp8_e4m3"), Policy())
    (last,) = [gap for gap in found if "E21" in gap.faults]
    assert last.what == "what bfloat16 input cannot show"
    assert CANNOT.match(last.needs)


def test_one_nan_among_a_million_blocks_is_seen():
    x = normals((1 << 12, 1024))
    name = "mxfp4"
    missing = [gap.what for gap in gaps(problem_of(x, name), Policy())]
    assert "NaN" in " ".join(missing)
    assert any("in a sample of 16,384 elements" in what for what in missing)
    x[3001, 517] = np.nan  # not at the first place of its block
    x[77, 5] = -np.inf
    x[1234, 32:64] = 0
    found = " ".join(gap.what for gap in gaps(problem_of(x, name), Policy()))
    assert "NaN" not in found
    assert "infinity" not in found
    assert "zeros" not in found


def test_right_scales_say_where_the_special_blocks_are():
    x = normals((1 << 9, 1024))
    x[301, 517], x[77, 5], x[123, 32:64] = np.nan, -np.inf, 0
    made = mxref.quantize(x, "mxfp4")
    problem = Problem(x, made.codes, made.scales, block_format("mxfp4"), 1)
    report = mxref.check.quantize(x, made.codes, made.scales, "mxfp4")
    assert report.ok
    found = " ".join(gap.what for gap in gaps(problem, Policy(), report))
    assert found
    assert not {word for word in ("NaN", "infinity", "zeros") if word in found}


def test_the_sample_can_be_smaller():
    found = gaps(problem_of(normals((1 << 8, 1024)), "mxfp4"), Policy(), lanes=1 << 11)
    assert any("in a sample of 2,048 elements" in gap.what for gap in found)


def test_a_tie_closes_its_gap():
    x = normals((8, 32))
    x[0, :5] = [6, 2.5, -2.5, 3.5, -3.5]
    x[1, :5] = [6, 0.25, -0.25, 0.75, -0.75]
    assert "E1" not in ids(gaps(problem_of(x, "mxfp4"), Policy()))
    x[:2, 1:5] += 0.001
    assert "E1" in ids(gaps(problem_of(x, "mxfp4"), Policy()))


@pytest.mark.parametrize("name", ["mxfp4/1", "mxfp4/16", "mxfp6_e2m3/8"])
def test_other_block_sizes(name):
    x = normals((16, 64))
    found = gaps(problem_of(x, name), Policy())
    unseen = {
        fault
        for fault, _ in silent(
            "quantize", block_format(name), x.reshape(-1, block_format(name).block_size)
        )
    }
    assert found
    assert ids(found) <= unseen


def test_ragged_blocks_and_another_axis():
    x = normals((70, 9))
    found = gaps(problem_of(x, "mxfp4", axis=0), Policy())
    assert "NaN" in [gap.what for gap in found]


def test_float64_and_foreign_byte_order():
    x = normals((64, 32))
    one = gaps(problem_of(x, "mxfp4"), Policy())
    assert [g.faults for g in gaps(problem_of(x.astype(">f4"), "mxfp4"), Policy())] == [
        g.faults for g in one
    ]
    wide = gaps(problem_of(x.astype(np.float64), "mxfp4"), Policy())
    assert "(0x3FD0000000000000)" in " ".join(gap.needs for gap in wide)  # 0.25, a tie


@pytest.mark.parametrize(
    "policy",
    [
        "ocp:rounding=toward-zero",
        "ocp:scale_rule=rceil,scale_nan=raise",
        "ocp:fp8_overflow=overflow,neg_zero=drop",
        "ocp:relu=on,input_subnormal=flush",
    ],
)
def test_other_policies(policy):
    chosen = get_policy(policy)
    found = gaps(problem_of(normals((64, 32)), "mxfp8_e4m3"), chosen)
    assert found
    assert all(gap.needs and gap.what and gap.faults for gap in found)


def test_what_was_found_is_no_gap():
    x = normals((64, 32))
    codes = mxref.quantize(x, "mxfp4")
    report = mxref.check.quantize(x, codes.codes, np.minimum(codes.scales + 1, 254), "mxfp4")
    named = {finding.id for finding in report.findings}
    assert named
    assert not ids(gaps(problem_of(x, "mxfp4"), Policy(), report)) & named


def test_nothing_is_nothing():
    assert gaps(problem_of(np.zeros((0, 32), np.float32), "mxfp4"), Policy()) == ()
    assert cast_gaps(np.zeros(0, np.float32), Policy()) == ()


def test_casts_to_e8m0():
    found = cast_gaps(normals(1000), Policy())
    assert "NaN" in [gap.what for gap in found]
    x = stimuli.encode_stimuli(mxref.formats.SCALE_FORMATS["e8m0"]).inputs[0]
    assert cast_gaps(x, Policy()) == ()


def test_large_data_cost_little():
    x = normals((1 << 11, 1 << 11))
    problem = problem_of(x, "mxfp4")
    gaps(problem, Policy())
    start = time.process_time()
    gaps(problem, Policy())
    assert time.process_time() - start < 1  # about 0.1


# --- decoding ---------------------------------------------------------------------------------


def coded(fmt, scales=range(256)):
    pairs = stimuli.dequantize_stimuli(fmt)
    codes, every = pairs.inputs
    kept = np.isin(every[:, 0], list(scales))
    codes, every = codes[kept], every[kept]
    return Problem(np.zeros(codes.shape, np.float32), codes, every, fmt, 1)


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_all_codes_under_all_scales_leave_no_gap(name):
    fmt = block_format(name)
    assert decode_gaps(coded(fmt), Policy()) == ()
    found = decode_gaps(coded(fmt, range(100, 150)), Policy())
    assert {"D9", "D10"} <= ids(found)
    assert {"the smallest scale", "the scale NaN"} <= {gap.what for gap in found}
    assert "D10" not in ids(decode_gaps(coded(fmt, [*range(100, 150), 255]), Policy()))


def test_missing_element_codes():
    every = np.arange(256, dtype=np.uint8)
    fmt = element_format("e5m2")
    assert decode_gaps(lone_codes(every, fmt), Policy()) == ()
    found = decode_gaps(lone_codes(every[(every & 0x7F) != 0x7C], fmt), Policy())
    assert [(gap.what, gap.faults) for gap in found] == [("an infinity", ("D4",))]
    assert found[0].needs == "add element code 0x7C"


def lone_codes(codes, fmt):
    return Problem.of_elements(np.zeros(codes.shape, np.float32), codes, fmt)


def test_lone_scale_codes():
    codes = np.arange(1, 255, dtype=np.uint8)
    carrier = block_format("mxfp4", 1)
    x = np.zeros(codes.shape, np.float32)
    problem = Problem(x, np.zeros_like(codes), codes, carrier, 0, codes.shape)
    assert {gap.what for gap in decode_gaps(problem, Policy(), of_scales=True)} == {
        "the smallest scale",
        "the scale NaN",
    }
