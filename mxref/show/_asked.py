"""The policy that was asked for by name: several names may mean the same choices."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Named", "asked_for", "policy_text"]


class Named(Protocol):
    """A format or a policy: all that a view needs is its name."""

    @property
    def name(self) -> str:
        """Its name."""


def asked_for(policy: object, meant: Named) -> str | None:
    """Return the text by which a policy was asked for, where it is not the policy's own name.

    Examples
    --------
    >>> from mxref.policy import get_policy
    >>> asked_for("torchao-floor", get_policy("torchao-floor"))
    'torchao-floor'
    >>> asked_for("ml_dtypes", get_policy("ml_dtypes")) is None
    True
    """
    if not isinstance(policy, str) or _parts(policy) == _parts(meant.name):
        return None
    return policy.strip()


def _parts(text: str) -> tuple[str, frozenset[str]]:
    """Profile and changes, whose order means nothing."""
    base, _, changes = "".join(text.lower().split()).partition(":")
    return base, frozenset(changes.split(",")) - {""}


def policy_text(policy: Named, asked: str | None) -> str:
    """Name a policy as it was asked for, and what that is.

    Examples
    --------
    >>> from mxref.policy import get_policy
    >>> policy_text(get_policy("torchao-floor"), "torchao-floor")
    'torchao-floor (= ocp)'
    """
    return policy.name if asked is None else f"{asked} (= {policy.name})"
