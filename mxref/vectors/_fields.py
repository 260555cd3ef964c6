"""The fields of every operation of the set: one table row a field.

JSON, its schema, the tokens of a ``.hex`` line and the columns of every export follow from these
rows, so that an operation is added in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

__all__ = [
    "FAMILY",
    "IN_FIELDS",
    "OPERATIONS",
    "OUT_FIELDS",
    "PARTS",
    "RELATIVES",
    "Field",
    "Kind",
]

Kind = Literal[
    "type", "number", "code", "value", "random", "size", "layout",
    "operand", "nvfp4-operand", "bdr-operand",
]  # fmt: skip


class Field(NamedTuple):
    """One field of the inputs or outputs of an operation.

    Attributes
    ----------
    key : str
        Its name in JSON.
    kind : str
        ``type`` (a name); ``number`` (of that type); ``code`` (2 digits); ``value`` (a float32);
        ``random`` (8 digits); ``size`` (a JSON integer); ``layout`` (a name); one of `PARTS` (an
        operand of a product).
    attribute : str
        Where it lies in `Inputs` or `Output`.
    many : bool
        Whether it is a list.
    optional : bool
        Whether it may be missing.
    """

    key: str
    kind: Kind
    attribute: str
    many: bool = False
    optional: bool = False


_TYPE = Field("type", "type", "type")
_X = Field("x", "number", "bits", many=True)
_LAYOUT = (
    Field("packing", "layout", "layout"),
    Field("scale_layout", "layout", "layout"),
)
_TENSOR = (Field("shape", "size", "shape", many=True), Field("axis", "size", "axis"))
_RANDOM = Field("random", "random", "random", many=True, optional=True)
_SCALES = Field("scales", "code", "scales", many=True)
_CODES = Field("codes", "code", "bits", many=True)
_VALUES = Field("values", "value", "bits", many=True)
_GLOBAL = Field("global", "value", "global_scale")
_SUBSCALES = Field("subscales", "code", "subscales", many=True, optional=True)
_FP32_SCALE = Field("scale", "value", "scale")

PARTS: Mapping[str, tuple[Field, ...]] = MappingProxyType(
    {
        "operand": (_SCALES, _CODES),
        "nvfp4-operand": (_GLOBAL, _SCALES, _CODES),
        "bdr-operand": (_SCALES, _SUBSCALES, _CODES),
    }
)
"""What an operand of a product is made of, by its kind."""


def _product(kind: Kind, first: Field) -> tuple[Field, ...]:
    return (first, Field("a", kind, ""), Field("b", kind, "other"))


_MX_IN = {
    "encode": (_TYPE, Field("x", "number", "bits"), _RANDOM._replace(many=False)),
    "decode": (Field("code", "code", "bits"),),
    "quantize": (_TYPE, _X),
    "dequantize": (Field("scale", "code", "scales"), _CODES),
    "dot": _product("operand", Field("k", "size", "shape")),
    "quantize_tensor": (*_TENSOR, _TYPE, _X),
    "dequantize_tensor": (
        *_TENSOR,
        *_LAYOUT,
        Field("elements", "code", "bits", many=True),
        _SCALES,
    ),
    "matmul": _product("operand", Field("shape", "size", "shape", many=True)),
}
_NVFP4_IN = {
    "nvfp4_scale_encode": (_TYPE, Field("x", "number", "bits")),
    "nvfp4_scale_decode": (Field("code", "code", "bits"),),
    "nvfp4_quantize": (_TYPE, Field("amax", "value", "amax"), _X),
    "nvfp4_dequantize": (_GLOBAL, Field("scale", "code", "scales"), _CODES),
    "nvfp4_quantize_tensor": (*_TENSOR, _TYPE, _X),
    "nvfp4_dot": _product("nvfp4-operand", Field("k", "size", "shape")),
}
_BDR_IN = {
    "bdr_quantize": (_TYPE, _X),
    "bdr_dequantize": (Field("scale", "code", "scales"), _SUBSCALES, _CODES),
    "bdr_dot": _product("bdr-operand", Field("k", "size", "shape")),
    "scaled_quantize": (_TYPE, _X),
    "scaled_dequantize": (Field("scale", "value", "scales"), _SUBSCALES, _CODES),
}

IN_FIELDS: Mapping[str, tuple[Field, ...]] = MappingProxyType({**_MX_IN, **_NVFP4_IN, **_BDR_IN})
"""What an operation takes, in the order of JSON and of the tokens."""

_MX_OUT = {
    "encode": (Field("code", "code", "bits"),),
    "decode": (Field("value", "value", "bits"),),
    "quantize": (Field("scale", "code", "scale"), _CODES),
    "dequantize": (_VALUES,),
    "dot": (Field("value", "value", "bits"),),
    "quantize_tensor": (_SCALES, _CODES),
    "dequantize_tensor": (_VALUES,),
    "matmul": (_VALUES,),
}
_NVFP4_OUT = {
    "nvfp4_scale_encode": (Field("code", "code", "bits"),),
    "nvfp4_scale_decode": (Field("value", "value", "bits"),),
    "nvfp4_quantize": (_GLOBAL, Field("scale", "code", "scale"), _CODES),
    "nvfp4_dequantize": (_VALUES,),
    "nvfp4_quantize_tensor": (_GLOBAL, _SCALES, _CODES),
    "nvfp4_dot": (Field("value", "value", "bits"),),
}
_BDR_OUT = {
    "bdr_quantize": (Field("scale", "code", "scale"), _SUBSCALES, _CODES),
    "bdr_dequantize": (_VALUES,),
    "bdr_dot": (Field("value", "value", "bits"),),
    "scaled_quantize": (_FP32_SCALE, _SUBSCALES, _CODES),
    "scaled_dequantize": (_VALUES,),
}

OUT_FIELDS: Mapping[str, tuple[Field, ...]] = MappingProxyType(
    {**_MX_OUT, **_NVFP4_OUT, **_BDR_OUT}
)
"""What an operation gives, likewise."""

OPERATIONS: tuple[str, ...] = tuple(IN_FIELDS)
"""All operations; the position of one is its number in binary exports, so new ones come last."""

FAMILY: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(_MX_IN, "mx") | dict.fromkeys(_NVFP4_IN, "nvfp4") | dict.fromkeys(_BDR_IN, "bdr")
)
"""The family of formats that an operation is about: it says what kind of policy a file has."""

RELATIVES: frozenset[str] = frozenset(name for name in OPERATIONS if FAMILY[name] != "mx")
"""Operations on formats that are no MX formats; files of schema version 3 have them."""
