"""Check of a quantizer's output: scale codes and element codes for given values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mxref import _inputs as inputs
from mxref import arrays
from mxref.check._compare import Comparison, compare, without_refusals
from mxref.check._coverage import coverage_notes
from mxref.check._elements import encode_given
from mxref.check._findings import choice_finding
from mxref.check._problem import Problem
from mxref.check._stages import Stage, judge_elements, judge_scales
from mxref.check._witness import element_witness, scale_witness
from mxref.check.report import Finding, Mismatches, Report, Verdict, Witness
from mxref.faults.legal import require_judgeable
from mxref.formats import BlockFormat, block_format
from mxref.policy import Policy, get_policy
from mxref.profiles import PROFILES, Profile

__all__ = ["judge", "quantize"]


def quantize(
    x: ArrayLike,
    codes: ArrayLike,
    scales: ArrayLike,
    format: str | BlockFormat,  # noqa: A002
    axis: int = -1,
    policy: Policy | str | None = None,
    *,
    block_size: int | None = None,
) -> Report:
    """Judge what a quantizer made of an array, and name what is wrong.

    Scales and elements are judged apart: elements are judged given the emitted scale codes, so that
    a wrong scale rule does not look like a wrong encoder.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or ml_dtypes.bfloat16
        What was quantized. A length that is not a multiple of the block size is taken as padded
        with zeros.
    codes : array of uint8 (or of the element's ml_dtypes type)
        Element codes, one in each byte, in the shape of `x`.
    scales : array of uint8 (or float8_e8m0fnu)
        Scale codes: the shape of `x` with the length of `axis` divided by the block size.
    format : str or BlockFormat
    axis : int
        Blocked axis.
    policy : Policy or str, optional
        What the quantizer claims; default: find out, starting from ``"ocp"``.
    block_size : int, optional
        Block length; default 32.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit; if the policy is stochastic or searches for
        scales (OP-ELEM-STOCHASTIC, OP-SCALE-RULE), which cannot be judged yet.

    Notes
    -----
    Clauses MX-1.0/6.3/scale and MX-1.0/6.3/elements. What differs without effect, such as the
    scale of an all-zero block, is noted and never counted.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([6.0, 2.5] + [0.0] * 30, np.float32)
    >>> codes = np.zeros(32, np.uint8)
    >>> codes[:2] = 7, 5  # 2.5 is a tie of 2 and 3: rounded away from zero
    >>> report = quantize(x, codes, np.array([127], np.uint8), "mxfp4")
    >>> report.verdict, report.findings[0].id, report.policy.name
    (<Verdict.CONFORMS_AS: 'conforms-as'>, 'E1', 'ocp:rounding=nearest-away')
    """
    problem = _problem(x, codes, scales, block_format(format, block_size), axis)
    asked = None if policy is None else get_policy(policy)
    return judge("quantize", problem, asked)


def _problem(x: Any, codes: Any, scales: Any, fmt: BlockFormat, axis: int) -> Problem:
    values, _ = inputs.as_float(x)
    given = inputs.as_codes(codes, fmt.element.name)
    shared = inputs.as_codes(scales, fmt.scale.name, "scales")
    where = inputs.normal_axis(axis, values.shape)
    if given.shape != values.shape:
        raise ValueError(f"codes have shape {given.shape}; expected that of x, {values.shape}")
    expected = inputs.scale_shape(values.shape, where, fmt.block_size, pad=True)
    if shared.shape != expected:
        raise ValueError(
            f"scales have shape {shared.shape}; expected {expected}: one for each block of "
            f"{fmt.block_size} along axis {where} of {values.shape}"
        )
    inputs.check_range(given, fmt.element.code_count, fmt.element.name)
    return Problem(values, given, shared, fmt, where)


def judge(op: str, problem: Problem, asked: Policy | None) -> Report:
    """Judge the codes of a problem; what `quantize` and the check of elements share."""
    name = problem.fmt.element.name if problem.lone else problem.fmt.name
    total = Mismatches(0, 0, 0 if problem.lone else problem.n_blocks, problem.n_elements)
    if problem.n_elements == 0:
        empty = ("The input is empty: there is nothing to judge.",)
        return Report(op, name, Verdict.NOT_TESTABLE, None, asked, (), total, empty)
    wanted = asked if asked is not None else get_policy(None)
    require_judgeable(wanted)
    base = without_refusals(wanted)
    refused = base if base == wanted or not _refuses(problem, wanted) else wanted
    seen = compare(problem, base)
    notes = [*_silent_notes(seen), *coverage_notes(problem)]
    if seen.clean and refused is base:
        return Report(op, name, Verdict.CONFORMS, wanted, asked, (), total, tuple(notes))
    stages = _stages(problem, base, seen)
    found = wanted if refused is base else base
    for stage in stages:
        found = found.replace(**{f: v for f, (v, _) in stage.policy.diff(base).items()})
        notes[:0] = stage.notes
    findings = [finding for stage in stages for finding in stage.findings]
    if refused is wanted:
        findings += _refusals(problem, wanted, base)
    findings.sort(key=lambda f: (f.residual > 0, f.legal, -f.explains))
    counts = Mismatches(
        seen.scales,
        seen.elements,
        total.total_scales,
        total.total_elements,
        _first(problem, seen, base),
    )
    verdict = _verdict(problem, stages, findings, found)
    keeps = verdict is Verdict.CONFORMS_AS
    if keeps:
        notes[:0] = _profile_notes(op, problem, found)
    return Report(
        op, name, verdict, found if keeps else None, asked, tuple(findings), counts, tuple(notes)
    )


def _stages(problem: Problem, base: Policy, seen: Comparison) -> list[Stage]:
    stages = []
    if seen.scales:
        stages.append(judge_scales(problem, base, seen))
        base = stages[0].policy  # which blocks are flushed depends on the rule
    if seen.elements:
        stages.append(judge_elements(problem, base, seen))
    return stages


def _verdict(
    problem: Problem, stages: list[Stage], findings: list[Finding], found: Policy
) -> Verdict:
    if any(stage.residual or not stage.findings for stage in stages):
        return Verdict.UNEXPLAINED
    if not all(f.legal for f in findings):
        return Verdict.DEFECT
    # The stages were inferred by another implementation: only the kernels' word counts.
    return Verdict.CONFORMS_AS if compare(problem, found).clean else Verdict.UNEXPLAINED


def _profile_notes(op: str, problem: Problem, found: Policy) -> list[str]:
    """Name the profiles that give the same bits: a name says more than a list of fields."""
    return [
        f"The profile {name} gives the same bits."
        for name, profile in PROFILES.items()
        if profile.policy != found
        and _has(profile, op, problem)
        and compare(problem, without_refusals(profile.policy)).clean
    ]


def _has(profile: Profile, op: str, problem: Problem) -> bool:
    """Whether the described thing does this conversion, and a check can follow it."""
    names = profile.formats
    if problem.lone:
        names = tuple(block_format(name).element.name for name in names)
    name = problem.fmt.element.name if problem.lone else problem.fmt.base
    try:
        require_judgeable(profile.policy)
    except ValueError:
        return False
    return op in profile.operations and name in names


def _refuses(problem: Problem, policy: Policy) -> bool:
    """Whether a policy refuses the input."""
    try:
        for piece in problem.pieces():
            if problem.lone:
                arrays.encode(piece.x, problem.fmt.element, policy)
            else:
                arrays.quantize(piece.x, problem.fmt, -1, policy)
    except ValueError:
        return True
    return False


def _refusals(problem: Problem, wanted: Policy, base: Policy) -> list[Finding]:
    changes = base.diff(wanted)
    return [
        choice_finding((field, found, expected), problem.fmt.element, 1.0, 0, None)
        for field, (found, expected) in changes.items()
    ]


def _silent_notes(seen: Comparison) -> list[str]:
    notes = []
    if seen.silent_scales:
        notes.append(
            f"{seen.silent_scales:,} scale codes of all-zero blocks differ; every scale but NaN "
            "decodes to the same zeros there."
        )
    if seen.silent_codes:
        notes.append(
            f"{seen.silent_codes:,} element codes under a NaN scale differ; they decode to NaN "
            "whatever they are."
        )
    return notes


def _first(problem: Problem, seen: Comparison, base: Policy) -> Witness | None:
    """The first mismatch: of a scale if there is one, else of an element."""
    blocks = seen.bad_scales()
    if len(blocks):
        block, _ = problem.first(blocks, np.zeros_like(blocks))
        piece = problem.take(np.array([block]))
        expected = arrays.quantize(piece.x, problem.fmt, -1, base).scales[0, 0]
        return scale_witness(problem, block, int(expected))
    if not seen.elements:
        return None
    block, lane = problem.first(seen.bad_blocks(), seen.lanes())
    piece = problem.take(np.array([block]))
    codes = encode_given(piece.x, piece.scales, problem.fmt, base)
    return element_witness(problem, block, lane, int(codes[0, lane]))
