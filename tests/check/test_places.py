"""Each trace that a race, a lost write or a wrong address leaves is found; chance leaves none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxref
from mxref import arrays
from mxref.check._problem import Problem
from mxref.check.places import (
    Localiser,
    element_places,
    kind_places,
    padding_places,
    repeat_places,
    scale_places,
    stability,
    value_places,
)
from mxref.formats import block_format
from mxref.policy import Policy

ROWS, COLUMNS = 200, 640


def values(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def blocks_of(array, axis, k):
    """As `mxref.check._problem.Problem` numbers them, the last ones filled up with zeros."""
    moved = np.moveaxis(array, axis, -1)
    missing = -moved.shape[-1] % k
    moved = np.pad(moved, [(0, 0)] * (moved.ndim - 1) + [(0, missing)])
    return moved.reshape(-1, k)


def localised(wrong, right, axis=-1, k=32, previous=None, piece=61):
    shape, axis = right.shape, axis % right.ndim
    localiser = Localiser(shape, axis, k)
    width = k or right.shape[-1]
    parts = [
        None if array is None else blocks_of(array, axis if k else right.ndim - 1, width)
        for array in (wrong, right, previous)
    ]
    got, expected, before = parts
    mask = got != expected
    for start in range(0, len(got), piece):  # in pieces: coordinates must not depend on them
        part = slice(start, start + piece)
        localiser.add(
            start, mask[part], got[part], expected[part], None if before is None else before[part]
        )
    return localiser.finish()


def texts(places):
    return " | ".join(place.what for place in places)


def spoiled(where, shape=(ROWS, COLUMNS), seed=0):
    """Right values and, in some places, others that have nothing to do with them."""
    right = values(shape, seed)
    wrong = right.copy()
    wrong[where] = values(shape, seed + 1)[where]
    return wrong, right


SPOTS = {
    "one row": (np.s_[5], "row 5 of 200"),
    "the last row": (np.s_[199], "row 199 of 200"),
    "one column": (np.s_[:, 17], "column 17 of 640"),
    "the last column": (np.s_[:, 639], "column 639 of 640"),
    "two rows": (np.s_[[3, 77]], "rows 3, 77 of 200"),
    "beyond the first tile": (np.s_[128:], "the rows from 128 to the last, 199"),
    "columns from 256 on": (np.s_[:, 256:], "the columns from 256 to the last, 639"),
    "the first columns": (np.s_[:, :40], "the first 40 columns"),
    "every 32nd row": (np.s_[::32, ::3], "rows 0, 32, 64, 96, 128, 160, 192"),
    "rows modulo 32": (np.s_[np.isin(np.arange(ROWS) % 32, [0, 1, 2])], "modulo 32 is 0 to 2"),
    "even rows": (np.s_[::2, ::7], "rows whose number modulo 2 is 0"),
    "lane 31": (np.s_[:, 31::32], "lane 31 of 32"),
    "lanes 0 to 2": (np.s_[:, np.isin(np.arange(COLUMNS) % 32, [0, 1, 2])], "lanes 0 to 2 of 32"),
    "odd lanes": (np.s_[:, 1::2], "odd lanes"),
    "second half of blocks": (np.s_[:, np.arange(COLUMNS) % 32 >= 16], "the second half of the bl"),
    "k modulo 128": (np.s_[:, 96::128], "columns 96, 224, 352, 480, 608 of 640"),
    "a run": (np.s_[7, 64:96], "one run of 32 elements in C order, 4,544 to 4,575"),
    "one block": (np.s_[7, 64:95:2], "in 1 of 4,000 blocks: (7, 2)"),
}


@pytest.mark.parametrize("name", SPOTS)
def test_a_place_is_recognised(name):
    where, expected = SPOTS[name]
    places = localised(*spoiled(where))
    assert expected in texts(places), texts(places)
    assert expected in places[0].what  # nothing else says more
    assert all(place.points_to and place.try_next and place.share >= 0.99 for place in places)


def test_a_warp_that_lost_its_write_starts_at_a_multiple():
    places = localised(*spoiled(np.s_[7, 64:96]))
    assert "starts and ends at multiples of 32" in places[0].what
    places = localised(*spoiled(np.s_[7, 65:98]))
    assert "multiples" not in texts(places)


def test_k_modulo_256_among_many_columns():
    places = localised(*spoiled(np.s_[:, 33::256], (40, 16 * 256)), k=None)
    assert "columns whose number modulo 256 is 33" in places[0].what


def test_second_groups_of_vectors_without_blocks():
    where = np.s_[:, np.arange(640) % 16 >= 8]
    places = localised(*spoiled(where), k=None)
    assert "columns whose number modulo 16 is 8 to 15" in places[0].what
    assert "second half of each group of 16" in places[0].points_to


def test_every_32nd_of_a_flat_array():
    places = localised(*spoiled(np.s_[::32], (4096,)), axis=0, k=None, piece=3)
    assert "columns whose number modulo 32 is 0" in texts(places)


def test_nearly_all_mismatches_suffice_and_their_share_is_said():
    wrong, right = spoiled(np.s_[:, 31::32])
    wrong[3, 3] = wrong[90, 5] = 9
    places = localised(wrong, right)
    assert "More than 99 % of the mismatches lie in lane 31 of 32" in places[0].what
    assert 0.99 < places[0].share < 1


def test_whole_blocks_speak_of_their_scale():
    rng = np.random.default_rng(2)
    bad = np.repeat(rng.random((ROWS, COLUMNS // 32)) < 0.1, 32, axis=1)
    places = localised(*spoiled(bad))
    assert "blocks are wrong nearly everywhere" in texts(places)
    # one mismatch a block is no whole block
    spots = np.zeros((ROWS, COLUMNS), bool)
    spots[bad & (np.arange(COLUMNS) % 32 == rng.integers(0, 32, (ROWS, 1)))] = True
    assert "nearly everywhere" not in texts(localised(*spoiled(spots)))


def test_a_tail_of_rows():
    places = localised(*spoiled(np.s_[192:]))
    assert "rows 192 to 199" in places[0].what
    assert "last whole group of 64" in places[0].points_to


def test_the_ragged_last_block():
    wrong, right = spoiled(np.s_[:, 640:], (64, 650))
    places = localised(wrong, right)
    assert "the last block along axis 1, which holds 10 of 32" in texts(places)


def test_lanes_along_another_axis():
    wrong, right = spoiled(np.s_[31::32], (320, 40))
    places = localised(wrong, right, axis=0)
    assert "lane 31 of 32" in texts(places)
    assert "rows whose" not in texts(places)  # the same again


def test_three_axes_blocked_in_the_middle():
    wrong, right = spoiled(np.s_[2], (4, 64, 24))
    places = localised(wrong, right, axis=1)
    assert "rows 128 to 191" in texts(places) or "the rows 128 to 191" in texts(places)


# --- values -----------------------------------------------------------------------------------


def strewn(shape, share=0.1, seed=3):
    return np.random.default_rng(seed).random(shape) < share


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (np.zeros_like, "are zero where they should not be"),
        (lambda x: np.full_like(x, np.nan), "are NaN where they should not be"),
        (lambda x: -x, "the wrong sign"),
        (lambda x: np.full_like(x, -1.5), "one and the same value, -1.5 (0xBFC00000)"),
        (lambda x: np.roll(x, 1, axis=1), "that belongs 1 element earlier"),
        (lambda x: np.roll(x, -32, axis=1), "that belongs 1 block later"),
        (lambda x: np.roll(x, 1, axis=0), "that belongs 20 blocks earlier"),
        (lambda x: x.reshape(-1, 2)[:, ::-1].reshape(x.shape), "the pair 2j, 2j + 1"),
        (lambda x: x.reshape(-1, 32)[:, ::-1].reshape(x.shape), "mirrored place in the block"),
        (lambda x: x * 4, "the right ones times 2^2, all of them"),
        (lambda x: x * np.float32(1.3), "the right ones times 1.3, all of them"),
    ],
)
def test_what_the_wrong_values_are(make, expected):
    right = values((ROWS, COLUMNS))
    where = strewn(right.shape, 0.3)
    places = localised(np.where(where, make(right), right), right)
    assert expected in texts(places), texts(places)


def test_factor_of_each_block_and_of_each_row():
    right = values((ROWS, COLUMNS))
    rng = np.random.default_rng(4)
    unrounded = rng.uniform(1.01, 1.99, (ROWS, COLUMNS // 32)).astype(np.float32)
    places = localised(right * np.repeat(unrounded, 32, axis=1), right)
    assert "a factor that is one in each block" in texts(places)
    assert "S14" in " ".join(place.points_to for place in places)
    powers = np.exp2(rng.integers(1, 9, (ROWS, COLUMNS // 32))).astype(np.float32)
    places = localised(right * np.repeat(powers, 32, axis=1), right)
    assert "off by a power of two that is one in each block: 2^1 to 2^8" in texts(places)
    places = localised(right * powers[:, :1], right)
    assert "off by a power of two that is one in each row" in texts(places)


def test_values_of_the_previous_call():
    right, before = values((ROWS, COLUMNS)), values((ROWS, COLUMNS), 9)
    wrong = np.where(strewn(right.shape), before, right)
    assert "the call before gave" in texts(localised(wrong, right, previous=before))
    assert "the call before gave" not in texts(localised(wrong, right, previous=right))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (lambda x: (np.abs(x) > 3.5) & (np.abs(x) < 7), "in the top binade"),
        (lambda x: (np.abs(x) < 0.75) & (x != 0), "below the smallest normal number"),
        (lambda x: np.isin(np.abs(x), [2.5, 3.5, 5.0]), "a tie"),
        (lambda x: x < 0, "negative"),
        (lambda x: np.abs(x) > 7, "beyond the largest number"),
        (lambda x: x == 0, "zero"),
    ],
)
def test_a_kind_of_input_is_recognised(chosen, expected):
    fmt = block_format("mxfp4")
    x = np.round(values((256, 32)) * 8) / 4
    x[:, 0] = np.where(np.arange(256) % 2, 7.5, -7.5)  # the scale is 1
    made = mxref.quantize(x, "mxfp4")
    wrong = chosen(x)
    problem = Problem(x, made.codes, made.scales, fmt, 1)
    sample = problem.take(np.arange(256))
    places = kind_places(problem, sample, wrong, Policy())
    assert any(expected in place.what for place in places), texts(places)
    nothing = np.random.default_rng(0).random(wrong.shape) < 0.1
    assert kind_places(problem, sample, nothing, Policy()) == ()
    assert kind_places(problem, sample, np.zeros_like(wrong), Policy()) == ()


# --- chance -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    share=st.sampled_from([0.0005, 0.003, 0.05, 0.5, 0.95]),
    shape=st.sampled_from([(64, 64), (200, 640), (33, 97), (5000,), (3, 40, 64)]),
    blocked=st.booleans(),
)
def test_mismatches_strewn_at_random_have_no_place(seed, share, shape, blocked):
    where = strewn(shape, share, seed)
    wrong, right = spoiled(where, shape, seed % 1000)
    assert localised(wrong, right, k=32 if blocked else None) == ()


def test_few_mismatches_show_nothing():
    assert localised(*spoiled(np.s_[5, :7])) == ()
    assert Localiser((4, 32), 1, 32).finish() == ()


def test_codes_of_few_kinds_agree_by_chance_and_prove_nothing():
    rng = np.random.default_rng(5)
    right = rng.integers(0, 2, (ROWS, COLUMNS)).astype(np.float32) * 2 - 1
    where = strewn(right.shape)
    places = localised(np.where(where, -right, right), right)
    assert "wrong place" not in texts(places)


def test_memory_is_bounded():
    localiser = Localiser((1 << 22, 32), 1, 32)
    got, expected = values((4096, 32)), values((4096, 32), 1)
    for start in range(0, 1 << 22, 1 << 18):
        localiser.add(start, got != expected, got, expected)
    assert len(localiser._values.samples) <= 2048
    assert localiser._counts.rows.bins.size <= 1 << 20


def test_at_most_six_and_the_most_telling_first():
    right = values((ROWS, COLUMNS))
    wrong = right.copy()
    wrong[128::2, 31::32] = 0
    places = localised(wrong, right)
    assert 3 <= len(places) <= 6
    assert "lane 31" in places[0].what


# --- stages of a check ------------------------------------------------------------------------


def quantized(shape=(128, 256), axis=1):
    x = values(shape)
    made = mxref.quantize(x, "mxfp4", axis=axis)
    return x, made.codes.copy(), made.scales.copy(), made.dequantize().copy()


@pytest.mark.parametrize("axis", [0, 1])
def test_elements_of_a_tensor(axis):
    x, codes, scales, _ = quantized(axis=axis)
    fmt = block_format("mxfp4")
    right = Problem(x, codes.copy(), scales, fmt, axis)
    codes[64:, :] = np.roll(codes[64:, :], 1, axis=1)
    problem = Problem(x, codes, scales, fmt, axis)

    def expected(piece):
        return arrays.encode_with_scale(piece.x, piece.scales[:, None], fmt, -1, Policy())

    places = element_places(problem, expected, Policy())
    assert "the rows from 64 to the last, 127" in texts(places)
    assert len(places) <= 6
    assert element_places(right, expected, Policy()) == ()


def test_lone_elements():
    x = values((64, 64))
    codes = mxref.encode(x, "e2m1")
    wrong = codes.copy()
    wrong[7, 8:40] ^= 1
    problem = Problem.of_elements(x, wrong, block_format("mxfp4").element)

    def expected(piece):
        return mxref.encode(piece.x, "e2m1")

    places = element_places(problem, expected, Policy())
    assert "one run of 32 elements in C order, 456 to 487" in texts(places)


@pytest.mark.parametrize("axis", [0, 1])
def test_scales_of_a_tensor(axis):
    x, codes, scales, _ = quantized((256, 512), axis)
    right = np.moveaxis(scales, axis, -1).reshape(-1).copy()
    scales[-2:] += 3
    problem = Problem(x, codes, scales, block_format("mxfp4"), axis)
    given = np.moveaxis(scales, axis, -1).reshape(-1)
    places = scale_places(problem, right, given != right)
    n = scales.shape[0]
    assert f"rows {n - 2}, {n - 1} of {n}" in texts(places)
    assert "the right ones times 2^3, all of them" in texts(places)


def test_decoded_values_of_a_tensor():
    x, codes, scales, y = quantized()
    wrong = y.copy()
    wrong[:, 100] = 77
    problem = Problem(wrong, codes, scales, block_format("mxfp4"), 1)
    rows = y.reshape(-1, 32)

    def judged(piece):
        expected = rows[piece.start : piece.stop]
        return piece.x != expected, expected

    places = value_places(problem, judged)
    assert "column 100 of 256" in texts(places)
    assert "one and the same value, 77" in texts(places)
    assert x.shape == y.shape


# --- driving ----------------------------------------------------------------------------------


def test_a_race_is_told_from_memory_that_nobody_wrote():
    rng = np.random.default_rng(6)
    right = rng.integers(0, 255, (64, 64)).astype(np.uint8)
    race, dirty = [], []
    for _ in range(8):
        run = right.copy()
        run[:, 63] ^= (rng.random(64) < 0.5).astype(np.uint8)
        race.append(run)
        run = values((64, 64), 0)
        run[60:] = values((4, 64), int(rng.integers(1 << 30)))
        dirty.append(run)
    places = repeat_places(race)
    assert "a race or a missing barrier" in places[0].points_to
    assert "column 63 of 64" in places[1].what
    places = repeat_places(dirty)
    assert "before anybody wrote it" in places[0].points_to
    assert "rows 60 to 63 of 64" in texts(places)
    assert places[0].share == pytest.approx(4 / 64)


def test_nothing_changes_for_a_good_target():
    x = values((40, 64))
    assert stability(lambda x: (x * 2, x.astype(np.float16)), (x,)) == ()
    assert padding_places(lambda x: (x * 2, np.abs(x).max(1)), (x,)) == ()
    nan = np.full((40, 64), np.nan, np.float32)
    assert stability(lambda x: (x,), (nan,), runs=2) == ()


def test_stability_drives_and_finds_what_changes():
    calls = []

    def call(x):
        calls.append(1)
        y = x.copy()
        y[3::8] += len(calls) % 2
        return (x, y)

    places = stability(call, (values((64, 64)),), runs=4)
    assert len(calls) == 4
    assert "512 of 4,096 outputs (12 %) change between 4 runs" in places[0].what
    assert "modulo 8 is 3" in texts(places) or "rows 3, 11" in texts(places)


def test_rows_that_depend_on_their_neighbours():
    def half_a_warp(x):
        """The rows of the last warp take part in a shuffle, used or not."""
        out = x.copy()
        n = len(x)
        start = (n - 1) // 32 * 32
        out[start:] = x[start:].sum(0) if n % 32 else x[start:]
        return (out,)

    x = np.ones((40, 32), np.float32)
    places = padding_places(half_a_warp, (x,))
    assert any("a warp that is only partly filled" in place.points_to for place in places)

    def whole(x):
        return (x / np.nanmax(np.abs(x)),)

    places = padding_places(whole, (x,))
    assert "more than its own rows" in places[0].points_to
    assert places[0].share == 1

    def by_size(x):
        return (x + np.float32(len(x) > 32),)

    assert any("the first 31 come alone" in p.what for p in padding_places(by_size, (x,)))


def test_padding_takes_eight_calls_and_codes_stay_codes():
    seen = []

    def call(codes, scales):
        seen.append(len(codes))
        assert codes.max() < 16
        return (codes * scales,)

    codes = np.full((64, 32), 15, np.uint8)
    assert padding_places(call, (codes, np.full((64, 1), 127, np.uint8))) == ()
    assert len(seen) == 8


def test_padding_says_so_where_nothing_repeats():
    rng = np.random.default_rng(7)
    places = padding_places(lambda x: (x + rng.random(),), (values((8, 32)),))
    assert "between two calls" in places[0].what
