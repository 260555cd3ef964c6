"""Whether the published vectors notice a mutant: each runs in a process of its own.

The kernels run without a compiler, as lane programs on NumPy arrays. A forked child takes the
mutated text in place of one module of ``mxref.kernels``, imports anew all that stands on it, and
compares with the vector files as `mxref vectors verify` does, until the first difference.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib.abc
import importlib.util
import json
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import replay

__all__ = ["KERNELS", "ROOT", "Step", "Verdict", "coverage", "judge_all", "load_set", "record"]

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ROOT / "mxref" / "kernels"
_FIRST_STEP = 8  # one case in so many comes first
_MEMORY = 6 << 30
_LIMIT = 60  # seconds: ten times what the whole set takes


class Verdict(NamedTuple):
    """What became of a mutant: killed, error, timeout, survived; not reached where no line of it
    is executed by any file."""

    outcome: str
    file: str = ""
    detail: str = ""
    seconds: float = 0.0


class Step(NamedTuple):
    """A vector file, or some of its cases."""

    name: str
    file: Any


def load_set(folder: Path = ROOT / "spec_vectors") -> list[Step]:
    """What a mutant has to pass, cheap files and the likeliest killers first.

    First some cases of each file that carry no label, which is a single policy; then all.

    Nothing of Numba may be loaded before: from here on this process does without a compiler.
    """
    if "numba" in sys.modules and os.environ.get("NUMBA_DISABLE_JIT") != "1":
        raise RuntimeError("numba was loaded before NUMBA_DISABLE_JIT could be set")
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    sys.path.insert(0, str(ROOT))  # this tree, wherever else mxref is installed
    import mxref.vectors.read

    entries = mxref.vectors.read.load_manifest(folder / "manifest.json").files
    # matmul/ tests no kernel of conversions, and its models would run without a compiler here.
    names = sorted(
        name
        for name in entries
        if name.endswith(".json") and entries[name].cases and not name.startswith("matmul/")
    )
    files = [(name, mxref.vectors.read.load(folder / name)) for name in names]
    steps = []
    for name, file in files:
        plain = [c for c in file.cases if not any(w for m in c.members for w in m.when)]
        some = dataclasses.replace(file, cases=plain[::_FIRST_STEP])
        steps.append(Step(name, some))
    whole = [Step(name, file) for name, file in files]
    # What runs under few policies is fast.
    _above_kernels()  # once, for all children
    whole.sort(key=lambda step: (step.file.operation != "decode", _policies(step.file)))
    return [*steps, *whole]


def _policies(file: Any) -> int:
    labels = {json.dumps(sorted(w.items())) for c in file.cases for m in c.members for w in m.when}
    return len(labels)


# --- modules in place of others --------------------------------------------------------------


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module another text."""

    def __init__(self, name: str, path: Path, text: str) -> None:
        self.name, self.path, self.text = name, path, text

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        del path, target
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def create_module(self, spec: Any) -> None:
        del spec

    def exec_module(self, module: Any) -> None:
        exec(compile(self.text, str(self.path), "exec"), module.__dict__)


