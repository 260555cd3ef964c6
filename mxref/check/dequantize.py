"""Check of decoded values: `dequantize` for blocks, `judge_values` for all decoders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref._foreign import as_numpy
from mxref._policy_base import Choices
from mxref.check._compare import Comparison, add_lanes, same_bits
from mxref.check._constant import FEWEST, constant_place, is_varied
from mxref.check._decoding import (
    DecodeHypothesis,
    Target,
    search_decoders,
    value_differences,
)
from mxref.check._families import dequantize_relative
from mxref.check._findings import changes, choice_finding, fault_finding
from mxref.check._problem import Piece, Problem, spread
from mxref.check._stage import least_share, others, share, worth_saying
from mxref.check._witness import value_witness
from mxref.check.gaps._decode import decode_gaps
from mxref.check.maps import MapBuilder
from mxref.check.parts import Lazy, Place
from mxref.check.places._stages import value_places
from mxref.check.report import Finding, Mismatches, Report, Verdict, Witness
from mxref.faults.encoder import Bools
from mxref.formats import BlockFormat, block_format
from mxref.policy import Policy, get_policy
from mxref.relatives import arguments_of, family_of

__all__ = ["as_values", "dequantize", "judge_values", "pins_nan_bits"]

_SAMPLE_LANES = 1 << 15
_FEW = 64  # blocks
_FIELDS = ("decode_overflow", "decode_nan", "decode_subnormal")


def dequantize(  # noqa: PLR0913  # what three families take
    codes: ArrayLike,
    scales: ArrayLike,
    y: ArrayLike,
    format: str | BlockFormat,  # noqa: A002
    axis: int = -1,
    policy: Choices | str | None = None,
    *,
    block_size: int | None = None,
    global_scale: float | np.floating[Any] | None = None,
    subscales: ArrayLike | None = None,
) -> Report:
    """Judge the values to which somebody decoded blocks, and name what is wrong.

    Parameters
    ----------
    codes, scales, format, axis, block_size, global_scale, subscales
        As for `mxref.check.quantize`.
    y : array of float32
        The decoded values, in the shape of `codes`.
    policy : Policy, NVFP4Policy, BDRPolicy or str, optional
        What the decoder claims; default: find out. Which NaN it gives counts only if the policy
        asks for another than ``ocp`` does, or names ``decode_nan``.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit.

    Notes
    -----
    Clauses MX-1.0/5.1/value and MX-1.0/5.1/nan-scale.

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.repeat(np.array([[2], [1]], np.uint8), 32, 1)  # 1 and 0.5
    >>> scales = np.array([[0], [1]], np.uint8)  # 2^-127, read as 0, and 2^-126
    >>> y = np.repeat(np.array([[0], [2**-127]], np.float32), 32, 1)
    >>> report = dequantize(codes, scales, y, "mxfp4")
    >>> report.verdict, report.findings[0].id
    (<Verdict.DEFECT: 'defect'>, 'D9')
    """
    if family_of(format) != "mx":
        more = arguments_of(
            format, block_size=block_size, global_scale=global_scale, subscales=subscales
        )
        return dequantize_relative(codes, scales, y, format, axis, policy, more)
    arguments_of(format, global_scale=global_scale, subscales=subscales)
    fmt = block_format(format, block_size)
    given = inputs.as_codes(codes, fmt.element.name)
    shared = inputs.as_codes(scales, fmt.scale.name, "scales")
    where = inputs.normal_axis(axis, given.shape)
    expected = inputs.scale_shape(given.shape, where, fmt.block_size, pad=True)
    if shared.shape != expected:
        raise ValueError(
            f"scales have shape {shared.shape}; expected {expected}: one for each block of "
            f"{fmt.block_size} along axis {where} of {given.shape}"
        )
    given = given.view(np.uint8)
    inputs.check_range(given, fmt.element.code_count, fmt.element.name)
    values = as_values(y, given.shape)
    problem = Problem(values, given, shared, fmt, where)
    target = Target(fmt, nan_bits=pins_nan_bits(policy))
    return judge_values("dequantize", problem, target, policy)


def as_values(y: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Decoded values, checked.

    Raises
    ------
    TypeError, ValueError
        If they are not float32, or of another shape than the codes.
    """
    values = as_numpy(y, "y")
    if values.dtype.newbyteorder("=") != np.float32:
        raise TypeError(
            f"y has dtype {values.dtype}; expected float32: what was decoded to a narrower type "
            "can be widened with .astype(np.float32), which is exact"
        )
    if values.shape != shape:
        raise ValueError(f"y has shape {values.shape}; expected that of the codes, {shape}")
    return values.astype(np.float32, copy=False)


