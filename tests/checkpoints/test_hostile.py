"""Files that lie, are damaged, or are no files: each refused with name, reason and remedy."""

import os

import numpy as np
import pytest
from made_files import Gguf, entry, safetensors
from safetensors.numpy import save

from mxref.checkpoints import CheckpointError, open_checkpoint

FETCH, ANEW = "fetch it again", "write it anew"
BIG = 2**63


def one(dtype="F32", shape=(2,), begin=0, end=8, **more):
    return safetensors({"w": entry(dtype, list(shape), begin, end, **more)}, bytes(8))


def two(first, second, size=16):
    header = {"a": entry("U8", [first[1] - first[0]], *first)}
    header["b"] = entry("U8", [second[1] - second[0]], *second)
    return safetensors(header, bytes(size))


# The list of bad input, as far as it is about reading safetensors, and more of its kind.
LIES = {
    # truncated
    "an empty file": (b"", "is empty", FETCH),
    "seven bytes": (b"\x10" + bytes(6), "has 7 bytes; a safetensors file begins with 8", FETCH),
    "cut in its header": (
        one()[:40],
        "truncated in its header: that claims 61 bytes, and the file has 32",
        FETCH,
    ),
    "cut in its data": (
        one()[:-3],
        "truncated: its header describes 77 bytes, the file has 74, 3 are missing",
        FETCH,
    ),
    # sizes beyond the file
    "a header beyond the file": (
        safetensors("{}", length=5000),
        "that claims 5000 bytes, and the file has 2 after the length",
        FETCH,
    ),
    "a header of 2^63 bytes": (
        safetensors("{}", length=BIG),
        f"claim a header of {BIG} bytes; at most 100000000 are allowed, and the file has 10",
        "no safetensors file, or a damaged one",
    ),
    "a header of 100000001 bytes": (
        safetensors("{}", length=100_000_001),
        "claim a header of 100000001 bytes",
        "no safetensors file, or a damaged one",
    ),
    "a header of no bytes": (
        safetensors("", length=0) + b"{",
        "its header must begin with '{'",
        "no safetensors file, or a damaged one",
    ),
    "a tensor beyond the file": (
        one(shape=[2**40], end=2**42),
        "truncated: its header describes 43980465111",
        FETCH,
    ),
    "bytes that belong to nobody": (
        one() + b"payload",
        "has 7 bytes after the end of tensor 'w' that belong to no tensor",
        ANEW,
    ),
    # overlapping offsets
    "overlapping tensors": (
        two((0, 10), (8, 16)),
        "tensor 'b' overlaps tensor 'a': it begins at byte 8 of the data, expected 10",
        ANEW,
    ),
    "the same place twice": (two((0, 16), (0, 16)), "overlaps tensor", ANEW),
    "a hole": (
        two((0, 8), (12, 16)),
        "tensor 'b' leaves a hole after tensor 'a': it begins at byte 12 of the data, expected 8",
        ANEW,
    ),
    "a hole at the beginning": (
        one(shape=[1], begin=4),
        "tensor 'w' leaves a hole after the header",
        ANEW,
    ),
    "offsets the wrong way round": (
        one(begin=8, end=0),
        "tensor 'w': its data_offsets are [8, 0]: they end before they begin",
        ANEW,
    ),
    "three offsets": (
        safetensors('{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4,8]}}', bytes(8)),
        "tensor 'w': its data_offsets are [0, 4, 8]; expected [begin, end]",
        ANEW,
    ),
    # absurd shapes
    "a shape of other size": (
        one(shape=[3]),
        "data_offsets [0, 8] hold 8 bytes, but F32 of shape [3] takes 12",
        ANEW,
    ),
    "a negative length": (
        one(shape=[-2]),
        "tensor 'w': its shape is [-2]; expected a list of integers from 0",
        ANEW,
    ),
    "a broken length": (one(shape=[2.0]), "its shape is [2.0]; expected", ANEW),
    "a length that is a truth": (one(shape=[True, 2]), "its shape is [True, 2]; expected", ANEW),
    "no shape at all": (one(shape=[None]), "its shape is [None]; expected", ANEW),
    "half a million dimensions": (
        one(shape=[2**63] * 40_000),
        "has more than 2^64 bits",
        ANEW,
    ),
    # 2^63 lengths
    "a length of 2^63": (
        one(shape=[BIG]),
        "F32 of shape [9223372036854775808] has more than",
        ANEW,
    ),
    "lengths whose bytes wrap to 8": (one(shape=[2**62 + 2]), "has more than 2^64 bits", ANEW),
    "lengths whose product wraps to 0": (
        one(shape=[2**32, 2**32], end=0)[:-8],
        "has more than 2^64 bits",
        ANEW,
    ),
    "an offset of 2^64": (one(end=2**64), "its data_offsets are [0, 18446744073709551616]", ANEW),
    "an offset of 2^64 - 1": (one(end=2**64 - 1), "hold 18446744073709551615 bytes, but F32", ANEW),
    "a number of 5000 digits": (
        safetensors('{"w":{"dtype":"F32","shape":[%s],"data_offsets":[0,8]}}' % ("9" * 5000)),
        "out of range",
        ANEW,
    ),
    # dtype surprises
    "a type that nobody knows": (one(dtype="F7"), "its dtype is 'F7'; safetensors has BF16,", ANEW),
    "a type in lower case": (one(dtype="f32"), "its dtype is 'f32'", ANEW),
    "a type that is a list": (one(dtype=["F32"]), "its dtype is ['F32']", ANEW),
    "half a byte left over": (
        one(dtype="F4", shape=[3, 5]),
        "F4 of shape [3, 5] is no whole number of bytes",
        ANEW,
    ),
    # names that collide
    "a name twice": (
        safetensors('{"w":%s,"w":%s}' % (('{"dtype":"U8","shape":[0],"data_offsets":[0,0]}',) * 2)),
        "its header cannot be read: it has the key 'w' twice",
        ANEW,
    ),
    "a name twice, once escaped": (
        safetensors(
            '{"w":%s,"\\u0077":%s}' % (('{"dtype":"U8","shape":[0],"data_offsets":[0,0]}',) * 2)
        ),
        "it has the key 'w' twice",
        ANEW,
    ),
    # hostile headers
    "no JSON": (safetensors("{nonsense}"), "its header cannot be read: 'n' instead of '\"'", ANEW),
    "no object": (safetensors("[]"), "must begin with '{' and begins with b'[]'", "damaged one"),
    "a null": (
        safetensors('{"w":null}'),
        "tensor 'w': its entry is None; expected an object",
        ANEW,
    ),
    "an entry without a shape": (
        safetensors('{"w":{"dtype":"F32","data_offsets":[0,8]}}', bytes(8)),
        "tensor 'w': its entry lacks shape",
        ANEW,
    ),
    "metadata that are no text": (
        safetensors('{"__metadata__":{"k":{"nested":1}}}'),
        "the value of 'k' in __metadata__ is no string",
        ANEW,
    ),
    "lists in lists without end": (
        safetensors('{"w":' + "[" * 200_000),
        "lists within lists without end",
        ANEW,
    ),
    "objects in objects without end": (safetensors('{"a":' * 200_000), "lists within lists", ANEW),
    "an entry of 2 MiB": (
        one(x="x" * (2 << 20)),
        "a value that may have 1 MiB at most",
        ANEW,
    ),
    "no UTF-8": (safetensors(b'{"\xff":1}'), "its header is no UTF-8 (byte 0xff at 2)", ANEW),
    "half of a surrogate pair": (safetensors('{"\\ud800":1}'), "half of a surrogate pair", ANEW),
    "a name of a million characters": (
        safetensors('{"%s":1}' % ("n" * 10**6)),
        "... (1000000 characters): its entry is 1",
        ANEW,
    ),
    # files of other kinds under this name
    "a pickle": (b"\x80\x02}q\x00" + bytes(20), "is a Python pickle", "convert it to safetensors"),
    "a zip": (b"PK\x03\x04" + bytes(40), "pickled by torch.save", "convert it to safetensors"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "is an HDF5 file", "convert it to safetensors"),
    "a .npy": (b"\x93NUMPY" + bytes(40), "is a .npy array", "convert it to safetensors"),
    "GGML of old": (b"tjgg" + bytes(40), "from before GGUF", "convert it"),
    "a pointer of Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "is a pointer of Git LFS",
        "git lfs pull",
    ),
    "a web page": (b"<!DOCTYPE html><html>404", "is a web page", "fetch it again"),
    "noise": (
        bytes(range(1, 200)),
        "first 8 bytes claim a header of 578437695752307201 bytes",
        "is no safetensors file",
    ),
}


