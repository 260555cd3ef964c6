"""Quantize a checkpoint into a checkpoint: streamed, whole or not there at all, resumable."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from os import PathLike
from pathlib import Path

from mxref.checkpoints import _configs
from mxref.checkpoints._atomic import Workplace, refuse_foreign_folder, refuse_overwriting
from mxref.checkpoints._journal import Journal
from mxref.checkpoints._options import Options, format_and_layout, name_of, require_policy
from mxref.checkpoints._plan import Plan, plan_weights, refuse_collisions
from mxref.checkpoints._plan_files import Contents, companions, home_of, is_folder, plan_safetensors
from mxref.checkpoints._plan_select import select
from mxref.checkpoints._source import open_source
from mxref.checkpoints._summary import Quantized, Summary
from mxref.checkpoints._words import displayed
from mxref.checkpoints._work import Job, state_of
from mxref.checkpoints.gguf_writer import plan_gguf
from mxref.checkpoints.safetensors_writer import PlannedFile, Stored, stored_size
from mxref.checkpoints.store import CheckpointError, Store
from mxref.checkpoints.writer import RefusedError, Tally, write_plan
from mxref.formats import BlockFormat
from mxref.policy import Policy, get_policy

__all__ = ["Quantized", "Summary", "quantize_checkpoint"]


def quantize_checkpoint(  # noqa: PLR0913  # options of a command
    source: str | PathLike[str],
    out: str | PathLike[str],
    format: str | BlockFormat,  # noqa: A002  # the field's word
    layout: str,
    *,
    policy: Policy | str | None = "ocp",
    executor: str | Executor | None = None,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    resume: bool = True,
    force: bool = False,
    shard_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    dry_run: bool = False,
) -> Summary:
    """Quantize the weights of a checkpoint.

    Slices are read, quantized and written one by one, in bounded memory. `out` appears when it is
    complete, by one rename; until then all is in the folder ``OUT.partial``. What is interrupted
    goes on where it was when the same is asked again; the result has the same bytes.

    Parameters
    ----------
    source : path
        A safetensors file, an index or folder of shards, a GGUF file, or a .npy file.
    out : path
        ``NAME.safetensors``; for the layout ``gguf``, ``NAME.gguf``; any other name is a folder,
        sharded as the source is, with its configuration and tokenizer.
    format : str or BlockFormat
        Such as ``"mxfp4"``.
    layout : str
        Such as ``"gpt-oss"``: a convention of `mxref.layouts.conventions`.
    policy : Policy or str
        What the standard leaves open.
    executor : str or Executor, optional
        What the work runs on: ``"threads:2"``, ``"processes:8"``, ``"dask://HOST:PORT"``. All of
        its workers must see `source` under the same path.
    include, exclude : sequence of str
        Patterns of names. Without `include`: tensors of floats whose name ends in ``.weight``, with
        two axes or more and a last axis of whole blocks, except embeddings, heads, norms and
        routers. Everything else is copied byte for byte.
    resume : bool
        Whether to go on with what an interrupted run has left; else that is thrown away.
    force : bool
        Whether an existing `out` is replaced (at the end, when the new one is complete).
    shard_size : int, optional
        Bytes in a shard; `out` is then a folder.
    progress : callable, optional
        Called with (bytes done, bytes in all) of the source.
    dry_run : bool
        Plan, check everything that can be checked, and write nothing.

    Returns
    -------
    Summary

    Raises
    ------
    CheckpointError
        If the source cannot be read, the output cannot be written or would overwrite something,
        the layout cannot hold the format, or the policy refuses weights. Nothing is there then but
        perhaps ``OUT.partial``.
    ValueError
        If a name is unknown.

    Notes
    -----
    Clauses MX-1.0/5.1/layout and MX-1.0/6.3/scale.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> folder = Path(tempfile.mkdtemp())
    >>> np.save(folder / "w.npy", np.ones((4, 64), np.float32))
    >>> done = quantize_checkpoint(folder / "w.npy", folder / "q.safetensors", "mxfp4", "gpt-oss")
    >>> done.quantized[0].stored, (folder / "q.safetensors").is_file()
    (('w.blocks', 'w.scales'), True)
    """
    began = time.monotonic()
    given, out_path = Path(source), Path(out)
    options = Options(
        given,
        *format_and_layout(format, layout),
        get_policy(policy),
        name_of(policy),
        include,
        tuple(exclude),
        shard_size,
    )
    with open_source(given) as store:  # errors name it as the user does
        refuse_overwriting(out_path, given, set(store.files), force=force)
        plan = _planned(store, out_path, options)
        if out_path.exists() and out_path.is_dir() != plan.is_folder:
            kinds = ("a file", "a folder")
            raise CheckpointError(
                f"{out_path}: is {kinds[not plan.is_folder]}, and the output is "
                f"{kinds[plan.is_folder]}; give it another name"
            )
        refuse_foreign_folder(out_path, {file.name for file in plan.files})
        summary = _summary(store, out_path, options, plan)
        if dry_run:
            return replace(summary, dry_run=True)
        done = _write(store, plan, out_path, options, resume, force, executor, progress)
    return _completed(summary, *done, time.monotonic() - began)


def _planned(store: Store, out: Path, options: Options) -> Plan:
    fmt, convention = options.fmt, options.layout
    require_policy(options)
    folder = is_folder(out, convention.container, options.shard_size)
    chosen, kept = select(store.tensors, fmt.block_size, options.include, options.exclude)
    weights, parts = plan_weights(store.tensors, chosen, convention, fmt.name)
    parts += _marks(options, weights)
    copies = [_copied(store, name, convention.container) for name in kept]
    # In the order of the source, so that a reader finds together what belongs together.
    rank = {name: i for i, name in enumerate(store.tensors)}
    stored = sorted([*parts, *copies], key=lambda tensor: rank[tensor.source])
    refuse_collisions(stored)
    notes: tuple[str, ...] = ()
    if convention.container == "gguf":
        file, notes = plan_gguf(store, out.name, stored, options.made_by())
        files: tuple[PlannedFile, ...] = (file,)
    else:
        contents = Contents(
            store,
            home_of(options.source),
            convention.name,
            fmt,
            weights,
            kept,
            stored,
            options.made_by(),
        )
        files = plan_safetensors(contents, out, options.shard_size, folder=folder)
        if folder:
            files = (*files, *_beside(home_of(options.source), {file.name for file in files}))
    return Plan(files, tuple(stored), weights, kept, folder, notes)


def _marks(options: Options, weights: Iterable[str]) -> list[Stored]:
    found = []
    for name in weights:
        mark = _configs.mark(options.layout.name, options.fmt, name)
        if mark is not None:
            text, data = mark
            found.append(Stored(text, "U8", (len(data),), len(data), name, "mark", data))
    return found


def _copied(store: Store, name: str, container: str) -> Stored:
    info = store.tensors[name]
    if info.byte_order != "little":
        raise CheckpointError(f"{info.file}: is big-endian; convert it to little-endian first")
    if container == "safetensors":
        try:
            size = stored_size(info.dtype, info.shape)
        except CheckpointError as error:
            raise CheckpointError(f"{displayed(name)}: {error}; choose the layout gguf") from None
        if size != info.nbytes:
            raise CheckpointError(
                f"{displayed(name)}: {info.dtype} has another meaning in this source"
            )
    return Stored(name, info.dtype, info.shape, info.nbytes, name)


def _beside(home: Path | None, taken: set[str]) -> list[PlannedFile]:
    """The other files of a model's folder, as they are."""
    found = []
    for path in companions(home):
        if path.name not in taken:
            data = path.read_bytes()
            found.append(PlannedFile(path.name, data, {}, len(data)))
    return found


