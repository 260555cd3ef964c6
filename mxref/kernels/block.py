"""Block conversion over arrays: the twins of ``mxref.exact.block``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.formats import BlockFormat, Kind
from mxref.kernels import _interpreted, _loops
from mxref.kernels._jit import INTERPRETED, parallel_slot
from mxref.kernels.params import SOURCES, block_parameters, rounding_code
from mxref.policy import Policy

__all__ = ["dequantize", "encode_with_scale", "quantize"]


def quantize(
    bits: NDArray[Any],
    fmt: BlockFormat,
    policy: Policy,
    source: str,
    scales: NDArray[np.uint8],
    codes: NDArray[np.uint8],
) -> None:
    """Convert blocks (MX-1.0/6.3/scale, MX-1.0/6.3/elements).

    Parameters
    ----------
    bits : contiguous array of the source's unsigned words, shape (n * k,)
        Blocks one after the other.
    source : str
        Name of the input type.
    scales : contiguous uint8 array, shape (n,)
        Written.
    codes : contiguous uint8 array, shape (n * k,)
        Written.
    """
    _encode(bits, fmt, policy, source, scales, codes, given=0)


def encode_with_scale(
    bits: NDArray[Any],
    fmt: BlockFormat,
    policy: Policy,
    source: str,
    scales: NDArray[np.uint8],
    codes: NDArray[np.uint8],
) -> None:
    """Encode elements under scale codes that are given; parameters as for `quantize`."""
    _encode(bits, fmt, policy, source, scales, codes, given=1)


def _encode(
    bits: NDArray[Any],
    fmt: BlockFormat,
    policy: Policy,
    source: str,
    scales: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    *,
    given: int,
) -> None:
    kind = SOURCES[source]
    f = block_parameters(kind, fmt, policy)
    fixed = int(fmt.element.kind is Kind.FIXED)
    rounding = rounding_code(policy)
    k = fmt.block_size
    if INTERPRETED:
        _interpreted.encode_blocks(bits, codes, scales, k, f, kind, rounding, fixed, given)
        return
    with parallel_slot(bits.size) as parallel:
        kernel = _loops.block_encoder(source, kind.width, rounding, fixed, given, parallel)
        kernel(bits, codes, scales, k, f)


def dequantize(
    scales: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    fmt: BlockFormat,
    policy: Policy,
    out: NDArray[np.uint32],
) -> None:
    """Decode blocks to float32 bits (MX-1.0/5.1/value).

    Parameters
    ----------
    scales : contiguous uint8 array, shape (n,)
    codes : contiguous uint8 array, shape (n * k,)
    out : contiguous uint32 array, shape (n * k,)
        Written.
    """
    f = block_parameters(SOURCES["float32"], fmt, policy)
    fixed = int(fmt.element.kind is Kind.FIXED)
    if INTERPRETED:
        _interpreted.decode_blocks(codes, scales, out, fmt.block_size, f, fixed)
        return
    with parallel_slot(codes.size) as parallel:
        _loops.block_decoder(fixed, parallel)(codes, scales, out, fmt.block_size, f)
