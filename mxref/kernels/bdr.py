"""BDR conversion over arrays, where scales are powers of two: the twins of ``mxref.exact.bdr``.

Blocks that fit a vector run compiled, in a quick form; those that hold a NaN, an infinity or an
exponent at either end are converted again by the complete program on NumPy arrays, which does any
block length, random bits, and everything where there is no compiler.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.kernels import _interpreted, bdr_programs
from mxref.kernels._jit import INTERPRETED, parallel_slot
from mxref.kernels.bdr_lanes import GroupNumpy
from mxref.kernels.bdr_loops import (
    MAX_BLOCK,
    block_decoder,
    block_encoder,
    column_decoder,
    column_encoder,
    vector_lanes,
)
from mxref.kernels.bdr_params import parameters, parts_of, rounding_code, shift_size
from mxref.kernels.places import SOURCES
from mxref.relatives.bdr_format import BDRFormat, Element
from mxref.relatives.bdr_policy import BDRPolicy

__all__ = ["MIN_COLUMNS", "dequantize", "quantize", "takes_columns"]

Codes = NDArray[np.uint8]

MIN_COLUMNS = 16
"""Least number of columns for which `quantize` and `dequantize` take an `inner`."""

_SLAB = 1 << 18  # elements that the program on NumPy arrays takes at a time
_FLOAT16_NORMAL = (127 - 14) << 23
"""Least normal magnitude of float16, as float32 bits; bfloat16 has that of float32."""


def quantize(
    bits: NDArray[Any],
    fmt: BDRFormat,
    policy: BDRPolicy,
    source: str,
    scales: Codes,
    subscales: Codes | None,
    codes: Codes,
    random: NDArray[np.uint32] | None = None,
    inner: int = 1,
) -> None:
    """Convert blocks.

    Parameters
    ----------
    bits : contiguous array of the source's unsigned words, shape (n * k1,)
    source : str
        Name of the input type.
    scales : contiguous uint8 array, shape (n,)
        Written.
    subscales : contiguous uint8 array, shape (n * k1 / k2,), or None without a second level
        Written.
    codes : contiguous uint8 array, shape (n * k1,)
        Written.
    random : contiguous uint32 array, shape (n * k1,), optional
        R for each element, under a stochastic rounding.
    inner : int
        Columns: 1, or, where `takes_columns`, at least `MIN_COLUMNS`. All arrays are then groups
        of rows, in which each column is a block.
    """
    assert fmt.k1 is not None  # noqa: S101  # for the type checker
    shifts = np.zeros(0, np.uint8) if subscales is None else subscales
    if not shift_size(fmt, policy):
        shifts[...] = 0
    if inner > 1:
        _encode_columns(bits, fmt, policy, source, scales, shifts, codes, inner)
        return
    done = 0
    if random is None and takes_columns(fmt):
        done = _encode_vectors(bits, fmt, policy, source, scales, shifts, codes)
    rows = np.arange(done, scales.size)
    _encode_rows(rows, bits, fmt, policy, source, scales, shifts, codes, random)


def takes_columns(fmt: BDRFormat) -> bool:
    """Whether blocks of this length run compiled: those that are powers of two and fit a vector."""
    k1 = fmt.k1 or 0
    return not INTERPRETED and 0 < k1 <= MAX_BLOCK and k1 & (k1 - 1) == 0


def _encode_columns(
    bits: NDArray[Any],
    fmt: BDRFormat,
    policy: BDRPolicy,
    source: str,
    scales: Codes,
    shifts: Codes,
    codes: Codes,
    inner: int,
) -> None:
    """Convert blocks that are columns; those that are odd through copies."""
    k1, k2 = fmt.k1 or 1, shift_size(fmt, policy)
    kind = SOURCES[source]
    f = parameters(kind, fmt, policy, input_min=_input_min(source))
    odd = np.zeros(scales.size, np.uint8)
    variant = (rounding_code(policy), parts_of(fmt, policy), k1, k2)
    with parallel_slot(bits.size) as parallel:
        kernel = column_encoder(source, kind.width, *variant, parallel)
        kernel(bits, codes, shifts, scales, odd, inner, f)
    group, column = np.divmod(np.flatnonzero(odd), inner)
    n_slab = max(1, _SLAB // k1)
    for start in range(0, group.size, n_slab):
        part = slice(start, start + n_slab)
        where = (group[part], slice(None), column[part])
        words = np.ascontiguousarray(bits.reshape(-1, k1, inner)[where]).reshape(-1)
        n = words.size // k1
        own = np.empty(n, np.uint8), np.empty(words.size, np.uint8)
        own_shifts = np.zeros(n * k1 // k2 if k2 else 0, np.uint8)
        rows = np.arange(n)
        _encode_rows(rows, words, fmt, policy, source, own[0], own_shifts, own[1], None)
        scales.reshape(-1, inner)[group[part], column[part]] = own[0]
        codes.reshape(-1, k1, inner)[where] = own[1].reshape(n, k1)
        if k2:
            shifts.reshape(-1, k1 // k2, inner)[where] = own_shifts.reshape(n, -1)


def _encode_vectors(
    bits: NDArray[Any],
    fmt: BDRFormat,
    policy: BDRPolicy,
    source: str,
    scales: Codes,
    shifts: Codes,
    codes: Codes,
) -> int:
    """Convert the blocks of whole vectors; return how many."""
    assert fmt.k1 is not None  # noqa: S101  # for the type checker
    kind = SOURCES[source]
    f = parameters(kind, fmt, policy, input_min=_input_min(source))
    lanes = vector_lanes(kind.width, fmt.k1)
    odd = np.empty(bits.size // lanes, kind.word)
    variant = (rounding_code(policy), parts_of(fmt, policy), fmt.k1, shift_size(fmt, policy))
    with parallel_slot(bits.size) as parallel:
        kernel = block_encoder(source, kind.width, *variant, parallel)
        kernel(bits, codes, shifts, scales, odd, f)
    each = lanes // fmt.k1
    rows = (np.flatnonzero(odd)[:, np.newaxis] * each + np.arange(each)).reshape(-1)
    _encode_rows(rows, bits, fmt, policy, source, scales, shifts, codes, None)
    return odd.size * each


def _input_min(source: str) -> int | None:
    return _FLOAT16_NORMAL if source == "float16" else None


def _encode_rows(
    rows: NDArray[np.intp],
    bits: NDArray[Any],
    fmt: BDRFormat,
    policy: BDRPolicy,
    source: str,
    scales: Codes,
    shifts: Codes,
    codes: Codes,
    random: NDArray[np.uint32] | None,
) -> None:
    """Convert some blocks by the complete program."""
    k1, k2 = fmt.k1 or 0, shift_size(fmt, policy)
    kind = SOURCES[source]
    f = parameters(kind, fmt, policy, input_min=_input_min(source))
    options = {"k1": k1, "k2": k2, "rounding": rounding_code(policy)}
    words, targets = bits.reshape(-1, k1), codes.reshape(-1, k1)
    n_slab = max(1, _SLAB // k1)
    for start in range(0, rows.size, n_slab):
        part = rows[start : start + n_slab]
        o = GroupNumpy(kind.width, f)
        word = _interpreted.load(o, words[part], kind)
        drawn = None if random is None else o.word(random.reshape(-1, k1)[part])
        found = bdr_programs.encode(o, word, parts=parts_of(fmt, policy), random=drawn, **options)
        shape = (part.size, k1)
        targets[part] = np.broadcast_to(found.codes.value, shape).astype(np.uint8)
        scales[part] = np.broadcast_to(found.scales.value, shape)[:, 0].astype(np.uint8)
        if k2:
            D = np.broadcast_to(found.shifts.value, shape)[:, ::k2]
            shifts.reshape(-1, k1 // k2)[part] = D.astype(np.uint8)


def dequantize(
    scales: Codes,
    subscales: Codes | None,
    codes: Codes,
    fmt: BDRFormat,
    out: NDArray[np.uint32],
    inner: int = 1,
) -> None:
    """Decode blocks to float32 bits; shapes as for `quantize`, `out` as `codes`."""
    assert fmt.k1 is not None  # noqa: S101  # for the type checker
    f = parameters(SOURCES["float32"], fmt, BDRPolicy())
    shifts = np.zeros(0, np.uint8) if subscales is None else subscales
    k1, k2 = fmt.k1, fmt.k2
    is_twos = fmt.element is Element.TWOS_COMPLEMENT
    if inner > 1:
        with parallel_slot(codes.size) as parallel:
            column_decoder(is_twos, k1, k2, parallel)(codes, shifts, scales, out, inner, f)
        return
    done = 0
    if takes_columns(fmt):
        lanes = vector_lanes(32, k1)
        n = codes.size // lanes
        done = n * (lanes // k1)
        with parallel_slot(codes.size) as parallel:
            kernel = block_decoder(is_twos, k1, k2, parallel)
            kernel(codes, shifts, scales, out, n, f)
    rows = scales.size - done
    n_slab = max(1, _SLAB // k1)
    given, target = codes.reshape(-1, k1), out.reshape(-1, k1)
    for start in range(scales.size - rows, scales.size, n_slab):
        part = slice(start, min(start + n_slab, scales.size))
        o = GroupNumpy(32, f)
        D = o.constant(0)
        if k2:
            D = o.word(np.repeat(shifts.reshape(-1, k1 // k2)[part], k2, axis=1))
        E = o.word(scales[part, np.newaxis])
        target[part] = bdr_programs.decode(o, o.word(given[part]), D, E, is_twos=is_twos).value
