"""Arrays of other libraries: what a function returns, and what it wants to be given.

torch, JAX, CuPy and whatever else speaks DLPack or ``__array__`` are recognised by how their
objects behave. None of them is imported here, unless the user asks for its arrays by name.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from mxref import _foreign
from mxref._suggest import unknown_name
from mxref.check.target import TargetError, describe_error
from mxref.check.targets._escape import escaped

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ARRAY_MODULES", "adapted", "as_numpy", "converter", "numpy_result"]

ARRAY_MODULES = ("numpy", "torch", "jax", "cupy")
"""What functions may be given; ``torch``, ``jax`` and ``cupy`` must be installed by the user."""

# A type that NumPy lacks crosses to torch as bits.
_BITS_OF_WIDTH = {1: "uint8", 2: "int16"}
_MOST_OUTPUTS = 4


def as_numpy(value: Any, what: str = "outputs") -> NDArray[Any]:
    """Return a NumPy array of its own memory, whatever library the object comes from.

    Types that NumPy lacks become those of ml_dtypes (bfloat16, the 8-bit floats), packed ones raw
    bytes. Nothing is converted from one type of number to another.

    Parameters
    ----------
    value : object
        An array of NumPy, torch, JAX or CuPy, on any device; an object with ``__array__``,
        ``__dlpack__`` or a buffer; bytes; nested lists of numbers.
    what : str
        What it is, for messages.

    Raises
    ------
    TargetError
        If NumPy cannot read it, or it holds Python objects.

    Examples
    --------
    >>> as_numpy(b"ab")
    array([97, 98], dtype=uint8)
    >>> as_numpy([[1, 2]]).shape
    (1, 2)
    """
    try:
        array = _read(value)
    except Exception as error:
        raise TargetError(
            f"the target's {what} have type {_type_name(value)}, which NumPy cannot read: "
            f"{describe_error(error)}"
        ) from error
    if array.dtype == object:
        raise TargetError(
            f"the target's {what} are Python objects ({_type_name(value)}); expected an array"
        )
    return array


def _type_name(value: Any) -> str:
    return escaped(type(value).__name__, 80)


def _read(value: Any) -> NDArray[Any]:
    if isinstance(value, bytes):
        return np.frombuffer(bytearray(value), np.uint8)
    return np.array(_foreign.as_numpy(value, "outputs", fetch=True))


# --- what a function is given -------------------------------------------------------------------


def converter(arrays: str) -> Callable[[NDArray[Any]], Any] | None:
    """Return what makes arrays of another library, or None for NumPy's own.

    Parameters
    ----------
    arrays : str
        One of `ARRAY_MODULES`, with a device behind a colon: ``"torch:cuda"``.

    Raises
    ------
    TargetError
        If there is no such library, or it is not installed.

    Examples
    --------
    >>> converter("numpy") is None
    True
    """
    name, _, device = arrays.partition(":")
    if name not in ARRAY_MODULES:
        raise TargetError(unknown_name("array library", name, ARRAY_MODULES))
    if name == "numpy":
        if device:
            raise TargetError(f"numpy arrays have no device, got {arrays!r}")
        return None
    try:
        library = importlib.import_module("jax.numpy" if name == "jax" else name)
    except ImportError as error:
        raise TargetError(
            f"arrays={name} needs the package {name}, which cannot be imported: "
            f"{describe_error(error)}"
        ) from None
    if name == "torch":
        return lambda array: _to_torch(library, array, device or "cpu")
    if name == "cupy":
        return lambda array: _to_cupy(library, array, device)
    return lambda array: _to_jax(library, array, device)


def _to_torch(torch: Any, array: NDArray[Any], device: str) -> Any:
    if array.dtype.isbuiltin == 1:
        return torch.from_numpy(array).to(device)
    bits = torch.from_numpy(array.view(_BITS_OF_WIDTH[array.dtype.itemsize]))
    return bits.view(getattr(torch, array.dtype.name)).to(device)


def _to_cupy(cupy: Any, array: NDArray[Any], device: str) -> Any:
    number = device.rpartition(":")[2]
    with cupy.cuda.Device(int(number) if number.isdigit() else 0):
        return cupy.asarray(array)


def _to_jax(jnp: Any, array: NDArray[Any], device: str) -> Any:
    if not device:
        return jnp.asarray(array)
    jax = sys.modules["jax"]
    kind, _, number = device.partition(":")
    return jax.device_put(array, jax.devices(kind)[int(number or 0)])


def adapted(fn: Callable[..., Any], arrays: str) -> Callable[..., Any]:
    """Return a function on NumPy arrays from one on the arrays of another library.

    What it returns is read with `as_numpy`; what it does to a copy on a device is noticed as a
    change of its input.

    Raises
    ------
    TargetError
        As `converter` and, when called, `as_numpy`.

    Examples
    --------
    >>> adapted(lambda x: x + 1, "numpy")(np.zeros(1))
    array([1.])
    """
    convert = converter(arrays)
    if convert is None:
        return fn

    def call(*inputs: Any) -> Any:
        given = [_converted(convert, each, arrays) for each in inputs]
        result = numpy_result(fn(*given))
        for position, (one, original) in enumerate(zip(given, inputs, strict=True), start=1):
            if isinstance(original, np.ndarray) and not _same_bytes(as_numpy(one), original):
                raise TargetError(
                    f"the target wrote into its input: argument {position} changed (a caller's "
                    "data would be lost). To judge its output all the same, give it a copy",
                    "changed-input",
                )
        return result

    return call


def _converted(convert: Callable[[NDArray[Any]], Any], value: Any, arrays: str) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    try:
        return convert(value)
    except Exception as error:
        raise TargetError(
            f"arrays={arrays}: cannot make such an array: {describe_error(error)}"
        ) from error


def _same_bytes(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.shape != other.shape or one.dtype.itemsize != other.dtype.itemsize:
        return False
    first, second = (np.ascontiguousarray(each).reshape(-1) for each in (one, other))
    return np.array_equal(first.view(np.uint8), second.view(np.uint8))


def numpy_result(result: Any) -> Any:
    """Return a function's result with NumPy arrays in it: alone, in a tuple, or under two names.

    Examples
    --------
    >>> numpy_result((b"a", None))
    (array([97], dtype=uint8), None)
    """
    if result is None or isinstance(result, bool | int | float | str):
        return result
    if hasattr(result, "codes") and hasattr(result, "scales"):
        codes, scales = as_numpy(result.codes, "codes"), as_numpy(result.scales, "scales")
        return SimpleNamespace(codes=codes, scales=scales)
    if isinstance(result, tuple) or (isinstance(result, list) and not _is_array(result)):
        items = [None if each is None else as_numpy(each) for each in result]
        return tuple(items) if isinstance(result, tuple) else items
    return as_numpy(result)


def _is_array(items: list[Any]) -> bool:
    """Whether a list is an array in itself: it has more items than a function has outputs."""
    return len(items) > _MOST_OUTPUTS or all(isinstance(each, int | float) for each in items)
