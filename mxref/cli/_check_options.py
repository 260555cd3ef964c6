"""What the commands of ``mxref check`` share: options, how files are read, and the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mxref.cli._files import INPUT_DTYPES, load_codes, load_numbers
from mxref.cli._output import console, emit_json, fail, json_option, one_line_errors
from mxref.cli._reports import Reports, report_option, write_report
from mxref.relatives import family_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mxref.check.report import Report

__all__ = [
    "block",
    "blocks",
    "common",
    "file",
    "finish",
    "input_dtype",
    "read_relatives",
    "read_scales",
    "relatives",
    "report_as",
    "scalar",
]

_F = TypeVar("_F", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path)

input_dtype = click.option(
    "--input-dtype", type=click.Choice(INPUT_DTYPES), help="What the input file holds."
)
block = click.option("--format", "format_name", required=True, help="Block format, such as mxfp4.")
scalar = click.option(
    "--format",
    "format_name",
    required=True,
    help="Element or scale format, such as e4m3 or e8m0.",
)


def file(name: str, text: str) -> Callable[[_F], _F]:
    """Add an option that names a file, and has to be given."""
    return click.option(f"--{name}", required=True, type=_FILE, metavar="FILE.npy", help=text)


def report_as(function: _F) -> _F:
    """Add ``--json`` and ``--report``."""
    return json_option(report_option(function))


def common(function: _F) -> _F:
    """Add ``--policy``, ``--json`` and ``--report``."""
    policy = click.option(
        "--policy", help="What the kernel claims to follow; without it mxref finds out."
    )
    return policy(report_as(function))


def blocks(function: _F) -> _F:
    """Add ``--axis`` and ``--block-size``."""
    axis = click.option(
        "--axis", default=-1, show_default=True, help="Axis along which blocks lie."
    )
    size = click.option("--block-size", type=int, help="Elements that share a scale; default 32.")
    return axis(size(function))


def relatives(function: _F) -> _F:
    """Add ``--global-scale`` and ``--subscales``: what NVFP4 and BDR formats have besides."""
    whole = click.option(
        "--global-scale",
        metavar="NUMBER|FILE.npy",
        help="NVFP4: the number that decoding multiplies by; 1 where a tensor has none.",
    )
    second = click.option(
        "--subscales",
        type=_FILE,
        metavar="FILE.npy",
        help="BDR (mx9, mx6, ...): the shift, or integer, of each sub-block.",
    )
    return whole(second(function))


def read_relatives(global_scale: str | None, subscales: Path | None) -> dict[str, Any]:
    """Read what `relatives` added, as arguments of a check."""
    found: dict[str, Any] = {}
    if global_scale is not None:
        found["global_scale"] = _number(global_scale)
    if subscales is not None:
        found["subscales"] = load_codes(subscales, "sub-scales")
    return found


def _number(text: str) -> float:
    if text.endswith(".npy"):
        held = load_numbers(Path(text), None)
        if held.size != 1:
            fail(f"{text}: holds {held.size} numbers, but a tensor has one global scale")
        return float(held.reshape(-1)[0])
    try:
        return float.fromhex(text) if text.lower().startswith("0x") else float(text)
    except ValueError:
        fail(f"--global-scale {text}: neither a number nor the name of a .npy file")


def read_scales(path: Path, format_name: str = "") -> NDArray[Any]:
    """Read scale codes; or the float32 scales of the BDR formats that have them."""
    if family_of(format_name) == "bdr":
        from mxref.relatives.bdr_formats import bdr_format

        with one_line_errors():
            scale = bdr_format(format_name).scale
        if scale == "float32":
            return load_numbers(path, None)
    return load_codes(path, "scale codes")


def finish(report: Report, judged: Path, reports: Reports, *, as_json: bool) -> None:
    """Write and print a report, and end with its exit code."""
    from mxref.check.render.run import Run

    write_report(report, str(judged), reports)
    if as_json:
        emit_json(json.loads(report.to_json()))
    elif not reports.take_stdout:
        _print(report)
    click.get_current_context().exit(Run.of(report).exit_code)


def _print(report: Report) -> None:
    out = console()
    if not out.is_terminal:
        click.echo(str(report))
        return
    from mxref.check.render.terminal import styled

    out.print(styled(report))
