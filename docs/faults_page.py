"""The page docs/faults.md: every fault of the catalogue, for those who found one in a report."""

from __future__ import annotations

import re
from collections import defaultdict

from mxref import faults
from mxref.faults import FAULTS, REASONS
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS

STAGES = {
    "scale": "Scale selection",
    "element": "Element encoding",
    "decode": "Decoding",
    "layout": "Layout",
    "gemm": "Products",
    "stochastic": "Stochastic rounding",
}
THREAD = re.compile(r"https://github\.com/([^/]+/[^/]+)/(?:pull|issues|discussions)/(\d+)")


def link(url):
    """A thread of GitHub under its usual short name, anything else as it is."""
    thread = THREAD.match(url)
    return f"[{thread[1]}#{thread[2]}]({url})" if thread else f"<{url}>"


def legal_choices():
    """By fault: the policies under which the fault itself, or a variant of it, is right."""
    found = defaultdict(dict)
    for fault in FAULTS.values():
        found[fault.id] |= dict.fromkeys(map(as_policy, [fault.legal_change]))
    models = [*faults.cast_models(), *faults.end_models()]
    for fmt in BLOCK_FORMATS.values():
        models += [*faults.scale_models(fmt), *faults.element_models(fmt.element)]
    for model in models:
        found[model.id][as_policy(model.legal_change or {})] = None
    return {fault: [text for text in texts if text] for fault, texts in found.items()}


def as_policy(change):
    return ", ".join(f"`{field}={choice}`" for field, choice in change.items())


def formats_text(names):
    """Formats by name, or in a word where they are all of a kind."""
    for kind in (BLOCK_FORMATS, ELEMENT_FORMATS):
        if set(kind) <= set(names):
            return "any format"
    return ", ".join("any format" if name == "*" else f"`{name}`" for name in names)


def hidden(fault):
    """Where no input shows a fault, and why; one line a reason."""
    places = defaultdict(lambda: defaultdict(list))
    for (known, detail, op, name), reason in REASONS.items():
        if known == fault.id:
            places[reason][op, detail].append(name)
    for reason, found in places.items():
        by_formats = defaultdict(list)
        for (op, detail), names in found.items():
            variant = "" if detail == "*" else f" ({detail})"
            what = "every operation" if op == "*" else f"`{op}`"
            by_formats[formats_text(names)].append(what + variant)
        where = "; ".join(f"{', '.join(ops)} of {names}" for names, ops in by_formats.items())
        yield f"{where}: {reason[0].upper()}{reason[1:].rstrip('.')}."


def entry(fault, legal):
    rows = [("Shown by", fault.stimulus), ("To do", fault.repair)]
    if legal:
        rows.append(("Legal as", " or ".join(filter(None, (", ".join(legal[:-1]), legal[-1])))))
    if fault.seen_in:
        rows.append(("Seen in", ", ".join(map(link, fault.seen_in))))
    lines = [f"* {label}: {text}" for label, text in rows]
    lines += [f"* Cannot show in {text}" for text in hidden(fault)]
    body = "\n".join(lines)
    return f"### {fault.id}\n\n**{fault.title}** {fault.effect}\n\n{body}\n"


def of_stage(stage):
    return [fault for fault in FAULTS.values() if fault.stage == stage]


def stage_text(stage, title, legal):
    entries = "\n".join(entry(fault, legal.get(fault.id)) for fault in of_stage(stage))
    return f"## {title}\n\n{entries}"


def contents():
    parts = []
    for stage, title in STAGES.items():
        found = of_stage(stage)
        listed = "\n".join(f"* [{fault.id}](#{fault.id.lower()}) {fault.title}" for fault in found)
        parts.append(f"**{title}**\n\n{listed}\n")
    return "\n".join(parts)


def fault_page(note=""):
    """Return the page."""
    known = FAULTS.values()
    seen = sum(bool(fault.seen_in) for fault in known)
    urls = {url for fault in known for url in fault.seen_in}
    legal = legal_choices()
    stages = "\n".join(stage_text(stage, title, legal) for stage, title in STAGES.items())
    return f"""# Faults that mxref names

{note}
{len(FAULTS)} faults. {seen} of them were seen in the field: {len(urls)} reports of them are linked
below. Ids are stable: S is scale selection, E element encoding, D decoding, L layout, G products,
R random bits.

Each entry says what the implementation does, **in bold**, and what that does to users. *Shown by*
is the input that separates it from its neighbours. *To do* is the repair. *Legal as* names the
[policy](policy.md) choices under which the fault, or a variant of it, is right. *Cannot show* says
where no input can tell it from a right implementation. [diagnosis.md](diagnosis.md) says which
faults look alike, and where; [checking.md](checking.md) how a report uses them.

## Contents

{contents()}
{stages}"""
