"""What users hand in: layouts, axes, lengths, outputs, and what is refused."""

import ml_dtypes
import numpy as np
import pytest

import mxref
from mxref.arrays import blocked, encode_with_scale

RNG = np.random.default_rng(2310)
FORMATS = ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4", "mxint8"]


def sample(*shape, dtype=np.float32):
    x = RNG.standard_normal(shape) * 2.0 ** RNG.integers(-20, 20, shape)
    return x.astype(dtype)


def by_rows(x, name, axis, **kwargs):
    """The same conversion the slow way: move the axis, one contiguous row at a time."""
    moved = np.ascontiguousarray(np.moveaxis(np.asarray(x, x.dtype.newbyteorder("=")), axis, -1))
    rows = moved.reshape(-1, moved.shape[-1])
    results = [mxref.quantize(row, name, **kwargs) for row in rows]
    lead = moved.shape[:-1]
    codes = np.array([r.codes for r in results]).reshape(*lead, -1)
    scales = np.array([r.scales for r in results]).reshape(*lead, -1)
    return np.moveaxis(codes, -1, axis), np.moveaxis(scales, -1, axis)


def assert_same(q, expected):
    codes, scales = expected
    np.testing.assert_array_equal(q.codes, codes)
    np.testing.assert_array_equal(q.scales, scales)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize("name", FORMATS)
def test_any_axis(name, axis):
    x = sample(64, 32, 96)
    q = mxref.quantize(x, name, axis=axis)
    assert q.axis == axis % 3
    assert_same(q, by_rows(x, name, axis))
    np.testing.assert_array_equal(
        q.dequantize(), mxref.dequantize(q.codes, q.scales, name, axis=axis)
    )
    rebuilt = mxref.MXArray(q.codes, q.scales, name, axis=axis)
    np.testing.assert_array_equal(np.asarray(rebuilt), q.dequantize())


