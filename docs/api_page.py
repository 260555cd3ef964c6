"""docs/reference/api/: a page for each public module, which Sphinx fills from the docstrings.

What is public is what `__all__` says. A page lists the names; their texts are in the code.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import types

import mxref

# Public modules that are not in mxref.__all__, since most people never import them by name.
BEYOND = (
    "mxref.executors",
    "mxref.faults",
    "mxref.interop.torch",
    "mxref.randomness",
    "mxref.relatives",
    "mxref.show.html",
    "mxref.testing",
)
# What is a function and a module at once is described as the function.
FUNCTIONS = {"compare", "diff", "explain", "matmul", "show"}


EXACT = "mxref.exact"  # whose modules are listed below it


def _below(name):
    return name.startswith(f"{EXACT}.")


def is_public(name):
    return not any(part.startswith("_") for part in name.split("."))


def modules():
    """The names of public modules, in the order in which they are listed."""
    found = {"mxref": None, **dict.fromkeys(f"mxref.{name}" for name in module_names())}
    found |= dict.fromkeys(BEYOND)
    exact = importlib.import_module("mxref.exact")
    inner = (f"mxref.exact.{m.name}" for m in pkgutil.iter_modules(exact.__path__))
    found |= dict.fromkeys(name for name in inner if is_public(name))
    return sorted(found)


def module_names():
    """Those of mxref.__all__ that name a module; a function may have a module's name as well."""
    for name in mxref.__all__:
        try:
            importlib.import_module(f"mxref.{name}")
        except ModuleNotFoundError:
            continue
        yield name


def names(module):
    """The public names of a module, as a list."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, value in vars(module).items()
        if is_public(name) and getattr(value, "__module__", None) == module.__name__
    ]


def directive(module, name):
    """What Sphinx is told of a name, and the name under which it finds it."""
    value = inspect.getattr_static(module, name, None)
    if value is None or isinstance(value, types.ModuleType):
        value = getattr(module, name)
    whole = f"{module.__name__}.{name}"
    if module is mxref and name in FUNCTIONS:
        return "autofunction", whole
    if isinstance(value, type):
        return "autoexception" if issubclass(value, BaseException) else "autoclass", whole
    if isinstance(value, types.ModuleType):
        return "", whole
    if callable(value) and (inspect.isroutine(value) or hasattr(value, "__wrapped__")):
        return "autofunction", whole
    return "autodata", whole


def first_line(module):
    text = (module.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    return text.replace("``", "`")


def module_page(name, seen, note):
    """One page; `seen` holds the page of what others describe, by identity."""
    module = importlib.import_module(name)
    found = modules()
    is_function = name.removeprefix("mxref.") in FUNCTIONS  # whose text is the module's as well
    parts = [f".. {'py:module' if is_function else 'automodule'}:: {name}\n"]
    inner, elsewhere = [], []
    for public in names(module):
        kind, whole = directive(module, public)
        value = getattr(module, public, None)
        if not kind:
            inner.append(whole)
            continue
        if isinstance(value, types.ModuleType):  # and a function at once
            value = getattr(value, public)
        key = id(value) if kind != "autodata" else whole
        if key in seen:
            elsewhere.append((public, seen[key]))
            continue
        seen[key] = name
        options = "   :members:\n" if kind == "autoclass" else ""
        options += "   :no-value:\n" if kind == "autodata" else ""
        # A module of the same name has a page, which is what a reference leads to.
        options += "   :no-index:\n" if kind == "autofunction" and whole in found else ""
        parts.append(f".. {kind}:: {whole}\n{options}")
    lines = [f"# {name}\n", note, "```{eval-rst}", *parts, "```", ""]
    if elsewhere:
        lines.append("Also here, and described where they are at home:\n")
        lines += [f"* `{public}`: [{there}]({there}.md)" for public, there in elsewhere]
    if name == EXACT:
        lines += ["```{toctree}", ":hidden:", "", *(m for m in modules() if _below(m)), "```", ""]
    if inner:
        lines += ["Modules:\n"]
        lines += [f"* [{whole}]({whole}.md)" for whole in inner if whole in found]
    return "\n".join(lines) + "\n"


def api_pages(note):
    """Every page, by file name below docs/."""
    seen, pages, rows = {}, {}, []
    found = modules()
    for name in found:
        pages[f"reference/api/{name}.md"] = module_page(name, seen, note)
        rows.append((name, first_line(importlib.import_module(name))))
    listing = "\n".join(f"| [{name}]({name}.md) | {text} |" for name, text in rows)
    tree = "\n".join(name for name in found if not _below(name))
    index = f"""# Python API

{note}
Every public name, with its parameters, what it raises, and examples that are run as tests.

```{{toctree}}
:hidden:

{tree}
```

| module | what it has |
|---|---|
{listing}
"""
    return {"reference/api/index.md": index, **pages}
