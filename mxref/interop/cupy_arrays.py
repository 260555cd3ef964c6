"""CuPy: an `MXArray` as two arrays on a GPU, and back; always copies, from host to device."""

from __future__ import annotations

from typing import Any

from mxref._foreign import as_numpy
from mxref.formats import BlockFormat
from mxref.interop._parts import Parts, required
from mxref.mxarray import MXArray
from mxref.policy import Policy

__all__ = ["COPIED", "DTYPES", "from_cupy", "to_cupy"]

DTYPES = {
    "e4m3": "uint8",
    "e5m2": "uint8",
    "e3m2": "uint8",
    "e2m3": "uint8",
    "e2m1": "uint8",
    "int8": "int8",
    "e8m0": "uint8",
}
"""What CuPy holds each format in; it has no narrow floats."""

COPIED = frozenset(DTYPES)
"""Everything: from host to device, or back."""


def to_cupy(q: MXArray, *, device: int | None = None) -> Parts:
    """Copy codes and scale codes to a GPU, as uint8 (int8 for MXINT8), one code in each byte.

    Parameters
    ----------
    q : MXArray
    device : int, optional
        Number of the GPU; default: CuPy's current one.

    Raises
    ------
    ImportError
        If CuPy is missing.
    """
    cupy = required("cupy", "to_cupy")
    codes = q.codes.view(DTYPES[q.format.element.name])
    with cupy.cuda.Device(device):
        return Parts(cupy.asarray(codes), cupy.asarray(q.scales))


def from_cupy(
    codes: Any,
    scales: Any,
    format: str | BlockFormat,  # noqa: A002
    axis: int = -1,
    *,
    block_size: int | None = None,
    policy: Policy | str | None = None,
) -> MXArray:
    """Copy codes and scale codes from a GPU.

    Parameters
    ----------
    codes, scales : cupy.ndarray of uint8 (codes of MXINT8: also int8)
    format, axis, block_size, policy
        As for `MXArray`.

    Raises
    ------
    TypeError, ValueError
        If a type or a shape does not fit.
    """
    on_host = as_numpy(codes, "codes", fetch=True), as_numpy(scales, "scales", fetch=True)
    return MXArray(*on_host, format, axis, block_size=block_size, policy=policy)
