"""Scale selection through the public API, where a rule turns: every format, rule and source.

The proofs speak of the lane programs; this is the whole way: amax over a block, its sign and place,
the vector and the single lane, the choice between forms. All bfloat16 and float16 magnitudes are
enumerated; of float64, each scale code's first word (`definition`) with both neighbours, and every
exponent with the significands at which some rule turns.
"""

import itertools

import ml_dtypes
import numpy as np
import pytest
from definition import SOURCES, element_ladder, scale_cut, scale_ladder

import mxref
from mxref.arrays import encode_with_scale
from mxref.formats import BLOCK_FORMATS
from mxref.policy import Policy

RULES = ["floor", "ceil", "rceil", "even", "even-down", "tosa", "nearest-log", "plus-one", "p3109"]
DTYPES = {
    "float64": (np.float64, np.uint64),
    "float32": (np.float32, np.uint32),
    "bfloat16": (ml_dtypes.bfloat16, np.uint16),
    "float16": (np.float16, np.uint16),
}
K = 32


def blocks_of(words, source):
    """A block for each magnitude: amax at every place in turn, of either sign, others smaller."""
    dtype, word = DTYPES[source]
    words = np.array(words, word)
    blocks = np.zeros((len(words), K), word)
    row, place = np.arange(len(words)), np.arange(len(words)) * 7 % K
    blocks[...] = (words >> word(1))[:, None]  # no larger than amax
    blocks[:, ::2] |= word(1 << (8 * words.itemsize - 1))
    negative = (np.arange(len(words)) // K % 2).astype(word) << word(8 * words.itemsize - 1)
    blocks[row, place] = words | negative
    return blocks.view(dtype)


def expected_codes(words, ladder_of):
    starts, codes = ladder_of
    found = np.array(codes)[np.searchsorted(np.array(starts, np.uint64), words, "right") - 1]
    return np.where(np.array(words) == 0, 0, found)


def words_where_rules_turn(source, element):
    """Words of magnitudes: the starts of every rule and their neighbours, and every exponent."""
    kind = SOURCES[source]
    one = 1 << kind.mantissa_bits
    fields = set()
    for rule in RULES:
        cut = scale_cut(rule, element, kind, 3) % one
        fields |= {(cut + step) % one for step in (-1, 0, 1)}
    exponents = range(kind.infinity // one)
    return sorted({e * one + f for e in exponents for f in fields} | {1, 2, 3})


def assert_scales(words, fmt, source):
    words = np.array(words, np.uint64)
    blocks = blocks_of(words, source)
    for rule in RULES:
        assert_scales_of_rule(words, blocks, fmt, rule, source)


def assert_scales_of_rule(words, blocks, fmt, rule, source):
    q = mxref.quantize(blocks, fmt, policy=Policy(scale_rule=rule))
    ladder = scale_ladder(Policy(scale_rule=rule), fmt.element, SOURCES[source])
    expected = expected_codes(words, ladder)
    wrong = np.flatnonzero(q.scales[:, 0] != expected)
    assert not len(wrong), (
        f"{fmt.name} {rule} {source} amax {int(words[wrong[0]]):#x}: "
        f"scale {int(q.scales[wrong[0], 0])}, expected {int(expected[wrong[0]])}"
    )


@pytest.mark.parametrize("source", ["bfloat16", "float16"])
@pytest.mark.parametrize("fmt", BLOCK_FORMATS.values(), ids=lambda f: f.name)
def test_every_16_bit_magnitude(fmt, source):
    assert_scales(range(SOURCES[source].infinity), fmt, source)


@pytest.mark.parametrize("source", ["float64", "float32"])
@pytest.mark.parametrize("fmt", BLOCK_FORMATS.values(), ids=lambda f: f.name)
def test_every_exponent_and_threshold(fmt, source):
    assert_scales(words_where_rules_turn(source, fmt.element), fmt, source)


@pytest.mark.parametrize("fmt", BLOCK_FORMATS.values(), ids=lambda f: f.name)
def test_every_place_of_amax_with_either_sign(fmt):
    """The two words at one threshold, at each of 32 places, alone in the block."""
    kind = SOURCES["float64"]
    for rule, sign in itertools.product(RULES, (0, 1 << 63)):
        cut = scale_cut(rule, fmt.element, kind, 1)
        for word, code in ((cut - 1, 127), (cut, 128)):
            blocks = np.zeros((K, K), np.uint64)
            np.fill_diagonal(blocks, np.uint64(word | sign))
            policy = Policy(scale_rule=rule)
            along = mxref.quantize(blocks.view(np.float64), fmt, policy=policy)
            assert (along.scales == code).all(), rule
            across = mxref.quantize(blocks.view(np.float64), fmt, axis=0, policy=policy)
            assert (across.scales == code).all(), rule


@pytest.mark.parametrize("fmt", BLOCK_FORMATS.values(), ids=lambda f: f.name)
def test_every_code_begins_there_under_every_scale(fmt):
    """Each word of float64 at which an element code begins, with its neighbours, times 255."""
    element = fmt.element
    scales = np.arange(255, dtype=np.int64)
    for negative in (False, True):
        starts, codes = element_ladder(element, Policy(), negative)
        near = np.array([s + d for s in starts[1:] for d in (-1, 0, 1)], np.int64)
        expected = np.array(codes)[np.searchsorted(np.array(starts), near, "right") - 1]
        rows = -(-len(near) // K) * K
        near, expected = np.resize(near, rows), np.resize(expected, rows)
        words = (near + ((scales - 127) << 52)[:, None]).astype(np.uint64)
        words |= np.uint64(negative << 63)
        given = np.repeat(scales.astype(np.uint8)[:, None], rows // K, axis=1)
        got = encode_with_scale(words.view(np.float64), given, fmt)
        assert (got == expected).all()
        across = encode_with_scale(words.view(np.float64).T, given.T, fmt, axis=0)
        assert (across == expected[:, None]).all()
