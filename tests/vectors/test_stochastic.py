"""Stochastic rounding with given bits: the definition against arrays, and what mistakes meet."""

import functools

import numpy as np
import pytest

from mxref import arrays
from mxref.exact import element, ieee
from mxref.exact.number import NumberClass
from mxref.formats import ELEMENT_FORMATS, element_format
from mxref.policy import get_policy
from mxref.vectors.driver import floats
from mxref.vectors.model import Verdict
from mxref.vectors.operations import Inputs
from mxref.vectors.stochastic import STOCHASTIC, expect_stochastic

MODES = ("stochastic-a", "stochastic-b", "stochastic-c")
ALL = 0xFFFF
elements = pytest.mark.parametrize("name", ELEMENT_FORMATS)
modes = pytest.mark.parametrize("mode", MODES)


def policy_of(mode):
    return get_policy(f"ocp:rounding={mode}")


@functools.cache
def stimuli(name):
    fmt = element_format(name)
    return [
        (f"{group.name}: {detail}", inputs)
        for group in STOCHASTIC
        for inputs, detail in group.stimuli(fmt)
    ]


@functools.cache
def expected(name, mode):
    fmt = element_format(name)
    return [
        (what, inputs, expect_stochastic(fmt, policy_of(mode), inputs))
        for what, inputs in stimuli(name)
    ]


def number_of(inputs):
    return ieee.from_bits(inputs.bits[0], inputs.type)


@elements
@modes
def test_expected_codes_are_those_of_arrays(name, mode):
    for source in ("float32", "bfloat16", "float16"):
        mine = [(i, e) for _, i, e in expected(name, mode) if i.type == source]
        assert mine, source
        x = floats([i for i, _ in mine])[:, 0]
        drawn = np.array([i.random[0] for i, _ in mine], np.uint32)
        got = arrays.encode(x, name, policy=policy_of(mode), random=drawn)
        assert got.tolist() == [e.members[0].out.bits[0] for _, e in mine]


@elements
@modes
def test_what_is_exact_or_special_does_not_depend_on_the_draw(name, mode):
    fmt, policy = element_format(name), policy_of(mode)
    seen = set()
    for what, inputs, expectation in expected(name, mode):
        number = number_of(inputs)
        special = number.cls in (NumberClass.NAN, NumberClass.INF)
        if not special and not what.startswith("stochastic-exact"):
            continue
        seen.add(number.cls)
        for R in (0, 0x8000, inputs.random[0], ALL):
            code = element.encode(number, fmt, policy, source=inputs.type, random=R)
            assert expectation.members[0].out.bits == (code,), (what, R)
    assert len(seen) == 4  # zero, finite, infinite, NaN


@elements
@modes
def test_a_finite_number_in_range_is_a_must(name, mode):
    fmt = element_format(name)
    musts = 0
    for what, inputs, expectation in expected(name, mode):
        number = number_of(inputs)
        assert "OP-ELEM-STOCHASTIC" in expectation.clauses
        if number.cls is NumberClass.FINITE and fmt.min_subnormal < number.magnitude < fmt.max:
            musts += expectation.verdict is Verdict.MUST
            labels = {field for m in expectation.members for when in m.when for field in when}
            assert labels <= {"input_subnormal"}, what
    assert musts > 200


@elements
@modes
def test_the_threshold_is_met_from_both_sides(name, mode):
    """For many inputs one draw goes down and the next one up."""
    codes = {}
    for _, inputs, expectation in expected(name, mode):
        key = inputs.type, inputs.bits
        codes.setdefault(key, {})[inputs.random[0]] = expectation.members[0].out.bits[0]
    steps = [
        R for draws in codes.values() for R in draws if R + 1 in draws and draws[R] != draws[R + 1]
    ]
    assert len(steps) > 20
    assert len(set(steps)) > 5


def reverse(value, bits):
    return int(f"{value:0{bits}b}"[::-1], 2)


def swap(R):
    return R >> 8 | (R & 0xFF) << 8


def complement_negative(R, negative):
    return ALL - R if negative else R


