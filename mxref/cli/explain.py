"""``mxref explain``: how a number becomes a code, step by step."""

from __future__ import annotations

import click

from mxref.cli._files import INPUT_DTYPES
from mxref.cli._output import color_option, emit_json, emit_view, json_option, one_line_errors

__all__ = ["command"]


# Unknown options pass as arguments, so that -1.3 and -inf need no "--" before them.
@click.command("explain", context_settings={"ignore_unknown_options": True})
@click.argument("value")
@click.argument("format_name", metavar="FORMAT")
@click.option("--policy", default="ocp", show_default=True, help="Profile, or ocp:field=choice,...")
@click.option(
    "--input-dtype",
    type=click.Choice(INPUT_DTYPES),
    help="The type that VALUE comes in, and is rounded to first; default float32.",
)
@color_option
@json_option
def command(
    value: str,
    format_name: str,
    policy: str,
    input_dtype: str | None,
    color: str,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Explain how VALUE becomes a code of FORMAT: each step, with its clause.

    VALUE is a decimal (1.3, -0, 1e-40), inf, nan, or bits (0x3fa66666).
    """
    from mxref.show import explain

    with one_line_errors():
        given = value if input_dtype is None else f"{input_dtype}:{value}"
        view = explain(given, format_name, policy)
    if as_json:
        emit_json(view.to_dict())
    else:
        emit_view(view, color)
