"""Covergroups of whole tensors: which elements a block has, and where its bytes lie.

Most tensors here have a scale of their own in every block, so that the plane of scales, or the
values that come back, say by themselves which block was taken for which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from mxref.exact.number import NumberClass
from mxref.formats import BlockFormat, pow2
from mxref.vectors import storage
from mxref.vectors.bits import exact_bits, finite_codes
from mxref.vectors.covergroups import Covergroup, Stimuli
from mxref.vectors.operations import Inputs

__all__ = ["DEQUANTIZE_TENSOR", "QUANTIZE_TENSOR"]

_Shape = tuple[int, int]
_Element = Callable[[int, int], Fraction]
_BIAS = 127
_BFLOAT16, _FLOAT16, _FLOAT32 = "bfloat16", "float16", "float32"


# --- quantize_tensor -------------------------------------------------------------------------


def _tensor(shape: _Shape, axis: int, source: str, element: _Element) -> Inputs:
    """A tensor whose elements the input type represents exactly."""
    rows, columns = shape
    values = (element(row, column) for row in range(rows) for column in range(columns))
    bits = []
    for value in values:
        found = exact_bits(value, source)
        if found is None:  # a stimulus is written for types that have it
            raise AssertionError(f"{source} cannot represent {value}")
        bits.append(found)
    return Inputs(source, tuple(bits), shape=shape, axis=axis)


def _top_values(fmt: BlockFormat) -> list[Fraction]:
    """Values of the upper two binades of the element: under the right scale nothing is rounded."""
    elem = fmt.element
    lowest = pow2(elem.emax - 1)
    return sorted(n.value for _, n in finite_codes(elem) if n.sign == 0 and n.value >= lowest)


def _block_index(shape: _Shape, axis: int, row: int, column: int, k: int) -> int:
    """Place of the scale of an element in the plane, row-major."""
    across = storage.plane_shape(shape, axis, k)[1]
    return row // k * across + column if axis == 0 else row * across + column // k


def _mapped(
    fmt: BlockFormat, shape: _Shape, axis: int, scale_codes: Callable[[int], int]
) -> _Element:
    """Elements that need no rounding, all of them different from their neighbours."""
    values, k = _top_values(fmt), fmt.block_size
    binade = pow2(fmt.element.emax)

    def element(row: int, column: int) -> Fraction:
        along, across = (row, column) if axis == 0 else (column, row)
        value = values[(5 * along + 3 * across + along // k) % len(values)]
        if along % k == (7 * across + 3 * (along // k)) % min(k, shape[axis] - along // k * k):
            value = binade  # every block reaches the upper binade, also a short one
        if (along + across) % 3 == 1:
            value = -value
        scale_code = scale_codes(_block_index(shape, axis, row, column, k))
        return value * pow2(scale_code - _BIAS)

    return element


_MAPS: tuple[tuple[_Shape, int, str], ...] = (
    ((1, 32), 1, _FLOAT32),
    ((32, 1), 0, _FLOAT32),
    ((3, 64), 1, _FLOAT32),
    ((64, 3), 0, _FLOAT32),
    ((2, 160), 1, _FLOAT32),
    ((160, 2), 0, _FLOAT32),
    ((33, 32), 1, _BFLOAT16),
    ((32, 33), 0, _BFLOAT16),
    ((32, 64), 1, _BFLOAT16),
    ((32, 64), 0, _BFLOAT16),
)


def _scale_map(fmt: BlockFormat) -> Stimuli:
    for shape, axis, source in _MAPS:
        element = _mapped(fmt, shape, axis, lambda index: 100 + index)
        yield _tensor(shape, axis, source, element), _named(shape, axis)
    # Float16 has room for four scales beside those of the element.
    for shape, axis in (((2, 64), 1), ((64, 2), 0)):
        low = _BIAS - fmt.element.emax
        element = _mapped(fmt, shape, axis, lambda index, low=low: low + index)  # type: ignore[misc]
        yield _tensor(shape, axis, _FLOAT16, element), f"{_named(shape, axis)}, float16"


def _named(shape: _Shape, axis: int) -> str:
    return f"{shape[0]} x {shape[1]}, axis {axis}"


def _rows_and_columns(_: BlockFormat) -> Stimuli:
    shape = (32, 64)
    for axis in (0, 1):
        inputs = _tensor(shape, axis, _BFLOAT16, lambda i, j: pow2(i + j // 32 - 16))
        yield inputs, f"the same tensor, axis {axis}"


def _large_line(_: BlockFormat) -> Stimuli:
    """One line across the blocks 64 times larger, on both sides of each border of blocks."""
    for axis, shape in ((1, (2, 96)), (0, (96, 2))):
        for line in (0, 31, 32, 63, 64, 95):

            def element(row: int, column: int, line: int = line, axis: int = axis) -> Fraction:
                along = (row, column)[axis]
                return Fraction(64 if along == line else 1) * pow2(along % 2)

            yield _tensor(shape, axis, _BFLOAT16, element), f"line {line}, axis {axis}"


def _large_block(_: BlockFormat) -> Stimuli:
    for axis, shape in ((1, (3, 64)), (0, (64, 3))):
        for large in range(6):

            def element(
                row: int, column: int, large: int = large, axis: int = axis, shape: _Shape = shape
            ) -> Fraction:
                index = _block_index(shape, axis, row, column, 32)
                along = (row, column)[axis]
                return (64 if index == large else 1) * Fraction(4 + along % 4, 4)

            yield _tensor(shape, axis, _BFLOAT16, element), f"block {large}, axis {axis}"


def _tail(fmt: BlockFormat) -> Stimuli:
    for rows, length in ((3, 40), (3, 20), (2, 33), (1, 63), (2, 1)):
        for axis in (1, 0):
            shape = (rows, length) if axis else (length, rows)
            element = _mapped(fmt, shape, axis, lambda index: 100 + index)
            yield _tensor(shape, axis, _FLOAT32, element), _named(shape, axis)
    for axis, shape in ((1, (2, 40)), (0, (40, 2))):
        for large in (32, 39):

            def peak(row: int, column: int, large: int = large, axis: int = axis) -> Fraction:
                return Fraction(64 if (row, column)[axis] == large else 1)

            yield _tensor(shape, axis, _FLOAT32, peak), f"largest at {large}, axis {axis}"


def _scale_zero(fmt: BlockFormat) -> Stimuli:
    """The scale code 00 in each byte of a word of four, beside codes whose top bit is clear."""
    rows = (
        (0x10, 0x00, 0x20, 0x30),
        (0x40, 0x50, 0x00, 0x60),
        (0x70, 0x11, 0x21, 0x00),
        (0x00, 0x31, 0x41, 0x51),
    )
    for pair in (rows[:2], rows[2:]):
        codes = [code for row in pair for code in row]
        named = " ".join(f"{code:02x}" for code in codes)
        for shape, axis in (((2, 128), 1), ((64, 4), 0)):
            element = _mapped(fmt, shape, axis, lambda index, codes=codes: codes[index])  # type: ignore[misc]
            yield _tensor(shape, axis, _FLOAT32, element), f"{named}, axis {axis}"


# fmt: off
QUANTIZE_TENSOR = (
    Covergroup("scale-map",
               "another scale in every block: the plane shows which elements each block had",
               ("MX-1.0/5.1/block", "OP-BLOCK-GEOMETRY"), _scale_map),
    Covergroup("rows-and-columns",
               "magnitudes 2^i in row i, doubled every 32 columns: the plane shows the axis",
               ("MX-1.0/5.1/block", "OP-BLOCK-GEOMETRY", "OP-TRANSPOSE"), _rows_and_columns),
    Covergroup("large-line",
               "one line 64 times larger beside each border of blocks: a block moved by one",
               ("MX-1.0/6.3/scale", "OP-BLOCK-GEOMETRY"), _large_line),
    Covergroup("large-block",
               "one block 64 times larger than the others: amax of a neighbour, or of two blocks",
               ("MX-1.0/6.3/scale", "OP-BLOCK-GEOMETRY"), _large_block),
    Covergroup("tail",
               "lengths that are no multiple of the block size: blocks that go on in the next row,"
               " a tail left out, padding that takes part",
               ("OP-BLOCK-TAIL", "MX-1.0/6.3/scale"), _tail),
    Covergroup("scale-code-zero",
               "the scale 2^-127 beside others: as a float32 it has a mantissa bit, which leaks"
               " where four exponents are packed into a word",
               ("MX-1.0/5.4/e8m0", "OP-SCALE-RANGE"), _scale_zero),
)
# fmt: on


# --- dequantize_tensor -----------------------------------------------------------------------


def _stored(
    shape: _Shape,
    axis: int,
    layout: tuple[str, str],
    codes: Sequence[int],
    scales: Callable[[int], int],
    padding: int = storage.PADDING,
) -> Inputs:
    """A tensor in bytes; `scales` gives the scale code at each place of the plane."""
    plane = storage.plane_shape(shape, axis)
    own = [scales(index) for index in range(plane[0] * plane[1])]
    return Inputs(
        None,
        tuple(storage.pack(codes, layout[0])),
        tuple(storage.lay_out(own, plane, axis, layout[1], padding)),
        shape=shape,
        axis=axis,
        layout=layout,
    )


def _packings(fmt: BlockFormat) -> tuple[str, ...]:
    return ("nibbles-low-first", "bytes") if fmt.element.bits == 4 else ("bytes",)


def _one(fmt: BlockFormat) -> int:
    return next(
        code
        for code, n in finite_codes(fmt.element)
        if n.cls is NumberClass.FINITE and n.value == 1
    )


def _positions(fmt: BlockFormat, count: int) -> list[int]:
    """Codes of numbers, such that neither neighbours nor neighbouring halves of a block agree."""
    finite = [code for code, _ in finite_codes(fmt.element)]
    return [finite[(7 * p + p // 16 * 5 + p // 32 * 3) % len(finite)] for p in range(count)]


def _address(fmt: BlockFormat) -> Stimuli:
    one = _one(fmt)
    for shape, axis, scale_layout in (
        ((5, 96), 1, "row-major"),
        ((96, 5), 0, "row-major"),
        ((5, 32), 1, "row-major"),
        ((2, 64), 1, "row-major"),
        ((33, 160), 1, "128x4"),
        ((160, 33), 0, "128x4"),
        ((129, 32), 1, "128x4"),
        ((32, 129), 0, "128x4"),
        ((5, 160), 1, "128x4"),
        ((5, 32), 1, "128x4"),
        ((2, 64), 1, "128x4"),
    ):
        packing = _packings(fmt)[0]
        if fmt.element.bits == 4 and axis == 1 and min(shape) > 5:
            continue  # four tiles say as much
        codes = [one] * (shape[0] * shape[1])
        stored = _stored(shape, axis, (packing, scale_layout), codes, lambda index: 1 + index)
        yield stored, f"{_named(shape, axis)}, {scale_layout}"
    if fmt.element.bits == 4:
        # Two tiles by two, as narrow as it can be: a fifth block of one element.
        shape, layout = (130, 129), ("nibbles-low-first", "128x4")
        codes = [one] * (shape[0] * shape[1])
        stored = _stored(shape, 1, layout, codes, lambda index: 1 + index % 251)
        yield stored, f"{_named(shape, 1)}, four tiles"


def _places(fmt: BlockFormat) -> Stimuli:
    for packing in _packings(fmt):
        for scale_layout in ("row-major", "128x4"):
            for shape, axis in (((2, 64), 1), ((64, 2), 0), ((4, 32), 1), ((32, 33), 0)):
                if packing != _packings(fmt)[0] and shape[0] * shape[1] > 128:
                    continue
                codes = _positions(fmt, shape[0] * shape[1])
                layout = (packing, scale_layout)
                stored = _stored(shape, axis, layout, codes, lambda index: 96 + index)
                yield stored, f"{_named(shape, axis)}, {packing}, {scale_layout}"
    shape = (32, 64)
    codes = _positions(fmt, shape[0] * shape[1])
    for axis in (0, 1):
        layout = (_packings(fmt)[0], "row-major")
        stored = _stored(shape, axis, layout, codes, lambda index: 96 + index)
        yield stored, f"{_named(shape, axis)}, one tensor, two axes"


def _dirty_padding(fmt: BlockFormat) -> Stimuli:
    for shape, axis in (((3, 32), 1), ((32, 3), 0)):
        codes = _positions(fmt, shape[0] * shape[1])
        layout = (_packings(fmt)[0], "128x4")
        for padding in (0x00, 0xFE, 0xFF):
            stored = _stored(shape, axis, layout, codes, lambda index: 96 + index, padding)
            yield stored, f"{_named(shape, axis)}, padding {padding:02x}"


# fmt: off
DEQUANTIZE_TENSOR = (
    Covergroup("address",
               "another scale in every block, elements of 1: each value says which scale was read",
               ("OP-SCALE-LAYOUT", "MX-1.0/5.1/layout"), _address),
    Covergroup("places",
               "another code in every place: exchanged nibbles, halves, strides, axes",
               ("OP-PACKING", "OP-TRANSPOSE", "MX-1.0/5.1/layout"), _places),
    Covergroup("dirty-padding",
               "bytes between the scales that are no scales: they must not count",
               ("OP-SCALE-LAYOUT",), _dirty_padding),
)
# fmt: on
