"""What one element of a quantized array holds: its code, its scales and their product.

Where the number came from is not known here; only what a reader makes of the bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mxref.exact import bdr as exact_bdr
from mxref.exact import block as exact_block
from mxref.exact import element as exact_element
from mxref.exact import ieee, nvfp4
from mxref.exact.bdr_elements import decode as decode_bdr
from mxref.exact.number import Number, NumberClass
from mxref.show._asked import Named
from mxref.show._element_steps import packed
from mxref.show._errors import ArgumentError
from mxref.show._explain_marks import explanation_marks
from mxref.show._explain_place import locate
from mxref.show._explain_position import Place
from mxref.show._explain_step import Step, number_text
from mxref.show._explain_views import heading, step_lines
from mxref.show._facts import class_name
from mxref.show._paint import Mark
from mxref.show._scale_steps import scale_text
from mxref.show._text import View, field, powers, with_article

if TYPE_CHECKING:
    from mxref.bdr import BDRArray
    from mxref.mxarray import MXArray
    from mxref.nvfp4 import NVFP4Array

__all__ = ["StoredExplanation", "explain_stored"]


@dataclass(frozen=True, slots=True, repr=False)
class StoredExplanation(View):
    """What one element of a quantized array holds.

    Attributes
    ----------
    format, policy : format and policy
        Those of the array.
    place : Place
        Where the element lies.
    code : int
        Its code.
    scale_code : int
        The scale code of its block; the bits of the scale where it is a float32.
    subscale : int or None
        The code of its sub-block, where the format has a second level.
    global_scale : Number or None
        The multiplier of the whole tensor, NVFP4's g.
    steps : tuple of Step
        From the codes to the value.
    value : Number
        What the element stands for.
    float32 : int
        The bits of the value as a float32.
    """

    format: Named
    policy: Named
    place: Place
    code: int
    scale_code: int
    steps: tuple[Step, ...]
    value: Number
    float32: int
    subscale: int | None = None
    global_scale: Number | None = None

    def _lines(self) -> list[str]:
        return [
            *heading(f"{self.place.element} of {self.format.name}", f"policy {self.policy.name}"),
            *field("position", str(self.place)),
            *step_lines(self.steps),
        ]

    def _marks(self, lines: Sequence[str]) -> Iterator[Mark]:
        yield from explanation_marks(lines)

    def to_dict(self) -> dict[str, object]:
        """Return the same facts in types that JSON knows; exact numbers are strings ``p/q``."""
        g = self.global_scale
        return {
            "format": self.format.name,
            "policy": self.policy.name,
            "position": self.place.to_dict(),
            "code": self.code,
            "scale_code": self.scale_code,
            **({} if self.subscale is None else {"subscale": self.subscale}),
            **({} if g is None else {"global_scale": str(g)}),
            "steps": [step.to_dict() for step in self.steps],
            "value": str(self.value),
            "float32": f"0x{self.float32:08x}",
        }


def explain_stored(q: MXArray | NVFP4Array | BDRArray, at: Any) -> StoredExplanation:
    """Explain what a quantized array holds at a place.

    Raises
    ------
    TypeError, ValueError
        If `at` is missing, or no place of the array.
    """
    array: Any = q
    if at is None:
        zeros = ", ".join("0" * len(array.shape))
        comma = "," if len(array.shape) == 1 else ""
        kind = type(q).__name__
        what = f"{with_article(kind)} of shape {array.shape} holds many numbers: say which, such as"
        raise ArgumentError(
            f"{what} mxref.explain(q, at=({zeros}{comma}))",
            f"{what} --at {zeros.replace(' ', '')}",
        )
    kind = type(q).__name__
    if kind == "NVFP4Array":
        return _nvfp4(array, at)
    return _bdr(array, at) if kind == "BDRArray" else _mx(array, at)


def _decoded(product: str, value: Number, bits: int, clauses: tuple[str, ...]) -> Step:
    return Step("decoded", f"{product} = {number_text(value)}, float32 0x{bits:08x}", clauses)


def _element(code: int, fmt: Any, P: Number) -> Step:
    text = f"{packed(code, fmt)}, {class_name(code, fmt)}: P = {number_text(P)}"
    return Step("code", text, (fmt.clause,))


def _mx(q: MXArray, at: Any) -> StoredExplanation:
    fmt, policy = q.format, q.policy
    place = locate(at, q.shape, q.axis, fmt.block_size, "q")
    code, scale_code = int(q.codes[place.index]), int(q.scales[place.block])
    value = exact_block.dequantize(scale_code, [code], fmt, policy)[0]
    P = exact_element.decode(code, fmt.element, policy)
    bits = ieee.to_bits(value, "float32", policy)
    clauses: tuple[str, ...] = ("MX-1.0/5.1/value",)
    product = f"X * P = 2^{scale_code - fmt.scale.bias} * {number_text(P)}"
    if scale_code == fmt.scale.nan_code:
        product, clauses = "X is NaN: X * P", ("MX-1.0/5.1/nan-scale",)
    elif P.cls in (NumberClass.INF, NumberClass.NAN):
        clauses = ("MX-1.0/5.1/special-elements",)
    scale = Step("scale", scale_text(scale_code, fmt.scale), (fmt.scale.clause,))
    steps = (scale, _element(code, fmt.element, P), _decoded(product, value, bits, clauses))
    return StoredExplanation(fmt, policy, place, code, scale_code, steps, value, bits)


def _nvfp4(q: NVFP4Array, at: Any) -> StoredExplanation:
    fmt, policy = q.format, q.policy
    place = locate(at, q.shape, q.axis, fmt.block_size, "q")
    code, scale_code = int(q.codes[place.index]), int(q.scales[place.block])
    g = ieee.from_bits(int(q.global_scale.view("u4")), "float32")
    value = nvfp4.value(code, scale_code, g, policy)
    P, s = nvfp4.decode_element(code), nvfp4.decode_scale(scale_code, policy)
    bits = ieee.to_bits(value, "float32")
    recipe = ("OP-NVFP4-RECIPE",)
    is_exact = policy.decode_order == "exact"
    product = "P * s * g, rounded once" if is_exact else "fl(fl(s * g) * P)"
    steps = (
        Step("global", f"g = {number_text(g)}", recipe),
        Step("scale", f"0x{scale_code:02x}: s = {number_text(s)}", (fmt.scale.clause,)),
        _element(code, fmt.element, P),
        _decoded(product, value, bits, recipe),
    )
    return StoredExplanation(fmt, policy, place, code, scale_code, steps, value, bits, None, g)


def _bdr(q: BDRArray, at: Any) -> StoredExplanation:
    fmt, policy = q.format, q.policy
    place = locate(at, q.shape, q.axis, fmt.k1, "q")
    code = int(q.codes[place.index])
    held = q.scales[place.block]
    scale = int(held) if held.dtype == "u1" else int(held.view("u4"))
    shared: int | None = None
    if q.subscales is not None:
        number = (place.start + place.within) // fmt.k2
        index = (*place.index[: place.axis], number, *place.index[place.axis + 1 :])
        shared = int(q.subscales[index])
    value = exact_bdr.dequantize(scale, () if shared is None else (shared,), (code,), fmt)[0]
    bits = ieee.to_bits(value, "float32")
    point = ("OP-BDR-QUANTIZER",)
    X = exact_bdr.decode_scale(scale, fmt)
    digits = 2 if held.dtype == "u1" else 8
    named = powers(X.value).removeprefix("+") if digits == 2 and X.magnitude else number_text(X)
    steps = [Step("scale", f"0x{scale:0{digits}x} = {named}", point)]
    if shared is not None:
        word = "shift D" if fmt.subscale == "pow2" else "integer ss"
        steps.append(Step("sub-scale", f"{word} = {shared}", point))
    M = decode_bdr(code, fmt)
    what = "value" if fmt.float_element is not None else "M with its sign"
    steps.append(Step("code", f"0x{code:02x}: {what} = {number_text(M)}", point))
    steps.append(_decoded(fmt.formula.replace("**", "^"), value, bits, point))
    kept = tuple(steps)
    return StoredExplanation(fmt, policy, place, code, scale, kept, value, bits, shared)
