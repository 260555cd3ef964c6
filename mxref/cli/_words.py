"""Policy choices in plain words: what a kernel does, for a reader who knows no field names."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["in_words"]

_WORDS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("scale_rule", "floor"): "scale from floor(log2 amax)",
        ("scale_rule", "ceil"): "scale from ceil(log2 amax)",
        ("scale_rule", "rceil"): "scale rounded up until nothing saturates",
        ("scale_rule", "even"): "scale from amax rounded to the element's mantissa",
        ("scale_rule", "even-down"): "scale from amax rounded to the element's mantissa, ties down",
        ("scale_rule", "tosa"): "smallest scale at which amax does not round beyond max",
        ("scale_rule", "nearest-log"): "scale from the nearest exponent",
        ("scale_rule", "plus-one"): "scale twice that of the standard's recipe",
        ("scale_zero_block", "one"): "a block of zeros gets the scale 1",
        ("scale_zero_block", "minus-emax"): "a block of zeros gets the scale of amax 1",
        ("scale_zero_block", "nan"): "a block of zeros gets the NaN scale",
        ("scale_nan", "nan-scale"): "NaN in a block gives the NaN scale",
        ("scale_nan", "ignore"): "NaN in a block does not change the scale",
        ("scale_nan", "raise"): "blocks that hold NaN are refused",
        ("scale_inf", "nan-scale"): "infinity in a block gives the NaN scale",
        ("scale_inf", "saturate"): "infinity in a block gives the largest scale",
        ("scale_inf", "ignore"): "infinity in a block does not change the scale",
        ("scale_inf", "raise"): "blocks that hold infinity are refused",
        ("scale_above", "nan"): "a scale above 2^127 becomes NaN",
        ("e8m0_rounding", "down"): "rounds down to a power of two",
        ("e8m0_rounding", "up"): "rounds up to a power of two",
        ("e8m0_rounding", "nearest"): "rounds to the nearest power of two, 1.5 goes up",
        ("e8m0_zero", "min"): "0 becomes 2^-127",
        ("e8m0_zero", "nan"): "0 becomes NaN",
        ("e8m0_negative", "nan"): "negative numbers become NaN",
        ("e8m0_negative", "magnitude"): "the sign is dropped",
        ("e8m0_inf", "nan"): "infinity becomes NaN",
        ("e8m0_inf", "saturate"): "infinity becomes the largest scale",
        ("e8m0_overflow", "saturate"): "numbers that round to 2^128 become 2^127",
        ("e8m0_overflow", "nan"): "numbers that round to 2^128 become NaN",
        ("rounding", "nearest-even"): "rounds to nearest, ties to even",
        ("rounding", "nearest-away"): "rounds ties away from zero",
        ("rounding", "nearest-down"): "rounds ties toward zero",
        ("rounding", "toward-zero"): "truncates",
        ("rounding", "up"): "rounds up",
        ("rounding", "down"): "rounds down",
        ("rounding", "to-odd"): "rounds to odd",
        ("fp8_overflow", "saturate"): "overflow saturates",
        ("fp8_overflow", "overflow"): "overflow becomes NaN (E4M3) or infinity (E5M2)",
        ("nan_element", "pos-max"): "NaN becomes the largest value",
        ("nan_element", "signed-max"): "NaN becomes the largest magnitude, with its sign",
        ("nan_element", "zero"): "NaN becomes zero",
        ("nan_element", "flipped-zero"): "NaN becomes zero of the opposite sign",
        ("nan_element", "raise"): "NaN is refused",
        ("nan_payload", "canonical"): "every NaN becomes 0x7f",
        ("nan_payload", "signed"): "NaN keeps its sign",
        ("nan_payload", "quiet-signed"): "NaN keeps its sign (in E5M2 as 0x7e or 0xfe)",
        ("neg_zero", "keep"): "-0 is kept",
        ("neg_zero", "drop"): "-0 becomes +0",
        ("int8_min", "unused"): "INT8 never uses the code -128",
        ("int8_min", "used"): "INT8 uses the code -128",
        ("decode_overflow", "inf"): "values beyond float32 become infinity",
        ("decode_overflow", "saturate"): "values beyond float32 saturate",
        ("decode_nan", "canonical"): "every NaN decodes to 0x7fc00000",
        ("decode_nan", "signed"): "NaN decodes with the sign of its code",
    }
)

_IN_FORMAT: Mapping[tuple[str, str], dict[str, str]] = MappingProxyType(
    {
        ("fp8_overflow", "overflow"): {
            "e4m3": "overflow becomes NaN",
            "e5m2": "overflow becomes infinity",
        },
        ("nan_payload", "quiet-signed"): {
            "e4m3": "NaN keeps its sign",
            "e5m2": "NaN keeps its sign and becomes 0x7e or 0xfe",
        },
    }
)


def in_words(field: str, choice: str, format: str = "") -> str:  # noqa: A002
    """Say what a kernel with this choice does; the same choice may mean two things in two formats.

    Examples
    --------
    >>> in_words("fp8_overflow", "overflow", "mxfp8_e4m3")
    'overflow becomes NaN'
    >>> in_words("e8m0_zero", "nan")
    '0 becomes NaN'
    >>> in_words("packing", "byte-per-code")
    'packing = byte-per-code'
    """
    for element, words in _IN_FORMAT.get((field, choice), {}).items():
        if format.endswith(element):
            return words
    return _WORDS.get((field, choice), f"{field} = {choice}")
