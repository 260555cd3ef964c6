"""Write the pages of docs/ that list what the code knows: ``python docs/generate.py``.

``--check`` writes nothing and fails where a page is out of date; the tests call it so.
"""

from __future__ import annotations

import ast
import inspect
import sys
from dataclasses import fields
from pathlib import Path

from mxref import _choices, clauses
from mxref.faults import FAULTS
from mxref.policy import PROFILES, REASONS, Policy

HERE = Path(__file__).parent
NOTE = "Written by `make docs` from the code; do not edit.\n"


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell(c) for c in row) + " |" for row in rows]
    return "\n".join(lines)


def meanings():
    """What each choice means: the text below each member of the enumerations."""
    found = {}
    for node in ast.parse(inspect.getsource(_choices)).body:
        if isinstance(node, ast.ClassDef):
            for member, text in zip(node.body, node.body[1:], strict=False):
                if isinstance(member, ast.Assign) and isinstance(text, ast.Expr):
                    found[node.name, ast.literal_eval(member.value)] = text.value.value
    return found


def source(clause):
    return f"{clause.source} [{clause.evidence.value}]"


def clause_page():
    normative = [(f"`{c.id}`", c.force.value, c.text, source(c)) for c in clauses.normative()]
    return f"""# Clauses

{NOTE}
Every statement of the standards that mxref rests on, in our own words. The mark behind a source
says how well we know it: *primary* was read in the text itself or in a verbatim quotation,
*secondary* is reported by others, *computed* follows from calculation, *unverified* is neither.

{table(("clause", "force", "statement", "source"), normative)}
"""


def policy_page():
    parts = []
    text_of = meanings()
    for point in clauses.open_points():
        settled = [f for f in fields(Policy) if f.metadata["open_point"] == point.id]
        rows = []
        for f in settled:
            for member in type(f.default):
                chosen = "**ocp**: " + REASONS[f.name] if member is f.default else ""
                meaning = text_of[type(member).__name__, str(member)]
                rows.append((f"`{f.name}`", f"`{member}`", meaning, chosen))
        seen = "\n".join(f"* {choice}" for choice in point.choices)
        parts.append(
            f"## {point.number}. {point.id}\n\n{point.text}\n\n"
            f"{table(('field', 'choice', 'meaning', 'chosen by ocp, because'), rows)}\n\n"
            f"Seen in the field ({source(point)}):\n\n{seen}\n"
        )
    profiles = []
    for name, profile in PROFILES.items():
        changes = profile.diff(PROFILES["ocp"])
        text = ", ".join(f"`{k}={ours}`" for k, (ours, _) in changes.items()) or "the default"
        profiles.append((f"`{name}`", text))
    return f"""# Policy: what the standards leave open

{NOTE}
A `Policy` assigns one choice to each field below; `ocp` is the default. Write another as
`"ocp:rounding=toward-zero,scale_rule=rceil"`. A field with one choice records what mxref does;
the alternatives that were seen in the field stand below it.

{table(("profile", "differs from ocp in"), profiles)}

{chr(10).join(parts)}"""


def fault_page():
    parts = []
    for fault in FAULTS.values():
        legal = ", ".join(f"`{k}={v}`" for k, v in fault.legal_change.items())
        rows = [
            ("effect", fault.effect),
            ("shown by", fault.stimulus),
            ("to do", fault.repair),
            ("legal as", legal or "never"),
            ("seen in", " ".join(f"<{url}>" for url in fault.seen_in) or "-"),
        ]
        parts.append(f"## {fault.id}: {fault.title}\n\n{table(('', fault.stage), rows)}\n")
    return f"""# Faults that mxref names

{NOTE}
S: scale selection, E: element encoding, D: decoding, L: layout. A finding says *is* only where the
fault reproduces every bit.

{chr(10).join(parts)}"""


PAGES = {"clauses.md": clause_page, "policy.md": policy_page, "faults.md": fault_page}


def main():
    stale = []
    for name, page in PAGES.items():
        path, text = HERE / name, page().rstrip() + "\n"
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        sys.exit(f"out of date: {', '.join(stale)}; run: make docs")


if __name__ == "__main__":
    main()
