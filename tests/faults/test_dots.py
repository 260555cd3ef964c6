import functools
from fractions import Fraction

import numpy as np
import pytest

from mxref.exact import ieee
from mxref.exact.number import Number
from mxref.faults._sums import FLOAT32, Narrow, aligned, exact, in_pairs, one_by_one, to_float32
from mxref.faults.catalogue import FAULTS
from mxref.faults.dots import NOT_EXPRESSIBLE, correct_dot, dot_models
from mxref.formats import pow2
from mxref.policy import get_policy
from mxref.vectors.dots import DOT, PAIRS
from mxref.vectors.expect_dot import expect_dot

OCP = get_policy("ocp")
UNIT = 294
every_pair = pytest.mark.parametrize(
    "pair", PAIRS, ids=["-".join(fmt.name for fmt in pair) for pair in PAIRS]
)


@functools.cache
def cases(pair):
    found = {inputs: None for group in DOT for inputs, _ in group.stimuli(pair)}
    entries = []
    for inputs in found:
        expectation = expect_dot(pair, OCP, inputs)
        parts = (inputs.scales, inputs.bits, inputs.other.scales, inputs.other.bits)
        arrays = tuple(np.array(part, np.uint8) for part in parts)
        bits = expectation.members[0].out.bits[0]
        entries.append(((inputs.shape[0], *arrays), bits, str(expectation.verdict)))
    return entries


def bits_of(value):
    assert isinstance(value, np.float32)
    return 0x7FC00000 if np.isnan(value) else int(value.view(np.uint32))


@every_pair
def test_the_correct_model_is_the_exact_sum(pair):
    subject = correct_dot(*pair)
    for arguments, bits, _ in cases(pair):
        assert bits_of(subject(*arguments)) == bits, arguments


@every_pair
def test_every_fault_is_killed(pair):
    """By a binding case; what the standard allows, by a case of whoever claims an exact sum."""
    alive = []
    for model in dot_models(*pair):
        legal = bool(model.legal_change)
        differs = (
            bits_of(model.subject(*arguments)) != bits
            for arguments, bits, verdict in cases(pair)
            if legal or verdict == "must"
        )
        if not any(differs):
            alive.append((model.id, model.detail))
    assert not alive


@every_pair
def test_what_the_standard_allows_fails_no_binding_case(pair):
    for model in dot_models(*pair):
        if model.legal_change:
            for arguments, bits, verdict in cases(pair):
                if verdict == "must":
                    assert bits_of(model.subject(*arguments)) == bits, (model.detail, arguments)


@every_pair
def test_details_are_unique(pair):
    names = [(model.id, model.detail) for model in dot_models(*pair)]
    assert len(set(names)) == len(names)


def test_every_fault_of_matrix_products_is_here_or_explained():
    found = {model.id for pair in PAIRS for model in dot_models(*pair)} | set(NOT_EXPRESSIBLE)
    assert {f"G{number}" for number in range(1, 12)} <= found
    assert {"D1", "D3", "D4", "D8", "D9", "D10"} <= found & set(FAULTS)


@pytest.mark.parametrize(
    ("significand", "exponent"),
    [
        *((1, -149), (1, -150), (3, -150), (3, -151), (2**25 + 3, -150), (0, 0)),
        *((2**25 - 1, 103), (2**25 - 1, 102), (2**24 + 1, 0), (2**24 + 3, 0)),
        *((2**30 + 2**6, 3), (2**30 + 2**6 - 1, 3), (2**30 + 3 * 2**6, 3)),
    ],
)
def test_rounding_is_that_of_the_definition(significand, exponent):
    for sign in (1, -1):
        term = sign * significand << (exponent + UNIT)
        number = Number.finite(sign * significand * pow2(exponent))
        want = ieee.to_bits(number, "float32")
        assert bits_of(to_float32(term)) == want


@pytest.mark.parametrize(("name", "fmt"), [("float16", Narrow(11, -14, 15))])
def test_narrow_formats_round_as_the_definition(name, fmt):
    for step in range(1, 4000):
        value = Fraction(step * 37, 1 << (step % 40))
        want = ieee.from_bits(ieee.to_bits(Number.finite(value), name), name)
        got = fmt.rounded(int(value * pow2(UNIT)))
        assert got == (float("inf") if want.cls.name == "INF" else want.value * pow2(UNIT))


def test_sums_differ_where_they_should():
    one = 1 << UNIT
    terms = [[one, one >> 24, one >> 24]]
    assert exact(terms) == one + (one >> 23)
    assert one_by_one(FLOAT32)(terms) == one
    assert in_pairs(FLOAT32)([[one >> 24, one >> 24, one]]) == one + (one >> 23)
    assert aligned(23)(terms) == one
    assert aligned(24)(terms) == exact(terms)
    assert aligned(4)([[-one - (one >> 6)]]) == -one
