import hashlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from mxref import arrays
from mxref.executors import _worker
from mxref.kernels import _jit
from mxref.sweep import CHUNK, Difference, Subject, chunk, sweep_chunk

E2M1 = Subject.of("e2m1")


def patterns(number):
    return np.arange(number * CHUNK, (number + 1) * CHUNK, dtype=np.uint32)


@pytest.mark.parametrize("number", [0x3F, 0x7F, 0xC0, 0xFF])
@pytest.mark.parametrize("fmt", ["e5m2", "int8", "e8m0"])
def test_digest_is_the_hash_of_the_codes_in_order(fmt, number):
    subject = Subject.of(fmt)
    codes = arrays.encode(patterns(number).view(np.float32), fmt)
    result = sweep_chunk(subject, number)
    assert result.digest == hashlib.sha256(codes.tobytes()).hexdigest()
    assert (result.chunk, result.wrong, result.first) == (number, 0, None)
    assert sweep_chunk(subject, number, oracle=False) == result


@pytest.fixture
def one_bug(monkeypatch):
    """Let the encoder give another code for some inputs."""

    def plant(*bad):
        encode = arrays.encode

        def buggy(x, fmt, policy=None, out=None):
            codes = encode(x, fmt, policy, out)
            codes[np.isin(x.view(np.uint32), np.array(bad, np.uint32))] ^= 1
            return codes

        monkeypatch.setattr(chunk.arrays, "encode", buggy)

    return plant


def test_a_single_wrong_code_is_found_and_named(one_bug):
    one_bug(0xBF812345)
    result = sweep_chunk(Subject.of("e4m3"), 0xBF)
    assert result.wrong == 1
    assert result.first == Difference(0xBF812345, 0xB9, 0xB8)
    assert result.digest == sweep_chunk(Subject.of("e4m3"), 0xBF, oracle=False).digest
    assert sweep_chunk(Subject.of("e4m3"), 0xBE).wrong == 0


def test_the_first_of_several_is_named(one_bug):
    first, last = 0x3F * CHUNK, 0x40 * CHUNK - 1
    one_bug(last, 0x3F812345, first)
    result = sweep_chunk(E2M1, 0x3F)
    assert result.wrong == 3
    assert result.first == Difference(first, 0, 1)


def test_the_digest_alone_sees_a_single_wrong_code(one_bug):
    right = sweep_chunk(E2M1, 0x3F, oracle=False).digest
    one_bug(0x3F812345)
    assert sweep_chunk(E2M1, 0x3F, oracle=False).digest != right


def test_no_such_chunk():
    for number in (-1, 256):
        with pytest.raises(ValueError, match="between 0 and 255"):
            sweep_chunk(E2M1, number)


def test_units_hold_the_kernels_to_one_thread_and_give_the_slot_back(monkeypatch):
    seen = []
    encode = arrays.encode

    def looking(*args, **kwargs):
        with _jit.parallel_slot(CHUNK) as parallel:
            seen.append(parallel)
        return encode(*args, **kwargs)

    monkeypatch.setattr(chunk.arrays, "encode", looking)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(sweep_chunk, [E2M1] * 4, range(4)))
    assert seen
    assert not any(seen)
    assert _worker._working == 0
    with _jit.parallel_slot(CHUNK) as parallel:
        assert parallel == (_jit.numba.get_num_threads() > 1)


def test_the_slot_is_given_back_after_an_error(monkeypatch):
    monkeypatch.setattr(chunk.arrays, "encode", lambda *_, **__: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        sweep_chunk(E2M1, 0)
    assert _worker._working == 0
    assert not _jit._busy.locked()


@pytest.mark.slow
def test_units_travel_to_other_processes():
    here = [sweep_chunk(E2M1, number) for number in (0x3F, 0x40)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(sweep_chunk, [E2M1] * 2, (0x3F, 0x40))) == here
