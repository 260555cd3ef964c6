"""The lane programs on NumPy arrays: what runs under NUMBA_DISABLE_JIT.

The same programs as the kernels run, always in their full form; slower by far.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.kernels import programs
from mxref.kernels.lanes import NumpyMachine
from mxref.kernels.places import P, Source
from mxref.kernels.programs import COMPLETE

__all__ = [
    "decode",
    "decode_blocks",
    "decode_scale",
    "encode",
    "encode_blocks",
    "encode_scale",
    "load",
]


def load(o: NumpyMachine, bits: NDArray[Any], source: Source) -> Any:
    """Return source words as lanes; 16-bit types become float32 words."""
    word = o.word(bits)
    if source.name == "bfloat16":
        return programs.widen_bfloat16(o, word)
    if source.name == "float16":
        return programs.widen_float16(o, word)
    return word


def encode(
    bits: NDArray[Any], out: NDArray[np.uint8], f: Any, source: Source, rounding: int, fixed: int
) -> None:
    """Encode source words as element codes."""
    o = NumpyMachine(source.width, f)
    word = load(o, bits, source)
    result = programs.encode(
        o, word, o.parameter(P.ORIGIN), rounding=rounding, is_fixed=bool(fixed), parts=COMPLETE
    )
    out[...] = result.value.astype(np.uint8)


def decode(codes: NDArray[np.uint8], out: NDArray[np.uint32], f: Any, fixed: int) -> None:
    """Decode element codes to float32 bits."""
    o = NumpyMachine(32, f)
    word = o.word(codes)
    out[...] = programs.decode(o, word, o.constant(127), is_fixed=bool(fixed), is_full=True).value


def encode_scale(bits: NDArray[Any], out: NDArray[np.uint8], f: Any, source: Source) -> None:
    """Cast source words to E8M0 codes."""
    o = NumpyMachine(source.width, f)
    word = load(o, bits, source)
    is_tabled = bool(f[P.TABLED])
    out[...] = programs.encode_scale(o, word, is_tabled=is_tabled).value.astype(np.uint8)


def decode_scale(codes: NDArray[np.uint8], out: NDArray[np.uint32]) -> None:
    """Decode E8M0 codes to float32 bits."""
    o = NumpyMachine(32)
    out[...] = programs.decode_scale(o, o.word(codes)).value


def _select(o: NumpyMachine, size: NDArray[Any], f: Any) -> NDArray[Any]:
    infinity = f[P.INFINITY]
    finite = np.where(size < infinity, size, size.dtype.type(0)).max(axis=1)
    select = programs.look_up_scale if f[P.TABLED] else programs.select_scale
    selected: NDArray[Any] = select(o, o.word(finite)).value
    has_inf = (size == infinity).any(axis=1)
    has_nan = (size > infinity).any(axis=1)
    rank = np.maximum(has_nan * f[P.NAN_ACTION], has_inf * f[P.INF_ACTION])
    selected[rank > 0] = f[int(P.ACTION_CODES) + rank[rank > 0].astype(np.int64)]
    return selected


def encode_blocks(
    bits: NDArray[Any],
    codes: NDArray[np.uint8],
    scales: NDArray[np.uint8],
    k: int,
    f: Any,
    source: Source,
    rounding: int,
    fixed: int,
    given: int,
    random: NDArray[Any] | None = None,
) -> None:
    """Convert blocks of k source words; with `given`, under the scale codes that are there."""
    o = NumpyMachine(source.width, f)
    word = load(o, bits.reshape(-1, k), source)
    flushed = np.zeros(scales.shape, np.bool_)
    if not given and scales.size:
        selected = _select(o, programs.magnitude(o, word).value, f)
        flushed = selected > 0xFF
        scales[...] = (selected & 0xFF).astype(np.uint8)
    shift = o.word(scales[:, np.newaxis])
    result = programs.encode(
        o,
        word,
        shift + o.parameter(P.ORIGIN) - 127,
        rounding=rounding,
        is_fixed=bool(fixed),
        parts=COMPLETE,
        random=None if random is None else o.word(random.reshape(-1, k)),
    ).value.astype(np.uint8)
    result[scales == 0xFF] = np.uint8(f[P.NAN_BYTE])
    result[flushed] = 0
    codes[...] = result.reshape(-1)


def decode_blocks(
    codes: NDArray[np.uint8],
    scales: NDArray[np.uint8],
    out: NDArray[np.uint32],
    k: int,
    f: Any,
    fixed: int,
) -> None:
    """Decode blocks of k codes to float32 bits."""
    o = NumpyMachine(32, f)
    word = o.word(codes.reshape(-1, k))
    shift = o.word(scales[:, np.newaxis])
    result = programs.decode(o, word, shift, is_fixed=bool(fixed), is_full=True).value
    is_nan = scales == 0xFF
    negative = (word.value[is_nan] >> f[P.SIGN_SHIFT]) & f[P.DECODE_NAN_KEEP]
    result[is_nan] = np.uint32(0x7FC00000) | (negative << np.uint32(31))
    out[...] = result.reshape(-1)
