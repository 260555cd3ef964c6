"""Casts to E8M0 are right for every float64 and float32, either sign: proven with z3."""

import pytest
from obligations import wrong_cast

from mxref.policy import Policy

ROUNDINGS = ["down", "up", "nearest", "nearest-even"]
FIELDS = [
    {},
    {"e8m0_overflow": "nan", "e8m0_underflow": "nan", "e8m0_inf": "saturate"},
    {"e8m0_subnormal": "bits", "e8m0_zero": "nan", "e8m0_negative": "magnitude"},
]


@pytest.mark.parametrize("source", ["float32", "float64"])
@pytest.mark.parametrize("fields", FIELDS, ids=lambda f: ",".join(f.values()) or "ocp")
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_every_cast(rounding, fields, source):
    word = wrong_cast(Policy(e8m0_rounding=rounding, **fields), source)
    assert word is None, f"{source} {word:#x}"
