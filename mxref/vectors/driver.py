"""Feed the cases of a file to an implementation of its operation, and collect what comes out.

A *subject* is an implementation over arrays, one signature an operation::

    encode(x[n], random[n] or None) -> codes[n]
    decode(codes[n]) -> float32[n]
    quantize(x[n, 32]) -> scales[n], codes[n, 32]
    dequantize(scales[n], codes[n, 32]) -> float32[n, 32]
    dot(k, scales_a, codes_a, scales_b, codes_b) -> float32                (one case a call)
    quantize_tensor(x[rows, columns], axis) -> scales, codes               (likewise)
    dequantize_tensor(elements, scales, shape, axis, packing, scale_layout) -> float32[shape]
    matmul(scales_a[m, blocks], codes_a[m, k], scales_b[n, blocks], codes_b[n, k]) -> float32[m, n]

Those of NVFP4 and BDR are in `mxref.vectors.relatives.driver`.

mxref's kernels, faulty implementations and mutants all have these signatures. A subject refuses an
input by raising ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from mxref.vectors.model import Case
from mxref.vectors.operations import RELATIVES, Inputs, Output

__all__ = ["Subject", "answers", "floats", "planes"]

Subject: TypeAlias = Callable[..., Any]
"""An implementation of one operation, with the signature above."""

_DTYPES = {
    "float32": (np.uint32, np.float32),
    "bfloat16": (np.uint16, ml_dtypes.bfloat16),
    "float16": (np.uint16, np.float16),
}
_BATCHED = ("encode", "decode", "quantize", "dequantize")


def answers(operation: str, cases: Sequence[Case], subject: Subject) -> list[Output | None]:
    """Return what a subject gives for each case; None where it refuses the input.

    Parameters
    ----------
    operation : str
        That of the file which holds the cases.
    cases : sequence of Case
        The cases; those of one input type go in together.
    subject : callable
        An implementation of the operation; see the module.

    Returns
    -------
    list of (Output or None)
        In the order of the cases.

    Examples
    --------
    >>> import numpy as np
    >>> from mxref.vectors import Case, Inputs, Verdict
    >>> case = Case("", Inputs(None, (5,)), (), Verdict.MUST, (), (), "")
    >>> answers("decode", [case], lambda codes: codes.astype(np.float32))
    [Output(bits=(1084227584,), scale=None, scales=(), global_scale=None, subscales=())]
    """
    if operation in RELATIVES:
        from mxref.vectors.relatives import driver as relative  # it imports this module

        return _grouped(cases, relative.together, relative.run, operation, subject)
    if operation not in _BATCHED:
        return [_one(operation, case.inputs, subject) for case in cases]
    return _grouped(cases, _together, _run, operation, subject)


def _together(operation: str, place: int, inputs: Inputs) -> Hashable:  # noqa: ARG001  # a key
    return inputs.type, bool(inputs.random)


_Run = Callable[[str, Sequence[Inputs], Subject], Iterator[Output]]


def _grouped(
    cases: Sequence[Case],
    together: Callable[[str, int, Inputs], Hashable],
    run: _Run,
    operation: str,
    subject: Subject,
) -> list[Output | None]:
    """Run the cases of one key at once."""
    found: dict[int, Output | None] = {}
    groups: dict[Hashable, list[int]] = {}
    for place, case in enumerate(cases):
        groups.setdefault(together(operation, place, case.inputs), []).append(place)
    for places in groups.values():
        inputs = [cases[place].inputs for place in places]
        found.update(zip(places, _batch(run, operation, inputs, subject), strict=True))
    return [found[place] for place in range(len(cases))]


def _batch(
    run: _Run, operation: str, inputs: Sequence[Inputs], subject: Subject
) -> list[Output | None]:
    try:
        return list(run(operation, inputs, subject))
    except ValueError:
        if len(inputs) == 1:
            return [None]
    # One of them is refused: halve until it stands alone.
    half = len(inputs) // 2
    return [
        out
        for part in (inputs[:half], inputs[half:])
        for out in _batch(run, operation, part, subject)
    ]


def _run(operation: str, inputs: Sequence[Inputs], subject: Subject) -> Iterator[Output]:
    match operation:
        case "decode":
            return _values(subject(_codes(inputs)[:, 0])[:, None])
        case "dequantize":
            scales = np.array([i.scales[0] for i in inputs], np.uint8)
            return _values(subject(scales, _codes(inputs)))
        case "encode":
            drawn = np.array([i.random[0] for i in inputs], np.uint32) if inputs[0].random else None
            return (Output((int(c),)) for c in subject(floats(inputs)[:, 0], drawn))
    scales, codes = subject(floats(inputs))
    rows = zip(np.asarray(codes).tolist(), np.asarray(scales).tolist(), strict=True)
    return (Output(tuple(row), scale_code) for row, scale_code in rows)


def _one(operation: str, inputs: Inputs, subject: Subject) -> Output | None:
    try:
        if operation == "dot":
            return _dot(inputs, subject)
        if operation == "matmul":
            return _matmul(inputs, subject)
        if operation == "quantize_tensor":
            x = floats([inputs]).reshape(inputs.shape)
            scales, codes = subject(x, inputs.axis)
            return Output(_integers(codes), None, _integers(scales))
        values = subject(
            np.array(inputs.bits, np.uint8),
            np.array(inputs.scales, np.uint8),
            inputs.shape,
            inputs.axis,
            *inputs.layout,
        )
        return next(_values(np.asarray(values, np.float32).reshape(1, -1)))
    except ValueError:
        return None


def _dot(inputs: Inputs, subject: Subject) -> Output:
    other = inputs.other
    if other is None:
        raise TypeError("a dot product takes two operands")
    operands = (
        np.array(numbers, np.uint8)
        for numbers in (inputs.scales, inputs.bits, other.scales, other.bits)
    )
    value = np.asarray(subject(inputs.shape[0], *operands), np.float32)
    return next(_values(value.reshape(1, 1)))


def _matmul(inputs: Inputs, subject: Subject) -> Output:
    values = np.asarray(subject(*planes(inputs)), np.float32)
    return next(_values(values.reshape(1, -1)))


def planes(inputs: Inputs) -> tuple[NDArray[np.uint8], ...]:
    """Return the operands of a matrix product, each a row of scale codes and of codes a line.

    Examples
    --------
    >>> b = Inputs(None, (2, 3, 4, 5), scales=(127, 128))
    >>> case = Inputs(None, (0, 1), scales=(127,), other=b, shape=(1, 2, 2))
    >>> [part.shape for part in planes(case)]
    [(1, 1), (1, 2), (2, 1), (2, 2)]
    """
    if inputs.other is None:
        raise TypeError("a matrix product takes two operands")
    sides = zip((inputs, inputs.other), inputs.shape, strict=False)
    return tuple(
        np.array(numbers, np.uint8).reshape(lines, -1)
        for operand, lines in sides
        for numbers in (operand.scales, operand.bits)
    )


def _integers(found: Any) -> tuple[int, ...]:
    return tuple(int(number) for number in np.asarray(found).ravel())


def _codes(inputs: Sequence[Inputs]) -> NDArray[np.uint8]:
    return np.array([i.bits for i in inputs], np.uint8)


def _values(found: Any) -> Iterator[Output]:
    bits = np.ascontiguousarray(found, np.float32).view(np.uint32)
    return (Output(tuple(row)) for row in bits.tolist())


def floats(inputs: Sequence[Inputs]) -> NDArray[Any]:
    """Return numbers as an array of shape (cases, lanes); bits are viewed, never converted.

    Examples
    --------
    >>> floats([Inputs("float16", (0x3C00, 0x4000))])
    array([[1., 2.]], dtype=float16)
    """
    unsigned, dtype = _DTYPES[str(inputs[0].type)]
    return np.array([i.bits for i in inputs], unsigned).view(dtype)
