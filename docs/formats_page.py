"""docs/reference/formats/: a page for each format, with its values and its pictures.

All of it is asked of `mxref.formats` and of the exact definition.
"""

from __future__ import annotations

import textwrap
from fractions import Fraction

import format_pictures as pictures

from mxref import bdr, nvfp4
from mxref.exact import element, scale
from mxref.exact.number import NumberClass
from mxref.formats import (
    BLOCK_FORMATS,
    ELEMENT_FORMATS,
    MX_BLOCK_SIZE,
    SCALE_FORMATS,
    Kind,
    scalar_format,
)

SAID = {
    "e4m3": "FP8 with more precision: the usual type of weights and activations.",
    "e5m2": "FP8 with more range: the usual type of gradients. The only one with infinities.",
    "e3m2": "FP6 with more range.",
    "e2m3": "FP6 with more precision.",
    "e2m1": "FP4: sixteen codes, fifteen values.",
    "int8": "An integer of 8 bits in units of 1/64, in two's complement.",
    "e8m0": "The scale of every MX block: a power of two, without a sign and without zero.",
    "ue4m3": "The scale of an NVFP4 block: E4M3 whose sign is not used.",
}


INTEGERS = ("sign-magnitude", "twos-complement")  # elements without exponents of their own
UE4M3_CODES = 128
UE4M3_CLAUSE = "OP-NVFP4-RECIPE"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def power(value):
    """An exact value: as a decimal where it is short, and else as n × 2^k."""
    value = Fraction(value)
    decimal = f"{float(value):.12g}"
    if Fraction(decimal) == value and len(decimal) <= 9 and "e" not in decimal:
        return decimal
    down = value.denominator.bit_length() - 1
    up = (value.numerator & -value.numerator).bit_length() - 1
    odd = value.numerator >> up
    return f"2^{up - down}" if odd == 1 else f"{odd} × 2^{up - down}"


def said_of_code(code, fmt):
    """What a code stands for, as a cell says it."""
    number = scale.decode(code, fmt) if fmt.name == "e8m0" else element.decode(code, fmt)
    special = {NumberClass.NAN: "NaN", NumberClass.INF: "Inf"}.get(number.cls)
    return special or power(number.value)


def hexadecimal(code, fmt):
    """A code with as many digits as its bits need, as `mxref show` writes it."""
    return f"`0x{code:0{-(-fmt.bits // 4)}x}`"


def codes_of(name, fmt):
    """The codes of a format; UE4M3 has a bit in front of them that is not used."""
    return range(UE4M3_CODES if name == "ue4m3" else fmt.code_count)


def facts(name, fmt):
    """The facts of a format, in rows."""
    codes = codes_of(name, fmt)
    finite = [(value, code) for value, code in pictures.values(fmt) if code in codes]
    least = min(value for value, _ in finite if value > 0)
    is_float = name == "e8m0" or fmt.kind is Kind.FLOAT
    rows = [("bits", "7, and one that is not used" if name == "ue4m3" else f"{fmt.bits}")]
    if is_float:
        rows.append(("bias", f"{fmt.bias}"))
        rows.append(("emax: the exponent of the largest", f"{fmt.emax}"))
    else:
        rows.append(("unit: the value of code 1", power(least)))
    rows.append(("finite codes", f"{len(finite)}"))
    largest, at = max(finite)
    rows.append(("largest", f"{power(largest)} ({hexadecimal(at, fmt)})"))
    if name != "e8m0" and is_float:
        rows.append(("smallest normal", power(fmt.min_normal)))
        rows.append(("smallest subnormal", power(least)))
    elif is_float:
        rows.append(("smallest", power(least)))
    specials = {"NaN": [], "Inf": []}
    for code in codes:
        text = said_of_code(code, fmt)
        if text in specials:
            specials[text].append(hexadecimal(code, fmt))
    rows += [(word, ", ".join(codes) or "none") for word, codes in specials.items()]
    rows.append(("used by", ", ".join(users(name, fmt))))
    clause = UE4M3_CLAUSE if name == "ue4m3" else fmt.clause
    rows.append(("clause", f"`{clause}`"))
    return table(("", ""), rows)


def users(name, fmt):
    """The block formats whose elements or scales a format is."""
    found = [f"`{n}`" for n, b in BLOCK_FORMATS.items() if fmt in (b.element, b.scale)]
    if name == "ue4m3":
        return ["`nvfp4`"]
    return [*found, "`nvfp4`"] if fmt == nvfp4.FORMAT.element else found


def grid(fmt, codes, columns):
    """The values of codes in a row for each exponent; the code is the sum of row and column."""
    head = ["code", *(f"+{i:x}" for i in range(columns))]
    rows = []
    for first in codes[::columns]:
        cells = [said_of_code(first + i, fmt) for i in range(columns)]
        rows.append((hexadecimal(first, fmt), *cells))
    return table(head, rows)


def value_table(fmt):
    """Each code with its value; of a format with a sign, those of one sign where that says all."""
    if fmt.name == "e8m0":
        return "", grid(fmt, range(fmt.code_count), 8)
    if fmt.kind is Kind.FIXED:
        return "", grid(fmt, range(fmt.code_count), 8)
    mask = fmt.sign_mask
    return (
        f"Codes from {hexadecimal(mask, fmt)} on are the same with a minus sign, −0 among them. ",
        grid(fmt, range(mask), max(2, 1 << fmt.mantissa_bits)),
    )


