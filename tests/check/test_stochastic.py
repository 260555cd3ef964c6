"""Stochastic rounding: faults written anew over fractions, with and without their random bits."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxref
from mxref.check.stochastic import encode_stochastic, stochastic, stochastic_data
from mxref.check.target import TargetError

FORMATS = ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "int8")
N = 16
MOST = (1 << N) - 1


def ladder(fmt):
    """Every non-negative value with its code, in order; from the decoded table alone."""
    values = mxref.decode(np.arange(SIZES.get(fmt, 256), dtype=np.uint8), fmt)
    pairs = [
        (Fraction(float(v)), c)
        for c, v in enumerate(values)
        if np.isfinite(v) and not np.signbit(v)
    ]
    return sorted(pairs)


SIZES = {"e3m2": 64, "e2m3": 64, "e2m1": 16}
SIGN = {"e4m3": 128, "e5m2": 128, "e3m2": 32, "e2m3": 32, "e2m1": 8}


def split(x, steps):
    """The neighbour below, as its index, and the fraction of the way to the one above."""
    size = abs(Fraction(float(x)))
    index = max(i for i, (value, _) in enumerate(steps) if value <= size)
    if index == len(steps) - 1:
        return index, Fraction(0)
    low, high = steps[index][0], steps[index + 1][0]
    return index, (size - low) / (high - low)


def by_rule(fmt, goes_up):
    """An encoder of my own: `goes_up(fraction, R)` decides."""
    steps = ladder(fmt)

    def encode(x, random):
        out = []
        for value, r in zip(x.ravel(), random.ravel(), strict=True):
            index, fraction = split(value, steps)
            code = steps[index + bool(fraction and goes_up(fraction, int(r)))][1]
            if np.signbit(value):
                code = -code & 0xFF if fmt == "int8" else code | SIGN[fmt]
            out.append(code)
        return np.array(out, np.uint8).reshape(x.shape)

    return encode


def mode_a(fraction, r):
    return int(fraction * 2**N) + r >= 2**N


def rotated(r):
    return (r << 1) & MOST


RULES = {
    "R1 down": ("R1", lambda _f, _r: False),
    "R1 up": ("R1", lambda _f, _r: True),
    "R1 low": ("R1", lambda f, r: mode_a(f, r >> 1)),
    "R1 high": ("R1", lambda f, r: mode_a(f, rotated(r))),
    "R1 reversed": ("R1", lambda f, r: mode_a(f, int(f"{r:016b}"[::-1], 2))),
    "R2 ones": ("R2", lambda f, _r: mode_a(f, MOST)),
}


def inputs(fmt, count=700):
    rng = np.random.default_rng(5)
    top = float(ladder(fmt)[-1][0])
    x = rng.uniform(-top, top, count).astype(np.float32)
    x[: count // 2] *= np.float32(0.01)
    x[0] = 1 + 2.0**-23  # less above 1 than any random number resolves
    return x, rng.integers(0, 1 << N, count, dtype=np.uint32)


# --- with random bits ------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", FORMATS)
def test_my_encoder_conforms(fmt):
    x, random = inputs(fmt)
    report = encode_stochastic(x, random, by_rule(fmt, mode_a)(x, random), fmt)
    assert report.verdict == "conforms", str(report)


@pytest.mark.parametrize("fmt", ["e4m3", "e2m1", "int8"])
@pytest.mark.parametrize("rule", RULES)
def test_a_fault_is_named_first_with_nothing_left(fmt, rule):
    fault, goes_up = RULES[rule]
    x, random = inputs(fmt)
    codes = by_rule(fmt, goes_up)(x, random)
    for policy in (None, "ocp:rounding=stochastic-a"):
        report = encode_stochastic(x, random, codes, fmt, policy)
        assert report.verdict == "defect", str(report)
        assert (report.findings[0].id, report.findings[0].residual) == (fault, 0)


@pytest.mark.parametrize("fmt", FORMATS)
def test_nothing_but_zeros(fmt):
    x, random = inputs(fmt)
    report = encode_stochastic(x, random, np.zeros(x.shape, np.uint8), fmt)
    assert (report.verdict, report.findings[0].id) == ("defect", "R3")


@pytest.mark.parametrize("mode", ["b", "c"])
def test_another_mode_is_a_legal_choice(mode):
    # Half of what one random bit resolves above a threshold, where the three modes part.
    t = np.arange(1, 2000)
    x = (1 + (t + 0.5) * 2.0**-19).astype(np.float32)
    random = (MOST - t).astype(np.uint32)
    name = f"ocp:rounding=stochastic-{mode}"
    codes = mxref.encode(x, "e4m3", name, random=random)
    report = encode_stochastic(x, random, codes, "e4m3")
    assert report.verdict == "conforms-as", str(report)
    assert report.policy.rounding == f"stochastic-{mode}"
    assert report.ok
    assert not encode_stochastic(x, random, codes, "e4m3", "ocp:rounding=stochastic-a").ok


def test_neighbours_that_share_words():
    x = inputs("e4m3", 4000)[0]
    words = np.random.default_rng(1).integers(0, 1 << 32, 1000, dtype=np.uint32)
    ptx, te = (f"ocp:rounding=stochastic-a,stochastic={name}-x4" for name in ("ptx", "te"))
    codes = mxref.encode(x, "e4m3", te, random=words)
    assert encode_stochastic(x, words, codes, "e4m3", te).verdict == "conforms"
    report = encode_stochastic(x, words, codes, "e4m3", ptx)
    assert (report.verdict, str(report.policy.stochastic)) == ("conforms-as", "te-x4")


@pytest.mark.parametrize("way", ["first element", "first row", "column", "before"])
def test_random_bits_of_another_element(way):
    x, random = inputs("e2m1", 1024)
    x, random = x.reshape(32, 32), random.reshape(32, 32)
    used = {
        "first element": np.full_like(random, random[0, 0]),
        "first row": np.repeat(random[:1], 32, axis=0),
        "column": np.repeat(random[:, :1], 32, axis=1),
        "before": np.concatenate([random.ravel()[-1:], random.ravel()[:-1]]).reshape(32, 32),
    }[way]
    report = encode_stochastic(x, random, by_rule("e2m1", mode_a)(x, used), "e2m1")
    assert report.verdict == "defect", str(report)
    assert (report.findings[0].id, report.findings[0].residual) == ("R2", 0)


def test_an_element_fault_under_stochastic_rounding():
    x, random = inputs("e4m3")
    codes = by_rule("e4m3", mode_a)(x, random)
    codes[(codes & 0x7F) >= 0x78] |= 0x06  # the top binade saturates
    codes[(codes & 0x7F) == 0x7F] ^= 0x01
    report = encode_stochastic(x, random, codes, "e4m3")
    assert report.verdict in {"defect", "unexplained"}
    assert not report.ok


def test_noise_is_not_explained():
    x, random = inputs("e4m3")
    codes = by_rule("e4m3", mode_a)(x, random) ^ (random & 1).astype(np.uint8)
    report = encode_stochastic(x, random, codes, "e4m3")
    assert report.verdict == "unexplained"


def test_bad_input_is_refused():
    x, random = inputs("e2m1")
    with pytest.raises(ValueError, match="shape"):
        encode_stochastic(x, random, np.zeros(3, np.uint8), "e2m1")
    with pytest.raises(ValueError, match="draws nothing"):
        encode_stochastic(x, random, np.zeros(x.shape, np.uint8), "e2m1", "ocp")
    with pytest.raises(TypeError, match="unsigned"):
        encode_stochastic(x, random.astype(float), np.zeros(x.shape, np.uint8), "e2m1")
    empty = np.zeros(0, np.float32)
    report = encode_stochastic(empty, np.zeros(0, np.uint32), np.zeros(0, np.uint8), "e2m1")
    assert report.verdict == "not-testable"


# --- without ---------------------------------------------------------------------------------


def kernel(fmt, use, seed=None):
    """A vectorised kernel of my own; `use` turns the random numbers drawn into those used."""
    steps = ladder(fmt)
    ends = np.array([float(v) for v, _ in steps])
    codes = np.array([c for _, c in steps])
    fresh = np.random.default_rng(77)

    def encode(x):
        rng = fresh if seed is None else np.random.default_rng(seed)
        r = use(rng.integers(0, 1 << N, x.shape))
        size = np.abs(x.astype(np.float64))
        index = np.minimum(np.searchsorted(ends, size, "right") - 1, len(ends) - 2)
        fraction = (size - ends[index]) / (ends[index + 1] - ends[index])
        up = np.floor(fraction * 2**N) + r >= 2**N
        found = codes[index + up]
        negative = np.signbit(x)
        if fmt == "int8":
            return np.where(negative, -found, found).astype(np.int8).view(np.uint8)
        return (found | (negative * SIGN[fmt])).astype(np.uint8)

    return encode


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_right_kernel_passes(fmt):
    report = stochastic(kernel(fmt, lambda r: r), fmt)
    assert report.verdict == "conforms", str(report)
    assert report.mismatches.elements == 0
    assert "false alarm" in report.notes[0]


@pytest.mark.parametrize("fmt", FORMATS)
def test_eight_random_bits_are_enough(fmt):
    assert stochastic(kernel(fmt, lambda r: r & 0xFF00), fmt).verdict == "conforms"


DRIVEN = {
    "down": (lambda r: 0 * r, "R1", "toward zero"),
    "one number": (lambda r: np.full_like(r, 0x9000), "R2", "one random number"),
    "lanes": (lambda r: np.resize(r[:32], r.shape), "R2", "distance of 32 "),
    "rows": (lambda r: np.resize(r[:1024], r.shape), "R2", "distance of 1,024 "),
}


@pytest.mark.parametrize("fmt", ["e5m2", "e2m3", "int8"])
@pytest.mark.parametrize("name", DRIVEN)
def test_a_driven_fault_is_named(fmt, name):
    use, fault, detail = DRIVEN[name]
    report = stochastic(kernel(fmt, use), fmt)
    first = report.findings[0]
    assert (report.verdict, first.id, first.residual) == ("defect", fault, 0), str(report)
    assert detail in first.detail


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_constant_seed_is_named(fmt):
    report = stochastic(kernel(fmt, lambda r: r, seed=0), fmt)
    assert (report.verdict, report.findings[0].id) == ("defect", "R2")
    assert "every call" in report.findings[0].detail


@pytest.mark.parametrize("fmt", FORMATS)
def test_zeros_up_and_nearest(fmt):
    zero = stochastic(lambda x: np.zeros(x.shape, np.uint8), fmt)
    assert (zero.verdict, zero.findings[0].id) == ("defect", "R3")
    nearest = stochastic(lambda x: mxref.encode(x, fmt), fmt)
    assert (nearest.verdict, nearest.findings[0].id) == ("defect", "R1")
    always = stochastic(kernel(fmt, lambda r: r + 2**N), fmt)
    assert always.verdict != "conforms"


@pytest.mark.parametrize("fmt", FORMATS)
def test_bits_one_place_low_have_the_wrong_weight(fmt):
    report = stochastic(kernel(fmt, lambda r: r >> 1), fmt)
    assert not report.ok
    assert (report.findings[0].id, report.findings[0].detail) == (
        "R1",
        "random bits one place too low",
    )
    assert report.verdict == "unexplained"  # statistics reproduce no bits


def test_pairs_that_share_bits_are_legal():
    report = stochastic(kernel("e4m3", lambda r: np.repeat(r[::2], 2)), "e4m3")
    assert report.verdict == "conforms-as", str(report)
    assert report.ok


def test_a_code_outside_its_neighbours_is_seen():
    right = kernel("e4m3", lambda r: r)

    def wrong(x):
        codes = right(x)
        codes[5] ^= 0x10
        return codes

    report = stochastic(wrong, "e4m3")
    assert report.verdict == "unexplained"
    assert report.mismatches.elements == 1
    assert any("neither neighbour" in note for note in report.notes)


def test_a_broken_kernel_is_a_target_error():
    for fn in (lambda _: None, lambda x: x, lambda _: np.zeros(3, np.uint8), lambda _: 1 / 0):
        with pytest.raises(TargetError):
            stochastic(fn, "e2m1")


# --- given data ------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(FORMATS), st.integers(1, 5000))
def test_right_data_are_never_a_defect(seed, fmt, count):
    rng = np.random.default_rng(seed)
    top = float(ladder(fmt)[-1][0])
    x = rng.uniform(-1.2 * top, 1.2 * top, count).astype(np.float32)
    random = rng.integers(0, 1 << N, count, dtype=np.uint32)
    codes = mxref.encode(x, fmt, "ocp:rounding=stochastic-a", random=random)
    report = stochastic_data(x, codes, fmt)
    assert report.verdict in {"conforms", "not-testable"}, str(report)
    assert any(gap.faults == ("R2",) for gap in report.gaps)


def test_given_data_with_scales():
    x, random = inputs("e2m1", 4096)
    rows = x.reshape(-1, 32) * np.float32(8)
    scales = np.full((len(rows), 1), 130, np.uint8)
    codes = by_rule("e2m1", mode_a)(x, random).reshape(rows.shape)
    assert stochastic_data(rows, codes, "e2m1", scales).verdict == "conforms"
    down = by_rule("e2m1", lambda _f, _r: False)(x, random).reshape(rows.shape)
    report = stochastic_data(rows, down, "e2m1", scales)
    assert (report.verdict, report.findings[0].id) == ("defect", "R1")


def test_little_data_say_what_is_missing():
    report = stochastic_data(np.float32([1.25]), np.uint8([2]), "e2m1")
    assert report.verdict == "conforms"
    assert any("4,095 more" in gap.needs for gap in report.gaps)
    assert stochastic_data(np.float32([1.0]), np.uint8([2]), "e2m1").verdict == "not-testable"


# --- one draw for several neighbours ----------------------------------------------------------


def drawn_once(fmt, size, seed=1):
    """A correct rounding whose random number is shared by each group of neighbours."""
    rng = np.random.default_rng(seed)

    def convert(x):
        few = rng.integers(0, MOST + 1, -(-x.size // size), np.uint32)
        random = np.repeat(few, size)[: x.size]
        return mxref.encode(x, fmt, policy="ocp:rounding=stochastic-a", random=random)

    return convert


@pytest.mark.parametrize("fmt", ["e2m1", "e4m3"])
@pytest.mark.parametrize("size", [3, 4, 8, 16, 32, 96, 1024])
def test_one_draw_for_a_group_of_neighbours_is_shared_bits(fmt, size):
    report = stochastic(drawn_once(fmt, size), fmt)
    assert report.verdict == "defect", report
    (finding,) = report.findings  # no wrong weight beside it
    named = (finding.id, finding.detail, finding.residual)
    assert named == ("R2", f"one random number for each {size:,} neighbours", 0)


@pytest.mark.parametrize("seed", range(5))
def test_a_draw_for_each_element_is_none_for_a_group(seed):
    assert stochastic(drawn_once("e2m1", 1, seed), "e2m1").ok


def test_a_group_that_starts_elsewhere_is_not_called_certain():
    """Groups of 32 behind 5 elements: dependent, but no group from 0 on is of one number."""
    convert = drawn_once("e2m1", 32)
    report = stochastic(lambda x: convert(np.concatenate([x[:27], x]))[27:], "e2m1")
    assert not report.ok
    assert "one random number for each 32" not in report.findings[0].detail


def test_what_statistics_leave_over_is_a_count_of_draws():
    """Half of all draws go up, wherever they lie: thousands are too many or too few."""
    rng = np.random.default_rng(5)

    def half(x):
        up = rng.integers(0, 2, x.shape).astype(bool)
        low = mxref.encode(x, "e2m1", policy="ocp:rounding=toward-zero")
        exact = mxref.decode(low, "e2m1") == x
        return np.where(up & ~exact & (np.abs(x) < 6), low + 1, low).astype(np.uint8)

    first = stochastic(half, "e2m1").findings[0]
    assert (first.id, first.detail) == ("R1", "each neighbour half of the time")
    assert first.residual > 100
