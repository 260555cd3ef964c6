"""Which scale a block gets: the steps around a rule, from its elements to a code.

MX-1.0/6.3/scale is a recipe that the standard recommends and that others replace
(MX-1.0/6.3/other-recipes). A rule (`rules`) needs a finite amax and gives an exponent without
bounds; here is what comes before and after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, assert_never

from mxref._choices import (
    BlockTail,
    InputSubnormal,
    ScaleAbove,
    ScaleBelow,
    ScaleInf,
    ScaleZeroBlock,
)
from mxref.exact import ieee, random_bits, rules, search
from mxref.exact.number import Number, NumberClass, power_of_two, require_number
from mxref.formats import ScaleFormat, block_format
from mxref.policy import get_policy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from mxref.formats import BlockFormat
    from mxref.policy import Policy

__all__ = ["Selection", "check_length", "select", "selection"]

_BEYOND = power_of_two(128)
"""What the exponent field of infinities and NaNs stands for, if it is read as a number's."""


class Selection(NamedTuple):
    """What selecting a scale gives.

    Attributes
    ----------
    code : int
        The scale code.
    flushes : bool
        Whether the block is given up: every element then is +0.

    Examples
    --------
    >>> Selection(127)
    Selection(code=127, flushes=False)
    """

    code: int
    flushes: bool = False


def select(
    numbers: Sequence[Number],
    fmt: str | BlockFormat,
    policy: Policy | str | None = None,
    *,
    source: str = "float32",
    random: int | None = None,
) -> int:
    """Return the scale code of a block.

    Parameters
    ----------
    numbers : sequence of Number
        The elements of one block.
    fmt : str or BlockFormat
        Such as ``"mxfp4"``.
    policy : Policy, str or None
        Uses the fields whose names begin with ``scale_``, ``input_subnormal``, ``block_tail`` and
        ``stochastic_bits``; the rules that search use those of `element.encode` as well. Default
        ``ocp``.
    source : str, default ``"float32"``
        The float format that the numbers came in; it says which numbers were subnormal.
    random : int, optional
        R, of ``stochastic_bits`` bits. The rule STOCHASTIC needs it, the others do not look at it.

    Raises
    ------
    TypeError
        If `random` is no integer.
    ValueError
        If there is no such format or policy; if the count does not fit the block; for a NaN or
        an infinity that the policy refuses; if the rule STOCHASTIC lacks `random`, or it is out
        of range; for a rule that searches together with a stochastic rounding.

    Notes
    -----
    MX-1.0/6.3/scale, MX-1.0/6.3/other-recipes; OP-SCALE-RULE, OP-SCALE-LOG2, OP-SCALE-QUOTIENT,
    OP-SCALE-SUBNORMAL, OP-SCALE-ZERO-BLOCK, OP-SCALE-NONFINITE, OP-SCALE-RANGE, OP-BLOCK-TAIL,
    OP-ELEM-SUBNORMAL.

    Examples
    --------
    >>> block = [Number.finite(7)] + [Number.zero(0)] * 31
    >>> select(block, "mxfp4") - 127, select(block, "mxfp4", "ocp:scale_rule=rceil") - 127
    (0, 1)
    """
    return selection(numbers, fmt, policy, source=source, random=random).code


