"""Lower bounds: never violated, whatever the numbers; and as close to the truth as was said."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref.formats import BLOCK_FORMATS, Kind
from mxref.quality import any_format, cost, qsnr, qsnr_lower_bound, worst_block
from mxref.quality._candidates import ALL_FORMATS, candidates

POW2 = ("mx9", "mx6", "mx4", "msfp16", "msfp12", "bfp16")
POINTS = (*POW2, "bdr:m=5,k1=32,k2=4,d2=2", "bdr:m=3,k1=16,k2=8,d2=3", "bdr:m=1,k1=8,k2=2,d2=1")
BOUNDED = tuple(
    name for name in (*ALL_FORMATS, *POINTS[6:]) if qsnr_lower_bound(name, 1024) is not None
)


def quantized(name, x, rule=None):
    every = candidates([name], rule and [rule])
    return next(c for c in every if rule or c.is_default).quantize(x).dequantize()


def test_the_formula_at_the_papers_points():
    """6.02 m + 10 log10(4^b / (k1 + (4^b - 1) k2)), by hand for MX9: 4 / (16 + 3 * 2) = 4 / 22."""
    assert qsnr_lower_bound("mx9") == pytest.approx(140 * math.log10(2) + 10 * math.log10(4 / 22))
    assert qsnr_lower_bound("msfp12") == pytest.approx(60 * math.log10(2) - 10 * math.log10(16))
    assert qsnr_lower_bound("mx9", 1) == pytest.approx(140 * math.log10(2))
    assert qsnr_lower_bound("mx9", 2) == pytest.approx(140 * math.log10(2) - 10 * math.log10(2))
    assert qsnr_lower_bound("mx9", 10**6) == qsnr_lower_bound("mx9", 16) == qsnr_lower_bound("mx9")
    assert qsnr_lower_bound("mxint8") == pytest.approx(140 * math.log10(2) - 10 * math.log10(32))
    assert qsnr_lower_bound("nvfp4") is qsnr_lower_bound("vsq4") is None
    assert qsnr_lower_bound("scaled_fp8_e4m3") is None
    with pytest.raises(ValueError, match="at least 1"):
        qsnr_lower_bound("mx9", 0)
    with pytest.raises(ValueError, match="mx9"):
        qsnr_lower_bound("mx8")


def hostile_blocks(rng, count, length):
    """Blocks that formats dislike: near halves of steps, near powers of two, outliers, zeros."""
    kind = rng.integers(0, 5, (count, 1))
    exponents = rng.integers(-12, 1, (count, length)).astype(float)
    halves = (rng.integers(0, 256, (count, length)) + 0.5) * 2.0 ** rng.integers(
        -12, 1, (count, length)
    )
    choices = (
        rng.standard_normal((count, length)),
        2.0**exponents * (1 + rng.choice([0, 1e-7, -1e-7, 2**-8, 0.999], (count, length))),
        halves,
        rng.standard_t(1, (count, length)),
        np.where(rng.random((count, length)) < 0.1, 1.0, 0.02 * rng.random((count, length))),
    )
    x = np.select([np.broadcast_to(kind == i, (count, length)) for i in range(5)], choices)
    return (x * 2.0 ** rng.integers(-60, 60, (count, 1))).astype(np.float32)


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("length", [1, 3, 16, 32, 100, 1024])
def test_never_violated_by_hostile_blocks(name, length):
    rng = np.random.default_rng([length, *name.encode()])
    x = hostile_blocks(rng, 4096 // length + 8, length)
    fmt = any_format(name)
    if getattr(fmt, "k1", 0) is None:  # one scale for the tensor: each vector its own tensor
        ratios = np.array([qsnr(row, quantized(name, row)) for row in x[:8]])
    else:
        ratios = qsnr(x, quantized(name, x), axis=1)
    bound = qsnr_lower_bound(name, length)
    assert ratios.min() >= bound - 1e-9, x[ratios.argmin()]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(BOUNDED),
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40),
    st.integers(-60, 60),
)
def test_never_violated(name, numbers, exponent):
    """Any numbers at all; below 2**-40 of amax they are zeros, to stay off float32's own end."""
    x = np.float32(numbers)
    x = np.where(np.abs(x) < 2.0**-40 * np.abs(x).max(), 0, x).astype(np.float32)
    x = np.ldexp(x, exponent) / (np.abs(x).max() or 1)
    y = quantized(name, x)
    assert qsnr(x, y) >= qsnr_lower_bound(name, len(x)) - 1e-9


