"""Files that change, are closed or fail while they are read, and headers made to take memory."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from made_files import safetensors
from safetensors.numpy import save

from mxref.checkpoints import CheckpointError, open_checkpoint


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(save({"w": np.ones((1000, 100), np.float32)}))
    os.utime(path, ns=(1, 1))
    return path


def test_a_file_that_is_cut_while_it_is_open(path):
    with open_checkpoint(path) as store:
        store.read("w", 999, 1000)
        os.truncate(path, 5000)
        for rows in ((999, 1000), (0, 1)):  # what is gone, and what is still there
            with pytest.raises(CheckpointError) as refused:
                store.read("w", *rows)
            assert f"{path}: changed while it was read: it had 400" in str(refused.value)
            assert "has 5000 now; start again when nothing writes to it" in str(refused.value)


def test_a_file_that_is_written_while_it_is_open(path):
    with open_checkpoint(path) as store:
        store.read("w")
        with path.open("r+b") as file:
            file.seek(-4, 2)
            file.write(b"\0\0\0\0")
        with pytest.raises(CheckpointError, match=r"changed while it was read: .*, written since;"):
            store.read("w", 0, 1)


def test_a_file_that_is_replaced_is_read_on(path, tmp_path):
    """A rename over it leaves the open file as it was, which is what an atomic writer relies on."""
    with open_checkpoint(path) as store:
        (tmp_path / "new").write_bytes(b"other")
        (tmp_path / "new").rename(path)
        assert store.read("w", 0, 1).tolist() == [[1] * 100]


def test_an_error_of_the_disk(path, monkeypatch):
    with open_checkpoint(path) as store:

        def fail(*_):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "preadv", fail)
        with pytest.raises(CheckpointError, match=r"cannot be read at byte .*: Input/output error"):
            store.read("w")


def test_short_reads_are_continued(path, monkeypatch):
    """Network file systems, signals, and Linux above 2 GiB return less than was asked for."""
    whole = os.preadv

    def little(descriptor, buffers, offset):
        return whole(descriptor, [buffers[0][:1000]], offset)

    monkeypatch.setattr(os, "preadv", little)
    with open_checkpoint(path) as store:
        assert (store.read("w") == 1).all()


def test_a_store_goes_to_another_process_by_opening_its_file_there(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    with open_checkpoint(path.name) as store:
        data = pickle.dumps(store)
    monkeypatch.chdir("/")
    with pickle.loads(data) as copy:
        assert (copy.read("w") == 1).all()
        assert copy.tensors == store.tensors
    os.utime(path, ns=(1, 2))
    with pytest.raises(CheckpointError, match=r"w\.safetensors: has 400.* or was written since"):
        pickle.loads(data)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"w\.safetensors: no such file"):
        pickle.loads(data)


def test_close_is_idempotent(path):
    store = open_checkpoint(path)
    store.close()
    store.close()
    with pytest.raises(CheckpointError, match=r"w\.safetensors: is closed; open the checkpoint"):
        store.read("w")


# --- memory ------------------------------------------------------------------------------------

HOSTILE_HEADERS = {
    "empty lists": b'{"a":[' + b"[]," * 20_000_000 + b"[]]}",
    "tensors": b"{"
    + b",".join(
        b'"%x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % i for i in range(300_000)
    )
    + b"}",
    "metadata": b'{"__metadata__":{' + b",".join(b'"%x":""' % i for i in range(300_000)) + b"}}",
    "spaces": b"{" + b" " * 60_000_000 + b"}",
}


@pytest.mark.parametrize("what", HOSTILE_HEADERS)
def test_memory_stays_within_bounds(tmp_path, what):
    """Python's own json takes 1.4 GB for the first of these."""
    path = tmp_path / "big.safetensors"
    path.write_bytes(safetensors(HOSTILE_HEADERS[what]))
    program = (
        "import resource, sys\n"
        "from mxref.checkpoints import CheckpointError, open_checkpoint\n"
        "import ml_dtypes, numpy\n"
        "before = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (before + 300_000_000,) * 2)\n"
        "try:\n"
        "    print(len(open_checkpoint(sys.argv[1]).tensors))\n"
        "except CheckpointError as error:\n"
        "    print('refused', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    expected = {"empty lists": "refused", "tensors": "300000", "metadata": "0", "spaces": "0"}
    assert done.stdout.startswith(expected[what])
