"""The strength of a set as a page of Markdown, for ``docs/strength.md``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from mxref.faults import FAULTS
from mxref.vectors._families import FAMILIES
from mxref.vectors.model import Manifest, policy_slug
from mxref.vectors.operations import FAMILY
from mxref.vectors.strength import EQUIVALENT, UNKILLED, Row, Strength, without_model

__all__ = ["strength_page"]

_HEAD = """# Strength of the conformance vectors

Written by `mxref vectors strength --markdown docs/strength.md` (part of `make vectors`) from the
set in `spec_vectors/`, version {version}; do not edit.

Every fault of the catalogue that is a deterministic variation of an operation
([faults.md](faults.md)) runs over every case of the operation, in every format, in every variant.
NVFP4 files that choose between 4 and 6, and dot products of NVFP4 and BDR, have no models of
faults: they are not listed.

- *killed*: at least one case fails.
- *inconsistent*: each output is allowed by itself, but no single policy gives them all.
- *legal*: a policy gives just these outputs. It is no defect; whoever claims the policy of the file
  is told by a case.
- *equivalent*: no input of this operation can show the fault in this format; the reason is below,
  and tests search for an input that would refute it.
- *unkilled*: a hole in the set. CI fails if there is one.

{total}

The core set (`spec_vectors/core/`, in the wheel) shows all of them, too, faults of sums in `dot`
alone: {core}.
"""


def strength_page(strength: Strength, whole: Manifest, core: Manifest) -> str:
    """Return the page.

    Parameters
    ----------
    strength : Strength
        Of the whole set.
    whole, core : Manifest
        The manifests of the set and of its core, for their sizes.
    """
    counts = strength.counts()
    said = ", ".join(f"{number:,} {status}" for status, number in counts.items())
    total = f"**{len(strength.rows):,} faults x variants x files: {said}.**"
    size = f"{core.case_count:,} cases of {whole.case_count:,}, {core.size / 1e6:.2f} MB of "
    parts = [
        _HEAD.format(
            version=whole.set_version, total=total, core=f"{size}{whole.size / 1e6:.1f} MB"
        ),
        "## By file\n",
        _by_file(strength.rows, whole),
        "## By fault\n\nThe case is the first that shows the fault in the first file that does.\n",
        _by_fault(strength.rows),
        "## What no input can show\n",
        _reasons(strength.rows, EQUIVALENT),
    ]
    parts += [
        "## Without a model\n\nFaults of the catalogue that no operation of the set can have.\n",
        _table(
            ("id", "fault", "why"),
            ((f, FAULTS[f].title, why) for f, why in without_model(strength.rows).items()),
        ),
    ]
    if counts[UNKILLED]:
        parts += ["## Unkilled\n", _reasons(strength.rows, UNKILLED)]
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _by_file(rows: Sequence[Row], whole: Manifest) -> str:
    def line(key: tuple[str, str, str], found: list[Row]) -> list[str]:
        operation, format_name, policy = key
        counts = Strength(tuple(found)).counts()
        slug = policy_slug(FAMILIES[FAMILY[operation]].parse(policy))
        cases = whole.files[f"{operation}/{format_name}.{slug}.json"].cases
        name = f"`{operation}/{format_name}` {policy.removeprefix('ocp:')}"
        return [name, str(cases), str(len(found)), *(str(n) for n in counts.values())]

    files = groupby(rows, key=lambda row: (row.operation, row.format, row.policy))
    head = ("file", "cases", "faults", *Strength(()).counts())
    return _table(head, (line(key, list(found)) for key, found in files))


def _by_fault(rows: Sequence[Row]) -> str:
    def line(fault: str) -> list[str]:
        found = [row for row in rows if row.fault == fault]
        shown = [row for row in found if row.by]
        files = {(row.operation, row.format, row.policy) for row in found}
        where = {(row.operation, row.format, row.policy) for row in shown}
        first = shown[0] if shown else None
        case = f"`{first.by}` ({first.operation}/{first.format})" if first else ""
        details = {row.detail for row in found}
        title = FAULTS[fault].title
        return [fault, title, str(len(details)), f"{len(where)} of {len(files)}", case]

    run = {row.fault for row in rows}
    order = [fault for fault in FAULTS if fault in run]
    head = ("id", "fault", "variants", "shown in files", "case")
    return _table(head, (line(fault) for fault in order))


def _reasons(rows: Sequence[Row], status: str) -> str:
    grouped: dict[tuple[str, str], dict[str, list[str]]] = {}
    for row in rows:
        if row.status == status:
            variants = grouped.setdefault((row.fault, row.reason), {})
            variants.setdefault(row.detail, []).append(f"{row.operation}/{row.format}")
    order = {fault: place for place, fault in enumerate(FAULTS)}
    lines = (
        [fault, _variants(variants), reason]
        for (fault, reason), variants in sorted(
            grouped.items(), key=lambda item: (order.get(item[0][0], len(order)), item[0][1])
        )
    )
    return _table(("id", "variant and where", "why"), lines)


def _variants(variants: Mapping[str, Sequence[str]]) -> str:
    def where(files: Sequence[str]) -> str:
        names = list(dict.fromkeys(files))
        return ", ".join(names) if len(names) <= 8 else f"{len(names)} formats and operations"

    return "; ".join(f"{detail or 'any'}: {where(files)}" for detail, files in variants.items())
