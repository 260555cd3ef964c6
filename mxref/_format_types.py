"""The classes of formats: one row of a table each, everything else derived from it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from fractions import Fraction

__all__ = ["MX_BLOCK_SIZE", "BlockFormat", "ElementFormat", "Kind", "ScaleFormat", "pow2"]

MX_BLOCK_SIZE = 32
"""k of all concrete formats (MX-1.0/5.2/formats)."""


class Kind(enum.Enum):
    """How the bits of an element stand for a value."""

    FLOAT = "float"
    """Sign, exponent field, mantissa field; subnormals where the exponent field is zero."""
    FIXED = "fixed"
    """Two's complement integer times a fixed power of two."""


def pow2(exponent: int) -> Fraction:
    """Return 2 to an integer power, exactly.

    Examples
    --------
    >>> pow2(-3)
    Fraction(1, 8)
    """
    return Fraction(2) ** exponent


@dataclass(frozen=True, slots=True)
class ElementFormat:
    """An element data type.

    Attributes
    ----------
    name : str
        Name in lower case, such as ``"e4m3"``.
    kind : Kind
        Floating point or fixed point.
    exponent_bits, mantissa_bits : int
        Field widths. A FIXED format has no exponent field; its ``mantissa_bits`` is the number of
        bits to the right of the binary point.
    bias : int
        Exponent bias. A FIXED format has 1, so that ``emin`` is 0.
    nan_magnitudes : frozenset of int
        Magnitude codes (sign bit cleared) that are NaN.
    inf_magnitude : int or None
        Magnitude code of infinity.
    clause : str
        Clause that defines the format.

    Examples
    --------
    >>> from mxref.formats import ELEMENT_FORMATS
    >>> e4m3 = ELEMENT_FORMATS["e4m3"]
    >>> e4m3.emax, float(e4m3.max), float(e4m3.min_subnormal)
    (8, 448.0, 0.001953125)
    """

    name: str
    kind: Kind
    exponent_bits: int
    mantissa_bits: int
    bias: int
    nan_magnitudes: frozenset[int]
    inf_magnitude: int | None
    clause: str

    @property
    def bits(self) -> int:
        """Width of a code, sign included."""
        if self.kind is Kind.FIXED:
            return 2 + self.mantissa_bits  # sign and one integer bit: [-2, 2)
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def code_count(self) -> int:
        """Number of bit patterns."""
        return 1 << self.bits

    @property
    def sign_mask(self) -> int:
        """The sign bit of a code."""
        return 1 << (self.bits - 1)

    @property
    def max_magnitude(self) -> int:
        """Magnitude code of the largest finite value (0x7E for E4M3, 127 for INT8)."""
        specials = set(self.nan_magnitudes)
        if self.inf_magnitude is not None:
            specials.add(self.inf_magnitude)
        return max(m for m in range(self.sign_mask) if m not in specials)

    @property
    def emin(self) -> int:
        """Exponent of the smallest normal value."""
        return 1 - self.bias

    @property
    def emax(self) -> int:
        """Exponent of the largest power of two that the format can represent."""
        if self.kind is Kind.FIXED:
            return 0
        return (self.max_magnitude >> self.mantissa_bits) - self.bias

    @property
    def max(self) -> Fraction:
        """Largest finite value."""
        if self.kind is Kind.FIXED:
            return self.max_magnitude * self.min_subnormal
        mantissa = self.max_magnitude & ((1 << self.mantissa_bits) - 1)
        return (1 + mantissa * pow2(-self.mantissa_bits)) * pow2(self.emax)

    @property
    def min_normal(self) -> Fraction | None:
        """Smallest normal value; None for a FIXED format, which has none."""
        return None if self.kind is Kind.FIXED else pow2(self.emin)

    @property
    def min_subnormal(self) -> Fraction:
        """Smallest positive value: one step of the fixed-point region."""
        return pow2(self.emin - self.mantissa_bits)

    @property
    def has_nan(self) -> bool:
        """Whether some code is NaN."""
        return bool(self.nan_magnitudes)

    @property
    def has_inf(self) -> bool:
        """Whether some code is an infinity."""
        return self.inf_magnitude is not None

    @property
    def is_fp8(self) -> bool:
        """Whether OFP8's choice between SAT and OVF applies (MX-1.0/6.3/fp8-overflow)."""
        return self.kind is Kind.FLOAT and self.bits == 8


@dataclass(frozen=True, slots=True)
class ScaleFormat:
    """A shared-scale data type: E8M0, an unsigned power of two (MX-1.0/5.4/e8m0).

    Examples
    --------
    >>> from mxref.formats import SCALE_FORMATS
    >>> e8m0 = SCALE_FORMATS["e8m0"]
    >>> e8m0.bias, hex(e8m0.nan_code), e8m0.emin, e8m0.emax
    (127, '0xff', -127, 127)
    """

    name: str
    bits: int
    bias: int
    nan_code: int
    clause: str

    @property
    def code_count(self) -> int:
        """Number of bit patterns."""
        return 1 << self.bits

    @property
    def max_code(self) -> int:
        """Largest code that is a number."""
        return self.nan_code - 1

    @property
    def emin(self) -> int:
        """Exponent of code 0: a number, not zero."""
        return -self.bias

    @property
    def emax(self) -> int:
        """Exponent of the largest scale."""
        return self.max_code - self.bias


@dataclass(frozen=True, slots=True)
class BlockFormat:
    """A block format: ``block_size`` elements of one type that share one scale.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> fmt = block_format("mxfp4")
    >>> fmt.element.name, fmt.scale.name, fmt.block_size, fmt.block_bits
    ('e2m1', 'e8m0', 32, 136)
    >>> fmt.with_block_size(16).name
    'mxfp4/16'
    """

    base: str
    element: ElementFormat
    scale: ScaleFormat
    block_size: int

    @property
    def name(self) -> str:
        """Name, with the block size behind a slash where it is not the standard's 32."""
        return self.base if self.block_size == MX_BLOCK_SIZE else f"{self.base}/{self.block_size}"

    @property
    def block_bits(self) -> int:
        """Bits of one packed block, scale included."""
        return self.scale.bits + self.block_size * self.element.bits

    @property
    def is_concrete_mx(self) -> bool:
        """Whether this is a concrete MX-compliant format: k = 32 (MX-1.0/5.2/formats)."""
        return self.block_size == MX_BLOCK_SIZE

    def with_block_size(self, block_size: int) -> BlockFormat:
        """Return the same format with blocks of another length.

        Raises
        ------
        ValueError
            If `block_size` is not a positive integer.
        """
        given: object = block_size
        if isinstance(given, bool) or not isinstance(given, int) or given < 1:
            msg = f"block_size must be a positive integer, got {block_size!r}"
            raise ValueError(msg)
        return replace(self, block_size=block_size)
