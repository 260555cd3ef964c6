"""The page's arithmetic against the package, bit for bit, in a browser.

Expected results come from the kernels (and are the definition's, which other tests hold equal).
Each test names the first mismatch.
"""

import base64
import dataclasses
import itertools
import json
from fractions import Fraction

import numpy as np
import pytest

import mxref
from mxref.exact import element as exact_element
from mxref.exact import ieee
from mxref.exact import scale as exact_scale
from mxref.exact.number import Number
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, SCALE_FORMATS
from mxref.policy import PROFILES, Policy, get_policy
from mxref.show._facts import class_name
from mxref.show._input import read_number
from mxref.show._text import decimal, joined, powers, short

pytestmark = pytest.mark.browser

CHOICES = {f.name: [m.value for m in type(f.default)] for f in dataclasses.fields(Policy)}
ROUNDINGS = CHOICES["rounding"]
RULES = CHOICES["scale_rule"]
PER_GROUP = 850  # 120 groups of encodes: 10^5 in all
BLOCKS_PER_GROUP = 24
SPECIAL = (0x0, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7FA00000, 0xFFE00001)
SPECIAL += (0x1, 0x80000001, 0x7FFFFF, 0x800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x3F800000, 0x7FFFFFFF)

HARNESS = """
globalThis.bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
globalThis.wordsOf = (text) => new Uint32Array(bytesOf(text).buffer);
globalThis.checkEncodes = (format, changes, inputs, randoms, expected) => {
  const policy = { ...OCP, ...changes };
  const words = wordsOf(inputs), draws = wordsOf(randoms), codes = bytesOf(expected);
  for (let i = 0; i < words.length; i += 1) {
    const number = fromBits(BigInt(words[i]), "float32");
    const got = ELEMENTS[format]
      ? encodeElement(number, ELEMENTS[format], policy, { random: draws[i] })
      : encodeScale(number, policy);
    if (got !== codes[i]) return { i, bits: hex(words[i], 32), got, expected: codes[i] };
  }
  return words.length;
};
globalThis.checkBlocks = (format, changes, inputs, scaleRandoms, codes, scales) => {
  const policy = { ...OCP, ...changes };
  const words = wordsOf(inputs), draws = wordsOf(scaleRandoms);
  const expected = bytesOf(codes), expectedScales = bytesOf(scales);
  for (let b = 0; b < expectedScales.length; b += 1) {
    const part = [...words.slice(32 * b, 32 * b + 32)];
    const numbers = part.map((word) => fromBits(BigInt(word), "float32"));
    const got = quantizeBlock(numbers, BLOCKS[format], policy, { scaleRandom: draws[b] });
    const at = got.codes.findIndex((code, i) => code !== expected[32 * b + i]);
    if (got.scaleCode !== expectedScales[b] || at >= 0) {
      return { b, at, block: part.map((word) => hex(word, 32)), scale: got.scaleCode,
               expectedScale: expectedScales[b], code: got.codes[at],
               expected: expected[32 * b + at] };
    }
  }
  return expectedScales.length;
};
"""


@pytest.fixture(scope="module")
def harness(chromium, page_url):
    """The page, opened once: nothing in here changes what it shows."""
    chromium.open(page_url)
    chromium.evaluate(HARNESS)
    return chromium


def packed(array, dtype):
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode()


def words_near(name, rng, count):
    """Float32 patterns that matter for a format: values, midpoints and what lies beside them."""
    fmt = ELEMENT_FORMATS[name]
    places = rng.integers(0, fmt.max_magnitude + 1, count)
    grid = np.array(
        [float(exact_element.decode(m, fmt).magnitude) for m in range(fmt.max_magnitude + 1)]
        + [float(fmt.max + exact_element.quantum(fmt.max, fmt))]
    )
    share = rng.choice([0, 0.25, 0.5, 0.75, 1], count)
    values = (grid[places] + share * (grid[places + 1] - grid[places])).astype(np.float32)
    near = values.view(np.uint32) + rng.integers(-1, 2, count).astype(np.int64)
    near = np.where(near < 0, 0, near).astype(np.uint32)
    near |= rng.integers(0, 2, count, dtype=np.uint32) << np.uint32(31)
    wild = rng.integers(0, 2**32, count, dtype=np.uint32)
    words = np.where(rng.random(count) < 0.8, near, wild)
    words[: len(SPECIAL)] = SPECIAL
    return words


