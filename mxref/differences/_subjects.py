"""What is compared: two policies, and the operations and formats that both have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mxref._suggest import unknown_name
from mxref.formats import BLOCK_FORMATS, block_format
from mxref.policy import Policy, get_policy
from mxref.profiles import OPERATIONS, PROFILES, Profile

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Subject", "common", "subject"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One side of a comparison.

    Attributes
    ----------
    name : str
        As it was given, or the name of the policy.
    policy : Policy
        What it does.
    operations, formats : tuple of str
        What it has.
    scale_cast : bool
        Whether casts to and from E8M0 are among its casts.
    divergences : tuple of str
        What the described thing does and the policy does not say.
    """

    name: str
    policy: Policy
    operations: tuple[str, ...]
    formats: tuple[str, ...]
    scale_cast: bool
    divergences: tuple[str, ...]


def subject(given: Profile | Policy | str) -> Subject:
    """Turn a profile, a policy or its name into one side of a comparison.

    A name with changes, such as ``"cuda:rounding=up"``, keeps the operations and formats of its
    profile; a `Policy` has all of them.

    Raises
    ------
    ValueError, TypeError
        As `get_policy`.

    Examples
    --------
    >>> subject("te-mxfp8").formats
    ('mxfp8_e4m3', 'mxfp8_e5m2')
    """
    if isinstance(given, Profile):
        return _of_profile(given.name, given.policy, given)
    policy = get_policy(given)
    if isinstance(given, str):
        base = given.partition(":")[0].strip().lower()
        return _of_profile(given, policy, PROFILES[base])
    return Subject(
        policy.name, policy, OPERATIONS, tuple(BLOCK_FORMATS), scale_cast=True, divergences=()
    )


def _of_profile(name: str, policy: Policy, profile: Profile) -> Subject:
    unchanged = policy == profile.policy
    return Subject(
        name,
        policy,
        profile.operations,
        profile.formats,
        scale_cast=profile.scale_cast,
        divergences=profile.divergences if unchanged else (),
    )


def common(
    a: Subject, b: Subject, formats: Iterable[str] | None, operations: Iterable[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the operations and the block formats to compare: those asked for, or what both have.

    Raises
    ------
    ValueError
        If a name does not exist, or the two have nothing in common.

    Examples
    --------
    >>> common(subject("ocp"), subject("te-mxfp8"), None, None)
    (('quantize', 'dequantize'), ('mxfp8_e4m3', 'mxfp8_e5m2'))
    """
    if operations is None:
        ops = tuple(o for o in OPERATIONS if o in a.operations and o in b.operations)
    else:
        ops = tuple(dict.fromkeys(operations))
        for name in ops:
            if name not in OPERATIONS:
                raise ValueError(unknown_name("operation", name, OPERATIONS))
    if formats is None:
        names = tuple(f for f in BLOCK_FORMATS if f in a.formats and f in b.formats)
    else:
        names = tuple(dict.fromkeys(block_format(name).base for name in formats))
    for what, both, ours, theirs in (
        ("operation", ops, a.operations, b.operations),
        ("format", names, a.formats, b.formats),
    ):
        if not both:
            raise ValueError(
                f"{a.name} and {b.name} have no {what} in common: {a.name} has "
                f"{', '.join(ours)}, {b.name} has {', '.join(theirs)}; name the {what}s to "
                "compare the two policies there all the same"
            )
    return ops, names
