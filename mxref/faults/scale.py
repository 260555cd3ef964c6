"""Scale faults: the selection of a block's scale with one step gone wrong.

A selection measures the block (amax), takes an exponent from amax by a rule, and turns the
exponent into an E8M0 code. A fault overrides one of these steps of `Selector`.

Notes
-----
All of it is exact in float64 for float32, float16 and bfloat16 input: ``frexp`` splits amax into
m in [1, 2) and E, every rule is a comparison of m with a constant, and the constants are short.
The two irrational ones lie strictly between neighbouring float64 numbers, so comparing with the
nearest float64 decides correctly; for S3, whose threshold carries one division, that holds for
sources of at most 24 significant bits. The variants of S8 that name float32 logarithms compute
the float64 logarithm and round it to float32: a model of a correctly rounded ``log2f``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults.encoder import Bools, Bytes, Floats, Ints, as_float64
from mxref.formats import BlockFormat
from mxref.policy import Policy

__all__ = ["BlockStats", "ScaleModel", "Selector", "block_stats", "split", "with_neighbours"]

_NAN, _MAX, _BIAS = 0xFF, 0xFE, 127
_SQRT2 = 1.4142135623730951  # the float64 just above the square root of two


@dataclass(frozen=True, slots=True)
class BlockStats:
    """What scale selection may look at, one entry a block.

    Attributes
    ----------
    amax : ndarray of float64
        Largest finite magnitude, 0 if there is none.
    has_nan, has_inf : ndarray of bool
        Whether the block holds one.
    nan_first : ndarray of bool
        Whether its first element is NaN.
    parts : Mapping of str to ndarray of float64
        amax over wrong sets of elements: ``without_first``, ``without_last``, ``first_half``,
        ``second_half``; ``signed``, the largest value instead of the largest magnitude; and what
        `with_neighbours` adds.
    """

    amax: Floats
    has_nan: Bools
    has_inf: Bools
    nan_first: Bools
    parts: Mapping[str, Floats]

    def take(self, where: npt.NDArray[Any]) -> BlockStats:
        """The blocks at these indices, or where a mask is true; one-dimensional."""
        parts = {name: array[where] for name, array in self.parts.items()}
        return BlockStats(
            self.amax[where], self.has_nan[where], self.has_inf[where], self.nan_first[where], parts
        )

    def ravel(self) -> BlockStats:
        """The same blocks in one dimension."""
        return self.take(np.ones(self.amax.shape, np.bool_))

    @property
    def is_normal(self) -> Bools:
        """Blocks of finite elements that are not all zero: those that the rule decides."""
        return ~self.has_nan & ~self.has_inf & (self.amax > 0)


def block_stats(blocks: npt.NDArray[Any]) -> BlockStats:
    """Measure blocks.

    Parameters
    ----------
    blocks : ndarray, shape (..., n_blocks, k)
        Values, any source type.

    Returns
    -------
    BlockStats
        Arrays of shape (..., n_blocks).
    """
    x = as_float64(blocks)
    nan, inf = np.isnan(x), np.isinf(x)
    value = np.where(nan | inf, 0.0, x)
    size = np.abs(value)
    amax = size.max(-1)
    half = max(x.shape[-1] // 2, 1)
    parts = {
        "signed": value.max(-1),
        "without_first": size[..., 1:].max(-1, initial=0.0),
        "without_last": size[..., :-1].max(-1, initial=0.0),
        "first_half": size[..., :half].max(-1),
        "second_half": size[..., half:].max(-1, initial=0.0),
    }
    return BlockStats(amax, np.any(nan, -1), np.any(inf, -1), nan[..., 0], parts)


def with_neighbours(stats: BlockStats) -> BlockStats:
    """Add amax over neighbouring blocks: ``previous``, ``next`` and ``pair``.

    Parameters
    ----------
    stats : BlockStats
        Arrays of shape (..., n_blocks), all blocks of an axis in order.
    """
    amax = stats.amax
    previous = np.concatenate([amax[..., :1], amax[..., :-1]], -1)
    following = np.concatenate([amax[..., 1:], amax[..., -1:]], -1)
    odd = np.arange(amax.shape[-1]) % 2 == 1
    pair = np.maximum(amax, np.where(odd, previous, following))
    parts = dict(stats.parts) | {"previous": previous, "next": following, "pair": pair}
    return replace(stats, parts=parts)


class Selector:
    """The correct selection of a scale code; a fault is a subclass that overrides a step.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> stats = block_stats(np.array([[1.0, 7.0], [0.0, 0.0]]))
    >>> Selector(block_format("mxfp4/2"), Policy()).select(stats)
    array([127,   0], dtype=uint8)
    """

    def __init__(self, fmt: BlockFormat, policy: Policy) -> None:
        self.fmt = fmt
        self.policy = policy
        element = fmt.element
        self.emax, self.mantissa_bits = element.emax, element.mantissa_bits
        self.max_significand = float(element.max) / 2.0**element.emax

    def select(self, stats: BlockStats) -> Bytes:
        """Return the scale code of each block.

        Raises
        ------
        ValueError
            If there is a NaN or an infinity that the policy refuses.
        """
        amax = self.measure(stats)
        positive = np.where(amax > 0, amax, 1.0)
        code = self.to_code(self.exponent(positive))
        code = np.where(amax > 0, code, self.zero_code())
        nonfinite = stats.has_nan | stats.has_inf
        return (self.special(stats, code) if nonfinite.any() else code).astype(np.uint8)

    def measure(self, stats: BlockStats) -> Floats:
        """The number that stands for the block."""
        return stats.amax

    def exponent(self, amax: Floats) -> Ints:
        """Exponent of the scale, before it is brought into range."""
        significand, exponent = split(amax)
        base = exponent - self.emax
        return base + self.step(significand).astype(np.int64)

    def step(self, m: Floats) -> npt.NDArray[Any]:
        """Whether the rule goes one step above floor(log2 amax) - emax."""
        width = 2.0 ** -(self.mantissa_bits + 1)
        match self.policy.scale_rule.value:
            case "ceil":
                return m > 1
            case "rceil":
                return m > self.max_significand
            case "even":
                return m >= 2 - width
            case "even-down":
                return m > 2 - width
            case "tosa":
                tie_goes_up = self.fmt.element.max_magnitude & 1 == 1
                edge = self.max_significand + width
                return np.asarray((m > edge) | ((m == edge) & tie_goes_up))
            case "nearest-log":
                return m >= _SQRT2
            case "plus-one":
                return np.ones(m.shape, np.bool_)
        return np.zeros(m.shape, np.bool_)

    def to_code(self, exponent: Ints) -> Ints:
        """E8M0 code of an exponent."""
        above = _NAN if self.policy.scale_above == "nan" else _MAX
        code = np.maximum(exponent + _BIAS, 0)
        return np.where(code > _MAX, above, code)

    def zero_code(self) -> int:
        """Scale code of an all-zero block."""
        choices = {"min": 0, "one": _BIAS, "minus-emax": _BIAS - self.emax, "nan": _NAN}
        return choices[self.policy.scale_zero_block.value]

    def special(self, stats: BlockStats, code: Ints) -> Ints:
        """Scale codes where NaN and infinity have been dealt with."""
        on_nan, on_inf = self.policy.scale_nan.value, self.policy.scale_inf.value
        nan_scale = (stats.has_nan & (on_nan == "nan-scale")) | (
            stats.has_inf & (on_inf == "nan-scale")
        )
        refused = (stats.has_nan & (on_nan == "raise")) | (stats.has_inf & (on_inf == "raise"))
        if (refused & ~nan_scale).any():
            raise ValueError("the policy refuses NaN or infinity, and the input holds one")
        saturated = np.where(stats.has_inf & (on_inf == "saturate"), _MAX, code)
        return np.where(nan_scale, _NAN, saturated)


def split(amax: Floats) -> tuple[Floats, Ints]:
    """Significand in [1, 2) and exponent of positive numbers, exactly."""
    fraction, exponent = np.frexp(amax)
    return fraction * 2, exponent.astype(np.int64) - 1


@dataclass(frozen=True, slots=True, eq=False)
class ScaleModel:
    """An executable scale fault.

    Attributes
    ----------
    id, detail : str
        Fault id, and which variant of it.
    selector : type
        The selection that has the fault.
    keeps_rule : bool
        Whether it leaves the rule to the policy, so that it can go with any rule.
    legal_change : Mapping of str to str
        Policy fields under which the same behaviour is legal; empty where it never is.
    """

    id: str
    detail: str
    selector: type[Selector]
    keeps_rule: bool = False
    legal_change: Mapping[str, str] = field(default_factory=dict)
