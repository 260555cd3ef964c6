"""What `record.py` records: each case is a path of real software, its shape and its operands."""

from __future__ import annotations

import itertools

__all__ = ["CASES"]

CASES: dict[str, dict] = {}


def add(name, run, a, b, m, n, k, **more):
    seed = 1000 * (len(CASES) + 1)
    assert name not in CASES, name
    CASES[name] = {"run": run, "a": a, "b": b, "m": m, "n": n, "k": k, "seed": seed, **more}


BIG = (1024, 1024)
PAIRS = (("e4m3", "e4m3"), ("e5m2", "e4m3"), ("e4m3", "e5m2"))

# --- instructions ------------------------------------------------------------------------------
for wide, out in itertools.product((0, 1), ("f32", "f16")):
    i = ("wgmma" if wide else "mma") + f"-{out}"
    for a, b in (*PAIRS, ("e5m2", "e5m2")):
        add(f"{i}-{a}-{b}-k32", "instruction", a, b, 512, 512, 32, type="fp8", wide=wide, out=out)
        add(
            f"{i}-{a}-{b}-k32c",
            "instruction",
            a,
            b,
            512,
            512,
            32,
            type="fp8",
            wide=wide,
            out=out,
            addend=1,
        )
        add(
            f"{i}-{a}-{b}-k256c",
            "instruction",
            a,
            b,
            512,
            512,
            256,
            type="fp8",
            wide=wide,
            out=out,
            addend=1,
        )
    add(
        f"{i}-special",
        "instruction",
        "e5m2",
        "e4m3",
        512,
        512,
        128,
        type="fp8",
        wide=wide,
        out=out,
        special=8,
    )
    for t in ("bf16", "f16"):
        if out == "f16" and t == "bf16":
            continue
        mode = "mid" if t == "bf16" else "half"
        for k in (16, 128):
            add(
                f"{i}-{t}-k{k}c",
                "instruction",
                "int8",
                "int8",
                512,
                512,
                k,
                type=t,
                wide=wide,
                out=out,
                addend=1,
                scales=mode,
            )
        add(
            f"{i}-{t}-wide",
            "instruction",
            "e5m2",
            "e4m3",
            512,
            512,
            64,
            type=t,
            wide=wide,
            out=out,
            scales=mode,
            special=16,
        )
# How the float16 FP8 instruction uses its addend: few products, at known places.
for wide, places in itertools.product(
    (0, 1),
    (
        [0],
        [5],
        [17],
        [31],
        [0, 1],
        [0, 4],
        [0, 16],
        [3, 19],
        [0, 8, 16, 24],
        list(range(16)),
        list(range(0, 32, 2)),
    ),
):
    tag = "_".join(map(str, places)) if len(places) < 5 else f"{len(places)}by{places[1]}"
    w = "wgmma" if wide else "mma"
    add(
        f"probe-{w}-{tag}",
        "instruction",
        "e4m3",
        "e4m3",
        512,
        512,
        32,
        type="fp8",
        wide=wide,
        out="f16",
        addend=1,
        one_at=places,
        keep=1 << 18,
    )
add(
    "probe-mma-e5m2-0",
    "instruction",
    "e5m2",
    "e5m2",
    512,
    512,
    32,
    type="fp8",
    wide=0,
    out="f16",
    addend=1,
    one_at=[0],
    keep=1 << 18,
)
add(
    "probe-mma-e5m2-all",
    "instruction",
    "e5m2",
    "e5m2",
    512,
    512,
    32,
    type="fp8",
    wide=0,
    out="f16",
    addend=1,
    keep=1 << 18,
)
add(
    "probe-mma-e4m3-all",
    "instruction",
    "e4m3",
    "e4m3",
    512,
    512,
    32,
    type="fp8",
    wide=0,
    out="f16",
    addend=1,
    keep=1 << 18,
)

