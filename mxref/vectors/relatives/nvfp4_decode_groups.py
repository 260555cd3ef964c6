"""Covergroups of NVFP4 beside blocks to be quantized: scale casts, decoding, small tensors."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from fractions import Fraction

from mxref.exact import ieee
from mxref.exact.number import Number
from mxref.formats import pow2
from mxref.relatives.nvfp4_format import NVFP4
from mxref.vectors.bits import negated
from mxref.vectors.covergroups import ENCODE_ELEMENT, Covergroup, Stimuli
from mxref.vectors.operations import INPUT_DIGITS, Inputs

__all__ = ["DEQUANTIZE", "SCALE_DECODE", "SCALE_ENCODE", "SCALE_ENCODE_FEWER", "TENSOR"]

_F32 = "float32"
_SIZE = NVFP4.block_size
_CODES = tuple(range(16))
_RECIPE = "OP-NVFP4-RECIPE"


def _f32(value: Fraction) -> int:
    return ieee.to_bits(Number.finite(value), _F32)


# --- scale codes -----------------------------------------------------------------------------


def _without_sign(group: Covergroup, sources: Collection[str]) -> Callable[..., Stimuli]:
    """The inputs of a group of E4M3 that a scale can be: those without a minus sign."""

    def stimuli(_: object) -> Stimuli:
        for inputs, detail in group.stimuli(NVFP4.scale):
            source = str(inputs.type)
            if source in sources and not inputs.bits[0] >> (4 * INPUT_DIGITS[source] - 1):
                yield inputs, detail

    return stimuli


_LEFT_OUT = {"far-below", "nan-payloads"}


def _of_scales(sources: Collection[str]) -> tuple[Covergroup, ...]:
    return tuple(
        replace(
            group,
            clauses=tuple(sorted({_RECIPE, *(c for c in group.clauses if c.startswith("OFP8"))})),
            stimuli=_without_sign(group, sources),
        )
        for group in ENCODE_ELEMENT
        if group.name not in _LEFT_OUT
    )


SCALE_ENCODE = _of_scales(INPUT_DIGITS)
SCALE_ENCODE_FEWER = _of_scales((_F32,))


def _every_scale_code(_: object) -> Stimuli:
    for code in range(256):
        yield Inputs(None, (code,)), ""


SCALE_DECODE = (
    Covergroup(
        "every-code",
        "all bit patterns of a byte: subnormal scales flushed, 7f taken for 480, the sign bit"
        " that UE4M3 does not have",
        (_RECIPE, "OFP8-1.0/value", "OFP8-1.0/nan"),
        _every_scale_code,
    ),
)


# --- values ----------------------------------------------------------------------------------

_GLOBALS = (
    (Fraction(1, 2688), "1 / 2688"),
    (Fraction(22, 7), "22 / 7"),
    (Fraction(7, 10) * pow2(-30), "0.7 times 2^-30"),
    (pow2(-149), "the least float32"),
    (pow2(-130) * 3, "3 times 2^-130"),
    (pow2(116), "2^116"),
    (Fraction(9, 7) * pow2(119), "9/7 times 2^119"),
)
_SCALES = (0x00, 0x01, 0x07, 0x08, 0x0B, 0x2D, 0x38, 0x3F, 0x46, 0x5D, 0x78, 0x7E, 0x7F)


def _every_scale(_: object) -> Stimuli:
    for scale in range(0x80):
        yield Inputs(None, _CODES, scales=(scale,), global_scale=0x3F800000), f"scale {scale:02x}"


def _globals(_: object) -> Stimuli:
    for value, name in _GLOBALS:
        for scale in _SCALES:
            given = Inputs(None, _CODES[::-1], scales=(scale,), global_scale=_f32(value))
            yield given, f"scale {scale:02x}, global {name}"


def _global_specials(_: object) -> Stimuli:
    for bits, name in ((0, "0"), (0x7F800000, "Inf"), (0x7FC00000, "NaN"), (0x7F7FFFFF, "max")):
        for scale in (0x00, 0x38, 0x7E, 0x7F):
            given = Inputs(None, _CODES, scales=(scale,), global_scale=bits)
            yield given, f"scale {scale:02x}, global {name}"


DEQUANTIZE = (
    Covergroup(
        "every-scale",
        "all codes under all scale codes, with a global scale of 1: a nibble table, a bias, a"
        " subnormal or a sign gone wrong",
        (_RECIPE, "MX-1.0/5.3/fp4"),
        _every_scale,
    ),
    Covergroup(
        "globals",
        "global scales of many bits: one rounding or two, the global scale inverted, left out or"
        " applied twice; results that underflow or overflow",
        (_RECIPE,),
        _globals,
    ),
    Covergroup(
        "global-specials",
        "a global scale of zero, infinity or NaN",
        (_RECIPE,),
        _global_specials,
    ),
)


# --- tensors ---------------------------------------------------------------------------------


def _tensor(rows: int, columns: int, step: int, *, spread: int = 9) -> tuple[int, ...]:
    """Numbers whose blocks, along either axis and in two dimensions, all have other maxima."""
    found = []
    for i in range(rows):
        for j in range(columns):
            mixed = (i * 37 + j * 11 + i * j * step) % 101
            exponent = (i // _SIZE * 3 + j // _SIZE * 5 + i * 2 + j) % spread - spread // 2
            bits = _f32(Fraction(mixed + 1, 64) * pow2(exponent))
            found.append(negated(bits, _F32) if (i + j * 3) % 5 < 2 else bits)
    return tuple(found)


def _matrices(_: object) -> Stimuli:
    for number, (rows, columns) in enumerate(((16, 16), (16, 48), (32, 16))):
        for axis in (0, 1):
            bits = _tensor(rows, columns, number + 1)
            where = f"{rows} x {columns}, axis {axis}"
            yield Inputs(_F32, bits, shape=(rows, columns), axis=axis), where


def _lone_scales(_: object) -> Stimuli:
    """One large number in each corner of a block, so that a block of other places shows."""
    for row, column in ((0, 0), (15, 0), (0, 15), (15, 31), (7, 16)):
        for axis in (0, 1):
            # Two blocks side by side, or one above the other.
            shape = (16, 32) if row % 2 == axis else (32, 16)
            i, j = (row, column) if shape == (16, 32) else (column, row)
            bits = list(_tensor(*shape, 3, spread=2))
            bits[i * shape[1] + j] = _f32(Fraction(1001, 10))
            where = f"largest at row {i}, column {j}, axis {axis}"
            yield Inputs(_F32, tuple(bits), shape=shape, axis=axis), where


def _edge_tensors(_: object) -> Stimuli:
    zeros = (0,) * 256
    yield Inputs(_F32, zeros, shape=(16, 16), axis=1), "zeros"
    one = (0,) * 255 + (0xBF800000,)
    yield Inputs(_F32, one, shape=(16, 16), axis=1), "zeros and a -1 in the end"
    tiny = tuple(n + 1 for n in range(256))
    yield Inputs(_F32, tiny, shape=(16, 16), axis=0), "subnormal numbers"
    far = tuple(_f32(pow2(-(n // 16) * 2) * Fraction(17 + n % 16, 16)) for n in range(256))
    yield Inputs(_F32, far, shape=(16, 16), axis=1), "every row a quarter of the row above"


TENSOR = (
    Covergroup(
        "matrices",
        "blocks along either axis, in one and two dimensions, all of other size: the scale of the"
        " tensor from a part of it, scales of other blocks, axes exchanged",
        (_RECIPE,),
        _matrices,
    ),
    Covergroup(
        "lone-scales",
        "one large number at the edge of a block: which numbers share its scale",
        (_RECIPE,),
        _lone_scales,
    ),
    Covergroup(
        "edges",
        "tensors of zeros, of subnormal numbers, and of rows far below each other",
        (_RECIPE, "OFP8-1.0/underflow"),
        _edge_tensors,
    ),
)
