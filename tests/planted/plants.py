"""The planted mistakes as a table: what each is, where it goes, and how the check must name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import composed as com
import implementations as impl
import more_decoders as dec
import more_elements as ele
import more_scales as sca
import numpy as np
from implementations import E2M1, E2M3, E3M2, E4M3, E5M2, FLOAT_TYPES, K
from more_elements import INT8
from stimuli import dequantizer_input, encoder_input, quantizer_input

GIVEN, DRIVEN = "given", "driven"


@dataclass(frozen=True)
class Plant:
    """One implementation with one mistake.

    `legal` says that a policy allows it, and `same` which other ids name the same mistake where
    nothing can tell the two apart.
    """

    fault: str
    name: str
    op: str
    format: str
    fn: Callable[..., Any]
    inputs: Callable[[], tuple[Any, ...]]
    legal: bool = False
    same: frozenset[str] = field(default_factory=frozenset)
    along_rows: bool = False
    ways: tuple[str, ...] = (GIVEN, DRIVEN)

    def __str__(self) -> str:
        return f"{self.fault}-{self.name}-{self.format}"

    @property
    def ids(self) -> frozenset[str]:
        """Every acceptable name."""
        return self.same if "+" in self.fault else self.same | {self.fault}

    def driven(self, *inputs):
        """As a kernel is called: blocks one below the other."""
        if not self.along_rows:
            return self.fn(*inputs)
        (x,) = inputs
        wanting = -len(x) % 4
        row = np.concatenate([x, np.zeros((wanting, K), np.float32)]).reshape(1, -1)
        codes, scales = self.fn(row)
        return codes.reshape(-1, K)[: len(x)], scales.reshape(-1, 1)[: len(x)]


def _quantizer(fault, name, t, fn, **more):
    return Plant(fault, name, "quantize", t.block, fn, lambda: (quantizer_input(t),), **more)


def _rows_input(t):
    x = quantizer_input(t)
    x = x[: len(x) // 4 * 4]
    order = np.random.default_rng(2).permutation(len(x))  # so that neighbours differ
    return (x[order].reshape(-1, 4 * K),)


def _along_rows(fault, name, t, **more):
    rule = getattr(sca, name)
    return Plant(
        fault,
        name,
        "quantize",
        t.block,
        lambda x: rule(x, t),
        lambda: _rows_input(t),
        along_rows=True,
        **more,
    )


def _rule(fault, name, rule, types=FLOAT_TYPES, **more):
    return [_quantizer(fault, name, t, lambda x, t=t: rule(x, t), **more) for t in types]


def _elements(fault, name, t, encode, **more):
    return _quantizer(fault, name, t, ele.of_blocks(encode, t), **more)


def _encoder(fault, name, fmt, fn, inputs, **more):
    return Plant(fault, name, "encode", fmt, fn, lambda: (inputs(),), **more)


def _caster(fault, name, t, fn, **more):
    return _encoder(fault, name, t.name, fn, lambda: encoder_input(t), **more)


def _decoder(fault, name, fmt, fn, **more):
    count = 256 if fmt in {"int8", "e8m0"} else 2 * {t.name: t for t in FLOAT_TYPES}[fmt].sign
    return Plant(
        fault, name, "decode", fmt, fn, lambda: (np.arange(count, dtype=np.uint8),), **more
    )


def _dequantizer(fault, name, t, fn, **more):
    return Plant(fault, name, "dequantize", t.block, fn, lambda: dequantizer_input(t), **more)


def _decode_both(fault, name, t, decode, **more):
    """Lone and within blocks."""
    return [
        _decoder(fault, name, t.name, decode, **more),
        _dequantizer(fault, name, t, dec.as_blocks(decode), **more),
    ]


def _scale_both(fault, name, factor, t=E2M1, **more):
    """A decoder of lone scale codes, and blocks that use it."""
    return [
        _decoder(fault, name, "e8m0", lambda c: factor(c).astype(np.float32), **more),
        _dequantizer(fault, name, t, dec.with_scales(factor, t), **more),
    ]


# --- scales -------------------------------------------------------------------------------------

WIDE = [E4M3, E5M2, E3M2]  # an emax that is not 2: a bias of +2 is not S4 there
NARROW = [E2M1, E2M3]

SCALES = [
    *[p for o in (-2, -1) for p in _rule("S6", f"bias{o}", sca.s6_bias(o), [E4M3, E2M1])],
    *_rule(
        "S6", "bias+1", sca.s6_bias(1), [E4M3, E2M1], legal=True, same={"S10"}
    ),  # as Trainium does
    *_rule("S6", "bias+2", sca.s6_bias(2), WIDE),
    *_rule("S6", "bias+2", sca.s6_bias(2), NARROW, same={"S4"}),
    *[p for o in (-3, 3) for p in _rule("S6", f"stored{o:+}", sca.s6_bias_stored(o), [E4M3, E2M1])],
    *_rule("S7", "float16", sca.s7_amax_float16, [E4M3, E2M1], same={"S11"}),
    *_rule("S8", "frexp", sca.s8_frexp_doubles, [*WIDE, E2M3]),
    # In E2M1 that is the nearest power of two, as max / 2^emax is 1.5.
    *_rule("S8", "frexp", sca.s8_frexp_doubles, [E2M1], same={"S10"}),
    # With amax itself, instead of the quotient, it is the legal rule plus-one.
    *_rule("S10", "frexp-amax", sca.s8_frexp_doubles_amax, [E5M2, E2M1], legal=True),
    *_rule("S8", "mask-top", sca.s8_mask_misses_top_bit, [E4M3, E2M1]),
    *_rule("S8", "mask-low", sca.s8_mask_misses_low_bits, [E5M2, E2M1]),
    *_rule("S8", "log2f", sca.s8_log2_float32, [E4M3, E2M1]),
    *_rule("S8", "reciprocal", sca.s8_reciprocal, [E4M3, E2M1], legal=True, same={"S10"}),
    *_rule("S9", "even-exponent", sca.s9_even_exponent, [E4M3, E2M1]),
    *_rule("S9", "even-code", sca.s9_even_code, [E4M3, E2M1]),
    *[
        p
        for eps in (1e-4, 1e-8, 1e-10, 1e-12, 1e-30)
        for p in _rule("S11", f"eps{eps}", sca.s11_epsilon(eps), [E4M3, E2M1])
    ],
    _quantizer("S11", "nan-to-zero", E4M3, sca.s11_nan_to_zero),
    _quantizer("S12", "0/0", E4M3, sca.s12_zero_over_zero),
    _quantizer("S12", "0/0", E2M1, sca.s12_zero_over_zero_fp4),
    *_rule("S12", "tiny-is-one", sca.s12_tiny_is_one, [E4M3, E2M1]),
    *_rule("S12", "guarded-1e-12", sca.s12_guarded_scale(1e-12), [E4M3, E2M1]),
    *_rule("S14", "unrounded", sca.s14_unrounded, [E4M3, E2M1]),
    *_rule("S14", "unrounded-floor", sca.s14_unrounded_floor, [E4M3, E2M1]),
    *_rule("S14", "other-power", sca.s14_other_power, [E5M2, E2M1]),
    *_rule("S15", "first-half", sca.s15_first_half, [E4M3, E2M1]),
    *_rule("S15", "first-missed", sca.s15_first_missed, [E4M3, E2M1]),
    *_rule("S15", "last-missed", sca.s15_last_missed, [E4M3, E2M1]),
    *_rule("S15", "signed", sca.s15_signed, [E4M3, E2M1]),
    *_rule("S15", "signed-magnitude", sca.s15_signed_magnitude, [E4M3, E2M1]),
    *[_along_rows("S15", f"row_s15_{n}", t) for n in ("pairs", "next") for t in (E4M3, E2M1)],
    _along_rows("S15", "row_s15_previous", E2M1),
    _along_rows("D16", "row_d16_packed_inverse", E2M1),
    _along_rows("D16", "row_d16_packed_inverse", E4M3),
    _quantizer("D17", "inverse-by-bits", INT8, dec.d17_inverse_by_bits),
    _quantizer("D17", "flushed", INT8, dec.d17_flushed),
]

# --- elements -----------------------------------------------------------------------------------

ELEMENTS = [
    _elements("E1", "away", INT8, ele.e1_int8_away, legal=True),
    _elements("E2", "cast", INT8, ele.e2_int8_cast, legal=True),
    *[_elements("E3", "no-sticky", t, ele.e3_no_sticky(t)) for t in FLOAT_TYPES],
    *[_elements("E3", "short-sticky", t, ele.e3_short_sticky(t)) for t in (E4M3, E2M1)],
    _elements("E3", "one-boundary", E2M1, ele.e3_fp4_one_boundary),
    _elements("E8", "cutoff", E2M1, ele.e8_fp4),
    _elements("E9", "2^-10", E4M3, ele.e9_e4m3),
    *[_elements("E10", "shift-first", t, ele.e10_shift_first(t)) for t in (E4M3, E3M2)],
    *[
        _elements("E11", f"mod{w}", t, ele.e11_alignment_modulo(t, w))
        for w in (64, 32)
        for t in WIDE
    ],
    *[_elements("E11", "one-shift", t, ele.e11_shift_modulo(t, 64)) for t in (E4M3, E5M2)],
    _elements("E12", "top", E5M2, ele.e12_e5m2),
    *[
        _elements("E15", f"max{m}", t, ele.e15_clip(t, m))
        for t, m in (
            (E4M3, 416.0),
            (E4M3, 224.0),
            (E4M3, 240.0),
            (E5M2, 49152.0),
            (E2M1, 4.0),
            (E3M2, 24.0),
        )
    ],
    _elements("E15", "126", INT8, ele.e15_int8_minimum),
    *[_elements("E19", "add-zero", t, ele.e19_add_zero(t)) for t in (E4M3, E5M2)],
    *[_elements("E19", "add-zero", t, ele.e19_add_zero(t), legal=True) for t in (E2M3, E2M1)],
    _elements("E20", "0x80", INT8, ele.e20_int8),
    *[_elements("E21", "buffer", t, ele.e21_bfloat16(t)) for t in (E2M1, E5M2)],
    _elements("E21", "buffer", INT8, lambda v: ele.count64(_narrow(v))),
    *[_elements("E22", "buffer", t, ele.e22_float16(t)) for t in (E2M1, E5M2)],
    *[_elements("E23", "cut", t, ele.e23_cut(t)) for t in (E4M3, E2M1, E5M2)],
    *[_elements("E24", "fnuz", t, ele.e24_fnuz(t)) for t in (E4M3, E5M2)],
    _elements("E24", "bias", E4M3, ele.e24_bias),
]


def _narrow(v):
    import ml_dtypes

    return v.astype(np.float32).astype(ml_dtypes.bfloat16).astype(np.float64)


def _powers():
    """Positive numbers in every binade, at and beside ties; zeros, specials, a negative one."""
    m = np.array([1, 1.25, 1.5, 1.75, np.sqrt(2)], np.float32)
    near = np.concatenate([m, np.nextafter(m, np.float32(0)), np.nextafter(m, np.float32(4))])
    x = np.ldexp(near[:, None], np.arange(-126, 127)).astype(np.float32).ravel()
    return np.concatenate([x, np.array([0, np.inf, np.nan, -1.0], np.float32)])


CASTS = [
    _encoder("S9", "odd-code", "e8m0", sca.s9_encode_odd_code, _powers),
    _caster("E14", "carry", E5M2, ele.e14_encode_e5m2),
    _caster("E15", "max416", E4M3, ele.e15_encode(E4M3, 416.0)),
    _caster("E15", "max224", E4M3, ele.e15_encode(E4M3, 224.0)),
    _caster("E15", "max49152", E5M2, ele.e15_encode(E5M2, 49152.0)),
    *[_caster("E17", "isfinite", t, ele.e17_encode(t)) for t in (E4M3, E5M2, E2M1)],
    *[_caster("E17", "masked", t, ele.e17_encode_masked(t)) for t in (E4M3, E3M2)],
    _caster("E18", "inverted", E4M3, ele.e18_encode_inverted_sign),
    *[_caster("E22", "by-half", t, ele.e22_encode(t)) for t in (E4M3, E5M2)],
    *[_caster("E23", "cut", t, ele.e23_encode_cut(t)) for t in (E4M3, E5M2, E2M1)],
    *[_caster("E24", "fnuz", t, ele.e24_encode(t)) for t in (E4M3, E5M2)],
]

# --- decoders -----------------------------------------------------------------------------------

DECODERS = [
    *[p for t in (E5M2, E3M2, E2M1) for p in _decode_both("D1", "normal", t, dec.d1_decode(t))],
    *[
        p
        for t in (E4M3, E5M2, E2M1)
        for o in (-1, 1)
        for p in _decode_both("D2", f"emin{o:+}", t, dec.d2_decode(t, o))
    ],
    *_decode_both("D3", "formula", E5M2, dec.d3_decode_e5m2),
    *_decode_both("D4", "formula", E5M2, impl.d4_decode),
    *_decode_both("D5", "half", E4M3, dec.d5_into_half),
    *_decode_both("D5", "bfloat16", E4M3, dec.d5_into_bfloat16(E4M3)),
    *_decode_both("D5", "bfloat16", E2M1, dec.d5_into_bfloat16(E2M1), same={"D14"}),
    *_decode_both("D6", "unsigned", E4M3, impl.d6_decode),
    *_decode_both("D6", "signed", E5M2, dec.d6_decode_signed),
    *[p for t in (E4M3, E2M1) for p in _decode_both("D7", "zero", t, dec.d7_decode(t))],
    *[p for t in (E5M2, E2M1) for p in _decode_both("D8", "flush", t, dec.d8_decode(t))],
    *[p for t in (E5M2, E2M3) for p in _decode_both("D8", "unsigned", t, dec.d8_unsigned(t))],
    *_scale_both("D9", "wrap", dec.d9_wrap, E5M2),
    *_scale_both("D10", "finite", dec.d10_finite, E4M3),
    *_scale_both("D10", "zero", dec.d10_zero, E3M2),
    *_scale_both("D11", "134", dec.d11_value_128),
    *[p for c in (0, 127, 254) for p in _scale_both("D11", str(c), dec.d11_code(c), E4M3)],
    *_scale_both("D12", "103-112", dec.d12_low_codes),
    *_scale_both("D12", "exponent", dec.d12_float16_exponent, E4M3),
    *_scale_both("D12", "float16", dec.d12_through_float16, E4M3),
    *_scale_both("D13", "raw", dec.d13_raw, same={"D6"}),
    *_scale_both("D13", "raw-nan", dec.d13_raw_nan, E5M2, same={"D6"}),
    *[_decoder("D14", f"byte{c}", "e4m3", dec.d14_decode(E4M3, c)) for c in (0, 1)],
    _decoder("D14", "byte0", "e2m1", dec.d14_decode(E2M1, 0)),
    # Scale code 1 is 2^-126, by which bfloat16's bias differs from that of E2M1.
    _decoder("D14", "byte1", "e2m1", dec.d14_decode(E2M1, 1), same={"D5"}),
    *_decode_both("E24", "fnuz", E4M3, dec.e24_decode),
    *_decode_both("E24", "fnuz", E5M2, dec.e24_decode_e5m2),
]

MORE = [*SCALES, *ELEMENTS, *CASTS, *DECODERS]

# --- several at once ----------------------------------------------------------------------------


def _several(make, ids, t, fn):
    # Where easy inputs come back exchanged, a driven check says so and judges nothing else.
    ways = (GIVEN,) if ids == {"E1", "L1"} else (GIVEN, DRIVEN)
    return make("+".join(sorted(ids)), "composed", t, fn, same=frozenset(ids), ways=ways)


COMPOSED = [
    *[_several(_quantizer, *row) for row in com.QUANTIZERS],
    *[_several(_dequantizer, *row) for row in com.DEQUANTIZERS],
    *[
        _several(lambda f, n, t, fn, **m: _decoder(f, n, t.name, fn, **m), *row)
        for row in com.DECODERS
    ],
]
"""Here `same` holds the ids, all of which are planted."""
