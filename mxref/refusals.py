"""Inputs that a policy refuses, found before anything is converted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _choices as choice
from mxref import _inputs as inputs
from mxref.formats import BlockFormat, ElementFormat
from mxref.policy import Policy
from mxref.traversal import SLAB

__all__ = ["refuse_nan_scale", "refuse_nonfinite"]


def refuse_nonfinite(
    x: NDArray[Any], policy: Policy, element: ElementFormat, *, is_block: bool
) -> None:
    """Apply the choices named ``raise`` (OP-SCALE-NONFINITE, OP-NAN-ELEMENT, OP-INF-ELEMENT).

    Parameters
    ----------
    is_block : bool
        Whether the scale is selected too.

    Raises
    ------
    ValueError
        If the input holds what the policy refuses.
    """
    refuse_nan = not element.has_nan and policy.nan_element is choice.NanElement.RAISE
    refuse_inf = not element.is_fp8 and policy.inf_element is choice.InfElement.RAISE
    if is_block:
        refuse_nan |= policy.scale_nan is choice.ScaleNan.RAISE
        refuse_inf |= policy.scale_inf is choice.ScaleInf.RAISE
    if not (refuse_nan or refuse_inf):
        return
    for piece in inputs.slabs(x.shape, SLAB):
        values = x[piece]
        with np.errstate(invalid="ignore"):  # a signalling NaN warns when it is looked at
            nan, inf = np.isnan(values), np.isinf(values)
        for bad, what, refused in ((nan, "NaN", refuse_nan), (inf, "an infinity", refuse_inf)):
            if refused and bad.any():
                msg = (
                    f"x holds {what}, which the policy {policy} refuses; choose what becomes of it "
                    f"(policy fields scale_nan, scale_inf, nan_element, inf_element) or clean the "
                    f"input"
                )
                raise ValueError(msg)


def refuse_nan_scale(scales: NDArray[np.uint8], fmt: BlockFormat) -> None:
    """Refuse NaN scales where an element has no NaN and the policy refuses one.

    Raises
    ------
    ValueError
        If a block has the NaN scale.
    """
    if (scales == fmt.scale.nan_code).any():
        msg = (
            f"a block has the NaN scale, and {fmt.element.name} has no code for its elements under "
            f"nan_element=raise; choose another nan_element or clean the input"
        )
        raise ValueError(msg)
