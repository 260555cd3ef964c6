"""Pictures of a format, as SVG: its bits, and its values on a line.

Where the values lie comes from the exact definition; nothing is drawn that it did not say.
"""

from __future__ import annotations

from fractions import Fraction
from math import log2

from drawing import COLOURS, svg, text

from mxref.exact import element, scale
from mxref.exact.number import NumberClass
from mxref.formats import ELEMENT_FORMATS, SCALE_FORMATS, Kind

_SIGN, _EXPONENT, _MANTISSA = COLOURS[3], COLOURS[0], COLOURS[2]
WIDTH = 720
_LEFT, _RIGHT = 24, WIDTH - 24


def fields(fmt):
    """The fields of a code, the highest first: (name, colour, number of bits)."""
    if fmt.name in SCALE_FORMATS:
        return [("exponent", _EXPONENT, fmt.bits)]
    if fmt.kind is Kind.FIXED:
        return [("sign", _SIGN, 1), ("integer", _EXPONENT, 1), ("fraction", _MANTISSA, 6)]
    return [
        ("sign", _SIGN, 1),
        ("exponent", _EXPONENT, fmt.exponent_bits),
        ("mantissa", _MANTISSA, fmt.mantissa_bits),
    ]


def bits(fmt, cell=60):
    """The bits of a code, each with its number, and the fields that they form."""
    total = sum(count for _, _, count in fields(fmt))
    parts, x = [], 8
    for name, colour, count in fields(fmt):
        start = x
        for _ in range(count):
            total -= 1
            parts.append(
                f'<rect x="{x}" y="22" width="{cell}" height="30" fill="{colour}"/>'
                + text(x + cell / 2, 16, str(total), "t")
                + text(x + cell / 2, 42, "s" if name == "sign" else name[0])
            )
            x += cell
        parts.append(text((start + x) / 2, 68, name))
    return svg(x + 8, 78, f"The bits of {fmt.name}", parts)


def values(fmt):
    """Every finite value of a format, with its code."""
    if fmt.name in SCALE_FORMATS:
        codes = (code for code in range(fmt.code_count) if code != fmt.nan_code)
        return [(scale.decode(code, fmt).value, code) for code in codes]
    decoded = ((element.decode(code, fmt), code) for code in range(fmt.code_count))
    return [
        (number.value, code)
        for number, code in decoded
        if number.cls not in {NumberClass.NAN, NumberClass.INF}
    ]


def short(value):
    """A value in few letters, exactly: 0.375, or 2^-10."""
    value = Fraction(value)
    if value and value.numerator & (value.numerator - 1) == 0 and (value < 1 / 8 or value > 9999):
        return f"2^{round(log2(value))}"
    return f"{float(value):.12g}".replace("-", "−")


def _ticks(points, y, height):
    return "".join(
        f'<path d="M{x:.2f} {y - height:g}V{y + height:g}" stroke="{colour}" stroke-width="1.2"/>'
        for x, colour in points
    )


def _line(y):
    return f'<path d="M{_LEFT} {y}H{_RIGHT}" stroke="#444" stroke-width="1"/>'


def lines(fmt):
    """Two lines: the values as they lie, from the least to the largest, and by their logarithm."""
    found = sorted({value for value, _ in values(fmt)})
    parts, y = [], 40
    least, largest = found[0], found[-1]
    floats = fmt.name in ELEMENT_FORMATS and fmt.kind is Kind.FLOAT
    normal = fmt.min_normal if floats else 0
    if fmt.name not in SCALE_FORMATS:

        def place(value):
            return _LEFT + float((value - least) / (largest - least)) * (_RIGHT - _LEFT)

        parts += [text(_LEFT, 16, "as they lie", "s", "start"), _line(y)]
        parts.append(_ticks([(place(v), _colour(v, normal)) for v in found], y, 9))
        shown = [least, Fraction(0), largest, *([-normal, normal] if 8 * normal > largest else [])]
        parts += [text(place(v), y + 24, short(v), "t", _side(v, least, largest)) for v in shown]
        y += 74
    positive = [value for value in found if value > 0]
    low, high = log2(positive[0]), log2(positive[-1])

    def at(value):
        return _LEFT + (log2(value) - low) / (high - low) * (_RIGHT - _LEFT)

    parts += [text(_LEFT, y - 24, "above zero, each doubling as wide", "s", "start"), _line(y)]
    parts.append(_ticks([(at(v), _colour(v, normal)) for v in positive], y, 9))
    shown = [positive[0], positive[-1], *([normal] if normal and normal != positive[0] else [])]
    if normal != 1 and positive[0] < 1 < positive[-1]:
        shown.append(Fraction(1))
    parts += [
        text(at(v), y + 24, short(v), "t", _side(v, positive[0], positive[-1])) for v in shown
    ]
    if normal:
        parts.append(text(WIDTH / 2, y + 44, "red: subnormal, evenly spaced", "t"))
        y += 16
    return svg(WIDTH, y + 36, f"The values of {fmt.name}", parts)


def _colour(value, normal):
    return "#b3261e" if value and abs(value) < normal else "#0b57a4"


def _side(value, first, last):
    return "start" if value == first else "end" if value == last else "middle"


def block(fmt, per_bit=2.5):
    """A block of a block format: its scale, and its elements, each as wide as its bits."""
    wide, gap, left = fmt.element.bits * per_bit, 1, 64
    scale_wide = 8 * per_bit
    parts = [
        f'<rect x="8" y="22" width="{scale_wide:g}" height="30" fill="{COLOURS[1]}"/>',
        text(8, 14, "scale", "t", "start"),
        text(8, 66, f"8 bits, {fmt.scale.name}", "t", "start"),
        text(left + 56, 14, f"{fmt.block_size} elements", "t", "start"),
        text(left + 56, 66, f"{fmt.element.bits} bits each, {fmt.element.name}", "t", "start"),
    ]
    for i in range(fmt.block_size):
        x = left + 56 + i * (wide + gap)
        parts.append(
            f'<rect class="g" x="{x:g}" y="22" width="{wide:g}" height="30" fill="{COLOURS[0]}"/>'
        )
        if wide >= 14 or i % 4 == 0:
            parts.append(text(x + wide / 2, 41, str(i), "t"))
    name = getattr(fmt, "name", "")
    return svg(round(left + 64 + fmt.block_size * (wide + gap)), 76, f"A block of {name}", parts)
