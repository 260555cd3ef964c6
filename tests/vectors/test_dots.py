import functools
import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from mxref.arrays import decode
from mxref.policy import get_policy
from mxref.vectors.dots import DOT, PAIRS, probed_products
from mxref.vectors.expect_dot import expect_dot
from mxref.vectors.model import Verdict
from mxref.vectors.operations import Inputs
from mxref.vectors.second_dot import dot

OCP = get_policy("ocp")
NAMES = ["-".join(fmt.name for fmt in pair) for pair in PAIRS]
GROUPS = {group.name: group for group in DOT}

every_pair = pytest.mark.parametrize("pair", PAIRS, ids=NAMES)


@functools.cache
def cases(pair):
    """(inputs, detail, expectation) of every case of a pair, once each."""
    found = {}
    for group in DOT:
        for inputs, detail in group.stimuli(pair):
            found.setdefault(inputs, f"{group.name}: {detail}")
    return [(inputs, text, expect_dot(pair, OCP, inputs)) for inputs, text in found.items()]


def bytes_of(inputs):
    parts = (inputs.scales, inputs.bits, inputs.other.scales, inputs.other.bits)
    return (inputs.shape[0], *(np.array(part, np.uint8) for part in parts))


def bits_of(value):
    return 0x7FC00000 if np.isnan(value) else int(np.float32(value).view(np.uint32))


def expected(expectation):
    return expectation.members[0].out.bits[0]


def run(pair, codes_a, codes_b, *, scales=((0x7F,), (0x7F,)), k=32):
    pad = 32 * len(scales[0])
    a, b = ((*codes, *[0] * (pad - len(codes))) for codes in (codes_a, codes_b))
    other = Inputs(None, tuple(b), scales=scales[1])
    inputs = Inputs(None, tuple(a), scales=scales[0], other=other, shape=(k,))
    return expect_dot(pair, OCP, inputs)


@every_pair
def test_no_group_is_empty_and_none_repeats_itself(pair):
    for group in DOT:
        found = [inputs for inputs, _ in group.stimuli(pair)]
        assert found, group.name
        for inputs in found:
            n = len(inputs.scales)
            assert len(inputs.bits) == len(inputs.other.bits) == 32 * n
            assert len(inputs.other.scales) == n
            assert 1 <= n <= 4
            assert 1 <= inputs.shape[0] <= 32 * n
            for fmt, codes in zip(pair, (inputs.bits, inputs.other.bits), strict=True):
                assert max(codes) < fmt.element.code_count


@every_pair
def test_files_stay_readable(pair):
    assert 400 < len(cases(pair)) < 950


@every_pair
def test_the_second_computation_agrees_on_every_case(pair):
    for inputs, text, expectation in cases(pair):
        assert bits_of(dot(*bytes_of(inputs), *pair)) == expected(expectation), text


@every_pair
def test_every_product_has_two_lanes_and_two_companies(pair):
    a, b = (fmt.element for fmt in pair)
    # The sign of an FP8 code belongs to the case: only magnitudes are counted.
    keep = [f.sign_mask - 1 if f.name in {"e4m3", "e5m2"} else f.code_count - 1 for f in (a, b)]
    places = defaultdict(set)
    for case, (inputs, _) in enumerate(GROUPS["products"].stimuli(pair)):
        for lane, (x, y) in enumerate(zip(inputs.bits, inputs.other.bits, strict=True)):
            places[x & keep[0], y & keep[1]].add((lane, case))
    for codes in probed_products(pair):
        lanes, companies = zip(*places[codes], strict=True)
        assert len(set(lanes)) > 1, codes
        assert len(set(companies)) > 1, codes


def test_which_products_are_probed():
    for pair, name in zip(PAIRS, NAMES, strict=True):
        codes = [fmt.element.code_count for fmt in pair]
        if max(codes) < 256 or name == "mxint8-mxfp4":
            every = itertools.product(range(codes[0]), range(codes[1]))
            assert sorted(probed_products(pair)) == list(every)
        else:
            binades = [2 ** (f.element.bits - 1 - f.element.mantissa_bits) for f in pair]
            assert len(probed_products(pair)) > 2 * math.prod(binades) - 8 * sum(binades)


SMALL = [pair for pair in PAIRS if max(fmt.element.bits for fmt in pair) < 8]


