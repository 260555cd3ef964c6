"""Orders of scale codes against the packages that write them."""

import numpy as np
import pytest
from _compare import peers

from mxref.check.layout import layout
from mxref.layouts.scale_orders import pack_scales, unpack_scales

pytestmark = peers("torch", "torchao")

SHAPES = [(1, 1), (3, 5), (34, 5), (128, 4), (130, 9), (300, 37), (256, 64), (2880, 90)]


def blocked(plane):
    import torch
    from torchao.prototype.mx_formats.utils import to_blocked

    return to_blocked(torch.from_numpy(plane.copy())).numpy().view(np.uint8).reshape(-1)


@pytest.mark.parametrize("shape", SHAPES)
def test_128x4_is_what_torchao_writes_and_reads(shape):
    import torch
    from torchao.prototype.mx_formats.utils import from_blocked

    plane = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    packed = pack_scales(plane, "128x4")
    assert np.array_equal(packed, blocked(plane))
    assert np.array_equal(unpack_scales(blocked(plane), "128x4", shape), plane)
    read = from_blocked(torch.from_numpy(packed), *shape).numpy().view(np.uint8)
    assert np.array_equal(read, plane)


def test_torchao_s_packing_and_order_are_named_blindly():
    import torch
    from torchao.prototype.mx_formats.kernels import pack_uint4

    def packer(codes, scales):
        return pack_uint4(torch.from_numpy(codes.copy())).numpy(), blocked(scales)

    report = layout(packer, "mxfp4", (301, 672))
    assert (report.packing, report.scale_layout) == ("nibbles-low-first", "128x4")
