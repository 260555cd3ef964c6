"""When two outputs of a case about NVFP4 or BDR count as equal."""

from __future__ import annotations

from mxref.exact import element, ieee
from mxref.exact.number import NumberClass
from mxref.relatives.bdr_format import BDRFormat
from mxref.vectors.lookup import RelativeFormat
from mxref.vectors.operations import OUT_FIELDS, Output

__all__ = ["rules_of", "same_output"]

_NAN_SCALE = {"nan-scale-hides-codes": 0xFF, "ue4m3-nan-hides-codes": 0x7F}


def rules_of(operation: str) -> tuple[str, ...]:
    """Names of the rules by which outputs of such a file are compared (see ``COMPARE_RULES``).

    Examples
    --------
    >>> rules_of("bdr_quantize")
    ('nan-scale-hides-codes',)
    """
    match operation:
        case "nvfp4_quantize":
            return ("any-nan", "ue4m3-nan-hides-codes")
        case "bdr_quantize":
            return ("nan-scale-hides-codes",)
        case "nvfp4_scale_encode" | "nvfp4_quantize_tensor":
            return ()
    return ("any-nan",)


def same_output(
    operation: str, fmt: RelativeFormat, rules: tuple[str, ...], got: Output, want: Output
) -> bool:
    """Whether two outputs count as equal under the rules of a file.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import bdr_format
    >>> nan, other = Output((0, 1), 0xFF, subscales=(0,)), Output((3, 3), 0xFF, subscales=(1,))
    >>> same_output("bdr_quantize", bdr_format("mx9"), ("nan-scale-hides-codes",), nan, other)
    True
    """
    if got == want:
        return True
    if len(got.bits) != len(want.bits) or got.scales != want.scales:
        return False
    loose = "any-nan" in rules
    if not _same_float32(got.global_scale, want.global_scale, loose=loose):
        return False
    is_float32 = operation == "scaled_quantize"
    if not _same_float32(got.scale, want.scale, loose=loose and is_float32):
        return False
    if any(want.scale == _NAN_SCALE.get(rule) and want.scale is not None for rule in rules):
        return True
    if got.subscales != want.subscales:
        return False
    return all(
        a == b or (loose and _is_nan(operation, fmt, a) and _is_nan(operation, fmt, b))
        for a, b in zip(got.bits, want.bits, strict=True)
    )


def _same_float32(got: int | None, want: int | None, *, loose: bool) -> bool:
    if got == want:
        return True
    return loose and None not in (got, want) and _is_float32_nan(got) and _is_float32_nan(want)


def _is_float32_nan(bits: int | None) -> bool:
    return bits is not None and ieee.from_bits(bits, "float32").cls is NumberClass.NAN


def _is_nan(operation: str, fmt: RelativeFormat, bits: int) -> bool:
    if OUT_FIELDS[operation][-1].kind == "value":
        return _is_float32_nan(bits)
    own = fmt.float_element if isinstance(fmt, BDRFormat) else None
    return own is not None and element.decode(bits, own).cls is NumberClass.NAN
