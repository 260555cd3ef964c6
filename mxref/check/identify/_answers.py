"""What a policy, or somebody's kernel, answers to inputs: one row an input, to be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.check._guard import RefusalError
from mxref.check._witness import bits_of, code_bits, code_value, number, scale_value
from mxref.check.parts import Witness
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat
from mxref.policy import Policy

__all__ = [
    "Answers",
    "Fmt",
    "Inputs",
    "answers_of_kernel",
    "answers_of_policy",
    "are_ordinary",
    "as_rows",
    "witness",
]

Fmt = BlockFormat | ElementFormat | ScaleFormat
Inputs = tuple[NDArray[Any], ...]
"""The arguments of a kernel; all have the same length along the first axis."""

_NAN_SCALE = 0xFF
_LOW, _HIGH = 2.0**-100, 2.0**100
_SIGN, _INF, _QUIET_NAN = np.uint32(0x8000_0000), np.uint32(0x7F80_0000), np.uint32(0x7FC0_0000)


@dataclass(frozen=True, slots=True)
class Answers:
    """What came out.

    Attributes
    ----------
    rows : ndarray, shape (n, width)
        Codes, for a block behind its scale code, or the bits of values.
    refused : ndarray of bool, shape (n,)
        Where there was an error instead.
    """

    rows: NDArray[np.uint32]
    refused: NDArray[np.bool_]

    def differs(self, other: Answers) -> NDArray[np.bool_]:
        """Where two sides answer differently."""
        return np.asarray(
            (self.refused != other.refused)
            | ((self.rows != other.rows).any(axis=1) & ~self.refused & ~other.refused)
        )

    def take(self, where: NDArray[Any]) -> Answers:
        """Some of the rows."""
        return Answers(self.rows[where], self.refused[where])


def as_rows(op: str, outputs: Inputs) -> NDArray[np.uint32]:
    """Put the outputs of a kernel into rows.

    Below a NaN scale every code decodes to NaN: codes there are no part of an answer. Nor is what
    a NaN value carries below its sign.
    """
    if op == "quantize":
        codes, scales = outputs
        shared = scales.reshape(len(codes), 1).astype(np.uint32)
        return np.concatenate([shared, np.where(shared == _NAN_SCALE, 0, codes)], axis=1).astype(
            np.uint32
        )
    (found,) = outputs
    if found.dtype != np.float32:
        return found.astype(np.uint32).reshape(len(found), -1)
    bits = found.view(np.uint32).reshape(len(found), -1)
    # No choice says more of a NaN than its sign, and no clause anything.
    is_nan = (bits & ~_SIGN) > _INF
    return np.where(is_nan, (bits & _SIGN) | _QUIET_NAN, bits).astype(np.uint32)


def are_ordinary(op: str, inputs: Inputs, theirs: Answers) -> NDArray[np.bool_]:
    """Where inputs lie far from the ends of every range, and no special value is involved.

    Implementations have more faults at the ends than a policy says.
    """
    if op in ("decode", "dequantize"):
        values = theirs.rows.astype(np.uint32).view(np.float32)
        return np.asarray(np.isfinite(values).all(axis=1) & ~theirs.refused)
    with np.errstate(invalid="ignore"):  # a signalling NaN warns when it is looked at
        size = np.abs(inputs[0].reshape(len(inputs[0]), -1)).astype(np.float64)
    amax = size.max(axis=1, initial=0.0)
    return np.asarray((amax > _LOW) & (amax < _HIGH) & ~theirs.refused)


def answers_of_policy(policy: Policy, op: str, fmt: Fmt, inputs: Inputs) -> Answers:
    """Ask a policy; what it refuses is marked, row by row."""

    def ask(*part: NDArray[Any]) -> Inputs:
        if op == "quantize":
            q = arrays.quantize(part[0], fmt, -1, policy)  # type: ignore[arg-type]
            return q.codes, q.scales
        if op == "dequantize":
            return (arrays.dequantize(part[0], part[1], fmt, policy=policy),)  # type: ignore[arg-type]
        cast = arrays.encode if op == "encode" else arrays.decode
        return (np.asarray(cast(part[0], fmt, policy)),)  # type: ignore[arg-type]

    return _asked(ask, ValueError, op, inputs, depth=None)


def answers_of_kernel(call: Callable[..., Inputs], op: str, inputs: Inputs) -> Answers:
    """Ask a guarded kernel, in one call unless it refuses NaN or infinity.

    Raises
    ------
    TargetError
        If it fails on ordinary numbers too.
    """
    found = _asked(call, RefusalError, op, inputs, depth=0)
    if found.refused.all():
        call(*(array[:1] for array in inputs))  # says why
        raise RefusalError("the target raised on every array that holds more than one row")
    return found


def _asked(
    ask: Callable[..., Inputs],
    refusal: type[Exception],
    op: str,
    inputs: Inputs,
    depth: int | None,
) -> Answers:
    """Ask for everything at once, then by kinds of numbers, then (without depth) ever smaller."""
    n = len(inputs[0])
    everything = np.arange(n)
    try:
        return Answers(as_rows(op, ask(*inputs)), np.zeros(n, np.bool_))
    except refusal:
        pass
    parts: list[tuple[NDArray[np.intp], NDArray[np.uint32]]] = []
    refused = np.zeros(n, np.bool_)
    pending = list(_kinds(inputs[0]))
    while pending:
        where = pending.pop()
        try:
            parts.append((where, as_rows(op, ask(*(array[where] for array in inputs)))))
        except refusal:
            if depth is None and len(where) > 1:
                pending += [where[: len(where) // 2], where[len(where) // 2 :]]
            else:
                refused[where] = True
    width = parts[0][1].shape[1] if parts else 1
    rows = np.zeros((len(everything), width), np.uint32)
    for where, found in parts:
        rows[where] = found
    return Answers(rows, refused)


def _kinds(x: NDArray[Any]) -> Iterator[NDArray[np.intp]]:
    """Rows of ordinary numbers, rows with NaN, with infinity, and with both."""
    if x.dtype.kind == "u":
        yield np.arange(len(x))
        return
    wide = x.reshape(len(x), -1)
    nan, inf = np.isnan(wide).any(axis=1), np.isinf(wide).any(axis=1)
    for kind in (~nan & ~inf, nan & ~inf, inf & ~nan, nan & inf):
        if kind.any():
            yield np.flatnonzero(kind)


# --- for people -----------------------------------------------------------------------------------


def witness(op: str, fmt: Fmt, inputs: Inputs, row: int, sides: tuple[Answers, Answers]) -> Witness:
    """Show one row in which two sides differ: what was given, what came, what was expected."""
    got, expected = (side.rows[row] for side in sides)
    refusals = [bool(side.refused[row]) for side in sides]
    column = 0 if any(refusals) else int(np.argmax(got != expected))
    if op in ("encode", "decode"):
        shown = inputs[0][row]
        index: tuple[int, ...] = (row,)
        scale = None
    elif op == "quantize":
        lane = column - 1
        index, scale = (row, lane), f"0x{int(got[0]):02x} ({scale_value(int(got[0]))})"
        if lane < 0:
            index, scale = (row,), None
            lane = _amax_lane(inputs[0][row])
        shown = inputs[0][row, lane]
    else:
        shown, index = inputs[0][row, column], (row, column)
        code = int(inputs[1][row].reshape(-1)[0])
        scale = f"0x{code:02x} ({scale_value(code)})"
    is_scale = op == "quantize" and len(index) == 1
    given = np.abs(shown) if is_scale else shown
    texts = [
        ("refused", None) if no else _output(op, fmt, int(side[column]), is_scale)
        for no, side in zip(refusals, (got, expected), strict=True)
    ]
    stage = "scale" if is_scale else "value" if op in ("decode", "dequantize") else "element"
    return Witness(
        index,
        stage,
        *_input(op, fmt, given),
        scale,
        *texts[0],
        *texts[1],
    )


def _amax_lane(x: NDArray[Any]) -> int:
    odd = np.flatnonzero(~np.isfinite(x))
    return int(odd[0]) if len(odd) else int(np.abs(x).argmax())


def _input(op: str, fmt: Fmt, given: Any) -> tuple[str, str]:
    if op in ("encode", "quantize"):
        return bits_of(given), number(given)
    return _code(fmt.element if isinstance(fmt, BlockFormat) else fmt, int(given))


def _output(op: str, fmt: Fmt, bits: int, is_scale: bool) -> tuple[str, str]:  # noqa: FBT001
    if op in ("decode", "dequantize"):
        value = np.array([bits], np.uint32).view(np.float32)[0]
        return bits_of(value), number(value)
    if is_scale:
        return f"0x{bits:02x}", scale_value(bits)
    return _code(fmt.element if isinstance(fmt, BlockFormat) else fmt, bits)


def _code(fmt: ElementFormat | ScaleFormat, code: int) -> tuple[str, str]:
    if isinstance(fmt, ScaleFormat):
        return f"0x{code:02x}", scale_value(code)
    return code_bits(code, fmt), code_value(code, fmt)
