"""What the page says of a conversion is what `mxref.explain` says, to the letter."""

import dataclasses
import re

import numpy as np
import pytest

import mxref
from mxref.exact import random_bits
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, block_format
from mxref.policy import PROFILES, Policy, get_policy
from mxref.show import explain

pytestmark = pytest.mark.browser

CHOICES = {f.name: [m.value for m in type(f.default)] for f in dataclasses.fields(Policy)}
NUMBERS = (
    "0",
    "-0",
    "inf",
    "-inf",
    "nan",
    "-nan",
    "1e-45",
    "-1e-40",
    "3.4e38",
    "1e39",
    "448",
    "464",
)
NUMBERS += ("465", "5.9999", "6", "7", "2.5", "-1.75", "0.0009765625", "0.003", "bfloat16:0x3fa6")
NUMBERS += ("float16:65504", "float64:0.1", "-57344.5", "1.984375", "-1.9921875", "0x00400000")

EXPLAIN = """(format, changes, texts, random, scaleRandom) => {
  const policy = { ...OCP, ...changes };
  const given = texts.map((text) => readText(text));
  try {
    if (BLOCKS[format]) {
      const draws = random === null ? null : given.map(() => random);
      return blockDict(explainBlock(given, BLOCKS[format], policy, { random: draws, scaleRandom }));
    }
    const one = format === "e8m0"
      ? explainCast(given[0], policy)
      : explainElement(given[0], ELEMENTS[format], policy, { random: random ?? 0 });
    return explanationDict(one);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return "refused";
  }
}"""


@pytest.fixture(scope="module")
def page(chromium, page_url):
    chromium.open(page_url)
    return chromium


def told(steps):
    return [{key: one[key] for key in ("step", "text", "clauses")} for one in steps]


def facts(one):
    """What an explanation says, without what the page has no use for."""
    found = {key: one[key] for key in ("code", "value", "float32", "error", "flags")}
    given = {key: one["given"][key] for key in ("value", "text")}
    return {**found, "given": given, "steps": told(one["steps"])}


def expected(format_name, changes, texts, random, scale_random):
    policy = Policy().replace(**changes)
    x = texts if format_name in BLOCK_FORMATS and len(texts) > 1 else texts[0]
    draws = [random] * len(texts) if isinstance(x, list) and random is not None else random
    try:
        more = {"pad": True} if isinstance(x, list) else {}
        found = explain(x, format_name, policy, random=draws, scale_random=scale_random, **more)
    except ValueError as error:
        if not re.search("policy refuses it|a matter of chance", str(error)):
            raise
        return "refused"
    if format_name not in BLOCK_FORMATS:
        return facts(found.to_dict())
    block = found.to_dict()
    return {
        **{key: block[key] for key in ("alone", "scale_code", "amax")},
        "steps": told(block["steps"]),
        "elements": [facts(one) for one in block["elements"]],
    }


def draws_of(format_name, changes, rng):
    policy = Policy().replace(**changes)
    if format_name == "e8m0":
        return None, 0
    fmt = block_format(format_name).element if format_name in BLOCK_FORMATS else format_name
    bits = random_bits.count(fmt, policy)
    random = int(rng.integers(0, 2**bits)) if policy.rounding in random_bits.STOCHASTIC else None
    return random, int(rng.integers(0, 2 ** int(policy.stochastic_bits)))


def compare(page, format_name, changes, texts, rng):
    random, scale_random = draws_of(format_name, changes, rng)
    want = expected(format_name, changes, texts, random, scale_random)
    got = page.call(EXPLAIN, format_name, changes, texts, random, scale_random)
    assert got == want, (format_name, changes, texts[:32], first_difference(got, want))
    return want


def first_difference(got, want, path=""):
    """Where two structures part, and what each says there."""
    if isinstance(got, dict) and isinstance(want, dict) and got.keys() == want.keys():
        pairs = [(key, got[key], want[key]) for key in got]
    elif isinstance(got, list) and isinstance(want, list) and len(got) == len(want):
        pairs = [(i, a, b) for i, (a, b) in enumerate(zip(got, want, strict=True))]
    else:
        return path, got, want
    key, a, b = next(pair for pair in pairs if pair[1] != pair[2])
    return first_difference(a, b, f"{path}/{key}")


def some_changes(rng, prefix):
    names = [n for n in CHOICES if n.startswith(prefix) and n != "scale_operand"]
    return {n: str(rng.choice(CHOICES[n])) for n in names if rng.random() < 0.25}


ELEMENT_PREFIXES = ("rounding", "stochastic", "fp8_", "nan_", "inf_", "neg_", "int8_", "scaled_")
ELEMENT_PREFIXES += ("input_", "element_", "relu", "decode_")


