"""The named BDR formats, and how a name or a string of parameters becomes a format."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mxref._suggest import unknown_name
from mxref.relatives.bdr_format import BDRFormat, Element, ScaleKind, SubscaleKind

__all__ = ["BDR_FORMATS", "EVIDENCE", "bdr_format", "is_bdr_name", "name_of"]

_SHIFTED: dict[str, Any] = {"k1": 16, "k2": 2, "subscale": SubscaleKind.POW2, "d2": 1}
_FLOAT: dict[str, Any] = {"scale": ScaleKind.FLOAT32, "d1": 32}
_INTEGER: dict[str, Any] = {**_FLOAT, "element": Element.TWOS_COMPLEMENT, "k1": 1024}
_VSQ: dict[str, Any] = {**_INTEGER, "k2": 16, "subscale": SubscaleKind.INT}

BDR_FORMATS: Mapping[str, BDRFormat] = MappingProxyType(
    {
        "mx9": BDRFormat(m=7, **_SHIFTED),
        "mx6": BDRFormat(m=4, **_SHIFTED),
        "mx4": BDRFormat(m=2, **_SHIFTED),
        "msfp16": BDRFormat(m=7, k1=16),
        "msfp12": BDRFormat(m=3, k1=16),
        "bfp16": BDRFormat(m=7, k1=8, element=Element.TWOS_COMPLEMENT),
        "vsq8": BDRFormat(m=7, d2=8, **_VSQ),
        "vsq6": BDRFormat(m=5, d2=6, **_VSQ),
        "vsq4": BDRFormat(m=3, d2=4, **_VSQ),
        "scaled_int8": BDRFormat(m=7, **_INTEGER),
        "scaled_int4": BDRFormat(m=3, **_INTEGER),
        "scaled_fp8_e4m3": BDRFormat(m=4, k1=None, element=Element.E4M3, **_FLOAT),
        "scaled_fp8_e5m2": BDRFormat(m=3, k1=None, element=Element.E5M2, **_FLOAT),
    }
)
"""The formats that have a name."""

_PAPER = "https://arxiv.org/abs/2302.08007"
_QUARK = "https://pypi.org/project/amd-quark/"
_QUARK_MX = f"{_QUARK} (0.13, read: quark/common/data_type.py, BaseMX9, BaseMX6, BaseMX4)"
_MSFP = f"{_PAPER} [unverified: the bits are the names'; the block of 16 is from secondary text]"
_VS_QUANT = (
    "https://arxiv.org/abs/2102.04503 (vectors of 16, integer scales below a float scale); "
    "[unverified] that d2 is the element's width, and k1: one scale for 1024 elements, as for "
    "scaled integers"
)
_SCALED = f"{_PAPER} [unverified: one software scale for about a thousand integers]"
_FP8 = "https://arxiv.org/abs/2209.05433 (the codes); one float32 scale for a tensor"

EVIDENCE: Mapping[str, str] = MappingProxyType(
    {
        "mx9": _QUARK_MX,
        "mx6": _QUARK_MX,
        "mx4": _QUARK_MX,
        "msfp16": _MSFP,
        "msfp12": _MSFP,
        "bfp16": f"{_QUARK} (0.13, read: DEFAULT_BFP_PARAMS and BFPCPUKernelCompiler)",
        "vsq8": _VS_QUANT,
        "vsq6": _VS_QUANT,
        "vsq4": _VS_QUANT,
        "scaled_int8": _SCALED,
        "scaled_int4": _SCALED,
        "scaled_fp8_e4m3": _FP8,
        "scaled_fp8_e5m2": _FP8,
    }
)
"""Where the parameters of each named format are from."""

_FREE = "bdr"
"""What stands before the colon where no named format is meant."""
_INTEGERS = ("m", "k1", "k2", "d1", "d2")
_WORDS = ("scale", "subscale", "element")
_WHOLE = "tensor"


def bdr_format(fmt: str | BDRFormat) -> BDRFormat:
    """Return a format by its name or by its parameters.

    Parameters
    ----------
    fmt : str or BDRFormat
        ``"mx9"``; a name with other parameters, ``"mx9:k1=32"``; or a point that has no name,
        ``"bdr:m=5,k1=16,k2=4,d2=2"``. ``k1=tensor`` means one scale for the whole tensor.

    Raises
    ------
    ValueError
        If there is no such format or parameter, or the parameters do not fit together.
    TypeError
        If `fmt` is neither a string nor a BDRFormat.

    Examples
    --------
    >>> bdr_format("mx9").m, bdr_format("scaled_int8:k1=tensor").k1
    (7, None)
    >>> bdr_format("bdr:m=5,k1=16,k2=4,d1=8,d2=2").name
    'bdr:m=5,k1=16,k2=4,d1=8,d2=2'
    >>> bdr_format("mx8")
    Traceback (most recent call last):
        ...
    ValueError: unknown BDR format 'mx8': did you mean 'mx9' or 'mx6' or 'mx4'? Known: mx9, mx6, \
