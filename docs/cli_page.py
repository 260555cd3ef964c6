"""docs/reference/cli.md: every command and option of mxref, from the commands themselves."""

from __future__ import annotations

import inspect
import re
import textwrap

import click

from mxref.cli.main import main

WIDTH = 80


def plain(text):
    """Text of a help, as Markdown that shows the same letters."""
    words = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(
        word if word.startswith("`") else re.sub(r"([\\*_<>\[\]|])", r"\\\1", word)
        for word in words
    )


def prose(help_text):
    """Paragraphs of a help; those that click is told to leave alone are shown as they are."""
    parts = []
    for part in inspect.cleandoc(help_text or "").split("\n\n"):
        if part.startswith("\b"):
            shown = textwrap.dedent(part.removeprefix("\b").strip("\n"))
            parts.append(f"```text\n{shown}\n```")
        else:
            parts.append(plain(part))
    return "\n\n".join(parts)


def usage(command, context):
    words = " ".join(command.collect_usage_pieces(context))
    return f"```text\n{context.command_path} {words}\n```"


def option_row(option, context):
    record = option.get_help_record(context)
    if record is None:  # hidden
        return None
    names, text = record
    return f"| `{names.replace('|', chr(92) + '|')}` | {plain(text)} |"


def options(command, context):
    """The table of options; ``--help`` is on every command and stands at the head of the page."""
    rows = [
        option_row(option, context)
        for option in command.get_params(context)
        if isinstance(option, click.Option) and "--help" not in option.opts
    ]
    rows = [row for row in rows if row]
    return "\n".join(["| option | meaning |", "|---|---|", *rows]) if rows else ""


def section(command, context, level):
    """A command and, below it, its own commands."""
    head = f"{'#' * level} {context.command_path}"
    parts = [head, usage(command, context), prose(command.help), options(command, context)]
    if command.epilog:
        parts.append(prose(command.epilog))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            parts.append(section(inner, below(inner, name, context), level + 1))
    return "\n\n".join(part for part in parts if part)


def below(command, name, parent):
    return click.Context(command, info_name=name, parent=parent, max_content_width=WIDTH)


def cli_page(note):
    """Return the page."""
    root = click.Context(main, info_name="mxref", max_content_width=WIDTH)
    found = [(name, main.get_command(root, name)) for name in main.list_commands(root)]
    rows = [
        f"| [`mxref {name}`](#mxref-{name}) | {plain(command.get_short_help_str(200))} |"
        for name, command in found
    ]
    sections = [section(command, below(command, name, root), 2) for name, command in found]
    table = "\n".join(["| command | what it does |", "|---|---|", *rows])
    return f"""# Command line

{note}
{prose(main.help)}

Every command has `--help`. Exit codes: 0 is success and "conforms", 1 is "does not conform" or
"differs", 2 is "could not run": a wrong option, a file that cannot be read.

{table}

{(chr(10) * 2).join(sections)}
"""
