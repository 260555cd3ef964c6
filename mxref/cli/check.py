"""``mxref check``: judge arrays that somebody's kernel wrote, as .npy files."""

from __future__ import annotations

from pathlib import Path

import click

from mxref.cli import _check_options as options
from mxref.cli._check_checkpoint import checkpoint
from mxref.cli._check_products import dot, matmul
from mxref.cli._check_tensors import dequantize_tensor, quantize_tensor
from mxref.cli._files import load_codes, load_numbers
from mxref.cli._group import NamingGroup
from mxref.cli._output import one_line_errors
from mxref.cli._reports import Reports

__all__ = ["command"]


@click.group("check", cls=NamingGroup)
def command() -> None:
    """Judge .npy files bit for bit. Exit code 0: conforms. 1: does not. 2: could not run.

    Codes and scale codes are uint8, one a byte, in the logical shape of the array; for
    quantize-tensor and dequantize-tensor they are bytes as they are stored. No data at all is 2.
    """


@command.command()
@options.file("input", "What was quantized.")
@options.file("codes", "Its codes.")
@options.file("scales", "Its scale codes.")
@options.block
@options.blocks
@options.relatives
@options.input_dtype
@options.common
def quantize(  # noqa: PLR0913, PLR0917  # one parameter an option
    input: Path,  # noqa: A002
    codes: Path,
    scales: Path,
    format_name: str,
    axis: int,
    block_size: int | None,
    global_scale: str | None,
    subscales: Path | None,
    input_dtype: str | None,
    policy: str | None,
    as_json: bool,  # noqa: FBT001
    reports: Reports,
) -> None:
    """Judge codes and scales against the array that was quantized."""
    x, c = load_numbers(input, input_dtype), load_codes(codes, "codes")
    s = options.read_scales(scales, format_name)
    more = options.read_relatives(global_scale, subscales)
    with one_line_errors():
        from mxref import check

        report = check.quantize(x, c, s, format_name, axis, policy, block_size=block_size, **more)
    options.finish(report, codes, reports, as_json=as_json)


@command.command()
@options.file("codes", "Codes.")
@options.file("scales", "Their scale codes.")
@options.file("output", "What they were decoded to.")
@options.block
@options.blocks
@options.relatives
@options.common
def dequantize(  # noqa: PLR0913, PLR0917  # one parameter an option
    codes: Path,
    scales: Path,
    output: Path,
    format_name: str,
    axis: int,
    block_size: int | None,
    global_scale: str | None,
    subscales: Path | None,
    policy: str | None,
    as_json: bool,  # noqa: FBT001
    reports: Reports,
) -> None:
    """Judge the values that codes and scales were decoded to."""
    c, s = load_codes(codes, "codes"), options.read_scales(scales, format_name)
    y, more = load_numbers(output), options.read_relatives(global_scale, subscales)
    with one_line_errors():
        from mxref import check

        report = check.dequantize(c, s, y, format_name, axis, policy, block_size=block_size, **more)
    options.finish(report, output, reports, as_json=as_json)


@command.command()
@options.file("input", "What was cast.")
@options.file("codes", "Its codes.")
@options.scalar
@options.input_dtype
@options.common
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
    options.finish(report, codes, reports, as_json=as_json)


@command.command()
@options.file("codes", "Codes.")
@options.file("output", "What they were decoded to.")
@options.scalar
@options.common
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
    options.finish(report, output, reports, as_json=as_json)


for _other in (quantize_tensor, dequantize_tensor, dot, matmul, checkpoint):
    command.add_command(_other)
