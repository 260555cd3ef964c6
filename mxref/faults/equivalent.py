"""Faults that no input can show, and why: in an operation of a format, or in MX at all.

A vector set is judged by the faults that it does not kill, so each row here is a claim. The tests
run every fault over dense inputs (`mxref.faults.probes`): a fault with a row must agree everywhere
with the correct model, and one without a row must differ somewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from mxref.faults import dots, tensors

__all__ = ["REASONS", "reason_for"]

_EMAX_ABOVE_ZERO = ("mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4")

_FP6_FP4 = ("e3m2", "e2m3", "e2m1")
_BLOCKS_OF = MappingProxyType(
    {
        "e4m3": "mxfp8_e4m3",
        "e5m2": "mxfp8_e5m2",
        "e3m2": "mxfp6_e3m2",
        "e2m3": "mxfp6_e2m3",
        "e2m1": "mxfp4",
        "int8": "mxint8",
    }
)

_Key = tuple[str, str, str, str]

_FNUZ = "In OCP's formats 0x80 is -0, which is right. Only in FNUZ formats 0x80 is NaN."
_FNUZ_INT8 = (
    "The model sets a sign bit that INT8 does not have. Who stores it all the same writes -2 for a "
    "negative value that underflows: a check names that, and no vector has it as a fault."
)
_NAN_SCALE = (
    "An infinity or a NaN makes the scale NaN, and the element codes under it do not matter."
)
_POWER = (
    "1 / X is a power of two that float32 holds, so that multiplying by it is dividing; what "
    "leaves float32 below is far below every element."
)
_NO_TENSOR_SCALE = "MX has no second scale: it is 1, and so are its inverse and its absence."
_NO_254 = "With emax of 2 or more no finite amax gives the scale code 254."
_EXPONENTS = "No finite amax has an exponent above 127 once emax is subtracted."
_TOO_SMALL = "An amax of 2^-126 or less gives the scale code 0 anyway once emax is subtracted."
_UNUSED = "The block is all zeros, and the scale of such a block may be any."
_CLAMPS = "Out-of-range values are clamped in this format: MX-1.0/6.3/clamp leaves no choice."
_NO_SCALE = "A lone element has no scale."


def _proven() -> Iterator[tuple[_Key, str]]:
    """Models that agree everywhere with the correct one."""
    for fmt, reason in (("e4m3", _FNUZ), ("e5m2", _FNUZ), ("int8", _FNUZ_INT8)):
        yield ("E20", "*", "encode", fmt), reason
        yield ("E20", "*", "quantize", _BLOCKS_OF[fmt]), reason
    yield ("S12", "amax 1 in place of one 0", "quantize", "*"), _UNUSED
    yield ("S16", "*", "quantize", "*"), _NO_TENSOR_SCALE
    yield ("E6", "*", "quantize", "*"), _POWER
    for fmt in _EMAX_ABOVE_ZERO:
        yield ("D17", "*", "quantize", fmt), _NO_254
        above = "the code wraps modulo 256, above the range only"
        yield ("S11", above, "quantize", fmt), _EXPONENTS
        for tiny in ("subnormal amax flushed to zero", "amax at least 1.18e-38"):
            yield ("S11", tiny, "quantize", fmt), _TOO_SMALL
    far = "The scale brings every finite value below 2^(emax + 1) = 512."
    yield ("E14", "NaN for large finite values", "quantize", "mxfp8_e4m3"), far
    for fault in ("E16", "E17", "E18"):
        yield (fault, "*", "quantize", "*"), _NAN_SCALE


def _meaningless() -> Iterator[tuple[_Key, str]]:
    """Faults of which an operation has no model in a format: nothing there can go wrong so."""
    yield ("D15", "*", "*", "*"), "A scale of E8M0 has no mantissa that could be dropped."
    yield ("G2", "*", "*", "*"), _NO_TENSOR_SCALE
    yield ("S17", "*", "quantize", "*"), "The scale of a block is no cast of a number to E8M0."
    yield ("S4", "*", "quantize", "mxint8"), "The emax of INT8 is 0: there is nothing to subtract."
    yield ("E6", "*", "encode", "*"), _NO_SCALE
    for fmt in _BLOCKS_OF:
        for fault in ("D9", "D10", "D11", "D12", "D13", "D16", "D17"):
            yield (fault, "*", "decode", fmt), _NO_SCALE
    yield ("D14", "*", "dequantize", "*"), "Every block has a scale."
    yield ("D16", "*", "dequantize", "*"), "One scale is not packed into a word with others."
    yield ("D17", "*", "dequantize", "*"), "Decoding multiplies by the scale: none is inverted."
    for fmt in ("e3m2", "e2m3", "e2m1", "int8"):
        for fault in ("E13", "E14", "E16"):
            yield from _of_elements(fault, "encode", fmt, _CLAMPS)
        yield from _of_elements("D3", "decode", fmt, "The format has no NaN.")
        fnuz = "FNUZ is a dialect of the 8-bit floating-point formats."
        yield from _of_elements("E24", "encode", fmt, fnuz)
    for fmt in ("e4m3", "e3m2", "e2m3", "e2m1", "int8"):
        yield from _of_elements("D4", "decode", fmt, "The format has no infinity.")
    for fmt in _FP6_FP4:
        yield from _of_elements("E20", "encode", fmt, "FNUZ formats have 8 bits.")
    ones = "The mantissa of the largest number is all ones: the mask keeps every mantissa."
    for fmt in ("e5m2", "e3m2", "e2m3", "e2m1", "int8"):
        yield from _of_elements("E4", "encode", fmt, ones)
    integer = "INT8 is an integer: it has no exponent, no subnormals and no negative zero."
    for fault in ("E5", "E7", "E8", "E9", "E10", "E12", "E19"):
        yield from _of_elements(fault, "encode", "int8", integer)
    for fault in ("D1", "D2", "D7", "D8", "E24"):
        yield from _of_elements(fault, "decode", "int8", integer)


def _of_elements(fault: str, operation: str, fmt: str, reason: str) -> Iterator[tuple[_Key, str]]:
    """The same of lone elements and of blocks of them."""
    of_blocks = "quantize" if operation == "encode" else "dequantize"
    yield (fault, "*", operation, fmt), reason
    yield (fault, "*", of_blocks, _BLOCKS_OF[fmt]), reason


def _of_tensors() -> Iterator[tuple[_Key, str]]:
    """What the models of dot products and of tensors say of themselves."""
    yield from tensors.EQUIVALENT.items()
    for fault, reason in dots.NOT_EXPRESSIBLE.items():
        yield (fault, "*", "dot", "*"), reason


REASONS: Mapping[tuple[str, str, str, str], str] = MappingProxyType(
    dict((*_of_tensors(), *_meaningless(), *_proven()))
)
"""Why a fault cannot show: by fault id, detail, operation and format, ``"*"`` for every one.

Examples
--------
>>> REASONS["S16", "*", "quantize", "*"]
'MX has no second scale: it is 1, and so are its inverse and its absence.'
"""


def reason_for(fault: str, detail: str, operation: str, fmt: str) -> str | None:
    """Return why no input shows a fault; None where one can.

    Parameters
    ----------
    fault, detail : str
        Id of a fault, and which variant of it.
    operation, fmt : str
        Where it would have to show; the name of a format, or of two with a dash.

    Examples
    --------
    >>> reason_for("E20", "", "encode", "e5m2") == reason_for("E20", "", "encode", "e4m3")
    True
    >>> reason_for("E2", "", "encode", "e4m3") is None
    True
    """
    for some_detail in (detail, "*"):
        for some_operation in (operation, "*"):
            for some_format in (fmt, "*"):
                found = REASONS.get((fault, some_detail, some_operation, some_format))
                if found is not None:
                    return found
    return None
