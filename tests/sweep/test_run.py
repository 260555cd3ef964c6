import hashlib
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

from mxref.sweep import ChunkResult, Difference, Journal, Subject, cores, root_of, sweep
from mxref.sweep import run as run_module

TWO = [Subject.of("e2m1"), Subject.of("e4m3")]


class Backwards(Executor):
    """Finishes what it was given last first, in the caller's thread."""

    def __init__(self):
        self.given = 0

    def submit(self, fn, /, *args, **kwargs):
        self.given += 1
        future = Future()
        future.set_running_or_notify_cancel()
        future.set_result(fn(*args, **kwargs))
        return future


@pytest.mark.parametrize("make", [lambda: None, Backwards, lambda: ThreadPoolExecutor(3)])
def test_digests_come_in_order_whatever_the_executor(quick, make):
    outcomes = list(sweep(TWO, executor=make(), in_flight=7))
    assert [o.subject for o in outcomes] == TWO
    assert [o.digests for o in outcomes] == [quick.digests(s) for s in TWO]
    assert sorted(quick.asked) == sorted((s.name, c) for s in TWO for c in range(256))


def test_the_root_is_the_hash_of_binary_digests(quick):
    digests = quick.digests(TWO[0])
    raw = b"".join(bytes.fromhex(d) for d in digests)
    assert len(raw) == 256 * 32
    assert root_of(digests) == hashlib.sha256(raw).hexdigest()


def test_progress_counts_every_chunk(quick):  # noqa: ARG001
    seen = []
    list(sweep(TWO, progress=lambda *event: seen.append(event)))
    assert [done for _, done, _ in seen] == list(range(1, 513))
    assert {total for _, _, total in seen} == {512}


def test_differences_are_added_up_and_the_first_is_kept(monkeypatch):
    def sweep_chunk(_, chunk, *, oracle):
        assert oracle
        wrong = {9: 4, 200: 1}.get(chunk, 0)
        first = Difference(chunk << 24, 1, 2) if wrong else None
        return ChunkResult(chunk, "00" * 32, wrong, first)

    monkeypatch.setattr(run_module, "sweep_chunk", sweep_chunk)
    (outcome,) = sweep(TWO[:1], executor=Backwards())
    assert (outcome.wrong, outcome.first) == (5, Difference(9 << 24, 1, 2))


def test_finished_chunks_are_not_swept_again(quick, tmp_path):
    path = tmp_path / "state"
    journal = Journal(path)
    seen = []
    with pytest.raises(KeyboardInterrupt):
        list(sweep(TWO, executor=Backwards(), journal=journal, progress=_stop_after(300, seen)))
    done_before = len(quick.asked)
    quick.asked.clear()
    outcomes = list(sweep(TWO, executor=Backwards(), journal=Journal(path)))
    assert [o.digests for o in outcomes] == [quick.digests(s) for s in TWO]
    assert sum(o.resumed for o in outcomes) == 300 == 512 - len(quick.asked) <= done_before
    quick.asked.clear()
    outcomes = list(sweep(TWO, executor=Backwards(), journal=Journal(path)))
    assert [o.resumed for o in outcomes] == [256, 256]
    assert quick.asked == []


def _stop_after(count, seen):
    def progress(*event):
        seen.append(event)
        if len(seen) == count:
            raise KeyboardInterrupt

    return progress


def test_an_error_in_a_unit_reaches_the_caller(monkeypatch):
    monkeypatch.setattr(run_module, "sweep_chunk", lambda *_, **__: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        list(sweep(TWO))


def test_arguments():
    with pytest.raises(ValueError, match="at least 1"):
        sweep(TWO, in_flight=0)
    assert list(sweep([])) == []
    assert cores() >= 1
