import itertools
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import _killing as units
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxref.executors import (
    ExecutorError,
    check_name,
    cores,
    one_kernel_thread,
    open_executor,
    run_units,
)
from mxref.executors._open import _parsed
from mxref.executors._worker import Environment, environment, run_batch
from mxref.kernels import _jit

# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("threads", ("threads", cores())),
        ("threads:3", ("threads", 3)),
        ("processes", ("processes", cores())),
        ("processes:12", ("processes", 12)),
        ("dask://head:8786", ("dask", "tcp://head:8786")),
        ("dask://head", ("dask", "tcp://head:8786")),
        ("dask://head/", ("dask", "tcp://head:8786")),
        ("tcp://10.0.0.1:99", ("dask", "tcp://10.0.0.1:99")),
        ("tls://10.0.0.1:99", ("dask", "tls://10.0.0.1:99")),
        ("dask://[::1]:99", ("dask", "tcp://[::1]:99")),
        ("dask://[::1]", ("dask", "tcp://[::1]:8786")),
    ],
)
def test_names(name, meaning):
    assert _parsed(name, None) == meaning


@pytest.mark.parametrize(
    "name",
    [
        "", "thread:2", "threads:", "threads:x", "threads:-1", "threads: 2", "threads:\u0662",
        "processes:1.5", "dask", "dask:8786", "dask://", "dask://:99", "dask://a:b", "dask://a:0",
        "dask://a:65536", "dask://u@a:1", "dask://a/b:1", "http://a:1", "threads://a:1", "2",
    ],
)  # fmt: skip
def test_names_that_cannot_be(name):
    with pytest.raises(ValueError, match=r"threads\[:N\], processes\[:N\] or dask://HOST:PORT"):
        check_name(name)


@pytest.mark.parametrize(
    ("name", "workers", "message"),
    [
        ("threads:0", None, "0 workers; expected 1 to"),
        ("processes:99999999999", None, "expected 1 to"),
        ("threads", 0, "0 workers"),
        ("threads:2", 3, "leave out workers=3"),
        ("dask://a:1", 3, "has its own workers"),
    ],
)
def test_numbers_of_workers_that_cannot_be(name, workers, message):
    with pytest.raises(ValueError, match=message):
        check_name(name, workers)


def test_what_is_no_name_and_no_executor():
    with pytest.raises(TypeError, match="or an open executor"):
        open_executor(3).__enter__()


def test_an_open_executor_stays_open():
    with ThreadPoolExecutor(1) as mine:
        with open_executor(mine) as found:
            assert found is mine
        assert mine.submit(int).result() == 0
        with pytest.raises(ValueError, match="own number of workers"):
            open_executor(mine, 2).__enter__()


# --- units -----------------------------------------------------------------------------------


@given(st.lists(st.integers()), st.lists(st.integers(0, 9), min_size=1), st.integers(1, 5))
def test_every_unit_once_and_in_order_if_asked(numbers, order, in_flight):
    expected = [(n, n * n) for n in numbers]
    for ordered in (True, False):
        executor = Late(order)
        found = run_units(executor, units.square, numbers, in_flight=in_flight, ordered=ordered)
        found = list(found)
        assert (found if ordered else sorted(found)) == (expected if ordered else sorted(expected))
        assert executor.most <= in_flight


class Late(Executor):
    """Runs nothing until it is waited for, then what `order` says; remembers how much it held."""

    def __init__(self, order):
        self.order = itertools.cycle(order)
        self.held = []
        self.most = 0

    def submit(self, fn, /, *args, **kwargs):
        future = _Asked(self)
        self.held.append((future, fn, args, kwargs))
        self.most = max(self.most, len(self.held))
        return future

    def run_one(self):
        future, fn, args, kwargs = self.held.pop(next(self.order) % len(self.held))
        future.set_running_or_notify_cancel()
        future.set_result(fn(*args, **kwargs))


class _Asked(Future):
    """A future that makes its executor work when somebody looks at its condition."""

    def __init__(self, executor):
        super().__init__()
        self.executor = executor


@pytest.fixture(autouse=True)
def _work_when_waited_for(monkeypatch):
    from mxref.executors import _units

    wait = _units.wait

    def working(futures, *args, **kwargs):
        late = {f.executor for f in futures if isinstance(f, _Asked)}
        for executor in late:
            executor.run_one()
        return wait(futures, *args, **kwargs)

    monkeypatch.setattr(_units, "wait", working)


@pytest.mark.parametrize("ordered", [True, False])
def test_units_are_taken_as_workers_become_free(ordered):
    taken = itertools.count()
    lazily = (next(taken) for _ in itertools.count())
    with open_executor("threads:2") as pool:
        found = run_units(pool, units.square, lazily, ordered=ordered, in_flight=5)
        some = [unit for unit, _ in itertools.islice(found, 100)]
        found.close()
    assert next(taken) <= 100 + 5
    assert len(set(some)) == 100


