"""Block conversion in two passes, where one loop can't do it: draws and searches.

First the scale codes, in NumPy integers or by trying candidates; then the elements under them, in
a compiled loop. OP-SCALE-RULE (stochastic, mse, mae), OP-ELEM-STOCHASTIC.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref._choices import Rounding, ScaleRule
from mxref.formats import BlockFormat, ElementFormat, Kind
from mxref.kernels import _interpreted, block, search
from mxref.kernels._jit import INTERPRETED, parallel_slot
from mxref.kernels.lanes import NumpyMachine
from mxref.kernels.params import block_parameters, element_parameters, rounding_code
from mxref.kernels.places import SOURCES, P, Source
from mxref.kernels.programs import magnitude
from mxref.kernels.tables import FLUSH, AmaxSelection
from mxref.policy import Policy

__all__ = [
    "draws_elements",
    "draws_scale",
    "encode",
    "encode_with_scale",
    "is_composed",
    "quantize",
    "searches",
    "select",
]

Words = NDArray[Any]
Codes = NDArray[np.uint8]

_SEARCHES = (ScaleRule.MSE, ScaleRule.MAE)
_STOCHASTIC = (Rounding.STOCHASTIC_A, Rounding.STOCHASTIC_B, Rounding.STOCHASTIC_C)
_OPEN_ROWS = 1 << 14  # blocks of a search that are settled at a time
_RUN = 1 << 10  # elements of a cast that share a scale code of 127


def draws_elements(policy: Policy) -> bool:
    """Whether elements are rounded with random bits."""
    return policy.rounding in _STOCHASTIC


def draws_scale(policy: Policy) -> bool:
    """Whether scales are selected with random bits."""
    return policy.scale_rule is ScaleRule.STOCHASTIC


def searches(policy: Policy) -> bool:
    """Whether scales are found by trying."""
    return policy.scale_rule in _SEARCHES


def is_composed(policy: Policy) -> bool:
    """Whether a policy needs the two passes of this module."""
    return draws_elements(policy) or draws_scale(policy) or searches(policy)


def quantize(
    bits: Words,
    fmt: BlockFormat,
    policy: Policy,
    source: str,
    scales: Codes,
    codes: Codes,
    random: Words | None,
    scale_random: Words | None,
) -> None:
    """Convert blocks; shapes as for ``block.quantize``.

    Parameters
    ----------
    random : contiguous uint32 array, shape (n * k,), or None
        R for each element, where `draws_elements`.
    scale_random : array of shape (n,), or None
        R for each block, where `draws_scale`.
    """
    selected = select(bits, fmt, policy, source, scale_random)
    scales[...] = selected & 0xFF
    encode_with_scale(bits, fmt, policy, source, scales, codes, random)
    flushed = np.flatnonzero(selected >= FLUSH)
    codes.reshape(-1, fmt.block_size)[flushed] = 0


def encode_with_scale(
    bits: Words,
    fmt: BlockFormat,
    policy: Policy,
    source: str,
    scales: Codes,
    codes: Codes,
    random: Words | None,
) -> None:
    """Encode elements under scale codes that are given; parameters as for `quantize`."""
    if random is None:
        block.encode_with_scale(bits, fmt, policy, source, scales, codes)
        return
    f = block_parameters(SOURCES[source], fmt, policy)
    _encode(bits, random, codes, scales, fmt.block_size, f, fmt.element, policy, source)


def encode(
    bits: Words, random: Words, element: ElementFormat, policy: Policy, source: str, out: Codes
) -> None:
    """Encode source words as element codes with random bits; shapes as for ``element.encode``."""
    f = element_parameters(SOURCES[source], element, policy)
    whole = bits.size // _RUN * _RUN
    for part, k in ((slice(0, whole), _RUN), (slice(whole, None), bits.size - whole)):
        if k and bits[part].size:
            ones = np.full(bits[part].size // k, 127, np.uint8)
            _encode(bits[part], random[part], out[part], ones, k, f, element, policy, source)


def _encode(
    bits: Words,
    random: Words,
    codes: Codes,
    scales: Codes,
    k: int,
    f: Words,
    element: ElementFormat,
    policy: Policy,
    source: str,
) -> None:
    kind, fixed = SOURCES[source], int(element.kind is Kind.FIXED)
    rounding = rounding_code(policy)
    if INTERPRETED:
        given = {"rounding": rounding, "fixed": fixed, "given": 1}
        _interpreted.encode_blocks(bits, codes, scales, k, f, kind, **given, random=random)
        return
    from mxref.kernels._random import random_encoder

    with parallel_slot(bits.size) as parallel:
        kernel = random_encoder(source, kind.width, rounding, fixed, parallel)
        kernel(bits, random, codes, scales, k, f)


def select(
    bits: Words, fmt: BlockFormat, policy: Policy, source: str, random: Words | None = None
) -> NDArray[np.int64]:
    """Return the scale code of each block, with FLUSH added where the block becomes zeros."""
    clear = search.clear_cases(bits, fmt, policy, source)
    if clear is None:
        return _select(bits, fmt, policy, source, random)
    rows, k = np.flatnonzero(clear == search.OPEN), fmt.block_size
    for first in range(0, len(rows), _OPEN_ROWS):
        some = rows[first : first + _OPEN_ROWS]
        clear[some] = _select(bits.reshape(-1, k)[some].reshape(-1), fmt, policy, source)
    return clear


def _select(
    bits: Words, fmt: BlockFormat, policy: Policy, source: str, random: Words | None = None
) -> NDArray[np.int64]:
    kind = SOURCES[source]
    f = block_parameters(kind, fmt, policy)
    o = NumpyMachine(kind.width, f)
    words = _interpreted.load(o, bits.reshape(-1, fmt.block_size), kind)
    size = magnitude(o, words).value
    amax = np.where(size < kind.infinity, size, 0).max(axis=1, initial=0)
    exponents, fields = _split(amax, kind)
    selection = AmaxSelection(fmt, policy, source, kind.mantissa_bits)
    theta = None if random is None else _drawn(random, int(policy.stochastic_bits), kind)
    codes = selection.codes(exponents, fields, theta)
    codes = np.where(amax == 0, selection.zero_code(), codes)
    rank = np.maximum(
        (size > kind.infinity).any(axis=1) * f[P.NAN_ACTION].astype(np.int64),
        (size == kind.infinity).any(axis=1) * f[P.INF_ACTION].astype(np.int64),
    )
    codes = np.where(rank > 0, f[int(P.ACTION_CODES) + rank].astype(np.int64), codes)
    if searches(policy):
        # An exponent field taken for a number (rank 1) is one.
        of_rule = (amax > 0) & selection.is_ordinary(exponents, fields)
        is_ordinary = (codes < 0xFF) & ((rank == 1) | ((rank == 0) & of_rule))
        least = int(f[P.INPUT_MIN])
        codes = search.best(words.value, bits, fmt, policy, source, codes, is_ordinary, least)
    return codes


def _split(amax: Words, kind: Source) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Exponent and significand field of each number, as though none were subnormal."""
    size = amax.astype(np.int64)
    field, rest = size >> kind.mantissa_bits, size & ((1 << kind.mantissa_bits) - 1)
    # A subnormal has fewer bits than a significand, so that a float64 holds it exactly.
    length = np.frexp(rest.astype(np.float64))[1].astype(np.int64)
    distance = np.where(field > 0, 0, kind.mantissa_bits + 1 - length)
    shifted = (rest << np.minimum(distance, kind.mantissa_bits)) & ((1 << kind.mantissa_bits) - 1)
    return np.maximum(field, 1) - distance - kind.bias, shifted


def _drawn(random: Words, bits: int, kind: Source) -> NDArray[np.int64]:
    """The threshold that R sets: floor(fraction * 2**N) + R >= 2**N from it on."""
    missing = (np.int64(1) << bits) - random.astype(np.int64)
    if bits > kind.mantissa_bits:  # the highest bits of R then decide nothing
        return -(-missing >> (bits - kind.mantissa_bits))
    return missing << (kind.mantissa_bits - bits)
