"""Variants of element faults that a check searches for, beyond those that measure the vector set.

Each was seen in public code, and differs from a variant of `mxref.faults.element` in rare inputs or
has a parameter that is read off the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults.decode import element_table
from mxref.faults.element import ElementModel
from mxref.faults.encoder import Bytes, Encoder, Floats, Ints, Lanes
from mxref.formats import ElementFormat, Kind

__all__ = ["boundary_model", "element_variants", "nan_model"]

_UNIT_SCALE = 127


class _RoundedFirst(Encoder):
    """E9: whether a number is subnormal is asked after rounding to the full mantissa.

    What is still below the smallest normal number then goes to a grid half as large.
    """

    def align(self, lanes: Lanes) -> None:
        super().align(lanes)
        m, least = self.fmt.mantissa_bits, float(self.fmt.min_normal or 0)
        step = np.frexp(lanes.magnitude)[1] - 1 - m
        rounded = np.ldexp(np.rint(np.ldexp(lanes.magnitude, -step)), step)
        small = (lanes.magnitude < least) & (rounded < least)
        lifted = (lanes.magnitude < least) & (rounded >= least)
        steps = np.ldexp(np.where(small, lanes.magnitude, 0.0), m - self.fmt.emin - 1)
        whole = np.floor(steps)
        lanes.kept = np.where(small, whole.astype(np.int64), np.where(lifted, 1 << m, lanes.kept))
        lanes.rest = np.where(small, steps - whole, np.where(lifted, 0.0, lanes.rest))


class _NanAboveTop(Encoder):
    """E14: beyond the top binade a fraction that is not zero is taken for that of NaN.

    The test sees the number rounded to the mantissa of the element. Above the exponent `last`,
    where the next wider exponent field ends, it stops.
    """

    last = 15
    signed = True

    def overflow(self, lanes: Lanes) -> None:
        m = self.fmt.mantissa_bits
        above = lanes.code >= (self.fmt.emax + 1 - self.fmt.emin + 1) << m
        fraction = (lanes.code & ((1 << m) - 1)) != 0
        below = lanes.code >> m <= self.last - self.fmt.emin + 1
        hit = above & fraction & below & ~lanes.inf & ~lanes.nan
        super().overflow(lanes)
        if self.signed:  # the code behind the largest number is NaN
            lanes.code = np.where(hit, self.fmt.max_magnitude + 1, lanes.code)
        else:
            lanes.nan = lanes.nan | hit


class _CarryToInf(Encoder):
    """E14: what carries out of the top binade becomes infinity; what is larger saturates."""

    def overflow(self, lanes: Lanes) -> None:
        carried = (lanes.code > self.fmt.max_magnitude) & (lanes.exponent == self.fmt.emax)
        carried &= ~lanes.inf & ~lanes.nan
        super().overflow(lanes)
        self.make_special(lanes, carried)


class _InfPlusZero(Encoder):
    """E17: an infinity of either sign becomes +0."""

    def classify(self, x: Floats) -> Lanes:
        lanes = super().classify(x)
        lanes.sign = lanes.sign & ~lanes.inf
        lanes.inf = np.zeros_like(lanes.inf)
        return lanes


class _BiasOff(Encoder):
    """E24: the exponent bias is off by one, all else is OCP."""

    factor = 2.0

    def scale(self, lanes: Lanes, scale_codes: npt.NDArray[np.int32]) -> None:
        super().scale(lanes, scale_codes)
        lanes.magnitude = lanes.magnitude * self.factor


class _NanSignInverted(Encoder):
    """E18: NaN gets the other sign."""

    def nan_codes(self, lanes: Lanes) -> Ints:
        lanes.sign = np.where(lanes.nan, ~lanes.sign, lanes.sign)
        return super().nan_codes(lanes)


class _TinyIs80(Encoder):
    """E20: a negative number that underflows becomes its sign bit, which INT8 reads as -2."""

    def pack(self, lanes: Lanes) -> Bytes:
        hit = lanes.sign & (lanes.code == 0) & (lanes.magnitude > 0) & ~lanes.nan
        return np.where(hit, self.fmt.sign_mask, super().pack(lanes)).astype(np.uint8)


class _Int8Short(Encoder):
    """E15: the largest integer is one short, in either direction."""

    top = 126

    def overflow(self, lanes: Lanes) -> None:
        super().overflow(lanes)
        lanes.code = np.minimum(lanes.code, self.top)


class _MaskedShift(Encoder):
    """E11: a shift count is taken modulo the width of a register, and nothing is normalised again.

    Where the lost part of the shift leaves a large integer, it runs into the exponent field.
    """

    width = 64
    whole = False  # whether one shift aligns and rounds, or alignment has its own

    def align(self, lanes: Lanes) -> None:
        super().align(lanes)
        m, exponent = self.fmt.mantissa_bits, np.frexp(lanes.magnitude)[1] - 1
        low = (lanes.magnitude > 0) & (exponent < self.fmt.emin)
        count = np.maximum(self.fmt.emin - exponent, 0) + (23 - m if self.whole else 0)
        lost = np.where(low, count // self.width * self.width, 0)
        hit = lost > 0
        steps = np.ldexp(np.where(hit, lanes.magnitude, 0.0), m - self.fmt.emin + lost)
        whole = np.floor(steps)
        kept = np.where(hit, whole, 0.0).astype(np.int64)
        lanes.kept = np.where(hit, kept, lanes.kept)
        lanes.rest = np.where(hit, np.where(hit, steps, 0.0) - kept, lanes.rest)


class _Boundaries(Encoder):
    """E3: at some boundaries between codes a tie goes the other way."""

    at: frozenset[int] = frozenset()

    def assemble(self, lanes: Lanes, rounded: Ints) -> Ints:
        code = super().assemble(lanes, rounded)
        below = super().assemble(lanes, lanes.kept)
        tie = (lanes.rest == 0.5) & np.isin(below, sorted(self.at))
        return np.where(tie, 2 * below + 1 - code, code)


class _ByDistance(Encoder):
    """E13: the code whose value times the scale is nearest, by distances in float32.

    The first of equals wins, so that -0 does not occur. A product that overflows is infinitely
    far; beside a much larger number all distances are alike, and the code is 0.
    """

    def encode(self, x: npt.NDArray[Any], scale_codes: npt.NDArray[Any] | None = None) -> Bytes:
        codes = np.asarray(_UNIT_SCALE if scale_codes is None else scale_codes)
        exponent = codes.astype(np.int64) - _UNIT_SCALE
        with np.errstate(all="ignore"):
            number = np.asarray(x).astype(np.float32)
            nearest = np.full(number.shape, np.inf, np.float32)
            found = np.zeros(number.shape, np.uint8)
            for code, value in enumerate(element_table(self.fmt)):
                distance = np.abs(number - np.ldexp(value, exponent).astype(np.float32))
                # As in argmin, a NaN is nearer than all numbers.
                nearer = (distance < nearest) | (np.isnan(distance) & ~np.isnan(nearest))
                found = np.where(nearer, np.uint8(code), found)
                nearest = np.where(nearer, distance, nearest)
        return found


def element_variants(fmt: ElementFormat) -> tuple[ElementModel, ...]:
    """The further variants that can show in a format.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> [model.id for model in element_variants(element_format("e2m1"))]
    ['E9', 'E24', 'E24', 'E11', 'E11', 'E11', 'E11', 'E13', 'E17']
    """
    models = list(_of_float(fmt) if fmt.kind is Kind.FLOAT else _of_integer())
    models.append(ElementModel("E17", "of either sign to +0", _InfPlusZero))
    if fmt.has_nan:
        models.append(ElementModel("E18", "the other sign", _NanSignInverted))
    return tuple(models)


def _of_float(fmt: ElementFormat) -> Iterator[ElementModel]:
    late = "half as large, if subnormal after rounding as normal"
    yield ElementModel("E9", late, _RoundedFirst)
    for factor, what in ((2.0, "one too high"), (0.5, "one too low")):
        cls = type("BiasOff", (_BiasOff,), {"factor": factor})
        yield ElementModel("E24", f"bias {what}, all else OCP", cls)
    for whole, what in ((False, "alignment"), (True, "alignment and rounding")):
        for width in (32, 64):
            cls = type("MaskedShift", (_MaskedShift,), {"width": width, "whole": whole})
            yield ElementModel("E11", f"the shift for {what} is modulo {width}", cls)
    if fmt.is_fp8 and not fmt.has_inf:
        detail = "NaN beyond the top binade where the fraction is not zero"
        yield ElementModel("E14", detail, _NanAboveTop)
        unsigned = type("Unsigned", (_NanAboveTop,), {"signed": False})
        yield ElementModel("E14", f"{detail}, without its sign", unsigned)
    if not fmt.is_fp8:  # a search of the table, which is too long for FP8
        yield ElementModel("E13", "nearest by float32 distances, the first of equals", _ByDistance)
    if fmt.has_inf:
        yield ElementModel("E14", "infinity out of a carry, larger ones saturate", _CarryToInf)


def _of_integer() -> Iterator[ElementModel]:
    yield ElementModel("E20", "read as -2", _TinyIs80)
    yield ElementModel("E15", "126 in place of 127", _Int8Short)


def boundary_model(codes: frozenset[int]) -> ElementModel:
    """E3 at the boundaries above some magnitude codes, as read off the data.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> from mxref.policy import Policy
    >>> wrong = boundary_model(frozenset({4})).encoder(element_format("e2m1"), Policy())
    >>> wrong.encode(np.array([0.25, 1.25, 2.5, 5.0]))  # 2.5 lies above code 4
    array([0, 2, 5, 6], dtype=uint8)
    """
    listed = ", ".join(f"0x{code:x}" for code in sorted(codes))
    cls = type("Boundaries", (_Boundaries,), {"at": codes})
    return ElementModel("E3", f"ties above code {listed} go the other way", cls)


def nan_model(positive: int, negative: int) -> ElementModel:
    """E18 with the codes that the data show for NaN of either sign.

    Examples
    --------
    >>> nan_model(0x00, 0x80).detail
    'NaN gives 0x00, -NaN gives 0x80'
    """

    class Constant(Encoder):
        def pack(self, lanes: Lanes) -> Bytes:
            codes = np.where(lanes.sign, negative, positive)
            return np.where(lanes.nan, codes, super().pack(lanes)).astype(np.uint8)

    detail = f"NaN gives 0x{positive:02x}"
    if negative != positive:
        detail += f", -NaN gives 0x{negative:02x}"
    return ElementModel("E18", detail, Constant)
