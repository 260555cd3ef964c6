"""Sentences and numbers that every form of a report says alike, and text made safe to show."""

from __future__ import annotations

import unicodedata

from mxref.check.parts import Finding, Verdict
from mxref.check.render.run import Entry, Run
from mxref.check.report import Report
from mxref.relatives.bdr_formats import BDR_FORMATS

__all__ = [
    "answer",
    "changes",
    "counts",
    "explained",
    "in_short",
    "is_fine",
    "meaning",
    "percent",
    "says",
    "tally",
    "tells_more",
    "todo",
    "visible",
]

_MEANING = {
    Verdict.CONFORMS: "every bit is as the policy asks",
    Verdict.CONFORMS_AS: "every bit is as another legal policy asks",
    Verdict.DEFECT: "wrong, and the cause is known",
    Verdict.UNEXPLAINED: "wrong, and no known fault reproduces every bit",
    Verdict.NOT_TESTABLE: "nothing could be judged",
}
# Of a sum the standard leaves order and width open, and of a random draw nothing is every bit.
_OF_SUMS = {
    Verdict.CONFORMS: "every result is the sum that is asked for",
    Verdict.CONFORMS_AS: "every result is one that the standard leaves open",
    Verdict.UNEXPLAINED: "wrong, and no known fault explains every result",
}
_OF_CHANCE = {
    Verdict.CONFORMS: "no statistical test failed",
    Verdict.CONFORMS_AS: "no statistical test failed that another legal choice would pass",
    Verdict.UNEXPLAINED: "wrong, and no known fault explains every draw",
}
_SUMS = ("dot", "matmul")
_CHANCE = "stochastic"

# Control and format characters (which can reorder or hide text), and halves of surrogate pairs.
_UNSHOWN = {"Cc", "Cf", "Cs", "Co", "Cn"}
_ASCII = range(0x20, 0x7F)


def visible(text: str) -> str:
    r"""Return text with everything escaped that a terminal or a file could take for a command.

    Names and messages can come from a target. White space becomes single spaces.

    Examples
    --------
    >>> print(visible("a\tb\x1b[31m" + chr(0x202E)))
    a b\x1b[31m\u202e
    """
    return " ".join("".join(_shown(character) for character in text).split())


def _shown(character: str) -> str:
    code = ord(character)
    if code in _ASCII:
        return character
    if character in "\t\n\r\v\f\x85\u2028\u2029":
        return " "
    if unicodedata.category(character) not in _UNSHOWN:
        return character
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def percent(share: float) -> str:
    """Return a share in percent that says 0 and 100 only where nothing and everything is meant.

    Examples
    --------
    >>> percent(0.934), percent(0.9999), percent(1.0)
    ('93 %', 'more than 99 %', '100 %')
    """
    if 0 < share < 0.01:
        return "less than 1 %"
    if 0.99 < share < 1:
        return "more than 99 %"
    return f"{100 * share:.0f} %"


def answer(report: Report) -> str:
    """Return whether the caller may be content."""
    if report.verdict is Verdict.CONFORMS_AS:
        if not report.ok:
            return "no: another policy was asked for"
        return "yes, under this policy" if report.policy else "yes: the standard leaves it open"
    return "yes" if report.ok else "no"


def meaning(report: Report) -> str:
    """Return in half a sentence what the verdict says of what was judged.

    Examples
    --------
    >>> from mxref.check.parts import Mismatches
    >>> none = Mismatches(0, 0, 0, 9)
    >>> meaning(Report("stochastic", "e4m3", Verdict.CONFORMS, None, None, (), none))
    'no statistical test failed'
    """
    special = _OF_SUMS if report.op in _SUMS else _OF_CHANCE if report.op == _CHANCE else {}
    return special.get(report.verdict) or _MEANING[report.verdict]


def _against(report: Report) -> str:
    """Return what the data were compared with."""
    if report.asked is not None:
        return str(report.asked)
    if report.op == "encode_stochastic":
        return "ocp:rounding=stochastic-a"
    return _default_of(report.format)


def _default_of(name: str) -> str:
    """Return the policy that a format is judged by where nobody asks for another."""
    if name in ("nvfp4", "ue4m3"):
        from mxref.relatives.nvfp4_policy import NVFP4Policy

        return NVFP4Policy.BASE
    if name in BDR_FORMATS:
        from mxref.relatives.bdr_policy import BDRPolicy

        return BDRPolicy.BASE
    return "ocp"


