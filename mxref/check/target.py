"""What can be checked, and how it is named.

A *target* is what the user named: a built-in adapter, a Python function, a program or a shared
library. It offers one or more *kernels*, each one operation on one format. Everything that can be
wrong with a target, or that it does wrong, ends as a `TargetError`.
"""

from __future__ import annotations

import importlib
import os
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mxref._suggest import unknown_name
from mxref.check.targets._escape import escaped

__all__ = [
    "INPUT_TYPES",
    "OPS",
    "Kernel",
    "Target",
    "TargetError",
    "TargetOptions",
    "describe_error",
    "load_target",
    "valid_format",
]

OPS = (
    "encode",
    "decode",
    "quantize",
    "dequantize",
    "quantize_tensor",
    "dequantize_tensor",
    "dot",
    "matmul",
)
"""The operations that a kernel can implement, casts first."""

INPUT_TYPES = ("float32", "bfloat16", "float16")
"""The types in which a kernel may want its numbers."""

ADAPTERS = {"ml_dtypes": "mxref.check.adapters.ml_dtypes"}
_FORMS = (
    "a built-in adapter ({}), py:MODULE:FUNCTION, cmd:PROGRAM, cmd+json:PROGRAM or "
    "so:LIBRARY:SYMBOL"
)


class TargetError(RuntimeError):
    """The target could not be run, or broke the contract; nothing was judged.

    Parameters
    ----------
    text : str
        What happened, what was expected, what to do.
    kind : str
        As in `mxref.check.parts.Trouble`.

    Examples
    --------
    >>> TargetError("it returned None", kind="garbage").kind
    'garbage'
    """

    def __init__(self, text: str, kind: str = "mis-wired") -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """How a target is run.

    Attributes
    ----------
    timeout : float
        Seconds that one call may take.
    arrays : str
        What Python functions are given: ``"numpy"``, ``"torch"``, ``"jax"`` or ``"cupy"``, with a
        device behind a colon: ``"torch:cuda"``.
    isolate : bool
        Whether Python functions run in a process of their own.
    input_type : str
        One of `INPUT_TYPES`: the type of the numbers that ``encode`` and ``quantize`` take.
    """

    timeout: float = 60.0
    arrays: str = "numpy"
    isolate: bool = True
    input_type: str = "float32"


@dataclass(frozen=True, slots=True)
class Kernel:
    """One operation on one format.

    Attributes
    ----------
    op : str
        One of `OPS`.
    format : str
        A block format for ``quantize`` and ``dequantize``, else an element or scale format.
    fn : callable
        As `mxref.check.kernel` calls it.
    policy : str or None
        The policy that the target itself claims to follow.
    """

    op: str
    format: str
    fn: Callable[..., Any]
    policy: str | None = None


def _nothing() -> None:
    """There is nothing to end."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the user named, with everything in it that can be checked.

    Attributes
    ----------
    name : str
        As the user gave it.
    title : str
        For people: with the version, where one is known.
    kernels : tuple of Kernel
        What the target claims.
    close : callable
        Ends the processes that the kernels run in.
    """

    name: str
    title: str
    kernels: tuple[Kernel, ...]
    close: Callable[[], None] = _nothing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load_target(
    name: str,
    format: str | None = None,  # noqa: A002
    op: str | None = None,
    options: TargetOptions | None = None,
) -> Target:
    """Find a target, and narrow it to a format and an operation.

    Parameters
    ----------
    name : str
        ``"ml_dtypes"``, ``"py:module:function"``, ``"cmd:./program --flag"``,
        ``"cmd+json:./program"``, ``"so:./lib.so:symbol"`` or ``"so:./lib.so"``; modules are also
        looked for in the current directory.
    format, op : str, optional
        Only these. One function needs a format, and its operation is ``quantize`` by default.
    options : TargetOptions, optional
        How it is run.

    Returns
    -------
    Target
        Call its `close`, or use it as a context, to end the processes that it started.

    Raises
    ------
    TargetError
        If there is no such target, it cannot be imported or is no function, or nothing remains
        (kind ``not-claimed``).

    Examples
    --------
    >>> [kernel.op for kernel in load_target("ml_dtypes", format="e5m2").kernels]
    ['encode', 'decode']
    """
    if op is not None and op not in OPS:
        raise TargetError(unknown_name("operation", op, OPS))
    how = options or TargetOptions()
    if how.input_type not in INPUT_TYPES:
        raise TargetError(unknown_name("input type", how.input_type, INPUT_TYPES))
    kind, colon, rest = name.partition(":")
    if how.arrays != "numpy" and kind != "py":
        raise TargetError(f"arrays={how.arrays} is for Python functions (py:), not for {name!r}")
    if not colon:
        return _narrowed(_adapter(name), format, op)
    if kind == "py":
        from mxref.check.targets.functions import load_function

        return load_function(name, rest, _one(name, format, op), how)
    if kind == "so":
        from mxref.check.targets.shared_object import load_library

        path, symbol = _library(name, rest)
        wanted = _one(name, format, op) if symbol else None
        return _narrowed(load_library(name, path, symbol, wanted, how), format, op)
    if kind == "cmd":
        from mxref.check.targets.command import load_program

        wanted = None if format is None else _one(name, format, op)
        return _narrowed(load_program(name, rest, wanted, how), format, op)
    if kind == "cmd+json":
        from mxref.check.targets.jsonlines import load_harness

        return _narrowed(load_harness(name, rest, how), format, op)
    forms = _FORMS.format(", ".join(ADAPTERS))
    raise TargetError(f"unknown target {escaped(name)!r}: expected {forms}")


