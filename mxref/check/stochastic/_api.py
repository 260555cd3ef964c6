"""Checks of stochastic rounding: by bits where the random bits are known, else by statistics.

OP-ELEM-STOCHASTIC. Without the random bits no single code is right or wrong beyond being one of the
two neighbours; what can be judged is how often each comes out, and whether draws depend on each
other. Every test has a bound that is proven for any number of draws, so that a report can say how
probable a false alarm is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mxref import _inputs as inputs
from mxref import randomness
from mxref.check._call import CALL_ELEMENTS, Caller
from mxref.check._findings import ELEMENT_FIELDS, changes, choice_finding, fault_finding
from mxref.check._guard import signature
from mxref.check._witness import bits_of, code_bits, code_value, number
from mxref.check.parts import Finding, Gap, Inference, Mismatches, Verdict, Witness
from mxref.check.report import Report
from mxref.check.stochastic import _bits as bits
from mxref.check.stochastic import _tests as tests
from mxref.check.stochastic._data import Draws, Floats, draws_of, stimuli
from mxref.check.target import TargetError
from mxref.clauses import CLAUSES
from mxref.exact.random_bits import count as random_bits
from mxref.faults.catalogue import FAULTS
from mxref.faults.encoder import as_float64
from mxref.formats import ElementFormat, element_format
from mxref.policy import Policy, get_policy

__all__ = ["encode_stochastic", "stochastic", "stochastic_data"]

_OPEN = "OP-ELEM-STOCHASTIC"
_ANY_MODE = "ocp:rounding=stochastic-a"
_LEAST_BITS = 8  # published hardware has 8 or more; a policy may say fewer
_ENOUGH = 4096
_BASE = 127


# --- with the random bits --------------------------------------------------------------------


def encode_stochastic(
    x: ArrayLike,
    random: ArrayLike,
    codes: ArrayLike,
    format: str | ElementFormat,  # noqa: A002
    policy: Policy | str | None = None,
) -> Report:
    """Judge a stochastic conversion whose random bits are known, bit for bit.

    Parameters
    ----------
    x : array_like of float32, float64, float16 or ml_dtypes.bfloat16
        Values under a scale of 1.
    random : array of unsigned integers
        As for `mxref.encode`: a number for each element, or a word for each four.
    codes : array of uint8
        What came out, in the shape of `x`.
    format : str or ElementFormat
    policy : Policy or str, optional
        A policy with ``rounding=stochastic-a``, ``-b`` or ``-c``; default: find out which,
        starting from ``-a``.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit; if the policy's rounding is not stochastic.

    Notes
    -----
    OP-ELEM-STOCHASTIC.

    Examples
    --------
    >>> import numpy as np
    >>> x, random = np.full(4, 1.25, np.float32), np.arange(4, dtype=np.uint32) << 14
    >>> report = encode_stochastic(x, random, np.uint8([2, 2, 2, 2]), "e2m1")
    >>> report.verdict, report.findings[0].id
    (<Verdict.DEFECT: 'defect'>, 'R1')
    """
    fmt = element_format(format)
    values, given = _given(x, codes, fmt)
    asked = None if policy is None else get_policy(policy)
    base = get_policy(_ANY_MODE) if asked is None else asked
    randomness.for_elements(random, values.shape, fmt, base)
    words = np.asarray(random)
    if not str(base.rounding).startswith("stochastic"):
        raise ValueError(f"rounding={base.rounding} draws nothing; use mxref.check.encode")
    blank = Report(
        "encode_stochastic",
        fmt.name,
        Verdict.CONFORMS,
        base,
        asked,
        (),
        Mismatches(0, 0, 0, given.size),
    )
    if not given.size:
        return replace(blank, verdict=Verdict.NOT_TESTABLE, policy=None)
    expected = bits.expected_codes(values, words, fmt, base)
    wrong = expected != given
    if not wrong.any():
        return blank
    first = _witness(values, given, expected, fmt)
    blank = replace(
        blank, policy=None, mismatches=Mismatches(0, int(wrong.sum()), 0, given.size, first)
    )
    best = bits.explain(values, words, given, fmt, base)[0]
    residual = int((best.codes != given).sum())
    share = 1 - residual / int(wrong.sum())
    findings = [
        fault_finding(fault, detail, share, residual, first) for fault, detail in best.faults
    ]
    fields = (*ELEMENT_FIELDS, "stochastic")
    findings += [
        choice_finding(change, fmt, share, residual, first)
        for change in changes(best.policy, base, fields)
    ]
    if residual:
        return replace(blank, verdict=Verdict.UNEXPLAINED, findings=tuple(findings))
    is_legal = all(f.legal for f in findings)
    return replace(
        blank,
        verdict=Verdict.CONFORMS_AS if is_legal else Verdict.DEFECT,
        policy=best.policy if is_legal else None,
        findings=tuple(findings),
    )


def _given(
    x: ArrayLike, codes: ArrayLike, fmt: ElementFormat
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    values, _ = inputs.as_float(x)
    given = inputs.as_codes(codes, fmt.name).view(np.uint8)
    inputs.check_range(given, fmt.code_count, fmt.name)
    if given.shape != values.shape:
        raise ValueError(f"codes have shape {given.shape}; expected that of x, {values.shape}")
    return values, given


def _witness(
    values: NDArray[Any], given: NDArray[np.uint8], expected: NDArray[np.uint8], fmt: ElementFormat
) -> Witness:
    at = tuple(int(i) for i in np.argwhere(given != expected)[0])
    got, right = int(given[at]), int(expected[at])
    return Witness(
        at,
        "element",
        bits_of(values[at]),
        number(values[at]),
        None,
        code_bits(got, fmt),
        code_value(got, fmt),
        code_bits(right, fmt),
        code_value(right, fmt),
    )


# --- without ---------------------------------------------------------------------------------


def stochastic_data(
    x: ArrayLike,
    codes: ArrayLike,
    format: str | ElementFormat,  # noqa: A002
    scales: ArrayLike | None = None,
    policy: Policy | str | None = None,
) -> Report:
    """Judge a stochastic conversion whose random bits are unknown, by statistics.

    Parameters
    ----------
    x, codes, format
        As for `encode_stochastic`.
    scales : array of uint8, optional
        A scale code for each element, or an array that broadcasts to `x`; default: a scale of 1.
    policy : Policy or str, optional
        Says how many random bits decide; default: at least 8.

    Returns
    -------
    Report
        ``conforms`` says that no test failed, not that every code is right: none of them can be.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, names or codes do not fit.

    Notes
    -----
    OP-ELEM-STOCHASTIC. Each draw must be one of two neighbours; what chance decides is judged by
    Hoeffding's inequality, so that the probability of a false alarm is known.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(1, 1.5, 999, dtype=np.float32)
    >>> report = stochastic_data(x, np.where(x < 1.5, 2, 3).astype(np.uint8), "e2m1")
    >>> report.findings[0].id, report.findings[0].detail
    ('R1', 'always toward zero')
    """
    fmt = element_format(format)
    values, given = _given(x, codes, fmt)
    wide = as_float64(values)
    if scales is not None:
        shared = inputs.as_codes(scales, "e8m0", "scales").view(np.uint8)
        exponent = np.broadcast_to(shared, wide.shape).astype(np.int64) - _BASE
        wide = np.where(exponent == 255 - _BASE, np.nan, np.ldexp(wide, -exponent))
    flat, codes_flat = wide.reshape(-1), given.reshape(-1)
    asked = None if policy is None else get_policy(policy)
    draws = draws_of(flat, codes_flat, fmt)
    gaps = [Gap("the random bits of another call", ("R2",), "the same input, converted once more")]
    n = int(draws.is_drawn.sum())
    if n < _ENOUGH:
        needs = f"{_ENOUGH - n:,} more values between two neighbours, a quarter of them ties"
        gaps.append(Gap("how often each neighbour comes out", ("R1", "R2"), needs))
    report = _judged(draws, None, flat, fmt, asked)
    return replace(report, gaps=(*report.gaps, *gaps))


def stochastic(
    fn: Callable[..., Any],
    format: str | ElementFormat,  # noqa: A002
    policy: Policy | str | None = None,
) -> Report:
    """Drive a stochastic conversion whose random bits are its own, and judge it by statistics.

    Parameters
    ----------
    fn : callable
        ``fn(x: float32 (n,)) -> codes: uint8 (n,)``; it is called twice on the same input.
    format : str or ElementFormat
    policy : Policy or str, optional
        Says how many random bits decide; default: at least 8.

    Returns
    -------
    Report
        With the probability of a false alarm in its notes.

    Raises
    ------
    TargetError
        If `fn` raises or returns something else than codes.
    ValueError
        If there is no such format or policy.

    Notes
    -----
    OP-ELEM-STOCHASTIC.

    Examples
    --------
    >>> import mxref, numpy as np
    >>> stochastic(lambda x: mxref.encode(x, "e2m1"), "e2m1").findings[0].detail
    'to nearest, random bits unused'
    """
    fmt = element_format(format)
    asked = None if policy is None else get_policy(policy)
    if not callable(fn):
        raise TypeError(f"fn must be a function, got {type(fn).__name__}")
    call = fn if isinstance(fn, Caller) else Caller(fn, signature("encode"))
    x = stimuli(fmt)
    if x.size > CALL_ELEMENTS:
        raise ValueError(f"{x.size:,} values are more than one call takes")
    results = [_codes(call(x), x.shape, fmt) for _ in range(2)]
    wide = as_float64(x)
    first, second = (draws_of(wide, codes, fmt) for codes in results)
    report = _judged(first, second, wide, fmt, asked)
    note = f"Driven with {x.size:,} values in 2 calls."
    return replace(report, notes=(*report.notes, note))


def _codes(result: Any, shape: tuple[int, ...], fmt: ElementFormat) -> NDArray[np.uint8]:
    try:
        codes = inputs.as_codes(np.array(result), fmt.name).view(np.uint8)
        inputs.check_range(codes, fmt.code_count, fmt.name)
    except (TypeError, ValueError) as error:
        raise TargetError(f"harness mis-wired: {error}", "mis-wired") from error
    if codes.shape != shape:
        raise TargetError(
            f"harness mis-wired: the codes have shape {codes.shape}, expected {shape}", "mis-wired"
        )
    return codes


def _judged(
    first: Draws, second: Draws | None, values: Floats, fmt: ElementFormat, asked: Policy | None
) -> Report:
    """Run every test; the first calls of deterministic faults come before statistics."""
    outside = int(first.is_outside.sum())
    total = int(first.is_judged.sum())
    count = Mismatches(0, outside, 0, total)
    blank = Report("stochastic", fmt.name, Verdict.NOT_TESTABLE, None, asked, (), count)
    if not first.is_drawn.any():
        note = "No value lies between two neighbours: chance decides nothing."
        return replace(blank, notes=(note,))
    least = _LEAST_BITS if asked is None else random_bits(fmt, asked)
    failures, made = _failures(first, second, values, least)
    drawn = int(first.is_drawn.sum())
    alarm = tests.chance(made)
    notes = [f"Judged by {made} tests of {drawn:,} draws; a false alarm is below {alarm:.0e}."]
    if outside and not any(f.id == "R3" for f in failures):
        notes.append(_outside_note(first, values))
    notes += [failure.text for failure in failures]
    findings = tuple(_finding(failure) for failure in failures)
    report = replace(blank, findings=findings, notes=tuple(notes))
    if outside and not any(f.id == "R3" for f in failures):
        return replace(report, verdict=Verdict.UNEXPLAINED)
    if not failures:
        found = "each neighbour comes out as often as it should, and no two draws depend"
        inferred = (Inference("stochastic rounding", found, "", exact=False),)
        return replace(report, verdict=Verdict.CONFORMS, inferred=inferred)
    if all(finding.legal for finding in findings):
        return replace(report, verdict=Verdict.CONFORMS_AS)
    certain = all(f.is_certain for f in failures)
    return replace(report, verdict=Verdict.DEFECT if certain else Verdict.UNEXPLAINED)


def _outside_note(draws: Draws, values: Floats) -> str:
    at = int(np.flatnonzero(draws.is_outside)[0])
    return (
        f"{int(draws.is_outside.sum()):,} codes are neither neighbour of their value, first at "
        f"{at} ({values[at]:.9g}): no matter of chance. Judge them with mxref.check.encode."
    )


def _failures(
    first: Draws, second: Draws | None, values: Floats, least: int
) -> tuple[list[tests.Failure], int]:
    zero = tests.all_zero(first, values)
    if zero is not None:
        return [zero], 1
    one_way = tests.one_way(first)
    if one_way is not None:
        other = None if second is None else tests.one_way(second)
        if other is not None and other.detail != one_way.detail:
            return [tests.one_number(one_way.text, other.text)], 2
        return [one_way], 2
    wrong, made = tests.means(first, least)
    repeated = None if second is None else tests.sameness(first, second)
    dependent = tests.grouped(first) or tests.shared(first)
    # Draws that depend on each other miss the means, and a wrong mean looks like dependence.
    if dependent is not None and dependent.is_certain:
        wrong = None
    elif wrong is not None:
        dependent = None
    found = [failure for failure in (repeated, dependent, wrong) if failure is not None]
    return sorted(found, key=lambda f: not f.is_certain), made + 4 + tests.GROUPINGS


def _finding(failure: tests.Failure) -> Finding:
    """A finding; what is no certainty leaves the draws over that are too many or too few."""
    if failure.id == tests.LEGAL_PAIRS:
        effect = f"The standard leaves it open: {CLAUSES[_OPEN].text}"
        repair = "Declare stochastic=ptx-x4 if it is intended."
        title = "Neighbours share random bits in pairs."
        return Finding(
            _OPEN,
            title,
            1.0,
            0,
            None,
            (),
            effect,
            repair,
            legal=True,
            policy_change={"stochastic": "ptx-x4"},
        )
    residual = 0 if failure.is_certain else max(1, failure.off)
    found = fault_finding(failure.id, failure.detail, 1.0, residual, None)
    return replace(found, stimulus=FAULTS[failure.id].stimulus)
