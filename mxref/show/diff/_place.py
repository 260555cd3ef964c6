"""One element of two arrays, looked at closely."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mxref.show._paint import Mark
from mxref.show._text import View, decimal, short
from mxref.show.diff._count import KINDS, judge
from mxref.show.diff._lines import CLASSES
from mxref.show.diff._operands import Pair
from mxref.show.diff._physical import Memory, Spot
from mxref.show.diff._scaling import Scaling, scale_values

__all__ = ["Place", "Side", "place_of", "written"]


@dataclass(frozen=True, slots=True)
class Side:
    """What one of two arrays has at a place.

    Attributes
    ----------
    code : int
        Code of the element, or the bit pattern of the number.
    scale : int or None
        Scale code, or the bit pattern of a float32 scale.
    subscale : int or None
    bits : str
        The code in binary, its fields apart.
    value : str
        Exact (p/q, or a decimal), or ``nan``, ``inf``, ``-inf``, ``-0``; ``~`` where it is rounded.
    scale_value : str or None
    cls : str
        Such as ``"normal"``.
    """

    code: int
    scale: int | None
    subscale: int | None
    bits: str
    value: str
    scale_value: str | None
    cls: str


@dataclass(frozen=True, slots=True, repr=False)
class Place(View):
    """An element of two arrays, looked at closely.

    Attributes
    ----------
    index : tuple of int
        In the logical shape.
    flat : int
        In C order.
    block : tuple of int or None
        Index into the scales.
    position : int or None
        Place in the block.
    a, b : Side
    kind : str or None
        A key of `mxref.show.diff.KINDS`; None where nothing differs.
    ulps : int
        Distance; 0 for what has none.
    spots : tuple of Spot
        Where its bits lie.
    """

    index: tuple[int, ...]
    flat: int
    block: tuple[int, ...] | None
    position: int | None
    a: Side
    b: Side
    kind: str | None
    ulps: int
    spots: tuple[Spot, ...]

    def _lines(self) -> list[str]:
        from mxref.show.diff import _place_words

        return _place_words.lines(self)

    def _marks(self, lines: Sequence[str]) -> Iterable[Mark]:
        from mxref.show.diff import _words

        return _words.marks(lines)

    def to_dict(self) -> dict[str, object]:
        """Return the same as plain data."""
        return {
            "index": list(self.index),
            "flat": self.flat,
            "block": None if self.block is None else list(self.block),
            "position": self.position,
            "a": asdict(self.a),
            "b": asdict(self.b),
            "kind": self.kind,
            "ulps": self.ulps,
            "spots": [spot.to_dict() for spot in self.spots],
        }


def place_of(pair: Pair, scaling: Scaling | None, memory: Memory | None, flat: int) -> Place:
    """Look at one element."""
    where = np.array([flat])
    codes = pair.a.reshape(-1)[where], pair.b.reshape(-1)[where]
    judged = judge(pair.line, scaling, where, *codes)
    index = tuple(int(i) for i in np.unravel_index(flat, pair.shape))
    block: tuple[int, ...] | None = None
    position = None
    if pair.axis is not None and pair.block_size:
        along, position = divmod(index[pair.axis], pair.block_size)
        block = (*index[: pair.axis], along, *index[pair.axis + 1 :])
    sides = [_side(pair, scaling, judged, codes[i], i, flat) for i in (0, 1)]
    same = sides[0] == sides[1]
    return Place(
        index,
        flat,
        block,
        position,
        sides[0],
        sides[1],
        None if same else list(KINDS)[int(judged.kind[0])],
        int(judged.ulps[0]),
        () if memory is None else memory.spots(flat),
    )


def _side(
    pair: Pair, scaling: Scaling | None, judged: Any, code: Any, which: int, flat: int
) -> Side:
    scale = subscale = scale_value = None
    if scaling is not None:
        held = [
            parts[which].reshape(-1)[scaling.groups(np.array([flat]), part)]
            for part, parts in enumerate(scaling.parts)
        ]
        scale = int(held[0][0])
        scale_value = written(float(scale_values(held[0], pair.format)[0]))
        subscale = int(held[1][0]) if len(held) > 1 else None
    value = float(judged.values[which][0])
    is_negative = bool(pair.line.signs(code)[0])
    text = "-0" if value == 0 and is_negative else written(value)
    number = int(code[0])
    return Side(
        number,
        scale,
        subscale,
        split(number, pair.line.fields),
        text,
        scale_value,
        CLASSES[int(judged.classes[which][0])],
    )


def split(code: int, fields: tuple[tuple[str, int], ...]) -> str:
    """Write a code in binary with a space between fields.

    Examples
    --------
    >>> split(0x7E, (("sign", 1), ("exponent", 4), ("mantissa", 3)))
    '0 1111 110'
    """
    parts, left = [], sum(width for _, width in fields)
    for _, width in fields:
        left -= width
        parts.append(f"{code >> left & (1 << width) - 1:0{width}b}")
    return " ".join(parts)


def written(value: float) -> str:
    """Write a number exactly if that is short, else rounded behind ``~``.

    Examples
    --------
    >>> written(0.75), written(2.0**-127), written(float("-inf")), written(1 / 3)
    ('0.75', '2^-127', '-inf', '~0.333333333')
    """
    if not np.isfinite(value):
        return str(value)
    exact = Fraction(value)
    text = short(exact, 14)
    digits = text.partition("*2^")[0] if "*2^" in text else ""
    return text if len(text) <= 14 and len(digits) < 4 else decimal(exact, 12, 9)
