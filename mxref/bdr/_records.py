"""BDR arrays as bytes: the records of ``mxref.layouts``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.bdr._array import BDRArray
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.bdr_formats import bdr_format

__all__ = ["pack", "unpack"]


def _record(fmt: BDRFormat) -> str:
    """Return the name of the record of a format.

    Raises
    ------
    ValueError
        If it has none.
    """
    from mxref.layouts.records import RECORDS

    name = f"{fmt.name}-bdr"
    if name not in RECORDS:
        known = ", ".join(r.format for r in RECORDS.values() if r.name.endswith("-bdr"))
        raise ValueError(f"no record of bytes is known for {fmt.name}; there is one for {known}")
    return name


def pack(q: BDRArray, *, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Pack an array in MX9, MX6 or MX4 into records: 18, 12 or 8 bytes for 16 elements.

    Parameters
    ----------
    q : BDRArray
        Blocked on its last axis, in whole blocks.
    out : array of uint8, optional
        Where to write.

    Raises
    ------
    TypeError
        If `q` is no BDRArray.
    ValueError
        If the format has no record, or blocks lie otherwise.

    Notes
    -----
    The fields are published, their order in the bytes is ours: ``mxref.layouts.RECORDS`` says so.

    Examples
    --------
    >>> import numpy as np
    >>> from mxref.bdr import quantize
    >>> pack(quantize(np.ones((2, 32), np.float32), "mx9")).shape
    (2, 36)
    """
    if not isinstance(q, BDRArray):
        kind = type(q).__name__
        raise TypeError(f"q must be a BDRArray, as mxref.bdr.quantize makes them; got {kind}")
    record = _record(q.format)
    if q.axis != q.ndim - 1:
        raise ValueError(
            f"records lie along the last axis, but the blocks along axis {q.axis}: move that axis "
            "to the end before quantizing"
        )
    from mxref.layouts.records import pack_records

    return pack_records(q.scales, q.codes, record, q.subscales, out=out)


def unpack(packed: Any, format: str | BDRFormat) -> BDRArray:  # noqa: A002
    """Unpack records to a `BDRArray`: the inverse of `pack`.

    Parameters
    ----------
    packed : array of uint8, shape (..., m)
    format : str or BDRFormat
        ``"mx9"``, ``"mx6"`` or ``"mx4"``.

    Raises
    ------
    ValueError
        If the format has no record, or the size does not fit.
    TypeError
        If `packed` is no array of bytes.

    Examples
    --------
    >>> import numpy as np
    >>> q = unpack(np.arange(36, dtype=np.uint8), "mx9")
    >>> q.shape, q.axis, q.codes[:4]
    ((32,), 0, array([2, 3, 4, 5], dtype=uint8))
    """
    fmt = bdr_format(format)
    from mxref.layouts.records import unpack_records

    found = unpack_records(packed, _record(fmt))
    return BDRArray(found.codes, found.scales, found.micro, fmt)
