"""The search: run both policies over a probe, sort what differs, prove each smallest witness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mxref.differences._result import Difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from mxref.differences._probes import Probe, Row
    from mxref.policy import Policy

__all__ = ["refuse_stochastic", "search"]


def refuse_stochastic(policy: Policy, name: str, operations: tuple[str, ...]) -> None:
    """Refuse a policy whose results depend on random bits, where an operation would need them.

    Raises
    ------
    ValueError
        If `policy` is such a policy.
    """
    used = {"rounding": {"quantize", "encode"}, "scale_rule": {"quantize"}}
    for field, needing in used.items():
        choice = str(getattr(policy, field))
        if choice.startswith("stochastic") and needing & set(operations):
            other = "nearest-even" if field == "rounding" else "floor"
            raise ValueError(
                f"{name} has {field}={choice}, so that its codes depend on random bits, and a "
                f"comparison has none to give; compare with another {field}, such as {other}"
            )


def search(probe: Probe, a: Policy, b: Policy) -> Iterator[Difference]:
    """Yield a difference for each output and class of inputs, the smallest witness first.

    Raises
    ------
    RuntimeError
        If the kernels and the exact definition disagree on a witness: a defect of mxref.
    """
    (ours, a_refuses), (theirs, b_refuses) = probe.run(a), probe.run(b)
    answered = ~(a_refuses | b_refuses)
    rank = _ranks(probe.keys())
    for index, (output, differs) in enumerate(probe.outputs(ours, theirs).items()):
        mask = differs & answered
        if index == 0:
            mask |= a_refuses != b_refuses
        found = []
        kinds = probe.kinds(output, ours, theirs)
        for kind in dict.fromkeys(kinds[mask].tolist()):
            rows = np.flatnonzero(mask & (kinds == kind))
            row = int(rows[rank[rows].argmin()])
            results = tuple(
                None if refused[row] else tuple(map(int, result[row]))
                for result, refused in ((ours, a_refuses), (theirs, b_refuses))
            )
            for policy, result in zip((a, b), results, strict=True):
                _prove(probe, policy, row, result)
            fields, together = _responsible(a, b, _judge(probe, output, row))
            bits, shown = probe.given(row)
            found.append(
                (
                    int(rank[row]),
                    Difference(
                        operation=probe.operation,
                        output=output,
                        format=probe.format,
                        kind=kind,
                        inputs=bits,
                        shown=shown,
                        outcomes=(probe.outcome(row, results[0]), probe.outcome(row, results[1])),
                        fields=fields,
                        together=together,
                        count=len(rows),
                    ),
                )
            )
        yield from (difference for _, difference in sorted(found, key=lambda pair: pair[0]))


def _ranks(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each row when sorted by the columns, the first column first; ties by place."""
    order = np.lexsort(keys.T[::-1])
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def _prove(probe: Probe, policy: Policy, row: int, result: Row) -> None:
    exact = probe.by_definition(policy, row)
    if exact != result:
        raise RuntimeError(
            f"mxref contradicts itself, please report: {probe.operation} {probe.format}, policy "
            f"{policy}, input {probe.given(row)[1]}: the kernels give {result}, the exact "
            f"definition {exact}"
        )


def _judge(probe: Probe, output: str, row: int) -> Callable[[Policy], Row]:
    def judge(policy: Policy) -> Row:
        return probe.part(output, probe.by_definition(policy, row))

    return judge


def _responsible(
    a: Policy, b: Policy, judge: Callable[[Policy], Row]
) -> tuple[tuple[str, ...], bool]:
    """The fields whose choice, taken over from the other policy, removes a difference.

    Those are returned that do so alone, in either direction. Where none does, the fewest are
    returned that do so together, found by putting one after another back.
    """
    changes = a.diff(b)
    target, own = judge(b), judge(a)
    alone = tuple(
        field
        for field, (ours, theirs) in changes.items()
        if judge(a.replace(**{field: theirs})) == target or judge(b.replace(**{field: ours})) == own
    )
    if alone:
        return alone, False
    needed = {field: theirs for field, (_, theirs) in changes.items()}
    for field in changes:
        fewer = {key: choice for key, choice in needed.items() if key != field}
        if judge(a.replace(**fewer)) == target:
            needed = fewer
    return tuple(needed), True