LAYOUTS = {
    "fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "reversed": lambda x: x[::-1, ::-1],
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "unaligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype)
    .reshape(x.shape),
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout(layout, axis, dtype):
    x = LAYOUTS[layout](sample(64, 96).clip(-6e4, 6e4).astype(dtype))
    q = mxref.quantize(x, "mxfp4", axis=axis)
    assert_same(q, by_rows(x, "mxfp4", axis))
    given = encode_with_scale(x, q.scales, "mxfp4", axis=axis)
    np.testing.assert_array_equal(given, q.codes)
    np.testing.assert_array_equal(
        mxref.encode(x, "e4m3"), mxref.encode(np.array(x, dtype, order="C"), "e4m3")
    )


def test_slabs_of_a_large_strided_array_join_seamlessly():
    x = sample(3, 2048, 1024)[:, :, ::-1]
    q = mxref.quantize(x, "mxfp8_e4m3", axis=1)
    for i in (0, 1, 2):
        part = mxref.quantize(np.ascontiguousarray(x[i]), "mxfp8_e4m3", axis=0)
        np.testing.assert_array_equal(q.codes[i], part.codes)
        np.testing.assert_array_equal(q.scales[i], part.scales)
    np.testing.assert_array_equal(
        q.dequantize()[2], mxref.dequantize(q.codes[2], q.scales[2], "mxfp8_e4m3", axis=0)
    )


def test_many_threads_and_one_give_the_same_bits():
    import numba

    x = sample(1 << 19)
    before = numba.get_num_threads()
    results = []
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            q = mxref.quantize(x, "mxfp6_e2m3")
            results.append((q.codes.tobytes(), q.scales.tobytes(), q.dequantize().tobytes()))
    finally:
        numba.set_num_threads(before)
    assert results[0] == results[1]


@pytest.mark.parametrize("shape", [(0,), (0, 32), (4, 0), (0, 0), (3, 0, 32)])
def test_empty_arrays(shape):
    q = mxref.quantize(np.empty(shape, np.float32), "mxfp4")
    assert q.codes.shape == shape
    assert q.dequantize().shape == shape
    assert mxref.encode(np.empty(shape), "e4m3").shape == shape


def test_ragged_length_is_refused_with_advice_and_padded_on_request():
    x = sample(3, 70)
    with pytest.raises(ValueError, match=r"length 70.*block size 32.*pad=True"):
        mxref.quantize(x, "mxfp4")
    q = mxref.quantize(x, "mxfp4", pad=True)
    assert q.codes.shape == (3, 70)
    assert q.scales.shape == (3, 3)
    full = mxref.quantize(np.pad(x, ((0, 0), (0, 26))), "mxfp4")
    np.testing.assert_array_equal(q.codes, full.codes[:, :70])
    np.testing.assert_array_equal(q.scales, full.scales)
    np.testing.assert_array_equal(q.dequantize(), full.dequantize()[:, :70])
    by_policy = mxref.quantize(x, "mxfp4", policy="ocp:block_tail=zero-pad")
    np.testing.assert_array_equal(by_policy.codes, q.codes)
    across = mxref.quantize(np.ascontiguousarray(x.T), "mxfp4", axis=0, pad=True)
    np.testing.assert_array_equal(across.codes.T, q.codes)


def test_block_size_is_free():
    x = sample(4, 96)
    for size in (1, 16, 48, 96):
        q = mxref.quantize(x, "mxfp8_e5m2", block_size=size)
        assert q.scales.shape == (4, 96 // size)
        assert q.format.name == f"mxfp8_e5m2/{size}"
    with pytest.raises(ValueError, match=r"positive integer"):
        mxref.quantize(x, "mxfp4", block_size=0)


def test_out_is_written_and_returned():
    x = sample(8, 64)
    expected = mxref.quantize(x, "mxfp4")
    blank = mxref.MXArray(np.zeros((8, 64), np.uint8), np.zeros((8, 2), np.uint8), "mxfp4")
    assert mxref.quantize(x, "mxfp4", policy="ocp:rounding=up", out=blank) is blank
    assert blank.policy.rounding == "up"
    mxref.quantize(x, "mxfp4", out=blank)
    np.testing.assert_array_equal(blank.codes, expected.codes)
    values = np.empty((8, 64), np.float32)
    assert expected.dequantize(out=values) is values
    strided = np.empty((8, 128), np.float32)[:, ::2]
    mxref.dequantize(expected.codes, expected.scales, "mxfp4", out=strided)
    np.testing.assert_array_equal(strided, values)
    codes = np.empty((8, 64), np.uint8)
    assert mxref.encode(x, "e4m3", out=codes) is codes
    np.testing.assert_array_equal(
        mxref.decode(codes, "e4m3", out=strided), mxref.decode(codes, "e4m3")
    )


@pytest.mark.parametrize(
    ("out", "error", "words"),
    [
        (np.empty(64, np.uint8), TypeError, "MXArray"),
        (
            mxref.MXArray(np.zeros(64, np.uint8), np.zeros(2, np.uint8), "mxfp8_e4m3"),
            ValueError,
            "mxfp8_e4m3.*expected mxfp4",
        ),
        (
            mxref.MXArray(np.zeros(32, np.uint8), np.zeros(1, np.uint8), "mxfp4"),
            ValueError,
            "shape",
        ),
    ],
)
def test_an_unfit_out_is_refused(out, error, words):
    with pytest.raises(error, match=words):
        mxref.quantize(sample(64), "mxfp4", out=out)


def test_unfit_outputs_of_casts_are_refused():
    x = sample(64)
    with pytest.raises(TypeError, match=r"uint8"):
        mxref.encode(x, "e4m3", out=np.empty(64, np.int8))
    with pytest.raises(ValueError, match=r"shape"):
        mxref.encode(x, "e4m3", out=np.empty(63, np.uint8))
    locked = np.empty(64, np.uint8)
    locked.flags.writeable = False
    with pytest.raises(ValueError, match=r"read-only"):
        mxref.encode(x, "e4m3", out=locked)
    with pytest.raises(ValueError, match=r"overlaps"):
        mxref.encode(x, "e4m3", out=x.view(np.uint8)[:64])


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.arange(32), "int64.*astype"),
        (np.ones(32, complex), "complex128"),
        (np.ones(32, bool), "bool"),
        (np.array([1.0] * 32, object), "object.*Python objects"),
        (np.array(["1.0"] * 32), "U3"),
        (np.ones(32, np.longdouble), "longdouble|float128"),
        (np.ma.masked_array(np.ones(32, np.float32)), "mask would be lost"),
        (np.ones(32, ml_dtypes.float8_e4m3fn), "float8_e4m3fn"),
    ],
)
def test_other_dtypes_are_refused(x, words):
    for call in (lambda: mxref.quantize(x, "mxfp4"), lambda: mxref.encode(x, "e4m3")):
        with pytest.raises(TypeError, match=words):
            call()


