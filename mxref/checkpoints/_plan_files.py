"""Into which files the tensors of an output go, and what stands beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mxref.checkpoints._configs import extra_files, loader_metadata, quantization_config
from mxref.checkpoints._plan import Weight
from mxref.checkpoints.safetensors_writer import (
    PlannedFile,
    Stored,
    safetensors_file,
    safetensors_index,
)
from mxref.checkpoints.store import CheckpointError, Store
from mxref.formats import BlockFormat

__all__ = ["Contents", "companions", "home_of", "is_folder", "plan_safetensors"]

_SUFFIXES = (".json", ".txt", ".model", ".jinja")  # tokenizers, templates, configurations
_FILES = (
    *(".bin", ".pt", ".pth", ".ckpt", ".pkl", ".npy", ".npz", ".h5", ".hdf5", ".onnx", ".tflite"),
    *(".json", ".txt", ".zip", ".tar", ".gz", ".msgpack", ".safetensors", ".gguf"),
)
_COMPANION = 1 << 26  # bytes; nothing of that kind is larger


@dataclass(frozen=True, slots=True)
class Contents:
    """What all files of an output hold together.

    Attributes
    ----------
    store : Store
        The source.
    home : Path or None
        The folder that it is, if it is one: a model with its configuration.
    layout : str
    fmt : BlockFormat
    weights : mapping of str to Weight
    kept : mapping of str to str
    stored : sequence of Stored
    made_by : mapping of str to str
        Who made it, for the headers.
    """

    store: Store
    home: Path | None
    layout: str
    fmt: BlockFormat
    weights: Mapping[str, Weight]
    kept: Mapping[str, str]
    stored: Sequence[Stored]
    made_by: Mapping[str, str]


def is_folder(out: Path, container: str, shard_size: int | None) -> bool:
    """Decide from its name what `out` will be.

    Raises
    ------
    CheckpointError
        If the name, the layout and the size of shards do not go together.
    """
    if container not in {"safetensors", "gguf"}:
        raise CheckpointError(
            "this layout is one of arrays in memory, which no kind of file holds; choose one that "
            "has files"
        )
    if shard_size is not None and shard_size < 1:
        raise CheckpointError(f"a shard has {shard_size} bytes; expected a positive number")
    suffix = out.suffix.lower()
    other = ".gguf" if container == "safetensors" else ".safetensors"
    if suffix == other or (container == "gguf" and suffix != ".gguf"):
        wanted = "a .gguf file" if container == "gguf" else "a .safetensors file or a folder"
        raise CheckpointError(f"{out}: this layout is written as {wanted}; rename the output")
    if shard_size is not None and suffix:
        where = "is written as one file" if container == "gguf" else "name a folder"
        raise CheckpointError(f"{out}: shards are files of a folder: {where}")
    meant = f".{container}"
    # A folder may have a dot in its name; but what looks like another file was meant as a file.
    if suffix != meant and (suffix in _FILES or get_close_matches(suffix, [meant], 1, 0.7)):
        raise CheckpointError(
            f"{out}: mxref writes no {out.suffix} files; a file of this layout ends in {meant}, "
            f"and a folder has a name without {out.suffix}"
        )
    return suffix != meant


def plan_safetensors(
    contents: Contents, out: Path, shard_size: int | None, *, folder: bool
) -> tuple[PlannedFile, ...]:
    """Lay out one file, or a folder of shards with their index."""
    if not folder:
        return (_shard(contents, out.name, contents.stored),)
    shards = _as_source(contents) if shard_size is None else _by_size(contents, shard_size)
    files = [_shard(contents, name, tensors) for name, tensors in shards.items()]
    beside = {
        name: (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
        for name, document in _documents(contents).items()
    }
    if len(files) > 1:
        total = sum(tensor.nbytes for tensor in contents.stored)
        files.append(safetensors_index(files, total))
    files.extend(PlannedFile(name, data, {}, len(data)) for name, data in beside.items())
    return tuple(files)


def home_of(given: Path) -> Path | None:
    """Return the folder of a model, if that, or an index of its shards, is what the user named."""
    if given.is_dir():
        return given
    return given.parent if given.name.endswith(".index.json") else None


def companions(home: Path | None) -> list[Path]:
    """Files beside the weights of a model, without which a loader would not know it."""
    if home is None:
        return []
    return [
        path
        for path in sorted(home.iterdir())
        if path.suffix in _SUFFIXES
        and path.is_file()
        and path.stat().st_size <= _COMPANION
        and not path.name.endswith(".index.json")
        and path.name != "config.json"
    ]


def _shard(contents: Contents, name: str, tensors: Sequence[Stored]) -> PlannedFile:
    sources = {tensor.source for tensor in tensors}
    weights = {k: v for k, v in contents.weights.items() if k in sources}
    kept = {k: v for k, v in contents.kept.items() if k in sources}
    config = quantization_config(contents.layout, contents.fmt, contents.weights, contents.kept)
    metadata = dict(contents.store.metadata) if _is_safetensors(contents.store) else {}
    metadata.update(contents.made_by)
    if config is not None:
        metadata["quantization_config"] = json.dumps(config)
    metadata.update(loader_metadata(contents.layout, contents.fmt, weights, kept))
    return safetensors_file(name, tensors, metadata)


def _is_safetensors(store: Store) -> bool:
    return not hasattr(store, "fields")  # the keys of GGUF, most of which are no text


def _as_source(contents: Contents) -> dict[str, list[Stored]]:
    """A shard for each file of the source, under its name; a single one as loaders expect it."""
    files = list(dict.fromkeys(contents.store.tensors[t.source].file for t in contents.stored))
    names = [file.name for file in files]
    is_plain = len(set(names)) == len(names) and all(n.endswith(".safetensors") for n in names)
    if not is_plain or len(names) == 1:
        names = _numbered(len(files))
    home = dict(zip(files, names, strict=True))
    shards: dict[str, list[Stored]] = {name: [] for name in names}
    for tensor in contents.stored:
        shards[home[contents.store.tensors[tensor.source].file]].append(tensor)
    return shards


def _by_size(contents: Contents, shard_size: int) -> dict[str, list[Stored]]:
    """Fill shards up to a size; the parts of a weight stay together."""
    groups: dict[str, list[Stored]] = {name: [] for name in contents.store.tensors}
    for tensor in contents.stored:
        groups[tensor.source].append(tensor)
    shards: list[list[Stored]] = [[]]
    room = shard_size
    for group in groups.values():
        size = sum(tensor.nbytes for tensor in group)
        if size > room and shards[-1]:
            shards.append([])
            room = shard_size
        shards[-1].extend(group)
        room -= size
    return dict(zip(_numbered(len(shards)), shards, strict=True))


def _numbered(count: int) -> list[str]:
    if count == 1:
        return ["model.safetensors"]
    return [f"model-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]


def _documents(contents: Contents) -> dict[str, Any]:
    """config.json with what was done to the weights, and the convention's own files."""
    config = quantization_config(contents.layout, contents.fmt, contents.weights, contents.kept)
    documents: dict[str, Any] = dict(extra_files(contents.layout, contents.fmt, contents.kept))
    given = _config_of(contents.home)
    if config is not None or given is not None:
        document = dict(given or {})
        if config is not None:
            document["quantization" if contents.layout == "mlx" else "quantization_config"] = config
        documents["config.json"] = document
    return documents


def _config_of(home: Path | None) -> dict[str, Any] | None:
    if home is None or not (home / "config.json").is_file():
        return None
    path = home / "config.json"
    try:
        if path.stat().st_size > _COMPANION:
            raise ValueError("too large")  # noqa: TRY301  # the one answer to all of them
        document = json.loads(path.read_bytes())
        if not isinstance(document, dict):
            raise ValueError("no JSON object")  # noqa: TRY301, TRY004
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    if "quantization_config" in document:
        raise CheckpointError(
            f"{path}: says that the source is quantized already (quantization_config); quantize "
            f"the original, or remove that entry"
        )
    return document