@pytest.mark.parametrize("format_name", [*ELEMENT_FORMATS, "e8m0"])
def test_casts_are_explained_alike(page, format_name):
    rng = np.random.default_rng([7, *format_name.encode()])
    prefixes = ("e8m0_",) if format_name == "e8m0" else ELEMENT_PREFIXES
    seen = set()
    for text in NUMBERS * 2:
        changes = some_changes(rng, prefixes)
        want = compare(page, format_name, changes, [text], rng)
        if want != "refused":
            seen |= {step["step"] for step in want["steps"]}
    assert seen >= (
        {"sign", "special"} if format_name == "e8m0" else {"align", "round", "overflow"}
    )


@pytest.mark.parametrize("rule", CHOICES["scale_rule"])
def test_blocks_are_explained_alike(page, rule):
    rng = np.random.default_rng([8, *rule.encode()])
    seen = set()
    for format_name in BLOCK_FORMATS:
        for kind in range(5):
            changes = some_changes(rng, ("scale_", *ELEMENT_PREFIXES)) if kind else {}
            changes["scale_rule"] = rule
            values = rng.standard_normal(32) * 2.0 ** rng.integers(-140, 127)
            if kind == 2:
                values *= 2.0**-140
            texts = [str(np.float32(v)) for v in values]
            if kind == 3:
                texts[5] = str(rng.choice(NUMBERS))
            if kind == 4:
                texts = [str(t) for t in rng.choice(NUMBERS, int(rng.integers(1, 5)))]  # to pad
            want = compare(page, format_name, changes, texts, rng)
            if want != "refused":
                seen |= {step["step"] for step in want["steps"]}
    assert {"classify", "amax", "rule", "exponent", "scale"} <= seen


@pytest.mark.parametrize("policy", PROFILES)
def test_profiles_are_explained_alike(page, policy):
    rng = np.random.default_rng([9, *policy.encode()])
    changes = get_policy(policy).diff(Policy())
    changes = {name: ours for name, (ours, _) in changes.items()}
    for format_name in ("mxfp4", "mxfp8_e4m3"):
        for text in ("1.3", "0", "1e-40", "6.5", "3.99999976158142"):
            compare(page, format_name, changes, [text], rng)


@pytest.mark.parametrize("rounding", CHOICES["rounding"])
def test_every_tie_is_called_one(page, rounding):
    """Halfway cases of every format, and their neighbours: the words of the step `round`."""
    rng = np.random.default_rng(10)
    for name, fmt in ELEMENT_FORMATS.items():
        place = int(rng.integers(0, fmt.max_magnitude))
        low, high = (float(mxref.decode(np.uint8(code), name)) for code in (place, place + 1))
        tie = np.float32((low + high) / 2)
        for x in (tie, np.nextafter(tie, np.float32(0)), np.nextafter(tie, np.float32(9)), -tie):
            want = compare(page, name, {"rounding": rounding}, [f"{np.float32(x)!s}"], rng)
            assert ("tie" in want["flags"]) == (abs(x) == tie), (name, x)


@pytest.mark.parametrize("name", [*ELEMENT_FORMATS, "e8m0"])
def test_the_facts_of_a_code_are_those_of_show(page, name):
    bits = 8 if name == "e8m0" else ELEMENT_FORMATS[name].bits
    codes = sorted({0, 1, 2, *range(0, 1 << bits, 13), (1 << bits) // 2, (1 << bits) - 1})
    codes += [(1 << bits) // 2 - 1, (1 << bits) - 2]
    got = page.call(
        """(name, codes) => codes.map((code) => {
          const fmt = formatOf(name), isNumber = isReal(decodeAny(code, fmt));
          const beside = (direction) => {
            const found = isNumber && neighbour(code, fmt, direction);
            return found ? [found.code, fractionText(found.value), fractionText(found.gap)] : null;
          };
          const taken = roundingInterval(code, fmt, OCP);
          const fields = Object.fromEntries(bitFields(code, fmt));
          return [className(code, fmt), fields, beside(-1), beside(1),
                  taken && [fractionText(taken.low), fractionText(taken.high),
                            taken.lowClosed, taken.highClosed]];
        })""",
        *(name, codes),
    )
    for code, facts_of_page in zip(codes, got, strict=True):
        view = mxref.show(name, code)
        sides = [n and [n.code, str(n.value), str(n.gap)] for n in (view.below, view.above)]
        i = view.interval
        taken = i and [str(i.low), str(i.high), i.low_closed, i.high_closed]
        if name == "e8m0" and code == 0:
            taken = facts_of_page[-1]  # `show` counts zero to it, which no rounding brings there
        assert facts_of_page == [view.cls, dict(view.fields), *sides, taken], (name, hex(code))
