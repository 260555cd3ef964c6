"""Random blocks under random policies: kernels against the definition, from a seed.

Run as a script in a process of its own, where NUMBA_DISABLE_JIT may be set: without a compiler,
thousands of policies are quick to try, because each would otherwise compile kernels.
"""

import random
import sys
from dataclasses import fields

import numpy as np
from strategies import DTYPES

from mxref import arrays
from mxref.exact import block as exact_block
from mxref.exact import ieee
from mxref.formats import BLOCK_FORMATS, block_format
from mxref.policy import Policy

CHOICES = {
    f.name: [str(member) for member in type(f.default) if str(member) != "raise"]
    for f in fields(Policy)
}
SCALE_FIELDS = [n for n in CHOICES if n.startswith("scale_") and len(CHOICES[n]) > 1]
ELEMENT_FIELDS = [
    "fp8_overflow", "nan_element", "nan_payload", "neg_zero", "int8_min", "scaled_intermediate",
    "input_subnormal", "element_subnormal", "relu",
]  # fmt: skip
ROWS = 6


def draw_policy(rng, element_fields=2):
    changes = {f: rng.choice(CHOICES[f]) for f in rng.sample(SCALE_FIELDS, rng.randint(0, 4))}
    some = rng.sample(ELEMENT_FIELDS, rng.randint(0, element_fields))
    changes |= {f: rng.choice(CHOICES[f]) for f in some}
    changes["rounding"] = "nearest-even"
    if element_fields and rng.random() < 0.5:
        changes["rounding"] = rng.choice(CHOICES["rounding"])
    changes["stochastic_bits"] = str(rng.randint(1, 24))
    if changes["rounding"].startswith("stochastic") and changes.get("scale_rule") in ("mse", "mae"):
        changes["scale_rule"] = "floor"
    return Policy(**changes)


def draw_pattern(rng, source, near):
    _, _, exponent_bits, bits = DTYPES[source]
    top = (1 << exponent_bits) - 1
    close = max(0, min(top - 1, near + rng.randint(-14, 2)))
    exponent = rng.choice([rng.randint(0, top - 1), close, close])
    if rng.random() < 0.02:
        exponent = top
    short = rng.randint(0, 15) << (bits - 4)
    mantissa = rng.choice(
        [
            rng.getrandbits(bits),
            1 << rng.randint(0, bits - 1),
            short,
            (short + 1) % (1 << bits),
            (short - 1) % (1 << bits),
            rng.choice([0, 1, (1 << bits) - 1]),
        ]
    )
    if rng.random() < 0.1:
        exponent = mantissa = 0
    return (rng.randint(0, 1) << (exponent_bits + bits)) | (exponent << bits) | mantissa


def draw_blocks(rng, source, k):
    dtype, storage, exponent_bits, _ = DTYPES[source]
    rows = []
    for _ in range(ROWS):
        near = rng.choice([rng.randint(0, (1 << exponent_bits) - 2), 0, 1, 2, 127])
        rows.append([draw_pattern(rng, source, near) for _ in range(k)])
    return rows, np.array(rows, storage).view(dtype)


def draw_bits(rng, count, bits):
    top = (1 << bits) - 1
    return [rng.choice([0, top, rng.getrandbits(bits)]) for _ in range(count)]


def compare(rng, source, fmt, policy):
    """Quantize a few blocks both ways; return what differs."""
    rows, x = draw_blocks(rng, source, fmt.block_size)
    bits, given, each = int(policy.stochastic_bits), {}, [{} for _ in rows]
    if policy.rounding.startswith("stochastic"):
        drawn = [draw_bits(rng, fmt.block_size, bits) for _ in rows]
        given["random"] = np.array(drawn, np.uint32)
        for extra, numbers in zip(each, drawn, strict=True):
            extra["random"] = numbers
    if policy.scale_rule == "stochastic":
        drawn = draw_bits(rng, len(rows), bits)
        given["scale_random"] = np.array(drawn, np.uint32)[:, None]
        for extra, number in zip(each, drawn, strict=True):
            extra["scale_random"] = number
    q = arrays.quantize(x, fmt, policy=policy, **given)
    wrong = []
    for row, extra, scale, codes in zip(rows, each, q.scales, q.codes, strict=True):
        numbers = [ieee.from_bits(b, source) for b in row]
        expected = exact_block.quantize(numbers, fmt, policy, source=source, **extra)
        if (int(scale[0]), tuple(codes.tolist())) != expected:
            told = f"{fmt.name} {source} {policy} {extra}: {[hex(b) for b in row]}"
            wrong.append(f"{told}\n  kernels {int(scale[0])} {codes.tolist()}\n  exact {expected}")
    return wrong


def run(seed, rounds, element_fields=2):
    rng = random.Random(seed)
    for _ in range(rounds):
        source = rng.choice(list(DTYPES))
        fmt = block_format(rng.choice(list(BLOCK_FORMATS)), rng.choice([3, 8]))
        policy = draw_policy(rng, element_fields)
        wrong = compare(rng, source, fmt, policy)
        if wrong:
            return wrong[0]
    return None


if __name__ == "__main__":
    difference = run(int(sys.argv[1]), int(sys.argv[2]))
    sys.exit(difference or 0)
