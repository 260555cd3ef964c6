"""The faults of a dot product as changed steps, vectorised: scales, padding, products, tables.

`mxref.faults.dots` says the same one dot product at a time, as integers; tests hold both together.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.check.dot._exact import Floats
from mxref.check.dot._fault import DotFault
from mxref.check.dot._planes import plane_faults
from mxref.check.dot._problem import Bytes, DotProblem
from mxref.check.dot._results import result_faults
from mxref.check.dot._terms import Setup, own
from mxref.faults.decode import DecodeModel, decode_models, element_table
from mxref.faults.encoder import PRECISIONS, round_to_float
from mxref.formats import ElementFormat, Kind
from mxref.policy import Policy

__all__ = ["DotFault", "composed", "dot_faults"]

_NAN_SCALE = 0xFF
_ONE = 127
_DIALECT = "E24"
_OF_SCALES = frozenset(("D9", "D10", "D11", "D12", "D13"))
_BITS_LOST = -149  # exponents below are lost in float32


def composed(setup: Setup, faults: tuple[DotFault, ...]) -> Setup | None:
    """The steps with some faults in them; None where two of them replace the same step."""
    changes: dict[str, Any] = {}
    for fault in faults:
        if changes.keys() & fault.changes.keys():
            return None
        changes |= fault.changes
    return replace(setup, **changes, is_faultless=setup.is_faultless and not faults)


def dot_faults(problem: DotProblem) -> tuple[DotFault, ...]:
    """Every fault that can show in the dot products of these operands."""
    a, b = problem.a.fmt.element, problem.b.fmt.element
    return (
        *_zero(problem),
        *_of_scales(problem),
        *_of_count(problem),
        *_of_products(a, b),
        *_of_tables(a, b),
        *plane_faults(problem),
        *result_faults(problem),
    )


def _zero(problem: DotProblem) -> Iterator[DotFault]:
    yield DotFault("G8", "", {"weights": np.zeros(problem.a.scales.shape[1])})


# --- scales ----------------------------------------------------------------------------------


def _of_scales(problem: DotProblem) -> Iterator[DotFault]:
    def fault(detail: str, factor: Callable[..., Floats], *, is_legal: bool = False) -> DotFault:
        return DotFault("G3", detail, {"factor": factor}, is_legal)

    for name, detail, of_a, of_b in (
        ("G1", "no scales", np.ones_like, np.ones_like),
        ("G1", "the scales of a only", own, np.ones_like),
        ("G1", "the scales of b only", np.ones_like, own),
        ("G3", "the scales of the first block for all", _first, _first),
        ("G3", "the first scale of a for all", _first, own),
        ("G3", "the first scale of b for all", own, _first),
        ("G3", "the scale of the last block for all", _last, _last),
        ("G3", "the scale of a twice, that of b never", np.square, np.ones_like),
        ("G3", "the scale of b twice, that of a never", np.ones_like, np.square),
        ("G3", "both scales twice", np.square, np.square),
        ("G3", "the scale of a twice", np.square, own),
        ("G3", "the scale of b twice", own, np.square),
        ("G3", "divided by the scales", np.reciprocal, np.reciprocal),
        ("G3", "a divided by its scale", np.reciprocal, own),
        ("G3", "b divided by its scale", own, np.reciprocal),
        ("G3", "the scales of the block before", _before, _before),
        ("G3", "the scales of the block behind", _behind_it, _behind_it),
        ("G3", "the scales of a in reverse", _reversed, own),
        ("G3", "the scales of b in reverse", own, _reversed),
    ):
        yield DotFault(name, detail, {"sides": (of_a, of_b)})
    # Of two blocks it would be the scale of the first, or of the last, for all.
    if problem.k > 2 * problem.a.fmt.block_size:
        yield from _one_block_off()
    yield fault("the scales added", lambda x, y, *_: x + y)
    yield DotFault("G3", "the scale NaN lost on zeros", {"nan_needs_number": True})
    clamped = _with_exponent(lambda code: np.clip(code, 0, 0xFE))
    yield fault("the sum of exponents clamped", clamped, is_legal=True)
    yield fault("the sum of exponents wrapped", _with_exponent(_wrapped), is_legal=True)
    yield fault("the product of scales in float32", _in_float32, is_legal=True)
    for name in ("float32", "bfloat16"):
        changes = {"narrowed": functools.partial(_narrowed, name=name)}
        yield DotFault("G3", f"operands scaled in {name} before they meet", changes, is_legal=True)


def _one_block_off() -> Iterator[DotFault]:
    """Scales of a neighbour; at the end of K, where there is none, a block keeps its own."""
    for step, neighbour, end in ((_one_before, "before", "first"), (_one_behind, "behind", "last")):
        for whose, sides in (
            ("a and b", (step, step)),
            ("a", (step, own)),
            ("b", (own, step)),
        ):
            detail = f"{whose}: the scales of the block {neighbour}, for the {end} block its own"
            yield DotFault("G3", detail, {"sides": sides})


def _narrowed(x: Floats, name: str) -> Floats:
    # A value has at most 8 significant bits, so that only the range of the type shows.
    with np.errstate(all="ignore"):
        if name == "float32":
            return x.astype(np.float32).astype(np.float64)
        magnitude = np.where(np.isfinite(x), np.abs(x), 0.0)
        rounded = round_to_float(magnitude, name)
        rounded = np.where(rounded >= 2.0 ** (PRECISIONS[name][2] + 1), np.inf, rounded)
        return np.where(np.isfinite(x), np.copysign(rounded, x), x)


def _first(scales: Floats) -> Floats:
    return np.broadcast_to(scales[..., :1], scales.shape)


def _last(scales: Floats) -> Floats:
    return np.broadcast_to(scales[..., -1:], scales.shape)


def _before(scales: Floats) -> Floats:
    return np.roll(scales, 1, axis=-1)


def _behind_it(scales: Floats) -> Floats:
    return np.roll(scales, -1, axis=-1)


def _one_before(scales: Floats) -> Floats:
    return np.concatenate([scales[..., :1], scales[..., :-1]], axis=-1)


def _one_behind(scales: Floats) -> Floats:
    return np.concatenate([scales[..., 1:], scales[..., -1:]], axis=-1)


def _reversed(scales: Floats) -> Floats:
    return scales[..., ::-1]


def _wrapped(code: NDArray[np.int64]) -> NDArray[np.int64]:
    return code & 0xFF  # eight bits hold ff as well, which is NaN


def _with_exponent(
    code: Callable[[NDArray[np.int64]], NDArray[np.int64]],
) -> Callable[..., Floats]:
    """One scale code in place of the two, from the sum of their exponents, biased once."""

    def factor(x: Floats, y: Floats, a: Bytes, b: Bytes) -> Floats:
        exponent = code(a.astype(np.int64) + b.astype(np.int64) - _ONE) - _ONE
        return np.where(np.isnan(x * y), np.nan, np.ldexp(1.0, exponent))

    return factor


def _in_float32(x: Floats, y: Floats, _a: Bytes, _b: Bytes) -> Floats:
    both = x * y
    over = np.where(both > 2.0**_ONE, np.inf, both)
    return np.where(both < 2.0**_BITS_LOST, 0.0, over)


# --- padding ---------------------------------------------------------------------------------


def _of_count(problem: DotProblem) -> Iterator[DotFault]:
    block, k = problem.a.fmt.block_size, problem.k
    if problem.a.codes.shape[1] > k:
        yield DotFault("G4", "all blocks count", {"count": lambda _k, size, _b: size})
        whole = -(-k // block) * block
        yield DotFault("G4", "the last block counts whole", {"count": lambda *_: whole})
        yield DotFault("G4", "scale ff of padding poisons", {"poisoned": _behind})
    if k % block:
        yield DotFault("G4", "NaN where a block is not full", {"poisoned": _all})


def _behind(a: Bytes, b: Bytes, _k: int) -> NDArray[np.bool_]:
    return np.asarray((a == _NAN_SCALE).any(1) | (b == _NAN_SCALE).any(1))


def _all(a: Bytes, _b: Bytes, _k: int) -> NDArray[np.bool_]:
    return np.ones(len(a), np.bool_)


# --- products --------------------------------------------------------------------------------


def _of_products(a: ElementFormat, b: ElementFormat) -> Iterator[DotFault]:
    for lane in range(32):
        yield DotFault("G9", f"lane {lane} left out", {"left_out": lane})
    yield DotFault("G10", "sum of magnitudes", {"product": lambda x, y: np.abs(x * y)})
    if a.inf_magnitude is not None or b.inf_magnitude is not None:
        yield DotFault("G11", "Inf times zero is zero", {"product": _quiet})
        yield DotFault("G11", "Inf minus Inf is Inf", {"first_infinity": True})
    if Kind.FLOAT is a.kind is b.kind:
        least = float(a.min_normal or 0), float(b.min_normal or 0)

        def flushed(x: Floats, y: Floats) -> Floats:
            return np.where((np.abs(x) < least[0]) & (np.abs(y) < least[1]), 0.0, x * y)

        yield DotFault("D8", "products of two subnormals flushed", {"product": flushed})


def _quiet(x: Floats, y: Floats) -> Floats:
    return np.where((x == 0) & ~np.isnan(y) | (y == 0) & ~np.isnan(x), 0.0, x * y)


# --- tables ----------------------------------------------------------------------------------


def _of_tables(a: ElementFormat, b: ElementFormat) -> Iterator[DotFault]:
    policy = Policy()
    for model in decode_models(a):
        if model.id in _OF_SCALES:
            yield DotFault(model.id, model.detail, {"scales": model.decoder(None, policy).scales()})
    for fmts, where in (((a, b), ""), ((a, None), "in a"), ((None, b), "in b")):
        yield from _wrong_elements(fmts, where, policy)
    if a == b:
        return
    seen_a, seen_b = _seen_as(b, a), _seen_as(a, b)
    yield DotFault("G6", "b read in the format of a", {"table_b": seen_b})
    yield DotFault("G6", "a read in the format of b", {"table_a": seen_a})
    yield DotFault("G6", "formats exchanged", {"table_a": seen_a, "table_b": seen_b})


def _has_dialect(fmts: tuple[ElementFormat | None, ElementFormat | None]) -> bool:
    """Whether there are FNUZ types of the formats: only FP8 has them."""
    return any(fmt is not None and fmt.bits == 8 and fmt.nan_magnitudes for fmt in fmts)


def _wrong_elements(
    fmts: tuple[ElementFormat | None, ElementFormat | None], where: str, policy: Policy
) -> Iterator[DotFault]:
    """The decode faults of one operand, or of both where both formats have them."""
    models: list[dict[tuple[str, str], DecodeModel]] = [
        {} if fmt is None else {(m.id, m.detail): m for m in decode_models(fmt)} for fmt in fmts
    ]
    for key in models[0] or models[1]:
        if key[0] in _OF_SCALES or (key[0] == _DIALECT and not _has_dialect(fmts)):
            continue
        changes = {
            name: mine[key].decoder(fmt, policy).elements()
            for name, mine, fmt in zip(("table_a", "table_b"), models, fmts, strict=True)
            if key in mine
        }
        if len(changes) == sum(fmt is not None for fmt in fmts):
            yield DotFault(key[0], ", ".join(filter(None, (key[1], where))), changes)


def _seen_as(reader: ElementFormat, written: ElementFormat) -> Floats:
    """The table of one format for the codes of another: low bits, or zeros on top."""
    codes = np.arange(written.code_count)
    return np.asarray(element_table(reader)[codes % reader.code_count])
