"""Variants of decode faults that a check searches for, beyond those that measure the vector set."""

from __future__ import annotations

import numpy as np

from mxref.faults.decode import DecodeModel, Decoder
from mxref.faults.encoder import Floats
from mxref.formats import ElementFormat, Kind

__all__ = ["decode_variants"]


class _PositiveZero(Decoder):
    """D8: subnormals of either sign become +0, and so does -0."""

    keeps_zero = False

    def elements(self) -> Floats:
        table = super().elements()
        least = float(self.fmt.min_normal or 0) if self.fmt is not None else 0.0
        small = np.abs(table) < least
        if self.keeps_zero:
            small &= table != 0
        return np.where(small, 0.0, table)


class _UnsignedZero(Decoder):
    """E19: the code of -0 is decoded as +0, by a table of integers for instance."""

    def elements(self) -> Floats:
        table = super().elements()
        return np.where(table == 0, 0.0, table)


class _HalfScale(Decoder):
    """D12: the scale passes through float16: below 2^-24 it is zero, from 2^16 on infinity."""

    def scales(self) -> Floats:
        with np.errstate(over="ignore"):
            return super().scales().astype(np.float16).astype(np.float64)


class _RawByte(Decoder):
    """D13: the scale byte is used as a number, 255 is NaN all the same."""

    def scales(self) -> Floats:
        table = np.arange(256.0)
        table[255] = np.nan
        return table


def decode_variants(fmt: ElementFormat | None) -> tuple[DecodeModel, ...]:
    """The further variants that can show in a format; None stands for lone scale codes.

    Examples
    --------
    >>> [model.id for model in decode_variants(None)]
    ['D12', 'D13']
    """
    models = [
        DecodeModel("D12", "the scale through float16", _HalfScale),
        DecodeModel("D13", "255 is NaN all the same", _RawByte),
    ]
    if fmt is not None and fmt.kind is Kind.FLOAT:
        keeps = type("Keeps", (_PositiveZero,), {"keeps_zero": True})
        models.append(DecodeModel("D8", "to +0, and -0 as well", _PositiveZero))
        models.append(DecodeModel("D8", "to +0, -0 is kept", keeps))
        models.append(DecodeModel("E19", "its code is decoded as +0", _UnsignedZero))
    return tuple(models)