def pins_nan_bits(policy: Choices | str | None) -> bool:
    """Whether a caller asked for a particular NaN."""
    if policy is None:
        return False
    if isinstance(policy, str) and "decode_nan" in policy:
        return True
    return get_policy(policy).decode_nan != Policy().decode_nan


def judge_values(op: str, problem: Problem, target: Target, policy: Choices | str | None) -> Report:
    """Judge decoded values; what all decoders share."""
    asked = None if policy is None else get_policy(policy)
    base = asked if asked is not None else get_policy(None)
    lone = "e8m0" if target.of_scales else problem.fmt.element.name
    name = lone if target.lone else problem.fmt.name
    blocks = 0 if target.lone else problem.n_blocks
    if problem.n_elements == 0:
        empty = ("The input is empty: there is nothing to judge.",)
        none = Mismatches(0, 0, blocks, 0)
        return Report(op, name, Verdict.NOT_TESTABLE, None, asked, (), none, empty)
    seen = _compare(problem, target, base, MapBuilder.of(problem))
    gaps = Lazy(partial(decode_gaps, problem, base, of_scales=target.of_scales))
    if seen.clean:
        total = Mismatches(0, 0, 0, problem.n_elements)
        return Report(op, name, Verdict.CONFORMS, base, asked, (), total, gaps=gaps)
    same = constant_place(problem.x) if seen.elements >= FEWEST else None
    some = problem.take(spread(seen.bad_blocks(), _FEW))
    if same is not None and not is_varied(target.decode(some, base)):
        same = None
    if same is None:
        best, findings, residual = _diagnose(problem, target, base, seen)
    else:
        best, findings, residual = DecodeHypothesis(base), [], seen.elements
    findings.sort(key=lambda f: (f.residual > 0, f.legal, -f.explains))
    verdict = Verdict.DEFECT
    if residual:
        verdict = Verdict.UNEXPLAINED
    elif all(f.legal for f in findings):
        is_proven = _compare(problem, target, best.policy).clean
        verdict = Verdict.CONFORMS_AS if is_proven else Verdict.UNEXPLAINED
    block, lane = problem.first(seen.bad_blocks(), seen.lanes())
    first = _witness(problem, target, block, lane, base)
    picture = None if seen.map is None else seen.map.finish()
    places: tuple[Place, ...] = ()
    if residual:

        def judged(piece: Piece) -> tuple[Bools, NDArray[np.float32]]:
            values = best.decode(piece, target)
            return value_differences(values, piece, nan_bits=target.nan_bits), values

        places = (same,) if same is not None else value_places(problem, judged)
    return Report(
        op,
        name,
        verdict,
        best.policy if verdict is Verdict.CONFORMS_AS else None,
        asked,
        tuple(findings),
        Mismatches(0, seen.elements, 0, problem.n_elements, first, picture),
        gaps=gaps,
        places=places,
    )


def _compare(
    problem: Problem, target: Target, policy: Policy, places: MapBuilder | None = None
) -> Comparison:
    result = Comparison(map=places)
    for piece in problem.pieces():
        expected = target.decode(piece, policy)
        if same_bits(expected, piece.x):
            continue
        differs = value_differences(expected, piece, nan_bits=target.nan_bits)
        add_lanes(result, differs, np.arange(piece.start, piece.stop))
    return result


