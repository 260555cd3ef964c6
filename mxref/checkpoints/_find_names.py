"""Which conventions a tensor's name, type and shape would fit: every reading that is possible."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mxref.checkpoints.store import TensorInfo
from mxref.layouts._layout import Layout, Part
from mxref.layouts.conventions import LAYOUTS

__all__ = ["Reading", "readings", "stored_shape"]

_WEIGHT = ".weight"


class Reading(NamedTuple):
    """One way to read a tensor and its companions.

    Attributes
    ----------
    weight : str
        The name of the weight.
    layout : Layout
    format : str
    parts : dict of str to TensorInfo
        By role.
    shape : tuple of int
        Logical; empty where `fault` says why there is none.
    fault : str
        What does not fit.
    """

    weight: str
    layout: Layout
    format: str
    parts: dict[str, TensorInfo]
    shape: tuple[int, ...]
    fault: str


def stored_shape(info: TensorInfo) -> tuple[int, ...]:
    """The shape of a tensor as layouts count: bytes where several codes share one.

    Examples
    --------
    >>> from pathlib import Path
    >>> stored_shape(TensorInfo("a.weight", "MXFP4", (3, 64), Path("a.gguf"), 0, 102))
    (3, 34)
    """
    if info.dtype not in _SHARED or not info.shape:
        return info.shape
    rows = math.prod(info.shape[:-1])
    return (*info.shape[:-1], info.nbytes // rows if rows else 0)


_SHARED = {"F4", "F6_E2M3", "F6_E3M2", "MXFP4", "NVFP4"}


def readings(info: TensorInfo, tensors: Mapping[str, TensorInfo]) -> Iterator[Reading]:
    """Every reading of a tensor as the codes, or the records, of a weight."""
    for layout, format_name, parts in _TABLE.get(info.dtype, ()):
        first = parts[0]
        for index, suffix in enumerate(first.suffixes):
            for weight, leaf in _weights(info.name, suffix):
                found, fault = _companions(info, parts, index, leaf, tensors)
                if found is None:
                    continue
                shape: tuple[int, ...] = ()
                if not fault:
                    try:
                        stored = {role: stored_shape(part) for role, part in found.items()}
                        shape = layout.logical(stored, format_name)
                    except ValueError as error:
                        fault = str(error)
                yield Reading(weight, layout, format_name, found, shape, fault)


def _table() -> dict[str, list[tuple[Layout, str, tuple[Part, ...]]]]:
    """What tensors of each type may be: those of GGUF's records have types of their own."""
    table: dict[str, list[tuple[Layout, str, tuple[Part, ...]]]] = {}
    for layout in LAYOUTS.values():
        for name, parts in layout.parts.items() if layout.container != "memory" else ():
            for dtype in parts[0].dtypes:
                table.setdefault(dtype, []).append((layout, name, parts))
    return table


_TABLE = _table()


class _Leaf(NamedTuple):
    """How the names of the parts of a weight are made."""

    stem: str
    is_weight: bool

    def part(self, suffix: str) -> str:
        if self.is_weight:
            return self.stem + suffix
        module, dot, leaf = self.stem.rpartition(".")
        if suffix.startswith("._weight"):
            return f"{module}{dot}_{leaf}{suffix.removeprefix('._weight')}"
        return self.stem + suffix.removeprefix(_WEIGHT)


def _weights(name: str, suffix: str) -> Iterator[tuple[str, _Leaf]]:
    """The weights that a tensor of this name may be a part of."""
    if name.endswith(suffix):
        stem = name.removesuffix(suffix)
        # gpt-oss: mlp1_weight.blocks and gate_up_proj_blocks carry the parameter's whole name
        whole = suffix.startswith("_") or stem.endswith("weight")
        yield stem if whole else stem + _WEIGHT, _Leaf(stem, is_weight=True)
        return
    if suffix.startswith("._weight"):
        end = suffix.removeprefix("._weight")
        module, dot, leaf = name.removesuffix(end).rpartition(".")
        if name.endswith(end) and leaf.startswith("_") and len(leaf) > 1:
            stem = f"{module}{dot}{leaf[1:]}"
            yield stem, _Leaf(stem, is_weight=False)
    elif suffix.startswith(_WEIGHT):
        end = suffix.removeprefix(_WEIGHT)
        stem = name.removesuffix(end)
        if name.endswith(end) and stem and not stem.endswith(_WEIGHT):
            yield stem, _Leaf(stem, is_weight=False)


def _companions(
    info: TensorInfo,
    parts: tuple[Part, ...],
    index: int,
    leaf: _Leaf,
    tensors: Mapping[str, TensorInfo],
) -> tuple[dict[str, TensorInfo] | None, str]:
    """The tensors that belong to `info`; None where this cannot be meant, or what is wrong."""
    found = {parts[0].role: info}
    # A tensor called blocks, qdata or packed is meant as codes; one called weight may be anything.
    telling = info.name != leaf.part(_WEIGHT)
    for part in parts[1:]:
        # spellings go together: _blocks with _scales, not with .scales
        paired = len(part.suffixes) == len(parts[0].suffixes)
        suffixes = part.suffixes[index : index + 1] if paired else part.suffixes
        names = [leaf.part(suffix) for suffix in suffixes]
        other = next((tensors[name] for name in names if name in tensors), None)
        if other is None and part.optional:
            continue
        if other is None:
            return (found, f"{names[0]} is missing") if telling else (None, "")
        if other.dtype not in part.dtypes:
            wanted = " or ".join(part.dtypes)
            fault = f"{other.name} has type {other.dtype}; expected {wanted}"
            return (found, fault) if telling else (None, "")
        found[part.role] = other
    return found, ""
