"""Faults of NVFP4 and BDR that no case of a file can show, and why: by operation and policy.

`mxref.faults.nvfp4` and `mxref.faults.bdr` say what shows under no policy. Here is what one policy
hides, or one block. The tests run each of these faults over dense inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mxref._policy_base import Choices
from mxref.faults import bdr, nvfp4
from mxref.vectors.operations import FAMILY

__all__ = ["RULES", "Rule", "equivalent"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Faults that are hidden together.

    Attributes
    ----------
    faults : tuple of (str, str)
        Id and variant; of a variant that ends in ``*`` all that begin so.
    operation : str
        The operation.
    where : callable
        Whether they are hidden under a policy and in a format of this name.
    reason : str
        Why.
    """

    faults: tuple[tuple[str, str], ...]
    operation: str
    where: Callable[[Any, str], bool]
    reason: str

    def hides(self, fault: str, detail: str, operation: str, policy: Choices, fmt: str) -> bool:
        """Whether a fault is one of these."""
        return (
            operation == self.operation
            and any(fault == own and _is_variant(detail, pattern) for own, pattern in self.faults)
            and bool(self.where(policy, fmt))
        )


def _is_variant(detail: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return detail.startswith(pattern[:-1])
    return detail == pattern


def _always(policy: Any, fmt: str) -> bool:  # noqa: ARG001  # every rule is asked alike
    return True


def _is(**choices: str) -> Callable[[Any, str], bool]:
    def where(policy: Any, fmt: str) -> bool:  # noqa: ARG001
        return all(getattr(policy, field) == choice for field, choice in choices.items())

    return where


def _bounds_scales(policy: Any, fmt: str) -> bool:  # noqa: ARG001
    return bool(policy.scale_least != "0")


def _divides(policy: Any, fmt: str) -> bool:  # noqa: ARG001
    return policy.element_order in ("divide", "divide-encode")


_OF = "of the scale: "
_SATURATES = (
    ("E13", _OF + "threshold at the largest number, before rounding"),
    ("E13", _OF + "blind to the rounding mode"),
)
_ONE_BLOCK = tuple(("S15", d) for d in ("the block before", "the block behind",
                                        "two blocks together"))  # fmt: skip
_TIES_UP = tuple((fault, _OF + "*") for fault in ("E3", "E10", "E23"))

RULES: tuple[Rule, ...] = (
    Rule(
        _SATURATES, "nvfp4_quantize", _is(scale_overflow="saturate"),
        "Whatever lies beyond 448 becomes 448: no threshold shows.",
    ),
    Rule(
        _SATURATES, "nvfp4_scale_encode", _is(scale_overflow="saturate"),
        "Whatever lies beyond 448 becomes 448: no threshold shows.",
    ),
    Rule(
        (
            ("E13", _OF + "blind to the rounding mode"),
            *(
                ("E14", _OF + what)
                for what in (
                    "the code behind the largest number",
                    "NaN where that code is due",
                    "NaN up to the end of the top binade",
                    "NaN up to the end of the top binade, without its sign",
                    "NaN for large finite values",
                )
            ),
        ),
        "nvfp4_scale_encode", _is(scale_overflow="nan"),
        "Whatever rounds beyond 448 becomes NaN, whose code lies behind that of 448: the policy "
        "asks for it.",
    ),
    Rule(
        (("D3", "of the scale"),), "nvfp4_quantize", _always,
        "It concerns elements under a NaN scale, whose codes do not matter.",
    ),
    Rule(
        (
            *((fault, "of the scale") for fault in ("D8", "E8")),
            *((fault, _OF + "*") for fault in ("D1", "D2", "E7", "E9", "E10")),
        ),
        "nvfp4_quantize", _is(scale_least="2^-6"),
        "The least scale is 2^-6: none is subnormal.",
    ),
    Rule(
        (("E8", "of the scale"),), "nvfp4_quantize", _bounds_scales,
        "The least scale is a code of its own: nothing underflows.",
    ),
    Rule(
        (("E6", "a reciprocal*"),), "nvfp4_quantize", _divides,
        "The recipe divides: it has no reciprocal.",
    ),
    Rule(
        (("E17", ""), ("E18", "*")), "nvfp4_quantize",
        _is(amax_nan="propagate", element_order="divide-encode"),
        "A NaN makes the scale NaN, and the codes under it do not matter.",
    ),
    Rule(
        _TIES_UP, "nvfp4_scale_encode", _is(scale_rounding="nearest-up"),
        "Where ties go up, the first dropped bit alone decides.",
    ),
    Rule(
        (("E1", _OF + "ties toward +Inf"), ("E1", _OF + "ties away from zero")),
        "nvfp4_scale_encode", _is(scale_rounding="nearest-up"),
        "Scales have no sign: this is what the policy asks for.",
    ),
    Rule(
        (("E16", "the sign of an infinity is lost"),), "bdr_quantize", _is(inf="nan-scale"),
        "An infinity makes the scale NaN, and the codes under it do not matter.",
    ),
    Rule(
        (("E18", "*"),), "bdr_quantize", _is(nan="nan-scale"),
        "A NaN makes the scale NaN, and the codes under it do not matter.",
    ),
    Rule(
        (("E18", "the sign bit alone"),), "bdr_quantize",
        lambda policy, fmt: policy.nan == "zero" and fmt != "mx9",
        "Bit 7, cut to the bits of an element, is the code of zero, which is due.",
    ),
    Rule(
        (("S11", "code 0 does not exist"), ("S11", "the code wraps")), "bdr_quantize",
        _is(input_subnormal="flush"),
        "Subnormal numbers count as zero: no exponent lies below code 1.",
    ),
    Rule(
        (
            ("S14", "by the scale that is right"),
            ("S19", "by the shift that is right, not the stored one"),
        ),
        "bdr_quantize", _always,
        "It shows beside a wrong scale or shift only: alone, both are one.",
    ),
    Rule(
        (("S1", ""), ("S7", "bfloat16"), ("S8", "log2 in float32"), ("S20", "*")),
        "bdr_quantize", _is(shared_exponent="after-rounding"),
        "The exponent that holds all rounded elements is looked for: it does not depend on this.",
    ),
    Rule(
        _ONE_BLOCK, "scaled_quantize", _always,
        "A case is one block: there is no other one beside it.",
    ),
)  # fmt: skip


def equivalent(fault: str, detail: str, operation: str, policy: Choices, format_name: str) -> str:
    """Return why no case of a file shows a fault; "" where one can.

    Parameters
    ----------
    fault, detail : str
        Id of the fault, and its variant.
    operation, policy, format_name
        What the file is about.

    Examples
    --------
    >>> from mxref.relatives.bdr_policy import BDRPolicy
    >>> equivalent("E18", "-0", "bdr_quantize", BDRPolicy(), "mx9")
    'A NaN makes the scale NaN, and the codes under it do not matter.'
    """
    table = nvfp4.EQUIVALENT if FAMILY[operation] == "nvfp4" else bdr.EQUIVALENT
    for some_detail in (detail, "*"):
        for some_operation in (operation, "*"):
            for some_format in (format_name, "*"):
                found = table.get((fault, some_detail, some_operation, some_format))
                if found is not None:
                    return found
    rules = (r for r in RULES if r.hides(fault, detail, operation, policy, format_name))
    return next((rule.reason for rule in rules), "")
