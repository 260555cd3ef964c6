"""Operands for recordings: a function of a seed alone, the same on every machine and NumPy.

Numbers come from SplitMix64 over a counter, in NumPy's wrapping uint64, so that a recording keeps
digests of outputs only. Each row belongs to a family (`FAMILIES`), picked by a hash of its number;
a product of two such operands meets every pair of families.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

__all__ = [
    "FAMILIES",
    "SCALES",
    "addend",
    "decode",
    "digest",
    "factor",
    "operand",
    "random_words",
    "sampled",
]

BLOCK = 32

# name: (exponent bits, mantissa bits, bias); int8 is two's complement with 6 fractional bits.
FLOATS = {
    "e4m3": (4, 3, 7),
    "e5m2": (5, 2, 15),
    "e3m2": (3, 2, 3),
    "e2m3": (2, 3, 1),
    "e2m1": (2, 1, 1),
}
SPECIAL = {"e4m3": (0x7F, 0xFF), "e5m2": (0x7C, 0xFC, 0x7D, 0x7E, 0x7F, 0xFF)}

FAMILIES = (
    "any",  # any finite code
    "narrow",  # exponents in a window of one to four
    "mirror",  # the second half of K cancels the first, when it meets another "mirror"
    "pairs",  # neighbours cancel, when they meet "pairs"
    "sparse",  # mostly zeros of both signs
    "tiny",  # subnormals and zeros
    "spike",  # one of the largest codes among small ones
    "positive",  # a growing sum
)

SCALES = ("one", "near", "half", "mid", "wide", "full", "nan", "low", "high")


def random_words(seed: int, *shape: int, rows: np.ndarray | None = None) -> np.ndarray:
    """uint64 words of SplitMix64, one for each element; or for those in some rows alone."""
    start = (seed * 0xD1342543DE82EF95 + 0x2545F4914F6CDD1D) & 0xFFFFFFFFFFFFFFFF
    if rows is None:
        z = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64)
    else:
        width = int(np.prod(shape[1:]))
        z = rows.astype(np.uint64)[:, None] * np.uint64(width)
        z = (z + np.arange(1, width + 1, dtype=np.uint64)).reshape(-1)
        shape = (rows.size, *shape[1:])
    z *= np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(start)
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z.reshape(shape)


def operand(
    name: str, rows: int | np.ndarray, k: int, seed: int, scales: str = "one", special: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Element codes (rows, k) and scale codes (rows, blocks), both uint8.

    Parameters
    ----------
    rows : int or array of int
        How many rows, or which.
    scales : str
        One of `SCALES`.
    special : int
        One row in so many holds a NaN or an infinity; 0 for none.
    """
    rows = np.arange(rows) if isinstance(rows, int) else rows
    codes = _codes(name, rows, k, seed)
    if special and name in SPECIAL:
        w = random_words(seed + 101, 0, rows=rows)
        where = (w >> np.uint64(8)) % np.uint64(k)
        values = np.array(SPECIAL[name], np.uint8)
        what = values[((w >> np.uint64(40)) % np.uint64(values.size)).astype(np.int64)]
        hit = np.flatnonzero(w % np.uint64(special) == 0)
        codes[hit, where[hit].astype(np.int64)] = what[hit]
    return codes, _scales(scales, rows, math.ceil(k / BLOCK), seed + 202)


def _codes(name: str, rows: np.ndarray, k: int, seed: int) -> np.ndarray:
    w = random_words(seed, 0, k, rows=rows)
    family = random_words(seed + 1, 0, rows=rows) >> np.uint64(7)
    family = family.astype(np.int64) % len(FAMILIES)
    row = random_words(seed + 2, 0, rows=rows).astype(np.int64)[:, None] & 0xFFFF
    word = (w >> np.uint64(32)).astype(np.int64)
    if name == "int8":
        codes = _int8_codes(word, family[:, None], row)
    else:
        codes = _float_codes(name, word, family[:, None], row)
    sign = 0x80 if name == "int8" else 1 << sum(FLOATS[name][:2])
    half, is_even = k // 2, k % 2 == 0
    if is_even:
        tweak = (word[:, half:] & 15) == 3  # some do not cancel
        for at in np.flatnonzero(family == 2):
            codes[at, half:] = np.where(tweak[at], codes[at, half:], codes[at, :half])
            if seed & 1:
                codes[at, half:] = _negated(name, codes[at, half:], sign)
        for at in np.flatnonzero(family == 3):
            keep = tweak[at, : codes[at, 1::2].size]
            codes[at, 1::2] = np.where(keep, codes[at, 1::2], codes[at, ::2])
            if seed & 1:
                codes[at, 1::2] = _negated(name, codes[at, 1::2], sign)
    return codes


def _negated(name: str, codes: np.ndarray, sign: int) -> np.ndarray:
    return (256 - codes.astype(np.int64)).astype(np.uint8) if name == "int8" else codes ^ sign


