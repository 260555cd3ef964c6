"""NVFP4 over arrays: the twins of ``mxref.exact.nvfp4``.

Blocks are rows of 16 source words. The two numbers of the tensor are computed exactly, once; what
depends on them and on a scale code is tabulated. Without a compiler NumPy does all of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mxref.exact import nvfp4_scales as exact
from mxref.kernels import _nvfp4_numpy as plain
from mxref.kernels import _nvfp4_options as options
from mxref.kernels import _nvfp4_tables as tables
from mxref.kernels._jit import INTERPRETED, parallel_slot
from mxref.kernels._nvfp4_choose import picks_second
from mxref.kernels._nvfp4_numpy import Globals
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_policy import NVFP4Policy

if not INTERPRETED:
    from mxref.kernels import _nvfp4_loops as loops

__all__ = [
    "Globals",
    "amax",
    "decode",
    "encode",
    "from_global_scale",
    "global_scales",
    "picks_second",
    "scale_codes",
]

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_LANES = 16
_INFINITY = np.uint32(0x7F800000)


def _globals(found: exact.GlobalScales) -> Globals:
    parts = (found.encode, found.decode, found.amax)
    return Globals(*(np.uint32(tables.bits_of(n)).view(np.float32) for n in parts))


def global_scales(amax: np.float32, policy: NVFP4Policy) -> Globals:
    """Return S and g of a tensor."""
    return _globals(exact.global_scales(tables.number_of(amax), policy))


def from_global_scale(g: np.float32, policy: NVFP4Policy) -> Globals:
    """Return S and g where only g is known."""
    return _globals(exact.from_global_scale(tables.number_of(g), policy))


def amax(x: Floats, policy: NVFP4Policy) -> Floats:
    """Return the largest magnitude of each row."""
    if INTERPRETED:
        return plain.amax(x, policy)
    found = np.empty(x.shape[0], np.uint32)
    with parallel_slot(x.size) as parallel:
        loops.amax_loop(options.SOURCES["float32"], parallel)(_flat(x), found)
    largest = found.view(np.float32)
    odd = np.flatnonzero(found > _INFINITY)
    if odd.size:
        largest[odd] = plain.amax(x[odd], policy)
    return largest


def _flat(x: Floats) -> NDArray[np.uint32]:
    return np.ascontiguousarray(x).reshape(-1).view(np.uint32)


def scale_codes(b: Floats, of: Globals, policy: NVFP4Policy, *, is_four: bool = False) -> Bytes:
    """Return the scale codes of blocks with these largest magnitudes.

    With `is_four`, those of the candidate that maps to 4 under four-over-six.
    """
    if INTERPRETED:
        return plain.scale_codes(b, of, policy, is_four=is_four)
    if policy.scale_order is choice.ScaleOrder.EXACT:
        return _searched(b, of, policy, is_four=is_four)
    return _stepwise(b, tables.scale_parameters(of, policy, is_four=is_four), policy)


def _stepwise(b: Floats, parameters: NDArray[np.uint32], policy: NVFP4Policy) -> Bytes:
    """Scales by the float32 steps of a recipe, sixteen at a time."""
    words = np.zeros(-(-b.size // _LANES) * _LANES, np.uint32)
    words[: b.size] = np.ascontiguousarray(b).view(np.uint32)
    codes = np.empty(words.size, np.uint8)
    with parallel_slot(words.size) as parallel:
        loops.scale_loop(*options.scale_options(policy), parallel)(words, codes, parameters)
    return codes[: b.size]


def _searched(b: Floats, of: Globals, policy: NVFP4Policy, *, is_four: bool) -> Bytes:
    """Scales by comparing b with each bound times T g, which float64 holds."""
    T = np.float64(plain.target(policy))
    unit = T * np.float64(of.decode)
    if not np.isfinite(unit) or unit == 0 or is_four:
        return plain.scale_codes(b, of, policy, is_four=is_four)
    codes = _stepwise(b, tables.scale_parameters(of, policy), policy)
    bounds = tables.scale_bounds(unit, policy)
    with parallel_slot(b.size) as parallel:
        loops.search_loop(parallel)(np.ascontiguousarray(b), codes, bounds)
    return _adjusted(codes, b, policy)


def _adjusted(codes: Bytes, b: Floats, policy: NVFP4Policy) -> Bytes:
    """What bounds do not say: NaN, overflow, and the rules for zero and small scales."""
    if policy.scale_least is not choice.ScaleLeast.ZERO:
        least = {"2^-9": 0x01, "2^-6": 0x08}[policy.scale_least.value]
        codes = np.maximum(codes, np.uint8(least))
    if policy.scale_zero is choice.ScaleZero.ONE:
        codes[b == 0] = 0x38
    if policy.scale_overflow is choice.ScaleOverflow.SATURATE:
        codes = np.minimum(codes, np.uint8(0x7E))
    codes[np.isnan(b)] = 0x7F
    if policy.scale_zero is choice.ScaleZero.EIGHTH:
        codes[codes == 0] = 0x20
    return codes


def encode(
    x: Floats,
    scales: Bytes,
    of: Globals,
    policy: NVFP4Policy,
    random: NDArray[np.uint32] | None = None,
    out: Bytes | None = None,
) -> Bytes:
    """Return the codes of rows of 16 elements under scale codes, one for each row.

    `out`, if given, is a contiguous array of the shape of `x`, and is written.
    """
    is_exact = policy.element_order is choice.ElementOrder.EXACT
    codes = np.empty(x.shape, np.uint8) if out is None else out
    if INTERPRETED or (is_exact and not np.isfinite(of.decode)):
        codes[...] = plain.encode(x, scales, of, policy, random)
        return codes
    found = tables.encoder(tables.key_of(of), policy)
    if policy.rounding is choice.Rounding.STOCHASTIC:
        _encode_randomly(x, scales, found, policy, random, codes)
        return codes
    variant = options.element_options("float32", found, policy)
    parts = found.factors, found.flips, found.below
    with parallel_slot(x.size) as parallel:
        loops.encode_loop(*variant, parallel)(
            _flat(x), np.ascontiguousarray(scales), codes.reshape(-1), *parts
        )
    return codes


def _encode_randomly(
    x: Floats,
    scales: Bytes,
    found: tables.Encoder,
    policy: NVFP4Policy,
    random: NDArray[np.uint32] | None,
    codes: Bytes,
) -> None:
    if random is None:
        raise ValueError("rounding=stochastic needs random bits")
    sizes = np.empty(x.size, np.float32)
    drawn = np.ascontiguousarray(random, np.uint32).reshape(-1)
    step = int(options.divides(policy))
    share = np.float64(1 / (1 << int(policy.stochastic_bits.value)))
    given = _flat(x).view(np.float32), np.ascontiguousarray(scales)
    with parallel_slot(x.size) as parallel:
        loops.random_loop(step, parallel)(
            *given, codes.reshape(-1), drawn, found.factors.view(np.float32), found.units,
            plain.ELEMENTS, share, sizes,
        )  # fmt: skip
    magnitudes = (sizes.view(np.uint32) & np.uint32(0x7FFFFFFF)).reshape(x.shape)
    own = _flat(x).reshape(x.shape) >> np.uint32(28) & np.uint32(8)
    sign = (own ^ (found.flips[scales] >> np.uint32(28))[:, None]).astype(np.uint8)
    if policy.neg_zero is choice.NegZero.DROP:
        sign[codes == 0] = 0
    elif policy.neg_zero is choice.NegZero.DROP_INPUT:
        sign[magnitudes == 0] = 0
    codes |= sign
    is_nan = magnitudes > _INFINITY
    match policy.nan_element:
        case choice.NanElement.POS_MAX:
            codes[is_nan] = 7
        case choice.NanElement.SIGNED_MAX:
            codes[is_nan] = 7 | own[is_nan].astype(np.uint8)
        case _:
            codes[is_nan] = 0


def decode(
    codes: Bytes,
    scales: Bytes,
    g: np.float32,
    policy: NVFP4Policy,
    out: Floats | None = None,
) -> Floats:
    """Return the values of rows of 16 codes; `out`, if given, is contiguous and written."""
    found = np.empty(codes.shape, np.float32) if out is None else out
    if INTERPRETED:
        found[...] = plain.decode(codes, scales, g, policy)
        return found
    table = tables.values(int(g.view(np.uint32)), policy)
    given = np.ascontiguousarray(codes).reshape(-1), np.ascontiguousarray(scales)
    with parallel_slot(codes.size) as parallel:
        loops.decode_loop(parallel)(*given, found.reshape(-1).view(np.uint32), table)
    return found
