"""NVFP4 as a search for differences sees it: tensors of one or two blocks with few numbers.

A tensor has an anchor, the largest magnitude of all, in a block before the one that is looked at.
Its numbers lie where a scale or an element changes, and beside those places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mxref import nvfp4
from mxref.differences import _classes as classes
from mxref.differences._probes import Probe, Row
from mxref.differences._result import Outcome
from mxref.exact import ieee
from mxref.exact import nvfp4 as exact
from mxref.relatives.nvfp4_choices import Geometry
from mxref.relatives.nvfp4_format import NVFP4

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["DecodeNVFP4Probe", "NVFP4Probe", "float_text"]

_SIZE = NVFP4.block_size
_NUMBERS = 3  # of a block that may differ from zero
_BELOW = 3  # the same place, in the row below: 16 x 16 blocks share its scale
_INF = 0x7F800000
_NAN, _MINUS_NAN, _NAN_CODE = 0x7FC00000, 0xFFC00000, 0x7F
_LEAST_NORMAL_CODE = 0x08
_TINY = 2.0**-110
_ANCHORS = (
    *(2688.0, 6.0, 1.0, 3.0, 7.0, 1.5, 5.25, 100.0, 0.1, 2.0**-12, 448.0, 1536.0, 1e4),
    *(2.0**-116, 2.0**-117, 1.75 * 2.0**-126, 2.0**-130, 2.0**-149, 2.0**100, 1.75 * 2.0**127),
)
_MIDPOINTS = (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0)
_VALUES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def float_text(bits: int) -> str:
    """Return a float32 for people.

    Examples
    --------
    >>> float_text(0x3F800000), float_text(0xFF800000), float_text(0x7FC00000)
    ('1', '-Inf', 'NaN')
    """
    number = np.array([bits], np.uint32).view(np.float32)[0]
    return str(number).replace("nan", "NaN").replace("inf", "Inf").removesuffix(".0")


def _near(values: NDArray[np.float64], reach: int = 1) -> NDArray[np.float32]:
    """The float32 numbers nearest to these, and their neighbours."""
    with np.errstate(over="ignore", under="ignore"):
        words = np.abs(values).astype(np.float32).view(np.int32)
    steps = np.arange(-reach, reach + 1, dtype=np.int32)
    around = (words[:, None] + steps).reshape(-1)
    return np.unique(np.clip(around, 0, _INF - 1)).view(np.float32)


def _scale_values() -> NDArray[np.float64]:
    return np.array([float(exact.decode_scale(code).value) for code in range(_NAN_CODE)])


def _blocks_below(anchor: float) -> NDArray[np.float32]:
    """Numbers of blocks of a tensor with this anchor; each column a place, the last the row below.

    They lie at the bounds between scale codes and, under three scales, between element codes.
    """
    with np.errstate(over="ignore", under="ignore"):
        unit = anchor / 448
        scales = _scale_values()
        bounds = np.concatenate([scales, (scales[1:] + scales[:-1]) / 2])
        single = _near(bounds * unit, 2)
        rows = [np.stack([single, *[np.zeros_like(single)] * 3], 1)]
        for b in (anchor, anchor * 0.625, anchor * 2.0**-5, anchor * 2.0**-14):
            top = np.float32(b)
            turns = _near(np.array([*_MIDPOINTS, *_VALUES]) * b / 6, 2)
            turns = np.concatenate([turns, -turns, [np.float32(-0.0)]])
            rows.append(_block(top, turns))
            rows.append(_block(-top, turns))
            fine = np.arange(0, 6, 0.25) * b / 6
            first, second = (g.reshape(-1).astype(np.float32) for g in np.meshgrid(fine, fine))
            rows.append(np.stack([np.full_like(first, top), first, second, 0 * first], 1))
        quarter = np.float32(anchor / 4)
        below = np.full_like(single, anchor / 2)
        nothing = np.zeros_like(single)
        rows.append(np.stack([np.minimum(single, quarter), nothing, nothing, below], 1))
        rows.append(np.array([[0, 0, 0, 0], [-0.0, 0, 0, 0]], np.float32))
    found = np.concatenate(rows).astype(np.float32)
    limit = np.float32(anchor)
    return np.asarray(found[np.abs(found).max(axis=1) <= limit])


def _block(top: np.float32, others: NDArray[np.float32]) -> NDArray[np.float32]:
    nothing = np.zeros_like(others)
    return np.stack([np.full_like(others, top), others, nothing, nothing], 1)


def _specials() -> NDArray[np.uint32]:
    """Tensors that hold what is no number, and one of zeros."""
    one, tiny = 0x3F800000, 0x00000001
    odd = [_INF, _INF | 1 << 31, _NAN, _MINUS_NAN]
    rows = [[0, 0, 0, 0, 0], [0, 1 << 31, 0, 0, 0]]
    rows += [[0, word, 0, 0, 0] for word in odd] + [[one, word, 0, 0, 0] for word in odd]
    rows += [[one, word, other, 0, 0] for word in odd for other in (one, tiny, 1 << 31)]
    return np.array(rows, np.uint32)


class NVFP4Probe(Probe):
    """Tensors of a few numbers to a global scale, a scale code and element codes.

    A row of the input has the anchor's bits, those of the first numbers of a block, and those of
    one number in the row below. A row of the result has the bits of the multiplier, the scale code
    and the codes.
    """

    operation = "quantize"
    format = NVFP4.name

    def __init__(self, *, has_tiles: bool) -> None:
        self._has_tiles = has_tiles
        rows = [_specials()]
        for anchor in _ANCHORS:
            below = _blocks_below(anchor)
            first = np.full((len(below), 1), anchor, np.float32)
            rows.append(np.concatenate([first, below], axis=1).view(np.uint32))
        found = np.concatenate(rows)
        if not has_tiles:
            found = found[found[:, 1 + _BELOW] == 0]
        self.inputs = (np.unique(found, axis=0),)

    @property
    def _width(self) -> int:
        return 2 + _NUMBERS

    def _call(self, policy: Any, given: tuple[NDArray[Any], ...]) -> NDArray[Any]:
        rows = given[0]
        results = np.empty((len(rows), self._width), np.uint32)
        is_odd = ((rows & 0x7FFFFFFF) >= _INF).any(axis=1) | (rows[:, 0] == 0)
        for i in np.flatnonzero(is_odd):
            results[i] = self._converted(policy, rows[i : i + 1], None)
        for anchor in np.unique(rows[~is_odd, 0]):
            places = np.flatnonzero(~is_odd & (rows[:, 0] == anchor))
            amax = np.array([anchor], np.uint32).view(np.float32)[0]
            results[places] = self._converted(policy, rows[places], amax)
        return results

    def _converted(
        self, policy: NVFP4Policy, rows: NDArray[np.uint32], amax: np.float32 | None
    ) -> NDArray[np.uint32]:
        """Blocks of one tensor: behind each other, each with as many rows as share a scale."""
        n_rows = _SIZE if self._has_tiles else 1
        n = len(rows)
        x = np.zeros((n_rows, n + 1, _SIZE), np.uint32)
        x[0, 0, 0] = rows[0, 0]  # the anchor's own block
        x[0, 1:, :_NUMBERS] = rows[:, 1 : 1 + _NUMBERS]
        if self._has_tiles:
            x[1, 1:, 0] = rows[:, 1 + _BELOW]
        values = x.view(np.float32).reshape(n_rows, -1)
        q = nvfp4.quantize(values, policy=policy, global_amax=amax)
        g = np.full((n, 1), q.global_scale, np.float32).view(np.uint32)
        codes = q.codes.reshape(n_rows, n + 1, _SIZE)[0, 1:, :_NUMBERS]
        return np.concatenate([g, q.scales[0, 1:, None], codes], axis=1, dtype=np.uint32)

    def exact(self, policy: Any, row: int) -> tuple[int, ...]:
        anchor, *words = (ieee.from_bits(int(w), "float32") for w in self.inputs[0][row])
        zero = ieee.from_bits(0, "float32")
        block = [*words[:_NUMBERS], *[zero] * (_SIZE - _NUMBERS)]
        shared = [*block, words[_BELOW]] if policy.geometry is Geometry.TWO_D else block
        amax = exact.block_amax([anchor, *words], policy)
        scales = exact.global_scales(amax, policy)
        g = ieee.to_bits(scales.decode, "float32")
        if policy.geometry is Geometry.TWO_D:
            tile = [*shared, *[zero] * (_SIZE * _SIZE - len(shared))]
            scale, codes = exact.quantize_block(tile, scales, policy)
        else:
            scale, codes = exact.quantize_block(block, scales, policy)
        return (g, scale, *codes[:_NUMBERS])

    def outputs(self, a: NDArray[Any], b: NDArray[Any]) -> dict[str, NDArray[np.bool_]]:
        g, scale = a[:, 0] != b[:, 0], a[:, 1] != b[:, 1]
        codes = (a[:, 2:] != b[:, 2:]).any(axis=1) & ~scale & (a[:, 1] != _NAN_CODE)
        return {"global scale": g, "scale code": scale, "element codes": codes}

    def part(self, output: str, row: Row) -> Row:
        if row is None:
            return None
        return {"global scale": row[:1], "scale code": row[1:2]}.get(output, row[1:])

    def kinds(self, output: str, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:  # noqa: ARG002
        rows = self.inputs[0]
        sizes = rows & 0x7FFFFFFF
        amax = sizes.max(axis=1)
        cases = {
            "NaN": (sizes > _INF).any(axis=1),
            "infinity": amax == _INF,
            "tensor of zeros": amax == 0,
            "tiny tensor": amax.view(np.float32) < _TINY,
            "block of zeros": (sizes[:, 1 : 1 + _NUMBERS] == 0).all(axis=1),
            "subnormal scale": np.minimum(a[:, 1], b[:, 1]) < _LEAST_NORMAL_CODE,
            "a number in the row below": rows[:, 1 + _BELOW] != 0,
        }
        return np.select(list(cases.values()), list(cases), "ordinary numbers")

    def keys(self) -> NDArray[np.int64]:
        rows = self.inputs[0]
        needed = rows.copy()
        needed[self._is_anchor_inside(rows), 0] = 0
        keys = classes.size_keys(needed)
        largest = (rows & 0x7FFFFFFF).max(axis=1).view(np.float32)
        keys[:, 0] |= largest < _TINY  # whose global scale is subnormal, or out of range
        return keys

    def _is_anchor_inside(self, rows: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Whether the block itself has the largest magnitude, and the anchor nothing to say."""
        inside: NDArray[np.bool_] = (rows[:, 1:] & 0x7FFFFFFF).max(axis=1) >= rows[:, 0]
        return inside & ((rows[:, 1:] & 0x7FFFFFFF) < _INF).all(axis=1)

    def given(self, row: int) -> tuple[tuple[int, ...], str]:
        words = self.inputs[0][row]
        anchor, numbers, below = words[0], words[1 : 1 + _NUMBERS], words[1 + _BELOW]
        nonzero = np.flatnonzero(numbers)
        used = numbers[: int(nonzero[-1]) + 1 if nonzero.size else 1]
        text = f"[{', '.join(float_text(w) for w in used)}, 0, ...]"
        if below:
            text += f" above [{float_text(below)}, 0, ...]"
        if anchor and not self._is_anchor_inside(words[None])[0]:
            text += f" behind a block [{float_text(anchor)}, 0, ...]"
        return tuple(map(int, words)), text

    def outcome(self, row: int, result: Row) -> Outcome:
        assert result is not None  # noqa: S101  # no recipe refuses float32
        nonzero = np.flatnonzero(self.inputs[0][row, 1 : 1 + _NUMBERS])
        g, scale, *codes = result[: 3 + (int(nonzero[-1]) if nonzero.size else 0)]
        text = f"global scale {float_text(g)}, scale {scale:#04x} = {exact.decode_scale(scale)}"
        text += f", {'code' if len(codes) == 1 else 'codes'} {' '.join(f'0x{c:x}' for c in codes)}"
        if scale != _NAN_CODE:
            text += f" = {' '.join(str(exact.decode_element(c)) for c in codes)}"
        return Outcome(result, text.replace("nan", "NaN"))


