"""Arrays of other libraries, read as NumPy's: in place where that is possible, never converted.

torch, JAX, CuPy and whatever else speaks DLPack or ``__array__`` are recognised by how their
objects behave. None of them is imported here.
"""

from __future__ import annotations

import sys
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

__all__ = ["as_numpy", "is_torch"]

# torch names its narrow types as ml_dtypes does; a torch type that NumPy lacks crosses as bits.
_BITS_OF_WIDTH = {1: "uint8", 2: "int16"}
_PACKED = "float4_e2m1fn_x2"


def as_numpy(value: Any, name: str, *, fetch: bool = False, packed: bool = False) -> NDArray[Any]:
    """Return a NumPy array on the memory of another library's array.

    Types that NumPy lacks become those of ml_dtypes (bfloat16, the 8-bit floats). A tensor that
    requires gradients is read without them.

    Parameters
    ----------
    value : object
        An array of NumPy, torch, JAX or CuPy; an object with ``__array__``, ``__dlpack__`` or a
        buffer; nested lists of numbers.
    name : str
        What it is, for messages.
    fetch : bool
        Also take what lies on another device, is sparse, or is packed (as raw bytes): a copy. By
        default these are refused with advice, since a copy should be the caller's decision. (JAX
        is asked as NumPy asks it: it copies from a device by itself.)
    packed : bool
        Take tensors of a type with two codes in each byte, as raw bytes.

    Raises
    ------
    TypeError
        If it cannot be read so. With `fetch`, whatever the other library raises.

    Examples
    --------
    >>> as_numpy(memoryview(b"ab"), "codes")
    array([97, 98], dtype=uint8)
    """
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if is_torch(value):
        return _torch_fetched(value) if fetch else _torch_in_place(value, name, packed=packed)
    if hasattr(value, "__cuda_array_interface__") and not _is_jax(value):
        if fetch and callable(getattr(value, "get", None)):
            return np.asarray(value.get())  # CuPy refuses an implicit copy from the device
        if not fetch:
            msg = (
                f"{name} is a {type(value).__name__} on a GPU; mxref runs on the CPU and copies "
                f"nothing from a device unasked: pass a copy, in CuPy {name}.get()"
            )
            raise TypeError(msg)
    if not fetch:
        _refuse_tracer(value, name)
    if hasattr(value, "__array__"):
        return np.asarray(value)
    if hasattr(value, "__dlpack__"):
        return _from_dlpack(value, name, fetch=fetch)
    try:
        return np.asarray(value)
    except ValueError as error:
        msg = (
            f"{name} is a {type(value).__name__} that is no array: its rows differ in length, or "
            f"in depth. Give rows of one length, padded with zeros where they are short"
        )
        raise ValueError(msg) from error


def is_torch(value: Any) -> bool:
    """Tell whether an object is a torch tensor.

    Examples
    --------
    >>> is_torch(np.zeros(3))
    False
    """
    # Subclasses, such as those of torchao, live in modules of other names.
    return any(
        base.__name__ == "Tensor" and base.__module__.split(".")[0] == "torch"
        for base in type(value).__mro__
    )


def _is_jax(value: Any) -> bool:
    return any(base.__module__.split(".")[0] in {"jax", "jaxlib"} for base in type(value).__mro__)


def _torch_in_place(tensor: Any, name: str, *, packed: bool) -> NDArray[Any]:
    trouble = _why_not(tensor, packed=packed)
    if trouble:
        msg = f"{name} is a {trouble.format(name=name)}"
        raise TypeError(msg)
    try:
        return _torch_bits(tensor.detach().resolve_conj().resolve_neg())
    except Exception as error:
        kind = type(tensor).__name__
        what = "a torch tensor" if kind == "Tensor" else f"a torch tensor of the subclass {kind}"
        msg = (
            f"{name} is {what} whose memory cannot be read here: it is symbolic (vmap, torch.func, "
            f"FakeTensorMode, torch.compile) or a wrapper. Pass a plain tensor, such as its parts; "
            f"inside torch.compile or vmap use mxref.interop.torch.fake_quantize. torch says: "
            f"{_first_line(error)}"
        )
        raise TypeError(msg) from error


def _why_not(tensor: Any, *, packed: bool) -> str:
    """Say what keeps a tensor from being read in place, and what to do; empty if nothing does."""
    device = tensor.device.type
    dtype = str(tensor.dtype).removeprefix("torch.")
    if device == "meta":
        return "torch tensor on the meta device: it has a shape, but no numbers"
    if device != "cpu":
        return (
            f"torch tensor on {tensor.device}; mxref runs on the CPU and copies nothing from a "
            "device unasked: pass {name}.cpu()"
        )
    if tensor.is_nested:
        return "nested torch tensor: pass its tensors one by one, see {name}.unbind()"
    layout = str(tensor.layout).removeprefix("torch.")
    if layout != "strided":
        return f"torch tensor of layout {layout}: pass {{name}}.to_dense()"
    if getattr(tensor, "is_quantized", False):
        return (
            f"quantized torch tensor ({dtype}): pass {{name}}.dequantize() for its values or "
            "{name}.int_repr() for its integers"
        )
    if dtype == _PACKED and not packed:
        return (
            f"torch tensor of type {dtype}, two codes in each byte: use "
            "mxref.MXArray.from_torch(codes, scales, 'mxfp4'), which unpacks them"
        )
    return ""


def _torch_fetched(tensor: Any) -> NDArray[Any]:
    torch = sys.modules["torch"]  # where its tensors are, it has been imported
    plain = tensor.detach()
    if plain.layout is not torch.strided:
        plain = plain.to_dense()
    return _torch_bits(plain.cpu().resolve_conj().resolve_neg().contiguous())


def _torch_bits(plain: Any) -> NDArray[Any]:
    torch = sys.modules["torch"]
    name = str(plain.dtype).removeprefix("torch.")
    known = getattr(ml_dtypes, name, None)
    if known is None and name != _PACKED:
        try:
            array: NDArray[Any] = plain.numpy()
        except TypeError:  # no such type in NumPy
            pass
        else:
            return array
    bits: NDArray[Any] = plain.view(getattr(torch, _BITS_OF_WIDTH[plain.dtype.itemsize])).numpy()
    return bits.view(known) if known is not None else bits.view(f"u{bits.itemsize}")


def _refuse_tracer(value: Any, name: str) -> None:
    if _is_jax(value) and any(base.__name__ == "Tracer" for base in type(value).__mro__):
        msg = (
            f"{name} is a JAX tracer: under jit, grad or vmap there are no numbers yet. Call mxref "
            f"outside, or through jax.pure_callback"
        )
        raise TypeError(msg)


def _from_dlpack(value: Any, name: str, *, fetch: bool) -> NDArray[Any]:
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, ValueError) as error:
        if fetch:  # on another device; since NumPy 2.1 it can be asked to copy
            return np.from_dlpack(value, device="cpu", copy=True)
        msg = (
            f"{name} is a {type(value).__name__} that NumPy cannot read in place by DLPack: "
            f"{_first_line(error)}. Pass a copy on the CPU, of a type that NumPy has"
        )
        raise TypeError(msg) from error


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:197] + "..."
