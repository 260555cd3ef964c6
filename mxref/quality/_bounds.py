"""Least QSNR that a format can have, whatever the numbers are: in closed form, and exactly.

The closed form, for power-of-two scales with shifts as the second level (MX9, MX6, MX4, and MSFP
without it), over vectors of N numbers, with beta = 2**d2 - 1:

    QSNR >= 6.02 m + 10 log10( 4**beta / (min(N, k1) + (4**beta - 1) min(N, k2)) )   dB

[unverified] as the form that arXiv 2302.08007 has; derived here as follows. Let 2**E be the
exponent of a block's amax. A sub-block shifted by D has the step ``2**(E - D + 1 - m)``.

1. An element x that does not saturate errs by half a step at most, ``2**-m 2**(E - D)``. One that
   does lies between the largest code and ``2**(E - D + 1)``; it errs by less than a step, which is
   less than ``2**-m |x|``. So ``e**2 <= 4**-m max(4**(E - D), x**2)`` for every element.
2. A sub-block with D < beta has an element of at least ``2**(E - D)``, or it would be shifted
   further. Summing (1), its errors are at most ``4**-m k2`` times its own squares.
3. A sub-block with D = beta whose elements are all smaller than ``2**(E - beta)`` errs by at most
   ``4**-m k2 4**(E - beta)``, and may have squares next to nothing.
4. At least one sub-block, that of amax, is of kind (2) and unshifted, with squares of ``4**E`` at
   least. Noise over signal is largest if all others are of kind (3):
   ``4**-m (k2 + (k1 - k2) 4**-beta)``. That is the formula, with ``4**m`` as 6.02 m dB.
5. Of several blocks, the ratio of sums lies between the ratios of each, so the bound holds for a
   pooled ratio as for that of each vector. Where a vector is shorter than a block, its length
   takes the place of k1, and of k2.

It assumes finite numbers, a scale within range (no exponent clipped, nothing flushed), rounding to
nearest, and amax taken before rounding. It does not assume any distribution. It is not attained,
since an element that errs by half a step has some square itself; `worst_block` is what is attained.
"""

from __future__ import annotations

import math
from fractions import Fraction

from mxref.formats import BlockFormat, ElementFormat, Kind, pow2
from mxref.quality._formats import AnyFormat, any_format
from mxref.relatives.bdr_format import BDRFormat, ScaleKind, SubscaleKind

__all__ = ["qsnr_lower_bound"]


def qsnr_lower_bound(
    format: str | AnyFormat,  # noqa: A002
    n: int | None = None,
) -> float | None:
    """Return a QSNR in dB below which a format cannot fall, whatever the distribution.

    Parameters
    ----------
    format : str or format
        Under its default policy: MX formats with ``scale_rule=floor``, BDR formats with
        ``bdr-paper``.
    n : int, optional
        Length of the vectors over which the ratio is taken, if they are whole blocks or shorter
        than one; without it, that of a block. Formats with one scale for a whole tensor have no
        bound without it: it is the number of all elements.

    Returns
    -------
    float or None
        None where no bound holds for every tensor: the block scales of NVFP4 and the sub-scales of
        VSQ are rounded against the largest of the tensor, and a quiet block may vanish.

    Raises
    ------
    ValueError
        If there is no such format, or `n` is not positive.

    Notes
    -----
    Formats with power-of-two scales and integers: the formula above; MXINT8 is m = 7, k1 = k2 = 32,
    without a second level. MXFP8, MXFP6 and MXFP4: an element errs by at most ``rho`` times itself,
    saturation included, or else, near zero, by half the smallest subnormal h, so that noise over
    signal is at most ``rho**2 + (min(N, k) - 1) (h / 2**emax)**2``. Integers under a float32 scale:
    amax is kept and the others err by half a step, ``20 log10(2 max) - 10 log10 min(N, k1)``. FP8
    under a float32 scale: as MXFP8, with max in place of ``2**emax`` and without saturation.

    All assume finite numbers whose scales are within range, and rounding to nearest.

    Examples
    --------
    >>> [round(qsnr_lower_bound(name), 1) for name in ("mx9", "mx6", "mx4", "msfp16", "msfp12")]
    [34.7, 16.7, 4.6, 30.1, 6.0]
    >>> round(qsnr_lower_bound("mxint8"), 1), round(qsnr_lower_bound("mxfp4"), 1)
    (27.1, 7.4)
    >>> qsnr_lower_bound("nvfp4") is None
    True
    """
    fmt = any_format(format)
    if n is not None and n < 1:
        raise ValueError(f"n is the length of a vector, at least 1; got {n}")
    if isinstance(fmt, BlockFormat):
        size = fmt.block_size if n is None else min(n, fmt.block_size)
        if fmt.element.kind is Kind.FIXED:
            return _integers(fmt.element.mantissa_bits + 1, size, size, 0)
        return _floats(fmt.element, size, pow2(fmt.element.emax), saturates=True)
    if isinstance(fmt, BDRFormat):
        return _bdr(fmt, n)
    return None


def _bdr(fmt: BDRFormat, n: int | None) -> float | None:
    if fmt.k1 is None and n is None:
        return None
    size = min(k for k in (fmt.k1, n) if k is not None)
    if fmt.scale is ScaleKind.FLOAT32:
        if fmt.has_subscales:
            return None
        if fmt.float_element is not None:
            return _floats(fmt.float_element, size, fmt.largest, saturates=False)
        return 20 * math.log10(2 * fmt.largest) - 10 * math.log10(size)
    if fmt.subscale is SubscaleKind.INT:
        return None
    sub = min(size, fmt.k2) if fmt.has_subscales else size
    return _integers(fmt.m, size, sub, fmt.max_shift)


def _integers(m: int, size: int, sub: int, beta: int) -> float:
    power = 4**beta
    return 20 * m * math.log10(2) + 10 * math.log10(power / (size + (power - 1) * sub))


def _floats(element: ElementFormat, size: int, least: Fraction, *, saturates: bool) -> float:
    """Bound where every block's amax is at least `least` in units of its scale."""
    rho = Fraction(1, (1 << (element.mantissa_bits + 1)) + 1)
    if saturates:
        top = 2 * least
        rho = max(rho, (top - element.max) / top)
    half = element.min_subnormal / 2
    # One more element than there are beside amax: room for the rounding of a float32 scale.
    others = size - 1 if saturates else size
    return -10 * math.log10(rho * rho + others * (half / least) ** 2)
