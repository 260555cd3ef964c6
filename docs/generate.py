"""Write the pages of docs/ that list what the code knows: ``python docs/generate.py``.

``--check`` writes nothing and fails where a page is out of date; the tests call it so. Names of
pages behind it mean only these. A page that shows what commands print needs no entry here: every
one below docs/ is found, and its commands are run anew. ``--parts`` leaves them as they are.
"""

from __future__ import annotations

import ast
import inspect
import sys
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

from api_page import api_pages
from checkpoints_page import checkpoints_page
from clause_tour_page import clause_tour_page
from cli_page import cli_page
from diagnosis import diagnosis_page
from faults_page import fault_page
from formats_page import format_pages
from frameworks_page import frameworks_page
from layouts_page import layouts_page
from matmul_page import matmul_page
from open_points_page import open_points_page
from papers_page import papers_page
from relatives_page import relatives_page
from replays_page import replays_page
from scaling_page import scaling_page
from sessions import has_sessions, page_of

from mxref import _choices, clauses, profiles
from mxref.exact import scale
from mxref.exact.number import Number
from mxref.formats import BLOCK_FORMATS, pow2
from mxref.policy import PROFILES, REASONS, Policy
from mxref.vectors.trace import trace

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
            kind = type(f.default)
            if not any(name == kind.__name__ for name, _ in text_of):  # numbers, without texts
                first, *_, last = kind
                chosen = f"**ocp**, {f.default}: {REASONS[f.name]}"
                rows.append((f"`{f.name}`", f"`{first}` to `{last}`", kind.__doc__, chosen))
                continue
            for member in kind:
                chosen = "**ocp**: " + REASONS[f.name] if member is f.default else ""
                meaning = text_of[kind.__name__, str(member)]
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


def below(value):
    """The float32 number next below a power of two."""
    return f"{value}-", value - Fraction(value, 1 << 24)


ENDS = (
    ("0", 0),
    ("2^-126", pow2(-126)),
    ("2^-149", pow2(-149)),
    ("FLT_MAX", pow2(128) - pow2(104)),
    ("Inf", Number.inf(0)),
    ("NaN", Number.nan(0)),
)
# Scale codes at these largest magnitudes tell most implementations apart.
TELLING = {
    "mxfp4": ((4, 5, 6, Fraction(13, 2), 7), below(8)),
    "mxfp8_e4m3": ((256, 384, 448, 464, 480, 496), below(512)),
}


def scale_code(amax, fmt, policy):
    special = isinstance(amax, Number)
    beside = Fraction(1) if special else Fraction(amax) / 2
    if beside < pow2(-149):
        beside = Fraction(0)
    first = amax if special else Number.finite(Fraction(amax))
    block = [first, Number.finite(beside)] + [Number.zero(0)] * 30
    try:
        return str(scale.select(block, fmt, policy))
    except ValueError:
        return "refused"


def scale_codes(fmt):
    plain, last = TELLING[fmt]
    columns = [*((f"{float(v):g}", v) for v in plain), last, *ENDS]
    rows = []
    for name, profile in profiles.PROFILES.items():
        if fmt in profile.formats and "quantize" in profile.operations:
            codes = [scale_code(amax, fmt, profile.policy) for _, amax in columns]
            rows.append((f"`{name}`", *codes))
    return table(("profile", *(head for head, _ in columns)), rows)


def profile_page():
    names, parts = [], []
    for name, profile in profiles.PROFILES.items():
        formats = profile.formats
        has = "all" if formats == tuple(BLOCK_FORMATS) else ", ".join(f"`{f}`" for f in formats)
        operations = ", ".join(profile.operations)
        names.append(
            (f"[`{name}`](#{anchor(name)})", profile.title, profile.versions, operations, has)
        )
        changes = profile.policy.diff(PROFILES["ocp"])
        rows = []
        for field, text in profile.sources.items():
            url, _, what = text.partition(" ")
            rows.append(
                (
                    f"`{field}`",
                    f"`{changes[field][0]}`",
                    f"`{changes[field][1]}`",
                    f"<{url}> {what}",
                )
            )
        body = (
            table(("field", "choice", "ocp", "source"), rows) if rows else "As `ocp` in each field."
        )
        beyond = "".join(f"* {sentence}\n" for sentence in profile.divergences)
        if beyond:
            beyond = f"\nBeyond the policy:\n\n{beyond}"
        parts.append(f"## {name}\n\n{profile.title}.\n\n{body}\n{beyond}")
    return f"""# Profiles: whose behaviour each named policy describes

{NOTE}
A profile is a policy with a name, and a source for each field that differs from `ocp`; fields that
the described thing has nothing to do with are those of `ocp`. What was *read* follows from the text
of a document or a source; what was *measured* was run. `[secondary]` repeats somebody else,
`[unverified]` follows from a text without standing there. What no policy says stands below each
profile. `mxref profiles diff A B` finds the smallest inputs on which two differ (exit code 1, or 0
where it finds none).

{table(("profile", "what it describes", "versions", "operations", "formats"), names)}

## Scale codes

The scale code of a block of 32 whose largest magnitude heads the column; the second number is half
of it, or 1 beside Inf and NaN, and the rest are zeros. `8-` is the float32 number next below 8.

MXFP4:

{scale_codes("mxfp4")}

MXFP8 E4M3:

{scale_codes("mxfp8_e4m3")}

{chr(10).join(parts)}"""


def anchor(title):
    """The name that GitHub gives to a heading."""
    return title.replace(".", "").lower()


