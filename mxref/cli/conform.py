"""``mxref conform``: drive somebody's kernels with designed inputs and name what differs."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TextIO

import click

from mxref._suggest import unknown_name
from mxref.cli._output import console, emit_json, fail, json_option, one_line_errors
from mxref.cli._reports import Reports, report_option, write_reports

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mxref.check.parts import Gap
    from mxref.check.target import Kernel, Target, TargetOptions
    from mxref.cli._conform_data import Outcome, Row
    from mxref.policy import Policy

__all__ = ["command"]


_COULD_NOT_RUN = 2
_DEFAULT_TIMEOUT = 60.0

# A paragraph after \b keeps its line breaks.
_HELP = """\
Validate TARGET bit for bit, and name what differs.

\b
TARGET is one of
  ml_dtypes               a built-in adapter
  py:MODULE:FUNCTION      a Python function; also from the current directory
  cmd:PROGRAM             a program that reads and writes lines of hexadecimal numbers
  cmd+json:PROGRAM        a program that reads and writes lines of JSON
  so:LIBRARY:SYMBOL       a C function in a shared library
  so:LIBRARY              all its functions named mxref_OPERATION_FORMAT

\b
A Python function is called on whole arrays:
  quantize    fn(x: float32 (n, 32)) -> codes (n, 32), scales (n, 1)
  dequantize  fn(codes (n, 32), scales (n, 1)) -> float32 (n, 32)
  encode      fn(x: float32 (n,)) -> codes (n,)
  decode      fn(codes (n,)) -> float32 (n,)

Codes and scale codes are uint8, one a byte. It may return arrays of any library. Functions,
programs and libraries run in processes of their own. docs/protocols.md specifies the others.

