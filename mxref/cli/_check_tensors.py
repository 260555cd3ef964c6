"""``mxref check quantize-tensor`` and ``dequantize-tensor``: bytes as a kernel stored them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mxref.cli import _check_options as options
from mxref.cli._files import load_codes, load_numbers
from mxref.cli._output import one_line_errors
from mxref.cli._reports import Reports

__all__ = ["dequantize_tensor", "quantize_tensor"]

_F = TypeVar("_F", bound=Callable[..., Any])


def _layout(function: _F) -> _F:
    for option in (
        click.option(
            "--scale-layout",
            default="row-major",
            show_default=True,
            help="Order of the scale codes, such as 128x4 or column-major.",
        ),
        click.option(
            "--packing",
            default="bytes",
            show_default=True,
            help="Elements: bytes, nibbles-low-first or nibbles-high-first.",
        ),
        click.option(
            "--axis", default=-1, show_default=True, help="Axis along which blocks lie: 0 or 1."
        ),
    ):
        function = option(function)
    return function


@click.command("quantize-tensor")
@options.file("input", "The matrix that was quantized.")
@options.file("elements", "The bytes of its elements, padding included; of any shape.")
@options.file("scales", "The bytes of its scale codes, padding included; of any shape.")
@options.block
@_layout
@options.input_dtype
@options.common
def quantize_tensor(  # noqa: PLR0913  # one parameter an option
    *,
    input: Path,  # noqa: A002
    elements: Path,
    scales: Path,
    format_name: str,
    axis: int,
    packing: str,
    scale_layout: str,
    input_dtype: str | None,
    policy: str | None,
    as_json: bool,
    reports: Reports,
) -> None:
    """Judge the bytes stored for a matrix.

    Their order and packing are judged too; what padding holds is not.
    """
    x, e = load_numbers(input, input_dtype), load_codes(elements, "elements")
    s = options.read_scales(scales)
    with one_line_errors():
        from mxref import check

        report = check.quantize_tensor(
            x, e, s, format_name, axis, policy, packing=packing, scale_layout=scale_layout
        )
    options.finish(report, elements, reports, as_json=as_json)


@click.command("dequantize-tensor")
@options.file("elements", "The bytes of the elements; of any shape.")
@options.file("scales", "The bytes of the scale codes; of any shape.")
@options.file("output", "The matrix y that they were decoded to, float32.")
@options.block
@_layout
@options.common
def dequantize_tensor(  # noqa: PLR0913  # one parameter an option
    *,
    elements: Path,
    scales: Path,
    output: Path,
    format_name: str,
    axis: int,
    packing: str,
    scale_layout: str,
    policy: str | None,
    as_json: bool,
    reports: Reports,
) -> None:
    """Judge the matrix that stored bytes were decoded to."""
    e, s = load_codes(elements, "elements"), options.read_scales(scales)
    y = load_numbers(output)
    with one_line_errors():
        from mxref import check

        report = check.dequantize_tensor(
            *(e, s, y, format_name),
            axis=axis,
            policy=policy,
            packing=packing,
            scale_layout=scale_layout,
        )
    options.finish(report, output, reports, as_json=as_json)
