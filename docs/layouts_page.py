"""docs/layouts.md and its pictures: where codes and scale codes lie, drawn from the code itself.

A packing is drawn from its table of places. Records and conventions are drawn from what their
writers do: one bit of one code is flipped at a time, and the bit that changes in the bytes is its
place. So a picture cannot say anything else than the code does.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from drawing import COLOURS, EMPTY, SCALE, grid, strip

from mxref.layouts import conventions, records
from mxref.layouts.packings import PACKINGS
from mxref.layouts.scale_orders import SCALE_ORDERS, Plane, places, scale_bytes

HERE = Path(__file__).parent
PART = re.compile(r"(<!-- written: (?P<name>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SHOWN = 24  # bytes of a long line: 32 elements of 6 bits
_PADDING = ("", EMPTY, None)


def sentence(text):
    is_name = "_" in text.split()[0]
    return (text if is_name else text[0].upper() + text[1:]).rstrip(".") + "."


def link(url):
    if not url:
        return "Evidence:"
    return f"[Source]({url})" if url.startswith("http") and " " not in url else f"Source: {url}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows]
    return "\n".join(lines)


def empty(size):
    """A line of bytes without any field: each is eight bits, bit 7 first."""
    return [[_PADDING] * 8 for _ in range(size)]


def put(line, byte, bit, label):
    if byte < len(line):
        line[byte][7 - bit] = label


# --- packings -----------------------------------------------------------------------------------


def packing_picture(packing):
    """A unit of a packing; of a long one, the first bytes."""
    count = max(packing.group, 16 // packing.bits)
    line = empty(min(packing.packed_size(count), _SHOWN))
    for code in range(count):
        byte, bit = packing.bit_places(code)
        for index, (at, within) in enumerate(zip(byte, bit, strict=True)):
            put(line, int(at), int(within), (f"e{code}", COLOURS[code % len(COLOURS)], index))
    return strip(f"{packing.name}: {packing.text}", [("", 0, line)])


# --- scale orders -------------------------------------------------------------------------------

_PLANES = {"128x4": (128, 4), "8x4": (16, 8), "gfx950-32x8": (32, 8), "gfx1250-32x4": (32, 8)}


def order_picture(order):
    """Bytes in the order of their addresses, each with the (line, block) whose scale it is."""
    lines, blocks = _PLANES.get(order.name, (8, 8))
    plane = Plane(lines, blocks, 1)
    size = scale_bytes(order.name, plane.shape)
    owner = {
        int(at): where for where, at in np.ndenumerate(places(order, plane))
    }  # address: (line, block)
    rows, numbers = [], []
    for start in range(0, size, 16):
        numbers.append(f"byte {start}")
        row = []
        for at in range(start, min(start + 16, size)):
            if at in owner:
                line, block = owner[at]
                colour = COLOURS[(line // (lines // 8 or 1)) % len(COLOURS)]
                row.append((f"{line},{block}", colour))
            else:
                row.append(("pad", EMPTY))
        rows.append(row)
    note = f"{lines} lines of {blocks} blocks: each byte holds the scale of (line, block)"
    return grid(f"{order.name}: scale codes in memory", rows, numbers, note)


# --- records and conventions: by flipping bits ----------------------------------------------------


def as_bytes(parts):
    return {
        name: np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        for name, array in parts.items()
    }


def traced(write, arrays, widths):
    """Find where the bits of some arrays go.

    Yields (array's name, index, bit, output's name, byte, bit of the byte).
    """
    blank = as_bytes(write(arrays))
    for which, width in widths.items():
        for index in np.ndindex(arrays[which].shape):
            for bit in range(width):
                changed = arrays | {which: arrays[which].copy()}
                changed[which][index] ^= 1 << bit
                for name, data in as_bytes(write(changed)).items():
                    for at in np.flatnonzero(data != blank[name]):
                        difference = int(data[at]) ^ int(blank[name][at])
                        for within in range(8):
                            if difference >> within & 1:
                                yield which, index, bit, name, int(at), within


def traced_picture(title, write, arrays, widths, words, shown_bytes=_SHOWN):
    """The first bytes of each output, each bit with the field that was seen to be there."""
    outputs = as_bytes(write(arrays))
    lines = {name: empty(min(data.size, shown_bytes)) for name, data in outputs.items()}
    for which, index, bit, name, at, within in traced(write, arrays, widths):
        if at < len(lines[name]):
            put(lines[name], at, within, (*words(which, index), bit))
    shown = []
    for name, line in lines.items():
        shown.append((name if len(lines) > 1 else "", 0, line))
    return strip(title, shown)


def code_words(which, index):
    """A code's name is its place on its row; a scale's has its row as well."""
    if which == "codes":
        row, column = index
        if row:
            return f"row {row}", EMPTY
        return f"e{column}", COLOURS[column % len(COLOURS)]
    row, block = index
    return f"s{row},{block}", SCALE


def convention_picture(layout, name):
    """Row 0 and its neighbour, of 64 columns, as a convention stores them."""
    kind = conventions.traits(name)
    arrays = {
        "codes": np.zeros((2, 64), np.uint8),
        "scales": np.zeros((2, 64 // kind.block_size), np.uint8),
    }
    has_factor = any(part.role == "global_scale" for part in layout.parts_for(name))
    factor = np.float64(1) if has_factor else None

    def write(fields):
        given = conventions.Fields(fields["codes"], fields["scales"], factor)
        parts = layout.pack(given, name)
        stored = layout.names("weight", name)
        return {f"{stored[r]} ({r})": a for r, a in parts.items() if r != "global_scale"}

    title = f"{layout.name}: {name}"
    return traced_picture(title, write, arrays, {"codes": kind.bits, "scales": 8}, code_words)


def record_words(which, index):
    if which == "codes":
        return f"e{index[0]}", COLOURS[index[0] % len(COLOURS)]
    return (f"s{index[0]}" if which == "scales" else f"m{index[0]}"), SCALE


def record_picture(record):
    """One record."""
    arrays = {
        "scales": np.zeros(record.blocks, np.uint8),
        "codes": np.zeros(record.elements, np.uint8),
    }
    widths = {"scales": 8, "codes": record.bits}
    if record.micro_starts:
        arrays["micro"], widths["micro"] = np.zeros(len(record.micro_starts), np.uint8), 1

    def write(fields):
        packed = records.pack_records(
            fields["scales"], fields["codes"], record.name, fields.get("micro")
        )
        return {record.name: packed}

    return traced_picture(
        f"{record.name}: {record.text}", write, arrays, widths, record_words, record.nbytes
    )


# --- the page -------------------------------------------------------------------------------------


def drawn_formats(layout):
    """A format of each width of elements that a convention holds: others lie in the same way."""
    seen = {}
    for name in layout.formats:
        seen.setdefault((conventions.traits(name).bits, name == "nvfp4"), name)
    return list(seen.values())


def pictures():
    """Every picture: file name, what it shows in words, SVG."""
    found = {f"packing-{p.name}": (p.text, packing_picture(p)) for p in PACKINGS.values()}
    for order in SCALE_ORDERS.values():
        found[f"scales-{order.name}"] = (order.text, order_picture(order))
    for record in records.RECORDS.values():
        found[f"record-{record.name}"] = (record.text, record_picture(record))
    for layout in conventions.LAYOUTS.values():
        for name in drawn_formats(layout):
            words = f"{layout.name} holding {name}"
            found[f"layout-{layout.name}-{name}"] = (words, convention_picture(layout, name))
    return found


def _shown(drawn, prefix):
    return "\n\n".join(
        f"![{words}](pictures/{name}.svg)"
        for name, (words, _) in drawn.items()
        if f"{name}.".startswith(prefix)
    )


def packing_part(drawn):
    return "\n\n".join(
        f"### `{p.name}`\n\n{p.text} Used by: {p.used_by}. {link(p.source)} ({p.evidence})."
        f"\n\n{_shown(drawn, f'packing-{p.name}.')}"
        for p in PACKINGS.values()
    )


def order_part(drawn):
    return "\n\n".join(
        f"### `{o.name}`\n\n{sentence(o.text)} Used by: {o.source}. {link(o.url)} ({o.evidence})."
        f"\n\n{_shown(drawn, f'scales-{o.name}.')}"
        for o in SCALE_ORDERS.values()
    )


def record_part(drawn):
    return "\n\n".join(
        f"### `{r.name}`\n\n{r.text} {link(r.source)} ({r.evidence})."
        f"\n\n{_shown(drawn, f'record-{r.name}.')}"
        for r in records.RECORDS.values()
    )


def convention_part(drawn):
    parts = []
    for layout in conventions.LAYOUTS.values():
        rows = []
        for name in layout.formats:
            shapes = layout.shapes(name, (256, 128))
            stored = layout.names("mlp.weight", name)
            for part in layout.parts_for(name):
                shape = " x ".join(map(str, shapes.get(part.role, ()))) or "scalar"
                optional = " (optional)" if part.optional else ""
                rows.append(
                    (f"`{name}`", part.role + optional, f"`{stored[part.role]}`",
                     f"`{part.dtypes[0]}`", shape)
                )  # fmt: skip
        head = ("format", "part", "tensor", "type", "shape of 256 x 128")
        parts.append(
            f"### `{layout.name}`\n\n{sentence(layout.text)} Source: {layout.source} "
            f"({layout.evidence})."
            f"\n\n{table(head, rows)}\n\n"
            + "\n\n".join(
                _shown(drawn, f"layout-{layout.name}-{name}.") for name in drawn_formats(layout)
            )
        )
    return "\n\n".join(parts)


_PARTS = {
    "packings": packing_part,
    "orders": order_part,
    "records": record_part,
    "conventions": convention_part,
}


def layouts_page(path):
    """Return the page with what the code knows written anew, and its pictures by file name."""
    drawn = pictures()
    text = PART.sub(lambda m: f"{m[1]}{_PARTS[m['name']](drawn)}\n{m[3]}", path.read_text("utf-8"))
    return text, {f"pictures/{name}.svg": svg for name, (_, svg) in drawn.items()}
