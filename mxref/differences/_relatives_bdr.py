"""BDR formats as a search for differences sees them: single blocks of few numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mxref import bdr
from mxref.differences import _classes as classes
from mxref.differences._probes import Probe, Row
from mxref.differences._relatives_nvfp4 import float_text
from mxref.differences._result import Outcome
from mxref.exact import bdr as exact
from mxref.exact import ieee
from mxref.exact.number import NumberClass
from mxref.relatives.bdr_format import Element, ScaleKind, SubscaleKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mxref.exact.number import Number
    from mxref.relatives.bdr_format import BDRFormat

__all__ = ["BDRProbe"]

_INF, _SIGN = 0x7F800000, 1 << 31
_NORMAL = 1 << 23
_TENSOR = 16  # elements of a tensor that has one scale


def _near(values: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Bits of the float32 numbers nearest to these, and of their neighbours."""
    with np.errstate(over="ignore", under="ignore"):
        words = np.abs(values).astype(np.float32).view(np.int32).astype(np.int64)
    around = (words[:, None] + np.arange(-1, 2)).reshape(-1)
    return np.unique(np.clip(around, 0, _INF - 1)).astype(np.uint32)


def _turns(fmt: BDRFormat) -> NDArray[np.float64]:
    """Where elements change, in units of the largest power of two or, else, of the scale."""
    if fmt.element in (Element.E4M3, Element.E5M2):
        grid = np.arange(1, 32) / 2
        return np.concatenate([grid * 2.0**shift for shift in range(-10, 6)])
    halves = np.arange(0, 2 * (1 << fmt.m) + 1) / 2
    shifts = range(min(fmt.max_shift, 3) + 1) if fmt.subscale is SubscaleKind.POW2 else (0,)
    step = float(fmt.step) if fmt.scale is ScaleKind.POW2 else 1.0
    return np.unique(np.concatenate([halves * step * 2.0**-shift for shift in shifts]))


def _tops(fmt: BDRFormat) -> list[float]:
    """The largest magnitudes of blocks."""
    ulp = 2.0**-23
    tops = [1.0, 1.5, 1.75, 2 - ulp, 0.1, 2.0**100, 2.0**-100, 2.0**-119]
    tops += [2.0**-126, 2.0**-127, 1.25 * 2.0**-127, 2.0**-149, (2 - ulp) * 2.0**127]
    if fmt.scale is ScaleKind.FLOAT32:
        largest = float(fmt.largest)
        tops += [largest, 0.3 * largest, 3.0, 7.0, 2.0**-140]
    else:
        tops += [2 - float(fmt.step) * share for share in (0.25, 0.5, 0.75, 1)]
    return tops


def _text(number: Number) -> str:
    return float_text(ieee.to_bits(number, "float32"))


