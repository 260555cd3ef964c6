"""Formats of any family as texts, which an operator of torch can take: checked once, used often."""

from __future__ import annotations

from typing import Any, NamedTuple

from mxref import bdr, nvfp4
from mxref.conversions import quantize
from mxref.formats import BLOCK_FORMATS, BlockFormat, block_format
from mxref.policy import get_policy
from mxref.relatives import family_of

__all__ = ["Chosen", "chosen", "quantize"]


class Chosen(NamedTuple):
    """A format and a policy by name, and how many random bits each element draws."""

    format: str
    policy: str
    bits: int


def chosen(role: str, wanted: Any, policy: Any, block_size: int | None) -> Chosen:
    """Look up a format and a policy of its family.

    Parameters
    ----------
    role : str
        What the format is for; messages begin with it.
    wanted : str or a format
    policy : str, a policy or None
        None is the default of the format's family.
    block_size : int, optional
        For the OCP formats.

    Raises
    ------
    TypeError, ValueError
        If a name does not exist, no name says what was given, or the policy draws random bits for
        anything but each element.

    Examples
    --------
    >>> chosen("weights", "mxfp4", None, 16)
    Chosen(format='mxfp4/16', policy='ocp', bits=0)
    >>> chosen("gradients", "nvfp4", "te-1d:rounding=stochastic", None).bits
    8
    """
    try:
        name = _format_name(wanted, block_size)
        family = family_of(name)
        found: Any
        if family == "nvfp4":
            found = nvfp4.get_policy(policy)
        elif family == "bdr":
            found = bdr.get_policy(policy)
        else:
            found = get_policy(policy)
        return Chosen(name, found.name, _random_bits(found))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{role}: {error}") from None


def _format_name(wanted: Any, block_size: int | None) -> str:
    if isinstance(wanted, BlockFormat) or family_of(wanted) == "mx":
        fmt = block_format(wanted, block_size)
        if fmt.base not in BLOCK_FORMATS or block_format(fmt.name) != fmt:
            raise ValueError(f"the format {fmt.name!r} differs from mxref's own of that name")
        return fmt.name
    if block_size is not None:
        raise ValueError(
            f"block_size={block_size} is for the OCP formats; the blocks of {wanted!r} have the "
            "size that its definition says"
        )
    return "nvfp4" if family_of(wanted) == "nvfp4" else bdr.bdr_format(wanted).name


def _random_bits(policy: Any) -> int:
    facts = policy.as_dict()
    if facts.get("scale_rule") == "stochastic":
        raise ValueError(
            f"policy {policy.name!r} draws random bits for scales, which a layer does not hand "
            "over; for elements it does"
        )
    if "stochastic" not in facts["rounding"]:
        return 0
    if facts.get("stochastic", "per-element") != "per-element":
        raise ValueError(
            f"policy {policy.name!r} shares random bits among neighbours "
            f"(stochastic={facts['stochastic']}); a layer draws them for each element: choose "
            "stochastic=per-element"
        )
    return int(facts["stochastic_bits"])
