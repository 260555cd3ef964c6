"""The class `BDRPolicy`: a field for each open point of a BDR quantizer (OP-BDR-QUANTIZER)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from mxref._choices import StochasticBits
from mxref._policy_base import Choices, choose, reasons_of
from mxref.relatives import bdr_choices as choice

__all__ = ["BDR_NAMED", "BDR_REASONS", "BDRPolicy"]

_POINT = "OP-BDR-QUANTIZER"

BDR_NAMED: dict[str, Choices] = {}
"""The policies that `BDRPolicy.name` knows; ``bdr_profiles`` enters them."""


@dataclass(frozen=True, kw_only=True)
class BDRPolicy(Choices):
    """One complete, frozen assignment of what a BDR quantizer leaves open.

    Every field accepts its enum member or that member's string. The defaults are the profile
    ``bdr-paper``.

    Raises
    ------
    ValueError
        If a string names no member of the field's enumeration.

    Examples
    --------
    >>> str(BDRPolicy(shared_exponent="after-rounding"))
    'bdr-paper:shared_exponent=after-rounding'
    """

    BASE: ClassVar[str] = "bdr-paper"
    KNOWN: ClassVar[dict[str, Choices]] = BDR_NAMED

    shared_exponent: choice.SharedExponent = choose(
        _POINT,
        choice.SharedExponent.BEFORE_ROUNDING,
        "the exponent of the largest magnitude; AMD Quark, the one public quantizer of MX9 and "
        "MX6, clamps in both of its kernels",
    )
    rounding: choice.BDRRounding = choose(
        _POINT,
        choice.BDRRounding.NEAREST_EVEN,
        "that of Quark's torch path and of its ONNX defaults, and of the MX formats",
    )
    stochastic_bits: StochasticBits = choose(
        _POINT,
        StochasticBits.N16,
        "unused while rounding is deterministic; the same default as for the MX formats",
    )
    input_subnormal: choice.InputSubnormal = choose(
        _POINT,
        choice.InputSubnormal.KEEP,
        "the framework is stated over reals, and a subnormal input is one like any other",
    )
    nan: choice.BDRNan = choose(
        _POINT,
        choice.BDRNan.NAN_SCALE,
        "a NaN must not turn into finite numbers, and no integer element has a code for it",
    )
    inf: choice.BDRInf = choose(
        _POINT,
        choice.BDRInf.NAN_SCALE,
        "infinity has no exponent to share; Quark's BFPPrime gives NaN",
    )
    zero_block: choice.ZeroBlock = choose(
        _POINT,
        choice.ZeroBlock.MIN,
        "the exponent field of zero is 0, and so is the largest of a block of zeros",
    )
    zero_subblock: choice.ZeroSubblock = choose(
        _POINT,
        choice.ZeroSubblock.LEAST_EXPONENT,
        "the exponent field of zero is 0, and the shift reaches as far as it can (Quark)",
    )
    scale_above: choice.ScaleAbove = choose(
        _POINT,
        choice.ScaleAbove.CLAMP,
        "the nearest scale that exists; elements then saturate",
    )
    scale_below: choice.ScaleBelow = choose(
        _POINT,
        choice.ScaleBelow.CLAMP,
        "the nearest scale that exists; elements keep what precision is left",
    )
    shift: choice.Shift = choose(
        _POINT,
        choice.Shift.SUBBLOCK_MAX,
        "what a microexponent is for",
    )
    neg_zero: choice.NegZero = choose(
        _POINT,
        choice.NegZero.KEEP,
        "sign and magnitude have a code for it, and Quark keeps it",
    )
    int_min: choice.IntMin = choose(
        _POINT,
        choice.IntMin.UNUSED,
        "the symmetric range has no bias, and amax / (2**m - 1) asks for no more",
    )
    scale_quotient: choice.ScaleQuotient = choose(
        _POINT,
        choice.ScaleQuotient.DIVIDE,
        "a float32 scale is rounded once at least; this is no more than once",
    )
    element_quotient: choice.ElementQuotient = choose(
        _POINT,
        choice.ElementQuotient.EXACT,
        "an exact quotient has no rounding to argue about",
    )
    subscale_rounding: choice.SubscaleRounding = choose(
        _POINT,
        choice.SubscaleRounding.NEAREST_EVEN,
        "as the elements are rounded",
    )
    element_divisor: choice.ElementDivisor = choose(
        _POINT,
        choice.ElementDivisor.ROUNDED,
        "elements are then nearest under the scales that a reader sees",
    )


BDR_REASONS: Mapping[str, str] = reasons_of(BDRPolicy)
"""Why ``bdr-paper`` chooses what it chooses, by field."""
