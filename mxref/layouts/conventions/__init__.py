"""The conventions in which projects store quantized weights, each as a `Layout`.

A convention says how the tensors are called, which types they have, and where in them each code
lies. What a convention does not say is which policy made the codes: that is a profile's business.

Examples
--------
>>> import numpy as np, mxref
>>> q = mxref.quantize(np.ones((2, 64), np.float32), "mxfp4")
>>> parts = pack(q, "gpt-oss")
>>> {role: array.shape for role, array in parts.items()}
{'codes': (2, 2, 16), 'scales': (2, 2)}
>>> np.array_equal(unpack(parts, "gpt-oss", "mxfp4").codes, q.codes)
True
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mxref._suggest import unknown_name
from mxref.layouts._layout import Fields, Layout, Part
from mxref.layouts.conventions import exporters, open_models, operands, records
from mxref.layouts.conventions._traits import Traits, traits
from mxref.nvfp4 import NVFP4Array

if TYPE_CHECKING:
    from mxref.mxarray import MXArray

__all__ = ["LAYOUTS", "Fields", "Layout", "Part", "Traits", "layout", "pack", "traits", "unpack"]

LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        each.name: each
        for module in (open_models, exporters, operands, records)
        for each in module.LAYOUTS
    }
)
"""The conventions by name."""


def layout(name: str | Layout) -> Layout:
    """Find a convention by its name.

    Raises
    ------
    ValueError
        If there is none of that name; the message names the nearest ones.

    Examples
    --------
    >>> layout("mlx").formats
    ('mxfp4', 'mxfp8_e4m3', 'nvfp4')
    """
    if isinstance(name, Layout):
        return name
    if name not in LAYOUTS:
        raise ValueError(unknown_name("layout", name, LAYOUTS))
    return LAYOUTS[name]


def pack(
    q: MXArray | NVFP4Array | Fields,
    layout: str | Layout,
    format: str | None = None,  # noqa: A002
) -> dict[str, NDArray[Any]]:
    """Turn a quantized array into the tensors that a convention stores.

    Parameters
    ----------
    q : MXArray, NVFP4Array or Fields
        Blocks must lie on the last axis.
    layout : str or Layout
    format : str, optional
        Needed with `Fields`, which do not know theirs; ``"nvfp4"`` is one.

    Returns
    -------
    dict of str to ndarray
        By role: ``"codes"`` and ``"scales"``, NVFP4's ``"global_scale"``, or ``"records"``. Types
        of fewer than 16 bits come as uint8.

    Raises
    ------
    TypeError, ValueError
        If the layout cannot hold the format (the message says which it holds), blocks lie on
        another axis, or rows are no whole number of blocks.
    """
    where = _layout_of(layout)
    if isinstance(q, Fields):
        if format is None:
            raise TypeError("Fields do not know their format: pass format=, such as 'mxfp4'")
        return where.pack(q, traits(format).name)
    if not hasattr(q, "codes") or not hasattr(q, "format"):
        raise TypeError(
            f"a quantized array is expected, such as mxref.quantize returns, or Fields; got "
            f"{type(q).__name__}"
        )
    if format is not None and traits(format).name != q.format.name:
        raise ValueError(f"the array is in {q.format.name}, not in {format!r}")
    if q.axis % max(q.ndim, 1) != q.ndim - 1:
        raise ValueError(
            f"blocks lie on axis {q.axis} of {q.ndim}; conventions keep them on the last: "
            f"quantize the transposed array with axis=-1"
        )
    where.parts_for(q.format.name)
    # NVFP4 has a scale for the tensor too; without it the values would be off by that factor.
    whole = np.float64(q.global_scale) if isinstance(q, NVFP4Array) else None
    fields = Fields(q.codes, q.scales, None if whole is None else np.asarray(whole))
    return where.pack(fields, q.format.name)


def unpack(
    parts: Mapping[str, NDArray[Any]],
    layout: str | Layout,
    format: str,  # noqa: A002
    shape: tuple[int, ...] | None = None,
) -> Fields:
    """Turn the stored tensors of a weight into its codes and scale codes.

    Parameters
    ----------
    parts : mapping of str to ndarray
        As `pack` returns them.
    layout : str or Layout
    format : str
        Such as ``"mxfp4"`` or ``"nvfp4"``.
    shape : tuple of int, optional
        Logical shape; default: what the stored shapes imply.

    Returns
    -------
    Fields
        May share memory with `parts`.

    Raises
    ------
    TypeError, ValueError
        If parts are missing, or do not fit each other or `shape`.
    """
    where = _layout_of(layout)
    name = traits(format).name
    if not isinstance(parts, Mapping):
        raise TypeError(
            f"parts are a dict of arrays by role, as pack returns it; got {type(parts).__name__}"
        )
    arrays = {role: np.asarray(array) for role, array in parts.items()}
    where.parts_for(name)
    if shape is None:
        missing = [p.role for p in where.parts_for(name) if not p.optional and p.role not in arrays]
        if missing:
            given = ", ".join(arrays) or "nothing"
            raise ValueError(f"{', '.join(missing)} missing; given: {given}")
        shape = where.logical({role: array.shape for role, array in arrays.items()}, name)
    return where.unpack(arrays, name, tuple(shape))


_layout_of = layout  # `layout` is a parameter's name above