class BDRProbe(Probe):
    """Blocks to a scale, sub-scales and element codes.

    A row of the input has the bits of the first numbers of a block; the others are zeros. A row
    of the result has the scale, the sub-scales and the codes of those numbers.
    """

    operation = "quantize"

    def __init__(self, fmt: BDRFormat) -> None:
        self._fmt = fmt
        self.format = fmt.name
        self._length = fmt.k1 or _TENSOR
        self._shown = min(self._length, max(2 * fmt.k2, 4))
        self._n_sub = self._shown // fmt.k2 if fmt.has_subscales else 0
        self.inputs = (np.unique(self._blocks(), axis=0),)

    def _blocks(self) -> NDArray[np.uint32]:
        rows = []
        beside = {1, self._fmt.k2 or 1}  # in the same sub-block, and in the next
        for top in _tops(self._fmt):
            unit = 2.0 ** np.floor(np.log2(top))
            if self._fmt.scale is ScaleKind.FLOAT32:
                unit = top / float(self._fmt.largest)
            words = _near(np.concatenate([_turns(self._fmt) * unit, [top]]))
            words = words[words <= np.array([top], np.float32).view(np.uint32)[0]]
            both = np.concatenate([words, words | np.uint32(_SIGN)])
            for place in beside:
                block = np.zeros((len(both), self._shown), np.uint32)
                block[:, 0] = np.array([top], np.float32).view(np.uint32)[0]
                block[:, place] = both
                rows.append(block)
            single = np.zeros((2, self._shown), np.uint32)
            single[:, 0] = rows[-1][0, 0] | np.array([0, _SIGN], np.uint32)
            rows.append(single)
        rows.append(self._specials())
        return np.concatenate(rows)

    def _specials(self) -> NDArray[np.uint32]:
        odd = [0, _SIGN, _INF, _INF | _SIGN, 0x7FC00000, 0xFFC00000, 1, _NORMAL - 1, _NORMAL]
        pairs = [(word, other) for word in odd for other in (0, 0x3F800000, 0x3F900000)]
        block = np.zeros((len(pairs), self._shown), np.uint32)
        block[:, :2] = pairs
        return block

    @property
    def _width(self) -> int:
        return 1 + self._n_sub + self._shown

    def _call(self, policy: Any, given: tuple[NDArray[Any], ...]) -> NDArray[Any]:
        blocks = given[0]
        x = np.zeros((len(blocks), self._length), np.uint32)
        x[:, : self._shown] = blocks
        values = x.view(np.float32)
        if self._fmt.k1 is None:
            return np.concatenate([self._converted(row[None], policy) for row in values])
        return self._converted(values, policy)

    def _converted(self, values: NDArray[np.float32], policy: Any) -> NDArray[np.uint32]:
        q = bdr.quantize(values, self._fmt, policy=policy)
        n = len(values)
        scales = q.scales.reshape(n, 1)
        if self._fmt.scale is ScaleKind.FLOAT32:
            scales = scales.view(np.uint32)
        parts = [scales.astype(np.uint32), q.codes[:, : self._shown].astype(np.uint32)]
        if q.subscales is not None:
            parts.insert(1, q.subscales.reshape(n, -1)[:, : self._n_sub].astype(np.uint32))
        return np.concatenate(parts, axis=1)

    def exact(self, policy: Any, row: int) -> tuple[int, ...]:
        words = [*map(int, self.inputs[0][row]), *[0] * (self._length - self._shown)]
        numbers = [ieee.from_bits(word, "float32") for word in words]
        scale, subscales, codes = exact.quantize(numbers, self._fmt, policy)
        return (scale, *subscales[: self._n_sub], *codes[: self._shown])

    def _is_nan(self, scales: NDArray[Any]) -> NDArray[np.bool_]:
        if self._fmt.scale is ScaleKind.POW2:
            return np.asarray(scales == self._fmt.nan_scale)
        return np.asarray((scales & 0x7FFFFFFF) > _INF)

    def outputs(self, a: NDArray[Any], b: NDArray[Any]) -> dict[str, NDArray[np.bool_]]:
        scale = a[:, 0] != b[:, 0]
        shared, codes = slice(1, 1 + self._n_sub), slice(1 + self._n_sub, None)
        subscales = (a[:, shared] != b[:, shared]).any(axis=1) & ~scale & ~self._is_nan(a[:, 0])
        elements = (a[:, codes] != b[:, codes]).any(axis=1)
        elements &= ~scale & ~subscales & ~self._is_nan(a[:, 0])
        return {"scale": scale, "sub-scales": subscales, "element codes": elements}

    def part(self, output: str, row: Row) -> Row:
        if row is None:
            return None
        return {"scale": row[:1], "sub-scales": row[: 1 + self._n_sub]}.get(output, row)

    def kinds(self, output: str, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:  # noqa: ARG002
        sizes = self.inputs[0] & 0x7FFFFFFF
        amax = sizes.max(axis=1)
        cases = {
            "NaN": (sizes > _INF).any(axis=1),
            "infinity": amax == _INF,
            "block of zeros": amax == 0,
            "subnormal amax": amax < _NORMAL,
            "subnormal beside other numbers": ((sizes > 0) & (sizes < _NORMAL)).any(axis=1),
            "negative zero": (self.inputs[0] == _SIGN).any(axis=1),
        }
        return np.select(list(cases.values()), list(cases), "ordinary numbers")

    def keys(self) -> NDArray[np.int64]:
        return classes.size_keys(self.inputs[0])

    def _used(self, row: int) -> int:
        nonzero = np.flatnonzero(self.inputs[0][row])
        return int(nonzero[-1]) + 1 if nonzero.size else 1

    def given(self, row: int) -> tuple[tuple[int, ...], str]:
        bits = self.inputs[0][row, : self._used(row)]
        return tuple(map(int, bits)), f"[{', '.join(map(float_text, bits))}, 0, ...]"

    def outcome(self, row: int, result: Row) -> Outcome:
        if result is None:
            return Outcome((), "refused")
        used = self._used(row)
        scale, shared = result[0], result[1 : 1 + self._n_sub]
        codes = result[1 + self._n_sub :][:used]
        n_sub = -(-used // self._fmt.k2) if self._n_sub else 0
        number = exact.decode_scale(scale, self._fmt)
        text = f"scale {scale:#x} = {_text(number)}"
        if number.cls is NumberClass.NAN:
            return Outcome(result, text)
        if n_sub:
            text += f", sub-scale{'s' if n_sub > 1 else ''} {' '.join(map(str, shared[:n_sub]))}"
        values = exact.dequantize(scale, shared[:n_sub], codes, self._fmt)
        text += f", codes {' '.join(f'{c:#04x}' for c in codes)}"
        text += f" = {' '.join(map(_text, values))}"
        return Outcome(result, text)
