"""What each operation of the set takes and gives: as objects, as JSON, as hexadecimal tokens.

Which fields an operation has stands in `mxref.vectors._fields`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mxref.vectors._fields import (
    FAMILY,
    IN_FIELDS,
    OPERATIONS,
    OUT_FIELDS,
    PARTS,
    RELATIVES,
    Field,
)

__all__ = [
    "FAMILY",
    "INPUT_DIGITS",
    "IN_FIELDS",
    "OPERATIONS",
    "OUT_FIELDS",
    "PACKINGS",
    "PARTS",
    "RELATIVES",
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
        (dequantize_tensor). The bits of a float32 where the scale is one (scaled_dequantize).
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
    amax : int or None
        Bits of a float32: the largest magnitude of the tensor that an NVFP4 block is part of.
    global_scale : int or None
        Bits of a float32: the scale of a whole NVFP4 tensor, by which decoding multiplies.
    subscales : tuple of int
        Codes of the second level of a BDR block: microexponents, or integer scales of VSQ.
    """

    type: str | None
    bits: tuple[int, ...]
    scales: tuple[int, ...] = ()
    random: tuple[int, ...] = ()
    other: Inputs | None = None
    shape: tuple[int, ...] = ()
    axis: int | None = None
    layout: tuple[str, ...] = ()
    amax: int | None = None
    global_scale: int | None = None
    subscales: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """What comes out: codes or float32 bits, with the scale code of a block or those of a tensor.

    ``scales`` has one scale code a block, row-major over the tensor with its axis cut to blocks.
    ``scale`` has the bits of a float32 where the scale is one (scaled_quantize); ``global_scale``
    and ``subscales`` are as in `Inputs`.
    """

    bits: tuple[int, ...]
    scale: int | None = None
    scales: tuple[int, ...] = ()
    global_scale: int | None = None
    subscales: tuple[int, ...] = ()


_DIGITS = {"code": 2, "value": 8, "random": 8}
_SINGLE = frozenset({"scale", "axis", "amax", "global_scale"})


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
            case kind if kind in PARTS:
                operand = getattr(held, field.attribute) if field.attribute else held
                yield field.key, dict(_as_json(operand, PARTS[kind]))
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
            case kind if kind in PARTS:
                parts = _from_json(value, PARTS[kind])
                found |= {field.attribute: Inputs(None, **parts)} if field.attribute else parts
            case _:
                values = value if field.many else [value]
                base = None if field.kind == "size" else 16
                numbers = tuple(v if base is None else int(v, base) for v in values)
                found[field.attribute] = numbers[0] if field.attribute in _SINGLE else numbers
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
            case kind if kind in PARTS:
                operand = getattr(held, field.attribute) if field.attribute else held
                yield f"{len(operand.scales):x}"
                yield from _tokens(operand, PARTS[kind])
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
