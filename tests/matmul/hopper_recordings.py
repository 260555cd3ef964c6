"""The recorded cases as operands, and the model of each, to compare with `recordings/`."""

import functools
import json
from pathlib import Path

import numpy as np
from recordings import stimuli
from recordings.cases import CASES

from mxref.formats import block_format
from mxref.kernels.sums_fused import fused_sums
from mxref.matmul import Operands, software
from mxref.matmul import _hardware_operands as hardware
from mxref.matmul import _software_operands as prepared
from mxref.matmul import _software_sums as sums
from mxref.matmul.nvidia import INSTRUCTIONS

FOLDER = Path(__file__).parent / "recordings"
FORMATS = {"e4m3": "mxfp8_e4m3", "e5m2": "mxfp8_e5m2", "e2m1": "mxfp4", "int8": "mxint8"}
TYPES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}
MODELS = {one.name: one for one in INSTRUCTIONS}
ROWS, COLUMNS = 8, 32

# Into how many parts K was split: the grid of the kernel whose name has splitK says so.
SPLITS = {
    "scaled_mm": {
        (128, 128, 8192): 3,
        (16, 1024, 8192): 3,
        (64, 64, 16384): 6,
        (16, 16, 32768): 12,
    },
    "mm": {
        (128, 128, 8192): 6,
        (16, 1024, 8192): 5,
        (64, 64, 16384): 12,
        (16, 16, 32768): 25,
        (1, 1024, 4096): 3,
        (1024, 1, 4096): 3,
        (256, 256, 16384): 4,
        (32, 512, 4096): 3,
    },
}  # fmt: skip

# What no model is for, and why.
BEYOND = {
    "torch refuses it": ("smm-fast-1x128", "smm-fast-128x128-1x128"),
    "TF32": ("mm-tf32", "dot-tf32", "jax-f32"),
    "128x128 scales with split K": ("smm-1x128-128x128-long", "smm-128x128-1x128-long"),
    "1x128 scales with split K": ("smm-1x128-1x128-long",),
    "split K, or gemv, in float32": (
        "mm-f32-512x512x4096", "mm-f32-128x128x8192", "mm-f32-64x64x16384", "mm-f32-1x1024x4096",
    ),
    "values that are no float16 numbers": (
        "mma-f32-f16-wide", "mma-f16-f16-wide", "wgmma-f32-f16-wide", "wgmma-f16-f16-wide",
        "dot-f16-special", "mm-f16-f32-special", "mm-f16-f16-special",
    ),
    "a side in float16": ("scaled-f16", "scaled-e4m3-f16"),
    "fast_math": ("scaled-fast-math",),
}  # fmt: skip
MODELLED = [
    name
    for name in CASES
    if not any(name.startswith(prefix) for prefixes in BEYOND.values() for prefix in prefixes)
]


@functools.cache
def recorded():
    return json.loads((FOLDER / "h100.json").read_text())["cases"]


@functools.cache
def slices():
    with np.load(FOLDER / "h100.npz") as archive:
        return dict(archive)


# --- the case as operands --------------------------------------------------------------------


def codes_of(case, side, rows):
    seed = case["seed"] + (0 if side == "a" else 501)
    scales = case.get(f"scales_{side}", case.get("scales", "one"))
    codes, scales = stimuli.operand(
        case[side], rows, case["k"], seed, scales, case.get("special", 0)
    )
    if case.get("one_at") is not None:
        keep = np.isin(np.arange(case["k"]), case["one_at"])
        codes = np.where(keep, codes, 0).astype(np.uint8)
    if case.get("unscaled") == side:
        scales = np.full_like(scales, 127)
    return codes, scales


def addend_of(case, rows, columns):
    """The addend as its program takes it: float16, bfloat16 rounded, or float32."""
    if case.get("bias"):
        words = stimuli.addend("f32", (1, case["n"]), case["seed"])[:, columns]
        row = sums.rounded(words.view(np.float32), TYPES[case["bias"]])
        return np.broadcast_to(row, (rows.size, columns.size))
    if not case.get("addend"):
        return None
    is_half = case.get("half") or (case["run"] == "instruction" and case["out"] == "f16")
    kind = case["addend"] if case["addend"] != 1 else "f16" if is_half else "f32"
    words = stimuli.addend(kind, (case["m"], case["n"]), case["seed"], rows)[:, columns]
    return np.ascontiguousarray(words).view(np.float16 if kind == "f16" else np.float32)


def operands_of(case, rows, columns):
    a, b = codes_of(case, "a", rows), codes_of(case, "b", columns)
    formats = (block_format(FORMATS[case[side]]) for side in "ab")
    return Operands(*a, *b, *formats, addend_of(case, rows, columns))


# --- the model of a case ---------------------------------------------------------------------


