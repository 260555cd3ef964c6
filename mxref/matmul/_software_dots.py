"""``torch.mm``, ``tl.dot`` and ``tl.dot_scaled`` on Hopper."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.formats import BlockFormat
from mxref.kernels.sums_fused import FusedSum, Side, fused_sums
from mxref.matmul import _software_operands as prepared
from mxref.matmul._accumulator import Accumulator
from mxref.matmul._operands import Operands
from mxref.matmul._software_sums import number_of, plus, rounded, split_sums
from mxref.matmul._software_words import SOURCE, SUFFIX, check_name, check_splits, recorded
from mxref.matmul.nvidia import INSTRUCTIONS, codes_of
from mxref.matmul.orders import order

__all__ = ["torch_mm", "triton_dot", "triton_dot_scaled"]

_INSTRUCTIONS = {one.name: one for one in INSTRUCTIONS}
_TILE = 64  # of K: what cuBLAS never splits
_TYPES = {"bf16": "bfloat16", "fp16": "float16"}
_SCALED = ("e4m3", "e5m2", "e2m1")
_TRITON_BLOCK = 32
_SIXTEEN = "16 products and the running sum at a time with 25 fractional bits, cut off to float32"


def _in_order(width: int) -> tuple[int, ...]:
    """K as `mma.sync` takes it where a thread holds `width` neighbours: two of each a step."""
    items = range(8 * width)
    return tuple(k for j in range(0, width, 2) for k in items if k % width in (j, j + 1))


# --- torch.mm --------------------------------------------------------------------------------


def torch_mm(kind: str = "bf16", *, output: str = "float32", splits: int = 1) -> Accumulator:
    """Return the model of ``torch.mm``, and ``torch.addmm``, of operands scaled beforehand.

    Parameters
    ----------
    kind : str
        The type of the operands, elements times scales: ``"bf16"``, ``"fp16"`` or ``"fp32"``.
    output : str
        ``"float32"`` (``out_dtype``), or the type of the operands.
    splits : int
        Into how many parts cuBLAS splits K.

    Examples
    --------
    >>> torch_mm("bf16", output="bfloat16").name
    'torch-mm-bf16-hopper-bf16'
    """
    check_name("kind", kind, ("bf16", "fp16", "fp32"))
    check_splits(splits)
    if kind == "fp32":
        check_name("output", output, ("float32",))
        check_name("splits", splits, (1,))
        return _mm_float32()
    check_name("output", output, ("float32", _TYPES[kind]))
    instruction = _INSTRUCTIONS[f"nv-hopper-{kind}"]

    def run(o: Operands) -> NDArray[Any]:
        a = instruction.take(o.a_codes, o.a_scales, o.a_format)
        b = instruction.take(o.b_codes, o.b_scales, o.b_format)
        sums = split_sums(a, b, instruction.rule, splits, _TILE, is_paired=o.is_paired)
        if o.c is not None:
            addend = number_of(rounded(number_of(o.c), output))
            sums = plus(number_of(rounded(sums, output)), addend)
        return rounded(sums, output)

    name = f"torch-mm-{kind}-hopper{SUFFIX[output]}"
    name = name if splits == 1 else f"{name}-split-{splits}"
    return Accumulator(
        name,
        f"as torch.mm does on Hopper with {_TYPES[kind]} operands: {_SIXTEEN}"
        + (f", over {splits} parts of K, which are added in order" if splits > 1 else "")
        + ("" if output == "float32" else f", rounded to {output}"),
        output,
        run,
        instruction.refuses,
        source=SOURCE,
        evidence=recorded(name),
        point="OP-DOT-GROUPING",
    )


def _mm_float32() -> Accumulator:
    plain = order("float32-fma-sequential")

    def run(o: Operands) -> NDArray[Any]:
        return rounded(plus(plain.accumulate(o), np.zeros(1, np.float32)), "float32")

    def refuses(o: Operands) -> str:
        if o.c is not None:
            return "torch.mm takes no addend; expected c to be None"
        return plain.refusal(o)

    return Accumulator(
        "torch-mm-fp32-hopper",
        "as torch.mm does on Hopper with float32 operands (TF32 off): one product after the other, "
        "each added by FMA in float32",
        "float32",
        run,
        refuses,
        source=SOURCE,
        evidence=recorded("torch-mm-fp32-hopper"),
    )


# --- tl.dot ----------------------------------------------------------------------------------


def triton_dot(
    kind: str = "fp8", *, output: str = "float32", imprecise: int = 0, instruction: str = "wgmma"
) -> Accumulator:
    """Return the model of ``tl.dot`` in a loop over K, with one accumulator.

    Parameters
    ----------
    kind : str
        The type of the operands: ``"fp8"``, ``"bf16"`` or ``"fp16"``.
    output : str
        The type of the accumulator: ``"float32"``, or ``"float16"`` where the operands are FP8
        or float16. It begins with the addend.
    imprecise : int
        For FP8, ``max_num_imprecise_acc`` where that is not the default: 32 or a multiple. It must
        divide the K of one ``tl.dot``.
    instruction : str
        ``"wgmma"``, or ``"mma"``: what tiles with fewer than 64 rows get, and FP8 with
        ``max_num_imprecise_acc=0``, which Triton then computes in float16.

    Examples
    --------
    >>> triton_dot("fp8", imprecise=64).name
    'triton-dot-fp8-hopper-imprecise-64'
    """
    check_name("kind", kind, ("fp8", "bf16", "fp16"))
    check_name("instruction", instruction, ("wgmma", "mma"))
    check_name("output", output, ("float32",) if kind == "bf16" else ("float32", "float16"))
    is_small = kind == "fp8" and instruction == "mma"
    if imprecise % 32 or imprecise < 0 or (imprecise and (kind != "fp8" or is_small)):
        raise ValueError(
            f"imprecise is {imprecise}; expected a multiple of 32, and 0 for anything but FP8 "
            "operands of wgmma"
        )
    model = _INSTRUCTIONS[f"nv-hopper-{'mma-' if is_small else ''}{kind}{SUFFIX[output]}"]
    rule = model.rule.replace(restart=imprecise)
    if is_small:
        rule = model.rule.replace(restart=0, order=_in_order(4))

    def run(o: Operands) -> NDArray[Any]:
        return model.run_by(o, rule)

    name = f"triton-dot-{kind}-hopper" + ("-mma" if is_small else "") + SUFFIX[output]
    name += f"-imprecise-{imprecise}" if imprecise else ""
    how = "32 products at a time with 13 fractional bits"
    if kind != "fp8" or is_small:
        how = ("in float16, " if is_small else "") + "16 products at a time with 25 fractional bits"
    return Accumulator(
        name,
        f"as tl.dot does on Hopper with {_TYPES.get(kind, 'FP8')} operands: {how}"
        + (f", anew every {imprecise}, then added in float32" if imprecise else "")
        + (", in float16" if output == "float16" else ""),
        output,
        run,
        model.refuses,
        source=SOURCE,
        evidence=recorded(name),
        point="OP-DOT-GROUPING",
    )


# --- tl.dot_scaled ---------------------------------------------------------------------------


def triton_dot_scaled(*, instruction: str = "wgmma") -> Accumulator:
    """Return the model of ``tl.dot_scaled`` in a loop over K, with one accumulator.

    Parameters
    ----------
    instruction : str
        ``"wgmma"``, or ``"mma"``: what tiles with fewer than 64 rows get. There the order of K
        depends on how many elements a thread loads: four, or eight if one side is E2M1.

    Examples
    --------
    >>> triton_dot_scaled().name
    'triton-dot-scaled-hopper'
    """
    check_name("instruction", instruction, ("wgmma", "mma"))
    is_small = instruction == "mma"

    def run(o: Operands) -> NDArray[Any]:
        a = _in_bfloat16(o.a_codes, o.a_scales, o.a_format)
        b = _in_bfloat16(o.b_codes, o.b_scales, o.b_format)
        rule: FusedSum = _INSTRUCTIONS["nv-hopper-bf16"].rule
        if is_small:
            names = {o.a_format.element.name, o.b_format.element.name}
            rule = rule.replace(order=_in_order(8 if "e2m1" in names else 4))
        addend = None if o.c is None else codes_of(o.c, "float32")
        sums = fused_sums(a, b, addend, rule, is_paired=o.is_paired)
        return sums.view(np.float32)

    def refuses(o: Operands) -> str:
        for name, fmt in (("a", o.a_format), ("b", o.b_format)):
            if fmt.element.name not in _SCALED:
                return f"tl.dot_scaled takes E4M3, E5M2 and E2M1, and {name} is {fmt.name}"
        if o.block != _TRITON_BLOCK:
            return f"tl.dot_scaled takes blocks of 32; a and b have blocks of {o.block}"
        return ""

    name = "triton-dot-scaled-hopper" + ("-mma" if is_small else "")
    return Accumulator(
        name,
        "as tl.dot_scaled does on Hopper: elements times scales in bfloat16, then " + _SIXTEEN,
        "float32",
        run,
        refuses,
        source=SOURCE,
        evidence=recorded(name),
        point="OP-DOT-SCALE-PLACE",
    )


def _in_bfloat16(codes: NDArray[np.uint8], scales: NDArray[np.uint8], fmt: BlockFormat) -> Side:
    products = prepared.bfloat16_codes(codes, scales, fmt.element, fmt.block_size)
    return prepared.bfloat16_side(products)
