"""Proofs of the proofs: a change of one bit is found, and the machine computes what it should."""

from fractions import Fraction

import numpy as np
import obligations
import pytest
import z3
import z3_machine
from definition import SOURCES, element_starts, scale_ladder
from z3_machine import Z3Machine, counterexample, wide_word

from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS
from mxref.kernels import places, programs
from mxref.kernels.lanes import NumpyMachine
from mxref.kernels.params import block_parameters, element_parameters
from mxref.kernels.places import P
from mxref.policy import Policy

RNG = np.random.default_rng(64)
FLOAT64 = SOURCES["float64"]


def changed(parameters, place, by):
    copy = parameters.copy()
    copy[place] = (int(copy[place]) + by) % (1 << (8 * copy.itemsize))
    return copy


def test_a_threshold_one_step_too_high_gives_the_float64_at_the_threshold():
    """The counterexample is a float: 1.5 * (1 + 2^-52), times any power of two."""
    fmt, policy = BLOCK_FORMATS["mxfp4"], Policy(scale_rule="rceil")
    right = block_parameters(places.SOURCES["float64"], fmt, policy)
    word = obligations.wrong_scale(policy, fmt, "float64", changed(right, P.THETA, 1))
    amax = FLOAT64.value(word)
    assert amax / Fraction(2) ** (amax.numerator.bit_length() - amax.denominator.bit_length()) in {
        Fraction(3, 2) + Fraction(1, 1 << 51) / 2,
        (Fraction(3, 2) + Fraction(1, 1 << 51) / 2) / 2,
        (Fraction(3, 2) + Fraction(1, 1 << 51) / 2) * 2,
    }


@pytest.mark.parametrize("place", [P.THETA, P.REBIAS, P.ABOVE_CODE])
def test_every_parameter_of_a_scale_is_seen(place):
    fmt, policy = BLOCK_FORMATS["mxfp8_e5m2"], Policy(scale_rule="tosa")
    right = block_parameters(places.SOURCES["float64"], fmt, policy)
    wrong = changed(right, place, 1)
    assert obligations.wrong_scale(policy, fmt, "float64", right) is None
    assert obligations.wrong_scale(policy, fmt, "float64", wrong) is not None


def test_one_entry_of_a_table_is_seen():
    fmt, policy = BLOCK_FORMATS["mxfp4"], Policy(scale_rule="p3109")
    right = block_parameters(places.SOURCES["float64"], fmt, policy)
    field = 1023 + 40
    wrong = changed(right, places.table_start(64) + field, 1)
    word = obligations.wrong_scale(policy, fmt, "float64", wrong)
    assert word >> 52 == field


ENCODER = [
    P.SHIFT, P.DROP_LIMIT, P.MANTISSA, P.MAX_CODE, P.OVERFLOW_CODE, P.INF_CODE, P.NAN_CODE,
    P.SIGN_SHIFT, P.ORIGIN,
]  # fmt: skip


@pytest.mark.parametrize("place", ENCODER, ids=lambda p: p.name)
def test_every_parameter_of_an_encoder_is_seen(place):
    element, policy = ELEMENT_FORMATS["e5m2"], Policy(fp8_overflow="overflow")
    right = element_parameters(places.SOURCES["float64"], element, policy)
    # The limit has one bit more than is needed, and beyond the largest finite code is infinity.
    by = {P.DROP_LIMIT: -2, P.MAX_CODE: -1}.get(place, 1)
    wrong = changed(right, place, by)
    found = [
        obligations.wrong_code(element, policy, "float64", negative, parameters=wrong)
        for negative in (False, True)
    ]
    assert any(found)


def test_another_count_of_random_bits_is_seen():
    element, policy = ELEMENT_FORMATS["e2m1"], Policy(rounding="stochastic-b", stochastic_bits="8")
    right = element_parameters(places.SOURCES["float64"], element, policy)
    wrong = changed(right, P.RANDOM_BITS, 1)
    assert obligations.wrong_draw(element, "stochastic-b", 8, False, "float64", wrong)
    modes = ("stochastic-a", "stochastic-b", "stochastic-c")
    for mode in modes:
        for other in set(modes) - {mode}:  # the definition tells the three modes apart
            parameters = element_parameters(
                places.SOURCES["float64"], element, Policy(rounding=other, stochastic_bits="8")
            )
            assert parameters[P.RANDOM_BITS] == 8
    assert len({str(obligations.least_fraction(m, z3.BitVec("R", 68), 8)) for m in modes}) == 3


def test_a_wrong_policy_of_a_cast_is_seen(monkeypatch):
    right = Policy(e8m0_rounding="nearest")
    assert obligations.wrong_cast(right, "float64") is None
    cast_ladder = obligations.cast_ladder
    even = right.replace(e8m0_rounding="nearest-even")
    monkeypatch.setattr(obligations, "cast_ladder", lambda _, kind: cast_ladder(even, kind))
    word = obligations.wrong_cast(right, "float64")
    assert (word & ((1 << 52) - 1)) == 1 << 51  # a tie: 1.5 times a power of two


