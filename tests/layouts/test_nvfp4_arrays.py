"""An NVFP4 array goes into a layout with its global scale, and comes back with it."""

import numpy as np
import pytest

import mxref
from mxref import layouts

X = np.random.default_rng(4).standard_normal((32, 64)).astype(np.float32)
NAMES = [name for name, one in layouts.LAYOUTS.items() if "nvfp4" in one.formats]
WITHOUT = ("mlx",)  # MLX keeps no global scale


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT])
def test_the_global_scale_is_kept(name):
    q = mxref.quantize(X, "nvfp4")
    back = layouts.unpack(layouts.pack(q, name), name, "nvfp4", X.shape)
    g = np.float32(back.global_scale)
    again = mxref.dequantize(back.codes, back.scales, "nvfp4", global_scale=g)
    np.testing.assert_allclose(again, q.dequantize(), rtol=2e-7)


@pytest.mark.parametrize("name", WITHOUT)
def test_a_layout_without_one_refuses_it(name):
    with pytest.raises(ValueError, match="global"):
        layouts.pack(mxref.quantize(X, "nvfp4"), name)
