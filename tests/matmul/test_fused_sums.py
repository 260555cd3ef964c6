import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref.kernels import _fused_programs as programs
from mxref.kernels.lanes import NumpyMachine
from mxref.kernels.sums_fused import ABSENT, OUTPUTS, FusedSum, Side, fused_sums


def test_a_fused_sum_refuses_what_it_cannot_hold():
    side = Side(np.ones((1, 4), np.int16), np.zeros((1, 4), np.int16), 10)
    with pytest.raises(ValueError, match="keeps 13 fractional bits; expected 20"):
        fused_sums(side, side, None, FusedSum(4, 13))
    with pytest.raises(ValueError, match="keeps 35 fractional bits"):
        fused_sums(side, side, None, FusedSum(4, 35))


FLOAT_CODES = st.one_of(
    st.integers(0, (1 << 32) - 1),
    st.builds(
        lambda s, e, m: s << 31 | e << 23 | m,
        st.integers(0, 1),
        st.sampled_from([0, 1, 2, 23, 24, 25, 26, 100, 127, 128, 150, 253, 254, 255]),
        st.sampled_from([0, 1, 2, 3, 1 << 22, (1 << 22) + 1, (1 << 23) - 1, (1 << 23) - 2]),
    ),
)


@given(st.lists(st.tuples(FLOAT_CODES, FLOAT_CODES), min_size=1, max_size=50))
@settings(max_examples=200, deadline=None)
def test_addition_is_that_of_float32(pairs):
    x, y = (np.array(column, np.uint32) for column in zip(*pairs, strict=True))
    o = NumpyMachine(64)
    got = programs.add(o, o.word(x), o.word(y), OUTPUTS["float32"]).value.astype(np.uint32)
    with np.errstate(all="ignore"):
        want = x.view(np.float32) + y.view(np.float32)
    np.testing.assert_array_equal(np.isnan(got.view(np.float32)), np.isnan(want))
    is_number = ~np.isnan(want)
    np.testing.assert_array_equal(got[is_number], want.view(np.uint32)[is_number])
    assert (got[~is_number & (x <= 0x7F800000) & (y <= 0x7F800000)] == 0x7FFFFFFF).all()


def test_addition_is_that_of_float16():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 1 << 16, (2, 1 << 16)).astype(np.uint32)
    o = NumpyMachine(64)
    got = programs.add(o, o.word(x), o.word(y), OUTPUTS["float16"]).value.astype(np.uint16)
    with np.errstate(all="ignore"):
        want = x.astype(np.uint16).view(np.float16) + y.astype(np.uint16).view(np.float16)
    is_number = ~np.isnan(want)
    np.testing.assert_array_equal(got[is_number], want.view(np.uint16)[is_number])
    assert np.isnan(got.view(np.float16)[~is_number]).all()


# --- without a compiler ----------------------------------------------------------------------

SCRIPT = """
import numpy as np, mxref
from mxref.matmul import Operands
from mxref.matmul.nvidia import INSTRUCTIONS
fmt, rng = mxref.block_format("mxfp8_e5m2"), np.random.default_rng(0)
a, b = (rng.integers(0, 256, (n, 40)).astype(np.uint8) for n in (3, 35))
scales = [np.full((n, 2), 127, np.uint8) for n in (3, 35)]
for one in INSTRUCTIONS:
    if one.name in ("nv-hopper-fp8", "nv-hopper-mma-fp8-f16"):
        print(one.run(Operands(a, scales[0], b, scales[1], fmt, fmt)).tobytes().hex())
"""


def test_the_same_bits_without_a_compiler():
    outputs = []
    for disabled in ("0", "1"):
        environment = os.environ | {"NUMBA_DISABLE_JIT": disabled}
        command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) > 1000


def test_an_absent_exponent_never_raises_the_alignment():
    # A zero beside a large number is no product; only the addend counts.
    a = Side(np.zeros((1, 16), np.int16), np.full((1, 16), ABSENT, np.int16), 7)
    b = Side(np.full((1, 16), 128, np.int16), np.full((1, 16), 127, np.int16), 7)
    addend = np.array([[0x3F800001]], np.uint32)
    assert fused_sums(a, b, addend, FusedSum(16, 25))[0, 0] == 0x3F800001
