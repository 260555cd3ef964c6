"""``mxref show``: what a format or a code means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mxref.cli._output import color_option, emit_json, emit_view, fail, json_option
from mxref.cli._own_words import command_line_errors
from mxref.cli._signed import SIGNED, SignedCommand

if TYPE_CHECKING:
    from mxref.show._text import View
    from mxref.show.numberline import NumberLine

__all__ = ["command"]


@click.command("show", cls=SignedCommand, context_settings=SIGNED)
@click.argument("format_name", metavar="[FORMAT]", required=False)
@click.argument("codes", metavar="[CODE]...", nargs=-1)
@click.option("--policy", help="Whose rounding and overflow: a profile, or ocp:field=choice,...")
@click.option("--line", "as_line", is_flag=True, help="Draw the values on a line.")
@click.option("--low", metavar="X", help="With --line or --plot: where the line begins.")
@click.option("--high", metavar="X", help="With --line or --plot: where it ends.")
@click.option("--log/--linear", "log", default=None, help="With --line or --plot: the axis.")
@click.option("--plot", metavar="FILE", help="Draw the line as a picture: .svg, .png or .pdf.")
@click.option(
    "--html",
    "html_file",
    metavar="FILE",
    is_flag=False,
    flag_value="mxref-explorer.html",
    help="Write the explorer, a page for the browser, and print its address; - prints the page.",
)
@color_option
@json_option
def command(  # noqa: PLR0913, PLR0917  # one parameter an option
    format_name: str | None,
    codes: tuple[str, ...],
    policy: str | None,
    as_line: bool,  # noqa: FBT001
    low: str | None,
    high: str | None,
    log: bool | None,  # noqa: FBT001
    plot: str | None,
    html_file: str | None,
    color: str,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Show a format, or a CODE of it: fields, value, neighbours, what rounds to it.

    FORMAT is an element or scale format (e4m3 e5m2 e3m2 e2m3 e2m1 int8 e8m0 ue4m3), a block format
    (mxfp8_e4m3 ... mxint8 nvfp4) or one of block data representations (mx9 mx6 mx4 msfp16 vsq8 ...
    bdr:m=5,k1=16). CODE is 0x7e, 0b1111110 or 126; several make a table.
    """
    if html_file is not None:
        _explorer(html_file, format_name, codes, policy)
        return
    if format_name is None:
        fail("which format? Such as mxref show e4m3, or mxref show --html for the explorer")
    is_line = as_line or plot is not None
    if not is_line and (low, high, log) != (None, None, None):
        fail("--low, --high, --log and --linear go with --line or --plot: add one of them")
    if is_line and len(codes) > 1:
        fail(f"a line is drawn around one code, got {len(codes)}: {' '.join(codes)}")
    code = codes[0] if len(codes) == 1 else None
    with command_line_errors():
        if is_line:
            from mxref.show.numberline import numberline

            drawn = numberline(format_name, code, low=low, high=high, log=log, policy=policy)
            if plot is not None:
                _write(drawn, plot)
            view: View = drawn
        else:
            from mxref.show import show

            view = show(format_name, code if len(codes) < 2 else codes, policy)
    if as_json:
        emit_json(view.to_dict())
    elif as_line or plot is None:
        emit_view(view, color)
    else:
        click.echo(f"wrote {plot}")


def _write(line: NumberLine, path: str) -> None:
    """Draw a line as a picture."""
    try:
        line.plot(path)
    except ModuleNotFoundError as error:
        fail(f"--plot: {error}")
    except OSError as error:
        fail(f"{path}: cannot be written: {error.strerror or error}")


def _explorer(
    path: str, format_name: str | None, codes: tuple[str, ...], policy: str | None
) -> None:
    """Write the page for the browser, open at a code."""
    from mxref.show.html import write_page

    if len(codes) > 1:
        fail(f"the explorer opens at one code, got {len(codes)}: {' '.join(codes)}")
    try:
        with command_line_errors():
            address = write_page(path, format_name, codes[0] if codes else None, policy)
    except OSError as error:
        fail(f"{path}: cannot be written: {error.strerror or error}")
    click.echo(address, nl=path != "-")
