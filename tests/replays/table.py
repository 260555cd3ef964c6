"""Prints the table of real defects that `mxref.check` names, in Markdown: `python table.py`."""

from __future__ import annotations

from judging import REPLAYS, driven, judged

HEAD = ("what the code did", "project", "judged as", "named as", "wrong, and explained")
_NUMBERS = ("decode", "dequantize", "dequantize_tensor", "dot")


def rows():
    """Yield a row for each replay, or more where its formats have different names for it."""
    for replay in REPLAYS:
        found = {}
        for fmt in replay.formats:
            report = driven(replay, fmt) if replay.driven else judged(replay, fmt)
            found.setdefault(_named(report), []).append((fmt, report))
        for named, answers in found.items():
            formats = ", ".join(fmt for fmt, _ in answers)
            yield (
                replay.mistake,
                f"[{replay.project}]({replay.url})",
                f"{replay.op.replace('_', ' of a ')}: {formats}",
                named,
                _counted(replay.op, [report for _, report in answers]),
            )


def _named(report):
    names = [f"**{f.id}**" + (f" {f.detail}" if f.detail else "") for f in report.findings]
    if report.verdict not in ("defect", "conforms-as"):
        return f"{report.verdict}: " + "; ".join(names)
    legal = [f.legal for f in report.findings]
    return "; ".join(
        name + " (legal)" * is_legal for name, is_legal in zip(names, legal, strict=True)
    )


def _counted(op, reports):
    """How many bits of evidence there were: a certain name leaves none of it over."""
    scales = sum(r.mismatches.scales for r in reports)
    elements = sum(r.mismatches.elements for r in reports)
    left = sum(max((f.residual for f in r.findings), default=0) for r in reports)
    what = "values" if op in _NUMBERS else "elements"
    parts = [f"{n:,} {name}" for n, name in ((scales, "scales"), (elements, what)) if n]
    certain = all(r.verdict in ("defect", "conforms-as") for r in reports) and not left
    return ", ".join(parts) + (": all" if certain else ": not all")


def markdown():
    """Return the table."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    lines += ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
