"""Where the codes and the scale codes of a stored tensor lie in bytes: the definition, by index.

Plain Python, one number at a time. MX-1.0/5.1/layout prescribes nothing here; OP-PACKING and
OP-SCALE-LAYOUT name what is in use. The names are those of `mxref.vectors.operations`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = [
    "PADDING",
    "lay_out",
    "pack",
    "plane_shape",
    "read_back",
    "scale_place",
    "stored_size",
    "unpack",
]

PADDING = 0x7F
"""What we write where no scale lies: the scale 1. A reader must not look at it."""

Shape = tuple[int, int]


# --- codes -----------------------------------------------------------------------------------


def pack(codes: Sequence[int], packing: str) -> bytes:
    """Return the bytes of codes that are given in row-major order.

    Parameters
    ----------
    codes : sequence of int
        Codes; of 4 bits for nibbles, and then an even number of them.
    packing : str
        ``"bytes"``: a code a byte. ``"nibbles-low-first"``: two neighbours a byte, the first in
        the low half.

    Raises
    ------
    ValueError
        If there is no such packing.

    Examples
    --------
    >>> pack([0x1, 0x2, 0xA, 0xB], "nibbles-low-first").hex()
    '21ba'
    """
    if packing == "bytes":
        return bytes(codes)
    _require(packing, "nibbles-low-first")
    return bytes(low | high << 4 for low, high in zip(codes[::2], codes[1::2], strict=True))


def unpack(data: Sequence[int], packing: str) -> tuple[int, ...]:
    """Return the codes that lie in bytes, in row-major order: the inverse of `pack`.

    Raises
    ------
    ValueError
        If there is no such packing.

    Examples
    --------
    >>> unpack([0x21, 0xBA], "nibbles-low-first")
    (1, 2, 10, 11)
    """
    if packing == "bytes":
        return tuple(data)
    _require(packing, "nibbles-low-first")
    return tuple(code for byte in data for code in (byte & 0xF, byte >> 4))


# --- scale codes -----------------------------------------------------------------------------


def plane_shape(shape: Shape, axis: int, block_size: int = 32) -> Shape:
    """Return the shape of the scale plane of a tensor: its axis counts blocks.

    Examples
    --------
    >>> plane_shape((3, 64), 1), plane_shape((40, 3), 0)
    ((3, 2), (2, 3))
    """
    rows, columns = shape
    if axis == 0:
        return -(-rows // block_size), columns
    return rows, -(-columns // block_size)


def scale_place(row: int, column: int, plane: Shape, axis: int, layout: str) -> int:
    """Return the byte in which a scale code lies.

    Parameters
    ----------
    row, column : int
        Place of the scale code in the plane.
    plane : pair of int
        Shape of the plane; see `plane_shape`.
    axis : int
        Axis of the tensor along which blocks lie.
    layout : str
        ``"row-major"``: as the plane is. ``"128x4"``: tiles of 128 lines by 4 blocks, 512 bytes
        each, where a line is what blocks lie on: a row of the tensor under axis 1, a column under
        axis 0. Tiles follow each other along the blocks first. In a tile the 4 scale codes of line
        l lie together, at 16 bytes times l mod 32 plus 4 bytes times l // 32: cuBLAS and CUTLASS
        have it so.

    Raises
    ------
    ValueError
        If there is no such layout.

    Examples
    --------
    >>> [scale_place(line, 0, (200, 5), 1, "128x4") for line in (0, 1, 31, 32, 127, 128)]
    [0, 16, 496, 4, 508, 1024]
    >>> [scale_place(0, block, (200, 5), 1, "128x4") for block in range(5)]
    [0, 1, 2, 3, 512]
    >>> scale_place(4, 128, (5, 200), 0, "128x4")
    1536
    """
    if layout == "row-major":
        return row * plane[1] + column
    _require(layout, "128x4")
    line, block = (row, column) if axis == 1 else (column, row)
    tiles_across = -(-plane[axis] // 4)
    tile = line // 128 * tiles_across + block // 4
    return tile * 512 + line % 32 * 16 + line % 128 // 32 * 4 + block % 4


def stored_size(plane: Shape, axis: int, layout: str) -> int:
    """Return how many bytes a scale plane takes, padding included.

    Raises
    ------
    ValueError
        If there is no such layout.

    Examples
    --------
    >>> stored_size((3, 2), 1, "row-major"), stored_size((129, 5), 1, "128x4")
    (6, 2048)
    """
    if layout == "row-major":
        return plane[0] * plane[1]
    _require(layout, "128x4")
    return -(-plane[1 - axis] // 128) * -(-plane[axis] // 4) * 512


def lay_out(
    scales: Sequence[int], plane: Shape, axis: int, layout: str, padding: int = PADDING
) -> bytes:
    """Return the bytes of a scale plane.

    Parameters
    ----------
    scales : sequence of int
        Scale codes, row-major over the plane.
    plane, axis, layout
        As for `scale_place`.
    padding : int
        What lies where no scale does.

    Raises
    ------
    ValueError
        If there is no such layout.

    Examples
    --------
    >>> lay_out([1, 2, 3, 4], (2, 2), 1, "128x4")[:18].hex()
    '01027f7f7f7f7f7f7f7f7f7f7f7f7f7f0304'
    """
    data = bytearray([padding]) * stored_size(plane, axis, layout)
    for place, code in zip(_places(plane, axis, layout), scales, strict=True):
        data[place] = code
    return bytes(data)


def read_back(data: Sequence[int], plane: Shape, axis: int, layout: str) -> tuple[int, ...]:
    """Return the scale codes, row-major over the plane: the inverse of `lay_out`.

    Raises
    ------
    ValueError
        If there is no such layout.

    Examples
    --------
    >>> read_back(lay_out([1, 2, 3], (1, 3), 0, "128x4"), (1, 3), 0, "128x4")
    (1, 2, 3)
    """
    return tuple(data[place] for place in _places(plane, axis, layout))


def _places(plane: Shape, axis: int, layout: str) -> Iterator[int]:
    for row in range(plane[0]):
        for column in range(plane[1]):
            yield scale_place(row, column, plane, axis, layout)


def _require(name: str, expected: str) -> None:
    if name != expected:
        raise ValueError(f"no packing or scale layout {name!r}; see mxref.vectors.operations")
