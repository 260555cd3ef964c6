"""Block data representations (BDR): one row of parameters each, everything else derived from it.

The framework of arXiv 2302.08007: a block of k1 elements shares a scale s of d1 bits, each of its
sub-blocks of k2 elements shares a sub-scale ss of d2 bits, and an element has a sign and m
explicit bits, none of them hidden. Integers, block floating point, VSQ, the shared microexponents
MX9, MX6 and MX4, and floating point itself are points of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from mxref.formats import ELEMENT_FORMATS, ElementFormat, pow2

__all__ = ["BDRFormat", "Element", "ScaleKind", "SubscaleKind"]


class ScaleKind(StrEnum):
    """What s, the scale of a block, is."""

    POW2 = "pow2"
    """A power of two: a biased exponent of d1 bits, of which the code of all ones is NaN."""
    FLOAT32 = "float32"
    """A float32 number."""


class SubscaleKind(StrEnum):
    """What ss, the scale of a sub-block, is."""

    NONE = "none"
    """There is no second level."""
    POW2 = "pow2"
    """2 to the power of -D, where D has d2 bits: a shift to the right, or microexponent."""
    INT = "int"
    """An unsigned integer of d2 bits, by which s is multiplied."""


class Element(StrEnum):
    """What the bits of an element are."""

    SIGN_MAGNITUDE = "sign-magnitude"
    """Bit m is the sign, the m bits below are the magnitude."""
    TWOS_COMPLEMENT = "twos-complement"
    """An integer of m + 1 bits."""
    E4M3 = "e4m3"
    """A code of OFP8 E4M3: its exponent field is the sub-scale, of one element."""
    E5M2 = "e5m2"
    """A code of OFP8 E5M2, likewise."""


_MAX_M = 7  # a code fits a byte
_MAX_D1 = 8
_MAX_K1 = 1 << 24  # a last block that is not full is padded in memory
_MAX_SHIFT_BITS = 5  # shifts up to 31, as E5M2 has them
_MAX_SUBSCALE_BITS = 8
_FLOAT32_BITS = 32


@dataclass(frozen=True, kw_only=True)
class BDRFormat:
    """A point of the framework.

    Attributes
    ----------
    m : int
        Magnitude bits of an element, 1 to 7, none of them hidden.
    k1 : int or None
        Elements that share s; None for a whole tensor.
    k2 : int
        Elements that share ss; 0 without a second level.
    scale : ScaleKind
        Type of s.
    d1 : int
        Bits of s: 2 to 8 for a power of two, 32 for float32.
    subscale : SubscaleKind
        Type of ss.
    d2 : int
        Bits of ss; 0 without a second level.
    element : Element
        What the bits of an element are.

    Raises
    ------
    ValueError
        If the parameters do not fit together.
    TypeError
        If a number is no integer.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import BDR_FORMATS
    >>> mx6 = BDR_FORMATS["mx6"]
    >>> mx6.bits_per_element, mx6.block_bits, mx6.largest, mx6.max_shift
    (Fraction(6, 1), 96, Fraction(15, 8), 1)
    """

    m: int
    k1: int | None
    k2: int = 0
    scale: ScaleKind = ScaleKind.POW2
    d1: int = 8
    subscale: SubscaleKind = SubscaleKind.NONE
    d2: int = 0
    element: Element = Element.SIGN_MAGNITUDE

    def __post_init__(self) -> None:
        """Turn strings into members, and refuse what does not fit together."""
        for key, enum in (
            ("scale", ScaleKind),
            ("subscale", SubscaleKind),
            ("element", Element),
        ):
            object.__setattr__(self, key, _member(enum, key, getattr(self, key)))
        for key in ("m", "k1", "k2", "d1", "d2"):
            value = getattr(self, key)
            if key == "k1" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{key} must be an integer, got {value!r}")
        if problem := _problem(self):
            raise ValueError(f"no BDR format has {problem}")

    @property
    def name(self) -> str:
        """Its name, or its parameters as `bdr_format` reads them."""
        from mxref.relatives.bdr_formats import name_of

        return name_of(self)

    @property
    def has_subscales(self) -> bool:
        """Whether sub-scales are stored beside the codes."""
        return self.subscale is not SubscaleKind.NONE

    @property
    def float_element(self) -> ElementFormat | None:
        """The OFP8 format of an element; None for an integer."""
        return ELEMENT_FORMATS[self.element] if self.element in _FLOATS else None

    @property
    def code_bits(self) -> int:
        """Width of an element's code, sign included."""
        return 8 if self.element in _FLOATS else 1 + self.m

    @property
    def code_count(self) -> int:
        """Number of codes of an element."""
        return 1 << self.code_bits

    @property
    def sign_mask(self) -> int:
        """The sign bit of a code."""
        return 1 << (self.code_bits - 1)

    @property
    def max_magnitude(self) -> int:
        """Largest magnitude M of an element that has a negative too; an OFP8 code's largest."""
        element = self.float_element
        return (1 << self.m) - 1 if element is None else element.max_magnitude

    @property
    def max_shift(self) -> int:
        """Largest shift D, 2**d2 - 1; 0 where sub-scales are no powers of two."""
        return (1 << self.d2) - 1 if self.subscale is SubscaleKind.POW2 else 0

    @property
    def max_subscale(self) -> int:
        """Largest code of a sub-scale; 0 without a second level."""
        return (1 << self.d2) - 1

    @property
    def bias(self) -> int:
        """What is subtracted from the code of a power-of-two scale: 127 for 8 bits."""
        return (1 << (self.d1 - 1)) - 1

    @property
    def nan_scale(self) -> int:
        """The code of a power-of-two scale that makes every element NaN: all ones."""
        return (1 << self.d1) - 1

    @property
    def max_scale(self) -> int:
        """Largest code of a power-of-two scale that is a number."""
        return self.nan_scale - 1

    @property
    def step(self) -> Fraction:
        """Distance of neighbouring elements around zero, before scale and sub-scale."""
        element = self.float_element
        if element is not None:
            return element.min_subnormal
        return pow2(1 - self.m) if self.scale is ScaleKind.POW2 else Fraction(1)

    @property
    def largest(self) -> Fraction:
        """Largest element that has a negative too, before scale and sub-scale."""
        element = self.float_element
        return self.max_magnitude * self.step if element is None else element.max

    @property
    def bits_per_element(self) -> Fraction:
        """Bits of an element with its shares of sub-scale and scale, exactly."""
        shared = Fraction(self.d2, self.k2) if self.has_subscales else Fraction(0)
        return self.code_bits + shared + (Fraction(self.d1, self.k1) if self.k1 else 0)

    @property
    def block_bits(self) -> int | None:
        """Bits of a block, everything included; None where the block is the whole tensor."""
        if self.k1 is None:
            return None
        shared = self.k1 // self.k2 * self.d2 if self.has_subscales else 0
        return self.d1 + shared + self.k1 * self.code_bits

    @property
    def formula(self) -> str:
        """The value of an element, as text."""
        body = "value(code)" if self.element in _FLOATS else "(-1)**sign * M"
        if self.element is Element.TWOS_COMPLEMENT:
            body = "integer(code)"
        if self.scale is ScaleKind.POW2:
            body += f" * 2**{1 - self.m}"
        body += {"none": "", "pow2": " * 2**-D", "int": " * ss"}[self.subscale]
        return body + (f" * 2**(E - {self.bias})" if self.scale is ScaleKind.POW2 else " * s")

    def with_k1(self, k1: int | None) -> BDRFormat:
        """Return the same format with blocks of another length; None for the whole tensor.

        Raises
        ------
        ValueError
            If it does not fit.
        """
        fields = {key: getattr(self, key) for key in self.__dataclass_fields__}
        return BDRFormat(**{**fields, "k1": k1})

    @classmethod
    def of(cls, *, m: int, k1: int | None, **parameters: Any) -> BDRFormat:
        """Return the point with these parameters; what follows from others may be left out.

        A `k2` or a `d2` means a second level, of shifts unless `subscale` says otherwise; a
        float32 scale has 32 bits.

        Raises
        ------
        ValueError
            If the parameters do not fit together.
        TypeError
            If there is no such parameter, or a number is no integer.

        Examples
        --------
        >>> BDRFormat.of(m=5, k1=16, k2=4, d2=2).bits_per_element
        Fraction(7, 1)
        """
        given = dict(parameters)
        if given.get("k2") or given.get("d2"):
            given.setdefault("subscale", SubscaleKind.POW2)
        if given.get("scale") == ScaleKind.FLOAT32:
            given.setdefault("d1", _FLOAT32_BITS)
        return cls(m=m, k1=k1, **given)


