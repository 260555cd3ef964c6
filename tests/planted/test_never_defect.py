"""No correct implementation is ever called wrong, whatever legal policy it follows.

What is correct is said twice, by the kernels and by the exact definition. A policy may also hold a
choice that a clause forbids (`mxref.faults.legal`): whoever asks for it is right, and without
being asked the check may name that choice as the fault that it is, and nothing else.
"""

import os

import ml_dtypes
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from implementations import FLOAT_TYPES, K
from more_elements import INT8
from stimuli import encoder_input, quantizer_input

import mxref
from mxref import check
from mxref.exact import block as exact
from mxref.exact.ieee import from_bits, to_bits
from mxref.faults.legal import explanations, forbidden, require_judgeable
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, block_format, element_format
from mxref.policy import Policy
from mxref.profiles import PROFILES

# A failure is a policy and a seed, which need no shrinking; a search for a cause takes its time.
# With MXREF_RANDOM set, other examples are drawn each time; then an answer may be `unexplained`
# where a dozen odd choices meet in a few blocks, and never `defect`.
RANDOM = "MXREF_RANDOM" in os.environ
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
QUICK = {"deadline": None, "phases": PHASES, "derandomize": not RANDOM}
FINE = ("conforms", "conforms-as", *(["unexplained"] if RANDOM else []))
DTYPES = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
TYPES = {t.name: t for t in (*FLOAT_TYPES, INT8)}
OF_SCALES = ("scale_",)
OF_CASTS = ("e8m0_",)
OF_ELEMENTS = (
    "rounding",
    "fp8_overflow",
    "nan_element",
    "inf_element",
    "nan_payload",
    "neg_zero",
    "int8_min",
    "scaled_intermediate",
    "input_subnormal",
    "element_subnormal",
    "relu",
)
OF_VALUES = ("decode_",)


def is_judgeable(policy):
    try:
        require_judgeable(policy)
    except ValueError:
        return False
    return True


def faults_of(policy, element):
    """Ids of the faults that choices of a policy are for a format."""
    named = (forbidden(f, str(v), element) for f, v in policy.as_dict().items())
    return {entry.fault for entry in named if entry is not None}


def without_refusals(policy):
    """Codes are there, so nothing was refused."""
    refused = [f for f, v in policy.as_dict().items() if v == "raise"]
    return policy.replace(**{f: getattr(Policy(), f) for f in refused})


def policies(prefixes, element):
    """Every legal choice of every field with one of the prefixes, in any combination."""
    base = Policy()
    fields = [f for f in base.as_dict() if f.startswith(prefixes)]
    choices = {
        f: [v for v in explanations(base, f) if forbidden(f, v, element) is None] for f in fields
    }
    return st.fixed_dictionaries({f: st.sampled_from(v) for f, v in choices.items()}).map(
        lambda chosen: base.replace(**chosen)
    )


# --- data ---------------------------------------------------------------------------------------


def narrowed(x, dtype):
    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(DTYPES[dtype])


