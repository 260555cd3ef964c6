"""The staged BDR decoder, and its faults: scales, microexponents or codes read wrongly.

Notes
-----
A product has at most 41 significant bits and lies inside float64: the one rounding, to float32, is
correct.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults._bdr_variant import has_integer, has_shift, is_power, is_signed
from mxref.faults._stack import stack
from mxref.faults.bdr_shift_faults import reordered
from mxref.faults.decode import element_table
from mxref.faults.encoder import Floats
from mxref.relatives.bdr_format import BDRFormat, Element, ScaleKind, SubscaleKind

__all__ = ["DECODE_FAULTS", "Decoder", "DecoderFault", "decoder_of"]

Singles = npt.NDArray[np.float32]
_LEAST_NORMAL = 2.0**-126


class Decoder:
    """The correct decoder of a format; a fault overrides a stage.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import BDR_FORMATS
    >>> decoder = Decoder(BDR_FORMATS["mx4"])
    >>> decoder.decode(np.array([128]), np.eye(1, 8), np.array([[3, 7] + [1] * 14]))[0, :3]
    array([ 1.5, -1.5,  1. ], dtype=float32)
    """

    def __init__(self, fmt: BDRFormat) -> None:
        self.fmt = fmt

    def decode(self, scales: npt.NDArray[Any], subscales: Any, codes: npt.NDArray[Any]) -> Singles:
        """Return the values of blocks as rows: (n,), (n, p) or None, and (n, k) to (n, k)."""
        elements = self.element(np.asarray(codes).astype(np.int64))
        with np.errstate(all="ignore"):
            found = elements * self.scale(np.asarray(scales))[:, None]
            if subscales is not None:
                found = found * np.repeat(
                    self.factor(self.used(np.asarray(subscales))), self.fmt.k2, axis=1
                )
            return self.narrowed(found)

    def narrowed(self, found: Floats) -> Singles:
        """Round to float32."""
        return found.astype(np.float32)

    def element(self, codes: npt.NDArray[np.int64]) -> Floats:
        """Return the values of codes, before scale and sub-scale."""
        fmt = self.fmt
        if fmt.float_element is not None:
            return element_table(fmt.float_element)[codes]
        if fmt.element is Element.TWOS_COMPLEMENT:
            found = np.where(codes >= fmt.sign_mask, codes - fmt.code_count, codes)
            return found.astype(np.float64) * float(fmt.step)
        magnitude = self.magnitude(codes & (fmt.sign_mask - 1)).astype(np.float64)
        sign = np.where(codes >= fmt.sign_mask, -1.0, 1.0)
        return np.copysign(magnitude, sign) * float(fmt.step)

    def magnitude(self, bits: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return M, given its bits."""
        return bits

    def scale(self, scales: npt.NDArray[Any]) -> Floats:
        """Return the values of scales."""
        if self.fmt.scale is ScaleKind.FLOAT32:
            return scales.astype(np.float64)
        codes = scales.astype(np.int64)
        return np.where(codes == self.fmt.nan_scale, np.nan, self.power(codes))

    def power(self, codes: npt.NDArray[np.int64]) -> Floats:
        """Return the values of scale codes that are numbers."""
        return np.asarray(np.ldexp(1.0, codes - self.fmt.bias))

    def used(self, subscales: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return which sub-scales are taken for those of sub-blocks."""
        return subscales

    def factor(self, subscales: npt.NDArray[Any]) -> Floats:
        """Return the values of sub-scales."""
        if self.fmt.subscale is SubscaleKind.POW2:
            return np.asarray(np.ldexp(1.0, -subscales.astype(np.int64)))
        return subscales.astype(np.float64)


class DecoderFault:
    """An executable decode fault.

    Attributes
    ----------
    id, detail : str
        Fault id, and which variant of it.
    model : type
        A decoder that has it.
    """

    def __init__(self, fault: str, detail: str, model: type[Decoder], fits: Any) -> None:
        self.id, self.detail, self.model, self.fits = fault, detail, model, fits

    def __repr__(self) -> str:
        """Show its name."""
        return f"DecoderFault({self.id}, {self.detail!r})"


class _Code0(Decoder):
    """D9."""

    def power(self, codes: npt.NDArray[np.int64]) -> Floats:
        return np.where(codes == 0, 0.0, super().power(codes))


class _Code255(Decoder):
    """D10."""

    value = 0.0

    def scale(self, scales: npt.NDArray[Any]) -> Floats:
        found = super().scale(scales)
        value = self.power(np.array(self.fmt.nan_scale)) if self.value < 0 else self.value
        return np.where(scales == self.fmt.nan_scale, value, found)


class _Offset(Decoder):
    """D5: scales are off by a constant power of two."""

    by = 1

    def power(self, codes: npt.NDArray[np.int64]) -> Floats:
        return super().power(codes + self.by)


class _ByWidth(Decoder):
    """D5: elements are integers, not fractions."""

    def power(self, codes: npt.NDArray[np.int64]) -> Floats:
        return super().power(codes + self.fmt.m - 1)


class _AsNumber(Decoder):
    """D13."""

    def scale(self, scales: npt.NDArray[Any]) -> Floats:
        return scales.astype(np.float64)


class _Half(Decoder):
    """D12: scales through float16."""

    least = 2.0**-24

    def power(self, codes: npt.NDArray[np.int64]) -> Floats:
        found = super().power(codes)
        return np.where(found < self.least, 0.0, np.where(found > 2.0**15, np.inf, found))


class _Sentinel(Decoder):
    """D11: the largest scale is taken for NaN."""

    def scale(self, scales: npt.NDArray[Any]) -> Floats:
        return np.where(scales == self.fmt.max_scale, np.nan, super().scale(scales))


class _FlushedOut(Decoder):
    """D8: subnormal results are flushed."""

    def narrowed(self, found: Floats) -> Singles:
        return super().narrowed(np.where(np.abs(found) < _LEAST_NORMAL, 0.0 * found, found))


class _AsIs(Decoder):
    """D6: the code is the number."""

    def element(self, codes: npt.NDArray[np.int64]) -> Floats:
        return codes.astype(np.float64) * float(self.fmt.step)


class _NegativeZero(Decoder):
    """D7: -0 is +0, or the largest."""

    lost = True

    def element(self, codes: npt.NDArray[np.int64]) -> Floats:
        value = 0.0 if self.lost else -float(self.fmt.step) * self.fmt.sign_mask
        return np.where(codes == self.fmt.sign_mask, value, super().element(codes))


class _OtherSigns(Decoder):
    """D19: one representation of signs read as the other."""

    def element(self, codes: npt.NDArray[np.int64]) -> Floats:
        fmt = self.fmt
        if fmt.element is Element.SIGN_MAGNITUDE:
            found = np.where(codes >= fmt.sign_mask, codes - fmt.code_count, codes)
            return found.astype(np.float64) * float(fmt.step)
        magnitude = (codes & (fmt.sign_mask - 1)).astype(np.float64) * float(fmt.step)
        return np.where(codes >= fmt.sign_mask, -magnitude, magnitude)


class _LowSign(Decoder):
    """D19: the sign is read from the lowest bit."""

    def element(self, codes: npt.NDArray[np.int64]) -> Floats:
        return super().element((codes >> 1) | ((codes & 1) * self.fmt.sign_mask))


class _Hidden(Decoder):
    """D20: a leading one is added."""

    def magnitude(self, bits: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return (bits + self.fmt.sign_mask) * 0.5


class _HiddenUnlessZero(Decoder):
    """D20: a leading one is added unless the code is zero."""

    def magnitude(self, bits: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return np.where(bits == 0, 0, (bits + self.fmt.sign_mask) * 0.5)


class _Dropped(Decoder):
    """D18: no sub-scale is applied."""

    def factor(self, subscales: npt.NDArray[Any]) -> Floats:
        return np.ones_like(super().factor(subscales))


class _Backwards(Decoder):
    """D18: in the other direction."""

    def factor(self, subscales: npt.NDArray[Any]) -> Floats:
        return 1 / super().factor(subscales)


class _Twice(Decoder):
    """D18: twice."""

    def factor(self, subscales: npt.NDArray[Any]) -> Floats:
        return super().factor(subscales) ** 2


class _Complement(Decoder):
    """D18: where the bit is not set."""

    def used(self, subscales: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self.fmt.max_shift - super().used(subscales)


class _Elsewhere(Decoder):
    """D18: of another sub-block."""

    by = 0

    def used(self, subscales: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self.by:
            return np.roll(subscales, self.by, axis=1)
        return reordered(subscales, 0)


class _FirstOnly(Decoder):
    """D18: one for the whole block."""

    def used(self, subscales: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.broadcast_to(subscales[:, :1], subscales.shape)


class _OnePerElement(Decoder):
    """D18: sub-blocks of elements that lie apart."""

    def decode(self, scales: npt.NDArray[Any], subscales: Any, codes: npt.NDArray[Any]) -> Singles:
        k = codes.shape[1]
        order = np.arange(k).reshape(self.fmt.k2, -1).T.reshape(-1)
        found = super().decode(scales, subscales, codes[:, order])
        result = np.empty_like(found)
        result[:, order] = found
        return result


def _with(base: type[Decoder], **attributes: Any) -> type[Decoder]:
    return type(base.__name__, (base,), attributes)


def _any_format(fmt: BDRFormat) -> bool:
    del fmt
    return True


def _has_any(fmt: BDRFormat) -> bool:
    return fmt.has_subscales


def _is_integer(fmt: BDRFormat) -> bool:
    return fmt.float_element is None


def _is_fraction(fmt: BDRFormat) -> bool:
    return is_power(fmt) and fmt.m > 1


DECODE_FAULTS: tuple[DecoderFault, ...] = (
    DecoderFault("D9", "", _Code0, is_power),
    DecoderFault("D10", "the number that it would be", _with(_Code255, value=-1.0), is_power),
    DecoderFault("D10", "infinity", _with(_Code255, value=np.inf), is_power),
    DecoderFault("D10", "zero", _Code255, is_power),
    DecoderFault("D5", "twice as large", _Offset, is_power),
    DecoderFault("D5", "half as large", _with(_Offset, by=-1), is_power),
    DecoderFault("D5", "elements are integers, not fractions", _ByWidth, _is_fraction),
    DecoderFault("D13", "", _AsNumber, is_power),
    DecoderFault("D12", "kept as subnormals", _Half, is_power),
    DecoderFault("D12", "flushed", _with(_Half, least=2.0**-14), is_power),
    DecoderFault("D11", "the largest scale", _Sentinel, is_power),
    DecoderFault("D8", "results below 2^-126", _FlushedOut, _any_format),
    DecoderFault("D6", "", _AsIs, _is_integer),
    DecoderFault("D7", "the sign is lost", _NegativeZero, is_signed),
    DecoderFault("D7", "a number", _with(_NegativeZero, lost=False), is_signed),
    DecoderFault("D19", "", _OtherSigns, _is_integer),
    DecoderFault("D19", "the sign in the lowest bit", _LowSign, _is_integer),
    DecoderFault("D20", "always", _Hidden, is_signed),
    DecoderFault("D20", "unless the code is zero", _HiddenUnlessZero, is_signed),
    DecoderFault("D18", "not at all", _Dropped, _has_any),
    DecoderFault("D18", "in the other direction", _Backwards, has_shift),
    DecoderFault("D18", "twice", _Twice, _has_any),
    DecoderFault("D18", "where the bit is not set", _Complement, has_shift),
    DecoderFault("D18", "as the sub-blocks in reverse order", _Elsewhere, _has_any),
    DecoderFault("D18", "as the sub-block before", _with(_Elsewhere, by=1), _has_any),
    DecoderFault("D18", "as the sub-block behind", _with(_Elsewhere, by=-1), _has_any),
    DecoderFault("D18", "as the first sub-block", _FirstOnly, _has_any),
    DecoderFault("D18", "for elements that lie apart", _OnePerElement,
                 lambda f: has_shift(f) and f.k2 > 1),
    DecoderFault("D18", "the inverse", _Backwards, has_integer),
)  # fmt: skip
"""Every decode fault."""


def decoder_of(fmt: BDRFormat, faults: tuple[DecoderFault, ...]) -> Decoder:
    """Return the decoder of a format with some faults in it."""
    return stack(Decoder, (fault.model for fault in faults))(fmt)
