"""What may stand behind each option and argument, for a shell that completes it.

Nothing here imports NumPy: a key pressed in a shell wants its answer at once. Names whose tables
need NumPy are listed, and a test compares them with the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mxref._policy_base import Choices

__all__ = [
    "ADAPTERS",
    "INPUT_TYPES",
    "LAYOUTS",
    "OPERATIONS",
    "PACKINGS",
    "RECORDS",
    "SCALE_LAYOUTS",
    "Source",
    "is_file",
    "source_of",
]

Source = Callable[[Mapping[str, Any], str], Iterable[str]]
"""From the parameters read so far, and the beginning of a word, to the words that may be meant."""

ADAPTERS = ("ml_dtypes",)
LAYOUTS = (
    *("gpt-oss", "deepseek", "torchao", "torchao-swizzled", "mlx", "compressed-tensors"),
    *("modelopt", "quark", "comfyui", "transformer-engine", "transformer-engine-columnwise"),
    *("onnx", "gguf"),
)
PACKINGS = (
    *("bytes", "bytes-high", "bytes-middle", "nibbles-low-first", "nibbles-high-first"),
    *("nibbles-split", "nibbles-split-16", "nibbles-padded"),
    *("fp6-dense", "fp6-padded", "fp6-gfx950"),
)
SCALE_LAYOUTS = (
    *("row-major", "column-major", "128x4", "8x4", "gfx950-32x8", "gfx1250-32x4"),
    *("mn-major-words", "gfx1250-words", "triton-hopper-4", "triton-hopper-8"),
)
RECORDS = ("gguf-mxfp4", "gguf-nvfp4", "t27-mxfp4", "mx9-bdr", "mx6-bdr", "mx4-bdr")
OPERATIONS = (
    *("encode", "decode", "quantize", "dequantize", "quantize_tensor", "dequantize_tensor"),
    *("dot", "matmul"),
)
INPUT_TYPES = ("float32", "bfloat16", "float16")
_LEVELS = ("smoke", "core", "full", "exhaustive")
_ARRAYS = ("numpy", "torch", "torch:cuda", "jax", "cupy")
_TARGETS = (*ADAPTERS, "py:", "cmd:", "cmd+json:", "so:")
_FILE_ARGUMENTS = {
    ("compare", "given"),
    ("diff", "a"),
    ("diff", "b"),
    ("explain", "value"),
    ("look", "array"),
}
_FILE_OPTIONS = {"--plot", "--html", "--random", "--scale-random"}
_EXECUTORS = ("threads", "threads:", "processes", "processes:", "dask://")
_REPORTS = ("txt:", "json:", "jsonl:", "md:", "html:", "junit:")


def source_of(command: str, kind: str, name: str) -> Source | None:
    """Return what gives the words for a parameter; None where the shell, or click, knows better.

    Parameters
    ----------
    command : str
        The command's own name, such as ``"show"``.
    kind : str
        ``"option"`` or ``"argument"``.
    name : str
        The option, such as ``"--format"``, or the name of the argument.

    Examples
    --------
    >>> formats = source_of("show", "argument", "format_name")
    >>> list(formats({}, "mxfp8"))
    ['mxfp8_e4m3', 'mxfp8_e5m2']
    """
    if kind == "argument":
        return _ARGUMENTS.get((command, name))
    if name in ("--format", "--format-b"):
        return _scalar_formats if command in ("encode", "decode") else _formats_of(command)
    return _OPTIONS.get(name)


def is_file(command: str, kind: str, name: str) -> bool:
    """Whether a parameter that click takes for a text may name a file.

    Examples
    --------
    >>> is_file("compare", "argument", "given"), is_file("compare", "option", "--rule")
    (True, False)
    """
    if kind == "argument":
        return (command, name) in _FILE_ARGUMENTS
    return name in _FILE_OPTIONS


# --- formats ---------------------------------------------------------------------------------


def _scalar_formats(_: Mapping[str, Any], begun: str) -> Iterable[str]:
    from mxref.formats import ELEMENT_FORMATS, SCALE_FORMATS

    return _matching(begun, [*ELEMENT_FORMATS, *SCALE_FORMATS])


def _block_formats(_: Mapping[str, Any], begun: str) -> Iterable[str]:
    from mxref.formats import BLOCK_FORMATS
    from mxref.relatives.bdr_formats import BDR_FORMATS

    return _matching(begun, [*BLOCK_FORMATS, "nvfp4", *BDR_FORMATS])


def _all_formats(given: Mapping[str, Any], begun: str) -> Iterable[str]:
    scalar = [*_scalar_formats(given, begun), *_matching(begun, ["ue4m3"])]
    return [*scalar, *_block_formats(given, begun)]


def _formats_of(command: str) -> Source:
    names_elements_too = command in ("conform", "diff", "identify", "list", "export", "strength")
    return _all_formats if names_elements_too else _block_formats


# --- policies --------------------------------------------------------------------------------


def _policies(given: Mapping[str, Any], begun: str) -> Iterable[str]:
    """Complete ``PROFILE`` and ``PROFILE:field=choice,...`` of the family of the format given."""
    known = _known_policies(given.get("format_name"))
    name, colon, changes = begun.partition(":")
    if not colon:
        return _matching(begun, known)
    policy = known.get(name)
    return () if policy is None else _changed(policy, f"{name}:", changes)


def _known_policies(format_name: object) -> Mapping[str, Choices]:
    from mxref.policy import PROFILES
    from mxref.relatives import family_of

    family = family_of(format_name)
    if family == "nvfp4":
        from mxref.relatives.nvfp4_profiles import PROFILES as NVFP4_PROFILES

        return {name: profile.policy for name, profile in NVFP4_PROFILES.items()}
    if family == "bdr":
        from mxref.relatives.bdr_profiles import BDR_PROFILES

        return {name: profile.policy for name, profile in BDR_PROFILES.items()}
    return PROFILES


def _changed(policy: Choices, head: str, changes: str) -> Iterable[str]:
    """Complete the last ``field=choice`` behind the colon."""
    done, comma, last = changes.rpartition(",")
    head += done + comma
    field, equals, begun = last.partition("=")
    fields = policy.as_dict()
    if not equals:
        return _matching(last, [f"{name}=" for name in fields], head)
    if field not in fields:
        return ()
    choices = [str(choice) for choice in type(getattr(policy, field))]
    return _matching(begun, choices, f"{head}{field}=")


def _profiles(_: Mapping[str, Any], begun: str) -> Iterable[str]:
    """Complete a name of ``mxref profiles``: of the MX formats, or with the family before it."""
    for family, format_name in (("", "mxfp4"), ("nvfp4:", "nvfp4"), ("bdr:", "mx9")):
        if not family or begun.startswith(family):
            names = _policies({"format_name": format_name}, begun.removeprefix(family))
            yield from (family + name for name in names)
        elif family.startswith(begun):
            yield family


# --- the rest --------------------------------------------------------------------------------


def _matching(begun: str, names: Iterable[str], head: str = "") -> list[str]:
    return [head + name for name in names if name.lower().startswith(begun.lower())]


def _one_of(*names: str) -> Source:
    def words(_: Mapping[str, Any], begun: str) -> Iterable[str]:
        return _matching(begun, names)

    return words


def _rules(_: Mapping[str, Any], begun: str) -> Iterable[str]:
    from mxref._choices import ScaleRule
    from mxref.policy import PROFILES

    return _matching(begun, [*map(str, ScaleRule), *PROFILES])


_OPTIONS: Mapping[str, Source] = MappingProxyType(
    {
        "--policy": _policies,
        "--rule": _rules,
        "--layout": _one_of(*LAYOUTS),
        "--packing": _one_of(*PACKINGS),
        "--scale-layout": _one_of(*SCALE_LAYOUTS),
        "--record": _one_of(*RECORDS),
        "--op": _one_of(*OPERATIONS),
        "--level": _one_of(*_LEVELS),
        "--arrays": _one_of(*_ARRAYS),
        "--input-dtype": _one_of(*INPUT_TYPES),
        "--executor": _one_of(*_EXECUTORS),
        "--report": _one_of(*_REPORTS),
    }
)
_ARGUMENTS: Mapping[tuple[str, str], Source] = MappingProxyType(
    {
        ("show", "format_name"): _all_formats,
        ("explain", "format_name"): _all_formats,
        ("sweep", "formats"): _scalar_formats,
        ("conform", "target"): _one_of(*_TARGETS),
        ("identify", "target"): _one_of(*_TARGETS),
        ("layouts show", "name"): _one_of(*PACKINGS, *SCALE_LAYOUTS, *RECORDS, *LAYOUTS),
        ("profiles show", "name"): _profiles,
        ("profiles diff", "a"): _profiles,
        ("profiles diff", "b"): _profiles,
    }
)
