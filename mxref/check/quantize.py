"""Check of a quantizer's output: scale codes and element codes for given values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref import arrays
from mxref._policy_base import Choices
from mxref.check._compare import Comparison, agrees, compare, without_refusals
from mxref.check._constant import FEWEST, constant_place, is_varied
from mxref.check._element_stage import judge_elements
from mxref.check._elements import encode_given
from mxref.check._families import quantize_relative
from mxref.check._findings import SCALE_FIELDS, choice_finding
from mxref.check._joint import legal_policy
from mxref.check._problem import Problem, spread
from mxref.check._scale_stage import judge_scales
from mxref.check._stage import Stage
from mxref.check._witness import element_witness, scale_witness
from mxref.check.gaps import gaps
from mxref.check.maps import MapBuilder
from mxref.check.parts import Lazy, MismatchMap
from mxref.check.report import Finding, Mismatches, Report, Verdict, Witness
from mxref.check.threshold import infer_given
from mxref.faults.legal import require_judgeable
from mxref.formats import BlockFormat, block_format
from mxref.policy import Policy, get_policy
from mxref.profiles import PROFILES, Profile
from mxref.relatives import arguments_of, family_of

__all__ = ["judge", "quantize"]

_ONLY_STORED = (
    "All elements are right under the scales that were expected: only the scale codes are wrong, "
    "and were changed after the elements had been made."
)
_FEW = 64  # blocks
_LOOKED_AT = 1 << 20  # elements that are looked at together


def quantize(  # noqa: PLR0913  # what three families take
    x: ArrayLike,
    codes: ArrayLike,
    scales: ArrayLike,
    format: str | BlockFormat,  # noqa: A002
    axis: int = -1,
    policy: Choices | str | None = None,
    *,
    block_size: int | None = None,
    global_scale: float | np.floating[Any] | None = None,
    global_amax: float | np.floating[Any] | None = None,
    subscales: ArrayLike | None = None,
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
        Scale codes: the shape of `x` with the length of `axis` divided by the block size. For
        NVFP4 they are UE4M3; some BDR formats have float32 scales.
    format : str or BlockFormat
        An MX format, ``"nvfp4"`` or a BDR format.
    axis : int
        Blocked axis.
    policy : Policy, NVFP4Policy, BDRPolicy or str, optional
        What the quantizer claims, in the terms of the family; default: find out, starting from
        ``"ocp"``, ``"te-1d"`` or ``"bdr-paper"``.
    block_size : int, optional
        Block length of an MX format; default 32.
    global_scale : float, optional
        NVFP4: the number that decoding multiplies by, rounded to float32. It is required there,
        unless the policy has block scales alone; 1 says that there is no scale of the tensor.
    global_amax : float, optional
        NVFP4: the amax that the scale of the tensor was computed from; default that of `x`.
    subscales : array of uint8, optional
        BDR: what each sub-block shares, where the format has a second level.

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
    if family_of(format) != "mx":
        given = arguments_of(
            format,
            block_size=block_size,
            global_scale=global_scale,
            global_amax=global_amax,
            subscales=subscales,
        )
        return quantize_relative(x, codes, scales, format, axis, policy, given)
    arguments_of(format, global_scale=global_scale, global_amax=global_amax, subscales=subscales)
    problem = _problem(x, codes, scales, block_format(format, block_size), axis)
    asked = None if policy is None else get_policy(policy)
    return judge("quantize", problem, asked)


def _problem(x: Any, codes: Any, scales: Any, fmt: BlockFormat, axis: int) -> Problem:
    values, _ = inputs.as_float(x)
    given = inputs.as_codes(codes, fmt.element.name)
    shared = inputs.as_codes(scales, fmt.scale.name, "scales")
    where = inputs.normal_axis(axis, values.shape)
    if given.shape != values.shape:
        hint = "; codes come before scales" if shared.shape == values.shape else ""
        raise ValueError(
            f"codes have shape {given.shape}; expected that of x, {values.shape}{hint}"
        )
    expected = inputs.scale_shape(values.shape, where, fmt.block_size, pad=True)
    if shared.shape != expected:
        raise ValueError(
            f"scales have shape {shared.shape}; expected {expected}: one for each block of "
            f"{fmt.block_size} along axis {where} of {values.shape}"
        )
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
    seen = compare(problem, base, MapBuilder.of(problem))
    if not seen.clean:  # codes that are as they should be are in range, which saves a pass
        inputs.check_range(problem.codes, problem.fmt.element.code_count, problem.fmt.element.name)
    if seen.clean and refused is base:
        notes = _silent_notes(problem, seen, base)
        report = Report(op, name, Verdict.CONFORMS, wanted, asked, (), total, tuple(notes))
        return _completed(report, problem, base)
    stages = _stages(problem, base, seen)
    found = wanted if refused is base else base
    for stage in stages:
        found = found.replace(**{f: v for f, (v, _) in stage.policy.diff(base).items()})
    findings = [finding for stage in stages for finding in stage.findings]
    if refused is wanted:
        findings += _refusals(problem, wanted, base)
    verdict = _verdict(problem, stages, findings, found)
    if verdict is not Verdict.CONFORMS_AS and not problem.lone and refused is base:
        legal = legal_policy(problem, base, found, seen)
        if legal is not None:
            findings, verdict = _as_policy(problem, seen, base, legal)
            stages, found = [], legal
    same = constant_place(problem.codes) if seen.elements >= FEWEST else None
    some = problem.take(spread(seen.bad_blocks(), _FEW))
    if same is not None and not is_varied(encode_given(some.x, some.scales, problem.fmt, base)):
        same = None
    if same is not None and verdict is not Verdict.CONFORMS_AS:
        stages = [Stage(base, residual=seen.elements, places=(same,))]
        findings, verdict = [], Verdict.UNEXPLAINED
    n_defects = sum(not finding.legal for finding in findings)
    profiles: tuple[str, ...] = ()
    if verdict is not Verdict.DEFECT or n_defects > 1:
        profiles = _profiles(op, problem)
    if verdict is not Verdict.CONFORMS_AS and profiles:
        # A published implementation has all the bits: its choices say it better than a search.
        found = without_refusals(PROFILES[profiles[0]].policy)
        findings, verdict = _as_policy(problem, seen, base, found)
        stages = []
    findings.sort(key=lambda f: (f.residual > 0, f.legal, -f.explains))
    notes = [note for stage in stages for note in stage.notes]
    counts = Mismatches(
        seen.scales,
        seen.elements,
        total.total_scales,
        total.total_elements,
        _first(problem, seen, base),
        _map(problem, seen),
    )
    report = Report(
        op,
        name,
        verdict,
        found if verdict is Verdict.CONFORMS_AS else None,
        asked,
        tuple(findings),
        counts,
        (*notes, *_silent_notes(problem, seen, base)),
        places=tuple(place for stage in stages for place in stage.places),
        profiles=profiles,
    )
    return _completed(report, problem, found if verdict is Verdict.CONFORMS_AS else base)


def _completed(report: Report, problem: Problem, policy: Policy) -> Report:
    """Add what is worked out when somebody looks at it."""
    return replace(
        report,
        inferred=Lazy(lambda: infer_given(problem, policy)),
        gaps=Lazy(lambda: gaps(problem, policy, report)),
    )


def _map(problem: Problem, seen: Comparison) -> MismatchMap | None:
    """Where elements differ; where none does, the scale codes."""
    if seen.elements and seen.map is not None:
        return seen.map.finish()
    return MapBuilder.of_scales(problem, seen.bad_scales()).finish()


def _as_policy(
    problem: Problem, seen: Comparison, base: Policy, found: Policy
) -> tuple[list[Finding], Verdict]:
    """One finding for each choice of a policy that shows in the data."""
    first = _first(problem, seen, base)
    findings = []
    for field, (ours, theirs) in found.diff(base).items():
        if not agrees(problem, found.replace(**{field: theirs})):
            change = (field, str(ours), str(theirs))
            element = None if field in SCALE_FIELDS else problem.fmt.element
            findings.append(choice_finding(change, element, 1.0, 0, first))
    legal = all(finding.legal for finding in findings)
    return findings, Verdict.CONFORMS_AS if legal else Verdict.DEFECT


def _stages(problem: Problem, base: Policy, seen: Comparison) -> list[Stage]:
    stages: list[Stage] = []
    if seen.scales and seen.elements and not seen.own:
        # The elements are as they should be, so that the scale codes were spoilt afterwards.
        stored = judge_scales(problem, base, seen, only_faults=True)
        stored.notes.insert(0, _ONLY_STORED)
        if stored.findings and not stored.residual:
            return [stored]
        chosen = judge_scales(problem, base, seen)  # or another rule made them
        if chosen.residual or not chosen.findings:
            return [stored]
        stages.append(chosen)
    elif seen.scales:
        stages.append(judge_scales(problem, base, seen))
    if stages:
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


def _profiles(op: str, problem: Problem) -> tuple[str, ...]:
    """The profiles that give the same bits: a name says more than a list of fields."""
    return tuple(
        name
        for name, profile in PROFILES.items()
        if _has(profile, op, problem) and agrees(problem, without_refusals(profile.policy))
    )


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


def _silent_notes(problem: Problem, seen: Comparison, base: Policy) -> list[str]:
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
    if seen.scales:
        alike = _alike(problem, seen.bad_scales(), base)
        if alike:
            notes.append(
                f"{alike:,} of the {seen.scales:,} blocks with another scale code decode to the "
                "same values all the same: their elements make up for it."
            )
    return notes


def _alike(problem: Problem, blocks: NDArray[np.intp], base: Policy) -> int:
    """How many blocks decode to the values that the policy has, with other bits."""
    count, step = 0, _LOOKED_AT // problem.fmt.block_size
    for start in range(0, len(blocks), step):
        piece = problem.take(blocks[start : start + step])
        given = arrays.dequantize(piece.codes, piece.scales[:, None], problem.fmt)
        expected = arrays.quantize(piece.x, problem.fmt, -1, base).dequantize()
        same = (given == expected) | (np.isnan(given) & np.isnan(expected))
        count += int(same.all(1).sum())
    return count


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
