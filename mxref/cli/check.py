"""``mxref check``: judge arrays that somebody's kernel wrote, as .npy files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mxref.cli._files import INPUT_DTYPES, load_codes, load_numbers
from mxref.cli._output import console, emit_json, json_option, one_line_errors
from mxref.cli._reports import Reports, report_option, write_report

if TYPE_CHECKING:
    from mxref.check.report import Report

__all__ = ["command"]

_F = TypeVar("_F", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path)


@click.group("check")
def command() -> None:
    """Judge .npy files bit for bit. Exit code 0: conforms. 1: does not. 2: could not run.

    Codes and scale codes are uint8, one a byte, in the logical shape of the array.
    """


def _file(name: str, text: str) -> Callable[[_F], _F]:
    return click.option(f"--{name}", required=True, type=_FILE, metavar="FILE.npy", help=text)


def _format(kind: str) -> Callable[[_F], _F]:
    return click.option("--format", "format_name", required=True, help=kind)


def _common(function: _F) -> _F:
    policy = click.option(
        "--policy", help="What the kernel claims to follow; without it mxref finds out."
    )
    return policy(json_option(report_option(function)))


def _blocks(function: _F) -> _F:
    axis = click.option(
        "--axis", default=-1, show_default=True, help="Axis along which blocks lie."
    )
    size = click.option("--block-size", type=int, help="Elements that share a scale; default 32.")
    return axis(size(function))


_INPUT_DTYPE = click.option(
    "--input-dtype", type=click.Choice(INPUT_DTYPES), help="What the input file holds."
)
_BLOCK = _format("Block format, such as mxfp4.")
_SCALAR = _format("Element or scale format, such as e4m3 or e8m0.")


@command.command()
@_file("input", "What was quantized.")
@_file("codes", "Its codes.")
@_file("scales", "Its scale codes.")
@_BLOCK
@_blocks
@_INPUT_DTYPE
@_common
def quantize(  # noqa: PLR0913, PLR0917  # one parameter an option
    input: Path,  # noqa: A002
    codes: Path,
    scales: Path,
    format_name: str,
    axis: int,
    block_size: int | None,
    input_dtype: str | None,
    policy: str | None,
    as_json: bool,  # noqa: FBT001
    reports: Reports,
) -> None:
    """Judge codes and scales against the array that was quantized."""
    x, c, s = load_numbers(input, input_dtype), load_codes(codes, "codes"), _scales(scales)
    with one_line_errors():
        from mxref import check

        report = check.quantize(x, c, s, format_name, axis, policy, block_size=block_size)
    _finish(report, codes, reports, as_json=as_json)


@command.command()
@_file("codes", "Codes.")
@_file("scales", "Their scale codes.")
@_file("output", "What they were decoded to.")
@_BLOCK
@_blocks
@_common
def dequantize(  # noqa: PLR0913, PLR0917  # one parameter an option
    codes: Path,
    scales: Path,
    output: Path,
    format_name: str,
    axis: int,
    block_size: int | None,
    policy: str | None,
    as_json: bool,  # noqa: FBT001
    reports: Reports,
) -> None:
    """Judge the values that codes and scales were decoded to."""
    c, s, y = load_codes(codes, "codes"), _scales(scales), load_numbers(output)
    with one_line_errors():
        from mxref import check

        report = check.dequantize(c, s, y, format_name, axis, policy, block_size=block_size)
    _finish(report, output, reports, as_json=as_json)


@command.command()
@_file("input", "What was cast.")
@_file("codes", "Its codes.")
@_SCALAR
@_INPUT_DTYPE
@_common
def encode(
    input: Path,  # noqa: A002
    codes: Path,
    format_name: str,
    input_dtype: str | None,
    policy: str | None,
    as_json: bool,  # noqa: FBT001
    reports: Reports,
) -> None:
    """Judge the codes that numbers were cast to, without a scale."""
    x, c = load_numbers(input, input_dtype), load_codes(codes, "codes")
    with one_line_errors():
        from mxref import check

        report = check.encode(x, c, format_name, policy)
    _finish(report, codes, reports, as_json=as_json)


@command.command()
@_file("codes", "Codes.")
@_file("output", "What they were decoded to.")
@_SCALAR
@_common
def decode(
    codes: Path,
    output: Path,
    format_name: str,
    policy: str | None,
    as_json: bool,  # noqa: FBT001
    reports: Reports,
) -> None:
    """Judge the values that codes were decoded to, without a scale."""
    c, y = load_codes(codes, "codes"), load_numbers(output)
    with one_line_errors():
        from mxref import check

        report = check.decode(c, y, format_name, policy)
    _finish(report, output, reports, as_json=as_json)


def _scales(path: Path) -> Any:
    return load_codes(path, "scale codes")


def _finish(report: Report, judged: Path, reports: Reports, *, as_json: bool) -> None:
    write_report(report, str(judged), reports)
    if as_json:
        emit_json(json.loads(report.to_json()))
    elif not reports.take_stdout:
        _print(report)
    click.get_current_context().exit(0 if report.ok else 1)


def _print(report: Report) -> None:
    out = console()
    if not out.is_terminal:
        click.echo(str(report))
        return
    from mxref.check.render.terminal import styled

    out.print(styled(report))
