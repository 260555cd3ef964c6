"""What NVFP4 and BDR make of an input, by the exact definitions under the policy of a file."""

from __future__ import annotations

from mxref._policy_base import Choices
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.nvfp4_policy import NVFP4Policy
from mxref.vectors.expectation import Expectation
from mxref.vectors.lookup import RelativeFormat
from mxref.vectors.operations import Inputs
from mxref.vectors.relatives import bdr_expect, nvfp4_expect

__all__ = ["assumed_of_relative", "expect_relative"]


def expect_relative(
    operation: str, fmt: RelativeFormat, policy: Choices, inputs: Inputs
) -> Expectation:
    """Work out one case; parameters as of `mxref.vectors.expect.expect`.

    Raises
    ------
    TypeError
        If the policy is of another family.
    """
    if isinstance(fmt, BDRFormat) and isinstance(policy, BDRPolicy):
        return bdr_expect.expect(operation, fmt, policy, inputs)
    if not isinstance(fmt, BDRFormat) and isinstance(policy, NVFP4Policy):
        return nvfp4_expect.expect(operation, policy, inputs)
    raise TypeError(f"{operation} of {fmt.name} does not take a {type(policy).__name__}")


def assumed_of_relative(operation: str, policy: Choices) -> tuple[str, ...]:
    """Policy fields that a ``must`` of such a file takes for granted: the steps of the recipe.

    Left out are those that are told apart in `one_of` instead.

    Examples
    --------
    >>> assumed_of_relative("nvfp4_scale_encode", NVFP4Policy())
    ('scale_rounding', 'scale_overflow')
    """
    own = bdr_expect if isinstance(policy, BDRPolicy) else nvfp4_expect
    fields: tuple[str, ...] = own.ASSUMED[operation]
    if "quantize" not in operation or "dequantize" in operation:
        return fields
    return (*fields, *(f for f in policy.diff(type(policy)()) if f not in fields))
