"""Inputs of NVFP4: blocks of 16 that reach one situation of the scale, or of the elements.

A block comes with the largest magnitude of its tensor, `amax`, so that it can lie anywhere in a
tensor's range. In most blocks one *anchor* lane fixes the block scale, and the other lanes probe
elements. With an amax of 2688 the tensor's scale is 1 and nothing but E4M3 and E2M1 rounds; under
other ones each order of the float32 operations rounds in its own way.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction

from mxref.exact import ieee
from mxref.exact.number import Number
from mxref.formats import pow2
from mxref.relatives.nvfp4_format import NVFP4
from mxref.vectors.bits import exact_bits, finite_codes, landmarks, midpoints, negated, neighbour
from mxref.vectors.covergroups import Stimuli
from mxref.vectors.operations import INPUT_DIGITS, SHORT_TYPE, Inputs

__all__ = [
    "block",
    "element_codes",
    "element_midpoints",
    "element_order",
    "far_below",
    "four_or_six",
    "global_range",
    "input_types",
    "lanes",
    "nonfinite",
    "scale_codes",
    "scale_midpoints",
    "scale_order",
    "scale_top",
    "scale_values",
    "stale_amax",
    "subnormal_inputs",
    "zeros",
]

_F32 = "float32"
_LANES = NVFP4.block_size
_UNIT = Fraction(2688)
"""Largest element times largest scale: the amax under which the tensor's scale is 1."""
_TOP = Fraction(6)
_INFINITY, _NAN = 0x7F800000, 0x7FC00000

# Significands and exponents without a pattern: each order of operations rounds them its own way.
_AMAXES = (
    Fraction(1),
    Fraction(7, 10),
    Fraction(22, 7),
    Fraction(1001, 10),
    Fraction(1, 3) * pow2(-40),
    Fraction(9, 7) * pow2(60),
)


# --- building blocks -------------------------------------------------------------------------


def scale_values() -> list[Fraction]:
    """The value of every scale code that is a number, by code.

    Examples
    --------
    >>> [float(value) for value in scale_values()[:2]], len(scale_values())
    ([0.0, 0.001953125], 127)
    """
    return [number.magnitude for code, number in finite_codes(NVFP4.scale) if code <= 0x7F]


def _f32(value: Fraction) -> int:
    """The nearest float32."""
    return ieee.to_bits(Number.finite(value), _F32)


def _beside(value: Fraction, ulps: int) -> int:
    found = neighbour(_f32(value), _F32, ulps)
    return _f32(value) if found is None else found


def _shares(b: Fraction) -> list[int]:
    """Lanes that are known parts of b, of both signs, none of them at a tie."""
    magnitudes = (_f32(b * Fraction(3 + 5 * lane, 83)) for lane in range(_LANES))
    return [negated(bits, _F32) if lane % 3 == 1 else bits for lane, bits in enumerate(magnitudes)]


def block(amax: Fraction | int, b: int, lanes: Sequence[int] = (), place: int = 0) -> Inputs:
    """Return a block whose largest magnitude has the bits `b` and stands in one lane.

    Parameters
    ----------
    amax : Fraction or int
        Of the tensor; as bits, or as a value that is rounded to float32.
    b : int
        Bits of a float32.
    lanes : sequence of int
        Bits of the other lanes; default: parts of b.
    place : int
        The lane of b.
    """
    rest = list(lanes) or _shares(ieee.from_bits(b, _F32).magnitude)
    rest = (rest * _LANES)[: _LANES - 1]
    rest.insert(place % _LANES, b)
    given = amax if isinstance(amax, int) else _f32(amax)
    return Inputs(_F32, tuple(rest), amax=given)


def _anchor(scale: Fraction, amax: Fraction, ulps: int = 0) -> int:
    """The largest magnitude that asks for a scale."""
    return _beside(_TOP * scale * amax / _UNIT, ulps)


def _code_name(code: int) -> str:
    return f"scale {code:02x}"


# --- the scale of a block --------------------------------------------------------------------


def scale_codes(_: object) -> Stimuli:
    """Yield a block for every scale code but zero."""
    for code, scale in enumerate(scale_values()):
        if code:
            yield block(_UNIT, _anchor(scale, _UNIT), place=code), _code_name(code)


def _thresholds(few: int) -> Iterator[tuple[int, Fraction]]:
    """Code and the tie above it: all subnormals, then some of each kind of binade."""
    values = scale_values()
    for code, (low, high) in enumerate(itertools.pairwise(values)):
        if code < 0x12 - few or 0x36 + few <= code < 0x42 or code >= 0x76 + few:
            yield code, (low + high) / 2


def scale_midpoints(_: object, few: int = 0) -> Stimuli:
    """Yield blocks at ties between scale codes, and beside them."""
    for code, tie in _thresholds(few):
        for ulps in (-1, 0, 1):
            where = f"tie above {_code_name(code)}" + (f" {ulps:+d} ulp" if ulps else "")
            yield block(_UNIT, _anchor(tie, _UNIT, ulps), place=code), where