def random_blocks(seed, n):
    """Blocks at all magnitudes, with zeros, ties, subnormals, NaN and infinities strewn in."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, K)) * np.exp2(rng.integers(-140, 126, (n, 1)).astype(float))
    some = rng.integers(0, 2, (n, 1)) == 1
    x = np.where(some, np.ldexp(np.round(rng.uniform(-8, 8, (n, K)) * 4), rng.integers(-9, 9)), x)
    x[rng.random((n, K)) < 0.03] = 0.0
    x[rng.random((n, K)) < 0.03] = -0.0
    strewn = (rng.random((n, K)) < 0.02) & (rng.random((n, 1)) < 0.2)
    x[strewn] = rng.choice([np.nan, np.inf, -np.inf], strewn.sum())
    x[0] = 0
    with np.errstate(over="ignore"):
        return x.astype(np.float32)


DATA = st.tuples(st.sampled_from(list(DTYPES)), st.integers(0, 10**6), st.integers(1, 60))


# --- random legal policies ----------------------------------------------------------------------


@pytest.mark.parametrize("fmt", BLOCK_FORMATS)
@settings(max_examples=12, **QUICK)
@given(data=st.data())
def test_quantizers_under_any_legal_policy(fmt, data):
    element = block_format(fmt).element
    policy = data.draw(policies(OF_SCALES + OF_ELEMENTS, element))
    dtype, seed, n = data.draw(DATA)
    x = narrowed(random_blocks(seed, n), dtype)
    q = mxref.quantize(x, fmt, policy=policy)
    report = check.quantize(x, q.codes, q.scales, fmt)
    assert report.verdict in FINE, f"{policy}\n{report}"
    asked = check.quantize(x, q.codes, q.scales, fmt, policy=policy)
    assert asked.verdict == "conforms", f"{policy}\n{asked}"


@pytest.mark.parametrize("name", ELEMENT_FORMATS)
@settings(max_examples=12, **QUICK)
@given(data=st.data())
def test_encoders_under_any_legal_policy(name, data):
    policy = data.draw(policies(OF_ELEMENTS, element_format(name)))
    dtype, seed, n = data.draw(DATA)
    x = narrowed(
        np.concatenate([random_blocks(seed, n).ravel(), encoder_input(TYPES[name])]), dtype
    )
    report = check.encode(x, mxref.encode(x, name, policy=policy), name)
    assert report.verdict in FINE, f"{policy}\n{report}"


@settings(max_examples=25, **QUICK)
@given(policy=policies(OF_CASTS, None), data=DATA)
def test_casts_to_e8m0_under_any_legal_policy(policy, data):
    _, seed, n = data
    x = np.abs(random_blocks(seed, n)).ravel()
    x[::7] *= -1
    report = check.encode(x, mxref.encode(x, "e8m0", policy=policy), "e8m0")
    assert report.verdict in FINE, f"{policy}\n{report}"


@pytest.mark.parametrize("fmt", BLOCK_FORMATS)
@settings(max_examples=8, **QUICK)
@given(data=st.data())
def test_decoders_under_any_legal_policy(fmt, data):
    element = block_format(fmt).element
    policy = data.draw(policies(OF_VALUES, element))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    codes = rng.integers(0, element.code_count, (40, K), np.uint8)
    scales = rng.integers(0, 256, (40, 1), np.uint8)
    y = mxref.dequantize(codes, scales, fmt, policy=policy)
    report = check.dequantize(codes, scales, y, fmt)
    assert report.verdict in FINE, f"{policy}\n{report}"
    lone = np.arange(element.code_count, dtype=np.uint8)
    report = check.decode(lone, mxref.decode(lone, element.name, policy=policy), element.name)
    assert report.verdict in FINE, f"{policy}\n{report}"


# Found by the tests above: the smallest input that shows each.
MISTAKEN = [
    ("mxfp4", [[1e-39], [1.0]], {"scale_zero_block": "one", "input_subnormal": "flush"}),
    (
        "mxfp8_e4m3",
        [[1e-39], [1.0]],
        {"scale_zero_block": "minus-emax", "scale_subnormal": "flush"},
    ),
    ("mxfp8_e5m2", [[1.0, -0.0]], {"relu": "on"}),
    ("mxfp8_e4m3", [[1.0, -0.0, 0.25]], {"relu": "on"}),
    ("mxint8", [[1.75, -0.3], [0.7, -1.0]], {"relu": "on"}),
    ("mxint8", [[3e38]], {"scale_rule": "rceil", "scale_above": "nan"}),
]


@pytest.mark.parametrize(("fmt", "rows", "choices"), MISTAKEN)
def test_a_legal_choice_comes_before_a_fault(fmt, rows, choices):
    x = np.zeros((len(rows), K), np.float32)
    for block, start in zip(x, rows, strict=True):
        block[: len(start)] = start
    q = mxref.quantize(x, fmt, policy=Policy(**choices))
    report = check.quantize(x, q.codes, q.scales, fmt)
    assert report.verdict in FINE, str(report)


@pytest.mark.parametrize(
    ("x", "choices"),
    [
        ([1e-39, 1.5], {"e8m0_rounding": "up", "e8m0_subnormal": "bits"}),
        ([1.0, -np.inf, -2.0], {"e8m0_negative": "magnitude", "e8m0_inf": "saturate"}),
    ],
)
def test_choices_of_a_cast_to_e8m0_go_together(x, choices):
    x = np.array(x, np.float32)
    codes = mxref.encode(x, "e8m0", policy=Policy(**choices))
    report = check.encode(x, codes, "e8m0")
    assert report.verdict in FINE, str(report)


# --- the exact definition -----------------------------------------------------------------------


def exactly_quantized(x, fmt, policy, dtype):
    unsigned = x.view(f"u{x.dtype.itemsize}")
    scales, codes = [], []
    for row in unsigned:
        numbers = [from_bits(int(bits), dtype) for bits in row]
        scale, row_codes = exact.quantize(numbers, fmt, policy, source=dtype)
        scales.append([scale])
        codes.append(row_codes)
    return np.array(codes, np.uint8), np.array(scales, np.uint8)


@pytest.mark.parametrize("fmt", BLOCK_FORMATS)
@settings(max_examples=5, **QUICK)
@given(data=st.data())
def test_the_exact_definition_under_any_legal_policy(fmt, data):
    policy = data.draw(policies(OF_SCALES + OF_ELEMENTS, block_format(fmt).element))
    dtype, seed, _ = data.draw(DATA)
    x = narrowed(random_blocks(seed, 6), dtype)
    codes, scales = exactly_quantized(x, fmt, policy, dtype)
    report = check.quantize(x, codes, scales, fmt)
    assert report.verdict in FINE, f"{policy}\n{report}"


@pytest.mark.parametrize("fmt", BLOCK_FORMATS)
def test_the_exact_decoder_conforms(fmt):
    element = block_format(fmt).element
    codes = np.resize(np.arange(element.code_count, dtype=np.uint8), (8, K))
    scales = np.array([0, 1, 60, 127, 140, 250, 254, 255], np.uint8)[:, None]
    rows = [
        [to_bits(v, "float32") for v in exact.dequantize(int(s), [int(c) for c in row], fmt)]
        for s, row in zip(scales[:, 0], codes, strict=True)
    ]
    y = np.array(rows, np.uint32).view(np.float32)
    assert check.dequantize(codes, scales, y, fmt).verdict == "conforms"


# --- profiles -----------------------------------------------------------------------------------


def assert_right(report, asked, policy, element):
    """Right when asked for, and otherwise wrong at most by what is forbidden."""
    assert asked.verdict == "conforms", f"{policy}\n{asked}"
    allowed = faults_of(policy, element)
    named = {f.id for f in report.findings if not f.legal}
    assert report.verdict in (*FINE, *(["defect"] if allowed else [])), f"{policy}\n{report}"
    assert named <= allowed, f"{policy}\n{report}"


def profiles_of(op):
    return [
        pytest.param(profile, fmt, id=f"{profile.name}-{fmt}")
        for profile in PROFILES.values()
        if op in profile.operations and is_judgeable(profile.policy)
        for fmt in profile.formats
    ]


@pytest.mark.parametrize(("profile", "fmt"), profiles_of("quantize"))
def test_quantizers_of_all_profiles_on_designed_blocks(profile, fmt):
    element = block_format(fmt).element
    policy = without_refusals(profile.policy)
    for dtype in ("bfloat16", "float16"):  # float32 is what kernels are driven with, below
        x = narrowed(quantizer_input(TYPES[element.name]), dtype)
        q = mxref.quantize(x, fmt, policy=policy)
        report = check.quantize(x, q.codes, q.scales, fmt)
        asked = check.quantize(x, q.codes, q.scales, fmt, policy=policy)
        assert_right(report, asked, policy, element)


@pytest.mark.parametrize(("profile", "fmt"), profiles_of("encode"))
def test_encoders_of_all_profiles_on_designed_numbers(profile, fmt):
    element = block_format(fmt).element
    policy = without_refusals(profile.policy)
    for dtype in DTYPES:
        x = narrowed(encoder_input(TYPES[element.name]), dtype)
        codes = mxref.encode(x, element.name, policy=policy)
        report = check.encode(x, codes, element.name)
        asked = check.encode(x, codes, element.name, policy=policy)
        assert_right(report, asked, policy, element)


@pytest.mark.parametrize(("profile", "fmt"), profiles_of("decode"))
def test_decoders_of_all_profiles_on_all_codes(profile, fmt):
    element = block_format(fmt).element
    codes = np.arange(element.code_count, dtype=np.uint8)
    y = mxref.decode(codes, element.name, policy=profile.policy)
    report = check.decode(codes, y, element.name)
    asked = check.decode(codes, y, element.name, policy=profile.policy)
    assert_right(report, asked, profile.policy, element)


@pytest.mark.parametrize(("profile", "fmt"), profiles_of("quantize"))
def test_kernels_of_all_profiles_when_driven(profile, fmt):
    element = block_format(fmt).element
    policy = without_refusals(profile.policy)

    def fn(x):
        return mxref.quantize(x, fmt, policy=policy)

    assert_right(check.kernel(fn, fmt), check.kernel(fn, fmt, policy=policy), policy, element)


@pytest.mark.parametrize("name", ["ocp:scale_rule=mse", "ocp:scale_rule=mae"])
def test_a_searched_scale_cannot_be_judged_yet(name):
    x = random_blocks(0, 4)
    q = mxref.quantize(x, "mxfp4", policy=name)
    with pytest.raises(ValueError, match="cannot be judged"):
        check.quantize(x, q.codes, q.scales, "mxfp4", policy=name)
