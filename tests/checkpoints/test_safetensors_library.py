"""Reading .safetensors: what the package `safetensors` refuses we refuse, with exceptions named."""

import json
import struct

import numpy as np
import pytest
import safetensors as library
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made_files import entry, safetensors
from safetensors.numpy import save

from mxref.checkpoints import CheckpointError
from mxref.checkpoints._dtypes import SAFETENSORS_BITS
from mxref.checkpoints.safetensors_file import SafetensorsFile


def write(folder, data):
    path = folder / "w.safetensors"
    path.write_bytes(data)
    return path


def all_bytes(count):
    return bytes((i * 37 + i // 256) % 256 for i in range(count))


def test_types_are_those_of_the_library():
    """A type that the library learns is refused here until somebody adds it."""
    for dtype, bits in SAFETENSORS_BITS.items():
        size = 8 * bits // 8
        (name, found), *_ = library.deserialize(
            safetensors({"w": entry(dtype, [8], 0, size)}, bytes(size))
        )
        assert (name, found["dtype"], len(found["data"])) == ("w", dtype, size)
    with pytest.raises(library.SafetensorError, match="unknown variant") as refused:
        library.deserialize(safetensors({"w": entry("F7", [8], 0, 8)}, bytes(8)))
    named = str(refused.value).split("expected one of ")[1].split(" at line")[0]
    assert {word.strip("`") for word in named.split(", ")} == set(SAFETENSORS_BITS)


# What the library opens and we do not, each for a reason: the format's description forbids it
# (duplicate keys, an entry that is a list, text before the brace), or nothing writes it.
OURS_ALONE = (
    "the key",
    "expected an object with",
    "must begin with '{'",
    "its dtype is {",
)


def opinions(path, data):
    """(what the library finds, what we find); a string is a refusal."""
    try:
        theirs = dict(library.deserialize(data))
    except library.SafetensorError as error:
        theirs = str(error)
    path.write_bytes(data)
    try:
        with SafetensorsFile(path) as store:
            ours = {
                name: (info.dtype, list(info.shape), store.read_bytes(name).tobytes())
                for name, info in store.tensors.items()
            }
    except CheckpointError as error:
        ours = str(error)
        assert str(path) in ours
    return theirs, ours


def agree(path, data):
    theirs, ours = opinions(path, data)
    if isinstance(ours, str):
        assert isinstance(theirs, str) or any(reason in ours for reason in OURS_ALONE), (data, ours)
        return
    assert not isinstance(theirs, str), (data, theirs)
    expected = {
        name: (found["dtype"], found["shape"], bytes(found["data"]))
        for name, found in theirs.items()
    }
    assert ours == expected


numbers = st.one_of(
    st.integers(-1, 20),
    st.sampled_from([2**31, 2**32, 2**61, 2**62, 2**63, 2**64 - 1, 2**64, 10**400, True, 1.0, 1e9]),
)
dtypes = st.sampled_from([*SAFETENSORS_BITS, "F8", "f32", ""])
odd = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=3), st.just(float("nan"))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner)
    ),
    max_leaves=6,
)


@st.composite
def headers(draw):
    """Headers that are nearly right: offsets follow one another but for a lie here and there."""
    header, at = {}, 0
    for name in draw(st.lists(st.text(max_size=4), max_size=4)):
        dtype = draw(dtypes)
        shape = draw(st.lists(st.integers(0, 5), max_size=3))
        size = int(np.prod(shape)) * SAFETENSORS_BITS.get(dtype, 8) // 8
        header[name] = entry(dtype, shape, at, at + size)
        at += size
    if draw(st.booleans()):
        header["__metadata__"] = draw(
            st.one_of(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2), odd)
        )
    for _ in range(draw(st.integers(0, 2))):  # the lies
        if not header:
            break
        name = draw(st.sampled_from(sorted(header)))
        victim = header[name]
        match draw(st.integers(0, 4)):
            case 0:
                header[name] = draw(odd)
            case 1 if isinstance(victim, dict):
                victim[draw(st.sampled_from(["dtype", "shape", "data_offsets", "x"]))] = draw(odd)
            case 2 if isinstance(victim, dict) and isinstance(victim.get("shape"), list):
                victim["shape"] = draw(st.lists(numbers, max_size=3))
            case 3 if isinstance(victim, dict) and "data_offsets" in victim:
                victim["data_offsets"] = draw(st.lists(numbers, min_size=2, max_size=2))
            case _:
                header.pop(name)
    return header, at


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(headers(), st.integers(-2, 2), st.sampled_from(["", " ", "\n", "\0"]))
@example(({"a": entry("F32", [2**62 + 2], 0, 8)}, 8), 0, "")
@example(({"a": entry("F32", [2**63, 2, 0], 0, 0)}, 0), 0, "")
@example(({"a": entry("F4", [3, 5], 0, 8)}, 8), 0, "")
@example(({"a": entry("U8", [0], 2, 2), "b": entry("U8", [4], 0, 4)}, 4), 0, "")
def test_made_headers_as_the_library_judges_them(tmp_path, made, longer, padding):
    header, size = made
    text = json.dumps(header, ensure_ascii=False).encode(errors="surrogatepass")
    data = safetensors(text + padding.encode(), all_bytes(max(size + longer, 0)))
    agree(tmp_path / "w.safetensors", data)


