"""NVFP4 and BDR operands over fractions: tables typed from the papers, nothing of mxref's."""

from fractions import Fraction

import ml_dtypes
import numpy as np
from gemm_oracle import FLOATS, rounded

__all__ = ["bits", "values_of"]

E2M1 = [Fraction(n, 2) for n in (0, 1, 2, 3, 4, 6, 8, 12)]
OFP8 = {"e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2}


def e4m3(code):
    """The value of a scale of NVFP4; its sign bit has no meaning."""
    exponent, mantissa = divmod(code & 0x7F, 8)
    if exponent == 0:
        return Fraction(mantissa, 8) / 64
    return Fraction(8 + mantissa, 8) * Fraction(2) ** (exponent - 7)


def _nvfp4(q, codes, scales):
    g = Fraction(float(q.global_scale))
    return [
        (-E2M1[c & 7] if c & 8 else E2M1[c & 7]) * e4m3(scales[k // 16]) * g
        for k, c in enumerate(codes)
    ]


def _bdr(q, codes, scales, subscales):
    f, found = q.format, []
    for k, code in enumerate(codes):
        if f.element == "twos-complement":
            value = Fraction(code - 2 ** (f.m + 1) if code >> f.m else code)
        elif f.element in OFP8:
            value = Fraction(float(np.uint8(code).view(OFP8[f.element])))
        else:
            value = Fraction(code & (2**f.m - 1)) * (-1 if code >> f.m else 1)
        if f.subscale == "pow2":
            value /= 2 ** subscales[k // f.k2]
        if f.subscale == "int":
            value *= subscales[k // f.k2]
        scale = scales if f.k1 is None else scales[k // f.k1]
        if f.scale == "pow2":
            value *= Fraction(2) ** (scale - (2 ** (f.d1 - 1) - 1) + 1 - f.m)
        else:
            value *= Fraction(float(scale))
        found.append(value)
    return found


def values_of(q):
    """The values of each row of an operand, of each column where it is blocked along axis 0."""

    def turned(array):
        return array.T if q.axis == 0 else array

    codes, rows = turned(q.codes).tolist(), []
    scales = turned(q.scales).tolist() if np.ndim(q.scales) else float(q.scales)
    subscales = getattr(q, "subscales", None)
    for i, row in enumerate(codes):
        if hasattr(q, "global_scale"):
            rows.append(_nvfp4(q, row, scales[i]))
            continue
        shared = None if subscales is None else turned(subscales).tolist()[i]
        rows.append(_bdr(q, row, scales[i] if isinstance(scales, list) else scales, shared))
    return rows


def bits(a, b, c, dtype, rounding="nearest-even"):
    """The bits of ``a @ b + c``, rounded once; a and b are values."""
    found = np.empty((len(a), len(b)), FLOATS[dtype][1])
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            total = sum((p * q for p, q in zip(x, y, strict=True)), Fraction(0))
            if c is not None:
                total += Fraction(float(c[i, j]))
            places = total.denominator.bit_length() - 1
            found[i, j] = rounded(total.numerator, -places, dtype, rounding)
    return found
