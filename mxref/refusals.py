"""Inputs that a policy refuses: where there is one, nothing is returned."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref import _choices as choice
from mxref import _inputs as inputs
from mxref.formats import BlockFormat, ElementFormat
from mxref.kernels.element import is_finite
from mxref.policy import Policy
from mxref.traversal import SLAB, storage_of

__all__ = ["refuse_nan_scale", "refuse_nonfinite", "refuses"]


def refuses(policy: Policy, element: ElementFormat) -> bool:
    """Return whether there is a block that the policy refuses."""
    return any(_refused(policy, element, is_block=True))


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
    refuse_nan, refuse_inf = _refused(policy, element, is_block=is_block)
    if not (refuse_nan or refuse_inf):
        return
    if x.flags.c_contiguous and x.flags.aligned and x.dtype.isnative:
        source = inputs.as_float(x)[1]
        if is_finite(x.reshape(-1).view(storage_of(source)), source):
            return  # at the speed of memory; only what is not finite deserves a closer look
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


@functools.lru_cache(maxsize=256)
def _refused(policy: Policy, element: ElementFormat, *, is_block: bool) -> tuple[bool, bool]:
    """Whether NaN is refused, and infinity."""
    refuse_nan = not element.has_nan and policy.nan_element is choice.NanElement.RAISE
    refuse_inf = not element.is_fp8 and policy.inf_element is choice.InfElement.RAISE
    if is_block:
        refuse_nan |= policy.scale_nan is choice.ScaleNan.RAISE
        refuse_inf |= policy.scale_inf is choice.ScaleInf.RAISE
    return refuse_nan, refuse_inf


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
