"""``mxref profiles``: the named policies, what each chooses and why, and where two differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mxref.cli._group import NamingGroup
from mxref.cli._output import console, emit_json, json_option, one_line_errors
from mxref.cli._profiles_text import (
    print_choices,
    print_divergences,
    print_sources,
    print_wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from mxref.differences import Comparison, Difference
    from mxref.policy import Policy
    from mxref.profiles import Profile

__all__ = ["command"]


@click.group("profiles", invoke_without_command=True, cls=NamingGroup)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:  # noqa: FBT001
    """List the policies that have a name: standards, vendors, packages.

    Those of MX formats come first, then those of NVFP4 and of the BDR formats. Where two of these
    families have a name, it means the MX profile; nvfp4:NAME, bdr:NAME and mx:NAME say which.
    """
    if ctx.invoked_subcommand is not None:
        return
    from mxref.cli import _profiles_relatives as relatives
    from mxref.profiles import PROFILES

    reference = PROFILES["ocp"].policy
    changes = {name: p.policy.diff(reference) for name, p in PROFILES.items()}
    if as_json:
        emit_json(
            {name: {k: ours for k, (ours, _) in diff.items()} for name, diff in changes.items()}
            | relatives.changes()
        )
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("profile", style="bold cyan", no_wrap=True)
    table.add_column("what it describes")
    table.add_column("fields", justify="right")
    for name, profile in PROFILES.items():
        text = Text(profile.title)
        text.append(f"\n{profile.versions}", style="dim")
        has = f"{', '.join(profile.operations)}: {_short(profile.formats)}"
        text.append(f"\n{has}", style="dim")
        table.add_row(name, text, str(len(changes[name])))
    out = console()
    out.print(Text("OCP MX formats (fields: how many differ from ocp)", style="bold"))
    out.print(table)
    relatives.print_list(out)
    out.print()
    out.print("mxref profiles show NAME lists every choice with its source.")
    out.print("mxref profiles diff A B finds the smallest inputs on which two differ.")


def _short(formats: Iterable[str]) -> str:
    from mxref.formats import BLOCK_FORMATS

    names = list(formats)
    if names == list(BLOCK_FORMATS):
        return "all formats"
    return " ".join(BLOCK_FORMATS[name].element.name.upper() for name in names)


# --- show ------------------------------------------------------------------------------------


@command.command("show")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:  # noqa: FBT001
    """Show every choice of a profile, or of PROFILE:field=choice,...

    nvfp4:NAME, bdr:NAME and mx:NAME say whose profile is meant.
    """
    from mxref.cli import _profiles_relatives as relatives
    from mxref.differences.relatives import family_of, relative
    from mxref.policy import get_policy
    from mxref.profiles import PROFILES

    with one_line_errors():
        _, plain = family_of(name)
        found = relative(name)
        policy = get_policy(plain if found is None else None)
    if found is not None:
        if as_json:
            emit_json(relatives.document(found))
        else:
            relatives.print_profile(console(), found)
        return
    # Two profiles may have the same policy, so the name decides, not the policy.
    profile = PROFILES.get(plain.strip().lower())
    if as_json:
        emit_json(_document(policy, profile))
    else:
        _print_profile(console(), policy, profile)


def _print_profile(out: Console, policy: Policy, profile: Profile | None) -> None:
    from rich.text import Text

    from mxref.policy import OPEN_POINT_OF, REASONS, get_policy

    choices = policy.as_dict()
    title = profile.name if profile else policy.name
    out.print(Text(f"{title}: {len(choices)} choices", style="bold"))
    if profile is not None:
        out.print(profile.title)
        out.print(f"versions: {profile.versions}")
        out.print(f"operations: {', '.join(profile.operations)}")
        out.print(f"formats: {_short(profile.formats)}")
    if profile is not None and profile.sources:
        print_sources(out, choices, profile.sources)
    if profile is not None and profile.divergences:
        print_divergences(out, profile.divergences)
    out.print()
    print_choices(out, choices, ("ocp", get_policy("ocp").as_dict()), OPEN_POINT_OF, REASONS)


def _document(policy: Policy, profile: Profile | None) -> dict[str, Any]:
    from mxref.policy import OPEN_POINT_OF, REASONS, get_policy

    changed = policy.diff(get_policy("ocp"))
    sources = profile.sources if profile else {}
    document: dict[str, Any] = {"name": profile.name if profile else policy.name}
    if profile is not None:
        document |= {
            "title": profile.title,
            "versions": profile.versions,
            "operations": list(profile.operations),
            "formats": list(profile.formats),
            "divergences": list(profile.divergences),
        }
    document["fields"] = {
        field: {
            "choice": choice,
            "open_point": OPEN_POINT_OF[field],
            "ocp": changed[field][1] if field in changed else choice,
            "reason_of_ocp": REASONS[field],
            "source": sources.get(field),
        }
        for field, choice in policy.as_dict().items()
    }
    return document


# --- diff ------------------------------------------------------------------------------------


@command.command("diff")
@click.argument("a")
@click.argument("b")
@click.option(
    "--format", "formats", multiple=True, metavar="FORMAT", help="Block format; may be repeated."
)
@click.option(
    "--operation",
    "operations",
    multiple=True,
    metavar="OPERATION",
    help="quantize, dequantize, encode or decode; may be repeated.",
)
@click.option("--all", "everything", is_flag=True, help="Show each class of inputs that differs.")
@json_option
@click.pass_context
def diff(
    ctx: click.Context,
    *,
    a: str,
    b: str,
    formats: tuple[str, ...],
    operations: tuple[str, ...],
    everything: bool,
    as_json: bool,
) -> None:
    """Find the smallest inputs on which A and B differ: profiles, or PROFILE:field=choice,...

    Operations and formats that both have are searched: every threshold of every scale rule in
    every binade of float32, the values and midpoints of the elements, and specials. Each input
    shown is verified by the kernels and by the exact definition. Element codes are compared where
    the scale codes are equal and not NaN.

    Of NVFP4 and BDR profiles, tensors of few numbers are searched: A and B are of one family then.
    nvfp4:NAME, bdr:NAME and mx:NAME say whose profile is meant.

    Exit code 0: no difference found. 1: they differ. 2: could not run.
    """
    from mxref.differences import compare
    from mxref.differences.relatives import compare_relatives, family_of

    with one_line_errors():
        (of_a, ours), (of_b, theirs) = family_of(a), family_of(b)
        if of_a == of_b == "mx":
            found = compare(ours, theirs, formats or None, operations or None)
        else:
            found = compare_relatives(a, b, formats or None, operations or None)
    if as_json:
        emit_json(found.to_dict())
    else:
        _print_comparison(console(), found, everything=everything)
    ctx.exit(1 if found.differences else 0)


def _print_comparison(out: Console, found: Comparison, *, everything: bool) -> None:
    from rich.text import Text

    width = max(len(found.a.name), len(found.b.name), len("input"))
    labels = [found.a.name.ljust(width), found.b.name.ljust(width)]
    operations = tuple(dict.fromkeys(operation for operation, _ in found.searched))
    print_wrapped(
        out,
        f"{found.a.name} and {found.b.name}: {', '.join(operations)} of {', '.join(found.formats)}",
        indent="",
    )
    for name in found.differing:
        out.print()
        out.print(Text(name, style="bold"))
        groups: dict[tuple[str, str], list[Difference]] = {}
        for difference in found.differences:
            if difference.format == name:
                groups.setdefault((difference.operation, difference.output), []).append(difference)
        for (operation, output), members in groups.items():
            total = found.searched[operation, name]
            for difference in members if everything else members[:1]:
                head = f"{operation}, {output}: {difference.kind}"
                out.print(f"  {head} ({difference.count} of {total} inputs)")
                _print_witness(out, found, difference, labels)
            if len(members) > 1 and not everything:
                others = ", ".join(d.kind for d in members[1:])
                print_wrapped(out, f"also (--all shows them): {others}", indent="    ")
    out.print()
    print_wrapped(out, found.conclusion, indent="")
    for side in (found.a, found.b):
        if side.divergences:
            count = len(side.divergences)
            print_wrapped(
                out,
                f"{side.name} does {count} {'thing' if count == 1 else 'things'} that no policy "
                f"says, and that this comparison leaves out: mxref profiles show {side.name}",
                indent="",
            )


def _print_witness(
    out: Console, found: Comparison, difference: Difference, labels: list[str]
) -> None:
    from rich.text import Text

    indent = " " * 4
    width = len(labels[0])
    rows = [("input".ljust(width), difference.shown)]
    rows += [
        (label, outcome.text) for label, outcome in zip(labels, difference.outcomes, strict=True)
    ]
    # Beside a label that fills the line, nothing would be readable.
    beside = width + 2 + max(len(text) for _, text in rows) + len(indent) <= out.width
    for label, text in rows:
        if beside:
            out.print(Text(f"{indent}{label}  {text}"), soft_wrap=True)
        else:
            out.print(Text(f"{indent}{label.rstrip()}"), soft_wrap=True)
            out.print(Text(f"{indent}  {text}"), soft_wrap=True)
    ours, theirs = found.a.policy.as_dict(), found.b.policy.as_dict()
    joint = " together with " if difference.together else " or "
    fields = joint.join(f"{f} ({ours[f]} / {theirs[f]})" for f in difference.fields)
    print_wrapped(out, f"because of {fields}", indent=indent)