def format_page(name, note):
    """The page of a format, and its pictures."""
    fmt = scalar_format("e4m3" if name == "ue4m3" else name)
    signless = name == "ue4m3"
    prose, cells = value_table(fmt)
    if signless:
        prose = "The values are those of [E4M3](e4m3.md) without its sign. "
    rows = "one row for each exponent" if prose else "eight codes in a row"
    drawn = {}
    pictured = ""
    if not signless:
        drawn = {
            f"pictures/format-{name}-bits.svg": pictures.bits(fmt),
            f"pictures/format-{name}-values.svg": pictures.lines(fmt),
        }
        pictured = (
            f"![The bits of {name}](../../pictures/format-{name}-bits.svg)\n\n"
            f"![The values of {name} on a line](../../pictures/format-{name}-values.svg)\n\n"
        )
    example = "0x38" if fmt.bits == 8 else "0x1"
    prose = textwrap.fill(
        f"{prose}A code is the sum of its row and its column, {rows}; every value is exact.", 100
    )
    page = f"""# {name.upper()}

{note}
{SAID[name]}

{pictured}{facts(name, fmt)}

## Values

{prose}

{cells}

`mxref show {name}` prints them, and `mxref show {name} {example}` one code with its neighbours and
with what rounds to it. [Clauses](../../clauses.md) has the sources.
"""
    return page, drawn


def block_page(note):
    """The page of the MX block formats, and its pictures."""
    rows, parts, drawn = [], [], {}
    for name, fmt in BLOCK_FORMATS.items():
        each = Fraction(fmt.block_bits, fmt.block_size)
        top = fmt.element.max
        rows.append(
            (
                f"`{name}`",
                f"[{fmt.element.name.upper()}]({fmt.element.name}.md)",
                f"[{fmt.scale.name.upper()}]({fmt.scale.name}.md)",
                f"{fmt.block_size}",
                power(each),
                power(top),
                f"`{fmt.element.clause}`",
            )
        )
        file = f"pictures/format-{name}-block.svg"
        drawn[file] = pictures.block(fmt)
        parts.append(
            f"## {name}\n\n![A block of {name}: one scale, then its elements](../../{file})\n\n"
            f"The value of element *i* is `scale × element[i]`. The largest is "
            f"{power(top)} × 2^{fmt.scale.emax}, at the largest scale; as float32, what does not "
            "fit is what [OP-DECODE-OVERFLOW](../open-points.md#op-decode-overflow) says.\n"
        )
    head = ("format", "element", "scale", "elements", "bits each", "largest element", "clause")
    return (
        f"""# MX block formats

{note}
A block is {MX_BLOCK_SIZE} elements that share one scale. Other block sizes are written
`mxfp4/16`. *Bits each* counts the share of the scale. How codes and scale codes lie in memory is
open: [layouts](../../layouts.md) draws what is in use.

{table(head, rows)}

{chr(10).join(parts)}
How a scale is chosen, and what happens to elements beyond the largest, is
[policy](../../policy.md).
""",
        drawn,
    )


def relatives_formats_page(note):
    """NVFP4 and the BDR formats: parameters, and where each is described."""
    rows = [
        (
            f"`{name}`",
            f"{point.m}" if str(point.element) in INTEGERS else f"{point.m}, leading 1 included",
            f"{point.k1 or 'tensor'} × {point.scale}",
            f"{point.k2} × {point.subscale}" if point.d2 else "none",
            str(point.element),
            power(point.bits_per_element),
        )
        for name, point in bdr.FORMATS.items()
    ]
    fmt = nvfp4.FORMAT
    file = "pictures/format-nvfp4-block.svg"
    head = ("format", "m", "elements × scale", "elements × subscale", "element", "bits each")
    return (
        f"""# The relatives: NVFP4 and BDR

{note}
What OCP does not define, and mxref quantizes, checks and multiplies all the same;
[relatives](../../relatives.md) has their policies and profiles.

## nvfp4

![A block of NVFP4: one scale, then its elements](../../{file})

{fmt.block_size} elements in [E2M1](e2m1.md) share a scale in [UE4M3](ue4m3.md), and the whole array
shares one float32. The value of element *i* is `e2m1 × ue4m3 × global_scale`.

## BDR

Block data representations have one or two levels of scales: a block shares a scale, and small
groups within it a subscale. `m` is the number of bits of magnitude that an element has beside its
sign; where the elements are floating-point numbers it is the length of their significand, and the
exponent comes on top.

{table(head, rows)}

Any other point is written as its parameters: `bdr:m=5,k1=16`.
""",
        {file: pictures.block(fmt)},
    )


def index_page(note):
    """The list of formats."""
    rows = []
    for name in (*ELEMENT_FORMATS, *SCALE_FORMATS, "ue4m3"):
        fmt = scalar_format("e4m3" if name == "ue4m3" else name)
        largest = max(value for value, _ in pictures.values(fmt))
        rows.append((f"[{name.upper()}]({name}.md)", f"{fmt.bits}", power(largest), SAID[name]))
    tree = "\n".join((*ELEMENT_FORMATS, *SCALE_FORMATS, "ue4m3", "block-formats", "relatives"))
    return f"""# Formats

{note}
```{{toctree}}
:hidden:

{tree}
```

{table(("format", "bits", "largest", "what it is"), rows)}

[MX block formats](block-formats.md) puts them together: `mxfp8_e4m3`, `mxfp8_e5m2`, `mxfp6_e3m2`,
`mxfp6_e2m3`, `mxfp4`, `mxint8`. [The relatives](relatives.md) are NVFP4, MX9, MX6, MX4, MSFP and
the rest of BDR.
"""


def format_pages(note):
    """Every page and picture, by file name below docs/."""
    made = {"reference/formats/index.md": index_page(note)}
    for name in SAID:
        made[f"reference/formats/{name}.md"], drawn = format_page(name, note)
        made |= drawn
    for name, page in (("block-formats", block_page), ("relatives", relatives_formats_page)):
        made[f"reference/formats/{name}.md"], drawn = page(note)
        made |= drawn
    return made
