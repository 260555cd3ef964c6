"""docs/reference/open-points.md: what each open point is called, and who chooses what."""

from __future__ import annotations

from dataclasses import fields

from mxref import clauses, profiles
from mxref.policy import Policy


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def who(field):
    """The profiles of each choice of a field: those that quantize or cast, in their order."""
    found = {}
    for name, profile in profiles.PROFILES.items():
        concerned = field in profile.sources or name == "ocp"
        if concerned:
            found.setdefault(str(getattr(profile.policy, field)), []).append(name)
    return found


def section(point):
    heading = f"{point.number}-{point.id.lower()}"
    parts = [f"## {point.id}\n", f"{point.text}\n"]
    rows = []
    for f in fields(Policy):
        if f.metadata["open_point"] != point.id:
            continue
        for choice, names in who(f.name).items():
            links = ", ".join(f"[`{n}`](../profiles.md#{n.replace('.', '')})" for n in names)
            rows.append((f"`{f.name}`", f"`{choice}`", links))
    if rows:
        parts.append(table(("field", "choice", "of the profiles"), rows) + "\n")
    parts.append(f"[What each choice means](../policy.md#{heading}), and where it was seen.\n")
    return "\n".join(parts)


def open_points_page(note):
    """Return the page."""
    points = clauses.open_points()
    return f"""# Open points

{note}
The standards leave {len(points)} things open. Each has a name that does not change; link to it as
`open-points.md#op-elem-rounding`. A profile stands beside a choice where a source says that the
described thing makes it; what it has nothing to do with is not listed. [Policy](../policy.md)
explains every choice.

{chr(10).join(section(point) for point in points)}"""
