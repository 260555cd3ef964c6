"""Instruction models of NVIDIA's tensor cores, from Volta to Blackwell.

All have one form, the *fused sum*: the exponents of some products, and of the running sum, are
compared; every addend is aligned to the largest and cut off a fixed number of bits below it; the
sum is exact and is rounded once, toward zero for float32 and to nearest even for float16. What
differs is how many products, how many bits, and the type of the result. Exponents are those stored
in the operands, so that a subnormal is not normalised first.

A whole product of matrices takes K in steps of the instruction, in order, with one running sum that
begins with the addend. Other orders belong to software; the models of `mxref.matmul.software` are
built on these. If K is no multiple of the step, zeros complete it; they change nothing.

FP8 has two ways into a Hopper or a B200. Their own instructions (``wgmma``, ``tcgen05``) are fused
sums of 32 products: ``nv-hopper-fp8``, ``nv-blackwell-fp8``. The older ``mma.sync`` is none of
theirs: it converts to float16, sums 16 and 16 products from zero, and adds the addend last, to
nearest even (``nv-hopper-mma-fp8``, ``nv-blackwell-mma-fp8``). Ada's ``mma.sync`` is its own.

Where the scales of blocks enter:

* ``mxf8f6f4`` and ``mxf4`` take them in the instruction;
* float16 and bfloat16 instructions take each element times its scale, which must be exactly such a
  number;
* FP8 instructions have no place for a scale: every scale code must be 127, which is 1. FP6 and FP4
  elements go to those of Ada and Hopper as E4M3, which holds all their values.

Overflow gives infinity, in float32 too, although rounding is toward zero. A sum of zero, and what
is rounded to zero, is +0. Any NaN in it makes a result 0x7FFFFFFF (float16: 0x7FFF), and so do an
infinity times zero and infinities of both signs. mxf4nvf4 with its E4M3 scales is in
`mxref.matmul.nvidia_nvfp4`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.formats import BlockFormat, Kind
from mxref.kernels.sums_fused import FusedSum, Side, fused_sums
from mxref.matmul import _hardware_operands as hardware
from mxref.matmul._accumulator import Accumulator
from mxref.matmul._operands import Operands

__all__ = ["ACCUMULATORS", "INSTRUCTIONS", "Instruction", "as_float16", "as_float32", "codes_of"]

Take = Callable[[NDArray[np.uint8], NDArray[np.uint8], BlockFormat], Side]
Check = Callable[[str, NDArray[np.uint8], NDArray[np.uint8], BlockFormat], str]

_SIM = "MMA-Sim (arXiv 2511.10909)"
_MATLAB = "MATLAB-tensor-core (arXiv 2512.07004)"
_ONE = 127
_STEPS = 32  # products of an FP8 instruction

# FP8 `mma.sync` of an H100 or a B200 is made of two float16 instructions. The conversion of four
# bytes fills two registers: the first takes items 0 and 1 of every four, the other the rest.
_IN_TWO = (*(k for k in range(32) if k % 4 < 2), *(k for k in range(32) if k % 4 >= 2))


@dataclass(frozen=True, slots=True)
class Instruction:
    """What a tensor core does, and with which operands.

    Attributes
    ----------
    name : str
    rule : FusedSum
        The sum.
    take : callable
        From codes, scales and format to the operand as the instruction sees it.
    check : callable
        From the operand's name, codes, scales and format to why it cannot be taken, or "".
    text, source, evidence : str
        As in `Accumulator`.
    """

    name: str
    rule: FusedSum
    take: Take
    check: Check
    text: str
    source: str
    evidence: str

    @property
    def dtype(self) -> str:
        """The type of the result: ``"float32"`` or ``"float16"``."""
        return "float16" if self.rule.output == "float16" else "float32"

    def run(self, operands: Operands) -> NDArray[Any]:
        """Sum the products of matrices in steps of the instruction."""
        return self.run_by(operands, self.rule)

    def run_by(self, operands: Operands, rule: FusedSum) -> NDArray[Any]:
        """As `run` by another rule, such as the same with a restart."""
        o = operands
        a = self.take(o.a_codes, o.a_scales, o.a_format)
        b = self.take(o.b_codes, o.b_scales, o.b_format)
        addend = None if o.c is None else codes_of(o.c, self.dtype)
        sums = fused_sums(a, b, addend, rule, is_paired=o.is_paired)
        return as_float16(sums) if self.dtype == "float16" else as_float32(sums)

    def refuses(self, operands: Operands) -> str:
        """Return why the instruction cannot take the operands, or ""."""
        o = operands
        return self.check("a", o.a_codes, o.a_scales, o.a_format) or self.check(
            "b", o.b_codes, o.b_scales, o.b_format
        )

    def accumulator(self) -> Accumulator:
        """Return the instruction as an accumulation model."""
        return Accumulator(
            self.name,
            self.text,
            self.dtype,
            self.run,
            self.refuses,
            source=self.source,
            evidence=self.evidence,
        )


def codes_of(c: NDArray[Any], dtype: str) -> NDArray[np.uint32]:
    """Return an addend as codes of float32 or float16, rounded to nearest even.

    Examples
    --------
    >>> [hex(code) for code in codes_of(np.array([1.0, -2.0]), "float16")]
    ['0x3c00', '0xc000']
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if dtype == "float16":
            wide = c if c.dtype.kind == "f" else c.astype(np.float32)
            return wide.astype(np.float16).view(np.uint16).astype(np.uint32)
        return np.ascontiguousarray(c.astype(np.float32)).view(np.uint32)


