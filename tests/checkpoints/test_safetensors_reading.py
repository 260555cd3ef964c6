"""Reading .safetensors: every type, every run of rows, buffers, threads."""

import threading

import ml_dtypes
import numpy as np
import pytest
from made_files import entry, safetensors
from safetensors.numpy import save

from mxref.checkpoints import CheckpointError, open_checkpoint
from mxref.checkpoints._dtypes import SAFETENSORS_BITS

NUMPY = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "C64": np.complex64,
    "BOOL": np.uint8,
}


def write(folder, data, name="w.safetensors"):
    path = folder / name
    path.write_bytes(data)
    return path


def all_bytes(count):
    return bytes((i * 37 + i // 256) % 256 for i in range(count))


@pytest.mark.parametrize("dtype", sorted(SAFETENSORS_BITS))
def test_every_type_is_read_by_rows_as_it_lies(tmp_path, dtype):
    row = 8 * SAFETENSORS_BITS[dtype] // 8
    data = all_bytes(6 * row)
    path = write(tmp_path, safetensors({"w": entry(dtype, [2, 3, 8], 0, len(data))}, data))
    stored = np.dtype(NUMPY.get(dtype, np.uint8))
    with open_checkpoint(path) as store:
        info = store.tensors["w"]
        assert (info.dtype, info.shape, info.nbytes) == (dtype, (2, 3, 8), len(data))
        assert path.read_bytes()[info.offset : info.offset + info.nbytes] == data
        whole = store.read("w")
        assert whole.dtype == stored
        assert whole.shape == (6, row // stored.itemsize)
        assert whole.tobytes() == data
        for start, stop in ((0, 0), (0, 1), (1, 4), (5, 6), (6, 6)):
            piece = store.read("w", start, stop)
            assert piece.shape == (stop - start, whole.shape[1])
            assert piece.tobytes() == data[start * row : stop * row]
        assert store.read_bytes("w", 1, 5).tobytes() == data[1:5]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [([], (1, 1)), ([5], (1, 5)), ([0], (1, 0)), ([0, 3], (0, 3)), ([3, 0], (3, 0))],
)
def test_few_dimensions_and_none(tmp_path, shape, expected):
    size = 4 * int(np.prod(shape))
    path = write(tmp_path, safetensors({"w": entry("F32", shape, 0, size)}, all_bytes(size)))
    with open_checkpoint(path) as store:
        assert store.read("w").shape == expected
        assert store.read("w").tobytes() == all_bytes(size)


@pytest.mark.parametrize(
    ("shape", "numpy_has_it"),
    [([0] * 99, True), ([0, 5], True), ([0, 2**61], False), ([2**62, 0], False)],
)
def test_nothing_of_a_length_that_numpy_has_not(tmp_path, shape, numpy_has_it):
    """Found by fuzzing: numpy refuses some arrays without elements."""
    path = write(tmp_path, safetensors({"w": entry("F32", shape, 0, 0)}))
    with open_checkpoint(path) as store:
        assert store.read_bytes("w").size == 0
        if numpy_has_it:
            assert store.read("w").size == 0
            return
        with pytest.raises(CheckpointError, match="tensor 'w': no memory for"):
            store.read("w")


def test_more_rows_than_memory(tmp_path, monkeypatch):
    def refuse(*_):
        raise MemoryError

    with open_checkpoint(write(tmp_path, save({"w": np.zeros((4, 2), np.float32)}))) as store:
        monkeypatch.setattr(np, "empty", refuse)
        with pytest.raises(CheckpointError, match=r"'w': no memory for 3 rows, 24 .*; read fewer"):
            store.read("w", 1)


def test_nan_bits_arrive_as_they_are(tmp_path):
    codes = np.array([[0x7FC00000, 0x7F800001, 0xFFFFFFFF, 0x7F800000, 0x80000000]], np.uint32)
    path = write(tmp_path, safetensors({"w": entry("F32", [1, 5], 0, 20)}, codes.tobytes()))
    with open_checkpoint(path) as store:
        assert np.array_equal(store.read("w").view(np.uint32), codes)


def test_a_buffer_is_filled_and_returned(tmp_path):
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    path = write(tmp_path, save({"w": x}))
    with open_checkpoint(path) as store:
        buffer = np.full(100, 7, np.uint8)
        y = store.read("w", 1, 3, out=buffer)
        assert np.shares_memory(y, buffer)
        assert np.array_equal(y, x[1:3])
        assert (buffer[24:] == 7).all()
        same = np.empty((2, 3), np.float32)
        assert store.read("w", 1, 3, out=same) is same
        assert store.read_bytes("w", 0, 4, out=buffer).tobytes() == x.tobytes()[:4]
        for wrong in (np.empty(23, np.uint8), np.empty((2, 3)), np.empty(200, np.uint8)[::2]):
            with pytest.raises(
                CheckpointError, match=r"tensor 'w': out has type .* expected float32"
            ):
                store.read("w", 1, 3, out=wrong)


def test_a_row_of_half_bytes_is_refused_and_its_bytes_are_not(tmp_path):
    path = write(tmp_path, safetensors({"w": entry("F4", [2, 5], 0, 5)}, all_bytes(5)))
    with open_checkpoint(path) as store:
        with pytest.raises(CheckpointError, match="a row of 5 × F4 is no whole number of bytes"):
            store.read("w")
        assert store.read_bytes("w").tobytes() == all_bytes(5)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (2, 1), (0, 5), (5, 5)])
def test_rows_that_are_not_there(tmp_path, start, stop):
    path = write(tmp_path, save({"w": np.zeros((4, 2), np.float32)}))
    with open_checkpoint(path) as store:
        with pytest.raises(CheckpointError, match=f"'w': has 4 rows; asked for {start} to {stop}"):
            store.read("w", start, stop)
        with pytest.raises(CheckpointError, match="holds no tensor 'v'; it holds 1 others"):
            store.read("v")


def test_order_is_that_of_the_data_and_metadata_are_kept(tmp_path):
    header = {
        "b": entry("U8", [2], 1, 3),
        "__metadata__": {"format": "pt", "é": "\U0001f600"},
        "a": entry("U8", [1], 0, 1),
        "empty": entry("U8", [0], 1, 1),
    }
    with open_checkpoint(write(tmp_path, safetensors(header, b"abc"))) as store:
        assert list(store.tensors) == ["a", "empty", "b"]
        assert store.metadata == {"format": "pt", "é": "\U0001f600"}
        assert store.files == (tmp_path / "w.safetensors",)


def test_many_threads_read_at_once(tmp_path):
    x = np.arange(64 * 1000, dtype=np.float32).reshape(64, 1000)
    wrong = []
    with open_checkpoint(write(tmp_path, save({"w": x}))) as store:

        def work(seed):
            rng = np.random.default_rng(seed)
            for _ in range(200):
                i = int(rng.integers(64))
                if not np.array_equal(store.read("w", i, i + 1)[0], x[i]):
                    wrong.append(i)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