def scale_order(_: object) -> Stimuli:
    """Yield blocks near such ties under scales of the tensor of many bits."""
    values = scale_values()
    for index, amax in enumerate(_AMAXES):
        for code in (0x00, 0x05, 0x1C, 0x33, 0x46, 0x7D):
            tie = (values[code] + values[code + 1]) / 2
            for ulps in (-1, 0, 1):
                where = f"amax {index}, tie above {_code_name(code)} {ulps:+d} ulp"
                yield block(amax, _anchor(tie, amax, ulps), place=code), where


def scale_top(_: object) -> Stimuli:
    """Yield the block that has the largest number of its tensor."""
    for index, amax in enumerate((_UNIT, *_AMAXES)):
        for ulps in (-1, 0):
            where = f"amax {index} itself" + (f" {ulps:+d} ulp" if ulps else "")
            yield block(amax, _beside(amax, ulps), place=index), where


def stale_amax(_: object) -> Stimuli:
    """Yield blocks that exceed what was handed in."""
    for index, amax in enumerate((_UNIT, *_AMAXES[:3])):
        for factor in (Fraction(29, 28), Fraction(15, 14), Fraction(3, 2), Fraction(40)):
            where = f"amax {index}, block {float(factor):.3g} times as large"
            yield block(amax, _f32(amax * factor), place=5), where


def far_below(_: object) -> Stimuli:
    """Yield blocks ever smaller than the largest of their tensor."""
    for index, (amax, most) in enumerate(((_UNIT, 24), (_AMAXES[2], 6))):
        for places in range(1, most):
            for factor in (Fraction(1), Fraction(11, 8)):
                where = f"amax {index}, block {float(factor):g} times 2^-{places} of it"
                yield block(amax, _f32(amax * factor * pow2(-places)), place=places), where


# --- elements --------------------------------------------------------------------------------

_SCALES = (0x01, 0x03, 0x07, 0x08, 0x0D, 0x2A, 0x38, 0x3B, 0x45, 0x5E, 0x77, 0x7E)


def element_codes(_: object) -> Stimuli:
    """Yield the value of every element code, under some scales."""
    values = [n.magnitude for _, n in finite_codes(NVFP4.element)]
    for code in _SCALES:
        scale = scale_values()[code]
        lanes = [_f32(value * scale) for value in values]
        lanes = [negated(bits, _F32) if lane >= 8 else bits for lane, bits in enumerate(lanes)]
        # The anchor, 6, is code 7 itself.
        yield block(_UNIT, lanes[7], lanes[:7] + lanes[8:], 7), _code_name(code)


def _ties(unit: Fraction, ulps: int) -> list[int]:
    """Every tie of E2M1 below 6 with both signs, some ulps beside it."""
    middles = [_beside(tie * unit, ulps) for tie in midpoints(NVFP4.element)[:-1]]
    return [*middles, *(negated(bits, _F32) for bits in middles), _f32(unit)]


def element_midpoints(_: object) -> Stimuli:
    """Yield ties of E2M1, and numbers beside them."""
    for code in _SCALES:
        scale = scale_values()[code]
        for ulps in (-1, 0, 1):
            where = f"{_code_name(code)}, ties" + (f" {ulps:+d} ulp" if ulps else "")
            yield block(_UNIT, _anchor(scale, _UNIT), _ties(scale, ulps), 3), where


def element_order(_: object) -> Stimuli:
    """Yield such ties under scales of the tensor of many bits."""
    for index, amax in enumerate(_AMAXES):
        for code in (0x05, 0x0D, 0x33, 0x3E, 0x59, 0x7E):
            scale = scale_values()[code]
            for ulps in (-1, 0, 1):
                lanes = _ties(scale * amax / _UNIT, ulps)
                where = f"amax {index}, {_code_name(code)}, ties {ulps:+d} ulp"
                yield block(amax, _anchor(scale, amax), lanes, code), where


def lanes(_: object) -> Stimuli:
    """Yield the largest magnitude in every lane."""
    for lane in range(_LANES):
        for is_negative in (False, True):
            bits = _anchor(scale_values()[0x48], _AMAXES[2])
            where = f"lane {lane}, {'negative' if is_negative else 'positive'}"
            given = negated(bits, _F32) if is_negative else bits
            yield block(_AMAXES[2], given, place=lane), where


# --- the ends --------------------------------------------------------------------------------


def global_range(_: object) -> Stimuli:
    """Yield tensors at the ends of float32."""
    edges: list[tuple[Fraction, str]] = [
        (pow2(exponent), f"2^{exponent}") for exponent in (-149, -140, -127, -126, -125, -100, 127)
    ]
    largest = ieee.largest(_F32)
    edges.append((largest, "the largest float32"))
    # Where 2688 / amax, and its inverse, leave the range.
    edges.append((_UNIT / largest, "2688 / largest"))
    edges.append((_UNIT / pow2(128), "2688 / 2^128"))
    edges.append((_UNIT * pow2(-126), "2688 * 2^-126"))
    for value, name in edges:
        for ulps in (-1, 0, 1):
            bits = neighbour(_f32(value), _F32, ulps)
            if bits is None:
                continue
            where = f"amax {name}" + (f" {ulps:+d} ulp" if ulps else "")
            yield block(bits, bits, place=2), where
            half = _f32(ieee.from_bits(bits, _F32).magnitude * Fraction(5, 16))
            yield block(bits, half, place=9), f"{where}, block of 5/16 of it"


