"""What is swept: a cast to one format under one policy, and the list of those with digests."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from mxref import _choices as choice
from mxref.formats import ELEMENT_FORMATS, ElementFormat, Kind, scalar_format
from mxref.policy import PROFILES, Policy, get_policy

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DETERMINISTIC", "Subject", "published", "relevant_fields"]

DETERMINISTIC: tuple[choice.Rounding, ...] = tuple(
    mode for mode in choice.Rounding if not mode.startswith("stochastic")
)
"""The roundings that give each input one code; only these can be swept."""

_SCALE_FIELDS = tuple(f.name for f in fields(Policy) if f.name.startswith("e8m0_"))
# The other answer to each question about E8M0, as all of them are independent of one another.
_OTHER_ANSWERS: Mapping[str, str] = {
    "e8m0_zero": "nan",
    "e8m0_negative": "magnitude",
    "e8m0_inf": "saturate",
    "e8m0_overflow": "nan",
    "e8m0_underflow": "nan",
}
_SUBNORMAL_BITS: Mapping[str, str] = {"e8m0_subnormal": "bits"}


def relevant_fields(fmt: str) -> tuple[str, ...]:
    """Return the policy fields that can change a cast to a format, in the order of `Policy`.

    Examples
    --------
    >>> relevant_fields("e4m3")[:3]
    ('rounding', 'fp8_overflow', 'nan_payload')
    >>> "int8_min" in relevant_fields("e4m3"), "fp8_overflow" in relevant_fields("int8")
    (False, False)
    """
    found = scalar_format(fmt)
    if not isinstance(found, ElementFormat):
        return _SCALE_FIELDS
    is_float = found.kind is Kind.FLOAT
    wanted = {
        "rounding": True,
        "fp8_overflow": found.is_fp8,
        "nan_element": not found.has_nan,
        "inf_element": not found.is_fp8,
        "nan_payload": found.has_nan,
        "neg_zero": is_float,
        "int8_min": not is_float,
        "scaled_intermediate": True,
        "input_subnormal": True,
        "element_subnormal": is_float,
        "relu": True,
    }
    return tuple(f.name for f in fields(Policy) if wanted.get(f.name))


@dataclass(frozen=True, slots=True)
class Subject:
    """A cast to `format` under `policy`; made by `Subject.of`.

    Attributes
    ----------
    format : str
        An element format or ``"e8m0"``.
    policy : Policy
        ``ocp`` but for the fields that can change this cast, so that equal casts are equal.

    Examples
    --------
    >>> Subject.of("e4m3", "ocp:fp8_overflow=overflow,scale_rule=ceil").name
    'e4m3.nearest-even.overflow'
    >>> Subject.of("e8m0", "ml_dtypes").name
    'e8m0.nearest.zero-nan.overflow-nan'
    """

    format: str
    policy: Policy

    @classmethod
    def of(cls, fmt: str, policy: Policy | str | None = None) -> Subject:
        """Return the subject of a format under any policy.

        Raises
        ------
        ValueError
            If the format or the policy does not exist, or the policy rounds stochastically or
            refuses inputs.
        """
        name = scalar_format(fmt).name
        chosen = get_policy(policy)
        relevant = {key: str(getattr(chosen, key)) for key in relevant_fields(name)}
        for key, value in relevant.items():
            if value == "raise":
                raise ValueError(
                    f"{key}=raise refuses inputs, so not every input has a code to sweep; choose "
                    f"another {key}"
                )
        if relevant.get("rounding", "").startswith("stochastic"):
            raise ValueError(
                f"rounding={relevant['rounding']} depends on random bits, so no input has the one "
                f"right code; the deterministic roundings are {', '.join(DETERMINISTIC)}"
            )
        return cls(name, Policy().replace(**relevant))

    @property
    def choices(self) -> dict[str, str]:
        """The policy fields that can change this cast, and their values."""
        return {key: str(getattr(self.policy, key)) for key in relevant_fields(self.format)}

    @property
    def name(self) -> str:
        """Format, rounding, for FP8 the overflow mode, then what else differs from ``ocp``."""
        choices = self.choices
        always = ("rounding", "fp8_overflow", "e8m0_rounding")
        parts = [self.format, *(choices.pop(key) for key in always if key in choices)]
        usual = Policy().as_dict()
        parts += [
            f"{key.removeprefix('e8m0_')}-{value}"
            for key, value in choices.items()
            if value != usual[key]
        ]
        return ".".join(parts)

    @property
    def rounding(self) -> str:
        """The rounding, of an element or to a power of two."""
        return self.choices.get("rounding") or self.choices["e8m0_rounding"]

    @property
    def overflow(self) -> str | None:
        """The overflow mode of FP8; None elsewhere."""
        return self.choices.get("fp8_overflow")


def published() -> tuple[Subject, ...]:
    """Return what ``spec_vectors/digests`` holds, in order.

    Each element format under each deterministic rounding, FP8 also under each overflow mode, all
    else as in ``ocp``. E8M0 under each rounding three times: all else as in ``ocp``, with the other
    answer to each of its questions, and with subnormals read as though normal; then as the
    profiles cast to it.

    Examples
    --------
    >>> names = [subject.name for subject in published()]
    >>> names[:2], len(names) == len(set(names))
    (['e4m3.nearest-even.saturate', 'e4m3.nearest-even.overflow'], True)
    """
    found: dict[str, Subject] = {}

    def add(fmt: str, policy: Policy) -> None:
        subject = Subject.of(fmt, policy)
        found.setdefault(subject.name, subject)

    for element in ELEMENT_FORMATS.values():
        for rounding in DETERMINISTIC:
            for overflow in choice.FP8Overflow:
                add(element.name, Policy(rounding=rounding, fp8_overflow=overflow))
    for mode in choice.E8M0Rounding:
        for others in ({}, _OTHER_ANSWERS, _SUBNORMAL_BITS):
            add("e8m0", Policy(e8m0_rounding=mode).replace(**others))
    for profile in PROFILES.values():
        add("e8m0", profile)
    return tuple(found.values())
