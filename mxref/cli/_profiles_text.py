"""Parts of a page about a profile that all families of formats share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import Console

__all__ = ["print_choices", "print_divergences", "print_sources", "print_wrapped"]


def print_wrapped(out: Console, text: str, indent: str = "* ") -> None:
    """Print a paragraph; words are never broken, so that they can be copied."""
    import textwrap

    from rich.text import Text

    rest = " " * len(indent)
    wrapped = textwrap.fill(
        text,
        out.width,
        initial_indent=indent,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    out.print(Text(wrapped), soft_wrap=True)


def print_sources(out: Console, choices: Mapping[str, str], sources: Mapping[str, str]) -> None:
    """One line for each field; a URL is never broken, so that it can be copied."""
    from rich.text import Text

    out.print()
    out.print(Text("Sources", style="bold"))
    for field, source in sources.items():
        url, _, what = source.partition(" ")
        out.print(Text.assemble((field, "bold"), " = ", (choices[field], "yellow")))
        out.print(Text(f"  {url}"), soft_wrap=True)
        if what:
            print_wrapped(out, what, indent="  ")


def print_divergences(out: Console, sentences: Iterable[str]) -> None:
    """What the described thing does and its policy does not say."""
    from rich.text import Text

    out.print()
    out.print(Text("Beyond the policy", style="bold"))
    for sentence in sentences:
        print_wrapped(out, sentence)


def print_choices(
    out: Console,
    choices: Mapping[str, str],
    base: tuple[str, Mapping[str, str]],
    open_points: Mapping[str, str],
    reasons: Mapping[str, str],
) -> None:
    """A table of every field; `base` is the profile that the reasons are of, and its choices."""
    from rich.table import Table
    from rich.text import Text

    name, of_base = base
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0), header_style="bold")
    table.add_column("choice, at open point", no_wrap=True)
    table.add_column("reason")
    for field, choice in choices.items():
        differs = choice != of_base[field]
        left = Text.assemble(
            (field, "bold"), "\n= ", (choice, "yellow" if differs else "cyan"), "\n"
        )
        left.append(open_points[field], style="dim")
        reason = reasons[field]
        if differs:
            reason = f"differs from {name}, which takes {of_base[field]}: {reason}"
        table.add_row(left, reason)
    out.print(table)
