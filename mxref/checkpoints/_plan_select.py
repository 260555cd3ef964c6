"""Which tensors of a checkpoint are quantized: a rule that needs no list, or patterns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from mxref.checkpoints._words import displayed
from mxref.checkpoints.store import CheckpointError, TensorInfo

__all__ = ["FLOATS", "LEFT_ALONE", "select"]

FLOATS = ("F32", "BF16", "F16", "F64")
"""Types of tensors that can be quantized."""

# Embeddings, heads, norms and routers: what published MX checkpoints keep in the original type. The
# names are those of transformers, of GPT-2 and of GGUF.
LEFT_ALONE = (
    "*embed*",
    "*embd*",
    "*wte.*",
    "*wpe.*",
    "*norm*",
    "*ln_*",
    "lm_head.*",
    "*.lm_head.*",
    "output.weight",
    "*router*",
    "*.gate.weight",
    "*gate_inp*",
)
"""Patterns of names that are kept unless `include` is given."""


_NO_WEIGHT = "its name does not end in .weight"
_BY_DEFAULT = "kept by default"


def select(
    tensors: Mapping[str, TensorInfo],
    block_size: int,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
) -> tuple[list[str], dict[str, str]]:
    """Choose the tensors to quantize.

    Parameters
    ----------
    tensors : mapping of str to TensorInfo
    block_size : int
    include : sequence of str, optional
        Patterns (``*``, ``?``, ``[...]``) of names to quantize; default: names that end in
        ``.weight`` and match no pattern of `LEFT_ALONE`.
    exclude : sequence of str
        Patterns of names to keep, whatever else is said.

    Returns
    -------
    chosen : list of str
        In the order of `tensors`.
    kept : dict of str to str
        The others, and why.

    Raises
    ------
    CheckpointError
        If a pattern matches no tensor, or nothing is left to quantize.
    """
    _require_matches("include", include or (), tensors)
    _require_matches("exclude", exclude, tensors)
    kept: dict[str, str] = {}
    for name, info in tensors.items():
        why = _by_name(name, include, exclude) or _by_shape(info, block_size)
        if why:
            kept[name] = why
    chosen = [name for name in tensors if name not in kept]
    if not chosen:
        raise CheckpointError(f"no tensor can be quantized: {_few(kept)}{_advice(kept, include)}")
    return chosen, kept


def _by_name(name: str, include: Sequence[str] | None, exclude: Sequence[str]) -> str:
    for pattern in exclude:
        if fnmatchcase(name, pattern):
            return f"excluded by {pattern!r}"
    if include is not None:
        return "" if any(fnmatchcase(name, pattern) for pattern in include) else "not included"
    if not name.endswith(".weight"):
        return _NO_WEIGHT
    for pattern in LEFT_ALONE:
        if fnmatchcase(name.lower(), pattern):
            return f"{_BY_DEFAULT}: {pattern!r}"
    return ""


def _by_shape(info: TensorInfo, block_size: int) -> str:
    if info.dtype not in FLOATS:
        return f"holds {info.dtype}, not numbers of type {', '.join(FLOATS)}"
    if len(info.shape) < 2:
        return "has fewer than two axes"
    if 0 in info.shape:
        return "is empty"
    if info.shape[-1] % block_size:
        return f"its last axis, {info.shape[-1]}, is not a multiple of {block_size}"
    return ""


def _require_matches(what: str, patterns: Sequence[str], names: Collection[str]) -> None:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = get_close_matches(pattern, names, 3, 0.5) or list(names)[:3]
            raise CheckpointError(
                f"{what} {pattern!r} matches no tensor; there are {len(names)}, such as "
                f"{', '.join(map(displayed, near))}"
            )


def _few(kept: Mapping[str, str]) -> str:
    shown = [f"{displayed(name)}: {why}" for name, why in list(kept.items())[:3]]
    more = f"; and {len(kept) - 3} more" if len(kept) > 3 else ""
    return ("; ".join(shown) + more) or "the checkpoint has no tensors"


def _advice(kept: Mapping[str, str], include: Sequence[str] | None) -> str:
    """What to do about it, where something can be done."""
    if include is None and any(why.startswith((_NO_WEIGHT, _BY_DEFAULT)) for why in kept.values()):
        return ". Name the ones to quantize: include=['*'] (--include '*') takes all that can be"
    return ""