def valid_format(name: str, op: str) -> str:
    """Return the canonical name of a format that fits the operation.

    Raises
    ------
    TargetError
        If there is no such format.

    Examples
    --------
    >>> valid_format("mxfp4_e2m1", "quantize")
    'mxfp4'
    """
    from mxref.formats import block_format, scalar_format

    try:
        if op in ("encode", "decode"):
            return scalar_format(name).name
        if op in ("dot", "matmul"):  # of two formats, "mxfp4-mxfp8_e4m3", or of one with itself
            return "-".join(block_format(part).name for part in name.split("-", 1))
        return block_format(name).name
    except ValueError as error:
        raise TargetError(str(error)) from None


def _one(name: str, format: str | None, op: str | None) -> tuple[str, str]:  # noqa: A002
    """Return the operation and the format of a target that is a single function."""
    if format is None:
        raise TargetError(f"target {name!r} is one function: say which format it is for (--format)")
    op = op or "quantize"
    return op, valid_format(format, op)


def _library(name: str, rest: str) -> tuple[str, str]:
    folder, slash, file = rest.rpartition("/")
    file, _, symbol = file.partition(":")
    if not file:
        raise TargetError(f"target {name!r}: expected so:LIBRARY:SYMBOL, such as so:./lib.so:mxfp4")
    return folder + slash + file, symbol


def _adapter(name: str) -> Target:
    if name not in ADAPTERS:
        hint = ""
        if Path(name).suffix == ".py":
            hint = f" For a function in that file: py:{Path(name).stem}:FUNCTION."
        raise TargetError(
            f"{unknown_name('target', name, ADAPTERS)}; a Python function is named "
            f"py:MODULE:FUNCTION, a program cmd:PROGRAM, a library so:LIBRARY:SYMBOL.{hint}"
        )
    try:
        target: Target = importlib.import_module(ADAPTERS[name]).target()
    except ImportError as error:
        raise TargetError(
            f"the adapter {name!r} needs a package that is missing: {error}"
        ) from None
    return target


def _narrowed(target: Target, format: str | None, op: str | None) -> Target:  # noqa: A002
    kernels = tuple(kernel for kernel in target.kernels if op in (None, kernel.op))
    if format is not None:
        named = {each: _named(format, each) for each in OPS}
        if not any(named.values()):
            target.close()
            known = dict.fromkeys(kernel.format for kernel in kernels)
            raise TargetError(unknown_name("format", format, known))
        kernels = tuple(kernel for kernel in kernels if named[kernel.op] == kernel.format)
    if not kernels:
        target.close()
        asked = " ".join(filter(None, (op, format))) or "anything"
        raise TargetError(
            f"{target.name} has no kernel for {asked}: not claimed. It claims "
            f"{_listing(target.kernels)}",
            kind="not-claimed",
        )
    return Target(target.name, target.title, kernels, target.close)


def _listing(kernels: Iterable[Kernel]) -> str:
    formats: dict[str, list[str]] = {}
    for kernel in kernels:
        formats.setdefault(kernel.op, []).append(kernel.format)
    return "; ".join(f"{op} {', '.join(names)}" for op, names in formats.items()) or "nothing"


def _named(name: str, op: str) -> str | None:
    try:
        return valid_format(name, op)
    except TargetError:
        return None


def describe_error(error: BaseException) -> str:
    r"""Say in one line what was raised, and where in the user's code.

    Examples
    --------
    >>> describe_error(ValueError("no   such \x1b thing"))
    'ValueError: no such \\x1b thing'
    """
    try:
        said = str(error)
    except Exception:  # noqa: BLE001  # the user's __str__ may do anything
        said = ""
    text = escaped(" ".join(said.split()), 200)
    name = escaped(type(error).__name__, 80)
    told = f"{name}: {text}" if text else name
    own = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(own)
    ]
    frames = [f for f in frames if "importlib" not in f.filename]
    if not frames:
        return told
    return f"{told} ({escaped(Path(frames[-1].filename).name, 80)}, line {frames[-1].lineno})"