GOOD = save(
    {
        "layer.0.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "layer.0.bias": np.arange(3, dtype=np.int64),
        "é": np.zeros((0, 4), np.uint8),
    },
    {"format": "np"},
)


@settings(
    max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_mutated_files_as_the_library_judges_them(tmp_path, data):
    raw = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.integers(0, 3)):
            case 0:
                raw[at] = data.draw(st.integers(0, 255))
            case 1:
                del raw[at : at + data.draw(st.integers(1, 8))]
            case 2:
                raw[at:at] = data.draw(st.binary(min_size=1, max_size=4))
            case _:
                token = data.draw(
                    st.sampled_from([b"9", b"0", b"-", b"\\ud800", b'"', b"[", b"1e5"])
                )
                raw[at : at + len(token)] = token
        if not raw:
            break
    if data.draw(st.booleans()) and len(raw) > 8:  # let the length be right again
        header = raw[8:].rfind(b"}") - 7
        raw[:8] = struct.pack("<Q", max(header, 0))
    agree(tmp_path / "w.safetensors", bytes(raw))


@pytest.mark.parametrize(
    "extra",
    [
        "[" * 125 + "]" * 125,
        "[" * 126 + "]" * 126,
        "[" * 100_000,
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        "NaN",
        "-Infinity",
        "1e400",
        "9" * 308,
        "9" * 309,
        "9" * 5000,
        "-0",
        "01",
        "1.",
        "+1",
        "\u0661",
        "nul",
        '"\x1f"',
        '"\x7f"',
        '"\\x"',
        '"\\u+123"',
    ],
)
def test_json_is_as_strict_as_the_library(tmp_path, extra):
    whole = f'{{"a":{{"dtype":"U8","shape":[2],"data_offsets":[0,2],"x":{extra}}}}}'
    agree(tmp_path / "w.safetensors", safetensors(whole, b"ab"))


@pytest.mark.parametrize(
    "header",
    [
        '{"a":{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}}',
        '{"a":{"dtype":"U8","shape":[0],"data_offsets":[-0,0]}}',
        '{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
        '{"a":{"d\\u0074ype":"U8","shape":[0],"data_offsets":[0,0]}}',
        '{"a":{"d\\u0074ype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
        '{"__metadata__":null}',
        '{"__metadata__":{}}  \n\t\r',
        '{"__metadata__":{},"__metadata__":{}}',
        '{"__metadata__":[]}',
        '{"__metadata__":{"k":null}}',
        "{,}",
        '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},}',
        "{}}",
    ],
)
def test_headers_without_data_as_the_library_judges_them(tmp_path, header):
    agree(tmp_path / "w.safetensors", safetensors(header))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ('{"a":%s,"a":%s}', "it has the key 'a' twice"),
        (' {"a":%s}%.0s', "its header must begin with '{' and begins with b' {"),
        ('{"a":["U8",[2],[0,2]]}%.0s%.0s', "expected an object with dtype, shape, data_offsets"),
        ('{"__metadata__":{"k":"1","k":"2"},"a":%s}%.0s', "it has the key 'k' twice"),
    ],
)
def test_what_the_format_forbids_and_the_library_opens(tmp_path, header, reason):
    one = '{"dtype":"U8","shape":[2],"data_offsets":[0,2]}'
    data = safetensors(header % (one, one), b"ab")
    library.deserialize(data)  # the day it refuses, this exception goes
    with pytest.raises(CheckpointError, match=r"w\.safetensors") as refused:
        SafetensorsFile(write(tmp_path, data))
    assert reason in str(refused.value)
