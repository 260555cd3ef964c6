"""``mxref profiles`` for the relatives of the MX formats: NVFP4 and the BDR formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mxref.cli._profiles_text import print_choices, print_divergences, print_sources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from mxref.differences.relatives import Relative
    from mxref.relatives.bdr_profiles import BDRProfile
    from mxref.relatives.nvfp4_profiles import NVFP4Profile

    Record = NVFP4Profile | BDRProfile

__all__ = ["changes", "document", "print_list", "print_profile"]


def _records(family: str) -> Iterable[Record]:
    from mxref.relatives.bdr_profiles import BDR_PROFILES
    from mxref.relatives.nvfp4_profiles import PROFILES

    return PROFILES.values() if family == "nvfp4" else BDR_PROFILES.values()


def _shown(family: str, record: Record) -> str:
    """The name, with its family where an MX profile has the same."""
    from mxref.differences.relatives import family_of

    return record.name if family_of(record.name)[0] == family else f"{family}:{record.name}"


def _versions(record: Record) -> str:
    return str(getattr(record, "versions", None) or getattr(record, "evidence", ""))


def _base(policy: Any) -> Any:
    """The policy that reasons are of: that of the defaults."""
    return type(policy)()


def changes() -> dict[str, dict[str, str]]:
    """Return for each profile the choices in which it differs from the base of its family."""
    found = {}
    for family in ("nvfp4", "bdr"):
        for record in _records(family):
            diff = record.policy.diff(_base(record.policy))
            found[_shown(family, record)] = {field: ours for field, (ours, _) in diff.items()}
    return found


def print_list(out: Console) -> None:
    """Print a table for each family, under its heading."""
    from rich.table import Table
    from rich.text import Text

    from mxref.differences.relatives import FAMILIES

    counts = {name: len(fields) for name, fields in changes().items()}
    for family in ("nvfp4", "bdr"):
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("profile", style="bold cyan", no_wrap=True)
        table.add_column("what it describes")
        table.add_column("fields", justify="right")
        for record in _records(family):
            name = _shown(family, record)
            text = Text(record.title)
            text.append(f"\n{_versions(record)}", style="dim")
            formats = getattr(record, "formats", ())
            if formats:
                text.append(f"\nquantize: {' '.join(formats)}", style="dim")
            table.add_row(name, text, str(counts[name]))
        base = next(iter(_records(family))).policy.BASE
        out.print()
        out.print(Text(f"{FAMILIES[family]} (fields: how many differ from {base})", style="bold"))
        out.print(table)


# --- show ------------------------------------------------------------------------------------


def _reasons(family: str) -> tuple[dict[str, str], dict[str, str]]:
    """Open points and reasons, by field."""
    from mxref._policy_base import open_points_of
    from mxref.relatives.bdr_policy import BDR_REASONS, BDRPolicy
    from mxref.relatives.nvfp4_policy import OPEN_POINT_OF, REASONS

    if family == "nvfp4":
        return dict(OPEN_POINT_OF), dict(REASONS)
    return dict(open_points_of(BDRPolicy)), dict(BDR_REASONS)


def document(found: Relative) -> dict[str, Any]:
    """Return every choice of a policy, its reason and its source, as JSON knows it."""
    policy, record = found.policy, found.profile
    open_points, reasons = _reasons(found.family)
    base = _base(policy)
    sources = record.sources if record else {}
    page: dict[str, Any] = {"name": record.name if record else policy.name, "family": found.family}
    if record is not None:
        page |= {
            "title": record.title,
            "versions": _versions(record),
            "formats": list(getattr(record, "formats", (found.family,))),
            "divergences": list(record.divergences),
        }
    page["fields"] = {
        field: {
            "choice": choice,
            "open_point": open_points[field],
            policy.BASE: str(getattr(base, field)),
            f"reason_of_{policy.BASE}": reasons[field],
            "source": sources.get(field),
        }
        for field, choice in policy.as_dict().items()
    }
    return page


def print_profile(out: Console, found: Relative) -> None:
    """Print every choice of a policy with its reason, and the sources of a profile."""
    from rich.text import Text

    from mxref.differences.relatives import FAMILIES

    policy, record = found.policy, found.profile
    choices = policy.as_dict()
    title = record.name if record else policy.name
    out.print(Text(f"{title}: {len(choices)} choices of {found.family}", style="bold"))
    out.print(f"family: {FAMILIES[found.family]}")
    if record is not None:
        out.print(record.title)
        label = "versions" if hasattr(record, "versions") else "evidence"
        out.print(f"{label}: {_versions(record)}")
        formats = getattr(record, "formats", ())
        if formats:
            out.print(f"formats: {' '.join(formats)}")
        if record.sources:
            print_sources(out, choices, record.sources)
        if record.divergences:
            print_divergences(out, record.divergences)
    out.print()
    of_base = (policy.BASE, _base(policy).as_dict())
    print_choices(out, choices, of_base, *_reasons(found.family))
