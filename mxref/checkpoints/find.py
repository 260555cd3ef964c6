"""Find the quantized weights of a checkpoint, and read them in runs of rows.

A weight is recognised by the names, types and shapes of its tensors; where several conventions
would fit, what decides is, in this order: the caller; what torchao wrote about the tensor in the
file's metadata; ComfyUI's mark, or that it is missing; what `mxref quantize` wrote into the
metadata; ``config.json``, ``hf_quant_config.json`` or ``quantize_config.json`` beside the file.
Conventions that read the same bytes in the same way are one answer, whose first name is given. What
is left open is reported as undecided, never guessed.

Examples
--------
>>> import tempfile, pathlib, numpy as np, mxref
>>> from safetensors.numpy import save_file
>>> from mxref.checkpoints import open_checkpoint
>>> from mxref.layouts.conventions import pack
>>> q = mxref.quantize(np.eye(32, 64, dtype=np.float32), "mxfp4")
>>> parts = pack(q, "gpt-oss")
>>> with tempfile.TemporaryDirectory() as folder:
...     path = pathlib.Path(folder) / "w.safetensors"
...     save_file({"a.blocks": parts["codes"], "a.scales": parts["scales"]}, path)
...     with open_checkpoint(path) as store:
...         (found,) = find_quantized(store)
...         fields = found.read(store, 0, 2)
>>> found.name, found.layout, found.format, found.shape
('a.weight', 'gpt-oss', 'mxfp4', (32, 64))
>>> np.array_equal(fields.codes, q.codes[:2])
True
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mxref.checkpoints._find_evidence import Claim, claims, tensor_claims
from mxref.checkpoints._find_names import Reading, readings
from mxref.checkpoints._find_other import other_kind
from mxref.checkpoints._find_source import SourceMatch, match_source
from mxref.checkpoints.store import CheckpointError, Store, TensorInfo
from mxref.layouts._layout import Fields
from mxref.layouts.conventions import layout as find_layout
from mxref.layouts.conventions import traits

__all__ = ["Found", "SourceMatch", "find_quantized", "source_name"]


@dataclass(frozen=True, slots=True)
class Found:
    """A quantized weight of a checkpoint.

    Attributes
    ----------
    name : str
        Of the weight, as its original is called.
    layout, format : str
        Empty where they are not known.
    shape : tuple of int
        Logical shape; empty where it is not known.
    parts : dict of str to TensorInfo
        The stored tensors by role: ``"codes"``, ``"scales"``, ``"global_scale"``, ``"records"``.
    status : str
        ``"mx"`` (MX or NVFP4, and can be read), ``"not-mx"`` (quantized in another way),
        ``"undecided"`` (several readings fit) or ``"broken"`` (none does).
    notes : tuple of str
        Why it was taken for what it is, and what is odd about it.
    candidates : tuple of (str, str)
        Layouts and formats that fit an undecided one.
    """

    name: str
    layout: str
    format: str
    shape: tuple[int, ...]
    parts: dict[str, TensorInfo]
    status: str = "mx"
    notes: tuple[str, ...] = ()
    candidates: tuple[tuple[str, str], ...] = field(default=())

    @property
    def rows(self) -> int:
        """How many rows it has: all axes but the last, flattened."""
        return math.prod(self.shape[:-1])

    @property
    def columns(self) -> int:
        """The length of a row in elements."""
        return self.shape[-1] if self.shape else 0

    @property
    def row_step(self) -> int:
        """Rows are read in multiples of this; 0: only all."""
        return find_layout(self.layout).row_step

    def read(self, store: Store, start: int = 0, stop: int | None = None) -> Fields:
        """Read rows `start` to `stop`, unpacked.

        Parameters
        ----------
        store : Store
            Where it was found, or the same opened again.
        start, stop : int
            Multiples of `row_step`; `stop` may also be the end.

        Returns
        -------
        Fields
            Codes of shape (rows, columns); scale codes of shape (rows, blocks).

        Raises
        ------
        CheckpointError
            If it is no readable MX or NVFP4 weight, or the rows do not exist or lie amid a step.
        """
        if self.status != "mx":
            raise CheckpointError(f"{self.name} cannot be read: {self.status}: {self._why()}")
        stop = self.rows if stop is None else stop
        self._require_rows(start, stop)
        where = find_layout(self.layout)
        first = where.stored_rows(self.format, start, self.columns)
        last = where.stored_rows(self.format, stop, self.columns)
        arrays = {
            role: store.read(info.name, first[role], last[role])
            for role, info in self.parts.items()
            if role in first
        }
        factor = self.parts.get("global_scale")
        if factor is not None:
            arrays["global_scale"] = self._factors(store, factor, start, stop)
        try:
            return where.unpack(arrays, self.format, (stop - start, self.columns))
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{self.name}: {error}") from None

    def _factors(
        self, store: Store, info: TensorInfo, start: int, stop: int
    ) -> NDArray[np.float32]:
        """The global scale: one number, or one for each row where experts have their own."""
        every = np.asarray(store.read(info.name), np.float32).reshape(-1)
        if every.size <= 1:
            return every
        return every[np.arange(start, stop) // (self.rows // every.size)]

    def _require_rows(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= self.rows:
            raise CheckpointError(f"{self.name} has {self.rows} rows; {start} to {stop} were asked")
        step = self.row_step or max(self.rows, 1)
        if start % step or (stop % step and stop != self.rows):
            raise CheckpointError(
                f"{self.name}: rows {start} to {stop} were asked for; layout {self.layout!r} is "
                f"read in multiples of {step} rows"
            )

    def _why(self) -> str:
        fits = " or ".join(f"{name} {kind}" for name, kind in self.candidates)
        return "; ".join((*self.notes, *([f"it may be {fits}"] if fits else [])))


def find_quantized(
    store: Store,
    *,
    layout: str | None = None,
    format: str | None = None,  # noqa: A002
) -> list[Found]:
    """Find the quantized weights of a checkpoint.

    Parameters
    ----------
    store : Store
    layout, format : str, optional
        What they are, where the caller knows better than names and configurations.

    Returns
    -------
    list of Found
        In the order of the checkpoint's tensors. Weights that are quantized but not in MX or NVFP4
        are listed with status ``"not-mx"``; those that cannot be read, as ``"broken"``.

    Raises
    ------
    ValueError
        If there is no such layout or format, or the layout cannot hold the format.
    """
    asked = _asked(layout, format)
    said, notes = claims(store)
    found = []
    for info in store.tensors.values():
        options = list(readings(info, store.tensors))
        # block FP8 has names and types of MXFP8 and other shapes: no broken MX, but another format
        if all(o.fault for o in options) and other_kind(info, store.tensors)[0]:
            continue
        if options:
            found.append(_decide(options, asked, said, store))
    used = {part.name for each in found for part in each.parts.values()}
    found += _others(store, used)
    found = _collisions(found, store.tensors)
    if notes and found:
        found[0] = replace(found[0], notes=(*found[0].notes, *notes))
    order = {name: at for at, name in enumerate(store.tensors)}
    return sorted(found, key=lambda each: order[next(iter(each.parts.values())).name])


def source_name(found: Found, source: Store) -> SourceMatch:
    """Find the original of a quantized weight in another checkpoint.

    The same name with and without ``.weight`` is looked for first, then the only tensor whose name
    ends alike (``model.a.weight`` and ``a.weight``).

    Returns
    -------
    SourceMatch
        With ``name=None`` and a reason where there is none.
    """
    return match_source(found.name, found.shape, source.tensors)


def _asked(layout: str | None, format_name: str | None) -> Claim:
    layouts = frozenset([find_layout(layout).name] if layout is not None else [])
    formats = frozenset([traits(format_name).name] if format_name is not None else [])
    if layout is not None:
        for name in formats:
            find_layout(layout).parts_for(name)
    return Claim(layouts, formats, "the caller")


def _decide(options: Sequence[Reading], asked: Claim, said: Iterable[Claim], store: Store) -> Found:
    """Choose among the readings of a tensor."""
    notes: list[str] = []
    left = [o for o in options if _allows(asked, o)]
    if not left:
        others = _names(o for o in options if not o.fault) or "nothing"
        return _broken(options[0], f"it does not fit {_said(asked)}; it would fit {others}")
    for claim in [*tensor_claims(store, left), *said]:
        kept = [o for o in left if _allows(claim, o)]
        if not kept:
            notes.append(f"{claim.source} says {_said(claim)}, which its tensors are not")
            continue
        if len(kept) < len(left) and claim.source:
            notes.append(f"told by {claim.source}")
        left = kept
    good = [o for o in left if not o.fault]
    if not good:
        nearest = max(left, key=lambda o: len(o.parts))
        return _broken(nearest, nearest.fault)
    first = good[0]
    fits = tuple(dict.fromkeys((o.layout.name, o.format) for o in good))
    if len({name for _, name in fits}) > 1:
        notes.append("names, types and shapes fit several formats: pass layout= and format=")
        return Found(first.weight, "", "", (), first.parts, "undecided", tuple(notes), fits)
    if len(fits) > 1:
        others = ", ".join(name for name, _ in fits[1:])
        notes.append(f"{others} would store the same bytes under the same names")
    return Found(
        first.weight, first.layout.name, first.format, first.shape, first.parts, notes=tuple(notes)
    )


def _allows(claim: Claim, option: Reading) -> bool:
    return (not claim.layouts or option.layout.name in claim.layouts) and (
        not claim.formats or option.format in claim.formats
    )


def _said(claim: Claim) -> str:
    return " ".join([*sorted(claim.layouts), *sorted(claim.formats)])


def _names(options: Iterable[Reading]) -> str:
    return ", ".join(dict.fromkeys(f"{o.layout.name} {o.format}" for o in options))


def _broken(option: Reading, why: str) -> Found:
    parts = option.parts
    return Found(option.weight, option.layout.name, option.format, (), parts, "broken", (why,))


def _others(store: Store, used: set[str]) -> list[Found]:
    """Tensors that are quantized in another way, and scale codes that belong to nothing."""
    found = []
    for info in store.tensors.values():
        if info.name in used:
            continue
        kind, others = other_kind(info, store.tensors)
        if kind:
            used.update(others)
            notes = (f"not MX: {kind}",)
            found.append(Found(info.name, "", "", info.shape, {"codes": info}, "not-mx", notes))
    for info in store.tensors.values():
        named = info.dtype == "F8_E4M3" and "scale" in info.name.rpartition(".")[2]
        if info.name not in used and (info.dtype == "F8_E8M0" or (named and len(info.shape) > 1)):
            why = f"scale codes {list(info.shape)} without codes, or of no known convention"
            found.append(Found(info.name, "", "", (), {"scales": info}, "broken", (why,)))
    return found


def _collisions(found: list[Found], tensors: Mapping[str, TensorInfo]) -> list[Found]:
    """Mark weights that are there twice."""
    by_stem: dict[str, list[Found]] = defaultdict(list)
    for each in found:
        by_stem[each.name.removesuffix(".weight")].append(each)
    result = []
    for each in found:
        stem = each.name.removesuffix(".weight")
        own = {part.name for part in each.parts.values()}
        twins = [t for t in by_stem[stem] if t is not each]
        plain = [n for n in (stem, stem + ".weight") if n in tensors and n not in own]
        plain = [n for n in plain if not any(n == p.name for t in twins for p in t.parts.values())]
        if twins:
            names = sorted(p.name for t in twins for p in t.parts.values())
            why = f"the weight is there twice: {', '.join(names)} hold it too"
            each = replace(each, status="broken", notes=(why, *each.notes))  # noqa: PLW2901
        elif plain:
            why = f"{plain[0]} ({tensors[plain[0]].dtype}) is there as well"
            each = replace(each, notes=(*each.notes, why))  # noqa: PLW2901
        result.append(each)
    return result
