"""Reads off a quantizer what it does where no rule leads: zeros, NaN, infinity, and both ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mxref import arrays
from mxref.check._guard import RefusalError
from mxref.check._landmarks import INF, SIGN, as_float32, bits_of
from mxref.check.parts import Inference
from mxref.check.threshold._scale_rules import Rule
from mxref.check.threshold._scale_steps import Call, amax_blocks
from mxref.formats import BlockFormat, pow2
from mxref.policy import Policy

__all__ = ["end_inferences"]

_NAN = 0x7FC0_0000
_SEVEN = Fraction(7, 4)


@dataclass(frozen=True, slots=True)
class _End:
    """Blocks that show some policy fields, and how to speak of each."""

    what: str
    fields: tuple[str, ...]
    blocks: NDArray[np.uint32]
    said: tuple[str, ...]


def end_inferences(call: Call, fmt: BlockFormat, rule: Rule | None) -> Iterator[Inference]:
    """Yield what a quantizer does at the ends, in one call, or three if it refuses NaN or infinity.

    Parameters
    ----------
    call : callable
    fmt : BlockFormat
    rule : Rule or None
        The scale rule, if it is known and a choice: it decides what follows from what is seen.
    """
    base = Policy().replace(**dict(rule.changes)) if rule else None
    reader = _Reader(call, fmt, base)
    yield from reader.shown(_finite_ends(fmt))
    specials = _special_ends(fmt)
    try:
        yield from reader.shown(specials)
    except RefusalError:
        for end in specials:
            try:
                yield from reader.shown([end])
            except RefusalError:
                yield Inference(end.what, "such blocks are refused: the choice raise", "raise")


def _finite_ends(fmt: BlockFormat) -> list[_End]:
    k, lowest = fmt.block_size, fmt.element.emax - 127
    zeros = np.zeros((2, k), np.uint32)
    zeros[1] = SIGN
    exponents = sorted({-149, -127, -126, max(lowest - 1, -126), max(lowest, -126), lowest + 1})
    low = [(Fraction(1), -149), *((f, e) for e in exponents[1:] for f in (Fraction(1), _SEVEN))]
    high = [(Fraction(1), 126), (Fraction(1), 127), (Fraction(3, 2), 127), (2 - pow2(-23), 127)]
    below = ("scale_subnormal", "scale_below", "scale_quotient")
    return [
        _End("scale of zeros", ("scale_zero_block",), zeros, ("a block of +0", "a block of -0")),
        _End("lowest scales", below, _alone(low, k), _said(low)),
        _End("highest scales", ("scale_above",), _alone(high, k), _said(high)),
    ]


def _alone(amax: list[tuple[Fraction, int]], k: int) -> NDArray[np.uint32]:
    bits = bits_of([factor * pow2(exponent) for factor, exponent in amax])
    return amax_blocks(bits, np.zeros(len(bits), np.int64), k)


def _said(amax: list[tuple[Fraction, int]]) -> tuple[str, ...]:
    return tuple(f"2^{e}" if f == 1 else f"{float(f):.8g}*2^{e}" for f, e in amax)


def _special_ends(fmt: BlockFormat) -> list[_End]:
    def blocks(bits: int) -> NDArray[np.uint32]:
        # Powers of two: no rule that has a name rounds them.
        found = np.full((2, fmt.block_size), bits_of([pow2(fmt.element.emax)])[0], np.uint32)
        found[0, 0] = bits
        found[1, -1] = bits | int(SIGN)
        return found

    return [
        _End(
            "scale where a NaN is",
            ("scale_nan",),
            blocks(_NAN),
            ("+NaN in the first place", "-NaN in the last"),
        ),
        _End(
            "scale where an infinity is",
            ("scale_inf",),
            blocks(INF),
            ("+Inf in the first place", "-Inf in the last"),
        ),
    ]


class _Reader:
    """Reads end after end; what one has shown is taken for granted at the next."""

    def __init__(self, call: Call, fmt: BlockFormat, base: Policy | None) -> None:
        self.call, self.fmt, self.base = call, fmt, base

    def shown(self, ends: list[_End]) -> list[Inference]:
        """Read some ends in one call."""
        codes, scales = self.call(as_float32(np.concatenate([end.blocks for end in ends])))
        found, start = [], 0
        for end in ends:
            stop = start + len(end.blocks)
            found.append(self._read(end, (codes[start:stop], scales[start:stop].reshape(-1))))
            start = stop
        return found

    def _read(self, end: _End, seen: tuple[NDArray[np.uint8], ...]) -> Inference:
        text = _text(end, seen[1])
        if self.base is None:
            return Inference(end.what, text)
        base = self.base
        ordered = sorted(_choices(end, base), key=lambda changes: _distance(base, changes))
        fitting = (c for c in ordered if _fits(end, self.fmt, base.replace(**c), seen))
        best = next(fitting, None)
        if best is None:
            return Inference(end.what, f"{text}: no published choice")
        self.base = base.replace(**best)
        changed = {f: str(v) for f, (v, _) in self.base.diff(base).items()}
        name = ",".join(f"{field}={value}" for field, value in changed.items())
        if end.what.endswith("scales"):
            return Inference(end.what, f"{text}: {name or 'as the rule says'}", name)
        (field,) = end.fields
        same = " or ".join([best[field], *(changes[field] for changes in fitting)])
        return Inference(end.what, f"{text}: {same}", best[field])


def _text(end: _End, scales: NDArray[np.uint8]) -> str:
    codes = scales.tolist()
    if len(set(codes)) == 1:
        return f"always 0x{codes[0]:02X}"
    # Runs of equal codes, by where each begins: the ends hold many blocks.
    starts = [i for i in range(len(codes)) if i == 0 or codes[i] != codes[i - 1]]
    said = [f"0x{codes[i]:02X} from {end.said[i]}" for i in starts]
    return f"{', '.join(said)} on"


def _distance(base: Policy, changes: Mapping[str, str]) -> int:
    return len(base.replace(**changes).diff(base))


def _choices(end: _End, base: Policy) -> Iterator[dict[str, str]]:
    """Every combination of choices, those that are a fault included."""
    values = [
        [str(v) for v in type(getattr(base, field)) if str(v) != "raise"] for field in end.fields
    ]
    for combination in itertools.product(*values):
        yield dict(zip(end.fields, combination, strict=True))


def _fits(end: _End, fmt: BlockFormat, policy: Policy, seen: tuple[NDArray[np.uint8], ...]) -> bool:
    codes, scales = seen
    expected = arrays.quantize(as_float32(end.blocks), fmt, -1, policy)
    same = expected.scales.reshape(-1) == scales
    # Where the rule gives code 0 as well, only the elements say whether the block was flushed.
    magnitudes = np.uint8(fmt.element.sign_mask - 1)
    flushed = (expected.codes & magnitudes).any(axis=1) == (codes & magnitudes).any(axis=1)
    return bool(np.all(same & (flushed | (scales != 0))))
