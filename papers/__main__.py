"""Regenerate the tables and plots of docs/papers.md: ``python -m papers``.

Each part writes its numbers and its plots to docs/papers/; `docs/generate.py` makes the page.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS = ("qsnr", "directcast", "training")
"""Modules of this package, the slowest last."""
DOCS = Path(__file__).parent.parent / "docs" / "papers"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(PARTS))
@click.option("--quick", is_flag=True, help="A small variant of each part: does everything run?")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to write; default docs/papers, and a scratch folder for --quick.",
)
def main(names: tuple[str, ...], *, quick: bool, out: Path | None) -> None:
    """Reproduce the published results, all of them or those of NAMES."""
    folder = out or (Path("build/papers-quick") if quick else DOCS)
    folder.mkdir(parents=True, exist_ok=True)
    parts = [importlib.import_module(f"papers.{name}") for name in names or PARTS]
    minutes = sum(part.MINUTES for part in parts)
    console = Console(stderr=True)
    if not quick:
        console.print(f"{len(parts)} parts, about {minutes:.0f} minutes on 2 cores")
    began = time.perf_counter()
    for part in parts:
        _run(part, folder, console, quick=quick)
    took = time.perf_counter() - began
    console.print(f"Wrote {folder} in {took / 60:.1f} minutes")
    if not quick and not names and folder == DOCS:
        console.print("Now docs/papers.md: python docs/generate.py papers.md")


def _run(part: Any, folder: Path, console: Console, *, quick: bool) -> None:
    began = time.perf_counter()
    if console.is_terminal:
        columns = (
            TextColumn("{task.fields[part]:<11}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", part=part.NAME, total=1.0)
            part.run(
                folder,
                quick=quick,
                progress=lambda done, text: bar.update(task, completed=done, description=text),
            )
            bar.update(task, completed=1.0, description="")
    else:
        part.run(folder, quick=quick, progress=_lines(part.NAME, began))
    took = time.perf_counter() - began
    _note_time(folder / f"{part.NAME}.json", took)
    console.print(f"{part.NAME}: done in {took:.0f} s")


def _lines(name: str, began: float, every: float = 15.0) -> Callable[[float, str], None]:
    """Progress for a log: a line now and then."""
    last = [began]

    def report(done: float, text: str) -> None:
        now = time.perf_counter()
        if now - last[0] >= every:
            last[0] = now
            print(f"{name}: {done:4.0%} after {now - began:.0f} s: {text}", file=sys.stderr)

    return report


def _note_time(file: Path, took: float) -> None:
    """Put down how long a part took, and on how many cores, beside its numbers."""
    found = json.loads(file.read_text("utf-8"))
    found["seconds"] = round(took)
    found["cores"] = os.cpu_count()
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)
    file.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