def climbed(name, rng, length, steps=400):
    """Worsen a block by changes of single elements: a search that knows nothing of formats."""
    start = hostile_blocks(rng, 256, length)
    best = start[qsnr(start, quantized(name, start), axis=1).argmin()].astype(np.float64)
    least = math.inf
    for step in range(steps):
        trials = np.repeat(best[None], 64, axis=0)
        amax = np.abs(best).max()
        at = rng.integers(0, length, 64)
        size = amax * 2.0 ** -rng.uniform(0, 3 + 9 * (step / steps), 64)
        trials[np.arange(64), at] = size * rng.choice([1, -1], 64)
        trials = trials.astype(np.float32)
        ratios = qsnr(trials, quantized(name, trials), axis=1)
        if ratios.min() < least:
            least, best = ratios.min(), trials[ratios.argmin()].astype(np.float64)
    return least


@pytest.mark.parametrize("name", ["mx9", "mx4", "msfp12", "mxfp4", "mxint8", "mxfp6_e2m3"])
def test_a_blind_search_comes_near_the_worst_block_and_not_beyond(name):
    fmt = any_format(name)
    length = fmt.block_size if name in BLOCK_FORMATS else fmt.k1
    found = climbed(name, np.random.default_rng(3), length)
    worst = worst_block(name).decibels
    assert worst - 1e-9 <= found < worst + 3.0
    assert worst >= qsnr_lower_bound(name) - 1e-9


@pytest.mark.parametrize("rule", ["floor", "ceil", "rceil", "even"])
@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_the_worst_block_is_attained(name, rule):
    """The quantizer itself, on numbers next to the worst ones, comes within 0.01 dB."""
    if rule == "even" and any_format(name).element.kind is Kind.FIXED:
        pytest.skip("EVEN rounds to a mantissa, of which INT8 has none of its own")
    worst = worst_block(name, scale_rule=rule)
    assert nearby(name, worst, rule) == pytest.approx(worst.decibels, abs=0.01)


@pytest.mark.parametrize("name", POINTS)
def test_the_worst_block_of_a_bdr_format_is_attained_and_near_the_bound(name):
    worst = worst_block(name)
    assert nearby(name, worst, "bdr-paper") == pytest.approx(worst.decibels, abs=0.01)
    m = any_format(name).m
    # What the bound gives away: the squares of numbers that err by half a step, 2**-m of one.
    assert 0 <= worst.decibels - qsnr_lower_bound(name) < 10 * 2.0**-m + 0.02


def nearby(name, worst, rule):
    """QSNR of the worst block, each number nudged to the side on which it errs more."""
    numbers = np.array([float(v) for v in worst.numbers])
    blocks = np.float32([numbers * (1 + s) for s in (0.0, 1e-6, -1e-6)])
    mixed = [
        np.where(numbers == numbers.max(), blocks[i], blocks[j]) for i in range(3) for j in range(3)
    ]
    x = np.float32(mixed)
    return qsnr(x, quantized(name, x, rule), axis=1).min()


def test_costs():
    """Bits as the standards and papers have them; accumulators by hand."""
    bits = {name: float(cost(name).bits_per_element) for name in ALL_FORMATS}
    assert [bits[n] for n in ("mx9", "mx6", "mx4", "msfp16", "msfp12")] == [9, 6, 4, 8.5, 4.5]
    assert [bits[n] for n in BLOCK_FORMATS] == [8.25, 8.25, 6.25, 6.25, 4.25, 8.25]
    assert bits["nvfp4"] == 4.5
    # 32 products of at most 12 halves squared: 4608 < 2**13, and a sign.
    assert cost("mxfp4").block_accumulator_bits == 14
    # 16 products of 127 * 2 squared: 1032256 < 2**20, and a sign.
    assert cost("mx9").block_accumulator_bits == 21
    # 1024 products of 12 halves squared under scale products of 2**-254 to 2**254.
    assert cost("mxfp4").accumulator_bits == (1024 * 144).bit_length() + 508 + 1
    assert cost("mxfp8_e4m3").multiplier_bits == 16
    assert cost("mxint8").multiplier_bits == 49


@pytest.mark.parametrize("name", ["mxfp4", "mxfp6_e3m2", "mxint8"])
def test_accumulators_hold_the_largest_dot_product_and_one_bit_less_does_not(name):
    fmt = any_format(name)
    step = fmt.element.min_subnormal
    largest = fmt.block_size * int(fmt.element.max / step) ** 2
    width = cost(name).block_accumulator_bits
    assert largest <= 2 ** (width - 1) - 1
    assert largest > 2 ** (width - 2) - 1
