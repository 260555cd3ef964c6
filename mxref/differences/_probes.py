"""The four operations as a search sees them: inputs, what a policy makes of them, and the proof.

A probe runs a policy over all of its inputs with the kernels, and over one input with the exact
definition. A row is one input.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mxref import arrays
from mxref.differences import _classes as classes
from mxref.differences import _inputs as inputs
from mxref.differences._result import Outcome
from mxref.exact import block as exact_block
from mxref.exact import element as exact_element
from mxref.exact import ieee
from mxref.exact import scale as exact_scale
from mxref.formats import SCALE_FORMATS, BlockFormat, ElementFormat, ScaleFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mxref.exact.number import Number
    from mxref.policy import Policy

__all__ = ["BlockProbe", "CastProbe", "DecodeProbe", "DequantizeProbe", "Probe", "Row"]

Row = tuple[int, ...] | None
"""What one input becomes: codes or bits; None where the policy refuses it."""

_E8M0 = SCALE_FORMATS["e8m0"]


class Probe(ABC):
    """One operation in one format."""

    operation: str
    format: str
    inputs: tuple[NDArray[Any], ...]
    """Arrays of the same length; one row of each is an input."""

    @property
    def size(self) -> int:
        """How many inputs there are."""
        return len(self.inputs[0])

    def run(self, policy: Policy) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the results, one row an input, and which inputs the policy refuses."""
        return self._halved(policy, self.inputs)

    def _halved(
        self, policy: Policy, given: tuple[NDArray[Any], ...]
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """A refusal names no row, so the rows that are refused are found by halving."""
        n = len(given[0])
        try:
            return self._call(policy, given), np.zeros(n, np.bool_)
        except ValueError:
            if n == 1:
                return np.zeros((1, self._width), np.uint32), np.ones(1, np.bool_)
        cut = n // 2
        parts = [
            self._halved(policy, tuple(g[half] for g in given))
            for half in (slice(cut), slice(cut, n))
        ]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    @property
    @abstractmethod
    def _width(self) -> int:
        """Columns of a result."""

    @abstractmethod
    def _call(self, policy: Policy, given: tuple[NDArray[Any], ...]) -> NDArray[Any]:
        """Run the kernels."""

    @abstractmethod
    def exact(self, policy: Policy, row: int) -> tuple[int, ...]:
        """Return a row by the definition; refusals are ValueErrors."""

    def by_definition(self, policy: Policy, row: int) -> Row:
        """Return a row by the definition, None if the policy refuses it."""
        try:
            return self.exact(policy, row)
        except ValueError:
            return None

    def outputs(self, a: NDArray[Any], b: NDArray[Any]) -> dict[str, NDArray[np.bool_]]:
        """Return for each output where two results differ."""
        return {"code": (a != b).any(axis=1)}

    def part(self, output: str, row: Row) -> Row:  # noqa: ARG002
        """Return what of a row belongs to an output."""
        return row

    @abstractmethod
    def kinds(self, output: str, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Name the class of each input."""

    @abstractmethod
    def keys(self) -> NDArray[np.int64]:
        """Return sort keys of the inputs, the smallest first."""

    @abstractmethod
    def given(self, row: int) -> tuple[tuple[int, ...], str]:
        """Return an input as integers and for people."""

    @abstractmethod
    def outcome(self, row: int, result: Row) -> Outcome:
        """Return a result as integers and for people."""


class BlockProbe(Probe):
    """Blocks to a scale code and element codes."""

    operation = "quantize"

    def __init__(self, fmt: BlockFormat) -> None:
        self._fmt = fmt
        self.format = fmt.name
        self.inputs = (inputs.blocks(fmt),)

    @property
    def _width(self) -> int:
        return 1 + self._fmt.block_size

    def _call(self, policy: Policy, given: tuple[NDArray[Any], ...]) -> NDArray[Any]:
        q = arrays.quantize(given[0].view(np.float32), self._fmt, policy=policy)
        return np.concatenate([q.scales, q.codes], axis=1)

    def exact(self, policy: Policy, row: int) -> tuple[int, ...]:
        numbers = [ieee.from_bits(int(b), "float32") for b in self.inputs[0][row]]
        scale_code, codes = exact_block.quantize(numbers, self._fmt, policy)
        return (scale_code, *codes)

    def outputs(self, a: NDArray[Any], b: NDArray[Any]) -> dict[str, NDArray[np.bool_]]:
        scale = a[:, 0] != b[:, 0]
        # Elements below a NaN scale all decode to NaN, and those below different scales stand
        # for different numbers: neither says anything about the encoders.
        codes = (a[:, 1:] != b[:, 1:]).any(axis=1)
        return {"scale code": scale, "element codes": codes & ~scale & (a[:, 0] != 0xFF)}

    def part(self, output: str, row: Row) -> Row:
        if row is None or output != "scale code":
            return row
        return row[:1]

    def kinds(self, output: str, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        blocks = self.inputs[0]
        if output == "scale code":
            return classes.amax_classes(blocks, self._fmt)
        lane = (a[:, 1:] != b[:, 1:]).argmax(axis=1)
        source = np.ascontiguousarray(blocks[np.arange(len(blocks)), lane])
        scale = np.ldexp(1.0, a[:, 0].astype(np.int64) - _E8M0.bias)
        with np.errstate(invalid="ignore"):
            values = source.view(np.float32).astype(np.float64) / scale
        return classes.element_classes(source, values, self._fmt.element)

    def keys(self) -> NDArray[np.int64]:
        return classes.size_keys(self.inputs[0][:, :2])

    def _used(self, row: int) -> int:
        nonzero = np.flatnonzero(self.inputs[0][row])
        return int(nonzero[-1]) + 1 if nonzero.size else 1

    def given(self, row: int) -> tuple[tuple[int, ...], str]:
        bits = self.inputs[0][row, : self._used(row)]
        rest = "" if bits.size == self._fmt.block_size else ", 0, ..."
        return tuple(map(int, bits)), f"[{', '.join(map(_float_text, bits))}{rest}]"

    def outcome(self, row: int, result: Row) -> Outcome:
        if result is None:
            return _REFUSED
        scale_code, *codes = result[: 1 + self._used(row)]
        X = exact_scale.decode(scale_code, _E8M0)
        text = f"scale {scale_code:#04x} = {_scale_text(scale_code)}, "
        text += " ".join(_hex(c, self._fmt.element) for c in codes)
        if scale_code != _E8M0.nan_code:
            values = (exact_element.decode(c, self._fmt.element) for c in codes)
            text += " = " + " ".join(_number_text(v, X.value) for v in values)
        return Outcome((scale_code, *codes), text)


class CastProbe(Probe):
    """Numbers to element codes or E8M0 codes."""

    operation = "encode"
    _width = 1

    def __init__(self, fmt: ElementFormat | ScaleFormat) -> None:
        self._fmt = fmt
        self.format = fmt.name
        bits = inputs.casts(fmt) if isinstance(fmt, ElementFormat) else inputs.scale_casts()
        self.inputs = (bits,)

    def _call(self, policy: Policy, given: tuple[NDArray[Any], ...]) -> NDArray[Any]:
        return arrays.encode(given[0].view(np.float32), self._fmt, policy)[:, None]

    def exact(self, policy: Policy, row: int) -> tuple[int, ...]:
        number = ieee.from_bits(int(self.inputs[0][row]), "float32")
        if isinstance(self._fmt, ElementFormat):
            return (exact_element.encode(number, self._fmt, policy),)
        return (exact_scale.encode(number, self._fmt, policy),)

    def kinds(self, output: str, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:  # noqa: ARG002
        (source,) = self.inputs
        if not isinstance(self._fmt, ElementFormat):
            return classes.scale_classes(source)
        with np.errstate(invalid="ignore"):  # a signalling NaN warns when it is widened
            values = source.view(np.float32).astype(np.float64)
        return classes.element_classes(source, values, self._fmt)

    def keys(self) -> NDArray[np.int64]:
        return classes.size_keys(self.inputs[0][:, None])

    def given(self, row: int) -> tuple[tuple[int, ...], str]:
        bits = int(self.inputs[0][row])
        return (bits,), _float_text(bits)

    def outcome(self, row: int, result: Row) -> Outcome:  # noqa: ARG002
        return _REFUSED if result is None else Outcome(result, _code_text(result[0], self._fmt))


class DecodeProbe(Probe):
    """Every code of an element format or of E8M0 to float32."""

    operation = "decode"
    _width = 1

    def __init__(self, fmt: ElementFormat | ScaleFormat) -> None:
        self._fmt = fmt
        self.format = fmt.name
        self.inputs = (np.arange(fmt.code_count, dtype=np.uint8),)

    def _call(self, policy: Policy, given: tuple[NDArray[Any], ...]) -> NDArray[Any]:
        return arrays.decode(given[0], self._fmt, policy).view(np.uint32)[:, None]

    def exact(self, policy: Policy, row: int) -> tuple[int, ...]:
        if isinstance(self._fmt, ElementFormat):
            number = exact_element.decode(row, self._fmt, policy)
        else:
            number = exact_scale.decode(row, self._fmt)
        return (ieee.to_bits(number, "float32", policy),)

    def outputs(self, a: NDArray[Any], b: NDArray[Any]) -> dict[str, NDArray[np.bool_]]:
        return {"value": (a != b).any(axis=1)}

    def kinds(self, output: str, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:  # noqa: ARG002
        (codes,) = self.inputs
        if isinstance(self._fmt, ElementFormat):
            return classes.value_classes(np.full(codes.shape, 127, np.uint8), codes, self._fmt)
        return np.where(codes == 0xFF, "NaN", "power of two").astype(object)

    def keys(self) -> NDArray[np.int64]:
        return self.inputs[0].astype(np.int64)[:, None]

    def given(self, row: int) -> tuple[tuple[int, ...], str]:
        return (row,), _code_text(row, self._fmt)

    def outcome(self, row: int, result: Row) -> Outcome:  # noqa: ARG002
        return _REFUSED if result is None else _value_outcome(result)


class DequantizeProbe(Probe):
    """Every element code under every scale code to float32."""

    operation = "dequantize"
    _width = 1

    def __init__(self, fmt: BlockFormat) -> None:
        self._fmt = fmt.with_block_size(1)
        self.format = fmt.name
        codes = np.arange(fmt.element.code_count, dtype=np.uint8)
        scales = np.arange(fmt.scale.code_count, dtype=np.uint8)
        self.inputs = (np.repeat(scales, codes.size), np.tile(codes, scales.size))

    def _call(self, policy: Policy, given: tuple[NDArray[Any], ...]) -> NDArray[Any]:
        scales, codes = (g[:, None] for g in given)
        return arrays.dequantize(codes, scales, self._fmt, policy=policy).view(np.uint32)

    def exact(self, policy: Policy, row: int) -> tuple[int, ...]:
        scale_code, code = (int(i[row]) for i in self.inputs)
        (value,) = exact_block.dequantize(scale_code, (code,), self._fmt, policy)
        return (ieee.to_bits(value, "float32", policy),)

    def outputs(self, a: NDArray[Any], b: NDArray[Any]) -> dict[str, NDArray[np.bool_]]:
        return {"value": (a != b).any(axis=1)}

    def kinds(self, output: str, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:  # noqa: ARG002
        scales, codes = self.inputs
        return classes.value_classes(scales, codes, self._fmt.element)

    def keys(self) -> NDArray[np.int64]:
        scales, codes = (i.astype(np.int64) for i in self.inputs)
        return np.stack([np.abs(scales - _E8M0.bias), codes], axis=1)

    def given(self, row: int) -> tuple[tuple[int, ...], str]:
        scale_code, code = (int(i[row]) for i in self.inputs)
        text = f"scale {scale_code:#04x} = {_scale_text(scale_code)}, "
        return (scale_code, code), text + _code_text(code, self._fmt.element)

    def outcome(self, row: int, result: Row) -> Outcome:  # noqa: ARG002
        return _REFUSED if result is None else _value_outcome(result)


# --- for people ------------------------------------------------------------------------------

_REFUSED = Outcome((), "refused")


def _float_text(bits: int | np.uint32) -> str:
    number = np.array([bits], np.uint32).view(np.float32)[0]
    text = str(number) if np.isfinite(number) else _special_text(int(bits))
    return text.removesuffix(".0")


def _special_text(bits: int) -> str:
    sign = "-" if bits >= inputs.SIGN else ""
    if bits & ~inputs.SIGN == inputs.INF:
        return f"{sign}Inf"
    return f"NaN ({bits:#010x})"


def _value_outcome(result: tuple[int, ...]) -> Outcome:
    return Outcome(result, f"{result[0]:#010x} = {_float_text(result[0]).partition(' ')[0]}")


def _scale_text(scale_code: int) -> str:
    return "NaN" if scale_code == _E8M0.nan_code else f"2^{scale_code - _E8M0.bias}"


def _hex(code: int, fmt: ElementFormat | ScaleFormat) -> str:
    return f"0x{code:0{-(-fmt.bits // 4)}x}"


def _code_text(code: int, fmt: ElementFormat | ScaleFormat) -> str:
    if isinstance(fmt, ElementFormat):
        return f"{_hex(code, fmt)} = {_number_text(exact_element.decode(code, fmt), Fraction(1))}"
    return f"{_hex(code, fmt)} = {_scale_text(code)}"


def _number_text(number: Number, scale: Fraction) -> str:
    text = str(number)
    if text.strip("-") in {"0", "nan", "inf"}:
        return text.replace("nan", "NaN").replace("inf", "Inf")
    return f"{float(number.value * scale):.9g}"
