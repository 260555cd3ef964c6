"""How arrays of any layout reach the BDR kernels, which read blocks one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.relatives.bdr_format import BDRFormat

__all__ = ["Piece", "pieces", "shared_shape", "sub_shape"]

_SLAB = 1 << 20
"""Elements copied at a time."""


class Piece(NamedTuple):
    """Blocks one after the other: flat, contiguous arrays, some of which were copied.

    `write` is to be called when the codes, scales and sub-scales have been filled.
    """

    values: NDArray[Any]
    codes: NDArray[Any]
    scales: NDArray[Any]
    subscales: NDArray[Any] | None
    random: NDArray[Any] | None
    targets: tuple[tuple[NDArray[Any], Any, NDArray[Any]], ...]
    inner: int = 1
    """Columns, where blocks lie across the memory."""

    def write(self) -> None:
        """Put results back where they belong."""
        for array, where, source in self.targets:
            target = array[where]
            target[...] = source.reshape(*target.shape[:-1], -1)[..., : target.shape[-1]]


def shared_shape(
    shape: tuple[int, ...], axis: int, fmt: BDRFormat, *, pad: bool
) -> tuple[int, ...]:
    """Return the shape of the scales; () for one scale.

    Raises
    ------
    ValueError
        If the length is not a multiple of k1 and `pad` is false.
    """
    if fmt.k1 is None:
        return ()
    return inputs.scale_shape(shape, axis, fmt.k1, pad=pad)


def sub_shape(scales: tuple[int, ...], axis: int, fmt: BDRFormat) -> tuple[int, ...] | None:
    """Return the shape of the sub-scales from that of the scales; padding has some too."""
    if not fmt.has_subscales or fmt.k1 is None:
        return None
    each = fmt.k1 // fmt.k2
    return (*scales[:axis], scales[axis] * each, *scales[axis + 1 :])


def _is_plain(*arrays: NDArray[Any] | None) -> bool:
    return all(
        a is None or (a.flags.c_contiguous and a.flags.aligned and a.dtype.isnative) for a in arrays
    )


def pieces(  # noqa: PLR0913  # the arrays of a conversion, as kernels take them
    values: NDArray[Any],
    codes: NDArray[Any],
    scales: NDArray[Any],
    subscales: NDArray[Any] | None,
    fmt: BDRFormat,
    axis: int,
    random: NDArray[Any] | None = None,
    *,
    fill: tuple[str, ...] = ("codes", "scales", "subscales"),
    min_columns: int | None = None,
) -> Iterator[Piece]:
    """Cut arrays into pieces for the kernels: the whole in place, or copies slab by slab.

    Parameters
    ----------
    values, codes : arrays of the logical shape
        What is converted, and element codes.
    fill : tuple of str
        Which arrays the caller fills; the others are read.
    min_columns : int, optional
        From how many columns on the caller takes blocks that lie across; by default it does not.
    """
    k1 = fmt.k1
    assert k1 is not None  # noqa: S101  # one scale for all has no pieces
    length = values.shape[axis]
    inner = math.prod(values.shape[axis + 1 :])
    is_direct = inner == 1 or (min_columns is not None and inner >= min_columns)
    if is_direct and length % k1 == 0 and _is_plain(values, codes, scales, subscales, random):
        flat = [None if a is None else a.reshape(-1) for a in (subscales, random)]
        whole = (values.reshape(-1), codes.reshape(-1), scales.reshape(-1))
        yield Piece(*whole, flat[0], flat[1], (), inner)
        return
    yield from _copies(values, codes, scales, subscales, fmt, axis, random, fill)


def _copies(
    values: NDArray[Any],
    codes: NDArray[Any],
    scales: NDArray[Any],
    subscales: NDArray[Any] | None,
    fmt: BDRFormat,
    axis: int,
    random: NDArray[Any] | None,
    fill: tuple[str, ...],
) -> Iterator[Piece]:
    k1 = fmt.k1 or 1
    each = k1 // fmt.k2 if fmt.has_subscales else 0
    moved = {
        "values": (np.moveaxis(values, axis, -1), k1),
        "codes": (np.moveaxis(codes, axis, -1), k1),
        "scales": (np.moveaxis(scales, axis, -1), 1),
    }
    if subscales is not None:
        moved["subscales"] = (np.moveaxis(subscales, axis, -1), each)
    if random is not None:
        moved["random"] = (np.moveaxis(random, axis, -1), k1)
    blocks = moved["scales"][0]
    for piece in inputs.slabs(blocks.shape, max(1, _SLAB // k1)):
        span = piece[-1]
        n_blocks = blocks[piece].shape[-1]
        if isinstance(span, slice) and len(piece) == blocks.ndim:
            lead, first = piece[:-1], span.start
        else:  # whole rows
            lead, first = piece, 0
        flat: dict[str, NDArray[Any]] = {}
        targets = []
        for name, (array, size) in moved.items():
            where = (*lead, Ellipsis, slice(first * size, (first + n_blocks) * size))
            view = array[where]
            kind = array.dtype.newbyteorder("=")
            copy = np.zeros((*view.shape[:-1], n_blocks * size), kind)
            copy[..., : view.shape[-1]] = view
            flat[name] = copy.reshape(-1)
            if name in fill:
                targets.append((array, where, flat[name]))
        done = Piece(
            flat["values"],
            flat["codes"],
            flat["scales"],
            flat.get("subscales"),
            flat.get("random"),
            tuple(targets),
        )
        yield done
        done.write()
