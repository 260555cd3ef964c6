"""What is proven of the lane programs: each function asks for an input that is handled wrongly.

They return None where there is none. `parameters` replaces the integers that a program reads, to
show that a proof can fail.
"""

import itertools

import z3
from definition import (
    SOURCES,
    ZERO_CODES,
    beyond_code,
    cast_ladder,
    element_ladder,
    element_values,
    first_word,
    nan_code,
    scale_ladder,
    signed_code,
)
from z3_machine import Z3Machine, counterexample, ladder, wide_word

from mxref.formats import SCALE_FORMATS, Kind
from mxref.kernels import places, programs
from mxref.kernels.params import (
    block_parameters,
    element_parameters,
    encoder_parts,
    rounding_code,
    scale_parameters,
)
from mxref.kernels.places import P
from mxref.policy import Policy

E8M0 = SCALE_FORMATS["e8m0"]
WIDEN = {"bfloat16": programs.widen_bfloat16, "float16": programs.widen_float16}


def wrong_scale(policy, fmt, source, parameters=None):
    """A finite amax, as a word, whose scale is not the one that the definition says; or None."""
    kind = SOURCES[source]
    if parameters is None:
        parameters = block_parameters(places.SOURCES[source], fmt, policy)
    machine = Z3Machine(kind.width, parameters)
    amax = z3.BitVec("amax", kind.width)
    select = programs.look_up_scale if parameters[P.TABLED] else programs.select_scale
    code = select(machine, machine.word(amax)).value
    starts, codes = scale_ladder(policy, fmt.element, kind)
    expected = ladder(amax, starts, codes, kind.width)
    expected = z3.If(amax == 0, ZERO_CODES[policy.scale_zero_block], expected)
    claim = z3.And(code == expected, machine.is_defined())
    found = counterexample(z3.Implies(z3.ULT(amax, kind.infinity), claim), amax=amax)
    return None if found is None else found["amax"]


def wrong_cast(policy, source):
    """A number, as a word with its sign, whose E8M0 code is wrong; or None."""
    kind = SOURCES[source]
    parameters = scale_parameters(places.SOURCES[source], E8M0, policy)
    machine = Z3Machine(kind.width, parameters)
    bits = z3.BitVec("bits", kind.width)
    is_tabled = bool(parameters[P.TABLED])
    code = programs.encode_scale(machine, machine.word(bits), is_tabled=is_tabled).value

    def byte(value):
        return z3.BitVecVal(value, 8)

    size = bits & ((1 << (kind.width - 1)) - 1)
    expected = ladder(size, *cast_ladder(policy, kind), 8)
    expected = z3.If(
        size == kind.infinity, byte(0xFF if policy.e8m0_inf == "nan" else 0xFE), expected
    )
    if policy.e8m0_negative == "nan":
        is_negative = z3.Extract(kind.width - 1, kind.width - 1, bits) == 1
        expected = z3.If(is_negative, byte(0xFF), expected)
    expected = z3.If(size == 0, byte(0xFF if policy.e8m0_zero == "nan" else 0), expected)
    expected = z3.If(z3.UGT(size, kind.infinity), byte(0xFF), expected)
    claim = z3.And(z3.Extract(7, 0, code) == expected, machine.is_defined())
    found = counterexample(claim, bits=bits)
    return None if found is None else found["bits"]


def expected_code(element, policy, negative, kind, size, scale_code):
    """What the definition says of a magnitude of one sign, as a formula over bytes."""

    def byte(code):
        return z3.BitVecVal(code, 8)

    starts, codes = element_ladder(element, policy, negative)
    wide = z3.ZeroExt(2, wide_word(size, kind))
    scaled = wide - ((z3.ZeroExt(66 - scale_code.size(), scale_code) - 127) << 52)
    result = ladder(scaled, starts, codes, 8)

    zero = signed_code(element, policy, 0, negative and policy.neg_zero != "drop-input")
    is_zero = size == 0
    if policy.input_subnormal == "flush":
        is_zero = z3.ULT(size, 1 << kind.mantissa_bits)
    infinite = beyond_code(element, policy, negative, is_infinity=True)
    if policy.relu == "on" and negative:
        zero = infinite = 0
        result = byte(0)
    nan_sign = negative and policy.relu == "off"
    second = z3.Extract(kind.mantissa_bits - 2, kind.mantissa_bits - 2, size)
    nans = [nan_code(element, policy, nan_sign, bit) for bit in (0, 1)]
    result = z3.If(is_zero, byte(zero), result)
    result = z3.If(size == kind.infinity, byte(infinite), result)
    is_nan = z3.UGT(size, kind.infinity)
    return z3.If(is_nan, z3.If(second == 0, byte(nans[0]), byte(nans[1])), result)