mx4, msfp16, msfp12, bfp16, vsq8, vsq6, vsq4, scaled_int8, scaled_int4, scaled_fp8_e4m3, \
scaled_fp8_e5m2, bdr
    """
    if isinstance(fmt, BDRFormat):
        return fmt
    if not isinstance(fmt, str):
        kind = type(fmt).__name__
        raise TypeError(f"format must be a name such as 'mx9' or a BDRFormat, got {kind}")
    return _parsed(fmt)


def is_bdr_name(name: object) -> bool:
    """Whether `bdr_format` is the one to ask about a name, right or wrong.

    Examples
    --------
    >>> is_bdr_name("mx9"), is_bdr_name("bdr:m=40"), is_bdr_name("mxfp4")
    (True, True, False)
    """
    if isinstance(name, BDRFormat):
        return True
    base = name.partition(":")[0].strip().lower() if isinstance(name, str) else None
    return base == _FREE or base in BDR_FORMATS


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> BDRFormat:
    base, colon, rest = text.partition(":")
    name = base.strip().lower()
    if name not in BDR_FORMATS and name != _FREE:
        raise ValueError(unknown_name("BDR format", text, [*BDR_FORMATS, _FREE]))
    if not colon and name != _FREE:
        return BDR_FORMATS[name]
    given = _pairs(text, rest)
    if name == _FREE:
        if missing := [key for key in ("m", "k1") if key not in given]:
            example = "bdr:m=5,k1=16,k2=4,d2=2"
            raise ValueError(f"{text!r} lacks {' and '.join(missing)}; for example {example!r}")
        return BDRFormat.of(**given)
    known = BDR_FORMATS[name]
    fields = {key: getattr(known, key) for key in known.__dataclass_fields__}
    return BDRFormat(**{**fields, **given})


def _pairs(text: str, rest: str) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for part in filter(str.strip, rest.split(",")):
        key, value = _pair(text, part)
        if key in given:
            raise ValueError(f"{text!r} gives {key} twice: leave one out")
        given[key] = value
    return given


def _pair(text: str, part: str) -> tuple[str, Any]:
    key, equals, value = (piece.strip().lower() for piece in part.partition("="))
    if not equals:
        raise ValueError(f"{text!r}: expected parameter=value after ':', got {part!r}")
    if key in _WORDS:
        return key, value
    if key not in _INTEGERS:
        raise ValueError(unknown_name("parameter of a BDR format", key, _INTEGERS + _WORDS))
    if key == "k1" and value == _WHOLE:
        return key, None
    if not value.isdecimal():
        also = f" or {_WHOLE!r}" if key == "k1" else ""
        raise ValueError(f"{text!r}: {key} is {value!r}; expected an integer{also}")
    return key, int(value)


@functools.lru_cache(maxsize=256)
def name_of(fmt: BDRFormat) -> str:
    """Return the name of a format, or its parameters as `bdr_format` reads them.

    Examples
    --------
    >>> name_of(bdr_format("mx9")), name_of(bdr_format("mx9:k1=32"))
    ('mx9', 'bdr:m=7,k1=32,k2=2,d1=8,d2=1')
    """
    for name, known in BDR_FORMATS.items():
        if known == fmt:
            return name
    k1 = _WHOLE if fmt.k1 is None else fmt.k1
    parts = [f"m={fmt.m}", f"k1={k1}"]
    if fmt.has_subscales:
        parts.append(f"k2={fmt.k2}")
    parts.append(f"d1={fmt.d1}")
    if fmt.has_subscales:
        parts.append(f"d2={fmt.d2}")
    if fmt.scale is not ScaleKind.POW2:
        parts.append(f"scale={fmt.scale}")
    if fmt.subscale is SubscaleKind.INT:
        parts.append(f"subscale={fmt.subscale}")
    if fmt.element is not Element.SIGN_MAGNITUDE:
        parts.append(f"element={fmt.element}")
    return f"{_FREE}:" + ",".join(parts)
