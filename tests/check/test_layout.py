"""check.layout: known layouts and planted mistakes are named, and the rest is described."""

import numpy as np
import pytest

from mxref.check import TargetError
from mxref.check.layout import layout
from mxref.check.report import DefectError
from mxref.layouts.packings import PACKINGS, pack_codes
from mxref.layouts.probe import bit_sources, probe, probe_count, probes
from mxref.layouts.records import pack_records
from mxref.layouts.scale_orders import SCALE_ORDERS, pack_scales

SHAPE = (301, 672)  # 21 blocks in a line: no multiple of any tile, nor are the lines
BITS = {"mxfp4": 4, "mxfp6_e2m3": 6, "mxfp8_e4m3": 8, "mxint8": 8}


def packer(packing, order, axis=-1):
    return lambda codes, scales: (
        pack_codes(codes, packing),
        pack_scales(scales, order, axis=axis),
    )


def names_for(fmt):
    return [p.name for p in PACKINGS.values() if p.bits in (BITS[fmt], 8)]


# --- known layouts --------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", BITS)
def test_every_packing_with_every_order_is_named_and_nothing_else(fmt):
    """A packing and an order are told apart by themselves; each is met once in each format."""
    packings, orders = names_for(fmt), list(SCALE_ORDERS)
    pairs = [(packings[i % len(packings)], order) for i, order in enumerate(orders)]
    pairs += [(packing, orders[i % len(orders)]) for i, packing in enumerate(packings)]
    for packing, order in pairs:
        report = layout(packer(packing, order), fmt, SHAPE)
        assert (report.packing, report.scale_layout) == (packing, order)
        assert report.verdict == "conforms-as"
        assert not any(part.also for part in report.parts), str(report)
        assert report.probes == 2


@pytest.mark.slow
@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize("fmt", ["mxfp4", "mxfp6_e2m3"])
def test_every_pair_on_either_axis(fmt, axis):
    shape = (301, 672) if axis == -1 else (672, 301)
    for packing in names_for(fmt):
        for order in SCALE_ORDERS:
            fn = packer(packing, order, axis)
            report = layout(fn, fmt, shape, axis)
            assert (report.packing, report.scale_layout) == (packing, order)
            assert not any(part.also for part in report.parts), str(report)


def test_claims_that_hold():
    fn = packer("fp6-dense", "gfx950-32x8")
    claims = {"packing": "fp6-dense", "scale_layout": "gfx950-32x8"}
    report = layout(fn, "mxfp6_e2m3", (64, 96), **claims)
    assert report.ok
    assert report.verdict == "conforms"
    report.raise_for_defects()
    assert not report.findings


def test_orders_that_coincide_are_all_listed_and_the_claimed_one_counts():
    fn = packer("bytes", "mn-major-words")
    open_report = layout(fn, "mxfp8_e4m3", (64, 96))
    scales = open_report.parts[1]
    same = {scales.name, *scales.also}
    assert same == {"8x4", "gfx1250-32x4", "mn-major-words", "gfx1250-words"}
    for name in same:
        assert layout(fn, "mxfp8_e4m3", (64, 96), scale_layout=name).verdict == "conforms"


@pytest.mark.parametrize("record", ["gguf-mxfp4", "t27-mxfp4"])
def test_records_are_named(record):
    report = layout(lambda c, s: pack_records(s, c, record), "mxfp4", (5, 96))
    assert report.record == record
    assert layout(lambda c, s: pack_records(s, c, record), "mxfp4", (5, 96), record=record).ok
    wrong = layout(lambda c, s: pack_records(s, c, record), "mxfp4", (5, 96), packing="bytes")
    assert (wrong.verdict, [f.id for f in wrong.findings]) == ("defect", ["L7"])
    planes = layout(packer("bytes", "row-major"), "mxfp4", (5, 96), record=record)
    assert (planes.verdict, {f.id for f in planes.findings}) == ("defect", {"L7"})


