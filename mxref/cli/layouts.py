"""``mxref layouts``: the known layouts, pictures of them, and probes that tell them apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mxref.cli._group import NamingGroup
from mxref.cli._output import console, emit_json, fail, json_option, one_line_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mxref.layouts.packings import Packing
    from mxref.layouts.records import Record
    from mxref.layouts.scale_orders import ScaleOrder

__all__ = ["command"]


@click.group("layouts", invoke_without_command=True, cls=NamingGroup)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:  # noqa: FBT001
    """List the known layouts: how codes and scale codes lie in bytes."""
    if ctx.invoked_subcommand is not None:
        return
    kinds = _kinds()
    if as_json:
        emit_json(
            {
                kind: {name: _facts(found) for name, found in known.items()}
                for kind, known in kinds.items()
            }
        )
        return
    from rich.table import Table

    out = console()
    for kind, known in kinds.items():
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column(kind, style="bold cyan", no_wrap=True, min_width=20)
        table.add_column("what it is")
        for name, found in known.items():
            table.add_row(name, found.text)
        out.print(table)
        out.print()
    out.print("mxref layouts show NAME draws one, and says who uses it.")
    out.print("mxref layouts probe and identify name the layout of somebody's packer.")


def _kinds() -> dict[str, dict[str, Any]]:
    from mxref.layouts.conventions import LAYOUTS
    from mxref.layouts.packings import PACKINGS
    from mxref.layouts.records import RECORDS
    from mxref.layouts.scale_orders import SCALE_ORDERS

    return {
        "packings": dict(PACKINGS),
        "scale orders": dict(SCALE_ORDERS),
        "records": dict(RECORDS),
        "conventions": dict(LAYOUTS),
    }


def _facts(found: Any) -> dict[str, str]:
    facts = {"text": found.text, "used_by": getattr(found, "used_by", found.source)}
    source = getattr(found, "url", found.source)
    return {**facts, "source": source, "evidence": found.evidence}


# --- show ------------------------------------------------------------------------------------


@command.command("show")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:  # noqa: FBT001
    """Draw a layout: which bit, or which scale code, each byte holds."""
    from mxref._suggest import unknown_name

    kinds = _kinds()
    all_names = [known for names in kinds.values() for known in names]
    if name not in all_names:
        fail(unknown_name("layout", name, all_names))
    kind = next(kind for kind, names in kinds.items() if name in names)
    found = kinds[kind][name]
    draws: dict[str, Callable[[Any], tuple[str, dict[str, Any]]]] = {
        "packings": _packing,
        "scale orders": _order,
        "records": _record,
        "conventions": _convention,
    }
    picture, places = draws[kind](found)
    if as_json:
        emit_json({"name": name, "kind": kind, **_facts(found), **places})
        return
    from rich.text import Text

    out = console()
    out.print(Text(f"{name}: {kind.removesuffix('s')}", style="bold"))
    for label, text in _facts(found).items():
        if text:
            out.print(f"{label.replace('_', ' ')}: {text}", soft_wrap=not out.is_terminal)
    out.print()
    click.echo(picture)


def _packing(found: Packing) -> tuple[str, dict[str, Any]]:
    from mxref.layouts.pictures import packing_picture

    byte, bit = found.bit_places(range(found.group))
    places = [
        [list(place) for place in zip(*pair, strict=True)]
        for pair in zip(byte.tolist(), bit.tolist(), strict=True)
    ]
    facts = {"bits": found.bits, "group": found.group, "unit_bytes": found.unit_bytes}
    return packing_picture(found), {**facts, "bit_places": places}


def _order(found: ScaleOrder) -> tuple[str, dict[str, Any]]:
    from mxref.layouts.pictures import first_plane, order_picture
    from mxref.layouts.scale_orders import places

    plane = first_plane(found)
    facts = {"tile": found.tile and list(found.tile), "pad": found.pad}
    plane_facts = {"lines": plane.lines, "blocks": plane.blocks}
    addresses = places(found, plane).tolist()
    return order_picture(found), {**facts, "plane": plane_facts, "addresses": addresses}


def _record(found: Record) -> tuple[str, dict[str, Any]]:
    from mxref.layouts.pictures import record_picture

    facts = {
        "format": found.format,
        "elements": found.elements,
        "bytes": found.nbytes,
        "scale_starts": list(found.scale_starts),
        "micro_starts": list(found.micro_starts),
        "code_starts": list(found.code_starts),
    }
    return record_picture(found), facts


def _convention(found: Any) -> tuple[str, dict[str, Any]]:
    lines, parts = [], {}
    for fmt in found.formats:
        own = found.parts_for(fmt)
        parts[fmt] = {part.role: [*part.suffixes, part.dtypes[0]] for part in own}
        stored = "; ".join(f"{part.role}: *{part.suffixes[0]} {part.dtypes[0]}" for part in own)
        lines.append(f"{fmt}: {stored}")
    return "\n".join(lines), {"formats": list(found.formats), "parts": parts}


# --- probes ----------------------------------------------------------------------------------


def _shape(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[int, int]:
    sides = text.lower().replace("x", ",").split(",")
    if len(sides) != 2 or not all(side.strip().isdecimal() for side in sides):
        raise click.BadParameter(f"{text!r}: expected rows and columns, such as 301x672")
    return int(sides[0]), int(sides[1])


_common = (
    click.option("--format", "format_name", required=True, help="Block format, such as mxfp4."),
    click.option(
        "--shape",
        callback=_shape,
        default="301x672",
        show_default=True,
        help="Rows and columns.",
    ),
    click.option("--axis", default=-1, show_default=True, help="Axis along which blocks lie."),
)


def _with_common(function: Any) -> Any:
    for option in reversed(_common):
        function = option(function)
    return function


@command.command("probe")
@_with_common
@click.option("--all", "is_all", is_flag=True, help="All probes, to map an unknown layout too.")
@click.option("--force", is_flag=True, help="Overwrite files.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for probe-00-codes.npy, probe-00-scales.npy, ...",
)
def probe(
    *, format_name: str, shape: tuple[int, int], axis: int, is_all: bool, force: bool, output: Path
) -> None:
    """Write codes and scale codes for your packer; `identify` reads what becomes of them."""
    from mxref.cli._files import require_free, save_all

    with one_line_errors():
        from mxref.layouts.probe import probe as make
        from mxref.layouts.probe import probe_count

        count = probe_count(format_name, shape, axis) if is_all else 1
        made = [make(format_name, shape, axis, number=i) for i in range(count)]
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{output}: cannot be made: {error.strerror or error}")
    arrays: dict[Path, NDArray[Any]] = {}
    for i, q in enumerate(made):
        arrays[output / f"probe-{i:02}-codes.npy"] = q.codes
        arrays[output / f"probe-{i:02}-scales.npy"] = q.scales
    require_free([], list(arrays), force=force)
    save_all(arrays, force=force)
    click.echo(f"{len(arrays)} files in {output}", err=True)


@command.command("identify")
@click.argument("target", required=False)
@_with_common
@click.option("--elements", multiple=True, type=click.Path(path_type=Path), help="Stored elements.")
@click.option("--scales", multiple=True, type=click.Path(path_type=Path), help="Stored scales.")
@click.option(
    "--records", multiple=True, type=click.Path(path_type=Path), help="One file that holds both."
)
@click.option("--packing", help="What it should be: the packing of the elements.")
@click.option("--scale-layout", help="The order of the scale codes.")
@click.option("--record", help="The record that holds both.")
@json_option
def identify(  # noqa: PLR0913  # one parameter an option
    *,
    target: str | None,
    format_name: str,
    shape: tuple[int, int],
    axis: int,
    elements: tuple[Path, ...],
    scales: tuple[Path, ...],
    records: tuple[Path, ...],
    packing: str | None,
    scale_layout: str | None,
    record: str | None,
    as_json: bool,
) -> None:
    """Name the layout that a packer writes.

    TARGET is py:MODULE:FUNCTION, called with codes and scale codes. Without it give the files that
    were written for `mxref layouts probe`: .npy, or any other as raw bytes; with --all one for each
    probe, in their order. Exit code 1: no known layout, or another one than it should be.
    """
    written = _function(target) if target else _files(elements, scales, records)
    if target and (elements or scales or records):
        fail("give a target or files, not both")
    from mxref.check.target import TargetError

    with one_line_errors():
        from mxref.check.layout import layout

        try:
            report = layout(
                *(written, format_name, shape, axis),
                packing=packing,
                scale_layout=scale_layout,
                record=record,
            )
        except TargetError as error:
            fail(str(error))
    if as_json:
        emit_json(report.as_dict())
    else:
        click.echo(str(report))
    raise click.exceptions.Exit(0 if report.ok else 1)


def _function(target: str) -> Any:
    from mxref.check.target import TargetError
    from mxref.check.targets.functions import find_function

    kind, _, rest = target.partition(":")
    module, _, name = rest.partition(":")
    if kind != "py" or not module or not name:
        fail(f"target {target!r}: expected py:MODULE:FUNCTION, such as py:mykernel:pack")
    try:
        return find_function(module, name)
    except TargetError as error:
        fail(str(error))


def _files(
    elements: tuple[Path, ...], scales: tuple[Path, ...], records: tuple[Path, ...]
) -> list[Any]:
    if records and (elements or scales):
        fail("--records holds elements and scales: give it, or --elements and --scales")
    if not (elements or scales or records):
        fail("nothing to identify: give a TARGET, --elements and --scales, or --records")
    if elements and scales and len(elements) != len(scales):
        fail(f"{len(elements)} files of elements, but {len(scales)} of scales")
    if records:
        return [_stored(path) for path in records]
    pairs = zip(
        elements or [None] * len(scales),
        scales or [None] * len(elements),
        strict=True,
    )
    return [tuple(None if path is None else _stored(path) for path in pair) for pair in pairs]


def _stored(path: Path) -> NDArray[Any]:
    import numpy as np

    if path.suffix == ".npy":
        from mxref.cli._files import _load

        return np.ascontiguousarray(_load(path)).reshape(-1).view(np.uint8)
    try:
        return np.frombuffer(path.read_bytes(), np.uint8)
    except FileNotFoundError:
        fail(f"{path}: no such file")
    except OSError as error:
        fail(f"{path}: cannot be read: {error.strerror or error}")
