import itertools

import ml_dtypes
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref.kernels import packing as kernels
from mxref.kernels._packing_wirings import INDEX
from mxref.layouts import packings
from mxref.layouts.packings import PACKINGS, find_packing, pack_codes, unpack_codes

NAMES = list(PACKINGS)
NARROW = [name for name in NAMES if name != "bytes"]

# Bytes written by hand from the descriptions, for the codes 1, 2, 3, ... of one unit or a few.
BY_HAND = {
    "bytes": ([1, 2, 0xFF], "01 02 ff"),
    "bytes-high": ([0x3F, 0x01, 0x20], "fc 04 80"),
    "bytes-middle": ([0xF, 0x1, 0x8], "3c 04 20"),
    "nibbles-low-first": ([1, 2, 3, 4, 5], "21 43 05"),
    "nibbles-high-first": ([1, 2, 3, 4, 5], "12 34 50"),
    "nibbles-split": (
        [*range(16), *range(15, -1, -1)],
        "f0 e1 d2 c3 b4 a5 96 87 78 69 5a 4b 3c 2d 1e 0f",
    ),
    "nibbles-split-16": (
        [*range(1, 9), *range(15, 7, -1), *range(16)],
        "f1 e2 d3 c4 b5 a6 97 88 80 91 a2 b3 c4 d5 e6 f7",
    ),
    "nibbles-padded": ([*range(16), 7], "10 32 54 76 98 ba dc fe" + " 00" * 8 + " 07" + " 00" * 15),
    # Codes 3F 01 21 00 came out of CUTLASS's host container as these bytes.
    "fp6-dense": ([0x3F, 0x01, 0x21, 0x00, 0x2A], "7f 10 02 2a"),
    "fp6-padded": (
        [0x3F, 0x01, 0x21, 0x00] * 4 + [0x2A],
        "7f 10 02 " * 4 + "00 " * 4 + "2a" + " 00" * 15,
    ),
    # Fields 0 to 3 are codes 0, 16, 1 and 17.
    "fp6-gfx950": (
        [0x3F, 0x21, *[0] * 14, 0x01, 0x00, *[0] * 14],
        "7f 10 02" + " 00" * 21,
    ),
}


def dense_place(order, bits, unit_bytes, group):
    """(byte, bit) of bit b of code i, from the field that it lies in."""

    def place(i, b):
        unit, code = divmod(i, group)
        bit = order(code) * bits + b
        return unit * unit_bytes + bit // 8, bit % 8

    return place


