"""Bits do not depend on where and how arrays lie in memory, inputs and outputs alike.

``tests/arrays`` has quantizing from each layout against a slow path; here are the other directions,
outputs in every layout, and files mapped into memory. The expected bits are those of C order.
"""

import ml_dtypes
import numpy as np
import pytest

import mxref
from mxref.arrays import encode_with_scale

RNG = np.random.default_rng(8)
SHAPE = (32, 32, 32)  # below the size at which several threads take part
DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]


def at_offset(x, _folder):
    """Not aligned: one byte into a buffer."""
    buffer = np.zeros(x.nbytes + 1, np.uint8)
    view = buffer[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def mapped(x, folder):
    """A file that can be read and written."""
    file = np.memmap(folder / f"{len(list(folder.iterdir()))}.bin", x.dtype, "w+", shape=x.shape)
    file[...] = x
    return file


def mapped_read_only(x, folder):
    path = folder / f"{len(list(folder.iterdir()))}.bin"
    path.write_bytes(x.tobytes())
    return np.memmap(path, x.dtype, "r", shape=x.shape)


def read_only(x, _folder):
    locked = x.copy()
    locked.flags.writeable = False
    return locked


LAYOUTS = {
    "fortran": lambda x, _: np.asfortranarray(x),
    "strided": lambda x, _: np.repeat(x, 2, axis=-1)[..., ::2],
    "strided-rows": lambda x, _: np.repeat(x, 3, axis=0)[1::3],
    "reversed": lambda x, _: np.ascontiguousarray(x[::-1, :, ::-1])[::-1, :, ::-1],
    "middle-outward": lambda x, _: np.ascontiguousarray(np.moveaxis(x, 1, 0)).swapaxes(0, 1),
    "unaligned": at_offset,
    "memory-mapped": mapped,
}
INPUT_ONLY = {
    "big-endian": lambda x, _: x.astype(x.dtype.newbyteorder(">")),
    "read-only": read_only,
    "memory-mapped-read-only": mapped_read_only,
}


def sample(dtype):
    values = RNG.standard_normal(SHAPE) * 2.0 ** RNG.integers(-12, 12, SHAPE)
    return values.astype(dtype)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("layout", LAYOUTS | INPUT_ONLY)
def test_inputs(layout, axis, tmp_path):
    place = (LAYOUTS | INPUT_ONLY)[layout]
    for dtype in DTYPES:
        if layout == "big-endian" and dtype is ml_dtypes.bfloat16:
            continue  # numpy has no byte order for it
        x = sample(dtype)
        there = place(x, tmp_path)
        plain = mxref.quantize(x, "mxfp8_e4m3", axis=axis)
        q = mxref.quantize(there, "mxfp8_e4m3", axis=axis)
        np.testing.assert_array_equal(q.codes, plain.codes)
        np.testing.assert_array_equal(q.scales, plain.scales)
        given = encode_with_scale(there, place(plain.scales, tmp_path), "mxfp8_e4m3", axis=axis)
        np.testing.assert_array_equal(given, plain.codes)
        np.testing.assert_array_equal(mxref.encode(there, "e2m1"), mxref.encode(x, "e2m1"))
        np.testing.assert_array_equal(mxref.encode(there, "e8m0"), mxref.encode(x, "e8m0"))
    codes, scales = place(plain.codes, tmp_path), place(plain.scales, tmp_path)
    values = mxref.dequantize(codes, scales, "mxfp8_e4m3", axis=axis)
    np.testing.assert_array_equal(bits(values), bits(plain.dequantize()))
    np.testing.assert_array_equal(
        bits(mxref.decode(codes, "e4m3")), bits(mxref.decode(plain.codes, "e4m3"))
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_outputs(layout, axis, tmp_path):
    place, x = LAYOUTS[layout], sample(np.float32)
    plain = mxref.quantize(x, "mxint8", axis=axis)
    codes = place(np.zeros(SHAPE, np.uint8), tmp_path)
    scales = place(np.zeros(plain.scales.shape, np.uint8), tmp_path)
    mxref.quantize(x, "mxint8", axis=axis, out=mxref.MXArray(codes, scales, "mxint8", axis=axis))
    np.testing.assert_array_equal(codes, plain.codes)
    np.testing.assert_array_equal(scales, plain.scales)
    values = place(np.zeros(SHAPE, np.float32), tmp_path)
    assert mxref.dequantize(codes, scales, "mxint8", axis=axis, out=values) is values
    np.testing.assert_array_equal(bits(values), bits(plain.dequantize()))
    mxref.encode(x, "e5m2", out=codes)
    np.testing.assert_array_equal(codes, mxref.encode(x, "e5m2"))
    mxref.decode(codes, "e5m2", out=values)
    np.testing.assert_array_equal(bits(values), bits(mxref.decode(np.array(codes), "e5m2")))


def bits(values):
    return np.ascontiguousarray(values).view(np.uint32)


def test_a_mapped_file_holds_the_results(tmp_path):
    path = tmp_path / "codes.bin"
    x = sample(np.float32)
    file = np.memmap(path, np.uint8, "w+", shape=SHAPE)
    mxref.encode(x, "e4m3", out=file)
    file.flush()
    assert path.read_bytes() == mxref.encode(x, "e4m3").tobytes()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_read_only_outputs_are_refused(axis, tmp_path):
    x = sample(np.float32)
    plain = mxref.quantize(x, "mxfp4", axis=axis)
    codes = mapped_read_only(plain.codes, tmp_path)
    out = mxref.MXArray(codes, plain.scales, "mxfp4", axis=axis)
    with pytest.raises(ValueError, match="read-only"):
        mxref.quantize(x, "mxfp4", axis=axis, out=out)
    with pytest.raises(ValueError, match="read-only"):
        mxref.encode(x, "e4m3", out=codes)
