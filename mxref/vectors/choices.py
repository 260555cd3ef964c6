"""Which outcome under which choice: a table over policy fields, reduced to the fewest conditions.

The expectation of a case that rests on an open point is not one output but a short table. This
module builds the table by running the definition under every combination of the fields in play,
and says for each outcome under which choices it appears.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

from mxref._policy_base import Choices
from mxref.vectors._families import alternatives
from mxref.vectors.model import Member
from mxref.vectors.operations import Output

__all__ = ["Outcome", "tabulate", "with_choices"]

# What an outcome counts as (outcomes with equal keys are one member), and how it is written.
Outcome = tuple[Hashable, Output]
_REFUSED = (None, None)

P = TypeVar("P", bound=Choices)


@lru_cache(maxsize=4096)
def with_choices(policy: P, choices: tuple[tuple[str, str], ...]) -> P:
    """Return a policy with some fields changed; cached, since a table asks for the same ones."""
    return policy.replace(**dict(choices))


def tabulate(
    policy: P,
    fields: Sequence[str],
    outcome: Callable[[P], Outcome],
    keep: Iterable[str] = (),
) -> tuple[Member, ...]:
    """Run `outcome` under every combination of the fields, and label what comes out.

    A field ranges over `mxref.vectors._families.alternatives`: neither over choices that are a
    fault or that a clause forbids, nor over those that need random bits or a search.

    Parameters
    ----------
    policy : Policy
        The policy of the file: it fixes all other fields, and its outcome becomes the first member.
    fields : sequence of str
        Policy fields that may matter here. Those that turn out not to matter appear in no label,
        nor do those that the policy sets otherwise than the default one (``ocp``): its file is
        about them.
    outcome : callable
        Gives ``(key, output)`` under a policy. Where a choice is ``raise`` it may raise ValueError:
        the input is refused.
    keep : iterable of str
        Fields named in every label, although only one choice exists.

    Examples
    --------
    >>> from mxref.policy import Policy
    >>> members = tabulate(Policy(), ["neg_zero"], lambda p: (p.neg_zero, Output((0,))))
    >>> [member.when for member in members]
    [({'neg_zero': 'keep'},), ({'neg_zero': 'drop'},), ({'neg_zero': 'drop-input'},)]
    """
    settled = policy.diff(type(policy)())
    fields = [field for field in fields if field not in settled]
    options = [alternatives(policy, field) for field in fields]
    table = {
        combination: _run(outcome, policy, tuple(zip(fields, combination, strict=True)))
        for combination in itertools.product(*options)
    }
    members = []
    for key in dict.fromkeys(key for key, _ in table.values()):
        combinations = [c for c, (found, _) in table.items() if found == key]
        when = _conditions(fields, options, combinations, frozenset(keep))
        # The recorded output is that of the first label, everything else as in the policy.
        shown = tuple(when[0].get(f, own[0]) for f, own in zip(fields, options, strict=True))
        members.append(Member(table[shown][1], tuple(when)))
    return tuple(members)


def _run(
    outcome: Callable[[P], Outcome], policy: P, choices: tuple[tuple[str, str], ...]
) -> Outcome | tuple[None, None]:
    try:
        return outcome(with_choices(policy, choices))
    except ValueError:
        if any(choice == "raise" for _, choice in choices):
            return _REFUSED
        raise


def _conditions(
    fields: Sequence[str],
    options: Sequence[Sequence[str]],
    combinations: Sequence[tuple[str, ...]],
    keep: frozenset[str],
) -> list[dict[str, str]]:
    """Describe a set of combinations by few conjunctions of few choices."""
    inside = set(combinations)
    conditions: list[dict[str, str]] = []
    for combination in combinations:
        label = dict(zip(fields, combination, strict=True))
        if any(condition.items() <= label.items() for condition in conditions):
            continue
        for field in fields:
            shorter = {f: choice for f, choice in label.items() if f != field}
            if field not in keep and _expand(fields, options, shorter) <= inside:
                label = shorter
        conditions.append(label)
    return conditions


def _expand(
    fields: Sequence[str], options: Sequence[Sequence[str]], label: dict[str, str]
) -> set[tuple[str, ...]]:
    """All combinations that a conjunction covers."""
    free = ([label[f]] if f in label else own for f, own in zip(fields, options, strict=True))
    return set(itertools.product(*free))
