"""Whether a stored tensor is as declared: unpacked and compared in pieces that stay in the cache.

Most checks pass. One that does costs little more than the conversion itself, and no copy of the
tensor; only where something differs does the search begin.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref import arrays
from mxref.check._compare import Comparison, compare, same_bits
from mxref.check._problem import Problem
from mxref.check.dequantize import pins_nan_bits
from mxref.check.tensor._data import Bytes, MisfitError, Stored
from mxref.check.tensor._dictionary import Indices, ScaleOrder
from mxref.check.tensor._report import Task
from mxref.check.tensor._search import Trial
from mxref.mxarray import MXArray
from mxref.policy import Policy

__all__ = ["Outcome", "ScalePlane", "Seen", "look"]

# Elements of a piece: below the size from which a kernel takes several threads. Kernel and
# comparison take turns, and a second thread that others keep from its core is waited for each time:
# larger pieces took 2 to 40 times as long on two busy cores. These also stay in the L2 cache.
_SLAB = (1 << 16) - 1
_NIBBLES = 0x0F0F


class Outcome(enum.Enum):
    """What a first look at all data says."""

    SAME = "nothing differs with an effect"
    REFUSED = "nothing differs, but the policy refuses the input"
    DIFFERENT = "something differs"


class Seen(NamedTuple):
    """The outcome, and how much differs without an effect."""

    outcome: Outcome
    silent: Comparison


class _Window(NamedTuple):
    """A piece of a tensor: rows and columns of elements, and of the scale plane."""

    rows: slice
    columns: slice
    scale_rows: slice
    scale_columns: slice


def look(task: Task, trials: Sequence[Trial]) -> Seen:
    """Compare all trials, read as declared, with what the policy asks for; stop where they differ.

    Raises
    ------
    MisfitError
        If a code that is not compared is none of the format.
    """
    silent = Comparison()
    is_refused = False
    for trial in trials:
        if task.op == "dequantize_tensor":
            if not _values_agree(task, trial):
                return Seen(Outcome.DIFFERENT, silent)
            continue
        quantizer = _Quantizer(task, trial, silent)
        if not quantizer.agrees():
            return Seen(Outcome.DIFFERENT, silent)
        is_refused = is_refused or quantizer.is_refused
    return Seen(Outcome.REFUSED if is_refused else Outcome.SAME, silent)


def _windows(stored: Stored) -> Iterator[_Window]:
    """Cut a tensor into pieces of whole blocks, row by row of the scale plane."""
    plane, k = stored.plane(), stored.k
    limit = max(1, _SLAB // k // 2 * 2)  # even: packed columns are cut between bytes
    for index in inputs.slabs(plane.shape, limit):
        first, last = index[0], index[1] if len(index) > 1 else slice(0, plane.shape[1])
        down = first if isinstance(first, slice) else slice(first, first + 1)
        across = last if isinstance(last, slice) else slice(last, last + 1)
        if plane.axis == 1:
            end = min(across.stop * k, stored.shape[1])
            yield _Window(down, slice(across.start * k, end), down, across)
        else:
            end = min(down.stop * k, stored.shape[0])
            yield _Window(slice(down.start * k, end), across, down, across)


# --- taking pieces out ------------------------------------------------------------------------


class ScalePlane:
    """The scale codes of a stored tensor, taken out piece by piece.

    The address of every order that can be declared is the sum of a part for the line and one for
    the block, so that a piece costs one addition and one look-up a scale.
    """

    def __init__(self, stored: Stored, order: ScaleOrder) -> None:
        plane = stored.plane()
        self._bytes = stored.scales
        of_line = order.address(np.arange(plane.lines), np.zeros(1, np.int64), plane)
        of_block = order.address(np.zeros(1, np.int64), np.arange(plane.blocks), plane)
        parts = (of_line, of_block) if plane.axis == 1 else (of_block, of_line)
        self._down, self._across = parts[0][:, None], parts[1][None, :]

    def addresses(self, rows: slice, columns: slice) -> Indices:
        """Where the scale codes of a piece lie, in the shape of the plane."""
        return np.asarray(self._down[rows] + self._across[:, columns], np.int64)

    def take(self, rows: slice, columns: slice) -> Bytes:
        """The scale codes of a piece."""
        return self._bytes[self.addresses(rows, columns)]


def _unpacked(data: Bytes, *, is_swapped: bool) -> Bytes:
    """Codes of packed bytes; as words, since that takes one instruction for many bytes."""
    wide = data.astype("<u2")
    spread = wide >> 4 | wide << 8 if is_swapped else wide | wide << 4
    spread &= _NIBBLES
    return spread.view(np.uint8)


def _repacked(codes: Bytes, *, is_swapped: bool) -> Bytes:
    """Packed bytes of an even number of codes."""
    pairs = codes.reshape(-1).view("<u2")
    both = pairs << 4 | pairs >> 8 if is_swapped else pairs | pairs >> 4
    return both.astype(np.uint8)


class _Elements:
    """The element codes of a stored tensor, taken out piece by piece."""

    def __init__(self, stored: Stored, *, is_swapped: bool) -> None:
        self._stored, self._is_swapped = stored, is_swapped
        self._per_byte = 2 if stored.has_nibbles else 1
        rows, columns = stored.shape
        self._grid: Bytes | None = None  # a row may end within a byte
        if columns % self._per_byte == 0:
            width = columns // self._per_byte
            self._grid = stored.elements[: rows * width].reshape(rows, width)

    def are(self, codes: Bytes, window: _Window) -> bool:
        """Whether a piece holds some codes; a packed one is compared as it is."""
        part = self._part(window)
        if part is None:
            return same_bits(codes, self.take(window))
        if self._stored.has_nibbles:
            codes = _repacked(codes, is_swapped=self._is_swapped).reshape(part.shape)
        return same_bits(codes, part)

    def take(self, window: _Window) -> Bytes:
        """The codes of a piece, in its shape."""
        part, width = self._part(window), window.columns.stop - window.columns.start
        if part is None:
            pitch, first = self._stored.shape[1], window.columns.start
            starts = [row * pitch + first for row in range(window.rows.start, window.rows.stop)]
            return np.stack([self._run(start, start + width) for start in starts])
        if not self._stored.has_nibbles:
            return part
        return _unpacked(part, is_swapped=self._is_swapped).reshape(-1, width)

    def _part(self, window: _Window) -> Bytes | None:
        """The bytes of a piece; None where it begins or ends within one."""
        first, last = window.columns.start, window.columns.stop
        if self._grid is None or first % self._per_byte or last % self._per_byte:
            return None
        return self._grid[window.rows, first // self._per_byte : last // self._per_byte]

    def _run(self, start: int, stop: int) -> Bytes:
        """Codes of one row out of bytes of two."""
        data = self._stored.elements[start // 2 : -(-stop // 2)]
        return _unpacked(data, is_swapped=self._is_swapped)[start % 2 :][: stop - start]


# --- comparison -------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Quantizer:
    """One tensor that was quantized, on its way through the comparison."""

    task: Task
    trial: Trial
    silent: Comparison
    is_refused: bool = False
    _buffer: MXArray | None = field(default=None, init=False)
    _lax: Policy = field(init=False)
    _strict: Policy | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Prepare the policies: what is refused is found out beside what is expected."""
        asked, base = self.task.asked, self.task.base
        self._lax = base.replace(block_tail="zero-pad")
        if asked is not None and asked != base:
            self._strict = asked.replace(block_tail="zero-pad")

    def agrees(self) -> bool:
        """Whether nothing differs with an effect; counts what differs without."""
        stored, declared = self.trial.stored, self.task.declared
        elements = _Elements(stored, is_swapped=declared.elements.is_swapped)
        scales = ScalePlane(stored, declared.scales)
        for window in _windows(stored):
            x = self.trial.numbers[window.rows, window.columns]
            ours = self._expected(x)
            given = scales.take(window.scale_rows, window.scale_columns)
            if same_bits(ours.scales, given) and elements.are(ours.codes, window):
                continue
            if not self._has_no_effect(x, elements.take(window), given):
                return False
        return True

    def _expected(self, x: NDArray[Any]) -> MXArray:
        task, axis = self.task, self.trial.stored.axis
        if self._buffer is not None and self._buffer.codes.shape != x.shape:
            self._buffer = None  # the last piece may be smaller
        if self._strict is not None and not self.is_refused:
            try:
                arrays.quantize(x, task.fmt, axis, self._strict)
            except ValueError:
                self.is_refused = True
        # Into the same memory each time: it stays in the cache.
        self._buffer = arrays.quantize(x, task.fmt, axis, self._lax, out=self._buffer)
        return self._buffer

    def _has_no_effect(self, x: NDArray[Any], codes: Bytes, scales: Bytes) -> bool:
        fmt = self.task.fmt
        problem = Problem(x, codes, scales, fmt, self.trial.stored.axis)
        seen = compare(problem, self.task.base)
        self.silent.silent_scales += seen.silent_scales
        self.silent.silent_codes += seen.silent_codes
        if not seen.clean:
            return False
        try:  # codes without an effect must be codes all the same
            inputs.check_range(codes, fmt.element.code_count, fmt.element.name)
        except ValueError as error:
            raise MisfitError(str(error)) from None
        return True


def _values_agree(task: Task, trial: Trial) -> bool:
    """Whether decoded values are those of the stored codes; which NaN it is may not count."""
    stored, declared = trial.stored, task.declared
    elements = _Elements(stored, is_swapped=declared.elements.is_swapped)
    scales = ScalePlane(stored, declared.scales)
    nan_bits = pins_nan_bits(task.asked)
    buffer: NDArray[np.float32] | None = None
    for window in _windows(stored):
        given = trial.numbers[window.rows, window.columns]
        codes = elements.take(window)
        shared = scales.take(window.scale_rows, window.scale_columns)
        if buffer is None or buffer.shape != given.shape:
            buffer = np.empty(given.shape, np.float32)
        whole = MXArray.trusted(codes, shared, task.fmt, stored.axis, task.base)
        ours = whole.dequantize(buffer).view(np.uint32)
        bits = given.view(np.uint32)
        if same_bits(ours, bits):
            continue
        if nan_bits or not ((ours == bits) | (np.isnan(buffer) & np.isnan(given))).all():
            return False
    return True
