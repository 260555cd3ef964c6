from dataclasses import replace
from fractions import Fraction

import fused_oracle as oracle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxref
from mxref.formats import BLOCK_FORMATS, block_format
from mxref.kernels import sums_fused
from mxref.kernels.sums_fused import OUTPUTS
from mxref.matmul import Operands
from mxref.matmul.nvidia import ACCUMULATORS, INSTRUCTIONS, codes_of

NAMES = [one.name for one in INSTRUCTIONS]
BY_NAME = {one.name: one for one in INSTRUCTIONS}
MODELS = {model.name: model for model in ACCUMULATORS}
SCALED = {"nv-blackwell-mxf8f6f4", "nv-blackwell-mxf4"}
WORDS = {"float32": np.uint32, "float16": np.uint16}


def takes_scales(name):
    return name in SCALED or name.split("-")[2] in {"fp16", "bf16"}


def formats_for(name):
    if name == "nv-blackwell-mxf4":
        return ["mxfp4"]
    floats = [n for n in BLOCK_FORMATS if n != "mxint8"]
    return list(BLOCK_FORMATS) if name.split("-")[2] in {"fp16", "bf16"} else floats


def draw_operands(name, formats, seed, shape, spread, specials):
    """Codes of any kind, with zeros and subnormals well represented; scales that can be taken."""
    rng = np.random.default_rng(seed)
    m, k, n = shape
    made = []
    for rows, fmt_name in ((m, formats[0]), (n, formats[1])):
        fmt = block_format(fmt_name)
        codes = rng.integers(0, fmt.element.code_count, (rows, k)).astype(np.uint8)
        small = rng.integers(0, 4, codes.shape).astype(np.uint8)
        codes = np.where(rng.random(codes.shape) < rng.choice([0, 0.3, 0.9]), small, codes)
        if not specials:
            top = fmt.element.max_magnitude
            magnitude = np.minimum(codes & (fmt.element.sign_mask - 1), top)
            codes = ((codes & fmt.element.sign_mask) | magnitude).astype(np.uint8)
        limit = 0
        if takes_scales(name):
            e5m2 = fmt.element.name == "e5m2"
            most = 127 if name in SCALED else 108 if "bf16" in name else 0 if e5m2 else 2
            limit = min(spread, most)
        scales = 127 + rng.integers(-limit, limit + 1, (rows, -(-k // 32)))
        if specials and takes_scales(name) and rng.random() < 0.3:
            scales[0, 0] = 255
        made.append((codes, scales.clip(0, 255).astype(np.uint8), fmt))
    (a, sa, fa), (b, sb, fb) = made
    wide = rng.integers(-spread, spread + 1, (m, n)) if spread else np.zeros((m, n), np.int64)
    c = np.ldexp(rng.normal(size=(m, n)), wide).clip(-3e38, 3e38).astype(np.float32)
    if specials:
        c[rng.random(c.shape) < 0.2] = rng.choice([np.inf, -np.inf, np.nan, -0.0, 1e-44])
    return Operands(a, sa, b, sb, fa, fb, c)


def paired(operands):
    """The same products as pairs of rows."""
    m, n = operands.shape
    i, j = np.divmod(np.arange(m * n), n)
    return replace(
        operands,
        a_codes=operands.a_codes[i],
        a_scales=operands.a_scales[i],
        b_codes=operands.b_codes[j],
        b_scales=operands.b_scales[j],
        c=None if operands.c is None else operands.c.reshape(-1),
        is_paired=True,
    )


def value_of(x):
    x = float(x)
    if np.isnan(x):
        return oracle.NAN
    if x in (np.inf, -np.inf):
        return oracle.PLUS if x > 0 else oracle.MINUS
    return Fraction(x)


def expected(name, operands):
    o = operands
    m, n = o.shape
    addends = codes_of(o.c, BY_NAME[name].dtype)
    kind = WORDS[BY_NAME[name].dtype]
    real = addends.astype(kind).view(np.float32 if kind is np.uint32 else np.float16)
    return [
        oracle.dot(
            name,
            o.a_codes[i],
            o.a_scales[i],
            o.a_format,
            o.b_codes[j],
            o.b_scales[j],
            o.b_format,
            value_of(real[i, j]),
        )
        for i in range(m)
        for j in range(n)
    ]


def bits(array):
    return array.view(WORDS[str(array.dtype)])


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_an_instruction_is_its_description(name, data):
    formats = [data.draw(st.sampled_from(formats_for(name))) for _ in "ab"]
    shape = (2, data.draw(st.sampled_from([1, 15, 32, 33, 70, 130])), 2)
    spread = data.draw(st.sampled_from([0, 3, 12, 40, 127]))
    specials = data.draw(st.integers(0, 3)) == 0
    operands = draw_operands(
        name, formats, data.draw(st.integers(0, 1 << 20)), shape, spread, specials
    )
    model = MODELS[name]
    assert not model.refuses(operands)
    got = model.run(paired(operands))
    assert got.dtype == model.dtype
    assert [value_of(x) for x in got] == expected(name, operands)
    zeros = bits(got)[got == 0]
    assert not zeros.any(), "a zero is +0"
    nan = OUTPUTS["float16" if model.dtype == "float16" else "float32"].nan
    assert (bits(got)[np.isnan(got)] == nan).all()


DISTINCT = {one.rule: one.name for one in INSTRUCTIONS}


AGREE = [(name, True) for name in sorted(DISTINCT.values())]
AGREE += [(name, False) for name in ("nv-hopper-fp8", "nv-hopper-mma-fp8-f16", "nv-blackwell-mxf4")]


@pytest.mark.parametrize(("name", "specials"), AGREE)
def test_matrices_and_pairs_agree(name, specials):
    formats = (formats_for(name)[0], formats_for(name)[-1 if name in SCALED else 0])
    for seed, spread in ((1, 0), (2, 9), (3, 100 if name in SCALED else 2)):
        operands = draw_operands(name, formats, seed, (5, 75, 41), spread, specials)
        whole = MODELS[name].run(operands)
        single = MODELS[name].run(paired(operands))
        np.testing.assert_array_equal(bits(whole).reshape(-1), bits(single))


@pytest.mark.parametrize("name", ["nv-hopper-mma-fp8", "nv-blackwell-mxf4"])
def test_many_pairs_are_compiled(name, monkeypatch):
    operands = draw_operands(name, formats_for(name)[:1] * 2, 4, (5, 75, 15), 5, specials=True)
    few = MODELS[name].run(paired(operands))
    monkeypatch.setattr(sums_fused, "_FEW", 0)
    np.testing.assert_array_equal(bits(MODELS[name].run(paired(operands))), bits(few))


def test_threads_do_not_matter():
    operands = draw_operands(
        "nv-hopper-fp8", ("mxfp8_e4m3", "mxfp8_e5m2"), 5, (70, 96, 70), 9, False
    )
    got = MODELS["nv-hopper-fp8"].run(operands)  # 470,400 products: several threads
    for row in (0, 33, 69):
        few = replace(
            operands,
            a_codes=operands.a_codes[row : row + 1],
            a_scales=operands.a_scales[row : row + 1],
            c=operands.c[row : row + 1],
        )
        np.testing.assert_array_equal(MODELS["nv-hopper-fp8"].run(few)[0], got[row])


@pytest.mark.parametrize("shape", [(0, 32, 3), (3, 32, 0), (3, 0, 3), (0, 0, 0)])
@pytest.mark.parametrize("has_addend", [False, True])
def test_sizes_of_zero(shape, has_addend):
    operands = draw_operands("nv-hopper-bf16", ("mxfp4", "mxfp4"), 0, shape, 3, False)
    if not has_addend:
        operands = replace(operands, c=None)
    for name in ("nv-hopper-bf16", "nv-blackwell-mxf4", "nv-hopper-fp16-f16"):
        got = MODELS[name].run(operands)
        want = operands.c if has_addend else np.zeros(operands.shape)
        assert got.shape == operands.shape
        np.testing.assert_array_equal(got, want.astype(got.dtype))


def test_any_memory_layout():
    operands = draw_operands(
        "nv-hopper-fp8", ("mxfp8_e4m3", "mxfp8_e4m3"), 2, (6, 64, 35), 3, False
    )
    other = replace(
        operands,
        a_codes=np.asfortranarray(operands.a_codes),
        b_codes=np.repeat(operands.b_codes, 2, axis=1)[:, ::2],
        c=np.asfortranarray(operands.c),
    )
    model = MODELS["nv-hopper-fp8"]
    np.testing.assert_array_equal(model.run(other), model.run(operands))


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_an_addend_is_rounded_to_the_type_of_the_instruction(dtype):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    kind = np.dtype(ml_dtypes.bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    operands = draw_operands("nv-hopper-fp8", ("mxfp8_e4m3", "mxfp8_e4m3"), 2, (3, 32, 3), 3, False)
    operands = replace(operands, c=(operands.c + 1 / 3).astype(kind))
    for name in ("nv-hopper-fp8", "nv-hopper-fp8-f16"):
        model = MODELS[name]
        narrow = replace(operands, c=operands.c.astype(np.dtype(model.dtype)))
        np.testing.assert_array_equal(model.run(operands), model.run(narrow))


def ones(fmt, value_code, k, scale=127, rows=1):
    return (
        np.full((rows, k), value_code, np.uint8),
        np.full((rows, -(-k // 32)), scale, np.uint8),
        block_format(fmt),
    )


def single(name, a, b, c=None):
    addend = None if c is None else np.array([c], np.float32)
    operands = Operands(a[0], a[1], b[0], b[1], a[2], b[2], addend, is_paired=True)
    model = MODELS[name]
    assert not model.refuses(operands)
    return model.run(operands)[0]


def power(exponent):
    """The E5M2 code of a power of two."""
    return (exponent + 15) << 2


KEPT = {"volta": 23, "turing": 24, "ampere": 24, "ada": 24, "hopper": 25, "blackwell": 25}


@pytest.mark.parametrize("name", [n for n in NAMES if n != "nv-blackwell-mxf4"])
def test_bits_kept_below_the_largest_exponent(name):
    # 2^12 + 2^(12 - n) - 2^12: what is left of the middle one.
    kept = 13 if name[:-4] in {"nv-ada-fp8", "nv-hopper-fp8"} else KEPT[name.split("-")[1]]
    kept = 13 if name in {"nv-ada-fp8", "nv-hopper-fp8"} else kept
    last = 4 if "mma" in name else 2  # the third that the instruction takes
    for n, is_kept in ((kept, True), (kept + 1, False)):
        a, b = ones("mxfp8_e5m2", 0, 5), ones("mxfp8_e5m2", 0, 5)
        a[0][0, 0] = b[0][0, 0] = a[0][0, last] = power(6)
        b[0][0, last] = power(6) | 0x80
        a[0][0, 1], b[0][0, 1] = power(0), power(12 - n)
        assert single(name, a, b) == (2.0 ** (12 - n) if is_kept else 0)


@pytest.mark.parametrize(
    ("name", "sum_"),
    [("nv-ada-fp8", 2.0), ("nv-hopper-fp8", 2.0), ("nv-blackwell-fp8", 2 + 2.0**-13)],
)
def test_a_13_bit_sum_has_13_bits(name, sum_):
    a, b = ones("mxfp8_e4m3", 0x38, 3), ones("mxfp8_e4m3", 0x38, 3)
    a[0][0, 2], b[0][0, 2] = 0x08, 0x04  # 2^-6 and 2^-7
    assert float(single(name, a, b)) == sum_


@pytest.mark.parametrize(
    ("name", "steps"),
    [("nv-ampere-bf16", 1), ("nv-ada-bf16", 1), ("nv-hopper-bf16", 3), ("nv-blackwell-bf16", 3),
     ("nv-blackwell-mxf8f6f4", 0)],
)  # fmt: skip
def test_the_least_exponent_of_alignment(name, steps):
    # Products of 1.5 * 2^-152: their sum is a float32 if they are not cut off before.
    a = ones("mxfp8_e4m3", 0x3C, BY_NAME[name].rule.terms, 127 - 76)
    b = ones("mxfp8_e4m3", 0x38, BY_NAME[name].rule.terms, 127 - 76)
    assert float(single(name, a, b)) == steps * 2.0**-149


def test_a_zero_under_block_scales_has_an_exponent():
    # As MMA-Sim has it: 0 * 2^127 times 2^127 counts as 2^(254 - 126), far above an addend of 1.
    a, b = ones("mxfp8_e4m3", 0x00, 32, 254), ones("mxfp8_e4m3", 0x38, 32, 254)
    assert float(single("nv-blackwell-mxf8f6f4", a, b, 1.0)) == 0
    assert float(single("nv-blackwell-mxf8f6f4", ones("mxfp8_e4m3", 0x00, 32), b, 1.0)) == 1


def test_mxf4_takes_64_products_at_once():
    # 1 + 2^-30 - 1: in two steps of 32 the first would lose 2^-30.
    a, b = ones("mxfp4", 0x0, 64), ones("mxfp4", 0x2, 64)
    a[0][0, 0], a[0][0, 32] = 0x2, 0xA
    a[1][0, 0] = 127 - 30
    assert float(single("nv-blackwell-mxf4", a, b, 1.0)) == 2.0**-30


def test_each_addend_is_cut_off_by_itself():
    # Sixteen halves of the last kept bit are sixteen times nothing; the exact sum has eight.
    a = ones("mxfp8_e4m3", 0x38, 16)
    b = ones("mxfp8_e4m3", 0x38, 16)
    assert single("nv-hopper-bf16", a, b, 2.0**26) == 2.0**26
    assert single("nv-hopper-bf16", a, b, 2.0**25) == 2.0**25 + 16


def test_subnormals_keep_their_stored_exponent():
    # 2^-9 (E4M3, exponent field 0) is held as 0.125 * 2^-6: against 2^-9 * 2^5 it aligns at -6.
    a, b = ones("mxfp8_e4m3", 0x01, 1), ones("mxfp8_e4m3", 0x01, 1)
    side = mxref.matmul._hardware_operands.scaled_side(*a)
    assert (side.significands[0, 0], side.exponents[0, 0]) == (1, -6)
    # 2^-18 beside the exponent -12 keeps 13 bits below it: 2^-25; c = 2^-26 is lost, 2^-25 is not.
    assert single("nv-hopper-fp8", a, b, 2.0**-26) == 2.0**-18
    assert single("nv-hopper-fp8", a, b, 2.0**-25) == 2.0**-18 + 2.0**-25


def test_the_addend_of_an_emulated_instruction_comes_last():
    # 1 + 2^-24 * c: a fused sum cuts c off, an addition to nearest even sees it.
    a, b = ones("mxfp8_e4m3", 0x38, 1), ones("mxfp8_e4m3", 0x38, 1)
    assert single("nv-blackwell-fp8", a, b, 2.0**-24 * 1.5) == 1
    assert single("nv-blackwell-mma-fp8", a, b, 2.0**-24 * 1.5) == 1 + 2.0**-23


def test_overflow_is_infinity():
    a, b = ones("mxfp8_e5m2", 0x7B, 1, 254), ones("mxfp8_e5m2", 0x7B, 1, 254)
    assert single("nv-blackwell-mxf8f6f4", a, b) == np.inf
    a, b = ones("mxfp8_e5m2", 0x7B, 1), ones("mxfp8_e5m2", 0xFB, 1)
    assert single("nv-ada-fp8-f16", a, b) == -np.inf
    # An infinity stays, whatever follows; an infinity of the other sign makes a NaN.
    wide = ones("mxfp8_e5m2", 0x7B, 64)
    signs = ones("mxfp8_e5m2", 0x7B, 64)
    signs[0][0, 32:] = 0xFB
    assert single("nv-ada-fp8-f16", wide, signs) == np.inf
    signs[0][0, 40] = 0xFC
    assert bits(np.asarray(single("nv-ada-fp8-f16", wide, signs))) == 0x7FFF


def test_a_nan_scale_and_infinity_times_zero():
    a, b = ones("mxfp8_e5m2", 0x00, 32), ones("mxfp8_e5m2", 0x00, 32, 255)
    assert bits(np.asarray(single("nv-blackwell-mxf8f6f4", a, b))) == 0x7FFFFFFF
    b = ones("mxfp8_e5m2", 0x7C, 32)
    assert bits(np.asarray(single("nv-hopper-fp8", a, b))) == 0x7FFFFFFF


def test_groups_of_mxf4_are_exact():
    # 36 and -36 cancel in each 16 but the last, whose sum is -30: times 2^-60 in all. Sums that
    # are zero have the exponents of their scales all the same, and 2^0 is too far above.
    a, b = ones("mxfp4", 0x7, 64), ones("mxfp4", 0x7, 64)
    b[0][0, ::2] = 0xF
    a[0][0, 63] = 0x2
    a[1][0, 1] = b[1][0, 1] = 127 - 30
    assert float(single("nv-blackwell-mxf4", a, b)) == 0
    a[1][0, 0] = b[1][0, 0] = 127 - 30
    assert float(single("nv-blackwell-mxf4", a, b)) == -30 * 2.0**-60


REFUSED = {
    "block scales": ("nv-hopper-fp8", "mxfp8_e4m3", 128, "scale code 128; expected 127"),
    "an integer": ("nv-ada-fp8", "mxint8", 127, "FP6 or FP4) elements, and a is mxint8"),
    "an integer beside scales": ("nv-blackwell-mxf8f6f4", "mxint8", 127, "and a is mxint8"),
    "no E2M1": ("nv-blackwell-mxf4", "mxfp8_e4m3", 127, "takes E2M1 elements, and a is mxfp8_e4m3"),
    "a small block": ("nv-blackwell-mxf8f6f4", "mxfp4/16", 127, "of 16; expected a multiple"),
    "too large": ("nv-hopper-fp16", "mxfp8_e5m2", 128, "is no float16 number"),
    "too small": ("nv-hopper-bf16", "mxfp8_e5m2", 1, "is no bfloat16 number"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_what_was_given_and_expected(case):
    name, fmt_name, code, text = REFUSED[case]
    fmt = block_format(fmt_name)
    codes = np.arange(32, dtype=np.uint8)[None] | (0x70 if fmt.element.bits == 8 else 0)
    if case == "too small":
        codes[:] = 1
    scales = np.full((1, 32 // fmt.block_size), code, np.uint8)
    operands = Operands(codes, scales, codes, scales, fmt, fmt)
    reason = MODELS[name].refuses(operands)
    assert text in reason
    assert "expected" in reason or "takes every format" in reason


def test_far_scales_are_no_reason_to_refuse_what_fits():
    # 2^-133 is a bfloat16 number; the block holds nothing smaller although its format could.
    a, b = ones("mxfp8_e4m3", 0x38, 32, 127 - 127), ones("mxfp8_e4m3", 0x38, 32, 127)
    assert not MODELS["nv-hopper-bf16"].refuses(Operands(a[0], a[1], b[0], b[1], a[2], b[2]))
    assert float(single("nv-hopper-bf16", a, b)) == 32 * 2.0**-127


def test_every_model_has_a_name_and_says_where_it_is_from():
    assert mxref.matmul.accumulator("nv-ada-fp8") is MODELS["nv-ada-fp8"]
    assert len(ACCUMULATORS) == len(INSTRUCTIONS) == len(oracle.RULES)
    for model in ACCUMULATORS:
        assert model.source
        assert model.evidence
        assert model.text
