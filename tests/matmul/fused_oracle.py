"""Fused sums over fractions, one dot product at a time: written from their description alone.

It shares nothing with the package but the exact decoder of elements and the names of formats.
"""

from fractions import Fraction
from math import floor

from mxref.exact import element, scale
from mxref.exact.number import NumberClass

NAN, PLUS, MINUS = "nan", "inf", "-inf"
FLOAT16, BFLOAT16, E4M3 = (10, -14), (7, -126), (3, -6)  # fractional bits, least exponent

_PAIRS_OF_FOUR = [k for k in range(32) if k % 4 in (0, 1)] + [k for k in range(32) if k % 4 > 1]


def _generation(terms, bits, floor16):
    plain = {"terms": terms, "bits": bits}
    return {
        "fp16": plain | {"operands": FLOAT16},
        "fp16-f16": plain | {"operands": FLOAT16, "output": "float16", "floor": floor16},
        "bf16": plain | {"operands": BFLOAT16, "floor": -132 if bits == 24 else -133},
    }


def _with_half(name, rule):
    return {name: rule, f"{name}-f16": rule | {"output": "float16"}}


RULES = (
    {f"nv-volta-{name}": r for name, r in _generation(4, 23, -19).items() if name != "bf16"}
    | {f"nv-turing-{name}": r for name, r in _generation(8, 24, -20).items() if name != "bf16"}
    | {f"nv-ampere-{name}": r for name, r in _generation(8, 24, -20).items()}
    | {f"nv-ada-{name}": r for name, r in _generation(8, 24, -20).items()}
    | {f"nv-hopper-{name}": r for name, r in _generation(16, 25, -21).items()}
    | {f"nv-blackwell-{name}": r for name, r in _generation(16, 25, -21).items()}
    | _with_half("nv-ada-fp8", {"terms": 16, "bits": 13, "output": "e8m13", "operands": "fp8"})
    | _with_half("nv-hopper-fp8", {"terms": 32, "bits": 13, "output": "e8m13", "operands": "fp8"})
    | _with_half("nv-blackwell-fp8", {"terms": 32, "bits": 25, "operands": "stored"})
    | {
        full: rule
        for name in ("nv-hopper-mma-fp8", "nv-blackwell-mma-fp8")
        for full, rule in _with_half(
            name, {"terms": 16, "bits": 25, "operands": FLOAT16, "split": True}
        ).items()
    }
    | {
        "nv-blackwell-mxf8f6f4": {"terms": 32, "bits": 25, "operands": "stored", "scaled": True},
        "nv-blackwell-mxf4": {"terms": 64, "bits": 35, "operands": "stored", "groups": True},
    }
)


