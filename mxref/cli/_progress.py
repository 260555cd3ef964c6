"""Progress of long commands: a bar on a terminal, plain lines in a log, nothing in a pipe."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from mxref.cli._output import console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn

__all__ = ["Advance", "counted_progress", "echo", "progress_bar", "progress_option", "rate_text"]

_F = TypeVar("_F", bound=Callable[..., Any])

_BAR_AFTER = 1.0  # seconds: what is over sooner needs no bar
_LINE_EVERY = 10.0
_DECIMAL = ("", "k", "M", "G", "T", "P")


class Advance(Protocol):
    """What `progress_bar` yields."""

    def __call__(self, amount: float = 1, label: str | None = None) -> None:
        """Count what was done, and say what is at work now."""
        ...


def progress_option(function: _F) -> _F:
    """Add ``--progress``: lines in a log, where there is no terminal for a bar."""
    return click.option(
        "--progress",
        is_flag=True,
        help="Where standard error is no terminal: a line about the progress every 10 s.",
    )(function)


@contextmanager
def progress_bar(
    label: str, total: float | None, unit: str = "bytes", *, done: float = 0, lines: bool = False
) -> Iterator[Advance]:
    """Show how far a command is, how fast it goes and how long it still takes.

    Parameters
    ----------
    label : str
        What is done, such as ``"checking"``.
    total : number or None
        How much there is to do; None if nobody knows.
    unit : str
        ``"bytes"``, which are shown as GB and GB/s, or what else is counted, such as ``"chunks"``.
    done : number
        How much was done before; it does not count as speed.
    lines : bool
        Whether to write a line every ten seconds where standard error is no terminal.
    """
    with _meter(label, unit, lines=lines) as meter:
        meter.set(done, total, label, before=done)

        def advance(amount: float = 1, label: str | None = None) -> None:
            meter.add(amount, label)

        yield advance


@contextmanager
def counted_progress(
    label: str, unit: str, *, lines: bool = False
) -> Iterator[Callable[[str, int, int], None]]:
    """As `progress_bar`, for functions that report ``progress(name, done, total)``."""
    with _meter(label, unit, lines=lines) as meter:

        def show(name: str, done: int, total: int) -> None:
            before = None
            if meter.total is None:  # the first piece of work; what it counts beyond was there
                before = done - 1
            elif done <= meter.done:  # a next part begins
                before = done
            meter.set(done, total, f"{label} {name}" if label else name, before=before)

        yield show


def rate_text(amount: float, unit: str) -> str:
    """Return an amount as people read it.

    Examples
    --------
    >>> rate_text(1.234e9, "bytes"), rate_text(1500, "bytes"), rate_text(26112, "chunks")
    ('1.23 GB', '1.50 kB', '26,112 chunks')
    """
    if unit != "bytes":
        digits = 0 if amount >= 10 or amount == int(amount) else 1
        return f"{amount:,.{digits}f} {unit}"
    step = 0
    while amount >= 999.5 and step < len(_DECIMAL) - 1:
        amount, step = amount / 1000, step + 1
    number = f"{amount:.3g}" if step == 0 else f"{amount:#.3g}".rstrip(".")
    return f"{number} {_DECIMAL[step]}B"


class _Meter:
    """Counts; where it is shown is the matter of those below. May be called by many threads."""

    def __init__(self, label: str, unit: str) -> None:
        self.label, self.unit = label, unit
        self.done: float = 0
        self.total: float | None = None
        self._before: float = 0  # done when the clock began
        self._began = time.monotonic()
        self.lock = threading.RLock()

    def add(self, amount: float, label: str | None) -> None:
        with self.lock:
            self.set(self.done + amount, self.total, label, before=None)

    def set(
        self, done: float, total: float | None, label: str | None = None, *, before: float | None
    ) -> None:
        with self.lock:
            if before is not None:
                self._before = before
                if self.total is not None:
                    self._began = time.monotonic()
            self.done, self.total = done, total
            self.label = label or self.label
            self.show()

    def rate(self) -> float:
        """Amount in a second."""
        seconds = time.monotonic() - self._began
        return (self.done - self._before) / seconds if seconds > 0 else 0.0

    def seconds_left(self) -> float | None:
        rate = self.rate()
        return None if self.total is None or rate <= 0 else max(0, self.total - self.done) / rate

    def show(self) -> None:
        """Nobody is looking."""

    @contextmanager
    def away(self) -> Iterator[None]:
        """Make room for a line of output."""
        yield

    def close(self) -> None:
        """Take away what was shown."""


class _Lines(_Meter):
    """A line now and then, for logs."""

    def __init__(self, label: str, unit: str) -> None:
        super().__init__(label, unit)
        self._next = time.monotonic() + _LINE_EVERY

    def show(self) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LINE_EVERY
        click.echo(self.line(), err=True)

    def line(self) -> str:
        done = rate_text(self.done, self.unit)
        parts = [f"{done} of {rate_text(self.total, self.unit)}" if self.total else done]
        if self.total:
            parts.append(f"{100 * self.done / self.total:.0f} %")
        parts.append(f"{rate_text(self.rate(), self.unit)}/s")
        left = self.seconds_left()
        if left is not None:
            parts.append(f"{duration(left)} left")
        return f"mxref: {self.label}: {', '.join(parts)}"


class _Bar(_Meter):
    """A bar of rich's, that begins after a second."""

    def __init__(self, label: str, unit: str, out: Console) -> None:
        super().__init__(label, unit)
        from rich.progress import Progress

        # redirect_stdout would print results on standard error, also where they go to a file.
        self._bar = Progress(*_columns(self), console=out, transient=True, redirect_stdout=False)
        self._task = self._bar.add_task(label, total=None)
        self._timer = threading.Timer(_BAR_AFTER, self._begin)
        self._timer.daemon = True
        self._timer.start()
        self._is_open = True

    def _begin(self) -> None:
        with self.lock:
            if self._is_open:
                self._bar.start()

    def show(self) -> None:
        self._bar.update(self._task, description=self.label, completed=self.done, total=self.total)

    @contextmanager
    def away(self) -> Iterator[None]:
        with self.lock:
            is_shown = self._bar.live.is_started
            if is_shown and sys.stdout.isatty():
                self._bar.stop()
            yield
            if is_shown:
                self._bar.start()

    def close(self) -> None:
        self._timer.cancel()
        with self.lock:
            self._is_open = False
        self._bar.stop()


