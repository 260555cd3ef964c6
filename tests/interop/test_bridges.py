"""Ways to other frameworks that need none of them: views, stand-ins, and what is refused."""

import contextlib
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest

import mxref
from mxref import interop
from mxref._foreign import as_numpy
from mxref.formats import BLOCK_FORMATS
from mxref.interop import cupy_arrays, jax_arrays, torch_tensors

TYPED = {
    "mxfp8_e4m3": ml_dtypes.float8_e4m3fn,
    "mxfp8_e5m2": ml_dtypes.float8_e5m2,
    "mxfp6_e3m2": ml_dtypes.float6_e3m2fn,
    "mxfp6_e2m3": ml_dtypes.float6_e2m3fn,
    "mxfp4": ml_dtypes.float4_e2m1fn,
    "mxint8": np.int8,
}


def sample(name, shape=(4, 64)):
    x = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    return mxref.quantize(x, name)


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_typed_views_share_memory(name):
    q = sample(name)
    codes, scales = q.to_ml_dtypes()
    assert codes.dtype == TYPED[name]
    assert scales.dtype == ml_dtypes.float8_e8m0fnu
    assert np.shares_memory(codes, q.codes)
    assert np.shares_memory(scales, q.scales)
    assert mxref.MXArray(codes, scales, name).equals(q)
    if name != "mxint8":  # a second opinion on what the codes and the scales mean
        product = codes.astype(np.float32) * np.repeat(scales.astype(np.float32), 32, -1)
        np.testing.assert_array_equal(product, q.dequantize())
    q.codes[0, 0] ^= 1
    assert codes.view(np.uint8)[0, 0] == q.codes[0, 0]


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_views_of_any_strides(name):
    q = sample(name)
    for other in (q.T, q[::-1], q[:, 32:]):
        codes, scales = other.to_ml_dtypes()
        assert mxref.MXArray(codes, scales, name, other.axis).equals(other)


def test_every_format_has_a_type_everywhere():
    known = {f.element.name for f in BLOCK_FORMATS.values()} | {"e8m0"}
    for module in (torch_tensors, jax_arrays, cupy_arrays):
        assert set(module.DTYPES) == known


# --- CuPy, by a stand-in --------------------------------------------------------------------------


class OnDevice:
    """What a cupy.ndarray shows of itself."""

    __cuda_array_interface__ = {}  # noqa: RUF012

    def __init__(self, held):
        self.held = held.copy()
        self.dtype = held.dtype

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def get(self):
        return self.held.copy()


@pytest.fixture
def cupy(monkeypatch):
    used = []

    @contextlib.contextmanager
    def device(number):
        used.append(number)
        yield

    fake = SimpleNamespace(asarray=OnDevice, cuda=SimpleNamespace(Device=device), used=used)
    monkeypatch.setitem(sys.modules, "cupy", fake)
    return fake


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_cupy_there_and_back(cupy, name):
    q = sample(name)
    codes, scales = q.to_cupy(device=1)
    assert cupy.used == [1]
    assert isinstance(codes, OnDevice)
    assert codes.dtype == cupy_arrays.DTYPES[q.format.element.name]
    assert scales.dtype == np.uint8
    assert mxref.MXArray.from_cupy(codes, scales, name).equals(q)


def test_what_lies_on_a_gpu_is_not_fetched_unasked(cupy):  # noqa: ARG001
    q = sample("mxfp4")
    codes, scales = q.to_cupy()
    with pytest.raises(TypeError, match=r"codes is a OnDevice on a GPU.*codes\.get\(\)"):
        mxref.MXArray(codes, scales, "mxfp4")
    with pytest.raises(TypeError, match=r"x is a OnDevice on a GPU"):
        mxref.quantize(OnDevice(np.ones(32, np.float32)), "mxfp4")
    assert as_numpy(codes, "codes", fetch=True).dtype == np.uint8


def test_jax_fetches_by_itself_as_for_numpy():
    """On a GPU its arrays look like CuPy's, but NumPy may ask for them."""

    def fetched(self, *_, **__):
        return self.held

    members = {"__cuda_array_interface__": {}, "__array__": fetched, "__module__": "jaxlib._jax"}
    array = type("ArrayImpl", (), members)()
    array.held = np.linspace(-3, 3, 32, dtype=np.float32)
    assert mxref.quantize(array, "mxfp4").equals(mxref.quantize(array.held, "mxfp4"))


