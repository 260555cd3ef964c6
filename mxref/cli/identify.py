"""``mxref identify``: say whose implementation it is."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from mxref.cli._files import INPUT_DTYPES, load_codes, load_numbers
from mxref.cli._output import console, emit_json, fail, json_option, one_line_errors

if TYPE_CHECKING:
    from mxref.check.identify import Identification
    from mxref.check.target import Kernel, Target, TargetOptions

__all__ = ["command"]

_FILE = click.Path(path_type=Path)
_WITH_FILES = {  # operation: the files that it needs, in the order of its arguments
    "quantize": ("input", "codes", "scales"),
    "dequantize": ("codes", "scales", "output"),
    "encode": ("input", "codes"),
    "decode": ("codes", "output"),
}


# A paragraph after \b keeps its line breaks.
_HELP = """\
Say which known implementations give the same bits as TARGET, or as given files.

TARGET is named as for `mxref conform`: ml_dtypes, py:MODULE:FUNCTION, cmd:PROGRAM, .... It is
run on a few inputs chosen to tell the profiles of `mxref profiles` apart, and on all that is
designed for its operation. For each profile that does not fit, the first input that rules it
out is shown.

\b
Files instead of a target, one code a byte, in the logical shape of the array:
  quantize    --input x.npy --codes c.npy --scales s.npy --format mxfp4
  dequantize  --codes c.npy --scales s.npy --output y.npy --format mxfp4
  encode      --input x.npy --codes c.npy --format e4m3
  decode      --codes c.npy --output y.npy --format e4m3

Exit code 0: at least one profile gives every bit; of a target with several kernels, in all of
them that it has. 1: none does. 2: could not run.
"""


@click.command("identify", help=_HELP)
@click.argument("target", required=False)
@click.option("--format", "format_name", help="Only this format; a function and files need it.")
@click.option("--op", help="Only this operation: encode, decode, quantize or dequantize.")
@click.option("--input", type=_FILE, metavar="FILE.npy", help="Given data: what went in.")
@click.option("--codes", type=_FILE, metavar="FILE.npy", help="Given data: the codes.")
@click.option("--scales", type=_FILE, metavar="FILE.npy", help="Given data: the scale codes.")
@click.option("--output", type=_FILE, metavar="FILE.npy", help="Given data: the decoded values.")
@click.option("--axis", default=-1, show_default=True, help="Axis along which given blocks lie.")
@click.option("--block-size", type=int, help="Elements that share a scale; default 32.")
@click.option(
    "--input-dtype",
    type=click.Choice(INPUT_DTYPES),
    help="What the file of --input holds; of a target, what it is given: float32 (the default), "
    "bfloat16 or float16.",
)
@click.option(
    "--arrays",
    default="numpy",
    show_default=True,
    help="What a Python function is given: numpy, torch, jax or cupy; with a device: torch:cuda.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long one call of the target may take.",
)
@click.option("--no-isolate", is_flag=True, help="Run a Python function in this process.")
@json_option
@click.pass_context
def command(  # noqa: PLR0913  # click passes one argument an option
    ctx: click.Context,
    *,
    target: str | None,
    format_name: str | None,
    op: str | None,
    input: Path | None,  # noqa: A002
    codes: Path | None,
    scales: Path | None,
    output: Path | None,
    axis: int,
    block_size: int | None,
    input_dtype: str | None,
    arrays: str,
    timeout: float,
    no_isolate: bool,
    as_json: bool,
) -> None:
    """Identify a target or files; `_HELP` is what users read."""
    files = {"input": input, "codes": codes, "scales": scales, "output": output}
    given = {name: path for name, path in files.items() if path is not None}
    if target is not None and given:
        fail("give a target or files, not both")
    if target is None and not given:
        fail("give a target, or files with --input, --codes, --scales and --output")
    if target is None:
        if arrays != "numpy":
            fail("--arrays says what a target is given; files need none")
        found = [_identify_files(given, format_name, op, axis, block_size, input_dtype)]
        _finish(ctx, found[0].title, found, {}, as_json=as_json)
        return
    from mxref.check.target import TargetError, TargetOptions, load_target

    options = TargetOptions(timeout, arrays, not no_isolate, input_dtype or "float32")
    try:
        with _quiet_stdout():
            loaded = load_target(target, format_name, op, options)
    except TargetError as error:
        fail(str(error))
    with loaded:
        found, errors = _identify_all(loaded, options)
    if not found:
        fail(f"{loaded.title}: {next(iter(errors.values()), 'it has no kernel to identify')}")
    _finish(ctx, loaded.title, found, errors, as_json=as_json)


def _identify_files(
    given: dict[str, Path],
    format_name: str | None,
    op: str | None,
    axis: int,
    block_size: int | None,
    input_dtype: str | None,
) -> Identification:
    chosen = op or next((o for o, names in _WITH_FILES.items() if set(names) == set(given)), None)
    if chosen not in _WITH_FILES or set(_WITH_FILES[chosen]) != set(given):
        need = "; ".join(
            f"{o} needs {', '.join('--' + n for n in names)}"
            for o, names in _WITH_FILES.items()
            if chosen in (None, o) or chosen not in _WITH_FILES
        )
        fail(f"these files are not what an operation needs: {need}")
    if format_name is None:
        fail("say which format the codes are in, such as --format mxfp4")
    arrays = [_load(name, given[name], input_dtype) for name in _WITH_FILES[chosen]]
    with one_line_errors():
        from mxref.check.identify import identify_data

        return identify_data(chosen, *arrays, format=format_name, axis=axis, block_size=block_size)


def _load(name: str, path: Path, input_dtype: str | None) -> Any:
    if name == "input":
        return load_numbers(path, input_dtype)
    if name == "output":
        return load_numbers(path)
    return load_codes(path, "codes" if name == "codes" else "scale codes")


def _identify_all(
    target: Target, options: TargetOptions
) -> tuple[list[Identification], dict[str, str]]:
    """Identify every kernel; those that fail are told apart from those that nobody is like."""
    from mxref.check.identify import identify
    from mxref.check.target import TargetError
    from mxref.profiles import OPERATIONS

    found: list[Identification] = []
    errors: dict[str, str] = {}
    how: dict[str, Any] = {"timeout": options.timeout, "input_dtype": options.input_type}
    kernels = [kernel for kernel in target.kernels if kernel.op in OPERATIONS]
    with _status() as say:
        for kernel in kernels:
            say(kernel)
            try:
                with _quiet_stdout():
                    found.append(identify(target, kernel.format, kernel.op, **how))
            except TargetError as error:
                errors[f"{kernel.op} {kernel.format}"] = str(error)
    return found, errors


@contextlib.contextmanager
def _status() -> Iterator[Any]:
    """Say what is being done on a terminal, and nothing in a pipe."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield lambda _: None
        return
    with out.status("") as status:

        def say(kernel: Kernel) -> None:
            status.update(f"{kernel.op} {kernel.format}")

        yield say


def _quiet_stdout() -> contextlib.redirect_stdout[TextIO]:
    """Send what the target prints to standard error: standard output is the answer's."""
    return contextlib.redirect_stdout(sys.stderr)


def _finish(
    ctx: click.Context,
    title: str,
    found: list[Identification],
    errors: dict[str, str],
    *,
    as_json: bool,
) -> None:
    from mxref.cli._identify_view import exit_code, print_all, to_dict

    if as_json:
        emit_json(to_dict(title, found, errors))
    else:
        print_all(title, found, errors)
    ctx.exit(exit_code(found, errors))
