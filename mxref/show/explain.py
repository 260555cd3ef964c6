"""How a number becomes a code: every step, with the clause or the open point behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mxref.formats import BlockFormat, ElementFormat, ScaleFormat
from mxref.policy import get_policy
from mxref.show._asked import asked_for
from mxref.show._errors import ArgumentError
from mxref.show._explain_draws import refuse_idle
from mxref.show._explain_mx import Draws, explain_block, explain_cast, explain_element
from mxref.show._explain_position import PositionExplanation
from mxref.show._explain_spot import Spot
from mxref.show._explain_views import BlockExplanation, Explanation
from mxref.show._input import Given, Wanted, is_block, read_block, read_draws, read_number
from mxref.show._text import with_article
from mxref.show.codes import any_format

if TYPE_CHECKING:
    from mxref.bdr import BDRArray, BDRFormat, BDRPolicy
    from mxref.mxarray import MXArray
    from mxref.nvfp4 import NVFP4Array, NVFP4Format, NVFP4Policy
    from mxref.policy import Policy
    from mxref.show._explain_stored import StoredExplanation

__all__ = ["BlockExplanation", "Explanation", "PositionExplanation", "explain"]


def explain(  # noqa: PLR0913  # what three families take
    x: object,
    format: (  # noqa: A002 - the public name
        str | ElementFormat | ScaleFormat | BlockFormat | NVFP4Format | BDRFormat | None
    ) = None,
    policy: Policy | NVFP4Policy | BDRPolicy | str | None = None,
    *,
    at: int | tuple[int, ...] | None = None,
    axis: int = -1,
    pad: bool = False,
    random: Any = None,
    scale_random: Any = None,
    global_amax: Any = None,
    global_scale: Any = None,
) -> Explanation | BlockExplanation | PositionExplanation | StoredExplanation:
    """Explain how a number, a block, or one place of a tensor is converted, step by step.

    Parameters
    ----------
    x : number, str, sequence of them, array, MXArray, NVFP4Array or BDRArray
        A float (float64), a numpy or ml_dtypes scalar, an int or a Fraction; text such as
        ``"1.3"`` is the nearest float32, ``"0x3fa66666"`` its bits, ``"bfloat16:0x3fa6"`` those of
        another format. For a block format also a flat sequence of as many numbers as the block
        has; one number is explained as a block whose other elements are zero. With `at`, an array
        of any shape that ``mxref.quantize`` takes. A quantized array explains what it holds.
    format : str or a format
        An element (``"e4m3"``), scale (``"e8m0"``, ``"ue4m3"``) or block format (``"mxfp4"``,
        ``"mxfp4/4"``, ``"nvfp4"``, ``"mx9"``); left out for a quantized array.
    policy : Policy, NVFP4Policy, BDRPolicy or str, optional
        What answers the open points; default ``ocp``, ``te-1d`` or ``bdr-paper``.
    at : int or tuple of int, optional
        The place to explain, an index of the array `x`.
    axis : int
        With `at`: the axis along which blocks lie.
    pad : bool
        Accept a last block, or a block given, that is too short; zeros complete it.
    random : int, sequence or array of int, optional
        R, the random number of each element, for a stochastic rounding: of as many bits as
        `mxref.exact.random_bits.count` says. With `at`, what ``mxref.quantize`` takes.
    scale_random : int or array of int, optional
        R of the block, or of all blocks, for ``scale_rule=stochastic``.
    global_amax, global_scale : number, optional
        NVFP4: the largest magnitude of the tensor, or its scale g, where `x` is a part of it.

    Returns
    -------
    Explanation, BlockExplanation, PositionExplanation or StoredExplanation
        ``str()`` gives the text, ``to_dict()`` the same facts as data; the elements of a block
        are explained one by one in ``.elements``.

    Raises
    ------
    ValueError
        If the format or the policy is unknown, `x` cannot be read, a block has another length,
        `at` lies outside, or the policy refuses a NaN or an infinity, or needs random bits that
        are not given, or has no use for those that are.
    TypeError
        If `x` is no number, or an argument belongs to another family of formats.

    Notes
    -----
    MX-1.0/6.3, OP-NVFP4-RECIPE, OP-BDR-QUANTIZER; each step names its own clauses.

    Examples
    --------
    >>> explain("1.3", "e2m1")
    1.3 to e2m1, policy ocp
      given      float32 0x3fa66666 = 5452595/4194304 = +5452595*2^-22 = ~1.29999995
      classify   finite, sign +
      scale      ~1.29999995, not scaled
      align      +0b1.0 | 1 | 0 | 1 *2^0   kept | guard | round | sticky
      round      above half: nearest-even goes up to +0b1.1*2^0 = 1.5
                 [MX-1.0/6.3/rounding]  [OP-ELEM-ROUNDING]
      overflow   no: magnitude 1.5 is at most 6
      pack       0 | 01 | 1 = 0x3  [MX-1.0/5.3/fp4]
      decoded    1.5, float32 0x3fc00000
      error      ~+0.2 = ~+0.4 ulp of 0.5, ~+15.4 %

    One place of a tensor:

    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 256, dtype=np.float32).reshape(2, 128)
    >>> found = explain(x, "mxfp4", at=(1, 70))
    >>> print(found.place)
    x[1, 70], element 6 of block [1, 2]: x[1, 64:96], along axis 1
    >>> hex(found.code), hex(found.scale_code)
    ('0x6', '0x7c')
    """
    if hasattr(x, "codes") and hasattr(x, "scales"):
        from mxref.show._explain_stored import explain_stored

        return explain_stored(_only_stored(x, format, policy), at)
    if format is None:
        raise TypeError(
            f"explain needs a format, such as mxref.explain({_shortly(x)}, 'mxfp4'); only a "
            "quantized array brings its own"
        )
    from mxref.relatives import arguments_of

    more = arguments_of(
        format, scale_random=scale_random, global_amax=global_amax, global_scale=global_scale
    )
    found = _converted(x, format, policy, Wanted(at, axis, pad, random, scale_random), more)
    if isinstance(found, PositionExplanation):
        asked = asked_for(policy, found.block.policy)
        return replace(found, block=replace(found.block, asked=asked))
    return replace(found, asked=asked_for(policy, found.policy))


def _converted(
    x: Any,
    format: Any,  # noqa: A002 - as in the public function
    policy: Any,
    wanted: Wanted,
    more: dict[str, Any],
) -> Explanation | BlockExplanation | PositionExplanation:
    """Explain a conversion in the family of the format."""
    from mxref.relatives import family_of

    family = family_of(format)
    if family == "nvfp4" or (isinstance(format, str) and format.strip().lower() == "ue4m3"):
        from mxref.show import _explain_nvfp4 as nvfp4

        if family != "nvfp4":
            given, spot = _number(x, "ue4m3", wanted.at)
            cast = nvfp4.explain_scale(given, policy)
            refuse_idle(wanted.random, cast.policy, is_scale=True)
            return replace(cast, place=spot)
        return nvfp4.explain_nvfp4(x, policy, wanted, **more)
    if family == "bdr":
        from mxref.show import _explain_bdr as bdr

        return bdr.explain_bdr(x, format, policy, wanted)
    fmt, chosen = any_format(format), get_policy(policy)
    refuse_idle(wanted.random, chosen, is_scale=isinstance(fmt, ScaleFormat))
    if not isinstance(fmt, BlockFormat):
        given, spot = _number(x, fmt.name, wanted.at)
        if isinstance(fmt, ScaleFormat):
            return replace(explain_cast(given, fmt, chosen), place=spot)
        draws = read_draws(wanted.random, 1)
        R = None if draws is None else draws[0]
        return replace(explain_element(given, fmt, chosen, R), place=spot)
    if wanted.at is not None:
        from mxref.show._explain_tensor import explain_place

        return explain_place(x, fmt, chosen, wanted)
    alone = not is_block(x)
    numbers = [read_number(x)] if alone else read_block(x)
    found = Draws(read_draws(wanted.random, len(numbers)), wanted.scale_random)
    return explain_block(numbers, fmt, chosen, found, alone=alone, pad=wanted.pad)


def _number(x: object, name: str, at: Any) -> tuple[Given, Spot | None]:
    """The one number that a cast takes, and where it was picked from an array."""
    if at is not None:
        from mxref.show._explain_place import one_number

        return one_number(x, at)
    if is_block(x):
        what = f"{name!r} takes one number; a block of numbers needs a block format such as "
        raise ArgumentError(
            f"{what}'mxfp4' or 'mxfp8_e4m3/4', and at=(0, 5) picks one number of an array",
            f"{what}mxfp4 or mxfp8_e4m3/4, and --at 0,5 picks one number of FILE.npy",
        )
    return read_number(x), None


def _only_stored(x: Any, format: Any, policy: Any) -> MXArray | NVFP4Array | BDRArray:  # noqa: A002
    """The quantized array, if nothing else is asked of it."""
    own = with_article(type(x).__name__)
    if format is not None and getattr(format, "name", format) != x.format.name:
        what = f"{own} in {x.format.name} has its codes already; "
        raise ArgumentError(
            f"{what}explain x.dequantize() in {format!r}, or leave the format out to see what it "
            "holds",
            f"{what}leave FORMAT out to see what it holds, or explain a file of numbers, FILE.npy",
        )
    if policy is not None:
        what = f"{own} has its policy, {x.policy.name}; "
        rest = "out, or explain the numbers that it was made from"
        raise ArgumentError(f"{what}leave policy {rest}", f"{what}leave --policy {rest}")
    array: MXArray | NVFP4Array | BDRArray = x
    return array


def _shortly(x: object) -> str:
    text = repr(x)
    return text if len(text) <= 20 and "\n" not in text else "x"
