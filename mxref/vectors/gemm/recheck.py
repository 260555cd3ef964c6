"""The cases of matrix products, worked out a second time."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator

from mxref.formats import BlockFormat
from mxref.vectors.driver import answers
from mxref.vectors.gemm import second
from mxref.vectors.gemm.models import EXACT, outcomes
from mxref.vectors.gemm.second_models import second_output
from mxref.vectors.lookup import vector_format
from mxref.vectors.model import ACCUMULATE, Case, VectorFile, Verdict
from mxref.vectors.operations import Output

__all__ = ["matmul_problems"]


def matmul_problems(file: VectorFile) -> Iterator[str]:
    """Yield a sentence for each expectation of a file of matrix products that is not confirmed.

    The exact values and their roundings are computed over integers (`second`), and the models that
    labels name run again; some of them are computed over integers as well (`second_models`).
    """
    fmts = vector_format(file.operation, file.format)
    if not isinstance(fmts, tuple):
        raise TypeError(f"{file.path}: a matrix product takes two formats")
    found = answers(file.operation, file.cases, functools.partial(second.matmul, fmts))
    for case, got in zip(file.cases, found, strict=True):
        for problem in (
            *_value_problems(case, got),
            *_exact_problems(case, second.exact_texts(fmts, case.inputs)),
            *_label_problems(fmts, case),
        ):
            yield f"{file.path}: case {case.id} ({case.comment}): {problem}"


def _value_problems(case: Case, got: Output | None) -> Iterator[str]:
    want = case.expected
    if want is None or got is None:
        yield "its first member is a refusal; a product has a value"
        return
    wrong = [i for i, (a, b) in enumerate(zip(want.bits, got.bits, strict=True)) if a != b]
    if wrong:
        place = wrong[0]
        yield (
            f"the file expects {want.bits[place]:08x} at place {place}, a sum over integers gives "
            f"{got.bits[place]:08x}"
        )


def _exact_problems(case: Case, exact: tuple[str, ...]) -> Iterator[str]:
    pairs = enumerate(zip(case.exact, exact, strict=True))
    for place, (want, got) in pairs:
        if want != got:
            yield f"the exact value at place {place} is {got}, the file says {want}"
            return


def _label_problems(fmts: tuple[BlockFormat, BlockFormat], case: Case) -> Iterator[str]:
    labels = [condition for member in case.members for condition in member.when]
    if case.verdict is not Verdict.OPEN:
        if labels != [{}]:
            yield "a result that no order can change has no label"
        return
    claims = Counter(condition.get(ACCUMULATE, "") for condition in labels)
    twice = [name for name, count in claims.items() if count > 1]
    if twice:
        yield f"two members are labelled with {', '.join(twice)}"
    if {ACCUMULATE: EXACT} not in case.members[0].when:
        yield f"the first member is not labelled with {EXACT}"
    given = dict(outcomes(fmts, case.inputs))
    for name in sorted(given.keys() ^ (claims.keys() - {EXACT})):
        yield f"the label {name} is {'missing' if name in given else 'that of no model'}"
    for member in case.members:
        for condition in member.when:
            name = condition.get(ACCUMULATE, "")
            if name in given and given[name] != member.out:
                yield f"{name} gives another result"
            bits = second_output(name, fmts, case.inputs)
            if bits is not None and (member.out is None or bits != member.out.bits):
                yield f"{name} gives another result where it is computed over integers"