class DecodeNVFP4Probe(Probe):
    """A code, a scale code and a multiplier to a float32."""

    operation = "dequantize"
    format = NVFP4.name

    def __init__(self) -> None:
        multipliers = np.array([1, 1 / 2688, 0.1, 1e-40, 3e38, 1.1], np.float32).view(np.uint32)
        grid = np.meshgrid(multipliers, np.arange(256), np.arange(16), indexing="ij")
        g, scale, code = (part.reshape(-1).astype(np.uint32) for part in grid)
        self.inputs = (g, scale, code)

    @property
    def _width(self) -> int:
        return 1

    def _call(self, policy: Any, given: tuple[NDArray[Any], ...]) -> NDArray[Any]:
        g, scales, codes = given
        values = np.empty((len(g), 1), np.uint32)
        for multiplier in np.unique(g):
            places = np.flatnonzero(g == multiplier)
            blocks = np.repeat(codes[places].astype(np.uint8)[:, None], _SIZE, axis=1)
            of = scales[places].astype(np.uint8)[:, None]
            factor = np.array([multiplier], np.uint32).view(np.float32)[0]
            decoded = nvfp4.dequantize(blocks, of, factor, policy=policy)
            values[places, 0] = decoded.view(np.uint32)[:, 0]
        return np.where((values & 0x7FFFFFFF) > _INF, np.uint32(_NAN), values)

    def exact(self, policy: Any, row: int) -> tuple[int, ...]:
        g, scale, code = (int(part[row]) for part in self.inputs)
        found = exact.value(code, scale, ieee.from_bits(g, "float32"), policy)
        bits = ieee.to_bits(found, "float32")
        return (_NAN if bits & 0x7FFFFFFF > _INF else bits,)

    def outputs(self, a: NDArray[Any], b: NDArray[Any]) -> dict[str, NDArray[np.bool_]]:
        return {"value": (a != b).any(axis=1)}

    def kinds(self, output: str, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:  # noqa: ARG002
        cases = {"scale code with the top bit": self.inputs[1] > _NAN_CODE}
        return np.select(list(cases.values()), list(cases), "value")

    def keys(self) -> NDArray[np.int64]:
        g, scale, code = (part.astype(np.int64) for part in self.inputs)
        bits = classes.size_keys(self.inputs[0][:, None])
        return np.concatenate([bits, scale[:, None], (code - 2 & 15)[:, None], g[:, None]], axis=1)

    def given(self, row: int) -> tuple[tuple[int, ...], str]:
        g, scale, code = (int(part[row]) for part in self.inputs)
        text = f"code 0x{code:x}, scale {scale:#04x}, global scale {float_text(g)}"
        return (g, scale, code), text

    def outcome(self, row: int, result: Row) -> Outcome:  # noqa: ARG002
        assert result is not None  # noqa: S101  # every code decodes
        return Outcome(result, f"{result[0]:#010x} = {float_text(result[0])}")
