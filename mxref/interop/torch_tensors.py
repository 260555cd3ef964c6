"""torch: an `MXArray` as two tensors in the same memory, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref._foreign import as_numpy, is_torch
from mxref.formats import BlockFormat, block_format
from mxref.interop._parts import Parts, is_fp4, packed_pairs, required, unpacked_pairs
from mxref.mxarray import MXArray
from mxref.policy import Policy

__all__ = ["COPIED", "DTYPES", "from_torch", "to_torch"]

DTYPES = {
    "e4m3": "float8_e4m3fn",
    "e5m2": "float8_e5m2",
    "e3m2": "uint8",
    "e2m3": "uint8",
    "e2m1": "float4_e2m1fn_x2",
    "int8": "int8",
    "e8m0": "float8_e8m0fnu",
}
"""What torch calls each element and scale format; it has no type for FP6."""

COPIED = frozenset({"e2m1"})
"""Elements that are copied, both ways: torch has them in pairs. What is not here is shared."""

_PACKED = "float4_e2m1fn_x2"


def to_torch(
    q: MXArray,
    *,
    packed: bool | None = None,
    device: Any = None,
    copy: bool | None = None,
) -> Parts:
    """Return codes and scale codes as torch tensors, in the same memory where that is possible.

    Parameters
    ----------
    q : MXArray
    packed : bool, optional
        For FP4 only. True, the default: torch's own type ``float4_e2m1fn_x2``, two codes in each
        byte along the last axis, the first in the low nibble: always a copy. False: uint8, one code
        in each byte, without a copy.
    device : torch.device or str, optional
        Where the tensors shall lie; anywhere but on the CPU they are copies.
    copy : bool, optional
        None: copy only where nothing else is possible: packed codes, another device, and arrays
        that are read-only or have negative strides, which torch does not know. True: always.
        False: never; an error instead.

    Returns
    -------
    (codes, scales)
        Tensors of ``float8_e4m3fn``, ``float8_e5m2``, ``float4_e2m1fn_x2``, ``int8`` or, for FP6,
        ``uint8``; and of ``float8_e8m0fnu``. Writing to a tensor that shares memory writes to `q`.

    Raises
    ------
    ImportError
        If torch is missing, or too old to have the type.
    ValueError
        If a copy is needed and forbidden, or FP4 codes cannot be packed in pairs.
    """
    torch = required("torch", "to_torch")
    element = q.format.element.name
    in_pairs = is_fp4(q.format) if packed is None else packed
    if in_pairs and not is_fp4(q.format):
        msg = f"packed=True is for FP4, two codes in each byte; the format is {q.format.name}"
        raise ValueError(msg)
    codes = q.codes
    if in_pairs:
        if copy is False:
            msg = f"{_PACKED} has two codes in each byte, which takes a copy: pass packed=False"
            raise ValueError(msg)
        codes = packed_pairs(codes)
    kind = DTYPES[element] if in_pairs or not is_fp4(q.format) else "uint8"
    parts = (codes, kind, "codes"), (q.scales, DTYPES[q.format.scale.name], "scales")
    return Parts(*(_tensor(torch, *part, device, copy=copy) for part in parts))


def _tensor(
    torch: Any, array: NDArray[np.uint8], kind: str, what: str, device: Any, *, copy: bool | None
) -> Any:
    dtype = getattr(torch, kind, None)
    if dtype is None:
        msg = f"torch {torch.__version__} has no type {kind}: pip install 'torch>=2.8'"
        raise ImportError(msg)
    target = torch.device("cpu" if device is None else device)
    why = ""
    if target.type != "cpu":
        why = f"they shall lie on {target}"
    elif not array.flags.writeable:
        why = "they are read-only"
    elif min(array.strides, default=0) < 0:
        why = "they have negative strides"
    if why and copy is False:
        msg = f"the {what} cannot be shared with torch, since {why}, and copy=False forbids a copy"
        raise ValueError(msg)
    given = array.copy() if why or copy else array
    return torch.from_numpy(given).view(dtype).to(target)


def from_torch(
    codes: Any,
    scales: Any,
    format: str | BlockFormat,  # noqa: A002
    axis: int = -1,
    *,
    block_size: int | None = None,
    policy: Policy | str | None = None,
    packed: bool | None = None,
) -> MXArray:
    """Make an `MXArray` of torch tensors, in the same memory unless FP4 codes are packed.

    Parameters
    ----------
    codes : tensor
        Of the element's type in torch (see `to_torch`), or uint8.
    scales : tensor of float8_e8m0fnu or uint8
        One for each block, in the shape that `MXArray` wants: for swizzled or padded scales, see
        ``mxref.layouts``.
    format, axis, block_size, policy
        As for `MXArray`. `axis` is that of the blocks in the unpacked codes.
    packed : bool, optional
        Whether a byte holds two codes along the last axis, the first in the low nibble. Default:
        whether the type of `codes` is ``float4_e2m1fn_x2``; say True for bytes in uint8.

    Raises
    ------
    TypeError
        If a tensor is on another device (nothing is copied from there unasked), or not of a type
        that the format has.
    ValueError
        If the shapes do not fit.
    """
    fmt = block_format(format, block_size)
    is_pairs = is_torch(codes) and str(codes.dtype) == f"torch.{_PACKED}"
    if packed is False and is_pairs:
        msg = f"the codes are of type {_PACKED}, which is packed; packed=False contradicts it"
        raise ValueError(msg)
    if packed or is_pairs:
        if not is_fp4(fmt):
            msg = f"only FP4 codes come two in a byte; the format is {fmt.name}"
            raise ValueError(msg)
        codes = unpacked_pairs(as_numpy(codes, "codes", packed=True))
    return MXArray(codes, scales, fmt, axis, policy=policy)
