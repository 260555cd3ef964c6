"""Replays of defects in stochastic rounding: zeros in place of an instruction, and one seed."""

from __future__ import annotations

import numpy as np
from replayed import E2M1, GITHUB, Replay, f32, magnitudes, with_nan, with_sign


def stochastic(t, x, random):
    """The sound one: 16 random bits for each element, added behind the last bit that is kept."""
    a = np.minimum(np.abs(np.nan_to_num(x)), t.max).astype(np.float64)
    grid = magnitudes(t)
    code = np.minimum(np.searchsorted(grid, a, side="right") - 1, t.top - 1)
    part = (a - grid[code]) / (grid[code + 1] - grid[code])
    code = code + (part * 65536 + random >= 65536)
    return with_nan(t, with_sign(t, code, x), x)


def transformer_engine(_t, x):
    """The branch without the instruction is an assertion; a release build leaves it out."""
    return np.zeros(x.shape, np.uint8)


def primus_turbo(t, x):
    """The seed is zero in some configurations of the launch: every launch draws the same."""
    return stochastic(t, x, np.random.default_rng(0).integers(0, 65536, x.shape))


def said_transformer_engine():
    yield "all-zero data", transformer_engine(E2M1, f32(1.0, -6.0, 2.5)).tolist(), [0, 0, 0]


def said_primus_turbo():
    x = np.full(4096, 2.5, np.float32)
    first, second = primus_turbo(E2M1, x), primus_turbo(E2M1, x)
    yield "two launches give the same", bool((first == second).all()), True
    yield "though each of them is fair", bool(abs((first == 5).mean() - 0.5) < 0.05), True


REPLAYS = (
    Replay(
        key="SR01",
        project="TransformerEngine",
        url=GITHUB + "NVIDIA/TransformerEngine/pull/3281",
        mistake="Where the instruction does not exist, an assertion that is compiled out stands.",
        op="stochastic",
        formats=("e2m1",),
        fn=transformer_engine,
        names=("R3",),
        reported=said_transformer_engine,
        note="Reported for NVFP4, whose elements are E2M1.",
    ),
    Replay(
        key="SR02",
        project="Primus-Turbo",
        url=GITHUB + "AMD-AGI/Primus-Turbo/pull/365",
        mistake="Every launch draws its random numbers from the seed zero.",
        op="stochastic",
        formats=("e2m1",),
        fn=primus_turbo,
        names=("R2",),
        reported=said_primus_turbo,
    ),
)
