"""Products of matrices in block formats, by integers alone: an oracle without code of mxref's.

Each element is an integer in units of the least subnormal of its format, each scale code a shift.
Products within a block are summed in int64, blocks in pieces of 24 bits, and each output then
becomes one Python integer, which is rounded once. What an infinity or a NaN gives is decided beside
it. The tables below were typed from the standards, not read from mxref.
"""

import ml_dtypes
import numpy as np

__all__ = [
    "FLOATS",
    "FORMATS",
    "ROUNDINGS",
    "Exact",
    "integers",
    "rounded",
]

# Exponent bits, mantissa bits, bias; the magnitudes that are NaN, and the one that is infinite.
FORMATS = {
    "mxfp8_e4m3": (4, 3, 7, (0x7F,), None),
    "mxfp8_e5m2": (5, 2, 15, (0x7D, 0x7E, 0x7F), 0x7C),
    "mxfp6_e3m2": (3, 2, 3, (), None),
    "mxfp6_e2m3": (2, 3, 1, (), None),
    "mxfp4": (2, 1, 1, (), None),
    "mxint8": (0, 6, 0, (), None),
}
# The type, an unsigned integer as wide, exponent bits, mantissa bits.
FLOATS = {
    "float32": (np.dtype(np.float32), np.dtype(np.uint32), 8, 23),
    "float64": (np.dtype(np.float64), np.dtype(np.uint64), 11, 52),
    "float16": (np.dtype(np.float16), np.dtype(np.uint16), 5, 10),
    "bfloat16": (np.dtype(ml_dtypes.bfloat16), np.dtype(np.uint16), 8, 7),
}
ROUNDINGS = (
    "nearest-even",
    "nearest-away",
    "nearest-down",
    "toward-zero",
    "up",
    "down",
    "to-odd",
)

PIECE = 24  # bits of a piece of a sum: products of 2^23 and pieces leave room for 2^16 blocks
PIECES = 30  # shifts by 508 and 16 of sums below 2^63, and their sign
SCALE_NAN, SCALE_BIAS = 255, 127


def unit(name):
    """The exponent of the least subnormal."""
    exponent_bits, mantissa_bits, bias, _, _ = FORMATS[name]
    return -mantissa_bits if exponent_bits == 0 else 1 - bias - mantissa_bits


def integers(name):
    """Each code's value in units of `unit`; 0 for what is not finite."""
    exponent_bits, mantissa_bits, _, nans, infinity = FORMATS[name]
    if exponent_bits == 0:
        return np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int64)
    width = exponent_bits + mantissa_bits
    table = []
    for code in range(2 << width):
        sign, magnitude = divmod(code, 1 << width)
        exponent, mantissa = divmod(magnitude, 1 << mantissa_bits)
        value = mantissa if exponent == 0 else (mantissa + (1 << mantissa_bits)) << (exponent - 1)
        value = 0 if magnitude in (*nans, infinity) else value
        table.append(-value if sign else value)
    return np.array(table, np.int64)


