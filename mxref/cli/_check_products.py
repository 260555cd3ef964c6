"""``mxref check dot`` and ``matmul``: products that a kernel computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mxref.cli import _check_options as options
from mxref.cli._files import load_codes, load_numbers
from mxref.cli._output import one_line_errors
from mxref.cli._reports import Reports

__all__ = ["dot", "matmul"]

_F = TypeVar("_F", bound=Callable[..., Any])


def _formats(function: _F) -> _F:
    for option in (
        click.option(
            "--accumulate",
            metavar="NAME",
            help="What the sum claims: exact, ocp-fp32 or another name that a report gave.",
        ),
        click.option(
            "--addend",
            type=click.Path(path_type=Path),
            help="What was added to each result: c of a @ b + c, .npy.",
        ),
        click.option(
            "--output-dtype",
            type=click.Choice(("float32", "float64", "float16", "bfloat16")),
            help="What the results are; needed for bfloat16 only, which .npy cannot record.",
        ),
        click.option("--format-b", help="Block format of b; default: that of a."),
        click.option(
            "--format", "format_name", required=True, help="Block format of a, such as mxfp4."
        ),
    ):
        function = option(function)
    return function


@click.command("dot")
@options.file("codes-a", "Codes of a, (n, K).")
@options.file("scales-a", "Scale codes of a, (n, K / 32).")
@options.file("codes-b", "Codes of b, (n, K).")
@options.file("scales-b", "Scale codes of b, (n, K / 32).")
@options.file("output", "The results d, (n,).")
@_formats
@click.option("--k", type=int, help="How many elements of a row count; default: all.")
@options.report_as
def dot(  # noqa: PLR0913  # one parameter an option
    *,
    codes_a: Path,
    scales_a: Path,
    codes_b: Path,
    scales_b: Path,
    output: Path,
    format_name: str,
    format_b: str | None,
    accumulate: str | None,
    addend: Path | None,
    output_dtype: str | None,
    k: int | None,
    as_json: bool,
    reports: Reports,
) -> None:
    """Judge dot products of rows.

    Each row of a with the same row of b gives one result.
    """
    a = load_codes(codes_a, "codes"), options.read_scales(scales_a)
    b = load_codes(codes_b, "codes"), options.read_scales(scales_b)
    d = load_numbers(output, output_dtype)
    c = None if addend is None else load_numbers(addend)
    with one_line_errors():
        from mxref import check

        report = check.dot(*a, *b, d, format_name, format_b, k=k, accumulate=accumulate, c=c)
    options.finish(report, output, reports, as_json=as_json)


@click.command("matmul")
@options.file("codes-a", "Codes of a, (M, K).")
@options.file("scales-a", "Scale codes of a, (M, K / 32).")
@options.file("codes-b", "Codes of b, (K, N).")
@options.file("scales-b", "Scale codes of b, (K / 32, N).")
@options.file("output", "The product d, (M, N).")
@_formats
@options.report_as
def matmul(  # noqa: PLR0913  # one parameter an option
    *,
    codes_a: Path,
    scales_a: Path,
    codes_b: Path,
    scales_b: Path,
    output: Path,
    format_name: str,
    format_b: str | None,
    accumulate: str | None,
    addend: Path | None,
    output_dtype: str | None,
    as_json: bool,
    reports: Reports,
) -> None:
    """Judge a matrix product.

    Blocks lie along the rows of a and along the columns of b.
    """
    left = load_codes(codes_a, "codes"), options.read_scales(scales_a)
    right = load_codes(codes_b, "codes"), options.read_scales(scales_b)
    d = load_numbers(output, output_dtype)
    c = None if addend is None else load_numbers(addend)
    from mxref.mxarray import MXArray

    with one_line_errors(f"a ({codes_a}, {scales_a}): "):
        a = MXArray(*left, format_name, axis=1)
    with one_line_errors(f"b ({codes_b}, {scales_b}): "):
        b = MXArray(*right, format_b or format_name, axis=0)
    with one_line_errors():
        from mxref import check

        report = check.matmul(a, b, d, accumulate, c=c)
    options.finish(report, output, reports, as_json=as_json)