def counted(counts):
    return ", ".join(f"{operation} {count:,}" for operation, count in counts.items())


def code_list(names, prefix=""):
    return ", ".join(f"`{prefix}{name}`" for name in names)


def shortened(names, most=3):
    more = len(names) - most
    return code_list(names[:most]) + (f" and {more} more" if more > 0 else "")


def trace_page():
    traced = trace(HERE.parent / "spec_vectors")
    rows = [
        (
            f"`{row.clause}`",
            counted(row.cases) or (counted(row.grouped) and f"*{counted(row.grouped)}*"),
            code_list(row.exact),
            code_list(row.kernels),
            shortened(row.tests),
        )
        for row in traced
    ]
    head = ("clause", "vectors", "exact", "kernels", "tests")
    reasons = [
        (f"`{row.clause}`", row.reason or "**no reason given**", clauses.get(row.clause).text)
        for row in traced
        if not row.is_covered
    ]
    covered = len(traced) - len(reasons)
    return f"""# Traceability: from each clause to its vectors, code and tests

{NOTE}
{covered} of {len(traced)} clauses and open points have vectors. *Vectors*: how many cases of
`spec_vectors/` cite the clause, by operation; in italics, where none does, those of the covergroups
that were built for it. *Exact*: functions of `mxref/exact/` whose text names the clause, or a
module whose head does. *Kernels*: their twins in `mxref/kernels/` of the same name; tests hold the
two equal. *Tests*: test functions that name it, below `tests/`.

`mxref vectors list --clause ID` lists the cases, `mxref vectors explain ID` walks through one.

{table(head, rows)}

## Not covered

What no vector is about, and why; the reasons are written by hand. A clause that is in neither
table, or in both, fails the tests.

{table(("clause", "reason", "statement"), reasons)}
"""


def first_of(pages):
    """The first of some pages, and the others with it."""
    first, *_ = pages
    return pages.pop(first), pages


PAGES = {
    "clauses.md": clause_page,
    "policy.md": policy_page,
    "profiles.md": profile_page,
    "relatives.md": relatives_page,
    "papers.md": lambda: papers_page(NOTE),
    "faults.md": lambda: fault_page(NOTE),
    "diagnosis.md": lambda: diagnosis_page(NOTE),
    "real-defects.md": lambda: replays_page(NOTE),
    "traceability.md": trace_page,
    "matmul.md": lambda: matmul_page(HERE / "matmul.md"),
    "layouts.md": lambda: layouts_page(HERE / "layouts.md"),
    "checkpoints.md": lambda: checkpoints_page(HERE / "checkpoints.md"),
    "frameworks.md": lambda: frameworks_page(HERE / "frameworks.md"),
    "scaling.md": scaling_page,
    "explanation/the-standard-clause-by-clause.md": lambda: clause_tour_page(NOTE),
    "reference/cli.md": lambda: cli_page(NOTE),
    "reference/open-points.md": lambda: open_points_page(NOTE),
    # These have a page for each format and for each module.
    "reference/formats/index.md": lambda: first_of(format_pages(NOTE)),
    "reference/api/index.md": lambda: first_of(api_pages(NOTE)),
}


def names_of_all():
    """Every page with something written: those above, and those with sessions."""
    found = (page.relative_to(HERE).as_posix() for page in sorted(HERE.rglob("*.md")))
    return [
        *PAGES,
        *(name for name in found if name not in PAGES and has_sessions((HERE / name).read_text())),
    ]


def made(name, *, sessions):
    """A page as it is to be, and what else is written with it: text by file name."""
    if name in PAGES:
        page = PAGES[name]()
    elif (HERE / name).is_file() and has_sessions((HERE / name).read_text(encoding="utf-8")):
        page = (HERE / name).read_text(encoding="utf-8")
    else:
        sys.exit(f"{name}: nothing on it is written; pages are named from docs/, as how-to/x.md")
    text, beside = page if isinstance(page, tuple) else (page, {})
    if sessions and has_sessions(text):
        text = page_of(text)
    return {name: text, **beside}


def gone(name, pages):
    """Pages in the folder of an index that were written once, and are no more."""
    if Path(name).name != "index.md" or name not in PAGES:
        return []
    there = (HERE / name).parent.glob("*.md")
    return [path for path in there if path.relative_to(HERE).as_posix() not in pages]


def stale(names, *, sessions):
    """Files of some pages that are not as they are to be, or that are no more."""
    found = []
    for name in names:
        pages = made(name, sessions=sessions)
        found += [path.relative_to(HERE).as_posix() for path in gone(name, pages)]
        for file, content in pages.items():
            path = HERE / file
            if not path.exists() or path.read_text(encoding="utf-8") != content.rstrip() + "\n":
                found.append(file)
    return found


def write(names, *, sessions):
    """Write some pages, and what goes with them."""
    for name in names:
        pages = made(name, sessions=sessions)
        for path in gone(name, pages):
            path.unlink()
        for file, content in pages.items():
            (HERE / file).parent.mkdir(exist_ok=True, parents=True)
            (HERE / file).write_text(content.rstrip() + "\n", encoding="utf-8")


def main():
    options = {"--check", "--parts"} & set(sys.argv)
    names = [name for name in sys.argv[1:] if name not in options] or names_of_all()
    sessions = "--parts" not in options
    if "--check" not in options:
        write(names, sessions=sessions)
    elif old := stale(names, sessions=sessions):
        sys.exit(f"out of date: {', '.join(old)}; run: make docs")


if __name__ == "__main__":
    main()
