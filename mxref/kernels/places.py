"""Input types, and the places in the array of integers that lane programs read.

One array of words for each (source, format, policy); ``params`` fills it. Programs and loops
address it by the members of `P`, so that one compiled kernel serves every format.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["SOURCES", "TABLE_LENGTH", "TABLE_LIFT", "P", "Source", "table_start"]


@dataclass(frozen=True, slots=True)
class Source:
    """An input type: an IEEE 754 interchange format, or bfloat16.

    `width` and `mantissa_bits` are those of the words that programs work in: the 16-bit types are
    widened to float32 first, which is exact.
    """

    name: str
    storage: str
    width: int
    mantissa_bits: int
    bias: int
    infinity: int

    @property
    def word(self) -> np.dtype[Any]:
        """NumPy type of the words that programs work in."""
        return np.dtype(f"uint{self.width}")


_BINARY32 = (32, 23, 127, 0xFF << 23)
SOURCES: dict[str, Source] = {
    "float32": Source("float32", "uint32", *_BINARY32),
    "float64": Source("float64", "uint64", 64, 52, 1023, 0x7FF << 52),
    "float16": Source("float16", "uint16", *_BINARY32),
    "bfloat16": Source("bfloat16", "uint16", *_BINARY32),
}
"""Input types by name."""


class P(enum.IntEnum):
    """Places in the array of parameters."""

    # Element, as an encoder sees it.
    SHIFT = 0  # significand bits dropped from a normal value: source mantissa - element mantissa
    DROP_LIMIT = 1  # further bits dropped at most: beyond it nothing but a sticky bit is left
    MANTISSA = 2
    MAX_CODE = 3  # magnitude code of the largest finite value
    INT8_EXTRA = 4  # 1 where a negative value may reach one step beyond MAX_CODE
    OVERFLOW_CODE = 5  # magnitude code of a finite value that rounds beyond MAX_CODE
    OVERFLOW_KEEP = 6  # 1 where that code keeps the sign
    OVERFLOW_INWARD = 7  # the same where the rounding direction points toward zero
    INF_CODE = 8
    NAN_CODE = 9
    NAN_KEEP = 10  # 1 where NaN keeps its sign
    NAN_FLIP = 11  # 1 where it is then inverted
    KEEP_ZERO = 12  # 1 where a negative zero stays negative
    SIGN_SHIFT = 13
    INFINITY = 14  # bits of infinity in the source
    ORIGIN = 15  # exponent field at which a value has the element's emin, for a scale of one
    NAN_BYTE = 16  # whole code of every element below a NaN scale
    OVERFLOW_FLIP = 17  # 1 where the sign of an overflow that leaves the numbers is then inverted
    NAN_PAYLOAD = 18  # 1 where the second highest bit of a NaN's mantissa is kept
    RANDOM_BITS = 19

    # Element, in the rarer parts of the encoder.
    INPUT_MIN = 20  # source magnitudes below count as zero
    KEEP_INPUT_ZERO = 21  # 1 where a negative zero on input stays negative
    RELU = 22
    FLUSH_BELOW = 23  # magnitude codes below become zero
    INTER_USED = 24  # 1 where the scaled value is rounded to an intermediate type
    INTER_ORIGIN = 25  # its emin less the element's, modulo two to the width
    INTER_SHIFT = 26  # significand bits that it drops from a normal value
    INTER_LIMIT = 27
    INTER_CARRY = 28  # its mantissa bits and one: what a carry reaches
    INTER_SPAN = 29  # its emax less its emin

    # Scale selection.
    THETA = 30  # significand field from which the exponent is one higher
    REBIAS = 31  # scale bias - source bias - emax, modulo two to the width
    ABOVE_CODE = 32
    ZERO_CODE = 33
    NAN_ACTION = 34  # what a NaN in a block does, as a rank: the highest in a block decides
    INF_ACTION = 35
    ACTION_CODES = 36  # and four more: scale code of each rank; 0 is to ignore
    TABLED = 41  # 1 where scales come from the table
    SCALE_INF_CODE = 42  # scalar cast only
    SCALE_NEGATIVE_NAN = 43  # scalar cast only: 1 where a negative number is NaN

    # Element, as a decoder sees it (words of float32).
    DECODE_MANTISSA = 44  # mantissa bits; one more for a fixed-point element
    DECODE_BIAS = 45
    MAGNITUDE_MASK = 46
    DECODE_MAX = 47  # magnitude codes above are special
    DECODE_INF = 48  # the one among them that is infinity
    DECODE_OVERFLOW = 49  # float32 bits of a value beyond float32
    DECODE_NAN_KEEP = 50  # 1 where NaN keeps its sign
    FIRST_PLAIN_SCALE = 51  # between these two, no result is subnormal or overflows
    LAST_PLAIN_SCALE = 52
    DECODE_FLUSH_BELOW = 53  # magnitude codes below are read as zero
    DECODE_RESULT_MIN = 54  # float32 magnitudes below become zero

    # Beside the table.
    OVER_WORD = 55  # least magnitude that is too large for the type of amax
    OVER_CODE = 56

    COUNT = 57


# Exponents of amax, subnormal ones normalized, have a table entry each: two thresholds, and three
# codes in one word. Places are counted from the exponent field, which normalizing takes below 1.
TABLE_LENGTH = {32: 280, 64: 2104}
TABLE_LIFT = {32: 24, 64: 53}


def table_start(width: int) -> int:
    """Return the place of the entry for exponent field 0."""
    return int(P.COUNT) + TABLE_LIFT[width]
