"""Check of a BDR decoder's output: values for given codes, scales and sub-scales."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref._policy_base import Choices
from mxref.check._witness import bits_of, number
from mxref.check.bdr._data import Data, scales_of, subscales_of
from mxref.check.bdr._stages import BDRStage, code_text
from mxref.check.parts import Gap, Witness
from mxref.check.relatives import (
    Hypothesis,
    Judged,
    Piece,
    assemble,
    composed,
    empty_report,
    explain,
)
from mxref.check.report import Report
from mxref.faults.bdr_decode import DECODE_FAULTS, DecoderFault, decoder_of
from mxref.relatives.bdr_format import BDRFormat, ScaleKind
from mxref.relatives.bdr_formats import bdr_format
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.bdr_profiles import get_bdr_policy

__all__ = ["dequantize"]


def dequantize(
    codes: ArrayLike,
    scales: ArrayLike,
    y: ArrayLike,
    format: str | BDRFormat,  # noqa: A002
    axis: int = -1,
    policy: BDRPolicy | str | None = None,
    *,
    subscales: ArrayLike | None = None,
) -> Report:
    """Judge decoded values of a BDR format, and name what is wrong.

    Parameters
    ----------
    codes, scales, subscales : array_like
        What was decoded: one code in each byte in the shape of `y`, one scale for each k1 of them
        along `axis`, and one sub-scale for each k2 where the format has a second level.
    y : array_like of float32, float64, float16 or ml_dtypes.bfloat16
        The values. Types other than float32 are held against the value rounded to them.
    format : str or BDRFormat
    axis : int
    policy : BDRPolicy or str, optional
        Decoding leaves nothing open: it is only checked, and shown in the report.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> codes, shifts = np.full(16, 0x7F, np.uint8), np.arange(8, dtype=np.uint8) % 2
    >>> y = np.full(16, 127 / 64, np.float32)  # the shift was left out
    >>> report = dequantize(codes, np.array([127], np.uint8), y, "mx9", subscales=shifts)
    >>> str(report.verdict), report.findings[0].id, report.findings[0].detail
    ('defect', 'D18', 'not at all')
    """
    fmt = bdr_format(format)
    data = Data(y, codes, scales, subscales, fmt, axis)
    asked = None if policy is None else get_bdr_policy(policy)
    if not data.size:
        return empty_report("dequantize", fmt.name, asked)
    base = asked if asked is not None else get_bdr_policy(None)
    stage = _ValueStage(data)

    def single(_: Any) -> Iterator[Hypothesis]:
        return (Hypothesis(base, (fault,)) for fault in DECODE_FAULTS if fault.fits(fmt))

    answer = explain(stage, base, (single, composed(lambda a, b: bool(a.id != b.id))))
    judged = Judged("dequantize", fmt.name, stage.blocks, base, asked, 0)
    return assemble(judged, [answer], gaps=lambda report: _gaps(stage, base, report))


class _ValueStage(BDRStage):
    """Values, given everything that is stored."""

    what = "value"

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.is_lanes = data.fmt.k1 is None
        self.blocks = data.lanes if self.is_lanes else data.blocks

    def given(self, piece: Piece) -> NDArray[Any]:
        """Emitted values."""
        return piece.x

    def make(self, policy: Choices, faults: tuple[Any, ...], piece: Piece) -> NDArray[Any]:
        """Values of a hypothesis, in the type of what was emitted."""
        del policy
        found = _decoded(self.fmt, faults, piece)
        with np.errstate(all="ignore"):
            return found.astype(piece.x.dtype, copy=False)

    def differs(self, due: NDArray[Any], piece: Piece) -> NDArray[np.bool_]:
        """Where values differ; every NaN is one, and the zeros are two."""
        given = piece.x
        with np.errstate(invalid="ignore"):
            differs = (due != given) & ~((due != due) & (given != given))  # noqa: PLR0124  # NaN
            signs = np.signbit(due.astype(np.float32)) != np.signbit(given.astype(np.float32))
        return np.asarray(differs | (signs & (given == 0) & (due == 0)))

    def witness(self, row: int, lane: int, due: Any) -> Witness:
        """Show one value."""
        piece = self.blocks.take(np.array([row]))
        got, code = piece.x[0, lane], int(piece.codes[0, lane])
        shared = self.scale_text(scales_of(piece)[0])
        subscales = subscales_of(piece)
        if subscales is not None:
            sub = int(subscales[0, lane // self.fmt.k2])
            shared += f" and 2^-{sub}" if self.fmt.max_shift else f" and {sub}"
        index = (
            self.data.element_index(row, lane)
            if self.is_lanes
            else self.blocks.element_index(row, lane)
        )
        texts = bits_of(got), number(got), bits_of(due), number(due)
        return Witness(index, "value", *code_text(code, self.fmt), shared, *texts)


def _decoded(fmt: BDRFormat, faults: tuple[DecoderFault, ...], piece: Piece) -> NDArray[Any]:
    subscales = subscales_of(piece)
    return decoder_of(fmt, faults).decode(scales_of(piece), subscales, piece.codes)


def _gaps(stage: _ValueStage, base: BDRPolicy, report: Report) -> tuple[Gap, ...]:
    """What the stored data cannot show: faults that give all values, by the codes they need."""
    fmt, found = stage.fmt, {finding.id for finding in report.findings}
    hidden = {
        fault.id
        for fault in DECODE_FAULTS
        if fault.fits(fmt)
        and fault.id not in found
        and not any(
            (stage.make(base, (fault,), piece) != stage.make(base, (), piece)).any()
            for piece in stage.blocks.pieces()
        )
    }
    gaps = []
    for ids, what, needs in _NEEDS:
        seen = tuple(i for i in ids if i in hidden)
        if seen and (fmt.scale is ScaleKind.POW2 or "scale code" not in what):
            gaps.append(Gap(what, seen, needs))
    return tuple(gaps)


_NEEDS = (
    (("D9",), "scale code 0", "add a block of scale code 0x00 with an element that is not zero"),
    (("D10",), "scale code 255", "add a block of scale code 0xff"),
    (("D11",), "scale code 254", "add a block of scale code 0xfe"),
    (("D12",), "small and large scale codes", "add blocks of the scale codes 0x60 and 0xa0"),
    (("D8",), "results below 2^-126", "add a block of scale code 0x00 with code 0x01"),
    (("D18",), "sub-scales of different size", "add a block in which one sub-scale alone is set"),
    (("D6", "D19", "D7"), "negative codes", "add the negative of every code, and -0"),
    (("D20",), "codes without the leading bit", "add the code 0x01"),
)