def test_results_that_wait_for_their_turn_count_as_in_flight():
    executor = Late([-1])  # the newest first: the oldest holds all others up
    given_out = []

    def numbers():
        for n in range(100):
            given_out.append(n)
            yield n

    found = run_units(executor, units.square, numbers(), in_flight=8, ordered=True)
    assert next(found) == (0, 0)
    assert len(given_out) == 8
    assert list(found)[-1] == (99, 99 * 99)


def test_short_units_travel_together_to_workers_elsewhere():
    executor = Late([0])  # unknown: as though far away
    calls = []
    submit = executor.submit
    executor.submit = lambda call: calls.append(len(call.args[1])) or submit(call)
    found = run_units(executor, units.square, range(1000), ordered=True)
    assert list(found) == [(n, n * n) for n in range(1000)]
    assert sum(calls) == 1000
    assert calls[:64] == [1] * 64
    assert max(calls) > 1
    with ThreadPoolExecutor(1) as here:
        calls.clear()
        pool = Recording(here, calls)
        assert len(list(run_units(pool, units.square, range(100)))) == 100
    assert set(calls) == {1}


class Recording(ThreadPoolExecutor):
    def __init__(self, pool, calls):
        super().__init__(1)
        self.calls = calls
        self.pool = pool

    def submit(self, call):
        self.calls.append(len(call.args[1]))
        return self.pool.submit(call)


def test_one_failure_among_units_that_travel_together_is_named():
    class Failing(Late):
        def run_one(self):
            future, fn, args, kwargs = self.held.pop(0)
            future.set_running_or_notify_cancel()
            try:
                future.set_result(fn(*args, **kwargs))
            except LookupError as error:
                future.set_exception(error)

    found = run_units(Failing([0]), units.fail_at_777, range(1000), describe="unit {}".format)
    with pytest.raises(LookupError) as caught:
        list(found)
    assert caught.value.__notes__ == ["while working on unit 777"]


def test_an_error_keeps_its_type_and_names_the_unit():
    with (
        open_executor("threads:2") as pool,
        pytest.raises(LookupError) as caught,
    ):
        list(run_units(pool, units.fail_at_seven, range(9), describe="unit {}".format))
    assert caught.value.args == ("seven",)
    assert caught.value.__notes__ == ["while working on unit 7"]


def test_what_has_not_begun_is_taken_back():
    executor = Late([0])
    found = run_units(executor, units.square, range(10), in_flight=4)
    next(found)
    found.close()
    assert len(executor.held) == 3
    assert all(future.cancelled() for future, *_ in executor.held)


def test_a_cancelled_unit_is_an_error_in_words():
    with ThreadPoolExecutor(1) as pool:
        found = run_units(Cancelled(pool), units.square, [5], describe=lambda _: "unit five")
        with pytest.raises(ExecutorError, match="unit five was cancelled"):
            list(found)


class Cancelled(Executor):
    def __init__(self, pool):
        self.pool = pool

    def submit(self, *_, **__):
        future = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future


def test_bad_numbers():
    with pytest.raises(ValueError, match="in_flight must be at least 1"):
        run_units(Late([0]), units.square, [], in_flight=0)
    with pytest.raises(ValueError, match="retries must not be negative"):
        run_units(Late([0]), units.square, [], retries=-1)


def test_units_hold_the_kernels_to_one_thread():
    def has_threads(_):
        with _jit.parallel_slot(1 << 20) as parallel:
            return parallel

    with open_executor("threads:3") as pool:
        assert not any(found for _, found in run_units(pool, has_threads, range(20)))
    assert not _jit._busy.locked()
    with one_kernel_thread(), one_kernel_thread():
        assert not has_threads(None)
    assert has_threads(None) == (_jit.numba.get_num_threads() > 1)


# --- another mxref ---------------------------------------------------------------------------


def test_an_environment_tells_what_differs():
    ours = environment()
    assert ours.difference(ours) == ""
    for field in ("mxref", "numba", "numpy", "Python", "sources"):
        values = {name: getattr(ours, name) for name in ours.__slots__} | {field: "9.9.9"}
        text = Environment(**values).difference(ours)
        assert field in text
        assert "9.9.9" in text
        assert getattr(ours, field) in text


def test_a_worker_with_another_mxref_does_not_answer():
    other = Environment("9", "9", "9", "9", "9")
    with pytest.raises(ExecutorError, match=r"the worker on .* has mxref .*, this process has 9"):
        run_batch(units.square, [3], other)
    assert run_batch(units.square, [3, 4], environment())[0] == [9, 16]
