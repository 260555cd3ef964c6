"""Every fault of NVFP4 as an implementation of a whole operation, and the faultless one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults._implementation import Implementation
from mxref.faults.encoder import Bytes
from mxref.faults.nvfp4_elements import decode_faults, element_faults
from mxref.faults.nvfp4_fault import NVFP4Fault, stacked
from mxref.faults.nvfp4_model import Blocks16, Model, Singles
from mxref.faults.nvfp4_scales import global_faults, scale_faults
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["EQUIVALENT", "correct", "implementations"]

_Array = npt.NDArray[Any]

EQUIVALENT: Mapping[tuple[str, str, str, str], str] = MappingProxyType(
    {
        ("E10", "of the scale: float32 significand", "*", "*"): (
            "What is rounded to a scale is a float32: nothing is lost when it is taken for one."
        ),
        ("E10", "float32 significand", "*", "*"): (
            "What is rounded to an element is a float32: nothing is lost when it is taken for one."
        ),
    }
)
"""Faults that no input can show: (id, variant, operation, format) to the reason; ``*`` is any."""

_OF_TENSOR = ("neighbour", "the block", "blocks of 32", "first block of the tensor")


def correct(operation: str, policy: NVFP4Policy) -> Callable[..., Any]:
    """Return the faultless model of an operation.

    Parameters
    ----------
    operation : str
        ``"nvfp4_quantize"``, ``"nvfp4_dequantize"``, ``"nvfp4_scale_encode"``,
        ``"nvfp4_scale_decode"`` or ``"nvfp4_quantize_tensor"``.
    policy : NVFP4Policy
        Neither stochastic nor four over six.

    Examples
    --------
    >>> quantize = correct("nvfp4_quantize", NVFP4Policy())
    >>> g, scales, codes = quantize(np.full((1, 16), 3, np.float32), np.float32(2688))
    >>> float(g), hex(scales[0]), codes[0, 0]
    (1.0, '0x30', np.uint8(7))
    """
    return _subject(operation, stacked(policy, ()))


def implementations(operation: str, policy: NVFP4Policy) -> tuple[Implementation, ...]:
    """Return every fault that can show in an operation, as an implementation of it.

    Parameters
    ----------
    operation : str
        As for `correct`; another has no faults.
    policy : NVFP4Policy
        A fault that does what it asks for is left out.

    Examples
    --------
    >>> found = implementations("nvfp4_dequantize", NVFP4Policy())
    >>> sorted({fault.id for fault in found if fault.id[0] == "S"})
    ['S16']
    """
    if operation not in _SUBJECTS or not is_modelled(policy):
        return ()
    return tuple(_implementations(operation, policy))


def is_modelled(policy: NVFP4Policy) -> bool:
    """Whether the model follows a policy: not where random bits or a search decide."""
    return policy.rounding != "stochastic" and policy.target != "four-over-six"


def _implementations(operation: str, policy: NVFP4Policy) -> Iterator[Implementation]:
    for fault in _FAULTS[operation]():
        legal = fault.legal_change
        if legal and all(getattr(policy, field) == choice for field, choice in legal.items()):
            continue
        made = _subject(operation, stacked(policy, (fault,)))
        yield Implementation(fault.id, fault.detail, _quiet(made), legal)


def _quiet(subject: Callable[..., Any]) -> Callable[..., Any]:
    """A wrong recipe may overflow: that is its result, and no reason for a warning."""

    @functools.wraps(subject)
    def run(*given: Any) -> Any:
        with np.errstate(all="ignore"):
            return subject(*given)

    return run


def _subject(operation: str, model: Model) -> Callable[..., Any]:
    make = _SUBJECTS.get(operation)
    if make is None:
        known = ", ".join(_SUBJECTS)
        raise ValueError(f"no model of {operation!r} for NVFP4; expected one of {known}")
    return make(model)


# --- operations -----------------------------------------------------------------------------------


def _quantize(model: Model) -> Callable[..., Any]:
    def quantize(x: _Array, global_amax: np.float32) -> tuple[np.float32, Bytes, Bytes]:
        encode, decode = model.globals(np.float32(global_amax))
        blocks = Blocks16.of(np.asarray(x))
        scales = model.scale_codes(blocks, encode, decode)
        codes = model.element_codes(blocks, scales, encode, decode)
        return model.stored(encode, decode), scales[:, 0], codes

    return quantize


def _quantize_tensor(model: Model) -> Callable[..., Any]:
    def quantize(x: _Array, axis: int) -> tuple[np.float32, Bytes, Bytes]:
        moved = np.moveaxis(np.asarray(x), axis, -1)
        encode, decode = model.globals(model.tensor_amax(np.asarray(x)))
        blocks = _tensor_blocks(moved, model.policy)
        scales = model.scale_codes(blocks, encode, decode)
        codes = model.element_codes(blocks, scales, encode, decode)
        plane = scales.reshape(*moved.shape[:-1], moved.shape[-1] // 16)
        back = np.moveaxis(codes.reshape(moved.shape), -1, axis)
        return model.stored(encode, decode), np.moveaxis(plane, -1, axis), back

    return quantize


def _tensor_blocks(moved: _Array, policy: NVFP4Policy) -> Blocks16:
    """Rows of blocks; under two-dimensional scaling with the amax of 16 of their lines."""
    blocks = Blocks16.of(moved.reshape(-1, 16))
    if policy.geometry == "1d":
        return blocks
    shape = (-1, 16, moved.shape[-1] // 16)
    amax = blocks.amax.reshape(shape).max(1, keepdims=True)
    has_nan = blocks.has_nan.reshape(shape).any(1, keepdims=True)
    amax, has_nan = (np.broadcast_to(a, blocks.amax.reshape(shape).shape) for a in (amax, has_nan))
    return Blocks16(
        blocks.x, amax.reshape(-1, 1), has_nan.reshape(-1, 1), blocks.around, blocks.rows
    )


def _dequantize(model: Model) -> Callable[..., Any]:
    def dequantize(global_scale: np.float32, scales: Bytes, codes: Bytes) -> Singles:
        return model.values(
            np.asarray(codes), np.asarray(scales)[:, None], np.float32(global_scale)
        )

    return dequantize


def _scale_encode(model: Model) -> Callable[..., Any]:
    def encode(x: _Array) -> Bytes:
        return model.cast_scales(np.asarray(x))

    return encode


def _scale_decode(model: Model) -> Callable[..., Any]:
    def decode(codes: Bytes) -> Singles:
        with np.errstate(over="ignore"):
            return model.scale_values(np.asarray(codes)).astype(np.float32)

    return decode


_SUBJECTS: Mapping[str, Callable[[Model], Callable[..., Any]]] = {
    "nvfp4_quantize": _quantize,
    "nvfp4_quantize_tensor": _quantize_tensor,
    "nvfp4_dequantize": _dequantize,
    "nvfp4_scale_encode": _scale_encode,
    "nvfp4_scale_decode": _scale_decode,
}


def _of_blocks() -> Iterator[NVFP4Fault]:
    """What can show where rows are blocks and amax of the tensor is given."""
    yield from (f for f in global_faults() if "stored" in f.changed)
    yield from (f for f in scale_faults() if not any(word in f.detail for word in _OF_TENSOR))
    yield from element_faults()


def _of_tensors() -> Iterator[NVFP4Fault]:
    yield from global_faults()
    yield from scale_faults()
    yield from element_faults()


def _of_scale_casts() -> Iterator[NVFP4Fault]:
    names = frozenset(("scale_encoder", "cast_scales"))
    yield from (f for f in scale_faults() if f.changed <= names)


def _of_scale_codes() -> Iterator[NVFP4Fault]:
    names = frozenset(("scale_decoder", "scale_values"))
    yield from (f for f in decode_faults() if f.changed <= names and f.id != "G1")


_FAULTS: Mapping[str, Callable[[], Iterator[NVFP4Fault]]] = {
    "nvfp4_quantize": _of_blocks,
    "nvfp4_quantize_tensor": _of_tensors,
    "nvfp4_dequantize": lambda: iter(decode_faults()),
    "nvfp4_scale_encode": _of_scale_casts,
    "nvfp4_scale_decode": _of_scale_codes,
}
