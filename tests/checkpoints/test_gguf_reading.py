"""Reading GGUF: keys, places, both byte orders; and each way in which its header can lie."""

import struct

import numpy as np
import pytest
from made_files import ARRAY, STRING, Gguf

from mxref.checkpoints import CheckpointError, open_checkpoint
from mxref.checkpoints.gguf_types import BLOCKS, TYPES

F32, F16, Q4_0, I16, BF16, MXFP4, NVFP4 = 0, 1, 2, 25, 30, 39, 40
UINT32 = 4
BIG = 2**63


def write(folder, made, name="w.gguf"):
    path = folder / name
    path.write_bytes(made.bytes() if isinstance(made, Gguf) else made)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [2, 3])
def test_keys_and_tensors_of_either_byte_order(tmp_path, order, version):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    blocks = bytes(range(34)) * 2
    made = Gguf(order, version)
    made.field("general.architecture", STRING, "llama").field("a.é", UINT32, 70000)
    made.field("f", 6, 0.5).field("t", 7, True).field("i", 11, -5).field("b", 0, 200)
    made.field("tokens", ARRAY, (STRING, ["a", "", "bcd"])).field("n", ARRAY, (10, [1, 2]))
    made.field("nested", ARRAY, (ARRAY, [(STRING, ["x"]), (0, [1, 2])])).field("last", STRING, "")
    made.tensor("x", (3, 2), F32, x.astype(order + "f4").tobytes())
    made.tensor("m", (64, 2), MXFP4, blocks)
    made.tensor("h", (5,), I16, np.arange(5).astype(order + "i2").tobytes())
    path = write(tmp_path, made)
    with open_checkpoint(path) as store:
        assert (store.version, store.byte_order) == (version, {"<": "little", ">": "big"}[order])
        assert dict(store.metadata) == {
            "general.architecture": "llama",
            "a.é": "70000",
            "f": "0.5",
            "t": "true",
            "i": "-5",
            "b": "200",
            "tokens": "3 × STRING",
            "n": "2 × UINT64",
            "nested": "2 × ARRAY",
            "last": "",
        }
        for field, raw in zip(store.fields.values(), made.fields, strict=True):
            assert path.read_bytes()[field.offset : field.offset + field.nbytes] == raw
        assert [(t.name, t.dtype, t.shape) for t in store.tensors.values()] == [
            ("x", "F32", (2, 3)),
            ("m", "MXFP4", (2, 64)),
            ("h", "I16", (5,)),
        ]
        assert store.read("x").dtype == np.float32  # of this machine, whatever the file's order
        assert np.array_equal(store.read("x"), x)
        assert np.array_equal(store.read("x", 1, 2), x[1:])
        assert np.array_equal(store.read("h"), np.arange(5, dtype=np.int16)[None])
        assert store.read("m").shape == (2, 34)
        assert store.read("m").tobytes() == blocks


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_every_type_has_its_size(tmp_path, kind):
    elements, size = BLOCKS[TYPES[kind]]
    data = bytes(i % 251 for i in range(6 * size))
    made = Gguf().tensor("w", (2 * elements, 3), kind, data).tensor("after", (1,), F32, bytes(4))
    with open_checkpoint(write(tmp_path, made)) as store:
        assert (store.tensors["w"].dtype, store.tensors["w"].nbytes) == (TYPES[kind], len(data))
        assert store.read("w").tobytes() == data
        assert store.read("w", 1, 2).tobytes() == data[2 * size : 4 * size]


def test_a_type_nobody_knows_is_listed_and_copied_but_not_read(tmp_path):
    made = Gguf().tensor("odd", (3,), 99, b"abcde").tensor("w", (1,), F32, bytes(4))
    with open_checkpoint(write(tmp_path, made)) as store:
        info = store.tensors["odd"]
        assert (info.dtype, info.shape, info.nbytes) == ("TYPE_99", (3,), 32)  # up to the next one
        assert store.read_bytes("odd", 0, 5).tobytes() == b"abcde"
        assert store.read("w").shape == (1, 1)
        with pytest.raises(
            CheckpointError, match=r"w\.gguf: tensor 'odd': type TYPE_99 is unknown"
        ):
            store.read("odd")