# --- torch._scaled_mm --------------------------------------------------------------------------
for fast in (True, False):
    f = "fast" if fast else "slow"
    for a, b in PAIRS:
        for out in ("f32", "bf16", "f16"):
            add(f"smm-{f}-{a}-{b}-{out}", "scaled_mm", a, b, *BIG, 256, fast=fast, out=out)
    for m, n, k in (
        (1024, 1024, 1024),
        (256, 256, 48),
        (256, 256, 144),
        (256, 256, 400),
        (512, 512, 2048),
        (128, 128, 8192),
        (16, 1024, 8192),
        (64, 64, 16384),
        (16, 16, 32768),
        (1024, 2048, 512),
        (4096, 1024, 128),
    ):
        add(f"smm-{f}-{m}x{n}x{k}", "scaled_mm", "e4m3", "e4m3", m, n, k, fast=fast, out="f32")
    for out in ("f32", "bf16"):
        add(
            f"smm-{f}-special-{out}",
            "scaled_mm",
            "e5m2",
            "e4m3",
            512,
            512,
            256,
            fast=fast,
            out=out,
            special=8,
        )
        for recipe in ("tensor", "row"):
            add(
                f"smm-{f}-{recipe}-{out}",
                "scaled_mm",
                "e4m3",
                "e4m3",
                *BIG,
                256,
                fast=fast,
                out=out,
                recipe=recipe,
            )
        for recipe in ("1x128,128x128", "1x128,1x128", "128x128,1x128"):
            tag = recipe.replace(",", "-")
            add(
                f"smm-{f}-{tag}-{out}",
                "scaled_mm",
                "e4m3",
                "e4m3",
                512,
                512,
                512,
                fast=fast,
                out=out,
                recipe=recipe,
            )
    add(
        f"smm-{f}-bias",
        "scaled_mm",
        "e4m3",
        "e4m3",
        512,
        512,
        256,
        fast=fast,
        out="bf16",
        bias="bf16",
        recipe="tensor",
    )

# --- tl.dot ------------------------------------------------------------------------------------
for a, b in (*PAIRS, ("e5m2", "e5m2")):
    add(f"dot-fp8-{a}-{b}", "dot", a, b, *BIG, 256, type="fp8")
for imprecise in (0, 32, 64, 128):
    add(
        f"dot-fp8-imprecise{imprecise}",
        "dot",
        "e4m3",
        "e4m3",
        *BIG,
        512,
        type="fp8",
        imprecise=imprecise,
        tile=(64, 64, 128),
    )
add("dot-fp8-k4096", "dot", "e4m3", "e4m3", 512, 512, 4096, type="fp8", tile=(128, 128, 128))
add("dot-fp8-small", "dot", "e4m3", "e4m3", 512, 512, 256, type="fp8", tile=(16, 16, 64), warps=1)
add("dot-fp8-separate", "dot", "e4m3", "e4m3", 512, 512, 512, type="fp8", separate=True)
add("dot-fp8-special", "dot", "e5m2", "e4m3", 512, 512, 256, type="fp8", special=8)
add("dot-fp8-half", "dot", "e4m3", "e4m3", 512, 512, 256, type="fp8", half=True)
for t, mode in (("bf16", "mid"), ("f16", "half")):
    for fmt in ("int8", "e4m3"):
        add(f"dot-{t}-{fmt}", "dot", fmt, fmt, *BIG, 256, type=t, scales=mode)
    add(
        f"dot-{t}-k4096",
        "dot",
        "int8",
        "int8",
        512,
        512,
        4096,
        type=t,
        scales=mode,
        tile=(128, 128, 64),
    )
    add(
        f"dot-{t}-small",
        "dot",
        "int8",
        "int8",
        512,
        512,
        256,
        type=t,
        scales=mode,
        tile=(16, 16, 32),
        warps=1,
    )
    add(
        f"dot-{t}-separate",
        "dot",
        "int8",
        "int8",
        512,
        512,
        512,
        type=t,
        scales=mode,
        separate=True,
    )
    add(f"dot-{t}-special", "dot", "e5m2", "e4m3", 512, 512, 256, type=t, scales=mode, special=8)
