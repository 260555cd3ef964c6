"""Feed cases about NVFP4 and BDR to an implementation: the signatures, and who runs together.

A *subject* has one of these signatures; arrays in, arrays out, ValueError for a refusal::

    nvfp4_scale_encode(x[n]) -> codes[n]
    nvfp4_scale_decode(codes[n]) -> float32[n]
    nvfp4_quantize(x[n, 16], amax) -> global_scale, scales[n], codes[n, 16]
    nvfp4_dequantize(global_scale, scales[n], codes[n, 16]) -> float32[n, 16]
    nvfp4_quantize_tensor(x[rows, columns], axis) -> global_scale, scales, codes  (one case a call)
    nvfp4_dot(k, global_a, scales_a, codes_a, global_b, scales_b, codes_b) -> float32    (likewise)
    bdr_quantize(x[n, k1]) -> scales[n], subscales[n, k1 / k2] or None, codes[n, k1]
    bdr_dequantize(scales[n], subscales or None, codes[n, k1]) -> float32[n, k1]
    bdr_dot(k, scales_a, subscales_a, codes_a, scales_b, subscales_b, codes_b) -> float32
    scaled_quantize(x[n]) -> scale, subscales or None, codes[n]                   (one case a call)
    scaled_dequantize(scale, subscales or None, codes[n]) -> float32[n]                  (likewise)
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.vectors.driver import Subject, floats
from mxref.vectors.operations import Inputs, Output

__all__ = ["run", "together"]

_ALONE = frozenset(
    {"nvfp4_quantize_tensor", "nvfp4_dot", "bdr_dot", "scaled_quantize", "scaled_dequantize"}
)


def together(operation: str, place: int, inputs: Inputs) -> Hashable:
    """Return a key: cases of one key go into one call.

    Examples
    --------
    >>> block = Inputs("float32", (0,) * 16, amax=0)
    >>> together("nvfp4_quantize", 0, block) == together("nvfp4_quantize", 5, block)
    True
    """
    if operation in _ALONE:
        return place
    return inputs.type, inputs.amax, inputs.global_scale


def run(operation: str, inputs: Sequence[Inputs], subject: Subject) -> Iterator[Output]:
    """Yield what a subject gives for inputs that go together.

    Examples
    --------
    >>> found = run("nvfp4_scale_decode", [Inputs(None, (0x38,))], lambda codes: codes - 55.0)
    >>> hex(next(found).bits[0])
    '0x3f800000'
    """
    first = inputs[0]
    match operation:
        case "nvfp4_scale_encode":
            codes = np.asarray(subject(floats(inputs)[:, 0]))
            return (Output((code,)) for code in codes.tolist())
        case "nvfp4_scale_decode" | "nvfp4_dequantize" | "bdr_dequantize":
            return _values(_decoded(operation, inputs, subject))
        case "nvfp4_quantize":
            return _rows(*subject(floats(inputs), float32(first.amax or 0)))
        case "nvfp4_quantize_tensor":
            x = floats(inputs).reshape(first.shape)
            own, scales, codes = subject(x, first.axis)
            return iter(
                [Output(_flat(codes), None, _flat(scales), global_scale=_float32_bits(own))]
            )
        case "bdr_quantize":
            scales, subscales, codes = subject(floats(inputs))
            return _bdr_rows(scales, subscales, codes)
        case "scaled_quantize":
            scale, subscales, codes = subject(floats(inputs)[0])
            second = () if subscales is None else _flat(subscales)
            return iter([Output(_flat(codes), _float32_bits(scale), subscales=second)])
        case "scaled_dequantize":
            given = _second_level(inputs)
            values = subject(
                float32(first.scales[0]), None if given is None else given[0], _codes(inputs)[0]
            )
            return _values(np.asarray(values)[None])
    return _values(np.asarray(_product(first, subject)).reshape(1, 1))


def float32(bits: int) -> np.float32:
    """Return the float32 with these bits.

    Examples
    --------
    >>> float32(0x3F800000)
    np.float32(1.0)
    """
    found: np.float32 = np.array([bits], np.uint32).view(np.float32)[0]
    return found


def _decoded(operation: str, inputs: Sequence[Inputs], subject: Subject) -> Any:
    codes = _codes(inputs)
    if operation == "nvfp4_scale_decode":
        return np.asarray(subject(codes[:, 0]))[:, None]
    scales = np.array([i.scales[0] for i in inputs], np.uint8)
    if operation == "nvfp4_dequantize":
        return subject(float32(inputs[0].global_scale or 0), scales, codes)
    return subject(scales, _second_level(inputs), codes)


def _product(inputs: Inputs, subject: Subject) -> Any:
    other = inputs.other
    if other is None:
        raise TypeError("a dot product takes two operands")
    parts: list[Any] = []
    for operand in (inputs, other):
        scales, codes = np.array(operand.scales, np.uint8), np.array(operand.bits, np.uint8)
        if operand.global_scale is not None:
            parts += [float32(operand.global_scale), scales, codes]
        else:
            given = np.array(operand.subscales, np.uint8) if operand.subscales else None
            parts += [scales, given, codes]
    return subject(inputs.shape[0], *parts)


def _rows(own: Any, scales: Any, codes: Any) -> Iterator[Output]:
    bits = _float32_bits(own)
    rows = zip(np.asarray(scales).tolist(), np.asarray(codes).tolist(), strict=True)
    return (Output(tuple(row), scale, global_scale=bits) for scale, row in rows)


def _bdr_rows(scales: Any, subscales: Any, codes: Any) -> Iterator[Output]:
    count = len(codes)
    second = [()] * count if subscales is None else map(tuple, np.asarray(subscales).tolist())
    rows = zip(np.asarray(codes).tolist(), np.asarray(scales).tolist(), second, strict=True)
    return (Output(tuple(row), scale, subscales=own) for row, scale, own in rows)


def _second_level(inputs: Sequence[Inputs]) -> NDArray[np.uint8] | None:
    if not inputs[0].subscales:
        return None
    return np.array([i.subscales for i in inputs], np.uint8)


def _codes(inputs: Sequence[Inputs]) -> NDArray[np.uint8]:
    return np.array([i.bits for i in inputs], np.uint8)


def _flat(found: Any) -> tuple[int, ...]:
    return tuple(int(number) for number in np.asarray(found).ravel())


def _float32_bits(number: Any) -> int:
    return int(np.asarray(number, np.float32).reshape(1).view(np.uint32)[0])


def _values(found: Any) -> Iterator[Output]:
    bits = np.ascontiguousarray(found, np.float32).view(np.uint32)
    return (Output(tuple(row)) for row in bits.tolist())
