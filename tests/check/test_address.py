"""Address probes: the whole map of scales or codes is recovered in a few calls, and named."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref.check import TargetError
from mxref.check.tensor._dictionary import SCALE_ORDERS, Plane, places
from mxref.check.tensor._mistakes import wrong_scale_orders
from mxref.check.tensor.address import address_map
from mxref.vectors import storage

sys.path.insert(0, str(Path(__file__).parent))
import hand_layouts as hand

FMT = "mxfp8_e4m3"
SHAPES = ((34, 96), (128, 128), (130, 288), (300, 160))


def read_with(plane_of, fmt=FMT):
    def read(elements, scales, shape):
        codes = hand.unpack(elements, shape) if fmt == "mxfp4" else elements.reshape(shape)
        return hand.decode(codes, plane_of(scales, shape[0], shape[1] // 32), fmt)

    return read


def write_with(lay_out, pack=None, fmt=FMT):
    def write(x):
        plane = hand.scales_of(hand.amax_of(x), fmt)
        codes = hand.encode(x, plane, fmt)
        return (codes if pack is None else pack(codes)), lay_out(plane)

    return write


# --- the dictionary -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", hand.LAYOUTS)
@pytest.mark.parametrize("lines_blocks", [(1, 1), (34, 3), (128, 4), (130, 9), (300, 5)])
def test_the_dictionary_is_what_reshaping_gives(name, lines_blocks):
    lines, blocks = lines_blocks
    plane = Plane(lines, blocks, 1)
    number = np.arange(lines * blocks).reshape(lines, blocks)
    laid = [hand.LAYOUTS[name]((number >> s & 0xFF).astype(np.uint8)).astype(int) for s in (0, 8)]
    at = places(SCALE_ORDERS[name], plane)
    assert ((laid[0] | laid[1] << 8)[at] == number).all()
    assert SCALE_ORDERS[name].size(plane) == laid[0].size
    assert len(np.unique(at)) == at.size


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", ["row-major", "128x4"])
def test_the_dictionary_is_what_the_vectors_define(name, axis):
    shape = (200, 160) if axis == 1 else (160, 200)
    plane = Plane.of(shape, axis, 32)
    at = places(SCALE_ORDERS[name], plane)
    own = at if axis == 1 else at.T
    for row in range(0, plane.shape[0], 3):
        for column in range(plane.shape[1]):
            assert own[row, column] == storage.scale_place(row, column, plane.shape, axis, name)
    assert SCALE_ORDERS[name].size(plane) == storage.stored_size(plane.shape, axis, name)


def test_every_order_in_use_has_a_source_and_every_wrong_one_a_fault():
    assert all(order.source for order in SCALE_ORDERS.values())
    for declared in SCALE_ORDERS.values():
        orders = list(wrong_scale_orders(declared))
        assert len({o.name for o in orders}) == len(orders)
        assert {o.fault for o in orders} <= {"L3", "L4", "L5", "L6", "L7", "L8"}
        assert declared.name not in {o.name for o in orders}


# --- readers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", hand.LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_right_reader_is_as_declared(layout, shape):
    read = read_with(lambda data, m, k: hand.read_plane(layout, data, m, k))
    found = address_map(read, FMT, shape, scale_layout=layout)
    assert found.ok
    assert found.departs is None
    assert found.runs <= 3
    assert found.source == SCALE_ORDERS[layout].source
    assert (found.addresses == places(SCALE_ORDERS[layout], Plane.of(shape, 1, 32))).all()


@pytest.mark.parametrize("fmt", ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e2m3", "mxfp4", "mxint8"])
def test_any_format_can_carry_the_digits(fmt):
    packing = "nibbles-low-first" if fmt == "mxfp4" else "bytes"
    read = read_with(hand.unswizzle, fmt)
    found = address_map(read, fmt, (130, 288), packing=packing, scale_layout="128x4")
    assert found.ok


def test_a_wrong_scale_bias_does_not_hide_the_map():
    read = read_with(lambda data, m, k: hand.unswizzle(data - np.uint8(2), m, k))
    assert address_map(read, FMT, (130, 288), scale_layout="128x4").ok


def test_tiles_that_are_not_undone():
    read = read_with(lambda data, m, k: data[: m * k].reshape(m, k))
    found = address_map(read, FMT, (130, 288), scale_layout="128x4")
    assert (found.name, found.fault) == ("row-major", "L3")
    assert not found.ok
    assert "row-major (L3)" in str(found)


def test_an_unknown_order_departs_somewhere():
    shape, swapped = (130, 288), (77, 4)

    def plane(data, m, k):
        result = hand.unswizzle(data, m, k).copy()
        result[swapped], result[5, 0] = result[5, 0], result[swapped]
        return result

    found = address_map(read_with(plane), FMT, shape, scale_layout="128x4")
    right = places(SCALE_ORDERS["128x4"], Plane.of(shape, 1, 32))
    assert found.name == ""
    assert found.departs.nearest == "128x4"
    assert found.departs.place == (5, 0)
    assert (found.departs.expected, found.departs.found) == (right[5, 0], right[swapped])
    assert "first departure" in str(found)


def test_a_map_of_padding_shows():
    def plane(data, m, k):
        result = hand.unswizzle(data, m, k).copy()
        result[3, 2] = hand.unswizzle(data, m, k + 1)[3, k]
        return result

    found = address_map(read_with(plane), FMT, (34, 96), scale_layout="128x4")
    assert found.departs.place == (3, 2)
    assert found.departs.found not in places(SCALE_ORDERS["128x4"], Plane.of((34, 96), 1, 32))


def test_a_constant_is_no_address():
    found = address_map(read_with(lambda _, m, k: np.full((m, k), 127, np.uint8)), FMT, (34, 96))
    assert found.departs.found == -1
    assert "at no one address" in str(found)


def test_codes_have_addresses_too():
    def read(elements, scales, shape):
        codes = hand.unpack(elements, shape, high_first=True)
        return hand.decode(codes, scales.reshape(shape[0], -1), "mxfp4")

    options = {"of": "elements", "packing": "nibbles-low-first"}
    found = address_map(read, "mxfp4", (34, 96), **options)
    assert (found.fault, found.runs) == ("L1", 5)
    options["packing"] = "nibbles-high-first"
    assert address_map(read, "mxfp4", (34, 96), **options).ok


def test_columns():
    def read(elements, scales, shape):
        codes = np.ascontiguousarray(elements.reshape(shape).T)
        return hand.decode(codes, scales.reshape(-1, shape[1]).T, FMT).T

    found = address_map(read, FMT, (96, 34), axis=0)
    assert found.ok
    assert found.addresses.shape == (3, 34)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), lines=st.integers(1, 40), blocks=st.integers(1, 12))
def test_any_permutation_is_recovered(seed, lines, blocks):
    mixed = np.random.default_rng(seed).permutation(lines * blocks)
    read = read_with(lambda data, m, k: data[mixed].reshape(m, k))
    found = address_map(read, FMT, (lines, blocks * 32))
    assert (found.addresses.ravel() == mixed).all()
    assert (found.departs is None) == bool(found.name)


# --- writers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", hand.LAYOUTS)
@pytest.mark.parametrize("shape", [(34, 96), (130, 288), (20, 72)])
def test_a_right_writer_is_as_declared(layout, shape):
    write = write_with(hand.LAYOUTS[layout])
    found = address_map(write, FMT, shape, op="quantize_tensor", scale_layout=layout)
    assert found.ok, str(found)
    assert found.runs <= 3


def test_another_rule_does_not_hide_where_scales_are_written():
    write = write_with(lambda plane: hand.swizzle(plane + np.uint8(1)))
    found = address_map(write, FMT, (130, 288), op="quantize_tensor", scale_layout="128x4")
    assert found.ok


def test_writers_of_columns_and_of_another_order():
    def write(x):
        plane = hand.scales_of(hand.amax_of(x.T), FMT)
        return hand.encode(np.ascontiguousarray(x.T), plane, FMT).T, plane.reshape(-1)

    found = address_map(write, FMT, (96, 34), axis=0, op="quantize_tensor")
    assert (found.name, found.fault) == ("column-major", "L8")


@pytest.mark.parametrize("fmt", ["mxfp4", "mxfp8_e5m2", "mxint8"])
def test_where_codes_are_written(fmt):
    nibbles = fmt == "mxfp4"
    options = {"op": "quantize_tensor", "of": "elements"}
    options["packing"] = "nibbles-low-first" if nibbles else "bytes"
    pack = hand.pack if nibbles else None
    row_major = hand.LAYOUTS["row-major"]
    assert address_map(write_with(row_major, pack, fmt), fmt, (34, 96), **options).ok
    turned = write_with(row_major, (lambda c: hand.pack(c.T)) if nibbles else np.transpose, fmt)
    found = address_map(turned, fmt, (34, 96), **options)
    assert (found.name, found.fault) == ("column-major", "L8")


# --- errors ---------------------------------------------------------------------------------------


def test_errors_say_what_is_known():
    with pytest.raises(ValueError, match="quantize_tensor"):
        address_map(len, FMT, (4, 32), op="quantise")
    with pytest.raises(ValueError, match="scales"):
        address_map(len, FMT, (4, 32), of="bytes")
    with pytest.raises(TargetError, match="raised"):
        address_map(lambda *_: 1 / 0, FMT, (4, 32))
    with pytest.raises(TargetError, match="shape"):
        address_map(lambda *_: np.zeros(3, np.float32), FMT, (4, 32))
