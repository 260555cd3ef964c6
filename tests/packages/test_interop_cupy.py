"""CuPy itself, where it and a GPU are; tests/interop has the same with a stand-in."""

import numpy as np
import pytest
from _compare import peers

import mxref
from mxref.formats import BLOCK_FORMATS

pytestmark = peers("cupy")
X = (np.random.default_rng(3).standard_normal((8, 64)) * 4).astype(np.float32)


@pytest.fixture
def cupy():
    library = pytest.importorskip("cupy")
    try:
        library.cuda.runtime.getDeviceCount()
    except Exception as error:  # noqa: BLE001  # each version raises another
        pytest.skip(f"no GPU: {error}")
    return library


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_there_and_back(cupy, name):
    q = mxref.quantize(X, name)
    for each in (q, q.T, q[::-1], q[:0]):
        codes, scales = each.to_cupy()
        assert isinstance(codes, cupy.ndarray)
        assert codes.dtype == (np.int8 if name == "mxint8" else np.uint8)
        assert mxref.MXArray.from_cupy(codes, scales, name, each.axis).equals(each)


def test_nothing_is_fetched_unasked(cupy):
    codes, scales = mxref.quantize(X, "mxfp4").to_cupy()
    with pytest.raises(TypeError, match=r"on a GPU.*codes\.get\(\)"):
        mxref.MXArray(codes, scales, "mxfp4")
    with pytest.raises(TypeError, match=r"x is a ndarray on a GPU"):
        mxref.quantize(cupy.asarray(X), "mxfp4")
    assert mxref.quantize(cupy.asarray(X).get(), "mxfp4").equals(mxref.quantize(X, "mxfp4"))
