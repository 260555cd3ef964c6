"""A difference as text: 80 columns, complete without colour."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mxref.show._paint import Mark, common_marks
from mxref.show._text import WIDTH, field
from mxref.show.diff import _place_words as place_words
from mxref.show.diff._count import KINDS
from mxref.show.diff._document import code_pairs, histogram, scale_steps
from mxref.show.diff._lines import CLASSES
from mxref.show.diff._place import Place, split, written

if TYPE_CHECKING:
    from mxref.show.diff._difference import Difference

__all__ = ["bits", "heading", "lines", "marks", "positions", "reason", "span"]

_PAIRS = 6  # of codes that are listed
_MORE = 4  # differences that are listed after the first
_BAR = 20
_LONG = 1 << 16
_CORNER = "a \\ b"


def lines(found: Difference) -> list[str]:
    """Return the text, a line each."""
    out = heading(found)
    if found.equal:
        return out
    if found.first is not None:
        out += ["", *_kinds(found), *_histogram(found), *_classes(found), *_pairs(found)]
        out += [*bits(found), *_map(found)]
    return [*out, "", *reason(found)] if reason(found) else out


def heading(found: Difference) -> list[str]:
    """Say what was compared, how much differs, and what differs first."""
    out = _title(found)
    if found.first is not None:
        out += ["", *place_words.lines(found.first, is_first=True), *_next(found)]
    return out


def _title(found: Difference) -> list[str]:
    pair = found.pair
    what = {"blocks": "blocks", "codes": "codes", "numbers": "numbers"}[pair.kind]
    head = f"{pair.name}, shape {pair.shape}"
    if pair.axis is not None:
        head += f", blocks of {pair.block_size} along axis {pair.axis}"
    total = f"{found.total:,} element" + ("s" if found.total != 1 else "")
    if found.equal:
        return [f"equal: {head}", *field(what, f"{total}, every bit agrees", ())]
    out = [f"different: {head}"]
    share = f" ({_percent(found.count, found.total)})" if found.count else ""
    out += field("elements", f"{found.count:,} of {found.total:,} differ{share}", ())
    if pair.kind == "blocks" and pair.block_size:
        blocks = found.scale_counts[0][2]
        out += field("blocks", f"{found.tally.blocks:,} of {blocks:,} hold them", ())
    for name, differing, all_of in found.scale_counts:
        text = f"{differing:,} of {all_of:,} differ"
        if name == "scales" and (steps := scale_steps(found)):
            listed = ", ".join(f"{step:+d} in {n:,}" for step, n in steps[:5])
            text += f"; b minus a, as codes: {listed}" + (", ..." if len(steps) > 5 else "")
        out += field(name, text, ())
    if pair.global_scales is not None:
        a, b = pair.global_scales
        text = f"{written(a)} in both" if a == b else f"a {written(a)}, b {written(b)}"
        if a != b:
            text += "; elements are compared without them"
        out += field("global", text, ())
    for note in pair.notes:
        out += field("note", note, ())
    if pair.policies is not None:
        for name, policy in zip("ab", pair.policies, strict=True):
            label = "policies" if name == "a" else ""
            out += field(label, f"{name} {policy}".replace(",", ", "), ())
    return out


def _percent(part: int, total: int) -> str:
    share = 100 * part / total
    return "<0.01 %" if share < 0.01 else f"{share:.3g} %"


def _hex(code: int, bits: int) -> str:
    return f"0x{code:0{-(-bits // 4)}x}"


def _next(found: Difference) -> list[str]:
    places = list(found.places(_MORE + 1))[1:]
    if not places:
        return []
    for parts in ("code scale value kind", "code scale value", "code value", "code", ""):
        rows = _table([_cells(place, parts) for place in places])
        out = [f"  {'' if i else 'then':<11}{row}".rstrip() for i, row in enumerate(rows)]
        if max(map(len, out)) <= WIDTH:  # digits are left out together, never cut
            break
    return out


def _cells(place: Place, parts: str) -> list[str]:
    cells = [place_words.index(place)]
    for side in (place.a, place.b):
        text = place_words.code(side) if "code" in parts else ""
        if "scale" in parts and side.scale is not None:
            text += f" x {side.scale_value}"
        if "value" in parts:
            text += f" = {side.value}"
        cells.append(text)
    return [*cells, KINDS.get(place.kind or "", "") if "kind" in parts else ""]


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def _kinds(found: Difference) -> list[str]:
    counts = found.tally.kinds
    has_scales = found.pair.kind == "blocks"
    head = f"  {'kinds':<35}{'same scale':>14}{'other scale':>14}" if has_scales else "  kinds"
    out = [head]
    for name, same, other in zip(KINDS.values(), *counts.tolist(), strict=True):
        if same or other:
            columns = f"{same:>14,}{other:>14,}" if has_scales else f"{same:>14,}"
            out.append(f"    {name:<33}{columns}")
    return out


def _histogram(found: Difference) -> list[str]:
    rows = histogram(found)
    if not rows:
        return []
    most = max(sum(row[2:]) for row in rows)
    is_even = any(row[3] for row in rows)
    head = f"  {'ulps apart':<17}{'b nearer 0':>12}"
    head += f"{'as far':>10}" if is_even else ""
    out = ["", f"{head}{'b farther':>12}"]
    for low, high, near, even, far in rows:
        name = span(low, high)
        bar = "#" * max(1, round(_BAR * (near + even + far) / most))
        middle = f"{even:>10,}" if is_even else ""
        out.append(f"    {name:<15}{near:>12,}{middle}{far:>12,}  {bar}")
    return out


def span(low: int, high: int) -> str:
    """Write a range of distances; a long one by its end, a power of two."""
    if low == high:
        return f"{low}"
    return f"{low}-{high}" if high < _LONG else f"to 2^{high.bit_length() - 1}"


def _classes(found: Difference) -> list[str]:
    counts = found.tally.classes
    used = [i for i in range(len(CLASSES)) if counts[i].any() or counts[:, i].any()]
    if len(used) < 2:
        return []
    head = "".join(f"{CLASSES[i]:>11}" for i in used)
    out = ["", f"  {_CORNER:<11}{head}"]
    for i in used:
        cells = "".join(f"{int(counts[i, j]):>11,}" if counts[i, j] else f"{'.':>11}" for j in used)
        out.append(f"    {CLASSES[i]:<9}{cells}")
    return out


def _pairs(found: Difference) -> list[str]:
    pairs = code_pairs(found, _PAIRS)
    if not pairs:
        return []
    line, counts = found.pair.line, found.tally.pairs
    out = ["", "  codes" + ", of the same scale" * (found.pair.kind == "blocks")]
    for a, b, n in pairs:
        bits = " -> ".join(split(code, line.fields) for code in (a, b))
        codes = f"{_hex(a, line.bits)} -> {_hex(b, line.bits)}"
        out.append(f"    {codes}   {bits}   {n:>10,} time" + "s" * (n != 1))
    rest = 0 if counts is None else int((counts > 0).sum()) - len(pairs)
    return [*out, f"    and {rest:,} other pairs"] if rest > 0 else out


def bits(found: Difference) -> list[str]:
    """Say which bits of the codes differ, and how often."""
    counts = found.tally.bits
    flipped = [i for i in range(len(counts)) if counts[i]]
    if not flipped:
        return []
    shown = flipped[::-1][:8]
    text = ", ".join(f"bit {i}: {int(counts[i]):,}" for i in shown)
    rest = len(flipped) - len(shown)
    return field("bits", "differ: " + text + (f", and {rest} lower ones" if rest else ""), ())


def _map(found: Difference) -> list[str]:
    picture = found.map
    if picture is None or found.total < 2:
        return []
    from mxref.check.render.maps import LEGEND, letter_extent, map_letters

    out = ["", *field("map", f"{letter_extent(picture)}; {LEGEND}", ())]
    return [*out, *(f"    {row}" for row in map_letters(picture)), *positions(found)]


def positions(found: Difference) -> list[str]:
    """Say which positions in the block differ, where some do more than others."""
    picture = found.map
    if picture is None or len(set(picture.lanes)) < 2 or found.count < 2:
        return []
    from mxref.check.render.maps import lane_letters

    out = field("positions", "in the block; # the most frequent, 1 to 9 tenths of it, . none", ())
    return [*out, *(f"    {row}" for row in lane_letters(picture.lanes))]


def reason(found: Difference) -> list[str]:
    """Say who knows why."""
    pair = found.pair
    if pair.kind == "numbers" and not pair.notes:
        return []
    call = f"mxref.check.encode(x, b, {pair.name!r})"
    if pair.kind == "blocks":
        more = ", global_scale=b.global_scale" if pair.global_scales is not None else ""
        more += ", subscales=b.subscales" if pair.a_subscales is not None else ""
        axis = "" if pair.axis in {None, len(pair.shape) - 1} else f", axis={pair.axis}"
        call = f"mxref.check.quantize(x, b.codes, b.scales, {pair.name!r}{axis}{more})"
    if pair.kind == "numbers":
        text = "mxref.check.dequantize(q.codes, q.scales, y, q.format) judges a decoder; "
        text += "for files, mxref check dequantize"
        return field("why", text, ())
    command = f"mxref check {'quantize' if pair.kind == 'blocks' else 'encode'}"
    text = f"with the source x at hand, {call} names the cause; for files, {command}"
    return field("why", text, ())


_BITS = re.compile(
    r"    [ab] {8}0x[0-9a-f]+ = (?P<sign>[01]) (?P<exponent>[01]+ )?(?P<mantissa>[01]+)"
)
_MAP_ROW = re.compile(r"    ([.1-9#]+)$")


def marks(lines: Sequence[str]) -> Iterator[Mark]:
    """Mark verdict, kinds and the map."""
    yield from common_marks(lines)
    if lines and lines[0].startswith(("equal:", "different:")):
        yield Mark(0, 0, lines[0].index(":"), "good" if lines[0].startswith("equal") else "bad")
    for at, line in enumerate(lines):
        if bits_of := _BITS.match(line):
            for style in ("sign", "exponent", "mantissa"):
                yield Mark(at, *bits_of.span(style), style)
        elif not line.strip(" ^"):
            yield Mark(at, 0, len(line), "bad")
        if found := _MAP_ROW.match(line):
            start = found.start(1)
            for i, letter in enumerate(found[1]):
                if letter != ".":
                    yield Mark(at, start + i, start + i + 1, "bad")
