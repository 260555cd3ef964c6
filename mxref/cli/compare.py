"""``mxref compare``: what each format and scale rule would do to a tensor of yours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mxref.cli._files import INPUT_DTYPES, load_numbers
from mxref.cli._output import console, emit_json, fail, json_option, one_line_errors
from mxref.cli._progress import progress_bar, progress_option

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mxref.show.compare import Comparison

__all__ = ["command"]

_FILE = click.Path(path_type=Path)
_NAMES = 8  # of tensors that an error lists


@click.command("compare")
@click.argument("source", metavar="FILE", type=_FILE)
@click.argument("tensor", required=False)
@click.option("--format", "formats", multiple=True, help="Format; may be repeated. Default: all.")
@click.option("--rule", "rules", multiple=True, help="Scale rule or policy; may be repeated.")
@click.option("--axis", default=-1, show_default=True, help="Axis along which blocks lie.")
@click.option("--all", "all_rules", is_flag=True, help="Show every rule, not only the best.")
@click.option("--every-element", is_flag=True, help="Measure all of a tensor of 2^24 or more.")
@click.option("--plot", "picture", type=_FILE, help="Draw QSNR against bits: .svg, .png or .pdf.")
@click.option("--markdown", is_flag=True, help="Print a table in Markdown.")
@click.option("--input-dtype", type=click.Choice(INPUT_DTYPES), help="What FILE.npy holds.")
@click.option("--force", is_flag=True, help="Overwrite an existing picture.")
@json_option
@progress_option
def command(  # noqa: PLR0913  # one parameter an option
    source: Path,
    tensor: str | None,
    formats: tuple[str, ...],
    rules: tuple[str, ...],
    axis: int,
    picture: Path | None,
    input_dtype: str | None,
    *,
    all_rules: bool,
    every_element: bool,
    markdown: bool,
    force: bool,
    as_json: bool,
    progress: bool,
) -> None:
    """Compare formats on an array (FILE.npy) or on one TENSOR of a checkpoint.

    For every format and scale rule: QSNR with its 95 % confidence, elements saturated and flushed
    to zero, the largest error, bits per element, and the width of an exact accumulator.
    """
    if markdown and as_json:
        raise click.UsageError("--json and --markdown exclude each other")
    if picture is not None:
        _require_picture(source, picture, force=force)
    x = _load(source, tensor, input_dtype)
    with one_line_errors(f"{source}: "):
        from mxref.show.compare import compare

        with progress_bar("comparing", 1.0, "parts", lines=progress) as advance:
            done = 0.0

            def report(share: float, what: str) -> None:
                nonlocal done
                advance(share - done, f"comparing {what}")
                done = share

            found = compare(
                x,
                formats or None,
                rules or None,
                axis,
                name=tensor or source.name,
                progress=report,
                **({"limit": None} if every_element else {}),
            )
    _show(found, as_json=as_json, markdown=markdown, all_rules=all_rules)
    if picture is not None:
        _draw(found, picture)


def _show(found: Comparison, *, as_json: bool, markdown: bool, all_rules: bool) -> None:
    if as_json:
        emit_json(found.as_dict())
    elif markdown:
        click.echo(found.to_markdown(), nl=False)
    else:
        console().print(found.to_rich(all_rules=all_rules), soft_wrap=True)


def _require_picture(source: Path, picture: Path, *, force: bool) -> None:
    """Refuse at once what could not be drawn after minutes."""
    import importlib.util

    from mxref.cli._files import require_free
    from mxref.show.compare._style import require_suffix

    with one_line_errors():
        require_suffix(picture)
    require_free([source], [picture], force=force)
    if importlib.util.find_spec("matplotlib") is None:
        fail("--plot needs matplotlib: pip install 'mxref[plot]'")


def _draw(found: Comparison, picture: Path) -> None:
    try:
        found.plot(picture)
    except ModuleNotFoundError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{picture}: cannot be written: {error.strerror or error}")
    click.echo(f"{picture}: QSNR against bits per element", err=True)


def _load(source: Path, tensor: str | None, input_dtype: str | None) -> NDArray[Any]:
    if source.suffix.lower() == ".npy":
        if tensor is not None:
            fail(f"{source}: holds one array; a tensor's name goes with a checkpoint")
        return load_numbers(source, input_dtype)
    if input_dtype is not None:
        fail(f"{source}: --input-dtype goes with .npy files; a checkpoint says what it holds")
    from mxref.checkpoints import CheckpointError, open_checkpoint

    try:
        with open_checkpoint(source) as store:
            names = list(store.tensors)
            if tensor is None or tensor not in store.tensors:
                fail(f"{source}: {_which(tensor, names)}")
            found: NDArray[Any] = store.read(tensor)
    except (CheckpointError, OSError) as error:
        text = str(error)
        fail(text if str(source) in text else f"{source}: {text}")
    return found


def _which(tensor: str | None, names: list[str]) -> str:
    """Say which tensors there are."""
    from mxref._suggest import unknown_name

    if tensor is not None and len(names) > _NAMES:
        return unknown_name("tensor", tensor, names).partition(" Known:")[0]
    if tensor is not None:
        return unknown_name("tensor", tensor, names)
    listed = ", ".join(names[:_NAMES]) + (", ..." if len(names) > _NAMES else "")
    return f"which tensor? Name one of {len(names)} after the file: {listed}"
