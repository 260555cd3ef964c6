"""The scale faults S1 to S15 as executable selections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults._logarithm import ceil_log2_float32, floor_log2_float32
from mxref.faults.encoder import Bytes, Floats, Ints, round_to_float
from mxref.faults.scale import ScaleModel, Selector, split
from mxref.faults.stats import BlockStats
from mxref.formats import BlockFormat
from mxref.policy import Policy

__all__ = ["constant_model", "other_rules", "scale_models", "sees_neighbours"]

_SQRT_HALF = 0.7071067811865476
_EPSILONS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-10, 1e-12, 1e-30, 2.0**-126)
_WRONG_SETS = {
    "signed": "the largest value, not the largest magnitude",
    "without_first": "the first element of a block is missed",
    "without_last": "the last element of a block is missed",
    "first_half": "only the first half of a block is seen",
    "second_half": "only the second half of a block is seen",
    "pair": "two blocks share the larger amax",
    "previous": "the previous block's amax",
    "next": "the next block's amax",
}


def scale_models(fmt: BlockFormat) -> tuple[ScaleModel, ...]:
    """Every scale fault that can show in a format, the simplest explanation first.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> ids = {model.id for model in scale_models(block_format("mxfp4"))}
    >>> sorted(ids, key=lambda fault_id: int(fault_id[1:]))
    ['S1', 'S2', 'S3', 'S4', 'S5', 'S6', 'S7', 'S8', 'S9', 'S10', 'S11', 'S13', 'S15']
    """
    models = [*_rules(fmt.element.emax), *_shifts(fmt.element.emax)]
    for narrow, detail in ((_bfloat16, "bfloat16"), (_float16, "float16")):
        models.append(
            ScaleModel("S7", f"amax narrowed to {detail}", _narrowed(narrow), keeps_rule=True)
        )
    models += _ends(fmt.element.emax)
    drop = {"scale_nan": "ignore"}
    models.append(
        ScaleModel(
            "S13", "a NaN anywhere is skipped", _NanDropped, keeps_rule=True, legal_change=drop
        )
    )
    models.append(ScaleModel("S13", "kept in the first place only", _NanFirst, keeps_rule=True))
    for part, detail in _WRONG_SETS.items():
        models.append(ScaleModel("S15", detail, _measured(_part(part)), keeps_rule=True))
    return tuple(models)


def sees_neighbours(model: ScaleModel) -> bool:
    """Whether a model looks at neighbouring blocks: it shows where a block has some.

    `mxref.faults.stats.with_neighbours` measures them. Blocks one by one it leaves right.

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> [m.detail for m in scale_models(block_format("mxfp4")) if sees_neighbours(m)][1:]
    ["the previous block's amax", "the next block's amax"]
    """
    return model.detail in {_WRONG_SETS[name] for name in ("pair", "previous", "next")}


def other_rules(policy: Policy) -> tuple[ScaleModel, ...]:
    """S10 for the rule that is the default, where a policy asks for another one.

    Examples
    --------
    >>> [model.detail for model in other_rules(Policy(scale_rule="rceil"))], other_rules(Policy())
    (['floor'], ())
    """
    if policy.scale_rule == "floor":
        return ()
    legal = {"scale_rule": "floor"}
    return (ScaleModel("S10", "floor", _fixed_rule("floor"), legal_change=legal),)


# --- rules: S1 S2 S3 S5 S8 S9 S10 -------------------------------------------------------------

_Step = Callable[[Selector, Floats], npt.NDArray[Any]]


def _ruled(step: _Step) -> type[Selector]:
    """A selection with another rule: steps above floor(log2 amax) - emax, by the significand."""
    return type("Ruled", (Selector,), {"step": step})


def _rules(emax: int) -> Iterator[ScaleModel]:
    below: tuple[tuple[str, str, Callable[[float], float]], ...] = (
        ("S1", "", lambda top: top),
        ("S2", "", lambda top: 0.75 * top),
        ("S3", "", lambda top: top * _SQRT_HALF),
    )
    for fault_id, detail, edge in below:
        yield ScaleModel(fault_id, detail, _ruled(_one_lower_below(edge)))
    yield ScaleModel("S5", "", _ruled(lambda _, m: m > 1), legal_change={"scale_rule": "ceil"})
    for rule in ("rceil", "even", "even-down", "tosa", "nearest-log", "plus-one"):
        yield ScaleModel("S10", rule, _fixed_rule(rule), legal_change={"scale_rule": rule})
    yield ScaleModel("S10", "nearest power of two to amax", _ruled(lambda _, m: m >= 1.5))
    # Where there is no emax to subtract, that is the rule of P3109.
    legal = {} if emax else {"scale_rule": "p3109"}
    yield ScaleModel("S9", "ties by the exponent's last bit", _TieByExponent, legal_change=legal)
    doubled = _ruled(lambda self, m: m >= self.max_significand)
    yield ScaleModel("S8", "exact powers of two are doubled", doubled)
    yield ScaleModel("S8", "floor of a float32 logarithm", _FloorOfLog)
    yield ScaleModel("S8", "ceil of a float32 logarithm", _CeilOfLog)


def _one_lower_below(edge: Callable[[float], float]) -> _Step:
    return lambda self, m: np.where(m < edge(self.max_significand), -1, 0)


def _fixed_rule(rule: str) -> type[Selector]:
    def step(self: Selector, m: Floats) -> npt.NDArray[Any]:
        return Selector(self.fmt, self.policy.replace(scale_rule=rule)).step(m)

    return _ruled(step)


class _TieByExponent(Selector):
    """S9: nearest power of two to amax, a tie decided by the last bit of the exponent."""

    def exponent(self, amax: Floats) -> Ints:
        m, exponent = split(amax)
        up = (m > 1.5) | ((m == 1.5) & (exponent & 1 == 0))  # biased by 127: an even code is odd
        return np.asarray(exponent - self.emax + up)


class _FloorOfLog(Selector):
    """S8: floor(log2f(amax)) - emax, one too high just below a power of two."""

    def exponent(self, amax: Floats) -> Ints:
        return floor_log2_float32(amax) - self.emax


class _CeilOfLog(Selector):
    """S8: ceil(log2f(amax / max)), one too low just above max times a power of two."""

    def exponent(self, amax: Floats) -> Ints:
        single = round_to_float(np.minimum(amax, 2.0**200), "float32")
        ratio = round_to_float(single / float(self.fmt.element.max), "float32")
        return np.minimum(ceil_log2_float32(np.maximum(ratio, 2.0**-149)), 128)


# --- shifts: S4 S6 ----------------------------------------------------------------------------


def _shifts(emax: int) -> Iterator[ScaleModel]:
    if emax:
        yield ScaleModel("S4", "", _shifted(emax), keeps_rule=True)
    for shift in (-1, 1, -2, 2, -3, 3):
        yield ScaleModel("S6", f"{shift:+d}", _shifted(shift), keeps_rule=True)


def _shifted(shift: int) -> type[Selector]:
    class Shifted(Selector):
        def exponent(self, amax: Floats) -> Ints:
            return super().exponent(amax) + shift

    return Shifted


# --- measures: S7 S15 and the small ends of S11 -----------------------------------------------


def _measured(measure: Callable[[BlockStats], Floats]) -> type[Selector]:
    class Measured(Selector):
        def measure(self, stats: BlockStats) -> Floats:
            return measure(stats)

    return Measured


def _part(name: str) -> Callable[[BlockStats], Floats]:
    # The neighbours are missing where the blocks were measured one by one.
    return lambda stats: stats.parts.get(name, stats.amax)


def _narrowed(narrow: Callable[[Floats], Floats]) -> type[Selector]:
    class Narrowed(Selector):
        def select(self, stats: BlockStats) -> Bytes:
            amax = narrow(stats.amax)
            inf = np.isinf(amax)
            amax = np.where(inf, 0.0, amax)
            return super().select(replace(stats, amax=amax, has_inf=stats.has_inf | inf))

    return Narrowed


def _bfloat16(amax: Floats) -> Floats:
    narrowed = round_to_float(amax, "bfloat16")
    return np.where(narrowed >= 2.0**128, np.inf, narrowed)


def _float16(amax: Floats) -> Floats:
    narrowed = round_to_float(amax, "float16")
    return np.where(narrowed >= 65536, np.inf, narrowed)


def _at_least(epsilon: float) -> Callable[[BlockStats], Floats]:
    return lambda stats: np.maximum(stats.amax, epsilon)


def _flushed(stats: BlockStats) -> Floats:
    return np.where(stats.amax < 2.0**-126, 0.0, stats.amax)


# --- ends and special values: S11 S13 ---------------------------------------------------------


class _Wraps(Selector):
    """S11: the exponent is cut to 8 bits instead of clamped."""

    ends = ("scale_above", "scale_below")

    def to_code(self, exponent: Ints) -> Ints:
        policy = self.policy.replace(**dict.fromkeys(self.ends, "wrap"))
        return Selector(self.fmt, policy).to_code(exponent)


class _LowestIsOne(Selector):
    """S11: the smallest code is 1."""

    def to_code(self, exponent: Ints) -> Ints:
        return np.maximum(super().to_code(exponent), 1)


class _NanDropped(Selector):
    """S13: NaN never reaches amax."""

    def special(self, stats: BlockStats, code: Ints) -> Ints:
        nobody = np.zeros_like(stats.has_nan)
        return super().special(replace(stats, has_nan=nobody, nan_first=nobody), code)


class _NanFirst(Selector):
    """S13: max() keeps NaN as its first operand only."""

    def special(self, stats: BlockStats, code: Ints) -> Ints:
        first = stats.nan_first
        return super().special(replace(stats, has_nan=first), code)


def _constant(*, of_nan: bool, code: int) -> type[Selector]:
    class Constant(Selector):
        def special(self, stats: BlockStats, codes: Ints) -> Ints:
            nobody = np.zeros_like(stats.has_nan)
            nan = nobody if of_nan else stats.has_nan
            inf = stats.has_inf if of_nan else nobody
            rest = replace(stats, has_nan=nan, has_inf=inf, nan_first=nobody)
            where = stats.has_nan if of_nan else stats.has_inf & ~stats.has_nan
            return np.where(where, code, super().special(rest, codes))

    return Constant


def _ends(emax: int) -> Iterator[ScaleModel]:
    yield ScaleModel("S11", "the code wraps modulo 256", _Wraps, keeps_rule=True)
    for end in _Wraps.ends:
        wraps = type("Wraps", (_Wraps,), {"ends": (end,)})
        detail = f"the code wraps modulo 256, {end.removeprefix('scale_')} the range only"
        yield ScaleModel("S11", detail, wraps, keeps_rule=True)
    yield ScaleModel("S11", "clamped at 0x01", _LowestIsOne, keeps_rule=True)
    yield ScaleModel("S11", "subnormal amax flushed to zero", _measured(_flushed), keeps_rule=True)
    for epsilon in _EPSILONS:
        model = _measured(_at_least(epsilon))
        yield ScaleModel("S11", f"amax at least {epsilon:.3g}", model, keeps_rule=True)
    constants = {0: "0x00", 127: "0x7f", 128: "0x80", 255 - emax: "the exponent field of infinity"}
    for of_nan, what in ((True, "NaN"), (False, "infinity")):
        for code, detail in constants.items():
            if code < 255:
                yield constant_model(what, code, detail, of_nan=of_nan)


def constant_model(what: str, code: int, detail: str, *, of_nan: bool) -> ScaleModel:
    """S11: one code for every block that holds a NaN, or an infinity and no NaN.

    Examples
    --------
    >>> constant_model("NaN", 0x7C, "0x7c", of_nan=True).detail
    'NaN in a block gives 0x7c'
    """
    model = _constant(of_nan=of_nan, code=code)
    return ScaleModel("S11", f"{what} in a block gives {detail}", model, keeps_rule=True)
