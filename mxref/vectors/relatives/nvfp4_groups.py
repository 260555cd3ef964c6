"""The covergroups of `nvfp4_quantize`: which inputs, why, and what they are about."""

from __future__ import annotations

import functools
from dataclasses import replace

from mxref.vectors.covergroups import Covergroup
from mxref.vectors.relatives import nvfp4_stimuli as stimuli

__all__ = ["CHOOSING", "FEWER", "QUANTIZE"]

_RECIPE = "OP-NVFP4-RECIPE"
_E4M3 = "OFP8-1.0/rounding"
_E2M1 = "MX-1.0/5.3/fp4"

CHOOSING = (
    Covergroup(
        "four-or-six",
        "blocks that lose less mapped to 4, to 6, or as much either way: errors summed in another"
        " order or type, the wrong one of equals, a scale that leaves the range",
        (_RECIPE,),
        stimuli.four_or_six,
    ),
)

QUANTIZE = (
    Covergroup(
        "scale-codes",
        "every scale code, from a block whose largest number is 6 times its value",
        (_RECIPE, "OFP8-1.0/in-range"),
        stimuli.scale_codes,
    ),
    Covergroup(
        "scale-midpoints",
        "ties between scale codes and their neighbours at one ulp: scales rounded up or truncated,"
        " subnormal scales flushed, a least scale that is another",
        (_RECIPE, _E4M3, "OFP8-1.0/underflow"),
        stimuli.scale_midpoints,
    ),
    Covergroup(
        "element-midpoints",
        "every tie of E2M1 and its neighbours, under a scale of the tensor that is 1",
        (_RECIPE, "MX-1.0/6.3/rounding"),
        stimuli.element_midpoints,
    ),
    Covergroup(
        "element-codes",
        "the value of every code, under normal and subnormal scales",
        (_RECIPE, _E2M1),
        stimuli.element_codes,
    ),
    Covergroup(
        "element-order",
        "ties of E2M1 and their neighbours where every step rounds: a reciprocal, a quotient or a"
        " product taken in another order, or in bfloat16, gives other codes",
        (_RECIPE,),
        stimuli.element_order,
    ),
    Covergroup(
        "scale-order",
        "ties between scale codes where every step rounds: amax / 6 and the scale of the tensor"
        " combined in another order give another code",
        (_RECIPE,),
        stimuli.scale_order,
    ),
    Covergroup(
        "scale-top",
        "the block that has the largest number of the tensor: a scale rounded beyond 448",
        (_RECIPE, "OFP8-1.0/overflow-sat"),
        stimuli.scale_top,
    ),
    Covergroup(
        "stale-amax",
        "numbers beyond the amax that was handed in: scales and elements that saturate",
        (_RECIPE, "OFP8-1.0/overflow-sat", "MX-1.0/6.3/clamp"),
        stimuli.stale_amax,
    ),
    Covergroup(
        "far-below",
        "a block far below the largest of its tensor: scales that underflow, to zero in the end",
        (_RECIPE, "OFP8-1.0/underflow"),
        stimuli.far_below,
    ),
    Covergroup(
        "lanes",
        "the largest magnitude in every lane with either sign: a maximum over some lanes only",
        (_RECIPE,),
        stimuli.lanes,
    ),
    Covergroup(
        "global-range",
        "tensors at the ends of float32: a scale of the tensor, or its inverse, out of range",
        (_RECIPE,),
        stimuli.global_range,
    ),
    Covergroup(
        "zeros",
        "blocks and tensors of zeros, and zeros of either sign beside numbers",
        (_RECIPE, "OP-NEG-ZERO"),
        stimuli.zeros,
    ),
    Covergroup(
        "nonfinite",
        "NaN and infinity, in a lane and as the largest of the tensor",
        (_RECIPE,),
        stimuli.nonfinite,
    ),
    Covergroup(
        "subnormals",
        "blocks of float32 subnormals: inputs or factors flushed to zero",
        (_RECIPE,),
        stimuli.subnormal_inputs,
    ),
    Covergroup(
        "input-types",
        "the same from bfloat16 and float16",
        (_RECIPE,),
        stimuli.input_types,
    ),
)

_LEFT_OUT = {"scale-codes", "element-codes", "lanes", "input-types"}
FEWER = tuple(
    replace(group, stimuli=functools.partial(stimuli.scale_midpoints, few=4))
    if group.name == "scale-midpoints"
    else group
    for group in QUANTIZE
    if group.name not in _LEFT_OUT
)
"""For further profiles: what tells one from the other, and the ends."""
