"""Where two policies of NVFP4, or of BDR formats, give different bits: the smallest inputs found.

Names of profiles are looked up in all families here. A prefix, ``nvfp4:``, ``bdr:`` or ``mx:``,
says which is meant; without one an MX profile comes first, and ``mlx`` is the one name that two
families have.

Examples
--------
>>> found = compare_relatives("te-1d", "te-1d:rounding=toward-zero")
>>> found.differences[0].output, found.differences[0].fields
('element codes', ('rounding',))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mxref._suggest import unknown_name
from mxref.differences._result import Comparison, Difference
from mxref.differences._search import search
from mxref.differences._subjects import Subject
from mxref.profiles import PROFILES as MX_PROFILES
from mxref.relatives.bdr_formats import BDR_FORMATS, bdr_format
from mxref.relatives.bdr_profiles import BDR_PROFILES, BDRProfile, get_bdr_policy
from mxref.relatives.nvfp4_choices import Geometry
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_profiles import POLICIES, PROFILES, NVFP4Profile
from mxref.relatives.nvfp4_profiles import get_policy as get_nvfp4_policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mxref.differences._probes import Probe
    from mxref.relatives.bdr_policy import BDRPolicy
    from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["FAMILIES", "Relative", "compare_relatives", "family_of", "relative"]

FAMILIES = {"mx": "OCP MX formats", "nvfp4": "NVFP4", "bdr": "BDR: MX9, MX6, MSFP, VSQ, scaled"}
"""The families of profiles, and what each is."""

_BY_FAMILY: dict[str, tuple[str, ...]] = {
    "mx": tuple(MX_PROFILES),
    "nvfp4": tuple(POLICIES),
    "bdr": tuple(BDR_PROFILES),
}
_OPERATIONS = {"nvfp4": ("quantize", "dequantize"), "bdr": ("quantize",)}


@dataclass(frozen=True, slots=True)
class Relative:
    """A policy of a relative of the MX formats, and the profile that it is or is made from.

    Attributes
    ----------
    family : str
        ``"nvfp4"`` or ``"bdr"``.
    name : str
        As it was given, without the family.
    policy : NVFP4Policy or BDRPolicy
    profile : NVFP4Profile or BDRProfile, optional
        None where the name has changes.
    base : NVFP4Profile or BDRProfile
        The profile before changes.
    """

    family: str
    name: str
    policy: NVFP4Policy | BDRPolicy
    profile: NVFP4Profile | BDRProfile | None
    base: NVFP4Profile | BDRProfile


def family_of(given: str) -> tuple[str, str]:
    """Return the family that a name is looked up in, and the name without the family's prefix.

    Raises
    ------
    ValueError
        If no family has such a profile.

    Examples
    --------
    >>> family_of("mlx"), family_of("nvfp4:mlx:rounding=toward-zero")
    (('mx', 'mlx'), ('nvfp4', 'mlx:rounding=toward-zero'))
    >>> family_of("nvfp4:rounding=toward-zero")  # a profile too: another name of te-1d
    ('nvfp4', 'nvfp4:rounding=toward-zero')
    """
    head, _, rest = given.partition(":")
    prefix, name = head.strip().lower(), rest.partition(":")[0]
    if prefix in FAMILIES and name and "=" not in name:
        if name.strip().lower() not in _BY_FAMILY[prefix]:
            raise ValueError(unknown_name(f"profile of {prefix}", name, _BY_FAMILY[prefix]))
        return prefix, rest
    for family, names in _BY_FAMILY.items():
        if prefix in names:
            return family, given
    known = [name for names in _BY_FAMILY.values() for name in names]
    raise ValueError(unknown_name("policy", head, dict.fromkeys(known)))


def relative(given: str) -> Relative | None:
    """Return the policy of a relative by its name; None if it is one of an MX format.

    Raises
    ------
    ValueError
        If there is no such profile, field or choice.

    Examples
    --------
    >>> relative("quark-torch").family, relative("torchao").policy.decode_order.value
    ('bdr', 'scale-first')
    >>> relative("ocp")
    """
    family, name = family_of(given)
    key, _, changes = name.partition(":")
    key = key.strip().lower()
    if family == "nvfp4":
        key = "te-1d" if key == NVFP4.name else key
        recipe = PROFILES[key]
        return Relative(family, name, get_nvfp4_policy(name), None if changes else recipe, recipe)
    if family == "bdr":
        profile = BDR_PROFILES[key]
        return Relative(family, name, get_bdr_policy(name), None if changes else profile, profile)
    return None


def compare_relatives(
    a: str,
    b: str,
    formats: Iterable[str] | None = None,
    operations: Iterable[str] | None = None,
) -> Comparison:
    """Search for inputs to which two policies of one family give different bits.

    Parameters
    ----------
    a, b : str
        Names of profiles, with changes or without: ``"te-1d:rounding=toward-zero"``.
    formats : iterable of str, optional
        BDR formats; default: the named ones that both profiles have. NVFP4 is but one.
    operations : iterable of str, optional
        ``"quantize"``, and for NVFP4 ``"dequantize"``; default: both.

    Returns
    -------
    Comparison
        For NVFP4 the ``inputs`` of a difference are the bits of the tensor's largest number, of
        the first three of a block, and of one in the row below; or those of the global scale, with
        a scale code and a code. For BDR formats they are the bits of a block's first numbers.

    Raises
    ------
    ValueError
        If a name does not exist, if the families differ, if the two have no format in common or
        round stochastically.
    RuntimeError
        If the kernels and the exact definition disagree on a witness: a defect of mxref.

    Notes
    -----
    OP-NVFP4-RECIPE and OP-BDR-QUANTIZER. Inputs are float32. No difference found is no proof: the
    search is over tensors of few numbers that are not zero.

    Examples
    --------
    >>> compare_relatives("bdr-paper", "quark-torch", ["mx9"]).differing
    ('mx9',)
    """
    ours, theirs = _found(a), _found(b)
    if ours is None or theirs is None or ours.family != theirs.family:
        raise ValueError(
            f"{a!r} is a profile of {FAMILIES[family_of(a)[0]]} and {b!r} one of "
            f"{FAMILIES[family_of(b)[0]]}: they have no codes in common; compare within a family, "
            "or say nvfp4:NAME, bdr:NAME or mx:NAME where two families have a name"
        )
    family = ours.family
    for side in (ours, theirs):
        _refuse_stochastic(side)
    ops = _operations(family, operations)
    names = _formats(ours, theirs, formats)
    differences: list[Difference] = []
    searched: dict[tuple[str, str], int] = {}
    for probe in _probes(ours, theirs, ops, names):
        differences += search(probe, cast("Any", ours.policy), cast("Any", theirs.policy))
        searched[probe.operation, probe.format] = probe.size
    of_a, of_b = (_subject(side, ops, names) for side in (ours, theirs))
    return Comparison(of_a, of_b, tuple(differences), searched)


def _found(given: str) -> Relative | None:
    if not isinstance(given, str):
        kind = type(given).__name__
        raise TypeError(f"a profile's name is expected, such as 'te-1d', got {kind}")
    return relative(given)


def _refuse_stochastic(side: Relative) -> None:
    if str(side.policy.rounding).startswith("stochastic"):
        raise ValueError(
            f"{side.name} has rounding={side.policy.rounding}, so that its codes depend on random "
            "bits, and a comparison has none to give; compare with another rounding, such as "
            "nearest-even"
        )


def _operations(family: str, wanted: Iterable[str] | None) -> tuple[str, ...]:
    known = _OPERATIONS[family]
    found = known if wanted is None else tuple(dict.fromkeys(wanted))
    for name in found:
        if name not in known:
            raise ValueError(unknown_name(f"operation of {FAMILIES[family]}", name, known))
    return found


def _formats(a: Relative, b: Relative, wanted: Iterable[str] | None) -> tuple[str, ...]:
    if wanted is not None:
        names = tuple(dict.fromkeys(wanted))
        if a.family == "nvfp4":
            for name in names:
                if name != NVFP4.name:
                    raise ValueError(unknown_name("format of these profiles", name, [NVFP4.name]))
            return names
        return tuple(bdr_format(name).name for name in names)
    ours, theirs = (getattr(side.base, "formats", (NVFP4.name,)) for side in (a, b))
    both = tuple(name for name in (NVFP4.name, *BDR_FORMATS) if name in ours and name in theirs)
    if not both:
        raise ValueError(
            f"{a.name} and {b.name} have no format in common: {a.name} has {', '.join(ours)}, "
            f"{b.name} has {', '.join(theirs)}; name the formats to compare the two policies "
            "there all the same"
        )
    return both


def _probes(
    a: Relative, b: Relative, operations: tuple[str, ...], names: tuple[str, ...]
) -> Iterator[Probe]:
    if a.family == "nvfp4":
        from mxref.differences._relatives_nvfp4 import DecodeNVFP4Probe, NVFP4Probe

        policies = (cast("NVFP4Policy", side.policy) for side in (a, b))
        if "quantize" in operations:
            yield NVFP4Probe(has_tiles=any(p.geometry is Geometry.TWO_D for p in policies))
        if "dequantize" in operations:
            yield DecodeNVFP4Probe()
        return
    from mxref.differences._relatives_bdr import BDRProbe

    for name in names:
        yield BDRProbe(bdr_format(name))


def _subject(side: Relative, operations: tuple[str, ...], names: tuple[str, ...]) -> Subject:
    return Subject(
        side.name,
        cast("Any", side.policy),
        operations,
        names,
        scale_cast=False,
        divergences=side.profile.divergences if side.profile else (),
    )
