"""`mxref.diff` against naive loops over exact arithmetic, code by code."""

import bisect
import functools
import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxref
from mxref.exact import element as exact_element
from mxref.exact import scale as exact_scale
from mxref.exact.number import NumberClass
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, SCALE_FORMATS, Kind
from mxref.show.diff import KINDS, diff
from mxref.show.diff._count import judge

E8M0 = SCALE_FORMATS["e8m0"]
CLASSES = ("zero", "subnormal", "normal", "max", "Inf", "NaN")


# --- the naive twin ---------------------------------------------------------------------------


def naive_class(code, fmt):
    return _class(code, fmt.name)


@functools.cache
def _class(code, name):
    fmt = ELEMENT_FORMATS[name]
    number = exact_element.decode(code, fmt)
    if number.cls is NumberClass.ZERO:
        return "zero"
    if number.cls is not NumberClass.FINITE:
        return {"inf": "Inf", "nan": "NaN"}[number.cls.value]
    if number.magnitude >= fmt.max:
        return "max"
    return "subnormal" if fmt.min_normal and number.magnitude < fmt.min_normal else "normal"


def naive_values(fmt):
    return _sorted_values(fmt.name)


@functools.cache
def _sorted_values(name):
    fmt = ELEMENT_FORMATS[name]
    numbers = [exact_element.decode(c, fmt) for c in range(fmt.code_count)]
    return sorted({n.value for n in numbers if n.cls in {NumberClass.ZERO, NumberClass.FINITE}})


def naive_kind(a, b, scales, fmt):
    """Kind and ulps of codes under E8M0 scale codes (or none), by the words of the docstring."""
    numbers = [exact_element.decode(c, fmt) for c in (a, b)]
    factors = [Fraction(1), Fraction(1)]
    if scales is not None:
        read = [exact_scale.decode(s, E8M0) for s in scales]
        if any(r.cls is NumberClass.NAN for r in read):
            nans = [
                r.cls is NumberClass.NAN or n.cls is NumberClass.NAN
                for r, n in zip(read, numbers, strict=True)
            ]
            if all(nans):
                return "nan-bits", 0
            return "nan", 0
        factors = [r.value for r in read]
    is_nan = [n.cls is NumberClass.NAN for n in numbers]
    if any(is_nan):
        return ("nan-bits" if all(is_nan) else "nan"), 0
    is_inf = [n.cls is NumberClass.INF for n in numbers]
    signs = [n.sign for n in numbers]
    if any(is_inf):
        if not all(is_inf):
            return "inf", 0
        return ("sign" if signs[0] != signs[1] else "same-value"), 0
    x, y = (
        (0 if n.cls is NumberClass.ZERO else n.value) * f
        for n, f in zip(numbers, factors, strict=True)
    )
    if x == y == 0:
        different = fmt.kind is Kind.FLOAT and (a ^ b) & fmt.sign_mask
        return ("zero-sign" if different else "same-value"), 0
    if x == y:
        return "same-value", 0
    line, unit = naive_values(fmt), max(factors)
    ulps = max(1, abs(nearest(line, x / unit) - nearest(line, y / unit)))
    if x == -y:
        return "sign", ulps
    if ulps == 1:
        return "ulp-1", 1
    tops = [naive_class(c, fmt) == "max" for c in (a, b)]
    if tops[0] != tops[1]:
        return "saturated", ulps
    return ("zero" if 0 in {x, y} else "more"), ulps


def nearest(line, x):
    """Place of the value nearest to x, the lower of two."""
    above = bisect.bisect_left(line, x)
    around = [i for i in (above - 1, above) if 0 <= i < len(line)]
    return min(around, key=lambda i: (abs(line[i] - x), i))


