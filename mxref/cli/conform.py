"""``mxref conform``: drive somebody's kernels with designed inputs and name what differs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO

import click

from mxref.cli._output import console, emit_json, fail, json_option, one_line_errors

if TYPE_CHECKING:
    from mxref.check.target import Kernel, Target
    from mxref.cli._conform_data import Outcome, Row
    from mxref.policy import Policy

__all__ = ["command"]


@click.command("conform")
@click.argument("target")
@click.option("--format", "format_name", help="Only this format; a function needs it.")
@click.option(
    "--op",
    help="Only this operation: encode, decode, quantize or dequantize. For a function: what it "
    "does; default quantize.",
)
@click.option("--policy", help="What the target claims to follow; without it mxref finds out.")
@click.option(
    "--expect",
    "expected",
    multiple=True,
    metavar="FAULT",
    help="A defect that is known, such as S17: exit 0 if exactly the expected ones are found.",
)
@json_option
def command(
    target: str,
    format_name: str | None,
    op: str | None,
    policy: str | None,
    expected: tuple[str, ...],
    as_json: bool,  # noqa: FBT001
) -> None:
    r"""Validate TARGET bit for bit, and name what differs.

    TARGET is a built-in adapter (ml_dtypes) or a Python function, py:MODULE:FUNCTION; modules are
    also looked for in the current directory. The function is called on whole arrays:

    \b
      quantize    fn(x: float32 (n, 32)) -> codes (n, 32), scales (n, 1)
      dequantize  fn(codes (n, 32), scales (n, 1)) -> float32 (n, 32)
      encode      fn(x: float32 (n,)) -> codes (n,)
      decode      fn(codes (n,)) -> float32 (n,)

    Codes and scale codes are uint8, one a byte.

    Exit code 0: conforms, or follows another legal policy and none was asked for. 1: does not.
    2: could not run.
    """
    from mxref.check.target import TargetError, load_target
    from mxref.policy import get_policy

    with one_line_errors():
        asked = None if policy is None else get_policy(policy)
    try:
        with _quiet_stdout():
            found = load_target(target, format_name, op)
    except TargetError as error:
        fail(str(error))
    outcome = _run(found, asked)
    if len(outcome.rows) == 1 and outcome.rows[0].report is None:
        fail(f"{found.title}: {outcome.rows[0].error}")
    if as_json:
        emit_json(outcome.to_dict(expected))
    else:
        from mxref.cli._conform_view import print_outcome

        print_outcome(console(), outcome, expected)
    click.get_current_context().exit(outcome.exit_code(expected))


def _run(target: Target, asked: Policy | None) -> Outcome:
    from mxref.cli._conform_data import Outcome

    rows = []
    with _progress(len(target.kernels)) as advance:
        for kernel in target.kernels:
            advance(f"{kernel.op} {kernel.format}")
            rows.append(_judge(kernel, asked))
    return Outcome(target, tuple(rows), asked)


def _judge(kernel: Kernel, asked: Policy | None) -> Row:
    from mxref.check.kernel import kernel as check_kernel
    from mxref.check.target import TargetError
    from mxref.cli._conform_data import Row

    try:
        with _quiet_stdout():
            report = check_kernel(kernel.fn, kernel.format, op=kernel.op, policy=asked)
    except TargetError as error:
        return Row(kernel, None, str(error))
    return Row(kernel, report)


def _quiet_stdout() -> contextlib.redirect_stdout[TextIO]:
    """Send what the target prints to standard error: standard output is the answer's."""
    return contextlib.redirect_stdout(sys.stderr)


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """Show a bar on a terminal, and nothing in a pipe."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=out, transient=True) as progress:
        task = progress.add_task("", total=total)
        done = -1

        def advance(name: str) -> None:
            nonlocal done
            done += 1
            progress.update(task, description=name, completed=done)

        yield advance
