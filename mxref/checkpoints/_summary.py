"""What quantizing a checkpoint did, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mxref.checkpoints._words import displayed

__all__ = ["Quantized", "Summary"]


@dataclass(frozen=True, slots=True)
class Quantized:
    """A tensor that was quantized.

    Attributes
    ----------
    name, dtype, shape
        In the source.
    stored : tuple of str
        The tensors that it became.
    source_bytes, bytes : int
        Before and after.
    nan, inf : int
        How many weights were NaN, and infinite.
    first : tuple of int, or None
        Row and column of the first of those.
    nan_scales : int
        Blocks that got the NaN scale.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    stored: tuple[str, ...]
    source_bytes: int
    bytes: int
    nan: int = 0
    inf: int = 0
    first: tuple[int, int] | None = None
    nan_scales: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """What `quantize_checkpoint` did, or would do.

    Attributes
    ----------
    source, out : Path
    format, layout, policy : str
        The latter as the user named it.
    policy_choices : str
        What it chooses; the same where it is no profile with a name of its own.
    quantized : tuple of Quantized
    kept : dict of str to str
        Tensors that were copied byte for byte, and why.
    files : tuple of str
        What was written.
    source_bytes, bytes : int
        Of all tensors of the source, and of all files written.
    resumed_bytes : int
        Bytes of the source that an earlier run had done.
    seconds : float
    dry_run : bool
    notes : tuple of str
    """

    source: Path
    out: Path
    format: str
    layout: str
    policy: str
    policy_choices: str
    quantized: tuple[Quantized, ...]
    kept: dict[str, str]
    files: tuple[str, ...]
    source_bytes: int
    bytes: int
    resumed_bytes: int = 0
    seconds: float = 0.0
    dry_run: bool = False
    notes: tuple[str, ...] = ()

    @property
    def not_finite(self) -> tuple[Quantized, ...]:
        """The tensors that hold NaN or infinities."""
        return tuple(one for one in self.quantized if one.nan or one.inf)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON knows it."""
        return {
            "source": str(self.source),
            "out": str(self.out),
            "format": self.format,
            "layout": self.layout,
            "policy": self.policy,
            "policy_choices": self.policy_choices,
            "dry_run": self.dry_run,
            "source_bytes": self.source_bytes,
            "bytes": self.bytes,
            "resumed_bytes": self.resumed_bytes,
            "seconds": round(self.seconds, 3),
            "files": list(self.files),
            "quantized": [
                {
                    "name": one.name,
                    "dtype": one.dtype,
                    "shape": list(one.shape),
                    "stored": list(one.stored),
                    "source_bytes": one.source_bytes,
                    "bytes": one.bytes,
                    "nan": one.nan,
                    "inf": one.inf,
                    "first_not_finite": list(one.first) if one.first else None,
                    "nan_scales": one.nan_scales,
                }
                for one in self.quantized
            ],
            "kept": self.kept,
            "notes": list(self.notes),
        }

    def _policy(self) -> str:
        if self.policy == self.policy_choices:
            return self.policy
        return f"{self.policy} ({self.policy_choices})"

    def __str__(self) -> str:
        """Say in a few lines what was done."""
        would = "would be" if self.dry_run else "were" if len(self.quantized) != 1 else "was"
        of_a_folder = "" if self.files == (self.out.name,) else " of a folder"
        lines = [
            f"{self.out}: {self.format} in layout {self.layout}, policy {self._policy()}",
            (
                f"{_count(len(self.quantized), 'tensor')} {would} quantized, {len(self.kept)} "
                f"kept; {self.source_bytes:,} bytes of tensors "
                f"{'would become' if self.dry_run else 'became'} {self.bytes:,} in "
                f"{_count(len(self.files), 'file')}{of_a_folder}"
            ),
        ]
        if self.resumed_bytes:
            lines.append(f"an earlier run had done {self.resumed_bytes:,} bytes of them")
        for one in self.not_finite:
            row, column = one.first or (0, 0)
            blocks = _count(one.nan_scales, "block")
            lines.append(
                f"{displayed(one.name)}: {one.nan} NaN and {one.inf} infinite weights, the first "
                f"at row {row}, column {column}; {blocks} got the NaN scale"
            )
        lines.extend(self.notes)
        return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