def wrong_code(element, policy, source, negative, parts="slow", parameters=None):
    """An input, as a word and a scale code, that encodes wrongly; or None.

    Parameters
    ----------
    parts : str
        Which parts of the encoder are compiled in: those for plain blocks ("quick"), for all
        blocks ("slow"), or all there are ("complete").
    """
    kind = SOURCES[source]
    inner = places.SOURCES[source]
    if parameters is None:
        parameters = element_parameters(inner, element, policy)
    machine = Z3Machine(inner.width, parameters)
    size, scale_code = z3.BitVec("size", kind.width), z3.BitVec("scale_code", 8)
    given = z3.ULT(size, 1 << (kind.width - 1))
    word = machine.word(size | (int(negative) << (kind.width - 1)))
    if source in WIDEN:
        word = WIDEN[source](machine, word)
    quick, slow = encoder_parts(element, policy)
    which = {"quick": quick, "slow": slow, "complete": int(programs.COMPLETE)}
    origin = machine.word(scale_code) + machine.parameter(P.ORIGIN) - 127
    code = programs.encode(
        machine,
        word,
        origin,
        rounding=rounding_code(policy),
        is_fixed=element.kind is Kind.FIXED,
        parts=which[parts],
    ).value
    given = z3.And(given, scale_code != 0xFF)
    if parts == "quick":  # blocks for which the loops take it
        has_room = z3.ULT(origin.value - 1, 0x7FFFFFFF)
        given = z3.And(given, has_room, z3.ULT(size, kind.infinity))
    expected = expected_code(element, policy, negative, kind, size, scale_code)
    claim = z3.And(z3.Extract(7, 0, code) == expected, machine.is_defined())
    return counterexample(z3.Implies(given, claim), size=size, scale_code=scale_code)


WIDTH = 68  # of signed positions: words of float64 moved by any scale


def least_fraction(mode, draw, bits):
    """From which v on R rounds up: (j, is_inclusive), v = j / 2^(N + 1)."""
    one = z3.BitVecVal(1 << (bits + 1), WIDTH)
    if mode == "stochastic-a":  # floor(v * 2^N) >= 2^N - R
        return one - 2 * draw, z3.BoolVal(val=True)
    if mode == "stochastic-b":  # floor(v * 2^(N+1)) >= 2^(N+1) - (2 R + 1)
        return one - 2 * draw - 1, z3.BoolVal(val=True)
    # v * 2^N rounds to 2^N - R or more: from half a step below on, and there if that is even
    return one - 2 * draw - 1, z3.Extract(0, 0, draw) == 0


def float64_word(integer, bits):
    """The word of a small integer above 0."""
    result = z3.BitVecVal(0, WIDTH)
    for place in range(bits + 2):
        word = ((integer - (1 << place)) << (52 - place)) + ((1023 + place) << 52)
        result = z3.If(integer >= (1 << place), word, result)
    return result


def wrong_draw(element, mode, bits, negative, source="float64", parameters=None):
    """A size, a scale code and R that give a wrong code; or None. Finite inputs, not 0."""
    kind, wide = SOURCES[source], SOURCES["float64"]
    policy = Policy(rounding=mode, stochastic_bits=str(bits))
    if parameters is None:
        parameters = element_parameters(places.SOURCES[source], element, policy)
    machine = Z3Machine(kind.width, parameters)
    size, scale_code = z3.BitVec("size", kind.width), z3.BitVec("scale_code", 8)
    random = z3.BitVec("random", bits)
    code = programs.encode(
        machine,
        machine.word(size | (int(negative) << (kind.width - 1))),
        machine.word(scale_code) + machine.parameter(P.ORIGIN) - 127,
        rounding=rounding_code(policy),
        is_fixed=element.kind is Kind.FIXED,
        parts=int(programs.COMPLETE),
        random=machine.word(random),
    ).value

    values = element_values(element)
    words = [first_word(wide, lambda v, b=value: v >= b) for value in values]
    tops = range(len(words) - 1)
    draw = z3.ZeroExt(WIDTH - bits, random)
    j, inclusive = least_fraction(mode, draw, bits)
    scaled = z3.ZeroExt(WIDTH - 64, wide_word(size, kind)) - (
        (z3.ZeroExt(WIDTH - 8, scale_code) - 127) << 52
    )
    # Where the step to the next code begins: below + gap * j / 2^(N+1), in words.
    gaps = [(b - a).bit_length() - 1 for a, b in itertools.pairwise(words)]
    assert all(words[m] + (1 << gaps[m]) == words[m + 1] for m in tops if m)
    position = ladder(scaled, words[:-1], words[:-1], WIDTH)
    moved = j << ladder(scaled, words[:-1], [max(0, g - bits - 1) for g in gaps], WIDTH)
    start = z3.If(
        scaled < words[1],
        float64_word(j, bits + 1) + (words[1] - ((1023 + bits + 1) << 52)),
        position + moved,
    )
    is_up = z3.If(inclusive, scaled >= start, scaled > start)
    lower = [signed_code(element, policy, m, negative) for m in tops]
    upper = [*lower[1:], lower[-1]]  # what lies beyond saturates
    lower_code = ladder(scaled, words[:-1], lower, 8)
    expected = z3.If(is_up, ladder(scaled, words[:-1], upper, 8), lower_code)
    claim = z3.And(z3.Extract(7, 0, code) == expected, machine.is_defined())
    given = z3.And(size != 0, z3.ULT(size, kind.infinity), scale_code != 0xFF)
    symbols = {"size": size, "scale_code": scale_code, "random": random}
    return counterexample(z3.Implies(given, claim), **symbols)
