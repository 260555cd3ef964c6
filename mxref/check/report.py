"""What a check answers: a verdict, the policy, named findings with witnesses, and what to do."""

from __future__ import annotations

import enum
import html
import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mxref.policy import Policy

__all__ = ["DefectError", "Finding", "Mismatches", "Report", "Verdict", "Witness"]

_WIDTH = 80


class Verdict(enum.StrEnum):
    """The outcome of a check."""

    CONFORMS = "conforms"
    """Bit for bit what the policy in question asks for."""
    CONFORMS_AS = "conforms-as"
    """Bit for bit what another legal policy asks for; `Report.policy` is that policy."""
    DEFECT = "defect"
    """Wrong, and faults of the catalogue reproduce every bit."""
    UNEXPLAINED = "unexplained"
    """Wrong, and no fault or composition of faults reproduces every bit."""
    NOT_TESTABLE = "not-testable"
    """There was nothing to judge."""


_MEANING = {
    Verdict.CONFORMS: "every bit is as the policy asks",
    Verdict.CONFORMS_AS: "every bit is as another legal policy asks",
    Verdict.DEFECT: "wrong, and the cause is known",
    Verdict.UNEXPLAINED: "wrong, and no known fault reproduces every bit",
    Verdict.NOT_TESTABLE: "there was nothing to judge",
}


class DefectError(AssertionError):
    """Raised by `Report.raise_for_defects`; the message is the report."""


@dataclass(frozen=True, slots=True)
class Witness:
    """One mismatch: input, what was given, and what was expected.

    Attributes
    ----------
    index : tuple of int
        Logical coordinates: of the element, or for a scale of the block.
    stage : str
        ``"scale"``, ``"element"`` or ``"value"``.
    input_bits, input_value, scale_code, got_bits, got_value, expected_bits, expected_value
        Bits in hexadecimal and values in decimal; None where the stage has no such thing. The input
        of a scale is the amax of its block.
    """

    index: tuple[int, ...]
    stage: str
    input_bits: str | None = None
    input_value: str | None = None
    scale_code: str | None = None
    got_bits: str | None = None
    got_value: str | None = None
    expected_bits: str | None = None
    expected_value: str | None = None

    def __str__(self) -> str:
        """Return one readable line."""
        where = "[" + ", ".join(str(i) for i in self.index) + "]"
        given = {"scale": "amax ", "value": "code "}.get(self.stage, "")
        source = f"{given}{_pair(self.input_value, self.input_bits)}"
        scale = f" under scale {self.scale_code}" if self.scale_code else ""
        got = _pair(self.got_bits, self.got_value)
        expected = _pair(self.expected_bits, self.expected_value)
        return f"{where}: {source}{scale} gave {got}, expected {expected}"


def _pair(first: str | None, second: str | None) -> str:
    if first is None or second is None:
        return first or second or "?"
    return f"{first} ({second})"


@dataclass(frozen=True, slots=True)
class Finding:
    """One named cause.

    Attributes
    ----------
    id : str
        Fault id such as ``"E1"``, or the open point where a legal choice has no fault id.
    title, effect, repair : str
        What is done, what it does to users, and what to do about it.
    explains : float
        Share of the mismatches of its stage that need it for their explanation, from 0 to 1; two
        findings that act on the same element both count it.
    residual : int
        Mismatches of its stage that are left when it and the other findings are assumed.
    witness : Witness or None
        One mismatch that it explains.
    seen_in : tuple of str
        Where the same fault was found in the field.
    legal : bool
        Whether it is a choice that the standard leaves open.
    policy_change : Mapping of str to str
        The policy fields that make it legal.
    detail : str
        Which variant of the fault.
    """

    id: str
    title: str
    explains: float
    residual: int
    witness: Witness | None
    seen_in: tuple[str, ...]
    effect: str
    repair: str
    legal: bool
    policy_change: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""

    @property
    def certain(self) -> bool:
        """Whether it may be said to be the cause: nothing is left over."""
        return self.residual == 0


@dataclass(frozen=True, slots=True)
class Mismatches:
    """How much differs from the policy that was judged against.

    Attributes
    ----------
    scales, elements : int
        Differing scale codes; differing elements (or values), judged given the emitted scale.
    total_scales, total_elements : int
        How many there are.
    first : Witness or None
        The first mismatch in logical order, scales before elements.
    """

    scales: int
    elements: int
    total_scales: int
    total_elements: int
    first: Witness | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of a check.

    Attributes
    ----------
    op, format : str
        What was checked.
    verdict : Verdict
        The outcome.
    policy : Policy or None
        The policy that reproduces every bit; None if there is none.
    asked : Policy or None
        The policy that the caller asked for.
    findings : tuple of Finding
        Causes, the most telling first.
    mismatches : Mismatches
        Differences from the asked policy, or from ``ocp``.
    notes : tuple of str
        What else there is to know: differences without effect, what the data cannot show.
    """

    op: str
    format: str
    verdict: Verdict
    policy: Policy | None
    asked: Policy | None
    findings: tuple[Finding, ...]
    mismatches: Mismatches
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the caller may be content: the asked policy, or any legal one if none was."""
        if self.verdict is Verdict.CONFORMS_AS:
            return self.asked is None
        return self.verdict is Verdict.CONFORMS

    def raise_for_defects(self) -> None:
        """Raise `DefectError` with the report as its message unless `ok`."""
        if not self.ok:
            raise DefectError("\n" + str(self))

    def __str__(self) -> str:
        """Return the report in 80 columns, without colour."""
        return "\n".join(_lines(self))

    def to_json(self) -> str:
        """Return the report as a JSON object."""
        return json.dumps(_as_json(self), indent=2, ensure_ascii=False)

    def _repr_html_(self) -> str:
        colour = "#1a7f37" if self.ok else "#b3261e"
        head = f"{self.op} {self.format}: {self.verdict}"
        return (
            f'<div><b style="color:{colour}">{html.escape(head)}</b>'
            f"<pre>{html.escape(str(self))}</pre></div>"
        )


