"""Dot products of NVFP4 and of BDR blocks: covergroups, expectations, and a second computation.

A case is ``must`` where nothing can round: a sum whose terms have few bits and whose global scales
are powers of two is the same in any order, in float32 and wherever the scales are applied. All
others are ``open``, and record the exact sum, rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mxref._policy_base import Choices
from mxref.exact import ieee
from mxref.exact.dot_relatives import bdr_values, dot_values, nvfp4_values
from mxref.exact.number import Number, NumberClass
from mxref.formats import pow2
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.vectors.covergroups import Covergroup, Stimuli
from mxref.vectors.expectation import Expectation
from mxref.vectors.lookup import RelativeFormat, vector_format
from mxref.vectors.model import Member, Verdict
from mxref.vectors.operations import Inputs, Output

__all__ = ["DOT", "expect_dot", "values_of"]

_F32 = "float32"
_ONE = 0x3F800000
_SIGNIFICAND, _LEAST, _MOST = 24, -149, 127


# --- expectation -----------------------------------------------------------------------------


def expect_dot(fmt: RelativeFormat, policy: Choices, inputs: Inputs) -> Expectation:
    """Work out the exact sum of the first k products, rounded once.

    Examples
    --------
    >>> one = Inputs(None, (2,) * 16, (0x38,), global_scale=0x3F800000)
    >>> case = Inputs(None, (2,) * 16, (0x38,), other=one, shape=(3,), global_scale=0x3F800000)
    >>> found = expect_dot(NVFP4, NVFP4Policy(), case)
    >>> hex(found.members[0].out.bits[0]), str(found.verdict)
    ('0x40400000', 'must')
    """
    a, b = values_of(fmt.name, policy, inputs)
    total = dot_values(a, b)
    bits = ieee.to_bits(total, _F32)
    is_settled = _is_settled(a, b, _globals_of(inputs))
    clauses = {"OP-BDR-QUANTIZER" if isinstance(fmt, BDRFormat) else "OP-NVFP4-RECIPE"}
    clauses.add("OP-DOT-NAN" if total.cls is NumberClass.NAN else "OP-DOT-PRECISION")
    member = Member(Output((bits,)), ({},))
    verdict = Verdict.MUST if is_settled else Verdict.OPEN
    return Expectation((member,), verdict, tuple(sorted(clauses)))


def values_of(
    format_name: str, policy: Choices, inputs: Inputs
) -> tuple[list[Number], list[Number]]:
    """Return the values of both operands that count.

    Raises
    ------
    TypeError
        If there is one operand only.

    Examples
    --------
    >>> one = Inputs(None, (2, 3) * 8, (127,))
    >>> case = Inputs(None, (1,) * 16, (129,), other=one, shape=(2,))
    >>> a, b = values_of("msfp12", NVFP4Policy(), case)
    >>> [str(x) for x in (*a, *b)]
    ['1', '1', '1/2', '3/4']
    """
    fmt = vector_format("nvfp4_dot" if format_name == NVFP4.name else "bdr_dot", format_name)
    if inputs.other is None or not isinstance(fmt, RelativeFormat):
        raise TypeError("a dot product takes two operands")
    k = inputs.shape[0]
    return _values(fmt, policy, inputs, k), _values(fmt, policy, inputs.other, k)


def _globals_of(inputs: Inputs) -> tuple[int | None, ...]:
    return inputs.global_scale, inputs.other.global_scale if inputs.other else None


def _values(fmt: RelativeFormat, policy: Choices, operand: Inputs, k: int) -> list[Number]:
    """The values that count; blocks of nothing but padding do not."""
    if isinstance(fmt, BDRFormat):
        size = fmt.k1 or len(operand.bits)
        blocks = -(-k // size)
        count = blocks * size // fmt.k2 if fmt.has_subscales else 0
        parts = operand.scales[:blocks], operand.subscales[:count]
        return bdr_values(operand.bits[:k], *parts, fmt)
    blocks = -(-k // NVFP4.block_size)
    g = ieee.from_bits(operand.global_scale or 0, _F32)
    own = policy if isinstance(policy, NVFP4Policy) else None
    return nvfp4_values(operand.bits[:k], operand.scales[:blocks], g, own)


def _is_settled(a: Sequence[Number], b: Sequence[Number], own: Sequence[int | None]) -> bool:
    """Whether no order of float32 operations rounds."""
    finite = (NumberClass.FINITE, NumberClass.ZERO)
    if any(n.cls not in finite for n in (*a, *b)):
        return True
    alpha = Fraction(1)
    for bits in own:
        if bits is not None:
            g = ieee.from_bits(bits, _F32).magnitude
            if g.numerator & (g.numerator - 1) or not g:
                return False
            alpha *= g
    terms = [x.value * y.value for x, y in zip(a, b, strict=True) if x.value * y.value]
    return not terms or (_fits(terms) and _fits([term / alpha for term in terms]))


def _fits(terms: Sequence[Fraction]) -> bool:
    """Whether all partial sums, in any order, are float32 numbers."""
    least = min(_valuation(term) for term in terms)
    total = sum((abs(term) for term in terms), Fraction(0))
    is_short = total < pow2(_SIGNIFICAND + least)
    return is_short and least >= _LEAST and total < pow2(_MOST)


def _valuation(term: Fraction) -> int:
    """The exponent of the last bit that is set."""
    size = abs(term)
    low = (size.numerator & -size.numerator).bit_length()
    return low - size.denominator.bit_length()


# --- covergroups -----------------------------------------------------------------------------


def _size(fmt: RelativeFormat) -> int:
    return NVFP4.block_size if not isinstance(fmt, BDRFormat) else fmt.k1 or 0


def _operand(
    fmt: RelativeFormat,
    codes: Sequence[int],
    scales: Sequence[int],
    shifts: Sequence[int] = (),
    own: int = _ONE,
) -> Inputs:
    if not isinstance(fmt, BDRFormat):
        return Inputs(None, tuple(codes), tuple(scales), global_scale=own)
    count = len(codes) // fmt.k2 if fmt.has_subscales else 0
    given = tuple(shifts) or (0,) * count
    return Inputs(None, tuple(codes), tuple(scales), subscales=given[:count])


def _dot(k: int, a: Inputs, b: Inputs) -> Inputs:
    return Inputs(
        None, a.bits, a.scales, other=b, shape=(k,),
        global_scale=a.global_scale, subscales=a.subscales,
    )  # fmt: skip


def _unit(fmt: RelativeFormat) -> int:
    """The scale code of 1."""
    return 127 if isinstance(fmt, BDRFormat) else 0x38


def _count(fmt: RelativeFormat) -> int:
    return fmt.code_count if isinstance(fmt, BDRFormat) else fmt.element.code_count


def _all_codes(fmt: RelativeFormat) -> Stimuli:
    size, count = _size(fmt), _count(fmt)
    step = max(1, count // 16)
    for turn in range(16):
        a = [(lane * step + turn) % count for lane in range(size)]
        b = [(lane * 3 * step + 5 * turn) % count for lane in range(size)]
        pair = _operand(fmt, a, [_unit(fmt)]), _operand(fmt, b, [_unit(fmt)])
        yield _dot(size, *pair), f"turn {turn}"


def _scales(fmt: RelativeFormat) -> Stimuli:
    size = _size(fmt)
    chosen = (1, 2, 60, 127, 128, 200, 254) if isinstance(fmt, BDRFormat) else (
        0x00, 0x01, 0x07, 0x08, 0x2D, 0x38, 0x47, 0x7E)  # fmt: skip
    codes = [2 + lane % 2 for lane in range(size)]
    for i in chosen:
        for j in chosen[::2]:
            pair = _operand(fmt, codes, [i]), _operand(fmt, codes[::-1], [j])
            yield _dot(size, *pair), f"scales {i:02x} and {j:02x}"


def _blocks(fmt: RelativeFormat) -> Stimuli:
    size, unit = _size(fmt), _unit(fmt)
    step = 1 if isinstance(fmt, BDRFormat) else 8  # a power of two
    for count in (2, 3, 4):
        for turn in range(3):
            a = [(2 + (lane + turn) % 3) for lane in range(size * count)]
            b = [(1 + (lane * 5 + turn) % 4) for lane in range(size * count)]
            own = [unit + step * (block % 2 + turn % 2) for block in range(count)]
            others = [unit - step * ((block + turn) % 3 % 2) for block in range(count)]
            shifts = [(place * 3 + turn) % 2 for place in range(size * count)]
            pair = _operand(fmt, a, own, shifts), _operand(fmt, b, others, shifts[::-1])
            yield _dot(size * count, *pair), f"{count} blocks, turn {turn}"


def _padding(fmt: RelativeFormat) -> Stimuli:
    size, unit = _size(fmt), _unit(fmt)
    nan = 0xFF if isinstance(fmt, BDRFormat) else 0x7F
    for k in (1, 2, size - 1, size, size + 1):
        codes = [1 + lane % 3 for lane in range(3 * size)]
        last = unit if k > size else nan
        pair = (_operand(fmt, codes, [unit, last, nan]) for _ in range(2))
        yield _dot(k, *pair), f"{k} elements, and padding"


def _globals(fmt: RelativeFormat) -> Stimuli:
    if isinstance(fmt, BDRFormat):
        return
    codes = [1 + lane % 7 for lane in range(32)]
    chosen = (0x40000000, 0x3A80, 0x1F800000, 0x00000001, 0x39C30C31, 0x40490FDB, 0x7F000000, 0)
    for i in chosen:
        for j in chosen[1::2]:
            a = _operand(fmt, codes, [0x38, 0x40], own=i)
            b = _operand(fmt, codes[::-1], [0x30, 0x42], own=j)
            yield _dot(32, a, b), f"globals {i:08x} and {j:08x}"


def _specials(fmt: RelativeFormat) -> Stimuli:
    size, unit = _size(fmt), _unit(fmt)
    codes = [1 + lane % 3 for lane in range(size)]
    plain = _operand(fmt, codes, [unit])
    nan = _operand(fmt, codes, [0xFF if isinstance(fmt, BDRFormat) else 0x7F])
    zero = _operand(fmt, [0] * size, [unit])
    yield _dot(size, nan, plain), "NaN scale in a"
    yield _dot(size, zero, nan), "NaN scale in b over zeros"
    yield _dot(size, zero, plain), "zeros"
    minus = _operand(fmt, [_count(fmt) // 2] * size, [unit])
    yield _dot(size, minus, plain), "negative zeros"
    cancels = _operand(fmt, [1, _count(fmt) // 2 + 1] * (size // 2), [unit])
    ones = _operand(fmt, [2] * size, [unit])
    yield _dot(size, cancels, ones), "a sum of zero"
    if not isinstance(fmt, BDRFormat):
        for bits in (0x7F800000, 0x7FC00000):
            own = _operand(fmt, codes, [unit], own=bits)
            yield _dot(size, own, plain), f"global {bits:08x}"
            yield _dot(size, own, zero), f"global {bits:08x} over zeros"


def _wide(fmt: RelativeFormat) -> Stimuli:
    size, unit = _size(fmt), _unit(fmt)
    top = 254 if isinstance(fmt, BDRFormat) else 0x7E
    low = unit - (30 if isinstance(fmt, BDRFormat) else 0x30)
    big = _count(fmt) // 2 - 1
    first = [big] + [0] * (size - 1)
    last = [_count(fmt) - 1] + [0] * (size - 1)
    small = [1] * size
    a = _operand(fmt, first + small + last, [top, low, top])
    b = _operand(fmt, first + small + first, [unit, low, unit])
    yield _dot(3 * size, a, b), "large, small, and the large one negative"
    b = _operand(fmt, first + small + first, [top, unit, top])
    yield _dot(2 * size, a, b), "as large as can be"


_POINTS = ("OP-DOT-PRECISION",)

DOT = (
    Covergroup(
        "all-codes", "every code meets many others: a wrong product, sign or nibble",
        _POINTS, _all_codes,
    ),
    Covergroup(
        "scales", "pairs of scale codes: one of them left out, or applied twice",
        _POINTS, _scales,
    ),
    Covergroup(
        "blocks", "blocks of different scales and shifts: those of the wrong block",
        _POINTS, _blocks,
    ),
    Covergroup(
        "padding", "elements that do not count, under a NaN scale",
        _POINTS, _padding,
    ),
    Covergroup(
        "globals", "global scales: left out, inverted, or applied to one operand",
        _POINTS, _globals,
    ),
    Covergroup(
        "specials", "NaN scales, zeros of either sign, infinite global scales",
        ("OP-DOT-NAN",), _specials,
    ),
    Covergroup(
        "wide", "sums that need more bits than float32 has: recorded, not prescribed",
        _POINTS, _wide,
    ),
)  # fmt: skip