def _write(
    store: Store,
    plan: Plan,
    out: Path,
    options: Options,
    resume: bool,  # noqa: FBT001
    force: bool,  # noqa: FBT001
    executor: str | Executor | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[Mapping[str, Tally], int]:
    """Write everything beside `out`, then let it appear."""
    state = state_of(store)
    whole = {name: each.info.shape for name, each in plan.weights.items() if not each.step}
    job = Job(
        str(options.source.absolute()),
        state,
        options.fmt,
        options.layout.name,
        options.policy,
        whole,
    )
    place = Workplace(out, is_folder=plan.is_folder, restart=not resume)
    try:
        journal = Journal(place.journal, _work(store, plan, options, state))
        try:
            _require_room(plan, place, journal)
            tallies, resumed = write_plan(
                plan, job, place, journal, executor=executor, progress=progress
            )
        finally:
            journal.close()
        if state_of(store) != state:
            place.discard()
            raise CheckpointError(f"{store.path}: has changed while it was read; nothing was made")
        place.place(force=force)
    except RefusedError:
        place.discard()
        raise
    finally:
        place.close()
    return tallies, resumed


def _require_room(plan: Plan, place: Workplace, journal: Journal) -> None:
    try:
        place.require_room({file.name: file.size for file in plan.files})
    except CheckpointError:
        if not journal.done:
            place.discard()  # nothing to go on with
        raise


def _work(
    store: Store, plan: Plan, options: Options, state: tuple[tuple[str, int, int], ...]
) -> dict[str, str]:
    """Say what is done, so that a later run can tell whether it would do the same."""
    here = [replace(info, file=info.file.absolute()) for info in store.tensors.values()]
    headers = hashlib.sha256(repr(here).encode())
    headers.update(json.dumps(dict(store.metadata), sort_keys=True).encode())
    return {
        "mxref": _this_mxref(),
        "format": options.fmt.name,
        "layout": options.layout.name,
        "policy": " = ".join(dict.fromkeys((options.policy_name, str(options.policy)))),
        "include": str(options.include),
        "exclude": str(options.exclude),
        "source": "; ".join(f"{file} ({size} bytes, time {time})" for file, size, time in state),
        "source header": headers.hexdigest(),
        "output": plan.digest(),
    }


def _this_mxref() -> str:
    """Version of mxref and of Numba, and a digest of the kernels."""
    from mxref.kernels._jit import cache_directory

    return cache_directory().name


def _summary(store: Store, out: Path, options: Options, plan: Plan) -> Summary:
    sizes = dict.fromkeys(plan.weights, 0)
    names: dict[str, list[str]] = {name: [] for name in plan.weights}
    for tensor in plan.stored:
        if tensor.role:
            sizes[tensor.source] += tensor.nbytes
            names[tensor.source].append(tensor.name)
    quantized = tuple(
        Quantized(
            name,
            each.info.dtype,
            each.info.shape,
            tuple(names[name]),
            each.info.nbytes,
            sizes[name],
        )
        for name, each in plan.weights.items()
    )
    return Summary(
        source=options.source,
        out=out,
        format=options.fmt.name,
        layout=options.layout.name,
        policy=options.policy_name,
        policy_choices=str(options.policy),
        quantized=quantized,
        kept=dict(plan.kept),
        files=tuple(file.name for file in plan.files),
        source_bytes=sum(info.nbytes for info in store.tensors.values()),
        bytes=plan.size,
        notes=plan.notes,
    )


def _completed(
    summary: Summary, tallies: Mapping[str, Tally], resumed: int, seconds: float
) -> Summary:
    quantized = tuple(
        replace(
            one,
            nan=tallies[one.name].nan,
            inf=tallies[one.name].inf,
            first=tallies[one.name].first,
            nan_scales=tallies[one.name].nan_scales,
        )
        for one in summary.quantized
    )
    notes = summary.notes
    if summary.layout == "gguf" and any(one.nan_scales for one in quantized):
        notes = (*notes, "readers of GGUF decode the NaN scale as a number: those blocks are wrong")
    return replace(
        summary, quantized=quantized, resumed_bytes=resumed, seconds=seconds, notes=notes
    )
