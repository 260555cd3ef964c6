"""Readers of stored tensors: every faulty one is named first, and right ones conform."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mxref import check
from mxref.check.tensor import dequantize_tensor, quantize_tensor
from mxref.faults.tensors import tensor_models
from mxref.formats import block_format
from mxref.policy import Policy

sys.path.insert(0, str(Path(__file__).parent))
import hand_layouts as hand

LAYOUTS = tuple(hand.LAYOUTS)
# Below, at and above a tile of 128 lines by 4 blocks, and of 32 by 8; none is square.
SHAPES = ((34, 3 * 32), (128, 4 * 32), (130, 9 * 32))


def named(report, fault, detail=""):
    first = report.findings[0] if report.findings else None
    assert first is not None, str(report)
    assert (first.id, first.residual, report.verdict) == (fault, 0, "defect"), str(report)
    assert detail in first.detail, first.detail
    assert not report.ok


def counted(fn):
    calls = []

    def wrapped(*args):
        calls.append(1)
        return fn(*args)

    return wrapped, calls


def drive(fn, fmt, op, **layout):
    wrapped, calls = counted(fn)
    report = check.kernel(wrapped, fmt, op=op, **layout)
    assert len(calls) <= 24, len(calls)
    return report


# --- readers ----------------------------------------------------------------------------------


def reader(fmt="mxfp4", layout="row-major", *, axis=1, codes=None, plane=None, bytes_only=False):
    """A function on stored tensors; `codes` and `plane` replace a step."""
    nibbles = fmt == "mxfp4" and not bytes_only

    def read(elements, scales, shape):
        lines_first = shape if axis == 1 else shape[::-1]
        lines, blocks = lines_first[0], lines_first[1] // 32
        if codes is not None:
            own = codes(elements, shape)
        else:
            own = hand.unpack(elements, shape) if nibbles else elements.reshape(shape)
        own = own if axis == 1 else own.T
        if plane is not None:
            scale = plane(scales, lines, blocks)
        elif axis == 0 and layout in ("row-major", "column-major"):
            other = "column-major" if layout == "row-major" else "row-major"
            scale = hand.read_plane(other, scales, lines, blocks)
        else:
            scale = hand.read_plane(layout, scales, lines, blocks)
        y = hand.decode(np.ascontiguousarray(own), scale, fmt)
        return np.ascontiguousarray(y if axis == 1 else y.T)

    return read


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fmt", ["mxfp4", "mxfp8_e4m3", "mxint8"])
def test_a_right_reader_conforms(fmt, layout, axis):
    packing = "nibbles-low-first" if fmt == "mxfp4" else "bytes"
    options = {"axis": axis, "packing": packing, "scale_layout": layout}
    report = drive(reader(fmt, layout, axis=axis), fmt, "dequantize_tensor", **options)
    assert report.verdict == "conforms", str(report)


def flat(data, lines, blocks):
    return data[: lines * blocks].reshape(lines, blocks)


def swizzled_though_flat(data, lines, blocks):
    return hand.unswizzle(hand.long_enough(data, 1 << 16), lines, blocks)


def inverse(data, lines, blocks):
    full = data.reshape(-1, -(-blocks // 4) * 4)
    return hand.swizzle(full).reshape(full.shape)[:lines, :blocks]


def plain_in_tiles(data, lines, blocks):
    a, b = -(-lines // 128), -(-blocks // 4)
    full = data.reshape(a, b, 128, 4).transpose(0, 2, 1, 3)
    return full.reshape(a * 128, b * 4)[:lines, :blocks]


def logical_stride(data, lines, blocks):
    """The row of tiles takes as many bytes as it has scales that exist."""
    plane = np.zeros((lines, blocks), np.uint8)
    for m in range(lines):
        for k in range(blocks):
            at = m // 128 * 128 * blocks + k // 4 * 512 + m % 32 * 16 + m // 32 % 4 * 4 + k % 4
            plane[m, k] = data[at] if at < data.size else 0
    return plane


def pitch_of_four(data, lines, blocks):
    wide = -(-blocks // 4) * 4
    return hand.long_enough(data, lines * wide)[: lines * wide].reshape(lines, wide)[:, :blocks]


def words_rotated(data, lines, blocks):
    words = data.reshape(-1, 4)[:, [1, 2, 3, 0]]
    return hand.unswizzle(words.reshape(-1), lines, blocks)


def words_reversed(data, lines, blocks):
    swapped = data.view("<u4").byteswap().view(np.uint8)
    return hand.unswizzle(swapped, lines, blocks)


def op_sel_ignored(data, lines, blocks):
    return hand.unswizzle(np.repeat(data[::4], 4), lines, blocks)


def line_of_the_neighbour(data, lines, blocks):
    plane = hand.unswizzle(data, lines + lines % 2, blocks)
    return plane.reshape(-1, 2, blocks)[:, ::-1].reshape(-1, blocks)[:lines]


def transposed(data, lines, blocks):
    return data.reshape(blocks, lines).T


def unsplit_codes(elements, shape):
    """Neighbours in the bytes taken for the halves of a block, the other way around."""
    pairs = hand.unpack(elements, (-1, 2, 16))
    return pairs.transpose(0, 2, 1).reshape(shape)


def tiles_of_16(elements, shape):
    """Elements preshuffled in tiles of 16 by 16."""
    codes = hand.unpack(elements, (-1,))
    rows = -(-shape[0] // 16) * 16
    full = hand.long_enough(codes, rows * shape[1])
    tiles = full.reshape(rows // 16, shape[1] // 16, 16, 16).transpose(0, 2, 1, 3)
    return tiles.reshape(rows, shape[1])[: shape[0]]


READERS = [
    ("L1", "row-major", {"codes": lambda e, s: hand.unpack(e, s, high_first=True)}),
    ("L2", "row-major", {"codes": hand.unpack_split}),
    ("L2", "row-major", {"codes": unsplit_codes}),
    ("L3", "128x4", {"plane": flat}),
    ("L3", "row-major", {"plane": swizzled_though_flat}),
    ("L3", "128x4", {"plane": hand.unswizzle_twice}),
    ("L3", "128x4", {"plane": inverse}),
    ("L4", "128x4", {"plane": logical_stride}),
    ("L4", "row-major", {"plane": pitch_of_four}),
    ("L5", "128x4", {"plane": words_rotated}),
    ("L5", "128x4", {"plane": words_reversed}),
    ("L5", "128x4", {"plane": op_sel_ignored}),
    ("L5", "128x4", {"plane": line_of_the_neighbour}),
    ("L6", "128x4", {"plane": hand.unshuffle_gfx950}),
    ("L6", "row-major", {"plane": hand.unshuffle_gfx950}),
    ("L6", "128x4", {"plane": plain_in_tiles}),
    ("L6", "row-major", {"codes": tiles_of_16}),
    ("L8", "row-major", {"plane": transposed}),
    ("L8", "row-major", {"codes": lambda e, s: hand.unpack(e, s[::-1]).T}),
    ("L9", "row-major", {"codes": hand.unpack_down}),
]


@pytest.mark.parametrize(("fault", "layout", "steps"), READERS)
def test_a_faulty_reader_is_named(fault, layout, steps):
    fn = reader("mxfp4", layout, **steps)
    options = {"packing": "nibbles-low-first", "scale_layout": layout}
    report = drive(fn, "mxfp4", "dequantize_tensor", **options)
    named(report, fault)
    assert report.findings[0].witness is not None
    assert any("first mismatch is in the tensor of" in note for note in report.notes)


@pytest.mark.parametrize(
    ("fault", "layout", "plane"),
    [(f, lay, steps["plane"]) for f, lay, steps in READERS if "plane" in steps and lay == "128x4"],
)
def test_a_faulty_reader_of_columns_is_named(fault, layout, plane):
    fn = reader("mxfp8_e5m2", layout, axis=0, plane=plane)
    named(drive(fn, "mxfp8_e5m2", "dequantize_tensor", axis=0, scale_layout=layout), fault)


def test_blocks_read_along_the_other_axis():
    def read(elements, scales, shape):
        codes = elements.reshape(shape)
        across = -(-shape[0] // 32)
        plane = hand.long_enough(scales, across * shape[1])[: across * shape[1]]
        return np.ascontiguousarray(
            hand.decode(np.ascontiguousarray(codes.T), plane.reshape(across, -1).T, "mxfp8_e4m3").T
        )

    named(drive(read, "mxfp8_e4m3", "dequantize_tensor"), "L8", "other axis")


@pytest.mark.parametrize("split", [False, True])
def test_planes_read_as_records(split):
    def read(elements, scales, shape):
        stream = np.concatenate([elements, scales]).reshape(-1, 17)
        packed = stream[:, 1:].reshape(-1)
        codes = hand.unpack_split(packed, shape) if split else hand.unpack(packed, shape)
        return hand.decode(codes, stream[:, 0].reshape(shape[0], -1), "mxfp4")

    report = drive(read, "mxfp4", "dequantize_tensor", packing="nibbles-low-first")
    named(report, "L7", "records, the scale first")
    assert len(report.findings) == 1  # one cause, though codes and scales are both wrong


@pytest.mark.parametrize("shape", SHAPES)
def test_one_shape_alone_is_enough_beyond_a_tile(shape):
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 120, shape).astype(np.uint8)
    plane = rng.integers(100, 150, (shape[0], shape[1] // 32)).astype(np.uint8)
    scales = hand.swizzle(plane)
    y = hand.decode(codes, flat(scales, *plane.shape), "mxfp8_e4m3")
    report = dequantize_tensor(codes, scales, y, "mxfp8_e4m3", scale_layout="128x4")
    named(report, "L3", "row-major")
    assert report.mismatches.map.shape == shape  # where it shows, as a picture


def test_an_order_and_a_wrong_table_are_both_named():
    """L1 and a decoder that takes scale code 0 for zero, or is off by two in the bias."""

    def read(elements, scales, shape):
        codes = hand.unpack(elements, shape, high_first=True)
        plane = scales.reshape(shape[0], -1) - np.uint8(2)
        return hand.decode(codes, plane, "mxfp4")

    report = drive(read, "mxfp4", "dequantize_tensor", packing="nibbles-low-first")
    assert report.verdict == "defect", str(report)
    assert [f.residual for f in report.findings] == [0] * len(report.findings)
    ids = {f.id for f in report.findings}
    assert "L1" in ids
    assert len(ids) == 2
    assert ids & {"D5", "D8", "D11", "D13"}, ids


def test_an_unknown_permutation_is_localised_not_named():
    def read(elements, scales, shape):
        plane = scales.reshape(shape[0], -1)
        mixed = np.random.default_rng(0).permutation(plane.size)
        return hand.decode(
            elements.reshape(shape), plane.reshape(-1)[mixed].reshape(plane.shape), "mxfp8_e4m3"
        )

    report = drive(read, "mxfp8_e4m3", "dequantize_tensor")
    assert report.verdict == "unexplained"
    assert not any(f.certain for f in report.findings)
    assert any("no known order" in p.what and "departure" in p.what for p in report.places)


def test_a_reader_of_padding_is_told():
    """A group of four scales is or-ed into a word that is tested for NaN: padding is seen."""

    def read(elements, scales, shape):
        plane = hand.unswizzle(scales, shape[0], shape[1] // 32)
        whole = hand.unswizzle(scales, shape[0], -(-shape[1] // 128) * 4).reshape(shape[0], -1, 4)
        lost = np.repeat((whole == 0xFF).any(-1), 4, 1)[:, : plane.shape[1]]
        return hand.decode(
            elements.reshape(shape), np.where(lost, 0xFF, plane).astype(np.uint8), "mxfp8_e4m3"
        )

    report = drive(read, "mxfp8_e4m3", "dequantize_tensor", scale_layout="128x4")
    named(report, "G4", "padding")


# --- the catalogue's own ------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["row-major", "128x4"])
def test_every_reader_of_the_catalogue_is_named(layout):
    fmt = block_format("mxfp4")
    for model in tensor_models("dequantize_tensor", fmt, Policy()):

        def read(elements, scales, shape, model=model):
            return model.subject(elements, scales, shape, 1, "nibbles-low-first", layout)

        options = {"packing": "nibbles-low-first", "scale_layout": layout}
        report = drive(read, "mxfp4", "dequantize_tensor", **options)
        if report.verdict != "conforms":  # some act on the other layout only
            named(report, model.id)


# --- errors, bounds ---------------------------------------------------------------------------


def test_wrong_sizes_say_what_was_expected():
    x = np.ones((4, 64), np.float32)
    with pytest.raises(ValueError, match=r"elements hold 7 bytes; expected 128"):
        quantize_tensor(
            x, np.zeros(7, np.uint8), np.zeros(8, np.uint8), "mxfp4", packing="nibbles-low-first"
        )
    with pytest.raises(ValueError, match=r"scales hold 9 bytes; expected 512"):
        dequantize_tensor(
            np.zeros((4, 64), np.uint8),
            np.zeros(9, np.uint8),
            x,
            "mxfp8_e4m3",
            scale_layout="128x4",
        )
    with pytest.raises(ValueError, match="8 bits"):
        quantize_tensor(x, x, x, "mxfp8_e4m3", packing="nibbles-low-first")
    with pytest.raises(ValueError, match="128x4"):
        quantize_tensor(x, x, x, "mxfp4", scale_layout="128x5")
    with pytest.raises(TypeError, match="uint8"):
        quantize_tensor(x, x, x, "mxfp8_e4m3")
    with pytest.raises(ValueError, match="rows and columns"):
        quantize_tensor(x[0], x, x, "mxfp4")


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (None, "None"),
        (np.zeros(5, np.float32), "shape"),
        (np.zeros((34, 96)), "float64"),
        (object(), "object"),
    ],
)
def test_a_reader_that_breaks_the_contract_is_told(result, text):
    report = check.kernel(lambda *_: result, "mxfp8_e4m3", op="dequantize_tensor")
    assert report.verdict == "not-testable"
    assert text in report.trouble.text


def test_an_empty_tensor_is_not_testable():
    none = np.zeros(0, np.uint8)
    report = dequantize_tensor(none, none, np.zeros((0, 32), np.float32), "mxfp4")
    assert report.verdict == "not-testable"


@pytest.mark.parametrize("fmt", ["mxfp4/1", "mxfp4/3", "mxfp8_e4m3/16"])
def test_blocks_of_any_length_can_be_driven(fmt):
    packing = "nibbles-low-first" if fmt.startswith("mxfp4") else "bytes"
    options = {"packing": packing, "scale_layout": "128x4"}
    report = drive(lambda *a: np.zeros(a[2], np.float32), fmt, "dequantize_tensor", **options)
    assert not report.ok
    assert not any(f.id.startswith("L") for f in report.findings)  # zeros lie in no order


def test_what_constant_scales_cannot_show_is_said():
    codes = np.random.default_rng(0).integers(0, 120, (130, 160)).astype(np.uint8)
    same = np.full((130, 5), 127, np.uint8)
    y = hand.decode(codes, same, "mxfp8_e4m3")
    report = dequantize_tensor(codes, hand.swizzle(same), y, "mxfp8_e4m3", scale_layout="128x4")
    (gap,) = [g for g in report.gaps if g.what == "the order of the scale codes"]
    assert set(gap.faults) >= {"L3", "L6"}
    assert not [g for g in report.gaps if g.what == "the order of the element codes"]
    plane = np.random.default_rng(0).integers(100, 150, same.shape).astype(np.uint8)
    y = hand.decode(codes, plane, "mxfp8_e4m3")
    report = dequantize_tensor(codes, hand.swizzle(plane), y, "mxfp8_e4m3", scale_layout="128x4")
    assert not [g for g in report.gaps if "the order of" in g.what]
    y = np.zeros((4, 64), np.float32)
    report = dequantize_tensor(np.zeros((4, 64), np.uint8), np.full(8, 9, np.uint8), y, "mxfp4")
    assert [g for g in report.gaps if g.what == "the order of the element codes"]