# The same layouts stated once more, one bit at a time.
RULES = {
    "bytes": lambda i, b: (i, b),
    "bytes-high": lambda i, b: (i, b + 2),
    "bytes-middle": lambda i, b: (i, b + 2),
    "nibbles-low-first": lambda i, b: (i // 2, 4 * (i % 2) + b),
    "nibbles-high-first": lambda i, b: (i // 2, 4 * (1 - i % 2) + b),
    "nibbles-split": lambda i, b: (i // 32 * 16 + i % 16, 4 * (i % 32 // 16) + b),
    "nibbles-split-16": lambda i, b: (i // 16 * 8 + i % 8, 4 * (i % 16 // 8) + b),
    "nibbles-padded": lambda i, b: (i // 16 * 16 + i % 16 // 2, 4 * (i % 2) + b),
    "fp6-dense": dense_place(lambda code: code, 6, 3, 4),
    "fp6-padded": dense_place(lambda code: code, 6, 16, 16),
    "fp6-gfx950": dense_place(lambda code: 2 * (code % 16) + code // 16, 6, 24, 32),
}


def packed_by_places(codes, packing):
    """Pack a line bit by bit from the definition."""
    line = np.zeros(packing.packed_size(codes.size), np.uint8)
    byte, bit = packing.bit_places(np.arange(codes.size))
    bits = (codes[:, np.newaxis] >> np.arange(packing.bits)) & 1
    np.bitwise_or.at(line, byte, (bits << bit).astype(np.uint8))
    return line


def some_codes(packing, shape, seed=0):
    return np.random.default_rng(seed).integers(0, 1 << packing.bits, shape, np.uint8)


@pytest.fixture(params=["compiled", "interpreted"])
def both_ways(request, monkeypatch):
    if request.param == "interpreted":
        monkeypatch.setattr(kernels, "INTERPRETED", True)


def test_the_tables_name_the_same_packings():
    assert set(BY_HAND) == set(RULES) == set(NAMES)
    assert set(NARROW) <= set(INDEX)


@pytest.mark.parametrize("name", NAMES)
def test_a_packing_is_whole_in_itself(name):
    packing = PACKINGS[name]
    assert len(packing.starts) == packing.group
    byte, bit = packing.bit_places(np.arange(packing.group))
    used = {*zip(byte.ravel().tolist(), bit.ravel().tolist(), strict=True)}
    assert len(used) == packing.group * packing.bits  # no two bits in one place
    assert max(byte.ravel()) < packing.unit_bytes
    assert packings.SLAB % packing.group == 0
    for text in (packing.text, packing.used_by, packing.source, packing.evidence):
        assert text
    assert packing.source.startswith("https://")


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("name", NAMES)
def test_bytes_written_by_hand(name):
    codes, text = BY_HAND[name]
    packed = pack_codes(np.array(codes, np.uint8), name)
    assert packed.tobytes() == bytes.fromhex(text)
    assert unpack_codes(packed, name, len(codes), strict=True).tolist() == codes


@pytest.mark.parametrize("name", NAMES)
def test_places_follow_the_rule(name):
    packing = PACKINGS[name]
    n = 3 * packing.group + 1
    byte, bit = packing.bit_places(np.arange(n), n)
    for i, b in itertools.product(range(n), range(packing.bits)):
        assert (byte[i, b], bit[i, b]) == RULES[name](i, b)
    first = packing.place(np.arange(n), n)
    assert np.array_equal(first, (byte[:, 0], bit[:, 0]))


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("name", NARROW)
def test_each_bit_alone_goes_to_its_place(name):
    packing = PACKINGS[name]
    # A vector, then units by themselves, then a unit that is not full.
    n = 64 + 2 * packing.group + packing.group // 2
    lines = np.zeros((n * packing.bits, n), np.uint8)
    code, bit = np.divmod(np.arange(len(lines)), packing.bits)
    lines[np.arange(len(lines)), code] = 1 << bit
    expected = np.zeros((len(lines), packing.packed_size(n)), np.uint8)
    byte, at = packing.bit_places(code)
    rows = np.arange(len(lines))
    expected[rows, byte[rows, bit]] = 1 << at[rows, bit]
    assert np.array_equal(pack_codes(lines, name), expected)
    assert np.array_equal(unpack_codes(expected, name, n, strict=True), lines)


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 16, 17, 31, 33, 63, 64, 65, 129, 1000])
def test_any_length(name, n):
    packing = PACKINGS[name]
    codes = some_codes(packing, (3, n))
    packed = pack_codes(codes, name)
    assert packed.shape == (3, packing.packed_size(n))
    for line, row in zip(packed, codes, strict=True):
        assert np.array_equal(line, packed_by_places(row, packing))
    assert np.array_equal(unpack_codes(packed, name, n, strict=True), codes)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_and_capacities_agree(name):
    packing = PACKINGS[name]
    for n in range(3 * packing.group + 2):
        size = packing.packed_size(n)
        byte, _ = packing.bit_places(np.arange(n))
        assert size == 0 if n == 0 else size > byte.max()
        assert n <= packing.capacity(size) < n + packing.group
        full = packing.capacity(size)
        assert packing.packed_size(full) == size
        codes = some_codes(packing, full)
        assert np.array_equal(unpack_codes(pack_codes(codes, name), name), codes)


@st.composite
def arrays_of_codes(draw):
    name = draw(st.sampled_from(NAMES))
    shape = [*draw(st.lists(st.integers(0, 5), max_size=3)), draw(st.integers(0, 150))]
    codes = some_codes(PACKINGS[name], shape, draw(st.integers(0, 1 << 32)))
    axes = draw(st.permutations(range(len(shape))))
    step = draw(st.sampled_from([1, 2, -1, -3]))
    codes = codes.transpose(axes)[..., ::step]
    if draw(st.booleans()):
        codes.flags.writeable = False
    return name, codes


@given(arrays_of_codes(), st.sampled_from([1, 2, -1]))
@settings(deadline=None)  # the first call compiles
def test_round_trip_of_any_memory_order(drawn, step):
    name, codes = drawn
    packing = PACKINGS[name]
    n = codes.shape[-1]
    expected = np.zeros((*codes.shape[:-1], packing.packed_size(n)), np.uint8)
    for where in np.ndindex(*codes.shape[:-1]):
        expected[where] = packed_by_places(codes[where], packing)
    assert np.array_equal(pack_codes(codes, name), expected)
    room = np.empty((*expected.shape[:-1], 2 * expected.shape[-1]), np.uint8)
    out = room[..., :: step * 2] if abs(step) == 1 else room[..., 1::2]
    assert pack_codes(codes, name, out=out) is out
    assert np.array_equal(out, expected)
    target = np.empty(codes.shape[::-1], np.uint8).T
    assert unpack_codes(out, name, n, strict=True, out=target) is target
    assert np.array_equal(target, codes)


@pytest.mark.parametrize("name", NAMES)
def test_slabs_of_arrays_that_lie_otherwise(name, monkeypatch):
    monkeypatch.setattr(packings, "SLAB", 256)
    packing = PACKINGS[name]
    for shape in ((3, 1000), (40, 7), (2, 3, 300)):
        codes = some_codes(packing, shape)
        plain = pack_codes(codes, name)
        assert np.array_equal(pack_codes(np.asfortranarray(codes), name), plain)
        turned = np.asfortranarray(plain)
        assert np.array_equal(unpack_codes(turned, name, shape[-1], strict=True), codes)


# One of each way to merge fields: the loops are the same for all, and each takes time to compile.
@pytest.mark.parametrize("name", ["bytes-high", "nibbles-split", "fp6-dense", "fp6-padded"])
def test_large_arrays_on_one_thread_and_two(name):
    packing = PACKINGS[name]
    codes = some_codes(packing, (13, 100_003))
    packed = pack_codes(codes, name)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        assert np.array_equal(pack_codes(codes, name), packed)
        assert np.array_equal(unpack_codes(packed, name, codes.shape[-1]), codes)
    finally:
        numba.set_num_threads(before)
    assert np.array_equal(unpack_codes(packed, name, codes.shape[-1]), codes)
    assert np.array_equal(packed[12], packed_by_places(codes[12], packing))


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("where", [(0, 0), (1, 77), (2, 130), (2, 128)])
def test_a_code_out_of_range_is_found(name, where):
    packing = PACKINGS[name]
    for bit in range(packing.bits, 8):
        codes = some_codes(packing, (3, 131))
        codes[where] |= 1 << bit
        for order in (codes, np.asfortranarray(codes)):
            with pytest.raises(ValueError, match="out of range") as caught:
                pack_codes(order, name)
            assert f"{int(codes[where]):#04x} at {where}" in str(caught.value)


def test_a_code_out_of_range_in_any_chunk():
    codes = np.zeros((9, 1 << 17), np.uint8)
    for flat in range(0, codes.size, 64 * 1021):
        codes.flat[flat] = 0x40
        place = tuple(int(i) for i in np.unravel_index(flat, codes.shape))
        with pytest.raises(ValueError, match="out of range") as caught:
            pack_codes(codes, "fp6-dense")
        assert f"0x40 at {place}" in str(caught.value)
        codes.flat[flat] = 0


def test_the_place_of_a_bad_code_counts_all_axes():
    codes = np.zeros((2, 3, 1 << 20), np.uint8)
    codes[1, 2, 5] = 16
    with pytest.raises(ValueError, match=r"0x10 at \(1, 2, 5\).*4 bits, 0 to 0x0f"):
        pack_codes(codes, "nibbles-split")


def test_types_of_ml_dtypes_are_read_in_place():
    values = np.array([0.5, -6, 1, 3])
    four = values.astype(ml_dtypes.float4_e2m1fn)
    assert np.array_equal(pack_codes(four, "nibbles-split-16")[:4], [0x1, 0xF, 0x2, 0x5])
    six = values.astype(ml_dtypes.float6_e3m2fn)
    assert np.array_equal(unpack_codes(pack_codes(six, "fp6-dense"), "fp6-dense"), six.view("u1"))
    eight = values.astype(ml_dtypes.float8_e4m3fn)
    assert np.array_equal(pack_codes(eight, "bytes"), eight.view("u1"))
    with pytest.raises(TypeError, match="nibbles-low-first takes uint8 or float4_e2m1fn"):
        pack_codes(six, "nibbles-low-first")


@pytest.mark.parametrize("name", ["fp6-padded", "nibbles-padded", "bytes-high", "nibbles-split"])
def test_padding_is_ignored_or_refused(name):
    packing = PACKINGS[name]
    n = 2 * packing.group + packing.group // 2 + 1
    codes = some_codes(packing, (3, n))
    packed = pack_codes(codes, name)
    unused = ~packing.used_bits(n)
    assert unused.any()
    for byte in np.flatnonzero(unused):
        dirty = packed.copy()
        dirty[1, byte] |= unused[byte]
        assert np.array_equal(unpack_codes(dirty, name, n), codes)
        with pytest.raises(ValueError, match="padding is not 0") as caught:
            unpack_codes(dirty, name, n, strict=True)
        assert f"{int(unused[byte]):#04x}" in str(caught.value)


def test_left_over_bits_of_a_tail_are_refused_under_strict():
    assert unpack_codes(np.array([0x21, 0x53], np.uint8), "nibbles-low-first", 3).tolist() == [
        1,
        2,
        3,
    ]
    with pytest.raises(
        ValueError, match=r"padding is not 0: the byte at \(1,\) is 0x53.*bits 0xf0"
    ):
        unpack_codes(np.array([0x21, 0x53], np.uint8), "nibbles-low-first", 3, strict=True)
    with pytest.raises(ValueError, match=r"the byte at \(0,\) is 0x40.*bits 0xc0"):
        unpack_codes(np.array([0x40], np.uint8), "fp6-dense", 1, strict=True)


BAD = [
    (
        lambda: pack_codes(np.zeros(4, np.int32), "bytes"),
        TypeError,
        "dtype int32; bytes takes uint8",
    ),
    (lambda: pack_codes(np.zeros(4), "nibbles-split"), TypeError, "dtype float64"),
    (lambda: pack_codes(np.uint8(4), "bytes"), ValueError, "reshape it to"),
    (lambda: pack_codes(np.zeros(4, "u1"), "nibbles"), ValueError, "did you mean 'nibbles-"),
    (lambda: pack_codes(np.zeros(4, "u1"), 6), ValueError, "unknown packing 6"),
    (lambda: find_packing(["bytes"]), ValueError, r"unknown packing \['bytes'\]"),
    (lambda: find_packing("fp6"), ValueError, "unknown packing 'fp6'"),
    (
        lambda: pack_codes(np.zeros(4, "u1"), "nibbles-low-first", out=np.zeros(4, "u1")),
        ValueError,
        r"out has shape \(4,\); expected \(2,\)",
    ),
    (lambda: pack_codes(np.zeros(4, "u1"), "bytes", out=[0] * 4), TypeError, "out must be a numpy"),
    (lambda: unpack_codes(np.zeros(4, "f4"), "fp6-dense"), TypeError, "dtype float32"),
    (
        lambda: unpack_codes(np.zeros(4, "u1"), "fp6-dense", 4),
        ValueError,
        "a line has 4 bytes, but 4 codes of fp6-dense take 3",
    ),
    (lambda: unpack_codes(np.zeros(4, "u1"), "bytes", -1), ValueError, "count is -1"),
    (lambda: unpack_codes(np.zeros(4, "u1"), "bytes", 4.0), TypeError, "count must be an integer"),
    (lambda: unpack_codes(np.zeros(17, "u1"), "nibbles-split"), ValueError, "no multiple of 16"),
    (lambda: PACKINGS["bytes"].place(-1), ValueError, "at least 0; got -1"),
    (lambda: PACKINGS["bytes"].place([0, 4], 4), ValueError, "less than 4"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_what_cannot_be_done_is_said(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_out_must_not_overlap():
    room = np.zeros(64, np.uint8)
    with pytest.raises(ValueError, match="overlaps"):
        pack_codes(room[:64], "nibbles-split", out=room[:32])
    with pytest.raises(ValueError, match="overlaps"):
        unpack_codes(room[:32], "nibbles-split", out=room)


def test_a_packing_can_be_passed_for_its_name():
    codes = np.arange(32, dtype=np.uint8) % 16
    for packing in (PACKINGS["nibbles-split"], "nibbles-split"):
        assert unpack_codes(pack_codes(codes, packing), packing).tolist() == codes.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_the_mask_of_used_bits_is_what_all_ones_pack_to(name):
    packing = PACKINGS[name]
    for n in (0, 1, packing.group, 2 * packing.group + 1, 5 * packing.group - 1):
        ones = np.full(n, (1 << packing.bits) - 1, np.uint8)
        assert np.array_equal(packing.used_bits(n), packed_by_places(ones, packing))
