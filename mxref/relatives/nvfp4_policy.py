"""`NVFP4Policy`: one answer to every question that NVFP4 leaves open.

No standard defines how NVFP4 is made: a policy names each step of a recipe. The defaults are the
profile ``te-1d``, TransformerEngine on one-dimensional blocks, which NVIDIA documents and which
most others approximate. Import it from ``mxref.nvfp4``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mxref._policy_base import Choices, choose, open_points_of, reasons_of
from mxref.relatives import nvfp4_choices as choice

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KNOWN", "OPEN_POINT_OF", "REASONS", "NVFP4Policy"]

_OPEN_POINT = "OP-NVFP4-RECIPE"
KNOWN: dict[str, Choices] = {}
"""The policies that `NVFP4Policy.name` knows; ``mxref.relatives.nvfp4_profiles`` enters them."""


@dataclass(frozen=True, kw_only=True)
class NVFP4Policy(Choices):
    """One complete, frozen recipe of NVFP4.

    Every field accepts its enum member or that member's string. The defaults are the profile
    ``te-1d``. ``mxref.relatives.nvfp4_choices`` says what each choice computes.

    Raises
    ------
    ValueError
        If a string names no member of the field's enumeration.

    Examples
    --------
    >>> NVFP4Policy(rounding="toward-zero").diff(NVFP4Policy())
    {'rounding': ('toward-zero', 'nearest-even')}
    """

    BASE: ClassVar[str] = "te-1d"
    KNOWN: ClassVar[dict[str, Choices]] = KNOWN

    levels: choice.Levels = choose(
        _OPEN_POINT,
        choice.Levels.TWO,
        "the definition of NVFP4: E4M3 alone has too little range for a tensor",
    )
    geometry: choice.Geometry = choose(
        _OPEN_POINT,
        choice.Geometry.ONE_D,
        "16 along the reduction axis is what matrix instructions read",
    )
    global_order: choice.GlobalOrder = choose(
        _OPEN_POINT,
        choice.GlobalOrder.RECIPROCAL,
        "TE computes the encode scale first and inverts it",
    )
    global_zero: choice.GlobalZero = choose(
        _OPEN_POINT,
        choice.GlobalZero.ONE,
        "TE: a tensor of zeros must not divide by zero",
    )
    global_cap: choice.GlobalCap = choose(
        _OPEN_POINT,
        choice.GlobalCap.FLOAT32,
        "TE: 2688 / amax overflows for amax below 2**-116.6, and is then clamped",
    )
    scale_order: choice.ScaleOrder = choose(
        _OPEN_POINT,
        choice.ScaleOrder.FOLDED,
        "TE's kernels for 1 x 16 fold 1/6 into the encode scale, and its tests want those bits",
    )
    scale_top: choice.ScaleTop = choose(
        _OPEN_POINT,
        choice.ScaleTop.FULL,
        "the whole range of E4M3, where no scale has to grow afterwards",
    )
    scale_least: choice.ScaleLeast = choose(
        _OPEN_POINT,
        choice.ScaleLeast.ZERO,
        "TE bounds nothing: E4M3 underflows gradually, then to zero",
    )
    scale_zero: choice.ScaleZero = choose(
        _OPEN_POINT,
        choice.ScaleZero.KEEP,
        "TE: a block that is too small for its tensor has the scale zero",
    )
    scale_rounding: choice.ScaleRounding = choose(
        _OPEN_POINT,
        choice.ScaleRounding.NEAREST_EVEN,
        "the one rounding that PTX has for E4M3",
    )
    scale_overflow: choice.ScaleOverflow = choose(
        _OPEN_POINT,
        choice.ScaleOverflow.SATURATE,
        "PTX demands satfinite for E4M3; only float32 rounding can reach beyond 448 at all",
    )
    scale_sign: choice.ScaleSign = choose(
        _OPEN_POINT,
        choice.ScaleSign.IGNORE,
        "UE4M3 has no sign; no recipe but one that divides 0 by 0 sets the bit",
    )
    element_order: choice.ElementOrder = choose(
        _OPEN_POINT,
        choice.ElementOrder.RECIPROCAL,
        "TE multiplies by the reciprocal of the scale that is stored",
    )
    factor_type: choice.FactorType = choose(
        _OPEN_POINT,
        choice.FactorType.FLOAT32,
        "TE without fast math",
    )
    factor_cap: choice.FactorCap = choose(
        _OPEN_POINT,
        choice.FactorCap.CLAMP,
        "TE: under a scale of zero, zeros must not become NaN",
    )
    zero_scale: choice.ZeroScale = choose(
        _OPEN_POINT,
        choice.ZeroScale.ARITHMETIC,
        "TE's kernels have no case of their own for it; the scale hides what the codes say",
    )
    target: choice.Target = choose(
        _OPEN_POINT,
        choice.Target.SIX,
        "the whole range of E2M1",
    )
    selection: choice.Selection = choose(
        _OPEN_POINT,
        choice.Selection.MAE,
        "unused unless the target is four-over-six; the default of TE's option",
    )
    selection_order: choice.SelectionOrder = choose(
        _OPEN_POINT,
        choice.SelectionOrder.FLOAT32,
        "unused unless the target is four-over-six; TE's order",
    )
    rounding: choice.Rounding = choose(
        _OPEN_POINT,
        choice.Rounding.NEAREST_EVEN,
        "PTX cvt.rn; TE rounds stochastically for gradients only, and then on demand",
    )
    stochastic_bits: choice.RandomBits = choose(
        _OPEN_POINT,
        choice.RandomBits.EIGHT,
        "unused while rounding is deterministic; PTX cvt.rs gives an E2M1 element 8",
    )
    neg_zero: choice.NegZero = choose(
        _OPEN_POINT,
        choice.NegZero.KEEP,
        "PTX keeps the sign, and E2M1 has a code for it",
    )
    nan_element: choice.NanElement = choose(
        _OPEN_POINT,
        choice.NanElement.POS_MAX,
        "PTX satfinite: a format without NaN gives its largest number",
    )
    amax_nan: choice.AmaxNan = choose(
        _OPEN_POINT,
        choice.AmaxNan.IGNORE,
        "TE takes the maximum with fmaxf, which leaves NaN out",
    )
    float64: choice.Float64 = choose(
        _OPEN_POINT,
        choice.Float64.ROUND,
        "no recipe takes float64; to nearest is what a user would do by hand",
    )
    decode_order: choice.DecodeOrder = choose(
        _OPEN_POINT,
        choice.DecodeOrder.EXACT,
        "matrix instructions multiply the parts exactly",
    )


OPEN_POINT_OF: Mapping[str, str] = open_points_of(NVFP4Policy)
"""The open point that each field settles."""

REASONS: Mapping[str, str] = reasons_of(NVFP4Policy)
"""Why the defaults are what they are, by field."""
