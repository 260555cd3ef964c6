"""NVFP4: its parts as data, and the numbers that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mxref.formats import ELEMENT_FORMATS, ElementFormat, pow2

__all__ = ["NVFP4", "NVFP4Format"]


@dataclass(frozen=True, slots=True)
class NVFP4Format:
    """E2M1 elements, an E4M3 scale without sign for every 16, and one float32 for the tensor.

    The value of an element is ``e2m1 * ue4m3 * global_scale``.

    Attributes
    ----------
    name : str
        ``"nvfp4"``.
    element : ElementFormat
        E2M1.
    scale : ElementFormat
        E4M3, of which only the codes 0x00 to 0x7F are used: UE4M3.
    block_size : int
        16.

    Examples
    --------
    >>> NVFP4.element_max, NVFP4.scale_max, NVFP4.bits_per_element
    (Fraction(6, 1), Fraction(448, 1), Fraction(9, 2))
    """

    name: str
    element: ElementFormat
    scale: ElementFormat
    block_size: int

    @property
    def element_max(self) -> Fraction:
        """Largest magnitude of an element: 6."""
        return self.element.max

    @property
    def scale_max(self) -> Fraction:
        """Largest scale: 448."""
        return self.scale.max

    @property
    def scale_min(self) -> Fraction:
        """Smallest scale above zero, a subnormal: 2**-9."""
        return self.scale.min_subnormal

    @property
    def scale_min_normal(self) -> Fraction:
        """Smallest normal scale: 2**-6."""
        return pow2(self.scale.emin)

    @property
    def scale_nan_code(self) -> int:
        """The scale code that is NaN: 0x7F."""
        return 0x7F

    @property
    def bits_per_element(self) -> Fraction:
        """Storage of an element with its share of the scale; the tensor's one is not counted."""
        return self.element.bits + Fraction(8, self.block_size)


NVFP4 = NVFP4Format("nvfp4", ELEMENT_FORMATS["e2m1"], ELEMENT_FORMATS["e4m3"], block_size=16)
"""The format."""
