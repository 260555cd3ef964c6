"""What the standards leave open: `Policy`, a complete assignment, and the named profiles.

A `Policy` has one field or more for each open point of ``mxref.clauses``. The profile ``ocp`` is
the default; `REASONS` says why it chooses what it chooses. ``mxref.profiles`` says of each named
policy whose it is and where that can be read.

Examples
--------
>>> get_policy("ocp").scale_rule
<ScaleRule.FLOOR: 'floor'>
>>> get_policy("ocp:rounding=toward-zero,scale_rule=rceil").name
'ocp:scale_rule=rceil,rounding=toward-zero'
"""

from __future__ import annotations

import functools
from types import MappingProxyType
from typing import TYPE_CHECKING

from mxref._policy import NAMED, OPEN_POINT_OF, REASONS, Policy
from mxref._policy_base import Choices, policy_of
from mxref.profiles import PROFILES as _PROFILES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OPEN_POINT_OF", "PROFILES", "REASONS", "Policy", "get_policy"]

PROFILES: Mapping[str, Policy] = MappingProxyType({n: p.policy for n, p in _PROFILES.items()})
"""The named policies."""
# A profile that differs from ocp in one or two fields says less than those fields do.
_SHORT = 2
NAMED.update({n: p for n, p in PROFILES.items() if n == "ocp" or len(p.diff(Policy())) > _SHORT})


def get_policy(policy: Choices | str | None = None) -> Policy:
    """Turn a profile's name, or ``"profile:field=choice,..."``, into a `Policy`.

    Parameters
    ----------
    policy : Policy, str or None
        None means ``ocp``.

    Raises
    ------
    ValueError
        If the profile, a field or a choice does not exist; the message names the nearest ones.
    TypeError
        If `policy` is something else.

    Examples
    --------
    >>> get_policy("ocp:neg_zero=drop").neg_zero
    <NegZero.DROP: 'drop'>
    """
    if isinstance(policy, Policy):
        return policy
    return _named(policy) if isinstance(policy, str) else policy_of(Policy, policy, PROFILES)


@functools.lru_cache(maxsize=256)
def _named(policy: str) -> Policy:
    return policy_of(Policy, policy, PROFILES)
