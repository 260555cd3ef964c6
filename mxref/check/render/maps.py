"""The mismatch map as a picture: letters for text, SVG for HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mxref.check.parts import MismatchMap

__all__ = [
    "LEGEND",
    "extent",
    "lane_letters",
    "lane_svg",
    "letter_extent",
    "map_letters",
    "map_svg",
]

LEGEND = ". none, 1 to 9 tenths, # all"
"""What the letters of `map_letters` mean."""

_LETTERS = ".123456789#"
_LETTERS_ACROSS = 64
_STEPS = 5  # shades of the picture above none
_WIDTH, _LEAST, _MOST = 720, 4, 28  # of the picture and of the sides of its cells
_LANE_HEIGHT = 72


def extent(map: MismatchMap) -> str:  # noqa: A002
    """Say what the picture shows, and how much is in one of its cells.

    Examples
    --------
    >>> extent(MismatchMap((4, 64), ((0.0, 1.0),), (4, 32)))
    'shape (4, 64); a cell is 4 by 32 elements'
    """
    return f"shape {map.shape}; a cell is {_elements(*map.cell)}"


def letter_extent(map: MismatchMap, rows: int = 16) -> str:  # noqa: A002
    """Say what a letter of `map_letters` stands for.

    Examples
    --------
    >>> letter_extent(MismatchMap((64, 128), ((0.0,) * 128,) * 64, (1, 1)))
    'shape (64, 128); a letter is the worst of 4 by 2 elements'
    >>> letter_extent(MismatchMap((128, 128), ((0.0,) * 64,) * 32, (4, 2)))
    'shape (128, 128) in tiles of 4 by 2 elements; a letter is the worst of 2 by 1 tiles'
    """
    down, across = _cells_of_a_letter(map.rows, rows, _LETTERS_ACROSS)
    if down == across == 1:
        return f"shape {map.shape}; a letter is {_elements(*map.cell)}"
    if map.cell == (1, 1):
        return f"shape {map.shape}; a letter is the worst of {_elements(down, across)}"
    tiles = f"{down:,} by {across:,} tiles"
    return f"shape {map.shape} in tiles of {_elements(*map.cell)}; a letter is the worst of {tiles}"


def _elements(down: int, across: int) -> str:
    return "1 element" if down == across == 1 else f"{down:,} by {across:,} elements"


def map_letters(map: MismatchMap, rows: int = 16) -> tuple[str, ...]:  # noqa: A002
    """Draw the map with letters; a cell that stands for several shows the worst of them.

    Examples
    --------
    >>> map_letters(MismatchMap((2, 4), ((0.0, 0.001, 0.5, 0.999), (0.0, 0.0, 0.0, 1.0)), (1, 1)))
    ('.159', '...#')
    """
    worst = _worst(map.rows, rows, _LETTERS_ACROSS)
    return tuple("".join(_letter(share) for share in row) for row in worst)


def lane_letters(lanes: Sequence[int]) -> tuple[str, ...]:
    """Draw the mismatches by place in the block with letters, the most as ``#``.

    Examples
    --------
    >>> lane_letters((0, 0, 8, 2))
    ('..#2',)
    """
    most = max(lanes, default=0)
    text = "".join(_letter(count / most if most else 0.0) for count in lanes)
    return tuple(text[i : i + _LETTERS_ACROSS] for i in range(0, len(text), _LETTERS_ACROSS))


def _letter(share: float) -> str:
    if share <= 0:
        return _LETTERS[0]
    if share >= 1:
        return _LETTERS[-1]
    return _LETTERS[min(9, max(1, int(10 * share)))]  # few is not none, most is not all


def _worst(shares: Sequence[Sequence[float]], rows: int, columns: int) -> list[list[float]]:
    if not shares:
        return []
    down, across = _cells_of_a_letter(shares, rows, columns)
    return [
        [
            max(max(row[left : left + across]) for row in shares[top : top + down])
            for left in range(0, len(shares[0]), across)
        ]
        for top in range(0, len(shares), down)
    ]


def _cells_of_a_letter(
    shares: Sequence[Sequence[float]], rows: int, columns: int
) -> tuple[int, int]:
    return -(-len(shares) // rows) or 1, -(-max(map(len, shares), default=1) // columns) or 1


# --- SVG --------------------------------------------------------------------------------------


def map_svg(map: MismatchMap) -> str:  # noqa: A002
    """Draw the map as SVG with the classes ``c0`` to ``c5``, whose colours the page chooses."""
    count = max((len(row) for row in map.rows), default=0)
    if not count:
        return ""
    # Whole pixels: fractions of them would leave hairlines between the cells.
    side = max(_LEAST, min(_MOST, _WIDTH // count))
    height = max(_LEAST, min(side, 480 // len(map.rows)), min(_MOST, 80 // len(map.rows)))
    wide, high = side * count, height * len(map.rows)
    body = "".join(_cells(map, side, height))
    label = f"Mismatch map, {extent(map)}"
    return (
        f'<svg class="map" role="img" aria-label="{label}" viewBox="0 0 {wide} {high}" '
        f'width="{wide}" height="{high}" shape-rendering="crispEdges">'
        f'<rect class="c0" width="{wide}" height="{high}"/>{body}</svg>'
    )


def _cells(map: MismatchMap, side: int, height: int) -> Iterator[str]:  # noqa: A002
    """Yield the cells that hold mismatches; neighbours of one shade are one rectangle."""
    for r, row in enumerate(map.rows):
        start = 0
        shades = [_shade(share) for share in row]
        for c in range(1, len(row) + 1):
            if c < len(row) and row[c] == row[start]:
                continue
            if shades[start]:
                yield _cell(map, (r, start, c), side, height, shades[start])
            start = c


def _cell(
    map: MismatchMap,  # noqa: A002
    place: tuple[int, int, int],
    side: int,
    height: int,
    shade: int,
) -> str:
    row, first, stop = place
    down, across = map.cell
    share = map.rows[row][first]
    columns = f"{first * across}–{_end(stop * across, map.shape[-1:]) - 1}"
    rows = f"{row * down}–{_end((row + 1) * down, map.shape[:-1]) - 1}"
    title = f"rows {rows}, columns {columns}: {100 * share:.3g} % differ"
    return (
        f'<rect class="c{shade}" x="{first * side}" y="{row * height}" '
        f'width="{(stop - first) * side}" height="{height}"><title>{title}</title></rect>'
    )


def _end(stop: int, lengths: tuple[int, ...]) -> int:
    total = 1
    for length in lengths:
        total *= length
    return min(stop, total)


def _shade(share: float) -> int:
    if share <= 0:
        return 0
    return 1 + min(_STEPS - 1, int(_STEPS * share))


def lane_svg(lanes: Sequence[int]) -> str:
    """Draw the mismatches by place in the block as bars, with the class ``bar``."""
    most = max(lanes, default=0)
    if not most:
        return ""
    side = max(_LEAST, min(20, _WIDTH // len(lanes)))
    wide, high = side * len(lanes), _LANE_HEIGHT
    gap = 1 if side > _LEAST else 0
    bars = "".join(
        f"<g><title>lane {lane}: {count:,} mismatches</title>"
        f'<rect class="slot" x="{lane * side}" y="0" width="{side - gap}" height="{high}"/>'
        f'<rect class="bar" x="{lane * side}" y="{high - _bar(count, most)}" '
        f'width="{side - gap}" height="{_bar(count, most)}"/></g>'
        for lane, count in enumerate(lanes)
    )
    step = max(1, len(lanes) // 8)
    marks = "".join(
        f'<text x="{lane * side + side / 2:g}" y="{high + 14}">{lane}</text>'
        for lane in range(0, len(lanes), step)
    )
    return (
        f'<svg class="lanes" role="img" aria-label="Mismatches by lane, at most {most:,}" '
        f'viewBox="0 0 {wide} {high + 18}" width="{wide}" height="{high + 18}">{bars}{marks}</svg>'
    )


def _bar(count: int, most: int) -> int:
    return max(2, round(_LANE_HEIGHT * count / most)) if count else 0