_FLOATS = (Element.E4M3, Element.E5M2)


def _member(enum: type[StrEnum], key: str, value: object) -> StrEnum:
    try:
        return enum(value)  # type: ignore[arg-type]
    except ValueError:
        known = ", ".join(enum)
        raise ValueError(f"{key} is {value!r}; expected one of {known}") from None


def _problem(fmt: BDRFormat) -> str | None:
    """Say what does not fit, or None."""
    if not 1 <= fmt.m <= _MAX_M:
        return f"m={fmt.m}: an element has 1 to {_MAX_M} magnitude bits here"
    if fmt.k1 is not None and fmt.k1 < 1:
        return f"k1={fmt.k1}: a block has one element or more"
    if fmt.k1 is not None and fmt.k1 > _MAX_K1:
        return f"k1={fmt.k1}: a block has at most {_MAX_K1} elements here (2**24)"
    return _scale_problem(fmt) or _subscale_problem(fmt) or _element_problem(fmt)


def _scale_problem(fmt: BDRFormat) -> str | None:
    if fmt.scale is ScaleKind.FLOAT32 and fmt.d1 != _FLOAT32_BITS:
        return f"d1={fmt.d1} with a float32 scale, which has {_FLOAT32_BITS} bits"
    if fmt.scale is ScaleKind.POW2 and not 2 <= fmt.d1 <= _MAX_D1:
        return f"d1={fmt.d1}: a power-of-two scale has 2 to {_MAX_D1} bits here"
    if fmt.scale is ScaleKind.POW2 and fmt.k1 is None:
        return "a power-of-two scale for a whole tensor here: give k1"
    return None


