"""The oracle against the definition, wherever a code begins, under any policy."""

import itertools

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxref import _choices as choice
from mxref.exact import element as exact_element
from mxref.exact import ieee
from mxref.exact import scale as exact_scale
from mxref.formats import ELEMENT_FORMATS
from mxref.policy import PROFILES, Policy
from mxref.sweep import DETERMINISTIC, Subject, expected_runs, published, relevant_fields
from mxref.sweep.oracle import _values

FORMATS = [*ELEMENT_FORMATS, "e8m0"]


@st.composite
def subjects(draw):
    """Any format under any policy that gives each input one code."""
    fmt = draw(st.sampled_from(FORMATS))
    changes = {}
    for field in relevant_fields(fmt):
        members = DETERMINISTIC if field == "rounding" else type(getattr(Policy(), field))
        changes[field] = draw(st.sampled_from([m for m in members if m != "raise"]))
    return Subject.of(fmt, Policy(**changes))


def exact_code(subject, pattern):
    number = ieee.from_bits(pattern, "float32")
    encode = exact_scale.encode if subject.format == "e8m0" else exact_element.encode
    return encode(number, subject.format, subject.policy)


def assert_equal_at_every_start(subject):
    runs = expected_runs(subject.format, subject.policy)
    for start, code in zip(runs.starts, runs.codes, strict=True):
        before = (start - 1) % 2**32
        assert exact_code(subject, start) == code, (subject.name, hex(start))
        assert exact_code(subject, before) == runs.within(before, 1)[0][2], (
            subject.name,
            hex(before),
        )


@pytest.mark.parametrize("subject", published(), ids=lambda s: s.name)
def test_published_subjects_agree_with_the_definition(subject):
    assert_equal_at_every_start(subject)


@given(subjects())
def test_any_policy_agrees_with_the_definition(subject):
    assert_equal_at_every_start(subject)


@given(subjects(), st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20))
def test_any_input_agrees_with_the_definition(subject, patterns):
    runs = expected_runs(subject.format, subject.policy)
    for pattern in patterns:
        assert exact_code(subject, pattern) == runs.within(pattern, 1)[0][2], hex(pattern)


@pytest.mark.parametrize("fmt", ELEMENT_FORMATS.values(), ids=lambda f: f.name)
def test_values_are_those_of_a_third_party(fmt):
    types = {
        "e4m3": ml_dtypes.float8_e4m3fn,
        "e5m2": ml_dtypes.float8_e5m2,
        "e3m2": ml_dtypes.float6_e3m2fn,
        "e2m3": ml_dtypes.float6_e2m3fn,
        "e2m1": ml_dtypes.float4_e2m1fn,
    }
    codes = np.arange(fmt.max_magnitude + 1, dtype=np.uint8)
    theirs = codes / 64 if fmt.name == "int8" else codes.view(types[fmt.name]).astype(np.float64)
    assert [float(v) for v in _values(fmt, len(codes))[:-1]] == theirs.tolist()


@pytest.mark.parametrize("fmt", FORMATS)
def test_runs_cover_all_inputs_in_order(fmt):
    runs = expected_runs(fmt, Policy())
    assert runs.starts[0] == 0
    assert all(a < b for a, b in itertools.pairwise(runs.starts))
    whole = runs.within(0, 1 << 32)
    assert whole[0][0] == 0
    assert whole[-1][1] == 1 << 32
    assert all(a[1] == b[0] for a, b in itertools.pairwise(whole))
    # Pieces are the whole, cut.
    pieces = [run for first in range(0, 1 << 32, 1 << 24) for run in runs.within(first, 1 << 24)]
    assert sum(end - first for first, end, _ in pieces) == 1 << 32
    assert {first for first, _, _ in whole} <= {first for first, _, _ in pieces}


def test_policies_without_one_code_for_each_input_are_refused():
    for policy, word in (
        ("ocp:rounding=stochastic-a", "random bits"),
        ("ocp:nan_element=raise", "refuses"),
        ("ocp:inf_element=raise", "refuses"),
    ):
        with pytest.raises(ValueError, match=word):
            Subject.of("e2m1", policy)
    for changes in (
        {"rounding": "stochastic-b"},
        {"nan_element": "raise"},
        {"inf_element": "raise"},
    ):
        with pytest.raises(ValueError, match=r"no input|refuses"):
            expected_runs("e2m1", Policy(**changes))


def test_profiles_are_covered():
    """Every profile that can be swept in a format gives a subject there, not a refusal."""
    for profile in PROFILES.values():
        for fmt in FORMATS:
            try:
                subject = Subject.of(fmt, profile)
            except ValueError as error:
                assert "refuses" in str(error) or "random" in str(error)  # noqa: PT017
                continue
            assert expected_runs(fmt, subject.policy).starts[0] == 0


def test_each_rounding_of_the_choices_is_known():
    assert set(choice.Rounding) - set(DETERMINISTIC) == {
        "stochastic-a",
        "stochastic-b",
        "stochastic-c",
    }