DRAWS = {
    "the draw ignored: always down": lambda *_: 0,
    "always all ones": lambda *_: ALL,
    "always one half": lambda *_: 0x8000,
    "compared the wrong way round": lambda R, _: ALL - R,
    "bits reversed": lambda R, _: reverse(R, 16),
    "bytes exchanged": lambda R, _: swap(R),
    "the low byte lost": lambda R, _: R & 0xFF00,
    "the high byte lost": lambda R, _: R & 0x00FF,
    "the low byte in place of the high one": lambda R, _: R << 8 & ALL,
    "one bit too low": lambda R, _: R >> 1,
    "one bit too high": lambda R, _: R << 1 & ALL,
    "one too high": lambda R, _: min(R + 1, ALL),
    "one too low": lambda R, _: max(R - 1, 0),
    "the lowest bit lost": lambda R, _: R & ~1,
    "the highest bit lost": lambda R, _: R & 0x7FFF,
    "toward plus infinity, not away from zero": complement_negative,
}
OTHERS = ("nearest-even", "nearest-away", "toward-zero", "up", "down", "to-odd")


def accepted(expectation, code):
    return any(m.out is None or m.out.bits == (code,) for m in expectation.members)


@elements
@modes
def test_every_wrong_use_of_the_draw_is_killed(name, mode):
    fmt, policy = element_format(name), policy_of(mode)
    asked = [(i, number_of(i), e) for _, i, e in expected(name, mode)]
    for what, wrong in DRAWS.items():
        assert any(
            not accepted(
                e,
                element.encode(
                    n, fmt, policy, source=i.type, random=wrong(i.random[0], bool(n.sign))
                ),
            )
            for i, n, e in asked
        ), what


@elements
@modes
def test_every_other_mode_is_killed(name, mode):
    fmt = element_format(name)
    asked = [(i, number_of(i), e) for _, i, e in expected(name, mode)]
    for other in (*OTHERS, *MODES):
        killed = any(
            not accepted(
                e, element.encode(n, fmt, policy_of(other), source=i.type, random=i.random[0])
            )
            for i, n, e in asked
        )
        assert killed == (other != mode), other


@elements
@modes
def test_fewer_bits_and_flushed_subnormals_are_killed(name, mode):
    fmt = element_format(name)
    wrong = [(f"ocp:rounding={mode},stochastic_bits=8", 8)]
    if name != "int8":
        wrong.append((f"ocp:rounding={mode},element_subnormal=flush", 0))
    for text, shift in wrong:
        policy = get_policy(text)
        assert any(
            not accepted(
                e,
                element.encode(
                    number_of(i), fmt, policy, source=i.type, random=i.random[0] >> shift
                ),
            )
            for _, i, e in expected(name, mode)
        ), text


def test_an_overflow_is_settled_by_the_draw_first():
    """OFP8-1.0/order: the draw rounds, only then is the range looked at."""
    fmt, policy = element_format("e4m3"), policy_of("stochastic-a")
    beyond = 0x43E80000  # 464, halfway from 448 to what would come next
    down = expect_stochastic(fmt, policy, Inputs("float32", (beyond,), random=(0x7FFF,)))
    up = expect_stochastic(fmt, policy, Inputs("float32", (beyond,), random=(0x8000,)))
    assert (down.verdict, down.members[0].out.bits) == (Verdict.MUST, (0x7E,))
    assert [(m.out.bits[0], m.when[0]["fp8_overflow"]) for m in up.members] == [
        (0x7E, "saturate"),
        (0x7F, "overflow"),
        (0xFF, "overflow"),  # OFP8-1.0/nan leaves open which NaN
    ]


@elements
def test_stimuli_are_distinct_and_of_sixteen_bits(name):
    asked = [inputs for _, inputs in stimuli(name)]
    assert all(len(i.random) == 1 and 0 <= i.random[0] <= ALL for i in asked)
    assert len(set(asked)) > 0.9 * len(asked)
    assert {i.type for i in asked} == {"float32", "bfloat16", "float16"}
