"""AMD Quark's quantizers of MX9 and MX6: the profiles give its numbers, bit for bit.

The torch path is called as it is. The C++ operators are compiled from the source that the package
ships. ``pip install --no-deps amd-quark==0.13``, and scipy and onnxslim (see test_conv_quark.py).
"""

import ctypes
import importlib.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from _compare import peers

from mxref import bdr

pytestmark = peers("torch", "quark", "onnxslim", "scipy")

MODES = {"std": 0, "dpu": 1, "py3": 2}  # rounding_mode_enum of bfp_kernel.h
WIDTHS = {"mx9": 16, "mx6": 13, "mx4": 11}
FINITE, SPECIAL = "finite", "special"


def numbers(kind, k=16, n=4096, seed=0):
    """Blocks of float32: every exponent, ties, carries, subnormals, zeros of both signs."""
    rng = np.random.default_rng(seed)
    top = rng.integers(0, 255, (n, 1))
    field = np.clip(top - rng.integers(0, 12, (n, k)), 0, 254).astype(np.uint32)
    mantissa = rng.integers(0, 1 << 23, (n, k)).astype(np.uint32)
    drop = rng.integers(0, 24, (n, 1)).astype(np.uint32)
    mantissa = mantissa >> drop << drop
    ones = rng.random((n, k)) < 0.2
    mantissa[ones] = 0x7FFFFF
    words = field << np.uint32(23) | mantissa | rng.integers(0, 2, (n, k)).astype(np.uint32) << 31
    words[rng.random((n, k)) < 0.1] &= np.uint32(0x80000000)
    if kind == SPECIAL:
        words[rng.random((n, k)) < 0.02] = 0x7F800000
        words[rng.random((n, k)) < 0.02] = 0xFFC00000
    return words.view(np.float32)


def same(ours, theirs):
    """Equal bits, where every NaN equals every other."""
    both = np.isnan(ours) & np.isnan(theirs)
    np.testing.assert_array_equal(
        np.where(both, 0, ours.view(np.uint32)), np.where(both, 0, theirs.view(np.uint32))
    )


@pytest.fixture(scope="module")
def operators(tmp_path_factory):
    """The C++ operators, compiled."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    found = importlib.util.find_spec("quark.onnx")
    folder = Path(found.origin).parent / "operators" / "custom_ops"
    kernel = folder / "src" / "bfp" / "cpu" / "bfp_kernel.cc"
    out = tmp_path_factory.mktemp("quark")
    source = out / "all.cc"
    # bfloat_convert.h is for another function of the same file.
    wrapper = """
#include "%s"
extern "C" void prime(const float* x, float* y, int n, int bits, int k1, int k2, int d2, int mode) {
  LaunchBFPPrimeCPUKernel(x, y, n, bits, k1, k2, d2, mode);
}
extern "C" void plain(const float* x, float* y, int n, int bits, int k, int mode, int compiler) {
  LaunchBFPCPUKernel(x, y, n, bits, k, mode, compiler);
}
"""
    source.write_text(wrapper % kernel)
    library = out / "quark.so"
    includes = [f"-I{folder / 'include'}", f"-I{folder / 'src'}"]
    command = [
        compiler,
        "-shared",
        "-fPIC",
        "-O1",
        "-w",
        *includes,
        str(source),
        "-o",
        str(library),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return ctypes.CDLL(str(library))


def call(function, x, *arguments):
    y = np.empty_like(x)
    pointers = (ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data))
    function(*pointers, ctypes.c_int(x.size), *map(ctypes.c_int, arguments))
    return y


@pytest.mark.parametrize("kind", [FINITE, SPECIAL])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", WIDTHS)
def test_bfp_prime(operators, name, mode, kind):
    fmt = bdr.FORMATS[name]
    x = numbers(kind)
    theirs = call(operators.prime, x, WIDTHS[name], fmt.k1, fmt.k2, fmt.d2, MODES[mode])
    q = bdr.quantize(x, fmt, policy=f"quark-bfpprime-{mode}")
    same(q.dequantize(), theirs)


@pytest.mark.parametrize("mode", MODES)
def test_bfp_prime_with_wider_shifts(operators, mode):
    fmt = bdr.bdr_format("bdr:m=5,k1=16,k2=4,d2=2")
    x = numbers(SPECIAL, seed=3)
    theirs = call(operators.prime, x, 9 + fmt.m, fmt.k1, fmt.k2, fmt.d2, MODES[mode])
    same(bdr.quantize(x, fmt, policy=f"quark-bfpprime-{mode}").dequantize(), theirs)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("profile", "version"), [("quark-bfp", 0), ("quark-compiler", 1)])
def test_bfp_of_one_level(operators, profile, version, mode):
    x = numbers(FINITE, k=8, seed=5)
    # Beyond field 253 their bump has no scale here; in the lowest ones float32 limits their step.
    x = x[((np.abs(x) < 2.0**126) & ((np.abs(x) >= 2.0**-110) | (x == 0))).all(axis=1)]
    theirs = call(operators.plain, x, 16, 8, MODES[mode], version)
    rounding = {"std": "nearest-away", "dpu": "half-up", "py3": "nearest-even"}[mode]
    q = bdr.quantize(x, "bfp16", policy=f"{profile}:rounding={rounding}")
    np.testing.assert_array_equal(q.dequantize(), theirs)  # they lose the sign of some zeros


@pytest.mark.parametrize("name", ["mx9", "mx6"])
def test_torch_fake_and_real(name):
    import torch
    from quark.torch.kernel.hw_emulation import hw_emulation_interface as quark

    fmt = bdr.FORMATS[name]
    x = numbers(FINITE, seed=9)
    # 2**(E - m + 1) as float32, which they divide by, must not be subnormal.
    x = x[(np.abs(x).max(axis=1) >= 2.0**-110) | (x == 0).all(axis=1)]
    q = bdr.quantize(x, fmt, policy="quark-torch")
    options = {"quant_bit": fmt.m + 1, "sub_block_size": fmt.k2}
    fake = quark.fake_quantize_mx6_mx9(torch.from_numpy(x), -1, fmt.k1, **options)
    np.testing.assert_array_equal(q.dequantize(), fake.numpy())
    real = quark.real_quantize_mx6_mx9(torch.from_numpy(x), -1, fmt.k1, **options).numpy()
    some = (x != 0).any(axis=1)
    E = q.scales[:, 0].astype(np.float32) - 127
    np.testing.assert_array_equal(real[some, 0], E[some])
    packed = (q.subscales.astype(np.int64) << np.arange(8)).sum(axis=1)
    np.testing.assert_array_equal(real[some, 1], packed[some].astype(np.float32))
    size = (q.codes & fmt.max_magnitude).astype(np.float32)
    signed = np.where(q.codes & fmt.sign_mask, -size, size)
    np.testing.assert_array_equal(real[:, 2:], signed)


def test_torch_lets_infinity_pass_and_clamps_its_code():
    import torch
    from quark.torch.kernel.hw_emulation import hw_emulation_interface as quark

    x = np.array([np.inf, 1.0, 3.0, -2.0] + [0.5] * 12, np.float32)
    fake = quark.fake_quantize_mx6_mx9(
        torch.from_numpy(x[np.newaxis]), -1, 16, quant_bit=8, sub_block_size=2
    ).numpy()[0]
    q = bdr.quantize(x, "mx9", policy="quark-torch")
    assert fake[0] == np.inf
    assert q.codes[0] == 127  # the profile's divergence: no code says infinity
    np.testing.assert_array_equal(q.dequantize()[1:], fake[1:])