def as_float32(codes: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Return float32 codes as numbers."""
    return codes.view(np.float32)


def as_float16(codes: NDArray[np.uint32]) -> NDArray[np.float16]:
    """Return float16 codes, held in the low half, as numbers."""
    return codes.astype(np.uint16).view(np.float16)


# --- operands --------------------------------------------------------------------------------


def _converted(narrow: hardware.Narrow) -> tuple[Take, Check]:
    def take(codes: NDArray[np.uint8], scales: NDArray[np.uint8], fmt: BlockFormat) -> Side:
        return hardware.converted_side(codes, scales, fmt, narrow)[0]

    def check(
        name: str, codes: NDArray[np.uint8], scales: NDArray[np.uint8], fmt: BlockFormat
    ) -> str:
        where = hardware.first_misfit(codes, scales, fmt, narrow)
        if where is None:
            return ""
        row, k = where
        return (
            f"the instruction takes {narrow.name}, and element {k} of row {row} of {name}, code "
            f"{codes[row, k]:#04x} of {fmt.name} under scale code "
            f"{scales[row, k // fmt.block_size]}, is no {narrow.name} number; expected every "
            "element times its scale to be one. Models of whole programs, such as "
            "'triton-dot-scaled-hopper', say what their software makes of it"
        )

    return take, check


def _fp8(codes: NDArray[np.uint8], _: NDArray[np.uint8], fmt: BlockFormat) -> Side:
    if fmt.element.is_fp8:
        return hardware.unscaled_side(codes, fmt)
    return hardware.converted_side(codes, None, fmt, hardware.E4M3)[0]


def _narrow(codes: NDArray[np.uint8], _: NDArray[np.uint8], fmt: BlockFormat) -> Side:
    return hardware.unscaled_side(codes, fmt)


def _float16_of_fp8(codes: NDArray[np.uint8], _: NDArray[np.uint8], fmt: BlockFormat) -> Side:
    return hardware.converted_side(codes, None, fmt, hardware.FLOAT16)[0]


def _scaled(codes: NDArray[np.uint8], scales: NDArray[np.uint8], fmt: BlockFormat) -> Side:
    # Both scales of a zero product count: MMA-Sim gives each zero operand the exponent -126.
    return hardware.scaled_side(codes, scales, fmt, zero=-126)


def _grouped(codes: NDArray[np.uint8], scales: NDArray[np.uint8], fmt: BlockFormat) -> Side:
    return hardware.grouped_side(codes, scales, fmt, 16)


def _is_unscaled(
    name: str, codes: NDArray[np.uint8], scales: NDArray[np.uint8], fmt: BlockFormat
) -> str:
    if fmt.element.kind is Kind.FIXED:
        return _no_element(name, fmt, "FP8 (and FP6 or FP4)")
    wrong = scales != _ONE
    if not wrong.any() or not codes.size:
        return ""
    row, block = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return (
        f"the instruction takes no block scales, and block {block} of row {row} of {name} has scale"
        f" code {scales[row, block]}; expected 127, which is 1, everywhere. 'nv-blackwell-mxf8f6f4'"
        " takes scales in the instruction, 'nv-hopper-bf16' on its operands; a program that applies"
        " them to results has a model of its own in mxref.matmul.software"
    )


def _has_blocks(multiple: int, elements: str, *, only: str = "") -> Check:
    def check(name: str, _: NDArray[np.uint8], scales: NDArray[np.uint8], fmt: BlockFormat) -> str:
        del scales
        if fmt.element.kind is Kind.FIXED or (only and fmt.element.name != only):
            return _no_element(name, fmt, elements)
        if fmt.block_size % multiple:
            return (
                f"the instruction takes one scale for {multiple} elements, and {name} has blocks "
                f"of {fmt.block_size}; expected a multiple of {multiple}"
            )
        return ""

    return check


def _no_element(name: str, fmt: BlockFormat, elements: str) -> str:
    return (
        f"the instruction takes {elements} elements, and {name} is {fmt.name}; 'nv-hopper-bf16' "
        "takes every format whose scaled values are bfloat16 numbers"
    )


# --- the instructions ------------------------------------------------------------------------


def _words(rule: FusedSum) -> str:
    """Say what a rule does, to stand behind "summed"."""
    target = {
        "float32": "cut off to float32",
        "e8m13": "cut off to 13 fractional bits of a float32",
        "float16": "rounded to float16",
    }[rule.output]
    counted = f"{rule.terms} products and the running sum at a time"
    if rule.exact > 1:
        n = rule.terms // rule.exact
        counted = f"exactly over {rule.exact} products, {n} such sums and the running sum at a time"
    text = f"{counted}, cut off {rule.fraction} bits below the largest exponent, {target}"
    if rule.restart:
        text += f"; every {rule.restart} products anew from zero, then added to what came before"
    return text


def _wide(generation: str, rule: FusedSum, floor16: int, evidence: str) -> list[Instruction]:
    """The float16 and bfloat16 instructions of a generation."""
    found = []
    for name, narrow in (("fp16", hardware.FLOAT16), ("bf16", hardware.BFLOAT16)):
        if name == "bf16" and generation in {"volta", "turing"}:
            continue
        take, check = _converted(narrow)
        full = f"nv-{generation}-{name}"
        text = f"as {narrow.name} operands, {_words(rule)}"
        found.append(Instruction(full, rule, take, check, text, f"{_SIM}; {_MATLAB}", evidence))
        if name == "fp16":
            half = rule.replace(output="float16", floor=floor16)
            text = f"as {narrow.name} operands, {_words(half)}"
            full += "-f16"
            found.append(Instruction(full, half, take, check, text, f"{_SIM}; {_MATLAB}", evidence))
    return found


def _eight(
    name: str, rule: FusedSum, source: str, evidence: tuple[str, str], take: Take = _fp8
) -> list[Instruction]:
    """An FP8 instruction with either output; `evidence` is that of float32, then of float16."""
    half = rule.replace(output="float16")
    return [
        Instruction(full, one, take, _is_unscaled, _words(one), source, known)
        for full, one, known in zip((name, f"{name}-f16"), (rule, half), evidence, strict=True)
    ]


_ROWS = f"5000 dot products per format and output, recorded by {_MATLAB}"
_BY_AUTHORS = "compared with hardware by the authors of MMA-Sim; not by us"
_CONVERTED = "converted for two float16 instructions, the addend last"
_HERE = "our own recordings on an H100, tests/matmul/recordings"
_AS_TWO = FusedSum(16, 25, restart=_STEPS, order=_IN_TWO)

INSTRUCTIONS: tuple[Instruction, ...] = (
    *_wide("volta", FusedSum(4, 23), -19, f"{_ROWS}: V100"),
    *_wide("turing", FusedSum(8, 24, floor=-132), -20, _BY_AUTHORS),
    *_wide("ampere", FusedSum(8, 24, floor=-132), -20, f"{_ROWS}: A100, A2"),
    *_wide("ada", FusedSum(8, 24, floor=-132), -20, f"{_ROWS}: RTX 1000 Ada, L40S"),
    *_wide("hopper", FusedSum(16, 25), -21, f"{_ROWS}: H100, H200; {_HERE}"),
    *_wide("blackwell", FusedSum(16, 25), -21, f"{_ROWS}: B200"),
    *_eight(
        "nv-ada-fp8",
        FusedSum(16, 13, "e8m13"),
        f"{_SIM}; {_MATLAB}: mma.sync m16n8k32, two halves of 16",
        (f"{_ROWS}: RTX 1000 Ada, L40S", f"{_ROWS}: RTX 1000 Ada"),
    ),
    *_eight(
        "nv-hopper-fp8",
        FusedSum(32, 13, "e8m13"),
        f"{_SIM}; {_MATLAB}: wgmma k32",
        (f"{_ROWS}: H100, H200 (addend zero); {_HERE}", _HERE),
    ),
    *_eight(
        "nv-hopper-mma-fp8",
        _AS_TWO,
        f"{_MATLAB}, our reading of its data: mma.sync m16n8k32 on sm_90, {_CONVERTED}",
        (_HERE, f"{_ROWS}: H100, H200; {_HERE}"),
        _float16_of_fp8,
    ),
    *_eight(
        "nv-blackwell-fp8",
        FusedSum(32, 25),
        f"{_SIM}: tcgen05 kind::f8f6f4, and mma.sync of sm_120",
        (f"{_BY_AUTHORS}; E2M3 and E3M2 unvalidated",) * 2,
        _narrow,
    ),
    *_eight(
        "nv-blackwell-mma-fp8",
        _AS_TWO,
        f"{_MATLAB}, our reading of its data: mma.sync m16n8k32 on sm_100, {_CONVERTED}",
        (f"{_ROWS}: B200", f"{_ROWS}: B200"),
        _float16_of_fp8,
    ),
    Instruction(
        "nv-blackwell-mxf8f6f4",
        FusedSum(32, 25, floor=-126),
        _scaled,
        _has_blocks(32, "FP8, FP6 or FP4"),
        f"with scales in their exponents, {_words(FusedSum(32, 25))}",
        f"{_SIM}: tcgen05 kind::mxf8f6f4, and mma.sync of sm_120 with block scales",
        f"{_BY_AUTHORS}; E2M3 and E3M2 unvalidated",
    ),
    Instruction(
        "nv-blackwell-mxf4",
        FusedSum(64, 35, floor=-126, exact=16),
        _grouped,
        _has_blocks(16, "E2M1", only="e2m1"),
        _words(FusedSum(64, 35, exact=16)),
        f"{_SIM}: tcgen05 kind::mxf4, and mma.sync of sm_120 with block scales",
        _BY_AUTHORS,
    ),
)
"""All of them, in the order of their generations."""

ACCUMULATORS: tuple[Accumulator, ...] = tuple(one.accumulator() for one in INSTRUCTIONS)
