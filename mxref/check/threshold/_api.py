"""Reads a rule off a kernel to the last bit: where its scale steps, where its codes step.

A kernel that can be driven is bisected, in a few calls of many numbers each; of given data only
bounds can be said, and which input would decide.

Examples
--------
>>> import mxref
>>> found = scale_threshold(lambda x: mxref.quantize(x, "mxfp4", policy="te-mxfp8"), "mxfp4")
>>> found[0].name, found[0].found
('rceil', 'theta = 1.5 exactly (0x3FC00000), exclusive: rceil (as in triton-kernels, mlx)')
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check._call import Caller
from mxref.check._guard import GuardedKernel, signature
from mxref.check._landmarks import as_float32, thresholds
from mxref.check._problem import Problem
from mxref.check.parts import Inference
from mxref.check.target import TargetError
from mxref.check.threshold._cast_steps import cast_inferences
from mxref.check.threshold._element_beyond import overflow_inference, special_inferences
from mxref.check.threshold._element_names import rounding_inference
from mxref.check.threshold._element_steps import Encode, element_steps
from mxref.check.threshold._given_elements import given_elements
from mxref.check.threshold._given_scales import given_scale_rule
from mxref.check.threshold._scale_ends import end_inferences
from mxref.check.threshold._scale_steps import Call, rule_inference
from mxref.formats import (
    BlockFormat,
    ElementFormat,
    ScaleFormat,
    block_format,
    pow2,
    scalar_format,
)
from mxref.policy import Policy

__all__ = ["element_thresholds", "infer_driven", "infer_given", "scale_threshold"]

_UNIT = 127


def scale_threshold(
    quantize: Callable[..., Any],
    format: str | BlockFormat,  # noqa: A002
) -> list[Inference]:
    """Find the scale rule of a quantizer, and what it does at the ends of the range.

    Parameters
    ----------
    quantize : callable
        As `mxref.check.kernel` calls it: float32 (n, k) to codes and scale codes.
    format : str or BlockFormat

    Returns
    -------
    list of Inference
        The rule first: its threshold theta is the significand of amax from which the scale code is
        one step higher, to the bit.

    Raises
    ------
    TargetError
        If `quantize` raises or returns something else.
    ValueError
        If there is no such format.

    Examples
    --------
    >>> def step_at_1_3125(x):
    ...     half, exponent = np.frexp(np.abs(x).max(axis=1))  # amax = half * 2**exponent
    ...     codes = np.clip(exponent + 124 + (2 * half >= 1.3125), 0, 254)
    ...     return np.zeros(x.shape, np.uint8), codes.astype(np.uint8)
    >>> scale_threshold(step_at_1_3125, "mxfp4")[0].found
    'theta = 1.3125 exactly (0x3FA80000), inclusive: no published rule'
    """
    fmt = block_format(format)
    return list(_scale(_guarded(quantize, "quantize", fmt), fmt))


def element_thresholds(
    encode: Callable[..., Any],
    format: str | ElementFormat | ScaleFormat,  # noqa: A002
) -> list[Inference]:
    """Find how a cast rounds, between every pair of neighbouring values, and how it overflows.

    Parameters
    ----------
    encode : callable
        As `mxref.check.kernel` calls it: float32 (n,) to codes.
    format : str, ElementFormat or ScaleFormat

    Raises
    ------
    TargetError
        If `encode` raises or returns something else.
    ValueError
        If there is no such format.

    Examples
    --------
    >>> import mxref
    >>> found = element_thresholds(lambda x: mxref.encode(x, "e4m3", "cuda"), "e4m3")
    >>> [(i.what, i.name) for i in found]
    [('rounding', 'nearest-even'), ('overflow', 'saturate'), ('negative zero', 'keep'), \
('NaN', 'canonical')]
    """
    fmt = scalar_format(format)
    call = _guarded(encode, "encode", fmt)
    if isinstance(fmt, ScaleFormat):
        return list(cast_inferences(call))
    return list(_elements(lambda x: call(x)[0], fmt))


def infer_driven(
    call: Call, fmt: BlockFormat | ElementFormat | ScaleFormat, op: str
) -> tuple[Inference, ...]:
    """Infer all rules of a kernel that can be driven.

    Parameters
    ----------
    call : callable
        Arrays to a tuple of arrays; it may raise `TargetError`, and then what is known so far is
        returned.
    fmt : BlockFormat, ElementFormat or ScaleFormat
    op : str
        Of ``"quantize"`` and ``"encode"`` there is something to infer.

    Examples
    --------
    >>> import mxref
    >>> from mxref.formats import element_format
    >>> infer_driven(lambda c: (mxref.decode(c, "e2m1"),), element_format("e2m1"), "decode")
    ()
    """
    found: list[Inference] = []
    try:
        for inference in _driven(call, fmt, op):
            found.append(inference)  # noqa: PERF402  # what came before an error is kept
    except TargetError:
        pass
    return tuple(found)


def infer_given(problem: Problem, policy: Policy) -> tuple[Inference, ...]:
    """Say what given codes tell about the rules, from a sample of bounded size.

    Parameters
    ----------
    problem : Problem
        Of a quantizer, or of lone elements.
    policy : Policy
        What was asked for; data do not say more because of it.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> x, codes = np.array([0.3, 0.7], np.float32), np.array([1, 1], np.uint8)
    >>> problem = Problem.of_elements(x, codes, element_format("e2m1"))
    >>> infer_given(problem, Policy())[0].exact
    False
    """
    del policy
    # Codes may stand for anything here: a wrong scale takes numbers out of every range.
    with np.errstate(all="ignore"):
        found = [] if problem.lone else [given_scale_rule(problem)]
        return (*found, *given_elements(problem))


# --- the parts of a driven kernel ---------------------------------------------------------------


def _guarded(fn: Callable[..., Any], op: str, fmt: Any) -> GuardedKernel:
    if not callable(fn):
        raise TypeError(f"expected a function, got {type(fn).__name__}")
    return GuardedKernel(Caller(fn, signature(op)), op, fmt)


def _driven(
    call: Call, fmt: BlockFormat | ElementFormat | ScaleFormat, op: str
) -> Iterator[Inference]:
    if op == "quantize" and isinstance(fmt, BlockFormat):
        yield from _scale(call, fmt)
        yield from _block_elements(call, fmt)
    elif op == "encode" and isinstance(fmt, ScaleFormat):
        yield from cast_inferences(call)
    elif op == "encode" and isinstance(fmt, ElementFormat):
        yield from _elements(lambda x: call(x)[0], fmt)


def _scale(call: Call, fmt: BlockFormat) -> Iterator[Inference]:
    inference, rule = rule_inference(call, fmt)
    yield inference
    yield from end_inferences(call, fmt, rule)


def _elements(
    encode: Encode, element: ElementFormat, limit: Fraction | None = None
) -> Iterator[Inference]:
    steps = element_steps(encode, element, limit)
    rounding = rounding_inference(steps)
    yield rounding
    name = rounding.name if rounding.name.islower() else ""  # a fault is no choice
    specials, infinities = special_inferences(encode, element, name, is_block=limit is not None)
    if steps.beyond:
        yield overflow_inference(steps, element, name, infinities)
    yield from specials


def _block_elements(call: Call, fmt: BlockFormat) -> Iterator[Inference]:
    """Elements under the scale 1, which the largest value of each block fixes."""
    if fmt.block_size == 1:
        return
    pinned = _Pinned.found(call, fmt)
    if pinned is None:
        yield Inference("rounding", "not looked at: no amax gives the scale 1", exact=False)
        return
    try:
        yield from _elements(pinned.encode, fmt.element, pinned.limit)
    except _UnpinnedError as error:
        yield Inference("rounding", f"not looked at: {error}", exact=False)


class _UnpinnedError(Exception):
    """The scale of a block changed although its largest value did not."""


class _Pinned:
    """A block quantizer as a cast: each block holds an amax whose scale is known to be 1."""

    def __init__(self, call: Call, fmt: BlockFormat, anchor: int) -> None:
        self.call, self.fmt, self.anchor = call, fmt, anchor

    @classmethod
    def found(cls, call: Call, fmt: BlockFormat) -> _Pinned | None:
        """Take the largest amax that gives the scale 1: it shows most of the element's range."""
        significands = thresholds(fmt.element).astype(np.int64)
        # Some rules differ by emax or by a bias from the exponent that OCP's has.
        exponents = np.arange(-3, fmt.element.emax + 4)
        bits = (significands + (exponents[:, None] << 23)).reshape(-1).astype(np.uint32)
        x = np.zeros((len(bits), fmt.block_size), np.uint32)
        x[:, 0] = bits
        scales = call(as_float32(x))[1].reshape(-1)
        unit = bits[scales == _UNIT]
        return cls(call, fmt, int(unit.max())) if len(unit) else None

    @property
    def limit(self) -> Fraction:
        """The largest magnitude that fits beside it."""
        exponent, field = (self.anchor >> 23) - _UNIT, self.anchor & 0x7F_FFFF
        return (1 + Fraction(field, 1 << 23)) * pow2(exponent)

    def encode(self, x: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Encode numbers that are no larger than the limit."""
        width = self.fmt.block_size - 1
        rows = -(-len(x) // width)
        blocks = np.zeros((rows, width + 1), np.uint32)
        blocks[:, 0] = self.anchor
        filled = np.zeros(rows * width, np.uint32)
        filled[: len(x)] = x.view(np.uint32)
        blocks[:, 1:] = filled.reshape(rows, width)
        codes, scales = self.call(as_float32(blocks))
        if np.any(scales != _UNIT):
            raise _UnpinnedError("the scale does not follow from the largest magnitude of a block")
        return np.ascontiguousarray(codes[:, 1:]).reshape(-1)[: len(x)]