# --- text -------------------------------------------------------------------------------------


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.verdict.upper()}  {report.op} {report.format}: {_MEANING[report.verdict]}"
    yield "=" * _WIDTH
    yield from _row("ok", _answer(report))
    if report.policy is not None:
        yield from _row("policy", str(report.policy))
    if report.asked is not None and report.asked != report.policy:
        yield from _row("asked", str(report.asked))
    yield from _row("differs", _count(report))
    first = report.mismatches.first
    if first is not None and first not in [f.witness for f in report.findings]:
        yield from _row("first", str(first))
    for finding in report.findings:
        yield ""
        yield from _finding_lines(finding)
    if report.notes:
        yield ""
        yield "Notes"
        for note in report.notes:
            yield from textwrap.wrap(note, _WIDTH, initial_indent="- ", subsequent_indent="  ")


def _answer(report: Report) -> str:
    if report.verdict is Verdict.CONFORMS_AS:
        return "yes, under this policy" if report.ok else "no: another policy was asked for"
    return "yes" if report.ok else "no"


def _row(label: str, text: str) -> Iterator[str]:
    head = f"{label:<12}"
    yield from textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head]


def _count(report: Report) -> str:
    m = report.mismatches
    parts = []
    if m.total_scales:
        parts.append(f"{_share(m.scales, m.total_scales)} scale codes")
    if m.total_elements:
        what = "values" if report.op in {"dequantize", "decode"} else "elements"
        parts.append(f"{_share(m.elements, m.total_elements)} {what}")
    against = report.asked if report.asked is not None else "ocp"
    return " and ".join(parts) + f", against {against}" if parts else "nothing to compare"


def _share(count: int, total: int) -> str:
    percent = f" ({_percent(count / total)})" if count else ""
    return f"{count:,} of {total:,}{percent}"


def _finding_lines(finding: Finding) -> Iterator[str]:
    share = _percent(finding.explains)
    says = "is a legal choice" if finding.legal else "is a defect"
    if not finding.certain:
        says = f"is consistent with {share} of the mismatches"
    text = f"{finding.id} {says}: {finding.title}"
    yield from textwrap.wrap(text, _WIDTH, subsequent_indent="  ")
    left = "none is left over" if finding.certain else f"{finding.residual:,} are left over"
    rows = [("variant", finding.detail), ("explains", f"{share} of the mismatches; {left}")]
    if finding.policy_change:
        policy = ", ".join(f"{k}={v}" for k, v in finding.policy_change.items())
        rows.append(("policy", policy))
    rows.append(("witness", "" if finding.witness is None else str(finding.witness)))
    rows += [("effect", finding.effect), ("to do", finding.repair)]
    rows += [("seen in" if i == 0 else "", url) for i, url in enumerate(finding.seen_in[:3])]
    for label, content in rows:
        if content:
            yield from _row(f"  {label}", content)


def _percent(share: float) -> str:
    if 0 < share < 0.01:
        return "less than 1 %"
    if 0.99 < share < 1:
        return "more than 99 %"
    return f"{100 * share:.0f} %"


def _as_json(report: Report) -> dict[str, Any]:
    def witness(w: Witness | None) -> dict[str, Any] | None:
        return None if w is None else {name: getattr(w, name) for name in Witness.__slots__}

    m = report.mismatches
    return {
        "op": report.op,
        "format": report.format,
        "verdict": str(report.verdict),
        "ok": report.ok,
        "policy": None if report.policy is None else report.policy.as_dict(),
        "policy_name": None if report.policy is None else report.policy.name,
        "asked": None if report.asked is None else report.asked.name,
        "mismatches": {
            "scales": m.scales,
            "elements": m.elements,
            "total_scales": m.total_scales,
            "total_elements": m.total_elements,
            "first": witness(m.first),
        },
        "findings": [
            {
                "id": f.id,
                "title": f.title,
                "detail": f.detail,
                "explains": f.explains,
                "residual": f.residual,
                "legal": f.legal,
                "policy_change": dict(f.policy_change),
                "witness": witness(f.witness),
                "effect": f.effect,
                "repair": f.repair,
                "seen_in": list(f.seen_in),
            }
            for f in report.findings
        ],
        "notes": list(report.notes),
    }
