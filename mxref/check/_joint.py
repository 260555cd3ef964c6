"""A last look for a legal policy, scales and elements together, before anybody is called wrong.

The stages judge scales and elements apart. A few choices act on both: which blocks are flushed
depends on the rule, the quotient, subnormal numbers and zeros alike. Here a sample is compared with
whole policies.
"""

from __future__ import annotations

import numpy as np

from mxref.check._compare import Comparison, agrees
from mxref.check._descent import nearest_policy
from mxref.check._elements import with_flushed_blocks
from mxref.check._findings import ELEMENT_FIELDS, SCALE_FIELDS
from mxref.check._problem import Problem, spread
from mxref.check.infer import scale_differences
from mxref.faults.encoder import Encoder
from mxref.faults.scale import Selector
from mxref.faults.stats import block_stats
from mxref.policy import Policy

__all__ = ["legal_policy"]

_FEW_LANES = 1 << 12
_ROUNDS = 3
_FIELDS = tuple(dict.fromkeys((*SCALE_FIELDS, *ELEMENT_FIELDS)))
_NAN_SCALE = 0xFF


def legal_policy(problem: Problem, base: Policy, found: Policy, seen: Comparison) -> Policy | None:
    """A legal policy that reproduces every bit, or None.

    Parameters
    ----------
    problem : Problem
        Blocks, not lone elements.
    base : Policy
        What was expected; its choices are preferred.
    found : Policy
        What the stages inferred.
    seen : Comparison
        With `base`.
    """
    limit = max(32, _FEW_LANES // problem.fmt.block_size)
    bad = np.union1d(seen.bad_blocks(), seen.bad_scales())
    chosen = np.union1d(spread(bad, limit), spread(np.arange(problem.n_blocks), limit))
    element = problem.fmt.element
    piece = problem.take(chosen)
    stats = block_stats(piece.x)
    judged = piece.scales != _NAN_SCALE

    def missed(policy: Policy) -> int:
        selector = Selector(problem.fmt, policy)
        codes = Encoder(element, policy).encode(piece.x, piece.scales[:, None])
        codes = with_flushed_blocks(codes, piece.x, piece.scales, problem.fmt, policy)
        differs = (codes != piece.codes) & judged[:, None]
        if piece.used is not None:
            differs &= piece.used
        scales = scale_differences(stats, selector.select(stats), piece.scales)
        # A scale code counts as much as its elements, or a wrong rule would be worth one element.
        return int(differs.sum()) + problem.fmt.block_size * int(scales.sum())

    starts = (base, found, found.replace(scale_below="flush-block"))
    policy, left = nearest_policy(
        starts, _FIELDS, element, missed, few=max(256, piece.codes.size // 32)
    )
    return policy if left == 0 and agrees(problem, policy) else None
