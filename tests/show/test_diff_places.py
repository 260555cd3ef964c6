"""Where bits lie, as `mxref.diff` says, against flipping them in the bytes and reading back."""

import numpy as np
import pytest

import mxref
from mxref import layouts
from mxref.layouts import LAYOUTS, PACKINGS, SCALE_ORDERS
from mxref.show.diff import diff

BITS = {4: "e2m1", 6: "e3m2", 8: "e4m3"}
FLIPS = 12


def spot(place, buffer):
    return next(s for s in place.spots if s.buffer == buffer)


def flipped(data, bit):
    out = data.copy()
    out.reshape(-1)[bit // 8] ^= 1 << bit % 8
    return out


@pytest.mark.parametrize("name", list(PACKINGS))
def test_packings(name):
    """Flipping the bits that are named changes that code, bit by bit, and nothing else."""
    packing = PACKINGS[name]
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 1 << packing.bits, (3, 64), np.uint8)
    packed = layouts.pack_codes(codes, name)
    for _ in range(FLIPS):
        where = tuple(int(i) for i in (rng.integers(3), rng.integers(64)))
        other = codes.copy()
        other[where] ^= 1
        d = diff(codes, other, BITS[packing.bits], packing=name)
        found = spot(d.first, "codes")
        assert d.first.index == where
        assert len(found.bits) == packing.bits
        assert found.byte == found.bits[0] // 8
        for i, bit in enumerate(found.bits):
            read = layouts.unpack_codes(flipped(packed, bit), name, 64)
            expected = codes.copy()
            expected[where] ^= 1 << i
            assert np.array_equal(read, expected)


@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize("name", list(SCALE_ORDERS))
def test_scale_orders(name, axis):
    """Changing the byte that is named changes that scale code, and no other."""
    shape = (2, 96, 160) if axis == -1 else (2, 160, 96)
    codes = np.zeros(shape, np.uint8)
    scales = np.full((2, 96, 5) if axis == -1 else (2, 5, 96), 100, np.uint8)
    packed = layouts.pack_scales(scales, name, axis=axis)
    rng = np.random.default_rng(1)
    for _ in range(FLIPS):
        where = tuple(int(rng.integers(n)) for n in scales.shape)
        other = scales.copy()
        other[where] = 101
        d = diff((codes, scales), (codes, other), "mxfp4", axis, scale_layout=name)
        found = spot(d.first, "scales")
        assert d.first.block == where
        changed = packed.copy()
        changed.reshape(-1)[found.byte] = 101
        read = layouts.unpack_scales(changed, name, scales.shape[-2:], axis=axis)
        assert np.array_equal(read, other)
        assert [bit // 8 for bit in found.bits] == [found.byte] * 8


@pytest.mark.parametrize("name", sorted(n for n, held in LAYOUTS.items() if "mxfp4" in held.parts))
def test_conventions(name):
    """The bits of a project's tensors that are named hold the code and the scale code."""
    rng = np.random.default_rng(2)
    shape = (128, 256)
    q = mxref.MXArray(
        rng.integers(0, 16, shape, np.uint8), rng.integers(90, 160, (128, 8), np.uint8), "mxfp4"
    )
    stored = layouts.pack(q, name)
    for _ in range(4):
        where = tuple(int(rng.integers(n)) for n in shape)
        other = q.copy()
        other.codes[where] ^= 5
        d = diff(q, other, layout=name)
        code, scale = d.first.spots
        for found, bits in ((code, 4), (scale, 8)):
            octets = np.ascontiguousarray(stored[found.buffer]).reshape(-1).view(np.uint8)
            read = sum((int(octets[b // 8]) >> b % 8 & 1) << i for i, b in enumerate(found.bits))
            mask = (1 << bits) - 1
            value = int(q.codes[where]) if bits == 4 else int(q.scales[where[0], where[1] // 32])
            assert read & mask == value
            assert found.order == name


def test_plain_order_and_numbers():
    a = np.zeros((4, 64), np.uint8)
    b = a.copy()
    b[2, 7] = 3
    s = np.zeros((4, 2), np.uint8)
    d = diff((a, s), (b, s), "mxfp4")
    code, scale = d.first.spots
    assert (code.byte, str(code)) == (2 * 64 + 7, "byte 135, bits 0-3 (bytes)")
    assert (scale.byte, str(scale)) == (4, "byte 4 (row-major)")
    x = np.zeros((2, 3), np.float32)
    y = x.copy()
    y[1, 1] = 1
    (found,) = diff(x, y).first.spots
    assert y.tobytes()[found.byte : found.byte + 4] == np.float32(1).tobytes()
    assert str(found) == "bytes 16-19 (little-endian)"


def test_blocks_on_the_first_axis_lie_in_c_order():
    codes = np.zeros((64, 3), np.uint8)
    scales = np.full((2, 3), 7, np.uint8)
    other = scales.copy()
    other[1, 2] = 8
    d = diff((codes, scales), (codes, other), "mxfp4", 0)
    assert d.first.index == (32, 2)
    found = spot(d.first, "scales")
    assert other.tobytes()[found.byte] == 8


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"packing": "nibbles"}, "nibbles-low-first"),
        ({"packing": "fp6-dense"}, "stores codes of 6 bits"),
        ({"scale_layout": "128x5"}, "128x4"),
        ({"layout": "gptoss"}, "gpt-oss"),
        ({"layout": "gpt-oss", "packing": "bytes"}, "leave packing"),
    ],
)
def test_refusals(options, text):
    a, s = np.zeros((2, 64), np.uint8), np.zeros((2, 2), np.uint8)
    with pytest.raises(ValueError, match=text):
        diff((a, s), (a, s), "mxfp4", **options)


def test_what_has_no_scales_has_no_order_of_them():
    a = np.zeros((2, 64), np.uint8)
    with pytest.raises(ValueError, match="no scales in e2m1"):
        diff(a, a, "e2m1", scale_layout="128x4")
    x = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="packing goes with codes"):
        diff(x, x, packing="nibbles-low-first")
    q = mxref.MXArray(np.zeros((64, 2), np.uint8), np.zeros((2, 2), np.uint8), "mxfp4", 0)
    with pytest.raises(ValueError, match="keeps blocks on the last axis"):
        diff(q, q, layout="gpt-oss")
    deep = mxref.MXArray(np.zeros((32, 2, 2), np.uint8), np.zeros((1, 2, 2), np.uint8), "mxfp4", 0)
    with pytest.raises(ValueError, match="one of the last two axes"):
        diff(deep, deep, scale_layout="128x4")