def some_policy(rng, names, **fixed):
    """Fixed choices, and for each other name now and then one that is not the default."""
    changes = dict(fixed)
    for name in names:
        if name not in changes and rng.random() < 0.4:
            changes[name] = str(rng.choice([c for c in CHOICES[name] if c != "raise"]))
    return changes


def policy_of(changes):
    return Policy().replace(**changes)


ELEMENT_FIELDS = ("nan_element", "nan_payload", "neg_zero", "int8_min", "scaled_intermediate")
ELEMENT_FIELDS += ("input_subnormal", "element_subnormal", "relu")
SCALE_FIELDS = ("scale_log2", "scale_quotient", "scale_amax", "scale_zero_block", "scale_nan")
SCALE_FIELDS += ("scale_inf", "scale_above", "scale_below", "scale_subnormal")
CAST_FIELDS = tuple(name for name in CHOICES if name.startswith("e8m0_"))


def test_every_code_of_every_format_is_decoded_alike(harness):
    got = harness.evaluate("""
      Object.fromEntries([...Object.values(ELEMENTS), E8M0].map((fmt) => [fmt.name,
        Array.from({ length: 1 << fmt.bits }, (_, code) =>
          [numberString(decodeAny(code, fmt)), className(code, fmt),
           hex(toBits(decodeAny(code, fmt), "float32", OCP), 32)])]))
    """)
    assert set(got) == {*ELEMENT_FORMATS, *SCALE_FORMATS}
    for name, rows in got.items():
        fmt = ELEMENT_FORMATS.get(name) or SCALE_FORMATS[name]
        codes = np.arange(fmt.code_count, dtype=np.uint8)
        bits = mxref.decode(codes, name).view(np.uint32)
        layer = exact_element if name in ELEMENT_FORMATS else exact_scale
        exact = [str(layer.decode(code, fmt)) for code in range(fmt.code_count)]
        classes = [class_name(code, fmt) for code in range(fmt.code_count)]
        want = [list(row) for row in zip(exact, classes, (f"0x{b:08x}" for b in bits), strict=True)]
        assert rows == want, name


@pytest.mark.parametrize("name", ELEMENT_FORMATS)
def test_encodes_agree_under_every_rounding_and_overflow(harness, name):
    rng = np.random.default_rng([1, *name.encode()])
    fmt, count = ELEMENT_FORMATS[name], 0
    overflows = CHOICES["fp8_overflow"] if fmt.is_fp8 else ["saturate"]
    for rounding, overflow in itertools.product(ROUNDINGS, overflows):
        fixed = {"rounding": rounding, "fp8_overflow": overflow, "inf_element": "clamp"}
        changes = some_policy(rng, (*ELEMENT_FIELDS, "stochastic_bits"), **fixed)
        words = words_near(name, rng, PER_GROUP)
        width = int(policy_of(changes).stochastic_bits)
        draws = rng.integers(0, 2**width, PER_GROUP, dtype=np.uint32)
        random = {"random": draws} if rounding.startswith("stochastic") else {}
        codes = mxref.encode(words.view(np.float32), name, policy_of(changes), **random)
        parts = (packed(words, "<u4"), packed(draws, "<u4"), packed(codes, "u1"))
        found = harness.call("checkEncodes", name, changes, *parts)
        assert found == PER_GROUP, (name, changes, found)
        count += found
    assert count == PER_GROUP * len(ROUNDINGS) * len(overflows)


def test_casts_to_e8m0_agree_under_every_policy(harness):
    rng = np.random.default_rng(2)
    for rounding in CHOICES["e8m0_rounding"] * 10:
        changes = some_policy(rng, CAST_FIELDS, e8m0_rounding=rounding)
        words = rng.integers(0, 2**32, 300, dtype=np.uint32)
        words[::3] &= np.uint32(0xFFC00000)  # powers of two and ties
        words[1::5] &= np.uint32(0x807FFFFF)  # subnormals
        words[: len(SPECIAL)] = SPECIAL
        codes = mxref.encode(words.view(np.float32), "e8m0", policy_of(changes))
        parts = (packed(words, "<u4"), packed(words, "<u4"), packed(codes, "u1"))
        found = harness.call("checkEncodes", "e8m0", changes, *parts)
        assert found == len(words), (changes, found)