def _kinds(name):
    """Which codes are NaN, and which infinite, with their sign."""
    exponent_bits, mantissa_bits, _, nans, infinity = FORMATS[name]
    count = 256 if exponent_bits == 0 else 2 << (exponent_bits + mantissa_bits)
    nan, inf = np.zeros(count, bool), np.zeros(count, np.int64)
    for magnitude in nans:
        nan[[magnitude, magnitude | count // 2]] = True
    if infinity is not None:
        inf[[infinity, infinity | count // 2]] = 1, -1
    return nan, inf


def rounded(value, exponent, dtype, rounding):
    """The bits of ``value * 2**exponent``, an integer, rounded once; overflow as in IEEE 754."""
    if value == 0:
        return 0
    _, _, exponent_bits, mantissa_bits = FLOATS[dtype]
    sign, magnitude = value < 0, abs(value)
    least = 2 - (1 << (exponent_bits - 1))  # the exponent of the least normal number
    at = max(magnitude.bit_length() - 1 + exponent, least)
    shift = at - mantissa_bits - exponent
    if shift <= 0:
        steps = magnitude << -shift
    else:
        steps, rest = magnitude >> shift, magnitude & ((1 << shift) - 1)
        half = 1 << (shift - 1)
        steps += bool(rest) and _goes_up(rounding, sign, steps & 1, rest, half)
    infinity = ((1 << exponent_bits) - 1) << mantissa_bits
    bits = ((at - least) << mantissa_bits) + steps
    if bits >= infinity:
        stays = {"toward-zero": True, "to-odd": True, "up": sign, "down": not sign}
        bits = infinity - stays.get(rounding, False)
    return bits | sign << (exponent_bits + mantissa_bits)


def _goes_up(rounding, sign, is_odd, rest, half):
    """Whether a magnitude rounds up from where `rest`, not 0, is left over."""
    match rounding:
        case "nearest-even":
            return rest > half or (rest == half and is_odd)
        case "nearest-away":
            return rest >= half
        case "nearest-down":
            return rest > half
        case "to-odd":
            return not is_odd
        case "toward-zero":
            return False
    return sign == (rounding == "down")


class Exact:
    """The exact results of ``a @ b + c``, to be rounded to any type in any mode.

    `a` and `b` are looked at for their codes, scales, and the name and block size of their formats.
    """

    def __init__(self, a, b, c=None):
        block = a.format.block_size
        name_a, name_b = a.format.name.split("/")[0], b.format.name.split("/")[0]
        codes_a, codes_b = np.asarray(a.codes), np.asarray(b.codes)
        scales_a, scales_b = np.asarray(a.scales), np.asarray(b.scales)
        self.shape = (codes_a.shape[0], codes_b.shape[1])
        values_a, values_b = integers(name_a)[codes_a], integers(name_b)[codes_b]
        self.exponent = unit(name_a) + unit(name_b) - 2 * SCALE_BIAS
        self.values = _sums(values_a, scales_a, values_b, scales_b, block)
        self.terms = [(int(v), self.exponent) for v in self.values.reshape(-1)]
        self.special = _special(
            _with_scales(name_a, codes_a, scales_a, block, 1),
            _with_scales(name_b, codes_b, scales_b, block, 0),
        )
        if c is not None:
            self._add(np.broadcast_to(np.asarray(c), self.shape))

    def _add(self, c):
        with np.errstate(invalid="ignore"):  # of signalling NaNs
            wide = c.astype(np.float64).reshape(-1)  # exact for each type that an addend may have
        special = self.special.reshape(-1)
        for i, number in enumerate(wide.tolist()):
            if number != number:  # noqa: PLR0124  # a NaN
                special[i] = np.nan
            elif number in (np.inf, -np.inf):
                special[i] = number if special[i] in (0, number) else np.nan
            else:
                value, exponent = self.terms[i]
                top, below = number.as_integer_ratio()
                down = 1 - below.bit_length()
                least = min(exponent, down)
                self.terms[i] = (value << exponent - least) + (top << down - least), least

    def bits(self, dtype, rounding="nearest-even"):
        """The bits of every output."""
        _, storage, exponent_bits, mantissa_bits = FLOATS[dtype]
        infinity = ((1 << exponent_bits) - 1) << mantissa_bits
        of_special = {
            np.inf: infinity,
            -np.inf: infinity | 1 << (exponent_bits + mantissa_bits),
        }
        found = [
            rounded(*term, dtype, rounding)
            if special == 0
            else of_special.get(special, infinity | 1 << (mantissa_bits - 1))
            for term, special in zip(self.terms, self.special.reshape(-1).tolist(), strict=True)
        ]
        return np.array(found, storage).reshape(self.shape)

    def array(self, dtype, rounding="nearest-even"):
        """Every output as a number of the type."""
        return self.bits(dtype, rounding).view(FLOATS[dtype][0])


def _sums(values_a, scales_a, values_b, scales_b, block):
    """The exact sums as Python integers, in units of both formats and of scale codes of 0."""
    m, n = values_a.shape[0], values_b.shape[1]
    pieces = np.zeros((m * n, PIECES), np.int64)
    rows = np.arange(m * n)
    for i in range(scales_a.shape[1]):
        k = slice(i * block, (i + 1) * block)
        # A NaN scale's block is decided elsewhere, and its sum only has to stay in range.
        shift = (scales_a[:, i, None].astype(np.int64) + scales_b[None, i, :]).reshape(-1)
        shift = np.minimum(shift, 2 * (SCALE_NAN - 1))
        low = values_b[k] & 0xFFFF  # a product of two E5M2 fills 64 bits, so one side comes in two
        for part, more in ((low, 0), (values_b[k] >> 16, 16)):
            _accumulate(pieces, rows, (values_a[:, k] @ part).reshape(-1), shift + more)
    for j in range(PIECES - 1):
        pieces[:, j + 1] += pieces[:, j] >> PIECE
        pieces[:, j] &= (1 << PIECE) - 1
    stored = pieces.astype("<i4").view(np.uint8).reshape(m * n, PIECES, 4)[:, :, : PIECE // 8]
    stored = np.ascontiguousarray(stored).reshape(m * n, PIECES * PIECE // 8)
    found = np.empty(m * n, object)
    found[:] = [int.from_bytes(row.tobytes(), "little", signed=True) for row in stored]
    return found.reshape(m, n)


def _accumulate(pieces, rows, sums, shift):
    """Add ``sums << shift`` to rows of pieces."""
    at, rest = shift // PIECE, shift % PIECE
    mask = (1 << PIECE) - 1
    for j, piece in enumerate((sums & mask, sums >> PIECE & mask, sums >> 2 * PIECE)):
        pieces[rows, at + j] += piece << rest


def _with_scales(name, codes, scales, block, axis):
    """Signs, infinities and NaNs of an operand, NaN scales taken in."""
    nan, inf = _kinds(name)
    under = np.repeat(scales == SCALE_NAN, block, axis)
    under = under[:, : codes.shape[1]] if axis else under[: codes.shape[0]]
    return np.sign(integers(name)[codes]), inf[codes], nan[codes] | under


def _special(a, b):
    """0 where the sum is finite, else what it is: NaN, +Inf or -Inf."""
    (sign_a, inf_a, nan_a), (sign_b, inf_b, nan_b) = a, b
    found = np.zeros((sign_a.shape[0], sign_b.shape[1]))
    sign_a, sign_b = sign_a + inf_a, sign_b + inf_b  # the sign of what is infinite too

    def meets(left, right):
        return left.astype(np.int64) @ right.astype(np.int64) > 0

    for sign in (1, -1):
        has = np.zeros(found.shape, bool)
        for one in (1, -1):
            has |= meets(inf_a == one, sign_b == one * sign)
            has |= meets(sign_a == one, inf_b == one * sign)
        found[has] = np.where(found[has] == 0, sign * np.inf, np.nan)
    found[meets(inf_a != 0, sign_b == 0) | meets(sign_a == 0, inf_b != 0)] = np.nan
    found[nan_a.any(axis=1)[:, None] | nan_b.any(axis=0)[None, :]] = np.nan
    return found