@pytest.mark.parametrize("what", LIES)
def test_a_lie_is_refused_with_name_reason_and_remedy(tmp_path, what):
    data, reason, remedy = LIES[what]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as refused:
        open_checkpoint(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert reason in message
    assert remedy in message
    assert len(message) < 700
    assert "\n" not in message
    assert refused.value.__cause__ is None


def test_every_truncation_is_called_that(tmp_path):
    path = tmp_path / "cut.safetensors"
    whole = one()
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"(truncated|has \d bytes; a safetensors)"):
            open_checkpoint(path)


def test_a_nul_in_a_name_is_a_name(tmp_path):
    path = tmp_path / "nul.safetensors"
    path.write_bytes(
        safetensors('{"a\\u0000b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x")
    )
    with open_checkpoint(path) as store:
        assert store.read("a\0b").tolist() == [[ord("x")]]
        with pytest.raises(CheckpointError, match=r"'a\\x00b': has 1 rows"):
            store.read("a\0b", 0, 2)


@pytest.mark.parametrize("name", ["x.safetensors", "x.gguf", "x.json", "x"])
def test_contents_decide_and_not_the_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(save({"w": np.ones((1, 2), np.float32)}))
    assert open_checkpoint(path).read("w").tolist() == [[1, 1]]
    path.write_bytes(Gguf().tensor("v", (2,), 0, bytes(8)).bytes())
    assert open_checkpoint(path).read("v").tolist() == [[0, 0]]
    path.write_text('{"weight_map": {}}')
    assert open_checkpoint(path).tensors == {}


@pytest.mark.parametrize("length", [0x09, 0x0A, 0x0D, 0x20, ord("{"), 0x80, 0x2020, 0x7B20])
def test_a_length_that_looks_like_text(tmp_path, length):
    """The length is the first byte of the file: 123 is a brace, 32 a space."""
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors("{" + " " * (length - 2) + "}"))
    assert open_checkpoint(path).tensors == {}


