"""The models of AMD's instructions against slow ones, written from the description alone.

Those of CDNA1 and CDNA2 use the processor's own float32; that of CDNA3 uses fractions.
"""

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref.exact import element as exact_element
from mxref.exact.number import NumberClass
from mxref.formats import BLOCK_FORMATS, block_format
from mxref.matmul._operands import Operands
from mxref.matmul.amd import ACCUMULATORS

MODELS = {model.name: model for model in ACCUMULATORS}
TINY = 2.0**-126
QUIET = 0x7FC00000

# name -> significant bits, least and greatest exponent, infinities
TYPES = {
    "bf16": (8, -126, 127, True),
    "f16": (11, -14, 15, True),
    "fp8": (4, -7, 7, False),
    "bf8": (3, -15, 15, False),
}


def value_of(code, scale_code, fmt):
    """The float64 value of an element times its scale, or NaN or an infinity."""
    if scale_code == 255:
        return math.nan
    number = exact_element.decode(code, fmt.element)
    if number.cls is NumberClass.NAN:
        return math.nan
    if number.cls is NumberClass.INF:
        return -math.inf if number.sign else math.inf
    return math.ldexp(float(number.value), scale_code - 127)


def is_held(x, kind):
    digits, emin, emax, has_inf = TYPES[kind]
    if math.isnan(x) or x == 0:
        return True
    if math.isinf(x):
        return has_inf
    exponent = max(math.frexp(x)[1] - 1, emin)
    return (
        exponent <= emax and (Fraction(x) / Fraction(2) ** (exponent - digits + 1)).denominator == 1
    )


