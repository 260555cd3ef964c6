"""Exact products that are computed again under other circumstances: paths, threads, processes.

``results()`` gives the bytes of each; run as a script, it prints their digest: ``small`` ones for a
process without a compiler, else those that fill tiles and several threads too.
"""

import hashlib
import sys

import ml_dtypes
import numpy as np

import mxref

ELEMENTS = {
    "mxfp8_e4m3": 256,
    "mxfp8_e5m2": 256,
    "mxfp6_e3m2": 64,
    "mxfp6_e2m3": 64,
    "mxfp4": 16,
    "mxint8": 256,
}
PAIRS = [(name, name) for name in ELEMENTS] + [("mxfp4", "mxfp8_e5m2"), ("mxfp8_e4m3", "mxint8")]
# Shape (M, K, N), block size, spread of the scale codes, whether NaN and Inf occur.
SMALL = [((3, 40, 2), 32, 2, False), ((2, 17, 3), 8, 127, True)]
LARGE = [
    ((70, 320, 65), 32, 1, False),  # sums that float64 holds
    ((65, 352, 70), 32, 14, False),  # needs the error terms
    ((33, 200, 66), 16, 60, False),
    ((40, 99, 37), 1, 127, True),
    ((300, 512, 260), 32, 9, False),  # several threads
]
OUTPUTS = [
    (np.float32, "nearest-even"),
    (np.float64, "down"),
    (np.float16, "to-odd"),
    (ml_dtypes.bfloat16, "nearest-away"),
]


def operand(rng, name, shape, axis, block, spread, specials):
    """Random codes and scale codes, from integers alone."""
    codes = rng.integers(0, ELEMENTS[name], shape, np.uint8)
    if not specials and name.startswith("mxfp8"):
        codes &= np.uint8(0xBB)  # neither NaN nor Inf
    blocks = list(shape)
    blocks[axis] = -(-shape[axis] // block)
    scales = rng.integers(127 - spread, 128 + spread + specials, blocks).astype(np.uint8)
    return mxref.MXArray(codes, scales, name, axis=axis, block_size=block)


def products(jobs):
    """Yield operands and an addend."""
    rng = np.random.default_rng(3)
    for shape, block, spread, specials in jobs:
        for left, right in PAIRS:
            m, k, n = shape
            a = operand(rng, left, (m, k), 1, block, spread, specials)
            b = operand(rng, right, (k, n), 0, block, spread, specials)
            # No normal numbers: their last bits follow the floating-point mode that is under test.
            yield a, b, np.ldexp(rng.integers(-(2**40), 2**40, (m, n)).astype(np.float64), -38)


def results(multiply=mxref.matmul, *, small=False):
    """The bytes of every product, by a name."""
    found = {}
    for i, (a, b, c) in enumerate(products(SMALL if small else LARGE)):
        dtype, rounding = OUTPUTS[i % len(OUTPUTS)]
        addend = c if i % 3 == 0 else None
        key = f"{i} {a.format.name} {b.format.name} {a.shape} {np.dtype(dtype).name} {rounding}"
        found[key] = multiply(a, b, addend, dtype=dtype, rounding=rounding).tobytes()
    return found


def differing(found, expected):
    """The names of what differs."""
    assert found.keys() == expected.keys()
    return [key for key, data in found.items() if expected[key] != data]


def digest(found):
    """One word for all results."""
    whole = hashlib.sha256()
    for key in sorted(found):
        whole.update(found[key])
    return whole.hexdigest()


if __name__ == "__main__":
    print(digest(results(small="small" in sys.argv[1:])))