add("dot-f16-half", "dot", "int8", "int8", 512, 512, 256, type="f16", scales="half", half=True)
add("dot-tf32", "dot", "int8", "int8", 512, 512, 256, type="f32", scales="near", precision="tf32")
add("dot-ieee", "dot", "int8", "int8", 512, 512, 256, type="f32", scales="near", precision="ieee")

# --- tl.dot_scaled -----------------------------------------------------------------------------
SCALED = (
    *PAIRS,
    ("e5m2", "e5m2"),
    ("e2m1", "e2m1"),
    ("e2m1", "e4m3"),
    ("e4m3", "e2m1"),
    ("e5m2", "e2m1"),
)
for a, b in SCALED:
    add(f"scaled-{a}-{b}-near", "dot_scaled", a, b, *BIG, 256, scales="near")
    add(f"scaled-{a}-{b}-wide", "dot_scaled", a, b, 512, 512, 256, scales="wide")
    add(f"scaled-{a}-{b}-full", "dot_scaled", a, b, 512, 512, 64, scales="full")
    add(f"scaled-{a}-{b}-nan", "dot_scaled", a, b, 512, 512, 256, scales="nan", special=16)
for t in ("bf16", "f16"):
    mode = "near" if t == "bf16" else "half"
    add(f"scaled-{t}-e2m1", "dot_scaled", "int8", "e2m1", 512, 512, 256, type=t, scales=mode)
    add(f"scaled-e4m3-{t}", "dot_scaled", "e4m3", "int8", 512, 512, 256, type=t, scales=mode)
add(
    "scaled-f16-e2m1-wide",
    "dot_scaled",
    "int8",
    "e2m1",
    512,
    512,
    256,
    type="f16",
    scales="half",
    scales_b="full",
)
add("scaled-lhs-alone", "dot_scaled", "e4m3", "e4m3", 512, 512, 256, scales="near", unscaled="b")
add(
    "scaled-k4096",
    "dot_scaled",
    "e4m3",
    "e4m3",
    512,
    512,
    4096,
    scales="near",
    tile=(128, 128, 128),
)
add(
    "scaled-small",
    "dot_scaled",
    "e4m3",
    "e2m1",
    512,
    512,
    256,
    scales="near",
    tile=(16, 16, 64),
    warps=1,
)
add(
    "scaled-wide-tile",
    "dot_scaled",
    "e2m1",
    "e2m1",
    512,
    512,
    512,
    scales="near",
    tile=(128, 128, 128),
    warps=8,
)
add(
    "scaled-fast-math",
    "dot_scaled",
    "e5m2",
    "e4m3",
    512,
    512,
    256,
    scales="nan",
    special=16,
    fast=True,
)

# --- torch.mm ----------------------------------------------------------------------------------
for t, mode in (("bf16", "mid"), ("f16", "half")):
    for out in ("f32", t):
        add(f"mm-{t}-{out}", "mm", "int8", "int8", *BIG, 256, type=t, out=out, scales=mode)
        add(
            f"mm-{t}-{out}-special",
            "mm",
            "e5m2",
            "e4m3",
            512,
            512,
            256,
            type=t,
            out=out,
            scales=mode,
            special=8,
        )
        for m, n, k in (
            (1024, 1024, 1024),
            (256, 256, 16),
            (256, 256, 40),
            (256, 256, 400),
            (512, 512, 4096),
            (128, 128, 8192),
            (16, 1024, 8192),
            (64, 64, 16384),
            (16, 16, 32768),
            (1, 1024, 4096),
            (1024, 1, 4096),
            (2048, 2048, 128),
            (4096, 512, 512),
        ):
            add(
                f"mm-{t}-{out}-{m}x{n}x{k}",
                "mm",
                "int8",
                "int8",
                m,
                n,
                k,
                type=t,
                out=out,
                scales=mode,
            )
    add(
        f"mm-{t}-exact-reduction",
        "mm",
        "int8",
        "int8",
        16,
        1024,
        8192,
        type=t,
        out=t,
        scales=mode,
        reduced=0,
    )
    add(
        f"mm-{t}-addend",
        "mm",
        "int8",
        "int8",
        512,
        512,
        256,
        type=t,
        out=t,
        scales="near" if t == "bf16" else "half",
        addend=1,
    )
