from dataclasses import fields

import pytest

from mxref._choices import FP8Overflow
from mxref.formats import ELEMENT_FORMATS
from mxref.policy import PROFILES, Policy
from mxref.sweep import DETERMINISTIC, Subject, published, relevant_fields


def test_published_is_every_element_rounding_and_overflow():
    found = {(s.format, s.rounding, s.overflow) for s in published() if s.format != "e8m0"}
    assert found == {
        (f.name, rounding, overflow)
        for f in ELEMENT_FORMATS.values()
        for rounding in DETERMINISTIC
        for overflow in (FP8Overflow if f.is_fp8 else [None])
    }
    assert len(found) == 2 * 7 * 4 + 4 * 7


def test_published_has_every_e8m0_choice_and_every_profile():
    casts = [s for s in published() if s.format == "e8m0"]
    for field in relevant_fields("e8m0"):
        members = {str(m) for m in type(getattr(Policy(), field))}
        assert {s.choices[field] for s in casts} == members, field
    assert {Subject.of("e8m0", profile) for profile in PROFILES.values()} <= set(casts)


def test_names_are_unique_and_fit_for_files():
    names = [s.name for s in published()]
    assert len(set(names)) == len(names)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-") for name in names)


def test_equal_casts_are_equal():
    ours = Subject.of("float8_e4m3fn", "ocp:scale_rule=ceil,int8_min=used,e8m0_zero=nan")
    assert ours == Subject.of("e4m3")
    assert hash(ours) == hash(Subject.of("e4m3"))
    assert Subject.of("e2m1", "ocp:fp8_overflow=overflow") == Subject.of("e2m1")
    assert (
        Subject.of("e4m3", "ocp:neg_zero=drop").name == "e4m3.nearest-even.saturate.neg_zero-drop"
    )


def test_every_policy_field_of_a_cast_is_known():
    """A new field of elements or of E8M0 must find its way into `relevant_fields`."""
    element = {
        f.name
        for f in fields(Policy)
        if f.metadata["open_point"].startswith(("OP-ELEM", "OP-FP8", "OP-N", "OP-INF", "OP-INT8"))
        and f.name not in {"stochastic", "stochastic_bits", "decode_subnormal", "nvfp4_recipe"}
    }
    known = {field for name in ELEMENT_FORMATS for field in relevant_fields(name)}
    assert element | {"scaled_intermediate"} == known


def test_unknown_names():
    with pytest.raises(ValueError, match="unknown element or scale format"):
        Subject.of("e4m4")
    with pytest.raises(ValueError, match="unknown policy"):
        Subject.of("e4m3", "ocpp")
