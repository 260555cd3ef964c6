"""Commands that take negative numbers as arguments."""

from __future__ import annotations

import click

__all__ = ["SIGNED", "SignedCommand"]

SIGNED = {"ignore_unknown_options": True}
"""Context settings that go with `SignedCommand`."""


class SignedCommand(click.Command):
    """Takes -1.3 and -inf as arguments, without "--" before them; an unknown --word is refused."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse what looks like an option and is none, then parse as usual."""
        known = {
            name
            for parameter in self.get_params(ctx)
            for name in (*parameter.opts, *parameter.secondary_opts)
        }
        for arg in args[: args.index("--")] if "--" in args else args:
            name = arg.partition("=")[0]
            if name.startswith("--") and name not in known:
                import difflib  # only where something is wrong

                near = difflib.get_close_matches(name, known)
                raise click.NoSuchOption(name, possibilities=near, ctx=ctx)
        return super().parse_args(ctx, args)
