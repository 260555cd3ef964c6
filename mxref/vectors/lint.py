"""Rules for vector sets beyond the schema: what makes a set usable, not only readable."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mxref.faults import FAULTS
from mxref.vectors._loose import vector_paths
from mxref.vectors.model import Case, Manifest, Progress, VectorError, VectorFile, Verdict
from mxref.vectors.read import load, load_manifest

__all__ = ["MAX_BYTES", "MAX_COMMENT", "MAX_SAME_COMMENT", "lint"]

MAX_BYTES = 1_100_000
"""A vector file has at most about 1 MB, so that any editor and any diff can open it."""

MAX_COMMENT = 100
"""Characters of a comment: one line of a report."""

MAX_SAME_COMMENT = 256
"""Cases of a file that may share a comment, where the input alone does not say what is meant."""

# Operations on one number or code: the input of a case says all.
_SCALAR = ("encode", "decode", "nvfp4_scale_encode", "nvfp4_scale_decode")
# A comment that points at neighbours means something else as soon as cases are added or sorted.
_POSITIONAL = re.compile(
    r"\b(?:previous|preceding|following|see (?:above|below)|(?:same|as) (?:above|below|before)"
    r"|(?:first|last|next) (?:case|vector|entry|test)|(?:case|vector|entry|test) #?\d+)\b",
    re.IGNORECASE,
)
_SHOWN = 10
_REGENERATE = "regenerate the set with `mxref vectors generate`"


def lint(directory: str | os.PathLike[str], *, progress: Progress | None = None) -> list[str]:
    """Check a set against the rules that no schema can express.

    Parameters
    ----------
    directory : path
        The set, such as ``spec_vectors``.
    progress : callable, optional
        Called as ``progress(path, done, total)`` after each file.

    Returns
    -------
    list of str
        A sentence for each breach, with the file and the id of the case; empty if all is well.

    Raises
    ------
    VectorError
        If there is no such folder, or it holds no vector file.
    """
    root = Path(directory)
    if not root.is_dir():
        raise VectorError(f"{root}: there is no such folder; `mxref vectors generate` writes a set")
    paths = vector_paths(root)
    problems = list(_manifest_problems(root, paths))
    owner: dict[str, str] = {}
    for done, path in enumerate(paths, start=1):
        name = path.relative_to(root).as_posix()
        try:
            file = load(path)
        except VectorError as error:
            problems.append(str(error).replace(str(path), name, 1))
        else:
            problems += _size_problems(name, path)
            problems += _file_problems(name, file)
            problems += _limited(name, _case_problems(name, file))
            for case in file.cases:
                if owner.setdefault(case.id, name) != name:
                    problems.append(f"{name}: case {case.id} is in {owner[case.id]} as well")
        if progress is not None:
            progress(name, done, len(paths))
    return problems


# --- the set and its files -------------------------------------------------------------------


def _manifest_problems(root: Path, paths: list[Path]) -> Iterator[str]:
    try:
        manifest = load_manifest(root / "manifest.json")
    except VectorError as error:
        yield f"{error}; {_REGENERATE}"
        return
    yield from _listing_problems(root, manifest, {p.relative_to(root).as_posix() for p in paths})


def _listing_problems(root: Path, manifest: Manifest, present: set[str]) -> Iterator[str]:
    listed = {name for name, entry in manifest.files.items() if entry.cases}
    twins = {name.removesuffix(".json") + ".hex" for name in present}
    for name in sorted((present | twins) - listed):
        yield f"manifest.json: {name} is not listed with its cases; {_REGENERATE}"
    for name in sorted(manifest.files):
        if not (root / name).is_file():
            yield f"manifest.json: {name} is listed, but it is missing; {_REGENERATE}"


def _size_problems(name: str, path: Path) -> Iterator[str]:
    size = path.stat().st_size
    if size > MAX_BYTES:
        yield f"{name}: {size:,} bytes; a file has at most {MAX_BYTES:,}: split or thin its groups"


def _file_problems(name: str, file: VectorFile) -> Iterator[str]:
    if file.path != name:
        yield f"{name}: its header says that it is {file.path}"
    groups = [group.name for group in file.covergroups]
    used = Counter(_group_of(case, groups) for case in file.cases)
    for group in file.covergroups:
        if not used[group.name]:
            yield f"{name}: no case is of the covergroup {group.name}, which the header lists"
        if not group.reason.strip():
            yield f"{name}: the covergroup {group.name} has no reason"
        if not group.clauses:
            yield f"{name}: the covergroup {group.name} is about no clause"
    if file.operation not in _SCALAR:
        for comment, count in Counter(case.comment for case in file.cases).items():
            if count > MAX_SAME_COMMENT:
                yield (
                    f"{name}: {count} cases have the comment {comment!r}; say what each is about "
                    f"(at most {MAX_SAME_COMMENT} may share one)"
                )


def _limited(name: str, problems: Iterator[str]) -> Iterator[str]:
    """Pass on a few problems of a file: one mistake in a generator shows in every case."""
    more = 0
    for number, problem in enumerate(problems):
        if number < _SHOWN:
            yield problem
        else:
            more += 1
    if more:
        yield f"{name}: and {more} more problems of cases"


# --- cases -----------------------------------------------------------------------------------


def _group_of(case: Case, groups: list[str]) -> str | None:
    """The covergroup that a comment begins with."""
    name = case.comment.partition(":")[0]
    return name if name in groups else None


def _case_problems(name: str, file: VectorFile) -> Iterator[str]:
    groups = [group.name for group in file.covergroups]
    header = set(file.clauses)
    for case in file.cases:
        where = f"{name}: case {case.id}"
        for problem in (
            *_comment_problems(case, groups),
            *_obligation_problems(case, header),
            *_flag_problems(case),
        ):
            yield f"{where}: {problem}"


def _comment_problems(case: Case, groups: list[str]) -> Iterator[str]:
    if _group_of(case, groups) is None:
        yield f"the comment {case.comment!r} begins with no covergroup of the header"
    if len(case.comment) > MAX_COMMENT:
        yield f"the comment has {len(case.comment)} characters; at most {MAX_COMMENT}"
    found = _POSITIONAL.search(case.comment)
    if found:
        yield f"the comment says {found[0]!r}: cases have no position, say what the case is"


def _obligation_problems(case: Case, header: set[str]) -> Iterator[str]:
    if not case.clauses:
        yield "no clause says why"
    missing = sorted(set(case.clauses) - header)
    if missing:
        yield f"the header does not list {', '.join(missing)}"
    outputs = [member.out for member in case.members]
    if case.verdict is Verdict.MUST and len(outputs) != 1:
        yield f"must, with {len(outputs)} outputs; a choice is one_of"
    if case.verdict is Verdict.ONE_OF and len(outputs) < 2 and None not in outputs:
        yield "one_of, with one output; that is must"
    if case.verdict is Verdict.OPEN and not any(c.startswith("OP-") for c in case.clauses):
        yield "open, but no open point (OP-...) is among its clauses"
    if len(set(outputs)) != len(outputs):
        yield "an output is listed twice; join the labels of the two members"


def _flag_problems(case: Case) -> Iterator[str]:
    unknown = [flag for flag in case.flags if flag not in FAULTS]
    if unknown:
        yield f"no known fault has the id {', '.join(unknown)}; mxref.faults.FAULTS has them all"
    if list(case.flags) != sorted(set(case.flags), key=_natural):
        yield f"flags are not in order, or twice: {', '.join(case.flags)}"


def _natural(flag: str) -> tuple[str, int]:
    return flag[0], int(flag[1:])
