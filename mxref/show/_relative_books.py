"""The codes of the relatives: scales of NVFP4, elements of BDR formats."""

from __future__ import annotations

from fractions import Fraction

from mxref._policy_base import Choices
from mxref.exact import bdr_elements, nvfp4_scales
from mxref.exact.number import Number, NumberClass, floor_log2, power_of_two
from mxref.formats import ElementFormat
from mxref.relatives.bdr_format import BDRFormat, Element, ScaleKind, SubscaleKind
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.bdr_profiles import get_bdr_policy
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.relatives.nvfp4_profiles import get_policy
from mxref.show import _facts
from mxref.show._books import Book, float_points, mode_text

__all__ = ["BDRBook", "UE4M3Book"]

_BDR, _NVFP4 = "OP-BDR-QUANTIZER", "OP-NVFP4-RECIPE"


class UE4M3Book(Book):
    """The scales of NVFP4: the codes of E4M3 that have no sign.

    Examples
    --------
    >>> book = UE4M3Book()
    >>> book.code_count, str(book.number(0x7E)), book.cls(0x7F)
    (128, '448', 'NaN')
    """

    name, bits, code_count, clause = "ue4m3", 8, 128, _NVFP4
    in_block = "times the element, times global_scale, a float32 for the whole tensor"

    def __init__(self) -> None:
        """Take the one format that there is."""
        self.format = NVFP4
        self._fmt = NVFP4.scale
        self.emin, self.bias = NVFP4.scale.emin, NVFP4.scale.bias

    def number(self, code: int) -> Number:
        return nvfp4_scales.decode_scale(code)

    def fields(self, code: int) -> tuple[tuple[str, str], ...]:
        (_, sign), *rest = _facts.bit_fields(code, self._fmt)
        return (("unused", sign), *rest)

    def cls(self, code: int) -> str:
        return _facts.class_name(code, self._fmt)

    def position(self, code: int) -> int:
        return code

    def code_at(self, place: int) -> int | None:
        return place if 0 <= place < NVFP4.scale_nan_code else None

    def get_policy(self, policy: Choices | str | None) -> NVFP4Policy:
        return get_policy(policy)  # type: ignore[arg-type]  # get_policy refuses other kinds

    def is_random(self, policy: Choices) -> bool:  # noqa: ARG002  # a scale never is
        return False

    def encode(self, number: Number, policy: Choices) -> int:
        if number.sign and number.cls is not NumberClass.ZERO:
            raise ValueError("a scale of NVFP4 has no sign")
        return nvfp4_scales.encode_scale(number, self.get_policy(policy))

    def points(self, policy: Choices) -> set[Fraction]:  # noqa: ARG002
        return float_points(self._fmt)

    def reason(self, number: Number, code: int, policy: Choices) -> str:
        return "overflow" if _overflows(self, number, code, policy) else "rounding"

    def because(self, why: str, code: int, policy: Choices) -> tuple[str, str]:
        if why == "rounding":
            return mode_text(self.get_policy(policy).scale_rounding.value), _NVFP4
        return ("by saturation" if self.is_real(code) else "by overflow"), _NVFP4

    def notes(self, code: int, policy: Choices) -> tuple[str, ...]:
        chosen, said = self.get_policy(policy), []
        for name, guest in (("Inf", Number.inf(0)), ("NaN", Number.nan(0))):
            if nvfp4_scales.encode_scale(guest, chosen) == code:
                said.append(f"{name} becomes this code [{_NVFP4}]")
        if code == NVFP4.scale_nan_code:
            said.append("every value of the block is NaN")
        return tuple(said)


