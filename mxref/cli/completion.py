"""``mxref completion``: the script by which a shell completes commands, options and their values.

The script is click's; what may stand behind an option is in ``_completion_values``, and is attached
to a command only while a shell asks for completions: no other start pays for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
)

from mxref.cli._completion_values import is_file, source_of
from mxref.cli._output import fail

__all__ = ["VARIABLE", "attach", "command"]

VARIABLE = "_MXREF_COMPLETE"
"""The environment variable by which a shell asks; click's convention."""
_BREAKS = ":="

_HELP = """\
Print the script that lets a SHELL complete mxref's command lines.

\b
For this shell, until it ends (zsh likewise):
  eval "$(mxref completion bash)"
  mxref completion fish | source

\b
For good:
  mxref completion bash > ~/.local/share/bash-completion/completions/mxref
  mxref completion zsh > ~/.zfunc/_mxref       (a folder of $fpath)
  mxref completion fish > ~/.config/fish/completions/mxref.fish

Commands, options and files are completed, and the names of formats, policies with their fields,
layouts and targets.
"""


@click.command("completion", help=_HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print click's script for a shell."""
    from mxref.cli.main import main

    found = get_completion_class(shell)
    if found is None:  # a click that lacks one of the three
        fail(f"this version of click has no completion for {shell!r}; bash, zsh and fish have one")
    click.echo(found(main, {}, "mxref", VARIABLE).source(), nl=False)


@add_completion_class
class _Bash(BashComplete):
    """Bash cuts words at ``:`` and ``=``, and so do ``ocp:rounding=up`` and ``--policy=ocp``.

    The pieces are joined for the commands, and of the answer only the last piece is given back. A
    word that ends in such a sign goes on: no space behind it.
    """

    source_template = BashComplete.source_template.replace(
        "COMPREPLY+=($value)",
        "COMPREPLY+=($value)\n            [[ $value == *[:=/] ]] && compopt -o nospace",
    )

    _done = 0

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one to be completed, and what there is of that one."""
        words, begun = super().get_completion_args()
        *before, last = _joined([*words, begun])
        value = last.partition("=")[2] if last.startswith("-") else last
        self._done = max(map(value.rfind, _BREAKS)) + 1
        return before, last

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Leave out what bash takes for words before."""
        if item.type == "plain":
            return f"plain,{str(item.value)[self._done :]}"
        return super().format_completion(item)


def _joined(pieces: list[str]) -> list[str]:
    """Put together what bash has cut.

    Examples
    --------
    >>> _joined(["explain", "1.3", "--policy", "ocp", ":", "rounding", "=", ""])
    ['explain', '1.3', '--policy', 'ocp:rounding=']
    """
    words = [""]
    goes_on = True
    for piece in pieces:
        is_break = piece != "" and set(piece) <= set(_BREAKS)
        if is_break or goes_on:
            words[-1] += piece
        else:
            words.append(piece)
        goes_on = is_break
    return words


def attach(command: click.Command, group: str = "") -> click.Command:
    """Let the parameters of a command, and of those below it, complete their values.

    Parameters
    ----------
    command : click.Command
        Is changed in place, and returned.
    group : str
        The name of the group it is found in.

    Examples
    --------
    >>> from mxref.cli.show import command as show
    >>> ctx = click.Context(attach(show))
    >>> [item.value for item in show.params[0].shell_complete(ctx, "e8")]
    ['e8m0']
    """
    own = command.name or ""
    for parameter in command.params:
        completer = _completer(own, f"{group} {own}".strip(), parameter)
        if completer is not None:
            setattr(parameter, "shell_complete", completer)  # noqa: B010  # mypy: it is a method
    for below in getattr(command, "commands", {}).values():
        attach(below, own)
    return command


_Completer = Callable[[click.Context, str], list[CompletionItem[Any]]]


def _completer(own: str, path: str, parameter: click.Parameter) -> _Completer | None:
    """What completes a parameter; None where click does that, or nobody can."""
    if isinstance(parameter.type, (click.Path, click.Choice)):
        return None
    is_argument = isinstance(parameter, click.Argument)
    kind = "argument" if is_argument else "option"
    # An option means the same in all groups; of an argument the group may say what it is.
    commands = dict.fromkeys((path, own)) if is_argument else (own,)
    for name in [parameter.name or ""] if is_argument else parameter.opts:
        for command in commands:
            source = source_of(command, kind, name)
            if source is not None:
                return lambda ctx, begun: [CompletionItem(w) for w in source(ctx.params, begun)]
            if is_file(command, kind, name):
                return lambda _, begun: [CompletionItem(begun, type="file")]
    return None
