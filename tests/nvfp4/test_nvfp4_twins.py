"""The loops and the NumPy twin of NVFP4 against the definition, under any policy."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nvfp4_cases import KINDS, exact_quantize, policies, tensors

from mxref import nvfp4

HERE = Path(__file__).parent
SEEDS = st.integers(0, 2**32 - 1)


def check(policy, kind, seed):
    rng = np.random.default_rng(seed)
    x = tensors(rng, 4, kind)
    random = None
    if policy.rounding == "stochastic":
        random = rng.integers(0, 1 << int(policy.stochastic_bits), x.shape, np.uint32)
    codes, scales, g = exact_quantize(x, policy, random)
    found = nvfp4.quantize(x, policy=policy, random=random)
    np.testing.assert_array_equal(found.global_scale, g)
    np.testing.assert_array_equal(found.scales.reshape(-1), scales)
    np.testing.assert_array_equal(found.codes, codes)


@settings(max_examples=40, deadline=None)
@given(policies(geometry="1d"), st.sampled_from(KINDS), SEEDS)
def test_quantize_is_the_definition(policy, kind, seed):
    check(policy, kind, seed)


def test_a_zero_under_a_scale_of_zero_stays_zero_under_random_bits():
    """A block too small for a scale of its own, with zeros in it, beside a large one."""
    x = np.zeros((2, 16), np.float32)
    x[0, 0], x[1, :2] = 1.0, 1e-30
    for rule in ("arithmetic", "zero"):
        policy = f"nvfp4-exact:rounding=stochastic,zero_scale={rule}"
        q = nvfp4.quantize(x, policy=policy, random=np.full(x.shape, 255, np.uint8))
        assert q.scales[1, 0] == 0
        assert q.codes[1].tolist() == [7 * (rule == "arithmetic")] * 2 + [0] * 14


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(policies(geometry="1d"), st.sampled_from(KINDS), SEEDS)
def test_quantize_is_the_definition_under_a_thousand_policies(policy, kind, seed):
    check(policy, kind, seed)


@pytest.mark.parametrize("name", nvfp4.PROFILES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_profile_is_the_definition(name, kind):
    check(nvfp4.get_policy(f"{name}:geometry=1d"), kind, 5)


RESULTS = """
import sys, hashlib, numpy as np
sys.path.insert(0, sys.argv[1])
from nvfp4_cases import KINDS, tensors
from mxref import nvfp4
digest = hashlib.sha256()
for name in nvfp4.PROFILES:
    for kind in KINDS:
        for policy in (name, f"{name}:rounding=stochastic"):
            x = tensors(np.random.default_rng(3), 32, kind).reshape(16, 32)
            random = None if policy == name else 1
            q = nvfp4.quantize(x, policy=policy, random=random)
            for part in (q.codes, q.scales, q.global_scale, q.dequantize()):
                digest.update(np.asarray(part).tobytes())
print(digest.hexdigest())
"""


def digest(**environment):
    command = [sys.executable, "-c", RESULTS, str(HERE)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | environment
    )
    return done.stdout.strip()


@pytest.mark.slow
def test_without_a_compiler_the_bits_are_the_same():
    assert digest() == digest(NUMBA_DISABLE_JIT="1") == digest(NUMBA_NUM_THREADS="1")


def test_bits_do_not_depend_on_the_floating_point_mode(tmp_path):
    """With subnormals flushed and rounding toward minus infinity, as in tests/machine."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler (cc) to set the floating-point mode with")
    source = HERE.parent / "machine" / "float_mode.c"
    library = tmp_path / "float_mode.so"
    command = [compiler, "-O1", "-shared", "-fPIC", str(source), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "no floating-point mode is known" in done.stderr:
        pytest.skip("neither x86 nor aarch64")
    modes = ctypes.CDLL(str(library))
    for name in ("get_mode", "flush_bits", "down_bits"):
        getattr(modes, name).restype = ctypes.c_ulong
    modes.set_mode.argtypes, modes.set_mode.restype = [ctypes.c_ulong], None
    x = tensors(np.random.default_rng(3), 64, "tiny").reshape(16, 64)
    expected = {name: nvfp4.quantize(x, policy=name) for name in nvfp4.PROFILES}
    values = {name: q.dequantize() for name, q in expected.items()}
    before = modes.get_mode()
    modes.set_mode(before | modes.flush_bits() | modes.down_bits())
    try:
        inside = modes.get_mode()
        found = {name: nvfp4.quantize(x, policy=name) for name in nvfp4.PROFILES}
        again = {name: q.dequantize() for name, q in found.items()}
        after = modes.get_mode()
    finally:
        modes.set_mode(before)
    assert inside == after != before
    for name, q in found.items():
        np.testing.assert_array_equal(q.codes, expected[name].codes)
        np.testing.assert_array_equal(q.scales, expected[name].scales)
        assert q.global_scale.view(np.uint32) == expected[name].global_scale.view(np.uint32)
        np.testing.assert_array_equal(again[name].view(np.uint32), values[name].view(np.uint32))
