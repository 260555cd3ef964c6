"""Whose implementation is this? Which profiles give every bit, and what rules each other one out.

A kernel that can be driven gets a few inputs chosen to tell the profiles apart, and then all that
is designed for its operation. Given data are compared as they are.

Examples
--------
>>> import mxref
>>> found = identify(lambda x: mxref.quantize(x, "mxfp4", policy="mlx"), "mxfp4")
>>> found.names
('mlx',)
>>> theirs = {c.name: c for c in found.excluded}["ocp"]
>>> theirs.place, found.chosen, str(theirs.witness)
(1, 5, '[0]: amax 7.0 (0x40e00000) gave 0x80 (2^1), expected 0x7f (2^0)')
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mxref._suggest import unknown_name
from mxref.check._call import Caller
from mxref.check._drive import INPUT_DTYPES
from mxref.check._guard import GuardedKernel, signature
from mxref.check.identify._answers import (
    Answers,
    Fmt,
    Inputs,
    answers_of_kernel,
    answers_of_policy,
    are_ordinary,
    as_rows,
    witness,
)
from mxref.check.identify._data import as_data
from mxref.check.identify._inputs import Choice, choice_of, covering
from mxref.check.identify._result import Candidate, Identification
from mxref.check.target import Target, TargetError, TargetOptions, load_target
from mxref.formats import block_format, scalar_format
from mxref.profiles import OPERATIONS, PROFILES, Profile

__all__ = ["Candidate", "Identification", "identification_set", "identify", "identify_data"]


def identification_set(format: str | Fmt, op: str = "quantize") -> Inputs:  # noqa: A002
    """Return the few inputs that tell apart all profiles that can be told apart at all.

    Parameters
    ----------
    format : str or format
        A block format for ``quantize`` and ``dequantize``, else an element format or ``"e8m0"``.
    op : str
        ``"quantize"``, ``"dequantize"``, ``"encode"`` or ``"decode"``.

    Returns
    -------
    tuple of ndarray
        The arguments of a kernel for the operation, one row an input.

    Examples
    --------
    >>> (x,) = identification_set("e8m0", "encode")
    >>> x.tolist()
    [-1.25, inf, 0.0]
    """
    choice = choice_of(op, _format(format, op), "float32")
    return tuple(array[: choice.chosen].copy() for array in choice.inputs)


def identify(
    fn_or_target: Callable[..., Any] | Target | str,
    format: str | Fmt,  # noqa: A002
    op: str = "quantize",
    *,
    timeout: float | None = None,
    input_dtype: str = "float32",
) -> Identification:
    """Drive a kernel, and say whose it is.

    Parameters
    ----------
    fn_or_target : callable, Target or str
        A function as `mxref.check.kernel` takes it, or a target or its name.
    format : str or format
    op : str
        ``"quantize"``, ``"dequantize"``, ``"encode"`` or ``"decode"``.
    timeout : float, optional
        Seconds that a call may take.
    input_dtype : str
        What a kernel takes where it takes numbers: ``"float32"``, ``"bfloat16"`` or ``"float16"``.

    Returns
    -------
    Identification

    Raises
    ------
    TargetError
        If the target does not exist, cannot be run, or returns something else than it should.
    ValueError
        If the format, the operation or the input type does not exist.
    """
    fmt = _format(format, op)
    if input_dtype not in INPUT_DTYPES:
        raise ValueError(unknown_name("input type", input_dtype, INPUT_DTYPES))
    if isinstance(fn_or_target, str):
        options = TargetOptions(input_type=input_dtype)
        with load_target(fn_or_target, fmt.name, op, options) as target:
            return identify(target, fmt, op, timeout=timeout, input_dtype=input_dtype)
    drive = _Drive(fmt, op, timeout, input_dtype)
    if isinstance(fn_or_target, Target):
        return drive.identify(*_kernel(fn_or_target, fmt, op))
    if not callable(fn_or_target):
        raise TypeError(
            f"expected a function, a Target or its name, got {type(fn_or_target).__name__}"
        )
    return drive.identify(fn_or_target, "the function")


def _kernel(target: Target, fmt: Fmt, op: str) -> tuple[Callable[..., Any], str]:
    for kernel in target.kernels:
        if kernel.op == op and kernel.format == fmt.name:
            return kernel.fn, target.title
    raise TargetError(f"{target.name} has no kernel for {op} {fmt.name}", kind="not-claimed")


@dataclass(frozen=True, slots=True)
class _Drive:
    """How kernels are driven."""

    fmt: Fmt
    op: str
    timeout: float | None
    input_dtype: str

    def identify(self, fn: Callable[..., Any], title: str) -> Identification:
        """Run a kernel on all inputs, and compare."""
        choice = choice_of(self.op, self.fmt, self.input_dtype)
        caller = Caller(fn, signature(self.op, self.input_dtype), self.timeout)
        call = GuardedKernel(caller, self.op, self.fmt)
        theirs = answers_of_kernel(call, self.op, choice.inputs)
        tally = _Tally(self.op, self.fmt)
        tally.add(choice.inputs, theirs)
        return tally.result(title, choice)


def identify_data(
    op: str,
    *arrays: ArrayLike,
    format: str | Fmt,  # noqa: A002
    axis: int = -1,
    block_size: int | None = None,
) -> Identification:
    """Say whose given codes or values are.

    Parameters
    ----------
    op : str
        ``"quantize"``, ``"dequantize"``, ``"encode"`` or ``"decode"``.
    *arrays : array_like
        What went in and what came out, as the function of that name in `mxref.check` takes it:
        ``x, codes, scales`` for ``quantize``; ``codes, scales, y`` for ``dequantize``; ``x, codes``
        for ``encode``; ``codes, y`` for ``decode``.
    format : str or format
    axis : int
        Blocked axis.
    block_size : int, optional
        Block length; default 32.

    Returns
    -------
    Identification

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit.

    Examples
    --------
    >>> x = np.array([0.25, 0.75], np.float32)
    >>> found = identify_data("encode", x, np.array([0, 2], np.uint8), format="e2m1")
    >>> found.names
    ('ocp', 'p3109', 'cuda', 'hip-host', 'gfloat', 'onnx', 'ml_dtypes')
    >>> found.undecided[0]
    '-0.25 (0xbe800000) gives ocp 0x8 (-0.0), p3109 0x0 (0.0)'
    """
    if not isinstance(op, str):
        raise TypeError(
            f"the first argument is the operation, got {type(op).__name__}: "
            "identify_data('quantize', x, codes, scales, format='mxfp4'), for example; or "
            f"one of {', '.join(map(repr, OPERATIONS))}"
        )
    fmt = _format(format, op)
    if block_size is not None:
        fmt = block_format(fmt, block_size)  # type: ignore[arg-type]  # a scalar format raises there
    data = as_data(op, arrays, fmt, axis)
    tally = _Tally(op, fmt, data.where)
    for given, outputs in data.pieces():
        rows = as_rows(op, outputs)
        tally.add(given, Answers(rows, np.zeros(len(rows), np.bool_)))
    return tally.result("the given data", choice_of(op, fmt, "float32"), is_data=True)


# --- counting -----------------------------------------------------------------------------------


class _Tally:
    """How often each profile gives the same answer, and where it first does not."""

    def __init__(
        self, op: str, fmt: Fmt, where: Callable[[tuple[int, ...]], tuple[int, ...]] | None = None
    ) -> None:
        self.op, self.fmt, self.where = op, fmt, where
        self.profiles = covering(op, fmt)
        self.policies = dict.fromkeys(profile.policy for profile in self.profiles)
        self.seen: dict[Any, list[int]] = {policy: [0, 0] for policy in self.policies}
        self.first: dict[Any, tuple[int, Any]] = {}
        self.usual: dict[Any, bool] = dict.fromkeys(self.policies, True)
        self.total = 0
        self.last: tuple[Inputs, Answers] | None = None

    def add(self, given: Inputs, theirs: Answers) -> None:
        """Compare some rows; a policy that has been ruled out altogether is not asked again."""
        ordinary = are_ordinary(self.op, given, theirs)
        for policy in self.policies:
            if policy in self.first and not self.usual[policy]:
                continue
            ours = answers_of_policy(policy, self.op, self.fmt, given)
            wrong = theirs.differs(_as_wide(ours, theirs))
            self.seen[policy][0] += int(np.count_nonzero(~wrong))
            self.seen[policy][1] += len(wrong)
            self.usual[policy] &= not wrong[ordinary].any()
            if wrong.any() and policy not in self.first:
                row = int(np.argmax(wrong))
                sides = (theirs, _as_wide(ours, theirs))
                shown = witness(self.op, self.fmt, given, row, sides)
                index = (self.total + row, *shown.index[1:])
                if self.where is not None:
                    index = self.where(index)
                self.first[policy] = (self.total + row, replace(shown, index=index))
        self.total += len(given[0])
        if self.last is None:
            self.last = (given, theirs)

    def result(self, title: str, choice: Choice, *, is_data: bool = False) -> Identification:
        """Sum up."""
        candidates = [self._candidate(profile) for profile in self.profiles]
        names = {c.name for c in candidates if c.matches}
        excluded = sorted(
            (c for c in candidates if not c.matches), key=lambda c: (-c.usual, -c.share)
        )
        differs: tuple[str, ...] = ()
        if excluded and not names and self.last is not None:
            differs = tuple(_differences(self.op, self.fmt, excluded[0], self.last))
        groups = [group for group in choice.alike if len(group) > 1]
        undecided = _undecided(choice, names, self) if is_data else ()
        return Identification(
            op=self.op,
            format=self.fmt.name,
            title=title,
            matches=tuple(c for c in candidates if c.matches),
            excluded=tuple(excluded),
            alike=tuple(groups),
            absent=tuple(name for name in PROFILES if name not in {c.name for c in candidates}),
            chosen=0 if is_data else choice.chosen,
            inputs=self.total,
            differs=differs,
            undecided=undecided,
        )

    def _candidate(self, profile: Profile) -> Candidate:
        agreed, total = self.seen[profile.policy]
        place, shown = self.first.get(profile.policy, (-1, None))
        faults: tuple[str, ...] = ()
        if shown is not None and self.last is not None:
            faults = _known_faults(self.op, self.fmt, profile, self.last)
        return Candidate(
            name=profile.name,
            title=profile.title,
            versions=profile.versions,
            agreed=agreed,
            total=total,
            place=place + 1,
            witness=shown,
            faults=faults,
            usual=self.usual[profile.policy],
            diverges=bool(profile.divergences),
        )


def _as_wide(ours: Answers, theirs: Answers) -> Answers:
    """Give answers the width of others: where everything was refused there is only a column."""
    missing = theirs.rows.shape[1] - ours.rows.shape[1]
    if missing <= 0:
        return ours
    return Answers(np.pad(ours.rows, ((0, 0), (0, missing))), ours.refused)


def _undecided(choice: Choice, names: set[str], tally: _Tally) -> tuple[str, ...]:
    """For data that allow several profiles which are not the same: what would decide."""
    heads = [group[0] for group in choice.alike if set(group) & names]
    found = []
    few = tuple(array[: choice.chosen] for array in choice.inputs)
    for other in heads[1:]:
        policies = [PROFILES[name].policy for name in (heads[0], other)]
        sides = [answers_of_policy(policy, tally.op, tally.fmt, few) for policy in policies]
        wrong = sides[0].differs(sides[1])
        row = int(np.argmax(wrong))
        shown = witness(tally.op, tally.fmt, few, row, (sides[0], sides[1]))
        text = str(shown).partition(": ")[2]
        text = text.replace(" gave ", f" gives {heads[0]} ").replace("expected", other)
        found.append(text)
    return tuple(dict.fromkeys(found))


# --- what a profile leaves unsaid -----------------------------------------------------------------


def _report(op: str, fmt: Fmt, profile: Profile, data: tuple[Inputs, Answers]) -> Any:
    """Check the answers under a profile's policy."""
    from mxref import check

    given, theirs = data
    kept = ~theirs.refused
    rows, given = theirs.rows[kept], tuple(array[kept] for array in given)
    if op == "quantize":
        outputs: Inputs = (rows[:, 1:].astype(np.uint8), rows[:, :1].astype(np.uint8))
    elif op == "encode":
        outputs = (rows[:, 0].astype(np.uint8),)
    else:
        outputs = (rows.view(np.float32).reshape(given[0].shape),)
    judge: Callable[..., Any] = getattr(check, op)
    return judge(*given, *outputs, fmt, policy=profile.policy)