def _imported(name: str) -> Iterator[str]:
    """The modules that a loaded module has imported at once; a parent package is none of them."""
    path = getattr(sys.modules[name], "__file__", None)
    if path is None:
        return
    for node in ast.parse(Path(path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@functools.cache
def _above_kernels() -> list[str]:
    """Loaded modules that stand on ``mxref.kernels``, itself included."""
    loaded = [n for n in sys.modules if n.partition(".")[0] == "mxref"]
    needs = {name: set(_imported(name)) for name in loaded}
    found = {name for name in loaded if name.startswith("mxref.kernels")}
    while more := {n for n in loaded if n not in found and needs[n] & found}:
        found |= more
    return sorted(found - {"mxref"})


def _forget() -> None:
    for name in _above_kernels():
        module = sys.modules.pop(name, None)
        parent, _, leaf = name.rpartition(".")
        space = vars(sys.modules[parent]) if parent in sys.modules else {}
        if module is not None and space.get(leaf) is module:
            del space[leaf]


def _compare(steps: Iterable[Step]) -> Verdict:
    from mxref.vectors import recheck

    for step in steps:
        problem = next(iter(recheck.expectation_problems(step.file)), None)
        if problem is not None:
            return Verdict("killed", step.name, str(problem))
    return Verdict("survived")


def record(steps: list[Step]) -> replay.Recorder:
    """The calls that the steps make; in this process, so that each child has them."""
    recorder, seen = replay.Recorder(), set()
    with recorder.recording():
        for step in steps[::-1]:  # the whole files
            if step.name not in seen:
                seen.add(step.name)
                recorder.step = step.name
                found = _compare([step])
                if found.outcome == "killed":
                    raise RuntimeError(f"the sources themselves disagree: {found.detail}")
    recorder.calls.reverse()
    return recorder


def _judge(
    module: str, text: str, steps: list[Step], recorder: replay.Recorder | None = None
) -> Verdict:
    """Run a mutant in this process; it is good for nothing else afterwards."""
    name = f"mxref.kernels.{Path(module).stem}"
    sys.meta_path.insert(0, _Mutated(name, KERNELS / module, text))
    _forget()
    place = ""
    try:
        if recorder is not None:
            differing = replay.first_difference(recorder, module, {step.name for step in steps})
            if differing is None:
                return Verdict("survived")
            # Stable: otherwise in the same order.
            steps = sorted(steps, key=lambda step: step.name != differing)
            _forget()
        for step in steps:
            place = step.name
            found = _compare([step])
            if found.outcome == "killed":
                return found
    except Exception as problem:  # noqa: BLE001  # whatever a mutant does
        return Verdict("error", place, f"{type(problem).__name__}: {problem}"[:300])
    return Verdict("survived")


def _lines(step: Step) -> list[tuple[str, int]]:
    """The lines of the kernels that a file executes, imports included."""
    seen: set[tuple[str, int]] = set()
    folder = str(KERNELS)

    def local(frame: Any, event: str, _: Any) -> Any:
        if event == "line":
            seen.add((frame.f_code.co_filename, frame.f_lineno))
        return local

    def trace(frame: Any, event: str, _: Any) -> Any:
        del event
        return local if frame.f_code.co_filename.startswith(folder) else None

    _forget()
    sys.settrace(trace)
    try:
        _compare([step])
    finally:
        sys.settrace(None)
    return [(Path(path).name, line) for path, line in seen]


# --- processes ---------------------------------------------------------------------------------


def _in_child(work: Callable[[], Any], limit: int) -> tuple[int, int]:
    """Start `work` in a forked process; return its id and where its JSON can be read."""
    read, write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(write)
        return pid, read
    try:
        os.close(read)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        warnings.simplefilter("ignore")
        with os.fdopen(write, "w") as out:
            out.write(json.dumps(work()))
    finally:
        os._exit(0)


@dataclasses.dataclass
class _Running:
    index: int
    pid: int
    pipe: int
    started: float
    text: bytes = b""


def _run_all(
    jobs: list[Callable[[], Any]], processes: int, limit: int
) -> Iterator[tuple[int, Any, float]]:
    """Yield (index, result, seconds) as jobs end.

    The result is "timeout" for one that took `limit` seconds of its processor, however busy the
    machine is, or ten times as long; and None for one that ended otherwise.
    """
    waiting, running = list(enumerate(jobs))[::-1], {}
    while waiting or running:
        while waiting and len(running) < processes:
            index, job = waiting.pop()
            pid, pipe = _in_child(job, limit)
            running[pipe] = _Running(index, pid, pipe, time.monotonic())
        ready, _, _ = select.select(list(running), [], [], 1.0)
        now = time.monotonic()
        for child in list(running.values()):
            is_late = now - child.started > 10 * limit
            if is_late:
                os.kill(child.pid, signal.SIGKILL)
            elif child.pipe not in ready:
                continue
            elif part := os.read(child.pipe, 1 << 16):
                child.text += part
                continue
            os.close(child.pipe)
            status = os.waitpid(child.pid, 0)[1]
            del running[child.pipe]
            ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            result = json.loads(child.text) if child.text and not ended_by else None
            is_late |= ended_by in (signal.SIGXCPU, signal.SIGKILL)
            yield child.index, "timeout" if is_late else result, now - child.started


def coverage(steps: list[Step], processes: int) -> list[set[tuple[str, int]]]:
    """For each step, the lines of the kernels that its file executes."""
    files = {step.name: step for step in steps}  # the last of a name is the whole file
    jobs = [lambda step=step: _lines(step) for step in files.values()]
    found: dict[str, set[tuple[str, int]]] = {}
    for index, lines, _ in _run_all(jobs, processes, 600):
        name = list(files)[index]
        if lines is None or lines == "timeout":
            raise RuntimeError(f"{name}: no lines were recorded")
        found[name] = {(module, line) for module, line in lines}
    return [found[step.name] for step in steps]


def judge_all(
    mutants: list[Any],
    steps: list[Step],
    lines: list[set[tuple[str, int]]],
    processes: int,
    recorder: replay.Recorder | None = None,
) -> Iterator[tuple[Any, Verdict]]:
    """Judge mutants, in whatever order they end; steps that don't reach one are left out.

    Parameters
    ----------
    mutants : list
        With `module`, `function`, `lines` and `text`.
    lines : list of set
        What `coverage` returned for the steps.
    recorder : Recorder, optional
        What `record` returned for them: survivors are then found sooner.
    """
    jobs, asked = [], []
    for mutant in mutants:
        first, last = mutant.lines
        span = {(mutant.module, line) for line in range(first, last + 1)}
        reaching = [s for s, seen in zip(steps, lines, strict=True) if span & seen]
        if not reaching:
            yield mutant, Verdict("not reached")
            continue
        asked.append(mutant)
        known = recorder if replay.is_replayable(mutant.function) else None
        jobs.append(lambda m=mutant, some=reaching, r=known: _judge(m.module, m.text, some, r))
    for index, found, seconds in _run_all(jobs, processes, _LIMIT):
        if found == "timeout":
            verdict = Verdict("timeout", detail=f"more than {_LIMIT} seconds of the processor")
        elif found is None:
            verdict = Verdict("error", detail="the process ended")
        else:
            verdict = Verdict(*found)
        yield asked[index], verdict._replace(seconds=round(seconds, 2))
