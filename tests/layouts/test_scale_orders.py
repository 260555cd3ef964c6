"""Orders of scale codes: against published formulas written anew, and round trips of everything."""

import os
import re
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxref.layouts.scale_orders import (
    SCALE_ORDERS,
    Plane,
    ScaleOrder,
    pack_scales,
    places,
    scale_bytes,
    scale_order,
    unpack_scales,
)

NAMES = list(SCALE_ORDERS)
SHAPES = [
    *[(1, 1), (1, 9), (3, 5), (34, 5), (40, 17), (64, 8), (128, 4), (130, 9)],
    *[(128, 64), (131, 150), (256, 80), (300, 37), (513, 90), (288, 130), (300, 1111)],
]


def plane_of(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# --- published formulas, by reshaping -------------------------------------------------------------


def padded(plane, lines, blocks, fill=0):
    tail = [(0, -plane.shape[0] % lines), (0, -plane.shape[1] % blocks)]
    return np.pad(plane, tail, constant_values=fill)


def reshaped(tile, shape, order, fill=0):
    """Pad to a tile, split both sides as `shape` says, and permute; -1 is what is left over."""

    def lay_out(plane):
        full = padded(plane, *tile, fill)
        sizes = [full.shape[i] // tile[i] if n == "n" else n for i, n in shape]
        return full.reshape(sizes).transpose(order).reshape(-1)

    return lay_out


ROWS, COLUMNS = 0, 1
N = "n"
PUBLISHED = {
    "row-major": lambda plane: plane.reshape(-1),
    "column-major": lambda plane: plane.T.reshape(-1),
    # cuBLAS: tiles of 128 x 4, in which (line % 32, line / 32, block) is the order
    "128x4": reshaped(
        (128, 4), [(ROWS, N), (ROWS, 4), (ROWS, 32), (COLUMNS, N), (COLUMNS, 4)], (0, 3, 2, 1, 4)
    ),
    "8x4": reshaped((8, 4), [(ROWS, N), (ROWS, 8), (COLUMNS, N), (COLUMNS, 4)], (0, 2, 1, 3)),
    # aiter: view(m/32, 2, 16, n/8, 2, 4), permute(0, 3, 5, 2, 4, 1)
    "gfx950-32x8": reshaped(
        (32, 8),
        [(ROWS, N), (ROWS, 2), (ROWS, 16), (COLUMNS, N), (COLUMNS, 2), (COLUMNS, 4)],
        (0, 3, 5, 2, 4, 1),
    ),
    "gfx1250-32x4": reshaped(
        (32, 4), [(ROWS, N), (ROWS, 32), (COLUMNS, N), (COLUMNS, 4)], (0, 2, 1, 3), fill=0x7F
    ),
    # DeepGEMM: little-endian words of four blocks, lines first, padded to 16 bytes
    "mn-major-words": reshaped(
        (4, 4), [(ROWS, N), (ROWS, 4), (COLUMNS, N), (COLUMNS, 4)], (2, 0, 1, 3)
    ),
    # preSwizzleScalesGFX1250: tile * (lines * 4) + line * 4 + j
    "gfx1250-words": reshaped((1, 4), [(ROWS, N), (COLUMNS, N), (COLUMNS, 4)], (1, 0, 2)),
    # triton_kernels: reshape(M/(32w), 2, w, 2, 8, K/2, 2), permute(0, 2, 5, 1, 4, 6, 3)
    **{
        f"triton-hopper-{w}": reshaped(
            (32 * w, 2),
            [(ROWS, N), (ROWS, 2), (ROWS, w), (ROWS, 2), (ROWS, 8), (COLUMNS, N), (COLUMNS, 2)],
            (0, 2, 5, 1, 4, 6, 3),
        )
        for w in (4, 8)
    },
}


def test_every_order_has_a_published_formula():
    assert list(PUBLISHED) == NAMES


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_bytes_are_those_of_the_published_formula(name, shape):
    plane = plane_of(shape)
    expected = PUBLISHED[name](plane)
    assert np.array_equal(pack_scales(plane, name), expected)
    assert scale_bytes(name, shape) == expected.size
    assert np.array_equal(unpack_scales(expected, name, shape), plane)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_the_address_form_is_the_same(name, shape):
    plane = plane_of(shape, 1)
    at = places(SCALE_ORDERS[name], Plane(*shape, 1))
    packed = pack_scales(plane, name)
    assert np.array_equal(packed[at], plane)
    assert len(np.unique(at)) == at.size
    free = np.ones(packed.size, bool)
    free[at.ravel()] = False
    assert (packed[free] == SCALE_ORDERS[name].pad).all()


def test_cublas_offsets_by_hand():
    at = places(SCALE_ORDERS["128x4"], Plane(256, 8, 1))
    for line, block, expected in (
        *[(0, 0, 0), (0, 3, 3), (1, 0, 16), (31, 0, 496), (32, 0, 4), (127, 3, 511)],
        *[(0, 4, 512), (128, 0, 1024), (160, 5, 1024 + 512 + 4 + 1)],
    ):
        assert at[line, block] == expected


# --- everything that users hand in ----------------------------------------------------------------


@given(
    st.sampled_from(NAMES),
    st.integers(0, 140),
    st.integers(0, 70),
    st.sampled_from([(), (3,), (2, 2), (0,)]),
    st.sampled_from([-1, -2]),
    st.booleans(),
)
def test_round_trips(name, rows, columns, batch, axis, is_strided):
    planes = plane_of((*batch, rows, columns), 2)
    given_planes = np.repeat(planes, 2, -1)[..., ::2] if is_strided else planes
    packed = pack_scales(given_planes, name, axis=axis)
    assert packed.shape == (*batch, scale_bytes(name, (rows, columns), axis))
    assert np.array_equal(unpack_scales(packed, name, (rows, columns), axis=axis), planes)
    room = np.full((*batch, packed.shape[-1], 2), 9, np.uint8)[..., 0]  # not contiguous
    assert pack_scales(planes, name, axis=axis, out=room) is room
    assert np.array_equal(room, packed)
    wide = np.zeros((*batch, rows, columns, 2), np.uint8)[..., 0]
    unpack_scales(room, name, (rows, columns), axis=axis, out=wide)
    assert np.array_equal(wide, planes)


@pytest.mark.parametrize("name", NAMES)
def test_blocks_along_the_first_axis_are_the_transposed_plane(name):
    """TransformerEngine's column-wise scales: the transposed operand, then the order."""
    plane = plane_of((37, 140), 3)
    turned = pack_scales(plane, name, axis=-2)
    if name == "row-major":  # as the tensor has it
        assert np.array_equal(turned, plane.ravel())
    elif name == "column-major":
        assert np.array_equal(turned, plane.T.ravel())
    else:
        assert np.array_equal(turned, pack_scales(np.ascontiguousarray(plane.T), name))


def test_padding_is_the_order_s_or_the_caller_s():
    plane = plane_of((3, 3)) | 1
    for name, pad in (("128x4", None), ("gfx1250-32x4", None), ("8x4", 0xAB)):
        packed = pack_scales(plane, name, pad=pad)
        free = np.ones(packed.size, bool)
        free[places(SCALE_ORDERS[name], Plane(3, 3, 1)).ravel()] = False
        expected = SCALE_ORDERS[name].pad if pad is None else pad
        assert (packed[free] == expected).all()
    assert [o.name for o in SCALE_ORDERS.values() if o.pad] == ["gfx1250-32x4"]


def test_what_padding_holds_is_not_read():
    plane = plane_of((5, 5))
    assert np.array_equal(
        unpack_scales(pack_scales(plane, "128x4", pad=0xFF), "128x4", (5, 5)), plane
    )


@pytest.mark.parametrize("dtype", [ml_dtypes.float8_e8m0fnu, ml_dtypes.float8_e4m3fn, np.int8])
def test_types_of_one_byte_are_read_in_place(dtype):
    plane = plane_of((9, 9))
    assert np.array_equal(pack_scales(plane.view(dtype), "8x4"), pack_scales(plane, "8x4"))


def test_an_order_of_one_s_own():
    order = ScaleOrder(
        "backwards",
        lambda i, j, p: p.lines * p.blocks - 1 - i * p.blocks - j,
        lambda p: p.lines * p.blocks,
    )
    plane = plane_of((4, 3))
    packed = pack_scales(plane, order)
    assert np.array_equal(packed, plane.ravel()[::-1])
    assert np.array_equal(unpack_scales(packed, order, (4, 3)), plane)


def test_without_a_compiler_the_bytes_are_the_same():
    code = """
import numpy as np
from mxref.layouts.scale_orders import *
plane = np.random.default_rng(5).integers(0, 256, (2, 261, 38), dtype=np.uint8)
for name in SCALE_ORDERS:
    packed = pack_scales(plane, name)
    assert np.array_equal(unpack_scales(packed, name, (261, 38)), plane)
    print(name, packed.tobytes().hex())
"""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **extra},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for extra in ({}, {"NUMBA_DISABLE_JIT": "1"})
    ]
    assert outputs[0] == outputs[1]
    assert len(outputs[0].splitlines()) == len(NAMES)