def model_of(name, case):
    output = TYPES[case.get("out", "f16" if case.get("half") else "f32")]
    kind = {"f16": "fp16", "f32": "fp32"}.get(case.get("type"), case.get("type"))
    splits = SPLITS.get(case["run"], {}).get((case["m"], case["n"], case["k"]), 1)
    match case["run"]:
        case "instruction":
            is_mma = kind == "fp8" and not case["wide"]
            suffix = "-f16" if output == "float16" else ""
            return MODELS[f"nv-hopper-{'mma-' if is_mma else ''}{kind}{suffix}"].accumulator()
        case "scaled_mm" | "grouped":
            output = "bfloat16" if case["run"] == "grouped" else output
            return software.torch_scaled_mm(fast=case["fast"], output=output, splits=splits)
        case "jax" if kind == "fp8":
            return software.torch_scaled_mm(fast=True, output=output)
        case "mm" | "jax":
            return software.torch_mm(kind, output=output, splits=splits)
        case "dot_scaled":
            is_mma = recorded()[name]["instructions"][0].startswith("mma")
            return software.triton_dot_scaled(instruction="mma" if is_mma else "wgmma")
    if kind == "fp32":  # tl.dot with input_precision="ieee"
        return software.torch_mm("fp32")
    imprecise = (
        case["tile"][2] if case.get("separate") and "tile" in case else case.get("imprecise")
    )
    if case.get("separate") and kind == "fp8":
        imprecise = 64
    is_mma = case.get("tile", (64,))[0] < 64 or imprecise == 0
    return software.triton_dot(
        kind,
        output=output,
        imprecise=(imprecise or 0) if kind == "fp8" else 0,
        instruction="mma" if is_mma else "wgmma",
    )


def predicted(name, rows, columns):
    """The words that the model gives for some rows and columns."""
    case = CASES[name]
    if case["run"] == "grouped":
        return _grouped(name, rows, columns)
    o, model = operands_of(case, rows, columns), model_of(name, case)
    if case["run"] == "dot_scaled" and "int8" in (case["a"], case["b"]):
        result = _bfloat16_beside_scaled(o, name)
    elif case.get("recipe", "ones") != "ones":
        result = _with_factors(case, o, rows, columns)
    else:
        assert model.refuses(o) == ""
        result = model.run(o)
        assert str(result.dtype) == model.dtype
    return result.view(np.uint32 if result.itemsize == 4 else np.uint16)


def _with_factors(case, o, rows, columns):
    """Factors that no E8M0 scale code stands for."""
    m, n, k, recipe = case["m"], case["n"], case["k"], case["recipe"]
    rule = MODELS["nv-hopper-fp8"].rule
    a, b = (
        hardware.unscaled_side(codes, fmt)
        for codes, fmt in ((o.a_codes, o.a_format), (o.b_codes, o.b_format))
    )
    if recipe in {"tensor", "row"}:
        rule = rule if case["fast"] else rule.replace(restart=128)
        found = sums.split_sums(a, b, rule, 1, 128)
        if recipe == "tensor":
            factors = (stimuli.factor(case, (), i) for i in (601, 602))
            found = sums.times_tensor_factors(found, *(f.reshape(-1)[0] for f in factors))
        else:
            of_a = stimuli.factor(case, (m, 1), 601)[rows, 0]
            of_b = stimuli.factor(case, (1, n), 602)[0, columns]
            found = sums.times_row_factors(found, of_a, of_b)
        if o.c is not None:
            found = sums.plus(found, sums.number_of(o.c))
        return sums.rounded(found, TYPES[case["out"]])
    factors = []
    for kind, seed, size, at in zip(
        recipe.split(","), (603, 604), (m, n), (rows, columns), strict=True
    ):
        count, here = (size, at) if kind == "1x128" else (-(-size // 128), at // 128)
        factors.append(stimuli.factor(case, (count, -(-k // 128)), seed)[here])
    order = "a first" if recipe == "1x128,1x128" else "factors first"
    found = sums.block_sums(a, b, tuple(factors), rule, order=order, unit=128)
    return sums.rounded(found, TYPES[case["out"]])


def _bfloat16_beside_scaled(o, name):
    """`tl.dot_scaled` with one operand in bfloat16; MXINT8 stands for it in the recordings."""
    sides = [
        hardware.converted_side(codes, scales, fmt, hardware.BFLOAT16)[0]
        if fmt.element.name == "int8"
        else prepared.bfloat16_side(prepared.bfloat16_codes(codes, scales, fmt.element, 32))
        for codes, scales, fmt in (
            (o.a_codes, o.a_scales, o.a_format),
            (o.b_codes, o.b_scales, o.b_format),
        )
    ]
    rule = MODELS["nv-hopper-bf16"].rule
    if recorded()[name]["instructions"][0].startswith("mma"):
        rule = rule.replace(
            order=tuple(k for j in (0, 2, 4, 6) for k in range(64) if k % 8 // 2 * 2 == j)
        )
    return fused_sums(*sides, None, rule).view(np.float32)


def _grouped(name, rows, columns):
    case = CASES[name]
    m, n, groups = case["m"], case["n"], case["groups"]
    of = rows // (m // groups)
    parts = np.empty((rows.size, columns.size), np.uint16)
    for group in np.unique(of):
        here = rows[of == group]
        o = operands_of(case, here, group * (n // groups) + columns)
        parts[of == group] = model_of(name, case).run(o).view(np.uint16)
    return parts


def width(case):
    return case["n"] // case.get("groups", 1)


def outputs_of_each_model():
    """How many outputs of its own program were recorded for each model, by name."""
    found = {}
    for name in MODELLED:
        case = CASES[name]
        has_wide_side = case["run"] == "dot_scaled" and "int8" in {case["a"], case["b"]}
        if name == "dot-ieee" or has_wide_side or case["run"] in {"grouped", "instruction", "jax"}:
            continue
        model = model_of(name, case).name
        if "128" in case.get("recipe", ""):
            shape = "1x128" if case["recipe"] == "1x128,1x128" else "128x128"
            model = software.torch_scaled_mm_blocks(shape=shape, output=TYPES[case["out"]]).name
        found[model] = found.get(model, 0) + case["m"] * width(case)
    return found
