"""AMD's matrix instructions, CDNA1 to CDNA3, over whole products.

None of them takes block scales. Software multiplies them into the operands first, and so does a
model here: it takes each element times its scale in the operand type of the instruction, and
refuses a product of which some operand has no exact value there.

* CDNA1 and CDNA2 round each product to float32, sum neighbours pairwise in float32 and add the sum
  of a group to the accumulator; nothing is lost in alignment. CDNA2 reads subnormal operands and
  addends as +0 and makes zeros of subnormal results.
* CDNA3 cuts each product of a group 24 bits below the greatest exponent, towards zero, and sums
  what is left exactly. With the accumulator the greater exponent leads again: the sum keeps 31 bits
  below it and the accumulator 24, both rounded down, and the result is rounded to nearest even. FP8
  sums even and odd products apart, joins the two rounded down to 24 bits, and leaves out an
  accumulator more than 25 places below.

The groups run along K; where K is no multiple of a group, zeros fill the last one. The FP8 operands
of CDNA3 are the FNUZ types: E4M3 with bias 8, up to 240, and E5M2 with bias 16, neither with an
infinity. The models take OCP codes for the values that they mean, as far as these types have them.
What is unknown: the bits of a NaN (0x7FC00000 here), and the whole of CDNA4's scaled instructions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref.formats import BlockFormat
from mxref.matmul._accumulator import Accumulator
from mxref.matmul._operands import Operands
from mxref.matmul._panels import (
    OperandType,
    Side,
    Table,
    first_not_held,
    has_infinity,
    held_table,
    result_of,
)

__all__ = ["ACCUMULATORS"]

BFLOAT16 = OperandType("bfloat16", digits=8, emin=-126, emax=127, has_infinity=True)
FLOAT16 = OperandType("float16", digits=11, emin=-14, emax=15, has_infinity=True)
E4M3_FNUZ = OperandType("E4M3 FNUZ", digits=4, emin=-7, emax=7, has_infinity=False)
E5M2_FNUZ = OperandType("E5M2 FNUZ", digits=3, emin=-15, emax=15, has_infinity=False)

OVERFLOW = 127  # exponents of this sum and more may make a product of 2**128


class _Instruction(NamedTuple):
    """How one family of instructions sums; the operand type None stands for either FP8 type."""

    operand: OperandType | None
    group: int
    is_fused: bool
    is_flushed: bool = False

    def type_of(self, fmt: BlockFormat) -> OperandType:
        if self.operand is not None:
            return self.operand._replace(is_flushed=self.is_flushed)
        return E5M2_FNUZ if fmt.element.name == "e5m2" else E4M3_FNUZ

    def tables(self, operands: Operands) -> tuple[Table, Table]:
        a, b = operands.a_format, operands.b_format
        return held_table(a.element, self.type_of(a)), held_table(b.element, self.type_of(b))

    def refuses(self, operands: Operands) -> str:
        """Why the instruction cannot be given these operands, if so."""
        sides = (("a", operands.a_format), ("b", operands.b_format))
        for (side, fmt), table in zip(sides, self.tables(operands), strict=True):
            place = first_not_held(operands, side, table)
            if place is not None:
                row, k = place
                where = f"[{row}, {k}]" if side == "a" or operands.is_paired else f"[{k}, {row}]"
                return (
                    f"the instruction takes {self.type_of(fmt).name} operands and no scales, and "
                    f"{side}{where} times its scale has no exact value there"
                )
        return ""

    def run(self, operands: Operands) -> NDArray[np.float32]:
        """Sum a whole product."""
        has_inf = has_infinity(operands)
        digits = [self.type_of(fmt).digits for fmt in (operands.a_format, operands.b_format)]
        point = digits[0] + digits[1] - 2

        def step(a: Side, b: Side, acc: NDArray[np.uint32]) -> None:
            from mxref.kernels import sums_amd

            if self.is_fused:
                may_overflow = int(a.fields[1].max()) + int(b.fields[1].max()) >= OVERFLOW
                sums_amd.fused_sums(
                    a.fields,
                    b.fields,
                    acc,
                    self.group,
                    2 if self.operand is None else 1,
                    point,
                    has_special=has_inf or may_overflow,
                    is_paired=operands.is_paired,
                )
            else:
                sums_amd.pairwise_sums(
                    a.values(digits[0]),  # one type on both sides
                    b.values(digits[0]),
                    acc,
                    self.group,
                    is_flushed=self.is_flushed,
                    is_paired=operands.is_paired,
                )

        tables = self.tables(operands)
        return result_of(operands, tables, self.group, step, is_addend_flushed=self.is_flushed)


_SOURCE = (
    "MMA-Sim (Xie et al., arXiv 2511.10909), whose authors validated it on the hardware; read at "
    "commit c785138"
)
_EVIDENCE = (
    "written from its description; equal to MMA-Sim on random products. No recording of hardware "
    "was at hand; the bits of NaN and the sign of a zero are unverified"
)


def _model(name: str, text: str, instruction: _Instruction) -> Accumulator:
    return Accumulator(
        name=name,
        text=text,
        dtype="float32",
        run=instruction.run,
        refuses=instruction.refuses,
        source=_SOURCE,
        evidence=_EVIDENCE,
    )


ACCUMULATORS: tuple[Accumulator, ...] = (
    _model(
        "amd-cdna1-bf16",
        "by CDNA1's bfloat16 instructions: pairs in float32, each added to the accumulator",
        _Instruction(BFLOAT16, group=2, is_fused=False),
    ),
    _model(
        "amd-cdna1-f16",
        "by CDNA1's float16 instructions: four products pairwise in float32, then added",
        _Instruction(FLOAT16, group=4, is_fused=False),
    ),
    _model(
        "amd-cdna2-bf16",
        "by CDNA2's bfloat16 instructions (those called _1k): four products pairwise in float32, "
        "then added; subnormals are zeros",
        _Instruction(BFLOAT16, group=4, is_fused=False, is_flushed=True),
    ),
    _model(
        "amd-cdna2-f16",
        "by CDNA2's float16 instructions: four products pairwise in float32, then added; "
        "subnormals are zeros",
        _Instruction(FLOAT16, group=4, is_fused=False, is_flushed=True),
    ),
    _model(
        "amd-cdna3-bf16",
        "by CDNA3's bfloat16 instructions: eight products cut at 24 bits, then the accumulator",
        _Instruction(BFLOAT16, group=8, is_fused=True),
    ),
    _model(
        "amd-cdna3-f16",
        "by CDNA3's float16 instructions: eight products cut at 24 bits, then the accumulator",
        _Instruction(FLOAT16, group=8, is_fused=True),
    ),
    _model(
        "amd-cdna3-fp8",
        "by CDNA3's FP8 instructions (FNUZ): sixteen products, even and odd ones apart, cut at "
        "24 bits, then the accumulator",
        _Instruction(None, group=16, is_fused=True),
    ),
)
