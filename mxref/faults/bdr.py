"""Every fault of a BDR format as an implementation of a whole operation, and the faultless one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults._bdr_variant import BDRFault, compose, has_shift
from mxref.faults._implementation import Implementation
from mxref.faults.bdr_decode import DECODE_FAULTS, Decoder, decoder_of
from mxref.faults.bdr_element_faults import ELEMENT_FAULTS
from mxref.faults.bdr_scale_faults import SCALE_FAULTS
from mxref.faults.bdr_shift_faults import SHIFT_FAULTS
from mxref.faults.encoder import Bytes
from mxref.relatives.bdr_format import BDRFormat, ScaleKind
from mxref.relatives.bdr_policy import BDRPolicy

__all__ = ["EQUIVALENT", "FAULTS", "correct", "faults_of", "implementations", "is_modelled"]

_Array = npt.NDArray[Any]
_Subject = Callable[..., Any]

FAULTS: tuple[BDRFault, ...] = (*SCALE_FAULTS, *SHIFT_FAULTS, *ELEMENT_FAULTS)
"""Every fault of a quantizer."""

EQUIVALENT: Mapping[tuple[str, str, str, str], str] = MappingProxyType({})
"""Faults that no input can show: (id, variant, operation, format) to the reason; ``*`` is any."""


_NEED_COMPANY = frozenset(
    {
        ("S14", "by the scale that is right"),
        ("S19", "by the shift that is right, not the stored one"),
    }
)
"""Faults that show only beside another one, which spoils what is stored."""


def is_modelled(policy: BDRPolicy) -> bool:
    """Whether the model follows a policy: not where random bits decide."""
    return not policy.rounding.value.startswith("stochastic")


def faults_of(fmt: BDRFormat, policy: BDRPolicy, stage: str = "") -> Iterator[BDRFault]:
    """Yield the faults that a format can have, those left out that a policy hides or asks for.

    Parameters
    ----------
    fmt : BDRFormat
    policy : BDRPolicy
    stage : str, optional
        ``"scale"``, ``"subscale"`` or ``"element"``; default: all three.
    """
    for fault in FAULTS:
        if stage in ("", fault.stage) and fault.fits(fmt) and not _is_hidden(fault, fmt, policy):
            yield fault


def _is_hidden(fault: BDRFault, fmt: BDRFormat, policy: BDRPolicy) -> bool:
    """Whether a fault does just what a policy asks for, or nothing under it."""
    rounding = policy.rounding.value
    match fault.id:
        case "S13":
            return policy.nan != "nan-scale"
        case "E19":
            return policy.neg_zero == "drop"
        case "E3":
            return rounding in ("toward-zero", "nearest-away")
        case "E16":
            return policy.inf != "clamp"
        case "E18":
            return policy.nan == "nan-scale"
        case "E8" | "E5":
            return rounding == "toward-zero"
    if fault.stage == "subscale" and has_shift(fmt) and policy.shift == "off":
        return fault.id != "S18"
    return False


def correct(operation: str, fmt: BDRFormat, policy: BDRPolicy) -> _Subject:
    """Return the faultless model of an operation.

    Parameters
    ----------
    operation : str
        ``"bdr_quantize"`` or ``"bdr_dequantize"`` for power-of-two scales, ``"scaled_quantize"`` or
        ``"scaled_dequantize"`` for float32 ones.
    fmt : BDRFormat
    policy : BDRPolicy
        Not stochastic.

    Raises
    ------
    ValueError
        If there is no such operation of the format.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import BDR_FORMATS
    >>> quantize = correct("bdr_quantize", BDR_FORMATS["mx4"], BDRPolicy())
    >>> scales, shifts, codes = quantize(np.ones((1, 16), np.float32))
    >>> scales, shifts[0, 0], codes[0, 0]
    (array([127], dtype=uint8), np.uint8(0), np.uint8(2))
    """
    if operation not in _operations(fmt):
        known = " and ".join(_operations(fmt))
        raise ValueError(f"no model of {operation!r} for {fmt.name}; it has {known}")
    if operation.endswith("dequantize"):
        return _decoding(operation, decoder_of(fmt, ()))
    return _quantizing(operation, fmt, policy, ())


def implementations(
    operation: str, fmt: BDRFormat, policy: BDRPolicy
) -> tuple[Implementation, ...]:
    """Return every fault that can show in an operation, as an implementation of it.

    Parameters
    ----------
    operation : str
        As for `correct`; another has no faults.
    fmt : BDRFormat
    policy : BDRPolicy
        A fault that does what it asks for is left out; one that is stochastic has none.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import BDR_FORMATS
    >>> found = implementations("bdr_dequantize", BDR_FORMATS["msfp12"], BDRPolicy())
    >>> sorted({fault.id for fault in found})
    ['D10', 'D11', 'D12', 'D13', 'D19', 'D20', 'D5', 'D6', 'D7', 'D8', 'D9']
    """
    if operation not in _operations(fmt):
        return ()
    if operation.endswith("dequantize"):
        return tuple(
            Implementation(fault.id, fault.detail, _decoding(operation, decoder_of(fmt, (fault,))))
            for fault in DECODE_FAULTS
            if fault.fits(fmt)
        )
    if not is_modelled(policy):
        return ()
    return tuple(
        Implementation(
            fault.id,
            fault.detail,
            _quantizing(operation, fmt, policy, (fault,)),
            fault.legal_change,
        )
        for fault in faults_of(fmt, policy)
        if (fault.id, fault.detail) not in _NEED_COMPANY and not fault.is_copy
    )


def _operations(fmt: BDRFormat) -> tuple[str, str]:
    family = "bdr" if fmt.scale is ScaleKind.POW2 else "scaled"
    return f"{family}_quantize", f"{family}_dequantize"


def _quantizing(
    operation: str, fmt: BDRFormat, policy: BDRPolicy, faults: tuple[BDRFault, ...]
) -> _Subject:
    made = compose(fmt, faults)

    def quantize(x: _Array) -> tuple[_Array, Bytes | None, Bytes]:
        return made(fmt, policy).quantize(np.asarray(x))

    def quantize_one(x: _Array) -> tuple[np.float32, Bytes | None, Bytes]:
        scales, subscales, codes = quantize(np.asarray(x).reshape(1, -1))
        return scales[0], None if subscales is None else subscales[0], codes[0]

    return quantize if operation == "bdr_quantize" else quantize_one


def _decoding(operation: str, decoder: Decoder) -> _Subject:
    def dequantize(scale: Any, subscales: Any, codes: _Array) -> _Array:
        rows = None if subscales is None else np.asarray(subscales).reshape(1, -1)
        found = decoder.decode(np.asarray(scale).reshape(1), rows, codes.reshape(1, -1))
        return np.asarray(found[0])

    return decoder.decode if operation == "bdr_dequantize" else dequantize
