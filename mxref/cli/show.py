"""``mxref show``: what a format or a code means."""

from __future__ import annotations

import click

from mxref.cli._output import color_option, emit_json, emit_view, json_option, one_line_errors

__all__ = ["command"]


@click.command("show")
@click.argument("format_name", metavar="FORMAT")
@click.argument("code", required=False)
@color_option
@json_option
def command(format_name: str, code: str | None, color: str, as_json: bool) -> None:  # noqa: FBT001
    """Show a format, or one CODE of it: fields, value, neighbours.

    FORMAT is an element or scale format (e4m3 e5m2 e3m2 e2m3 e2m1 int8 e8m0) or a block format
    (mxfp8_e4m3 ... mxint8). CODE is 0x7e, 0b1111110 or 126.
    """
    from mxref.show import show

    with one_line_errors():
        view = show(format_name, code)
    if as_json:
        emit_json(view.to_dict())
    else:
        emit_view(view, color)