# --- things that are no files ------------------------------------------------------------------


def refusal(path):
    with pytest.raises(CheckpointError) as refused:
        open_checkpoint(path)
    return str(refused.value)


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "pipe: is a pipe, socket or device; save it as a file first" in refusal(
        tmp_path / "pipe"
    )


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_devices(path):
    assert f"{path}: is a pipe, socket or device" in refusal(path)


def test_nothing_there(tmp_path):
    assert refusal(tmp_path / "none") == f"{tmp_path}/none: no such file"
    (tmp_path / "link").symlink_to("none")
    assert "link: is a link to a file that does not exist" in refusal(tmp_path / "link")
    (tmp_path / "loop").symlink_to("loop")
    assert "loop: cannot be read: Too many levels of symbolic links" in refusal(tmp_path / "loop")
    assert "cannot be read" in refusal("a\0b")
    assert "cannot be read: File name too long" in refusal("n" * 300)
    (tmp_path / "file").write_text("")
    assert "cannot be read: Not a directory" in refusal(tmp_path / "file" / "x")


def test_a_folder_that_is_called_like_a_file(tmp_path):
    (tmp_path / "w.safetensors").mkdir()
    assert "w.safetensors: is a folder where a file was expected" in refusal(tmp_path)
    assert "w.safetensors: holds no .safetensors" in refusal(tmp_path / "w.safetensors")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(save({}))
    path.chmod(0)
    assert "w.safetensors: cannot be read: Permission denied" in refusal(path)


def test_no_more_open_files(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(24, "Too many open files")

    path = tmp_path / "w.safetensors"
    path.write_bytes(save({}))
    monkeypatch.setattr(os, "open", refuse)
    assert (
        "w.safetensors: cannot be read: Too many open files; raise the limit (ulimit -n)"
        in refusal(path)
    )
