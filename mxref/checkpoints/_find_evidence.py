"""What a checkpoint says about itself: metadata in the file, and configurations beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mxref.checkpoints._find_names import Reading
from mxref.checkpoints.store import Store

__all__ = ["Claim", "claims", "tensor_claims"]

_CONFIGS = ("config.json", "hf_quant_config.json", "quantize_config.json")
_LIMIT = 32 << 20  # bytes of a configuration; the largest seen has 2 MB


class Claim(NamedTuple):
    """Something that narrows the readings of a tensor down.

    Attributes
    ----------
    layouts, formats : frozenset of str
        Those that it allows; empty: says nothing of them.
    source : str
        Who says so; empty for what goes without saying.
    """

    layouts: frozenset[str]
    formats: frozenset[str]
    source: str


def _claim(layouts: str, formats: str, source: str) -> Claim:
    return Claim(frozenset(layouts.split()), frozenset(formats.split()), source)


# --- metadata of one tensor -------------------------------------------------------------------

_TORCHAO_TYPES = {
    "float8_e4m3fn": "mxfp8_e4m3",
    "float8_e5m2": "mxfp8_e5m2",
    "fp6_e3m2": "mxfp6_e3m2",
    "fp6_e2m3": "mxfp6_e2m3",
    "float4_e2m1fn_x2": "mxfp4",
}


def tensor_claims(store: Store, options: Sequence[Reading]) -> Iterator[Claim]:
    """What is said about one weight, the surest first."""
    weight = options[0].weight
    yield from _torchao(store.metadata, weight)
    yield from _comfyui(store, weight, options)


def _torchao(metadata: Mapping[str, str], weight: str) -> Iterator[Claim]:
    said = _mapping(_parsed(metadata.get(weight, "")))
    kind, data = said.get("_type"), _mapping(said.get("_data"))
    if kind not in {"MXTensor", "NVFP4Tensor"}:
        return
    source = f"its metadata ({kind})"
    name = "torchao-swizzled" if data.get("is_swizzled_scales") is True else "torchao"
    if kind == "NVFP4Tensor":
        yield _claim(name, "nvfp4", source)
        return
    element = data.get("elem_dtype")
    text = _mapping(element).get("_data") if isinstance(element, dict) else element
    yield _claim(name, _TORCHAO_TYPES.get(str(text), ""), source)


def _comfyui(store: Store, weight: str, options: Sequence[Reading]) -> Iterator[Claim]:
    """ComfyUI uses the names of ModelOpt for other bytes, and marks its weights."""
    if not any(o.layout.name == "comfyui" for o in options):
        return
    mark = weight.removesuffix("weight") + "comfy_quant"
    if mark in store.tensors:
        yield _claim("comfyui", "", mark)
    elif "_quantization_metadata" in store.metadata:
        yield _claim("comfyui", "", "_quantization_metadata of the file")
    elif "mxref.layout" not in store.metadata:
        others = {o.layout.name for o in options if not o.fault} - {"comfyui"}
        yield Claim(frozenset(others), frozenset(), "")


# --- claims about the whole checkpoint ----------------------------------------------------------


def claims(store: Store) -> tuple[list[Claim], list[str]]:
    """What the metadata of the file and the configurations beside it say, the surest first.

    Returns
    -------
    claims : list of Claim
    notes : list of str
        Configurations that could not be read.
    """
    found = list(_own(store.metadata))
    notes: list[str] = []
    folder = store.path if store.path.is_dir() else store.path.parent
    for name in _CONFIGS:
        path = folder / name
        try:
            if not path.is_file():
                continue
            if path.stat().st_size > _LIMIT:
                notes.append(f"{path} is larger than {_LIMIT >> 20} MB and was not read")
                continue
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            notes.append(f"{path} could not be read: {error}")
            continue
        said = _parsed(text)
        if not isinstance(said, dict):
            notes.append(f"{path} is no JSON object and was not used")
            continue
        found += _config(said, name)
    return found, notes


def _own(metadata: Mapping[str, str]) -> Iterator[Claim]:
    """What `mxref quantize` writes."""
    name, of = metadata.get("mxref.layout", ""), metadata.get("mxref.format", "")
    if name or of:
        yield _claim(name, of, "the file's metadata (mxref)")


def _config(said: Mapping[str, Any], file: str) -> Iterator[Claim]:
    for key in ("quantization_config", "quantization", "compression_config"):
        part = _mapping(said.get(key))
        if part:
            yield from _section(part, _mapping(said.get("producer")), f"{file}: {key}")
    text = _mapping(said.get("text_config"))  # models of several kinds of input nest it
    if text:
        yield from _config(text, f"{file}: text_config")


def _section(part: Mapping[str, Any], producer: Mapping[str, Any], source: str) -> Iterator[Claim]:
    method = str(part.get("quant_method", "")).lower()
    if str(producer.get("name", "")).lower() == "modelopt":
        method = "modelopt"
    source = f"{source} ({method})" if method else source
    if method == "mxfp4":
        yield _claim("gpt-oss", "mxfp4", source)
    elif method == "compressed-tensors":
        yield _claim("compressed-tensors", _COMPRESSED.get(str(part.get("format")), ""), source)
    elif method.startswith("modelopt"):
        yield _claim("modelopt", _MODELOPT.get(str(part.get("quant_algo")), ""), source)
    elif method == "quark":
        yield _claim("quark", _quark_format(part), source)
    elif "mode" in part and "group_size" in part:
        yield _claim("mlx", _MLX.get(str(part.get("mode")), ""), source)


_COMPRESSED = {
    "mxfp4-pack-quantized": "mxfp4",
    "mxfp6-pack-quantized": "mxfp6_e2m3",
    "mxfp8-quantized": "mxfp8_e4m3",
    "nvfp4-pack-quantized": "nvfp4",
}
_MODELOPT = {
    "NVFP4": "nvfp4",
    "W4A16_NVFP4": "nvfp4",
    "NVFP4_AWQ": "nvfp4",
    "W4A8_NVFP4_FP8": "nvfp4",
    "W4A8_MXFP4_FP8": "mxfp4",
    "MXFP8": "mxfp8_e4m3",
}
_MLX = {"mxfp4": "mxfp4", "mxfp8": "mxfp8_e4m3", "nvfp4": "nvfp4"}
_QUARK = {
    "fp4": "mxfp4",
    "fp6_e2m3": "mxfp6_e2m3",
    "fp6_e3m2": "mxfp6_e3m2",
    "fp8_e4m3": "mxfp8_e4m3",
    "fp8_e5m2": "mxfp8_e5m2",
}


def _quark_format(part: Mapping[str, Any]) -> str:
    weight = _mapping(part.get("global_quant_config")).get("weight")
    first = weight[0] if isinstance(weight, list) and weight else weight
    return _QUARK.get(str(_mapping(first).get("dtype")), "")


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
