"""Which variant of the NVFP4 loops a policy needs: small integers that they are compiled for."""

from __future__ import annotations

from typing import NamedTuple

from mxref.kernels import _nvfp4_tables as tables
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = [
    "BY_CODE",
    "COMMON",
    "EVEN",
    "OVER",
    "SOURCES",
    "TIMES",
    "ElementOptions",
    "ScaleOptions",
    "divides",
    "element_options",
    "scale_options",
]

TIMES, OVER = range(2)
"""What is done with the factor of a block, or of a tensor."""
EVEN, COMMON, BY_CODE = range(3)
"""How a magnitude becomes a code: to nearest even; by bounds; by bounds of each scale code."""
_SCALE_ROUNDINGS = {rounding: place for place, rounding in enumerate(choice.ScaleRounding)}
_NEG_ZEROS = {rule: place for place, rule in enumerate(choice.NegZero)}
# As in _nvfp4_lanes: POS_MAX, SIGNED_MAX, ZERO.
_NANS = {rule: place for place, rule in enumerate(choice.NanElement)}
_DIVIDES = (choice.ElementOrder.DIVIDE, choice.ElementOrder.DIVIDE_ENCODE)
SOURCES = {"float32": 0, "bfloat16": 1, "float16": 2}
"""How lanes are loaded."""


class ScaleOptions(NamedTuple):
    """What `nvfp4_scales` is compiled for."""

    step: int
    rounding: int


class ElementOptions(NamedTuple):
    """What `nvfp4_encode` is compiled for."""

    source: int
    step: int
    neg_zero: int
    nan: int
    bounds: int


def divides(policy: NVFP4Policy) -> bool:
    """Return whether elements are divided, not multiplied."""
    return policy.element_order in _DIVIDES


def scale_options(policy: NVFP4Policy) -> ScaleOptions:
    """Return the options of the scales of a policy."""
    multiplies = policy.scale_order in (choice.ScaleOrder.FOLDED, choice.ScaleOrder.DIVIDED)
    return ScaleOptions(TIMES if multiplies else OVER, _SCALE_ROUNDINGS[policy.scale_rounding])


def element_options(source: str, found: tables.Encoder, policy: NVFP4Policy) -> ElementOptions:
    """Return the options of elements of a source under an encoder."""
    bounds = COMMON
    if found.is_by_code:
        bounds = BY_CODE
    elif policy.rounding is choice.Rounding.NEAREST_EVEN:
        bounds = EVEN
    return ElementOptions(
        SOURCES[source],
        OVER if divides(policy) else TIMES,
        _NEG_ZEROS[policy.neg_zero],
        _NANS[policy.nan_element],
        bounds,
    )