@pytest.mark.parametrize("pair", SMALL, ids=lambda p: f"{p[0].name}-{p[1].name}")
def test_a_wrong_magnitude_cannot_cancel_against_its_other_signs(pair):
    """In some case each product of two magnitudes occurs with one sign of either operand."""
    masks = [fmt.element.sign_mask for fmt in pair]
    alone = set()
    for inputs, _ in GROUPS["products"].stimuli(pair):
        sums = Counter()
        for x, y in zip(inputs.bits, inputs.other.bits, strict=True):
            minus = (x >= masks[0]) ^ (y >= masks[1])
            sums[x % masks[0], y % masks[1]] += -1 if minus else 1
        alone |= {codes for codes, count in sums.items() if count}
    assert len(alone) == masks[0] * masks[1]


# --- must is sound ---------------------------------------------------------------------------

F32 = np.float32


def as_float32(values):
    return np.asarray(values, np.float32)


def kept(values):
    return values


def flush(values):
    """What hardware without subnormals keeps."""
    return np.where(np.abs(values) < F32(2.0**-126), np.copysign(F32(0), values), values)


def terms_of(pair, inputs, place, keep=kept):
    """The products as float32 hardware forms them, by block, with the scales at some place.

    Yields the terms of each block and the factors that its sum still lacks.
    """
    k, scales_a, codes_a, scales_b, codes_b = bytes_of(inputs)
    for block, first in enumerate(range(0, k, 32)):
        lanes = slice(first, min(first + 32, k))
        a = as_float32(decode(codes_a[lanes], pair[0].element))
        b = as_float32(decode(codes_b[lanes], pair[1].element))
        x_a, x_b = (
            F32(np.nan) if s[block] == 0xFF else keep(F32(math.ldexp(1, int(s[block]) - 127)))
            for s in (scales_a, scales_b)
        )
        both = keep(x_a * x_b)
        match place:
            case "operands":
                yield keep(keep(x_a * a) * keep(x_b * b)), F32(1), F32(1)
            case "crossed":
                yield keep(keep(x_b * a) * keep(x_a * b)), F32(1), F32(1)
            case "one operand":
                yield keep(keep(both * a) * b), F32(1), F32(1)
            case "other operand":
                yield keep(a * keep(both * b)), F32(1), F32(1)
            case "products":
                yield keep(keep(a * b) * both), F32(1), F32(1)
            case "sum, a first":
                yield a * b, x_a, x_b
            case "sum, b first":
                yield a * b, x_b, x_a
            case "sum, product":
                yield a * b, both, F32(1)


def outcomes(pair, inputs, place, order):
    """The bits of one way to sum, per block and over all, with subnormals and without."""
    for keep in (kept, flush):
        blocks = list(terms_of(pair, inputs, place, keep))
        sums = [keep(keep(x * keep(order(list(terms)))) * y) for terms, x, y in blocks]
        yield bits_of(F32(keep(order([F32(s) for s in sums]))))
        if place in PLACES[:5]:
            yield bits_of(F32(keep(order([t for terms, _, _ in blocks for t in terms]))))


def forwards(terms):
    return functools.reduce(lambda x, y: F32(x + y), terms, F32(0))


def backwards(terms):
    return forwards(terms[::-1])


def in_pairs(terms):
    while len(terms) > 1:
        terms = [*(F32(x + y) for x, y in zip(terms[::2], terms[1::2], strict=False))] + (
            terms[-1:] if len(terms) % 2 else []
        )
    return terms[0] if terms else F32(0)


def even_then_odd(terms):
    return F32(forwards(terms[::2]) + forwards(terms[1::2]))


def positive_first(terms):
    return forwards(sorted(terms, key=lambda t: (not t > 0, t)))


def in_float64(terms):
    return F32(functools.reduce(lambda x, y: x + y, map(np.float64, terms), np.float64(0)))


PLACES = (
    "operands",
    "crossed",
    "one operand",
    "other operand",
    "products",
    "sum, a first",
    "sum, b first",
    "sum, product",
)
ORDERS = (forwards, backwards, in_pairs, even_then_odd, positive_first, in_float64)


@every_pair
@pytest.mark.parametrize("place", PLACES)
@np.errstate(all="ignore")
def test_must_holds_for_float32_in_any_order_and_place(pair, place):
    checked = 0
    for index, (inputs, text, expectation) in enumerate(cases(pair)):
        if expectation.verdict is not Verdict.MUST:
            continue
        if text.startswith("products") and (index + PLACES.index(place)) % len(PLACES):
            continue  # hundreds of one kind: each place sees its share
        for order in ORDERS:
            got = set(outcomes(pair, inputs, place, order))
            assert got == {expected(expectation)}, (text, order.__name__)
            checked += 1
    assert checked > 1000


