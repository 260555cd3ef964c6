"""What ``mxref identify`` says of one kernel in full, and of many in a table."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from mxref import __version__

if TYPE_CHECKING:
    from mxref.check.identify import Identification

__all__ = ["exit_code", "print_all", "summary", "to_dict"]

_WIDTH = 80


def summary(found: list[Identification]) -> dict[str, tuple[int, int]]:
    """Count for each profile in how many kernels it gives every bit, of how many that it has."""
    counts: dict[str, list[int]] = {}
    for one in found:
        for candidate in (*one.matches, *one.excluded):
            count = counts.setdefault(candidate.name, [0, 0])
            count[0] += candidate.matches
            count[1] += 1
    ordered = sorted(counts.items(), key=lambda item: (-(item[1][0] == item[1][1]), -item[1][0]))
    return {name: (matched, total) for name, (matched, total) in ordered}


def exit_code(found: list[Identification], errors: dict[str, str]) -> int:
    """Return 0 if some profile gives every bit of all kernels that it has, 2 if some did not run.

    Nothing to compare is no answer: 2 as well.
    """
    if errors or not any(one.inputs for one in found):
        return 2
    return 0 if any(matched == total for matched, total in summary(found).values()) else 1


def to_dict(title: str, found: list[Identification], errors: dict[str, str]) -> dict[str, Any]:
    """Return everything in types that JSON knows."""
    return {
        "mxref": __version__,
        "target": title,
        "exit_code": exit_code(found, errors),
        "profiles": {
            name: {"matched": matched, "kernels": total}
            for name, (matched, total) in summary(found).items()
        },
        "kernels": [one.to_dict() for one in found],
        "errors": errors,
    }


def print_all(title: str, found: list[Identification], errors: dict[str, str]) -> None:
    """Print one kernel in full, or many as a table with a conclusion."""
    if len(found) == 1 and not errors:
        click.echo(str(found[0]))
        return
    click.echo(f"{title}: {len(found) + len(errors)} kernels")
    for one in found:
        _print_row(f"{one.op} {one.format}", _names(one))
    for name, text in errors.items():
        _print_row(name, f"not run: {text}")
    click.echo()
    counts = summary(found)
    versions = {c.name: c.versions for one in found for c in one.matches}
    whole = [(name, total) for name, (matched, total) in counts.items() if matched == total]
    if whole:
        click.echo("Every bit, in all kernels that the profile has:")
        for name, total in whole:
            _print_wrapped(f"{name} in {total}, known by {versions[name]}", "  ")
    elif counts:
        best, (matched, total) = next(iter(counts.items()))
        _print_wrapped(
            "No profile gives every bit in all kernels that it has; nearest is "
            f"{best}, in {matched} of {total}."
        )
    _print_wrapped("--op and --format show one kernel with what rules each other profile out.")


def _names(one: Identification) -> str:
    said = [f"{c.name} (with {', '.join(c.faults)})" if c.faults else c.name for c in one.matches]
    if said:
        return ", ".join(said)
    if not one.excluded:
        return "no profile has it"
    nearest = one.excluded[0]
    if nearest.usual:
        names = ", ".join(candidate.name for candidate in one.excluded if candidate.usual)
        return f"none; but on ordinary numbers {names}"
    return f"none; nearest {nearest.name}, {nearest.agreed:,} of {nearest.total:,}"


def _print_row(name: str, text: str) -> None:
    head = f"{name:<24}"
    for line in textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    ):
        click.echo(line)


def _print_wrapped(text: str, indent: str = "") -> None:
    for line in textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  " if indent else "",
        break_long_words=False,
        break_on_hyphens=False,
    ):
        click.echo(line)
