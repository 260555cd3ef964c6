"""Executors by name, as command lines give them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager

from mxref.executors._pools import processes, threads
from mxref.executors._worker import cores

__all__ = ["check_name", "open_executor"]

_MOST = 4096  # more workers on one machine are a slip of the finger
_ACCEPTED = "threads[:N], processes[:N] or dask://HOST:PORT"
_SCHEMES = ("dask", "tcp", "tls")  # of Dask's own addresses
_DASK_PORT = 8786  # of `dask scheduler`
_PLACE = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\s/@:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")


def check_name(name: str, workers: int | None = None) -> None:
    """Complain of a name that `open_executor` would not take; nothing is started.

    Raises
    ------
    ValueError
        If the name, or the number of workers with it, is not acceptable.

    Examples
    --------
    >>> check_name("processes:4")
    >>> check_name("process:4")
    Traceback (most recent call last):
        ...
    ValueError: executor 'process:4': expected threads[:N], processes[:N] or dask://HOST:PORT
    """
    _parsed(name, workers)


@contextmanager
def open_executor(
    executor: str | Executor | None = None, workers: int | None = None
) -> Iterator[Executor]:
    """Open what a name stands for, and close it at the end.

    Parameters
    ----------
    executor : str, Executor or None
        ``threads:N`` or ``processes:N`` of this machine, ``dask://HOST:PORT`` for the workers of a
        Dask scheduler (``tcp://`` and ``tls://``, as Dask prints them, do as well), which need the
        same mxref. An executor is given back as it is, and left open. None: threads.
    workers : int, optional
        How many threads or processes, where the name does not say so; default one for each core.

    Yields
    ------
    Executor
        For `run_units`, or anything else that takes an executor.

    Raises
    ------
    ValueError
        If the name, or the number of workers with it, is not acceptable.
    ExecutorError
        If no Dask scheduler answers there, it has no workers, or these have another mxref.

    Examples
    --------
    >>> with open_executor("threads:2") as executor:
    ...     executor.submit(pow, 2, 10).result()
    1024
    """
    if isinstance(executor, Executor):
        if workers is not None:
            raise ValueError(f"workers={workers}: an open executor has its own number of workers")
        yield executor
        return
    kind, found = _parsed("threads" if executor is None else executor, workers)
    with ExitStack() as stack:
        if kind == "threads":
            yield stack.enter_context(threads(int(found)))
        elif kind == "processes":
            yield stack.enter_context(processes(int(found)))
        else:
            from mxref.executors._dask import cluster

            yield stack.enter_context(cluster(str(found)))


def _parsed(name: str, workers: int | None) -> tuple[str, int | str]:
    """The kind, and how many workers or the address of a scheduler."""
    wrong = ValueError(f"executor {name!r}: expected {_ACCEPTED}")
    if not isinstance(name, str):
        raise TypeError(f"executor {name!r}: expected {_ACCEPTED}, or an open executor")
    kind, colon, rest = name.partition(":")
    if rest.startswith("//") and kind in _SCHEMES:
        if workers is not None:
            raise ValueError(f"executor {name!r} has its own workers: leave out their number")
        return "dask", _address(kind, rest.removeprefix("//").rstrip("/"), wrong)
    if kind not in {"threads", "processes"}:
        raise wrong
    if not colon:
        count = cores() if workers is None else workers
    elif workers is not None:
        raise ValueError(f"executor {name!r} says how many workers: leave out workers={workers}")
    elif rest.isascii() and rest.isdecimal():
        count = int(rest)
    else:
        raise wrong
    if not 1 <= count <= _MOST:
        raise ValueError(f"executor {name!r}: {count} workers; expected 1 to {_MOST}")
    return kind, count


def _address(scheme: str, place: str, wrong: ValueError) -> str:
    found = _PLACE.fullmatch(place)
    if found is None or not 1 <= int(found["port"] or _DASK_PORT) <= 0xFFFF:
        raise wrong
    return (
        f"{'tcp' if scheme == 'dask' else scheme}://{found['host']}:{found['port'] or _DASK_PORT}"
    )
