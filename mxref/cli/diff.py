"""``mxref diff``: where two files of codes or values differ."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command("diff")
def command() -> None:
    """Tell where two files differ."""
