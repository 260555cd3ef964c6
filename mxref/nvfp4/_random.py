"""The random bits of a stochastic rounding: given, or drawn from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.nvfp4._blocks import as_rows
from mxref.relatives import nvfp4_choices as choice
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["random_rows"]


def random_rows(
    random: Any, shape: tuple[int, ...], axis: int, policy: NVFP4Policy
) -> NDArray[np.uint32] | None:
    """Return R for each element as rows of a block each, or None where nothing is drawn.

    A seed or a generator draws one number for each element of the array in C order.

    Raises
    ------
    TypeError
        If it is no array of unsigned integers, no seed and no generator.
    ValueError
        If it is missing or superfluous, or its shape or a number does not fit.
    """
    if policy.rounding is not choice.Rounding.STOCHASTIC:
        if random is not None:
            msg = (
                f"random is given, but the policy has rounding={policy.rounding}, which draws "
                "nothing; leave it out, or choose rounding=stochastic"
            )
            raise ValueError(msg)
        return None
    bits = int(policy.stochastic_bits.value)
    if random is None:
        msg = (
            f"rounding=stochastic needs random: an array of {bits}-bit numbers in the shape of x, "
            "a seed, or a numpy.random.Generator"
        )
        raise ValueError(msg)
    if isinstance(random, int | np.integer) and not isinstance(random, bool):
        random = np.random.default_rng(int(random))
    if isinstance(random, np.random.Generator):
        drawn = random.integers(0, 1 << bits, shape, np.uint32)
    else:
        drawn = _checked(np.asarray(random), shape, bits)
    return as_rows(drawn, axis)


def _checked(random: NDArray[Any], shape: tuple[int, ...], bits: int) -> NDArray[np.uint32]:
    if random.dtype.kind != "u":
        msg = f"random has dtype {random.dtype}; expected unsigned integers of {bits} bits"
        raise TypeError(msg)
    if random.shape != shape:
        msg = f"random has shape {random.shape}; expected that of x, {shape}"
        raise ValueError(msg)
    if random.size and int(random.max()) >> bits:
        msg = f"random holds {int(random.max())}, which has more than {bits} bits"
        raise ValueError(msg)
    return random.astype(np.uint32)