def blocks(rng, name, count):
    """Blocks of all magnitudes, next to where rules step, and with a special now and then."""
    fmt = ELEMENT_FORMATS[name]
    exponents = rng.integers(-149, 128, count)
    exponents[::4] = rng.integers(-6, 6, len(exponents[::4]))
    x = rng.standard_normal((count, 32)) * np.exp2(rng.integers(-6, 1, (count, 32)))
    x /= np.abs(x).max(axis=1, keepdims=True)
    tops = [1, 1.25, 1.5, np.sqrt(2), float(fmt.max / Fraction(2) ** fmt.emax), 2 - 2**-23]
    top = rng.choice([*tops, *(2 - 2.0**-k for k in range(2, 9))], count)
    x *= (top * np.exp2(exponents.astype(float)))[:, None]
    words = x.astype(np.float32).view(np.uint32)
    words[1::6, 3] = rng.choice(SPECIAL, len(words[1::6]))
    words[3::7, 9], words[3::7, 20] = 0x7FC00000, 0xFF800000  # both at once
    words[2::9] = 0
    return words


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_blocks_agree_under_every_scale_rule(harness, name):
    rng = np.random.default_rng([3, *name.encode()])
    for rule in RULES * 2:
        changes = some_policy(
            rng, (*SCALE_FIELDS, *ELEMENT_FIELDS, "fp8_overflow"), scale_rule=rule
        )
        changes["rounding"] = str(rng.choice([r for r in ROUNDINGS if "stochastic" not in r]))
        words = blocks(rng, BLOCK_FORMATS[name].element.name, BLOCKS_PER_GROUP)
        draws = rng.integers(0, 2**16, BLOCKS_PER_GROUP, dtype=np.uint32)
        random = {"scale_random": draws[:, None]} if rule == "stochastic" else {}
        q = mxref.quantize(words.view(np.float32), name, policy=policy_of(changes), **random)
        parts = (packed(words, "<u4"), packed(draws, "<u4"), packed(q.codes, "u1"))
        found = harness.call("checkBlocks", name, changes, *parts, packed(q.scales, "u1"))
        assert found == BLOCKS_PER_GROUP, (name, changes, found)


@pytest.mark.parametrize("policy", PROFILES)
def test_the_profiles_are_those_of_the_package(harness, policy):
    rng = np.random.default_rng([4, *policy.encode()])
    changes = harness.evaluate(f"PROFILES[{json.dumps(policy)}].changes")
    ours = get_policy(policy)
    shown = harness.evaluate("Object.keys(OCP)")
    assert {k: getattr(ours, k) for k in shown} == {**harness.evaluate("OCP"), **changes}
    if "raise" in {ours.scale_nan, ours.scale_inf, ours.nan_element, ours.inf_element}:
        return
    for name in ("mxfp4", "mxfp8_e5m2", "mxint8"):
        words = blocks(rng, BLOCK_FORMATS[name].element.name, 6)
        q = mxref.quantize(words.view(np.float32), name, policy=ours)
        parts = (packed(words, "<u4"), packed(words[:, 0], "<u4"), packed(q.codes, "u1"))
        found = harness.call("checkBlocks", name, changes, *parts, packed(q.scales, "u1"))
        assert found == 6, (name, policy, found)


def test_values_of_blocks_agree_in_every_scale(harness):
    rng = np.random.default_rng(5)
    for name, fmt in BLOCK_FORMATS.items():
        changes = {k: str(rng.choice(CHOICES[k])) for k in CHOICES if k.startswith("decode_")}
        codes = rng.integers(0, fmt.element.code_count, (256, 32)).astype(np.uint8)
        scales = np.arange(256, dtype=np.uint8)[:, None]
        policy = policy_of(changes)
        want = mxref.dequantize(codes, scales, name, policy=policy).view(np.uint32)
        got = harness.call(
            """(name, changes, codes) => codes.map((row, s) => row.map((code) => {
              const policy = { ...OCP, ...changes };
              return Number(toBits(blockValue(s, code, BLOCKS[name], policy), "float32", policy));
            }))""",
            *(name, changes, codes.tolist()),
        )
        assert got == want.tolist(), (name, changes)


