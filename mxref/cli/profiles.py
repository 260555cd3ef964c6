"""``mxref profiles``: the named policies, and what each chooses at every open point."""

from __future__ import annotations

import click

from mxref.cli._output import console, emit_json, json_option, one_line_errors

__all__ = ["command"]


@click.group("profiles", invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:  # noqa: FBT001
    """List the policies that have a name."""
    if ctx.invoked_subcommand is not None:
        return
    from mxref.policy import PROFILES

    reference = PROFILES["ocp"]
    changes = {name: policy.diff(reference) for name, policy in PROFILES.items()}
    if as_json:
        emit_json(
            {name: {k: ours for k, (ours, _) in diff.items()} for name, diff in changes.items()}
        )
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("profile", style="bold cyan", no_wrap=True)
    table.add_column("differs from ocp in")
    for name, diff in changes.items():
        lines = [f"{key} = {ours}  (ocp: {theirs})" for key, (ours, theirs) in diff.items()]
        table.add_row(name, Text("\n".join(lines) or "the default; each choice has its reason"))
        table.add_row("", "")
    out = console()
    out.print(table)
    out.print("mxref profiles show NAME lists every choice with its open point and reason.")


@command.command("show")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:  # noqa: FBT001
    """Show every choice of a profile, or of ocp:field=choice,..."""
    from mxref.policy import OPEN_POINT_OF, REASONS, get_policy

    with one_line_errors():
        policy = get_policy(name)
    choices = policy.as_dict()
    changed = policy.diff(get_policy("ocp"))
    if as_json:
        emit_json(
            {
                "name": policy.name,
                "fields": {
                    field: {
                        "choice": choice,
                        "open_point": OPEN_POINT_OF[field],
                        "ocp": changed[field][1] if field in changed else choice,
                        "reason_of_ocp": REASONS[field],
                    }
                    for field, choice in choices.items()
                },
            }
        )
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0), header_style="bold")
    table.add_column("choice, at open point", no_wrap=True)
    table.add_column("reason")
    for field, choice in choices.items():
        differs = field in changed
        left = Text.assemble(
            (field, "bold"), "\n= ", (choice, "yellow" if differs else "cyan"), "\n"
        )
        left.append(OPEN_POINT_OF[field], style="dim")
        reason = REASONS[field]
        if differs:
            reason = f"differs from ocp, which takes {changed[field][1]}: {reason}"
        table.add_row(left, reason)
    out = console()
    out.print(Text(f"{policy.name}: {len(choices)} choices", style="bold"))
    out.print()
    out.print(table)
