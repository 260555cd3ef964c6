"""Decode faults: element codes or scale codes read wrongly.

Notes
-----
A decoder is two tables, of element codes and of scale codes, and their product rounded to float32.
Tables and product are float64: an element has at most 7 significant bits and a scale one, so the
product is exact, and the one rounding to float32 is correct.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults.encoder import Floats
from mxref.formats import ElementFormat, Kind
from mxref.policy import Policy

__all__ = [
    "DecodeModel",
    "Decoder",
    "bias_models",
    "decode_models",
    "element_table",
    "scale_table",
    "sentinel_model",
]

Singles = npt.NDArray[np.float32]


def element_table(fmt: ElementFormat) -> Floats:
    """The value of every code, float64, shape (code_count,).

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> element_table(element_format("e2m1"))[:8]
    array([0. , 0.5, 1. , 1.5, 2. , 3. , 4. , 6. ])
    """
    codes = np.arange(fmt.code_count)
    if fmt.kind is Kind.FIXED:
        signed = codes - fmt.code_count * (codes >= fmt.sign_mask)
        return np.asarray(signed * float(fmt.min_subnormal), np.float64)
    magnitude = codes & (fmt.sign_mask - 1)
    exponent = magnitude >> fmt.mantissa_bits
    mantissa = magnitude & ((1 << fmt.mantissa_bits) - 1)
    implicit = (exponent > 0).astype(np.int64) << fmt.mantissa_bits
    shift = np.maximum(exponent, 1) - fmt.bias - fmt.mantissa_bits
    value = np.ldexp((implicit + mantissa).astype(np.float64), shift)
    if fmt.inf_magnitude is not None:
        value[magnitude == fmt.inf_magnitude] = np.inf
    value[np.isin(magnitude, sorted(fmt.nan_magnitudes))] = np.nan
    return np.asarray(np.copysign(value, np.where(codes >= fmt.sign_mask, -1.0, 1.0)))


def scale_table() -> Floats:
    """The value of every E8M0 code, float64, shape (256,).

    Examples
    --------
    >>> scale_table()[[126, 127, 128, 255]]
    array([0.5, 1. , 2. , nan])
    """
    table = np.ldexp(1.0, np.arange(256) - 127)
    table[255] = np.nan
    return table


class Decoder:
    """The correct decoder; a fault overrides a table.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> decoder = Decoder(element_format("e2m1"), Policy())
    >>> decoder.decode(np.array([0x7, 0x9]), np.array([128, 128]))
    array([12., -1.], dtype=float32)
    """

    def __init__(self, fmt: ElementFormat | None, policy: Policy) -> None:
        self.fmt = fmt
        self.policy = policy

    def elements(self) -> Floats:
        """Table of element codes; a lone scale code is decoded as though its element were 1."""
        if self.fmt is None:
            return np.ones(256)
        table = element_table(self.fmt)
        if self.policy.decode_subnormal == "flush-element" and self.fmt.kind is Kind.FLOAT:
            small = np.abs(table) < float(self.fmt.min_normal or 0)
            table = np.where(small, np.copysign(0.0, table), table)
        return table

    def scales(self) -> Floats:
        """Table of scale codes."""
        return scale_table()

    def decode(self, codes: npt.NDArray[Any], scale_codes: npt.NDArray[Any]) -> Singles:
        """Decode element codes under scale codes, broadcast against each other."""
        elements, scales = self.elements()[codes], self.scales()[scale_codes]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            exact = elements * scales
            value = exact.astype(np.float32)
        if self.policy.decode_overflow == "saturate":
            over = np.isinf(value) & np.isfinite(exact)
            largest = np.copysign(np.finfo(np.float32).max, value)
            value = np.where(over, largest, value).astype(np.float32)
        if self.policy.decode_subnormal == "flush-result" and self.fmt is not None:
            tiny = np.abs(exact) < 2.0**-126
            value = np.where(tiny, np.copysign(0.0, elements), value).astype(np.float32)
        return self.with_nan(value, elements)

    def with_nan(self, value: Singles, elements: Floats) -> Singles:
        """Give NaN the bits that the policy asks for."""
        nan = np.isnan(value)
        if not nan.any():
            return value
        signed = self.policy.decode_nan == "signed"
        bits = np.where(np.signbit(elements) & signed, 0xFFC00000, 0x7FC00000).astype(np.uint32)
        return np.where(nan, np.broadcast_to(bits, nan.shape).view(np.float32), value)


@dataclass(frozen=True, slots=True, eq=False)
class DecodeModel:
    """An executable decode fault.

    Attributes
    ----------
    id, detail : str
        Fault id, and which variant of it.
    decoder : type
        The decoder that has the fault.
    """

    id: str
    detail: str
    decoder: type[Decoder]


_Table = Callable[[ElementFormat, Floats], Floats]
_Rows = Iterator[tuple[str, str, type[Decoder]]]


def decode_models(fmt: ElementFormat | None) -> tuple[DecodeModel, ...]:
    """Every decode fault that can show in a format; None stands for lone scale codes.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> [m.id for m in decode_models(element_format("e2m1"))][:4]
    ['D1', 'D1', 'D2', 'D2']
    """
    rows: list[tuple[str, str, type[Decoder]]] = []
    if fmt is not None and fmt.kind is Kind.FLOAT:
        rows += [*_subnormals(fmt), *_specials(fmt)]
    rows += _scales()
    if fmt is not None:
        rows += _of_elements(fmt)
    else:
        rows += [("D6", "", _with_scales(lambda: np.arange(256.0)))]
    rows += _biases(fmt)
    return tuple(DecodeModel(*row) for row in rows)


def _with_elements(change: _Table) -> type[Decoder]:
    class WrongElements(Decoder):
        def elements(self) -> Floats:
            table = super().elements()
            return table if self.fmt is None else change(self.fmt, table)

    return WrongElements


def _scaled_elements(factor: Floats) -> type[Decoder]:
    return _with_elements(lambda _, table: table * factor)


def _with_scales(table: Callable[[], Floats]) -> type[Decoder]:
    class WrongScales(Decoder):
        def scales(self) -> Floats:
            return table()

    return WrongScales


def _fields(fmt: ElementFormat) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sign (-1 or 1), exponent field and mantissa field of every code."""
    codes = np.arange(fmt.code_count)
    magnitude = codes & (fmt.sign_mask - 1)
    sign = np.where(codes >= fmt.sign_mask, -1.0, 1.0)
    one = 1 << fmt.mantissa_bits
    return sign, magnitude >> fmt.mantissa_bits, magnitude & (one - 1)


