"""One case of a vector file, told step by step: what it asks, what is due, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mxref.clauses import CLAUSES
from mxref.exact import ieee
from mxref.faults import FAULTS
from mxref.show._case_steps import case_steps
from mxref.show._input import brief
from mxref.show._text import WIDTH, View, field
from mxref.vectors import Case, Member, Output, VectorFile, Verdict
from mxref.vectors.model import COMPARE_RULES, case_as_json
from mxref.vectors.operations import OUT_FIELDS, output_digits

__all__ = ["CaseView", "vector_case"]

_SHOWN = 64  # numbers of one output; a tensor has thousands


@dataclass(frozen=True, slots=True, repr=False)
class CaseView(View):
    """A case with the file that holds it.

    Attributes
    ----------
    file : VectorFile
        The file.
    case : Case
        The case.
    """

    file: VectorFile
    case: Case

    def _lines(self) -> list[str]:
        return [
            f"case {self.case.id}",
            *self._facts(),
            "",
            "step by step",
            *case_steps(self.file, self.case),
            "",
            *self._outputs(),
            "",
            "clauses",
            *self._clauses(),
            "",
            "faults that this case discriminates",
            *self._flags(),
        ]

    # --- what it is --------------------------------------------------------------------------

    def _facts(self) -> Iterator[str]:
        file, case = self.file, self.case
        policy = file.policy.name.replace(",", ", ")
        yield from field("file", f"{file.path}, set {file.set_version}")
        yield from field("operation", f"{file.operation} {file.format}, policy {policy}")
        name, _, detail = case.comment.partition(":")
        reason = next((g.reason for g in file.covergroups if g.name == name), "")
        yield from field("covergroup", f"{name}: {reason}" if reason else name)
        if detail.strip():
            yield from field("this case", detail.strip())

    # --- what is due -------------------------------------------------------------------------

    def _outputs(self) -> Iterator[str]:
        case = self.case
        yield f"verdict: {case.verdict}"
        yield from field("", self._obligation())
        for rule in self.file.compare:
            yield from field("compare", f"{rule}: {COMPARE_RULES[rule]}")
        for number, member in enumerate(case.members):
            yield from field("due" if number == 0 else "or", self._output(member.out))
            yield from field("", _label(member, is_first=number == 0))

    def _obligation(self) -> str:
        match self.case.verdict:
            case Verdict.MUST:
                choices = ", ".join(
                    f"{name}={getattr(self.file.policy, name)}" for name in self.file.assumes
                )
                given = f", given {choices}" if choices else ""
                return f"exactly this output{given}"
            case Verdict.ONE_OF:
                return (
                    "any of these outputs: the standard leaves a choice. Who claims the policy "
                    "of the file must give the first"
                )
        return (
            "never failed: the standard is silent and the alternatives known are not all. Who "
            "claims the policy of the file must give the first output"
        )

    def _output(self, out: Output | None) -> str:
        if out is None:
            return "refused: no output"
        digits = output_digits(self.file.operation)
        words = []
        if out.global_scale is not None:
            words.append(f"global {out.global_scale:08x},")
        if out.scale is not None:
            # A float32 where the operation says so.
            own = next(f for f in OUT_FIELDS[self.file.operation] if f.key == "scale")
            wide = 8 if own.kind == "value" else 2
            shared = f" sub-scales {_listed(out.subscales, 2)}," if out.subscales else ""
            words.append(f"scale {out.scale:0{wide}x},{shared} codes")
        if out.scales:
            words.append(f"scales {_listed(out.scales, 2)}, codes")
        words.append(_listed(out.bits, digits))
        if len(out.bits) == 1 and OUT_FIELDS[self.file.operation][-1].kind == "value":
            words.append(f"= {brief(ieee.from_bits(out.bits[0], 'float32'))}")
        return " ".join(words)

    # --- why ---------------------------------------------------------------------------------

    def _clauses(self) -> Iterator[str]:
        for name in self.case.clauses:
            clause = CLAUSES.get(name)
            text = f"({clause.force.value}) {clause.text}" if clause else "unknown to this mxref"
            yield from _entry(name, text)

    def _flags(self) -> Iterator[str]:
        for flag in self.case.flags:
            fault = FAULTS.get(flag)
            yield from field(flag, fault.title if fault else "unknown to this mxref")
        if not self.case.flags:
            yield from field("none", "no known fault shows here")

    def to_dict(self) -> dict[str, object]:
        """Return the case as in its file, with the texts of clauses and faults."""
        file, case = self.file, self.case
        found: dict[str, Any] = {
            "path": file.path,
            "set_version": file.set_version,
            "operation": file.operation,
            "format": file.format,
            "policy": file.policy.name,
            "assumes": list(file.assumes),
            "compare": list(file.compare),
            "case": case_as_json(file.operation, case),
            "steps": case_steps(file, case),
            "clauses": {c: CLAUSES[c].text for c in case.clauses if c in CLAUSES},
            "faults": {f: FAULTS[f].title for f in case.flags if f in FAULTS},
        }
        return found


def vector_case(file: VectorFile, case: Case) -> CaseView:
    """Tell a case of a vector file step by step, with the clauses that decide it.

    Parameters
    ----------
    file : VectorFile
        The file, as `mxref.vectors.load` gives it.
    case : Case
        One of its cases.

    Returns
    -------
    CaseView
        ``str()`` gives the text, ``to_dict()`` the same facts as data.

    Examples
    --------
    >>> from mxref.policy import Policy
    >>> from mxref.vectors.model import Case, Inputs, Member, Output, VectorFile, Verdict
    >>> case = Case("6ae2", Inputs(None, (7,)), (Member(Output((0x40C00000,)), ({},)),),
    ...             Verdict.MUST, ("MX-1.0/5.3/fp4",), ("D2",), "every-code")
    >>> file = VectorFile("decode", "e2m1", Policy(), "1.0.0", (), (), (), (), (case,))
    >>> print(str(vector_case(file, case)).partition("verdict")[2])
    : must
                 exactly this output
      due        40c00000 = 6
                 whatever the policy
    <BLANKLINE>
    clauses
      MX-1.0/5.3/fp4
                 (must) FP4 elements must be E2M1 (bias 1): 0, 0.5, 1, 1.5, 2, 3, 4,
                 6 with either sign, without NaN or infinity.
    <BLANKLINE>
    faults that this case discriminates
      D2         Subnormals are decoded with a wrong exponent.
    """
    return CaseView(file, case)


def _entry(label: str, text: str) -> list[str]:
    """A label of any length on a line of its own, with the text below it."""
    indent = " " * 13
    lines = textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent,
                          break_on_hyphens=False)  # fmt: skip
    return [f"  {label}", *lines]


def _listed(numbers: Sequence[int], digits: int) -> str:
    shown = " ".join(f"{number:0{digits}x}" for number in numbers[:_SHOWN])
    more = len(numbers) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _label(member: Member, *, is_first: bool) -> str:
    if {} in member.when:
        return "whatever the policy"
    if not member.when:
        return "allowed by the standard; no named choice gives it"
    conditions = (
        " and ".join(f"{name}={choice}" for name, choice in when.items()) for when in member.when
    )
    own = "as the policy of the file says: " if is_first else "under "
    return own + ", or ".join(conditions)
