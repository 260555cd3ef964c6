"""The checkpoint form of ``mxref quantize``: progress, summary, and what an interruption means."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mxref.cli._executors import opened
from mxref.cli._output import console, emit_json, fail, one_line_errors
from mxref.cli._progress import Advance, progress_bar, rate_text

if TYPE_CHECKING:
    from mxref.checkpoints.quantize import Summary

__all__ = ["parse_size", "run"]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)B?", re.ASCII)
_POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}


def run(  # noqa: PLR0913  # one parameter an option
    source: Path,
    *,
    format_name: str,
    layout: str,
    out: Path,
    policy: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    shard_size: str | None,
    executor: str | None,
    progress: bool,
    force: bool,
    restart: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Quantize a checkpoint, or say what that would do."""
    size = None if shard_size is None else parse_size(shard_size)
    try:
        with one_line_errors(), ExitStack() as stack:
            from mxref.checkpoints.quantize import quantize_checkpoint

            pool = None if dry_run else stack.enter_context(opened(executor))
            summary = quantize_checkpoint(
                source,
                out,
                format_name,
                layout,
                policy=policy or "ocp",
                executor=pool,
                include=include or None,
                exclude=exclude,
                resume=not restart,
                force=force,
                shard_size=size,
                progress=_shown(stack, lines=progress),
                dry_run=dry_run,
            )
    except KeyboardInterrupt:
        more = ""
        if Path(f"{out}.partial").is_dir():
            more = f": run the same command to go on (what is done is in {out}.partial)"
        click.echo(f"mxref: interrupted{more}", err=True)
        raise click.exceptions.Exit(2) from None  # there is no output: it could not run
    if as_json:
        emit_json(summary.to_json())
        return
    if dry_run:
        _print_table(summary)
    click.echo(str(summary), err=True)
    if not dry_run and summary.seconds > 1:
        done = summary.source_bytes - summary.resumed_bytes
        rate = rate_text(done / summary.seconds, "bytes")
        click.echo(f"{summary.seconds:.1f} s, {rate}/s of the source", err=True)


def _shown(stack: ExitStack, *, lines: bool) -> Callable[[int, int], None]:
    """Open the bar when it is known how much there is to do."""
    bar: list[Advance] = []
    before = 0

    def show(done: int, total: int) -> None:
        nonlocal before
        if not bar:
            opening = progress_bar("quantizing", total, "bytes", done=done, lines=lines)
            bar.append(stack.enter_context(opening))
        else:
            bar[0](done - before)
        before = done

    return show


def parse_size(text: str) -> int:
    """Read a number of bytes such as ``5GB``, ``500M`` or ``4GiB``.

    Examples
    --------
    >>> parse_size("5GB"), parse_size("1.5k"), parse_size("2MiB"), parse_size("123")
    (5000000000, 1500, 2097152, 123)
    """
    found = _SIZE.fullmatch(text.strip())
    if not found or (found[3] and not found[2]):
        fail(f"--shard-size {text!r}: expected a number of bytes, such as 5GB, 500M or 4GiB")
    number, unit, binary = found.groups()
    size = int(float(number) * (1024 if binary else 1000) ** _POWERS[unit])
    if size < 1:
        fail(f"--shard-size {text!r}: expected at least one byte")
    return size


def _print_table(summary: Summary) -> None:
    """List what would be quantized with its sizes, and what would be kept by its reason."""
    from rich.table import Table

    from mxref.checkpoints._words import displayed

    table = Table(box=None, pad_edge=False)
    table.add_column("to quantize", overflow="fold")
    table.add_column("type", no_wrap=True)
    table.add_column("shape", no_wrap=True)
    for heading in ("before", "after"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in summary.quantized:
        sizes = [rate_text(size, "bytes") for size in (one.source_bytes, one.bytes)]
        table.add_row(displayed(one.name), one.dtype, "×".join(map(str, one.shape)), *sizes)
    reasons: dict[str, list[str]] = {}
    for name, why in summary.kept.items():
        reasons.setdefault(why, []).append(name)
    out = console()
    out.print(table)
    for why, names in reasons.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        out.print(f"kept ({why}): {', '.join(map(displayed, names[:3]))}{more}")
