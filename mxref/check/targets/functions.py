"""Python functions as targets: found by name, run here or in a process of their own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mxref._suggest import unknown_name
from mxref.check.target import Kernel, Target, TargetError, TargetOptions, describe_error
from mxref.check.targets._escape import escaped

__all__ = ["find_function", "load_function"]


def load_function(name: str, rest: str, wanted: tuple[str, str], options: TargetOptions) -> Target:
    """Return the target of one function.

    Parameters
    ----------
    name : str
        As the user gave it.
    rest : str
        ``"module:function"``.
    wanted : (str, str)
        Operation and format.
    options : TargetOptions
        How it is run.

    Raises
    ------
    TargetError
        If it cannot be imported, or is no function.
    """
    module, _, attribute = rest.partition(":")
    if not module or not attribute:
        raise TargetError(
            f"target {name!r}: expected py:MODULE:FUNCTION, such as py:mykernel:quantize"
        )
    if module.endswith(".py"):
        stem = Path(module).stem
        raise TargetError(f"give the module, not the file: py:{stem}:{attribute}")
    title = f"{module}.{attribute}"
    if options.isolate:
        from mxref.check._guard import signature
        from mxref.check.targets.isolated import Worker

        source = {
            "how": "py",
            "module": module,
            "attribute": attribute,
            "arrays": options.arrays,
            "signature": signature(wanted[0], options.input_type),
        }
        worker = Worker(source, options.timeout)
        worker.start()
        return Target(name, title, (Kernel(*wanted, worker.call),), worker.close)
    from mxref.check.targets.foreign import adapted

    function = adapted(find_function(module, attribute), options.arrays)
    return Target(name, title, (Kernel(*wanted, function),))


def find_function(module_name: str, attribute: str) -> Callable[..., Any]:
    """Import a function; the module's own code runs, so anything may happen.

    Raises
    ------
    TargetError
        If there is no such module or name, or importing it fails.

    Examples
    --------
    >>> find_function("math", "fabs")(-1)
    1.0
    """
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
        importlib.invalidate_caches()
    shown = escaped(module_name, 100)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            raise TargetError(
                f"no module named {escaped(error.name, 100)!r}: looked in {here} and in the "
                "installed packages"
            ) from None
        raise TargetError(f"importing {shown} failed: {describe_error(error)}", "raised") from error
    except (Exception, SystemExit) as error:
        raise TargetError(f"importing {shown} failed: {describe_error(error)}", "raised") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [n for n in dir(found) if not n.startswith("_")]
            raise TargetError(unknown_name(f"name in {shown}", attribute, public))
        found = getattr(found, part)
    if not callable(found):
        raise TargetError(
            f"{shown}:{escaped(attribute, 100)} is a {type(found).__name__}, not a function"
        )
    function: Callable[..., Any] = found
    return function
