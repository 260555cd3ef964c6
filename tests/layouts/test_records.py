import ml_dtypes
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref.kernels import packing_records as kernels
from mxref.layouts import records
from mxref.layouts.records import RECORDS, find_record, pack_records, unpack_records

NAMES = list(RECORDS)
WITH_MICRO = [name for name in NAMES if RECORDS[name].micro_starts]


@pytest.fixture(params=["compiled", "interpreted"])
def both_ways(request, monkeypatch):
    if request.param == "interpreted":
        monkeypatch.setattr(kernels, "INTERPRETED", True)


def contents(record, lead, count, seed=0):
    """Random scales, codes and microexponents of lines of `count` records."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 1 << record.bits, (*lead, count * record.elements), np.uint8)
    scales = rng.integers(0, 256, (*lead, count * record.blocks), np.uint8)
    if not record.micro_starts:
        return scales, codes, None
    return scales, codes, rng.integers(0, 2, (*lead, codes.shape[-1] // 2), np.uint8)


def packed_by_places(scales, codes, micro, record):
    """Pack lines bit by bit from the definition."""
    lead = codes.shape[:-1]
    out = np.zeros((*lead, codes.shape[-1] // record.elements * record.nbytes), np.uint8)
    parts = [("scales", scales, 8), ("codes", codes, record.bits), ("micro", micro, 1)]
    for field, array, width in parts:
        if array is None:
            continue
        byte, bit = record.place(field, np.arange(array.shape[-1]))
        start = byte * 8 + bit
        for where in np.ndindex(*lead):
            for k in range(width):
                bits = ((array[where] >> k) & 1) << ((start + k) % 8)
                np.bitwise_or.at(out[where], (start + k) // 8, bits.astype(np.uint8))
    return out


def gguf_mxfp4(scales, codes):
    return [scales[0], *(codes[j] | codes[j + 16] << 4 for j in range(16))]


def gguf_nvfp4(scales, codes):
    blocks = [codes[start : start + 16] for start in range(0, 64, 16)]
    return [*scales, *(block[j] | block[j + 8] << 4 for block in blocks for j in range(8))]


def t27_mxfp4(scales, codes):
    return [scales[0], *(codes[j] | codes[j + 1] << 4 for j in range(0, 32, 2))]


def bdr(bits):
    """The whole record as one number, lowest byte first."""

    def pack(scales, codes, micro):
        number = scales[0] | sum(flag << (8 + j) for j, flag in enumerate(micro))
        number |= sum(code << (16 + bits * i) for i, code in enumerate(codes))
        return number.to_bytes(2 + 2 * bits, "little")

    return pack


# The same records stated once more, on lists of integers.
RULES = {
    "gguf-mxfp4": gguf_mxfp4,
    "gguf-nvfp4": gguf_nvfp4,
    "t27-mxfp4": t27_mxfp4,
    "mx9-bdr": bdr(8),
    "mx6-bdr": bdr(5),
    "mx4-bdr": bdr(3),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_record_is_whole_in_itself(name):
    record = RECORDS[name]
    assert len(record.code_starts) == record.elements == record.blocks * record.block_size
    assert len(record.scale_starts) == record.blocks
    assert len(record.micro_starts) in {0, record.elements // 2}
    used = [
        start + k
        for starts, width in (
            (record.scale_starts, 8),
            (record.code_starts, record.bits),
            (record.micro_starts, 1),
        )
        for start in starts
        for k in range(width)
    ]
    assert sorted(used) == list(range(8 * record.nbytes))  # every bit has one owner
    assert records.SLAB % record.elements == 0
    for text in (record.text, record.used_by, record.source, record.evidence):
        assert text


def test_sizes_are_those_of_ggml_and_of_the_paper():
    sizes = {record.name: (record.elements, record.nbytes) for record in RECORDS.values()}
    assert sizes == {
        "gguf-mxfp4": (32, 17),
        "gguf-nvfp4": (64, 36),
        "t27-mxfp4": (32, 17),
        "mx9-bdr": (16, 18),
        "mx6-bdr": (16, 12),
        "mx4-bdr": (16, 8),
    }


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("name", NAMES)
def test_records_follow_the_rule(name):
    record = RECORDS[name]
    for seed in range(5):
        scales, codes, micro = contents(record, (), 1, seed)
        parts = [part.tolist() for part in (scales, codes, micro) if part is not None]
        assert pack_records(scales, codes, name, micro).tobytes() == bytes(RULES[name](*parts))


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("name", NAMES)
def test_each_bit_alone_goes_to_its_place(name):
    record = RECORDS[name]
    widths = {"codes": record.bits, "scales": 8} | ({"micro": 1} if record.micro_starts else {})
    for field, width in widths.items():
        scales, codes, micro = (None if a is None else a * 0 for a in contents(record, (), 3))
        target = {"codes": codes, "scales": scales, "micro": micro}[field]
        for i in range(target.size):
            byte, bit = record.place(field, i)
            for k in range(width):
                target[i] = 1 << k
                packed = pack_records(scales, codes, name, micro)
                place = int(byte) * 8 + int(bit) + k
                assert np.flatnonzero(np.unpackbits(packed, bitorder="little")).tolist() == [place]
                back = unpack_records(packed, name)
                assert np.array_equal(back.codes, codes)
                assert np.array_equal(back.scales, scales)
                assert micro is None or np.array_equal(back.micro, micro)
                target[i] = 0


@st.composite
def lines_of_records(draw):
    record = RECORDS[draw(st.sampled_from(NAMES))]
    lead = draw(st.lists(st.integers(0, 3), max_size=2))
    return record, contents(record, lead, draw(st.integers(0, 5)), draw(st.integers(0, 1 << 32)))


def turned(array, kind):
    """The same items in another memory order."""
    if array is None or kind == "plain":
        return array
    if kind == "fortran":
        return np.asfortranarray(array)
    room = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), np.uint8)
    room[..., ::2] = array
    view = room[..., ::2]
    view.flags.writeable = False
    return view


@given(lines_of_records(), st.sampled_from(["plain", "fortran", "every second"]))
@settings(deadline=None)  # the first call compiles
def test_round_trip_of_any_memory_order(drawn, kind):
    record, given_parts = drawn
    expected = packed_by_places(*given_parts, record)
    scales, codes, micro = (turned(part, kind) for part in given_parts)
    assert np.array_equal(pack_records(scales, codes, record, micro), expected)
    out = np.empty((*expected.shape[:-1], 3 * expected.shape[-1]), np.uint8)[..., 1::3]
    assert pack_records(scales, codes, record.name, micro, out=out) is out
    assert np.array_equal(out, expected)
    back = unpack_records(turned(expected, kind), record)
    for found, part in zip(back, given_parts, strict=True):
        assert found is None if part is None else np.array_equal(found, part)
        assert found is None or (found.flags.c_contiguous and found.flags.writeable)


@pytest.mark.parametrize("name", NAMES)
def test_slabs_of_arrays_that_lie_otherwise(name, monkeypatch):
    monkeypatch.setattr(records, "SLAB", 256)
    record = RECORDS[name]
    parts = contents(record, (3,), 40)
    plain = pack_records(*parts[:2], name, parts[2])
    others = [turned(part, "fortran") for part in parts]
    assert np.array_equal(pack_records(*others[:2], name, others[2]), plain)
    back = unpack_records(turned(plain, "fortran"), name)
    assert np.array_equal(back.codes, parts[1])
    assert np.array_equal(back.scales, parts[0])


# The loops are the same for all, and each takes time to compile.
@pytest.mark.parametrize("name", ["gguf-mxfp4", "gguf-nvfp4", "mx6-bdr"])
def test_large_arrays_on_one_thread_and_two(name):
    record = RECORDS[name]
    count = (1 << 20) // record.elements + 1
    scales, codes, micro = contents(record, (2,), count)
    packed = pack_records(scales, codes, name, micro)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        assert np.array_equal(pack_records(scales, codes, name, micro), packed)
    finally:
        numba.set_num_threads(before)
    back = unpack_records(packed, name)
    assert np.array_equal(back.codes, codes)
    assert np.array_equal(back.scales, scales)
    end = [
        part if part is None else part[:, -part.shape[-1] // count * 3 :]
        for part in (scales, codes, micro)
    ]
    assert np.array_equal(packed[:, -3 * record.nbytes :], packed_by_places(*end, record))


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("name", [name for name in NAMES if RECORDS[name].bits < 8])
def test_a_code_out_of_range_is_found(name):
    record = RECORDS[name]
    scales, codes, micro = contents(record, (2,), 5000)
    for flat in (0, codes.size // 2 - 1, codes.size // 2, codes.size - 1, 70_001):
        for bit in range(record.bits, 8):
            kept = codes.flat[flat]
            codes.flat[flat] |= 1 << bit
            place = tuple(int(i) for i in np.unravel_index(flat, codes.shape))
            with pytest.raises(ValueError, match="out of range") as caught:
                pack_records(scales, codes, name, micro)
            assert f"code {int(codes[place]):#04x} at {place}" in str(caught.value)
            codes.flat[flat] = kept


def test_records_of_the_same_size_differ():
    scales, codes, _ = contents(RECORDS["gguf-mxfp4"], (), 4)
    ours = pack_records(scales, codes, "gguf-mxfp4")
    theirs = pack_records(scales, codes, "t27-mxfp4")
    assert ours.shape == theirs.shape
    assert not np.array_equal(ours, theirs)
    assert np.array_equal(unpack_records(ours, "t27-mxfp4").scales, scales)


def test_types_of_ml_dtypes_are_read_in_place():
    codes = np.linspace(-6, 6, 32).astype(ml_dtypes.float4_e2m1fn)
    scales = np.array([2.0]).astype(ml_dtypes.float8_e8m0fnu)
    packed = pack_records(scales, codes, "gguf-mxfp4")
    assert packed[0] == 128
    assert np.array_equal(unpack_records(packed, "gguf-mxfp4").codes, codes.view("u1"))


S1, C32, C16 = np.zeros(1, "u1"), np.zeros(32, "u1"), np.zeros(16, "u1")
M8 = np.zeros(8, "u1")
BAD = [
    (lambda: pack_records(S1, C16, "gguf-mxfp4"), ValueError, "16 codes.*holds 32 in a record"),
    (lambda: pack_records(C16, C32, "gguf-mxfp4"), ValueError, r"scales has shape \(16,\).*\(1,\)"),
    (lambda: pack_records(S1, C32, "mxfp4"), ValueError, "did you mean"),
    (lambda: find_record(None), ValueError, "unknown record None"),
    (lambda: find_record("gguf"), ValueError, "unknown record 'gguf'"),
    (lambda: pack_records(S1, C32, "gguf-mxfp4", M8), ValueError, "has no microexponents"),
    (lambda: pack_records(S1, C16, "mx6-bdr"), ValueError, r"pass micro, 0 or 1, of shape \(8,\)"),
    (lambda: pack_records(S1, C16, "mx6-bdr", C16), ValueError, r"micro has shape \(16,\)"),
    (lambda: pack_records(S1, C16, "mx6-bdr", M8 + 2), ValueError, r"micro 0x02 at \(0,\)"),
    (lambda: pack_records(S1, C32 * 1.0, "gguf-mxfp4"), TypeError, "codes has dtype float64"),
    (lambda: pack_records(S1 * 1.0, C32, "gguf-mxfp4"), TypeError, "scales has dtype float64"),
    (lambda: pack_records(S1, C32[0], "gguf-mxfp4"), ValueError, "codes has no axis"),
    (lambda: pack_records(S1, C32, "gguf-mxfp4", out=C32), ValueError, r"shape \(32,\)"),
    (lambda: unpack_records(C16, "gguf-mxfp4"), ValueError, "16 bytes.*holds 17 in a record"),
    (lambda: unpack_records(C16 * 1.0, "gguf-mxfp4"), TypeError, "packed has dtype float64"),
    (lambda: RECORDS["gguf-mxfp4"].place("micro", 0), ValueError, "gguf-mxfp4 has no micro"),
    (lambda: RECORDS["gguf-mxfp4"].place("code", 0), ValueError, "scales, codes, micro"),
    (lambda: RECORDS["gguf-mxfp4"].place("codes", -1), ValueError, "at least 0; got -1"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_what_cannot_be_done_is_said(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_out_must_overlap_neither_codes_nor_scales():
    room = np.zeros(64, np.uint8)
    for scales, codes in ((room[:1], C32), (S1, room[:32])):
        with pytest.raises(ValueError, match="overlaps"):
            pack_records(scales, codes, "gguf-mxfp4", out=room[:17])


@pytest.mark.parametrize("name", WITH_MICRO)
def test_microexponents_are_bits_of_the_second_byte(name):
    record = RECORDS[name]
    scales, codes, micro = contents(record, (), 2)
    packed = pack_records(scales, codes * 0, name, micro).reshape(2, record.nbytes)
    assert np.array_equal(packed[:, 0], scales)
    assert np.array_equal(np.unpackbits(packed[:, 1], bitorder="little"), micro)
    assert not packed[:, 2:].any()
