"""Layout quark: its packing of FP4 and FP6 values gives our bytes, and reads them.

AMD Quark 0.13 asks for an older onnx than the one that is tested here, so `make test-peers` does
not install it: ``pip install --no-deps amd-quark==0.13``, and scipy and onnxslim.
"""

import ml_dtypes
import numpy as np
import pytest
from _compare import peers
from _conventions import random_fields

from mxref.layouts.conventions import pack, unpack

pytestmark = peers("torch", "quark", "onnxslim", "scipy")

TYPES = {
    "mxfp4": ("fp4", ml_dtypes.float4_e2m1fn),
    "mxfp6_e3m2": ("fp6_e3m2", ml_dtypes.float6_e3m2fn),
    "mxfp6_e2m3": ("fp6_e2m3", ml_dtypes.float6_e2m3fn),
}


@pytest.mark.parametrize("name", TYPES)
def test_its_packing_is_ours_both_ways(name):
    import torch
    from quark.torch.utils.pack import create_pack_method

    kind, dtype = TYPES[name]
    codec = create_pack_method("per_group", kind)
    fields = random_fields(name, (64, 320))
    elements = fields.codes.view(dtype).astype(np.float32)
    ours = pack(fields, "quark", name)["codes"]
    theirs = codec.pack(torch.from_numpy(elements), reorder=False).numpy()
    np.testing.assert_array_equal(ours, theirs.astype(np.uint8))
    read = codec.unpack(torch.from_numpy(ours), reorder=False).numpy()
    np.testing.assert_array_equal(read, elements)
    back = unpack({"codes": theirs.astype(np.uint8), "scales": fields.scales}, "quark", name)
    np.testing.assert_array_equal(back.codes, fields.codes)


def test_its_scale_bytes_have_bias_127():
    import torch
    from quark.torch.utils.numerics import to_e8m0_uint8

    exponents = np.arange(-126, 127)
    stored = to_e8m0_uint8(torch.from_numpy(2.0**exponents)).numpy()
    np.testing.assert_array_equal(stored, exponents + 127)
