"""A NumPy MXFP4 quantizer with one planted mistake, and what mxref says about it.

Run it: python examples/seeded_defect.py. It exits with 0 if the mistake is named.
"""

import sys

import numpy as np

import mxref


def quantize_mxfp4(x):
    """Quantize float32 blocks, shape (n, 32). One line is wrong: do you see it?"""
    amax = np.abs(x).max(axis=1, keepdims=True)
    exponent = np.frexp(amax)[1] - 1 - 2  # floor(log2 amax) - emax of E2M1
    scaled = np.ldexp(np.abs(x), -exponent)

    grid = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
    below = np.clip(np.searchsorted(grid, scaled, side="right") - 1, 0, 6)
    middle = (grid[below] + grid[below + 1]) / 2
    odd = below % 2 == 1
    codes = below + ((scaled > middle) | ((scaled == middle) & odd))  # nearest, ties to even
    codes = np.where(scaled >= 4.0, 7, codes)  # too large: saturate
    return (codes + 8 * np.signbit(x)).astype(np.uint8), (exponent + 127).astype(np.uint8)


x = np.random.default_rng(1).standard_normal((1024, 32)).astype(np.float32)
codes, scales = quantize_mxfp4(x)

report = mxref.check.quantize(x, codes, scales, "mxfp4")
print(report)

named = report.verdict == "defect" and [finding.id for finding in report.findings] == ["E12"]
print(f"\nThe seeded defect, E12, was {'named' if named else 'NOT named'}.")
sys.exit(not named)
