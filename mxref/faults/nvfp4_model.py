"""A staged NVFP4 quantizer over NumPy arrays, whose stages a fault replaces.

It is independent of ``mxref.exact.nvfp4`` and of the kernels, and every stage is a method of its
own: a fault overrides one and calls ``super()``, so that faults of different stages combine.

Notes
-----
What an order of operations rounds to float32 is computed in NumPy's float32. What it leaves exact
is a quotient of float64: a tie of E4M3 or E2M1 times T * g or s * g has at most 32 significant
bits, an input 24, so that a quotient which is no tie is further from one than float64 can round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults.decode import Decoder
from mxref.faults.encoder import Bytes, Encoder, Floats, round_to_float
from mxref.formats import ELEMENT_FORMATS
from mxref.policy import Policy
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["E2M1", "E4M3", "Blocks16", "Model", "Singles", "largest"]

Singles = npt.NDArray[np.float32]
_Number = np.float32

E2M1, E4M3 = ELEMENT_FORMATS["e2m1"], ELEMENT_FORMATS["e4m3"]
_MOST = np.float32(448)
_LARGEST = np.finfo(np.float32).max
_BFLOAT16_MAX = np.float32(float.fromhex("0x1.fep127"))
_LEAST = {"0": 0.0, "2^-9": 2.0**-9, "2^-6": 2.0**-6}
_SCALE_ROUNDING = {"nearest-up": "nearest-away"}  # a scale has no sign
_NAN = 0x7F
_EIGHTH = 0x20


@dataclass(frozen=True, slots=True)
class Blocks16:
    """Blocks of 16 as rows, and what a quantizer knows of each.

    Attributes
    ----------
    x : ndarray of float, shape (n, 16)
    amax : ndarray of float32, shape (n, 1)
        The largest magnitude of what shares the scale, NaN left out.
    has_nan : ndarray of bool, shape (n, 1)
        Whether there is a NaN among it.
    around : ndarray of float32, shape (n, 3)
        amax of the block before, of the block behind, and of the first block of the tensor.
    rows : ndarray of int, shape (n, 1)
        Numbers of the blocks.
    """

    x: npt.NDArray[Any]
    amax: Singles
    has_nan: npt.NDArray[np.bool_]
    around: Singles
    rows: npt.NDArray[np.intp]

    @classmethod
    def of(cls, x: npt.NDArray[Any]) -> Blocks16:
        """Measure rows, each a block that has its scale for itself."""
        wide = x.astype(np.float32)
        amax = largest(wide)[:, None]
        around = np.concatenate([np.roll(amax, 1), np.roll(amax, -1), 0 * amax + amax[:1]], axis=1)
        rows = np.arange(len(wide))[:, None]
        has_nan = np.isnan(wide).any(1, keepdims=True)
        return cls(wide, amax, np.asarray(has_nan), around, rows)


def largest(x: npt.NDArray[Any]) -> Singles:
    """The largest magnitude of each row, NaN left out.

    Examples
    --------
    >>> largest(np.array([[1.0, -3.0], [np.nan, 2.0]], np.float32))
    array([3., 2.], dtype=float32)
    """
    with np.errstate(invalid="ignore"):
        amax: npt.NDArray[Any] = np.fmax.reduce(np.abs(x), axis=-1, initial=0.0)
    return np.asarray(amax, np.float32)


class Model:
    """The correct quantizer and dequantizer of a policy; a fault overrides a stage.

    Parameters
    ----------
    policy : NVFP4Policy
        Rounding must not be stochastic.

    Examples
    --------
    >>> model = Model(NVFP4Policy())
    >>> encode, decode = model.globals(np.float32(2688))
    >>> float(encode), float(decode)
    (1.0, 1.0)
    >>> blocks = Blocks16.of(np.full((1, 16), 3.0, np.float32))
    >>> codes = model.scale_codes(blocks, encode, decode)
    >>> hex(codes[0, 0]), model.element_codes(blocks, codes, encode, decode)[0, :3]
    ('0x30', array([7, 7, 7], dtype=uint8))
    """

    encoder: type[Encoder] = Encoder
    scale_encoder: type[Encoder] = Encoder
    decoder: type[Decoder] = Decoder
    scale_decoder: type[Decoder] = Decoder

    def __init__(self, policy: NVFP4Policy) -> None:
        self.policy = policy
        self.target = np.float32(4 if policy.target == "four" else 6)
        self.top = np.float32(str(policy.scale_top))

    # --- global scale -----------------------------------------------------------------------------

    def tensor_amax(self, x: npt.NDArray[Any]) -> np.float32:
        """The number from which the global scale is computed."""
        wide = np.asarray(x, np.float32)
        if self.policy.amax_nan == "propagate" and np.isnan(wide).any():
            return np.float32(np.nan)
        return np.float32(largest(wide.reshape(1, -1))[0])

    def globals(self, amax: np.float32) -> tuple[_Number, _Number]:
        """S, the encode scale, and g, the decode multiplier."""
        one = np.float32(1)
        if self.policy.levels == "single-level":
            return one, one
        p = self.policy
        with np.errstate(all="ignore"):
            if p.global_zero == "tiny" and amax < np.float32(2.0**-126):
                amax = np.float32(2.0**-126)
            most = self.target * self.top
            is_one = p.global_zero == "one"
            if p.global_order == "quotient":
                decode = np.float32(amax / most)
                decode = one if is_one and decode == 0 else decode
                return self._capped(np.float32(one / decode)), decode
            if p.global_order == "inverted":
                encode = self._capped(np.float32(np.float32(one / amax) * most))
            else:
                encode = self._capped(np.float32(most / amax))
            encode = one if is_one and (amax == 0 or encode == 0) else encode
            return encode, np.float32(one / encode)

    def _capped(self, encode: _Number) -> _Number:
        match str(self.policy.global_cap):
            case "float32-max":
                return np.float32(np.fmin(encode, _LARGEST))
            case "bfloat16-max":
                return np.float32(np.fmin(encode, _BFLOAT16_MAX))
            case "one":
                return encode if np.isfinite(encode) else np.float32(1)
        return encode

    def stored(self, encode: _Number, decode: _Number) -> _Number:
        """The number that is handed on as the decode multiplier."""
        del encode
        return decode

    def scale_globals(self, encode: _Number, decode: _Number) -> tuple[_Number, _Number]:
        """What the block scales are computed with."""
        return encode, decode

    def element_globals(self, encode: _Number, decode: _Number) -> tuple[_Number, _Number]:
        """What the elements are computed with."""
        return encode, decode

    # --- block scales -----------------------------------------------------------------------------

    def block_amax(self, blocks: Blocks16) -> Singles:
        """b: shape (n, 1)."""
        if self.policy.amax_nan == "propagate":
            return np.where(blocks.has_nan, np.float32(np.nan), blocks.amax)
        return blocks.amax

    def wanted(self, b: Singles, encode: _Number, decode: _Number) -> npt.NDArray[Any]:
        """The number that is rounded to a scale."""
        t = self.target
        with np.errstate(all="ignore"):
            match str(self.policy.scale_order):
                case "folded":
                    return np.asarray(b * (encode * (np.float32(1) / t)))
                case "divided":
                    return np.asarray((b / t) * encode)
                case "quotient":
                    return np.asarray((b / t) / decode)
                case "product":
                    return np.asarray(b / (t * decode))
            return np.asarray(b.astype(np.float64) / (np.float64(t) * np.float64(decode)))

    def bounded(self, wanted: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Bounds below, before the rounding."""
        if self.policy.scale_zero == "one":
            wanted = np.where(wanted == 0, np.float32(1), wanted)
        least = np.float32(_LEAST[str(self.policy.scale_least)])
        return np.where(wanted < least, least, wanted)

    def cast_scales(self, wanted: npt.NDArray[Any]) -> Bytes:
        """Round to E4M3; a NaN stays one."""
        rounding = str(self.policy.scale_rounding)
        saturates = self.policy.scale_overflow == "saturate"
        policy = Policy(
            rounding=_SCALE_ROUNDING.get(rounding, rounding),  # type: ignore[arg-type]
            fp8_overflow="saturate" if saturates else "overflow",  # type: ignore[arg-type]
        )
        codes = self.scale_encoder(E4M3, policy).encode(wanted)
        if rounding == "toward-zero" and not saturates:  # what truncates to more than 448
            codes = np.where(wanted >= 480, np.uint8(_NAN), codes)
        return codes

    def finished(self, codes: Bytes) -> Bytes:
        """Replace codes of zero, where the policy does."""
        if self.policy.scale_zero == "eighth":
            return np.where(codes == 0, np.uint8(_EIGHTH), codes)
        return codes

    def scale_codes(self, blocks: Blocks16, encode: _Number, decode: _Number) -> Bytes:
        """UE4M3 codes, shape (n, 1); for four over six those of six."""
        used = self.scale_globals(encode, decode)
        wanted = self.bounded(self.wanted(self.block_amax(blocks), *used))
        return self.finished(self.cast_scales(wanted))

    # --- elements ---------------------------------------------------------------------------------

    def scale_values(self, codes: Bytes) -> Floats:
        """Values of scale codes, of which bit 7 means nothing, in float64."""
        table = self.scale_decoder(E4M3, Policy()).elements()
        return np.asarray(table[codes & _NAN])

    def divisors(self, blocks: Blocks16, codes: Bytes) -> Floats:
        """Return s of each block."""
        del blocks
        return self.scale_values(codes)

    def factor(self, s: Singles, encode: _Number, decode: _Number) -> Singles | None:
        """r, if the order has one."""
        one = np.float32(1)
        match str(self.policy.element_order):
            case "reciprocal":
                factor = one / (s * decode)
            case "quotient":
                factor = (one / decode) / s
            case "encode":
                factor = encode / s
            case _:
                return None
        return self.capped(np.asarray(factor, np.float32))

    def capped(self, factor: Singles) -> Singles:
        """Return r in its type, and bounded."""
        is_brain = self.policy.factor_type == "bfloat16"
        if is_brain:
            finite = np.where(np.isfinite(factor), factor, np.float32(0)).astype(np.float64)
            rounded = np.copysign(round_to_float(np.abs(finite), "bfloat16"), factor)
            factor = np.where(np.isfinite(factor), rounded.astype(np.float32), factor)
        if self.policy.factor_cap == "clamp":
            most = _BFLOAT16_MAX if is_brain else _LARGEST
            factor = np.minimum(factor, most)  # a NaN stays one
        return np.asarray(factor, np.float32)

    def scaled(
        self, x: npt.NDArray[Any], s: Floats, encode: _Number, decode: _Number
    ) -> npt.NDArray[Any]:
        """The numbers that are rounded to E2M1."""
        narrow = s.astype(np.float32)
        with np.errstate(all="ignore"):
            factor = self.factor(narrow, encode, decode)
            if factor is not None:
                return np.asarray(x * factor)
            match str(self.policy.element_order):
                case "divide":
                    return np.asarray(x / (narrow * decode))
                case "divide-encode":
                    return np.asarray(x / (narrow / encode))
            unit = s * np.float64(decode)
            exact = x.astype(np.float64) / unit
            return np.where((x == 0) & (unit == 0), x, exact)

    def zeroed(self, numbers: npt.NDArray[Any], x: npt.NDArray[Any], s: Floats) -> npt.NDArray[Any]:
        """Elements under a scale of zero."""
        if self.policy.zero_scale == "zero":
            return np.where(s == 0, np.copysign(np.float32(0), x), numbers)
        return numbers

    def cast_elements(self, numbers: npt.NDArray[Any]) -> Bytes:
        """Round to E2M1."""
        nan = {"signed-max": "signed-max", "zero": "zero"}.get(str(self.policy.nan_element))
        policy = Policy(
            rounding=str(self.policy.rounding),  # type: ignore[arg-type]
            neg_zero=str(self.policy.neg_zero),  # type: ignore[arg-type]
            nan_element=nan or "pos-max",  # type: ignore[arg-type]
        )
        return self.encoder(E2M1, policy).encode(numbers)

    def element_codes(
        self, blocks: Blocks16, scales: Bytes, encode: _Number, decode: _Number
    ) -> Bytes:
        """E2M1 codes under given scale codes of shape (n, 1)."""
        encode, decode = self.element_globals(encode, decode)
        s = self.divisors(blocks, scales)
        numbers = self.scaled(blocks.x, s, encode, decode)
        return self.placed(self.cast_elements(self.zeroed(numbers, blocks.x, s)))

    def placed(self, codes: Bytes) -> Bytes:
        """Codes in the order in which they are handed on."""
        return codes

    # --- the way back -----------------------------------------------------------------------------

    def decode_globals(self, decode: _Number) -> _Number:
        """The multiplier that values are decoded with."""
        return decode

    def values(self, codes: Bytes, scales: Bytes, decode: _Number) -> Singles:
        """Decode element codes (n, 16) under scale codes (n, 1)."""
        e = self.decoder(E2M1, Policy()).elements()[codes & 0xF]
        s, g = self.scale_values(scales), self.decode_globals(decode)
        with np.errstate(all="ignore"):
            if self.policy.decode_order == "scale-first":
                unit = s.astype(np.float32) * g
                return np.asarray(unit * e.astype(np.float32))
            return np.asarray(e * s * np.float64(g), np.float32)
