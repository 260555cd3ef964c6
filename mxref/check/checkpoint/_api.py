"""``check.checkpoint``: every quantized tensor of a checkpoint against the weights it came from."""

from __future__ import annotations

import fnmatch
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mxref.check.checkpoint import _pairs as pairs
from mxref.check.checkpoint._candidates import Candidate, candidates
from mxref.check.checkpoint._diagnose import Diagnosis, diagnose
from mxref.check.checkpoint._identify import identify
from mxref.check.checkpoint._pairs import Pair
from mxref.check.checkpoint._report import CheckpointReport, TensorReport
from mxref.check.checkpoint._scan import Unit, scan
from mxref.check.checkpoint._tensor import Tensor, asked_candidate
from mxref.check.parts import Verdict
from mxref.executors import open_executor, run_units
from mxref.faults.legal import require_judgeable
from mxref.formats import block_format
from mxref.policy import Policy, get_policy

if TYPE_CHECKING:
    from mxref.checkpoints.find import Found
    from mxref.checkpoints.store import Store

__all__ = ["checkpoint"]

_RUN = 1 << 20  # elements of a unit
_BYTES = 64  # that a unit needs for each element, at most
_MEMORY = 512 << 20
_DIAGNOSED = 8  # tensors: what is wrong with many is wrong with all
_FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}

_Result = TypeVar("_Result")
Progress = Callable[[int, int, str], object]


