"""``mxref look``: what is in codes and their scale codes, block by block."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mxref.cli._check_options import read_relatives, read_scales
from mxref.cli._files import INPUT_DTYPES, holds_floats, load_codes, load_numbers
from mxref.cli._output import (
    color_option,
    emit_json,
    emit_view,
    fail,
    json_option,
    one_line_errors,
)

if TYPE_CHECKING:
    from mxref.bdr import BDRArray
    from mxref.mxarray import MXArray
    from mxref.nvfp4 import NVFP4Array

__all__ = ["command"]

_FILE = click.Path(path_type=Path)


@click.command("look")
@click.argument("array")
@click.option("--format", "format_name", help="What the codes mean, such as mxfp4.")
@click.option("--axis", type=int, help="Axis along which blocks lie; default -1.")
@click.option("--block-size", type=int, help="Elements that share a scale; default 32.")
@click.option("--policy", help="What the codes were made with; it says how to decode.")
@click.option("--source", type=_FILE, help="The numbers that were quantized, as .npy.")
@click.option("--input-dtype", type=click.Choice(INPUT_DTYPES), help="What the source holds.")
@click.option("--blocks", type=int, help="How many blocks to show; default: a screen of them.")
@color_option
@json_option
def command(  # noqa: PLR0913  # one parameter an option
    array: str,
    format_name: str | None,
    axis: int | None,
    block_size: int | None,
    policy: str | None,
    source: Path | None,
    input_dtype: str | None,
    blocks: int | None,
    *,
    color: str,
    as_json: bool,
) -> None:
    """Show scales, counts and the first blocks of an ARRAY, element by element.

    ARRAY is a file that MXArray.save wrote (q.npz), or codes with their scale codes
    (CODES.npy:SCALES.npy, and behind a second colon the sub-scales, or NVFP4's global scale), which
    need --format. With --source it says which elements were flushed to zero or saturated.
    """
    from mxref.show._look_view import LookView

    q = _load(array, format_name, axis, block_size, policy)
    numbers = None if source is None else load_numbers(source, input_dtype)
    if numbers is not None and numbers.shape != q.shape:
        fail(
            f"{source}: has shape {numbers.shape}, {array} has {q.shape}: --source takes the "
            "numbers that were quantized"
        )
    if blocks is not None and blocks < 1:
        fail(f"--blocks: how many blocks to show, 1 or more, got {blocks}")
    with one_line_errors():
        view = LookView(q.look(numbers, blocks=blocks))
    if as_json:
        emit_json(view.to_dict())
    else:
        emit_view(view, color)


def _load(
    given: str,
    format_name: str | None,
    axis: int | None,
    block_size: int | None,
    policy: str | None,
) -> MXArray | NVFP4Array | BDRArray:
    parts = re.split(r"(?<=\.npy):", given)
    if len(parts) == 1:
        options = {"format": format_name, "axis": axis, "block-size": block_size, "policy": policy}
        return _saved(Path(given), [name for name, value in options.items() if value is not None])
    if format_name is None:
        fail(f"{given}: codes with scales need their format: --format mxfp4")
    codes = load_codes(Path(parts[0]), "codes")
    scales = read_scales(Path(parts[1]), format_name)
    return _of_parts(
        given,
        (codes, scales),
        parts[2:],
        format_name,
        -1 if axis is None else axis,
        block_size,
        policy,
    )


def _saved(path: Path, options: list[str]) -> MXArray:
    from mxref.mxarray import MXArray

    if path.suffix.lower() == ".npy":
        if holds_floats(path):
            fail(
                f"{path}: holds numbers, and look shows what is quantized. mxref compare {path} "
                f"says what each format would do to them; mxref quantize {path} --format mxfp4 "
                "writes codes and scale codes"
            )
        fail(f"{path}: codes alone have no blocks; name their scale codes: {path}:SCALES.npy")
    if options:
        fail(f"{path}: a file that MXArray.save wrote knows this; leave out --{options[0]}")
    try:
        with one_line_errors():
            return MXArray.load(path)
    except OSError as error:
        fail(f"{path}: cannot be read: {error.strerror or error}")


def _of_parts(
    given: str,
    held: tuple[Any, Any],
    more: list[str],
    format_name: str,
    axis: int,
    block_size: int | None,
    policy: str | None,
) -> MXArray | NVFP4Array | BDRArray:
    from mxref.relatives import family_of

    family = family_of(format_name)
    most = 0 if family == "mx" else 1
    if len(more) > most:
        form = "CODES.npy:SCALES.npy" + ":MORE" * most
        fail(f"{given}: {2 + len(more)} parts; {format_name} has {2 + most}, {form}")
    if family != "mx" and block_size is not None:
        fail(f"--block-size is for MX formats; {format_name} has its own")
    with one_line_errors(f"{given}: "):
        if family == "mx":
            from mxref.mxarray import MXArray

            return MXArray(*held, format_name, axis, block_size=block_size, policy=policy)
        if family == "nvfp4":
            from mxref.nvfp4 import NVFP4Array

            multiplier = read_relatives(more[0], None)["global_scale"] if more else 1.0
            return NVFP4Array(*held, multiplier, axis, policy=policy)
        from mxref.bdr import BDRArray

        shared = load_codes(Path(more[0]), "sub-scales") if more else None
        return BDRArray(*held, shared, format_name, axis, policy=policy)