# --- other arrays, by stand-ins -------------------------------------------------------------------


class Array:
    def __init__(self, held):
        self.held = held

    def __array__(self, dtype=None, copy=None):
        return self.held


class Dlpack:
    def __init__(self, held, *, is_remote=False):
        self.held, self.is_remote = held, is_remote

    def __dlpack_device__(self):
        return self.held.__dlpack_device__()

    def __dlpack__(self, **options):
        if self.is_remote:
            raise BufferError("not on this device")
        return self.held.__dlpack__()


@pytest.mark.parametrize("wrap", [Array, Dlpack, memoryview])
def test_arrays_of_others_are_read_in_place(wrap):
    x = np.random.default_rng(1).standard_normal((4, 64)).astype(np.float32)
    expected = mxref.quantize(x, "mxfp8_e4m3")
    q = mxref.quantize(wrap(x), "mxfp8_e4m3")
    assert q.equals(expected)
    held = mxref.MXArray(wrap(q.codes), wrap(q.scales), "mxfp8_e4m3")
    assert np.shares_memory(held.codes, q.codes)
    assert np.shares_memory(held.scales, q.scales)
    assert mxref.check.quantize(wrap(x), wrap(q.codes), wrap(q.scales), "mxfp8_e4m3").ok
    np.testing.assert_array_equal(
        mxref.dequantize(wrap(q.codes), wrap(q.scales), "mxfp8_e4m3"), q.dequantize()
    )
    np.testing.assert_array_equal(mxref.encode(wrap(x), "e5m2"), mxref.encode(x, "e5m2"))
    np.testing.assert_array_equal(
        mxref.decode(wrap(q.codes), "e4m3"), mxref.decode(q.codes, "e4m3")
    )


def test_what_dlpack_cannot_pass_is_refused():
    with pytest.raises(TypeError, match=r"x is a Dlpack that NumPy cannot read in place.*not on"):
        mxref.quantize(Dlpack(np.ones(32, np.float32), is_remote=True), "mxfp4")


def test_a_tracer_is_refused():
    tracer = type("Tracer", (), {"__module__": "jax._src.core", "__array__": None})
    traced = type("JVPTracer", (tracer,), {"__module__": "jax._src.interpreters.ad"})
    with pytest.raises(TypeError, match=r"x is a JAX tracer.*jax\.pure_callback"):
        mxref.quantize(traced(), "mxfp4")


# --- packages that are not there ------------------------------------------------------------------

MISSING = {
    "torch": ("to_torch", r"to_torch needs torch, .*pip install 'mxref\[torch\]'"),
    "jax": ("to_jax", r"to_jax needs jax, .*pip install 'mxref\[jax\]'"),
    "cupy": ("to_cupy", r"to_cupy needs cupy, .*depends on your CUDA version"),
}


@pytest.mark.parametrize("package", MISSING)
def test_a_missing_package_is_named(monkeypatch, package):
    method, text = MISSING[package]
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=text) as caught:
        getattr(sample("mxfp4"), method)()
    assert caught.value.name == package


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is there")
def test_fake_quantisation_without_torch():
    from mxref.interop import torch as training

    with pytest.raises(ImportError, match=r"fake_quantize needs torch.*mxref\[torch\]"):
        training.fake_quantize(np.ones(32), "mxfp4")
    with pytest.raises(ImportError, match=r"FakeQuantize needs torch.*mxref\[torch\]"):
        training.FakeQuantize("mxfp4")


def test_nothing_heavy_is_imported():
    heavy = "{'torch', 'jax', 'cupy'} & set(sys.modules)"
    source = (
        "import sys, numpy as np, mxref, mxref.interop as i;"
        "q = mxref.quantize(np.ones(32, np.float32), 'mxfp4'); i.to_ml_dtypes(q); q[:];"
        f"sys.exit(str({heavy}) if {heavy} else 0)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names():
    assert set(interop.__all__) <= set(dir(interop))
