"""What a profile says besides its policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from mxref._policy import Policy
from mxref.formats import BLOCK_FORMATS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OPERATIONS", "Profile", "profile"]

OPERATIONS = ("quantize", "dequantize", "encode", "decode")
"""``quantize`` and ``dequantize`` convert blocks; ``encode`` and ``decode`` are casts, of elements
and of E8M0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A named policy, and where it comes from.

    Attributes
    ----------
    name, title : str
        The name of the policy, and in one line whose behaviour it is.
    policy : Policy
        A complete assignment. Fields that the described thing has nothing to do with are those
        of ``ocp``.
    sources : Mapping of str to str
        For each field that differs from ``ocp``, a URL, and behind it what is to be found there
        or that it was measured.
    versions : str
        What was read or measured.
    operations : tuple of str
        Members of `OPERATIONS` that the described thing has.
    formats : tuple of str
        Block formats that it has; the element formats of its casts are theirs.
    scale_cast : bool
        Whether its casts include those to and from E8M0.
    divergences : tuple of str
        What the described thing does and no policy should say, or cannot: one sentence each.
    """

    name: str
    title: str
    policy: Policy
    sources: Mapping[str, str]
    versions: str
    operations: tuple[str, ...]
    formats: tuple[str, ...]
    scale_cast: bool = True
    divergences: tuple[str, ...] = field(default=())


def profile(
    name: str,
    title: str,
    changes: Mapping[str, tuple[str, str]],
    *,
    versions: str,
    operations: tuple[str, ...] = ("quantize", "dequantize"),
    formats: tuple[str, ...] = tuple(BLOCK_FORMATS),
    scale_cast: bool = True,
    divergences: tuple[str, ...] = (),
) -> Profile:
    """Return a profile.

    Parameters
    ----------
    changes : Mapping
        ``{field: (choice, source)}`` for each field that differs from ``ocp``.

    Raises
    ------
    ValueError
        If a field, a choice or an operation does not exist, a source is no URL, or a change
        changes nothing.
    """
    policy = Policy().replace(**{key: choice for key, (choice, _) in changes.items()})
    idle = set(changes) - set(policy.diff(Policy()))
    if idle:
        raise ValueError(f"profile {name}: {', '.join(sorted(idle))} as in ocp; leave it out")
    for key, (_, source) in changes.items():
        if not source.startswith("https://"):
            raise ValueError(f"profile {name}: {key} needs the URL of a source, got {source!r}")
    if unknown := set(operations) - set(OPERATIONS):
        raise ValueError(f"profile {name}: unknown operations {sorted(unknown)}")
    return Profile(
        name=name,
        title=title,
        policy=policy,
        sources=MappingProxyType({key: source for key, (_, source) in changes.items()}),
        versions=versions,
        operations=operations,
        formats=formats,
        scale_cast=scale_cast,
        divergences=divergences,
    )
