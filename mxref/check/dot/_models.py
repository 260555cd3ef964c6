"""The accumulators that a report can name, those of known hardware among them.

The hardware models are those of public studies of tensor cores: MMA-Sim (arXiv 2511.10909) and the
parametric models of Khattak and Mikaitis (arXiv 2512.07004), and of the project's own measurements
of one H100. "Measured" says that a description agrees with that hardware; the code below has not
been run against the recorded vectors. "Unvalidated" says that nobody's measurement confirms it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mxref._suggest import unknown_name
from mxref.check.dot import _sums as sums
from mxref.check.dot._problem import Singles

__all__ = ["FAMILIES", "MODELS", "Accumulator", "aligned_models", "model_named"]


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
    """

    name: str
    text: str
    total: sums.Sum
    fault: str = "G5"
    is_legal: bool = True
    point: str = "OP-DOT-PRECISION"


_EXACT = Accumulator("exact", "exactly, rounded once to nearest even", sums.exactly(), "")
_FUSED = ((4, "4"), (8, "8"), (16, "16"), (32, "32"), (64, "64"), (128, "128"), (0, "all"))
_OUTPUT = "OP-DOT-OUTPUT"  # MX-1.0/6.2/float32 is a should
_WIDTHS = (10, 13, 14, 22, 23, 24, 25, 26, 35)
_ORDERS = {
    "one by one": sums.one_by_one,
    "from the last": sums.reversed_order,
    "in pairs": sums.pairwise,
    "in halves": sums.halves,
}
_BFLOAT16 = (8, -126, 127)
_FLOAT16 = (11, -14, 15)


def _output_of(precision: int, least: int, most: int) -> sums.Step:
    narrow = sums.Narrow(precision, least, most)

    def cut(value: Singles) -> Singles:
        return narrow.rounded(value.astype(np.float64)).astype(np.float32)

    return cut


def _exact_ones() -> Iterator[Accumulator]:
    yield _EXACT
    yield Accumulator("ocp-fp32", "exactly in each block, blocks in float32 one by one",
                      sums.by_block(sums.one_by_one))  # fmt: skip
    for how in ("from the last", "in pairs", "in halves"):
        text = f"exactly in each block, blocks in float32 {how}"
        name = f"ocp-fp32, {how}"
        yield Accumulator(name, text, sums.by_block(_ORDERS[how]))
    text = "exactly, rounded once toward zero"
    yield Accumulator("exact, toward zero", text, sums.exactly("toward-zero"), point=_OUTPUT)
    text = "exactly, subnormal results flushed to zero"
    yield Accumulator("exact, flushed", text, sums.exactly(flush=True), point=_OUTPUT)


def _wide() -> Iterator[Accumulator]:
    for how, order in _ORDERS.items():
        yield Accumulator(f"float32, {how}", f"in float32 {how}", sums.in_order(order))
    for how in ("one by one", "pairwise"):
        text = f"in float64 {how}, rounded at the end"
        yield Accumulator(f"float64, {how}", text, sums.in_float64(how))
    for lanes in (2, 4, 8, 16, 32, 64, 128, 256):
        for how in ("one by one", "in pairs", "in halves"):
            text = f"in {lanes} running float32 sums, these {how}"
            name = f"float32, {lanes} lanes, {how}"
            yield Accumulator(name, text, sums.strided(lanes, _ORDERS[how]))
    for size in (4, 8, 16, 32, 64, 128, 256):
        for inner in ("one by one", "in pairs", "in halves"):
            for outer in ("one by one", "in pairs"):
                text = f"in float32: {size} neighbours {inner}, their sums {outer}"
                name = f"float32, chunks of {size} {inner}, {outer}"
                total = sums.chunked(_ORDERS[inner], size, _ORDERS[outer])
                yield Accumulator(name, text, total)
    for parts in (2, 3, 4, 8, 16):
        for outer in ("one by one", "in pairs"):
            text = f"in float32, K split into {parts} parts, these {outer}"
            name = f"float32, split-K {parts}, {outer}"
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
        for after, what in (
            ("term", "after every product"),
            ("float32", "after every product, by way of float32"),
            ("block", "after every block"),
        ):
            text = f"in {kind}, rounded {what}"
            narrow = sums.Narrow(*shape, after)
            yield Accumulator(f"{kind}, {what}", text, narrow, is_legal=False)
        text = f"exactly, rounded to {kind}"
        total = sums.exactly(bits=_output_of(*shape))
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


def aligned_models(widths: Iterable[int]) -> Iterator[Accumulator]:
    """Every grouping and rounding of accumulators with these fractional bits."""
    for bits in widths:
        for group, count in _FUSED:
            for stored in (True, False):
                for mode in ("toward-zero", "nearest", "narrow"):
                    total = sums.Aligned(group, bits, mode, stored)
                    place = "stored" if stored else "leading"
                    name = f"aligned {bits}, groups of {count}, {place}, {mode}"
                    yield Accumulator(name, _aligned_text(total), total)


FAMILIES: tuple[tuple[Accumulator, ...], ...] = (
    (*_exact_ones(), *_wide()),
    (*_hardware(), *aligned_models(_WIDTHS)),
    tuple(_narrow()),
)
"""The accumulators in the order in which they are tried, the plainest first."""

MODELS = tuple(itertools.chain.from_iterable(FAMILIES))
"""Every accumulator with a name."""


def model_named(name: str) -> Accumulator:
    """Return the accumulator of a name.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> model_named("ocp-fp32").text
    'exactly in each block, blocks in float32 one by one'
    """
    for model in MODELS:
        if model.name == name:
            return model
    raise ValueError(unknown_name("accumulation", name, [m.name for m in MODELS]))
