"""``torch._scaled_mm`` on Hopper: FP8 operands, factors on the result."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.kernels.sums_fused import Side
from mxref.matmul import _hardware_operands as hardware
from mxref.matmul import _software_operands as prepared
from mxref.matmul._accumulator import Accumulator
from mxref.matmul._operands import Operands
from mxref.matmul._software_sums import (
    block_sums,
    number_of,
    plus,
    rounded,
    split_sums,
    times_row_factors,
    times_tensor_factors,
)
from mxref.matmul._software_words import SOURCE, SUFFIX, check_name, check_splits, recorded
from mxref.matmul.nvidia import INSTRUCTIONS

__all__ = ["torch_scaled_mm", "torch_scaled_mm_blocks"]

_FP8 = {one.name: one for one in INSTRUCTIONS}["nv-hopper-fp8"].rule
_TILE = 128  # of K: what cuBLAS never splits
_PROMOTED = 128


def torch_scaled_mm(*, fast: bool = False, output: str = "float32", splits: int = 1) -> Accumulator:
    """Return the model of ``torch._scaled_mm`` with scales for tensors or for rows.

    Parameters
    ----------
    fast : bool
        ``use_fast_accum``.
    output : str
        ``"float32"``, ``"bfloat16"`` or ``"float16"``: ``out_dtype``.
    splits : int
        Into how many parts cuBLAS splits K.

    Returns
    -------
    Accumulator
        It takes E4M3 and E5M2 operands, of which each row has one scale along K. Are these equal in
        all rows of a and in all of b, it computes with two factors for the tensors, otherwise
        with one a row. An addend is the bias: one for each column, of the output's type.

    Examples
    --------
    >>> torch_scaled_mm(fast=True, output="bfloat16").name
    'torch-scaled-mm-hopper-fast-bf16'
    """
    check_name("output", output, tuple(SUFFIX))
    check_splits(splits)
    rule = _FP8 if fast else _FP8.replace(restart=_PROMOTED)

    def run(o: Operands) -> NDArray[Any]:
        a, b = _fp8_sides(o)
        sums = split_sums(a, b, rule, splits, _TILE, is_paired=o.is_paired)
        scaled = _times_scales(sums, o)
        if o.c is not None:
            scaled = plus(scaled, number_of(o.c))
        return rounded(scaled, output)

    def refuses(o: Operands) -> str:
        return (
            _not_fp8(o, "torch._scaled_mm")
            or _not_by_rows("a", o.a_scales)
            or _not_by_rows("b", o.b_scales)
            or _not_a_bias(o, output)
        )

    each = "anew every 128, then in float32" if not fast else "in one running sum"
    name = f"torch-scaled-mm-hopper{'-fast' if fast else ''}{SUFFIX[output]}"
    name = name if splits == 1 else f"{name}-split-{splits}"
    return Accumulator(
        name,
        f"as torch._scaled_mm does on Hopper: 32 products at a time with 13 fractional bits, {each}"
        + (f", over {splits} parts of K" if splits > 1 else "")
        + ("" if output == "float32" else f", then rounded to {output}"),
        output,
        run,
        refuses,
        source=SOURCE,
        evidence=recorded(name),
        point="OP-DOT-GROUPING",
    )


def torch_scaled_mm_blocks(*, shape: str = "1x128", output: str = "float32") -> Accumulator:
    """Return the model of ``torch._scaled_mm`` with a scale for each block of a and of b.

    Parameters
    ----------
    shape : str
        ``"1x128"``: both operands have a scale for each 128 of a row. ``"128x128"``: one of them
        has it for 128 rows together.
    output : str
        ``"float32"`` or ``"bfloat16"``.

    Examples
    --------
    >>> torch_scaled_mm_blocks(shape="128x128").name
    'torch-scaled-mm-hopper-128x128'
    """
    check_name("shape", shape, ("1x128", "128x128"))
    check_name("output", output, ("float32", "bfloat16"))
    steps = "a first" if shape == "1x128" else "factors first"

    def run(o: Operands) -> NDArray[Any]:
        a, b = _fp8_sides(o)
        of_a = prepared.scales_per(o.a_scales, o.block, o.k, _PROMOTED)
        of_b = prepared.scales_per(o.b_scales, o.block, o.k, _PROMOTED)
        if of_a is None or of_b is None:
            raise ValueError(refuses(o))
        factors = (prepared.factors(of_a), prepared.factors(of_b))
        sums = block_sums(a, b, factors, _FP8, order=steps, unit=_PROMOTED, is_paired=o.is_paired)
        return rounded(sums, output)

    def refuses(o: Operands) -> str:
        return (
            _not_fp8(o, "torch._scaled_mm")
            or _not_in_blocks("a", o.a_scales, o)
            or _not_in_blocks("b", o.b_scales, o)
            or ("" if shape == "1x128" else _not_in_squares(o))
            or _no_addend(o, "torch._scaled_mm with scales of blocks")
        )

    name = f"torch-scaled-mm-hopper-{shape}{SUFFIX[output]}"
    return Accumulator(
        name,
        f"as torch._scaled_mm does on Hopper with scales for {shape}: 32 products at a time with "
        "13 fractional bits, each 128 of K times its scales added in float32"
        + ("" if output == "float32" else f", then rounded to {output}"),
        output,
        run,
        refuses,
        source=SOURCE,
        evidence=recorded(name),
        point="OP-DOT-SCALE-PLACE",
    )


def _fp8_sides(o: Operands) -> tuple[Side, Side]:
    return (
        hardware.unscaled_side(o.a_codes, o.a_format),
        hardware.unscaled_side(o.b_codes, o.b_format),
    )


def _times_scales(sums: NDArray[np.float32], o: Operands) -> NDArray[np.float32]:
    of_a, of_b = prepared.row_scales(o.a_scales), prepared.row_scales(o.b_scales)
    if of_a is None or of_b is None:
        raise ValueError(_not_by_rows("a", o.a_scales) or _not_by_rows("b", o.b_scales))
    x, y = prepared.factors(of_a), prepared.factors(of_b)
    if sums.size and (of_a == of_a[0]).all() and (of_b == of_b[0]).all():
        return times_tensor_factors(sums, x[0], y[0])
    return times_row_factors(sums, x, y, is_paired=o.is_paired)


def _not_fp8(o: Operands, program: str) -> str:
    for name, fmt in (("a", o.a_format), ("b", o.b_format)):
        if not fmt.element.is_fp8:
            return f"{program} takes E4M3 and E5M2, and {name} is {fmt.name}"
    if o.a_format.element.name == o.b_format.element.name == "e5m2":
        return f"{program} takes no two E5M2 operands; expected one of them, at least, in E4M3"
    return ""


def _not_by_rows(name: str, scales: NDArray[np.uint8]) -> str:
    if prepared.row_scales(scales) is not None:
        return ""
    row = int((scales != scales[:, :1]).any(axis=1).argmax())
    what = "row" if name == "a" else "column"
    return (
        f"torch._scaled_mm takes one scale for a tensor or for each {what} of {name}, and {what} "
        f"{row} has several: {', '.join(map(str, np.unique(scales[row])[:4]))}; expected one scale "
        f"code along K. 'triton-dot-scaled-hopper' takes one for each block, "
        "'torch-scaled-mm-hopper-1x128' one for each 128"
    )


def _not_in_blocks(name: str, scales: NDArray[np.uint8], o: Operands) -> str:
    if prepared.scales_per(scales, o.block, o.k, _PROMOTED) is not None:
        return ""
    return (
        f"the program takes one scale for each 128 of K, and {name} has blocks of {o.block} whose "
        f"scales differ within them; expected blocks of 128: quantise with block_size=128"
    )


def _not_in_squares(o: Operands) -> str:
    for scales in (o.a_scales, o.b_scales):
        bands = (scales[i : i + _PROMOTED] for i in range(0, scales.shape[0], _PROMOTED))
        if all(bool((band == band[:1]).all()) for band in bands):
            return ""
    return (
        "the program takes one scale for 128 rows of a, or 128 columns of b, and 128 of K, and "
        "those of both operands differ between rows; 'torch-scaled-mm-hopper-1x128' takes such"
    )


def _not_a_bias(o: Operands, output: str) -> str:
    if o.c is None or not o.c.size:
        return ""
    if output == "float32":
        return "torch._scaled_mm takes no bias where the output is float32; expected c to be None"
    if not o.is_paired and not bool((o.c == o.c[:1]).all()):
        return (
            "torch._scaled_mm takes c as a bias, and its rows differ; expected one number for each "
            "column"
        )
    if bool((number_of(rounded(number_of(o.c), output)) != number_of(o.c)).any()):
        return f"torch._scaled_mm takes a bias of the output's type; expected c to hold {output}"
    return ""


def _no_addend(o: Operands, program: str) -> str:
    return "" if o.c is None else f"{program} takes no addend; expected c to be None"