def _as_normal(fmt: ElementFormat) -> Floats:
    """Every code read as a normal number, whatever its exponent field."""
    sign, exponent, mantissa = _fields(fmt)
    significand = 1 + mantissa / 2.0**fmt.mantissa_bits
    return sign * np.ldexp(significand, exponent - fmt.bias)


def _subnormals(fmt: ElementFormat) -> _Rows:
    _, exponent, mantissa = _fields(fmt)
    small = exponent == 0

    def replaced(where: npt.NDArray[np.bool_], value: Floats | float) -> type[Decoder]:
        return _with_elements(lambda _, table: np.where(where, value, table))

    normal = _as_normal(fmt)
    signed_zero = np.copysign(0.0, element_table(fmt))
    yield "D1", "zeros too", replaced(small, normal)
    yield "D1", "zeros right", replaced(small & (mantissa > 0), normal)
    for shift in (-1, 1):
        factor = np.where(small, 2.0**shift, 1.0)
        how = "half" if shift < 0 else "twice"
        yield "D2", f"{how} as large", _scaled_elements(factor)
    yield "D7", "", replaced(np.arange(fmt.code_count) == fmt.sign_mask, normal)
    yield "D8", "", replaced(small, signed_zero)


def _specials(fmt: ElementFormat) -> _Rows:
    magnitude = np.arange(fmt.code_count) & (fmt.sign_mask - 1)
    normal = _as_normal(fmt)
    nan = np.isin(magnitude, sorted(fmt.nan_magnitudes))
    inf = magnitude == fmt.inf_magnitude
    if fmt.has_nan:
        yield "D3", "", _with_elements(lambda _, t: np.where(nan, normal, t))
    if fmt.has_inf:
        yield "D4", "", _with_elements(lambda _, t: np.where(inf, normal, t))
        yield "D4", "and NaN likewise", _with_elements(lambda _, t: np.where(nan | inf, normal, t))


