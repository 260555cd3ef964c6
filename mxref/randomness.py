"""Random bits that a caller hands in, checked and spread over the elements.

OP-ELEM-STOCHASTIC. mxref draws nothing itself: with the bits given, every result is deterministic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref._choices import Rounding, ScaleRule, Stochastic
from mxref.formats import ElementFormat
from mxref.kernels.composed import draws_elements, draws_scale
from mxref.kernels.params import random_bits
from mxref.policy import Policy

__all__ = ["for_elements", "for_scales", "refuse_for_scale_cast"]

_GROUP = 4
# By place in a group of four, the byte (FP4) or the half (FP8, FP6) of the word that serves it.
_PTX_BYTES = (0, 2, 1, 3)
_TE_BYTES = (0, 1, 2, 3)
_PTX_HALVES = (0, 0, 1, 1)


def for_elements(
    random: Any, shape: tuple[int, ...], element: ElementFormat, policy: Policy
) -> NDArray[np.uint32] | None:
    """Return R for each element, or None where rounding is deterministic.

    Parameters
    ----------
    random : array_like of unsigned integers, or None
    shape : tuple of int
        That of the input.

    Raises
    ------
    TypeError
        If it is no array of unsigned integers.
    ValueError
        If it is missing or superfluous, or its shape or a number does not fit; or if the policy
        searches for the scale, which a draw would make ambiguous.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> words = np.array([0x44332211], np.uint32)
    >>> rule = Policy(rounding="stochastic-a", stochastic="ptx-x4")
    >>> [hex(r) for r in for_elements(words, (4,), element_format("e2m1"), rule)]
    ['0x11', '0x33', '0x22', '0x44']
    """
    if not draws_elements(policy):
        _refuse_idle(
            random, "random", f"the policy has rounding={policy.rounding}, which draws nothing"
        )
        return None
    if policy.scale_rule in (ScaleRule.MSE, ScaleRule.MAE):
        msg = (
            f"scale_rule={policy.scale_rule} compares rounding errors, and under "
            f"rounding={policy.rounding} they are random; choose a deterministic rounding for it"
        )
        raise ValueError(msg)
    if policy.stochastic is Stochastic.PER_ELEMENT:
        bits = random_bits(element, policy)
        return _checked(random, "random", shape, bits, f"rounding={policy.rounding}")
    if not shape or shape[-1] % _GROUP:
        msg = (
            f"stochastic={policy.stochastic} shares 32 bits among {_GROUP} neighbours, and the "
            f"last axis of shape {shape} is no multiple of {_GROUP}; pad x, or choose per-element"
        )
        raise ValueError(msg)
    grouped = (*shape[:-1], shape[-1] // _GROUP)
    words = _checked(random, "random", grouped, 32, f"stochastic={policy.stochastic}")
    return _spread(words, element, policy).reshape(shape)


def for_scales(random: Any, shape: tuple[int, ...], policy: Policy) -> NDArray[np.uint32] | None:
    """Return R for each scale, or None where its selection is deterministic.

    Raises
    ------
    TypeError, ValueError
        As for `for_elements`.
    """
    if not draws_scale(policy):
        idle = f"the policy has scale_rule={policy.scale_rule}, which draws nothing"
        _refuse_idle(random, "scale_random", idle)
        return None
    bits = int(policy.stochastic_bits)  # sharing concerns elements only
    return _checked(random, "scale_random", shape, bits, "scale_rule=stochastic")


def refuse_for_scale_cast(random: Any) -> None:
    """Refuse random bits for a cast to a scale format.

    Raises
    ------
    ValueError
        If there are any.
    """
    if random is not None:
        msg = "random is given, but a cast to a scale format draws nothing; leave it out"
        raise ValueError(msg)


def _refuse_idle(random: Any, name: str, what: str) -> None:
    if random is not None:
        modes = " or ".join(m for m in Rounding if m.startswith("stochastic"))
        hint = f"rounding={modes}" if name == "random" else "scale_rule=stochastic"
        msg = f"{name} is given, but {what}; leave it out, or choose {hint}"
        raise ValueError(msg)


def _checked(
    random: Any, name: str, shape: tuple[int, ...], bits: int, why: str
) -> NDArray[np.uint32]:
    if random is None:
        msg = (
            f"{why} needs random bits; pass {name}=rng.integers(0, 2**{bits}, {shape}, np.uint32), "
            f"with rng = numpy.random.default_rng(seed)"
        )
        raise ValueError(msg)
    array = np.asarray(random)
    if array.dtype.kind != "u":
        msg = f"{name} has dtype {array.dtype}; expected unsigned integers, such as numpy.uint32"
        raise TypeError(msg)
    if array.shape != shape:
        msg = f"{name} has shape {array.shape}; expected {shape}"
        raise ValueError(msg)
    if array.size and int(array.max()) >> bits:
        msg = f"{name} holds {int(array.max()):#x}; expected numbers of {bits} bits ({why})"
        raise ValueError(msg)
    return array.astype(np.uint32, copy=False)


def _spread(
    words: NDArray[np.uint32], element: ElementFormat, policy: Policy
) -> NDArray[np.uint32]:
    """Give each of four neighbours its bits."""
    if policy.stochastic is Stochastic.TE_X4:
        places, size = _TE_BYTES, 8
    elif element.bits == 4:
        places, size = _PTX_BYTES, 8
    else:
        places, size = _PTX_HALVES, 16
    mask = np.uint32((1 << size) - 1)
    return np.stack([(words >> np.uint32(size * place)) & mask for place in places], axis=-1)