def test_shifts_and_lookups_out_of_range_are_seen():
    machine = Z3Machine(32, [0] * 5)
    x = z3.BitVec("x", 32)
    machine.lookup(machine.word(x))
    assert counterexample(machine.is_defined(), x=x)["x"] >= 5
    assert counterexample(z3.Implies(z3.ULT(x, 5), machine.is_defined()), x=x) is None
    machine = Z3Machine(32)
    assert machine.constant(1) << machine.word(x)
    assert counterexample(machine.is_defined(), x=x)["x"] >= 32


def test_a_question_without_an_answer_in_time_is_no_proof(monkeypatch):
    x, y = z3.BitVecs("x y", 64)
    monkeypatch.setattr(z3_machine, "TIMEOUT_MS", 1)
    with pytest.raises(TimeoutError):
        counterexample(z3.Or(x * y != 0xF00000000000000D, x == 1, y == 1), x=x, y=y)


@pytest.mark.parametrize("width", [32, 64])
def test_the_machine_agrees_with_numpy(width):
    """Each operation on random words and those at the ends; shifts below the width."""
    words = RNG.integers(0, 1 << width, 40, np.uint64, endpoint=False) >> RNG.integers(
        0, width, 40, np.uint64
    )
    words = np.array([*words, 0, 1, (1 << width) - 1, 1 << (width - 1)], f"uint{width}")
    other = RNG.permutation(words)
    table = RNG.integers(0, 1 << 31, 50)

    def results(o, a, b):
        shift = b & (width - 1)
        operations = [a + b, a - b, a & b, a | b, a ^ b, a << shift, a >> shift, a + 7, a - 9]
        operations += [o.minimum(a, b), o.maximum(a, 5), o.leading_zeros(a), o.parameter(3) + a]
        operations += [o.where_equal(a, b, a, 1), o.where_above(a, b, b, 2), o.constant(-1) ^ a]
        return [*operations, o.lookup(b & 31)]

    numpy_machine = NumpyMachine(width, table)
    expected = results(numpy_machine, numpy_machine.word(words), numpy_machine.word(other))
    machine = Z3Machine(width, table)
    for i, (a, b) in enumerate(zip(words.tolist(), other.tolist(), strict=True)):
        got = results(machine, machine.constant(a), machine.constant(b))
        for formula, array in zip(got, expected, strict=True):
            assert z3.simplify(formula.value).as_long() == int(array.value[i])


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
def test_widening_is_that_of_numpy(name):
    kind = SOURCES[name]
    words = RNG.integers(0, kind.infinity, 60).tolist()
    words += [0, 1, 2, 3, (1 << kind.mantissa_bits) - 1, 1 << kind.mantissa_bits, kind.infinity - 1]
    for word in words:
        wide = z3.simplify(wide_word(z3.BitVecVal(word, kind.width), kind)).as_long()
        assert FLOAT64.value(wide) == kind.value(word)
        assert float(kind.value(word)) == float(np.uint64(wide).view(np.float64))


def test_the_definition_knows_worked_numbers():
    """Thresholds that the standards' readers computed by hand, for one binade of amax."""
    e2m1, e4m3 = ELEMENT_FORMATS["e2m1"], ELEMENT_FORMATS["e4m3"]
    cases = [
        ("floor", e2m1, 4.0, True), ("ceil", e2m1, 2.0, False), ("rceil", e2m1, 3.0, False),
        ("even", e2m1, 3.5, True), ("even-down", e2m1, 3.5, False), ("tosa", e2m1, 3.5, True),
        ("tosa", e4m3, 232.0, False), ("plus-one", e2m1, 2.0, True), ("p3109", e2m1, 0.75, False),
    ]  # fmt: skip
    for rule, element, begins, inclusive in cases:
        starts, codes = scale_ladder(Policy(scale_rule=rule), element, FLOAT64)
        word = int(np.float64(begins).view(np.uint64)) + (not inclusive)
        assert codes[starts.index(word)] == 127, rule
    begins = [int(np.float64(v).view(np.uint64)) for v in (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 7)]
    starts = element_starts(e2m1, "nearest-even", negative=False)
    assert starts == [w + (m % 2 == 0) for m, w in enumerate(begins)]


def test_programs_run_alike_on_both_machines():
    """The symbol itself, replaced by numbers afterwards."""
    element = ELEMENT_FORMATS["e4m3"]
    parameters = element_parameters(places.SOURCES["float64"], element, Policy())
    options = {"rounding": 0, "is_fixed": False, "parts": programs.COMPLETE}
    machine, symbol = Z3Machine(64, parameters), z3.BitVec("x", 64)
    formula = programs.encode(machine, machine.word(symbol), machine.parameter(P.ORIGIN), **options)
    values = RNG.standard_normal(40) * 2.0 ** RNG.integers(-12, 10, 40)
    other = NumpyMachine(64, parameters)
    bits = values.view(np.uint64)
    codes = programs.encode(other, other.word(bits), other.parameter(P.ORIGIN), **options).value
    for word, code in zip(bits.tolist(), codes.tolist(), strict=True):
        given = z3.substitute(formula.value, (symbol, z3.BitVecVal(word, 64)))
        assert z3.simplify(given).as_long() == code
