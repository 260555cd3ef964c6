"""What a check of a checkpoint answers: each tensor, and the whole."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mxref._shown import Shown
from mxref.check.parts import Finding, Place, Verdict, Witness
from mxref.check.report import DefectError

__all__ = ["CheckpointReport", "Fault", "TensorReport"]

_SERIOUS = (
    Verdict.UNEXPLAINED,
    Verdict.DEFECT,
    Verdict.NOT_TESTABLE,
    Verdict.CONFORMS_AS,
    Verdict.CONFORMS,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a tensor is not what its nearest policy makes of the source.

    Attributes
    ----------
    blocks, scales, elements : int
        Blocks that differ with an effect; scale codes; elements, judged under the given scale.
    rows : tuple of (int, int)
        Runs of rows that hold such blocks, the end excluded; all axes but the last are flattened.
        At most 1000.
    first : Witness or None
        The first one, in logical coordinates.
    file : str
    offset : int or None
        The byte of that file that holds the first differing code; None where it can't be told.
    """

    blocks: int
    scales: int
    elements: int
    rows: tuple[tuple[int, int], ...] = ()
    first: Witness | None = None
    file: str = ""
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class TensorReport:
    """The answer for one quantized tensor.

    Attributes
    ----------
    name, source : str
        Its name, and that of the tensor which it was made from.
    format, layout : str
    shape : tuple of int
    verdict : Verdict
    policies : tuple of str
        Every published policy that gives all bits, shortest name first; where none does, empty.
    nearest : str
        The policy that gives most of them.
    findings : tuple of Finding
        What is wrong, or chosen in another way than was asked for.
    fault : Fault or None
        Where `nearest` does not hold.
    elements, blocks : int
    qsnr : float or None
        Signal to noise in dB: infinite without any error, None for a tensor of zeros. This and all
        counts are of the file as it is stored, read as its layout says.
    saturated, flushed : float
        Shares of the elements: beyond the largest value of their block; not zero, but became zero.
    nan_scales, zero_blocks : int
        Blocks whose scale is NaN, and blocks of zeros.
    nonfinite : int
        NaN and infinities of the source.
    assumed : str
        What had to be assumed of the source, such as that it was rounded to bfloat16 first.
    recognised : tuple of str
        How it was told what it is, and where its source was found.
    notes : tuple of str
        What is odd about it, or why it was not judged.
    places : tuple of Place
        What mismatches without a cause have in common.
    transposed : bool
        Whether the source was read with its last two axes exchanged.
    repair : str
        What has to be done to the codes before `policies` give them, such as ``"the two codes of
        each byte are exchanged back"``.
    qsnr_repaired : float or None
        The `qsnr` once that is done; None where nothing has to be.
    policy_defects : tuple of str
        Findings that belong to the first of `policies`: whoever claims it accepts them.
    policy_defect_blocks : int
        Blocks in which they show.
    """

    name: str
    source: str
    format: str
    layout: str
    shape: tuple[int, ...]
    verdict: Verdict
    policies: tuple[str, ...] = ()
    nearest: str = ""
    findings: tuple[Finding, ...] = ()
    fault: Fault | None = None
    elements: int = 0
    blocks: int = 0
    qsnr: float | None = None
    saturated: float = 0.0
    flushed: float = 0.0
    nan_scales: int = 0
    zero_blocks: int = 0
    nonfinite: int = 0
    assumed: str = ""
    recognised: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    transposed: bool = False
    repair: str = ""
    qsnr_repaired: float | None = None
    policy_defects: tuple[str, ...] = ()
    policy_defect_blocks: int = 0

    @property
    def policy(self) -> str:
        """The shortest name of what made it, or empty."""
        return self.policies[0] if self.policies else ""


