"""The few inputs that tell published implementations apart: a pool, and a greedy choice from it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mxref.check import stimuli
from mxref.check._drive import INPUT_DTYPES
from mxref.check._landmarks import INF, SIGN, as_float32, bits_of, magnitudes, thresholds
from mxref.check.identify._answers import Answers, Fmt, Inputs, answers_of_policy
from mxref.check.threshold._scale_steps import amax_blocks
from mxref.faults.legal import require_judgeable
from mxref.formats import BLOCK_FORMATS, BlockFormat, ElementFormat, ScaleFormat, pow2
from mxref.profiles import PROFILES, Profile

__all__ = ["Choice", "choice_of", "covering"]

_NAN = 0x7FC0_0000
_TINY = 0x0000_0001


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen inputs, then everything else that is designed for an operation.

    Attributes
    ----------
    inputs : tuple of ndarray
        Chosen rows first.
    chosen : int
        How many there are.
    alike : tuple of tuple of str
        Profiles that answer all of it in the same way, each group in the order of the profiles.
    """

    inputs: Inputs
    chosen: int
    alike: tuple[tuple[str, ...], ...]


def covering(op: str, fmt: Fmt) -> tuple[Profile, ...]:
    """Return the profiles that have an operation on a format, and can be followed by a check.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> [p.name for p in covering("quantize", block_format("mxint8"))]
    ['ocp', 'tosa-1.1', 'p3109', 'microxcaling', 'gfloat']
    """
    return tuple(p for p in PROFILES.values() if op in p.operations and _has(p, fmt) and _plain(p))


def _has(profile: Profile, fmt: Fmt) -> bool:
    if isinstance(fmt, BlockFormat):
        return fmt.base in profile.formats
    if isinstance(fmt, ScaleFormat):
        return profile.scale_cast
    return any(BLOCK_FORMATS[name].element == fmt for name in profile.formats)


def _plain(profile: Profile) -> bool:
    try:
        require_judgeable(profile.policy)
    except ValueError:
        return False
    return True


@functools.lru_cache(maxsize=64)
def choice_of(op: str, fmt: Fmt, input_dtype: str) -> Choice:
    """Choose inputs for an operation on a format, in the numbers that a kernel takes."""
    profiles = covering(op, fmt)
    policies = list(dict.fromkeys(profile.policy for profile in profiles))
    inputs, simple = _pool(op, fmt)
    if op in ("quantize", "encode") and input_dtype != "float32":
        with np.errstate(all="ignore"):  # what is beyond the type becomes an infinity
            inputs = tuple(array.astype(INPUT_DTYPES[input_dtype]) for array in inputs)
    answers = [answers_of_policy(policy, op, fmt, inputs) for policy in policies]
    chosen, same = _greedy(answers, simple)
    order = np.concatenate([chosen, np.setdiff1d(np.arange(len(inputs[0])), chosen)])
    groups = tuple(
        tuple(p.name for p in profiles if policies.index(p.policy) in members) for members in same
    )
    return Choice(tuple(array[order] for array in inputs), len(chosen), groups)


def _greedy(answers: list[Answers], simple: int) -> tuple[NDArray[np.intp], list[list[int]]]:
    """Take the row that tells most pairs apart, again and again; then group what is left.

    The first `simple` rows are preferred: a person can follow them.
    """
    pairs = [(i, j) for i in range(len(answers)) for j in range(i)]
    if not pairs:
        return np.empty(0, np.intp), [list(range(len(answers)))]
    differs = np.stack([answers[i].differs(answers[j]) for i, j in pairs])
    alike: NDArray[np.bool_] = np.asarray(~differs.any(axis=1))
    left, chosen = ~alike, []
    for rows in (simple, differs.shape[1]):
        while differs[left, :rows].any():
            row = int(differs[left, :rows].sum(axis=0).argmax())
            chosen.append(row)
            left &= ~differs[:, row]
    groups: list[list[int]] = []
    for i in range(len(answers)):
        # The first rows are the simplest: whoever comes later joins the first that is alike.
        home = next((g for g in groups if _are_alike(i, g[0], pairs, alike)), None)
        if home is None:
            groups.append([i])
        else:
            home.append(i)
    return np.array(chosen, np.intp), groups


