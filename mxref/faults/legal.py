"""Which choices explain somebody's codes, and which are a fault although a policy can ask for them.

A policy can describe what a package does. Not all of that is an excuse: a choice that turns numbers
into garbage, or that a clause forbids, is named as the fault that it is. Only who asks for such a
choice is judged by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mxref.formats import ElementFormat
from mxref.policy import Policy

__all__ = ["Forbidden", "alternatives", "explanations", "forbidden", "require_judgeable"]


class Forbidden(NamedTuple):
    """Why a choice is no explanation.

    Attributes
    ----------
    fault : str
        The fault that it is.
    clause : str
        The clause, or the open point whose limits it leaves.
    is_modelled : bool
        Whether a fault model names it, so that inference leaves it out.
    only_fp8 : bool
        Whether it is forbidden for FP8 only.
    """

    fault: str
    clause: str
    is_modelled: bool = True
    only_fp8: bool = False


_SIGN = Forbidden("E19", "OFP8-1.0/sign", is_modelled=False, only_fp8=True)
_END = Forbidden("S11", "MX-1.0/6.3/scale")
_TWICE = "MX-1.0/6.3/elements"

_FORBIDDEN: Mapping[tuple[str, str], Forbidden] = {
    # A wrapped code is off by a factor of 2^256; a block that holds NaN or infinity must not
    # decode to ordinary numbers.
    ("scale_above", "wrap"): _END,
    ("scale_below", "wrap"): _END,
    ("scale_nan", "exponent-field"): _END,
    ("scale_nan", "flush-block"): _END,
    ("scale_inf", "exponent-field"): _END,
    ("scale_inf", "flush-block"): _END,
    # Whoever says floor(log2 amax) means that of amax, not of a number near it.
    ("scale_log2", "float32"): Forbidden("S8", "MX-1.0/6.3/scale"),
    ("scale_amax", "bfloat16"): Forbidden("S7", "MX-1.0/6.3/scale"),
    ("scale_amax", "float16"): Forbidden("S7", "MX-1.0/6.3/scale"),
    ("scaled_intermediate", "bfloat16"): Forbidden("E21", _TWICE),
    ("scaled_intermediate", "float16"): Forbidden("E22", _TWICE),
    ("element_subnormal", "flush"): Forbidden("E7", "MX-1.0/5.3/subnormals"),
    ("decode_subnormal", "flush-element"): Forbidden("D8", "MX-1.0/5.3/subnormals"),
    ("neg_zero", "drop"): _SIGN,
    ("neg_zero", "drop-input"): _SIGN,
}

# These depend on random bits, or try scales out.
_NOT_JUDGED = {"stochastic", "stochastic-a", "stochastic-b", "stochastic-c", "mse", "mae"}


def forbidden(field: str, value: str, element: ElementFormat | None) -> Forbidden | None:
    """Return why a choice is a fault; None where it is legal.

    Parameters
    ----------
    field, value : str
        A field of `Policy` and a choice.
    element : ElementFormat or None
        None for scale codes.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> forbidden("neg_zero", "drop", element_format("e4m3")).clause
    'OFP8-1.0/sign'
    >>> forbidden("neg_zero", "drop", element_format("e2m1")) is None
    True
    """
    entry = _FORBIDDEN.get((field, value))
    if entry is None or (entry.only_fp8 and (element is None or not element.is_fp8)):
        return None
    return entry


def explanations(base: Policy, field: str) -> list[str]:
    """Return the choices of a field that may explain given codes; that of the policy comes first.

    Examples
    --------
    >>> explanations(Policy(), "scale_above")
    ['clamp', 'nan', 'clamp-125']
    >>> explanations(Policy(scale_above="wrap"), "scale_above")
    ['wrap', 'clamp', 'nan', 'clamp-125']
    """
    own = getattr(base, field)

    def is_left_out(value: str) -> bool:
        entry = _FORBIDDEN.get((field, value))
        is_modelled = entry is not None and entry.is_modelled
        return value == "raise" or value in _NOT_JUDGED or is_modelled

    others = [str(choice) for choice in type(own) if not is_left_out(str(choice))]
    return list(dict.fromkeys((str(own), *others)))


def alternatives(base: Policy, field: str) -> list[str]:
    """Return the choices that a vector counts as allowed; that of the policy comes first.

    A refusal is one. Not among them are random choices, searches, and what is forbidden for some
    format (OFP8-1.0/sign lets FP8 have no choice of ``neg_zero``; whoever asks knows that).

    Examples
    --------
    >>> alternatives(Policy(), "scale_inf"), alternatives(Policy(), "neg_zero")
    (['nan-scale', 'saturate', 'ignore', 'raise'], ['keep', 'drop', 'drop-input'])
    """
    refusals = [str(c) for c in type(getattr(base, field)) if c == "raise"]
    return list(dict.fromkeys((*explanations(base, field), *refusals)))


def require_judgeable(policy: Policy) -> None:
    """Refuse a policy under which codes alone cannot be judged (OP-ELEM-STOCHASTIC, OP-SCALE-RULE).

    Raises
    ------
    ValueError
        If the rounding or the scale rule is stochastic, or the scale is searched for.

    Examples
    --------
    >>> require_judgeable(Policy(scale_rule="mse"))
    Traceback (most recent call last):
        ...
    ValueError: scale_rule=mse cannot be judged by a check yet: convert with mxref.quantize under \
this policy and compare the codes
    >>> require_judgeable(Policy(rounding="stochastic-a"))
    Traceback (most recent call last):
        ...
    ValueError: rounding=stochastic-a cannot be judged by codes alone: give the random bits to \
mxref.check.encode_stochastic; without them judge by statistics, a function with \
mxref.check.stochastic, codes with mxref.check.stochastic_data
    """
    rule, rounding = policy.scale_rule.value, policy.rounding.value
    if rule in _NOT_JUDGED:
        bits = " and the same random bits" if rule.startswith("stochastic") else ""
        raise ValueError(
            f"scale_rule={rule} cannot be judged by a check yet: convert with mxref.quantize under "
            f"this policy{bits} and compare the codes"
        )
    if rounding in _NOT_JUDGED:
        raise ValueError(
            f"rounding={rounding} cannot be judged by codes alone: give the random bits to "
            "mxref.check.encode_stochastic; without them judge by statistics, a function with "
            "mxref.check.stochastic, codes with mxref.check.stochastic_data"
        )