def checkpoint(  # noqa: PLR0913  # each says what is compared, or how
    quantized: str | PathLike[str],
    source: str | PathLike[str],
    *,
    layout: str | None = None,
    format: str | None = None,  # noqa: A002
    policy: Policy | str | None = None,
    names: str | Sequence[str] | None = None,
    executor: Executor | str | None = None,
    progress: Progress | None = None,
    memory: int = _MEMORY,
) -> CheckpointReport:
    """Judge a quantized checkpoint against the weights that it was made from.

    Parameters
    ----------
    quantized, source : path
        Checkpoints as `mxref.checkpoints.open_checkpoint` reads them: safetensors, sharded ones
        by their index or folder, GGUF. The source may be a .npy file as well: the array of
        ``x.npy`` is called ``x.weight``.
    layout, format : str, optional
        How tensors are stored, where their names and types leave it open.
    policy : Policy or str, optional
        What made it; default: find out. For NVFP4 a recipe.
    names : str or sequence of str, optional
        Patterns (``model.layers.*.mlp.*``) of the tensors to look at; default: all.
    executor : Executor or str, optional
        What runs the work: ``threads:N``, ``processes:N``, ``dask://HOST:PORT`` or any
        `concurrent.futures.Executor`, whose workers must see the same files.
    progress : callable, optional
        Called as ``progress(done, total, name)`` with bytes of source weights.
    memory : int
        Bytes that the work may take at a time, about.

    Returns
    -------
    CheckpointReport

    Raises
    ------
    CheckpointError
        If a file cannot be read.
    ValueError
        If a layout, format, policy or pattern does not fit.

    Notes
    -----
    Clauses MX-1.0/6.3/scale and MX-1.0/6.3/elements. The report does not depend on the executor.

    Examples
    --------
    >>> import pathlib, tempfile, numpy as np, mxref
    >>> from safetensors.numpy import save_file
    >>> w = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    >>> q = mxref.quantize(w, "mxfp4", policy="torchao-ceil")
    >>> blocks = (q.codes[:, ::2] | q.codes[:, 1::2] << 4).reshape(64, 2, 16)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     here = pathlib.Path(folder)
    ...     save_file({"a.weight": w}, here / "original.safetensors")
    ...     save_file({"a.blocks": blocks, "a.scales": q.scales}, here / "q.safetensors")
    ...     report = checkpoint(here / "q.safetensors", here / "original.safetensors")
    >>> str(report.verdict), report.ok, report.tensors[0].policy
    ('conforms-as', True, 'torchao-ceil')
    """
    from mxref.checkpoints import open_checkpoint
    from mxref.checkpoints._source import open_source
    from mxref.checkpoints.find import find_quantized

    asked = policy if isinstance(policy, str) else getattr(policy, "name", None)
    judged = None if policy is None else _policy(policy)
    began = time.perf_counter()
    paths = fspath(quantized), fspath(source)
    patterns = [names] if isinstance(names, str) else names
    with open_checkpoint(paths[0]) as ours, open_source(Path(paths[1])) as theirs:
        found = find_quantized(ours, layout=layout, format=format)
        every = [each for each in found if _wanted(each.name, patterns)]
        if patterns is not None and found and not every:
            raise ValueError(
                f"no quantized tensor is called {' or '.join(patterns)}; there are "
                f"{', '.join(each.name for each in found[:3])}"
            )
        paired = [_paired(each, theirs) for each in every]
        _require_fit(judged, [each for each in paired if isinstance(each, Pair)])
        job = _Job(paths, policy, max(1 << 16, min(_RUN, memory // (_BYTES * 4))))
        with open_executor(executor) as pool:
            try:
                reports = job.run(pool, paired, (ours, theirs), progress)
            finally:
                pairs.forget(job.token)
        total = sum(_source_bytes(p, theirs) for p in paired if isinstance(p, Pair))
        notes = tuple(_notes(found, ours, paths))
    seconds = time.perf_counter() - began
    return CheckpointReport(*paths, asked, tuple(reports), notes, seconds, total)


def _policy(policy: Policy | str) -> Policy | str:
    from mxref.check.checkpoint._nvfp4 import RECIPES

    if isinstance(policy, str) and policy in RECIPES:
        return policy
    chosen = get_policy(policy)
    require_judgeable(chosen)
    return chosen


def _require_fit(policy: Policy | str | None, paired: Sequence[Pair]) -> None:
    """A recipe is about NVFP4, a policy about everything else."""
    from mxref.check.checkpoint._nvfp4 import RECIPES

    if policy is None:
        return
    is_recipe = isinstance(policy, str)
    for pair in paired:
        if is_recipe != (pair.found.format == "nvfp4"):
            offered = "a policy such as ocp" if is_recipe else f"one of {', '.join(RECIPES)}"
            name = getattr(policy, "name", policy)
            raise ValueError(
                f"{name} says nothing about {pair.found.format}, which {pair.found.name} is in: "
                f"claim {offered}, or choose tensors by name"
            )


def _wanted(name: str, patterns: Sequence[str] | None) -> bool:
    return patterns is None or any(fnmatch.fnmatchcase(name, p) for p in patterns)


def _paired(found: Found, source: Store) -> Pair | TensorReport | None:
    """A tensor with its source; else why it can't be judged; None for what is not MX."""
    from mxref.checkpoints.find import source_name

    if found.status == "not-mx":
        return None
    if found.status != "mx":
        why = [f"{found.status}: {note}" for note in found.notes]
        if found.candidates:
            fits = " or ".join(f"{layout} {name}" for layout, name in found.candidates)
            why.append(f"it may be {fits}: say which")
        return _untested(found, "", why)
    match = source_name(found, source)
    if match.name is None:
        return _untested(found, "", [f"no source: {note}" for note in match.notes])
    info = source.tensors[match.name]
    if info.dtype not in _FLOATS:
        note = (
            f"the source {match.name!r} is {info.dtype}; expected the weights before "
            "quantization, in F32, BF16, F16 or F64"
        )
        return _untested(found, match.name, [note])
    shape = info.shape
    turned = (*shape[:-2], *shape[:-3:-1])
    if found.shape != (turned if match.transposed else shape):
        return _untested(found, match.name, [f"the source does not fit: {n}" for n in match.notes])
    notes = tuple(dict.fromkeys((*found.notes, *match.notes)))
    return Pair(replace(found, notes=notes), match.name, match.transposed)


def _untested(found: Found, source: str, notes: Iterable[str]) -> TensorReport:
    return TensorReport(
        found.name,
        source,
        found.format,
        found.layout,
        tuple(found.shape),
        Verdict.NOT_TESTABLE,
        notes=tuple(notes),
    )


def _source_bytes(pair: Pair, source: Store) -> int:
    return int(source.tensors[pair.source_name].nbytes)


def _notes(found: Sequence[Found], ours: Store, paths: tuple[str, str]) -> Iterator[str]:
    other = [each for each in found if each.status == "not-mx"]
    if other:
        kinds = dict.fromkeys(note for each in other for note in each.notes)
        yield (
            f"{len(other):,} tensors are quantized in another way and were not judged: "
            f"{'; '.join(list(kinds)[:3])}."
        )
    if not found:
        yield (
            f"{paths[0]} holds no tensor that looks quantized in MX or NVFP4 "
            f"({len(ours.tensors):,} tensors); say --layout and --format if it does."
        )
    yield from getattr(ours, "notes", ())


class _Job:
    """The passes of one check."""

    def __init__(self, paths: tuple[str, str], policy: Policy | str | None, elements: int) -> None:
        self.paths, self.policy, self.elements = paths, policy, elements
        self.token = uuid.uuid4().hex

    def run(
        self,
        pool: Executor,
        paired: Sequence[Pair | TensorReport | None],
        stores: tuple[Store, Store],
        progress: Progress | None,
    ) -> list[TensorReport]:
        """Judge all pairs."""
        numbered = {n: p for n, p in enumerate(paired) if isinstance(p, Pair)}
        tensors: dict[int, Tensor] = {}
        units = (self._unit(n, p, self._candidates(p)) for n, p in numbered.items() if p.rows)
        for unit, known in _run(pool, identify, units):
            asked = asked_candidate(self.policy, unit.pair.found.format)
            tensors[unit.number] = Tensor(known, asked)
        self._scan(pool, {n: t.known.tried for n, t in tensors.items()}, tensors, stores, progress)
        for _ in range(2):
            more = self._more(pool, tensors)
            if not more:
                break
            self._scan(pool, more, tensors, stores, None)
        reports = []
        for number, each in enumerate(paired):
            if isinstance(each, TensorReport):
                reports.append(each)
            elif number in tensors:
                reports.append(tensors[number].report(stores))
            elif each is not None:
                reports.append(_untested(each.found, each.source_name, ["it holds no elements"]))
        return reports

    def _more(self, pool: Executor, tensors: dict[int, Tensor]) -> dict[int, tuple[Candidate, ...]]:
        """What else is worth a pass over all rows of some tensors."""
        more = {n: t.doubtful() for n, t in tensors.items() if t.alive}
        failing = {n: t for n, t in tensors.items() if not t.alive and t.known.verdict is None}
        cases = []
        for number, tensor in failing.items():
            case = tensor.case(self._unit(number, tensor.known.pair, ()))
            if case is not None and not tensor.notes:
                cases.append(case)
        found: dict[str, dict[str, Candidate]] = {}
        for case, answer in run_units(pool, diagnose, cases[:_DIAGNOSED], ordered=True):
            tensors[case.unit.number].learn(answer)
            if answer.found is not None:
                of_format = found.setdefault(case.unit.pair.found.format, {})
                of_format[answer.found.name] = answer.found
        for case in cases[_DIAGNOSED:]:
            note = f"Not diagnosed, as {_DIAGNOSED} others were: look at it alone."
            tensors[case.unit.number].learn(Diagnosis(notes=(note,)))
        # What explains one tensor may explain the others.
        for number, tensor in failing.items():
            tried = tuple(found.get(tensor.known.pair.found.format, {}).values())
            if tried:
                more[number] = (*tried, tensor.lead()[0])
        return {number: tried for number, tried in more.items() if tried}

    def _candidates(self, pair: Pair) -> tuple[Candidate, ...]:
        name = pair.found.format
        if name == "nvfp4":
            from mxref.check.checkpoint._nvfp4 import recipe_candidates

            return recipe_candidates()
        every = candidates(block_format(name))
        asked = asked_candidate(self.policy, name)
        if asked is None:
            return every
        return (asked, *(c for c in every if not set(c.names) & set(asked.names)))

    def _unit(self, number: int, pair: Pair, tried: tuple[Candidate, ...]) -> Unit:
        return Unit(self.token, number, pair, *self.paths, 0, pair.rows, tried)

    def _scan(
        self,
        pool: Executor,
        tried: dict[int, tuple[Candidate, ...]],
        tensors: dict[int, Tensor],
        stores: tuple[Store, Store],
        progress: Progress | None,
    ) -> None:
        """Compare all rows of some tensors with what is to be tried on each."""
        for number, some in tried.items():
            tensors[number].begin(some)
        of_row = {
            n: _source_bytes(tensors[n].known.pair, stores[1]) / tensors[n].known.pair.rows
            for n in tried
        }
        total = round(sum(of_row[n] * tensors[n].known.pair.rows for n in tried))
        done = 0.0

        def units() -> Iterator[Unit]:
            for number, some in tried.items():
                tensor = tensors[number]
                for start, stop in pairs.runs(tensor.known.pair, self.elements):
                    unit = self._unit(number, tensor.known.pair, some)
                    yield replace(unit, start=start, stop=stop, with_stats=tensor.rounds == 1)

        for unit, work in _run(pool, scan, units()):
            tensors[unit.number].add(work)
            done += of_row[unit.number] * (unit.stop - unit.start)
            if progress is not None:
                progress(round(done), total, unit.pair.found.name)


def _run(
    pool: Executor, function: Callable[[Unit], _Result], units: Iterator[Unit]
) -> Iterator[tuple[Unit, _Result]]:
    return run_units(pool, function, units, ordered=True, describe=_described)


def _described(unit: Unit) -> str:
    return f"{unit.pair.found.name}, rows {unit.start} to {unit.stop}"