def _overflows(book: Book, number: Number, code: int, policy: Choices) -> bool:
    """Whether an OFP8 number, rounded without bounds, lies beyond the value of its code.

    Eight binades below, the same mantissas are rounded alike and nothing overflows.
    """
    if number.magnitude < power_of_two(4):
        return False
    shift = power_of_two(8 + floor_log2(number.magnitude) // 8 * 8 - 8)
    small = Number.finite((-1 if number.sign else 1) * number.magnitude / shift)
    rounded = book.number(book.encode(small, policy)).magnitude * shift
    return not book.is_real(code) or rounded > book.number(code).magnitude


class BDRBook(Book):
    """The elements of a BDR format, before scale and sub-scale.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import bdr_format
    >>> book = BDRBook(bdr_format("mx4"))
    >>> [str(book.number(code)) for code in range(8)]
    ['0', '1/2', '1', '3/2', '-0', '-1/2', '-1', '-3/2']
    """

    def __init__(self, fmt: BDRFormat) -> None:
        """Take the format."""
        self.format = self._fmt = fmt
        self._float: ElementFormat | None = fmt.float_element
        self.name, self.bits, self.code_count = fmt.name, fmt.code_bits, fmt.code_count
        self.clause = self._float.clause if self._float else _BDR
        if self._float:
            self.emin, self.bias = self._float.emin, self._float.bias
        shift = {
            SubscaleKind.NONE: "",
            SubscaleKind.POW2: "2^-D * ",
            SubscaleKind.INT: "ss * ",
        }[fmt.subscale]
        scale = f"2^(E - {fmt.bias})" if fmt.scale is ScaleKind.POW2 else "s"
        self.in_block = f"times {shift}{scale}"

    def number(self, code: int) -> Number:
        found = bdr_elements.decode(code, self._fmt)
        if self._float is not None or found.cls is not NumberClass.FINITE:
            return found
        return Number.finite(found.value * self._fmt.step)

    def fields(self, code: int) -> tuple[tuple[str, str], ...]:
        if self._float is not None:
            return _facts.bit_fields(code, self._float)
        text = f"{code:0{self.bits}b}"
        is_twos = self._fmt.element is Element.TWOS_COMPLEMENT
        return ("sign", text[0]), ("integer" if is_twos else "magnitude", text[1:])

    def cls(self, code: int) -> str:
        if self._float is not None:
            return _facts.class_name(code, self._float)
        return "fixed-point" if self.number(code).magnitude else "zero"

    def position(self, code: int) -> int:
        if self._float is not None:
            return _facts.position(code, self._float)
        return int(self.number(code).value / self._fmt.step)

    def code_at(self, place: int) -> int | None:
        if self._float is not None:
            return _facts.code_at(place, self._float)
        is_twos = self._fmt.element is Element.TWOS_COMPLEMENT
        if not -self._fmt.max_magnitude - is_twos <= place <= self._fmt.max_magnitude:
            return None
        if is_twos:
            return place % self.code_count
        return -place | self._fmt.sign_mask if place < 0 else place

    def get_policy(self, policy: Choices | str | None) -> BDRPolicy:
        return get_bdr_policy(policy)  # type: ignore[arg-type]  # it refuses other kinds

    def encode(self, number: Number, policy: Choices) -> int:
        chosen = self.get_policy(policy)
        is_nan_scale = bdr_elements.takes_nan_scale([number], chosen)
        if is_nan_scale:
            raise ValueError("it makes the scale of its block NaN")
        counted = bdr_elements.read(number, chosen, "float32")
        unit = Fraction(1) if self._float is not None else self._fmt.step
        return bdr_elements.code_of(counted, unit, self._fmt, chosen, 0)

    def points(self, policy: Choices) -> set[Fraction]:  # noqa: ARG002
        subnormal = {power_of_two(-126)}
        if self._float is not None:
            return float_points(self._float) | subnormal
        half = self._fmt.step / 2
        return {half * k for k in range(1, 2 * self._fmt.max_magnitude + 6)} | subnormal

    def reason(self, number: Number, code: int, policy: Choices) -> str:
        if self._float is not None:
            return "overflow" if _overflows(self, number, code, policy) else "rounding"
        chosen, steps = self.get_policy(policy), number.magnitude / self._fmt.step
        rounded = bdr_elements.round_magnitude(steps, number.sign, chosen, random=None)
        return "overflow" if rounded * self._fmt.step > self.number(code).magnitude else "rounding"

    def because(self, why: str, code: int, policy: Choices) -> tuple[str, str]:  # noqa: ARG002
        if why == "rounding":
            return mode_text(str(self.get_policy(policy).rounding)), _BDR
        return "by saturation", _BDR

    def notes(self, code: int, policy: Choices) -> tuple[str, ...]:
        chosen, said = self.get_policy(policy), []
        guests = {"+Inf": Number.inf(0), "-Inf": Number.inf(1), "NaN": Number.nan(0)}
        for name, guest in guests.items():
            refused = bdr_elements.takes_nan_scale([guest], chosen)
            if not refused and self.encode(guest, policy) == code:
                said.append(f"{name} becomes this code [{_BDR}]")
        if self.is_real(code) and self.number(code).cls is NumberClass.ZERO and code:
            said.append("equal to +0 [OP-BDR-QUANTIZER]")
        if self._float is None and code == self.code_at(-self._fmt.max_magnitude - 1):
            said.append(f"int_min={chosen.int_min} [{_BDR}]")
        return tuple(said)
