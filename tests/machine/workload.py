"""What the tests of this folder run under different circumstances: every kind of conversion.

``results()`` gives the bytes of each; run as a script, it prints their digest.
"""

import functools
import hashlib

import ml_dtypes
import numpy as np

import mxref
from mxref.arrays import encode_with_scale

# Fields of scales only change parameters; the last two policies need kernels of their own, and so
# run on one source. Each kernel that nobody else uses costs a test run two seconds.
PLAIN = [
    "ocp",
    "ocp:scale_rule=ceil,scale_log2=float32,decode_subnormal=flush-result",
    "ocp:scale_rule=floor,scale_log2=float32,scale_amax=float16,scale_inf=saturate",
    "ocp:scale_rule=rceil,scale_quotient=reciprocal,scale_nan=ignore,scale_inf=exponent-field",
]
SPECIAL = [
    "ocp:scale_rule=mse,scaled_intermediate=float16,relu=on,element_subnormal=flush",
    "ocp:rounding=stochastic-c,scale_rule=stochastic,scale_subnormal=bits",
]
BLOCKS = ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4", "mxint8"]
ELEMENTS = {"e4m3": 256, "e5m2": 256, "e3m2": 64, "e2m3": 64, "e2m1": 16, "int8": 256}
COUNT = 1 << 15  # below the size at which several threads take part
SEED = 11


def sources():
    """All 2^16 words of the short types; of the others many, half of them tiny."""
    rng = np.random.default_rng(SEED)
    halves = np.arange(1 << 16, dtype=np.uint16)
    singles = rng.integers(0, 1 << 32, COUNT, np.uint32, endpoint=False)
    singles[: COUNT // 4] &= np.uint32(0x807FFFFF)  # subnormal
    singles[COUNT // 4 : COUNT // 2] &= np.uint32(0x83FFFFFF)  # below 2^-119
    doubles = rng.integers(0, 1 << 64, COUNT, np.uint64, endpoint=False)
    doubles[: COUNT // 4] &= np.uint64(0x800FFFFFFFFFFFFF)  # subnormal
    near_one = rng.integers(1023 - 140, 1023 + 130, COUNT // 2).astype(np.uint64)
    doubles[COUNT // 2 :] &= np.uint64(0x800FFFFFFFFFFFFF)
    doubles[COUNT // 2 :] |= near_one << np.uint64(52)
    return {
        "bfloat16": halves.view(ml_dtypes.bfloat16),
        "float16": halves.view(np.float16),
        "float32": singles.view(np.float32),
        "float64": doubles.view(np.float64),
    }


def edges(kind):
    """Blocks of 32 whose amax lies within a few steps of where a rule or a logarithm turns."""
    significands = np.array([1, 1.5, 1.75, 1.8125, 1.875, 1.984375, 2**0.5], np.float64)
    values = np.ldexp(significands, np.arange(-130, 127, 9)[:, None]).astype(kind).reshape(-1)
    word = np.dtype(f"i{values.itemsize}")
    words = values.view(word)[:, None] + np.arange(-4, 5, dtype=word)
    blocks = np.zeros((words.size, 32), kind)
    blocks[:, 0] = words.view(kind).reshape(-1)
    return blocks.reshape(-1)


@functools.cache
def inputs():
    """All arrays, made once: in the usual floating-point mode, whatever a test sets later."""
    found = {}
    for source, x in sources().items():
        for piece in range(0, len(x), COUNT):
            found[source, piece] = x[piece : piece + COUNT]
    for kind in (np.float32, np.float64):
        found[kind.__name__, "edges"] = edges(kind)
    return found


def results():
    """Bytes of every result, by what was done."""
    found = {}
    for policy in PLAIN:
        for key, x in inputs().items():
            found |= convert(policy, key, x)
    for policy in SPECIAL:
        found |= convert(policy, ("float32", "few"), inputs()["float32", 0][::8])
    for policy in (*PLAIN, "ocp:decode_nan=signed,decode_overflow=saturate"):
        for name, count in (ELEMENTS | {"e8m0": 256}).items():
            codes = np.arange(count, dtype=np.uint8)
            found[policy, name, "decode"] = mxref.decode(codes, name, policy).tobytes()
    return found


def convert(policy, key, x):
    """Bytes of the results for one array."""
    rng = np.random.default_rng(SEED + 1)
    random = rng.integers(0, 1 << 16, len(x)).astype(np.uint32)
    scale_random = rng.integers(0, 1 << 16, len(x) // 32).astype(np.uint32)
    chosen = rng.integers(0, 256, len(x) // 32).astype(np.uint8)
    is_random = "stochastic" in policy
    draws = {"random": random} if is_random else {}
    scale_draws = {"scale_random": scale_random} if is_random else {}
    found = {}
    for name in BLOCKS:
        q = mxref.quantize(x, name, policy=policy, **draws, **scale_draws)
        found[policy, *key, name, "codes"] = q.codes.tobytes()
        found[policy, *key, name, "scales"] = q.scales.tobytes()
        found[policy, *key, name, "values"] = q.dequantize().tobytes()
        codes = encode_with_scale(x, chosen, name, policy=policy, **draws)
        found[policy, *key, name, "given"] = codes.tobytes()
        back = mxref.dequantize(codes, chosen, name, policy=policy)
        found[policy, *key, name, "wide values"] = back.tobytes()
    for name in ELEMENTS:
        found[policy, *key, name, "encode"] = mxref.encode(x, name, policy, **draws).tobytes()
    found[policy, *key, "e8m0", "encode"] = mxref.encode(x, "e8m0", policy).tobytes()
    return found


def threaded_results():
    """Bytes of conversions that are large enough for several threads."""
    x = np.tile(inputs()["float32", 0], 4)
    found = convert("ocp", ("float32", "large"), x)
    q = mxref.quantize(x.reshape(-1, 256), "mxfp4", axis=0)
    found["across"] = q.codes.tobytes() + q.scales.tobytes() + q.dequantize().tobytes()
    found["decode"] = mxref.decode(np.tile(q.codes.reshape(-1), 2), "e4m3").tobytes()
    return found


def digest(found):
    """One number for all results."""
    total = hashlib.sha256()
    for data in found.values():
        total.update(data)
    return total.hexdigest()


def differing(found, expected):
    """The names of results that are not as expected."""
    assert found.keys() == expected.keys()
    return [key for key, data in expected.items() if found[key] != data]


if __name__ == "__main__":
    print(digest(results() | threaded_results()))