def counts(report: Report) -> str:
    """Return how many of how many differ, and from what.

    Examples
    --------
    >>> from mxref.check.parts import Mismatches
    >>> seen = Mismatches(0, 3, 0, 9)
    >>> print(counts(Report("dot", "mxfp4-mxfp4", Verdict.DEFECT, None, None, (), seen)))
    3 of 9 (33 %) results lie outside what a sum in float32 or wider can give
    """
    m = report.mismatches
    if report.op in _SUMS and m.total_elements:
        return f"{_share(m.elements, m.total_elements)} results {_of_sums(report)}"
    if report.op == _CHANCE and m.total_elements:
        drawn = _share(m.elements, m.total_elements)
        return (
            f"{drawn} codes are neither neighbour of their value; how often each comes out is a "
            "matter of statistics"
        )
    parts = []
    if m.total_scales:
        parts.append(f"{_share(m.scales, m.total_scales)} scale codes")
    if m.total_elements:
        what = "elements" if report.op.startswith(("quantize", "encode")) else "values"
        parts.append(f"{_share(m.elements, m.total_elements)} {what}")
    return f"{' and '.join(parts)}, against {_against(report)}" if parts else "nothing to compare"


def _of_sums(report: Report) -> str:
    """Return in what results of sums differ; without a claim only what no sum can give counts."""
    if report.asked is not None:
        is_right = report.verdict is Verdict.CONFORMS
        return f"differ from the {'sum that is claimed' if is_right else 'exact sum'}"
    if report.verdict is Verdict.CONFORMS:
        return "differ from the exact sum"
    return "lie outside what a sum in float32 or wider can give"


def _share(count: int, total: int) -> str:
    part = f" ({percent(count / total)})" if count and total else ""
    return f"{count:,} of {total:,}{part}"


def says(finding: Finding) -> str:
    """Return how sure the finding is: *is* only where nothing is left over."""
    if not finding.certain:
        return f"is consistent with {percent(finding.explains)} of the mismatches"
    return "is a legal choice" if finding.legal else "is a defect"


def explained(finding: Finding) -> str:
    """Return how much a finding explains, and what is left."""
    left = "none is left over" if finding.certain else f"{finding.residual:,} are left over"
    return f"{percent(finding.explains)} of the mismatches; {left}"


def changes(finding: Finding) -> str:
    """Return the policy fields that make a finding legal."""
    return ", ".join(f"{field}={choice}" for field, choice in finding.policy_change.items())


def todo(report: Report) -> tuple[str, ...]:
    """Return what to do now, the first thing first; empty where all is well.

    Examples
    --------
    >>> from mxref.check.parts import Mismatches, Trouble
    >>> trouble = Trouble("raised", "ValueError")
    >>> none = Mismatches(0, 0, 0, 0)
    >>> todo(Report("encode", "e4m3", Verdict.NOT_TESTABLE, None, None, (), none, trouble=trouble))
    ('Make the target run, then check again.',)
    """
    if report.ok:
        return ()
    if report.verdict is Verdict.NOT_TESTABLE:
        if report.trouble is None:
            return ("Give data that hold what is to be judged.",)
        if report.trouble.kind == "not-claimed":
            return ()
        return ("Make the target run, then check again.",)
    found = [f.repair for f in report.findings if f.repair and f.certain]
    if report.verdict is Verdict.CONFORMS_AS:
        claim = f"Claim the policy {report.policy}, or change the kernel." * bool(report.policy)
        found = [claim, *found] if claim else found
    if report.verdict is Verdict.UNEXPLAINED:
        found += [place.try_next for place in report.places if place.try_next]
        found = found or ["Look at the witness, the map and the lanes; then reduce the input."]
    return tuple(dict.fromkeys(found))


def in_short(entry: Entry) -> str:
    """Return in one line what an entry is about: its causes, or why it was not judged."""
    report = entry.report
    if report is None:
        return visible(entry.error)
    said = [f"{finding.id}: {finding.title}" for finding in report.findings]
    if report.trouble is not None:
        said.insert(0, f"{report.trouble.kind}: {report.trouble.text}")
    if not said and not report.ok:
        said = [report.places[0].what if report.places else counts(report)]
    return visible("; ".join(text.rstrip(".") for text in said))


def tally(run: Run) -> str:
    """Return how many entries have each verdict.

    Examples
    --------
    >>> tally(Run("a", "a", (Entry("encode", "e4m3", None, "no such file"),)))
    '1 not-run'
    """
    labels = [entry.label for entry in run.entries]
    order = [name for name in (*map(str, Verdict), "not-claimed", "not-run") if name in labels]
    return ", ".join(f"{labels.count(name)} {name}" for name in order) or "nothing run"


def is_fine(entry: Entry) -> bool:
    """Whether nobody needs to read about an entry first: it is right, or not claimed."""
    return entry.label == "not-claimed" or (entry.report is not None and entry.report.ok)


def tells_more(report: Report) -> bool:
    """Whether there is more to say than the verdict."""
    more = (report.findings, report.inferred, report.gaps, report.places, report.notes)
    return not report.ok or any(more) or report.trouble is not None