def test_names_are_checked_and_suggested():
    x = sample(32)
    with pytest.raises(ValueError, match=r"did you mean.*mxfp4"):
        mxref.quantize(x, "mxpf4")
    with pytest.raises(ValueError, match=r"element format.*mxfp4"):
        mxref.quantize(x, "e2m1")
    with pytest.raises(ValueError, match=r"block format.*e2m1"):
        mxref.encode(x, "mxfp4")
    with pytest.raises(ValueError, match=r"did you mean.*ocp"):
        mxref.quantize(x, "mxfp4", policy="opc")
    with pytest.raises(ValueError, match=r"did you mean.*rounding"):
        mxref.quantize(x, "mxfp4", policy="ocp:roundin=up")
    with pytest.raises(ValueError, match=r"toward-zero"):
        mxref.quantize(x, "mxfp4", policy="ocp:rounding=toward-zeros")


def test_axes_are_checked():
    x = sample(2, 32)
    with pytest.raises(ValueError, match=r"axis 2 is out of range.*\(2, 32\)"):
        mxref.quantize(x, "mxfp4", axis=2)
    with pytest.raises(TypeError, match=r"axis must be an integer"):
        mxref.quantize(x, "mxfp4", axis=1.0)
    with pytest.raises(ValueError, match=r"zero-dimensional"):
        mxref.quantize(np.float32(1), "mxfp4")


def test_codes_from_elsewhere_are_validated():
    codes, scales = np.zeros((4, 64), np.uint8), np.full((4, 2), 127, np.uint8)
    mxref.MXArray(codes, scales, "mxfp4")
    with pytest.raises(ValueError, match=r"scales have shape \(2, 4\).*need \(4, 2\)"):
        mxref.MXArray(codes, scales.T, "mxfp4")
    with pytest.raises(TypeError, match=r"codes.*int32"):
        mxref.MXArray(codes.astype(np.int32), scales, "mxfp4")
    with pytest.raises(TypeError, match=r"values: use mxref\.encode"):
        mxref.MXArray(codes.astype(np.float32), scales, "mxfp4")
    codes[2, 5] = 0x42
    with pytest.raises(ValueError, match=r"0x42 at \(2, 5\).*packed"):
        mxref.MXArray(codes, scales, "mxfp4")
    with pytest.raises(ValueError, match=r"e3m2 codes are 0 to 0x3f"):
        mxref.decode(np.array([64], np.uint8), "e3m2")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("e4m3", ml_dtypes.float8_e4m3fn),
        ("e5m2", ml_dtypes.float8_e5m2),
        ("e3m2", ml_dtypes.float6_e3m2fn),
        ("e2m3", ml_dtypes.float6_e2m3fn),
        ("e2m1", ml_dtypes.float4_e2m1fn),
        ("e8m0", ml_dtypes.float8_e8m0fnu),
    ],
)
def test_ml_dtypes_arrays_are_codes(name, dtype):
    array = np.array([0.5, 1.0, 2.0]).astype(dtype)
    assert mxref.decode(array, name).tolist() == [0.5, 1.0, 2.0]


def test_scalars_and_lists():
    assert mxref.encode(1.0, "e4m3")[()] == 0x38
    assert mxref.encode([1.0, -2.0], "e2m1").tolist() == [2, 12]
    assert mxref.decode(np.uint8(0x38), "e4m3")[()] == 1.0


def test_mxarray_is_pleasant():
    q = mxref.quantize(sample(2, 64), "mxfp4")
    assert len(q) == 2
    assert (q.ndim, q.size, q.shape) == (2, 128, (2, 64))
    assert "mxfp4" in repr(q)
    assert "ocp" in repr(q)
    assert np.asarray(q, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match=r"copy=False"):
        np.array(q, copy=False)
    huge = mxref.quantize(np.zeros(1 << 14, np.float32), "mxfp4")
    assert "512 blocks" in repr(huge)


def test_blocked_orders_blocks_like_the_scales():
    x = sample(4, 64, 3)
    rows = blocked(x, 1, 32)
    q = mxref.quantize(x, "mxfp8_e4m3", axis=1)
    direct = mxref.quantize(np.ascontiguousarray(rows), "mxfp8_e4m3")
    np.testing.assert_array_equal(np.moveaxis(q.scales, 1, -1).reshape(-1), direct.scales[:, 0])
    np.testing.assert_array_equal(blocked(q.codes, 1, 32), direct.codes)
