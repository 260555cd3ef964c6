"""What a format is, in a few lines or as data."""

from __future__ import annotations

from mxref.formats import ScaleFormat
from mxref.relatives.bdr_format import BDRFormat, Element, ScaleKind, SubscaleKind
from mxref.relatives.bdr_formats import EVIDENCE
from mxref.relatives.nvfp4_format import NVFP4Format
from mxref.show._books import Book
from mxref.show._text import decimal, field, joined, powers, ratio

__all__ = ["bdr_summary", "nvfp4_summary", "parameters", "summary"]


def _special_codes(book: Book, cls: str) -> list[int]:
    return [code for code in range(book.code_count) if book.cls(code) == cls]


def parameters(book: Book) -> dict[str, object]:
    """Return what the summary of a scalar format tells."""
    fmt = getattr(book.format, "scale", book.format)  # of NVFP4 its scale
    common: dict[str, object] = {
        "format": book.name,
        "bits": book.bits,
        "bias": fmt.bias,
        "emin": fmt.emin,
        "emax": fmt.emax,
        "nan": _special_codes(book, "NaN"),
        "inf": _special_codes(book, "Inf"),
        "clause": book.clause,
    }
    if isinstance(fmt, ScaleFormat):
        return common
    return {
        **common,
        "exponent_bits": fmt.exponent_bits,
        "mantissa_bits": fmt.mantissa_bits,
        "max": ratio(fmt.max),
        "min_normal": None if fmt.min_normal is None else ratio(fmt.min_normal),
        "min_subnormal": ratio(fmt.min_subnormal),
    }


def summary(book: Book) -> list[str]:
    """Return the summary of a scalar format as lines."""
    fmt = getattr(book.format, "scale", book.format)
    widths = " + ".join(f"{len(bits)} {name}" for name, bits in book.fields(0))
    lines = [f"{book.name}: {book.bits} bits = {widths}"]
    if isinstance(fmt, ScaleFormat):
        lines += field("value", f"2^(code - {fmt.bias})", [fmt.clause])
        lines += field("range", f"2^{fmt.emin} to 2^{fmt.emax}; no zero, no sign")
    elif fmt.min_normal is None:
        integer = f"two's complement integer * {powers(fmt.min_subnormal)}"
        lines += field("value", integer, [fmt.clause])
        lines += field("max", joined(fmt.max))
        lines += field("step", joined(fmt.min_subnormal))
    else:
        exponents = f"bias {fmt.bias}, {fmt.emin} to {fmt.emax} (emax)"
        lines += field("exponent", exponents, [book.clause])
        lines += field("max", joined(fmt.max))
        lines += field("min normal", joined(fmt.min_normal))
        lines += field("subnormal", f"{joined(fmt.min_subnormal)} is the smallest")
    return lines + field("special", f"NaN {_listed(book, 'NaN')}; Inf {_listed(book, 'Inf')}")


def _listed(book: Book, cls: str) -> str:
    return " ".join(f"0x{code:02x}" for code in _special_codes(book, cls)) or "none"


def nvfp4_summary(fmt: NVFP4Format) -> list[str]:
    """Return what a block of NVFP4 is, as lines."""
    element, scale = fmt.element, fmt.scale
    block_bits = scale.bits + fmt.block_size * element.bits
    parts = f"{fmt.block_size} elements {element.name} share one scale ue4m3, all one float32"
    lines = [f"{fmt.name}: {parts}"]
    bits = f"{scale.bits} + {fmt.block_size} * {element.bits} = {block_bits} a block"
    lines += field("bits", f"{bits}, {decimal(fmt.bits_per_element)} an element")
    lines += field("value", "global_scale * scale * element i", ["OP-NVFP4-RECIPE"])
    low, high = fmt.scale_min * element.min_subnormal, fmt.scale_max * fmt.element_max
    lines += field("range", f"{powers(low)} to {powers(high)} times global_scale, and zero")
    return lines


def bdr_summary(fmt: BDRFormat) -> list[str]:
    """Return what a block of a BDR format is, as lines."""
    whole = "the whole tensor" if fmt.k1 is None else f"blocks of {fmt.k1}"
    lines = [f"{fmt.name}: {whole}, {decimal(fmt.bits_per_element)} bits an element"]
    kind = {
        Element.SIGN_MAGNITUDE: f"sign and {fmt.m} bits of magnitude M, none of them hidden",
        Element.TWOS_COMPLEMENT: f"two's complement integer of {fmt.m + 1} bits",
    }.get(fmt.element, f"OFP8 {fmt.element}")
    lines += field("element", kind)
    scale = f"2^(E - {fmt.bias}), E of {fmt.d1} bits, 0x{fmt.nan_scale:02x} is NaN"
    if fmt.scale is ScaleKind.FLOAT32:
        scale = "s, a float32"
    lines += field("scale", scale)
    if fmt.has_subscales:
        shift = f"2^-D, D of {fmt.d2} bit{'s' if fmt.d2 > 1 else ''}"
        level = shift if fmt.subscale is SubscaleKind.POW2 else f"ss, an integer of {fmt.d2} bits"
        lines += field("sub-scale", f"{level}, for every {fmt.k2} elements")
    if fmt.block_bits is not None:
        lines += field("bits", f"{fmt.block_bits} a block, everything included")
    lines += field("value", fmt.formula, ["OP-BDR-QUANTIZER"])
    lines += field("largest", f"{joined(fmt.largest)}, before the scales")
    lines += field("step", f"{joined(fmt.step)}, around zero")
    if (source := EVIDENCE.get(fmt.name)) is not None:
        lines += field("source", source)
    return lines