def dot(name, codes_a, scales_a, fmt_a, codes_b, scales_b, fmt_b, addend):
    """One result: a Fraction, or "nan", "inf", "-inf". The addend is one of these too."""
    rule = RULES[name]
    a = [
        _item(rule, code, scales_a[i // fmt_a.block_size], fmt_a) for i, code in enumerate(codes_a)
    ]
    b = [
        _item(rule, code, scales_b[i // fmt_b.block_size], fmt_b) for i, code in enumerate(codes_b)
    ]
    pairs = list(zip(a, b, strict=True))
    if not rule.get("split"):
        return _chain(rule, pairs, addend)
    total = addend
    for start in range(0, len(pairs), 32):
        padded = pairs[start : start + 32]
        padded += [((Fraction(0), None), (Fraction(0), None))] * (32 - len(padded))
        total = _plus(total, _chain(rule, [padded[k] for k in _PAIRS_OF_FOUR], Fraction(0)), rule)
    return total


def _chain(rule, pairs, running):
    for start in range(0, len(pairs), rule["terms"]):
        running = _fused(rule, pairs[start : start + rule["terms"]], running)
    return running


def _item(rule, code, scale_code, fmt):
    """(value, exponent) of an operand, the scale where the instruction has it."""
    number = element.decode(int(code), fmt.element)
    factor = scale.decode(int(scale_code), fmt.scale)
    if number.cls is NumberClass.NAN or factor.cls is NumberClass.NAN:
        return NAN, None
    if number.cls is NumberClass.INF:
        return (MINUS if number.sign else PLUS), None
    emin, exponent = fmt.element.emin, floor_log2(factor.value)
    value = number.value
    if rule.get("groups"):
        return value * factor.value, exponent
    if rule.get("scaled"):
        return value * factor.value, (
            exponent - 126 if not value else leading(value, emin) + exponent
        )
    if not value:
        return value, None
    if rule["operands"] == "stored":
        return value, leading(value, emin)
    if rule["operands"] == "fp8":
        return value, leading(value, emin if fmt.element.is_fp8 else E4M3[1])
    return value * factor.value, leading(value * factor.value, rule["operands"][1])


def _fused(rule, pairs, running):
    special = _special([(x[0], y[0]) for x, y in pairs], running)
    if special is not None:
        return special
    terms = []
    if rule.get("groups"):
        for start in range(0, len(pairs), 16):
            group = pairs[start : start + 16]
            terms.append((sum(x[0] * y[0] for x, y in group), group[0][0][1] + group[0][1][1]))
    else:
        for (x, ex), (y, ey) in pairs:
            terms.append((x * y, None if ex is None or ey is None else ex + ey))
    is_half = rule.get("output") == "float16"
    if running:
        terms.append((running, leading(running, -14 if is_half else -126)))
    floors = {"scaled": -126, "groups": -126}
    least = next((value for key, value in floors.items() if rule.get(key)), rule.get("floor", -133))
    top = max([least, *(exponent for _, exponent in terms if exponent is not None)])
    unit = Fraction(2) ** (top - rule["bits"])
    total = sum((_toward_zero(value / unit) for value, _ in terms), 0) * unit
    return rounded(total, rule.get("output", "float32"))


def _special(pairs, running):
    seen = {running} if isinstance(running, str) else set()
    for x, y in pairs:
        if not isinstance(x, str) and not isinstance(y, str):
            continue
        if NAN in (x, y) or 0 in (x, y):
            seen.add(NAN)
        else:
            seen.add(MINUS if _is_negative(x) != _is_negative(y) else PLUS)
    if not seen:
        return None
    return seen.pop() if len(seen) == 1 else NAN


def _plus(x, y, rule):
    """Addition in the type of the output, to nearest even."""
    special = _special([], x) if isinstance(x, str) else None
    if isinstance(y, str):
        return y if special in (None, y) else NAN
    if special is not None:
        return special
    return rounded(x + y, "float16" if rule.get("output") == "float16" else "nearest")


def rounded(value, output):
    """Toward zero to 24 or 14 bits of a float32, or to nearest even to a float16 or float32."""
    bits, least, most = {
        "float32": (24, -126, 127),
        "e8m13": (14, -126, 127),
        "nearest": (24, -126, 127),
        "float16": (11, -14, 15),
    }[output]
    if not value:
        return value
    unit = Fraction(2) ** (leading(value, least) - bits + 1)
    steps = value / unit
    steps = round(steps) if output in ("float16", "nearest") else _toward_zero(steps)
    result = steps * unit
    if abs(result) >= Fraction(2) ** (most + 1):
        return MINUS if value < 0 else PLUS
    return result


def leading(value, least):
    """Exponent as it is stored: that of the leading bit, at least that of the subnormals."""
    return max(floor_log2(abs(value)), least)


def floor_log2(value):
    size = value.numerator.bit_length() - value.denominator.bit_length()
    return size if Fraction(2) ** size <= value else size - 1


def _toward_zero(value):
    return floor(value) if value >= 0 else -floor(-value)


def _is_negative(x):
    return x == MINUS or (not isinstance(x, str) and x < 0)
