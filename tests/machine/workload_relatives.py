"""What test_machine_relatives runs under different circumstances: NVFP4, BDR formats, products.

``results()`` gives the bytes of each; run as a script, it prints their digest.
"""

import functools
import hashlib

import numpy as np

import mxref
from mxref import bdr, nvfp4

RECIPES = [
    "te-1d",
    "torchao",
    "te-four-over-six",
    "te-1d:rounding=stochastic",
    "compressed-tensors",
    "nvfp4-exact",
]
FORMATS = ["mx9", "mx6", "msfp12", "scaled_int8", "vsq4", "scaled_fp8_e4m3"]
MODELS = [
    "nv-blackwell-mxf4nvf4",
    "nv-blackwell-mxf4nvf4-alpha-add",
    "nv-blackwell-mxf4nvf4-alpha-fma",
]
SEED = 23
ROWS, COLUMNS = 48, 1024
LARGE = 1 << 18  # elements with which several threads take part


@functools.cache
def inputs():
    """Made once: in the usual floating-point mode, whatever a test sets later."""
    rng = np.random.default_rng(SEED)
    shape = (ROWS, COLUMNS)
    plain = rng.standard_normal(shape).astype(np.float32)
    wide = np.ldexp(plain, rng.integers(-30, 30, shape).astype(np.int32)).astype(np.float32)
    words = rng.integers(0, 1 << 32, shape, np.uint32)
    words &= np.uint32(0x80FFFFFF)  # subnormal, or just above
    tiny = words.view(np.float32)
    mixed = np.where(rng.random(shape) < 0.5, tiny, plain * np.float32(2.0**-120))
    return {"plain": plain, "wide": wide, "tiny": tiny, "mixed": mixed.astype(np.float32)}


@functools.cache
def operands():
    """Factors of products and an addend; sums, or what alpha makes of them, may be subnormal."""
    rng = np.random.default_rng(SEED + 2)
    found = {"c": np.ldexp(rng.standard_normal((8, 8)), -130).astype(np.float32)}
    for key, exponents in {"usual": (0, 0), "subnormal": (-62, -66), "tiny": (-100, -40)}.items():
        parts = [inputs()["plain"][8 * i : 8 * i + 8, :128] for i in (0, 1)]
        found[key] = [
            np.ldexp(part, power).astype(np.float32)
            for part, power in zip(parts, exponents, strict=True)
        ]
    return found


def draws(shape):
    """Random bits."""
    return np.random.default_rng(SEED + 1).integers(0, 256, shape).astype(np.uint8)


def results():
    """Bytes of every result, by what was done."""
    found = {}
    for key, x in inputs().items():
        for recipe in RECIPES:
            found |= of_nvfp4(recipe, key, x)
        for name in FORMATS:
            found |= of_bdr(name, key, x)
    return found | products()


def of_nvfp4(recipe, key, x, axis=-1):
    """Quantize and dequantize."""
    random = {"random": draws(x.shape)} if "stochastic" in recipe else {}
    q = nvfp4.quantize(x, axis, recipe, **random)
    g = np.float32(q.global_scale).tobytes()
    parts = {"codes": q.codes.tobytes(), "scales": q.scales.tobytes(), "global": g}
    parts["values"] = q.dequantize().tobytes()
    return {(recipe, key, axis, part): data for part, data in parts.items()}


def of_bdr(name, key, x, axis=-1):
    """Quantize and dequantize."""
    q = bdr.quantize(x, name, axis)
    parts = {"codes": q.codes.tobytes(), "scales": np.asarray(q.scales).tobytes()}
    parts["values"] = q.dequantize().tobytes()
    if q.subscales is not None:
        parts["subscales"] = q.subscales.tobytes()
    return {(name, key, axis, part): data for part, data in parts.items()}


def products():
    """Exact and modelled products."""
    found = {}
    for key in ("usual", "subnormal", "tiny"):
        a, b = (nvfp4.quantize(part) for part in operands()[key])
        right = nvfp4.NVFP4Array(b.codes.T, b.scales.T, b.global_scale, 0)
        found[key, "exact"] = mxref.matmul(a, right).tobytes()
        for name in MODELS:
            found[key, name] = mxref.matmul(a, right, accumulate=name).tobytes()
        for name in MODELS[1:]:
            with_c = mxref.matmul(a, right, c=operands()["c"], accumulate=name)
            found[key, name, "c"] = with_c.tobytes()
    return found


def threaded_results():
    """Bytes of conversions that are large enough for several threads, along both axes."""
    x = np.resize(inputs()["wide"], (LARGE // COLUMNS, COLUMNS))
    found = {}
    for recipe in RECIPES:
        found |= of_nvfp4(recipe, "large", x)
    found |= of_nvfp4("te-1d", "large", np.resize(x, (1024, 256)), 0)
    for name in FORMATS:
        found |= of_bdr(name, "large", x)
        found |= of_bdr(name, "large", np.resize(x, (1024, 256)), 0)
    return found


def interpreted_results():
    """A part that is quick without a compiler."""
    found = {}
    for key, x in inputs().items():
        for recipe in RECIPES:
            found |= of_nvfp4(recipe, key, x[:2, :256])
        for name in FORMATS:
            found |= of_bdr(name, key, x[:1])
    return found


def digest(found):
    """One number for all results."""
    total = hashlib.sha256()
    for data in found.values():
        total.update(data)
    return total.hexdigest()


if __name__ == "__main__":
    import sys

    print(digest(globals()[sys.argv[1]]()))
