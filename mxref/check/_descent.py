"""A search among legal policies: no correct implementation may be called wrong.

`mxref.check.infer` decides each field on the data that show it, which is fast and mostly enough.
Where choices hide each other, in few or odd data, this search changes one field at a time, and two
at a time where that does not help, as long as fewer codes are missed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

from mxref.faults.legal import explanations, forbidden
from mxref.formats import ElementFormat
from mxref.policy import Policy

__all__ = ["legal_choices", "nearest_policy"]

_Missed = Callable[[Policy], int]

# A rule shows nearly everywhere: it needs company only in what forms the number that it looks at.
_WITH_RULE = ("scale_quotient", "scale_amax", "scale_above")


def legal_choices(base: Policy, field: str, element: ElementFormat | None) -> list[str]:
    """The choices of a field that a clause does not forbid; that of the policy comes first.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> legal_choices(Policy(), "neg_zero", element_format("e4m3"))
    ['keep']
    """
    choices = explanations(base, field)
    return [
        c
        for i, c in enumerate(choices)
        if c != "raise" and (i == 0 or forbidden(field, c, element) is None)
    ]


def nearest_policy(
    starts: Sequence[Policy],
    fields: Sequence[str],
    element: ElementFormat | None,
    missed: _Missed,
    few: int,
) -> tuple[Policy, int]:
    """The legal policy that misses the fewest codes, and how many it misses.

    Parameters
    ----------
    starts : sequence of Policy
        Where to begin; the first is the one that was asked for, whose choices are preferred.
    fields : sequence of str
        Those that may change.
    element : ElementFormat or None
        For what a clause forbids in a format.
    missed : callable
        Counts the codes that a policy does not give.
    few : int
        Pairs of fields, of which there are many, are tried where no more than this is missed.
    """
    best = min(((missed(start), start) for start in starts), key=lambda pair: pair[0])
    for size in (1, 2):
        while best[0] and (size == 1 or best[0] <= few):
            found = _step(*best, fields, element, missed, size)
            if found is None:
                break
            best = found
            if size == 2:  # one field at a time again, which is cheaper
                best = _walk(best, fields, element, missed)
    return _plain(best[1], best[0], starts[0], fields, missed)


def _walk(
    best: tuple[int, Policy], fields: Sequence[str], element: ElementFormat | None, missed: _Missed
) -> tuple[int, Policy]:
    while best[0]:
        found = _step(*best, fields, element, missed, 1)
        if found is None:
            break
        best = found
    return best


def _step(
    fewest: int,
    policy: Policy,
    fields: Sequence[str],
    element: ElementFormat | None,
    missed: _Missed,
    size: int,
) -> tuple[int, Policy] | None:
    """The best of all changes of so many fields, if one is better."""
    found: tuple[int, Policy] | None = None
    for changes in _changes(policy, fields, element, size):
        trial = policy.replace(**changes)
        count = missed(trial)
        if count < fewest:
            fewest, found = count, (count, trial)
            if count == 0:
                break
    return found


def _changes(
    policy: Policy, fields: Sequence[str], element: ElementFormat | None, size: int
) -> Iterator[dict[str, str]]:
    for chosen in _pairs(fields) if size == 2 else ((field,) for field in fields):
        others = (legal_choices(policy, field, element)[1:] for field in chosen)
        for values in itertools.product(*others):
            yield dict(zip(chosen, values, strict=True))


def _pairs(fields: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for pair in itertools.combinations(fields, 2):
        if "scale_rule" not in pair or any(field in _WITH_RULE for field in pair):
            yield pair


def _plain(
    policy: Policy, fewest: int, base: Policy, fields: Sequence[str], missed: _Missed
) -> tuple[Policy, int]:
    """Take back every change that nothing shows."""
    for field in fields:
        if getattr(policy, field) != getattr(base, field):
            trial = policy.replace(**{field: getattr(base, field)})
            if missed(trial) <= fewest:
                policy = trial
    return policy, fewest
