"""Everything about an output that can be known before its first byte is written.

Sizes of quantized tensors follow from shapes, so headers come first, every slice has its place,
and slices can be made in any order, by anyone, and again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mxref.checkpoints._words import displayed
from mxref.checkpoints.safetensors_writer import PlannedFile, Stored
from mxref.checkpoints.store import CheckpointError, TensorInfo
from mxref.layouts._layout import Layout

__all__ = ["Plan", "Unit", "Weight", "dtype_of", "plan_weights", "refuse_collisions", "units_of"]

SLICE = 1 << 24
"""Bytes of source read at a time: large enough to hide what a unit costs, small enough that a
dozen of them are no matter."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that will be quantized.

    Attributes
    ----------
    info : TensorInfo
    names : mapping of str to str
        The stored tensor of each role.
    step : int
        Rows are converted in multiples of this number; 0: only all at once.
    run : mapping of str to int
        Bytes that `step` rows take in each part.
    """

    info: TensorInfo
    names: Mapping[str, str]
    step: int
    run: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Rows: all axes but the last, flattened."""
        return math.prod(self.info.shape[:-1])


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of work: rows of a tensor to quantize, or bytes of one to copy.

    Attributes
    ----------
    number : int
    tensor : str
    start, stop : int
        Rows; bytes if `is_copy`.
    is_copy : bool
    nbytes : int
        Of the source.
    """

    number: int
    tensor: str
    start: int
    stop: int
    is_copy: bool
    nbytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be written.

    Attributes
    ----------
    files : tuple of PlannedFile
    stored : tuple of Stored
        All tensors of the output.
    weights : mapping of str to Weight
    kept : mapping of str to str
        Tensors that are copied, and why.
    is_folder : bool
    notes : tuple of str
    """

    files: tuple[PlannedFile, ...]
    stored: tuple[Stored, ...]
    weights: Mapping[str, Weight]
    kept: Mapping[str, str]
    is_folder: bool
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def digest(self) -> str:
        """Return a digest of every header and of how the work is cut."""
        made = hashlib.sha256(f"{SLICE}".encode())
        for file in self.files:
            made.update(f"{file.name} {file.size} ".encode())
            made.update(file.header)
        for tensor in self.stored:
            made.update(tensor.data)
        return made.hexdigest()


def plan_weights(
    tensors: Mapping[str, TensorInfo], chosen: Sequence[str], layout: Layout, fmt: str
) -> tuple[dict[str, Weight], list[Stored]]:
    """Say in which parts the chosen tensors will be stored.

    Raises
    ------
    CheckpointError
        If the layout cannot hold one of them.
    """
    weights, stored = {}, []
    for name in chosen:
        info = tensors[name]
        try:
            shapes = layout.shapes(fmt, info.shape)
        except ValueError as error:
            raise CheckpointError(
                f"{displayed(name)}: {error}, or exclude it, to keep it as it is"
            ) from None
        names = {role: text for role, text in layout.names(name, fmt).items() if role in shapes}
        parts = {part.role: part for part in layout.parts_for(fmt)}
        for role, shape in shapes.items():
            dtype = parts[role].dtypes[0]
            if layout.container == "gguf":
                nbytes, shape = math.prod(shape), info.shape  # noqa: PLW2901  # records are bytes
            else:
                nbytes = _nbytes(dtype, shape)
            stored.append(Stored(names[role], dtype, tuple(shape), nbytes, name, role))
        sizes = {role: _bytes_of(layout, fmt, info.shape, role) for role in shapes}
        step, run = _step(layout, fmt, info.shape, sizes)
        weights[name] = Weight(info, names, step, run)
    return weights, stored


def _nbytes(dtype: str, shape: Sequence[int]) -> int:
    from mxref.checkpoints.safetensors_writer import stored_size

    return stored_size(dtype, shape)


def dtype_of(layout: Layout, fmt: str, role: str) -> str:
    """Return the type in which a part is written."""
    return next(part.dtypes[0] for part in layout.parts_for(fmt) if part.role == role)


def _bytes_of(layout: Layout, fmt: str, shape: tuple[int, ...], role: str) -> int:
    stored = layout.shapes(fmt, shape)[role]
    if layout.container == "gguf":
        return math.prod(stored)
    return _nbytes(dtype_of(layout, fmt, role), stored)


def _step(
    layout: Layout, fmt: str, shape: tuple[int, ...], sizes: Mapping[str, int]
) -> tuple[int, dict[str, int]]:
    """How many rows make a run of bytes of their own, and how many bytes; (0, sizes) for all.

    A layout that pads each matrix of a stack does not agree with the rows of the flattened stack:
    such a tensor is converted whole.
    """
    rows, columns, step = math.prod(shape[:-1]), shape[-1], layout.row_step
    if step > 0:
        run = {role: _bytes_of(layout, fmt, (step, columns), role) for role in sizes}
        if all(-(-rows // step) * run[role] == size for role, size in sizes.items()):
            return step, run
    return 0, dict(sizes)


def refuse_collisions(stored: Sequence[Stored]) -> None:
    """Refuse an output in which two tensors would have one name.

    Raises
    ------
    CheckpointError
        Which names, and what they would be made of.
    """
    made: dict[str, Stored] = {}
    for tensor in stored:
        other = made.setdefault(tensor.name, tensor)
        if other is not tensor:
            raise CheckpointError(
                f"{displayed(tensor.name)}: two tensors of the output would have this name: "
                f"{_origin(other)}, and {_origin(tensor)}; exclude the weight, or choose "
                f"another layout"
            )


def _origin(tensor: Stored) -> str:
    if tensor.role:
        return f"the {tensor.role.replace('_', ' ')} of {displayed(tensor.source)}"
    return f"the copy of {displayed(tensor.source)}"


def units_of(plan: Plan) -> Iterator[Unit]:
    """Cut the work into slices of about 16 MiB of source."""
    number = 0
    for tensor in plan.stored:
        if not tensor.role:
            for start in range(0, tensor.nbytes, SLICE):
                stop = min(start + SLICE, tensor.nbytes)
                yield Unit(number, tensor.source, start, stop, True, stop - start)  # noqa: FBT003
                number += 1
    for name, weight in plan.weights.items():
        a_row = weight.info.nbytes // weight.rows
        step = weight.rows
        if weight.step:
            step = max(1, SLICE // (a_row * weight.step)) * weight.step
        for start in range(0, weight.rows, step):
            stop = min(start + step, weight.rows)
            yield Unit(number, name, start, stop, False, (stop - start) * a_row)  # noqa: FBT003
            number += 1
