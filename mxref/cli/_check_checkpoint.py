"""``mxref check checkpoint``: a quantized checkpoint against the weights that it was made from."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mxref.cli._executors import executor_option, opened
from mxref.cli._output import emit_json, fail, json_option, one_line_errors
from mxref.cli._progress import Advance, progress_bar, progress_option

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from mxref.check.checkpoint import CheckpointReport

__all__ = ["checkpoint"]

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("quantized", type=_PATH)
@click.option("--source", required=True, type=_PATH, help="The checkpoint that was quantized.")
@click.option("--layout", help="How tensors are stored, such as gpt-oss; default: found out.")
@click.option("--format", "format_name", help="Block format, such as mxfp4; default: found out.")
@click.option("--policy", help="What is claimed to have made it; without it mxref finds out.")
@click.option(
    "--tensor",
    "names",
    multiple=True,
    metavar="GLOB",
    help="Look at tensors of this name only, such as 'model.layers.0.*'; may be repeated.",
)
@executor_option
@progress_option
@json_option
def checkpoint(  # noqa: PLR0913  # one parameter an option
    *,
    quantized: Path,
    source: Path,
    layout: str | None,
    format_name: str | None,
    policy: str | None,
    names: tuple[str, ...],
    executor: str | None,
    progress: bool,
    as_json: bool,
) -> None:
    """Judge a quantized checkpoint against the weights that it was made from.

    Finds the MX and NVFP4 tensors of QUANTIZED (safetensors, a sharded index or folder, GGUF), and
    says of each which policy made it, whether that holds everywhere, and what it cost.

    Exit code 0: one legal policy explains each format. 1: not. 2: could not run, or nothing to
    judge.
    """
    with opened(executor) as pool, one_line_errors():
        report = _checked(
            (quantized, source), (layout, format_name, policy), names, pool, lines=progress
        )
    if as_json:
        emit_json(json.loads(report.to_json()))
    else:
        click.echo(str(report))
    click.get_current_context().exit(report.exit_code)


def _checked(
    paths: tuple[Path, Path],
    claims: tuple[str | None, str | None, str | None],
    names: tuple[str, ...],
    pool: Executor,
    *,
    lines: bool,
) -> CheckpointReport:
    """Run the check, with a bar."""
    from mxref.check.checkpoint import checkpoint as check

    for path in paths:
        if not path.exists():
            fail(f"{path} does not exist")
    layout, format_name, policy = claims
    with ExitStack() as stack:
        advance: Advance | None = None
        before = 0

        def progress(done: int, total: int, name: str) -> None:
            nonlocal advance, before
            if advance is None:  # how much there is to do is known by now
                bar = progress_bar("checking", total, unit="bytes", lines=lines)
                advance = stack.enter_context(bar)
            advance(done - before, name)
            before = done

        return check(
            *paths,
            layout=layout,
            format=format_name,
            policy=policy,
            names=names or None,
            executor=pool,
            progress=progress,
        )
