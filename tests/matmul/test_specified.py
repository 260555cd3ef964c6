"""The specified accumulators against slow ones, written from the texts over fractions alone."""

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref.formats import BLOCK_FORMATS, Kind, block_format
from mxref.matmul._operands import Operands
from mxref.matmul.specified import ACCUMULATORS

MODELS = {model.name: model for model in ACCUMULATORS}
RVBNA = {"riscv-rvbna": 4, "riscv-rvbna-n8": 8, "riscv-rvbna-n16": 16, "riscv-rvbna-n32": 32}
INF, NAN = math.inf, math.nan
QUIET = 0x7FC00000


def two(exponent):
    return Fraction(2) ** exponent


# --- numbers ---------------------------------------------------------------------------------


def read(code, element, *, has_specials=True):
    """(value, biased exponent as it is written, at least 1)."""
    if element.kind is Kind.FIXED:
        integer = code - 256 if code > 127 else code
        return Fraction(integer, 64), 1
    sign = -1 if code & element.sign_mask else 1
    magnitude = code & (element.sign_mask - 1)
    field, fraction = divmod(magnitude, 1 << element.mantissa_bits)
    if has_specials and magnitude in element.nan_magnitudes:
        return NAN, field
    if has_specials and magnitude == element.inf_magnitude:
        return sign * INF, field
    leading = 1 if field else 0
    scaled = leading + Fraction(fraction, 1 << element.mantissa_bits)
    return sign * scaled * two(max(field, 1) - element.bias), max(field, 1)


def single(bits):
    """A float32 as a fraction, or as a float that is not finite; the sign of zero is lost."""
    x = float(np.uint32(bits).view(np.float32))
    return Fraction(x) if math.isfinite(x) else x


def to_single(x, rounding):
    """Bits of a fraction, or of what is not finite, as float32."""
    if isinstance(x, float):
        return QUIET if math.isnan(x) else 0x7F800000 if x > 0 else 0xFF800000
    sign, size = (1 << 31 if x < 0 else 0), abs(x)
    if size == 0:
        return 0
    exponent = -126
    while size >= two(exponent + 1):
        exponent += 1
    steps = size / two(exponent - 23)
    whole = math.floor(steps)
    if rounding == "odd":
        whole |= whole != steps
    else:
        whole = round(steps)  # Python rounds halves to even
    # The exponents of bit patterns and of numbers run alike, through every carry.
    magnitude = whole + ((exponent + 126) << 23)
    return sign | min(magnitude, 0x7F800000)


def add(x, y):
    """The sum of two numbers, either of which may be infinite or NaN."""
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x + y
    return float(x if isinstance(x, float) else 0.0) + float(y if isinstance(y, float) else 0.0)


def times(x, y):
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x * y
    if x == 0 or y == 0:
        return NAN
    sign = (-1 if x < 0 else 1) * (-1 if y < 0 else 1)
    is_nan = any(isinstance(z, float) and math.isnan(z) for z in (x, y))
    return NAN if is_nan else sign * INF


def is_finite(x):
    return isinstance(x, Fraction)


# --- RISC-V ----------------------------------------------------------------------------------


def bulk(terms, elements, group):
    """One set: terms of (code, scale code) pairs."""
    q, g = 24, (group - 1).bit_length()
    products, references = [], []
    total_special = Fraction(0)
    for (a, scale_a), (b, scale_b) in terms:
        (x, ex), (y, ey) = read(a, elements[0]), read(b, elements[1])
        product = times(x, y)
        if not is_finite(product):
            total_special = add(total_special, product)
            continue
        if product == 0:
            continue
        shift = scale_a + scale_b - 254
        products.append(product * two(shift))
        references.append(ex - elements[0].bias + ey - elements[1].bias + shift)
    if not is_finite(total_special):
        return to_single(total_special, "odd")
    if not products:
        return 0
    # Two integer bits and q - 1 + g fractional ones, relative to the greatest exponent.
    place = two(max(references) - (q - 1 + g))
    total = 0
    for product in products:
        steps = abs(product) / place
        whole = math.floor(steps)
        whole |= whole != steps
        total += whole if product > 0 else -whole
    return to_single(total * place, "odd")


def slow_bulk(a, b, c, elements, _block, group):
    """Bits of a whole dot product."""
    terms = list(zip(a, b, strict=True))
    acc = to_single(single_of(c), "even")
    for start in range(0, len(terms), group):
        part = bulk(terms[start : start + group], elements, group)
        acc = to_single(add(single(acc), single(part)), "odd")
    return acc


# --- ACE -------------------------------------------------------------------------------------


def flush(bits):
    return bits & 0x80000000 if bits & 0x7FFFFFFF < 0x00800000 else bits


