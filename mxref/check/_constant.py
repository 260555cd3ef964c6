"""Output that is the same everywhere: no rule explains it, since most rules give zero somewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mxref.check.parts import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FEWEST", "constant_place", "is_varied"]

_FEW_VALUES = 4

FEWEST = 8
"""Mismatches from which on a constant output is worth the name."""


def is_varied(expected: NDArray[Any]) -> bool:
    """Whether what should have come out differs from place to place.

    Examples
    --------
    >>> import numpy as np
    >>> is_varied(np.arange(9, dtype=np.uint8)), is_varied(np.zeros(9, np.uint8))
    (True, False)
    """
    return len(np.unique(expected.view(f"u{expected.dtype.itemsize}"))) > _FEW_VALUES


def constant_place(output: NDArray[Any]) -> Place | None:
    """Say that all of an output is one bit pattern; None if it is not.

    Examples
    --------
    >>> import numpy as np
    >>> constant_place(np.zeros(9, np.uint8)).what
    'Every output is 0x00.'
    >>> constant_place(np.arange(9, dtype=np.uint8)) is None
    True
    """
    bits = output.view(f"u{output.dtype.itemsize}")
    first = bits.flat[0]
    if not (bits == first).all():
        return None
    return Place(
        f"Every output is 0x{int(first):0{2 * output.dtype.itemsize}x}.",
        "a kernel that did not run, a buffer that was never written, or the wrong buffer read back",
        "Fill the output with another pattern before the call: if that pattern comes back, nothing "
        "was written. Look for an error code of the launch that was not read.",
    )