def directed(pair, inputs):
    """The exact sum rounded toward zero and away from it, and with subnormals lost."""
    k, scales_a, codes_a, scales_b, codes_b = bytes_of(inputs)
    n = -(-k // 32)
    if 0xFF in (*scales_a[:n], *scales_b[:n]):
        return
    a, b = (
        decode(codes[:k], fmt.element).astype(np.float64)
        for codes, fmt in zip((codes_a, codes_b), pair, strict=True)
    )
    powers = np.repeat(scales_a.astype(int) + scales_b - 254, 32)[:k]
    terms = np.ldexp(a * b, powers).tolist()
    if not np.isfinite(terms).all():
        return
    total = math.fsum(terms)
    nearest = F32(total)
    yield F32(flush(nearest))
    rest = math.fsum([*terms, -float(nearest)]) if np.isfinite(nearest) else -total
    if rest:
        yield np.nextafter(nearest, F32(math.copysign(math.inf, rest)))
    if total == 0:
        yield F32(-0.0)


@every_pair
@np.errstate(all="ignore")
def test_open_cases_are_open_for_a_reason(pair):
    """Some way of summing or rounding that the standard allows gives other bits."""
    without = []
    for inputs, text, expectation in cases(pair):
        if expectation.verdict is Verdict.MUST:
            continue
        got = {bits_of(value) for value in directed(pair, inputs)}
        for place, order in itertools.product(PLACES, ORDERS):
            got.update(outcomes(pair, inputs, place, order))
        if got <= {expected(expectation)}:
            without.append(text)
    assert not without


# --- single expectations ---------------------------------------------------------------------

FP4 = PAIRS[0]
E5M2 = next(pair for pair in PAIRS if {f.name for f in pair} == {"mxfp8_e5m2"})


def test_one_times_one_is_a_must():
    found = run(FP4, [2], [2])
    assert (expected(found), found.verdict) == (0x3F800000, Verdict.MUST)
    assert found.clauses == ("MX-1.0/6.1/dot", "MX-1.0/6.2/float32")


def test_zero_from_cancellation_is_plus_zero_and_open():
    found = run(FP4, [2, 2], [2, 10])
    assert (expected(found), found.verdict) == (0, Verdict.OPEN)
    assert "OP-DOT-OUTPUT" in found.clauses


def test_zeros_are_a_must_only_with_plus_signs():
    assert run(FP4, [0], [2]).verdict is Verdict.MUST
    assert run(FP4, [8], [10]).verdict is Verdict.MUST
    assert run(FP4, [8], [2]).verdict is Verdict.OPEN


def test_a_nan_scale_is_a_must_even_over_zeros():
    found = run(FP4, [0], [0], scales=((0xFF,), (0x00,)))
    assert (expected(found), found.verdict) == (0x7FC00000, Verdict.MUST)
    assert "MX-1.0/5.1/nan-scale" in found.clauses


def test_a_nan_scale_of_padding_is_nothing():
    found = run(FP4, [2], [2], scales=((0x7F, 0xFF), (0x7F, 0xFF)))
    assert (expected(found), found.verdict) == (0x3F800000, Verdict.MUST)
    assert "MX-1.0/6.2/padding" in found.clauses
    assert "MX-1.0/5.1/nan-scale" not in found.clauses


@pytest.mark.parametrize(
    ("codes_a", "codes_b", "bits"),
    [
        ([0x7C], [0x3C], 0x7F800000),
        ([0x7C], [0xBC], 0xFF800000),
        ([0x7C], [0x00], 0x7FC00000),
        ([0x7C, 0xFC], [0x3C, 0x3C], 0x7FC00000),
        ([0x7E], [0x00], 0x7FC00000),
    ],
)
def test_special_elements(codes_a, codes_b, bits):
    found = run(E5M2, codes_a + [0] * 30, codes_b + [0] * 30)
    assert (expected(found), found.verdict) == (bits, Verdict.MUST)
    assert "MX-1.0/5.1/special-elements" in found.clauses


def test_a_product_of_scales_beyond_float32_is_open():
    found = run(FP4, [1], [1], scales=((0xFE,), (0x80,)))
    assert (expected(found), found.verdict) == (0x7E800000, Verdict.OPEN)
    assert "OP-DOT-SCALE-PLACE" in found.clauses


def test_twenty_five_bits_are_open():
    two = ((0x7F, 0x7F), (0x7F, 0x7F + 24))
    found = run(FP4, [2] + [0] * 31 + [2], [2] + [0] * 31 + [2], scales=two, k=64)
    assert (expected(found), found.verdict) == (0x4B800000, Verdict.OPEN)
    assert {"OP-DOT-PRECISION", "OP-DOT-OUTPUT", "MX-1.0/6.2/precision"} <= set(found.clauses)