@pytest.mark.parametrize("alignment", [1, 8, 64, 4096])
@pytest.mark.parametrize("name", ["a", "aaaaaaaaa"])
def test_other_alignments_and_a_missing_last_padding(tmp_path, alignment, name):
    made = Gguf(alignment=alignment).field("general.alignment", UINT32, alignment)
    made.tensor(name, (3,), 24, b"abc").tensor("b", (3,), 24, b"def")
    with open_checkpoint(write(tmp_path, made)) as store:
        assert store.alignment == alignment
        assert store.read(name).tobytes() == b"abc"
        assert store.read("b").tobytes() == b"def"


def test_no_tensors(tmp_path):
    with open_checkpoint(write(tmp_path, Gguf().field("k", STRING, "v"))) as store:
        assert (len(store.tensors), store.metadata) == (0, {"k": "v"})


def test_a_vocabulary_longer_than_the_window_is_stepped_over(tmp_path):
    words = ["x" * (i % 97) for i in range(60_000)]  # 3.4 MB
    made = Gguf().field("tokens", ARRAY, (STRING, words)).field("after", UINT32, 7)
    made.field("scores", ARRAY, (6, [1.0] * 300_000)).tensor("w", (1,), F32, struct.pack("f", 2.5))
    with open_checkpoint(write(tmp_path, made)) as store:
        assert store.metadata["after"] == "7"
        assert store.fields["tokens"].value == "60000 × STRING"
        assert store.read("w").tolist() == [[2.5]]


def good():
    return Gguf().field("k", STRING, "v").tensor("w", (32, 2), MXFP4, bytes(34))


def lie(**attributes):
    made = good()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def text(value):
    return struct.pack("<Q", len(value)) + value


def test_the_good_file_is_good(tmp_path):
    with open_checkpoint(write(tmp_path, good())) as store:
        assert store.read("w").shape == (2, 17)