def selection(
    numbers: Sequence[Number],
    fmt: str | BlockFormat,
    policy: Policy | str | None = None,
    *,
    source: str = "float32",
    random: int | None = None,
) -> Selection:
    """Return the scale code of a block, and whether the block is flushed to zeros.

    Parameters, errors and clauses are those of `select`.

    Examples
    --------
    >>> selection([Number.inf(0)], "mxfp4/1", "ocp:scale_inf=flush-block")
    Selection(code=0, flushes=True)
    """
    fmt, chosen = block_format(fmt), get_policy(policy)
    check_length(len(numbers), fmt, chosen)
    if chosen.scale_rule in rules.SEARCHES and chosen.rounding in random_bits.STOCHASTIC:
        raise ValueError(
            f"scale_rule={chosen.scale_rule} tries scales out, which rounding={chosen.rounding} "
            "would make a matter of chance; choose another rounding, or select the scale first"
        )

    # CLASSIFY
    if chosen.input_subnormal is InputSubnormal.FLUSH:
        numbers = [ieee.flushed(n, source) for n in numbers]
    nonfinite = _strongest_choice(numbers, chosen)
    forced = _forced(nonfinite, fmt.scale)
    if forced is not None:
        return forced

    amax: Fraction | None = _BEYOND
    if nonfinite is not ScaleInf.EXPONENT_FIELD:
        amax = max((n.magnitude for n in numbers if n.cls is NumberClass.FINITE), default=None)

    # SCALE: amax in the type that holds it.
    held = None if amax is None else _held(amax, fmt, chosen)
    if isinstance(held, Selection):
        return held

    found = _of_amax(held, numbers, fmt, chosen, source, random) if held else None
    return _of_zeros(fmt, chosen, source, random) if found is None else found


def _held(amax: Fraction, fmt: BlockFormat, policy: Policy) -> Fraction | Selection:
    """Amax in the type that holds it, or the scale of a block whose amax that type cannot hold.

    OP-SCALE-QUOTIENT: policy.scale_amax names the type. Beyond its range amax is an infinity, of
    which policy.scale_inf speaks (OP-SCALE-NONFINITE); where that ignores or refuses infinities
    of the input, the exponent is taken as unbounded.
    """
    held_in = rules.type_of_amax(policy.scale_rule, policy)
    if held_in is None:
        return amax
    rounded = ieee.round_magnitude(amax, held_in)
    if rounded <= ieee.largest(held_in):
        return rounded
    if policy.scale_inf is ScaleInf.EXPONENT_FIELD:
        return _BEYOND
    return _forced(policy.scale_inf, fmt.scale) or rounded


def _of_amax(
    amax: Fraction,
    numbers: Sequence[Number],
    fmt: BlockFormat,
    policy: Policy,
    source: str,
    random: int | None,
) -> Selection | None:
    """The scale of a block with this amax, or None where a rule takes it for zero."""
    rule = policy.scale_rule
    v = rules.operand(amax, fmt.element, rule, policy)
    if v == 0:
        return None

    # ALIGN and ROUND: to a power of two, exponents unbounded.
    exponent = rules.exponent(v, fmt.element, rule, policy, random)

    # OVERFLOW and PACK
    found = _in_range(exponent, fmt.scale, policy)
    if rule in rules.SEARCHES and found.code != fmt.scale.nan_code and not found.flushes:
        return Selection(search.best_code(found.code, numbers, fmt, policy, source))
    return found


def _in_range(exponent: int, scale: ScaleFormat, policy: Policy) -> Selection:
    """The code of an exponent.

    MX-1.0/5.4/e8m0 ends at 2^127 and at 2^-127, and the recipe does not say what then.
    OP-SCALE-RANGE: policy.scale_above and policy.scale_below choose.
    """
    if policy.scale_above is ScaleAbove.CLAMP_125:
        exponent = min(exponent, 125)
    code = exponent + scale.bias
    if exponent > scale.emax:
        match policy.scale_above:
            case ScaleAbove.CLAMP | ScaleAbove.CLAMP_125:
                return Selection(scale.max_code)
            case ScaleAbove.NAN:
                return Selection(scale.nan_code)
            case ScaleAbove.WRAP:
                return Selection(code % 256)
            case _:
                assert_never(policy.scale_above)
    if exponent < scale.emin:
        match policy.scale_below:
            case ScaleBelow.CLAMP:
                return Selection(0)
            case ScaleBelow.FLUSH_BLOCK:
                return Selection(0, flushes=True)
            case ScaleBelow.WRAP:
                return Selection(code % 256)
            case _:
                assert_never(policy.scale_below)
    return Selection(code)


