"""Is the harness wired right? A question apart from conformance, and asked first.

A wrongly wired harness fails every case, and a list of ten thousand mismatches hides that. Here
easy inputs, all representable, must come back; where they do not, but would after exchanging
neighbours or rereading the scale, the answer is that sentence and nothing else. A kernel that
fails in any other way goes on to the real check, which names defects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mxref import arrays
from mxref.check.target import TargetError
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["first_difference", "require_wired"]

Fmt = BlockFormat | ElementFormat | ScaleFormat
_WIRED = 0.5  # share of easy values that come back, even from a kernel with a serious defect
_EXPLAINED = 0.9

_EXCHANGED = (
    "elements 2j and 2j+1 are exchanged. Most layouts keep element 2j in the low half of a byte: "
    "unpack that half first. If the kernel itself packs them so, that is defect L1"
)
_HALVES = (
    "the elements come in the order 0, 16, 1, 17, ... of split halves (GGUF keeps element j and "
    "j + k/2 in one byte): unpack all low halves first, then all high halves"
)
_INTEGERS = "the codes are the values themselves, cast to integers: return bit patterns"
_UNBIASED = "the scales are exponents without the bias: add 127"
_RECIPROCAL = "the scales are those of 1/X: return the scale that a decoder multiplies by"


def first_difference(first: tuple[Any, ...], second: tuple[Any, ...]) -> str:
    """Say where two sets of outputs differ first in their bits; empty where they are the same.

    Examples
    --------
    >>> first_difference((np.array([1, 2], np.uint8),), (np.array([1, 3], np.uint8),))
    'two calls with the same input differ in 1 of 2 outputs, first at [1] (2 and 3)'
    """
    for one, other in zip(first, second, strict=True):
        bits = f"u{one.dtype.itemsize}"
        differ = np.argwhere(one.view(bits) != other.view(bits))
        if differ.size:
            where = tuple(int(i) for i in differ[0])
            return (
                f"two calls with the same input differ in {len(differ)} of {one.size} outputs, "
                f"first at {list(where)} ({one[where]!s} and {other[where]!s})"
            )
    return ""


def require_wired(
    op: str, fmt: Fmt, inputs: tuple[NDArray[Any], ...], outputs: tuple[NDArray[Any], ...]
) -> None:
    """Raise if the outputs are what a wrongly wired harness makes of a right kernel.

    Raises
    ------
    TargetError
        With the advice that fits.
    """
    expected, candidates = _reading(op, fmt, inputs, outputs)
    with np.errstate(all="ignore"):  # a wrong scale overflows, and that is an answer
        as_it_is = next(candidates)[1]
        if _agreement(as_it_is, expected) >= _WIRED:
            return
        for advice, candidate in candidates:
            if _agreement(candidate, expected) >= _EXPLAINED:
                raise TargetError(f"harness mis-wired: {advice}")


def _agreement(values: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    judged = expected != 0
    same = (values == expected) | (np.isnan(values) & np.isnan(expected))
    return float(same[judged].mean()) if judged.any() else 1.0


def _reading(
    op: str, fmt: Fmt, inputs: tuple[NDArray[Any], ...], outputs: tuple[NDArray[Any], ...]
) -> tuple[NDArray[np.float32], Iterator[tuple[str, NDArray[np.float32]]]]:
    """Return what should come back, and the ways to read what did; the first is as it is."""
    if isinstance(fmt, BlockFormat):
        if op == "quantize":
            return inputs[0], _block_readings(fmt, inputs[0], *outputs)
        return arrays.dequantize(inputs[0], inputs[1], fmt), _value_readings(outputs[0])
    if op == "encode":
        return inputs[0], _scalar_readings(fmt, inputs[0], outputs[0])
    return arrays.decode(inputs[0], fmt), _value_readings(outputs[0])


def _block_readings(
    fmt: BlockFormat, x: NDArray[np.float32], codes: NDArray[np.uint8], scales: NDArray[np.uint8]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    def decoded(codes: NDArray[np.uint8], scales: NDArray[np.uint8]) -> NDArray[np.float32]:
        return arrays.dequantize(codes, scales, fmt)

    yield "", decoded(codes, scales)
    if fmt.block_size % 2 == 0:
        yield _EXCHANGED, decoded(_exchanged(codes), scales)
        halves = codes.reshape(len(codes), 2, -1).transpose(0, 2, 1).reshape(codes.shape)
        yield _HALVES, decoded(np.ascontiguousarray(halves), scales)
        back = codes.reshape(len(codes), -1, 2).transpose(0, 2, 1).reshape(codes.shape)
        yield _HALVES, decoded(np.ascontiguousarray(back), scales)
    yield _UNBIASED, decoded(codes, scales + np.uint8(127))
    yield _RECIPROCAL, decoded(codes, np.uint8(254) - scales)
    ratio = np.ldexp(x, 127 - scales.astype(np.int32))
    yield _INTEGERS, np.where(_is_integer_part(ratio, codes), x, np.float32(np.nan))


def _scalar_readings(
    fmt: ElementFormat | ScaleFormat, x: NDArray[np.float32], codes: NDArray[np.uint8]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    yield "", arrays.decode(codes, fmt)
    if codes.size % 2 == 0:
        yield _EXCHANGED, arrays.decode(_exchanged(codes), fmt)
    if isinstance(fmt, ScaleFormat):
        yield _UNBIASED, arrays.decode(codes + np.uint8(127), fmt)
    yield _INTEGERS, np.where(_is_integer_part(x, codes), x, np.float32(np.nan))


def _value_readings(values: NDArray[np.float32]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    yield "", values
    if values.shape[-1] % 2 == 0:
        yield _EXCHANGED, _exchanged(values)


def _exchanged(array: NDArray[Any]) -> NDArray[Any]:
    """Swap neighbours along the last axis."""
    pairs = array.reshape(*array.shape[:-1], -1, 2)
    return np.ascontiguousarray(pairs[..., ::-1]).reshape(array.shape)


def _is_integer_part(values: NDArray[np.float32], codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where a code, read as an integer, is the value with its fraction dropped or rounded."""
    is_small = np.abs(values) < 512  # all elements but those of E5M2 are; False for NaN
    small = np.where(is_small, values, np.float32(0))
    is_part = np.zeros(codes.shape, dtype=np.bool_)
    if codes.min() == codes.max():  # a constant is no wiring problem
        return is_part
    for whole in (np.trunc(small), np.rint(small)):
        is_part |= is_small & ((whole.astype(np.int64) & 0xFF) == codes)
    return is_part