for tf32 in (0, 1):
    f = "tf32" if tf32 else "f32"
    for m, n, k in (
        (1024, 1024, 256),
        (1024, 1024, 1024),
        (256, 256, 40),
        (512, 512, 4096),
        (128, 128, 8192),
        (64, 64, 16384),
        (1, 1024, 4096),
    ):
        add(
            f"mm-{f}-{m}x{n}x{k}",
            "mm",
            "int8",
            "int8",
            m,
            n,
            k,
            type="f32",
            out="f32",
            tf32=tf32,
            scales="mid",
        )
    add(
        f"mm-{f}-e4m3",
        "mm",
        "e4m3",
        "e4m3",
        *BIG,
        256,
        type="f32",
        out="f32",
        tf32=tf32,
        scales="wide",
    )

# --- second run: the ends of the range, other tiles and recipes, whole millions ------------------
for wide in (0, 1):
    w = "wgmma" if wide else "mma"
    for mode in ("low", "high"):
        add(
            f"{w}-f32-bf16-{mode}",
            "instruction",
            "int8",
            "int8",
            512,
            512,
            64,
            type="bf16",
            wide=wide,
            out="f32",
            scales=mode,
            addend="any" if mode == "high" else None,
        )
        add(
            f"{w}-f32-bf16-{mode}-e4m3",
            "instruction",
            "e4m3",
            "e4m3",
            512,
            512,
            32,
            type="bf16",
            wide=wide,
            out="f32",
            scales=mode,
        )
    add(
        f"{w}-f32-bf16-zero",
        "instruction",
        "e4m3",
        "e4m3",
        512,
        512,
        16,
        type="bf16",
        wide=wide,
        out="f32",
        scales="mid",
        addend="zero",
    )
    add(
        f"{w}-f32-bf16-any",
        "instruction",
        "int8",
        "int8",
        512,
        512,
        48,
        type="bf16",
        wide=wide,
        out="f32",
        scales="mid",
        addend="any",
    )
    add(
        f"{w}-f32-fp8-zero",
        "instruction",
        "e4m3",
        "e4m3",
        512,
        512,
        32,
        type="fp8",
        wide=wide,
        out="f32",
        addend="zero",
    )
    add(
        f"{w}-f32-fp8-any",
        "instruction",
        "e5m2",
        "e4m3",
        512,
        512,
        96,
        type="fp8",
        wide=wide,
        out="f32",
        addend="any",
    )
    for out in ("f32", "f16"):
        for a, b in (("e4m3", "e4m3"), ("e5m2", "e5m2")):
            add(
                f"{w}-{out}-{a}-{b}-million",
                "instruction",
                a,
                b,
                *BIG,
                256,
                type="fp8",
                wide=wide,
                out=out,
                addend=1,
            )
        add(
            f"{w}-{out}-f16-million",
            "instruction",
            "int8",
            "int8",
            *BIG,
            128,
            type="f16",
            wide=wide,
            out=out,
            addend=1,
            scales="half",
        )
    add(
        f"{w}-f32-bf16-million",
        "instruction",
        "int8",
        "int8",
        *BIG,
        128,
        type="bf16",
        wide=wide,
        out="f32",
        addend=1,
        scales="mid",
    )
