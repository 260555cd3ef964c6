"""What each operation of the set takes and gives: as objects, as JSON, as hexadecimal tokens.

One table row a field; JSON, its schema and the tokens of a ``.hex`` line all follow from the rows,
so that an operation is added in one place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

__all__ = [
    "INPUT_DIGITS",
    "IN_FIELDS",
    "OPERATIONS",
    "OUT_FIELDS",
    "PACKINGS",
    "SCALE_LAYOUTS",
    "SHORT_TYPE",
    "Field",
    "Inputs",
    "Output",
    "input_digits",
    "input_tokens",
    "inputs_as_json",
    "inputs_from_json",
    "output_as_json",
    "output_digits",
    "output_from_json",
    "output_tokens",
]

INPUT_DIGITS: Mapping[str, int] = MappingProxyType({"float32": 8, "bfloat16": 4, "float16": 4})
"""Input types of encode and quantize, with the hexadecimal digits of one number."""

SHORT_TYPE: Mapping[str, str] = MappingProxyType(
    {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
)
"""Input types as tokens: hexadecimal by luck, so that ``$readmemh`` reads them."""

PACKINGS: tuple[str, ...] = ("bytes", "nibbles-low-first")
"""How the codes of a stored tensor lie in bytes; the token is the position."""

SCALE_LAYOUTS: tuple[str, ...] = ("row-major", "128x4")
"""Where the scale codes of a stored tensor lie; the token is the position."""

OPERATIONS: tuple[str, ...] = (
    "encode",
    "decode",
    "quantize",
    "dequantize",
    "dot",
    "quantize_tensor",
    "dequantize_tensor",
    "matmul",
)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a case feeds in.

    Attributes
    ----------
    type : str or None
        Float type of `bits`; None where they are codes or bytes.
    bits : tuple of int
        Numbers, codes, or the bytes of a stored tensor; row-major.
    scales : tuple of int
        Scale codes: one (dequantize), one a block (dot, matmul; row by row), the bytes of a plane
        (dequantize_tensor).
    random : tuple of int
        Random bits, one number an element; empty where the policy draws nothing.
    other : Inputs or None
        The second operand of a product.
    shape : tuple of int
        Rows and columns of a tensor; the number of elements that count in a dot product; rows and
        columns of the result of a matrix product, and the length of its sums.
    axis : int or None
        Axis of a tensor along which the blocks lie.
    layout : tuple of str
        Members of `PACKINGS` and `SCALE_LAYOUTS` for a stored tensor.
    """

    type: str | None
    bits: tuple[int, ...]
    scales: tuple[int, ...] = ()
    random: tuple[int, ...] = ()
    other: Inputs | None = None
    shape: tuple[int, ...] = ()
    axis: int | None = None
    layout: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """What comes out: codes or float32 bits, with the scale code of a block or those of a tensor.

    ``scales`` has one scale code a block, row-major over the tensor with its axis cut to blocks.
    """

    bits: tuple[int, ...]
    scale: int | None = None
    scales: tuple[int, ...] = ()


Kind = Literal["type", "number", "code", "value", "random", "size", "operand", "layout"]


