"""JAX: an `MXArray` as two arrays, and back."""

from __future__ import annotations

from typing import Any

from mxref.formats import BlockFormat
from mxref.interop._parts import Parts, required, typed_views
from mxref.mxarray import MXArray
from mxref.policy import Policy

__all__ = ["COPIED", "DTYPES", "from_jax", "to_jax"]

DTYPES = {
    "e4m3": "float8_e4m3fn",
    "e5m2": "float8_e5m2",
    "e3m2": "uint8",
    "e2m3": "uint8",
    "e2m1": "float4_e2m1fn",
    "int8": "int8",
    "e8m0": "float8_e8m0fnu",
}
"""What JAX calls each element and scale format; it has names for FP6, but no arrays of it."""

COPIED = frozenset({"e2m1"})
"""Elements that cannot be shared, since JAX packs them. The others are: to JAX on request."""


def to_jax(q: MXArray, *, device: Any = None, copy: bool = True) -> Parts:
    """Return codes and scale codes as JAX arrays.

    JAX takes it for granted that an array never changes, so they are copies unless you ask.

    Parameters
    ----------
    q : MXArray
    device : jax.Device or Sharding, optional
        Where the arrays shall lie; default: where JAX puts its arrays.
    copy : bool
        False: share memory or fail. JAX shares bytes that begin at a multiple of 64, on the CPU,
        and never FP4, which it packs. Do not write to `q` afterwards.

    Returns
    -------
    (codes, scales)
        Arrays of ``float8_e4m3fn``, ``float8_e5m2``, ``float4_e2m1fn`` (in the logical shape),
        ``int8`` or, for FP6, ``uint8``; and of ``float8_e8m0fnu``.

    Raises
    ------
    ImportError
        If JAX is missing.
    ValueError
        If a copy is needed and forbidden.
    """
    jax = required("jax", "to_jax")
    jnp = required("jax.numpy", "to_jax")
    views = typed_views(q)
    if q.format.element.bits == 6:
        views = views._replace(codes=q.codes)
    if copy:
        return Parts(*(jnp.array(each, copy=True, device=device) for each in views))
    where = jax.devices("cpu")[0] if device is None else device
    shared = []
    for what, given in zip(Parts._fields, views, strict=True):
        array = jax.device_put(given, where)
        if given.size and not _is_shared(array, given):
            msg = (
                f"JAX cannot share the {what} and copy=False forbids a copy: it shares arrays in C "
                f"order whose memory begins at a multiple of 64 (here {given.ctypes.data % 64} "
                "beyond one), on the CPU, and never FP4"
            )
            raise ValueError(msg)
        shared.append(array)
    return Parts(*shared)


def _is_shared(array: Any, given: Any) -> bool:
    try:
        return bool(array.unsafe_buffer_pointer() == given.ctypes.data)
    except Exception:  # noqa: BLE001  # an array of several devices has no one pointer
        return False


def from_jax(
    codes: Any,
    scales: Any,
    format: str | BlockFormat,  # noqa: A002
    axis: int = -1,
    *,
    block_size: int | None = None,
    policy: Policy | str | None = None,
) -> MXArray:
    """Make an `MXArray` of JAX arrays: read-only, in their memory where that is on the CPU.

    FP4 is copied, since JAX packs it; so is what lies on another device.

    Parameters
    ----------
    codes : jax.Array
        Of the element's type in JAX (see `to_jax`), or uint8.
    scales : jax.Array of float8_e8m0fnu or uint8
    format, axis, block_size, policy
        As for `MXArray`.

    Raises
    ------
    TypeError, ValueError
        If a type or a shape does not fit, or an array is a tracer (under jit, grad or vmap).
    """
    return MXArray(codes, scales, format, axis, block_size=block_size, policy=policy)