for tile, warps in (((16, 16, 64), 1), ((32, 32, 128), 4), ((16, 64, 128), 4)):
    t = "x".join(map(str, tile))
    for a, b in SCALED:
        add(
            f"scaled-{a}-{b}-{t}",
            "dot_scaled",
            a,
            b,
            512,
            512,
            256,
            scales="near",
            tile=tile,
            warps=warps,
        )
    for a, b in (*PAIRS, ("e5m2", "e5m2")):
        add(f"dot-fp8-{a}-{b}-{t}", "dot", a, b, 512, 512, 256, type="fp8", tile=tile, warps=warps)
    add(
        f"scaled-bf16-e2m1-{t}",
        "dot_scaled",
        "int8",
        "e2m1",
        512,
        512,
        256,
        type="bf16",
        scales="near",
        tile=tile,
        warps=warps,
    )
for a, b in SCALED:
    add(f"scaled-{a}-{b}-full-million", "dot_scaled", a, b, *BIG, 128, scales="full")
add(
    "scaled-e4m3-e4m3-mma-million",
    "dot_scaled",
    "e4m3",
    "e4m3",
    *BIG,
    256,
    scales="wide",
    tile=(16, 16, 64),
    warps=1,
)
add("dot-fp8-mma-million", "dot", "e5m2", "e4m3", *BIG, 256, type="fp8", imprecise=0)
add("dot-fp8-addend", "dot", "e4m3", "e4m3", *BIG, 256, type="fp8", addend=1)
add(
    "dot-fp8-imprecise64-addend",
    "dot",
    "e4m3",
    "e4m3",
    512,
    512,
    256,
    type="fp8",
    addend=1,
    imprecise=64,
)
add("dot-fp8-mma-addend", "dot", "e4m3", "e4m3", 512, 512, 256, type="fp8", addend=1, imprecise=0)
add("dot-bf16-addend", "dot", "int8", "int8", *BIG, 256, type="bf16", scales="mid", addend=1)
add(
    "dot-f16-half-addend",
    "dot",
    "int8",
    "int8",
    *BIG,
    256,
    type="f16",
    scales="half",
    addend=1,
    half=True,
)
add("dot-fp8-half-million", "dot", "e4m3", "e4m3", *BIG, 256, type="fp8", half=True, addend=1)
for fast in (True, False):
    f = "fast" if fast else "slow"
    for out in ("f32", "bf16", "f16"):
        for recipe in ("tensor", "row"):
            add(
                f"smm-{f}-{recipe}-{out}-pow2",
                "scaled_mm",
                "e4m3",
                "e4m3",
                *BIG,
                272,
                fast=fast,
                out=out,
                recipe=recipe,
                factor="pow2",
            )
        add(f"smm-{f}-{out}-k16", "scaled_mm", "e4m3", "e4m3", 512, 512, 16, fast=fast, out=out)
    for out in ("bf16", "f16"):
        add(
            f"smm-{f}-row-bias-{out}",
            "scaled_mm",
            "e4m3",
            "e4m3",
            512,
            512,
            256,
            fast=fast,
            out=out,
            bias=out,
            recipe="row",
        )
        add(
            f"smm-{f}-bias-{out}",
            "scaled_mm",
            "e4m3",
            "e4m3",
            512,
            512,
            256,
            fast=fast,
            out=out,
            bias=out,
            recipe="tensor",
        )
        add(f"smm-{f}-{out}-split", "scaled_mm", "e4m3", "e4m3", 512, 256, 8192, fast=fast, out=out)
    add(
        f"smm-{f}-row-long",
        "scaled_mm",
        "e4m3",
        "e4m3",
        256,
        256,
        8192,
        fast=fast,
        out="bf16",
        recipe="row",
    )
    add(
        f"smm-{f}-row-special",
        "scaled_mm",
        "e5m2",
        "e4m3",
        512,
        512,
        256,
        fast=fast,
        out="bf16",
        recipe="row",
        special=8,
    )
    add(
        f"smm-{f}-row-f32-e5m2",
        "scaled_mm",
        "e4m3",
        "e5m2",
        512,
        512,
        400,
        fast=fast,
        out="f32",
        recipe="row",
    )
    add(f"grouped-{f}", "grouped", "e4m3", "e4m3", 2048, 2048, 256, fast=fast, groups=4)
