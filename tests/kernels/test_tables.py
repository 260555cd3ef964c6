"""The tables of scale selection: two steps in each binade at most, and where they lie."""

import itertools

import numpy as np
import pytest

from mxref import arrays
from mxref.exact import ieee
from mxref.exact import scale as exact_scale
from mxref.formats import BLOCK_FORMATS, block_format
from mxref.kernels import tables
from mxref.kernels.params import block_parameters
from mxref.kernels.places import SOURCES, TABLE_LENGTH, P, table_start
from mxref.policy import Policy

FIELDS = np.arange(0, 1 << 23, 1 << 9, dtype=np.int64)
POLICIES = [
    {"scale_rule": rule, "scale_amax": amax, "scale_subnormal": subnormal}
    for rule, amax, subnormal in itertools.product(
        ["floor", "ceil", "rceil", "even", "tosa", "nearest-log", "plus-one", "p3109"],
        ["source", "bfloat16", "float16"],
        ["true", "bits", "flush"],
    )
] + [
    {"scale_rule": rule, "scale_quotient": quotient, "scale_log2": log2, "scale_subnormal": bits}
    for rule, quotient, log2, bits in itertools.product(
        ["floor", "rceil", "ceil", "nearest-log"],
        ["float32", "reciprocal"],
        ["exact", "float32"],
        ["true", "bits"],
    )
]


@pytest.mark.parametrize("name", BLOCK_FORMATS)
@pytest.mark.parametrize("change", POLICIES, ids=lambda c: ",".join(c.values()))
def test_two_steps_in_each_binade_at_most(change, name):
    """What lets a table stand for the function: within a binade it rises twice at most."""
    policy = Policy(**change)
    selection = tables.AmaxSelection(block_format(name), policy, "float32", 23)
    for exponent in (
        -149,
        -140,
        -133,
        -127,
        -126,
        -119,
        -25,
        -24,
        -23,
        -15,
        -14,
        -1,
        0,
        2,
        15,
        127,
    ):
        around = np.append(FIELDS, [(1 << 23) - 1])
        found, _ = selection._outcome(np.full(around.shape, exponent), around)
        assert (np.diff(found) >= 0).all()
        assert len(np.unique(found)) <= 3, exponent


@pytest.mark.parametrize("name", ["mxfp8_e4m3", "mxfp4", "mxint8"])
@pytest.mark.parametrize("rule", ["floor", "ceil", "rceil", "nearest-log", "plus-one"])
def test_boundaries_of_a_float32_logarithm(rule, name):
    """Beside every threshold of the table the definition agrees, binade by binade."""
    fmt = block_format(name, 1)
    policy = Policy(scale_rule=rule, scale_log2="float32")
    source = SOURCES["float32"]
    f = block_parameters(source, fmt, policy)
    for field in range(1, 255):
        place = table_start(32) + field
        theta, codes = int(f[place]), int(f[place + 2 * TABLE_LENGTH[32]])
        for fraction in {0, theta - 1, theta, theta + 1, (1 << 23) - 1}:
            if not 0 <= fraction < 1 << 23:
                continue
            number = ieee.from_bits(field << 23 | fraction, "float32")
            expected = exact_scale.select([number], fmt, policy)
            assert (codes >> 18 if fraction >= theta else codes & 0x1FF) == expected


def test_misfloors_of_the_semantics_reference():
    """How many significands below 2**(E + 1) a correctly rounded logarithm takes for it."""
    expected = {2: 1, 3: 1, 5: 2, -8: 2, 10: 5, 20: 11, -20: 11, -64: 22, 64: 44, 126: 44, -126: 44}
    f = block_parameters(SOURCES["float32"], block_format("mxint8"), Policy(scale_log2="float32"))
    counts = {e: (1 << 23) - int(f[table_start(32) + e + 127]) for e in [*expected, -2, -1, 0, 1]}
    assert counts == expected | {-2: 0, -1: 0, 0: 0, 1: 0}


@pytest.mark.parametrize("name", BLOCK_FORMATS)
@pytest.mark.parametrize("quotient", ["float32", "reciprocal"])
def test_quotients_of_few_units(name, quotient):
    """Every amax of up to 2000 units of the least float32, with all three codes in a binade."""
    policy = Policy(scale_rule="rceil", scale_quotient=quotient, scale_below="wrap")
    fmt = block_format(name, 1)
    bits = np.arange(1, 2000, dtype=np.uint32)
    got = arrays.quantize(bits.view(np.float32)[:, None], fmt, policy=policy).scales.reshape(-1)
    expected = [exact_scale.select([ieee.from_bits(int(b), "float32")], fmt, policy) for b in bits]
    assert got.tolist() == expected


def test_places_do_not_overlap():
    places = sorted(int(p) for p in P)
    assert len(set(places)) == len(P)
    following = places[places.index(int(P.ACTION_CODES)) + 1]
    assert following == P.ACTION_CODES + 5
    assert places[-1] == P.COUNT
