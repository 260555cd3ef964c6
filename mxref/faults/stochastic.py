"""Stochastic rounding in the staged encoder, and its faults R1, R2 and R3.

Notes
-----
The rest behind the kept steps is exact in float64, and so is every comparison here: the three
modes of IEEE P3109 4.0, section 4.7.4, compare its leading bits with the random number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults.alignment import alignment_models
from mxref.faults.element import ElementModel, element_models
from mxref.faults.encoder import Bytes, Encoder, Ints, Lanes
from mxref.formats import ElementFormat
from mxref.policy import Policy

__all__ = ["StochasticEncoder", "stochastic_models"]

_MODES = ("stochastic-a", "stochastic-b", "stochastic-c")


class StochasticEncoder(Encoder):
    """The correct encoder under a stochastic rounding; a fault is a subclass.

    Raises
    ------
    ValueError
        If the rounding is not stochastic, or neighbours share random bits.

    Notes
    -----
    OP-ELEM-STOCHASTIC: each element has a number R of ``stochastic_bits`` bits of its own.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> policy = Policy(rounding="stochastic-a")
    >>> encoder = StochasticEncoder(element_format("e2m1"), policy)
    >>> encoder.encode_randomly(np.array([1.25, 1.25]), np.array([0x7FFF, 0x8000]))
    array([2, 3], dtype=uint8)
    """

    def __init__(self, fmt: ElementFormat, policy: Policy) -> None:
        if policy.rounding.value not in _MODES or policy.stochastic != "per-element":
            raise ValueError(
                "this model takes one random number an element, under rounding=stochastic-a, -b "
                f"or -c; got rounding={policy.rounding}, stochastic={policy.stochastic}"
            )
        self.mode = policy.rounding.value
        self.random_bits = int(policy.stochastic_bits.value)
        self.random: Ints = np.zeros(0, np.int64)
        # Everything but the rounding itself is as under any rounding that points nowhere.
        super().__init__(fmt, policy.replace(rounding="nearest-even"))

    def encode_randomly(self, x: npt.NDArray[Any], random: npt.NDArray[Any]) -> Bytes:
        """Encode values under a scale of 1 with a random number each."""
        self.random = np.asarray(random).astype(np.int64)
        return self.encode(x)

    def round(self, lanes: Lanes) -> Ints:
        """Round up where the leading bits of the rest and the random number carry."""
        n, rest = self.random_bits, lanes.rest
        match self.mode:
            case "stochastic-a":
                total, carry = np.floor(np.ldexp(rest, n)) + self.drawn(), 1 << n
            case "stochastic-b":
                total, carry = np.floor(np.ldexp(rest, n + 1)) + 2 * self.drawn() + 1, 2 << n
            case _:
                total, carry = np.rint(np.ldexp(rest, n)) + self.drawn(), 1 << n
        up = (total >= carry) & (rest > 0)  # what is exact stays
        return np.asarray(lanes.kept + up)

    def drawn(self) -> Ints:
        """The random numbers that the rounding uses."""
        return self.random


# --- faults -----------------------------------------------------------------------------------


class _Down(StochasticEncoder):
    """R1: the rest is dropped."""

    def round(self, lanes: Lanes) -> Ints:
        return lanes.kept


class _Up(StochasticEncoder):
    """R1: every rest goes up."""

    def round(self, lanes: Lanes) -> Ints:
        return lanes.kept + (lanes.rest > 0)


class _Nearest(StochasticEncoder):
    """R1: to nearest even, the random bits unused."""

    def round(self, lanes: Lanes) -> Ints:
        return Encoder.round(self, lanes)


class _Shifted(StochasticEncoder):
    """R1: the random bits stand one place too low or too high."""

    places = 1

    def drawn(self) -> Ints:
        mask = (1 << self.random_bits) - 1
        return self.random >> 1 if self.places < 0 else (self.random << 1) & mask


class _Constant(StochasticEncoder):
    """R2: one number in place of all random ones."""

    ones = False

    def drawn(self) -> Ints:
        return np.full_like(self.random, ((1 << self.random_bits) - 1) * self.ones)


class _Zeros(StochasticEncoder):
    """R3: nothing was computed."""

    def pack(self, lanes: Lanes) -> Bytes:
        return np.zeros(lanes.sign.shape, np.uint8)


def _variant(base: type[Encoder], **attributes: float | str) -> type[Encoder]:
    return type(base.__name__, (base,), dict(attributes))


def _own_models(policy: Policy) -> Iterator[ElementModel]:
    yield ElementModel("R1", "always toward zero", _Down)
    yield ElementModel("R1", "always away from zero", _Up)
    yield ElementModel("R1", "to nearest, random bits unused", _Nearest)
    for places, where in ((-1, "low"), (1, "high")):
        shifted = _variant(_Shifted, places=places)
        yield ElementModel("R1", f"random bits one place too {where}", shifted)
    for mode in _MODES:
        if mode != policy.rounding:
            other = type("Other", (_OtherMode,), {"other": mode})
            yield ElementModel("R1", f"as {mode}", other, {"rounding": mode})
    for ones, what in ((False, "zeros"), (True, "ones")):
        yield ElementModel("R2", f"all random bits {what}", _variant(_Constant, ones=ones))
    yield ElementModel("R3", "", _Zeros)


def _keeps_all(model: ElementModel, fmt: ElementFormat, policy: Policy) -> bool:
    """Whether an E10 keeps every bit that the mode compares; one that rounds them sees them all."""
    kept = getattr(model.encoder, "fraction_bits", 0) - fmt.mantissa_bits
    looked_at = int(policy.stochastic_bits) + (policy.rounding == "stochastic-b")
    return model.id == "E10" and policy.rounding != "stochastic-c" and kept >= looked_at


class _OtherMode(StochasticEncoder):
    """R1: the rest and the random bits are compared as another mode does."""

    other = ""

    def __init__(self, fmt: ElementFormat, policy: Policy) -> None:
        super().__init__(fmt, policy.replace(rounding=self.other))


def stochastic_models(fmt: ElementFormat, policy: Policy) -> tuple[ElementModel, ...]:
    """Every element fault that can show under a stochastic rounding.

    The models of the other stages are stacked on the stochastic rounding; E1 and E2 are roundings
    of their own and left out: R1 has them.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> models = stochastic_models(element_format("e2m1"), Policy(rounding="stochastic-b"))
    >>> models[0].id, models[0].detail
    ('R1', 'always toward zero')
    """
    models = list(_own_models(policy))
    for model in (*element_models(fmt), *alignment_models(fmt)):
        if model.id not in ("E1", "E2") and not _keeps_all(model, fmt, policy):
            stacked = type("Stacked", (model.encoder, StochasticEncoder), {})
            models.append(ElementModel(model.id, model.detail, stacked, model.legal_change))
    return tuple(models)
