"""The array form of ``mxref quantize``: .npy files in and out."""

from __future__ import annotations

from pathlib import Path

import click

from mxref.cli._files import load_numbers, require_free, save_all
from mxref.cli._output import emit_json, one_line_errors

__all__ = ["run"]


def run(  # noqa: PLR0913  # one parameter an option
    source: Path,
    *,
    format_name: str,
    codes: Path,
    scales: Path,
    axis: int,
    block_size: int | None,
    policy: str,
    pad: bool,
    input_dtype: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Quantize an array; write one code a byte, and one scale code a block."""
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