def matrix(codes, scales, fmt):
    return [
        [
            value_of(int(code), int(scales[i, k // fmt.block_size]), fmt)
            for k, code in enumerate(row)
        ]
        for i, row in enumerate(codes)
    ]


def bits_of(x):
    x = np.float32(x)
    return QUIET if np.isnan(x) else int(x.view(np.uint32))


# --- CDNA1 and CDNA2 -------------------------------------------------------------------------


def pairwise(a, b, c, kind, group, flush):
    def flushed(x):
        return np.float32(x * np.float32(0)) if flush and abs(x) < TINY else x

    def operand(x):
        return 0.0 if flush and abs(x) < 2.0 ** TYPES[kind][1] else x

    def tree(terms):
        if len(terms) == 1:
            return flushed(np.float32(np.float64(terms[0][0]) * np.float64(terms[0][1]) + 0.0))
        half = len(terms) // 2
        return flushed(np.float32(tree(terms[:half]) + tree(terms[half:])))

    terms = [(operand(x), operand(y)) for x, y in zip(a, b, strict=True)]
    terms += [(0.0, 0.0)] * (-len(terms) % group)
    total = np.float32(0) if flush and abs(c) < TINY and terms else np.float32(c)
    with np.errstate(all="ignore"):
        for start in range(0, len(terms), group):
            total = flushed(np.float32(total + tree(terms[start : start + group])))
    return bits_of(total)


# --- CDNA3 -----------------------------------------------------------------------------------


def split(x, emin):
    """Significand in [1, 2), or less if subnormal, and exponent; that of zero is -126."""
    if x == 0:
        return Fraction(0), -126
    exponent = max(math.frexp(x)[1] - 1, emin)
    return Fraction(x) / Fraction(2) ** exponent, exponent


def cut(x, places):
    return Fraction(math.trunc(x * 2**places), 2**places)


def down(x, places):
    return Fraction(math.floor(x * 2**places), 2**places)


def aligned_sum(products):
    lead = max(exponent for _, exponent in products)
    return sum(cut(s * Fraction(2) ** (e - lead), 24) for s, e in products), lead


def nearest_single(x):
    """RNE of a fraction, by its neighbours."""
    if x == 0:
        return np.float32(0)
    size = abs(x)
    exponent = max(math.frexp(float(size))[1] - 1, -126)
    while size >= Fraction(2) ** (exponent + 1):
        exponent += 1
    while size < Fraction(2) ** exponent and exponent > -126:
        exponent -= 1
    quantum = Fraction(2) ** (exponent - 23)
    rounded = round(size / quantum) * quantum  # Python rounds halves to even
    if rounded >= Fraction(2) ** 128:
        rounded = math.inf
    return np.float32(math.copysign(float(rounded), x))


def fused(a, b, c, kinds, group):
    """One step: up to `group` products and an addend, all finite or not."""
    c = float(c)
    products = [x * y for x, y in zip(a, b, strict=True)]
    specials = [p for p in [*products, c] if not math.isfinite(p)]
    if specials:
        return np.float32(sum(specials))
    large = {math.copysign(1, p) for p in products if abs(p) >= 2.0**128}
    if large:
        return np.float32(math.inf * sum(large) if len(large) == 1 else math.nan)
    emins = [TYPES[kind][1] for kind in kinds]
    terms = []
    for x, y in zip(a, b, strict=True):
        (sx, ex), (sy, ey) = split(x, emins[0]), split(y, emins[1])
        terms.append((sx * sy, ex + ey))
    own, exponent = split(c, -126)
    if group == 16:
        (even, e0), (odd, e1) = aligned_sum(terms[0::2]), aligned_sum(terms[1::2])
        top = max(e0, e1)
        total = down(even * Fraction(2) ** (e0 - top), 24) + down(
            odd * Fraction(2) ** (e1 - top), 24
        )
        lead = max(top, exponent)
        part = down(own * Fraction(2) ** (exponent - lead), 24) if exponent >= lead - 25 else 0
    else:
        total, top = aligned_sum(terms)
        lead = max(top, exponent)
        part = down(own * Fraction(2) ** (exponent - lead), 24)
    total = down(total * Fraction(2) ** (top - lead), 31)
    return nearest_single((total + part) * Fraction(2) ** lead)


def fused_dot(a, b, c, kinds, group):
    terms = [*zip(a, b, strict=True)]
    terms += [(0.0, 0.0)] * (-len(terms) % group)
    total = np.float32(c)
    with np.errstate(all="ignore"):
        for start in range(0, len(terms), group):
            chunk = terms[start : start + group]
            total = fused([x for x, _ in chunk], [y for _, y in chunk], total, kinds, group)
    return bits_of(total)


def kinds_of(name, formats):
    kind = name.rpartition("-")[2]
    if kind != "fp8":
        return [kind, kind]
    return ["bf8" if fmt.element.name == "e5m2" else "fp8" for fmt in formats]


def slow(name, a, b, c, kinds):
    match name.split("-")[1:]:
        case ["cdna1", "bf16"]:
            return pairwise(a, b, c, "bf16", 2, flush=False)
        case ["cdna1", kind]:
            return pairwise(a, b, c, kind, 4, flush=False)
        case ["cdna2", kind]:
            return pairwise(a, b, c, kind, 4, flush=True)
        case ["cdna3", "fp8"]:
            return fused_dot(a, b, c, kinds, 16)
    return fused_dot(a, b, c, kinds, 8)


# --- operands --------------------------------------------------------------------------------


def addend(rng, shape, how):
    if how == "none":
        return None
    if how == "wide":
        bits = rng.integers(0, 1 << 32, shape, np.uint32)
        c = bits.view(np.float32)
        return np.where(np.isfinite(c), c, np.float32(0))
    c = rng.standard_normal(shape).astype(np.float32)
    if how == "small":
        c *= np.float32(2.0**-130)
    if how == "special":
        c[rng.random(shape) < 0.4] = np.inf
        c[rng.random(shape) < 0.2] = -np.inf
        c[rng.random(shape) < 0.1] = np.nan
        c[rng.random(shape) < 0.2] = -0.0
    return c


def draw(seed, formats, k, shape, spread, specials, how, *, paired=False):
    rng = np.random.default_rng(seed)
    sides = []
    blocks = -(-k // 32)
    for fmt, rows in zip(formats, shape, strict=True):
        codes = rng.integers(0, fmt.element.code_count, (rows, k)).astype(np.uint8)
        magnitudes = codes & np.uint8(fmt.element.sign_mask - 1)
        if specials == "none":
            codes[magnitudes > fmt.element.max_magnitude] = 0
        elif specials == "inf" and fmt.element.nan_magnitudes:
            codes[magnitudes >= min(fmt.element.nan_magnitudes)] = 0
        codes[rng.random(codes.shape) < 0.1] = 0
        center = int(rng.integers(spread, 255 - spread)) if spread > 60 else 127
        low, high = max(0, center - spread), min(254, center + spread)
        scales = rng.integers(low, high + 1, (rows, blocks)).astype(np.uint8)
        if specials == "all":
            scales[rng.random(scales.shape) < 0.1] = 255
        sides.append((codes, scales))
    (a, a_scales), (b, b_scales) = sides
    c = addend(rng, (shape[0],) if paired else shape, how)
    return Operands(a, a_scales, b, b_scales, *formats, c, is_paired=paired)


def mend(operands, kinds):
    """Zeros in place of operands that the type of the instruction lacks."""
    arrays = []
    for codes, scales, fmt, kind in (
        (operands.a_codes, operands.a_scales, operands.a_format, kinds[0]),
        (operands.b_codes, operands.b_scales, operands.b_format, kinds[1]),
    ):
        values = matrix(codes, scales, fmt)
        fits = np.array([[is_held(x, kind) for x in row] for row in values]).reshape(codes.shape)
        arrays.append(np.where(fits, codes, 0).astype(np.uint8))
    return Operands(
        arrays[0],
        operands.a_scales,
        arrays[1],
        operands.b_scales,
        operands.a_format,
        operands.b_format,
        operands.c,
        operands.is_paired,
    )


def compare(name, operands):
    model = MODELS[name]
    formats = (operands.a_format, operands.b_format)
    kinds = kinds_of(name, formats)
    assert model.refuses(operands) == ""
    got = model.run(operands)
    assert got.dtype == np.float32
    assert got.shape == operands.shape
    a = matrix(operands.a_codes, operands.a_scales, formats[0])
    b = matrix(operands.b_codes, operands.b_scales, formats[1])
    c = np.zeros(operands.shape) if operands.c is None else operands.c
    if operands.is_paired:
        want = [slow(name, a[i], b[i], c[i], kinds) for i in range(len(a))]
    else:
        want = [
            [slow(name, x, y, c[i, j], kinds) for j, y in enumerate(b)] for i, x in enumerate(a)
        ]
    expected = np.array(want, np.uint32).reshape(operands.shape)
    wrong = np.argwhere(got.view(np.uint32) != expected)
    assert not wrong.size, (
        wrong[0],
        hex(int(got.view(np.uint32)[tuple(wrong[0])])),
        hex(int(expected[tuple(wrong[0])])),
    )


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    formats=st.tuples(*[st.sampled_from([*BLOCK_FORMATS.values()])] * 2),
    k=st.integers(1, 70),
    shape=st.sampled_from([(1, 1), (2, 3), (3, 1)]),
    spread=st.sampled_from([0, 3, 20, 62, 100]),
    specials=st.sampled_from(["none", "none", "inf", "all"]),
    how=st.sampled_from(["none", "usual", "wide", "small", "special"]),
)
def test_whole_products_equal_the_slow_model(name, seed, formats, k, shape, spread, specials, how):
    if "f16" in name.split("-") or "fp8" in name:
        spread = min(spread, 6)
    operands = mend(draw(seed, formats, k, shape, spread, specials, how), kinds_of(name, formats))
    compare(name, operands)


@pytest.mark.parametrize("name", MODELS)
def test_many_random_products(name):
    for seed, spelling in enumerate(("mxfp8_e4m3", "mxfp8_e5m2", "mxfp4")):
        formats = (block_format(spelling), block_format("mxfp8_e5m2"))
        operands = draw(seed, formats, 96, (2, 33), 2, "none", "usual")
        compare(name, mend(operands, kinds_of(name, formats)))


@pytest.mark.parametrize("name", ["amd-cdna1-bf16", "amd-cdna3-f16", "amd-cdna3-fp8"])
def test_panels_tile_edges_and_pairs(name):
    """More rows and columns than a panel, over several threads, agree with single rows."""
    formats = (block_format("mxfp4"), block_format("mxfp6_e2m3"))
    run = MODELS[name].run
    tall = draw(1, formats, 40, (300, 7), 0, "none", "usual")
    result = run(tall)
    for i in (0, 31, 32, 255, 256, 299):
        part = Operands(
            tall.a_codes[[i]],
            tall.a_scales[[i]],
            tall.b_codes,
            tall.b_scales,
            *formats,
            tall.c[[i]],
        )
        np.testing.assert_array_equal(run(part)[0], result[i])
    pairs = draw(2, formats, 40, (300, 300), 0, "none", "usual", paired=True)
    square = Operands(
        pairs.a_codes, pairs.a_scales, pairs.b_codes, pairs.b_scales, *formats, np.diag(pairs.c)
    )
    np.testing.assert_array_equal(run(pairs), np.diag(run(square)))


@pytest.mark.parametrize("name", MODELS)
def test_nothing_to_sum_gives_the_addend(name):
    fmt = block_format("mxfp4")
    empty = np.zeros((2, 0), np.uint8)
    operands = Operands(empty, empty, empty, empty, fmt, fmt)
    assert MODELS[name].refuses(operands) == ""
    np.testing.assert_array_equal(MODELS[name].run(operands), np.zeros((2, 2), np.float32))
    c = np.array([[1, 2], [3, 4]], ml_dtypes.bfloat16)
    operands = Operands(empty, empty, empty, empty, fmt, fmt, c)
    np.testing.assert_array_equal(MODELS[name].run(operands), c.astype(np.float32))
    none = np.zeros((0, 32), np.uint8)
    some = np.zeros((3, 32), np.uint8)
    operands = Operands(none, none[:, :1], some, some[:, :1], fmt, fmt)
    assert MODELS[name].run(operands).shape == (0, 3)


def one(fmt_a, a, fmt_b, b, scale_a=127, scale_b=127, c=None):
    """One dot product, of codes."""
    fmt_a, fmt_b = block_format(fmt_a), block_format(fmt_b)
    c = None if c is None else np.array([[c]])
    scales = [np.array([[code]], np.uint8) for code in (scale_a, scale_b)]
    a, b = (np.array([codes], np.uint8) for codes in (a, b))
    return Operands(a, scales[0], b, scales[1], fmt_a, fmt_b, c)


def test_operands_that_the_type_lacks_are_refused():
    refuses = MODELS["amd-cdna3-fp8"].refuses
    assert refuses(one("mxfp8_e4m3", [0x77], "mxfp8_e4m3", [0x77])) == ""  # 240
    assert "a[0, 1]" in refuses(one("mxfp8_e4m3", [0, 0x78], "mxfp8_e4m3", [0, 0]))  # 256
    assert "b[1, 0]" in refuses(one("mxfp8_e4m3", [0, 0], "mxfp8_e4m3", [0, 0x78]))
    assert "E5M2 FNUZ" in refuses(one("mxfp8_e5m2", [0x7C], "mxfp8_e4m3", [0]))  # infinity
    assert refuses(one("mxfp8_e4m3", [0x38], "mxfp8_e4m3", [0x38], scale_a=134)) == ""  # 2**7
    assert refuses(one("mxfp8_e4m3", [0x38], "mxfp8_e4m3", [0x38], scale_a=135))
    assert refuses(one("mxint8", [0x41], "mxint8", [1]))  # 65/64 has seven digits
    assert "float16" in MODELS["amd-cdna3-f16"].refuses(
        one("mxfp4", [7], "mxfp4", [7], scale_b=141)
    )
    assert MODELS["amd-cdna3-bf16"].refuses(one("mxfp4", [7], "mxfp4", [7], scale_b=252)) == ""
    assert MODELS["amd-cdna3-bf16"].refuses(one("mxfp4", [7], "mxfp4", [7], scale_b=253))


@pytest.mark.parametrize(
    ("generation", "expected"),
    [("cdna1", 2.0**-130), ("cdna2", 0.0), ("cdna3", 2.0**-130)],
)
def test_subnormal_results(generation, expected):
    operands = one("mxfp4", [2], "mxfp4", [2], scale_a=127 - 100, scale_b=127 - 30)
    assert MODELS[f"amd-{generation}-bf16"].run(operands)[0, 0] == expected


def test_cdna3_rounds_the_addend_down_and_fp8_drops_it():
    """A small negative addend costs the sum a place, unless FP8 leaves it out."""
    tiny = np.float32(-(2.0**-40))
    args = ("mxfp8_e4m3", [0x38], "mxfp8_e4m3", [0x38])  # 1 * 1
    assert MODELS["amd-cdna3-f16"].run(one(*args, c=tiny))[0, 0] == np.float32(1 - 2.0**-24)
    assert MODELS["amd-cdna3-fp8"].run(one(*args, c=tiny))[0, 0] == 1
    assert MODELS["amd-cdna1-f16"].run(one(*args, c=tiny))[0, 0] == 1


def test_cdna1_cancels_pairs_and_cdna3_cuts_what_is_small():
    """2**15 + 2**-14 - 2**15: alignment to the greatest exponent loses what pairs keep."""
    args = ("mxfp8_e5m2", [0x78, 0xF8, 0x04, 0], "mxfp8_e5m2", [0x3C, 0x3C, 0x3C, 0])
    assert MODELS["amd-cdna1-f16"].run(one(*args))[0, 0] == 2.0**-14
    assert MODELS["amd-cdna3-f16"].run(one(*args))[0, 0] == 0


def test_cdna3_keeps_31_bits_of_the_sum_below_a_leading_addend():
    half = [0x0C, 0x01]  # 2**-12 and 2**-16: their squares are half a place of 1, and 2**-32
    above = one("mxfp8_e5m2", half, "mxfp8_e5m2", half, c=np.float32(1))
    assert MODELS["amd-cdna3-f16"].run(above)[0, 0] == 1  # a tie, when the last bit is gone
    more = one("mxfp8_e5m2", half, "mxfp8_e5m2", [0x0C, 0x02], c=np.float32(1))  # and 2**-31
    assert MODELS["amd-cdna3-f16"].run(more)[0, 0] == np.float32(1 + 2.0**-23)


@pytest.mark.parametrize(("places", "expected"), [(25, 1 - 2.0**-24), (26, 1)])
def test_cdna3_fp8_leaves_out_addends_from_26_places_below(places, expected):
    c = np.float32(-(2.0**-places))
    operands = one("mxfp8_e4m3", [0x38], "mxfp8_e4m3", [0x38], c=c)
    assert MODELS["amd-cdna3-fp8"].run(operands)[0, 0] == np.float32(expected)


@pytest.mark.parametrize("first", [2, 3])  # 2**64 * 2**64, and 1.5 * 2**64 * 1.5 * 2**63
def test_cdna3_products_beyond_float32_are_infinities(first):
    """Though what is added next would bring the sum back."""
    b, scale_b = ([2, 1], 127 + 64) if first == 2 else ([3, 2], 127 + 63)
    beyond = one("mxfp4", [first, 0xA], "mxfp4", b, 127 + 64, scale_b)
    assert MODELS["amd-cdna3-bf16"].run(beyond)[0, 0] == np.inf
    below = one("mxfp4", [first, 0xA], "mxfp4", b, 127 + 63, scale_b)
    assert MODELS["amd-cdna3-bf16"].run(below)[0, 0] < np.inf


def test_cdna1_products_are_never_minus_zero():
    """They are fused additions of +0: even an addend of -0 becomes +0."""
    zeros = one("mxfp4", [0xA, 0xA], "mxfp4", [0, 0], c=np.float32(-0.0))
    assert MODELS["amd-cdna1-bf16"].run(zeros).view(np.uint32)[0, 0] == 0