Exit code 0: conforms, or follows another legal policy and none was asked for. 1: does not.
2: could not run. What the target does not claim, or skips, counts neither way.
"""


@click.command("conform", help=_HELP)
@click.argument("target")
@click.option("--format", "format_name", help="Only this format; a function needs it.")
@click.option(
    "--op",
    help="Only this operation: encode, decode, quantize or dequantize. For a function: what it "
    "does; default quantize. Python functions also quantize_tensor, dequantize_tensor and dot.",
)
@click.option("--policy", help="What the target claims to follow; without it mxref finds out.")
@click.option(
    "--level",
    default="core",
    show_default=True,
    help="How much is tried: smoke (ten easy cases), core, full or exhaustive.",
)
@click.option(
    "--input-dtype",
    "input_type",
    default="float32",
    show_default=True,
    help="What encode and quantize are given: float32, bfloat16 or float16.",
)
@click.option(
    "--arrays",
    default="numpy",
    show_default=True,
    help="What a Python function is given: numpy, torch, jax or cupy; with a device: torch:cuda.",
)
@click.option("--axis", type=click.Choice(["0", "1"]), help="Along which blocks of tensors lie.")
@click.option(
    "--packing", help="Of tensors: bytes (the default), nibbles-low-first or nibbles-high-first."
)
@click.option("--scale-layout", help="Of tensors: row-major (the default) or 128x4.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=_DEFAULT_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="How long one call may take.",
)
@click.option(
    "--no-isolate",
    is_flag=True,
    help="Run a Python function in this process, for a debugger; there is no timeout then.",
)
@click.option("--list-claims", is_flag=True, help="Print what the target implements, and stop.")
@click.option(
    "--expect",
    "expected",
    multiple=True,
    metavar="FAULT",
    help="A defect that is known, such as S17: exit 0 if exactly the expected ones are found.",
)
@json_option
@report_option
def command(  # noqa: PLR0913  # click passes one argument an option
    *,
    target: str,
    format_name: str | None,
    op: str | None,
    policy: str | None,
    level: str,
    input_type: str,
    arrays: str,
    axis: str | None,
    packing: str | None,
    scale_layout: str | None,
    timeout: float,
    no_isolate: bool,
    list_claims: bool,
    expected: tuple[str, ...],
    as_json: bool,
    reports: Reports,
) -> None:
    """Validate a target; `_HELP` is what users read."""
    from mxref.check.kernel import LEVELS
    from mxref.check.target import TargetError, TargetOptions, load_target
    from mxref.policy import get_policy

    with one_line_errors():
        asked = None if policy is None else get_policy(policy)
    if level not in LEVELS:
        fail(unknown_name("level", level, LEVELS))
    layout = _layout(op, axis, packing, scale_layout)
    options = TargetOptions(timeout, arrays, not no_isolate, input_type)
    try:
        with _quiet_stdout():
            found = load_target(target, format_name, op, options)
    except TargetError as error:
        fail(str(error))
    with found:
        if list_claims:
            _print_claims(found, as_json=as_json)
            return
        outcome = _run(found, asked, options, {"level": level, **layout})
    write_reports(outcome, reports, expected)
    code = outcome.exit_code(expected)
    if as_json:
        emit_json(outcome.to_dict(expected))
    elif len(outcome.rows) == 1 and code == _COULD_NOT_RUN:
        fail(f"{found.title}: {_trouble(outcome.rows[0]) or 'nothing could be judged'}")
    elif not reports.take_stdout:
        from mxref.cli._conform_view import print_outcome

        print_outcome(console(), outcome, expected)
    click.get_current_context().exit(code)


def _layout(
    op: str | None, axis: str | None, packing: str | None, scale_layout: str | None
) -> dict[str, Any]:
    """Return what was said about the layout of tensors."""
    number = None if axis is None else int(axis)
    given = {"axis": number, "packing": packing, "scale_layout": scale_layout}
    layout = {name: value for name, value in given.items() if value is not None}
    if layout and op not in ("quantize_tensor", "dequantize_tensor"):
        names = ", ".join("--" + name.replace("_", "-") for name in layout)
        fail(f"{names}: for --op quantize_tensor and --op dequantize_tensor only")
    return layout


def _print_claims(target: Target, *, as_json: bool) -> None:
    """Print the operations and formats that a target offers, one a line."""
    if as_json:
        claims = [{"op": k.op, "format": k.format, "policy": k.policy} for k in target.kernels]
        emit_json({"target": {"name": target.name, "title": target.title}, "claims": claims})
        return
    for kernel in target.kernels:
        click.echo(" ".join(filter(None, (kernel.op, kernel.format, kernel.policy))))


def _run(
    target: Target,
    asked: Policy | None,
    options: TargetOptions | None = None,
    extra: dict[str, Any] | None = None,
) -> Outcome:
    from mxref.check.target import TargetOptions
    from mxref.cli._conform_data import Outcome

    how = options or TargetOptions()
    rows = []
    with _progress(len(target.kernels)) as progress:
        for kernel in target.kernels:
            progress.start(f"{kernel.op} {kernel.format}")
            settings = {
                "policy": asked or kernel.policy,
                "input_dtype": how.input_type,
                # Targets with a process of their own keep the time themselves.
                "timeout": None if ":" in target.name else how.timeout,
                "progress": progress.inside,
                **(extra or {}),
            }
            rows.append(_judge(kernel, settings))
    return Outcome(target, tuple(rows), asked)


def _judge(kernel: Kernel, settings: dict[str, Any]) -> Row:
    from mxref.check.kernel import kernel as check_kernel
    from mxref.check.target import TargetError
    from mxref.cli._conform_data import Row

    start = time.perf_counter()
    try:
        _require_possible(kernel, settings)
    except ValueError as error:
        return Row(kernel, None, str(error), time.perf_counter() - start)
    try:
        with _quiet_stdout():
            report = check_kernel(kernel.fn, kernel.format, op=kernel.op, **settings)
    except TargetError as error:  # anything else is a bug of ours, and must not look like theirs
        return Row(kernel, None, str(error), time.perf_counter() - start)
    if settings.get("level") == "smoke" and report.gaps:
        report = replace(report, gaps=(_of_smoke(len(report.gaps)),))
    return Row(kernel, report, "", time.perf_counter() - start)


def _of_smoke(count: int) -> Gap:
    """Return one gap in place of those that this level has by design."""
    from mxref.check.parts import Gap

    kinds = f"{count} kinds of input" if count > 1 else "1 kind of input"
    return Gap(f"{kinds}: level smoke tries easy values only, level core the rest", (), "")


def _require_possible(kernel: Kernel, settings: dict[str, Any]) -> None:
    """Refuse wishes that no check can meet, before the target is run.

    Raises
    ------
    ValueError
        If the policy cannot be judged, or the layout does not exist.
    """
    from mxref.check.tensor._drive import layout_of
    from mxref.faults.legal import require_judgeable
    from mxref.formats import block_format
    from mxref.policy import get_policy

    policy = settings["policy"]
    if policy is not None:
        found = get_policy(policy)
        if kernel.op in ("quantize", "encode", "quantize_tensor"):
            require_judgeable(found)
    if kernel.op.endswith("_tensor"):
        layout = {"axis": -1, "packing": "bytes", "scale_layout": "row-major"}
        chosen = {name: settings.get(name, usual) for name, usual in layout.items()}
        layout_of(**chosen, fmt=block_format(kernel.format))


def _trouble(row: Row) -> str:
    """Return why nothing was judged, or an empty string."""
    if row.report is None:
        return row.error
    return "" if row.report.trouble is None else row.report.trouble.text


def _quiet_stdout() -> contextlib.redirect_stdout[TextIO]:
    """Send what the target prints to standard error: standard output is the answer's."""
    return contextlib.redirect_stdout(sys.stderr)


class _Quiet:
    """Progress that nobody sees."""

    def start(self, name: str) -> None:
        """Go on to the next kernel."""

    def inside(self, done: int, total: int) -> None:
        """Note how far one kernel is."""


@dataclass(slots=True)
class _Bar(_Quiet):
    """A bar on a terminal: one step for each kernel, and within it what the level asks for."""

    bar: Progress
    task: TaskID
    name: str = ""
    finished: int = -1

    def start(self, name: str) -> None:
        """Go on to the next kernel."""
        self.name, self.finished = name, self.finished + 1
        self.bar.update(self.task, description=name, completed=self.finished)

    def inside(self, done: int, total: int) -> None:
        """Note how far one kernel is."""
        share = done / max(1, total)
        self.bar.update(self.task, description=self.name, completed=self.finished + share)


@contextlib.contextmanager
def _progress(total: int) -> Iterator[_Quiet]:
    """Show a bar on a terminal, and nothing in a pipe."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield _Quiet()
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description:24}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=out, transient=True) as bar:
        yield _Bar(bar, bar.add_task("", total=total))
