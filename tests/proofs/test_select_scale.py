"""Scale selection is right for every amax, all 2^63 of float64: proven with z3.

``select_scale`` and ``look_up_scale``, the lane programs behind every block conversion, are run on
a symbol; z3 finds no finite amax at which the result differs from the ladder of `definition`, which
comes from one inequality of fractions for each scale code. Times are those of one proof, ladder
included, on one core: 0.1 to 0.3 s for a plain rule, up to 2 s where a table is read.
"""

import pytest
from definition import SOURCES
from obligations import wrong_scale

from mxref.formats import BLOCK_FORMATS
from mxref.policy import Policy

RULES = ["floor", "ceil", "rceil", "even", "even-down", "tosa", "nearest-log", "plus-one", "p3109"]
WIDE = ["float32", "float64"]


def assert_proven(policy, fmt, source):
    word = wrong_scale(policy, fmt, source)
    if word is not None:
        amax = SOURCES[source].value(word)
        pytest.fail(f"{fmt.name} {policy}: {source} amax {word:#x} = {float(amax)!r}")


@pytest.mark.parametrize("source", WIDE)
@pytest.mark.parametrize("fmt", BLOCK_FORMATS.values(), ids=lambda f: f.name)
@pytest.mark.parametrize("rule", RULES)
def test_rule(rule, fmt, source):
    assert_proven(Policy(scale_rule=rule), fmt, source)


# Whatever else a policy says about scales, each choice once, with rules on both sides of it.
MODIFIERS = [
    {"scale_above": "nan"},
    {"scale_above": "clamp-125"},
    {"scale_above": "wrap"},
    {"scale_below": "wrap"},
    {"scale_below": "flush-block"},
    {"scale_subnormal": "bits"},
    {"scale_subnormal": "flush"},
    {"scale_subnormal": "flush", "scale_zero_block": "nan"},
    {"input_subnormal": "flush"},
    {"scale_zero_block": "one"},
    {"scale_zero_block": "nan"},
    {"scale_amax": "float32"},
    {"scale_amax": "bfloat16"},
    {"scale_amax": "float16"},
    {"scale_amax": "float16", "scale_inf": "saturate"},
    {"scale_amax": "bfloat16", "scale_inf": "flush-block", "scale_below": "wrap"},
    {"scale_quotient": "float32"},
    {"scale_quotient": "reciprocal"},
    {"scale_quotient": "reciprocal", "scale_subnormal": "bits"},
    {"scale_quotient": "float32", "scale_subnormal": "flush", "scale_amax": "bfloat16"},
]


def name(value):
    return getattr(value, "name", None) or ",".join(f"{k}={v}" for k, v in value.items())


@pytest.mark.parametrize("fields", MODIFIERS, ids=name)
def test_choice(fields):
    """With RCEIL, which has a threshold of its own and looks at a quotient."""
    assert_proven(Policy(scale_rule="rceil", **fields), BLOCK_FORMATS["mxfp8_e4m3"], "float64")


@pytest.mark.exhaustive
@pytest.mark.parametrize("source", WIDE)
@pytest.mark.parametrize("fmt", BLOCK_FORMATS.values(), ids=lambda f: f.name)
@pytest.mark.parametrize("fields", MODIFIERS, ids=name)
def test_choice_with_every_rule(fields, fmt, source):
    for rule in RULES:
        if rule == "rceil" or "scale_quotient" not in fields:
            assert_proven(Policy(scale_rule=rule, **fields), fmt, source)
