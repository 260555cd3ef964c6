"""Record what real software gives on a CUDA machine (Hopper: compute capability 9.0).

    python tests/matmul/recordings/record.py OUT

Needs torch and triton, nvcc for the instructions alone (`record.cu`), and jax where it is there;
nothing else of this repository. Operands come from `stimuli.py`, so what is written is outputs:
OUT/h100.json has the sha256 of each case's whole output, the kernels or instructions that ran, and
the versions; OUT/h100.npz a few rows and columns of each. A case that fails is recorded with its
error. Three minutes on an H100.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import record_triton  # noqa: E402  # beside this file
import stimuli  # noqa: E402
from cases import CASES  # noqa: E402

LIMIT = 420  # seconds, after which no case is begun
STARTED = time.time()
TYPES = {
    "e4m3": torch.float8_e4m3fn,
    "e5m2": torch.float8_e5m2,
    "f32": torch.float32,
    "bf16": torch.bfloat16,
    "f16": torch.float16,
}


# --- operands --------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def host(name, rows, k, seed, scales, special):
    return stimuli.operand(name, rows, k, seed, scales, special)


def codes_of(case, side):
    rows = case["m"] if side == "a" else case["n"]
    seed = case["seed"] + (0 if side == "a" else 501)
    scales = case.get(f"scales_{side}", case.get("scales", "one"))
    return host(case[side], rows, case["k"], seed, scales, case.get("special", 0))


def gpu(array):
    return torch.from_numpy(np.ascontiguousarray(array)).cuda()


def fp8(case, side):
    return gpu(codes_of(case, side)[0]).view(TYPES[case[side]])


def values(case, side):
    """The operand's values in a wider type, exact where that type holds them."""
    exact = stimuli.decode(case[side], *codes_of(case, side))
    return gpu(exact).to(TYPES[case["type"]])


def operands(case):
    return [(fp8 if case["type"] == "fp8" else values)(case, side) for side in "ab"]


def factor(case, shape, seed):
    return gpu(stimuli.factor(case, shape, seed))


def addend(case, kind):
    words = stimuli.addend(kind, (case["m"], case["n"]), case["seed"])
    return gpu(words.view(np.float16 if words.itemsize == 2 else np.float32))


def chosen(case, *names):
    return {name: case[name] for name in names if name in case}


# --- programs --------------------------------------------------------------------------------


def run_scaled_mm(case):
    m, n = case["m"], case["n"]
    a, b = fp8(case, "a"), fp8(case, "b")
    recipe = case.get("recipe", "ones")
    shapes = {"tensor": ((), ()), "row": ((m, 1), (1, n))}
    if recipe == "ones":
        of_a = of_b = torch.ones((), device="cuda")
    elif recipe in shapes:
        of_a, of_b = (factor(case, s, i) for i, s in zip((601, 602), shapes[recipe], strict=True))
    else:  # "1x128,128x128" and the like: blocks along K, for a then for b
        kinds = recipe.split(",")
        of_a, of_b = block_factor(case, "a", kinds[0], m), block_factor(case, "b", kinds[1], n).t()
    options = {"out_dtype": TYPES[case["out"]], "use_fast_accum": case["fast"]}
    if case.get("bias"):
        words = stimuli.addend("f32", (1, n), case["seed"])[0]
        options["bias"] = gpu(words.view(np.float32)).to(TYPES[case["bias"]])
    return torch._scaled_mm(a, b.t(), scale_a=of_a, scale_b=of_b, **options), None


