"""Every explanation says what the kernels compute, and its steps lead there by themselves."""

import os
import random
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mxref
from mxref import vectors
from mxref._choices import ScaleRule
from mxref.exact import ieee, rules
from mxref.formats import ELEMENT_FORMATS
from mxref.policy import Policy
from mxref.show import explain
from mxref.show._explain_reach import reach, searched_reach

HERE = Path(__file__).parent


@pytest.mark.parametrize("family", ["mx", "nvfp4", "bdr"])
def test_any_policy_of_each_family(family):
    """Hundreds of policies, without a compiler: each would have kernels compiled for it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", HERE / "explain_any.py", family, "0", "60"],
        env={
            **os.environ,
            "NUMBA_DISABLE_JIT": "1",
            "PYTHONPATH": str(HERE.parent / "kernels"),
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]


@pytest.mark.parametrize("name", [*ELEMENT_FORMATS, "e8m0"])
@pytest.mark.parametrize("policy", ["ocp", "ocp:rounding=toward-zero,fp8_overflow=overflow"])
def test_casts_are_those_of_the_kernels(name, policy):
    rng = np.random.default_rng(5)
    for dtype in DTYPES:
        size = np.dtype(dtype).itemsize
        x = rng.integers(0, 1 << (8 * size - 1), 24).astype(f"u{size}").view(dtype)
        codes = mxref.encode(x, name, policy=policy)
        for number, code in zip(x, codes, strict=True):
            assert explain(number, name, policy).code == int(code), number


@pytest.mark.parametrize("policy", ["te-1d", "gguf", "te-1d:scale_overflow=nan"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_casts_to_ue4m3(policy, dtype):
    rng = np.random.default_rng(6)
    near = np.exp2(rng.uniform(-12, 10, 60)).astype(dtype)
    special = np.array([0, np.inf, np.nan, 448, 464, 480, 2**-10, 3 * 2**-10], dtype)
    x = np.concatenate([near, special])
    for number, code in zip(x, mxref.encode(x, "ue4m3", policy=policy), strict=True):
        found = explain(number, "ue4m3", policy)
        assert found.code == int(code), number
        assert found.steps[-1].text.split(" = ")[1] == f"0x{code:02x}"


def test_a_negative_scale_is_refused():
    with pytest.raises(ValueError, match=r"-1 is negative, and UE4M3 has no sign"):
        explain(-1.0, "ue4m3")


# --- thresholds --------------------------------------------------------------------------------

BY_AMAX = [rule for rule in ScaleRule if rule not in ("stochastic", "mse", "mae")]


@pytest.mark.parametrize("rule", BY_AMAX)
@pytest.mark.parametrize("name", ELEMENT_FORMATS)
@pytest.mark.parametrize("exponent", [-9, 0, 1, 6])
def test_a_reach_ends_where_the_exponent_changes(rule, name, exponent):
    """By the definition: the same exponent inside, another one just outside, at both ends."""
    fmt = ELEMENT_FORMATS[name]
    found = reach(rule, fmt, exponent)
    tiny = Fraction(1, 1 << 80)
    for end, closed, out in (
        (found.low, found.low_closed, -tiny),
        (found.high, found.high_closed, tiny),
    ):
        if found.is_exact:
            own = rules.rule_exponent(end, fmt, rule)
            assert (own == exponent) == closed == (end in found)
        assert rules.rule_exponent(end - out, fmt, rule) == exponent
        assert rules.rule_exponent(end + out, fmt, rule) != exponent


@pytest.mark.parametrize(
    "choices",
    [
        "scale_rule=rceil,scale_quotient=reciprocal",
        "scale_rule=rceil,scale_quotient=float32",
        "scale_rule=floor,scale_log2=float32",
        "scale_rule=nearest-log,scale_log2=float32",
        "scale_rule=rceil,scale_log2=float32",
    ],
)
@pytest.mark.parametrize("amax", ["1.3", "5.9999995", "6.0000005", "3.9999998"])
def test_a_searched_reach_ends_where_the_kernels_change(choices, amax):
    policy = Policy(**dict(part.split("=") for part in choices.split(",")))
    x = np.float32(amax)
    found = searched_reach(Fraction(float(x)), ELEMENT_FORMATS["e2m1"], policy)
    low, high = np.float32(float(found.low)), np.float32(float(found.high))
    around = np.array(
        [np.nextafter(low, np.float32(0)), low, x, high, np.nextafter(high, np.float32(9e9))],
        np.float32,
    )
    scales = mxref.quantize(around[:, None], "mxfp4", policy=policy, pad=True).scales[:, 0]
    below, first, own, last, above = (int(scale) for scale in scales)
    assert first == own == last
    assert below < own < above


def test_the_distance_to_the_next_step_is_counted():
    text = str(explain("1.7499999", "mxfp4", "ocp:scale_rule=even"))
    assert "serves amax in [0.875, 1.75); the upper end is" in text
    assert "1 step of float32" in text
    assert "amax lies on the lower end" in str(explain("4", "mxfp4"))
    text = str(explain("7", "mxfp4", "ocp:scale_rule=stochastic,stochastic_bits=3", scale_random=1))
    assert "E + 1 from R = 2 on" in text


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 7), st.integers(0, 7))
@example(1, 7)
def test_the_stochastic_threshold_is_where_the_scale_grows(eighths, R):
    policy = "ocp:scale_rule=stochastic,stochastic_bits=3"
    x = Fraction(8 + eighths, 8)
    found = explain(x, "mxfp4", policy, scale_random=R)
    (text,) = (step.text for step in found.steps if step.name == "threshold")
    least = int(re.search(r"R = (\d+)", text)[1])
    assert (found.scale_code == 126) == (least <= R)


# --- an NVFP4 recipe is spelled out in float32 operations --------------------------------------


def operations(steps):
    return [step.text for step in steps if not step.name]


@pytest.mark.parametrize(
    ("policy", "last"),
    [("te-1d", "fl(x * r)"), ("torchao", "fl(x * r)"), ("modelopt", "fl(x / u)"), ("mlx", None)],
)
def test_nvfp4_operations_are_those_of_numpy(policy, last):
    """The results named in the words are what numpy's float32 computes from the same operands."""
    if policy not in mxref.nvfp4.POLICIES:
        pytest.skip("no such profile")
    x = np.float32(1.3)
    found = explain(x, "nvfp4", policy, global_amax=6.0)
    texts = operations(found.steps) + operations(found.elements[0].steps)
    pattern = re.compile(r"fl\(([^ ()]+) ([*/]) ([^ ()]+)\) = ([^ ,]+)$")
    checked = 0
    for text in texts:
        if match := pattern.search(text):
            a, sign, b, result = match.groups()
            a, b, result = (np.float32(part.removeprefix("~")) for part in (a, b, result))
            computed = a * b if sign == "*" else a / b
            assert computed == result, text
            checked += 1
    assert checked >= 3
    assert last is None or any(text.startswith(last) for text in texts)


