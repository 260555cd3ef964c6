"""The workers of a Dask scheduler, through `distributed.Client.get_executor`."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from mxref.executors._errors import ExecutorError
from mxref.executors._managed import ManagedExecutor
from mxref.executors._worker import Environment, environment

__all__ = ["Cluster", "cluster"]

_ANSWER_WITHIN = 10.0  # seconds for the scheduler to answer, and for a first worker to be there
_LIVE_WITHIN = 120.0  # seconds without any worker, after which none is expected to come back
_COUNT_EVERY = 10.0  # seconds: workers come and go


class Cluster(ManagedExecutor):
    """A Dask cluster, whose scheduler itself hands out again what lost workers had."""

    is_elsewhere = True

    def __init__(self, client: Any, address: str) -> None:
        self._client = client
        self._address = address
        # pure=False: Dask would otherwise look for equal calls by hashing the arguments.
        self._inner = client.get_executor(pure=False)
        self._count = 1
        self._count_again = 0.0
        self._lonely_since: float | None = None

    def workers(self) -> int:
        """Return how many threads the workers have together."""
        if time.monotonic() >= self._count_again:
            self._count = max(1, sum(self._threads().values()))
            self._count_again = time.monotonic() + _COUNT_EVERY
        return self._count

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call on one of the workers."""
        found: Future[Any] = self._inner.submit(fn, *args, **kwargs)
        return found

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  # the base class has it so
        """Take no more calls."""
        _ = cancel_futures  # closing the client does that
        self._inner.shutdown(wait)

    def check(self) -> None:
        """Raise where the scheduler is gone, or has been without workers for long."""
        if self._client.status in {"closed", "closing", "newly-created"}:
            raise ExecutorError(f"the connection with the Dask scheduler {self._address} was lost")
        if self._client.status != "running" or self._threads():
            self._lonely_since = None
            return
        now = time.monotonic()
        self._lonely_since = self._lonely_since or now
        if now - self._lonely_since > _LIVE_WITHIN:
            raise ExecutorError(
                f"the Dask scheduler {self._address} has had no workers for {_LIVE_WITHIN:.0f} s; "
                f"{_how_to_start(self._address)}"
            )

    def lost(self, error: Exception) -> str | None:
        """Return why an error means that workers went on dying."""
        if not isinstance(error, import_module("distributed").scheduler.KilledWorker):
            return None
        killed: Any = error
        return (
            f"{killed.allowed_failures + 1} workers ended while it was with them, the last of them "
            f"{getattr(killed.last_worker, 'address', killed.last_worker)}: perhaps for want of "
            "memory; look into the workers' logs"
        )

    def _threads(self) -> Mapping[str, int]:
        try:
            found: Mapping[str, int] = self._client.nthreads()
        except (OSError, TimeoutError, ValueError, RuntimeError):  # the connection is being lost
            return {}
        return found


@contextmanager
def cluster(address: str) -> Iterator[Cluster]:
    """Connect with a scheduler, and see that its workers have the same mxref."""
    client = _connected(address)
    try:
        _check_workers(client, address)
        yield Cluster(client, address)
    finally:
        # Also takes back what the scheduler still has of ours. It may be gone itself.
        with suppress(OSError, TimeoutError):
            client.close(timeout=_ANSWER_WITHIN)


def _connected(address: str) -> Any:
    try:
        client_of = import_module("distributed").Client
    except ImportError as error:
        raise ExecutorError(
            f"executor {address}: Dask is not installed; pip install 'mxref[dask]'"
        ) from error
    try:
        with warnings.catch_warnings():
            # That versions differ is for _check_workers to say, of those that matter.
            warnings.simplefilter("ignore")
            return client_of(address, timeout=_ANSWER_WITHIN, set_as_default=False, name="mxref")
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise ExecutorError(
            f"no Dask scheduler answers at {address} within {_ANSWER_WITHIN:.0f} s; start one with "
            "`dask scheduler`, or look whether HOST:PORT is what it printed"
        ) from error


def _check_workers(client: Any, address: str) -> None:
    with suppress(TimeoutError, OSError):
        client.wait_for_workers(1, timeout=_ANSWER_WITHIN)
    answers = client.run(environment, on_error="return")
    if not answers:
        raise ExecutorError(
            f"the Dask scheduler {address} has no workers; {_how_to_start(address)}"
        )
    ours = environment()
    wrong = {worker: why for worker, found in answers.items() if (why := _unfit(found, ours))}
    if not wrong:
        return
    worker, why = next(iter(wrong.items()))
    alike = Counter(wrong.values())[why]
    raise ExecutorError(
        f"Dask worker {worker} {why}"
        + (f", and so {_are(alike - 1)} of {len(answers)} workers" if alike > 1 else "")
        + f"; install the same everywhere: mxref {ours.mxref}, numba {ours.numba}, numpy "
        f"{ours.numpy}, Python {ours.Python}"
    )


def _are(count: int) -> str:
    return "is 1 other" if count == 1 else f"are {count} others"


def _unfit(found: object, ours: Environment) -> str:
    if isinstance(found, Environment):
        difference = found.difference(ours)
        return difference and f"has {difference}"
    return f"cannot load mxref: {found}"


def _how_to_start(address: str) -> str:
    return f"start some with `dask worker {address}` where mxref is installed"