def _columns(meter: _Meter) -> tuple[ProgressColumn, ...]:
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
    from rich.table import Column
    from rich.text import Text

    class Amount(ProgressColumn):
        max_refresh = 0.5

        def render(self, _: Task) -> Text:
            total = meter.total
            whole = "" if total is None else f" of {rate_text(total, meter.unit)}"
            done = meter.done if meter.unit == "bytes" or total is None else f"{meter.done:,.0f}"
            shown = done if isinstance(done, str) else rate_text(done, meter.unit)
            return Text(f"{shown}{whole}", style="progress.download")

    class Speed(ProgressColumn):
        max_refresh = 0.5

        def render(self, _: Task) -> Text:
            rate = meter.rate()
            return Text(
                f"{rate_text(rate, meter.unit)}/s" if rate else "", style="progress.data.speed"
            )

    class Left(ProgressColumn):
        max_refresh = 0.5

        def render(self, _: Task) -> Text:
            left = meter.seconds_left()
            return Text(
                "" if left is None else f"{duration(left)} left", style="progress.remaining"
            )

    shortened = Column(ratio=1, no_wrap=True, overflow="ellipsis", min_width=12)
    label = TextColumn("{task.description}", markup=False, table_column=shortened)
    return label, BarColumn(bar_width=20), Amount(), Speed(), Left()


def duration(seconds: float) -> str:
    """Return a time as minutes and seconds, or hours and minutes.

    Examples
    --------
    >>> duration(5), duration(125), duration(7320)
    ('0:05', '2:05', '2 h 02 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


_meters: list[_Meter] = []  # those at work


def echo(text: str) -> None:
    """Print a line of output; on a terminal it stands above the bar."""
    with ExitStack() as stack:
        for meter in _meters:
            stack.enter_context(meter.away())
        click.echo(text)


@contextmanager
def _meter(label: str, unit: str, *, lines: bool) -> Iterator[_Meter]:
    out = console(stderr=True)
    if out.is_terminal:
        meter: _Meter = _Bar(label, unit, out)
    else:
        meter = (_Lines if lines else _Meter)(label, unit)
    _meters.append(meter)
    try:
        yield meter
    finally:
        _meters.remove(meter)
        meter.close()