def test_four_over_six_shows_both_candidates():
    x = np.linspace(-1, 1, 16, dtype=np.float32)
    found = explain(x, "nvfp4", "te-four-over-six")
    names = [step.name for step in found.steps]
    assert names.count("wanted") == 2
    assert {"scale 6", "scale 4", "select"} <= set(names)
    q = mxref.quantize(x, "nvfp4", policy="te-four-over-six")
    assert found.scale_code == int(q.scales[0])
    assert found.codes == tuple(q.codes.tolist())


# --- the vectors, which neither kernels nor this package wrote --------------------------------

QUANTIZE = [
    path
    for operation in ("quantize", "nvfp4_quantize", "bdr_quantize", "scaled_quantize")
    for path in sorted((HERE.parents[1] / "spec_vectors" / operation).glob("*.json"))
]


@pytest.mark.parametrize("path", QUANTIZE, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_vectors_are_explained_as_they_are(path):
    file = vectors.load(path)
    for case in random.Random(path.stem).sample(file.cases, min(2, len(file.cases))):
        inputs, out = case.inputs, case.members[0].out
        if out is None:
            continue
        digits = ieee.IEEE_FORMATS[inputs.type].bits // 4
        x = [f"{inputs.type}:0x{bits:0{digits}x}" for bits in inputs.bits]
        given = {"pad": True, "random": inputs.random or None}
        if inputs.amax is not None:
            given["global_amax"] = ieee.from_bits(inputs.amax, "float32")
        found = explain(x, file.format, file.policy, **given)
        # A file leaves out the sub-scales of what was padded.
        subscales = found.subscales[: len(out.subscales)]
        assert (found.scale_code, subscales) == (out.scale, tuple(out.subscales)), case.id
        assert found.codes == tuple(out.bits), case.id
