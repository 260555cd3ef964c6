"""Which tensor of the original checkpoint a quantized weight came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mxref.checkpoints._find_gguf import ROW_ORDER, hugging_face_names
from mxref.checkpoints.store import TensorInfo

__all__ = ["SourceMatch", "match_source"]

_FLOATS = {"F64", "F32", "F16", "BF16"}
_SHOWN = 3


class SourceMatch(NamedTuple):
    """The original of a quantized weight.

    Attributes
    ----------
    name : str or None
        None if there is none that can be told.
    notes : tuple of str
        Why not, or what is different about it: another name, shape or order of axes.
    transposed : bool
        Whether its last two axes are exchanged.
    """

    name: str | None
    notes: tuple[str, ...] = ()
    transposed: bool = False


def match_source(
    weight: str, shape: tuple[int, ...], tensors: Mapping[str, TensorInfo]
) -> SourceMatch:
    """Find the original of a weight: the same name, or the only one that ends alike.

    Examples
    --------
    >>> from pathlib import Path
    >>> info = TensorInfo("model.a.weight", "F32", (2, 32), Path("a.safetensors"), 0, 256)
    >>> match_source("a.weight", (2, 32), {info.name: info})
    SourceMatch(name='model.a.weight', notes=("called 'model.a.weight' there",), transposed=False)
    """
    for name in _spellings(weight):
        if name in tensors:
            return _compare(tensors[name], weight, shape)
    ends = [name for name in tensors if _ends_alike(name, weight)]
    fits = [name for name in ends if _fits(tensors[name].shape, shape)]
    if len(fits) == 1 or len(ends) == 1:
        return _compare(tensors[(fits or ends)[0]], weight, shape)
    if ends:
        return SourceMatch(None, (f"several could be meant: {_few(ends)}",))
    same = [n for n, info in tensors.items() if info.dtype in _FLOATS and info.shape == shape]
    if same:
        return SourceMatch(
            None, (f"no tensor is called so; of the same shape {list(shape)}: {_few(same)}",)
        )
    return SourceMatch(None, (f"no tensor is called so, and none has the shape {list(shape)}",))


def _spellings(weight: str) -> Iterator[str]:
    yield weight
    stem = weight.removesuffix(".weight")
    if stem != weight:
        yield stem
    else:
        yield weight + ".weight"
    yield from hugging_face_names(weight)


def _ends_alike(name: str, weight: str) -> bool:
    """Whether one of two names is the other behind a prefix, such as ``model.``."""
    return any(
        name.endswith("." + spelling) or spelling.endswith("." + name)
        for spelling in _spellings(weight)
    )


def _fits(there: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return shape in {there, _turned(there)}


def _turned(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-2], *shape[:-3:-1])


def _compare(info: TensorInfo, weight: str, shape: tuple[int, ...]) -> SourceMatch:
    notes = [f"called {info.name!r} there"] if info.name != weight else []
    if info.name.endswith((".q_proj.weight", ".k_proj.weight")) and ".attn_" in weight:
        notes.append(ROW_ORDER)
    there = info.shape
    transposed = there != shape and _turned(there) == shape
    if transposed:
        notes.append(f"its shape there is {list(there)}: the last two axes are exchanged")
    elif there != shape:
        notes.append(f"its shape there is {list(there)}, here {list(shape)}")
        if there[1:] == shape[1:] and there and shape:
            notes.append(_parts_of(there[0], shape[0]))
    if info.dtype not in _FLOATS:
        notes.append(f"its type there is {info.dtype}: not the numbers that were quantized")
    return SourceMatch(info.name, tuple(notes), transposed)


def _parts_of(there: int, here: int) -> str:
    if there > here:
        return "there it holds more rows: perhaps several weights in one"
    return "here it holds more rows: perhaps several weights joined into one"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