def _float_codes(name: str, word: np.ndarray, family: np.ndarray, row: np.ndarray) -> np.ndarray:
    eb, mb, _ = FLOATS[name]
    top = (1 << eb) - (2 if name == "e5m2" else 1)  # largest exponent field of finite numbers
    sign, mantissa, e = word & 1, (word >> 1) & ((1 << mb) - 1), (word >> 8) % (top + 1)
    width = 1 + (row >> 8) % 4
    low = row % np.maximum(1, top + 2 - width)
    e_narrow = np.minimum(top, low + (word >> 8) % width)
    spike = (word >> 16) % 64 == 0
    is_zero = (word >> 20) % 8 != 0
    tiny = family == 5
    e = np.where((family == 1) | (family == 3), e_narrow, e)
    e = np.where(family == 6, np.where(spike, top, (word >> 8) % (top // 3 + 1)), e)
    e = np.where(tiny, 0, e)
    sign = np.where(family == 7, 0, sign)
    codes = (sign << (eb + mb)) | (e << mb) | mantissa
    codes = np.where((family == 4) & is_zero, sign << (eb + mb), codes)
    if name == "e4m3":
        codes = np.where((codes & 0x7F) == 0x7F, codes - 1, codes)
    return codes.astype(np.uint8)


def _int8_codes(word: np.ndarray, family: np.ndarray, row: np.ndarray) -> np.ndarray:
    value = word % 255 - 127
    value = np.where(family == 1, value >> (row % 6), value)
    value = np.where((family == 4) & ((word >> 20) % 8 != 0), 0, value)
    value = np.where(family == 5, word % 3 - 1, value)
    value = np.where(family == 6, np.where((word >> 16) % 64 == 0, 127, word % 5 - 2), value)
    value = np.where(family == 7, abs(value), value)
    return (value & 0xFF).astype(np.uint8)


def _scales(mode: str, rows: np.ndarray, blocks: int, seed: int) -> np.ndarray:
    w = random_words(seed, 0, blocks, rows=rows)
    v = (w >> np.uint64(16)).astype(np.int64) & 0xFFFF
    row = random_words(seed + 1, 0, rows=rows).astype(np.int64)[:, None] & 0xFFFF
    codes = {
        "one": np.full_like(v, 127),
        "near": 117 + v % 21,
        "half": 112 + v % 23,  # the values fit float16
        "mid": 67 + row % 121 + v % 9 - 4,
        "wide": np.clip(5 + row % 245 + v % 11 - 5, 0, 254),
        "full": v % 255,
        "low": 127 - 68 + v % 9,  # products below the least normal float32
        "high": 127 + 58 + v % 7,  # sums near the largest float32
        "nan": np.where((v >> 8) % 64 == 0, 255, 117 + v % 21),
    }
    return codes[mode].astype(np.uint8)


def addend(
    kind: str, shape: tuple[int, int], seed: int, rows: np.ndarray | None = None
) -> np.ndarray:
    """An addend as words: "f32" near the products' range, "f16" any finite bits, "zero" of both
    signs, "any" finite float32 bits.
    """
    w = random_words(seed + 303, *shape, rows=rows)
    if kind == "zero":
        return (w >> np.uint64(63)).astype(np.uint32) << np.uint32(31)
    if kind == "any":
        bits = (w >> np.uint64(20)).astype(np.uint32)
        return np.where((bits & 0x7F800000) == 0x7F800000, bits & np.uint32(0x80FFFFFF), bits)
    if kind == "f16":
        bits = (w >> np.uint64(20)).astype(np.uint32) & np.uint32(0xFFFF)
        return np.where((bits & 0x7C00) == 0x7C00, bits & 0x83FF, bits).astype(np.uint16)
    exponent = 127 - 24 + (w >> np.uint64(50)).astype(np.int64) % 48
    bits = (w >> np.uint64(8)).astype(np.int64) & 0x807FFFFF
    return (bits | exponent << 23).astype(np.uint32)


def decode(name: str, codes: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The values as float64; exact, and inside float64's range for any scale code but 255."""
    table = np.array([_value(name, code) for code in range(256)])
    k = codes.shape[1]
    scale = np.ldexp(1.0, scales.astype(np.int64) - 127)
    scale[scales == 255] = np.nan
    return table[codes] * np.repeat(scale, BLOCK, axis=1)[:, :k]


def _value(name: str, code: int) -> float:
    if name == "int8":
        return (code - 256 if code > 127 else code) / 64
    eb, mb, bias = FLOATS[name]
    sign = -1.0 if code >> (eb + mb) & 1 else 1.0
    e, m = code >> mb & ((1 << eb) - 1), code & ((1 << mb) - 1)
    if name == "e4m3" and code & 0x7F == 0x7F:
        return np.nan
    if name == "e5m2" and e == 31:
        return np.nan if m else sign * np.inf
    size = m if e == 0 else m + (1 << mb)
    return sign * float(np.ldexp(size, max(e, 1) - bias - mb))


def digest(array: np.ndarray) -> str:
    """sha256 of the bytes, little endian."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(little.tobytes()).hexdigest()


def factor(case: dict, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Scale factors as float32: random significands, exponents -4 to 3; or powers of two."""
    w = random_words(case["seed"] + seed, *shape)
    if case.get("factor") == "pow2":
        bits = (np.uint64(27) + (w >> np.uint64(40)) % np.uint64(200)) << np.uint64(23)
    elif case.get("factor") == "tiny":
        bits = np.full(shape, 27 << 23, np.uint64)  # 2^-100
    else:
        exponent = np.uint64(123) + (w >> np.uint64(50)) % np.uint64(8)
        bits = exponent << np.uint64(23) | (w >> np.uint64(8)) & np.uint64(0x7FFFFF)
    return np.atleast_1d(bits).astype(np.uint32).view(np.float32).reshape(shape)


def sampled(size: int, count: int) -> np.ndarray:
    """Which rows or columns are kept whole."""
    return np.unique(np.arange(count) * size // count)
