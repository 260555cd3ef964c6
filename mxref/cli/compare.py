"""``mxref compare``: what each format and scale rule would do to a tensor, or to a number."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mxref.cli._files import INPUT_DTYPES, load_numbers
from mxref.cli._output import (
    color_option,
    emit_json,
    emit_view,
    fail,
    json_option,
    one_line_errors,
)
from mxref.cli._progress import progress_bar, progress_option

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mxref.show._text import View
    from mxref.show.compare import Comparison

__all__ = ["command", "require_picture"]

_FILE = click.Path(path_type=Path)
_FORMATS = "Format; may be repeated. Default: all; of numbers the MX formats and NVFP4."
_NAMES = 8  # of tensors that an error lists


# Unknown options pass as arguments, so that -1.3 and -inf need no "--" before them.
@click.command("compare", context_settings={"ignore_unknown_options": True})
@click.argument("given", metavar="NUMBER...|FILE [TENSOR]", nargs=-1, required=True)
@click.option("--format", "formats", multiple=True, help=_FORMATS)
@click.option("--rule", "rules", multiple=True, help="Scale rule or policy; may be repeated.")
@click.option("--axis", default=-1, show_default=True, help="Axis along which blocks lie.")
@click.option("--all", "all_rules", is_flag=True, help="Show every rule, not only the best.")
@click.option("--every-element", is_flag=True, help="Measure all of a tensor of 2^24 or more.")
@click.option("--plot", "picture", type=_FILE, help="Draw QSNR against bits: .svg, .png or .pdf.")
@click.option("--markdown", is_flag=True, help="Print a table in Markdown.")
@click.option(
    "--input-dtype", type=click.Choice(INPUT_DTYPES), help="Of numbers, or what FILE.npy holds."
)
@click.option("--force", is_flag=True, help="Overwrite an existing picture.")
@color_option
@json_option
@progress_option
def command(  # noqa: PLR0913  # one parameter an option
    given: tuple[str, ...],
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
    color: str,
    as_json: bool,
    progress: bool,
) -> None:
    """Compare formats on numbers, on an array (FILE.npy) or on one TENSOR of a checkpoint.

    For at most 32 numbers, 1.3 -2.7 or 1.3,-2.7: scale code, codes, their values and the error,
    under every scale rule.
    For an array: QSNR with its 95 % confidence, elements saturated and flushed to zero, the largest
    error, bits per element, and the width of an exact accumulator.
    """
    if markdown and as_json:
        raise click.UsageError("--json and --markdown exclude each other")
    given = tuple(each for each in given if each != "--")
    parts = _parts(given)
    _refuse_options(parts)
    options = (formats or None, rules or None, axis)
    is_file = Path(given[0]).exists()
    if not is_file and all(map(_is_number, parts)):
        if markdown or picture is not None:
            what = "--markdown" if markdown else "--plot"
            fail(f"{what} is for arrays: of numbers the codes are shown, and --json has them all")
        _show(_few(parts, input_dtype, *options), color, as_json=as_json)
        return
    if len(given) > 2 or (not is_file and _is_number(parts[0])):
        odd = next((each for each in parts if not _is_number(each)), given[0])
        fail(f"{odd}: no number; expected numbers alone, or FILE.npy, or a checkpoint and a TENSOR")
    source, tensor = Path(given[0]), given[1] if len(given) > 1 else None
    if picture is not None:
        require_picture([source], picture, force=force)
    x = _load(source, tensor, input_dtype)
    with one_line_errors(f"{source}: "):
        from mxref.show.compare import LIMIT, compare_array

        with progress_bar("comparing", 1.0, "parts", lines=progress) as advance:
            done = 0.0

            def report(share: float, what: str) -> None:
                nonlocal done
                advance(share - done, f"comparing {what}")
                done = share

            found = compare_array(
                x,
                *options,
                name=tensor or source.name,
                progress=report,
                limit=None if every_element else LIMIT,
            )
    if markdown:
        click.echo(found.to_markdown(), nl=False)
    else:
        _show(found.with_all_rules() if all_rules else found, color, as_json=as_json)
    if picture is not None:
        _draw(found, picture)


def _show(found: View, color: str, *, as_json: bool) -> None:
    if as_json:
        emit_json(found.to_dict())
    else:
        emit_view(found, color)


def _refuse_options(given: tuple[str, ...]) -> None:
    """Refuse misspelt options, which came as arguments for the sake of -1.3."""
    for each in given:
        if each.startswith("-") and not _is_number(each):
            context = click.get_current_context()
            known = [o for p in context.command.params for o in p.opts if o.startswith("--")]
            raise click.NoSuchOption(each, possibilities=known, ctx=context)


def _parts(given: tuple[str, ...]) -> tuple[str, ...]:
    """Return numbers that were written with commas, ``1,2,3`` or ``1, 2, 3``, one by one.

    A name that has a comma stays whole: of ``a,b.npy`` no part is a number.
    """
    found: list[str] = []
    for each in given:
        parts = [part.strip() for part in each.strip().removesuffix(",").split(",")]
        found += parts if any(map(_is_number, parts)) else [each]
    return tuple(found)


def _is_number(text: str) -> bool:
    from mxref.show._input import read_number

    try:
        read_number(text)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _few(given: tuple[str, ...], input_dtype: str | None, *options: Any) -> View:
    from mxref.show.compare import compare
    from mxref.show.compare._numbers import MOST

    if len(given) > MOST:
        fail(f"{len(given)} numbers: at most {MOST} are compared one by one; save more as .npy")
    texts = [text if input_dtype is None else f"{input_dtype}:{text}" for text in given]
    with one_line_errors():
        return compare(texts, *options)


def require_picture(sources: list[Path], picture: Path, *, force: bool) -> None:
    """Refuse at once what could not be drawn after minutes.

    Raises
    ------
    CliError
        If the picture's name, place or maker will not do.
    """
    import importlib.util

    from mxref.cli._files import require_free
    from mxref.show.compare._style import require_suffix

    with one_line_errors():
        require_suffix(picture)
    require_free(sources, [picture], force=force)
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
    if source.suffix.lower() == ".npz":
        _refuse_archive(source)
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


def _refuse_archive(source: Path) -> NoReturn:
    """Say what an .npz file is: most likely an array that has been quantized."""
    from mxref.mxarray import MXArray

    try:
        name = MXArray.load(source).format.name
    except OSError as error:
        fail(f"{source}: cannot be read: {error.strerror or error}")
    except (ValueError, TypeError):
        fail(f"{source}: is an .npz archive; save the array by itself, as .npy with np.save")
    fail(
        f"{source}: is quantized already, in {name}: compare the numbers that it was made of. "
        f"mxref look {source} shows what it holds"
    )


def _which(tensor: str | None, names: list[str]) -> str:
    """Say which tensors there are."""
    from mxref._suggest import unknown_name

    if tensor is not None and len(names) > _NAMES:
        return unknown_name("tensor", tensor, names).partition(" Known:")[0]
    if tensor is not None:
        return unknown_name("tensor", tensor, names)
    listed = ", ".join(names[:_NAMES]) + (", ..." if len(names) > _NAMES else "")
    return f"which tensor? Name one of {len(names)} after the file: {listed}"
