"""Triton kernels for `record.py`: one tile a program, K in a loop with one accumulator.

a is (M, K) and b is (N, K), rows packed as Triton wants them; scales are (rows, K / 32).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def _dot_kernel(  # noqa: PLR0917  # Triton passes arguments by position
    a, b, c, d, N, K, ADDEND: tl.constexpr, IMPRECISE: tl.constexpr, HALF: tl.constexpr,
    SEPARATE: tl.constexpr, PRECISION: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
    BK: tl.constexpr,
):  # fmt: skip
    m = tl.program_id(1) * BM + tl.arange(0, BM)
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    total = tl.zeros((BM, BN), tl.float16 if HALF else tl.float32)
    if ADDEND:
        total = tl.load(c + m[:, None] * N + n[None, :])
    for k0 in range(0, K, BK):
        inside = (k0 + k) < K
        x = tl.load(a + m[:, None] * K + (k0 + k)[None, :], mask=inside[None, :], other=0.0)
        y = tl.load(b + n[None, :] * K + (k0 + k)[:, None], mask=inside[:, None], other=0.0)
        if SEPARATE:
            total += tl.dot(x, y, out_dtype=total.dtype, input_precision=PRECISION)
        else:
            total = tl.dot(
                x, y, total, max_num_imprecise_acc=IMPRECISE, out_dtype=total.dtype,
                input_precision=PRECISION,
            )  # fmt: skip
    tl.store(d + m[:, None] * N + n[None, :], total)


@triton.jit
def _scaled_kernel(  # noqa: PLR0917  # likewise
    a, a_scales, b, b_scales, d, N, K, AT: tl.constexpr, BT: tl.constexpr, AP: tl.constexpr,
    BP: tl.constexpr, AS: tl.constexpr, BS: tl.constexpr, FAST: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    m = tl.program_id(1) * BM + tl.arange(0, BM)
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    ka = tl.arange(0, BK // AP)
    kb = tl.arange(0, BK // BP)
    ks = tl.arange(0, BK // 32)
    total = tl.zeros((BM, BN), tl.float32)
    for k0 in range(0, K, BK):
        x = tl.load(a + m[:, None] * (K // AP) + (k0 // AP + ka)[None, :])
        y = tl.load(b + n[None, :] * (K // BP) + (k0 // BP + kb)[:, None])
        xs = None
        ys = None
        if AS:
            xs = tl.load(a_scales + m[:, None] * (K // 32) + (k0 // 32 + ks)[None, :])
        if BS:
            ys = tl.load(b_scales + n[:, None] * (K // 32) + (k0 // 32 + ks)[None, :])
        total = tl.dot_scaled(x, xs, AT, y, ys, BT, total, fast_math=FAST)
    tl.store(d + m[:, None] * N + n[None, :], total)


def dot(
    a, b, *, imprecise=None, half=False, separate=False, precision=None, tile=(64, 64, 64),
    warps=4, c=None,
):  # fmt: skip
    m, k = a.shape
    n = b.shape[0]
    d = torch.empty((m, n), dtype=torch.float16 if half else torch.float32, device="cuda")
    bm, bn, bk = tile
    compiled = _dot_kernel[(n // bn, m // bm)](
        a,
        b,
        d if c is None else c,
        d,
        n,
        k,
        c is not None,
        imprecise,
        half,
        separate,
        precision,
        bm,
        bn,
        bk,
        num_warps=warps,
    )
    return d, compiled


def dot_scaled(
    a, a_scales, a_type, b, b_scales, b_type, k, *, tile=(64, 64, 64), warps=4, fast=False
):
    m, n = a.shape[0], b.shape[0]
    d = torch.empty((m, n), dtype=torch.float32, device="cuda")
    bm, bn, bk = tile
    pack = {"e2m1": 2}
    compiled = _scaled_kernel[(n // bn, m // bm)](
        a, a_scales if a_scales is not None else a, b, b_scales if b_scales is not None else b, d,
        n, k, a_type, b_type, pack.get(a_type, 1), pack.get(b_type, 1), a_scales is not None,
        b_scales is not None, fast, bm, bn, bk, num_warps=warps,
    )  # fmt: skip
    return d, compiled