LIES = {
    "version 1": (lie(version=1), "version 1; mxref reads versions 2 and 3; convert it"),
    "version 4": (lie(version=4), "is GGUF of version 4; .*is there a newer mxref"),
    "2^63 tensors": (lie(n_tensors=BIG), f"a header of {BIG} tensors takes .* has only"),
    "2^64 - 1 keys": (lie(n_fields=2**64 - 1), "takes 23980.* bytes .* truncated"),
    "more tensors than there are": (lie(n_tensors=3), "the file has only|has type|no UTF-8"),
    "more keys than there are": (lie(n_fields=2), "has type|UTF-8|the file has only"),
    "a key of 2^63 bytes": (
        Gguf().raw_field(struct.pack("<Q", BIG) + bytes(60)),
        f"key 0 takes {BIG} bytes from byte 32 on, and the file has only",
    ),
    "a string of 2^63 bytes": (
        Gguf().raw_field(text(b"k") + struct.pack("<IQ", STRING, BIG) + bytes(40)),
        f"the value of 'k' takes {BIG} bytes",
    ),
    "an array of 2^61 strings": (
        Gguf().raw_field(text(b"k") + struct.pack("<IIQ", ARRAY, STRING, 2**61) + bytes(40)),
        f"the value of 'k' takes {2**64} bytes",
    ),
    "an array of 2^63 numbers": (
        Gguf().raw_field(text(b"k") + struct.pack("<IIQ", ARRAY, 12, BIG) + bytes(40)),
        f"the value of 'k' takes {8 * BIG} bytes",
    ),
    "a string of an array beyond the file": (
        Gguf().raw_field(text(b"k") + struct.pack("<IIQQ", ARRAY, STRING, 2, BIG) + bytes(40)),
        "the value of 'k' takes 9223372036854775816 bytes",
    ),
    "arrays in arrays without end": (
        Gguf().raw_field(text(b"k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 90),
        "the value of 'k' is arrays in arrays, more than 8 deep",
    ),
    "arrays in arrays by the billion": (
        Gguf().raw_field(text(b"k") + struct.pack("<IIQ", 9, 9, 10**9) + bytes(999)),
        "the value of 'k' is arrays in arrays, more than 65536 of them",
    ),
    "a value of type 13": (
        Gguf().raw_field(text(b"k") + struct.pack("<II", 13, 0) + bytes(9)),
        "the value of 'k' has type 13; GGUF has 0 to 12",
    ),
    "a key twice": (
        Gguf().field("k", UINT32, 1).field("k", UINT32, 2),
        "has the key 'k' twice",
    ),
    "a key that is no UTF-8": (
        Gguf().raw_field(text(b"\xff\xfe") + struct.pack("<IB", 0, 1)),
        "key 0 is no UTF-8",
    ),
    "alignment 0": (good().field("general.alignment", UINT32, 0), "general.alignment is 0"),
    "alignment 48": (good().field("general.alignment", UINT32, 48), "expected a power of two"),
    "alignment as text": (good().field("general.alignment", STRING, "32"), r"is 32 \(STRING\)"),
    "a tensor twice": (good().tensor("w", (1,), F32, bytes(4)), "has two tensors named 'w'"),
    "five dimensions": (
        Gguf().tensor("w", (1,) * 5, F32, bytes(4)),
        "tensor 'w' has 5 dimensions; GGUF has at most 4",
    ),
    "2^32 - 1 dimensions": (
        lie(tensors=[text(b"w") + struct.pack("<I", 2**32 - 1) + bytes(40)]),
        "has 4294967295 dimensions",
    ),
    "a dimension of 2^63": (Gguf().tensor("w", (BIG,), F32, bytes(4)), "more than 2.63 elements"),
    "dimensions whose product wraps to 0": (
        Gguf().tensor("w", (2**32, 2**32), 24, bytes(4)),
        "more than 2.63 elements",
    ),
    "bytes that wrap": (Gguf().tensor("w", (2**62, 1), F32, bytes(4)), "more than 2.63 elements"),
    "a row that is no whole number of blocks": (
        Gguf().tensor("w", (48, 2), MXFP4, bytes(51)),
        "tensor 'w': rows of 48 elements are no whole number of MXFP4 blocks of 32",
    ),
    "an offset that is not aligned": (
        Gguf().tensor("w", (1,), F32, bytes(8), offset=4),
        "its offset 4 is no multiple of 32",
    ),
    "an offset beyond the file": (
        Gguf().tensor("w", (1,), F32, bytes(4), offset=2**40),
        "tensor 'w' ends at byte 1099511627844 of a file of 68",
    ),
    "an offset of 2^64 - 32": (
        Gguf().tensor("w", (1,), F32, bytes(4), offset=2**64 - 32),
        "tensor 'w' ends at byte 18446744073709551652 of a file",
    ),
    "overlapping tensors": (
        Gguf().tensor("a", (64,), 24, bytes(64)).tensor("b", (4,), 24, bytes(4), offset=32),
        "tensor 'b' overlaps tensor 'a': it begins at byte 32 of the data, and .* ends at 64",
    ),
    "the same place twice": (
        Gguf().tensor("a", (4,), 24, bytes(4)).tensor("b", (4,), 24, bytes(4), offset=0),
        "overlaps",
    ),
    "an unknown type beyond the file": (
        Gguf().tensor("w", (1,), 99, bytes(4), offset=2**40),
        "tensor 'w' ends at byte",
    ),
    "more bytes than the file has": (
        Gguf().tensor("w", (2**40,), F32, bytes(4)),
        "ends at byte 4398046511168 of a file of 68: truncated, or its header lies",
    ),
}


@pytest.mark.parametrize("what", LIES)
def test_a_lie_is_refused_with_its_reason(tmp_path, what):
    made, reason = LIES[what]
    path = write(tmp_path, made)
    with pytest.raises(CheckpointError, match=reason) as refused:
        open_checkpoint(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert len(str(refused.value)) < 500


def test_every_truncation_is_refused(tmp_path):
    whole = good().bytes()
    for length in range(4, len(whole)):
        path = write(tmp_path, whole[:length])
        with pytest.raises(CheckpointError, match=r"w\.gguf: .*(truncated|fetch it again)"):
            open_checkpoint(path)


@pytest.mark.parametrize("n_fields", [2**16 + 1, 10**6])
def test_more_keys_than_anybody_writes(tmp_path, n_fields):
    path = write(tmp_path, lie(n_fields=n_fields).bytes() + bytes(13 * n_fields))
    with pytest.raises(CheckpointError, match=f"claims {n_fields} keys; at most 65536"):
        open_checkpoint(path)


def test_a_header_without_end_is_refused_before_it_is_read(tmp_path):
    """A sparse file of 1 TB in which every string is empty would take an hour to step through."""
    made = Gguf().raw_field(text(b"k") + struct.pack("<IIQ", ARRAY, STRING, 10**11))
    path = write(tmp_path, made)
    with path.open("r+b") as file:
        file.truncate(10**12)
    with pytest.raises(CheckpointError, match="its header is longer than 100000000 bytes"):
        open_checkpoint(path)