class Field(NamedTuple):
    """One field of the inputs or outputs of an operation.

    Attributes
    ----------
    key : str
        Its name in JSON.
    kind : str
        ``type`` (a name); ``number`` (of that type); ``code`` (2 digits); ``value`` (a float32);
        ``random`` (8 digits); ``size`` (a JSON integer); ``operand`` (scales and codes);
        ``layout`` (a name).
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
_LAYOUT = (
    Field("packing", "layout", "layout"),
    Field("scale_layout", "layout", "layout"),
)
_TENSOR = (Field("shape", "size", "shape", many=True), Field("axis", "size", "axis"))
_RANDOM = Field("random", "random", "random", many=True, optional=True)

IN_FIELDS: Mapping[str, tuple[Field, ...]] = MappingProxyType(
    {
        "encode": (_TYPE, Field("x", "number", "bits"), _RANDOM._replace(many=False)),
        "decode": (Field("code", "code", "bits"),),
        "quantize": (_TYPE, Field("x", "number", "bits", many=True)),
        "dequantize": (
            Field("scale", "code", "scales"),
            Field("codes", "code", "bits", many=True),
        ),
        "dot": (
            Field("k", "size", "shape"),
            Field("a", "operand", ""),
            Field("b", "operand", "other"),
        ),
        "quantize_tensor": (*_TENSOR, _TYPE, Field("x", "number", "bits", many=True)),
        "dequantize_tensor": (
            *_TENSOR,
            *_LAYOUT,
            Field("elements", "code", "bits", many=True),
            Field("scales", "code", "scales", many=True),
        ),
        "matmul": (
            Field("shape", "size", "shape", many=True),
            Field("a", "operand", ""),
            Field("b", "operand", "other"),
        ),
    }
)
"""What an operation takes, in the order of JSON and of the tokens."""

OUT_FIELDS: Mapping[str, tuple[Field, ...]] = MappingProxyType(
    {
        "encode": (Field("code", "code", "bits"),),
        "decode": (Field("value", "value", "bits"),),
        "quantize": (
            Field("scale", "code", "scale"),
            Field("codes", "code", "bits", many=True),
        ),
        "dequantize": (Field("values", "value", "bits", many=True),),
        "dot": (Field("value", "value", "bits"),),
        "quantize_tensor": (
            Field("scales", "code", "scales", many=True),
            Field("codes", "code", "bits", many=True),
        ),
        "dequantize_tensor": (Field("values", "value", "bits", many=True),),
        "matmul": (Field("values", "value", "bits", many=True),),
    }
)
"""What an operation gives, likewise."""

_DIGITS = {"code": 2, "value": 8, "random": 8}


def input_digits(inputs: Inputs) -> int:
    """Hexadecimal digits of one input: 8 for float32, 4 for the 16-bit types, 2 for a code."""
    return 2 if inputs.type is None else INPUT_DIGITS[inputs.type]


def output_digits(operation: str) -> int:
    """Hexadecimal digits of one output: 8 for a float32, 2 for a code."""
    return 8 if OUT_FIELDS[operation][-1].kind == "value" else 2


# --- objects to JSON -------------------------------------------------------------------------


def _numbers(held: Inputs | Output, field: Field) -> tuple[int, ...]:
    found = getattr(held, field.attribute)
    if found is None:
        return ()
    return (found,) if isinstance(found, int) else tuple(found)


def _hex(held: Inputs | Output, field: Field) -> list[str]:
    if field.kind == "number":
        assert isinstance(held, Inputs)  # noqa: S101  # the table has numbers for inputs only
        digits = input_digits(held)
    else:
        digits = _DIGITS[field.kind]
    return [f"{number:0{digits}x}" for number in _numbers(held, field)]


def _as_json(held: Inputs | Output, fields: tuple[Field, ...]) -> Iterator[tuple[str, Any]]:
    for field in fields:
        match field.kind:
            case "type":
                yield field.key, getattr(held, "type")  # noqa: B009  # Output has none
            case "layout":
                assert isinstance(held, Inputs)  # noqa: S101
                yield field.key, held.layout[field.key == "scale_layout"]
            case "operand":
                operand = getattr(held, field.attribute) if field.attribute else held
                inner = {"scales": operand.scales, "codes": operand.bits}
                yield field.key, {key: [f"{c:02x}" for c in v] for key, v in inner.items()}
            case "size":
                sizes = list(_numbers(held, field))
                yield field.key, sizes if field.many else sizes[0]
            case _:
                found = _hex(held, field)
                if found or not field.optional:
                    yield field.key, found if field.many else found[0]


def inputs_as_json(operation: str, inputs: Inputs) -> dict[str, Any]:
    """Return the ``in`` object of a case.

    Examples
    --------
    >>> inputs_as_json("encode", Inputs("bfloat16", (0x3F80,)))
    {'type': 'bfloat16', 'x': '3f80'}
    """
    return dict(_as_json(inputs, IN_FIELDS[operation]))


def output_as_json(operation: str, out: Output | None) -> dict[str, Any] | None:
    """Return the ``out`` object of a case or of a member; None where the input is refused."""
    return None if out is None else dict(_as_json(out, OUT_FIELDS[operation]))


# --- JSON to objects -------------------------------------------------------------------------


def _from_json(entry: Mapping[str, Any], fields: tuple[Field, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields:
        if field.optional and field.key not in entry:
            continue
        value = entry[field.key]
        match field.kind:
            case "type":
                found["type"] = value
            case "layout":
                found["layout"] = (*found.get("layout", ()), value)
            case "operand":
                scales = tuple(int(code, 16) for code in value["scales"])
                codes = tuple(int(code, 16) for code in value["codes"])
                if field.attribute:
                    found[field.attribute] = Inputs(None, codes, scales)
                else:
                    found |= {"bits": codes, "scales": scales}
            case _:
                values = value if field.many else [value]
                base = None if field.kind == "size" else 16
                numbers = tuple(v if base is None else int(v, base) for v in values)
                single = field.attribute in ("scale", "axis")
                found[field.attribute] = numbers[0] if single else numbers
    return found


def inputs_from_json(operation: str, entry: Mapping[str, Any]) -> Inputs:
    """Return the inputs that an ``in`` object of the right schema stands for."""
    found = _from_json(entry, IN_FIELDS[operation])
    return Inputs(**{"type": None, **found})


def output_from_json(operation: str, entry: Mapping[str, Any]) -> Output:
    """Return the output that an ``out`` object of the right schema stands for."""
    return Output(**_from_json(entry, OUT_FIELDS[operation]))


# --- tokens ----------------------------------------------------------------------------------


def _tokens(held: Inputs | Output, fields: tuple[Field, ...]) -> Iterator[str]:
    for field in fields:
        match field.kind:
            case "type":
                yield SHORT_TYPE[getattr(held, "type")]  # noqa: B009
            case "layout":
                assert isinstance(held, Inputs)  # noqa: S101
                place = field.key == "scale_layout"
                names = SCALE_LAYOUTS if place else PACKINGS
                yield f"{names.index(held.layout[place]):x}"
            case "operand":
                operand = getattr(held, field.attribute) if field.attribute else held
                yield f"{len(operand.scales):x}"
                yield from (f"{code:02x}" for code in (*operand.scales, *operand.bits))
            case "size":
                yield from (f"{size:x}" for size in _numbers(held, field))
            case _:
                yield from _hex(held, field)


def input_tokens(operation: str, inputs: Inputs) -> Iterator[str]:
    """Yield the tokens of the inputs in a ``.hex`` line.

    A stored tensor says first how many bytes its elements and its scales take.
    """
    fields = IN_FIELDS[operation]
    if operation != "dequantize_tensor":
        yield from _tokens(inputs, fields)
        return
    yield from _tokens(inputs, fields[:4])
    yield f"{len(inputs.bits):x}"
    yield f"{len(inputs.scales):x}"
    yield from _tokens(inputs, fields[4:])


def output_tokens(operation: str, out: Output) -> Iterator[str]:
    """Yield the tokens of an output in a ``.hex`` line."""
    yield from _tokens(out, OUT_FIELDS[operation])