_STRONGEST_FIRST = (
    ScaleInf.RAISE,
    ScaleInf.NAN_SCALE,
    ScaleInf.FLUSH_BLOCK,
    ScaleInf.SATURATE,
    ScaleInf.EXPONENT_FIELD,
    ScaleInf.IGNORE,
)
"""Which choice goes first where a block holds NaN and infinity and the policy treats them apart."""


def _strongest_choice(numbers: Sequence[Number], policy: Policy) -> ScaleInf:
    """What the NaNs and infinities of a block do to its scale.

    MX-1.0/6.3/scale speaks of max|V_i| only. OP-SCALE-NONFINITE: policy.scale_nan and
    policy.scale_inf choose.
    """
    for number in numbers:
        require_number(number)
    has_nan = any(n.cls is NumberClass.NAN for n in numbers)
    has_inf = any(n.cls is NumberClass.INF for n in numbers)
    nan = ScaleInf(policy.scale_nan.value) if has_nan else ScaleInf.IGNORE  # the same names
    inf = policy.scale_inf if has_inf else ScaleInf.IGNORE
    for choice, what, name in ((nan, "a NaN", "scale_nan"), (inf, "an infinity", "scale_inf")):
        if choice is ScaleInf.RAISE:
            raise ValueError(
                f"the block holds {what}, and the policy refuses it ({name}=raise); remove it, "
                f"or choose {name}=nan-scale or ignore"
            )
    return min(nan, inf, key=_STRONGEST_FIRST.index)


def _forced(choice: ScaleInf, scale: ScaleFormat) -> Selection | None:
    """The scale that a NaN or an infinity forces upon a block under a choice, or None."""
    match choice:
        case ScaleInf.NAN_SCALE:
            return Selection(scale.nan_code)
        case ScaleInf.FLUSH_BLOCK:
            return Selection(0, flushes=True)
        case ScaleInf.SATURATE:
            return Selection(scale.max_code)
        case ScaleInf.EXPONENT_FIELD | ScaleInf.IGNORE | ScaleInf.RAISE:
            return None
        case _:
            assert_never(choice)


def _of_zeros(fmt: BlockFormat, policy: Policy, source: str, random: int | None) -> Selection:
    """The scale of a block whose amax is zero, or counts as zero.

    MX-1.0/6.3/scale has no answer, as no power of two is at most 0. OP-SCALE-ZERO-BLOCK:
    policy.scale_zero_block chooses. Every scale but NaN stands for the same zeros.
    """
    match policy.scale_zero_block:
        case ScaleZeroBlock.MIN:
            return Selection(0)
        case ScaleZeroBlock.ONE:
            return Selection(fmt.scale.bias)
        case ScaleZeroBlock.MINUS_EMAX:
            return Selection(fmt.scale.bias - rules.emax_of(fmt.element))
        case ScaleZeroBlock.NAN:
            return Selection(fmt.scale.nan_code)
        case ScaleZeroBlock.MIN_NORMAL:
            # Without elements a search has nothing to tell scales apart by, and takes FLOOR's.
            # Where 2^-126 counts as zero too, the least scale is left.
            held = _held(rules.LEAST_NORMAL, fmt, policy)
            if isinstance(held, Selection) or not held:
                return Selection(0)
            return _of_amax(held, (), fmt, policy, source, random) or Selection(0)
        case _:
            assert_never(policy.scale_zero_block)


def check_length(count: int, fmt: BlockFormat, policy: Policy) -> None:
    """Refuse a number of elements that makes no block (MX-1.0/5.1/block, OP-BLOCK-TAIL).

    Under ``block_tail="zero-pad"`` a block may be short: the zeros that fill it change neither
    amax nor the other codes, so nobody needs to write them.

    Raises
    ------
    ValueError
        If `count` is 0, or more than k; or less than k, and the policy forbids it.
    """
    short = policy.block_tail is BlockTail.ZERO_PAD and 0 < count < fmt.block_size
    if count != fmt.block_size and not short:
        raise ValueError(
            f"a block of {fmt.name} has {fmt.block_size} elements, got {count}; pad with zeros, "
            "or choose block_tail=zero-pad for a shorter last block"
        )
