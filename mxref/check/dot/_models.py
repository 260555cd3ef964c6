"""The accumulators that a report can name, those of known hardware among them.

The hardware models are those of public studies of tensor cores: MMA-Sim (arXiv 2511.10909) and the
parametric models of Khattak and Mikaitis (arXiv 2512.07004), and of the project's own measurements
of one H100. "Measured" says that a description agrees with that hardware; the code below has not
been run against the recorded vectors. "Unvalidated" says that nobody's measurement confirms it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mxref.check.dot import _sums as sums
from mxref.check.dot._problem import Rows, Singles
from mxref.check.dot._terms import Products
from mxref.matmul import Accumulator as Machine
from mxref.matmul import accumulator, accumulators

__all__ = ["Accumulator", "aligned_models", "families", "model_named", "models"]


@dataclass(frozen=True, slots=True)
class Accumulator:
    """One way to sum.

    Attributes
    ----------
    name : str
        A short name, which `mxref.check.matmul` takes as ``accumulate``.
    text : str
        What is done, to stand behind "summed".
    total : callable
        The sum.
    fault : str
        Id of the fault that it is where an exact sum was claimed; empty for the exact sum itself.
    is_legal : bool
        Whether it is a choice that the standard leaves open.
    point : str
        The open point that it is an answer to.
    machine : matmul.Accumulator or None
        The model of `mxref.matmul` that it is; it sums whole products at speed, and faultless
        operands only.
    """

    name: str
    text: str
    total: sums.Sum
    fault: str = "G5"
    is_legal: bool = True
    point: str = "OP-DOT-PRECISION"
    machine: Machine | None = None


_EXACT = Accumulator("exact", "exactly, rounded once to nearest even", sums.Exactly(), "")
_FUSED = ((4, "4"), (8, "8"), (16, "16"), (32, "32"), (64, "64"), (128, "128"), (0, "all"))
_LIKELY = (16, 32, 0)
_OUTPUT = "OP-DOT-OUTPUT"  # MX-1.0/6.2/float32 is a should
_WIDTHS = (10, 13, 14, 22, 23, 24, 25, 26, 35)
_ORDERS = {
    "one by one": sums.one_by_one,
    "from the last": sums.reversed_order,
    "in pairs": sums.pairwise,
    "in halves": sums.halves,
}
_TREES = {
    "one by one": "sequential",
    "from the last": "reversed",
    "in pairs": "pairwise",
    "in halves": "halves",
}
_BFLOAT16 = (8, -126, 127)
_FLOAT16 = (11, -14, 15)


def _suffix(*trees: str) -> str:
    """Trees as the names of `mxref.matmul` have them: a last one that is sequential is left out."""
    names = [_TREES[tree] for tree in trees]
    while names and names[-1] == "sequential":
        names.pop()
    return "".join(f"-{name}" for name in names)


def _exact_ones() -> Iterator[Accumulator]:
    yield _EXACT
    yield Accumulator("ocp-fp32", "exactly in each block, blocks in float32 one by one",
                      sums.by_block(sums.one_by_one))  # fmt: skip
    for how in ("from the last", "in pairs", "in halves"):
        text = f"exactly in each block, blocks in float32 {how}"
        name = f"ocp-fp32-{_TREES[how]}"
        yield Accumulator(name, text, sums.by_block(_ORDERS[how]))
    text = "exactly, rounded once toward zero"
    yield Accumulator("exact, toward zero", text, sums.Exactly("toward-zero"), point=_OUTPUT)
    text = "exactly, subnormal results flushed to zero"
    yield Accumulator("exact, flushed", text, sums.Exactly(is_flushed=True), point=_OUTPUT)


def _wide() -> Iterator[Accumulator]:
    for how, order in _ORDERS.items():
        name = f"float32-{_TREES[how]}"
        yield Accumulator(name, f"in float32 {how}", sums.in_order(order))
    text = "in float64 one by one, rounded at the end"
    yield Accumulator("float64-sequential", text, sums.in_float64("one by one"))
    text = "in float64 as numpy sums, rounded at the end"
    yield Accumulator("float64-numpy", text, sums.in_float64("pairwise"))
    for lanes in (2, 4, 8, 16, 32, 64, 128, 256):
        for how in ("one by one", "in pairs", "in halves"):
            text = f"in {lanes} running float32 sums, these {how}"
            name = f"float32-lanes-{lanes}{_suffix(how)}"
            yield Accumulator(name, text, sums.strided(lanes, _ORDERS[how]))
    for size in (4, 8, 16, 32, 64, 128, 256):
        for inner in ("one by one", "in pairs", "in halves"):
            for outer in ("one by one", "in pairs"):
                text = f"in float32: {size} neighbours {inner}, their sums {outer}"
                name = f"float32-chunks-{size}{_suffix(inner, outer)}"
                total = sums.chunked(_ORDERS[inner], size, _ORDERS[outer])
                yield Accumulator(name, text, total)
    for parts in (2, 3, 4, 8, 16):
        for outer in ("one by one", "in pairs"):
            text = f"in float32, K split into {parts} parts, these {outer}"
            name = f"float32-split-{parts}{_suffix(outer)}"
            yield Accumulator(name, text, sums.parts_of(sums.one_by_one, parts, _ORDERS[outer]))


def _hardware() -> Iterator[Accumulator]:
    rows = (
        ("nv-hopper-fp8", sums.Aligned(32, 13, "narrow"), "measured: H100"),
        ("nv-ada-fp8", sums.Aligned(16, 13, "narrow"), "measured: Ada, L40S"),
        ("nv-hopper-fp8-promoted", sums.Aligned(32, 13, "narrow", restart=128), "measured: H100"),
        ("nv-blackwell-mxf8f6f4", sums.Aligned(32, 25), "unvalidated"),
        ("nv-blackwell-mxf4", sums.Aligned(64, 35, inner=16), "unvalidated"),
        ("nv-hopper-bf16", sums.Aligned(16, 25), "measured: H100"),
        ("nv-ampere-bf16", sums.Aligned(8, 24), "measured: A100, L40S"),
    )
    for name, total, evidence in rows:
        yield Accumulator(name, f"{_aligned_text(total)} (as {name}, {evidence})", total)


def _narrow() -> Iterator[Accumulator]:
    for kind, shape in (("bfloat16", _BFLOAT16), ("float16", _FLOAT16)):
        for after, what, name in (
            ("term", "after every product", f"{kind}-fma-sequential"),
            ("float32", "after every product, by way of float32", f"{kind}-single-sequential"),
            ("block", "after every block", f"ocp-{kind}"),
        ):
            text = f"in {kind}, rounded {what}"
            narrow = sums.Narrow(*shape, after)
            yield Accumulator(name, text, narrow, is_legal=False)
        text = f"exactly, rounded to {kind}"
        total = sums.Exactly(by_way_of=kind)
        yield Accumulator(f"exact, {kind}", text, total, point=_OUTPUT)


def _aligned_text(total: sums.Aligned) -> str:
    group = "all products" if not total.group else f"{total.group} products and the running sum"
    place = "stored exponent" if total.stored else "leading bit"
    inner = f", each {total.inner} of them summed exactly first" if total.inner > 1 else ""
    rounding = {
        "nearest": "rounded to nearest",
        "toward-zero": "rounded toward zero",
        "narrow": f"stored with {total.bits} fractional bits",
    }[total.mode]
    anew = f", started anew every {total.restart} products" if total.restart else ""
    return (
        f"{group} at a time{inner}, aligned to the largest {place} with {total.bits} fractional "
        f"bits kept and the others cut off, {rounding}{anew}"
    )


def aligned_models(widths: Iterable[int], *, few: bool = False) -> Iterator[Accumulator]:
    """Groupings and roundings of accumulators with these fractional bits: all, or the likeliest."""
    groups = [g for g in _FUSED if g[0] in _LIKELY] if few else _FUSED
    modes = ("toward-zero", "narrow") if few else ("toward-zero", "nearest", "narrow")
    for bits in widths:
        for group, count in groups:
            for stored in (True, False):
                for mode in modes:
                    total = sums.Aligned(group, bits, mode, stored)
                    place = "stored" if stored else "leading"
                    name = f"aligned {bits}, groups of {count}, {place}, {mode}"
                    yield Accumulator(name, _aligned_text(total), total)


def _nothing(_found: Products, _rows: Rows) -> Singles:
    raise TypeError("the model of a machine takes operands, not products")


@functools.cache
def families() -> tuple[tuple[Accumulator, ...], ...]:
    """The accumulators in the order in which they are tried, the plainest first.

    Those of `mxref.matmul` come first in their family: they have public names.
    """
    from mxref.matmul.orders import ACCUMULATORS as ORDERS

    of_machines = [_of_machine(model) for model in accumulators().values()]
    orders = {m.name for m in ORDERS}

    plain = [m for m in of_machines if m.name in orders]
    hardware = [m for m in of_machines if m.name not in orders]
    return (
        (*_exact_ones(), *plain, *_wide()),
        (*hardware, *_hardware(), *aligned_models(_WIDTHS)),
        tuple(_narrow()),
    )


@functools.cache
def models() -> tuple[Accumulator, ...]:
    """Every accumulator with a name.

    Examples
    --------
    >>> models()[0].name
    'exact'
    """
    return tuple(itertools.chain.from_iterable(families()))


def _of_machine(model: Machine) -> Accumulator:
    return Accumulator(
        model.name, model.text, _nothing, is_legal=model.is_legal, point=model.point, machine=model
    )


def model_named(name: str) -> Accumulator:
    """Return the accumulator of a name; that of `mxref.matmul` where both have it.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> model_named("exact").text
    'exactly, rounded once to nearest even'
    """
    found = [model for model in models() if model.name == name]
    if not found:  # names with a parameter, such as "float32-split-7"
        return _of_machine(accumulator(name))
    return next((model for model in found if model.machine is not None), found[0])
