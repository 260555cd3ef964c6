"""Casts of single numbers to and from element codes and scale codes, over arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref import randomness
from mxref.formats import ElementFormat, ScaleFormat, scalar_format
from mxref.kernels import composed
from mxref.kernels import element as element_kernels
from mxref.policy import Policy, get_policy
from mxref.refusals import refuse_nonfinite
from mxref.traversal import SLAB, flat_pieces, storage_of

if TYPE_CHECKING:
    from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["decode", "encode"]


def _is_ue4m3(name: object) -> bool:
    """Whether it is the scale format of NVFP4, whose policies are not those of MX formats."""
    return isinstance(name, str) and name.strip().lower() == "ue4m3"


def encode(
    x: ArrayLike,
    format: str | ElementFormat | ScaleFormat,  # noqa: A002
    policy: Policy | NVFP4Policy | str | None = None,
    out: NDArray[np.uint8] | None = None,
    *,
    random: ArrayLike | None = None,
) -> NDArray[np.uint8]:
    """Encode numbers as element codes or scale codes, one by one.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or bfloat16
    format : str, ElementFormat or ScaleFormat
        ``"e4m3"``, ``"e5m2"``, ``"e3m2"``, ``"e2m3"``, ``"e2m1"``, ``"int8"``, ``"e8m0"`` or
        ``"ue4m3"``, the scales of NVFP4, which takes no negative number.
    policy : Policy or str, optional
        Default ``"ocp"``; for ``"ue4m3"`` an `mxref.nvfp4.NVFP4Policy`, default ``"te-1d"``.
    out : uint8 array, optional
        Where to write.
    random : array_like of unsigned integers, optional
        As for `quantize`; elements only.

    Returns
    -------
    array of uint8
        Codes, in the shape of `x`.

    Raises
    ------
    TypeError, ValueError
        As for `quantize`.

    Notes
    -----
    Clauses OFP8-1.0/rounding, MX-1.0/6.3/rounding and MX-1.0/6.3/clamp; OP-E8M0-CAST,
    OP-NVFP4-RECIPE.

    Examples
    --------
    >>> encode([448.0, 464.0, 1e6, -0.0], "e4m3")
    array([126, 126, 126, 128], dtype=uint8)
    """
    if _is_ue4m3(format):
        from mxref.nvfp4._scale_cast import encode_scale

        randomness.refuse_for_scale_cast(random)
        return encode_scale(x, cast("NVFP4Policy | str | None", policy), out)
    array, source = inputs.as_float(x)
    fmt = scalar_format(format)
    chosen = get_policy(cast("Policy | str | None", policy))
    if isinstance(fmt, ElementFormat):
        refuse_nonfinite(array, chosen, fmt, is_block=False)
    codes = inputs.as_output(out, array.shape, np.uint8, array)
    storage = storage_of(source)
    if isinstance(fmt, ElementFormat):
        drawn = randomness.for_elements(random, array.shape, fmt, chosen)
        if drawn is not None:
            _encode_randomly(array, drawn, fmt, chosen, source, codes)
            return codes
    else:
        randomness.refuse_for_scale_cast(random)
    for words, target in flat_pieces(array, codes):
        bits = words.view(storage)
        if isinstance(fmt, ElementFormat):
            element_kernels.encode(bits, fmt, chosen, source, target)
        else:
            element_kernels.encode_scale(bits, fmt, chosen, source, target)
    return codes


def _encode_randomly(
    x: NDArray[Any],
    random: NDArray[np.uint32],
    fmt: ElementFormat,
    policy: Policy,
    source: str,
    codes: NDArray[np.uint8],
) -> None:
    for piece in inputs.slabs(x.shape, SLAB):
        values = x[piece].astype(x.dtype.newbyteorder("="), order="C")
        target = np.empty(values.size, np.uint8)
        drawn = np.ascontiguousarray(random[piece]).reshape(-1)
        bits = values.reshape(-1).view(storage_of(source))
        composed.encode(bits, drawn, fmt, policy, source, target)
        codes[piece] = target.reshape(values.shape)


def decode(
    codes: ArrayLike,
    format: str | ElementFormat | ScaleFormat,  # noqa: A002
    policy: Policy | NVFP4Policy | str | None = None,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Decode element codes or scale codes to float32, one by one; always exact.

    Parameters
    ----------
    codes : array of uint8 (or of the format's ml_dtypes type)
    format : str, ElementFormat or ScaleFormat
        As for `encode`.
    policy : Policy or str, optional
        Says which NaN comes out; default ``"ocp"``. As for `encode` if it is ``"ue4m3"``.
    out : float32 array, optional
        Where to write.

    Returns
    -------
    array of float32

    Raises
    ------
    TypeError, ValueError
        If the dtype is not that of codes, or a code is out of range.

    Notes
    -----
    Clauses OFP8-1.0/e4m3, OFP8-1.0/e5m2, MX-1.0/5.3/fp6, MX-1.0/5.3/fp4, MX-1.0/5.3/int8 and
    MX-1.0/5.4/e8m0.

    Examples
    --------
    >>> import numpy as np
    >>> decode(np.array([0x01, 0x38, 0x7E], np.uint8), "e4m3")
    array([1.953125e-03, 1.000000e+00, 4.480000e+02], dtype=float32)
    """
    if _is_ue4m3(format):
        from mxref.nvfp4._scale_cast import decode_scale

        return decode_scale(codes, cast("NVFP4Policy | str | None", policy), out)
    fmt = scalar_format(format)
    chosen = get_policy(cast("Policy | str | None", policy))
    array = inputs.as_codes(codes, fmt.name)
    inputs.check_range(array, fmt.code_count, fmt.name)
    values = inputs.as_output(out, array.shape, np.float32, array)
    for words, target in flat_pieces(array, values):
        bits = target.view(np.uint32)
        if isinstance(fmt, ElementFormat):
            element_kernels.decode(words, fmt, chosen, bits)
        else:
            element_kernels.decode_scale(words, chosen, bits)
    return values
