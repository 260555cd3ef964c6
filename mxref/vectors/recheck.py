"""Expected values, worked out a second time: by the kernels behind `mxref.arrays`.

The generator asks ``mxref.exact``; the kernels share no arithmetic with it. Where the two disagree,
one of them is wrong, or the file was edited.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.faults.legal import alternatives
from mxref.policy import Policy
from mxref.vectors.choices import with_choices
from mxref.vectors.compare import same_output
from mxref.vectors.model import (
    Case,
    Member,
    Output,
    VectorFile,
    input_digits,
    output_digits,
)

__all__ = ["expectation_problems"]

_DTYPES = {
    "float32": (np.uint32, np.float32),
    "bfloat16": (np.uint16, ml_dtypes.bfloat16),
    "float16": (np.uint16, np.float16),
}
_Choices = tuple[tuple[str, str], ...]


def expectation_problems(file: VectorFile) -> Iterator[str]:
    """Yield a sentence for each expectation of a file with which the kernels disagree.

    A case is asked under every combination of the policy fields that its labels name; exactly one
    member must claim each. Under the file's own policy the first member is compared bit for bit.
    Members without a label (another NaN that the standard allows) have no computation behind them.
    """
    asked: dict[_Choices, list[tuple[Case, Member]]] = {}
    for case in file.cases:
        for choices, members in _claims(file, case):
            if len(members) == 1:
                asked.setdefault(choices, []).append((case, members[0]))
                continue
            yield (
                f"{file.path}: case {case.id}: {len(members) or 'no'} members are labelled with "
                f"the policy {with_choices(file.policy, choices).name}, expected one"
            )
    for choices, pairs in asked.items():
        policy = with_choices(file.policy, choices)
        answers = _answers(file, [case for case, _ in pairs], policy)
        for (case, member), got in zip(pairs, answers, strict=True):
            if not _agree(file, case, got, member, policy):
                yield _disagreement(file, case, got, member.out, policy)


def _claims(file: VectorFile, case: Case) -> Iterator[tuple[_Choices, list[Member]]]:
    """Each combination of the fields in the labels of a case, and the members that claim it."""
    conditions = [condition for member in case.members for condition in member.when]
    fields = sorted({field for condition in conditions for field in condition})
    options = (alternatives(file.policy, f) for f in fields)
    for combination in itertools.product(*options):
        choices = tuple(zip(fields, combination, strict=True))
        held = dict(choices).items()
        claiming = [m for m in case.members if any(when.items() <= held for when in m.when)]
        own = tuple(c for c in choices if getattr(file.policy, c[0]) != c[1])
        yield own, claiming


def _agree(
    file: VectorFile, case: Case, got: Output | None, member: Member, policy: Policy
) -> bool:
    if policy == file.policy:
        return got == member.out and member is case.members[0]
    if got is None or member.out is None:
        return got is member.out
    return same_output(file, case, got, member.out)


def _disagreement(
    file: VectorFile, case: Case, got: Output | None, want: Output | None, policy: Policy
) -> str:
    lane = 0 if len(case.inputs.bits) == 1 else None
    if got is not None and want is not None and got.scale == want.scale:
        pairs = enumerate(zip(got.bits, want.bits, strict=True))
        lane = next((lane for lane, (a, b) in pairs if a != b), lane)
    where = "" if file.operation != "quantize" or lane is None else f" in lane {lane}"
    given = ""
    if lane is not None:
        kind = case.inputs.type or "code"
        given = f" of {kind} {case.inputs.bits[lane]:0{input_digits(case.inputs)}x}"
    return (
        f"{file.path}: case {case.id} ({case.comment}): {file.operation}{given}{where} under the "
        f"policy {policy.name}: the file expects {_shown(file.operation, want, lane)}, "
        f"mxref.arrays gives {_shown(file.operation, got, lane)}"
    )


def _shown(operation: str, out: Output | None, lane: int | None) -> str:
    if out is None:
        return "a refusal"
    if lane is None:
        return f"scale {out.scale:02x}"
    return f"{out.bits[lane]:0{output_digits(operation)}x}"


# --- asking mxref.arrays ---------------------------------------------------------------------


def _answers(file: VectorFile, cases: Sequence[Case], policy: Policy) -> list[Output | None]:
    """Outputs of the kernels, in the order of the cases; None where the input is refused."""
    answers: dict[str, Output | None] = {}
    by_type: dict[str | None, list[Case]] = {}
    for case in cases:
        by_type.setdefault(case.inputs.type, []).append(case)
    for group in by_type.values():
        for case, out in zip(group, _batch(file, group, policy), strict=True):
            answers[case.id] = out
    return [answers[case.id] for case in cases]


def _batch(file: VectorFile, cases: Sequence[Case], policy: Policy) -> list[Output | None]:
    try:
        return list(_run(file, cases, policy))
    except ValueError:
        if len(cases) == 1:
            return [None]
    # One of them is refused: ask one by one.
    return [_batch(file, [case], policy)[0] for case in cases]


def _run(file: VectorFile, cases: Sequence[Case], policy: Policy) -> Iterator[Output]:
    if file.operation == "decode":
        codes = np.array([case.inputs.bits[0] for case in cases], np.uint8)
        values = arrays.decode(codes, file.format, policy=policy)
        return (Output((int(bits),)) for bits in values.view(np.uint32))
    x = _floats(cases)
    if file.operation == "encode":
        found = arrays.encode(x[:, 0], file.format, policy=policy)
        return (Output((int(code),)) for code in found)
    q = arrays.quantize(x, file.format, policy=policy)
    rows = zip(q.codes.tolist(), q.scales[:, 0].tolist(), strict=True)
    return (Output(tuple(row), scale_code) for row, scale_code in rows)


def _floats(cases: Sequence[Case]) -> NDArray[np.float32]:
    """The inputs as an array of shape (cases, lanes); bits are viewed, never converted."""
    unsigned, dtype = _DTYPES[str(cases[0].inputs.type)]
    bits = np.array([case.inputs.bits for case in cases], unsigned)
    floats: NDArray[np.float32] = bits.view(dtype)  # or one of the 16-bit types
    return floats
