"""What a format is, in a few lines or as data."""

from __future__ import annotations

from mxref.formats import ScaleFormat
from mxref.show._facts import ScalarFormat, bit_fields, class_name
from mxref.show._text import field, joined, powers, ratio

__all__ = ["parameters", "summary"]


def _special_codes(fmt: ScalarFormat, cls: str) -> list[int]:
    return [code for code in range(fmt.code_count) if class_name(code, fmt) == cls]


def parameters(fmt: ScalarFormat) -> dict[str, object]:
    """Return what the summary of a format tells."""
    common: dict[str, object] = {
        "format": fmt.name,
        "bits": fmt.bits,
        "bias": fmt.bias,
        "emin": fmt.emin,
        "emax": fmt.emax,
        "nan": _special_codes(fmt, "NaN"),
        "inf": _special_codes(fmt, "Inf"),
        "clause": fmt.clause,
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


def summary(fmt: ScalarFormat) -> list[str]:
    """Return the summary of an element or scale format as lines."""
    widths = " + ".join(f"{len(bits)} {name}" for name, bits in bit_fields(0, fmt))
    lines = [f"{fmt.name}: {fmt.bits} bits = {widths}"]
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
        lines += field("exponent", exponents, [fmt.clause])
        lines += field("max", joined(fmt.max))
        lines += field("min normal", joined(fmt.min_normal))
        lines += field("subnormal", f"{joined(fmt.min_subnormal)} is the smallest")
    return lines + field("special", f"NaN {_listed(fmt, 'NaN')}; Inf {_listed(fmt, 'Inf')}")


def _listed(fmt: ScalarFormat, cls: str) -> str:
    return " ".join(f"0x{code:02x}" for code in _special_codes(fmt, cls)) or "none"
