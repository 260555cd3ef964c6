"""Some thousand hostile files a run, by hypothesis; tests/fuzz/ tries millions, by coverage."""

import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_files import ARRAY, STRING, Gguf, entry, safetensors

from mxref.checkpoints import CheckpointError, open_checkpoint

CHECKS = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def refusal_of(action):
    """Return what an action refuses with, or nothing."""
    try:
        action()
    except CheckpointError as error:
        return str(error)
    return None


def promise(path, data):
    """Opened and read to the last byte, or refused by an error that names the file."""
    path.write_bytes(data)
    stores = []
    refused = refusal_of(lambda: stores.append(open_checkpoint(path)))
    if refused is not None:
        assert str(path) in refused
        assert len(refused) < 2000
        return
    with stores[0] as store:
        for name, info in store.tensors.items():
            assert 0 <= info.offset <= info.offset + info.nbytes <= len(data)
            raw = store.read_bytes(name).tobytes()
            assert raw == data[info.offset : info.offset + info.nbytes]
            read = []
            refused = refusal_of(lambda: read.append(store.read(name)))  # noqa: B023  # at once
            if refused is not None:
                assert "unknown to mxref" in refused or "no memory" in refused
            elif info.byte_order == "little":
                assert read[0].tobytes() == raw


def gguf(order):
    made = Gguf(order).field("general.alignment", 4, 8).field("name", STRING, "m")
    made.field("tokens", ARRAY, (STRING, ["a", "bc"])).field("n", ARRAY, (4, [1, 2, 3]))
    made.tensor("w", (32, 2), 39, bytes(range(34))).tensor("x", (3, 1), 1, bytes(6))
    return made.tensor("odd", (3,), 77, bytes(3)).bytes()


FILES = [
    safetensors({"a": entry("F32", [1, 2], 0, 8), "b": entry("F4", [2], 8, 9)}, bytes(range(9))),
    gguf("<"),
    gguf(">"),
    b'{"weight_map": {"a": "a.safetensors"}, "metadata": {"total_size": 8}}',
]
WORDS = [0, 1, 2, 8, 9, 13, 2**31, 2**32 - 1, 2**40, 2**61, 2**63, 2**64 - 32, 2**64 - 1]


@CHECKS
@given(st.binary(max_size=200), st.sampled_from([b"", b"GGUF", b"GGUF\3\0\0\0", b"{"]))
def test_any_bytes(tmp_path, data, magic):
    promise(tmp_path / "x", magic + data)


@CHECKS
@given(st.text(alphabet='{}[]":,\\u0aF1. 9-en', max_size=80), st.binary(max_size=9))
def test_any_text_as_a_header(tmp_path, text, data):
    promise(tmp_path / "x", safetensors("{" + text, data))
    promise(tmp_path / "x", ('{"weight_map":' + text).encode())


@CHECKS
@given(st.sampled_from(FILES), st.data())
def test_good_files_with_numbers_changed(tmp_path, good, data):
    changed = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        code = data.draw(st.sampled_from(["<B", "<I", "<Q", ">I", ">Q"]))
        number = data.draw(st.sampled_from(WORDS)) % 2 ** (8 * struct.calcsize(code))
        raw = struct.pack(code, number)[: len(changed) - at]
        changed[at : at + len(raw)] = raw
    if data.draw(st.booleans()):
        changed = changed[: data.draw(st.integers(0, len(changed)))]
    promise(tmp_path / "x", bytes(changed))
