"""Every code, and every bfloat16 number under many block maxima, against a third implementation."""

import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from mxref import bdr
from mxref.exact import bdr as exact
from mxref.exact import ieee

sys.path.insert(0, str(Path(__file__).parent))

import bdr_third

POW2 = ("mx9", "mx6", "mx4", "msfp16", "msfp12", "bdr:m=5,k1=16,k2=4,d2=2")
MAXIMA = (1.0, 1.5, 1.9921875, 1.984375, 1.875, 2.0**-100, 3.0e38)


def shape_of(fmt):
    return fmt.m, fmt.k2 or 1, fmt.max_shift


@pytest.mark.parametrize("name", POW2)
def test_every_code_under_every_scale_and_shift(name):
    fmt = bdr.bdr_format(name)
    m, k2, cap = shape_of(fmt)
    codes = np.arange(fmt.code_count)
    lines = []
    for D in range(cap + 1):
        E = np.repeat(np.arange(255), -(-fmt.code_count // fmt.k1))
        block = np.resize(codes, (len(E), fmt.k1))
        D_ = np.full((len(E), fmt.k1 // k2), D)
        subs = D_.reshape(-1).astype(np.uint8) if cap else None
        parts = (block.reshape(-1).astype(np.uint8), E.astype(np.uint8))
        ours = bdr.dequantize(*parts, fmt, subscales=subs)
        want = bdr_third.dequantize(E, D_, block, m, k2).reshape(-1)
        with np.errstate(over="raise"):
            assert (ours.view(np.uint32) == want.astype(np.float32).view(np.uint32)).all()
        lines.append((parts, subs, ours))
    # Some of them by the definition too, both ends of the scale among them.
    for parts, subs, ours in lines:
        for i in (0, 1, 127, len(parts[1]) - 1):
            shared = () if subs is None else tuple(int(s) for s in subs[: fmt.k1 // k2])
            block = [int(c) for c in parts[0].reshape(-1, fmt.k1)[i]]
            values = exact.dequantize(int(parts[1][i]), shared, block, fmt)
            bits = [ieee.to_bits(v, "float32") for v in values]
            assert bits == ours.view(np.uint32).reshape(-1, fmt.k1)[i].tolist()


def all_under(largest, fmt):
    """All finite bfloat16 numbers, normal or zero, in blocks with one maximum."""
    words = np.arange(1 << 16, dtype=np.uint16)
    finite = words[
        ((words >> 7) & 0xFF != 0xFF) & (((words >> 7) & 0xFF > 0) | (words & 0x7F == 0))
    ]
    step = fmt.k2 or 1
    each = fmt.k1 // step - 1
    blocks = np.zeros((-(-finite.size // each), fmt.k1), np.uint16)
    top = np.asarray(largest, ml_dtypes.bfloat16).view(np.uint16)
    blocks[:, 0] = top
    blocks[:, step::step] = np.resize(finite, (len(blocks), each))
    if step > 1:  # the partner of each is half of the maximum, or the next number
        blocks[:, step + 1 :: step] = np.resize(np.roll(finite, 1), (len(blocks), each)) & 0x7FFF
        blocks[::2, step + 1 :: step] = 0
    return blocks.view(ml_dtypes.bfloat16)


POLICIES = (
    "bdr-paper",
    pytest.param("bdr-paper:rounding=nearest-away", marks=pytest.mark.slow),
    pytest.param("bdr-paper:rounding=half-up", marks=pytest.mark.slow),
)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", POW2)
def test_every_bfloat16_number_under_many_maxima(name, policy):
    fmt, chosen = bdr.bdr_format(name), bdr.get_policy(policy)
    m, k2, cap = shape_of(fmt)
    for largest in MAXIMA:
        x = all_under(largest, fmt)
        q = bdr.quantize(x, fmt, policy=chosen)
        E, D, codes = bdr_third.quantize(x.astype(np.float64), m, k2, cap, chosen.rounding.value)
        assert (q.scales[:, 0] == E).all()
        if cap:
            # The third one gives a sub-block of zeros no shift: any does.
            zero = np.abs(x.astype(np.float64)).reshape(len(x), -1, k2).max(axis=2) == 0
            assert ((q.subscales == D) | zero).all()
        assert (q.codes == codes).all()
        wide = bdr.quantize(x.astype(np.float32), fmt, policy=chosen)
        assert (wide.codes == codes).all()


@pytest.mark.parametrize("name", POW2)
def test_the_definition_says_the_same_of_some(name):
    fmt = bdr.bdr_format(name)
    for largest in MAXIMA[2:5]:
        x = all_under(largest, fmt)[::211]
        q = bdr.quantize(x, fmt)
        for i, row in enumerate(x.view(np.uint16)):
            numbers = [ieee.from_bits(int(w), "bfloat16") for w in row]
            E, shifts, codes = exact.quantize(numbers, fmt, source="bfloat16")
            assert (E, list(codes)) == (int(q.scales[i, 0]), q.codes[i].tolist())
            assert list(shifts) == ([] if q.subscales is None else q.subscales[i].tolist())
