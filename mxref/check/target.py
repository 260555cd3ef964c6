"""What can be checked: a built-in adapter, or a Python function named on the command line.

A *target* is what the user named; it offers one or more *kernels*, each one operation on one
format. Everything that can be wrong with a name ends as a `TargetError` of one line.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mxref._suggest import unknown_name

__all__ = ["OPS", "Kernel", "Target", "TargetError", "describe_error", "load_target"]

OPS = ("encode", "decode", "quantize", "dequantize")
"""The operations that a kernel can implement, casts first."""

ADAPTERS = {"ml_dtypes": "mxref.check.adapters.ml_dtypes"}
_FORMS = "a built-in adapter ({}) or py:MODULE:FUNCTION"


class TargetError(RuntimeError):
    """The target could not be run, or broke the contract; nothing was judged."""


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
    """

    op: str
    format: str
    fn: Callable[..., Any]


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
    """

    name: str
    title: str
    kernels: tuple[Kernel, ...]


def load_target(name: str, format: str | None = None, op: str | None = None) -> Target:  # noqa: A002
    """Find a target, and narrow it to a format and an operation.

    Parameters
    ----------
    name : str
        ``"ml_dtypes"`` or ``"py:module:function"``; modules are also looked for in the current
        directory.
    format, op : str, optional
        Only these. A function needs a format, and its operation is ``quantize`` by default.

    Raises
    ------
    TargetError
        If there is no such target, it cannot be imported or is no function, or nothing remains.

    Examples
    --------
    >>> [kernel.op for kernel in load_target("ml_dtypes", format="e5m2").kernels]
    ['encode', 'decode']
    """
    if op is not None and op not in OPS:
        raise TargetError(unknown_name("operation", op, OPS))
    kind, colon, rest = name.partition(":")
    if not colon:
        return _narrowed(_adapter(name), format, op)
    if kind in ("cmd", "so"):
        raise TargetError(
            f"{kind}: targets are not available yet; wrap the program in a Python function and "
            "name it py:MODULE:FUNCTION, or check its saved output with mxref check"
        )
    if kind != "py":
        raise TargetError(f"unknown target {name!r}: expected {_FORMS.format(', '.join(ADAPTERS))}")
    module, _, attribute = rest.partition(":")
    if not module or not attribute:
        raise TargetError(
            f"target {name!r}: expected py:MODULE:FUNCTION, such as py:mykernel:quantize"
        )
    if format is None:
        raise TargetError(f"target {name!r} is one function: say which format it is for (--format)")
    function = _function(module, attribute)
    op = op or "quantize"
    return Target(name, f"{module}.{attribute}", (Kernel(op, _valid_format(format, op), function),))


def _valid_format(name: str, op: str) -> str:
    """Return the canonical name of a format that fits the operation."""
    from mxref.formats import block_format, scalar_format

    try:
        if op in ("quantize", "dequantize"):
            return block_format(name).name
        return scalar_format(name).name
    except ValueError as error:
        raise TargetError(str(error)) from None


def _adapter(name: str) -> Target:
    if name not in ADAPTERS:
        hint = ""
        if Path(name).suffix == ".py":
            hint = f" For a function in that file: py:{Path(name).stem}:FUNCTION."
        raise TargetError(
            f"{unknown_name('target', name, ADAPTERS)}; a Python function is named "
            f"py:MODULE:FUNCTION.{hint}"
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
            known = dict.fromkeys(kernel.format for kernel in kernels)
            raise TargetError(unknown_name("format", format, known))
        kernels = tuple(kernel for kernel in kernels if named[kernel.op] == kernel.format)
    if not kernels:
        asked = " ".join(filter(None, (op, format)))
        raise TargetError(f"{target.name} has no kernel for {asked}")
    return Target(target.name, target.title, kernels)


def _named(name: str, op: str) -> str | None:
    try:
        return _valid_format(name, op)
    except TargetError:
        return None


def _function(module_name: str, attribute: str) -> Callable[..., Any]:
    """Import a function; the module's own code runs, so anything may happen."""
    if module_name.endswith(".py"):
        stem = Path(module_name).stem
        raise TargetError(f"give the module, not the file: py:{stem}:{attribute}")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
        importlib.invalidate_caches()
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            raise TargetError(
                f"no module named {error.name!r}: looked in {here} and in the installed packages"
            ) from None
        raise TargetError(f"importing {module_name} failed: {describe_error(error)}") from error
    except (Exception, SystemExit) as error:
        raise TargetError(f"importing {module_name} failed: {describe_error(error)}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [n for n in dir(found) if not n.startswith("_")]
            raise TargetError(unknown_name(f"name in {module_name}", attribute, public))
        found = getattr(found, part)
    if not callable(found):
        raise TargetError(f"{module_name}:{attribute} is a {type(found).__name__}, not a function")
    function: Callable[..., Any] = found
    return function


def describe_error(error: BaseException) -> str:
    """Say in one line what was raised, and where in the user's code.

    Examples
    --------
    >>> describe_error(ValueError("no   such thing"))
    'ValueError: no such thing'
    """
    text = " ".join(str(error).split())[:200]
    told = f"{type(error).__name__}: {text}" if text else type(error).__name__
    own = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(own)
    ]
    frames = [f for f in frames if "importlib" not in f.filename]
    if not frames:
        return told
    return f"{told} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"
