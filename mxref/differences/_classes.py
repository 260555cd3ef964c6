"""Classes of inputs, and which of two inputs is the smaller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mxref.differences._inputs import INF, SIGN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mxref.formats import BlockFormat, ElementFormat

__all__ = ["amax_classes", "element_classes", "scale_classes", "size_keys", "value_classes"]

_MAGNITUDE = SIGN - 1
_NORMAL = 0x0080_0000


def _first(n: int, cases: Sequence[tuple[str, NDArray[np.bool_]]], rest: str) -> NDArray[Any]:
    """For each input the name of the first case that holds."""
    names = np.array([name for name, _ in cases] + [rest], dtype=object)
    found = np.full(n, len(cases), np.int64)
    for index in range(len(cases) - 1, -1, -1):
        found[cases[index][1]] = index
    return np.asarray(names[found])


def amax_classes(blocks: NDArray[np.uint32], fmt: BlockFormat) -> NDArray[Any]:
    """Name what is special about the largest magnitude of each block."""
    magnitudes = blocks & np.uint32(_MAGNITUDE)
    nan = np.any(magnitudes > INF, axis=1)
    inf = np.any(magnitudes == INF, axis=1)
    amax = np.where(magnitudes < INF, magnitudes, 0).max(axis=1)
    exponent = (amax >> 23).astype(np.int64) - 127
    mantissa = amax & np.uint32(_NORMAL - 1)
    return _first(
        len(blocks),
        (
            ("NaN and infinity", nan & inf),
            ("NaN", nan),
            ("infinity", inf),
            ("zero block", amax == 0),
            ("subnormal amax", amax < _NORMAL),
            ("tiny amax", exponent - fmt.element.emax <= fmt.scale.emin),
            ("huge amax", exponent >= fmt.scale.emax),
            ("amax next below a power of two", mantissa >= _NORMAL - 64),
            ("amax next above a power of two", (mantissa > 0) & (mantissa <= 64)),
        ),
        "ordinary amax",
    )


def element_classes(
    source: NDArray[np.uint32], values: NDArray[np.float64], element: ElementFormat
) -> NDArray[Any]:
    """Name what is special about numbers, and about the values that are left of them by a scale.

    Parameters
    ----------
    source : array of uint32
        The numbers, as float32 bits.
    values : array of float64
        V / X, exact.
    """
    magnitude = source & np.uint32(_MAGNITUDE)
    with np.errstate(invalid="ignore"):
        size = np.abs(values)
        step = np.ldexp(1.0, np.maximum(_exponents(size), element.emin) - element.mantissa_bits)
        least = float(element.min_subnormal)
        return _first(
            len(source),
            (
                ("NaN", magnitude > INF),
                ("infinity", magnitude == INF),
                ("-0", source == SIGN),
                ("zero", magnitude == 0),
                ("subnormal input", magnitude < _NORMAL),
                ("overflow", size > float(element.max)),
                ("tie", np.mod(size, step) * 2 == step),
                ("below half of the smallest value", size < least / 2),
                ("subnormal result", size < 2.0**element.emin),
            ),
            "ordinary number",
        )


def _exponents(size: NDArray[np.float64]) -> NDArray[np.int64]:
    finite = np.where(np.isfinite(size) & (size > 0), size, 1.0)
    return np.asarray(np.frexp(finite)[1], np.int64) - 1


def scale_classes(source: NDArray[np.uint32]) -> NDArray[Any]:
    """Name what is special about numbers on their way to E8M0."""
    magnitude = source & np.uint32(_MAGNITUDE)
    return _first(
        len(source),
        (
            ("NaN", magnitude > INF),
            ("infinity", magnitude == INF),
            ("zero", magnitude == 0),
            ("negative number", source >= SIGN),
            ("below 2^-126", magnitude < _NORMAL),
            ("beyond 2^127", magnitude > 254 << 23),
            ("tie", (magnitude & (_NORMAL - 1)) == _NORMAL >> 1),
        ),
        "ordinary number",
    )


def value_classes(
    scales: NDArray[np.uint8], codes: NDArray[np.uint8], element: ElementFormat
) -> NDArray[Any]:
    """Name what is special about products of a scale and an element."""
    magnitude = codes & np.uint8(element.sign_mask - 1)
    nan = np.isin(magnitude, [*element.nan_magnitudes])
    inf = np.zeros(len(codes), np.bool_)
    if element.inf_magnitude is not None:
        inf = magnitude == element.inf_magnitude
    is_float = element.exponent_bits > 0
    subnormal = (magnitude > 0) & (magnitude >> element.mantissa_bits == 0) & is_float
    return _first(
        len(codes),
        (
            ("NaN scale", scales == 0xFF),
            ("NaN element", nan),
            ("infinite element", inf),
            ("subnormal element", subnormal),
            ("large scale", scales >= 254 - element.emax),
            ("small scale", scales <= 1 - element.emin + element.mantissa_bits),
        ),
        "ordinary product",
    )


def size_keys(numbers: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return sort keys, shape (n, 5), of inputs of one or more numbers; the smallest first.

    Finite numbers before zeros, infinities and NaN; then fewer numbers that are not zero, fewer
    significant bits, exponents nearer to 0, fewer minus signs.

    Examples
    --------
    >>> size_keys(np.array([[0x3F800000], [0x3FC00000], [0xC0000000]], np.uint32)).tolist()
    [[0, 1, 1, 0, 0], [0, 1, 2, 0, 0], [0, 1, 1, 1, 1]]
    """
    magnitude = (numbers & np.uint32(_MAGNITUDE)).astype(np.int64)
    field, mantissa = magnitude >> 23, magnitude & (_NORMAL - 1)
    whole = np.where(field > 0, mantissa | _NORMAL, mantissa)
    finite = (magnitude > 0) & (magnitude < INF)
    whole = np.where(finite, whole, 1)
    width = _exponents(whole.astype(np.float64))
    lowest = _exponents((whole & -whole).astype(np.float64))
    bits = np.where(finite, width - lowest + 1, 0)
    exponent = np.where(finite, np.maximum(field, 1) - 150 + width, 0)
    keys = (magnitude != 0, bits, np.abs(exponent), numbers >= SIGN)
    special = ~np.any(finite, axis=1) | np.any(magnitude >= INF, axis=1)
    columns = [special.astype(np.int64), *(k.astype(np.int64).sum(axis=1) for k in keys)]
    return np.stack(columns, axis=1)
