"""Profiles of standards and instruction sets, read from their texts."""

from __future__ import annotations

from mxref.profiles._profile import OPERATIONS, Profile, profile

__all__ = ["PROFILES"]

_TOSA = "https://github.com/arm/tosa-specification/blob/cd5acdd/"
_P3109 = "https://github.com/P3109/Public/blob/26df0d0/IEEE%20P3109%20WG%20Interim%20Report.pdf"
_RISCV = "https://github.com/aswaterman/riscv-misc/blob/b38069a/isa/zvfofp8min.adoc"

PROFILES: tuple[Profile, ...] = (
    profile(
        "ocp",
        "OCP MX 1.0 and OFP8 1.0 with the reasons of `mxref profiles show ocp`",
        {},
        versions="MX 1.0, OFP8 1.0",
        operations=OPERATIONS,
    ),
    profile(
        "tosa-1.1",
        "Arm TOSA 1.1, operator CAST to and from block-scaled types",
        {
            "scale_rule": (
                "tosa",
                _TOSA + "pseudocode/library/numeric_conversion_helpers.tosac "
                "(calc_block_scale, get_largest_value_rounding_to_normal_max)",
            ),
            "fp8_overflow": (
                "overflow",
                _TOSA + "chapters/type_conversion.adoc (CAST to fp8: the non-saturating conversion "
                "mode of OFP8)",
            ),
            "int8_min": (
                "used",
                _TOSA + "pseudocode/library/numeric_accuracy_helpers.tosac "
                "(normal_lowest of mxint8_t is -2)",
            ),
        },
        versions="1.1, repository at cd5acdd (2026-08-07)",
        operations=("quantize", "dequantize"),
        divergences=(
            (
                "The text accepts more than this one answer: a scale and elements off by one unit "
                "in the last place (two for E4M3 elements), rounding toward zero, flushed "
                "subnormal inputs, and anything at all where the scale is NaN."
            ),
            (
                "Casts of single numbers exist to and from E4M3 and E5M2 only, and a NaN may be "
                "any NaN; they are not described here."
            ),
        ),
    ),
    profile(
        "p3109",
        "IEEE P3109, ConvertToBlockMaxAbsFinite with (NearestTiesToEven, SatNone) onto OCP formats",
        {
            "scale_rule": (
                "p3109",
                _P3109 + " (section 5.2.3: the maximum is projected)",
            ),
            "scale_nan": ("ignore", _P3109 + " (section 5.2.3: the maximum over finite values)"),
            "scale_inf": ("ignore", _P3109 + " (section 5.2.3, note 3)"),
            "fp8_overflow": (
                "sat-none",
                _P3109 + " (section 4.5 requires SatNone, section 4.7.5 defines it)",
            ),
            "neg_zero": ("drop", _P3109 + " (section 3.1, note 1: there is no negative zero)"),
            "e8m0_rounding": ("nearest-even", _P3109 + " (section 4.7.4, NearestTiesToEven)"),
            "e8m0_inf": (
                "saturate",
                _P3109 + " (section 4.7.5: SatNone gives the largest value where there is no "
                "infinity)",
            ),
        },
        versions="interim report v4.0 of 2026-06-26, repository at 26df0d0",
        operations=("quantize", "encode"),
        divergences=(
            (
                "P3109 has element and scale formats of its own, and a zero among its scales; "
                "applied to OCP formats, as here, its operations are a reading of ours."
            ),
            (
                "A block whose numbers are all NaN gets the NaN scale, and one whose numbers are "
                "all infinite the largest scale with elements of magnitude 1; here both get the "
                "scale of a block of zeros."
            ),
            (
                "Other rounding and saturation modes are parameters of the operation: write "
                "p3109:rounding=...,fp8_overflow=saturate or propagate."
            ),
        ),
    ),
    profile(
        "riscv-zvfofp",
        "RISC-V Zvfofp8min: vfncvt.f.f.q, vfncvtbf16.f.f.w and vfwcvtbf16.f.f.v under frm = RNE",
        {
            "fp8_overflow": (
                "overflow",
                _RISCV + " (infinite results become the canonical NaN in E4M3, infinity in E5M2; "
                "the .sat forms saturate)",
            ),
        },
        versions="Zvfofp8min 0.2.1, repository at b38069a (2026-01-28)",
        operations=("encode", "decode"),
        formats=("mxfp8_e4m3", "mxfp8_e5m2"),
        scale_cast=False,
        divergences=(
            "Sources are float32 and bfloat16; decoding gives bfloat16.",
            (
                "The rounding mode is dynamic, and the .sat forms saturate: write "
                "riscv-zvfofp:rounding=...,fp8_overflow=saturate."
            ),
            "There is no E8M0 instruction; scales are left to multiplications.",
        ),
    ),
)
"""The profiles."""