@pytest.mark.parametrize("name", [*ELEMENT_FORMATS, "e8m0"])
def test_what_rounds_to_a_code_does_so(harness, name):
    """The ends that the page shows are asked of the definition, code by code."""
    fmt = ELEMENT_FORMATS.get(name) or SCALE_FORMATS[name]
    is_scale = name == "e8m0"
    key = "e8m0_rounding" if is_scale else "rounding"
    for mode in CHOICES[key]:
        if mode.startswith("stochastic"):
            continue
        shown = harness.call(
            """(name, changes) => {
              const fmt = formatOf(name);
              return Array.from({ length: 1 << fmt.bits }, (_, code) => {
                const found = roundingInterval(code, fmt, { ...OCP, ...changes });
                const text = found && [found.low, found.high].map(fractionText);
                return found && { ...found, low: text[0], high: text[1] };
              });
            }""",
            *(name, {key: mode}),
        )
        policy = policy_of({key: mode})
        layer = exact_scale if is_scale else exact_element

        def encoded(value, sign, layer=layer, policy=policy):
            return layer.encode(Number.finite(value, sign), fmt, policy)

        last = fmt.max_code if is_scale else fmt.max_magnitude
        count = 0
        for code, interval in enumerate(shown):
            number = layer.decode(code, fmt)
            if interval is None:
                continue
            count += 1
            low, high = Fraction(interval["low"]), Fraction(interval["high"])
            sign = number.sign
            assert encoded((low + high) / 2, sign) == code, (name, mode, code)
            place = code if is_scale or not sign else fmt.code_count - code
            place = code - fmt.sign_mask if sign and fmt is not ELEMENT_FORMATS["int8"] else place
            for end, closed in ((low, interval["lowClosed"]), (high, interval["highClosed"])):
                is_outer = place == last and abs(end) >= abs(number.value)
                if is_outer or (is_scale and code == 0 and end == low):
                    continue  # what lies beyond saturates
                if not is_scale and end == 0 and not closed:
                    continue  # the real number 0 has no sign
                assert (encoded(end, sign) == code) == closed, (name, mode, code, end)
        assert count >= fmt.code_count - 9


def test_numbers_are_written_as_the_package_writes_them(harness):
    rng = np.random.default_rng(6)
    values = [Fraction(0), Fraction(1, 3), Fraction(-7, 48), Fraction(2) ** 127, Fraction(10) ** 20]
    words = rng.integers(0, 0x7F800000, 300, dtype=np.uint32)
    values += [ieee.from_bits(int(w), "float32").value for w in words]
    values += [-Fraction(int(n), int(d)) for n, d in rng.integers(1, 10**6, (200, 2))]
    values += [Fraction(int(n), 8) for n in rng.integers(1, 10**4, 100)]
    got = harness.call(
        """(texts) => texts.map((text) => {
          const value = ratio(...text.split("/").map(BigInt));
          return [decimal(value), decimal(value, 9, 6), powers(value), joined(value), short(value)];
        })""",
        [str(value) for value in values],
    )
    for value, forms in zip(values, got, strict=True):
        want = [decimal(value), decimal(value, 9, 6), powers(value), joined(value), short(value)]
        assert forms == want, value


TEXTS = (
    "1.3",
    "-0",
    "+0",
    "0.0",
    "inf",
    "-Infinity",
    "nan",
    "-NaN",
    "0x3fa66666",
    "1e400",
    "-1e-400",
)
TEXTS += ("1e39", "1.", ".5", "-2.5E-3", "3e-46", "bfloat16:1.3", "float16:65520", "float64:0.1")
TEXTS += (
    "float16:0x7c01",
    "bfloat16:0xffc1",
    "1e-45",
    "123456789012345678901234567890",
    "0e999999",
)
TEXTS += ("", "abc", "0x12", "1.3.4", "float8:1", "1e", "--1", "0x", "1,3", "NaNs", "e5")


@pytest.mark.parametrize("text", TEXTS)
def test_typed_numbers_are_read_as_the_package_reads_them(harness, text):
    got = harness.call(
        """(text) => {
          try {
            const { number, source, bits, text: kept } = readText(text);
            return [numberString(number), source, `${bits}`, kept, number.payload];
          } catch (error) {
            if (!(error instanceof Mistake)) throw error;
            return null;
          }
        }""",
        text,
    )
    try:
        want = read_number(text)
    except ValueError:
        assert got is None
        return
    number = want.number
    assert got == [str(number), want.source, str(want.bits), want.text, number.payload]
