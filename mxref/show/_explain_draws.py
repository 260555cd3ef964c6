"""Random bits that a conversion takes, or has no use for."""

from __future__ import annotations

from typing import Any

from mxref.policy import get_policy
from mxref.show._errors import ArgumentError

__all__ = ["bits_wanted", "draws", "draws_scale", "refuse_idle"]


def draws(policy: Any) -> bool:
    """Whether elements are rounded at random.

    Examples
    --------
    >>> from mxref.policy import get_policy
    >>> draws(get_policy("ocp")), draws(get_policy("ocp:rounding=stochastic-a"))
    (False, True)
    """
    return str(policy.rounding).startswith("stochastic")


def draws_scale(policy: Any) -> bool:
    """Whether the scale of a block is chosen at random."""
    return str(getattr(policy, "scale_rule", "")) == "stochastic"


def refuse_idle(random: Any, policy: Any, *, is_scale: bool = False) -> None:
    """Refuse random bits that would change nothing.

    Raises
    ------
    ArgumentError
        If there are any, and elements are rounded deterministically or there are none.
    """
    if random is None or (draws(policy) and not is_scale):
        return
    why = "a cast to a scale format" if is_scale else f"rounding={policy.rounding}"
    what = f"is given, but {why} draws nothing; leave it out"
    more = "" if is_scale else ", or choose a stochastic rounding"
    raise ArgumentError(f"random {what}{more}", f"--random {what}{more}")


def bits_wanted(format_name: str, policy: Any, what: str) -> tuple[int, str]:
    """Return how many random bits a conversion takes, 0 for none, and which choice decides it.

    Parameters
    ----------
    format_name : str
    policy : Policy, NVFP4Policy, BDRPolicy, str or None
    what : str
        ``"random"``, those of an element, or ``"scale_random"``.

    Examples
    --------
    >>> bits_wanted("mxfp4", "ocp:rounding=stochastic-a", "random")
    (16, 'rounding=stochastic-a')
    >>> bits_wanted("mxfp4", None, "scale_random")
    (0, 'scale_rule=floor')
    """
    from mxref.exact import random_bits
    from mxref.formats import ScaleFormat
    from mxref.relatives import family_of
    from mxref.show._find import any_format, book_of, find

    is_mx = family_of(format_name) == "mx"
    fmt: Any = any_format(format_name) if is_mx else find(format_name)
    chosen: Any = get_policy(policy) if is_mx else book_of(fmt).get_policy(policy)
    if what == "scale_random":
        if not is_mx:
            return 0, ""  # refused as an argument of another family
        bits = int(chosen.stochastic_bits) if draws_scale(chosen) else 0
        return bits, f"scale_rule={chosen.scale_rule}"
    why = f"rounding={chosen.rounding}"
    if not draws(chosen) or isinstance(fmt, ScaleFormat):
        return 0, why
    if not is_mx:
        return int(chosen.stochastic_bits), why
    return random_bits.count(getattr(fmt, "element", fmt), chosen), why
