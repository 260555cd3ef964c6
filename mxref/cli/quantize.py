"""``mxref quantize``: an array in, codes and scale codes out, as .npy files."""

from __future__ import annotations

from pathlib import Path

import click

from mxref.cli._files import INPUT_DTYPES, load_numbers, require_free, save_all
from mxref.cli._output import emit_json, json_option, one_line_errors

__all__ = ["command"]

_FILE = click.Path(path_type=Path)


@click.command("quantize")
@click.argument("source", metavar="IN.npy", type=_FILE)
@click.option("--format", "format_name", required=True, help="Block format, such as mxfp4.")
@click.option("--codes", required=True, type=_FILE, help="File for the codes (uint8).")
@click.option("--scales", required=True, type=_FILE, help="File for the scale codes (uint8).")
@click.option("--axis", default=-1, show_default=True, help="Axis along which blocks lie.")
@click.option("--block-size", type=int, help="Elements that share a scale; default 32.")
@click.option("--policy", default="ocp", show_default=True, help="Profile, or ocp:field=choice,...")
@click.option("--pad", is_flag=True, help="Complete the last block with zeros.")
@click.option("--input-dtype", type=click.Choice(INPUT_DTYPES), help="What IN.npy holds.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@json_option
def command(  # noqa: PLR0913, PLR0917  # one parameter an option
    source: Path,
    format_name: str,
    codes: Path,
    scales: Path,
    axis: int,
    block_size: int | None,
    policy: str,
    pad: bool,  # noqa: FBT001
    input_dtype: str | None,
    force: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Quantize IN.npy; write one code a byte, and one scale code a block.

    Existing files are kept unless --force is given; files appear whole or not at all.
    """
    require_free([source], [codes, scales], force=force)
    x = load_numbers(source, input_dtype)
    with one_line_errors(f"{source}: "):
        from mxref.arrays import quantize

        q = quantize(x, format_name, axis, policy, block_size=block_size, pad=pad)
    save_all({codes: q.codes, scales: q.scales}, force=force)
    summary = {
        "format": q.format.name,
        "policy": str(q.policy),
        "axis": axis,
        "codes": {"file": str(codes), "shape": list(q.codes.shape)},
        "scales": {"file": str(scales), "shape": list(q.scales.shape)},
    }
    if as_json:
        emit_json(summary)
        return
    click.echo(f"{codes}: codes, uint8 {q.codes.shape}", err=True)
    click.echo(f"{scales}: scale codes, uint8 {q.scales.shape}", err=True)
