"""Faults in the scales of NVFP4: of the tensor (S16) and of the blocks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from mxref.faults.element import element_models
from mxref.faults.encoder import Bytes
from mxref.faults.nvfp4_fault import NVFP4Fault, after, before
from mxref.faults.nvfp4_model import E4M3, Blocks16, Model, Singles

__all__ = ["GLOBAL_USES", "global_faults", "in_order", "scale_faults"]

_ONE = np.float32(1)
_Pair = tuple[np.float32, np.float32]

GLOBAL_USES: dict[str, Callable[[np.float32, np.float32], _Pair]] = {
    "inverted": lambda s, g: (g, s),
    "dropped": lambda s, g: (_ONE, _ONE),  # noqa: ARG005 - all have one signature
    "applied twice": lambda s, g: (np.float32(s * s), np.float32(g * g)),
    "half of it": lambda s, g: (np.float32(s * 2), np.float32(g / 2)),
    "twice it": lambda s, g: (np.float32(s / 2), np.float32(g * 2)),
    "its square root": lambda s, g: (np.sqrt(s), np.sqrt(g)),
}
"""Wrong uses of the scale of the tensor: ``use(S, g)`` is the pair that is used instead."""


def _use(stage: str, detail: str, use: Callable[[np.float32, np.float32], _Pair]) -> NVFP4Fault:
    where = {"scale": "scale_globals", "element": "element_globals"}[stage]
    change = before(where, lambda _, s, g: _quiet(use, s, g))
    return NVFP4Fault("S16", detail, stage, change)


def _quiet(use: Callable[..., _Pair], s: np.float32, g: np.float32) -> _Pair:
    with np.errstate(all="ignore"):
        return use(s, g)


# --- the scale of the tensor ----------------------------------------------------------------------


@functools.cache
def global_faults() -> tuple[NVFP4Fault, ...]:
    """Faults of the number that is handed on as the decode multiplier, or of its amax."""
    return tuple(_global_rows())


def _global_rows() -> Iterator[NVFP4Fault]:
    def row(detail: str, model: type[Model], fault_id: str = "S16") -> NVFP4Fault:
        return NVFP4Fault(fault_id, detail, "global", model)

    yield row("stored inverted: the encode scale", after("stored", lambda _, __, s, ___: s))
    yield row("stored as 1", after("stored", lambda *_: _ONE))
    yield row("stored squared", after("stored", lambda g, *_: np.float32(g * g)))
    for name, factor in (("half of it", 0.5), ("twice it", 2.0)):
        times = np.float32(factor)
        yield row(f"stored as {name}", after("stored", lambda g, *_, t=times: np.float32(g * t)))
    yield row("without the 6: amax / 448", after("stored", lambda g, *_: np.float32(g * 6)))
    yield row("without the 448: amax / 6", after("stored", lambda g, *_: np.float32(g * 448)))
    yield row("amax itself", after("stored", lambda g, *_: np.float32(g * 2688)))
    yield row("a power of two", after("stored", lambda g, *_: _power(g)))
    yield row("in bfloat16", after("stored", lambda g, *_: _brain(g)))
    sets: tuple[tuple[str, Callable[[Any], Any]], ...] = (
        ("of the first row", lambda x: x[:1]),
        ("of the last row", lambda x: x[-1:]),
        ("of the first half of the rows", lambda x: x[: max(1, len(x) // 2)]),
        ("of the second half of the rows", lambda x: x[len(x) // 2 :]),
        ("of the signed maximum", lambda x: np.maximum(np.nan_to_num(x), 0)),
    )
    for detail, part in sets:
        yield row(f"amax {detail}", before("tensor_amax", lambda _, x, p=part: (p(x),)), "S15")


def _power(g: np.float32) -> np.float32:
    return np.float32(2.0 ** np.floor(np.log2(g))) if np.isfinite(g) and g > 0 else g


def _brain(g: np.float32) -> np.float32:
    bits = int(np.float32(g).view(np.uint32))
    up = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return np.float32(np.uint32(up).view(np.float32))


# --- the scales of blocks -------------------------------------------------------------------------


@functools.cache
def scale_faults() -> tuple[NVFP4Fault, ...]:
    """Every fault of the block scales, the simplest explanation first."""
    rows = (_uses(), _sets(), _numbers(), _casts(), _codes(), _specials())
    return in_order(fault for part in rows for fault in part)


def in_order(faults: Iterable[NVFP4Fault]) -> tuple[NVFP4Fault, ...]:
    """Put faults that others explain better last: half or twice a scale has many causes."""
    vague = ("half of it", "twice it", "its square root")
    return tuple(sorted(faults, key=lambda fault: fault.id == "S16" and fault.detail in vague))


def _uses() -> Iterator[NVFP4Fault]:
    for detail, use in GLOBAL_USES.items():
        yield _use("scale", detail, use)


def _row(fault_id: str, detail: str, model: type[Model]) -> NVFP4Fault:
    return NVFP4Fault(fault_id, detail, "scale", model)


def _over(measure: Callable[[Blocks16], Any]) -> type[Model]:
    def change(_: Singles, __: Model, blocks: Blocks16) -> Singles:
        with np.errstate(invalid="ignore"):
            return np.asarray(measure(blocks), np.float32).reshape(-1, 1)

    return after("block_amax", change)


def _most(x: Any) -> Any:
    return np.fmax.reduce(np.abs(x), axis=-1, initial=0.0)


def _sets() -> Iterator[NVFP4Fault]:
    """Take amax over the wrong elements."""
    sets: tuple[tuple[str, Callable[[Blocks16], Any]], ...] = (
        ("the first 8 elements", lambda b: _most(b.x[:, :8])),
        ("the last 8 elements", lambda b: _most(b.x[:, 8:])),
        ("all but the first element", lambda b: _most(b.x[:, 1:])),
        ("all but the last element", lambda b: _most(b.x[:, :15])),
        ("the first element alone", lambda b: _most(b.x[:, :1])),
        ("the block and the one behind", lambda b: np.fmax(b.amax[:, 0], b.around[:, 1])),
        ("the block and the one before", lambda b: np.fmax(b.amax[:, 0], b.around[:, 0])),
        ("the block before", lambda b: b.around[:, 0]),
        ("the block behind", lambda b: b.around[:, 1]),
        ("the first block of the tensor", lambda b: b.around[:, 2]),
        ("the signed maximum", lambda b: np.maximum(np.fmax.reduce(b.x, axis=-1), 0)),
        ("the magnitude of the signed maximum", lambda b: np.abs(np.fmax.reduce(b.x, axis=-1))),
    )
    for detail, measure in sets:
        yield _row("S15", detail, _over(measure))
    yield _row("S15", "blocks of 32", after("block_amax", _of_32))
    yield _row("S7", "amax in bfloat16", after("block_amax", lambda b, *_: _narrow(b, "bfloat16")))
    yield _row("S7", "amax in float16", after("block_amax", lambda b, *_: _narrow(b, "float16")))


def _of_32(b: Singles, _: Model, blocks: Blocks16) -> Singles:
    """Even blocks share with the next, odd ones with the one before; `around` knows both."""
    even = blocks.rows % 2 == 0
    other = np.where(even, blocks.around[:, 1:2], blocks.around[:, :1])
    return np.fmax(b, other)


def _narrow(b: Singles, name: str) -> Singles:
    if name == "float16":
        with np.errstate(over="ignore"):
            return b.astype(np.float16).astype(np.float32)
    import ml_dtypes

    return b.astype(ml_dtypes.bfloat16).astype(np.float32)


def _numbers() -> Iterator[NVFP4Fault]:
    """The number that is rounded to a scale."""
    for t in (3, 5, 7, 8, 1, 448):
        ratio = 6 / t
        detail = f"amax / {t}" if t != 1 else "amax itself, not divided"
        wanted = after("wanted", lambda w, *_, r=ratio: w * w.dtype.type(r))
        yield _row("S6", f"{detail} instead of amax / 6", wanted)
    yield _row(
        "S16",
        "the wanted scale is divided by it twice",
        after("wanted", lambda w, _, __, ___, g: _over_global(w, g)),
    )
    for detail, floor in (("1e-4", 1e-4), ("1e-8", 1e-8), ("1e-12", 1e-12), ("2^-10", 2.0**-10)):
        least = np.float32(floor)
        bounded = after("block_amax", lambda b, *_, e=least: np.maximum(b, e))
        yield _row("S11", f"amax is at least {detail}", bounded)
    power = after("wanted", lambda w, *_: _powers(w, np.ceil))
    yield _row("S10", "scale rounded up to a power of two", power)
    power = after("wanted", lambda w, *_: _powers(w, np.floor))
    yield _row("S10", "scale rounded down to a power of two", power)


def _over_global(wanted: Any, g: np.float32) -> Any:
    with np.errstate(all="ignore"):
        return wanted / g


def _powers(w: Any, way: Any) -> Any:
    with np.errstate(all="ignore"):
        found = np.exp2(way(np.log2(w.astype(np.float64))))
        return np.where((w > 0) & np.isfinite(w), found, w)


def _casts() -> Iterator[NVFP4Fault]:
    """The cast to E4M3, wrong in any way in which a cast to E4M3 can be."""
    legal = {"nearest-away": "nearest-up", "toward-zero": "toward-zero"}
    for model in element_models(E4M3):
        if model.id in ("E15", "E16", "E17", "E18", "E19", "E20"):
            continue  # scales have no sign, and specials are below
        made: type[Model] = type("Faulty", (Model,), {"scale_encoder": model.encoder})
        way = legal.get(model.legal_change.get("rounding", ""))
        change = {"scale_rounding": way} if way else {}
        detail = f"of the scale: {model.detail}" if model.detail else "of the scale"
        yield NVFP4Fault(model.id, detail, "scale", made, change)
    up = after("cast_scales", _next_where)
    yield _row("E1", "of the scale: up, whatever is dropped", up)


def _next_where(codes: Bytes, model: Model, wanted: Any) -> Bytes:
    """The next code above wherever the scale is below what was wanted."""
    with np.errstate(invalid="ignore"):
        below = (model.scale_values(codes) < wanted) & (codes < 0x7E)
    return np.asarray(codes + below, np.uint8)


def _mapped(table: Callable[[Bytes], Any]) -> type[Model]:
    return after("cast_scales", lambda codes, *_: np.asarray(table(codes), np.uint8))


def _ending(top: int) -> Callable[[Bytes], Any]:
    return lambda codes: np.minimum(codes, top)


def _moved(step: int, least: int) -> Callable[[Bytes], Any]:
    """Codes some steps away, within the finite ones; those below `least` stay."""

    def move(codes: Bytes) -> Any:
        moved = np.clip(codes.astype(np.int16) + step, 0, 0x7E)
        return np.where(codes >= least, moved, codes)

    return move


def _codes() -> Iterator[NVFP4Fault]:
    """The code, after a right cast."""
    for top, name in ((0x7D, "416"), (0x77, "240"), (0x78, "256"), (0x76, "224")):
        yield _row("E15", f"scales end at {name}", _mapped(_ending(top)))
    normal = _mapped(lambda c: np.where(c < 8, 0, c))
    yield _row("E7", "of the scale: subnormal codes become 0", normal)
    least = _mapped(lambda c: np.where((c > 0) & (c < 8), 8, c))
    yield _row("E7", "of the scale: subnormal codes become 2^-6", least)
    for step, detail in ((1, "one code too high"), (-1, "one code too low")):
        yield _row("S6", detail, _mapped(_moved(step, 0)))
    for step, detail in ((8, "twice as large"), (-8, "half as large")):
        yield _row("E24", f"scale biased by one: {detail}", _mapped(_moved(step, 8)))
    yield _row("S11", "bit 7 of the scale is set", _mapped(lambda c: c | 0x80))
    yield _row("S11", "448 becomes NaN", _mapped(lambda c: np.where(c == 0x7E, 0x7F, c)))


def _specials() -> Iterator[NVFP4Fault]:
    """Blocks of zeros."""
    for code, name in ((0x38, "1"), (0x7F, "NaN"), (0x7E, "448"), (0x01, "2^-9"), (0x08, "2^-6")):

        def change(codes: Bytes, _: Model, blocks: Blocks16, *__: Any, c: int = code) -> Bytes:
            return np.where(blocks.amax == 0, np.uint8(c), codes)

        yield _row("S12", f"a block of zeros gets the scale {name}", after("scale_codes", change))
