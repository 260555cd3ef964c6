"""Element encoding is right for every input under every scale: proven with z3.

The lane program ``encode`` is run on symbols: all 2^63 magnitudes of float64 (or those of a
narrower type), times all 255 scale codes. z3 finds no pair at which the code differs from the
ladder of `definition`, which holds the least float64 at which each code begins, from exact
fractions. Dividing by the scale moves a float64 word by whole exponents, so one ladder serves all
scales. One proof takes 0.1 to 0.4 s on one core.
"""

import pytest
from definition import SOURCES
from obligations import wrong_code

from mxref.formats import ELEMENT_FORMATS
from mxref.policy import Policy

ROUNDINGS = [
    "nearest-even", "nearest-away", "nearest-down", "toward-zero", "up", "down", "to-odd",
]  # fmt: skip


def by_name(value):
    """The test id of a format, of fields of a policy, or of a plain string."""
    if isinstance(value, dict):
        return ",".join(f"{k}={v}" for k, v in value.items())
    return getattr(value, "name", value)


def assert_proven(element, policy, source="float64", parts="slow"):
    for negative in (False, True):
        found = wrong_code(element, policy, source, negative, parts)
        if found:
            value = SOURCES[source].value(found["size"]) * (-1 if negative else 1)
            pytest.fail(
                f"{element.name} {policy}: {source} {float(value)!r} "
                f"({'-' * negative}{found['size']:#x}) under scale code {found['scale_code']}"
            )


def cases(arguments, is_quick):
    """Parameters of a test: those that `make test` runs, and the others for `make exhaustive`."""
    return [
        pytest.param(*a, marks=() if is_quick(*a) else pytest.mark.exhaustive) for a in arguments
    ]


FORMATS = list(ELEMENT_FORMATS.values())
MODES = [
    (element, rounding, overflow)
    for element in FORMATS
    for rounding in ROUNDINGS
    for overflow in ("saturate", "overflow", "propagate", "sat-none")
    if element.is_fp8 or overflow == "saturate"
]
QUICK = {("overflow", "nearest-even"), ("overflow", "to-odd"), ("sat-none", "to-odd")}


def is_quick(element, rounding, mode):
    is_usual = rounding == "nearest-even" or element.name in ("e2m1", "int8")
    return (mode == "saturate" and is_usual) or (mode, rounding) in QUICK


@pytest.mark.parametrize(
    ("element", "rounding", "overflow"),
    cases(MODES, is_quick),
    ids=by_name,
)
def test_every_rounding_and_overflow(element, rounding, overflow):
    assert_proven(element, Policy(rounding=rounding, fp8_overflow=overflow))


# Every other choice of the encoder; the format that `make test` takes comes first.
FIELDS = [
    ("e5m2", {"nan_payload": "signed"}),
    ("e5m2", {"nan_payload": "quiet-signed"}),
    ("e5m2", {"nan_payload": "negative"}),
    ("e5m2", {"nan_payload": "payload"}),
    ("e4m3", {"nan_payload": "negative", "fp8_overflow": "overflow"}),
    ("e4m3", {"nan_payload": "signed", "fp8_overflow": "overflow"}),
    ("e2m1", {"nan_element": "signed-max"}),
    ("int8", {"nan_element": "zero"}),
    ("e2m1", {"nan_element": "flipped-zero"}),
    ("e4m3", {"neg_zero": "drop"}),
    ("e2m1", {"neg_zero": "drop", "nan_element": "flipped-zero"}),
    ("e4m3", {"neg_zero": "drop-input"}),
    ("int8", {"int8_min": "used"}),
    ("int8", {"int8_min": "used", "rounding": "down", "nan_element": "signed-max"}),
    ("e5m2", {"scaled_intermediate": "float32"}),
    ("e4m3", {"scaled_intermediate": "bfloat16"}),
    ("e5m2", {"scaled_intermediate": "float16"}),
    (
        "e5m2",
        {"scaled_intermediate": "float16", "rounding": "toward-zero", "fp8_overflow": "overflow"},
    ),
    ("int8", {"scaled_intermediate": "bfloat16", "rounding": "up", "int8_min": "used"}),
    ("e3m2", {"input_subnormal": "flush"}),
    ("e2m3", {"element_subnormal": "flush"}),
    ("e2m1", {"element_subnormal": "flush", "rounding": "up", "neg_zero": "drop"}),
    ("e4m3", {"relu": "on"}),
    ("e2m1", {"relu": "on", "nan_payload": "signed", "nan_element": "flipped-zero"}),
]
FIELD_CASES = [(element, first, fields) for first, fields in FIELDS for element in FORMATS]


@pytest.mark.parametrize(
    ("element", "first", "fields"),
    cases(FIELD_CASES, lambda element, first, _: element.name == first),
    ids=by_name,
)
def test_every_choice(element, first, fields):  # noqa: ARG001  # `first` only marks the case
    assert_proven(element, Policy(**fields))


NARROW = [(e, s) for s in ("float32", "bfloat16", "float16") for e in FORMATS]


@pytest.mark.parametrize(
    ("element", "source"),
    cases(NARROW, lambda element, _: element.name in ("e5m2", "e2m1")),
    ids=by_name,
)
def test_narrow_sources(element, source):
    """A scalar cast of them is enumerated elsewhere; under a scale there are 255 times as many."""
    assert_proven(element, Policy(), source)
    assert_proven(element, Policy(rounding="to-odd", input_subnormal="flush"), source)


VARIANTS = [(e, s) for s in ("float32", "float64") for e in FORMATS]


@pytest.mark.parametrize(
    ("element", "source"), cases(VARIANTS, lambda element, _: element.name == "e2m1"), ids=by_name
)
def test_every_variant(element, source):
    """Loops leave parts of the encoder out where a block is plain; all variants give one code."""
    for rounding in ("nearest-even", "up"):
        assert_proven(element, Policy(rounding=rounding), source, "quick")
        assert_proven(element, Policy(rounding=rounding), source, "complete")
