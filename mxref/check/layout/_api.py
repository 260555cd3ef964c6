"""`check.layout`: drives a packer with probes, or reads what it wrote for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check._call import Caller
from mxref.check.layout._elements import packings_of
from mxref.check.layout._name import Buffers, Claim, findings_of, mapped_parts, named_parts
from mxref.check.layout._report import LayoutPart, LayoutReport
from mxref.check.parts import Verdict
from mxref.check.target import TargetError
from mxref.check.targets.foreign import as_numpy
from mxref.check.tensor._dictionary import scale_order
from mxref.formats import BlockFormat, block_format
from mxref.layouts.packings import find_packing
from mxref.layouts.probe import probe, probe_count
from mxref.layouts.records import find_record
from mxref.mxarray import MXArray

__all__ = ["layout"]

_SIGNATURE = "fn(codes: uint8 (rows, columns), scales: uint8) -> elements, scales; or one array"
_FIRST = 2  # probes that a known layout is held against; the second rules out accidents


def layout(
    written: Any,
    format: str | BlockFormat,  # noqa: A002  # the field's word
    shape: tuple[int, int],
    axis: int = -1,
    *,
    packing: str | None = None,
    scale_layout: str | None = None,
    record: str | None = None,
) -> LayoutReport:
    """Name the layout in which somebody's packer stores codes and scale codes.

    Parameters
    ----------
    written : callable, or what it returns, or a list of that
        A function of codes and scale codes (both uint8, in their logical shapes) that returns the
        pair of stored elements and stored scales, or one array that holds both, or one of them.
        Or what it wrote for ``mxref.layouts.probe(format, shape, axis)``; or a list of what it
        wrote for all of ``mxref.layouts.probes(format, shape, axis)``, which maps a layout that
        nobody knows. Arrays of any type are taken as the bytes that they are.
    format : str or BlockFormat
    shape : (int, int)
        Rows and columns. Layouts that differ only beyond one tile need more than one: (301, 672)
        tells all known ones apart.
    axis : int
        Blocked axis.
    packing, scale_layout, record : str, optional
        What it is said to be, as in `mxref.layouts`.

    Returns
    -------
    LayoutReport

    Raises
    ------
    TargetError
        If the function raises, or returns something else.
    ValueError, TypeError
        If a name does not exist, or arrays are of no use.

    Notes
    -----
    OP-PACKING and OP-SCALE-LAYOUT: no layout is wrong by itself. One that only mistakes give is
    called a defect, as is one that was claimed and is not there.

    Examples
    --------
    >>> import numpy as np
    >>> def pack(codes, scales):
    ...     return codes[:, 1::2] | codes[:, ::2] << 4, scales.T
    >>> report = layout(pack, "mxfp4", (64, 96))
    >>> str(report.verdict), report.packing, report.scale_layout
    ('conforms-as', 'nibbles-high-first', 'column-major')
    >>> [f.id for f in layout(pack, "mxfp4", (64, 96), packing="nibbles-low-first").findings]
    ['L1']
    """
    fmt = block_format(format)
    sides = _two(shape)
    claim = Claim(packing, scale_layout, record)
    _require_names(claim, fmt)
    first = probe(fmt, sides, axis)
    if not first.size:
        return LayoutReport(Verdict.NOT_TESTABLE, fmt.name, sides, first.axis, (), (), 0)
    if callable(written):
        return _driven(Caller(written, _SIGNATURE), first, claim)
    given = _given(written, first)
    probes = [probe(fmt, sides, axis, number=i) for i in range(len(given))]
    return _judged(probes, given, claim)


def _two(shape: Any) -> tuple[int, int]:
    sides = tuple(int(n) for n in np.atleast_1d(np.asarray(shape)))
    if len(sides) != 2:
        raise ValueError(f"shape is {shape!r}; expected rows and columns, such as (301, 672)")
    return sides


def _require_names(claim: Claim, fmt: BlockFormat) -> None:
    if claim.packing is not None and find_packing(claim.packing) not in packings_of(fmt):
        names = [packing.name for packing in packings_of(fmt)]
        raise ValueError(
            f"packing {claim.packing!r} does not hold the {fmt.element.bits}-bit codes of "
            f"{fmt.name}; these do: {', '.join(names)}"
        )
    if claim.scale_layout is not None:
        scale_order(claim.scale_layout)
    if claim.record is not None:
        find_record(claim.record)
        if claim.packing or claim.scale_layout:
            raise ValueError(
                "a record holds codes and scales: claim it, or packing and scale_layout"
            )


# --- what was written -------------------------------------------------------------------------


def _driven(call: Caller, first: MXArray, claim: Claim) -> LayoutReport:
    fmt, shape, axis = first.format, first.shape, first.axis
    probes, buffers = [], []
    report: LayoutReport | None = None
    for number in range(probe_count(fmt, shape, axis)):
        q = first if number == 0 else probe(fmt, shape, axis, number=number)
        probes.append(q)
        buffers.append(_buffers(call(q.codes, q.scales)))
        _require_sizes(buffers)
        if number + 1 == _FIRST:
            report = _judged(probes, buffers, claim)
            if report.verdict != Verdict.UNEXPLAINED:
                return report
    return _judged(probes, buffers, claim)


def _given(written: Any, first: MXArray) -> list[Buffers]:
    if not isinstance(written, list):
        return [_buffers(written)]
    if not written:
        raise ValueError(
            "there is nothing in the list of what was written: give one output for each probe"
        )
    wanted = probe_count(first.format, first.shape, first.axis)
    if len(written) > wanted:
        raise ValueError(
            f"there are {len(written)} outputs, but only {wanted} probes of this format and shape"
        )
    buffers = [_buffers(one) for one in written]
    _require_sizes(buffers)
    return buffers


def _buffers(result: Any) -> Buffers:
    if result is None:
        raise TargetError(f"the target returned None; it is called as {_SIGNATURE}", "garbage")
    if hasattr(result, "codes") and hasattr(result, "scales"):
        result = (result.codes, result.scales)
    if isinstance(result, tuple | list):
        if len(result) != 2:
            raise TargetError(
                f"the target returned {len(result)} things; expected elements and scales, or one "
                f"array",
                "garbage",
            )
        pair = [
            None if value is None else _bytes(value, what)
            for value, what in zip(result, ("elements", "scales"), strict=True)
        ]
        if any(part is not None for part in pair):
            return Buffers(pair[0], pair[1], None)
        raise TargetError("the target returned neither elements nor scales", "garbage")
    return Buffers(None, None, _bytes(result, "output"))


def _bytes(value: Any, what: str) -> NDArray[np.uint8]:
    array = as_numpy(value, what)
    if array.dtype.kind not in "uiV" and array.dtype.itemsize > 1:
        raise TargetError(
            f"the {what} have dtype {array.dtype}; expected bytes, or words of them: codes, not "
            f"values",
            "garbage",
        )
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _require_sizes(buffers: Sequence[Buffers]) -> None:
    sizes = {tuple(None if a is None else a.size for a in one) for one in buffers}
    if len(sizes) > 1:
        raise TargetError("the target returned buffers of different sizes for inputs of one shape")


# --- verdicts ---------------------------------------------------------------------------------


def _judged(probes: Sequence[MXArray], buffers: Sequence[Buffers], claim: Claim) -> LayoutReport:
    first = probes[0]
    fmt = first.format
    shape = (first.shape[0], first.shape[1])
    parts = named_parts(probes, buffers, fmt, claim)
    if len(probes) == probe_count(fmt, shape, first.axis):
        parts = mapped_parts(parts, probes, buffers, fmt, claim)
    findings = findings_of(parts, claim)
    verdict = _verdict(parts, has_findings=bool(findings), is_claimed=bool(claim))
    return LayoutReport(verdict, fmt.name, shape, first.axis, tuple(parts), findings, len(probes))


def _verdict(parts: Sequence[LayoutPart], *, has_findings: bool, is_claimed: bool) -> Verdict:
    if not all(part.name for part in parts):
        return Verdict.UNEXPLAINED
    if has_findings:
        return Verdict.DEFECT
    return Verdict.CONFORMS if is_claimed else Verdict.CONFORMS_AS