def _are_alike(i: int, j: int, pairs: list[tuple[int, int]], alike: NDArray[np.bool_]) -> bool:
    return bool(alike[pairs.index((max(i, j), min(i, j)))])


# --- the pool ---------------------------------------------------------------------------------


def _pool(op: str, fmt: Fmt) -> tuple[Inputs, int]:
    """Simple inputs, as many as said, and behind them everything that is designed."""
    if op == "decode" and not isinstance(fmt, BlockFormat):
        inputs = stimuli.decode_stimuli(fmt).inputs
        return inputs, len(inputs[0])
    if isinstance(fmt, BlockFormat):
        if op == "dequantize":
            inputs = stimuli.dequantize_stimuli(fmt).inputs
            return inputs, len(inputs[0])
        own = np.concatenate([_simple_blocks(fmt), _tie_blocks(fmt)])
        rest = stimuli.quantize_stimuli(fmt).inputs[0]
    else:
        own, rest = _simple_casts(fmt), stimuli.encode_stimuli(fmt).inputs[0]
    return (np.concatenate([as_float32(own), rest]),), len(own)


def _simple_blocks(fmt: BlockFormat) -> NDArray[np.uint32]:
    """One number and its half: at each threshold of a rule, at both ends, and what is no number."""
    element, k = fmt.element, fmt.block_size
    steps = thresholds(element).astype(np.int64)
    near = [steps + (e << 23) for e in (element.emax, 0, 10, 64, -20)]
    low = bits_of([pow2(e) for e in (-149, -128, -127, -126, element.emax - 127)]).astype(np.int64)
    high = [0x7F7F_FFFF, 0x7F00_0000, 0x7F40_0000]
    amax = np.concatenate([*near, low, high]).astype(np.uint32)
    ordinary = amax_blocks(amax, np.zeros(len(amax), np.int64), k)
    special = np.zeros((5, k), np.uint32)
    special[1] = SIGN
    special[2:, -1] = bits_of([1])[0]
    special[2:, 0] = (_NAN, INF, _NAN | int(SIGN))
    return np.concatenate([ordinary, special])


def _tie_blocks(fmt: BlockFormat) -> NDArray[np.uint32]:
    """Six ties, the zeros and the smallest number, beside a number that fixes the scale."""
    element, k = fmt.element, fmt.block_size
    values = magnitudes(element)
    few = [Fraction(0), *values[1:4], *values[-5:-1]]
    ties = [(v + values[values.index(v) + 1]) / 2 for v in few]
    bits = np.concatenate([bits_of(ties[:6]), [0, _TINY], bits_of(ties[6:])]).astype(np.uint32)
    signed = np.concatenate([bits, bits | SIGN]).astype(np.uint32)
    anchors = bits_of([element.max, pow2(element.emax)])
    width = max(k - 1, 1)
    rows = -(-len(signed) // width)
    body = np.zeros(rows * width, np.uint32)
    body[: len(signed)] = signed
    blocks = np.zeros((2 * rows, k), np.uint32)
    blocks[:, 0] = np.repeat(anchors, rows)
    if k > 1:
        blocks[:, 1:] = np.tile(body.reshape(rows, width), (2, 1))
    return blocks


def _simple_casts(fmt: ElementFormat | ScaleFormat) -> NDArray[np.uint32]:
    special = np.array([0, SIGN, INF, INF | int(SIGN), _NAN, _NAN | int(SIGN)], np.uint32)
    if isinstance(fmt, ScaleFormat):
        numbers = [Fraction(3, 2), Fraction(3), Fraction(5, 4), pow2(-127) * 3 / 2, pow2(-128)]
    else:
        values = magnitudes(fmt)
        step = values[-1] - values[-2]
        ties = [(values[i] + values[i + 1]) / 2 for i in (0, 1, 2, -3, -2)]
        numbers = [*ties, fmt.max + step / 2, fmt.max + step, 2 * fmt.max, pow2(-149)]
    bits = bits_of(numbers)
    return np.concatenate([bits, bits | SIGN, special]).astype(np.uint32)
