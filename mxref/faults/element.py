"""Element faults: the encoder with one stage gone wrong.

Each class overrides stages of `mxref.faults.encoder.Encoder`; a docstring gives the id and the
variant. Classes are stackable, see `compose`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mxref.faults import _element_special as special
from mxref.faults._stack import stack
from mxref.faults.encoder import Bools, Encoder, Floats, Ints, Lanes
from mxref.formats import ElementFormat, Kind

__all__ = ["ElementModel", "compose", "element_models"]


@dataclass(frozen=True, slots=True, eq=False)
class ElementModel:
    """An executable element fault.

    Attributes
    ----------
    id, detail : str
        Fault id, and which variant of it ("" where there is one only).
    encoder : type
        The encoder that has the fault.
    legal_change : Mapping of str to str
        Policy fields under which the same behaviour is legal; empty where it never is.
    """

    id: str
    detail: str
    encoder: type[Encoder]
    legal_change: Mapping[str, str] = field(default_factory=dict)


def compose(models: Iterable[ElementModel]) -> type[Encoder]:
    """An encoder that has all of the given faults, the first one outermost.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> from mxref.policy import Policy
    >>> e2m1 = element_format("e2m1")
    >>> both = [m for m in element_models(e2m1) if m.id in ("E2", "E7")][:2]
    >>> compose(both)(e2m1, Policy()).encode(np.array([0.99, 1.49]))
    array([0, 2], dtype=uint8)
    """
    return stack(Encoder, (model.encoder for model in models))


class _Away(Encoder):
    """E1: ties away from zero."""

    def round(self, lanes: Lanes) -> Ints:
        return lanes.kept + (lanes.rest >= 0.5)


class _Ties(Encoder):
    """E1: ties to one side."""

    negative_up = False

    def round(self, lanes: Lanes) -> Ints:
        up = (lanes.rest == 0.5) & (lanes.sign == self.negative_up)
        return np.asarray(lanes.kept + (up | (lanes.rest > 0.5)))


class _TiesDown(Encoder):
    """E1: ties toward zero."""

    def round(self, lanes: Lanes) -> Ints:
        return lanes.kept + (lanes.rest > 0.5)


class _Truncate(Encoder):
    """E2: what lies behind the mantissa is dropped."""

    def round(self, lanes: Lanes) -> Ints:
        return lanes.kept


class _FewBits(Encoder):
    """E3: rounding sees the next few bits only, nothing of those behind them."""

    seen = 1

    def align(self, lanes: Lanes) -> None:
        super().align(lanes)
        lanes.rest = np.floor(lanes.rest * 2**self.seen) / 2**self.seen


class _MantissaMask(Encoder):
    """E4: every mantissa is ANDed with the mantissa of the largest number."""

    def assemble(self, lanes: Lanes, rounded: Ints) -> Ints:
        field_mask = (1 << self.fmt.mantissa_bits) - 1
        allowed = self.fmt.max_magnitude & field_mask
        return super().assemble(lanes, rounded) & ~(field_mask & ~allowed)


class _LostCarry(Encoder):
    """E5: a carry out of the mantissa does not reach the exponent."""

    wraps = False
    in_subnormals = True

    def round(self, lanes: Lanes) -> Ints:
        rounded = super().round(lanes)
        one = 1 << self.fmt.mantissa_bits
        normal = lanes.kept >= one
        carried = np.where(normal, rounded == 2 * one, (rounded == one) & self.in_subnormals)
        without = np.where(normal, one, 0) if self.wraps else rounded - 1
        return np.where(carried, without, rounded)


class _FlushInput(Encoder):
    """E7, E8: values below a threshold become zero before they are rounded."""

    def threshold(self) -> float:
        return float(self.fmt.min_normal or 0)

    def scale(self, lanes: Lanes, scale_codes: npt.NDArray[np.int32]) -> None:
        super().scale(lanes, scale_codes)
        lanes.magnitude = np.where(lanes.magnitude < self.threshold(), 0.0, lanes.magnitude)


class _FlushResult(Encoder):
    """E7: results below the smallest normal number become zero."""

    def assemble(self, lanes: Lanes, rounded: Ints) -> Ints:
        code = super().assemble(lanes, rounded)
        return np.where(code < 1 << self.fmt.mantissa_bits, 0, code)


class _CutOff(_FlushInput):
    """E8: the cut-off lies at the smallest subnormal instead of at half of it."""

    def threshold(self) -> float:
        return float(self.fmt.min_subnormal)


class _SubnormalBinade(Encoder):
    """E9: subnormals are scaled by a wrong power of two."""

    shift = -1

    def align(self, lanes: Lanes) -> None:
        super().align(lanes)
        m = self.fmt.mantissa_bits
        small = (lanes.exponent == self.fmt.emin) & (lanes.kept < 1 << m)
        steps = np.ldexp(np.where(small, lanes.magnitude, 0.0), m - self.fmt.emin + self.shift)
        whole = np.floor(steps)
        lanes.kept = np.where(small, whole.astype(np.int64), lanes.kept)
        lanes.rest = np.where(small, steps - whole, lanes.rest)


class _SubnormalQuantum(_SubnormalBinade):
    """E9: subnormals are rounded to whole multiples of the smallest normal number."""

    def align(self, lanes: Lanes) -> None:
        self.shift = -self.fmt.mantissa_bits
        super().align(lanes)

    def round(self, lanes: Lanes) -> Ints:
        small = lanes.magnitude < float(self.fmt.min_normal or 0)
        rounded = super().round(lanes)
        return np.where(small, rounded << self.fmt.mantissa_bits, rounded)


class _StickyLost(Encoder):
    """E10: aligning a subnormal shifts bits out of the register before they are looked at."""

    fraction_bits = 23

    def scale(self, lanes: Lanes, scale_codes: npt.NDArray[np.int32]) -> None:
        super().scale(lanes, scale_codes)
        small = lanes.magnitude < float(self.fmt.min_normal or 0)
        grid = self.fraction_bits - self.fmt.emin
        cut = np.ldexp(np.floor(np.ldexp(np.where(small, lanes.magnitude, 0.0), grid)), -grid)
        lanes.magnitude = np.where(small, cut, lanes.magnitude)


class _TopBinade(Encoder):
    """E12: the whole top binade counts as overflow."""

    before_rounding = False

    def assemble(self, lanes: Lanes, rounded: Ints) -> Ints:
        code = super().assemble(lanes, rounded)
        if self.before_rounding:
            over = lanes.exponent >= self.fmt.emax
        else:
            over = (
                code >> self.fmt.mantissa_bits >= self.fmt.max_magnitude >> self.fmt.mantissa_bits
            )
        return np.where(over, self.fmt.max_magnitude + 1, code)


class _DoubleRounding(Encoder):
    """E21, E22, E23: the value is narrowed to a wider format first, hence rounded twice."""

    significand_bits = 8
    emin = -126
    emax = 127
    truncates = False
    after_scaling = False

    def classify(self, x: Floats) -> Lanes:
        lanes = super().classify(x)
        if not self.after_scaling:
            self.narrow(lanes)
        return lanes

    def scale(self, lanes: Lanes, scale_codes: npt.NDArray[np.int32]) -> None:
        super().scale(lanes, scale_codes)
        if self.after_scaling:
            self.narrow(lanes)

    def narrow(self, lanes: Lanes) -> None:
        magnitude = lanes.magnitude
        exponent = np.maximum(np.frexp(magnitude)[1] - 1, self.emin)
        step = exponent - (self.significand_bits - 1)
        steps = np.ldexp(magnitude, -step)  # NumPy's rint rounds ties to even
        narrowed = np.ldexp(np.floor(steps) if self.truncates else np.rint(steps), step)
        over = narrowed >= 2.0 ** (self.emax + 1)
        if self.truncates:
            largest = 2.0 ** (self.emax + 1) - 2.0 ** (self.emax + 1 - self.significand_bits)
            narrowed = np.minimum(narrowed, largest)
        else:
            lanes.inf = lanes.inf | over
            narrowed = np.where(over, 0.0, narrowed)
        lanes.magnitude = narrowed


class _NegativeZeroInput(Encoder):
    """E19: the sign of an input that is zero is lost."""

    def classify(self, x: Floats) -> Lanes:
        lanes = super().classify(x)
        lanes.sign = lanes.sign & (np.isnan(x) | (x != 0))
        return lanes


class _NegativeUnderflow(Encoder):
    """E19: the sign of a value that underflows to zero is lost."""

    def overflow(self, lanes: Lanes) -> None:
        super().overflow(lanes)
        underflow = (lanes.code == 0) & (lanes.magnitude != 0)
        lanes.sign = lanes.sign & ~underflow


class _DropNegativeZero(_NegativeUnderflow, _NegativeZeroInput):
    """E19: no result is ever -0."""

    def overflow(self, lanes: Lanes) -> None:
        super().overflow(lanes)
        zero: Bools = (lanes.code == 0) & ~lanes.nan
        lanes.sign = lanes.sign & ~zero


def _variant(base: type[Encoder], **attributes: float | bool) -> type[Encoder]:
    return type(base.__name__, (base,), dict(attributes))


_FP16 = {"significand_bits": 11, "emin": -14, "emax": 15}


def element_models(fmt: ElementFormat) -> tuple[ElementModel, ...]:
    """Every element fault that can show in a format, the simplest explanation first.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> sorted({model.id for model in element_models(element_format("int8"))})
    ['E1', 'E15', 'E17', 'E18', 'E2', 'E21', 'E22', 'E23', 'E3']
    """
    models = list(_rounding_models())
    if fmt.kind is Kind.FLOAT:
        models += _float_models(fmt)
    models += (ElementModel(*row) for row in special.special_models(fmt))
    return tuple(models + _double_rounding_models())


def _rounding_models() -> Iterable[ElementModel]:
    yield ElementModel("E1", "ties away from zero", _Away, {"rounding": "nearest-away"})
    yield ElementModel("E1", "ties toward zero", _TiesDown, {"rounding": "nearest-down"})
    yield ElementModel("E1", "ties toward +Inf", _Ties)
    yield ElementModel("E1", "ties toward -Inf", _variant(_Ties, negative_up=True))
    yield ElementModel("E2", "", _Truncate, {"rounding": "toward-zero"})
    for seen in (1, 2, 3):
        detail = f"only {seen} bit{'s' * (seen > 1)} behind the mantissa seen"
        yield ElementModel("E3", detail, _variant(_FewBits, seen=seen))


def _float_models(fmt: ElementFormat) -> Iterable[ElementModel]:
    all_ones = (1 << fmt.mantissa_bits) - 1
    if fmt.max_magnitude & all_ones != all_ones:
        yield ElementModel("E4", "", _MantissaMask)
    yield ElementModel("E7", "by the size of the input", _FlushInput)
    yield ElementModel("E7", "after rounding", _FlushResult)
    yield ElementModel("E12", "by the exponent after rounding", _TopBinade)
    early = _variant(_TopBinade, before_rounding=True)
    yield ElementModel("E12", "by the exponent before rounding", early)
    yield ElementModel("E19", "every -0", _DropNegativeZero, {"neg_zero": "drop"})
    legal = {"neg_zero": "drop-input"}
    yield ElementModel("E19", "an input of -0 only", _NegativeZeroInput, legal)
    yield ElementModel("E19", "underflow only", _NegativeUnderflow)
    for wraps in (False, True):
        kind = "wrapped" if wraps else "clamped"
        yield ElementModel("E5", kind, _variant(_LostCarry, wraps=wraps))
        normal = _variant(_LostCarry, wraps=wraps, in_subnormals=False)
        yield ElementModel("E5", f"{kind}, normal numbers only", normal)
    yield ElementModel("E8", "", _CutOff)
    yield ElementModel("E9", "half as large", _SubnormalBinade)
    yield ElementModel("E9", "twice as large", _variant(_SubnormalBinade, shift=1))
    yield ElementModel("E9", "in units of the smallest normal number", _SubnormalQuantum)
    for bits, source in ((23, "float32"), (10, "float16"), (7, "bfloat16")):
        sticky = _variant(_StickyLost, fraction_bits=bits)
        yield ElementModel("E10", f"{source} significand", sticky)


def _double_rounding_models() -> list[ElementModel]:
    models = [ElementModel("E21", "before scaling", _DoubleRounding)]
    models.append(
        ElementModel("E21", "after scaling", _variant(_DoubleRounding, after_scaling=True))
    )
    for fault_id, truncates in (("E22", False), ("E23", True)):
        for after, where in ((True, "after"), (False, "before")):
            flags = {"truncates": truncates, "after_scaling": after}
            encoder = _variant(_DoubleRounding, **_FP16, **flags)
            models.append(ElementModel(fault_id, f"{where} scaling", encoder))
    return models
