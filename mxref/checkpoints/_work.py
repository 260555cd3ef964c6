"""What a worker does: read rows, quantize them, pack them. It writes nothing.

A worker may be a thread, a process or a machine that sees the same files: it gets names and
numbers, opens the source itself, and gives bytes back.
"""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _inputs as inputs
from mxref.checkpoints._plan import Unit
from mxref.checkpoints._source import open_source
from mxref.checkpoints.store import CheckpointError, Store
from mxref.formats import BlockFormat
from mxref.layouts._layout import Fields
from mxref.policy import Policy

__all__ = ["Job", "Outcome", "forget", "run_unit", "state_of"]

_OPEN = 4  # sources that a worker keeps open
_KEPT = 1 << 26  # bytes of a buffer that outlives its unit


@dataclass(frozen=True, slots=True)
class Job:
    """What is the same for all units.

    Attributes
    ----------
    source : str
        Path of the checkpoint.
    state : tuple of (str, int, int)
        Absolute path, size and time of each of its files: a worker must not mix two states.
    fmt : BlockFormat
    layout : str
    policy : Policy
    shapes : dict of str to tuple of int
        Of the tensors that are converted whole.
    """

    source: str
    state: tuple[tuple[str, int, int], ...]
    fmt: BlockFormat
    layout: str
    policy: Policy
    shapes: dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a unit gave.

    Attributes
    ----------
    parts : dict of str to bytes-like
        Packed bytes of each role; ``""`` for a copy.
    crc : dict of str to int
        Their checksums: half of the work of writing, and many workers do it.
    nan, inf : int
        How many weights are NaN, and infinite.
    first : tuple of int, or None
        Where the first of them is: row and column.
    nan_scales : int
        Blocks that got the NaN scale.
    refused : str
        Why the policy refuses the rows; empty if it does not.
    """

    parts: dict[str, Any]
    crc: dict[str, int]
    nan: int = 0
    inf: int = 0
    first: tuple[int, int] | None = None
    nan_scales: int = 0
    refused: str = ""


def run_unit(job: Job, unit: Unit) -> Outcome:
    """Do one piece of work."""
    store = _opened(job)
    if unit.is_copy:
        data = store.read_bytes(unit.tensor, unit.start, unit.stop)
        return Outcome({"": data}, {"": zlib.crc32(data.data)})
    return _quantized(job, unit, store)


def _quantized(job: Job, unit: Unit, store: Store) -> Outcome:
    from mxref.arrays import quantize
    from mxref.layouts.conventions import layout
    from mxref.mxarray import MXArray

    x = store.read(unit.tensor, unit.start, unit.stop, out=_buffer("source", unit.nbytes))
    nan, inf, first = _not_finite(x, unit.start)
    codes = _buffer("codes", x.size)[: x.size].reshape(x.shape)
    shape = (x.shape[0], x.shape[1] // job.fmt.block_size)
    n_scales = shape[0] * shape[1]
    scales = _buffer("scales", n_scales)[:n_scales].reshape(shape)
    try:
        into = MXArray.trusted(codes, scales, job.fmt, 1, job.policy)
        quantize(x, job.fmt, policy=job.policy, out=into)
    except ValueError as error:
        place = f" (the first at row {first[0]}, column {first[1]})" if first else ""
        return Outcome({}, {}, nan, inf, first, refused=f"{error}{place}")
    nan_scales = int(np.count_nonzero(scales == job.fmt.scale.nan_code))
    whole = job.shapes.get(unit.tensor)
    if whole is not None:
        codes, scales = codes.reshape(whole), scales.reshape(*whole[:-1], -1)
    packed = layout(job.layout).pack(Fields(codes, scales), job.fmt.name)
    parts = {role: _own_bytes(array, codes, scales) for role, array in packed.items()}
    crc = {role: zlib.crc32(data.data) for role, data in parts.items()}
    return Outcome(parts, crc, nan, inf, first, nan_scales)


def _own_bytes(array: NDArray[Any], *buffers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Flat bytes that nobody writes to again: buffers are used for the next unit."""
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return flat.copy() if any(np.may_share_memory(flat, b) for b in buffers) else flat


def _not_finite(x: NDArray[Any], start: int) -> tuple[int, int, tuple[int, int] | None]:
    """Count NaN and infinities; at the speed of memory where there are none."""
    from mxref.kernels.element import is_finite
    from mxref.traversal import storage_of

    source = inputs.as_float(x)[1]
    if is_finite(x.reshape(-1).view(storage_of(source)), source):
        return 0, 0, None
    with np.errstate(invalid="ignore"):
        nan, inf = np.isnan(x), np.isinf(x)
    row, column = divmod(int(np.argmax(nan | inf)), x.shape[1])
    return int(nan.sum()), int(inf.sum()), (start + row, column)


_mine = threading.local()  # buffers of a thread: fresh memory is several times slower


def _buffer(name: str, size: int) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] | None = getattr(_mine, name, None)
    if found is None or found.size < size:
        found = np.empty(size, np.uint8)
        if size <= _KEPT:
            setattr(_mine, name, found)
    return found


_stores: OrderedDict[tuple[Any, ...], Store] = OrderedDict()
_guard = threading.Lock()


def _opened(job: Job) -> Store:
    """Open the source once for each process, and make sure that it is the one that was planned."""
    key = (job.source, job.state)
    with _guard:
        if key not in _stores:
            store = open_source(Path(job.source))
            if state_of(store) != job.state:
                store.close()
                raise CheckpointError(
                    f"{job.source}: a worker sees other files than the command did, or they have "
                    f"changed; start anew"
                )
            _stores[key] = store
            while len(_stores) > _OPEN:
                _stores.popitem(last=False)[1].close()
        return _stores[key]


def forget(job: Job) -> None:
    """Close the source in this process."""
    with _guard:
        store = _stores.pop((job.source, job.state), None)
    if store is not None:
        store.close()


def state_of(store: Store) -> tuple[tuple[str, int, int], ...]:
    """Return absolute path, size and time of each file of a checkpoint."""
    found = []
    for file in store.files:
        try:
            state = file.stat()
        except OSError as error:
            raise CheckpointError(f"{file}: {error.strerror or error}") from error
        found.append((str(file.absolute()), state.st_size, state.st_mtime_ns))
    return tuple(found)
