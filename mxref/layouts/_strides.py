"""Maps of addresses in short forms: shapes and strides, or the bits that make up an address."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mxref.layouts._scale_addresses import Indices

__all__ = ["largest_square", "shape_and_strides", "xored_bits"]


def largest_square(starts: Indices) -> Indices:
    """Cut out the largest part whose sides are powers of two; addresses from its first one on.

    It is empty if an address there is negative: no place.

    Examples
    --------
    >>> largest_square(np.arange(6).reshape(2, 3) + 5)
    array([[0, 1],
           [3, 4]])
    """
    if not starts.size:
        return starts
    high, wide = (1 << n.bit_length() - 1 for n in starts.shape)
    part = starts[:high, :wide]
    return part - part[0, 0] if (part >= 0).all() else part[:0]


def _words(part: Indices) -> tuple[list[int], list[int]]:
    """What each bit of the row, and of the column, adds to the address."""
    high, wide = (n.bit_length() - 1 for n in part.shape)
    return [int(part[1 << k, 0]) for k in range(high)], [int(part[0, 1 << k]) for k in range(wide)]


def _combined(part: Indices, add: Callable[[Indices, Indices], Indices]) -> bool:
    """Whether each address is what the bits of its row and column give together."""
    if not part.size:
        return False
    index = np.indices(part.shape)
    expected = np.zeros_like(part)
    for side, words in zip(index, _words(part), strict=True):
        for k, word in enumerate(words):
            expected = add(expected, np.where(side >> k & 1, word, 0))
    return bool((expected == part).all())


def shape_and_strides(part: Indices) -> str:
    """Write addresses in CuTe's notation, if they are sums of strides; else empty.

    Examples
    --------
    >>> shape_and_strides(np.arange(32).reshape(4, 8).T)
    '(8,4):(1,8)'
    >>> shape_and_strides(np.array([[0, 1, 8, 9], [2, 3, 10, 11]]))
    '(2,(2,2)):(2,(1,8))'
    """
    if not _combined(part, np.add):
        return ""
    shapes, strides = [], []
    for words in _words(part):
        modes: list[tuple[int, int]] = []
        for word in words:
            if modes and word == modes[-1][0] * modes[-1][1]:
                modes[-1] = (modes[-1][0] * 2, modes[-1][1])
            else:
                modes.append((2, word))
        modes = modes or [(1, 0)]
        shapes.append(_nested([size for size, _ in modes]))
        strides.append(_nested([stride for _, stride in modes]))
    return f"({','.join(shapes)}):({','.join(strides)})"


def _nested(numbers: list[int]) -> str:
    text = ",".join(map(str, numbers))
    return f"({text})" if len(numbers) > 1 else text


def xored_bits(part: Indices, names: tuple[str, str]) -> list[str]:
    """Say which bits of row and column are exclusive-ored into each bit of the address, or nothing.

    Examples
    --------
    >>> xored_bits(np.array([[0, 1], [3, 2]]), ("row", "column"))
    ['row0^column0', 'row0']
    """
    if not _combined(part, np.bitwise_xor):
        return []
    bits = [
        (f"{name}{k}", word)
        for name, words in zip(names, _words(part), strict=True)
        for k, word in enumerate(words)
    ]
    length = max((word.bit_length() for _, word in bits), default=0)
    return ["^".join(name for name, word in bits if word >> j & 1) or "0" for j in range(length)]
