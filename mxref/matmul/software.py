"""Matrix products of whole programs on an NVIDIA Hopper GPU, predicted bit for bit.

A program is an instruction and what is around it: in which order K is taken, where partial sums are
added, where scales enter, how the result is rounded. Each function here gives the model of one;
those with default arguments, and some more, are listed by name. They were found by recording what
an H100 gave (torch 2.11.0+cu130 with cuBLAS 13.1.0.3, Triton 3.6.0, driver 580.159.04) and
compared with the recordings output by output; `tests/matmul/recordings` has the cases, the digests
of their outputs and the scripts. Other versions may do otherwise.

=================================  =============================================================
`torch_scaled_mm`                  ``torch._scaled_mm``, scales for a tensor or for its rows
`torch_scaled_mm_blocks`           the same with scales for 1x128 or 128x128 elements
`torch_mm`                         ``torch.mm`` of bfloat16, float16 or float32 operands
`triton_dot`                       ``tl.dot``
`triton_dot_scaled`                ``tl.dot_scaled``, which Hopper has no instruction for
=================================  =============================================================

What was found beside the order of summation:

* An FP8 `wgmma` keeps 13 fractional bits. With ``use_fast_accum=False``, torch begins a new sum
  every 128 of K and adds it to the rest in float32; Triton does so every
  ``max_num_imprecise_acc``.
* Where scales are for a whole tensor, ``torch._scaled_mm`` multiplies the sum by the float32
  product of both; for rows by that of b, then by that of a; each time rounded. For blocks of 128,
  the sum of each block is added by FMA: times the product of both factors, if one of them is for
  128x128, or first times that of a if both are for 1x128. A bias is added in float32; then the
  result is rounded to its type.
* ``tl.dot_scaled`` multiplies elements and scales in bfloat16. Scale code 0, 2^-127, acts as zero.
  The infinities and NaNs of E5M2 become numbers, from 2^16 on: a defect, OCP MX says that they
  are infinities and NaNs (MX-1.0/5.3/fp8).
* cuBLAS splits K between threadblocks where M and N are small and K is large, and adds the partial
  sums in order, in float32; each 128 (FP8) or 64 (16 bits) of K stays together. That is `splits`.
  Of 90 shapes, none was split for FP8 up to K = 4096 or for 16 bits up to K = 2048; beyond, large
  ones were not (FP8: 512 x 512 x 8192), small ones were, into 3 to 25 parts or more. It depends on
  shape, types and version: the grid of the kernel whose name has ``splitK`` says how many.
* ``torch.addmm`` of 16-bit types rounds the product to that type before it adds. The models
  hold with and without ``allow_*_reduced_precision_reduction``.
* Tiles of Triton with fewer than 64 rows mostly become `mma.sync`. FP8 then goes through float16,
  with 25 fractional bits instead of 13, and each thread's neighbours in K decide the order.
* The rest ran on these kernels as well: ``torch._scaled_grouped_mm`` is
  ``torch-scaled-mm-hopper-bf16`` (or ``-fast-bf16``) in each group, and JAX 0.11.2 gave
  ``torch-mm-*-hopper`` for bfloat16 and float16 and ``torch-scaled-mm-hopper-fast`` for FP8.

Recorded but not modelled: scales of blocks with split K (1x128 adds its parts in order; 128x128, at
256 x 256 x 8192, is not the sum of 2 to 8 equal parts), float32 products that cuBLAS
splits or gives to `gemv`, TF32, and ``tl.dot_scaled`` with an operand in float16.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from mxref.matmul._accumulator import Accumulator
from mxref.matmul._software_dots import torch_mm, triton_dot, triton_dot_scaled
from mxref.matmul._software_scaled_mm import torch_scaled_mm, torch_scaled_mm_blocks

__all__ = [
    "ACCUMULATORS",
    "torch_mm",
    "torch_scaled_mm",
    "torch_scaled_mm_blocks",
    "triton_dot",
    "triton_dot_scaled",
    "with_splits",
]

ACCUMULATORS: tuple[Accumulator, ...] = (
    *(
        torch_scaled_mm(fast=fast, output=output)
        for fast in (False, True)
        for output in ("float32", "bfloat16", "float16")
    ),
    *(
        torch_scaled_mm_blocks(shape=shape, output=output)
        for shape in ("1x128", "128x128")
        for output in ("float32", "bfloat16")
    ),
    torch_mm("bf16"),
    torch_mm("bf16", output="bfloat16"),
    torch_mm("fp16"),
    torch_mm("fp16", output="float16"),
    torch_mm("fp32"),
    triton_dot("fp8"),
    triton_dot("fp8", imprecise=32),
    triton_dot("fp8", imprecise=64),
    triton_dot("fp8", imprecise=128),
    triton_dot("fp8", output="float16"),
    triton_dot("fp8", instruction="mma"),
    triton_dot("bf16"),
    triton_dot("fp16"),
    triton_dot("fp16", output="float16"),
    triton_dot_scaled(),
    triton_dot_scaled(instruction="mma"),
)
"""The models with a name, in the order of the table above."""

_Build = Callable[..., Accumulator]
_SPLITTING: tuple[_Build, ...] = (
    *(
        functools.partial(torch_scaled_mm, fast=fast, output=output)
        for fast in (False, True)
        for output in ("float32", "bfloat16", "float16")
    ),
    *(
        functools.partial(torch_mm, kind, output=output)
        for kind, narrow in (("bf16", "bfloat16"), ("fp16", "float16"))
        for output in ("float32", narrow)
    ),
)


def with_splits(name: str) -> Accumulator | None:
    """Return the model of a name that ends in ``-split-N``, or None if it is none.

    Examples
    --------
    >>> with_splits("torch-mm-bf16-hopper-split-3").name
    'torch-mm-bf16-hopper-split-3'
    >>> with_splits("torch-mm-bf16-hopper-split-many") is None
    True
    """
    base, _, count = name.rpartition("-split-")
    if not count.isdecimal() or int(count) < 1:
        return None
    for build in _SPLITTING:
        if build().name == base:
            return build(splits=int(count))
    return None