def zeros(_: object) -> Stimuli:
    """Yield blocks and tensors of zeros."""
    minus = 1 << 31
    patterns = {
        "all +0": (0,) * _LANES,
        "all -0": (minus,) * _LANES,
        "zeros of both signs": (0, minus) * (_LANES // 2),
    }
    for where, bits in patterns.items():
        for amax, tensor in ((0, "tensor of zeros"), (0x3F800000, "amax 1")):
            yield Inputs(_F32, bits, amax=amax), f"{where}, {tensor}"
    for lane in range(0, _LANES, 5):
        lanes = list(block(_UNIT, _anchor(Fraction(1), _UNIT), place=lane + 1).bits)
        lanes[lane] = minus if lane % 2 else 0
        yield Inputs(_F32, tuple(lanes), amax=_f32(_UNIT)), f"a zero in lane {lane}"


def nonfinite(_: object) -> Stimuli:
    """Yield NaN and infinity in some lanes."""
    one = _anchor(Fraction(1), _UNIT)
    plain = block(_UNIT, one, place=1).bits
    for bits, name in landmarks(_F32):
        if bits & _INFINITY != _INFINITY:
            continue
        is_nan = bool(bits & 0x7FFFFF)
        for lane in (0, 1, 15):
            lanes = (*plain[:lane], bits, *plain[lane + 1 :])
            if is_nan:  # the maximum of the tensor left it out, or is it
                yield Inputs(_F32, lanes, amax=_f32(_UNIT)), f"{name} in lane {lane}"
            amax = _NAN if is_nan else _INFINITY
            where = f"{name} in lane {lane}, amax {'NaN' if is_nan else 'Inf'}"
            yield Inputs(_F32, lanes, amax=amax), where
    for amax, name in ((_INFINITY, "Inf"), (_NAN, "NaN")):
        yield Inputs(_F32, plain, amax=amax), f"amax {name} from elsewhere"
    yield Inputs(_F32, (_NAN,) * _LANES, amax=_f32(_UNIT)), "nothing but NaN"


def input_types(_: object) -> Stimuli:
    """Yield blocks in bfloat16 and float16."""
    for source in list(INPUT_DIGITS)[1:]:
        for index, exponent in enumerate((-12, -3, 0, 2, 9)):
            for step in range(4):
                lanes = []
                for lane in range(_LANES):
                    value = Fraction(9 + (lane * 7 + step * 3) % 24, 8) * pow2(exponent - 2)
                    bits = exact_bits(value, source) or 0
                    lanes.append(negated(bits, source) if lane % 2 else bits)
                amax = Fraction(11, 8) * pow2(exponent + 4 - step)
                where = f"{SHORT_TYPE[source]}, row {index}, step {step}"
                yield Inputs(source, tuple(lanes), amax=_f32(amax)), where


def subnormal_inputs(_: object) -> Stimuli:
    """Yield blocks of float32 subnormals."""
    for amax in (pow2(-120), pow2(-130), pow2(-149) * 5):
        for top in (1, 5, 0x1234, 0x7FFFFF):
            if pow2(-149) * top <= amax:
                where = f"block of {top:#x} times 2^-149"
                yield block(amax, top, place=4), where


# --- four over six ---------------------------------------------------------------------------


def four_or_six(_: object) -> Stimuli:
    """Yield blocks between the two candidates of four over six."""
    scale = scale_values()[0x48]
    for index, amax in enumerate((_UNIT, *_AMAXES[:3])):
        unit = scale * amax / _UNIT
        for step in range(12):
            # In units of the scale: towards 6 alone, towards 4 alone, and beside where both lose
            # as much.
            near = Fraction(30 + 3 * step, 8)
            lanes = [_f32(near * unit * Fraction(16 - lane, 16)) for lane in range(_LANES - 1)]
            yield block(amax, _anchor(scale, amax), lanes, step), f"amax {index}, near {near}"
        for value in (Fraction(5), Fraction(9, 2), Fraction(4), Fraction(3), Fraction(0)):
            lanes = [_f32(value * unit)]
            yield block(amax, _anchor(scale, amax), lanes, 0), f"amax {index}, all {float(value)}"
    for code in (0x00, 0x01, 0x02, 0x7A, 0x7B, 0x7E):  # half as large again is out of range
        b = _anchor(scale_values()[code] or pow2(-11), _UNIT)
        yield block(_UNIT, b, place=1), f"amax 0, {_code_name(code)}"