def block_factor(case, side, kind, rows):
    """Factors of 1x128 or 128x128 blocks, (rows or bands of rows, K / 128)."""
    count = rows if kind == "1x128" else -(-rows // 128)
    f = factor(case, (count, -(-case["k"] // 128)), 603 if side == "a" else 604)
    # cuBLAS wants 1x128 factors with the rows dense, 128x128 ones with K dense.
    return f.t().contiguous().t() if kind == "1x128" else f


def run_mm(case):
    a, b = operands(case)
    matmul = torch.backends.cuda.matmul
    matmul.allow_tf32 = bool(case.get("tf32"))
    matmul.allow_bf16_reduced_precision_reduction = bool(case.get("reduced", True))
    matmul.allow_fp16_reduced_precision_reduction = bool(case.get("reduced", True))
    options = {} if case["out"] == case["type"] else {"out_dtype": TYPES[case["out"]]}
    if case.get("addend"):
        return torch.addmm(addend(case, "f32").to(TYPES[case["out"]]), a, b.t(), **options), None
    return torch.mm(a, b.t(), **options), None


def run_grouped(case):
    """Rows of a in `groups` bands, each with its own band of rows of b."""
    groups, a = case["groups"], fp8(case, "a")
    b = fp8(case, "b").view(groups, -1, case["k"]).transpose(1, 2)
    ends = torch.arange(1, groups + 1, dtype=torch.int32, device="cuda") * (case["m"] // groups)
    of_a = torch.ones(case["m"], device="cuda")
    of_b = torch.ones(groups, b.shape[2], device="cuda")
    options = {"offs": ends, "out_dtype": torch.bfloat16, "use_fast_accum": case["fast"]}
    return torch._scaled_grouped_mm(a, b, of_a, of_b, **options), None


def run_dot(case):
    options = chosen(case, "imprecise", "half", "separate", "precision", "tile", "warps")
    if case.get("addend"):
        options["c"] = addend(case, "f16" if case.get("half") else "f32")
    return record_triton.dot(*operands(case), **options)


def run_dot_scaled(case):
    args = []
    for side in "ab":
        if case[side] == "int8":  # stands for an operand in bfloat16 or float16 without scales
            args += [values(case, side), None, {"f16": "fp16"}.get(case["type"], case["type"])]
            continue
        codes, scales = codes_of(case, side)
        if case[side] == "e2m1":
            codes = codes[:, ::2] | codes[:, 1::2] << 4
        args += [gpu(codes), None if case.get("unscaled") == side else gpu(scales), case[side]]
    return record_triton.dot_scaled(*args, case["k"], **chosen(case, "tile", "warps", "fast"))


def run_jax(case):
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    import jax
    import jax.numpy as jnp

    kinds = {"e4m3": jnp.float8_e4m3fn, "e5m2": jnp.float8_e5m2}
    types = {"bf16": jnp.bfloat16, "f16": jnp.float16, "f32": jnp.float32}
    sides = []
    for side in "ab":
        codes, scales = codes_of(case, side)
        if case["type"] == "fp8":
            sides.append(jax.lax.bitcast_convert_type(jnp.asarray(codes), kinds[case[side]]))
        else:
            exact = stimuli.decode(case[side], codes, scales).astype(np.float32)
            sides.append(jnp.asarray(exact).astype(types[case["type"]]))

    @jax.jit
    def product(a, b):
        dims, out = (((1,), (1,)), ((), ())), types[case["out"]]
        return jax.lax.dot_general(a, b, dims, preferred_element_type=out)

    d = np.asarray(product(*sides))
    return torch.from_numpy((d if case["out"] == "f32" else d.view(np.int16)).copy()), None


# --- instructions ----------------------------------------------------------------------------

KINDS = {
    ("e4m3", "e4m3"): 0,
    ("e5m2", "e5m2"): 1,
    ("e4m3", "e5m2"): 2,
    ("e5m2", "e4m3"): 3,
    "bf16": 4,
    "f16": 5,
}


@functools.cache
def library():
    out = Path(os.environ.get("TMPDIR", "/tmp")) / "librecord.so"
    target = "-gencode=arch=compute_90a,code=sm_90a"
    command = ["nvcc", "-O2", "-shared", "-Xcompiler", "-fPIC", target, "-o", str(out)]
    subprocess.run([*command, str(HERE / "record.cu")], check=True)
    return ctypes.CDLL(str(out))


def run_instruction(case):
    a, b = operands(case)
    kind = KINDS[(case["a"], case["b"]) if case["type"] == "fp8" else case["type"]]
    half, shape = case["out"] == "f16", (case["m"], case["n"])
    c = torch.zeros(shape, dtype=torch.float16 if half else torch.float32, device="cuda")
    if case.get("addend"):
        c = addend(case, case["addend"] if case["addend"] != 1 else "f16" if half else "f32")
    if case.get("one_at") is not None:  # products at these places of K alone
        keep = torch.zeros(case["k"], dtype=torch.bool)
        keep[case["one_at"]] = True
        a, b = (torch.where(keep.cuda(), t.view(torch.uint8), 0).to(torch.uint8) for t in (a, b))
    d = torch.empty_like(c)
    pointers = (ctypes.c_void_p(t.data_ptr()) for t in (a, b, c, d))
    row = case["k"] * a.element_size()
    error = library().product(int(case["wide"]), kind, int(half), *pointers, *shape, row)
    if error:
        raise RuntimeError(f"product returned {error}")
    return d, None


RUNNERS = {
    "dot": run_dot,
    "dot_scaled": run_dot_scaled,
    "grouped": run_grouped,
    "instruction": run_instruction,
    "jax": run_jax,
    "mm": run_mm,
    "scaled_mm": run_scaled_mm,
}


# --- what is kept ----------------------------------------------------------------------------


def words_of(tensor):
    t = tensor.contiguous()
    if t.element_size() == 2:
        return t.view(torch.int16).cpu().numpy().view(np.uint16)
    return t.view(torch.int32).cpu().numpy().view(np.uint32)


def record(case):
    d, compiled = RUNNERS[case["run"]](case)
    out = words_of(d)
    entry = {
        "sha256": stimuli.digest(out),
        "a": stimuli.digest(codes_of(case, "a")[0])[:16],
        "b": stimuli.digest(codes_of(case, "b")[0])[:16],
    }
    if compiled is not None:
        lines = (line.split() for line in compiled.asm["ptx"].splitlines())
        used = {line[0] for line in lines if line and line[0].startswith(("wgmma.mma", "mma."))}
        entry["instructions"] = sorted(used)
    rows, columns = stimuli.sampled(out.shape[0], 8), stimuli.sampled(out.shape[1], 32)
    return entry, out[np.ix_(rows, columns)]


def kernels(case):
    """Names and grids of what ran on the GPU, conversions aside."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as p:
        RUNNERS[case["run"]](case)
        torch.cuda.synchronize()
    trace = Path(os.environ.get("TMPDIR", "/tmp")) / "trace.json"
    p.export_chrome_trace(str(trace))
    skip = ("elementwise", "vectorized", "Memset", "fill", "convert")
    return [
        [event["name"][:100], event["args"]["grid"]]
        for event in json.loads(trace.read_text())["traceEvents"]
        if event.get("cat") == "kernel" and not any(word in event["name"] for word in skip)
    ]


def shapes():
    """Which kernels cuBLAS takes for which shapes."""
    runs = (
        {"run": "scaled_mm", "a": "e4m3", "b": "e4m3", "fast": True, "out": "bf16"},
        {"run": "mm", "a": "int8", "b": "int8", "type": "bf16", "out": "bf16", "scales": "near"},
    )
    sizes = ((16, 16), (16, 1024), (64, 64), (128, 128), (256, 256), (512, 512), (1024, 1024))
    found = []
    for run in runs:
        for m, n in (*sizes, (16, 4096), (2048, 2048)):
            for k in (512, 1024, 2048, 4096, 8192, 16384, 32768):
                if (m + n) * k <= 1 << 23 and time.time() - STARTED < LIMIT:
                    case = {**run, "m": m, "n": n, "k": k, "seed": 0}
                    found.append([run["run"], m, n, k, kernels(case)])
    return found


def environment():
    smi = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    packages = ("torch", "triton", "nvidia-cublas", "jax", "numpy")
    nvcc = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=False)
    card = subprocess.run(smi, capture_output=True, text=True, check=False)
    return {
        "command": "python tests/matmul/recordings/record.py OUT",
        "device": card.stdout.strip(),
        "capability": torch.cuda.get_device_capability(),
        "cuda": torch.version.cuda,
        "nvcc": nvcc.stdout.strip().splitlines()[-1:],
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


def main():
    out = Path(sys.argv[1])
    found = {"environment": environment(), "cases": {}, "shapes": []}
    outputs = {}

    def save():
        (out / "h100.json").write_text(json.dumps(found, indent=0))
        np.savez_compressed(out / "h100.npz", **outputs)

    for name, case in CASES.items():
        try:
            found["cases"][name], outputs[name] = record(case)
        except Exception as error:  # noqa: BLE001  # that it fails is a finding too
            found["cases"][name] = {"error": f"{type(error).__name__}: {error}"[:300]}
            print("failed:", name, error, flush=True)
        if time.time() - STARTED > LIMIT:
            print("out of time after", name)
            break
    save()
    for name, entry in found["cases"].items():
        if "sha256" in entry and CASES[name]["run"] in {"grouped", "jax", "mm", "scaled_mm"}:
            entry["kernels"] = kernels(CASES[name])
    save()
    found["shapes"] = shapes()
    save()
    print(len(outputs), "of", len(CASES), "cases in", round(time.time() - STARTED), "s")


if __name__ == "__main__":
    main()