def naive(a, b, a_scales, b_scales, fmt, k):
    """Count kinds and list what differs, for 2-dimensional arrays in blocks on the last axis."""
    kinds, places = {}, []
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            s = None if a_scales is None else (int(a_scales[i, j // k]), int(b_scales[i, j // k]))
            c = (int(a[i, j]), int(b[i, j]))
            if c[0] == c[1] and (s is None or s[0] == s[1]):
                continue
            kind, ulps = naive_kind(*c, s, fmt)
            row = 0 if s is None or s[0] == s[1] else 1
            kinds[kind, row] = kinds.get((kind, row), 0) + 1
            places.append(((i, j), kind, ulps))
    return kinds, places


def check(d, a, b, a_scales, b_scales, fmt, k=32):
    kinds, places = naive(a, b, a_scales, b_scales, fmt, k)
    for i, name in enumerate(KINDS):
        for row in (0, 1):
            assert d.tally.kinds[row, i] == kinds.get((name, row), 0), (name, row)
    assert d.count == len(places) == sum(d.kinds.values())
    assert [(p.index, p.kind, p.ulps) for p in d.places(10**6)] == places
    assert (d.first.index if d.first else None) == (places[0][0] if places else None)
    most = max((p[2] for p in places), default=0)
    assert (d.farthest.ulps if d.farthest else 0) == most
    if most:
        assert d.farthest.index == next(p[0] for p in places if p[2] == most)
    buckets = {}
    for low, high, *counts in histogram(d):
        buckets[low, high] = sum(counts)
    for *_, ulps in places:
        if ulps:
            key = next(k for k in buckets if k[0] <= ulps <= k[1])
            buckets[key] -= 1
    assert not any(buckets.values())


def histogram(d):
    return [tuple(row.values()) for row in d.to_dict()["ulps"]]


# --- codes alone ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "int8"])
def test_codes_against_loops(name):
    fmt = ELEMENT_FORMATS[name]
    rng = np.random.default_rng(1)
    shape = (24, 40)
    a = rng.integers(0, fmt.code_count, shape, np.uint8)
    b = np.where(rng.random(shape) < 0.5, a, rng.integers(0, fmt.code_count, shape, np.uint8))
    d = diff(a, b, name)
    check(d, a, b, None, None, fmt)
    counts = np.zeros((6, 6), int)
    for x, y in zip(a.flat, b.flat, strict=True):
        counts[
            CLASSES.index(naive_class(int(x), fmt)), CLASSES.index(naive_class(int(y), fmt))
        ] += 1
    assert np.array_equal(d.tally.classes, counts)
    for bit in range(fmt.bits):
        assert d.tally.bits[bit] == np.count_nonzero(((a ^ b) >> bit) & 1)
    pairs = {}
    for x, y in zip(a[a != b].tolist(), b[a != b].tolist(), strict=True):
        pairs[x, y] = pairs.get((x, y), 0) + 1
    top = d.to_dict()["code_pairs"]
    assert top[0]["count"] == max(pairs.values())
    assert all(pairs[p["a"], p["b"]] == p["count"] for p in top)
    assert d.first.index == tuple(np.argwhere(a != b)[0])


def test_every_pair_of_e5m2():
    """All 65536 pairs of codes, the diagonal included, are of the kind that the loop gives."""
    fmt = ELEMENT_FORMATS["e5m2"]
    codes = np.arange(256, dtype=np.uint8)
    a, b = np.meshgrid(codes, codes, indexing="ij")
    d = diff(a, b, "e5m2")
    line = naive_values(fmt)
    place = {}
    for code in range(256):
        number = exact_element.decode(code, fmt)
        if number.cls in {NumberClass.ZERO, NumberClass.FINITE}:
            place[code] = line.index(number.value if number.cls is NumberClass.FINITE else 0)
    counts = dict.fromkeys(KINDS, 0)
    for x in range(256):
        for y in range(256):
            if x == y:
                continue
            if x in place and y in place and abs(place[x] - place[y]) > 1:
                vx, vy = line[place[x]], line[place[y]]
                tops = [naive_class(c, fmt) == "max" for c in (x, y)]
                kind = "sign" if vx == -vy else "saturated" if tops[0] != tops[1] else None
                counts[kind or ("zero" if 0 in {vx, vy} else "more")] += 1
            else:
                counts[naive_kind(x, y, None, fmt)[0]] += 1
    assert d.kinds == counts


def test_e8m0_and_types_of_ml_dtypes():
    assert diff([0x7E, 1], [0x7F, 1], "e4m3").kinds["nan"] == 1
    d = diff(np.array([127, 0, 255], np.uint8), np.array([128, 0, 254], np.uint8), "e8m0")
    assert d.kinds["ulp-1"] == 1
    assert d.kinds["nan"] == 1
    a = np.array([1, -0.0, 448], ml_dtypes.float8_e4m3fn)
    b = np.array([1.125, 0.0, 416], ml_dtypes.float8_e4m3fn)
    d = diff(a, b)
    assert d.pair.name == "e4m3"
    assert {k: n for k, n in d.kinds.items() if n} == {"ulp-1": 2, "zero-sign": 1}


# --- blocks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(BLOCK_FORMATS))
def test_blocks_against_loops(name):
    fmt = BLOCK_FORMATS[name]
    rng = np.random.default_rng(2)
    shape = (5, 96)
    a = rng.integers(0, fmt.element.code_count, shape, np.uint8)
    b = np.where(
        rng.random(shape) < 0.6, a, rng.integers(0, fmt.element.code_count, shape, np.uint8)
    )
    s = rng.integers(120, 124, (5, 3), np.uint8)
    t = s.copy()
    t[0, 1] += 1
    t[1, 2] -= 3
    s[2, 0], t[2, 0] = 0xFF, 0xFF
    t[3, 0] = 0xFF
    s[4, 2] = 0xFF
    d = diff((a, s), (b, t), name)
    check(d, a, b, s, t, fmt.element)
    assert d.scale_counts == (("scales", int(np.count_nonzero(s != t)), 15),)
    values = [mxref.MXArray(*each, name).dequantize() for each in ((a, s), (b, t))]
    for place in d.places(10**6):
        for side, value in zip((place.a, place.b), values, strict=True):
            if not side.value.startswith("~") and "*" not in side.value and "^" not in side.value:
                assert repr(float(side.value)) == repr(float(value[place.index]))
    whole = d.tally.classes.sum()
    assert whole == a.size


def test_scale_up_and_codes_halved_is_the_same_value():
    x = np.array([[1.0, 2.0, -3.0, 0.5] * 8], np.float32)
    a = mxref.quantize(x, "mxfp8_e4m3")
    b = mxref.quantize(x, "mxfp8_e4m3", policy="ocp:scale_rule=plus-one")
    d = diff(a, b)
    assert d.scale_counts == (("scales", 1, 1),)
    assert d.kinds["same-value"] == d.count == 32
    assert d.farthest is None
    assert "same value, other bits" in str(d)
    assert not diff(a.dequantize(), b.dequantize())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_counts_sum_up_whatever_the_shape(data):
    shape = tuple(data.draw(st.lists(st.integers(0, 7), min_size=1, max_size=3)))
    axis = data.draw(st.integers(0, len(shape) - 1))
    k = data.draw(st.sampled_from([1, 2, 3, 32]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    scales = (*shape[:axis], -(-shape[axis] // k), *shape[axis + 1 :])
    few = data.draw(st.integers(1, 8))
    a, b = (rng.integers(0, few, shape, np.uint8) for _ in "ab")
    s, t = (rng.integers(120, 120 + few, scales, np.uint8) for _ in "ab")
    d = diff((a, s), (b, t), "mxfp4", axis, block_size=k)
    wide = [np.repeat(x, k, axis) for x in (s, t)]
    cut = tuple(slice(0, n) for n in shape)
    other = wide[0][cut] != wide[1][cut]
    differs = (a != b) | other
    assert d.count == np.count_nonzero(differs) == sum(d.kinds.values())
    assert d.tally.kinds[1].sum() == np.count_nonzero(other)
    assert d.tally.codes == np.count_nonzero(a != b)
    assert d.tally.classes.sum() == a.size
    assert d.equal == (not differs.any() and np.array_equal(s, t))
    assert bool(d) != d.equal
    if differs.any():
        assert d.first.index == tuple(np.argwhere(differs)[0])
        first = d.first
        assert first.block == (
            *first.index[:axis],
            first.index[axis] // k,
            *first.index[axis + 1 :],
        )
        assert first.position == first.index[axis] % k
        assert sum(d.map.lanes) == d.count
    blocks = {(*i[:axis], i[axis] // k, *i[axis + 1 :]) for i in map(tuple, np.argwhere(differs))}
    assert d.tally.blocks == len(blocks)
    assert max(map(len, str(d).splitlines())) <= 80


def test_order_of_memory_does_not_matter():
    rng = np.random.default_rng(3)
    a, b = (rng.integers(0, 16, (64, 96), np.uint8) for _ in "ab")
    s = rng.integers(120, 130, (64, 3), np.uint8)
    plain = diff((a, s), (b, s), "mxfp4").to_dict()
    turned = [np.asfortranarray(x) for x in (a, s, b)]
    assert diff(tuple(turned[:2]), (turned[2], turned[1]), "mxfp4").to_dict() == plain
    q, r = mxref.MXArray(a, s, "mxfp4"), mxref.MXArray(b, s, "mxfp4")
    assert diff(q.T, r.T).kinds == diff(q, r).kinds


# --- relatives --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nvfp4", "mx9", "mx6", "mx4", "vsq4", "scaled_int8", "msfp12"])
def test_relatives(name):
    """Values agree with the decoders; scales count wherever they apply."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((4, 64)).astype(np.float32)
    a, b, c = (mxref.quantize(each, name, pad=True) for each in (x, x * 1.02, x))
    d = diff(a, b)
    assert not diff(a, c)
    factor = a.global_scale if name == "nvfp4" else 1
    for place in d.places(40):
        expected = float(a.dequantize()[place.index])
        codes = [np.array([side.code], d.pair.a.dtype) for side in (place.a, place.b)]
        where = np.array([place.flat])
        got = judge(d.pair.line, d._scaling, where, *codes).values[0][0]  # before float32
        assert np.float32(got * float(factor)) == np.float32(expected)
    if name == "nvfp4":
        assert d.pair.global_scales[0] != d.pair.global_scales[1]
        assert "elements are compared without" in str(d)
    if name.startswith("mx"):
        assert [part[0] for part in d.scale_counts] == ["scales", "subscales"]
        assert d.scale_counts[1][1] == np.count_nonzero(a.subscales != b.subscales)


def test_nvfp4_that_differs_in_the_global_scale_only():
    q = mxref.quantize(np.ones((1, 16), np.float32), "nvfp4")
    other = mxref.nvfp4.NVFP4Array(q.codes, q.scales, float(q.global_scale) * 2)
    d = diff(q, other)
    assert (d.count, d.equal, bool(d), d.first) == (0, False, True, None)
    assert "global" in str(d)


# --- numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
def test_numbers(dtype):
    info = ml_dtypes.finfo(dtype)
    tiny, top = float(info.smallest_subnormal), float(info.max)
    pairs = [
        (1.0, 1.0, None, 0),
        (0.0, -0.0, "zero-sign", 0),
        (math.nan, 1.0, "nan", 0),
        (math.inf, 1.0, "inf", 0),
        (math.inf, -math.inf, "sign", 0),
        (tiny, -tiny, "sign", 2),
        (0.0, tiny, "ulp-1", 1),
        (1.0, 1.0 + float(info.eps), "ulp-1", 1),
        (1.0, 1.0 - float(info.eps), "more", 2),
        (0.0, 2 * tiny, "zero", 2),
        (top, 1.0, "saturated", None),
    ]
    a, b = (np.array([p[i] for p in pairs], dtype) for i in (0, 1))
    d = diff(a, b)
    for i, (x, y, kind, ulps) in enumerate(pairs):
        place = d.at(i)
        assert place.kind == kind, (x, y)
        if ulps is not None:
            assert place.ulps == ulps
    assert d.pair.name == np.dtype(dtype).name
    assert d.count == len(pairs) - 1
    assert not diff(a, a.copy())


def test_payloads_of_nan_are_bits():
    a = np.array([0x7FC00000, 0x7F800001], np.uint32).view(np.float32)
    b = np.array([0x7FC00000, 0xFFC00000], np.uint32).view(np.float32)
    d = diff(a, b)
    assert (d.count, d.kinds["nan-bits"]) == (1, 1)
    assert d.first.index == (1,)


def test_distances_of_float64_use_all_64_bits():
    d = diff(np.array([-1.7e308]), np.array([1.7e308]))
    bits = int(np.array([1.7e308]).view(np.uint64)[0])
    assert d.first.ulps == 2 * bits


def test_quantized_against_numbers():
    x = np.random.default_rng(0).standard_normal((2, 64)).astype(np.float32)
    q = mxref.quantize(x, "mxfp4")
    y = q.dequantize()
    assert not diff(q, y)
    assert not diff(y.astype(ml_dtypes.bfloat16), q)
    y[1, 5] = 99
    d = diff(q, y)
    assert (d.count, d.first.index, d.first.b.value) == (1, (1, 5), "99")
    assert "values of a (mxfp4) against b" in str(d)
    with pytest.raises(ValueError, match="cannot hold the values"):
        diff(mxref.MXArray(q.codes, np.full((2, 2), 250, np.uint8), "mxfp4"), y.astype(np.float16))


# --- what random arrays do not reach ------------------------------------------------------------


def test_bounds_of_the_histogram():
    line = np.arange(0, 12, dtype=np.uint8)  # positive codes of E4M3, in the order of values
    d = diff(np.zeros(12, np.uint8) + 20, line + 20, "e4m3")
    assert [(low, high, far) for low, high, _, _, far in histogram(d)] == [
        (1, 1, 1),
        (2, 2, 1),
        (3, 4, 2),
        (5, 8, 4),
        (9, 16, 3),
    ]
    back = diff(line + 20, np.zeros(12, np.uint8) + 20, "e4m3")
    assert [near for _, _, near, _, _ in histogram(back)] == [1, 1, 2, 4, 3]
    even = diff(np.uint8([0x01]), np.uint8([0x81]), "e4m3")
    assert [row[2:] for row in histogram(even)] == [(0, 1, 0)]


def test_nan_and_infinity_have_no_distance():
    d = diff(np.uint8([0x7F, 0x10]), np.uint8([0x7E, 0x13]), "e4m3")
    assert (d.farthest.index, d.farthest.ulps) == ((1,), 3)
    d = diff(np.uint8([0x7C, 0x10]), np.uint8([0x01, 0x13]), "e5m2")
    assert (d.farthest.index, d.farthest.ulps) == ((1,), 3)


def test_the_first_of_those_farthest_apart():
    """Element 0 has another scale, element 32 has not; both are 2 ulps apart."""
    a, b = np.zeros(64, np.uint8), np.zeros(64, np.uint8)
    a[32], b[32] = 0x08, 0x0A
    a[0] = 0x08
    b[0] = 0x06  # 6 steps of twice the size against 8: 2 steps of the larger
    d = diff((a, np.uint8([127, 127])), (b, np.uint8([128, 127])), "mxfp8_e4m3")
    assert (d.at(0).ulps, d.at(32).ulps) == (2, 2)
    assert d.farthest.index == (0,)


def test_scales_that_are_zero_or_have_a_sign_bit():
    codes = np.arange(16, dtype=np.uint8)
    zero = np.uint8([0])
    d = diff((codes, zero), (codes ^ 1, zero), "nvfp4")
    assert d.kinds["same-value"] == 16  # all of them are worth nothing
    d = diff((codes, zero), (codes ^ 8, zero), "nvfp4")
    assert d.kinds["zero-sign"] == 16
    q = mxref.nvfp4.NVFP4Array(codes, np.uint8([0xB8]))
    other = mxref.nvfp4.NVFP4Array(codes, np.uint8([0x38]))
    values = np.array_equal(q.dequantize(), other.dequantize())
    assert (diff(q, other).kinds["same-value"] == 16) == values


def test_narrow_scales_of_bdr_formats_have_a_nan():
    name = "bdr:m=3,k1=4,d1=4"
    a = np.array([1, 2, 3, 4], np.uint8)
    d = diff((a, np.uint8([15])), (a, np.uint8([7])), name)
    assert d.kinds["nan"] == 4
    q = mxref.bdr.BDRArray(a, np.uint8([15]), None, name)
    assert np.isnan(q.dequantize()).all()
    assert d.first.a.value == "nan"
    assert (
        float(d.first.b.value) == mxref.bdr.BDRArray(a, np.uint8([7]), None, name).dequantize()[0]
    )


def test_scales_and_sub_scales_both_count():
    """One block has another scale, one sub-block another shift: 16 and 2 elements."""
    codes = np.full(64, 3, np.uint8)
    scales, shifts = np.full(4, 127, np.uint8), np.zeros(32, np.uint8)
    other, shifted = scales.copy(), shifts.copy()
    other[1] += 1
    shifted[30] = 1
    d = diff((codes, scales, shifts), (codes, other, shifted), "mx6")
    assert d.scale_counts == (("scales", 1, 4), ("subscales", 1, 32))
    assert d.count == 18
    assert d.tally.kinds[1].sum() == 18
    assert [p.flat for p in d.places(100)] == [*range(16, 32), 60, 61]
    assert (d.at(60).a.value, d.at(60).b.value) == ("0.375", "0.1875")
