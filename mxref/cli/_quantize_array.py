"""The array form of ``mxref quantize``: .npy files in and out."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from mxref.cli._files import load_numbers, require_free, save_all
from mxref.cli._output import emit_json, fail, one_line_errors
from mxref.relatives import family_of

__all__ = ["run"]


def run(  # noqa: PLR0913  # one parameter an option
    source: Path,
    *,
    format_name: str,
    codes: Path,
    scales: Path,
    subscales: Path | None,
    global_scale: Path | None,
    axis: int,
    block_size: int | None,
    policy: str | None,
    pad: bool,
    input_dtype: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Quantize an array; write one code a byte, and what each block shares."""
    family = family_of(format_name)
    _require_places(family, format_name, subscales, global_scale)
    files = [file for file in (codes, scales, subscales, global_scale) if file is not None]
    require_free([source], files, force=force)
    x = load_numbers(source, input_dtype)
    with one_line_errors(f"{source}: "):
        from mxref.conversions import quantize

        q = quantize(x, format_name, axis, policy, block_size=block_size, pad=pad)
    saved = {codes: q.codes, scales: q.scales}
    if subscales is not None:
        if q.subscales is None:
            fail(f"--subscales: {format_name} has no second level; leave it out")
        saved[subscales] = q.subscales
    elif family == "bdr" and q.subscales is not None:
        fail(
            f"{format_name} has a sub-scale for every {q.format.k2} elements: give --subscales FILE"
        )
    if global_scale is not None:
        saved[global_scale] = np.float32(q.global_scale)
    save_all(saved, force=force)
    summary = {
        "format": q.format.name,
        "policy": str(q.policy),
        "axis": axis,
        "codes": {"file": str(codes), "shape": list(q.codes.shape)},
        "scales": {"file": str(scales), "shape": list(q.scales.shape)},
    }
    if subscales is not None:
        summary["subscales"] = {"file": str(subscales), "shape": list(q.subscales.shape)}
    if family == "nvfp4":
        summary["global_scale"] = float(q.global_scale)
    if as_json:
        emit_json(summary)
        return
    click.echo(f"{codes}: codes, uint8 {q.codes.shape}", err=True)
    kind = "scale codes" if q.scales.dtype == np.uint8 else "scales"
    click.echo(f"{scales}: {kind}, {q.scales.dtype} {q.scales.shape}", err=True)
    if subscales is not None:
        click.echo(f"{subscales}: sub-scales, uint8 {q.subscales.shape}", err=True)
    if family == "nvfp4":
        held = float(q.global_scale)
        click.echo(f"global scale {held!r}, by which decoding multiplies", err=True)


def _require_places(
    family: str, name: str, subscales: Path | None, global_scale: Path | None
) -> None:
    """Refuse files for what the format has not; NVFP4 must not lose its global scale."""
    if subscales is not None and family != "bdr":
        fail(f"--subscales is for BDR formats, and {name} is none: leave it out")
    if global_scale is not None and family != "nvfp4":
        fail(f"--global-scale is for nvfp4, not for {name}: leave it out")
    if family == "nvfp4" and global_scale is None:
        fail("nvfp4 has a scale for the whole tensor: give --global-scale FILE to write it to")