@pytest.mark.parametrize("scales_first", [True, False])
def test_planes_in_one_buffer_are_taken_apart(scales_first):
    def fn(codes, scales):
        pair = [pack_codes(codes, "nibbles-split").ravel(), pack_scales(scales, "128x4")]
        return np.concatenate(pair[::-1] if scales_first else pair)

    report = layout(fn, "mxfp4", (64, 160))
    assert (report.packing, report.scale_layout) == ("nibbles-split", "128x4")


def test_one_part_alone():
    codes_only = layout(lambda c, _s: (pack_codes(c, "fp6-padded"), None), "mxfp6_e3m2", (33, 64))
    assert (codes_only.packing, codes_only.scale_layout) == ("fp6-padded", None)
    scales_only = layout(lambda _c, s: pack_scales(s, "128x4"), "mxfp4", (33, 160))
    assert (scales_only.packing, scales_only.scale_layout) == (None, "128x4")


def test_words_and_float8_arrays_are_taken_as_bytes():
    fn = packer("nibbles-low-first", "row-major")
    report = layout(lambda c, s: (fn(c, s)[0].view("<u4"), fn(c, s)[1]), "mxfp4", (16, 64))
    assert report.packing == "nibbles-low-first"


def test_padding_is_reported():
    report = layout(
        lambda c, s: (c, pack_scales(s, "gfx950-32x8", pad=0x33)), "mxfp8_e5m2", (33, 96)
    )
    assert "bytes that hold nothing: 0x33" in report.parts[1].notes
    longer = layout(
        lambda c, s: (c, np.pad(pack_scales(s, "128x4"), (0, 512))), "mxfp8_e5m2", (33, 160)
    )
    assert longer.scale_layout == "128x4"
    assert "512 bytes more than it needs, behind it" in longer.parts[1].notes


# --- mistakes -------------------------------------------------------------------------------------


