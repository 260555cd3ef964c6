"""Block conversion over arrays: the twins of ``mxref.exact.block``."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref.formats import BlockFormat, Kind
from mxref.kernels import _across, _interpreted, _loops
from mxref.kernels._jit import INTERPRETED, parallel_slot
from mxref.kernels.params import block_parameters, encoder_parts, rounding_code
from mxref.kernels.places import SOURCES
from mxref.policy import Policy

__all__ = ["MIN_COLUMNS", "dequantize", "encode_with_scale", "quantize"]

MIN_COLUMNS = 1 << 62 if INTERPRETED else 16
"""Least number of columns for which `quantize` and `dequantize` take an `inner`: with fewer, most
of a vector would be empty. Without a compiler there is no such loop."""


def quantize(
    bits: NDArray[Any],
    fmt: BlockFormat,
    policy: Policy,
    source: str,
    scales: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    inner: int = 1,
) -> None:
    """Convert blocks (MX-1.0/6.3/scale, MX-1.0/6.3/elements).

    Parameters
    ----------
    bits : contiguous array of the source's unsigned words, shape (n * k * inner,)
        Blocks one after the other; with `inner`, groups of k rows, in which each column is a
        block.
    source : str
        Name of the input type.
    scales : contiguous uint8 array, shape (n * inner,)
        Written.
    codes : contiguous uint8 array, shape (n * k * inner,)
        Written.
    inner : int
        Columns: 1, or at least `MIN_COLUMNS`.
    """
    _encode(bits, fmt, policy, source, scales, codes, inner, given=0)


def encode_with_scale(
    bits: NDArray[Any],
    fmt: BlockFormat,
    policy: Policy,
    source: str,
    scales: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    inner: int = 1,
) -> None:
    """Encode elements under scale codes that are given; parameters as for `quantize`."""
    _encode(bits, fmt, policy, source, scales, codes, inner, given=1)


def _encode(
    bits: NDArray[Any],
    fmt: BlockFormat,
    policy: Policy,
    source: str,
    scales: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    inner: int,
    *,
    given: int,
) -> None:
    plan = _plan(source, fmt, policy)
    f, k = plan.parameters, fmt.block_size
    if INTERPRETED:
        kind = SOURCES[source]
        options = (plan.rounding, plan.fixed, given)
        _interpreted.encode_blocks(bits, codes, scales, k, f, kind, *options)
        return
    variant = (source, plan.width, plan.rounding, plan.fixed, given, plan.parts)
    with parallel_slot(bits.size) as parallel:
        if inner == 1:
            _loops.block_encoder(*variant, parallel)(bits, codes, scales, k, f)
        else:
            kernel = _across.across_encoder(*variant, parallel)
            kernel(bits, codes, scales, scales.size // inner, k, inner, f)


class _Plan(NamedTuple):
    """All that an encoding kernel depends on but the data."""

    parameters: NDArray[Any]
    width: int
    rounding: int
    fixed: int
    parts: tuple[int, int]


@functools.lru_cache(maxsize=256)
def _plan(source: str, fmt: BlockFormat, policy: Policy) -> _Plan:
    kind = SOURCES[source]
    return _Plan(
        block_parameters(kind, fmt, policy),
        kind.width,
        rounding_code(policy),
        int(fmt.element.kind is Kind.FIXED),
        encoder_parts(fmt.element, policy),
    )


def dequantize(
    scales: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    fmt: BlockFormat,
    policy: Policy,
    out: NDArray[np.uint32],
    inner: int = 1,
) -> None:
    """Decode blocks to float32 bits (MX-1.0/5.1/value).

    Parameters
    ----------
    scales : contiguous uint8 array, shape (n * inner,)
    codes : contiguous uint8 array, shape (n * k * inner,)
    out : contiguous uint32 array, shape (n * k * inner,)
        Written.
    inner : int
        As for `quantize`.
    """
    f = block_parameters(SOURCES["float32"], fmt, policy)
    fixed = int(fmt.element.kind is Kind.FIXED)
    k = fmt.block_size
    if INTERPRETED:
        _interpreted.decode_blocks(codes, scales, out, k, f, fixed)
        return
    with parallel_slot(codes.size) as parallel:
        if inner == 1:
            _loops.block_decoder(fixed, parallel)(codes, scales, out, k, f)
        else:
            kernel = _across.across_decoder(fixed, parallel)
            kernel(codes, scales, out, scales.size // inner, k, inner, f)
