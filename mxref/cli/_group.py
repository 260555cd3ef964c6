"""A group of commands that says which of them somebody may have meant."""

from __future__ import annotations

import click

from mxref._suggest import unknown_name

__all__ = ["NamingGroup"]


class NamingGroup(click.Group):
    """As click's, but an unknown command is answered with the nearest one, and all there are."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first word names.

        Raises
        ------
        click.UsageError
            If there is none of that name.
        """
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            kind = "command" if ctx.parent is None else f"command of {ctx.command_path}"
            raise click.UsageError(unknown_name(kind, args[0], known), ctx)
        return super().resolve_command(ctx, args)
