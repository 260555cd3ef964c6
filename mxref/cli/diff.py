"""``mxref diff``: where two files of codes or values differ."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mxref.cli._files import INPUT_DTYPES, holds_floats, load_codes, load_numbers
from mxref.cli._output import (
    color_option,
    emit_json,
    emit_view,
    fail,
    json_option,
    one_line_errors,
)
from mxref.cli._own_words import command_line_errors

if TYPE_CHECKING:
    from mxref.mxarray import MXArray
    from mxref.show.diff import Difference

__all__ = ["command"]

_FILE = click.Path(path_type=Path)


@click.command("diff")
@click.argument("a")
@click.argument("b")
@click.option("--format", "format_name", help="What codes mean: e4m3; with scales mxfp4.")
@click.option("--axis", type=int, help="Axis along which blocks lie; default -1.")
@click.option("--block-size", type=int, help="Elements that share a scale; default 32.")
@click.option("--packing", help="Where bits lie: bytes (default), nibbles-low-first, ...")
@click.option("--scale-layout", help="Where scale codes lie: row-major (default), 128x4, ...")
@click.option("--layout", help="Instead of both: a project's convention, such as gpt-oss.")
@click.option("--input-dtype", type=click.Choice(INPUT_DTYPES), help="What files of numbers hold.")
@click.option("--values", is_flag=True, help="Compare what codes are worth; any two formats.")
@click.option("--plot", "picture", type=_FILE, help="Draw the differences: .svg, .png or .pdf.")
@click.option("--force", is_flag=True, help="Overwrite an existing picture.")
@color_option
@json_option
def command(  # noqa: PLR0913  # one parameter an option
    a: str,
    b: str,
    format_name: str | None,
    *,
    axis: int | None,
    block_size: int | None,
    packing: str | None,
    scale_layout: str | None,
    layout: str | None,
    input_dtype: str | None,
    values: bool,
    picture: Path | None,
    color: str,
    force: bool,
    as_json: bool,
) -> None:
    """Tell where A and B differ, bit for bit. Exit code 0: equal. 1: different. 2: could not run.

    A and B are each a file that MXArray.save wrote (q.npz), codes with their scale codes
    (CODES.npy:SCALES.npy, and behind a second colon the sub-scales, or NVFP4's global scale), codes
    alone (CODES.npy), or numbers (Y.npy). Codes need --format, unless the other is a q.npz.
    """
    if picture is not None:
        from mxref.cli.compare import require_picture

        require_picture([Path(p) for each in (a, b) for p in _parts(each)], picture, force=force)
    saved = {each: _saved(each) for each in (a, b) if Path(each).suffix.lower() == ".npz"}
    has_blocks = any(len(_parts(each)) > 1 for each in (a, b))
    if format_name is None and len(saved) == 1 and has_blocks:
        (known,) = saved.values()
        format_name, axis = known.format.name, known.axis if axis is None else axis
    may_be_numbers = values or has_blocks  # beside codes of the same format
    x, y = (
        saved[each]
        if each in saved
        else _numbers(Path(each), input_dtype)
        if may_be_numbers and holds_floats(Path(each))
        else _load(each, format_name, input_dtype)
        for each in (a, b)
    )
    with command_line_errors():
        from mxref.show.diff import diff

        if values:
            if packing or scale_layout or layout:
                fail("--values compares numbers: leave out --packing, --scale-layout and --layout")
            x, y = _numbers_of(x, y, (format_name, axis, block_size))
            format_name = axis = block_size = None
        found = diff(
            x,
            y,
            format_name,
            axis,
            block_size=block_size,
            packing=packing,
            scale_layout=scale_layout,
            layout=layout,
        )
    if as_json:
        emit_json(found.to_dict())
    else:
        emit_view(found, color)
    if picture is not None:
        _draw(found, picture)
    click.get_current_context().exit(1 if found else 0)


def _numbers_of(x: Any, y: Any, codes: tuple[str | None, int | None, int | None]) -> list[Any]:
    """Decode what is in codes, and bring both into the wider type, which keeps every value."""
    import numpy as np

    from mxref.casts import decode
    from mxref.show.diff._operands import wrapped

    found: list[Any] = []
    for each, name in ((x, "a"), (y, "b")):
        given = wrapped(each, name, *codes)
        if hasattr(given, "dequantize"):
            found.append(given.dequantize())
        elif given.dtype == np.uint8 and codes[0] is not None:
            found.append(decode(given, codes[0]))
        else:
            found.append(given)
    if found[0].dtype == found[1].dtype:
        return found
    is_wide = any(each.dtype.itemsize == np.float64().itemsize for each in found)
    return [each.astype(np.float64 if is_wide else np.float32) for each in found]


def _draw(found: Difference, picture: Path) -> None:
    if found.map is None:
        click.echo(f"{picture}: not drawn, since no element differs", err=True)
        return
    try:
        found.plot(picture)
    except ModuleNotFoundError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{picture}: cannot be written: {error.strerror or error}")
    click.echo(f"{picture}: where elements differ", err=True)


def _parts(given: str) -> list[str]:
    """Cut ``CODES.npy:SCALES.npy`` at the colons behind .npy."""
    return re.split(r"(?<=\.npy):", given)


def _load(given: str, format_name: str | None, input_dtype: str | None) -> Any:
    parts = _parts(given)
    if len(parts) > 1:
        return _blocks(given, parts, format_name)
    path = Path(given)
    if input_dtype is None and format_name is not None:
        return load_codes(path, "codes")
    return _numbers(path, input_dtype)


def _saved(given: str) -> MXArray:
    """Read what MXArray.save wrote."""
    from mxref.mxarray import MXArray

    try:
        with one_line_errors():
            return MXArray.load(given)
    except OSError as error:
        fail(f"{given}: cannot be read: {error.strerror or error}")


def _numbers(path: Path, input_dtype: str | None) -> Any:
    import numpy as np

    if input_dtype is None and path.is_file():
        try:
            kind = np.load(path, mmap_mode="r", allow_pickle=False).dtype.kind
        except Exception:  # noqa: BLE001  # load_numbers says what is wrong with it
            kind = ""
        if kind in "ui" and kind:
            fail(
                f"{path}: holds integers; if they are codes, say which: --format e4m3, or with "
                f"their scale codes {path}:SCALES.npy --format mxfp4"
            )
    return load_numbers(path, input_dtype)


def _blocks(given: str, parts: list[str], format_name: str | None) -> tuple[Any, ...]:
    from mxref.cli._check_options import read_scales
    from mxref.relatives import family_of

    if format_name is None:
        fail(f"{given}: codes with scales need their format: --format mxfp4")
    family = family_of(format_name)
    most = 2 if family == "mx" else 3
    if len(parts) > most:
        fail(
            f"{given}: {len(parts)} parts; {format_name} has {most}, CODES.npy:SCALES.npy"
            + ("" if most == 2 else ":MORE")
        )
    held = [load_codes(Path(parts[0]), "codes"), read_scales(Path(parts[1]), format_name)]
    if len(parts) > 2:
        held.append(_third(parts[2], family))
    return tuple(held)


def _third(text: str, family: str) -> Any:
    if family == "bdr":
        return load_codes(Path(text), "sub-scales")
    from mxref.cli._check_options import read_relatives

    return read_relatives(text, None)["global_scale"]