def _subscale_problem(fmt: BDRFormat) -> str | None:
    if not fmt.has_subscales:
        if fmt.k2 or fmt.d2:
            return f"k2={fmt.k2} and d2={fmt.d2} without a second level (subscale=none)"
        return None
    if fmt.k2 < 1 or fmt.d2 < 1:
        return f"k2={fmt.k2} and d2={fmt.d2} with a second level: both are 1 or more"
    if fmt.k1 is None or fmt.k1 % fmt.k2:
        return f"k1={fmt.k1} and k2={fmt.k2}: sub-blocks divide a block of known length"
    if fmt.subscale is SubscaleKind.INT and fmt.scale is ScaleKind.POW2:
        return "integer sub-scales below a power-of-two scale: no publication has them"
    most = _MAX_SHIFT_BITS if fmt.subscale is SubscaleKind.POW2 else _MAX_SUBSCALE_BITS
    if fmt.d2 > most:
        return f"d2={fmt.d2}: a sub-scale of this kind has at most {most} bits here"
    return None


def _element_problem(fmt: BDRFormat) -> str | None:
    element = fmt.float_element
    if element is None:
        return None
    if fmt.m != element.mantissa_bits + 1:
        return f"m={fmt.m} with {element.name}, whose significand has {element.mantissa_bits + 1}"
    if fmt.scale is not ScaleKind.FLOAT32 or fmt.has_subscales:
        return f"{element.name} elements without a float32 scale, or with a second level"
    return None
