"""JAX: what is shared and what is copied, and tracers."""

import numpy as np
import pytest
from _compare import peers

import mxref
from mxref.formats import BLOCK_FORMATS
from mxref.interop import jax_arrays

pytestmark = peers("jax")
FORMATS = tuple(BLOCK_FORMATS)
X = (np.random.default_rng(3).standard_normal((8, 64)) * 4).astype(np.float32)


@pytest.fixture
def jnp():
    pytest.importorskip("jax").config.update("jax_platforms", "cpu")  # also where a GPU is
    return pytest.importorskip("jax.numpy")


def aligned(q):
    """The same array in memory that begins at a multiple of 64, as JAX wants it."""

    def moved(a):
        room = np.empty(a.size + 64, np.uint8)
        start = -room.ctypes.data % 64
        target = room[start : start + a.size].reshape(a.shape)
        target[...] = a
        return target

    return mxref.MXArray(moved(q.codes), moved(q.scales), q.format, q.axis)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", FORMATS)
def test_there_and_back(jnp, name, axis):
    q = mxref.quantize(np.resize(X, (64, 96)), name, axis=axis)
    for each in (q, q.T, q[:32], q[..., :32], q[:0] if axis else q[:, :0], aligned(q)):
        codes, scales = each.to_jax()
        assert codes.dtype == jax_arrays.DTYPES[q.format.element.name]
        assert scales.dtype == jnp.float8_e8m0fnu
        assert codes.shape == each.shape
        assert mxref.MXArray.from_jax(codes, scales, name, each.axis).equals(each)
        assert mxref.MXArray(codes, scales, name, each.axis).equals(each)


@pytest.mark.parametrize("name", FORMATS)
def test_arrays_of_jax_never_change(jnp, name):  # noqa: ARG001
    q = aligned(mxref.quantize(X, name))
    before = q.copy()
    codes, scales = q.to_jax()
    q.codes[...] = 0
    q.scales[...] = 0
    assert mxref.MXArray.from_jax(codes, scales, name).equals(before)


@pytest.mark.parametrize("name", FORMATS)
def test_memory_is_shared_on_request(jnp, name):  # noqa: ARG001
    q = aligned(mxref.quantize(X, name))
    if q.format.element.name in jax_arrays.COPIED:
        with pytest.raises(ValueError, match=r"JAX cannot share the codes.*never FP4"):
            q.to_jax(copy=False)
        return
    codes, scales = q.to_jax(copy=False)
    assert codes.unsafe_buffer_pointer() == q.codes.ctypes.data
    assert scales.unsafe_buffer_pointer() == q.scales.ctypes.data


def test_memory_that_cannot_be_shared(jnp):  # noqa: ARG001
    q = aligned(mxref.quantize(np.resize(X, (64, 65)), "mxfp8_e4m3", axis=0))
    for each in (q[:, 1:], q.T):
        with pytest.raises(ValueError, match="multiple of 64 "):
            each.to_jax(copy=False)


@pytest.mark.parametrize("name", FORMATS)
def test_the_way_back_shares_but_for_fp4(jnp, name):  # noqa: ARG001
    codes, scales = mxref.quantize(X, name).to_jax()
    q = mxref.MXArray.from_jax(codes, scales, name)
    is_shared = q.format.element.name not in jax_arrays.COPIED
    assert (q.codes.ctypes.data == codes.unsafe_buffer_pointer()) == is_shared
    assert q.scales.ctypes.data == scales.unsafe_buffer_pointer()
    assert not q.scales.flags.writeable


@pytest.mark.parametrize("name", ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp4"])
def test_jax_reads_the_same_values(jnp, name):
    q = mxref.quantize(X, name)
    codes, scales = q.to_jax()
    product = codes.astype(jnp.float32) * scales.astype(jnp.float32).repeat(32, -1)
    np.testing.assert_array_equal(np.asarray(product), q.dequantize())


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", FORMATS)
def test_arrays_are_quantized_as_their_numbers(jnp, name, dtype):
    x = jnp.asarray(X, dtype)
    wide = np.asarray(x.astype("float32"))
    q = mxref.quantize(x, name)
    assert q.equals(mxref.quantize(wide, name))
    codes, scales = q.to_jax()
    assert mxref.check.quantize(x, codes, scales, name).verdict == "conforms"


def test_tracers_are_refused(jnp):
    import jax

    for transform in (jax.jit, jax.vmap, lambda f: jax.grad(lambda x: f(x).sum())):
        with pytest.raises(TypeError, match=r"x is a JAX tracer.*jax\.pure_callback"):
            transform(lambda x: jnp.asarray(mxref.quantize(x, "mxfp4").dequantize()))(X)


def test_the_advice_about_tracers_works(jnp):
    import jax

    @jax.jit
    def rounded(x):
        shape = jax.ShapeDtypeStruct(x.shape, jnp.float32)
        return jax.pure_callback(lambda a: mxref.quantize(a, "mxfp4").dequantize(), shape, x)

    np.testing.assert_array_equal(rounded(X), mxref.quantize(X, "mxfp4").dequantize())


def test_a_device_by_name(jnp):  # noqa: ARG001
    import jax

    (device, *_) = jax.devices("cpu")
    codes, scales = mxref.quantize(X, "mxfp4").to_jax(device=device)
    assert codes.devices() == scales.devices() == {device}


def test_values_and_dlpack(jnp):
    q = mxref.quantize(X, "mxfp4")
    np.testing.assert_array_equal(np.asarray(jnp.asarray(q)), q.dequantize())
    with pytest.raises(TypeError, match=r"q\.to_jax\(\)"):
        jnp.from_dlpack(q)