def swizzled_twice(scales):
    once = pack_scales(scales, "128x4").reshape(-1, -(-scales.shape[1] // 4) * 4)
    return pack_scales(once, "128x4")


LOW, HIGH = "nibbles-low-first", "nibbles-high-first"
PLANTED = [
    # (format, function, claims, fault, what the part is called)
    ("mxfp4", packer(HIGH, "row-major"), {"packing": LOW}, "L1", HIGH),
    ("mxfp4", packer("nibbles-split", "row-major"), {"packing": LOW}, "L2", "nibbles-split"),
    ("mxfp4", packer(LOW, "row-major"), {"packing": "nibbles-split"}, "L2", LOW),
    ("mxfp6_e2m3", packer("fp6-gfx950", "8x4"), {"packing": "fp6-dense"}, "L6", "fp6-gfx950"),
    ("mxfp4", packer(LOW, "row-major"), {"scale_layout": "128x4"}, "L3", "row-major"),
    ("mxfp4", packer(LOW, "column-major"), {"scale_layout": "128x4"}, "L8", "column-major"),
    ("mxfp4", packer(LOW, "8x4"), {"scale_layout": "gfx950-32x8"}, "L6", "8x4"),
    (
        "mxfp4",
        lambda c, s: (c, swizzled_twice(s)),
        {"scale_layout": "128x4"},
        "L3",
        "128x4 applied twice",
    ),
    ("mxfp4", lambda c, s: (c, swizzled_twice(s)), {}, "L3", "128x4 applied twice"),
    (
        "mxfp4",
        lambda c, s: (pack_codes(np.ascontiguousarray(c.T), LOW).T, s),
        {"packing": LOW},
        "L9",
        f"{LOW}, packed down the columns",
    ),
    (
        "mxfp4",
        lambda c, s: (pack_codes(np.ascontiguousarray(c.T), LOW), s),
        {},
        "L8",
        f"{LOW}, of the transposed tensor",
    ),
    (
        "mxfp6_e2m3",
        lambda c, s: (pack_codes(np.pad(c, ((0, 0), (0, 32))), "fp6-dense"), s),
        {"packing": "fp6-dense"},
        "L4",
        "fp6-dense, rows padded to 64 codes",
    ),
    (
        "mxfp6_e2m3",
        lambda c, s: (pack_codes(c, "fp6-dense").reshape(-1, 4)[:, ::-1], s),
        {"packing": "fp6-dense"},
        "L5",
        "fp6-dense, the bytes of each word of 4 reversed",
    ),
    (
        "mxfp8_e4m3",
        lambda c, s: (np.roll(c.ravel(), 1), s),
        {"packing": "bytes"},
        "L4",
        "bytes, one code too far",
    ),
    (
        "mxfp8_e4m3",
        lambda c, s: (c, s - np.uint8(2)),
        {"scale_layout": "row-major"},
        "S6",
        "row-major",
    ),
    (
        "mxfp8_e4m3",
        lambda c, s: (c, pack_scales(s, "128x4").reshape(-1, 4)[:, ::-1]),
        {"scale_layout": "128x4"},
        "L5",
        "the bytes of each word of four reversed",
    ),
]


@pytest.mark.parametrize(
    ("fmt", "fn", "claims", "fault", "name"), PLANTED, ids=[f"{p[3]}-{p[4]}" for p in PLANTED]
)
def test_planted_mistakes_are_named(fmt, fn, claims, fault, name):
    report = layout(fn, fmt, (300, 672), **claims)
    assert report.verdict == "defect", str(report)
    assert [f.id for f in report.findings] == [fault]
    assert name in {part.name for part in report.parts if part.fault or part.claimed}
    assert not report.ok
    with pytest.raises(DefectError):
        report.raise_for_defects()
    shown = " ".join(str(report).split())
    assert fault in shown
    assert name in shown


# --- layouts that nobody knows --------------------------------------------------------------------


def test_an_unknown_map_is_described_in_strides():
    def fn(codes, scales):
        moved = codes.reshape(4, 16, 4, 16).transpose(0, 2, 3, 1)  # columns of tiles of 16 x 16
        return np.ascontiguousarray(moved), scales.reshape(2, 32, 2).transpose(1, 0, 2)

    report = layout(fn, "mxfp8_e4m3", (64, 64))
    assert report.verdict == "unexplained"
    elements, scales = report.parts
    assert any("((16,4),64):((1,1024),16)" in note for note in elements.notes)
    assert any("((32,2),2):((4,2),1)" in note for note in scales.notes)
    row, column = np.indices((64, 64))
    expected = row // 16 * 1024 + column // 16 * 256 + column % 16 * 16 + row % 16
    assert np.array_equal(elements.addresses, 8 * expected)
    line, block = np.indices((64, 2))
    assert np.array_equal(scales.addresses, 8 * (line % 32 * 4 + line // 32 * 2 + block))


def test_exclusive_or_swizzles_are_described_by_their_bits():
    i = np.arange(64 * 128).reshape(64, 128)
    report = layout(lambda c, _s: (c.ravel()[i ^ (i >> 7 & 7) << 4], None), "mxfp8_e4m3", (64, 128))
    (part,) = report.parts
    assert any("row0^column4 row1^column5 row2^column6 row0" in note for note in part.notes)


def test_the_first_departure_from_the_nearest_is_given():
    def fn(codes, scales):
        stored = codes.copy()
        stored[3, 5], stored[3, 6] = codes[3, 6], codes[3, 5]
        return stored, scales

    (part, _) = layout(fn, "mxfp8_e4m3", (64, 64)).parts
    assert any(
        "the nearest is bytes: 2 of 4096 codes lie elsewhere, first [3, 5], at bit 1584, not at "
        "bit 1576" in note
        for note in part.notes
    )


def test_inverted_and_mixed_bits_are_counted():
    flipped = layout(lambda c, s: (c ^ 8, s), "mxfp4", (32, 64))
    notes = " ".join(flipped.parts[0].notes)
    assert "2048 bits are inverted (bit 3 of codes)" in notes
    assert "each code lies where bytes has it" in notes
    mixed = layout(lambda c, s: (c ^ np.roll(c, 1), s), "mxfp8_e4m3", (32, 64))
    assert "bits depend on more than one bit" in " ".join(mixed.parts[0].notes)


def test_a_random_permutation_of_bits_is_recovered():
    shape = (4, 64)
    order = np.random.default_rng(0).permutation(4 * 64 * 6)

    def scramble(codes):
        bits = np.unpackbits(codes.reshape(-1, 1), axis=1, bitorder="little")[:, :6].ravel()
        return np.packbits(bits[order], bitorder="little")

    written = [scramble(q.codes) for q in probes("mxfp6_e2m3", shape)]
    found = bit_sources(written, "mxfp6_e2m3", shape)
    assert np.array_equal(found.sources, order)
    assert not found.inverted.any()


# --- from files of outputs ------------------------------------------------------------------------


def test_one_output_names_a_known_layout_and_all_map_an_unknown_one():
    q = probe("mxfp4", SHAPE)
    written = packer("nibbles-split", "triton-hopper-4")(q.codes, q.scales)
    report = layout(written, "mxfp4", SHAPE)
    assert (report.packing, report.scale_layout) == ("nibbles-split", "triton-hopper-4")
    assert report.probes == 1

    def unknown(codes, scales):
        return codes[::-1], scales[::-1]

    shape = (8, 64)
    one = layout(unknown(*both(probe("mxfp4", shape))), "mxfp4", shape)
    assert one.verdict == "unexplained"
    assert all(part.addresses is None for part in one.parts)
    rounds = [unknown(*both(q)) for q in probes("mxfp4", shape)]
    full = layout(rounds, "mxfp4", shape)
    assert full.probes == probe_count("mxfp4", shape)
    assert any("(8,64):(-64,1)" in note for note in full.parts[0].notes)


def both(q):
    return q.codes, q.scales


# --- what does not work ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "words"),
    [
        (lambda _c, _s: None, "returned None"),
        (lambda c, s: (c, s, c), "returned 3 things"),
        (lambda _c, _s: (None, None), "neither elements nor scales"),
        (lambda c, s: (c.astype(np.float32), s), "codes, not values"),
        (lambda _c, _s: 1 / 0, "ZeroDivisionError"),
        (lambda c, _s: c[: 1 + int(c[0, 0]) % 7], "different sizes"),
    ],
)
def test_targets_that_return_nothing_of_use(fn, words):
    with pytest.raises(TargetError, match=words):
        layout(fn, "mxfp4", (32, 64))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda fn: layout(fn, "mxfp4", (32, 64), packing="nibbles"), "did you mean"),
        (lambda fn: layout(fn, "mxfp4", (32, 64), packing="fp6-dense"), "does not hold the 4-bit"),
        (lambda fn: layout(fn, "mxfp4", (32, 64), scale_layout="128"), "did you mean '128x4'"),
        (lambda fn: layout(fn, "mxfp4", (32, 64), record="gguf"), "unknown record"),
        (
            lambda fn: layout(fn, "mxfp4", (32, 64), record="gguf-mxfp4", packing="bytes"),
            "a record holds codes and scales",
        ),
        (lambda fn: layout(fn, "mxfp4", (32,)), "expected rows and columns"),
        (lambda fn: layout(fn, "mxfp4", (2, 3, 64)), "expected rows and columns"),
        (lambda fn: layout(fn, "mxfp5", (32, 64)), "unknown block format"),
        (lambda _: layout([], "mxfp4", (32, 64)), "nothing in the list"),
        (lambda _: layout([np.zeros(4, np.uint8)] * 99, "mxfp4", (32, 64)), "only 23 probes"),
        (lambda _: probe("mxfp4", (5000, 5000)), "at most 16777216"),
        (lambda _: probe("mxfp4", (2, 64), number=99), "counted from 0"),
        (lambda _: bit_sources([], "mxfp4", (2, 64)), "0 outputs for the 19 probes"),
    ],
)
def test_errors_say_what_to_do(call, words):
    with pytest.raises(ValueError, match=words):
        call(packer("bytes", "row-major"))


def test_an_empty_tensor_is_not_testable():
    report = layout(packer("bytes", "row-major"), "mxfp4", (0, 64))
    assert report.verdict == "not-testable"
    assert not report.ok


def test_a_packer_that_answers_at_random_is_unexplained():
    rng = np.random.default_rng(7)

    def at_random(codes, scales):
        return rng.integers(0, 256, (codes.shape[0], codes.shape[1] // 2), np.uint8), scales

    report = layout(at_random, "mxfp4", (32, 64))
    assert report.verdict == "unexplained"
    assert report.scale_layout == "row-major"