for recipe in ("1x128,128x128", "1x128,1x128", "128x128,1x128"):
    tag = recipe.replace(",", "-")
    for out in ("f32", "bf16"):
        add(
            f"smm-{tag}-{out}-pow2",
            "scaled_mm",
            "e4m3",
            "e4m3",
            *BIG,
            512,
            fast=False,
            out=out,
            recipe=recipe,
            factor="pow2",
        )
    add(
        f"smm-{tag}-million",
        "scaled_mm",
        "e4m3",
        "e4m3",
        *BIG,
        512,
        fast=False,
        out="f32",
        recipe=recipe,
    )
    add(
        f"smm-{tag}-e5m2",
        "scaled_mm",
        "e5m2",
        "e4m3",
        512,
        512,
        512,
        fast=False,
        out="f32",
        recipe=recipe,
    )
    add(
        f"smm-{tag}-long",
        "scaled_mm",
        "e4m3",
        "e4m3",
        256,
        256,
        8192,
        fast=False,
        out="f32",
        recipe=recipe,
    )
    add(
        f"smm-{tag}-tail",
        "scaled_mm",
        "e4m3",
        "e4m3",
        256,
        256,
        400,
        fast=False,
        out="f32",
        recipe=recipe,
    )
for t, mode in (("bf16", "mid"), ("f16", "half")):
    add(
        f"mm-{t}-addend-million",
        "mm",
        "int8",
        "int8",
        *BIG,
        256,
        type=t,
        out=t,
        scales=mode,
        addend=1,
    )
    add(
        f"mm-{t}-f32-addend",
        "mm",
        "int8",
        "int8",
        *BIG,
        256,
        type=t,
        out="f32",
        scales=mode,
        addend=1,
    )
    add(
        f"mm-{t}-low",
        "mm",
        "int8",
        "int8",
        512,
        512,
        256,
        type=t,
        out=t,
        scales="low" if t == "bf16" else "half",
    )
    add(
        f"mm-{t}-high",
        "mm",
        "int8",
        "int8",
        512,
        512,
        256,
        type=t,
        out=t,
        scales="high" if t == "bf16" else "half",
    )
    for m, n, k in ((1024, 1024, 8192), (256, 256, 16384), (32, 512, 4096)):
        for reduced in (0, 1):
            add(
                f"mm-{t}-{m}x{n}x{k}-{'reduced' if reduced else 'wide'}",
                "mm",
                "int8",
                "int8",
                m,
                n,
                k,
                type=t,
                out=t,
                scales=mode,
                reduced=reduced,
            )
    add(f"jax-{t}-f32", "jax", "int8", "int8", *BIG, 256, type=t, out="f32", scales=mode)
    add(f"jax-{t}-{t}", "jax", "int8", "int8", *BIG, 256, type=t, out=t, scales=mode)
add("jax-fp8-f32", "jax", "e4m3", "e4m3", *BIG, 256, type="fp8", out="f32")
add("jax-fp8-bf16", "jax", "e5m2", "e4m3", *BIG, 256, type="fp8", out="bf16")
add("jax-f32", "jax", "int8", "int8", *BIG, 256, type="f32", out="f32", scales="mid")
for out in ("f32", "bf16", "f16"):
    add(
        f"smm-zero-factor-{out}",
        "scaled_mm",
        "e5m2",
        "e4m3",
        512,
        512,
        256,
        fast=True,
        out=out,
        recipe="tensor",
        factor="tiny",
        special=8,
    )
    add(
        f"smm-zero-factors-{out}",
        "scaled_mm",
        "e5m2",
        "e4m3",
        512,
        512,
        256,
        fast=False,
        out=out,
        recipe="row",
        factor="tiny",
        special=8,
    )