def test_large_planes_on_several_threads():
    planes = plane_of((3, 300, 200), 6)
    for name in NAMES:
        packed = pack_scales(planes, name)
        assert np.array_equal(packed[1], PUBLISHED[name](planes[1])), name
        assert np.array_equal(unpack_scales(packed, name, (300, 200)), planes)


# --- what does not work ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pack_scales(np.zeros((2, 2), np.uint8), "128x5"), "did you mean '128x4'"),
        (lambda: pack_scales(np.zeros(4, np.uint8), "8x4"), "expected (..., rows, columns)"),
        (lambda: pack_scales(np.zeros((2, 2), np.uint8), "8x4", pad=256), "a byte, 0 to 255"),
        (lambda: pack_scales(np.zeros((2, 2, 2), np.uint8), "8x4", axis=0), "one of the last two"),
        (lambda: unpack_scales(np.zeros(512, np.uint8), "128x4", (2, 5)), "128x4 needs 1024"),
        (lambda: unpack_scales(np.zeros(10, np.uint8), "128x4", (2, 5)), "row-major, column-major"),
        (lambda: unpack_scales(np.zeros(11, np.uint8), "128x4", (2, 5)), "No order needs so many"),
        (
            lambda: unpack_scales(np.zeros((128, 4), np.uint8), "128x4", (2, 4)),
            "pass packed.reshape(-1)",
        ),
        (lambda: unpack_scales(np.zeros(4, np.uint8), "8x4", (2, -2)), "two sizes of a plane"),
        (lambda: unpack_scales(np.zeros(4, np.uint8), "8x4", 4), "two sizes of a plane"),
        (lambda: unpack_scales(np.zeros(4, np.uint8), "8x4", (2, 2.5)), "two sizes of a plane"),
        (lambda: scale_bytes("8x4", (2, 2), axis=2), "axis 2 is out of range"),
        (lambda: scale_order("row"), "unknown scale layout 'row'"),
    ],
)
def test_errors_say_what_to_do(call, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        call()


def test_a_buffer_of_aiter_is_explained():
    """aiter pads lines to 256, not to 32."""
    with pytest.raises(ValueError, match=r"lines padded to 256: pass packed\[\.\.\., :256\]"):
        unpack_scales(np.zeros(256 * 8, np.uint8), "gfx950-32x8", (20, 8))


def test_values_are_not_codes():
    with pytest.raises(TypeError, match="expected uint8: scale codes, not values"):
        pack_scales(np.ones((2, 2), np.float32), "8x4")
    with pytest.raises(TypeError, match="packed have dtype bool"):
        unpack_scales(np.ones(4, bool), "row-major", (2, 2))


@pytest.mark.parametrize("name", NAMES)
def test_out_must_fit_and_not_overlap(name):
    plane = plane_of((8, 8))
    with pytest.raises(ValueError, match="out has shape"):
        pack_scales(plane, name, out=np.zeros(3, np.uint8))
    packed = pack_scales(plane, name)
    with pytest.raises(ValueError, match="overlaps"):
        unpack_scales(packed, name, (8, 8), out=packed[:64].reshape(8, 8))


@pytest.mark.parametrize("pad", [1.5, "0", -1, 256])
def test_a_pad_that_is_no_byte_is_refused(pad):
    with pytest.raises(ValueError, match=r"pad is .*expected a byte"):
        pack_scales(np.zeros((3, 2), np.uint8), "128x4", pad=pad)
