"""Instruction models of NVIDIA's tensor cores for NVFP4: ``mxf4nvf4`` and what follows it.

The instruction takes E2M1 elements with a UE4M3 scale for every 16. As in ``mxf4``, each 16
products are summed exactly; the sum is multiplied by the significands of both scales, still
exactly, and has the sum of their exponents. Four such sums and the running sum are aligned to the
largest exponent, cut off 35 bits below it, added, and cut off to float32. Exponents are those
stored: a scale that is subnormal has the exponent -6 and a significand below 1, one that is zero
-126. The sign bit of a scale has no meaning.

The global scales are not the instruction's. A program multiplies its result, in float32, by their
product, itself rounded to float32: the ``alpha`` of a GEMM. Where an addend comes in is the
program's choice too, and has a name here.

The instruction also takes UE8M0 scales for 32 elements or, since PTX 9.1, for 16. That is
``nv-blackwell-mxf4``, which takes MX arrays with blocks of either size.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.kernels.nvfp4_steady import steadily
from mxref.kernels.sums_fused import FusedSum, Side, fused_sums
from mxref.matmul._accumulator import Accumulator
from mxref.matmul._operands import Operands
from mxref.matmul._relatives import RelativeOperands, RelativeSide
from mxref.matmul._relatives_terms import folded_nvfp4
from mxref.matmul._software_sums import fused_multiply_add, plus, rounded
from mxref.matmul.nvidia import codes_of

__all__ = ["ACCUMULATORS"]

_NAME = "nv-blackwell-mxf4nvf4"
_RULE = FusedSum(64, 35, floor=-126, exact=16)
_BLOCK = 16
_NAN_SCALE = 0x7F
_NUMBER, _NAN = 1, 3  # classes of `kernels.sums_fused`


def _exponents() -> NDArray[np.int16]:
    codes = np.arange(256) & _NAN_SCALE
    return np.where(codes == 0, -126, np.maximum(codes >> 3, 1) - 7).astype(np.int16)


@functools.cache
def _tables() -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.int16]]:
    """Elements times significands, by both; significands of scales, moved up; their exponents."""
    size = np.arange(256) & _NAN_SCALE
    significands = (np.where(size >> 3 > 0, (size & 7) + 8, size & 7) << 4).astype(np.uint8)
    return folded_nvfp4().table.astype(np.int16), significands, _exponents()


def _side(side: RelativeSide) -> Side:
    """An operand as the instruction sees it: the significand of a scale in its 16 elements."""
    table, significands, exponents = _tables()
    k = side.codes.shape[1]
    shared = np.repeat(significands[side.scales], _BLOCK, axis=1)[:, :k]
    products = table[shared | side.codes]
    is_nan = (side.scales & _NAN_SCALE) == _NAN_SCALE
    if not is_nan.any():
        return Side(products, exponents[side.scales], -folded_nvfp4().unit)
    of_elements = np.repeat(is_nan, _BLOCK, axis=1)[:, :k]
    signs = np.where(products < 0, np.uint8(2), (products > 0).astype(np.uint8) * np.uint8(_NUMBER))
    classes = np.where(of_elements, np.uint8(_NAN), signs)
    products = np.where(of_elements, np.int16(0), products)
    return Side(products, exponents[side.scales], -folded_nvfp4().unit, classes)


def _alpha(operands: RelativeOperands) -> np.float32:
    with np.errstate(all="ignore"):
        return np.float32(operands.a.global_scale * operands.b.global_scale)


def _sums(operands: RelativeOperands, addend: NDArray[Any] | None) -> NDArray[np.float32]:
    codes = None if addend is None else codes_of(addend, "float32")
    sums = fused_sums(_side(operands.a), _side(operands.b), codes, _RULE)
    return sums.view(np.float32)


def _plain(operands: RelativeOperands) -> NDArray[Any]:
    """The instruction, and alpha behind it."""
    sums = _sums(operands, operands.c)
    return sums if _is_one(operands) else rounded(_times(sums, _alpha(operands)), "float32")


def _times(sums: NDArray[np.float32], alpha: np.float32) -> NDArray[np.float32]:
    with np.errstate(all="ignore"):
        return np.asarray(sums * alpha)


def _addend(operands: RelativeOperands) -> NDArray[np.float32]:
    c = np.zeros(operands.shape, np.float32) if operands.c is None else operands.c
    return codes_of(c, "float32").view(np.float32)


def _alpha_add(operands: RelativeOperands) -> NDArray[Any]:
    scaled = _times(_sums(operands, None), _alpha(operands))
    return rounded(plus(scaled, _addend(operands)), "float32")


def _alpha_fma(operands: RelativeOperands) -> NDArray[Any]:
    alpha = np.full((1, 1), _alpha(operands), np.float32)
    sums = fused_multiply_add(_sums(operands, None), alpha, _addend(operands))
    return rounded(sums, "float32")


def _is_one(operands: RelativeOperands) -> bool:
    return bool(operands.a.global_scale == 1 and operands.b.global_scale == 1)


def _refuses(operands: RelativeOperands) -> str:
    for name, side in (("a", operands.a), ("b", operands.b)):
        if side.family != "nvfp4":
            return f"the instruction takes NVFP4 operands on both sides, and {name} is {side.name}"
    return ""


def _refuses_plain(operands: RelativeOperands) -> str:
    if operands.c is not None and not _is_one(operands):
        return (
            "the instruction adds to its running sum, before the global scales; with an addend it "
            f"takes global scales of 1, or see '{_NAME}-alpha-add' and '{_NAME}-alpha-fma'"
        )
    return _refuses(operands)


def _no_mx(operands: Operands) -> str:
    return (
        "it takes NVFP4 operands, with E4M3 scales, and these are "
        f"{operands.a_format.name} and {operands.b_format.name}; 'nv-blackwell-mxf4' is the "
        "instruction for E2M1 elements with E8M0 scales"
    )


def _never(_: Operands) -> NDArray[Any]:
    raise ValueError("this model takes NVFP4 operands")


_SIM = "MMA-Sim (arXiv 2511.10909): tcgen05 kind::mxf4nvf4, and mma.sync of sm_120 with UE4M3"
_INSTRUCTION = (
    "exactly over 16 products, times the significands of both scales, 4 such sums and the running "
    "sum at a time, cut off 35 bits below the largest exponent, cut off to float32"
)
_BY_AUTHORS = (
    "compared with hardware by the authors of MMA-Sim; not by us. 186,816 results of ours are "
    "equal to their simulator's"
)
_ALPHA = "; alpha behind it is our reading of GEMM interfaces, unvalidated"
_MODELS = (
    ("", "; then times the global scales' product", "", _plain, _refuses_plain),
    (
        "-alpha-add",
        ", from zero on; times the global scales' product, rounded, plus the addend",
        "; CUTLASS 3 epilogues: beta * C is fused with the rounded alpha * sum",
        _alpha_add,
        _refuses,
    ),
    (
        "-alpha-fma",
        ", from zero on; times the global scales' product plus the addend, rounded once",
        "; CUTLASS 2 epilogues: alpha * sum is fused with the rounded beta * C",
        _alpha_fma,
        _refuses,
    ),
)

ACCUMULATORS: tuple[Accumulator, ...] = tuple(
    Accumulator(
        name=_NAME + suffix,
        text=_INSTRUCTION + text,
        dtype="float32",
        run=_never,
        refuses=_no_mx,
        source=_SIM + source,
        evidence=_BY_AUTHORS + _ALPHA,
        of_relatives=steadily(run),  # the epilogue is NumPy's arithmetic
        refuses_relatives=refuses,
    )
    for suffix, text, source, run, refuses in _MODELS
)
"""The instruction, alone and in the two orders of an epilogue."""