def _known_faults(
    op: str, fmt: Fmt, profile: Profile, data: tuple[Inputs, Answers]
) -> tuple[str, ...]:
    """Name the faults that a profile is known to have, if they alone explain what differs."""
    known = [m.group(1) for d in profile.divergences if (m := re.match(r"([SED]\d+):", d))]
    if not known or op != "encode":
        return ()
    report = _report(op, fmt, profile, data)
    found = [finding.id for finding in report.findings]
    is_explained = report.verdict == "defect" and set(found) <= set(known)
    return tuple(dict.fromkeys(found)) if is_explained else ()


def _differences(
    op: str, fmt: Fmt, nearest: Candidate, data: tuple[Inputs, Answers]
) -> Iterable[str]:
    """Say in which fields the nearest profile is departed from, or by which faults."""
    profile = PROFILES[nearest.name]
    try:
        report = _report(op, fmt, profile, data)
    except (ValueError, TypeError):  # a policy that refuses what was answered
        return
    for finding in report.findings:
        certain = "" if finding.certain else ", in part"
        if finding.policy_change:
            for field, choice in finding.policy_change.items():
                own = getattr(profile.policy, field)
                yield f"{field}={choice}, where {profile.name} has {own}{certain}"
        else:
            detail = f" ({finding.detail})" if finding.detail else ""
            yield f"{finding.id}: {finding.title}{detail}{certain}"


# --- arguments ----------------------------------------------------------------------------------


def _format(format: str | Fmt, op: str) -> Fmt:  # noqa: A002
    if op not in OPERATIONS:
        raise ValueError(unknown_name("operation", op, OPERATIONS))
    if op in ("quantize", "dequantize"):
        return block_format(format)  # type: ignore[arg-type]  # a scalar format raises there
    return scalar_format(format)  # type: ignore[arg-type]  # likewise
