"""The definition: every conversion over integers and rationals, to be read beside the standards.

Scalar and slow on purpose. There is no float in here, no array and no trick with bits: each
function says what a result *is*, over the real numbers, and names the clauses that say so. Where
the standards leave a point open, a comment states the alternatives and which field of the policy
chooses. The kernels are proven equal to these functions.

Read in this order: `number` (what a number is), `element` and `codes` (one element), `scale` and
`rules` (the shared scale), `block` (both together), `dot`; `ieee` connects them to the bits of
ordinary floats. `random_bits`, `logarithm` and `search` serve choices that few policies take.
"""

from __future__ import annotations

from mxref.exact import block, dot, element, ieee, number, random_bits, scale

__all__ = ["block", "dot", "element", "ieee", "number", "random_bits", "scale"]