def _diagnose(
    problem: Problem, target: Target, base: Policy, seen: Comparison
) -> tuple[DecodeHypothesis, list[Finding], int]:
    """The best hypothesis, its findings, and how many mismatches it leaves on all data."""
    limit = max(32, _SAMPLE_LANES // problem.fmt.block_size)
    every = np.arange(problem.n_blocks)
    chosen = np.union1d(spread(seen.bad_blocks(), limit), spread(every, limit))
    for _ in range(3):
        found = search_decoders(problem.take(chosen), target, base)
        left = _left(problem, target, found[0])
        if found[0].residual or left.clean:
            break
        chosen = np.union1d(chosen, spread(left.bad_blocks(), 64))
    findings = _findings(problem, target, base, chosen, found[0], left.elements)
    if left.elements:
        findings = worth_saying(findings)
        findings += _candidates(problem, target, base, chosen, found)
    return found[0], findings, left.elements


def _candidates(
    problem: Problem,
    target: Target,
    base: Policy,
    chosen: NDArray[np.intp],
    found: list[DecodeHypothesis],
) -> Iterator[Finding]:
    """What else is consistent with a good part of the mismatches, each fault by itself."""
    sample = problem.take(chosen)
    wrong = _differs(sample, target, DecodeHypothesis(base))
    least = least_share(share(wrong & ~_differs(sample, target, found[0]), wrong))
    singles = (h.models[0] for h in found if len(h.models) == 1)
    for model in others(found[0].models, singles):
        alone = DecodeHypothesis(base, (model,))
        part = share(wrong & ~_differs(sample, target, alone), wrong)
        if part >= least:
            left = _left(problem, target, alone).elements
            yield fault_finding(model.id, model.detail, part, left, None)


def _left(problem: Problem, target: Target, hypothesis: DecodeHypothesis) -> Comparison:
    result = Comparison()
    for piece in problem.pieces():
        values = hypothesis.decode(piece, target)
        differs = value_differences(values, piece, nan_bits=target.nan_bits)
        add_lanes(result, differs, np.arange(piece.start, piece.stop))
    return result


def _findings(
    problem: Problem,
    target: Target,
    base: Policy,
    chosen: NDArray[np.intp],
    best: DecodeHypothesis,
    residual: int,
) -> list[Finding]:
    sample = problem.take(chosen)
    wrong = _differs(sample, target, DecodeHypothesis(base))
    right = ~_differs(sample, target, best)

    def shown(without: DecodeHypothesis) -> tuple[float, int, Witness | None] | None:
        """What rests on one part of the hypothesis; None if it changes nothing."""
        missed = right & _differs(sample, target, without)
        if not missed.any():
            return None
        witness = None
        rows, lanes = np.nonzero(missed & wrong)
        if len(rows):
            witness = _witness(problem, target, *problem.first(chosen[rows], lanes), base)
        return share(missed, wrong | missed), residual, witness

    parts: list[tuple[Callable[..., Finding], tuple[Any, ...], DecodeHypothesis]] = []
    for change in changes(best.policy, base, _FIELDS):
        rest = best.policy.replace(**{change[0]: change[2]})
        without = DecodeHypothesis(rest, best.models, best.layout)
        parts.append((choice_finding, (change, problem.fmt.element), without))
    for model in best.models:
        rest_of = tuple(m for m in best.models if m is not model)
        without = DecodeHypothesis(best.policy, rest_of, best.layout)
        parts.append((fault_finding, (model.id, model.detail), without))
    if best.layout is not None:
        named = (best.layout.id, best.layout.detail)
        parts.append((fault_finding, named, DecodeHypothesis(best.policy, best.models)))
    results = ((make, named, shown(without)) for make, named, without in parts)
    return [make(*named, *result) for make, named, result in results if result is not None]


def _differs(sample: Piece, target: Target, hypothesis: DecodeHypothesis) -> Bools:
    values = hypothesis.decode(sample, target)
    return value_differences(values, sample, nan_bits=target.nan_bits)


def _witness(problem: Problem, target: Target, block: int, lane: int, policy: Policy) -> Witness:
    expected = target.decode(problem.take(np.array([block])), policy)[0, lane]
    return value_witness(problem, block, lane, expected, of_scales=target.of_scales)