def ace_rounded(x):
    """24 digits, nearest even, whatever the exponent; then what is below 2**-126 is zero."""
    if x == 0:
        return 0
    sign, size = (1 << 31 if x < 0 else 0), abs(x)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    while size >= two(exponent + 1):
        exponent += 1
    while size < two(exponent):
        exponent -= 1
    rounded = round(size / two(exponent - 23)) * two(exponent - 23)
    return sign | (0 if rounded < two(-126) else to_single(rounded, "even"))


def slow_ace(a, b, c, elements, _block, _group):
    terms = list(zip(a, b, strict=True))
    acc = c_bits(c)
    for start in range(0, len(terms), 4):
        total = Fraction(0)
        for (x, _), (y, _) in terms[start : start + 4]:
            total += (
                read(x, elements[0], has_specials=False)[0]
                * read(y, elements[1], has_specials=False)[0]
            )
        (_, scale_a), (_, scale_b) = terms[start]
        part = ace_rounded(total * two(scale_a + scale_b - 254))
        old = flush(acc)
        acc = flush(to_single(add(single(old), single(part)), "even"))
        if acc == 0 and old & part & 0x80000000:
            acc = 0x80000000  # -0 + -0
    return acc


# --- P3109 -----------------------------------------------------------------------------------


def slow_p3109(a, b, c, elements, block, _group):
    terms = list(zip(a, b, strict=True))
    acc = to_single(single_of(c), "even")
    for start in range(0, len(terms), block):
        total = Fraction(0)
        for (x, scale_a), (y, scale_b) in terms[start : start + block]:
            product = times(read(x, elements[0])[0], read(y, elements[1])[0])
            total = add(total, times(product, two(scale_a + scale_b - 254)))
        acc = to_single(add(single(acc), single(to_single(total, "even"))), "even")
    return acc


# --- comparison ------------------------------------------------------------------------------


def c_bits(c):
    return int(np.float32(c).view(np.uint32))


def single_of(c):
    return single(c_bits(c))