def _changed_scale(code: int | slice, value: float) -> type[Decoder]:
    class ChangedScale(Decoder):
        def scales(self) -> Floats:
            scales = super().scales().copy()  # another fault may have changed another code
            scales[code] = value
            return scales

    return ChangedScale


def sentinel_model(code: int) -> DecodeModel:
    """D11 for one scale code, as read off the data."""
    return DecodeModel("D11", f"scale code {code}", _changed_scale(code, np.nan))


def _scales() -> _Rows:
    yield "D9", "", _changed_scale(0, 0.0)
    yield "D10", "infinity", _changed_scale(255, np.inf)
    yield "D10", "2**128", _changed_scale(255, 2.0**128)
    yield "D10", "zero", _changed_scale(255, 0.0)
    yield "D11", "scale code 134", _changed_scale(134, np.nan)
    yield "D12", "codes 103 to 112", _changed_scale(slice(103, 113), 0.0)
    yield "D12", "every code below 113", _changed_scale(slice(0, 113), 0.0)
    yield "D13", "", _with_scales(lambda: np.arange(256.0))


def _of_elements(fmt: ElementFormat) -> _Rows:
    codes = np.arange(fmt.code_count)
    integers = codes - fmt.code_count * (codes >= fmt.sign_mask)
    yield "D6", "unsigned", _with_elements(lambda _, __: codes.astype(np.float64))
    if fmt.kind is Kind.FLOAT:
        yield "D6", "signed", _with_elements(lambda _, __: integers.astype(np.float64))
        yield "E24", "FNUZ read in place of OCP", _with_elements(_fnuz)
    else:
        yield "D6", "signed", _with_elements(lambda _, __: integers.astype(np.float64))


def _fnuz(fmt: ElementFormat, table: Floats) -> Floats:
    """Bias one higher, every code but 0x80 a number."""
    _, exponent, _ = _fields(fmt)
    value = np.where(exponent > 0, _as_normal(fmt), table) / 2
    value[fmt.sign_mask] = np.nan
    return value


def _biases(fmt: ElementFormat | None) -> _Rows:
    """D5 for the bias differences to float16 and float32, and one step to either side."""
    shifts = [1, -1]
    if fmt is not None and fmt.kind is Kind.FLOAT:
        shifts += [fmt.bias - wide for wide in (15, 127) if wide != fmt.bias]
    for shift in shifts:
        yield from ((m.id, m.detail, m.decoder) for m in bias_models(fmt, shift))


def bias_models(fmt: ElementFormat | None, shift: int) -> tuple[DecodeModel, ...]:
    """D5 with one power of two, as read off the data: of all codes, and of normal ones only."""
    factor, detail = 2.0**shift, f"a factor of 2^{shift}"
    if fmt is None or fmt.kind is Kind.FIXED:
        return (DecodeModel("D5", detail, _with_scales(lambda: scale_table() * factor)),)
    _, exponent, _ = _fields(fmt)
    normal = np.where(exponent > 0, factor, 1.0)
    every = _with_elements(lambda _, table: table * factor)
    some = _with_elements(lambda _, table: table * normal)
    return (
        DecodeModel("D5", detail, every),
        DecodeModel("D5", f"{detail}, normal numbers only", some),
    )
