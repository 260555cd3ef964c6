"""Ways to quantize: a format of any family with one of the rules that it may be used with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _choices as choice
from mxref._policy_base import Choices
from mxref._suggest import unknown_name
from mxref.formats import BLOCK_FORMATS, BlockFormat, ElementFormat
from mxref.quality._formats import AnyFormat, any_format
from mxref.relatives.bdr_format import BDRFormat, Element
from mxref.relatives.bdr_formats import BDR_FORMATS
from mxref.relatives.nvfp4_format import NVFP4

__all__ = ["ALL_FORMATS", "Candidate", "candidates", "element_values", "top_codes"]

ALL_FORMATS = (*BLOCK_FORMATS, NVFP4.name, *BDR_FORMATS)
"""The formats that are compared unless somebody says which."""

_MX_RULES = ("floor", "ceil", "rceil", "even", "tosa", "nearest-log", "plus-one", "mse")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A format and a policy.

    Attributes
    ----------
    format : BlockFormat, NVFP4Format or BDRFormat
    rule : str
        Short: the scale rule or the profile.
    policy : Choices
        All of it.
    is_default : bool
        Whether it is what the format does unless told otherwise.
    """

    format: AnyFormat
    rule: str
    policy: Choices
    is_default: bool

    def quantize(self, x: NDArray[Any]) -> Any:
        """Quantize along the last axis; the last block is completed by zeros."""
        policy: Any = self.policy
        if isinstance(self.format, BlockFormat):
            from mxref.arrays import quantize

            return quantize(x, self.format, -1, policy, pad=True)
        if isinstance(self.format, BDRFormat):
            from mxref import bdr

            return bdr.quantize(x, self.format, -1, policy, pad=True)
        from mxref import nvfp4

        return nvfp4.quantize(x, -1, policy, pad=True)


def candidates(
    formats: Iterable[str | AnyFormat] | None = None,
    rules: Sequence[str] | None = None,
    *,
    is_matrix: bool = True,
) -> list[Candidate]:
    """List every format with each rule that it may be used with.

    Parameters
    ----------
    formats : iterable of str or format, optional
        Default: `ALL_FORMATS`.
    rules : sequence of str, optional
        Scale rules of the MX formats, or names of policies of any family; each is tried on the
        formats that know it. Default: the usual ones.
    is_matrix : bool
        Whether there is a second axis, along which scales of 16 x 16 blocks can lie.

    Raises
    ------
    ValueError
        If a format is unknown, or no format at hand knows a rule.
    """
    given = [any_format(f) for f in (ALL_FORMATS if formats is None else formats)]
    if not given:
        raise ValueError("no format to compare: give at least one name, such as 'mxfp4'")
    found: list[Candidate] = []
    used: set[str] = set()
    for fmt in dict.fromkeys(given):
        names = _rules_of(fmt) if rules is None else rules
        for rule in names:
            policy = _policy(fmt, rule)
            if policy is None or not _is_usable(policy, is_matrix=is_matrix):
                continue
            used.add(rule)
            found.append(Candidate(fmt, rule, policy, policy == type(policy)()))
    unused = [rule for rule in rules or () if rule not in used]
    if unused:
        known = dict.fromkeys(rule for fmt in given for rule in _rules_of(fmt))
        raise ValueError(unknown_name("rule for these formats", unused[0], known))
    return found


def _rules_of(fmt: AnyFormat) -> list[str]:
    if isinstance(fmt, BlockFormat):
        return list(_MX_RULES)
    if isinstance(fmt, BDRFormat):
        from mxref.relatives.bdr_profiles import BDR_PROFILES

        named = [p.name for p in BDR_PROFILES.values() if fmt.name in p.formats]
        return named or ["bdr-paper"]
    from mxref.relatives.nvfp4_profiles import PROFILES

    return list(PROFILES)


def _policy(fmt: AnyFormat, rule: str) -> Choices | None:
    """Return the policy of a rule, or None if formats of this family have none of that name."""
    try:
        if isinstance(fmt, BlockFormat):
            from mxref.policy import get_policy

            is_rule = rule in list(choice.ScaleRule)
            return get_policy(f"ocp:scale_rule={rule}" if is_rule else rule)
        if isinstance(fmt, BDRFormat):
            from mxref.relatives.bdr_profiles import BDR_PROFILES, get_bdr_policy

            profile = BDR_PROFILES.get(rule)
            is_foreign = profile is not None and fmt.name not in profile.formats
            return None if is_foreign and fmt.name in BDR_FORMATS else get_bdr_policy(rule)
        from mxref.relatives.nvfp4_profiles import get_policy as get_nvfp4_policy

        return get_nvfp4_policy(rule)
    except ValueError:
        return None


def _is_usable(policy: Choices, *, is_matrix: bool) -> bool:
    """Leave out what needs random bits, or a second axis that is not there."""
    fields = policy.as_dict()
    if any("stochastic" in fields.get(key, "") for key in ("rounding", "scale_rule")):
        return False
    return is_matrix or fields.get("geometry") != "2d"


@cache
def element_values(fmt: AnyFormat) -> NDArray[np.float64]:
    """Return what each code of an element means, before any scale; NaN where there is no code."""
    if isinstance(fmt, BDRFormat) and fmt.float_element is None:
        codes = np.arange(256, dtype=np.int64)
        inside = codes < fmt.code_count
        low = codes & (fmt.sign_mask - 1)
        negative = (codes & fmt.sign_mask) != 0
        plain = np.where(negative, -low, low)
        if fmt.element is Element.TWOS_COMPLEMENT:
            plain = np.where(negative, low - fmt.sign_mask, low)
        return np.where(inside, plain * float(fmt.step), np.nan)
    element: ElementFormat | None
    element = fmt.float_element if isinstance(fmt, BDRFormat) else fmt.element
    assert element is not None  # noqa: S101  # handled above
    from mxref.casts import decode

    values = np.full(256, np.nan)
    codes8 = np.arange(element.code_count, dtype=np.uint8)
    values[: element.code_count] = decode(codes8, element)
    return values


@cache
def top_codes(fmt: AnyFormat) -> NDArray[np.bool_]:
    """Say which codes are the largest of their sign that a number may be clamped to."""
    magnitudes = np.abs(element_values(fmt))
    finite = np.isfinite(magnitudes)
    element = fmt.float_element if isinstance(fmt, BDRFormat) else fmt.element
    largest = fmt.largest if isinstance(fmt, BDRFormat) else element.max if element else 0
    return finite & (np.where(finite, magnitudes, 0.0) >= float(largest))
