"""Element faults E11 and E20: a shift that wraps, and an underflow that turns into NaN elsewhere.

They stand apart from `mxref.faults.element_models`: a check does not search among them, since one
shows at inputs only that are far below the range, and the other in FNUZ formats only.
"""

from __future__ import annotations

import numpy as np

from mxref.faults.element import ElementModel
from mxref.faults.encoder import Bytes, Encoder, Lanes
from mxref.formats import ElementFormat

__all__ = ["alignment_models"]

_FRACTION = 23  # of a float32, whose significand is what is shifted
_LOWEST = -126  # exponent of subnormal float32 numbers, whose significand has no leading one


class _ShiftWraps(Encoder):
    """E11: the significand is shifted by the count modulo the width of its register."""

    width = 64

    def align(self, lanes: Lanes) -> None:
        exponent = np.maximum(np.frexp(lanes.magnitude)[1] - 1, _LOWEST)
        least = self.fmt.emin
        count = _FRACTION - self.fmt.mantissa_bits + np.maximum(least - exponent, 0)
        lost = np.where(lanes.magnitude > 0, count // self.width, 0) * self.width
        lanes.magnitude = np.ldexp(lanes.magnitude, lost)
        super().align(lanes)


class _UnderflowIs80(Encoder):
    """E20: a negative value that underflows becomes its sign bit alone, 0x80."""

    def pack(self, lanes: Lanes) -> Bytes:
        code = super().pack(lanes)
        if self.fixed:  # minus nothing is nothing in two's complement
            return code
        hit = lanes.sign & (lanes.code == 0) & (lanes.magnitude > 0) & ~lanes.nan
        return np.where(hit, self.fmt.sign_mask, code).astype(np.uint8)


def alignment_models(fmt: ElementFormat) -> tuple[ElementModel, ...]:
    """E11 of a format, and E20 where codes have eight bits.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> from mxref.policy import Policy
    >>> e4m3 = element_format("e4m3")
    >>> wraps = alignment_models(e4m3)[1]
    >>> wraps.detail, wraps.encoder(e4m3, Policy()).encode(np.array([2.0**-70]))
    ('modulo 64', array([8], dtype=uint8))
    """
    models = [
        ElementModel("E11", f"modulo {width}", type("Wraps", (_ShiftWraps,), {"width": width}))
        for width in (32, 64)
    ]
    if fmt.bits == 8:
        models.append(ElementModel("E20", "", _UnderflowIs80))
    return tuple(models)