def slow(name, operands, i, j):
    block, elements = operands.block, (operands.a_format.element, operands.b_format.element)
    sides = []
    has_nan = False
    for codes, scales, element in (
        (operands.a_codes[i], operands.a_scales[i], elements[0]),
        (operands.b_codes[j], operands.b_scales[j], elements[1]),
    ):
        sides.append([(int(x), int(scales[k // block])) for k, x in enumerate(codes)])
        values = [read(int(x), element)[0] for x in codes]
        has_nan |= bool((scales == 255).any())
        if name != "x86-ace":
            has_nan |= any(isinstance(x, float) and math.isnan(x) for x in values)
    index = (i,) if operands.is_paired else (i, j)
    c = np.float32(0) if operands.c is None else np.float32(operands.c[index])
    if has_nan or np.isnan(c):
        return QUIET
    run = slow_ace if name == "x86-ace" else slow_p3109 if name not in RVBNA else slow_bulk
    if not operands.k:
        return c_bits(c)
    return run(*sides, c, elements, block, RVBNA.get(name))


def draw(seed, formats, k, shape, spread, specials, how, *, paired=False):
    rng = np.random.default_rng(seed)
    sides = []
    blocks = -(-k // formats[0].block_size)
    for fmt, rows in zip(formats, shape, strict=True):
        codes = rng.integers(0, fmt.element.code_count, (rows, k)).astype(np.uint8)
        magnitudes = codes & np.uint8(fmt.element.sign_mask - 1)
        if specials == "none" and fmt.element.kind is Kind.FLOAT:
            codes[magnitudes > fmt.element.max_magnitude] = 0
        elif specials == "inf" and fmt.element.nan_magnitudes:
            codes[magnitudes >= min(fmt.element.nan_magnitudes)] = 0
        codes[rng.random(codes.shape) < 0.1] = 0
        center = int(rng.integers(0, 255)) if spread > 60 else 127
        low, high = max(0, center - spread), min(254, center + spread)
        scales = rng.integers(low, high + 1, (rows, blocks)).astype(np.uint8)
        if specials == "all":
            scales[rng.random(scales.shape) < 0.1] = 255
        sides.append((codes, scales))
    (a, a_scales), (b, b_scales) = sides
    if k and rng.random() < 0.3:  # a side that cancels
        a[:, k // 2 :] = a[:, : k - k // 2]
        b[:, k // 2 :] = b[:, : k - k // 2] ^ np.uint8(formats[1].element.sign_mask)
    shape = (shape[0],) if paired else shape
    c = None
    if how == "wide":
        c = rng.integers(0, 1 << 32, shape, np.uint32).view(np.float32)
        c = np.where(np.isfinite(c), c, np.float32(0))
    elif how != "none":
        c = rng.standard_normal(shape).astype(np.float32)
        if how == "small":
            c *= np.float32(2.0**-130)
        if how == "special":
            c[rng.random(shape) < 0.4] = np.inf
            c[rng.random(shape) < 0.2] = -np.inf
            c[rng.random(shape) < 0.1] = np.nan
            c[rng.random(shape) < 0.2] = -0.0
    return Operands(a, a_scales, b, b_scales, *formats, c, is_paired=paired)


def compare(name, operands):
    model = MODELS[name]
    assert model.refuses(operands) == ""
    got = model.run(operands)
    assert got.dtype == np.float32
    assert got.shape == operands.shape
    if operands.is_paired:
        want = [slow(name, operands, i, i) for i in range(operands.shape[0])]
    else:
        m, n = operands.shape
        want = [[slow(name, operands, i, j) for j in range(n)] for i in range(m)]
    expected = np.array(want, np.uint32).reshape(operands.shape)
    wrong = np.argwhere(got.view(np.uint32) != expected)
    assert not wrong.size, (
        wrong[0],
        hex(int(got.view(np.uint32)[tuple(wrong[0])])),
        hex(int(expected[tuple(wrong[0])])),
    )


FORMATS = st.tuples(*[st.sampled_from([*BLOCK_FORMATS.values()])] * 2)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    formats=FORMATS,
    k=st.integers(1, 70),
    shape=st.sampled_from([(1, 1), (2, 3), (3, 1)]),
    spread=st.sampled_from([0, 3, 20, 62, 127]),
    specials=st.sampled_from(["none", "none", "inf", "all"]),
    how=st.sampled_from(["none", "usual", "wide", "small", "special"]),
)
def test_whole_products_equal_the_slow_model(name, seed, formats, k, shape, spread, specials, how):
    operands = draw(seed, formats, k, shape, spread, specials, how)
    if not MODELS[name].refuses(operands):
        compare(name, operands)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("spelling", ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp4"])
def test_many_random_products(name, spelling):
    formats = (block_format(spelling), block_format("mxfp8_e5m2"))
    compare(name, draw(7, formats, 96, (2, 33), 2, "none", "usual"))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("block", [4, 16, 100])
def test_other_block_sizes(name, block):
    formats = (block_format("mxfp8_e5m2", block), block_format("mxfp8_e5m2", block))
    compare(name, draw(block, formats, 150, (2, 3), 20, "inf", "usual"))
    compare(name, draw(block, formats, 150, (3, 3), 20, "none", "usual", paired=True))


@pytest.mark.parametrize("name", ["riscv-rvbna", "x86-ace", "p3109-block-dot"])
def test_panels_tile_edges_and_pairs(name):
    """More rows and columns than a panel, over several threads, agree with single rows."""
    formats = (block_format("mxfp4"), block_format("mxfp6_e2m3"))
    run = MODELS[name].run
    tall = draw(1, formats, 40, (300, 7), 20, "none", "usual")
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
    pairs = draw(2, formats, 40, (300, 300), 20, "none", "usual", paired=True)
    square = Operands(
        pairs.a_codes, pairs.a_scales, pairs.b_codes, pairs.b_scales, *formats, np.diag(pairs.c)
    )
    np.testing.assert_array_equal(run(pairs), np.diag(run(square)))


@pytest.mark.parametrize("name", MODELS)
def test_nothing_to_sum_gives_the_addend(name):
    fmt = block_format("mxfp4")
    empty = np.zeros((2, 0), np.uint8)
    operands = Operands(empty, empty, empty, empty, fmt, fmt)
    np.testing.assert_array_equal(MODELS[name].run(operands), np.zeros((2, 2), np.float32))
    c = np.array([[1, 2], [3, 4]], ml_dtypes.bfloat16)
    operands = Operands(empty, empty, empty, empty, fmt, fmt, c)
    np.testing.assert_array_equal(MODELS[name].run(operands), c.astype(np.float32))
    none, some = np.zeros((0, 32), np.uint8), np.zeros((3, 32), np.uint8)
    operands = Operands(none, none[:, :1], some, some[:, :1], fmt, fmt)
    assert MODELS[name].run(operands).shape == (0, 3)


def one(fmt_a, a, fmt_b, b, scale_a=127, scale_b=127, c=None):
    """One dot product, of codes."""
    fmt_a, fmt_b = block_format(fmt_a), block_format(fmt_b)
    c = None if c is None else np.array([[c]])
    scales = [np.array([[code]], np.uint8) for code in (scale_a, scale_b)]
    a, b = (np.array([codes], np.uint8) for codes in (a, b))
    return Operands(a, scales[0], b, scales[1], fmt_a, fmt_b, c)


def result(name, operands):
    return MODELS[name].run(operands)[0, 0]


def test_rvbna_jams_what_it_shifts_out():
    """2**15 * 2**15 + 2**-14 * 2**-14: the small product becomes one odd bit of the large one."""
    operands = one("mxfp8_e5m2", [0x78, 0x04], "mxfp8_e5m2", [0x78, 0x04])
    assert result("riscv-rvbna", operands).view(np.uint32) == 0x4E800001
    assert result("p3109-block-dot", operands) == 2.0**30


def test_rvbna_rounds_each_addition_to_odd_and_overflows_to_infinity():
    operands = one("mxfp4", [2], "mxfp4", [2], c=np.float32(2.0**30))
    assert result("riscv-rvbna", operands).view(np.uint32) == 0x4E800001
    largest = np.float32(np.finfo(np.float32).max)
    assert result("riscv-rvbna", one("mxfp4", [2], "mxfp4", [2], c=largest)) == largest
    big = one("mxfp4", [7], "mxfp4", [7], 250, 127 + 5, c=largest)
    assert result("riscv-rvbna", big) == np.inf


def test_rvbna_reads_the_written_exponents():
    """A product of subnormals leads with its written exponent, and costs the others places."""
    lead = one("mxfp8_e5m2", [0x01, 0x01], "mxfp8_e5m2", [0x01, 0x81])
    assert result("riscv-rvbna", lead).view(np.uint32) == 0  # always +0


def test_ace_has_no_subnormals_and_no_special_elements():
    tiny = one("mxfp4", [2], "mxfp4", [2], 127 - 100, 127 - 30)
    assert result("x86-ace", tiny).view(np.uint32) == 0
    assert result("p3109-block-dot", tiny) == 2.0**-130
    beside = one("mxfp4", [2], "mxfp4", [2], 127 - 100, 127 - 26, c=np.float32(2.0**-127))
    assert result("x86-ace", beside) == 2.0**-126
    assert result("p3109-block-dot", beside) == 1.5 * 2.0**-126
    assert result("x86-ace", one("mxfp8_e4m3", [0x7F], "mxfp8_e4m3", [0x38])) == 480
    assert result("x86-ace", one("mxfp8_e5m2", [0x7C], "mxfp8_e4m3", [0x38])) == 65536
    of_nan = one("mxfp8_e4m3", [0x38], "mxfp8_e4m3", [0x38], scale_a=255)
    assert result("x86-ace", of_nan).view(np.uint32) == QUIET


def test_ace_rounds_once_after_scaling():
    """(1 - 2**-24) * 2**-126 has 24 digits, and is flushed; with 23 it would be 2**-126."""
    step = one("mxfp8_e5m2", [0x78, 0x18], "mxfp8_e5m2", [0x3C, 0xBC], 127 - 126, 127 - 15)
    assert result("x86-ace", step).view(np.uint32) == 0
    assert result("p3109-block-dot", step) == 2.0**-126
    # One digit more, and it is rounded up before anything is flushed.
    more = one("mxfp8_e5m2", [0x78, 0x14], "mxfp8_e5m2", [0x3C, 0xBC], 127 - 126, 127 - 15)
    assert result("x86-ace", more) == 2.0**-126


def test_ace_refuses_what_it_has_no_instruction_for():
    refuses = MODELS["x86-ace"].refuses
    assert "INT8" in refuses(one("mxint8", [1], "mxfp8_e4m3", [1]))
    assert refuses(one("mxint8", [1], "mxint8", [1])) == ""
    odd = block_format("mxfp4", 6)
    codes, scales = np.zeros((1, 12), np.uint8), np.zeros((1, 2), np.uint8)
    assert "blocks of 6" in refuses(Operands(codes, scales, codes, scales, odd, odd))


def test_p3109_refuses_blocks_that_two_limbs_cannot_sum():
    fmt = block_format("mxfp8_e5m2", 1 << 15)
    codes, scales = np.zeros((1, 4), np.uint8), np.zeros((1, 1), np.uint8)
    assert "16384" in MODELS["p3109-block-dot"].refuses(
        Operands(codes, scales, codes, scales, fmt, fmt)
    )


def test_p3109_rounds_once_a_block():
    """1 + 2**-24 + 2**-24 in one block is 1 + 2**-23; in two blocks it is 1."""
    a = np.zeros((1, 64), np.uint8)
    a[0, :3] = (0x3C, 0x04, 0x04)  # 1, 2**-14, 2**-14
    b = np.zeros((1, 64), np.uint8)
    b[0, :3] = (0x3C, 0x14, 0x14)  # 1, 2**-10, 2**-10
    fmt, ones = block_format("mxfp8_e5m2"), np.full((1, 2), 127, np.uint8)
    together = Operands(a, ones, b, ones, fmt, fmt)
    assert result("p3109-block-dot", together) == np.float32(1 + 2.0**-23)
    a[0, 33], a[0, 1], b[0, 33], b[0, 1] = a[0, 1], 0, b[0, 1], 0
    apart = Operands(a, ones, b, ones, fmt, fmt)
    assert result("p3109-block-dot", apart) == 1
