"""``mxref doctor``: what a bug report needs: versions, threads, the folder of kernels."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import click

from mxref import __version__
from mxref.cli._output import emit_json, json_option

__all__ = ["command"]

_PACKAGES = ("numpy", "numba", "llvmlite", "ml_dtypes", "click", "rich")


@click.command("doctor")
@json_option
def command(as_json: bool) -> None:  # noqa: FBT001
    """Show versions, threads and the cache folder, for a bug report."""
    facts = _facts()
    if as_json:
        emit_json(facts)
        return
    width = max(map(len, facts))
    for name, fact in facts.items():
        click.echo(f"{name:{width}}  {fact}")


def _facts() -> dict[str, str]:
    facts = {"mxref": __version__, "python": f"{platform.python_version()} ({sys.executable})"}
    for name in _PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "missing"
    facts["platform"] = platform.platform()
    facts["processors"] = str(len(os.sched_getaffinity(0)) if _linux() else os.cpu_count())
    facts |= _kernel_facts()
    settings = sorted(k for k in os.environ if k.startswith(("MXREF_", "NUMBA_")))
    facts["settings"] = ", ".join(f"{k}={os.environ[k]}" for k in settings) or "none"
    return facts


def _linux() -> bool:
    return hasattr(os, "sched_getaffinity")


def _kernel_facts() -> dict[str, str]:
    """Ask the kernels themselves; a machine where they fail to load is what a doctor is for."""
    try:
        import mxref.kernels._jit as kernels
        from mxref.kernels.gemm import cpu

        paths = ", ".join(cpu.NAMES[path] for path in reversed(cpu.paths()))
        folder = kernels.cache_directory()
        threads = str(kernels.numba.get_num_threads())  # type: ignore[attr-defined]
    except Exception as error:  # noqa: BLE001
        return {"kernels": f"do not load: {type(error).__name__}: {error}"}
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    state = "" if os.access(existing, os.W_OK) else " (not writable: kernels compile in each run)"
    compiled = len(list(folder.glob("*.nbi"))) if folder.is_dir() else 0
    return {
        "threads": threads,
        "matmul paths": paths,
        "cache": f"{folder}{state}",
        "cached kernels": str(compiled),
    }
