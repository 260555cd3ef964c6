"""What all bridges share: the pair that they return, views under typed names, packing by pairs."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref._inputs import CODE_DTYPES
from mxref.formats import BlockFormat
from mxref.layouts.packings import pack_codes, unpack_codes
from mxref.mxarray import MXArray

__all__ = [
    "Parts",
    "is_fp4",
    "optional",
    "packed_pairs",
    "required",
    "typed_views",
    "unpacked_pairs",
]

_PAIRS = "nibbles-low-first"


class Parts(NamedTuple):
    """The two arrays of an `MXArray`, as another library holds them."""

    codes: Any
    scales: Any


def required(package: str, what: str) -> Any:
    """Import a package that the user has to install.

    Raises
    ------
    ImportError
        If it cannot be imported; the message says how to get it.

    Examples
    --------
    >>> required("math", "this").pi > 3
    True
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        name = package.partition(".")[0]
        get = f"pip install 'mxref[{name}]'"
        if name == "cupy":
            get = "the package of CuPy depends on your CUDA version: https://docs.cupy.dev"
        msg = f"{what} needs {name}, which cannot be imported ({error}): {get}"
        raise ImportError(msg, name=name) from error


def optional(package: str) -> Any:
    """Import a package, or return None where it is missing.

    Examples
    --------
    >>> optional("no_such_package") is None
    True
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        return None


def typed_views(q: MXArray) -> Parts:
    """Return codes and scale codes under the types of ml_dtypes, in the same memory."""
    element = CODE_DTYPES[q.format.element.name][0]
    return Parts(q.codes.view(element), q.scales.view(CODE_DTYPES[q.format.scale.name][0]))


def packed_pairs(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pack neighbours on the last axis, the first into the low nibble.

    Raises
    ------
    ValueError
        If the last axis has an odd length.

    Examples
    --------
    >>> packed_pairs(np.array([1, 2, 3, 4], np.uint8))
    array([33, 67], dtype=uint8)
    """
    if codes.shape[-1] % 2:
        msg = (
            f"the codes have shape {codes.shape}: two go into a byte, along the last axis, so its "
            f"length must be even. Pad it, or take the codes one in each byte: packed=False"
        )
        raise ValueError(msg)
    return pack_codes(codes, _PAIRS)


def unpacked_pairs(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo `packed_pairs`."""
    return unpack_codes(packed, _PAIRS, 2 * packed.shape[-1])


def is_fp4(fmt: BlockFormat) -> bool:
    """Tell whether two codes of the format fit in a byte."""
    return fmt.element.bits == 4
