"""Faults of whole tensors: blocks of the wrong elements, codes and scales in the wrong bytes.

The models are in `_quantized_tensors` and `_stored_tensors`; all of them give the same bits on
every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from mxref.faults._implementation import Implementation
from mxref.faults._quantized_tensors import QUANTIZERS, Quantizer, quantize
from mxref.faults._stored_tensors import NIBBLE_READERS, READERS, Reader, dequantize
from mxref.formats import BLOCK_FORMATS, BlockFormat
from mxref.policy import Policy

__all__ = ["EQUIVALENT", "correct_tensor", "tensor_models"]

_Reason = Mapping[tuple[str, str, str, str], str]

_NO_NIBBLES = "codes of more than 4 bits lie one to a byte, so that no two can change places"

EQUIVALENT: _Reason = MappingProxyType(
    {
        (fault, "*", "dequantize_tensor", fmt.name): _NO_NIBBLES
        for fault in ("L1", "L2", "L9")
        for fmt in BLOCK_FORMATS.values()
        if fmt.element.bits > 4
    }
)
"""Faults without an executable model in a format: (fault, detail, operation, format) to why."""


def correct_tensor(operation: str, fmt: BlockFormat, policy: Policy) -> Callable[..., Any]:
    """Return the faultless model of an operation over tensors.

    Parameters
    ----------
    operation : str
        ``"quantize_tensor"`` or ``"dequantize_tensor"``.
    fmt : BlockFormat
        The block format.
    policy : Policy
        The choices at the open points.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> import numpy as np
    >>> quantize = correct_tensor("quantize_tensor", block_format("mxfp4/2"), Policy())
    >>> quantize(np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), 0)
    (array([[126, 127]], dtype=uint8), array([[4, 4],
           [7, 6]], dtype=uint8))
    """
    if operation == "quantize_tensor":
        return partial(quantize, fmt, policy, Quantizer())
    return partial(dequantize, fmt, policy, Reader())


def tensor_models(operation: str, fmt: BlockFormat, policy: Policy) -> tuple[Implementation, ...]:
    """Every fault of an operation over tensors that can show in a format.

    Parameters
    ----------
    operation, fmt, policy
        As for `correct_tensor`.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> models = tensor_models("dequantize_tensor", block_format("mxfp4"), Policy())
    >>> sorted({model.id for model in models})
    ['L1', 'L2', 'L3', 'L4', 'L5', 'L6', 'L7', 'L8', 'L9']
    >>> sorted({m.id for m in tensor_models("quantize_tensor", block_format("mxfp4"), Policy())})
    ['D16', 'L4', 'L5', 'L7', 'L8', 'S15']
    """
    if operation == "quantize_tensor":
        return tuple(
            Implementation(fault, detail, partial(quantize, fmt, policy, quantizer))
            for fault, detail, quantizer in QUANTIZERS
        )
    has_nibbles = fmt.element.bits == 4
    return tuple(
        Implementation(fault, detail, partial(dequantize, fmt, policy, reader))
        for fault, detail, reader in (*READERS, *(NIBBLE_READERS if has_nibbles else ()))
    )
