"""Element and scale casts over arrays: the twins of ``mxref.exact.element`` and ``exact.scale``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref._choices import DecodeSubnormal
from mxref.formats import ElementFormat, Kind, ScaleFormat
from mxref.kernels import _interpreted, _loops
from mxref.kernels._jit import INTERPRETED, parallel_slot
from mxref.kernels.lanes import NumpyMachine
from mxref.kernels.params import (
    element_parameters,
    encoder_parts,
    rounding_code,
    scale_parameters,
)
from mxref.kernels.places import SOURCES, P
from mxref.kernels.programs import magnitude
from mxref.policy import Policy

__all__ = ["decode", "decode_scale", "encode", "encode_scale", "is_finite"]


def encode(
    bits: NDArray[Any], element: ElementFormat, policy: Policy, source: str, out: NDArray[np.uint8]
) -> None:
    """Encode source words as element codes (MX-1.0/6.3/elements with a scale of one).

    Parameters
    ----------
    bits : contiguous array of the source's unsigned words, shape (n,)
    source : str
        Name of the input type.
    out : contiguous uint8 array, shape (n,)
    """
    kind = SOURCES[source]
    f = element_parameters(kind, element, policy)
    fixed = int(element.kind is Kind.FIXED)
    rounding = rounding_code(policy)
    if INTERPRETED:
        _interpreted.encode(bits, out, f, kind, rounding, fixed)
        return
    variant = (source, kind.width, rounding, fixed, encoder_parts(element, policy)[1])
    with parallel_slot(bits.size) as parallel:
        _loops.element_encoder(*variant, parallel)(bits, out, f)


def decode(
    codes: NDArray[np.uint8], element: ElementFormat, policy: Policy, out: NDArray[np.uint32]
) -> None:
    """Decode element codes to float32 bits.

    Parameters
    ----------
    codes : contiguous uint8 array, shape (n,)
    out : contiguous uint32 array, shape (n,)
    """
    f = element_parameters(SOURCES["float32"], element, policy)
    fixed = int(element.kind is Kind.FIXED)
    if INTERPRETED:
        _interpreted.decode(codes, out, f, fixed)
        return
    full = int(policy.decode_subnormal is not DecodeSubnormal.GRADUAL)
    with parallel_slot(codes.size) as parallel:
        _loops.element_decoder(fixed, full, parallel)(codes, out, f)


def is_finite(bits: NDArray[Any], source: str) -> bool:
    """Return whether source words hold neither NaN nor infinity; shapes as for `encode`."""
    kind = SOURCES[source]
    if INTERPRETED:
        o = NumpyMachine(kind.width)
        size = magnitude(o, _interpreted.load(o, bits, kind)).value
        return bool((size < kind.infinity).all())
    step = _loops.CHUNK * _loops.VECTOR[kind.width]
    amax = np.zeros(-(-bits.size // step), kind.word)
    with parallel_slot(bits.size) as parallel:
        _loops.amax_finder(source, kind.width, parallel)(bits, amax, amax[:0])
    return bool((amax < kind.infinity).all())


def encode_scale(
    bits: NDArray[Any], scale: ScaleFormat, policy: Policy, source: str, out: NDArray[np.uint8]
) -> None:
    """Cast source words to scale codes (OP-E8M0-CAST); shapes as for `encode`."""
    kind = SOURCES[source]
    f = scale_parameters(kind, scale, policy)
    if INTERPRETED:
        _interpreted.encode_scale(bits, out, f, kind)
        return
    with parallel_slot(bits.size) as parallel:
        _loops.scale_encoder(source, kind.width, int(f[P.TABLED]), parallel)(bits, out, f)


def decode_scale(codes: NDArray[np.uint8], policy: Policy, out: NDArray[np.uint32]) -> None:
    """Decode scale codes to float32 bits (MX-1.0/5.4/e8m0); shapes as for `decode`."""
    if INTERPRETED:
        _interpreted.decode_scale(codes, out)
    else:
        with parallel_slot(codes.size) as parallel:
            _loops.scale_decoder(parallel)(codes, out)
    if policy.decode_subnormal is DecodeSubnormal.FLUSH_RESULT:
        out[codes == 0] = 0  # 2**-127, the one scale that is subnormal in float32
