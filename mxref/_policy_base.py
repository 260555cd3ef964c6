"""`Choices`: what every policy is, a frozen assignment of named choices to open points.

`Policy` of the MX formats and those of their relatives, NVFP4 and BDR, differ in their fields only.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from mxref._suggest import shown, unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Choices", "choose", "open_points_of", "policy_of", "reasons_of"]

P = TypeVar("P", bound="Choices")


def choose(open_point: str, default: StrEnum, reason: str) -> Any:
    """Declare a field: its open point, what the default profile chooses there, and why."""
    return field(default=default, metadata={"open_point": open_point, "reason": reason})


@dataclass(frozen=True, kw_only=True)
class Choices:
    """One complete, frozen assignment of open points; every field has an enumeration of choices.

    Subclasses are frozen dataclasses whose fields are declared by `choose`, with `BASE`, the name
    of the profile that their defaults are, and `KNOWN`, the policies that have a name.

    Raises
    ------
    ValueError
        If a string names no member of the field's enumeration.
    """

    BASE: ClassVar[str] = "base"
    KNOWN: ClassVar[dict[str, Choices]] = {}

    def __post_init__(self) -> None:
        """Turn strings into members, and refuse those that name none."""
        for f in fields(self):
            value = getattr(self, f.name)
            enum: type[StrEnum] = type(cast("StrEnum", f.default))
            if isinstance(value, enum):
                continue
            try:
                object.__setattr__(self, f.name, enum(value))
            except ValueError:
                raise ValueError(unknown_name(f"choice for {f.name}", value, enum)) from None

    def __hash__(self) -> int:
        """Hash the choices, once: kernels and parameters are looked up by it in every call."""
        known: int | None = self.__dict__.get("_hash")
        if known is None:
            known = hash(tuple(getattr(self, f.name) for f in fields(self)))
            object.__setattr__(self, "_hash", known)
        return known

    def __getstate__(self) -> dict[str, StrEnum]:
        """Leave the hash behind: that of a string differs from process to process."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def name(self) -> str:
        """Name of the profile, or ``BASE:field=choice,...`` where no profile is equal."""
        for name, policy in self.KNOWN.items():
            if self == policy:
                return name
        changes = self.diff(type(self)())
        return f"{self.BASE}:" + ",".join(f"{key}={ours}" for key, (ours, _) in changes.items())

    def __str__(self) -> str:
        """Return the name."""
        return self.name

    def replace(self, **changes: str) -> Self:
        """Return a copy with some fields changed.

        Raises
        ------
        ValueError
            If a field or a choice does not exist.
        """
        known = [f.name for f in fields(self)]
        for key in changes:
            if key not in known:
                raise ValueError(unknown_name("policy field", key, known))
        return replace(self, **changes)

    def diff(self, other: Self) -> dict[str, tuple[str, str]]:
        """Return the fields in which two policies differ: ``{field: (ours, theirs)}``."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return {name: (str(ours), str(theirs)) for name, ours, theirs in pairs if ours != theirs}

    def as_dict(self) -> dict[str, str]:
        """Return every field and its choice as strings."""
        return {f.name: str(getattr(self, f.name)) for f in fields(self)}


def open_points_of(policy: type[Choices]) -> Mapping[str, str]:
    """Return the open point that each field of a kind of policy settles."""
    return MappingProxyType({f.name: f.metadata["open_point"] for f in fields(policy)})


def reasons_of(policy: type[Choices]) -> Mapping[str, str]:
    """Return why the defaults of a kind of policy are what they are, by field."""
    return MappingProxyType({f.name: f.metadata["reason"] for f in fields(policy)})


def policy_of(kind: type[P], policy: Choices | str | None, profiles: Mapping[str, P]) -> P:
    """Turn a profile's name, or ``"profile:field=choice,..."``, into a policy of that kind.

    Raises
    ------
    ValueError
        If the profile, a field or a choice does not exist; the message names the nearest ones.
    TypeError
        If `policy` is something else.
    """
    if policy is None:
        return profiles[kind.BASE]
    if isinstance(policy, kind):
        return policy
    if not isinstance(policy, str):
        hint = f"; for choices of your own {kind.__name__}(**{policy!r})"
        raise TypeError(
            f"policy must be {_article(kind.__name__)} or the name of a profile, such as "
            f"{kind.BASE!r} or '{kind.BASE}:field=choice', got {shown(policy)}"
            + (hint if isinstance(policy, dict) else "")
        )
    name, _, changes = policy.partition(":")
    profile = profiles.get(name.strip().lower())
    if profile is None:
        raise ValueError(_unknown_policy(kind, policy, name, profiles))
    pairs: dict[str, str] = {}
    for part in filter(None, changes.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"policy {policy!r}: expected field=choice after ':', got {part!r}")
        pairs[key.strip()] = value.strip()
    return profile.replace(**pairs) if pairs else profile


def _unknown_policy(
    kind: type[Choices], policy: str, name: str, profiles: Mapping[str, Choices]
) -> str:
    """Say what was meant, where the name of another family, a field or a choice was given."""
    plain = name.strip().lower()
    if (owner := _other_family(plain, kind)) is not None:
        return f"unknown policy {name!r}: that is one of {owner}; here are {', '.join(profiles)}"
    whole = policy.strip()
    known = {f.name: type(cast("StrEnum", f.default)) for f in fields(kind)}
    if whole.partition("=")[0].strip() in known:
        return f"policy {policy!r} names no profile: choices follow one, '{kind.BASE}:{whole}'"
    homes = [field for field, enum in known.items() if plain in list(enum)]
    if homes:
        offered = " or ".join(f"'{kind.BASE}:{field}={plain}'" for field in homes[:3])
        return f"policy {policy!r} names no profile, it is a choice of a field: {offered}"
    return unknown_name("policy", name, profiles)


_FAMILIES = {
    "Policy": ("mxref.profiles", "PROFILES", "the MX formats"),
    "NVFP4Policy": ("mxref.relatives.nvfp4_profiles", "POLICIES", "NVFP4"),
    "BDRPolicy": ("mxref.relatives.bdr_profiles", "BDR_PROFILES", "the BDR formats"),
}
"""Where each kind of policy has its names: the module, the table, and what it is for."""


def _other_family(name: str, kind: type[Choices]) -> str | None:
    """Return whose policy a name is that this kind does not have; None if nobody's."""
    for other, (module, table, called) in _FAMILIES.items():
        loaded = sys.modules.get(module)  # a layer above: looked at where it is there already
        if other != kind.__name__ and name in getattr(loaded, table, ()):
            return called
    return None


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "AEIOUN" and word[:2] != "No" else f"a {word}"
