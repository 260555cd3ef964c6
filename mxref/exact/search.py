"""Scale rules that try scales out: the one under which a block comes back with the least error.

OP-SCALE-RULE: MX-1.0/6.3/other-recipes allows any rule. Errors are exact rational numbers here; an
implementation that sums them in a float can choose otherwise where two come close.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from mxref._choices import ScaleRule
from mxref.exact import element
from mxref.exact.number import NumberClass, power_of_two

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mxref.exact.number import Number
    from mxref.formats import BlockFormat
    from mxref.policy import Policy

__all__ = ["best_code"]


def best_code(
    floor_code: int, numbers: Sequence[Number], fmt: BlockFormat, policy: Policy, source: str
) -> int:
    """Return the code with the least error: that of FLOOR or one of its two neighbours.

    Parameters
    ----------
    floor_code : int
        The code that FLOOR gives, not the NaN.
    numbers : sequence of Number
        The elements of the block.
    fmt : BlockFormat
        The format.
    policy : Policy
        Its ``scale_rule``, MSE or MAE, says which error; the rest says how elements are encoded.
    source : str
        The float format of the numbers.

    Notes
    -----
    Of codes with equal errors FLOOR's is taken, then the larger one.

    Examples
    --------
    >>> from mxref.exact.number import Number
    >>> from mxref.formats import block_format
    >>> from mxref.policy import Policy
    >>> block = [Number.finite(v) for v in (15, 15, 4, 2)]
    >>> best_code(128, block, block_format("mxfp4/4"), Policy(scale_rule="mse"), "float32")
    129
    """
    finite = [n for n in numbers if n.cls is NumberClass.FINITE]  # a zero is always exact
    candidates = [
        code
        for code in (floor_code, floor_code + 1, floor_code - 1)
        if 0 <= code <= fmt.scale.max_code
    ]
    errors = {code: _error(code, finite, fmt, policy, source) for code in candidates}
    # `min` takes the first of equals. None is an error without bound.
    return min(candidates, key=lambda code: (errors[code] is None, errors[code] or 0))


def _error(
    scale_code: int, finite: Sequence[Number], fmt: BlockFormat, policy: Policy, source: str
) -> Fraction | None:
    """The error of a block under a scale code, None if a finite number does not stay finite."""
    X = power_of_two(scale_code - fmt.scale.bias)
    total = Fraction(0)
    for number in finite:
        code = element.encode(number, fmt.element, policy, scale=X, source=source)
        P = element.decode(code, fmt.element)
        if P.cls in (NumberClass.NAN, NumberClass.INF):
            return None
        difference = abs(number.value - X * P.value)
        total += difference**2 if policy.scale_rule is ScaleRule.MSE else difference
    return total
