"""A staged element encoder over NumPy arrays, whose stages a fault replaces.

It is a third implementation, independent of ``mxref.exact`` and of the kernels: a checker that
shared their code would share their errors.

Notes
-----
Everything is float64 and exact. A float32, float16 or bfloat16 value has at most 24 significant
bits, and dividing it by a scale of 2**-127 to 2**127 leaves it between 2**-276 and 2**255, far
inside float64; ``frexp``, ``ldexp`` and ``floor`` are exact there, and so is the fraction that
``floor`` leaves behind. A float64 value that leaves the range on scaling is replaced by
2**+-1000: beyond every element format on the same side, so that it encodes alike.

The steps are those of every encoder here: classify, scale, align, round, overflow, pack. Every
deterministic choice of a policy is followed; stochastic roundings are refused, since a fault in
one cannot be told from other random bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.formats import ElementFormat, Kind
from mxref.policy import Policy

__all__ = [
    "PRECISIONS",
    "Bools",
    "Bytes",
    "Encoder",
    "Floats",
    "Ints",
    "Lanes",
    "as_float64",
    "least_normal",
    "round_to_float",
]

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FAR = 2.0**1000  # beyond every format, and its inverse below every format
_UNIT_SCALE = 127
_NAN_SCALE = 255

PRECISIONS = {"float32": (24, -126, 127), "bfloat16": (8, -126, 127), "float16": (11, -14, 15)}
"""Significant bits, least and largest exponent of the types that an intermediate may have."""


def as_float64(x: npt.NDArray[Any]) -> Floats:
    """Widen any of the source types to native float64, exactly, NaN signs included.

    Examples
    --------
    >>> as_float64(np.array([1.5, -0.0], ">f4"))
    array([ 1.5, -0. ])
    """
    with np.errstate(invalid="ignore"):  # a signalling NaN is no error here
        return np.asarray(x).astype(np.float64)


def least_normal(dtype: np.dtype[Any]) -> float:
    """The least normal number of a source type.

    Examples
    --------
    >>> least_normal(np.dtype(np.float16)) == 2.0**-14
    True
    """
    if dtype.name == "float16":
        return 2.0**-14
    return 2.0**-1022 if dtype.name == "float64" else 2.0**-126


def round_to_float(magnitude: Floats, name: str) -> Floats:
    """Round magnitudes to nearest even in a float type, with gradual underflow and no upper end.

    Parameters
    ----------
    magnitude : ndarray of float64
        Below 2**1000.
    name : str
        A key of `PRECISIONS`.

    Examples
    --------
    >>> round_to_float(np.array([2049.0, 2051.0, 2.0**-26]), "float16")
    array([2048., 2052.,    0.])
    """
    bits, emin, _ = PRECISIONS[name]
    step = np.maximum(np.frexp(magnitude)[1] - 1, emin) - (bits - 1)
    # NumPy's rint rounds ties to even; a quotient below 2**-600 is no tie of anything.
    return np.asarray(np.ldexp(np.rint(np.ldexp(magnitude, -step)), step))


@dataclass(slots=True)
class Lanes:
    """The elements on their way through the stages, one entry each.

    Attributes
    ----------
    sign, nan, inf : ndarray of bool
        What `Encoder.classify` found.
    magnitude : ndarray of float64
        abs(V), after `Encoder.scale` abs(V / X); 0 for NaN and infinity.
    exponent, kept, rest : ndarray
        abs(V / X) = (kept + rest) * 2**(exponent - mantissa_bits), with 0 <= rest < 1.
    code : ndarray of int64
        Magnitude code as though exponents had no upper end; at last the magnitude code.
    payload : ndarray of bool
        The second highest mantissa bit of the input, which matters for NaN.
    """

    sign: Bools
    nan: Bools
    inf: Bools
    magnitude: Floats
    exponent: Ints
    kept: Ints
    rest: Floats
    code: Ints
    payload: Bools


class Encoder:
    """The correct encoder; a fault is a subclass that overrides a stage.

    Faults that override one stage each combine by multiple inheritance, because every stage calls
    ``super()``.

    Parameters
    ----------
    fmt : ElementFormat
        Element format.
    policy : Policy
        The choices at the open points.

    Attributes
    ----------
    tiny : float
        Least normal number of the source, as `encode` finds it; inputs below count as zero under
        ``input_subnormal="flush"``.

    Raises
    ------
    ValueError
        If the rounding is stochastic.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> Encoder(element_format("e4m3"), Policy()).encode(np.array([1.0, -500.0]))
    array([ 56, 254], dtype=uint8)
    """

    def __init__(self, fmt: ElementFormat, policy: Policy) -> None:
        if policy.rounding.value.startswith("stochastic"):
            raise ValueError(
                f"rounding={policy.rounding} depends on random bits, which this model does not "
                "take; convert with mxref.encode(..., random=...) and compare the codes"
            )
        self.fmt = fmt
        self.policy = policy
        self.fixed = fmt.kind is Kind.FIXED
        self.tiny = 0.0

    def encode(self, x: npt.NDArray[Any], scale_codes: npt.NDArray[Any] | None = None) -> Bytes:
        """Encode values under given scale codes.

        Parameters
        ----------
        x : ndarray
            Values, any source type.
        scale_codes : ndarray of uint8, optional
            Broadcastable to `x`; default: 127, a scale of 1.

        Returns
        -------
        ndarray of uint8
            Codes, in the shape of `x`.

        Raises
        ------
        ValueError
            If there is a NaN or an infinity that the policy refuses.
        """
        self.tiny = least_normal(np.asarray(x).dtype)
        lanes = self.classify(as_float64(x))
        codes = np.asarray(_UNIT_SCALE if scale_codes is None else scale_codes)
        self.scale(lanes, codes.astype(np.int32))
        self.align(lanes)
        lanes.code = self.assemble(lanes, self.round(lanes))
        self.overflow(lanes)
        return self.pack(lanes)

    def classify(self, x: Floats) -> Lanes:
        """Separate sign, NaN, infinity and magnitude."""
        nan, inf, sign = np.isnan(x), np.isinf(x), np.signbit(x)
        refuses = self.policy.inf_element == "raise" and not self.fmt.is_fp8
        if refuses and inf.any():  # also where a NaN scale would hide it
            raise ValueError(
                "inf_element=raise refuses infinity, and the input holds one; choose another "
                "inf_element, or remove it"
            )
        magnitude = np.where(nan | inf, 0.0, np.abs(x))
        if self.policy.input_subnormal == "flush":
            magnitude = np.where(magnitude < self.tiny, 0.0, magnitude)
        if self.policy.neg_zero == "drop-input":
            sign = sign & (nan | inf | (magnitude != 0))
        payload = np.zeros(x.shape, np.bool_)
        if self.policy.nan_payload == "payload":
            payload = np.asarray(np.asarray(x, np.float64).view(np.uint64) >> 50 & 1, np.bool_)
        empty = np.zeros(0, np.int64)
        return Lanes(sign, nan, inf, magnitude, empty, empty, np.zeros(0), empty, payload)

    def scale(self, lanes: Lanes, scale_codes: npt.NDArray[np.int32]) -> None:
        """Divide by the scale; under the scale NaN everything is NaN."""
        nan_scale = scale_codes == _NAN_SCALE
        if nan_scale.any():
            lanes.nan = lanes.nan | nan_scale
            lanes.inf = lanes.inf & ~nan_scale
            lanes.sign = lanes.sign & ~nan_scale
            lanes.payload = lanes.payload & ~nan_scale
        if self.policy.relu == "on":
            lanes.inf = lanes.inf & ~lanes.sign
            lanes.magnitude = np.where(lanes.sign, 0.0, lanes.magnitude)
            lanes.sign = np.zeros_like(lanes.sign)
        with np.errstate(over="ignore", under="ignore"):
            scaled = np.ldexp(lanes.magnitude, _UNIT_SCALE - scale_codes)
        lanes.magnitude = _bounded(scaled, lanes.magnitude)
        self.narrow_quotient(lanes)

    def narrow_quotient(self, lanes: Lanes) -> None:
        """Round abs(V / X) to the type of the intermediate; beyond its range it is an infinity."""
        name = self.policy.scaled_intermediate.value
        if name == "exact":
            return
        rounded = round_to_float(lanes.magnitude, name)
        over = rounded >= 2.0 ** (PRECISIONS[name][2] + 1)
        lanes.inf = lanes.inf | over
        lanes.magnitude = np.where(over, 0.0, rounded)

    def align(self, lanes: Lanes) -> None:
        """Cut the magnitude into whole steps of its binade and a rest."""
        if self.fixed:
            lanes.exponent = np.zeros(lanes.magnitude.shape, np.int64)
            magnitude = np.minimum(lanes.magnitude, 1024.0)  # keeps `kept` small; far above max
        else:
            magnitude = lanes.magnitude
            exponent = np.frexp(magnitude)[1] - 1
            lanes.exponent = np.maximum(exponent, self.fmt.emin).astype(np.int64)
            lanes.exponent[magnitude == 0] = self.fmt.emin
        steps = np.ldexp(magnitude, self.fmt.mantissa_bits - lanes.exponent)
        whole = np.floor(steps)
        lanes.kept, lanes.rest = whole.astype(np.int64), steps - whole

    def round(self, lanes: Lanes) -> Ints:
        """Round to whole steps."""
        kept, rest = lanes.kept, lanes.rest
        up: Bools = np.zeros(kept.shape, np.bool_)
        match self.policy.rounding.value:
            case "nearest-even":
                up = (rest > 0.5) | ((rest == 0.5) & (kept & 1 == 1))
            case "nearest-away":
                up = rest >= 0.5
            case "nearest-down":
                up = rest > 0.5
            case "up":
                up = (rest > 0) & ~lanes.sign
            case "down":
                up = (rest > 0) & lanes.sign
            case "to-odd":
                up = (rest > 0) & (kept & 1 == 0)
        return kept + up

    def assemble(self, lanes: Lanes, rounded: Ints) -> Ints:
        """Magnitude code of an aligned number; a carry runs into the exponent by itself."""
        if self.fixed:
            return rounded
        code = ((lanes.exponent - self.fmt.emin) << self.fmt.mantissa_bits) + rounded
        if self.policy.element_subnormal == "flush":
            code = np.where(code < 1 << self.fmt.mantissa_bits, 0, code)
        return code

    def overflow(self, lanes: Lanes) -> None:
        """Deal with what lies beyond the largest finite code, and with infinities."""
        top = self.fmt.max_magnitude
        finite_over = lanes.code > top
        lanes.code = np.where(finite_over | lanes.inf, top, lanes.code)
        if self.fixed:
            return
        if self.overflows():
            special = lanes.inf | (finite_over & ~self.points_to_zero(lanes))
            self.make_special(lanes, special)
        elif self.fmt.has_inf and self.policy.fp8_overflow == "propagate":
            self.make_special(lanes, lanes.inf)

    def overflows(self) -> bool:
        """Whether out-of-range values become NaN or infinity."""
        choice = self.policy.fp8_overflow.value
        return self.fmt.is_fp8 and (
            choice == "overflow" or (choice == "sat-none" and self.fmt.has_inf)
        )

    def points_to_zero(self, lanes: Lanes) -> Bools:
        """Where a finite overflow stops at the largest number, as in IEEE 754."""
        match self.policy.rounding.value:
            case "toward-zero":
                return np.ones(lanes.sign.shape, np.bool_)
            case "to-odd":  # infinity is an even code, but SatNone goes there all the same
                stays = self.policy.fp8_overflow != "sat-none"
                return np.full(lanes.sign.shape, stays)
            case "up":
                return lanes.sign
            case "down":
                return ~lanes.sign
        return np.zeros(lanes.sign.shape, np.bool_)

    def make_special(self, lanes: Lanes, where: Bools) -> None:
        """Turn lanes into infinity, or into NaN in a format without it."""
        if self.fmt.inf_magnitude is not None:
            lanes.code = np.where(where, self.fmt.inf_magnitude, lanes.code)
        else:
            lanes.nan = lanes.nan | where

    def pack(self, lanes: Lanes) -> Bytes:
        """Put sign and magnitude code together; write NaN."""
        sign = lanes.sign
        if self.policy.neg_zero == "drop":
            sign = sign & (lanes.code != 0)
        if self.fixed:
            code = np.where(sign, -self.int8_magnitude(lanes, sign), lanes.code) & 0xFF
        else:
            code = lanes.code | (sign.astype(np.int64) * self.fmt.sign_mask)
        if lanes.nan.any():
            code = np.where(lanes.nan, self.nan_codes(lanes), code)
        return code.astype(np.uint8)

    def int8_magnitude(self, lanes: Lanes, negative: Bools) -> Ints:
        """Magnitude of INT8 results, 128 for those that reach -2 where that code is used."""
        if self.policy.int8_min != "used":
            return lanes.code
        rounded = np.where(lanes.inf, 1024, self.round(lanes))
        return np.where(negative & (rounded > self.fmt.max_magnitude), 128, lanes.code)

    def nan_codes(self, lanes: Lanes) -> Ints:
        """Code of each lane if it were NaN."""
        signs = lanes.sign.astype(np.int64) * self.fmt.sign_mask
        if self.fmt.has_nan:
            choice = self.policy.nan_payload.value
            if choice in ("canonical", "negative"):
                return np.full(signs.shape, 0x7F if choice == "canonical" else 0xFF)
            if not self.fmt.has_inf or choice == "signed":
                return signs | 0x7F
            return signs | 0x7E | (lanes.payload & (choice == "payload"))
        top = self.fmt.max_magnitude
        match self.policy.nan_element.value:
            case "pos-max":
                return np.full(signs.shape, top)
            case "signed-max":
                if self.fixed:
                    lowest = top + (self.policy.int8_min == "used")
                    return np.where(lanes.sign, -lowest, top) & 0xFF
                return signs | top
            case "zero":
                return np.zeros_like(signs)
            case "flipped-zero":
                keeps_zero_sign = not self.fixed and self.policy.neg_zero != "drop"
                return (signs ^ self.fmt.sign_mask) * keeps_zero_sign
        raise ValueError(
            "nan_element=raise refuses NaN, and the input holds one; choose another nan_element, "
            "or remove it"
        )


def _bounded(scaled: Floats, original: Floats) -> Floats:
    """Replace what scaling pushed out of float64 by something equally far out of every format."""
    lost = ((scaled < 1 / _FAR) & (original > 0)) | (scaled > _FAR)
    if not lost.any():
        return scaled
    return np.where(lost, np.where(scaled > 1, _FAR, 1 / _FAR), scaled)