@dataclass(frozen=True, slots=True, repr=False)
class CheckpointReport(Shown):
    """The answer for a whole checkpoint.

    Attributes
    ----------
    quantized, source : str
        Paths.
    asked : str or None
        The policy that was claimed.
    tensors : tuple of TensorReport
        In the order of the file.
    notes : tuple of str
        What was not checked, and why.
    seconds : float
    source_bytes : int
        Bytes of source weights that were compared.
    """

    quantized: str
    source: str
    asked: str | None
    tensors: tuple[TensorReport, ...]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    source_bytes: int = 0

    @property
    def verdict(self) -> Verdict:
        """The most serious one of all tensors."""
        if not self.tensors:
            return Verdict.NOT_TESTABLE
        return min((t.verdict for t in self.tensors), key=_SERIOUS.index)

    @property
    def policies(self) -> dict[str, tuple[str, ...]]:
        """For each format the policies that give every bit of every tensor of it."""
        found: dict[str, tuple[str, ...]] = {}
        for tensor in self.tensors:
            before = found.get(tensor.format, tensor.policies)
            found[tensor.format] = tuple(n for n in before if n in tensor.policies)
        return found

    @property
    def odd_ones(self) -> tuple[str, ...]:
        """Tensors that do not follow the policy which most tensors of their format follow.

        Empty where a single policy explains each format.
        """
        return tuple(
            tensor.name
            for format_name, shared in self.policies.items()
            if not shared
            for tensor in self.of_format(format_name)
            if tensor.policies and self.usual(format_name) not in tensor.policies
        )

    def of_format(self, name: str) -> tuple[TensorReport, ...]:
        """The tensors of a format."""
        return tuple(t for t in self.tensors if t.format == name)

    def usual(self, format_name: str) -> str:
        """The policy that explains most tensors of a format; empty where none explains any."""
        counts: dict[str, int] = {}
        for tensor in self.of_format(format_name):
            for name in tensor.policies:
                counts[name] = counts.get(name, 0) + 1
        return max(counts, key=lambda name: counts[name], default="")

    @property
    def ok(self) -> bool:
        """Whether the caller may be content.

        Every tensor follows what was asked for; or, if nothing was, all tensors of a format follow
        one legal policy.
        """
        if self.asked is not None:
            return self.verdict is Verdict.CONFORMS
        legal = self.verdict in (Verdict.CONFORMS, Verdict.CONFORMS_AS)
        return legal and not self.odd_ones

    @property
    def exit_code(self) -> int:
        """0: `ok`; 1: not; 2: nothing, or not everything, could be tested, and nothing is wrong."""
        if self.verdict is Verdict.NOT_TESTABLE:
            return 2
        return 0 if self.ok else 1

    def raise_for_defects(self) -> None:
        """Raise `DefectError` with the report as its message unless `ok`."""
        if not self.ok:
            raise DefectError("\n" + str(self))

    def __str__(self) -> str:
        """Return the report in 80 columns."""
        from mxref.check.checkpoint._text import as_text

        return as_text(self)

    def to_json(self) -> str:
        """Return the report as a JSON object."""
        document = {
            "op": "checkpoint",
            "quantized": self.quantized,
            "source": self.source,
            "verdict": str(self.verdict),
            "ok": self.ok,
            "asked": self.asked,
            "policies": {name: list(found) for name, found in self.policies.items()},
            "odd_ones": list(self.odd_ones),
            "seconds": round(self.seconds, 3),
            "source_bytes": self.source_bytes,
            "notes": list(self.notes),
            "tensors": [_document(tensor) for tensor in self.tensors],
        }
        return json.dumps(document, indent=2, ensure_ascii=False)


def _document(tensor: TensorReport) -> dict[str, Any]:
    fields = {name: getattr(tensor, name) for name in tensor.__slots__}
    for name in ("qsnr", "qsnr_repaired"):
        qsnr = fields[name]
        fields[name] = str(qsnr) if qsnr is not None and math.isinf(qsnr) else qsnr
    fields["verdict"] = str(tensor.verdict)
    return {name: _plain(value) for name, value in fields.items()}


def _plain(value: Any) -> Any:
    if hasattr(value, "__slots__") and not isinstance(value, str):
        return {name: _plain(getattr(value, name)) for name in value.__slots__}
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value


def rows_text(rows: Iterable[tuple[int, int]], most: int = 6) -> str:
    """Write runs of rows as numbers.

    Examples
    --------
    >>> rows_text([(3, 4), (7, 9)]), rows_text([(5, 6)])
    ('rows 3, 7-8', 'row 5')
    """
    some = list(rows)
    noun = "row" if len(some) == 1 and some[0][1] == some[0][0] + 1 else "rows"
    text = ", ".join(str(lo) if hi == lo + 1 else f"{lo}-{hi - 1}" for lo, hi in some[:most])
    return f"{noun} {text}, ..." if len(some) > most else f"{noun} {text}"
